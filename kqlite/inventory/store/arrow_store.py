"""Arrow tables queried in place: a catalog that is given and never changes."""

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING

from kqlite.inventory.shapes.arrow_types import normalise
from kqlite.inventory.shapes.catalog import InventoryCatalog
from kqlite.inventory.store.database import Cursor, LeftBehind, connect, engine_errors, lock
from kqlite.inventory.store.registered import registered_source, resource_schema, show, table_of
from kqlite.inventory.store.snapshot import Snapshot

if TYPE_CHECKING:
    import pyarrow as pa


class ArrowStore:
    """Tables given as Arrow, immutable, behind the same protocol as the store."""

    def __init__(self, tables: "Mapping[str, pa.Table]", optimizer: bool = True) -> None:
        """Raises InventoryError for an Arrow type that KQL has no form for."""
        given = {name: normalise(table, resource_schema(name)) for name, table in tables.items()}
        sources = {name: registered_source(name, index) for index, name in enumerate(given)}
        self._given = {sources[name]: normalised for name, normalised in given.items()}
        self._catalog = InventoryCatalog(1, {}, {name: table_of(name, normalised, sources[name]) for name, normalised in given.items()})
        self._connection = connect(optimizer)
        lock(self._connection)
        self._left_behind = LeftBehind()
        self._idle: list[Cursor] = []
        self._lock = threading.Lock()

    def close(self) -> None:
        self._left_behind.wait()
        for cursor in self._idle:
            cursor.close()
        self._connection.close()

    @contextmanager
    def snapshot(self) -> Iterator[Snapshot]:
        """A snapshot; of tables that never change each is the same."""
        with engine_errors():
            cursor = self._take()
            snapshot = Snapshot(cursor, self._catalog, None)
            try:
                yield snapshot
            finally:
                if snapshot.is_left:
                    self._left_behind.close(cursor)
                else:
                    with self._lock:
                        self._idle.append(cursor)

    def _take(self) -> Cursor:
        with self._lock:
            if self._idle:
                return self._idle.pop()
        return self._cursor()

    def _cursor(self) -> Cursor:
        # What is registered belongs to one cursor; a view over it does, too.
        cursor = self._connection.cursor()
        for source, normalised in self._given.items():
            show(cursor, source, normalised)
        return cursor
