"""Activity: a fleet moves by itself, at the rates that are stated, and the same however time passes."""

import re
from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from kqlite.cli.main import main
from kqlite.cli.simulate import _create_web, _populate, simulate
from kqlite.connection import connect
from kqlite.orchestration.activity import _begun, _poisson
from kqlite.orchestration.activity_rates import FAILING_EXTENSIONS, KINDS, LEVELS, expected, load_factor
from kqlite.orchestration.clock import DAY, HOUR, MINUTE, START
from kqlite.orchestration.errors import CoreError
from kqlite.orchestration.events import Event, Kind
from kqlite.orchestration.log import EventLog, MemoryLog, encoded, every_event
from kqlite.orchestration.model import Type
from kqlite.orchestration.request_bodies import vm_profile
from kqlite.simulation import Simulation
from tests.support.arm_rows import state_of
from tests.support.live_checks import assert_same, shown
from tests.support.random_world import run

SPOT = {"priority": "Spot", "evictionPolicy": "Deallocate", "billingProfile": {"maxPrice": -1}}


def fleet(activity: str | None, seed: int = 1, log: EventLog | None = None, lag: str = "measured") -> Simulation:
    """Three sets: one whose load follows the week and that autoscale looks after, one of three fault domains, and one of Spot VMs."""
    simulation = Simulation(seed=seed, lag=lag, _log=log)
    _create_web(simulation, "web", "rg", 30, 1)
    simulation.create_scale_set("odd", capacity=12, domains=3)
    simulation.create_scale_set("spot", capacity=12, profile={**vm_profile("spot"), **SPOT})
    if activity is not None:
        simulation.activity = activity
    return simulation


def lines(log: EventLog) -> list[bytes]:
    return [encoded(event) for event in every_event(log)]


def moved(simulation: Simulation) -> list[Event]:
    """What happened to machines and sets once the fleet was there."""
    return [
        event for event in every_event(simulation.log) if event.time > START + HOUR and event.type.startswith("Microsoft.Compute/virtual")
    ]


@pytest.fixture(scope="module")
def weeks() -> dict[str, Simulation]:
    """A week of the same fleet at each level."""
    simulations = {level: fleet(level) for level in LEVELS}
    for simulation in simulations.values():
        simulation.advance("7d")
    return simulations


def test_a_fleet_moves_more_the_busier_it_is(weeks: dict[str, Simulation]) -> None:
    none, calm, normal, wild = (len(moved(weeks[level])) for level in LEVELS)
    assert none == 0
    assert 100 < calm < normal / 2
    assert normal < wild / 2
    assert not any(simulation.plane.trouble for simulation in weeks.values())


def test_a_fleet_is_still_where_nobody_said_otherwise() -> None:
    simulation = fleet(None)
    simulation.advance("2d")
    assert simulation.activity == "none"
    assert not moved(simulation)
    assert not any(event.type == Type.ACTIVITY for event in every_event(simulation.log))


def test_each_kind_of_activity_occurs_in_a_week_and_the_log_says_whose_it_is(weeks: dict[str, Simulation]) -> None:
    events = moved(weeks["normal"])
    causes = {(event.actor, event.cause) for event in events}
    assert causes >= {
        ("operator", "virtualMachines/deallocate/action"),
        ("operator", "virtualMachines/powerOff/action"),
        ("operator", "virtualMachines/start/action"),
        ("operator", "virtualMachines/restart/action"),
        ("operator", "virtualMachines/write"),
        ("operator", "virtualMachines/extensions/write"),
        ("operator", "virtualMachines/simulateEviction/action"),
        ("pipeline", "virtualMachineScaleSets/write"),
        ("pipeline", "virtualMachines/extensions/write"),
        ("autoscale", "Microsoft.Insights/AutoscaleSettings/Scaleup/Action"),
        ("fault", "maintenance"),
    }
    every = list(every_event(weeks["normal"].log))
    assert any(event.cause == "virtualMachines/installPatches/action" for event in every)
    failed = {(getattr(event.state, "failure", None) or ("",))[0] for event in every if event.type == Type.OPERATION}
    assert "VMExtensionProvisioningError" in failed


@pytest.mark.parametrize("level", ["calm", "normal", "wild"])
def test_events_come_at_the_rates_that_are_stated(weeks: dict[str, Simulation], level: str) -> None:
    causes = Counter(
        (event.actor, event.cause.split("/")[1])
        for event in every_event(weeks[level].log)
        if event.type == Type.OPERATION and event.kind is Kind.CREATED
    )
    rates = {kind.name: kind.rates[level] for kind in KINDS}
    vms = 54 * 7
    stops = causes["operator", "deallocate"] + causes["operator", "powerOff"]
    # Some of the VMs are stopped or busy, so that a little less happens than is drawn; four standard deviations beside that.
    for found, rate in ((stops, rates["stop"]), (causes["operator", "installPatches"], rates["patch"])):
        assert 0.7 * rate * vms - 4 * (rate * vms) ** 0.5 < found < 1.2 * rate * vms + 4 * (rate * vms) ** 0.5


def test_every_hour_of_a_week_has_changes() -> None:
    simulation = Simulation(seed=1)
    _populate(simulation, 200)
    simulation.activity = "normal"
    simulation.advance("7d")
    hours = Counter((event.time - START) // HOUR for event in every_event(simulation.log) if event.type == Type.VM)
    assert all(hours[hour] > 0 for hour in range(7 * 24))
    by_day = sum(hours[24 * day + hour] for day in range(7) for hour in range(9, 18))
    by_night = sum(hours[24 * day + hour] for day in range(1, 7) for hour in (*range(9), *range(18, 24)))
    assert by_day / 63 > 1.5 * by_night / 90


def test_what_stops_or_fails_comes_back(weeks: dict[str, Simulation]) -> None:
    simulation = weeks["wild"]
    well = [vm for name in ("web", "odd", "spot") for vm in simulation.instances(name)]
    states = Counter(status["code"] for vm in well for status in vm["properties"]["instanceView"]["statuses"])
    assert states["PowerState/running"] > len(well) / 3
    assert states["ProvisioningState/failed/VMExtensionProvisioningError"] < len(well) / 3


# The same, however time passes


def test_the_step_of_time_changes_nothing() -> None:
    at_once, in_steps = fleet("wild"), fleet("wild")
    at_once.advance("30h")
    for step in (1, 59, 61, 3600, 12_345, 40_000):
        in_steps.advance(step)
    in_steps.advance(30 * 3600 - (in_steps.plane.now - START) // 1_000_000)
    assert lines(at_once.log) == lines(in_steps.log)


def test_two_runs_of_a_seed_are_one_and_two_seeds_are_two() -> None:
    first, second, other = fleet("normal"), fleet("normal"), fleet("normal", seed=2)
    for simulation in (first, second, other):
        simulation.advance("1d")
    assert lines(first.log) == lines(second.log) != lines(other.log)


def test_a_restart_changes_nothing() -> None:
    whole = fleet("wild")
    whole.advance("3d")
    log = MemoryLog()
    fleet("wild", log=log).advance("7h")
    for hours in (5, 13, 47):
        simulation = Simulation(_log=log)
        assert simulation.activity == "wild"
        simulation.advance(f"{hours}h")
    assert lines(log) == lines(whole.log)


def test_a_change_of_the_level_survives_a_restart() -> None:
    def steps(again: Callable[[Simulation], Simulation]) -> Simulation:
        simulation = fleet("normal")
        for level, hours in (("wild", 9), ("none", 20), ("calm", 20), ("none", 1), ("normal", 30)):
            simulation.advance("5m")
            simulation.activity = level
            simulation = again(simulation)
            simulation.advance(f"{hours}h")
        return simulation

    assert lines(steps(lambda simulation: simulation).log) == lines(steps(lambda simulation: Simulation(_log=simulation.log)).log)


def test_days_one_after_the_other_are_as_two_days_at_once(tmp_path: Path) -> None:
    simulate(tmp_path / "one", vms=20, days=2, seed=3)
    simulate(tmp_path / "two", vms=20, days=1, seed=3)
    second = simulate(tmp_path / "two", days=1)
    with Simulation(tmp_path / "one") as one, Simulation(tmp_path / "two") as two:
        assert lines(one.log) == lines(two.log)
        assert two.activity == "normal"
    assert second.operations > 0


def test_the_directory_remembers_the_level(tmp_path: Path) -> None:
    simulate(tmp_path, vms=5, days=0.01)
    assert simulate(tmp_path, days=0.1, activity="none").events > 0
    rested = simulate(tmp_path, days=1)
    with Simulation(tmp_path) as simulation:
        assert simulation.activity == "none"
    assert (rested.operations, rested.faults) == (0, 0)
    assert simulate(tmp_path, days=1, activity="wild").operations > 0
    with pytest.raises(CoreError, match="no activity 'hectic'; there are none, calm, normal, wild"):
        simulate(tmp_path, days=1, activity="hectic")


def test_a_scenario_is_left_alone(tmp_path: Path) -> None:
    file = tmp_path / "two.scenario"
    file.write_text("set web capacity=2\nsettle\n", encoding="utf-8")
    simulate(tmp_path / "still", scenario=file, days=0.1)
    assert simulate(tmp_path / "still", days=1).events == 0
    assert simulate(tmp_path / "lively", scenario=file, days=5, activity="wild").operations > 10


# What must hold


@pytest.mark.parametrize("seed", range(6))
def test_what_must_hold_holds_under_activity(seed: int) -> None:
    run(seed, 80, "wild")


def test_the_inventory_is_what_arm_answers() -> None:
    simulation = fleet("wild", lag="0s")
    for hours in (1, 8, 20, 40):
        simulation.advance(f"{hours}h")
        assert_same(shown(simulation.inventory)[1], state_of(simulation))


def test_its_level_is_named_or_refused() -> None:
    with pytest.raises(CoreError, match="no activity 'busy'"):
        Simulation(activity="busy")
    simulation = Simulation(activity="calm")
    assert simulation.activity == "calm"
    last = simulation.log.last
    simulation.activity = "calm"
    assert simulation.log.last == last
    with pytest.raises(CoreError, match="no activity None"):
        simulation.activity = None  # type: ignore[assignment]


def test_it_acts_on_sets_that_come_and_go() -> None:
    simulation = Simulation(seed=4, activity="wild")
    simulation.create_scale_set("web", capacity=40)
    simulation.advance("6h")
    assert moved(simulation)
    simulation.scale("web", 0)
    simulation.advance("1h")
    sets = f"/subscriptions/{simulation.subscriptions[0]}/resourceGroups/rg/providers/{Type.SCALE_SET}"
    assert simulation.arm("DELETE", f"{sets}/web?api-version=2023-09-01").status == 202
    simulation.settle()
    simulation.create_scale_set("web", capacity=40)
    last = simulation.log.last
    simulation.advance("6h")
    assert simulation.log.last > last + 400
    assert not simulation.plane.trouble


# The table


def test_a_week_has_as_many_events_as_the_rates_say() -> None:
    for level in LEVELS:
        totals = [0.0] * len(KINDS)
        for hour in range(7 * 24):
            means = expected(level, START + hour * HOUR, vms=10, spot=True, period=HOUR)
            totals = [total + mean for total, mean in zip(totals, means, strict=True)]
        for kind, total in zip(KINDS, totals, strict=True):
            assert total == pytest.approx(7 * kind.rates[level] * (1 if kind.per == "scale set" else 10))
    assert sum(expected("wild", START, vms=10, spot=False, period=DAY)) < sum(expected("wild", START, vms=10, spot=True, period=DAY))


def test_each_level_is_busier_than_the_one_before() -> None:
    for rates in (*(kind.rates for kind in KINDS), FAILING_EXTENSIONS):
        assert tuple(rates) == LEVELS
        assert sorted(set(rates.values())) == [rates[level] for level in LEVELS]


def test_load_is_high_by_day_and_low_at_night_and_on_sunday() -> None:
    wednesday, sunday = START, START + 4 * DAY
    assert load_factor("none", wednesday, 0.1, 1.0) == 1.0
    night, day = (load_factor("normal", wednesday + hours * HOUR, 0.5, 0.0) for hours in (3, 15))
    assert (night, day) == (0.5, 1.5)
    assert load_factor("normal", sunday + 15 * HOUR, 0.5, 0.0) < day
    assert load_factor("wild", wednesday + 15 * HOUR, 0.5, 0.0) > day
    assert load_factor("normal", wednesday + 15 * HOUR, 0.5, 1.0) > day


def test_the_number_of_events_follows_poissons_law() -> None:
    draws = [_poisson(2.5, (number + 0.5) / 10_000) for number in range(10_000)]
    assert sum(draws) / 10_000 == pytest.approx(2.5, abs=0.01)
    assert draws.count(0) / 10_000 == pytest.approx(0.0821, abs=0.001)
    assert _poisson(0.0, 0.999) == 0
    assert _poisson(3.0, 1.0) == 999


def test_a_release_says_when_it_began() -> None:
    assert _begun("20210811.0930") == START + 9 * HOUR + 30 * MINUTE
    assert [_begun(text) for text in ("", "v2", "20211399.0930", "20210811.09x0", "2021081.0930")] == [0] * 5


def test_help_tells_the_rates(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["simulate", "--help"])
    assert ended.value.code == 0
    shown = capsys.readouterr().out
    table = [line.split() for line in shown[shown.index("--activity:") :].splitlines()[2:]]
    assert [words[0] for words in table] == [*(kind.name for kind in KINDS), "failing"]
    assert table[0] == ["stop", "VM", "0.1", "0.4", "1.5"]
    assert table[-1] == ["failing", "extension", "0.5%", "2.0%", "8.0%"]


def test_status_counts_the_changes_of_the_last_day(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    simulate(tmp_path, vms=20, days=3, activity="wild")
    assert main(["status", str(tmp_path)]) == 0
    found = re.search(r"^activity    ([\d.]+) changes an hour over the last day$", capsys.readouterr().out, re.MULTILINE)
    assert found
    with connect(tmp_path) as connection:
        changes = connection.query("resourcechanges | project time = todatetime(properties.changeAttributes.timestamp)").to_pylist()
        until = connection.query("resources | count").snapshot.watermark
    assert until is not None
    last_day = sum(until - timedelta(days=1) < change["time"] for change in changes)
    assert float(found[1]) == pytest.approx(last_day / 24, abs=0.1)
    assert 0 < last_day < len(changes)
