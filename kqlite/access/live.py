"""The inventory of a running simulation: the store that follows its log, the snapshotter that applies changes, and the updater of queries.

With a clock that moves by itself, the snapshotter thread applies changes as their lag passes. With a manual clock nothing can change
between two queries, so each query first applies the changes that are due. The process that simulates in a data directory holds the
directory's lock, and answers the queries of other processes.

An example: a change happens at 12:00:00, its lag is 30 s, and `now` is the simulated time of a query.

| clock | `now` | what happens |
|---|---|---|
| manual | 12:00:10 | `refresh` ticks the snapshotter: nothing is due |
| manual | 12:00:30 | `refresh` ticks the snapshotter: the change is applied, then the query runs |
| by itself, speed 1 | 12:00:30 | the snapshotter thread applies the change within a tick, about 0.25 s |
| by itself, speed 600 | 12:00:30 | a tick of the thread is 150 s long: the watermark is older than `max_age`, so `refresh` ticks, too |
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
"""The longest simulated duration that `wait_for` lets pass, in microseconds."""

RECENT = 60.0
"""Seconds of real time over which changes per second are counted."""


class LiveUpdater:
    """The `Updater` of a store that a snapshotter feeds.

    Args:
        snapshotter: Brings changes into the store.
        now: Gives the simulated time up to which every event is in the log, in microseconds since 1970.
        pass_time: Lets a simulated duration pass, in microseconds. None: time passes by itself, and a thread ticks the snapshotter.
        max_age: Age of the watermark, in microseconds, above which a query applies due changes itself before it runs. The snapshotter
            thread is too slow for this when the clock runs fast. None: queries leave that to the thread.
        trouble: Says what went wrong in the process that writes the log; "" for nothing.
    """

    def __init__(
        self,
        snapshotter: Snapshotter,
        now: Callable[[], int],
        pass_time: Callable[[int], None] | None,
        max_age: int | None = None,
        trouble: Callable[[], str] = lambda: "",
    ) -> None:
        self._snapshotter = snapshotter
        self._max_age = max_age
        self._now = now
        self._pass_time = pass_time
        self._log_trouble = trouble
        self.ticker: Ticker | None = None
        self.closed = False
        self._counts = deque([(time.monotonic(), snapshotter.changes)])
        self._counting = Lock()

    def refresh(self) -> None:
        """Apply the changes that are due, unless the snapshotter thread does so in time.

        Raises:
            ClosedError: The simulation was closed.
            InventoryError: The snapshotter thread has ended.
        """
        self._check()
        watermark = self._snapshotter.watermark
        is_late = self._max_age is not None and (watermark is None or self._now() - watermark > self._max_age)
        if self._pass_time is not None or is_late:
            self._snapshotter.tick(self._now())
            self.count_changes()

    def _check(self) -> None:
        if self.closed:
            raise ClosedError("this inventory is closed, with its simulation")
        if self.ticker is not None and self.ticker.failure is not None:
            raise InventoryError(f"the inventory stands still, since nothing brings changes in any more: {self.ticker.failure!r}")

    def wait_for(self, sequence: int, seconds: float) -> bool:
        """Whether a change is in, after a wait of at most `seconds`.

        With a manual clock, as much simulated time passes as the change needs to show. No time passes for a change that has not happened:
        else another process that waits for one would move this process's clock on and on.
        """
        if self._pass_time is None:
            self._check()
            return self._snapshotter.wait_for(sequence, seconds)
        self.refresh()
        end = self._now() + min(round(seconds * SECOND), _LONGEST)
        while self._snapshotter.offset < sequence <= self._snapshotter.last and (now := self._now()) < end:
            # If it does not show then, its notification was lost or is late, for an unknown time: so one second at a time.
            shows = self._snapshotter.shows_at(sequence, now)
            self._pass_time(min(shows if shows > now else now + SECOND, end) - now)
            self.refresh()
        return self._snapshotter.offset >= sequence

    def feed_stats(self) -> FeedStats:
        """See Updater."""
        status = self._snapshotter.status()
        return FeedStats(
            sequence=status.offset + status.backlog,
            backlog=status.backlog,
            lags=_percentiles(sorted(status.lags)),
            changes_per_second=self._rate(),
            last_crawl=None if status.crawled is None else to_datetime(status.crawled),
            trouble="; ".join(filter(None, (self._log_trouble(), status.trouble))),
        )

    def count_changes(self) -> None:
        """Record how many changes are in by now. Called after each tick, or soon after."""
        with self._counting:
            changes = self._snapshotter.changes
            if changes != self._counts[-1][1]:
                self._counts.append((time.monotonic(), changes))
                self._forget_counts()

    def _forget_counts(self) -> None:
        # The newest count that is older than RECENT is kept: it says how many changes were in when the last minute began.
        while len(self._counts) > 1 and time.monotonic() - self._counts[1][0] >= RECENT:
            self._counts.popleft()

    def _rate(self) -> float:
        """Changes per second over the last minute, or since this object was made if that is shorter."""
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
    """An inventory that follows a log.

    `access` is what a connection uses.

    Args:
        log: Read by the thread that applies changes. In a directory it is another object than the log that is written. `close` closes it.
        lag: How late a change shows.
        now: As of `LiveUpdater`.
        pass_time: As of `LiveUpdater`.
        path: A data directory, made where there is none, and shared with other processes. None keeps the inventory in memory.
        beside: Names of the files that a simulation keeps in the same folder.
        keep_time: Brings the simulation to the time that its clock shows. The snapshotter thread calls it at each tick, so that a
            simulation whose time passes by itself also moves on while no request comes.
        max_age: As of `LiveUpdater`.
        speed: Simulated seconds in a real second.
        trouble: As of `LiveUpdater`.

    Raises:
        InventoryError: The directory cannot be opened.
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
        max_age: int | None = None,
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
            self.updater = updater = LiveUpdater(self.snapshotter, now, pass_time, max_age, trouble)
            self.access = LocalAccess(store, lambda: to_datetime(now()), updater, None if directory is None else directory.holder)
            self._server = None if directory is None else _serve(self.access, directory)
            self._ticker = updater.ticker = None if pass_time is not None else Ticker(self.snapshotter, self._time_now, speed)
            undo.pop_all()

    def _time_now(self) -> int:
        self.updater.count_changes()
        self._keep_time()
        return self._now()

    def close(self) -> None:
        """Apply the changes that are due, and close all. Other processes then open the directory themselves. A second call does nothing."""
        if self.updater.closed:
            return
        if self._ticker is not None:
            self._ticker.stop()
        if self._server is not None:
            self._server.close()
        # After the server: a process that gets no answer opens the directory itself, but one that gets ClosedError raises it.
        self.updater.closed = True
        try:
            self.snapshotter.tick(self._now())
        finally:
            self.access.close()
            self._close_log()


def _serve(access: LocalAccess, directory: DataDirectory) -> Server:
    from kqlite.access.server import serve

    return serve(access, directory)
