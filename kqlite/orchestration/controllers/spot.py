"""The Spot market: a price for each size and region, and who is evicted when it rises or capacity is wanted back.

Prices are a seeded walk around a third of the on-demand price, drawn every five minutes; kqlite's own model. So is how often the
later service tries to restore evicted instances.
Source: Azure docs, "Use Azure Spot Virtual Machines"; "Azure Spot Virtual Machines for Virtual Machine Scale Sets", Try & restore.
"""

from __future__ import annotations

from typing import cast

from kqlite.orchestration.azure_offerings import Size, find_size
from kqlite.orchestration.clock import HOUR, MINUTE, iso_duration
from kqlite.orchestration.faults import active, covers, key_of, vm_scope
from kqlite.orchestration.fleet import Container
from kqlite.orchestration.instances import PREEMPT_NOTICE, begin, start_deallocated
from kqlite.orchestration.model import Power, Provisioning, Step, Type, VmState
from kqlite.orchestration.recorder import SPOT_EVERY, Recorder

RESTORE_EVERY = 5 * MINUTE
_LOW, _HIGH = 0.1, 0.4
_ANCHORS = 12  # new bounds are drawn once an hour, and the price goes straight between them


def price(rec: Recorder, location: str, size: Size, time: int | None = None) -> float:
    """Dollars an hour for a Spot VM of this size here, five decimals."""
    scope = {"region": location, "size": size.name}
    for fault in active(rec, "spot_price"):
        if covers(fault, scope):
            return float(key_of(fault, "limit", size.price))
    slot = (rec.now if time is None else time) // SPOT_EVERY
    anchor, part = divmod(slot, _ANCHORS)
    key = f"{location} {size.name}"
    before, after = (rec.chance.uniform("spot", key, anchor + step) for step in (0, 1))
    share = before + (after - before) * part / _ANCHORS
    jitter = 0.02 * (rec.chance.uniform("spot-noise", key, slot) - 0.5)
    return round(size.price * min(_HIGH, max(_LOW, _LOW + (_HIGH - _LOW) * share + jitter)), 5)


def wake(rec: Recorder, location: str, size_name: str, due: int) -> None:
    """A new price: VMs that bid less are evicted."""
    bought = rec.fleet.priced.get((location, size_name))
    size = find_size(size_name)
    if not bought or size is None or due != rec.now:
        return
    rec.arm_market(location, size_name)
    now = price(rec, location, size)
    with rec.because("spot", "price"):
        for group_key, key in list(bought):
            group = rec.fleet.containers[group_key]
            vm = cast("VmState", group.of(Type.VM)[key])
            if rec.fleet.facts(vm.model).max_price < now:
                evict(rec, group, vm)


def evict(rec: Recorder, group: Container, vm: VmState) -> None:
    """A Spot VM that holds capacity gets its notice; 30 seconds later it goes by its eviction policy."""
    if vm.power == Power.RUNNING and vm.step in (Step.NONE, Step.UPDATE):
        rec.note(group.scope(Type.VM) + vm.name, "Preempt scheduled")
        begin(rec, group, vm, Step.PREEMPT, "", (0.0, 0.0, 0.0), provisioning=vm.provisioning, due=rec.now + PREEMPT_NOTICE)


def remember_evicted(rec: Recorder, group: Container, vm: VmState) -> None:
    """An evicted VM holds no capacity any more; where its set has a restore policy, it is tried again for a while."""
    scale_set = group.scale_set(vm.set) if vm.set else None
    if scale_set is None or scale_set.provisioning == Provisioning.DELETING:
        return
    policy = rec.fleet.definitions[scale_set.model].document["properties"].get("spotRestorePolicy") or {}
    if not policy.get("enabled"):
        return
    until = rec.now + (iso_duration(policy.get("restoreTimeout") or "PT1H") or HOUR)
    others = tuple(each for each in scale_set.evicted if each[0] != vm.name.lower())
    due = scale_set.restore_due or rec.now + RESTORE_EVERY
    rec.change_set(group, scale_set, evicted=(*others, (vm.name.lower(), until)), restore_due=due)


def wake_restore(rec: Recorder, group: Container, name: str, due: int) -> None:
    """Evicted instances are started again where there is room for them at their price."""
    scale_set = group.scale_set(name)
    if scale_set is None or scale_set.restore_due != due:
        return
    waiting = []
    with rec.because("spot", "restore"):
        for key, until in scale_set.evicted:
            vm = group.vm(key)
            if vm is None or vm.power != Power.DEALLOCATED or vm.step or until < rec.now:
                continue
            if _has_room(rec, vm):
                start_deallocated(rec, group, vm, "")
            else:
                waiting.append((key, until))
        rec.change_set(group, scale_set, evicted=tuple(waiting), restore_due=rec.now + RESTORE_EVERY if waiting else 0)


def _has_room(rec: Recorder, vm: VmState) -> bool:
    scope, facts = vm_scope(rec, vm), rec.fleet.facts(vm.model)
    if any(covers(fault, scope) for name in ("allocation", "zone_loss", "spot_eviction") for fault in active(rec, name)):
        return False
    return facts.max_price <= 0 or price(rec, vm.location, facts.size) <= facts.max_price
