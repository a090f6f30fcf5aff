"""How long `kqlite query` of the bundled sample takes from process start to exit, beside `python -c "import duckdb, pyarrow"`.

    python benchmarks/startup.py [RUNS]

Prints the median and the spread of both, in milliseconds, and the ratio of the medians. The runs alternate, so that a busy machine slows
both alike; one of each goes before them unmeasured. Data: the bundled sample, its reference query. Run it by an environment that has the
wheel installed, from outside of the checkout: in a checkout each process builds the parser's table.
"""

import statistics
import subprocess
import sys
import time

from kqlite.bundled import bundled

COMMANDS = {
    "import duckdb, pyarrow": [sys.executable, "-c", "import duckdb, pyarrow"],
    "kqlite query": [sys.executable, "-m", "kqlite", "query", "-f", str(bundled("sample-data") / "queries" / "01-reference-query.kql")],
}


def main(runs: int) -> None:
    times_ms: dict[str, list[float]] = {name: [] for name in COMMANDS}
    for run in range(runs + 1):
        for name, command in COMMANDS.items():
            elapsed_ms = measured_ms(command)
            if run:
                times_ms[name].append(elapsed_ms)
    for name, values in times_ms.items():
        print(f"{name:24} median {statistics.median(values):7.1f} ms, from {min(values):.1f} to {max(values):.1f}, {runs} runs")
    baseline, query = (statistics.median(values) for values in times_ms.values())
    print(f"ratio {query / baseline:.2f}")


def measured_ms(command: list[str]) -> float:
    start = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return (time.perf_counter() - start) * 1000


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 15)
