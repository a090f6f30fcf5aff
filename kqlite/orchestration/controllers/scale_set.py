"""The scale set controller: brings the members to the capacity.

A scale set seeks its goal: a newer capacity replaces an older one at once, the older operation ends as preempted, and the VMs
that are under way are kept or removed as the new goal needs.
"""

from __future__ import annotations

from typing import cast

from kqlite.orchestration.clock import SECOND
from kqlite.orchestration.errors import scope_locked
from kqlite.orchestration.failures import PREEMPTED
from kqlite.orchestration.fleet import Container
from kqlite.orchestration.instances import begin_delete, create_from_profile
from kqlite.orchestration.model import Failure, Provisioning, ResourceImage, ScaleSetImage, Type, VmImage
from kqlite.orchestration.placement import victims, victims_by_age
from kqlite.orchestration.recorder import Recorder


def set_goal(rec: Recorder, group: Container, scale_set: ScaleSetImage, verb: str, **fields: object) -> ScaleSetImage:
    """A request or controller wants this set otherwise (`capacity`, `profile`, ..): opens the operation that brings it there."""
    target = group.scope(Type.SCALE_SET) + scale_set.name
    if scale_set.operation:
        rec.end_operation(group, scale_set.operation, PREEMPTED)
    operation = rec.open_operation(verb, group, target, scale_set.location)
    changed: dict[str, object] = {"operation": operation, "due": rec.now, "failure": (), **fields}
    if scale_set.provisioning != Provisioning.CREATING:
        changed["provisioning"] = Provisioning.UPDATING
    return rec.change_set(group, scale_set, **changed)


def wake(rec: Recorder, group: Container, name: str, due: int) -> None:
    """The set's timer came up."""
    scale_set = group.scale_set(name)
    if scale_set is None or scale_set.due != due:
        return
    with rec.because("scale-set", "reconcile", scale_set.operation):
        if scale_set.provisioning == Provisioning.DELETING:
            rec.delete(group, Type.SCALE_SET, scale_set)
            rec.end_operation(group, scale_set.operation)
            return
        scale_set = rec.change_set(group, scale_set, due=0)
        settle(rec, group, reconcile(rec, group, scale_set))


def reconcile(rec: Recorder, group: Container, scale_set: ScaleSetImage) -> ScaleSetImage:
    """Create or delete as many instances as the capacity asks for."""
    live = len(rec.fleet.membership(group, scale_set.name).live)
    if live < scale_set.capacity:
        return grow(rec, group, scale_set, scale_set.capacity - live, "set")
    if live > scale_set.capacity:
        return _shrink(rec, group, scale_set, live - scale_set.capacity)
    return scale_set


def grow(rec: Recorder, group: Container, scale_set: ScaleSetImage, count: int, work: str) -> ScaleSetImage:
    """`count` more instances from the profile."""
    # The numbers are taken first, so that a crash cannot give one out twice.
    first = scale_set.serial
    scale_set = rec.change_set(group, scale_set, serial=first + count)
    for serial in range(first, first + count):
        create_from_profile(rec, group, scale_set, serial, work)
    return scale_set


def _shrink(rec: Recorder, group: Container, scale_set: ScaleSetImage, count: int) -> ScaleSetImage:
    fleet = rec.fleet
    members = list(fleet.members(group, scale_set.name))

    def is_locked(vm: VmImage) -> bool:
        return lock_on(group, vm.name) is not None

    policy = (fleet.definitions[scale_set.model].document["properties"].get("scaleInPolicy") or {}).get("rules") or ["Default"]
    if policy[0] in ("OldestVM", "NewestVM"):
        chosen = victims_by_age(members, count, policy[0] == "OldestVM", is_locked)
    else:
        chosen = victims(members, count, lambda vm: fleet.facts(vm.model).kind == "instance", is_locked)
    for vm in chosen:
        begin_delete(rec, group, vm, "set")
    if len(chosen) < count:
        lock = next(lock for vm in members if (lock := lock_on(group, vm.name)) is not None)
        error = scope_locked(group.scope(Type.SCALE_SET) + scale_set.name, lock)
        failure: Failure = (error.code, error.message)
        return rec.change_set(group, scale_set, capacity=len(members) - len(chosen), failure=failure)
    return scale_set


def settle(rec: Recorder, group: Container, scale_set: ScaleSetImage) -> None:
    """End the operation when nothing is under way any more."""
    membership = rec.fleet.membership(group, scale_set.name)
    if membership.busy or not scale_set.operation or len(membership.live) != scale_set.capacity:
        return
    state = Provisioning.FAILED if scale_set.failure else Provisioning.SUCCEEDED
    rec.end_operation(group, scale_set.operation, scale_set.failure)
    rec.change_set(group, scale_set, provisioning=state, operation="")


def instance_done(rec: Recorder, group: Container, set_name: str, failure: Failure | tuple[()]) -> None:
    """An instance that the set waited for is finished, or gone."""
    scale_set = group.scale_set(set_name)
    assert scale_set is not None
    if failure and not scale_set.failure:
        scale_set = rec.change_set(group, scale_set, failure=failure)
    settle(rec, group, scale_set)


def begin_delete_set(rec: Recorder, group: Container, scale_set: ScaleSetImage, operation: str) -> None:
    """An empty set begins to go."""
    due = rec.now + round(rec.chance.triangular((3, 6, 15), "delete-set", scale_set.uid, scale_set.version) * SECOND)
    rec.change_set(group, scale_set, provisioning=Provisioning.DELETING, operation=operation, due=due, repair_due=0)


def lock_on(group: Container, vm_name: str) -> str | None:
    """The id of the lock that forbids to delete a VM: its own or its group's."""
    for lock in group.of(Type.LOCK).values():
        scope = lock_scope(cast("ResourceImage", lock))
        if scope == group.key or scope == (group.scope(Type.VM) + vm_name).lower():
            return group.scope(Type.LOCK) + cast("ResourceImage", lock).name
    return None


def lock_scope(lock: ResourceImage) -> str:
    """The id, in lower case, of what a lock protects."""
    return dict(lock.tags).get("scope", "")


def member_left(rec: Recorder, group: Container, vm: VmImage) -> None:
    """A member was deleted for itself (by a request, an eviction): the capacity follows, and nothing is made anew."""
    scale_set = group.scale_set(vm.set) if vm.set else None
    if scale_set is not None and vm.provisioning != Provisioning.DELETING:
        rec.change_set(group, scale_set, capacity=max(0, scale_set.capacity - 1))
