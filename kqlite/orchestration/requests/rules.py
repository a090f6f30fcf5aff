"""Validation rules that scale set profiles and VMs share: unsupported settings, sizes, disks, extensions, Spot.

Source: Azure docs, "Preview: Flexible orchestration for virtual machine scale sets in Azure", Features and Unsupported parameters.
"""

from __future__ import annotations

import re
from typing import Any, cast

from kqlite.orchestration import errors
from kqlite.orchestration.azure_offerings import Size, find_size, size_names
from kqlite.orchestration.clock import MINUTE, iso_duration
from kqlite.orchestration.faults import active, covers, fault_hitting, value_of
from kqlite.orchestration.fleet import Container
from kqlite.orchestration.model import ResourceState, Type
from kqlite.orchestration.recorder import Recorder
from kqlite.orchestration.requests.call import get_path, group_of_id, last_segment
from kqlite.orchestration.vm_profiles import HEALTH_PUBLISHER, HEALTH_TYPES, os_type_of

FLEX, SINGLE, MULTI, PUBLIC_IP = (
    "vmscalesetflexpreview",
    "vmorchestratorsinglefd",
    "vmorchestratormultifd",
    "skippublicipwriterbaccheckforvmnetworkinterfaceconfigurationspublicpreview",
)
_SECRETS = ("adminPassword", "customData")
_PART_NAME = re.compile(r"[A-Za-z0-9_][\w.-]{0,79}", re.ASCII)
_WINDOWS_FORBIDDEN = re.compile(r"[`~!@#$%^&*()=+_\[\]{}\\|;:.'\",<>/?\s]")


def nic_configurations(body: dict[str, Any]) -> list[dict[str, Any]]:
    """The interface configurations of a profile."""
    return get_path(body, "networkProfile", "networkInterfaceConfigurations") or []


def ip_configurations(nic: dict[str, Any]) -> list[dict[str, Any]]:
    """The IP configurations of an interface."""
    return get_path(nic, "properties", "ipConfigurations") or []


def has_public_ip(body: dict[str, Any]) -> bool:
    """Whether an interface configuration asks for a public address."""
    return any(
        get_path(ip, "properties", "publicIPAddressConfiguration") for nic in nic_configurations(body) for ip in ip_configurations(nic)
    )


def check_features_of_profile(recorder: Recorder, subscription: Container, body: dict[str, Any]) -> None:
    """Raise ArmError for a public address without the feature that it needs."""
    if has_public_ip(body) and PUBLIC_IP not in recorder.fleet.features(subscription.subscription):
        raise errors.public_ip_needs_feature()


def check_unsupported(recorder: Recorder, body: dict[str, Any], prefix: str) -> None:
    """Raise ArmError for settings that Flexible orchestration does not support. prefix: begin of the paths in errors."""
    if recorder.preview and get_path(body, "networkProfile", "healthProbe"):
        raise errors.parameter_not_allowed(f"{prefix}networkProfile.healthProbe")
    for at, nic in enumerate(nic_configurations(body)):
        path = f"{prefix}networkProfile.networkInterfaceConfigurations[{at}].properties"
        if recorder.preview and get_path(nic, "properties", "enableAcceleratedNetworking"):
            raise errors.parameter_not_allowed(f"{path}.enableAcceleratedNetworking")
        for ip_at, ip in enumerate(ip_configurations(nic)):
            ip_path = f"{path}.ipConfigurations[{ip_at}].properties"
            if get_path(ip, "properties", "loadBalancerInboundNatPools"):
                raise errors.parameter_not_allowed(f"{ip_path}.loadBalancerInboundNatPools")
            for pool in get_path(ip, "properties", "loadBalancerBackendAddressPools") or []:
                if _is_basic(recorder, str(pool.get("id") or "")):
                    raise errors.parameter_not_allowed(f"{ip_path}.loadBalancerBackendAddressPools")
    _check_disks_supported(recorder, body, prefix)
    for at, extension in enumerate(get_path(body, "extensionProfile", "extensions") or []):
        if recorder.preview and is_service_fabric(extension.get("properties") or {}):
            raise errors.parameter_not_allowed(f"{prefix}extensionProfile.extensions[{at}].properties.publisher")


def is_service_fabric(properties: dict[str, Any]) -> bool:
    """Whether an extension is that of a Service Fabric node."""
    return (properties.get("publisher") or "").lower() == "microsoft.azure.servicefabric"


def check_added_extensions(old: dict[str, Any], new: dict[str, Any]) -> None:
    """Raise ArmError for a Service Fabric extension that an update adds to a scale set.

    Source: Azure docs, "Common error messages for virtual machines"; hashicorp/terraform-provider-azurerm#5976.
    """
    had = any(is_service_fabric(each.get("properties") or {}) for each in get_path(old, "extensionProfile", "extensions") or [])
    for extension in get_path(new, "extensionProfile", "extensions") or []:
        properties = extension.get("properties") or {}
        if is_service_fabric(properties) and not had:
            raise errors.extension_only_at_creation(f"{properties['publisher']}.{properties.get('type')}")


def has_unmanaged_disk(body: dict[str, Any]) -> bool:
    """Whether a disk is unmanaged: a blob in a storage account."""
    return any(disk.get(name) for disk, _ in _disks(body) for name in _UNMANAGED)


_UNMANAGED = ("vhdContainers", "vhd", "image")


def _disks(body: dict[str, Any]) -> list[tuple[dict[str, Any], str]]:
    storage = body.get("storageProfile") or {}
    return [
        (storage.get("osDisk") or {}, "osDisk"),
        *((disk, f"dataDisks[{at}]") for at, disk in enumerate(storage.get("dataDisks") or [])),
    ]


def _check_disks_supported(recorder: Recorder, body: dict[str, Any], prefix: str) -> None:
    for disk, name in _disks(body):
        for unmanaged in _UNMANAGED:
            if disk.get(unmanaged):
                raise errors.parameter_not_allowed(f"{prefix}storageProfile.{name}.{unmanaged}")
        if recorder.preview and disk.get("writeAcceleratorEnabled"):
            raise errors.parameter_not_allowed(f"{prefix}storageProfile.{name}.writeAcceleratorEnabled")


def _is_basic(recorder: Recorder, pool_id: str) -> bool:
    """Whether a backend pool belongs to a Basic load balancer. An unknown load balancer is accepted."""
    group = recorder.fleet.container(group_of_id(pool_id))
    match = re.search(r"/loadbalancers/([^/]+)", pool_id, re.IGNORECASE)
    balancer = group.get(Type.LOAD_BALANCER, match.group(1)) if group is not None and match else None
    if balancer is None:
        return False
    document = recorder.fleet.definitions[cast("ResourceState", balancer).definition].document
    return bool((get_path(document, "sku", "name") or "Basic").lower() == "basic")


def check_values(body: dict[str, Any], prefix: str, size: Size | None) -> None:
    """Raise ArmError for invalid values in a profile or VM.

    Args:
        body: The profile, or the properties of a VM.
        prefix: Begin of the paths in errors.
        size: Its size; None if unknown or unchanged.
    """
    luns: set[int] = set()
    for disk, name in _disks(body):
        path = f"{prefix}storageProfile.{name}"
        if disk.get("name"):
            _check_part_name(disk["name"], f"{path}.name")
        if not 0 < disk.get("diskSizeGB", 1) <= 65536:
            raise errors.parameter_invalid(f"{path}.diskSizeGB")
        if get_path(disk, "managedDisk", "storageAccountType") == "UltraSSD_LRS" and size is not None and not size.ultra:
            raise errors.parameter_invalid(f"{path}.managedDisk.storageAccountType")
        if name != "osDisk":
            lun = disk.get("lun")
            if lun is None or not 0 <= lun < 64 or lun in luns:
                raise errors.parameter_invalid(f"{path}.lun")
            luns.add(lun)
    if size is not None and len(luns) > size.data_disks:
        raise errors.too_many_data_disks(size.data_disks)
    for at, nic in enumerate(nic_configurations(body)):
        path = f"{prefix}networkProfile.networkInterfaceConfigurations[{at}]"
        _check_part_name(nic.get("name") or "", f"{path}.name")
    extensions = get_path(body, "extensionProfile", "extensions") or []
    check_extensions(extensions, f"{prefix}extensionProfile.extensions")
    check_handlers(extensions, os_type_of(body))
    _check_notice(body, prefix)
    _check_budget(body, prefix)


def _check_part_name(name: str, path: str) -> None:
    """Raise ArmError for an invalid name of a disk or interface."""
    if not _PART_NAME.fullmatch(name):
        raise errors.parameter_invalid(path)


def _check_notice(body: dict[str, Any], prefix: str) -> None:
    notice = get_path(body, "scheduledEventsProfile", "terminateNotificationProfile") or {}
    path = f"{prefix}scheduledEventsProfile.terminateNotificationProfile"
    if notice.get("enable") and is_spot(body):
        raise errors.parameter_not_allowed(path)
    if notice.get("notBeforeTimeout"):
        time = iso_duration(notice["notBeforeTimeout"])
        if time is None or not 5 * MINUTE <= time <= 15 * MINUTE:
            raise errors.parameter_invalid(f"{path}.notBeforeTimeout")


def _check_budget(body: dict[str, Any], prefix: str) -> None:
    budget = body.get("extensionsTimeBudget") or get_path(body, "extensionProfile", "extensionsTimeBudget")
    if budget:
        time = iso_duration(budget)
        if time is None or not 15 * MINUTE <= time <= 120 * MINUTE:
            raise errors.parameter_invalid(f"{prefix}extensionsTimeBudget")


def check_extensions(extensions: list[dict[str, Any]], path: str) -> None:
    """Raise ArmError for invalid names, handlers, order or health settings of extensions."""
    names: set[str] = set()
    for at, extension in enumerate(extensions):
        name = extension.get("name") or ""
        if not name or name.lower() in names:
            raise errors.parameter_invalid(f"{path}[{at}].name")
        names.add(name.lower())
        check_extension(extension.get("properties") or {}, f"{path}[{at}].properties")
    for at, extension in enumerate(extensions):
        after = get_path(extension, "properties", "provisionAfterExtensions") or []
        if any(other.lower() not in names or other.lower() == extension["name"].lower() for other in after):
            raise errors.parameter_invalid(f"{path}[{at}].properties.provisionAfterExtensions")
    if len(in_order(extensions)) < len(extensions):
        raise errors.parameter_invalid(f"{path}.provisionAfterExtensions")


def in_order(extensions: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The extensions in their order of installation, by `provisionAfterExtensions`. Extensions in a cycle are left out."""
    done: list[dict[str, Any]] = []
    names: set[str] = set()
    waiting = list(extensions)
    while waiting:
        ready = [e for e in waiting if all(n.lower() in names for n in get_path(e, "properties", "provisionAfterExtensions") or [])]
        if not ready:
            break
        done += ready
        names |= {extension["name"].lower() for extension in ready}
        waiting = [extension for extension in waiting if extension not in ready]
    return done


def check_extension(properties: dict[str, Any], path: str) -> None:
    """Raise ArmError for an extension without handler, or an Application Health extension with invalid settings."""
    for member in ("publisher", "type", "typeHandlerVersion"):
        if not properties.get(member):
            raise errors.parameter_invalid(f"{path}.{member}")
    if properties["publisher"].lower() != HEALTH_PUBLISHER or properties["type"].lower() not in HEALTH_TYPES:
        return
    settings = properties.get("settings") or {}
    protocol = settings.get("protocol")
    if protocol not in ("http", "https", "tcp"):
        raise errors.parameter_invalid(f"{path}.settings.protocol")
    if (protocol == "tcp") == bool(settings.get("requestPath")):
        raise errors.parameter_invalid(f"{path}.settings.requestPath")
    port = settings.get("port")
    if (port is None and protocol == "tcp") or (port is not None and not 1 <= _whole(port) <= 65535):
        raise errors.parameter_invalid(f"{path}.settings.port")
    for member, low, high in (("intervalInSeconds", 5, 60), ("numberOfProbes", 1, 24), ("gracePeriod", 5, 7200)):
        if member in settings and not low <= _whole(settings[member]) <= high:
            raise errors.parameter_invalid(f"{path}.settings.{member}")


def _whole(value: Any) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) else -1


def is_spot(body: dict[str, Any]) -> bool:
    """Whether a profile or VM asks for Spot."""
    return (body.get("priority") or "Regular") in ("Spot", "Low")


def check_spot(body: dict[str, Any], prefix: str, size: Size | None) -> None:
    """Raise ArmError for an invalid priority, eviction policy or maximum price."""
    if body.get("evictionPolicy") and not is_spot(body):
        raise errors.eviction_policy_needs_spot()
    max_price = get_path(body, "billingProfile", "maxPrice")
    if max_price is not None and max_price != -1 and not max_price > 0:
        raise errors.max_price_invalid()
    if is_spot(body) and size is not None and (not size.spot or "promo" in size.name.lower()):
        raise errors.parameter_invalid(f"{prefix}priority")


def check_size(recorder: Recorder, name: str, domains: int, in_set: bool, single_group: bool = False) -> Size:
    """The size with this name. Raises ArmError if it is unknown or the scale set cannot use it.

    Args:
        domains: Number of fault domains of the set.
        in_set: Whether the VM is or will be in a scale set.
        single_group: Whether the set lies in a single placement group.
    """
    size = find_size(name)
    if size is None:
        raise errors.size_unknown(name, size_names())
    if in_set and not size.memory_preserving and (recorder.preview or domains > 1) and not single_group:
        raise errors.size_not_supported(size.name, domains)
    return size


def check_restricted(
    recorder: Recorder, subscription: Container, resource_id: str, size: Size, location: str, zones: tuple[str, ...]
) -> None:
    """Raise ArmError if a fault restricts the size in this location or zone."""
    for zone in zones or ("",):
        scope = {"region": location, "zone": zone, "size": size.name}
        if fault_hitting(recorder, "sku_restricted", resource_id.lower(), scope) is not None:
            shown = ",".join(zones)
            raise errors.size_restricted(resource_id, size.name, location, shown, subscription.subscription, recorder.preview)


def check_quota(
    recorder: Recorder, subscription: Container, location: str, size: Size, spot: bool, instances: int, instead_of: Size | None = None
) -> None:
    """Raise ArmError if more instances exceed a quota: of the region's cores, or of the size's family.

    Args:
        spot: Whether the instances are Spot.
        instances: Number of additional instances.
        instead_of: The old size, for a resize, whose cores become free.
    """
    if instances <= 0:
        return
    for fault in active(recorder, "quota"):
        if not covers(fault, {"region": location}):
            continue
        named = value_of(fault, "size")
        limited = find_size(str(named)) if named else None
        if limited is not None and limited.family != size.family:
            continue
        given_back = instead_of.vcpus if instead_of is not None and (limited is None or instead_of.family == size.family) else 0
        additional = instances * size.vcpus - given_back
        kind = "lowPriorityCores" if spot else ("cores" if limited is None else size.family)
        usage = recorder.fleet.cores.get((subscription.subscription, location, kind), 0)
        limit = int(value_of(fault, "limit", 0))
        if additional > 0 and usage + additional > limit:
            what = f"{size.family} Cores" if limited is not None else ("LowPriorityCores" if spot else "Total Regional Cores")
            raise errors.quota_exceeded(what, location, limit, usage, additional)


def check_windows_prefix(body: dict[str, Any], prefix: str, path: str) -> None:
    """Raise ArmError for a computer name prefix that Windows does not allow."""
    if os_type_of(body) != "Windows" or not prefix:
        return
    if len(prefix) > 9 or prefix.isdigit() or _WINDOWS_FORBIDDEN.search(prefix):
        raise errors.windows_prefix(path)


def check_windows_name(body: dict[str, Any], name: str) -> None:
    """Raise ArmError for a computer name that Windows does not allow."""
    if os_type_of(body) == "Windows" and (len(name) > 15 or name.isdigit() or _WINDOWS_FORBIDDEN.search(name)):
        raise errors.windows_name("computerName")


def check_handlers(extensions: list[dict[str, Any]], os_type: str) -> None:
    """Raise ArmError for two extensions with the same handler."""
    handlers: set[str] = set()
    for extension in extensions:
        properties = extension.get("properties") or {}
        handler = f"{properties.get('publisher')}.{properties.get('type')}"
        if handler.lower() in handlers:
            raise errors.handler_added_already(os_type, str(extension.get("name")), handler)
        handlers.add(handler.lower())


def without_secrets(body: dict[str, Any]) -> dict[str, Any]:
    """The body without secrets, which the service accepts and never returns."""
    body = dict(body)
    if "osProfile" in body:
        body["osProfile"] = {key: value for key, value in body["osProfile"].items() if key not in _SECRETS}
    body.pop("userData", None)
    profile = body.get("extensionProfile")
    if profile and profile.get("extensions"):
        kept = [{**extension, "properties": public_properties(extension.get("properties") or {})} for extension in profile["extensions"]]
        body["extensionProfile"] = {**profile, "extensions": kept}
    return body


def public_properties(properties: dict[str, Any]) -> dict[str, Any]:
    """An extension's properties without its protected settings."""
    return {key: value for key, value in properties.items() if key not in ("protectedSettings", "protectedSettingsFromKeyVault")}


def define_extensions(recorder: Recorder, extensions: list[dict[str, Any]]) -> list[list[Any]]:
    """Name and definition of each extension, in the order of installation."""
    numbered = []
    for extension in in_order(extensions):
        numbered.append([extension["name"], recorder.define("extension", public_properties(extension.get("properties") or {}))])
    return numbered


def define_nics(recorder: Recorder, body: dict[str, Any], delete_default: str) -> list[list[Any]]:
    """The fields of a `vm_profiles.NicPart` for each interface configuration."""
    nics = []
    for nic in nic_configurations(body):
        properties = nic.get("properties") or {}
        pips = [get_path(ip, "properties", "publicIPAddressConfiguration") for ip in ip_configurations(nic)]
        pip = next((found for found in pips if found), None)
        nics.append(
            [
                nic["name"],
                recorder.define("nic", properties),
                (properties.get("deleteOption") or delete_default) == "Delete",
                (pip.get("name") or "publicip") if pip else "",
                (get_path(pip, "properties", "deleteOption") or delete_default) == "Delete" if pip else False,
            ]
        )
    return nics


def check_placement_group(recorder: Recorder, reference: str, location: str) -> None:
    """Raise ArmError if the proximity placement group does not exist or lies in another region."""
    group = recorder.fleet.container(group_of_id(reference))
    known = cast("ResourceState | None", group.get(Type.PLACEMENT_GROUP, last_segment(reference))) if group else None
    if group is None or known is None:
        raise errors.not_found(Type.PLACEMENT_GROUP, last_segment(reference), last_segment(group_of_id(reference)))
    if known.location != location:
        raise errors.parameter_invalid("proximityPlacementGroup.id")
