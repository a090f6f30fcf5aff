"""A user's own table from a file: Parquet and Arrow as they are, JSON with a column for each member of its objects."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from kqlite.inventory.imports.file_formats import arrow_batches, chunks, is_arrow, is_parquet
from kqlite.inventory.shapes.columns import array_of, marked_array
from kqlite.inventory.shapes.documents import InventoryError, Value
from kqlite.inventory.shapes.shapes import Draft, freeze, widen

if TYPE_CHECKING:
    import pyarrow as pa


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
    for chunk in chunks(path):
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
