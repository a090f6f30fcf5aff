"""The VM controller: a state machine for each VM. `_STEP_ENDS` has the function that runs when a step ends.

The creation of a VM:

    step        takes                     then power  then the VM
    allocate    10 % of creation time     starting    boots; without capacity it is Failed
    boot        30 % of creation time     running     is provisioned
    provision   60 % of creation time     running     installs its extensions, or is Failed
    extensions  10 to 120 seconds each    running     is Succeeded and idle: step "", due 0
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

from kqlite.orchestration import failures
from kqlite.orchestration.attachments import follow_power
from kqlite.orchestration.azure_offerings import RACKS
from kqlite.orchestration.clock import MINUTE
from kqlite.orchestration.controllers import health, notices, repair, scale_set, spot
from kqlite.orchestration.faults import fault_hitting, value_of, vm_scope
from kqlite.orchestration.fleet import Container
from kqlite.orchestration.instances import (
    begin,
    boot_due,
    change_extension,
    delete_now,
    provision_due,
    remove,
    step_due,
    with_extension,
)
from kqlite.orchestration.model import Failure, OperationState, Power, Provisioning, Step, Type, VmState
from kqlite.orchestration.recorder import Recorder
from kqlite.orchestration.vm_profiles import outbound_of

_BOOT_LIMIT = {"Linux": 20 * MINUTE, "Windows": 40 * MINUTE}


def wake(recorder: Recorder, group: Container, name: str, due: int) -> None:
    """End the step of a VM, unless the timer is stale."""
    vm = group.vm(name)
    if vm is None or vm.due != due:
        return
    with recorder.because("vm", vm.step, _operation(group, vm)):
        _STEP_ENDS[vm.step](recorder, group, vm)


def _operation(group: Container, vm: VmState) -> str:
    if vm.work in ("set", "repair"):
        owner = group.scale_set(vm.set)
        return owner.operation if owner is not None else ""
    return vm.work


def _finish(recorder: Recorder, group: Container, vm: VmState, failure: Failure | tuple[()] = (), **fields: Any) -> VmState:
    """The work on a VM has ended, with `failure` or successfully. Notify the set, the repair or the operation that waits for it."""
    work = vm.work
    state = Provisioning.FAILED if failure else Provisioning.SUCCEEDED
    vm = recorder.change_vm(
        group,
        vm,
        provisioning=state,
        failure=failure,
        changed=recorder.now if state != vm.provisioning else vm.changed,
        settled=recorder.now,
        step=Step.NONE,
        due=0,
        work="",
        **fields,
    )
    vm = health.watch(recorder, group, vm)
    _work_done(recorder, group, vm.set, work, failure)
    return vm


def _work_done(recorder: Recorder, group: Container, set_name: str, work: str, failure: Failure | tuple[()]) -> None:
    if work == "set":
        scale_set.instance_done(recorder, group, set_name, failure)
    elif work == "repair":
        repair.instance_done(recorder, group, set_name)
    elif work and work not in recorder.fleet.open_work and not _ends_with_its_group(recorder, group, work):
        recorder.end_operation(group, work, failure)


def _ends_with_its_group(recorder: Recorder, group: Container, operation: str) -> bool:
    state = cast("OperationState | None", recorder.subscription(group).get(Type.OPERATION, operation))
    return state is not None and state.verb == "resourceGroups/delete"


def _no_capacity(recorder: Recorder, vm: VmState) -> Failure | None:
    """Why a VM cannot be allocated now; None if it can."""
    scope = vm_scope(recorder, vm)
    lost = bool(vm.zone) and fault_hitting(recorder, "zone_loss", vm.uid, scope) is not None
    if not lost and fault_hitting(recorder, "allocation", vm.uid, scope, vm.turn) is None:
        return None
    near = recorder.fleet.facts(vm.model).placement_group
    return failures.overconstrained(bool(vm.zone)) if near else failures.allocation_failed(bool(vm.zone))


# Creation


def _allocated(recorder: Recorder, group: Container, vm: VmState) -> None:
    failure = _no_capacity(recorder, vm)
    if failure is not None:
        _finish(recorder, group, vm, failure)
        return
    due = boot_due(recorder, vm, recorder.fleet.facts(vm.model))
    recorder.change_vm(group, vm, power=Power.STARTING, step=Step.BOOT, due=due)


def _booted(recorder: Recorder, group: Container, vm: VmState) -> None:
    facts = recorder.fleet.facts(vm.model)
    due = provision_due(recorder, vm, facts)
    failure: Failure | tuple[()] = ()
    fault = fault_hitting(recorder, "os_provisioning", vm.uid, vm_scope(recorder, vm), vm.turn)
    if fault is not None and value_of(fault, "answer") == "error":
        failure = failures.os_provisioning_internal(vm.name)
    elif fault is not None:
        failure = failures.os_provisioning_timed_out(vm.name)
        due = recorder.now + _BOOT_LIMIT[facts.os_type]
    # The failure is decided here and kept in the state. Documents show it when the step ends and the VM is Failed.
    recorder.change_vm(group, vm, power=Power.RUNNING, step=Step.PROVISION, due=due, failure=failure)


def _provisioned(recorder: Recorder, group: Container, vm: VmState) -> None:
    if vm.failure:
        _finish(recorder, group, vm, vm.failure)
        return
    facts = recorder.fleet.facts(vm.model)
    if facts.os_type == "Windows" and facts.kind == "instance":
        body = recorder.fleet.definitions[vm.model].document["profile"]
        if outbound_of(body, True) == "none":
            recorder.note(
                f"{group.id}/providers/Microsoft.Compute/virtualMachines/{vm.name}", "Windows activation failed: no outbound access"
            )
    _next_extension(recorder, group, vm)


def _next_extension(recorder: Recorder, group: Container, vm: VmState) -> None:
    """Install the next extension, or finish."""
    if any(state in (Provisioning.CREATING, Provisioning.UPDATING) for _, _, state, _, _ in vm.extensions):
        turned = vm._replace(turn=vm.turn + 1)
        recorder.change_vm(group, vm, step=Step.EXTENSIONS, turn=turned.turn, due=step_due(recorder, turned, Step.EXTENSIONS))
    else:
        _finish(recorder, group, vm)


def _extension_done(recorder: Recorder, group: Container, vm: VmState) -> None:
    name, number = next((n, d) for n, d, state, _, _ in vm.extensions if state in (Provisioning.CREATING, Provisioning.UPDATING))
    document = recorder.fleet.definitions[number].document
    scope = {**vm_scope(recorder, vm), "publisher": document.get("publisher", ""), "type": document.get("type", "")}
    fault = fault_hitting(recorder, "extension", vm.uid, scope, vm.turn)
    if fault is not None:
        failure = _extension_failure(vm, name, document, str(value_of(fault, "answer", "error")))
        change_extension(recorder, group, vm, name, Provisioning.FAILED, failure[0])
        _finish(recorder, group, vm, failure, extensions=with_extension(vm, name, Provisioning.FAILED, failure[0]))
        return
    change_extension(recorder, group, vm, name, Provisioning.SUCCEEDED)
    vm = recorder.change_vm(group, vm, extensions=with_extension(vm, name, Provisioning.SUCCEEDED))
    _next_extension(recorder, group, vm)


def _extension_failure(vm: VmState, name: str, document: dict[str, Any], answer: str) -> Failure:
    if answer == "timeout":
        return failures.extension_timed_out(name)
    if answer == "agent":
        return failures.agent_silent(vm.name)
    if answer == "missing":
        return failures.extension_not_found(str(document.get("publisher")), str(document.get("type")), vm.location)
    return failures.extension_failed(name, "Non-zero exit code returned by the handler")


# Power and maintenance


def _allocated_again(recorder: Recorder, group: Container, vm: VmState) -> None:
    failure = _no_capacity(recorder, vm)
    if failure is not None:
        version = follow_power(recorder, group, vm, recorder.fleet.facts(vm.model), deallocated=True)
        _finish(recorder, group, vm, failure, power=Power.DEALLOCATED, disk_version=version)
        return
    _started(recorder, group, vm)


def _started(recorder: Recorder, group: Container, vm: VmState) -> None:
    fault = fault_hitting(recorder, "os_provisioning", vm.uid, vm_scope(recorder, vm), vm.turn)
    _finish(recorder, group, vm, failures.start_timed_out(vm.name) if fault is not None else (), power=Power.RUNNING)


def _stopped(recorder: Recorder, group: Container, vm: VmState) -> None:
    _finish(recorder, group, vm, power=Power.STOPPED)


def _deallocated(recorder: Recorder, group: Container, vm: VmState) -> None:
    facts = recorder.fleet.facts(vm.model)
    version = follow_power(recorder, group, vm, facts, deallocated=True)
    if facts.is_spot and not vm.work:  # no request asked for it: the platform evicted the VM
        spot.remember_evicted(recorder, group, vm)
    _finish(recorder, group, vm, power=Power.DEALLOCATED, disk_version=version)


def _running_again(recorder: Recorder, group: Container, vm: VmState) -> None:
    _finish(recorder, group, vm, power=Power.RUNNING)


def _moved(recorder: Recorder, group: Container, vm: VmState) -> None:
    """The VM runs on another rack of the same fault domain."""
    fault = fault_hitting(recorder, "os_provisioning", vm.uid, vm_scope(recorder, vm), vm.turn) if vm.step == Step.REDEPLOY else None
    if fault is not None:
        _finish(recorder, group, vm, failures.redeployment_failed(vm.name), power=Power.RUNNING)
        return
    _finish(recorder, group, vm, power=Power.RUNNING, rack=(vm.rack + 1) % RACKS)


def _unchanged(recorder: Recorder, group: Container, vm: VmState) -> None:
    if any(state in (Provisioning.CREATING, Provisioning.UPDATING) for _, _, state, _, _ in vm.extensions):
        _next_extension(recorder, group, vm)
    else:
        _finish(recorder, group, vm)


def _thawed(recorder: Recorder, group: Container, vm: VmState) -> None:
    recorder.change_vm(group, vm, step=Step.NONE, due=0, work="")


# Deletion


def _deleted(recorder: Recorder, group: Container, vm: VmState) -> None:
    remove(recorder, group, vm)
    _work_done(recorder, group, vm.set, vm.work, ())


def _notice_over(recorder: Recorder, group: Container, vm: VmState) -> None:
    recorder.note(f"{group.id}/providers/Microsoft.Compute/virtualMachines/{vm.name}", "Terminate started")
    delete_now(recorder, group, vm, vm.work)
    notices.release(recorder, group, vm.set)


def _evicted(recorder: Recorder, group: Container, vm: VmState) -> None:
    if recorder.fleet.facts(vm.model).eviction == "Delete":
        scale_set.member_left(recorder, group, vm)
        begin(recorder, group, vm, Step.EVICT_DELETE, "", provisioning=Provisioning.DELETING, health_due=0, failure=())
    else:
        begin(recorder, group, vm, Step.DEALLOCATE, "")


def _evicted_for_good(recorder: Recorder, group: Container, vm: VmState) -> None:
    """Remove a Spot VM whose eviction policy is Delete, with its disks."""
    remove(recorder, group, vm, with_disks=True)
    _work_done(recorder, group, vm.set, vm.work, ())


_STEP_ENDS: dict[str, Callable[[Recorder, Container, VmState], None]] = {
    Step.ALLOCATE: _allocated,
    Step.BOOT: _booted,
    Step.PROVISION: _provisioned,
    Step.EXTENSIONS: _extension_done,
    Step.START: _started,
    Step.START_ALLOCATE: _allocated_again,
    Step.POWER_OFF: _stopped,
    Step.DEALLOCATE: _deallocated,
    Step.RESTART: _running_again,
    Step.REDEPLOY: _moved,
    Step.REIMAGE: _running_again,
    Step.REAPPLY: _unchanged,
    Step.UPDATE: _unchanged,
    Step.DELETE: _deleted,
    Step.EVICT_DELETE: _evicted_for_good,
    Step.NOTICE: _notice_over,
    Step.APPROVED: _notice_over,
    Step.PREEMPT: _evicted,
    Step.OUTAGE: _moved,
    Step.REBOOT: _running_again,
    Step.FREEZE: _thawed,
}
