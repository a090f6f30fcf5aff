"""Large imports: processes that read, and runs that are merged."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from kqlite.errors import InventoryError
from kqlite.inventory.imports import file_formats, files, sorted_runs, worker_processes
from kqlite.inventory.imports.files import load_files
from kqlite.inventory.shapes.batches import documents
from kqlite.inventory.store.store import Store
from tests.support.same_documents import by_id

VM = "microsoft.compute/virtualmachines"


def vm(name, type_=VM, **members):
    return {"id": f"/vms/{name}", "name": name, "type": type_} | members


def rows_of(count):
    """Rows whose shapes widen late, and whose groups and types are mixed."""
    for n in range(count):
        properties = {"n": n, "text": "ü\n" * (n % 3), "empty": [] if n < count // 2 else [{"a": n}]}
        if n > count * 3 // 4:
            properties["late"] = {"deep": [1.5, None]}
            properties["n"] = str(n)
        yield vm(f"{n * 7919 % 10007:05}", VM if n % 3 else "x/y", resourceGroup=f"g{n % 7}", properties=properties)


@pytest.fixture
def small_steps(monkeypatch):
    """Everything is too large to be taken at once."""
    monkeypatch.setattr(files, "_SMALL_BYTES", -1)
    monkeypatch.setattr(file_formats, "_BLOCK_BYTES", 5_000)
    monkeypatch.setattr(sorted_runs, "_MOST_BYTES", 20_000)
    monkeypatch.setattr(sorted_runs, "_MOST_WAITING", 50)


def loaded(paths, monkeypatch, processes):
    """What is in a store after these files were loaded: the rows, and by partition its shapes and the keys of its rows in order."""
    monkeypatch.setattr(worker_processes, "_processes_for", lambda size: processes)
    store = Store.in_memory()
    count = load_files(paths, store, enough_rows=10)
    with store.snapshot() as snapshot:
        parts = [part for name in snapshot.catalog.names() for part in snapshot.catalog.table(name).partitions]
        tables = {part.source: snapshot.run(f'SELECT * FROM "{part.source}"') for part in parts}
    rows = [row for part in parts for row in documents(tables[part.source], part)]
    store.close()
    assert len(rows) == len(by_id(rows))
    keys = {part.source: (part.shapes, tables[part.source].column("_key").to_pylist()) for part in parts}
    return count, by_id(rows), keys


@pytest.mark.parametrize("processes", [0, 1, 3])
def test_documents_come_back_whoever_reads_them(tmp_path, monkeypatch, small_steps, processes):
    rows = list(rows_of(1000))
    newer = [vm(row["name"], row["type"], kind="newer", resourceGroup="G") for row in rows[::5]]
    newest = [{**row, "id": row["id"].upper(), "kind": "newest"} for row in newer[::2]]
    contents = ["\n".join(map(json.dumps, rows)), json.dumps(newer), "\n".join(map(json.dumps, newest))]
    paths = [tmp_path / f"file{number}" for number in range(3)]
    for path, content in zip(paths, contents, strict=True):
        path.write_text(content)
    count, found, partitions = loaded(paths, monkeypatch, processes)
    assert count == 1300
    expected = {row["id"].lower(): row for row in [*rows, *newer, *newest]}
    assert found == by_id(expected.values())
    for _, keys in partitions.values():
        groups = [(expected[key].get("resourceGroup"), expected[key]["name"]) for key in keys]
        assert groups == sorted(groups)
    assert set(partitions) == {"resources/x/y", f"resources/{VM}"}


def test_processes_give_the_same_inventory_again(tmp_path, monkeypatch, small_steps):
    path = tmp_path / "rows"
    path.write_text("\n".join(map(json.dumps, rows_of(500))))
    assert loaded([path], monkeypatch, 2) == loaded([path], monkeypatch, 2)


@pytest.mark.parametrize("processes", [0, 2])
def test_the_first_of_many_faults_is_named(tmp_path, monkeypatch, small_steps, processes):
    lines = [json.dumps(row) for row in rows_of(600)]
    for number in (99, 100, 101, 150, 400):
        lines[number] = "{"
    path = tmp_path / "broken"
    path.write_text("\n".join(lines))
    with pytest.raises(InventoryError, match=rf"{path}, line 100: "):
        loaded([path], monkeypatch, processes)


def test_a_file_that_changes_meanwhile_is_refused(tmp_path, monkeypatch, small_steps):
    path = tmp_path / "rows"
    path.write_text("\n".join(map(json.dumps, rows_of(100))))
    hand = worker_processes._Worker.hand

    def changing(reader, lines):
        path.touch()
        hand(reader, lines)

    monkeypatch.setattr(worker_processes._Worker, "hand", changing)
    with pytest.raises(InventoryError, match="changed while it was read"):
        loaded([path], monkeypatch, 2)


def test_a_process_that_ends_is_told(tmp_path, monkeypatch, small_steps):
    path = tmp_path / "rows"
    path.write_text("\n".join(map(json.dumps, rows_of(300))))
    hand = worker_processes._Worker.hand

    def killing(reader, lines):
        hand(reader, lines)
        reader._process.kill()

    monkeypatch.setattr(worker_processes._Worker, "hand", killing)
    with pytest.raises(InventoryError, match=r"a process that read documents has ended \(-9\)"):
        loaded([path], monkeypatch, 2)


def test_a_bug_in_a_process_is_shown(tmp_path, monkeypatch, small_steps):
    path = tmp_path / "rows"
    path.write_text("\n".join(map(json.dumps, rows_of(100))))
    broken = tmp_path / "broken"
    broken.mkdir()
    (broken / "sitecustomize.py").write_text(
        "import kqlite.inventory.imports.sorted_runs as i\ndef fail(*_): 1 / 0\ni.RunWriter.add = fail\n"
    )
    monkeypatch.syspath_prepend(str(broken))
    with pytest.raises(RuntimeError, match="ZeroDivisionError"):
        loaded([path], monkeypatch, 1)


def test_processes_are_for_large_files(monkeypatch):
    assert worker_processes._processes_for(1000) == 0
    assert worker_processes._processes_for(1 << 40) <= (os.cpu_count() or 1)
    monkeypatch.setattr(sys, "executable", "")
    assert worker_processes._processes_for(1 << 40) == 0


IMPORT = """
import sys
from pathlib import Path
from kqlite.errors import InventoryError
from kqlite.inventory.imports import files, worker_processes
worker_processes._processes_for = lambda size: 2
if sys.argv[3] != "-":
    import resource
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[3]), -1))
try:
    files.import_files([Path(sys.argv[1])], Path(sys.argv[2]))
except InventoryError as error:
    print(error)
"""


def written(path):
    with path.open("w") as stream:
        for number in range(60_000):
            stream.write(json.dumps(vm(str(number), properties={"n": number, "text": "x" * 200})) + "\n")
    return path


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="looks for processes in Linux's /proc")
def test_an_interrupted_import_leaves_nothing_and_nobody(tmp_path):
    path, target = written(tmp_path / "vms.json"), tmp_path / "inventory"
    command = [sys.executable, "-c", IMPORT, str(path), str(target), "-"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, start_new_session=True)
    while not any(Path(target, "scratch").glob("*/spool1")):
        assert process.poll() is None
    readers_ = [int(child) for task in Path(f"/proc/{process.pid}/task").iterdir() for child in (task / "children").read_text().split()]
    assert len(readers_) == 2
    os.killpg(process.pid, signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert "KeyboardInterrupt" in errors
    assert errors.count("Traceback") == 1
    assert not target.exists()
    assert not any(Path(f"/proc/{reader}").exists() for reader in readers_)


def test_a_full_disk_is_told_by_a_process(tmp_path):
    path, target = written(tmp_path / "vms.json"), tmp_path / "inventory"
    command = [sys.executable, "-c", IMPORT, str(path), str(target), "200000"]
    answer = subprocess.run(command, capture_output=True, text=True, check=False)
    assert "no room for the documents" in answer.stdout, answer
    assert answer.stderr == ""
    assert not target.exists()
