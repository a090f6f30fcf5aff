"""A user's own table: what a program holds, or a file; Parquet and Arrow as they are, JSON with a column for each member of its objects."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from kqlite.inventory.imports.file_formats import arrow_batches, chunks, is_arrow, is_parquet
from kqlite.inventory.shapes.columns import array_of, marked_array
from kqlite.inventory.shapes.documents import InventoryError, Value
from kqlite.inventory.shapes.shapes import Draft, freeze, widen

if TYPE_CHECKING:
    import pyarrow as pa


class ArrowStream(Protocol):
    """What gives its rows as Arrow. Source: Apache Arrow, "The Arrow PyCapsule Interface"."""

    def __arrow_c_stream__(self, requested_schema: object = None) -> object: ...


Registrable = ArrowStream | Sequence[Mapping[str, Any]] | str | Path
"""What can be a table."""


def as_table(name: str, data: object) -> "pa.Table":
    """The table `name` that a program gives. Raises TypeError for what is none, and InventoryError for what cannot be read as one."""
    import pyarrow as pa

    if isinstance(data, pa.Table):
        return data
    if hasattr(data, "__arrow_c_stream__"):
        try:
            return pa.RecordBatchReader.from_stream(data).read_all()
        except (pa.ArrowException, OSError) as error:
            raise InventoryError(f"`{name}` cannot be read as Arrow: {str(error).splitlines()[0]}") from error
    if isinstance(data, Sequence) and not isinstance(data, str | bytes):
        return _from_rows(name, data)
    raise TypeError(f"`{name}` is a {type(data).__name__}: a table is an Arrow table or stream, a data frame, a list of dicts, or a path")


def _from_rows(name: str, rows: Sequence[object]) -> "pa.Table":
    import pyarrow as pa

    given = [dict(row) for row in rows if isinstance(row, Mapping)]
    if len(given) < len(rows) or not all(isinstance(column, str) for row in given for column in row):
        raise TypeError(f"`{name}`: the rows of a table are dicts whose keys are the names of columns")
    columns = dict.fromkeys(column for row in given for column in row)
    if not columns:
        raise InventoryError(f"`{name}` has no columns: no row has a value")
    try:
        return pa.table({column: _given_column([row.get(column) for row in given]) for column in columns})
    except (pa.ArrowException, OverflowError, TypeError, ValueError) as error:
        raise InventoryError(f"`{name}` cannot be a table: {error}") from error


def _given_column(values: Sequence[Any]) -> "pa.Array":
    """Python's own scalars in their Arrow types; a column that has a document in it as JSON."""
    import pyarrow as pa

    if not any(isinstance(value, dict | list | tuple) for value in values):
        return pa.array(values)
    texts = [None if value is None else json.dumps(value, ensure_ascii=False, allow_nan=False) for value in values]
    return pa.ExtensionArray.from_storage(pa.json_(pa.string()), pa.array(texts, pa.string()))


def read_table(path: Path) -> "pa.Table":
    """The table in a file: Parquet, Arrow, JSON lines, a JSON array or `{"data": [..]}`.

    Raises InventoryError naming file, place and reason.
    """
    import pyarrow as pa

    try:
        with path.open("rb") as stream:
            is_columnar = is_arrow(stream) or is_parquet(stream)
    except OSError as error:
        raise InventoryError(f"{path}: {error.strerror}") from None
    if not is_columnar:
        return _from_documents(path)
    schema, batches = arrow_batches(path)
    return pa.Table.from_batches(batches, schema)


def _from_documents(path: Path) -> "pa.Table":
    import pyarrow as pa

    rows: list[dict[str, Value]] = []
    for chunk in chunks(path, of_resources=False):
        for index, value in enumerate(chunk.values):
            if type(value) is not dict:
                raise chunk.fault(index, "not a JSON object")
            rows.append(value)
    names = dict.fromkeys(name for row in rows for name in row)
    if not names:
        raise InventoryError(f"{path}: no documents with members, so no columns")
    columns = {name: _column([row.get(name) for row in rows]) for name in names}
    return pa.table(columns)


def _column(values: Sequence[Value]) -> "pa.Array":
    import pyarrow as pa

    draft = Draft()
    widen(draft, values)
    shape = freeze(draft)
    return pa.nulls(len(values)) if shape is None else marked_array(array_of(values, shape), shape)
