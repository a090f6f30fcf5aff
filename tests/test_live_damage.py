"""What is damaged, missing, full, or goes backwards: an inventory beside a good log comes to what the core has, and says so."""

import json
import logging
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

import kqlite
from kqlite.errors import InventoryError
from kqlite.inventory.imports.files import load_files
from kqlite.inventory.store import database
from kqlite.inventory.store.database import Database, NoRoomError
from kqlite.inventory.store.store import Store
from kqlite.orchestration.clock import DAY, HOUR, Clock
from kqlite.orchestration.log import LogError, SqliteLog, every_event
from kqlite.simulation import LOG_NAME, Simulation
from tests.support.arm_rows import state_of
from tests.support.live_checks import assert_same, check_records, records, shown

FILE = "inventory.duckdb"


def simulated(directory: Path, seed: int = 1, lag: Any = 0) -> Simulation:
    simulation = Simulation(directory, seed=seed, features="all", lag=lag)
    if simulation.arm("HEAD", f"{simulation._group_path('rg', None)}?api-version=2021-07-01").status == 404:
        simulation.create_scale_set("web", capacity=2)
        simulation.create_vm("solo")
        simulation.settle()
    return simulation


def left(directory: Path, seed: int = 1) -> None:
    """A directory that a simulation has left, with an inventory that has everything."""
    with simulated(directory, seed) as simulation:
        simulation.advance("2m")
        simulation.inventory.query("resources | count")


def check_whole(simulation: Simulation) -> None:
    snapshot, found = shown(simulation.inventory)
    assert_same(found, state_of(simulation))
    assert snapshot.sequence == simulation.log.last
    check_records(records(simulation.inventory), simulation.log, simulation.log.last, simulation.plane.now)


def store_of(simulation: Simulation) -> Any:
    return simulation.inventory.access._engine.store  # type: ignore[attr-defined]


def snapshotter_of(simulation: Simulation) -> Any:
    assert simulation._live is not None
    return simulation._live.snapshotter


# Damage


def cut(file: Path) -> None:
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])


def empty(file: Path) -> None:
    file.write_bytes(b"")


def text(file: Path) -> None:
    file.write_text("this is no database\n" * 1000)


def headless(file: Path) -> None:
    file.write_bytes(bytes(4096 * 3) + file.read_bytes()[4096 * 3 :])


def scratched(file: Path) -> None:
    data = bytearray(file.read_bytes())
    for at in range(4096 * 3 + 1000, len(data), 50_000):
        data[at] ^= 0xFF
    file.write_bytes(bytes(data))


def missing(file: Path) -> None:
    file.unlink()


DAMAGES: tuple[Callable[[Path], None], ...] = (cut, empty, text, headless, scratched, missing)


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_inventory_is_made_anew_from_the_log(
    damage: Callable[[Path], None], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    left(tmp_path)
    damage(tmp_path / FILE)
    with caplog.at_level(logging.WARNING, "kqlite"), simulated(tmp_path) as simulation:
        check_whole(simulation)
        simulation.create_vm("another")
        simulation.settle()
        check_whole(simulation)
    assert "made anew from the log" in caplog.text
    assert len(list(tmp_path.glob(f"{FILE}.damaged-*"))) == (damage is not missing)
    caplog.clear()
    with simulated(tmp_path) as simulation:
        check_whole(simulation)
    assert caplog.text == ""


@pytest.mark.parametrize("damage", DAMAGES)
def test_whoever_reads_a_damaged_inventory_gets_right_answers(damage: Callable[[Path], None], tmp_path: Path) -> None:
    left(tmp_path)
    damage(tmp_path / FILE)
    with kqlite.connect(tmp_path) as connection:
        _, found = shown(connection)
    with simulated(tmp_path) as simulation:
        assert_same(found, state_of(simulation))


def test_a_file_that_another_has_open_is_not_taken_for_a_damaged_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    left(tmp_path)
    monkeypatch.setattr(database, "_DYING", timedelta(0))
    code = f"import duckdb; c = duckdb.connect({str(tmp_path / FILE)!r}); print('open', flush=True); input()"
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "open\n"
        with simulated(tmp_path) as simulation, pytest.raises(InventoryError, match="Could not set lock"):
            simulation.inventory.query("resources | count")
        other.communicate("\n")
    with simulated(tmp_path) as simulation:
        check_whole(simulation)
    assert not list(tmp_path.glob(f"{FILE}.damaged-*"))


def test_no_damage_is_met_with_a_wrong_answer(tmp_path: Path) -> None:
    """Wherever a byte of the file is another one, it is refused when it is opened or read, unless nothing hangs on it."""
    whole = tmp_path / "whole"
    left(whole)
    with kqlite.connect(whole) as connection:
        right = shown(connection)[1]
    data = (whole / FILE).read_bytes()
    met = []
    for at in range(20_000, len(data), 2**18):
        directory = tmp_path / str(at)
        directory.mkdir()
        shutil.copy(whole / "manifest.json", directory)
        (directory / FILE).write_bytes(data[:at] + bytes([data[at] ^ 0xFF]) + data[at + 1 :])
        try:
            with kqlite.connect(directory) as connection:
                met.append("opened")
                assert_same(shown(connection)[1], right)
        except InventoryError as error:
            met.append(str(error))
    assert any("damaged" in message for message in met), met


def test_imported_rows_of_a_damaged_inventory_are_set_aside(tmp_path: Path) -> None:
    left(tmp_path / "a")
    left(tmp_path / "b", seed=2)
    shutil.copy(tmp_path / "b" / FILE, tmp_path / "a" / FILE)
    with simulated(tmp_path / "a") as simulation:
        check_whole(simulation)
    [aside] = (tmp_path / "a").glob(f"{FILE}.damaged-*")
    assert aside.read_bytes() == (tmp_path / "b" / FILE).read_bytes()


def test_an_inventory_of_another_log_is_made_anew(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Their events have the same numbers and times: both begin at the same instant."""
    for name, seed in (("a", 1), ("b", 2)):
        with simulated(tmp_path / name, seed) as simulation:
            simulation.inventory.query("resources | count")
    shutil.copy(tmp_path / "b" / FILE, tmp_path / "a" / FILE)
    with simulated(tmp_path / "a") as simulation:
        check_whole(simulation)
    assert "another one" in caplog.text


def test_an_inventory_that_is_further_than_its_log_is_made_anew(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with simulated(tmp_path) as simulation:
        simulation.inventory.query("resources | count")
        log = {name: (tmp_path / name).read_bytes() for name in (LOG_NAME, f"{LOG_NAME}-wal", f"{LOG_NAME}-shm")}
        simulation.create_vm("more")
        simulation.settle()
        simulation.inventory.query("resources | count")
    for name, data in log.items():
        (tmp_path / name).write_bytes(data)
    with simulated(tmp_path) as simulation:
        check_whole(simulation)
    assert "made anew from the log" in caplog.text


def test_a_directory_of_a_later_version_is_refused(tmp_path: Path) -> None:
    left(tmp_path)
    manifest = tmp_path / "manifest.json"
    document = json.loads(manifest.read_text())
    manifest.write_text(json.dumps({**document, "format": document["format"] + 1}))
    with simulated(tmp_path) as simulation, pytest.raises(InventoryError, match="upgrade kqlite"):
        simulation.inventory.query("resources")


def test_a_second_writer_is_told_who_holds_the_directory(tmp_path: Path) -> None:
    with simulated(tmp_path) as simulation:
        simulation.inventory.query("resources | count")
        with pytest.raises(LogError, match="in use"):
            Simulation(tmp_path)
        from kqlite.directory.data_directory import DataDirectory, InUseError

        with pytest.raises(InUseError, match=f"process {os.getpid()}"):
            DataDirectory.open(tmp_path, writable=True)
        check_whole(simulation)


def test_what_a_dead_process_left_is_in_nobodys_way(tmp_path: Path) -> None:
    left(tmp_path)
    dead = subprocess.Popen(["true"])
    dead.wait()
    record = {"pid": dead.pid, "command": "kqlite simulate", "since": "2026-01-01T00:00:00+00:00", "shares": True, "socket": "socket"}
    (tmp_path / "lock").write_text(json.dumps(record) + "\n")
    (tmp_path / "socket").write_text("")
    (tmp_path / "wanted").write_text("")
    with kqlite.connect(tmp_path) as connection:
        assert len(connection.query("resources")) > 0
    (tmp_path / "lock").write_text(json.dumps(record) + "\n")
    with simulated(tmp_path) as simulation:
        check_whole(simulation)
        with kqlite.connect(tmp_path) as connection:
            assert connection.query("resources | count").to_pylist() == simulation.inventory.query("resources | count").to_pylist()


# Rows that nobody should have touched


def test_a_crawl_repairs_rows_that_are_missing_old_or_too_many(tmp_path: Path) -> None:
    with simulated(tmp_path) as simulation:
        check_whole(simulation)
        held, table = store_of(simulation), '"resources/microsoft.compute/virtualmachines"'
        with held._database.writing() as cursor:
            cursor.execute(f"CREATE TABLE kept AS FROM {table} WHERE _key LIKE '%/solo'")
            cursor.execute(f"DELETE FROM {table} WHERE _key = (SELECT min(_key) FROM {table})")
            cursor.execute(f"UPDATE {table} SET _seq = 1, name = 'wrong' WHERE _key = (SELECT max(_key) FROM {table})")
            cursor.execute('DELETE FROM "healthresources/microsoft.resourcehealth/availabilitystatuses"')
        simulation.act("solo", "delete")
        simulation.settle()
        simulation.inventory.query("resources | count")
        with held._database.writing() as cursor:
            cursor.execute(f"INSERT INTO {table} FROM kept")
            cursor.execute("DELETE FROM _tombstones")
            cursor.execute("DROP TABLE kept")
        with pytest.raises(AssertionError):
            check_whole(simulation)
        assert snapshotter_of(simulation).crawl(simulation.plane.now) >= 3
        check_whole(simulation)
        assert snapshotter_of(simulation).crawl(simulation.plane.now) == 0
        simulation.settle()
        simulation.create_vm("solo")
        simulation.settle()
        check_whole(simulation)


def test_rows_that_were_imported_are_no_damage(tmp_path: Path) -> None:
    file = tmp_path / "more.jsonl"
    file.write_text(json.dumps({"id": "/subscriptions/s/resourceGroups/g/providers/a/b/c", "type": "a/b", "name": "c"}) + "\n")
    with simulated(tmp_path / "d") as simulation:
        simulation.inventory.query("resources | count")
        load_files([file], store_of(simulation))
        assert snapshotter_of(simulation).crawl(simulation.plane.now) == 0
        assert len(simulation.inventory.query("resources | where type == 'a/b'")) == 1


# Time


def test_a_clock_that_goes_backwards_changes_nothing(tmp_path: Path) -> None:
    with simulated(tmp_path, lag="10s") as simulation:
        simulation.advance("1m")
        before, found = shown(simulation.inventory)
        snapshotter_of(simulation).tick(simulation.plane.now - HOUR)
        after, same = shown(simulation.inventory)
        assert (after.sequence, after.watermark) == (before.sequence, before.watermark)
        assert_same(same, found)


def test_a_wall_that_goes_backwards_holds_the_time_where_it_is(tmp_path: Path) -> None:
    wall = [100.0]
    clock = Clock("scaled", 60.0, read=lambda: wall[0])
    with Simulation(tmp_path, clock=clock, features="all", lag=0) as simulation:
        simulation.create_vm("solo")
        wall[0] = 110.0
        simulation.plane.catch_up()
        reached = simulation.plane.durable_now
        assert simulation.inventory.wait_for(simulation.log.last, 20)
        wall[0] = 50.0
        simulation.create_vm("other")
        assert simulation.plane.durable_now == reached
        assert simulation.inventory.wait_for(simulation.log.last, 20)
        snapshotter_of(simulation).tick(reached - DAY)
        check_whole(simulation)


@pytest.mark.parametrize("lag", ["10s", "per-resource 0s..60s"])
def test_records_are_kept_for_14_days(lag: str, tmp_path: Path) -> None:
    with simulated(tmp_path, lag=lag) as simulation:
        simulation.advance("1h")
        connection = simulation.inventory
        first = len(records(connection))
        assert first > 10
        for _ in range(8):
            simulation.advance("2d")
            simulation.act("solo", "restart")
            simulation.settle()
            simulation.advance("2m")
            snapshot = connection.query("resources | count").snapshot
            check_records(records(connection), simulation.log, snapshot.sequence or 0, simulation.plane.now)
        old = {event.sequence for event in every_event(simulation.log) if simulation.plane.now - event.time > 15 * DAY}
        assert len(old) >= first
        assert old.isdisjoint(records(connection))
    with simulated(tmp_path, lag=lag) as simulation:
        simulation.advance("15d")
        check_records(records(simulation.inventory), simulation.log, simulation.log.last, simulation.plane.now)
        assert not records(simulation.inventory)


# Room


def test_nothing_is_half_applied_where_the_store_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with simulated(tmp_path, lag="5s") as simulation:
        simulation.advance("1m")
        connection = simulation.inventory
        before = connection.query("resources | count").snapshot
        snapshotter = snapshotter_of(simulation)
        simulation.create_vm("late")
        simulation.settle()
        apply = Store.apply

        def refuse(self: Store, changes: Any, watermark: Any, feed_offset: Any = None, records: Any = ()) -> None:
            """The disk is full when everything but the last piece of the transaction is in."""

            def failing(pieces: Any) -> Iterator[Any]:
                yield from pieces
                raise InventoryError("nothing was written: no space left")

            apply(self, changes, watermark, feed_offset, failing(records))

        monkeypatch.setattr(Store, "apply", refuse)
        for _ in range(2):
            simulation.advance("1m")
            with pytest.raises(InventoryError, match="no space left"):
                connection.query("resources | count")
            assert snapshotter.status().trouble == "nothing was written: no space left"
        with store_of(simulation).snapshot() as snapshot:
            assert snapshot.watermark == before.watermark
            assert json.loads(snapshot.feed_offset)["sequence"] == before.sequence
        monkeypatch.undo()
        check_whole(simulation)
        assert snapshotter.status().trouble == ""


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 24 MiB."""
    folder = tmp_path / "small"
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", str(folder)], capture_output=True, check=False)
    if mounted.returncode:
        pytest.skip("only root mounts a small disk")
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def fill(folder: Path, spare: int = 0) -> Path:
    """Leave so many bytes free."""
    file = folder / "filler"
    with file.open("wb", buffering=0) as stream:
        stream.write(bytes(max(0, shutil.disk_usage(folder).free - spare)))
    return file


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root mounts a small disk")
@pytest.mark.parametrize("foreseen", [True, False])
def test_a_full_disk_keeps_nothing_from_being_right(foreseen: bool, small_disk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """foreseen: whether it is seen before a checkpoint is begun, or DuckDB gives its database up in the middle."""
    directory = small_disk / "d"
    with simulated(directory) as simulation:
        check_whole(simulation)
        held = store_of(simulation)
        assert held.checkpoint()
        kept = simulation.inventory.query("resources | count").to_pylist()
        filler = fill(small_disk, 2 * 2**20)
        simulation.create_scale_set("more", capacity=20)
        simulation.settle()
        check_whole(simulation)
        fill(small_disk)
        if not foreseen:
            monkeypatch.setattr(Database, "_check_room", lambda self: None)
        with pytest.raises(NoRoomError if foreseen else InventoryError, match="no checkpoint was written"):
            held.checkpoint()
        filler.unlink()
        if not foreseen:
            with held.snapshot() as snapshot:
                assert json.loads(snapshot.feed_offset)["sequence"] < simulation.log.last
            snapshotter_of(simulation)._pending = snapshotter_of(simulation)._resume()
        assert simulation.inventory.query("resources | count").to_pylist() != kept
        check_whole(simulation)
        assert held.checkpoint()
        simulation.create_vm("late")
        simulation.settle()
        simulation.advance(1)
        check_whole(simulation)
    with simulated(directory) as simulation:
        check_whole(simulation)


@pytest.mark.parametrize("error", [LogError("not now"), KeyboardInterrupt()])
def test_a_log_that_is_not_to_be_read_for_once_leaves_nothing_open(
    error: BaseException, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object) -> None:
        raise error

    left(tmp_path)
    with simulated(tmp_path) as simulation:
        for _ in range(2):
            with monkeypatch.context() as patch:
                patch.setattr(SqliteLog, "definitions", fails)
                with pytest.raises(type(error)):
                    _ = simulation.inventory
        check_whole(simulation)
    with monkeypatch.context() as patch:
        patch.setattr(SqliteLog, "read", fails)
        with pytest.raises(type(error)) as caught:
            kqlite.connect(tmp_path)
    assert caught.tb is not None, "what is still open is open because of it"
    with simulated(tmp_path) as simulation:
        check_whole(simulation)
    assert not list(tmp_path.glob("*.damaged-*"))
