"""The small parts that everything stands on: durations, chance, timers, time zones, the shapes of bodies."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kqlite.orchestration.chance import Chance, derived_guid
from kqlite.orchestration.clock import START, duration, from_datetime, iso, iso_duration, to_datetime
from kqlite.orchestration.errors import ArmError
from kqlite.orchestration.paging import Listings, Page
from kqlite.orchestration.requests import schema
from kqlite.orchestration.timers import Timers, Wake
from kqlite.orchestration.zones import WINDOWS, zone_of
from kqlite.simulation import Simulation


@pytest.mark.parametrize(
    ("value", "seconds"),
    [(1, 1), (0.5, 0.5), ("61s", 61), ("1h30m", 5400), ("PT5M", 300), ("P1DT1H", 90000), ("P2W", 1209600), ("250ms", 0.25), ("1.5h", 5400)],
)
def test_durations(value: Any, seconds: float) -> None:
    assert duration(value) == round(seconds * 1_000_000)
    assert duration(timedelta(seconds=seconds)) == round(seconds * 1_000_000)


@pytest.mark.parametrize("text", ["", "P", "PT", "5 minutes", "PT5X", "five"])
def test_what_is_no_iso_duration(text: str) -> None:
    assert iso_duration(text) is None


def test_times_are_written_as_arm_writes_them() -> None:
    assert iso(START) == "2021-08-11T00:00:00.0000000+00:00"
    assert iso(START + 1_234_567) == "2021-08-11T00:00:01.2345670+00:00"


@given(st.integers(0, 4_000_000_000_000_000))
def test_times_come_back(micros: int) -> None:
    assert from_datetime(to_datetime(micros)) == micros


def test_streams_depend_on_seed_purpose_key_and_counter_alone() -> None:
    chance = Chance(1)
    assert chance.uniform("a", "x", 3) == Chance(1).uniform("a", "x", 3)
    assert len({chance.number(purpose, key, counter) for purpose in "ab" for key in "xy" for counter in (0, 1)}) == 8
    assert Chance(2).number("a", "x") != chance.number("a", "x")


@given(st.tuples(st.integers(0, 50), st.integers(50, 100), st.integers(100, 200)), st.integers())
def test_a_triangular_draw_stays_inside(bounds: tuple[int, int, int], key: int) -> None:
    assert bounds[0] <= Chance(0).triangular(bounds, "t", str(key)) <= bounds[2]


def test_a_triangular_draw_has_its_mean() -> None:
    draws = [Chance(0).triangular((0, 30, 90), "t", key) for key in range(4000)]
    assert 38.5 < sum(draws) / len(draws) < 41.5


def test_guids_have_the_form_of_version_4() -> None:
    assert derived_guid(7, "x")[14] == "4"
    assert len(derived_guid(7, "x")) == 36


def test_timers_go_by_time_then_kind_then_number() -> None:
    timers = Timers()
    for due, wake, uid in ((2, Wake.VM, 1), (1, Wake.AUTOSCALE, 1), (1, Wake.VM, 9), (1, Wake.VM, 2), (1, Wake.FAULT, 99)):
        timers.add(due, wake, uid, "g", "n")
    popped = [(timer.due, timer.wake, timer.uid) for timer in iter(lambda: timers.pop(1), None)]
    assert popped == [(1, Wake.FAULT, 99), (1, Wake.VM, 2), (1, Wake.VM, 9), (1, Wake.AUTOSCALE, 1)]
    assert timers.next_due() == 2


@pytest.mark.parametrize("name", sorted(WINDOWS))
def test_every_windows_time_zone_is_known_here(name: str) -> None:
    assert zone_of(name.title()) is not None


def test_an_unknown_time_zone_is_not_utc() -> None:
    assert zone_of("Mars Standard Time") is None


def test_members_compare_without_case_and_come_out_in_azures() -> None:
    body = schema.read(
        {"LOCATION": "eastus", "Properties": {"orchestrationmode": "Flexible"}}, schema.resource("VirtualMachineScaleSet"), "vmss"
    )
    assert body == {"location": "eastus", "properties": {"orchestrationMode": "Flexible"}}


def test_read_only_members_are_left_out() -> None:
    body = schema.read(
        {"id": "x", "properties": {"provisioningState": "Failed", "uniqueId": "y"}}, schema.resource("VirtualMachineScaleSet"), "vmss"
    )
    assert body == {"properties": {}}


@pytest.mark.parametrize(
    "body",
    [
        {"sku": {"capacity": 1.5}},
        {"sku": {"capacity": True}},
        {"sku": {"capacity": "many"}},
        {"sku": []},
        {"zones": "1"},
        {"tags": ["a"]},
        {"properties": {"singlePlacementGroup": "no"}},
        {"properties": {"virtualMachineProfile": {"storageProfile": {"dataDisks": {}}}}},
        [],
        "text",
        None,
    ],
)
def test_wrong_types_are_refused(body: Any) -> None:
    with pytest.raises(ArmError) as refused:
        schema.read(body, schema.resource("VirtualMachineScaleSet"), "vmss")
    assert refused.value.code == "InvalidRequestContent"


def test_an_unknown_member_is_told_with_its_path_and_place() -> None:
    text = '{"properties": {"virtualMachineProfile": {"colour": 1}}}'
    with pytest.raises(ArmError) as refused:
        schema.read({"properties": {"virtualMachineProfile": {"colour": 1}}}, schema.resource("VirtualMachineScaleSet"), "vmss", text)
    assert refused.value.target == "vmss.properties.virtualMachineProfile.colour"
    assert refused.value.message == (
        "Could not find member 'colour' on object of type 'Properties'. Path 'properties.virtualMachineProfile.colour', line 1, "
        "position 51."
    )


SUB = "/subscriptions/00000000-0000-0000-0000-000000000001"


def pages(simulation: Simulation, path: str) -> Iterator[list[str]]:
    while path:
        body = simulation.arm("GET", path.removeprefix("https://management.azure.com")).body
        yield [item["name"] for item in body["value"]]
        path = body.get("nextLink", "")


def test_a_list_goes_on_as_it_was_when_it_was_begun() -> None:
    simulation = Simulation(features="all")
    simulation.create_scale_set("web", capacity=450)
    simulation.settle()
    path = f"{SUB}/providers/Microsoft.Compute/virtualMachines?api-version=2021-07-01&statusOnly=true"
    before = sorted(vm["name"] for vm in simulation.instances("web"))
    reading = pages(simulation, path)
    shown = next(reading)
    assert len(shown) == 200
    simulation.scale("web", 10)
    simulation.create_vm("zzz")
    simulation.settle()
    for page in reading:
        shown += page
    assert shown == before
    assert len(next(pages(simulation, path))) == 11


def test_a_list_that_is_not_kept_goes_on_after_the_last_key() -> None:
    items = [(f"{number:03d}", lambda number=number: {"number": number}) for number in range(25)]
    first, token = Listings().cut(Page(items, 10), "list", "", 7)
    assert [item["number"] for item in first] == list(range(10))
    second, token = Listings().cut(Page([*items[:5], *items[12:]], 10), "list", token, 9)
    assert [item["number"] for item in second] == list(range(12, 22))
    last, token = Listings().cut(Page(items, 10), "list", token, 9)
    assert [item["number"] for item in last] == [22, 23, 24]
    assert token == ""


def test_a_list_too_long_to_keep_is_read_by_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Listings, "MOST", 20)
    items = [(f"{number:03d}", lambda number=number: {"number": number}) for number in range(45)]
    listings, token, found = Listings(), "", []
    while True:
        page, token = listings.cut(Page(iter(items), 10), "list", token, 7)
        found += [item["number"] for item in page]
        if not token:
            break
    assert found == list(range(45))


@pytest.mark.parametrize("token", ["", "x", "1.2", "9.9.9.9", "..", "a.5.010", "7.².x", "7.99999.x"])
def test_a_token_may_be_anything(token: str) -> None:
    items = [(f"{number:03d}", lambda number=number: {"number": number}) for number in range(25)]
    found, _ = Listings().cut(Page(items, 10), "list", token, 7)
    assert len(found) <= 10


def test_the_managers_own_versions_have_a_first_one() -> None:
    answer = Simulation(features=()).arm("GET", f"{SUB}/resourceGroups?api-version=2014-04-01")
    assert answer.body["error"]["code"] == "InvalidApiVersionParameter"
