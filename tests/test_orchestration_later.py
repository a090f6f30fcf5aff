"""What the later service (profile "ga") adds to the preview, and what it still refuses.

Sources: Azure docs, "Orchestration modes for Virtual Machine Scale Sets"; "Instance Protection for Azure Virtual Machine Scale Set
instances"; "Spot Priority Mix for high availability and cost savings"; "Azure Spot Virtual Machines for Virtual Machine Scale Sets".
"""

from typing import Any

import pytest

from kqlite.orchestration.placement import regular_share
from kqlite.orchestration.request_bodies import vm_profile
from kqlite.simulation import Simulation

RG = "/subscriptions/00000000-0000-0000-0000-000000000001/resourceGroups/rg"
VMS = f"{RG}/providers/Microsoft.Compute/virtualMachines"
SETS = f"{RG}/providers/Microsoft.Compute/virtualMachineScaleSets"
API = "?api-version=2023-09-01"
MIX = {"baseRegularPriorityCount": 2, "regularPriorityPercentageAboveBase": 50}


def later(capacity: int = 0, profile: dict[str, Any] | None = None, **options: Any) -> Simulation:
    simulation = Simulation(profile="ga")
    simulation.create_scale_set("web", capacity=capacity, profile={**vm_profile("web"), **(profile or {})}, **options)
    simulation.settle()
    return simulation


def names(simulation: Simulation) -> list[str]:
    return sorted(vm["name"] for vm in simulation.instances("web"))


def priorities(simulation: Simulation) -> tuple[int, int]:
    found = [vm["properties"]["priority"] for vm in simulation.instances("web")]
    return found.count("Regular"), found.count("Spot")


def protect(simulation: Simulation, name: str, **policy: bool) -> int:
    return simulation.arm("PUT", f"{SETS}/web/virtualMachines/{name}{API}", {"properties": {"protectionPolicy": policy}}).status


# Instance protection


def test_a_protected_instance_stays_when_its_set_scales_in() -> None:
    simulation = later(3)
    kept = names(simulation)[-1]
    assert protect(simulation, kept, protectFromScaleIn=True) == 200
    shown = simulation.arm("GET", f"{SETS}/web/virtualMachines/{kept}{API}").body["properties"]
    assert shown["protectionPolicy"] == {"protectFromScaleIn": True, "protectFromScaleSetActions": False}
    simulation.scale("web", 1)
    simulation.settle()
    assert names(simulation) == [kept]
    answer = simulation.arm("PATCH", f"{SETS}/web{API}", {"sku": {"capacity": 0}})
    simulation.settle()
    operation = simulation.arm("GET", answer.headers["Azure-AsyncOperation"].removeprefix("https://management.azure.com")).body
    assert operation["status"] == "Failed"
    assert "protected from scale-in" in operation["error"]["message"]
    assert simulation.get(f"{SETS}/web")["sku"]["capacity"] == 1


def test_protection_ends_when_it_is_taken_away_and_never_forbids_a_deletion() -> None:
    simulation = later(2)
    one, two = names(simulation)
    for name in (one, two):
        protect(simulation, name, protectFromScaleSetActions=True)
    protect(simulation, one, protectFromScaleIn=False)
    simulation.scale("web", 1)
    simulation.settle()
    assert names(simulation) == [two]
    simulation.act(two, "delete")
    simulation.settle()
    assert names(simulation) == []
    assert simulation.plane.fleet.container(RG).scale_set("web").protected == ()


def test_a_protected_instance_is_not_repaired() -> None:
    handler = {"publisher": "Microsoft.ManagedServices", "type": "ApplicationHealthLinux", "typeHandlerVersion": "1.0"}
    settings = {"protocol": "tcp", "port": 80}
    extensions = {"extensionProfile": {"extensions": [{"name": "h", "properties": {**handler, "settings": settings}}]}}
    simulation = later(2, extensions, automaticRepairsPolicy={"enabled": True, "gracePeriod": "PT10M"})
    before = names(simulation)
    protect(simulation, before[0], protectFromScaleSetActions=True)
    simulation.advance("20m")
    simulation.inject({"fault": "app_sick", "set": "web"})
    simulation.advance("40m")
    after = names(simulation)
    assert before[0] in after
    assert before[1] not in after


def test_protection_needs_its_api_version_and_is_no_part_of_the_preview() -> None:
    simulation = later(1)
    body = {"properties": {"protectionPolicy": {"protectFromScaleIn": True}}}
    path = f"{SETS}/web/virtualMachines/{names(simulation)[0]}"
    old = simulation.arm("PUT", f"{path}?api-version=2021-07-01", body).body["error"]
    assert (old["code"], old["target"]) == ("BadRequest", "vmss.properties.protectionPolicy")
    preview = Simulation(features="all")
    preview.create_scale_set("web", capacity=1)
    preview.settle()
    path = f"{SETS}/web/virtualMachines/{names(preview)[0]}"
    assert preview.arm("PUT", path + API, body).body["error"]["code"] == "OperationNotAllowed"


# Spot and Regular, mixed


@pytest.mark.parametrize(
    ("base", "percent", "instances", "regular"),
    [(10, 50, 41, 25), (10, 50, 10, 10), (10, 50, 3, 3), (0, 25, 10, 2), (5, 0, 100, 5), (0, 100, 7, 7)],
)
def test_the_share_of_regular_instances(base: int, percent: int, instances: int, regular: int) -> None:
    mix = {"baseRegularPriorityCount": base, "regularPriorityPercentageAboveBase": percent}
    assert regular_share(mix, instances) == regular


def test_a_set_keeps_its_mix_when_it_grows_and_shrinks() -> None:
    simulation = later(5, {"priority": "Spot", "evictionPolicy": "Delete"}, priorityMixPolicy=MIX)
    assert priorities(simulation) == (3, 2)
    simulation.scale("web", 12)
    simulation.settle()
    assert priorities(simulation) == (7, 5)
    simulation.scale("web", 6)
    simulation.settle()
    assert priorities(simulation) == (4, 2)
    simulation.scale("web", 2)
    simulation.settle()
    assert priorities(simulation) == (2, 0)
    views = [simulation.arm("GET", f"{SETS}/web/virtualMachines/{name}{API}").body for name in names(simulation)]
    assert all(view["properties"]["latestModelApplied"] for view in views)


def test_a_mix_is_for_spot_sets_and_has_limits() -> None:
    simulation = later()
    for profile, mix, target in (
        ({}, MIX, "priorityMixPolicy"),
        ({"priority": "Spot"}, {"regularPriorityPercentageAboveBase": 101}, "priorityMixPolicy.regularPriorityPercentageAboveBase"),
        ({"priority": "Spot"}, {"baseRegularPriorityCount": -1}, "priorityMixPolicy.baseRegularPriorityCount"),
    ):
        body = simulation.set_body("mixed", profile={**vm_profile("mixed"), **profile}, priorityMixPolicy=mix)
        error = simulation.arm("PUT", f"{SETS}/mixed{API}", body).body["error"]
        assert (error["code"], error["target"]) == ("InvalidParameter", target)


# Evicted instances come back


def evicted(**policy: Any) -> Simulation:
    simulation = later(2, {"priority": "Spot", "evictionPolicy": "Deallocate"}, spotRestorePolicy={"enabled": True, **policy})
    simulation.inject({"fault": "spot_eviction", "region": "eastus", "duration": "30m"})
    simulation.advance("10m")
    assert powers(simulation) == ["deallocated", "deallocated"]
    return simulation


def powers(simulation: Simulation) -> list[str]:
    codes = [vm["properties"]["instanceView"]["statuses"][-1]["code"] for vm in simulation.instances("web")]
    return sorted(code.removeprefix("PowerState/") for code in codes)


def test_evicted_instances_are_restored_when_there_is_room_again() -> None:
    simulation = evicted()
    simulation.advance("15m")
    assert powers(simulation) == ["deallocated", "deallocated"]
    simulation.advance("20m")
    assert powers(simulation) == ["running", "running"]


def test_what_is_not_restored_in_time_stays_deallocated() -> None:
    simulation = evicted(restoreTimeout="PT15M")
    simulation.advance("3h")
    assert powers(simulation) == ["deallocated", "deallocated"]


def test_who_deallocates_an_instance_wants_it_so() -> None:
    simulation = later(1, {"priority": "Spot"}, spotRestorePolicy={"enabled": True})
    simulation.act(names(simulation)[0], "deallocate")
    simulation.advance("3h")
    assert powers(simulation) == ["deallocated"]


# Several at once, single placement groups, sizes


def test_several_instances_are_deleted_in_one_operation() -> None:
    simulation = later(4)
    gone = names(simulation)[:2]
    answer = simulation.arm("POST", f"{SETS}/web/delete{API}", {"instanceIds": gone})
    assert answer.status == 202
    simulation.settle()
    assert not set(gone) & set(names(simulation))
    assert simulation.get(f"{SETS}/web")["sku"]["capacity"] == 2
    link = answer.headers["Azure-AsyncOperation"].removeprefix("https://management.azure.com")
    assert simulation.arm("GET", link).body["status"] == "Succeeded"
    for ids in ([], ["nobody"]):
        assert simulation.arm("POST", f"{SETS}/web/delete{API}", {"instanceIds": ids}).body["error"]["target"] == "instanceIds"


def test_a_single_placement_group_holds_fewer_of_any_size() -> None:
    simulation = later(2, size="Standard_M8ms", domains=2, singlePlacementGroup=True)
    answer = simulation.arm("PATCH", f"{SETS}/web{API}", {"sku": {"capacity": 201}})
    assert answer.body["error"]["message"] == (
        "Unable to create or update Virtual Machine Scale Set 'web' as it exceeds the total limit of '200' Virtual Machine instances."
    )
    domain = simulation.vm_body("vm", scale_set="web", size="Standard_M8ms", domain=1)
    error = simulation.arm("PUT", f"{VMS}/vm{API}", domain).body["error"]
    assert (error["code"], error["message"]) == (
        "BadRequest",
        "Cannot set 'platformFaultDomain' on Virtual Machine 'vm' because the Virtual Machine Scale Set 'web' that it references has "
        "'singlePlacementGroup' = true.",
    )
    several = simulation.set_body("other", size="Standard_M8ms", domains=2)
    assert (
        simulation.arm("PUT", f"{SETS}/other{API}", several).body["error"]["message"].startswith("Virtual Machine Scale Sets with Flexible")
    )


def test_a_single_placement_group_becomes_several_and_never_the_reverse() -> None:
    simulation = later(1, singlePlacementGroup=True)
    assert simulation.arm("PATCH", f"{SETS}/web{API}", {"properties": {"singlePlacementGroup": False}}).status == 200
    simulation.settle()
    error = simulation.arm("PATCH", f"{SETS}/web{API}", {"properties": {"singlePlacementGroup": True}}).body["error"]
    assert (error["code"], error["target"]) == ("PropertyChangeNotAllowed", "singlePlacementGroup")


@pytest.mark.parametrize(
    ("given", "code"),
    [({"singlePlacementGroup": True}, "VmssDoesNotSupportAttachingWithSpg"), ({}, "VmssDoesNotSupportAttachingWithSpg")],
)
def test_who_attaches_needs_a_set_that_says_it_has_several_groups(given: dict[str, Any], code: str) -> None:
    simulation = Simulation(profile="ga")
    simulation.create_group()
    body = simulation.set_body("web")
    del body["properties"]["singlePlacementGroup"]
    body["properties"] |= given
    simulation.arm("PUT", f"{SETS}/web{API}", body)
    simulation.create_vm("vm")
    simulation.settle()
    answer = simulation.arm("PATCH", f"{VMS}/vm{API}", {"properties": {"virtualMachineScaleSet": {"id": f"{SETS}/web"}}})
    assert answer.body["error"]["code"] == code


def test_a_vm_with_unmanaged_disks_is_not_attached() -> None:
    simulation = later()
    simulation.create_vm("vm", storageProfile={"osDisk": {"createOption": "FromImage", "vhd": {"uri": "https://a/b.vhd"}}})
    simulation.settle()
    answer = simulation.arm("PATCH", f"{VMS}/vm{API}", {"properties": {"virtualMachineScaleSet": {"id": f"{SETS}/web"}}})
    assert answer.body["error"]["code"] == "VmssDoesNotSupportAttachingExistingVMUnmanagedDisk"


NAT = {"ipConfigurations": [{"name": "ip", "properties": {"loadBalancerInboundNatPools": [{"id": "/pools/a"}]}}]}


@pytest.mark.parametrize(
    "profile",
    [
        {"storageProfile": {"osDisk": {"createOption": "FromImage", "vhdContainers": ["https://a/b"]}}},
        {"networkProfile": {"networkInterfaceConfigurations": [{"name": "n", "properties": NAT}]}},
    ],
)
def test_what_the_later_service_still_refuses(profile: dict[str, Any]) -> None:
    simulation = later()
    answer = simulation.arm("PUT", f"{SETS}/other{API}", simulation.set_body("other", profile=profile))
    assert answer.body["error"]["code"] == "InvalidParameter"


def test_e46_a_service_fabric_node_is_made_with_its_set() -> None:
    node = {"publisher": "Microsoft.Azure.ServiceFabric", "type": "ServiceFabricNode", "typeHandlerVersion": "1.1"}
    profile = {**vm_profile("web"), "extensionProfile": {"extensions": [{"name": "node", "properties": node}]}}
    simulation = later()
    answer = simulation.arm("PATCH", f"{SETS}/web{API}", {"properties": {"virtualMachineProfile": profile}})
    assert answer.status == 409
    assert answer.body["error"] == {
        "code": "OperationNotAllowed",
        "message": "VM Scale Set extensions of handler 'Microsoft.Azure.ServiceFabric.ServiceFabricNode' can be added only at the time of "
        "VM Scale Set creation.",
    }
    assert simulation.arm("PUT", f"{SETS}/fabric{API}", simulation.set_body("fabric", profile=profile)).status == 201
    assert simulation.arm("PATCH", f"{SETS}/fabric{API}", {"properties": {"virtualMachineProfile": profile}}).status == 200


def test_a_set_that_is_deleted_with_its_members_goes_last() -> None:
    simulation = later(3)
    leaving = names(simulation)[0]
    simulation.act(leaving, "delete")
    answer = simulation.arm("DELETE", f"{SETS}/web{API}&forceDeletion=true")
    assert answer.status == 202
    for _ in range(300):
        simulation.advance("1s")
        if simulation.arm("GET", f"{SETS}/web{API}").status == 404:
            break
        assert simulation.arm("GET", f"{SETS}/web/virtualMachines{API}").status == 200
    assert simulation.arm("GET", VMS + API).body["value"] == []
    assert simulation.settle()


def test_a_set_is_deleted_while_one_of_its_members_is_repaired() -> None:
    handler = {"publisher": "Microsoft.ManagedServices", "type": "ApplicationHealthLinux", "typeHandlerVersion": "1.0"}
    health = {"name": "h", "properties": {**handler, "settings": {"protocol": "tcp", "port": 80}}}
    repairs = {"enabled": True, "gracePeriod": "PT10M", "repairAction": "Restart"}
    simulation = later(2, {"extensionProfile": {"extensions": [health]}}, automaticRepairsPolicy=repairs)
    simulation.advance("15m")
    simulation.inject({"fault": "app_sick", "set": "web"})
    group = simulation.plane.fleet.container(RG)
    assert group is not None
    while not simulation.plane.fleet.membership(group, "web").repairing:
        simulation.advance("1s")
    assert simulation.arm("DELETE", f"{SETS}/web{API}&forceDeletion=true").status == 202
    assert simulation.settle()
    versions = [event.version for event in simulation.events() if event.id == f"{SETS}/web"]
    assert versions == list(range(1, len(versions) + 1))
