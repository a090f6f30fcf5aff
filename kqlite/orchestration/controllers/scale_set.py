"""The scale set controller: creates and deletes instances until their number equals the capacity.

A new capacity replaces the old one at once. The old operation ends as preempted. VMs that are being created stay or go, as the new capacity
needs:

    time   request      capacity  live members  operation
    00:00  capacity 5   5         5 creating    A in progress
    00:10  capacity 3   3         3             A preempted, B in progress; 2 of the 5 are deleted
    01:00               3         3 running     B succeeded
"""

from __future__ import annotations

from typing import Any, cast

from kqlite.orchestration.clock import SECOND
from kqlite.orchestration.errors import scope_locked
from kqlite.orchestration.failures import PREEMPTED, instances_protected
from kqlite.orchestration.fleet import Container
from kqlite.orchestration.instances import begin_delete, create_from_profile
from kqlite.orchestration.locks import locks_on, scope_of
from kqlite.orchestration.model import Failure, Provisioning, ScaleSetState, Type, VmState
from kqlite.orchestration.placement import regular_share, victims, victims_by_age
from kqlite.orchestration.recorder import Recorder

_POLL_EVERY = 5 * SECOND


def set_goal(recorder: Recorder, group: Container, scale_set: ScaleSetState, verb: str, **fields: object) -> ScaleSetState:
    """Give a set a new goal (`capacity`, `profile`, ..) and open the operation that works for it. It preempts an older operation."""
    target = group.scope(Type.SCALE_SET) + scale_set.name
    if scale_set.operation:
        recorder.end_operation(group, scale_set.operation, PREEMPTED)
    operation = recorder.open_operation(verb, group, target, scale_set.location)
    changed: dict[str, object] = {"operation": operation, "due": recorder.now, "failure": (), **fields}
    if scale_set.provisioning != Provisioning.CREATING:
        changed["provisioning"] = Provisioning.UPDATING
    return recorder.change_set(group, scale_set, **changed)


def wake(recorder: Recorder, group: Container, name: str, due: int) -> None:
    """Handle the set's timer."""
    scale_set = group.scale_set(name)
    if scale_set is None or scale_set.due != due:
        return
    with recorder.because("scale-set", "reconcile", scale_set.operation):
        if scale_set.provisioning == Provisioning.DELETING:
            if recorder.fleet.membership(group, scale_set.name).total:
                # The later service deletes a set together with its members; some of them are still there.
                recorder.change_set(group, scale_set, due=recorder.now + _POLL_EVERY)
                return
            recorder.delete(group, Type.SCALE_SET, scale_set)
            recorder.end_operation(group, scale_set.operation)
            return
        scale_set = recorder.change_set(group, scale_set, due=0)
        settle(recorder, group, reconcile(recorder, group, scale_set))


def reconcile(recorder: Recorder, group: Container, scale_set: ScaleSetState) -> ScaleSetState:
    """Create or delete instances until their number equals the capacity."""
    live = len(recorder.fleet.membership(group, scale_set.name).live)
    if live < scale_set.capacity:
        return grow(recorder, group, scale_set, scale_set.capacity - live, "set")
    if live > scale_set.capacity:
        return _shrink(recorder, group, scale_set, live - scale_set.capacity)
    return scale_set


def grow(recorder: Recorder, group: Container, scale_set: ScaleSetState, count: int, work: str) -> ScaleSetState:
    """Create `count` instances from the profile. work: what waits for them, "set" or "repair"."""
    # The set takes its serial numbers before it uses them, so that none is used twice.
    first = scale_set.serial
    regular = _regular_missing(recorder, group, scale_set, count) if scale_set.regular else 0
    scale_set = recorder.change_set(group, scale_set, serial=first + count)
    for number in range(count):
        model = scale_set.regular if number < regular else scale_set.profile
        create_from_profile(recorder, group, scale_set, first + number, work, model)
    return scale_set


def _mix(recorder: Recorder, scale_set: ScaleSetState) -> dict[str, Any]:
    return recorder.fleet.definitions[scale_set.model].document["properties"].get("priorityMixPolicy") or {}


def _regular_missing(recorder: Recorder, group: Container, scale_set: ScaleSetState, count: int) -> int:
    """How many of `count` new instances are Regular, in a set that mixes priorities."""
    members = list(recorder.fleet.members(group, scale_set.name))
    regular = sum(not recorder.fleet.facts(vm.model).is_spot for vm in members)
    return min(count, max(0, regular_share(_mix(recorder, scale_set), len(members) + count) - regular))


def _shrink(recorder: Recorder, group: Container, scale_set: ScaleSetState, count: int) -> ScaleSetState:
    members = list(recorder.fleet.members(group, scale_set.name))
    chosen = _instances_to_delete(recorder, group, scale_set, members, count)
    for vm in chosen:
        begin_delete(recorder, group, vm, "set")
    if len(chosen) == count:
        return cast("ScaleSetState", group.scale_set(scale_set.name))
    lock = next((lock for vm in members if (lock := lock_on(group, vm.name)) is not None), None)
    failure = instances_protected(scale_set.name)
    if lock is not None:
        error = scope_locked(group.scope(Type.SCALE_SET) + scale_set.name, lock)
        failure = (error.code, error.message)
    return recorder.change_set(group, scale_set, capacity=len(members) - len(chosen), failure=failure)


def _instances_to_delete(
    recorder: Recorder, group: Container, scale_set: ScaleSetState, members: list[VmState], count: int
) -> list[VmState]:
    """The instances that a scale-in deletes. A set that mixes priorities keeps its share of Regular instances."""
    if not scale_set.regular:
        return _victims(recorder, group, scale_set, members, count)
    regular = [vm for vm in members if not recorder.fleet.facts(vm.model).is_spot]
    spots = [vm for vm in members if recorder.fleet.facts(vm.model).is_spot]
    surplus = len(regular) - regular_share(_mix(recorder, scale_set), len(members) - count)
    chosen = _victims(recorder, group, scale_set, regular, min(count, max(0, surplus)))
    chosen += _victims(recorder, group, scale_set, spots, count - len(chosen))
    rest = [vm for vm in regular if vm not in chosen]
    return chosen + _victims(recorder, group, scale_set, rest, count - len(chosen))


def _victims(recorder: Recorder, group: Container, scale_set: ScaleSetState, members: list[VmState], count: int) -> list[VmState]:
    fleet = recorder.fleet

    def is_locked(vm: VmState) -> bool:
        return is_protected(scale_set, vm) or lock_on(group, vm.name) is not None

    policy = (fleet.definitions[scale_set.model].document["properties"].get("scaleInPolicy") or {}).get("rules") or ["Default"]
    if policy[0] in ("OldestVM", "NewestVM"):
        return victims_by_age(members, count, policy[0] == "OldestVM", is_locked)
    return victims(members, count, lambda vm: fleet.facts(vm.model).kind == "instance", is_locked)


def is_protected(scale_set: ScaleSetState, vm: VmState) -> bool:
    """Whether the set must neither delete nor repair an instance."""
    return bool(scale_set.protected) and any(key == vm.name.lower() for key, _ in scale_set.protected)


def settle(recorder: Recorder, group: Container, scale_set: ScaleSetState) -> None:
    """End the operation if no instance is being created or deleted and the capacity is reached."""
    membership = recorder.fleet.membership(group, scale_set.name)
    if membership.busy or not scale_set.operation or len(membership.live) != scale_set.capacity:
        return
    state = Provisioning.FAILED if scale_set.failure else Provisioning.SUCCEEDED
    recorder.end_operation(group, scale_set.operation, scale_set.failure)
    recorder.change_set(group, scale_set, provisioning=state, operation="")


def instance_done(recorder: Recorder, group: Container, set_name: str, failure: Failure | tuple[()]) -> None:
    """An instance that the set waited for is created or deleted, or has failed."""
    scale_set = group.scale_set(set_name)
    assert scale_set is not None
    if failure and not scale_set.failure:
        scale_set = recorder.change_set(group, scale_set, failure=failure)
    settle(recorder, group, scale_set)


def begin_delete_set(recorder: Recorder, group: Container, scale_set: ScaleSetState, operation: str) -> None:
    """Begin to delete a set."""
    due = recorder.now + round(recorder.chance.triangular((3, 6, 15), "delete-set", scale_set.uid, scale_set.version) * SECOND)
    recorder.change_set(group, scale_set, provisioning=Provisioning.DELETING, operation=operation, due=due, repair_due=0, restore_due=0)


def lock_on(group: Container, vm_name: str) -> str | None:
    """The scope of a lock that forbids to delete a VM: its own or its group's. None without a lock."""
    return next((scope_of(lock) for lock in locks_on(group, group.scope(Type.VM) + vm_name)), None)


def member_left(recorder: Recorder, group: Container, vm: VmState) -> None:
    """A request or eviction deletes a single member: reduce the capacity, so that no new instance replaces it."""
    scale_set = group.scale_set(vm.set) if vm.set else None
    if scale_set is not None and vm.provisioning != Provisioning.DELETING:
        recorder.change_set(group, scale_set, capacity=max(0, scale_set.capacity - 1))
