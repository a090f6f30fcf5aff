"""What Azure offers: regions with their fault domains and zones, sizes with their capabilities and prices.

Sources: Azure docs, "Manage the availability of VMs" (fault domains of each region), "Resource SKUs - List", "Sizes for virtual
machines in Azure". Zones by region and prices are kqlite's own choice.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

_THREE = "eastus eastus2 westus centralus northcentralus southcentralus canadacentral northeurope westeurope"
_TWO = (
    "westus2 westcentralus canadaeast uksouth ukwest eastasia southeastasia japaneast japanwest southindia centralindia westindia "
    "koreacentral koreasouth uaenorth australiaeast australiasoutheast australiacentral australiacentral2 brazilsouth usgovvirginia "
    "usgovtexas usgovarizona usdodcentral usdodeast"
)
# The documentation does not list these regions. They get two fault domains as well.
_OTHERS = (
    "westus3 francecentral francesouth germanywestcentral germanynorth norwayeast norwaywest swedencentral swedensouth switzerlandnorth "
    "switzerlandwest polandcentral italynorth spaincentral austriaeast belgiumcentral southafricanorth southafricawest uaecentral "
    "qatarcentral israelcentral brazilsoutheast mexicocentral chilecentral jioindiawest jioindiacentral newzealandnorth "
    "indonesiacentral malaysiawest chinanorth chinaeast chinanorth2 chinaeast2 chinanorth3 chinaeast3"
)
_ALSO_ZONAL = (
    "westus2 uksouth southeastasia japaneast australiaeast brazilsouth koreacentral centralindia westus3 francecentral germanywestcentral "
    "norwayeast swedencentral switzerlandnorth polandcentral italynorth spaincentral southafricanorth qatarcentral israelcentral "
    "mexicocentral newzealandnorth chinanorth3"
)

FAULT_DOMAINS: dict[str, int] = dict.fromkeys(_THREE.split(), 3) | dict.fromkeys([*_TWO.split(), *_OTHERS.split()], 2)
REGIONS: tuple[str, ...] = tuple(FAULT_DOMAINS)
ZONES: dict[str, tuple[str, ...]] = dict.fromkeys([*_THREE.split(), *_ALSO_ZONAL.split()], ("1", "2", "3"))
RACKS = 4  # racks in a fault domain, for rack outages; the number is kqlite's own choice


def region_name(location: str) -> str:
    """The stored form of a location: "eastus" for "East US"."""
    return location.replace(" ", "").lower()


@dataclass(frozen=True, slots=True)
class Size:
    """A VM size.

    Args:
        memory_preserving: Whether it supports memory-preserving maintenance, which Flexible orchestration needs.
        premium: Whether it supports premium disks.
        spot: Whether it supports Spot.
        ultra: Whether it supports ultra disks.
        data_disks: The most data disks.
        price: US dollars an hour, on demand.
    """

    name: str
    family: str
    vcpus: int
    memory_gb: float
    memory_preserving: bool
    premium: bool
    spot: bool
    ultra: bool
    rdma: bool
    data_disks: int
    price: float

    @property
    def series(self) -> str:
        """The family's first letter. Flexible orchestration supports A, B, D, E and F."""
        return self.name.removeprefix("Standard_").removeprefix("Basic_")[0]


# family, name pattern, memory for each vCPU, vCPUs on offer, ultra disks
_FAMILIES: tuple[tuple[str, str, float, tuple[int, ...], bool], ...] = (
    ("standardA_v2Family", "A{}_v2", 2, (1, 2, 4, 8), False),
    ("standardBSFamily", "B{}ms", 4, (1, 2, 4, 8, 16), False),
    ("standardDv2Family", "D{}_v2", 3.5, (1, 2, 3, 4, 5), False),
    ("standardDSv2Family", "DS{}_v2", 3.5, (1, 2, 3, 4, 5), False),
    ("standardDv3Family", "D{}_v3", 4, (2, 4, 8, 16, 32, 64), False),
    ("standardDSv3Family", "D{}s_v3", 4, (2, 4, 8, 16, 32, 64), True),
    ("standardDv4Family", "D{}_v4", 4, (2, 4, 8, 16, 32, 64), False),
    ("standardDSv4Family", "D{}s_v4", 4, (2, 4, 8, 16, 32, 64), True),
    ("standardDDv4Family", "D{}d_v4", 4, (2, 4, 8, 16, 32, 48, 64), False),
    ("standardDDSv4Family", "D{}ds_v4", 4, (2, 4, 8, 16, 32, 48, 64), True),
    ("standardDAv4Family", "D{}a_v4", 4, (2, 4, 8, 16, 32, 48, 64, 96), False),
    ("standardDASv4Family", "D{}as_v4", 4, (2, 4, 8, 16, 32, 48, 64, 96), True),
    ("standardDSv5Family", "D{}s_v5", 4, (2, 4, 8, 16, 32, 64, 96), True),
    ("standardEv3Family", "E{}_v3", 8, (2, 4, 8, 16, 32, 64), False),
    ("standardESv3Family", "E{}s_v3", 8, (2, 4, 8, 16, 32, 64), True),
    ("standardEv4Family", "E{}_v4", 8, (2, 4, 8, 16, 20, 32, 48), False),
    ("standardESv4Family", "E{}s_v4", 8, (2, 4, 8, 16, 20, 32, 48), True),
    ("standardEDv4Family", "E{}d_v4", 8, (2, 4, 8, 16, 20, 32, 48), False),
    ("standardEDSv4Family", "E{}ds_v4", 8, (2, 4, 8, 16, 20, 32, 48), True),
    ("standardEAv4Family", "E{}a_v4", 8, (2, 4, 8, 16, 20, 32, 48, 64, 96), False),
    ("standardEASv4Family", "E{}as_v4", 8, (2, 4, 8, 16, 20, 32, 48, 64, 96), True),
    ("standardFSFamily", "F{}s", 2, (1, 2, 4, 8, 16), False),
    ("standardFSv2Family", "F{}s_v2", 2, (2, 4, 8, 16, 32, 64), True),
    ("standardGSFamily", "GS{}", 14, (1, 2, 3, 4, 5), False),
    ("standardHFamily", "H{}", 7, (8, 16), False),
    ("standardHFamily", "H{}r", 7, (16,), False),
    ("standardLSv2Family", "L{}s_v2", 8, (8, 16, 32, 48, 64, 80), False),
    ("standardMSFamily", "M{}ms", 28, (8, 16, 32, 64, 128), True),
    ("standardMSFamily", "M{}s", 16, (32, 64, 128), True),
    ("standardMSFamily", "M{}", 8, (64, 128), True),
    ("standardNCFamily", "NC{}", 9, (6, 12, 24), False),
    ("standardNCFamily", "NC{}r", 9, (24,), False),
    ("standardNVFamily", "NV{}", 9, (6, 12, 24), False),
)
_EXTRA_B = (("B1s", 1, 1.0), ("B1ls", 1, 0.5), ("B2s", 2, 4.0))
# Sizes that fit no pattern: family, name, vCPUs, memory
_OTHER_SIZES: tuple[tuple[str, str, int, float], ...] = (
    *(("standardDv2Family", f"D{number}_v2", 2 ** (number - 10), 14 * 2 ** (number - 11)) for number in (11, 12, 13, 14)),
    *(("standardDSv2Family", f"DS{number}_v2", 2 ** (number - 10), 14 * 2 ** (number - 11)) for number in (11, 12, 13, 14)),
    ("standardDv2Family", "D15_v2", 20, 140),
    ("standardDSv2Family", "DS15_v2", 20, 140),
    ("standardHBSFamily", "HB60rs", 60, 228),
    ("standardHBrsv2Family", "HB120rs_v2", 120, 456),
    ("standardHCSFamily", "HC44rs", 44, 352),
    ("standardNCSv3Family", "NC6s_v3", 6, 112),
    ("standardNCSv3Family", "NC12s_v3", 12, 224),
    ("standardNCSv3Family", "NC24s_v3", 24, 448),
    ("standardNCSv3Family", "NC24rs_v3", 24, 448),
    ("standardNDSv2Family", "ND40rs_v2", 40, 672),
    ("standardNVSv3Family", "NV12s_v3", 12, 112),
    ("standardNVSv3Family", "NV24s_v3", 24, 224),
    ("standardNVSv3Family", "NV48s_v3", 48, 448),
)
_V2_CPUS = {1: 1, 2: 2, 3: 4, 4: 8, 5: 16}


def _sizes() -> dict[str, Size]:
    sizes = []
    for family, pattern, memory, numbers, ultra in _FAMILIES:
        series = pattern[0]
        for number in numbers:
            vcpus = _V2_CPUS[number] if pattern in ("D{}_v2", "DS{}_v2", "GS{}") else number
            sizes.append(
                Size(
                    name="Standard_" + pattern.format(number),
                    family=family,
                    vcpus=vcpus,
                    memory_gb=vcpus * memory,
                    memory_preserving=series in "DEFAB",
                    premium="s" in pattern.lower().removeprefix("standard_"),
                    spot=series != "B",
                    ultra=ultra,
                    rdma=pattern.endswith("r"),
                    data_disks=min(64, vcpus * 2),
                    price=round(vcpus * (0.03 + memory * 0.0045), 4),
                )
            )
    for family, name, vcpus, memory in _OTHER_SIZES:
        sizes.append(
            Size(
                name="Standard_" + name,
                family=family,
                vcpus=vcpus,
                memory_gb=memory,
                memory_preserving=name[0] == "D",
                premium="s" in name.lower(),
                spot=True,
                ultra=False,
                rdma="r" in name,
                data_disks=min(64, vcpus * 2),
                price=round(vcpus * 0.03 + memory * 0.0045, 4),
            )
        )
    for name, vcpus, memory in _EXTRA_B:
        sizes.append(
            Size("Standard_" + name, "standardBSFamily", vcpus, memory, True, True, False, False, False, 2, round(memory * 0.0104, 4))
        )
    return {size.name.lower(): size for size in sizes}


SIZES: dict[str, Size] = _sizes()


def find_size(name: str) -> Size | None:
    """The size of this name, in any casing."""
    return SIZES.get(name.lower())


@lru_cache(maxsize=1)
def size_names() -> tuple[str, ...]:
    """All sizes, sorted."""
    return tuple(sorted(size.name for size in SIZES.values()))
