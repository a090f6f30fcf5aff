"""A `throttle` fault of type "limits" refuses what exceeds Azure's documented limits.

Source: Azure docs, "Throttling limits for Azure virtual machines and virtual machine scale sets".
"""

import json

import pytest

from kqlite.orchestration.errors import CoreError
from kqlite.orchestration.throttling import policy_of
from kqlite.simulation import Simulation

SUB = "/subscriptions/00000000-0000-0000-0000-000000000001"
RG = f"{SUB}/resourceGroups/rg"
VMS = f"{RG}/providers/Microsoft.Compute/virtualMachines"
SETS = f"{RG}/providers/Microsoft.Compute/virtualMachineScaleSets"
API = "?api-version=2021-07-01"


def limited() -> Simulation:
    simulation = Simulation(features="all")
    simulation.create_vm("vm")
    simulation.create_vm("other")
    simulation.settle()
    simulation.inject({"fault": "throttle", "type": "limits"})
    return simulation


def test_a_resource_takes_a_burst_and_then_so_many_a_minute() -> None:
    simulation = limited()
    answers = [simulation.arm("PATCH", f"{VMS}/vm{API}", {"tags": {"n": str(number)}}) for number in range(13)]
    assert [answer.status for answer in answers[:12]] == [200, *[409] * 11], "a refused request took its token as well"
    assert answers[0].headers["x-ms-ratelimit-remaining-resource"] == (
        "Microsoft.Compute/UpdateVMResource;11,Microsoft.Compute/UpdateVMSubscription;1499"
    )
    refused = answers[12]
    assert refused.status == 429
    assert refused.headers["Retry-After"] == "15"
    (detail,) = refused.body["error"]["details"]
    assert (detail["code"], detail["target"]) == ("TooManyRequests", "UpdateVMResource")
    assert json.loads(detail["message"])["allowedRequestCount"] == 12
    assert simulation.arm("PATCH", f"{VMS}/other{API}", {"tags": {}}).status == 200, "another VM has a bucket of its own"
    assert simulation.arm("GET", f"{VMS}/vm{API}").status == 200, "reads have theirs"
    simulation.advance("15s")
    assert simulation.arm("PATCH", f"{VMS}/vm{API}", {"tags": {"n": "1"}}).status != 429
    assert simulation.arm("PATCH", f"{VMS}/vm{API}", {"tags": {"n": "2"}}).status == 429


def test_lists_are_counted_by_subscription() -> None:
    simulation = limited()
    statuses = [simulation.arm("GET", VMS + API).status for _ in range(901)]
    assert statuses == [200] * 900 + [429]


def test_the_hourly_limits_of_a_subscription() -> None:
    simulation = limited()
    first = simulation.arm("PUT", RG + API, {"location": "eastus"})
    assert first.headers["x-ms-ratelimit-remaining-subscription-writes"] == "1199"
    assert "x-ms-ratelimit-remaining-resource" not in first.headers
    statuses = [simulation.arm("PUT", RG + API, {"location": "eastus"}).status for _ in range(1200)]
    assert statuses == [200] * 1199 + [429]


def test_limits_end_with_the_fault() -> None:
    simulation = limited()
    fault = simulation.faults[0]["id"]
    for _ in range(12):
        simulation.arm("PATCH", f"{VMS}/vm{API}", {"tags": {}})
    assert simulation.arm("PATCH", f"{VMS}/vm{API}", {"tags": {}}).status == 429
    simulation.recover(fault)
    assert simulation.arm("PATCH", f"{VMS}/vm{API}", {"tags": {}}).status != 429


@pytest.mark.parametrize(
    ("method", "path", "policy"),
    [
        ("GET", f"{VMS}/vm", "LowCostGet"),
        ("GET", f"{VMS}/vm/instanceView", "LowCostGet"),
        ("GET", VMS, "HighCostGet"),
        ("GET", f"{SUB}/providers/Microsoft.Compute/locations/eastus/virtualMachines", "HighCostGet"),
        ("PUT", f"{VMS}/vm", "PutVM"),
        ("PUT", f"{VMS}/vm/extensions/x", "UpdateVM"),
        ("POST", f"{VMS}/vm/start", "UpdateVM"),
        ("POST", f"{VMS}/vm/deallocate", "DeleteVM"),
        ("POST", f"{VMS}/vm/simulateEviction", "DeleteVM"),
        ("DELETE", f"{VMS}/vm", "DeleteVM"),
        ("GET", f"{SETS}/web", "GetVMScaleSet"),
        ("GET", f"{SETS}/web/virtualMachines", "HighCostGetVMScaleSet"),
        ("GET", f"{SETS}/web/virtualMachines/x", "GetVMScaleSet"),
        ("PATCH", f"{SETS}/web", "UpdateVMScaleSet"),
        ("POST", f"{SETS}/web/delete", "DeleteVMScaleSet"),
        ("GET", f"{SUB}/providers/Microsoft.Compute/locations/eastus/operations/1", "GetOperation"),
    ],
)
def test_what_a_request_counts_as(method: str, path: str, policy: str) -> None:
    found = policy_of(method, path)
    assert found is not None
    assert found[0].name == policy


@pytest.mark.parametrize("path", [RG, f"{RG}/providers/Microsoft.Compute/disks/d", f"{SUB}/providers/Microsoft.Compute/skus"])
def test_what_compute_does_not_count(path: str) -> None:
    assert policy_of("GET", path) is None


def test_an_unknown_type_is_refused() -> None:
    with pytest.raises(CoreError, match="type is always or limits"):
        Simulation(features=()).inject({"fault": "throttle", "type": "often"})
