"""The Spot market: the price of each size in each region, and the eviction of VMs.

Azure evicts a VM whose maximum price is below the price, or when a fault takes back capacity. Prices are a seeded walk around a third of
the on-demand price, with a new price every five minutes. The walk, and how often evicted instances are restored, are kqlite's own choice.
Source: Azure docs, "Use Azure Spot Virtual Machines"; "Azure Spot Virtual Machines for Virtual Machine Scale Sets", Try & restore.
"""

from __future__ import annotations

from typing import cast

from kqlite.orchestration.azure_offerings import Size, find_size
from kqlite.orchestration.clock import HOUR, MINUTE, iso_duration
from kqlite.orchestration.faults import active, covers, value_of, vm_scope
from kqlite.orchestration.fleet import Container
from kqlite.orchestration.instances import PREEMPT_NOTICE, begin, start_deallocated
from kqlite.orchestration.model import Power, Provisioning, Step, Type, VmState
from kqlite.orchestration.recorder import SPOT_EVERY, Recorder

RESTORE_EVERY = 5 * MINUTE
_LOW, _HIGH = 0.1, 0.4
_ANCHORS = 12  # slots of five minutes between two drawn prices; the price moves in a straight line between them


def price(recorder: Recorder, location: str, size: Size, time: int | None = None) -> float:
    """The price of a Spot VM of this size, in US dollars an hour with five decimals. time: now, if None."""
    scope = {"region": location, "size": size.name}
    for fault in active(recorder, "spot_price"):
        if covers(fault, scope):
            return float(value_of(fault, "limit", size.price))
    slot = (recorder.now if time is None else time) // SPOT_EVERY
    anchor, part = divmod(slot, _ANCHORS)
    key = f"{location} {size.name}"
    before, after = (recorder.chance.uniform("spot", key, anchor + step) for step in (0, 1))
    share = before + (after - before) * part / _ANCHORS
    jitter = 0.02 * (recorder.chance.uniform("spot-noise", key, slot) - 0.5)
    return round(size.price * min(_HIGH, max(_LOW, _LOW + (_HIGH - _LOW) * share + jitter)), 5)


def wake(recorder: Recorder, location: str, size_name: str, due: int) -> None:
    """A new price: evict the VMs with a lower maximum price."""
    bought = recorder.fleet.priced.get((location, size_name))
    size = find_size(size_name)
    if not bought or size is None or due != recorder.now:
        return
    recorder.arm_market(location, size_name)
    now = price(recorder, location, size)
    with recorder.because("spot", "price"):
        for group_key, key in list(bought):
            group = recorder.fleet.containers[group_key]
            vm = cast("VmState", group.of(Type.VM)[key])
            if recorder.fleet.facts(vm.model).max_price < now:
                evict(recorder, group, vm)


def evict(recorder: Recorder, group: Container, vm: VmState) -> None:
    """Give a running Spot VM its eviction notice. 30 seconds later its eviction policy applies."""
    if vm.power == Power.RUNNING and vm.step in (Step.NONE, Step.UPDATE):
        recorder.note(group.scope(Type.VM) + vm.name, "Preempt scheduled")
        begin(recorder, group, vm, Step.PREEMPT, "", (0.0, 0.0, 0.0), provisioning=vm.provisioning, due=recorder.now + PREEMPT_NOTICE)


def remember_evicted(recorder: Recorder, group: Container, vm: VmState) -> None:
    """Note an evicted VM for restoring, if its scale set has a restore policy."""
    scale_set = group.scale_set(vm.set) if vm.set else None
    if scale_set is None or scale_set.provisioning == Provisioning.DELETING:
        return
    policy = recorder.fleet.definitions[scale_set.model].document["properties"].get("spotRestorePolicy") or {}
    if not policy.get("enabled"):
        return
    until = recorder.now + (iso_duration(policy.get("restoreTimeout") or "PT1H") or HOUR)
    others = tuple(each for each in scale_set.evicted if each[0] != vm.name.lower())
    due = scale_set.restore_due or recorder.now + RESTORE_EVERY
    recorder.change_set(group, scale_set, evicted=(*others, (vm.name.lower(), until)), restore_due=due)


def wake_restore(recorder: Recorder, group: Container, name: str, due: int) -> None:
    """Start evicted instances for which there is capacity at their maximum price."""
    scale_set = group.scale_set(name)
    if scale_set is None or scale_set.restore_due != due:
        return
    waiting = []
    with recorder.because("spot", "restore"):
        for key, until in scale_set.evicted:
            vm = group.vm(key)
            if vm is None or vm.power != Power.DEALLOCATED or vm.step or until < recorder.now:
                continue
            if _has_room(recorder, vm):
                start_deallocated(recorder, group, vm, "")
            else:
                waiting.append((key, until))
        recorder.change_set(group, scale_set, evicted=tuple(waiting), restore_due=recorder.now + RESTORE_EVERY if waiting else 0)


def _has_room(recorder: Recorder, vm: VmState) -> bool:
    scope, facts = vm_scope(recorder, vm), recorder.fleet.facts(vm.model)
    if any(covers(fault, scope) for name in ("allocation", "zone_loss", "spot_eviction") for fault in active(recorder, name)):
        return False
    return facts.max_price <= 0 or price(recorder, vm.location, facts.size) <= facts.max_price
