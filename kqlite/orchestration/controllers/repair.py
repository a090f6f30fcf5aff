"""Automatic instance repair: replaces, restarts or reimages instances whose application is not healthy, a few at a time.

Source: Azure docs, "Automatic instance repairs for Azure Virtual Machine Scale Sets".
"""

from __future__ import annotations

from typing import Any

from kqlite.orchestration.clock import MINUTE, iso_duration
from kqlite.orchestration.controllers import scale_set as sets
from kqlite.orchestration.fleet import Container
from kqlite.orchestration.instances import begin, begin_delete
from kqlite.orchestration.model import Health, Provisioning, ScaleSetState, Step, VmState
from kqlite.orchestration.recorder import Recorder

ROUNDS = 3  # after so many rounds without a healthy instance, the platform suspends repairs


def policy_of(recorder: Recorder, scale_set: ScaleSetState) -> dict[str, Any] | None:
    """The set's repairs policy; None if it is missing or disabled."""
    policy = recorder.fleet.definitions[scale_set.model].document["properties"].get("automaticRepairsPolicy") or {}
    return policy if policy.get("enabled") else None


def grace_of(policy: dict[str, Any]) -> int:
    """The grace period, in microseconds."""
    return iso_duration(policy.get("gracePeriod") or "PT30M") or 30 * MINUTE


def batch(instances: int) -> int:
    """The most instances that are repaired at the same time."""
    return max(1, instances * 5 // 100)


def health_changed(recorder: Recorder, group: Container, vm: VmState) -> None:
    """Note that a member's health state changed, and set the repair timer."""
    scale_set = group.scale_set(vm.set)
    if scale_set is None:
        return
    if vm.health == Health.HEALTHY:
        if scale_set.repair_rounds and vm.settled > 0:
            recorder.change_set(group, scale_set, repair_rounds=0)
        return
    policy = policy_of(recorder, scale_set)
    if policy is None or scale_set.repair == "Suspended" or vm.health not in (Health.UNHEALTHY, Health.UNKNOWN):
        return
    due = max(recorder.now, vm.settled + grace_of(policy))
    if not scale_set.repair_due or due < scale_set.repair_due:
        recorder.change_set(group, scale_set, repair_due=due)


def repair_now(recorder: Recorder, group: Container, scale_set: ScaleSetState) -> None:
    """Wake the controller at once for instances that are unhealthy already, after the policy was enabled or resumed."""
    if policy_of(recorder, scale_set) is not None and recorder.fleet.membership(group, scale_set.name).unhealthy:
        recorder.change_set(group, scale_set, repair_due=recorder.now)


def instance_done(recorder: Recorder, group: Container, set_name: str) -> None:
    """A repair has ended, so another instance may be repaired."""
    scale_set = group.scale_set(set_name)
    assert scale_set is not None
    if recorder.fleet.membership(group, set_name).unhealthy and not scale_set.repair_due:
        recorder.change_set(group, scale_set, repair_due=recorder.now)


def wake(recorder: Recorder, group: Container, name: str, due: int) -> None:
    """Repair the instances whose grace period is over, as many as fit in a batch."""
    scale_set = group.scale_set(name)
    if scale_set is None or scale_set.repair_due != due:
        return
    with recorder.because("repair", "repair"):
        policy = policy_of(recorder, scale_set)
        if policy is None or scale_set.repair == "Suspended" or scale_set.provisioning == Provisioning.DELETING:
            recorder.change_set(group, scale_set, repair_due=0)
            return
        _repair(recorder, group, scale_set, policy)


def _repair(recorder: Recorder, group: Container, scale_set: ScaleSetState, policy: dict[str, Any]) -> None:
    membership = recorder.fleet.membership(group, scale_set.name)
    room = batch(len(membership.live)) - membership.repairing
    grace = grace_of(policy)
    ready, next_due = [], 0
    for key in list(membership.unhealthy):
        vm = group.vm(key)
        assert vm is not None
        if vm.provisioning != Provisioning.SUCCEEDED or vm.step or sets.is_protected(scale_set, vm) or sets.lock_on(group, vm.name):
            continue
        if vm.settled + grace <= recorder.now:
            ready.append(vm)
        elif not next_due or vm.settled + grace < next_due:
            next_due = vm.settled + grace
    # `instance_done` wakes the controller for the instances beyond `room`.
    scale_set = recorder.change_set(group, scale_set, repair_due=next_due)
    if not ready or room <= 0:
        return
    if scale_set.repair_rounds >= ROUNDS:
        recorder.change_set(group, scale_set, repair="Suspended", repair_due=0)
        return
    scale_set = recorder.change_set(group, scale_set, repair_rounds=scale_set.repair_rounds + 1)
    for vm in ready[:room]:
        scale_set = _repair_instance(recorder, group, scale_set, vm, policy.get("repairAction") or "Replace")


def _repair_instance(recorder: Recorder, group: Container, scale_set: ScaleSetState, vm: VmState, action: str) -> ScaleSetState:
    if action == "Restart":
        begin(recorder, group, vm, Step.RESTART, "repair", answer="")
    elif action == "Reimage":
        begin(recorder, group, vm, Step.REIMAGE, "repair", answer="")
    else:
        begin_delete(recorder, group, vm, "")
        return sets.grow(recorder, group, scale_set, 1, "repair")
    return scale_set
