"""The model of a hand-made VM: what a request says of it, with every name resolved, as one immutable definition."""

from __future__ import annotations

from typing import Any

from kqlite.orchestration import errors
from kqlite.orchestration.chance import derived_hex
from kqlite.orchestration.fleet import Container
from kqlite.orchestration.model import TOP_LEVEL_MEMBERS
from kqlite.orchestration.recorder import Recorder
from kqlite.orchestration.requests import rules
from kqlite.orchestration.requests.call import (
    given,
    group_of_id,
    last_segment,
)


def in_use(what: str, name: str, vm: str) -> errors.ArmError:
    """The refusal of a disk or interface that another VM holds."""
    return errors.ArmError(409, "OperationNotAllowed", f"{what} '{name}' is in use by VM '{vm}'.")


def disk_parts(properties: dict[str, Any]) -> list[tuple[dict[str, Any], int]]:
    """The disks that a VM's properties name, each with its number, -1 for the OS disk."""
    storage = properties.get("storageProfile") or {}
    os_disk = [(storage["osDisk"], -1)] if storage.get("osDisk") else []
    return os_disk + [(disk, int(disk["lun"])) for disk in storage.get("dataDisks") or []]


def nic_of(group: Container, reference: dict[str, Any]) -> str:
    """The name of an interface of this group; the whole id of one that lies elsewhere and is only carried."""
    id_ = str(reference.get("id") or "")
    return last_segment(id_) if group_of_id(id_) == group.key else id_


def define_model(recorder: Recorder, group: Container, name: str, uid: int, properties: dict[str, Any], body: dict[str, Any]) -> int:
    """The number of a hand-made VM's model: its properties with every name resolved, its extensions and interfaces."""
    properties = rules.without_secrets({key: value for key, value in properties.items() if key not in LINKS})
    storage = dict(properties.get("storageProfile") or {})
    storage["osDisk"] = {"createOption": "FromImage", **(storage.get("osDisk") or {})}
    storage["osDisk"].setdefault("name", f"{name}_OsDisk_1_{derived_hex(uid, 'disk-1')}")
    disks = []
    for disk in storage.get("dataDisks") or []:
        attached = last_segment(given(disk, "managedDisk", "id") or "")
        default = attached or f"{name}_disk{disk['lun'] + 2}_{derived_hex(uid, 'disk' + str(disk['lun']))}"
        disks.append({**disk, "name": disk.get("name") or default})
    storage["dataDisks"] = disks
    properties["storageProfile"] = storage
    if "osProfile" in properties:
        properties["osProfile"] = {"computerName": name, **properties["osProfile"]}
    document: dict[str, Any] = {"properties": properties, "extensions": [], "nics": _define_nics(recorder, group, properties)}
    for member in TOP_LEVEL_MEMBERS:
        if body.get(member) is not None:
            document[member] = body[member]
    return recorder.define("vm", document)


LINKS = ("virtualMachineScaleSet", "platformFaultDomain")


def _define_nics(recorder: Recorder, group: Container, properties: dict[str, Any]) -> list[list[Any]]:
    nics = rules.define_nics(recorder, properties, "Detach")
    for reference in given(properties, "networkProfile", "networkInterfaces") or []:
        option = given(reference, "properties", "deleteOption") or "Detach"
        nics.append([nic_of(group, reference), 0, option == "Delete", "", False])
    return nics
