"""Exports as tools and people make them: read whole, or refused with what to do. Each file here is made up after a real form."""

import bz2
import csv
import gzip
import json
import os
import subprocess
import sys
import threading
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path

import pyarrow as pa
import pytest

import kqlite

SUB = "11111111-1111-4111-8111-111111111111"
GROUP = f"/subscriptions/{SUB}/resourceGroups/RG-Web"
KQLITE = [sys.executable, "-m", "kqlite"]


def vm_id(name: str) -> str:
    return f"{GROUP}/providers/Microsoft.Compute/virtualMachines/{name}"


def graph_row(name: str, **more: object) -> dict[str, object]:
    """A row as Resource Graph has it."""
    columns = {"type": "microsoft.compute/virtualmachines", "location": "westeurope", "resourceGroup": "rg-web", "subscriptionId": SUB}
    return {"id": vm_id(name), "name": name, **columns, "properties": {"vmId": name}, "tags": {"env": "prod"}, **more}


A, B, C = (graph_row(name) for name in "abc")
NAMES = "resources | order by name asc | project name"


def names(path: Path | Sequence[Path]) -> list[str]:
    """The resources in files, read without a warning."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        connection = kqlite.connect(path)
    with connection:
        return [row["name"] for row in connection.query(NAMES).to_pylist()]


def one(path: Path, query: str) -> Mapping[str, object]:
    with kqlite.connect(path) as connection:
        [row] = connection.query(query).to_pylist()
    return row


def written(path: Path, content: object) -> Path:
    path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    return path


# Answers and their pages


def page(rows: Sequence[object], total: int, token: str | None) -> dict[str, object]:
    """As `az graph query` prints it."""
    return {"count": len(rows), "data": rows, "skip_token": token, "total_records": total}


def rest_page(rows: Sequence[object], total: int, token: str | None, truncated: str = "false") -> dict[str, object]:
    """As Resource Graph answers it."""
    last = {} if token is None else {"$skipToken": token}
    return {"totalRecords": total, "count": len(rows), "data": rows, "facets": [], "resultTruncated": truncated, **last}


WHOLE = {
    "of az graph query": page([A, B], 2, None),
    "of Resource Graph": rest_page([A, B], 2, None),
    "as a table": {"totalRecords": 2, "data": {"columns": [{"name": name} for name in A], "rows": [[*A.values()], [*B.values()]]}},
    "of Search-AzGraph": {"SkipToken": None, "Data": [A, B], "Count": 2},
    "of ARM": {"value": [A, B], "nextLink": None},
    "two pages in an array": [rest_page([A], 2, "x"), rest_page([B], 2, None)],
    "rows": [A, B],
}  # fmt: skip


@pytest.mark.parametrize("answer", WHOLE.values(), ids=WHOLE)
@pytest.mark.parametrize("indent", [None, 2])
def test_a_whole_answer_is_read(tmp_path: Path, answer: object, indent: int | None) -> None:
    assert names(written(tmp_path / "a.json", json.dumps(answer, indent=indent))) == ["a", "b"]


def test_pages_are_taken_together(tmp_path: Path) -> None:
    first = written(tmp_path / "1.json", page([A, B], 3, "x"))
    last = written(tmp_path / "2.json", page([C], 3, None))
    assert names([first, last]) == ["a", "b", "c"]
    follow = written(tmp_path / "3.json", "\n".join(json.dumps(each) for each in (page([A, B], 3, "x"), page([C], 3, None))))
    assert names(follow) == ["a", "b", "c"]


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (page([A, B], 1000, "x"), "2 of 1,000 records"),
        (page([A, B], 1000, None), "2 of 1,000 records"),
        (rest_page([A], 386, "x"), "1 of 386 records"),
        (rest_page([A], 386, None, "true"), "1 of 386 records"),
        ([rest_page([A], 386, "x"), rest_page([B], 386, "y")], "2 of 386 records"),
        ({"SkipToken": "x", "Data": [A, B], "Count": 2}, "not the last page"),
        ({"value": [A], "nextLink": "https://management.azure.com/next"}, "not the last page"),
    ],
)
def test_a_part_of_an_answer_is_told(tmp_path: Path, answer: object, told: str) -> None:
    path = written(tmp_path / "part.json", answer)
    with pytest.warns(kqlite.InventoryWarning, match=rf"part\.json: {told}"):
        kqlite.connect(path).close()
    with pytest.warns(kqlite.InventoryWarning, match=told):
        kqlite.import_files(path, tmp_path / "inventory")


def test_two_rows_of_one_id_are_told(tmp_path: Path) -> None:
    path = written(tmp_path / "twice.json", [A, B, {**A, "id": str(A["id"]).upper(), "name": "later"}])
    with pytest.warns(kqlite.InventoryWarning, match=r"1 document has the id of a later one, .* 2 resources"):
        connection = kqlite.connect(path)
    assert [row["name"] for row in connection.query(NAMES).to_pylist()] == ["b", "later"]


def test_members_that_no_query_sees_are_told(tmp_path: Path) -> None:
    path = written(tmp_path / "projected.json", [{**A, "vmSize": "Standard_B2s", "owner": "me"}])
    with pytest.warns(kqlite.InventoryWarning, match="owner, vmSize are no columns of a resource table, so no query sees them"):
        kqlite.connect(path).close()


def test_a_large_file_is_told_of_in_the_same_way(tmp_path: Path) -> None:
    rows = [graph_row(f"vm{number}", padding="x" * 2000) for number in range(3000)]
    path = written(tmp_path / "large.json", page([*rows, rows[0]], 9000, "x"))
    with pytest.warns(kqlite.InventoryWarning) as told:
        connection = kqlite.connect(path)
    said = "\n".join(str(each.message) for each in told)
    assert "large.json: 3,001 of 9,000 records" in said
    assert "1 document has the id of a later one, which is kept (ids are compared without case); 3,000 resources" in said
    assert "padding is no column of a resource table, so no query sees it" in said
    assert connection.query("resources | count").scalar() == 3000


# What the Azure CLI prints

AZ_VM = {
    "additionalCapabilities": None,
    "diagnosticsProfile": {"bootDiagnostics": {"enabled": True, "storageUri": None}},
    "fqdns": "",
    "hardwareProfile": {"vmSize": "Standard_B2s", "vmSizeProperties": None},
    "id": vm_id("web"),
    "instanceView": None,
    "location": "westeurope",
    "macAddresses": "00-0D-3A-00-00-01",
    "name": "web",
    "osProfile": {"computerName": "web", "linuxConfiguration": {"provisionVmAgent": True}},
    "plan": None,
    "powerState": "VM running",
    "privateIps": "10.0.0.4",
    "provisioningState": "Succeeded",
    "publicIps": "20.0.0.1",
    "resourceGroup": "RG-WEB",
    "storageProfile": {"dataDisks": [{"diskSizeGb": 64, "lun": 0}], "osDisk": {"diskSizeGb": 30, "osType": "Linux"}},
    "tags": {"env": "prod"},
    "timeCreated": "2026-01-02T03:04:05.678901+00:00",
    "type": "Microsoft.Compute/virtualMachines",
    "vmId": "00000000-0000-0000-0000-000000000001",
    "zones": ["1"],
}


@pytest.mark.parametrize("as_lines", [False, True])
def test_what_az_vm_list_prints_is_read_whole(tmp_path: Path, as_lines: bool) -> None:
    path = written(tmp_path / "vms.json", json.dumps(AZ_VM) if as_lines else json.dumps([AZ_VM], indent=2))
    assert names(path) == ["web"]
    row = one(
        path,
        """resources | where type == 'microsoft.compute/virtualmachines' | project resourceGroup, subscriptionId, location,
        size = properties.hardwareProfile.vmSize, disk = properties.storageProfile.osDisk.diskSizeGB,
        data = properties.storageProfile.dataDisks[0].diskSizeGB, agent = properties.osProfile.linuxConfiguration.provisionVMAgent,
        code = properties.extended.instanceView.powerState.code, said = properties.extended.instanceView.powerState.displayStatus,
        ip = properties.privateIps, made = todatetime(properties.timeCreated), env = tags.env, zone = zones[0],
        none = isnull(properties.instanceView)""",
    )
    assert row["made"] is not None
    assert {name: value for name, value in row.items() if name != "made"} == {
        "resourceGroup": "rg-web",
        "subscriptionId": SUB,
        "location": "westeurope",
        "size": "Standard_B2s",
        "disk": 30,
        "data": 64,
        "agent": True,
        "code": "PowerState/running",
        "said": "VM running",
        "ip": "10.0.0.4",
        "env": "prod",
        "zone": "1",
        "none": True,
    }


def test_an_instance_view_gives_the_power_state(tmp_path: Path) -> None:
    statuses = [
        {"code": "ProvisioningState/succeeded", "displayStatus": "Provisioning succeeded", "level": "Info", "message": None},
        {"code": "PowerState/deallocated", "displayStatus": "VM deallocated", "level": "Info", "message": None},
    ]
    row = {**AZ_VM, "instanceView": {"statuses": statuses}}
    del row["powerState"]
    path = written(tmp_path / "view.json", [row])
    query = "resources | project code = properties.extended.instanceView.powerState.code, first = properties.instanceView.statuses[0].level"
    assert one(path, query) == {"code": "PowerState/deallocated", "first": "Info"}


def test_a_resource_of_arm_has_the_columns_of_its_id(tmp_path: Path) -> None:
    resource = {
        "id": vm_id("web"),
        "name": "web",
        "type": "Microsoft.Compute/virtualMachines",
        "location": "westeurope",
        "properties": {"a": 1},
    }
    path = written(tmp_path / "arm.json", {"value": [resource]})
    assert one(path, "resources | project type, resourceGroup, subscriptionId, a = properties.a") == {
        "type": "microsoft.compute/virtualmachines",
        "resourceGroup": "rg-web",
        "subscriptionId": SUB,
        "a": 1,
    }


def test_a_row_of_resource_graph_stays_as_it_is(tmp_path: Path) -> None:
    odd = {**A, "resourceGroup": "RG-Web", "type": "Microsoft.Compute/virtualMachines", "provisioningState": "x"}
    path = written(tmp_path / "rows.json", [odd])
    with pytest.warns(kqlite.InventoryWarning, match="provisioningState is no column"):
        connection = kqlite.connect(path)
    assert connection.query("resources | project resourceGroup, type, a = properties.vmId").to_pylist() == [
        {"resourceGroup": "RG-Web", "type": "Microsoft.Compute/virtualMachines", "a": "a"}
    ]


# Bytes


def zstd(content: bytes) -> bytes:
    return bytes(pa.compress(content, "zstd", asbytes=True))


LINES = "".join(f"{json.dumps(row)}\n" for row in (A, B))
BYTES = {
    "gzip": gzip.compress(LINES.encode()),
    "zstd": zstd(LINES.encode()),
    "bzip2": bz2.compress(LINES.encode()),
    "UTF-8 with a mark": b"\xef\xbb\xbf" + LINES.encode(),
    "UTF-16, little end first": LINES.encode("utf-16"),
    "UTF-16, big end first": b"\xfe\xff" + json.dumps([A, B]).encode("utf-16-be"),
    "UTF-16 without a mark": json.dumps([A, B]).encode("utf-16-le"),
    "gzip of UTF-16": gzip.compress(json.dumps([A, B]).encode("utf-16")),
}


@pytest.mark.parametrize("content", BYTES.values(), ids=BYTES)
def test_bytes_of_any_kind_are_read(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "export"
    path.write_bytes(content)
    assert names(path) == ["a", "b"]
    assert kqlite.import_files(path, tmp_path / "inventory") == 2


def test_a_large_compressed_file_is_read(tmp_path: Path) -> None:
    path = tmp_path / "large.jsonl.gz"
    rows = [graph_row(f"vm{number:04}", properties={"text": f"{number:x}" * 400}) for number in range(4000)]
    path.write_bytes(gzip.compress("".join(f"{json.dumps(row)}\n" for row in rows).encode(), 1))
    assert len(names(path)) == 4000


def test_a_fault_in_a_copy_names_the_file(tmp_path: Path) -> None:
    path = tmp_path / "bad.jsonl.gz"
    path.write_bytes(gzip.compress(f"{json.dumps(A)}\n{{}}\n".encode()))
    with pytest.raises(kqlite.InventoryError) as caught:
        kqlite.connect(path)
    assert str(caught.value) == f"{path}, line 2: `id` is missing or empty"


def test_a_damaged_archive_is_told(tmp_path: Path) -> None:
    path = tmp_path / "cut.gz"
    path.write_bytes(BYTES["gzip"][:-20])
    with pytest.raises(kqlite.InventoryError, match=r"cut\.gz"):
        kqlite.connect(path)


# CSV


def test_csv_of_the_portal_is_read(tmp_path: Path) -> None:
    path = tmp_path / "portal.csv"
    titles = ["ID", "NAME", "TYPE", "RESOURCE GROUP", "LOCATION", "SUBSCRIPTION ID", "TAGS", "PROPERTIES", "ZONES"]
    cells = [
        vm_id("a"),
        "a",
        "microsoft.compute/virtualmachines",
        "rg-web",
        "westeurope",
        SUB,
        '{"env":"prod, dev"}',
        '{"n":[1,"x"]}',
        '["1"]',
    ]
    with path.open("w", encoding="utf-8-sig", newline="") as file:
        csv.writer(file, quoting=csv.QUOTE_ALL).writerows([titles, cells, [vm_id("b"), "b", *cells[2:6], "", "null", ""]])
    assert names(path) == ["a", "b"]
    assert one(path, "resources | where name == 'a' | project resourceGroup, subscriptionId, tags.env, n = properties.n[1], zones[0]") == {
        "resourceGroup": "rg-web",
        "subscriptionId": SUB,
        "tags_env": "prod, dev",
        "n": "x",
        "zones_0": "1",
    }


def test_csv_that_kqlite_wrote_is_read(tmp_path: Path) -> None:
    source = written(tmp_path / "a.json", [A, B])
    text = subprocess.run([*KQLITE, "resources", str(source), "--format", "csv"], capture_output=True, text=True, check=True).stdout
    again = written(tmp_path / "again.csv", text)
    with kqlite.connect(source) as first, kqlite.connect(again) as second:
        assert first.query("resources | order by id asc").to_pylist() == second.query("resources | order by id asc").to_pylist()


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('"NAME","TYPE","RESOURCE GROUP"\n"web-1","Virtual machine","rg"\n', "CSV without a column `id`"),
        (f"id,name,type\n{vm_id('a')},a,microsoft.compute/virtualmachines,more\n", "row 2: 4 cells, and 3 titles"),
        (f"id,name,type\n\n{vm_id('a')},a,\n", "row 3: `type` is missing or empty"),
    ],
)
def test_csv_with_a_fault_is_told(tmp_path: Path, text: str, told: str) -> None:
    with pytest.raises(kqlite.InventoryError, match=told):
        kqlite.connect(written(tmp_path / "bad.csv", text))


# What is no inventory

ID = vm_id("a")
NO_INVENTORY = {
    "a web page": ("<!DOCTYPE html>\n<html><body>Sign in</body></html>", "a web page and no inventory"),
    "a call to sign in": ("Please run 'az login' to setup account.\n", "sign in with `az login`"),
    "an error to sign in": ("ERROR: Please run 'az login' to setup account.\n", "sign in with `az login`"),
    "an error of az": ("ERROR: (InvalidQuery) Query is invalid.\nCode: InvalidQuery\n", "a message of a program"),
    "an error of PowerShell": ("Search-AzGraph : The term is not recognized\nAt line:1 char:1\n", "an error of PowerShell"),
    "an error of ARM": (
        '{"error": {"code": "AuthorizationFailed", "message": "The client has no access."}}',
        "AuthorizationFailed: The client has no access",
    ),
    "the same, over several lines": ('{\n "error": {\n  "code": "BadRequest"\n }\n}', "no inventory: BadRequest"),
    "XML": ("<?xml version='1.0'?><a/>", "XML, which kqlite does not read"),
    "a zip archive": ("PK\x03\x04rest", "a zip archive, which kqlite does not read"),
    "a cut document": ('[{"id": "' + ID + '", "type": "t", "properties": "@{vmId=a; storageProfile=}"}]', "ConvertTo-Json -Depth 100"),
    "a cut member": ('[{"id": "' + ID + '", "type": "t", "properties": {"a": ["System.Object[]"]}}]', "ConvertTo-Json -Depth 100"),
    "a file that ends too soon": ('[{"id": "' + ID + '", "type": "t", "properties": {"a": ', "the file ends inside a document"),
}  # fmt: skip


@pytest.mark.parametrize(("text", "told"), NO_INVENTORY.values(), ids=NO_INVENTORY)
def test_what_is_no_inventory_is_refused_with_what_to_do(tmp_path: Path, text: str, told: str) -> None:
    with pytest.raises(kqlite.InventoryError, match=told):
        kqlite.connect(written(tmp_path / "no", text))


def test_an_expression_of_a_logic_app_is_no_cut_document(tmp_path: Path) -> None:
    row = {**A, "properties": {"definition": {"uri": "@{triggerBody()?['url']}", "text": "@{a} = @{b}"}}}
    assert names(written(tmp_path / "app.json", [row])) == ["a"]


def test_a_folder_and_a_device_are_told(tmp_path: Path) -> None:
    (tmp_path / "exports").mkdir()
    with pytest.raises(kqlite.InventoryError, match=r"a folder that is no data directory; name the files in it, as in .*/exports/\*.json"):
        kqlite.connect([tmp_path / "exports"])
    with pytest.raises(kqlite.InventoryError, match=r"/dev/zero: a device and no file"):
        kqlite.connect(["/dev/zero"])


# Streams


@pytest.mark.parametrize("content", [LINES.encode(), BYTES["gzip"], json.dumps(page([A, B], 2, None)).encode()])
def test_standard_input_is_data(content: bytes) -> None:
    answer = subprocess.run(
        [*KQLITE, "resources | count", "--data", "-", "--format", "csv"], input=content, capture_output=True, check=False
    )
    assert (answer.returncode, answer.stdout, answer.stderr) == (0, b"Count\n2\n", b"")


def test_a_fault_in_standard_input_is_told() -> None:
    answer = subprocess.run([*KQLITE, "resources", "--data", "-"], input=b"{}", capture_output=True, check=False)
    assert (answer.returncode, answer.stderr) == (1, b"standard input, line 1: `id` is missing or empty\n")


def test_standard_input_is_not_two_things() -> None:
    answer = subprocess.run([*KQLITE, "query", "-", "--data", "-"], input="", capture_output=True, text=True, check=False)
    assert answer.returncode == 2
    assert "standard input cannot be both the query and the data" in answer.stderr


def test_a_pipe_with_a_name_is_read(tmp_path: Path) -> None:
    path = tmp_path / "pipe"
    os.mkfifo(path)
    writer = threading.Thread(target=lambda: path.write_text(LINES))
    writer.start()
    assert names(path) == ["a", "b"]
    writer.join()


def test_a_process_substitution_is_read() -> None:
    command = f"{sys.executable} -m kqlite 'resources | count' --data <(echo '{json.dumps(A)}') --format csv"
    answer = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False)
    assert (answer.returncode, answer.stdout, answer.stderr) == (0, "Count\n1\n", "")


def test_the_command_line_prints_warnings(tmp_path: Path) -> None:
    path = written(tmp_path / "part.json", page([A], 1000, "x"))
    answer = subprocess.run([*KQLITE, "import", str(path), str(tmp_path / "i")], capture_output=True, text=True, check=False)
    assert answer.returncode == 0
    first, second = answer.stderr.splitlines()
    assert first.startswith(f"warning: {path}: 1 of 1,000 records; export the pages after it")
    assert second == f"1 document imported into {tmp_path / 'i'}"
