"""A parsed request, its outcome, and the checks that handlers of all kinds of resources share."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import Any, cast

from kqlite.orchestration.azure_offerings import REGIONS, region_name
from kqlite.orchestration.errors import (
    content_invalid,
    group_being_deleted,
    group_not_found,
    location_required,
    location_unknown,
    name_invalid,
    precondition_failed,
    provider_not_registered,
    scope_locked,
    tag_names_invalid,
    too_many_tags,
)
from kqlite.orchestration.fleet import Container
from kqlite.orchestration.locks import locks_on, scope_of
from kqlite.orchestration.model import GroupState, ProviderState, Provisioning, State, Tags, Type
from kqlite.orchestration.recorder import Recorder


@dataclass
class Call:
    """A request, with its path taken apart.

    Args:
        subscription: The subscription in the path.
        group_name: The resource group; "" for a request about the subscription.
        name: The resource; "" for a list.
        child: The path below the resource, such as "extensions/health" or "start".
        body: The parsed body.
        query: Query parameters, with names in lower case.
        headers: Headers, with names in lower case.
        text: The body as text, for positions in error messages; None for a body that came as an object.
        path: The whole path.
    """

    method: str
    subscription: Container
    group_name: str
    name: str
    child: str
    body: Any
    query: dict[str, str]
    headers: dict[str, str]
    text: str | None = None
    path: str = ""

    def group(self, recorder: Recorder) -> Container:
        """The resource group. Raises ArmError if there is none, or if the request would write to a group that is being deleted."""
        container = recorder.fleet.container(f"{self.subscription.key}/resourcegroups/{self.group_name}")
        state = cast("GroupState | None", self.subscription.get(Type.GROUP, self.group_name))
        if container is None or state is None:
            raise group_not_found(self.group_name)
        if state.provisioning == Provisioning.DELETING and self.method in ("PUT", "PATCH", "POST"):
            raise group_being_deleted(state.name)
        return container


@dataclass
class Outcome:
    """The result of a request handler, from which the front door makes the answer.

    Args:
        status: HTTP status.
        document: Function that makes the answer's body after the commit; None for no body.
        operation: Id of the operation that goes on; "" for none.
        location: Region in the operation's URL.
        headers: More headers.
    """

    status: int
    document: Any = None
    operation: str = ""
    location: str = ""
    headers: dict[str, str] = field(default_factory=dict)


_MOST_TAGS = 50
_TAG_FORBIDDEN = re.compile(r"[<>%&\\?/\x00-\x1f\x7f]")
_FORBIDDEN = re.compile(r"[\\/\"'\[\]:|<>+=;,?*@&\s\x00-\x1f\x7f]")


def check_name(name: str, target: str) -> None:
    """Raise ArmError for an invalid name of a VM or scale set. target: how the error names the parameter."""
    if not 1 <= len(name) <= 64 or _FORBIDDEN.search(name) or name.startswith("_") or name.endswith((".", "-")):
        raise name_invalid(target, name)


def checked_location(body: dict[str, Any], type_: str, existing: str = "") -> str:
    """The location of a body, in the stored form.

    Args:
        type_: Type of the resource, for error messages.
        existing: Location of the existing resource, for a body without one.

    Raises:
        ArmError: A missing or unknown location.
    """
    asked = body.get("location") or ""
    if not isinstance(asked, str):
        raise content_invalid(f"Error converting value {json.dumps(asked)} to type string. Path location, line 1.")
    location = region_name(asked) or existing
    if not location:
        raise location_required()
    if location not in REGIONS:
        raise location_unknown(str(body.get("location")), type_, REGIONS)
    return location


def check_registered(recorder: Recorder, subscription: Container, namespace: str) -> None:
    """Raise ArmError if the resource provider is not registered."""
    provider = cast("ProviderState | None", subscription.get(Type.PROVIDER, namespace))
    if provider is None or provider.state not in ("Registered", "Registering"):
        raise provider_not_registered(namespace)


def check_match(call: Call, state: State | None) -> None:
    """Compare `If-Match` and `If-None-Match` with the resource's version. Raises ArmError 412."""
    wanted = call.headers.get("if-match")
    etag = etag_of(state) if state is not None else ""
    if wanted and (state is None or (wanted != "*" and wanted != etag)):
        raise precondition_failed("If-Match", wanted)
    unwanted = call.headers.get("if-none-match")
    if unwanted and state is not None and unwanted in ("*", etag):
        raise precondition_failed("If-None-Match", unwanted)


def etag_of(state: State) -> str:
    """The entity tag of a resource: its version."""
    return f'"{state.version}"'


def tags_of(call: Call, body: dict[str, Any], existing: Tags = ()) -> Tags:
    """The tags that a resource has after a request.

    Args:
        existing: Tags of the existing resource. A PATCH without tags keeps them; a PUT without tags removes them.

    Raises:
        ArmError: Too many tags, or invalid names.
    """
    tags = body.get("tags")
    if tags is None:
        return existing if call.method == "PATCH" else ()
    if len(tags) > _MOST_TAGS:
        raise too_many_tags(_MOST_TAGS)
    wrong = [name for name in tags if len(name) > 512 or _TAG_FORBIDDEN.search(name)]
    if wrong:
        raise tag_names_invalid(wrong)
    return tuple(tags.items())


def check_unlocked(recorder: Recorder, group: Container, resource_id: str, operation: str = "delete") -> None:
    """Raise ArmError if a lock forbids the operation, "delete" or "write"."""
    for lock in locks_on(group, resource_id):
        if operation == "delete" or recorder.fleet.definitions[lock.definition].document["properties"]["level"] == "ReadOnly":
            raise scope_locked(resource_id, scope_of(lock), operation)


def check_locks(recorder: Recorder, call: Call) -> None:
    """Raise ArmError if a lock forbids the request. Resource Manager checks this before the provider sees the request."""
    group = recorder.fleet.container(f"{call.subscription.key}/resourcegroups/{call.group_name}") if call.group_name else None
    if group is not None:
        check_unlocked(recorder, group, call.path, "delete" if call.method == "DELETE" else "write")


def last_segment(resource_id: str) -> str:
    """The name at the end of an id."""
    return resource_id.rstrip("/").rpartition("/")[2]


def group_of_id(resource_id: str) -> str:
    """The id of the resource group in a resource's id, in lower case."""
    return resource_id.lower().partition("/providers/")[0]


def whole_number(text: str) -> int | None:
    """The whole number in a text of at most nine digits; None for other text."""
    return int(text) if text.isascii() and text.isdecimal() and len(text) <= 9 else None


def get_path(body: dict[str, Any], *path: str) -> Any:
    """The value at a path of member names; None if a member is missing."""
    value: Any = body
    for name in path:
        if not isinstance(value, dict):
            return None
        value = value.get(name)
    return value
