"""How many rows an inventory has of each type, and which part of the file they take."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol

from kqlite.inventory.shapes.resource_tables import RESOURCE_TABLES
from kqlite.inventory.shapes.sql_text import identifier, literal
from kqlite.language.schema import Catalog, Partition
from kqlite.stats import TypeSize

if TYPE_CHECKING:
    import pyarrow as pa

_IN_FILE = "SELECT table_name FROM duckdb_tables() WHERE database_name = 'inventory'"
_ROWS = 'SELECT {source} AS source, {table} AS "table", lower({type}) AS type, count(*) AS n FROM {native} GROUP BY ALL HAVING count(*) > 0'
_BLOCKS = """
SELECT {source} AS source,
    count(DISTINCT block) * (SELECT max(block_size) FROM pragma_database_size() WHERE database_name = 'inventory') AS n
FROM (SELECT unnest(list_append(additional_block_ids, block_id)) AS block FROM pragma_storage_info({named}) WHERE persistent)
WHERE block >= 0
"""


class Snapshot(Protocol):
    """What is needed of a snapshot."""

    @property
    def catalog(self) -> Catalog: ...

    def run(self, sql: str) -> "pa.Table": ...


def sizes(snapshot: Snapshot) -> Sequence[TypeSize]:
    """The types of all resource tables, largest first; ties by table and type."""
    tables = [table for name in RESOURCE_TABLES if (table := snapshot.catalog.table(name)) is not None]
    parts = [(table.name, part) for table in tables for part in table.partitions]
    # One query for all: each costs a few milliseconds before it reads anything.
    rows = _run(snapshot, [_filled(_ROWS, table, part) for table, part in parts])
    in_file = {row["table_name"] for row in _run(snapshot, [_IN_FILE])}
    blocks = _run(snapshot, [_filled(_BLOCKS, table, part) for table, part in parts if part.source in in_file])
    bytes_of = {row["source"]: row["n"] for row in blocks}
    totals: dict[str, int] = {}
    for row in rows:
        totals[row["source"]] = totals.get(row["source"], 0) + row["n"]
    found = (
        TypeSize(row["table"], row["type"], row["n"], (bytes_of.get(row["source"]) or 0) * row["n"] // totals[row["source"]] or None)
        for row in rows
    )
    return tuple(sorted(found, key=lambda size: (-size.rows, size.table, size.type)))


def _run(snapshot: Snapshot, queries: Sequence[str]) -> list[dict[str, Any]]:  # Any: text and numbers
    rows: list[dict[str, Any]] = snapshot.run(" UNION ALL ".join(queries)).to_pylist() if queries else []
    return rows


def _filled(template: str, table: str, part: Partition) -> str:
    native = identifier(part.source)
    return template.format(source=literal(part.source), table=literal(table), type=_type(part), native=native, named=literal(native))


def _type(part: Partition) -> str:
    # A partition of one type knows it; reading the column would take a second over ten million rows.
    if part.types is not None and len(part.types) == 1:
        [only] = part.types
        return literal(only)
    return identifier(part.columns["type"])
