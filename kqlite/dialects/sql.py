"""The SQL tree: what a query is before it is text, which `sql_text` makes."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache

# Expressions


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Literal:
    """A constant: NULL, a boolean, a whole number, a fraction (DOUBLE) or text.

    wide: a whole number that is BIGINT whatever its size; a bare one is an INTEGER where it fits, and overflows as one.
    """

    value: bool | int | float | str | None
    wide: bool = False


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Name:
    """A column, qualified by the alias of what it comes from."""

    table: str
    column: str


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Variable:
    """A parameter of a lambda."""

    name: str


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Parameter:
    """A named parameter, bound when the query runs."""

    name: str


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Field:
    """A field of a struct."""

    base: "Expression"
    name: str


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Element:
    """An element of a list, counted from 1."""

    base: "Expression"
    index: "Expression"


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Operation:
    """Operands joined by one operator, grouped from the left."""

    operator: str
    operands: tuple["Expression", ...]


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Not:
    """The opposite of a condition."""

    operand: "Expression"


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class IsNull:
    """A test for NULL, or for its absence."""

    operand: "Expression"
    negated: bool = False


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class In:
    """Whether a value is among items, or in the column of a query."""

    value: "Expression"
    items: "tuple[Expression, ...] | Query"
    negated: bool = False


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class ArrayOf:
    """The only column of a query, as a list."""

    query: "Query"


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Call:
    """A function call. named: arguments by name, behind the others; the rest is for aggregates and windows."""

    function: str
    arguments: tuple["Expression", ...]
    order_by: tuple["Ordering", ...] = ()
    filter: "Expression | None" = None
    distinct: bool = False
    named: tuple[tuple[str, "Expression"], ...] = ()


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Window:
    """A call over the rows around each row. so_far: over those up to this one, of equal keys too."""

    call: Call
    partition_by: tuple["Expression", ...] = ()
    order_by: tuple["Ordering", ...] = ()
    so_far: bool = False


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Case:
    """The value behind the first condition that is true; `otherwise`, or NULL, where none is."""

    branches: tuple[tuple["Expression", "Expression"], ...]
    otherwise: "Expression | None" = None


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Cast:
    """A conversion by the engine. tries: NULL where it cannot be made, and no error."""

    operand: "Expression"
    type: str
    tries: bool = False


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Lambda:
    """A function of one parameter, as an argument."""

    parameter: str
    body: "Expression"


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class ListOf:
    """A list of its items."""

    items: tuple["Expression", ...]


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Struct:
    """A struct of named values."""

    fields: tuple[tuple[str, "Expression"], ...]


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Star:
    """`*`, as in `count(*)`."""


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Scalar:
    """A subquery of one column and one row."""

    query: "Query"


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Template:
    """SQL text with holes (`{name}`) that take expressions. Written by a function's declaration, never made from a user's text."""

    text: str
    holes: Mapping[str, "Expression"]


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Let:
    """`body`, in which `Variable(name)` stands for `value`: the value is written once where its text is long.

    costly: whether the value is written once however short it is: within a CASE the engine computes a repeated one again.
    """

    name: str
    value: "Expression"
    body: "Expression"
    costly: bool = False


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class CommaSeparated:
    """Several arguments for one hole of a template."""

    items: tuple["Expression", ...]


Expression = (
    Literal
    | Name
    | Variable
    | Parameter
    | Field
    | Element
    | Operation
    | Not
    | IsNull
    | In
    | ArrayOf
    | Call
    | Window
    | Case
    | Cast
    | Lambda
    | ListOf
    | Struct
    | Star
    | Scalar
    | Template
    | Let
    | CommaSeparated
)

# Queries


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Ordering:
    """One key of ORDER BY."""

    expression: Expression
    ascending: bool
    nulls_first: bool


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class TableName:
    """A native table or view."""

    name: str
    alias: str


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Derived:
    """A query in place of a table."""

    query: "Query"
    alias: str


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Joined:
    """kind: `INNER`, `LEFT`, `RIGHT`, `FULL`, `SEMI` or `ANTI`."""

    kind: str
    left: "From"
    right: "From"
    condition: Expression


From = TableName | Derived | Joined


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Select:
    """items: expression and name of each column. A Select without items takes one constant column, since SQL wants one."""

    items: tuple[tuple[Expression, str], ...]
    from_: From | None = None
    where: Expression | None = None
    group_by: tuple[Expression, ...] = ()
    distinct_on: tuple[Expression, ...] = ()
    order_by: tuple[Ordering, ...] = ()
    limit: int | None = None


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class UnionAll:
    """The rows of all legs, in no order."""

    legs: tuple["Query", ...]


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Values:
    """Rows of constants; `names` are the columns'."""

    names: tuple[str, ...]
    rows: tuple[tuple[Expression, ...], ...]


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class With:
    """A query that names another one's rows, which are computed once however often it reads them."""

    name: str
    rows: "Query"
    query: "Query"


Query = Select | UnionAll | Values | With


TRUE = Literal(True)
FALSE = Literal(False)
NULL = Literal(None)


def call(function: str, *arguments: Expression) -> Call:
    return Call(function, arguments)


def or_empty(text: Expression) -> Call:
    """Text, `''` where it is NULL. `concat` and not `coalesce`, which unpacks a dictionary: grouping was four times slower."""
    return Call("concat", (text,))


def operation(operator: str, *operands: Expression) -> Operation:
    return Operation(operator, operands)


def let(name: str, value: Expression, body: Callable[[Expression], Expression], *, costly: bool = False) -> Let:
    """`body` of a value that it uses several times, under a name that no `let` around it has."""
    return Let(name, value, body(Variable(name)), costly)


def walk(expression: Expression) -> Iterator[Expression]:
    """An expression and all expressions in it; what stands in its subqueries is not among them."""
    yield expression
    for child in _children(expression):
        yield from walk(child)


def _children(node: Expression) -> tuple[Expression, ...]:
    match node:
        case Field():
            return (node.base,)
        case Element():
            return (node.base, node.index)
        case Operation():
            return node.operands
        case Not() | IsNull() | Cast():
            return (node.operand,)
        case In():
            return (node.value, *node.items) if isinstance(node.items, tuple) else (node.value,)
        case Call():
            return (
                *node.arguments,
                *(value for _, value in node.named),
                *(ordering.expression for ordering in node.order_by),
                *((node.filter,) if node.filter is not None else ()),
            )
        case Window():
            return (node.call, *node.partition_by, *(ordering.expression for ordering in node.order_by))
        case Case():
            otherwise = () if node.otherwise is None else (node.otherwise,)
            return (*(part for branch in node.branches for part in branch), *otherwise)
        case Lambda():
            return (node.body,)
        case Let():
            return (node.value, node.body)
        case ListOf() | CommaSeparated():
            return node.items
        case Struct():
            return tuple(value for _, value in node.fields)
        case Template():
            # A hole that stands twice in the text is one expression, which the writer writes once if it is long.
            return tuple(node.holes[hole] for hole in dict.fromkeys(hole for _, hole in fragments(node.text)) if hole is not None)
        case _:
            return ()


def all_of(conditions: Sequence[Expression]) -> Expression:
    """The conjunction of conditions, at least one."""
    return conditions[0] if len(conditions) == 1 else Operation("AND", tuple(conditions))


def any_of(conditions: Sequence[Expression]) -> Expression:
    """The disjunction of conditions, at least one."""
    return conditions[0] if len(conditions) == 1 else Operation("OR", tuple(conditions))


_HOLE = re.compile(r"\{(\w+)\}")


@cache
def fragments(text: str) -> tuple[tuple[str, str | None], ...]:
    """The pieces of a template: text, then the name of the hole behind it."""
    pieces = []
    end = 0
    for hole in _HOLE.finditer(text):
        pieces.append((text[end : hole.start()], hole[1]))
        end = hole.end()
    pieces.append((text[end:], None))
    return tuple(pieces)


@dataclass(slots=True)
class Aliases:
    """Hands out aliases that are unique in one query: a user's names are not used, since SQL ignores case and KQL does not."""

    counts: dict[str, int] = field(default_factory=dict)

    def table(self) -> str:
        return self._next("t")

    def column(self, hint: str) -> str:
        """An alias that reminds of `hint`."""
        return self._next(re.sub(r"\W", "_", hint, flags=re.ASCII).lower().strip("_")[:40] or "c")

    def _next(self, stem: str) -> str:
        count = self.counts.get(stem, 0) + 1
        self.counts[stem] = count
        return stem if count == 1 and not stem[-1].isdigit() and stem != "t" else f"{stem}_{count}"
