"""Failures of operations: code and message, as the operation, the VM and its scale set show them.

Source: Azure docs, "Common error messages for virtual machines"; "Troubleshoot allocation failures".
"""

from __future__ import annotations

from kqlite.orchestration.model import Failure

INTERNAL: Failure = ("InternalServerError", "The server encountered an internal error. Please retry the request.")
PREEMPTED: Failure = ("OperationPreempted", "Operation execution has been preempted by a more recent operation.")


def allocation_failed(zonal: bool) -> Failure:
    """There is no capacity for another VM."""
    area = "zone" if zonal else "region"
    message = (
        f"Allocation failed. We do not have sufficient capacity for the requested VM size in this {area}. "
        "Read more about improving likelihood of allocation success at http://aka.ms/allocation-guidance"
    )
    return ("ZonalAllocationFailed" if zonal else "AllocationFailed", message)


def os_provisioning_timed_out(vm: str) -> Failure:
    message = (
        f"OS Provisioning for VM '{vm}' did not finish in the allotted time. The VM may still finish provisioning successfully. "
        "Please check provisioning state later."
    )
    return ("OSProvisioningTimedOut", message)


def os_provisioning_internal(vm: str) -> Failure:
    return ("OSProvisioningInternalError", f"OS Provisioning failed for VM '{vm}' due to an internal error.")


def extension_failed(name: str, reason: str) -> Failure:
    message = f"VM has reported a failure when processing extension '{name}'. Error message: \"{reason}\"."
    return ("VMExtensionProvisioningError", message)


def extension_timed_out(name: str) -> Failure:
    message = (
        f"Provisioning of VM extension '{name}' has timed out. Extension installation may be taking too long, or extension "
        f"status could not "
        "be obtained."
    )
    return ("VMExtensionProvisioningTimeout", message)


def overconstrained(zonal: bool) -> Failure:
    """There is no capacity close to the other VMs of the proximity placement group."""
    code = "OverconstrainedZonalAllocationRequest" if zonal else "OverconstrainedAllocationRequest"
    return (code, "The required VM size is not currently available in the selected location.")


def start_timed_out(vm: str) -> Failure:
    message = f"VM '{vm}' did not start in the allotted time. The VM may still start successfully. Please check the power state later."
    return ("VMStartTimedOut", message)


def redeployment_failed(vm: str) -> Failure:
    return ("VMRedeploymentFailed", f"VM '{vm}' redeployment failed due to an internal error. Please retry later.")


def agent_silent(vm: str) -> Failure:
    message = (
        f"VM '{vm}' has not reported status for VM agent or extensions. Please verify the VM has a running VM agent, and can "
        "establish outbound connections to Azure storage."
    )
    return ("VMAgentStatusCommunicationError", message)


def extension_not_found(publisher: str, type_: str, location: str) -> Failure:
    message = f"The VM extension with publisher '{publisher}' and type '{type_}' could not be found in location '{location}'."
    return ("ArtifactNotFound", message)


def instances_protected(name: str) -> Failure:
    message = f"Virtual Machine Scale Set '{name}' cannot be scaled in further: the instances that are left are protected from scale-in."
    return ("OperationNotAllowed", message)
