"""Documents of any number into a store, in two passes, so that memory stays bounded and nothing is written before all is known to be right.

The first pass checks every document, widens the shape of its type, and writes its text into a spool. Then the rows of each type are sorted
by subscription, resource group and name, and the second pass reads them from the spool in that order and makes batches, a few ahead of
DuckDB, which inserts them meanwhile.
"""

import gc
import os
import threading
from array import array
from collections import Counter, defaultdict
from collections.abc import Callable, Container, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from queue import Full, Queue
from tempfile import TemporaryFile
from typing import IO, TYPE_CHECKING

from kqlite.inventory.batches import BatchBuilder, Drafts, Row, fault_of, key_of
from kqlite.inventory.documents import InventoryError, decode, decode_all
from kqlite.inventory.reading import Chunk
from kqlite.inventory.rows import BATCH_ROWS, has_own_partition
from kqlite.inventory.store import Incoming
from kqlite.inventory.tables import table_of
from kqlite.language.schema import Partition, Shape

if TYPE_CHECKING:
    import pyarrow as pa

_BATCHES_AHEAD = 3
_NAMES_AT_ONCE = 4_096
_BUILT_AT_ONCE = 120
"""Documents decoded and built at once: with more of them the processor's cache is too small, and either takes half as long again."""
_WIDENED_AT_ONCE = 100
_MOST_WAITING = 5_000
"""Rows of all types together that may wait until there are enough of one type to widen its shape by."""


class Intake:
    """Documents on their way in; `close` deletes the spool."""

    def __init__(self, scratch: Path | None) -> None:
        """scratch: where the spool lies; None for the system's own place."""
        self._spool: IO[bytes] = TemporaryFile(dir=scratch)  # noqa: SIM115  `close` closes it
        self._length = 0
        self._types: dict[str, _TypeIntake] = {}
        self._waiting = 0
        self.count = 0

    def close(self) -> None:
        self._spool.close()

    def add(self, chunk: Chunk) -> None:
        """Take in some documents. Raises InventoryError naming file, place and reason."""
        by_type: dict[str, list[int]] = defaultdict(list)
        for index, row in enumerate(chunk.values):
            fault = fault_of(row)
            if fault is not None:
                raise chunk.fault(index, fault)
            by_type[row["type"]].append(index)
        texts = [text.encode("utf-8") for text in chunk.texts]
        with _room_is_told():
            self._spool.write(b"".join(texts))
        offsets = array("Q", [self._length])
        for text in texts:
            offsets.append(offsets[-1] + len(text))
        self._length = offsets.pop()
        for type_, indices in by_type.items():
            folded = type_.lower()
            intake = self._types.get(folded) or self._types.setdefault(folded, _TypeIntake(folded))
            intake.spellings.add(type_)
            intake.add([chunk.values[index] for index in indices], [chunk.texts[index] for index in indices])
            intake.place([offsets[index] for index in indices], [len(texts[index]) for index in indices])
        self.count += len(texts)
        self._waiting += len(texts)
        if self._waiting > _MOST_WAITING:
            self._widen_all()

    def _widen_all(self) -> None:
        for intake in self._types.values():
            intake.widen()
        self._waiting = 0

    def incoming(self, enough_rows: int, shaped_types: Container[str], report: Callable[[int], None]) -> list[Incoming]:
        """What came, by partition; of two rows with one id in one table the last is kept.

        enough_rows: how many rows of a type make a partition of its own. shaped_types: those that have one already.
        report: called with how many rows have gone into batches.
        """
        with _room_is_told():
            self._spool.flush()
        self._widen_all()
        by_table: dict[str, list[_TypeIntake]] = defaultdict(list)
        for folded in sorted(self._types):
            by_table[table_of(folded)].append(self._types[folded])
        second_pass = _SecondPass(self._spool, report)
        ready = []
        for table, intakes in by_table.items():
            dropped = self._superseded(intakes)
            own = [intake for intake in intakes if has_own_partition(intake.type, intake.count, enough_rows, shaped_types)]
            shared = [intake for intake in intakes if intake not in own]
            for intake in own:
                shapes = intake.drafts.shapes(intake.type)
                ready.append(Incoming(table, intake.type, shapes, frozenset(intake.spellings), second_pass.of([intake], dropped)))
            if shared:
                ready.append(Incoming(table, None, _json_shapes(shared), _spellings(shared), second_pass.of(shared, dropped)))
        return ready

    def _superseded(self, intakes: Sequence["_TypeIntake"]) -> set[int]:
        """The offsets of rows after which another of the same id came."""
        hashes = [intake.hash_array() for intake in intakes]
        if sum(map(len, hashes)) == _distinct(hashes):
            return set()
        repeated = {value for value, times in Counter(value for hash_ in hashes for value in hash_.to_pylist()).items() if times > 1}
        newest: dict[str, int] = {}
        dropped = set()
        for offset, length in sorted(place for intake in intakes for place in intake.places_of(repeated)):
            key = key_of(decode(_text(self._spool, offset, length))["id"])
            if key in newest:
                dropped.add(newest[key])
            newest[key] = offset
        return dropped


@contextmanager
def _room_is_told() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise InventoryError(f"no room for the documents while they are read: {error.strerror}") from None


def _distinct(hashes: "Sequence[pa.Array]") -> int:
    import pyarrow as pa

    return len(pa.chunked_array(hashes).unique())


def _json_shapes(intakes: Iterable["_TypeIntake"]) -> dict[str, Shape]:
    shapes: dict[str, Shape] = {}
    for intake in intakes:
        shapes |= intake.drafts.json_shapes()
    return shapes


def _spellings(intakes: Iterable["_TypeIntake"]) -> frozenset[str]:
    return frozenset(spelling for intake in intakes for spelling in intake.spellings)


def _text(spool: IO[bytes], offset: int, length: int) -> str:
    return os.pread(spool.fileno(), length, offset).decode("utf-8")


class _TypeIntake:
    """The rows of one type: their shape, and for each where it lies in the spool and what it is sorted by."""

    def __init__(self, folded: str) -> None:
        self.type = folded
        self.spellings: set[str] = set()
        self.drafts = Drafts()
        self._offsets, self._lengths = array("Q"), array("L")
        self._hashes, self._groups = array("q"), array("l")
        self._plain: list[Row] = []
        self._other: list[Row] = []
        self._group_codes: dict[tuple[str, str], int] = {}
        self._names: list[str] = []
        self._packed_names: list[pa.Array] = []

    @property
    def count(self) -> int:
        return len(self._offsets)

    def add(self, rows: Sequence[Row], texts: Sequence[str]) -> None:
        """Take in some rows. texts: of each; in one without a backslash every string stands as it is, and none needs to be looked at."""
        self._plain += [row for row, text in zip(rows, texts, strict=True) if "\\" not in text]
        self._other += [row for row, text in zip(rows, texts, strict=True) if "\\" in text]
        if len(self._plain) + len(self._other) >= _WIDENED_AT_ONCE:
            self.widen()
        codes = self._group_codes
        self._groups.extend(codes.setdefault((row.get("subscriptionId") or "", row.get("resourceGroup") or ""), len(codes)) for row in rows)
        self._hashes.extend(hash(key_of(row["id"])) for row in rows)
        self._names += [row.get("name") or "" for row in rows]
        if len(self._names) >= _NAMES_AT_ONCE:
            self._pack_names()

    def widen(self) -> None:
        """Widen the shape by the rows that wait for it; many at once, because it costs the same for a few."""
        self.drafts.widen(self._plain, plain=True)
        self.drafts.widen(self._other)
        self._plain, self._other = [], []

    def place(self, offsets: Sequence[int], lengths: Sequence[int]) -> None:
        """Where the rows just added lie in the spool."""
        self._offsets.extend(offsets)
        self._lengths.extend(lengths)

    def _pack_names(self) -> None:
        import pyarrow as pa

        self._packed_names.append(pa.array(self._names, pa.string()))
        self._names = []

    def hash_array(self) -> "pa.Array":
        """A hash of each row's key."""
        return _arrow(self._hashes)

    def places_of(self, hashes: set[int]) -> Iterator[tuple[int, int]]:
        """Offset and length of the rows whose key has one of these hashes."""
        return ((self._offsets[index], self._lengths[index]) for index, value in enumerate(self._hashes) if value in hashes)

    def sorted_places(self) -> Iterator[list[tuple[int, int]]]:
        """Offsets and lengths by subscription, group and name, some thousand at once."""
        import pyarrow as pa
        import pyarrow.compute as pc

        self._pack_names()
        ranks = {code: rank for rank, (_, code) in enumerate(sorted(self._group_codes.items()))}
        rank_of_code = pa.array([ranks[code] for code in range(len(ranks))], pa.int64())
        rows = pa.table({"group": rank_of_code.take(_arrow(self._groups)), "name": pa.chunked_array(self._packed_names)})
        order = pc.sort_indices(rows, [("group", "ascending"), ("name", "ascending")])
        offsets, lengths = _arrow(self._offsets), _arrow(self._lengths)
        for start in range(0, len(order), BATCH_ROWS):
            part = order.slice(start, BATCH_ROWS)
            yield list(zip(offsets.take(part).to_pylist(), lengths.take(part).to_pylist(), strict=True))


def _arrow(numbers: "array[int]") -> "pa.Array":
    """The numbers without a copy."""
    import pyarrow as pa

    types = {"Q": pa.uint64(), "L": pa.uint64() if numbers.itemsize == 8 else pa.uint32(), "q": pa.int64(), "l": pa.int64()}
    return pa.Array.from_buffers(types[numbers.typecode], len(numbers), [None, pa.py_buffer(numbers)])


class _SecondPass:
    """From the spool to batches."""

    def __init__(self, spool: IO[bytes], report: Callable[[int], None]) -> None:
        self._spool, self._report = spool, report
        self._done = 0

    def of(self, intakes: Sequence[_TypeIntake], dropped: set[int]) -> "Callable[[Partition], Iterator[pa.RecordBatch]]":
        """What gives the batches of these types in one partition; `dropped` are offsets left out."""
        return lambda partition: ahead(self._batches(intakes, dropped, partition))

    def _batches(self, intakes: Sequence[_TypeIntake], dropped: set[int], partition: Partition) -> "Iterator[pa.RecordBatch]":
        import pyarrow as pa

        builder = BatchBuilder(partition)
        for intake in intakes:
            for places in intake.sorted_places():
                texts = [_text(self._spool, offset, length) for offset, length in places if offset not in dropped]
                parts = (texts[start : start + _BUILT_AT_ONCE] for start in range(0, len(texts), _BUILT_AT_ONCE))
                batches = [builder.build(decode_all(part)) for part in parts]
                if batches:
                    yield pa.concat_batches(batches)
                self._done += len(places)
                self._report(self._done)


def ahead(items: "Iterator[pa.RecordBatch]") -> "Iterator[pa.RecordBatch]":
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


@contextmanager
def without_garbage_collection() -> Iterator[None]:
    """Look for no cycles: documents have none, and to look at all of them costs a tenth of an import."""
    before = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if before:
            gc.enable()
