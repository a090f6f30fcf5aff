"""What documents agree on, and the types that hold it."""

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kqlite.inventory.shapes.documents import Exact
from kqlite.inventory.shapes.shapes import (
    DEEPEST,
    MOST_MEMBERS,
    PLAIN_JSON,
    Draft,
    arrow_type,
    duckdb_type,
    freeze,
    from_json,
    hold,
    join,
    separate_members,
    thaw,
    to_json,
    whole,
    widen,
)
from kqlite.language.schema import JSON, ORDERED_JSON, Array, JsonLeaf, Leaf, Member, Object, Shape
from kqlite.language.types import Type

BOOL, LONG, REAL = (Leaf(type_, plain=True) for type_ in (Type.BOOL, Type.LONG, Type.REAL))
PLAIN, TEXT = Leaf(Type.STRING, plain=True), Leaf(Type.STRING)


def shape(*values, plain=False):
    draft = Draft()
    for value in values:
        widen(draft, [value], plain)
    return freeze(draft)


def object_of(**members):
    return Object(tuple(Member(name, member) for name, member in members.items()))


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([], None),
        ([None], None),
        ([True, False, None], BOOL),
        ([1, -(2**63), 2**63 - 1], LONG),
        ([1.5, 1.0], REAL),
        (["a", ""], PLAIN),
        # What must not become one another.
        ([1, 1.0], PLAIN_JSON),
        ([1, True], PLAIN_JSON),
        ([1, "1"], PLAIN_JSON),
        ([2**63], PLAIN_JSON),
        ([-(2**63) - 1], PLAIN_JSON),
        # Objects: all members that were seen.
        ([{"a": 1}, {"b": "x"}, {}], object_of(a=LONG, b=PLAIN)),
        ([{"a": None}], Object(())),
        ([{}], Object(())),
        ([{"a": {}}, {"a": {"b": 1}}], object_of(a=object_of(b=LONG))),
        ([{"a": 1}, {"a": "x"}], object_of(a=PLAIN_JSON)),
        ([{"a": 1}, [1]], PLAIN_JSON),
        # Names that a struct cannot have.
        ([{"a": 1}, {"A": 1}], PLAIN_JSON),
        ([{"": 1}], PLAIN_JSON),
        ([{"a\0b": 1}], PLAIN_JSON),
        ([{"_": 1}], PLAIN_JSON),
        # Arrays.
        ([[1], [None, 2]], Array(LONG)),
        ([[1, "x"]], Array(PLAIN_JSON)),
        ([[{"a": 1}], [{"b": 1}]], Array(object_of(a=LONG, b=LONG))),
        ([[]], PLAIN_JSON),
        ([[None]], PLAIN_JSON),
        ([[], [1]], Array(LONG)),
        ([[[1]], [[]]], Array(Array(LONG))),
    ],
)
def test_the_shape_of_values(values, expected):
    assert shape(*values) == expected


@pytest.mark.parametrize(
    ("value", "is_plain"),
    [("a", True), ("\x7f ü 😀 </&", True), ('"', False), ("\\", False), ("\n", False), ("\x1f", False), ("\0", False)],
)
def test_a_string_is_plain_when_json_escapes_nothing_of_it(value, is_plain):
    assert shape("x", value) == Leaf(Type.STRING, plain=is_plain)
    assert shape({"a": [value]}) == object_of(a=Array(Leaf(Type.STRING, plain=is_plain)))


def test_strings_known_to_be_plain_are_not_looked_at():
    assert shape('"', plain=True) == PLAIN


A_LONG_FRACTION, A_HUGE_NUMBER = Exact("0.10000000000000000555"), Exact("1e400")


@pytest.mark.parametrize(
    ("values", "is_plain"),
    [
        ([1, "x", 1.5, True, [None], {"a": -(2**70)}, 5e-324], True),
        ([A_LONG_FRACTION], False),
        ([A_HUGE_NUMBER, 1], False),
        ([1, "x", A_LONG_FRACTION], False),
        ([1, {"a": [A_LONG_FRACTION]}], False),
        ([{"a": [A_LONG_FRACTION]}, 1], False),
        ([[1, "x", A_LONG_FRACTION], 1, 2], False),
        ([{"a": {"b": A_LONG_FRACTION}}, {"": 1}], False),
        ([{"a": {"b": 1}}, {"": A_LONG_FRACTION}], False),
        (['"', 1], True),
    ],
)
def test_json_is_plain_when_a_double_holds_every_fraction_in_it(values, is_plain):
    assert shape(*values) == JsonLeaf(is_plain, ordered=True)
    assert shape(*reversed(values)) == JsonLeaf(is_plain, ordered=True)


def test_json_that_is_not_plain_remains_so():
    found = shape(A_LONG_FRACTION, 1)
    assert found == ORDERED_JSON
    for other in (PLAIN_JSON, LONG, Array(PLAIN), object_of(a=LONG)):
        assert join(found, other) == join(other, found) == ORDERED_JSON
        assert join(object_of(a=found), other) == (object_of(a=ORDERED_JSON) if isinstance(other, Object) else ORDERED_JSON)
        assert join(other, PLAIN_JSON) == PLAIN_JSON
    draft = thaw(found)
    widen(draft, [1, {"a": 1}])
    assert freeze(draft) == ORDERED_JSON


def test_json_of_an_earlier_version_stays_in_no_order():
    for other in (PLAIN_JSON, LONG, Array(PLAIN), object_of(a=LONG)):
        assert join(JSON, other) == join(other, JSON) == JSON
    for old in (JSON, Array(JSON), object_of(a=JSON)):
        draft = thaw(old)
        widen(draft, [1, {"a": 1}, [1]])
        assert freeze(draft) == JsonLeaf(plain=False)


def test_an_open_map_is_json():
    assert isinstance(shape({f"k{number}": 1 for number in range(MOST_MEMBERS)}), Object)
    assert shape({f"k{number}": 1 for number in range(MOST_MEMBERS + 1)}) == PLAIN_JSON
    assert shape(*({f"k{number}": 1} for number in range(MOST_MEMBERS + 1))) == PLAIN_JSON


def test_what_lies_deep_is_json():
    value: object = 1
    for _ in range(DEEPEST + 10):
        value = {"a": value}
    found = shape(value)
    depth = 0
    while isinstance(found, Object):
        found = found.members[0].shape
        depth += 1
    assert found == PLAIN_JSON
    assert depth == DEEPEST + 1


def test_members_come_in_the_order_of_their_names():
    found = shape({"b": 1, "a": 1}, {"c": 1, "B": 1})
    assert found == PLAIN_JSON
    found = shape({"b": 1, "é": 1, "a": 1}, {"C": 1, "a": 1})
    assert [member.name for member in found.members] == ["C", "a", "b", "é"]


def test_members_that_a_partition_has_keep_their_order():
    joined = join(object_of(b=LONG, a=LONG), object_of(aa=LONG, a=LONG))
    assert [member.name for member in joined.members] == ["b", "a", "aa"]


@pytest.mark.parametrize(
    ("found", "sql", "arrow"),
    [
        (JSON, "JSON", pa.string()),
        (Array(LONG), "BIGINT[]", pa.list_(pa.int64())),
        (Object(()), 'STRUCT("_" BOOLEAN)', pa.struct([("_", pa.bool_())])),
        (
            Object((Member('a"b', BOOL), Member("hot", TEXT, "_hot_x"), Member("c", Array(object_of(d=REAL))))),
            'STRUCT("a""b" BOOLEAN, "c" STRUCT("d" DOUBLE)[])',
            pa.struct([('a"b', pa.bool_()), ("c", pa.list_(pa.struct([("d", pa.float64())])))]),
        ),
        (Object((Member("hot", TEXT, "_hot_x"),)), 'STRUCT("_" BOOLEAN)', pa.struct([("_", pa.bool_())])),
    ],
)
def test_the_types_that_hold_a_shape(found, sql, arrow):
    assert duckdb_type(found) == sql
    assert arrow_type(found) == arrow


def test_hot_leaves_are_held_beside():
    found = {"properties": object_of(state=PLAIN, view=object_of(power=object_of(code=PLAIN)), items=Array(PLAIN), odd=PLAIN_JSON)}
    held = hold(
        found, ["properties.state", "properties.view.power.code", "properties.items", "properties.odd", "properties.none", "sku.capacity"]
    )
    assert [(path, member.held_in) for path, member in separate_members(held["properties"])] == [
        (("state",), "_hot_properties_state"),
        (("view", "power", "code"), "_hot_properties_view_power_code"),
        (("odd",), "_hot_properties_odd"),
    ]
    assert whole(held["properties"]) == found["properties"]


documents = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**64), 2**64)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=3)
    | st.just(A_LONG_FRACTION),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["a", "A", "b", "c", "", "_", "é"]), inner, max_size=4),
    max_leaves=12,
)


@given(st.lists(documents, max_size=6), st.lists(documents, max_size=6))
def test_joining_covers_as_much_as_seeing_both(left, right):
    joined = join(shape(*left), shape(*right))
    seen = shape(*left, *right)
    assert sameness(joined) == sameness(seen) or covers(joined, seen)


@given(st.lists(documents, max_size=6))
def test_values_seen_together_or_one_by_one_have_one_shape(values):
    draft = Draft()
    widen(draft, values)
    assert sameness(freeze(draft)) == sameness(shape(*values))


@given(st.lists(documents, max_size=6))
def test_a_shape_survives_being_written_and_thawed(values):
    found = shape(*values)
    if found is not None:
        assert from_json(to_json(found)) == found
        held = hold({"properties": found}, ["properties.a", "properties.b.c"])["properties"]
        assert from_json(to_json(held)) == held
    assert freeze(thaw(found)) == found


def sameness(found: Shape | None) -> object:
    """The shape without the order of members."""
    match found:
        case Object():
            return {member.name: sameness(member.shape) for member in found.members}
        case Array():
            return [sameness(found.element)]
        case _:
            return found


def covers(wide: Shape | None, narrow: Shape | None) -> bool:
    """Whether `wide` holds whatever `narrow` holds."""
    match wide, narrow:
        case _, None:
            return True
        case JsonLeaf(), JsonLeaf():
            return narrow.plain or not wide.plain
        case JsonLeaf(), _:
            return True
        case Object(), Object():
            return all(
                member.name in {m.name for m in wide.members} and covers(wide.member(member.name).shape, member.shape)
                for member in narrow.members
            )
        case Array(), Array():
            return covers(wide.element, narrow.element)
        case Leaf(), Leaf():
            return wide.type is narrow.type and (narrow.plain or not wide.plain)
        case _:
            return False
