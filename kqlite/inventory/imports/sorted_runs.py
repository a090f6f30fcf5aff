"""The first pass of a large import, an external merge sort: documents become Arrow and go to a spill file as sorted runs.

A run has rows of one resource type, sorted by subscription, resource group and name. It lies in the spill file as record batches of
`ROWS_PER_BATCH` rows, so that `run_merge` can read many runs side by side. Each worker process has its own spill file. The size of the
documents bounds how much of them waits in memory. `RunWriter.finish` returns all that the second pass needs. It can be pickled, so a worker
process can send it to another process.

An example with batches of two rows. Two worker processes each read four machines of one subscription:

| process | machines read, by group/name | run, as batches in its spill file |
|---|---|---|
| 1 | b/m4, a/m1, b/m2, a/m9 | [a/m1, a/m9] [b/m2, b/m4] |
| 2 | a/m3, b/m1, a/m5, b/m7 | [a/m3, a/m5] [b/m1, b/m7] |

`run_merge` goes on from here.
"""

import zlib
from array import array
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from kqlite.inventory.imports.file_formats import Chunk
from kqlite.inventory.imports.spill_file import BatchLocation, SpillWriter
from kqlite.inventory.shapes.batches import DYNAMICS, OTHER_COLUMN, STRINGS, Drafts, first_fault, key_of, other_members
from kqlite.inventory.shapes.columns import columns_of_objects
from kqlite.inventory.shapes.documents import Value
from kqlite.inventory.shapes.incremental import IncrementalBuilder, fitted
from kqlite.inventory.shapes.resource_tables import KEY_COLUMN

if TYPE_CHECKING:
    import pyarrow as pa

ROWS_PER_BATCH = 256
"""Rows of a batch in the spill: the second pass holds one batch of every run."""

_GROWN_AT_ONCE = 120
"""Rows of one type that become Arrow at once: enough for loops over one path of all, few enough to stay in the processor's cache."""

_MOST_WAITING = 5_000
"""Rows of all types together that may wait until there are enough of one type."""

_MOST_BYTES = 48 << 20
"""Documents of so many bytes together are held as Arrow, which is about as large, before the larger half of them goes into the spill."""

_FILE_BITS = 40


def order_of(file: int, place: int) -> int:
    """A number that is greater for what comes later. file: how many files there are before; place: the line or row in it."""
    return file << _FILE_BITS | place


@dataclass
class Run:
    """Sorted rows of one type in the spill: the batches, `ROWS_PER_BATCH` rows in each but the last, and by row what the second pass asks.

    hashes: of the keys. orders: as `order_of` gives them. groups: index into `TypeRuns.groups`.
    """

    schema: "pa.Schema"
    locations: list[BatchLocation]
    names: "pa.Array"
    groups: "pa.Array"
    hashes: "pa.Array"
    orders: "pa.Array"


@dataclass
class TypeRuns:
    """What came of one type. groups: subscription and resource group. others: members that are no columns."""

    type: str
    spill: Path
    spellings: set[str] = field(default_factory=set)
    drafts: Drafts = field(default_factory=Drafts)
    groups: list[tuple[str, str]] = field(default_factory=list)
    others: set[str] = field(default_factory=set)
    runs: list[Run] = field(default_factory=list)


class RunWriter:
    """Documents on their way in."""

    def __init__(self, spill: Path) -> None:
        """spill: a file to be made."""
        self._spill = SpillWriter(spill)
        self._types: dict[str, _TypeRunWriter] = {}
        self._waiting = 0
        self._bytes = 0

    def add(self, chunk: Chunk, file: int) -> None:
        """Take in some documents of a file. Raises InventoryError naming file, place and reason."""
        fault = first_fault(chunk.values)
        if fault is not None:
            raise chunk.fault(*fault)
        by_type: dict[str, list[int]] = defaultdict(list)
        values = chunk.values
        for index, row in enumerate(values):
            by_type[row["type"]].append(index)
        bytes_each = chunk.size // len(values)
        for type_, indices in by_type.items():
            folded = type_.lower()
            writer = self._types.get(folded) or self._types.setdefault(folded, _TypeRunWriter(folded, self._spill))
            writer.taken.spellings.add(type_)
            writer.bytes += bytes_each * len(indices)
            for index in indices:
                writer.add(values[index], order_of(file, chunk.places[index]), chunk.plain[index])
        self._waiting += len(values)
        self._bytes += chunk.size
        if self._waiting > _MOST_WAITING:
            for writer in self._types.values():
                writer.grow()
            self._waiting = 0
        if self._bytes > _MOST_BYTES:
            self._make_room()

    def _make_room(self) -> None:
        for writer in sorted(self._types.values(), key=lambda writer: -writer.bytes):
            writer.flush()
            self._bytes = sum(writer.bytes for writer in self._types.values())
            if self._bytes < _MOST_BYTES // 2:
                break

    def finish(self) -> list[TypeRuns]:
        """What came, by type, all of it in the spill now. Raises InventoryError where there is no room."""
        for writer in self._types.values():
            writer.flush()
        self._spill.close()
        return [writer.taken for writer in self._types.values()]

    def close(self) -> None:
        self._spill.close()


class _TypeRunWriter:
    """The rows of one type."""

    def __init__(self, folded: str, spill: SpillWriter) -> None:
        self.taken = TypeRuns(folded, spill.path)
        self.bytes = 0
        self._spill = spill
        self._growths = {name: IncrementalBuilder(draft) for name, draft in self.taken.drafts.columns.items()}
        # By whether no string in them has a character that JSON must escape.
        self._waiting: dict[bool, tuple[list[dict[str, Value]], list[int]]] = {True: ([], []), False: ([], [])}
        self._codes: dict[tuple[str, str], int] = {}
        self._parts: list[dict[str, pa.Array]] = []
        self._hashes, self._orders, self._groups = array("q"), array("q"), array("q")

    def add(self, row: dict[str, Value], order: int, plain: bool) -> None:
        rows, orders = self._waiting[plain]
        rows.append(row)
        orders.append(order)
        if len(rows) >= _GROWN_AT_ONCE:
            self._grow(rows, orders, plain)

    def grow(self) -> None:
        """Make Arrow of the rows that wait; many at once, because it costs the same for a few."""
        for plain, (rows, orders) in self._waiting.items():
            if rows:
                self._grow(rows, orders, plain)

    def _grow(self, rows: list[dict[str, Value]], orders: list[int], plain: bool) -> None:
        import pyarrow as pa

        columns = columns_of_objects(rows)
        part = {name: _strings(columns.get(name), len(rows)) for name in STRINGS}
        keys = [key_of(identifier) for identifier in columns["id"]]
        part[KEY_COLUMN] = pa.array(keys, pa.string())
        for name in DYNAMICS:
            if name in columns:
                part[name] = self._growths[name].grow(columns[name], plain)
        if not self._growths.keys() >= columns.keys() - set(STRINGS):
            self.taken.drafts.has_other = True
            self.taken.others |= columns.keys() - set(STRINGS) - set(DYNAMICS)
            if OTHER_COLUMN not in self._growths:
                self._growths[OTHER_COLUMN] = IncrementalBuilder(self.taken.drafts.other)
            part[OTHER_COLUMN] = self._growths[OTHER_COLUMN].grow([other_members(row) for row in rows])
        self._parts.append(part)
        nothing = ("",) * len(rows)
        codes = self._codes
        places = zip(columns.get("subscriptionId", nothing), columns.get("resourceGroup", nothing), strict=True)
        self._groups.extend([codes.setdefault((subscription or "", group or ""), len(codes)) for subscription, group in places])
        self._hashes.extend(map(_hash, keys))
        self._orders.extend(orders)
        rows.clear()
        orders.clear()

    def flush(self) -> None:
        """Put what there is into the spill, as a run."""
        import pyarrow as pa
        import pyarrow.compute as pc

        self.grow()
        self.bytes = 0
        if not self._parts:
            return
        rows = pa.concat_batches(self._fitted_parts())
        self._parts = []
        ranks = pa.array(ranks_of(list(self._codes)), pa.int64())
        groups = _arrow(self._groups)
        keys = pa.table({"group": ranks.take(groups), "name": rows.column("name")})
        order = pc.sort_indices(keys, [("group", "ascending"), ("name", "ascending")])
        rows = rows.take(order)
        places = [self._spill.write(rows.slice(start, ROWS_PER_BATCH)) for start in range(0, rows.num_rows, ROWS_PER_BATCH)]
        hashes, orders = _arrow(self._hashes).take(order), _arrow(self._orders).take(order)
        self.taken.groups = list(self._codes)
        self.taken.runs.append(Run(rows.schema, places, rows.column("name"), groups.take(order), hashes, orders))
        self._hashes, self._orders, self._groups = array("q"), array("q"), array("q")

    def _fitted_parts(self) -> "Iterator[pa.RecordBatch]":
        """The parts with equal schemas."""
        import pyarrow as pa

        types = {KEY_COLUMN: pa.string()} | dict.fromkeys(STRINGS, pa.string())
        types |= {name: growth.type for name, growth in self._growths.items() if not growth.type.equals(pa.null())}
        schema = pa.schema(list(types.items()))
        for part in self._parts:
            rows = len(part[KEY_COLUMN])
            arrays = [fitted(part[name], type_) if name in part else pa.nulls(rows, type_) for name, type_ in types.items()]
            yield pa.RecordBatch.from_arrays(arrays, schema=schema)


def _strings(values: "Sequence[str | None] | None", rows: int) -> "pa.Array":
    import pyarrow as pa

    if values is None:
        return pa.repeat("", rows)
    return pa.array([value or "" for value in values], pa.string())


def _hash(key: str) -> int:
    """A hash which is the same in all processes."""
    encoded = key.encode()
    return zlib.crc32(encoded) << 31 ^ zlib.adler32(encoded)


def ranks_of(groups: Sequence[tuple[str, str]]) -> list[int]:
    """The place of each among all of them, sorted."""
    ranks = [0] * len(groups)
    for rank, code in enumerate(sorted(range(len(groups)), key=groups.__getitem__)):
        ranks[code] = rank
    return ranks


def _arrow(numbers: "array[int]") -> "pa.Array":
    """The numbers without a copy."""
    import pyarrow as pa

    return pa.Array.from_buffers(pa.int64(), len(numbers), [None, pa.py_buffer(numbers)])
