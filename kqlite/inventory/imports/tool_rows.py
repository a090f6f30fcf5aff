"""Rows as other tools print them, brought into the form of Resource Graph.

| what prints them | how they differ | what is done |
|---|---|---|
| ARM (`az rest`, `{"value": [..]}`) | no `subscriptionId` and `resourceGroup` | both are taken from the id |
| `az vm list`, `az disk list`, .. | the members of `properties` stand in the row | they go into `properties` |
| the same | Python's spelling of members: `diskSizeGb` | ARM's spelling: `diskSizeGB` |
| `az vm list -d` | `powerState` is `VM running` | `properties.extended.instanceView.powerState` |
| `az vm get-instance-view` | `instanceView.statuses` | the same, beside it |

In all of these the type and the resource group are put in lower case, as Resource Graph has them.
A row in Resource Graph's own form is left as it is. Source: Azure CLI docs, "az vm list"; Azure docs, "Virtual Machines - List All".
"""

import re
from collections.abc import Sequence
from typing import Any

from kqlite.inventory.shapes.documents import Value
from kqlite.inventory.shapes.resource_tables import COLUMNS

_KNOWN = frozenset(COLUMNS.names())
_OF_ARM = frozenset({"provisioningState", "hardwareProfile", "storageProfile", "virtualMachineProfile", "diskState", "instanceView"})
"""Members that stand in `properties` everywhere but in the rows of the Azure CLI; one of them tells such a row."""

_ID = re.compile(r"/subscriptions/([^/]+)(?:/resourceGroups/([^/]+))?", re.IGNORECASE)
_ARM_NAMES = (
    "automaticOSUpgradePolicy backendIPConfigurations diskIOPSReadOnly diskIOPSReadWrite diskMBpsReadOnly diskMBpsReadWrite diskSizeGB "
    "doNotRunExtensionsOnOverprovisionedVMs enableAutomaticOSUpgrade enableFloatingIP enableIPForwarding enableVMAgentPlatformUpdates "
    "frontendIPConfiguration frontendIPConfigurations hyperVGeneration linkedPublicIPAddress privateIPAddress privateIPAddressVersion "
    "privateIPAllocationMethod provisionVMAgent publicIPAddress publicIPAddressConfiguration publicIPAddressVersion "
    "publicIPAllocationMethod publicIPPrefix servicePublicIPAddress ultraSSDEnabled vCPUsAvailable vCPUsPerCore winRM"
)
_SPELLING = {name.lower(): name for name in _ARM_NAMES.split()}
"""ARM's spelling of the members that Azure's SDK for Python, and so the CLI, spells otherwise."""

_POWER_STATE = re.compile(r"VM (\w+)")


def has_tool_form(rows: Sequence[Value]) -> bool:
    """Whether a row may need `resource_row`: one of them has a member that is no column of a resource table."""
    return any(type(row) is dict and not row.keys() <= _KNOWN for row in rows)


def resource_row(row: Value) -> Value:
    """The row in the form of Resource Graph; the same object where it is in that form, or is no row."""
    if type(row) is not dict or row.get("properties") is not None or not isinstance(row.get("id"), str) or _OF_ARM.isdisjoint(row):
        return row
    return arm_row({name: value for name, value in row.items() if name in _KNOWN} | {"properties": _properties(row)})


def arm_row(row: Value) -> Value:
    """A resource as ARM answers it, with the columns that Resource Graph makes of its id; what is no resource stays as it is."""
    if type(row) is not dict or not isinstance(row.get("id"), str):
        return row
    found = _ID.match(row["id"])
    named = dict(zip(("subscriptionId", "resourceGroup"), found.groups(), strict=True)) if found else {}
    whole = {**row, **{name: value for name, value in named.items() if value and not row.get(name)}}
    for name in ("type", "resourceGroup"):
        if isinstance(whole.get(name), str):
            whole[name] = whole[name].lower()
    return whole


def _properties(row: dict[str, Any]) -> dict[str, Any]:
    members = {name: _respelled(value) for name, value in row.items() if name not in _KNOWN and value is not None}
    properties = {_SPELLING.get(name.lower(), name): value for name, value in members.items()}
    state = _power_state(properties)
    if state is not None:
        properties["extended"] = {"instanceView": {"powerState": state}}
    return properties


def _respelled(value: Value) -> Value:
    if type(value) is dict:
        return {_SPELLING.get(name.lower(), name): _respelled(inner) for name, inner in value.items()}
    return [_respelled(inner) for inner in value] if type(value) is list else value


def _power_state(properties: dict[str, Any]) -> dict[str, str] | None:
    """The power state as Resource Graph shows it; `powerState`, which says the same, is taken out."""
    words = properties.get("powerState")
    if isinstance(words, str) and (found := _POWER_STATE.fullmatch(words)):
        del properties["powerState"]
        return {"code": f"PowerState/{found[1]}", "displayStatus": words, "level": "Info"}
    view = properties.get("instanceView")
    statuses = view.get("statuses") if isinstance(view, dict) else None
    for status in statuses if isinstance(statuses, list) else ():
        if isinstance(status, dict) and str(status.get("code", "")).startswith("PowerState/"):
            return {name: status[name] for name in ("code", "displayStatus", "level") if isinstance(status.get(name), str)}
    return None
