"""What the sample inventory is made of: random columns that depend on a key alone, and documents built column by column.

A *form* describes the documents of a whole block of rows at once and reads like one of them: a dict is an object, a list of one form is
a list of one element, a Python scalar is the same in every row, an Arrow array differs by row. `shape_of` tells a form's shape, `array_of`
its column.

Nothing here goes row by row: that is what makes hundreds of thousands of documents a second in one thread.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate
from operator import itemgetter
from random import Random
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from kqlite.inventory.shapes.shapes import EMPTY_FIELD, PLAIN_JSON, struct_members
from kqlite.language.schema import Array, Leaf, Member, Object, Shape
from kqlite.language.types import Type

# A dict, a list, a Python scalar, an Arrow array, Json, Escaped, Maybe or Many. Any, since a recursive alias costs every caller a cast.
Form = Any


@dataclass(frozen=True, slots=True)
class Json:
    """A JSON leaf: its text by row, null where it is missing; with no null member and no fraction that a double does not hold."""

    text: pa.Array


@dataclass(frozen=True, slots=True)
class Escaped:
    """Texts, some of which have characters that JSON must escape."""

    text: pa.Array


@dataclass(frozen=True, slots=True)
class Maybe:
    """An object that is there only where `present` is true."""

    present: pa.Array
    members: dict[str, Form]


@dataclass(frozen=True, slots=True)
class Many:
    """A list of as many elements as `expansion` says; `element` is a form over all elements of the block. Null where `present` is false."""

    expansion: "Expansion"
    element: Form
    present: pa.Array | None = None


class Expansion:
    """Rows that have several elements each: where an element belongs, and which of its row's it is.

    offsets: where the elements of each row begin, and the end of all; parents: the row of each element; ordinals: its place there, from 0.
    """

    def __init__(self, counts: pa.Array) -> None:
        ends = pc.cumulative_sum(counts.cast(pa.int32()))
        self.count: int = ends[-1].as_py() if len(ends) else 0
        self.offsets = pa.concat_arrays([pa.array([0], pa.int32()), ends])
        elements = numbers(self.count, pa.int32())
        self.parents = pc.list_parent_indices(pa.ListArray.from_arrays(self.offsets, elements)).cast(pa.int32())
        self.ordinals = pc.subtract(elements, self.offsets.take(self.parents))


class Draws:
    """Random columns of `rows` values. One seed, one key and one purpose give the same values, whatever else is drawn.

    A longer column begins with the values of a shorter one.
    """

    def __init__(self, key: str, rows: int) -> None:
        self._key = key
        self.rows = rows

    def _bytes(self, purpose: str, width: int) -> bytes:
        return Random(f"{self._key}/{purpose}").randbytes(-(-self.rows * width // 4) * 4)[: self.rows * width]

    def words(self, purpose: str) -> pa.Array:
        """Any 32-bit number."""
        return pa.Array.from_buffers(pa.uint32(), self.rows, [None, pa.py_buffer(self._bytes(purpose, 4))])

    def below(self, purpose: str, bound: int) -> pa.Array:
        """A whole number from 0 to `bound` - 1."""
        return scaled(self.words(purpose), bound)

    def chance(self, purpose: str, share: float) -> pa.Array:
        """True for `share` of the rows."""
        return pc.less(self.words(purpose), pa.scalar(min(int(share * 2**32), 2**32 - 1), pa.uint32()))

    def choice(self, purpose: str, options: tuple[tuple[Any, int], ...]) -> pa.Array:
        """One of the options, each as often as its weight says."""
        ladder = _ladder(options)
        return ladder.take(self.below(purpose, len(ladder)))

    def hex(self, purpose: str, width: int) -> pa.Array:
        """`width` hexadecimal digits; an even number."""
        return fixed_width(self._bytes(purpose, width // 2).hex(), width)

    def guid(self, purpose: str) -> pa.Array:
        """A random (version 4) GUID."""
        third = pc.bit_wise_or(pc.bit_wise_and(self._shorts(purpose + "3"), _short(0xFF0F)), _short(0x0040))
        fourth = pc.bit_wise_or(pc.bit_wise_and(self._shorts(purpose + "4"), _short(0xFF3F)), _short(0x0080))
        parts = [self.hex(purpose + "1", 8), self.hex(purpose + "2", 4), _hex_of(third, 4), _hex_of(fourth, 4), self.hex(purpose + "5", 12)]
        return pc.binary_join_element_wise(*parts, "-")

    def mac_address(self, purpose: str) -> pa.Array:
        """The address of a network card, with the manufacturer's part that virtual ones have."""
        # Each address takes the dash before each of its three bytes, hence one byte more at the start.
        digits = ("x" + self._bytes(purpose, 3).hex("-").upper()).replace("x", "-", 1)
        return joined("00-0D-3A", fixed_width(digits, 9))

    def _shorts(self, purpose: str) -> pa.Array:
        return pa.Array.from_buffers(pa.uint16(), self.rows, [None, pa.py_buffer(self._bytes(purpose, 2))])

    def moment(self, purpose: str, days: Sequence[str]) -> pa.Array:
        """A time on one of `days` in ISO 8601, with seven decimals as the service writes them."""
        day = pa.array(days).take(self.below(purpose + "day", len(days)))
        second = _seconds_of_day().take(self.below(purpose + "second", 86_400))
        fraction = padded(4).take(self.below(purpose + "fraction", 10_000))
        return joined(day, "T", second, ".", fraction, padded(3).take(self.below(purpose + "ticks", 1_000)), "Z")


@lru_cache(maxsize=256)
def _ladder(options: tuple[tuple[Any, int], ...]) -> pa.Array:
    return pa.array([option for option, weight in options for _ in range(weight)])


def _short(value: int) -> pa.Scalar:
    return pa.scalar(value, pa.uint16())


@lru_cache(maxsize=8)
def padded(width: int) -> pa.Array:
    """The numbers of `width` decimal digits with their leading zeros, each at its own place."""
    return pa.array([f"{number:0{width}d}" for number in range(10**width)])


@lru_cache(maxsize=1)
def _seconds_of_day() -> pa.Array:
    return pa.array([f"{second // 3600:02d}:{second // 60 % 60:02d}:{second % 60:02d}" for second in range(86_400)])


@lru_cache(maxsize=1)
def bytes_in_decimal() -> pa.Array:
    """The texts `0` to `255`, as in addresses."""
    return pa.array([str(number) for number in range(256)])


def numbers(count: int, type_: pa.DataType, start: int = 0) -> pa.Array:
    """`start`, `start` + 1 and so on."""
    return pa.array(range(start, start + count), type_)


def scaled(words: pa.Array, bound: int) -> pa.Array:
    """32-bit numbers brought to 0 up to `bound` - 1, evenly: a product is cheaper than a remainder, which Arrow does not have."""
    product = pc.multiply(words.cast(pa.uint64()), pa.scalar(bound, pa.uint64()))
    return pc.shift_right(product, pa.scalar(32, pa.uint64())).cast(pa.int32())


def scattered(start: int, count: int, salt: int) -> pa.Array:
    """Eight hexadecimal digits for each of the numbers from `start` on: they look random, and no two are alike.

    Each step can be undone, so distinct numbers below 2**32 stay distinct.
    """
    words = numbers(count, pa.uint32(), start)
    for factor in (0x9E3779B1, 0x85EBCA6B):
        words = pc.bit_wise_xor(words, pa.scalar(salt & 0xFFFFFFFF, pa.uint32()))
        words = pc.multiply(words, pa.scalar(factor, pa.uint32()))
        words = pc.bit_wise_xor(words, pc.shift_right(words, pa.scalar(15, pa.uint32())))
    return _hex_of(words, 8)


def _hex_of(values: pa.Array, width: int) -> pa.Array:
    start, size = values.offset * width // 2, len(values) * width // 2
    return fixed_width(values.buffers()[1].to_pybytes()[start : start + size].hex(), width)


def fixed_width(text: str, width: int) -> pa.Array:
    """`text` cut into strings of `width` ASCII characters."""
    count = len(text) // width
    offsets = pa.array(range(0, count * width + 1, width), pa.int32())
    return pa.StringArray.from_buffers(count, offsets.buffers()[1], pa.py_buffer(text.encode("ascii")))


def joined(*parts: pa.Array | str) -> pa.Array:
    """The parts one after another; null where one of them is."""
    return pc.binary_join_element_wise(*parts, "")


def only(present: pa.Array, values: pa.Array) -> pa.Array:
    """The values where `present` is true, else null."""
    return pc.if_else(present, values, pa.scalar(None, values.type))


def runs(counts: Sequence[int]) -> pa.Array:
    """0 as often as the first count says, then 1 as often as the second, and so on. Counts are not 0."""
    ends = pa.array(accumulate(counts), pa.int32())
    return pc.run_end_decode(pa.RunEndEncodedArray.from_arrays(ends, numbers(len(counts), pa.int32())))


_LEAVES = {bool: Leaf(Type.BOOL, True), int: Leaf(Type.LONG, True), float: Leaf(Type.REAL, True), str: Leaf(Type.STRING, True)}
_LEAF_OF_ARROW = {
    pa.bool_(): _LEAVES[bool],
    pa.int32(): _LEAVES[int],
    pa.int64(): _LEAVES[int],
    pa.float64(): _LEAVES[float],
    pa.string(): _LEAVES[str],
}


def shape_of(form: Form) -> Shape:
    """The shape of the documents that a form describes. Texts are taken to be plain unless the form says `Escaped`."""
    match form:
        case Json() | []:
            return PLAIN_JSON
        case Escaped():
            return Leaf(Type.STRING)
        case Maybe(members=members) | dict(members):
            return Object(tuple(Member(name, shape_of(member)) for name, member in sorted(members.items(), key=itemgetter(0))))
        case Many(element=element) | [element]:
            return Array(shape_of(element))
        case pa.Array():
            return _LEAF_OF_ARROW[form.type]
        case _:
            return _LEAVES[type(form)]


def array_of(form: Form, shape: Shape, rows: int) -> pa.Array:
    """The column of a form in its physical form, without the leaves that `shape` holds elsewhere."""
    match form:
        case Json(text=text) | Escaped(text=text):
            return text
        case []:
            return constant("[]", rows)
        case Maybe(present=present, members=members):
            return _struct(members, shape, rows, pc.invert(present))
        case dict():
            return _struct(form, shape, rows, None)
        case Many(expansion=expansion, element=element, present=present):
            assert isinstance(shape, Array)
            absent = None if present is None else pc.invert(present)
            return pa.ListArray.from_arrays(expansion.offsets, array_of(element, shape.element, expansion.count), mask=absent)
        case [element]:
            assert isinstance(shape, Array)
            return pa.ListArray.from_arrays(numbers(rows + 1, pa.int32()), array_of(element, shape.element, rows))
        case pa.Array():
            return form.cast(pa.int64()) if form.type == pa.int32() else form
        case _:
            return constant(form, rows)


def _struct(members: dict[str, Form], shape: Shape, rows: int, absent: pa.Array | None) -> pa.Array:
    assert isinstance(shape, Object)
    own = struct_members(shape)
    if not own:
        marks = pa.nulls(rows, pa.bool_())
        return pa.StructArray.from_arrays([marks], fields=[pa.field(EMPTY_FIELD, pa.bool_())], mask=absent)
    arrays = [array_of(members[member.name], member.shape, rows) for member in own]
    fields = [pa.field(member.name, array.type) for member, array in zip(own, arrays, strict=True)]
    return pa.StructArray.from_arrays(arrays, fields=fields, mask=absent)


def constant(value: bool | int | float | str, rows: int) -> pa.Array:
    """The same value in every row."""
    return pa.repeat(pa.scalar(value), rows)


def leaf_at(form: Form, path: Sequence[str], rows: int) -> pa.Array:
    """The column of the leaf at a path of members, null where an object on the way is missing."""
    present = None
    for name in path:
        if isinstance(form, Maybe):
            present = form.present if present is None else pc.and_(present, form.present)
            form = form.members
        form = form[name]
    values = array_of(form, shape_of(form), rows)
    return values if present is None else only(present, values)
