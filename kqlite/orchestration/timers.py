"""Timers: who wakes when.

A timer is only a hint. The state of its resource holds the time that counts, and a timer whose time is not that one is stale and
is dropped when it comes up; so cancelling costs nothing, and after a restart the timers are made again from the states.
"""

from __future__ import annotations

from enum import IntEnum
from heapq import heapify, heappop, heappush
from typing import NamedTuple


class Wake(IntEnum):
    """What a timer wakes; within one instant, lower numbers go first: faults, transitions, controllers, autoscale, activity."""

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
    """A wake-up call. Equal times and kinds go by the resource's unique number, so that a restart keeps the order."""

    due: int
    wake: int
    uid: int
    group: str
    name: str


_SHIFT = 17  # a bucket holds 131 milliseconds


class Timers:
    """The timers, in buckets of time: only the bucket that is open is a heap, so a million of them cost little more than a few."""

    __slots__ = ("_buckets", "_keys", "_open", "_open_key")

    def __init__(self) -> None:
        self._buckets: dict[int, list[Timer]] = {}
        self._keys: list[int] = []
        self._open: list[Timer] = []
        self._open_key = -1

    def __len__(self) -> int:
        return len(self._open) + sum(len(bucket) for bucket in self._buckets.values())

    def add(self, due: int, wake: int, uid: int, group: str, name: str) -> None:
        """Wake this resource at `due`."""
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
        """The time of the earliest timer, stale ones included; None where there is none."""
        if not self._open and self._keys:
            self._open_key = heappop(self._keys)
            self._open = self._buckets.pop(self._open_key)
            heapify(self._open)
        return self._open[0].due if self._open else None

    def pop(self, until: int) -> Timer | None:
        """The earliest timer that is due at `until` or before; None where there is none."""
        due = self.next_due()
        return heappop(self._open) if due is not None and due <= until else None

    def clear(self) -> None:
        """Forget everything."""
        self._buckets.clear()
        self._keys.clear()
        self._open, self._open_key = [], -1
