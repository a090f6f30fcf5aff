"""Helpers for requests that name a VM: find it, show it, check that it is idle."""

from __future__ import annotations

from typing import Any, cast

from kqlite.orchestration import arm_documents, errors
from kqlite.orchestration.controllers.maintenance import under_way
from kqlite.orchestration.fleet import Container
from kqlite.orchestration.model import Power, Provisioning, Step, Type, VmState
from kqlite.orchestration.recorder import Recorder
from kqlite.orchestration.requests.call import (
    Call,
    Outcome,
)


def find(recorder: Recorder, call: Call) -> tuple[Container, VmState]:
    """The VM that a request names. Raises ArmError 404."""
    group = call.group(recorder)
    vm = group.vm(call.name)
    if vm is None:
        raise errors.not_found(Type.VM, call.name, group.name)
    return group, vm


def show(recorder: Recorder, group: Container, vm: VmState, with_view: bool = False) -> dict[str, Any]:
    """The VM's document."""
    return arm_documents.vm(group.id, vm, recorder.fleet.definitions, with_view, recorder.preview)


def outcome(recorder: Recorder, group: Container, name: str, status: int, operation: str, location: str) -> Outcome:
    """The outcome of a request about a VM: its document after the commit, and the operation that goes on."""
    return Outcome(status, lambda: show(recorder, group, cast("VmState", group.vm(name))), operation, location)


_CHANGES_POWER_TO: dict[str, str] = {
    Step.START: Power.RUNNING,
    Step.START_ALLOCATE: Power.RUNNING,
    Step.POWER_OFF: Power.STOPPED,
    Step.DEALLOCATE: Power.DEALLOCATED,
}
_POWER_OPERATIONS = ("start", "powerOff", "deallocate", "restart")


def check_idle(recorder: Recorder, vm: VmState, operation: str) -> None:
    """Raise ArmError if a VM cannot begin a step: it is being deleted, has a step under way, or is maintained by the platform."""
    if vm.provisioning == Provisioning.DELETING:
        raise errors.vm_operation_not_allowed(operation, vm.name, errors.MARKED_FOR_DELETION)
    if under_way(recorder, vm):
        raise errors.platform_update()
    if vm.step in _CHANGES_POWER_TO and operation in _POWER_OPERATIONS:
        raise errors.power_is_changing(vm.name, _CHANGES_POWER_TO[vm.step], operation)
    if vm.step:
        raise errors.vm_operation_not_allowed(operation, vm.name, errors.IN_PROGRESS)
