"""One heap of timers: who wakes when.

A timer is only a hint. The image of its resource holds the time that counts, and a timer whose time is not that one is stale and
is dropped when it comes up; so cancelling costs nothing, and after a restart the heap is made again from the images.
"""

from __future__ import annotations

from enum import IntEnum
from heapq import heapify, heappop, heappush
from typing import NamedTuple


class Wake(IntEnum):
    """What a timer wakes; within one instant, lower numbers go first: faults, transitions, controllers, autoscale."""

    FAULT = 0
    VM = 1
    HEALTH = 2
    FEATURE = 3
    PROVIDER = 4
    GROUP = 5
    SCALE_SET = 6
    REPAIR = 7
    SPOT = 8
    AUTOSCALE = 9


class Timer(NamedTuple):
    """A wake-up call. Equal times and kinds go by the resource's unique number, so that a restart keeps the order."""

    due: int
    wake: int
    uid: int
    group: str
    name: str


class Timers:
    """The heap."""

    __slots__ = ("_heap",)

    def __init__(self) -> None:
        self._heap: list[Timer] = []

    def __len__(self) -> int:
        return len(self._heap)

    def add(self, due: int, wake: int, uid: int, group: str, name: str) -> None:
        """Wake this resource at `due`."""
        heappush(self._heap, Timer(due, wake, uid, group, name))

    def next_due(self) -> int | None:
        """The time of the earliest timer, stale ones included; None where there is none."""
        return self._heap[0].due if self._heap else None

    def pop(self, until: int) -> Timer | None:
        """The earliest timer that is due at `until` or before; None where there is none."""
        if self._heap and self._heap[0].due <= until:
            return heappop(self._heap)
        return None

    def replace(self, timers: list[Timer]) -> None:
        """Forget everything and hold these."""
        self._heap = timers
        heapify(self._heap)
