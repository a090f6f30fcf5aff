"""Azure's error answers, word for word: a function for each message.

Texts come from Azure's documentation and from public reports of its answers. Where no source gives a text, it is kqlite's own, with the
service's status and code. Source: Azure docs, "Preview: Flexible orchestration for virtual machine scale sets in Azure",
Troubleshoot; "Common error messages for virtual machines"; "Troubleshoot common Azure deployment errors".
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from kqlite.errors import KqliteError

ACTIVITY_LOG = "https://aka.ms/activitylog"


class ArmError(KqliteError):
    """A refused request.

    Args:
        status: HTTP status.
        code: Error code.
        message: Error message.
        target: The parameter or resource at fault; "" for none.
        details: Further errors.
    """

    def __init__(self, status: int, code: str, message: str, target: str = "", details: Iterable[dict[str, str]] = ()) -> None:
        super().__init__(f"{code}. {message}")
        self.status = status
        self.code = code
        self.message = message
        self.target = target
        self.details = list(details)

    def body(self) -> dict[str, Any]:
        """The answer's body."""
        error: dict[str, Any] = {"code": self.code, "message": self.message}
        if self.target:
            error["target"] = self.target
        if self.details:
            error["details"] = self.details
        return {"error": error}


class CoreError(KqliteError):
    """A wrong use of the simulation itself: an invalid fault, metric or scenario. Azure has no answer for it."""


# From the page's section "Troubleshoot".


def profile_not_allowed() -> ArmError:
    return parameter_not_allowed("virtualMachineProfile")


def public_ip_needs_feature() -> ArmError:
    return ArmError(
        400,
        "BadRequest",
        "Creating a Virtual Machine with a Public IP Address via NetworkInterfaceConfigurations during the Public Preview of VM "
        "NetworkInterfaceConfigurations initially requires the feature "
        "'Microsoft.Compute/SkipPublicIpWriteRBACCheckForVMNetworkInterfaceConfigurationsPublicPreview'.",
    )


def single_placement_group_must_be_true() -> ArmError:
    message = "The value 'False' of parameter 'singlePlacementGroup' is not allowed. Allowed values are: True"
    return ArmError(400, "InvalidParameter", message, "singlePlacementGroup")


def single_placement_group_must_be_false() -> ArmError:
    message = "The value 'True' of parameter 'singlePlacementGroup' is not allowed. Allowed values are: False."
    return ArmError(400, "InvalidParameter", message, "singlePlacementGroup")


def fault_domain_count_out_of_range(count: int, low: int, high: int) -> ArmError:
    message = f"The specified fault domain count {count} must fall in the range {low} to {high}."
    return ArmError(400, "InvalidParameter", message, "platformFaultDomainCount")


def scale_set_has_members() -> ArmError:
    return ArmError(
        409,
        "OperationNotAllowed",
        "Deletion of Virtual Machine Scale Set is not allowed as it contains one or more VMs. "
        "Please delete or detach the VM(s) before deleting the Virtual Machine Scale Set.",
    )


# Scale sets and VMs.


def parameter_not_allowed(path: str) -> ArmError:
    return ArmError(400, "InvalidParameter", f"Parameter '{path}' is not allowed.", path)


def parameter_missing(name: str) -> ArmError:
    return ArmError(400, "InvalidParameter", f"Required parameter '{name}' is missing (null).", name)


def value_not_allowed(value: str, path: str, allowed: Iterable[str]) -> ArmError:
    message = f"The value '{value}' of parameter '{path}' is not allowed. Allowed values are: {','.join(allowed)}."
    return ArmError(400, "InvalidParameter", message, path)


def parameter_invalid(path: str) -> ArmError:
    return ArmError(400, "InvalidParameter", f"The value of parameter {path} is invalid.", path)


def too_many_instances(name: str, limit: int) -> ArmError:
    message = (
        f"Unable to create or update Virtual Machine Scale Set '{name}' as it exceeds the "
        f"total limit of '{limit}' Virtual Machine instances."
    )
    return ArmError(409, "OperationNotAllowed", message)


def fault_domain_out_of_range(domain: int, count: int) -> ArmError:
    message = f"The specified fault domain {domain} must fall in the range 0 to {count - 1}."
    return ArmError(400, "InvalidParameter", message, "platformFaultDomain")


def fault_domain_in_single_placement_group(vm: str, scale_set: str) -> ArmError:
    message = (
        f"Cannot set 'platformFaultDomain' on Virtual Machine '{vm}' because the Virtual Machine Scale Set '{scale_set}' that it "
        "references has 'singlePlacementGroup' = true."
    )
    return ArmError(400, "BadRequest", message, "platformFaultDomain")


def fault_domain_without_set() -> ArmError:
    return parameter_not_allowed("platformFaultDomain")


def size_not_supported(size: str, domains: int) -> ArmError:
    message = (
        f"Virtual Machine Scale Sets with Flexible Orchestration Mode and a fault domain count of {domains}, or Virtual "
        f"Machines referencing "
        f"such Virtual Machine Scale Sets can only use VM Size {size}, if single placement group on such Virtual Machine Scale "
        f"Sets is set to true."
    )
    return ArmError(409, "OperationNotAllowed", message)


def zones_with_domains() -> ArmError:
    message = (
        "Specifying Availability Zones is not allowed when Virtual Machine Scale Set has platformFaultDomainCount higher than 1 "
        "with OrchestrationMode: 'Flexible'."
    )
    return ArmError(400, "InvalidParameter", message, "zones")


def property_change_not_allowed(path: str) -> ArmError:
    return ArmError(409, "PropertyChangeNotAllowed", f"Changing property '{path}' is not allowed.", path)


def scale_set_absent(reference: str) -> ArmError:
    message = f"The Virtual Machine Scale Set '{reference}' referenced by the Virtual Machine does not exist."
    return ArmError(400, "InvalidParameter", message, "virtualMachineScaleSet.id")


def scale_set_being_deleted(name: str) -> ArmError:
    message = (
        f"Operation 'Update Virtual Machine Scale Set' is not allowed on Virtual Machine Scale Set '{name}' since it is marked "
        f"for deletion. "
        f"For more information on your operations, please refer to {ACTIVITY_LOG}."
    )
    return ArmError(409, "OperationNotAllowed", message)


def vm_operation_not_allowed(operation: str, vm: str, why: str) -> ArmError:
    return ArmError(409, "OperationNotAllowed", f"Operation '{operation}' is not allowed on VM '{vm}' since {why}")


MARKED_FOR_DELETION = "the VM is marked for deletion. You can only retry the Delete operation (or wait for an ongoing one to complete)."
IN_PROGRESS = "another operation is in progress."
DEALLOCATED = "the VM is either deallocated or marked to be deallocated."
RUNNING = "the VM is running. Please power off explicitly in case you shut down the VM from inside the guest operating system."
NOT_DEALLOCATED = "the VM is not deallocated."
GENERALIZED = "the VM is generalized."


def power_is_changing(vm: str, state: str, operation: str) -> ArmError:
    message = (
        f"An ongoing operation is changing power state of Virtual Machine {vm} to {state}. "
        f"Please perform operation {operation} after some time."
    )
    return ArmError(409, "OperationNotAllowed", message)


def extension_only_at_creation(handler: str) -> ArmError:
    message = f"VM Scale Set extensions of handler '{handler}' can be added only at the time of VM Scale Set creation."
    return ArmError(409, "OperationNotAllowed", message)


def extensions_need_running_vm() -> ArmError:
    return ArmError(409, "OperationNotAllowed", "Cannot modify extensions in the VM when the VM is not running.")


def vm_must_run() -> ArmError:
    return ArmError(409, "OperationNotAllowed", "The operation requires the VM to be running (or set to run).")


def conflict() -> ArmError:
    return ArmError(
        409,
        "Conflict",
        "The request failed due to conflict with a concurrent request. To resolve it, please refer to "
        f"{ACTIVITY_LOG} to get more details on the conflicting requests.",
    )


def quota_exceeded(what: str, location: str, limit: int, usage: int, additional: int) -> ArmError:
    message = (
        f"Operation could not be completed as it results in exceeding approved {what} quota. Additional details - Deployment Model: "
        f"Resource Manager, Location: {location}, Current Limit: {limit}, Current Usage: {usage}, Additional Required: {additional}, "
        f"(Minimum) New Limit Required: {usage + additional}. Submit a request for Quota increase at https://aka.ms/ProdportalCRP/ by "
        "specifying parameters listed in the 'Details' section for deployment to succeed. Please read more about quota limits at "
        "https://docs.microsoft.com/en-us/azure/azure-supportability/regional-quota-requests."
    )
    return ArmError(409, "OperationNotAllowed", message)


def size_restricted(resource_id: str, size: str, location: str, zones: str, subscription: str, preview: bool) -> ArmError:
    if preview:
        message = (
            f"The requested size for resource '{resource_id}' is currently not available in location '{location}' zones '{zones}' for "
            f"subscription '{subscription}'. Please try another size or deploy to a different location or zones. "
            "See https://aka.ms/azureskunotavailable for details."
        )
    else:
        message = (
            f"The requested VM size for resource 'Following SKUs have failed for Capacity Restrictions: {size}' is currently not available "
            f"in location '{location}'. Please try another size or deploy to a different location or different zone. "
            "See https://aka.ms/azureskunotavailable for details."
        )
    return ArmError(409, "SkuNotAvailable", message)


def size_unknown(size: str, available: Iterable[str]) -> ArmError:
    message = (
        f"The requested VM size {size} is not available in the current region. The sizes available in the current region are: "
        f"{','.join(available)}. Find out more on the available VM sizes in each region at https://aka.ms/azure-regions."
    )
    return ArmError(400, "InvalidParameter", message, "vmSize")


def batch_not_allowed(operation: str, name: str) -> ArmError:
    message = (
        f"Operation '{operation}' is not allowed on Virtual Machine Scale Set '{name}' since its orchestration mode is 'Flexible'. "
        "Use the Virtual Machine APIs on its instances."
    )
    return ArmError(409, "OperationNotAllowed", message)


def eviction_not_allowed(vm: str) -> ArmError:
    return vm_operation_not_allowed("simulateEviction", vm, "the VM is not a Spot Virtual Machine.")


def priority_cannot_be_applied() -> ArmError:
    message = "The specified priority cannot be applied to the Virtual Machine since no priority was specified when it was created."
    return ArmError(409, "VMPriorityCannotBeApplied", message, "priority")


def max_price_invalid() -> ArmError:
    message = "Invalid max price value. The only supported values for max price are -1 or a decimal greater than zero."
    return ArmError(400, "MaxPriceValueInvalid", message, "billingProfile.maxPrice")


def max_price_needs_deallocated() -> ArmError:
    return ArmError(409, "MaxPriceUpdateRequiresVMToBeDeallocated", "Max price can be updated only when VM is in deallocated state.")


def max_price_too_low(price: float, size: str, verb: str = "create") -> ArmError:
    message = (
        f"Cannot {verb} this Virtual Machine since the provided max price is lower than the current variable price "
        f"{price:.5f} for spot VM size {size}."
    )
    return ArmError(409, "MaxPriceLowerThanCurrentPrice", message, "billingProfile.maxPrice")


def billing_profile_needs_spot() -> ArmError:
    message = "Billing profile can be changed only on spot Virtual Machines."
    return ArmError(409, "BillingProfileChangeNotAllowed", message, "billingProfile")


def eviction_policy_needs_spot() -> ArmError:
    message = "Eviction policy can be set only on spot Virtual Machines."
    return ArmError(409, "EvictionPolicyCanBeSetOnlyOnAzureSpotVirtualMachines", message, "evictionPolicy")


def platform_update() -> ArmError:
    message = "Resource cannot be updated at this time due to ongoing platform update. Please try again later."
    return ArmError(409, "ResourceUpdateBlockedOnPlatformUpdate", message)


def windows_prefix(target: str) -> ArmError:
    message = (
        "Windows computer name prefix cannot be more than 9 characters long, be entirely numeric, or contain the following characters: "
        "` ~ ! @ # $ % ^ & * ( ) = + _ [ ] { } \\ | ; : . ' \" , < > / ?."
    )
    return ArmError(400, "InvalidParameter", message, target)


def windows_name(target: str) -> ArmError:
    message = (
        "Windows computer name cannot be more than 15 characters long, be entirely numeric, or contain the following characters: "
        "` ~ ! @ # $ % ^ & * ( ) = + _ [ ] { } \\ | ; : . ' \" , < > / ?."
    )
    return ArmError(400, "InvalidParameter", message, target)


def too_many_tags(most: int) -> ArmError:
    return ArmError(400, "BadRequest", f"Too many tags: a resource has at most {most}.", "tags")


def tag_names_invalid(names: Iterable[str]) -> ArmError:
    message = f"The tag names '{','.join(names)}' have reserved characters '<,>,%,&,\\,?,/' or control characters."
    return ArmError(400, "InvalidTagNameCharacters", message)


def too_many_data_disks(most: int) -> ArmError:
    message = f"The maximum number of data disks allowed to be attached to a VM of this size is {most}."
    return ArmError(409, "OperationNotAllowed", message, "dataDisks")


def ephemeral_not_deallocated() -> ArmError:
    message = "Operation 'deallocate' is not supported for VMs or VM Scale Set instances using an ephemeral OS disk."
    return ArmError(409, "OperationNotAllowed", message)


def handler_added_already(os_type: str, name: str, handler: str) -> ArmError:
    message = (
        f"Multiple VMExtensions per handler not supported for OS type '{os_type}'. VMExtension '{name}' with handler '{handler}' already "
        "added or specified in input."
    )
    return ArmError(400, "BadRequest", message)


def name_invalid(target: str, name: str) -> ArmError:
    return ArmError(
        400,
        "InvalidParameter",
        f"The resource name '{name}' is invalid: see the naming rules and restrictions for Azure resources.",
        target,
    )


# Attaching and detaching VMs, in the later service.

_ATTACH = " For more information, see https://aka.ms/vmo/attachdetach."


def attach_many_domains(name: str, verb: str = "attaching") -> ArmError:
    tail = "to it" if verb == "attaching" else "from it"
    message = (
        f"Referenced Virtual Machine Scale Set '{name}' does not support {verb} an existing Virtual Machine {tail} because the "
        f"Virtual Machine "
        f"Scale Set has more than 1 fault domains.{_ATTACH}"
    )
    return ArmError(409, "VmssDoesNotSupportAttachingExistingVMMultiFD", message)


def attach_availability_set(vm: str) -> ArmError:
    message = (
        f"Referenced Virtual Machine '{vm}' belongs to an Availability Set and "
        f"attaching to a Virtual Machine Scale Set is not supported.{_ATTACH}"
    )
    return ArmError(409, "VmssDoesNotSupportAttachingExistingAvsetVM", message)


def attach_unmanaged_disk(vm: str) -> ArmError:
    message = f"Using a Virtual Machine '{vm}' with unmanaged disks and attaching it to a Virtual Machine Scale Set is not supported."
    return ArmError(409, "VmssDoesNotSupportAttachingExistingVMUnmanagedDisk", message + _ATTACH)


def attach_single_placement_group(name: str, verb: str = "attaching") -> ArmError:
    tail = "to it" if verb == "attaching" else "from it"
    message = (
        f"Referenced Virtual Machine Scale Set '{name}' does not support {verb} an existing Virtual Machine {tail} because the "
        "Virtual Machine Scale Set does not have 'singlePlacementGroup' set to false."
    )
    return ArmError(409, "VmssDoesNotSupportAttachingWithSpg", message + _ATTACH)


def attach_placement_group(vm: str) -> ArmError:
    message = (
        f"Referenced Virtual Machine '{vm}' belongs to a proximity placement group (PPG) and attaching to a Virtual Machine Scale Set "
        f"is not supported.{_ATTACH}"
    )
    return ArmError(409, "VmssDoesNotSupportAttachingPPGVM", message)


# The front door.


def not_found(type_: str, name: str, group: str) -> ArmError:
    message = (
        f"The Resource '{type_}/{name}' under resource group '{group}' was not found. "
        "For more details please go to https://aka.ms/ARMResourceNotFoundFix"
    )
    return ArmError(404, "ResourceNotFound", message)


def group_not_found(group: str) -> ArmError:
    return ArmError(404, "ResourceGroupNotFound", f"Resource group '{group}' could not be found.")


def parent_not_found(name: str) -> ArmError:
    message = f"Can not perform requested operation on nested resource. Parent resource '{name}' not found."
    return ArmError(404, "ParentResourceNotFound", message)


def wrong_location(name: str, there: str, group: str, asked: str) -> ArmError:
    message = (
        f"The resource '{name}' already exists in location '{there}' in resource group '{group}'. A resource with the same name cannot be "
        f"created in location '{asked}'. Please select a new resource name."
    )
    return ArmError(409, "InvalidResourceLocation", message)


def wrong_group_location(there: str, asked: str) -> ArmError:
    message = f"Invalid resource group location '{asked}'. The Resource group already exists in location '{there}'."
    return ArmError(409, "InvalidResourceGroupLocation", message)


def location_required() -> ArmError:
    return ArmError(400, "LocationRequired", "The location property is required for this definition.")


def location_unknown(location: str, type_: str, regions: Iterable[str]) -> ArmError:
    message = (
        f"The provided location '{location}' is not available for resource type '{type_}'. "
        f"List of available regions for the resource type is '{','.join(regions)}'."
    )
    return ArmError(400, "LocationNotAvailableForResourceType", message)


def content_invalid(detail: str) -> ArmError:
    message = f"The request content was invalid and could not be deserialized: '{detail}'."
    return ArmError(400, "InvalidRequestContent", message)


def top_member_unknown(name: str, position: int) -> ArmError:
    return content_invalid(
        f"Could not find member '{name}' on object of type 'ResourceDefinition'. Path '{name}', line 1, position {position}."
    )


def member_unknown(owner: str, path: str, name: str, position: int) -> ArmError:
    message = f"Could not find member '{name}' on object of type 'Properties'. Path '{path}', line 1, position {position}."
    return ArmError(400, "BadRequest", message, f"{owner}.{path}")


def api_version_missing() -> ArmError:
    message = "The api-version query parameter (?api-version=) is required for all requests."
    return ArmError(400, "MissingApiVersionParameter", message)


def api_version_invalid(version: str, supported: Iterable[str]) -> ArmError:
    message = f"The api-version '{version}' is invalid. The supported versions are '{','.join(supported)}'."
    return ArmError(400, "InvalidApiVersionParameter", message)


def provider_version_unknown(location: str, version: str, type_: str, versions: Iterable[str], locations: Iterable[str]) -> ArmError:
    message = (
        f"No registered resource provider found for location '{location}' and API version '{version}' for type '{type_}'. "
        f"The supported api-versions are '{', '.join(versions)}'. The supported locations are '{', '.join(locations)}'."
    )
    return ArmError(400, "NoRegisteredProviderFound", message)


def type_unknown(type_: str, namespace: str, version: str, versions: Iterable[str]) -> ArmError:
    message = (
        f"The resource type '{type_}' could not be found in the namespace '{namespace}' for api version '{version}'. "
        f"The supported api-versions are '{', '.join(versions)}'."
    )
    return ArmError(404, "InvalidResourceType", message)


def subscription_not_found(subscription: str) -> ArmError:
    return ArmError(404, "SubscriptionNotFound", f"The subscription '{subscription}' could not be found.")


def provider_not_registered(namespace: str = "Microsoft.Compute") -> ArmError:
    message = (
        f"The subscription is not registered to use namespace '{namespace}'. "
        "See https://aka.ms/rps-not-found for how to register subscriptions."
    )
    return ArmError(409, "MissingSubscriptionRegistration", message)


def precondition_failed(header: str, etag: str) -> ArmError:
    return ArmError(412, "PreconditionFailed", f"The condition '{etag}' in the {header} header was not satisfied.")


def throttled(policy: str, start: str, end: str, allowed: int, measured: int) -> ArmError:
    measure = f'"allowedRequestCount":{allowed},"measuredRequestCount":{measured}'
    group = f'{{"operationGroup":"{policy}","startTime":"{start}","endTime":"{end}",{measure}}}'
    return ArmError(
        429,
        "OperationNotAllowed",
        "The server rejected the request because too many requests have been received for this subscription.",
        details=[{"code": "TooManyRequests", "target": policy, "message": group}],
    )


def target_immutable(name: str, group: str, target: str) -> ArmError:
    message = (
        f"The autoscale setting '{name}' under resource group '{group}' is referencing target resource '{target}'. The target resource "
        "reference is immutable. If you want to change it, please create a new autoscale setting with a different name."
    )
    return ArmError(409, "TargetResourceIdIsImmutable", message)


def reference_not_found(wanted: str, owner: str) -> ArmError:
    message = (
        f"Resource {wanted} referenced by resource {owner} was not found. Please make sure that the referenced resource exists, and that "
        "both resources are in the same region."
    )
    return ArmError(400, "InvalidResourceReference", message)


def public_ip_in_use(owner: str, address: str, holder: str) -> ArmError:
    message = f"Resource {owner} is referencing public IP address {address} that is already allocated to resource {holder}."
    return ArmError(400, "PublicIPAddressInUse", message)


def instance_id_no_number() -> ArmError:
    return ArmError(400, "InvalidParameter", "Virtual Machine Scale Set VM instanceId must be a number.", "instanceId")


def scope_locked(scope: str, locked: str, operation: str = "delete") -> ArmError:
    message = (
        f"The scope '{scope}' cannot perform {operation} operation because following scope(s) are locked: '{locked}'. "
        "Please remove the lock and try again."
    )
    return ArmError(409, "ScopeLocked", message)


def group_being_deleted(group: str) -> ArmError:
    message = f"The resource group '{group}' is in deprovisioning state and cannot perform this operation."
    return ArmError(409, "ResourceGroupBeingDeleted", message)


def method_not_allowed(method: str, path: str) -> ArmError:
    return ArmError(405, "MethodNotAllowed", f"The requested method '{method}' is not supported on '{path}'.")


def bad_request(message: str, target: str = "") -> ArmError:
    return ArmError(400, "BadRequest", message, target)


def too_large() -> ArmError:
    return ArmError(413, "RequestEntityTooLarge", "The request body is larger than the limit of 4194304 bytes.")


def authentication_failed() -> ArmError:
    return ArmError(401, "AuthenticationFailed", "Authentication failed. The 'Authorization' header is missing.")


def authorization_failed(action: str, scope: str) -> ArmError:
    message = (
        f"The client '{_CLIENT}' with object id '{_CLIENT}' does not have authorization to perform action '{action}' over scope "
        f"'{scope}' or the scope is invalid. If access was recently granted, please refresh your credentials."
    )
    return ArmError(403, "AuthorizationFailed", message)


_CLIENT = "00000000-0000-0000-0000-00000000c11e"
_STATUS_OF_CODE = {"TooManyRequests": 429, "ServiceUnavailable": 503, "GatewayTimeout": 504, "BadGateway": 502}


def internal() -> ArmError:
    return ArmError(500, "InternalServerError", "The server encountered an internal error. Please retry the request.")


def injected(code: str, action: str, scope: str) -> ArmError:
    """The answer of an `api_error` fault with this code."""
    if code == "Conflict":
        return conflict()
    if code == "AuthenticationFailed":
        return authentication_failed()
    if code == "AuthorizationFailed":
        return authorization_failed(action, scope)
    message = "The server encountered an internal error. Please retry the request."
    return ArmError(_STATUS_OF_CODE.get(code, 500), code, message)
