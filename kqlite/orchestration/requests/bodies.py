"""The body of a request, read against Azure's shape for it."""

from __future__ import annotations

from typing import Any

from kqlite.orchestration.requests import schema
from kqlite.orchestration.requests.call import Call


def read_resource(call: Call, name: str, owner: str) -> dict[str, Any]:
    """The body of a PUT or PATCH of a resource, by the name of its model. Raises ArmError 400."""
    complete = call.method == "PUT"
    return schema.read(call.body, schema.resource(name), owner, call.text, call.query["api-version"], complete=complete)


def read_model(call: Call, name: str, owner: str) -> dict[str, Any]:
    """The body of an action, by the name of its model. Raises ArmError 400."""
    return schema.read(call.body, schema.model(name), owner, call.text, call.query["api-version"], complete=True)
