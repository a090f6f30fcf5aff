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
  staleness   a core in a process of its own makes P changes a second for T seconds by the wall's clock: how far the watermark is behind,
              at each of many looks, with a lag of 1 s and with one as in the service
"""

import argparse
import multiprocessing
import os
import random
import shutil
import signal
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
from kqlite.directory import DataDirectory
from kqlite.orchestration.clock import SECOND, Clock
from kqlite.orchestration.log import SqliteLog, every_event
from kqlite.orchestration.model import Type
from kqlite.simulation import LOG_NAME, Simulation
from kqlite.snapshotter.lag import Lag
from kqlite.snapshotter.rows import table_of
from kqlite.snapshotter.snapshotter import Ticker
from kqlite.standing import followed

COUNT = """
resources | where type =~ 'microsoft.compute/virtualmachines'
| summarize count() by tostring(properties.extended.instanceView.powerState.code)
"""
API = "?api-version=2021-07-01"
BATCH = 500


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
        self._machines = [(group.id, name, image.power == "running") for group in groups for name, image in group.of(Type.VM).items()]
        self._sets = [(group.id, name, image.capacity) for group in groups for name, image in group.of(Type.SCALE_SET).items()]

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
    powers = [image.power for group in simulation.plane.fleet.all_groups() for image in group.of(Type.VM).values()]
    print(sorted((powers.count(power) for power in set(powers)), reverse=True), flush=True)
    time.sleep(1000)


def core(directory: Path, pace: int, seconds: float, ready: Any, stop: Any) -> None:
    """A core by the wall's clock, with about `pace` changes a second."""
    simulation = Simulation(directory, lag=0, synchronous="NORMAL")
    simulation.plane.go_by(Clock.scaled(1.0))
    workload = Workload(simulation, 3)
    # A power action makes two events of its machine, and half of them one or two of its disk.
    each = pace / 2.7
    ready.set()
    began, asked = time.monotonic(), 0
    before = simulation.log.last
    while not stop.is_set() and time.monotonic() - began < seconds:
        due = int((time.monotonic() - began) * each) - asked
        if due > 0:
            simulation.arm_many(workload.requests(min(due, 2 * BATCH)))
            asked += min(due, 2 * BATCH)
        simulation.plane.catch_up()
        time.sleep(0.005)
    elapsed = time.monotonic() - began
    print(
        f"  core: {_changes(simulation, before) / elapsed:,.0f} changes/s, {(simulation.log.last - before) / elapsed:,.0f} events/s",
        flush=True,
    )
    simulation.close()


def staleness(directory: Path, pace: int, seconds: float) -> None:
    for lag in ("1s", "measured"):
        copy = directory.with_name(f"{directory.name}-staleness")
        shutil.rmtree(copy, ignore_errors=True)
        shutil.copytree(directory, copy, ignore=shutil.ignore_patterns("socket"))
        context = multiprocessing.get_context("spawn")
        ready, stop = context.Event(), context.Event()
        child = context.Process(target=core, args=(copy, pace, seconds, ready, stop))
        child.start()
        ready.wait()
        _follow(copy, Lag.of(lag), child, lag, pace)
        stop.set()
        child.join()
        shutil.rmtree(copy)


def _follow(directory: Path, lag: Lag, child: Any, name: str, pace: int) -> None:
    log = SqliteLog(directory / LOG_NAME, read_only=True)
    store, snapshotter = followed(log, lag, DataDirectory.open(directory, writable=True))
    # A connection each: the thread that ticks and the one that looks must not meet on one.
    log_time, log_look = (SqliteLog(directory / LOG_NAME, read_only=True) for _ in range(2))
    looks: list[float] = []
    ticker = Ticker(snapshotter, lambda: int(log_time.facts()["now"]))
    warm = time.monotonic() + 5
    while child.is_alive():
        time.sleep(0.05)
        with store.snapshot() as snapshot:
            watermark = snapshot.watermark
        if watermark is not None and time.monotonic() > warm:
            looks.append(int(log_look.facts()["now"]) / SECOND - watermark.timestamp())
    ticker.stop()
    store.close()
    cuts, most = quantiles(looks, n=100), max(looks)
    late = f"median {cuts[49]:.2f} s, p99 {cuts[98]:.2f} s, most {most:.2f} s"
    print(f"staleness at {pace:,} changes/s, lag {name}: {late}, {len(looks)} looks", flush=True)


if __name__ == "__main__":
    if "--hold" in sys.argv:
        given = _arguments()
        hold(given.directory, given.changes)
    else:
        main()
