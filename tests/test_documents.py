"""The text of whole documents, as queries give it: nothing of a number is lost, however the document is held."""

import json
from datetime import UTC, datetime

import pytest
from same_documents import exact

from kqlite.engine import Engine
from kqlite.inventory.batches import partition
from kqlite.inventory.catalog import read_partitions, write_partitions
from kqlite.inventory.changes import changes_of
from kqlite.inventory.documents import decode
from kqlite.inventory.rows import incoming
from kqlite.inventory.shapes import PLAIN_JSON, from_json
from kqlite.inventory.store import Store
from kqlite.language.schema import JSON

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
    assert before["resources"][0]["shapes"] == {"properties": "json+"}
    before["resources"][0]["shapes"] = {"properties": "json"}
    [[old]] = read_partitions(json.dumps(before)).values()
    assert old.shapes == {"properties": JSON}
    assert from_json({"a": ["json", "_hot_a"]}).members[0].shape == JSON
