"""Which partition takes the rows of a delivery. The partition is made, widened, or split off the shared one before the rows come.

An example for the table `resources` and the type `x/y`, with `ENOUGH_ROWS` = 1,000:

| delivery | rows of `x/y` before | what happens | partition of `x/y` after |
|---|---|---|---|
| 400 rows | none | the shared partition is widened with the type | `resources`, dynamic columns as JSON |
| 700 rows | 400, shared | 1,100 rows are enough: the 400 move out | `resources/x/y`, with shapes |
| 5 rows | 1,100 | the partition is widened where the rows need it | `resources/x/y` |

A type with hot leaves, and a table of records, has its own partition from its first row on. No type goes back to the shared partition.
"""

from collections.abc import Container
from typing import TYPE_CHECKING, Any, Protocol

from kqlite.inventory.shapes.batches import BatchBuilder, Drafts, columns_of, documents, partition
from kqlite.inventory.shapes.catalog import InventoryCatalog
from kqlite.inventory.shapes.change_batches import Delivery, Records
from kqlite.inventory.shapes.resource_tables import HOT_LEAVES, SEQUENCE_COLUMN
from kqlite.inventory.shapes.shapes import join
from kqlite.inventory.shapes.sql_text import identifier
from kqlite.inventory.store import partition_tables
from kqlite.inventory.store.schema_evolution import alterations, covering, covering_in_place
from kqlite.language.schema import JsonLeaf, Partition, Shape

if TYPE_CHECKING:
    import pyarrow as pa

ROWS_TO_ALTER = 20_000
"""A table of fewer rows is written anew sooner than altered."""


ENOUGH_ROWS = 1_000
"""A type of so many rows has a partition of its own; planning a union of hundreds of partitions would cost more than they save."""


def has_own_partition(resource_type: str, rows: int, enough_rows: int = ENOUGH_ROWS, shaped_types: Container[str] = ()) -> bool:
    """Whether the rows of a type get a partition of their own.

    Args:
        resource_type: Folded. A type with a NUL in its name never gets a partition: no native table can be named after it.
        rows: How many rows of the type there are.
        enough_rows: How many rows are enough for a partition.
        shaped_types: The types that have a partition already.
    """
    return "\0" not in resource_type and (rows >= enough_rows or resource_type in HOT_LEAVES or resource_type in shaped_types)


class Cursor(Protocol):
    """What is needed of a DuckDB cursor, in a transaction."""

    def register(self, view_name: str, python_object: object) -> Any: ...  # Any: the cursor again

    def unregister(self, view_name: str) -> Any: ...

    def execute(self, query: str, parameters: object = None) -> Any: ...

    def sql(self, query: Any, *, alias: str = "", params: object = None) -> Any: ...  # Any: DuckDB's own relation


def place(cursor: Cursor, catalog: InventoryCatalog, delivery: Delivery, in_file: bool) -> tuple[InventoryCatalog, Partition]:
    """The partition for a delivery's rows, which covers them, and the catalog with it.

    A type of few rows goes to the partition that types share; when it has rows enough, all of them leave it for one of its own.
    """
    table, type_ = delivery.table, delivery.resource_type
    own = catalog.partition(table, delivery.source)
    if own is not None:
        widened = _widened(cursor, own, delivery, in_file)
        return catalog.with_partitions([(table, widened)]), widened
    shared = catalog.partition(table, table)
    moved = shared if shared is not None and shares(shared, type_) else None
    rows = delivery.rows.num_rows + (0 if moved is None else _count(cursor, moved.source, type_))
    if isinstance(delivery, Records) or has_own_partition(type_, rows):
        return _on_its_own(cursor, catalog, delivery, moved, in_file)
    # What types share is JSON, whatever the shapes of each.
    needed = partition(table, {name: _as_json(shape) for name, shape in delivery.shapes.items()}, delivery.types)
    widened = _shared(cursor, shared, needed, in_file)
    return catalog.with_partitions([(table, widened)]), widened


def _as_json(shape: Shape) -> Shape:
    held = join(shape, JsonLeaf())
    assert held is not None
    return held


def shares(shared: Partition, resource_type: str) -> bool:
    """Whether the partition that types share has rows of this type, folded."""
    return any(type_.lower() == resource_type for type_ in shared.types or ())


def _count(cursor: Cursor, source: str, resource_type: str) -> int:
    of_type = f"SELECT count(*) FROM {identifier(source)} WHERE lower(type) = $type"
    [(count,)] = cursor.execute(of_type, {"type": resource_type}).fetchall()
    return int(count)


def _shared(cursor: Cursor, old: Partition | None, needed: Partition, in_file: bool) -> Partition:
    if old is None:
        partition_tables.create(cursor, needed.source, needed, in_file)
        return needed
    new = covering_in_place(old, needed.shapes, needed.types or frozenset(), None)
    _change(cursor, old, new, new, in_file, rows=ROWS_TO_ALTER)
    return new


def _widened(cursor: Cursor, old: Partition, delivery: Delivery, in_file: bool) -> Partition:
    needed = (delivery.shapes, delivery.types, delivery.resource_type)
    new = covering_in_place(old, *needed)
    if columns_of(new) == columns_of(old):
        return new
    [(rows,)] = cursor.execute(f"SELECT count(*) FROM {identifier(old.source)}").fetchall()
    return _change(cursor, old, new, covering(old, *needed), in_file, rows)


def _change(cursor: Cursor, old: Partition, altered: Partition, anew: Partition, in_file: bool, rows: int) -> Partition:
    statements = alterations(old, altered) if rows >= ROWS_TO_ALTER else None
    if statements is None:
        partition_tables.rewrite(cursor, old, anew, in_file)
        return anew
    for statement in statements:
        cursor.execute(statement)
    return altered


def _on_its_own(
    cursor: Cursor, catalog: InventoryCatalog, delivery: Delivery, shared: Partition | None, in_file: bool
) -> tuple[InventoryCatalog, Partition]:
    if shared is None:
        partition_tables.create(cursor, delivery.source, delivery.partition, in_file)
        return catalog.with_partitions([(delivery.table, delivery.partition)]), delivery.partition
    of_type = f"FROM {identifier(shared.source)} WHERE lower(type) = $type"
    moving: pa.Table = cursor.sql(f"SELECT * {of_type}", params={"type": delivery.resource_type}).to_arrow_table()
    rows = list(documents(moving, shared))
    drafts = Drafts()
    drafts.widen(rows)
    types = frozenset(type_ for type_ in shared.types or () if type_.lower() == delivery.resource_type)
    before = partition(delivery.source, drafts.shapes(delivery.resource_type), types)
    own = covering(before, delivery.shapes, delivery.types, delivery.resource_type)
    partition_tables.create(cursor, own.source, own, in_file)
    partition_tables.insert(cursor, own.source, own, iter([BatchBuilder(own).build(rows, moving.column(SEQUENCE_COLUMN).to_pylist())]))
    cursor.execute(f"DELETE {of_type}", {"type": delivery.resource_type})
    left = partition(shared.source, shared.shapes, (shared.types or frozenset()) - types)
    return catalog.with_partitions([(delivery.table, left), (delivery.table, own)]), own
