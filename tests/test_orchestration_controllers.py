"""What the controllers do by themselves: health, repair, notices, Spot, maintenance, outages, registration."""

from typing import Any

import pytest

from kqlite.orchestration.controllers.repair import batch
from kqlite.orchestration.events import Kind
from kqlite.orchestration.model import Type
from kqlite.orchestration.request_bodies import vm_profile
from kqlite.simulation import Simulation

RG = "/subscriptions/00000000-0000-0000-0000-000000000001/resourceGroups/rg"
VMS = f"{RG}/providers/Microsoft.Compute/virtualMachines"
SETS = f"{RG}/providers/Microsoft.Compute/virtualMachineScaleSets"
API = "?api-version=2021-07-01"


def started(capacity: int = 2, health: dict[str, Any] | None = None, version: str = "1.0", **options: Any) -> Simulation:
    simulation = Simulation(features="all")
    profile = vm_profile("web")
    if health is not None:
        handler = {"publisher": "Microsoft.ManagedServices", "type": "ApplicationHealthLinux", "typeHandlerVersion": version}
        profile["extensionProfile"] = {"extensions": [{"name": "health", "properties": {**handler, "settings": health}}]}
    profile.update(options.pop("more_profile", {}))
    simulation.create_scale_set("web", capacity=capacity, profile=profile, **options)
    simulation.settle()
    return simulation


def health_states(simulation: Simulation) -> list[str]:
    found = [vm["properties"]["instanceView"].get("vmHealth", {"status": {"code": "none"}}) for vm in simulation.instances("web")]
    return sorted(each["status"]["code"].removeprefix("HealthState/") for each in found)


def power_states(simulation: Simulation) -> list[str]:
    return sorted(vm["properties"]["instanceView"]["statuses"][1]["code"].removeprefix("PowerState/") for vm in simulation.instances("web"))


HTTP = {"protocol": "http", "requestPath": "/", "intervalInSeconds": 10, "numberOfProbes": 3}
TCP = {"protocol": "tcp", "port": 80, "intervalInSeconds": 10, "numberOfProbes": 3}


@pytest.mark.parametrize(
    ("settings", "version", "answer", "state"),
    [
        (HTTP, "1.0", "unhealthy", "unhealthy"),
        (HTTP, "1.0", "none", "unhealthy"),
        (HTTP, "2.0", "unhealthy", "unhealthy"),
        (HTTP, "2.0", "none", "unknown"),
        (HTTP, "2.0", "unknown", "unknown"),
        (TCP, "2.0", "none", "unhealthy"),
    ],
)
def test_what_an_answer_means(settings: dict[str, Any], version: str, answer: str, state: str) -> None:
    simulation = started(1, settings, version)
    simulation.advance("1m")
    assert health_states(simulation) == ["healthy"]
    simulation.inject({"fault": "app_sick", "set": "web", "answer": answer})
    simulation.advance("29s")
    assert health_states(simulation) == ["healthy"], "three probes at ten seconds have not been answered"
    simulation.advance("2s")
    assert health_states(simulation) == [state]


def test_rich_states_begin_with_initializing_and_the_grace_period() -> None:
    simulation = started(1, {**HTTP, "gracePeriod": 600}, "2.0")
    assert health_states(simulation) == ["initializing"]
    simulation.advance("30s")
    assert health_states(simulation) == ["healthy"]
    silent = Simulation(features="all")
    silent.inject({"fault": "app_sick", "answer": "none"})
    handler = {"publisher": "Microsoft.ManagedServices", "type": "ApplicationHealthLinux", "typeHandlerVersion": "2.0"}
    profile = vm_profile("web")
    profile["extensionProfile"] = {"extensions": [{"name": "h", "properties": {**handler, "settings": {**HTTP, "gracePeriod": 600}}}]}
    silent.create_scale_set("web", capacity=1, profile=profile)
    silent.settle()
    silent.advance("9m")
    assert health_states(silent) == ["initializing"]
    silent.advance("1m")
    assert health_states(silent) == ["unknown"]


def test_a_stopped_instance_reports_no_health() -> None:
    simulation = started(1, HTTP)
    simulation.advance("1m")
    (vm,) = simulation.instances("web")
    simulation.act(vm["name"], "powerOff")
    simulation.settle()
    assert health_states(simulation) == ["none"]
    simulation.act(vm["name"], "start")
    simulation.settle()
    simulation.advance("30s")
    assert health_states(simulation) == ["healthy"]


@pytest.mark.parametrize(("instances", "expected"), [(1, 1), (19, 1), (20, 1), (39, 1), (40, 2), (100, 5), (1000, 50)])
def test_a_batch_is_five_percent_and_at_least_one(instances: int, expected: int) -> None:
    assert batch(instances) == expected


def repaired(capacity: int, action: str = "Replace", **fault: Any) -> Simulation:
    simulation = started(capacity, HTTP, automaticRepairsPolicy={"enabled": True, "gracePeriod": "PT30M", "repairAction": action})
    simulation.advance("31m")
    simulation.inject({"fault": "app_sick", "set": "web", **fault})
    return simulation


def test_repair_waits_for_the_grace_period() -> None:
    simulation = started(1, HTTP, automaticRepairsPolicy={"enabled": True, "gracePeriod": "PT30M"})
    (before,) = simulation.instances("web")
    simulation.inject({"fault": "app_sick", "vm": before["name"]})
    simulation.advance("25m")
    assert [vm["name"] for vm in simulation.instances("web")] == [before["name"]]
    simulation.advance("10m")
    assert [vm["name"] for vm in simulation.instances("web")] != [before["name"]]


def test_an_instance_that_has_just_changed_waits_for_its_own_grace_period() -> None:
    simulation = started(40, HTTP, automaticRepairsPolicy={"enabled": True, "gracePeriod": "PT30M"})
    simulation.advance("31m")
    late, old = (vm["name"] for vm in simulation.instances("web")[:2])
    simulation.act(late, "restart")
    simulation.settle()
    simulation.advance("1m")
    simulation.inject({"fault": "app_sick", "vm": old, "duration": "20m"})
    simulation.inject({"fault": "app_sick", "vm": late, "duration": "20m"})
    simulation.advance("15m")
    names = {vm["name"] for vm in simulation.instances("web")}
    assert old not in names
    assert late in names


def test_repair_holds_one_batch_at_a_time() -> None:
    simulation = repaired(40, fraction=0.5)
    for _ in range(60):
        simulation.advance("10s")
        group = simulation.plane.fleet.container(RG)
        assert group is not None
        assert simulation.plane.fleet.membership(group, "web").repairing <= 2
    assert simulation.get(f"{SETS}/web")["sku"]["capacity"] == 40


@pytest.mark.parametrize("action", ["Restart", "Reimage"])
def test_repair_in_place_keeps_the_instance(action: str) -> None:
    simulation = repaired(1, action, count=1)
    names = [vm["name"] for vm in simulation.instances("web")]
    simulation.advance("10m")
    assert [vm["name"] for vm in simulation.instances("web")] == names
    causes = {event.cause for event in simulation.events() if event.actor == "vm"}
    assert action.lower() in causes


def test_repairs_that_do_not_help_are_suspended_and_can_be_resumed() -> None:
    simulation = repaired(1)
    simulation.advance("6h")
    view = simulation.arm("GET", f"{SETS}/web/instanceView{API}").body
    assert view["orchestrationServices"] == [{"serviceName": "AutomaticRepairs", "serviceState": "Suspended"}]
    name = simulation.instances("web")[0]["name"]
    simulation.advance("2h")
    assert simulation.instances("web")[0]["name"] == name
    body = {"serviceName": "AutomaticRepairs", "action": "Resume"}
    assert simulation.arm("POST", f"{SETS}/web/setOrchestrationServiceState{API}", body).status == 202
    simulation.advance("20m")
    assert simulation.instances("web")[0]["name"] != name


def test_a_suspended_set_is_not_repaired() -> None:
    simulation = started(1, HTTP, automaticRepairsPolicy={"enabled": True, "gracePeriod": "PT30M"})
    simulation.arm("POST", f"{SETS}/web/setOrchestrationServiceState{API}", {"serviceName": "AutomaticRepairs", "action": "Suspend"})
    names = [vm["name"] for vm in simulation.instances("web")]
    simulation.inject({"fault": "app_sick", "set": "web"})
    simulation.advance("3h")
    assert [vm["name"] for vm in simulation.instances("web")] == names


NOTICE = {"scheduledEventsProfile": {"terminateNotificationProfile": {"enable": True, "notBeforeTimeout": "PT10M"}}}


def approve(simulation: Simulation, name: str) -> int:
    path = f"{VMS}/{name}/metadata/scheduledevents?api-version=2019-01-01"
    path = path.replace("2019-01-01", "2021-07-01")
    (event,) = simulation.arm("GET", path).body["Events"]
    return simulation.arm("POST", path, {"StartRequests": [{"EventId": event["EventId"]}]}).status


def test_the_notices_of_a_set_are_one_group() -> None:
    simulation = started(2, more_profile=NOTICE)
    first, second = (vm["name"] for vm in simulation.instances("web"))
    simulation.act(first, "delete")
    simulation.advance("1m")
    simulation.act(second, "delete")
    assert approve(simulation, second) == 200
    simulation.advance("3m")
    assert {vm["name"] for vm in simulation.instances("web")} == {first, second}, "the first one's earlier notice is open"
    assert approve(simulation, first) == 200
    simulation.advance("3m")
    assert simulation.instances("web") == []


def test_an_unknown_event_cannot_be_approved() -> None:
    simulation = started(1, more_profile=NOTICE)
    name = simulation.instances("web")[0]["name"]
    simulation.act(name, "delete")
    path = f"{VMS}/{name}/metadata/scheduledevents{API}"
    assert simulation.arm("POST", path, {"StartRequests": [{"EventId": "other"}]}).status == 400


def test_a_price_above_the_bid_evicts() -> None:
    simulation = Simulation(features="all")
    simulation.create_vm("cheap", priority="Spot", billingProfile={"maxPrice": 0.09})
    simulation.create_vm("any", priority="Spot", billingProfile={"maxPrice": -1})
    simulation.settle()
    simulation.inject({"fault": "spot_price", "region": "eastus", "limit": 0.2})
    simulation.advance("10m")
    states = [simulation.get(f"{VMS}/{name}")["properties"]["instanceView"]["statuses"][1]["code"] for name in ("cheap", "any")]
    assert states == ["PowerState/deallocated", "PowerState/running"]


def test_eviction_gives_thirty_seconds_notice() -> None:
    simulation = Simulation(features="all")
    simulation.create_vm("vm", priority="Spot")
    simulation.settle()
    assert simulation.arm("POST", f"{VMS}/vm/simulateEviction{API}").status == 204
    simulation.advance("29s")
    assert simulation.get(f"{VMS}/vm")["properties"]["instanceView"]["statuses"][1]["code"] == "PowerState/running"
    simulation.advance("1s")
    assert simulation.get(f"{VMS}/vm")["properties"]["instanceView"]["statuses"][1]["code"] == "PowerState/deallocating"


def test_a_deallocated_vm_may_find_no_capacity() -> None:
    simulation = started(1)
    name = simulation.instances("web")[0]["name"]
    simulation.act(name, "deallocate")
    simulation.settle()
    disk = simulation.get(f"{VMS}/{name}")["properties"]["storageProfile"]["osDisk"]["managedDisk"]["id"]
    assert simulation.get(disk)["properties"]["diskState"] == "Reserved"
    simulation.inject({"fault": "allocation", "region": "eastus", "count": 1})
    simulation.act(name, "start")
    simulation.settle()
    vm = simulation.get(f"{VMS}/{name}")["properties"]
    assert vm["provisioningState"] == "Failed"
    assert vm["instanceView"]["statuses"][1]["code"] == "PowerState/deallocated"
    simulation.act(name, "start")
    simulation.settle()
    assert power_states(simulation) == ["running"]
    assert simulation.get(disk)["properties"]["diskState"] == "Attached"


def test_maintenance_never_holds_two_domains() -> None:
    simulation = started(6, domains=3)
    simulation.inject({"fault": "maintenance", "set": "web", "type": "reboot"})
    seen: set[int] = set()
    for _ in range(120):
        vms = simulation.instances("web")
        down = {
            vm["properties"]["instanceView"]["platformFaultDomain"]
            for vm in vms
            if vm["properties"]["instanceView"]["statuses"][1]["code"] != "PowerState/running"
        }
        assert len(down) <= 1
        seen |= down
        simulation.advance("15s")
    assert seen == {0, 1, 2}


def test_maintenance_stops_at_the_first_domain_that_is_not_well() -> None:
    simulation = started(3, HTTP, domains=3)
    simulation.advance("1m")
    first = next(vm for vm in simulation.instances("web") if vm["properties"]["instanceView"]["platformFaultDomain"] == 0)
    simulation.inject({"fault": "app_sick", "vm": first["name"], "start": "20s"})
    simulation.inject({"fault": "maintenance", "set": "web", "type": "reboot"})
    simulation.advance("2h")
    assert any(event.kind is Kind.NOTED and "Maintenance stopped" in event.state.text for event in simulation.events())
    rebooted = {event.state.domain for event in simulation.events() if event.type == Type.VM and event.cause == "reboot"}
    assert rebooted == {0}


def test_a_lost_zone_comes_back_and_takes_no_new_vms_meanwhile() -> None:
    simulation = started(2, zone="1")
    fault = simulation.inject({"fault": "zone_loss", "zone": "1"})
    assert power_states(simulation) == ["unknown", "unknown"]
    simulation.advance("2h")
    assert power_states(simulation) == ["unknown", "unknown"]
    simulation.recover(fault)
    simulation.advance("20m")
    assert power_states(simulation) == ["running", "running"]


def test_one_host_takes_one_vm_along() -> None:
    simulation = started(3)
    name = simulation.instances("web")[1]["name"]
    simulation.inject({"fault": "host_failure", "vm": name})
    assert power_states(simulation) == ["running", "running", "unknown"]
    simulation.advance("11m")
    assert power_states(simulation) == ["running"] * 3


def test_a_newer_goal_keeps_what_is_under_way() -> None:
    simulation = started(0)
    simulation.scale("web", 6)
    simulation.advance("5s")
    names = {vm["name"] for vm in simulation.instances("web")}
    simulation.scale("web", 4)
    simulation.settle()
    left = {vm["name"] for vm in simulation.instances("web")}
    assert len(left) == 4
    assert left < names, "no instance was made anew"


def test_a_group_goes_with_all_that_is_in_it() -> None:
    simulation = started(3, more_profile=NOTICE)
    simulation.create_vm("alone")
    simulation.settle()
    assert simulation.arm("DELETE", RG + API).status == 202
    simulation.settle()
    assert simulation.arm("GET", RG + API).status == 404
    fleet = simulation.plane.fleet
    assert fleet.container(RG) is None
    assert not any(fleet.cores.values())
    inside = [event for event in simulation.events() if event.scope.startswith(RG)]
    created, deleted = ({event.id for event in inside if event.kind is kind} for kind in (Kind.CREATED, Kind.DELETED))
    assert created == deleted, "every resource that was made is told to be gone"


def test_locked_instances_stay() -> None:
    simulation = started(2)
    name = simulation.instances("web")[0]["name"]
    lock = f"{VMS}/{name}/providers/Microsoft.Authorization/locks/keep{API}"
    assert simulation.arm("PUT", lock, {"properties": {"level": "CanNotDelete"}}).status == 201
    simulation.scale("web", 0)
    simulation.settle()
    assert [vm["name"] for vm in simulation.instances("web")] == [name]
    assert simulation.get(f"{SETS}/web")["properties"]["provisioningState"] == "Failed"


def test_unregistering_a_feature_counts_after_the_provider_registers_again() -> None:
    simulation = Simulation(features="all")
    sub = RG.partition("/resourceGroups")[0]
    features = f"{sub}/providers/Microsoft.Features/providers/Microsoft.Compute/features"
    simulation.arm("POST", f"{features}/VMScaleSetFlexPreview/unregister{API}")
    simulation.advance("16m")
    assert simulation.arm("GET", f"{features}/VMScaleSetFlexPreview{API}").body["properties"]["state"] == "Unregistered"
    simulation.create_scale_set("still")
    simulation.arm("POST", f"{sub}/providers/Microsoft.Compute/register{API}")
    simulation.advance("2m")
    refused = simulation.arm("PUT", f"{SETS}/web{API}", simulation.set_body("web"))
    assert refused.body["error"]["message"] == "Parameter 'virtualMachineProfile' is not allowed."


@pytest.mark.parametrize(("policy", "left"), [("OldestVM", 1), ("NewestVM", 0)])
def test_the_later_profile_honours_a_scale_in_policy(policy: str, left: int) -> None:
    simulation = Simulation(profile="ga")
    simulation.create_scale_set("web", capacity=1, scaleInPolicy={"rules": [policy]})
    simulation.settle()
    simulation.scale("web", 2)
    simulation.settle()
    ages = sorted((vm["properties"]["timeCreated"], vm["name"]) for vm in simulation.instances("web"))
    simulation.scale("web", 1)
    simulation.settle()
    assert [vm["name"] for vm in simulation.instances("web")] == [ages[left][1]]


def test_the_later_profile_balances_zones() -> None:
    simulation = Simulation(profile="ga")
    simulation.create_group()
    body = {**simulation.set_body("web", capacity=5), "zones": ["1", "2", "3"]}
    assert simulation.arm("PUT", SETS + "/web" + API, body).status == 201
    simulation.settle()
    assert sorted(vm["zones"][0] for vm in simulation.instances("web")) == ["1", "1", "2", "2", "3"]
    simulation.scale("web", 3)
    simulation.settle()
    assert sorted(vm["zones"][0] for vm in simulation.instances("web")) == ["1", "2", "3"]
    refused = simulation.arm("PUT", SETS + "/other" + API, {**simulation.set_body("other", domains=2), "zones": ["1"]})
    assert refused.body["error"]["message"] == (
        "Specifying Availability Zones is not allowed when Virtual Machine Scale Set has platformFaultDomainCount higher than 1 "
        "with OrchestrationMode: 'Flexible'."
    )
