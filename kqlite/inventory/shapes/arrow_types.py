"""What Arrow's types mean in KQL, and how a given table is brought into the catalog's forms.

Struct, list, map and `arrow.json` are dynamic; timestamps, dates and durations of any unit are ticks; integers up to 32 bits are int, int64
is long, floats are real, dictionaries what they hold. uint64, decimal, binary and the rest are refused by name.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any

from kqlite.inventory.shapes.documents import DocumentError, InventoryError, Value, decode, ordered
from kqlite.inventory.shapes.shapes import EMPTY_FIELD, duckdb_type
from kqlite.inventory.shapes.sql_text import identifier
from kqlite.language.schema import JSON, ORDERED_JSON, Array, Column, Leaf, Member, Object, Schema, Shape
from kqlite.language.types import TICKS_PER_DAY, TICKS_PER_SECOND, UNIX_EPOCH_TICKS, Type

if TYPE_CHECKING:
    import pyarrow as pa

_TICKS = {"s": TICKS_PER_SECOND, "ms": TICKS_PER_SECOND // 1_000, "us": TICKS_PER_SECOND // 1_000_000}
_NANOSECONDS_PER_TICK = 100


@dataclass(frozen=True)
class Normalised:
    """A given table in the catalog's forms.

    table: what to register with DuckDB; its columns are named `c0`, `c1`, ..: KQL's names may differ in case alone, DuckDB's may not.
    columns: as KQL sees them, in order.
    physical: the physical column of each.
    shapes: of the dynamic columns.
    selections: SQL over `table`, one for each physical column.
    """

    table: "pa.Table"
    columns: Schema
    physical: dict[str, str]
    shapes: dict[str, Shape]
    selections: dict[str, str]

    def select(self, source: str) -> str:
        """The query that gives the physical columns from `table`, registered as `source`."""
        listed = ", ".join(f"{expression} AS {identifier(name)}" for name, expression in self.selections.items())
        return f"SELECT {listed} FROM {identifier(source)}"


def normalise(table: "pa.Table", known: Schema | None = None) -> Normalised:
    """What `table` means in KQL. known: the columns whose type is fixed, because this stands for a resource table.

    Raises InventoryError for a type that KQL has no form for.
    """
    import pyarrow as pa

    names = table.schema.names
    if not names:
        raise InventoryError("a table needs at least one column")
    if len(set(names)) < len(names):
        raise InventoryError("two columns of the table have the same name")
    forms = [_column_form(name, column, known) for name, column in zip(names, table.columns, strict=True)]
    physical = {name: f"c{index}" for index, name in enumerate(names)}
    return Normalised(
        pa.table([form.data for form in forms], names=list(physical.values())),
        Schema(Column(name, form.type, _is_hidden(name, known)) for name, form in zip(names, forms, strict=True)),
        physical,
        {name: form.shape for name, form in zip(names, forms, strict=True) if form.shape is not None},
        {column: form.expression(identifier(column)) for column, form in zip(physical.values(), forms, strict=True)},
    )


def _is_hidden(name: str, known: Schema | None) -> bool:
    column = None if known is None else known.find(name)
    return column is not None and column.hidden


def _itself(column: str) -> str:
    return column


@dataclass(frozen=True, slots=True)
class _Form:
    """data: the column's values as DuckDB shall scan them; expression: SQL that gives the physical value."""

    type: Type
    data: "pa.ChunkedArray"
    expression: Callable[[str], str] = field(default=_itself)
    shape: Shape | None = None


def _column_form(name: str, data: "pa.ChunkedArray", known: Schema | None) -> _Form:
    import pyarrow as pa

    if pa.types.is_dictionary(data.type):
        data = data.cast(data.type.value_type)
    declared = None if known is None else known.find(name)
    if declared is not None and declared.type is Type.DYNAMIC and is_text(data.type):
        return _Form(Type.DYNAMIC, data, _json_of_any_text, JSON)
    if declared is not None and declared.type is Type.STRING and pa.types.is_null(data.type):
        data = data.cast(pa.string())
    form = _text_form(data) or _number_form(data) or _time_form(data) or _dynamic_form(data)
    if form is None:
        raise InventoryError(f"column `{name}`: Arrow type {data.type} has no form in KQL")
    if declared is not None and declared.type is not form.type:
        raise InventoryError(f"column `{name}` of a resource table is {declared.type}, but Arrow type {data.type} is {form.type}")
    return form


def is_text(type_: "pa.DataType") -> bool:
    import pyarrow as pa

    return bool(pa.types.is_string(type_) or pa.types.is_large_string(type_) or pa.types.is_string_view(type_))


def _json_of_any_text(column: str) -> str:
    # Text that is no JSON stays a text, as in `parse_json`.
    return f"CASE WHEN json_valid({column}) THEN CAST(nullif(trim({column}), 'null') AS JSON) ELSE to_json({column}) END"


def _json(column: str) -> str:
    return f"CAST(nullif(trim(CAST({column} AS VARCHAR)), 'null') AS JSON)"


def _text_form(data: "pa.ChunkedArray") -> _Form | None:
    import pyarrow as pa

    if is_text(data.type):
        return _Form(Type.STRING, data, _itself if data.null_count == 0 else lambda column: f"coalesce({column}, '')")
    if isinstance(data.type, pa.UuidType):
        return _Form(Type.GUID, data, lambda column: f"CAST({column} AS VARCHAR)")
    return None


def _is_integer(type_: "pa.DataType") -> bool:
    import pyarrow as pa

    return bool(pa.types.is_integer(type_)) and not pa.types.is_uint64(type_)


def _number_form(data: "pa.ChunkedArray") -> _Form | None:
    import pyarrow as pa

    if pa.types.is_boolean(data.type):
        return _Form(Type.BOOL, data)
    if _is_integer(data.type):
        if data.type.bit_width < 32 or pa.types.is_int32(data.type):
            return _Form(Type.INT, data, lambda column: f"CAST({column} AS INTEGER)")
        return _Form(Type.LONG, data, lambda column: f"CAST({column} AS BIGINT)")
    if pa.types.is_floating(data.type):
        # DuckDB scans no 16-bit floats.
        scanned = data.cast(pa.float32()) if pa.types.is_float16(data.type) else data
        return _Form(Type.REAL, scanned, lambda column: f"CAST({column} AS DOUBLE)")
    return None


def _time_form(data: "pa.ChunkedArray") -> _Form | None:
    """Times are scanned as the whole numbers that they are, so that no digit passes through DuckDB's microseconds."""
    import pyarrow as pa

    if pa.types.is_timestamp(data.type):
        return _Form(Type.DATETIME, _viewed(data, pa.int64()), _ticks_of(data.type.unit, UNIX_EPOCH_TICKS))
    if pa.types.is_duration(data.type):
        return _Form(Type.TIMESPAN, _viewed(data, pa.int64()), _ticks_of(data.type.unit, 0))
    if pa.types.is_date32(data.type):
        return _Form(
            Type.DATETIME, _viewed(data, pa.int32()), lambda column: f"CAST({column} AS BIGINT) * {TICKS_PER_DAY} + {UNIX_EPOCH_TICKS}"
        )
    if pa.types.is_date64(data.type):
        return _Form(Type.DATETIME, _viewed(data, pa.int64()), _ticks_of("ms", UNIX_EPOCH_TICKS))
    return None


def _viewed(data: "pa.ChunkedArray", type_: "pa.DataType") -> "pa.ChunkedArray":
    import pyarrow as pa

    return pa.chunked_array([chunk.view(type_) for chunk in data.chunks], type_)


def _ticks_of(unit: str, origin: int) -> Callable[[str], str]:
    if unit == "ns":
        # Rounded down also before the origin: `//` of a negative number rounds towards zero.
        per = _NANOSECONDS_PER_TICK
        return lambda column: f"({column} - ({column} % {per} + {per}) % {per}) // {per} + {origin}"
    # A time beyond what ticks can count is null, not an error of the engine in the middle of a query.
    return lambda column: f"TRY({column} * {_TICKS[unit]} + {origin})"


def _dynamic_form(data: "pa.ChunkedArray") -> _Form | None:
    import pyarrow as pa

    if pa.types.is_null(data.type):
        return _Form(Type.DYNAMIC, data, lambda column: f"CAST({column} AS JSON)", JSON)
    if isinstance(data.type, pa.JsonType):
        return _Form(Type.DYNAMIC, data, _json, JSON)
    if not pa.types.is_nested(data.type) or refused(data.type) is not None:
        return None
    shape = _native_shape(data.type)
    if shape is None or any(map(_holds_null_text, data.chunks)):
        return _Form(Type.DYNAMIC, _written(data), lambda column: f"CAST({column} AS JSON)", ORDERED_JSON)
    return _Form(Type.DYNAMIC, data, lambda column: f"CAST({column} AS {duckdb_type(shape)})", shape)


def _holds_null_text(array: "pa.Array") -> bool:
    """Whether JSON text inside nested values says `null`, which must become NULL."""
    import pyarrow as pa

    if isinstance(array.type, pa.JsonType):
        return any(text is not None and text.strip() == "null" for text in array.storage.to_pylist())
    if pa.types.is_struct(array.type):
        return any(map(_holds_null_text, array.flatten()))
    return _is_list(array.type) and _holds_json(array.type) and _holds_null_text(array.flatten())


def _holds_json(type_: "pa.DataType") -> bool:
    import pyarrow as pa

    return isinstance(type_, pa.JsonType) or any(map(_holds_json, _children(type_)))


def _is_list(type_: "pa.DataType") -> bool:
    import pyarrow as pa

    return bool(pa.types.is_list(type_) or pa.types.is_large_list(type_) or pa.types.is_fixed_size_list(type_))


def _children(type_: "pa.DataType") -> Iterator["pa.DataType"]:
    import pyarrow as pa

    if pa.types.is_dictionary(type_):
        yield type_.value_type
    elif pa.types.is_nested(type_):
        yield from (type_.field(index).type for index in range(type_.num_fields))


def _is_time(type_: "pa.DataType") -> bool:
    import pyarrow as pa

    return bool(pa.types.is_timestamp(type_) or pa.types.is_duration(type_) or pa.types.is_date(type_))


def refused(type_: "pa.DataType") -> "pa.DataType | None":
    """The first type in a nested one that KQL has no form for."""
    import pyarrow as pa

    inner = next((refused for refused in map(refused, _children(type_)) if refused is not None), None)
    if inner is not None:
        return inner
    if pa.types.is_dictionary(type_) or pa.types.is_struct(type_) or pa.types.is_map(type_) or pa.types.is_null(type_) or _is_list(type_):
        return None
    if is_text(type_) or pa.types.is_boolean(type_) or _is_integer(type_) or pa.types.is_floating(type_):
        return None
    return None if _is_time(type_) or isinstance(type_, pa.JsonType | pa.UuidType) else type_


def _native_shape(type_: "pa.DataType") -> Shape | None:
    """The shape that DuckDB can scan this type in; None where the values must be written as JSON first."""
    import pyarrow as pa

    if pa.types.is_dictionary(type_):
        return _native_shape(type_.value_type)
    if is_text(type_):
        return Leaf(Type.STRING)
    if pa.types.is_boolean(type_):
        return Leaf(Type.BOOL, plain=True)
    if _is_integer(type_):
        return Leaf(Type.LONG, plain=True)
    if pa.types.is_floating(type_) and not pa.types.is_float16(type_):
        return Leaf(Type.REAL, plain=True)
    if pa.types.is_null(type_) or isinstance(type_, pa.JsonType):
        return JSON
    if _is_list(type_):
        element = _native_shape(type_.value_type)
        return None if element is None else Array(element)
    return _native_struct(type_) if pa.types.is_struct(type_) else None


def _native_struct(type_: "pa.DataType") -> Shape | None:
    fields = [type_.field(index) for index in range(type_.num_fields)]
    names = [member.name for member in fields]
    if (
        not names
        or len({name.lower() for name in names}) < len(names)
        or any(not name or "\0" in name or name == EMPTY_FIELD for name in names)
    ):
        return None
    members = [(member.name, _native_shape(member.type)) for member in fields]
    if any(shape is None for _, shape in members):
        return None
    return Object(tuple(Member(name, shape) for name, shape in members if shape is not None))


def _written(data: "pa.ChunkedArray") -> "pa.ChunkedArray":
    import pyarrow as pa

    texts = [None if value is None else ordered(document(value, data.type)) for value in data.to_pylist()]
    return pa.chunked_array([pa.array(texts, pa.string())])


def document(value: Any, type_: "pa.DataType") -> Value:  # Any: whatever pyarrow makes of a value of that type
    """The value as a JSON document: maps are objects, times their text in KQL."""
    import pyarrow as pa

    if value is None:
        return None
    if isinstance(type_, pa.JsonType):
        return parsed(value)
    if pa.types.is_dictionary(type_):
        return document(value, type_.value_type)
    if pa.types.is_map(type_):
        return {str(name): document(item, type_.item_type) for name, item in value}
    if pa.types.is_struct(type_):
        return {member: document(value[member], type_.field(index).type) for index, member in enumerate(f.name for f in type_)}
    if _is_list(type_):
        return [document(element, type_.value_type) for element in value]
    return value if isinstance(value, str | int | float | bool) else _text_of(value)


def parsed(text: str) -> Value:
    """The document that a text holds; text that is no JSON stays a text, as in `parse_json`."""
    try:
        return decode(text)
    except DocumentError:
        return text


def _text_of(value: object) -> str:
    """KQL's text of a time inside a dynamic value: seven digits, whole days before a dot."""
    match value:
        case datetime():
            moment = value.astimezone(UTC) if value.tzinfo is not None else value
            return f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond:06d}0Z"
        case date():
            return f"{value:%Y-%m-%d}T00:00:00.0000000Z"
        case timedelta():
            return _timespan_text(value)
        case _:
            return str(value)


def _timespan_text(span: timedelta) -> str:
    sign, span = ("-", -span) if span < timedelta(0) else ("", span)
    minutes, seconds = divmod(span.seconds, 60)
    days = f"{span.days}." if span.days else ""
    digits = f".{span.microseconds:06d}0" if span.microseconds else ""
    return f"{sign}{days}{minutes // 60:02d}:{minutes % 60:02d}:{seconds:02d}{digits}"
