"""Documents to Arrow while their shape is still in the making: each value is looked at once, a path at a time, in loops that run in C.

An `IncrementalBuilder` makes arrays of the type that its draft has reached so far. `fitted` brings older arrays to a newer, wider type. In
these types JSON is binary, and all else is as in `shapes.arrow_type`, so the type alone says what an array holds. No leaf has a column of
its own here. `Finish` makes the columns of a partition from them.
"""

from collections.abc import Callable, Mapping, Sequence
from itertools import accumulate, chain
from types import NoneType
from typing import TYPE_CHECKING

from kqlite.inventory.shapes.columns import columns_of_objects, validity_of
from kqlite.inventory.shapes.documents import Value, decode, ordered
from kqlite.inventory.shapes.shapes import DEEPEST, EMPTY_FIELD, KIND_OF, NOT_PLAIN, Draft, Kind, admit, arrow_type, struct_members, whole
from kqlite.language.schema import Array, JsonLeaf, Leaf, Object, Shape

if TYPE_CHECKING:
    import pyarrow as pa

_ABSENT: dict[str, Value] = {}


class IncrementalBuilder:
    """What arrays of one path are made, and how the draft of its shape widens meanwhile.

    type: of the arrays that are made now.
    """

    __slots__ = ("_children", "_element", "_members", "draft", "type")

    def __init__(self, draft: Draft) -> None:
        import pyarrow as pa

        self.draft = draft
        self.type: pa.DataType = pa.null()
        self._members: dict[str, IncrementalBuilder] = {}
        self._element: IncrementalBuilder | None = None
        self._children: list[pa.DataType] | None = None

    def grow(self, values: Sequence[Value], plain: bool = False, depth: int = 0) -> "pa.Array":
        """The values as an array, covered by the draft from now on.

        plain: whether it is known already that no string in them has a character which JSON must escape; else each is looked at.
        """
        import pyarrow as pa

        types = set(map(type, values))
        has_nulls = NoneType in types
        types.discard(NoneType)
        if not types:
            return pa.nulls(len(values), self.type)
        draft = self.draft
        if draft.kind is not Kind.JSON and len(types) == 1:
            kind = KIND_OF.get(types.pop(), Kind.JSON)
            if kind is not Kind.JSON and draft.kind in (Kind.NOTHING, kind) and depth <= DEEPEST:
                draft.kind = kind
                array = _GROW[kind](self, values, has_nulls, plain, depth)
                if array is not None:
                    return array
        draft.become_json(values)
        self.type = pa.binary()
        return pa.array([None if value is None else ordered(value) for value in values], self.type)

    # Each of these gives None where only JSON covers the values.

    def _string(self, values: Sequence[Value], has_nulls: bool, plain: bool, _: int) -> "pa.Array | None":
        import pyarrow as pa

        if not plain and self.draft.plain:
            self.draft.plain = NOT_PLAIN.search("".join(filter(None, values) if has_nulls else values)) is None
        self.type = pa.string()
        return pa.array(values, self.type)

    def _long(self, values: Sequence[Value], *_: object) -> "pa.Array | None":
        import pyarrow as pa

        try:
            array = pa.array(values, pa.int64())
        except OverflowError:
            return None
        self.type = array.type
        return array

    def _fixed(self, values: Sequence[Value], *_: object) -> "pa.Array | None":
        import pyarrow as pa

        self.type = pa.bool_() if self.draft.kind is Kind.BOOL else pa.float64()
        return pa.array(values, self.type)

    def _list(self, values: Sequence[Value], has_nulls: bool, plain: bool, depth: int) -> "pa.Array | None":
        import pyarrow as pa

        if self.draft.element is None:
            self.draft.element = Draft()
        if self._element is None:
            self._element = IncrementalBuilder(self.draft.element)
        lists = [value or () for value in values] if has_nulls else values
        elements = self._element.grow(list(chain.from_iterable(lists)), plain, depth + 1)
        self._set_type([elements.type], pa.list_)
        offsets = pa.array(accumulate(map(len, lists), initial=0), pa.int32())
        validity = validity_of(values) if has_nulls else None
        return pa.Array.from_buffers(self.type, len(values), [validity, offsets.buffers()[1]], children=[elements])

    def _object(self, values: Sequence[Value], has_nulls: bool, plain: bool, depth: int) -> "pa.Array | None":
        import pyarrow as pa

        columns = columns_of_objects([_ABSENT if value is None else value for value in values] if has_nulls else values)
        members = self._members
        new = columns.keys() - members.keys()
        if new:
            names = [name for name in columns if name in new]
            if not admit(self.draft, [name for name in names if name not in self.draft.members]):
                return None
            for name in names:
                members[name] = IncrementalBuilder(self.draft.members[name])
        rows = len(values)
        arrays = [
            pa.nulls(rows, member.type) if column is None else member.grow(column, plain, depth + 1)
            for column, member in ((columns.get(name), member) for name, member in members.items())
        ]
        self._set_type([array.type for array in arrays], self._struct)
        validity = validity_of(values) if has_nulls else None
        return pa.Array.from_buffers(self.type, rows, [validity], children=arrays or [pa.nulls(rows, pa.bool_())])

    def _struct(self, *types: "pa.DataType") -> "pa.DataType":
        import pyarrow as pa

        return pa.struct(list(zip(self._members, types, strict=True)) or [(EMPTY_FIELD, pa.bool_())])

    def _set_type(self, children: "list[pa.DataType]", make: "Callable[..., pa.DataType]") -> None:
        if children != self._children:
            self._children = children
            self.type = make(*children)


_GROW: "dict[Kind, Callable[[IncrementalBuilder, Sequence[Value], bool, bool, int], pa.Array | None]]" = {
    Kind.STRING: IncrementalBuilder._string,
    Kind.LONG: IncrementalBuilder._long,
    Kind.REAL: IncrementalBuilder._fixed,
    Kind.BOOL: IncrementalBuilder._fixed,
    Kind.ARRAY: IncrementalBuilder._list,
    Kind.OBJECT: IncrementalBuilder._object,
}


def cover(draft: Draft, other: Draft) -> None:
    """Make `draft` cover what `other` has seen."""
    if other.kind is Kind.NOTHING:
        return
    plain = draft.is_plain_as_json() and other.is_plain_as_json()
    names = [name for name in other.members if name not in draft.members]
    is_alike = other.kind is not Kind.JSON and draft.kind in (Kind.NOTHING, other.kind)
    if not is_alike or not admit(draft, names):
        draft.become_json()
        draft.plain = plain
        return
    draft.kind = other.kind
    draft.plain = draft.plain and other.plain
    for name, member in other.members.items():
        cover(draft.members[name], member)
    if other.element is not None:
        if draft.element is None:
            draft.element = Draft()
        cover(draft.element, other.element)


def spilled_type(shape: Shape) -> "pa.DataType":
    """The type of arrays of a shape while they are on their way: JSON is binary, and no leaf is held beside."""
    import pyarrow as pa

    match shape:
        case JsonLeaf():
            return pa.binary()
        case Leaf():
            return arrow_type(shape)
        case Array():
            return pa.list_(spilled_type(shape.element))
        case Object():
            return pa.struct([(member.name, spilled_type(member.shape)) for member in shape.members] or [(EMPTY_FIELD, pa.bool_())])


def fitted(array: "pa.Array", to: "pa.DataType") -> "pa.Array":
    """An array of a `IncrementalBuilder`, which begins where its buffers begin, in a type that covers it."""
    import pyarrow as pa

    if array.type.equals(to):
        return array
    if pa.types.is_null(array.type):
        return pa.nulls(len(array), to)
    if pa.types.is_binary(to):
        return pa.array([None if value is None else ordered(value) for value in restored(array)], to)
    if pa.types.is_list(to):
        return pa.Array.from_buffers(to, len(array), array.buffers()[:2], children=[fitted(array.values, to.value_type)])
    given = {field.name: index for index, field in enumerate(array.type)}
    children = [
        fitted(array.field(given[field.name]), field.type) if field.name in given else pa.nulls(len(array), field.type) for field in to
    ]
    return pa.Array.from_buffers(to, len(array), array.buffers()[:1], children=children)


def restored(array: "pa.Array") -> list[Value]:
    """The values that an array of a `IncrementalBuilder` was made of, without null members."""
    import pyarrow as pa

    if pa.types.is_binary(array.type):
        return [None if text is None else decode(text.decode("utf-8")) for text in array.to_pylist()]
    if pa.types.is_list(array.type):
        elements = restored(array.values)
        offsets = array.offsets.to_pylist()
        return [
            elements[start:end] if present else None
            for present, start, end in zip(array.is_valid().to_pylist(), offsets, offsets[1:], strict=False)
        ]
    if pa.types.is_struct(array.type):
        members = [(field.name, restored(array.field(index))) for index, field in enumerate(array.type)]
        return [
            {name: values[row] for name, values in members if values[row] is not None} if present else None
            for row, present in enumerate(array.is_valid().to_pylist())
        ]
    values: list[Value] = array.to_pylist()
    return values


_Finish = Callable[["pa.Array", "dict[str, pa.Array]"], "pa.Array"]
"""Makes a physical array, and puts those of hot leaves under their columns' names."""


class Finish:
    """Makes the physical columns of a dynamic column of arrays of `type`."""

    def __init__(self, column: str, shape: Shape) -> None:
        self._column = column
        self.type = spilled_type(whole(shape))
        self._finish = _finisher(shape)

    def __call__(self, array: "pa.Array") -> "Mapping[str, pa.Array]":
        """The arrays by the name of the physical column."""
        arrays: dict[str, pa.Array] = {}
        arrays[self._column] = array if self._finish is None else self._finish(array, arrays)
        return arrays


def _finisher(shape: Shape) -> _Finish | None:
    """None where an array stays as it is."""
    match shape:
        case Leaf():
            return None
        case JsonLeaf():
            return _json_text
        case Array():
            return _list_finisher(shape)
        case Object():
            return _struct_finisher(shape)


def _json_text(array: "pa.Array", _: "dict[str, pa.Array]") -> "pa.Array":
    import pyarrow as pa

    return array.view(pa.string())


def _list_finisher(shape: Array) -> _Finish | None:
    import pyarrow as pa

    finish, type_ = _finisher(shape.element), arrow_type(shape)
    if finish is None:
        return None
    return lambda array, hot: pa.Array.from_buffers(type_, len(array), array.buffers()[:2], children=[finish(array.values, hot)])


def _struct_finisher(shape: Object) -> _Finish | None:
    import pyarrow as pa

    own = [(member.name, _finisher(member.shape)) for member in struct_members(shape)]
    held = [(member.name, member.held_in, _finisher(member.shape)) for member in shape.members if member.held_in is not None]
    if not held and not any(finish for _, finish in own):
        return None
    type_ = arrow_type(shape)

    def finish(array: "pa.Array", hot: "dict[str, pa.Array]") -> "pa.Array":
        for name, column, inner in held:
            leaf = array.field(name)
            hot[column] = leaf if inner is None else inner(leaf, hot)
        fields = [(array.field(name), inner) for name, inner in own]
        arrays = [field if inner is None else inner(field, hot) for field, inner in fields]
        return pa.Array.from_buffers(type_, len(array), array.buffers()[:1], children=arrays or [pa.nulls(len(array), pa.bool_())])

    return finish
