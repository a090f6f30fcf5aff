"""The store: resource tables and registered tables as native DuckDB tables, in a file or in memory.

One transaction changes rows, catalog and watermark together; a snapshot reads all three in one transaction of its own. What lies where:
the database `inventory` has the partitions and the store's own tables; DuckDB's `memory` has the tables that a user registered, for as long
as the store is open. A few documents in a fresh store in memory stay in Arrow until something is written: to load them would take longer
than to answer the first query.
"""

import shutil
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

import duckdb

from kqlite.directory import DataDirectory
from kqlite.inventory import bookkeeping, native
from kqlite.inventory.batches import marked, partition
from kqlite.inventory.bookkeeping import State
from kqlite.inventory.catalog import InventoryCatalog, read_partitions, same_name
from kqlite.inventory.changes import Changes, Delivery, Records
from kqlite.inventory.documents import InventoryError
from kqlite.inventory.forms import Normalised, normalise
from kqlite.inventory.merging import Merged, append, merge
from kqlite.inventory.placing import place, shares
from kqlite.inventory.registered import Registry, resource_schema, table_of
from kqlite.inventory.shapes import quoted
from kqlite.inventory.snapshot import OpenSnapshots, Snapshot
from kqlite.inventory.tables import KEY_COLUMN, SEQUENCE_COLUMN
from kqlite.inventory.upkeep import Wear
from kqlite.inventory.widening import covering
from kqlite.language.schema import Partition, Shape

if TYPE_CHECKING:
    import pyarrow as pa

_SETTINGS = (
    "SET GLOBAL TimeZone = 'UTC'",
    "SET GLOBAL error_on_division_by_zero = false",
    # The default of 50 reads whole rows before it sorts; with a page's size `order by .. | take 1000` is three times faster.
    "SET GLOBAL late_materialization_max_rows = 1000",
    # Of new files. Tables of a hundred columns and some thousand rows fill few of the blocks of 256 kB that are the default: a seventh less
    # on disk for 200,000 documents of all types, a fourteenth for as many machines, read as fast.
    "SET GLOBAL default_block_size = 65536",
)


def connect(optimizer: bool = True) -> duckdb.DuckDBPyConnection:
    """A DuckDB instance with this project's settings, which its cursors inherit."""
    connection = duckdb.connect(":memory:")
    for setting in _SETTINGS:
        connection.execute(setting)
    if not optimizer:
        # The pragma of that name holds for one cursor alone.
        connection.execute("SET GLOBAL enable_optimizer = false")
    return connection


def lock(connection: duckdb.DuckDBPyConnection) -> None:
    """Keep every query on this instance from files, the network and the settings."""
    connection.execute("SET GLOBAL enable_external_access = false")
    connection.execute("SET GLOBAL lock_configuration = true")


class DamagedError(InventoryError):
    """The database of a data directory is none any more."""


class NoRoomError(InventoryError):
    """The disk has no room for a checkpoint. What was applied is in; it is durable when there is room."""


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
class _Held:
    """What a fresh store in memory holds in Arrow: the partitions, and what loads them."""

    incoming: tuple[Incoming, ...]
    watermark: datetime | None
    resources: Mapping[str, tuple[Partition, ...]]
    tables: "Mapping[str, pa.Table]"


_NOTHING_HELD = _Held((), None, {}, {})


@dataclass(frozen=True)
class _View:
    """What snapshots see apart from the database `inventory`; replaced as a whole.

    held: None once the database `inventory` is there, and has everything.
    """

    registry: Registry
    held: _Held | None


class Store:
    """An inventory in DuckDB. Any number of threads may hold snapshots while one writes."""

    def __init__(
        self, directory: DataDirectory | None, optimizer: bool = True, fed: bool = False, time_limit: timedelta | None = None
    ) -> None:
        """directory: where the database lies, closed with the store; None keeps everything in memory. The rest as in `open`."""
        self._directory = directory
        self._fed = fed
        self._base = connect(optimizer)
        self._state_sql = bookkeeping.STATE
        self.wear = Wear({})
        if directory is not None:
            self._attach_directory(directory)
        lock(self._base)
        self._writer = threading.Lock()
        self._state = threading.Lock()
        self._view = _View(Registry(), _NOTHING_HELD if directory is None else None)
        self._resources: dict[int, Mapping[str, tuple[Partition, ...]]] = {}
        self._retired: list[str] = []
        self._open = OpenSnapshots(time_limit)

    @classmethod
    def in_memory(cls, optimizer: bool = True, *, time_limit: timedelta | None = None) -> "Store":
        """An empty inventory that ends with the process."""
        return cls(None, optimizer, time_limit=time_limit)

    @classmethod
    def open(cls, directory: DataDirectory, optimizer: bool = True, *, fed: bool = False, time_limit: timedelta | None = None) -> "Store":
        """The inventory of a data directory, to be read, and written too if the directory is held alone.

        fed: changes come from a log that keeps all since the stored position. Then what is applied becomes durable with the next
        checkpoint, and after a crash the file is as it was at the last one, rows, watermark and position alike; what is loaded is durable
        at once, as ever. time_limit: how long a snapshot may last; one that is held longer keeps checkpoints waiting, and memory.
        Raises InventoryError.
        """
        return cls(directory, optimizer, fed, time_limit)

    def _attach_directory(self, directory: DataDirectory) -> None:
        file = directory.store
        if not directory.writable and not file.exists():
            raise InventoryError(f"{file}: missing; the import that should have made it did not end")
        try:
            if self._fed:
                self._execute(*_AT_TIMES_OF_OUR_OWN)
            options = "READ_ONLY" if not directory.writable else "RECOVERY_MODE no_wal_writes" if self._fed else "READ_WRITE"
            self._attach_sql = f"ATTACH {_literal(str(file))} AS inventory ({options})"
            self._attach(self._attach_sql)
            if directory.writable:
                self._execute(*bookkeeping.TABLES)
                self.wear = Wear(self._read_worn())
                # All that is locked away below but what it takes to open the database again.
                self._execute(f"SET GLOBAL allowed_paths = [{_literal(str(file))}, {_literal(f'{file}.wal')}]")
            else:
                self._state_sql = self._readable_state(file)
            self._read_state()
        except duckdb.Error as error:
            self._base.close()
            reason = str(error).splitlines()[0]
            kind = InventoryError if any(word in reason for word in _NOT_DAMAGED) else DamagedError
            raise kind(f"{file}: DuckDB cannot open it: {reason}") from None

    def _attach(self, statement: str) -> None:
        deadline = time.monotonic() + _DYING.total_seconds()
        while True:
            try:
                self._execute(statement)
                return
            except duckdb.IOException as error:
                # The directory is ours, but a process that was killed gives its files back one by one, and DuckDB's may be the last.
                if "Could not set lock" not in str(error) or time.monotonic() > deadline:
                    raise
            time.sleep(_PAUSE.total_seconds())

    def _readable_state(self, file: Path) -> str:
        """How the state of this file is read; an earlier version keeps it elsewhere. Raises DamagedError where there is none."""
        tables = {name for (name,) in self._base.execute(_TABLE_NAMES).fetchall()}
        if "_state" in tables:
            return bookkeeping.STATE
        if "_catalog" in tables:
            return bookkeeping.STATE_BEFORE
        self._base.close()
        raise DamagedError(f"{file}: empty; the process that made it ended too early")

    def _read_state(self) -> None:
        cursor = self._cursor()
        try:
            bookkeeping.state(cursor, self._state_sql)
            bookkeeping.partitions(cursor)
        finally:
            cursor.close()

    def _read_worn(self) -> dict[str, int]:
        cursor = self._cursor()
        try:
            return bookkeeping.worn(cursor)
        finally:
            cursor.close()

    def _execute(self, *statements: str) -> None:
        """Run statements outside of any transaction, on a cursor of their own: others may be asking the base for one meanwhile."""
        cursor = self._base.cursor()
        try:
            for statement in statements:
                cursor.execute(statement)
        finally:
            cursor.close()

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
                self.checkpoint()
        self._base.close()

    def _cursor(self, path: str = "inventory.main,memory.main") -> duckdb.DuckDBPyConnection:
        cursor = self._base.cursor()
        cursor.execute(f"SET search_path = {_literal(path)}")
        return cursor

    # Reading

    @contextmanager
    def snapshot(self) -> Iterator[Snapshot]:
        """Catalog, rows and watermark as of now, for as long as the block runs."""
        with self._state:
            view = self._view
            self._open.entered()
        cursor = self._cursor() if view.held is None else self._base.cursor()
        snapshot = None
        try:
            snapshot = self._snapshot(cursor, view)
            self._open.begun(snapshot)
            yield snapshot
        except duckdb.Error as error:
            if not isinstance(error, duckdb.IOException) and _CORRUPT not in str(error):
                raise
            raise self._unreadable(error) from None
        finally:
            self._open.left(snapshot)
            cursor.close()

    def _unreadable(self, error: Exception) -> InventoryError:
        reason = str(error).splitlines()[0]
        if self._directory is None or any(word in reason for word in _NOT_DAMAGED):
            return InventoryError(reason)
        again = "; move it away, and it is made anew from the log" if self._directory.log.exists() else ""
        return DamagedError(f"{self._directory.store}: damaged{again} ({reason})")

    def _snapshot(self, cursor: duckdb.DuckDBPyConnection, view: _View) -> Snapshot:
        view.registry.show(cursor)
        if view.held is None:
            cursor.execute("BEGIN TRANSACTION")
            state = bookkeeping.state(cursor, self._state_sql)
            return Snapshot(cursor, self._catalog(cursor, state.version, view.registry), state.watermark, state.position)
        for source, table in view.held.tables.items():
            cursor.register(source, table)
        return Snapshot(
            cursor, InventoryCatalog(view.registry.changes, view.held.resources, view.registry.tables), view.held.watermark, None
        )

    def _catalog(self, cursor: duckdb.DuckDBPyConnection, version: int, registry: Registry) -> InventoryCatalog:
        resources = self._resources.get(version)
        if resources is None:
            resources = read_partitions(bookkeeping.partitions(cursor))
            # What an open snapshot binds against is its own; only the newest is worth keeping for the next one.
            self._resources = {version: resources}
        return InventoryCatalog((version + 1) << _REGISTRATION_BITS | registry.changes, resources, registry.tables)

    def position(self) -> str | None:
        """What the feeder of changes has noted of its place, in the transaction that brought the last of them; or None."""
        with self.snapshot() as snapshot:
            return snapshot.position

    def sequences(self, table: str, resource_type: str | None = None) -> "pa.Table":
        """The columns `_key` and `_seq` of all rows of a resource table, in no order; those of one type (any case) if one is named."""
        with self.snapshot() as snapshot:
            parts = snapshot.catalog.resources.get(table.lower(), ())
            wanted = "" if resource_type is None else " WHERE lower(type) = $type"
            listed = (f"SELECT {KEY_COLUMN}, {SEQUENCE_COLUMN} FROM {quoted(part.source)}{wanted}" for part in parts)
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
    def _writing(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """A transaction: all of what is done on the cursor, or nothing."""
        cursor = self._cursor()
        try:
            cursor.execute("BEGIN TRANSACTION")
            yield cursor
            cursor.execute("COMMIT")
        except BaseException as error:
            with suppress(duckdb.Error):  # the transaction never began, or its COMMIT failed and ended it
                cursor.execute("ROLLBACK")
            if isinstance(error, duckdb.Error) and _CORRUPT in str(error):
                raise self._unreadable(error) from None
            if isinstance(error, _NO_ROOM):
                raise InventoryError(f"nothing was written: {str(error).splitlines()[0]}") from None
            raise
        finally:
            cursor.close()

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """The one writer, with everything in the database."""
        with self._writer:
            held = self._view.held
            if held is not None:
                self._execute("ATTACH ':memory:' AS inventory (COMPRESS)", *bookkeeping.TABLES)
                self._load(held.incoming, held.watermark)
                with self._state:
                    self._view = _View(self._view.registry, None)
            yield

    def hold(self, incoming: Iterable[Incoming], watermark: datetime | None = None) -> None:
        """As `load`, but where the store is fresh and in memory the rows stay in Arrow, for a first answer without delay."""
        if self._view != _View(Registry(), _NOTHING_HELD):
            self.load(incoming, watermark)
            return
        import pyarrow as pa

        placed = [(rows, partition(rows.source, rows.shapes, rows.types)) for rows in incoming]
        tables = {part.source: pa.Table.from_batches(marked(batch, part) for batch in rows.batches(part)) for rows, part in placed}
        resources = InventoryCatalog(0, {}, {}).with_partitions((rows.table, part) for rows, part in placed).resources
        with self._state:
            self._view = _View(Registry(changes=1), _Held(tuple(rows for rows, _ in placed), watermark, resources, tables))

    def load(self, incoming: Iterable[Incoming], watermark: datetime | None = None) -> None:
        """Take in rows, all or none. A row replaces the one of the same id in the same table.

        Ids are unique within `incoming`. Partitions are made, or widened, as the shapes need. The watermark never goes back.
        """
        with self._alone():
            self._load(incoming, watermark)
            if not self._checkpoint() and self._fed:
                # There is no other way to make it durable; it waits for readers to end, and new ones wait with it.
                self._execute("FORCE CHECKPOINT inventory")

    def _load(self, incoming: Iterable[Incoming], watermark: datetime | None) -> None:
        with self._writing() as cursor:
            before = bookkeeping.state(cursor)
            catalog = self._catalog(cursor, before.version, self._view.registry)
            changed = [(rows.table, self._put(cursor, catalog, rows)) for rows in incoming]
            for table, new in changed:
                native.supersede(cursor, new.source, catalog.resources.get(table, ()))
            after = replace(before, version=before.version + 1, watermark=watermark)
            bookkeeping.write_catalog(cursor, catalog.with_partitions(changed), after.version)
            bookkeeping.advance(cursor, before, after)

    def _put(self, cursor: duckdb.DuckDBPyConnection, catalog: InventoryCatalog, rows: Incoming) -> Partition:
        in_file = self._directory is not None
        old = catalog.partition(rows.table, rows.source)
        if old is None:
            new = partition(rows.source, rows.shapes, rows.types)
            native.create(cursor, new.source, new, in_file)
            native.insert(cursor, new.source, new, rows.batches(new))
            return new
        new = covering(old, rows.shapes, rows.types, rows.resource_type)
        with native.replacing(cursor, old, new, in_file) as fresh:
            native.insert(cursor, fresh, new, rows.batches(new))
        return new

    def apply(
        self, changes: Iterable[Changes], watermark: datetime | None, position: str | None = None, records: Iterable[Records] = ()
    ) -> None:
        """Bring changes in, add records, and bring the watermark forward, in one transaction.

        A change that is not newer than what is stored changes nothing. Records are added as they are: whoever may bring them again asks
        for the position first. position: the feeder's own note of its place, any text; None leaves the one that is stored.
        """
        merged: list[tuple[str, Merged]] = []
        with self._alone():
            with self._writing() as cursor:
                before = bookkeeping.state(cursor)
                catalog = first = self._catalog(cursor, before.version, self._view.registry)
                for delivery in chain(changes, records):
                    catalog, stored = place(cursor, catalog, delivery, self._directory is not None)
                    merged.append((stored.source, _bring_in(cursor, catalog, delivery, stored)))
                version = before.version
                if catalog != first:
                    version += 1
                    bookkeeping.write_catalog(cursor, catalog, version)
                after = State(version, watermark, before.position if position is None else position)
                bookkeeping.advance(cursor, before, after)
            self.wear.note(merged)

    def forget_records(self, table: str, before: datetime) -> None:
        """Delete the records of a table that are older than a time, to the minute. Imported rows stay."""
        with self._alone(), self._writing() as cursor:
            sequence = bookkeeping.oldest_records(cursor, table, before)
            if sequence is None:
                return
            catalog = self._catalog(cursor, bookkeeping.state(cursor).version, self._view.registry)
            for part in catalog.resources.get(table, ()):
                cursor.execute(f"DELETE FROM {quoted(part.source)} WHERE {SEQUENCE_COLUMN} BETWEEN 1 AND $sequence", {"sequence": sequence})

    def forget_deletions(self, sequence: int) -> None:
        """Forget the deletions up to a sequence number: nothing older than it can come any more."""
        with self._alone(), self._writing() as cursor:
            bookkeeping.forget_deletions(cursor, sequence)

    def rows_of(self, source: str) -> int:
        """How many rows a native table has."""
        with self.snapshot() as snapshot:
            return int(snapshot.run(f"SELECT count(*) AS rows FROM {quoted(source)}").column(0)[0].as_py())

    def cluster(self, source: str) -> None:
        """Write the table of a partition anew, in order; what its shape holds beside for want of a new table comes into its struct."""
        with self._alone():
            with self._writing() as cursor:
                before = bookkeeping.state(cursor)
                catalog = self._catalog(cursor, before.version, self._view.registry)
                [(table, old)] = [(table, part) for table, parts in catalog.resources.items() for part in parts if part.source == source]
                new = covering(old, {}, frozenset(), source.partition("/")[2])
                native.rewrite(cursor, old, new, self._directory is not None)
                if new != old:
                    after = replace(before, version=before.version + 1)
                    bookkeeping.write_catalog(cursor, catalog.with_partitions([(table, new)]), after.version)
                    bookkeeping.advance(cursor, before, after)
            self.wear.clustered(source)

    def checkpoint(self, patience: timedelta = timedelta(0)) -> bool:
        """Write what was committed into the file, and in memory compress it; False where snapshots are in the way.

        patience: how long to wait for them, while nothing is written. Raises InventoryError where there is no room.
        """
        with self._alone():
            return self._checkpoint(patience)

    def _checkpoint(self, patience: timedelta = timedelta(0)) -> bool:
        if self.wear.changed:
            with self._writing() as cursor:
                bookkeeping.write_worn(cursor, self.wear.replaced)
        deadline = time.monotonic() + patience.total_seconds()
        while not self._try_checkpoint():
            if time.monotonic() >= deadline:
                return False
            time.sleep(_PAUSE.total_seconds())
        self.wear.checkpointed()
        return True

    def _try_checkpoint(self) -> bool:
        self._check_room()
        try:
            self._execute("CHECKPOINT inventory")
        except duckdb.TransactionException:
            return False
        except duckdb.IOException as error:
            self._attach_again()
            raise InventoryError(f"no checkpoint was written: {str(error).splitlines()[0]}") from None
        return True

    def _check_room(self) -> None:
        """Raise NoRoomError before a checkpoint fails for want of room: DuckDB gives a database up with which that happens."""
        if self._directory is None:
            return
        file = self._directory.store
        free, wanted = shutil.disk_usage(file.parent).free, _CHECKPOINT_BYTES + file.stat().st_size // 4
        if free < wanted:
            raise NoRoomError(f"{file}: no checkpoint was written: {free >> 20:,} MiB are free on its disk, of {wanted >> 20:,} wanted")

    def _attach_again(self) -> None:
        """Open a database again that DuckDB has given up. It is then as of its last checkpoint."""
        with suppress(duckdb.Error):
            self._execute("DETACH inventory")
        deadline = time.monotonic() + _DYING.total_seconds()
        while True:
            try:
                self._execute(self._attach_sql)
                break
            except duckdb.Error as error:
                # Whoever reads it keeps it until his next statement, which fails.
                if time.monotonic() > deadline:
                    raise InventoryError(f"the database cannot be opened again: {str(error).splitlines()[0]}") from None
            time.sleep(_PAUSE.total_seconds())
        with self._state:
            # Versions of the catalog begin again at an earlier one, and may not be taken for what they were.
            self._resources = {}
            self._view = replace(self._view, registry=replace(self._view.registry, changes=self._view.registry.changes + 1))
        self.wear = Wear(self._read_worn())

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
            source = f"{name}#{registry.changes + 1}"
            if load:
                self._copy(source, given)
            with self._state:
                self._retired += registry.loaded(old)
                self._view = _View(registry.with_table(name, table_of(name, given, source), None if load else given, old), self._view.held)
            self._drop_retired()

    def _copy(self, source: str, given: Normalised) -> None:
        cursor = self._base.cursor()
        try:
            cursor.register("given", given.table)
            cursor.execute(f"CREATE TABLE memory.main.{quoted(source)} AS {given.select('given')}")
        finally:
            cursor.close()

    def _drop_retired(self) -> None:
        """Drop tables that were replaced, once no snapshot can name them."""
        with self._state:
            retired = [] if self._open.count else self._retired
            self._retired = [] if retired else self._retired
        self._execute(*(f"DROP TABLE memory.main.{quoted(source)}" for source in retired))


def _bring_in(cursor: duckdb.DuckDBPyConnection, catalog: InventoryCatalog, delivery: Delivery, stored: Partition) -> Merged:
    if isinstance(delivery, Records):
        return append(cursor, delivery, stored)
    assert isinstance(delivery, Changes)
    shared = catalog.partition(delivery.table, delivery.table)
    beside = shared is not None and shared != stored and shares(shared, delivery.resource_type)
    return merge(cursor, delivery, stored, [delivery.table] if beside else [])


_NOT_DAMAGED = ("Could not set lock", "Permission denied", "Cannot open file", "No space left", "Too many open files")
"""In what DuckDB says where it cannot open a file with which nothing is wrong."""

_CORRUPT = "Corrupt database file"

_NO_ROOM = (duckdb.IOException, duckdb.OutOfMemoryException, duckdb.TransactionException)
"""What DuckDB raises when a disk or memory is full; the last where that happens in a COMMIT."""

_REGISTRATION_BITS = 24
"""A catalog's version is the stored one, and below it how many tables were registered since the store was opened."""


_TABLE_NAMES = "SELECT table_name FROM duckdb_tables() WHERE database_name = 'inventory'"


_AT_TIMES_OF_OUR_OWN = (
    "SET GLOBAL checkpoint_threshold = '1TB'",
    "SET GLOBAL auto_checkpoint_skip_wal_threshold = 1000000000000",
)
"""Else nearly every commit of a large batch would end in a checkpoint."""

_PAUSE = timedelta(milliseconds=10)

_CHECKPOINT_BYTES = 16 * 2**20
"""A checkpoint is begun where the disk has so much room and a quarter of the file's size; hot leaves are much less than that."""
_DYING = timedelta(seconds=5)
"""How long a killed process may take until it has given back its files."""


def _literal(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"
