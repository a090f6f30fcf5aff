"""Widening: how the partition of a large table comes to cover new documents, without a new table.

A new column costs milliseconds. A new field in the struct of `properties` costs seconds, because DuckDB writes the whole struct anew. So a
large table holds a new member in a column of its own, beside the struct, as it holds hot leaves. Where that is impossible (in the elements
of an array, or where a field turns to JSON), the table is altered, or made anew.

An example of three batches, for a table whose documents had only `properties.size`:

| step | struct `properties` | columns beside it | cost |
|---|---|---|---|
| before | size VARCHAR | | |
| a batch has `spot: true` | size VARCHAR | `_hot_properties_spot` BOOLEAN | one ADD COLUMN |
| a batch has `size: 3` | size JSON, spot BOOLEAN | | a new table |
| a batch has `zone: "1"` | size JSON, spot BOOLEAN | `_hot_properties_zone` VARCHAR | one ADD COLUMN |
| `Store.cluster` | size JSON, spot BOOLEAN, zone VARCHAR | | part of the new table that clustering writes |
"""

from collections.abc import Iterator, Mapping, Sequence

from kqlite.inventory.shapes.batches import partition
from kqlite.inventory.shapes.resource_tables import HOT_LEAVES
from kqlite.inventory.shapes.shapes import EMPTY_FIELD, duckdb_type, hold, hot_column, join, separate_members, struct_members, whole
from kqlite.inventory.shapes.sql_text import identifier
from kqlite.inventory.store.casts import reshaped
from kqlite.language.schema import Array, JsonLeaf, Leaf, Member, Object, Partition, Shape

_Path = tuple[str, ...]
_Places = Mapping[_Path, str]
"""The column in which the member at a path is held; a path begins with the dynamic column."""

MOST_REWRITTEN = 1
"""So many alterations that write a whole struct anew are quicker than a new table."""

_LARGEST = "properties"
"""The column whose conversion takes as long as a new table."""


def covering(old: Partition, shapes: Mapping[str, Shape], types: frozenset[str], resource_type: str | None) -> Partition:
    """The partition that covers what there is and what comes, for a new table.

    resource_type: folded; None where types share the partition.
    """
    held = hold(_joined(old, shapes), HOT_LEAVES.get(resource_type or "", ()))
    return partition(old.source, held, (old.types or frozenset()) | types)


def covering_in_place(old: Partition, shapes: Mapping[str, Shape], types: frozenset[str], resource_type: str | None) -> Partition:
    """The same for the table that there is: what is held beside a struct stays there, and what is new comes there."""
    joined = _joined(old, shapes)
    hot = {tuple(path.split(".")): hot_column(path) for path in HOT_LEAVES.get(resource_type or "", ())}
    places = _places(old)
    places |= _new_places(old, joined, hot, places)
    placed = {column: _placed(shape, (column,), places, hot) for column, shape in joined.items()}
    return partition(old.source, placed, (old.types or frozenset()) | types)


def _joined(old: Partition, shapes: Mapping[str, Shape]) -> dict[str, Shape]:
    """The shapes that cover both, with nothing held beside."""
    joined: dict[str, Shape] = {}
    for column in dict.fromkeys((*old.shapes, *shapes)):
        shape = join(old.shapes.get(column), shapes.get(column))
        assert shape is not None
        joined[column] = whole(shape)
    return joined


def _places(part: Partition) -> dict[_Path, str]:
    return {
        (column, *path): member.held_in
        for column, shape in part.shapes.items()
        for path, member in separate_members(shape)
        if member.held_in is not None
    }


def _new_places(old: Partition, joined: Mapping[str, Shape], hot: _Places, taken: _Places) -> dict[_Path, str]:
    names = {column.lower() for column in (*taken.values(), *hot.values())}
    places: dict[_Path, str] = {}
    for column, shape in old.shapes.items():
        for path in _new_members((column,), shape, joined[column]):
            # What is held beside holds nothing beside it in turn.
            if path in hot or any(leaf[: len(path)] == path for leaf in hot):
                continue
            name = plain = hot_column(".".join(path))
            number = 1
            while name.lower() in names:
                number += 1
                name = f"{plain}_{number}"
            names.add(name.lower())
            places[path] = name
    return places


def _new_members(path: _Path, old: Shape, new: Shape) -> Iterator[_Path]:
    """The paths of members that only the new shape has, as far as all above them are objects in their own structs."""
    if isinstance(old, Object) and isinstance(new, Object):
        for member in new.members:
            was = old.member(member.name)
            if was is None:
                yield (*path, member.name)
            elif was.held_in is None:
                yield from _new_members((*path, member.name), was.shape, member.shape)


def _placed(shape: Shape, path: _Path, places: _Places, hot: _Places) -> Shape:
    if not isinstance(shape, Object):
        return shape
    return Object(tuple(_placed_member(member, (*path, member.name), places, hot) for member in shape.members))


def _placed_member(member: Member, path: _Path, places: _Places, hot: _Places) -> Member:
    if path in places:
        return Member(member.name, member.shape, places[path])
    if path in hot and isinstance(member.shape, Leaf | JsonLeaf):
        return Member(member.name, member.shape, hot[path])
    return Member(member.name, _placed(member.shape, path, places, hot))


def alterations(old: Partition, new: Partition) -> list[str] | None:
    """The statements that make the table of `old` one of `new`, or None where a new table is called for."""
    statements: list[str] = []
    rewritten = 0
    for column, shape in new.shapes.items():
        was = old.shapes.get(column)
        if was is None:
            statements.append(_added([column], shape))
            statements += [_added([member.held_in], member.shape) for _, member in separate_members(shape) if member.held_in is not None]
            continue
        grown = _grown([column], was, shape)
        beside = _grown_beside(column, was, shape)
        if grown is None and column != _LARGEST and not (separate_members(was) or separate_members(shape)):
            value = identifier(column)
            grown = [f"ALTER COLUMN {value} SET DATA TYPE {duckdb_type(shape)} USING {reshaped(value, was, shape)}"]
        if grown is None or beside is None:
            return None
        rewritten += len(grown) if column == _LARGEST else 0
        statements += grown + beside
    if rewritten > MOST_REWRITTEN:
        return None
    return [f"ALTER TABLE {identifier(old.source)} {statement}" for statement in statements]


def _added(path: Sequence[str], shape: Shape) -> str:
    return f"ADD COLUMN {'.'.join(map(identifier, path))} {duckdb_type(shape)}"


def _grown(path: list[str], old: Shape, new: Shape) -> list[str] | None:
    """What adds to the column, field or element at `path` the members that it lacks; None where that is not enough."""
    if duckdb_type(old) == duckdb_type(new):
        return []
    match old, new:
        case Array(), Array():
            return _grown([*path, "element"], old.element, new.element)
        case Object(), Object():
            return _grown_object(path, old, new)
        case _:
            return None


def _grown_object(path: list[str], old: Object, new: Object) -> list[str] | None:
    before, after = {member.name: member for member in struct_members(old)}, {member.name: member for member in struct_members(new)}
    if not before.keys() <= after.keys():
        return None
    statements: list[str] = []
    for name, member in after.items():
        if name in before:
            grown = _grown([*path, name], before[name].shape, member.shape)
            if grown is None:
                return None
            statements += grown
        elif old.member(name) is not None:
            return None
        else:
            statements.append(_added([*path, name], member.shape))
    if not before:
        statements.append(f"DROP COLUMN {'.'.join(map(identifier, [*path, EMPTY_FIELD]))}")
    return statements


def _grown_beside(column: str, old: Shape, new: Shape) -> list[str] | None:
    """What makes the columns beside `column` those of the new shape; None where one holds what the struct held, or the other way."""
    before = {member.held_in: (path, member.shape) for path, member in separate_members(old)}
    after = {member.held_in: (path, member.shape) for path, member in separate_members(new)}
    if not before.keys() <= after.keys():
        return None
    statements: list[str] = []
    for name, (path, shape) in after.items():
        assert name is not None
        if name in before:
            was = before[name][1]
            if duckdb_type(was) != duckdb_type(shape):
                value = identifier(name)
                statements.append(f"ALTER COLUMN {value} SET DATA TYPE {duckdb_type(shape)} USING {reshaped(value, was, shape)}")
        elif _has(old, path):
            return None
        else:
            statements.append(_added([name], shape))
    return statements


def _has(shape: Shape, path: _Path) -> bool:
    for name in path:
        member = shape.member(name) if isinstance(shape, Object) else None
        if member is None:
            return False
        shape = member.shape
    return True
