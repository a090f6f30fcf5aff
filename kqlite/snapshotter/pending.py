"""What has happened and does not show yet, and which of it shows at a given time: one class for each mode of lag.

Both give batches, each of which the snapshotter applies in one transaction. A batch says up to which event and time everything is in;
events that are in although an earlier one is not are applied again after a restart, which changes nothing.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from typing import NamedTuple, Protocol

from kqlite.orchestration.events import Event
from kqlite.orchestration.log import EventLog
from kqlite.orchestration.model import Type
from kqlite.snapshotter.feed import PAGE, Feed
from kqlite.snapshotter.lag import Lag

MOST_HELD = 500_000
"""Changes that wait for a lost one before them; with more than that the lost ones are fetched before the next crawl."""


class Batch(NamedTuple):
    """What becomes visible together.

    shown: the events whose resources change, in order. recorded: those whose change records are due, in order and without a gap.
    offset: everything up to this sequence number is in. watermark: everything up to this time is in.
    """

    shown: list[Event]
    recorded: list[Event]
    offset: int
    watermark: int


class Pending(Protocol):
    """What does not show yet. refetched: how many events the feed had lost."""

    refetched: int

    @property
    def in_order(self) -> bool:
        """Whether every event of a resource was and will be shown, each after the one before it."""

    def due(self, now: int, ahead: int = 0) -> Iterator[Batch]:
        """What shows at the time `now`. A batch that was given counts as applied when the next is asked for.

        ahead: it is asked again only after so long, by when nothing may be older than the lag's bound.
        """

    def missing(self) -> list[int]:
        """The sequence numbers of which the feed has said nothing although it has spoken of later ones."""

    def found(self, events: list[Event]) -> None:
        """Events that the feed had lost: they show as if they had arrived."""


class Prefix:
    """All changes show in the order in which they happened. What the feed loses is fetched from the log when it is due."""

    in_order = True

    def __init__(self, feed: Feed, log: EventLog, offset: int, lag: Lag) -> None:
        self._feed = feed
        self._log = log
        self._offset = offset
        self._lag = lag
        self._early: dict[int, Event] = {}
        self._horizon = 0
        self.refetched = 0

    def due(self, now: int, ahead: int = 0) -> Iterator[Batch]:
        """See Pending."""
        horizon = self._horizon = max(self._horizon, self._lag.horizon(now), self._lag.overdue(now, ahead))
        more = True
        while more:
            notifications, offset, more, _ = self._feed.pull(horizon, now=now + ahead)
            events = self._in_order(notifications, offset)
            # Others of the last event's instant may follow it.
            watermark = events[-1].time - 1 if more and events else horizon
            self._offset = offset
            yield Batch(events, events, offset, watermark)

    def _in_order(self, notifications: list[Event], offset: int) -> list[Event]:
        first, wanted = self._offset + 1, offset - self._offset
        if not self._feed.disturbed and not self._early:
            return notifications
        arrived = self._early | {event.sequence: event for event in notifications if event.sequence > self._offset}
        lost = [sequence for sequence in range(first, first + wanted) if sequence not in arrived]
        arrived.update((event.sequence, event) for event in self._log.at(lost))
        self.refetched += len(lost)
        self._early = {sequence: event for sequence, event in arrived.items() if sequence > offset}
        return [arrived[sequence] for sequence in range(first, first + wanted)]

    def missing(self) -> list[int]:
        """See Pending."""
        return []

    def found(self, events: list[Event]) -> None:
        """See Pending."""


class PerResource:
    """Each change shows when its own lag has passed, in order within its resource. What the feed loses stays so until a crawl finds it.

    Whoever begins in the middle of a log fetches at first what is lost to it.
    """

    def __init__(self, feed: Feed, log: EventLog, offset: int, lag: Lag) -> None:
        self._feed = feed
        self._log = log
        self._offset = offset
        self._pulled = offset
        self._looked = 0
        self._whole_until = 0
        # What a crawl had found before the store was cut off may not be lost again: what was shown would be shown as it was before.
        self._resumes = offset > 0
        self._lag = lag
        self._held: dict[int, Event] = {}  # arrived, and after the offset
        self._waiting: list[tuple[int, int]] = []  # when it shows, and which; those of `held` that do not show yet
        self._hidden: set[int] = set()
        self._absent: dict[int, tuple[int, int]] = {}  # of those that have not arrived, when they show and when they happened
        self._last_of: dict[str, int] = {}  # when the last that does not show yet does so, by resource
        self.refetched = 0

    @property
    def in_order(self) -> bool:
        """See Pending."""
        return not self._feed.disturbed

    def due(self, now: int, ahead: int = 0) -> Iterator[Batch]:
        """See Pending."""
        overdue = self._lag.overdue(now, ahead)
        looked = self._looked = max(self._looked, now - self._lag.least, overdue)
        more = True
        while more:
            notifications, self._pulled, more, read = self._feed.pull(looked, now=now + ahead)
            self._schedule(read)
            for event in notifications:
                self._take(event)
        if self._resumes or len(self._held) > MOST_HELD:
            self._resumes = False
            self.found(self._log.at(self.missing()))
        self._hurry(overdue, now)
        while True:
            shown = self._showing(now)
            recorded = self._pass()
            yield Batch(shown, recorded, self._offset, self._watermark(looked))
            if len(shown) < PAGE:
                return

    def _schedule(self, events: list[Event]) -> None:
        """When each of them shows, in order within its resource, whether or not it arrives: what shows at a time hangs on nothing else."""
        for event in events:
            key = event.id.lower()
            shows = 0 if event.type == Type.DEFINITION else max(self._lag.visible_at(event), self._last_of.get(key, 0))
            self._last_of[key] = shows
            self._absent[event.sequence] = (shows, event.time)

    def _take(self, event: Event) -> None:
        if event.sequence > self._offset and event.sequence not in self._held:  # else it is doubled
            self._wait(event, self._absent.pop(event.sequence)[0])

    def _wait(self, event: Event, shows: int) -> None:
        self._held[event.sequence] = event
        self._hidden.add(event.sequence)
        heapq.heappush(self._waiting, (shows, event.sequence))

    def _hurry(self, overdue: int, now: int) -> None:
        """Let show at `now` what happened up to the time `overdue` and would show later."""
        if self._lag.overdue(now) >= overdue:
            return  # the lags themselves see to it
        for at, (shows, sequence) in enumerate(self._waiting):
            event = self._held[sequence]
            if shows > now and event.time <= overdue:
                self._waiting[at] = (now, sequence)
                key = event.id.lower()
                if self._last_of.get(key) == shows:
                    self._last_of[key] = now
        heapq.heapify(self._waiting)

    def _showing(self, now: int) -> list[Event]:
        shown: list[Event] = []
        while self._waiting and self._waiting[0][0] <= now and len(shown) < PAGE:
            shows, sequence = heapq.heappop(self._waiting)
            event = self._held[sequence]
            self._hidden.discard(sequence)
            key = event.id.lower()
            if self._last_of.get(key) == shows:
                del self._last_of[key]
            shown.append(event)
        shown.sort(key=lambda event: event.sequence)
        return shown

    def _pass(self) -> list[Event]:
        """The events that nothing before them keeps back any more."""
        passed: list[Event] = []
        sequence = self._offset + 1
        while sequence in self._held and sequence not in self._hidden:
            event = self._held.pop(sequence)
            passed.append(event)
            sequence += 1
        self._offset = sequence - 1
        return passed

    def _watermark(self, looked: int) -> int:
        first = self._offset + 1
        if self._offset == self._pulled:
            self._whole_until = looked
            return looked
        time = self._held[first].time if first in self._held else self._absent[first][1]
        # It may have happened in the very instant up to which all that had happened was in.
        return max(time - 1, self._whole_until)

    def missing(self) -> list[int]:
        """See Pending."""
        return [sequence for sequence in range(self._offset + 1, self._pulled + 1) if sequence not in self._held]

    def found(self, events: list[Event]) -> None:
        """See Pending."""
        self.refetched += len(events)
        for event in events:
            self._take(event)
