"""An inventory's rows back into files, as they came up to null members: JSON lines, or Parquet with dynamic columns as `arrow.json`."""

from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import IO, TYPE_CHECKING

from kqlite.inventory.shapes.batches import DYNAMICS, OTHER_COLUMN, STRINGS, columns_of, documents, other_members
from kqlite.inventory.shapes.documents import InventoryError, Value, encode
from kqlite.inventory.shapes.sql_text import identifier
from kqlite.inventory.store.snapshot import Snapshot
from kqlite.language.schema import Partition

if TYPE_CHECKING:
    import pyarrow as pa

_ROWS_AT_ONCE = 10_000


def rows(snapshot: Snapshot) -> Iterator[dict[str, Value]]:
    """Every row of every resource table, a part of a partition at a time."""
    for partitions in snapshot.catalog.resources.values():
        for partition in partitions:
            yield from _rows_of(snapshot, partition)


def _rows_of(snapshot: Snapshot, partition: Partition) -> Iterator[dict[str, Value]]:
    columns = ", ".join(map(identifier, columns_of(partition)))
    start, found = 0, _ROWS_AT_ONCE
    while found == _ROWS_AT_ONCE:
        # What a snapshot sees of a partition never changes its order, so pages of it neither miss nor repeat a row.
        part = snapshot.run(f"SELECT {columns} FROM {identifier(partition.source)} LIMIT {_ROWS_AT_ONCE} OFFSET {start}")
        yield from documents(part, partition)
        start, found = start + _ROWS_AT_ONCE, part.num_rows


def export(snapshot: Snapshot, path: Path) -> int:
    """Write every row into a file: Parquet where its name ends so, else JSON lines. How many there were. Raises InventoryError."""
    try:
        with path.open("wb") as stream:
            return _write_parquet(snapshot, stream) if path.suffix == ".parquet" else _write_lines(snapshot, stream)
    except OSError as error:
        raise InventoryError(f"{path}: {error.strerror or error}") from None


def _write_lines(snapshot: Snapshot, stream: IO[bytes]) -> int:
    count = 0
    for row in rows(snapshot):
        stream.write((encode(row) + "\n").encode("utf-8"))
        count += 1
    return count


def _write_parquet(snapshot: Snapshot, stream: IO[bytes]) -> int:
    import pyarrow as pa
    from pyarrow import parquet

    types = {name: pa.string() for name in STRINGS} | dict.fromkeys((*DYNAMICS, OTHER_COLUMN), pa.json_())
    schema = pa.schema(list(types.items()))
    every = rows(snapshot)
    count = 0
    with parquet.ParquetWriter(stream, schema, compression="zstd") as writer:
        while taken := list(islice(every, _ROWS_AT_ONCE)):
            writer.write_batch(_batch(taken, schema))
            count += len(taken)
    return count


def _batch(taken: list[dict[str, Value]], schema: "pa.Schema") -> "pa.RecordBatch":
    import pyarrow as pa

    arrays = [pa.array([row.get(name) for row in taken], pa.string()) for name in STRINGS]
    for name in (*DYNAMICS, OTHER_COLUMN):
        values = [other_members(row) if name == OTHER_COLUMN else row.get(name) for row in taken]
        texts = pa.array([None if value is None else encode(value) for value in values], pa.string())
        arrays.append(pa.ExtensionArray.from_storage(pa.json_(), texts))
    return pa.RecordBatch.from_arrays(arrays, schema=schema)
