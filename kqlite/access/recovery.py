"""The store that follows a log: opened, made anew where it must be, and brought up to a log with which nobody goes on.

A killed process leaves the store as of its last checkpoint, and a log that is further. Whoever opens the directory next brings the store
to where it would be by then: the log's time stands still while nobody simulates.
"""

from __future__ import annotations

import logging
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from kqlite.directory.data_directory import DataDirectory
from kqlite.orchestration.clock import to_datetime
from kqlite.orchestration.log import EventLog, SqliteLog
from kqlite.snapshotter.lag import Lag
from kqlite.snapshotter.snapshotter import OutOfStep, Place, Snapshotter

if TYPE_CHECKING:
    from pathlib import Path

    from kqlite.inventory.store.store import Store

READER_LIMIT = timedelta(minutes=2)
"""How long a query may be on one snapshot of a store that is written meanwhile: an older one keeps every checkpoint waiting."""

_logger = logging.getLogger("kqlite")


def followed(log: EventLog, lag: Lag | None, directory: DataDirectory | None) -> tuple[Store, Snapshotter]:
    """A store that follows a log, and its snapshotter.

    lag: None is the one by which the store has come to where it is. directory: held alone; None keeps the store in memory.
    A store that is missing, damaged, or was made from another log is made anew; a warning of the logger "kqlite" says so, and what was
    there is set aside.
    """
    from kqlite.inventory.store.database import DamagedError
    from kqlite.inventory.store.store import Store

    if directory is None:
        return _with_snapshotter(Store.in_memory(time_limit=READER_LIMIT, stays_small=True), log, lag)
    try:
        return _with_snapshotter(Store.open(directory, fed=True, time_limit=READER_LIMIT), log, lag)
    except (DamagedError, OutOfStep) as error:
        # What cannot be read, or tells of other events, is not thrown away: there may be imported rows in it.
        aside = _set_aside(directory.store)
        _logger.warning("%s; it is made anew from the log, and the old one is %s", error, aside.name)
        return _with_snapshotter(Store.open(directory, fed=True, time_limit=READER_LIMIT), log, lag)


def _with_snapshotter(store: Store, log: EventLog, lag: Lag | None) -> tuple[Store, Snapshotter]:
    try:
        return store, Snapshotter(log, store, lag or Place.read(store.position()).lag)
    except BaseException:
        # One that stays open would keep its file from being opened again, here as well.
        store.end()
        raise


def _set_aside(file: Path) -> Path:
    number = 1
    while (aside := file.with_name(f"{file.name}.damaged-{number}")).exists():
        number += 1
    return file.rename(aside)


def standing(directory: DataDirectory, optimizer: bool = True) -> tuple[Store, datetime]:
    """The store of a simulation's directory that nobody holds, to be read, and the time at which the log in it stands still.

    A store that is behind that log is brought up first, for which the directory is given back and opened again.
    Raises InventoryError, which is InUseError where somebody holds the directory.
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
        return store, to_datetime(_time_of(log))
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
    """The store; None, and the directory is closed, where the store is damaged, missing, or lacks what its lag would show by now."""
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
    place = Place.read(store.position())
    ahead = log.read(place.sequence, 1)
    return log.last < place.sequence or bool(ahead and ahead[0].time <= place.lag.horizon(_time_of(log)))


def _catch_up(path: Path, log: EventLog) -> None:
    # Others who find this process here, readers and writers, wait until it is done.
    directory = DataDirectory.open(path, writable=True, briefly=True)
    try:
        store, snapshotter = followed(log, None, directory)
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
