"""The text of one value of each KQL type, as `tostring()` gives it, and as JSON.

Columns come as lists of Python values: ticks for datetime and timespan, JSON text for dynamic, None for null.
"""

import json
import math
import re
from collections.abc import Callable, Iterator, Sequence
from datetime import date
from json.encoder import encode_basestring

import pyarrow as pa

from kqlite.language.schema import Schema
from kqlite.language.types import TICKS_PER_DAY, TICKS_PER_SECOND, Type

BATCH_ROWS = 4096

Value = bool | int | float | str | None
"""A value of a column whose datetimes and timespans are ticks and whose dynamics are JSON text."""

_SPACE_OUTSIDE_STRINGS = re.compile(r'("(?:[^"\\]|\\.)*")|\s+')
_READS_AS_OTHER_JSON = re.compile(r'\s*(?:[-{\["0-9]|(?:null|true|false)\s*\Z)|\s*\Z')
_CONTROLS = re.compile("[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ufeff]")
_SHORT_ESCAPES = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}


def batches(schema: Schema, table: pa.Table) -> Iterator[list[list[Value]]]:
    """The rows of `table`, some thousands at a time, as one list for each column of `schema`."""
    for batch in table.to_batches(max_chunksize=BATCH_ROWS):
        yield [_stored(batch.column(index)).to_pylist() for index in range(len(schema))]


def _stored(array: pa.Array) -> pa.Array:
    return array.storage if isinstance(array, pa.ExtensionArray) else array


def datetime_text(ticks: int) -> str:
    """`2017-01-01T00:00:00.0000000Z`. Source: Kusto docs, "The datetime data type"."""
    days, rest = divmod(ticks, TICKS_PER_DAY)
    seconds, fraction = divmod(rest, TICKS_PER_SECOND)
    minutes, second = divmod(seconds, 60)
    hour, minute = divmod(minutes, 60)
    return f"{date.fromordinal(days + 1).isoformat()}T{hour:02}:{minute:02}:{second:02}.{fraction:07}Z"


def timespan_text(ticks: int) -> str:
    """`[-][d.]hh:mm:ss[.fffffff]`. Source: Kusto docs, "The timespan data type"."""
    sign = "-" if ticks < 0 else ""
    days, rest = divmod(abs(ticks), TICKS_PER_DAY)
    seconds, fraction = divmod(rest, TICKS_PER_SECOND)
    minutes, second = divmod(seconds, 60)
    hour, minute = divmod(minutes, 60)
    whole = f"{days}." if days else ""
    part = f".{fraction:07}" if fraction else ""
    return f"{sign}{whole}{hour:02}:{minute:02}:{second:02}{part}"


def real_text(value: float) -> str:
    """The shortest digits that read back as the same double; `NaN`, `Infinity`, `-Infinity`."""
    if math.isfinite(value):
        return repr(value)
    return "NaN" if math.isnan(value) else ("Infinity" if value > 0 else "-Infinity")


def dynamic_text(text: str) -> str:
    """A string without its quotes, anything else as compact JSON."""
    if text.startswith('"'):
        string: str = json.loads(text)
        return string
    return compact_json(text)


def dynamic_cell(text: str) -> str:
    """As `dynamic_text`, but a string which would then read as another value (`"1"`, `"null"`, `"{}"`, `""`) keeps its quotes."""
    shown = dynamic_text(text)
    return text if text.startswith('"') and _READS_AS_OTHER_JSON.match(shown) else shown


def compact_json(text: str) -> str:
    """JSON text without white space between its parts; its numbers keep their digits."""
    return _SPACE_OUTSIDE_STRINGS.sub(lambda match: match[1] or "", text)


def without_controls(text: str) -> str:
    """Text that stays on its line and moves no cursor: line ends, escape characters and marks of direction are spelled out."""
    return _CONTROLS.sub(_spell, text) if not text.isprintable() else text


def _spell(match: re.Match[str]) -> str:
    character = match[0]
    code = ord(character)
    return _SHORT_ESCAPES.get(character) or (f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}")


_TEXT: dict[Type, Callable[..., str]] = {
    Type.BOOL: str,
    Type.INT: str,
    Type.LONG: str,
    Type.REAL: real_text,
    Type.DECIMAL: str,
    Type.STRING: str,
    Type.DATETIME: datetime_text,
    Type.TIMESPAN: timespan_text,
    Type.GUID: str,
    Type.DYNAMIC: dynamic_text,
}


def texts(type_: Type, values: Sequence[Value]) -> list[str | None]:
    """The text of each value, as `tostring()` gives it; None for null."""
    text = _TEXT[type_]
    return [None if value is None else text(value) for value in values]


def cells(type_: Type, values: Sequence[Value]) -> list[str | None]:
    """The text of each value as a table for human eyes shows it, on one line; None for null."""
    text: Callable[..., str] = dynamic_cell if type_ is Type.DYNAMIC else _TEXT[type_]
    return [None if value is None else without_controls(text(value)) for value in values]


def _json_of_real(value: float) -> str:
    # JSON has no NaN; the service writes the name as a string.
    return repr(value) if math.isfinite(value) else f'"{real_text(value)}"'


_JSON: dict[Type, Callable[..., str]] = {
    Type.BOOL: lambda value: "true" if value else "false",
    Type.INT: str,
    Type.LONG: str,
    Type.REAL: _json_of_real,
    # Most readers of JSON would round it.
    Type.DECIMAL: lambda value: f'"{value}"',
    Type.STRING: encode_basestring,
    Type.DATETIME: lambda ticks: f'"{datetime_text(ticks)}"',
    Type.TIMESPAN: lambda ticks: f'"{timespan_text(ticks)}"',
    Type.GUID: encode_basestring,
    Type.DYNAMIC: compact_json,
}


def json_texts(type_: Type, values: Sequence[Value]) -> list[str]:
    """The JSON of each value."""
    to_json = _JSON[type_]
    return ["null" if value is None else to_json(value) for value in values]
