"""What the terminal is like, and how an answer and a progress are shown on it."""

import os
import shutil
import sys
import time
from datetime import datetime, timedelta
from typing import Protocol, TextIO

from kqlite.formats import Rows, write_table
from kqlite.formats.table import TableView


class Freshness(Protocol):
    """How old an answer is; None where the inventory does not know."""

    @property
    def watermark(self) -> datetime | None: ...

    @property
    def lag(self) -> timedelta | None: ...


class Answer(Rows, Protocol):
    """A query's result, as far as it is shown here."""

    def __len__(self) -> int: ...

    @property
    def elapsed(self) -> timedelta: ...

    @property
    def snapshot(self) -> Freshness: ...


ROWS_SHOWN = 1000
"""As many as the service returns in one page."""


def print_answer(answer: Answer, limit: int | None = None) -> None:
    """Prints the table to stdout, fitted where that is a terminal, and below it, to stderr, the rows, the time and the snapshot's age.

    limit: rows shown at most.
    """
    on_terminal = sys.stdout.isatty()
    width = shutil.get_terminal_size().columns if on_terminal else None
    view = write_table(answer, sys.stdout, width, colour=on_terminal and _has_colour(), limit=limit)
    sys.stdout.flush()
    print(footer(answer, view), file=sys.stderr)


def footer(answer: Answer, view: TableView) -> str:
    """One line about a table: `12 rows in 8.3 ms; snapshot of 2026-03-01 12:00:00Z, 2 h old`."""
    total = len(answer)
    rows = f"{total:,} {'row' if total == 1 else 'rows'}"
    if view.rows.num_rows < total:
        rows = f"{view.rows.num_rows:,} of {rows} shown (all of them with --format or into a pipe),"
    columns = f"; {len(view.widths)} of {len(view.schema)} columns fit" if view.cut else ""
    return f"{rows} in {duration(answer.elapsed)}{columns}{_snapshot_note(answer.snapshot)}"


def _snapshot_note(snapshot: Freshness) -> str:
    if snapshot.watermark is None or snapshot.lag is None:
        return ""
    return f"; snapshot of {snapshot.watermark:%Y-%m-%d %H:%M:%S}Z, {age(snapshot.lag)} old"


def duration(elapsed: timedelta) -> str:
    """A short time with its unit."""
    seconds = elapsed.total_seconds()
    return f"{seconds * 1000:.1f} ms" if seconds < 1 else f"{seconds:.2f} s"


def age(since: timedelta) -> str:
    """A long time in its largest unit, cut to a whole number."""
    seconds = max(0, int(since.total_seconds()))
    for size, unit in ((2 * 86_400, "days"), (2 * 3_600, "h"), (2 * 60, "min")):
        if seconds >= size:
            return f"{seconds // (size // 2)} {unit}"
    return f"{seconds} s"


def _has_colour() -> bool:
    """Source: no-color.org."""
    return not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


class ProgressBar:
    """A bar on a terminal, called with how much is done and how much there is (0 where that is not known); silent anywhere else."""

    _SECONDS_BETWEEN = 0.1
    _WIDTH = 30

    def __init__(self, what: str, stream: TextIO):
        self._what = what
        self._stream = stream
        self._shown = stream.isatty()
        self._next = 0.0
        self._drawn = False

    def __call__(self, done: int, total: int) -> None:
        now = time.monotonic()
        if not self._shown or (now < self._next and done != total):
            return
        self._next = now + self._SECONDS_BETWEEN
        self._drawn = True
        self._stream.write(f"\r\x1b[K{self._line(done, total)}")
        self._stream.flush()

    def _line(self, done: int, total: int) -> str:
        if not total:
            return f"{done:,} {self._what}"
        full = min(self._WIDTH, self._WIDTH * done // total)
        return f"[{'#' * full}{' ' * (self._WIDTH - full)}] {done:,} of {total:,} {self._what}"

    def clear(self) -> None:
        """Takes the bar off the screen."""
        if self._drawn:
            self._stream.write("\r\x1b[K")
            self._stream.flush()
