"""The database: a DuckDB instance with this project's settings, and the file of a data directory in which an inventory lasts.

What is committed is in the file for good with the next checkpoint, if not sooner. A checkpoint needs room, and no reader in its way. DuckDB
gives a database up in the middle of one that fails; then it is opened again, as of the checkpoint before.
"""

import atexit
import shutil
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from datetime import timedelta
from pathlib import Path

import duckdb

from kqlite.directory.data_directory import DataDirectory
from kqlite.errors import ClosedError, InternalError, InventoryError, KqliteError, QueryCancelledError
from kqlite.inventory.shapes.sql_text import literal
from kqlite.inventory.store import system_tables
from kqlite.inventory.store.maintenance import Wear

Cursor = duckdb.DuckDBPyConnection
"""A cursor, or the instance: DuckDB has one class for both."""

_SETTINGS = (
    "SET GLOBAL TimeZone = 'UTC'",
    "SET GLOBAL error_on_division_by_zero = false",
    # The default of 50 reads whole rows before it sorts; with a page's size `order by .. | take 1000` is three times faster.
    "SET GLOBAL late_materialization_max_rows = 1000",
    # Of new files. Tables of a hundred columns and some thousand rows fill few of the blocks of 256 kB that are the default: a seventh less
    # on disk for 200,000 documents of all types, a fourteenth for as many machines, read as fast.
    "SET GLOBAL default_block_size = 65536",
)

_AT_TIMES_OF_OUR_OWN = (
    "SET GLOBAL checkpoint_threshold = '1TB'",
    "SET GLOBAL auto_checkpoint_skip_wal_threshold = 1000000000000",
)
"""Else nearly every commit of a large batch would end in a checkpoint."""

_PAUSE = timedelta(milliseconds=10)

_DYING = timedelta(seconds=5)
"""How long a killed process may take until it has given back its files."""

_CHECKPOINT_BYTES = 16 * 2**20
"""A checkpoint is begun where the disk has so much room and a quarter of the file's size; hot leaves are much less than that."""

_NOT_DAMAGED = ("Could not set lock", "Permission denied", "Cannot open file", "No space left", "Too many open files", "already attached")
"""In what DuckDB says where it cannot open a file with which nothing is wrong."""

_CORRUPT = "Corrupt database file"

_NO_ROOM = (duckdb.IOException, duckdb.OutOfMemoryException, duckdb.TransactionException)
"""What DuckDB raises when a disk or memory is full; the last where that happens in a COMMIT."""

OutOfMemory = duckdb.OutOfMemoryException
"""What DuckDB raises where memory is full."""

_TABLE_NAMES = "SELECT table_name FROM duckdb_tables() WHERE database_name = 'inventory'"


class DamagedError(InventoryError):
    """The database of a data directory is none any more."""


class NoRoomError(InventoryError):
    """The disk has no room for a checkpoint. What was applied is in; it is durable when there is room."""


@contextmanager
def engine_errors() -> Iterator[None]:
    """Within it DuckDB's errors are those of kqlite: what was interrupted, what has no room or is closed, and else a fault of ours."""
    try:
        yield
    except duckdb.Error as error:
        raise _translated(error) from error


def _translated(error: duckdb.Error) -> KqliteError:
    reason = _reason(error)
    match error:
        case duckdb.InterruptException():
            return QueryCancelledError("this query was interrupted")
        case duckdb.OutOfMemoryException():
            return InventoryError(f"there is too little memory for this query: {reason}")
        case duckdb.ConnectionException():
            return ClosedError("this inventory is closed")
        case duckdb.IOException():
            return InventoryError(reason)
        case _:
            return InternalError(f"{type(error).__name__}: {reason}")


class LeftBehind:
    """Cursors on which queries run that nobody waits for any more: they are interrupted until they end, and then closed."""

    def __init__(self) -> None:
        self._closing: list[threading.Thread] = []
        _everywhere.add(self)

    def close(self, cursor: Cursor) -> None:
        """Close a cursor, or have it closed where a query is still on it."""
        try:
            cursor.close()
        except duckdb.ResourceInUseException:
            closing = threading.Thread(target=self._close, args=(cursor,), name="kqlite-closes-cursor", daemon=True)
            closing.start()
            self._closing = [*(each for each in self._closing if each.is_alive()), closing]

    def _close(self, cursor: Cursor) -> None:
        while True:
            cursor.interrupt()
            try:
                cursor.close()
                return
            except duckdb.ResourceInUseException:
                time.sleep(_PAUSE.total_seconds())

    def wait(self) -> None:
        """Until the last of them is closed."""
        for thread in self._closing:
            thread.join()


_everywhere: "weakref.WeakSet[LeftBehind]" = weakref.WeakSet()


@atexit.register
def _wait() -> None:
    """Python would tear DuckDB down under a query."""
    for each in list(_everywhere):
        each.wait()


def connect(optimizer: bool = True) -> Cursor:
    """A DuckDB instance with this project's settings, which its cursors inherit."""
    connection = duckdb.connect(":memory:")
    for setting in _SETTINGS:
        connection.execute(setting)
    if not optimizer:
        # The pragma of that name holds for one cursor alone.
        connection.execute("SET GLOBAL enable_optimizer = false")
    return connection


def lock(connection: Cursor) -> None:
    """Keep every query on this instance from files, the network and the settings, but for the one that is set for each checkpoint."""
    connection.execute("SET GLOBAL allowed_configs = ['max_vacuum_tasks']")
    connection.execute("SET GLOBAL enable_external_access = false")
    connection.execute("SET GLOBAL lock_configuration = true")


class Database:
    """A DuckDB instance, locked, and in it the database `inventory`.

    wear: what changes did to its tables; kept with them.
    """

    def __init__(self, directory: DataDirectory | None, optimizer: bool = True, fed: bool = False) -> None:
        """directory: where the file lies; None is for `make_in_memory`. fed: no commit is in the file before the next checkpoint.

        Raises InventoryError, which is DamagedError where the file is no database, or no inventory.
        """
        self._directory = directory
        self._base = connect(optimizer)
        self._state_sql = system_tables.STATE
        self._left_behind = LeftBehind()
        self.wear = Wear({})
        if directory is not None:
            self._open(directory, fed)
        lock(self._base)

    # Opening

    def _open(self, directory: DataDirectory, fed: bool) -> None:
        file = directory.store
        if not directory.writable and not file.exists():
            raise InventoryError(f"{file}: missing; the import that should have made it did not end")
        try:
            if fed:
                self.execute(*_AT_TIMES_OF_OUR_OWN)
            options = "READ_ONLY" if not directory.writable else "RECOVERY_MODE no_wal_writes" if fed else "READ_WRITE"
            self._attach_sql = f"ATTACH {literal(str(file))} AS inventory ({options})"
            # The directory is ours, but a process that was killed gives its files back one by one, and DuckDB's may be the last.
            self._attach(lambda error: "Could not set lock" in str(error))
            if directory.writable:
                self.execute(*system_tables.TABLES)
                self.wear = Wear(self._read_worn())
                # All that is locked away later but what it takes to open the database again.
                self.execute(f"SET GLOBAL allowed_paths = [{literal(str(file))}, {literal(f'{file}.wal')}]")
            else:
                self._state_sql = self._readable_state(file)
            self._read_state()
        except duckdb.Error as error:
            self._base.close()
            reason = _reason(error)
            kind = InventoryError if _is_not_damage(reason) else DamagedError
            raise kind(f"{file}: DuckDB cannot open it: {reason}") from None

    def _attach(self, passes: Callable[[duckdb.Error], bool]) -> None:
        """Open the database. passes: whether what keeps it from that is over before long."""
        deadline = time.monotonic() + _DYING.total_seconds()
        while True:
            try:
                self.execute(self._attach_sql)
                return
            except duckdb.Error as error:
                if not passes(error) or time.monotonic() > deadline:
                    raise
            time.sleep(_PAUSE.total_seconds())

    def _readable_state(self, file: Path) -> str:
        """How the state of this file is read; an earlier version keeps it elsewhere. Raises DamagedError where there is none."""
        tables = {name for (name,) in self._base.execute(_TABLE_NAMES).fetchall()}
        if "_state" in tables:
            return system_tables.STATE
        if "_catalog" in tables:
            return system_tables.STATE_BEFORE
        self._base.close()
        raise DamagedError(f"{file}: empty; the process that made it ended too early")

    def _read_state(self) -> None:
        with closing(self._cursor()) as cursor:
            self.state(cursor)
            system_tables.partitions(cursor)

    def _read_worn(self) -> dict[str, int]:
        with closing(self._cursor()) as cursor:
            return system_tables.worn(cursor)

    def make_in_memory(self) -> None:
        """Make the database `inventory`, empty, where there is no directory for it."""
        self.execute("ATTACH ':memory:' AS inventory (COMPRESS)", *system_tables.TABLES)

    def close(self) -> None:
        """End the instance, as it is; its cursors must have ended."""
        self._left_behind.wait()
        self._base.close()

    # Reading and writing

    def execute(self, *statements: str) -> None:
        """Run statements outside of any transaction, on a cursor of their own: others may be asking the base for one meanwhile."""
        with closing(self.bare_cursor()) as cursor:
            for statement in statements:
                cursor.execute(statement)

    def bare_cursor(self) -> Cursor:
        """A cursor that finds what is in DuckDB's own database `memory` by its name alone."""
        return self._base.cursor()

    def _cursor(self) -> Cursor:
        """A cursor that finds what is in `inventory`, too, by its name alone."""
        cursor = self.bare_cursor()
        cursor.execute("SET search_path = 'inventory.main,memory.main'")
        return cursor

    def state(self, cursor: Cursor) -> system_tables.State:
        """As `bookkeeping.state`, for a file of any version."""
        return system_tables.state(cursor, self._state_sql)

    @contextmanager
    def reading(self, made: bool) -> Iterator[Cursor]:
        """A cursor to read on. made: whether there is a database `inventory` to be read.

        Raises what `engine_errors` says, or DamagedError.
        """
        with engine_errors():
            cursor = self._cursor() if made else self.bare_cursor()
            try:
                yield cursor
            except duckdb.Error as error:
                if not isinstance(error, duckdb.IOException) and _CORRUPT not in str(error):
                    raise
                raise self._unreadable(error) from None
            finally:
                self._left_behind.close(cursor)

    @contextmanager
    def writing(self) -> Iterator[Cursor]:
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
                raise InventoryError(f"nothing was written: {_reason(error)}") from None
            raise
        finally:
            cursor.close()

    def _unreadable(self, error: duckdb.Error) -> InventoryError:
        reason = _reason(error)
        if self._directory is None or _is_not_damage(reason):
            return InventoryError(reason)
        again = "; move it away, and it is made anew from the log" if self._directory.log.exists() else ""
        return DamagedError(f"{self._directory.store}: damaged{again} ({reason})")

    # Checkpoints

    def checkpoint(self, patience: timedelta, merges: int, set_back: Callable[[], None]) -> bool:
        """Write what was committed into the file, and in memory compress it; False where readers are in the way.

        patience: how long to wait for them. merges: how often, at most, small row groups are merged. set_back: called where a checkpoint
        failed so that the database is as of the one before. Nobody may write meanwhile. Raises InventoryError where there is no room.
        """
        if self.wear.changed:
            with self.writing() as cursor:
                system_tables.write_worn(cursor, self.wear.replaced)
        self.execute(f"SET GLOBAL max_vacuum_tasks = {merges}")
        deadline = time.monotonic() + patience.total_seconds()
        while not self._try_checkpoint(set_back):
            if time.monotonic() >= deadline:
                return False
            time.sleep(_PAUSE.total_seconds())
        self.wear.checkpointed()
        return True

    def force_checkpoint(self) -> None:
        """Write what was committed into the file: waits for readers to end, and new ones wait with it."""
        self.execute("FORCE CHECKPOINT inventory")

    def _try_checkpoint(self, set_back: Callable[[], None]) -> bool:
        self._check_room()
        try:
            self.execute("CHECKPOINT inventory")
        except duckdb.TransactionException:
            return False
        except duckdb.IOException as error:
            if self._directory is None:
                raise InventoryError(_reason(error)) from None  # in memory there is nothing to go back to
            self._attach_again()
            set_back()
            self.wear = Wear(self._read_worn())
            raise InventoryError(f"no checkpoint was written: {_reason(error)}") from None
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
            self.execute("DETACH inventory")
        try:
            # Whoever reads it keeps it until his next statement, which fails.
            self._attach(lambda _: True)
        except duckdb.Error as error:
            raise InventoryError(f"the database cannot be opened again: {_reason(error)}") from None


def _reason(error: duckdb.Error) -> str:
    return str(error).splitlines()[0]


def _is_not_damage(reason: str) -> bool:
    return any(words in reason for words in _NOT_DAMAGED)
