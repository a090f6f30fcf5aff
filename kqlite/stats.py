"""What an inventory says of itself: how far it has come, how large it is, who holds it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from kqlite.directory.lock import Holder, holder_from_json, holder_to_json


@dataclass(frozen=True, slots=True)
class TypeSize:
    """What the resources of one type take in one table.

    bytes: the blocks of the file that hold them; where types share a native table, their share of it by rows; None in memory.
    """

    table: str
    type: str
    rows: int
    bytes: int | None


@dataclass(frozen=True, slots=True)
class Percentiles:
    """How far the watermark was behind the clock, at the last times that changes were brought in."""

    p50: timedelta
    p90: timedelta
    p99: timedelta
    most: timedelta


@dataclass(frozen=True, slots=True)
class FeedStats:
    """What brings changes into a live inventory, as of now.

    sequence: the last sequence number in the log. backlog: how many changes are in the log and not yet in the inventory.
    lags: None before the first change. changes_per_second: applied, over the last minute of the wall's clock. last_crawl: when the
    last full crawl ended, by the inventory's clock; None where there was none. trouble: why the last changes could not be brought in, or
    what went wrong in the simulation that makes them; "" where all is well.
    """

    sequence: int
    backlog: int
    lags: Percentiles | None
    changes_per_second: float
    last_crawl: datetime | None
    trouble: str = ""


@dataclass(frozen=True, slots=True)
class Stats:
    """An inventory's view of itself.

    snapshot_time: when this was asked, by the inventory's clock. watermark: the time up to which it is complete, None where nothing says
    so. sequence: the last sequence number that is in; None where no log feeds it. feed: None where nothing feeds it now.
    holder: the process that has the directory alone; None where there is none, or no directory.
    """

    snapshot_time: datetime
    watermark: datetime | None
    sequence: int | None
    types: Sequence[TypeSize]
    feed: FeedStats | None = None
    holder: Holder | None = None

    @property
    def lag(self) -> timedelta | None:
        """How old an answer given now would be."""
        return None if self.watermark is None else self.snapshot_time - self.watermark


def to_json(stats: Stats) -> dict[str, Any]:
    """As a JSON document: times in ISO 8601, spans in seconds; the lag beside what it follows from."""
    feed, holder = stats.feed, stats.holder
    return {
        "snapshotTime": stats.snapshot_time.isoformat(),
        "watermark": _iso(stats.watermark),
        "lagSeconds": None if stats.lag is None else stats.lag.total_seconds(),
        "sequence": stats.sequence,
        "types": [{"table": size.table, "type": size.type, "rows": size.rows, "bytes": size.bytes} for size in stats.types],
        "feed": None if feed is None else _feed_to_json(feed),
        "holder": None if holder is None else holder_to_json(holder),
    }


def from_json(document: Mapping[str, Any]) -> Stats:
    """What `to_json` wrote."""
    return Stats(
        datetime.fromisoformat(document["snapshotTime"]),
        _time(document["watermark"]),
        document["sequence"],
        tuple(TypeSize(**size) for size in document["types"]),
        None if document["feed"] is None else _feed_from_json(document["feed"]),
        None if document["holder"] is None else holder_from_json(document["holder"]),
    )


_PERCENTILES = ("p50", "p90", "p99", "most")


def _feed_to_json(feed: FeedStats) -> dict[str, Any]:
    lags = None if feed.lags is None else {name: getattr(feed.lags, name).total_seconds() for name in _PERCENTILES}
    return {
        "sequence": feed.sequence,
        "backlog": feed.backlog,
        "lagsSeconds": lags,
        "changesPerSecond": feed.changes_per_second,
        "lastCrawl": _iso(feed.last_crawl),
        "trouble": feed.trouble,
    }


def _feed_from_json(document: Mapping[str, Any]) -> FeedStats:
    lags = document["lagsSeconds"]
    return FeedStats(
        document["sequence"],
        document["backlog"],
        None if lags is None else Percentiles(*(timedelta(seconds=lags[name]) for name in _PERCENTILES)),
        document["changesPerSecond"],
        _time(document["lastCrawl"]),
        document["trouble"],
    )


def _iso(time: datetime | None) -> str | None:
    return None if time is None else time.isoformat()


def _time(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)
