"""What `kqlite status` shows: an inventory's view of itself, for a reader or for a program."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from kqlite.directory.lock import Holder
from kqlite.formats.terminal import age
from kqlite.stats import FeedStats, Percentiles, Stats, to_json

if TYPE_CHECKING:
    from kqlite.connection import Connection

_WINDOW = timedelta(days=1)
_CHANGES = """
union resourcechanges, resourcecontainerchanges
| where todatetime(properties.changeAttributes.timestamp) > begin
| count
"""
_LABEL_WIDTH = 12
_SIZES = ((2**30, "GiB"), (2**20, "MiB"), (2**10, "KiB"))


def changes_per_hour(connection: Connection, watermark: datetime | None) -> float | None:
    """How many changes of resources an hour the last day has; None for an inventory that is not fed by changes."""
    if watermark is None:
        return None
    count = connection.query(_CHANGES, parameters={"begin": watermark - _WINDOW}).scalar()
    assert isinstance(count, int)
    return count / (_WINDOW / timedelta(hours=1))


def as_json(stats: Stats, per_hour: float | None = None) -> str:
    """For a program; times in ISO 8601, spans in seconds. per_hour: as of `changes_per_hour`."""
    return json.dumps({**to_json(stats), "changesPerHour": per_hour}, indent=2, ensure_ascii=False)


def as_text(stats: Stats, now: datetime | None = None, per_hour: float | None = None) -> str:
    """For a reader: a line for each thing that is known, then the types, largest first.

    Args:
        stats: What the inventory says of itself.
        now: The time of the wall's clock.
        per_hour: Changes an hour, as of `changes_per_hour`.
    """
    lines = [f"{label:{_LABEL_WIDTH}}{text}" for label, text in _things(stats, now or datetime.now(UTC), per_hour)]
    if stats.types:
        lines += ["", *_types(stats)]
    return "\n".join(lines)


def _things(stats: Stats, now: datetime, per_hour: float | None) -> Iterator[tuple[str, str]]:
    yield "held by", _holder(stats.holder, now)
    if stats.watermark is not None and stats.lag is not None:
        yield "watermark", f"{_time(stats.watermark)}, {age(stats.lag)} old"
    if stats.feed is not None:
        yield from _feed(stats.feed, stats)
    elif stats.sequence is not None:
        yield "changes", f"up to {stats.sequence:,}"
    if per_hour is not None:
        yield "activity", f"{per_hour:,.1f} changes an hour over the last day"


def _holder(holder: Holder | None, now: datetime) -> str:
    return "nobody" if holder is None else f"{holder}, for {age(now - holder.since)}"


def _feed(feed: FeedStats, stats: Stats) -> Iterator[tuple[str, str]]:
    yield (
        "changes",
        f"up to {stats.sequence or 0:,} of {feed.sequence:,}, {feed.backlog:,} to come; {feed.changes_per_second:,.1f} a second",
    )
    if feed.lags is not None:
        yield "lag", _lags(feed.lags)
    if feed.last_crawl is None:
        yield "last crawl", "none"
    else:
        yield "last crawl", f"{_time(feed.last_crawl)}, {age(stats.snapshot_time - feed.last_crawl)} ago"
    if feed.trouble:
        yield "trouble", feed.trouble


def _lags(lags: Percentiles) -> str:
    return f"median {_span(lags.p50)}, 90 % {_span(lags.p90)}, 99 % {_span(lags.p99)}, longest {_span(lags.most)}"


def _types(stats: Stats) -> Iterator[str]:
    rows = [(size.table, size.type, f"{size.rows:,}", _bytes(size.bytes)) for size in stats.types]
    known = [size.bytes for size in stats.types if size.bytes is not None]
    total = ("", "in all", f"{sum(size.rows for size in stats.types):,}", _bytes(sum(known) if known else None))
    yield from _aligned([("table", "type", "rows", "size"), *rows, total])


def _aligned(rows: Sequence[tuple[str, str, str, str]]) -> Iterator[str]:
    table, type_, count, size = (max(map(len, column)) for column in zip(*rows, strict=True))
    for row in rows:
        yield f"{row[0]:{table}}  {row[1]:{type_}}  {row[2]:>{count}}  {row[3]:>{size}}".rstrip()


def _bytes(count: int | None) -> str:
    if count is None:
        return ""
    for size, unit in _SIZES:
        if count >= size:
            return f"{count / size:,.1f} {unit}"
    return f"{count} B"


def _span(span: timedelta) -> str:
    return f"{span.total_seconds():.1f} s"


def _time(time: datetime) -> str:
    return f"{time:%Y-%m-%d %H:%M:%S}Z"
