"""Answers the queries of other processes in the one that holds a data directory."""

import json
import os
import shutil
import sys
import tempfile
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pyarrow as pa
from pyarrow import flight

from kqlite.access import protocol
from kqlite.access.local import LocalAccess
from kqlite.access.sockets import PRIVATE_PREFIX, SOCKET, fits, location, real, short_folder
from kqlite.directory.data_directory import DataDirectory
from kqlite.engine import Snapshot
from kqlite.errors import InventoryError
from kqlite.stats import to_json

MOST_AT_ONCE = 8
"""Queries from outside that run at the same time; further ones wait for their turn."""

MOST_CALLS = 128
"""Calls of any kind that are answered at the same time; each takes a thread, and further ones are refused."""

TURN_SECONDS = 30.0
"""How long a query waits for its turn."""

MOST_BYTES_AT_ONCE = 2 * protocol.MOST_ANSWER_BYTES
"""Answers made and not sent yet."""

BATCH_BYTES = 4 * 2**20
_WATCH_SECONDS = 0.1
_CLOSING_SECONDS = 2.0


class BusyError(InventoryError):
    """The holder of a directory has as much to do for others as it takes on."""


class TimeLimitError(InventoryError):
    """A query that ran for as long as the holder of a directory lets one of another process run."""


def serve(access: LocalAccess, directory: DataDirectory, query_seconds: float = protocol.QUERY_SECONDS) -> "Server":
    """Answer other processes from now on, by an inventory of this process, which holds the directory alone.

    query_seconds: the longest that a query may run. The socket is `socket` in the directory; where that path is longer than a socket's
    may be (about 100 bytes), or the file system has no sockets, it lies in a folder of its own in the temporary directory, which the lock
    file names. Only the owner of this process can open either.
    """
    if sys.platform == "win32":
        return Server(lambda: None)  # Flight has no such sockets there: others are told that the directory is in use
    running = _Running(query_seconds)
    _sweep(directory.socket_left)
    answering, socket = _listening(directory.path, lambda at: _Flight(at, access, running))
    directory.name_socket(SOCKET if socket.parent == real(directory.path) else str(socket))

    def end() -> None:
        directory.name_socket(None)
        running.close()
        # It waits for answers that are being sent, one of them perhaps to a process that does not read.
        ending = threading.Thread(target=answering.shutdown, daemon=True)
        ending.start()
        ending.join(_CLOSING_SECONDS)
        with suppress(FileNotFoundError):
            socket.unlink()
        _sweep(str(socket))

    return Server(end)


class Server:
    """Answers others until it is closed, or nobody has it any more; then they go on by themselves."""

    def __init__(self, end: Callable[[], None]) -> None:
        # A process that ends without closing it must not be torn down under Flight's threads.
        self._end = weakref.finalize(self, end)

    def close(self) -> None:
        """Answer nobody any more. Queries that run for others are ended."""
        self._end()


def _listening(folder: Path, make: Callable[[str], "_Flight"]) -> tuple["_Flight", Path]:
    """A server, and its socket."""
    at = real(folder) / SOCKET
    if fits(at):
        # Made where nobody else can look and then moved: for a moment a new socket is open to all. What a dead process left is replaced.
        private = Path(tempfile.mkdtemp(prefix=".", dir=at.parent))
        try:
            server = _listening_in(private, make)
            (private / SOCKET).replace(at)
            return server, at
        except (OSError, pa.ArrowException):  # a file system without sockets
            pass
        finally:
            shutil.rmtree(private, ignore_errors=True)
    private = Path(tempfile.mkdtemp(prefix=PRIVATE_PREFIX, dir=short_folder()))
    return _listening_in(private, make), private / SOCKET


def _listening_in(private: Path, make: Callable[[str], "_Flight"]) -> "_Flight":
    server = make(location(private / SOCKET))
    (private / SOCKET).chmod(0o600)
    return server


def _sweep(socket: str | None) -> None:
    """Remove the folder that a dead process made for its socket."""
    if socket is None:
        return
    private = Path(socket).parent
    with suppress(OSError):
        if private.name.startswith(PRIVATE_PREFIX) and private.stat().st_uid == os.getuid():
            shutil.rmtree(private)


class _Query:
    """A query of another process, while it runs."""

    def __init__(self, name: str, is_cancelled: Callable[[], bool], until: float) -> None:
        self.name = name
        self.is_cancelled = is_cancelled
        self.until = until
        self.snapshot: Snapshot | None = None
        self.ended: Exception | None = None


class _Running:
    """The queries that run for others: not too many, and none for too long or for nobody."""

    def __init__(self, query_seconds: float) -> None:
        self._query_seconds = query_seconds
        self._turns = threading.BoundedSemaphore(MOST_AT_ONCE)
        self._lock = threading.Lock()
        self._queries: set[_Query] = set()
        self._unsent = 0
        self._changed = threading.Condition(self._lock)
        self._closing = False
        threading.Thread(target=self._watch, name="kqlite-queries-of-others", daemon=True).start()

    @contextmanager
    def one(self, name: str, is_cancelled: Callable[[], bool]) -> Iterator[_Query]:
        """A query that runs within the block. Raises BusyError, and in the place of the engine's error the reason why it was ended."""
        if not self._turns.acquire(timeout=TURN_SECONDS):
            raise BusyError(f"the process that holds the directory runs {MOST_AT_ONCE} queries for others already; try again")
        query = _Query(name, is_cancelled, time.monotonic() + self._query_seconds)
        try:
            with self._changed:
                if self._closing:
                    raise _gone()
                self._queries.add(query)
                self._changed.notify()
            yield query
        except Exception:
            if query.ended is not None:
                raise query.ended from None
            raise
        finally:
            with self._lock:
                self._queries.discard(query)
            self._turns.release()

    @contextmanager
    def on(self, query: _Query, snapshot: Snapshot) -> Iterator[None]:
        """The query's snapshot, within the block."""
        snapshot.most_bytes = protocol.MOST_ANSWER_BYTES
        with self._lock:
            query.snapshot = snapshot
        try:
            yield
        finally:
            with self._lock:
                query.snapshot = None

    def cancel(self, name: str) -> None:
        """End a query because its asker says so."""
        with self._lock:
            for query in self._queries:
                if query.name == name:
                    query.ended = _cancelled("by its asker")

    def close(self) -> None:
        """End all queries, and refuse new ones."""
        with self._changed:
            self._closing = True
            self._changed.notify()
            for query in self._queries:
                query.ended = query.ended or _gone()
                self._interrupt(query)

    def _watch(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._queries or self._closing)
                if not self._queries:
                    return
                for query in self._queries:
                    query.ended = query.ended or self._reason(query)
                    self._interrupt(query)
            time.sleep(_WATCH_SECONDS)

    def _reason(self, query: _Query) -> Exception | None:
        if query.is_cancelled():
            return _cancelled("its asker has gone")
        if time.monotonic() > query.until:
            return TimeLimitError(f"ended after {self._query_seconds:g} s, the longest that a query from another process may run")
        return None

    def _interrupt(self, query: _Query) -> None:
        # Again and again, since DuckDB forgets an interruption that comes before the query has begun.
        if query.ended is not None and query.snapshot is not None:
            query.snapshot.interrupt()

    def sending(self, table: pa.Table) -> "_Sending":
        """The batches of an answer, which is accounted for until they are gone."""
        size = table.nbytes
        with self._lock:
            if self._unsent + size > MOST_BYTES_AT_ONCE:
                raise BusyError("the process that holds the directory has too many large answers to send already; try again")
            self._unsent += size
        sending = _Sending(table, size)
        weakref.finalize(sending, self._sent, size)
        return sending

    def _sent(self, size: int) -> None:
        with self._lock:
            self._unsent -= size


def _cancelled(why: str) -> Exception:
    error: Exception = flight.FlightCancelledError(why)
    return error


def _gone() -> Exception:
    error: Exception = flight.FlightUnavailableError("closing")
    return error


class _Sending:
    """The batches of an answer, none too large for a message. An object of its own, since a generator that nobody starts ends nothing."""

    def __init__(self, table: pa.Table, size: int) -> None:
        rows = max(1, table.num_rows * BATCH_BYTES // max(1, size))
        self._batches = iter(table.to_batches(max_chunksize=rows))

    def __iter__(self) -> "_Sending":
        return self

    def __next__(self) -> pa.RecordBatch:
        return next(self._batches)


class _Flight(flight.FlightServerBase):  # type: ignore[misc]  # pyarrow has no types
    """The calls: a query is a get, all else an action with one JSON document in and one out."""

    def __init__(self, at: str, access: LocalAccess, running: _Running) -> None:
        super().__init__(at)
        self._access = access
        self._running = running
        self._calls = threading.BoundedSemaphore(MOST_CALLS)

    @contextmanager
    def _call(self) -> Iterator[None]:
        if not self._calls.acquire(blocking=False):
            raise BusyError(f"the process that holds the directory answers {MOST_CALLS} calls already; try again")
        try:
            yield
        finally:
            self._calls.release()

    def do_get(self, context: Any, ticket: Any) -> Any:
        try:
            with self._call():
                return self._answer(context, ticket)
        except flight.FlightError:
            raise
        except Exception as error:
            return flight.RecordBatchStream(protocol.error_answer(error))

    def _answer(self, context: Any, ticket: Any) -> Any:
        content = protocol.read_request(ticket.ticket)
        question = protocol.question_from_json(content["question"])
        with self._running.one(content["name"], context.is_cancelled) as query:
            answer = protocol.answer_of(self._access.query(question, lambda snapshot: self._running.on(query, snapshot)))
        return flight.GeneratorStream(answer.schema, self._running.sending(answer))

    def do_action(self, context: Any, action: Any) -> list[bytes]:
        try:
            with self._call():
                document = {"value": self._value(action.type, protocol.read_request(action.body.to_pybytes()))}
        except flight.FlightError:
            raise
        except Exception as error:
            document = {"error": protocol.error_to_json(error)}
        return [json.dumps(document).encode()]

    def _value(self, action: str, content: Any) -> object:
        match action:
            case "hello":
                return os.getpid()
            case "cancel":
                self._running.cancel(content["name"])
                return None
            case "explain":
                return protocol.explained_to_json(self._access.explain(protocol.question_from_json(content["question"])))
            case "wait_for":
                return self._access.wait_for(content["sequence"], min(content["seconds"], protocol.WAIT_SECONDS))
            case "stats":
                return to_json(self._access.stats())
        raise protocol.OtherVersionError(f"the process that holds the directory knows no `{action}`")
