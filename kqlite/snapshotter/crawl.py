"""The full crawl: every row that the store has against the last event that the log has of its resource.

Only sequence numbers are compared, and only the rows that differ are made anew: a row follows from its event, so equal numbers mean
equal rows.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, NamedTuple

from kqlite.inventory.shapes.batches import key_of
from kqlite.inventory.shapes.change_batches import Changes, changes_of
from kqlite.inventory.shapes.resource_tables import KEY_COLUMN, SEQUENCE_COLUMN
from kqlite.orchestration.log import EventLog
from kqlite.orchestration.model import Type
from kqlite.snapshotter import resource_health
from kqlite.snapshotter.resource_rows import Definitions, id_of, table_of

if TYPE_CHECKING:
    import pyarrow as pa

    from kqlite.inventory.store.store import Store

_CHUNK = 50_000


class Differences(NamedTuple):
    """What is wrong with a store.

    stale: the sequence numbers of the events whose rows are missing or older. gone: by table and type, the keys of rows of what does not
    exist any more, each with the number of the event that ended it.
    """

    stale: list[int]
    gone: Mapping[tuple[str, str], Mapping[str, int]]

    @property
    def rows(self) -> int:
        """How many rows they are."""
        return len(self.stale) + sum(map(len, self.gone.values()))

    def deletions(self) -> list[Changes]:
        """What deletes the rows that are gone."""
        return [changes_of(table, type_, (), (), keys) for (table, type_), keys in self.gone.items()]


def differences(log: EventLog, store: Store, offset: int, definitions: Definitions) -> Differences:
    """Where the store differs from the log as of this sequence number. What the log does not know, as imported rows, is left alone."""
    import pyarrow.compute as pc

    stale: set[int] = set()
    gone: dict[tuple[str, str], dict[str, int]] = {}
    for (table, type_), expected in _expected(log, offset, definitions).items():
        both = expected.join(store.sequences(table, type_), KEY_COLUMN, join_type="left outer")
        have, want, deleted = both[SEQUENCE_COLUMN], both["want"], both["deleted"]
        older = pc.less(pc.fill_null(have, -1), want)
        if type_ == resource_health.TYPE:
            # Its row is older than the last event of its machine, where that event says nothing of its health.
            older = pc.if_else(deleted, older, pc.is_null(have))
        stale.update(both.filter(pc.and_(pc.invert(deleted), older))["want"].to_pylist())
        left = both.filter(pc.and_(pc.and_(deleted, older), pc.is_valid(have)))
        if left.num_rows:
            gone[table, type_] = dict(zip(left[KEY_COLUMN].to_pylist(), left["want"].to_pylist(), strict=True))
    return Differences(sorted(stale), gone)


def _expected(log: EventLog, offset: int, definitions: Definitions) -> dict[tuple[str, str], pa.Table]:
    """By table and type, each key with the sequence number that its row should have, and whether it should have none."""
    import pyarrow as pa

    chunks: defaultdict[tuple[str, str], list[pa.Table]] = defaultdict(list)
    for type_, keys, versions in _chunks(log, offset, definitions):
        table = table_of(type_)
        assert table is not None
        chunk = pa.table({KEY_COLUMN: pa.array(keys, pa.string()), "version": pa.array(versions, pa.int64())})
        chunks[table, type_.lower()].append(chunk)
        if type_ == Type.VM:
            suffix = resource_health.SUFFIX.lower()
            chunk = pa.table({KEY_COLUMN: pa.array([key + suffix for key in keys], pa.string()), "version": chunk["version"]})
            chunks[resource_health.TABLE, resource_health.TYPE].append(chunk)
    return {rows: _newest(pa.concat_tables(parts)) for rows, parts in chunks.items()}


def _newest(versioned: pa.Table) -> pa.Table:
    """One row for each key: ids that differ in case alone are one resource."""
    import pyarrow.compute as pc

    newest = versioned.group_by(KEY_COLUMN).aggregate([("version", "max")])
    version = newest["version_max"]
    want = pc.shift_right(version, 1)
    return newest.select([KEY_COLUMN]).append_column("want", want).append_column("deleted", pc.equal(pc.bit_wise_and(version, 1), 1))


def _chunks(log: EventLog, offset: int, definitions: Definitions) -> Iterator[tuple[str, list[str], list[int]]]:
    """Type, keys, and of each key twice the sequence number of its last event, plus one where that was its deletion."""
    keys: defaultdict[str, list[str]] = defaultdict(list)
    versions: defaultdict[str, list[int]] = defaultdict(list)
    for type_, id_, sequence, deleted in log.newest(offset):
        if table_of(type_) is None:
            continue
        if type_ == Type.LOCK:
            # Its row has another id than its event, and there are few.
            [event] = log.at([sequence])
            id_ = id_of(event, definitions)
        keys[type_].append(key_of(id_))
        versions[type_].append(sequence * 2 + deleted)
        if len(keys[type_]) >= _CHUNK:
            yield type_, keys.pop(type_), versions.pop(type_)
    for type_ in list(keys):
        yield type_, keys[type_], versions[type_]
