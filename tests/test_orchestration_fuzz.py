"""Whatever ARM is sent, it answers, and time goes on: bodies made over Azure's own shapes, each member missing, null, of another type,
empty, huge, in other case.

`pytest tests/test_orchestration_fuzz.py -m campaign` sends 200,000 requests.
"""

import copy
import random
from typing import Any

import pytest

from kqlite.orchestration.requests import schema
from kqlite.simulation import Simulation
from tests.support.arm_requests import COMPUTE, NETWORK, RG, SETS, VMS, requests

SHAPES = {
    "virtualMachineScaleSets": "VirtualMachineScaleSet",
    "virtualMachines": "VirtualMachine",
    "extensions": "VirtualMachineExtension",
    "autoscaleSettings": "AutoscaleSettingResource",
    "disks": "Disk",
    "networkInterfaces": "NetworkInterface",
    "publicIPAddresses": "PublicIPAddress",
    "loadBalancers": "LoadBalancer",
    "proximityPlacementGroups": "ProximityPlacementGroup",
}
VERSIONS = ("2021-07-01", "2021-07-01", "2022-03-01", "2023-09-01", "2025-04-01")
TEXTS = (
    "",
    " ",
    "x",
    "1",
    "-1",
    "1.5",
    "true",
    "null",
    "PT5M",
    "P9999999999D",
    "\u00b2",
    "\u0663",
    "\u00e9\u0000",
    "x" * 5_000,
    "9" * 5_000,
    "%",
    "'",
    "/",
    "//",
    "a/b/c",
    "__proto__",
)
NUMBERS = (0, 1, -1, 2, 64, 1.5, -0.0, 2**31 - 1, 2**31, 2**63, 10**20, -(10**20), 1e308, 1e-308)
QUERIES = ("$top", "$skiptoken", "$filter", "$expand", "statusOnly", "forceDeletion", "skipShutdown", "sasUriExpirationTimeInMinutes")
QUERY_VALUES = (
    "",
    "x",
    "-1",
    "1",
    "2",
    "abc",
    "9" * 5_000,
    "true",
    "instanceView",
    "'virtualMachineScaleSet/id' eq ''",
    "tagName eq 'a'",
    "\u00b2",
    "%00",
    "1:2:3",
    "::",
)
ACTIONS = (
    "start",
    "powerOff",
    "deallocate",
    "restart",
    "redeploy",
    "reimage",
    "reapply",
    "simulateEviction",
    "generalize",
    "assessPatches",
    "installPatches",
    "retrieveBootDiagnosticsData",
)
HEADERS = ("If-Match", "If-None-Match", "x-ms-client-request-id", "x-ms-return-client-request-id")


def deep(depth: int) -> Any:
    value: Any = 1
    for level in range(depth):
        value = [value] if level % 2 else {"a": value}
    return value


OTHERS: tuple = (None, True, False, [], {}, [None], [[]], [{}], {"": 1}, {"id": 1}, {"id": "x"}, deep(40), deep(300), list(range(200)))


def other_case(text: str, draw: random.Random) -> str:
    return draw.choice((text.lower(), text.upper(), text.swapcase(), text.title()))


def anything(draw: random.Random) -> Any:
    kind = draw.randrange(9)
    if kind < 3:
        return draw.choice(TEXTS)
    if kind < 5:
        return draw.choice(NUMBERS)
    return draw.choice(
        (None, True, False, [], {}, [None], [[]], [{}], {"": 1}, {"id": 1}, {"id": "x"}, deep(40), deep(300), list(range(200)))
    )


def fitting(shape: Any, draw: random.Random, depth: int = 0) -> Any:
    """A value of a shape, with a word in other case now and then; sometimes something else altogether."""
    if draw.random() < 0.08 or depth > 6:
        return anything(draw)
    match shape:
        case schema.Choice():
            word = draw.choice([word for word, _ in shape.known.values()])
            return other_case(word, draw) if draw.random() < 0.4 else word
        case schema.ListOf():
            return [fitting(shape.item, draw, depth + 1) for _ in range(draw.choice((0, 1, 1, 2, 3)))]
        case schema.MapOf():
            return {draw.choice(("a", "env", "kqlite:load", "")): fitting(shape.item, draw, depth + 1) for _ in range(draw.randrange(3))}
        case schema.Range():
            return draw.choice((shape.low, shape.high, shape.low - 1, shape.high + 1, 1)) if shape.high < 1e9 else draw.choice(NUMBERS)
        case schema.Object():
            members = list({member.name: member for member in shape.members.values()}.values())
            chosen = draw.sample(members, min(len(members), draw.choice((0, 1, 2, 3, 5))))
            found = {member.name: fitting(member.shape, draw, depth + 1) for member in (*shape.required, *chosen)}
            return {other_case(name, draw) if draw.random() < 0.1 else name: value for name, value in found.items()}
    samples: dict[str, tuple[Any, ...]] = {
        schema.STR: (
            "x",
            "1",
            "PT10M",
            "2021-08-11T00:00:00Z",
            f"{SETS}/web",
            f"{COMPUTE}/disks/d",
            f"{NETWORK}/publicIPAddresses/p",
            "web",
        ),
        schema.BOOL: (True, False, "true", "FALSE"),
        schema.INT: (0, 1, 2, 3, 8, 64, 1024, "2"),
        schema.LONG: (0, 1, 2**40),
        schema.NUM: (-1, 0, 0.5, 60, "1.5"),
    }
    return draw.choice(samples.get(shape, (1, "x", {}, {"a": 1}, {"protocol": "tcp", "port": 80}, deep(40), None)))


def changed(value: Any, shape: Any, draw: random.Random) -> Any:
    """A body with one member of its shape, at any depth, missing, in other case, or made anew."""
    if isinstance(shape, schema.Object) and isinstance(value, dict) and shape.members:
        inside = [(key, shape.members[key.lower()]) for key in value if key.lower() in shape.members]
        deeper = [(key, member) for key, member in inside if not isinstance(member.shape, str)]
        if deeper and draw.random() < 0.75:
            key, member = draw.choice(deeper)
            return {**value, key: changed(value[key], member.shape, draw)}
        if inside and draw.random() < 0.4:
            key, member = draw.choice(inside)
            rest = {name: item for name, item in value.items() if name != key}
            if draw.random() < 0.4:
                return rest
            return {**rest, other_case(key, draw) if draw.random() < 0.3 else key: fitting(member.shape, draw)}
        member = draw.choice(list(shape.members.values()))
        return {**value, member.name: fitting(member.shape, draw)}
    if isinstance(shape, schema.ListOf) and isinstance(value, list) and value and draw.random() < 0.9:
        at = draw.randrange(len(value))
        return [changed(item, shape.item, draw) if place == at else item for place, item in enumerate(value)]
    return fitting(shape, draw)


def shape_of(path: str) -> Any:
    parts = path.split("/")
    name = SHAPES.get(parts[-2]) if parts[-3:-2] != ["virtualMachineScaleSets"] else None
    return schema.resource(name) if name else None


class Fuzzed:
    """A simulation that is asked for anything."""

    def __init__(self, seed: int) -> None:
        self.draw = random.Random(seed)
        self.simulation = Simulation(seed=seed, profile=self.draw.choice(("preview-2021", "ga")), features="all", lag=0)
        self.simulation.create_group()
        self.bodies = requests(self.simulation)
        self.paths = [path for path, _ in self.bodies]

    def ask(self) -> int:
        draw = self.draw
        kind = draw.random()
        path, body = draw.choice(self.bodies)
        sent: Any = None
        if kind < 0.62:
            shape = shape_of(path)
            sent = copy.deepcopy(body)
            for _ in range(draw.choice((0, 1, 1, 1, 2, 4)) if shape is not None else 0):
                sent = changed(sent, shape, draw)
            method = draw.choice(("PUT", "PUT", "PUT", "PATCH"))
        elif kind < 0.70:
            shown = self.simulation.arm("GET", f"{path}?api-version=2025-04-01")
            sent, method = shown.body, "PUT"
        elif kind < 0.80:
            path, method = f"{VMS}/vm/{draw.choice(ACTIONS)}", "POST"
            sent = anything(draw) if draw.random() < 0.3 else None
        elif kind < 0.92:
            path, method = draw.choice((path, path.rpartition("/")[0], f"{path}/instanceView")), draw.choice(("GET", "GET", "DELETE"))
        else:
            method, sent = draw.choice(("POST", "PUT", "PATCH")), anything(draw)
        query = {"api-version": draw.choice(VERSIONS)}
        if draw.random() < 0.15:
            query[draw.choice(QUERIES)] = draw.choice(QUERY_VALUES)
        headers = {draw.choice(HEADERS): draw.choice(("*", '"1"', "x", "true", ""))} if draw.random() < 0.05 else None
        asked = f"{path}?{'&'.join(f'{name}={value}' for name, value in query.items())}"
        answer = self.simulation.arm(method, asked, sent, headers)
        assert answer.status < 500, (method, asked[:300], sent, answer.body, self.simulation.plane.trouble)
        if answer.status >= 400:
            assert answer.body["error"]["code"]
            assert answer.body["error"]["message"]
        if draw.random() < 0.3:
            before = self.simulation.plane.now
            seconds = draw.choice((1, 30, 60, 600, 86400 if draw.random() < 0.02 else 60))
            self.simulation.advance(seconds)
            assert self.simulation.plane.now == before + seconds * 1_000_000
            assert not self.simulation.plane.trouble, (method, asked[:300], sent, self.simulation.plane.trouble)
        return answer.status

    def run(self, asked: int) -> list[int]:
        found = [self.ask() for _ in range(asked)]
        for path in self.paths:
            assert self.simulation.arm("GET", f"{path}?api-version=2021-07-01").status < 500
        self.simulation.advance("1d")
        assert not self.simulation.plane.trouble
        assert self.simulation.inventory.query("resources | count").to_pylist()[0]["Count"] >= 0
        assert not self.simulation.inventory.stats().feed.trouble
        return found


@pytest.mark.parametrize("seed", range(8))
def test_whatever_arm_is_sent_it_answers_and_time_goes_on(seed: int) -> None:
    found = Fuzzed(seed).run(100)
    assert sum(status < 300 for status in found) > 10
    assert sum(status >= 400 for status in found) > 20


@pytest.mark.campaign
@pytest.mark.parametrize("seed", range(100, 500))
def test_whatever_arm_is_sent_it_answers_and_time_goes_on_in_full(seed: int) -> None:
    Fuzzed(seed).run(500)


def test_a_group_is_deleted_whatever_is_in_it() -> None:
    fuzzed = Fuzzed(1000)
    fuzzed.run(100)
    fuzzed.simulation.arm("DELETE", f"{VMS}/vm/providers/Microsoft.Authorization/locks/k?api-version=2016-09-01")
    assert fuzzed.simulation.arm("DELETE", f"{RG}?api-version=2021-04-01").status == 202
    fuzzed.simulation.advance("2h")
    assert fuzzed.simulation.arm("GET", f"{RG}?api-version=2021-04-01").status == 404
