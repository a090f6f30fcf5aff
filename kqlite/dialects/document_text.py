"""Dynamic values as JSON text, made by an expression that follows the shape.

Null members are left out, so a document comes back as it went in. The text of a whole is NULL where the value is.
"""

from collections.abc import Mapping, Sequence
from json import dumps

from kqlite.dialects import sql
from kqlite.language.schema import Array, JsonLeaf, Leaf, Member, Object, Shape
from kqlite.language.types import Type

Hot = Mapping[tuple[str, ...], sql.Expression]
"""The hot leaves of a document, by their path from its root."""

NO_HOT: Hot = {}


def json(value: sql.Expression, shape: Shape, hot: Hot = NO_HOT) -> sql.Expression:
    """The JSON of `value` as DuckDB's type of that name, NULL where it is NULL."""
    if isinstance(shape, JsonLeaf):
        return value
    if isinstance(shape, Array | Object) and _is_native(shape):
        return _native_json(value, shape, hot)
    return sql.Cast(text(value, shape, hot), "JSON")


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


def _native_json(value: sql.Expression, shape: Shape, hot: Hot) -> sql.Expression:
    """What DuckDB writes by itself: five times as fast as an expression for each member."""
    written = sql.call("to_json", _put_together(value, hot) if hot else value)
    if _has_members(shape):
        # Only members are stripped, not elements; and a number is read and written again, which loses no digit of a DOUBLE or BIGINT.
        written = sql.call("json_strip_nulls", written)
    return sql.Case(((sql.IsNull(value, negated=True), written),)) if hot else written


def _is_native(shape: Shape) -> bool:
    """Whether DuckDB can write a value by itself: where there is JSON in it, its numbers must not have more digits than DuckDB keeps."""
    match shape:
        case Leaf():
            return True
        case JsonLeaf():
            return shape.plain
        case Array():
            return _is_native(shape.element)
        case Object():
            return all(_is_native(member.shape) for member in shape.members)


def _put_together(value: sql.Expression, hot: Hot) -> sql.Expression:
    """The struct `value` with its hot leaves in it, where it is not NULL."""
    fields: dict[str, sql.Expression] = {}
    for name in dict.fromkeys(path[0] for path in hot):
        beneath = _beneath(hot, name)
        inner = sql.Field(value, name)
        fields[name] = beneath[()] if () in beneath else sql.Case(((sql.IsNull(inner, negated=True), _put_together(inner, beneath)),))
    return sql.Call("struct_update", (value,), named=tuple(fields.items()))


def _beneath(hot: Hot, name: str) -> Hot:
    """The hot leaves of a member, by their path from there."""
    return {path[1:]: column for path, column in hot.items() if path[0] == name}


def _has_members(shape: Shape) -> bool:
    return isinstance(shape, Object) or (isinstance(shape, Array) and _has_members(shape.element))


def _array_text(value: sql.Expression, shape: Array, depth: int) -> sql.Expression:
    if _is_native(shape.element):
        return sql.Cast(_native_json(value, shape, NO_HOT), "VARCHAR")
    element = sql.Variable(f"e{depth}" if depth else "e")
    inner = sql.call("coalesce", text(element, shape.element, depth=depth + 1), sql.Literal("null"))
    joined = sql.call("array_to_string", sql.call("list_transform", value, sql.Lambda(element.name, inner)), sql.Literal(","))
    return sql.operation("||", sql.Literal("["), joined, sql.Literal("]"))


FEWEST_TOGETHER = 3
"""From how many scalars on one call for all of them is faster than a concatenation for each."""


def _object_text(value: sql.Expression, shape: Object, hot: Hot, depth: int) -> sql.Expression:
    if _is_native(shape):
        return sql.Cast(_native_json(value, shape, hot), "VARCHAR")
    native = [member for member in shape.members if member.held_in is None and not _beneath(hot, member.name) and _is_native(member.shape)]
    together = native if len(native) >= FEWEST_TOGETHER or any(_has_members(member.shape) for member in native) else []
    members = [_members_together(value, together)] if together else []
    for member in shape.members:
        beneath = _beneath(hot, member.name)
        held = beneath.get(()) if member.held_in is not None else sql.Field(value, member.name)
        if held is not None and member not in together:
            key = sql.Literal(f",{key_text(member.name)}")
            members.append(_concatenated(key, text(held, member.shape, beneath, depth=depth)))
    # No CASE around the whole: what stands in a branch is evaluated apart, and again each time it is written.
    closing = sql.Case(((sql.IsNull(value, negated=True), sql.Literal("}")),))
    if not members:
        return sql.operation("||", sql.Literal("{"), closing)
    # Each member brings the comma before it; `concat` skips NULL; the first comma goes.
    body = sql.call("ltrim", sql.call("concat", *members), sql.Literal(","))
    return sql.operation("||", sql.Literal("{"), body, closing)


def _members_together(value: sql.Expression, members: Sequence[Member]) -> sql.Expression:
    """The text of several members without the braces around."""
    struct = sql.Struct(tuple((member.name, sql.Field(value, member.name)) for member in members))
    written = _native_json(struct, Object(tuple(members)), NO_HOT)
    return sql.Template("substring(left({text}, -1), 2)", {"text": sql.Cast(written, "VARCHAR")})


def _concatenated(key: sql.Literal, value: sql.Expression) -> sql.Expression:
    """`key || value`, where a literal at the start of `value` melts into the key."""
    if isinstance(value, sql.Operation) and value.operator == "||" and isinstance(value.operands[0], sql.Literal):
        return sql.Operation("||", (sql.Literal(f"{key.value}{value.operands[0].value}"), *value.operands[1:]))
    return sql.operation("||", key, value)


def key_text(name: str) -> str:
    """A member's name and its colon, as JSON text."""
    return dumps(name, ensure_ascii=False) + ":"
