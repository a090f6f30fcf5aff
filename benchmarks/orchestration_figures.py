"""What does the orchestration core hold, and how fast is it? Each figure stands beside its floor.

Run: python benchmarks/orchestration_figures.py [transitions scale create day million]; without names, everything but `million`.
The durable log (SQLite, WAL, synchronous=FULL) is on, in a temporary directory. Seed 0.
"""

from __future__ import annotations

import gc
import resource
import shutil
import sys
import tempfile
import time
from pathlib import Path

from kqlite.simulation import Simulation

_AUTOSCALE = {
    "metricName": "Percentage CPU",
    "timeGrain": "PT1M",
    "statistic": "Average",
    "timeWindow": "PT10M",
    "timeAggregation": "Average",
}


def resident_bytes() -> int:
    """The memory that this process holds now."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize()


def grown(simulation: Simulation, sets: int, instances: int, health: bool = False) -> float:
    """Make so many sets of so many instances and wait until they run; the seconds it took."""
    start = time.perf_counter()
    for number in range(sets):
        simulation.create_scale_set(f"set{number}", group=f"rg{number // 100}", capacity=instances, domains=1 + number % 3, health=health)
    assert simulation.settle()
    return time.perf_counter() - start


def show(what: str, value: str, floor: str) -> None:
    print(f"{what:<58} {value:>18}   floor {floor}", flush=True)


def scale(directory: Path) -> None:
    """One set from 0 to 1,000 instances."""
    times = []
    for run in range(5):
        with Simulation(directory / f"scale{run}", features="all") as simulation:
            simulation.create_scale_set("web")
            simulation.settle()
            start = time.perf_counter()
            simulation.scale("web", 1000)
            assert simulation.settle()
            times.append(time.perf_counter() - start)
    show("0 to 1,000 instances (best, worst of 5)", f"{min(times):.2f} s, {max(times):.2f} s", "0.7 s")


def transitions(directory: Path) -> None:
    """State transitions a second, durable log on."""
    with Simulation(directory / "transitions", features="all") as simulation:
        seconds = grown(simulation, 40, 1000)
        events = simulation.log.last
    show("events a second, creation of 40,000 instances", f"{events / seconds:,.0f}", "20,000")


def create(directory: Path) -> None:
    """100,000 VMs in 100 sets."""
    with Simulation(directory / "create", features="all") as simulation:
        seconds = grown(simulation, 100, 1000)
    show("100,000 instances in 100 sets", f"{seconds:.1f} s", "30 s")


def day(directory: Path) -> None:
    """A simulated day of 100,000 VMs in 100 sets with autoscale and health."""
    with Simulation(directory / "day", features="all") as simulation:
        grown(simulation, 100, 1000, health=True)
        for number in range(100):
            path = f"/subscriptions/{simulation.subscriptions[0]}/resourceGroups/rg0/providers"
            target = f"{path}/Microsoft.Compute/virtualMachineScaleSets/set{number}"
            rules = [
                _rule(target, "GreaterThan", 70, "Increase"),
                _rule(target, "LessThan", 20, "Decrease"),
            ]
            profile = {"name": "p", "capacity": {"minimum": "900", "maximum": "1000", "default": "1000"}, "rules": rules}
            body = {"location": "eastus", "properties": {"enabled": True, "targetResourceUri": target, "profiles": [profile]}}
            assert (
                simulation.arm("PUT", f"{path}/Microsoft.Insights/autoscaleSettings/auto{number}?api-version=2022-10-01", body).status
                == 201
            )
        before = simulation.log.last
        start = time.perf_counter()
        simulation.advance("24h")
        seconds = time.perf_counter() - start
        events = simulation.log.last - before
    show(f"one day, 100,000 instances, autoscale, health ({events:,} events)", f"{seconds:.1f} s", "15 s")


def _rule(scale_set: str, operator: str, threshold: int, direction: str) -> dict[str, object]:
    action = {"direction": direction, "type": "ChangeCount", "value": "5", "cooldown": "PT10M"}
    trigger = {**_AUTOSCALE, "metricResourceUri": scale_set, "operator": operator, "threshold": threshold}
    return {"metricTrigger": trigger, "scaleAction": action}


def million(directory: Path) -> None:
    """Bytes and seconds for each VM at 10,000, 100,000 and 1,000,000."""
    costs = []
    for count in (10_000, 100_000, 1_000_000):
        gc.collect()
        before = resident_bytes()
        simulation = Simulation(directory / f"fleet{count}", features="all")
        cpu = time.process_time()
        seconds = grown(simulation, count // 1000, 1000)
        cpu = time.process_time() - cpu
        gc.collect()
        held = resident_bytes() - before
        costs.append(cpu / count)
        show(f"{count:,} instances: bytes each, all in", f"{held / count:.0f}", "700 at 1,000,000")
        show(f"{count:,} instances: microseconds each, CPU (wall)", f"{cpu / count * 1e6:.0f} ({seconds / count * 1e6:.0f})", "")
        simulation.close()
        del simulation
        shutil.rmtree(directory / f"fleet{count}")
    # By CPU time: on a busy machine the wall's says more about the neighbours.
    show("CPU cost of one VM, highest by lowest", f"{max(costs) / min(costs):.2f}", "1.5")


_ALL = {"scale": scale, "transitions": transitions, "create": create, "day": day, "million": million}


def main() -> None:
    """Run what was named."""
    names = sys.argv[1:] or [name for name in _ALL if name != "million"]
    for name in names:
        directory = Path(tempfile.mkdtemp(prefix="kqlite-benchmark-"))
        try:
            _ALL[name](directory)
        finally:
            shutil.rmtree(directory, ignore_errors=True)


if __name__ == "__main__":
    main()
