"""The unmodified azure-mgmt-compute drives the core, through a transport that hands each request over in the process."""

import json
import time
from collections.abc import Iterator
from importlib.metadata import version
from types import SimpleNamespace
from typing import Any

import pytest
from azure.core.credentials import AccessToken
from azure.core.exceptions import HttpResponseError, ResourceExistsError, ResourceNotFoundError
from azure.core.pipeline.policies import SansIOHTTPPolicy
from azure.core.pipeline.transport import HttpTransport
from azure.core.rest import HttpRequest
from azure.core.rest._http_response_impl import HttpResponseImpl
from azure.core.utils import case_insensitive_dict
from azure.mgmt.compute import ComputeManagementClient

from kqlite.orchestration.clock import Clock
from kqlite.orchestration.request_bodies import vm_profile
from kqlite.simulation import Simulation

SUBSCRIPTION = "00000000-0000-0000-0000-000000000001"


class InProcess(HttpTransport):
    """Hands requests to a simulation, without a socket."""

    def __init__(self, simulation: Simulation) -> None:
        self.simulation = simulation
        self.seen: list[tuple[str, str]] = []

    def send(self, request: HttpRequest, **kwargs: Any) -> HttpResponseImpl:
        path = "/" + request.url.split("/", 3)[3]
        self.seen.append((request.method, path))
        content = getattr(request, "content", None) or getattr(request, "data", None) or None
        answer = self.simulation.arm(request.method, path, content, dict(request.headers))
        body = answer.content
        return HttpResponseImpl(
            request=request,
            internal_response=SimpleNamespace(close=lambda: None),
            status_code=answer.status,
            reason="",
            content_type=answer.headers.get("Content-Type"),
            headers=case_insensitive_dict(answer.headers),
            stream_download_generator=lambda *_, **__: iter([body]),
        )

    def sleep(self, duration: float) -> None:
        """Waiting is free here: the clock jumps."""

    def open(self) -> None:
        """Nothing to open."""

    def close(self) -> None:
        """Nothing to close."""

    def __enter__(self) -> "InProcess":
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing to close."""


class Credential:
    def get_token(self, *_: str, **__: Any) -> AccessToken:
        return AccessToken("local", int(time.time()) + 86400)


@pytest.fixture
def simulation() -> Iterator[Simulation]:
    with Simulation(clock=Clock.auto(), features="all") as made:
        made.create_group()
        yield made


@pytest.fixture
def client(simulation: Simulation) -> ComputeManagementClient:
    return ComputeManagementClient(
        Credential(),
        SUBSCRIPTION,
        base_url="http://localhost",
        transport=InProcess(simulation),
        authentication_policy=SansIOHTTPPolicy(),
        polling_interval=0,
        retry_total=0,
        **({"api_version": "2021-07-01"} if version("azure-mgmt-compute").startswith("30.") else {}),
    )


def set_body(capacity: int = 0, **properties: Any) -> dict[str, Any]:
    return {
        "location": "eastus",
        "sku": {"name": "Standard_D2s_v3", "tier": "Standard", "capacity": capacity},
        "properties": {
            "orchestrationMode": "Flexible",
            "singlePlacementGroup": False,
            "platformFaultDomainCount": 1,
            "virtualMachineProfile": vm_profile("web"),
            **properties,
        },
    }


def test_a_set_is_created_scaled_and_deleted(client: ComputeManagementClient) -> None:
    made = client.virtual_machine_scale_sets.begin_create_or_update("rg", "web", set_body(3)).result()
    assert made.provisioning_state == "Succeeded"
    assert made.sku.capacity == 3
    scaled = client.virtual_machine_scale_sets.begin_update("rg", "web", {"sku": {"name": "Standard_D2s_v3", "capacity": 5}}).result()
    assert scaled.sku.capacity == 5
    assert len(list(client.virtual_machine_scale_set_vms.list("rg", "web"))) == 5
    assert [each.name for each in client.virtual_machine_scale_sets.list("rg")] == ["web"]
    assert [each.name for each in client.virtual_machine_scale_sets.list_all()] == ["web"]
    client.virtual_machine_scale_sets.begin_update("rg", "web", {"sku": {"capacity": 0}}).result()
    client.virtual_machine_scale_sets.begin_delete("rg", "web").result()
    with pytest.raises(ResourceNotFoundError):
        client.virtual_machine_scale_sets.get("rg", "web")


def test_a_vm_is_created_into_a_set_and_goes_through_its_power_states(client: ComputeManagementClient, simulation: Simulation) -> None:
    client.virtual_machine_scale_sets.begin_create_or_update("rg", "web", set_body(platformFaultDomainCount=3)).result()
    body = simulation.vm_body("db", scale_set="web", domain=2)
    vm = client.virtual_machines.begin_create_or_update("rg", "db", body).result()
    assert vm.provisioning_state == "Succeeded"
    assert vm.virtual_machine_scale_set.id.endswith("/virtualMachineScaleSets/web")
    assert vm.platform_fault_domain == 2
    for action, state in (
        ("begin_power_off", "stopped"),
        ("begin_start", "running"),
        ("begin_restart", "running"),
        ("begin_redeploy", "running"),
        ("begin_reapply", "running"),
        ("begin_deallocate", "deallocated"),
    ):
        getattr(client.virtual_machines, action)("rg", "db").result()
        view = client.virtual_machines.instance_view("rg", "db")
        assert view.statuses[1].code == f"PowerState/{state}", action
        assert view.platform_fault_domain == 2
    client.virtual_machines.begin_update("rg", "db", {"tags": {"a": "b"}}).result()
    assert client.virtual_machines.get("rg", "db", expand="instanceView").tags == {"a": "b"}
    client.virtual_machines.begin_delete("rg", "db").result()
    with pytest.raises(ResourceNotFoundError) as missing:
        client.virtual_machines.get("rg", "db")
    assert missing.value.error.code == "ResourceNotFound"


def test_lists_are_paged(client: ComputeManagementClient, simulation: Simulation) -> None:
    client.virtual_machine_scale_sets.begin_create_or_update("rg", "web", set_body(450)).result()
    own = f"/subscriptions/{SUBSCRIPTION}/resourceGroups/rg/providers/Microsoft.Compute/virtualMachineScaleSets/web"
    wanted = f"'virtualMachineScaleSet/id' eq '{own}'"
    names = [vm.name for vm in client.virtual_machines.list("rg", filter=wanted, expand="instanceView")]
    assert len(names) == len(set(names)) == 450
    assert len(list(client.virtual_machines.list_all(status_only="true"))) == 450
    assert len(list(client.virtual_machines.list_by_location("eastus"))) == 450


def test_extensions_sizes_usages_and_placement_groups(client: ComputeManagementClient, simulation: Simulation) -> None:
    client.virtual_machines.begin_create_or_update("rg", "db", simulation.vm_body("db")).result()
    script = {"publisher": "Microsoft.Azure.Extensions", "type": "CustomScript", "typeHandlerVersion": "2.1"}
    made = client.virtual_machine_extensions.begin_create_or_update(
        "rg", "db", "script", {"location": "eastus", "properties": script}
    ).result()
    assert made.provisioning_state == "Succeeded"
    assert [each.name for each in client.virtual_machine_extensions.list("rg", "db").value] == ["script"]
    client.virtual_machine_extensions.begin_delete("rg", "db", "script").result()
    sizes = {sku.name: sku for sku in client.resource_skus.list(filter="location eq 'eastus'")}
    shown = {each.name: each.value for each in sizes["Standard_D2s_v3"].capabilities}
    assert shown["MemoryPreservingMaintenanceSupported"] == "True"
    assert {each.name.value: each.current_value for each in client.usage.list("eastus")}["cores"] == 2
    client.proximity_placement_groups.create_or_update("rg", "near", {"location": "eastus", "properties": {}})
    assert client.proximity_placement_groups.get("rg", "near").name == "near"


def test_boot_diagnostics_and_eviction(client: ComputeManagementClient, simulation: Simulation) -> None:
    diagnostics = {"bootDiagnostics": {"enabled": True}}
    body = simulation.vm_body("spot", priority="Spot", evictionPolicy="Deallocate", diagnosticsProfile=diagnostics)
    client.virtual_machines.begin_create_or_update("rg", "spot", body).result()
    assert client.virtual_machines.retrieve_boot_diagnostics_data("rg", "spot").console_screenshot_blob_uri.startswith("https://")
    client.virtual_machines.simulate_eviction("rg", "spot")
    simulation.advance("5m")
    assert client.virtual_machines.instance_view("rg", "spot").statuses[1].code == "PowerState/deallocated"


def test_refusals_are_the_sdks_exceptions(client: ComputeManagementClient, simulation: Simulation) -> None:
    sets = client.virtual_machine_scale_sets
    with pytest.raises(HttpResponseError) as refused:
        sets.begin_create_or_update("rg", "bad", set_body(singlePlacementGroup=True))
    assert (refused.value.status_code, refused.value.error.code, refused.value.error.target) == (
        400,
        "InvalidParameter",
        "singlePlacementGroup",
    )
    sets.begin_create_or_update("rg", "web", set_body(1)).result()
    with pytest.raises(ResourceExistsError) as members:
        sets.begin_delete("rg", "web")
    assert members.value.error.message.startswith("Deletion of Virtual Machine Scale Set is not allowed")
    with pytest.raises(ResourceExistsError) as batch:
        sets.begin_start("rg", "web")
    assert batch.value.error.code == "OperationNotAllowed"
    with pytest.raises(ResourceNotFoundError):
        sets.get("nowhere", "web")
    with pytest.raises(HttpResponseError) as too_old:
        client.virtual_machines.get("rg", "x", api_version="2015-01-01")
    assert too_old.value.error.code == "NoRegisteredProviderFound"


def test_a_failed_operation_raises_with_its_code(client: ComputeManagementClient, simulation: Simulation) -> None:
    simulation.inject({"fault": "allocation", "region": "eastus"})
    with pytest.raises(HttpResponseError) as failed:
        client.virtual_machines.begin_create_or_update("rg", "db", simulation.vm_body("db")).result()
    assert failed.value.error.code == "AllocationFailed"
    assert client.virtual_machines.get("rg", "db").provisioning_state == "Failed"


def test_entity_tags(client: ComputeManagementClient, simulation: Simulation) -> None:
    made = client.virtual_machine_scale_sets.begin_create_or_update("rg", "web", set_body()).result()
    raw = simulation.arm("GET", f"{made.id}?api-version=2021-07-01")
    assert raw.headers["ETag"] == raw.body["etag"]
    path = f"{made.id}?api-version=2021-07-01"
    assert simulation.arm("PATCH", path, json.dumps({"tags": {}}), {"If-Match": '"999"'}).status == 412
    assert simulation.arm("PATCH", path, json.dumps({"tags": {}}), {"If-Match": raw.body["etag"]}).status == 200


def test_what_a_set_and_its_instances_can_be_asked(client: ComputeManagementClient, simulation: Simulation) -> None:
    sets, vms = client.virtual_machine_scale_sets, client.virtual_machines
    sets.begin_create_or_update("rg", "web", set_body(2, automaticRepairsPolicy={"enabled": True, "gracePeriod": "PT30M"})).result()
    assert sets.get_instance_view("rg", "web").orchestration_services[0].service_state == "Running"
    sets.begin_set_orchestration_service_state("rg", "web", {"serviceName": "AutomaticRepairs", "action": "Suspend"}).result()
    assert sets.get_instance_view("rg", "web").orchestration_services[0].service_state == "Suspended"
    assert [each.sku.name for each in sets.list_skus("rg", "web")] == ["Standard_D2s_v3"]
    assert [each.name for each in sets.list_by_location("eastus")] == ["web"]
    name = min(vm.name for vm in client.virtual_machine_scale_set_vms.list("rg", "web"))
    one = client.virtual_machine_scale_set_vms.get("rg", "web", name)
    assert one.instance_id == name
    assert one.latest_model_applied is True
    assert vms.begin_assess_patches("rg", name).result().critical_and_security_patch_count == 0
    vms.begin_reimage("rg", name).result()
    vms.begin_power_off("rg", name, skip_shutdown=True).result()
    vms.generalize("rg", name)
    assert vms.instance_view("rg", name).statuses[-1].code == "OSState/generalized"
    vms.begin_delete("rg", name, force_deletion=True).result()
    assert sets.get("rg", "web").sku.capacity == 1


def test_the_later_service_protects_and_deletes_instances() -> None:
    with Simulation(clock=Clock.auto(), profile="ga") as simulation:
        simulation.create_group()
        client = ComputeManagementClient(
            Credential(),
            SUBSCRIPTION,
            base_url="http://localhost",
            transport=InProcess(simulation),
            authentication_policy=SansIOHTTPPolicy(),
            polling_interval=0,
        )
        client.virtual_machine_scale_sets.begin_create_or_update("rg", "web", set_body(3)).result()
        members = sorted(vm.name for vm in client.virtual_machine_scale_set_vms.list("rg", "web"))
        policy = {"properties": {"protectionPolicy": {"protectFromScaleIn": True}}, "location": "eastus"}
        kept = client.virtual_machine_scale_set_vms.begin_update("rg", "web", members[2], policy).result()
        assert kept.protection_policy.protect_from_scale_in is True
        client.virtual_machine_scale_sets.begin_delete_instances("rg", "web", {"instanceIds": members[:1]}).result()
        client.virtual_machine_scale_sets.begin_update("rg", "web", {"sku": {"capacity": 1}}).result()
        assert [vm.name for vm in client.virtual_machine_scale_set_vms.list("rg", "web")] == [members[2]]
