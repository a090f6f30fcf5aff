"""Damaged requests are refused in ARM's form, and never raise, and nothing of them reaches the log."""

import copy
import json
import random
from typing import Any

import pytest

from kqlite.simulation import Simulation
from tests.support.arm_requests import API, COMPUTE, NETWORK, RG, SETS, SUB, VMS, requests

JUNK: list[Any] = [
    None, True, 0, -1, 2**70, 1.5, "", "x", "1", [], {}, [None], [{}], {"id": 1}, {"id": ""}, "PT5M", "é\u0000", [[]], [1, "2"], "Spot",
    "Delete", "Flexible", {"a": {"b": [1]}}, {"id": f"{SETS}/web"}, {"id": f"{COMPUTE}/disks/d"}, {"name": "x"},
]  # fmt: skip


def damaged(value: Any, draw: random.Random, depth: int = 0) -> Any:
    if draw.random() < 0.12 or depth > 12:
        return copy.deepcopy(draw.choice(JUNK))
    if isinstance(value, dict):
        kept = [(key, item) for key, item in value.items() if draw.random() > 0.05]
        named = [(draw.choice((key.upper(), f"{key}x", "properties", "id")) if draw.random() < 0.03 else key, item) for key, item in kept]
        return {key: damaged(item, draw, depth + 1) if draw.random() < 0.5 else copy.deepcopy(item) for key, item in named}
    return [damaged(item, draw, depth + 1) for item in value] if isinstance(value, list) else value


@pytest.mark.parametrize("seed", range(40))
def test_damaged_bodies_are_answered(seed: int) -> None:
    draw = random.Random(seed)
    simulation = Simulation(seed=seed, profile=draw.choice(("preview-2021", "ga")), features="all")
    simulation.create_group()
    whole = requests(simulation)
    for _ in range(50):
        path, body = draw.choice(whole)
        method = draw.choice(("PUT", "PUT", "PATCH", "POST", "DELETE", "GET"))
        sent = body if draw.random() < 0.4 else damaged(body, draw)
        before = simulation.log.last
        answer = simulation.arm(method, f"{path}?api-version={draw.choice(('2021-07-01', '2023-09-01'))}", sent)
        assert answer.status < 500
        if answer.status >= 400:
            assert answer.body["error"]["code"]
            assert simulation.log.last == before
        if draw.random() < 0.3:
            simulation.advance(draw.choice((1, 60, 3600)))
    for path in (VMS, SETS, f"{COMPUTE}/disks", f"{NETWORK}/networkInterfaces", f"{NETWORK}/loadBalancers"):
        assert simulation.arm("GET", path + API).status in (200, 404)


@pytest.mark.parametrize(
    "body",
    [
        '{"location": NaN}',
        '{"location": "eastus", "tags": {"a": Infinity}}',
        {"location": "eastus", "tags": {"a": float("nan")}},
        {"location": "eastus", "tags": {"a": {1, 2}}},
        '{"location": "eastus", "tags": {"a": "\\ud800"}}',
        {"location": "eastus", "tags": {"a": "\ud800"}},
        b'{"location": "\xff"}',
        "[" * 100_000,
        {"location": ["eastus"]},
        {"location": 1},
    ],
)
def test_what_is_no_json_is_refused(body: Any) -> None:
    answer = Simulation(features=()).arm("PUT", RG + API, body)
    assert answer.status == 400
    assert answer.body["error"]["code"] == "InvalidRequestContent"


@pytest.mark.parametrize("path", ["", "/", "//", f"{SUB}/resourceGroups/%00", f"{SUB}/x", f"{RG}/\ud800"])
def test_paths_that_lead_nowhere(path: str) -> None:
    assert 400 <= Simulation(features=()).arm("GET", path + API).status < 500


@pytest.mark.parametrize("name", ["a\u0000b", "a\nb", "a/b", "_a", "a.", "a" * 65, "a b", "a%b?"])
def test_names_that_azure_does_not_take(name: str) -> None:
    from urllib.parse import quote

    simulation = Simulation(features="all")
    simulation.create_group()
    answer = simulation.arm("PUT", f"{VMS}/{quote(name, safe='')}{API}", simulation.vm_body("vm"))
    assert 400 <= answer.status < 500
    assert json.loads(answer.content)["error"]["code"]


@pytest.mark.parametrize(
    ("part", "target"),
    [
        (("networkProfile", "networkInterfaceConfigurations", 0, "name"), "networkProfile.networkInterfaceConfigurations[0].name"),
        (("storageProfile", "osDisk", "name"), "storageProfile.osDisk.name"),
    ],
)
def test_names_inside_a_body_make_ids_too(part: tuple[Any, ...], target: str) -> None:
    simulation = Simulation(features="all")
    simulation.create_group()
    body = simulation.vm_body("vm")
    place: Any = body["properties"]
    for step in part[:-1]:
        place = place[step]
    place[part[-1]] = "a/b"
    error = simulation.arm("PUT", f"{VMS}/vm{API}", body).body["error"]
    assert (error["code"], error["target"]) == ("InvalidParameter", target)


@pytest.mark.parametrize(
    ("path", "body"),
    [
        (
            f"{RG}/providers/Microsoft.Insights/autoscaleSettings/a",
            {"properties": {"targetResourceUri": f"{SETS}/web", "profiles": [None]}},
        ),
        (f"{NETWORK}/networkInterfaces/n", {"properties": {"ipConfigurations": [None]}}),
        (f"{SETS}/web", {"zones": [None]}),
    ],
)
def test_an_array_holds_no_null(path: str, body: dict[str, Any]) -> None:
    simulation = Simulation(features="all")
    simulation.create_group()
    error = simulation.arm("PUT", path + API, {"location": "eastus", **body}).body["error"]
    assert error["code"] == "InvalidRequestContent"
    assert "Error converting value null" in error["message"]
