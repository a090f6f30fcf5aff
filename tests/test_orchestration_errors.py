# ruff: noqa: E501  each text of the catalogue stands on one line
"""One request for each row of the error catalogue: status, code, target and the text, word for word where a source gives it.

Sources: Azure docs, "Preview: Flexible orchestration for virtual machine scale sets in Azure", Troubleshoot; "Common error messages for
virtual machines"; "Error messages for Azure Spot Virtual Machines"; "Troubleshoot common Azure deployment errors".
"""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from kqlite.orchestration.arm import Answer
from kqlite.simulation import Simulation

SUB = "/subscriptions/00000000-0000-0000-0000-000000000001"
RG = f"{SUB}/resourceGroups/rg"
COMPUTE = f"{RG}/providers/Microsoft.Compute"
SETS, VMS = f"{COMPUTE}/virtualMachineScaleSets", f"{COMPUTE}/virtualMachines"
API = "?api-version=2021-07-01"
Ask = Callable[[Simulation], Answer]


def made(prepare: Callable[[Simulation], Any] | None = None, **options: Any) -> Simulation:
    simulation = Simulation(**{"features": "all", **options})
    simulation.create_group()
    if prepare is not None:
        prepare(simulation)
    return simulation


def put_set(simulation: Simulation, name: str = "web", top: dict[str, Any] | None = None, **options: Any) -> Answer:
    body = {**simulation.set_body(name, **options), **(top or {})}
    return simulation.arm("PUT", f"{SETS}/{name}{API}", body)


def put_vm(simulation: Simulation, name: str = "vm", **options: Any) -> Answer:
    return simulation.arm("PUT", f"{VMS}/{name}{API}", simulation.vm_body(name, **options))


def patch_vm(simulation: Simulation, properties: dict[str, Any], name: str = "vm") -> Answer:
    return simulation.arm("PATCH", f"{VMS}/{name}{API}", {"properties": properties})


def act(simulation: Simulation, action: str, name: str = "vm") -> Answer:
    return simulation.arm("POST", f"{VMS}/{name}/{action}{API}")


def one_vm(simulation: Simulation, **options: Any) -> None:
    simulation.create_vm("vm", **options)
    simulation.settle()


def deallocated(simulation: Simulation) -> None:
    one_vm(simulation)
    simulation.act("vm", "deallocate")
    simulation.settle()


def web(simulation: Simulation, **options: Any) -> None:
    simulation.create_scale_set("web", **options)
    simulation.settle()


def e08(simulation: Simulation) -> Answer:
    return put_set(simulation, capacity=1001)


def e13(simulation: Simulation) -> Answer:
    return put_vm(simulation, scale_set=f"{SETS}/none")


def e16(simulation: Simulation) -> Answer:
    web(simulation)
    simulation.arm("DELETE", f"{SETS}/web{API}")
    return simulation.arm("PATCH", f"{SETS}/web{API}", {"tags": {}})


def e17(simulation: Simulation) -> Answer:
    one_vm(simulation)
    simulation.act("vm", "delete")
    return act(simulation, "restart")


def e18(simulation: Simulation) -> Answer:
    put_set(simulation, capacity=1)
    return put_set(simulation, capacity=2)


def e20(simulation: Simulation) -> Answer:
    simulation.inject({"fault": "quota", "region": "eastus", "limit": 20})
    web(simulation, capacity=9)
    return simulation.arm("PATCH", f"{SETS}/web{API}", {"sku": {"capacity": 12}})


def e21(simulation: Simulation) -> Answer:
    simulation.inject({"fault": "sku_restricted", "size": "Standard_D2s_v3"})
    return put_vm(simulation)


def e28_extension(simulation: Simulation) -> Answer:
    deallocated(simulation)
    handler = {"publisher": "p", "type": "t", "typeHandlerVersion": "1.0"}
    return simulation.arm("PUT", f"{VMS}/vm/extensions/x{API}", {"location": "eastus", "properties": handler})


def e29(simulation: Simulation) -> Answer:
    one_vm(simulation)
    simulation.act("vm", "restart")
    return act(simulation, "powerOff")


def e29_power(simulation: Simulation) -> Answer:
    one_vm(simulation)
    simulation.act("vm", "deallocate")
    return act(simulation, "start")


def refused_by_fault(simulation: Simulation, code: str) -> Answer:
    simulation.inject({"fault": "api_error", "code": code})
    return put_vm(simulation)


def e33_resource(simulation: Simulation) -> Answer:
    one_vm(simulation)
    return put_vm(simulation, location="westus")


def e38(simulation: Simulation) -> Answer:
    simulation.arm("POST", f"{SUB}/providers/Microsoft.Compute/unregister{API}")
    simulation.advance("2m")
    return put_set(simulation)


def e40(simulation: Simulation) -> Answer:
    simulation.inject({"fault": "throttle", "operation": "virtualMachines/read"})
    return simulation.arm("GET", f"{VMS}{API}")


def setting(simulation: Simulation, target: str, **changes: Any) -> Answer:
    profile = {"name": "p", "capacity": {"minimum": "1", "maximum": "3", "default": "1"}, "rules": [], **changes}
    body = {"location": "eastus", "properties": {"enabled": True, "targetResourceUri": target, "profiles": [profile]}}
    return simulation.arm("PUT", f"{RG}/providers/Microsoft.Insights/autoscaleSettings/auto?api-version=2022-10-01", body)


def e42(simulation: Simulation) -> Answer:
    setting(simulation, f"{SETS}/web")
    return setting(simulation, f"{SETS}/other")


def e43(simulation: Simulation) -> Answer:
    one_vm(simulation)
    lock = f"{VMS}/vm/providers/Microsoft.Authorization/locks/keep?api-version=2016-09-01"
    simulation.arm("PUT", lock, {"properties": {"level": "CanNotDelete"}})
    return simulation.arm("DELETE", f"{VMS}/vm{API}")


def e45(simulation: Simulation) -> Answer:
    web(simulation)
    one_vm(simulation, scale_set="web")
    simulation.inject({"fault": "maintenance", "set": "web", "type": "reboot"})
    return act(simulation, "restart")


def e47(simulation: Simulation) -> Answer:
    one_vm(simulation)
    simulation.arm("DELETE", f"{RG}{API}")
    return put_vm(simulation, "late")


def spot(simulation: Simulation, **properties: Any) -> Answer:
    return put_vm(simulation, priority="Spot", **properties)


def spot_price(simulation: Simulation) -> Answer:
    one_vm(simulation, priority="Spot")
    return patch_vm(simulation, {"billingProfile": {"maxPrice": 0.5}})


def priority(simulation: Simulation) -> Answer:
    one_vm(simulation)
    return patch_vm(simulation, {"priority": "Spot"})


def unmatched(simulation: Simulation) -> Answer:
    web(simulation)
    return simulation.arm("PATCH", f"{SETS}/web{API}", {"tags": {}}, {"If-Match": '"0"'})


def health(settings: dict[str, Any]) -> dict[str, Any]:
    handler = {
        "publisher": "Microsoft.ManagedServices",
        "type": "ApplicationHealthLinux",
        "typeHandlerVersion": "1.0",
        "settings": settings,
    }
    return {"extensionProfile": {"extensions": [{"name": "h", "properties": handler}]}}


AKA = "https://aka.ms"
ROWS: list[tuple[str, Ask, int, str, str, str]] = [
    ("E07", lambda s: put_set(s, scaleInPolicy={"rules": ["OldestVM"]}), 400, "InvalidParameter", "scaleInPolicy", "Parameter 'scaleInPolicy' is not allowed."),
    ("E07b", lambda s: put_set(s, zone="7"), 400, "InvalidParameter", "zones", "The value of parameter zones is invalid."),
    ("E08", e08, 409, "OperationNotAllowed", "", "Unable to create or update Virtual Machine Scale Set 'web' as it exceeds the total limit of '1000' Virtual Machine instances."),
    ("E09", lambda s: (web(s), put_vm(s, scale_set="web", domain=0))[1], 400, "InvalidParameter", "platformFaultDomain", "The specified fault domain 0 must fall in the range 0 to 0."),
    ("E10", lambda s: put_set(s, size="Standard_M8ms", domains=2), 409, "OperationNotAllowed", "", "Virtual Machine Scale Sets with Flexible Orchestration Mode and a fault domain count of 2, or Virtual Machines referencing such Virtual Machine Scale Sets can only use VM Size Standard_M8ms, if single placement group on such Virtual Machine Scale Sets is set to true."),
    ("E11", lambda s: put_set(s, top={"zones": ["1", "2"]}), 400, "InvalidParameter", "zones", "Parameter 'zones' is not allowed."),
    ("E12", lambda s: (web(s, domains=2), s.arm("PATCH", f"{SETS}/web{API}", {"properties": {"platformFaultDomainCount": 3}}))[1], 409, "PropertyChangeNotAllowed", "platformFaultDomainCount", "Changing property 'platformFaultDomainCount' is not allowed."),
    ("E13", e13, 400, "InvalidParameter", "virtualMachineScaleSet.id", f"The Virtual Machine Scale Set '{SETS}/none' referenced by the Virtual Machine does not exist."),
    ("E16", e16, 409, "OperationNotAllowed", "", f"Operation 'Update Virtual Machine Scale Set' is not allowed on Virtual Machine Scale Set 'web' since it is marked for deletion. For more information on your operations, please refer to {AKA}/activitylog."),
    ("E17", e17, 409, "OperationNotAllowed", "", "Operation 'restart' is not allowed on VM 'vm' since the VM is marked for deletion. You can only retry the Delete operation (or wait for an ongoing one to complete)."),
    ("E18", e18, 409, "Conflict", "", f"The request failed due to conflict with a concurrent request. To resolve it, please refer to {AKA}/activitylog to get more details on the conflicting requests."),
    ("E20", e20, 409, "OperationNotAllowed", "", "Operation could not be completed as it results in exceeding approved Total Regional Cores quota. Additional details - Deployment Model: Resource Manager, Location: eastus, Current Limit: 20, Current Usage: 18, Additional Required: 6, (Minimum) New Limit Required: 24."),
    ("E21", e21, 409, "SkuNotAvailable", "", f"The requested size for resource '{VMS}/vm' is currently not available in location 'eastus' zones '' for subscription '{SUB[15:]}'. Please try another size or deploy to a different location or zones. See {AKA}/azureskunotavailable for details."),
    ("E22", lambda s: put_vm(s, size="Standard_X1"), 400, "InvalidParameter", "vmSize", "The requested VM size Standard_X1 is not available in the current region. The sizes available in the current region are: "),
    ("E26 max price", lambda s: spot(s, billingProfile={"maxPrice": 0}), 400, "MaxPriceValueInvalid", "billingProfile.maxPrice", "Invalid max price value. The only supported values for max price are -1 or a decimal greater than zero."),
    ("E26 too low", lambda s: spot(s, billingProfile={"maxPrice": 0.00001}), 409, "MaxPriceLowerThanCurrentPrice", "billingProfile.maxPrice", "Cannot create this Virtual Machine since the provided max price is lower than the current variable price 0."),
    ("E26 update", spot_price, 409, "MaxPriceUpdateRequiresVMToBeDeallocated", "", "Max price can be updated only when VM is in deallocated state."),
    ("E26 policy", lambda s: put_vm(s, evictionPolicy="Delete"), 409, "EvictionPolicyCanBeSetOnlyOnAzureSpotVirtualMachines", "evictionPolicy", "Eviction policy can be set only on spot Virtual Machines."),
    ("E26 billing", lambda s: (one_vm(s), patch_vm(s, {"billingProfile": {"maxPrice": 1}}))[1], 409, "BillingProfileChangeNotAllowed", "billingProfile", "Billing profile can be changed only on spot Virtual Machines."),
    ("E26 priority", priority, 409, "VMPriorityCannotBeApplied", "priority", ""),
    ("E27", lambda s: (web(s), s.arm("POST", f"{SETS}/web/poweroff{API}"))[1], 409, "OperationNotAllowed", "", "Operation 'VirtualMachineScaleSets.powerOff.POST' is not allowed on Virtual Machine Scale Set 'web' since"),
    ("E28 restart", lambda s: (deallocated(s), act(s, "restart"))[1], 409, "OperationNotAllowed", "", "Operation 'restart' is not allowed on VM 'vm' since the VM is either deallocated or marked to be deallocated."),
    ("E28 powerOff", lambda s: (deallocated(s), act(s, "powerOff"))[1], 409, "OperationNotAllowed", "", "Operation 'powerOff' is not allowed on VM 'vm' since the VM is either deallocated or marked to be deallocated."),
    ("E28 generalize", lambda s: (one_vm(s), act(s, "generalize"))[1], 409, "OperationNotAllowed", "", "Operation 'generalize' is not allowed on VM 'vm' since the VM is running. Please power off explicitly in case you shut down the VM from inside the guest operating system."),
    ("E28 generalized", lambda s: (deallocated(s), act(s, "generalize"), act(s, "start"))[2], 409, "OperationNotAllowed", "", "Operation 'start' is not allowed on VM 'vm' since the VM is generalized."),
    ("E28 extension", e28_extension, 409, "OperationNotAllowed", "", "Cannot modify extensions in the VM when the VM is not running."),
    ("E29 power", e29_power, 409, "OperationNotAllowed", "", "An ongoing operation is changing power state of Virtual Machine vm to deallocated. Please perform operation start after some time."),
    ("E29", e29, 409, "OperationNotAllowed", "", "Operation 'powerOff' is not allowed on VM 'vm' since another operation is in progress."),
    ("E30", lambda s: s.arm("GET", f"{VMS}/none{API}"), 404, "ResourceNotFound", "", f"The Resource 'Microsoft.Compute/virtualMachines/none' under resource group 'rg' was not found. For more details please go to {AKA}/ARMResourceNotFoundFix"),
    ("E31", lambda s: s.arm("GET", f"{SUB}/resourceGroups/none{API}"), 404, "ResourceGroupNotFound", "", "Resource group 'none' could not be found."),
    ("E32", lambda s: s.arm("GET", f"{VMS}/none/extensions/x{API}"), 404, "ParentResourceNotFound", "", "Can not perform requested operation on nested resource. Parent resource 'Microsoft.Compute/virtualMachines/none' not found."),
    ("E33 resource", e33_resource, 409, "InvalidResourceLocation", "", "The resource 'vm' already exists in location 'eastus' in resource group 'rg'. A resource with the same name cannot be created in location 'westus'. Please select a new resource name."),
    ("E33 group", lambda s: s.arm("PUT", f"{RG}{API}", {"location": "westus"}), 409, "InvalidResourceGroupLocation", "", "Invalid resource group location 'westus'. The Resource group already exists in location 'eastus'."),
    ("E34 required", lambda s: s.arm("PUT", f"{VMS}/vm{API}", {"properties": {}}), 400, "LocationRequired", "", "The location property is required for this definition."),
    ("E34 unknown", lambda s: put_vm(s, location="mars"), 400, "LocationNotAvailableForResourceType", "", "The provided location 'mars' is not available for resource type 'Microsoft.Compute/virtualMachines'. List of available regions for the resource type is 'eastus,"),
    ("E35 text", lambda s: s.arm("PUT", f"{VMS}/vm{API}", "{"), 400, "InvalidRequestContent", "", "The request content was invalid and could not be deserialized: '"),
    ("E35 type", lambda s: put_set(s, platformFaultDomainCount="many"), 400, "InvalidRequestContent", "", "The request content was invalid and could not be deserialized: 'Error converting value \"many\" to type integer."),
    ("E36 missing", lambda s: s.arm("GET", VMS), 400, "MissingApiVersionParameter", "", "The api-version query parameter (?api-version=) is required for all requests."),
    ("E36 invalid", lambda s: s.arm("GET", f"{SUB}/resourceGroups?api-version=soon"), 400, "InvalidApiVersionParameter", "", "The api-version 'soon' is invalid. The supported versions are '"),
    ("E36 provider", lambda s: s.arm("GET", f"{VMS}?api-version=2015-06-15"), 400, "NoRegisteredProviderFound", "", "No registered resource provider found for location '' and API version '2015-06-15' for type 'virtualMachines'. The supported api-versions are '"),
    ("E36 type", lambda s: s.arm("GET", f"{COMPUTE}/toasters{API}"), 404, "InvalidResourceType", "", "The resource type 'toasters' could not be found in the namespace 'Microsoft.Compute' for api version '2021-07-01'. The supported api-versions are '"),
    ("E37", lambda s: s.arm("GET", f"/subscriptions/nobody{API}"), 404, "SubscriptionNotFound", "", "The subscription 'nobody' could not be found."),
    ("E37 who", lambda s: refused_by_fault(s, "AuthenticationFailed"), 401, "AuthenticationFailed", "", "Authentication failed. The 'Authorization' header is missing."),
    ("E37 may", lambda s: refused_by_fault(s, "AuthorizationFailed"), 403, "AuthorizationFailed", "", f"The client '00000000-0000-0000-0000-00000000c11e' with object id '00000000-0000-0000-0000-00000000c11e' does not have authorization to perform action 'Microsoft.Compute/virtualMachines/write' over scope '{VMS}/vm' or the scope is invalid. If access was recently granted, please refresh your credentials."),
    ("E38", e38, 409, "MissingSubscriptionRegistration", "", f"The subscription is not registered to use namespace 'Microsoft.Compute'. See {AKA}/rps-not-found for how to register subscriptions."),
    ("E39", unmatched, 412, "PreconditionFailed", "", "The condition '\"0\"' in the If-Match header was not satisfied."),
    ("E40", e40, 429, "OperationNotAllowed", "", "The server rejected the request because too many requests have been received for this subscription."),
    ("E41 name", lambda s: put_vm(s, "a*b"), 400, "InvalidParameter", "vmName", ""),
    ("E42", e42, 409, "TargetResourceIdIsImmutable", "", f"The autoscale setting 'auto' under resource group 'rg' is referencing target resource '{SETS}/web'. The target resource reference is immutable. If you want to change it, please create a new autoscale setting with a different name."),
    ("E43", e43, 409, "ScopeLocked", "", f"The scope '{VMS}/vm' cannot perform delete operation because following scope(s) are locked: '"),
    ("E44", lambda s: put_set(s, priorityMixPolicy={}), 400, "BadRequest", "vmss.properties.priorityMixPolicy", "Could not find member 'priorityMixPolicy' on object of type 'Properties'. Path 'properties.priorityMixPolicy', line 1, position "),
    ("E44 version", lambda s: put_set(s, automaticRepairsPolicy={"enabled": True, "repairAction": "Restart"}), 400, "BadRequest", "vmss.properties.automaticRepairsPolicy.repairAction", "Could not find member 'repairAction' on object of type 'Properties'. Path 'properties.automaticRepairsPolicy.repairAction', line 1, position "),
    ("E45", e45, 409, "ResourceUpdateBlockedOnPlatformUpdate", "", "Resource cannot be updated at this time due to ongoing platform update. Please try again later."),
    ("E47", e47, 409, "ResourceGroupBeingDeleted", "", "The resource group 'rg' is in deprovisioning state and cannot perform this operation."),
    ("autoscale limits", lambda s: setting(s, f"{SETS}/web", capacity={"minimum": "3", "maximum": "1", "default": "2"}), 400, "BadRequest", "properties.profiles[0].capacity", ""),
    ("autoscale zone", lambda s: setting(s, f"{SETS}/web", fixedDate={"timeZone": "Mars", "start": "2021-08-11", "end": "2021-08-12"}), 400, "BadRequest", "properties.profiles[0].fixedDate.timeZone", ""),
    ("health path", lambda s: put_set(s, profile=health({"protocol": "tcp", "port": 80, "requestPath": "/"})), 400, "InvalidParameter", "virtualMachineProfile.extensionProfile.extensions[0].properties.settings.requestPath", ""),
    ("health port", lambda s: put_set(s, profile=health({"protocol": "tcp"})), 400, "InvalidParameter", "virtualMachineProfile.extensionProfile.extensions[0].properties.settings.port", ""),
    ("grace", lambda s: put_set(s, automaticRepairsPolicy={"enabled": True, "gracePeriod": "PT5M"}), 400, "InvalidParameter", "automaticRepairsPolicy.gracePeriod", ""),
    ("notice", lambda s: put_set(s, profile={"scheduledEventsProfile": {"terminateNotificationProfile": {"enable": True, "notBeforeTimeout": "PT1H"}}}), 400, "InvalidParameter", "virtualMachineProfile.scheduledEventsProfile.terminateNotificationProfile.notBeforeTimeout", ""),
    ("spot size", lambda s: put_set(s, size="Standard_B2ms", profile={"priority": "Spot"}), 400, "InvalidParameter", "virtualMachineProfile.priority", ""),
]  # fmt: skip


@pytest.mark.parametrize(("row", "ask", "status", "code", "target", "message"), ROWS, ids=[row[0] for row in ROWS])
def test_row(row: str, ask: Ask, status: int, code: str, target: str, message: str) -> None:
    simulation = made()
    answer = ask(simulation)
    assert answer.status == status, answer.body
    error = answer.body["error"]
    assert error["code"] == code
    assert error["message"].startswith(message), error["message"]
    if target:
        assert error["target"] == target
    assert json.loads(answer.content) == answer.body


def test_a_windows_prefix_has_its_own_rules() -> None:
    image = {"publisher": "MicrosoftWindowsServer", "offer": "WindowsServer", "sku": "2019-Datacenter"}
    profile = {"osProfile": {"computerNamePrefix": "much-too-long"}, "storageProfile": {"imageReference": image}}
    error = put_set(made(), profile=profile).body["error"]
    assert error["target"] == "computerNamePrefix"
    assert error["message"] == (
        "Windows computer name prefix cannot be more than 9 characters long, be entirely numeric, or contain the following characters: "
        "` ~ ! @ # $ % ^ & * ( ) = + _ [ ] { } \\ | ; : . ' \" , < > / ?."
    )


FAILURES: list[tuple[str, dict[str, Any], dict[str, Any], str, str]] = [
    ("E23", {"fault": "allocation"}, {}, "AllocationFailed", "Allocation failed. We do not have sufficient capacity for the requested VM size in this region."),
    ("E23 zonal", {"fault": "zone_loss", "zone": "1"}, {"zone": "1"}, "ZonalAllocationFailed", "Allocation failed. We do not have sufficient capacity for the requested VM size in this zone."),
    ("E24", {"fault": "os_provisioning"}, {}, "OSProvisioningTimedOut", "OS Provisioning for VM 'vm' did not finish in the allotted time. The VM may still finish provisioning successfully. Please check provisioning state later."),
    ("E24 error", {"fault": "os_provisioning", "answer": "error"}, {}, "OSProvisioningInternalError", "OS Provisioning failed for VM 'vm' due to an internal error."),
]  # fmt: skip


@pytest.mark.parametrize(("row", "fault", "options", "code", "message"), FAILURES, ids=[row[0] for row in FAILURES])
def test_a_failure_shows_in_the_operation_and_in_the_vm(
    row: str, fault: dict[str, Any], options: dict[str, Any], code: str, message: str
) -> None:
    simulation = made()
    simulation.inject(fault)
    link = put_vm(simulation, **options).headers["Azure-AsyncOperation"].removeprefix("https://management.azure.com")
    simulation.settle()
    operation = simulation.arm("GET", link).body
    assert operation["status"] == "Failed"
    assert operation["error"]["code"] == code
    assert operation["error"]["message"].startswith(message)
    vm = simulation.get(f"{VMS}/vm")["properties"]
    assert vm["provisioningState"] == "Failed"
    assert vm["instanceView"]["statuses"][0]["code"] == f"ProvisioningState/failed/{code}"


def outcome_of(simulation: Simulation, answer: Answer) -> dict[str, Any]:
    simulation.settle()
    link = answer.headers["Azure-AsyncOperation"].removeprefix("https://management.azure.com")
    return dict(simulation.arm("GET", link).body["error"])


def test_e23_beside_others_there_may_be_no_room() -> None:
    simulation = made()
    group = f"{COMPUTE}/proximityPlacementGroups/near"
    simulation.arm("PUT", group + API, {"location": "eastus", "properties": {}})
    simulation.inject({"fault": "allocation"})
    error = outcome_of(simulation, put_vm(simulation, proximityPlacementGroup={"id": group}))
    assert error == {
        "code": "OverconstrainedAllocationRequest",
        "message": "The required VM size is not currently available in the selected location.",
    }
    zonal = outcome_of(simulation, put_vm(simulation, "zonal", zone="1", proximityPlacementGroup={"id": group}))
    assert zonal["code"] == "OverconstrainedZonalAllocationRequest"


@pytest.mark.parametrize(
    ("before", "action", "code", "message"),
    [
        (
            "powerOff",
            "start",
            "VMStartTimedOut",
            "VM 'vm' did not start in the allotted time. The VM may still start successfully. Please check the power state later.",
        ),
        (
            "deallocate",
            "start",
            "VMStartTimedOut",
            "VM 'vm' did not start in the allotted time. The VM may still start successfully. Please check the power state later.",
        ),
        ("start", "redeploy", "VMRedeploymentFailed", "VM 'vm' redeployment failed due to an internal error. Please retry later."),
    ],
)
def test_e24_a_boot_that_fails_later(before: str, action: str, code: str, message: str) -> None:
    simulation = made()
    one_vm(simulation)
    simulation.act("vm", before)
    simulation.settle()
    simulation.inject({"fault": "os_provisioning", "count": 1})
    assert outcome_of(simulation, act(simulation, action)) == {"code": code, "message": message}
    simulation.act("vm", "restart")
    simulation.settle()
    assert simulation.get(f"{VMS}/vm")["properties"]["provisioningState"] == "Succeeded"


@pytest.mark.parametrize(
    ("answer", "code", "message"),
    [
        (
            "timeout",
            "VMExtensionProvisioningTimeout",
            "Provisioning of VM extension 'x' has timed out. Extension installation may be taking too long, or extension status could "
            "not be obtained.",
        ),
        (
            "agent",
            "VMAgentStatusCommunicationError",
            "VM 'vm' has not reported status for VM agent or extensions. Please verify the VM has a running VM agent, and can establish "
            "outbound connections to Azure storage.",
        ),
        (
            "missing",
            "ArtifactNotFound",
            "The VM extension with publisher 'p' and type 't' could not be found in location 'eastus'.",
        ),
    ],
)
def test_e25_extensions_fail_in_several_ways(answer: str, code: str, message: str) -> None:
    simulation = made()
    one_vm(simulation)
    simulation.inject({"fault": "extension", "answer": answer})
    handler = {"publisher": "p", "type": "t", "typeHandlerVersion": "1.0"}
    sent = simulation.arm("PUT", f"{VMS}/vm/extensions/x{API}", {"location": "eastus", "properties": handler})
    assert outcome_of(simulation, sent) == {"code": code, "message": message}


def test_e19_an_older_goal_is_preempted() -> None:
    simulation = made()
    web(simulation)
    older = simulation.arm("PATCH", f"{SETS}/web{API}", {"sku": {"capacity": 5}}).headers["Azure-AsyncOperation"]
    simulation.arm("PATCH", f"{SETS}/web{API}", {"sku": {"capacity": 2}})
    operation = simulation.arm("GET", older.removeprefix("https://management.azure.com")).body
    assert operation["status"] == "Failed"
    assert operation["error"] == {
        "code": "OperationPreempted",
        "message": "Operation execution has been preempted by a more recent operation.",
    }


def test_e25_a_failed_extension_shows_in_three_places() -> None:
    simulation = made()
    simulation.inject({"fault": "extension", "publisher": "Microsoft.ManagedServices"})
    link = put_set(simulation, capacity=1, health=True).headers["Azure-AsyncOperation"].removeprefix("https://management.azure.com")
    simulation.settle()
    error = simulation.arm("GET", link).body["error"]
    assert error["code"] == "VMExtensionProvisioningError"
    assert error["message"].startswith("VM has reported a failure when processing extension 'health'. Error message: \"")
    (vm,) = simulation.instances("web")
    assert vm["properties"]["instanceView"]["statuses"][0]["code"] == "ProvisioningState/failed/VMExtensionProvisioningError"
    assert simulation.get(f"{SETS}/web")["properties"]["provisioningState"] == "Failed"


@pytest.mark.parametrize(
    ("features", "count", "zone", "message"),
    [
        (("VMOrchestratorMultiFD", "VMScaleSetFlexPreview"), 1, None, "The specified fault domain count 1 must fall in the range 2 to 3."),
        (("VMOrchestratorSingleFD", "VMScaleSetFlexPreview"), 2, None, "The specified fault domain count 2 must fall in the range 1 to 1."),
        ("all", 2, "1", "The specified fault domain count 2 must fall in the range 1 to 1."),
    ],
)
def test_e03_by_feature_and_zone(features: Any, count: int, zone: str | None, message: str) -> None:
    simulation = made(features=features)
    error = put_set(simulation, domains=count, zone=zone).body["error"]
    assert (error["code"], error["target"], error["message"]) == ("InvalidParameter", "platformFaultDomainCount", message)


ATTACH = "For more information, see https://aka.ms/vmo/attachdetach."


def test_e15_a_set_of_several_domains_takes_no_existing_vm() -> None:
    simulation = made(profile="ga")
    web(simulation, domains=2)
    one_vm(simulation)
    error = patch_vm(simulation, {"virtualMachineScaleSet": {"id": f"{SETS}/web"}}).body["error"]
    assert error["code"] == "VmssDoesNotSupportAttachingExistingVMMultiFD"
    assert error["message"] == (
        "Referenced Virtual Machine Scale Set 'web' does not support attaching an existing Virtual Machine to it because the Virtual "
        f"Machine Scale Set has more than 1 fault domains. {ATTACH}"
    )


@pytest.mark.parametrize(
    ("properties", "code", "message"),
    [
        (
            {"availabilitySet": {"id": "/sets/a"}},
            "VmssDoesNotSupportAttachingExistingAvsetVM",
            "Referenced Virtual Machine 'vm' belongs to an Availability Set and attaching to a Virtual Machine Scale Set is not supported.",
        ),
        (
            {"proximityPlacementGroup": {"id": f"{COMPUTE}/proximityPlacementGroups/near"}},
            "VmssDoesNotSupportAttachingPPGVM",
            "Referenced Virtual Machine 'vm' belongs to a proximity placement group (PPG) and attaching to a Virtual Machine Scale Set "
            "is not supported.",
        ),
    ],
)
def test_e15_vms_that_cannot_be_attached(properties: dict[str, Any], code: str, message: str) -> None:
    simulation = made(profile="ga")
    simulation.arm("PUT", f"{COMPUTE}/proximityPlacementGroups/near{API}", {"location": "eastus", "properties": {}})
    web(simulation)
    one_vm(simulation, **properties)
    error = patch_vm(simulation, {"virtualMachineScaleSet": {"id": f"{SETS}/web"}}).body["error"]
    assert (error["code"], error["message"]) == (code, f"{message} {ATTACH}")


def test_the_later_profile_attaches_and_detaches() -> None:
    simulation = made(profile="ga")
    web(simulation, domains=1)
    simulation.create_scale_set("other")
    one_vm(simulation)
    assert patch_vm(simulation, {"virtualMachineScaleSet": {"id": f"{SETS}/web"}}).status == 200
    simulation.settle()
    assert [vm["name"] for vm in simulation.instances("web")] == ["vm"]
    assert simulation.get(f"{SETS}/web")["sku"]["capacity"] == 1
    moved = patch_vm(simulation, {"virtualMachineScaleSet": {"id": f"{SETS}/other"}})
    assert moved.body["error"]["code"] == "PropertyChangeNotAllowed", "moving is to detach, then to attach"
    assert patch_vm(simulation, {"virtualMachineScaleSet": None}).status == 200
    simulation.settle()
    assert simulation.instances("web") == []
    assert simulation.get(f"{SETS}/web")["sku"]["capacity"] == 0


def test_a_refused_request_leaves_nothing_in_the_log() -> None:
    for row, ask, *_ in ROWS:
        if row in ("E07", "E08", "E10", "E22", "E30", "E35 type", "E44"):
            simulation = made()
            before = simulation.log.last
            assert ask(simulation).status >= 400
            assert simulation.log.last == before, row


def test_every_row_of_the_catalogue_is_asked_for() -> None:
    """All but E14, a VM that names a Uniform set: such a set is refused when it is made."""
    shown = {path.stem[:3].upper() for path in (Path(__file__).parent / "scenarios").glob("e*.scenario")}
    written = "".join(path.read_text(encoding="utf-8") for path in Path(__file__).parent.glob("test_*.py"))
    tests = {name.upper() for name in re.findall(r"^def test_(e\d\d)_", written, re.MULTILINE)}
    asked = {row[0][:3] for row in (*ROWS, *FAILURES)} | tests | shown
    assert {f"E{number:02d}" for number in range(1, 48)} - asked == {"E14"}


def test_the_first_rule_that_fails_is_reported_alone() -> None:
    simulation = Simulation(features=())
    simulation.create_group()
    error = put_set(simulation, size="Standard_M64", capacity=2000, scaleInPolicy={"rules": []}).body["error"]
    assert error["target"] == "singlePlacementGroup", "features come before the other rules, sizes and limits"
