"""The attachments of VMs: disks, network interfaces and public addresses.

The attachments of an instance that was created from a profile follow from the VM's state and model. They are "implied": the log has their
events and documents show them, but the fleet keeps no copy until a request or step changes one. The fleet keeps those of a standalone VM.

    web_0a1b2c3d, from a profile    in the fleet                       `disks_of` gives
    created                         the VM                             its OS disk (implied)
    PATCH of the OS disk            the VM, the disk (implied=False)   the disk of the fleet
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import cast

from kqlite.orchestration.chance import derived_hex
from kqlite.orchestration.fleet import Container, Fleet
from kqlite.orchestration.model import DiskState, NicState, Power, PublicIpState, Type, VmState
from kqlite.orchestration.recorder import Recorder
from kqlite.orchestration.vm_profiles import DiskPart, Facts, NicPart

_LONGEST_SET = 35  # characters of the set's name in an instance's name, which has at most 44


def instance_name(set_name: str, suffix: str) -> str:
    """The name of an instance of a set. suffix: eight characters."""
    return f"{set_name[:_LONGEST_SET]}_{suffix}"


def disk_name(vm: VmState, part: DiskPart) -> str:
    """The name of a VM's disk."""
    if part.name:
        return part.name
    if part.lun < 0:
        return f"{vm.name}_OsDisk_1_{derived_hex(vm.uid, 'disk-1')}"
    return f"{vm.name}_disk{part.lun + 2}_{derived_hex(vm.uid, f'disk{part.lun}')}"


def nic_name(vm: VmState, part: NicPart, facts: Facts) -> str:
    """The name of a VM's interface."""
    return f"{vm.set}-{part.name}-{vm.name[-8:]}" if facts.kind == "instance" else part.name


def public_ip_name(vm: VmState, part: NicPart, facts: Facts) -> str:
    """The name of an interface's public address; "" for none."""
    return f"{nic_name(vm, part, facts)}-{part.public_ip}" if part.public_ip and facts.kind == "instance" else part.public_ip


def private_address(uid: int, index: int) -> str:
    """The private address of an interface."""
    digits = derived_hex(uid, f"nic{index}")
    return f"10.{int(digits[:2], 16) % 200}.{int(digits[2:4], 16)}.{4 + int(digits[4:6], 16) % 250}"


def public_address(uid: int, index: int) -> str:
    """A public address, from a range reserved for documentation."""
    digits = derived_hex(uid, f"ip{index}")
    return f"203.0.113.{1 + int(digits[:2], 16) % 254}"


def make_disks(vm: VmState, facts: Facts) -> list[DiskState]:
    """The disks of a new VM, from its model."""
    state = "Reserved" if vm.power == Power.DEALLOCATED else "Attached"
    implied = facts.kind == "instance"
    return [
        DiskState(
            name=disk_name(vm, part),
            version=vm.disk_version,
            uid=vm.uid + index,
            location=vm.location,
            zone=vm.zone,
            tags=(),
            created=vm.created,
            vm=vm.name,
            lun=part.lun,
            size_gb=part.size_gb,
            sku=part.sku,
            os_type=facts.os_type if part.lun < 0 else "",
            state=state,
            implied=implied,
        )
        for index, part in enumerate(facts.disks)
    ]


def make_nics(vm: VmState, facts: Facts) -> list[NicState]:
    """The interfaces of a new VM, from its model."""
    return [
        NicState(
            name=nic_name(vm, part, facts),
            version=1,
            uid=vm.uid + index,
            location=vm.location,
            tags=(),
            created=vm.created,
            vm=vm.name,
            definition=part.number,
            address=private_address(vm.uid, index),
            public_ip=public_ip_name(vm, part, facts),
            implied=facts.kind == "instance",
        )
        for index, part in enumerate(facts.nics)
        if part.number
    ]


def make_public_ips(vm: VmState, facts: Facts) -> list[PublicIpState]:
    """The public addresses of a new VM, from its model."""
    return [
        PublicIpState(
            name=public_ip_name(vm, part, facts),
            version=1,
            uid=vm.uid + index,
            location=vm.location,
            tags=(),
            created=vm.created,
            nic=nic_name(vm, part, facts),
            address=public_address(vm.uid, index),
            sku="Standard",
            implied=facts.kind == "instance",
        )
        for index, part in enumerate(facts.nics)
        if part.public_ip
    ]


def disks_of(group: Container, vm: VmState, facts: Facts) -> list[tuple[DiskState, DiskPart]]:
    """A VM's disks as they are now."""
    made = {disk.name: disk for disk in make_disks(vm, facts)}
    found = []
    for part in facts.disks:
        name = disk_name(vm, part)
        disk = cast("DiskState | None", group.get(Type.DISK, name)) or (made[name] if facts.kind == "instance" else None)
        if disk is not None:
            found.append((disk, part))
    return found


def nics_of(group: Container, vm: VmState, facts: Facts) -> list[tuple[NicState, NicPart]]:
    """A VM's interfaces as they are now, without interfaces of which only the id is known."""
    made = {nic.name: nic for nic in make_nics(vm, facts)}
    found = []
    for part in facts.nics:
        name = nic_name(vm, part, facts)
        nic = cast("NicState | None", group.get(Type.NIC, name)) or (made.get(name) if facts.kind == "instance" else None)
        if nic is not None:
            found.append((nic, part))
    return found


def public_ips_of(group: Container, vm: VmState, facts: Facts) -> list[tuple[PublicIpState, NicPart]]:
    """A VM's public addresses as they are now."""
    made = {ip.name: ip for ip in make_public_ips(vm, facts)}
    found = []
    for part in facts.nics:
        name = public_ip_name(vm, part, facts)
        if name:
            ip = cast("PublicIpState | None", group.get(Type.PUBLIC_IP, name)) or (made.get(name) if facts.kind == "instance" else None)
            if ip is not None:
                found.append((ip, part))
    return found


def create_attachments(recorder: Recorder, group: Container, vm: VmState, facts: Facts) -> None:
    """Create the attachments of a new VM. An existing disk, interface or address with the same name is used instead."""
    for ip in make_public_ips(vm, facts):
        known_ip = cast("PublicIpState | None", group.get(Type.PUBLIC_IP, ip.name))
        if known_ip is None:
            recorder.create(group, Type.PUBLIC_IP, ip)
        else:
            recorder.change(group, Type.PUBLIC_IP, known_ip, nic=ip.nic)
    for nic in make_nics(vm, facts):
        known_nic = cast("NicState | None", group.get(Type.NIC, nic.name))
        if known_nic is None:
            recorder.create(group, Type.NIC, nic)
        else:
            recorder.change(group, Type.NIC, known_nic, vm=vm.name, definition=nic.definition, public_ip=nic.public_ip)
    for disk in make_disks(vm, facts):
        known = cast("DiskState | None", group.get(Type.DISK, disk.name))
        if known is None:
            recorder.create(group, Type.DISK, disk)
        else:
            recorder.change(group, Type.DISK, known, vm=vm.name, lun=disk.lun, state="Attached")
    for part in facts.nics:
        known_nic = cast("NicState | None", group.get(Type.NIC, part.name)) if not part.number else None
        if known_nic is not None:
            recorder.change(group, Type.NIC, known_nic, vm=vm.name)


def remove_attachments(recorder: Recorder, group: Container, vm: VmState, facts: Facts, with_disks: bool = False) -> None:
    """Delete or detach the attachments of a removed VM, as their delete options say. with_disks: delete all its disks."""
    for disk, disk_part in disks_of(group, vm, facts):
        if disk_part.deleted or with_disks:
            recorder.delete(group, Type.DISK, disk)
        else:
            recorder.change(group, Type.DISK, disk, vm="", state="Unattached", lun=-1, implied=False)
    # The delete option of an address applies when its interface is deleted. A remaining interface keeps its address.
    ips = {ip.name: (ip, part) for ip, part in public_ips_of(group, vm, facts)}
    for nic, nic_part in nics_of(group, vm, facts):
        ip, ip_part = ips.get(nic.public_ip, (None, nic_part))
        if nic_part.deleted:
            recorder.delete(group, Type.NIC, nic)
            if ip is not None and ip_part.public_ip_deleted:
                recorder.delete(group, Type.PUBLIC_IP, ip)
            elif ip is not None:
                recorder.change(group, Type.PUBLIC_IP, ip, nic="", implied=False)
        else:
            recorder.change(group, Type.NIC, nic, vm="", implied=False)
            if ip is not None and ip.implied:
                recorder.change(group, Type.PUBLIC_IP, ip, implied=False)


def materialise(recorder: Recorder, group: Container, vm: VmState, facts: Facts) -> None:
    """Make the fleet keep the implied attachments of a VM, before the VM gets a model of its own."""
    for ip, _ in public_ips_of(group, vm, facts):
        recorder.change(group, Type.PUBLIC_IP, ip, implied=False)
    for nic, _ in nics_of(group, vm, facts):
        recorder.change(group, Type.NIC, nic, implied=False)
    for disk, _ in disks_of(group, vm, facts):
        recorder.change(group, Type.DISK, disk, implied=False)


def follow_power(recorder: Recorder, group: Container, vm: VmState, facts: Facts, deallocated: bool) -> int:
    """Change the state of a VM's disks: Reserved while the VM is deallocated, else Attached.

    Returns:
        The VM's new `disk_version`, which the caller sets.
    """
    state = "Reserved" if deallocated else "Attached"
    moved = [recorder.change(group, Type.DISK, disk, state=state) for disk, _ in disks_of(group, vm, facts) if disk.state != state]
    return vm.disk_version + 1 if any(disk.implied for disk in moved) else vm.disk_version


def find_disk(fleet: Fleet, group: Container, name: str) -> DiskState | None:
    """The disk with this name, kept or implied; None if there is none."""
    known = cast("DiskState | None", group.get(Type.DISK, name))
    if known is not None:
        return known
    lower = name.lower()
    for separator in ("_osdisk_", "_disk"):
        vm = group.vm(lower.rpartition(separator)[0])
        if vm is not None:
            return next((disk for disk in _implied_disks(fleet, vm) if disk.name.lower() == lower), None)
    return None


def _implied_disks(fleet: Fleet, vm: VmState) -> list[DiskState]:
    facts = fleet.facts(vm.model)
    return make_disks(vm, facts) if facts.kind == "instance" else []


def _owner(group: Container, name: str) -> VmState | None:
    """The instance that owns an implied interface or address with this name: `{set}-{configuration}-{8 digits}`."""
    parts = name.lower().split("-")
    for at in range(len(parts) - 1, 1, -1):
        for cut in range(at - 1, 0, -1):
            vm = group.vm(instance_name("-".join(parts[:cut]), parts[at]))
            if vm is not None:
                return vm
    return None


def find_nic(fleet: Fleet, group: Container, name: str) -> NicState | None:
    """The interface with this name, kept or implied; None if there is none."""
    known = cast("NicState | None", group.get(Type.NIC, name))
    vm = _owner(group, name) if known is None else None
    if vm is None:
        return known
    facts = fleet.facts(vm.model)
    implied = make_nics(vm, facts) if facts.kind == "instance" else []
    return next((nic for nic in implied if nic.name.lower() == name.lower()), None)


def find_public_ip(fleet: Fleet, group: Container, name: str) -> PublicIpState | None:
    """The public address with this name, kept or implied; None if there is none."""
    known = cast("PublicIpState | None", group.get(Type.PUBLIC_IP, name))
    vm = _owner(group, name) if known is None else None
    if vm is None:
        return known
    facts = fleet.facts(vm.model)
    implied = make_public_ips(vm, facts) if facts.kind == "instance" else []
    return next((ip for ip in implied if ip.name.lower() == name.lower()), None)


def all_of(fleet: Fleet, group: Container, type_: str) -> list[DiskState | NicState | PublicIpState]:
    """All disks, interfaces or addresses of a group, kept and implied, sorted by name."""
    kept = cast("dict[str, DiskState | NicState | PublicIpState]", dict(group.of(type_)))
    make = _MAKERS[type_]
    for vm in cast("dict[str, VmState]", group.of(Type.VM)).values():
        facts = fleet.facts(vm.model)
        if facts.kind == "instance":
            for state in make(vm, facts):
                kept.setdefault(state.name.lower(), state)
    return [kept[key] for key in sorted(kept)]


_MAKERS: dict[str, Callable[[VmState, Facts], Sequence[DiskState | NicState | PublicIpState]]] = {
    Type.DISK: make_disks,
    Type.NIC: make_nics,
    Type.PUBLIC_IP: make_public_ips,
}
