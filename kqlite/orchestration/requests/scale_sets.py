"""Requests about scale sets: create, update, set the capacity, delete; and operations that Flexible orchestration refuses.

Source: Azure docs, "Preview: Flexible orchestration for virtual machine scale sets in Azure"; "Virtual Machine Scale Sets - Create
Or Update".
"""

from __future__ import annotations

from typing import Any

from kqlite.orchestration import arm_documents, errors
from kqlite.orchestration.controllers import repair
from kqlite.orchestration.controllers import scale_set as controller
from kqlite.orchestration.failures import PREEMPTED
from kqlite.orchestration.fleet import Container
from kqlite.orchestration.instances import begin_delete
from kqlite.orchestration.model import Provisioning, ScaleSetState, Type, VmState
from kqlite.orchestration.recorder import Recorder
from kqlite.orchestration.requests.bodies import read_model, read_resource
from kqlite.orchestration.requests.call import (
    Call,
    Outcome,
    check_match,
    check_name,
    check_registered,
    check_unlocked,
    checked_location,
    get_path,
)
from kqlite.orchestration.requests.wanted_sets import WantedSet, repair_state

OWNER = "vmss"
# Operations that Flexible orchestration refuses, by the last part of the path in lower case. Uniform sets have them.
BATCH = {
    "start": "VirtualMachineScaleSets.start.POST",
    "poweroff": "VirtualMachineScaleSets.powerOff.POST",
    "restart": "VirtualMachineScaleSets.restart.POST",
    "deallocate": "VirtualMachineScaleSets.deallocate.POST",
    "redeploy": "VirtualMachineScaleSets.redeploy.POST",
    "reimage": "VirtualMachineScaleSets.reimage.POST",
    "reimageall": "VirtualMachineScaleSets.reimageAll.POST",
    "performmaintenance": "VirtualMachineScaleSets.performMaintenance.POST",
    "manualupgrade": "VirtualMachineScaleSets.manualUpgrade.POST",
    "delete": "VirtualMachineScaleSets.delete.POST",
    "converttosingleplacementgroup": "VirtualMachineScaleSets.convertToSinglePlacementGroup.POST",
    "osupgradehistory": "VirtualMachineScaleSets.osUpgradeHistory.GET",
    "osrollingupgrade": "VirtualMachineScaleSets.osRollingUpgrade.POST",
    "extensions": "VirtualMachineScaleSets.extensions",
    "rollingupgrades": "VirtualMachineScaleSets.rollingUpgrades.GET",
}


def find(recorder: Recorder, call: Call) -> tuple[Container, ScaleSetState]:
    """The scale set that a request names. Raises ArmError 404."""
    group = call.group(recorder)
    scale_set = group.scale_set(call.name)
    if scale_set is None:
        raise errors.not_found(Type.SCALE_SET, call.name, group.name)
    return group, scale_set


def put(recorder: Recorder, call: Call) -> Outcome:
    """PUT and PATCH of a scale set."""
    check_registered(recorder, call.subscription, "Microsoft.Compute")
    group = call.group(recorder)
    existing = group.scale_set(call.name)
    if existing is None and call.method == "PATCH":
        raise errors.not_found(Type.SCALE_SET, call.name, group.name)
    location = checked_location(call.body if isinstance(call.body, dict) else {}, Type.SCALE_SET, existing.location if existing else "")
    body = read_resource(call, "VirtualMachineScaleSet", OWNER)
    check_name(call.name, "vmScaleSetName")
    check_match(call, existing)
    wanted = WantedSet(recorder, call, group, existing, location, body)
    wanted.check()
    return wanted.create() if existing is None else wanted.update(existing)


def delete(recorder: Recorder, call: Call) -> Outcome:
    """DELETE of a scale set. The preview refuses it while the set has members; the later service can force it."""
    check_registered(recorder, call.subscription, "Microsoft.Compute")
    group = call.group(recorder)
    scale_set = group.scale_set(call.name)
    if scale_set is None:
        return Outcome(204)
    check_match(call, scale_set)
    id_ = group.scope(Type.SCALE_SET) + scale_set.name
    membership = recorder.fleet.membership(group, scale_set.name)
    if membership.total:
        if recorder.preview or call.query.get("forcedeletion", "").lower() != "true":
            raise errors.scale_set_has_members()
        for vm in recorder.fleet.members(group, scale_set.name):
            begin_delete(recorder, group, vm, "set", quick=True)
        scale_set = find(recorder, call)[1]  # `begin_delete` may have changed the set
    if scale_set.operation and scale_set.provisioning == Provisioning.DELETING:
        return Outcome(202, operation=scale_set.operation, location=scale_set.location)
    if scale_set.operation:
        recorder.end_operation(group, scale_set.operation, PREEMPTED)
    operation = recorder.open_operation("virtualMachineScaleSets/delete", group, id_, scale_set.location)
    controller.begin_delete_set(recorder, group, scale_set, operation)
    return Outcome(202, operation=operation, location=scale_set.location)


def set_service_state(recorder: Recorder, call: Call) -> Outcome:
    """POST setOrchestrationServiceState: suspend or resume automatic repairs."""
    group, scale_set = find(recorder, call)
    body = read_model(call, "OrchestrationServiceStateInput", OWNER)
    if (body.get("serviceName") or "").lower() not in ("automaticrepairs", "dummyorchestrationservicename"):
        raise errors.parameter_invalid("serviceName")
    action = (body.get("action") or "").lower()
    if action not in ("suspend", "resume"):
        raise errors.parameter_invalid("action")
    if not scale_set.repair:
        raise errors.bad_request("The scale set has no automatic repairs policy.", "serviceName")
    operation = recorder.open_operation(
        "virtualMachineScaleSets/setOrchestrationServiceState", group, group.scope(Type.SCALE_SET) + scale_set.name, scale_set.location
    )
    policy = recorder.fleet.definitions[scale_set.model].document["properties"].get("automaticRepairsPolicy")
    state = "Suspended" if action == "suspend" else repair_state(policy)
    scale_set = recorder.change_set(group, scale_set, repair=state, repair_rounds=0)
    if state == "Running":
        repair.repair_now(recorder, group, scale_set)
    recorder.end_operation(group, operation)
    return Outcome(202, operation=operation, location=scale_set.location)


def show(recorder: Recorder, group: Container, scale_set: ScaleSetState) -> dict[str, Any]:
    """The set's document."""
    return arm_documents.scale_set(group.id, scale_set, recorder.fleet.definitions)


def instance_view(recorder: Recorder, call: Call) -> Outcome:
    """GET instanceView. It is refused for a set without a repairs policy."""
    _, scale_set = find(recorder, call)
    if not scale_set.repair:
        raise errors.batch_not_allowed("VirtualMachineScaleSets.instanceView.GET", scale_set.name)
    return Outcome(200, lambda: arm_documents.scale_set_view(scale_set))


def delete_instances(recorder: Recorder, call: Call) -> Outcome:
    """POST delete: deletes several instances in one operation. Only the later service has it."""
    group, scale_set = find(recorder, call)
    body = read_model(call, "VirtualMachineScaleSetVMInstanceRequiredIDs", OWNER)
    vms = [_member(group, scale_set, name) for name in dict.fromkeys(name.lower() for name in body.get("instanceIds") or [])]
    if not vms:
        raise errors.parameter_invalid("instanceIds")
    for vm in vms:
        check_unlocked(recorder, group, group.scope(Type.VM) + vm.name)
    id_ = group.scope(Type.SCALE_SET) + scale_set.name
    operation = recorder.open_operation("virtualMachineScaleSets/delete/action", group, id_, scale_set.location)
    quick = call.query.get("forcedeletion", "").lower() == "true"
    going = [vm for vm in vms if vm.provisioning != Provisioning.DELETING]
    for vm in going:
        controller.member_left(recorder, group, vm)
        begin_delete(recorder, group, vm, operation, quick)
    if not going:
        recorder.end_operation(group, operation)
    return Outcome(202, operation=operation, location=scale_set.location)


def _member(group: Container, scale_set: ScaleSetState, name: str) -> VmState:
    vm = group.vm(name)
    if vm is None or vm.set.lower() != scale_set.name.lower():
        raise errors.parameter_invalid("instanceIds")
    return vm


def protect(recorder: Recorder, call: Call) -> Outcome:
    """PUT of an instance: sets its protection policy. Only the later service has it.

    Source: Azure docs, "Instance Protection for Azure Virtual Machine Scale Set instances".
    """
    group, scale_set = find(recorder, call)
    name = call.child.rpartition("/")[2]
    vm = group.vm(name)
    if vm is None or vm.set.lower() != scale_set.name.lower():
        raise errors.not_found(f"{Type.SCALE_SET}/{scale_set.name}/virtualMachines", name, group.name)
    body = read_resource(call, "VirtualMachineScaleSetVM", OWNER)
    policy = get_path(body, "properties", "protectionPolicy") or {}
    kind = "actions" if policy.get("protectFromScaleSetActions") else "scale-in" if policy.get("protectFromScaleIn") else ""
    others = tuple(each for each in scale_set.protected if each[0] != vm.name.lower())
    target = f"{group.scope(Type.SCALE_SET)}{scale_set.name}/virtualMachines/{vm.name}"
    operation = recorder.open_operation("virtualMachineScaleSets/virtualMachines/write", group, target, scale_set.location)
    owner = recorder.change_set(group, scale_set, protected=(*others, (vm.name.lower(), kind)) if kind else others)
    recorder.end_operation(group, operation)
    return Outcome(200, lambda: arm_documents.scale_set_vm(group.id, vm, owner, in_full=True), operation, scale_set.location)


def refuse(recorder: Recorder, call: Call) -> Outcome:
    """Refuse an operation on a scale set that Flexible orchestration does not have."""
    _, scale_set = find(recorder, call)
    raise errors.batch_not_allowed(BATCH[call.child.lower()], scale_set.name)


def refuse_instance(recorder: Recorder, call: Call) -> Outcome:
    """Refuse an operation on an instance that Flexible orchestration does not have."""
    _, scale_set = find(recorder, call)
    action = call.child.rpartition("/")[2]
    raise errors.batch_not_allowed(f"VirtualMachineScaleSetVMs.{action}.{call.method}", scale_set.name)
