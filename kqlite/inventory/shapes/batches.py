"""Rows in Resource Graph form to record batches of a partition's physical schema, and back.

A row is a decoded JSON object with the members of `tables.COLUMNS`. Members that no column takes are kept in one JSON column, `_other`,
so that what was imported can be exported; a query does not see them.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from kqlite.inventory.shapes.columns import ColumnBuilder, marked_array
from kqlite.inventory.shapes.documents import Value, decode
from kqlite.inventory.shapes.incremental import cover
from kqlite.inventory.shapes.resource_tables import COLUMNS, HOT_LEAVES, KEY_COLUMN, SEQUENCE_COLUMN
from kqlite.inventory.shapes.shapes import Draft, Kind, arrow_type, duckdb_type, freeze, hold, separate_members, widen
from kqlite.language.schema import Array, JsonLeaf, Leaf, Member, Object, Partition, Shape
from kqlite.language.types import Type

if TYPE_CHECKING:
    import pyarrow as pa

Row = Mapping[str, Value]

OTHER_COLUMN = "_other"
"""Members of a row that are no columns of a resource table, as one JSON object."""

STRINGS = tuple(column.name for column in COLUMNS if column.type is Type.STRING)
DYNAMICS = tuple(column.name for column in COLUMNS if column.type is Type.DYNAMIC)
_KNOWN = frozenset(COLUMNS.names())
_REQUIRED = ("id", "type")
_TEXT_OR_NOTHING = frozenset((str, type(None)))


def key_of(identifier: str) -> str:
    """What a row is replaced by: its id without regard to case."""
    return identifier.lower()


def fault_of(row: Value) -> str | None:
    """Why this value is no row of a resource table, or None where it is one."""
    if type(row) is not dict:
        return "not a JSON object"
    for name in STRINGS:
        value = row.get(name)
        if value is not None and type(value) is not str:
            return f"`{name}` is not a text"
    for name in _REQUIRED:
        if not row.get(name):
            return f"`{name}` is missing or empty"
    return None


def first_fault(rows: Sequence[Value]) -> tuple[int, str] | None:
    """The index of the first value that is no row of a resource table, and why; None where all are rows."""
    if set(map(type, rows)) == {dict}:
        are_texts = (_TEXT_OR_NOTHING.issuperset(map(type, [row.get(name) for row in rows])) for name in STRINGS)
        if all(are_texts) and all(row.get(name) for name in _REQUIRED for row in rows):
            return None
    return next(((index, fault) for index, row in enumerate(rows) if (fault := fault_of(row)) is not None), None)


def other_members(row: Row) -> dict[str, Value] | None:
    """The members that no column takes, or None where there are none."""
    if row.keys() <= _KNOWN:
        return None
    return {name: value for name, value in row.items() if name not in _KNOWN and value is not None} or None


class Drafts:
    """The shapes of one type's dynamic columns in the making."""

    def __init__(self, known: Mapping[str, Draft] | None = None) -> None:
        self.columns = {name: Draft() for name in DYNAMICS} | dict(known or {})
        self.has_other = False
        self.other = Draft()
        self.other.become_json()

    def widen(self, rows: Sequence[Row], plain: bool = False) -> None:
        """Cover the dynamic columns of `rows`. plain: no string in them has a character that JSON must escape."""
        if not rows:
            return
        for name, draft in self.columns.items():
            widen(draft, [row.get(name) for row in rows], plain)
        if not set().union(*rows) <= _KNOWN:
            self.has_other = True
            widen(self.other, [other_members(row) for row in rows])

    def cover(self, other: "Drafts") -> None:
        """Cover what other drafts have seen."""
        for name, draft in self.columns.items():
            cover(draft, other.columns[name])
        self.has_other = self.has_other or other.has_other
        cover(self.other, other.other)

    def shapes(self, resource_type: str) -> dict[str, Shape]:
        """The shapes of a partition of this type alone, hot leaves held beside."""
        frozen = {name: shape for name, shape in ((name, freeze(draft)) for name, draft in self.columns.items()) if shape is not None}
        held = hold(frozen, HOT_LEAVES.get(resource_type.lower(), ()))
        return held | {OTHER_COLUMN: JsonLeaf(self.other.plain)} if self.has_other else held

    def json_shapes(self) -> dict[str, Shape]:
        """The shapes of a partition shared by many types: JSON wherever there is a value."""
        columns = self.columns | {OTHER_COLUMN: self.other} if self.has_other else self.columns
        return {name: JsonLeaf(draft.is_plain_as_json(), ordered=True) for name, draft in columns.items() if draft.kind is not Kind.NOTHING}


def partition(source: str, shapes: Mapping[str, Shape], types: Iterable[str]) -> Partition:
    """A partition of a resource table."""
    columns = {name: name for name in (*STRINGS, *(name for name in (*DYNAMICS, OTHER_COLUMN) if name in shapes))}
    return Partition(source, columns, dict(shapes), frozenset(types))


def columns_of(partition: Partition) -> dict[str, str]:
    """The physical columns of a partition and their DuckDB types; those before the first dynamic one are never null."""
    columns = {KEY_COLUMN: "VARCHAR", SEQUENCE_COLUMN: "BIGINT"}
    columns |= {name: "VARCHAR" for name in STRINGS if name in partition.columns}
    for name, shape in partition.shapes.items():
        columns[name] = duckdb_type(shape)
        columns |= {leaf.held_in: duckdb_type(leaf.shape) for _, leaf in separate_members(shape) if leaf.held_in is not None}
    return columns


def _arrow_columns(partition: Partition) -> "dict[str, pa.DataType]":
    import pyarrow as pa

    columns = {KEY_COLUMN: pa.string(), SEQUENCE_COLUMN: pa.int64()}
    columns |= {name: pa.string() for name in STRINGS if name in partition.columns}
    for name, shape in partition.shapes.items():
        columns[name] = arrow_type(shape)
        columns |= {leaf.held_in: arrow_type(leaf.shape) for _, leaf in separate_members(shape) if leaf.held_in is not None}
    return columns


class BatchBuilder:
    """Makes record batches of one partition. Every row must have been seen by the `Drafts` that its shapes come from."""

    def __init__(self, partition: Partition) -> None:
        import pyarrow as pa

        self._strings = [name for name in STRINGS if name in partition.columns]
        self._dynamics = {name: ColumnBuilder(name, shape) for name, shape in partition.shapes.items()}
        self.schema = pa.schema(list(_arrow_columns(partition).items()))

    def build(self, rows: Sequence[Row], sequences: Sequence[int] | None = None) -> "pa.RecordBatch":
        """One batch of these rows. sequences: the sequence number of each; 0 for imported rows."""
        import pyarrow as pa

        arrays = {KEY_COLUMN: pa.array([key_of(row["id"]) for row in rows], pa.string())}
        arrays[SEQUENCE_COLUMN] = pa.array([0] * len(rows) if sequences is None else sequences, pa.int64())
        for name in self._strings:
            arrays[name] = pa.array([row.get(name) or "" for row in rows], pa.string())
        for name, builder in self._dynamics.items():
            arrays |= builder.build([other_members(row) for row in rows] if name == OTHER_COLUMN else [row.get(name) for row in rows])
        return pa.RecordBatch.from_arrays([arrays[name] for name in self.schema.names], schema=self.schema)


def documents(batch: "pa.RecordBatch | pa.Table", partition: Partition) -> Iterator[dict[str, Value]]:
    """The rows of a batch of this partition's physical schema as they came, without null members; every string column is there."""
    physical = {name: batch.column(name).to_pylist() for name in batch.schema.names}
    for index in range(batch.num_rows):
        row: dict[str, Value] = {name: physical[name][index] for name in STRINGS if name in partition.columns}
        for name, shape in partition.shapes.items():
            value = _restored(physical[name][index], shape, physical, index)
            if value is None:
                continue
            if name == OTHER_COLUMN:
                row.update(value)
            else:
                row[name] = value
        yield row


def _restored(value: Value, shape: Shape, physical: Mapping[str, list[Value]], index: int) -> Value:
    if value is None:
        return None
    match shape:
        case JsonLeaf():
            return decode(value)
        case Leaf():
            return value
        case Array():
            return [_restored(element, shape.element, physical, index) for element in value]
        case Object():
            members = ((member.name, _restored_member(value, member, physical, index)) for member in shape.members)
            return {name: member for name, member in members if member is not None}


def _restored_member(value: dict[str, Value], member: Member, physical: Mapping[str, list[Value]], index: int) -> Value:
    inner = value[member.name] if member.held_in is None else physical[member.held_in][index]
    return _restored(inner, member.shape, physical, index)


def marked(batch: "pa.RecordBatch", partition: Partition) -> "pa.RecordBatch":
    """A batch of this partition with its JSON as `arrow.json`, so that DuckDB scans the types that the partition's table would have."""
    import pyarrow as pa

    columns = dict(zip(batch.schema.names, batch.columns, strict=True))
    for name, shape in partition.shapes.items():
        columns[name] = marked_array(columns[name], shape)
        for _, leaf in separate_members(shape):
            if leaf.held_in is not None:
                columns[leaf.held_in] = marked_array(columns[leaf.held_in], leaf.shape)
    return pa.RecordBatch.from_arrays(list(columns.values()), list(columns))
