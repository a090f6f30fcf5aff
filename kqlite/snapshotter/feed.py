"""The change feed: the core's committed events in order, read after any sequence number; undisturbed, or with what a network does to it.

>>> feed = Feed(log, after=offset)
>>> feed.pull(until=horizon)
Pull(events=[..], offset=1207, more=False, read=[..])

What disturbs it are the faults `feed_loss`, `feed_lag`, `feed_reorder` and `feed_duplicate`, which are in the log themselves. Definitions
are never disturbed: they are no notifications but part of what a state says.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable
from typing import NamedTuple, cast

from kqlite.orchestration.chance import Chance
from kqlite.orchestration.clock import SECOND
from kqlite.orchestration.events import Event, Kind
from kqlite.orchestration.faults import value_of
from kqlite.orchestration.log import EventLog
from kqlite.orchestration.model import FaultState, Type

PAGE = 40_000
FOREVER = 1 << 62

_LONGEST_DETOUR = 50
"""A notification that is reordered or doubled comes after at most so many others."""

NEVER_SHOWN: frozenset[str] = frozenset({Type.OPERATION, Type.METRIC, Type.NOTE, Type.ACTIVITY})
"""What the core records beside resources: it comes without states, which nobody looks at."""

_NOT_DISTURBED = NEVER_SHOWN | {Type.DEFINITION, Type.FAULT}


class Pull(NamedTuple):
    """What a feed gave.

    offset: it has spoken of everything up to this sequence number; what it left out it has lost, or still holds.
    more: there may be more for the asking. read: what the log has of that stretch, in order.
    """

    events: list[Event]
    offset: int
    more: bool
    read: list[Event]


class Feed:
    """The events of a log after a sequence number.

    seed: of the draws by which faults strike. faults: those that hold already, for a feed that starts in the middle of a log.
    bound: no notification is later than this, in microseconds, however late a fault makes it; those that are lost never come.
    """

    def __init__(self, log: EventLog, after: int = 0, seed: int = 0, faults: Iterable[FaultState] = (), bound: int = FOREVER) -> None:
        self._log = log
        self._offset = after
        self._ahead: list[Event] = []
        self._page_was_full = False
        self._disturbance = Disturbance(seed, faults, bound)

    @property
    def disturbed(self) -> bool:
        """Whether a fault ever struck: then notifications may be missing, late, doubled or out of order."""
        return self._disturbance.struck

    @property
    def faults(self) -> tuple[FaultState, ...]:
        """Those that hold as far as it has spoken."""
        return self._disturbance.faults

    def pull(self, until: int, limit: int = PAGE, now: int | None = None) -> Pull:
        """Notifications of events up to the time `until`, those of about `limit` events at once.

        now: the time, by which what a fault holds back is late; None is `until`.
        """
        events = self._next(until, limit)
        if events:
            self._offset = events[-1].sequence
        more = bool(events) and not self._ahead and self._page_was_full
        return Pull(self._disturbance.passed(events, until if now is None else now, more), self._offset, more, events)

    def _next(self, until: int, limit: int) -> list[Event]:
        ahead = self._ahead
        if len(ahead) < limit:
            ahead += self._log.read(ahead[-1].sequence if ahead else self._offset, limit - len(ahead), NEVER_SHOWN)
        self._page_was_full = len(ahead) == limit
        # Times never go down, so most pages are taken whole or not at all.
        if not ahead or ahead[0].time > until:
            return []
        if ahead[-1].time <= until:
            self._ahead = []
            return ahead
        cut = next(at for at, event in enumerate(ahead) if event.time > until)
        self._ahead = ahead[cut:]
        return ahead[:cut]


class Disturbance:
    """What the faults of a feed do to the notifications that pass.

    struck: whether any was ever lost, late, doubled or moved.
    """

    def __init__(self, seed: int = 0, faults: Iterable[FaultState] = (), bound: int = FOREVER) -> None:
        self.struck = False
        self._bound = bound
        self._chance = Chance(seed)
        self._faults = {fault.name: fault for fault in faults}
        self._strikes: dict[str, int] = {}
        # What was held back: until so many events have passed, or until a time; the second number only breaks ties.
        self._detours: list[tuple[int, int, Event]] = []
        self._late: list[tuple[int, int, Event]] = []
        self._seen = 0
        self._ties = 0

    @property
    def faults(self) -> tuple[FaultState, ...]:
        """Those that hold now."""
        return tuple(self._faults.values())

    def passed(self, events: list[Event], now: int, more: bool = False) -> list[Event]:
        """The notifications that come out when these go in, at the time `now`. more: others follow at once."""
        if not (self._faults or self._late or self._detours) and not any(event.type == Type.FAULT for event in events):
            return events
        out: list[Event] = []
        for event in events:
            self._seen += 1
            if event.type == Type.FAULT:
                self._learn(event)
            self._let_pass(event, out)
            while self._detours and self._detours[0][0] <= self._seen:
                out.append(heapq.heappop(self._detours)[2])
        if not more:
            # Nothing follows that could overtake it; whoever looks again may do so much later.
            out += [heapq.heappop(self._detours)[2] for _ in range(len(self._detours))]
        while self._late and self._late[0][0] <= now:
            out.append(heapq.heappop(self._late)[2])
        return out

    def _learn(self, event: Event) -> None:
        fault = cast("FaultState", event.state)
        if not fault.fault.startswith("feed_"):
            return
        if event.kind is Kind.DELETED or not fault.active:
            self._faults.pop(fault.name, None)
        else:
            self._faults[fault.name] = fault

    def _let_pass(self, event: Event, out: list[Event]) -> None:
        striking = () if event.type in _NOT_DISTURBED else [fault for fault in self._faults.values() if self._strikes_at(fault, event)]
        names = {fault.fault for fault in striking}
        self.struck = self.struck or bool(names)
        if "feed_loss" in names:
            return
        if "feed_duplicate" in names:
            self._hold(self._detours, self._seen + self._detour(event), event)
        late = max((float(value_of(fault, "limit", 30)) for fault in striking if fault.fault == "feed_lag"), default=None)
        if late is not None:
            self._hold(self._late, event.time + min(round(late * SECOND), self._bound), event)
        elif "feed_reorder" in names:
            self._hold(self._detours, self._seen + self._detour(event), event)
        else:
            out.append(event)

    def _hold(self, heap: list[tuple[int, int, Event]], key: int, event: Event) -> None:
        self._ties += 1
        heapq.heappush(heap, (key, self._ties, event))

    def _detour(self, event: Event) -> int:
        return 1 + self._chance.number("detour", event.sequence) % _LONGEST_DETOUR

    def _strikes_at(self, fault: FaultState, event: Event) -> bool:
        wanted = value_of(fault, "type")
        if wanted is not None and wanted.lower() != event.type.lower():
            return False
        fraction, probability, count = (value_of(fault, key) for key in ("fraction", "probability", "count"))
        if fraction is not None and self._chance.uniform("feed-fraction", f"{fault.uid} {event.id.lower()}") >= fraction:
            return False
        if probability is not None and self._chance.uniform("feed-probability", fault.uid, event.sequence) >= probability:
            return False
        if count is not None:
            struck = self._strikes.get(fault.name, 0)
            if struck >= count:
                return False
            self._strikes[fault.name] = struck + 1
        return True
