"""The rows that Resource Graph should show, made from what ARM answers: an oracle for tests of the inventory.

It asks `Simulation.arm` for lists and documents alone, and has code of its own for everything: it shares nothing with the snapshotter, and
looks neither at the core's events nor at its state.

Source: Azure Resource Graph docs, "Understanding the Azure Resource Graph query language", "Get resource changes"; Azure docs, "Monitor
virtual machine availability with Azure Resource Graph".
"""

import json
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import Any

from kqlite.simulation import Simulation

Row = dict[str, Any]
State = dict[tuple[str, str], Row]
"""Rows by table and folded id."""

TABLES = ("resources", "resourcecontainers", "healthresources", "authorizationresources")
COLUMNS = {
    "id": str,
    "name": str,
    "type": str,
    "tenantId": str,
    "kind": str,
    "location": str,
    "resourceGroup": str,
    "subscriptionId": str,
    "managedBy": str,
    "sku": dict,
    "plan": dict,
    "properties": dict,
    "tags": dict,
    "identity": dict,
    "zones": list,
    "extendedLocation": dict,
}
_STRINGS = tuple(name for name, type_ in COLUMNS.items() if type_ is str)
_DYNAMICS = tuple(name for name, type_ in COLUMNS.items() if type_ is not str)

VERSION = "api-version=2023-09-01"
_TENANT = "00000000-0000-0000-0000-00000000feed"
_MACHINE = "microsoft.compute/virtualmachines"
_LISTED = (
    "Microsoft.Compute/virtualMachineScaleSets",
    "Microsoft.Compute/disks",
    "Microsoft.Compute/proximityPlacementGroups",
    "Microsoft.Network/networkInterfaces",
    "Microsoft.Network/publicIPAddresses",
    "Microsoft.Network/loadBalancers",
    "Microsoft.Insights/autoscaleSettings",
)
_SUBSCRIPTION = {
    "subscriptionPolicies": {"locationPlacementId": "Public_2014-09-01", "quotaId": "PayAsYouGo_2014-09-01", "spendingLimit": "Off"},
    "managedByTenants": [],
    "managementGroupAncestorsChain": [{"displayName": "Tenant Root Group", "name": _TENANT}],
}


def state_of(simulation: Simulation, locks: Iterable[str] = ()) -> State:
    """All rows that the inventory would have if it knew everything. locks: the ids of locks that may be there: ARM lists none."""
    return {(table, row["id"].lower()): row for table, row in _rows(simulation, locks)}


def _rows(simulation: Simulation, locks: Iterable[str]) -> Iterator[tuple[str, Row]]:
    for subscription in _listed(simulation, "/subscriptions"):
        yield "resourcecontainers", _row(subscription)
        for group in _listed(simulation, f"{json.loads(subscription)['id']}/resourcegroups"):
            yield "resourcecontainers", _row(group)
            path = json.loads(group)["id"]
            for type_ in _LISTED:
                for document in _listed(simulation, f"{path}/providers/{type_}"):
                    yield "resources", _row(document)
            yield from _machines(simulation, path)
    for lock in locks:
        answer = simulation.arm("GET", f"{lock}?{VERSION}")
        if answer.status == 200:
            yield "authorizationresources", _row(_text(answer.body))
        else:
            assert answer.status == 404, answer.body


def _machines(simulation: Simulation, group: str) -> Iterator[tuple[str, Row]]:
    for listed in _listed(simulation, f"{group}/providers/Microsoft.Compute/virtualMachines"):
        document = json.loads(listed)
        text = _text(_got(simulation, document["id"], "$expand=instanceView&"))
        yield "resources", _row(text)
        yield "healthresources", _health(text)
        if "resources" in document:
            for extension in _listed(simulation, f"{document['id']}/extensions"):
                yield "resources", _row(extension)


def _listed(simulation: Simulation, path: str) -> list[str]:
    """The documents of a list, as text: most are the same as the last time."""
    found: list[str] = []
    following = f"{path}?{VERSION}"
    while following:
        answer = simulation.arm("GET", following)
        assert answer.status == 200, answer.body
        found += map(_text, answer.body["value"])
        following = answer.body.get("nextLink", "").removeprefix("https://management.azure.com")
    return found


def _got(simulation: Simulation, path: str, query: str = "") -> dict[str, Any]:
    answer = simulation.arm("GET", f"{path}?{query}{VERSION}")
    assert answer.status == 200, answer.body
    return dict(answer.body)


_text = json.JSONEncoder(ensure_ascii=False).encode


@lru_cache(maxsize=20_000)
def _row(text: str) -> Row:
    """The row of a resource that ARM answers with, without what is empty."""
    document = json.loads(text)
    parts = document["id"].split("/")
    folded = [part.lower() for part in parts]
    row: Row = {name: document[name] for name in ("id", "name", "location", "kind", "managedBy", *_DYNAMICS) if name in document}
    row |= {"type": document.get("type", "Microsoft.Resources/subscriptions").lower(), "tenantId": _TENANT, "subscriptionId": parts[2]}
    row["resourceGroup"] = folded[folded.index("resourcegroups") + 1] if "resourcegroups" in folded else ""
    match row["type"]:
        case "microsoft.resources/subscriptions":
            row |= {"name": document["displayName"], "properties": {"state": document["state"], **_SUBSCRIPTION}}
        case "microsoft.resources/resourcegroups":
            row["type"] = "microsoft.resources/subscriptions/resourcegroups"
        case "microsoft.compute/proximityplacementgroups":
            members = ("virtualMachines", "virtualMachineScaleSets")
            row["properties"] = {name: value for name, value in row["properties"].items() if name not in members}
        case "microsoft.compute/virtualmachines":
            row["properties"] = _with_extended(row["properties"])
    return without_nothing(row)


def _with_extended(properties: dict[str, Any]) -> dict[str, Any]:
    view = properties["instanceView"]
    kept = {name: view[name] for name in ("computerName", "osName", "osVersion", "hyperVGeneration") if name in view}
    for status in view["statuses"]:
        if status["code"].startswith("PowerState/"):
            kept["powerState"] = {name: status[name] for name in ("code", "level", "displayStatus")}
    return {name: value for name, value in properties.items() if name != "instanceView"} | {"extended": {"instanceView": kept}}


@lru_cache(maxsize=20_000)
def _health(text: str) -> Row:
    """The health of a machine that ARM answers with, by what its instance view says."""
    document = json.loads(text)
    codes: dict[str, str] = {}
    for status in document["properties"]["instanceView"]["statuses"]:
        kind, _, code = status["code"].partition("/")
        codes[kind] = code
        if kind == "ProvisioningState":
            since = status["time"]
    power = codes.get("PowerState", "unknown")
    runs = power == "running" and not codes["ProvisioningState"].startswith("creating")
    machine = _row(text)
    row = {name: machine[name] for name in ("tenantId", "location", "resourceGroup", "subscriptionId")}
    row |= {
        "id": f"{machine['id']}/providers/Microsoft.ResourceHealth/availabilityStatuses/current",
        "name": "current",
        "type": "microsoft.resourcehealth/availabilitystatuses",
        "properties": {
            "targetResourceId": machine["id"],
            "targetResourceType": _MACHINE,
            "availabilityState": "Unknown" if power == "unknown" else "Available" if runs else "Unavailable",
            "occurredTime": since,
        },
    }
    return row


def without_nothing(row: Row) -> Row:
    """A row in one form: a string that is empty and a member that is null are missing."""
    return {name: _dense(value) for name, value in row.items() if value is not None and not (value == "" and name in _STRINGS)}


def _dense(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _dense(member) for name, member in value.items() if member is not None}
    return [_dense(element) for element in value] if isinstance(value, list) else value


# What changed from one row to the next


def changes_between(before: Row, after: Row) -> dict[str, tuple[Any, Any]]:
    """Path, value before and value after of all properties in which two rows of a resource differ; None where one has none."""
    old, new = _properties(before), _properties(after)
    pairs = {path: (old.get(path), new.get(path)) for path in old.keys() | new.keys()}
    return {path: pair for path, pair in pairs.items() if _text(pair[0]) != _text(pair[1])}


def _properties(row: Row) -> dict[str, Any]:
    given = ("id", "name", "type", "tenantId", "resourceGroup", "subscriptionId")
    return dict(_leaves({name: value for name, value in row.items() if name not in given and value != {}}, ""))


def _leaves(value: Any, path: str) -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict) and (value or not path):
        for name, member in value.items():
            yield from _leaves(member, f"{path}.{name}".lstrip("."))
    elif isinstance(value, list) and value:
        for number, element in enumerate(value):
            yield from _leaves(element, f"{path}[{number}]")
    else:
        yield path, value
