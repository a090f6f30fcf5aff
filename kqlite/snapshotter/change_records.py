"""Each event to its row of `resourcechanges`, before anything is folded: what was changed, from what to what, when and by whom.

There is a record of every event of a resource, also of one that shows in no property: it has no `changes` then. The snapshot ids chain
the records of a resource: the new one of a version is the previous one of the next.

Source: Azure Resource Graph docs, "Get resource changes" and "Analyze changes to your Azure resources".
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from operator import itemgetter
from typing import TYPE_CHECKING, Any

from kqlite.inventory.shapes.batches import key_of
from kqlite.inventory.shapes.change_batches import Records
from kqlite.inventory.shapes.documents import Value, ordered
from kqlite.inventory.shapes.resource_tables import KEY_COLUMN, SEQUENCE_COLUMN
from kqlite.orchestration.chance import derived_hex
from kqlite.orchestration.clock import to_datetime
from kqlite.orchestration.events import USERS, Event, Kind
from kqlite.orchestration.model import Type
from kqlite.snapshotter.hot import NAME, HotLeaves, Move
from kqlite.snapshotter.resource_rows import TENANT, Definitions, Row, id_of, row_before, row_of, scope_of, table_of, timestamp
from kqlite.snapshotter.row_batches import Shaper

if TYPE_CHECKING:
    import pyarrow as pa

TYPE = "microsoft.resources/changes"

TABLES = ("resourcechanges", "resourcecontainerchanges")
"""The tables that records go to."""

_TABLES = {"resourcecontainers": "resourcecontainerchanges"}
_WORDS = {Kind.CREATED: "Create", Kind.CHANGED: "Update", Kind.DELETED: "Delete"}
_NOBODY = "00000000-0000-0000-0000-000000000000"
_COMPARED = ("kind", "location", "managedBy", "sku", "plan", "properties", "tags", "identity", "zones", "extendedLocation")
_NAMESPACES = {"subscriptions": "microsoft.resources/", "resourceGroups": "microsoft.resources/subscriptions/"} | {
    type_.split("/")[1]: type_.partition("/")[0].lower() + "/" for type_ in Type if type_.count("/") == 1 and type_.startswith("Microsoft.")
}
"""What stands before a request's cause in the name of an Azure operation, by the first word of the cause."""


_FIELDS = (
    *(SEQUENCE_COLUMN, "name", "resourceGroup", "subscriptionId"),
    *("targetResourceId", "targetResourceType", "changeType", "changes", "timestamp", "correlationId", "changesCount"),
    *("previousResourceSnapshotId", "newResourceSnapshotId", "changedBy", "changedByType", "operation"),
)
"""What one record differs from others in, by column or leaf; its id follows from two of them."""

_NAME = ordered(NAME)
_MOST_MOVES = 10_000

_CONSTANTS = {"type": TYPE, "tenantId": TENANT, "clientType": "Unspecified"}


class ChangeRecords:
    """Makes the records of one log's events.

    definitions: grows as events define more; whoever asks has put in those that the events refer to.
    """

    def __init__(self, definitions: Definitions) -> None:
        self._definitions = definitions
        self._hot = HotLeaves(definitions)
        self._shaper = Shaper(TYPE)
        self._moves: dict[tuple[Move, str], tuple[str, int]] = {}

    def of(self, events: Iterable[Event]) -> list[Records]:
        """One record of each event of a resource, by the table that takes them."""
        by_table: dict[str, list[tuple[Any, ...]]] = defaultdict(list)
        last: dict[str, int] = {}
        for event in events:
            table = table_of(event.type)
            if table is not None:
                name = TABLES[table == "resourcecontainers"]
                by_table[name].append(self._record(event))
                last[name] = max(last.get(name, 0), event.time)
        shaper = self._shaper
        return [
            Records(table, TYPE, shaper.shapes, _batch(shaper.schema, records), shaper.types, to_datetime(last[table]))
            for table, records in by_table.items()
        ]

    def _record(self, event: Event) -> tuple[Any, ...]:
        """The values of `_FIELDS`."""
        scope = scope_of(event.scope)
        kind, version = event.kind, event.version
        type_, word, category, operation = _terms(event.type, kind, event.actor, event.cause)
        changes, count = self._changes(event, category) if kind is Kind.CHANGED else (None, 0)
        resource = _snapshot(event)
        return (
            event.sequence,
            f"{event.sequence:020d}",
            scope.group or (event.name.lower() if event.type == Type.GROUP else ""),
            scope.subscription or event.name,
            event.scope + event.name if event.type != Type.LOCK else id_of(event, self._definitions),
            type_,
            word,
            changes,
            timestamp(event.time),
            event.operation or _NOBODY,
            count,
            None if kind is Kind.CREATED else f"{resource}{version - 1:08x}",
            None if kind is Kind.DELETED else f"{resource}{version:08x}",
            event.actor,
            category,
            operation,
        )

    def _changes(self, event: Event, category: str) -> tuple[str, int]:
        """`changes` as JSON text, and how many there are."""
        if not self._hot.tells_all(event):
            changed = _differences(row_before(event, self._definitions), row_of(event, self._definitions))
            return _members(changed, category), len(changed)
        move = self._hot.move(event)
        known = self._moves.get((move, category))
        if known is None:
            if len(self._moves) > _MOST_MOVES:
                self._moves.clear()
            known = self._moves[move, category] = _members(move.differences, category), len(move.differences)
        if move.name_at < 0:
            return known
        text, count = known
        return text.replace(_NAME, ordered(self._hot.name(event))), count


def _snapshot(event: Event) -> str:
    """What the ids of all snapshots of a resource begin with, from its creation until it is deleted."""
    uid = getattr(event.state, "uid", None)
    if uid is None:
        return f"{derived_hex(0, event.id.lower())[:16]}_"
    return f"{uid:016x}_{_TYPE_MARKS[event.type]}_"


_TYPE_MARKS = {type_: derived_hex(0, type_)[:4] for type_ in map(str, Type)}
"""A machine's disks and interfaces have unique numbers near its own, so the number alone does not say which resource it is."""


@lru_cache(maxsize=10_000)
def _terms(type_: str, kind: Kind, actor: str, cause: str) -> tuple[str, str, str, str]:
    """Type, kind of change, category and operation as a record names them."""
    return type_.lower(), _WORDS[kind], "User" if actor in USERS else "System", _operation(cause, type_, kind)


def _operation(cause: str, type_: str, kind: Kind) -> str:
    """The Azure operation: of a request its own, of a step of the platform the one that it stands for."""
    namespace = _NAMESPACES.get(cause.partition("/")[0])
    if namespace is not None and "/" in cause:
        return namespace + cause.lower()
    if cause.startswith("Microsoft."):
        return cause.lower()
    return f"{type_.lower()}/{'delete' if kind is Kind.DELETED else 'write'}"


def _member(path: str, was: Value, now: Value, category: str) -> str:
    """A member of `changes`, as `ordered` writes documents.

    was, now: None where the property is absent; what is inserted had the previous value "null".
    """
    kind = "Insert" if was is None else "Remove" if now is None else "Update"
    new = "" if now is None else f'"newValue":{ordered(now)},'
    previous = ordered("null" if was is None else was)
    return f'{ordered(path)}:{{"changeCategory":"{category}",{new}"previousValue":{previous},"propertyChangeType":"{kind}"}}'


def _members(changed: Iterable[tuple[str, Value, Value]], category: str) -> str:
    return f"{{{','.join([_member(path, was, now, category) for path, was, now in sorted(changed, key=itemgetter(0))])}}}"


def _differences(before: Row | None, after: Row | None) -> list[tuple[str, Value, Value]]:
    """Path, value before and value after of every property in which two rows differ."""
    old, new = _flat(before), _flat(after)
    paths = dict.fromkeys((*old, *new))
    return [(path, old.get(path), new.get(path)) for path in paths if _differs(old.get(path), new.get(path))]


def _differs(was: Value, now: Value) -> bool:
    # To Python 1 is True and 1.0 besides.
    return type(was) is not type(now) or was != now


def _flat(row: Row | None) -> dict[str, Value]:
    """The properties of a row by path; an empty object or array is one, but for empty tags, which are none."""
    found: dict[str, Value] = {}
    for column in _COMPARED if row is not None else ():
        value = (row or {}).get(column)
        if value not in (None, "", {}):
            found.update(_leaves(column, value))
    return found


def _leaves(path: str, value: Value) -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict) and value:
        for name, member in value.items():
            yield from _leaves(f"{path}.{name}", member)
    elif isinstance(value, list) and value:
        for index, element in enumerate(value):
            yield from _leaves(f"{path}[{index}]", element)
    elif value is not None:
        yield path, value


def _batch(schema: pa.Schema, records: Sequence[tuple[Any, ...]]) -> pa.RecordBatch:
    import pyarrow as pa
    from pyarrow import compute

    values: dict[str, Any] = dict(zip(_FIELDS, zip(*records, strict=True), strict=True))
    target, name = (pa.array(values[field], pa.string()) for field in ("targetResourceId", "name"))
    values["id"] = id_ = compute.binary_join_element_wise(target, "providers/Microsoft.Resources/changes", name, "/")
    # Only there do both fold in the same way.
    is_ascii = compute.all(compute.string_is_ascii(id_)).as_py()
    values[KEY_COLUMN] = compute.ascii_lower(id_) if is_ascii else [key_of(each) for each in id_.to_pylist()]
    return pa.RecordBatch.from_arrays([_array(field, values, len(records)) for field in schema], schema=schema)


def _array(field: pa.Field, values: Mapping[str, Sequence[Any]], count: int) -> pa.Array:
    """A column, or a member of a struct: its values by its own name, which is nowhere else in the record."""
    import pyarrow as pa

    if pa.types.is_struct(field.type):
        members = list(field.type)
        return pa.StructArray.from_arrays([_array(member, values, count) for member in members], fields=members)
    if field.name in values:
        return pa.array(values[field.name], field.type)
    return pa.repeat(pa.scalar(_CONSTANTS.get(field.name, ""), field.type), count)
