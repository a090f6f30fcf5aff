"""Where one more instance goes, and which ones leave: pure functions of counts that `fleet` keeps.

Source: Azure docs, "Preview: Flexible orchestration for virtual machine scale sets in Azure", Assign fault domain during VM
creation and Features; "Use custom scale-in policies", default policy.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from kqlite.orchestration.azure_offerings import FAULT_DOMAINS
from kqlite.orchestration.model import Power, Provisioning, VmState

MAX_INSTANCES = 1000
MAX_IN_ONE_GROUP = 200  # of a set in a single placement group, which the later service allows


def domain_range(location: str, zonal: bool, single: bool, multiple: bool) -> tuple[int, int] | None:
    """The lowest and highest fault domain count a new set may ask for; None where the subscription has neither feature.

    single, multiple: whether VMOrchestratorSingleFD and VMOrchestratorMultiFD are effective.
    """
    if not single and not multiple:
        return None
    highest = FAULT_DOMAINS.get(location, 2) if multiple else 1
    return (1 if single else 2, 1 if zonal else highest)


def next_domain(members: Sequence[int]) -> int:
    """The fault domain for one more instance: the emptiest, ties to the lowest index.

    members: how many instances of the set each fault domain holds, by index.
    """
    return members.index(min(members))


def next_zone(members: dict[str, int], zones: Sequence[str]) -> str:
    """The zone for one more instance of a set that spans zones: the emptiest, ties to the first; "" for a regional set."""
    return min(zones, key=lambda zone: members.get(zone, 0)) if zones else ""


def most_instances(single_group: bool) -> int:
    """How many instances a set can have."""
    return MAX_IN_ONE_GROUP if single_group else MAX_INSTANCES


def regular_share(mix: Mapping[str, Any], instances: int) -> int:
    """How many of a set's instances are Regular where Spot and Regular are mixed; Spot gets the odd one.

    mix: a `priorityMixPolicy`; an empty one mixes nothing.
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
    """Which instances a scale-in by `count` takes.

    One after the other: the zone with most members, there the fault domain with most members, there first those that were
    created from the profile, then failed ones, then those that never ran, then the newest, then the greatest name.
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
        # Instances of the profile leave before hand-made ones, wherever they are.
        from_profile = [domain for domain, vms in domains.items() if vms and is_from_profile(vms[-1])]
        candidates = from_profile or [domain for domain, vms in domains.items() if vms]
        domain = min(candidates, key=lambda domain: (-zones[domain[0]], -len(domains[domain]), domain[0], -domain[1]))
        chosen.append(domains[domain].pop())
        zones[domain[0]] -= 1
    return chosen


def victims_by_age(members: Iterable[VmState], count: int, oldest: bool, is_locked: Callable[[VmState], bool]) -> list[VmState]:
    """Which instances a scale-in takes under the policy OldestVM or NewestVM of the later service: zones are balanced first."""
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
