"""A simulation's inventory: the store that follows its log, the snapshotter that brings it on, and what a connection asks of both.

Where the clock moves by itself a thread brings changes in as their lag passes; where it moves only when it is told, nothing can change
between two queries, and each brings in what is due. In a data directory the process that simulates holds the inventory, and shares it.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING

from kqlite.access.local import LocalAccess
from kqlite.access.recovery import follow, say_missing
from kqlite.directory.data_directory import MANIFEST, DataDirectory
from kqlite.errors import ClosedError, InventoryError
from kqlite.orchestration.clock import DAY, SECOND, to_datetime
from kqlite.orchestration.log import EventLog, SqliteLog
from kqlite.snapshotter.lag import Lag
from kqlite.snapshotter.snapshotter import Snapshotter, Ticker
from kqlite.stats import FeedStats, Percentiles

if TYPE_CHECKING:
    from kqlite.access.server import Server

_LONGEST = 365 * DAY
"""No change is waited for any longer."""

RECENT = 60.0
"""Seconds of the wall's clock over which changes per second are counted."""


class LiveUpdater:
    """What a connection asks of a snapshotter; `access.local.Updater` says what each method is for.

    now: the simulated time up to which everything that happened is in the log. pass_time: lets a simulated duration pass, in microseconds;
    None where time passes by itself, and a thread ticks. overdue: who finds the inventory older than so many microseconds brings it up
    himself, because that thread is too slow for the speed of the clock; None where nobody need look. trouble: what went wrong in what
    writes the log, "" for nothing.
    """

    def __init__(
        self,
        snapshotter: Snapshotter,
        now: Callable[[], int],
        pass_time: Callable[[int], None] | None,
        overdue: int | None = None,
        trouble: Callable[[], str] = lambda: "",
    ) -> None:
        self._snapshotter = snapshotter
        self._overdue = overdue
        self._now = now
        self._pass_time = pass_time
        self._source_trouble = trouble
        self.ticker: Ticker | None = None
        self.closed = False
        self._counts = deque([(time.monotonic(), snapshotter.changes)])
        self._counting = Lock()

    def refresh(self) -> None:
        """Bring in what is due, where no thread does in time.

        Raises InventoryError where one should, and has ended, and once the inventory is closed.
        """
        self._check()
        watermark = self._snapshotter.watermark
        is_late = self._overdue is not None and (watermark is None or self._now() - watermark > self._overdue)
        if self._pass_time is not None or is_late:
            self._snapshotter.tick(self._now())
            self.count_changes()

    def _check(self) -> None:
        if self.closed:
            raise ClosedError("this inventory is closed, with its simulation")
        if self.ticker is not None and self.ticker.failure is not None:
            raise InventoryError(f"the inventory stands still, since nothing brings changes in any more: {self.ticker.failure!r}")

    def wait_for(self, sequence: int, seconds: float) -> bool:
        """Whether a change is in. Where time passes only when it is told, so much simulated time passes as the change needs to show.

        None passes for a change that has not happened: another process that waits for one would move this one's clock on and on.
        """
        if self._pass_time is None:
            self._check()
            return self._snapshotter.wait_for(sequence, seconds)
        self.refresh()
        end = self._now() + min(round(seconds * SECOND), _LONGEST)
        while self._snapshotter.offset < sequence <= self._snapshotter.last and (now := self._now()) < end:
            # Where it does not show then, a notification was lost or is late, and nobody knows for how long.
            shows = self._snapshotter.shows_at(sequence, now)
            self._pass_time(min(shows if shows > now else now + SECOND, end) - now)
            self.refresh()
        return self._snapshotter.offset >= sequence

    def feed_stats(self) -> FeedStats:
        """How the snapshotter is getting on."""
        status = self._snapshotter.status()
        return FeedStats(
            sequence=status.offset + status.backlog,
            backlog=status.backlog,
            lags=_percentiles(sorted(status.lags)),
            changes_per_second=self._rate(),
            last_crawl=None if status.crawled is None else to_datetime(status.crawled),
            trouble="; ".join(filter(None, (self._source_trouble(), status.trouble))),
        )

    def count_changes(self) -> None:
        """Note how many changes are in by now; called after each tick, or soon."""
        with self._counting:
            changes = self._snapshotter.changes
            if changes != self._counts[-1][1]:
                self._counts.append((time.monotonic(), changes))
                self._forget_counts()

    def _forget_counts(self) -> None:
        # One that is older stays: it says how many changes were in when the last minute began.
        while len(self._counts) > 1 and time.monotonic() - self._counts[1][0] >= RECENT:
            self._counts.popleft()

    def _rate(self) -> float:
        """Changes per second over the last minute, or since it began."""
        self.count_changes()
        with self._counting:
            self._forget_counts()
            since, before = self._counts[0]
            seconds = min(time.monotonic() - since, RECENT)
            return (self._counts[-1][1] - before) / seconds if seconds else 0.0


def _percentiles(lags: list[int]) -> Percentiles | None:
    if not lags:
        return None
    at = [timedelta(microseconds=lags[min(len(lags) - 1, len(lags) * share // 100)]) for share in (50, 90, 99, 100)]
    return Percentiles(*at)


class LiveInventory:
    """An inventory that follows a log. access: what a connection asks.

    log: read by whatever thread brings changes in, so in a directory it is not the one that is written; closed with this.
    path: a data directory, made where it is none yet and shared with other processes, with `beside` it what a simulation keeps there; None
    keeps the inventory in memory.
    now, pass_time, overdue, trouble: as of `LiveUpdater`. speed: seconds of the simulation in one of the wall's. keep_time: brings the
    simulation to the time that its clock shows; a thread calls it where time passes by itself, so that it does so while nobody asks for
    anything.
    Raises InventoryError where the directory is not to be had.
    """

    def __init__(
        self,
        log: EventLog,
        lag: Lag,
        now: Callable[[], int],
        pass_time: Callable[[int], None] | None,
        path: Path | None = None,
        beside: Iterable[str] = (),
        keep_time: Callable[[], None] = lambda: None,
        overdue: int | None = None,
        speed: float = 1.0,
        trouble: Callable[[], str] = lambda: "",
    ) -> None:
        self._now = now
        self._keep_time = keep_time
        self._close_log = log.close if isinstance(log, SqliteLog) else lambda: None
        with ExitStack() as undo:
            undo.callback(self._close_log)
            directory = None
            if path is not None:
                known = (path / MANIFEST).exists()
                directory = DataDirectory.open_or_create(path, shares=True, beside=frozenset(beside))
                undo.callback(directory.close)
                if known and not directory.store.exists():
                    say_missing(directory)
            store, self.snapshotter = follow(log, lag, directory)
            undo.callback(store.close)
            self.updater = updater = LiveUpdater(self.snapshotter, now, pass_time, overdue, trouble)
            self.access = LocalAccess(store, lambda: to_datetime(now()), updater, None if directory is None else directory.holder)
            self._server = None if directory is None else _serve(self.access, directory)
            self._ticker = updater.ticker = None if pass_time is not None else Ticker(self.snapshotter, self._time_now, speed)
            undo.pop_all()

    def _time_now(self) -> int:
        self.updater.count_changes()
        self._keep_time()
        return self._now()

    def close(self) -> None:
        """Bring in what is due, and let go of everything; whoever asked this process goes on without it. Again, it does nothing."""
        if self.updater.closed:
            return
        if self._ticker is not None:
            self._ticker.stop()
        if self._server is not None:
            self._server.close()
        # Only now: another process goes on by itself where it is not answered, and not where it is told that all is closed.
        self.updater.closed = True
        try:
            self.snapshotter.tick(self._now())
        finally:
            self.access.close()
            self._close_log()


def _serve(access: LocalAccess, directory: DataDirectory) -> Server:
    from kqlite.access.server import serve

    return serve(access, directory)
