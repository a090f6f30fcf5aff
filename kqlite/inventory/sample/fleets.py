"""Who has which machines in the sample inventory: subscriptions, their resource groups, and the fleets that are deployed into them.

Everything follows from the seed in one order, so a larger inventory begins with the smaller one: the sizes that are drawn depend on what
came before, never on the total. Sizes are skewed: most groups are small, and a few hold a large part of all machines.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import Enum
from random import Random
from typing import TypeVar
from uuid import UUID

TENANT = "8d4f2c1e-6b0a-4c57-9e3d-2f7a51c0b864"
"""The one tenant, a made-up GUID."""

DAYS = tuple(f"{year}-{month:02d}-{day:02d}" for year in (2022, 2023, 2024, 2025) for month in range(1, 13) for day in range(1, 29))
"""The days on which things were made."""

T = TypeVar("T")

MOST_INSTANCES = 1000
"""Of one scale set. Source: Azure docs, "Orchestration modes for Virtual Machine Scale Sets"."""


class Mode(Enum):
    """How the machines of a fleet belong together."""

    FLEXIBLE = "Flexible"
    UNIFORM = "Uniform"
    AVAILABILITY_SET = "availability set"
    STANDALONE = "standalone"


@dataclass(frozen=True, slots=True)
class Image:
    """What a machine's disk is made from; `os_version` and `build` are what the machine reports."""

    publisher: str
    offer: str
    sku: str
    os_name: str
    os_version: str
    build: str
    windows: bool = False
    planned: bool = False  # a marketplace image with a purchase plan


@dataclass(frozen=True, slots=True)
class Subscription:
    number: int
    id: str
    name: str


@dataclass(frozen=True, slots=True)
class Group:
    """A resource group; `name` in the case in which it was made, `network` is the id of its virtual network."""

    number: int
    subscription: Subscription
    name: str
    location: str
    application: str
    environment: str
    network: str

    @property
    def id(self) -> str:
        return f"/subscriptions/{self.subscription.id}/resourceGroups/{self.name}"


@dataclass(frozen=True, slots=True)
class Fleet:
    """Machines deployed together. `first` numbers its first machine among all of them (or among all Uniform instances)."""

    number: int
    group: Group
    name: str
    mode: Mode
    first: int
    count: int
    size: str
    image: Image
    zonal: bool
    spot: bool
    tags: dict[str, str] | None
    key_seed: int
    guid: str
    created: str

    @property
    def is_set(self) -> bool:
        return self.mode in (Mode.FLEXIBLE, Mode.UNIFORM)

    @property
    def set_id(self) -> str:
        return f"{self.group.id}/providers/Microsoft.Compute/virtualMachineScaleSets/{self.name}"

    @property
    def key(self) -> str:
        """The public key of its administrators, as SSH has it; made when asked for, since a key is half of what a fleet weighs."""
        return "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI" + "".join(Random(self.key_seed).choices(_KEY_LETTERS, k=43)) + " ops"

    @property
    def availability_set_id(self) -> str:
        return f"{self.group.id}/providers/Microsoft.Compute/availabilitySets/{self.name}-avset"


_APPLICATIONS = {
    "shop": 10, "orders": 9, "billing": 8, "search": 8, "web": 10, "ml": 6, "batch": 7, "sql": 6, "cache": 5, "gateway": 4, "iot": 5,
    "crm": 4, "hr": 3, "etl": 5, "build": 5, "vdi": 6, "sap": 4, "kafka": 4, "monitoring": 4, "demo": 2,
}  # fmt: skip
_ENVIRONMENTS = {"prod": 50, "dev": 25, "test": 15, "staging": 10}
_LOCATIONS = {
    "westeurope": 22, "northeurope": 14, "eastus": 18, "eastus2": 10, "westus2": 8, "centralus": 6, "uksouth": 5, "germanywestcentral": 5,
    "swedencentral": 4, "southeastasia": 4, "japaneast": 2, "australiaeast": 2,
}  # fmt: skip
_SIZES = {
    "Standard_D2s_v5": 16, "Standard_D4s_v5": 14, "Standard_D8s_v5": 8, "Standard_D2as_v5": 8, "Standard_D4as_v5": 6, "Standard_E4s_v5": 7,
    "Standard_E8s_v5": 5, "Standard_E16s_v5": 2, "Standard_B2s": 10, "Standard_B2ms": 6, "Standard_F4s_v2": 5, "Standard_F8s_v2": 3,
    "Standard_DS2_v2": 5, "Standard_L8s_v3": 1, "Standard_M32ts": 1, "Standard_NC6s_v3": 1, "Standard_HB120rs_v3": 1, "Standard_D2ps_v5": 1,
}  # fmt: skip
_IMAGES = {
    Image("Canonical", "0001-com-ubuntu-server-jammy", "22_04-lts-gen2", "ubuntu", "22.04", "22.04.202409120"): 30,
    Image("Canonical", "ubuntu-24_04-lts", "server", "ubuntu", "24.04", "24.04.202410170"): 16,
    Image("RedHat", "RHEL", "9-lvm-gen2", "rhel", "9.4", "9.4.2024081415"): 10,
    Image("Debian", "debian-12", "12-gen2", "debian", "12", "0.20240901.1857"): 6,
    Image("MicrosoftWindowsServer", "WindowsServer", "2022-datacenter-azure-edition", "Windows Server 2022 Datacenter Azure Edition",
          "10.0.20348.2700", "20348.2700.241009", windows=True): 20,
    Image("MicrosoftWindowsServer", "WindowsServer", "2019-Datacenter-gensecond", "Windows Server 2019 Datacenter",
          "10.0.17763.6414", "17763.6414.241006", windows=True): 8,
    Image("MicrosoftWindowsDesktop", "windows-11", "win11-23h2-ent", "Windows 11 Enterprise", "10.0.22631.4317", "22631.4317.241009",
          windows=True): 6,
    Image("paloaltonetworks", "vmseries-flex", "byol", "pan-os", "10.2.4", "10.2.4", planned=True): 2,
}  # fmt: skip
_MODES = {Mode.FLEXIBLE: 55, Mode.STANDALONE: 30, Mode.AVAILABILITY_SET: 8, Mode.UNIFORM: 7}
_TEAMS = ("platform", "payments", "data", "storefront", "security", "networking", "workplace", "research")
_KEY_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
_CASES: dict[Callable[[str], str], int] = {str: 70, str.upper: 12, str.title: 18}


def fleets(vms: int, seed: int) -> Iterator[Fleet]:
    """The fleets that hold `vms` machines together, Uniform scale sets beside, whose instances are no machines of their own."""
    return _Planner(vms, seed).fleets()


class _Planner:
    def __init__(self, vms: int, seed: int) -> None:
        self._vms = vms
        self._random = Random(f"{seed}/fleets")
        self._placed = 0
        self._instances = 0
        self._groups = 0
        self._fleets = 0
        self._hubs: dict[int, str] = {}

    def fleets(self) -> Iterator[Fleet]:
        number = 0
        while self._placed < self._vms:
            yield from self._in_subscription(self._subscription(number), self._share(20, part=3, most=80_000))
            number += 1

    def _share(self, least: int, part: int, most: int) -> int:
        """How many machines the next subscription or group is to hold: often about `least`, rarely a part of what there is already."""
        return min(int(least * self._random.paretovariate(0.75)), max(least * 2, self._placed // part), most)

    def _in_subscription(self, subscription: Subscription, share: int) -> Iterator[Fleet]:
        # A subscription's share grows with the inventory, so that there are dozens of them and not thousands.
        until = self._placed + max(share, self._placed // 10)
        while self._placed < min(until, self._vms):
            yield from self._in_group(self._group(subscription), self._share(4, part=12, most=20_000))

    def _in_group(self, group: Group, share: int) -> Iterator[Fleet]:
        until = self._placed + share
        while self._placed < min(until, self._vms):
            mode = self._pick(_MODES) if self._fleets else Mode.FLEXIBLE
            most = {Mode.FLEXIBLE: MOST_INSTANCES, Mode.UNIFORM: 20}.get(mode, 40)
            size = min(int(4 * self._random.paretovariate(0.7)), most, until - self._placed)
            yield self._fleet(group, mode, max(size, 1))

    def _subscription(self, number: int) -> Subscription:
        name = f"{self._random.choice(_TEAMS)}-{self._pick(_ENVIRONMENTS)}-{number:03d}"
        return Subscription(number, self._guid(), self._random.choice((name, name.title(), name.replace("-", " "))))

    def _group(self, subscription: Subscription) -> Group:
        random, number = self._random, self._groups
        self._groups += 1
        # The first set of any inventory is a Flexible one of `demo`, so that the first question finds something however small it is.
        application = self._pick(_APPLICATIONS) if number else "demo"
        environment, location = self._pick(_ENVIRONMENTS), self._pick(_LOCATIONS)
        name = self._pick(_CASES)(f"{application}-{environment}-{number}")
        network = f"/subscriptions/{subscription.id}/resourceGroups/{name}/providers/Microsoft.Network/virtualNetworks/vnet-{number}"
        # Some groups share the network of their subscription's first group.
        hub = self._hubs.setdefault(subscription.number, network)
        return Group(number, subscription, name, location, application, environment, hub if random.random() < 0.4 else network)

    def _fleet(self, group: Group, mode: Mode, size: int) -> Fleet:
        random, number = self._random, self._fleets
        self._fleets += 1
        image, vm_size, zonal, spot = self._pick(_IMAGES), self._pick(_SIZES), random.random() < 0.4, random.random() < 0.12
        name = f"{group.application}-{number:x}"
        tags, key, guid, created = self._tags(group), random.getrandbits(64), self._guid(), random.choice(DAYS)
        if mode is Mode.UNIFORM:
            first = self._instances
            self._instances += size
        else:
            # The last fleet is cut short, after all draws.
            size, first = min(size, self._vms - self._placed), self._placed
            self._placed += size
        return Fleet(
            number,
            group,
            name,
            mode,
            first,
            size,
            vm_size,
            image,
            zonal and mode is not Mode.AVAILABILITY_SET,
            spot,
            tags,
            key,
            guid,
            created,
        )

    def _tags(self, group: Group) -> dict[str, str] | None:
        """Tags as people leave them: none, an empty object, or some of a dozen names, with values in any case."""
        random = self._random
        team, center, build, roll = random.choice(_TEAMS), random.randrange(1000, 9999), random.randrange(10**6), random.random()
        every = {
            "env": (0.9, random.choice((group.environment, group.environment, group.environment.title(), group.environment.upper()))),
            "application": (0.6, group.application),
            "owner": (0.3, f"{team}@contoso.example"),
            "cost center": (0.35, str(center)),
            "created by": (0.2, random.choice(("terraform", "pipeline", "portal"))),
            "autoShutdown": (0.15, random.choice(("true", "false", "True"))),
            "build": (0.2, f"{build // 100}.{build % 100}"),
            "app.kubernetes.io/name": (0.05, group.application),
            "note": (0.03, random.choice(('say "hello" first', "C:\\temp", "two\nlines", "Zürich", ""))),
            "sla": (0.1, random.choice(("99.9", "99.95", "none"))),
        }
        chosen = {name: value for name, (share, value) in every.items() if random.random() < share}
        return None if roll < 0.15 else {} if roll < 0.2 else chosen

    def _guid(self) -> str:
        return str(UUID(int=self._random.getrandbits(128), version=4))

    def _pick(self, weights: dict[T, int]) -> T:
        return self._random.choices(list(weights), list(weights.values()))[0]
