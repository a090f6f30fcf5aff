"""What a query costs through kqlite, beside the same question written by hand in DuckDB SQL over the same tables.

    python benchmarks/queries.py [--vms N] [--seed S] [--runs R] [--only NAME] [--data DIR]

Makes a seeded inventory of N machines with everything that belongs to them in a data directory, unless it is there from an earlier run.
Each question of `questions.py` is answered both ways on one store in one process, by turns; the first answers are compared and their times
left out, and every answer is fetched as an Arrow table. Then come how long KQL takes to become SQL, and how many bytes a machine takes.

NAME is that of a question, or `compile`, or `storage`.
"""

import argparse
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import duckdb
import pyarrow as pa
from answers import difference
from questions import QUESTIONS, Question, rows_of_ids
from storage import print_storage

from kqlite.access.local import LocalAccess
from kqlite.connection import Connection
from kqlite.directory.data_directory import DataDirectory
from kqlite.engine import Engine
from kqlite.formats.terminal import ProgressBar
from kqlite.inventory.sample.generate import write_sample
from kqlite.inventory.store.store import Store
from kqlite.language.schema import Partition

DATA = Path(__file__).parent / "data"
COMPILE_RUNS = 30


def main() -> None:
    arguments = _arguments()
    directory = inventory(arguments.data, arguments.vms, arguments.seed)
    asked = [question for question in QUESTIONS if arguments.only in (None, question.name)]
    print(
        f"{arguments.vms:,} machines, seed {arguments.seed}, {arguments.runs} runs each way by turns, "
        f"DuckDB {duckdb.__version__}, pyarrow {pa.__version__}\n"
    )
    with closing(Store.open(DataDirectory.open(directory))) as store:
        sources = [part.source for part in _resources(store)]
        # Before any other query, so that the first one of them pays what a process pays once.
        compiled = [compile_times(store, question) for question in QUESTIONS] if arguments.only in (None, "compile") else []
        if asked:
            print_times([compared(store, sources, question, arguments.runs) for question in asked], len(sources))
        if compiled:
            print_compile_times(compiled)
    if arguments.only in (None, "storage"):
        print_storage(directory, arguments.vms, arguments.seed)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--vms", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--runs", type=int, default=9)
    parser.add_argument("--only", choices=[*(question.name for question in QUESTIONS), "compile", "storage"], metavar="NAME")
    parser.add_argument("--data", type=Path, default=DATA)
    return parser.parse_args()


def inventory(data: Path, vms: int, seed: int) -> Path:
    """The data directory of that inventory, made where there is none."""
    directory = data / f"{vms}-machines-seed-{seed}"
    if not directory.exists():
        directory.parent.mkdir(parents=True, exist_ok=True)
        started = time.perf_counter()
        progress = ProgressBar("machines", sys.stderr)
        write_sample(directory, vms, seed, progress)
        progress.clear()
        print(f"{directory} made in {time.perf_counter() - started:.1f} s", file=sys.stderr)
    return directory


# Queries


@dataclass(frozen=True)
class Elapsed:
    """The time of one run: by the clock, and of all threads of this process."""

    wall_ms: float
    cpu_ms: float


@dataclass(frozen=True)
class Times:
    """How long each run took, both ways."""

    question: Question
    rows: int
    kqlite: Sequence[Elapsed]
    by_hand: Sequence[Elapsed]

    @property
    def ratio(self) -> float:
        return median(run.wall_ms for run in self.kqlite) / median(run.wall_ms for run in self.by_hand)

    @property
    def cpu_ratio(self) -> float:
        """What other processes disturb least."""
        return median(run.cpu_ms for run in self.kqlite) / median(run.cpu_ms for run in self.by_hand)


def compared(store: Store, sources: Sequence[str], question: Question, runs: int) -> Times:
    """Both answers, found to be equal, and then the times."""
    connection = Connection(LocalAccess(store))
    sql = question.sql(sources)

    def by_kqlite() -> tuple[pa.Table, Elapsed]:
        return _timed(lambda: connection.query(question.kql).to_arrow())

    def by_hand() -> tuple[pa.Table, Elapsed]:
        with store.snapshot() as snapshot:
            return _timed(lambda: snapshot.run(sql))

    _check(store, sources, question, by_kqlite()[0], by_hand()[0])
    rows = 0
    kqlite: list[Elapsed] = []
    hand: list[Elapsed] = []
    for run in range(runs):
        for way, times in ((by_kqlite, kqlite), (by_hand, hand))[:: 1 if run % 2 else -1]:
            answer, elapsed = way()
            times.append(elapsed)
            rows = answer.num_rows
            del answer
    return Times(question, rows, kqlite, hand)


def _check(store: Store, sources: Sequence[str], question: Question, kqlite: pa.Table, by_hand: pa.Table) -> None:
    if question.any_rows is not None:
        if not kqlite.num_rows == by_hand.num_rows == question.any_rows:
            sys.exit(f"{question.name}: {kqlite.num_rows} rows by kqlite, {by_hand.num_rows} by hand, not {question.any_rows}")
        with store.snapshot() as snapshot:
            by_hand = snapshot.run(rows_of_ids(sources), {"ids": kqlite.column("id").to_pylist()})
    found = difference(question, kqlite, by_hand)
    if found is not None:
        sys.exit(f"{question.name}: the answers differ: {found}")


def _timed(work: Callable[[], pa.Table]) -> tuple[pa.Table, Elapsed]:
    wall, cpu = time.perf_counter(), time.process_time()
    result = work()
    return result, Elapsed((time.perf_counter() - wall) * 1000, (time.process_time() - cpu) * 1000)


def print_times(measured: Sequence[Times], sources: int) -> None:
    print(
        f"Queries, in ms: the median, and from the fastest to the slowest run; then kqlite / by hand, of the clock and of CPU time.\n"
        f"`resources` has {sources} tables.\n"
    )
    print(f"{'question':14}{'rows':>10}  {'kqlite':>26}  {'by hand':>26}  {'ratio':>6}  {'CPU':>5}  asks for")
    for times in measured:
        print(
            f"{times.question.name:14}{times.rows:>10,}  {_spread(times.kqlite):>26}  {_spread(times.by_hand):>26}  "
            f"{times.ratio:>6.2f}  {times.cpu_ratio:>5.2f}  {times.question.asks}"
        )
    if len(measured) > 1:
        ratios = [times.ratio for times in measured]
        print(f"\nratio: median {median(ratios):.2f}, highest {max(ratios):.2f}")
    print()


def _spread(runs: Sequence[Elapsed]) -> str:
    times_ms = [run.wall_ms for run in runs]
    return f"{median(times_ms):.1f} ({min(times_ms):.1f}-{max(times_ms):.1f})"


# From KQL to SQL


@dataclass(frozen=True)
class CompileTimes:
    """How long a text takes to become SQL, in milliseconds.

    first: the first time in this process. warm: by a new engine. cached: again by the same one.
    """

    question: Question
    first_ms: float
    warm_ms: Sequence[float]
    cached_ms: Sequence[float]


def compile_times(store: Store, question: Question) -> CompileTimes:
    with store.snapshot() as snapshot:

        def compile_by(engine: Engine) -> float:
            started = time.perf_counter()
            engine.compile(question.kql, snapshot.catalog, {})
            return (time.perf_counter() - started) * 1000

        first_ms = compile_by(Engine(store))
        warm_ms = [compile_by(Engine(store)) for _ in range(COMPILE_RUNS)]
        engine = Engine(store)
        compile_by(engine)
        return CompileTimes(question, first_ms, warm_ms, [compile_by(engine) for _ in range(COMPILE_RUNS)])


def print_compile_times(measured: Sequence[CompileTimes]) -> None:
    print(f"From KQL to SQL, in ms: at first, again without the plan cache, again from it; {COMPILE_RUNS} runs.\n")
    print(f"{'question':14}{'first':>8}  {'warm':>22}  {'repeated':>24}")
    for times in measured:
        print(f"{times.question.name:14}{times.first_ms:>8.1f}  {_fine_spread(times.warm_ms):>22}  {_fine_spread(times.cached_ms):>24}")
    print()


def _fine_spread(times_ms: Sequence[float]) -> str:
    return f"{median(times_ms):.3f} ({min(times_ms):.3f}-{max(times_ms):.3f})"


def _resources(store: Store) -> Sequence[Partition]:
    with store.snapshot() as snapshot:
        table = snapshot.catalog.table("resources")
        assert table is not None
        return table.partitions


if __name__ == "__main__":
    main()
