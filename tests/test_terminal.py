"""What stands below a table, and the bar of a long task."""

import io
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pytest

from kqlite.formats.table import lay_out
from kqlite.formats.terminal import ProgressBar, age, duration, footer
from kqlite.language.schema import Column, Schema
from kqlite.language.types import Type

COLUMNS = Schema((Column("id", Type.STRING), Column("location", Type.STRING)))


@dataclass(frozen=True)
class Freshness:
    watermark: datetime | None = datetime(2026, 3, 1, 12, tzinfo=UTC)
    lag: timedelta | None = timedelta(hours=3)


@dataclass(frozen=True)
class Answer:
    """A result of three rows, as the command line sees one."""

    snapshot: Freshness = Freshness()
    elapsed: timedelta = timedelta(milliseconds=8.25)
    schema: Schema = COLUMNS

    def __len__(self) -> int:
        return 3

    def to_arrow(self, shaped: bool = False, ticks: bool = False) -> pa.Table:
        return pa.table({"id": ["x" * 30] * 3, "location": ["westeurope" * 3] * 3})


def below(answer: Answer, **how: int) -> str:
    return footer(answer, lay_out(answer.schema, answer.to_arrow(ticks=True), **how))


def test_rows_time_and_age_stand_below_the_table():
    assert below(Answer()) == "3 rows in 8.2 ms; snapshot of 2026-03-01 12:00:00Z, 3 h old"


def test_what_is_not_shown_is_told():
    assert (
        below(Answer(), limit=2)
        == "2 of 3 rows shown (all of them with --format or into a pipe), in 8.2 ms; snapshot of 2026-03-01 12:00:00Z, 3 h old"
    )
    assert below(Answer(), width=15).startswith("3 rows in 8.2 ms; 1 of 2 columns fit; ")


def test_an_inventory_that_knows_no_time_has_no_age():
    assert below(Answer(snapshot=Freshness(None, None))) == "3 rows in 8.2 ms"


@pytest.mark.parametrize(
    ("since", "text"),
    [
        (timedelta(seconds=-1), "0 s"),
        (timedelta(seconds=59.9), "59 s"),
        (timedelta(minutes=2), "2 min"),
        (timedelta(hours=47), "47 h"),
        (timedelta(days=2), "2 days"),
        (timedelta(days=268, hours=23), "268 days"),
    ],
)
def test_an_age_has_one_unit(since, text):
    assert age(since) == text


def test_a_duration_has_the_unit_that_fits():
    assert [duration(timedelta(seconds=seconds)) for seconds in (0.00094, 0.9, 1.5, 75)] == ["0.9 ms", "900.0 ms", "1.50 s", "75.00 s"]


class Screen(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_progress_is_drawn_over_itself_and_taken_off():
    screen = Screen()
    progress = ProgressBar("machines", screen)
    progress(0, 40)
    progress(1, 40)
    progress(40, 40)
    progress.clear()
    lines = screen.getvalue().split("\r\x1b[K")
    assert lines == ["", f"[{' ' * 30}] 0 of 40 machines", f"[{'#' * 30}] 40 of 40 machines", ""]


def test_progress_of_an_unknown_whole_counts():
    screen = Screen()
    ProgressBar("documents", screen)(1234, 0)
    assert screen.getvalue() == "\r\x1b[K1,234 documents"


def test_progress_is_silent_off_a_terminal():
    stream = io.StringIO()
    progress = ProgressBar("machines", stream)
    progress(40, 40)
    progress.clear()
    assert stream.getvalue() == ""
