"""How late a change becomes visible, in either of two ways, and never later than a bound.

prefix: the inventory is the core's state as of a moment that moves on; how far it is behind changes every few seconds.
per-resource: each change is late on its own, in order within its resource, as in the real service.

All times are simulated ones, in microseconds; the draws follow from a seed and from what is drawn for, so a run can be repeated.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from typing import Any

from kqlite.errors import KqliteError
from kqlite.orchestration.chance import Chance
from kqlite.orchestration.clock import MINUTE, SECOND, duration
from kqlite.orchestration.events import Event

BOUND = MINUTE
"""Source: Azure docs, "Orchestration modes for virtual machine scale sets": changes may take up to 60 seconds to show."""

SPELL = 5 * SECOND
"""For so long the lag of a prefix stays what it is."""

# Of 1,000 changes so many show within so many seconds: the service promises "typically seconds", and 60 at most in most cases.
# Source: Azure Resource Graph docs, "Choose a query strategy", whose words these figures stand for.
_MEASURED = ((0, 1.0), (250, 3.0), (500, 6.0), (750, 12.0), (900, 25.0), (970, 40.0), (1000, 60.0))


class LagError(KqliteError):
    """A lag that is none: the message says what one looks like."""


class Mode(StrEnum):
    """What may be late on its own."""

    PREFIX = "prefix"
    PER_RESOURCE = "per-resource"


@dataclass(frozen=True)
class Law:
    """By what a lag is drawn: for a share of all draws, from 0 to 1, the lag in microseconds; between two of them it grows evenly."""

    points: tuple[tuple[float, int], ...]

    @classmethod
    def constant(cls, lag: float | timedelta | str) -> Law:
        """Always the same."""
        return cls(((0.0, duration(lag)),))

    @classmethod
    def uniform(cls, low: float | timedelta | str, high: float | timedelta | str) -> Law:
        """Anything from `low` to `high`, equally likely."""
        return cls(((0.0, duration(low)), (1.0, duration(high))))

    @classmethod
    def measured(cls) -> Law:
        """As the service's documentation describes it: mostly seconds, a minute at most."""
        return cls(tuple((share / 1000, round(seconds * SECOND)) for share, seconds in _MEASURED))

    @property
    def least(self) -> int:
        """No lag is shorter."""
        return self.points[0][1]

    def at(self, share: float) -> int:
        """The lag that so great a share of all draws stays below."""
        below = self.points[0]
        for above in self.points[1:]:
            if share < above[0]:
                return below[1] + round((above[1] - below[1]) * (share - below[0]) / (above[0] - below[0]))
            below = above
        return below[1]


@dataclass(frozen=True)
class Lag:
    """How late changes become visible.

    law: of every change. bound: no change is later than this, whatever the law says.
    by_type: other laws, by resource type, where each resource is late on its own.
    slow: how much later than the rest of its row a machine shows what its guest reports, `osName`, `osVersion` and `computerName` of
        `properties.extended.instanceView`; 0 shows them together. Source: Azure Resource Graph docs, "Fields with slow updates".
    """

    law: Law = field(default_factory=Law.measured)
    mode: Mode = Mode.PREFIX
    bound: int = BOUND
    seed: int = 0
    by_type: Mapping[str, Law] = field(default_factory=dict)
    slow: int = 0

    @classmethod
    def of(cls, lag: Lag | float | timedelta | str, seed: int = 0) -> Lag:
        """A lag from what a user gives: a Lag, a constant ("30s", 0), "1s..60s", or "measured".

        A text may begin with "per-resource", and end with "slow" and a duration. Raises LagError for anything else.
        """
        if isinstance(lag, Lag):
            return lag
        if not isinstance(lag, str):
            return cls(law := Law.constant(lag), bound=max(BOUND, law.least), seed=seed)
        text, slow, later = lag.partition(" slow ")
        rest = text.strip().removeprefix(Mode.PER_RESOURCE).strip()
        mode = Mode.PER_RESOURCE if rest != text.strip() else Mode.PREFIX
        try:
            law = _law_of(rest)
            behind = duration(later) if slow else 0
        except KqliteError:
            raise LagError(
                f"not a lag: {lag!r}; write 30s, 1s..60s or measured, after it perhaps slow 5m, before it per-resource"
            ) from None
        return cls(law, mode, max(BOUND, law.points[-1][1]), seed, slow=behind)

    def to_json(self) -> dict[str, Any]:
        """As a JSON document."""
        by_type = {type_: law.points for type_, law in self.by_type.items()}
        return {"law": self.law.points, "mode": self.mode, "bound": self.bound, "seed": self.seed, "by_type": by_type, "slow": self.slow}

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Lag:
        """The lag that `to_json` wrote."""
        by_type = {type_: _law_from(points) for type_, points in document["by_type"].items()}
        rest = (document["bound"], document["seed"], by_type, document["slow"])
        return cls(_law_from(document["law"]), Mode(document["mode"]), *rest)

    def overdue(self, now: int, ahead: int = 0) -> int:
        """Everything up to this time is visible at `now` whatever the law says.

        ahead: who looks at `now` looks again only after so long, by when nothing may be older than the bound.
        """
        return now - self.bound + min(ahead, self.bound)

    def horizon(self, now: int) -> int:
        """Everything up to this time is visible at `now` and nothing later: a prefix. It never goes back while `now` does not."""
        spell = (now - self.bound) // SPELL
        while spell * SPELL <= now:
            reach = now - self._lag_of_spell(spell)
            if reach < (spell + 1) * SPELL - 1:
                return max(reach, spell * SPELL - 1, now - self.bound)
            spell += 1
        return now

    def shows_at(self, event: Event, now: int) -> int:
        """The first time, not before `now`, at which this change shows, as far as no earlier one of its resource holds it back."""
        if self.mode is Mode.PER_RESOURCE:
            return max(now, self.visible_at(event))
        # The horizon comes to it when it has passed all spells before, each of which holds it back by its own lag.
        spell = event.time // SPELL
        earlier = range(spell - self.bound // SPELL - 1, spell)
        passed = ((each + 1) * SPELL - 1 + self._lag_of_spell(each) for each in earlier)
        return max(now, event.time + self._lag_of_spell(spell), *passed)

    def _lag_of_spell(self, spell: int) -> int:
        return min(self.law.at(Chance(self.seed).uniform("lag", spell)), self.bound)

    @property
    def least(self) -> int:
        """No change becomes visible sooner than this after it happened."""
        return min(self.bound, *(law.least for law in (self.law, *self.by_type.values())))

    def visible_at(self, event: Event) -> int:
        """When this change may show, where each resource is late on its own; an earlier one of the same resource may hold it back."""
        law = self.by_type.get(event.type.lower(), self.law) if self.by_type else self.law
        return event.time + min(law.at(Chance(self.seed).uniform("lag", event.sequence)), self.bound)


def _law_from(points: list[tuple[float, int]]) -> Law:
    return Law(tuple((share, lag) for share, lag in points))


def _law_of(text: str) -> Law:
    if text == "measured":
        return Law.measured()
    low, dots, high = text.partition("..")
    if not dots:
        return Law.constant(low)
    law = Law.uniform(low, high)
    if law.least > law.points[-1][1]:
        raise LagError(text)
    return law
