"""The typed plan: what a query means. Relations know their columns and order, scalars their type, form and whether they may be
null.

A column of a relation is an `Attribute`, known by identity and not by name: two columns of one name never get mixed up. The
binder makes a plan in which a dynamic column of a table has no form yet (`form` is None); `rules.narrow` chooses the partitions
and gives every dynamic a form.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from kqlite.language.schema import (
    JSON,
    ORDERED_JSON,
    Array,
    Column,
    JsonLeaf,
    Leaf,
    Member,
    Object,
    Partition,
    Schema,
    Shape,
    Table,
    json_of,
)
from kqlite.language.types import Type

if TYPE_CHECKING:
    from kqlite.language.functions.declare import Function


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Attribute:
    """A column of a relation. form: of a dynamic, None until the rules have run."""

    name: str
    type: Type
    form: Shape | None = None


# Scalars


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Scalar:
    """A value for each row. Strings are never null, whatever they are made of."""

    @property
    def type(self) -> Type:
        raise TypeError(type(self))

    @property
    def form(self) -> Shape | None:
        """How a dynamic is held; None for every other type."""
        return JSON if self.type is Type.DYNAMIC else None

    @property
    def nullable(self) -> bool:
        return self.type is not Type.STRING

    @property
    def children(self) -> tuple["Scalar", ...]:
        return ()


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Reference(Scalar):
    """The value of a column in this row."""

    attribute: Attribute

    @property
    def type(self) -> Type:
        return self.attribute.type

    @property
    def form(self) -> Shape | None:
        return self.attribute.form


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Constant(Scalar):
    """A value of any type: None, bool, int (ticks too), float, str; of a dynamic its JSON text, compact and in the order of names."""

    of: Type
    value: bool | int | float | str | None

    @property
    def type(self) -> Type:
        return self.of

    @property
    def form(self) -> Shape | None:
        return ORDERED_JSON if self.of is Type.DYNAMIC else None

    @property
    def nullable(self) -> bool:
        return self.value is None


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Variable(Scalar):
    """A value that is bound when the query runs: `now`, or a parameter of the caller; of a dynamic the JSON text, as a constant has it."""

    name: str
    of: Type

    @property
    def type(self) -> Type:
        return self.of

    @property
    def form(self) -> Shape | None:
        return ORDERED_JSON if self.of is Type.DYNAMIC else None


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Path(Scalar):
    """Members (str) and elements (int, from 0, negative from the end) picked out of a dynamic."""

    base: Scalar
    steps: tuple[str | int, ...]

    @property
    def type(self) -> Type:
        return Type.DYNAMIC

    @property
    def form(self) -> Shape | None:
        form = self.base.form
        for step in self.steps:
            form = step_into(form, step) if form is not None else None
        return form or ORDERED_JSON

    @property
    def children(self) -> tuple[Scalar, ...]:
        return (self.base,)


def step_into(shape: Shape, step: str | int) -> Shape | None:
    """The shape of a member or element of a value of `shape`, None where it has none."""
    if isinstance(shape, JsonLeaf):
        return shape
    if isinstance(step, str):
        member = shape.member(step) if isinstance(shape, Object) else None
        return member.shape if member else None
    return shape.element if isinstance(shape, Array) else None


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Pick(Scalar):
    """One member or element of a dynamic, chosen by a computed string or whole number."""

    base: Scalar
    index: Scalar

    @property
    def type(self) -> Type:
        return Type.DYNAMIC

    @property
    def form(self) -> Shape | None:
        base = self.base.form
        if isinstance(base, Array) and self.index.type.is_numeric:
            return base.element
        return json_of((base or JSON,))

    @property
    def children(self) -> tuple[Scalar, ...]:
        return (self.base, self.index)


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Document(Scalar):
    """A dynamic column put together with its hot columns. hot: for the path of each hot leaf, the column that holds it."""

    base: Reference
    hot: Mapping[tuple[str, ...], Reference]

    @property
    def type(self) -> Type:
        return Type.DYNAMIC

    @property
    def form(self) -> Shape | None:
        return self.base.form

    @property
    def children(self) -> tuple[Scalar, ...]:
        return (self.base, *self.hot.values())


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Invoke(Scalar):
    """A call of a declared function or operator with arguments of the types that its signature wants."""

    function: "Function"
    arguments: tuple[Scalar, ...]
    returns: Type

    @property
    def type(self) -> Type:
        return self.returns

    @property
    def form(self) -> Shape | None:
        if self.returns is not Type.DYNAMIC:
            return None
        return self.function.shape(self.arguments) if self.function.shape else JSON

    @property
    def nullable(self) -> bool:
        return self.returns is not Type.STRING and self.function.nullable

    @property
    def children(self) -> tuple[Scalar, ...]:
        return self.arguments


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Convert(Scalar):
    """A conversion to another type, as the function `to<type>` makes it: what cannot be read becomes null.

    parses: whether text is read; else a dynamic is converted by the JSON type of its value alone.
    """

    operand: Scalar
    to: Type
    parses: bool = True

    @property
    def type(self) -> Type:
        return self.to

    @property
    def children(self) -> tuple[Scalar, ...]:
        return (self.operand,)


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class AsJson(Scalar):
    """Any value as a dynamic in the form JSON."""

    operand: Scalar

    @property
    def type(self) -> Type:
        return Type.DYNAMIC

    @property
    def form(self) -> Shape | None:
        return json_of((self.operand.form,))

    @property
    def nullable(self) -> bool:
        return self.operand.nullable

    @property
    def children(self) -> tuple[Scalar, ...]:
        return (self.operand,)


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Captures(Scalar):
    """What the groups of a regular expression, in the engine's syntax, capture in a text: a bag of strings by `capture(number)`, from 0.

    Null where nothing matches.
    """

    text: Scalar
    regex: str
    count: int

    @property
    def type(self) -> Type:
        return Type.DYNAMIC

    @property
    def form(self) -> Shape | None:
        return Object(tuple(Member(capture(number), Leaf(Type.STRING)) for number in range(self.count)))

    @property
    def children(self) -> tuple[Scalar, ...]:
        return (self.text,)


def capture(number: int) -> str:
    """The member of a Captures that holds group `number`, from 0."""
    return f"group{number}"


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class InTable(Scalar):
    """Whether a value is in the only column of a relation."""

    value: Scalar
    relation: "Relation"

    @property
    def type(self) -> Type:
        return Type.BOOL

    @property
    def nullable(self) -> bool:
        return False

    @property
    def children(self) -> tuple[Scalar, ...]:
        return (self.value,)


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Gathered(Scalar):
    """The only column of a relation, of strings, as an array."""

    relation: "Relation"

    @property
    def type(self) -> Type:
        return Type.DYNAMIC

    @property
    def form(self) -> Shape | None:
        return Array(Leaf(Type.STRING))

    @property
    def nullable(self) -> bool:
        return False


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class FirstValue(Scalar):
    """The only column of a relation of one row, or of none: then it is null, or `''`."""

    relation: "Relation"

    @property
    def type(self) -> Type:
        return self.relation.attributes[0].type


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Within(Scalar):
    """Whether a string is, without regard to case, in the list of strings in lower case that is bound as `variable` when the query runs."""

    value: Scalar
    variable: str

    @property
    def type(self) -> Type:
        return Type.BOOL

    @property
    def nullable(self) -> bool:
        return False

    @property
    def children(self) -> tuple[Scalar, ...]:
        return (self.value,)


def parameter_variable(name: str) -> str:
    """The variable that holds the caller's parameter `name`."""
    return f"p_{name}"


def walk(scalar: Scalar) -> Iterator[Scalar]:
    """`scalar` and all scalars in it."""
    yield scalar
    for child in scalar.children:
        yield from walk(child)


# Relations


def counts_rows(relation: "Project") -> bool:
    """Whether a column depends on the rows before it, so that no row may be left out below; or is another one each time it is computed."""
    calls = (inner.function for _, value in relation.outputs for inner in walk(value) if isinstance(inner, Invoke))
    return any(function.window or function.volatile for function in calls)


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class SortKey:
    """One key of an order; where its nulls stand is always said."""

    value: Scalar
    ascending: bool
    nulls_first: bool


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Relation:
    """Rows. attributes: the columns in order; order: the keys by which the rows are sorted, none where they are in no order."""

    @property
    def attributes(self) -> tuple[Attribute, ...]:
        raise TypeError(type(self))

    @property
    def order(self) -> tuple[SortKey, ...]:
        return ()

    @property
    def inputs(self) -> tuple["Relation", ...]:
        return ()


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class OverOne(Relation):
    """A relation over one input, whose columns and order it keeps where it does not say otherwise."""

    input: Relation

    @property
    def attributes(self) -> tuple[Attribute, ...]:
        return self.input.attributes

    @property
    def order(self) -> tuple[SortKey, ...]:
        return self.input.order

    @property
    def inputs(self) -> tuple[Relation, ...]:
        return (self.input,)


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Scan(Relation):
    """All rows of a table, all its columns, in its partitions. Only between binder and rules."""

    table: Table
    partitions: tuple[Partition, ...]
    columns: tuple[Attribute, ...]

    @property
    def attributes(self) -> tuple[Attribute, ...]:
        return self.columns


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Extract:
    """What a partition gives for one column: a physical column, or a path inside one. `column` is None where the partition has
    nothing there.
    """

    column: str | None
    shape: Shape | None = None
    steps: tuple[str | int, ...] = ()


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class PartitionScan(Relation):
    """Rows of one partition. outputs: the columns that are asked for, and where they come from."""

    partition: Partition
    outputs: tuple[tuple[Attribute, Extract], ...]

    @property
    def attributes(self) -> tuple[Attribute, ...]:
        return tuple(attribute for attribute, _ in self.outputs)


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Rows(Relation):
    """Constant rows; each value is a scalar without references."""

    columns: tuple[Attribute, ...]
    rows: tuple[tuple[Scalar, ...], ...]

    @property
    def attributes(self) -> tuple[Attribute, ...]:
        return self.columns


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Series(Relation):
    """A row for each value from `start` to `stop`, which is included, in steps; in that order."""

    column: Attribute
    start: Scalar
    stop: Scalar
    step: Scalar

    @property
    def attributes(self) -> tuple[Attribute, ...]:
        return (self.column,)

    @property
    def order(self) -> tuple[SortKey, ...]:
        return (SortKey(Reference(self.column), ascending=True, nulls_first=True),)


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Filter(OverOne):
    """The rows of `input` for which `condition` is true; null is not."""

    condition: Scalar


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Project(OverOne):
    """New columns made of those of `input`, row by row. An output that is a Reference to its own attribute hands a column on.

    partition: the values by which window functions see rows as their own table each.
    """

    outputs: tuple[tuple[Attribute, Scalar], ...]
    partition: tuple[Scalar, ...] = ()

    @property
    def attributes(self) -> tuple[Attribute, ...]:
        return tuple(attribute for attribute, _ in self.outputs)


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Sort(OverOne):
    """The rows of `input`, sorted."""

    keys: tuple[SortKey, ...]

    @property
    def order(self) -> tuple[SortKey, ...]:
        return self.keys


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Take(OverOne):
    """At most `count` rows of `input`: the first ones of its order, any where it has none."""

    count: int


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Aggregate(OverOne):
    """One row for each distinct combination of keys, or one row where there are none. Each aggregate is an Invoke of an
    aggregate function.
    """

    keys: tuple[tuple[Attribute, Scalar], ...]
    aggregates: tuple[tuple[Attribute, Invoke], ...]

    @property
    def attributes(self) -> tuple[Attribute, ...]:
        return tuple(attribute for attribute, _ in (*self.keys, *self.aggregates))

    @property
    def order(self) -> tuple[SortKey, ...]:
        return ()


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Join(Relation):
    """kind: innerunique, inner, leftouter, rightouter, fullouter, leftsemi, leftanti, rightsemi, rightanti.

    conditions: pairs of keys, left and right, of one type; null meets null. outputs: the columns of the result, each from one
    side; an unmatched side gives null, or `''` for a string.
    """

    kind: str
    left: Relation
    right: Relation
    conditions: tuple[tuple[Scalar, Scalar], ...]
    outputs: tuple[tuple[Attribute, Attribute], ...]

    @property
    def attributes(self) -> tuple[Attribute, ...]:
        return tuple(attribute for attribute, _ in self.outputs)

    @property
    def inputs(self) -> tuple[Relation, ...]:
        return (self.left, self.right)


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Union(Relation):
    """The rows of all legs. Each leg has, in order, one scalar for each column: a column or a path of the leg, or what needs no column;
    None where it has none of that name.
    """

    columns: tuple[Attribute, ...]
    legs: tuple[tuple[Relation, tuple[Scalar | None, ...]], ...]

    @property
    def attributes(self) -> tuple[Attribute, ...]:
        return self.columns

    @property
    def inputs(self) -> tuple[Relation, ...]:
        return tuple(relation for relation, _ in self.legs)


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Fetch(Relation):
    """The rows of a union that were picked, in no order.

    rows: the column of each leg by which a row is found again. picked: two columns, the number of a leg, from 0, and the row there.
    """

    union: Union
    rows: tuple[Attribute, ...]
    picked: Relation

    @property
    def attributes(self) -> tuple[Attribute, ...]:
        return self.union.attributes

    @property
    def inputs(self) -> tuple[Relation, ...]:
        return (self.union, self.picked)


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Expansion:
    """One dynamic that is expanded. to_type: what its elements are converted to, by their JSON type; None leaves them dynamic."""

    attribute: Attribute
    value: Scalar
    to_type: Type | None = None


def element_form(form: Shape) -> Shape:
    """The form of what comes out when a dynamic of `form` is expanded: a scalar gives itself, a bag gives bags of one member."""
    if isinstance(form, Array):
        return form.element
    return form if isinstance(form, Leaf | JsonLeaf) else json_of((form,))


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class MvExpand(OverOne):
    """A row for each element of the expanded dynamics, side by side; the other columns are repeated.

    columns: all columns as the result shows them. index: a column that counts from 0. as_pairs: a bag gives arrays of key and
    value in place of bags of one member.
    """

    expansions: tuple[Expansion, ...]
    columns: tuple[Attribute, ...]
    index: Attribute | None = None
    limit: int | None = None
    as_pairs: bool = False

    @property
    def kept(self) -> tuple[Attribute, ...]:
        """The columns that are repeated."""
        made = {expansion.attribute for expansion in self.expansions} | {self.index}
        return tuple(attribute for attribute in self.columns if attribute not in made)

    @property
    def attributes(self) -> tuple[Attribute, ...]:
        return self.columns

    @property
    def order(self) -> tuple[SortKey, ...]:
        return ()


class Shared:
    """Which Apply a Given belongs to."""

    __slots__ = ()


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Given(Relation):
    """The input of the Apply around that has the same `shared`. columns: an attribute of its own for each of that input."""

    shared: Shared
    columns: tuple[tuple[Attribute, Attribute], ...]

    @property
    def attributes(self) -> tuple[Attribute, ...]:
        return tuple(own for own, _ in self.columns)


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Apply(Relation):
    """`result`, which reads `input` by one or more Given. The input is computed once, so that all of them see the same rows."""

    shared: Shared
    input: Relation
    result: Relation

    @property
    def attributes(self) -> tuple[Attribute, ...]:
        return self.result.attributes

    @property
    def inputs(self) -> tuple[Relation, ...]:
        return (self.input, self.result)


@dataclass(frozen=True, slots=True)
class Chart:
    """How `render` wants the rows drawn, which changes none of them. kind: `timechart`, ..; properties: text by name."""

    kind: str
    properties: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Plan:
    """A bound query: its rows, whose attributes are the columns of the result."""

    relation: Relation
    chart: Chart | None = None

    @property
    def schema(self) -> Schema:
        return Schema(Column(attribute.name, attribute.type) for attribute in self.relation.attributes)

    def __str__(self) -> str:
        from kqlite.language.explain import show

        return show(self.relation)
