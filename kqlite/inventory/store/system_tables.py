"""The store's own tables, beside those of partitions: the catalog, how far changes have come, what was deleted, how old records are."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

from kqlite.inventory.shapes.catalog import InventoryCatalog, write_partitions
from kqlite.language.types import TICKS_PER_SECOND, UNIX_EPOCH_TICKS

TABLES = (
    "CREATE TABLE IF NOT EXISTS inventory._catalog (version BIGINT, partitions VARCHAR)",
    "CREATE TABLE IF NOT EXISTS inventory._watermark (ticks BIGINT)",
    "CREATE TABLE IF NOT EXISTS inventory._state (version BIGINT, ticks BIGINT, position VARCHAR)",
    'CREATE TABLE IF NOT EXISTS inventory._tombstones ("table" VARCHAR, _key VARCHAR, _seq BIGINT)',
    'CREATE TABLE IF NOT EXISTS inventory._records ("table" VARCHAR, _seq BIGINT, ticks BIGINT)',
    "CREATE TABLE IF NOT EXISTS inventory._worn (source VARCHAR, replaced BIGINT)",
    "INSERT INTO inventory._catalog SELECT 0, '{}' WHERE NOT EXISTS (FROM inventory._catalog)",
    "INSERT INTO inventory._state SELECT version, (SELECT max(ticks) FROM inventory._watermark), NULL "
    "FROM inventory._catalog WHERE NOT EXISTS (FROM inventory._state)",
)
"""What makes an attached database an empty inventory, or gives one of an earlier version the tables that it lacks."""

STATE = "SELECT version, ticks, position FROM _state"
STATE_BEFORE = "SELECT version, (SELECT max(ticks) FROM _watermark), NULL FROM _catalog"
"""How the state is read; the second where an earlier version wrote the inventory, and this process may not."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_TICKS_PER_MICROSECOND = TICKS_PER_SECOND // 1_000_000
_TICKS_PER_MINUTE = TICKS_PER_SECOND * 60
_NOTES_SINCE = 'FROM _records WHERE "table" = $table AND ticks >= $ticks'


class Cursor(Protocol):
    """What is needed of a DuckDB cursor."""

    def execute(self, query: str, parameters: object = None) -> Any: ...  # Any: the cursor again, whose rows can be fetched


@dataclass(frozen=True)
class State:
    """How far the inventory has come.

    version: how often the catalog was changed. watermark: the time up to which the inventory is complete, aware and UTC; None where nothing
    says so. feed_offset: how far the snapshotter has read the change feed, in its own text; None where none has.
    """

    version: int
    watermark: datetime | None
    feed_offset: str | None


def state(cursor: Cursor, sql: str = STATE) -> State:
    """The state. As the first read of a transaction it fixes what the transaction sees; BEGIN does not."""
    # All rows are fetched: a cursor with rows left refuses other work.
    [(version, ticks, feed_offset)] = cursor.execute(sql).fetchall()
    return State(version, None if ticks is None else _time(ticks), feed_offset)


def advance(cursor: Cursor, before: State, after: State, *, may_go_back: bool = False) -> None:
    """Store a later state; a watermark that is none stays what it was, and so does an earlier one unless it may go back."""
    known = [time for time in (before.watermark, after.watermark) if time is not None]
    watermark = after.watermark if may_go_back and after.watermark is not None else max(known, default=None)
    after = State(after.version, watermark, after.feed_offset)
    if after == before:
        return
    # Replaced and not updated: a reader older than an UPDATE keeps every checkpoint waiting.
    cursor.execute("DELETE FROM _state")
    cursor.execute(
        "INSERT INTO _state VALUES ($version, $ticks, $position)",
        {"version": after.version, "ticks": None if watermark is None else _ticks(watermark), "position": after.feed_offset},
    )


def partitions(cursor: Cursor) -> str:
    """The catalog as `catalog.write_partitions` wrote it."""
    [(text,)] = cursor.execute("SELECT partitions FROM _catalog").fetchall()
    return str(text)


def write_catalog(cursor: Cursor, catalog: InventoryCatalog, version: int) -> None:
    """Store the resource tables' partitions, as they are in this version."""
    cursor.execute("DELETE FROM _catalog")
    values = {"version": version, "partitions": write_partitions(catalog.resources)}
    cursor.execute("INSERT INTO _catalog VALUES ($version, $partitions)", values)


def forget_deletions(cursor: Cursor, sequence: int) -> None:
    """Forget the deletions up to a sequence number."""
    cursor.execute("DELETE FROM _tombstones WHERE _seq <= $sequence", {"sequence": sequence})


def note_deletions(cursor: Cursor, table: str, deleted: Mapping[str, int]) -> None:
    """Remember deletions, each with its sequence number, of which none is remembered yet."""
    for key, sequence in deleted.items():
        cursor.execute("INSERT INTO _tombstones VALUES ($table, $key, $sequence)", {"table": table, "key": key, "sequence": sequence})


def note_records(cursor: Cursor, table: str, sequence: int, until: datetime) -> None:
    """Note that the records up to a sequence number are not newer than a time; a note for each minute is near enough to forget them."""
    at = _ticks(until)
    minute = at - at % _TICKS_PER_MINUTE
    noted = {"table": table, "ticks": minute}
    [(known, newest)] = cursor.execute(f"SELECT max(_seq), max(ticks) {_NOTES_SINCE}", noted).fetchall()
    cursor.execute(f"DELETE {_NOTES_SINCE}", noted)
    values = {"table": table, "sequence": max(sequence, known or 0), "ticks": max(at, newest or 0)}
    cursor.execute("INSERT INTO _records VALUES ($table, $sequence, $ticks)", values)


def oldest_records(cursor: Cursor, table: str, before: datetime) -> int | None:
    """The sequence number up to which all records are older than a time, or None where none is known to be; forgets what says so."""
    given = {"table": table, "ticks": _ticks(before)}
    [(sequence,)] = cursor.execute('SELECT max(_seq) FROM _records WHERE "table" = $table AND ticks < $ticks', given).fetchall()
    cursor.execute('DELETE FROM _records WHERE "table" = $table AND ticks < $ticks', given)
    return None if sequence is None else int(sequence)


def worn(cursor: Cursor) -> dict[str, int]:
    """How many rows of each native table were replaced since it was clustered."""
    return {source: int(replaced) for source, replaced in cursor.execute("FROM _worn").fetchall()}


def write_worn(cursor: Cursor, replaced: Mapping[str, int]) -> None:
    """Store what `worn` gives."""
    cursor.execute("DELETE FROM _worn")
    for source, rows in replaced.items():
        cursor.execute("INSERT INTO _worn VALUES ($source, $rows)", {"source": source, "rows": rows})


def _ticks(time: datetime) -> int:
    return (time - _EPOCH) // timedelta(microseconds=1) * _TICKS_PER_MICROSECOND + UNIX_EPOCH_TICKS


def _time(ticks: int) -> datetime:
    return _EPOCH + timedelta(microseconds=(ticks - UNIX_EPOCH_TICKS) // _TICKS_PER_MICROSECOND)
