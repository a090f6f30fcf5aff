"""Bodies are read as Azure's own specification describes them, and every answer says what is wrong with the rest."""

from collections.abc import Iterator
from typing import Any

import pytest

from kqlite.orchestration import azure_schema
from kqlite.orchestration.requests import schema
from kqlite.simulation import Simulation
from tests.support.arm_requests import API, COMPUTE, DISKS, NETWORK, RG, SETS, VMS, made, put, refusal


def shapes(shape: Any, seen: set[int]) -> Iterator[Any]:
    if id(shape) in seen:
        return
    seen.add(id(shape))
    yield shape
    if isinstance(shape, schema.Object):
        for member in shape.members.values():
            yield from shapes(member.shape, seen)
    elif isinstance(shape, (schema.ListOf, schema.MapOf)):
        yield from shapes(shape.item, seen)


def test_every_word_of_the_table_is_known() -> None:
    names = set(azure_schema.table()["objects"])
    reached = {type(each) for name in names for each in shapes(schema.model(name), set())}
    assert reached == {str, schema.Object, schema.Choice, schema.ListOf, schema.MapOf, schema.Range}


@pytest.mark.parametrize(
    ("storage", "path", "word"),
    [
        ({"osDisk": {"createOption": "fromimage", "osType": "linux"}}, ("osDisk", "osType"), "Linux"),
        ({"osDisk": {"createOption": "FROMIMAGE"}}, ("osDisk", "createOption"), "FromImage"),
        ({"osDisk": {"createOption": "FromImage", "deleteOption": "delete"}}, ("osDisk", "deleteOption"), "Delete"),
        ({"osDisk": {"createOption": "FromImage", "caching": "readwrite"}}, ("osDisk", "caching"), "ReadWrite"),
        (
            {"osDisk": {"createOption": "FromImage", "managedDisk": {"storageAccountType": "premium_lrs"}}},
            ("osDisk", "managedDisk", "storageAccountType"),
            "Premium_LRS",
        ),
    ],
)
def test_words_compare_without_case_and_come_out_in_azures_spelling(storage: dict[str, Any], path: tuple[str, ...], word: str) -> None:
    simulation = made()
    body = simulation.vm_body("db")
    body["properties"]["storageProfile"] = storage
    put(simulation, f"{VMS}/db", body)
    simulation.settle()
    shown: Any = simulation.get(f"{VMS}/db")["properties"]
    assert shown["provisioningState"] == "Succeeded"
    for name in ("storageProfile", *path):
        shown = shown[name]
    assert shown == word


def test_a_spot_set_in_lower_case_is_a_spot_set() -> None:
    simulation = made()
    profile = {"priority": "spot", "evictionPolicy": "delete", "billingProfile": {"maxPrice": -1}}
    policy = {"enabled": True, "gracePeriod": "PT30M", "repairAction": "restart"}
    rules = {"rules": ["oldestvm"]}
    body = simulation.set_body("web", capacity=1, health=True, automaticRepairsPolicy=policy, scaleInPolicy=rules)
    body["properties"]["virtualMachineProfile"] |= profile
    shown = put(simulation, f"{SETS}/web", body, "2023-09-01")["properties"]
    assert (shown["virtualMachineProfile"]["priority"], shown["virtualMachineProfile"]["evictionPolicy"]) == ("Spot", "Delete")
    assert (shown["automaticRepairsPolicy"]["repairAction"], shown["scaleInPolicy"]["rules"]) == ("Restart", ["OldestVM"])
    simulation.settle()
    instance = next(iter(simulation.arm("GET", f"{SETS}/web/virtualMachines{API}").body["value"]))["name"]
    assert simulation.arm("POST", f"{VMS}/{instance}/simulateEviction{API}").status == 204
    simulation.advance("5m")
    assert simulation.arm("GET", f"{VMS}/{instance}{API}").status == 404


def test_an_unknown_word_is_refused_with_the_allowed_ones() -> None:
    simulation = made()
    body = simulation.vm_body("db")
    body["properties"]["storageProfile"] = {"osDisk": {"createOption": "Conjure"}}
    assert refusal(simulation, f"{VMS}/db", body) == (
        400,
        "InvalidParameter",
        "storageProfile.osDisk.createOption",
        "The value 'Conjure' of parameter 'storageProfile.osDisk.createOption' is not allowed. Allowed values are: FromImage,Empty,Attach.",
    )


def test_words_and_members_have_the_version_that_brought_them() -> None:
    simulation = made()
    body = simulation.vm_body("db")
    body["properties"]["securityProfile"] = {"securityType": "ConfidentialVM"}
    assert refusal(simulation, f"{VMS}/db", body)[3].endswith("Allowed values are: TrustedLaunch.")
    put(simulation, f"{VMS}/db", body, "2022-03-01")
    late = {"location": "eastus", "properties": {"diskSizeGB": 4, "creationData": {"createOption": "Empty"}, "dataAccessAuthMode": "None"}}
    assert refusal(simulation, f"{DISKS}/d", late, "2021-04-01")[1] == "BadRequest"
    put(simulation, f"{DISKS}/d", late, "2022-03-02")


# Source: Azure/azure-quickstart-templates#419, Azure/azure-sdk-for-go#369: how Compute names what is missing.
@pytest.mark.parametrize(
    ("storage", "name"),
    [
        ({"osDisk": {"name": "x"}}, "osDisk.createOption"),
        ({"osDisk": {"createOption": "FromImage"}, "dataDisks": [{"lun": 0}]}, "dataDisk.createOption"),
        ({"osDisk": {"createOption": "FromImage"}, "dataDisks": [{"createOption": "Empty"}]}, "dataDisk.lun"),
    ],
)
def test_a_required_member_that_is_missing_is_named(storage: dict[str, Any], name: str) -> None:
    simulation = made()
    body = simulation.vm_body("db")
    body["properties"]["storageProfile"] = storage
    assert refusal(simulation, f"{VMS}/db", body) == (400, "InvalidParameter", name, f"Required parameter '{name}' is missing (null).")


# Source: Azure/azure-sdk-for-net#3487: how Resource Manager refuses what stands beside `properties`.
def test_a_member_beside_properties_is_refused_by_resource_manager() -> None:
    simulation = made()
    answer = simulation.arm("PUT", f"{DISKS}/d?api-version=2021-04-01", '{"location": "eastus", "AccountType": "StandardLRS"}')
    assert answer.body["error"] == {
        "code": "InvalidRequestContent",
        "message": "The request content was invalid and could not be deserialized: 'Could not find member 'AccountType' on object of type "
        "'ResourceDefinition'. Path 'AccountType', line 1, position 37.'.",
    }


@pytest.mark.parametrize("value", [2**31, -(2**31) - 1, 10**20, 10**300])
def test_a_number_out_of_its_bounds_is_refused(value: int) -> None:
    body = {"location": "eastus", "properties": {"diskSizeGB": value, "creationData": {"createOption": "Empty"}}}
    status, code, _, message = refusal(made(), f"{DISKS}/d", body)
    assert (status, code) == (400, "InvalidRequestContent")
    assert f"JSON integer {value} is too large or small for an Int32" in message


def test_a_number_that_no_json_holds_is_refused() -> None:
    simulation = made()
    for text in ('{"location": "eastus", "tags": {"a": 1e999}}', '{"location": "eastus", "x": -1e999}'):
        assert simulation.arm("PUT", f"{DISKS}/d?api-version=2021-04-01", text).body["error"]["code"] == "InvalidRequestContent"


# What was said is kept and shown


def rows(simulation: Simulation, name: str) -> dict[str, Any]:
    simulation.advance("5m")
    return dict(simulation.inventory.query(f"resources | where name == '{name}'").to_pylist()[0])


def test_a_disk_keeps_what_it_was_created_with() -> None:
    simulation = made()
    said = {
        "creationData": {"createOption": "Empty", "logicalSectorSize": 4096},
        "diskSizeGB": 128,
        "diskIOPSReadWrite": 4000,
        "diskMBpsReadWrite": 200,
        "maxShares": 2,
        "encryption": {"type": "EncryptionAtRestWithCustomerKey", "diskEncryptionSetId": "/des"},
        "networkAccessPolicy": "DenyAll",
        "publicNetworkAccess": "Disabled",
    }
    body = {"location": "eastus", "sku": {"name": "UltraSSD_LRS"}, "zones": ["1"], "properties": said}
    put(simulation, f"{DISKS}/u", body, "2021-04-01")
    document = simulation.get(f"{DISKS}/u")
    row = rows(simulation, "u")
    for shown in (document, row):
        assert {name: shown["properties"][name] for name in said} == said
        assert (shown["sku"]["name"], shown["zones"]) == ("UltraSSD_LRS", ["1"])
    put(simulation, f"{DISKS}/u", document)
    assert simulation.get(f"{DISKS}/u")["properties"] == document["properties"]


# Source: Azure docs, "Select a disk type for Azure IaaS VMs".
@pytest.mark.parametrize(
    ("sku", "size", "sent", "tier", "iops", "mbps"),
    [
        ("Premium_LRS", 128, {}, "P10", 500, 100),
        ("Premium_LRS", 129, {}, "P15", 1100, 125),
        ("Premium_ZRS", 4, {}, "P1", 120, 25),
        ("Premium_LRS", 128, {"tier": "P50"}, "P50", 7500, 250),
        ("StandardSSD_LRS", 128, {}, None, 500, 60),
        ("Standard_LRS", 8192, {}, None, 1300, 300),
        ("UltraSSD_LRS", 128, {}, None, None, None),
    ],
)
def test_a_disk_performs_as_its_size_says(sku: str, size: int, sent: dict[str, Any], tier: str, iops: int, mbps: int) -> None:
    simulation = made()
    properties = {"creationData": {"createOption": "Empty"}, "diskSizeGB": size, **sent}
    put(simulation, f"{DISKS}/d", {"location": "eastus", "sku": {"name": sku}, "properties": properties})
    shown = simulation.get(f"{DISKS}/d")["properties"]
    assert (shown.get("tier"), shown.get("diskIOPSReadWrite"), shown.get("diskMBpsReadWrite")) == (tier, iops, mbps)


@pytest.mark.parametrize("sent", [{"diskIOPSReadWrite": 9}, {"tier": "P4"}, {"tier": "gold"}])
def test_a_premium_disk_has_the_performance_of_its_size(sent: dict[str, Any]) -> None:
    properties = {"creationData": {"createOption": "Empty"}, "diskSizeGB": 128, **sent}
    body = {"location": "eastus", "sku": {"name": "Premium_LRS"}, "properties": properties}
    assert refusal(made(), f"{DISKS}/d", body)[:3] == (400, "InvalidParameter", next(iter(sent)))


def test_a_public_address_keeps_what_it_was_created_with() -> None:
    simulation = made()
    said = {"dnsSettings": {"domainNameLabel": "shop"}, "idleTimeoutInMinutes": 15, "publicIPAddressVersion": "ipv6"}
    body = {"location": "eastus", "sku": {"name": "standard"}, "zones": ["1", "2"], "properties": said}
    put(simulation, f"{NETWORK}/publicIPAddresses/p", body)
    for shown in (simulation.get(f"{NETWORK}/publicIPAddresses/p"), rows(simulation, "p")):
        assert shown["zones"] == ["1", "2"]
        assert shown["sku"] == {"name": "Standard", "tier": "Regional"}
        properties = shown["properties"]
        assert properties["dnsSettings"] == {"domainNameLabel": "shop", "fqdn": "shop.eastus.cloudapp.azure.com"}
        assert (properties["idleTimeoutInMinutes"], properties["publicIPAddressVersion"]) == (15, "IPv6")


def test_what_stands_beside_properties_is_kept() -> None:
    simulation = made()
    edge = {"extendedLocation": {"name": "attatlanta1", "type": "EdgeZone"}}
    interface = {"location": "eastus", **edge, "properties": {"ipConfigurations": [{"name": "ip"}]}}
    put(simulation, f"{NETWORK}/networkInterfaces/n", interface)
    balancer = {
        "location": "eastus",
        **edge,
        "sku": {"name": "basic"},
        "properties": {"frontendIPConfigurations": [{"name": "f", "zones": ["1"]}]},
    }
    put(simulation, f"{NETWORK}/loadBalancers/l", balancer)
    group = {"location": "eastus", "zones": ["1"], "properties": {"intent": {"vmSizes": ["Standard_D2s_v3"]}}}
    put(simulation, f"{COMPUTE}/proximityPlacementGroups/g", group, "2023-09-01")
    put(simulation, f"{VMS}/db", simulation.vm_body("db") | edge)
    for path in (f"{NETWORK}/networkInterfaces/n", f"{NETWORK}/loadBalancers/l", f"{VMS}/db"):
        assert simulation.get(path)["extendedLocation"] == edge["extendedLocation"]
        assert rows(simulation, path.rpartition("/")[2])["extendedLocation"] == edge["extendedLocation"]
    assert simulation.get(f"{NETWORK}/loadBalancers/l")["sku"] == {"name": "Basic"}
    assert simulation.get(f"{NETWORK}/loadBalancers/l")["properties"]["frontendIPConfigurations"] == [{"name": "f", "zones": ["1"]}]
    assert simulation.get(f"{COMPUTE}/proximityPlacementGroups/g")["zones"] == ["1"]


# A PUT says all of a resource, a PATCH what it changes


def test_a_put_without_tags_leaves_none_and_a_patch_those_that_were() -> None:
    simulation = made()
    tags = {"env": "prod", "cost": "1"}
    bodies = {
        f"{SETS}/web": simulation.set_body("web", capacity=0),
        f"{VMS}/db": simulation.vm_body("db"),
        f"{DISKS}/d": {"location": "eastus", "properties": {"creationData": {"createOption": "Empty"}, "diskSizeGB": 4}},
        f"{NETWORK}/publicIPAddresses/p": {"location": "eastus"},
        f"{NETWORK}/networkInterfaces/n": {"location": "eastus"},
        f"{COMPUTE}/proximityPlacementGroups/g": {"location": "eastus"},
        RG: {"location": "eastus"},
    }
    for path, body in bodies.items():
        put(simulation, path, body | {"tags": tags})
        simulation.settle()
        assert simulation.get(path)["tags"] == tags, path
        assert simulation.arm("PATCH", f"{path}{API}", {}).status < 300
        simulation.settle()
        assert simulation.get(path)["tags"] == tags, path
        put(simulation, path, body)
        simulation.settle()
        assert simulation.get(path)["tags"] == {}, path


def test_a_put_of_an_extension_replaces_and_a_patch_merges() -> None:
    simulation = made()
    put(simulation, f"{VMS}/db", simulation.vm_body("db"))
    simulation.settle()
    path = f"{VMS}/db/extensions/e"
    whole = {"publisher": "p", "type": "t", "typeHandlerVersion": "1.0", "settings": {"a": 1}, "suppressFailures": True}
    put(simulation, path, {"location": "eastus", "properties": whole})
    simulation.settle()
    assert simulation.arm("PATCH", path + API, {"properties": {"typeHandlerVersion": "1.1"}}).status == 200
    simulation.settle()
    shown = simulation.get(path)["properties"]
    assert shown == whole | {"typeHandlerVersion": "1.1", "provisioningState": "Succeeded"}
    put(simulation, path, {"location": "eastus", "properties": {"publisher": "p", "type": "t", "typeHandlerVersion": "1.2"}})
    simulation.settle()
    shown = simulation.get(path)["properties"]
    assert shown == {"publisher": "p", "type": "t", "typeHandlerVersion": "1.2", "provisioningState": "Succeeded"}


def test_a_machine_whose_allocation_failed_is_tried_again_as_the_body_wants_it() -> None:
    simulation = made()
    fault = simulation.inject({"fault": "allocation", "size": "Standard_D2s_v3"})
    put(simulation, f"{VMS}/db", simulation.vm_body("db", size="Standard_D2s_v3") | {"tags": {"a": "1"}})
    simulation.advance("1h")
    assert simulation.get(f"{VMS}/db")["properties"]["provisioningState"] == "Failed"
    put(simulation, f"{VMS}/db", simulation.vm_body("db", size="Standard_D4s_v3"))
    simulation.advance("1h")
    shown = simulation.get(f"{VMS}/db")
    assert (shown["properties"]["provisioningState"], shown["properties"]["hardwareProfile"]["vmSize"]) == ("Succeeded", "Standard_D4s_v3")
    assert shown["tags"] == {}
    simulation.recover(fault)


def test_a_resize_asks_the_quota_for_the_cores_that_it_adds() -> None:
    simulation = made()
    put(simulation, f"{VMS}/db", simulation.vm_body("db", size="Standard_D2s_v3"))
    simulation.settle()
    simulation.inject({"fault": "quota", "limit": 4})

    def resized(size: str) -> Any:
        return simulation.arm("PATCH", f"{VMS}/db{API}", {"properties": {"hardwareProfile": {"vmSize": size}}})

    refused = resized("Standard_D8s_v3").body["error"]
    assert refused["code"] == "OperationNotAllowed"
    assert "Current Usage: 2, Additional Required: 6, (Minimum) New Limit Required: 8" in refused["message"]
    assert resized("Standard_D4s_v3").status == 200
    simulation.settle()
    assert resized("Standard_D2s_v3").status == 200
