"""The event log: append, commit, read after a sequence number. It is durable in SQLite, or kept in memory.

Readers see an event only after the commit that contains it has returned. A commit contains any number of events and the simulated time.
After a crash a commit is there as a whole or not at all: the file is in WAL mode with `synchronous=FULL`.

The SQLite file has three tables. Types, scopes, operations, actors and causes repeat often, so `events` holds their numbers in `texts`:

    texts   1 "Microsoft.Compute/virtualMachines"   2 "/subscriptions/../virtualMachines/"   3 ""   4 "user"   ..
    facts   "now" "1628640600000000"   "seed" "0"   "profile" "preview-2021"
    events  sequence 57, time .., kind 2, type 1, scope 2, name "web1", version 4, .., image '["web1",4,..]', previous '{"version":3,..}'

The column `image` holds the state after the event. The fact `profile` holds the service version.
"""

from __future__ import annotations

import json
import os
import sqlite3
import sys
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Any, NamedTuple, Protocol, cast

from kqlite.errors import KqliteError
from kqlite.orchestration.events import Event, Kind
from kqlite.orchestration.model import NoteState, fields_of, state_reader

FORMAT_VERSION = 1
APPLICATION_ID = 0x6B716C67  # "kqlg"

UNFINISHED = "unfinished"
"""Fact that names the initial fleet while its creation has not finished (`RepeatedLog`)."""

_SCHEMA = """
CREATE TABLE texts (id INTEGER PRIMARY KEY, text TEXT NOT NULL UNIQUE);
CREATE TABLE facts (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE events (
  sequence INTEGER PRIMARY KEY, time INTEGER NOT NULL, kind INTEGER NOT NULL, type INTEGER NOT NULL, scope INTEGER NOT NULL,
  name TEXT NOT NULL, version INTEGER NOT NULL, operation INTEGER NOT NULL, actor INTEGER NOT NULL, cause INTEGER NOT NULL,
  image TEXT NOT NULL, previous TEXT
);
"""
# A reader that begins in the middle of a log reads all definitions before it. They are few, and this index finds them.
_INDEX = "CREATE INDEX IF NOT EXISTS definitions ON events (sequence) WHERE kind = 0"
_INSERT = "INSERT INTO events VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
_SELECT = "SELECT * FROM events WHERE sequence > ? ORDER BY sequence LIMIT ?"
_SELECT_DEFINITIONS = "SELECT * FROM events WHERE kind = 0 AND sequence <= ? ORDER BY sequence"
_SELECT_AT = "SELECT * FROM events WHERE sequence IN (SELECT value FROM json_each(?)) ORDER BY sequence"
# In a query with max(), SQLite takes the other columns from the row with the maximum.
_SELECT_NEWEST = "SELECT type, scope, name, kind, max(sequence) FROM events WHERE sequence <= ? GROUP BY type, scope, name"

_KINDS = tuple(Kind)
_KIND_CODES = {kind: code for code, kind in enumerate(_KINDS)}
NOT_READ = NoteState("", 0, "", "")
"""Replaces a state that the caller of `read` does not need."""

_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode
_scan = cast("Any", json.JSONDecoder()).scan_once  # the type stubs lack it


def _value(text: str) -> Any:
    """As `json.loads`, but faster: text from `_encode` has no surrounding spaces to skip."""
    try:
        value, end = _scan(text, 0)
    except StopIteration:
        raise ValueError("no JSON") from None
    if end != len(text):
        raise ValueError("more than JSON")
    return value


class LogError(KqliteError):
    """The log cannot be read or written. The message names the file and the reason."""


class Newest(NamedTuple):
    """The last event of a resource.

    Args:
        deleted: Whether the event deleted the resource.
    """

    type: str
    id: str
    sequence: int
    deleted: bool


class EventLog(Protocol):
    """Stores events in order, and facts about the simulation by name."""

    @property
    def last(self) -> int:
        """The sequence number of the last committed event; 0 for an empty log."""

    def commit(self, events: Sequence[Event], facts: Mapping[str, str]) -> None:
        """Append the events and set the facts, in one durable transaction. Where that fails, nothing changes and LogError is raised."""

    def facts(self) -> dict[str, str]:
        """The committed facts: "now" (the simulated time), "seed", "profile" (the service version), and others."""

    def read(self, after: int = 0, limit: int = 10_000, bare: Collection[str] = ()) -> list[Event]:
        """Committed events in order.

        Args:
            after: Sequence number before the first event.
            limit: The most events to return.
            bare: Types whose states the caller does not need. Their events may have `NOT_READ` as state, which saves decoding.
        """

    def at(self, sequences: Sequence[int]) -> list[Event]:
        """The committed events with these sequence numbers, in order."""

    def definitions(self, upto: int) -> list[Event]:
        """All events of kind DEFINED up to this sequence number, in order."""

    def newest(self, upto: int) -> Iterator[Newest]:
        """The last event of each resource up to this sequence number, in no order. Ids that differ in case count as different."""

    def close(self) -> None:
        """Release files and locks."""


def every_event(log: EventLog, after: int = 0) -> Iterator[Event]:
    """All committed events after a sequence number. They are read in pages."""
    while page := log.read(after):
        yield from page
        after = page[-1].sequence


class MemoryLog:
    """A log in memory. It ends with the process."""

    def __init__(self) -> None:
        self._events: list[Event] = []
        self._facts: dict[str, str] = {}

    @property
    def last(self) -> int:
        """See EventLog."""
        return len(self._events)

    def commit(self, events: Sequence[Event], facts: Mapping[str, str]) -> None:
        """See EventLog."""
        self._events.extend(events)
        self._facts.update(facts)

    def facts(self) -> dict[str, str]:
        """See EventLog."""
        return dict(self._facts)

    def read(self, after: int = 0, limit: int = 10_000, bare: Collection[str] = ()) -> list[Event]:
        """See EventLog."""
        return self._events[after : after + limit]

    def at(self, sequences: Sequence[int]) -> list[Event]:
        """See EventLog."""
        return [self._events[sequence - 1] for sequence in sorted(sequences) if 0 < sequence <= len(self._events)]

    def definitions(self, upto: int) -> list[Event]:
        """See EventLog."""
        return [event for event in self._events[:upto] if event.kind is Kind.DEFINED]

    def newest(self, upto: int) -> Iterator[Newest]:
        """See EventLog."""
        last = {(event.type, event.scope, event.name): event for event in self._events[:upto]}
        return (Newest(event.type, event.id, event.sequence, event.kind is Kind.DELETED) for event in last.values())

    def close(self) -> None:
        """See EventLog."""


class _Texts(dict[int, str]):
    """Texts by number.

    Args:
        load: Reads the texts that another process wrote meanwhile.
    """

    def __init__(self, load: Callable[[], None]) -> None:
        self._load = load

    def __missing__(self, number: int) -> str:
        self._load()
        if number not in self:
            raise ValueError(f"no text {number}")
        return self[number]


class SqliteLog:
    """A log in a SQLite file.

    Args:
        path: The file. A missing file is created.
        synchronous: "FULL", or "NORMAL", with which a power cut may lose the last commits.
        read_only: Reads a log that another process writes. `commit` then fails.

    Raises:
        LogError: The file is no event log, is damaged, was written by a newer version, or has a writer already.
    """

    def __init__(self, path: Path | str, synchronous: str = "FULL", read_only: bool = False) -> None:
        if synchronous not in ("FULL", "NORMAL"):
            raise LogError(f"synchronous is FULL or NORMAL, not {synchronous!r}")
        self.path = Path(path)
        self._texts: dict[str, int] = {}
        self._text_of = _Texts(self._load_texts)
        self._lock = None if read_only else _take_writer_lock(self.path)
        try:
            target = f"{self.path.absolute().as_uri()}?mode=ro" if read_only else str(self.path)
            self._db = sqlite3.connect(target, uri=read_only, isolation_level=None, check_same_thread=False)
            self._open(synchronous, read_only)
            self._load_texts()
            self._read_only = read_only
            self._last = self._find_last()
        except sqlite3.Error as error:
            self._unlock()
            raise LogError(f"{self.path}: not a readable event log ({error})") from error
        except LogError:
            self._unlock()
            raise

    def _open(self, synchronous: str, read_only: bool) -> None:
        version = int(self._db.execute("PRAGMA user_version").fetchone()[0])
        application = int(self._db.execute("PRAGMA application_id").fetchone()[0])
        empty = self._db.execute("SELECT count(*) FROM sqlite_master").fetchone()[0] == 0
        if not empty and application != APPLICATION_ID:
            raise LogError(f"{self.path}: a SQLite file, but not an event log of kqlite")
        if version > FORMAT_VERSION:
            raise LogError(f"{self.path}: written by a newer kqlite (format {version}, this one reads up to {FORMAT_VERSION})")
        if read_only:
            return
        self._db.execute("PRAGMA journal_mode=WAL")
        # FULL syncs the WAL at each commit, so that a power cut cannot undo an answer that was sent.
        self._db.execute("PRAGMA synchronous=FULL" if synchronous == "FULL" else "PRAGMA synchronous=NORMAL")
        if empty:
            self._db.executescript(
                f"BEGIN IMMEDIATE;{_SCHEMA}{_INDEX};PRAGMA application_id={APPLICATION_ID};PRAGMA user_version={FORMAT_VERSION};COMMIT;"
            )
        else:
            self._db.execute(_INDEX)

    def _load_texts(self) -> None:
        last = max(self._text_of, default=0)
        for number, text in self._db.execute("SELECT id, text FROM texts WHERE id > ?", (last,)):
            text = sys.intern(text)
            self._text_of[number], self._texts[text] = text, number

    @property
    def last(self) -> int:
        """See EventLog."""
        return self._find_last() if self._read_only else self._last

    def _find_last(self) -> int:
        return int(self._db.execute("SELECT coalesce(max(sequence), 0) FROM events").fetchone()[0])

    def setting(self, name: str) -> str:
        """The value of `journal_mode` or `synchronous`, as SQLite reports it."""
        statement = {"journal_mode": "PRAGMA journal_mode", "synchronous": "PRAGMA synchronous"}[name]
        return str(self._db.execute(statement).fetchone()[0])

    def commit(self, events: Sequence[Event], facts: Mapping[str, str]) -> None:
        """See EventLog."""
        fresh: dict[str, int] = {}
        rows = [self._row(event, fresh) for event in events]
        try:
            self._db.execute("BEGIN IMMEDIATE")
            if fresh:
                self._db.executemany("INSERT INTO texts VALUES (?, ?)", [(number, text) for text, number in fresh.items()])
            self._db.executemany(_INSERT, rows)
            self._db.executemany("INSERT OR REPLACE INTO facts VALUES (?, ?)", list(facts.items()))
            self._db.execute("COMMIT")
        except sqlite3.Error as error:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            for text in fresh:
                del self._texts[text]
            raise LogError(f"{self.path}: the log could not be written ({error}); nothing was changed") from error
        self._text_of.update((number, text) for text, number in fresh.items())
        if events:
            self._last = events[-1].sequence

    def _row(self, event: Event, fresh: dict[str, int]) -> tuple[Any, ...]:
        number = self._number
        return (
            event.sequence,
            event.time,
            _KIND_CODES[event.kind],
            number(event.type, fresh),
            number(event.scope, fresh),
            event.name,
            event.version,
            number(event.operation, fresh),
            number(event.actor, fresh),
            number(event.cause, fresh),
            _encode(event.state),
            _encode(event.previous) if event.previous else None,
        )

    def _number(self, text: str, fresh: dict[str, int]) -> int:
        number = self._texts.get(text)
        if number is None:
            number = self._texts[text] = len(self._texts) + 1
            fresh[text] = number
        return number

    def facts(self) -> dict[str, str]:
        """See EventLog."""
        try:
            return dict(self._db.execute("SELECT name, value FROM facts"))
        except sqlite3.Error as error:
            raise LogError(f"{self.path}: the log is damaged ({error})") from error

    def read(self, after: int = 0, limit: int = 10_000, bare: Collection[str] = ()) -> list[Event]:
        """See EventLog."""
        return self._events(f"after event {after}", _SELECT, after, limit, bare=bare)

    def _events(self, where: str, select: str, *values: object, bare: Collection[str] = ()) -> list[Event]:
        try:
            return self._decoded(self._db.execute(select, values).fetchall(), bare)
        except (sqlite3.Error, LookupError, ValueError, TypeError) as error:
            raise LogError(f"{self.path}: the log is damaged {where} ({error})") from error

    def at(self, sequences: Sequence[int]) -> list[Event]:
        """See EventLog."""
        return self._events("among some events", _SELECT_AT, _encode(list(sequences)))

    def definitions(self, upto: int) -> list[Event]:
        """See EventLog."""
        return self._events("in a definition", _SELECT_DEFINITIONS, upto)

    def newest(self, upto: int) -> Iterator[Newest]:
        """See EventLog."""
        text = self._text_of
        try:
            for type_, scope, name, kind, sequence in self._db.execute(_SELECT_NEWEST, (upto,)):
                yield Newest(text[type_], text[scope] + name, sequence, _KINDS[kind] is Kind.DELETED)
        except (sqlite3.Error, LookupError, ValueError, TypeError) as error:
            raise LogError(f"{self.path}: the log is damaged ({error})") from error

    def _decoded(self, rows: Sequence[tuple[Any, ...]], bare: Collection[str]) -> list[Event]:
        texts = self._text_of
        read_as = {number: None if texts[number] in bare else state_reader(texts[number]) for number in {row[3] for row in rows}}
        events: list[Event] = []
        for sequence, time, kind, type_, scope, name, version, operation, actor, cause, state, previous in rows:
            read = read_as[type_]
            events.append(
                Event(
                    sequence,
                    time,
                    _KINDS[kind],
                    texts[type_],
                    texts[scope],
                    name,
                    version,
                    texts[operation],
                    texts[actor],
                    texts[cause],
                    NOT_READ if read is None else read(_value(state)),
                    {} if read is None or previous is None else fields_of(_value(previous)),
                )
            )
        return events

    def close(self) -> None:
        """See EventLog."""
        self._db.close()
        self._unlock()

    def _unlock(self) -> None:
        if self._lock is not None:
            self._lock.close()


class RepeatedLog:
    """A log for resuming the creation of an initial fleet that a crash interrupted.

    The caller creates the fleet again from the start. Equal seeds and requests give equal events, so this log compares the first events
    with those that the file holds already, and writes the rest:

        file before  commit of  result
        1..5         1..3       compared, nothing written
        1..5         4..8       4 and 5 compared, 6..8 written

    Args:
        log: The log to complete.
        beginning: Name of the initial fleet. The log keeps it as the fact `UNFINISHED` until `finish` is called.
    """

    def __init__(self, log: EventLog, beginning: str) -> None:
        self._log = log
        self._beginning = beginning
        self._last = 0
        self._facts: dict[str, str] = {}

    @property
    def last(self) -> int:
        """The sequence number of the last event that was compared or written."""
        return self._last

    def commit(self, events: Sequence[Event], facts: Mapping[str, str]) -> None:
        """See EventLog. Raises LogError for an event that differs from the one in the log."""
        known = self._log.read(self._last, len(events)) if self._last < self._log.last else []
        for old, new in zip(known, events, strict=False):
            if encoded(old) != encoded(new):
                raise LogError(f"event {new.sequence} is not the one that the log holds: it was begun otherwise, or by another version")
        self._last += len(events)
        self._facts = {**facts, UNFINISHED: self._beginning}
        fresh, log_time = events[len(known) :], int(self._log.facts().get("now", 0))
        if fresh and fresh[0].time < log_time:
            raise LogError(f"event {fresh[0].sequence} comes before the time that the log has reached")
        if self._last >= self._log.last and int(facts["now"]) >= log_time:
            self._log.commit(fresh, self._facts)

    def finish(self) -> None:
        """The initial fleet is complete. Raises LogError if the file holds more events than were compared."""
        if self._last < self._log.last:
            raise LogError(f"the log holds {self._log.last} events, and its beginning gives {self._last}")
        self._log.commit([], {**self._facts, UNFINISHED: ""})

    def facts(self) -> dict[str, str]:
        """See EventLog."""
        return dict(self._facts)

    def read(self, after: int = 0, limit: int = 10_000, bare: Collection[str] = ()) -> list[Event]:
        """See EventLog."""
        return self._log.read(after, min(limit, self._last - after)) if after < self._last else []

    def at(self, sequences: Sequence[int]) -> list[Event]:
        """See EventLog."""
        return self._log.at([sequence for sequence in sequences if sequence <= self._last])

    def definitions(self, upto: int) -> list[Event]:
        """See EventLog."""
        return self._log.definitions(min(upto, self._last))

    def newest(self, upto: int) -> Iterator[Newest]:
        """See EventLog."""
        return self._log.newest(min(upto, self._last))

    def close(self) -> None:
        """See EventLog."""
        self._log.close()


def _take_writer_lock(path: Path) -> IO[bytes]:
    """Open and lock the log's lock file. Two writers of one log would use the same sequence numbers.

    Raises:
        LogError: Another process, or this one, holds the lock.
    """
    try:
        held = path.with_suffix(".lock").open("a+b")
    except OSError as error:
        raise LogError(f"{path}: {error.strerror}") from error
    if sys.platform != "win32":
        import fcntl

        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            held.seek(0)
            holder = held.read(20).decode(errors="replace").strip() or "another"
            held.close()
            raise LogError(f"{path.parent}: in use, process {holder} simulates in it; try again when it has ended") from error
        held.truncate(0)
        held.write(f"{os.getpid()}\n".encode())
        held.flush()
    return held


def encoded(event: Event) -> bytes:
    """The event as one line of JSON, for comparing events byte for byte."""
    return _encode(event).encode()
