"""How fast JSON lines become an inventory, in how much memory, and how large it is then.

    python benchmarks/import_documents.py [--vms 25000] [--seed 1] [--machines-only]

Writes the sample inventory of that size as JSON lines in no order, imports them into a data directory and into memory, each in a process of
its own, and prints documents a second (by the clock, until the store is closed), processor seconds, the highest resident size, and bytes a
document on disk, in memory, and of the same file through `zstd -3`. Seconds and sizes count the processes that an import starts; resident
sizes are added up twenty times a second, from Linux's /proc.
"""

import argparse
import json
import random
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

_SHUFFLED_AT_ONCE = 50_000
_COMPRESSED_AT_ONCE = 1 << 27


def lines(vms: int, seed: int, machines_only: bool) -> Iterator[str]:
    """The documents of the sample inventory, shuffled in stretches, so that no type and no group comes in one piece."""
    from kqlite.inventory.sample.generate import SamplePlan

    plan = SamplePlan(vms, seed)
    streams = [plan.documents_of(kind) for kind in plan.kinds if not machines_only or kind.type == "microsoft.compute/virtualmachines"]
    chance = random.Random(seed)
    stretch: list[str] = []
    for document in (document for stream in streams for document in stream):
        stretch.append(json.dumps(document, separators=(",", ":"), ensure_ascii=False) + "\n")
        if len(stretch) == _SHUFFLED_AT_ONCE:
            chance.shuffle(stretch)
            yield from stretch
            stretch = []
    chance.shuffle(stretch)
    yield from stretch


def write(path: Path, written: Iterable[str]) -> int:
    """Write the lines; how many there are."""
    count = 0
    with path.open("w", encoding="utf-8") as stream:
        for line in written:
            stream.write(line)
            count += 1
    return count


def run_import(source: Path, target: Path | None) -> dict[str, float]:
    """Import in this process, into memory where there is no target: seconds, and bytes."""
    from kqlite.inventory.imports.files import import_files, load_files
    from kqlite.inventory.store.store import Store

    held = 0.0
    started = time.perf_counter()
    if target is not None:
        import_files([source], target)
    else:
        store = Store.in_memory()
        load_files([source], store)
    seconds = time.perf_counter() - started
    if target is None:
        with store.snapshot() as snapshot:
            held = snapshot.run("SELECT sum(memory_usage_bytes) AS held FROM duckdb_memory()").to_pylist()[0]["held"]
    usages = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return {"seconds": seconds, "processor": sum(usage.ru_utime + usage.ru_stime for usage in usages), "held": float(held)}


def in_own_process(source: Path, target: Path | None) -> dict[str, float]:
    command = [sys.executable, __file__, "--run", str(source), str(target or "")]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    peak = 0
    while process.poll() is None:
        peak = max(peak, resident_bytes(process.pid))
        time.sleep(0.05)
    assert process.stdout is not None
    measured: dict[str, float] = json.loads(process.stdout.read())
    return measured | {"peak": float(peak)}


def resident_bytes(process: int) -> int:
    """Bytes of a process and all that it started; 0 for one that has ended."""
    try:
        pages = int(Path(f"/proc/{process}/statm").read_text().split()[1])
        children = [child for task in Path(f"/proc/{process}/task").iterdir() for child in (task / "children").read_text().split()]
    except OSError:
        return 0
    return pages * resource.getpagesize() + sum(resident_bytes(int(child)) for child in children)


def compressed_size(path: Path) -> int:
    """Bytes of the file through zstd at level 3, in blocks far larger than its window."""
    import pyarrow as pa

    codec = pa.Codec("zstd", 3)
    with path.open("rb") as source:
        return sum(len(codec.compress(block, asbytes=True)) for block in iter(lambda: source.read(_COMPRESSED_AT_ONCE), b""))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--vms", type=int, default=25_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--machines-only", action="store_true", help="leave out every type but virtual machines")
    parser.add_argument("--run", nargs=2, metavar=("FILE", "DIR"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.run:
        print(json.dumps(run_import(Path(options.run[0]), Path(options.run[1]) if options.run[1] else None)))
        return
    with tempfile.TemporaryDirectory() as folder:
        report(Path(folder), options)


def report(folder: Path, options: argparse.Namespace) -> None:
    source, target = folder / "documents.jsonl", folder / "inventory"
    count = write(source, lines(options.vms, options.seed, options.machines_only))
    kinds = "virtual machines" if options.machines_only else "documents of all types"
    print(f"{count:,} {kinds}, {source.stat().st_size / count:,.0f} bytes each, seed {options.seed}")
    filed, held = in_own_process(source, target), in_own_process(source, None)
    for name, figures in (("a directory", filed), ("memory", held)):
        speed = f"{count / figures['seconds']:>8,.0f} documents/s, {figures['processor']:>6,.1f} processor seconds"
        print(f"into {name:12} {speed}, {figures['peak'] / 1e6:>6,.0f} MB resident at most")
    disk = sum(file.stat().st_size for file in target.rglob("*") if file.is_file())
    packed = compressed_size(source)
    print(f"bytes a document: {disk / count:,.0f} on disk, {held['held'] / count:,.0f} in memory, {packed / count:,.0f} through zstd -3")
    print(f"on disk / zstd -3: {disk / packed:.2f}")


if __name__ == "__main__":
    main()
