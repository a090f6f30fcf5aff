"""The simulation as a Python user holds it: its clock, its conveniences, and runs from the command line's side."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Thread

import pytest

from kqlite.orchestration.clock import Clock, DurationError
from kqlite.orchestration.errors import CoreError
from kqlite.orchestration.scenario import ScenarioError
from kqlite.simulated_run import simulate
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
        simulation.advance(by)  # type: ignore[arg-type]
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
        simulation.feed_metric(made["id"], "Percentage CPU", value)  # type: ignore[arg-type]


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
