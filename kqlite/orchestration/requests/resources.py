"""Requests about disks, network interfaces, public addresses, load balancers and proximity placement groups.

Source: Azure docs, "Disks", "Network Interfaces", "Public IP Addresses", "Proximity Placement Groups" (REST references).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

from kqlite.orchestration import arm_documents, errors
from kqlite.orchestration.attachments import all_of, find_disk, find_nic, find_public_ip, private_address, public_address
from kqlite.orchestration.disk_performance import TIERS, performance_of
from kqlite.orchestration.fleet import Container
from kqlite.orchestration.model import DiskState, NicState, PublicIpState, RegionalState, ResourceState, ScaleSetState, Type, VmState
from kqlite.orchestration.recorder import Recorder
from kqlite.orchestration.requests import schema
from kqlite.orchestration.requests.bodies import read_resource
from kqlite.orchestration.requests.call import (
    Call,
    Outcome,
    check_match,
    check_name,
    checked_location,
    get_path,
    last_segment,
    tags_of,
)

_MODELS: dict[str, str] = {
    Type.DISK: "Disk",
    Type.NIC: "NetworkInterface",
    Type.PUBLIC_IP: "PublicIPAddress",
    Type.LOAD_BALANCER: "LoadBalancer",
    Type.PLACEMENT_GROUP: "ProximityPlacementGroup",
}
KINDS = (Type.DISK, Type.NIC, Type.PUBLIC_IP, Type.LOAD_BALANCER, Type.PLACEMENT_GROUP)


def find(recorder: Recorder, group: Container, type_: str, name: str) -> RegionalState | None:
    """The resource with this type and name; None if there is none."""
    if type_ == Type.DISK:
        return find_disk(recorder.fleet, group, name)
    if type_ == Type.NIC:
        return find_nic(recorder.fleet, group, name)
    if type_ == Type.PUBLIC_IP:
        return find_public_ip(recorder.fleet, group, name)
    return cast("RegionalState | None", group.get(type_, name))


def show(recorder: Recorder, group: Container, type_: str, state: RegionalState) -> dict[str, Any]:
    """The document of a resource."""
    if isinstance(state, DiskState):
        return arm_documents.disk(group.id, state, recorder.fleet.definitions)
    if isinstance(state, NicState):
        return arm_documents.nic(group.id, state, recorder.fleet.definitions)
    if isinstance(state, PublicIpState):
        return arm_documents.public_ip(group.id, state, recorder.fleet.definitions)
    document = arm_documents.plain(group.id, type_, cast("ResourceState", state), recorder.fleet.definitions)
    if type_ == Type.PLACEMENT_GROUP:
        document["properties"] |= _placed(recorder, group, cast("ResourceState", state))
    return document


def _placed(recorder: Recorder, group: Container, state: ResourceState) -> dict[str, Any]:
    """The scale sets and VMs of this group that belong to a proximity placement group, for its document."""
    own = arm_documents.resource_id(group.id, Type.PLACEMENT_GROUP, state.name).lower()
    sets, vms = [], []
    for scale_set in cast("dict[str, ScaleSetState]", group.of(Type.SCALE_SET)).values():
        body = recorder.fleet.definitions[scale_set.model].document["properties"]
        if (get_path(body, "proximityPlacementGroup", "id") or "").lower() == own:
            sets.append({"id": arm_documents.resource_id(group.id, Type.SCALE_SET, scale_set.name)})
    for vm in cast("dict[str, VmState]", group.of(Type.VM)).values():
        stored = recorder.fleet.definitions[vm.model].document
        reference = get_path(stored, "proximityPlacementGroup", "id") or get_path(stored, "properties", "proximityPlacementGroup", "id")
        if (reference or "").lower() == own:
            vms.append({"id": arm_documents.resource_id(group.id, Type.VM, vm.name)})
    return {"virtualMachineScaleSets": sets, "virtualMachines": vms}


def get(recorder: Recorder, call: Call, type_: str) -> Outcome:
    """GET of a resource."""
    group = call.group(recorder)
    state = find(recorder, group, type_, call.name)
    if state is None:
        raise errors.not_found(type_, call.name, group.name)
    return Outcome(200, lambda: show(recorder, group, type_, state))


def list_(recorder: Recorder, group: Container, type_: str) -> Sequence[RegionalState]:
    """All resources of a type in a group, by name."""
    if type_ in (Type.DISK, Type.NIC, Type.PUBLIC_IP):
        return all_of(recorder.fleet, group, type_)
    found = cast("dict[str, RegionalState]", group.of(type_))
    return [found[key] for key in sorted(found)]


def put(recorder: Recorder, call: Call, type_: str) -> Outcome:
    """PUT and PATCH of a resource. It takes effect at once."""
    group = call.group(recorder)
    existing = find(recorder, group, type_, call.name)
    if existing is None and call.method == "PATCH":
        raise errors.not_found(type_, call.name, group.name)
    there = existing.location if existing is not None else ""
    location = checked_location(call.body if isinstance(call.body, dict) else {}, type_, there)
    body = read_resource(call, _MODELS[type_], type_.rpartition("/")[2])
    check_name(call.name, "name")
    check_match(call, existing)
    if existing is not None and location != there:
        raise errors.wrong_location(existing.name, there, group.name, location)
    new = _wanted(recorder, call, group, type_, location, body, existing)
    if isinstance(new, NicState):
        _move_address(recorder, group, cast("NicState | None", existing), new)
    if existing is None:
        recorder.create(group, type_, new)
    else:
        fields = {field: value for field, value in new._asdict().items() if field not in ("version", "uid", "created", "name")}
        recorder.change(group, type_, existing, **fields)
    name = new.name
    status, operation = 201 if existing is None else 200, ""
    if type_ == Type.DISK:
        # Only disks answer with an operation, one that has ended already.
        operation = recorder.open_operation("disks/write", group, group.scope(type_) + name, location)
        recorder.end_operation(group, operation)
        status = 202 if existing is None else 200
    return Outcome(
        status, lambda: show(recorder, group, type_, cast("RegionalState", find(recorder, group, type_, name))), operation, location
    )


def _wanted(
    recorder: Recorder, call: Call, group: Container, type_: str, location: str, body: dict[str, Any], existing: RegionalState | None
) -> DiskState | NicState | PublicIpState | ResourceState:
    """The state that a request wants. A PUT replaces the stored body, a PATCH is merged into it."""
    uid = recorder.chance.uid(group.scope(type_) + call.name, recorder.now)
    patched = existing if call.method == "PATCH" else None
    tags = tags_of(call, body, existing.tags if existing is not None else ())
    body = {key: value for key, value in body.items() if key not in ("location", "tags")}
    if type_ == Type.DISK:
        return _disk(recorder, call, uid, location, tags, body, cast("DiskState | None", existing))
    if type_ == Type.NIC:
        old = cast("NicState | None", existing)
        properties = _stored(recorder, body.pop("properties", {}), old.definition if old is not None and patched is not None else 0)
        reference = next((get_path(ip, "properties", "publicIPAddress", "id") for ip in properties.get("ipConfigurations") or []), None)
        ip = last_segment(reference) if reference else ""
        address = old.address if old else private_address(uid, 0)
        beside = _stored(recorder, body, old.beside if old is not None and patched is not None else 0)
        number, rest = recorder.define("nic", properties), recorder.define("nic", beside) if beside else 0
        return NicState(
            call.name, 1, uid, location, tags, recorder.now, old.vm if old else "", number, address, ip, implied=False, beside=rest
        )
    if type_ == Type.PUBLIC_IP:
        old_ip = cast("PublicIpState | None", existing)
        sku = get_path(body, "sku", "name") or (old_ip.sku if old_ip else "Standard")
        stored = _stored(recorder, body, old_ip.definition if old_ip is not None and patched is not None else 0)
        stored["sku"] = {"tier": "Regional", **stored.get("sku", {}), "name": sku}
        address, nic = (old_ip.address, old_ip.nic) if old_ip else (public_address(uid, 0), "")
        number = recorder.define("publicIp", stored)
        return PublicIpState(call.name, 1, uid, location, tags, recorder.now, nic, address, sku, implied=False, definition=number)
    stored = _stored(recorder, body, cast("ResourceState", patched).definition if patched is not None else 0)
    return ResourceState(call.name, 1, uid, location, tags, recorder.now, recorder.define(type_, {"properties": {}, **stored}))


def _move_address(recorder: Recorder, group: Container, old: NicState | None, new: NicState) -> None:
    """Assign a public address to an interface and release the old one. Raises ArmError."""
    own, before = f"{group.scope(Type.NIC)}{new.name}", old.public_ip if old is not None else ""
    if new.public_ip == before:
        return
    if new.public_ip:
        wanted = f"{group.scope(Type.PUBLIC_IP)}{new.public_ip}"
        address = find_public_ip(recorder.fleet, group, new.public_ip)
        if address is None:
            raise errors.reference_not_found(wanted, own)
        if address.nic and address.nic.lower() != new.name.lower():
            raise errors.public_ip_in_use(own, wanted, f"{group.scope(Type.NIC)}{address.nic}")
        recorder.change(group, Type.PUBLIC_IP, address, nic=new.name, implied=False)
    _release_address(recorder, group, before)


def _release_address(recorder: Recorder, group: Container, name: str) -> None:
    address = find_public_ip(recorder.fleet, group, name) if name else None
    if address is not None:
        recorder.change(group, Type.PUBLIC_IP, address, nic="", implied=False)


def _stored(recorder: Recorder, body: dict[str, Any], before: int) -> dict[str, Any]:
    """The body to store. before: the definition that a PATCH is merged into; 0 for none."""
    return dict(schema.merged(recorder.fleet.definitions[before].document if before else {}, body))


def _disk(
    recorder: Recorder, call: Call, uid: int, location: str, tags: Any, body: dict[str, Any], existing: DiskState | None
) -> DiskState:
    patched = existing if call.method == "PATCH" else None
    stored = _stored(recorder, body, patched.definition if patched is not None else 0)
    properties = dict(stored.get("properties") or {})
    size = properties.pop("diskSizeGB", None)
    if size is None:
        size = existing.size_gb if existing else 0
    if not 0 < size <= 65536:
        raise errors.parameter_invalid("diskSizeGB")
    if existing is not None and size < existing.size_gb:
        raise errors.ArmError(409, "OperationNotAllowed", "Shrinking disk size is not allowed.", "diskSizeGB")
    sku = (stored.pop("sku", None) or {}).get("name") or (existing.sku if existing else "Standard_LRS")
    zones = stored.pop("zones", None) or ([existing.zone] if existing and existing.zone else [])
    if len(zones) > 1:
        raise errors.parameter_invalid("zones")
    os_type = properties.pop("osType", None) or (existing.os_type if existing else "")
    _check_performance(sku, size, properties)
    number = recorder.define("disk", {**stored, "properties": properties})
    disk = existing or DiskState(call.name, 1, uid, location, "", tags, recorder.now, "", -1, size, sku, "", "Unattached", implied=False)
    zone = zones[0] if zones else ""
    return disk._replace(tags=tags, size_gb=size, sku=sku, zone=zone, os_type=os_type, implied=False, definition=number)


def _check_performance(sku: str, size: int, properties: dict[str, Any]) -> None:
    """Raise ArmError for performance settings that the disk type does not have. Disk types such as ultra disks have them."""
    tier = properties.get("tier") or ""
    performance = performance_of(sku, size, tier)
    if tier and (tier != performance.tier or TIERS.index(tier) < TIERS.index(performance_of(sku, size).tier)):
        raise errors.parameter_invalid("tier")
    if not performance.iops:
        return
    for name, value in (("diskIOPSReadWrite", performance.iops), ("diskMBpsReadWrite", performance.mbps)):
        if properties.pop(name, value) != value:
            raise errors.parameter_invalid(name)


def delete(recorder: Recorder, call: Call, type_: str) -> Outcome:
    """DELETE of a resource. It is refused while another resource uses it."""
    group = call.group(recorder)
    state = find(recorder, group, type_, call.name)
    if state is None:
        return Outcome(204)
    check_match(call, state)
    if isinstance(state, DiskState) and state.vm:
        message = f"Disk {state.name} is attached to VM {arm_documents.resource_id(group.id, Type.VM, state.vm)}."
        raise errors.ArmError(409, "OperationNotAllowed", message)
    if isinstance(state, NicState) and state.vm:
        vm = arm_documents.resource_id(group.id, Type.VM, state.vm)
        message = f"Network Interface {group.scope(type_)}{state.name} is used by existing resource {vm}."
        raise errors.ArmError(400, "NicInUse", message)
    if isinstance(state, PublicIpState) and state.nic:
        message = (
            f"Public IP address {group.scope(type_)}{state.name} can not be deleted since it is still allocated to resource {state.nic}."
        )
        raise errors.ArmError(400, "PublicIPAddressCannotBeDeleted", message)
    if type_ == Type.PLACEMENT_GROUP and any(_placed(recorder, group, cast("ResourceState", state)).values()):
        message = f"Proximity Placement Group '{call.name}' cannot be deleted. Before deleting it please ensure that it holds no resources."
        raise errors.ArmError(409, "OperationNotAllowed", message)
    if isinstance(state, NicState):
        _release_address(recorder, group, state.public_ip)
    recorder.delete(group, type_, state)
    return Outcome(200)
