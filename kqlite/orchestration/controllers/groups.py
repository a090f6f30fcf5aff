"""The deletion of a resource group: members first, then sets, then the rest."""

from __future__ import annotations

from typing import cast

from kqlite.orchestration.clock import SECOND
from kqlite.orchestration.fleet import Container
from kqlite.orchestration.instances import delete_now
from kqlite.orchestration.locks import shown_name
from kqlite.orchestration.model import GroupState, Provisioning, ResourceState, ScaleSetState, Type, VmState
from kqlite.orchestration.recorder import Recorder

_LOOK_AGAIN = 15 * SECOND
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


def begin_delete_group(rec: Recorder, subscription: Container, image: GroupState, operation: str) -> None:
    """A group begins to go, and all its VMs with it; no notice is given and no set refuses."""
    group = rec.fleet.containers[f"{subscription.key}/resourcegroups/{image.name.lower()}"]
    rec.change(subscription, Type.GROUP, image, provisioning=Provisioning.DELETING, operation=operation, due=rec.now + _LOOK_AGAIN)
    for scale_set in list(cast("dict[str, ScaleSetState]", group.of(Type.SCALE_SET)).values()):
        if scale_set.operation:
            rec.end_operation(group, scale_set.operation, status="Canceled")
        rec.change_set(group, scale_set, provisioning=Provisioning.DELETING, operation="", due=0, repair_due=0, restore_due=0)
    for vm in list(cast("dict[str, VmState]", group.of(Type.VM)).values()):
        if vm.provisioning != Provisioning.DELETING or vm.step.startswith("terminate"):
            delete_now(rec, group, vm, operation)


def wake(rec: Recorder, subscription: Container, name: str, due: int) -> None:
    """Look whether the VMs are gone; then the rest goes at once."""
    image = cast("GroupState | None", subscription.get(Type.GROUP, name))
    if image is None or image.due != due:
        return
    group = rec.fleet.containers[f"{subscription.key}/resourcegroups/{name}"]
    with rec.because("user", "resourceGroups/delete", image.operation):
        if group.of(Type.VM):
            rec.change(subscription, Type.GROUP, image, due=rec.now + _LOOK_AGAIN)
            return
        for type_ in _REST:
            for resource in list(group.of(type_).values()):
                name = shown_name(cast("ResourceState", resource)) if type_ == Type.LOCK else ""
                rec.delete(group, type_, resource, name=name)
        rec.delete(subscription, Type.GROUP, image)
        rec.end_operation(subscription, image.operation)
