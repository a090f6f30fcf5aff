"""Requests about resource groups and locks.

Source: Azure docs, "Resource Groups" and "Management Locks" (REST references).
"""

from __future__ import annotations

import re
from typing import cast

from kqlite.orchestration import arm_documents, errors
from kqlite.orchestration.controllers.groups import begin_delete_group
from kqlite.orchestration.locks import lock_name, scope_of, shown_name
from kqlite.orchestration.model import GroupState, Provisioning, ResourceState, Type
from kqlite.orchestration.recorder import Recorder
from kqlite.orchestration.requests import schema
from kqlite.orchestration.requests.call import Call, Outcome, checked_location, tags_of

_READ_ONLY_MEMBERS = {"id": schema.READ_ONLY, "name": schema.READ_ONLY, "type": schema.READ_ONLY}
_GROUP = schema.shape_of(
    {
        **_READ_ONLY_MEMBERS,
        "location": schema.STR,
        "tags": (schema.STR,),
        "managedBy": schema.STR,
        "properties": {"provisioningState": schema.READ_ONLY},
    }
)
_LOCK = schema.shape_of(
    {
        **_READ_ONLY_MEMBERS,
        "properties": {
            "level": schema.Choice({word.lower(): (word, "") for word in ("NotSpecified", "CanNotDelete", "ReadOnly")}),
            "notes": schema.STR,
            "owners": [{"applicationId": schema.STR}],
        },
    }
)
_NAME = re.compile(r"[\w().-]{1,90}")


def _existing(call: Call) -> GroupState | None:
    return cast("GroupState | None", call.subscription.get(Type.GROUP, call.group_name))


def put(recorder: Recorder, call: Call) -> Outcome:
    """PUT and PATCH of a group."""
    existing = _existing(call)
    subscription = call.subscription
    if existing is None and call.method == "PATCH":
        raise errors.group_not_found(call.group_name)
    location = checked_location(call.body if isinstance(call.body, dict) else {}, Type.GROUP, existing.location if existing else "")
    body = schema.read(call.body, _GROUP, "resourceGroup", call.text)
    if not _NAME.fullmatch(call.group_name) or call.group_name.endswith("."):
        raise errors.name_invalid("resourceGroupName", call.group_name)
    if existing is not None and existing.provisioning == Provisioning.DELETING:
        raise errors.group_being_deleted(existing.name)
    if existing is not None and location != existing.location:
        raise errors.wrong_group_location(existing.location, location)
    if existing is None:
        uid = recorder.chance.uid(f"{subscription.id}/resourceGroups/{call.group_name}", recorder.now)
        state = GroupState(call.group_name, 1, uid, location, tags_of(call, body), recorder.now, Provisioning.SUCCEEDED, "", 0)
        recorder.create(subscription, Type.GROUP, state)
    else:
        state = recorder.change(subscription, Type.GROUP, existing, tags=tags_of(call, body, existing.tags))
    return Outcome(201 if existing is None else 200, lambda: arm_documents.group(subscription.id, state))


def get(recorder: Recorder, call: Call) -> Outcome:
    """GET and HEAD of a group."""
    existing = _existing(call)
    if call.method == "HEAD":
        return Outcome(404 if existing is None else 204)
    if existing is None:
        raise errors.group_not_found(call.group_name)
    return Outcome(200, lambda: arm_documents.group(call.subscription.id, existing))


def delete(recorder: Recorder, call: Call) -> Outcome:
    """DELETE of a group with all its resources."""
    existing = _existing(call)
    if existing is None:
        raise errors.group_not_found(call.group_name)
    group = recorder.fleet.containers[f"{call.subscription.key}/resourcegroups/{existing.name.lower()}"]
    for lock in cast("dict[str, ResourceState]", group.of(Type.LOCK)).values():
        raise errors.scope_locked(group.id, scope_of(lock))
    if existing.provisioning == Provisioning.DELETING:
        return Outcome(202, operation=existing.operation, location=existing.location)
    operation = recorder.open_operation("resourceGroups/delete", call.subscription, group.id, existing.location)
    begin_delete_group(recorder, call.subscription, existing, operation)
    return Outcome(202, operation=operation, location=existing.location)


def lock(recorder: Recorder, call: Call) -> Outcome:
    """PUT, GET and DELETE of a lock. `call.child` is the path of the locked group or resource, `call.name` the lock's name."""
    group = call.group(recorder)
    locks = cast("dict[str, ResourceState]", group.of(Type.LOCK)).values()
    same = (lock for lock in locks if scope_of(lock).lower() == call.child.lower() and shown_name(lock).lower() == call.name.lower())
    existing = next(same, None)
    if call.method == "GET":
        if existing is None:
            raise errors.not_found(Type.LOCK, call.name, group.name)
        return Outcome(200, lambda: arm_documents.lock(group.id, existing, recorder.fleet.definitions))
    if call.method == "DELETE":
        if existing is None:
            return Outcome(204)
        recorder.delete(group, Type.LOCK, existing, name=shown_name(existing))
        return Outcome(200)
    body = schema.read(call.body, _LOCK, "lock", call.text)
    level = (body.get("properties") or {}).get("level")
    if level not in ("CanNotDelete", "ReadOnly"):
        raise errors.parameter_invalid("level")
    number = recorder.define("lock", {"properties": body["properties"]})
    if existing is None:
        uid = recorder.chance.uid(f"{call.child}/locks/{call.name}", recorder.now)
        scope = (("scope", call.child.lower()), ("path", call.child))
        kept_as = lock_name(call.child, call.name)
        state = recorder.create(group, Type.LOCK, ResourceState(kept_as, 1, uid, "", scope, recorder.now, number), name=call.name)
    else:
        state = recorder.change(group, Type.LOCK, existing, note=shown_name(existing), definition=number)
    return Outcome(201 if existing is None else 200, lambda: arm_documents.lock(group.id, state, recorder.fleet.definitions))
