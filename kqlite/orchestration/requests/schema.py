"""Validates request bodies against shapes: those of Azure's specification, or kqlite's own where the specification says little.

`read` validates a whole body before a handler uses it. Members and words of a choice compare without case and come out in Azure's spelling.
Read-only members are dropped. Each of these is refused, with its path: an unknown member, a value of another type, an unknown word, a
missing required member.

    body  {"LOCATION": "eastus", "id": "/..", "properties": {"priority": "spot"}}
    read  {"location": "eastus", "properties": {"priority": "Spot"}}
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from functools import cache
from math import isfinite
from typing import Any

from kqlite.orchestration import azure_schema
from kqlite.orchestration.errors import (
    content_invalid,
    member_unknown,
    parameter_invalid,
    parameter_missing,
    top_member_unknown,
    value_not_allowed,
)

STR, BOOL, INT, LONG, NUM, OBJECT, READ_ONLY = "str", "bool", "int", "long", "num", "object", "read-only"
NEWEST = "9999-12-31"


@dataclass(slots=True)
class Choice:
    """A choice of words.

    Args:
        known: (word, added_after) by the word in lower case. added_after: the last api-version known not to have the word.
    """

    known: dict[str, tuple[str, str]]

    def allowed(self, version: str) -> list[str]:
        """The words of an api-version."""
        return [word for word, added_after in self.known.values() if added_after < version]


@dataclass(slots=True)
class ListOf:
    """A list.

    Args:
        item: Shape of the items.
        least: The fewest items.
        most: The most items.
    """

    item: Shape
    least: int = 0
    most: int = 1_000_000


@dataclass(slots=True)
class MapOf:
    """An object with any members, whose values have one shape."""

    item: Shape


@dataclass(slots=True)
class Range:
    """A number within bounds."""

    kind: str
    low: float
    high: float


@dataclass(slots=True)
class Member:
    """A member of an object.

    Args:
        name: Its name in Azure's spelling.
        added_after: The last api-version known not to have it; "" if all have it.
    """

    name: str
    shape: Shape
    added_after: str = ""


@dataclass(slots=True)
class Object:
    """An object.

    Args:
        members: The members, by their names in Azure's spelling and by their names in lower case.
        required: The members that a PUT must have.
    """

    members: dict[str, Member] = field(default_factory=dict)
    required: list[Member] = field(default_factory=list)

    def add(self, member: Member, required: bool = False) -> None:
        """Add a member, or replace the member with its name."""
        self.members[member.name] = self.members[member.name.lower()] = member
        if required:
            self.required.append(member)


Shape = str | Choice | ListOf | MapOf | Range | Object


# Azure's shapes

# Members that differ from the specification, in the notation of `table.json`.
_OVERRIDES: dict[str, dict[str, str]] = {
    # The specification has it earlier, for Uniform sets.
    "VirtualMachineScaleSetVM.properties": {"protectionPolicy": "VirtualMachineScaleSetVMProtectionPolicy >2023-07-01"},
}
# kqlite has no virtual networks. A reference to a subnet may name the subnet's NAT gateway and route table instead.
_SUBNETS = (
    "VirtualMachineScaleSetIPConfiguration.properties",
    "VirtualMachineNetworkInterfaceIPConfiguration.properties",
    "NetworkInterfaceIPConfiguration.properties",
)
# Members that every answer has. A client may send an answer back as a body.
_READ_ONLY_MEMBERS = ("id", "name", "type", "etag", "systemData")


@cache
def resource(name: str) -> Object:
    """The shape of a resource's body. name: the model in Azure's specification."""
    found = Object(dict(_object(name).members))
    for shown in _READ_ONLY_MEMBERS:
        found.add(Member(shown, READ_ONLY))
    return found


@cache
def model(name: str) -> Object:
    """The shape of an action's body. name: the model in Azure's specification."""
    return _object(name)


_objects: dict[str, Object] = {}


def _object(name: str) -> Object:
    known = _objects.get(name)
    if known is not None:
        return known
    made = _objects[name] = Object()
    for member, text in (azure_schema.table()["objects"][name] | _OVERRIDES.get(name, {})).items():
        kind, *words = text.split()
        added_after = next((word[1:] for word in words if word[0] == ">"), "")
        limits = {key: float(value) for key, _, value in (word.partition("=") for word in words) if value}
        made.add(Member(member, _shape(kind, limits), added_after), "required" in words)
    if name in _SUBNETS:
        linked = {"id": STR, "natGateway": _object("SubResource"), "routeTable": _object("SubResource")}
        made.add(Member("subnet", shape_of(linked)))
    return made


def _shape(kind: str, limits: dict[str, float]) -> Shape:
    if kind[0] == "[":
        return ListOf(_shape(kind[1:-1], {}), int(limits.get("minItems", 0)), int(limits.get("maxItems", 1_000_000)))
    if kind[0] == "{":
        return MapOf(_shape(kind[1:-1], {}))
    if kind in (INT, LONG, NUM) and limits:
        return Range(kind, limits.get("min", float("-inf")), limits.get("max", float("inf")))
    if kind in (STR, BOOL, INT, LONG, NUM, OBJECT, READ_ONLY):
        return kind
    if kind in ("datetime", "duration"):  # the handler parses the text
        return STR
    words = azure_schema.table()["words"].get(kind)
    return _object(kind) if words is None else _words(kind)


@cache
def _words(name: str) -> Choice:
    known = {}
    for text in azure_schema.table()["words"][name]:
        word, _, added_after = text.partition(" >")
        known[word.lower()] = (word, added_after)
    return Choice(known)


def words_of(name: str) -> Choice:
    """The choice with this name in Azure's specification."""
    return _words(name)


def shape_of(members: dict[str, Any]) -> Object:
    """A shape from plain values: `[shape]` is a list, `(shape,)` a map, a dict an object."""
    made = Object()
    for name, shape in members.items():
        made.add(Member(name, _shape_from(shape)))
    return made


def _shape_from(shape: Any) -> Shape:
    if isinstance(shape, dict):
        return shape_of(shape)
    if isinstance(shape, list):
        return ListOf(_shape_from(shape[0]))
    if isinstance(shape, tuple):
        return MapOf(_shape_from(shape[0]))
    return shape  # type: ignore[no-any-return]


# Reading


def read(body: Any, shape: Object, owner: str, text: str | None = None, version: str = NEWEST, *, complete: bool = False) -> dict[str, Any]:
    """Validate a body and return it in Azure's spelling.

    Args:
        body: The parsed body.
        shape: Its shape.
        owner: How errors name the resource, such as "vmss" or "vm".
        text: The body as it was sent, for positions in errors.
        version: The request's api-version. Later members are unknown to it.
        complete: Whether required members must be there, as in a PUT.

    Raises:
        ArmError: 400, for an unknown member, a value of another type, an unknown word, or a missing required member.
    """
    if not isinstance(body, dict):
        raise content_invalid("the body must be a JSON object")
    return _Reader(owner, text, body, version, complete).object(body, shape, "")


class _Reader:
    def __init__(self, owner: str, text: str | None, body: dict[str, Any], version: str, complete: bool) -> None:
        self._owner = owner
        self._version = version
        self._complete = complete
        self._text = text
        self._body = body

    def value(self, value: Any, shape: Shape, path: str) -> Any:
        if type(shape) is str:
            return self._scalar(value, shape, path)
        if type(shape) is Object:
            return self.object(value, shape, path)
        if type(shape) is Choice:
            return self._word(value, shape, path)
        if type(shape) is ListOf:
            return self._list(value, shape, path)
        if type(shape) is Range:
            number = self._scalar(value, shape.kind, path)
            if not shape.low <= number <= shape.high:
                raise parameter_invalid(_target(path))
            return number
        assert type(shape) is MapOf
        if type(value) is not dict:
            raise self._wrong(path, "object", value)
        return {key: "" if item is None else self.value(item, shape.item, f"{path}.{key}") for key, item in value.items()}

    def object(self, value: Any, shape: Object, path: str) -> dict[str, Any]:
        if type(value) is not dict:
            raise self._wrong(path, "object", value)
        members = shape.members
        found: dict[str, Any] = {}
        for key, item in value.items():
            member = members.get(key) or members.get(key.lower())
            if member is None or (member.added_after and member.added_after >= self._version):
                raise self._unknown(path, key)
            if item is not None and member.shape != READ_ONLY:
                found[member.name] = self.value(item, member.shape, f"{path}.{member.name}" if path else member.name)
        if self._complete and shape.required:
            for member in shape.required:
                if member.name not in found and member.added_after < self._version:
                    raise parameter_missing(_short(path, member.name))
        return found

    def _list(self, value: Any, shape: ListOf, path: str) -> list[Any]:
        if type(value) is not list:
            raise self._wrong(path, "array", value)
        if None in value:
            raise self._wrong(f"{path}[{value.index(None)}]", _name_of(shape.item), None)
        if not shape.least <= len(value) <= shape.most:
            raise parameter_invalid(_target(path))
        return [self.value(item, shape.item, f"{path}[{at}]") for at, item in enumerate(value)]

    def _word(self, value: Any, shape: Choice, path: str) -> str:
        text = self._scalar(value, STR, path)
        word, added_after = shape.known.get(text.lower(), ("", NEWEST))
        if added_after and added_after >= self._version:
            raise value_not_allowed(text, _target(path), shape.allowed(self._version))
        return word

    def _scalar(self, value: Any, shape: str, path: str) -> Any:
        # The service's deserializer accepts a number as text ("2") and text as a number. A fraction is never an integer.
        if shape == STR:
            if type(value) is str:
                return value
            if type(value) in (int, float):
                return str(value)
        elif shape == BOOL:
            if type(value) is bool:
                return value
            if type(value) is str and value.lower() in ("true", "false"):
                return value.lower() == "true"
        elif shape == OBJECT:  # an object that the specification leaves open
            if type(value) is dict:
                return value
        else:
            return self._number(value, shape, path)
        raise self._wrong(path, _NAMES[shape], value)

    def _number(self, value: Any, shape: str, path: str) -> float:
        if type(value) is str and len(value) < 400 and re.fullmatch(r"-?[0-9]+(\.[0-9]+)?", value):
            value = float(value) if "." in value else int(value)
        if shape != NUM and type(value) is float and value.is_integer():
            value = int(value)
        if type(value) is int:
            bits = _BITS[shape]
            if not -(2**bits) <= value < 2**bits:
                kind = "double" if shape == NUM else f"Int{bits + 1}"
                raise content_invalid(f"JSON integer {value} is too large or small for an {kind}. Path '{path}', line 1.")
            return value
        if shape == NUM and type(value) is float and isfinite(value):
            return value
        raise self._wrong(path, _NAMES[shape], value)

    def _unknown(self, path: str, key: str) -> Exception:
        if not path and self._owner in _RESOURCES:
            return top_member_unknown(key, self._position(key))
        return member_unknown(self._owner, f"{path}.{key}" if path else key, key, self._position(key))

    def _wrong(self, path: str, wanted: str, value: Any) -> Exception:
        return content_invalid(f"Error converting value {json.dumps(value)} to type {wanted}. Path {path or '(root)'}, line 1.")

    def _position(self, key: str) -> int:
        text = self._text if self._text is not None else json.dumps(self._body)
        at = text.find(json.dumps(key))
        return at + len(key) + 3 if at >= 0 else 0


_NAMES = {STR: "string", BOOL: "boolean", INT: "integer", LONG: "integer", NUM: "number", OBJECT: "object"}
_BITS = {INT: 31, LONG: 63, NUM: 1_000}
# Resource Manager reads the members outside `properties` and words errors differently from the provider.
_RESOURCES = ("vm", "vmss", "disks", "networkInterfaces", "publicIPAddresses", "loadBalancers", "proximityPlacementGroups")


def _name_of(shape: Shape) -> str:
    if isinstance(shape, (Choice, Range)):
        return "string" if isinstance(shape, Choice) else _NAMES[shape.kind]
    if isinstance(shape, str):
        return _NAMES[shape]
    return "array" if isinstance(shape, ListOf) else "object"


def _target(path: str) -> str:
    """The parameter in an error: the path without `properties.`."""
    return path.removeprefix("properties.")


def _short(path: str, name: str) -> str:
    """The name of a missing parameter in Compute's errors: alone below a profile, else with its parent, as in `dataDisk.lun`."""
    owner = re.sub(r"\[\d+\]$", "", path.removesuffix(".properties").rpartition(".")[2])
    if owner.endswith(("Profile", "properties")) or not owner:
        return name
    singular = owner[:-1] if path.endswith("]") and owner.endswith("s") else owner
    return f"{singular}.{name}"


def merged(base: Any, patch: Any) -> Any:
    """Merge `patch` into `base`: objects are merged, other values are replaced."""
    if isinstance(base, dict) and isinstance(patch, dict):
        return {**base, **{key: merged(base.get(key), value) for key, value in patch.items()}}
    return patch
