"""The sample inventory's virtual machines: the columns that they share with what hangs on them, and their documents.

Each kind of row is made in a pass of its own; what two kinds must agree on (the id of a disk, say) follows from the same keyed draws.

Source: the members of a virtual machine's row and when each is there as in recorded rows of the service; Azure REST reference, "Virtual
Machines - Get".
"""

from collections.abc import Iterator, Sequence
from functools import cached_property

import pyarrow as pa
import pyarrow.compute as pc

from kqlite.inventory.sample.batches import BLOCK, Rows, Spread, group_columns, ids, tags_form
from kqlite.inventory.sample.columns import Draws, Expansion, Form, Json, Many, Maybe, joined, only, padded, runs, scattered
from kqlite.inventory.sample.fleets import DAYS, TENANT, Fleet, Mode

_POWER_STATES = (("running", 780), ("deallocated", 150), ("stopped", 40), ("starting", 10), ("stopping", 5), ("deallocating", 5), ("", 10))
_INTERFACES = ((1, 95), (2, 4), (3, 1))
_DATA_DISKS = ((0, 78), (1, 14), (2, 5), (4, 3))
_DATA_SIZES = ((32, 20), (128, 30), (256, 20), (512, 15), (1023, 5), (1024, 10))


class Machines:
    """A block of machines: the columns that rows of several types need. Machines are numbered in the order of their fleets."""

    def __init__(self, fleets: Sequence[Fleet], start: int, end: int, seed: int) -> None:
        self.fleets = fleets
        self.start, self.rows = start, end - start
        counts = [min(fleet.first + fleet.count, end) - max(fleet.first, start) for fleet in fleets]
        self.fleet = Spread(fleets, runs(counts))
        self._key = f"{seed}/machines/{start // BLOCK}"
        self.draws = self.drawing("machine", self.rows)
        self.salt = seed * 2654435761

    def drawing(self, what: str, rows: int) -> Draws:
        return Draws(f"{self._key}/{what}", rows)

    @cached_property
    def scattered(self) -> pa.Array:
        return scattered(self.start, self.rows, self.salt)

    @cached_property
    def name(self) -> pa.Array:
        """`<set>_<8 digits>` in a scale set, a running number elsewhere; in capitals on Windows."""
        place = pc.subtract(
            pa.array(range(self.start, self.start + self.rows), pa.int32()), self.fleet.of(lambda fleet: fleet.first, pa.int32())
        )
        base = self.fleet.texts(
            lambda fleet: f"{fleet.name}_" if fleet.is_set else f"{fleet.name}-".upper() if fleet.image.windows else f"{fleet.name}-"
        )
        return joined(base, pc.if_else(self.in_set, self.scattered, padded(4).take(place)))

    @cached_property
    def in_set(self) -> pa.Array:
        return self.fleet.truths(lambda fleet: fleet.is_set)

    @cached_property
    def windows(self) -> pa.Array:
        return self.fleet.truths(lambda fleet: fleet.image.windows)

    @cached_property
    def id(self) -> pa.Array:
        return self.ids("machine", "Microsoft.Compute/virtualMachines", self.name)

    def ids(self, what: str, provider: str, name: pa.Array) -> pa.Array:
        """Ids of things that go with the machines, one each."""
        return ids(self.drawing(what, self.rows), "id", self.fleet, lambda fleet: fleet.group, provider, name)

    @cached_property
    def power_state(self) -> pa.Array:
        """Without the prefix; `''` for a machine so new that nothing has been reported."""
        return self.draws.choice("power state", _POWER_STATES)

    @cached_property
    def created(self) -> pa.Array:
        return self.draws.moment("created", DAYS)

    @cached_property
    def zone(self) -> pa.Array:
        return pc.if_else(
            self.fleet.truths(lambda fleet: fleet.zonal),
            self.draws.choice("zone", (("1", 1), ("2", 1), ("3", 1))),
            pa.scalar("", pa.string()),
        )

    @cached_property
    def os_disk(self) -> pa.Array:
        return joined(self.name, "_OsDisk_1_", self.draws.hex("os disk", 8))

    @cached_property
    def os_disk_id(self) -> pa.Array:
        return self.ids("os disk", "Microsoft.Compute/disks", self.os_disk)

    @cached_property
    def os_disk_size(self) -> pa.Array:
        linux = self.draws.choice("os disk size", ((30, 60), (64, 25), (128, 15)))
        return pc.if_else(self.windows, pa.scalar(127, pa.int64()), linux)

    @cached_property
    def storage(self) -> pa.Array:
        return self.fleet.texts(lambda fleet: "Premium_LRS" if fleet.size[9] in "DEM" else "StandardSSD_LRS")

    @cached_property
    def data_disks(self) -> Expansion:
        return Expansion(self.draws.choice("data disks", _DATA_DISKS))

    @cached_property
    def data_disk(self) -> pa.Array:
        disks = self.data_disks
        return joined(
            self.name.take(disks.parents),
            "_data_",
            padded(1).take(disks.ordinals),
            "_",
            self.drawing("data disk", disks.count).hex("name", 8),
        )

    @cached_property
    def data_disk_id(self) -> pa.Array:
        return self._element_ids("data disk", self.data_disks, "Microsoft.Compute/disks", self.data_disk)

    @cached_property
    def data_disk_size(self) -> pa.Array:
        return self.drawing("data disk", self.data_disks.count).choice("size", _DATA_SIZES)

    @cached_property
    def interfaces(self) -> Expansion:
        return Expansion(self.draws.choice("interfaces", _INTERFACES))

    @cached_property
    def interface(self) -> pa.Array:
        """Named by the machine's number scattered in another way, and not by the machine."""
        interfaces = self.interfaces
        base = joined(self.fleet.texts(lambda fleet: f"{fleet.name}-nic-"), scattered(self.start, self.rows, self.salt + 1))
        return joined(base.take(interfaces.parents), pa.array(["", "-2", "-3"]).take(interfaces.ordinals))

    @cached_property
    def interface_id(self) -> pa.Array:
        return self._element_ids("interface", self.interfaces, "Microsoft.Network/networkInterfaces", self.interface)

    def _element_ids(self, what: str, elements: Expansion, provider: str, name: pa.Array) -> pa.Array:
        owners = self.fleet.at(elements.parents)
        return ids(self.drawing(what, elements.count), "id", owners, lambda fleet: fleet.group, provider, name)

    @cached_property
    def has_address(self) -> pa.Array:
        """Whether a machine's first interface has a public address."""
        return pc.and_(pc.invert(self.in_set), self.draws.chance("address", 0.2))

    @cached_property
    def address_id(self) -> pa.Array:
        return self.ids("address", "Microsoft.Network/publicIPAddresses", joined(self.name, "-ip"))


def virtual_machines(machines: Machines) -> Iterator[Rows]:
    """One row for each machine."""
    fleet, draws = machines.fleet, machines.draws
    strings = {"id": machines.id, "name": machines.name} | group_columns(fleet, lambda owner: owner.group)
    system = draws.chance("identity", 0.15)
    planned = fleet.truths(lambda owner: owner.image.planned)
    yield Rows(
        machines.rows,
        strings,
        {
            "plan": Maybe(planned, {"name": "byol", "publisher": "paloaltonetworks", "product": "vmseries-flex"}),
            "properties": _machine_properties(machines),
            "tags": tags_form(fleet, lambda owner: owner.tags),
            "identity": Maybe(system, {"type": "SystemAssigned", "principalId": draws.guid("principal"), "tenantId": TENANT}),
            "zones": zones_form(machines.zone),
        },
    )


def nested_group(fleet: Fleet) -> str | None:
    """The `resourceGroup` that is sometimes beside an id inside a document."""
    return fleet.group.name.lower() if fleet.number % 5 == 0 else None


def zones_form(zone: pa.Array) -> Form:
    """The column `zones`: null where the zone is `''`."""
    present = pc.not_equal(zone, "")
    return Many(Expansion(present.cast(pa.int32())), zone.filter(present), present)


def _machine_properties(machines: Machines) -> Form:
    fleet, draws = machines.fleet, machines.draws
    new = pc.equal(machines.power_state, "")
    spot = fleet.truths(lambda owner: owner.spot)
    in_avset = fleet.truths(lambda owner: owner.mode is Mode.AVAILABILITY_SET)
    secure = draws.chance("secure", 0.2)
    diagnostics = draws.chance("diagnostics", 0.25)
    own_account = draws.chance("own account", 0.3)
    account = joined("https://stdiag", fleet.of(lambda owner: str(owner.group.subscription.number)), ".blob.core.windows.net/")
    return {
        "vmId": draws.guid("vm id"),
        "provisioningState": pc.if_else(new, "Creating", draws.choice("provisioning", (("Succeeded", 98), ("Failed", 1), ("Updating", 1)))),
        "timeCreated": machines.created,
        "hardwareProfile": {"vmSize": fleet.of(lambda owner: owner.size)},
        "extended": Maybe(pc.invert(new), {"instanceView": _instance_view(machines)}),
        "virtualMachineScaleSet": Maybe(
            machines.in_set,
            {"id": fleet.of(lambda owner: owner.set_id), "resourceGroup": fleet.texts(nested_group)},
        ),
        "availabilitySet": Maybe(in_avset, {"id": fleet.of(lambda owner: owner.availability_set_id)}),
        "platformFaultDomain": only(pc.or_(in_avset, draws.chance("has domain", 0.3)), draws.below("domain", 3)),
        "networkProfile": {"networkInterfaces": _interface_references(machines)},
        # A machine made from a disk of its own has none.
        "osProfile": Maybe(draws.chance("os profile", 0.6), _os_profile(machines)),
        "storageProfile": _storage_profile(machines),
        "priority": only(pc.or_(spot, draws.chance("regular", 0.1)), pc.if_else(spot, "Spot", "Regular")),
        "evictionPolicy": only(spot, draws.choice("eviction", (("Deallocate", 7), ("Delete", 3)))),
        "billingProfile": Maybe(
            spot, {"maxPrice": Json(fleet.of(lambda owner: "-1" if owner.number % 3 else f"0.0{owner.number % 97 + 1}"))}
        ),
        "licenseType": only(
            pc.and_(machines.windows, draws.chance("license", 0.5)),
            draws.choice("license type", (("Windows_Server", 9), ("Windows_Client", 1))),
        ),
        "diagnosticsProfile": Maybe(diagnostics, {"bootDiagnostics": {"enabled": True, "storageUri": only(own_account, account)}}),
        "securityProfile": Maybe(
            secure,
            {
                "securityType": "TrustedLaunch",
                "uefiSettings": {"secureBootEnabled": draws.chance("secure boot", 0.9), "vTpmEnabled": True},
                "encryptionAtHost": only(draws.chance("at host", 0.2), draws.chance("encrypted", 0.8)),
            },
        ),
        "additionalCapabilities": Maybe(
            draws.chance("capabilities", 0.1), {"ultraSSDEnabled": False, "hibernationEnabled": draws.chance("hibernation", 0.1)}
        ),
        "userData": only(draws.chance("user data", 0.02), draws.hex("user data text", 24)),
    }


def _instance_view(machines: Machines) -> Form:
    fleet, draws, state = machines.fleet, machines.draws, machines.power_state
    code = only(pc.not_equal(state, ""), joined("PowerState/", state))
    running = pc.and_(pc.equal(state, "running"), draws.chance("agent", 0.6))
    # One document in a hundred has a number where the others have a text.
    version = pc.if_else(
        draws.chance("odd version", 0.01),
        fleet.of(lambda owner: ".".join(owner.image.os_version.split(".")[:2])),
        fleet.of(lambda owner: f'"{owner.image.os_version}"'),
    )
    return {
        "powerState": {"code": code, "displayStatus": joined("VM ", state), "level": "Info"},
        "computerName": only(running, _computer_name(machines)),
        "osName": only(running, fleet.of(lambda owner: owner.image.os_name)),
        "osVersion": Json(only(running, version)),
        "hyperVGeneration": only(running, fleet.of(lambda owner: "V2" if owner.size.endswith("v5") else "V1")),
    }


def _computer_name(machines: Machines) -> pa.Array:
    """At most 15 characters on Windows, and the whole name on Linux."""
    short = joined(machines.fleet.texts(lambda fleet: fleet.name[:9].upper()), machines.draws.hex("computer", 6))
    return pc.if_else(machines.windows, short, machines.name)


def _interface_references(machines: Machines) -> Form:
    interfaces = machines.interfaces
    several = pc.greater(machines.draws.choice("interfaces", _INTERFACES), 1)
    explicit = pc.or_(several, machines.draws.chance("explicit", 0.3)).take(interfaces.parents)
    element = {
        "id": machines.interface_id,
        "resourceGroup": machines.fleet.at(interfaces.parents).texts(nested_group),
        "properties": Maybe(
            explicit,
            {
                "primary": pc.equal(interfaces.ordinals, 0),
                "deleteOption": only(machines.in_set.take(interfaces.parents), pa.repeat("Delete", interfaces.count)),
            },
        ),
    }
    return Many(interfaces, element)


def _os_profile(machines: Machines) -> Form:
    fleet, windows = machines.fleet, machines.windows
    admin = fleet.texts(lambda owner: ("azureuser", "ops", "localadmin")[owner.number % 3])
    modes = {
        "patchMode": "ImageDefault",
        "assessmentMode": machines.draws.choice("assessment", (("ImageDefault", 7), ("AutomaticByPlatform", 3))),
    }
    patching = Maybe(machines.draws.chance("patching", 0.4), modes)
    linux = {
        "disablePasswordAuthentication": True,
        "provisionVMAgent": True,
        "patchSettings": patching,
        "ssh": Maybe(
            fleet.truths(lambda owner: owner.number % 4 == 0),
            {"publicKeys": [{"path": joined("/home/", admin, "/.ssh/authorized_keys"), "keyData": fleet.of(lambda owner: owner.key)}]},
        ),
    }
    return {
        "computerName": _computer_name(machines),
        "adminUsername": admin,
        "allowExtensionOperations": only(machines.draws.chance("allow extensions", 0.3), pa.repeat(True, machines.rows)),
        "requireGuestProvisionSignal": only(machines.draws.chance("signal", 0.3), pa.repeat(True, machines.rows)),
        "secrets": [],
        "linuxConfiguration": Maybe(pc.invert(windows), linux),
        "windowsConfiguration": Maybe(windows, {"enableAutomaticUpdates": True, "provisionVMAgent": True, "patchSettings": patching}),
    }


def _storage_profile(machines: Machines) -> Form:
    fleet, disks = machines.fleet, machines.data_disks
    return {
        "diskControllerType": fleet.texts(
            lambda owner: "NVMe" if owner.size.startswith("Standard_L") else "SCSI" if owner.number % 4 == 0 else None
        ),
        "imageReference": {
            "publisher": fleet.of(lambda owner: owner.image.publisher),
            "offer": fleet.of(lambda owner: owner.image.offer),
            "sku": fleet.of(lambda owner: owner.image.sku),
            "version": "latest",
            "exactVersion": only(machines.draws.chance("exact", 0.3), fleet.of(lambda owner: owner.image.build)),
        },
        "osDisk": {
            "name": machines.os_disk,
            "osType": pc.if_else(machines.windows, "Windows", "Linux"),
            "caching": "ReadWrite",
            "createOption": "FromImage",
            "deleteOption": only(machines.in_set, pa.repeat("Delete", machines.rows)),
            "diskSizeGB": machines.os_disk_size,
            "managedDisk": {
                "id": machines.os_disk_id,
                "resourceGroup": fleet.texts(nested_group),
                "storageAccountType": machines.storage,
            },
        },
        "dataDisks": Many(
            disks,
            {
                "lun": disks.ordinals,
                "name": machines.data_disk,
                "caching": machines.drawing("data disk", disks.count).choice("caching", (("None", 6), ("ReadOnly", 4))),
                "createOption": "Attach",
                "diskSizeGB": machines.data_disk_size,
                "toBeDetached": False,
                "managedDisk": {"id": machines.data_disk_id, "storageAccountType": "Premium_LRS"},
            },
        ),
    }
