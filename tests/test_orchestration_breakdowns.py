"""An error of kqlite's own: the request is answered, time goes on, the resource fails, and the status says so.

Nothing that a request can say breaks a controller, so a model is damaged here behind the core's back.
"""

from typing import Any

import pytest

from kqlite.orchestration.events import Kind
from kqlite.orchestration.log import every_event
from kqlite.simulation import Simulation

SUB = "/subscriptions/00000000-0000-0000-0000-000000000001"
RG = f"{SUB}/resourceGroups/rg"
SETS = f"{RG}/providers/Microsoft.Compute/virtualMachineScaleSets"
VMS = f"{RG}/providers/Microsoft.Compute/virtualMachines"
API = "?api-version=2021-07-01"
INTERNAL = {"code": "InternalServerError", "message": "The server encountered an internal error. Please retry the request."}


def made(capacity: int = 3, **more: Any) -> Simulation:
    simulation = Simulation(seed=3, features="all", lag=0)
    simulation.create_scale_set("web", "rg", capacity=capacity, **more)
    return simulation


def damage(simulation: Simulation, kind: str, member: str) -> None:
    """Take a member out of every definition of a kind."""
    for definition in simulation.plane.fleet.definitions.values():
        if definition.kind == kind:
            definition.document.pop(member, None)


def notes(simulation: Simulation) -> list[str]:
    return [event.state.text for event in every_event(simulation.log) if event.kind is Kind.NOTED]


def one_that_cannot_shrink() -> Simulation:
    simulation = made()
    simulation.settle()
    damage(simulation, "set", "properties")
    return simulation


def test_a_set_whose_controller_breaks_down_fails_and_time_goes_on() -> None:
    simulation = one_that_cannot_shrink()
    scale_set = simulation.plane.fleet.containers[RG.lower()].scale_set("web")
    assert scale_set is not None
    simulation.plane.request(
        lambda recorder: recorder.change_set(recorder.group(RG.lower()), scale_set, capacity=1, due=recorder.now), "test"
    )
    before = simulation.now
    simulation.advance("10m")
    assert (simulation.now - before).total_seconds() == 600
    broken = simulation.plane.fleet.containers[RG.lower()].scale_set("web")
    assert broken is not None
    assert (broken.provisioning, tuple(broken.failure)) == ("Failed", tuple(INTERNAL.values()))
    assert simulation.plane.trouble == "1 internal error, the last in scale-set of web: KeyError('properties')"
    assert any("Internal error" in note for note in notes(simulation))


def test_a_request_that_breaks_down_is_answered_and_changes_nothing() -> None:
    simulation = one_that_cannot_shrink()
    last = simulation.log.last
    answer = simulation.arm("PATCH", f"{SETS}/web{API}", {"sku": {"capacity": 1}})
    assert (answer.status, answer.body) == (500, {"error": INTERNAL})
    assert simulation.log.last == last
    assert simulation.arm("GET", f"{SETS}/web{API}").status == 500
    assert simulation.arm("GET", f"{VMS}{API}").status == 200
    assert "PATCH" in simulation.plane.trouble or "GET" in simulation.plane.trouble


def test_a_machine_whose_controller_breaks_down_fails_with_its_operation() -> None:
    simulation = made(1)
    simulation.settle()
    body = {"location": "eastus", "properties": {"publisher": "p", "type": "t", "typeHandlerVersion": "1.0"}}
    name = simulation.instances("web")[0]["name"]
    answer = simulation.arm("PUT", f"{VMS}/{name}/extensions/e{API}", body)
    assert answer.status == 201
    for number in [number for number, each in simulation.plane.fleet.definitions.items() if each.kind == "extension"]:
        del simulation.plane.fleet.definitions[number]
    simulation.advance("10m")
    vm = simulation.plane.fleet.containers[RG.lower()].vm(name)
    assert vm is not None
    assert (vm.provisioning, vm.step, tuple(vm.failure)) == ("Failed", "", tuple(INTERNAL.values()))
    polled = simulation.arm("GET", answer.headers["Azure-AsyncOperation"].partition("management.azure.com")[2])
    assert (polled.body["status"], polled.body["error"]) == ("Failed", INTERNAL)


def test_an_instance_that_fails_so_fails_the_operation_of_its_set() -> None:
    simulation = made(2, health=True)
    damaged = [number for number, each in simulation.plane.fleet.definitions.items() if each.kind == "extension"]
    for number in damaged:
        del simulation.plane.fleet.definitions[number]
    simulation.advance("30m")
    group = simulation.plane.fleet.containers[RG.lower()]
    broken = group.scale_set("web")
    assert broken is not None
    assert (broken.provisioning, broken.operation, broken.failure[:1]) == ("Failed", "", ("InternalServerError",))
    assert {vm.provisioning for vm in simulation.plane.fleet.members(group, "web")} == {"Failed"}


def test_autoscale_that_breaks_down_looks_again_each_minute() -> None:
    simulation = made()
    simulation.settle()
    body = {
        "location": "eastus",
        "properties": {
            "enabled": True,
            "targetResourceUri": f"{SETS}/web",
            "profiles": [{"name": "p", "capacity": {"minimum": "1", "maximum": "5", "default": "1"}, "rules": []}],
        },
    }
    assert simulation.arm("PUT", f"{RG}/providers/Microsoft.Insights/autoscaleSettings/a?api-version=2022-10-01", body).status == 201
    damage(simulation, "autoscale", "profiles")
    simulation.advance("10m")
    trouble = "10 internal errors, the last in autoscale of a: KeyError('profiles')"
    assert simulation.inventory.stats().feed.trouble == trouble


def test_what_was_refused_leaves_no_facts_of_a_model_behind() -> None:
    simulation = made(0)
    plane = simulation.plane

    def refused(recorder: Any) -> None:
        recorder.define("vm", {"properties": {"hardwareProfile": {"vmSize": "Standard_D2s_v3"}}})
        raise RuntimeError("after the model was made")

    with pytest.raises(RuntimeError):
        plane.request(refused, "test")
    number = plane.request(
        lambda recorder: recorder.define("vm", {"properties": {"hardwareProfile": {"vmSize": "Standard_D8s_v3"}}}), "test"
    )
    assert plane.fleet.facts(number).size.name == "Standard_D8s_v3"
