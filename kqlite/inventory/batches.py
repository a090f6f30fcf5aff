"""Rows in Resource Graph form to record batches of a partition's physical schema, and back.

A row is a decoded JSON object with the members of `tables.COLUMNS`. Members that no column takes are kept in one JSON column, `_other`,
so that what was imported can be exported; a query does not see them.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from kqlite.inventory.documents import Value, decode
from kqlite.inventory.shapes import Draft, arrow_type, converter, duckdb_type, freeze, held_leaves, hold, widen
from kqlite.inventory.tables import COLUMNS, HOT_LEAVES, KEY_COLUMN, SEQUENCE_COLUMN
from kqlite.language.schema import JSON, Array, JsonLeaf, Leaf, Member, Object, Partition, Shape
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

    def widen(self, rows: Sequence[Row], plain: bool = False) -> None:
        """Cover the dynamic columns of `rows`. plain: no string in them has a character that JSON must escape."""
        for name, draft in self.columns.items():
            widen(draft, [row.get(name) for row in rows], plain)
        self.has_other = self.has_other or not set().union(*rows) <= _KNOWN

    def shapes(self, resource_type: str) -> dict[str, Shape]:
        """The shapes of a partition of this type alone, hot leaves held beside."""
        frozen = {name: shape for name, shape in ((name, freeze(draft)) for name, draft in self.columns.items()) if shape is not None}
        held = hold(frozen, HOT_LEAVES.get(resource_type.lower(), ()))
        return held | {OTHER_COLUMN: JSON} if self.has_other else held

    def json_shapes(self) -> dict[str, Shape]:
        """The shapes of a partition shared by many types: JSON wherever there is a value."""
        return dict.fromkeys(self.shapes(""), JSON)


def partition(source: str, shapes: Mapping[str, Shape], types: Iterable[str]) -> Partition:
    """A partition of a resource table."""
    columns = {name: name for name in (*STRINGS, *(name for name in (*DYNAMICS, OTHER_COLUMN) if name in shapes))}
    return Partition(source, columns, dict(shapes), frozenset(types))


@dataclass(frozen=True, slots=True)
class _Physical:
    """A physical column: its name, how rows become its values, its types."""

    name: str
    values: Callable[[Sequence[Row]], list[Value]]
    shape: Shape | None  # None: the sequence number or a string, both NOT NULL

    def arrow(self) -> "pa.DataType":
        import pyarrow as pa

        if self.shape is not None:
            return arrow_type(self.shape)
        return pa.int64() if self.name == SEQUENCE_COLUMN else pa.string()

    def duckdb(self) -> str:
        if self.shape is not None:
            return duckdb_type(self.shape)
        return ("BIGINT" if self.name == SEQUENCE_COLUMN else "VARCHAR") + " NOT NULL"


def _physical(partition: Partition) -> Iterator[_Physical]:
    yield _Physical(KEY_COLUMN, lambda rows: [key_of(row["id"]) for row in rows], None)
    yield _Physical(SEQUENCE_COLUMN, lambda rows: [0] * len(rows), None)
    for name in STRINGS:
        if name in partition.columns:
            yield _Physical(name, _texts(name), None)
    for name, shape in partition.shapes.items():
        yield _Physical(name, _values(_member(name), shape), shape)
        for path, leaf in held_leaves(shape):
            assert leaf.held_in is not None
            yield _Physical(leaf.held_in, _values(_leaf((name, *path)), leaf.shape), leaf.shape)


def columns_of(partition: Partition) -> dict[str, str]:
    """The physical columns of a partition and their DuckDB types, constraints included."""
    return {column.name: column.duckdb() for column in _physical(partition)}


def _texts(name: str) -> Callable[[Sequence[Row]], list[Value]]:
    return lambda rows: [row.get(name) or "" for row in rows]


def _member(name: str) -> Callable[[Row], Value]:
    if name == OTHER_COLUMN:
        return other_members
    return lambda row: row.get(name)


def _leaf(path: Sequence[str]) -> Callable[[Row], Value]:
    def get(row: Row) -> Value:
        value: Value = row
        for name in path:
            if value is None:
                return None
            value = value.get(name)
        return value

    return get


def _values(get: Callable[[Row], Value], shape: Shape) -> Callable[[Sequence[Row]], list[Value]]:
    convert = converter(shape)
    if convert is None:
        return lambda rows: [get(row) for row in rows]
    return lambda rows: [None if value is None else convert(value) for value in map(get, rows)]


class BatchBuilder:
    """Makes record batches of one partition. Every row must have been seen by the `Drafts` that its shapes come from."""

    def __init__(self, partition: Partition) -> None:
        import pyarrow as pa

        self._columns = list(_physical(partition))
        self._types = [column.arrow() for column in self._columns]
        self.schema = pa.schema([pa.field(column.name, type_) for column, type_ in zip(self._columns, self._types, strict=True)])

    def build(self, rows: Sequence[Row], sequences: Sequence[int] | None = None) -> "pa.RecordBatch":
        """One batch of these rows. sequences: the sequence number of each; 0 for imported rows."""
        import pyarrow as pa

        arrays = [pa.array(column.values(rows), type_) for column, type_ in zip(self._columns, self._types, strict=True)]
        if sequences is not None:
            arrays[self.schema.get_field_index(SEQUENCE_COLUMN)] = pa.array(sequences, pa.int64())
        return pa.RecordBatch.from_arrays(arrays, schema=self.schema)


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
