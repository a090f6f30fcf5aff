"""The text of whole documents, as queries give it: nothing of a number is lost, however the document is held."""

import json
from datetime import UTC, datetime

import pytest

from kqlite.engine import Engine
from kqlite.inventory.imports.in_memory import incoming
from kqlite.inventory.shapes.batches import partition
from kqlite.inventory.shapes.catalog import read_partitions, write_partitions
from kqlite.inventory.shapes.change_batches import changes_of
from kqlite.inventory.shapes.documents import decode
from kqlite.inventory.shapes.shapes import PLAIN_JSON, from_json
from kqlite.inventory.store.store import Store
from kqlite.language.rules import late_materialization
from kqlite.language.schema import JSON
from tests.support.same_documents import exact

VM = "microsoft.compute/virtualmachines"
MORNING, NOON = datetime(2026, 1, 1, 8, tzinfo=UTC), datetime(2026, 1, 1, 12, tzinfo=UTC)

DOCUMENTS = [
    {},
    {"provisioningState": "Succeeded", "platformFaultDomain": 0},
    {"extended": {}, "osProfile": {"secrets": []}},
    {"extended": {"instanceView": {"powerState": {"code": "PowerState/running"}}}},
    {"extended": {"instanceView": {"powerState": {"displayStatus": 'a "b" \\ \n \0 \x1f é 😀'}}}},
    {"extended": {"instanceView": {"powerState": {}}}, "odd": [1, 1.0, -0.0, True, None, {"a": [None]}, "\0", 2**64, 5e-324]},
    {"odd": {"": {'a"\\b\0': 1}, "A": 1, "a": 2}},
    {"odd": "null", 'a"b': 1, "é": 0.1, "x y": 1e16},
]
LONG_FRACTIONS = [
    {"odd": decode("0.10000000000000000555")},
    {"odd": {"a": [decode("9007199254740993.0")]}, "provisioningState": "Failed"},
    {"osProfile": {"secrets": [decode("1e-400")]}},
]


def machines(documents):
    return [{"id": f"/vms/{number}", "type": VM, "properties": document} for number, document in enumerate(documents)]


def queried(store):
    """The documents in the order of their names, as `same_documents.exact`."""
    table = Engine(store).query("resources | project name = toint(split(id, '/')[2]), properties | order by name asc").to_arrow()
    return [exact(decode(text)) for text in table["properties"].to_pylist()]


def is_written_by_the_engine(store):
    """Whether the text of whole documents is made in one call, and not member by member."""
    with store.snapshot() as snapshot:
        return "ltrim" not in Engine(store).compile("resources | project properties", snapshot.catalog, {}).sql


@pytest.mark.parametrize(("documents", "in_one_call"), [([*DOCUMENTS, {"é": -0.0}], True), (DOCUMENTS + LONG_FRACTIONS, False)])
def test_whole_documents_come_back_after_an_import(documents, in_one_call):
    store = Store.in_memory()
    store.load(incoming(machines(documents)))
    assert queried(store) == list(map(exact, documents))
    assert is_written_by_the_engine(store) is in_one_call


@pytest.mark.parametrize("number", range(len(LONG_FRACTIONS)))
def test_a_change_that_brings_a_long_fraction_is_written_back_whole(number):
    documents = [*DOCUMENTS, LONG_FRACTIONS[number]]
    store = Store.in_memory()
    *first, last = machines(documents)
    store.apply([changes_of("resources", VM, first, range(1, len(documents)))], MORNING)
    assert queried(store) == list(map(exact, DOCUMENTS))
    assert is_written_by_the_engine(store)
    store.apply([changes_of("resources", VM, [last], [len(documents)])], NOON)
    assert queried(store) == list(map(exact, documents))
    assert not is_written_by_the_engine(store)
    # What has been promised no longer is not promised again.
    store.apply([changes_of("resources", VM, first, range(100, 100 + len(first)))], NOON)
    assert queried(store) == list(map(exact, documents))


def test_a_catalog_from_before_the_promise_promises_nothing():
    before = json.loads(write_partitions({"resources": (partition("r", {"properties": PLAIN_JSON}, [VM]),)}))
    assert before["resources"][0]["shapes"] == {"properties": "json+="}
    before["resources"][0]["shapes"] = {"properties": "json"}
    [[old]] = read_partitions(json.dumps(before)).values()
    assert old.shapes == {"properties": JSON}
    assert from_json({"a": ["json", "_hot_a"]}).members[0].shape == JSON


# Rows first, documents later.

TYPES = ("a/plain", "b/nested", "c/hot", VM)
NUMBERS = range(40)


def mixed():
    """Rows of several types with documents of their own; ids tell which row it is."""
    for type_ in TYPES:
        for number in NUMBERS:
            name = f"{number:02}-{type_[0]}"
            nested = {"extended": {"instanceView": {"powerState": {"code": f"c{number % 3}"}}}, "list": [{"n": number}, None]}
            properties = {"number": number} if type_ == "a/plain" else {"text": name, **nested}
            yield {"id": f"/{type_}/{number}", "name": name, "type": type_, "properties": properties, "tags": {"k": str(number % 5)}}


@pytest.fixture(params=[True, False], ids=["optimized", "not optimized"])
def many_types(request):
    store = Store.in_memory(optimizer=request.param)
    store.load(incoming(mixed(), enough_rows=1))
    yield store
    store.close()


PICKING = [
    "resources | take 7",
    "resources | take 1000",
    "resources | take 0",
    "resources | where properties.number > 30 or tags.k == '1' | take 11",
    "resources | where type startswith 'b' or type startswith 'c' | take 45",
    "resources | top 25 by name",
    "resources | top 50 by name asc",
    "resources | order by tostring(properties.text) desc, id asc | take 90",
    "resources | order by toint(tags.k) asc nulls last, name desc | take 33",
    "resources | where tags.k != '0' | extend x = strlen(name) + toint(tags.k) | order by x asc, id asc | take 21",
    "resources | order by type asc, name asc | take 60 | where properties has 'c1'",
    "resources | extend n = row_number() | take 30",
    "union (resources | take 5), (resources | top 5 by name) | take 8",
    "resources | join kind=inner (resources | take 20) on id | take 10",
    "resources | top 5 by name | summarize n = count(), documents = make_list(properties) by kind",
]


@pytest.mark.parametrize("query", PICKING)
def test_rows_that_are_picked_first_are_the_same(many_types, query, monkeypatch):
    def answer(leaves):
        monkeypatch.setattr(late_materialization, "LEAVES_WORTH_FETCHING", leaves)
        engine = Engine(many_types)
        with many_types.snapshot() as snapshot:
            fetches = "MATERIALIZED" in engine.compile(query, snapshot.catalog, {}).sql
        return fetches, engine.query(query).to_arrow().to_pylist()

    (fetched_late, late), (fetched_early, early) = answer(0), answer(1 << 40)
    assert fetched_late is ("row_number" not in query)
    assert not fetched_early
    assert len(late) == len(early)
    if " by " in query and "union" not in query:
        assert [row.get("id") for row in late] == [row.get("id") for row in early]
    known = {row["id"]: exact(row) for row in mixed()}
    for row in (*late, *early):
        if row.keys() >= {"id", "properties", "tags"}:
            own = {name: row[name] for name in ("id", "name", "type")}
            assert exact(own | {name: decode(row[name]) for name in ("properties", "tags")}) == known[row["id"]]


def test_rows_are_picked_first_only_where_that_is_less_work(many_types):
    def picks(query):
        with many_types.snapshot() as snapshot:
            return "MATERIALIZED" in Engine(many_types).compile(query, snapshot.catalog, {}).sql

    assert picks("resources | take 2000")
    assert picks("resources | top 2000 by name")
    assert not picks("resources | take 10")
    assert not picks("resources | take 2000 | project name")
    assert not picks("resources | where type == 'a/plain' | take 2000")


def test_rows_held_in_arrow_are_written_at_once():
    store = Store.in_memory()
    store.hold(incoming(mixed(), enough_rows=1))
    assert len(Engine(store).query("resources | take 2000")) == len(list(mixed()))
