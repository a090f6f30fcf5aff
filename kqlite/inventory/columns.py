"""Values of a known shape to Arrow arrays, a path at a time, so that the loops run in C.

pyarrow itself would take lists of dicts, but is slower, and like this module it trusts the shape: members that it does not have are
dropped, and 1.5 becomes 1 where whole numbers are asked for. So `shapes.widen` must have seen every value before.
"""

from collections.abc import Iterator, Sequence
from itertools import accumulate, chain
from typing import TYPE_CHECKING

from kqlite.inventory.documents import Value, encode
from kqlite.inventory.shapes import EMPTY_MARK, arrow_type, columns, own_members
from kqlite.language.schema import Array, JsonLeaf, Leaf, Object, Shape

if TYPE_CHECKING:
    import pyarrow as pa

_ABSENT: dict[str, Value] = {}


def arrays_of(values: Sequence[Value], shape: Shape, column: str) -> "Iterator[tuple[str, pa.Array]]":
    """The physical columns of a dynamic column: first those of the hot leaves that its shape holds beside, then its own."""
    hot: dict[str, pa.Array] = {}
    own = _array(values, shape, hot)
    yield column, own
    yield from hot.items()


def array_of(values: Sequence[Value], shape: Shape) -> "pa.Array":
    """The values as an array of `arrow_type(shape)`; hot leaves are left out."""
    return _array(values, shape, {})


def _array(values: Sequence[Value], shape: Shape, hot: "dict[str, pa.Array]") -> "pa.Array":
    import pyarrow as pa

    match shape:
        case Leaf():
            return pa.array(values, arrow_type(shape))
        case JsonLeaf():
            return pa.array([None if value is None else encode(value) for value in values], pa.string())
        case Array():
            return _list_array(values, shape, hot)
        case Object():
            return _struct_array(values, shape, hot)


def _list_array(values: Sequence[Value], shape: Array, hot: "dict[str, pa.Array]") -> "pa.Array":
    import pyarrow as pa

    absent = _absent(values)
    lists = values if absent is None else [value or () for value in values]
    elements = _array(list(chain.from_iterable(lists)), shape.element, hot)
    offsets = pa.array(accumulate(map(len, lists), initial=0), pa.int32())
    return pa.ListArray.from_arrays(offsets, elements, type=arrow_type(shape), mask=absent)


def _struct_array(values: Sequence[Value], shape: Object, hot: "dict[str, pa.Array]") -> "pa.Array":
    import pyarrow as pa

    absent = _absent(values)
    objects = values if absent is None else [_ABSENT if value is None else value for value in values]
    names = [member.name for member in shape.members]
    fields: dict[str, pa.Array] = {}
    for member, inner in zip(shape.members, columns(objects, names), strict=True):
        array = _array(inner, member.shape, hot)
        if member.held_in is None:
            fields[member.name] = array
        else:
            hot[member.held_in] = array
    if not own_members(shape):
        fields[EMPTY_MARK] = pa.nulls(len(values), pa.bool_())
    types = [pa.field(name, array.type) for name, array in fields.items()]
    return pa.StructArray.from_arrays(list(fields.values()), fields=types, mask=absent)


def _absent(values: Sequence[Value]) -> "pa.Array | None":
    """Which values are None, or None where none is."""
    import pyarrow as pa

    if None not in values:
        return None
    return pa.array([value is None for value in values], pa.bool_())
