"""Change records: one of each event of a resource, with what differs between the rows before and after it."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kqlite.inventory.shapes.batches import documents
from kqlite.orchestration.events import Event, Kind
from kqlite.orchestration.model import Type
from kqlite.simulation import Simulation
from kqlite.snapshotter.change_records import TABLES, ChangeRecords
from kqlite.snapshotter.resource_rows import row_before, row_of, table_of
from tests.support.core_events import all_events, definitions_of, furnished, world_of
from tests.support.random_world import RG

Row = dict[str, Any]
MACHINES = "microsoft.compute/virtualmachines"


def records_of(events: list[Event]) -> list[Row]:
    """The records of all events, in their order."""
    found: dict[int, Row] = {}
    for records in ChangeRecords(definitions_of(events)).of(events):
        sequences = records.rows.column("_seq").to_pylist()
        keys = records.rows.column("_key").to_pylist()
        for sequence, key, row in zip(sequences, keys, documents(records.rows, records.partition), strict=True):
            assert key == row["id"].lower()
            assert row["type"] == records.resource_type == "microsoft.resources/changes"
            assert sequence not in found
            found[sequence] = row | {"table": records.table}
    return [found[sequence] for sequence in sorted(found)]


def told(events: list[Event]) -> list[Event]:
    return [event for event in events if table_of(event.type) is not None]


def leaves(value: Any, path: str) -> dict[str, Any]:
    """Every scalar of a value, and every object and array that is empty, by its path."""
    if value in ({}, []):
        return {path: value}
    if isinstance(value, dict):
        return {inner: leaf for name, member in value.items() for inner, leaf in leaves(member, f"{path}.{name}").items()}
    if isinstance(value, list):
        return {inner: leaf for index, element in enumerate(value) for inner, leaf in leaves(element, f"{path}[{index}]").items()}
    return {path: value}


def flat(row: Row) -> dict[str, Any]:
    named_elsewhere = ("id", "name", "type", "tenantId", "resourceGroup", "subscriptionId")
    shown = {name: value for name, value in row.items() if name not in named_elsewhere and value not in (None, "")}
    if shown.get("tags") == {}:
        del shown["tags"]
    return {path: leaf for name, value in shown.items() for path, leaf in leaves(value, name).items() if leaf is not None}


def difference(before: Row, after: Row, category: str) -> dict[str, Any]:
    """The member `changes` of a record."""
    old, new = flat(before), flat(after)
    changes: dict[str, Any] = {}
    for path in old.keys() | new.keys():
        if path not in new:
            changes[path] = {"previousValue": old[path], "propertyChangeType": "Remove"}
        elif path not in old:
            changes[path] = {"previousValue": "null", "newValue": new[path], "propertyChangeType": "Insert"}
        elif json.dumps(old[path]) != json.dumps(new[path]):
            changes[path] = {"previousValue": old[path], "newValue": new[path], "propertyChangeType": "Update"}
    return {path: change | {"changeCategory": category} for path, change in changes.items()}


def check(events: list[Event]) -> None:
    definitions = definitions_of(events)
    records = records_of(events)
    assert len(records) == len(told(events))
    for event, record in zip(told(events), records, strict=True):
        properties = record["properties"]
        before, after = row_before(event, definitions), row_of(event, definitions)
        row = after or before
        assert row is not None
        assert properties["targetResourceId"] == row["id"]
        assert properties["targetResourceType"] == row["type"]
        assert properties["changeType"] == {Kind.CREATED: "Create", Kind.CHANGED: "Update", Kind.DELETED: "Delete"}[event.kind]
        if event.kind is Kind.CHANGED:
            assert before is not None
            assert after is not None
            category = "User" if event.actor == "user" else "System"
            expected = difference(before, after, category)
            assert properties["changes"] == expected, event
            assert properties["changeAttributes"]["changesCount"] == len(expected)
        else:
            assert "changes" not in properties


@given(seed=st.integers(0, 2**32))
@settings(max_examples=25, deadline=None)
def test_a_record_says_in_what_the_rows_differ(seed: int) -> None:
    check(all_events(world_of(seed, 60).simulation))


def test_a_record_of_every_type() -> None:
    simulation = furnished()
    compute = f"{RG}/providers/Microsoft.Compute"
    for path, body in (
        (f"{compute}/virtualMachineScaleSets/web", {"sku": {"capacity": 5}, "tags": {"env": "test", "new": "x"}}),
        (f"{compute}/virtualMachines/solo", {"tags": {}}),
        (RG, {"tags": {"a": "b"}}),
    ):
        assert simulation.arm("PATCH", f"{path}?api-version=2021-07-01", body).status < 300
        simulation.settle()
    events = all_events(simulation)
    check(events)
    records = records_of(events)
    tables = {(record["properties"]["targetResourceType"], record["table"]) for record in records}
    for type_, table in tables:
        assert table == TABLES["subscriptions" in type_ and "providers" not in type_]
    assert {type_ for type_, _ in tables} == {type_.lower() for type_ in Type if table_of(type_) is not None}


def test_what_a_request_changed_is_told_as_azure_tells_it() -> None:
    simulation = Simulation(seed=1, features="all")
    simulation.create_scale_set("web", capacity=2, tags={"env": "prod"})
    simulation.settle()
    first = simulation.log.last
    path = f"{RG}/providers/Microsoft.Compute/virtualMachineScaleSets/web?api-version=2021-07-01"
    assert simulation.arm("PATCH", path, {"sku": {"capacity": 3}, "tags": {"key1": "NewTagValue"}}).status < 300
    events = all_events(simulation)
    [record] = [
        record
        for event, record in zip(told(events), records_of(events), strict=True)
        if event.sequence > first and event.actor == "user" and event.type == Type.SCALE_SET
    ]
    properties = record["properties"]
    assert record["resourceGroup"] == "rg"
    assert record["id"] == f"{properties['targetResourceId']}/providers/Microsoft.Resources/changes/{record['name']}"
    user = {"changeCategory": "User"}
    assert properties["changes"] == {
        "properties.provisioningState": {"previousValue": "Succeeded", "newValue": "Updating", "propertyChangeType": "Update"} | user,
        "sku.capacity": {"previousValue": 2, "newValue": 3, "propertyChangeType": "Update"} | user,
        "tags.env": {"previousValue": "prod", "propertyChangeType": "Remove"} | user,
        "tags.key1": {"previousValue": "null", "newValue": "NewTagValue", "propertyChangeType": "Insert"} | user,
    }
    attributes = properties["changeAttributes"]
    [event] = [event for event in events if event.sequence == int(record["name"])]
    assert attributes["correlationId"] == event.operation
    assert (attributes["changedBy"], attributes["changedByType"], attributes["clientType"]) == ("user", "User", "Unspecified")
    assert attributes["operation"] == "microsoft.compute/virtualmachinescalesets/write"
    assert attributes["changesCount"] == 4
    assert attributes["timestamp"].startswith(f"{simulation.now:%Y-%m-%dT%H:%M:%S}")


@pytest.mark.parametrize(
    ("cause", "operation"),
    [
        ("deallocate", "microsoft.compute/virtualmachines/deallocate/action"),
        ("delete", "microsoft.compute/virtualmachines/delete"),
    ],
)
def test_an_action_has_the_name_of_the_azure_operation(cause: str, operation: str) -> None:
    simulation = Simulation(seed=1, features="all")
    simulation.create_vm("solo")
    simulation.settle()
    first = simulation.log.last
    simulation.act("solo", cause)
    simulation.settle()
    events = all_events(simulation)
    found = [
        (event.actor, record["properties"]["changeAttributes"]["operation"])
        for event, record in zip(told(events), records_of(events), strict=True)
        if event.sequence > first and event.type == Type.VM
    ]
    by_user = [name for actor, name in found if actor == "user"]
    assert by_user == [operation]
    ended = "microsoft.compute/virtualmachines/delete" if cause == "delete" else "microsoft.compute/virtualmachines/write"
    assert [name for actor, name in found if actor != "user"] == [ended]


@given(seed=st.integers(0, 2**32))
@settings(max_examples=15, deadline=None)
def test_snapshot_ids_chain_the_records_of_a_resource(seed: int) -> None:
    events = all_events(world_of(seed, 60).simulation)
    last: dict[str, str | None] = {}
    ends: set[str] = set()
    for event, record in zip(told(events), records_of(events), strict=True):
        key = record["properties"]["targetResourceId"].lower()
        attributes = record["properties"]["changeAttributes"]
        assert attributes.get("previousResourceSnapshotId") == last.get(key)
        last[key] = attributes.get("newResourceSnapshotId")
        assert (last[key] is None) == (event.kind is Kind.DELETED)
        # An extension has no unique number, and one that comes again begins anew.
        if last[key] is not None and event.type not in (Type.EXTENSION, Type.SUBSCRIPTION):
            assert last[key] not in ends, "two states have one snapshot id"
            ends.add(str(last[key]))


def test_records_are_the_same_however_the_events_are_portioned() -> None:
    events = all_events(world_of(11, 60).simulation)
    whole = records_of(events)
    maker = ChangeRecords(definitions_of(events))
    single = [row for event in events for records in maker.of([event]) for row in documents(records.rows, records.partition)]
    assert [{name: value for name, value in row.items() if name != "table"} for row in whole] == single


def test_records_say_until_when_they_reach() -> None:
    simulation = furnished()
    events = all_events(simulation)
    by_table = {records.table: records for records in ChangeRecords(definitions_of(events)).of(events)}
    assert by_table.keys() == set(TABLES)
    last = max(event.time for event in told(events))
    assert by_table["resourcechanges"].until.timestamp() * 1_000_000 == pytest.approx(last, abs=1)
    assert by_table["resourcecontainerchanges"].until < by_table["resourcechanges"].until


def test_a_record_of_what_shows_nowhere_has_no_changes() -> None:
    simulation = Simulation(seed=1, features="all")
    simulation.create_scale_set("web", capacity=1, health=True)
    simulation.settle()
    simulation.advance("1h")
    events = all_events(simulation)
    probed = [
        record
        for event, record in zip(told(events), records_of(events), strict=True)
        if event.kind is Kind.CHANGED and event.previous.keys() <= {"health", "health_due", "version"}
    ]
    assert probed
    for record in probed:
        assert record["properties"]["changes"] == {}
        assert record["properties"]["changeAttributes"]["changesCount"] == 0
