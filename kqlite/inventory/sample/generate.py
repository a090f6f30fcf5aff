"""A seeded, realistic inventory of any size, as a stream of record batches or of documents.

Everything is made by columns with Arrow's own functions, in blocks of some thousand machines, straight in the physical form of each
partition. One type is one stream, so that it can be loaded by one INSERT; what two streams must agree on follows from keyed random columns
(`sample_columns.Draws`) and is not remembered. What is remembered is the fleets: some 40,000 small objects for a million machines.

Equal seeds and numbers of machines give equal bytes, and a larger inventory of one seed has the machines of a smaller one.

Read `sample_fleet` (who has what), `sample_machines`, `sample_attachments`, `sample_containers`, `sample_services` (the documents), then
`sample_rows` and `sample_columns` (how documents become batches).
"""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from functools import cached_property, partial
from pathlib import Path

import pyarrow as pa

from kqlite.directory.data_directory import MANIFEST, DataDirectory
from kqlite.errors import InventoryError
from kqlite.inventory.imports.in_memory import ENOUGH_ROWS, has_own_partition, incoming
from kqlite.inventory.sample import attachments, containers, services
from kqlite.inventory.sample.batches import BLOCK, Batches, Kind
from kqlite.inventory.sample.fleets import Fleet, fleets
from kqlite.inventory.shapes.batches import documents
from kqlite.inventory.shapes.change_batches import Incoming
from kqlite.inventory.shapes.documents import Value
from kqlite.inventory.store.store import Store
from kqlite.language.schema import Partition


class SamplePlan:
    """The sample inventory of `vms` virtual machines that follows from `seed`."""

    def __init__(self, vms: int, seed: int) -> None:
        self.vms, self.seed = vms, seed

    @cached_property
    def fleets(self) -> list[Fleet]:
        return list(fleets(self.vms, self.seed))

    @cached_property
    def kinds(self) -> list[Kind]:
        """The types that there are rows of, containers first."""
        kinds = (
            *containers.kinds(self.fleets, self.seed),
            *attachments.kinds(self.fleets, self.vms, self.seed),
            *services.kinds(self.fleets, self.seed),
        )
        return [kind for kind in kinds if kind.owners]

    def batches(self, kind: Kind) -> Iterator[pa.RecordBatch]:
        """All rows of one type in the physical schema of its partition."""
        build = Batches(kind).build
        return (build(rows) for rows in kind.blocks() if rows.count)

    def documents(self) -> Iterator[dict[str, Value]]:
        """Every row as a document, in the same order as `batches` of one kind after another."""
        for kind in self.kinds:
            yield from self.documents_of(kind)

    def documents_of(self, kind: Kind) -> Iterator[dict[str, Value]]:
        """Every row of one type as a document."""
        partition = kind.partition("")
        for batch in self.batches(kind):
            yield from documents(batch, partition)


_NEWEST = datetime(2026, 1, 1, tzinfo=UTC)
"""Later than everything in the inventory: the watermark, so that equal seeds give equal inventories."""

Progress = Callable[[int, int], None]


def write_sample(directory: Path, vms: int, seed: int, progress: Progress = lambda done, total: None) -> None:
    """Write the sample inventory into a new data directory, or into one without resources; when that fails, what was made for it goes.

    progress: as for `load_sample`. Raises InventoryError.
    """
    is_new = not (directory / MANIFEST).exists()
    held = DataDirectory.open_or_create(directory)
    try:
        store = Store.open(held)
        try:
            load_sample(store, vms, seed, progress)
        finally:
            store.close()
    except BaseException:
        if is_new:
            held.remove()
        raise


def load_sample(store: Store, vms: int, seed: int, progress: Progress = lambda done, total: None) -> None:
    """Put the sample inventory into an empty store, in one transaction.

    progress: called now and then with how many machines are done and how many there are.
    Raises InventoryError where the store has resources already.
    """
    with store.snapshot() as snapshot:
        if any(snapshot.catalog.resources.values()):
            raise InventoryError("there are resources already; a sample inventory is written into a new directory")
    progress(0, vms)
    plan = SamplePlan(vms, seed)
    store.load(_incoming(plan, progress), _NEWEST)


def _incoming(plan: SamplePlan, progress: Progress) -> Iterator[Incoming]:
    small = [kind for kind in plan.kinds if not has_own_partition(kind.type, _rows_up_to(kind, ENOUGH_ROWS), ENOUGH_ROWS)]
    large = [kind for kind in plan.kinds if kind not in small]
    report = _Report(plan, large, progress)
    for kind in large:
        batches = Batches(kind)
        yield Incoming(kind.table, kind.type, batches.shapes, frozenset({kind.type}), partial(_batches_of, kind, batches, report))
    yield from incoming(row for kind in small for row in plan.documents_of(kind))


def _rows_up_to(kind: Kind, most: int) -> int:
    """How many rows there are of a type, or `most` where there are more; no more of them are made than it takes."""
    rows = 0
    for block in kind.blocks():
        rows += block.count
        if rows >= most:
            return most
    return rows


def _batches_of(kind: Kind, batches: Batches, report: "_Report", partition: Partition) -> Iterator[pa.RecordBatch]:
    assert dict(partition.shapes) == batches.shapes
    for rows in kind.blocks():
        report.block(kind)
        if rows.count:
            yield batches.build(rows)


class _Report:
    """Turns blocks of the several streams into machines done."""

    def __init__(self, plan: SamplePlan, kinds: list[Kind], progress: Progress) -> None:
        self._vms, self._progress = plan.vms, progress
        self._blocks = sum(-(-kind.owners // BLOCK) for kind in kinds)
        self._done = 0

    def block(self, kind: Kind) -> None:
        self._done += 1
        self._progress(min(self._vms * self._done // self._blocks, self._vms), self._vms)
