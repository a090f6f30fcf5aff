"""Reads request bodies with the shapes of Azure's specification."""

from __future__ import annotations

from typing import Any

from kqlite.orchestration.requests import schema
from kqlite.orchestration.requests.call import Call


def read_resource(call: Call, name: str, owner: str) -> dict[str, Any]:
    """The body of a PUT or PATCH.

    Args:
        name: Name of the resource's model in Azure's specification.
        owner: How errors name the resource, as `schema.read` takes it.

    Raises:
        ArmError: 400, for an invalid body.
    """
    complete = call.method == "PUT"
    return schema.read(call.body, schema.resource(name), owner, call.text, call.query["api-version"], complete=complete)


def read_model(call: Call, name: str, owner: str) -> dict[str, Any]:
    """The body of an action. Arguments and errors as for `read_resource`."""
    return schema.read(call.body, schema.model(name), owner, call.text, call.query["api-version"], complete=True)
