"""Rows from events are what ARM answers, in Resource Graph's form; folded, in any portions, they are what the core holds at the end."""

import random
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kqlite.inventory.imports.in_memory import incoming
from kqlite.inventory.shapes.batches import documents
from kqlite.inventory.shapes.change_batches import Changes, HotColumnsMissing
from kqlite.inventory.shapes.known_shapes import KNOWN_SHAPES
from kqlite.inventory.shapes.resource_tables import COLUMNS, HOT_LEAVES
from kqlite.inventory.shapes.shapes import freeze, from_json, thaw, whole
from kqlite.inventory.store.store import Store
from kqlite.language.types import Type as ColumnType
from kqlite.orchestration.clock import to_datetime
from kqlite.orchestration.events import Event, Kind
from kqlite.orchestration.model import STATES, Type, VmState
from kqlite.simulation import Simulation
from kqlite.snapshotter.change_records import TABLES, ChangeRecords
from kqlite.snapshotter.folding import Folder
from kqlite.snapshotter.hot import NAME, SHOWING, HotLeaves
from kqlite.snapshotter.resource_rows import row as row_in_state
from kqlite.snapshotter.resource_rows import row_before, row_of, table_of
from tests.support.core_events import all_events, calm, definitions_of, furnished, world_of
from tests.support.random_world import RG, World

TENANT = "00000000-0000-0000-0000-00000000feed"
STRINGS = [column.name for column in COLUMNS if column.type is ColumnType.STRING]
MACHINES = "microsoft.compute/virtualmachines"
Row = dict[str, Any]


# The oracle: what Resource Graph shows of what ARM answers


def shown(answer: dict[str, Any]) -> Row:
    """The row of a resource that ARM answers with."""
    parts = answer["id"].split("/")
    lower = [part.lower() for part in parts]
    resource_type = answer.get("type", "microsoft.resources/subscriptions").lower()
    if resource_type == "microsoft.resources/resourcegroups":
        resource_type = "microsoft.resources/subscriptions/resourcegroups"
    row: Row = dict.fromkeys(STRINGS, "")
    row |= {name: answer[name] for name in ("id", "name", "location", "managedBy") if name in answer}
    dynamics = ("sku", "plan", "properties", "tags", "identity", "zones", "extendedLocation")
    row |= {name: answer[name] for name in dynamics if name in answer}
    row |= {"type": resource_type, "tenantId": TENANT, "subscriptionId": parts[2]}
    row["resourceGroup"] = lower[lower.index("resourcegroups") + 1] if "resourcegroups" in lower else ""
    if resource_type == "microsoft.resources/subscriptions":
        row["name"] = answer["displayName"]
        row["properties"] = {"state": answer["state"]}
    if resource_type == MACHINES:
        row["properties"] = with_extended(row["properties"])
    if resource_type == "microsoft.compute/proximityplacementgroups":
        row["properties"] = {key: value for key, value in row["properties"].items() if not key.startswith("virtualMachine")}
    return row


def with_extended(properties: dict[str, Any]) -> dict[str, Any]:
    view = properties["instanceView"]
    kept = {name: view[name] for name in ("computerName", "osName", "osVersion", "hyperVGeneration") if name in view}
    for status in view["statuses"]:
        if status["code"].startswith("PowerState/"):
            kept["powerState"] = {"code": status["code"], "level": "Info", "displayStatus": status["displayStatus"]}
    return {key: value for key, value in properties.items() if key != "instanceView"} | {"extended": {"instanceView": kept}}


def health_of(answer: dict[str, Any]) -> Row:
    """The health of a machine that ARM answers with, by what its instance view says."""
    statuses = {status["code"].partition("/")[0]: status for status in answer["properties"]["instanceView"]["statuses"]}
    power = statuses.get("PowerState", {}).get("code", "").removeprefix("PowerState/")
    creating = statuses["ProvisioningState"]["code"].startswith("ProvisioningState/creating")
    available = "Unknown" if power in ("", "unknown") else "Available" if power == "running" and not creating else "Unavailable"
    row = shown(answer)
    return dict.fromkeys(STRINGS, "") | {
        "id": f"{answer['id']}/providers/Microsoft.ResourceHealth/availabilityStatuses/current",
        "name": "current",
        "type": "microsoft.resourcehealth/availabilitystatuses",
        "tenantId": TENANT,
        **{name: row[name] for name in ("location", "resourceGroup", "subscriptionId")},
        "properties": {
            "targetResourceId": answer["id"],
            "targetResourceType": MACHINES,
            "availabilityState": available,
            "occurredTime": statuses["ProvisioningState"]["time"],
        },
    }


def without_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: without_nulls(member) for key, member in value.items() if member is not None}
    return [without_nulls(element) for element in value] if isinstance(value, list) else value


def same(row: Row, expected: Row) -> bool:
    """Whether two rows say the same: a string that is missing is empty, a member that is null is missing."""
    left, right = (dict.fromkeys(STRINGS, "") | without_nulls(each) for each in (row, expected))
    if left["type"] == "microsoft.resources/subscriptions":
        # ARM's answer leaves out what Resource Graph adds.
        left["properties"] = {"state": left["properties"]["state"]}
    return left == right


# Events, and what the core holds


def living(events: list[Event]) -> Iterator[Event]:
    """The last event of every resource that is there."""
    last: dict[tuple[str, str], Event] = {}
    for event in events:
        if table_of(event.type) is not None:
            last[event.type, event.id.lower()] = event
    return (event for event in last.values() if event.kind is not Kind.DELETED)


def check_rows(simulation: Simulation) -> None:
    events = all_events(simulation)
    definitions = definitions_of(events)
    for event in living(events):
        row = row_of(event, definitions)
        assert row is not None
        answer = simulation.get(row["id"])
        assert same(row, shown(answer)), (row, shown(answer))


def test_every_type_has_the_row_that_arm_answers_for() -> None:
    simulation = furnished()
    check_rows(simulation)
    assert {event.type for event in living(all_events(simulation))} == {type_ for type_ in STATES if table_of(type_) is not None}


@given(seed=st.integers(0, 2**32))
@settings(max_examples=25, deadline=None)
def test_rows_are_what_arm_answers(seed: int) -> None:
    draw = random.Random(seed)
    world = World(seed)
    for _ in range(4):
        for _ in range(10):
            world.do(draw)
        calm(world.simulation)
        check_rows(world.simulation)


def test_what_is_no_resource_has_no_row() -> None:
    events = all_events(furnished())
    tables = {event.type.rpartition("/")[2]: table_of(event.type) for event in events}
    assert {tables[name] for name in ("operations", "definitions", "features", "providers")} == {None}
    assert tables["virtualMachines"] == "resources"
    assert tables["subscriptions"] == tables["resourceGroups"] == "resourcecontainers"
    assert tables["locks"] == "authorizationresources"


def test_a_lock_has_the_id_below_what_it_locks() -> None:
    simulation = furnished()
    events = all_events(simulation)
    [lock] = [event for event in living(events) if event.type == "Microsoft.Authorization/locks"]
    row = row_of(lock, definitions_of(events))
    assert row is not None
    assert row["id"].endswith("/virtualMachines/solo/providers/Microsoft.Authorization/locks/keep")
    assert row["properties"]["level"] == "CanNotDelete"


# Hot leaves


def at(row: Row, path: str) -> Any:
    value: Any = row
    for name in path.split("."):
        value = None if value is None else value.get(name)
    return value


def without(value: Any, paths: tuple[str, ...], path: str = "") -> Any:
    """The row with these leaves taken out, and the objects that they were in left where they are."""
    if not isinstance(value, dict):
        return value
    inner = {name: f"{path}.{name}".lstrip(".") for name in value}
    return {name: without(member, paths, inner[name]) for name, member in value.items() if inner[name] not in paths}


@given(seed=st.integers(0, 2**32))
@settings(max_examples=40, deadline=None)
def test_a_hot_change_is_one_in_hot_leaves_alone(seed: int) -> None:
    events = all_events(world_of(seed, 60).simulation)
    definitions = definitions_of(events)
    hot = HotLeaves(definitions)
    for event in events:
        if not hot.touches_hot_alone(event):
            continue
        before, after = row_before(event, definitions), row_of(event, definitions)
        assert before is not None
        assert after is not None
        paths = HOT_LEAVES[after["type"]]
        assert without(before, paths) == without(after, paths), event
        assert hot.values(event, event.state) == tuple(at(after, path) for path in paths)
        changed = [(path, at(before, path), at(after, path)) for path in paths if at(before, path) != at(after, path)]
        move = hot.move(event)
        name = hot.name(event) if move.name_at >= 0 else None
        assert [(path, *(name if value == NAME else value for value in values)) for path, *values in move.differences] == changed


@pytest.mark.parametrize("type_", SHOWING)
def test_fields_that_show_are_fields(type_: str) -> None:
    showing = SHOWING[type_]
    named = (*showing.hot, *showing.nowhere, *showing.following)
    assert len(set(named)) == len(named)
    assert set(named) <= set(STATES[type_]._fields)
    assert showing.absent in ("", *showing.hot)


@pytest.mark.parametrize("type_", SHOWING)
def test_whatever_a_field_says_it_shows_where_it_should(type_: str) -> None:
    """Each field takes every value that the field of another state of the type has."""
    simulation = furnished()
    simulation.create_scale_set("bare", capacity=1, domains=2)
    simulation.create_vm("other")
    simulation.settle()
    simulation.act("other", "deallocate")
    simulation.settle()
    simulation.scale("bare", 0)
    simulation.settle()
    events = all_events(simulation)
    definitions = definitions_of(events)
    told = [event for event in events if event.type == type_]
    showing, paths = SHOWING[type_], HOT_LEAVES[type_.lower()]
    for field in (*showing.hot, *showing.nowhere):
        for value in {getattr(event.state, field) for event in told}:
            for event in told[:: len(told) // 20 + 1]:
                known = row_in_state(event, event.state, definitions)
                other = row_in_state(event, event.state._replace(**{field: value}), definitions)
                if field in showing.nowhere:
                    assert known == other, field
                elif field != showing.absent or bool(value) == bool(getattr(event.state, field)):
                    assert without(known, paths) == without(other, paths), field


def test_most_of_what_happens_to_machines_is_hot() -> None:
    simulation = Simulation(seed=2, features="all")
    simulation.create_scale_set("web", capacity=5, health=True)
    simulation.settle()
    first = simulation.log.last
    for vm in simulation.instances("web"):
        for action in ("powerOff", "start", "deallocate", "start", "restart"):
            simulation.act(vm["name"], action)
            simulation.settle()
    events = all_events(simulation)
    hot = HotLeaves(definitions_of(events))
    assert all(hot.touches_hot_alone(event) for event in events[first:] if table_of(event.type) is not None)


# Folding


class Held:
    """An inventory in memory: rows and their sequence numbers, by table and key. It takes changes as the store does."""

    def __init__(self) -> None:
        self.rows: dict[tuple[str, str], tuple[int, Row]] = {}
        self.gone: dict[tuple[str, str], int] = {}

    def apply(self, changes: list[Changes]) -> None:
        for change in changes:
            told = set(change.rows.column("_key").to_pylist())
            assert len(told) == change.rows.num_rows, "a resource has two rows"
            assert told.isdisjoint(change.deleted)
            self._take_rows(change)
            if change.hot is not None:
                assert told.isdisjoint(change.hot.column("_key").to_pylist())
                self._take_leaves(change)
            for key, sequence in change.deleted.items():
                if self.rows.get((change.table, key), (0, {}))[0] < sequence:
                    self.rows.pop((change.table, key), None)
                    self.gone[change.table, key] = max(sequence, self.gone.get((change.table, key), 0))

    def _take_rows(self, change: Changes) -> None:
        sequences = change.rows.column("_seq").to_pylist()
        keys = change.rows.column("_key").to_pylist()
        for key, sequence, row in zip(keys, sequences, documents(change.rows, change.partition), strict=True):
            place = change.table, key
            assert key == row["id"].lower()
            if max(self.rows.get(place, (0, {}))[0], self.gone.get(place, 0)) < sequence:
                self.rows[place] = sequence, row

    def _take_leaves(self, change: Changes) -> None:
        assert change.hot is not None
        for leaves in change.hot.to_pylist():
            key, sequence, changed = leaves.pop("_key"), leaves.pop("_seq"), leaves.pop("_changed", -1)
            known, row = self.rows.get((change.table, key), (sequence, {}))
            if known <= sequence:
                for at, path in enumerate(HOT_LEAVES[change.resource_type]):
                    value = leaves.pop("_hot_" + path.replace(".", "_"))
                    if changed >> at & 1:
                        put(row, path, value)
                assert not leaves
                self.rows[change.table, key] = sequence, row


def put(row: Row, path: str, value: Any) -> None:
    *parents, name = path.split(".")
    for parent in parents:
        if parent not in row:
            assert value is None, f"{path} has no object to lie in"
            return
        row = row[parent]
    if value is None:
        row.pop(name, None)
    else:
        row[name] = value


def check_held(held: Held, simulation: Simulation) -> None:
    """What is held is what ARM answers, and the health of every machine."""
    events = all_events(simulation)
    definitions = definitions_of(events)
    expected: dict[tuple[str, str], Row] = {}
    newest: dict[tuple[str, str], int] = {}
    for event in living(events):
        row = row_of(event, definitions)
        assert row is not None
        answer = simulation.get(row["id"])
        place = str(table_of(event.type)), row["id"].lower()
        expected[place], newest[place] = shown(answer), event.sequence
        if row["type"] == MACHINES:
            health = health_of(answer)
            expected["healthresources", health["id"].lower()] = health
    assert held.rows.keys() == expected.keys()
    for place, (sequence, row) in held.rows.items():
        assert same(row, expected[place]), (place, row, expected[place])
        if place in newest:
            assert sequence == newest[place]


def portions(events: list[Event], draw: random.Random) -> Iterator[list[Event]]:
    while events:
        size = draw.choice((1, 3, 30, 300))
        yield events[:size]
        events = events[size:]


@given(seed=st.integers(0, 2**32))
@settings(max_examples=25, deadline=None)
def test_folded_in_any_portions_events_are_what_the_core_holds(seed: int) -> None:
    draw = random.Random(seed)
    simulation = world_of(seed, 60).simulation
    events = all_events(simulation)
    held, folder = Held(), Folder(definitions_of(events))
    for portion in portions(events, draw):
        changes = folder.fold(portion)
        held.apply(changes)
        held.apply(changes)
    check_held(held, simulation)


@given(seed=st.integers(0, 2**32))
@settings(max_examples=15, deadline=None)
def test_doubled_lost_and_out_of_order_the_last_event_of_each_resource_is_enough(seed: int) -> None:
    draw = random.Random(seed)
    simulation = world_of(seed, 40).simulation
    events = all_events(simulation)
    final = {(event.type, event.id.lower()): event for event in events}
    told = [event for event in events if draw.random() < 0.7 or final[event.type, event.id.lower()] is event]
    told += draw.choices(told, k=len(told) // 3)
    draw.shuffle(told)
    held, folder = Held(), Folder(definitions_of(events))
    for portion in portions(told, draw):
        changes = folder.fold(portion, complete=False)
        assert all(change.hot is None and change.since is None for change in changes)
        held.apply(changes)
    check_held(held, simulation)


def stored(store: Store) -> dict[tuple[str, str], tuple[int, Row]]:
    """All rows of a store with their sequence numbers, by table and key."""
    held: dict[tuple[str, str], tuple[int, Row]] = {}
    with store.snapshot() as snapshot:
        for table, parts in snapshot.catalog.resources.items():
            for part in parts:
                found = snapshot.run(f'SELECT * FROM "{part.source}"')
                keys, sequences = found.column("_key").to_pylist(), found.column("_seq").to_pylist()
                for key, sequence, row in zip(keys, sequences, documents(found, part), strict=True):
                    assert (table, key) not in held
                    held[table, key] = sequence, row
    return held


@pytest.mark.parametrize("seed", range(4))
def test_a_store_that_takes_what_is_folded_holds_what_the_core_holds(seed: int) -> None:
    draw = random.Random(seed)
    simulation = world_of(seed, 80).simulation
    events = all_events(simulation)
    folder, records, store = Folder(definitions_of(events)), ChangeRecords(definitions_of(events)), Store.in_memory()
    for portion in portions(events, draw):
        store.apply(folder.fold(portion), to_datetime(portion[-1].time), records=records.of(portion))
    held = Held()
    held.rows = stored(store)
    store.close()
    changes = [place for place in held.rows if place[0] in TABLES]
    assert len(changes) == sum(table_of(event.type) is not None for event in events)
    for place in changes:
        del held.rows[place]
    check_held(held, simulation)


def test_a_type_of_which_other_forms_were_imported_gets_whole_rows() -> None:
    simulation = Simulation(seed=1, features="all")
    simulation.create_vm("solo")
    simulation.settle()
    first = all_events(simulation)
    folder, store = Folder(definitions_of(first)), Store.in_memory()
    store.load(incoming([{"id": "/vms/odd", "type": MACHINES, "properties": {"a": 1, "A": 2}}]))
    store.apply(folder.fold(first), to_datetime(first[-1].time))
    simulation.act("solo", "deallocate")
    simulation.settle()
    later = simulation.events(first[-1].sequence)
    with pytest.raises(HotColumnsMissing) as raised:
        store.apply(folder.fold(later), to_datetime(later[-1].time))
    folder.make_whole(raised.value.resource_type)
    store.apply(folder.fold(later), to_datetime(later[-1].time))
    held = Held()
    held.rows = stored(store)
    store.close()
    del held.rows["resources", "/vms/odd"]
    check_held(held, simulation)


def test_what_an_import_holds_as_json_takes_hot_leaves() -> None:
    simulation = Simulation(seed=1, features="all")
    simulation.create_vm("solo")
    simulation.settle()
    first = all_events(simulation)
    folder, store = Folder(definitions_of(first)), Store.in_memory()
    view = {"extended": {"instanceView": {"osVersion": 20.04, "computerName": "odd"}}}
    store.load(incoming([{"id": "/vms/odd", "type": MACHINES, "properties": view}]))
    store.apply(folder.fold(first), to_datetime(first[-1].time))
    for action in ("deallocate", "start"):
        before = simulation.log.last
        simulation.act("solo", action)
        simulation.settle()
        later = simulation.events(before)
        store.apply(folder.fold(later), to_datetime(later[-1].time))
    held = Held()
    held.rows = stored(store)
    store.close()
    assert held.rows.pop(("resources", "/vms/odd"))[1]["properties"] == view
    check_held(held, simulation)


def test_leaves_of_the_same_sequence_number_are_written() -> None:
    """Some of a row may show later than the rest of it."""
    simulation = Simulation(seed=1, features="all")
    simulation.create_vm("solo")
    simulation.settle()
    events = all_events(simulation)
    folder, store = Folder(definitions_of(events)), Store.in_memory()
    [machine] = [event for event in living(events) if event.type == Type.VM]
    assert isinstance(machine.state, VmState)
    stopped = machine._replace(state=machine.state._replace(power="stopped"))
    store.apply(folder.fold([*events[: machine.sequence - 1], stopped], complete=False), to_datetime(events[-1].time))
    for told, power in ((machine, "running"), (machine._replace(sequence=machine.sequence - 1, state=stopped.state), "running")):
        store.apply(folder.fold_released([told]), to_datetime(events[-1].time))
        [row] = [row for _, row in stored(store).values() if row["type"] == MACHINES]
        assert row["properties"]["extended"]["instanceView"]["powerState"]["code"] == f"PowerState/{power}"
    store.close()


def test_a_resource_that_comes_again_is_a_row_and_no_deletion() -> None:
    simulation = Simulation(seed=1, features="all")
    simulation.create_vm("solo")
    simulation.settle()
    simulation.act("solo", "delete")
    simulation.settle()
    simulation.create_vm("SOLO")
    simulation.settle()
    events = all_events(simulation)
    by_type = {change.resource_type: change for change in Folder(definitions_of(events)).fold(events)}
    machines = by_type[MACHINES]
    assert machines.deleted == {}
    assert machines.hot is None
    [row] = documents(machines.rows, machines.partition)
    assert row["name"] == "SOLO"
    assert row["properties"]["provisioningState"] == "Succeeded"
    before_it_came_again = next(at for at, event in enumerate(events) if event.name == "SOLO" and event.type.lower() == MACHINES)
    gone = {change.resource_type: change for change in Folder(definitions_of(events)).fold(events[:before_it_came_again])}
    assert list(gone[MACHINES].deleted) == [row["id"].lower()]
    [key] = gone["microsoft.resourcehealth/availabilitystatuses"].deleted
    assert key.startswith(row["id"].lower())


def test_a_cold_change_and_a_hot_one_are_one_row_which_says_since_when() -> None:
    simulation = Simulation(seed=1, features="all")
    simulation.create_vm("solo")
    simulation.settle()
    events = all_events(simulation)
    first = simulation.log.last
    folder = Folder(definitions_of(events))
    folder.fold(events)
    path = f"{RG}/providers/Microsoft.Compute/virtualMachines/solo?api-version=2021-07-01"
    assert simulation.arm("PATCH", path, {"tags": {"x": "y"}}).status < 300
    simulation.settle()
    later = [event for event in simulation.events(first) if event.type.lower() == MACHINES]
    assert len(later) == 2
    [tagged, settled] = later
    [machines] = [change for change in folder.fold(later) if change.resource_type == MACHINES]
    assert machines.hot is None
    assert machines.rows.column("_seq").to_pylist() == [settled.sequence]
    assert machines.since is not None
    assert machines.since.to_pylist() == [tagged.sequence]
    assert simulation.arm("PATCH", path, {"tags": {"x": "z"}}).status < 300
    again = [event for event in simulation.events(settled.sequence) if event.type.lower() == MACHINES]
    [machines] = [change for change in folder.fold(later + again) if change.resource_type == MACHINES]
    assert machines.since is not None
    assert machines.since.to_pylist() == [again[-1].sequence]
    [machines] = [change for change in folder.fold([settled]) if change.resource_type == MACHINES]
    assert machines.rows.num_rows == 0
    assert machines.hot is not None
    assert machines.hot.column("_seq").to_pylist() == [settled.sequence]


@pytest.mark.parametrize("make", [furnished, *(lambda seed=seed: world_of(seed, 150).simulation for seed in range(3))])
def test_partitions_that_are_fed_begin_with_shapes_that_cover_what_comes(make: Callable[[], Simulation]) -> None:
    events = all_events(make())
    for change in Folder(definitions_of(events)).fold(events):
        if change.resource_type in KNOWN_SHAPES:
            known = {name: freeze(thaw(from_json(shape))) for name, shape in KNOWN_SHAPES[change.resource_type].items()}
            assert {name: whole(shape) for name, shape in change.shapes.items()} == known


def test_texts_that_json_escapes_make_their_leaf_not_plain() -> None:
    """A shape promises that no string in it has such characters, and each machine of a model could bring one."""
    simulation = Simulation(seed=1, features="all")
    simulation.create_vm("solo")
    simulation.settle()
    path = f"{RG}/providers/Microsoft.Compute/virtualMachines/solo/extensions/%22x%5C?api-version=2021-07-01"
    body = {"location": "eastus", "properties": {"publisher": "p", "type": 't"', "typeHandlerVersion": "1.0"}}
    assert simulation.arm("PUT", path, body).status < 300
    events = all_events(simulation)
    for change in Folder(definitions_of(events)).fold(events):
        if change.resource_type.endswith("/extensions"):
            [row] = documents(change.rows, change.partition)
            type_leaf = change.shapes["properties"].member("type")
            assert row["properties"]["type"] == 't"'
            assert not type_leaf.shape.plain
