"""The event record: what happened, in order, with all that a reader needs to build any row at any sequence number.

A reader who holds the events 1..n, and nothing else, knows every resource as of n: an event carries the resource's whole
state after the change, and what a state refers to by number (`model`, `profile`, ...) was itself logged before, once and for
all, by an event of kind DEFINED. States are the named tuples of `model.py`, one class for each resource type.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Any, NamedTuple

from kqlite.orchestration.model import State

USERS = ("user", "operator", "pipeline")
"""Who sends requests: the user of this simulation, and the fleet's own people and pipelines (`activity`)."""


class Kind(StrEnum):
    """What an event says about its resource."""

    DEFINED = "defined"  # an immutable document now has a number; `state` is a `model.Definition`
    CREATED = "created"
    CHANGED = "changed"
    DELETED = "deleted"  # `state` is the last one; the resource is gone after this event
    NOTED = "noted"  # an entry of the activity log; no resource changed, `state` is a `model.NoteState`


class Event(NamedTuple):
    """One thing that happened.

    sequence: dense and total, from 1; an event is visible only once it is durable.
    time: microseconds since 1970-01-01T00:00Z, never lower than that of the event before.
    type: the resource type in ARM's casing, a `model.Type`.
    scope: the resource's id up to where `name` begins; shared by all resources beside it.
    name: the rest of the id: the resource's name in the casing of the request that made it, for an extension "{vm}/extensions/{name}".
    version: of the resource, 1 when it is created, one more at each event; a deletion counts.
    operation: the id of the operation this was done for, or "".
    actor: who wanted it: one of `USERS`, or the controller that closed a gap ("scale-set", "vm", "health", "repair", "autoscale", "spot",
        "maintenance", "feature", "fault").
    cause: the request or step that led to it ("virtualMachines/write", "boot", "AllocationFailed", ..).
    state: the resource after the event.
    previous: the earlier value of every field of the state that changed, by name; empty when created or deleted.
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
        """The id of the resource group, or of the subscription where the resource lies in no group."""
        head, _, _ = self.scope.partition("/providers/")
        return head

    @property
    def before(self) -> State | None:
        """The state before the event; None for a resource that was created by it."""
        if self.kind is Kind.CREATED or self.kind is Kind.DEFINED or self.kind is Kind.NOTED:
            return None
        return self.state._replace(**self.previous)
