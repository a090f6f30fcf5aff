"""Requests about virtual machines: create (standalone or as a member of a scale set), update, delete.

Source: Azure docs, "Virtual Machines - Create Or Update"; "Preview: Flexible orchestration for virtual machine scale sets in Azure".
"""

from __future__ import annotations

from kqlite.orchestration import errors
from kqlite.orchestration.controllers import scale_set as sets
from kqlite.orchestration.instances import begin_delete
from kqlite.orchestration.model import Provisioning, Type
from kqlite.orchestration.recorder import Recorder
from kqlite.orchestration.requests.bodies import read_resource
from kqlite.orchestration.requests.call import (
    Call,
    Outcome,
    check_match,
    check_name,
    check_registered,
    checked_location,
)
from kqlite.orchestration.requests.vm_creation import Creation
from kqlite.orchestration.requests.vm_update import Update

OWNER = "vm"


def put(recorder: Recorder, call: Call) -> Outcome:
    """PUT and PATCH of a VM."""
    check_registered(recorder, call.subscription, "Microsoft.Compute")
    group = call.group(recorder)
    existing = group.vm(call.name)
    if existing is None and call.method == "PATCH":
        raise errors.not_found(Type.VM, call.name, group.name)
    location = checked_location(call.body if isinstance(call.body, dict) else {}, Type.VM, existing.location if existing else "")
    body = read_resource(call, "VirtualMachine", OWNER)
    check_name(call.name, "vmName")
    check_match(call, existing)
    if existing is not None:
        return Update(recorder, call, group, existing, location, body).run()
    return Creation(recorder, call, group, location, body).run()


def delete(recorder: Recorder, call: Call) -> Outcome:
    """DELETE of a VM. If the VM is being deleted already, the answer names the running operation."""
    check_registered(recorder, call.subscription, "Microsoft.Compute")
    group = call.group(recorder)
    vm = group.vm(call.name)
    if vm is None:
        return Outcome(204)
    check_match(call, vm)
    id_ = group.scope(Type.VM) + vm.name
    quick = call.query.get("forcedeletion", "").lower() == "true"
    if vm.provisioning == Provisioning.DELETING and vm.work not in ("", "set", "repair"):
        return Outcome(202, operation=vm.work, location=vm.location)
    operation = recorder.open_operation("virtualMachines/delete", group, id_, vm.location)
    if vm.provisioning == Provisioning.DELETING:
        # The set or a repair deletes the VM already, without an operation that this answer could name.
        recorder.end_operation(group, operation)
        return Outcome(202, operation=operation, location=vm.location)
    sets.member_left(recorder, group, vm)
    begin_delete(recorder, group, vm, operation, quick)
    return Outcome(202, operation=operation, location=vm.location)
