"""A query's whole way: snapshots, the plan cache, scope, parameters, the clock."""

import threading
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pyarrow as pa
import pytest

import kqlite
from kqlite.access.local import LocalAccess
from kqlite.engine import Engine
from kqlite.inventory.store.arrow_store import ArrowStore
from kqlite.inventory.store.store import Store
from kqlite.language.types import Type

MACHINES = pa.table(
    {
        "id": ["/a", "/b", "/c"],
        "name": ["web", "db", "old"],
        "type": ["microsoft.compute/virtualmachines"] * 3,
        "subscriptionId": ["S1", "S1", "s2"],
        "resourceGroup": ["front", "back", "front"],
        "properties": [{"size": 1}, {"size": 2}, {"size": 3}],
    }
)


@pytest.fixture
def resources():
    with kqlite.connect({"resources": MACHINES}) as connection:
        yield connection


def names(result):
    return sorted(row["name"] for row in result)


@pytest.mark.parametrize(
    ("scope", "seen"),
    [
        (kqlite.Scope(), ["db", "old", "web"]),
        (kqlite.Scope(subscriptions=frozenset({"s1"})), ["db", "web"]),
        (kqlite.Scope(subscriptions=frozenset({"S2"})), ["old"]),
        (kqlite.Scope(resource_groups=frozenset({"FRONT"})), ["old", "web"]),
        (kqlite.Scope(frozenset({"s1"}), frozenset({"front"})), ["web"]),
        (kqlite.Scope(subscriptions=frozenset()), []),
    ],
)
@pytest.mark.parametrize(
    "query",
    [
        "resources | project name",
        "resources | where id in (resources | project id) | project name",
        "resources | join kind=inner (resources | project id) on id | project name",
        "let T = resources; union T | distinct name",
        "where properties.size > 0 | project name",
    ],
)
def test_scope_wraps_every_scan(resources, scope, seen, query):
    assert names(resources.query(query, scope=scope)) == seen


def test_scope_reaches_the_right_side_of_a_join(resources):
    scope = kqlite.Scope(subscriptions=frozenset({"s2"}))
    [row] = resources.query("print x = 1 | join kind=inner (resources | extend x = 1) on x | count", scope=scope)
    assert row == {"Count": 1}


def test_a_table_out_of_scope_is_unknown(resources):
    with pytest.raises(kqlite.KqlError) as caught:
        resources.query("resources | count", scope=kqlite.Scope(tables=frozenset({"resourcecontainers"})))
    assert caught.value.code == "KQL202"


def test_a_plan_is_cached_by_what_it_depends_on():
    engine = Engine(ArrowStore({"t": pa.table({"x": [1]})}))
    with engine.store.snapshot() as snapshot:
        catalog = snapshot.catalog
    first = engine.compile("t | where x == p", catalog, {"p": Type.LONG})
    assert engine.compile("t | where x == p", catalog, {"p": Type.LONG}) is first
    assert engine.compile("t | where x == p", catalog, {"p": Type.REAL}) is not first
    assert engine.compile("t | where x == p ", catalog, {"p": Type.LONG}) is not first


def test_values_of_a_scope_are_no_part_of_the_plan(resources):
    texts = set()
    for subscription in ("s1", "s2"):
        texts.add(resources.compile("resources", scope=kqlite.Scope(subscriptions=frozenset({subscription}))).sql)
    assert len(texts) == 1
    assert "s1" not in texts.pop()


@pytest.mark.parametrize(
    ("value", "type_", "text"),
    [
        (True, "bool", "True"),
        (2**62, "long", "4611686018427387904"),
        (2.5, "real", "2.5"),
        ("it's", "string", "it's"),
        (datetime(2024, 2, 29, 12, 30, 0, 5, UTC), "datetime", "2024-02-29T12:30:00.0000050Z"),
        (datetime(2024, 2, 29), "datetime", "2024-02-29T00:00:00.0000000Z"),
        (timedelta(days=1, seconds=3), "timespan", "1.00:00:03"),
        (UUID("74be27de-1e4e-49d9-b579-fe0b331d3642"), "guid", "74be27de-1e4e-49d9-b579-fe0b331d3642"),
        ({"a": [1, None]}, "dynamic", '{"a":[1,null]}'),
    ],
)
def test_parameters_have_the_type_of_their_value(resources, value, type_, text):
    result = resources.query("print given = value, text = tostring(value)", {"value": value})
    assert [(column.name, str(column.type)) for column in result.schema] == [("given", type_), ("text", "string")]
    [row] = result
    assert row["text"] == text


@pytest.mark.parametrize(
    ("name", "value"), [("a b", 1), ("x", object()), ("x", 2**63), ("x", "\ud800"), ("x", {"a": float("nan")}), ("x", None)]
)
def test_a_parameter_that_no_query_can_take_is_refused(resources, name, value):
    with pytest.raises(kqlite.KqliteError, match=name):
        resources.query("print 1", {name: value})


def test_a_column_wins_over_a_parameter(resources):
    assert names(resources.query("resources | where name == 'web' | project name", {"name": "db"})) == ["web"]


def test_now_is_the_connections_clock():
    moment = datetime(2024, 5, 6, 7, 8, 9, tzinfo=UTC)
    with kqlite.connect({"t": pa.table({"x": [1]})}, clock=lambda: moment) as connection:
        [row] = connection.query("print now(), ago(1d)")
    assert list(row.values()) == [moment, moment - timedelta(days=1)]


def test_names_that_differ_in_case_alone_stay_apart(resources):
    result = resources.query("resources | where name == 'web' | project Name = 'x', name, NAME = 1")
    assert result.to_pylist() == [{"Name": "x", "name": "web", "NAME": 1}]


def test_a_query_runs_on_the_schema_it_was_bound_against():
    """Another thread replaces a table by one with other columns, again and again: no query sees one's names and the other's rows."""
    store = Store.in_memory()
    wide = pa.table({"x": list(range(1000)), "p": [{"a": i} for i in range(1000)]})
    narrow = pa.table({"x": [str(i) for i in range(500)], "q": [{"b": {"c": i}} for i in range(500)]})
    store.register("t", wide)
    connection = kqlite.Connection(LocalAccess(store))
    stop = threading.Event()
    faults: list[BaseException] = []

    def swap() -> None:
        try:
            while not stop.is_set():
                for table in (narrow, wide):
                    store.register("t", table, replace=True)
        except BaseException as error:
            faults.append(error)

    writer = threading.Thread(target=swap)
    writer.start()
    seen = set()
    try:
        for _ in range(150):
            result = connection.query("t | take 2000")
            seen.add((tuple(result.schema.names()), len(result)))
    finally:
        stop.set()
        writer.join()
    assert not faults
    assert seen <= {(("x", "p"), 1000), (("x", "q"), 500)}


def test_the_deepest_query_that_parses_also_runs():
    with kqlite.connect({"t": pa.table({"x": [1]})}) as connection:
        query = "t | where " + "(" * 90 + "x == 1" + ")" * 90 + " and " + "not(" * 90 + "x == 1" + ")" * 90
        assert len(connection.query(query)) == 1


@pytest.mark.parametrize(
    "query",
    [
        "summarize x = max(2000000000) | extend y = x + x",
        "take 1 | extend x = iff(name == '', 1, 2000000000) | project y = x + x",
        "take 1 | extend x = case(name == '', 1, 2000000000) | project y = x * 2",
        "take 1 | extend x = coalesce(long(null), 2000000000) | project y = x + x",
        "take 1 | extend x = max_of(2000000000, 1) | project y = x + x",
        "take 1 | extend k = 1, x = 2000000000 | join kind=inner (print k = 1, z = 2000000000) on k | project y = x + z",
        "take 1 | union (print x = 2000000000) | where x > 1 | project y = x + x",
    ],
)
def test_a_long_constant_is_a_long_wherever_it_goes(resources, query):
    assert [row["y"] for row in resources.query(query)] == [4_000_000_000]


def test_of_thousands_of_mistakes_a_screenful_is_told() -> None:
    query = "resources | extend " + ", ".join(f"a{number} = wrong{number}" for number in range(20_000))
    with pytest.raises(kqlite.KqlError) as caught:
        kqlite.connect(None).query(query)
    assert len(caught.value.diagnostics) == 100
    assert str(caught.value).endswith("\nand 90 more")
    assert str(caught.value).count("error[KQL201]") == 10
