"""The data directory: what is one, who may have it, what a crash leaves."""

import json
import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from kqlite.directory import lock
from kqlite.directory.data_directory import FORMAT, MANIFEST, DataDirectory, DirectoryError, InUseError
from kqlite.errors import InventoryError


def test_a_new_directory_says_what_it_is(tmp_path):
    path = tmp_path / "new" / "inventory"
    made = DataDirectory.create(path)
    manifest = json.loads((path / MANIFEST).read_text())
    assert manifest["format"] == FORMAT
    assert manifest["writer"].startswith("kqlite ")
    assert manifest["parts"] == {"store": "inventory.duckdb"}
    assert made.store == path / "inventory.duckdb"
    assert made.writable
    made.close()
    again = DataDirectory.open(path)
    assert (again.store, again.writable) == (made.store, False)
    again.close()


def test_the_manifest_names_the_parts(tmp_path):
    DataDirectory.create(tmp_path / "i").close()
    manifest = tmp_path / "i" / MANIFEST
    manifest.write_text(json.dumps(json.loads(manifest.read_text()) | {"parts": {"store": "generation-7.duckdb", "later": "x"}}))
    opened = DataDirectory.open(tmp_path / "i")
    assert opened.store.name == "generation-7.duckdb"
    opened.close()


@pytest.mark.parametrize(
    ("manifest", "reason"),
    [
        (None, "not a data directory, since it has no manifest.json"),
        ("{", "not the manifest of a data directory"),
        ("[]", "not the manifest of a data directory"),
        ('{"format": 1}', "not the manifest of a data directory"),
        ('{"format": "1", "parts": {}}', "no format version"),
        ('{"format": 0, "parts": {}}', "no format version"),
        ('{"format": 1, "parts": {}}', "does not name the store"),
        ('{"format": 1, "parts": {"store": "../elsewhere"}}', "names parts that do not lie beside it"),
        ('{"format": 999, "parts": {}, "writer": "kqlite 9.1"}', r"written by kqlite 9\.1 in format 999, but this kqlite reads up to 1"),
    ],
)
def test_what_is_no_data_directory_is_refused(tmp_path, manifest, reason):
    if manifest is not None:
        (tmp_path / MANIFEST).write_text(manifest)
    for writable in (False, True):
        with pytest.raises(InventoryError, match=reason):
            DataDirectory.open(tmp_path, writable)
    assert {path.name for path in tmp_path.iterdir()} <= {MANIFEST, "lock"}


def test_what_is_not_there_or_not_a_folder(tmp_path):
    with pytest.raises(DirectoryError, match="no such file or directory"):
        DataDirectory.open(tmp_path / "missing")
    (tmp_path / "file").touch()
    with pytest.raises(DirectoryError, match="not a directory"):
        DataDirectory.open(tmp_path / "file")
    with pytest.raises(DirectoryError, match="a file, not a directory"):
        DataDirectory.create(tmp_path / "file")
    assert not (tmp_path / "missing").exists()


def test_a_folder_with_other_things_is_left_alone(tmp_path):
    (tmp_path / "holiday.jpg").touch()
    with pytest.raises(DirectoryError, match="not empty and not a data directory"):
        DataDirectory.open_or_create(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["holiday.jpg"]


def test_readers_share_and_a_writer_is_alone(tmp_path):
    path = tmp_path / "i"
    writer = DataDirectory.create(path)
    for writable in (False, True):
        with pytest.raises(InUseError, match=rf"in use by python.*, process {os.getpid()}; try again when it has ended") as caught:
            DataDirectory.open(path, writable)
        assert caught.value.record.holder == writer.holder
        assert not caught.value.record.shares
    writer.close()
    first, second = DataDirectory.open(path), DataDirectory.open(path)
    with pytest.raises(InUseError, match="in use, others read it") as caught:
        DataDirectory.open(path, writable=True, patience=0.1)
    assert caught.value.record is None
    assert not (path / "wanted").exists()
    first.close()
    second.close()
    DataDirectory.open(path, writable=True).close()


def test_a_writer_waits_for_readers_which_see_that_it_does(tmp_path):
    path = tmp_path / "i"
    DataDirectory.create(path).close()
    reader = DataDirectory.open(path)
    assert not lock.is_wanted(path)
    with ThreadPoolExecutor(1) as pool:
        writer = pool.submit(DataDirectory.open, path, writable=True, patience=30)
        while not lock.is_wanted(path):
            assert not writer.done()
        assert not lock.is_held_alone(path)
        reader.close()
        opened = writer.result(timeout=30)
    assert lock.is_held_alone(path)
    assert not lock.is_wanted(path)
    opened.close()
    assert not lock.is_held_alone(path)


def test_a_wish_that_a_dead_writer_left_is_none(tmp_path):
    (tmp_path / "wanted").touch()
    assert not lock.is_wanted(tmp_path)


def test_a_record_whose_lock_is_free_is_that_of_a_dead_process(tmp_path):
    path = tmp_path / "i"
    DataDirectory.create(path).close()
    assert lock.record_of(path) is None
    dead = DataDirectory.open(path, writable=True, shares=True)
    dead.name_socket("/tmp/kqlite-1/socket")
    record = lock.record_of(path)
    assert (record.holder, record.shares, record.socket) == (dead.holder, True, "/tmp/kqlite-1/socket")
    left = (path / "lock").read_bytes()
    dead.close()
    (path / "lock").write_bytes(left)
    DataDirectory.open(path).close()
    heir = DataDirectory.open(path, writable=True)
    assert heir.socket_left == "/tmp/kqlite-1/socket"
    assert lock.record_of(path).socket is None
    heir.close()


@pytest.mark.parametrize(
    "text", ["", "{}\n", "[]\n", "nonsense\n", '{"pid": 1, "command": "x"', '{"pid": 1, "command": "x", "since": 3}\n']
)
def test_a_damaged_record_says_nothing(tmp_path, text):
    path = tmp_path / "i"
    writer = DataDirectory.create(path)
    (path / "lock").write_text(text)
    with pytest.raises(InUseError, match="in use by another process; try again"):
        DataDirectory.open(path)
    writer.close()


@pytest.mark.parametrize(
    ("arguments", "command"),
    [
        (["/usr/bin/kqlite", "simulate", "d"], "kqlite simulate"),
        (["/x/kqlite/__main__.py", "import", "d"], "kqlite import"),
        (["kqlite", "--data", "d"], "kqlite"),
        (["/home/me/fleet.py", "x"], "python fleet.py"),
        (["-c"], "python"),
        ([""], "python"),
        ([], "python"),
    ],
)
def test_a_process_is_named_as_its_user_knows_it(monkeypatch, arguments, command):
    monkeypatch.setattr(sys, "argv", arguments)
    assert lock.own_command() == command


def test_a_folder_may_hold_what_belongs_beside_an_inventory(tmp_path):
    (tmp_path / "events.sqlite").touch()
    with pytest.raises(DirectoryError, match="not empty"):
        DataDirectory.create(tmp_path)
    DataDirectory.open_or_create(tmp_path, beside={"events.sqlite", "events.lock"}).close()
    DataDirectory.open(tmp_path).close()


HOLD = """
import sys
from pathlib import Path
from kqlite.directory.data_directory import DataDirectory
held = DataDirectory.open(Path(sys.argv[1]), writable=True)
(held.scratch / "spool").write_text("x" * 100)
print("held", flush=True)
sys.stdin.read()
"""


def test_a_crash_lets_go_and_its_scratch_is_swept(tmp_path):
    path = tmp_path / "i"
    DataDirectory.create(path).close()
    with subprocess.Popen([sys.executable, "-c", HOLD, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "held\n"
        with pytest.raises(DirectoryError, match=rf"in use by python, process {process.pid}"):
            DataDirectory.open(path)
        process.kill()
        process.wait()
    assert (path / "scratch" / "spool").exists()
    DataDirectory.open(path).close()
    assert (path / "scratch" / "spool").exists()
    DataDirectory.open(path, writable=True).close()
    assert not (path / "scratch").exists()


def test_a_directory_that_only_others_may_write_can_be_read(tmp_path):
    path = tmp_path / "i"
    DataDirectory.create(path).close()
    (path / "lock").unlink()
    path.chmod(0o500)
    try:
        if os.access(path, os.W_OK):
            pytest.skip("this user may write everywhere")
        DataDirectory.open(path).close()
        with pytest.raises(DirectoryError, match="cannot be written"):
            DataDirectory.open(path, writable=True)
    finally:
        path.chmod(0o700)


def test_what_was_made_can_be_taken_back(tmp_path):
    path = tmp_path / "i"
    made = DataDirectory.create(path)
    (made.scratch / "spool").touch()
    made.store.touch()
    made.remove()
    assert not path.exists()


def test_a_manifest_is_whole_at_every_moment(tmp_path):
    """Whoever opens while others make directories sees a whole one or none."""
    path = tmp_path / "i"
    outcomes: list[str] = []

    def look():
        while not outcomes or outcomes[-1] != "opened":
            try:
                DataDirectory.open(path).close()
                outcomes.append("opened")
            except DirectoryError as error:
                outcomes.append(str(error))

    looker = threading.Thread(target=look)
    looker.start()
    DataDirectory.create(path).close()
    looker.join()
    assert all("no such file or directory" in outcome or "no manifest.json" in outcome or "in use" in outcome for outcome in outcomes[:-1])
