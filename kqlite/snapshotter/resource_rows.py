"""Events to rows of the resource tables: an ARM document in the form in which Azure Resource Graph shows it.

A row follows from an event's state and the definitions alone, so it can be made 60 s late or a day. `computeresources` gets none: it
holds the instances of Uniform scale sets, and the core has Flexible ones alone, whose instances are ordinary machines in `resources`.
A proximity placement group does not list what it holds, since no event of its own tells.

Source: Azure Resource Graph docs, "Understanding the Azure Resource Graph query language"; its rows as recorded from the service.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any, NamedTuple, cast

from kqlite.inventory.shapes.documents import Value
from kqlite.orchestration import arm_documents
from kqlite.orchestration.clock import SECOND, iso
from kqlite.orchestration.events import Event, Kind
from kqlite.orchestration.model import (
    Definition,
    DiskState,
    ExtensionState,
    GroupState,
    NicState,
    PublicIpState,
    ResourceState,
    ScaleSetState,
    SettingState,
    State,
    SubscriptionState,
    Type,
    VmState,
)

Definitions = Mapping[int, Definition]
Row = dict[str, Value]

_TABLES: dict[str, str] = {
    Type.VM: "resources",
    Type.SCALE_SET: "resources",
    Type.EXTENSION: "resources",
    Type.DISK: "resources",
    Type.NIC: "resources",
    Type.PUBLIC_IP: "resources",
    Type.LOAD_BALANCER: "resources",
    Type.PLACEMENT_GROUP: "resources",
    Type.AUTOSCALE: "resources",
    Type.SUBSCRIPTION: "resourcecontainers",
    Type.GROUP: "resourcecontainers",
    Type.LOCK: "authorizationresources",
}

TENANT: str = arm_documents.subscription(SubscriptionState("", 0, 0))["tenantId"]
"""There is one tenant."""

_GUEST = ("computerName", "osName", "osVersion", "hyperVGeneration")
_SUBSCRIPTION_POLICIES = {"locationPlacementId": "Public_2014-09-01", "quotaId": "PayAsYouGo_2014-09-01", "spendingLimit": "Off"}


class ResourceScope(NamedTuple):
    """Where the resources of one scope lie.

    container: the id of their group, or of the subscription. group: its name, folded. key: the scope, folded.
    """

    subscription: str
    group: str
    container: str
    key: str


@lru_cache(maxsize=100_000)
def scope_of(scope: str) -> ResourceScope:
    """The scope that an event's scope names."""
    _, _, subscription, *rest = scope.split("/")
    group = rest[1].lower() if len(rest) > 1 else ""
    container = scope.partition("/providers/")[0].removesuffix("/").removesuffix("/resourceGroups")
    return ResourceScope(subscription, group, container, scope.lower())


@lru_cache(maxsize=1_000)
def _second(seconds: int) -> str:
    return iso(seconds * SECOND)[:19]


def timestamp(time: int) -> str:
    """What `iso` gives, sooner: most events of a fleet lie within the same few seconds."""
    return f"{_second(time // SECOND)}.{time % SECOND:06d}0+00:00"


def table_of(resource_type: str) -> str | None:
    """The table that has the rows of a type in ARM's casing; None for the core's own records, which are no resources."""
    return _TABLES.get(resource_type)


def row_of(event: Event, definitions: Definitions) -> Row | None:
    """The resource's row after the event; None where it is gone, or is none."""
    if event.kind is Kind.DELETED or event.type not in _TABLES:
        return None
    return row(event, event.state, definitions)


def row_before(event: Event, definitions: Definitions) -> Row | None:
    """The resource's row before the event; None where there was none."""
    state = event.before if event.type in _TABLES else None
    return None if state is None else row(event, state, definitions)


def id_of(event: Event, definitions: Definitions) -> str:
    """The id of the resource as its row has it. That of a lock lies below what it locks, wherever its event is kept."""
    if event.type == Type.LOCK:
        return str(arm_documents.lock("", cast("ResourceState", event.state), definitions)["id"])
    return event.scope + event.name


def row(event: Event, state: State, definitions: Definitions) -> Row:
    """The row that the event's resource has while `state` is its state. The event's type must have rows."""
    scope = scope_of(event.scope)
    if isinstance(state, SubscriptionState):
        return _subscription_row(state)
    document = _document(scope, event.type, state, definitions)
    properties = document["properties"]
    if "provisioningState" in properties:
        # A state that was not read back from a log holds an enumeration's members, which are not quite texts.
        properties["provisioningState"] = str(properties["provisioningState"])
    return {
        "id": document["id"],
        "name": document["name"],
        "type": event.type.lower(),
        "tenantId": TENANT,
        "kind": document.get("kind", ""),
        "location": document.get("location", ""),
        "resourceGroup": state.name.lower() if isinstance(state, GroupState) else scope.group,
        "subscriptionId": scope.subscription,
        "managedBy": document.get("managedBy", ""),
        "sku": document.get("sku"),
        "plan": document.get("plan"),
        "properties": properties,
        "tags": document.get("tags"),
        "identity": document.get("identity"),
        "zones": document.get("zones"),
        "extendedLocation": document.get("extendedLocation"),
    }


def _document(scope: ResourceScope, type_: str, state: State, definitions: Definitions) -> dict[str, Any]:
    match state:
        case VmState():
            return _with_extended(arm_documents.vm(scope.container, state, definitions, with_view=True))
        case ScaleSetState():
            return arm_documents.scale_set(scope.container, state, definitions)
        case ExtensionState():
            return arm_documents.extension(scope.container, state, definitions)
        case DiskState():
            return arm_documents.disk(scope.container, state, definitions)
        case NicState():
            return arm_documents.nic(scope.container, state, definitions)
        case PublicIpState():
            return arm_documents.public_ip(scope.container, state, definitions)
        case SettingState():
            return arm_documents.autoscale(scope.container, state, definitions)
        case GroupState():
            return arm_documents.group(scope.container, state)
        case ResourceState() if type_ == Type.LOCK:
            return arm_documents.lock(scope.container, state, definitions)
        case ResourceState():
            return arm_documents.plain(scope.container, type_, state, definitions)
        case _:
            raise AssertionError(f"{type_} has no rows")


def _with_extended(document: dict[str, Any]) -> dict[str, Any]:
    """A machine's document with the few members of its instance view that Resource Graph keeps, where it keeps them."""
    properties = document["properties"]
    view = properties.pop("instanceView")
    power = next((status for status in view["statuses"] if status["code"].startswith("PowerState/")), None)
    shown = {} if power is None else {"powerState": power}
    properties["extended"] = {"instanceView": shown | {name: view[name] for name in _GUEST if name in view}}
    return document


def _subscription_row(state: SubscriptionState) -> Row:
    document = arm_documents.subscription(state)
    return {
        "id": document["id"],
        "name": document["displayName"],
        "type": Type.SUBSCRIPTION.lower(),
        "tenantId": TENANT,
        "subscriptionId": state.name,
        "properties": {
            "state": document["state"],
            "subscriptionPolicies": _SUBSCRIPTION_POLICIES,
            "managedByTenants": [],
            "managementGroupAncestorsChain": [{"displayName": "Tenant Root Group", "name": TENANT}],
        },
    }
