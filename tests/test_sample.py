"""The sample inventory: what it promises about its rows, and how it reaches a store."""

import hashlib
import json
import os
import re
import subprocess
import sys
from collections import Counter
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kqlite.directory.data_directory import DataDirectory
from kqlite.errors import InventoryError
from kqlite.inventory.sample.batches import BLOCK
from kqlite.inventory.sample.columns import Draws, Expansion, scattered
from kqlite.inventory.sample.fleets import Mode
from kqlite.inventory.sample.generate import SamplePlan, load_sample, write_sample
from kqlite.inventory.shapes.batches import BatchBuilder, Drafts, documents
from kqlite.inventory.shapes.resource_tables import COLUMNS, table_of
from kqlite.inventory.shapes.shapes import join
from kqlite.inventory.store.store import Store
from kqlite.language.schema import JSON, Array, Leaf, Object, Shape

Row = dict[str, Any]

VMS = 4000
PLAN = SamplePlan(VMS, seed=7)
KINDS = {kind.type: kind for kind in PLAN.kinds}
VM, NIC, DISK = "microsoft.compute/virtualmachines", "microsoft.network/networkinterfaces", "microsoft.compute/disks"


@pytest.fixture(scope="module")
def rows() -> list[Row]:
    return list(PLAN.documents())


@pytest.fixture(scope="module")
def machines(rows) -> list[Row]:
    return of_type(rows, VM)


def of_type(rows: list[Row], resource_type: str) -> list[Row]:
    return [row for row in rows if row["type"] == resource_type]


def share(rows: list[Row], holds: Any) -> float:
    return sum(1 for row in rows if holds(row)) / len(rows)


def test_there_are_as_many_machines_as_asked_for(machines):
    assert len(machines) == VMS


@pytest.mark.parametrize("vms", [1, 2, 37])
def test_small_inventories_have_as_many_machines_as_asked_for(vms):
    rows = list(SamplePlan(vms, seed=3).documents())
    assert len(of_type(rows, VM)) == vms
    assert len({row["id"].lower() for row in rows}) == len(rows)


def test_the_smallest_inventory_answers_the_reference_query():
    (machine,) = of_type(list(SamplePlan(1, seed=1).documents()), VM)
    assert "/virtualMachineScaleSets/demo" in machine["properties"]["virtualMachineScaleSet"]["id"]


def test_ids_are_unique_in_any_case(rows):
    assert len({row["id"].lower() for row in rows}) == len(rows)


def test_identifiers_inside_documents_are_unique(rows):
    for resource_type, member in ((VM, "vmId"), (NIC, "resourceGuid"), (NIC, "macAddress"), (DISK, "uniqueId")):
        values = [row["properties"][member] for row in of_type(rows, resource_type)]
        assert len(set(values)) == len(values), member


def test_there_are_more_than_twenty_other_types(rows):
    assert len({row["type"] for row in rows} - {VM, NIC, DISK, "microsoft.compute/virtualmachinescalesets"}) > 25


def test_rows_are_in_the_table_of_their_type():
    for kind in PLAN.kinds:
        assert kind.table == table_of(kind.type)


def test_rows_have_the_columns_of_the_tables(rows):
    for row in rows:
        assert set(row) <= set(COLUMNS.names())
        assert row["type"] == row["type"].lower()
        assert row["resourceGroup"] == row["resourceGroup"].lower()


def test_everything_is_in_a_group_and_a_subscription_that_exist(rows):
    groups = {(row["subscriptionId"], row["resourceGroup"]) for row in of_type(rows, "microsoft.resources/subscriptions/resourcegroups")}
    subscriptions = {row["subscriptionId"] for row in of_type(rows, "microsoft.resources/subscriptions")}
    assert {subscription for subscription, _ in groups} == subscriptions
    assert {(row["subscriptionId"], row["resourceGroup"]) for row in rows if row["resourceGroup"]} == groups


def test_what_documents_refer_to_exists(rows):
    ids = {row["id"].lower() for row in rows}

    def references(value: Any) -> Any:
        if isinstance(value, dict):
            for name, member in value.items():
                if name in ("id", "serverFarmId") and isinstance(member, str) and member.startswith("/subscriptions/"):
                    yield member
                else:
                    yield from references(member)
        elif isinstance(value, list):
            for element in value:
                yield from references(element)

    within = re.compile(r"/(subnets|ipconfigurations|networkinterfaces/nic)(/|$).*")
    for row in rows:
        for reference in references(row["properties"]):
            assert within.sub("", reference.lower()) in ids, (row["id"], reference)
        assert row["managedBy"] == "" or row["managedBy"].lower() in ids


def test_machines_interfaces_and_disks_refer_to_each_other(rows, machines):
    owner_of_interface = {
        row["id"].lower(): row["properties"]["virtualMachine"]["id"].lower()
        for row in of_type(rows, NIC)
        if "virtualMachine" in row["properties"]
    }
    owner_of_disk = {row["id"].lower(): row["managedBy"].lower() for row in of_type(rows, DISK) if row["managedBy"]}
    for row in machines:
        storage = row["properties"]["storageProfile"]
        for disk in [storage["osDisk"], *storage["dataDisks"]]:
            assert owner_of_disk.pop(disk["managedDisk"]["id"].lower()) == row["id"].lower()
        for interface in row["properties"]["networkProfile"]["networkInterfaces"]:
            assert owner_of_interface.pop(interface["id"].lower()) == row["id"].lower()
    assert not owner_of_disk
    assert not owner_of_interface


def test_a_scale_set_asks_for_the_machines_that_it_has(rows, machines):
    members = Counter(row["properties"].get("virtualMachineScaleSet", {}).get("id", "").lower() for row in machines)
    flexible = [
        row for row in of_type(rows, "microsoft.compute/virtualmachinescalesets") if row["properties"]["orchestrationMode"] == "Flexible"
    ]
    assert {row["id"].lower(): row["sku"]["capacity"] for row in flexible} == {key: count for key, count in members.items() if key}


def test_groups_are_skewed(machines):
    sizes = sorted(Counter(row["resourceGroup"] for row in machines).values())
    assert sizes[-1] > 15 * sizes[len(sizes) // 2]
    assert sum(sizes[-len(sizes) // 10 :]) > VMS / 3


def test_ids_are_in_mixed_case(machines):
    assert 0.01 < share(machines, lambda row: "/microsoft.compute/virtualmachines/" in row["id"]) < 0.1
    assert share(machines, lambda row: row["id"].split("/")[4] != row["id"].split("/")[4].upper()) > 0.5
    assert share(machines, lambda row: row["id"].split("/")[4] == row["id"].split("/")[4].upper()) > 0.1


def test_optional_members_come_and_go(machines):
    for member in (
        "virtualMachineScaleSet", "availabilitySet", "platformFaultDomain", "extended", "osProfile", "priority", "evictionPolicy",
        "billingProfile", "licenseType", "diagnosticsProfile", "securityProfile", "additionalCapabilities", "userData",
    ):  # fmt: skip
        assert 0 < share(machines, lambda row, member=member: member in row["properties"]) < 1, member
    for column in ("tags", "zones", "identity", "plan"):
        assert 0 < share(machines, lambda row, column=column: column in row) < 1, column


def test_tags_are_missing_empty_or_there(machines):
    assert share(machines, lambda row: "tags" not in row) > 0.05
    assert share(machines, lambda row: row.get("tags") == {}) > 0.01
    assert share(machines, lambda row: "cost center" in row.get("tags", {})) > 0.1


def test_one_document_in_a_hundred_has_a_member_of_an_odd_type(rows, machines):
    versions = [row["properties"].get("extended", {}).get("instanceView", {}).get("osVersion") for row in machines]
    known = [version for version in versions if version is not None]
    assert 0.002 < sum(1 for version in known if not isinstance(version, str)) / len(known) < 0.03
    assert 0.002 < share(of_type(rows, NIC), lambda row: row["properties"]["auxiliaryMode"] is False) < 0.03
    assert 0.002 < share(of_type(rows, DISK), lambda row: row["properties"]["maxShares"] == "1") < 0.03


def test_power_states_are_of_those_that_the_service_knows(machines):
    codes = Counter(row["properties"].get("extended", {}).get("instanceView", {}).get("powerState", {}).get("code") for row in machines)
    states = ("running", "stopped", "deallocated", "starting", "stopping", "deallocating")
    assert set(codes) == {None, *(f"PowerState/{state}" for state in states)}
    assert codes["PowerState/running"] > VMS / 2


def test_documents_of_machines_are_of_a_realistic_size(machines):
    size = sum(len(json.dumps(row, separators=(",", ":"))) for row in machines) / VMS
    assert 1500 < size < 2300


@pytest.mark.parametrize("resource_type", KINDS)
def test_batches_agree_with_documents(resource_type):
    kind = KINDS[resource_type]
    partition = kind.partition("")
    builder = BatchBuilder(partition)
    for batch in PLAN.batches(kind):
        batch.validate(full=True)
        assert builder.build(list(documents(batch, partition))).equals(batch)


@pytest.mark.parametrize("resource_type", KINDS)
def test_shapes_cover_the_documents(resource_type):
    """Also that no text which a shape calls plain needs escaping: `join` keeps `plain` only where both sides have it."""
    kind = KINDS[resource_type]
    drafts = Drafts()
    drafts.widen(list(PLAN.documents_of(kind)))
    declared = kind.shapes()
    for column, seen in drafts.shapes(resource_type).items():
        assert bare(join(declared[column], seen)) == bare(declared[column]), column


def bare(shape: Shape | None) -> Any:
    """A shape as plain data, without where its leaves are held."""
    match shape:
        case Object():
            return {member.name: bare(member.shape) for member in shape.members}
        case Array():
            return [bare(shape.element)]
        case Leaf():
            return shape
        case _:
            return JSON


def digest(vms: int, seed: int) -> str:
    documents = json.dumps(list(SamplePlan(vms, seed).documents()), sort_keys=True)
    return hashlib.sha256(documents.encode()).hexdigest()


def test_equal_seeds_give_equal_inventories_in_any_process():
    program = f"import sys; sys.path.insert(0, {os.path.dirname(__file__)!r}); import test_sample; print(test_sample.digest(300, 5))"
    environment = os.environ | {"PYTHONHASHSEED": "12345"}
    other = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True)
    assert other.stdout.strip() == digest(300, 5)


def test_other_seeds_give_other_inventories():
    assert digest(50, 5) != digest(50, 6)


@pytest.mark.parametrize("resource_type", [VM, NIC, DISK])
def test_a_larger_inventory_begins_with_the_smaller_one(resource_type):
    small, large = (
        {
            row["id"]: row
            for plan in (SamplePlan(vms, 2),)
            for kind in plan.kinds
            if kind.type == resource_type
            for row in plan.documents_of(kind)
        }
        for vms in (BLOCK + 500, BLOCK + 1500)
    )
    assert len(small) < len(large)
    assert small.items() <= large.items()


def test_machines_of_one_fleet_are_named_after_it():
    fleet = next(fleet for fleet in PLAN.fleets if fleet.mode is Mode.FLEXIBLE and fleet.count > 1)
    batch = next(PLAN.batches(KINDS[VM]))
    names = batch.column("name").to_pylist()[fleet.first : fleet.first + fleet.count]
    assert all(re.fullmatch(re.escape(fleet.name) + "_[0-9a-f]{8}", name) for name in names)


def test_a_store_takes_the_whole_inventory(rows):
    store = Store.in_memory()
    seen: list[tuple[int, int]] = []
    load_sample(store, VMS, 7, lambda done, total: seen.append((done, total)))
    loaded: list[dict] = []
    with store.snapshot() as snapshot:
        for partitions in snapshot.catalog.resources.values():
            for partition in partitions:
                loaded += documents(snapshot.run(f'SELECT * FROM "{partition.source}"'), partition)
        shapes = {partition.source: partition.types for partition in snapshot.catalog.table("resources").partitions}
    store.close()
    assert {row["id"]: row for row in loaded} == {row["id"]: row for row in rows}
    assert shapes[f"resources/{VM}"] == {VM}
    assert len(shapes["resources"] or ()) > 20
    assert seen == sorted(seen)
    assert seen[-1] == (VMS, VMS)


def test_a_store_that_has_resources_is_left_alone():
    store = Store.in_memory()
    load_sample(store, 1, 1)
    with pytest.raises(InventoryError, match="resources already"):
        load_sample(store, 1, 1)
    store.close()


def test_a_directory_takes_the_inventory_and_gives_it_back(tmp_path):
    write_sample(tmp_path / "new", 20, 1)
    store = Store.open(DataDirectory.open(tmp_path / "new"))
    with store.snapshot() as snapshot:
        (count,) = snapshot.run(f'SELECT count(*) AS machines FROM "resources/{VM}"').to_pylist()
        assert snapshot.watermark == datetime(2026, 1, 1, tzinfo=UTC)
    store.close()
    assert count == {"machines": 20}


def test_a_directory_that_has_resources_is_left_alone(tmp_path):
    write_sample(tmp_path, 2, 1)
    with pytest.raises(InventoryError, match="resources already"):
        write_sample(tmp_path, 3, 1)
    assert (tmp_path / "manifest.json").exists()


def test_nothing_is_left_of_a_directory_that_was_not_finished(tmp_path):
    def interrupt(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_sample(tmp_path / "new", 20, 1, interrupt)
    assert not (tmp_path / "new").exists()


@given(st.integers(1, 200), st.integers(1, 200))
def test_a_longer_column_begins_with_the_shorter_one(first, second):
    short, long = sorted((first, second))
    for draw in (
        lambda draws: draws.words("x"),
        lambda draws: draws.below("x", 7),
        lambda draws: draws.guid("x"),
        lambda draws: draws.mac_address("x"),
        lambda draws: draws.moment("x", ("2024-01-01", "2024-01-02")),
        lambda draws: draws.choice("x", (("a", 1), ("b", 3))),
    ):
        assert draw(Draws("key", long)).slice(0, short).equals(draw(Draws("key", short)))


def test_columns_have_the_form_that_they_promise():
    draws = Draws("key", 5000)
    assert all(
        re.fullmatch(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}", text) for text in draws.guid("g").to_pylist()
    )
    assert all(re.fullmatch(r"00-0D-3A(-[0-9A-F]{2}){3}", text) for text in draws.mac_address("m").to_pylist())
    assert all(re.fullmatch(r"2024-01-01T\d\d:\d\d:\d\d\.\d{7}Z", text) for text in draws.moment("t", ("2024-01-01",)).to_pylist())
    assert set(draws.below("b", 3).to_pylist()) == {0, 1, 2}
    assert 0.2 < sum(draws.chance("c", 0.25).to_pylist()) / 5000 < 0.3


@given(st.integers(0, 2**31), st.integers(0, 2**64))
def test_scattered_numbers_are_unlike(start, salt):
    assert len(set(scattered(start, 300, salt).to_pylist())) == 300


@given(st.lists(st.integers(0, 4)))
def test_an_expansion_knows_each_elements_row_and_place(counts):
    expansion = Expansion(pa.array(counts, pa.int64()))
    expected = [(row, place) for row, count in enumerate(counts) for place in range(count)]
    assert list(zip(expansion.parents.to_pylist(), expansion.ordinals.to_pylist(), strict=True)) == expected
    assert expansion.count == len(expected)
