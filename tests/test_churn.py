"""A store that is fed with changes: against a model, through crashes, under readers, without room, over time."""

import os
import signal
import subprocess
import sys
import threading
import time
from datetime import timedelta
from itertools import count
from pathlib import Path
from random import Random

import pyarrow as pa
import pytest

from kqlite.directory.data_directory import DataDirectory
from kqlite.inventory.imports.in_memory import incoming
from kqlite.inventory.shapes.change_batches import changes_of
from kqlite.inventory.shapes.resource_tables import HOT_LEAVES
from kqlite.inventory.store import hash_index, partitioning, small, upsert
from kqlite.inventory.store.maintenance import (
    CHECKPOINT_EVERY,
    CHECKPOINT_RECORDS,
    CHECKPOINT_ROWS,
    MERGE_EVERY,
    MERGES,
    QUIET_ROWS,
    RETRY_AFTER,
    Upkeep,
    Wear,
)
from kqlite.inventory.store.snapshot import SnapshotExpired
from kqlite.inventory.store.store import Store
from tests.support import churning
from tests.support.churning import DISK, GROWING, NOON, VM, Model, Stream

FULL = os.environ.get("KQLITE_CAMPAIGN") == "full"


def vm(name, **properties):
    return {"id": f"/vms/{name}", "name": name, "type": VM, "properties": properties}


def machines(*rows, sequences, **more):
    return changes_of("resources", VM, rows, sequences, **more)


# Against the model


@pytest.mark.parametrize("altering", [True, False], ids=["altered", "anew"])
@pytest.mark.parametrize("seed", range(200) if FULL else (0, 1, 2, 27))
def test_a_store_holds_what_the_model_says(seed, altering, tmp_path, monkeypatch):
    if altering:
        monkeypatch.setattr(partitioning, "ROWS_TO_ALTER", 5)
    check_against_model(seed, tmp_path / "inventory")


@pytest.mark.parametrize("hashed", ["hash(_key)", "hash(_key) % 4"], ids=["alone", "colliding"])
@pytest.mark.parametrize("seed", range(0, 400, 4) if FULL else (0, 8, 28))
def test_a_store_finds_rows_by_the_hashes_of_their_keys(seed, hashed, tmp_path, monkeypatch):
    met = []
    monkeypatch.setattr(hash_index, "WORTHWHILE", 1)
    monkeypatch.setattr(hash_index, "HASHED", hashed)
    monkeypatch.setattr(upsert, "_match_by_hash", lambda *given, by=upsert._match_by_hash: met.append(by(*given)) or met[-1])
    check_against_model(seed, tmp_path / "inventory")
    assert len(met) > 20
    assert (False in met) == ("%" in hashed)
    assert True in met


@pytest.mark.parametrize("most", [10_000, 60, 5], ids=["stays", "grows", "is none"])
@pytest.mark.parametrize("seed", range(1, 400, 2) if FULL else (1, 3, 7, 27))
def test_a_small_store_holds_what_the_model_says(seed, most, tmp_path, monkeypatch):
    monkeypatch.setattr(small, "MOST_ROWS", most)
    monkeypatch.setattr(small, "MOST_RECORDS", most)
    store = Store.in_memory(stays_small=True)
    monkeypatch.setattr(store, "cluster", lambda source: None if store.is_small else Store.cluster(store, source))
    was_small = check_against_model(seed, tmp_path / "inventory", store)
    assert was_small == (most == 10_000)


def check_against_model(seed, directory, store=None):
    """Whether the store was a small one at the end."""
    if store is None:
        store = Store.in_memory() if seed % 2 else Store.open(DataDirectory.create(directory), fed=seed % 4 == 0)
    stream, model = Stream(seed, lossy=seed % 3 == 1), Model()
    for step in stream.steps(40):
        churning.apply(store, step, model.newest)
        model.take(step)
        assert churning.step_of(store) == step.number
        if step.upkeep == "checkpoint":
            assert store.checkpoint()
        elif step.upkeep == "cluster":
            for source in churning.sources(store):
                store.cluster(source)
        elif step.upkeep == "forget":
            store.forget_deletions(stream.oldest_due - 1)
        elif step.upkeep == "reopen" and not seed % 2:
            store.close()
            store = Store.open(DataDirectory.open(directory, writable=True), fed=seed % 4 == 0)
        if step.upkeep or step.number % 20 == 0:
            churning.check(store, model)
    was_small = store.is_small
    store.close()
    return was_small


def test_rows_of_a_type_beside_its_partition_are_replaced():
    """An import can leave rows of a type in the shared partition that has one of its own by now."""
    store = Store.in_memory()
    old = {"id": "/d/1", "name": "1", "type": DISK, "kind": "old"}
    store.load(incoming([{**old, "type": "y/y"}, {**old, "id": "/d/2", "type": "y/y"}], enough_rows=10))
    store.load(incoming([{**old, "id": f"/d/{n}", "type": "y/y"} for n in (3, 4)], enough_rows=2))
    assert len(churning.sources(store)) == 2
    store.apply([changes_of("resources", "y/y", [{**old, "type": "y/y", "kind": "new"}], [1], {"/D/2": 2})], NOON)
    assert {row["id"]: row["kind"] for row in churning.stored(store)} == {"/d/1": "new", "/d/3": "old", "/d/4": "old"}
    store.close()


def test_imported_rows_are_replaced_whole():
    """Who promises that only hot leaves changed since event 1 says nothing of what was imported."""
    store = Store.in_memory()
    store.load(incoming([vm("a", provisioningState="Creating", n=1)]))
    store.apply([machines(vm("a", provisioningState="Succeeded", n=2), sequences=[7], since=[1])], NOON)
    assert churning.stored(store)[0]["properties"] == {"provisioningState": "Succeeded", "n": 2}
    store.close()


# Shapes that widen


def wide_store(rows=30_000, **open_):
    store = Store.in_memory(**open_)
    store.load(incoming(vm(f"{n:05}", provisioningState="Succeeded", profile={"size": "a"}, list=[{"id": str(n)}]) for n in range(rows)))
    return store


def properties_of(store, name):
    with store.snapshot() as snapshot:
        part = snapshot.catalog.partition("resources", f"resources/{VM}")
        from kqlite.inventory.shapes.batches import documents

        [row] = documents(snapshot.run(f"SELECT * FROM \"{part.source}\" WHERE name = '{name}'"), part)
        return row["properties"]


@pytest.mark.parametrize(
    "new",
    [
        {"fresh": "x"},
        {"fresh": {"a": {"b": [1]}}, "profile": {"size": "b", "more": 1}},
        {"extended": {"instanceView": {"powerState": {"code": "PowerState/running"}, "osName": "x"}}},
        {"provisioningState": 7},
        {"list": [{"id": "x", "more": 1}]},
        {"profile": {"size": 1.5}},
        {"profile": "text"},
    ],
)
def test_a_large_table_widens_for_one_row_and_readers_keep_theirs(new):
    store = wide_store()
    before = properties_of(store, "00007")
    with store.snapshot() as snapshot:
        version = snapshot.catalog.version
        part = snapshot.catalog.partition("resources", f"resources/{VM}")
        store.apply([machines(vm("00007", **before | new), sequences=[1])], NOON)
        store.apply([machines(vm("00008", **before | new), sequences=[2])], NOON)
        assert snapshot.run(f'SELECT count(*) AS n, max(_seq) AS s FROM "{part.source}"').to_pylist() == [{"n": 30_000, "s": 0}]
    assert properties_of(store, "00007") == before | new == properties_of(store, "00008")
    assert properties_of(store, "00009") == before | {"list": [{"id": "9"}]}
    store.cluster(f"resources/{VM}")
    assert properties_of(store, "00007") == before | new
    with store.snapshot() as snapshot:
        assert snapshot.catalog.version > version
        held = {name for name in snapshot.run(f'FROM "resources/{VM}" LIMIT 0').schema.names if name.startswith("_hot_")}
    known = {"_hot_" + path.replace(".", "_") for path in HOT_LEAVES[VM]}
    assert held <= known, "clustering brings into the struct what was held beside it"
    store.close()


def test_a_new_member_costs_no_new_table():
    store = wide_store()
    store.apply([machines(vm("new", provisioningState="Succeeded", fresh={"a": 1}), sequences=[1])], NOON)
    with store.snapshot() as snapshot:
        first = snapshot.run(f'SELECT name FROM "resources/{VM}" LIMIT 1 OFFSET 29999').to_pylist()
        assert "_hot_properties_fresh" in snapshot.run(f'FROM "resources/{VM}" LIMIT 0').schema.names
    assert first == [{"name": "29999"}]
    assert properties_of(store, "new") == {"provisioningState": "Succeeded", "fresh": {"a": 1}}
    store.close()


def test_leaves_that_become_hot_in_a_later_version_move_when_the_first_change_comes(tmp_path, monkeypatch):
    rows = [vm(f"{n}", provisioningState="Succeeded", extended={"instanceView": {"osName": "a", "n": n}}) for n in range(20)]
    with monkeypatch.context() as earlier:
        earlier.setitem(HOT_LEAVES, VM, ("properties.provisioningState",))
        store = Store.open(DataDirectory.create(tmp_path / "i"))
        store.load(incoming(rows))
        store.close()
    store = Store.open(DataDirectory.open(tmp_path / "i"))
    assert [row["properties"] for row in churning.stored(store)] == [row["properties"] for row in sorted(rows, key=lambda row: row["name"])]
    store.close()
    store = Store.open(DataDirectory.open(tmp_path / "i", writable=True), fed=True)
    store.apply([machines(vm("3", extended={"instanceView": {"osName": "b", "n": 3}}), sequences=[1], since=[0])], NOON)
    rows[3]["properties"] = {"extended": {"instanceView": {"osName": "b", "n": 3}}}
    assert {row["name"]: row["properties"] for row in churning.stored(store)} == {row["name"]: row["properties"] for row in rows}
    with store.snapshot() as snapshot:
        assert "_hot_properties_extended_instanceView_osName" in snapshot.run(f"FROM {MACHINES} LIMIT 0").schema.names
    store.close()


def test_a_type_that_grows_leaves_the_shared_partition():
    store = Store.in_memory()

    def rows(first, last):
        return [{"id": f"/g/{n}", "name": str(n), "type": GROWING, "properties": {"n": n, "l": [{"a": n}]}} for n in range(first, last)]

    store.apply([changes_of("resources", GROWING, rows(0, 900), range(1, 901))], NOON)
    assert churning.sources(store) == {"resources": frozenset({GROWING})}
    with store.snapshot() as snapshot:
        store.apply([changes_of("resources", GROWING, rows(899, 1000), range(1001, 1102), {"/g/5": 1200})], NOON)
        assert snapshot.run('SELECT count(*) AS n FROM "resources"').to_pylist() == [{"n": 900}]
    assert churning.sources(store) == {"resources": frozenset(), f"resources/{GROWING}": {GROWING}}
    found = {row["id"]: row["properties"] for row in churning.stored(store)}
    assert found == {row["id"]: row["properties"] for row in rows(0, 1000) if row["id"] != "/g/5"}
    store.close()


# Crashes


def killed_feeder(directory, seed, steps, after):
    process = subprocess.Popen(
        [sys.executable, "-m", churning.__name__, str(directory), str(seed), str(steps)],
        env=os.environ | {"PYTHONPATH": f"{Path(__file__).parent.parent}"},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout.readline() == "open\n"
    time.sleep(after)
    process.send_signal(signal.SIGKILL)
    printed, _ = process.communicate()
    return printed


@pytest.mark.parametrize("seed", range(20 if FULL else 2))
def test_after_a_kill_rows_and_feed_offset_agree_and_the_feed_goes_on(seed, tmp_path):
    chance, steps = Random(seed), 100
    for _ in range(8 if FULL else 3):
        done = killed_feeder(tmp_path / "i", seed, steps, chance.uniform(0.05, 1.5))
        store = Store.open(DataDirectory.open(tmp_path / "i", writable=True), fed=True)
        model = Model()
        for step in Stream(seed).steps(steps):
            if step.number <= churning.step_of(store):
                model.take(step)
        churning.check(store, model)
        store.close()
        if done:
            break
    churning.feed(tmp_path / "i", seed, steps)
    store = Store.open(DataDirectory.open(tmp_path / "i"))
    model = Model()
    for step in Stream(seed).steps(steps):
        model.take(step)
    churning.check(store, model)
    store.close()


LOADED = """
import os, sys
from pathlib import Path
from kqlite.directory.data_directory import DataDirectory
from kqlite.inventory.imports.in_memory import incoming
from kqlite.inventory.store.store import Store
store = Store.open(DataDirectory.open_or_create(Path(sys.argv[1])), fed=True)
store.load(incoming({"id": f"/n/{n}", "name": str(n), "type": "t/t"} for n in range(2000)))
os.kill(os.getpid(), 9)
"""


def test_what_is_loaded_is_durable_where_changes_are_not(tmp_path):
    subprocess.run([sys.executable, "-c", LOADED, str(tmp_path / "i")], check=False)
    store = Store.open(DataDirectory.open(tmp_path / "i"))
    assert len(churning.stored(store)) == 2000
    store.close()


def test_a_directory_with_a_wal_of_before_can_be_fed(tmp_path):
    directory = tmp_path / "i"
    script = LOADED.replace(", fed=True", "").replace("store.load", "store._checkpoint = lambda *_: True; store.load")
    subprocess.run([sys.executable, "-c", script, str(directory)], check=False)
    assert directory.joinpath("inventory.duckdb.wal").exists()
    store = Store.open(DataDirectory.open(directory, writable=True), fed=True)
    store.apply([machines(vm("a"), sequences=[1])], NOON)
    assert store.checkpoint()
    store.close()
    store = Store.open(DataDirectory.open(directory))
    assert len(churning.stored(store)) == 2001
    store.close()


# No room

FULL_DISK = """
import resource, sys
from pathlib import Path
from kqlite.directory.data_directory import DataDirectory
from kqlite.errors import InventoryError
from kqlite.inventory.shapes.change_batches import changes_of
from kqlite.inventory.store.store import Store
import os
store = Store.open(DataDirectory.open_or_create(Path(sys.argv[1])), fed=True)
def batch(first):
    texts = [os.urandom(300).hex() for _ in range(3000)]
    rows = [{"id": f"/v/{first + n}", "name": "x", "type": "t/t", "properties": {"text": text}} for n, text in enumerate(texts)]
    return changes_of("resources", "t/t", rows, range(first + 1, first + 3001))
def count():
    with store.snapshot() as snapshot:
        return snapshot.run('SELECT count(*) AS n FROM "resources/t/t"').to_pylist()[0]["n"], snapshot.feed_offset
store.apply([batch(0)], None, "0")
assert store.checkpoint()
limit = os.path.getsize(sys.argv[1] + "/inventory.duckdb") + 100_000
resource.setrlimit(resource.RLIMIT_FSIZE, (limit, -1))
for _ in range(2):
    store.apply([batch(3000)], None, "1")
    assert count() == (6000, "1")
    try:
        store.checkpoint()
    except InventoryError as error:
        print("told:", error)
    print(count())
resource.setrlimit(resource.RLIMIT_FSIZE, (-1, -1))
for number in range(int(store.feed_offset()) + 1, 3):
    store.apply([batch(3000 * number)], None, str(number))
assert store.checkpoint()
print(count())
store.close()
"""


def test_a_full_disk_is_told_and_when_there_is_room_it_goes_on(tmp_path):
    done = subprocess.run([sys.executable, "-c", FULL_DISK, str(tmp_path / "i")], capture_output=True, text=True, check=False)
    assert done.stderr == ""
    lines = done.stdout.splitlines()
    assert ["no checkpoint was written" in line for line in lines] == [True, False, True, False, False], lines
    assert lines[1::2] + lines[-1:] == ["(3000, '0')", "(3000, '0')", "(9000, '2')"], (
        "rows and feed offset agree, as of the last checkpoint"
    )
    store = Store.open(DataDirectory.open(tmp_path / "i"))
    assert store.feed_offset() == "2"
    assert len(churning.stored(store)) == 9000
    store.close()


# Readers

MACHINES = f'"resources/{VM}"'


def test_no_reader_sees_half_a_batch(tmp_path):
    """A batch moves as many machines from one state to the other as back, and some from one size to another; totals stay what they are."""
    store = Store.open(DataDirectory.create(tmp_path / "i"), fed=True, time_limit=timedelta(seconds=30))
    machines_ = 20_000
    at = [n % 2 for n in range(machines_)]

    def row(n):
        return vm(f"{n:05}", provisioningState=("Succeeded", "Updating")[at[n]], size=at[n] if n % 50 == 0 else 5)

    store.load(incoming(map(row, range(machines_))))
    sequence = machines_
    store.apply([machines(*map(row, range(machines_)), sequences=range(1, sequence + 1))], NOON, str(sequence))
    ended, failures, checks = threading.Event(), [], []

    def read():
        try:
            while not ended.is_set():
                with store.snapshot() as snapshot:
                    [found] = snapshot.run(
                        f"SELECT count(*) AS rows, count(DISTINCT _key) AS keys, max(_seq) AS newest, "
                        f"count(*) FILTER (_hot_properties_provisioningState = 'Updating') AS updating, "
                        f"count(*) FILTER (properties.size = 1) AS large FROM {MACHINES}"
                    ).to_pylist()
                    expected = {"rows": machines_, "keys": machines_, "newest": int(snapshot.feed_offset), "updating": 10_000, "large": 0}
                    assert found == expected
                    [again] = snapshot.run(f"SELECT sum(_seq)::BIGINT AS sum FROM {MACHINES}").to_pylist()
                    assert snapshot.run(f"SELECT sum(_seq)::BIGINT AS sum FROM {MACHINES}").to_pylist() == [again]
                    checks.append(found["newest"])
        except BaseException as error:
            failures.append(error)

    readers = [threading.Thread(target=read) for _ in range(8)]
    for reader in readers:
        reader.start()
    chance, upkeep = Random(1), Upkeep(store)
    began, batches = time.monotonic(), 0
    by_state = [[n for n in range(machines_) if n % 2 == parity and n % 50] for parity in (0, 1)]
    try:
        while (batches < 6 or time.monotonic() - began < (60 if FULL else 3)) and not failures:
            moved = [n for group in by_state for n in chance.sample(group, 200)]
            for n in moved:
                at[n] = 1 - at[n]
            by_state = [[n for n in range(machines_) if at[n] == state and n % 50] for state in (0, 1)]
            replaced = chance.sample(range(0, machines_, 50), 20)
            touched = moved + replaced
            since = [1] * len(moved) + [sequence + len(moved) + k for k in range(1, len(replaced) + 1)]
            numbers = range(sequence + 1, sequence + len(touched) + 1)
            sequence += len(touched)
            store.apply([machines(*map(row, touched), sequences=numbers, since=since)], NOON, str(sequence))
            upkeep.tick()
            batches += 1
    finally:
        ended.set()
        for reader in readers:
            reader.join()
    assert failures == []
    assert len(set(checks)) > 3
    assert store.checkpoint()
    store.close()


def test_a_snapshot_that_lasts_too_long_is_ended_and_checkpoints_go_on():
    store = Store.in_memory(time_limit=timedelta(seconds=0.3))
    store.apply([machines(vm("a", provisioningState="x"), sequences=[1])], NOON)
    with store.snapshot() as snapshot:
        snapshot.run(f"FROM {MACHINES}")
        store.apply([machines(vm("a", provisioningState="y"), sequences=[2], since=[1])], NOON)
        assert not store.checkpoint()
        assert store.checkpoint(timedelta(seconds=5))
        with pytest.raises(SnapshotExpired, match=r"no query, and no snapshot, may last longer than 0\.3 s"):
            snapshot.run("SELECT 1")
    with store.snapshot() as snapshot:
        started = time.monotonic()
        with pytest.raises(SnapshotExpired):
            snapshot.run("SELECT count(*) FROM range(1000000) AS a, range(1000000) AS b WHERE a.range * b.range % 7 = 3")
        assert time.monotonic() - started < 10
    for _ in range(3):
        with store.snapshot() as snapshot:
            assert snapshot.run("SELECT 1 AS a").to_pylist() == [{"a": 1}]
    store.close()


# Upkeep


class Clock:
    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now


def test_checkpoints_are_due_by_time_and_by_rows(tmp_path):
    store = Store.open(DataDirectory.create(tmp_path / "i"), fed=True)
    clock = Clock()
    upkeep = Upkeep(store, clock)
    clock.now = 100
    assert upkeep.tick().checkpointed is None, "there is nothing new"
    store.apply([machines(vm("a", provisioningState="x"), sequences=[1])], NOON)
    assert upkeep.tick().checkpointed
    store.apply([machines(vm("a", provisioningState="y"), sequences=[2], since=[1])], NOON)
    every = CHECKPOINT_EVERY.total_seconds()
    clock.now = 100 + every - 1
    assert upkeep.tick().checkpointed is None
    clock.now = 100 + every
    with store.snapshot() as reader:
        reader.run(f"FROM {MACHINES}")
        store.apply([machines(vm("a", provisioningState="z"), sequences=[3], since=[1])], NOON)
        assert upkeep.tick().checkpointed is False
        assert upkeep.tick().checkpointed is None, "it is put off"
    clock.now += RETRY_AFTER.total_seconds()
    assert upkeep.tick().checkpointed
    store.wear.changed, store.wear.written = True, CHECKPOINT_ROWS
    assert upkeep.tick().checkpointed
    store.wear.changed, store.wear.appended = True, CHECKPOINT_RECORDS
    assert upkeep.tick().checkpointed
    store.close()


class Kept:
    """A store of which only the wear is of interest, and how each checkpoint was asked for."""

    def __init__(self):
        self.wear = Wear({})
        self.merges = []

    def checkpoint(self, patience, merges):
        self.merges.append(merges)
        self.wear.checkpointed()
        return True


def test_row_groups_are_merged_where_that_keeps_nobody_waiting_and_else_now_and_then():
    store, clock = Kept(), Clock()
    upkeep = Upkeep(store, clock)

    def after(seconds, appended):
        clock.now += seconds
        store.wear.changed, store.wear.appended = True, appended
        assert upkeep.tick().checkpointed
        return store.merges.pop()

    every, merging = CHECKPOINT_EVERY.total_seconds(), MERGE_EVERY.total_seconds()
    assert after(every, QUIET_ROWS - 1) == MERGES
    assert after(every, QUIET_ROWS) == 0
    assert after(merging - 2 * every, QUIET_ROWS) == 0
    assert after(every, QUIET_ROWS) == 1
    assert after(every, QUIET_ROWS) == 0
    assert after(every, 0) == MERGES
    assert after(merging - every, QUIET_ROWS) == 0


def test_a_table_is_clustered_when_a_fifth_was_replaced_and_that_outlasts_the_process(tmp_path):
    store = Store.open(DataDirectory.create(tmp_path / "i"), fed=True)
    rows = [vm(f"{n:05}", n=n) for n in range(12_000)]
    store.load(incoming(rows))
    changed = [vm(f"{n:05}", n=-1) for n in range(0, 12_000, 6)]
    store.apply([machines(*changed, sequences=range(1, 2001))], NOON)
    assert Upkeep(store).tick().clustered is None
    assert store.checkpoint()
    store.close()
    store = Store.open(DataDirectory.open(tmp_path / "i", writable=True), fed=True)
    changed += [vm(f"{n:05}", n=-1) for n in range(1, 12_000, 24)]
    store.apply([machines(*changed[2000:], sequences=range(3001, 3001 + 500))], NOON)
    done = Upkeep(store).tick()
    assert (done.clustered, done.checkpointed) == (f"resources/{VM}", True)
    with store.snapshot() as snapshot:
        found = snapshot.run(f"SELECT name, properties.n AS n FROM {MACHINES}").to_pylist()
    moved = {row["name"] for row in changed}
    assert found == [{"name": row["name"], "n": -1 if row["name"] in moved else row["properties"]["n"]} for row in rows]
    assert Upkeep(store).tick().clustered is None
    store.close()


def test_hot_changes_leave_rows_where_they_are_and_pass_older_ones(tmp_path):
    store = Store.in_memory()
    store.apply([machines(*(vm(name, provisioningState="x", n=1) for name in "abc"), sequences=[1, 2, 3])], NOON)
    late = [vm("a", provisioningState="late"), vm("b", provisioningState="new", n=1), vm("c", provisioningState="newer", n=9)]
    store.apply([machines(*late, sequences=[1, 12, 13], since=[1, 2, 13])], NOON)
    with store.snapshot() as snapshot:
        found = snapshot.run(f"SELECT name, _seq, _hot_properties_provisioningState AS state FROM {MACHINES}").to_pylist()
    assert [tuple(row.values()) for row in found] == [("a", 1, "x"), ("b", 12, "new"), ("c", 13, "newer")]
    assert isinstance(store.sequences("resources"), pa.Table)
    store.close()


@pytest.mark.parametrize("seed", range(3))
def test_rows_stay_where_they_are_over_a_checkpoint_that_merges_nothing(seed, tmp_path):
    """What an index by hash is kept for."""
    chance = Random(seed)
    store = Store.open(DataDirectory.create(tmp_path / "i"), fed=True)
    sequence = count(1)

    def places():
        with store.snapshot() as snapshot:
            found = snapshot.run(f"SELECT _key, rowid AS row FROM {MACHINES}").to_pylist()
            return {row["_key"]: row["row"] for row in found}

    for _ in range(12):
        names = [f"{chance.randrange(3_000):04}" for _ in range(chance.choice((3, 300, 2_000)))]
        gone = {f"/vms/{name}": next(sequence) for name in set(names[::3])}
        rows = [vm(name, provisioningState=chance.choice("xyz")) for name in names]
        store.apply([machines(*rows, sequences=[next(sequence) for _ in rows], deleted=gone)], NOON)
        before = places()
        assert store.checkpoint(merges=0)
        assert places() == before
    store.close()
