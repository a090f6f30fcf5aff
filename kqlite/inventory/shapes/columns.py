"""Values of a known shape to Arrow arrays, a path at a time, so that the loops run in C.

pyarrow itself would take lists of dicts, but is slower, and like this module it trusts the shape: members that it does not have are
dropped, and 1.5 becomes 1 where whole numbers are asked for. So `shapes.widen` must have seen every value before.
"""

from collections.abc import Callable, Mapping, Sequence
from itertools import accumulate, chain, repeat
from typing import TYPE_CHECKING

from kqlite.inventory.shapes.documents import Value, ordered
from kqlite.inventory.shapes.shapes import arrow_type, struct_members
from kqlite.language.schema import Array, JsonLeaf, Leaf, Object, Shape

if TYPE_CHECKING:
    import pyarrow as pa

_Builder = Callable[[Sequence[Value], "dict[str, pa.Array]"], "pa.Array"]
"""Makes the array of some values, and puts those of hot leaves under their columns' names."""

_ABSENT: dict[str, Value] = {}


class ColumnBuilder:
    """Makes the physical columns of a dynamic column: its own, and those of the hot leaves that its shape holds beside."""

    def __init__(self, column: str, shape: Shape) -> None:
        self._column = column
        self._builder = _builder(shape)

    def build(self, values: Sequence[Value]) -> "dict[str, pa.Array]":
        """The arrays by the name of the physical column."""
        arrays: dict[str, pa.Array] = {}
        arrays[self._column] = self._builder(values, arrays)
        return arrays


def array_of(values: Sequence[Value], shape: Shape) -> "pa.Array":
    """The values as an array of `arrow_type(shape)`; hot leaves are left out."""
    return _builder(shape)(values, {})


def _builder(shape: Shape) -> _Builder:
    match shape:
        case Leaf():
            return _leaf_builder(shape)
        case JsonLeaf():
            return _json_array
        case Array():
            return _list_builder(shape)
        case Object():
            return _struct_builder(shape)


def _leaf_builder(shape: Leaf) -> _Builder:
    import pyarrow as pa

    type_ = arrow_type(shape)
    return lambda values, _: pa.array(values, type_)


def _json_array(values: Sequence[Value], _: "dict[str, pa.Array]") -> "pa.Array":
    import pyarrow as pa

    return pa.array([None if value is None else ordered(value) for value in values], pa.string())


def _list_builder(shape: Array) -> _Builder:
    import pyarrow as pa

    type_, offsets_type = arrow_type(shape), pa.int32()
    build_element = _builder(shape.element)

    def build(values: Sequence[Value], hot: "dict[str, pa.Array]") -> "pa.Array":
        validity = validity_of(values)
        lists = values if validity is None else [value or () for value in values]
        elements = build_element(list(chain.from_iterable(lists)), hot)
        offsets = pa.array(accumulate(map(len, lists), initial=0), offsets_type)
        return pa.Array.from_buffers(type_, len(values), [validity, offsets.buffers()[1]], children=[elements])

    return build


def _struct_builder(shape: Object) -> _Builder:
    import pyarrow as pa

    fields = list(arrow_type(shape))
    own = [(member.name, _builder(member.shape)) for member in struct_members(shape)]
    held = [(member.name, member.held_in, _builder(member.shape)) for member in shape.members if member.held_in is not None]

    def build(values: Sequence[Value], hot: "dict[str, pa.Array]") -> "pa.Array":
        validity = validity_of(values)
        columns = columns_of_objects(values if validity is None else [_ABSENT if value is None else value for value in values])
        nothing = (None,) * len(values)
        for name, column, build_member in held:
            hot[column] = build_member(columns.get(name, nothing), hot)
        arrays = [build_member(columns.get(name, nothing), hot) for name, build_member in own]
        members = arrays or [pa.nulls(len(values), fields[0].type)]
        return pa.Array.from_buffers(pa.struct(fields), len(values), [validity], children=members)

    return build


def columns_of_objects(objects: Sequence[dict[str, Value]]) -> Mapping[str, Sequence[Value]]:
    """For each name that an object has, the members of that name, None where an object has none."""
    orders = set(map(tuple, objects))
    if len(orders) == 1:
        [names] = orders
        return dict(zip(names, zip(*map(dict.values, objects), strict=True), strict=True))
    return {name: list(map(dict.get, objects, repeat(name))) for name in dict.fromkeys(chain.from_iterable(objects))}


def validity_of(values: Sequence[Value]) -> "pa.Buffer | None":
    """The bitmap of which values are there, or None where all are.

    Arrays are put together from buffers: `from_arrays(.., mask=)` loads pyarrow.compute, which takes 15 ms.
    """
    import pyarrow as pa

    if None not in values:
        return None
    return pa.array([value is not None for value in values], pa.bool_()).buffers()[1]


def marked_array(array: "pa.Array", shape: Shape) -> "pa.Array":
    """An array of `array_of` with its JSON leaves as `arrow.json`, so that they are not taken for texts."""
    import pyarrow as pa

    match shape:
        case JsonLeaf():
            return pa.ExtensionArray.from_storage(pa.json_(), array)
        case Leaf():
            return array
        case Array():
            elements = marked_array(array.values, shape.element)
            return pa.Array.from_buffers(pa.list_(elements.type), len(array), array.buffers()[:2], children=[elements])
        case Object():
            members = struct_members(shape)
            arrays = [marked_array(array.field(member.name), member.shape) for member in members]
            fields = [pa.field(member.name, inner.type) for member, inner in zip(members, arrays, strict=True)]
            return pa.Array.from_buffers(pa.struct(fields), len(array), array.buffers()[:1], children=arrays) if members else array
