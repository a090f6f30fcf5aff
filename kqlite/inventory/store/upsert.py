"""Changes into their table: of each resource the newest wins, and what was deleted stays so.

Rows that differ from what is stored in hot leaves alone are updated in place: a stream of such updates can be sustained, and it leaves the
order of rows, by which queries skip most of them. Any other row is deleted and inserted anew.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Protocol

from kqlite.inventory.shapes.batches import columns_of
from kqlite.inventory.shapes.change_batches import Changes, LeavesNotHeld, Records
from kqlite.inventory.shapes.resource_tables import CHANGED_COLUMN, HOT_LEAVES, KEY_COLUMN, SEQUENCE_COLUMN
from kqlite.inventory.shapes.shapes import held_leaves, hot_column, quoted
from kqlite.inventory.store import hash_index
from kqlite.inventory.store.casts import selections
from kqlite.inventory.store.hash_index import HASH, ROW
from kqlite.inventory.store.system_tables import note_records
from kqlite.language.schema import Array, Object, Partition, Shape

if TYPE_CHECKING:
    import pyarrow as pa

_AT, _SINCE, _ROW, _STALE, _WARM = "_at", "_since", "_row", "_stale", "_warm"
_ARRIVED, _IS_WHOLE, _IS_OWN = "_arrived", "_is_whole", "_is_own"
"""In the temporary tables: a row's place in the batch (NULL for a deletion, negative for leaves alone), from when on only hot leaves
changed, where the stored row is, whether that is newer, and whether updating its hot columns makes it the new one; which row arrives,
whether it is more than leaves, and whether the stored row has its key and not only the hash of it."""

_NO_LEAVES = (KEY_COLUMN, SEQUENCE_COLUMN, CHANGED_COLUMN)
"""The columns of a batch of hot leaves that are none."""


class Cursor(Protocol):
    """What is needed of a DuckDB cursor, in a transaction."""

    def register(self, view_name: str, python_object: object) -> Any: ...  # Any: the cursor again

    def unregister(self, view_name: str) -> Any: ...

    def execute(self, query: str, parameters: object = None) -> Any: ...


@dataclass(frozen=True)
class Merged:
    """What a delivery did to a table: how many rows were updated in place, deleted or inserted (replaced ones are both), or appended."""

    updated: int = 0
    deleted: int = 0
    inserted: int = 0
    appended: int = 0


def merge(cursor: Cursor, change: Changes, stored: Partition, shared: Sequence[str], index: str | None = None) -> Merged:
    """Bring the changes into their table, as far as they are newer than what is there.

    stored: the partition that takes the rows and covers them. shared: native tables that may hold rows of the type beside it.
    index: of all rows of the table by the hashes of their keys (`hash_index`); None where there is none.
    """
    held = hot_columns(stored)
    if change.hot is None or not change.hot.num_rows:
        return _merge(cursor, change, stored, shared, held, None, index)
    given = [name for name in change.hot.schema.names if name not in _NO_LEAVES]
    if not set(given) <= set(held):
        raise LeavesNotHeld(change.resource_type)
    if len(given) == len(held):
        return _merge(cursor, change, stored, shared, held, change.hot, index)
    # The columns that are not given stay as they are, so these leaves do not go together with rows.
    rows = _merge(cursor, change, stored, shared, held, None, index)
    alone = replace(change, rows=change.rows.slice(0, 0), deleted={}, since=None)
    leaves = _merge(cursor, alone, stored, (), given, change.hot, index)
    return replace(rows, updated=rows.updated + leaves.updated)


def _merge(
    cursor: Cursor,
    change: Changes,
    stored: Partition,
    shared: Sequence[str],
    hot: Sequence[str],
    leaves: "pa.RecordBatch | None",
    index: str | None,
) -> Merged:
    """hot: the columns held beside of which rows and leaves have values."""
    if not (change.rows.num_rows or change.deleted or leaves is not None):
        return Merged()
    views = {"changes": _numbered(change), "dead": _dead(change), "leaves": leaves}
    views = {name: view for name, view in views.items() if view is not None}
    for name, view in views.items():
        cursor.register(name, view)
    try:
        bits = _arrive(cursor, change, stored, hot, leaves)
        for source in shared:
            _replace_elsewhere(cursor, source)
        differing = _meet(cursor, stored, hot, bits, index)
        if change.rows.num_rows and (change.since is None or not _holds_hot_leaves(change, stored)):
            _compare(cursor, change, stored, hot)
        return _write(cursor, change, stored, differing)
    finally:
        for name in views:
            cursor.unregister(name)


def hot_columns(part: Partition) -> list[str]:
    """The columns beside dynamic ones that can be updated in place. To update one with a list in it, DuckDB moves the row."""
    held = [leaf for shape in part.shapes.values() for _, leaf in held_leaves(shape)]
    return [leaf.held_in for leaf in held if leaf.held_in is not None and not _has_lists(leaf.shape)]


def _has_lists(shape: Shape) -> bool:
    match shape:
        case Array():
            return True
        case Object():
            return any(_has_lists(member.shape) for member in shape.members)
        case _:
            return False


def _holds_hot_leaves(change: Changes, stored: Partition) -> bool:
    """Whether all hot leaves of the type, as far as there are any, are in columns of their own: else a whole row must be written."""
    held = set(hot_columns(stored))
    return all(hot_column(path) in held or _is_nowhere(stored, path.split(".")) for path in HOT_LEAVES.get(change.resource_type, ()))


def _is_nowhere(stored: Partition, path: Sequence[str]) -> bool:
    shape = stored.shapes.get(path[0])
    for name in path[1:]:
        if not isinstance(shape, Object):
            break
        member = shape.member(name)
        shape = None if member is None else member.shape
    return shape is None


def _numbered(change: Changes) -> "pa.RecordBatch":
    import pyarrow as pa

    rows = change.rows
    since = pa.nulls(rows.num_rows, pa.int64()) if change.since is None else change.since
    return rows.append_column(_AT, pa.array(range(rows.num_rows), pa.int64())).append_column(_SINCE, since)


def _dead(change: Changes) -> "pa.Table":
    import pyarrow as pa

    keys, sequences = pa.array(change.deleted.keys(), pa.string()), pa.array(change.deleted.values(), pa.int64())
    return pa.table({KEY_COLUMN: keys, SEQUENCE_COLUMN: sequences})


def _arrive(cursor: Cursor, change: Changes, stored: Partition, hot: Sequence[str], leaves: "pa.RecordBatch | None") -> Mapping[str, int]:
    """The table `arriving`: of each key the newest row, leaves or deletion, unless a later deletion is remembered.

    Returned is for each hot column its bit in the column `_changed`; nothing where leaves do not say, each for itself, what changed.
    """
    unique = _are_unique(change, leaves)
    bits = _bits(leaves) if leaves is not None and unique else {}
    types = columns_of(stored)
    given = "".join(f", {selection}" for selection in [selections(change.partition, stored, {name: types[name] for name in hot})] if hot)
    parts = [f"SELECT {_AT}, {KEY_COLUMN}, {SEQUENCE_COLUMN}, {_SINCE}{given} FROM changes"]
    if change.deleted:
        parts.append(f"SELECT {KEY_COLUMN}, {SEQUENCE_COLUMN} FROM dead")
    if leaves is not None:
        changed = f", {CHANGED_COLUMN}" if bits else ""
        parts.append(f"SELECT -row_number() OVER () AS {_AT}, {KEY_COLUMN}, {SEQUENCE_COLUMN}, 0 AS {_SINCE}{given}{changed} FROM leaves")
    cursor.execute(
        f"CREATE OR REPLACE TEMP TABLE arriving AS FROM ({' UNION ALL BY NAME '.join(parts)}) AS change "
        f"WHERE NOT EXISTS (FROM _tombstones AS old WHERE \"table\" = '{change.table}' "
        f"AND old.{KEY_COLUMN} = change.{KEY_COLUMN} AND old.{SEQUENCE_COLUMN} >= change.{SEQUENCE_COLUMN})"
        f"{'' if unique else _NEWEST}"
    )
    return bits


_NEWEST = f" QUALIFY row_number() OVER (PARTITION BY {KEY_COLUMN} ORDER BY {SEQUENCE_COLUMN} DESC) = 1"


def _bits(leaves: "pa.RecordBatch") -> Mapping[str, int]:
    names = [name for name in leaves.schema.names if name not in _NO_LEAVES]
    return {name: 1 << at for at, name in enumerate(names)} if CHANGED_COLUMN in leaves.schema.names else {}


def _are_unique(change: Changes, leaves: "pa.RecordBatch | None") -> bool:
    """Whether no key comes twice, which is looked for faster here than in the engine."""
    keys = [*change.rows.column(KEY_COLUMN).to_pylist(), *change.deleted]
    if leaves is not None:
        keys += leaves.column(KEY_COLUMN).to_pylist()
    return len(set(keys)) == len(keys)


def _replace_elsewhere(cursor: Cursor, source: str) -> None:
    """Take the rows that are older than what arrives out of another table, and what is not newer than they out of what arrives."""
    of_key = f"old.{KEY_COLUMN} = arriving.{KEY_COLUMN} AND old.{SEQUENCE_COLUMN}"
    cursor.execute(f"DELETE FROM arriving WHERE EXISTS (FROM {quoted(source)} AS old WHERE {of_key} >= arriving.{SEQUENCE_COLUMN})")
    cursor.execute(f"DELETE FROM {quoted(source)} AS old WHERE EXISTS (FROM arriving WHERE {of_key} < arriving.{SEQUENCE_COLUMN})")


def _meet(cursor: Cursor, stored: Partition, hot: Sequence[str], bits: Mapping[str, int], index: str | None) -> Mapping[str, str]:
    """The table `met`: what is known of the stored rows whose keys arrive. For each hot column, the column which says that it differs.

    bits: as `_arrive` gives them.
    """
    differing = {name: f"_differs_{number}" for number, name in enumerate(hot)}
    flags = "".join(f", old.{quoted(name)} IS DISTINCT FROM arriving.{quoted(name)} AS {flag}" for name, flag in differing.items())
    told = "".join(f", {CHANGED_COLUMN} & {bits[name]} <> 0 AS {flag}" for name, flag in differing.items()) if bits else flags
    known = (
        f"SELECT {_AT}, old.rowid AS {_ROW}, "
        # Leaves that come again may be such as did not show the first time.
        f"old.{SEQUENCE_COLUMN} >= arriving.{SEQUENCE_COLUMN} + coalesce({_AT} < 0, false)::BIGINT AS {_STALE}, "
        f"coalesce(old.{SEQUENCE_COLUMN} >= {_SINCE}, false) AND {_AT} IS NOT NULL AS {_WARM}"
    )
    source = f"{quoted(stored.source)} AS old"
    if index is None or not _meet_by_hash(cursor, known + flags, known + told, source, index):
        cursor.execute(f"CREATE OR REPLACE TEMP TABLE met AS {known}{flags} FROM arriving JOIN {source} USING ({KEY_COLUMN})")
    return differing


def _meet_by_hash(cursor: Cursor, rows: str, leaves: str, source: str, index: str) -> bool:
    """The table `met`, by an index. False where a key that arrives has the hash of several rows, and nobody knows which is its own.

    rows, leaves: what to select for whole rows and deletions, and for leaves alone.
    """
    cursor.execute(
        f"CREATE OR REPLACE TEMP TABLE found AS SELECT arriving.rowid AS {_ARRIVED}, {ROW}, coalesce({_AT} >= 0, true) AS {_IS_WHOLE} "
        f"FROM arriving JOIN {index} AS stored ON stored.{HASH} = {hash_index.HASHED}"
    )
    # The row of leaves is stored: where only one row has its hash, that is the one. For others the keys are compared, and not in the join,
    # for which DuckDB would look at the keys of all rows.
    parts = (
        f"{known}, {_ARRIVED}, {is_own} AS {_IS_OWN} "
        f"FROM found JOIN arriving ON arriving.rowid = {_ARRIVED} JOIN {source} ON old.rowid = found.{ROW} WHERE {which}"
        for known, is_own, which in (
            (rows, f"old.{KEY_COLUMN} = arriving.{KEY_COLUMN}", _IS_WHOLE),
            (leaves, "true", f"NOT {_IS_WHOLE}"),
        )
    )
    cursor.execute(f"CREATE OR REPLACE TEMP TABLE met AS {' UNION ALL '.join(parts)}")
    cursor.execute(f"DELETE FROM met WHERE NOT {_IS_OWN}")
    [(several,)] = cursor.execute(f"SELECT count(*) > count(DISTINCT {_ARRIVED}) FROM met").fetchall()
    return not several


def _compare(cursor: Cursor, change: Changes, stored: Partition, hot: Sequence[str]) -> None:
    """Find out of which stored rows all but hot columns are as in the batch."""
    columns = {name: type_ for name, type_ in columns_of(stored).items() if name not in hot and name not in (KEY_COLUMN, SEQUENCE_COLUMN)}
    equal = " AND ".join(f"old.{quoted(name)} IS NOT DISTINCT FROM new.{quoted(name)}" for name in columns)
    cursor.execute(
        f"UPDATE met SET {_WARM} = coalesce({_ROW} IN (SELECT old.rowid FROM {quoted(stored.source)} AS old "
        f"JOIN met ON met.{_ROW} = old.rowid "
        f"JOIN (SELECT {_AT}, {selections(change.partition, stored, columns)} FROM changes) AS new ON new.{_AT} = met.{_AT} "
        f"WHERE {equal}), false) WHERE {_AT} >= 0"
    )


def _write(cursor: Cursor, change: Changes, stored: Partition, differing: Mapping[str, str]) -> Merged:
    source = quoted(stored.source)
    gone, updated = _update_warm(cursor, stored, differing)
    if gone:
        cursor.execute(f"DELETE FROM {source} WHERE rowid IN (SELECT {_ROW} FROM met WHERE NOT {_STALE} AND NOT {_WARM})")
    inserted = _insert(cursor, change, stored)
    if change.deleted:
        _bury(cursor, change.table)
    return Merged(updated, gone, inserted)


def _insert(cursor: Cursor, change: Changes, stored: Partition) -> int:
    """Insert the rows that arrive for good: those with no stored row, and those whose stored row was deleted; how many."""
    arriving = (
        f"SELECT {_AT} FROM arriving WHERE {_AT} >= 0 AND NOT EXISTS (FROM met WHERE met.{_AT} = arriving.{_AT} AND ({_STALE} OR {_WARM}))"
    )
    places = [at for (at,) in cursor.execute(arriving).fetchall()]
    if places:
        # Few of a large batch: to select them in the engine, it would read all columns of all rows first.
        insert(cursor, stored, change.partition, change.rows if len(places) == change.rows.num_rows else change.rows.take(places))
    return len(places)


def _update_warm(cursor: Cursor, stored: Partition, differing: Mapping[str, str]) -> tuple[int, int]:
    """Update in place what can be; how many rows must be replaced, and how many were updated."""
    counts = [f"count(*) FILTER (WHERE NOT {_STALE} AND {_WARM}{also})" for also in ("", *(f" AND {flag}" for flag in differing.values()))]
    [(gone, updated, *changed)] = cursor.execute(
        f"SELECT count(*) FILTER (WHERE NOT {_STALE} AND NOT {_WARM}), {', '.join(counts)} FROM met"
    ).fetchall()
    if updated:
        counted = {name: (flag, count) for (name, flag), count in zip(differing.items(), changed, strict=True)}
        _update(cursor, quoted(stored.source), updated, counted)
    return gone, updated


def _update(cursor: Cursor, source: str, rows: int, differing: Mapping[str, tuple[str, int]]) -> None:
    """Update hot columns and sequence numbers of `rows` rows in place.

    differing: for each hot column what says that it differs, and in how many rows. One that differs in most rows is written with the
    sequence number, another by itself in as few rows as need it: a text of which each row has its own costs as much as ten others.
    """
    often = [name for name, (_, count) in differing.items() if count * 2 > rows]
    assigned = {SEQUENCE_COLUMN: SEQUENCE_COLUMN} | {name: name for name in often}
    _set(cursor, source, assigned, "true")
    for name, (flag, count) in differing.items():
        if count and name not in often:
            _set(cursor, source, {name: name}, flag)


def _set(cursor: Cursor, source: str, assigned: Mapping[str, str], where: str) -> None:
    values = ", ".join(f"{quoted(name)} = new.{quoted(value)}" for name, value in assigned.items())
    cursor.execute(
        f"UPDATE {source} AS old SET {values} FROM "
        f"(SELECT met.{_ROW}, arriving.* FROM met JOIN arriving USING ({_AT}) WHERE NOT {_STALE} AND {_WARM} AND {where}) AS new "
        f"WHERE old.rowid = new.{_ROW}"
    )


def _bury(cursor: Cursor, table: str) -> None:
    """Remember the deletions, in place of earlier ones, unless a newer row is there."""
    cursor.execute(
        f"DELETE FROM _tombstones WHERE \"table\" = '{table}' AND {KEY_COLUMN} IN (SELECT {KEY_COLUMN} FROM arriving WHERE {_AT} IS NULL)"
    )
    cursor.execute(f"INSERT INTO _tombstones SELECT '{table}', {KEY_COLUMN}, {SEQUENCE_COLUMN} FROM arriving WHERE {_AT} IS NULL")


def append(cursor: Cursor, records: Records, stored: Partition) -> Merged:
    """Add records to their table. stored: the partition that takes them and covers them."""
    if not records.rows.num_rows:
        return Merged()
    insert(cursor, stored, records.partition, records.rows)
    note_records(cursor, records.table, max(records.rows.column(SEQUENCE_COLUMN).to_pylist()), records.until)
    return Merged(appended=records.rows.num_rows)


def insert(cursor: Cursor, stored: Partition, given: Partition, rows: "pa.RecordBatch") -> None:
    """Insert rows made for the partition `given` into the table of `stored`, which covers it."""
    columns = columns_of(stored)
    cursor.register("rows", rows)
    try:
        cursor.execute(
            f"INSERT INTO {quoted(stored.source)} ({', '.join(map(quoted, columns))}) SELECT {selections(given, stored, columns)} FROM rows"
        )
    finally:
        cursor.unregister("rows")
