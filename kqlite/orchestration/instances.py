"""Steps of a VM: creation, the begin of a step, deletion. Controllers and request handlers share these functions.

Durations are seeded draws from triangular distributions. Azure documents none; they have the order of magnitude of public test runs.
"""

from __future__ import annotations

from typing import Any

from kqlite.orchestration.attachments import create_attachments, follow_power, instance_name, remove_attachments
from kqlite.orchestration.clock import SECOND
from kqlite.orchestration.failures import PREEMPTED
from kqlite.orchestration.fleet import Container
from kqlite.orchestration.model import (
    ExtensionState,
    Health,
    Power,
    Provisioning,
    ScaleSetState,
    Step,
    Type,
    VmState,
)
from kqlite.orchestration.placement import next_domain, next_zone
from kqlite.orchestration.recorder import Recorder
from kqlite.orchestration.vm_profiles import Facts

# Seconds: lowest, likeliest, highest.
CREATE = {"Linux": (25.0, 60.0, 180.0), "Windows": (90.0, 180.0, 480.0)}
DURATIONS: dict[str, tuple[float, float, float]] = {
    Step.EXTENSIONS: (10, 30, 120),
    Step.START: (10, 20, 60),
    Step.START_ALLOCATE: (20, 45, 150),
    Step.POWER_OFF: (8, 20, 90),
    Step.DEALLOCATE: (15, 40, 120),
    Step.RESTART: (15, 30, 90),
    Step.REDEPLOY: (90, 240, 480),
    Step.REIMAGE: (40, 90, 240),
    Step.REAPPLY: (5, 10, 30),
    Step.UPDATE: (5, 10, 30),
    Step.DELETE: (15, 40, 120),
    Step.EVICT_DELETE: (15, 40, 120),
    Step.OUTAGE: (300, 600, 900),
    Step.REBOOT: (180, 300, 600),
}
QUICK_STOP = (2.0, 3.0, 5.0)
QUICK_DELETE = (2.0, 5.0, 10.0)
PREEMPT_NOTICE = 30 * SECOND
# Shares of the creation time after which the VM is allocated, and has booted. The guest is provisioned in the rest.
_ALLOCATED_AT, _BOOTED_AT = 0.1, 0.4

_POWER_AT_START: dict[str, str] = {
    Step.START: Power.STARTING,
    Step.START_ALLOCATE: Power.STARTING,
    Step.POWER_OFF: Power.STOPPING,
    Step.DEALLOCATE: Power.DEALLOCATING,
    Step.RESTART: Power.STARTING,
    Step.REDEPLOY: Power.STARTING,
    Step.REIMAGE: Power.STARTING,
    Step.OUTAGE: Power.UNKNOWN,
    Step.REBOOT: Power.STARTING,
}


def creation_time(recorder: Recorder, vm: VmState, facts: Facts) -> int:
    """Microseconds from the request to the end of OS provisioning."""
    return round(recorder.chance.triangular(CREATE[facts.os_type], "create", vm.uid, vm.turn) * SECOND)


def allocation_due(recorder: Recorder, vm: VmState, facts: Facts) -> int:
    """When a new VM is allocated."""
    return recorder.now + round(creation_time(recorder, vm, facts) * _ALLOCATED_AT)


def boot_due(recorder: Recorder, vm: VmState, facts: Facts) -> int:
    """When a VM that was just allocated has booted."""
    return recorder.now + round(creation_time(recorder, vm, facts) * (_BOOTED_AT - _ALLOCATED_AT))


def provision_due(recorder: Recorder, vm: VmState, facts: Facts) -> int:
    """When the guest of a VM that has just booted is provisioned."""
    return recorder.now + round(creation_time(recorder, vm, facts) * (1 - _BOOTED_AT))


def step_due(recorder: Recorder, vm: VmState, step: str, bounds: tuple[float, float, float] | None = None) -> int:
    """When a step that begins now ends."""
    return recorder.now + round(recorder.chance.triangular(bounds or DURATIONS[step], step, vm.uid, vm.turn) * SECOND)


def begin(
    recorder: Recorder,
    group: Container,
    vm: VmState,
    step: Step,
    work: str,
    bounds: tuple[float, float, float] | None = None,
    **fields: Any,
) -> VmState:
    """Begin a step on a VM. Until it ends, the VM is Updating or what `fields` say.

    Args:
        step: The step.
        work: What waits for the step: "set", "repair", an operation id, or "" for nothing.
        bounds: Lowest, likeliest and highest duration in seconds; None for that of `DURATIONS`.
        fields: More fields of the VM to change.
    """
    changed: dict[str, Any] = {"step": step, "work": work, "turn": vm.turn + 1, "due": step_due(recorder, vm, step, bounds)}
    changed["provisioning"] = Provisioning.UPDATING
    power = _POWER_AT_START.get(step)
    if power is not None:
        changed["power"] = power
        if vm.health:
            changed["health"], changed["health_due"] = Health.NONE, 0
        elif vm.health_due:
            changed["health_due"] = 0
    changed.update(fields)
    if changed["provisioning"] != vm.provisioning:
        changed["changed"] = recorder.now
    begun = recorder.change_vm(group, vm, **changed)
    if vm.work and vm.work != begun.work:
        _abandon_work(recorder, group, vm)
    return begun


def _abandon_work(recorder: Recorder, group: Container, vm: VmState) -> None:
    """Preempt what waits for the step of `vm`, because another step has replaced it."""
    if vm.work not in ("set", "repair"):
        if vm.work not in recorder.fleet.open_work:
            recorder.end_operation(group, vm.work, PREEMPTED)
        return
    scale_set = group.scale_set(vm.set)
    if scale_set is None or scale_set.provisioning == Provisioning.DELETING:
        return
    if vm.work == "repair":
        recorder.change_set(group, scale_set, repair_due=recorder.now)
    elif scale_set.operation:
        recorder.change_set(group, scale_set, due=recorder.now)


def rack_for(recorder: Recorder, group: Container, set_name: str, domain: int, uid: int) -> int:
    """The rack for a new instance: the emptiest of its fault domain. A standalone VM gets a random rack."""
    if not set_name:
        return recorder.chance.number("rack", uid) % 4
    racks = recorder.fleet.membership(group, set_name).racks[domain]
    return racks.index(min(racks))


def _free_name(recorder: Recorder, group: Container, scale_set: ScaleSetState, serial: int) -> str:
    attempt = 0
    while True:
        suffix = recorder.chance.number("name", scale_set.uid, serial * 1000 + attempt) & 0xFFFFFFFF
        name = instance_name(scale_set.name, f"{suffix:08x}")
        if group.get(Type.VM, name) is None:
            return name
        attempt += 1


def create_from_profile(recorder: Recorder, group: Container, scale_set: ScaleSetState, serial: int, work: str, model: int) -> VmState:
    """Create an instance of a scale set from a profile, with its attachments and extensions.

    Args:
        serial: Number of the instance among those created from the profile. Its name follows from it.
        work: What waits for the instance, "set" or "repair".
        model: The definition with size and profile.
    """
    name = _free_name(recorder, group, scale_set, serial)
    membership = recorder.fleet.membership(group, scale_set.name)
    domain = next_domain(membership.domains)
    return create(
        recorder,
        group,
        name=name,
        location=scale_set.location,
        zone=next_zone(membership.zones, scale_set.zones),
        set_name=scale_set.name,
        model=model,
        tags=scale_set.tags,
        domain=domain,
        domain_asked=False,
        work=work,
    )


def create(
    recorder: Recorder,
    group: Container,
    *,
    name: str,
    location: str,
    zone: str,
    set_name: str,
    model: int,
    tags: tuple[tuple[str, str], ...],
    domain: int,
    domain_asked: bool,
    work: str,
) -> VmState:
    """Create a VM, with its attachments and extensions, in the step "allocate".

    Args:
        zone: Its zone; "" for a regional VM.
        set_name: Its scale set; "" for a standalone VM.
        model: Definition of kind "instance" or "vm".
        domain: Its fault domain; -1 outside a scale set.
        domain_asked: Whether the request named the fault domain.
        work: What waits for the creation: "set", "repair" or an operation id.
    """
    facts = recorder.fleet.facts(model)
    uid = recorder.chance.uid(group.scope(Type.VM) + name, recorder.now)
    vm = VmState(
        name=name,
        version=1,
        uid=uid,
        location=location,
        zone=zone,
        set=set_name,
        model=model,
        tags=tags,
        created=recorder.now,
        domain=domain,
        domain_asked=domain_asked,
        rack=rack_for(recorder, group, set_name, domain, uid),
        provisioning=Provisioning.CREATING,
        power=Power.NONE,
        failure=(),
        changed=recorder.now,
        settled=0,
        step=Step.ALLOCATE,
        due=0,
        work=work,
        turn=0,
        extensions=tuple((extension, number, Provisioning.CREATING, 1, "") for extension, number in facts.extensions),
        health=Health.NONE,
        answer="",
        health_due=0,
        disk_version=1,
        generalized=False,
    )
    vm = vm._replace(due=allocation_due(recorder, vm, facts))
    create_attachments(recorder, group, vm, facts)
    recorder.create(group, Type.VM, vm)
    for extension, number in facts.extensions:
        state = ExtensionState(extension, 1, vm.name, vm.location, number, Provisioning.CREATING, "")
        recorder.create(group, Type.EXTENSION, state, name=f"{vm.name}/extensions/{extension}")
    return vm


def start_deallocated(recorder: Recorder, group: Container, vm: VmState, work: str) -> VmState:
    """Begin to allocate and start a deallocated VM."""
    version = follow_power(recorder, group, vm, recorder.fleet.facts(vm.model), deallocated=False)
    return begin(recorder, group, vm, Step.START_ALLOCATE, work, failure=(), disk_version=version)


def begin_delete(recorder: Recorder, group: Container, vm: VmState, work: str, quick: bool = False) -> VmState:
    """Begin to delete a VM, after a terminate notice where its model asks for one.

    Args:
        work: What waits for the deletion: "set", "repair", an operation id, or "" for nothing.
        quick: Whether to skip the notice and delete faster, as a forced deletion does.
    """
    notice = recorder.fleet.facts(vm.model).notice
    ran = vm.power == Power.RUNNING and vm.provisioning != Provisioning.CREATING
    if notice and ran and not quick:
        recorder.note(group.scope(Type.VM) + vm.name, "Terminate scheduled")
        return begin(
            recorder,
            group,
            vm,
            Step.NOTICE,
            work,
            (0.0, 0.0, 0.0),
            provisioning=Provisioning.DELETING,
            due=recorder.now + notice,
            failure=(),
        )
    return delete_now(recorder, group, vm, work, quick)


def delete_now(recorder: Recorder, group: Container, vm: VmState, work: str, quick: bool = False) -> VmState:
    """Begin to delete a VM without notice."""
    bounds = QUICK_DELETE if quick else None
    return begin(recorder, group, vm, Step.DELETE, work, bounds, provisioning=Provisioning.DELETING, health_due=0, failure=())


def remove(recorder: Recorder, group: Container, vm: VmState, with_disks: bool = False) -> None:
    """Remove a VM with its extensions and attachments. with_disks: delete all its disks, whatever their delete option."""
    facts = recorder.fleet.facts(vm.model)
    forget_member(recorder, group, vm)
    for extension, number, provisioning, version, failure in vm.extensions:
        state = ExtensionState(extension, version, vm.name, vm.location, number, provisioning, failure)
        recorder.delete(group, Type.EXTENSION, state, name=f"{vm.name}/extensions/{extension}")
    recorder.delete(group, Type.VM, vm)
    remove_attachments(recorder, group, vm, facts, with_disks)


def forget_member(recorder: Recorder, group: Container, vm: VmState) -> None:
    """Remove what a set stores about a VM that leaves it: protection and eviction."""
    scale_set = group.scale_set(vm.set) if vm.set else None
    if scale_set is not None and (scale_set.protected or scale_set.evicted):
        key = vm.name.lower()
        protected = tuple(each for each in scale_set.protected if each[0] != key)
        recorder.change_set(group, scale_set, protected=protected, evicted=tuple(each for each in scale_set.evicted if each[0] != key))


def with_extension(vm: VmState, name: str, provisioning: str, failure: str = "") -> tuple[tuple[str, int, str, int, str], ...]:
    """The `extensions` of a VM, with one of them changed."""
    return tuple(
        (known, number, provisioning, version + 1, failure) if known == name else (known, number, before, version, code)
        for known, number, before, version, code in vm.extensions
    )


def change_extension(recorder: Recorder, group: Container, vm: VmState, name: str, provisioning: str, failure: str = "") -> None:
    """Record the change of an extension. The caller changes the VM's own copy, with `with_extension`."""
    for known, number, before, version, code in vm.extensions:
        if known == name:
            state = ExtensionState(known, version, vm.name, vm.location, number, before, code)
            note = f"{vm.name}/extensions/{known}"
            recorder.change(group, Type.EXTENSION, state, note=note, provisioning=provisioning, failure=failure)
