"""The answer to a query, as a Python user holds it."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from kqlite.language.plan import Chart
from kqlite.language.schema import Column, Schema, Shape
from kqlite.language.types import UNIX_EPOCH_TICKS, Type

if TYPE_CHECKING:
    import pyarrow as pa

SHOWN_ROWS = 20
"""How many rows `repr` shows."""


@dataclass(frozen=True, slots=True)
class SnapshotInfo:
    """On what a query was answered.

    version: of the catalog. watermark: the time up to which the inventory was complete, None where nothing says so. snapshot_time: when it
    was asked for, by the inventory's clock; the watermark, where more has come in before it was answered. sequence: the last sequence
    number that was in; None where no log feeds the inventory.
    """

    version: int
    watermark: datetime | None
    snapshot_time: datetime
    sequence: int | None = None

    @property
    def lag(self) -> timedelta | None:
        """How old the answer was for who asked at that time."""
        return None if self.watermark is None else self.snapshot_time - self.watermark


class Result:
    """Rows of an answer. Iterating gives each as a dict of Python objects."""

    def __init__(
        self,
        table: "pa.Table",
        schema: Schema,
        shapes: Mapping[str, Shape],
        snapshot: SnapshotInfo,
        seconds: float,
        chart: Chart | None = None,
    ):
        """table: columns in the order of `schema`, under any names, as the engine gives them. shapes: of each dynamic column."""
        self._table = table
        self.schema = schema
        """The columns: `.name`, and `.type`, whose text is the KQL type's name."""
        self._shapes = shapes
        self.snapshot = snapshot
        self.elapsed = timedelta(seconds=seconds)
        self.chart = chart
        """How `render` at the end of the query wants the rows drawn, by `.kind` and `.properties`; None where it says nothing."""

    def to_arrow(self, shaped: bool = False, ticks: bool = False) -> "pa.Table":
        """The rows as an Arrow table, whose schema depends on the query alone.

        A dynamic is JSON text in the type `arrow.json`, a datetime `timestamp[us, UTC]`, a timespan `duration[us]`, a guid a
        string. shaped: a dynamic whose shape is known comes as struct, list or scalar. ticks: datetimes and timespans as exact
        whole numbers of 100 ns.
        """
        import pyarrow as pa

        arrays = [
            _shaped(array, self._shapes[column.name]) if shaped and column.type is Type.DYNAMIC else _arrow(array, column, ticks)
            for array, column in zip(self._table.columns, self.schema, strict=True)
        ]
        return pa.table(arrays, names=self.schema.names())

    def to_pylist(self) -> list[dict[str, Any]]:
        """Each row as a dict: aware datetimes, timedeltas, and of a dynamic what its JSON says."""
        return list(self)

    def __iter__(self) -> Iterator[dict[str, Any]]:  # Any: JSON has every type
        names = self.schema.names()
        dynamic = [column.type is Type.DYNAMIC for column in self.schema]
        for batch in self.to_arrow().to_batches(max_chunksize=4096):
            values = [
                [None if text is None else json.loads(text) for text in column.storage.to_pylist()] if is_dynamic else column.to_pylist()
                for column, is_dynamic in zip(batch.columns, dynamic, strict=True)
            ]
            for row in zip(*values, strict=True):
                yield dict(zip(names, row, strict=True))

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        """The rows for whatever takes Arrow (polars, pandas, DuckDB, pyarrow), as `to_arrow` gives them, without a copy."""
        return self.to_arrow().__arrow_c_stream__(requested_schema)

    @property
    def columns(self) -> Schema:
        """The columns: `.name`, and `.type`, whose text is the KQL type's name."""
        return self.schema

    def __getitem__(self, place: int) -> dict[str, Any]:
        """The row at a place, counted from the end where it is negative."""
        if not -len(self) <= place < len(self):
            raise IndexError(f"row {place} of an answer that has {len(self):,}")
        part = self._table.slice(place % len(self), 1)
        return next(iter(Result(part, self.schema, self._shapes, self.snapshot, 0.0)))

    def one(self) -> dict[str, Any]:
        """The only row. Raises ValueError where there is none, or are several."""
        if len(self) != 1:
            raise ValueError(f"one row was expected, and the answer has {len(self):,}")
        return self[0]

    def scalar(self) -> Any:  # Any: a value of any type
        """The only value of the only row. Raises ValueError where there are others."""
        if len(self.schema) != 1:
            raise ValueError(f"one column was expected, and the answer has {len(self.schema)}")
        [value] = self.one().values()
        return value

    def physical(self) -> "tuple[pa.Table, Mapping[str, Shape]]":
        """What the result was made from: the engine's own table, and the shapes. `sharing` hands them on."""
        return self._table, self._shapes

    def __len__(self) -> int:
        rows: int = self._table.num_rows
        return rows

    def __repr__(self) -> str:
        from kqlite.formats import format_table

        shown = format_table(self, limit=SHOWN_ROWS)
        return shown if len(self) <= SHOWN_ROWS else f"{shown}\n({SHOWN_ROWS} of {len(self)} rows)"


def _arrow(array: "pa.ChunkedArray", column: Column, ticks: bool) -> "pa.ChunkedArray":
    """A column of the engine's answer in the Arrow type of its KQL type."""
    import pyarrow as pa

    match column.type:
        case Type.DATETIME if not ticks:
            import pyarrow.compute as pc

            # Ticks since year 1 are never negative, so cutting is rounding down.
            microseconds = pc.subtract(pc.divide(array.cast(pa.int64()), 10), UNIX_EPOCH_TICKS // 10)
            return microseconds.cast(pa.timestamp("us", tz="UTC"))
        case Type.TIMESPAN if not ticks:
            import pyarrow.compute as pc

            return pc.divide(array.cast(pa.int64()), 10).cast(pa.duration("us"))
        case Type.DYNAMIC:
            json_type = pa.json_(pa.string())
            chunks = [pa.ExtensionArray.from_storage(json_type, _text(chunk)) for chunk in array.chunks]
            return pa.chunked_array(chunks, type=json_type)
        case _:
            return _cast(array, _arrow_type(column.type))


def _text(array: "pa.Array") -> "pa.Array":
    import pyarrow as pa

    storage = array.storage if isinstance(array, pa.ExtensionArray) else array
    return _cast(storage, pa.string())


def _cast(array: "Any", type_: "pa.DataType") -> "Any":  # Any: an Array gives an Array, a ChunkedArray a ChunkedArray
    # The first cast of a process loads all of `pyarrow.compute`, which takes 15 ms.
    return array if array.type == type_ else array.cast(type_)


def _arrow_type(type_: Type) -> "pa.DataType":
    import pyarrow as pa

    return {
        Type.BOOL: pa.bool_(),
        Type.INT: pa.int32(),
        Type.LONG: pa.int64(),
        Type.REAL: pa.float64(),
        Type.DECIMAL: pa.decimal128(38, 0),
        Type.STRING: pa.string(),
        Type.GUID: pa.string(),
        Type.DATETIME: pa.int64(),
        Type.TIMESPAN: pa.int64(),
    }[type_]


def _shaped(array: "pa.ChunkedArray", shape: Shape) -> "pa.ChunkedArray":
    """JSON text in the Arrow type of its shape; where the shape is JSON, as it is."""
    import pyarrow as pa

    from kqlite.inventory.shapes.shapes import arrow_type, arrow_value, whole

    shape = whole(shape)
    texts = [text for chunk in array.chunks for text in _text(chunk).to_pylist()]
    values = [None if text is None else arrow_value(json.loads(text), shape) for text in texts]
    return pa.chunked_array([pa.array(values, arrow_type(shape))])
