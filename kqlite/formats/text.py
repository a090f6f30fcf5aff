"""JSON, JSON lines, CSV and Markdown, each as a stream of chunks."""

import re
from collections.abc import Iterator, Sequence
from json.encoder import encode_basestring

import pyarrow as pa

from kqlite.formats.values import batches, json_texts, texts, without_controls
from kqlite.language.schema import Schema

_CSV_ACTIVE = re.compile('[",\r\n]')
_MARKDOWN_ACTIVE = re.compile(r"[\\`*<|~]|&(?=#?\w+;)|\](?=[(\[:])|(?<![^\W_])_|_(?![^\W_])")
"""What GitHub's Markdown would take as its own inside a cell; an underscore inside a word and a bracket of no link are left alone."""


def json_lines(schema: Schema, table: pa.Table) -> Iterator[str]:
    """An object for each row, on a line of its own. Whole numbers keep all their digits."""
    for objects in _objects(schema, table):
        yield "\n".join(objects) + "\n"


def json_chunks(schema: Schema, table: pa.Table) -> Iterator[str]:
    """One array, an object on each line."""
    before = "[\n"
    for objects in _objects(schema, table):
        yield before + ",\n".join(objects)
        before = ",\n"
    yield "[]\n" if before == "[\n" else "\n]\n"


def _objects(schema: Schema, table: pa.Table) -> Iterator[list[str]]:
    keys = [encode_basestring(column.name) for column in schema]
    for columns in batches(schema, table):
        members = [
            [f"{key}: {text}" for text in json_texts(column.type, values)]
            for key, column, values in zip(keys, schema, columns, strict=True)
        ]
        if members and members[0]:
            yield [f"{{{', '.join(row)}}}" for row in zip(*members, strict=True)]


def csv_chunks(schema: Schema, table: pa.Table) -> Iterator[str]:
    """Comma-separated values after a header line; a null is empty.

    Source: RFC 4180, but lines end as in Unix.
    """
    yield _csv_line([_csv(name) for name in schema.names()])
    for columns in batches(schema, table):
        fields = [[_csv(text or "") for text in texts(column.type, values)] for column, values in zip(schema, columns, strict=True)]
        yield "".join(_csv_line(row) for row in zip(*fields, strict=True))


def _csv_line(fields: Sequence[str]) -> str:
    # A line with nothing on it would be skipped by most readers.
    return (",".join(fields) or '""') + "\n"


def _csv(text: str) -> str:
    # Python's csv module leaves a lone carriage return unquoted, which its own reader then takes for the end of a row.
    return '"' + text.replace('"', '""') + '"' if _CSV_ACTIVE.search(text) else text


def markdown_chunks(schema: Schema, table: pa.Table) -> Iterator[str]:
    """A table of GitHub's Markdown; a null is empty."""
    yield _markdown_row([_markdown(name) for name in schema.names()])
    yield _markdown_row(["---:" if column.type.is_numeric else "---" for column in schema])
    for columns in batches(schema, table):
        shown = [[_markdown(text or "") for text in texts(column.type, values)] for column, values in zip(schema, columns, strict=True)]
        yield "".join(_markdown_row(row) for row in zip(*shown, strict=True))


def _markdown_row(row: Sequence[str]) -> str:
    return f"| {' | '.join(row)} |\n"


def _markdown(text: str) -> str:
    escaped = _MARKDOWN_ACTIVE.sub(lambda match: "\\" + match[0], text)
    return "<br>".join(without_controls(line) for line in escaped.splitlines())
