"""What a Python user holds: a connection to an inventory, and its queries."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

from kqlite.dialects.duckdb import Compiled
from kqlite.engine import Engine, Store, utc_now
from kqlite.inventory.documents import InventoryError
from kqlite.language.binder import EVERYTHING, Scope
from kqlite.parameters import typed
from kqlite.result import Result

if TYPE_CHECKING:
    import pyarrow as pa

Clock = Callable[[], datetime]


def connect(data: "str | Path | Mapping[str, pa.Table] | None" = None, *, clock: Clock = utc_now, optimizer: bool = True) -> "Connection":
    """A connection to an inventory.

    data: a data directory; or Arrow tables by name, queried in place; or None for an empty inventory in memory, to which
    `register` adds tables. clock: what `now()` reads. optimizer: whether DuckDB's optimizer is on; off serves tests, which
    compare both. Raises InventoryError for a directory that is none, and for Arrow types that KQL has no form for.
    """
    from kqlite.inventory.store import Store as DuckDbStore

    if data is None:
        return Connection(DuckDbStore.in_memory(optimizer=optimizer), clock)
    if isinstance(data, Mapping):
        from kqlite.inventory.arrow import ArrowStore

        return Connection(ArrowStore(data, optimizer=optimizer), clock)
    from kqlite.directory import DataDirectory

    return Connection(DuckDbStore.open(DataDirectory.open(Path(data)), optimizer=optimizer), clock)


def connect_sample(*, clock: Clock = utc_now) -> "Connection":
    """A connection to the bundled sample inventory, held in memory."""
    from kqlite.bundled import bundled

    return open_files(sorted(bundled("sample-data/inventory").glob("*.jsonl")), clock=clock)


def open_files(paths: Sequence[Path], *, clock: Clock = utc_now) -> "Connection":
    """A connection to an inventory in memory that holds the resources of files: JSON, JSON lines, Parquet, Arrow.

    Raises InventoryError naming file, line and reason.
    """
    from kqlite.inventory.files import load_files
    from kqlite.inventory.store import Store as DuckDbStore

    store = DuckDbStore.in_memory()
    load_files(paths, store)
    return Connection(store, clock)


class Connection:
    """Queries over one inventory. Threads may share it; a context manager closes it."""

    def __init__(self, store: Store, clock: Clock = utc_now):
        self._engine = Engine(store, clock)

    def query(self, text: str, parameters: Mapping[str, object] | None = None, *, scope: Scope = EVERYTHING) -> Result:
        """The answer to a KQL query, on one snapshot.

        parameters: values by name, which the query uses like columns; a column of the same name wins. scope: what the caller
        may see. Raises KqlError with everything that is wrong with the query.
        """
        return self._engine.query(text, parameters, scope)

    def compile(self, text: str, parameters: Mapping[str, object] | None = None, *, scope: Scope = EVERYTHING) -> Compiled:
        """What a query is made into, without running it: `.plan`, `.sql`, `.schema`. Raises KqlError."""
        types = {name: value.type for name, value in typed(parameters or {}).items()}
        with self._engine.store.snapshot() as snapshot:
            return self._engine.compile(text, snapshot.catalog, types, scope)

    def register(self, name: str, data: "pa.Table | str | Path", *, load: bool = True, replace: bool = False) -> None:
        """Adds a table of the caller's: an Arrow table, or a file of Parquet, Arrow, JSON or JSON lines.

        load: copies it into the engine's own form, which queries read several times faster; else it is queried in place. Raises
        InventoryError for a name that exists, unless `replace` is true, and for types that KQL has no form for.
        """
        register = getattr(self._engine.store, "register", None)
        if register is None:
            raise InventoryError("tables given to `connect` are all that this connection has; register on `kqlite.connect()`")
        if isinstance(data, str | Path):
            from kqlite.inventory.files import read_table

            data = read_table(Path(data))
        register(name, data, load=load, replace=replace)

    def close(self) -> None:
        self._engine.store.close()

    def __enter__(self) -> "Connection":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()
