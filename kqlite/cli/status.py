"""What `kqlite status` shows: an inventory's view of itself, for a reader or for a program."""

import json
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta

from kqlite.directory.lock import Holder
from kqlite.formats.terminal import age
from kqlite.stats import Feed, Percentiles, Stats, to_json

_LABEL_WIDTH = 12
_SIZES = ((2**30, "GiB"), (2**20, "MiB"), (2**10, "KiB"))


def as_json(stats: Stats) -> str:
    """For a program; times in ISO 8601, spans in seconds."""
    return json.dumps(to_json(stats), indent=2, ensure_ascii=False)


def as_text(stats: Stats, now: datetime | None = None) -> str:
    """For a reader: a line for each thing that is known, then the types, largest first. now: of the wall's clock."""
    lines = [f"{label:{_LABEL_WIDTH}}{text}" for label, text in _things(stats, now or datetime.now(UTC))]
    if stats.types:
        lines += ["", *_types(stats)]
    return "\n".join(lines)


def _things(stats: Stats, now: datetime) -> Iterator[tuple[str, str]]:
    yield "held by", _holder(stats.holder, now)
    if stats.watermark is not None and stats.lag is not None:
        yield "watermark", f"{_time(stats.watermark)}, {age(stats.lag)} old"
    if stats.feed is not None:
        yield from _feed(stats.feed, stats)
    elif stats.sequence is not None:
        yield "changes", f"up to {stats.sequence:,}"


def _holder(holder: Holder | None, now: datetime) -> str:
    return "nobody" if holder is None else f"{holder}, for {age(now - holder.since)}"


def _feed(feed: Feed, stats: Stats) -> Iterator[tuple[str, str]]:
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
