"""Imports in the order of their times: which row wins, what a replacing import deletes, and up to when all of it is complete.

An import has a time, and its rows carry it as their sequence number: microseconds since 1970, exact to the
millisecond. So the newest row of an id is known in whatever order imports come, and the oldest row says up to when all is complete:

| import | of | stored rows, with their times | watermark |
|---|---|---|---|
| vms of 10:00 | a, b | a 10:00, b 10:00 | 10:00 |
| disks of 12:00 | d | a 10:00, b 10:00, d 12:00 | 10:00 |
| vms of 9:00 | a, c | a 10:00, b 10:00, c 9:00, d 12:00 | 9:00 |
| vms of 13:00, replacing types | a | a 13:00, d 12:00 | 12:00 |

Rows of the sequence number 0 come from earlier versions, or have no time: any time is later, and the stored watermark stands for them.
"""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from enum import Enum
from typing import Any, Protocol

from kqlite.inventory.shapes.sql_text import identifier
from kqlite.language.schema import Partition

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_MILLISECOND = timedelta(milliseconds=1)


class Cursor(Protocol):
    """What is needed of a DuckDB cursor, in a transaction."""

    def execute(self, query: str, parameters: object = None) -> Any: ...  # Any: the cursor again


class Coverage(Enum):
    """What of the inventory an import holds whole, by the resources in it."""

    ALL = "all"
    TYPES = "types"
    SUBSCRIPTIONS = "subscriptions"
    GROUPS = "groups"


_COVERED = {
    Coverage.TYPES: "lower(type)",
    Coverage.SUBSCRIPTIONS: "lower(type), lower(subscriptionId)",
    Coverage.GROUPS: "lower(type), lower(subscriptionId), lower(resourceGroup)",
}


def next_sequence(cursor: Cursor, resources: Mapping[str, Iterable[Partition]], time: datetime) -> int:
    """The sequence number of rows of a time: that of its millisecond, and greater than that of each stored row of the millisecond."""
    first = max(1, (time - _EPOCH) // _MILLISECOND * 1000)
    known = [_last_within(cursor, part.source, first, first + 999) for parts in resources.values() for part in parts]
    return max((each + 1 for each in known if each is not None), default=first)


def _last_within(cursor: Cursor, source: str, first: int, last: int) -> int | None:
    within = f"SELECT max(_seq) FROM {identifier(source)} WHERE _seq BETWEEN $first AND $last"
    [(found,)] = cursor.execute(within, {"first": first, "last": last}).fetchall()
    return None if found is None else int(found)


def begin_replacing(cursor: Cursor) -> None:
    """Make an empty list of the rows that an import brings."""
    cursor.execute(
        'CREATE OR REPLACE TEMP TABLE brought ("table" VARCHAR, _key VARCHAR, type VARCHAR, subscriptionId VARCHAR, resourceGroup VARCHAR)'
    )


def note_rows(cursor: Cursor, table: str, source: str) -> None:
    """Note the rows of a native table that holds what an import brings, and nothing else."""
    cursor.execute(
        f"INSERT INTO brought SELECT $table, _key, type, subscriptionId, resourceGroup FROM {identifier(source)}", {"table": table}
    )


def replace(cursor: Cursor, resources: Mapping[str, Iterable[Partition]], coverage: Coverage) -> None:
    """Delete the rows that the import covers and has not brought."""
    for table, parts in resources.items():
        for part in parts:
            values = _COVERED.get(coverage)
            covered = f'({values}) IN (SELECT ({values}) FROM brought WHERE "table" = $table) AND ' if values else ""
            cursor.execute(
                f'DELETE FROM {identifier(part.source)} WHERE {covered}_key NOT IN (SELECT _key FROM brought WHERE "table" = $table)',
                {"table": table},
            )
    cursor.execute("DROP TABLE brought")


def complete_until(cursor: Cursor, resources: Mapping[str, Iterable[Partition]], stored: datetime | None, as_of: datetime) -> datetime:
    """The time of the oldest row; that of the import where there are no rows."""
    oldest = [as_of]
    for parts in resources.values():
        for part in parts:
            [(sequence,)] = cursor.execute(f"SELECT min(_seq) FROM {identifier(part.source)}").fetchall()
            if sequence is not None:
                oldest.append(_EPOCH + sequence * _MICROSECOND if sequence else stored or as_of)
    return min(oldest)
