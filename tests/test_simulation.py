"""The simulation as a Python user holds it: its clock, its conveniences, and runs from the command line's side."""

from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Thread

import pytest

from kqlite.cli.simulate import simulate
from kqlite.orchestration import control_plane
from kqlite.orchestration.clock import Clock, DurationError
from kqlite.orchestration.errors import CoreError
from kqlite.orchestration.events import Event
from kqlite.orchestration.log import LogError, RepeatedLog, SqliteLog, every_event
from kqlite.orchestration.scenario import Runner, ScenarioError, Step
from kqlite.simulation import Simulation


def test_a_manual_clock_starts_on_the_pages_day_and_moves_when_told() -> None:
    simulation = Simulation()
    assert simulation.now == datetime(2021, 8, 11, tzinfo=UTC)
    for by in (61, timedelta(seconds=61), "61s", "PT1M1S", "1m1s"):
        before = simulation.now
        simulation.advance(by)
        assert simulation.now - before == timedelta(seconds=61)


@pytest.mark.parametrize("by", ["soon", "-5s", -1, "5 parsecs", float("nan"), True, None, "", "P"])
def test_what_is_no_duration_is_refused(by: object) -> None:
    simulation = Simulation()
    with pytest.raises(DurationError):
        simulation.advance(by)
    assert simulation.now == datetime(2021, 8, 11, tzinfo=UTC)


def test_subscriptions() -> None:
    assert Simulation(subscriptions=2).subscriptions == [
        "00000000-0000-0000-0000-000000000001",
        "00000000-0000-0000-0000-000000000002",
    ]


def test_sets_of_two_subscriptions_are_apart() -> None:
    simulation = Simulation(subscriptions=2, features="all")
    first, second = simulation.subscriptions
    simulation.create_scale_set("web", capacity=1, subscription=first)
    simulation.create_scale_set("web", capacity=2, subscription=second)
    simulation.settle()
    assert len(simulation.instances("web", subscription=first)) == 1
    assert len(simulation.instances("web", subscription=second)) == 2


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ({"fault": "flood"}, "no fault 'flood'"),
        ({}, "no fault None"),
        ({"fault": "allocation", "colour": "red"}, "has no key 'colour'"),
        ({"fault": "allocation", "fraction": 2}, "lies between 0 and 1"),
        ({"fault": "allocation", "fraction": "much"}, "is a number"),
        ({"fault": "app_sick", "answer": "maybe"}, "answer is one of"),
        ({"fault": "crash", "operation": "lunch"}, "operation is one of"),
        ({"fault": "zone_loss"}, "needs a zone"),
        ({"fault": "app_sick", "count": 1.5}, "whole number"),
    ],
)
def test_faults_that_are_none_are_refused(fault: dict, reason: str) -> None:
    simulation = Simulation()
    with pytest.raises(CoreError, match=reason):
        simulation.inject(fault)


def test_a_fault_begins_and_ends_at_its_times() -> None:
    simulation = Simulation(features="all")
    simulation.create_scale_set("web", capacity=2, health=True)
    simulation.settle()
    simulation.advance("1m")
    fault = simulation.inject({"fault": "app_sick", "set": "web", "start": "10m", "duration": "10m"})
    assert simulation.faults == [{"id": fault, "fault": "app_sick", "set": "web"}]

    def states() -> set[str]:
        return {vm["properties"]["instanceView"]["vmHealth"]["status"]["code"] for vm in simulation.instances("web")}

    simulation.advance("9m")
    assert states() == {"HealthState/healthy"}
    simulation.advance("2m")
    assert states() == {"HealthState/unhealthy"}
    simulation.advance("10m")
    assert states() == {"HealthState/healthy"}
    assert simulation.faults == []


def test_recovering_what_was_never_injected_is_refused() -> None:
    with pytest.raises(CoreError, match="no fault 'x' was injected"):
        Simulation().recover("x")


@pytest.mark.parametrize("value", ["80", None, float("nan"), True])
def test_a_metric_is_a_number(value: object) -> None:
    simulation = Simulation(features="all")
    made = simulation.create_scale_set("web")
    with pytest.raises(CoreError, match="a metric's value is a number"):
        simulation.feed_metric(made["id"], "Percentage CPU", value)


def test_a_metric_of_nothing_is_refused() -> None:
    with pytest.raises(CoreError, match="no scale set and no VM"):
        Simulation().feed_metric("/subscriptions/x/none", "Percentage CPU", 1)


def test_an_unknown_profile_is_refused() -> None:
    with pytest.raises(CoreError, match="no profile '2030'"):
        Simulation(profile="2030")


def test_a_scaled_clock_follows_the_wall() -> None:
    wall = [0.0]
    clock = Clock("scaled", 60.0, read=lambda: wall[0])
    simulation = Simulation(clock=clock, features="all")
    simulation.create_scale_set("web", capacity=2)
    wall[0] = 10.0  # ten minutes of simulated time
    assert len(simulation.instances("web")) == 2
    assert simulation.now - datetime(2021, 8, 11, tzinfo=UTC) == timedelta(minutes=10)


def test_a_run_of_days_goes_on_where_it_stopped(tmp_path: Path) -> None:
    shares: list[float] = []
    first = simulate(tmp_path, vms=20, days=0.25, progress=shares.append)
    assert shares[-1] == 1.0
    assert first.simulated_seconds == 6 * 3600
    assert first.events > 100
    second = simulate(tmp_path, vms=20, days=0.25)
    assert second.simulated_seconds == 6 * 3600
    with Simulation(tmp_path) as simulation:
        assert simulation.now == datetime(2021, 8, 11, 12, tzinfo=UTC)
        assert len(simulation.instances("set0", "rg0")) >= 10
    assert "transitions" in str(second)


def test_a_run_on_the_clock_ends_when_it_is_stopped(tmp_path: Path) -> None:
    looks = iter(range(100))
    summary = simulate(tmp_path, vms=5, speed=3600, stopped=lambda: next(looks) > 3)
    assert summary.simulated_seconds > 0


def test_a_run_can_begin_with_a_scenario(tmp_path: Path) -> None:
    file = tmp_path / "start.scenario"
    file.write_text("options features=all\nset web capacity=2\nfault allocation region=westus\nsettle\n")
    summary = simulate(tmp_path / "run", scenario=file, days=0.1)
    assert (summary.operations, summary.failed, summary.faults) == (1, 0, 1)
    file.write_text("jump")
    with pytest.raises(ScenarioError, match=r"start.scenario:1: no command 'jump'"):
        simulate(tmp_path / "other", scenario=file, days=0.1)


def test_requests_from_several_threads_are_one_after_the_other() -> None:
    simulation = Simulation(features="all")
    simulation.create_group()

    def many(number: int) -> None:
        for at in range(20):
            simulation.create_vm(f"vm{number}-{at}x")
            simulation.advance("1s")

    threads = [Thread(target=many, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    events = simulation.events(limit=100_000)
    assert [event.sequence for event in events] == list(range(1, len(events) + 1))
    assert simulation.settle()
    assert simulation.now >= datetime(2021, 8, 11, 0, 1, 20, tzinfo=UTC)


@pytest.mark.parametrize(
    ("method", "child"), [("POST", "instanceView"), ("PUT", "skus"), ("DELETE", "virtualMachines"), ("GET", "setOrchestrationServiceState")]
)
def test_a_method_that_a_path_does_not_have(method: str, child: str) -> None:
    simulation = Simulation(features="all")
    made = simulation.create_scale_set("web")
    assert simulation.arm(method, f"{made['id']}/{child}?api-version=2021-07-01").status == 405


def test_an_interface_that_lies_elsewhere_is_carried_as_it_was_given() -> None:
    simulation = Simulation(features="all")
    nic = "/subscriptions/other/resourceGroups/net/providers/Microsoft.Network/networkInterfaces/one"
    made = simulation.create_vm("vm", networkProfile={"networkInterfaces": [{"id": nic, "properties": {"primary": True}}]})
    assert made["properties"]["networkProfile"]["networkInterfaces"][0]["id"] == nic
    simulation.settle()
    simulation.act("vm", "delete")
    assert simulation.settle()


def test_an_interface_is_made_first_and_given_to_a_vm() -> None:
    simulation = Simulation(features="all")
    simulation.create_group()
    nic = simulation._path("rg", None, "Microsoft.Network/networkInterfaces", "one")
    simulation.arm("PUT", f"{nic}?api-version=2021-07-01", {"location": "eastus", "properties": {"ipConfigurations": [{"name": "ip"}]}})
    made = simulation.create_vm("vm", networkProfile={"networkInterfaces": [{"id": nic}]})
    assert simulation.get(nic)["properties"]["virtualMachine"]["id"] == made["id"]
    refused = simulation.arm("DELETE", f"{nic}?api-version=2021-07-01")
    assert refused.body["error"]["code"] == "NicInUse"
    simulation.settle()
    simulation.act("vm", "delete")
    simulation.settle()
    assert "virtualMachine" not in simulation.get(nic)["properties"]
    assert simulation.arm("DELETE", f"{nic}?api-version=2021-07-01").status == 200


def test_an_answer_is_the_callers_own() -> None:
    simulation = Simulation(features="all")
    made = simulation.create_scale_set("web", capacity=1)
    made["properties"]["virtualMachineProfile"]["storageProfile"]["imageReference"]["sku"] = "spoiled"
    made["tags"]["spoiled"] = "yes"
    shown = simulation.get(made["id"])
    assert shown["properties"]["virtualMachineProfile"]["storageProfile"]["imageReference"]["sku"] == "18.04-LTS"
    assert shown["tags"] == {}


BEGINNING = """\
# A set grows, one of its instances is replaced, the process ends and starts again.
options features=all seed=5
set web capacity=2 domains=2
settle
let one = instance web 0
delete $one
advance 10m
restart
scale web 3
settle
expect instances web name count 3
expect domains web [2, 1]
"""


def events_of(directory: Path) -> list[Event]:
    with Simulation(directory) as simulation:
        return list(every_event(simulation.log))


@pytest.mark.parametrize("steps", range(1, 10))
def test_a_beginning_that_was_interrupted_is_taken_up(steps: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "begin.scenario"
    file.write_text(BEGINNING, encoding="utf-8")
    simulate(tmp_path / "straight", scenario=file, days=0.1)
    left = [steps]
    step = Runner._step

    def stop(self: Runner, each: Step) -> None:
        left[0] -= 1
        if left[0] < 0:
            raise KeyboardInterrupt
        step(self, each)

    with monkeypatch.context() as patched:
        patched.setattr(Runner, "_step", stop)
        with pytest.raises(KeyboardInterrupt):
            simulate(tmp_path / "cut", scenario=file, days=0.1)
    other = tmp_path / "other.scenario"
    other.write_text("settle", encoding="utf-8")
    with pytest.raises(CoreError, match="another beginning was interrupted here"):
        simulate(tmp_path / "cut", scenario=other, days=0.1)
    simulate(tmp_path / "cut", scenario=file, days=0.1)
    assert events_of(tmp_path / "cut") == events_of(tmp_path / "straight")
    after = len(events_of(tmp_path / "cut"))
    simulate(tmp_path / "cut", scenario=file, days=0.1)
    assert len(events_of(tmp_path / "cut")) >= after, "a beginning that is over is not run again"


def test_who_names_no_beginning_goes_on_from_what_is_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:

    def stop(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(Simulation, "create_scale_set", stop)
        with pytest.raises(KeyboardInterrupt):
            simulate(tmp_path, vms=5, days=0.1)
    assert simulate(tmp_path, days=0.1).simulated_seconds == 0.1 * 86400
    simulate(tmp_path, vms=5, days=0.1)
    with Simulation(tmp_path) as simulation:
        assert any(simulation.plane.fleet.all_groups()), "a fleet without machines gets some"


def test_a_log_that_was_begun_otherwise_is_not_repeated(tmp_path: Path) -> None:
    with closing(SqliteLog(tmp_path / "log.sqlite")) as log:
        Simulation(seed=1, features="all", _log=RepeatedLog(log, "b")).create_group("one")
        assert log.facts()["unfinished"] == "b"
        other = Simulation(seed=2, features="all", _log=RepeatedLog(log, "b"))
        with pytest.raises(LogError, match="is not the one that the log holds"):
            other.create_group("two")
        Simulation(_log=log).advance("1h")
        late = Simulation(seed=1, features="all", _log=RepeatedLog(log, "b"))
        late.create_group("one")
        with pytest.raises(LogError, match="comes before the time that the log has reached"):
            late.create_group("two")


def test_faults_come_after_the_beginning(tmp_path: Path) -> None:
    faults = ["allocation region=eastus start=1h duration=1h", "rack_outage set=set0"]
    summary = simulate(tmp_path, vms=5, days=0.25, faults=faults, activity="none")
    assert summary.faults == 2
    with pytest.raises(CoreError, match="no fault 'flood'"):
        simulate(tmp_path, days=0.1, faults=["flood"])
    with pytest.raises(CoreError, match="No closing quotation"):
        simulate(tmp_path, days=0.1, faults=["allocation 'x"])


def test_a_run_stops_between_two_commits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(control_plane, "COMMIT_EVERY", 20)
    looks = iter(range(100))
    stopped = simulate(tmp_path / "stopped", vms=50, days=0.01, stopped=lambda: next(looks) >= 5)
    assert stopped.events > 0
    assert stopped.simulated_seconds < 0.01 * 86400
    simulate(tmp_path / "stopped", vms=50, days=0.01)
    simulate(tmp_path / "straight", vms=50, days=0.03)
    gone_on, straight = events_of(tmp_path / "stopped"), events_of(tmp_path / "straight")
    assert len(gone_on) > stopped.events
    assert straight[: len(gone_on)] == gone_on


def test_the_clock_goes_on_from_where_time_was_moved_to() -> None:
    wall = [0.0]
    simulation = Simulation(clock=Clock("scaled", 1.0, read=lambda: wall[0]), features="all")
    simulation.advance("1h")
    wall[0] = 5.0
    simulation.arm("GET", "/subscriptions?api-version=2021-04-01")
    assert simulation.now - datetime(2021, 8, 11, tzinfo=UTC) == timedelta(hours=1, seconds=5)
