"""Requests about preview features, resource providers, sizes and usages of a subscription.

Source: Azure docs, "Features", "Providers", "Resource Skus", "Usage" (REST references).
"""

from __future__ import annotations

import re
from typing import Any, cast

from kqlite.orchestration import arm_documents, errors
from kqlite.orchestration.azure_offerings import FAULT_DOMAINS, REGIONS, SIZES, ZONES, Size
from kqlite.orchestration.controllers import features
from kqlite.orchestration.faults import active, covers, value_of
from kqlite.orchestration.fleet import Container
from kqlite.orchestration.model import FeatureState, ProviderState, Type
from kqlite.orchestration.recorder import Recorder
from kqlite.orchestration.requests.call import Call, Outcome

UNLIMITED = 1_000_000  # limit on cores without a quota fault


def feature(recorder: Recorder, call: Call) -> Outcome:
    """GET, register and unregister of a feature."""
    name = features.feature_name(call.name)
    subscription = call.subscription
    action = call.child.lower()
    if action in ("register", "unregister"):
        state = features.begin_feature(recorder, subscription, name, "Registering" if action == "register" else "Unregistering")
    else:
        known = cast("FeatureState | None", subscription.get(Type.FEATURE, name))
        if known is None and name not in features.FEATURES:
            message = f"The feature '{call.name}' could not be found."
            raise errors.ArmError(404, "FeatureNotFound", message)
        state = known or FeatureState(name, 0, "NotRegistered", 0)
    return Outcome(200, lambda: arm_documents.feature(subscription.id, state))


def feature_list(recorder: Recorder, call: Call) -> list[dict[str, Any]]:
    """All features of the namespace."""
    known = cast("dict[str, FeatureState]", call.subscription.of(Type.FEATURE))
    states = {name.lower(): FeatureState(name, 0, "NotRegistered", 0) for name in features.FEATURES} | known
    return [arm_documents.feature(call.subscription.id, states[key]) for key in sorted(states)]


def provider(recorder: Recorder, call: Call, types: dict[str, list[dict[str, Any]]]) -> Outcome:
    """GET, register and unregister of a provider. types: resource types by namespace in lower case."""
    known = cast("ProviderState | None", call.subscription.get(Type.PROVIDER, call.name))
    namespace = next((each for each in features.PROVIDERS if each.lower() == call.name.lower()), None)
    if known is None and namespace is None:
        raise errors.ArmError(404, "InvalidResourceNamespace", f"The resource namespace '{call.name}' is invalid.")
    action = call.child.lower()
    if action in ("register", "unregister"):
        registration = "Registering" if action == "register" else "Unregistering"
        known = features.begin_provider(recorder, call.subscription, namespace or call.name, registration)
    state = known or ProviderState(namespace or call.name, 0, "NotRegistered", 0, ())
    return Outcome(200, lambda: arm_documents.provider(call.subscription.id, state, types.get(state.name.lower(), [])))


def provider_list(call: Call, types: dict[str, list[dict[str, Any]]]) -> list[dict[str, Any]]:
    """The providers of the subscription."""
    states = cast("dict[str, ProviderState]", call.subscription.of(Type.PROVIDER))
    return [arm_documents.provider(call.subscription.id, states[key], types.get(key, [])) for key in sorted(states)]


def _wanted_location(call: Call) -> str | None:
    found = re.search(r"location\s+eq\s+'([^']*)'", call.query.get("$filter", ""), re.IGNORECASE)
    return found.group(1).replace(" ", "").lower() if found else None


def skus(recorder: Recorder, call: Call) -> list[dict[str, Any]]:
    """The list of Resource SKUs, for one location if the filter names it."""
    wanted = _wanted_location(call)
    items: list[dict[str, Any]] = []
    for location in REGIONS if wanted is None else [wanted] if wanted in FAULT_DOMAINS else []:
        items.append(_aligned(location))
        items.extend(_sku(recorder, size, location) for size in sorted(SIZES.values(), key=lambda size: size.name))
    return items


def _aligned(location: str) -> dict[str, Any]:
    return {
        "resourceType": "availabilitySets",
        "name": "Aligned",
        "locations": [location],
        "locationInfo": [{"location": location, "zones": [], "zoneDetails": []}],
        "capabilities": [{"name": "MaximumPlatformFaultDomainCount", "value": str(FAULT_DOMAINS[location])}],
        "restrictions": [],
    }


def _sku(recorder: Recorder, size: Size, location: str) -> dict[str, Any]:
    zones = list(ZONES.get(location, ()))
    ultra = [{"Name": zones, "capabilities": [{"name": "UltraSSDAvailable", "value": "True"}]}] if size.ultra and zones else []
    values = {
        "vCPUs": size.vcpus,
        "MemoryGB": f"{size.memory_gb:g}",
        "MemoryPreservingMaintenanceSupported": size.memory_preserving,
        "AcceleratedNetworkingEnabled": size.vcpus >= 2,
        "LowPriorityCapable": size.spot,
        "PremiumIO": size.premium,
        "MaxDataDiskCount": size.data_disks,
        "HyperVGenerations": "V1,V2",
        "RdmaEnabled": size.rdma,
    }
    return {
        "resourceType": "virtualMachines",
        "name": size.name,
        "tier": "Standard",
        "size": size.name.removeprefix("Standard_"),
        "family": size.family,
        "locations": [location],
        "locationInfo": [{"location": location, "zones": zones, "zoneDetails": ultra}],
        "capabilities": [{"name": name, "value": str(value)} for name, value in values.items()],
        "restrictions": _restrictions(recorder, size, location),
    }


def _restrictions(recorder: Recorder, size: Size, location: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for fault in active(recorder, "sku_restricted"):
        if not covers(fault, {"region": location, "size": size.name}):
            continue
        zone = value_of(fault, "zone")
        kind, values = ("Location", [location]) if zone is None else ("Zone", [location])
        info = {"locations": [location], "zones": [] if zone is None else [str(zone)]}
        found.append({"type": kind, "values": values, "restrictionInfo": info, "reasonCode": "NotAvailableForSubscription"})

    return found


def usages(recorder: Recorder, subscription: Container, location: str) -> list[dict[str, Any]]:
    """The usage of each quota in a location."""
    families = sorted({size.family for size in SIZES.values()})
    names = {
        "cores": "Total Regional vCPUs",
        "virtualMachines": "Virtual Machines",
        "lowPriorityCores": "Total Regional Low-priority vCPUs",
    }
    names |= {family: f"{family} vCPUs" for family in families}
    items = []
    for name, text in names.items():
        used = recorder.fleet.cores.get((subscription.subscription, location, name), 0)
        items.append(
            {
                "unit": "Count",
                "currentValue": used,
                "limit": _limit(recorder, location, name),
                "name": {"value": name, "localizedValue": text},
            }
        )
    return items


def _limit(recorder: Recorder, location: str, name: str) -> int:
    for fault in active(recorder, "quota"):
        named = value_of(fault, "size")
        size = SIZES.get(str(named).lower()) if named else None
        if covers(fault, {"region": location}) and name == (size.family if size else "cores"):
            return int(value_of(fault, "limit", 0))
    return UNLIMITED


def sizes() -> list[dict[str, Any]]:
    """The sizes of a location, in the format of the older API (vmSizes)."""
    return [
        {
            "name": size.name,
            "numberOfCores": size.vcpus,
            "osDiskSizeInMB": 1047552,
            "resourceDiskSizeInMB": size.vcpus * 8192,
            "memoryInMB": int(size.memory_gb * 1024),
            "maxDataDiskCount": size.data_disks,
        }
        for size in sorted(SIZES.values(), key=lambda size: size.name)
    ]
