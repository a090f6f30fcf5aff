"""Where in a large table the row of a key is: an index by the key's hash, in memory, for as long as rows stay where they are.

To join some thousand keys with the key column of a million rows, all of its texts are decompressed first, which takes ten times as long as
to find them in such an index. A checkpoint that merges row groups moves rows; after it the index is made again.
"""

from typing import Any, Protocol

from kqlite.inventory.shapes.resource_tables import KEY_COLUMN
from kqlite.inventory.shapes.sql_text import identifier

WORTHWHILE = 50_000
"""A table of fewer rows is joined by its keys sooner."""

HASHED = f"hash({KEY_COLUMN})"
"""What is compared in the place of a key."""

HASH, ROW = "hash", "row"
"""The columns of an index: the hash of a key, and the `rowid` of a row that has it. Rows that were deleted since may still be in it."""

_SCHEMA = "memory.hashes"
_LARGE = "FROM duckdb_tables() WHERE database_name = 'inventory' AND table_name = $source AND estimated_size >= $rows"


class Cursor(Protocol):
    """What is needed of a DuckDB cursor, in no transaction."""

    def execute(self, query: str, parameters: object = None) -> Any: ...  # Any: the cursor again, whose rows can be fetched


class HashIndexes:
    """The indexes of a store's native tables. For one writer at a time, between its transactions."""

    def __init__(self) -> None:
        self._newest: dict[str, int] = {}  # by native table, the highest `rowid` in its index

    def of(self, cursor: Cursor, source: str) -> str | None:
        """The name of a native table's index, with all rows of it that are committed; None where there is no table, or a small one."""
        table, index = f"inventory.main.{identifier(source)}", f"{_SCHEMA}.{identifier(source)}"
        newest = self._newest.get(source)
        if newest is None:
            if not cursor.execute(_LARGE, {"source": source, "rows": WORTHWHILE}).fetchall():
                return None
            cursor.execute(f"CREATE SCHEMA IF NOT EXISTS {_SCHEMA}")
            cursor.execute(f"CREATE OR REPLACE TABLE {index} AS SELECT {HASHED} AS {HASH}, rowid AS {ROW} FROM {table}")
        else:
            cursor.execute(f"INSERT INTO {index} SELECT {HASHED}, rowid FROM {table} WHERE rowid > {newest}")
        [(self._newest[source],)] = cursor.execute(f"SELECT max({ROW}) FROM {index}").fetchall()
        return index

    def forget(self, cursor: Cursor) -> None:
        """Drop all of them: rows may be elsewhere now."""
        for source in self._newest:
            cursor.execute(f"DROP TABLE IF EXISTS {_SCHEMA}.{identifier(source)}")
        self._newest.clear()
