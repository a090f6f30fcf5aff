"""A snapshot: a catalog, rows and a watermark that belong together, and the cursor on which they are read."""

import threading
from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any, Protocol

from kqlite.inventory.catalog import InventoryCatalog

if TYPE_CHECKING:
    import pyarrow as pa


class Cursor(Protocol):
    """What a snapshot needs of a DuckDB cursor."""

    def sql(self, query: Any, *, alias: str = "", params: object = None) -> Any: ...  # Any: DuckDB's own relation, typed where it is made

    def interrupt(self) -> None: ...


class Snapshot:
    """Rows and schema as of one moment, whatever is written meanwhile.

    watermark: the time up to which the inventory is complete, aware and UTC; None where nothing says so.
    position: what the feeder of changes has noted of its own place, or None.
    """

    def __init__(self, cursor: Cursor, catalog: InventoryCatalog, watermark: datetime | None, position: str | None = None) -> None:
        self.catalog = catalog
        self.watermark = watermark
        self.position = position
        self._cursor = cursor

    def run(self, sql: str, parameters: Mapping[str, object] | None = None) -> "pa.Table":
        """All rows of a query, whose parameters are written `$name`. Ctrl-C ends it with KeyboardInterrupt."""
        if threading.current_thread() is not threading.main_thread():
            return self._run(sql, parameters)
        return self._run_interruptibly(sql, parameters)

    def interrupt(self) -> None:
        """End the query that another thread runs here; `run` raises there."""
        self._cursor.interrupt()

    def _run(self, sql: str, parameters: Mapping[str, object] | None) -> "pa.Table":
        return self._cursor.sql(sql, params=dict(parameters) if parameters else None).to_arrow_table()

    def _run_interruptibly(self, sql: str, parameters: Mapping[str, object] | None) -> "pa.Table":
        # DuckDB answers Python's signals only after the last row (tried: six minutes), so another thread runs the query and this one waits,
        # which Ctrl-C can break.
        outcome: list[pa.Table | BaseException] = []
        # Not `join`: in Python 3.11 one that Ctrl-C has broken takes the thread for ended.
        ended = threading.Event()

        def work() -> None:
            try:
                outcome.append(self._run(sql, parameters))
            except BaseException as error:  # the waiting thread raises it
                outcome.append(error)
            finally:
                ended.set()

        threading.Thread(target=work, daemon=True).start()
        try:
            ended.wait()
        except KeyboardInterrupt:
            # Again and again, since DuckDB forgets an interruption that comes before the query has begun.
            while not ended.wait(0.05):
                self._cursor.interrupt()
            raise
        [result] = outcome
        if isinstance(result, BaseException):
            raise result
        return result
