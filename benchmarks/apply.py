"""What a store bears that is fed with changes, and what its readers notice.

    python benchmarks/apply.py [--vms N] [--seed S] [--batch B] [--seconds T] [--paces P ..] [--changes C] [--only PART] [--data DIR]

Copies a seeded inventory of N machines, which is made unless it is there from an earlier run, and applies batches of changes to it through
`Store.apply`, with checkpoints and clustering as they fall due. Of a hundred changes 59 are power transitions (what the guest reports comes
and goes with them), 40 are provisioning transitions, half a machine is created and half a machine deleted; machines are drawn at random,
which is the worst case for a table in order. Transitions come as hot leaves, machines as whole rows, both built by columns between batches;
how long that takes is said beside.

PART is one of
  sustained   changes as fast as they go in, B at a time, for T seconds
  latency     the questions of `questions.py` while nothing is written, and under P changes/s, one batch each second, for T seconds each
  churn       C changes as fast as they go in: blocks used before and after, and the questions right after clustering
"""

import argparse
import os
import shutil
import sys
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from statistics import median, quantiles

import duckdb
import pyarrow as pa
import pyarrow.compute as pc
from queries import DATA, inventory
from questions import MACHINES, QUESTIONS

from kqlite.access.local import LocalAccess
from kqlite.connection import Connection
from kqlite.directory.data_directory import DataDirectory
from kqlite.inventory.shapes.change_batches import Changes
from kqlite.inventory.shapes.resource_tables import KEY_COLUMN, SEQUENCE_COLUMN
from kqlite.inventory.shapes.shapes import hot_column, separate_members
from kqlite.inventory.store.maintenance import Upkeep
from kqlite.inventory.store.store import Store

MACHINE = "microsoft.compute/virtualmachines"
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
QUIET_RUNS = 9
MODELS = 20_000
"""New machines are copies of so many."""

_POWER = "properties.extended.instanceView.powerState"
_REPORTED = ("computerName", "osName", "osVersion")
_STATES = (("PowerState/running", "VM running"), ("PowerState/stopped", "VM stopped"), ("PowerState/deallocated", "VM deallocated"))


def main() -> None:
    arguments = _arguments()
    directory = inventory(arguments.data, arguments.vms, arguments.seed)
    print(
        f"{arguments.vms:,} machines, seed {arguments.seed}, {arguments.batch:,} changes a batch, DuckDB {duckdb.__version__}, "
        f"pyarrow {pa.__version__}, load {os.getloadavg()[0]:.1f} on {os.cpu_count()} processors\n"
    )
    parts = {
        "sustained": lambda store, fleet: sustained(store, fleet, arguments.batch, arguments.seconds),
        "latency": lambda store, fleet: latency(store, fleet, arguments.paces, arguments.seconds),
        "churn": lambda store, fleet: churn(store, fleet, arguments.batch, arguments.changes),
    }
    for name, part in parts.items():
        if arguments.only in (None, name):
            with copied(directory) as store:
                part(store, Fleet(store, arguments.seed))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--vms", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--batch", type=int, default=20_000)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--paces", type=int, nargs="+", default=[10_000, 40_000], metavar="P")
    parser.add_argument("--changes", type=int, default=36_000_000, help="as many as an hour brings at 10,000 a second (default)")
    parser.add_argument("--only", choices=("sustained", "latency", "churn"))
    parser.add_argument("--data", type=Path, default=DATA)
    return parser.parse_args()


@contextmanager
def copied(directory: Path) -> Iterator[Store]:
    """A store on a copy of the directory, fed as from a log."""
    with tempfile.TemporaryDirectory(dir=directory.parent) as folder:
        copy = Path(folder) / "inventory"
        shutil.copytree(directory, copy)
        with closing(Store.open(DataDirectory.open(copy, writable=True), fed=True, time_limit=timedelta(seconds=60))) as store:
            yield store


# Changes


class Fleet:
    """Makes batches of changes to the machines of a store."""

    def __init__(self, store: Store, seed: int) -> None:
        with store.snapshot() as snapshot:
            part = snapshot.catalog.partition("resources", MACHINES)
            assert part is not None
            self._part = part
            held = [leaf.held_in for shape in part.shapes.values() for _, leaf in separate_members(shape) if leaf.held_in is not None]
            columns = ", ".join(f'"{name}"' for name in (KEY_COLUMN, SEQUENCE_COLUMN, *held))
            self._leaves = snapshot.run(f'SELECT {columns} FROM "{MACHINES}"').combine_chunks().to_batches()[0]
            rows = snapshot.run(f'SELECT * FROM "{MACHINES}" LIMIT {MODELS}')
        self._rows = rows.cast(pa.schema([(field.name, _plain(field.type)) for field in rows.schema])).combine_chunks().to_batches()[0]
        self._random = Random(seed)
        self._alive = list(range(self._leaves.num_rows))
        self._running = [True] * self._leaves.num_rows
        self._succeeded = [True] * self._leaves.num_rows
        self._sequence = 0
        self._born = 0
        self.building = 0.0

    def batch(self, size: int) -> Changes:
        """So many changes, of as many machines."""
        started = time.perf_counter()
        chosen = sorted(self._random.sample(range(len(self._alive)), size), reverse=True)
        few = max(1, size // 200)
        deleted = {}
        for at in chosen[:few]:
            self._sequence += 1
            deleted[self._leaves.column(KEY_COLUMN)[self._alive[at]].as_py()] = self._sequence
            # Those that are drawn lie before, so the last one may come here.
            self._alive[at] = self._alive[-1]
            self._alive.pop()
        leaves = self._transitions([self._alive[at] for at in chosen[2 * few :]])
        created = self._created(few)
        self.building += time.perf_counter() - started
        types = self._part.types or frozenset()
        return Changes("resources", MACHINE, self._part.shapes, created, types, deleted, created.column(SEQUENCE_COLUMN), leaves)

    def _transitions(self, rows: list[int]) -> pa.RecordBatch:
        self._random.shuffle(rows)
        powered = len(rows) * 59 // 99
        for row in rows[:powered]:
            self._running[row] = not self._running[row]
        for row in rows[powered:]:
            self._succeeded[row] = not self._succeeded[row]
        taken = self._leaves.take(pa.array(rows, pa.int64()))
        running = pa.array([self._running[row] for row in rows])
        state = pc.if_else(running, 0, pa.array([1 + row % 2 for row in rows], pa.int64()))
        changed = {
            SEQUENCE_COLUMN: self._numbers(len(rows)),
            hot_column("properties.provisioningState"): _chosen(("Updating", "Succeeded"), [self._succeeded[row] for row in rows]),
            hot_column(f"{_POWER}.code"): pa.array([code for code, _ in _STATES]).take(state),
            hot_column(f"{_POWER}.displayStatus"): pa.array([text for _, text in _STATES]).take(state),
        }
        for name in _REPORTED:
            column = hot_column(f"properties.extended.instanceView.{name}")
            changed[column] = pc.if_else(running, taken.column(column), pa.scalar(None, pa.string()))
        return _with(taken, changed)

    def _created(self, count: int) -> pa.RecordBatch:
        taken = self._rows.take(pa.array(self._random.choices(range(self._rows.num_rows), k=count), pa.int64()))
        self._born += 1
        suffixes = pa.array([f"-{self._born}-{number}" for number in range(count)])
        named = {name: pc.binary_join_element_wise(taken.column(name), suffixes, "") for name in (KEY_COLUMN, "id", "name")}
        return _with(taken, named | {SEQUENCE_COLUMN: self._numbers(count)})

    def _numbers(self, count: int) -> pa.Array:
        first = self._sequence + 1
        self._sequence += count
        return pa.array(range(first, first + count), pa.int64())


def _plain(type_: pa.DataType) -> pa.DataType:
    """The type as batches have it: JSON is text there."""
    if isinstance(type_, pa.ExtensionType) or type_ == pa.json_():
        return pa.string()
    if pa.types.is_struct(type_):
        return pa.struct([pa.field(field.name, _plain(field.type)) for field in type_])
    if pa.types.is_list(type_):
        return pa.list_(_plain(type_.value_type))
    return type_


def _chosen(texts: tuple[str, str], second: Sequence[bool]) -> pa.Array:
    return pa.array(texts).take(pa.array(second).cast(pa.int64()))


def _with(batch: pa.RecordBatch, columns: Mapping[str, pa.Array]) -> pa.RecordBatch:
    return pa.RecordBatch.from_arrays([columns.get(name, batch.column(name)) for name in batch.schema.names], batch.schema.names)


class Writer:
    """Applies batches, with what falls due between them, and counts."""

    def __init__(self, store: Store, fleet: Fleet) -> None:
        self._store, self._fleet = store, fleet
        self._upkeep = Upkeep(store)
        self.changes = 0
        self.applying: list[float] = []
        self.checkpoints: list[float] = []
        self.put_off = 0
        self.clusterings: list[float] = []

    def write(self, size: int) -> None:
        change = self._fleet.batch(size)
        started = time.perf_counter()
        self._store.apply([change], NOON + timedelta(seconds=len(self.applying)), f'{{"sequence": {self.changes}}}')
        ended = time.perf_counter()
        self.applying.append(ended - started)
        self.changes += size
        done = self._upkeep.tick()
        if done.clustered is not None:
            self.clusterings.append(time.perf_counter() - ended)
        elif done.checkpointed:
            self.checkpoints.append(time.perf_counter() - ended)
        elif done.checkpointed is not None:
            self.put_off += 1

    @property
    def seconds(self) -> float:
        """Of work in the store."""
        return sum(self.applying) + sum(self.checkpoints) + sum(self.clusterings)

    def print(self) -> None:
        size = self.changes / len(self.applying)
        print(
            f"  {len(self.applying)} batches of {size:,.0f}, each in {_ms(self.applying)}; to build one takes "
            f"{self._fleet.building / len(self.applying) * 1000:.0f} ms"
        )
        print(
            f"  {len(self.checkpoints)} checkpoints in {_ms(self.checkpoints)}, {self.put_off} put off; "
            f"{len(self.clusterings)} clusterings in {_ms(self.clusterings)}"
        )


def _ms(seconds: Sequence[float]) -> str:
    if not seconds:
        return "-"
    return f"{median(seconds) * 1000:,.0f} ms ({min(seconds) * 1000:,.0f}-{max(seconds) * 1000:,.0f})"


# Parts


def sustained(store: Store, fleet: Fleet, batch: int, seconds: float) -> None:
    writer = Writer(store, fleet)
    began = blocks(store)
    while writer.seconds < seconds:
        writer.write(batch)
    print(f"Sustained for {writer.seconds:.0f} s: {writer.changes / writer.seconds:,.0f} changes/s")
    writer.print()
    print(f"  blocks used: {began:,} before, {blocks(store):,} after\n")


def churn(store: Store, fleet: Fleet, batch: int, changes: int) -> None:
    before, latencies = blocks(store), _asked(store, QUIET_RUNS)
    writer = Writer(store, fleet)
    while writer.changes < changes:
        writer.write(batch)
    store.cluster(MACHINES)
    store.checkpoint(timedelta(seconds=2))
    after = _asked(store, QUIET_RUNS)
    print(f"{writer.changes:,} changes in {writer.seconds:.0f} s of work: {writer.changes / writer.seconds:,.0f} changes/s")
    writer.print()
    print(f"  blocks used: {before:,} before, {blocks(store):,} after: {blocks(store) / before:.2f}")
    _print_ratios("right after clustering", latencies, after)


def latency(store: Store, fleet: Fleet, paces: Sequence[int], seconds: float) -> None:
    quiet = _asked(store, QUIET_RUNS * 3)
    for pace in paces:
        writer = Writer(store, fleet)
        with writing(writer, pace) as late:
            busy = _asked(store, sys.maxsize, seconds)
        print(f"At {pace:,} changes/s, {len(late)} of {len(writer.applying)} batches late by {_ms(late)}:")
        writer.print()
        _print_ratios("meanwhile", quiet, busy)


@contextmanager
def writing(writer: Writer, pace: int) -> Iterator[list[float]]:
    """One batch each second, by another thread; by how many seconds batches were late."""
    ended = threading.Event()
    late: list[float] = []
    failed: list[BaseException] = []

    def write() -> None:
        due = time.monotonic()
        try:
            while not ended.is_set():
                writer.write(pace)
                due += 1
                behind = time.monotonic() - due
                if behind > 0:
                    late.append(behind)
                ended.wait(max(0.0, -behind))
        except BaseException as error:
            failed.append(error)

    thread = threading.Thread(target=write)
    thread.start()
    try:
        yield late
    finally:
        ended.set()
        thread.join()
    if failed:
        raise failed[0]


def _asked(store: Store, runs: int, seconds: float = float("inf")) -> Mapping[str, Sequence[float]]:
    """How long each question took, all in turn; the first time is left out."""
    connection = Connection(LocalAccess(store))
    times: dict[str, list[float]] = defaultdict(list)
    began = time.monotonic()
    run = 0
    while run <= runs and time.monotonic() - began < seconds:
        for question in QUESTIONS:
            started = time.perf_counter()
            connection.query(question.kql).to_arrow()
            if run:
                times[question.name].append(time.perf_counter() - started)
        run += 1
    return times


def _print_ratios(when: str, quiet: Mapping[str, Sequence[float]], busy: Mapping[str, Sequence[float]]) -> None:
    print(f"  The questions {when}, in ms, and against before:")
    print(f"  {'question':14}{'before':>10}{'p99':>8}{'now':>10}{'p99':>8}{'ratio':>8}{'of p99':>8}{'runs':>6}")
    ratios, of_p99 = [], []
    for name, times in busy.items():
        was, now = median(quiet[name]), median(times)
        was99, now99 = _p99(quiet[name]), _p99(times)
        ratios.append(now / was)
        of_p99.append(now99 / was99)
        print(
            f"  {name:14}{was * 1000:>10.1f}{was99 * 1000:>8.0f}{now * 1000:>10.1f}{now99 * 1000:>8.0f}"
            f"{ratios[-1]:>8.2f}{of_p99[-1]:>8.2f}{len(times):>6}"
        )
    print(
        f"  median ratio {median(ratios):.2f}, highest {max(ratios):.2f}; of p99: median {median(of_p99):.2f}, highest {max(of_p99):.2f}\n"
    )


def _p99(times: Sequence[float]) -> float:
    return quantiles(times, n=100)[98] if len(times) > 1 else times[0]


def blocks(store: Store) -> int:
    """How many blocks of the file hold something."""
    with store.snapshot() as snapshot:
        size = snapshot.run("SELECT used_blocks FROM pragma_database_size() WHERE database_name = 'inventory'")
        return int(size.column(0)[0].as_py())


if __name__ == "__main__":
    main()
