"""The store that follows a log: opened, made anew where it must be, and brought up to date when no process simulates any more.

A killed process leaves a store as of its last checkpoint, and a log that is longer. The next process that opens the directory applies the
missing events, as far as the lag lets them show at the time at which the log ends: no simulated time passes while no process simulates.

An example, with a lag of 30 s and a log that ends at 12:10:00:

| | last event | watermark |
|---|---|---|
| store, as of its last checkpoint | 4,100 | 12:04:30 |
| log | 5,000 | |
| store, after `recover` | 4,950 | 12:09:30 |
"""

from __future__ import annotations

import logging
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, NamedTuple

from kqlite.directory.data_directory import DataDirectory
from kqlite.orchestration.clock import to_datetime
from kqlite.orchestration.log import EventLog, SqliteLog
from kqlite.snapshotter.feed_offset import FeedOffset
from kqlite.snapshotter.lag import Lag
from kqlite.snapshotter.snapshotter import OutOfStep, Snapshotter

if TYPE_CHECKING:
    from pathlib import Path

    from kqlite.inventory.store.store import Store

READER_LIMIT = timedelta(minutes=2)
"""The longest that a snapshot of a live store stays open. DuckDB can finish no checkpoint while an older snapshot is open."""

_logger = logging.getLogger("kqlite")


class FollowedLog(NamedTuple):
    """A store that follows a log, and the snapshotter that brings the log's events into it."""

    store: Store
    snapshotter: Snapshotter


class RecoveredStore(NamedTuple):
    """A store that is up to date with its log, opened to be read. time: the simulated time at which the log ends."""

    store: Store
    time: datetime


def follow(log: EventLog, lag: Lag | None, directory: DataDirectory | None) -> FollowedLog:
    """Open the store of a log, and begin to follow the log.

    A store that is missing, damaged, or was made from another log is made anew. Then the old file is set aside, and a warning of the
    logger "kqlite" says so.

    Args:
        log: The log of a simulation.
        lag: How late the store shows a change; None is the lag by which the store was made.
        directory: Held alone by this process; None keeps the store in memory.
    """
    from kqlite.inventory.store.database import DamagedError
    from kqlite.inventory.store.store import Store

    if directory is None:
        return _with_snapshotter(Store.in_memory(time_limit=READER_LIMIT, stays_small=True), log, lag)
    try:
        return _with_snapshotter(Store.open(directory, fed=True, time_limit=READER_LIMIT), log, lag)
    except (DamagedError, OutOfStep) as error:
        # What cannot be read, or tells of other events, is kept: there may be imported rows in it.
        aside = _set_aside(directory.store)
        _logger.warning("%s; it is made anew from the log, and the old one is %s", error, aside.name)
        return _with_snapshotter(Store.open(directory, fed=True, time_limit=READER_LIMIT), log, lag)


def _with_snapshotter(store: Store, log: EventLog, lag: Lag | None) -> FollowedLog:
    try:
        return FollowedLog(store, Snapshotter(log, store, lag or FeedOffset.from_json(store.feed_offset()).lag))
    except BaseException:
        # One that stays open would keep its file from being opened again, here as well.
        store.end()
        raise


def _set_aside(file: Path) -> Path:
    number = 1
    while (aside := file.with_name(f"{file.name}.damaged-{number}")).exists():
        number += 1
    return file.rename(aside)


def recover(directory: DataDirectory, optimizer: bool = True) -> RecoveredStore:
    """Open the store of a simulation's directory to read it, after it is brought up to date with its log.

    To bring it up to date this process closes `directory`, and holds the data directory alone for a while.

    Raises:
        InventoryError: The store cannot be opened; InUseError where another process holds the directory by now.
    """
    path = directory.path
    try:
        log = SqliteLog(directory.log, read_only=True)
    except BaseException:
        directory.close()
        raise
    try:
        store = _up_to_date(directory, log, optimizer)
        if store is None:
            _catch_up(path, log)
            store = _opened(DataDirectory.open(path), optimizer)
        return RecoveredStore(store, to_datetime(_time_of(log)))
    finally:
        log.close()


def _opened(directory: DataDirectory, optimizer: bool) -> Store:
    from kqlite.inventory.store.store import Store

    try:
        return Store.open(directory, optimizer=optimizer)
    except BaseException:
        directory.close()
        raise


def _up_to_date(directory: DataDirectory, log: EventLog, optimizer: bool) -> Store | None:
    """The store; None where it is damaged, missing or behind its log. Then the directory is closed."""
    from kqlite.inventory.store.database import DamagedError

    if not directory.store.exists():
        directory.close()
        say_missing(directory)
        return None
    try:
        store = _opened(directory, optimizer)
    except DamagedError:
        return None
    try:
        is_behind = _is_behind(store, log)
    except BaseException:
        store.close()
        raise
    if is_behind:
        store.close()
        return None
    return store


def _is_behind(store: Store, log: EventLog) -> bool:
    offset = FeedOffset.from_json(store.feed_offset())
    ahead = log.read(offset.sequence, 1)
    return log.last < offset.sequence or bool(ahead and ahead[0].time <= offset.lag.horizon(_time_of(log)))


def _catch_up(path: Path, log: EventLog) -> None:
    # `briefly`: readers and writers that find the directory held wait until this process has closed it.
    directory = DataDirectory.open(path, writable=True, briefly=True)
    try:
        store, snapshotter = follow(log, None, directory)
    except BaseException:
        directory.close()
        raise
    try:
        snapshotter.tick(_time_of(log))
    finally:
        store.close()


def say_missing(directory: DataDirectory) -> None:
    """Warn that a directory has lost its inventory, which can be made anew."""
    _logger.warning("%s: missing; it is made anew from the log", directory.store)


def _time_of(log: EventLog) -> int:
    return int(log.facts()["now"])
