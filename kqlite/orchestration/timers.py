"""Timers: which controller wakes for which resource, and when.

A timer is only a hint. The resource's state holds the time that counts, in a field such as `due`. A controller ignores a timer whose time
differs from that field. So cancelling a timer costs nothing, and a restart makes the timers again from the states.

    VmState.due  timers of the VM  at 10:00                     at 10:05
    10:00        10:00             the step ends
    10:05        10:00, 10:05      ignored: `due` is 10:05      the step ends
    0            10:00             ignored: no step runs
"""

from __future__ import annotations

from enum import IntEnum
from heapq import heapify, heappop, heappush
from typing import NamedTuple


class Wake(IntEnum):
    """The controller that a timer wakes. Of timers with equal times, the lower number goes first."""

    FAULT = 0
    VM = 1
    HEALTH = 2
    FEATURE = 3
    PROVIDER = 4
    GROUP = 5
    SCALE_SET = 6
    REPAIR = 7
    SPOT = 8
    RESTORE = 9
    AUTOSCALE = 10
    ACTIVITY = 11
    RETURN = 12


class Timer(NamedTuple):
    """A wake-up call. Timers sort by time, then controller, then the resource's `uid`, so that a restart keeps the order.

    Args:
        due: When the controller wakes.
        wake: The controller, a `Wake`.
        uid: Unique number of the resource.
        group: Key of the container that holds the resource.
        name: Name of the resource, in lower case.
    """

    due: int
    wake: int
    uid: int
    group: str
    name: str


_SHIFT = 17  # a bucket holds 131 milliseconds


class Timers:
    """The timers, in buckets of time. Only the earliest bucket is a heap, so a million timers cost little more than a few."""

    __slots__ = ("_buckets", "_keys", "_open", "_open_key")

    def __init__(self) -> None:
        self._buckets: dict[int, list[Timer]] = {}
        self._keys: list[int] = []
        self._open: list[Timer] = []
        self._open_key = -1

    def __len__(self) -> int:
        return len(self._open) + sum(len(bucket) for bucket in self._buckets.values())

    def add(self, due: int, wake: int, uid: int, group: str, name: str) -> None:
        """Add a timer. Arguments as for `Timer`."""
        key = due >> _SHIFT
        timer = Timer(due, wake, uid, group, name)
        if key <= self._open_key:
            heappush(self._open, timer)
            return
        bucket = self._buckets.get(key)
        if bucket is None:
            self._buckets[key] = [timer]
            heappush(self._keys, key)
        else:
            bucket.append(timer)

    def next_due(self) -> int | None:
        """The time of the earliest timer, stale timers included; None without timers."""
        if not self._open and self._keys:
            self._open_key = heappop(self._keys)
            self._open = self._buckets.pop(self._open_key)
            heapify(self._open)
        return self._open[0].due if self._open else None

    def pop(self, until: int) -> Timer | None:
        """Remove and return the earliest timer that is due at `until` or before; None without such a timer."""
        due = self.next_due()
        return heappop(self._open) if due is not None and due <= until else None

    def clear(self) -> None:
        """Remove all timers."""
        self._buckets.clear()
        self._keys.clear()
        self._open, self._open_key = [], -1
