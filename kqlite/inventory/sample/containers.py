"""The sample inventory's containers and scale sets: subscriptions, resource groups, scale sets of both modes, Uniform instances.

Source: Azure REST reference, "Virtual Machine Scale Sets - Get", "Virtual Machine Scale Set VMs - Get", "Subscriptions - Get"; Azure
Resource Graph docs, "Supported tables and resource types".
"""

from collections.abc import Iterator, Sequence
from itertools import accumulate
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from kqlite.inventory.sample.batches import BLOCK, Kind, Rows, Spread, group_columns, ids, tags_form
from kqlite.inventory.sample.columns import Draws, Expansion, Json, Many, Maybe, joined, numbers, only, runs
from kqlite.inventory.sample.fleets import DAYS, TENANT, Fleet, Group, Mode, Subscription

_STATES = (("running", 85), ("deallocated", 10), ("stopped", 5))
_PARENT = "contoso-platform"


def kinds(fleets: Sequence[Fleet], seed: int) -> list[Kind]:
    """The kinds of rows that there are for each subscription, group or scale set."""
    groups = list({fleet.group.number: fleet.group for fleet in fleets}.values())
    subscriptions = list({group.subscription.number: group.subscription for group in groups}.values())
    sets = [fleet for fleet in fleets if fleet.is_set]
    uniform = [fleet for fleet in fleets if fleet.mode is Mode.UNIFORM]

    def drawing(what: str, start: int, rows: int) -> Draws:
        return Draws(f"{seed}/{what}/{start // BLOCK}", rows)

    def group_rows(start: int, end: int) -> Iterator[Rows]:
        yield _group_rows(groups[start:end], drawing("groups", start, end - start))

    def set_rows(start: int, end: int) -> Iterator[Rows]:
        yield _set_rows(sets[start:end], drawing("scale sets", start, end - start))

    def instance_rows(start: int, end: int) -> Iterator[Rows]:
        owners = uniform[start:end]
        yield _instance_rows(owners, drawing("instances", start, sum(fleet.count for fleet in owners)))

    return [
        Kind("resourcecontainers", "microsoft.management/managementgroups", 1, lambda start, end: iter([_management_group()])),
        Kind(
            "resourcecontainers",
            "microsoft.resources/subscriptions",
            len(subscriptions),
            lambda start, end: iter([_subscription_rows(subscriptions[start:end])]),
        ),
        Kind("resourcecontainers", "microsoft.resources/subscriptions/resourcegroups", len(groups), group_rows),
        Kind("resources", "microsoft.compute/virtualmachinescalesets", len(sets), set_rows),
        Kind("computeresources", "microsoft.compute/virtualmachinescalesets/virtualmachines", len(uniform), instance_rows),
    ]


def every_one(owners: Sequence[Any]) -> Spread:
    """The owners with one row each."""
    return Spread(owners, numbers(len(owners), pa.int32()))


_ROOT = {"displayName": "Tenant Root Group", "name": TENANT}
_ANCESTORS = Many(Expansion(pa.array([1])), {name: pa.array([text]) for name, text in _ROOT.items()})


def _management_group() -> Rows:
    identifier = f"/providers/Microsoft.Management/managementGroups/{_PARENT}"
    parent = {"id": f"/providers/Microsoft.Management/managementGroups/{TENANT}"} | _ROOT
    details = {"version": 3, "parent": parent, "managementGroupAncestorsChain": _ANCESTORS}
    properties = {"tenantId": TENANT, "displayName": "Contoso Platform", "details": details}
    return Rows(1, {"id": pa.array([identifier]), "name": _PARENT}, {"properties": properties})


def _subscription_rows(subscriptions: Sequence[Subscription]) -> Rows:
    owners = every_one(subscriptions)
    chain = Expansion(pa.array([2] * len(subscriptions)))
    nearest = pc.equal(chain.ordinals, 0)
    ancestors = {
        "displayName": pc.if_else(nearest, "Contoso Platform", _ROOT["displayName"]),
        "name": pc.if_else(nearest, _PARENT, _ROOT["name"]),
    }
    return Rows(
        len(subscriptions),
        {
            "id": owners.texts(lambda owner: f"/subscriptions/{owner.id}"),
            "name": owners.texts(lambda owner: owner.name),
            "subscriptionId": owners.texts(lambda owner: owner.id),
        },
        {
            "properties": {
                "state": owners.texts(lambda owner: "Warned" if owner.number % 20 == 19 else "Enabled"),
                "subscriptionPolicies": {
                    "locationPlacementId": "Public_2014-09-01",
                    "quotaId": owners.texts(
                        lambda owner: "MSDNDevTest_2014-09-01" if "dev" in owner.name.lower() else "EnterpriseAgreement_2014-09-01"
                    ),
                    "spendingLimit": "Off",
                },
                "managedByTenants": [],
                "managementGroupAncestorsChain": Many(chain, ancestors),
            },
        },
    )


def _group_rows(groups: Sequence[Group], draws: Draws) -> Rows:
    owners = every_one(groups)
    tags = {"env": owners.texts(lambda group: group.environment), "application": owners.texts(lambda group: group.application)}
    return Rows(
        len(groups),
        {"id": owners.texts(lambda group: group.id), "name": owners.texts(lambda group: group.name)}
        | group_columns(owners, lambda group: group),
        {"properties": {"provisioningState": "Succeeded"}, "tags": Maybe(draws.chance("tags", 0.7), tags)},
    )


def _set_rows(sets: Sequence[Fleet], draws: Draws) -> Rows:
    owners = every_one(sets)
    flexible = owners.truths(lambda fleet: fleet.mode is Mode.FLEXIBLE)
    windows = owners.truths(lambda fleet: fleet.image.windows)
    zonal = owners.truths(lambda fleet: fleet.zonal)
    zones = Expansion(pc.if_else(zonal, pa.scalar(3), pa.scalar(0)))
    rolling = {"maxBatchInstancePercent": 20, "maxUnhealthyInstancePercent": 20, "pauseTimeBetweenBatches": "PT0S"}
    return Rows(
        len(sets),
        {
            "id": ids(
                draws,
                "id",
                owners,
                lambda fleet: fleet.group,
                "Microsoft.Compute/virtualMachineScaleSets",
                owners.texts(lambda fleet: fleet.name),
            ),
            "name": owners.texts(lambda fleet: fleet.name),
            "apiVersion": "2024-07-01",
        }
        | group_columns(owners, lambda fleet: fleet.group),
        {
            "sku": {
                "name": owners.texts(lambda fleet: fleet.size),
                "tier": "Standard",
                "capacity": owners.of(lambda fleet: fleet.count, pa.int64()),
            },
            "properties": {
                "orchestrationMode": owners.texts(lambda fleet: fleet.mode.value),
                "singlePlacementGroup": pc.invert(flexible),
                "platformFaultDomainCount": pc.if_else(zonal, pa.scalar(1), draws.choice("domains", ((1, 7), (3, 2), (5, 1)))),
                "provisioningState": draws.choice("state", (("Succeeded", 97), ("Updating", 2), ("Failed", 1))),
                "timeCreated": draws.moment("created", DAYS),
                "uniqueId": owners.texts(lambda fleet: fleet.guid),
                "zoneBalance": only(flexible, zonal),
                "constrainedMaximumCapacity": only(flexible, pa.repeat(False, len(sets))),
                "overprovision": only(pc.invert(flexible), draws.chance("overprovision", 0.6)),
                "automaticRepairsPolicy": Maybe(
                    draws.chance("repairs", 0.3), {"enabled": draws.chance("repairing", 0.8), "gracePeriod": "PT30M"}
                ),
                "upgradePolicy": {
                    "mode": pc.if_else(flexible, "Manual", draws.choice("upgrade", (("Automatic", 3), ("Rolling", 4), ("Manual", 3)))),
                    "rollingUpgradePolicy": Maybe(draws.chance("rolling", 0.2), rolling),
                },
                "virtualMachineProfile": _profile(owners, windows, draws),
            },
            "tags": tags_form(owners, lambda fleet: fleet.tags),
            "zones": Many(zones, pa.array(["1", "2", "3"]).take(zones.ordinals), zonal),
        },
    )


def _profile(owners: Spread, windows: pa.Array, draws: Draws) -> dict[str, Any]:
    """The profile that a set makes its machines from."""
    spot = owners.truths(lambda fleet: fleet.spot)
    subnet = {"id": owners.texts(lambda fleet: fleet.group.network + "/subnets/default")}
    configuration = {"name": "ipconfig1", "properties": {"privateIPAddressVersion": "IPv4", "subnet": subnet}}
    interface = {
        "name": owners.texts(lambda fleet: f"{fleet.name}-nic"),
        "properties": {
            "primary": True,
            "enableIPForwarding": False,
            "dnsSettings": {"dnsServers": []},
            "ipConfigurations": [configuration],
        },
    }
    return {
        "osProfile": {
            "computerNamePrefix": owners.texts(lambda fleet: fleet.name[:9]),
            "adminUsername": "azureuser",
            "secrets": [],
            "linuxConfiguration": Maybe(pc.invert(windows), {"disablePasswordAuthentication": True, "provisionVMAgent": True}),
            "windowsConfiguration": Maybe(windows, {"enableAutomaticUpdates": True, "provisionVMAgent": True}),
        },
        "storageProfile": {
            "imageReference": {
                "publisher": owners.texts(lambda fleet: fleet.image.publisher),
                "offer": owners.texts(lambda fleet: fleet.image.offer),
                "sku": owners.texts(lambda fleet: fleet.image.sku),
                "version": "latest",
            },
            "osDisk": {
                "osType": pc.if_else(windows, "Windows", "Linux"),
                "createOption": "FromImage",
                "caching": "ReadWrite",
                "diskSizeGB": draws.choice("disk", ((30, 6), (64, 2), (127, 2))),
                "managedDisk": {"storageAccountType": draws.choice("storage", (("Premium_LRS", 7), ("StandardSSD_LRS", 3)))},
            },
        },
        "networkProfile": {"networkApiVersion": "2020-11-01", "networkInterfaceConfigurations": [interface]},
        "priority": pc.if_else(spot, "Spot", "Regular"),
        "evictionPolicy": only(spot, draws.choice("eviction", (("Deallocate", 7), ("Delete", 3)))),
        "billingProfile": Maybe(spot, {"maxPrice": Json(draws.choice("price", (("-1", 8), ("0.05", 2))))}),
    }


def _instance_rows(sets: Sequence[Fleet], draws: Draws) -> Rows:
    """One row for each instance of the Uniform sets; its name ends in its number, which its id has alone."""
    counts = [fleet.count for fleet in sets]
    owners = Spread(sets, runs(counts))
    first = owners.at(numbers(len(owners.index), pa.int32())).of
    starts = dict(zip((fleet.number for fleet in sets), accumulate([0, *counts[:-1]]), strict=True))
    place = pc.subtract(numbers(len(owners.index), pa.int32()), first(lambda fleet: starts[fleet.number], pa.int32())).cast(pa.string())
    identifier = joined(owners.texts(lambda fleet: fleet.set_id), "/virtualMachines/", place)
    state = draws.choice("state", _STATES)
    return Rows(
        len(owners.index),
        {"id": identifier, "name": joined(owners.texts(lambda fleet: f"{fleet.name}_"), place), "apiVersion": "2024-07-01"}
        | group_columns(owners, lambda fleet: fleet.group),
        {
            "sku": {"name": owners.texts(lambda fleet: fleet.size), "tier": "Standard"},
            "properties": {
                "instanceId": place,
                "vmId": draws.guid("vm id"),
                "provisioningState": "Succeeded",
                "latestModelApplied": draws.chance("latest", 0.9),
                "modelDefinitionApplied": "VirtualMachineScaleSet",
                "timeCreated": draws.moment("created", DAYS),
                "hardwareProfile": {},
                "networkProfile": {"networkInterfaces": [{"id": joined(identifier, "/networkInterfaces/nic")}]},
                "osProfile": {"computerName": joined(owners.texts(lambda fleet: fleet.name[:9]), draws.hex("computer", 6))},
                "storageProfile": {"osDisk": {"osType": owners.texts(lambda fleet: "Windows" if fleet.image.windows else "Linux")}},
                "extended": {
                    "instanceView": {
                        "powerState": {"code": joined("PowerState/", state), "displayStatus": joined("VM ", state), "level": "Info"}
                    }
                },
            },
            "tags": tags_form(owners, lambda fleet: fleet.tags),
        },
    )
