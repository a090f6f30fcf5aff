"""Where one more instance goes, and which ones leave."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kqlite.orchestration.model import VmState
from kqlite.orchestration.placement import domain_range, next_domain, next_zone, victims, victims_by_age


def vm(
    name: str, domain: int = 0, created: int = 0, state: str = "Succeeded", power: str = "running", zone: str = "", model: int = 1
) -> VmState:
    return VmState(
        name,
        1,
        1,
        "eastus",
        zone,
        "web",
        model,
        (),
        created,
        domain,
        False,
        0,
        state,
        power,
        (),
        0,
        0,
        "",
        0,
        "",
        0,
        (),
        "",
        "",
        0,
        1,
        False,
    )


def names(members: list[VmState], count: int, locked: tuple[str, ...] = ()) -> list[str]:
    return [each.name for each in victims(members, count, lambda each: each.model == 1, lambda each: each.name in locked)]


@pytest.mark.parametrize(("members", "expected"), [([0], 0), ([1, 0], 1), ([1, 1], 0), ([2, 1, 1], 1), ([3, 3, 2], 2)], ids=str)
def test_the_emptiest_domain_is_next(members: list[int], expected: int) -> None:
    assert next_domain(members) == expected


@given(domains=st.integers(1, 3), instances=st.integers(0, 60))
def test_even_spread_never_differs_by_more_than_one(domains: int, instances: int) -> None:
    members = [0] * domains
    for _ in range(instances):
        members[next_domain(members)] += 1
    assert max(members) - min(members) <= 1


@pytest.mark.parametrize(
    ("location", "zonal", "single", "multiple", "expected"),
    [
        ("eastus", False, True, True, (1, 3)),
        ("westus2", False, True, True, (1, 2)),
        ("eastus", True, True, True, (1, 1)),
        ("eastus", False, True, False, (1, 1)),
        ("eastus", False, False, True, (2, 3)),
        ("eastus", False, False, False, None),
    ],
)
def test_range_of_the_fault_domain_count(
    location: str, zonal: bool, single: bool, multiple: bool, expected: tuple[int, int] | None
) -> None:
    assert domain_range(location, zonal, single, multiple) == expected


def test_a_set_over_zones_fills_the_emptiest() -> None:
    assert next_zone({"1": 2, "2": 1}, ("1", "2")) == "2"
    assert next_zone({}, ()) == ""


def test_the_fullest_domain_gives_first() -> None:
    members = [vm("a", 0), vm("b", 0), vm("c", 1)]
    assert names(members, 1) == ["b"]
    assert names(members, 2) == ["b", "c"]


def test_failed_ones_leave_before_those_that_never_ran_before_the_newest() -> None:
    members = [
        vm("old", created=1),
        vm("new", created=9),
        vm("starting", created=5, state="Creating", power=""),
        vm("failed", state="Failed"),
    ]
    assert names(members, 4) == ["failed", "starting", "new", "old"]


def test_equal_age_leaves_by_the_greatest_name() -> None:
    assert names([vm("a"), vm("c"), vm("b")], 2) == ["c", "b"]


def test_hand_made_ones_leave_last_and_locked_ones_never() -> None:
    members = [vm("mine", model=2, created=99), vm("made", created=1), vm("kept", created=50)]
    assert names(members, 2, locked=("kept",)) == ["made", "mine"]
    assert names(members, 3, locked=("kept",)) == ["made", "mine"]


def test_zones_are_balanced_before_domains() -> None:
    members = [vm("a", zone="1"), vm("b", zone="1"), vm("c", zone="2", domain=0), vm("d", zone="2", domain=1), vm("e", zone="2", domain=2)]
    assert names(members, 1)[0] in ("c", "d", "e")


@pytest.mark.parametrize(("oldest", "expected"), [(True, ["a", "b"]), (False, ["c", "b"])])
def test_by_age(oldest: bool, expected: list[str]) -> None:
    members = [vm("b", created=2), vm("a", created=1), vm("c", created=3)]
    assert [each.name for each in victims_by_age(members, 2, oldest, lambda _: False)] == expected
