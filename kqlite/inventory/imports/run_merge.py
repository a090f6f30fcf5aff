"""The second pass of a large import: merges the sorted runs of all worker processes into batches of partitions, in order.

Memory holds one spill batch of each run, and for each row its group, name, key hash and order. From these the order of all rows is known
before a document is read, so each run is read once from its start to its end. The example of `sorted_runs`, merged two rows at a time:

| output batch | from run 1 | from run 2 | spill batches in memory |
|---|---|---|---|
| a/m1, a/m3 | a/m1 | a/m3 | [a/m1, a/m9], [a/m3, a/m5] |
| a/m5, a/m9 | a/m9 | a/m5 | [a/m1, a/m9], [a/m3, a/m5] |
| b/m1, b/m2 | b/m2 | b/m1 | [b/m2, b/m4], [b/m1, b/m7] |
| b/m4, b/m7 | b/m4 | b/m7 | [b/m2, b/m4], [b/m1, b/m7] |

Where two rows have one id, the row that comes later in the files is kept and the other is dropped from the output. Equal hashes find the
candidates, and only their keys are read from the spill files.
"""

import threading
from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Callable, Container, Generator, Iterable, Iterator, Sequence
from functools import cached_property
from itertools import accumulate
from pathlib import Path
from queue import Full, Queue
from typing import TYPE_CHECKING

from kqlite.inventory.imports.in_memory import BATCH_ROWS
from kqlite.inventory.imports.sorted_runs import ROWS_PER_BATCH, Run, TypeRuns
from kqlite.inventory.imports.spill_file import SpillReader
from kqlite.inventory.shapes.batches import STRINGS, BatchBuilder, Drafts
from kqlite.inventory.shapes.change_batches import Incoming
from kqlite.inventory.shapes.incremental import Finish, fitted
from kqlite.inventory.shapes.resource_tables import KEY_COLUMN, SEQUENCE_COLUMN, table_of
from kqlite.inventory.store.partitioning import has_own_partition
from kqlite.language.schema import Partition

if TYPE_CHECKING:
    import pyarrow as pa

_BATCHES_AHEAD = 3


class RunMerge:
    """All that came, by type; `close` lets go of the spills."""

    def __init__(self, taken: Iterable[TypeRuns], report: Callable[[int], None]) -> None:
        """taken: of every process. report: called with how many rows have gone into batches."""
        self._readers: dict[Path, SpillReader] = {}
        parts: dict[str, list[TypeRuns]] = defaultdict(list)
        for one in taken:
            parts[one.type].append(one)
        self._types = [_Type(folded, parts[folded], self._reader) for folded in sorted(parts)]
        self._report = report
        self._done = 0

    def _reader(self, spill: Path) -> SpillReader:
        return self._readers.get(spill) or self._readers.setdefault(spill, SpillReader(spill))

    def close(self) -> None:
        for reader in self._readers.values():
            reader.close()

    @property
    def count(self) -> int:
        """How many documents came."""
        return sum(type_.count for type_ in self._types)

    @property
    def superseded(self) -> int:
        """How many documents a later one of their id replaces, once `incoming` has been called."""
        return sum(len(type_.dropped) for type_ in self._types)

    @property
    def others(self) -> set[str]:
        """The members of documents that are no columns."""
        return {name for type_ in self._types for name in type_.others}

    def incoming(self, enough_rows: int, shaped_types: Container[str]) -> list[Incoming]:
        """What came, by partition; of two rows with one id in one table the last is kept.

        enough_rows: how many rows of a type make a partition of its own. shaped_types: those that have one already.
        """
        by_table: dict[str, list[_Type]] = defaultdict(list)
        for type_ in self._types:
            by_table[table_of(type_.folded)].append(type_)
        ready = []
        for table, types in by_table.items():
            _drop_superseded(types)
            own = [type_ for type_ in types if has_own_partition(type_.folded, type_.count, enough_rows, shaped_types)]
            shared = [type_ for type_ in types if type_ not in own]
            for type_ in own:
                shapes = type_.drafts.shapes(type_.folded)
                ready.append(Incoming(table, type_.folded, shapes, frozenset(type_.spellings), self._batches_of([type_])))
            if shared:
                spellings = frozenset(spelling for type_ in shared for spelling in type_.spellings)
                drafts = Drafts()
                for type_ in shared:
                    drafts.cover(type_.drafts)
                ready.append(Incoming(table, None, drafts.json_shapes(), spellings, self._batches_of(shared)))
        return ready

    def _batches_of(self, types: "Sequence[_Type]") -> "Callable[[Partition], Iterator[pa.RecordBatch]]":
        """What gives the batches of these types in one partition."""
        return lambda partition: ahead(self._batches(types, partition))

    def _batches(self, types: "Sequence[_Type]", partition: Partition) -> "Iterator[pa.RecordBatch]":
        finished = _BatchFinisher(partition)
        for type_ in types:
            for rows in type_.batches(finished.schema):
                yield finished.batch(rows)
                self._done += rows.num_rows
                self._report(self._done)


class _BatchFinisher:
    """Makes batches of one partition of rows as they lie in a spill file.

    schema: that of the rows.
    """

    def __init__(self, partition: Partition) -> None:
        import pyarrow as pa

        self._strings = [name for name in STRINGS if name in partition.columns]
        self._finishes = {name: Finish(name, shape) for name, shape in partition.shapes.items()}
        self._schema = BatchBuilder(partition).schema
        types = dict.fromkeys((KEY_COLUMN, *self._strings), pa.string()) | {name: finish.type for name, finish in self._finishes.items()}
        self.schema = pa.schema(list(types.items()))

    def batch(self, rows: "pa.RecordBatch") -> "pa.RecordBatch":
        import pyarrow as pa

        arrays = dict(zip(self.schema.names, rows.columns, strict=True))
        arrays[SEQUENCE_COLUMN] = pa.repeat(pa.scalar(0, pa.int64()), rows.num_rows)
        for name, finish in self._finishes.items():
            arrays |= finish(arrays[name])
        return pa.RecordBatch.from_arrays([arrays[name] for name in self._schema.names], schema=self._schema)


class _Type:
    """The rows of one type, numbered from run to run."""

    def __init__(self, folded: str, taken: Sequence[TypeRuns], reader: Callable[[Path], SpillReader]) -> None:
        self.folded = folded
        self.spellings = {spelling for one in taken for spelling in one.spellings}
        self.others = {name for one in taken for name in one.others}
        self.drafts = Drafts()
        for one in taken:
            self.drafts.cover(one.drafts)
        self.dropped: set[int] = set()
        self._runs = [(run, one, reader) for one in taken for run in one.runs]
        self._starts = [0, *accumulate(len(run.names) for run, _, _ in self._runs)]

    @property
    def count(self) -> int:
        return self._starts[-1]

    @cached_property
    def hashes(self) -> "pa.ChunkedArray":
        import pyarrow as pa

        return pa.chunked_array([run.hashes for run, _, _ in self._runs], pa.int64())

    def keys_of(self, hashes: set[int]) -> Iterator[tuple[int, str, int]]:
        """Order, key and number of the rows whose key has one of these hashes."""
        for (run, one, reader), start in zip(self._runs, self._starts, strict=False):
            found = [index for index, value in enumerate(run.hashes.to_pylist()) if value in hashes]
            if found:
                rows = _Rows(run, reader(one.spill), run.schema)
                orders = run.orders.to_pylist()
                keys = rows.strings(KEY_COLUMN, found)
                yield from ((orders[index], key, start + index) for index, key in zip(found, keys, strict=True))

    def _order(self) -> "pa.Array":
        """The numbers of the rows in the order of subscription, group and name."""
        import pyarrow as pa
        import pyarrow.compute as pc

        if len(self._runs) == 1:
            return pa.array(range(self.count), pa.uint64())
        groups = sorted({group for _, one, _ in self._runs for group in one.groups})
        rank_of = {group: rank for rank, group in enumerate(groups)}
        ranks = [pa.array([rank_of[group] for group in one.groups], pa.int64()).take(run.groups) for run, one, _ in self._runs]
        rows = pa.table({"group": pa.chunked_array(ranks), "name": pa.chunked_array([run.names for run, _, _ in self._runs])})
        # Rows with equal keys stay in the order of their runs: each run is read once, from its start to its end.
        return pc.sort_indices(rows, [("group", "ascending"), ("name", "ascending")])

    def batches(self, schema: "pa.Schema") -> "Iterator[pa.RecordBatch]":
        """The rows that were not dropped, sorted, in batches of this schema, whose types cover those of the runs."""
        import pyarrow as pa

        runs = [_Rows(run, reader(one.spill), schema) for run, one, reader in self._runs]
        starts, dropped, order = self._starts, self.dropped, self._order()
        read = starts[:-1]  # the number of the next row of each run
        for first in range(0, len(order), BATCH_ROWS):
            numbers = order.slice(first, BATCH_ROWS).to_pylist()
            run_of = [bisect_right(starts, number) - 1 for number in numbers] if len(runs) > 1 else [0] * len(numbers)
            parts: list[pa.RecordBatch] = []
            shifts: dict[int, int] = {}
            rows = 0
            for run, count in sorted(Counter(run_of).items()):
                parts += runs[run].next(count)
                shifts[run] = rows - read[run]
                read[run] += count
                rows += count
            indices = [number + shifts[run] for number, run in zip(numbers, run_of, strict=True) if number not in dropped]
            if indices:
                yield pa.concat_batches(parts).take(pa.array(indices, pa.int64()))


class _Rows:
    """The rows of a run, one batch in memory at a time, in a wider schema."""

    def __init__(self, run: Run, reader: SpillReader, schema: "pa.Schema") -> None:
        self._run, self._reader, self._schema = run, reader, schema
        self._places = iter(run.locations)
        self._batch: pa.RecordBatch | None = None
        self._at = 0

    def next(self, count: int) -> "list[pa.RecordBatch]":
        """The next rows."""
        parts = []
        while count:
            if self._batch is None or self._at == self._batch.num_rows:
                self._batch, self._at = self._fitted(self._reader.read(next(self._places), self._run.schema)), 0
            part = self._batch.slice(self._at, count)
            parts.append(part)
            self._at += part.num_rows
            count -= part.num_rows
        return parts

    def _fitted(self, batch: "pa.RecordBatch") -> "pa.RecordBatch":
        import pyarrow as pa

        if batch.schema.equals(self._schema):
            return batch
        given = dict(zip(batch.schema.names, batch.columns, strict=True))
        arrays = [
            fitted(given[field.name], field.type) if field.name in given else pa.nulls(batch.num_rows, field.type) for field in self._schema
        ]
        return pa.RecordBatch.from_arrays(arrays, schema=self._schema)

    def strings(self, column: str, indices: Sequence[int]) -> Iterator[str]:
        """The strings of a column in the rows of these indices, which ascend."""
        place, values = -1, []
        for index in indices:
            if index // ROWS_PER_BATCH != place:
                place = index // ROWS_PER_BATCH
                values = self._reader.read(self._run.locations[place], self._run.schema).column(column).to_pylist()
            yield values[index % ROWS_PER_BATCH]


def _drop_superseded(types: Sequence[_Type]) -> None:
    """Drop the rows after which another of the same id came."""
    import pyarrow as pa

    hashes = pa.chunked_array([chunk for type_ in types for chunk in type_.hashes.chunks], pa.int64())
    if len(hashes) == len(hashes.unique()):
        return
    repeated = {value for value, times in Counter(hashes.to_pylist()).items() if times > 1}
    found = [(order, key, number, type_) for type_ in types for order, key, number in type_.keys_of(repeated)]
    newest: dict[str, tuple[int, _Type]] = {}
    for _, key, number, type_ in sorted(found, key=lambda row: row[0]):
        if key in newest:
            before, its_type = newest[key]
            its_type.dropped.add(before)
        newest[key] = number, type_


def ahead(items: "Iterator[pa.RecordBatch]") -> "Generator[pa.RecordBatch]":
    """The items, made by a thread of its own a few ahead of whoever takes them."""
    queue: Queue[pa.RecordBatch | BaseException | None] = Queue(_BATCHES_AHEAD)
    stopped = threading.Event()

    def put(item: "pa.RecordBatch | BaseException | None") -> None:
        while not stopped.is_set():
            try:
                return queue.put(item, timeout=0.1)
            except Full:
                continue

    def make() -> None:
        try:
            for item in items:
                put(item)
                if stopped.is_set():
                    return
            put(None)
        except BaseException as error:  # whoever takes the items raises it
            put(error)

    maker = threading.Thread(target=make, daemon=True)
    maker.start()
    try:
        while (item := queue.get()) is not None:
            if isinstance(item, BaseException):
                raise item
            yield item
    finally:
        stopped.set()
        maker.join()
