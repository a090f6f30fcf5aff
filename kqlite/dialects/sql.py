"""The SQL tree and its one writer: quoting, literals and parentheses are decided here and nowhere else.

Every expression carries its binding strength; the writer adds only the parentheses that are needed.
"""

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import assert_never

# Binding strengths, loosest first.
LOOSEST, OR, AND, NOT, COMPARE, CONCAT, ADD, MULTIPLY, UNARY, POSTFIX, ATOM = range(11)

_STRENGTH = {
    "OR": OR,
    "AND": AND,
    "=": COMPARE,
    "<>": COMPARE,
    "<": COMPARE,
    ">": COMPARE,
    "<=": COMPARE,
    ">=": COMPARE,
    "IS DISTINCT FROM": COMPARE,
    "IS NOT DISTINCT FROM": COMPARE,
    "ILIKE": COMPARE,
    "||": CONCAT,
    "->": CONCAT,
    "->>": CONCAT,
    "+": ADD,
    "-": ADD,
    "*": MULTIPLY,
    "/": MULTIPLY,
    "//": MULTIPLY,
    "%": MULTIPLY,
}


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
    """A call over the rows around each row."""

    call: Call
    partition_by: tuple["Expression", ...] = ()
    order_by: tuple["Ordering", ...] = ()


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
        case ListOf() | CommaSeparated():
            return node.items
        case Struct():
            return tuple(value for _, value in node.fields)
        case Template():
            # A hole that stands twice in the text is written twice.
            return tuple(node.holes[hole] for _, hole in _fragments(node.text) if hole is not None)
        case _:
            return ()


def all_of(conditions: Sequence[Expression]) -> Expression:
    """The conjunction of conditions, at least one."""
    return conditions[0] if len(conditions) == 1 else Operation("AND", tuple(conditions))


def quote(name: str) -> str:
    """A name as an identifier. DuckDB has no way to write a NUL in one, so the lowering never uses a user's names; this guards the rest."""
    assert "\0" not in name
    return '"' + name.replace('"', '""') + '"'


def write(query: Query) -> tuple[str, frozenset[str]]:
    """The text of a query, and the names of its parameters."""
    writer = _Writer()
    writer.query(query)
    return "".join(writer.parts), frozenset(writer.parameters)


def write_expression(expression: Expression) -> str:
    """The text of an expression."""
    writer = _Writer()
    writer.expression(expression)
    return "".join(writer.parts)


_PLAIN_NAME = re.compile(r"[a-z_][a-z0-9_]*\Z")
_HOLE = re.compile(r"\{(\w+)\}")
_CALL_SHAPE = re.compile(r"[a-z_0-9]+\(", re.IGNORECASE)


@cache
def _fragments(text: str) -> tuple[tuple[str, str | None], ...]:
    """The pieces of a template: text, then the name of the hole behind it."""
    pieces = []
    end = 0
    for hole in _HOLE.finditer(text):
        pieces.append((text[end : hole.start()], hole[1]))
        end = hole.end()
    pieces.append((text[end:], None))
    return tuple(pieces)


@cache
def _template_strength(text: str) -> int:
    """ATOM for a single call or CASE, which needs no parentheses wherever it stands; LOOSEST for anything else."""
    if text.startswith("CASE ") and text.endswith(" END") and text.count("CASE ") == 1:
        return ATOM
    start = _CALL_SHAPE.match(text)
    if start is None:
        return LOOSEST
    depth = 0
    quoted = False
    for position, character in enumerate(text):
        if character == "'":
            quoted = not quoted
        elif not quoted and character in "([":
            depth += 1
        elif not quoted and character in ")]":
            depth -= 1
            if depth == 0 and position < len(text) - 1:
                return LOOSEST
    return ATOM


class _Writer:
    def __init__(self) -> None:
        self.parts: list[str] = []
        self.parameters: set[str] = set()

    def put(self, text: str) -> None:
        self.parts.append(text)

    def comma_separated(self, expressions: Sequence[Expression]) -> None:
        for index, expression in enumerate(expressions):
            if index:
                self.put(", ")
            self.expression(expression)

    # Queries

    def query(self, query: Query) -> None:
        match query:
            case Select():
                self.select(query)
            case UnionAll():
                for index, leg in enumerate(query.legs):
                    if index:
                        self.put(" UNION ALL ")
                    simple = isinstance(leg, Select) and not leg.order_by and leg.limit is None
                    self.put("" if simple else "(")
                    self.query(leg)
                    self.put("" if simple else ")")
            case Values():
                self.put("SELECT * FROM (VALUES ")
                for index, row in enumerate(query.rows):
                    self.put(", (" if index else "(")
                    self.comma_separated(row)
                    self.put(")")
                self.put(") AS v(" + ", ".join(_identifier(name) for name in query.names) + ")")
            case With():
                self.put(f"WITH {quote(query.name)} AS MATERIALIZED (")
                self.query(query.rows)
                self.put(") ")
                self.query(query.query)
            case _:
                assert_never(query)

    def select(self, select: Select) -> None:
        self.put("SELECT ")
        if select.distinct_on:
            self.put("DISTINCT ON (")
            self.comma_separated(select.distinct_on)
            self.put(") ")
        if not select.items:
            self.put('1 AS "_"')
        for index, (expression, name) in enumerate(select.items):
            if index:
                self.put(", ")
            self.expression(expression)
            if not (isinstance(expression, Name) and expression.column == name):
                self.put(" AS " + _identifier(name))
        if select.from_ is not None:
            self.put(" FROM ")
            self.from_(select.from_)
        if select.where is not None:
            self.put(" WHERE ")
            self.expression(select.where)
        if select.group_by:
            self.put(" GROUP BY ")
            self.comma_separated(select.group_by)
        if select.order_by:
            self.put(" ORDER BY ")
            self.orderings(select.order_by)
        if select.limit is not None:
            self.put(f" LIMIT {select.limit:d}")

    def from_(self, from_: From) -> None:
        match from_:
            case TableName():
                self.put(quote(from_.name) + " AS " + _identifier(from_.alias))
            case Derived():
                self.put("(")
                self.query(from_.query)
                self.put(") AS " + _identifier(from_.alias))
            case Joined():
                self.from_(from_.left)
                self.put(f" {from_.kind} JOIN ")
                nested = isinstance(from_.right, Joined)
                self.put("(" if nested else "")
                self.from_(from_.right)
                self.put(")" if nested else "")
                self.put(" ON ")
                self.expression(from_.condition)
            case _:
                assert_never(from_)

    def orderings(self, orderings: Sequence[Ordering]) -> None:
        for index, ordering in enumerate(orderings):
            if index:
                self.put(", ")
            self.expression(ordering.expression)
            self.put(" ASC" if ordering.ascending else " DESC")
            self.put(" NULLS FIRST" if ordering.nulls_first else " NULLS LAST")

    # Expressions

    def expression(self, node: Expression, least: int = LOOSEST) -> None:
        """Writes `node`, in parentheses where it binds more loosely than `least`."""
        if _strength(node) < least:
            self.put("(")
            self.bare(node)
            self.put(")")
        else:
            self.bare(node)

    def bare(self, node: Expression) -> None:
        match node:
            case Literal():
                self.put(f"{literal(node.value)}::BIGINT" if node.wide else literal(node.value))
            case Name():
                self.put(_identifier(node.table) + "." + _identifier(node.column))
            case Variable():
                self.put(_identifier(node.name))
            case Parameter():
                self.parameters.add(node.name)
                self.put("$" + node.name)
            case Field():
                if isinstance(node.base, Variable):
                    # Without parentheses DuckDB takes `e.name` for a field of a column `e`, if there is one.
                    self.put("(" + _identifier(node.base.name) + ")")
                else:
                    self.expression(node.base, POSTFIX)
                self.put("." + quote(node.name))
            case Element():
                self.expression(node.base, POSTFIX)
                self.put("[")
                self.expression(node.index)
                self.put("]")
            case Operation():
                strength = _STRENGTH[node.operator]
                for index, operand in enumerate(node.operands):
                    if index:
                        self.put(f" {node.operator} ")
                    # Operators group from the left; comparisons do not chain at all.
                    self.expression(operand, strength + ((index > 0 and node.operator not in ("AND", "OR")) or strength == COMPARE))
            case Not():
                self.put("NOT ")
                self.expression(node.operand, COMPARE)
            case IsNull():
                self.expression(node.operand, CONCAT)
                self.put(" IS NOT NULL" if node.negated else " IS NULL")
            case In():
                self.expression(node.value, CONCAT)
                self.put(" NOT IN (" if node.negated else " IN (")
                if isinstance(node.items, tuple):
                    self.comma_separated(node.items)
                else:
                    self.query(node.items)
                self.put(")")
            case Call():
                self.call(node)
            case Window():
                self.call(node.call)
                self.put(" OVER (")
                if node.partition_by:
                    self.put("PARTITION BY ")
                    self.comma_separated(node.partition_by)
                if node.order_by:
                    self.put(" ORDER BY ")
                    self.orderings(node.order_by)
                self.put(")")
            case Case():
                self.put("CASE")
                for condition, value in node.branches:
                    self.put(" WHEN ")
                    self.expression(condition)
                    self.put(" THEN ")
                    self.expression(value)
                if node.otherwise is not None:
                    self.put(" ELSE ")
                    self.expression(node.otherwise)
                self.put(" END")
            case Cast():
                self.put("TRY_CAST(" if node.tries else "CAST(")
                self.expression(node.operand)
                self.put(f" AS {node.type})")
            case Lambda():
                self.put(f"lambda {_identifier(node.parameter)}: ")
                self.expression(node.body)
            case ListOf():
                self.put("[")
                self.comma_separated(node.items)
                self.put("]")
            case Struct():
                self.put("{")
                for index, (name, value) in enumerate(node.fields):
                    self.put((", " if index else "") + literal(name) + ": ")
                    self.expression(value)
                self.put("}")
            case Star():
                self.put("*")
            case Scalar():
                self.put("(")
                self.query(node.query)
                self.put(")")
            case CommaSeparated():
                self.comma_separated(node.items)
            case Template():
                for text, hole in _fragments(node.text):
                    self.put(text)
                    if hole is not None:
                        self.expression(node.holes[hole], ATOM)
            case _:
                assert_never(node)

    def call(self, node: Call) -> None:
        self.put(node.function + ("(DISTINCT " if node.distinct else "("))
        self.comma_separated(node.arguments)
        for index, (name, value) in enumerate(node.named):
            self.put((", " if index or node.arguments else "") + quote(name) + " := ")
            self.expression(value)
        if node.order_by:
            self.put(" ORDER BY ")
            self.orderings(node.order_by)
        self.put(")")
        if node.filter is not None:
            self.put(" FILTER (WHERE ")
            self.expression(node.filter)
            self.put(")")


def _strength(node: Expression) -> int:
    match node:
        case Operation():
            return _STRENGTH[node.operator]
        case Not():
            return NOT
        case IsNull() | In():
            return COMPARE
        case Lambda():
            return LOOSEST
        case Template():
            return _template_strength(node.text)
        case Literal(value=bool() | str() | None):
            return ATOM
        case Literal():
            # `-1` is the operator on 1, and a cast is written behind a fraction.
            return UNARY if node.wide or isinstance(node.value, float) or (isinstance(node.value, int) and node.value < 0) else ATOM
        case Field() | Element():
            return POSTFIX if isinstance(node.base, Name | Field | Element | Variable) else ATOM
        case _:
            return ATOM


_RESERVED = frozenset(
    [
        "all",
        "and",
        "any",
        "array",
        "as",
        "asc",
        "both",
        "case",
        "cast",
        "check",
        "collate",
        "column",
        "create",
        "default",
        "desc",
        "distinct",
        "do",
        "else",
        "end",
        "except",
        "false",
        "fetch",
        "for",
        "from",
        "group",
        "having",
        "in",
        "initially",
        "intersect",
        "into",
        "is",
        "join",
        "lateral",
        "leading",
        "left",
        "like",
        "limit",
        "not",
        "null",
        "offset",
        "on",
        "only",
        "or",
        "order",
        "pivot",
        "placing",
        "primary",
        "qualify",
        "references",
        "right",
        "select",
        "show",
        "some",
        "summarize",
        "symmetric",
        "table",
        "then",
        "to",
        "trailing",
        "true",
        "union",
        "unique",
        "using",
        "when",
        "where",
        "window",
        "with",
        "lambda",
        "values",
    ]
)


def _identifier(name: str) -> str:
    return name if _PLAIN_NAME.match(name) and name not in _RESERVED else quote(name)


def literal(value: bool | int | float | str | None) -> str:
    """A constant as SQL text. Fractions are DOUBLE (a bare `1.5` would be a DECIMAL), whole numbers beyond INTEGER come out as
    BIGINT by themselves.
    """
    match value:
        case None:
            return "NULL"
        case bool():
            return "TRUE" if value else "FALSE"
        case int():
            return str(value)
        case float():
            if math.isfinite(value):
                return f"{value!r}::DOUBLE"
            return f"'{'nan' if math.isnan(value) else 'inf' if value > 0 else '-inf'}'::DOUBLE"
        case str():
            return "'" + value.replace("'", "''") + "'"


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
