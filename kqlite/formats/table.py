"""A table for a terminal: columns under their names, numbers to the right, cut where the terminal ends."""

import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

import pyarrow as pa

from kqlite.formats.values import Value, batches, cells, without_controls
from kqlite.language.schema import Column, Schema
from kqlite.language.types import Type

ELLIPSIS = "…"
NULL = "null"
_DIM, _PLAIN = "\x1b[2m", "\x1b[0m"
_GAP = "  "
_NARROWEST = 10
"""Columns of text are not made narrower than this: rather, the last columns of the table are left out."""
_CUTTABLE = (Type.STRING, Type.DYNAMIC)


@dataclass(frozen=True, slots=True)
class TableView:
    """A table laid out: which rows and columns are shown, the columns from the first on, and how wide.

    width: columns of the terminal, or None where it has no end.
    colour: whether nulls are dim, by an escape sequence.
    """

    schema: Schema
    rows: pa.Table
    widths: tuple[int, ...]
    width: int | None
    colour: bool

    @property
    def cut(self) -> bool:
        """Whether columns are left out."""
        return len(self.widths) < len(self.schema)

    def chunks(self) -> Iterator[str]:
        """The lines, some thousands at a time."""
        shown = self.schema[: len(self.widths)]
        titles = [
            _fitted(_title(column, self.width), size, column.type.is_numeric) for column, size in zip(shown, self.widths, strict=True)
        ]
        yield self._line(titles)
        yield self._line(["-" * size for size in self.widths])
        for columns in batches(self.schema, self.rows):
            yield "".join(self._body(shown, columns[: len(shown)]))

    def _body(self, shown: tuple[Column, ...], columns: list[list[Value]]) -> Iterator[str]:
        null = f"{_DIM}{NULL}{_PLAIN}" if self.colour else NULL
        fitted = []
        for column, values, size in zip(shown, columns, self.widths, strict=True):
            right = column.type.is_numeric
            blank = " " * (size - len(NULL))
            absent = blank + null if right else null + blank
            fitted.append([absent if cell is None else _fitted(cell, size, right) for cell in _cells(column, values, self.width)])
        return (self._line(row) for row in zip(*fitted, strict=True))

    def _line(self, row: Sequence[str]) -> str:
        return _GAP.join((*row, ELLIPSIS) if self.cut else row).rstrip(" ") + "\n"


def lay_out(schema: Schema, table: pa.Table, width: int | None = None, colour: bool = False, limit: int | None = None) -> TableView:
    """A view of the first `limit` rows of `table` that fits into `width`; see `TableView`.

    table: the columns of `schema`, datetimes and timespans as ticks.
    """
    rows = table if limit is None else table.slice(0, limit)
    return TableView(schema, rows, _widths(schema, _natural_widths(schema, rows, width), width), width, colour)


def display_width(text: str) -> int:
    """Columns of a terminal that `text` takes: wide East Asian characters two, combining marks none."""
    if text.isascii():
        return len(text)
    return sum(_character_width(character) for character in text)


def _character_width(character: str) -> int:
    if unicodedata.category(character) in ("Mn", "Me", "Cf"):
        return 0
    return 2 if unicodedata.east_asian_width(character) in ("W", "F") else 1


def _cells(column: Column, values: list[Value], width: int | None) -> list[str | None]:
    texts = cells(column.type, values)
    if width is None:
        return texts
    # A document of kilobytes is measured only as far as it could be seen.
    enough = 2 * width
    return [text if text is None or len(text) <= enough else text[:enough] for text in texts]


def _title(column: Column, width: int | None) -> str:
    title = without_controls(column.name)
    return title if width is None else title[: 2 * width]


def _natural_widths(schema: Schema, rows: pa.Table, width: int | None) -> list[int]:
    widths = [display_width(_title(column, width)) for column in schema]
    for columns in batches(schema, rows):
        for index, (column, values) in enumerate(zip(schema, columns, strict=True)):
            widest = max((len(NULL) if cell is None else display_width(cell) for cell in _cells(column, values, width)), default=0)
            widths[index] = max(widths[index], widest)
    return widths


def _widths(schema: Schema, natural: list[int], width: int | None) -> tuple[int, ...]:
    if width is None or _total(natural) <= width:
        return tuple(natural)
    least = [min(size, _NARROWEST) if column.type in _CUTTABLE else size for column, size in zip(schema, natural, strict=True)]
    if _total(least) <= width:
        return tuple(_shared(natural, least, width))
    space = width - len(_GAP) - len(ELLIPSIS)
    count = next((count for count in range(len(least) - 1, 1, -1) if _total(least[:count]) <= space), 1)
    least[0] = max(1, min(least[0], space))
    return tuple(_shared(natural[:count], least[:count], space))


def _total(widths: list[int]) -> int:
    return sum(widths) + len(_GAP) * (len(widths) - 1)


def _shared(natural: list[int], least: list[int], width: int) -> list[int]:
    """Widths between `least` and `natural` that fill `width`: the widest columns are cut first, all to the same size."""
    low, high = 0, max(natural)
    while low < high:
        cap = (low + high + 1) // 2
        low, high = (cap, high) if _total(_capped(natural, least, cap)) <= width else (low, cap - 1)
    widths = _capped(natural, least, low)
    left = max(0, width - _total(widths))
    wanting = (index for index, size in enumerate(widths) if size < natural[index] and size >= low)
    for index in islice(wanting, left):
        widths[index] += 1
    return widths


def _capped(natural: list[int], least: list[int], cap: int) -> list[int]:
    return [max(smallest, min(size, cap)) for size, smallest in zip(natural, least, strict=True)]


def _fitted(text: str, width: int, right: bool) -> str:
    taken = display_width(text)
    if taken > width:
        text = _cut(text, width)
        taken = display_width(text)
    return " " * (width - taken) + text if right else text + " " * (width - taken)


def _cut(text: str, width: int) -> str:
    """As much of `text` as leaves a column for the ellipsis."""
    taken = 0
    for index, character in enumerate(text):
        taken += _character_width(character)
        if taken >= width:
            return text[:index] + ELLIPSIS
    raise AssertionError("only text that is too wide is cut")
