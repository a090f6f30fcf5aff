"""Management locks and the resources that they protect.

Source: Azure docs, "Lock your resources to protect your infrastructure".
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import cast

from kqlite.orchestration.fleet import Container
from kqlite.orchestration.model import ResourceState, Type


def locks_on(group: Container, resource_id: str) -> Iterator[ResourceState]:
    """The locks on a resource, on its group, or on a parent resource."""
    path = resource_id.lower().rstrip("/") + "/"
    for lock in cast("dict[str, ResourceState]", group.of(Type.LOCK)).values():
        if path.startswith(dict(lock.tags).get("scope", "") + "/"):
            yield lock


def scope_of(lock: ResourceState) -> str:
    """The path of the resource or group that a lock protects, in the request's casing."""
    return dict(lock.tags)["path"]


def lock_name(scope: str, name: str) -> str:
    """The name under which the fleet stores a lock. Locks of several resources of a group may share a name."""
    _, found, rest = scope.partition("/providers/")
    return f"{rest}/{name}" if found else name


def shown_name(lock: ResourceState) -> str:
    """The name of a lock, as requests use it."""
    return lock.name.rpartition("/")[2]
