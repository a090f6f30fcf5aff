"""Simulations whose events other tests read, and the events of one."""

import random
from typing import Any

from kqlite.orchestration.events import Event, Kind
from kqlite.orchestration.log import every_event
from kqlite.simulation import Simulation
from tests.support.random_world import RG, World


def definitions_of(events: list[Event]) -> dict[int, Any]:
    return {event.state.number: event.state for event in events if event.kind is Kind.DEFINED}


def all_events(simulation: Simulation) -> list[Event]:
    return list(every_event(simulation.log))


def calm(simulation: Simulation) -> None:
    """No injected fault answers in place of the resource."""
    for fault in simulation.faults:
        simulation.recover(fault["id"])


def world_of(seed: int, steps: int = 40) -> World:
    draw = random.Random(seed)
    world = World(seed)
    for _ in range(steps):
        world.do(draw)
    calm(world.simulation)
    return world


def furnished() -> Simulation:
    """One resource of every type that has rows, and more."""
    simulation = Simulation(seed=5, features="all")
    simulation.create_scale_set("web", capacity=3, health=True, tags={"env": "prod"}, zone="1")
    simulation.create_vm("solo", tags={"a.b": "c"}, zone="2")
    simulation.settle()
    api = "?api-version=2021-07-01"
    network, compute = f"{RG}/providers/Microsoft.Network", f"{RG}/providers/Microsoft.Compute"
    for path, body in (
        (
            f"{network}/loadBalancers/lb",
            {"location": "eastus", "sku": {"name": "Basic"}, "properties": {"probes": []}},
        ),
        (f"{network}/publicIPAddresses/ip", {"location": "eastus", "sku": {"name": "Basic"}, "properties": {}}),
        (f"{compute}/proximityPlacementGroups/near", {"location": "eastus", "properties": {"proximityPlacementGroupType": "Standard"}}),
        (f"{compute}/disks/spare", {"location": "eastus", "properties": {"diskSizeGB": 64}}),
        (f"{compute}/virtualMachines/solo/providers/Microsoft.Authorization/locks/keep", {"properties": {"level": "CanNotDelete"}}),
        (
            f"{compute}/virtualMachines/solo/extensions/agent",
            {
                "location": "eastus",
                "properties": {"publisher": "p", "type": "t", "typeHandlerVersion": "1.0", "settings": {"a": 1.5}},
            },
        ),
    ):
        answer = simulation.arm("PUT", path + (api if "locks" not in path else "?api-version=2016-09-01"), body)
        assert answer.status < 300, answer.body
    rule = {
        "metricTrigger": {
            "metricName": "Percentage CPU",
            "metricResourceUri": f"{compute}/virtualMachineScaleSets/web",
            "statistic": "Average",
            "timeAggregation": "Average",
            "timeGrain": "PT1M",
            "timeWindow": "PT5M",
            "operator": "GreaterThan",
            "threshold": 60,
        },
        "scaleAction": {"direction": "Increase", "type": "ChangeCount", "value": "1", "cooldown": "PT10M"},
    }
    profile = {"name": "p", "capacity": {"minimum": "1", "maximum": "9", "default": "3"}, "rules": [rule]}
    setting = {"enabled": True, "targetResourceUri": f"{compute}/virtualMachineScaleSets/web", "profiles": [profile]}
    path = f"{RG}/providers/Microsoft.Insights/autoscaleSettings/grow?api-version=2022-10-01"
    assert simulation.arm("PUT", path, {"location": "eastus", "properties": setting}).status < 300
    simulation.settle()
    return simulation
