"""What the platform answers, word for word where a public report shows it."""

from typing import Any

import pytest

from kqlite.orchestration.azure_offerings import find_size
from kqlite.simulation import Simulation
from tests.support.arm_requests import API, COMPUTE, DISKS, NETWORK, RG, SETS, VMS, made, put, refusal

NICS, IPS = f"{NETWORK}/networkInterfaces", f"{NETWORK}/publicIPAddresses"
LOCKS = "providers/Microsoft.Authorization/locks"


def interface(ip: str = "") -> dict[str, Any]:
    address = {"publicIPAddress": {"id": f"{IPS}/{ip}"}} if ip else {}
    return {"location": "eastus", "properties": {"ipConfigurations": [{"name": "ip", "properties": address}]}}


def test_a_new_disk_is_an_operation_that_is_done() -> None:
    simulation = made()
    body = {"location": "eastus", "properties": {"diskSizeGB": 4, "creationData": {"createOption": "Empty"}}}
    answer = simulation.arm("PUT", f"{DISKS}/d{API}", body)
    assert answer.status == 202
    polled = simulation.arm("GET", answer.headers["Azure-AsyncOperation"].partition("management.azure.com")[2])
    assert polled.body["status"] == "Succeeded"
    assert simulation.arm("PUT", f"{DISKS}/d{API}", body).status == 200


def test_an_interface_holds_its_address_and_lets_go_of_it() -> None:
    simulation = made()
    for name in ("p", "q"):
        put(simulation, f"{IPS}/{name}", {"location": "eastus"})
    put(simulation, f"{NICS}/n", interface("p"))
    holder = f"{NICS}/n/ipConfigurations/ipconfig"
    assert simulation.get(f"{IPS}/p")["properties"]["ipConfiguration"]["id"] == holder
    assert simulation.arm("DELETE", f"{IPS}/p{API}").body["error"]["code"] == "PublicIPAddressCannotBeDeleted"
    put(simulation, f"{NICS}/n", interface("q"))
    assert "ipConfiguration" not in simulation.get(f"{IPS}/p")["properties"]
    assert simulation.arm("DELETE", f"{IPS}/p{API}").status == 200
    assert simulation.arm("DELETE", f"{NICS}/n{API}").status == 200
    assert "ipConfiguration" not in simulation.get(f"{IPS}/q")["properties"]
    assert simulation.arm("DELETE", f"{IPS}/q{API}").status == 200


def test_an_address_that_is_absent_or_in_use_is_refused() -> None:
    simulation = made()
    status, code, _, message = refusal(simulation, f"{NICS}/n", interface("p"))
    assert (status, code) == (400, "InvalidResourceReference")
    assert message == (
        f"Resource {IPS}/p referenced by resource {NICS}/n was not found. Please make sure that the referenced resource exists, "
        "and that both resources are in the same region."
    )
    put(simulation, f"{IPS}/p", {"location": "eastus"})
    put(simulation, f"{NICS}/n", interface("p"))
    assert refusal(simulation, f"{NICS}/m", interface("p"))[1] == "PublicIPAddressInUse"


def test_locks_of_one_name_protect_each_what_they_stand_on() -> None:
    simulation = made()
    for name in ("a", "b"):
        put(simulation, f"{VMS}/{name}", simulation.vm_body(name))
        put(simulation, f"{VMS}/{name}/{LOCKS}/keep", {"properties": {"level": "cannotdelete"}}, "2016-09-01")
    simulation.settle()
    for name in ("a", "b"):
        path = f"{VMS}/{name}/{LOCKS}/keep"
        assert simulation.get(path)["id"] == path
        refused = simulation.arm("DELETE", f"{VMS}/{name}{API}")
        assert refused.status == 409
        # Source: Azure/azure-sdk-for-java#2560: the scope that is locked, and not the lock, is named.
        assert refused.body["error"]["message"] == (
            f"The scope '{VMS}/{name}' cannot perform delete operation because following scope(s) are locked: '{VMS}/{name}'. "
            "Please remove the lock and try again."
        )
    assert simulation.arm("DELETE", f"{VMS}/a/{LOCKS}/keep?api-version=2016-09-01").status == 200
    assert simulation.arm("DELETE", f"{VMS}/a{API}").status == 202
    assert simulation.arm("DELETE", f"{VMS}/b{API}").status == 409


@pytest.mark.parametrize("scope", [RG, f"{VMS}/db"])
def test_a_read_only_lock_lets_nobody_write(scope: str) -> None:
    simulation = made()
    put(simulation, f"{VMS}/db", simulation.vm_body("db"))
    simulation.settle()
    put(simulation, f"{scope}/{LOCKS}/look", {"properties": {"level": "ReadOnly"}}, "2016-09-01")
    handler = {"publisher": "p", "type": "t", "typeHandlerVersion": "1.0"}
    asked: list[tuple[str, str, Any]] = [
        ("PATCH", f"{VMS}/db", {"tags": {"a": "1"}}),
        ("PUT", f"{VMS}/db", simulation.vm_body("db")),
        ("POST", f"{VMS}/db/powerOff", None),
        ("PUT", f"{VMS}/db/extensions/e", {"location": "eastus", "properties": handler}),
        ("DELETE", f"{VMS}/db", None),
    ]
    for method, path, body in asked:
        refused = simulation.arm(method, path + API, body)
        operation = "delete" if method == "DELETE" else "write"
        assert (refused.status, refused.body["error"]["code"]) == (409, "ScopeLocked"), method
        assert f"cannot perform {operation} operation" in refused.body["error"]["message"]
        assert refused.body["error"]["message"].endswith(f"are locked: '{scope}'. Please remove the lock and try again.")
    assert simulation.arm("GET", f"{VMS}/db{API}").status == 200
    assert simulation.arm("DELETE", f"{scope}/{LOCKS}/look?api-version=2016-09-01").status == 200
    assert simulation.arm("POST", f"{VMS}/db/powerOff{API}").status == 202


def spot(simulation: Simulation, **more: Any) -> dict[str, Any]:
    return simulation.vm_body("db", priority="Spot", billingProfile={"maxPrice": 0.05}, **more)


def test_a_spot_machine_does_not_start_below_the_price() -> None:
    simulation = made()
    cheap = simulation.inject({"fault": "spot_price", "limit": 0.02})
    put(simulation, f"{VMS}/db", spot(simulation))
    simulation.settle()
    assert simulation.arm("POST", f"{VMS}/db/deallocate{API}").status == 202
    simulation.settle()
    simulation.recover(cheap)
    simulation.inject({"fault": "spot_price", "limit": 0.09})
    refused = simulation.arm("POST", f"{VMS}/db/start{API}").body["error"]
    assert refused["code"] == "MaxPriceLowerThanCurrentPrice"
    assert refused["message"].startswith("Cannot start this Virtual Machine since the provided max price is lower than the current")


def test_a_spot_machine_that_is_evicted_for_good_goes_with_its_disks() -> None:
    simulation = made()
    simulation.inject({"fault": "spot_price", "limit": 0.02})
    put(simulation, f"{VMS}/db", spot(simulation, evictionPolicy="Delete"))
    simulation.settle()
    assert len(simulation.arm("GET", DISKS + API).body["value"]) == 1
    assert simulation.arm("POST", f"{VMS}/db/simulateEviction{API}").status == 204
    simulation.advance("10m")
    assert simulation.arm("GET", f"{VMS}/db{API}").status == 404
    assert simulation.arm("GET", DISKS + API).body["value"] == []


def test_a_region_that_the_page_does_not_list_has_two_domains() -> None:
    simulation = made()
    body = simulation.set_body("web", capacity=0, domains=2) | {"location": "France Central"}
    assert put(simulation, f"{SETS}/web", body)["location"] == "francecentral"
    body["properties"]["platformFaultDomainCount"] = 3
    assert refusal(simulation, f"{SETS}/other", body)[0] == 400


@pytest.mark.parametrize(
    ("name", "vcpus", "memory", "preserving"),
    [
        ("Standard_D2ds_v4", 2, 8, True),
        ("Standard_E4ds_v4", 4, 32, True),
        ("Standard_DS11_v2", 2, 14, True),
        ("Standard_DS14_v2", 16, 112, True),
        ("Standard_HB60rs", 60, 228, False),
        ("Standard_ND40rs_v2", 40, 672, False),
    ],
)
def test_sizes_of_2021_are_known(name: str, vcpus: int, memory: float, preserving: bool) -> None:
    size = find_size(name)
    assert size is not None
    assert (size.vcpus, size.memory_gb, size.memory_preserving) == (vcpus, memory, preserving)


def test_a_size_that_flexible_sets_cannot_use_is_refused_as_such() -> None:
    simulation = made("preview-2021")
    status, code, _, message = refusal(simulation, f"{SETS}/web", simulation.set_body("web", capacity=0, size="Standard_ND40rs_v2"))
    assert (status, code) == (409, "OperationNotAllowed")
    assert "can only use VM Size Standard_ND40rs_v2, if single placement group" in message


# Source: Azure/azure-sdk-for-go#19707.
def test_an_instance_of_a_set_has_no_instance_view_there() -> None:
    simulation = made()
    simulation.create_scale_set("web", "rg", capacity=1)
    simulation.settle()
    name = simulation.instances("web")[0]["name"]
    answer = simulation.arm("GET", f"{SETS}/web/virtualMachines/{name}/instanceView{API}")
    error = {"code": "InvalidParameter", "message": "Virtual Machine Scale Set VM instanceId must be a number.", "target": "instanceId"}
    assert (answer.status, answer.body) == (400, {"error": error})
    listed = simulation.arm("GET", f"{SETS}/web/virtualMachines{API}&$expand=instanceView")
    assert (listed.status, listed.body["error"]["code"]) == (400, "BadRequest")
    assert simulation.arm("GET", f"{COMPUTE}/virtualMachineScaleSets/web/virtualMachines{API}").status == 200


# Source: Azure/azure-powershell#4001 and its kin: how Compute names what is missing.
@pytest.mark.parametrize("name", ["hardwareProfile", "networkProfile", "storageProfile"])
def test_a_new_machine_says_what_it_is_made_of(name: str) -> None:
    simulation = made()
    body = simulation.vm_body("db")
    del body["properties"][name]
    assert refusal(simulation, f"{VMS}/db", body) == (400, "InvalidParameter", name, f"Required parameter '{name}' is missing (null).")


def test_an_interface_that_does_not_exist_is_no_reference() -> None:
    simulation = made()
    for group in (RG, f"{RG}x"):
        nic = f"{group}/providers/Microsoft.Network/networkInterfaces/absent"
        body = simulation.vm_body("db", networkProfile={"networkInterfaces": [{"id": nic}]})
        assert refusal(simulation, f"{VMS}/db", body) == (
            400,
            "InvalidResourceReference",
            "",
            f"Resource {nic} referenced by resource {VMS}/db was not found. Please make sure that the referenced resource exists, and "
            "that both resources are in the same region.",
        )


def disks(count: int, **more: Any) -> dict[str, Any]:
    return {"dataDisks": [{"lun": lun, "createOption": "Empty", "diskSizeGB": 4, **more} for lun in range(count)]}


def test_a_size_takes_so_many_data_disks_when_it_is_made_changed_or_resized() -> None:
    simulation = made()
    message = "The maximum number of data disks allowed to be attached to a VM of this size is 4."
    body = simulation.vm_body("db", size="Standard_D2s_v3")
    body["properties"]["storageProfile"] |= disks(5)
    assert refusal(simulation, f"{VMS}/db", body)[1:] == ("OperationNotAllowed", "dataDisks", message)
    body["properties"]["storageProfile"] |= disks(4)
    put(simulation, f"{VMS}/db", body)
    simulation.settle()
    patched = simulation.arm("PATCH", f"{VMS}/db{API}", {"properties": {"storageProfile": disks(9)}})
    assert (patched.status, patched.body["error"]["message"]) == (409, message)
    big = {"properties": {"hardwareProfile": {"vmSize": "Standard_D4s_v3"}, "storageProfile": disks(8)}}
    assert simulation.arm("PATCH", f"{VMS}/db{API}", big).status == 200
    simulation.settle()
    small = simulation.arm("PATCH", f"{VMS}/db{API}", {"properties": {"hardwareProfile": {"vmSize": "Standard_D2s_v3"}}})
    assert (small.status, small.body["error"]["message"]) == (409, message)


def test_a_disk_to_be_detached_is_let_go() -> None:
    simulation = made()
    body = simulation.vm_body("db")
    body["properties"]["storageProfile"] |= disks(2)
    put(simulation, f"{VMS}/db", body)
    simulation.settle()
    held = simulation.get(f"{VMS}/db")["properties"]["storageProfile"]["dataDisks"]
    held[0]["toBeDetached"] = True
    assert simulation.arm("PATCH", f"{VMS}/db{API}", {"properties": {"storageProfile": {"dataDisks": held}}}).status == 200
    simulation.settle()
    left = simulation.get(f"{VMS}/db")["properties"]["storageProfile"]["dataDisks"]
    assert [disk["lun"] for disk in left] == [1]
    assert simulation.get(held[0]["managedDisk"]["id"])["properties"]["diskState"] == "Unattached"


def test_a_machine_with_an_ephemeral_disk_is_not_deallocated() -> None:
    simulation = made()
    body = simulation.vm_body("db")
    body["properties"]["storageProfile"]["osDisk"] |= {"caching": "ReadOnly", "diffDiskSettings": {"option": "local"}}
    put(simulation, f"{VMS}/db", body)
    simulation.settle()
    refused = simulation.arm("POST", f"{VMS}/db/deallocate{API}")
    message = "Operation 'deallocate' is not supported for VMs or VM Scale Set instances using an ephemeral OS disk."
    assert (refused.status, refused.body["error"]) == (409, {"code": "OperationNotAllowed", "message": message})


def test_a_machine_has_one_extension_of_a_handler() -> None:
    simulation = made()
    put(simulation, f"{VMS}/db", simulation.vm_body("db"))
    simulation.settle()
    body = {
        "location": "eastus",
        "properties": {"publisher": "Microsoft.Azure.Extensions", "type": "CustomScript", "typeHandlerVersion": "2.1"},
    }
    put(simulation, f"{VMS}/db/extensions/one", body)
    simulation.settle()
    message = (
        "Multiple VMExtensions per handler not supported for OS type 'Linux'. VMExtension 'two' with handler "
        "'Microsoft.Azure.Extensions.CustomScript' already added or specified in input."
    )
    assert refusal(simulation, f"{VMS}/db/extensions/two", body) == (400, "BadRequest", "", message)
    put(simulation, f"{VMS}/db/extensions/one", body)


def test_a_windows_name_is_short() -> None:
    simulation = made()
    body = simulation.vm_body("db")
    body["properties"]["osProfile"] = {"computerName": "a-name-of-seventy", "adminUsername": "me", "windowsConfiguration": {}}
    assert refusal(simulation, f"{VMS}/db", body)[1:3] == ("InvalidParameter", "computerName")
    assert "Windows computer name cannot be more than 15 characters long" in refusal(simulation, f"{VMS}/db", body)[3]
    body["properties"]["osProfile"]["computerName"] = "fifteen-letters"
    put(simulation, f"{VMS}/db", body)


def test_tags_have_their_limits() -> None:
    simulation = made()
    fifty = {f"t{number}": "x" for number in range(50)}
    put(simulation, f"{VMS}/db", simulation.vm_body("db", tags=fifty))
    assert refusal(simulation, f"{VMS}/other", simulation.vm_body("other", tags={**fifty, "more": "x"}))[0] == 400
    status, code, _, message = refusal(simulation, f"{VMS}/other", simulation.vm_body("other", tags={"a/b": "x"}))
    assert (status, code) == (400, "InvalidTagNameCharacters")
    assert "The tag names 'a/b' have reserved characters" in message
