"""SQL that brings values from one shape to a wider one, or to JSON text, without loss."""

from collections.abc import Callable

from kqlite.inventory.shapes.documents import encode
from kqlite.inventory.shapes.resource_tables import KEY_COLUMN, SEQUENCE_COLUMN
from kqlite.inventory.shapes.shapes import EMPTY_FIELD, duckdb_type, struct_members
from kqlite.inventory.shapes.sql_text import identifier, literal
from kqlite.language.schema import Array, JsonLeaf, Leaf, Member, Object, Partition, Shape
from kqlite.language.types import Type

Access = Callable[[Member], str]


def selections(old: Partition, new: Partition, physical: dict[str, str]) -> str:
    """The select list that gives all physical columns of `new` from the table of `old`, whose shapes `new` covers.

    physical: the columns of `new` and their types, as `batches.columns_of` gives them.
    """
    made: dict[str, str] = {}
    for column, shape in new.shapes.items():
        was = old.shapes.get(column)
        if was is None:
            continue
        made[column] = reshaped(identifier(column), was, shape)
        made |= _hot(identifier(column), was, shape)
    kept = {KEY_COLUMN, SEQUENCE_COLUMN, *old.columns} - old.shapes.keys()
    made |= {name: identifier(name) for name in kept}
    return ", ".join(f"{made.get(name, f'CAST(NULL AS {type_})')} AS {identifier(name)}" for name, type_ in physical.items())


def _hot(value: str, old: Shape, new: Shape) -> dict[str, str]:
    """What the hot columns of `new` hold, found in a value of the shape `old`."""
    if not isinstance(new, Object) or not isinstance(old, Object):
        return {}
    found: dict[str, str] = {}
    for member in new.members:
        was = old.member(member.name)
        if was is None:
            continue
        if member.held_in is not None:
            found[member.held_in] = reshaped(_field(value, was), was.shape, member.shape)
        else:
            found |= _hot(_field(value, was), was.shape, member.shape)
    return found


def _field(value: str, member: Member) -> str:
    return identifier(member.held_in) if member.held_in is not None else f"({value}).{identifier(member.name)}"


def reshaped(value: str, old: Shape, new: Shape, depth: int = 0) -> str:
    """SQL for `value`, of the shape `old`, in the shape `new` that covers it; members that `new` holds in hot columns are left out."""
    if duckdb_type(old) == duckdb_type(new):
        return value
    match old, new:
        case _, JsonLeaf():
            return f"CAST({text(value, old, depth)} AS JSON)"
        case Array(), Array():
            element = f"e{depth}"
            return f"list_transform({value}, lambda {element}: {reshaped(element, old.element, new.element, depth + 1)})"
        case Object(), Object():
            return _reshaped_object(value, old, new, depth)
        case _:
            raise AssertionError(f"{new} does not cover {old}")


def _reshaped_object(value: str, old: Object, new: Object, depth: int) -> str:
    fields = []
    for member in struct_members(new):
        was = old.member(member.name)
        given = (
            f"CAST(NULL AS {duckdb_type(member.shape)})" if was is None else reshaped(_field(value, was), was.shape, member.shape, depth)
        )
        fields.append(f"{identifier(member.name)} := {given}")
    listed = ", ".join(fields or [f"{identifier(EMPTY_FIELD)} := CAST(NULL AS BOOLEAN)"])
    return f"CASE WHEN {value} IS NOT NULL THEN struct_pack({listed}) END"


def text(value: str, shape: Shape, depth: int = 0) -> str:
    """SQL for the JSON text of `value`, NULL where it is NULL; objects are written without null members."""
    match shape:
        case JsonLeaf():
            return f"CAST({value} AS VARCHAR)"
        case Leaf():
            return f"CAST({value} AS VARCHAR)" if shape.type in (Type.BOOL, Type.LONG) else f"CAST(to_json({value}) AS VARCHAR)"
        case Array():
            element = f"e{depth}"
            elements = f"list_transform({value}, lambda {element}: coalesce({text(element, shape.element, depth + 1)}, 'null'))"
            return f"CASE WHEN {value} IS NOT NULL THEN '[' || array_to_string({elements}, ',') || ']' END"
        case Object():
            members = [_member_text(value, member, depth) for member in sorted(shape.members, key=lambda member: member.name)]
            return (
                f"CASE WHEN {value} IS NOT NULL THEN '{{' || concat_ws({', '.join([literal(','), *members])}) || '}}' END"
                if members
                else _empty(value)
            )


def _empty(value: str) -> str:
    return f"CASE WHEN {value} IS NOT NULL THEN '{{}}' END"


def _member_text(value: str, member: Member, depth: int) -> str:
    return f"{literal(encode(member.name) + ':')} || {text(_field(value, member), member.shape, depth)}"
