"""What a machine's guest reports, shown later than the rest of its row.

Source: Azure Resource Graph docs, "Fields with slow updates": `osName`, `osVersion` and `computerName` of a machine's instance view.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable
from dataclasses import dataclass

from kqlite.inventory.shapes.documents import Value
from kqlite.inventory.shapes.resource_tables import HOT_LEAVES
from kqlite.orchestration.events import Event, Kind
from kqlite.orchestration.log import EventLog
from kqlite.orchestration.model import Type
from kqlite.snapshotter.hot import HotLeaves, Leaves
from kqlite.snapshotter.resource_rows import Definitions, Row

_PATHS = HOT_LEAVES[Type.VM.lower()]
_NAMES = ("computerName", "osName", "osVersion")
_AT = [_PATHS.index(f"properties.extended.instanceView.{name}") for name in _NAMES]
_PAGE = 10_000


@dataclass
class _Waiting:
    """A machine whose guest has reported something that does not show yet. due: when it does. newest: the machine's last event."""

    shown: tuple[Value, ...]
    due: int
    newest: Event


class SlowGuests:
    """The machines whose rows show what their guests reported before.

    slow: microseconds by which it shows later. definitions: grows as events define more.
    """

    def __init__(self, slow: int, definitions: Definitions) -> None:
        self._slow = slow
        self._leaves = HotLeaves(definitions)
        self._waiting: dict[str, _Waiting] = {}
        self._due: list[tuple[int, str]] = []

    @property
    def is_on(self) -> bool:
        """Whether there can be such machines."""
        return self._slow > 0

    def learn(self, events: Iterable[Event]) -> None:
        """Events that show now, in order."""
        if not self._slow:
            return
        for event in events:
            if event.type == Type.VM:
                self._learn(event, event.id.lower())

    def _learn(self, event: Event, key: str) -> None:
        waiting = self._waiting.get(key)
        before = event.before
        if before is None or event.kind is Kind.DELETED:
            self._waiting.pop(key, None)
            return
        was, now = self._guest(self._leaves.values(event, before)), self._guest(self._leaves.values(event, event.state))
        if was != now:
            due = event.time + self._slow
            self._waiting[key] = _Waiting(was if waiting is None else waiting.shown, due, event)
            heapq.heappush(self._due, (due, key))
        elif waiting is not None:
            waiting.newest = event

    def release(self, now: int) -> list[Event]:
        """The last events of machines that show all of their guests' reports from now on."""
        released: list[Event] = []
        while self._due and self._due[0][0] <= now:
            _, key = heapq.heappop(self._due)
            waiting = self._waiting.get(key)
            if waiting is not None and waiting.due <= now:
                released.append(self._waiting.pop(key).newest)
        return released

    def recall(self, log: EventLog, offset: int, time: int) -> None:
        """Find out again who is waiting, for a store that has come to this event, which happened at `time`."""
        if not self._slow:
            return
        sequence = _first_after(log, offset, time - self._slow) - 1
        while sequence < offset:
            events = [event for event in log.read(sequence, _PAGE) if event.sequence <= offset]
            self.learn(events)
            sequence = events[-1].sequence

    @staticmethod
    def _guest(leaves: Leaves) -> tuple[Value, ...]:
        return tuple(leaves[at] for at in _AT)

    def in_leaves(self, key: str, leaves: Leaves) -> Leaves:
        """A machine's hot leaves as they show now."""
        waiting = self._waiting.get(key)
        if waiting is None:
            return leaves
        shown = list(leaves)
        for at, value in zip(_AT, waiting.shown, strict=True):
            shown[at] = value
        return tuple(shown)

    def in_row(self, key: str, row: Row) -> Row:
        """A machine's row as it shows now; changes it."""
        waiting = self._waiting.get(key)
        if waiting is not None:
            view = row["properties"]["extended"]["instanceView"]
            view.update(zip(_NAMES, waiting.shown, strict=True))
        return row


def _first_after(log: EventLog, last: int, time: int) -> int:
    """The first event of those up to `last` that happened after `time`, or the one after them."""
    low, high = 1, last + 1
    while low < high:
        middle = (low + high) // 2
        if log.at([middle])[0].time > time:
            high = middle
        else:
            low = middle + 1
    return low
