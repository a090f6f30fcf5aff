"""The store: resource tables and registered tables as native DuckDB tables, in a file or in memory.

One transaction changes rows, catalog and watermark together; a snapshot reads all three in one transaction of its own.
"""

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb

from kqlite.directory import DataDirectory
from kqlite.inventory.batches import STRINGS, BatchBuilder, columns_of, partition
from kqlite.inventory.catalog import InventoryCatalog, read_partitions, same_name, write_partitions
from kqlite.inventory.changes import Changes, bury, merge
from kqlite.inventory.documents import InventoryError
from kqlite.inventory.forms import normalise
from kqlite.inventory.registered import Registry, resource_schema, table_of
from kqlite.inventory.reshape import selections
from kqlite.inventory.shapes import hold, join, quoted
from kqlite.inventory.snapshot import Snapshot
from kqlite.inventory.tables import HOT_LEAVES, KEY_COLUMN, SEQUENCE_COLUMN
from kqlite.language.schema import Partition, Shape
from kqlite.language.types import TICKS_PER_SECOND, UNIX_EPOCH_TICKS

if TYPE_CHECKING:
    import pyarrow as pa

_SETTINGS = (
    "SET GLOBAL TimeZone = 'UTC'",
    "SET GLOBAL error_on_division_by_zero = false",
    # The default of 50 reads whole rows before it sorts; with a page's size `order by .. | take 1000` is three times faster.
    "SET GLOBAL late_materialization_max_rows = 1000",
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


@dataclass(frozen=True)
class Incoming:
    """Rows of one partition on their way in.

    resource_type: the one type that they are of, folded, for a partition of its own; None for the one that types share.
    shapes: cover all rows.
    batches: gives the rows as batches of the physical schema of the partition it is handed.
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


class Store:
    """An inventory in DuckDB. Any number of threads may hold snapshots while one writes."""

    def __init__(self, directory: DataDirectory | None, optimizer: bool = True) -> None:
        """directory: where the database lies, closed with the store; None keeps everything in memory. Raises InventoryError."""
        self._directory = directory
        self._unpacked = 0
        self._base = connect(optimizer)
        self._attach(directory)
        lock(self._base)
        self._writer = threading.Lock()
        self._state = threading.Lock()
        self._resources: dict[int, Mapping[str, tuple[Partition, ...]]] = {0: {}}
        self._registry = Registry()
        self._retired: list[str] = []
        self._open_snapshots = 0

    @classmethod
    def in_memory(cls, optimizer: bool = True) -> "Store":
        """An empty inventory that ends with the process."""
        return cls(None, optimizer)

    @classmethod
    def open(cls, directory: DataDirectory, optimizer: bool = True) -> "Store":
        """The inventory of a data directory, to be read, and written too if the directory is held alone."""
        return cls(directory, optimizer)

    def _attach(self, directory: DataDirectory | None) -> None:
        if directory is None:
            self._base.execute("ATTACH ':memory:' AS inventory (COMPRESS)")
        elif directory.writable:
            self._attach_file(directory.store, "")
        elif directory.store.exists():
            self._attach_file(directory.store, " (READ_ONLY)")
            return
        else:
            raise InventoryError(f"{directory.store}: missing; the import that should have made it did not end")
        for statement in _TABLES:
            self._base.execute(statement)

    def _attach_file(self, file: Path, options: str) -> None:
        try:
            self._base.execute(f"ATTACH {_literal(str(file))} AS inventory{options}")
        except duckdb.Error as error:
            self._base.close()
            raise InventoryError(f"{file}: DuckDB cannot open it: {str(error).splitlines()[0]}") from None

    def close(self) -> None:
        """End the store, and let others have its directory; snapshots must have ended."""
        self._base.close()
        if self._directory is not None:
            self._directory.close()

    def _cursor(self) -> duckdb.DuckDBPyConnection:
        cursor = self._base.cursor()
        cursor.execute("SET search_path = 'inventory.main,memory.main'")
        return cursor

    # Reading

    @contextmanager
    def snapshot(self) -> Iterator[Snapshot]:
        """Catalog, rows and watermark as of now, for as long as the block runs."""
        with self._state:
            self._open_snapshots += 1
            registry = self._registry
        cursor = self._cursor()
        try:
            registry.show(cursor)
            cursor.execute("BEGIN TRANSACTION")
            yield Snapshot(cursor, self._catalog(cursor, registry), _watermark(cursor))
        finally:
            with self._state:
                self._open_snapshots -= 1
            cursor.close()

    def _catalog(self, cursor: duckdb.DuckDBPyConnection, registry: Registry) -> InventoryCatalog:
        # A transaction's snapshot is fixed by its first read, which is this one.
        version = _only(cursor, "SELECT version FROM _catalog")
        resources = self._resources.get(version)
        if resources is None:
            resources = read_partitions(_only(cursor, "SELECT partitions FROM _catalog"))
            # What an open snapshot binds against is its own; only the newest is worth keeping for the next one.
            self._resources = {version: resources}
        return InventoryCatalog(version << _REGISTRATION_BITS | registry.changes, resources, registry.tables)

    # Writing

    @contextmanager
    def _writing(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """A transaction: all of what is done on the cursor, or nothing."""
        cursor = self._cursor()
        try:
            cursor.execute("BEGIN TRANSACTION")
            yield cursor
            cursor.execute("COMMIT")
        except BaseException:
            _roll_back(cursor)
            raise
        finally:
            cursor.close()

    def load(self, incoming: Iterable[Incoming], watermark: datetime | None = None) -> None:
        """Take in rows, all or none. A row replaces the one of the same id in the same table.

        Ids are unique within `incoming`. Partitions are made, or widened, as the shapes need. The watermark never goes back.
        """
        with self._writer:
            with self._writing() as cursor:
                catalog = self._catalog(cursor, self._registry)
                changed = [(rows.table, self._put(cursor, catalog, rows)) for rows in incoming]
                for table, new in changed:
                    _supersede(cursor, new.source, catalog.resources.get(table, ()))
                _write_catalog(cursor, catalog.with_partitions(changed))
                _advance_watermark(cursor, watermark)
            if self._directory is not None or self._unpacked >= FEWEST_PACKED:
                self._checkpoint()

    def apply(self, changes: Iterable[Changes], watermark: datetime) -> None:
        """Bring changes in, and the watermark forward, in one transaction. What is not newer than what is stored changes nothing."""
        with self._writer, self._writing() as cursor:
            catalog = self._catalog(cursor, self._registry)
            for change in changes:
                stored = self._covering_partition(cursor, catalog, change)
                catalog_after = catalog.with_partitions([(change.table, stored)])
                if catalog_after != catalog:
                    _write_catalog(cursor, catalog_after)
                    catalog = catalog_after
                sources = [part.source for part in catalog.resources[change.table]]
                merge(cursor, change, stored, sources)
                bury(cursor, change, sources)
            _advance_watermark(cursor, watermark)

    def forget_deletions(self, sequence: int) -> None:
        """Forget the deletions up to a sequence number: nothing older than it can come any more."""
        with self._writer, self._writing() as cursor:
            cursor.execute("DELETE FROM _tombstones WHERE _seq <= $sequence", {"sequence": sequence})

    def checkpoint(self) -> None:
        """Write what was committed into the file, and in memory compress it; put off to the next time while a snapshot is in the way."""
        with self._writer:
            self._checkpoint()

    def shaped_types(self) -> frozenset[str]:
        """The types, folded, that have a partition of their own."""
        with self.snapshot() as snapshot:
            sources = (part.source for parts in snapshot.catalog.resources.values() for part in parts)
            return frozenset(source.partition("/")[2] for source in sources if "/" in source)

    def _put(self, cursor: duckdb.DuckDBPyConnection, catalog: InventoryCatalog, rows: Incoming) -> Partition:
        old = catalog.partition(rows.table, rows.source)
        if old is None:
            new = partition(rows.source, rows.shapes, rows.types)
            self._create(cursor, new.source, new)
            self._unpacked += _insert(cursor, new.source, new, rows.batches(new))
            return new
        new = _covering(old, rows)
        with self._replacing(cursor, old, new) as fresh:
            self._unpacked += _insert(cursor, fresh, new, rows.batches(new))
        return new

    def _covering_partition(self, cursor: duckdb.DuckDBPyConnection, catalog: InventoryCatalog, change: Changes) -> Partition:
        """The partition for a change's rows, made or widened where it does not cover them yet."""
        old = catalog.partition(change.table, change.source)
        if old is None:
            self._create(cursor, change.source, change.partition)
            return change.partition
        new = _covering(old, change)
        if columns_of(new) != columns_of(old):
            with self._replacing(cursor, old, new):
                pass
        return new

    @contextmanager
    def _replacing(self, cursor: duckdb.DuckDBPyConnection, old: Partition, new: Partition) -> Iterator[str]:
        """A fresh table for a partition's wider shape; after what was put into it come those of the old rows that it does not replace."""
        fresh = f"{old.source}#fresh"
        self._create(cursor, fresh, new)
        yield fresh
        cursor.execute(
            f"INSERT INTO {quoted(fresh)} SELECT {selections(old, new, columns_of(new))} FROM {quoted(old.source)} AS old "
            f"WHERE NOT EXISTS (FROM {quoted(fresh)} AS fresh WHERE fresh._key = old._key)"
        )
        cursor.execute(f"DROP TABLE {quoted(old.source)}")
        cursor.execute(f"ALTER TABLE {quoted(fresh)} RENAME TO {quoted(old.source)}")

    def _create(self, cursor: duckdb.DuckDBPyConnection, source: str, part: Partition) -> None:
        in_file = self._directory is not None
        columns = (f"{quoted(name)} {type_}{_constraints(name, type_, in_file)}" for name, type_ in columns_of(part).items())
        cursor.execute(f"CREATE TABLE {quoted(source)} ({', '.join(columns)})")

    def _checkpoint(self) -> None:
        self._unpacked = 0
        with suppress(duckdb.TransactionException):
            self._base.execute("CHECKPOINT inventory")

    def register(self, name: str, table: "pa.Table", load: bool = True, replace: bool = False) -> None:
        """Make a table queryable under a name for as long as the store is open; a resource table without rows may be replaced so.

        load: copy it into the engine's own form; else it is scanned in place by every query.
        Raises InventoryError where the name is taken already and not to be replaced, or an Arrow type has no form in KQL.
        """
        given = normalise(table, resource_schema(name))
        with self._writer:
            cursor = self._cursor()
            try:
                old = same_name(self._catalog(cursor, self._registry), name)
                if old is not None and not replace:
                    raise InventoryError(f"`{name}` is registered already; pass replace=True to replace it")
                source = f"{name}#{self._registry.changes + 1}"
                if load:
                    cursor.register("given", given.table)
                    cursor.execute(f"CREATE TABLE memory.main.{quoted(source)} AS {given.select('given')}")
            finally:
                cursor.close()
            with self._state:
                self._retired += self._registry.loaded(old)
                self._registry = self._registry.with_table(name, table_of(name, given, source), None if load else given, old)
            self._drop_retired()

    def _drop_retired(self) -> None:
        """Drop tables that were replaced, once no snapshot can name them."""
        with self._state:
            retired = [] if self._open_snapshots else self._retired
            self._retired = [] if retired else self._retired
        for source in retired:
            self._base.execute(f"DROP TABLE memory.main.{quoted(source)}")


_NEVER_NULL = frozenset((KEY_COLUMN, SEQUENCE_COLUMN, *STRINGS))
_ALIKE = frozenset((KEY_COLUMN, "id"))

FEWEST_PACKED = 10_000
"""From how many new rows on it is worth while to compress an inventory in memory: it takes 5 ms even for a few."""

_REGISTRATION_BITS = 24
"""A catalog's version is the stored one, and below it how many tables were registered since the store was opened."""

_TABLES = (
    "CREATE TABLE IF NOT EXISTS inventory._catalog (version BIGINT, partitions VARCHAR)",
    "CREATE TABLE IF NOT EXISTS inventory._watermark (ticks BIGINT)",
    'CREATE TABLE IF NOT EXISTS inventory._tombstones ("table" VARCHAR, _key VARCHAR, _seq BIGINT)',
    "INSERT INTO inventory._catalog SELECT 0, '{}' WHERE NOT EXISTS (FROM inventory._catalog)",
)


def _literal(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"


def _only(cursor: duckdb.DuckDBPyConnection, sql: str) -> Any:
    # All rows are fetched: a cursor with rows left refuses other work.
    [[value]] = cursor.execute(sql).fetchall()
    return value


def _watermark(cursor: duckdb.DuckDBPyConnection) -> datetime | None:
    ticks = _only(cursor, "SELECT max(ticks) FROM _watermark")
    return None if ticks is None else _EPOCH + timedelta(microseconds=(ticks - UNIX_EPOCH_TICKS) // (TICKS_PER_SECOND // 1_000_000))


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def _write_watermark(cursor: duckdb.DuckDBPyConnection, watermark: datetime) -> None:
    # Replaced and not updated: a reader older than an UPDATE keeps every checkpoint waiting.
    ticks = (watermark - _EPOCH) // timedelta(microseconds=1) * (TICKS_PER_SECOND // 1_000_000) + UNIX_EPOCH_TICKS
    cursor.execute("DELETE FROM _watermark")
    cursor.execute("INSERT INTO _watermark VALUES ($ticks)", {"ticks": ticks})


def _write_catalog(cursor: duckdb.DuckDBPyConnection, catalog: InventoryCatalog) -> None:
    version = _only(cursor, "SELECT version FROM _catalog") + 1
    cursor.execute("DELETE FROM _catalog")
    cursor.execute(
        "INSERT INTO _catalog VALUES ($version, $partitions)", {"version": version, "partitions": write_partitions(catalog.resources)}
    )


def _advance_watermark(cursor: duckdb.DuckDBPyConnection, watermark: datetime | None) -> None:
    before = _watermark(cursor)
    if watermark is not None and (before is None or before < watermark):
        _write_watermark(cursor, watermark)


def _supersede(cursor: duckdb.DuckDBPyConnection, source: str, others: Iterable[Partition]) -> None:
    """Delete from the other partitions of a table what an import has just put into `source`."""
    for other in others:
        if other.source != source:
            cursor.execute(f"DELETE FROM {quoted(other.source)} WHERE _key IN (SELECT _key FROM {quoted(source)} WHERE _seq = 0)")


def _roll_back(cursor: duckdb.DuckDBPyConnection) -> None:
    with suppress(duckdb.TransactionException):  # the transaction never began, or its COMMIT failed and ended it
        cursor.execute("ROLLBACK")


def _constraints(name: str, type_: str, in_file: bool) -> str:
    # Neighbours' ids and documents repeat each other, which zstd sees and DuckDB's own choice does not: 13 bytes an id instead of 47, read
    # as fast. DuckDB chooses zstd by itself for very long texts alone, and in memory knows it not: such a column stays uncompressed there.
    compression = " USING COMPRESSION zstd" if in_file and (name in _ALIKE or type_ == "JSON") else ""
    return (" NOT NULL" if name in _NEVER_NULL else "") + compression


def _insert(cursor: duckdb.DuckDBPyConnection, source: str, part: Partition, batches: "Iterator[pa.RecordBatch]") -> int:
    """One INSERT for all batches: each INSERT of its own would pin its Arrow memory until the commit. Returns the number of rows."""
    import pyarrow as pa

    failures: list[BaseException] = []
    rows = 0

    def watched() -> "Iterator[pa.RecordBatch]":
        nonlocal rows
        try:
            for batch in batches:
                rows += batch.num_rows
                yield batch
        except BaseException as error:  # DuckDB passes on its text alone
            failures.append(error)
            raise

    cursor.register("incoming", pa.RecordBatchReader.from_batches(BatchBuilder(part).schema, watched()))
    try:
        cursor.execute(f"INSERT INTO {quoted(source)} BY NAME SELECT * FROM incoming")
    except duckdb.Error:
        if failures:
            raise failures[0] from None
        raise
    cursor.unregister("incoming")
    return rows


def _covering(old: Partition, rows: Incoming | Changes) -> Partition:
    """The partition that covers what is there and what comes."""
    shapes: dict[str, Shape] = {}
    for column in (*old.shapes, *(name for name in rows.shapes if name not in old.shapes)):
        shape = join(old.shapes.get(column), rows.shapes.get(column))
        assert shape is not None
        shapes[column] = shape
    held = hold(shapes, HOT_LEAVES.get(rows.resource_type or "", ()))
    return partition(old.source, held, (old.types or frozenset()) | rows.types)
