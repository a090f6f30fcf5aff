"""Events folded by resource: of each the newest wins, and what is gone is named.

A resource all of whose changes show in hot leaves alone gets no row, only those leaves.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass, field
from operator import attrgetter
from typing import cast

from kqlite.inventory.shapes.change_batches import Changes
from kqlite.inventory.shapes.documents import Value
from kqlite.inventory.shapes.resource_tables import HOT_LEAVES
from kqlite.orchestration.events import Event, Kind
from kqlite.orchestration.model import State, Type, VmState
from kqlite.snapshotter import resource_health
from kqlite.snapshotter.guest_fields import SlowGuests
from kqlite.snapshotter.hot import HotLeaves
from kqlite.snapshotter.resource_rows import Definitions, Row, id_of, row, table_of, timestamp
from kqlite.snapshotter.row_batches import Shaper

_NOT_PLAIN = re.compile(r'["\\\x00-\x1f]')


@dataclass
class _Sheet:
    """What is to be told of one type: whole rows, hot leaves, deletions."""

    rows: list[Row] = field(default_factory=list)
    sequences: list[int] = field(default_factory=list)
    since: list[int] = field(default_factory=list)
    templates: list[Hashable | None] = field(default_factory=list)
    hot_keys: list[str] = field(default_factory=list)
    hot_sequences: list[int] = field(default_factory=list)
    hot_leaves: list[tuple[Value, ...]] = field(default_factory=list)
    hot_changed: list[int | None] = field(default_factory=list)
    deleted: dict[str, int] = field(default_factory=dict)

    def whole(self, row: Row, sequence: int, since: int, template: Hashable | None) -> None:
        self.rows.append(row)
        self.sequences.append(sequence)
        self.since.append(since)
        self.templates.append(template)

    def hot(self, key: str, sequence: int, leaves: tuple[Value, ...], changed: int | None) -> None:
        self.hot_keys.append(key)
        self.hot_sequences.append(sequence)
        self.hot_leaves.append(leaves)
        self.hot_changed.append(changed)


class Folder:
    """Folds the events of one log.

    definitions: grows as events define more; whoever folds has put in those that the events refer to. slow: the machines that show what
    their guests reported before; None where there are none.
    """

    def __init__(self, definitions: Definitions, slow: SlowGuests | None = None) -> None:
        self._definitions = definitions
        self._slow = slow or SlowGuests(0, definitions)
        self._hot = HotLeaves(definitions)
        self._shapers: dict[str, Shaper] = {}
        self._always_whole: set[str] = set()

    def make_whole(self, resource_type: str) -> None:
        """From now on give whole rows of a type (folded) alone: `HotColumnsMissing` named it."""
        self._always_whole.add(resource_type)

    def fold(self, events: Iterable[Event], complete: bool = True) -> list[Changes]:
        """Changes, one for each type that the events are of; events that come twice or in another order change nothing of it.

        complete: every event of these resources before these has been folded and none is missing among them, so that what is stored of a
        resource is its state before the first. Where that is not so, each resource gets its whole row.
        """
        newest: dict[str, Event] = {}
        since: dict[str, int] = {}
        health_since: dict[str, int] = {}
        changed: dict[str, int] = {}
        touches_hot_alone, move, whole = self._hot.touches_hot_alone, self._hot.move, self._always_whole
        whole_health = not complete or resource_health.TYPE in whole
        for event in events:
            if table_of(event.type) is None:
                continue
            key = self._key(event)
            known = newest.get(key)
            if known is None or known.sequence < event.sequence:
                newest[key] = event
            if not complete or not touches_hot_alone(event) or (whole and event.type.lower() in whole):
                since[key] = max(since.get(key, 0), event.sequence)
            else:
                changed[key] = changed.get(key, 0) | move(event).changed
            if event.type == Type.VM and (
                not complete or event.kind is not Kind.CHANGED or not resource_health.FIELDS.isdisjoint(event.previous)
            ):
                from_whole = 0 if event.kind is Kind.CHANGED and not whole_health else event.sequence
                health_since[key] = max(health_since.get(key, 0), from_whole)
        sheets: dict[str, _Sheet] = defaultdict(_Sheet)
        for key, event in newest.items():
            self._tell(sheets[event.type], event, key, since.get(key, 0), changed.get(key, 0))
            if key in health_since:
                _tell_health(sheets[resource_health.TYPE], event, key, health_since[key])
        return [self._changes(table_of(type_) or resource_health.TABLE, type_.lower(), sheet, complete) for type_, sheet in sheets.items()]

    def fold_released(self, events: Iterable[Event]) -> list[Changes]:
        """Changes of machines whose guests' reports show from now on; of each its last event, which was folded before."""
        sheet = _Sheet()
        for event in events:
            sheet.hot(self._key(event), event.sequence, self._hot.values(event, event.state), None)
        return [self._changes("resources", Type.VM.lower(), sheet, True)] if sheet.hot_keys else []

    def _key(self, event: Event) -> str:
        return (event.scope + event.name).lower() if event.type != Type.LOCK else id_of(event, self._definitions).lower()

    def _tell(self, sheet: _Sheet, event: Event, key: str, since: int, changed: int) -> None:
        if event.kind is Kind.DELETED:
            sheet.deleted[key] = event.sequence
        elif since:
            shown = self._slow.in_row(key, row(event, event.state, self._definitions))
            sheet.whole(shown, event.sequence, since, _template(event))
        else:
            leaves = self._slow.in_leaves(key, self._hot.values(event, event.state))
            # What changed in an event may show with a later one.
            sheet.hot(key, event.sequence, leaves, None if self._slow.is_on else changed)

    def _changes(self, table: str, resource_type: str, sheet: _Sheet, complete: bool) -> Changes:
        import pyarrow as pa

        shaper = self._shapers.get(resource_type)
        if shaper is None:
            shaper = self._shapers[resource_type] = Shaper(resource_type)
        rows = shaper.rows(sheet.rows, sheet.sequences, sheet.templates)
        hot_sheet = (sheet.hot_keys, sheet.hot_sequences, sheet.hot_leaves, sheet.hot_changed)
        hot = shaper.hot_updates(*hot_sheet) if sheet.hot_keys else None
        since = pa.array(sheet.since, pa.int64()) if complete else None
        return Changes(table, resource_type, shaper.shapes, rows, shaper.types, sheet.deleted, since, hot)


_HEALTH_SUFFIX = resource_health.SUFFIX.lower()
_HEALTH_CHANGED = (1 << len(HOT_LEAVES[resource_health.TYPE])) - 1  # nearly always it is both


def _tell_health(sheet: _Sheet, event: Event, key: str, since: int) -> None:
    state = cast("VmState", event.state)
    key += _HEALTH_SUFFIX
    if event.kind is Kind.DELETED:
        sheet.deleted[key] = event.sequence
    elif since:
        sheet.whole(resource_health.health_row(event, state), event.sequence, since, "")
    else:
        sheet.hot(key, event.sequence, (resource_health.availability(state), timestamp(state.changed)), _HEALTH_CHANGED)


_HANGS_ON: dict[str, Callable[[State], Hashable]] = {
    Type.VM: attrgetter("model"),
    Type.NIC: attrgetter("definition"),
    Type.EXTENSION: attrgetter("definition"),
    Type.DISK: attrgetter("os_type"),
    Type.PUBLIC_IP: attrgetter("sku"),
}
"""What the shape of a row hangs on, for types of which a fleet has many: whatever else a state says is in the known shapes."""


def _template(event: Event) -> Hashable | None:
    hangs_on = _HANGS_ON.get(event.type)
    if hangs_on is None or _NOT_PLAIN.search("".join([value for value in event.state if type(value) is str])):
        return None
    return event.scope, hangs_on(event.state)
