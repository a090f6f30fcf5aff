"""A snapshot: a catalog, rows and a watermark that belong together, and the cursor on which they are read."""

import json
import threading
import time
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Protocol

from kqlite.errors import InventoryError
from kqlite.inventory.shapes.catalog import InventoryCatalog
from kqlite.inventory.shapes.sql_text import identifier

if TYPE_CHECKING:
    import pyarrow as pa

    from kqlite.inventory.store.small import HeldPartition


_BATCH_ROWS = 65_536

_OBEYS = timedelta(milliseconds=120)
_AGAIN_AT_ONCE = timedelta(milliseconds=10)
"""How long a query that was interrupted is waited for, and how often it is told; then it is left to end by itself."""


class Cursor(Protocol):
    """What a snapshot needs of a DuckDB cursor."""

    def sql(self, query: Any, *, alias: str = "", params: object = None) -> Any: ...  # Any: DuckDB's own relation, typed where it is made

    def execute(self, query: Any, parameters: object = None) -> Any: ...  # Any: the cursor again

    def register(self, view_name: str, python_object: object) -> Any: ...

    def interrupt(self) -> None: ...


class SnapshotExpired(InventoryError):
    """A snapshot lasted longer than this store allows."""

    def __init__(self, limit: timedelta) -> None:
        super().__init__(f"ended: here no query, and no snapshot, may last longer than {limit.total_seconds():g} s")


class AnswerTooLarge(InventoryError):
    """An answer has more bytes than whoever asks can be given."""

    def __init__(self, most_bytes: int) -> None:
        super().__init__(f"the answer has more than {most_bytes // 2**20:,} MiB, the most that is given here; take, project or summarize")


class Snapshot:
    """Rows and schema as of one moment, whatever is written meanwhile.

    watermark: the time up to which the inventory is complete, aware and UTC; None where nothing says so.
    feed_offset: how far the change feed was read, as text of the feed's own; None where no feed brings changes.
    held: what stays in Arrow, by source; registered when a query names it, since that takes as long as a small query.
    most_bytes: an answer that is larger ends, while it is being made, with AnswerTooLarge; None is no bound.
    """

    def __init__(
        self,
        cursor: Cursor,
        catalog: InventoryCatalog,
        watermark: datetime | None,
        feed_offset: str | None = None,
        held: "Mapping[str, HeldPartition] | None" = None,
    ) -> None:
        self.catalog = catalog
        self.watermark = watermark
        self.feed_offset = feed_offset
        self.most_bytes: int | None = None
        self.is_left = False
        """Whether a query is still on the cursor for which nobody waits."""
        self._cursor = cursor
        self._held = dict(held or {})
        self._expired: SnapshotExpired | None = None
        self._busy = threading.Lock()

    @property
    def sequence(self) -> int | None:
        """The sequence number of the last event that is in, which the feed offset has as a member; None where no feed brings changes."""
        return None if self.feed_offset is None else int(json.loads(self.feed_offset)["sequence"])

    def run(self, sql: str, parameters: Mapping[str, object] | None = None) -> "pa.Table":
        """All rows of a query, whose parameters are written `$name`. What a signal's handler raises, as Ctrl-C does, ends it."""
        if threading.current_thread() is not threading.main_thread():
            return self._run(sql, parameters)
        return self._run_interruptibly(sql, parameters)

    def interrupt(self) -> None:
        """End the query that another thread runs here; `run` raises there."""
        self._cursor.interrupt()

    def expire(self, limit: timedelta) -> bool:
        """End the transaction, or else the query that another thread runs in it; False where only the query was told to end."""
        self._expired = SnapshotExpired(limit)
        if not self._busy.acquire(blocking=False):
            self._cursor.interrupt()
            return False
        try:
            self._cursor.execute("ROLLBACK")
        finally:
            self._busy.release()
        return True

    def _run(self, sql: str, parameters: Mapping[str, object] | None) -> "pa.Table":
        with self._busy:
            if self._expired is not None:
                raise self._expired
            self._register(sql)
            try:
                return self._rows(self._cursor.sql(sql, params=dict(parameters) if parameters else None))
            except Exception:
                if self._expired is not None:
                    raise self._expired from None
                raise

    def _register(self, sql: str) -> None:
        for source in [source for source in self._held if identifier(source) in sql]:
            self._cursor.register(source, self._held.pop(source).shown)

    def _rows(self, relation: Any) -> "pa.Table":
        if self.most_bytes is None:
            return relation.to_arrow_table()
        import pyarrow as pa

        reader = relation.to_arrow_reader(_BATCH_ROWS)
        try:
            batches, size = [], 0
            for batch in reader:
                batches.append(batch)
                size += batch.nbytes
                if size > self.most_bytes:
                    raise AnswerTooLarge(self.most_bytes)
            return pa.Table.from_batches(batches, reader.schema)
        finally:
            reader.close()  # a cursor with rows left is of no more use

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
        except BaseException:
            # Again and again, since DuckDB forgets an interruption that comes before a step of the query has begun. Some steps heed none.
            self._cursor.interrupt()
            deadline = time.monotonic() + _OBEYS.total_seconds()
            while not ended.wait(_AGAIN_AT_ONCE.total_seconds()):
                if time.monotonic() > deadline:
                    self.is_left = True
                    break
                self._cursor.interrupt()
            raise
        [result] = outcome
        if isinstance(result, BaseException):
            raise result
        return result


class OpenSnapshots:
    """The snapshots that are open, and the thread that ends those that last too long. limit: None for ever."""

    def __init__(self, limit: timedelta | None) -> None:
        self._limit = limit
        self._changed = threading.Condition()
        self._deadlines: dict[Snapshot, float] = {}
        self._watcher: threading.Thread | None = None
        self._closed = False
        self.count = 0

    def entered(self) -> None:
        """One more is being opened."""
        with self._changed:
            self.count += 1

    def begun(self, snapshot: Snapshot) -> None:
        """Its transaction has begun, and so has its time."""
        if self._limit is None:
            return
        with self._changed:
            self._deadlines[snapshot] = time.monotonic() + self._limit.total_seconds()
            if self._watcher is None:
                self._watcher = threading.Thread(target=self._watch, args=(self._limit,), name="kqlite-time-limit", daemon=True)
                self._watcher.start()

    def left(self, snapshot: Snapshot | None) -> None:
        """One is no longer needed; None for one that never began."""
        with self._changed:
            self.count -= 1
            if snapshot is not None:
                self._deadlines.pop(snapshot, None)

    def close(self) -> None:
        """End the thread."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def _watch(self, limit: timedelta) -> None:
        with self._changed:
            while not self._closed:
                # A new deadline is later than all that are known, so there is nothing to be woken for.
                now = time.monotonic()
                for snapshot in [snapshot for snapshot, deadline in self._deadlines.items() if deadline <= now]:
                    if snapshot.expire(limit):
                        del self._deadlines[snapshot]
                left = min(self._deadlines.values(), default=now + limit.total_seconds()) - now
                self._changed.wait(max(left, _AGAIN.total_seconds()))


_AGAIN = timedelta(milliseconds=50)
"""How often a query is told to end that does not: DuckDB forgets an interruption that comes before the query has begun."""
