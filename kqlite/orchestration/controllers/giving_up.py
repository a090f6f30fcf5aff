"""Fails a resource whose controller raised an unexpected exception, as Azure does after an internal error. The simulation goes on."""

from __future__ import annotations

from typing import Any

from kqlite.orchestration.failures import INTERNAL
from kqlite.orchestration.fleet import Container
from kqlite.orchestration.model import FaultState, GroupState, Power, Provisioning, ScaleSetState, State, Step, Type, VmState
from kqlite.orchestration.recorder import Recorder
from kqlite.orchestration.timers import Timer, Wake

# By kind of timer: the type of the resource, and the field that holds the timer's time. Autoscale and the Spot market set a timer again
# by themselves, so they need no entry.
_WOKEN: dict[int, tuple[Type, str]] = {
    Wake.VM: (Type.VM, "due"),
    Wake.HEALTH: (Type.VM, "health_due"),
    Wake.SCALE_SET: (Type.SCALE_SET, "due"),
    Wake.REPAIR: (Type.SCALE_SET, "repair_due"),
    Wake.RESTORE: (Type.SCALE_SET, "restore_due"),
    Wake.GROUP: (Type.GROUP, "due"),
    Wake.FEATURE: (Type.FEATURE, "due"),
    Wake.PROVIDER: (Type.PROVIDER, "due"),
    Wake.FAULT: (Type.FAULT, "due"),
}


def give_up(recorder: Recorder, timer: Timer, what: str) -> None:
    """Fail the resource of a timer. what: the error, for the activity log."""
    container = recorder.fleet.containers.get(timer.group) if timer.wake != Wake.FAULT else recorder.fleet.root
    type_, field = _WOKEN.get(timer.wake, (Type.AUTOSCALE, ""))
    state = container.get(type_, timer.name) if container is not None else None
    if container is None or state is None:
        return
    with recorder.because("platform", "InternalServerError"):
        recorder.note(container.scope(type_) + state.name, f"Internal error: {what}")
        if field and getattr(state, field) == timer.due:
            _fail(recorder, container, type_, state, field)


def _fail(recorder: Recorder, container: Container, type_: Type, state: State, field: str) -> None:
    fields: dict[str, Any] = {field: 0}
    if isinstance(state, VmState) and field == "due":
        _fail_vm(recorder, container, state)
        return
    if isinstance(state, ScaleSetState):
        recorder.end_operation(container, state.operation, INTERNAL)
        fields |= {"provisioning": Provisioning.FAILED, "failure": INTERNAL, "operation": ""}
    elif isinstance(state, GroupState):
        recorder.end_operation(container, state.operation, INTERNAL)
        fields |= {"provisioning": Provisioning.FAILED, "operation": ""}
    elif isinstance(state, FaultState):
        fields["active"] = False
    recorder.change(container, type_, state, **fields)


def _fail_vm(recorder: Recorder, group: Container, vm: VmState) -> None:
    fields = {"step": Step.NONE, "due": 0, "work": "", "changed": recorder.now, "settled": recorder.now}
    recorder.change_vm(group, vm, provisioning=Provisioning.FAILED, failure=INTERNAL, power=vm.power or Power.NONE, **fields)
    owner = group.scale_set(vm.set) if vm.set else None
    if vm.work not in ("", "set", "repair"):
        recorder.end_operation(group, vm.work, INTERNAL)
    elif owner is not None and vm.work == "set" and owner.operation:
        recorder.change_set(group, owner, failure=owner.failure or INTERNAL, due=recorder.now)
