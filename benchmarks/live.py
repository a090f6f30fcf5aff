"""From the core's log to the visible row: how many changes a second, how late they show, and what a restart and a crawl take.

    python benchmarks/live.py [--vms N] [--changes C] [--seconds T] [--pace P] [--only PART] [--directory DIR]

Makes a fleet of N machines in scale sets, each with a disk and an interface, on a simulated clock and a durable log, and the inventory that
follows it; or takes those that DIR has from an earlier run. Changes are power transitions of machines drawn at random (each of two events
of the machine, and one or two of its disk where it is deallocated), and for every hundred of them a machine created and one deleted.
Everything is counted: reading and decoding the log, change records, rows, and applying them. Requests and operations are events too, and
are read over, but only events of resources are counted as changes.

PART is one of
  pipeline    C changes that wait in the log: how long until they are visible, by the clock and by CPU time
  crawl       a full crawl that compares every row with the log, while queries run
  restart     the process that holds the directory is killed with C changes waiting: how long until another gives the right answer
  staleness   the log of a core that makes P changes a second is written by another process for T seconds of the wall's clock: how far the
              watermark is behind, at each of many looks, with a lag as in the service that is bounded by 1 s, and by 60 s as there
"""

import argparse
import multiprocessing
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import quantiles
from typing import Any

import kqlite
from kqlite.access.recovery import follow
from kqlite.directory.data_directory import DataDirectory
from kqlite.orchestration.clock import SECOND
from kqlite.orchestration.log import SqliteLog, every_event
from kqlite.orchestration.model import Type
from kqlite.simulation import LOG_NAME, Simulation
from kqlite.snapshotter.lag import Lag
from kqlite.snapshotter.resource_rows import table_of
from kqlite.snapshotter.snapshotter import Ticker

COUNT = """
resources | where type =~ 'microsoft.compute/virtualmachines'
| summarize count() by tostring(properties.extended.instanceView.powerState.code)
"""
API = "?api-version=2021-07-01"
BATCH = 500
WARM = 60
"""Simulated seconds after which what was asked for first has ended, so that as much ends as begins."""

ROUNDS = 20
"""So often in a second of the replayed core something is committed."""


def main() -> None:
    arguments = _arguments()
    with tempfile.TemporaryDirectory() as made:
        directory = arguments.directory or Path(made) / "fleet"
        print(f"{arguments.vms:,} machines, {arguments.changes:,} changes, {os.cpu_count()} processors", flush=True)
        _prepare(directory, arguments.vms)
        parts = {
            "pipeline": lambda: pipeline(directory, arguments.changes),
            "crawl": lambda: crawl(directory),
            "restart": lambda: restart(directory, arguments.changes),
            "staleness": lambda: staleness(directory, arguments.pace, arguments.seconds),
        }
        for name, part in parts.items():
            if arguments.only in (None, name):
                part()


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--vms", type=int, default=1_000_000)
    parser.add_argument("--changes", type=int, default=100_000)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--pace", type=int, default=10_000)
    parser.add_argument("--only", choices=("pipeline", "crawl", "restart", "staleness"))
    parser.add_argument("--directory", type=Path)
    parser.add_argument("--hold", action="store_true", help=argparse.SUPPRESS)
    return parser.parse_args()


def _prepare(directory: Path, vms: int) -> None:
    if (directory / LOG_NAME).exists():
        return
    began = time.perf_counter()
    with Simulation(directory, seed=1, features="all", lag=0, synchronous="NORMAL") as simulation:
        for number in range((vms + 999) // 1000):
            simulation.create_scale_set(f"set{number}", f"rg{number // 20}", capacity=min(1000, vms - number * 1000))
        simulation.settle()
        simulation.advance("1h")
        made, began = time.perf_counter() - began, time.perf_counter()
        simulation.inventory.query("print 1")
        built = time.perf_counter() - began
        events = simulation.log.last
    print(f"prepared: core {made:.0f} s, inventory {built:.0f} s for {events:,} events, {events / built:,.0f} events/s", flush=True)


class Workload:
    """Power transitions, creations and deletions, drawn at random."""

    def __init__(self, simulation: Simulation, seed: int) -> None:
        self._simulation = simulation
        self._draw = random.Random(seed)
        groups = [group for group in simulation.plane.fleet.all_groups() if group.of(Type.VM)]
        self._machines = [(group.id, name, state.power == "running") for group in groups for name, state in group.of(Type.VM).items()]
        self._sets = [(group.id, name, state.capacity) for group in groups for name, state in group.of(Type.SCALE_SET).items()]

    def requests(self, count: int) -> Iterator[tuple[Any, ...]]:
        """So many power actions, and what comes with them."""
        for number in range(count):
            at = self._draw.randrange(len(self._machines))
            group, name, runs = self._machines[at]
            action = self._draw.choice(("powerOff", "deallocate")) if runs else "start"
            self._machines[at] = (group, name, not runs)
            yield "POST", f"{group}/providers/{Type.VM}/{name}/{action}{API}"
            if number % 100 == 0:
                yield from self._scale(-1)
                yield from self._scale(1)

    def _scale(self, by: int) -> Iterator[tuple[Any, ...]]:
        at = self._draw.randrange(len(self._sets))
        group, name, capacity = self._sets[at]
        if 0 <= capacity + by <= 1000:
            self._sets[at] = (group, name, capacity + by)
            yield "PATCH", f"{group}/providers/{Type.SCALE_SET}/{name}{API}", {"sku": {"capacity": capacity + by}}

    def run(self, changes: int) -> None:
        """Until the log has so many more changes."""
        after = self._simulation.log.last
        done = 0
        while done < changes:
            self._simulation.arm_many(self.requests(BATCH))
            self._simulation.settle("10m")
            done += _changes(self._simulation, after)
            after = self._simulation.log.last


def _changes(simulation: Simulation, after: int) -> int:
    return sum(table_of(event.type) is not None for event in every_event(simulation.log, after))


def pipeline(directory: Path, changes: int) -> None:
    with Simulation(directory, lag=0, synchronous="NORMAL") as simulation:
        simulation.inventory.query(COUNT)
        live = simulation._live
        assert live is not None
        # The hour of simulated time that these changes take would end with a crawl, which has a figure of its own.
        live.snapshotter._crawl_every = 0
        before = simulation.log.last
        Workload(simulation, 1).run(changes)
        counted, events = _changes(simulation, before), simulation.log.last - before
        began, cpu = time.perf_counter(), time.process_time()
        simulation.inventory.query("print 1")
        seconds, cpu = time.perf_counter() - began, time.process_time() - cpu
        print(
            f"pipeline: {counted:,} changes ({events:,} events) visible in {seconds:.1f} s: {counted / seconds:,.0f} changes/s "
            f"({counted / cpu:,.0f} for each second of CPU), {events / seconds:,.0f} events/s",
            flush=True,
        )


def crawl(directory: Path) -> None:
    with Simulation(directory, lag=0, synchronous="NORMAL") as simulation:
        simulation.inventory.query(COUNT)
        stop, latencies = threading.Event(), []

        def ask() -> None:
            while not stop.is_set():
                began = time.perf_counter()
                simulation.inventory.access._engine.query(COUNT)  # type: ignore[attr-defined]  # without a tick, which would wait
                latencies.append(time.perf_counter() - began)

        reader = threading.Thread(target=ask)
        reader.start()
        began = time.perf_counter()
        live = simulation._live
        assert live is not None
        repaired = live.snapshotter.crawl(simulation.plane.durable_now)
        seconds = time.perf_counter() - began
        stop.set()
        reader.join()
        rows = sum(size.rows for size in simulation.inventory.stats().types if not size.table.endswith("changes"))
        asked = f"{len(latencies)} queries meanwhile, at most {max(latencies):.2f} s"
        print(f"crawl: {rows:,} rows compared in {seconds:.1f} s, {repaired} repaired; {asked}", flush=True)


def restart(directory: Path, changes: int) -> None:
    command = [sys.executable, __file__, "--hold", "--directory", str(directory), "--changes", str(changes)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        right = holder.stdout.readline().strip()
        holder.send_signal(signal.SIGKILL)
    began = time.perf_counter()
    with kqlite.connect(directory) as connection:
        answer = connection.query(COUNT)
        seconds = time.perf_counter() - began
        found = str(sorted((row["count_"] for row in answer), reverse=True))
    print(
        f"restart: after SIGKILL with {changes:,} changes waiting, the first answer in {seconds:.1f} s, right: {found == right}", flush=True
    )


def hold(directory: Path, changes: int) -> None:
    """What the killed process does: its inventory is written, and then the core goes on without it."""
    simulation = Simulation(directory, lag=0, synchronous="NORMAL")
    simulation.inventory.query("print 1")
    live = simulation._live
    assert live is not None
    live.snapshotter._store.checkpoint()
    Workload(simulation, 2).run(changes)
    powers = [state.power for group in simulation.plane.fleet.all_groups() for state in group.of(Type.VM).values()]
    print(sorted((powers.count(power) for power in set(powers)), reverse=True), flush=True)
    time.sleep(1000)


def staleness(directory: Path, pace: int, seconds: float) -> None:
    with tempfile.TemporaryDirectory(dir=directory.parent) as folder:
        history, begins = _history(directory, Path(folder) / "history", pace, seconds)
        for lag in (Lag(bound=SECOND), Lag()):
            copy = _copied(directory, Path(folder) / "followed")
            Replay(copy, history).write(begins)
            os.sync()  # else what was copied is written to the disk meanwhile
            context = multiprocessing.get_context("spawn")
            ready, over = context.Event(), context.Event()
            # A process each: this one is full of the machines of the core.
            parts = ((replay, (copy, history, begins, ready, over)), (bring_in, (copy, lag, ready, over)))
            children = [context.Process(target=target, args=given) for target, given in parts]
            for child in children:
                child.start()
            for child in children:
                child.join()
            shutil.rmtree(copy)


def _copied(directory: Path, to: Path, *left_out: str) -> Path:
    return Path(shutil.copytree(directory, to, ignore=shutil.ignore_patterns("socket", *left_out)))


def _history(directory: Path, to: Path, pace: int, seconds: float) -> tuple[Path, int]:
    """What a core does in so many seconds with about `pace` changes in each: a directory with its log, and when the first second begins."""
    _copied(directory, to, "inventory*")
    with Simulation(to, lag=0, synchronous="NORMAL") as simulation:
        workload = Workload(simulation, 3)
        begins, before = simulation.plane.now + WARM * SECOND, 0
        while simulation.plane.now < begins + seconds * SECOND:
            if simulation.plane.now >= begins and not before:
                before = simulation.log.last
            # A power action makes two events of its machine, and half of them one or two of its disk.
            simulation.arm_many(workload.requests(round(pace / ROUNDS / 2.1)))
            simulation.advance(1 / ROUNDS)
        rates = (_changes(simulation, before) / seconds, (simulation.log.last - before) / seconds)
    print("staleness, at {:,.0f} changes/s ({:,.0f} events/s):".format(*rates), flush=True)
    return to, begins


class Replay:
    """Writes into a log what another one has: a core that makes so many changes by itself would need more than one processor."""

    def __init__(self, directory: Path, history: Path) -> None:
        self._log = log = sqlite3.connect(directory / LOG_NAME, isolation_level=None)
        log.execute("PRAGMA synchronous = NORMAL")
        log.execute(f"ATTACH '{history / LOG_NAME}' AS history")
        log.execute("INSERT OR IGNORE INTO texts SELECT * FROM history.texts")
        [self._last] = log.execute("SELECT max(sequence) FROM events").fetchone()
        last_of_round = (
            f"SELECT max(time), max(sequence) FROM history.events WHERE sequence > ? GROUP BY time / {SECOND // ROUNDS} ORDER BY 1"
        )
        self._rounds = log.execute(last_of_round, (self._last,)).fetchall()

    def write(self, now: int) -> bool:
        """All that happened up to a time; whether there is more."""
        due = max((sequence for time, sequence in self._rounds if time <= now), default=self._last)
        self._log.execute("BEGIN IMMEDIATE")
        self._log.execute("INSERT INTO events SELECT * FROM history.events WHERE sequence > ? AND sequence <= ?", (self._last, due))
        self._log.execute("UPDATE facts SET value = ? WHERE name = 'now'", (str(now),))
        self._log.execute("COMMIT")
        self._last = due
        return bool(due < self._rounds[-1][1])


def replay(directory: Path, history: Path, begins: int, ready: Any, over: Any) -> None:
    """Write the log as the wall's time passes."""
    log = Replay(directory, history)
    ready.wait()
    began = time.monotonic()
    while log.write(begins + round((time.monotonic() - began) * SECOND)):
        time.sleep(1 / ROUNDS / 2)
    over.set()


def bring_in(directory: Path, lag: Lag, ready: Any, over: Any) -> None:
    """Bring the changes in as the log has them, and look at what shows."""
    log = SqliteLog(directory / LOG_NAME, read_only=True)
    store, snapshotter = follow(log, lag, DataDirectory.open(directory, writable=True))
    # A connection each: the thread that ticks and the one that looks must not meet on one.
    log_time, log_look = (SqliteLog(directory / LOG_NAME, read_only=True) for _ in range(2))
    snapshotter.tick(int(log_time.facts()["now"]))
    ready.set()
    looks: list[float] = []
    ticker = Ticker(snapshotter, lambda: int(log_time.facts()["now"]))
    begins = time.monotonic() + 10
    while not over.is_set():
        time.sleep(0.1)
        with store.snapshot() as snapshot:
            watermark = snapshot.watermark
        if watermark is not None and time.monotonic() > begins:
            looks.append(int(log_look.facts()["now"]) / SECOND - watermark.timestamp())
    ticker.stop()
    store.close()
    cuts, most = quantiles(looks, n=100), max(looks)
    late = f"median {cuts[49]:.2f} s, p99 {cuts[98]:.2f} s, most {most:.2f} s"
    print(f"  bound {lag.bound // SECOND} s: {late}, {len(looks)} looks", flush=True)


if __name__ == "__main__":
    if "--hold" in sys.argv:
        given = _arguments()
        hold(given.directory, given.changes)
    else:
        main()
