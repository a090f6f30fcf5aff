"""Clocks: manual, auto, scaled and wall. No other module of the core reads the real time.

Simulated time is a whole number of microseconds since 1970-01-01T00:00Z. It moves only when the control plane advances; a clock says how
far.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache

from kqlite.errors import KqliteError

SECOND = 1_000_000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
DAY = 24 * HOUR
START = int(datetime(2021, 8, 11, tzinfo=UTC).timestamp()) * SECOND
END = int(datetime(9999, 12, 31, tzinfo=UTC).timestamp()) * SECOND
"""The end of simulated time: a datetime has no later years."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_ISO = re.compile(r"P(?:(\d+)W)?(?:(\d+)D)?(?:T(?:(\d+)H)?(?:(\d+)M)?(?:(\d+(?:\.\d+)?)S)?)?", re.IGNORECASE)
_LONGEST = 1000 * 365 * DAY
_SHORT = re.compile(r"(\d+(?:\.\d+)?)\s*(us|ms|s|m|h|d)", re.IGNORECASE)
_UNITS = {"us": 1, "ms": 1000, "s": SECOND, "m": MINUTE, "h": HOUR, "d": DAY}


class DurationError(KqliteError):
    """A value that is no duration."""


def duration(value: float | timedelta | str) -> int:
    """Microseconds of a duration: seconds, a timedelta, "61s", "1h30m" or ISO 8601 "PT5M".

    Raises:
        DurationError: Any other value, or a negative duration.
    """
    if isinstance(value, timedelta):
        micros = (value.days * 86400 + value.seconds) * SECOND + value.microseconds
    elif isinstance(value, (int, float)) and not isinstance(value, bool):
        if value != value or value in (float("inf"), float("-inf")):
            raise DurationError(f"not a duration: {value}")
        micros = round(value * SECOND)
    elif isinstance(value, str):
        micros = _parsed(value.strip())
    else:
        raise DurationError(f"not a duration: {value!r}; give seconds, a timedelta, or text such as '61s' or 'PT5M'")
    if micros < 0:
        raise DurationError(f"time does not run backwards: {value!r}")
    return micros


def _parsed(text: str) -> int:
    iso = iso_duration(text)
    if iso is not None:
        return iso
    parts = list(_SHORT.finditer(text))
    if not parts or "".join(part.group(0) for part in parts).replace(" ", "") != text.replace(" ", ""):
        raise DurationError(f"not a duration: {text!r}; write '61s', '1h30m' or 'PT5M'")
    return sum(round(float(part.group(1)) * _UNITS[part.group(2).lower()]) for part in parts)


@lru_cache(maxsize=1024)  # autoscale reads the same few durations again every minute
def iso_duration(text: str) -> int | None:
    """Microseconds of an ISO 8601 duration such as "PT5M"; None for other text, and for durations of 1,000 years and more."""
    found = _ISO.fullmatch(text)
    if found is None or not any(found.groups()):
        return None
    weeks, days, hours, minutes, seconds = (float(part or 0) for part in found.groups())
    micros = (weeks * 7 + days) * DAY + hours * HOUR + minutes * MINUTE + seconds * SECOND
    return round(micros) if micros <= _LONGEST else None


def to_datetime(micros: int) -> datetime:
    """The aware UTC datetime of a simulated time."""
    return _EPOCH + timedelta(microseconds=micros)


def from_datetime(moment: datetime) -> int:
    """The simulated time of a datetime. A datetime without a time zone is in UTC."""
    aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return (aware - _EPOCH) // timedelta(microseconds=1)


def iso(micros: int) -> str:
    """The time as ARM writes it: seven digits and an offset."""
    return f"{to_datetime(micros):%Y-%m-%dT%H:%M:%S}.{micros % SECOND:06d}0+00:00"


@dataclass
class Clock:
    """How simulated time follows from real time.

    Args:
        mode: "manual": only `advance` moves time. "auto": polling an operation jumps to its end. "scaled": time runs with real time.
        speed: Simulated seconds for each real second, for mode "scaled".
        start: Simulated time at which a new simulation begins.
        read: Reads real time, in seconds.
        sleep: Sleeps for some real seconds.
    """

    mode: str = "manual"
    speed: float = 1.0
    start: int = START
    read: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
    _base_wall: float | None = None
    _base_time: int = 0

    @classmethod
    def manual(cls, start: datetime | None = None) -> Clock:
        """A clock that only `advance` moves."""
        return cls("manual", start=START if start is None else from_datetime(start))

    @classmethod
    def auto(cls, start: datetime | None = None) -> Clock:
        """A clock that jumps to the end of an operation when a client polls it."""
        return cls("auto", start=START if start is None else from_datetime(start))

    @classmethod
    def scaled(cls, speed: float, start: datetime | None = None) -> Clock:
        """A clock that runs `speed` times as fast as real time."""
        if not speed > 0:
            raise DurationError(f"the speed of a clock must be above 0, not {speed}")
        return cls("scaled", speed, START if start is None else from_datetime(start))

    @classmethod
    def wall(cls) -> Clock:
        """Real time, from now."""
        return cls("scaled", 1.0, round(time.time() * SECOND))

    def begin(self, now: int) -> None:
        """Let simulated time be `now` at this real moment."""
        self._base_wall, self._base_time = self.read(), now

    def reading(self, now: int) -> int:
        """The simulated time that the clock shows. A clock that never moves by itself shows `now`."""
        if self.mode != "scaled":
            return now
        if self._base_wall is None:
            self.begin(now)
        assert self._base_wall is not None
        return max(now, self._base_time + int((self.read() - self._base_wall) * self.speed * SECOND))

    def wait(self, until: int, now: int, at_most: float) -> None:
        """Sleep until the clock shows `until`, but at most `at_most` real seconds."""
        seconds = (until - self.reading(now)) / (self.speed * SECOND)
        if seconds > 0:
            self.sleep(min(seconds, at_most))
