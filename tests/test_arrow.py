"""What Arrow's types mean in KQL, in place and loaded."""

import decimal
import threading
from datetime import UTC, date, datetime, timedelta
from uuid import UUID

import pyarrow as pa
import pytest

from kqlite.errors import InventoryError
from kqlite.inventory.shapes.resource_tables import COLUMNS
from kqlite.inventory.store.arrow_store import ArrowStore
from kqlite.inventory.store.store import Store
from kqlite.language.schema import JSON, ORDERED_JSON, Array, Leaf, Member, Object
from kqlite.language.types import UNIX_EPOCH_TICKS, Type

TEXT, LONG, REAL, BOOL = Leaf(Type.STRING), Leaf(Type.LONG, plain=True), Leaf(Type.REAL, plain=True), Leaf(Type.BOOL, plain=True)


def json_of(*texts):
    return pa.ExtensionArray.from_storage(pa.json_(), pa.array(texts, pa.string()))


@pytest.fixture(params=["in place", "loaded", "registered in place"])
def seen(request):
    """A function that gives a table's columns as KQL sees them: type, shape, values."""

    def look(table, name="t"):
        store: ArrowStore | Store
        if request.param == "in place":
            store = ArrowStore({name: table})
        else:
            store = kept = Store.in_memory()
            kept.register(name, table, load=request.param == "loaded")
        with store.snapshot() as snapshot:
            found = snapshot.catalog.table(name)
            [part] = found.partitions
            rows = snapshot.run(f'SELECT * FROM "{part.source}"')
            columns = {
                column.name: (column.type, part.shapes.get(column.name), rows.column(part.columns[column.name]).to_pylist())
                for column in found.columns
                if column.name in part.columns
            }
        store.close()
        return columns

    return look


@pytest.mark.parametrize(
    ("array", "type_", "values"),
    [
        (pa.array([True, None]), Type.BOOL, [True, None]),
        (pa.array([1, None], pa.int8()), Type.INT, [1, None]),
        (pa.array([255], pa.uint8()), Type.INT, [255]),
        (pa.array([65535], pa.uint16()), Type.INT, [65535]),
        (pa.array([-(2**31)], pa.int32()), Type.INT, [-(2**31)]),
        (pa.array([2**32 - 1], pa.uint32()), Type.LONG, [2**32 - 1]),
        (pa.array([2**63 - 1, None]), Type.LONG, [2**63 - 1, None]),
        (pa.array([1.5, None], pa.float32()), Type.REAL, [1.5, None]),
        (pa.array([1.5, None]), Type.REAL, [1.5, None]),
        (pa.array([0.5], pa.float16()), Type.REAL, [0.5]),
        (pa.array(["a", None, ""]), Type.STRING, ["a", "", ""]),
        (pa.array(["a"], pa.large_string()), Type.STRING, ["a"]),
        (pa.array(["a", None], pa.string_view()), Type.STRING, ["a", ""]),
        (pa.array(["a", None, "a"]).dictionary_encode(), Type.STRING, ["a", "", "a"]),
        (pa.array([5, None], pa.int64()).dictionary_encode(), Type.LONG, [5, None]),
        (pa.array([UUID(int=10), None], pa.uuid()), Type.GUID, ["00000000-0000-0000-0000-00000000000a", None]),
        (pa.array([date(1970, 1, 2), None]), Type.DATETIME, [UNIX_EPOCH_TICKS + 864_000_000_000, None]),
        (pa.array([date(1969, 12, 31)], pa.date64()), Type.DATETIME, [UNIX_EPOCH_TICKS - 864_000_000_000]),
        (pa.array([datetime(1, 1, 1), None], pa.timestamp("us")), Type.DATETIME, [0, None]),
        (pa.array([datetime(9999, 12, 31, tzinfo=UTC)], pa.timestamp("s", "UTC")), Type.DATETIME, [3_155_378_112_000_000_000]),
        (pa.array([1, -1], pa.timestamp("ms", "Europe/Berlin")), Type.DATETIME, [UNIX_EPOCH_TICKS + 10_000, UNIX_EPOCH_TICKS - 10_000]),
        (pa.array([199, -1, -100, -101], pa.timestamp("ns")), Type.DATETIME, [UNIX_EPOCH_TICKS + n for n in (1, -1, -1, -2)]),
        (pa.array([2**62], pa.timestamp("s")), Type.DATETIME, [None]),
        (pa.array([timedelta(seconds=1), None], pa.duration("s")), Type.TIMESPAN, [10_000_000, None]),
        (pa.array([-150, 100], pa.duration("ns")), Type.TIMESPAN, [-2, 1]),
        (pa.array([7], pa.duration("us")), Type.TIMESPAN, [70]),
    ],
    ids=lambda value: str(value.type) if isinstance(value, pa.Array) else None,
)
def test_scalars(seen, array, type_, values):
    assert seen(pa.table({"x": array})) == {"x": (type_, None, values)}


NESTED = pa.struct([("a", pa.int8()), ("b", pa.list_(pa.float32())), ("c", pa.dictionary(pa.int8(), pa.string()))])


@pytest.mark.parametrize(
    ("array", "shape", "values"),
    [
        (pa.array([{"a": 1}, None, {"a": None}]), Object((Member("a", LONG),)), [{"a": 1}, None, {"a": None}]),
        (
            pa.array([{"a": 1, "b": [1.5, None], "c": "x"}], NESTED),
            Object((Member("a", LONG), Member("b", Array(REAL)), Member("c", TEXT))),
            [{"a": 1, "b": [1.5, None], "c": "x"}],
        ),
        (pa.array([["x"], None, []], pa.large_list(pa.string())), Array(TEXT), [["x"], None, []]),
        (pa.array([[True, False]], pa.list_(pa.bool_(), 2)), Array(BOOL), [[True, False]]),
        (pa.array([[{"a": "x"}, None]]), Array(Object((Member("a", TEXT),))), [[{"a": "x"}, None]]),
        (pa.nulls(2), JSON, [None, None]),
        (json_of('{"a":1}', None, "null", " null ", "5"), JSON, ['{"a":1}', None, None, None, "5"]),
        (
            pa.StructArray.from_arrays([json_of("1", "[2.50]")], ["a"]),
            Object((Member("a", JSON),)),
            [{"a": "1"}, {"a": "[2.50]"}],
        ),
        # Written as JSON, because DuckDB has no such struct, or because KQL has another text for it.
        (pa.StructArray.from_arrays([json_of("1", "null")], ["a"]), ORDERED_JSON, ['{"a":1}', "{}"]),
        (pa.array([{"Env": 1, "env": 2}]), ORDERED_JSON, ['{"Env":1,"env":2}']),
        (pa.array([{"": 1}]), ORDERED_JSON, ['{"":1}']),
        (pa.array([{"_": 1}]), ORDERED_JSON, ['{"_":1}']),
        (pa.array([{}, None], pa.struct([])), ORDERED_JSON, ["{}", None]),
        (pa.array([[("k", 1), ("l", None)], None, []], pa.map_(pa.string(), pa.int64())), ORDERED_JSON, ['{"k":1}', None, "{}"]),
        (
            pa.array([{"t": datetime(2026, 3, 1, 12, 0, 0, 5, tzinfo=UTC)}], pa.struct([("t", pa.timestamp("us", "UTC"))])),
            ORDERED_JSON,
            ['{"t":"2026-03-01T12:00:00.0000050Z"}'],
        ),
        (pa.array([[0.5]], pa.list_(pa.float16())), ORDERED_JSON, ["[0.5]"]),
        (pa.array([[date(2026, 3, 1)]]), ORDERED_JSON, ['["2026-03-01T00:00:00.0000000Z"]']),
        (
            pa.array([[timedelta(days=1, seconds=5), timedelta(microseconds=-1)]], pa.list_(pa.duration("us"))),
            ORDERED_JSON,
            ['["1.00:00:05","-00:00:00.0000010"]'],
        ),
    ],
    ids=lambda value: str(value.type) if isinstance(value, pa.Array) else None,
)
def test_dynamics(seen, array, shape, values):
    assert seen(pa.table({"x": array})) == {"x": (Type.DYNAMIC, shape, values)}


@pytest.mark.parametrize(
    "array",
    [
        pa.array([1], pa.uint64()),
        pa.array([decimal.Decimal("1.5")]),
        pa.array([b"x"]),
        pa.array([5], pa.time32("s")),
        pa.array([[b"x"]]),
        pa.array([{"a": [decimal.Decimal("1")]}]),
    ],
    ids=lambda array: str(array.type),
)
def test_types_without_a_form_are_refused_by_name(seen, array):
    with pytest.raises(InventoryError, match=r"column `size`: Arrow type .* has no form in KQL"):
        seen(pa.table({"size": array}))


def test_names_that_differ_in_case_and_odd_names(seen):
    names = ["Location", "location", 'a"b', "{0}", "%s", "c0", "SELECT"]
    found = seen(pa.table([pa.array([index]) for index in range(len(names))], names=names))
    assert {name: values for name, (_, _, values) in found.items()} == {name: [index] for index, name in enumerate(names)}


def test_columns_need_names_of_their_own():
    with pytest.raises(InventoryError, match="two columns of the table have the same name"):
        ArrowStore({"t": pa.table([pa.array([1]), pa.array([2])], names=["a", "a"])})
    with pytest.raises(InventoryError, match="at least one column"):
        ArrowStore({"t": pa.table({})})


def test_chunks_slices_and_no_rows(seen):
    chunked = pa.chunked_array([pa.array(["a", None]), pa.array([], pa.string()), pa.array(["b", "c"])])
    times = pa.chunked_array([pa.array([datetime(1970, 1, 1)]), pa.array([None, None, None], pa.timestamp("us"))])
    table = pa.table({"s": chunked, "t": times}).slice(1, 2)
    assert {name: values for name, (_, _, values) in seen(table).items()} == {"s": ["", "b"], "t": [None, None]}
    assert seen(table.slice(0, 0)) == {"s": (Type.STRING, None, []), "t": (Type.DATETIME, None, [])}


def test_a_resource_table_keeps_its_columns(seen):
    table = pa.table(
        {
            "id": ["/a", "/b"],
            "type": ["t", None],
            "kind": pa.nulls(2),
            "properties": ['{"a":1}', "no json"],
            "tags": pa.array([{"Env": "x"}, None]),
            "zones": pa.nulls(2),
            "own": [1.5, None],
        }
    )
    found = seen(table, "Resources")
    assert found["properties"] == (Type.DYNAMIC, JSON, ['{"a":1}', '"no json"'])
    assert found["kind"] == (Type.STRING, None, ["", ""])
    assert found["tags"] == (Type.DYNAMIC, Object((Member("Env", TEXT),)), [{"Env": "x"}, None])
    assert found["own"] == (Type.REAL, None, [1.5, None])


def test_a_resource_table_of_the_wrong_type():
    with pytest.raises(InventoryError, match="column `name` of a resource table is string, but Arrow type int64 is long"):
        ArrowStore({"resources": pa.table({"name": [1]})})


def test_the_catalog_of_given_tables():
    store = ArrowStore({"Resources": pa.table({"id": ["/a"], "type": ["t"]}), "Vms": pa.table({"a": [1]})})
    with store.snapshot() as first, store.snapshot() as second:
        assert first.catalog is second.catalog
        assert first.watermark is None
        table = first.catalog.table("RESOURCES")
        assert (table.columns, table.scoped, table.partitions[0].types) == (COLUMNS, True, {"t"})
        assert first.catalog.table("vms") is None
        assert first.catalog.table("resourcechanges").partitions == ()
        names = list(first.catalog.names())
        assert "Vms" in names
        assert len(names) == len(set(names))


def test_threads_query_tables_in_place_together():
    store = ArrowStore({"t": pa.table({"a": list(range(1000))})})
    found = []

    def read():
        for _ in range(20):
            with store.snapshot() as snapshot:
                source = snapshot.catalog.table("t").partitions[0].source
                found.append(snapshot.run(f'SELECT sum(c0) AS n FROM "{source}"').to_pylist())

    threads = [threading.Thread(target=read) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [[{"n": 499500}]] * 80
