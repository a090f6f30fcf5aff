"""Documents to shapes: what a dynamic column's values agree on, as DuckDB and Arrow types.

A `Draft` is a shape in the making. `widen` takes the values of one path at a time, all documents of a chunk together, so that its loops
run in C.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from enum import Enum
from itertools import chain
from types import NoneType
from typing import TYPE_CHECKING, Any

from kqlite.inventory.shapes.documents import INT64, Value, is_standard, ordered
from kqlite.inventory.shapes.sql_text import identifier
from kqlite.language.schema import Array, JsonLeaf, Leaf, Member, Object, Shape, is_ordered
from kqlite.language.types import Type

if TYPE_CHECKING:
    import pyarrow as pa

EMPTY_FIELD = "_"
"""The one field of a struct whose object has no member of its own: DuckDB has no struct without fields."""

MOST_MEMBERS = 200
"""An object of more members than this is an open map, and a JSON leaf."""

DEEPEST = 24
"""What lies deeper than this is a JSON leaf: types nested by the hundred cost more to plan than they save."""

PLAIN_JSON = JsonLeaf(plain=True, ordered=True)

NOT_PLAIN = re.compile(r'["\\\x00-\x1f]')


class Kind(Enum):
    NOTHING = "nothing"
    BOOL = "bool"
    LONG = "long"
    REAL = "real"
    STRING = "string"
    OBJECT = "object"
    ARRAY = "array"
    JSON = "json"


KIND_OF: dict[type, Kind] = {bool: Kind.BOOL, int: Kind.LONG, float: Kind.REAL, str: Kind.STRING, dict: Kind.OBJECT, list: Kind.ARRAY}
_LEAF_KINDS = {Type.BOOL: Kind.BOOL, Type.LONG: Kind.LONG, Type.REAL: Kind.REAL, Type.STRING: Kind.STRING}
_LEAF_TYPES = {kind: type_ for type_, kind in _LEAF_KINDS.items()}


class Draft:
    """A shape in the making; of kind NOTHING as long as no value was seen.

    plain: of a string or of JSON, the promise of `Leaf.plain` or `JsonLeaf.plain` as far as values were seen. ordered: of JSON, that of
    `JsonLeaf.ordered`; whatever is written now keeps it, but the text of an earlier version may not.
    """

    __slots__ = ("element", "folded", "kind", "members", "ordered", "plain")

    def __init__(self) -> None:
        self.kind = Kind.NOTHING
        self.plain = True
        self.ordered = True
        self.members: dict[str, Draft] = {}
        self.folded: set[str] = set()
        self.element: Draft | None = None

    def become_json(self, values: Sequence[Value] = ()) -> None:
        """Hold JSON from now on, `values` too."""
        self.plain = self.is_plain_as_json() and _are_plain_as_json(values)
        before = freeze(self)
        self.ordered = before is None or is_ordered(before)
        self.kind = Kind.JSON
        self.members, self.folded, self.element = {}, set(), None

    def is_plain_as_json(self) -> bool:
        """What `JsonLeaf.plain` would promise if all that was seen were held as JSON."""
        match self.kind:
            case Kind.JSON:
                return self.plain
            case Kind.OBJECT:
                return all(member.is_plain_as_json() for member in self.members.values())
            case Kind.ARRAY:
                return self.element is None or self.element.is_plain_as_json()
            case _:
                return True


_PLAIN_AS_JSON = frozenset((NoneType, bool, int, float, str))


def _are_plain_as_json(values: Sequence[Value]) -> bool:
    """Whether no `Exact` is in these values, which is a fraction of more digits than a double has, or has more digits than Python reads."""
    return _PLAIN_AS_JSON.issuperset(map(type, values)) or is_standard(values)


def widen(draft: Draft, values: Sequence[Value], plain: bool = False, depth: int = 0) -> None:
    """Make `draft` cover `values`, some of which may be None.

    plain: whether it is known already that no string in them has a character which JSON must escape; else each is looked at.
    """
    if not _widen(draft, values, plain, depth):
        draft.become_json(values)


def _widen(draft: Draft, values: Sequence[Value], plain: bool, depth: int) -> bool:
    """False where only JSON covers the values and what was seen before."""
    if draft.kind is Kind.JSON:
        return False
    types = set(map(type, values))
    types.discard(NoneType)
    if not types:
        return True
    kind = KIND_OF.get(types.pop(), Kind.JSON)
    if types or draft.kind not in (Kind.NOTHING, kind) or depth > DEEPEST:
        return False
    draft.kind = kind
    if kind is Kind.STRING:
        if not plain and draft.plain:
            draft.plain = NOT_PLAIN.search("".join(filter(None, values))) is None
        return True
    if kind is Kind.BOOL or kind is Kind.REAL:
        return True
    present = [value for value in values if value is not None]
    if kind is Kind.LONG:
        return min(present) in INT64 and max(present) in INT64
    if kind is Kind.OBJECT:
        return _widen_object(draft, present, plain, depth)
    if kind is Kind.ARRAY:
        if draft.element is None:
            draft.element = Draft()
        widen(draft.element, list(chain.from_iterable(present)), plain, depth + 1)
        return True
    return False


def _widen_object(draft: Draft, present: list[dict[str, Value]], plain: bool, depth: int) -> bool:
    columns = _columns(present)
    if not admit(draft, [name for name in columns if name not in draft.members]):
        return False
    for name, values in columns.items():
        widen(draft.members[name], values, plain, depth + 1)
    return True


def _columns(objects: list[dict[str, Value]]) -> dict[str, list[Value]]:
    """For each name all members of that name, of which there may be fewer than objects, in no order."""
    # Few objects differ in which members they have, so they are turned over a group at a time: twice as fast as a look-up for each value.
    groups: dict[tuple[str, ...], list[Iterable[Value]]] = {}
    for value in objects:
        groups.setdefault(tuple(value), []).append(value.values())
    columns: dict[str, list[Value]] = {}
    for names, rows in groups.items():
        for name, values in zip(names, zip(*rows, strict=True), strict=True):
            columns.setdefault(name, []).extend(values)
    return columns


def admit(draft: Draft, names: list[str]) -> bool:
    """Add members of these names; False when one of them cannot be the field of a struct."""
    for name in names:
        folded = name.lower()
        # DuckDB's fields ignore case, cannot be nameless, and are cut at a NUL.
        if folded in draft.folded or not name or name == EMPTY_FIELD or "\0" in name or len(draft.members) >= MOST_MEMBERS:
            return False
        draft.folded.add(folded)
        draft.members[name] = Draft()
    return True


def freeze(draft: Draft) -> Shape | None:
    """The shape that the draft has come to, or None where no value was seen."""
    match draft.kind:
        case Kind.NOTHING:
            return None
        case Kind.JSON:
            return JsonLeaf(draft.plain, draft.ordered)
        case Kind.OBJECT:
            # Fields in the order of their names are written as they stand, when a query wants text.
            frozen = ((name, freeze(draft.members[name])) for name in sorted(draft.members))
            return Object(tuple(Member(name, shape) for name, shape in frozen if shape is not None))
        case Kind.ARRAY:
            element = None if draft.element is None else freeze(draft.element)
            return PLAIN_JSON if element is None else Array(element)
        case _:
            return Leaf(_LEAF_TYPES[draft.kind], plain=draft.kind is not Kind.STRING or draft.plain)


def thaw(shape: Shape | None) -> Draft:
    """A draft that covers what `shape` covers, to be widened further."""
    draft = Draft()
    match shape:
        case None:
            pass
        case JsonLeaf():
            draft.kind, draft.plain, draft.ordered = Kind.JSON, shape.plain, shape.ordered
        case Leaf():
            draft.kind, draft.plain = _LEAF_KINDS[shape.type], shape.plain
        case Array():
            draft.kind, draft.element = Kind.ARRAY, thaw(shape.element)
        case Object():
            draft.kind = Kind.OBJECT
            draft.members = {member.name: thaw(member.shape) for member in shape.members}
            draft.folded = {name.lower() for name in draft.members}
    return draft


def join(left: Shape | None, right: Shape | None) -> Shape | None:
    """The shape that covers what both cover, hot leaves aside (`hold` says again where they are held)."""
    if left is None or right is None:
        return left if right is None else right
    match left, right:
        case Leaf(), Leaf() if left.type is right.type:
            return Leaf(left.type, left.plain and right.plain)
        case Array(), Array():
            element = join(left.element, right.element)
            assert element is not None
            return Array(element)
        case Object(), Object():
            return _join_objects(left, right)
        case _:
            return _joined_as_json(left, right)


def _joined_as_json(*shapes: Shape) -> JsonLeaf:
    return JsonLeaf(all(thaw(shape).is_plain_as_json() for shape in shapes), all(map(is_ordered, shapes)))


def _join_objects(left: Object, right: Object) -> Shape:
    draft = Draft()
    names = dict.fromkeys(member.name for member in left.members + right.members)
    if not admit(draft, list(names)):
        return _joined_as_json(left, right)
    members = []
    for name in names:
        shape = join(_shape_of(left.member(name)), _shape_of(right.member(name)))
        assert shape is not None
        members.append(Member(name, shape))
    return Object(tuple(members))


def _shape_of(member: Member | None) -> Shape | None:
    return None if member is None else member.shape


def hold(shapes: Mapping[str, Shape], paths: Iterable[str]) -> dict[str, Shape]:
    """The shapes with the leaves at `paths` (`properties.a.b`) held in hot columns of their own, those that there are."""
    held = dict(shapes)
    for path in paths:
        column, *names = path.split(".")
        if column in held:
            held[column] = _hold(held[column], names, hot_column(path))
    return held


def hot_column(path: str) -> str:
    """The physical column of the hot leaf at `path`."""
    return "_hot_" + path.replace(".", "_")


def _hold(shape: Shape, names: Sequence[str], column: str) -> Shape:
    if not isinstance(shape, Object):
        return shape
    return Object(tuple(_hold_member(member, names, column) for member in shape.members))


def _hold_member(member: Member, names: Sequence[str], column: str) -> Member:
    if member.name != names[0]:
        return member
    if len(names) > 1:
        return Member(member.name, _hold(member.shape, names[1:], column), member.held_in)
    return Member(member.name, member.shape, column) if isinstance(member.shape, Leaf | JsonLeaf) else member


def separate_members(shape: Shape, path: tuple[str, ...] = ()) -> list[tuple[tuple[str, ...], Member]]:
    """The members held beside the column, each with its path inside the value."""
    if not isinstance(shape, Object):
        return []
    found = []
    for member in shape.members:
        if member.held_in is not None:
            found.append(((*path, member.name), member))
        else:
            found.extend(separate_members(member.shape, (*path, member.name)))
    return found


def struct_members(shape: Object) -> list[Member]:
    """The members that are fields of the object's own struct."""
    return [member for member in shape.members if member.held_in is None]


_DUCKDB_LEAF = {Type.BOOL: "BOOLEAN", Type.LONG: "BIGINT", Type.REAL: "DOUBLE", Type.STRING: "VARCHAR"}


def duckdb_type(shape: Shape) -> str:
    """The type of a DuckDB column that holds values of this shape."""
    match shape:
        case JsonLeaf():
            return "JSON"
        case Leaf():
            return _DUCKDB_LEAF[shape.type]
        case Array():
            return duckdb_type(shape.element) + "[]"
        case Object():
            fields = [f"{identifier(member.name)} {duckdb_type(member.shape)}" for member in struct_members(shape)]
            return f"STRUCT({', '.join(fields or [f'{identifier(EMPTY_FIELD)} BOOLEAN'])})"


def arrow_type(shape: Shape) -> "pa.DataType":
    """The Arrow type of a batch's column of this shape; JSON leaves are strings, since pyarrow builds no extension type inside a struct."""
    import pyarrow as pa

    leaves = {Type.BOOL: pa.bool_(), Type.LONG: pa.int64(), Type.REAL: pa.float64(), Type.STRING: pa.string()}
    match shape:
        case JsonLeaf():
            return pa.string()
        case Leaf():
            return leaves[shape.type]
        case Array():
            return pa.list_(arrow_type(shape.element))
        case Object():
            fields = [pa.field(member.name, arrow_type(member.shape)) for member in struct_members(shape)]
            return pa.struct(fields or [pa.field(EMPTY_FIELD, pa.bool_())])


# How shapes are written into the store's own catalog: a leaf by its type's name, or `json`, with "+" for plain strings and plain JSON,
# and "=" for JSON that is ordered.
def to_json(shape: Shape) -> Value:
    """The shape as a JSON document, which `from_json` reads."""
    match shape:
        case JsonLeaf():
            return "json" + "+" * shape.plain + "=" * shape.ordered
        case Leaf():
            return shape.type.value + ("+" if shape.plain and shape.type is Type.STRING else "")
        case Array():
            return [to_json(shape.element)]
        case Object():
            return {
                member.name: [to_json(member.shape), member.held_in] if member.held_in else to_json(member.shape)
                for member in shape.members
            }


def from_json(document: Any) -> Shape:  # Any: a recursive document just read
    """The shape that `to_json` wrote."""
    match document:
        case "json" | "json+" | "json=" | "json+=":
            return JsonLeaf("+" in document, "=" in document)
        case str():
            return Leaf(Type(document.removesuffix("+")), plain=document != Type.STRING.value)
        case [element]:
            return Array(from_json(element))
        case dict():
            return Object(tuple(_member_from_json(name, member) for name, member in document.items()))
        case _:
            raise ValueError(f"not a shape: {document!r}")


def _member_from_json(name: str, document: Any) -> Member:
    match document:
        case [shape, str() as column]:
            return Member(name, from_json(shape), column)
        case _:
            return Member(name, from_json(document))


def converter(shape: Shape) -> Callable[[Value], Value] | None:
    """What a value of this shape goes through before pyarrow takes it as `arrow_type(shape)`, or None where it is taken as it is.

    pyarrow drops members that a struct does not have, in silence; so a shape must cover the value, and hot leaves need no removal.
    """
    match shape:
        case JsonLeaf():
            return ordered
        case Leaf():
            return None
        case Array():
            element = converter(shape.element)
            return None if element is None else lambda values: [None if value is None else element(value) for value in values]
        case Object():
            members = [(member.name, converter(member.shape)) for member in struct_members(shape)]
            return _object_converter([(name, convert) for name, convert in members if convert is not None])


def _object_converter(members: Sequence[tuple[str, Callable[[Value], Value]]]) -> Callable[[Value], Value] | None:
    if not members:
        return None

    def convert(value: dict[str, Value]) -> dict[str, Value]:
        changed = dict(value)
        for name, member in members:
            if changed.get(name) is not None:
                changed[name] = member(changed[name])
        return changed

    return convert


def arrow_value(value: Value, shape: Shape) -> Value:
    """A value of this shape as pyarrow takes it for `arrow_type(shape)`."""
    convert = converter(shape)
    return value if convert is None or value is None else convert(value)


def whole(shape: Shape) -> Shape:
    """The shape with no leaf held beside, as a document has it once it is put together again."""
    match shape:
        case Array():
            return Array(whole(shape.element))
        case Object():
            return Object(tuple(Member(member.name, whole(member.shape)) for member in shape.members))
        case _:
            return shape
