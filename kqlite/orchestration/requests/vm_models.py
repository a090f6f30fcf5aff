"""The model of a standalone VM: the request's properties with all names resolved, as an immutable definition."""

from __future__ import annotations

from typing import Any

from kqlite.orchestration import errors
from kqlite.orchestration.chance import derived_hex
from kqlite.orchestration.fleet import Container
from kqlite.orchestration.model import TOP_LEVEL_MEMBERS
from kqlite.orchestration.recorder import Recorder
from kqlite.orchestration.requests import rules
from kqlite.orchestration.requests.call import (
    get_path,
    group_of_id,
    last_segment,
)


def in_use(what: str, name: str, vm: str) -> errors.ArmError:
    """The error for a disk or interface that another VM uses."""
    return errors.ArmError(409, "OperationNotAllowed", f"{what} '{name}' is in use by VM '{vm}'.")


def disk_parts(properties: dict[str, Any]) -> list[tuple[dict[str, Any], int]]:
    """The disks in a VM's properties, each with its logical unit number (-1 for the OS disk)."""
    storage = properties.get("storageProfile") or {}
    os_disk = [(storage["osDisk"], -1)] if storage.get("osDisk") else []
    return os_disk + [(disk, int(disk["lun"])) for disk in storage.get("dataDisks") or []]


def nic_of(group: Container, reference: dict[str, Any]) -> str:
    """The name of a referenced interface; its id if it lies in another group. kqlite keeps such an id and does not resolve it."""
    id_ = str(reference.get("id") or "")
    return last_segment(id_) if group_of_id(id_) == group.key else id_


def define_model(recorder: Recorder, group: Container, name: str, uid: int, properties: dict[str, Any], body: dict[str, Any]) -> int:
    """Define the model of a standalone VM: its properties with all names resolved, and its interfaces.

    Args:
        name: Name of the VM.
        uid: Its unique number, for the names of its disks.
        properties: The properties that the request wants.
        body: The whole body, for the members outside `properties`.

    Returns:
        The number of the definition.
    """
    properties = rules.without_secrets({key: value for key, value in properties.items() if key not in LINKS})
    storage = dict(properties.get("storageProfile") or {})
    storage["osDisk"] = {"createOption": "FromImage", **(storage.get("osDisk") or {})}
    storage["osDisk"].setdefault("name", f"{name}_OsDisk_1_{derived_hex(uid, 'disk-1')}")
    disks = []
    for disk in storage.get("dataDisks") or []:
        attached = last_segment(get_path(disk, "managedDisk", "id") or "")
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
    for reference in get_path(properties, "networkProfile", "networkInterfaces") or []:
        option = get_path(reference, "properties", "deleteOption") or "Detach"
        nics.append([nic_of(group, reference), 0, option == "Delete", "", False])
    return nics
