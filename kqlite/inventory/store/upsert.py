"""Upserts a batch of changes into the table of its partition: for each resource the highest sequence number wins, and a deletion stays.

The changes of a resource are of three kinds. A whole row replaces the stored row. A deletion removes it, and leaves a tombstone: a row of
the table `_tombstones` which keeps older changes out. A hot row has values for hot leaves alone (`resource_tables.HOT_LEAVES`), which the
table holds in in-place columns: columns of their own, beside the structs.

An upsert takes four steps:

1. *Stage.* The temporary table `staged` gets the newest change of each key, unless a tombstone is as new.
2. *Match.* The temporary table `matched` gets one row for each stored row whose key was staged. `_stale` is true where the stored row is as
   new as the change. `_in_place` is true where an UPDATE of the in-place columns makes the stored row the new one.
3. *Write.* Each matched row that is not stale is updated in place, or else deleted. Each staged row without such a match is inserted.
4. *Bury.* The staged deletions become tombstones.

An example. `state` is an in-place column, `sku` is not, and `gone-4` was deleted by event 30 of an earlier batch:

| stored row | `_seq` | `sku` | `state` |
|---|---|---|---|
| vm-1 | 10 | D2 | starting |
| vm-2 | 11 | D2 | running |
| vm-3 | 12 | D2 | running |

| change | `_seq` | kind | what happens | why |
|---|---|---|---|---|
| vm-1 | 40 | hot row, state = running | UPDATE of `state` and `_seq` in place | only an in-place column differs |
| vm-2 | 41 | whole row, sku = D4 | DELETE, then INSERT | `sku` is no in-place column |
| vm-2 | 9 | whole row, sku = D1 | not staged | event 41 of the same batch is newer |
| vm-3 | 42 | deletion | DELETE, and a tombstone | |
| gone-4 | 29 | whole row | not staged | the tombstone of event 30 is newer |
| vm-5 | 43 | whole row | INSERT | no stored row has the key |

| stored row after | `_seq` | `sku` | `state` | | tombstone after | `_seq` |
|---|---|---|---|---|---|---|
| vm-1 | 40 | D2 | running | | gone-4 | 30 |
| vm-2 | 41 | D4 | running | | vm-3 | 42 |
| vm-5 | 43 | D2 | starting | | | |

An UPDATE in place can be repeated for ever, and it keeps the order of rows, by which queries skip most row groups. A row that is deleted
and inserted anew lies at the end of the table, out of order, until `maintenance` clusters the table.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Protocol

from kqlite.inventory.shapes.batches import columns_of
from kqlite.inventory.shapes.change_batches import Changes, HotColumnsMissing, Records
from kqlite.inventory.shapes.resource_tables import CHANGED_COLUMN, HOT_LEAVES, KEY_COLUMN, SEQUENCE_COLUMN
from kqlite.inventory.shapes.shapes import hot_column, separate_members
from kqlite.inventory.shapes.sql_text import identifier, literal
from kqlite.inventory.store import hash_index
from kqlite.inventory.store.casts import selections
from kqlite.inventory.store.hash_index import HASH, ROW
from kqlite.inventory.store.system_tables import note_records
from kqlite.language.schema import Array, Object, Partition, Shape

if TYPE_CHECKING:
    import pyarrow as pa

_INDEX = "_index"
"""In `staged` and `matched`: the index of a whole row in its batch; negative for a hot row; NULL for a deletion."""

_SINCE = "_since"
"""In `staged`: the sequence number since which only hot leaves of the row have changed. See `Changes.since`."""

_ROW = "_row"
"""In `matched`: the `rowid` of the stored row."""

_STALE = "_stale"
"""In `matched`: whether the stored row is as new as the staged change."""

_IN_PLACE = "_in_place"
"""In `matched`: whether an UPDATE of the in-place columns makes the stored row the new one."""

_STAGED_ROW = "_staged_row"
"""In `candidates` and `matched`: the `rowid` of the staged change."""

_IS_WHOLE = "_is_whole"
"""In `candidates`: whether the staged change is a whole row or a deletion, and not a hot row."""

_IS_SAME_KEY = "_is_same_key"
"""In `matched`: whether the stored row has the staged key, and not only its hash."""

_NOT_HOT = (KEY_COLUMN, SEQUENCE_COLUMN, CHANGED_COLUMN)
"""The columns of a batch of hot rows that hold no hot leaf."""

_TABLE = '"table"'
"""The column of `_tombstones` with the name of the resource table."""

_NEWEST_OF_EACH_KEY = f" QUALIFY row_number() OVER (PARTITION BY {KEY_COLUMN} ORDER BY {SEQUENCE_COLUMN} DESC) = 1"


class Cursor(Protocol):
    """What is needed of a DuckDB cursor, in a transaction."""

    def register(self, view_name: str, python_object: object) -> Any: ...  # Any: the cursor again

    def unregister(self, view_name: str) -> Any: ...

    def execute(self, query: str, parameters: object = None) -> Any: ...


@dataclass(frozen=True)
class WrittenRows:
    """How many rows of a table a delivery wrote.

    Args:
        updated: Rows that were updated in place.
        deleted: Rows that were deleted. A replaced row counts as deleted and as inserted.
        inserted: Rows that were inserted.
        appended: Records that were appended.
    """

    updated: int = 0
    deleted: int = 0
    inserted: int = 0
    appended: int = 0


def upsert(cursor: Cursor, change: Changes, stored: Partition, shared: Sequence[str], index: str | None = None) -> WrittenRows:
    """Write the changes that are newer than what is stored.

    Args:
        cursor: In a transaction.
        change: The changes of one resource type.
        stored: The partition that takes the rows. It covers the shapes of `change`.
        shared: Other native tables of the resource table that may hold rows of the type.
        index: A hash index of all rows of the partition's table (`hash_index`). None: the table has none.

    Raises:
        HotColumnsMissing: The table has no in-place column for a hot leaf in `change.hot`. Nothing was written.
    """
    columns = in_place_columns(stored)
    if change.hot is None or not change.hot.num_rows:
        return _upsert(cursor, change, stored, shared, columns, None, index)
    given = [name for name in change.hot.schema.names if name not in _NOT_HOT]
    if not set(given) <= set(columns):
        raise HotColumnsMissing(change.resource_type)
    if len(given) == len(columns):
        return _upsert(cursor, change, stored, shared, columns, change.hot, index)
    # The hot rows lack some in-place columns, which must keep their values. Whole rows have them all, so the two kinds go separately.
    whole = _upsert(cursor, change, stored, shared, columns, None, index)
    only_hot = replace(change, rows=change.rows.slice(0, 0), deleted={}, since=None)
    hot = _upsert(cursor, only_hot, stored, (), given, change.hot, index)
    return replace(whole, updated=whole.updated + hot.updated)


def _upsert(
    cursor: Cursor,
    change: Changes,
    stored: Partition,
    shared: Sequence[str],
    columns: Sequence[str],
    hot_rows: "pa.RecordBatch | None",
    index: str | None,
) -> WrittenRows:
    """As `upsert`.

    Args:
        columns: The in-place columns for which both whole rows and hot rows have values.
        hot_rows: The hot rows to write; None where there are none. `change.hot` is not read.
    """
    if not (change.rows.num_rows or change.deleted or hot_rows is not None):
        return WrittenRows()
    views = {"changes": _with_index(change), "deletions": _deletions(change), "hot_rows": hot_rows}
    views = {name: view for name, view in views.items() if view is not None}
    for name, view in views.items():
        cursor.register(name, view)
    try:
        bits = _stage(cursor, change, stored, columns, hot_rows)
        for source in shared:
            _replace_in_shared(cursor, source)
        differing = _match(cursor, stored, columns, bits, index)
        if change.rows.num_rows and (change.since is None or not _has_all_hot_columns(change, stored)):
            _compare(cursor, change, stored, columns)
        return _write(cursor, change, stored, differing)
    finally:
        for name in views:
            cursor.unregister(name)


def in_place_columns(part: Partition) -> list[str]:
    """The columns beside the structs that DuckDB can update in place: those without lists. To update a list, DuckDB moves the row."""
    leaves = [leaf for shape in part.shapes.values() for _, leaf in separate_members(shape)]
    return [leaf.held_in for leaf in leaves if leaf.held_in is not None and not _has_lists(leaf.shape)]


def _has_lists(shape: Shape) -> bool:
    match shape:
        case Array():
            return True
        case Object():
            return any(_has_lists(member.shape) for member in shape.members)
        case _:
            return False


def _has_all_hot_columns(change: Changes, stored: Partition) -> bool:
    """Whether each hot leaf of the type that the partition has at all is in an in-place column. If not, a whole row must be written."""
    columns = set(in_place_columns(stored))
    return all(hot_column(path) in columns or not _has_member(stored, path.split(".")) for path in HOT_LEAVES.get(change.resource_type, ()))


def _has_member(stored: Partition, path: Sequence[str]) -> bool:
    shape = stored.shapes.get(path[0])
    for name in path[1:]:
        if not isinstance(shape, Object):
            break
        member = shape.member(name)
        shape = None if member is None else member.shape
    return shape is not None


def _with_index(change: Changes) -> "pa.RecordBatch":
    import pyarrow as pa

    rows = change.rows
    since = pa.nulls(rows.num_rows, pa.int64()) if change.since is None else change.since
    return rows.append_column(_INDEX, pa.array(range(rows.num_rows), pa.int64())).append_column(_SINCE, since)


def _deletions(change: Changes) -> "pa.Table":
    import pyarrow as pa

    keys, sequences = pa.array(change.deleted.keys(), pa.string()), pa.array(change.deleted.values(), pa.int64())
    return pa.table({KEY_COLUMN: keys, SEQUENCE_COLUMN: sequences})


def _stage(
    cursor: Cursor, change: Changes, stored: Partition, columns: Sequence[str], hot_rows: "pa.RecordBatch | None"
) -> Mapping[str, int]:
    """Make the table `staged`: for each key its newest change, unless a tombstone is as new.

    Returns:
        For each in-place column its bit in the column `_changed`. Empty where the hot rows have no such column, or where a key comes twice:
        the bits compare a hot row with the one before it, which then need not be the stored one.
    """
    unique = _has_unique_keys(change, hot_rows)
    bits = _bits(hot_rows) if hot_rows is not None and unique else {}
    types = columns_of(stored)
    values = f", {selections(change.partition, stored, {name: types[name] for name in columns})}" if columns else ""
    parts = [f"SELECT {_INDEX}, {KEY_COLUMN}, {SEQUENCE_COLUMN}, {_SINCE}{values} FROM changes"]
    if change.deleted:
        parts.append(f"SELECT {KEY_COLUMN}, {SEQUENCE_COLUMN} FROM deletions")
    if hot_rows is not None:
        changed = f", {CHANGED_COLUMN}" if bits else ""
        parts.append(
            f"SELECT -row_number() OVER () AS {_INDEX}, {KEY_COLUMN}, {SEQUENCE_COLUMN}, 0 AS {_SINCE}{values}{changed} FROM hot_rows"
        )
    cursor.execute(
        f"CREATE OR REPLACE TEMP TABLE staged AS FROM ({' UNION ALL BY NAME '.join(parts)}) AS change "
        f"WHERE NOT EXISTS (FROM _tombstones AS old WHERE {_TABLE} = {literal(change.table)} "
        f"AND old.{KEY_COLUMN} = change.{KEY_COLUMN} AND old.{SEQUENCE_COLUMN} >= change.{SEQUENCE_COLUMN})"
        f"{'' if unique else _NEWEST_OF_EACH_KEY}"
    )
    return bits


def _bits(hot_rows: "pa.RecordBatch") -> Mapping[str, int]:
    names = [name for name in hot_rows.schema.names if name not in _NOT_HOT]
    return {name: 1 << bit for bit, name in enumerate(names)} if CHANGED_COLUMN in hot_rows.schema.names else {}


def _has_unique_keys(change: Changes, hot_rows: "pa.RecordBatch | None") -> bool:
    """Whether no key comes twice. Python finds that out sooner than the engine does."""
    keys = [*change.rows.column(KEY_COLUMN).to_pylist(), *change.deleted]
    if hot_rows is not None:
        keys += hot_rows.column(KEY_COLUMN).to_pylist()
    return len(set(keys)) == len(keys)


def _replace_in_shared(cursor: Cursor, source: str) -> None:
    """Unstage each change for which the table `source` has a row as new; then delete the rows of `source` that a staged change replaces."""
    same_key = f"old.{KEY_COLUMN} = staged.{KEY_COLUMN} AND old.{SEQUENCE_COLUMN}"
    cursor.execute(f"DELETE FROM staged WHERE EXISTS (FROM {identifier(source)} AS old WHERE {same_key} >= staged.{SEQUENCE_COLUMN})")
    cursor.execute(f"DELETE FROM {identifier(source)} AS old WHERE EXISTS (FROM staged WHERE {same_key} < staged.{SEQUENCE_COLUMN})")


def _match(cursor: Cursor, stored: Partition, columns: Sequence[str], bits: Mapping[str, int], index: str | None) -> Mapping[str, str]:
    """Make the table `matched`: one row for each stored row whose key was staged.

    Args:
        bits: As `_stage` returns them.

    Returns:
        For each in-place column, the column of `matched` which says whether the stored and the staged value differ.
    """
    differing = {name: f"_differs_{number}" for number, name in enumerate(columns)}
    compared = "".join(f", old.{identifier(name)} IS DISTINCT FROM staged.{identifier(name)} AS {flag}" for name, flag in differing.items())
    told = "".join(f", {CHANGED_COLUMN} & {bits[name]} <> 0 AS {flag}" for name, flag in differing.items()) if bits else compared
    facts = (
        f"SELECT {_INDEX}, old.rowid AS {_ROW}, "
        # A hot row with the stored sequence number is not stale: it may bring leaves that did not show when the event was first applied.
        f"old.{SEQUENCE_COLUMN} >= staged.{SEQUENCE_COLUMN} + coalesce({_INDEX} < 0, false)::BIGINT AS {_STALE}, "
        f"coalesce(old.{SEQUENCE_COLUMN} >= {_SINCE}, false) AND {_INDEX} IS NOT NULL AS {_IN_PLACE}"
    )
    source = f"{identifier(stored.source)} AS old"
    if index is None or not _match_by_hash(cursor, facts + compared, facts + told, source, index):
        cursor.execute(f"CREATE OR REPLACE TEMP TABLE matched AS {facts}{compared} FROM staged JOIN {source} USING ({KEY_COLUMN})")
    return differing


def _match_by_hash(cursor: Cursor, whole: str, hot: str, source: str, index: str) -> bool:
    """Make the table `matched` from a hash index.

    Args:
        whole: The SELECT list for whole rows and deletions.
        hot: The SELECT list for hot rows.
        source: The stored table, as `old`.
        index: The hash index of the table.

    Returns:
        False where a staged key has the hash of several stored rows. Then the index does not tell which of them is its own.
    """
    cursor.execute(
        f"CREATE OR REPLACE TEMP TABLE candidates AS "
        f"SELECT staged.rowid AS {_STAGED_ROW}, {ROW}, coalesce({_INDEX} >= 0, true) AS {_IS_WHOLE} "
        f"FROM staged JOIN {index} AS stored ON stored.{HASH} = {hash_index.HASHED}"
    )
    # A hot row always has a stored row: a single candidate is that row. For the other kinds the keys are compared. The comparison is no
    # condition of the join, because DuckDB would then decompress the keys of all rows.
    parts = (
        f"{facts}, {_STAGED_ROW}, {is_same_key} AS {_IS_SAME_KEY} "
        f"FROM candidates JOIN staged ON staged.rowid = {_STAGED_ROW} JOIN {source} ON old.rowid = candidates.{ROW} WHERE {kind}"
        for facts, is_same_key, kind in (
            (whole, f"old.{KEY_COLUMN} = staged.{KEY_COLUMN}", _IS_WHOLE),
            (hot, "true", f"NOT {_IS_WHOLE}"),
        )
    )
    cursor.execute(f"CREATE OR REPLACE TEMP TABLE matched AS {' UNION ALL '.join(parts)}")
    cursor.execute(f"DELETE FROM matched WHERE NOT {_IS_SAME_KEY}")
    [(is_ambiguous,)] = cursor.execute(f"SELECT count(*) > count(DISTINCT {_STAGED_ROW}) FROM matched").fetchall()
    return not is_ambiguous


def _compare(cursor: Cursor, change: Changes, stored: Partition, in_place: Sequence[str]) -> None:
    """Set `_in_place` of whole rows by comparison: true where all columns but the in-place ones equal the stored ones."""
    not_compared = {*in_place, KEY_COLUMN, SEQUENCE_COLUMN}
    columns = {name: type_ for name, type_ in columns_of(stored).items() if name not in not_compared}
    equal = " AND ".join(f"old.{identifier(name)} IS NOT DISTINCT FROM new.{identifier(name)}" for name in columns)
    cursor.execute(
        f"UPDATE matched SET {_IN_PLACE} = coalesce({_ROW} IN (SELECT old.rowid FROM {identifier(stored.source)} AS old "
        f"JOIN matched ON matched.{_ROW} = old.rowid "
        f"JOIN (SELECT {_INDEX}, {selections(change.partition, stored, columns)} FROM changes) AS new ON new.{_INDEX} = matched.{_INDEX} "
        f"WHERE {equal}), false) WHERE {_INDEX} >= 0"
    )


def _write(cursor: Cursor, change: Changes, stored: Partition, differing: Mapping[str, str]) -> WrittenRows:
    source = identifier(stored.source)
    replaced, updated = _update_in_place(cursor, stored, differing)
    if replaced:
        cursor.execute(f"DELETE FROM {source} WHERE rowid IN (SELECT {_ROW} FROM matched WHERE NOT {_STALE} AND NOT {_IN_PLACE})")
    inserted = _insert_staged(cursor, change, stored)
    if change.deleted:
        _write_tombstones(cursor, change.table)
    return WrittenRows(updated, replaced, inserted)


def _insert_staged(cursor: Cursor, change: Changes, stored: Partition) -> int:
    """Insert each staged whole row that has no stored row, or whose stored row was deleted. Returns how many."""
    to_insert = (
        f"SELECT {_INDEX} FROM staged WHERE {_INDEX} >= 0 "
        f"AND NOT EXISTS (FROM matched WHERE matched.{_INDEX} = staged.{_INDEX} AND ({_STALE} OR {_IN_PLACE}))"
    )
    indices = [index for (index,) in cursor.execute(to_insert).fetchall()]
    if indices:
        # Arrow takes the few rows of a large batch. The engine would read all columns of all rows first.
        insert(cursor, stored, change.partition, change.rows if len(indices) == change.rows.num_rows else change.rows.take(indices))
    return len(indices)


def _update_in_place(cursor: Cursor, stored: Partition, differing: Mapping[str, str]) -> tuple[int, int]:
    """Update the rows that can be updated in place. Returns how many rows must be replaced, and how many were updated."""
    counts = [
        f"count(*) FILTER (WHERE NOT {_STALE} AND {_IN_PLACE}{also})" for also in ("", *(f" AND {flag}" for flag in differing.values()))
    ]
    [(replaced, updated, *changed)] = cursor.execute(
        f"SELECT count(*) FILTER (WHERE NOT {_STALE} AND NOT {_IN_PLACE}), {', '.join(counts)} FROM matched"
    ).fetchall()
    if updated:
        counted = {name: (flag, count) for (name, flag), count in zip(differing.items(), changed, strict=True)}
        _update(cursor, identifier(stored.source), updated, counted)
    return replaced, updated


def _update(cursor: Cursor, source: str, rows: int, differing: Mapping[str, tuple[str, int]]) -> None:
    """Update in-place columns and sequence numbers.

    A column that differs in most rows is written in one UPDATE together with the sequence numbers. Any other column is written by an UPDATE
    of its own, in as few rows as need it: a column of texts that are distinct in each row costs as much as ten other columns.

    Args:
        source: The stored table.
        rows: How many rows are updated.
        differing: For each in-place column, the column of `matched` which says that it differs, and in how many rows it does.
    """
    often = [name for name, (_, count) in differing.items() if count * 2 > rows]
    _set(cursor, source, [SEQUENCE_COLUMN, *often], "true")
    for name, (flag, count) in differing.items():
        if count and name not in often:
            _set(cursor, source, [name], flag)


def _set(cursor: Cursor, source: str, columns: Sequence[str], where: str) -> None:
    values = ", ".join(f"{identifier(name)} = new.{identifier(name)}" for name in columns)
    cursor.execute(
        f"UPDATE {source} AS old SET {values} FROM "
        f"(SELECT matched.{_ROW}, staged.* FROM matched JOIN staged USING ({_INDEX}) "
        f"WHERE NOT {_STALE} AND {_IN_PLACE} AND {where}) AS new "
        f"WHERE old.rowid = new.{_ROW}"
    )


def _write_tombstones(cursor: Cursor, table: str) -> None:
    """Write a tombstone for each staged deletion, in place of an earlier tombstone of the key."""
    deletions = f"FROM staged WHERE {_INDEX} IS NULL"
    cursor.execute(f"DELETE FROM _tombstones WHERE {_TABLE} = {literal(table)} AND {KEY_COLUMN} IN (SELECT {KEY_COLUMN} {deletions})")
    cursor.execute(f"INSERT INTO _tombstones SELECT {literal(table)}, {KEY_COLUMN}, {SEQUENCE_COLUMN} {deletions}")


def append(cursor: Cursor, records: Records, stored: Partition) -> WrittenRows:
    """Append records to the table of `stored`, which covers them."""
    if not records.rows.num_rows:
        return WrittenRows()
    insert(cursor, stored, records.partition, records.rows)
    note_records(cursor, records.table, max(records.rows.column(SEQUENCE_COLUMN).to_pylist()), records.until)
    return WrittenRows(appended=records.rows.num_rows)


def insert(cursor: Cursor, stored: Partition, given: Partition, rows: "pa.RecordBatch") -> None:
    """Insert rows made for the partition `given` into the table of `stored`, which covers it."""
    columns = columns_of(stored)
    names = ", ".join(map(identifier, columns))
    cursor.register("rows", rows)
    try:
        cursor.execute(f"INSERT INTO {identifier(stored.source)} ({names}) SELECT {selections(given, stored, columns)} FROM rows")
    finally:
        cursor.unregister("rows")
