"""The store: loading, changes, snapshots, what survives."""

import os
import signal
import subprocess
import sys
import threading
import time
from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kqlite.directory.data_directory import DataDirectory
from kqlite.errors import InventoryError
from kqlite.inventory.imports.in_memory import incoming
from kqlite.inventory.shapes.batches import documents
from kqlite.inventory.shapes.change_batches import changes_of, records_of
from kqlite.inventory.shapes.documents import encode
from kqlite.inventory.shapes.known_shapes import KNOWN_SHAPES
from kqlite.inventory.shapes.resource_tables import COLUMNS, HOT_LEAVES
from kqlite.inventory.shapes.shapes import PLAIN_JSON, freeze, from_json, separate_members, thaw, whole
from kqlite.inventory.store.store import Store
from kqlite.language.schema import Leaf
from kqlite.language.types import Type
from tests.support.same_documents import by_id

VM = "microsoft.compute/virtualmachines"
DISK = "microsoft.compute/disks"
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def vm(name, type_=VM, **members):
    return {"id": f"/vms/{name}", "name": name, "type": type_} | members


def state(name, code, **properties):
    return vm(name, properties={"provisioningState": code, **properties})


def stored(store, table="resources"):
    """All rows of a table, by id."""
    with store.snapshot() as snapshot:
        return rows_of(snapshot, table)


def rows_of(snapshot, table="resources"):
    found = {}
    for part in snapshot.catalog.table(table).partitions:
        for row in documents(snapshot.run(f'SELECT * FROM "{part.source}"'), part):
            assert row["id"] not in found
            found[row["id"]] = {name: value for name, value in row.items() if value != ""}
    return found


@pytest.fixture(params=["memory", "file"])
def store(request, tmp_path):
    made = Store.in_memory() if request.param == "memory" else Store.open(DataDirectory.create(tmp_path / "inventory"))
    yield made
    made.close()


# Loading


def test_an_empty_store_has_every_resource_table(store):
    with store.snapshot() as snapshot:
        table = snapshot.catalog.table("Resources")
        assert (table.name, table.columns, table.partitions, table.scoped) == ("resources", COLUMNS, (), True)
        assert snapshot.catalog.table("resurces") is None
        assert "resourcecontainers" in set(snapshot.catalog.names())
        assert snapshot.watermark is None


def test_types_with_rows_enough_have_a_partition_of_their_own(store):
    rows = [
        vm("a"),
        *(vm(f"d{n}", "Microsoft.Compute/Disks", properties={"n": n}) for n in range(3)),
        vm("x", "x/y"),
        vm("w", "w/w", zones=["1"]),
    ]
    store.load(incoming(rows, enough_rows=3))
    with store.snapshot() as snapshot:
        parts = {part.source: part for part in snapshot.catalog.table("resources").partitions}
        assert set(parts) == {"resources", f"resources/{VM}", f"resources/{DISK}"}
        assert parts[f"resources/{DISK}"].types == {"Microsoft.Compute/Disks"}
        assert parts["resources"].types == {"x/y", "w/w"}
        assert parts["resources"].shapes == {"zones": PLAIN_JSON}
        assert list(snapshot.run('SELECT type FROM "resources"').column(0).to_pylist()) == ["w/w", "x/y"]
    assert by_id(stored(store).values()) == by_id(rows)


def test_rows_go_to_the_table_of_their_type(store):
    store.load(incoming([vm("a"), vm("g", "microsoft.resources/subscriptions/resourcegroups")]))
    assert list(stored(store)) == ["/vms/a"]
    assert list(stored(store, "ResourceContainers")) == ["/vms/g"]


def test_rows_are_clustered(store):
    rows = [vm(f"{n}", subscriptionId=f"s{n % 3}", resourceGroup=f"g{n % 5}") for n in range(100)]
    store.load(incoming(rows))
    with store.snapshot() as snapshot:
        found = snapshot.run(f'SELECT subscriptionId, resourceGroup, name FROM "resources/{VM}"').to_pylist()
    keys = [tuple(row.values()) for row in found]
    assert keys == sorted(keys)


def test_of_two_rows_with_one_id_the_last_is_kept(store):
    store.load(incoming([vm("a", kind="first"), vm("b"), {**vm("a", kind="second"), "id": "/VMS/A"}]))
    assert {row["id"]: row.get("kind") for row in stored(store).values()} == {"/VMS/A": "second", "/vms/b": None}


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ({"a": 1}, {"b": "x", "c": {"d": [1]}}),
        ({"a": 1}, {"a": "x"}),
        ({"a": {"b": 1, "c": "ü\n"}}, {"a": 5}),
        ({"a": [{"b": 1}, None, {}]}, {"a": [{"c": "x", "b": 1.5}]}),
        ({"a": [1, 2]}, {"a": "x"}),
        ({"a": {}}, {"a": {"b": None, "c": {}}}),
        ({"provisioningState": "Succeeded"}, {"provisioningState": 7}),
        ({"provisioningState": "Succeeded", "n": 1.0}, [1]),
        ({"extended": {"instanceView": {"powerState": {"code": "x", "level": "Info"}}}}, {"extended": 5}),
        ({"extended": {"instanceView": {"powerState": {"code": "x"}}}}, {"extended": {"instanceView": {"powerState": []}}}),
        ({"a": 1e300, "b": True, "c": 'say "x"'}, "text"),
        (None, {"a": 1}),
        ({"a": 1}, None),
    ],
)
def test_later_rows_widen_a_partition(store, first, second):
    rows = [vm("a", properties=first), vm("b", properties=first), vm("b", properties=second), vm("c", tags={"x": "y"}, new=1)]
    store.load(incoming(rows[:2]))
    before = stored(store)
    with store.snapshot() as snapshot:
        version = snapshot.catalog.version
    store.load(incoming(rows[2:]))
    assert by_id(before.values()) == by_id(rows[:2])
    assert by_id(stored(store).values()) == by_id([rows[0], *rows[2:]])
    with store.snapshot() as snapshot:
        assert snapshot.catalog.version > version


def test_a_later_row_replaces_one_in_another_partition(store):
    store.load(incoming([vm("d", DISK, kind="old"), vm("x", "x/y")], enough_rows=10))
    store.load(incoming([vm("d", DISK, kind="new")], enough_rows=1))
    assert stored(store)["/vms/d"]["kind"] == "new"
    store.load(incoming([vm("d", DISK, kind="newest")], enough_rows=10))
    assert stored(store)["/vms/d"]["kind"] == "newest"


def test_a_shaped_type_stays_shaped(store):
    store.load(incoming([vm("d", DISK), vm("e", DISK)], enough_rows=2))
    assert store.shaped_types() == {DISK}
    store.load(incoming([vm("f", DISK)], enough_rows=2, shaped_types=store.shaped_types()))
    with store.snapshot() as snapshot:
        assert [part.source for part in snapshot.catalog.table("resources").partitions] == [f"resources/{DISK}"]
    assert len(stored(store)) == 3


def test_a_failed_load_changes_nothing(store):
    store.load(incoming([vm("a", properties={"a": 1})]), NOON)
    good, bad = incoming([vm("a", properties={"a": "x"}), vm("d", DISK)], enough_rows=1)

    def broken(part):
        yield from bad.batches(part)
        raise ZeroDivisionError("in the middle")

    with store.snapshot() as snapshot:
        version = snapshot.catalog.version
    with pytest.raises(ZeroDivisionError, match="in the middle"):
        store.load([good, type(bad)(bad.table, bad.resource_type, bad.shapes, bad.types, broken)], NOON + timedelta(1))
    with store.snapshot() as snapshot:
        assert (snapshot.catalog.version, snapshot.watermark) == (version, NOON)
        assert by_id(rows_of(snapshot).values()) == by_id([vm("a", properties={"a": 1})])
    store.load([good, bad])
    assert len(stored(store)) == 2


def test_the_watermark_never_goes_back(store):
    for watermark, expected in (
        (NOON, NOON),
        (NOON - timedelta(1), NOON),
        (None, NOON),
        (NOON + timedelta(microseconds=1), NOON + timedelta(microseconds=1)),
    ):
        store.load([], watermark)
        with store.snapshot() as snapshot:
            assert snapshot.watermark == expected


# Changes


def test_the_newest_of_each_resource_wins(store):
    store.load(incoming([state("a", "Creating"), state("b", "Creating")]))
    rows = [state("a", "Updating"), state("a", "Succeeded"), state("c", "Creating"), state("b", "Deleting", new=1)]
    store.apply([changes_of("resources", VM, rows, [11, 12, 13, 10])], NOON)
    assert {row["name"]: row["properties"] for row in stored(store).values()} == {
        "a": {"provisioningState": "Succeeded"},
        "b": {"provisioningState": "Deleting", "new": 1},
        "c": {"provisioningState": "Creating"},
    }
    late = [state("a", "Late"), state("c", "Same"), state("b", "Newer")]
    store.apply([changes_of("resources", VM, late, [11, 13, 14])], NOON)
    assert {row["name"]: row["properties"]["provisioningState"] for row in stored(store).values()} == {
        "a": "Succeeded",
        "b": "Newer",
        "c": "Creating",
    }


def test_a_change_of_hot_leaves_alone_leaves_rows_in_place(store):
    rows = [state(name, "Creating", n=1) for name in "abc"]
    store.load(incoming(rows))
    changed = [state("b", "Succeeded", n=1), state("a", "Creating", n=2)]
    store.apply([changes_of("resources", VM, changed, [5, 6])], NOON)
    with store.snapshot() as snapshot:
        found = snapshot.run(f'SELECT name, _seq FROM "resources/{VM}"').to_pylist()
    assert [(row["name"], row["_seq"]) for row in found] == [("b", 5), ("c", 0), ("a", 6)]
    assert by_id(stored(store).values()) == by_id([changed[0], rows[2], changed[1]])


def test_deletions_are_remembered_until_they_are_forgotten(store):
    store.load(incoming([vm("a"), vm("b")]))
    store.apply([changes_of("resources", VM, [], [], {"/VMS/a": 20, "/vms/b": 5, "/vms/never": 7})], NOON)
    assert stored(store) == {}
    store.apply([changes_of("resources", VM, [vm("a"), vm("b"), vm("never")], [19, 6, 7])], NOON)
    assert list(stored(store)) == ["/vms/b"]
    store.apply([changes_of("resources", VM, [], [], {"/vms/b": 5})], NOON)
    assert list(stored(store)) == ["/vms/b"]
    store.forget_deletions(19)
    store.apply([changes_of("resources", VM, [vm("a"), vm("never")], [19, 7])], NOON)
    assert sorted(stored(store)) == ["/vms/b", "/vms/never"]


operations = st.lists(
    st.tuples(st.sampled_from("abc"), st.sampled_from(["hot", "cold", "odd", "delete"]), st.integers(0, 2)), min_size=1, max_size=12
)


@settings(max_examples=25, deadline=None)
@given(operations, st.randoms(use_true_random=False), st.integers(1, 4))
def test_changes_in_any_order_and_twice_end_in_the_same_rows(done, chance, size):
    events = [(sequence, *operation) for sequence, operation in enumerate(done, 1)]
    expected = {}
    for _, name, what, value in events:
        expected.pop(name, None)
        if what != "delete":
            expected[name] = after(name, what, value)
    delivered = events * 2
    chance.shuffle(delivered)
    store = Store.in_memory()
    for start in range(0, len(delivered), size):
        batch = delivered[start : start + size]
        upserts = [(sequence, after(name, what, value)) for sequence, name, what, value in batch if what != "delete"]
        deleted = {}
        for sequence, name, what, _ in batch:
            if what == "delete":
                deleted[f"/vms/{name}"] = max(sequence, deleted.get(f"/vms/{name}", 0))
        change = changes_of("resources", VM, [row for _, row in upserts], [sequence for sequence, _ in upserts], deleted)
        store.apply([change], NOON)
    assert by_id(stored(store).values()) == by_id(expected.values())
    store.close()


def after(name, what, value):
    match what:
        case "hot":
            return state(name, f"state{value}")
        case "cold":
            return state(name, "Succeeded", size=value)
        case _:
            return vm(name, properties=[value, {"a": str(value)}][value % 2], **({"zones": ["1"]} if value else {}))


# Records, and the feed offset


def record(sequence, target, **changed):
    properties = {"targetResourceId": target, "changeType": "Update", "changes": changed}
    return {"id": f"{target}/changes/{sequence}", "name": str(sequence), "type": RECORD, "properties": properties}


RECORD = "microsoft.resources/changes"


def test_records_are_added_with_the_changes_and_the_position(store):
    assert store.feed_offset() is None
    first = records_of("resourcechanges", RECORD, [record(1, "/vms/a"), record(2, "/vms/a", **{"tags.x": 1})], [1, 2], NOON)
    store.apply([changes_of("resources", VM, [vm("a")], [2])], NOON, '{"sequence": 2}', [first])
    second = records_of("resourcechanges", RECORD, [record(3, "/vms/a", sku={"a": [1]})], [3], NOON)
    store.apply([], NOON + timedelta(1), records=[second])
    with store.snapshot() as snapshot:
        assert (snapshot.feed_offset, snapshot.watermark) == ('{"sequence": 2}', NOON + timedelta(1))
    assert list(stored(store)) == ["/vms/a"]
    expected = [record(1, "/vms/a"), record(2, "/vms/a", **{"tags.x": 1}), record(3, "/vms/a", sku={"a": [1]})]
    assert by_id(stored(store, "resourcechanges").values()) == by_id(expected)


def test_records_are_forgotten_by_their_time(store):
    imported = record(0, "/vms/z")
    store.load(incoming([imported]))
    for minute in range(5):
        sequences = [minute * 2 + 1, minute * 2 + 2]
        rows = [record(sequence, "/vms/a") for sequence in sequences]
        for row, sequence in zip(rows, sequences, strict=True):
            late = NOON + timedelta(minutes=minute, seconds=sequence)
            store.apply([], None, records=[records_of("resourcechanges", RECORD, [row], [sequence], late)])
    for before, kept in ((NOON, 10), (NOON + timedelta(minutes=2), 6), (NOON + timedelta(minutes=2), 6), (NOON + timedelta(hours=1), 0)):
        store.forget_records("resourcechanges", before)
        names = sorted(int(row["name"]) for row in stored(store, "resourcechanges").values())
        assert names == [0, *range(11 - kept, 11)]


def test_keys_and_sequence_numbers_of_what_is_stored(store):
    store.load(incoming([vm("A"), vm("b"), vm("d", "Microsoft.Compute/Disks")], enough_rows=1))
    store.apply([changes_of("resources", VM, [vm("b"), vm("c")], [5, 6])], NOON)
    pairs = {(row["_key"], row["_seq"]) for row in store.sequences("Resources").to_pylist()}
    assert pairs == {("/vms/a", 0), ("/vms/b", 5), ("/vms/c", 6), ("/vms/d", 0)}
    assert store.sequences("resources", DISK.upper()).to_pylist() == [{"_key": "/vms/d", "_seq": 0}]
    assert store.sequences("resourcechanges").num_rows == 0
    assert store.sequences("resourcechanges", VM).schema.names == ["_key", "_seq"]


def test_a_directory_without_a_place_for_positions_is_read_and_written(tmp_path):
    store = Store.open(DataDirectory.create(tmp_path / "i"))
    store.load(incoming([vm("a")]), NOON)
    store._database.execute(
        "DROP TABLE inventory._state",
        "DROP TABLE inventory._records",
        "INSERT INTO inventory._watermark SELECT 638000000000000000",
    )
    store.close()
    for writable in (False, True, False):
        store = Store.open(DataDirectory.open(tmp_path / "i", writable))
        with store.snapshot() as snapshot:
            assert (snapshot.watermark, snapshot.feed_offset) == (datetime(2022, 9, 28, 22, 13, 20, tzinfo=UTC), None)
            assert list(rows_of(snapshot)) == ["/vms/a"]
        store.close()


# Snapshots


def test_a_snapshot_keeps_rows_and_schema_while_others_write(store):
    store.load(incoming([state("a", "Succeeded", n=1)]), NOON)
    with store.snapshot() as snapshot:
        version = snapshot.catalog.version
        store.apply([changes_of("resources", VM, [state("a", "Failed", n="x"), vm("b")], [1, 2])], NOON + timedelta(1))
        store.load(incoming([vm("a", properties=5), vm("d", DISK)], enough_rows=1))
        assert by_id(rows_of(snapshot).values()) == by_id([state("a", "Succeeded", n=1)])
        assert (snapshot.catalog.version, snapshot.watermark) == (version, NOON)
    assert by_id(stored(store).values()) == by_id([vm("a", properties=5), vm("b"), vm("d", DISK)])


def test_catalog_and_rows_agree_under_concurrent_changes(store):
    """Each round makes a leaf of another type, or a partition wider; readers bind on the catalog that they were given."""
    store.load(incoming([vm(str(n), properties={"n": 0}) for n in range(50)]))
    failures, rounds = [], []
    ended = threading.Event()

    def read():
        try:
            while not ended.is_set():
                with store.snapshot() as snapshot:
                    found = {row["properties"]["n"] for row in rows_of(snapshot).values()}
                    assert len(found) == 1, found
                    rounds.append(found.pop())
        except BaseException as error:
            failures.append(error)

    readers = [threading.Thread(target=read) for _ in range(3)]
    for reader in readers:
        reader.start()
    values = [1, 2, "x", 3, {"a": 1}, [1], 4, "end"]
    try:
        for sequence, value in enumerate(values, 1):
            rows = [vm(str(n), properties={"n": encode(value), f"new{sequence}": value}) for n in range(50)]
            store.apply([changes_of("resources", VM, rows, [sequence] * 50)], NOON + timedelta(sequence))
            seen = len(rounds)
            while len(rounds) < seen + 3 and not failures:
                time.sleep(0.001)
    finally:
        ended.set()
        for reader in readers:
            reader.join()
    assert failures == []
    with store.snapshot() as snapshot:
        assert {row["properties"]["n"] for row in rows_of(snapshot).values()} == {'"end"'}


def test_parameters_and_settings(store):
    with store.snapshot() as snapshot:
        assert snapshot.run("SELECT $b AS b, $a AS a", {"a": "'; DROP", "b": None}).to_pylist() == [{"b": None, "a": "'; DROP"}]
        assert snapshot.run("SELECT 1 // 0 AS x, current_setting('TimeZone') AS zone").to_pylist() == [{"x": None, "zone": "UTC"}]
        assert snapshot.run("SELECT current_setting('late_materialization_max_rows') AS n").to_pylist() == [{"n": 1000}]


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT * FROM read_csv('/etc/hostname')",
        "COPY (SELECT 1) TO '/tmp/kqlite-test.csv'",
        "ATTACH '/tmp/kqlite-test.db'",
        "SET memory_limit = '1GB'",
        "SET enable_external_access = true",
        "INSTALL httpfs",
    ],
)
def test_queries_cannot_leave_the_database(store, sql):
    with store.snapshot() as snapshot, pytest.raises(Exception, match=r"(?i)permission|disabled|locked|cannot"):
        snapshot.run(sql)


def test_the_optimizer_can_be_off():
    for optimizer in (True, False):
        with Store.in_memory(optimizer=optimizer).snapshot() as snapshot:
            assert snapshot.run("SELECT current_setting('enable_optimizer') AS e").to_pylist() == [{"e": optimizer}]


ENDLESS = "SELECT count(*) FROM range(1000000) AS a, range(1000000) AS b WHERE a.range * b.range % 7 = 3"


def test_ctrl_c_ends_a_query(store):
    timer = threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT))
    timer.start()
    started = time.monotonic()
    with store.snapshot() as snapshot, pytest.raises(KeyboardInterrupt):
        snapshot.run(ENDLESS)
    assert time.monotonic() - started < 10
    with store.snapshot() as snapshot:
        assert snapshot.run("SELECT 1 AS a").to_pylist() == [{"a": 1}]


def test_another_thread_can_interrupt_a_query(store):
    outcome = []

    def work(snapshot):
        try:
            outcome.append(snapshot.run(ENDLESS))
        except Exception as error:
            outcome.append(type(error).__name__)

    with store.snapshot() as snapshot:
        worker = threading.Thread(target=work, args=(snapshot,))
        worker.start()
        deadline = time.monotonic() + 10
        while worker.is_alive() and time.monotonic() < deadline:
            snapshot.interrupt()
            worker.join(0.05)
    assert outcome
    assert not isinstance(outcome[0], pa.Table)


# Registered tables


def test_registered_tables_are_known_by_exact_name(store):
    for load in (True, False):
        store.register(f"Vms{load}", pa.table({"a": [1, 2]}), load=load)
        store.register(f"vms{load}", pa.table({"A": ["x"]}), load=load)
    with store.snapshot() as snapshot:
        for load in (True, False):
            upper, lower = snapshot.catalog.table(f"Vms{load}"), snapshot.catalog.table(f"vms{load}")
            assert [(column.name, column.type) for column in upper.columns] == [("a", Type.LONG)]
            assert [(column.name, column.type) for column in lower.columns] == [("A", Type.STRING)]
            assert not upper.scoped
            assert snapshot.run(f'SELECT * FROM "{lower.partitions[0].source}"').to_pylist() == [{"c0": "x"}]
        assert snapshot.catalog.table("VMSTrue") is None
        assert {"VmsTrue", "vmsTrue", "VmsFalse", "vmsFalse"} <= set(snapshot.catalog.names())


@pytest.mark.parametrize("load", [True, False])
def test_registering_a_name_again(store, load):
    store.register("t", pa.table({"a": [1]}), load=load)
    with pytest.raises(InventoryError, match=r"`t` is registered already; pass replace=True"):
        store.register("t", pa.table({"a": [2]}))
    with store.snapshot() as before:
        store.register("t", pa.table({"b": [2]}), load=load, replace=True)
        source = before.catalog.table("t").partitions[0].source
        assert before.run(f'SELECT * FROM "{source}"').to_pylist() == [{"c0": 1}]
        with store.snapshot() as after_:
            assert after_.catalog.version > before.catalog.version
            assert after_.catalog.table("t").columns.names() == ["b"]
            source = after_.catalog.table("t").partitions[0].source
            assert after_.run(f'SELECT * FROM "{source}"').to_pylist() == [{"c0": 2}]


def test_a_registered_table_can_stand_for_an_empty_resource_table(store):
    store.register("Resources", pa.table({"id": ["/a"], "type": ["t"], "properties": [{"a": 1}], "more": [5]}))
    with store.snapshot() as snapshot:
        table = snapshot.catalog.table("resources")
        assert table is snapshot.catalog.table("RESOURCES")
        assert table.scoped
        assert table.columns.names() == [*COLUMNS.names(), "more"]
        assert table.partitions[0].types == {"t"}
        assert list(snapshot.catalog.names()).count("resources") == 0
    with pytest.raises(InventoryError, match="registered already"):
        store.register("resources", pa.table({"id": ["/a"]}))


def test_a_resource_table_with_rows_is_not_replaced(store):
    store.load(incoming([vm("a")]))
    with pytest.raises(InventoryError, match="`resources` is a resource table of this inventory and has rows"):
        store.register("resources", pa.table({"id": ["/a"]}), replace=True)


# What survives


def test_what_was_loaded_is_there_after_opening_again(tmp_path):
    rows = [state("a", "Succeeded", s='say "x"', n=1.5), vm("d", DISK, tags={"A": 1, "a": 2})]
    store = Store.open(DataDirectory.create(tmp_path / "i"))
    store.load(incoming(rows), NOON)
    store.close()
    for writable in (False, True, False):
        store = Store.open(DataDirectory.open(tmp_path / "i", writable))
        with store.snapshot() as snapshot:
            assert snapshot.watermark == NOON
            part = snapshot.catalog.partition("resources", f"resources/{VM}")
            assert part.types == {VM}
            assert part.shapes["properties"].member("s").shape == Leaf(Type.STRING, plain=False)
            assert part.shapes["properties"].member("provisioningState").held_in == "_hot_properties_provisioningState"
            assert by_id(rows_of(snapshot).values()) == by_id(rows)
        store.close()


def test_readers_register_tables_of_their_own(tmp_path):
    Store.open(DataDirectory.create(tmp_path / "i")).close()
    first, second = (Store.open(DataDirectory.open(tmp_path / "i")) for _ in range(2))
    for store in (first, second):
        store.register("t", pa.table({"a": [1]}))
        with store.snapshot() as snapshot:
            assert snapshot.catalog.table("t") is not None
        store.close()


KILLED = """
import os, sys
from pathlib import Path
from kqlite.directory.data_directory import DataDirectory
from kqlite.inventory.shapes.known_shapes import KNOWN_SHAPES
from kqlite.inventory.imports.in_memory import incoming
from kqlite.inventory.shapes.shapes import from_json, separate_members, whole
from kqlite.inventory.store.store import Store
store = Store.open(DataDirectory.open(Path(sys.argv[1]), writable=True))
type_, properties = "microsoft.compute/virtualmachines", {"n": "x" * 500}
[new] = incoming({"id": f"/n/{n}", "name": str(n), "type": type_, "properties": properties} for n in range(20000))
def batches(part):
    for batch in new.batches(part):
        yield batch
    if sys.argv[2] == "before":
        os.kill(os.getpid(), 9)
if sys.argv[2] == "committed":
    Store._checkpoint = lambda self: os.kill(os.getpid(), 9)
store.load([type(new)(new.table, new.resource_type, new.shapes, new.types, batches)])
os.kill(os.getpid(), 9)
"""


@pytest.mark.parametrize(("moment", "count"), [("before", 1), ("committed", 20001), ("after", 20001)])
def test_a_killed_load_is_whole_or_not_there(tmp_path, moment, count):
    store = Store.open(DataDirectory.create(tmp_path / "i"))
    store.load(incoming([vm("a", properties={"n": 1})]))
    store.close()
    killed = subprocess.run([sys.executable, "-c", KILLED, str(tmp_path / "i"), moment], capture_output=True, check=False)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    store = Store.open(DataDirectory.open(tmp_path / "i"))
    assert len(stored(store)) == count
    store.close()


def test_a_file_that_is_no_database_is_told(tmp_path):
    directory = DataDirectory.create(tmp_path / "i")
    directory.store.write_bytes(b"not a database" * 1000)
    with pytest.raises(InventoryError, match=r"inventory\.duckdb: DuckDB cannot open it"):
        Store.open(directory)


# Known shapes


@pytest.mark.parametrize("type_", KNOWN_SHAPES)
def test_known_shapes_can_be_held(type_):
    change = changes_of("resources", type_, [], [])
    assert {name: whole(shape) for name, shape in change.shapes.items()} == {
        name: freeze(thaw(from_json(document))) for name, document in KNOWN_SHAPES[type_].items()
    }
    held = [".".join((name, *path)) for name, shape in change.shapes.items() for path, _ in separate_members(shape)]
    assert sorted(held) == sorted(HOT_LEAVES.get(type_, ()))


def test_a_document_of_the_known_shape_does_not_widen_it(store):
    store.apply([changes_of("resources", VM, [state("a", "Creating")], [1])], NOON)
    with store.snapshot() as snapshot:
        version = snapshot.catalog.version
    spot = state("b", "Creating", priority="Spot", storageProfile={"dataDisks": [{"lun": 0, "managedDisk": {"id": "/d"}}]})
    store.apply([changes_of("resources", VM, [spot], [2])], NOON)
    with store.snapshot() as snapshot:
        assert snapshot.catalog.version == version
    assert by_id(stored(store).values()) == by_id([state("a", "Creating"), spot])


# A few documents in memory


def test_a_few_documents_are_held_in_arrow_until_something_is_written():
    rows = [state("a", "Succeeded", n=1, odd=[1, "x"]), vm("d", DISK, tags={"A": 1, "a": "x"}, new=[None])]
    store = Store.in_memory()
    store.hold(incoming(rows), NOON)
    store.register("t", pa.table({"a": [1]}))
    versions, types = set(), []
    for write in (None, lambda: store.load(incoming([vm("b")])), lambda: store.register("u", pa.table({"b": ["x"]}))):
        if write is not None:
            write()
        with store.snapshot() as snapshot:
            versions.add(snapshot.catalog.version)
            assert snapshot.watermark == NOON
            assert by_id(rows) == {id_: text for id_, text in by_id(rows_of(snapshot).values()).items() if id_ != "/vms/b"}
            described = snapshot.run(f'DESCRIBE SELECT * FROM "resources/{VM}"').to_pylist()
            types.append({row["column_name"]: row["column_type"] for row in described})
            assert snapshot.run(f'SELECT * FROM "{snapshot.catalog.table("t").partitions[0].source}"').num_rows == 1
    assert len(versions) == 3
    assert types[1:] == types[:1] * 2
    store.close()


def test_a_snapshot_of_held_documents_keeps_them():
    store = Store.in_memory()
    store.hold(incoming([state("a", "Succeeded")]))
    with store.snapshot() as snapshot:
        store.apply([changes_of("resources", VM, [state("a", "Failed", n=1)], [1])], NOON)
        assert by_id(rows_of(snapshot).values()) == by_id([state("a", "Succeeded")])
    assert by_id(stored(store).values()) == by_id([state("a", "Failed", n=1)])
    store.close()


def test_a_store_that_is_not_fresh_holds_nothing(store):
    store.hold(incoming([vm("a", kind="1")]))
    store.hold(incoming([vm("a", kind="2"), vm("b")]))
    assert by_id(stored(store).values()) == by_id([vm("a", kind="2"), vm("b")])
