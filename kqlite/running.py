"""The queries that run now, and how one ends before it has its answer: another thread says so, its connection closes, the process ends."""

import atexit
import os
import threading
import weakref
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from typing import Protocol

from kqlite.errors import ClosedError, KqliteError, QueryCancelledError

_AGAIN_SECONDS = 0.02
"""How often a query is told to end that does not: DuckDB forgets an interruption that comes before a step of the query has begun."""


class Interruptible(Protocol):
    """What a query is on: a snapshot, or a call to the process that has one."""

    def interrupt(self) -> None:
        """End the query that another thread runs here."""


class Asked:
    """One query, from when it was asked for until its caller has an answer or an error."""

    def __init__(self) -> None:
        self.thread = threading.get_ident()
        self.left = threading.Event()
        self._reason: Callable[[], KqliteError] | None = None
        self._on: Interruptible | None = None
        self._lock = threading.Lock()

    @contextmanager
    def on(self, place: Interruptible) -> Iterator[None]:
        """Within the block the query runs there, and can be interrupted."""
        self.check()
        with self._lock:
            self._on = place
        try:
            yield
        finally:
            with self._lock:
                self._on = None

    def check(self) -> None:
        """Raise the reason why it was ended, if it was."""
        if self._reason is not None:
            raise self._reason()

    def end(self, reason: Callable[[], KqliteError]) -> None:
        """Let it end with this error; who calls goes on at once."""
        self.tell(reason)
        threading.Thread(target=_until_left, args=([self],), name="kqlite-ends-query", daemon=True).start()

    def tell(self, reason: Callable[[], KqliteError]) -> None:
        """Have it end with this error when it is interrupted, or goes on to its next step."""
        self._reason = self._reason or reason

    def interrupt(self) -> None:
        """Interrupt it where it is."""
        with self._lock:
            if self._on is not None:
                self._on.interrupt()


class Running:
    """The queries of one connection."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._queries: set[Asked] = set()
        self._closed = False
        self._process = os.getpid()
        self._close: Callable[[], None] | None = None

    def check(self) -> None:
        """Raise ClosedError where the connection is closed, or another process opened it."""
        if self._process != os.getpid():
            raise ClosedError("this connection belongs to the process that opened it: connect again after a fork")
        if self._closed:
            raise ClosedError("this connection is closed")

    @contextmanager
    def one(self) -> Iterator[Asked]:
        """A query that runs within the block; what ended it from outside comes in the place of the engine's error."""
        self.check()
        asked = Asked()
        with self._lock:
            self.check()
            self._queries.add(asked)
        _everywhere.add(asked)
        try:
            if _process_ends.is_set():
                raise _at_exit()
            yield asked
        except Exception:
            asked.check()
            raise
        finally:
            _everywhere.discard(asked)
            with self._lock:
                self._queries.discard(asked)
                close = None if self._queries else self._close
            asked.left.set()
            if close is not None:
                close()

    def cancel(self, thread: int | None = None) -> None:
        """End the queries that run now, or those of one thread alone."""
        with self._lock:
            queries = [asked for asked in self._queries if thread in (None, asked.thread)]
        for asked in queries:
            asked.end(lambda: QueryCancelledError("this query was cancelled"))

    def close(self, close: Callable[[], None]) -> None:
        """End the queries, refuse new ones, and close what they are on as soon as none is left. Again, it does nothing."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
            others = [asked for asked in self._queries if asked.thread != threading.get_ident()]
            # Such as by a signal's handler, in the middle of it: it ends after this call.
            own = self._queries.difference(others)
            self._close = close if own else None
            for asked in others:
                asked.tell(_closed)
        for asked in own:
            asked.end(_closed)
        _until_left(others)
        if not own:
            close()


def _closed() -> KqliteError:
    return ClosedError("this connection was closed while the query ran")


def _at_exit() -> KqliteError:
    return ClosedError("the process ends, and this query with it")


def _until_left(queries: Collection[Asked]) -> None:
    for asked in queries:
        while not asked.left.wait(_AGAIN_SECONDS):
            for each in queries:
                each.interrupt()


_everywhere: "weakref.WeakSet[Asked]" = weakref.WeakSet()
_process_ends = threading.Event()


@atexit.register
def _end_all() -> None:
    """End what runs in daemon threads, the only ones that are left by now: Python would tear DuckDB down under them."""
    _process_ends.set()
    queries = list(_everywhere)
    for asked in queries:
        asked.tell(_at_exit)
    _until_left(queries)
