"""The rows of what hangs on the sample inventory's machines: network interfaces, disks, public addresses, extensions.

Source: Azure REST reference, "Network Interfaces - Get", "Disks - Get", "Public IP Addresses - Get", "Virtual Machine Extensions - Get".
"""

from bisect import bisect_right
from collections.abc import Iterator, Sequence

import pyarrow as pa
import pyarrow.compute as pc

from kqlite.inventory.sample.batches import Kind, Rows, Spread, group_columns, ids, tags_form
from kqlite.inventory.sample.columns import Draws, Json, Maybe, bytes_in_decimal, joined, only
from kqlite.inventory.sample.fleets import DAYS, Fleet, Mode
from kqlite.inventory.sample.machines import Machines, nested_group, virtual_machines, zones_form

_EXTENSIONS = (
    (("AzureMonitorLinuxAgent", "Microsoft.Azure.Monitor", "1.33"), ("AzureMonitorWindowsAgent", "Microsoft.Azure.Monitor", "1.30")),
    (("CustomScript", "Microsoft.Azure.Extensions", "2.1"), ("CustomScriptExtension", "Microsoft.Compute", "1.10")),
    (("AADSSHLoginForLinux", "Microsoft.Azure.ActiveDirectory", "1.0"), ("AADLoginForWindows", "Microsoft.Azure.ActiveDirectory", "2.2")),
)


def kinds(fleets: Sequence[Fleet], vms: int, seed: int) -> list[Kind]:
    """The kinds of rows that there are for each machine."""
    owned = [fleet for fleet in fleets if fleet.mode is not Mode.UNIFORM]
    starts = [fleet.first for fleet in owned]

    def machines(start: int, end: int) -> Machines:
        first = bisect_right(starts, start) - 1
        last = bisect_right(starts, end - 1)
        return Machines(owned[first:last], start, end, seed)

    return [
        Kind("resources", "microsoft.compute/virtualmachines", vms, lambda start, end: virtual_machines(machines(start, end))),
        Kind("resources", "microsoft.network/networkinterfaces", vms, lambda start, end: network_interfaces(machines(start, end))),
        Kind("resources", "microsoft.compute/disks", vms, lambda start, end: disks(machines(start, end))),
        Kind("resources", "microsoft.network/publicipaddresses", vms, lambda start, end: public_addresses(machines(start, end))),
        Kind("resources", "microsoft.compute/virtualmachines/extensions", vms, lambda start, end: extensions(machines(start, end))),
    ]


def network_interfaces(machines: Machines) -> Iterator[Rows]:
    """One row for each interface of each machine, and now and then one that a machine has left behind."""
    interfaces = machines.interfaces
    owners, draws = machines.fleet.at(interfaces.parents), machines.drawing("interface", interfaces.count)
    left_behind = draws.chance("left behind", 0.004)
    yield from _interface_rows(machines, owners, draws, machines.interface_id, machines.interface, interfaces.parents, interfaces.ordinals)
    parents = interfaces.parents.filter(left_behind)
    if len(parents):
        name = joined("old-", machines.interface.filter(left_behind))
        owners, draws = machines.fleet.at(parents), machines.drawing("old interface", len(parents))
        identifier = ids(draws, "id", owners, lambda fleet: fleet.group, "Microsoft.Network/networkInterfaces", name)
        yield from _interface_rows(machines, owners, draws, identifier, name, parents, None)


def _interface_rows(
    machines: Machines, owners: Spread, draws: Draws, identifier: pa.Array, name: pa.Array, parents: pa.Array, ordinals: pa.Array | None
) -> Iterator[Rows]:
    """ordinals: which of its machine's interfaces each is; None where there is no machine."""
    rows, attached = len(name), pa.repeat(ordinals is not None, len(name))
    first = pa.repeat(True, rows) if ordinals is None else pc.equal(ordinals, 0)
    with_address = pc.and_(pc.and_(attached, first), machines.has_address.take(parents))
    configuration = {
        "name": "ipconfig1",
        "properties": {
            "privateIPAddress": _private_address(draws),
            "privateIPAllocationMethod": "Dynamic",
            "privateIPAddressVersion": "IPv4",
            "primary": True,
            "provisioningState": "Succeeded",
            "subnet": {"id": owners.of(lambda fleet: fleet.group.network + "/subnets/default")},
            "publicIPAddress": Maybe(with_address, {"id": machines.address_id.take(parents)}),
        },
    }
    # One document in a hundred has a boolean where the others have a text.
    auxiliary = pc.if_else(draws.chance("odd mode", 0.01), "false", '"None"')
    yield Rows(
        rows,
        {"id": identifier, "name": name} | group_columns(owners, lambda fleet: fleet.group),
        {
            "properties": {
                "provisioningState": "Succeeded",
                "resourceGuid": draws.guid("guid"),
                "macAddress": draws.mac_address("mac"),
                "primary": only(attached, first),
                "enableAcceleratedNetworking": owners.of(lambda fleet: fleet.size[9] in "DEF"),
                "enableIPForwarding": draws.chance("forwarding", 0.02),
                "disableTcpStateTracking": False,
                "auxiliaryMode": Json(auxiliary),
                "vnetEncryptionSupported": False,
                "nicType": "Standard",
                "hostedWorkloads": [],
                "tapConfigurations": [],
                "dnsSettings": {
                    "dnsServers": [],
                    "appliedDnsServers": [],
                    "internalDomainNameSuffix": joined(draws.hex("suffix", 26), ".ax.internal.cloudapp.net"),
                },
                "ipConfigurations": [configuration],
                "virtualMachine": Maybe(attached, {"id": machines.id.take(parents), "resourceGroup": owners.texts(nested_group)}),
                "networkSecurityGroup": Maybe(
                    draws.chance("guarded", 0.6),
                    {
                        "id": owners.of(
                            lambda fleet: f"{fleet.group.id}/providers/Microsoft.Network/networkSecurityGroups/nsg-{fleet.group.number}"
                        )
                    },
                ),
            },
            "tags": tags_form(owners, lambda fleet: None if fleet.is_set else fleet.tags),
        },
    )


def _private_address(draws: Draws) -> pa.Array:
    decimal = bytes_in_decimal()
    return pc.binary_join_element_wise("10", *(decimal.take(draws.below(key, 256)) for key in "abc"), ".")


def disks(machines: Machines) -> Iterator[Rows]:
    """One row for each disk of each machine, and now and then one that nothing uses any more."""
    fleet = machines.fleet
    everyone = pa.array(range(machines.rows), pa.int32())
    size = machines.os_disk_size
    yield _disk_rows(
        machines,
        "os disk",
        everyone,
        machines.os_disk_id,
        machines.os_disk,
        size,
        machines.storage,
        pc.if_else(machines.windows, "Windows", "Linux"),
    )
    data = machines.data_disks
    none = pa.nulls(data.count, pa.string())
    yield _disk_rows(
        machines,
        "data disk",
        data.parents,
        machines.data_disk_id,
        machines.data_disk,
        machines.data_disk_size,
        pa.repeat("Premium_LRS", data.count),
        none,
    )
    left_behind = everyone.filter(machines.draws.chance("disk left behind", 0.012))
    name = joined("restore-", machines.name.take(left_behind))
    owners = fleet.at(left_behind)
    identifier = ids(machines.drawing("old disk", len(name)), "id", owners, lambda owner: owner.group, "Microsoft.Compute/disks", name)
    none = pa.nulls(len(name), pa.string())
    yield _disk_rows(
        machines, "old disk", left_behind, identifier, name, size.take(left_behind), pa.repeat("Standard_LRS", len(name)), none
    )


def _disk_rows(
    machines: Machines,
    what: str,
    parents: pa.Array,
    identifier: pa.Array,
    name: pa.Array,
    size: pa.Array,
    storage: pa.Array,
    os_type: pa.Array,
) -> Rows:
    """parents: the machine of each disk, or the one that it belonged to; os_type: null for a data disk."""
    rows, draws, owners = len(name), machines.drawing(what, len(name)), machines.fleet.at(parents)
    attached, from_image = what != "old disk", pc.is_valid(os_type)
    in_use = pc.if_else(pc.equal(machines.power_state.take(parents), "deallocated"), "Reserved", "Attached")
    image = owners.of(
        lambda fleet: (
            f"/Publishers/{fleet.image.publisher}/ArtifactTypes/VMImage/Offers/{fleet.image.offer}/Skus/{fleet.image.sku}/Versions/{fleet.image.build}"
        )
    )
    place = owners.of(
        lambda fleet: f"/Subscriptions/{fleet.group.subscription.id}/Providers/Microsoft.Compute/Locations/{fleet.group.location}"
    )
    # One document in a hundred has a text where the others have a number.
    shares = pc.if_else(draws.chance("odd shares", 0.01), '"1"', "1")
    strings = {
        "id": identifier,
        "name": name,
        "managedBy": machines.id.take(parents) if attached else "",
    }
    return Rows(
        rows,
        strings | group_columns(owners, lambda fleet: fleet.group),
        {
            "sku": {"name": storage, "tier": pc.replace_substring_regex(storage, "_.*", "")},
            "properties": {
                "provisioningState": "Succeeded",
                "diskState": in_use if attached else "Unattached",
                "diskSizeGB": size,
                "diskSizeBytes": pc.multiply(size, pa.scalar(1 << 30, pa.int64())),
                "diskIOPSReadWrite": draws.choice("iops", ((120, 2), (500, 5), (1100, 2), (2300, 1), (5000, 1))),
                "diskMBpsReadWrite": draws.choice("throughput", ((25, 3), (60, 4), (125, 2), (200, 1))),
                "maxShares": Json(shares),
                "osType": os_type,
                "hyperVGeneration": only(from_image, pa.repeat("V2", rows)),
                "timeCreated": machines.created.take(parents) if what == "os disk" else draws.moment("created", DAYS),
                "LastOwnershipUpdateTime": draws.moment("owned", DAYS[-300:]),
                "uniqueId": draws.guid("unique id"),
                "creationData": {
                    "createOption": pc.if_else(from_image, "FromImage", "Empty" if attached else "Copy"),
                    "imageReference": Maybe(from_image, {"id": joined(place, image)}),
                },
                "encryption": {"type": "EncryptionAtRestWithPlatformKey"},
                "networkAccessPolicy": draws.choice("policy", (("AllowAll", 8), ("DenyAll", 2))),
                "publicNetworkAccess": "Enabled",
                "tier": only(pc.equal(storage, "Premium_LRS"), draws.choice("tier", (("P4", 3), ("P10", 3), ("P20", 2), ("P30", 2)))),
            },
            "tags": tags_form(owners, lambda fleet: fleet.tags),
            "zones": zones_form(machines.zone.take(parents)),
        },
    )


def public_addresses(machines: Machines) -> Iterator[Rows]:
    """One row for each machine that has a public address."""
    parents = pc.indices_nonzero(machines.has_address).cast(pa.int32())
    owners, draws = machines.fleet.at(parents), machines.drawing("address", len(parents))
    decimal = bytes_in_decimal()
    address = pc.binary_join_element_wise("20", *(decimal.take(draws.below(key, 256)) for key in "abc"), ".")
    first = pc.equal(machines.interfaces.ordinals, 0)
    yield Rows(
        len(parents),
        {"id": machines.address_id.take(parents), "name": joined(machines.name.take(parents), "-ip"), "apiVersion": "2024-05-01"}
        | group_columns(owners, lambda fleet: fleet.group),
        {
            "sku": {"name": draws.choice("sku", (("Standard", 8), ("Basic", 2))), "tier": "Regional"},
            "properties": {
                "provisioningState": "Succeeded",
                "resourceGuid": draws.guid("guid"),
                "ipAddress": address,
                "publicIPAllocationMethod": "Static",
                "publicIPAddressVersion": "IPv4",
                "idleTimeoutInMinutes": 4,
                "ipTags": [],
                "ipConfiguration": {"id": joined(machines.interface_id.filter(first).take(parents), "/ipConfigurations/ipconfig1")},
            },
            "tags": tags_form(owners, lambda fleet: fleet.tags),
            "zones": zones_form(machines.zone.take(parents)),
        },
    )


def extensions(machines: Machines) -> Iterator[Rows]:
    """One row for each extension of the few machines whose extensions are known."""
    for number, (linux, windows) in enumerate(_EXTENSIONS):
        parents = pc.indices_nonzero(machines.draws.chance(f"extension {number}", 0.02)).cast(pa.int32())
        owners = machines.fleet.at(parents)

        def part(place: int, linux: Sequence[str] = linux, windows: Sequence[str] = windows, parents: pa.Array = parents) -> pa.Array:
            return pc.if_else(machines.windows.take(parents), windows[place], linux[place])

        draws = machines.drawing(f"extension {number}", len(parents))
        yield Rows(
            len(parents),
            {"id": joined(machines.id.take(parents), "/extensions/", part(0)), "name": part(0), "apiVersion": "2024-07-01"}
            | group_columns(owners, lambda fleet: fleet.group),
            {
                "properties": {
                    "provisioningState": draws.choice("state", (("Succeeded", 95), ("Failed", 5))),
                    "publisher": part(1),
                    "type": part(0),
                    "typeHandlerVersion": part(2),
                    "autoUpgradeMinorVersion": draws.chance("upgrade", 0.9),
                    "settings": {},
                },
                "tags": tags_form(owners, lambda fleet: fleet.tags),
            },
        )
