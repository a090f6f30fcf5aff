"""Pulls what is old enough from the log, folds it, and applies it: rows, change records, watermark and feed offset in one transaction.

The feed offset is stored with the rows, so a snapshotter may be stopped at any instant and another begun on the same store.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from hashlib import blake2b
from typing import TYPE_CHECKING, cast

from kqlite.errors import InventoryError, KqliteError
from kqlite.gc_control import no_collection
from kqlite.inventory.shapes.change_batches import Changes, HotColumnsMissing
from kqlite.inventory.store.maintenance import PATIENCE, Upkeep
from kqlite.orchestration.clock import DAY, HOUR, SECOND, to_datetime
from kqlite.orchestration.events import Event, Kind
from kqlite.orchestration.log import EventLog, encoded
from kqlite.orchestration.model import Definition, Type
from kqlite.snapshotter import crawl
from kqlite.snapshotter.change_records import TABLES, ChangeRecords
from kqlite.snapshotter.feed import NEVER_SHOWN, PAGE, Feed
from kqlite.snapshotter.feed_offset import FeedOffset
from kqlite.snapshotter.folding import Folder
from kqlite.snapshotter.guest_fields import SlowGuests
from kqlite.snapshotter.lag import Lag, Mode
from kqlite.snapshotter.pending import Batch, Pending, PerResource, Prefix

if TYPE_CHECKING:
    from kqlite.inventory.store.store import Store

RECORDS_KEPT = 14 * DAY
"""Source: Azure Resource Graph docs, "Get resource changes": change records are kept for 14 days."""

CRAWL_EVERY = HOUR
_TIDY_EVERY = HOUR
_logger = logging.getLogger("kqlite")
_SAMPLES = 1_000
_BREATH = 0.01
"""Seconds between two ticks, at least, in which others who write have their turn."""

_ROUNDS = 50
"""Of so many ticks the longest round says how long another may take: among them are some with a checkpoint."""


class OutOfStep(InventoryError):
    """The inventory was not made from this log, or is further than it: it has to be made anew."""


@dataclass(frozen=True)
class SnapshotterStatus:
    """How a snapshotter is getting on. All times are simulated ones, in microseconds since 1970.

    offset: everything up to this sequence number is in. backlog: how many events are not. watermark: everything up to this time is in,
    None before the first tick. lags: how far the watermark was behind at the last ticks. crawled: when the last crawl was, or None.
    trouble: why the last tick could not do all that it had to; "" where it could.
    """

    offset: int
    backlog: int
    watermark: int | None
    lags: tuple[int, ...]
    crawled: int | None
    trouble: str


class Snapshotter:
    """Keeps a store up with a log, as late as a lag says. One thread at a time: a lock sees to it.

    crawl_every: how often, in simulated microseconds, all rows are compared with the log; 0 for never.
    Raises OutOfStep for a store that holds what this log has not.
    """

    def __init__(self, log: EventLog, store: Store, lag: Lag, crawl_every: int = CRAWL_EVERY, kept: int = RECORDS_KEPT) -> None:
        self._log = log
        self._seed = log.facts().get("seed", "").encode()
        self._store = store
        self._upkeep = Upkeep(store)
        self._lag = lag
        self._crawl_every = crawl_every
        self._kept = kept
        self._lock = threading.RLock()
        self._definitions: dict[int, Definition] = {}
        self._now = 0
        self._watermark: int | None = None
        self._lags: deque[int] = deque(maxlen=_SAMPLES)
        self._changes = 0
        self._crawled: int | None = None
        self._crawl_from: int | None = None
        self._tidied = 0
        self._trouble = ""
        self._cut_off = False  # in the middle of a batch
        self._changed = threading.Condition()
        self._pending: Pending = self._resume()

    def _resume(self) -> Pending:
        """Resume at the feed offset of the store."""
        offset = self._offset = FeedOffset.from_json(self._store.feed_offset())
        if offset.sequence:
            last = self._log.at([offset.sequence])
            if not last or self._fingerprint(last[0]) != offset.fingerprint:
                raise OutOfStep(f"the inventory has event {offset.sequence} of a log, and this log has another one, or none")
        self._definitions = {}
        self._define(self._log.definitions(offset.sequence))
        self._slow = SlowGuests(self._lag.slow, self._definitions)
        self._slow.recall(self._log, offset.sequence, offset.time)
        self._folder = Folder(self._definitions, self._slow)
        self._records = ChangeRecords(self._definitions)
        self._feed = Feed(self._log, offset.sequence, self._lag.seed, offset.faults, self._lag.bound)
        pending = Prefix if self._lag.mode is Mode.PREFIX else PerResource
        return pending(self._feed, self._log, offset.sequence, self._lag)

    @property
    def offset(self) -> int:
        """Everything up to this sequence number is in the store."""
        return self._offset.sequence

    @property
    def last(self) -> int:
        """The sequence number of the last event in the log."""
        return self._log.last

    @property
    def watermark(self) -> int | None:
        """Everything up to this time is in the store; None before the first tick."""
        return self._watermark

    @property
    def changes(self) -> int:
        """How many events it has applied since it began."""
        return self._changes

    def status(self) -> SnapshotterStatus:
        """How it is getting on."""
        return SnapshotterStatus(
            offset=self.offset,
            backlog=self._log.last - self.offset,
            watermark=self._watermark,
            lags=tuple(self._lags),
            crawled=self._crawled,
            trouble=self._trouble,
        )

    def shows_at(self, sequence: int, now: int) -> int:
        """The first time, not before `now`, at which everything up to this sequence number can be in; of very many, the next part."""
        if self._lag.mode is Mode.PREFIX:
            waiting = self._log.at([sequence])
        else:
            waiting = self._log.read(self.offset, min(PAGE, sequence - self.offset), NEVER_SHOWN)
        return max((self._lag.shows_at(event, now) for event in waiting if event.type != Type.DEFINITION), default=now)

    def tick(self, now: int, ahead: int = 0) -> None:
        """Make visible what is visible at the time `now`, which never goes back.

        ahead: the next tick ends only so much later, by when nothing may be older than the lag's bound.
        Raises InventoryError where the store cannot be written, and LogError where the log cannot be read; nothing of the batch is then in,
        and the next tick goes on from there.
        """
        with self._lock, no_collection():
            self._now = now = max(now, self._now)
            fresh, trouble = self.offset == 0, self._trouble
            try:
                self._trouble = ""
                for batch in self._due(now, ahead):
                    self._apply(batch)
                if fresh and self.offset:
                    # From here on it is known that somebody was here before.
                    self._keep_up(lambda: self._store.checkpoint(PATIENCE))
                if self._crawl_from is None:
                    self._crawl_from = now
                elif self._crawl_every and now - self._crawl_from >= self._crawl_every:
                    self.crawl(now)
                self._tidy(now)
            except BaseException as error:
                # Also where a key ended it: what was pulled and is not in has to be pulled again.
                self._cut_off = True
                if isinstance(error, KqliteError):
                    self._trouble = str(error)
                raise
            finally:
                if self._trouble not in ("", trouble):
                    _logger.warning("%s", self._trouble)
            self._lags.append(now - (self._watermark or now))

    def _due(self, now: int, ahead: int = 0) -> Iterator[Batch]:
        if self._cut_off:
            self._pending = self._resume()
            self._cut_off = False
        return self._pending.due(now, ahead)

    def _apply(self, batch: Batch) -> None:
        offset = self._offset
        if batch.recorded:
            last = batch.recorded[-1]
            if last.type in NEVER_SHOWN:
                [last] = self._log.at([last.sequence])
            offset = FeedOffset(batch.offset, last.time, self._feed.faults, self._lag, self._fingerprint(last))
        # After a failure it begins anew with the law alone, which may not show as much as was shown ahead.
        watermark = max(batch.watermark, self._watermark or 0)
        self._define(batch.shown)
        self._slow.learn(batch.shown)
        released = self._slow.release(self._now)
        if not batch.recorded and not batch.shown and not released and watermark == self._watermark:
            return
        records = self._records.of(batch.recorded)
        self._put(
            lambda: [*self._folder.fold(batch.shown, self._pending.in_order), *self._folder.fold_released(released)],
            lambda changes: self._store.apply(changes, to_datetime(watermark), offset.to_json(), records),
        )
        self._keep_up(self._upkeep.tick)
        with self._changed:
            self._offset, self._watermark = offset, watermark
            self._changes += len(batch.shown)
            self._changed.notify_all()

    def _keep_up(self, work: Callable[[], object]) -> None:
        """Checkpoint or the like; where there is no room, later: until then what was applied is in memory, and in the log."""
        from kqlite.inventory.store.database import NoRoomError

        try:
            work()
        except NoRoomError as error:
            self._trouble = str(error)

    def _put(self, fold: Callable[[], list[Changes]], apply: Callable[[list[Changes]], None]) -> None:
        """Fold and apply; again, with whole rows, where imported ones keep the store from taking hot leaves."""
        while True:
            try:
                apply(fold())
                return
            except HotColumnsMissing as refused:
                self._folder.make_whole(refused.resource_type)

    def _fingerprint(self, event: Event) -> str:
        """What tells an event from that of another log which has the same number."""
        return blake2b(self._seed + encoded(event), digest_size=8).hexdigest()

    def _define(self, events: list[Event]) -> None:
        for event in events:
            if event.kind is Kind.DEFINED:
                definition = cast("Definition", event.state)
                self._definitions[definition.number] = definition

    def _tidy(self, now: int) -> None:
        """Forget what is too old: change records, and deletions that nothing can overtake any more."""
        if now - self._tidied < _TIDY_EVERY:
            return
        self._tidied = now
        self._store.forget_deletions(self.offset)
        for table in TABLES:
            self._store.forget_records(table, to_datetime(now - self._kept))

    def crawl(self, now: int) -> int:
        """Fetch what the feed has lost, compare every row with the log, and put right those that differ; how many did."""
        with self._lock, no_collection():
            for batch in self._due(now):
                self._apply(batch)
            lost = self._log.at(self._pending.missing())
            self._pending.found(lost)
            for batch in self._due(now):
                self._apply(batch)
            found = crawl.differences(self._log, self._store, self.offset, self._definitions)
            for start in range(0, len(found.stale), PAGE):
                events = self._log.at(found.stale[start : start + PAGE])
                self._store.apply(self._folder.fold(events, complete=False), None)
            if found.gone:
                self._store.apply(found.deletions(), None)
            if lost or found.rows:
                # The log alone does not say what was repaired: a store that begins again without it would show what was before.
                self._keep_up(lambda: self._store.checkpoint(PATIENCE))
            self._crawled = self._crawl_from = now
            return found.rows

    def wait_for(self, sequence: int, timeout: float) -> bool:
        """Wait until another thread's ticks have brought this event in; False where `timeout` seconds passed first."""
        with self._changed:
            return self._changed.wait_for(lambda: self.offset >= sequence, timeout)


class Ticker:
    """A thread that ticks by the wall's clock. failure: what ended it; where only a tick went wrong, the snapshotter's progress says so.

    now: the simulated time up to which everything is in the log. speed: seconds of it in one of the wall's.
    """

    def __init__(
        self, snapshotter: Snapshotter, now: Callable[[], int], speed: float = 1.0, every: timedelta = timedelta(seconds=0.25)
    ) -> None:
        self._snapshotter = snapshotter
        self._now = now
        self._speed = speed
        self._every = every.total_seconds()
        self._rounds = deque([self._every], maxlen=_ROUNDS)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="kqlite-snapshotter", daemon=True)
        self.failure: BaseException | None = None
        self._thread.start()

    def _run(self) -> None:
        began = ended = time.monotonic()
        while not self._stop.wait(max(_BREATH, self._every - (ended - began))):
            # What shows after this tick is what shows until the end of the next one, which may take as long as any of the last ones.
            ahead = round((max(self._rounds) + ended - began) * self._speed * SECOND)
            began, last = time.monotonic(), began
            self._rounds.append(began - last)
            try:
                self._snapshotter.tick(self._now(), ahead)
            except KqliteError:
                pass  # such as a full disk: it says so in its progress, and tries again
            except BaseException as error:
                self.failure = error
                raise
            ended = time.monotonic()

    def stop(self) -> None:
        """End the thread after the tick it is in."""
        self._stop.set()
        self._thread.join()
