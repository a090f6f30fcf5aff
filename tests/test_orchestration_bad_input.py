"""Damaged requests are refused in ARM's form, and never raise, and nothing of them reaches the log."""

import copy
import json
import random
from typing import Any

import pytest

from kqlite.simulation import Simulation, vm_profile

SUB = "/subscriptions/00000000-0000-0000-0000-000000000001"
RG = f"{SUB}/resourceGroups/rg"
COMPUTE, NETWORK = f"{RG}/providers/Microsoft.Compute", f"{RG}/providers/Microsoft.Network"
SETS, VMS = f"{COMPUTE}/virtualMachineScaleSets", f"{COMPUTE}/virtualMachines"
API = "?api-version=2021-07-01"
JUNK: list[Any] = [
    None, True, 0, -1, 2**70, 1.5, "", "x", "1", [], {}, [None], [{}], {"id": 1}, {"id": ""}, "PT5M", "é\u0000", [[]], [1, "2"], "Spot",
    "Delete", "Flexible", {"a": {"b": [1]}}, {"id": f"{SETS}/web"}, {"id": f"{COMPUTE}/disks/d"}, {"name": "x"},
]  # fmt: skip


def damaged(value: Any, draw: random.Random, depth: int = 0) -> Any:
    if draw.random() < 0.12 or depth > 12:
        return copy.deepcopy(draw.choice(JUNK))
    if isinstance(value, dict):
        kept = [(key, item) for key, item in value.items() if draw.random() > 0.05]
        named = [(draw.choice((key.upper(), f"{key}x", "properties", "id")) if draw.random() < 0.03 else key, item) for key, item in kept]
        return {key: damaged(item, draw, depth + 1) if draw.random() < 0.5 else copy.deepcopy(item) for key, item in named}
    return [damaged(item, draw, depth + 1) for item in value] if isinstance(value, list) else value


def requests(simulation: Simulation) -> list[tuple[str, Any]]:
    """A path and a whole body for each kind of resource."""
    profile = vm_profile("web", health=True)
    profile["storageProfile"]["dataDisks"] = [{"lun": 0, "createOption": "Empty", "diskSizeGB": 8, "deleteOption": "Delete"}]
    ip = profile["networkProfile"]["networkInterfaceConfigurations"][0]["properties"]["ipConfigurations"][0]
    ip["properties"]["publicIPAddressConfiguration"] = {"name": "pip", "properties": {"deleteOption": "Delete"}}
    profile["scheduledEventsProfile"] = {"terminateNotificationProfile": {"enable": True, "notBeforeTimeout": "PT5M"}}
    repairs = {"enabled": True, "gracePeriod": "PT30M"}
    scale_set = simulation.set_body("web", capacity=2, profile=profile, automaticRepairsPolicy=repairs, upgradePolicy={"mode": "Manual"})
    more = {name: profile[name] for name in ("storageProfile", "scheduledEventsProfile")}
    metric = {"metricName": "Percentage CPU", "metricResourceUri": f"{SETS}/web", "statistic": "Average", "timeAggregation": "Average"}
    trigger = {**metric, "timeGrain": "PT1M", "timeWindow": "PT5M", "operator": "GreaterThan", "threshold": 60}
    rule = {"metricTrigger": trigger, "scaleAction": {"direction": "Increase", "type": "ChangeCount", "value": "1", "cooldown": "PT5M"}}
    limits = {"minimum": "1", "maximum": "3", "default": "1"}
    weekly = {"frequency": "Week", "schedule": {"timeZone": "UTC", "days": ["Monday"], "hours": [1], "minutes": [0]}}
    dates = {"timeZone": "UTC", "start": "2021-08-11T00:00:00", "end": "2021-08-12T00:00:00Z"}
    profiles = [
        {"name": "p", "capacity": limits, "rules": [rule]},
        {"name": "f", "capacity": limits, "rules": [rule], "fixedDate": dates},
        {"name": "r", "capacity": limits, "rules": [], "recurrence": weekly},
    ]
    handler = {"publisher": "Microsoft.ManagedServices", "type": "ApplicationHealthLinux", "typeHandlerVersion": "1.0"}
    health = {**handler, "settings": {"protocol": "tcp", "port": 80}}
    addressed = [{"name": "ip", "properties": {"publicIPAddress": {"id": f"{NETWORK}/publicIPAddresses/p"}}}]
    here = {"location": "eastus"}
    return [
        (f"{SETS}/web", scale_set),
        (f"{VMS}/vm", simulation.vm_body("vm", scale_set=f"{SETS}/web", **more)),
        (f"{VMS}/vm/extensions/h", {**here, "properties": health}),
        (
            f"{RG}/providers/Microsoft.Insights/autoscaleSettings/a",
            {**here, "properties": {"enabled": True, "targetResourceUri": f"{SETS}/web", "profiles": profiles}},
        ),
        (f"{COMPUTE}/disks/d", {**here, "sku": {"name": "Premium_LRS"}, "zones": ["1"], "properties": {"diskSizeGB": 8}}),
        (f"{NETWORK}/networkInterfaces/n", {**here, "properties": {"ipConfigurations": addressed}}),
        (f"{NETWORK}/publicIPAddresses/p", {**here, "sku": {"name": "Standard"}, "properties": {}}),
        (f"{NETWORK}/loadBalancers/l", {**here, "sku": {"name": "Basic"}, "properties": {}}),
        (f"{COMPUTE}/proximityPlacementGroups/g", {**here, "properties": {}}),
        (RG, {**here, "tags": {"a": "b"}}),
        (f"{VMS}/vm/providers/Microsoft.Authorization/locks/k", {"properties": {"level": "CanNotDelete"}}),
        (f"{SETS}/web/setOrchestrationServiceState", {"serviceName": "AutomaticRepairs", "action": "Suspend"}),
        (f"{SETS}/web/delete", {"instanceIds": ["a"]}),
        (f"{SETS}/web/virtualMachines/w", {"properties": {"protectionPolicy": {"protectFromScaleIn": True}}}),
        (f"{VMS}/vm/metadata/scheduledevents", {"StartRequests": [{"EventId": "x"}]}),
    ]


@pytest.mark.parametrize("seed", range(40))
def test_damaged_bodies_are_answered(seed: int) -> None:
    draw = random.Random(seed)
    simulation = Simulation(seed=seed, profile=draw.choice(("preview-2021", "ga")), features="all")
    simulation.create_group()
    whole = requests(simulation)
    for _ in range(50):
        path, body = draw.choice(whole)
        method = draw.choice(("PUT", "PUT", "PATCH", "POST", "DELETE", "GET"))
        sent = body if draw.random() < 0.4 else damaged(body, draw)
        before = simulation.log.last
        answer = simulation.arm(method, f"{path}?api-version={draw.choice(('2021-07-01', '2023-09-01'))}", sent)
        assert answer.status < 500
        if answer.status >= 400:
            assert answer.body["error"]["code"]
            assert simulation.log.last == before
        if draw.random() < 0.3:
            simulation.advance(draw.choice((1, 60, 3600)))
    for path in (VMS, SETS, f"{COMPUTE}/disks", f"{NETWORK}/networkInterfaces", f"{NETWORK}/loadBalancers"):
        assert simulation.arm("GET", path + API).status in (200, 404)


@pytest.mark.parametrize(
    "body",
    [
        '{"location": NaN}',
        '{"location": "eastus", "tags": {"a": Infinity}}',
        {"location": "eastus", "tags": {"a": float("nan")}},
        {"location": "eastus", "tags": {"a": {1, 2}}},
        '{"location": "eastus", "tags": {"a": "\\ud800"}}',
        {"location": "eastus", "tags": {"a": "\ud800"}},
        b'{"location": "\xff"}',
        "[" * 100_000,
        {"location": ["eastus"]},
        {"location": 1},
    ],
)
def test_what_is_no_json_is_refused(body: Any) -> None:
    answer = Simulation(features=()).arm("PUT", RG + API, body)
    assert answer.status == 400
    assert answer.body["error"]["code"] == "InvalidRequestContent"


@pytest.mark.parametrize("path", ["", "/", "//", f"{SUB}/resourceGroups/%00", f"{SUB}/x", f"{RG}/\ud800"])
def test_paths_that_lead_nowhere(path: str) -> None:
    assert 400 <= Simulation(features=()).arm("GET", path + API).status < 500


@pytest.mark.parametrize("name", ["a\u0000b", "a\nb", "a/b", "_a", "a.", "a" * 65, "a b", "a%b?"])
def test_names_that_azure_does_not_take(name: str) -> None:
    from urllib.parse import quote

    simulation = Simulation(features="all")
    simulation.create_group()
    answer = simulation.arm("PUT", f"{VMS}/{quote(name, safe='')}{API}", simulation.vm_body("vm"))
    assert 400 <= answer.status < 500
    assert json.loads(answer.content)["error"]["code"]


@pytest.mark.parametrize(
    ("part", "target"),
    [
        (("networkProfile", "networkInterfaceConfigurations", 0, "name"), "networkProfile.networkInterfaceConfigurations[0].name"),
        (("storageProfile", "osDisk", "name"), "storageProfile.osDisk.name"),
    ],
)
def test_names_inside_a_body_make_ids_too(part: tuple[Any, ...], target: str) -> None:
    simulation = Simulation(features="all")
    simulation.create_group()
    body = simulation.vm_body("vm")
    place: Any = body["properties"]
    for step in part[:-1]:
        place = place[step]
    place[part[-1]] = "a/b"
    error = simulation.arm("PUT", f"{VMS}/vm{API}", body).body["error"]
    assert (error["code"], error["target"]) == ("InvalidParameter", target)


@pytest.mark.parametrize(
    ("path", "body"),
    [
        (
            f"{RG}/providers/Microsoft.Insights/autoscaleSettings/a",
            {"properties": {"targetResourceUri": f"{SETS}/web", "profiles": [None]}},
        ),
        (f"{NETWORK}/networkInterfaces/n", {"properties": {"ipConfigurations": [None]}}),
        (f"{SETS}/web", {"zones": [None]}),
    ],
)
def test_an_array_holds_no_null(path: str, body: dict[str, Any]) -> None:
    simulation = Simulation(features="all")
    simulation.create_group()
    error = simulation.arm("PUT", path + API, {"location": "eastus", **body}).body["error"]
    assert error["code"] == "InvalidRequestContent"
    assert "Error converting value null" in error["message"]
