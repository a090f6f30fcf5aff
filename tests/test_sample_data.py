"""The sample data holds what its README says, and hangs together."""

import json
import re
from collections.abc import Callable
from typing import Any

import pytest

import kqlite
from kqlite.bundled import bundled
from kqlite.inventory.shapes.resource_tables import COLUMNS, table_of

Row = dict[str, Any]

FOLDER = bundled("sample-data")
README = (FOLDER / "README.md").read_text(encoding="utf-8")
QUERIES = sorted((FOLDER / "queries").glob("*.kql"))
ROWS: list[Row] = [
    json.loads(line) for path in sorted((FOLDER / "inventory").glob("*.jsonl")) for line in path.read_text(encoding="utf-8").splitlines()
]
VM, NIC, DISK = "microsoft.compute/virtualmachines", "microsoft.network/networkinterfaces", "microsoft.compute/disks"


def of_type(resource_type: str) -> list[Row]:
    return [row for row in ROWS if row["type"] == resource_type]


def counted(resource_type: str, holds: Callable[[Row], bool]) -> int:
    return sum(1 for row in of_type(resource_type) if holds(row))


def in_table(table: str) -> list[Row]:
    return [row for row in ROWS if table_of(row["type"]) == table]


def power_state(row: Row) -> str | None:
    instance_view = row["properties"].get("extended", {}).get("instanceView", {})
    code: str | None = instance_view.get("powerState", {}).get("code")
    return code


def os_type(row: Row) -> str:
    return str(row["properties"]["storageProfile"]["osDisk"]["osType"])


def scale_set(row: Row) -> str:
    return str(row["properties"].get("virtualMachineScaleSet", {}).get("id", "")).lower().rpartition("/")[2]


def tagged(name: str) -> int:
    return sum(1 for row in ROWS if name in (row["tags"] or {}))


COUNTS: dict[str, Callable[[], int]] = {
    "resources, containers and instances together": lambda: len(ROWS),
    "rows of `resources`": lambda: len(in_table("resources")),
    "rows of `resourcecontainers`": lambda: len(in_table("resourcecontainers")),
    "rows of `computeresources`": lambda: len(in_table("computeresources")),
    "types": lambda: len({row["type"] for row in ROWS}),
    "management groups": lambda: len(of_type("microsoft.management/managementgroups")),
    "subscriptions": lambda: len(of_type("microsoft.resources/subscriptions")),
    "resource groups": lambda: len(of_type("microsoft.resources/subscriptions/resourcegroups")),
    "resource groups that hold nothing (`Empty-Dev`)": lambda: len(
        {row["resourceGroup"] for row in in_table("resourcecontainers")} - {row["resourceGroup"] for row in in_table("resources")} - {""}
    ),
    "scale sets": lambda: len(of_type("microsoft.compute/virtualmachinescalesets")),
    "Flexible scale sets (`demo-web`, `demo-batch`, `orders`)": lambda: counted(
        "microsoft.compute/virtualmachinescalesets", lambda row: row["properties"]["orchestrationMode"] == "Flexible"
    ),
    "virtual machines": lambda: len(of_type(VM)),
    "virtual machines of scale sets whose name begins with `demo`": lambda: counted(VM, lambda row: scale_set(row).startswith("demo")),
    "virtual machines in no scale set": lambda: counted(VM, lambda row: not scale_set(row)),
    "running": lambda: counted(VM, lambda row: power_state(row) == "PowerState/running"),
    "stopped": lambda: counted(VM, lambda row: power_state(row) == "PowerState/stopped"),
    "deallocated": lambda: counted(VM, lambda row: power_state(row) == "PowerState/deallocated"),
    "starting": lambda: counted(VM, lambda row: power_state(row) == "PowerState/starting"),
    "without `properties.extended`, too new to have a power state": lambda: counted(VM, lambda row: "extended" not in row["properties"]),
    "Windows machines": lambda: counted(VM, lambda row: os_type(row) == "Windows"),
    "Linux machines": lambda: counted(VM, lambda row: os_type(row) == "Linux"),
    "Spot machines": lambda: counted(VM, lambda row: row["properties"].get("priority") == "Spot"),
    "machines with several network interfaces": lambda: counted(
        VM, lambda row: len(row["properties"]["networkProfile"]["networkInterfaces"]) > 1
    ),
    "network interfaces in `resources`": lambda: len(of_type(NIC)),
    "network interfaces of nothing (`old-vm-nic`)": lambda: counted(
        NIC, lambda row: not row["properties"].keys() & {"virtualMachine", "privateEndpoint"}
    ),
    "disks": lambda: len(of_type(DISK)),
    "unattached disks": lambda: counted(DISK, lambda row: row["managedBy"] == ""),
    "public addresses": lambda: len(of_type("microsoft.network/publicipaddresses")),
    "public addresses of nothing (`spare-ip`)": lambda: counted(
        "microsoft.network/publicipaddresses", lambda row: "ipConfiguration" not in row["properties"]
    ),
    "rows whose tags are null": lambda: sum(1 for row in ROWS if row["tags"] is None),
    "rows whose tags are `{}`": lambda: sum(1 for row in ROWS if row["tags"] == {}),
    "rows with a tag named `env`": lambda: tagged("env"),
    "rows with a tag named `Env`": lambda: tagged("Env"),
    "rows with a tag named `ENV`": lambda: tagged("ENV"),
}


def section(title: str) -> dict[str, int]:
    """The rows of the README's table under a heading: what, and the number beside it."""
    text = README.partition(f"## {title}\n")[2].partition("\n## ")[0]
    return {what: int(number) for what, number in re.findall(r"^\| (.+?) \| (\d+) \|$", text, re.MULTILINE)}


def test_readme_counts_everything_once():
    assert list(section("What there is")) == list(COUNTS)


@pytest.mark.parametrize("what", COUNTS)
def test_readme_counts(what):
    assert section("What there is")[what] == COUNTS[what]()


def test_rows_have_the_columns_of_the_tables():
    visible = [column.name for column in COLUMNS if not column.hidden]
    hidden = {column.name for column in COLUMNS if column.hidden}
    for row in ROWS:
        assert list(row)[: len(visible)] == visible
        assert set(row) <= {*visible, *hidden}
        assert row["type"] == row["type"].lower()
        assert row["resourceGroup"] == row["resourceGroup"].lower()


def test_ids_are_unique_in_any_case():
    assert len({row["id"].lower() for row in ROWS}) == len(ROWS)


def test_ids_are_in_mixed_case():
    assert any("/virtualMachines/" in row["id"] for row in of_type(VM))
    assert any("/virtualmachines/" in row["id"] for row in of_type(VM))


def test_everything_is_in_a_group_that_exists():
    groups = {(row["subscriptionId"], row["resourceGroup"]) for row in of_type("microsoft.resources/subscriptions/resourcegroups")}
    for row in in_table("resources") + in_table("computeresources"):
        assert (row["subscriptionId"], row["resourceGroup"]) in groups


def test_machines_interfaces_and_disks_refer_to_each_other():
    ids = {row["id"].lower(): row for row in ROWS}
    for row in of_type(VM):
        storage = row["properties"]["storageProfile"]
        for disk in [storage["osDisk"], *storage["dataDisks"]]:
            assert ids[disk["managedDisk"]["id"].lower()]["managedBy"].lower() == row["id"].lower()
        for reference in row["properties"]["networkProfile"]["networkInterfaces"]:
            interface = ids[reference["id"].lower()]
            assert interface["properties"]["virtualMachine"]["id"].lower() == row["id"].lower()
        assert not scale_set(row) or row["properties"]["virtualMachineScaleSet"]["id"].lower() in ids


def test_readme_lists_every_query():
    assert list(section("The queries")) == [path.stem for path in QUERIES]


@pytest.mark.parametrize("path", QUERIES, ids=lambda path: path.stem)
def test_a_query_begins_with_a_sentence(path):
    assert re.match(r"// [A-Z].*[^.]\.\n[a-z|]", path.read_text(encoding="utf-8"))


def test_the_first_query_is_the_reference_query():
    assert QUERIES[0].read_text(encoding="utf-8").partition("\n")[2] == (
        "| where type =~ 'Microsoft.Compute/virtualMachines'\n"
        '| where properties.virtualMachineScaleSet contains "demo"\n'
        "| extend powerState = properties.extended.instanceView.powerState.code\n"
        "| project name, resourceGroup, location, powerState\n"
        "| order by resourceGroup desc, name desc\n"
    )


@pytest.fixture(scope="module")
def connection():
    with kqlite.connect_sample() as connection:
        yield connection


@pytest.mark.parametrize("path", QUERIES, ids=lambda path: path.stem)
def test_a_query_has_as_many_rows_as_the_readme_says(path, connection):
    assert len(connection.query(path.read_text(encoding="utf-8")).to_pylist()) == section("The queries")[path.stem]


def test_the_reference_query_finds_the_machines_of_the_demo_sets(connection):
    expected = [
        {"name": row["name"], "resourceGroup": row["resourceGroup"], "location": row["location"], "powerState": power_state(row)}
        for row in of_type(VM)
        if scale_set(row).startswith("demo")
    ]
    expected.sort(key=lambda row: (row["resourceGroup"], row["name"]), reverse=True)
    assert connection.query(QUERIES[0].read_text(encoding="utf-8")).to_pylist() == expected


def test_machines_are_counted_by_power_state_as_the_readme_says(connection):
    counts = section("What there is")
    names = {"running", "stopped", "deallocated", "starting"}
    expected = {f"PowerState/{name}": counts[name] for name in names} | {"": 2}
    found = connection.query(QUERIES[1].read_text(encoding="utf-8")).to_pylist()
    assert {row["powerState"]: row["machines"] for row in found} == expected
