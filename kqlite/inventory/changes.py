"""Changes into the store: of each resource the newest wins, and what was deleted stays so.

Rows that differ from what is stored in hot leaves alone are updated in place: a stream of such updates can be sustained, and it leaves the
order of rows, by which queries skip most of them. Any other row is deleted and inserted anew.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any, Protocol

from kqlite.inventory.batches import BatchBuilder, Drafts, Row, columns_of, key_of, partition
from kqlite.inventory.bookkeeping import note_records
from kqlite.inventory.known_shapes import KNOWN_SHAPES
from kqlite.inventory.reshape import selections
from kqlite.inventory.shapes import from_json, held_leaves, quoted, thaw
from kqlite.inventory.tables import KEY_COLUMN, SEQUENCE_COLUMN
from kqlite.language.schema import Partition, Shape

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True)
class Delivery:
    """Rows of one resource type on their way into one table.

    resource_type: folded. shapes: cover all rows. rows: as made by a `BatchBuilder` for these shapes, with sequence numbers above 0.
    """

    table: str
    resource_type: str
    shapes: Mapping[str, Shape]
    rows: "pa.RecordBatch"
    types: frozenset[str]

    @property
    def source(self) -> str:
        """The name of the native table."""
        return f"{self.table}/{self.resource_type}"

    @property
    def partition(self) -> Partition:
        """The partition that `rows` were made for."""
        return partition(self.source, self.shapes, self.types)


@dataclass(frozen=True)
class Changes(Delivery):
    """What happened to resources of one type; one resource may have several rows.

    deleted: the sequence number of the deletion, by key.
    since: for each row the sequence number from which on only hot leaves were changed: a stored row that is not older has its hot columns
    updated, an older one, or none, is replaced by the whole row. None where nobody knows, so that rows are compared.
    """

    deleted: Mapping[str, int] = field(default_factory=dict)
    since: "pa.Int64Array | None" = None


@dataclass(frozen=True)
class Records(Delivery):
    """Rows that are added and never changed: what happened to resources, as `resourcechanges` shows it. No key is looked up.

    until: when the newest of them happened, aware and UTC. What has a lower sequence number happened no later.
    """

    until: datetime


def changes_of(
    table: str,
    resource_type: str,
    rows: Sequence[Row],
    sequences: Sequence[int],
    deleted: Mapping[str, int] | None = None,
    since: Sequence[int] | None = None,
) -> Changes:
    """Changes from rows in Resource Graph form, with the sequence number of each, and from the ids of what was deleted.

    The shapes cover what is known ahead of the type, too. since: as in `Changes`.
    """
    import pyarrow as pa

    keys = {key_of(id_): sequence for id_, sequence in (deleted or {}).items()}
    hot_since = None if since is None else pa.array(since, pa.int64())
    return Changes(*_delivery(table, resource_type, rows, sequences), keys, hot_since)


def records_of(table: str, resource_type: str, rows: Sequence[Row], sequences: Sequence[int], until: datetime) -> Records:
    """Records from rows in Resource Graph form, with the sequence number of each."""
    return Records(*_delivery(table, resource_type, rows, sequences), until)


def _delivery(
    table: str, resource_type: str, rows: Sequence[Row], sequences: Sequence[int]
) -> "tuple[str, str, Mapping[str, Shape], pa.RecordBatch, frozenset[str]]":
    folded = resource_type.lower()
    drafts = Drafts({name: thaw(from_json(shape)) for name, shape in KNOWN_SHAPES.get(folded, {}).items()})
    drafts.widen(rows)
    shapes = drafts.shapes(folded)
    types = frozenset(row["type"] for row in rows)
    return table, folded, shapes, BatchBuilder(partition("", shapes, types)).build(rows, sequences), types


class Cursor(Protocol):
    """What is needed of a DuckDB cursor, in a transaction."""

    def register(self, view_name: str, python_object: object) -> Any: ...  # Any: the cursor again

    def unregister(self, view_name: str) -> Any: ...

    def execute(self, query: str, parameters: object = None) -> Any: ...


def merge(cursor: Cursor, change: Changes, stored: Partition, sources: Sequence[str]) -> None:
    """Bring the changes into their table, as far as they are newer than what is there.

    stored: the partition that takes the rows and covers them. sources: all native tables of the resource table.
    """
    columns = columns_of(stored)
    cursor.register("changes", change.rows)
    cursor.execute(f"CREATE OR REPLACE TEMP TABLE incoming ({', '.join(f'{quoted(name)} {type_}' for name, type_ in columns.items())})")
    cursor.execute(
        f"INSERT INTO incoming SELECT {selections(change.partition, stored, columns)} FROM changes "
        f"QUALIFY row_number() OVER (PARTITION BY {KEY_COLUMN} ORDER BY {SEQUENCE_COLUMN} DESC) = 1"
    )
    cursor.unregister("changes")
    for source in (*map(quoted, sources), f"(FROM _tombstones WHERE \"table\" = '{change.table}')"):
        cursor.execute(
            f"DELETE FROM incoming WHERE EXISTS (FROM {source} AS old "
            f"WHERE old.{KEY_COLUMN} = incoming.{KEY_COLUMN} AND old.{SEQUENCE_COLUMN} >= incoming.{SEQUENCE_COLUMN})"
        )
    _update_hot_columns(cursor, stored, columns)
    for source in sources:
        cursor.execute(f"DELETE FROM {quoted(source)} WHERE {KEY_COLUMN} IN (SELECT {KEY_COLUMN} FROM incoming)")
    cursor.execute(f"INSERT INTO {quoted(stored.source)} BY NAME SELECT * FROM incoming")
    cursor.execute("DROP TABLE incoming")


def _update_hot_columns(cursor: Cursor, stored: Partition, columns: Mapping[str, str]) -> None:
    """Update rows in place where nothing else differs, and take them out of `incoming`."""
    hot = [leaf.held_in for shape in stored.shapes.values() for _, leaf in held_leaves(shape) if leaf.held_in is not None]
    if not hot:
        return
    source = quoted(stored.source)
    cold = [name for name in columns if name not in hot and name != SEQUENCE_COLUMN]
    equal = " AND ".join(f"old.{quoted(name)} IS NOT DISTINCT FROM incoming.{quoted(name)}" for name in cold)
    cursor.execute(f"CREATE OR REPLACE TEMP TABLE warm AS SELECT incoming.{KEY_COLUMN} FROM incoming JOIN {source} AS old ON {equal}")
    assigned = ", ".join(f"{quoted(name)} = incoming.{quoted(name)}" for name in (SEQUENCE_COLUMN, *hot))
    cursor.execute(
        f"UPDATE {source} AS old SET {assigned} FROM incoming "
        f"WHERE old.{KEY_COLUMN} = incoming.{KEY_COLUMN} AND incoming.{KEY_COLUMN} IN (FROM warm)"
    )
    cursor.execute(f"DELETE FROM incoming WHERE {KEY_COLUMN} IN (FROM warm)")
    cursor.execute("DROP TABLE warm")


def append(cursor: Cursor, records: Records, stored: Partition) -> None:
    """Add records to their table. stored: the partition that takes them and covers them."""
    columns = columns_of(stored)
    cursor.register("records", records.rows)
    cursor.execute(f"INSERT INTO {quoted(stored.source)} SELECT {selections(records.partition, stored, columns)} FROM records")
    cursor.unregister("records")
    note_records(cursor, records.table, max(records.rows.column(SEQUENCE_COLUMN).to_pylist()), records.until)


def bury(cursor: Cursor, change: Changes, sources: Sequence[str]) -> None:
    """Delete what was deleted, unless it came back since, and remember the deletions."""
    import pyarrow as pa

    if not change.deleted:
        return
    keys, sequences = pa.array(change.deleted.keys(), pa.string()), pa.array(change.deleted.values(), pa.int64())
    cursor.register("dead", pa.table({KEY_COLUMN: keys, SEQUENCE_COLUMN: sequences}))
    newer = f"SELECT {KEY_COLUMN} FROM dead WHERE dead.{KEY_COLUMN} = old.{KEY_COLUMN} AND dead.{SEQUENCE_COLUMN} > old.{SEQUENCE_COLUMN}"
    for source in sources:
        cursor.execute(f"DELETE FROM {quoted(source)} AS old WHERE EXISTS ({newer})")
    cursor.execute(f"DELETE FROM _tombstones AS old WHERE \"table\" = '{change.table}' AND EXISTS ({newer})")
    cursor.execute(
        f"INSERT INTO _tombstones SELECT '{change.table}', {KEY_COLUMN}, {SEQUENCE_COLUMN} FROM dead "
        f"WHERE {KEY_COLUMN} NOT IN (SELECT {KEY_COLUMN} FROM _tombstones WHERE \"table\" = '{change.table}')"
    )
    cursor.unregister("dead")
