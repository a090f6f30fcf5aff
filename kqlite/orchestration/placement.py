"""Placement: the fault domain and zone of a new instance, and the instances that a scale-in deletes. All functions are pure.

Source: Azure docs, "Preview: Flexible orchestration for virtual machine scale sets in Azure", Assign fault domain during VM
creation and Features; "Use custom scale-in policies", default policy.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from kqlite.orchestration.azure_offerings import FAULT_DOMAINS
from kqlite.orchestration.model import Power, Provisioning, VmState

MAX_INSTANCES = 1000
MAX_IN_ONE_GROUP = 200  # instances of a set in a single placement group, which the later service allows


def domain_range(location: str, zonal: bool, single: bool, multiple: bool) -> tuple[int, int] | None:
    """The lowest and highest fault domain count of a new set; None without either feature.

    Args:
        location: Region of the set.
        zonal: Whether the set has zones.
        single: Whether the feature VMOrchestratorSingleFD is effective.
        multiple: Whether the feature VMOrchestratorMultiFD is effective.
    """
    if not single and not multiple:
        return None
    highest = FAULT_DOMAINS.get(location, 2) if multiple else 1
    return (1 if single else 2, 1 if zonal else highest)


def next_domain(members: Sequence[int]) -> int:
    """The fault domain of a new instance: the emptiest, and of several the lowest.

    Args:
        members: Number of the set's instances in each fault domain.
    """
    return members.index(min(members))


def next_zone(members: dict[str, int], zones: Sequence[str]) -> str:
    """The zone of a new instance: the emptiest, and of several the first. "" for a regional set."""
    return min(zones, key=lambda zone: members.get(zone, 0)) if zones else ""


def most_instances(single_group: bool) -> int:
    """The most instances of a set. single_group: whether it lies in a single placement group."""
    return MAX_IN_ONE_GROUP if single_group else MAX_INSTANCES


def regular_share(mix: Mapping[str, Any], instances: int) -> int:
    """How many of a set's instances are Regular, where it mixes Spot and Regular. Fractions are rounded in favour of Spot.

    Args:
        mix: A `priorityMixPolicy`; empty for a set that mixes nothing.
        instances: Number of instances.

    Source: Azure docs, "Spot Priority Mix for high availability and cost savings".
    """
    if not mix:
        return 0
    base = int(mix.get("baseRegularPriorityCount") or 0)
    above = max(0, instances - base) * int(mix.get("regularPriorityPercentageAboveBase") or 0) // 100
    return min(instances, base + above)


def victims(
    members: Iterable[VmState], count: int, is_from_profile: Callable[[VmState], bool], is_locked: Callable[[VmState], bool]
) -> list[VmState]:
    """The instances that a scale-in deletes under the default policy.

    One instance after the other is chosen: from the zone with most members, and there from the fault domain with most members. Within a
    fault domain the order is: instances created from the profile before standalone ones, then failed ones, then those that never ran, then
    the newest, then the greatest name.

    Args:
        members: The set's instances.
        count: Number of instances to delete.
        is_from_profile: Whether an instance was created from the set's profile.
        is_locked: Whether an instance must stay.
    """
    ranked = sorted((vm for vm in members if not is_locked(vm)), key=lambda vm: _rank(vm, is_from_profile(vm)))
    domains: dict[tuple[str, int], list[VmState]] = {}
    for vm in ranked:  # the last of each list goes first
        domains.setdefault((vm.zone, vm.domain), []).append(vm)
    zones: dict[str, int] = {}
    for (zone, _), vms in domains.items():
        zones[zone] = zones.get(zone, 0) + len(vms)
    chosen: list[VmState] = []
    while len(chosen) < count and any(domains.values()):
        # Instances created from the profile are deleted before all standalone ones, whatever their zone.
        from_profile = [domain for domain, vms in domains.items() if vms and is_from_profile(vms[-1])]
        candidates = from_profile or [domain for domain, vms in domains.items() if vms]
        domain = min(candidates, key=lambda domain: (-zones[domain[0]], -len(domains[domain]), domain[0], -domain[1]))
        chosen.append(domains[domain].pop())
        zones[domain[0]] -= 1
    return chosen


def victims_by_age(members: Iterable[VmState], count: int, oldest: bool, is_locked: Callable[[VmState], bool]) -> list[VmState]:
    """The instances that a scale-in deletes under the policies OldestVM and NewestVM of the later service. It balances zones first."""
    ranked = sorted((vm for vm in members if not is_locked(vm)), key=lambda vm: (vm.created, vm.name), reverse=oldest)
    zones: dict[str, list[VmState]] = {}
    for vm in ranked:  # the last of each list goes first
        zones.setdefault(vm.zone, []).append(vm)
    chosen: list[VmState] = []
    while len(chosen) < count and any(zones.values()):
        chosen.append(zones[min(zones, key=lambda zone: (-len(zones[zone]), zone))].pop())
    return chosen


def _rank(vm: VmState, from_profile: bool) -> tuple[bool, bool, bool, int, str]:
    never_ran = vm.provisioning == Provisioning.CREATING and vm.power != Power.RUNNING
    return (from_profile, vm.provisioning == Provisioning.FAILED, never_ran, vm.created, vm.name)
