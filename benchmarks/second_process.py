"""What it costs to ask another process: a query by way of the process that holds the directory, beside the same query in that process.

    python benchmarks/second_process.py [--vms N] [--runs R]

Prints in milliseconds the medians and the 99th percentiles of both and of what is added, each query asked in both processes by turns
so that a busy machine slows both alike; then how long a first `connect` and a first query take in a process that has imported kqlite,
when another process holds the directory and when none does. Data: the sample inventory, seed 1. Queries: 1,000 rows of six columns; one
row.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import kqlite
from kqlite.access.local import LocalAccess
from kqlite.access.server import serve
from kqlite.directory.data_directory import DataDirectory
from kqlite.inventory.sample.generate import write_sample
from kqlite.inventory.store.store import Store

PAGE = """
resources | where type =~ 'microsoft.compute/virtualmachines' and location != 'nowhere'
| project id, name, location, resourceGroup, size = tostring(properties.hardwareProfile.vmSize),
    state = tostring(properties.extended.instanceView.powerState.code)
| take 1000
"""
QUERIES = {"1,000 rows of six columns": PAGE, "one row": "print 1"}
FIRST = """
import json, sys, time, kqlite
start = time.perf_counter()
connection = kqlite.connect(sys.argv[1])
connected = time.perf_counter()
connection.query("print 1")
print(json.dumps([(connected - start) * 1000, (time.perf_counter() - connected) * 1000]))
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--vms", type=int, default=20_000)
    parser.add_argument("--runs", type=int, default=300)
    parser.add_argument("--hold", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.hold:
        hold(options.hold)
        return
    with tempfile.TemporaryDirectory() as folder:
        directory = Path(folder) / "inventory"
        write_sample(directory, options.vms, 1, lambda done, total: None)
        print(f"{options.vms:,} virtual machines, {options.runs} runs; ms: median, 99th percentile")
        alone = first_ms(directory)
        with subprocess.Popen(
            [sys.executable, __file__, "--hold", str(directory)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        ) as holder:
            assert holder.stdout is not None
            assert holder.stdout.readline() == "serving\n"
            compare(holder, directory, options.runs)
            print_firsts("held by another process", first_ms(directory))
            holder.communicate()
        print_firsts("held by nobody", alone)


def compare(holder: "subprocess.Popen[str]", directory: Path, runs: int) -> None:
    assert holder.stdin is not None
    assert holder.stdout is not None
    with kqlite.connect(directory) as connection:
        for name, query in QUERIES.items():
            inside, outside = [], []
            for run in range(runs + 20):
                holder.stdin.write(json.dumps(query) + "\n")
                holder.stdin.flush()
                here = float(holder.stdout.readline())
                there = timed_ms(connection, query)
                if run >= 20:
                    inside.append(here)
                    outside.append(there)
            added = [there - here for here, there in zip(inside, outside, strict=True)]
            print(name)
            for what, values in (("in the holder", inside), ("in a second process", outside), ("added", added)):
                print(f"  {what:20} {statistics.median(values):8.2f} {sorted(values)[len(values) * 99 // 100]:8.2f}")


def timed_ms(connection: kqlite.Connection, query: str) -> float:
    start = time.perf_counter()
    connection.query(query).to_arrow()
    return (time.perf_counter() - start) * 1000


def first_ms(directory: Path) -> list[list[float]]:
    command = [sys.executable, "-c", FIRST, str(directory)]
    return [json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout) for _ in range(7)]


def print_firsts(who: str, firsts: list[list[float]]) -> None:
    connect, query = (statistics.median(values) for values in zip(*firsts, strict=True))
    print(f"{who}: first connect {connect:.0f} ms, first query {query:.0f} ms")


def hold(path: Path) -> None:
    """The other process: answers others over the socket, and times a query for each line that it reads."""
    directory = DataDirectory.open(path, writable=True, shares=True)
    connection = kqlite.Connection(LocalAccess(Store.open(directory), holder=directory.holder))
    server = serve(connection.access, directory)
    print("serving", flush=True)
    for line in sys.stdin:
        print(timed_ms(connection, json.loads(line)), flush=True)
    server.close()
    connection.close()


if __name__ == "__main__":
    main()
