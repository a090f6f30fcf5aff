"""Management locks: what one protects, and what lies below that.

Source: Azure docs, "Lock your resources to protect your infrastructure".
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import cast

from kqlite.orchestration.fleet import Container
from kqlite.orchestration.model import ResourceState, Type


def locks_on(group: Container, resource_id: str) -> Iterator[ResourceState]:
    """The locks on a resource, on its group, or on what it is part of."""
    path = resource_id.lower().rstrip("/") + "/"
    for lock in cast("dict[str, ResourceState]", group.of(Type.LOCK)).values():
        if path.startswith(dict(lock.tags).get("scope", "") + "/"):
            yield lock


def scope_of(lock: ResourceState) -> str:
    """The path of what a lock protects, as the request named it."""
    return dict(lock.tags)["path"]


def lock_name(scope: str, name: str) -> str:
    """What a lock is kept under: one name may stand on several resources of a group."""
    _, found, rest = scope.partition("/providers/")
    return f"{rest}/{name}" if found else name


def shown_name(lock: ResourceState) -> str:
    """The name that a lock was given."""
    return lock.name.rpartition("/")[2]
