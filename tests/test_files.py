"""Files into an inventory: every form, without loss, all or nothing."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Generator
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kqlite.access.local import LocalAccess
from kqlite.connection import Connection
from kqlite.directory.data_directory import DataDirectory
from kqlite.errors import InventoryError
from kqlite.inventory.imports import export as export_module
from kqlite.inventory.imports import files, run_merge
from kqlite.inventory.imports.export import export
from kqlite.inventory.imports.files import import_files, load_files, read_table
from kqlite.inventory.shapes.batches import documents
from kqlite.inventory.shapes.documents import decode, is_standard
from kqlite.inventory.shapes.resource_tables import COLUMNS
from kqlite.inventory.store.store import Store
from kqlite.language.schema import JsonLeaf
from kqlite.language.types import Type
from tests.support.same_documents import by_id

VM = "microsoft.compute/virtualmachines"


def stored(store):
    """All rows of all tables, as `same_documents.by_id`."""
    with store.snapshot() as snapshot:
        parts = [part for name in snapshot.catalog.names() for part in snapshot.catalog.table(name).partitions]
        rows = [row for part in parts for row in documents(snapshot.run(f'SELECT * FROM "{part.source}"'), part)]
    found = by_id(rows)
    assert len(found) == len(rows)
    return found


def queried(store):
    """The rows as queries give them, with every column and whole documents."""
    listed = ", ".join(column.name for column in COLUMNS)
    rows = []
    for table in ("resources", "resourcecontainers"):
        for row in Connection(LocalAccess(store)).query(f"{table} | project {listed}").to_arrow().to_pylist():
            rows.append({c.name: decode(row[c.name]) if c.type is Type.DYNAMIC and row[c.name] else row[c.name] for c in COLUMNS})
    return by_id(rows)


def vm(name, type_=VM, **members):
    return {"id": f"/vms/{name}", "name": name, "type": type_} | members


@pytest.fixture(params=["at once", "in two passes"])
def two_passes(request, monkeypatch):
    """Both ways in, each for files of any size."""
    monkeypatch.setattr(files, "_SMALL_BYTES", -1 if request.param == "in two passes" else 1 << 40)


@pytest.fixture
def load(tmp_path, two_passes):
    """A function that loads files of these contents into a store in memory, and gives what is stored."""

    def go(*contents, enough_rows=2):
        paths = [tmp_path / f"file{number}" for number in range(len(contents))]
        for path, content in zip(paths, contents, strict=True):
            path.write_bytes(content if isinstance(content, bytes) else content.encode())
        store = Store.in_memory()
        try:
            load_files(paths, store, enough_rows=enough_rows)
            return stored(store)
        finally:
            assert not any(os.scandir(tmp_path / "scratch")) if (tmp_path / "scratch").exists() else True
            store.close()

    return go


ROWS = [vm("a", properties={"n": 1}), vm("b", tags={"A": "x\\y"}), vm("c", "x/y", zones=["1"]), vm("d", "ö/😀", properties=[1.5, None])]
LINES = [json.dumps(row, ensure_ascii=False) for row in ROWS]


@pytest.mark.parametrize(
    "content",
    [
        "\n".join(LINES),
        "\r\n".join(LINES) + "\r\n",
        "\n\n  \n" + "\n\n".join(f"  {line}\t" for line in LINES) + "\n\n",
        b"\xef\xbb\xbf" + "\n".join(LINES).encode(),
        json.dumps(ROWS),
        json.dumps(ROWS, indent=2),
        "\n \n" + json.dumps(ROWS, ensure_ascii=False) + "\n",
        b"\xef\xbb\xbf" + json.dumps(ROWS).encode(),
        json.dumps({"data": ROWS}),
        json.dumps({"count": 4, "data": ROWS, "skip_token": None, "total_records": 4}, indent=2),
        json.dumps({"totalRecords": 4, "facets": [], "data": ROWS, "more": {"a": [1]}}) + "\n",
        # Pages of an answer, one after another; documents of many lines.
        json.dumps({"data": ROWS[:1]}, indent=1) + "\n" + json.dumps({"data": ROWS[1:]}, indent=1),
        "\n".join(json.dumps(row, indent=2) for row in ROWS),
        json.dumps(ROWS[:2]) + json.dumps(ROWS[2:]),
    ],
)
def test_forms_of_json(load, content):
    assert load(content) == by_id(ROWS)


@pytest.mark.parametrize("content", ["", "\n \n", "[]", " [ ] ", '{"data": []}', '{\n"data": []}'])
def test_files_without_documents(load, content):
    assert load(content) == {}


def test_one_document(load):
    assert load(json.dumps(ROWS[0])) == by_id(ROWS[:1])
    assert load(json.dumps(ROWS[0], indent=2)) == by_id(ROWS[:1])


def test_blocks_end_anywhere(load, monkeypatch):
    rows = [vm(str(n), properties={"text": "ü😀" * (n % 7), "n": n}) for n in range(50)]
    from kqlite.inventory.imports import file_formats

    for size in (1, 7, 100, 1000):
        monkeypatch.setattr(file_formats, "_BLOCK_BYTES", size)
        assert load("\n".join(json.dumps(row, ensure_ascii=False) for row in rows)) == by_id(rows)


def test_an_array_larger_than_what_is_read_at_once(load):
    rows = [vm(str(n), properties={"text": "ü" * 1000, "n": n}) for n in range(1000)]
    for indent in (None, 1):
        assert load(json.dumps(rows, indent=indent, ensure_ascii=False)) == by_id(rows)


GOOD = json.dumps(ROWS[0])


@pytest.mark.parametrize(
    ("content", "place", "reason"),
    [
        (GOOD + '\n{"id": ', "line 2", "expecting value at character 7"),
        (GOOD + "\n" + GOOD[:-1], "line 2", "at character"),
        (GOOD + "\nnot json\n" + GOOD, "line 2", "expecting value at character 1"),
        ("not json", "line 1", "expecting value at character 1"),
        (GOOD + "\n\n\n" + GOOD + GOOD, "line 4", "more text after the document"),
        (GOOD + "\n1", "line 2", "not a JSON object"),
        (GOOD + "\n[]", "line 2", "not a JSON object"),
        (GOOD + '\n{"id": "/b"}', "line 2", "`type` is missing or empty"),
        (GOOD + '\n{"id": "/b", "type": "t", "kind": {}}', "line 2", "`kind` is not a text"),
        (GOOD + '\n{"id": "/b", "type": "t", "tags": {"a": NaN}}', "line 2", "NaN is not JSON"),
        (GOOD + '\n{"id": "/b", "type": "t", "tags": "\\ud800"}', "line 2", "half a surrogate pair"),
        (GOOD + '\n{"id": "/b", "type": "t", "tags": ' + "[" * 5000 + "]" * 5000 + "}", "line 2", "nested too deeply"),
        (GOOD.encode() + b'\n\n{"id": "\xff"}', "line 3", "not UTF-8"),
        ('[{"id": "/a"', "line 1", "the file ends inside a document"),
        ("[\n" + GOOD + ",\n" + GOOD[:-1], "line 3", "the file ends inside a document"),
        ("[\n" + GOOD + "\n" + GOOD + "]", "line 3", "expected ',' or ']' after an element"),
        ("[\n" + GOOD, "line 2", "found the end"),
        ("[\n" + GOOD + ",\n5]", "line 3", "not a JSON object"),
        ("[\n\n" + GOOD + ',\n{"id": 5}]', "line 4", "`id` is not a text"),
        ("[" + GOOD + "] x", "line 1", "expected an array or an object"),
        ('{\n"data": [' + GOOD + ",\n{]}", "line 3", "at character"),
        ('{\n"data": [\n' + GOOD + "\n]", "line 4", "found the end"),
        ('{\n"data": {"columns": [{"name": "id"}], "rows": [["/a", 1]]}}', "line 2", "as many values as it has columns"),
        ("{\n5: 1}", "line 2", "the name of a member in double quotes"),
        (b"[\n\n" + GOOD.encode() + b',\n"\xff"]', "line", "not UTF-8"),
        (b"PAR1 and no more", "", ""),
        (b"ARROW1 and no more", "", ""),
    ],
)
def test_a_fault_is_named_with_its_place(load, content, place, reason):
    with pytest.raises(InventoryError) as caught:
        load(GOOD, content)
    assert "file1" in str(caught.value)
    assert place in str(caught.value)
    assert reason in str(caught.value)


def test_files_that_are_not_there_or_not_readable(tmp_path):
    store = Store.in_memory()
    for path in (tmp_path / "missing.json", tmp_path):
        with pytest.raises(InventoryError, match=path.name):
            load_files([path], store)


def test_nothing_is_imported_when_one_file_is_broken(tmp_path, two_passes):
    good, bad, target = tmp_path / "good.json", tmp_path / "bad.json", tmp_path / "inventory"
    good.write_text(GOOD)
    bad.write_text(GOOD + "\n{")
    with pytest.raises(InventoryError, match=r"bad\.json, line 2"):
        import_files([good, bad], target)
    assert not target.exists()
    assert import_files([good], target) == 1
    with pytest.raises(InventoryError):
        import_files([bad], target)
    store = Store.open(DataDirectory.open(target))
    assert stored(store) == by_id(ROWS[:1])
    store.close()
    assert sorted(path.name for path in target.iterdir()) == ["inventory.duckdb", "lock", "manifest.json"]


def test_a_directory_takes_further_files(tmp_path, two_passes):
    first, second, target = tmp_path / "first.json", tmp_path / "second.json", tmp_path / "inventory"
    disks = [vm(f"d{n}", "microsoft.compute/disks", properties={"n": n}) for n in range(3)]
    first.write_text(json.dumps([vm("a", properties={"n": 1}), vm("b"), vm("x", "x/y", tags={"a": "b"}), *disks]))
    later = [
        vm("a", properties={"n": "one"}),
        vm("c"),
        vm("x", "x/y", tags={"A": 1, "a": 2}),
        vm("d1", "microsoft.compute/disks", zones=["1"]),
    ]
    second.write_text(json.dumps(later))
    os.utime(first, (1_000_000_000, 1_000_000_000))
    import_files([first], target, enough_rows=3)
    import_files([second], target, enough_rows=3)
    store = Store.open(DataDirectory.open(target))
    assert stored(store) == by_id([vm("b"), *disks, *later])
    with store.snapshot() as snapshot:
        sources = [part.source for part in snapshot.catalog.table("resources").partitions]
        assert sorted(sources) == ["resources", "resources/microsoft.compute/disks", f"resources/{VM}"]
        assert snapshot.watermark == datetime.fromtimestamp(1_000_000_000, UTC), "rows of the first import are still there"
    store.close()


@pytest.mark.parametrize("later", [{"n": 1}, {"n": 1, "new": "x"}, {"n": "text"}])
def test_a_few_more_documents_join_many(tmp_path, two_passes, later):
    first, second, target = tmp_path / "first.json", tmp_path / "second.json", tmp_path / "inventory"
    many = [vm(f"{n:03}", properties={"n": n, "old": True}) for n in range(100)]
    few = [vm(name, properties=later) for name in ("050", "zzz")]
    for path, rows in ((first, many), (second, few)):
        path.write_text("\n".join(map(json.dumps, rows)))
        import_files([path], target, enough_rows=3)
    store = Store.open(DataDirectory.open(target))
    assert stored(store) == by_id([*(row for row in many if row["name"] != "050"), *few])
    store.close()


def test_of_one_id_the_last_document_is_kept(load):
    rows = [vm("a", kind="1"), vm("b", kind="1"), vm("a", kind="2")]
    again = [vm("c", kind="1"), {**vm("b", kind="3"), "id": "/VMS/B"}, vm("c", "x/y", kind="2")]
    found = load("\n".join(map(json.dumps, rows)), "\n".join(map(json.dumps, again)), enough_rows=1)
    assert found == by_id([vm("a", kind="2"), {**vm("b", kind="3"), "id": "/VMS/B"}, vm("c", "x/y", kind="2")])


@pytest.mark.parametrize("write", ["parquet", "arrow file", "arrow stream"])
def test_parquet_and_arrow(load, tmp_path, write):
    table = pa.table(
        {
            "id": ["/a", "/b"],
            "name": pa.array(["a", None]),
            "type": pa.array([VM, VM]).dictionary_encode(),
            "properties": ['{"n": 1.50, "big": 12345678901234567890}', None],
            "tags": pa.array([{"env": "x", "none": None}, None]),
            "zones": pa.array([["1", None], []]),
            "identity": pa.ExtensionArray.from_storage(pa.json_(), pa.array(['{"a": [1]}', "null"])),
            "seen": pa.array([datetime(2026, 3, 1, tzinfo=UTC), None]),
        }
    )
    sink = pa.BufferOutputStream()
    match write:
        case "parquet":
            pq.write_table(table, sink)
        case "arrow file":
            with pa.ipc.new_file(sink, table.schema) as writer:
                writer.write_table(table)
        case _:
            with pa.ipc.new_stream(sink, table.schema) as writer:
                writer.write_table(table)
    properties = {"n": 1.5, "big": 12345678901234567890}
    first = {
        "id": "/a",
        "name": "a",
        "type": VM,
        "properties": properties,
        "tags": {"env": "x"},
        "zones": ["1", None],
        "identity": {"a": [1]},
    }
    expected = [first | {"seen": "2026-03-01T00:00:00.0000000Z"}, {"id": "/b", "type": VM, "zones": []}]
    assert load(sink.getvalue().to_pybytes()) == by_id(expected)


def test_a_row_of_parquet_is_named_by_its_number(load):
    sink = pa.BufferOutputStream()
    pq.write_table(pa.table({"id": ["/a", ""], "type": ["t", "t"]}), sink)
    with pytest.raises(InventoryError, match="file0, row 2: `id` is missing or empty"):
        load(sink.getvalue().to_pybytes())
    sink = pa.BufferOutputStream()
    pq.write_table(pa.table({"id": ["/a"], "type": ["t"], "tags": [b"x"]}), sink)
    with pytest.raises(InventoryError, match="file0: column `tags`: Arrow type binary has no form in KQL"):
        load(sink.getvalue().to_pybytes())


# Without loss


names = st.sampled_from(
    ["a", "A", "b", "ab", "É", "é", "", "_", "n\0l", "😀", 'q"', "x\\", "id", "provisioningState", "extended"]
) | st.text(max_size=3)
texts = st.text(max_size=5) | st.sampled_from(["null", "\x7f", "\0", "</script>", "\u2028", "1", '"', "\\"])
small_numbers = ["0", "-0", "1", "1.0", "1.50", "1e5", "0.1", "2.5e-7", "1e16", "123456.7890123456789"]
long_numbers = [str(2**63 - 1), str(2**63), str(-(2**63) - 1), "123456789012345678901234567890", "9007199254740993.0"]
numbers = st.sampled_from([*small_numbers, *long_numbers, "1E400", "-1e-400", "0.10000000000000000001"])
json_texts = st.recursive(
    st.sampled_from(["null", "true", "false"]) | numbers | texts.map(lambda text: json.dumps(text, ensure_ascii=False)),
    lambda inner: (
        st.lists(inner, max_size=4).map(lambda elements: "[" + ",".join(elements) + "]")
        | st.lists(st.tuples(names, inner), max_size=4, unique_by=lambda member: member[0]).map(
            lambda members: "{" + ",".join(f"{json.dumps(name)}:{value}" for name, value in members) + "}"
        )
    ),
    max_leaves=10,
)
columns = st.sampled_from(["properties", "properties", "tags", "sku", "zones", "identity", "systemData", "Location", "extra", "_key"])
rows_of_text = st.lists(
    st.tuples(
        st.sampled_from([VM, "x/y", "X/Y", "microsoft.resources/subscriptions"]),
        st.lists(st.tuples(columns, json_texts), max_size=3),
        texts,
    ),
    min_size=1,
    max_size=8,
)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture])
@given(rows=rows_of_text, enough_rows=st.sampled_from([1, 3, 100]), passes=st.integers(1, 2), split=st.integers(0, 8))
def test_documents_come_back_as_they_were(tmp_path_factory, rows, enough_rows, passes, split):
    lines = []
    for number, (type_, members, location) in enumerate(rows):
        known = f'"id":"/{number}","type":{json.dumps(type_)},"location":{json.dumps(location)}'
        lines.append("{" + ",".join([known, *(f"{json.dumps(name)}:{value}" for name, value in dict(members).items())]) + "}")
    folder = tmp_path_factory.mktemp("import")
    before, after = folder / "before", folder / "after"
    before.write_text("\n".join(lines[:split]), encoding="utf-8")
    after.write_text("\n".join(lines[split:]), encoding="utf-8")
    store = Store.in_memory()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(files, "_SMALL_BYTES", -1 if passes == 2 else 1 << 40)
        load_files([before], store, enough_rows=enough_rows)
        load_files([after], store, enough_rows=enough_rows)
    expected = [decode(line) for line in lines]
    assert stored(store) == by_id(expected)
    check_plain_promises(store)
    assert queried(store) == by_id([{name: row[name] for name in row if name in COLUMNS.names()} for row in expected])
    store.close()


def check_plain_promises(store):
    """No string of a leaf that is called plain has a character which JSON escapes, and no JSON has a fraction that no double holds."""
    with store.snapshot() as snapshot:
        for name in snapshot.catalog.names():
            for part in snapshot.catalog.table(name).partitions:
                columns_ = snapshot.run(f'SELECT * FROM "{part.source}"').to_pydict()
                for column, shape in part.shapes.items():
                    for value in columns_[column]:
                        check_plain(value, shape, columns_)


def check_plain(value, shape, columns_):
    members = getattr(shape, "members", ())
    if value is None:
        return
    if isinstance(shape, JsonLeaf):
        assert is_standard(decode(value)) or not shape.plain
    elif getattr(shape, "plain", False) and isinstance(value, str):
        assert json.dumps(value, ensure_ascii=False) == f'"{value}"'
    for element in value if hasattr(shape, "element") else ():
        check_plain(element, shape.element, columns_)
    for member in members:
        for inner in columns_[member.held_in] if member.held_in else [value[member.name]]:
            check_plain(inner, member.shape, columns_)


def test_the_sample_inventory_comes_back(tmp_path, two_passes):
    sample = sorted((Path(__file__).parent.parent / "sample-data" / "inventory").glob("*.jsonl"))
    import_files(sample, tmp_path / "inventory", enough_rows=10)
    store = Store.open(DataDirectory.open(tmp_path / "inventory"))
    assert stored(store) == by_id(decode(line) for path in sample for line in path.read_text(encoding="utf-8").splitlines())
    store.close()


# Two passes


def test_rows_are_read_in_order_of_group_and_name(tmp_path, two_passes):
    path = tmp_path / "vms.json"
    path.write_text(
        "\n".join(json.dumps(vm(f"{n * 7919 % 10007:05}", subscriptionId=f"s{n % 3}", resourceGroup=f"g{n % 50}")) for n in range(6000))
    )
    store = Store.in_memory()
    progress = []
    assert load_files([path], store, lambda done, total: progress.append((done, total))) == 6000
    with store.snapshot() as snapshot:
        found = snapshot.run(f'SELECT subscriptionId, resourceGroup, name FROM "resources/{VM}"').to_pylist()
    keys = [tuple(row.values()) for row in found]
    assert len(keys) == 6000
    assert keys == sorted(keys)
    assert not progress or progress[-1] == (6000, 6000)


def test_whoever_stops_taking_stops_the_maker():
    made = []

    def numbers_() -> Generator[int]:
        for number in range(1000):
            made.append(number)
            yield number

    taken = run_merge.ahead(numbers_())
    assert [next(taken) for _ in range(3)] == [0, 1, 2]
    taken.close()
    assert len(made) < 20


def test_a_fault_of_the_maker_reaches_the_taker():
    def broken():
        yield 1
        raise ZeroDivisionError

    taken = run_merge.ahead(broken())
    assert next(taken) == 1
    with pytest.raises(ZeroDivisionError):
        next(taken)


IMPORT = """
import sys
from pathlib import Path
from kqlite.inventory.imports.export import export
from kqlite.inventory.imports.files import import_files
import_files([Path(sys.argv[1])], Path(sys.argv[2]))
"""


def test_an_interrupted_import_leaves_nothing(tmp_path):
    path, target = tmp_path / "vms.json", tmp_path / "inventory"
    with path.open("w") as stream:
        for number in range(60_000):
            stream.write(json.dumps(vm(str(number), properties={"n": number, "text": "x" * 200})) + "\n")
    process = subprocess.Popen([sys.executable, "-c", IMPORT, str(path), str(target)], stderr=subprocess.PIPE, text=True)
    while not (target / "scratch").exists():
        assert process.poll() is None
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=30)
    assert "KeyboardInterrupt" in errors
    assert not target.exists()


FULL = """
import resource, sys
from pathlib import Path
from kqlite.errors import InventoryError
from kqlite.inventory.imports import files
files._SMALL_BYTES = int(sys.argv[4])
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[3]), -1))
try:
    files.import_files([Path(sys.argv[1])], Path(sys.argv[2]))
except InventoryError as error:
    print(error)
"""

pytestmark = pytest.mark.filterwarnings("ignore::kqlite.InventoryWarning")  # test_exports has them


@pytest.mark.parametrize(
    ("most", "small", "reason"),
    [(200_000, 0, "no room for the documents"), (600_000, 1 << 40, "nothing was written")],
)
def test_a_full_disk_leaves_nothing(tmp_path, most, small, reason):
    path, target = tmp_path / "vms.json", tmp_path / "inventory"
    rows = [vm(str(number), properties={"text": os.urandom(200).hex()}) for number in range(5_000)]
    path.write_text("\n".join(map(json.dumps, rows)))
    command = [sys.executable, "-c", FULL, str(path), str(target), str(most), str(small)]
    answer = subprocess.run(command, capture_output=True, text=True, check=False)
    assert reason in answer.stdout, answer
    assert answer.stderr == ""
    assert not target.exists()


# Export


@pytest.mark.parametrize("name", ["out.jsonl", "out.parquet"])
def test_what_is_exported_can_be_imported(tmp_path, name, monkeypatch):
    monkeypatch.setattr(export_module, "_ROWS_AT_ONCE", 2)
    rows = [*ROWS, vm("e", properties={"big": 2**70}, new={"a": [1.0, 1]}, tags={"A": 1, "a": 2}), *(vm(f"n{n}") for n in range(5))]
    (tmp_path / "in").write_text("\n".join(map(json.dumps, rows)))
    found = []
    for source in (tmp_path / "in", tmp_path / name):
        store = Store.in_memory()
        load_files([source], store, enough_rows=1)
        with store.snapshot() as snapshot:
            assert export(snapshot, tmp_path / name) == len(rows)
            with pytest.raises(InventoryError, match="nowhere"):
                export(snapshot, tmp_path / "nowhere" / name)
        found.append(stored(store))
        store.close()
    assert found == [by_id(rows)] * 2


# A user's own tables


def test_a_users_table_from_a_file(tmp_path):
    table = pa.table({"a": [1, 2], "d": [{"x": 1}, None]})
    pq.write_table(table, tmp_path / "t.parquet")
    with pa.ipc.new_file(tmp_path / "t.arrow", table.schema) as writer:
        writer.write_table(table)
    with pa.ipc.new_stream(tmp_path / "t.stream", table.schema) as writer:
        writer.write_table(table)
    for name in ("t.parquet", "t.arrow", "t.stream"):
        assert read_table(tmp_path / name).equals(table)


def test_a_users_table_from_json(tmp_path):
    rows = [{"a": 1, "s": "x", "d": {"x": 1}, "m": 1, "r": 1.5}, {"a": None, "d": {"y": [1]}, "m": "x", "b": True}, {"d": {}, "e": []}]
    for text in ("\n".join(map(json.dumps, rows)), json.dumps(rows)):
        (tmp_path / "t.json").write_text(text)
        table = read_table(tmp_path / "t.json")
        assert table.schema.names == ["a", "s", "d", "m", "r", "b", "e"]
        store = Store.in_memory()
        store.register("t", table)
        with store.snapshot() as snapshot:
            found = snapshot.catalog.table("t")
            [part] = found.partitions
            assert [str(column.type) for column in found.columns] == ["long", "string", "dynamic", "dynamic", "real", "bool", "dynamic"]
            values = snapshot.run(f'SELECT * FROM "{part.source}"').to_pydict()
        assert values["c3"] == ["1", '"x"', None]
        assert values["c6"] == [None, None, "[]"]
        assert values["c2"] == [{"x": 1, "y": None}, {"x": None, "y": [1]}, {"x": None, "y": None}]
        store.close()


@pytest.mark.parametrize(
    ("content", "reason"), [("[1]", "line 1: not a JSON object"), ("{", "t.json, line 1"), ("PAR1", "t.json"), ("[]", "no documents")]
)
def test_a_users_table_that_cannot_be_read(tmp_path, content, reason):
    (tmp_path / "t.json").write_text(content)
    with pytest.raises(InventoryError, match=reason):
        read_table(tmp_path / "t.json")
    with pytest.raises(InventoryError, match="missing"):
        read_table(tmp_path / "missing")
