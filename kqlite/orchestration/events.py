"""The event record: one change of one resource.

A reader of the events 1..n knows every resource as of event n. An event carries the resource's whole state after the change. Where a state
refers to a document by number (`model`, `profile`, ..), an earlier event of kind DEFINED carries that document. States are the named tuples
of `model.py`.

Example: a VM starts. Both values of `power` follow from one event, so a change record needs no second look-up.

    sequence  kind     name  version  state                              previous
    57        changed  web1  4        VmState(.., power="starting", ..)  {"power": "stopped", "version": 3, ..}
"""

from __future__ import annotations

from enum import StrEnum
from typing import Any, NamedTuple

from kqlite.orchestration.model import State

USERS = ("user", "operator", "pipeline")
"""Actors that send requests: the user of the simulation, and the operators and pipelines that `activity` simulates."""


class Kind(StrEnum):
    """What an event says about its resource."""

    DEFINED = "defined"  # an immutable document got its number; `state` is a `model.Definition`
    CREATED = "created"
    CHANGED = "changed"
    DELETED = "deleted"  # `state` is the last state; the resource no longer exists
    NOTED = "noted"  # an entry of the activity log; no resource changed, `state` is a `model.NoteState`


class Event(NamedTuple):
    """One thing that happened.

    Args:
        sequence: Sequence number, from 1 and without gaps. Readers see an event only once it is durable.
        time: Microseconds since 1970-01-01T00:00Z, never lower than the time of the event before.
        type: Resource type in ARM's casing, a `model.Type`.
        scope: The resource's id up to where `name` begins. Sibling resources share it.
        name: The rest of the id, in the casing of the request that created the resource. For an extension "{vm}/extensions/{name}".
        version: Version of the resource: 1 when it is created, one more at each event, the deletion included.
        operation: Id of the operation that caused the event; "" for none.
        actor: One of `USERS`, or the controller that acted: "scale-set", "vm", "health", "repair", "autoscale", "spot", "maintenance",
            "feature", "fault".
        cause: The request or step that led to the event ("virtualMachines/write", "boot", "AllocationFailed", ..).
        state: The resource after the event.
        previous: The earlier value of each changed field, by name. Empty for a creation. For a deletion the earlier version alone.
    """

    sequence: int
    time: int
    kind: Kind
    type: str
    scope: str
    name: str
    version: int
    operation: str
    actor: str
    cause: str
    state: State
    previous: dict[str, Any]

    @property
    def id(self) -> str:
        """The ARM id of the resource."""
        return self.scope + self.name

    @property
    def group(self) -> str:
        """The id of the resource group; the id of the subscription for a resource outside any group."""
        head, _, _ = self.scope.partition("/providers/")
        return head

    @property
    def before(self) -> State | None:
        """The state before the event; None for the event that created the resource."""
        if self.kind is Kind.CREATED or self.kind is Kind.DEFINED or self.kind is Kind.NOTED:
            return None
        return self.state._replace(**self.previous)
