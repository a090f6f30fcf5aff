"""Dynamic values as JSON text, made by an expression that follows the shape.

Null members are left out, so a document comes back as it went in. The text of a whole is NULL where the value is.
"""

import json
from collections.abc import Mapping

from kqlite.dialects import sql
from kqlite.language.schema import Array, JsonLeaf, Leaf, Object, Shape
from kqlite.language.types import Type

Hot = Mapping[tuple[str, ...], sql.Expression]
"""The hot leaves of a document, by their path from its root."""

NO_HOT: Hot = {}


def text(value: sql.Expression, shape: Shape, hot: Hot = NO_HOT, *, depth: int = 0) -> sql.Expression:
    """The JSON text of `value`, NULL where it is NULL."""
    match shape:
        case JsonLeaf():
            return value
        case Leaf():
            return leaf_text(value, shape)
        case Array():
            return _array_text(value, shape, depth)
        case Object():
            return _object_text(value, shape, hot, depth)


def leaf_text(value: sql.Expression, leaf: Leaf) -> sql.Expression:
    """The JSON text of a scalar."""
    if leaf.type is Type.STRING and leaf.plain:
        return sql.operation("||", sql.Literal('"'), value, sql.Literal('"'))
    if leaf.type in (Type.LONG, Type.BOOL):
        return sql.Cast(value, "VARCHAR")
    return sql.Cast(sql.call("to_json", value), "VARCHAR")


def _array_text(value: sql.Expression, shape: Array, depth: int) -> sql.Expression:
    if _is_its_own_json(shape.element):
        # One call for the whole list, and twice as fast as one for each element.
        return sql.Cast(sql.call("to_json", value), "VARCHAR")
    element = sql.Variable(f"e{depth}" if depth else "e")
    inner = sql.call("coalesce", text(element, shape.element, depth=depth + 1), sql.Literal("null"))
    joined = sql.call("array_to_string", sql.call("list_transform", value, sql.Lambda(element.name, inner)), sql.Literal(","))
    return sql.operation("||", sql.Literal("["), joined, sql.Literal("]"))


def _is_its_own_json(shape: Shape) -> bool:
    """Whether DuckDB's `to_json` gives the text: it writes null members out, so objects are ours to write."""
    match shape:
        case Leaf() | JsonLeaf():
            return True
        case Array():
            return _is_its_own_json(shape.element)
        case Object():
            return False


def _object_text(value: sql.Expression, shape: Object, hot: Hot, depth: int) -> sql.Expression:
    members = []
    for member in shape.members:
        beneath = {path[1:]: column for path, column in hot.items() if path[0] == member.name}
        held = beneath.get(()) if member.held_in is not None else sql.Field(value, member.name)
        if held is None:
            continue
        member_text = text(held, member.shape, beneath, depth=depth)
        members.append(_concatenated(sql.Literal(key_text(member.name)), member_text))
    if not members:
        body: sql.Expression = sql.Literal("{}")
    else:
        joined = members[0] if len(members) == 1 else sql.call("concat_ws", sql.Literal(","), *members)
        if len(members) == 1:
            joined = sql.call("coalesce", joined, sql.Literal(""))
        body = sql.operation("||", sql.Literal("{"), joined, sql.Literal("}"))
    return sql.Case(((sql.IsNull(value, negated=True), body),))


def _concatenated(key: sql.Literal, value: sql.Expression) -> sql.Expression:
    """`key || value`, where a literal at the start of `value` melts into the key."""
    if isinstance(value, sql.Operation) and value.operator == "||" and isinstance(value.operands[0], sql.Literal):
        return sql.Operation("||", (sql.Literal(f"{key.value}{value.operands[0].value}"), *value.operands[1:]))
    return sql.operation("||", key, value)


def key_text(name: str) -> str:
    """A member's name and its colon, as JSON text."""
    return json.dumps(name, ensure_ascii=False) + ":"
