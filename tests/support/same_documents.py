"""When documents are the same: in any order of members, with null members or without; 1, 1.0 and true are three things."""

from collections.abc import Iterable, Mapping
from typing import Any

from kqlite.inventory.shapes.documents import encode


def exact(document: Mapping[str, Any]) -> str:
    """A text that is equal for the same rows; an empty string is an absent one."""
    return encode(_ordered({name: value for name, value in document.items() if value != ""}))


def _ordered(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _ordered(member) for name, member in sorted(value.items()) if member is not None}
    return list(map(_ordered, value)) if isinstance(value, list) else value


def by_id(documents: Iterable[Mapping[str, Any]]) -> dict[str, str]:
    return {document["id"]: exact(document) for document in documents}
