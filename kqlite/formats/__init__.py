"""A result as text or bytes: what a surface prints and nothing of how it came to be.

Read `values.py` first (the text of one value of each KQL type), then `table.py` (columns that fit a terminal), `text.py` (JSON, CSV,
Markdown) and `binary.py` (Parquet, Arrow). The text forms take the columns as ticks, so no digit of a datetime is lost; the binary forms
take Arrow's own timestamps. Every form goes through the rows once, batch by batch (the table twice: once to measure), and no form holds
them all as text at once. What is asked for late is imported late: a process that prints a table does not load
`pyarrow.parquet`.
"""

from typing import BinaryIO, Protocol, TextIO

import pyarrow as pa

from kqlite.formats.table import TableView, lay_out
from kqlite.language.schema import Schema


class Rows(Protocol):
    """What of a query's result is needed to print it."""

    @property
    def schema(self) -> Schema: ...

    def to_arrow(self, shaped: bool = False, ticks: bool = False) -> pa.Table: ...


def write_table(rows: Rows, out: TextIO, width: int | None = None, colour: bool = False, limit: int | None = None) -> TableView:
    """Writes the first `limit` rows to `out` as a table that fits into `width` columns; what is returned tells what was shown.

    colour: whether nulls are dim, by an escape sequence.
    """
    view = lay_out(rows.schema, rows.to_arrow(ticks=True), width, colour, limit)
    for chunk in view.chunks():
        out.write(chunk)
    return view


def write_text(rows: Rows, name: str, out: TextIO) -> None:
    """Writes `rows` to `out` as `json`, `jsonl`, `csv` or `markdown`."""
    from kqlite.formats import text

    chunks = {"json": text.json_chunks, "jsonl": text.json_lines, "csv": text.csv_chunks, "markdown": text.markdown_chunks}[name]
    for chunk in chunks(rows.schema, rows.to_arrow(ticks=True)):
        out.write(chunk)


def write_binary(rows: Rows, name: str, out: BinaryIO) -> None:
    """Writes `rows` to `out` as a Parquet file or as an Arrow IPC stream."""
    from kqlite.formats import binary

    write = {"parquet": binary.write_parquet, "arrow": binary.write_arrow}[name]
    write(rows.to_arrow(), out)


def format_table(rows: Rows, width: int | None = None, limit: int | None = None) -> str:
    """The first `limit` rows as a table that fits into `width` columns, without a line end after the last."""
    return "".join(lay_out(rows.schema, rows.to_arrow(ticks=True), width, limit=limit).chunks()).removesuffix("\n")
