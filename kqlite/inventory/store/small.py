"""A small inventory in memory, as Arrow tables that queries scan in place.

To bring a change into DuckDB's own tables takes a dozen statements for each type, and a tenth of a second for one machine; here it takes a
few milliseconds, as long as there are few rows. A value that never changes: snapshots keep the one they began with.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING

from kqlite.inventory.shapes.batches import BatchBuilder, columns_of, documents, marked, partition
from kqlite.inventory.shapes.change_batches import Changes, Delivery, HotColumnsMissing, Incoming, Records
from kqlite.inventory.shapes.resource_tables import CHANGED_COLUMN, KEY_COLUMN, SEQUENCE_COLUMN
from kqlite.inventory.store import partition_tables, system_tables
from kqlite.inventory.store.partition_tables import Cursor
from kqlite.inventory.store.schema_evolution import covering
from kqlite.language.schema import Partition, Shape

if TYPE_CHECKING:
    import pyarrow as pa

MOST_ROWS = 1_000
MOST_RECORDS = 20_000
"""With more rows than that the engine's own tables are faster, and records are appended to them as fast."""

_MOST_CHUNKS = 16


@dataclass(frozen=True)
class HeldPartition:
    """The rows of one partition.

    covered: the shapes that it has covered last: the same ones again need no look. as_given: whether rows of these shapes come in its form.
    """

    part: Partition
    rows: "pa.Table"
    covered: Mapping[str, Shape] | None = None
    as_given: bool = True

    @cached_property
    def shown(self) -> "pa.Table":
        """The rows as DuckDB scans them."""
        import pyarrow as pa

        batches = [marked(batch, self.part) for batch in self.rows.to_batches()]
        return pa.Table.from_batches(batches or [marked(BatchBuilder(self.part).build([]), self.part)])

    @cached_property
    def places(self) -> dict[str, int]:
        """Where the row of each key is."""
        return {key: place for place, key in enumerate(self.rows.column(KEY_COLUMN).to_pylist())}


@dataclass(frozen=True)
class Small:
    """The inventory.

    Args:
        version: How often its partitions were changed.
        tables: The partitions, by resource table and source.
        watermark: The time up to which the inventory is complete.
        feed_offset: How far the snapshotter has read the change feed, in its own text.
        tombstones: By resource table and key, the sequence number of the deletion.
        noted: By resource table and minute, the highest sequence number of the minute's records, and the time of the newest.
    """

    version: int = 0
    tables: Mapping[str, Mapping[str, HeldPartition]] = field(default_factory=dict)
    watermark: datetime | None = None
    feed_offset: str | None = None
    tombstones: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    noted: Mapping[tuple[str, datetime], tuple[int, datetime]] = field(default_factory=dict)

    @classmethod
    def of(cls, incoming: Iterable[Incoming], watermark: datetime | None) -> "Small":
        """What is imported into an empty inventory."""
        import pyarrow as pa

        tables: dict[str, dict[str, HeldPartition]] = {}
        for given in incoming:
            part = partition(given.source, given.shapes, given.types)
            rows = pa.Table.from_batches(given.batches(part), BatchBuilder(part).schema)
            tables.setdefault(given.table, {})[part.source] = HeldPartition(part, rows)
        return cls(tables=tables, watermark=watermark)

    @property
    def resources(self) -> dict[str, tuple[Partition, ...]]:
        """The partitions, by resource table."""
        return {table: tuple(held.part for held in sources.values()) for table, sources in self.tables.items()}

    def by_source(self) -> dict[str, HeldPartition]:
        """What there is, by source."""
        return {source: held for sources in self.tables.values() for source, held in sources.items()}

    def applied(self, deliveries: Sequence[Delivery], watermark: datetime | None, feed_offset: str | None) -> "Small | None":
        """The inventory with changes and records, as `Store.apply` says; None where it is no small one any more."""
        if self._is_too_much(deliveries):
            return None
        tables = {table: dict(sources) for table, sources in self.tables.items()}
        tombstones = {table: dict(keys) for table, keys in self.tombstones.items()}
        noted = dict(self.noted)
        for delivery in deliveries:
            sources = tables.setdefault(delivery.table, {})
            old = sources.get(delivery.source)
            held = _covering(old, delivery)
            if isinstance(delivery, Changes):
                sources[delivery.source] = _with_changes(held, delivery, tombstones.setdefault(delivery.table, {}))
            elif isinstance(delivery, Records) and delivery.rows.num_rows:
                sources[delivery.source] = replace(held, rows=_joined(held.rows, _as_stored(held, delivery)))
                _note(noted, delivery)
            else:
                sources[delivery.source] = held
        later = max((time for time in (self.watermark, watermark) if time is not None), default=None)
        after = replace(
            self, tables=tables, tombstones=tombstones, noted=noted, watermark=later, feed_offset=feed_offset or self.feed_offset
        )
        return after if after.resources == self.resources else replace(after, version=self.version + 1)

    def _is_too_much(self, deliveries: Sequence[Delivery]) -> bool:
        recorded = {delivery.table for delivery in deliveries if isinstance(delivery, Records)} | {table for table, _ in self.noted}
        rows = records = 0
        there = [(table, held.rows.num_rows) for table, sources in self.tables.items() for held in sources.values()]
        for table, count in (*there, *((delivery.table, delivery.rows.num_rows) for delivery in deliveries)):
            if table in recorded:
                records += int(count)
            else:
                rows += int(count)
        return rows > MOST_ROWS or records > MOST_RECORDS

    def without_deletions(self, sequence: int) -> "Small":
        """The same, with the deletions up to a sequence number forgotten."""
        left = {table: {key: at for key, at in keys.items() if at > sequence} for table, keys in self.tombstones.items()}
        return replace(self, tombstones=left)

    def without_records(self, table: str, before: datetime) -> "Small":
        """The same, without the records of a table that are older than a time, to the minute."""
        old = {at: noted for at, noted in self.noted.items() if at[0] == table and noted[1] < before}
        if not old:
            return self
        sequence = max(highest for highest, _ in old.values())
        left = {source: replace(held, rows=_without(held.rows, sequence)) for source, held in self.tables[table].items()}
        noted = {at: each for at, each in self.noted.items() if at not in old}
        return replace(self, tables={**self.tables, table: left}, noted=noted)

    def write(self, cursor: Cursor) -> None:
        """Write everything into the empty database `inventory`."""
        for held in self.by_source().values():
            partition_tables.create(cursor, held.part.source, held.part, in_file=False)
            partition_tables.insert(cursor, held.part.source, held.part, iter(held.rows.to_batches()))
        for table, keys in self.tombstones.items():
            system_tables.note_deletions(cursor, table, keys)
        for (table, _), (sequence, until) in self.noted.items():
            system_tables.note_records(cursor, table, sequence, until)


def _covering(old: HeldPartition | None, delivery: Delivery) -> HeldPartition:
    """What is held, in a partition that covers what comes, too."""
    if old is None:
        part = delivery.partition
        return HeldPartition(part, BatchBuilder(part).schema.empty_table(), delivery.shapes)
    if old.covered == delivery.shapes and delivery.types <= (old.part.types or frozenset()):
        return old
    part = covering(old.part, delivery.shapes, delivery.types, delivery.resource_type)
    columns = columns_of(part)
    rows = old.rows if columns == columns_of(old.part) else _built(part, old.rows, old.part)
    return HeldPartition(part, rows, delivery.shapes, columns == columns_of(delivery.partition))


def _built(part: Partition, rows: "pa.Table | pa.RecordBatch", made_for: Partition) -> "pa.Table":
    """Rows made for one partition in the form of another, which covers it."""
    import pyarrow as pa

    batch = BatchBuilder(part).build(list(documents(rows, made_for)), rows.column(SEQUENCE_COLUMN).to_pylist())
    return pa.Table.from_batches([batch])


def _as_stored(held: HeldPartition, delivery: Delivery) -> "pa.Table":
    """The rows of a delivery in the form of what is held."""
    import pyarrow as pa

    if held.as_given:
        return pa.Table.from_batches([delivery.rows]).select(held.rows.schema.names)
    return _built(held.part, delivery.rows, delivery.partition)


def _joined(rows: "pa.Table", more: "pa.Table") -> "pa.Table":
    import pyarrow as pa

    together = pa.concat_tables([rows, more.cast(rows.schema)])
    return together if together.column(0).num_chunks <= _MOST_CHUNKS else together.combine_chunks()


def _without(rows: "pa.Table", sequence: int) -> "pa.Table":
    return rows.filter([not 1 <= at <= sequence for at in rows.column(SEQUENCE_COLUMN).to_pylist()])


def _note(noted: dict[tuple[str, datetime], tuple[int, datetime]], records: Records) -> None:
    at = records.table, records.until.replace(second=0, microsecond=0)
    highest, newest = noted.get(at, (0, records.until))
    noted[at] = max(highest, *records.rows.column(SEQUENCE_COLUMN).to_pylist()), max(newest, records.until)


def _with_changes(held: HeldPartition, change: Changes, tombstones: dict[str, int]) -> HeldPartition:
    """What is held, with the changes that are newer than it. tombstones: the deletions of its table, to which those of the change come."""
    places, sequences = held.places, held.rows.column(SEQUENCE_COLUMN).to_pylist()
    gone: set[int] = set()
    new: list[int] = []
    for key, (sequence, index) in _newest(change, tombstones).items():
        place = places.get(key)
        if index is None:
            tombstones[key] = sequence
        if place is not None and sequences[place] >= sequence:
            continue
        if place is not None:
            gone.add(place)
        if index is not None:
            new.append(index)
    rows = held.rows if change.hot is None else _with_leaves(held, change, change.hot, tombstones)
    if gone:
        rows = rows.filter([place not in gone for place in range(rows.num_rows)])
    if new:
        rows = _joined(rows, _as_stored(held, change).take(new))
    return held if rows is held.rows else replace(held, rows=rows)


def _newest(change: Changes, tombstones: Mapping[str, int]) -> dict[str, tuple[int, int | None]]:
    """Of each key that comes the newest sequence number and its row, or None for a deletion; what was deleted later is left out."""
    newest: dict[str, tuple[int, int | None]] = {}
    keys, sequences = (change.rows.column(name).to_pylist() for name in (KEY_COLUMN, SEQUENCE_COLUMN))
    for index, (key, sequence) in enumerate(zip(keys, sequences, strict=True)):
        if sequence > max(tombstones.get(key, 0), newest.get(key, (0, None))[0]):
            newest[key] = sequence, index
    for key, sequence in change.deleted.items():
        if sequence > max(tombstones.get(key, 0), newest.get(key, (0, None))[0]):
            newest[key] = sequence, None
    return newest


def _with_leaves(held: HeldPartition, change: Changes, hot: "pa.RecordBatch", tombstones: Mapping[str, int]) -> "pa.Table":
    """The rows with the hot leaves of those that changed in nothing else. Raises HotColumnsMissing where they have another form here."""
    import pyarrow as pa

    rows = held.rows
    given = [name for name in hot.schema.names if name not in (KEY_COLUMN, SEQUENCE_COLUMN, CHANGED_COLUMN)]
    if not held.as_given:
        mine, theirs = columns_of(held.part), columns_of(change.partition)
        if any(mine.get(name) != theirs[name] for name in given):
            raise HotColumnsMissing(change.resource_type)
    columns = {name: rows.column(name).to_pylist() for name in (SEQUENCE_COLUMN, *given)}
    leaves = {name: hot.column(name).to_pylist() for name in (KEY_COLUMN, SEQUENCE_COLUMN, *given)}
    for index, (key, sequence) in enumerate(zip(leaves[KEY_COLUMN], leaves[SEQUENCE_COLUMN], strict=True)):
        place = held.places.get(key)
        if place is None or columns[SEQUENCE_COLUMN][place] > sequence or tombstones.get(key, 0) >= sequence:
            continue
        for name, values in columns.items():
            values[place] = leaves[name][index]
    for name, values in columns.items():
        at = rows.schema.get_field_index(name)
        rows = rows.set_column(at, rows.schema.field(at), pa.chunked_array([pa.array(values, rows.schema.field(at).type)]))
    return rows
