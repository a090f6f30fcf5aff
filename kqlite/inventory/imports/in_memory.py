"""Rows in memory, sorted into the partitions that they belong to: the quick way in, for as much as fits in memory."""

from collections import defaultdict
from collections.abc import Container, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from kqlite.inventory.shapes.batches import BatchBuilder, Drafts, Row, key_of
from kqlite.inventory.shapes.change_batches import Incoming
from kqlite.inventory.shapes.resource_tables import table_of
from kqlite.inventory.store.partitioning import ENOUGH_ROWS as ENOUGH_ROWS
from kqlite.inventory.store.partitioning import has_own_partition as has_own_partition
from kqlite.language.schema import Partition

if TYPE_CHECKING:
    import pyarrow as pa

BATCH_ROWS = 2_000


def cluster_key(row: Row) -> tuple[str, str, str]:
    """What rows of a partition are sorted by, within a type: near rows are alike, so they compress well and are skipped together."""
    return (row.get("subscriptionId") or "", row.get("resourceGroup") or "", row.get("name") or "")


def incoming(rows: Iterable[Row], enough_rows: int = ENOUGH_ROWS, shaped_types: Container[str] = ()) -> list[Incoming]:
    """The rows by partition; of two with one id in one table the last is kept.

    rows: each with no fault, as `batches.fault_of` finds them.
    enough_rows: how many rows of a type make a partition of its own. shaped_types: those that have one already.
    """
    newest: dict[tuple[str, str], Row] = {}
    for row in rows:
        newest[table_of(row["type"]), key_of(row["id"])] = row
    by_type: dict[tuple[str, str], list[Row]] = defaultdict(list)
    for (table, _), row in newest.items():
        by_type[table, row["type"].lower()].append(row)
    own = {place: rows for place, rows in by_type.items() if has_own_partition(place[1], len(rows), enough_rows, shaped_types)}
    shared: dict[str, list[Row]] = defaultdict(list)
    for place in sorted(by_type.keys() - own.keys()):
        shared[place[0]] += sorted(by_type[place], key=cluster_key)
    return [_own(*place, rows) for place, rows in sorted(own.items())] + [_shared(table, rows) for table, rows in shared.items()]


def _own(table: str, resource_type: str, rows: list[Row]) -> Incoming:
    drafts = Drafts()
    drafts.widen(rows)
    rows.sort(key=cluster_key)
    return Incoming(table, resource_type, drafts.shapes(resource_type), _types(rows), lambda part: _batches(part, rows))


def _shared(table: str, rows: list[Row]) -> Incoming:
    drafts = Drafts()
    drafts.widen(rows)
    return Incoming(table, None, drafts.json_shapes(), _types(rows), lambda part: _batches(part, rows))


def _types(rows: Iterable[Row]) -> frozenset[str]:
    return frozenset(row["type"] for row in rows)


def _batches(part: Partition, rows: Sequence[Row]) -> "Iterator[pa.RecordBatch]":
    builder = BatchBuilder(part)
    for start in range(0, len(rows), BATCH_ROWS):
        yield builder.build(rows[start : start + BATCH_ROWS])
