"""How busy a fleet is: the rate of each kind of activity at each level, its distribution over a week, and the load of scale sets.

`KINDS` is the table of rates. A rate is a mean over a week. `hours` distributes the events within the week and does not change their
number.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from functools import cache, lru_cache

from kqlite.orchestration.clock import DAY, HOUR, to_datetime
from kqlite.orchestration.errors import CoreError

LEVELS = ("none", "calm", "normal", "wild")
"""The levels, from no activity to the most."""

_WEEK_HOURS = 7 * 24
_EPOCH_WEEKDAY = 3  # 1970-01-01 was a Thursday


def _always(hour: int, weekday: int) -> float:
    return 1.0


def _working_hours(hour: int, weekday: int) -> float:
    return 1.0 if weekday < 5 and 8 <= hour < 18 else 0.5


def _nights(hour: int, weekday: int) -> float:
    return 1.0 if hour < 6 else 0.3


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of activity.

    Args:
        name: As the log's readers and `--help` name it.
        per: What the rate counts by: "VM", "Spot VM" or "scale set".
        rates: Events a day for each of those, by level.
        hours: Weight of an hour of a weekday (0 is Monday).
        what: What happens.
    """

    name: str
    per: str
    rates: Mapping[str, float]
    hours: Callable[[int, int], float]
    what: str


def _kind(name: str, per: str, calm: float, normal: float, wild: float, hours: Callable[[int, int], float], what: str) -> Kind:
    return Kind(name, per, {"none": 0.0, "calm": calm, "normal": normal, "wild": wild}, hours, what)


KINDS = (
    _kind("stop", "VM", 0.1, 0.4, 1.5, _working_hours, "a person stops a VM, mostly deallocates it, and starts it again hours later"),
    _kind("restart", "VM", 0.05, 0.2, 0.8, _working_hours, "a person restarts a VM"),
    _kind("tag", "VM", 0.05, 0.2, 0.8, _working_hours, "a person writes a tag of a VM"),
    _kind("patch", "VM", 0.05, 0.15, 0.5, _nights, "a VM installs patches and restarts"),
    _kind("script", "VM", 0.01, 0.05, 0.3, _working_hours, "a person runs the script extension of a VM again"),
    _kind("eviction", "Spot VM", 0.05, 0.3, 1.5, _always, "Azure evicts a Spot VM; where it was deallocated, it starts again hours later"),
    _kind("deployment", "scale set", 0.1, 0.4, 1.5, _working_hours, "a pipeline gives a scale set a release and rolls it out to its VMs"),
    _kind("maintenance", "scale set", 0.05, 0.25, 1.0, _nights, "Azure maintains the hosts of a scale set, fault domain by fault domain"),
)

FAILING_EXTENSIONS = {"none": 0.0, "calm": 0.005, "normal": 0.02, "wild": 0.08}
"""Share of the runs of an extension that fail, by level; a person runs it again hours later."""

_SWING = {"none": 0.0, "calm": 0.3, "normal": 0.5, "wild": 0.7}
"""How far the load of a set moves from its mean between night and day."""

_NOISE = {"none": 0.0, "calm": 0.1, "normal": 0.2, "wild": 0.4}
"""How far the load of a set departs from that wave at random, within hours."""

RETURN_HOURS = (0.5, 3.0, 14.0)
"""Hours until a person sees to a VM that was stopped, evicted or has failed: lowest, likeliest, highest. Once a day after that."""

ROLLOUT = HOUR
"""How long a pipeline rolls out a release; VMs that are stopped until then stay behind."""

ROLLOUT_SHARE = 0.05
"""The part of a scale set that is updated at one time."""


def checked_level(level: object) -> str:
    """Validate a level and return it. Raises CoreError for an unknown level."""
    if not isinstance(level, str) or level not in LEVELS:
        raise CoreError(f"no activity {level!r}; there are {', '.join(LEVELS)}")
    return level


def described() -> str:
    """What `--help` says of the levels."""
    lines = [f"{'events a day':<14}{'for each':<11}{'calm':>7}{'normal':>8}{'wild':>7}"]
    for kind in KINDS:
        lines.append(f"{kind.name:<14}{kind.per:<11}{kind.rates['calm']:>7g}{kind.rates['normal']:>8g}{kind.rates['wild']:>7g}")
    shares = FAILING_EXTENSIONS
    lines.append(f"{'failing':<14}{'extension':<11}{shares['calm']:>7.1%}{shares['normal']:>8.1%}{shares['wild']:>7.1%}")
    return "\n".join(lines)


def expected(level: str, time: int, *, vms: int, spot: bool, period: int) -> list[float]:
    """The expected number of events of each of `KINDS` in a scale set, within a period that ends at `time`.

    Args:
        vms: How many members the set has.
        spot: Whether they are Spot VMs.
        period: Microseconds.
    """
    counts = {"VM": vms, "Spot VM": vms if spot else 0, "scale set": 1}
    share = period / DAY
    return [rate * counts[kind.per] * share for kind, rate in zip(KINDS, _rates(level, _hour_of_week(time)), strict=True)]


def _hour_of_week(time: int) -> int:
    return (time // HOUR + _EPOCH_WEEKDAY * 24) % _WEEK_HOURS


@lru_cache(maxsize=len(LEVELS) * _WEEK_HOURS)
def _rates(level: str, hour_of_week: int) -> tuple[float, ...]:
    weekday, hour = divmod(hour_of_week, 24)
    return tuple(kind.rates[level] * kind.hours(hour, weekday) / _mean(kind.hours) for kind in KINDS)


@cache
def _mean(hours: Callable[[int, int], float]) -> float:
    return sum(hours(hour, weekday) for weekday in range(7) for hour in range(24)) / _WEEK_HOURS


def load_factor(level: str, time: int, phase: float, noise: float) -> float:
    """The load of a scale set at a time, as a multiple of its mean: highest in the afternoon, lower on Saturday and Sunday.

    Args:
        phase: From 0 to 1: shifts the set's afternoon within three hours.
        noise: From -1 to 1.
    """
    swing = _SWING[level]
    moment = to_datetime(time) + timedelta(hours=3 * (phase - 0.5))
    day = math.sin(2 * math.pi * (moment.hour + moment.minute / 60 - 9) / 24)
    weekend = 1 - swing / 2 if moment.weekday() >= 5 else 1.0
    return max(0.0, (1 + swing * day) * weekend * (1 + _NOISE[level] * noise))
