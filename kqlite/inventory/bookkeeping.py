"""The store's own tables, beside those of partitions: the catalog, the watermark, and what was deleted."""

from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

from kqlite.inventory.catalog import InventoryCatalog, write_partitions
from kqlite.language.types import TICKS_PER_SECOND, UNIX_EPOCH_TICKS

TABLES = (
    "CREATE TABLE IF NOT EXISTS inventory._catalog (version BIGINT, partitions VARCHAR)",
    "CREATE TABLE IF NOT EXISTS inventory._watermark (ticks BIGINT)",
    'CREATE TABLE IF NOT EXISTS inventory._tombstones ("table" VARCHAR, _key VARCHAR, _seq BIGINT)',
    "INSERT INTO inventory._catalog SELECT 0, '{}' WHERE NOT EXISTS (FROM inventory._catalog)",
)
"""What makes an attached database an empty inventory."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_TICKS_PER_MICROSECOND = TICKS_PER_SECOND // 1_000_000


class Cursor(Protocol):
    """What is needed of a DuckDB cursor."""

    def execute(self, query: str, parameters: object = None) -> Any: ...  # Any: the cursor again, whose rows can be fetched


def _only(cursor: Cursor, sql: str) -> Any:
    # All rows are fetched: a cursor with rows left refuses other work.
    [[value]] = cursor.execute(sql).fetchall()
    return value


def version(cursor: Cursor) -> int:
    """How often the catalog was changed. As the first read of a transaction it fixes what the transaction sees; BEGIN does not."""
    return int(_only(cursor, "SELECT version FROM _catalog"))


def partitions(cursor: Cursor) -> str:
    """The catalog as `catalog.write_partitions` wrote it."""
    return str(_only(cursor, "SELECT partitions FROM _catalog"))


def write_catalog(cursor: Cursor, catalog: InventoryCatalog) -> None:
    """Store the resource tables' partitions under the next version."""
    values = {"version": version(cursor) + 1, "partitions": write_partitions(catalog.resources)}
    cursor.execute("DELETE FROM _catalog")
    cursor.execute("INSERT INTO _catalog VALUES ($version, $partitions)", values)


def watermark(cursor: Cursor) -> datetime | None:
    """The time up to which the inventory is complete, aware and UTC."""
    ticks = _only(cursor, "SELECT max(ticks) FROM _watermark")
    return None if ticks is None else _EPOCH + timedelta(microseconds=(ticks - UNIX_EPOCH_TICKS) // _TICKS_PER_MICROSECOND)


def advance_watermark(cursor: Cursor, to: datetime | None) -> None:
    """Bring the watermark forward; one that is earlier changes nothing."""
    before = watermark(cursor)
    if to is None or (before is not None and before >= to):
        return
    # Replaced and not updated: a reader older than an UPDATE keeps every checkpoint waiting.
    cursor.execute("DELETE FROM _watermark")
    ticks = (to - _EPOCH) // timedelta(microseconds=1) * _TICKS_PER_MICROSECOND + UNIX_EPOCH_TICKS
    cursor.execute("INSERT INTO _watermark VALUES ($ticks)", {"ticks": ticks})


def forget_deletions(cursor: Cursor, sequence: int) -> None:
    """Forget the deletions up to a sequence number."""
    cursor.execute("DELETE FROM _tombstones WHERE _seq <= $sequence", {"sequence": sequence})
