"""The store: resource tables and registered tables as native DuckDB tables, in a file or in memory.

One transaction changes rows, catalog and watermark together; a snapshot reads all three in one transaction of its own. What lies where:
the database `inventory` has the partitions and the store's own tables; DuckDB's `memory` has the tables that a user registered, for as long
as the store is open. A few documents in a fresh store in memory stay in Arrow until something is written: to load them would take longer
than to answer the first query.
"""

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from kqlite.directory.data_directory import DataDirectory
from kqlite.inventory.shapes.arrow_types import Normalised, normalise
from kqlite.inventory.shapes.batches import partition
from kqlite.inventory.shapes.catalog import InventoryCatalog, read_partitions, same_name
from kqlite.inventory.shapes.change_batches import Changes, Delivery, Incoming, Records
from kqlite.inventory.shapes.documents import InventoryError
from kqlite.inventory.shapes.resource_tables import KEY_COLUMN, SEQUENCE_COLUMN
from kqlite.inventory.shapes.sql_text import identifier
from kqlite.inventory.store import imports, partition_tables, system_tables
from kqlite.inventory.store.database import Cursor, Database, OutOfMemory
from kqlite.inventory.store.hash_index import HashIndexes
from kqlite.inventory.store.imports import Coverage
from kqlite.inventory.store.maintenance import MERGES, Wear
from kqlite.inventory.store.partitioning import place, shares
from kqlite.inventory.store.registered import Registry, registered_source, resource_schema, table_of
from kqlite.inventory.store.schema_evolution import covering
from kqlite.inventory.store.small import Small
from kqlite.inventory.store.snapshot import OpenSnapshots, Snapshot
from kqlite.inventory.store.system_tables import State
from kqlite.inventory.store.upsert import WrittenRows, append, upsert
from kqlite.language.schema import Partition

if TYPE_CHECKING:
    import pyarrow as pa

_REGISTRATION_BITS = 24
"""A catalog's version is the stored one, and below it how many tables were registered since the store was opened."""


@dataclass(frozen=True)
class _View:
    """What snapshots see apart from the database `inventory`; replaced as a whole.

    held: None once the database `inventory` is there, and has everything.
    """

    registry: Registry
    held: Small | None


class Store:
    """An inventory in DuckDB. Any number of threads may hold snapshots while one writes."""

    def __init__(
        self,
        directory: DataDirectory | None,
        optimizer: bool = True,
        fed: bool = False,
        time_limit: timedelta | None = None,
        stays_small: bool = False,
    ) -> None:
        """directory: where the database lies, closed with the store; None keeps everything in memory. The rest as in `open`."""
        self._directory = directory
        self._in_file = directory is not None
        self._fed = fed
        self._database = Database(directory, optimizer, fed)
        self._writer = threading.Lock()
        self._state = threading.Lock()
        self._view = _View(Registry(), Small() if directory is None else None)
        self._stays_small = stays_small
        self._resources: dict[int, Mapping[str, tuple[Partition, ...]]] = {}
        self._retired: list[str] = []
        self._open = OpenSnapshots(time_limit)
        self._hashes = HashIndexes()

    @classmethod
    def in_memory(cls, optimizer: bool = True, *, time_limit: timedelta | None = None, stays_small: bool = False) -> "Store":
        """An empty inventory that ends with the process.

        stays_small: changes leave it in Arrow for as long as it has few rows (`small.py`).
        """
        return cls(None, optimizer, time_limit=time_limit, stays_small=stays_small)

    @classmethod
    def open(cls, directory: DataDirectory, optimizer: bool = True, *, fed: bool = False, time_limit: timedelta | None = None) -> "Store":
        """The inventory of a data directory, to be read, and written too if the directory is held alone.

        fed: changes come from a log that keeps all since the stored feed offset. Then what is applied becomes durable with the next
        checkpoint, and after a crash the file is as it was at the last one, rows, watermark and feed offset alike; loaded rows are durable
        at once, as ever. time_limit: how long a snapshot may last; one that is held longer keeps checkpoints waiting, and memory.
        Raises InventoryError.
        """
        return cls(directory, optimizer, fed, time_limit)

    def close(self) -> None:
        """End the store, and let others have its directory; snapshots must have ended."""
        self.end()
        if self._directory is not None:
            self._directory.close()

    def end(self) -> None:
        """End the store and keep its directory; snapshots must have ended."""
        self._open.close()
        if self._fed:
            with suppress(InventoryError):  # a full disk: the log has what the file lacks
                self.checkpoint(merges=0)
        self._database.close()

    @property
    def wear(self) -> Wear:
        """What changes did to the tables."""
        return self._database.wear

    @property
    def is_small(self) -> bool:
        """Whether all of it is in Arrow yet, and nothing in tables of the engine."""
        return self._view.held is not None

    @property
    def is_new(self) -> bool:
        """Whether it is in memory and nothing was ever put into it."""
        return self._view == _View(Registry(), Small())

    # Reading

    @contextmanager
    def snapshot(self) -> Iterator[Snapshot]:
        """Catalog, rows and watermark as of now, for as long as the block runs."""
        with self._state:
            view = self._view
            self._open.entered()
        with self._database.reading(made=view.held is None) as cursor:
            snapshot = None
            try:
                snapshot = self._snapshot(cursor, view)
                self._open.begun(snapshot)
                yield snapshot
            finally:
                self._open.left(snapshot)

    def _snapshot(self, cursor: Cursor, view: _View) -> Snapshot:
        view.registry.show(cursor)
        if view.held is None:
            cursor.execute("BEGIN TRANSACTION")
            state = self._database.state(cursor)
            return Snapshot(cursor, self._catalog(cursor, state.version, view.registry), state.watermark, state.feed_offset)
        small = view.held
        catalog = InventoryCatalog(small.version << _REGISTRATION_BITS | view.registry.changes, small.resources, view.registry.tables)
        return Snapshot(cursor, catalog, small.watermark, small.feed_offset, small.by_source())

    def _catalog(self, cursor: Cursor, version: int, registry: Registry) -> InventoryCatalog:
        resources = self._resources.get(version)
        if resources is None:
            resources = read_partitions(system_tables.partitions(cursor))
            # What an open snapshot binds against is its own; only the newest is worth keeping for the next one.
            self._resources = {version: resources}
        return InventoryCatalog((version + 1) << _REGISTRATION_BITS | registry.changes, resources, registry.tables)

    def feed_offset(self) -> str | None:
        """The feed offset as of the last transaction; None where no feed brings changes."""
        with self.snapshot() as snapshot:
            return snapshot.feed_offset

    def sequences(self, table: str, resource_type: str | None = None) -> "pa.Table":
        """The columns `_key` and `_seq` of all rows of a resource table, in no order; those of one type (any case) if one is named."""
        with self.snapshot() as snapshot:
            parts = snapshot.catalog.resources.get(table.lower(), ())
            wanted = "" if resource_type is None else " WHERE lower(type) = $type"
            listed = (f"SELECT {KEY_COLUMN}, {SEQUENCE_COLUMN} FROM {identifier(part.source)}{wanted}" for part in parts)
            empty = f"SELECT '' AS {KEY_COLUMN}, 0::BIGINT AS {SEQUENCE_COLUMN} LIMIT 0"
            sql = " UNION ALL ".join(listed) or empty
            return snapshot.run(sql, {"type": resource_type.lower()} if resource_type is not None and parts else None)

    def shaped_types(self) -> frozenset[str]:
        """The types, folded, that have a partition of their own."""
        with self.snapshot() as snapshot:
            sources = (part.source for parts in snapshot.catalog.resources.values() for part in parts)
            return frozenset(source.partition("/")[2] for source in sources if "/" in source)

    # Writing

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """The one writer, with everything in the database."""
        with self._writer:
            held = self._view.held
            if held is not None:
                self._database.make_in_memory()
                self._write(held)
                with self._state:
                    self._view = _View(self._view.registry, None)
            yield

    def _write(self, small: Small) -> None:
        with self._database.writing() as cursor:
            before = system_tables.state(cursor)
            small.write(cursor)
            after = State(before.version + 1 + small.version, small.watermark, small.feed_offset)
            system_tables.write_catalog(cursor, InventoryCatalog(0, small.resources, {}), after.version)
            system_tables.advance(cursor, before, after)

    def hold(self, incoming: Iterable[Incoming], watermark: datetime | None = None) -> None:
        """As `load`, but where the store is fresh and in memory the rows stay in Arrow, for a first answer without delay."""
        if not self.is_new:
            self.load(incoming, watermark)
            return
        small = Small.of(incoming, watermark)
        with self._state:
            self._view = _View(Registry(changes=1), small)

    def load(
        self,
        incoming: Iterable[Incoming],
        watermark: datetime | None = None,
        *,
        as_of: datetime | None = None,
        replaces: Coverage | None = None,
    ) -> None:
        """Take in rows, all or none. Partitions are made, or widened, as the shapes need.

        A row replaces the one of the same id in the same table, unless the stored one is of a later time.

        Args:
            incoming: Rows whose ids are unique.
            watermark: The time up to which the inventory is complete with them; it never goes back. None with `as_of`.
            as_of: The time of which the rows are. Then the watermark is the oldest such time of all rows in the store, which may be before
                the stored one.
            replaces: What of the inventory the rows cover: what is stored of it, and is not among them, is deleted. With `as_of` alone.
        """
        with self._alone():
            self._load(incoming, watermark, as_of, replaces)
            if not self._checkpoint() and self._fed:
                self._database.force_checkpoint()  # there is no other way to make it durable

    def _load(self, incoming: Iterable[Incoming], watermark: datetime | None, as_of: datetime | None, replaces: Coverage | None) -> None:
        with self._database.writing() as cursor:
            before = system_tables.state(cursor)
            catalog = self._catalog(cursor, before.version, self._view.registry)
            sequence = 0 if as_of is None else imports.next_sequence(cursor, catalog.resources, as_of)
            if replaces is not None:
                imports.begin_replacing(cursor)
            changed = []
            for rows in incoming:
                new = self._put(cursor, catalog, rows, sequence, notes=replaces is not None)
                changed.append((rows.table, new))
            for table, new in changed:
                partition_tables.supersede(cursor, new.source, catalog.resources.get(table, ()), sequence)
            after_catalog = catalog.with_partitions(changed)
            if replaces is not None:
                imports.replace(cursor, after_catalog.resources, replaces)
            if as_of is not None:
                watermark = imports.complete_until(cursor, after_catalog.resources, before.watermark, as_of)
            after = replace(before, version=before.version + 1, watermark=watermark)
            system_tables.write_catalog(cursor, after_catalog, after.version)
            system_tables.advance(cursor, before, after, may_go_back=as_of is not None)

    def _put(self, cursor: Cursor, catalog: InventoryCatalog, rows: Incoming, sequence: int, *, notes: bool) -> Partition:
        old = catalog.partition(rows.table, rows.source)
        if old is None:
            new = partition(rows.source, rows.shapes, rows.types)
            partition_tables.create(cursor, new.source, new, self._in_file)
            partition_tables.insert(cursor, new.source, new, rows.batches(new), sequence)
            if notes:
                imports.note_rows(cursor, rows.table, new.source)
            return new
        new = covering(old, rows.shapes, rows.types, rows.resource_type)
        with partition_tables.replacing(cursor, old, new, self._in_file) as fresh:
            partition_tables.insert(cursor, fresh, new, rows.batches(new), sequence)
            if notes:
                imports.note_rows(cursor, rows.table, fresh)
        return new

    def apply(
        self, changes: Iterable[Changes], watermark: datetime | None, feed_offset: str | None = None, records: Iterable[Records] = ()
    ) -> None:
        """Bring changes in, add records, and bring the watermark forward, in one transaction.

        A change that is not newer than what is stored changes nothing. Records are added as they are: whoever may bring them again asks
        for the feed offset first. feed_offset: how far the change feed was read, as text of the feed's own; None leaves the stored one.
        """
        written: list[tuple[str, WrittenRows]] = []
        deliveries = [*changes, *records]
        if self._stays_small and self._change_small(lambda small: small.applied(deliveries, watermark, feed_offset)):
            return
        with self._alone():
            indexes = self._indexes(deliveries)
            with self._database.writing() as cursor:
                before = system_tables.state(cursor)
                catalog = first = self._catalog(cursor, before.version, self._view.registry)
                for delivery in deliveries:
                    known = catalog.partition(delivery.table, delivery.source)
                    catalog, stored = place(cursor, catalog, delivery, self._in_file)
                    # It does not know of rows that this transaction has inserted, or moved to make room for others.
                    index = indexes.pop(stored.source, None) if stored == known else None
                    written.append((stored.source, _bring_in(cursor, catalog, delivery, stored, index)))
                version = before.version
                if catalog != first:
                    version += 1
                    system_tables.write_catalog(cursor, catalog, version)
                after = State(version, watermark, before.feed_offset if feed_offset is None else feed_offset)
                system_tables.advance(cursor, before, after)
            self.wear.note(written)
            if catalog != first:
                self._forget_indexes()

    def _change_small(self, change: Callable[[Small], Small | None]) -> bool:
        """Put a changed inventory in the place of the small one; False where there is none, or none any more."""
        with self._writer:
            held = self._view.held
            after = None if held is None else change(held)
            if after is None:
                return False
            with self._state:
                self._view = replace(self._view, held=after)
        return True

    def _indexes(self, deliveries: Iterable[Delivery]) -> dict[str, str]:
        """The hash indexes of the native tables to which changes go, as far as these have one."""
        if not self._fed:
            return {}  # DuckDB makes checkpoints as it likes, and they move rows
        found: dict[str, str] = {}
        with closing(self._database.bare_cursor()) as cursor, suppress(OutOfMemory):  # it goes without
            for source in {delivery.source for delivery in deliveries if isinstance(delivery, Changes)}:
                index = self._hashes.of(cursor, source)
                if index is not None:
                    found[source] = index
        return found

    def _forget_indexes(self) -> None:
        """Called where rows may have moved."""
        with closing(self._database.bare_cursor()) as cursor:
            self._hashes.forget(cursor)

    def forget_records(self, table: str, before: datetime) -> None:
        """Delete the records of a table that are older than a time, to the minute. Imported rows stay."""
        if self._change_small(lambda small: small.without_records(table, before)):
            return
        with self._alone(), self._database.writing() as cursor:
            sequence = system_tables.oldest_records(cursor, table, before)
            if sequence is None:
                return
            catalog = self._catalog(cursor, system_tables.state(cursor).version, self._view.registry)
            for part in catalog.resources.get(table, ()):
                records = f"FROM {identifier(part.source)} WHERE {SEQUENCE_COLUMN} BETWEEN 1 AND $sequence"
                cursor.execute(f"DELETE {records}", {"sequence": sequence})

    def forget_deletions(self, sequence: int) -> None:
        """Forget the deletions up to a sequence number: nothing older than it can come any more."""
        if self._change_small(lambda small: small.without_deletions(sequence)):
            return
        with self._alone(), self._database.writing() as cursor:
            system_tables.forget_deletions(cursor, sequence)

    def rows_of(self, source: str) -> int:
        """How many rows a native table has."""
        with self.snapshot() as snapshot:
            return int(snapshot.run(f"SELECT count(*) AS rows FROM {identifier(source)}").column(0)[0].as_py())

    def cluster(self, source: str) -> None:
        """Write the table of a partition anew, in order; what its shape holds beside for want of a new table comes into its struct."""
        with self._alone():
            with self._database.writing() as cursor:
                before = system_tables.state(cursor)
                catalog = self._catalog(cursor, before.version, self._view.registry)
                [(table, old)] = [(table, part) for table, parts in catalog.resources.items() for part in parts if part.source == source]
                new = covering(old, {}, frozenset(), source.partition("/")[2])
                partition_tables.rewrite(cursor, old, new, self._in_file)
                if new != old:
                    after = replace(before, version=before.version + 1)
                    system_tables.write_catalog(cursor, catalog.with_partitions([(table, new)]), after.version)
                    system_tables.advance(cursor, before, after)
            self.wear.clustered(source)
            self._forget_indexes()

    def checkpoint(self, patience: timedelta = timedelta(0), merges: int = MERGES) -> bool:
        """Write what was committed into the file, and in memory compress it; False where snapshots are in the way.

        patience: how long to wait for them, while nothing is written. merges: how often, at most, small row groups are merged.
        Raises InventoryError where there is no room.
        """
        if self.is_small:
            return True  # no table that could be compressed
        with self._alone():
            return self._checkpoint(patience, merges)

    def _checkpoint(self, patience: timedelta = timedelta(0), merges: int = MERGES) -> bool:
        try:
            return self._database.checkpoint(patience, merges, self._set_back)
        finally:
            if merges:
                self._forget_indexes()

    def _set_back(self) -> None:
        self._forget_indexes()
        with self._state:
            # Versions of the catalog begin again at an earlier one, and may not be taken for what they were.
            self._resources = {}
            self._view = replace(self._view, registry=replace(self._view.registry, changes=self._view.registry.changes + 1))

    def register(self, name: str, table: "pa.Table", load: bool = True, replace: bool = False) -> None:
        """Make a table queryable under a name for as long as the store is open; a resource table without rows may be replaced so.

        load: copy it into the engine's own form; else it is scanned in place by every query.
        Raises InventoryError where the name is taken already and not to be replaced, or an Arrow type has no form in KQL.
        """
        given = normalise(table, resource_schema(name))
        with self._writer:
            with self.snapshot() as snapshot:
                old = same_name(snapshot.catalog, name)
            if old is not None and not replace:
                raise InventoryError(f"`{name}` is registered already; pass replace=True to replace it")
            registry = self._view.registry
            source = registered_source(name, registry.changes + 1)
            if load:
                self._copy(source, given)
            with self._state:
                self._retired += registry.loaded(old)
                self._view = _View(registry.with_table(name, table_of(name, given, source), None if load else given, old), self._view.held)
            self._drop_retired()

    def _copy(self, source: str, given: Normalised) -> None:
        with closing(self._database.bare_cursor()) as cursor:
            cursor.register("given", given.table)
            cursor.execute(f"CREATE TABLE memory.main.{identifier(source)} AS {given.select('given')}")

    def _drop_retired(self) -> None:
        """Drop tables that were replaced, once no snapshot can name them."""
        with self._state:
            retired = [] if self._open.count else self._retired
            self._retired = [] if retired else self._retired
        self._database.execute(*(f"DROP TABLE memory.main.{identifier(source)}" for source in retired))


def _bring_in(cursor: Cursor, catalog: InventoryCatalog, delivery: Delivery, stored: Partition, index: str | None) -> WrittenRows:
    if isinstance(delivery, Records):
        return append(cursor, delivery, stored)
    assert isinstance(delivery, Changes)
    shared = catalog.partition(delivery.table, delivery.table)
    beside = shared is not None and shared != stored and shares(shared, delivery.resource_type)
    return upsert(cursor, delivery, stored, [delivery.table] if beside else [], index)
