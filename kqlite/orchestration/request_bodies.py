"""Request bodies with defaults: what the convenience methods of a simulation send to create a scale set or a VM.

Each function gives a new JSON document, which the caller may change before it is sent. Only the types of those arguments are checked here
that the function itself reads. The front door validates the rest, as it does for a body that a user writes.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

LOCATION = "eastus"
SIZE = "Standard_D2s_v3"

_IMAGE = {"publisher": "Canonical", "offer": "UbuntuServer", "sku": "18.04-LTS", "version": "latest"}
_NETWORK_API_VERSION = "2020-11-01"
_SUBNET = "/subscriptions/s/resourceGroups/net/providers/Microsoft.Network/virtualNetworks/vnet/subnets/default"
_BACKEND_POOL = "/subscriptions/s/resourceGroups/net/providers/Microsoft.Network/loadBalancers/lb/backendAddressPools/pool"


def scale_set_body(
    name: str,
    *,
    location: str = LOCATION,
    capacity: int = 0,
    size: str = SIZE,
    domains: int = 1,
    zone: str | None = None,
    profile: Mapping[str, Any] | None = None,
    tags: Mapping[str, str] | None = None,
    health: bool = False,
    **properties: Any,
) -> dict[str, Any]:
    """The body of a PUT of a Flexible scale set.

    Args:
        name: The scale set's name, with which the names of its computers begin.
        location: `location`.
        capacity: `sku.capacity`, the number of instances.
        size: `sku.name`, the size of each instance.
        domains: `properties.platformFaultDomainCount`.
        zone: The only member of `zones`; None for a scale set without zones.
        profile: `properties.virtualMachineProfile`; None is `vm_profile(name, health)`.
        tags: `tags`.
        health: Whether the default profile has the Application Health extension.
        properties: Other members of `properties`, by their ARM names.
    """
    require_text("the name of a scale set", name)
    body: dict[str, Any] = {
        "location": location,
        "sku": {"name": size, "tier": "Standard", "capacity": capacity},
        "tags": _mapping("tags", tags) or {},
        "properties": {
            "orchestrationMode": "Flexible",
            "singlePlacementGroup": False,
            "platformFaultDomainCount": domains,
            "virtualMachineProfile": vm_profile(name, health) if profile is None else _mapping("profile", profile),
            **properties,
        },
    }
    if zone is not None:
        body["zones"] = [zone]
    return body


def vm_body(
    name: str,
    *,
    scale_set: str | None = None,
    location: str = LOCATION,
    size: str = SIZE,
    domain: int | None = None,
    zone: str | None = None,
    tags: Mapping[str, str] | None = None,
    **properties: Any,
) -> dict[str, Any]:
    """The body of a PUT of a VM with one disk and one network interface.

    Args:
        name: The VM's name, also that of its computer.
        scale_set: `properties.virtualMachineScaleSet.id`; None for a VM without a scale set.
        location: `location`.
        size: `properties.hardwareProfile.vmSize`.
        domain: `properties.platformFaultDomain`; None lets the platform choose.
        zone: The only member of `zones`; None for a VM without a zone.
        tags: `tags`.
        properties: Other members of `properties`, by their ARM names.
    """
    members: dict[str, Any] = {
        "hardwareProfile": {"vmSize": size},
        "storageProfile": {"imageReference": dict(_IMAGE), "osDisk": {"createOption": "FromImage"}},
        "osProfile": {"computerName": name, "adminUsername": "azureuser"},
        "networkProfile": _network_profile(f"{name}-nic"),
        **properties,
    }
    if scale_set is not None:
        members["virtualMachineScaleSet"] = {"id": scale_set}
    if domain is not None:
        members["platformFaultDomain"] = domain
    return {"location": location, "tags": _mapping("tags", tags) or {}, "properties": members, **({"zones": [zone]} if zone else {})}


def vm_profile(prefix: str, health: bool = False) -> dict[str, Any]:
    """A `virtualMachineProfile` of a small Linux VM.

    Args:
        prefix: Text whose first eight characters begin the names of the computers.
        health: Whether it has the Application Health extension.
    """
    profile: dict[str, Any] = {
        "osProfile": {"computerNamePrefix": prefix[:8], "adminUsername": "azureuser"},
        "storageProfile": {
            "imageReference": dict(_IMAGE),
            "osDisk": {"createOption": "FromImage", "managedDisk": {"storageAccountType": "Premium_LRS"}},
        },
        "networkProfile": _network_profile("nic"),
    }
    if health:
        probe = {
            "publisher": "Microsoft.ManagedServices",
            "type": "ApplicationHealthLinux",
            "typeHandlerVersion": "1.0",
            "settings": {"protocol": "http", "port": 80, "requestPath": "/health"},
        }
        profile["extensionProfile"] = {"extensions": [{"name": "health", "properties": probe}]}
    return profile


def _network_profile(interface: str) -> dict[str, Any]:
    """A `networkProfile` with one primary interface of this name, behind a load balancer."""
    ip = {"name": "ipconfig", "properties": {"subnet": {"id": _SUBNET}, "loadBalancerBackendAddressPools": [{"id": _BACKEND_POOL}]}}
    configuration = {"name": interface, "properties": {"primary": True, "ipConfigurations": [ip]}}
    return {"networkApiVersion": _NETWORK_API_VERSION, "networkInterfaceConfigurations": [configuration]}


def require_text(what: str, value: object) -> None:
    """Raise TypeError where a value is no text."""
    if not isinstance(value, str):
        raise TypeError(f"{what} is text, and not {value!r}")


def _mapping(name: str, value: object) -> dict[str, Any] | None:
    if value is not None and not isinstance(value, Mapping):
        raise TypeError(f"{name}: values by name, and not {value!r}")
    return None if value is None else dict(value)
