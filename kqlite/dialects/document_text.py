"""Dynamic values as JSON text, made by an expression that follows the shape.

Null members are left out, so a document comes back as it went in. The text of a whole is NULL where the value is.

Equal documents have equal text, wherever they are held: it is compact, and the members of each object stand in the order of their names,
by code point. (Kusto calls bags unordered. A shaped partition does not know in which order a document came, so that order cannot be kept.)
Of a shape the expression writes them so, which costs nothing when it runs. JSON in the store was ordered when it was written
(`JsonLeaf.ordered`). Other JSON, such as that of `parse_json`, is put in order where its text is asked for and nowhere else, for that takes
ten times as long as reading it.
"""

from collections.abc import Mapping, Sequence
from itertools import groupby
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
            return value if shape.ordered else ordered(value)
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


_TOO_LARGE = r"[:,\[]\s*-?[0-9.]*(?:[eE][+]?[0-9]{3}|[0-9]{20})"
"""Begins a number in JSON that a VARIANT would round, or make infinite."""


def ordered(json_: sql.Expression) -> sql.Expression:
    """Any JSON as compact JSON in the order of names: a VARIANT keeps the members of an object so, at every depth."""
    template = (
        "CASE WHEN contains({json}, '{') AND NOT regexp_matches({json}, {large})"
        " THEN CAST(CAST({json} AS VARIANT) AS JSON) ELSE json_extract({json}, '$') END"
    )
    return sql.Template(template, {"json": json_, "large": sql.Literal(_TOO_LARGE)})


def _native_json(value: sql.Expression, shape: Shape, hot: Hot, depth: int = 0) -> sql.Expression:
    """What DuckDB writes by itself: five times as fast as an expression for each member."""
    in_order = not hot and _is_in_order(shape)
    written = sql.call("to_json", value if in_order else _in_order(value, shape, hot, depth))
    if _has_members(shape):
        # Only members are stripped, not elements; and a number is read and written again, which loses no digit of a DOUBLE or BIGINT.
        written = sql.call("json_strip_nulls", written)
    return written


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


def _is_in_order(shape: Shape) -> bool:
    """Whether the fields of a value, which are as its shape lists them, stand in the order of their names."""
    match shape:
        case Array():
            return _is_in_order(shape.element)
        case Object():
            names = [member.name for member in shape.members]
            return names == sorted(names) and all(_is_in_order(member.shape) for member in shape.members)
        case _:
            return True


def _in_order(value: sql.Expression, shape: Shape, hot: Hot, depth: int) -> sql.Expression:
    """The value with its hot leaves in it and its fields in the order of their names, which costs nothing: fields are moved, not copied."""
    if not hot and _is_in_order(shape):
        return value
    match shape:
        case Array():
            element = _element(depth)
            return sql.call("list_transform", value, sql.Lambda(element.name, _in_order(element, shape.element, NO_HOT, depth + 1)))
        case Object():
            found = [(member.name, _field_in_order(value, member, hot, depth)) for member in _sorted(shape)]
            fields = tuple((name, field) for name, field in found if field is not None)
            return sql.Case(((sql.IsNull(value, negated=True), sql.Struct(fields)),)) if fields else value
        case _:
            return value


def _field_in_order(value: sql.Expression, member: Member, hot: Hot, depth: int) -> sql.Expression | None:
    """None for a leaf that is held beside, and not at hand."""
    beneath = _beneath(hot, member.name)
    if member.held_in is not None:
        return beneath.get(())
    return _in_order(sql.Field(value, member.name), member.shape, beneath, depth)


def _sorted(shape: Object) -> list[Member]:
    return sorted(shape.members, key=lambda member: member.name)


def _element(depth: int) -> sql.Variable:
    return sql.Variable(f"e{depth}" if depth else "e")


def _beneath(hot: Hot, name: str) -> Hot:
    """The hot leaves of a member, by their path from there."""
    return {path[1:]: column for path, column in hot.items() if path[0] == name}


def _has_members(shape: Shape) -> bool:
    return isinstance(shape, Object) or (isinstance(shape, Array) and _has_members(shape.element))


def _array_text(value: sql.Expression, shape: Array, depth: int) -> sql.Expression:
    if _is_native(shape.element):
        return sql.Cast(_native_json(value, shape, NO_HOT, depth), "VARCHAR")
    element = _element(depth)
    inner = sql.call("coalesce", text(element, shape.element, depth=depth + 1), sql.Literal("null"))
    joined = sql.call("array_to_string", sql.call("list_transform", value, sql.Lambda(element.name, inner)), sql.Literal(","))
    return sql.operation("||", sql.Literal("["), joined, sql.Literal("]"))


FEWEST_TOGETHER = 3
"""From how many scalars on one call for all of them is faster than a concatenation for each."""


def _object_text(value: sql.Expression, shape: Object, hot: Hot, depth: int) -> sql.Expression:
    if _is_native(shape):
        return sql.Cast(_native_json(value, shape, hot, depth), "VARCHAR")
    members: list[sql.Expression] = []
    for native, run in groupby(_sorted(shape), lambda member: _is_native_field(member, hot)):
        neighbours = list(run)
        if native and (len(neighbours) >= FEWEST_TOGETHER or any(_has_members(member.shape) for member in neighbours)):
            members.append(_members_together(value, neighbours, depth))
        else:
            members += [text_ for member in neighbours if (text_ := _member_text(value, member, hot, depth)) is not None]
    # No CASE around the whole: what stands in a branch is evaluated apart, and again each time it is written.
    closing = sql.Case(((sql.IsNull(value, negated=True), sql.Literal("}")),))
    if not members:
        return sql.operation("||", sql.Literal("{"), closing)
    # Each member brings the comma before it; `concat` skips NULL; the first comma goes.
    body = sql.call("ltrim", sql.call("concat", *members), sql.Literal(","))
    return sql.operation("||", sql.Literal("{"), body, closing)


def _is_native_field(member: Member, hot: Hot) -> bool:
    """Whether a member is all in the object's own struct, and DuckDB can write it by itself."""
    return member.held_in is None and not _beneath(hot, member.name) and _is_native(member.shape)


def _member_text(value: sql.Expression, member: Member, hot: Hot, depth: int) -> sql.Expression | None:
    """The text of a member, with a comma before it; None for a leaf that is held beside, and not at hand."""
    beneath = _beneath(hot, member.name)
    held = beneath.get(()) if member.held_in is not None else sql.Field(value, member.name)
    if held is None:
        return None
    return _concatenated(sql.Literal(f",{key_text(member.name)}"), text(held, member.shape, beneath, depth=depth))


def _members_together(value: sql.Expression, members: Sequence[Member], depth: int) -> sql.Expression:
    """The text of several members, with a comma before it; NULL where all of them are null."""
    fields = ((member.name, _in_order(sql.Field(value, member.name), member.shape, NO_HOT, depth)) for member in members)
    written = sql.call("json_strip_nulls", sql.call("to_json", sql.Struct(tuple(fields))))
    return sql.Template("',' || nullif(substring(left({text}, -1), 2), '')", {"text": sql.Cast(written, "VARCHAR")})


def _concatenated(key: sql.Literal, value: sql.Expression) -> sql.Expression:
    """`key || value`, where a literal at the start of `value` melts into the key."""
    if isinstance(value, sql.Operation) and value.operator == "||" and isinstance(value.operands[0], sql.Literal):
        return sql.Operation("||", (sql.Literal(f"{key.value}{value.operands[0].value}"), *value.operands[1:]))
    return sql.operation("||", key, value)


def key_text(name: str) -> str:
    """A member's name and its colon, as JSON text."""
    return dumps(name, ensure_ascii=False) + ":"
