"""The deletion of a resource group: its VMs first, then its scale sets, then all other resources."""

from __future__ import annotations

from typing import cast

from kqlite.orchestration.clock import SECOND
from kqlite.orchestration.fleet import Container
from kqlite.orchestration.instances import delete_now
from kqlite.orchestration.locks import shown_name
from kqlite.orchestration.model import GroupState, Provisioning, ResourceState, ScaleSetState, Type, VmState
from kqlite.orchestration.recorder import Recorder

_POLL_EVERY = 15 * SECOND
_REST = (
    Type.SCALE_SET,
    Type.NIC,
    Type.PUBLIC_IP,
    Type.DISK,
    Type.LOAD_BALANCER,
    Type.PLACEMENT_GROUP,
    Type.AUTOSCALE,
    Type.LOCK,
)


def begin_delete_group(recorder: Recorder, subscription: Container, state: GroupState, operation: str) -> None:
    """Begin to delete a group and all its VMs, without terminate notices and whatever scale sets they belong to."""
    group = recorder.fleet.containers[f"{subscription.key}/resourcegroups/{state.name.lower()}"]
    recorder.change(
        subscription, Type.GROUP, state, provisioning=Provisioning.DELETING, operation=operation, due=recorder.now + _POLL_EVERY
    )
    for scale_set in list(cast("dict[str, ScaleSetState]", group.of(Type.SCALE_SET)).values()):
        if scale_set.operation:
            recorder.end_operation(group, scale_set.operation, status="Canceled")
        recorder.change_set(group, scale_set, provisioning=Provisioning.DELETING, operation="", due=0, repair_due=0, restore_due=0)
    for vm in list(cast("dict[str, VmState]", group.of(Type.VM)).values()):
        if vm.provisioning != Provisioning.DELETING or vm.step.startswith("terminate"):
            delete_now(recorder, group, vm, operation)


def wake(recorder: Recorder, subscription: Container, name: str, due: int) -> None:
    """Delete the other resources and the group once no VM is left; else check again later."""
    state = cast("GroupState | None", subscription.get(Type.GROUP, name))
    if state is None or state.due != due:
        return
    group = recorder.fleet.containers[f"{subscription.key}/resourcegroups/{name}"]
    with recorder.because("user", "resourceGroups/delete", state.operation):
        if group.of(Type.VM):
            recorder.change(subscription, Type.GROUP, state, due=recorder.now + _POLL_EVERY)
            return
        for type_ in _REST:
            for resource in list(group.of(type_).values()):
                name = shown_name(cast("ResourceState", resource)) if type_ == Type.LOCK else ""
                recorder.delete(group, type_, resource, name=name)
        recorder.delete(subscription, Type.GROUP, state)
        recorder.end_operation(subscription, state.operation)
