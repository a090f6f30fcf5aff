"""What a Python user holds: a connection to an inventory, and its queries."""

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from glob import glob, has_magic
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

from kqlite.access.local import Access, Explained, LocalAccess, Question, remaining
from kqlite.directory.data_directory import as_path
from kqlite.engine import utc_now
from kqlite.errors import InventoryError
from kqlite.language.binder import EVERYTHING, Scope
from kqlite.parameters import typed
from kqlite.result import Result
from kqlite.running import Asked, Running
from kqlite.stats import Stats

if TYPE_CHECKING:
    import pyarrow as pa

    from kqlite.inventory.imports.user_tables import Registrable

Clock = Callable[[], datetime]

_SAMPLE_TIME = datetime(2025, 2, 1, tzinfo=UTC)
"""When the bundled sample was as it is: just after the newest moment in it."""

TIMEOUT = 60.0
"""Seconds for which a change is waited for: by default as long as it may lag."""


class BehindError(InventoryError):
    """A change that a caller wants to see is not in the inventory yet."""


def connect(
    data: "str | Path | Sequence[str | Path] | Mapping[str, Registrable] | None" = None,
    *,
    clock: Clock | None = None,
    optimizer: bool = True,
    at_least: int | None = None,
    timeout: float = TIMEOUT,
) -> "Connection":
    """A connection to an inventory.

    data: a data directory; or a file of resources, several, a pattern such as "exports/*.json", or "-" (standard input), read into
    memory; or tables by name, as `register` takes them, queried in place; or None for an empty inventory in memory, to which `register`
    adds tables. A directory that another process holds and shares, as `kqlite simulate` does, is asked through that process; when it
    ends, the connection goes on by itself.
    clock: what `now()` reads, by default UTC, or the clock of the process that holds the directory. optimizer: whether DuckDB's
    optimizer is on; off serves tests, which compare both. at_least: the sequence number of a change that every query has to see;
    a query waits for it, so many seconds as `timeout` says, and then raises BehindError.
    Raises InventoryError for a directory that is none, or that another process holds and does not share, and for Arrow types that KQL has
    no form for.
    """
    return Connection(_access(data, clock, optimizer), at_least=at_least, timeout=timeout)


def _access(data: "str | Path | Sequence[str | Path] | Mapping[str, Registrable] | None", clock: Clock | None, optimizer: bool) -> Access:
    if data is None:
        from kqlite.inventory.store.store import Store as DuckDbStore

        return LocalAccess(DuckDbStore.in_memory(optimizer=optimizer), clock or utc_now)
    if isinstance(data, Mapping):
        from kqlite.inventory.store.arrow_store import ArrowStore

        tables = {name: _table(name, given) for name, given in data.items()}
        return LocalAccess(ArrowStore(tables, optimizer=optimizer), clock or utc_now)
    files = _files(data)
    if files is not None:
        return _of_files(files, clock or utc_now, optimizer)
    assert isinstance(data, str | Path)
    from kqlite.access.directory_access import DirectoryAccess

    return DirectoryAccess(as_path(data), clock, optimizer)


def connect_sample(*, clock: Clock = utc_now) -> "Connection":
    """A connection to the bundled sample inventory, held in memory."""
    from kqlite.bundled import bundled

    files = sorted(bundled("sample-data/inventory").glob("*.jsonl"))
    return Connection(_of_files(files, clock, as_of=_SAMPLE_TIME))


def open_files(paths: Sequence[Path], *, clock: Clock = utc_now) -> "Connection":
    """A connection to an inventory in memory that holds the resources of files: JSON, JSON lines, Parquet, Arrow.

    Raises InventoryError naming file, line and reason.
    """
    return Connection(_of_files(paths, clock))


def _of_files(paths: Sequence[Path], clock: Clock, optimizer: bool = True, as_of: datetime | None = None) -> Access:
    from kqlite.inventory.imports.files import load_files
    from kqlite.inventory.store.store import Store as DuckDbStore

    store = DuckDbStore.in_memory(optimizer=optimizer)
    load_files(paths, store, as_of=as_of)
    return LocalAccess(store, clock)


def _files(given: object) -> list[Path] | None:
    """The files that a caller means; None where it is one path, and no file's. Raises InventoryError where a pattern fits none."""
    if isinstance(given, str | Path):
        path = as_path(given)
        if str(given) == "-" or (path.exists() and not path.is_dir()):
            return [path]
        return _fitting(str(given)) if not path.exists() and has_magic(str(given)) else None
    if not isinstance(given, Sequence) or isinstance(given, bytes):
        raise TypeError(f"an inventory is a path, several files, tables by name, or None, and not {type(given).__name__}")
    if not given:
        raise InventoryError("no files, so no inventory")
    return [file for each in given for file in _files(each) or [as_path(each)]]


def _fitting(pattern: str) -> list[Path]:
    found = sorted(Path(name) for name in glob(pattern, recursive=True))
    if not found:
        raise InventoryError(f"{pattern}: no file fits this pattern")
    return found


def import_files(
    files: str | Path | Sequence[str | Path],
    directory: str | Path,
    *,
    as_of: datetime | None = None,
    replace: str | None = None,
) -> int:
    """Reads the resources of files into a data directory, made where there is none; how many documents there were.

    Of two rows of one id that of the later time stays, in whatever order imports come. The watermark is the oldest time of all rows.

    Args:
        files: As of `connect`.
        directory: A data directory, or where to make one.
        as_of: The time of which the rows are; None is the time when the oldest of the files was written.
        replace: What the files hold whole: "types" (all resources of the types in them), "subscriptions" or "groups" (of those types in the
            subscriptions or resource groups in them), or "all" (the inventory). What is stored of it, and is not in the files, is deleted.

    Raises:
        InventoryError: Names file, place and reason; or the directory is a simulation's. The directory is unchanged then, or not there.
    """
    from kqlite.inventory.imports.files import import_files as import_into
    from kqlite.inventory.store.imports import Coverage

    kinds = [each.value for each in Coverage]
    if replace is not None and replace not in kinds:
        raise InventoryError(f"{replace!r} is not what an import can replace: {', '.join(kinds)}")
    if as_of is not None and as_of.tzinfo is None:
        raise InventoryError(f"{as_of} has no time zone; an import's time is aware, as in datetime.now(UTC)")
    coverage = None if replace is None else Coverage(replace)
    return import_into(_files(files) or [as_path(str(files))], as_path(directory), as_of=as_of, replaces=coverage)


def sample(vms: int, seed: int = 1, directory: str | Path | None = None, *, clock: Clock = utc_now) -> "Connection":
    """A connection to a realistic inventory of so many virtual machines, with all that belongs to them; equal seeds give equal ones.

    directory: a new data directory for it; None keeps it in memory.
    """
    for name, number in (("vms", vms), ("seed", seed)):
        if isinstance(number, bool) or not isinstance(number, int):
            raise TypeError(f"{name} is a whole number, and not {number!r}")
    if vms < 1:
        raise InventoryError(f"{vms} is not a number of machines")
    from kqlite.inventory.sample.generate import load_sample, write_sample
    from kqlite.inventory.store.store import Store as DuckDbStore

    if directory is not None:
        write_sample(as_path(directory), vms, seed)
        return connect(directory, clock=clock)
    store = DuckDbStore.in_memory()
    load_sample(store, vms, seed)
    return Connection(LocalAccess(store, clock))


class Connection:
    """Queries over one inventory. Threads may share it; a context manager closes it.

    access: how the inventory is reached. at_least, timeout: as of `connect`. close: what closes with the connection; by default the access.
    """

    def __init__(
        self, access: Access, *, at_least: int | None = None, timeout: float = TIMEOUT, close: Callable[[], None] | None = None
    ) -> None:
        if at_least is not None and not isinstance(at_least, int):
            raise TypeError(f"at_least is the sequence number of a change, a whole number, and not {at_least!r}")
        self.access = access
        self._at_least = at_least
        self._timeout = _seconds(timeout)
        self._seen = 0
        self._running = Running()
        self._close = close or access.close

    def query(self, text: str, parameters: Mapping[str, object] | None = None, *, scope: Scope = EVERYTHING) -> Result:
        """The answer to a KQL query, on one snapshot.

        parameters: values by name, which the query uses like columns; a column of the same name wins. scope: what the caller
        may see. Raises KqlError with everything that is wrong with the query, and QueryCancelledError where another thread cancels it.
        """
        question = _question(text, parameters, scope)
        with self._running.one() as asked:
            if self._at_least is None:
                return self.access.query(question, asked.on)
            return self._query_after(question, self._at_least, asked)

    def _query_after(self, question: Question, sequence: int, asked: Asked) -> Result:
        deadline = time.monotonic() + self._timeout
        while True:
            if self._seen < sequence and not self.access.wait_for(sequence, remaining(deadline)):
                raise BehindError(f"the inventory has not come to change {sequence:,} within {self._timeout:g} s")
            result = self.access.query(question, asked.on)
            # Where a process that held the directory has been killed, the next one begins at an earlier change.
            self._seen = result.snapshot.sequence or 0
            if self._seen >= sequence:
                return result

    def cancel(self) -> None:
        """End the queries that other threads run on this connection now, each with QueryCancelledError; it can be asked on.

        A query ends within a moment as a rule; where the engine is in a step that cannot be interrupted, after that step.
        """
        self._running.check()
        self._running.cancel()

    def cancel_of(self, thread: int) -> None:
        """End the queries of one thread, by `threading.get_ident`, with QueryCancelledError."""
        self._running.cancel(thread)

    def compile(self, text: str, parameters: Mapping[str, object] | None = None, *, scope: Scope = EVERYTHING) -> Explained:
        """What a query is made into, without running it: `.plan` and `.sql` as text, `.schema`. Raises KqlError."""
        question = _question(text, parameters, scope)
        with self._running.one():
            return self.access.explain(question)

    def register(self, name: str, data: "Registrable", *, load: bool = True, replace: bool = False) -> None:
        """Adds a table of the caller's.

        data: an Arrow table, or whatever gives its rows as Arrow (`__arrow_c_stream__`: the frames of pandas and polars, relations of
        DuckDB, readers of Arrow), or rows as dicts, or a file of Parquet, Arrow, JSON or JSON lines.
        load: copies it into the engine's own form, which queries read several times faster; else it is queried in place. Raises
        InventoryError for a name that exists, unless `replace` is true, and for types that KQL has no form for.
        """
        if not isinstance(name, str):
            raise TypeError(f"a table's name is text, and not {type(name).__name__}")
        if not name or name.encode(errors="ignore").decode() != name:
            raise InventoryError(f"{name!a} is no name of a table: it is empty, or not valid Unicode")
        self._running.check()
        table = _table(name, data)
        with self._running.one():
            self.access.register(name, table, load, replace)

    def wait_for(self, sequence: int, timeout: float = TIMEOUT) -> bool:
        """Whether the change of this sequence number is visible to queries, waiting so many seconds for it; read your own writes.

        It is not waited for where nothing can bring it.
        """
        if not isinstance(sequence, int):
            raise TypeError(f"what is waited for is the sequence number of a change, a whole number, and not {sequence!r}")
        seconds = _seconds(timeout)
        self._running.check()
        return self.access.wait_for(sequence, seconds)

    def export(self, path: str | Path) -> int:
        """Writes every row of the resource tables into a file: Parquet where its name ends so, else JSON lines; how many there were.

        Raises InventoryError where it cannot be written, or another process holds the inventory.
        """
        target = as_path(path)
        with self._running.one():
            return self.access.export(target)

    def stats(self) -> Stats:
        """How far the inventory has come, how large it is, who holds it."""
        with self._running.one():
            return self.access.stats()

    def close(self) -> None:
        """End the queries of other threads, each with ClosedError, and let go of the inventory. Again, it does nothing."""
        self._running.close(self._close)

    def __enter__(self) -> "Connection":
        self._running.check()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()


def _question(text: str, parameters: Mapping[str, object] | None, scope: Scope) -> Question:
    if not isinstance(text, str):
        raise TypeError(f"a query is text, and not {type(text).__name__}")
    if not isinstance(scope, Scope):
        raise TypeError(f"a scope is a kqlite.Scope, and not {type(scope).__name__}")
    return Question(text, typed(parameters or {}), scope)


def _seconds(timeout: float) -> float:
    if isinstance(timeout, bool) or not isinstance(timeout, int | float) or timeout != timeout:
        raise TypeError(f"a timeout is a number of seconds, and not {timeout!r}")
    return min(max(0.0, float(timeout)), threading.TIMEOUT_MAX)


def _table(name: str, data: "Registrable") -> "pa.Table":
    if isinstance(data, str | Path):
        from kqlite.inventory.imports.files import read_table

        return read_table(as_path(data))
    from kqlite.inventory.imports.user_tables import as_table

    return as_table(name, data)
