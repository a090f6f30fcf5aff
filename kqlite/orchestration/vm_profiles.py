"""The facts of a VM's model. They are computed once for each definition and shared by all VMs that refer to it.

A model is a definition of kind "instance", from a scale set's profile (`{size, profile, extensions, nics}`), or of kind "vm", from a
request (`{properties, extensions, nics, zones, ..}`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from kqlite.orchestration.azure_offerings import Size, find_size
from kqlite.orchestration.clock import MINUTE, SECOND, iso_duration
from kqlite.orchestration.model import Definition

HEALTH_PUBLISHER = "microsoft.managedservices"
HEALTH_TYPES = ("applicationhealthlinux", "applicationhealthwindows")


@dataclass(frozen=True, slots=True)
class DiskPart:
    """A disk of a model.

    Args:
        lun: Logical unit number; -1 for the OS disk.
        deleted: Whether it is deleted with its VM.
        name: Its name; "" for a name made from the VM's name.
    """

    lun: int
    size_gb: int
    sku: str
    deleted: bool
    name: str


@dataclass(frozen=True, slots=True)
class NicPart:
    """A network interface of a model.

    Args:
        number: Definition of its configuration; 0 for an existing interface that the model names.
        deleted: Whether it is deleted with its VM.
        public_ip: Name of its public address; "" for none.
        public_ip_deleted: Whether the address is deleted with the interface.
    """

    name: str
    number: int
    deleted: bool
    public_ip: str
    public_ip_deleted: bool


@dataclass(frozen=True, slots=True)
class Facts:
    """The facts of a model.

    Args:
        kind: "instance" or "vm".
        priority_given: Whether the request named a priority.
        eviction: Eviction policy, "Deallocate" or "Delete".
        max_price: Highest Spot price in US dollars an hour; -1 for any.
        extensions: (name, definition) of each extension.
        notice: Length of the terminate notice in microseconds; 0 for none.
        placement_group: Whether it names a proximity placement group.
        ephemeral: Whether the OS disk is ephemeral: on the host.
    """

    kind: str
    size: Size
    os_type: str
    priority: str
    priority_given: bool
    eviction: str
    max_price: float
    extensions: tuple[tuple[str, int], ...]
    disks: tuple[DiskPart, ...]
    nics: tuple[NicPart, ...]
    notice: int
    boot_diagnostics: bool
    placement_group: bool
    ephemeral: bool

    @property
    def is_spot(self) -> bool:
        """Whether the platform may evict it."""
        return self.priority in ("Spot", "Low")


@dataclass(frozen=True, slots=True)
class HealthProbe:
    """The settings of an Application Health extension.

    Args:
        rich: Whether it reports rich health states, instead of binary ones.
        tcp: Whether it probes over TCP, instead of HTTP.
        settle: Microseconds until a new answer changes the health state.
        grace: Microseconds of the grace period after a start.
    """

    rich: bool
    tcp: bool
    settle: int
    grace: int


def facts_of(definition: Definition) -> Facts:
    """The facts of a definition of kind "instance" or "vm"."""
    document = definition.document
    if definition.kind == "instance":
        body, delete_default, size_name = document["profile"], "Delete", document["size"]
    else:
        body, delete_default, size_name = document["properties"], "Detach", document["properties"]["hardwareProfile"]["vmSize"]
    size = find_size(size_name)
    assert size is not None, size_name
    storage = body.get("storageProfile") or {}
    os_disk = storage.get("osDisk") or {}
    priority = body.get("priority") or "Regular"
    notice = ((body.get("scheduledEventsProfile") or {}).get("terminateNotificationProfile")) or {}
    return Facts(
        kind=definition.kind,
        size=size,
        os_type=os_type_of(body),
        priority=priority,
        priority_given="priority" in body,
        eviction=body.get("evictionPolicy") or "Deallocate",
        max_price=float((body.get("billingProfile") or {}).get("maxPrice", -1)),
        extensions=tuple((name, number) for name, number in document.get("extensions", ())),
        disks=(
            _disk(os_disk, -1, delete_default, 30),
            *(_disk(disk, int(disk["lun"]), delete_default, 0) for disk in storage.get("dataDisks") or ()),
        ),
        nics=tuple(NicPart(*nic) for nic in document.get("nics", ())),
        notice=(iso_duration(notice.get("notBeforeTimeout") or "PT5M") or 5 * MINUTE) if notice.get("enable") else 0,
        boot_diagnostics=bool(((body.get("diagnosticsProfile") or {}).get("bootDiagnostics") or {}).get("enabled")),
        ephemeral=_is_ephemeral(os_disk),
        placement_group=bool(document.get("proximityPlacementGroup") or body.get("proximityPlacementGroup")),
    )


def _is_ephemeral(disk: dict[str, Any]) -> bool:
    return (disk.get("diffDiskSettings") or {}).get("option") == "Local"


def _disk(disk: dict[str, Any], lun: int, delete_default: str, size_default: int) -> DiskPart:
    managed = disk.get("managedDisk") or {}
    return DiskPart(
        lun=lun,
        size_gb=int(disk.get("diskSizeGB") or size_default),
        sku=managed.get("storageAccountType") or "Standard_LRS",
        deleted=_is_ephemeral(disk) or (disk.get("deleteOption") or delete_default) == "Delete",
        name=disk.get("name") or "",
    )


def os_type_of(body: dict[str, Any]) -> str:
    """The operating system, "Linux" or "Windows", from the OS disk, else from the OS profile and the image reference."""
    storage = body.get("storageProfile") or {}
    stated = (storage.get("osDisk") or {}).get("osType")
    if stated:
        return str(stated)
    publisher = ((storage.get("imageReference") or {}).get("publisher") or "").lower()
    has_windows = "windowsConfiguration" in (body.get("osProfile") or {}) or publisher.startswith("microsoftwindows")
    return "Windows" if has_windows else "Linux"


def health_probe_of(extension: dict[str, Any]) -> HealthProbe | None:
    """The health probe that an extension's properties describe; None for another extension."""
    if (extension.get("publisher") or "").lower() != HEALTH_PUBLISHER or (extension.get("type") or "").lower() not in HEALTH_TYPES:
        return None
    settings = extension.get("settings") or {}
    settle = int(settings.get("intervalInSeconds") or 5) * int(settings.get("numberOfProbes") or 1)
    rich = str(extension.get("typeHandlerVersion") or "1.0").startswith("2")
    grace = min(int(settings.get("gracePeriod") or settle), 7200)
    return HealthProbe(rich, settings.get("protocol") == "tcp", settle * SECOND, grace * SECOND)


def outbound_of(body: dict[str, Any], from_profile: bool) -> str:
    """How an instance reaches the internet: "natGateway", "udr", "standardLb", "publicIp", "default" or "none".

    Instances created from a profile have no default outbound access; standalone VMs have it. kqlite has no virtual networks, so the
    reference to the subnet must name its NAT gateway or route table.

    Args:
        body: A profile, or the properties of a VM.
        from_profile: Whether the instance was created from a profile.
    """
    network = body.get("networkProfile") or {}
    for nic in network.get("networkInterfaceConfigurations") or ():
        for ip in (nic.get("properties") or {}).get("ipConfigurations") or ():
            properties = ip.get("properties") or {}
            subnet = properties.get("subnet") or {}
            if subnet.get("natGateway"):
                return "natGateway"
            if subnet.get("routeTable"):
                return "udr"
            if properties.get("loadBalancerBackendAddressPools"):
                return "standardLb"
            if properties.get("publicIPAddressConfiguration"):
                return "publicIp"
    return "none" if from_profile else "default"
