"""Paths and whole bodies of requests to ARM, and what they answer."""

from typing import Any

from kqlite.orchestration.request_bodies import vm_profile
from kqlite.simulation import Simulation

SUB = "/subscriptions/00000000-0000-0000-0000-000000000001"
RG = f"{SUB}/resourceGroups/rg"
COMPUTE, NETWORK = f"{RG}/providers/Microsoft.Compute", f"{RG}/providers/Microsoft.Network"
SETS, VMS, DISKS = f"{COMPUTE}/virtualMachineScaleSets", f"{COMPUTE}/virtualMachines", f"{COMPUTE}/disks"
API = "?api-version=2021-07-01"


def made(profile: str = "ga") -> Simulation:
    simulation = Simulation(seed=7, profile=profile, features="all")
    simulation.create_group("rg")
    return simulation


def put(simulation: Simulation, path: str, body: Any, version: str = "2021-07-01") -> dict[str, Any]:
    answer = simulation.arm("PUT", f"{path}?api-version={version}", body)
    assert answer.status in (200, 201, 202), answer.body
    return dict(answer.body)


def refusal(simulation: Simulation, path: str, body: Any, version: str = "2021-07-01") -> tuple[int, str, str, str]:
    answer = simulation.arm("PUT", f"{path}?api-version={version}", body)
    error = answer.body["error"]
    return answer.status, error["code"], error.get("target", ""), error["message"]


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
