"""Performance and performance tier of a managed disk, by type and size.

Source: Azure docs, "Select a disk type for Azure IaaS VMs"; "Scalability and performance targets for VM disks".
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple


class Performance(NamedTuple):
    """The performance of a disk.

    Args:
        iops: Operations a second; 0 for a disk whose body states them, such as an ultra disk.
        mbps: Megabytes a second, likewise.
        tier: Performance tier; "" for types without tiers.
    """

    iops: int
    mbps: int
    tier: str


# Largest size in GiB, number of the tier, IOPS, MB/s.
_PREMIUM = (
    (4, 1, 120, 25),
    (8, 2, 120, 25),
    (16, 3, 120, 25),
    (32, 4, 120, 25),
    (64, 6, 240, 50),
    (128, 10, 500, 100),
    (256, 15, 1100, 125),
    (512, 20, 2300, 150),
    (1024, 30, 5000, 200),
    (2048, 40, 7500, 250),
    (4096, 50, 7500, 250),
    (8192, 60, 16000, 500),
    (16384, 70, 18000, 750),
    (32767, 80, 20000, 900),
)
_STANDARD_SSD = ((4096, 0, 500, 60), (8192, 0, 2000, 400), (16384, 0, 4000, 600), (32767, 0, 6000, 750))
_STANDARD = ((4096, 0, 500, 60), (8192, 0, 1300, 300), (32767, 0, 2000, 500))
_KINDS = {"Premium": _PREMIUM, "StandardSSD": _STANDARD_SSD, "Standard": _STANDARD}
TIERS = tuple(f"P{number}" for _, number, _, _ in _PREMIUM)


@lru_cache(maxsize=10_000)
def performance_of(sku: str, size_gb: int, tier: str = "") -> Performance:
    """The performance of a disk. tier: a higher tier that its body names, or ""."""
    kind = _KINDS.get(sku.partition("_")[0])
    if kind is None:
        return Performance(0, 0, "")
    row = next((row for row in kind if size_gb <= row[0]), kind[-1])
    if tier:
        row = next((each for each in kind if f"P{each[1]}" == tier), row)
    return Performance(row[2], row[3], f"P{row[1]}" if kind is _PREMIUM else "")
