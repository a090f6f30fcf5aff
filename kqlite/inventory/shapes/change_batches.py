"""What is handed to the store: rows that are imported; changes of resources, and records of what happened to them."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING

from kqlite.inventory.shapes.batches import BatchBuilder, Drafts, Row, key_of, partition
from kqlite.inventory.shapes.documents import InventoryError
from kqlite.inventory.shapes.known_shapes import KNOWN_SHAPES
from kqlite.inventory.shapes.shapes import from_json, thaw
from kqlite.language.schema import Partition, Shape

if TYPE_CHECKING:
    import pyarrow as pa


class HotColumnsMissing(InventoryError):
    """The store holds no hot leaves of a type beside its documents, because some that were imported have another form: bring whole rows."""

    def __init__(self, resource_type: str) -> None:
        self.resource_type = resource_type
        super().__init__(f"the rows of `{resource_type}` take changes only as whole rows")


@dataclass(frozen=True)
class Incoming:
    """Rows of one partition on their way in.

    resource_type: the one type that they are of, folded, for a partition of its own; None for the one that types share.
    shapes: cover all rows.
    batches: gives the rows as batches of the physical schema of the partition it is handed; may be asked twice.
    """

    table: str
    resource_type: str | None
    shapes: Mapping[str, Shape]
    types: frozenset[str]
    batches: Callable[[Partition], "Iterator[pa.RecordBatch]"]

    @property
    def source(self) -> str:
        """The name of the native table."""
        return self.table if self.resource_type is None else f"{self.table}/{self.resource_type}"


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
    """What happened to resources of one type; one resource may have several rows. An id is of one type for ever.

    deleted: the sequence number of the deletion, by key.
    since: for each row the sequence number from which on only hot leaves were changed: a stored row that is not older has its hot columns
    updated, an older one, or none, is replaced by the whole row. An object that comes or goes with its leaves is no hot change. None where
    nobody knows, so that rows are compared.
    hot: of resources that changed in hot leaves alone, and have no row in `rows`: `_key`, `_seq`, and the columns in which this partition
    holds the hot leaves of the type. They are written where a row is stored whose sequence number is not higher. It may have `_changed`,
    which says what need not be looked at because it is as it is stored.
    """

    deleted: Mapping[str, int] = field(default_factory=dict)
    since: "pa.Int64Array | None" = None
    hot: "pa.RecordBatch | None" = None


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
