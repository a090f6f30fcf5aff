"""The inventory of a data directory, wherever it is: in this process while nobody holds the directory, else in the one that does."""

import os
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from kqlite.access.local import Access, Explained, Interrupts, LocalAccess, Question, remaining
from kqlite.access.sockets import SOCKET, fits, real
from kqlite.directory import lock
from kqlite.directory.data_directory import DataDirectory, InUseError
from kqlite.directory.lock import Record
from kqlite.engine import utc_now
from kqlite.errors import ClosedError
from kqlite.result import Result
from kqlite.stats import Stats

if TYPE_CHECKING:
    import pyarrow as pa

STARTING_SECONDS = 30.0
"""How long a holder is waited for that is going to answer, and does not yet."""

_RECORD_SECONDS = 0.5
_POLL_SECONDS = 0.02
_LOOK_SECONDS = 0.1
_MOST_HOLDERS = 5
T = TypeVar("T")


class DirectoryAccess:
    """The inventory of a data directory, for as long as the connection lasts and whoever holds it meanwhile.

    clock: None is UTC, or the holder's. Raises DirectoryError.

    A store that was opened here is given up between two queries when a writer wants the directory. A query whose holder ends before it has
    answered is asked again, of the next holder or of the store: queries change nothing.
    """

    def __init__(self, path: Path, clock: Callable[[], datetime] | None = None, optimizer: bool = True) -> None:
        self._path = path
        self._clock = clock
        self._optimizer = optimizer
        self._changed = threading.Condition()
        self._users = 0
        self._leaving = False
        self._pinned = False
        self._access: Access | None = self._find()
        self._closed = threading.Event()
        threading.Thread(target=_watch, args=(weakref.ref(self), self._closed), name="kqlite-lets-go", daemon=True).start()

    def query(self, question: Question, watch: Interrupts = nullcontext) -> Result:
        """See Access."""
        if self._clock is not None:
            question = replace(question, now=self._clock())
        return self._ask(lambda access: access.query(question, watch))

    def explain(self, question: Question) -> Explained:
        """See Access."""
        return self._ask(lambda access: access.explain(question))

    def register(self, name: str, table: "pa.Table", load: bool, replace: bool) -> None:
        """See Access. From then on the store stays open, and keeps writers out: the table is in it."""

        def register(access: Access) -> None:
            access.register(name, table, load, replace)
            self._pinned = True

        self._ask(register)

    def wait_for(self, sequence: int, seconds: float) -> bool:
        """See Access. While nobody holds the directory, a holder is waited for."""
        deadline = time.monotonic() + seconds
        while True:
            is_in = self._ask(lambda access: access.wait_for(sequence, remaining(deadline)))
            if is_in or not remaining(deadline):
                return is_in
            time.sleep(min(_LOOK_SECONDS, remaining(deadline)))

    def export(self, path: Path) -> int:
        """See Access."""
        return self._ask(lambda access: access.export(path))

    def stats(self) -> Stats:
        """See Access."""
        return self._ask(lambda access: access.stats())

    def close(self) -> None:
        """See Access."""
        self._closed.set()
        with self._changed:
            self._let_go()

    def _ask(self, ask: Callable[[Access], T]) -> T:
        for _ in range(_MOST_HOLDERS):
            with self._borrowed() as access:
                if isinstance(access, LocalAccess):
                    return ask(access)
                from kqlite.access.remote import Gone

                try:
                    return ask(access)
                except Gone:
                    self._forget(access)
        raise InUseError(f"{self._path}: {_MOST_HOLDERS} processes in turn have held it and not answered")

    @contextmanager
    def _borrowed(self) -> Iterator[Access]:
        """What there is to ask, which stays open within the block."""
        with self._changed:
            self._changed.wait_for(lambda: not self._leaving)
            if self._closed.is_set():
                raise ClosedError(f"{self._path}: this connection is closed")
            if self._access is None:
                self._access = self._find()
            access = self._access
            self._users += 1
        try:
            yield access
        finally:
            with self._changed:
                self._users -= 1
                if self._leaving and not self._users:
                    self._let_go()

    def _forget(self, gone: Access) -> None:
        with self._changed:
            if self._access is gone:
                self._access = None
        gone.close()

    def _let_go(self) -> None:
        if self._access is not None:
            self._access.close()
        self._access = None
        self._leaving = False
        self._changed.notify_all()

    def make_way(self) -> None:
        """Give the store up, after the queries that are on it, if a writer waits for it."""
        if not isinstance(self._access, LocalAccess) or self._pinned or not lock.is_wanted(self._path):
            return
        with self._changed:
            if isinstance(self._access, LocalAccess):
                self._leaving = True
                if not self._users:
                    self._let_go()

    def _find(self) -> Access:
        started = time.monotonic()
        while True:
            if not lock.is_wanted(self._path):
                try:
                    return self._open()
                except InUseError as error:
                    found = self._of_holder(error)
                    if found is not None:
                        return found
                    if time.monotonic() > started + _patience(error.record):
                        raise
            time.sleep(_POLL_SECONDS)

    def _open(self) -> Access:
        directory = DataDirectory.open(self._path)
        if directory.log.exists():
            from kqlite.access.recovery import recover

            store, time = recover(directory, self._optimizer)
            return LocalAccess(store, self._clock or (lambda: time))
        from kqlite.inventory.store.store import Store  # and with it DuckDB, which is not needed where another process has it

        try:
            return LocalAccess(Store.open(directory, optimizer=self._optimizer), self._clock or utc_now)
        except BaseException:
            directory.close()
            raise

    def _of_holder(self, error: InUseError) -> Access | None:
        """What asks the holder; None where it does not answer yet, or does not share. Raises InUseError where it cannot be asked."""
        record = error.record
        if record is None or not record.shares or record.socket is None:
            return None
        socket = real(self._path) / SOCKET if record.socket == SOCKET else Path(record.socket)
        if not fits(socket):
            raise InUseError(
                f"{self._path}: in use by {record.holder}, and its path is too long for a socket; open it by a shorter one", record
            )
        if socket.exists() and not os.access(socket, os.R_OK | os.W_OK):
            raise InUseError(f"{self._path}: in use by {record.holder}, which answers only its own user", record)
        from kqlite.access.remote import Gone, RemoteAccess

        try:
            return RemoteAccess(socket)
        except Gone:
            return None


def _patience(record: Record | None) -> float:
    """How long a holder is waited for that does not answer."""
    if record is None:
        return lock.UNSAID_SECONDS
    return STARTING_SECONDS if record.shares or record.briefly else _RECORD_SECONDS


def _watch(reference: "weakref.ref[DirectoryAccess]", closed: threading.Event) -> None:
    while not closed.wait(_LOOK_SECONDS):
        access = reference()
        if access is None:
            return
        access.make_way()
        del access
