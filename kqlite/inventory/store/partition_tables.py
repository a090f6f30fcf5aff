"""The native tables of partitions: made, filled, replaced by wider ones."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Protocol

from kqlite.inventory.shapes.batches import STRINGS, BatchBuilder, columns_of
from kqlite.inventory.shapes.resource_tables import DISTINCT_LEAVES, FLEETING_LEAVES, KEY_COLUMN, SEQUENCE_COLUMN
from kqlite.inventory.shapes.shapes import hot_column
from kqlite.inventory.shapes.sql_text import identifier
from kqlite.inventory.store.casts import selections
from kqlite.language.schema import Partition

if TYPE_CHECKING:
    import pyarrow as pa

_NEVER_NULL = frozenset((KEY_COLUMN, SEQUENCE_COLUMN, *STRINGS))
_ALIKE = frozenset((KEY_COLUMN, "id", *map(hot_column, DISTINCT_LEAVES)))
_FLEETING = frozenset(map(hot_column, FLEETING_LEAVES))
_CLUSTERED_BY = "lower(old.type), old.subscriptionId, old.resourceGroup, old.name"
"""Near rows are alike, so they compress well and are skipped together; imports sort in the same way."""


class Cursor(Protocol):
    """What is needed of a DuckDB cursor, in a transaction."""

    def register(self, view_name: str, python_object: object) -> Any: ...  # Any: the cursor again

    def unregister(self, view_name: str) -> Any: ...

    def execute(self, query: str, parameters: object = None) -> Any: ...


def create(cursor: Cursor, source: str, part: Partition, in_file: bool) -> None:
    """Make an empty table for a partition."""
    columns = (f"{identifier(name)} {type_}{_constraints(name, type_, in_file)}" for name, type_ in columns_of(part).items())
    cursor.execute(f"CREATE TABLE {identifier(source)} ({', '.join(columns)})")


def _constraints(name: str, type_: str, in_file: bool) -> str:
    # Neighbours' ids and documents repeat each other, which zstd sees and DuckDB's own choice does not: 13 bytes an id instead of 47, read
    # as fast, and updated in place in a seventh of the time. DuckDB chooses zstd by itself for very long texts alone, and in memory knows
    # it not: such a column stays uncompressed there.
    method = "zstd" if name in _ALIKE or type_ == "JSON" else "uncompressed" if name in _FLEETING else ""
    return (" NOT NULL" if name in _NEVER_NULL else "") + (f" USING COMPRESSION {method}" if in_file and method else "")


def insert(cursor: Cursor, source: str, part: Partition, batches: "Iterator[pa.RecordBatch]", sequence: int = 0) -> None:
    """Insert all batches at once: with an INSERT for each, all of them would stay in memory until the commit.

    sequence: the sequence number of all rows; 0 for the one that each has.
    """
    import pyarrow as pa

    failures: list[BaseException] = []

    def watched() -> "Iterator[pa.RecordBatch]":
        try:
            yield from batches
        except BaseException as error:  # DuckDB passes on its text alone
            failures.append(error)
            raise

    cursor.register("incoming", pa.RecordBatchReader.from_batches(BatchBuilder(part).schema, watched()))
    try:
        numbered = f" REPLACE ({int(sequence)}::BIGINT AS {SEQUENCE_COLUMN})" if sequence else ""
        cursor.execute(f"INSERT INTO {identifier(source)} BY NAME SELECT *{numbered} FROM incoming")
    except Exception as error:
        if failures:
            raise failures[0] from None
        if isinstance(error, RuntimeError) and "interrupted" in str(error):  # how DuckDB passes on Ctrl-C
            raise KeyboardInterrupt from None
        raise
    cursor.unregister("incoming")


@contextmanager
def replacing(cursor: Cursor, old: Partition, new: Partition, in_file: bool) -> Iterator[str]:
    """A table for rows of a partition's wider shape, which then replace those of the same keys in it that are not newer."""
    fresh = f"{old.source}#fresh"
    create(cursor, fresh, new, in_file)
    yield fresh
    if _last(cursor, old.source) > _last(cursor, fresh) > 0:
        _drop_older(cursor, fresh, old.source)
    if columns_of(old) == columns_of(new) and _count(cursor, fresh) * _FEW < _count(cursor, old.source):
        cursor.execute(f"DELETE FROM {identifier(old.source)} WHERE _key IN (SELECT _key FROM {identifier(fresh)})")
        cursor.execute(f"INSERT INTO {identifier(old.source)} BY NAME SELECT * FROM {identifier(fresh)}")
        cursor.execute(f"DROP TABLE {identifier(fresh)}")
        return
    cursor.execute(
        f"INSERT INTO {identifier(fresh)} SELECT {selections(old, new, columns_of(new))} FROM {identifier(old.source)} AS old "
        f"WHERE NOT EXISTS (FROM {identifier(fresh)} AS fresh WHERE fresh._key = old._key)"
    )
    cursor.execute(f"DROP TABLE {identifier(old.source)}")
    cursor.execute(f"ALTER TABLE {identifier(fresh)} RENAME TO {identifier(old.source)}")


_FEW = 4
"""Rows that are fewer than this part of a table are added to it; with more, it is written anew, and so in order."""


def _last(cursor: Cursor, source: str) -> int:
    """The highest sequence number."""
    [(sequence,)] = cursor.execute(f"SELECT max({SEQUENCE_COLUMN}) FROM {identifier(source)}").fetchall()
    return int(sequence or 0)


def _drop_older(cursor: Cursor, source: str, other: str) -> None:
    """Delete the rows of which another table has newer ones."""
    cursor.execute(
        f"DELETE FROM {identifier(source)} USING {identifier(other)} AS other "
        f"WHERE other._key = {identifier(source)}._key AND other._seq > {identifier(source)}._seq"
    )


def _count(cursor: Cursor, source: str) -> int:
    [(rows,)] = cursor.execute(f"SELECT count(*) FROM {identifier(source)}").fetchall()
    return int(rows)


def rewrite(cursor: Cursor, old: Partition, new: Partition, in_file: bool) -> None:
    """A fresh table in the place of a partition's, clustered, for a shape that covers the old one or is the same."""
    fresh = f"{old.source}#fresh"
    create(cursor, fresh, new, in_file)
    cursor.execute(
        f"INSERT INTO {identifier(fresh)} SELECT {selections(old, new, columns_of(new))} "
        f"FROM {identifier(old.source)} AS old ORDER BY {_CLUSTERED_BY}"
    )
    cursor.execute(f"DROP TABLE {identifier(old.source)}")
    cursor.execute(f"ALTER TABLE {identifier(fresh)} RENAME TO {identifier(old.source)}")


def supersede(cursor: Cursor, source: str, others: Iterable[Partition], sequence: int = 0) -> None:
    """Delete from the other partitions of a table what an import has just put into `source`, or from `source` what is newer there.

    sequence: that of the rows of the import.
    """
    for other in others:
        if other.source == source:
            continue
        if sequence and _last(cursor, other.source) > sequence:
            _drop_older(cursor, source, other.source)
        brought = f"SELECT _key FROM {identifier(source)} WHERE _seq = {int(sequence)}"
        cursor.execute(f"DELETE FROM {identifier(other.source)} WHERE _key IN ({brought})")
