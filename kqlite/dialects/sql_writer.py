"""The one writer of SQL: quoting, literals and parentheses are decided here and nowhere else.

Every expression has its binding strength; the writer adds only the parentheses that are needed.
"""

import math
import re
from collections.abc import Sequence
from functools import cache
from typing import assert_never

from kqlite.dialects.sql import (
    ArrayOf,
    Call,
    Case,
    Cast,
    CommaSeparated,
    Derived,
    Element,
    Expression,
    Field,
    From,
    In,
    IsNull,
    Joined,
    Lambda,
    Let,
    ListOf,
    Literal,
    Name,
    Not,
    Operation,
    Ordering,
    Parameter,
    Query,
    Scalar,
    Select,
    Star,
    Struct,
    TableName,
    Template,
    UnionAll,
    Values,
    Variable,
    Window,
    With,
    fragments,
    walk,
)

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
_CALL_SHAPE = re.compile(r"[a-z_0-9]+\(", re.IGNORECASE)


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


LONGEST_REPEATED = 240
"""Characters of an expression that a template may repeat. The engine computes a repeated expression once, faster than through a list."""

_BOUND = "bound"
_LIFTED = "lifted"


@cache
def _repeated(text: str) -> tuple[str, ...]:
    """The holes that stand more than once in a template."""
    holes = [hole for _, hole in fragments(text) if hole is not None]
    return tuple(hole for hole in dict.fromkeys(holes) if holes.count(hole) > 1)


def _stands_apart(node: Expression) -> bool:
    """Whether a node is a subquery, or a window, or holds one itself."""
    return isinstance(node, Scalar | ArrayOf | Window) or (isinstance(node, In) and not isinstance(node.items, tuple))


@cache
def _is_closed_template(text: str) -> bool:
    return "TRY(" in text or "lambda " in text


def _is_closed(node: Expression) -> bool:
    """Whether a subquery or a window within would be an error of the engine: in a lambda, and in TRY."""
    match node:
        case Template():
            return _is_closed_template(node.text)
        case Call():
            return node.function == "TRY" or any(isinstance(argument, Lambda) for argument in node.arguments)
        case Let():
            return True
        case _:
            return False


class _Writer:
    def __init__(self) -> None:
        self.parts: list[str] = []
        self.parameters: set[str] = set()
        self.written: dict[str, str] = {}
        self.lifted: dict[int, str] | None = None

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
        if self.lifted is not None:
            place = self.lifted.get(id(node))
            if place is not None:
                self.put(place)
                return
        elif _is_closed(node):
            self.closed(node)
            return
        match node:
            case Literal():
                self.put(f"{literal(node.value)}::BIGINT" if node.wide else literal(node.value))
            case Name():
                self.put(_identifier(node.table) + "." + _identifier(node.column))
            case Variable():
                self.put(self.written.get(node.name) or _identifier(node.name))
            case Parameter():
                self.parameters.add(node.name)
                self.put("$" + node.name)
            case Field():
                if isinstance(node.base, Variable):
                    # Without parentheses DuckDB takes `e.name` for a field of a column `e`, if there is one.
                    self.put("(")
                    self.bare(node.base)
                    self.put(")")
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
            case ArrayOf():
                self.put("ARRAY(")
                self.query(node.query)
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
                if node.so_far:
                    self.put(" ROWS UNBOUNDED PRECEDING")
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
                self.template(node)
            case Let():
                self.let(node)
            case _:
                assert_never(node)

    def closed(self, node: Expression) -> None:
        """Writes an expression that cannot hold a subquery or a window: those in it are bound around it, by a list of one struct."""
        apart = [inner for inner in walk(node) if _stands_apart(inner)]
        places = {id(inner): f"({_LIFTED}).s{number}" for number, inner in enumerate(apart)}
        if apart:
            fields = ", ".join(f"'s{number}': {self.text(inner)}" for number, inner in enumerate(apart))
            self.put(f"list_transform([{{{fields}}}], lambda {_LIFTED}: ")
        self.lifted = places
        self.bare(node)
        self.lifted = None
        if apart:
            self.put(")[1]")

    def template(self, node: Template) -> None:
        """Writes a template. An expression that fills a hole several times is written once where its text is long: a list of one struct
        binds it, and a lambda's parameter stands for it. Calls within calls would grow exponentially otherwise.
        """
        repeated = {hole: self.text(node.holes[hole]) for hole in _repeated(node.text)}
        bound = {
            hole: text
            for hole, text in repeated.items()
            if len(text) > LONGEST_REPEATED and not isinstance(node.holes[hole], CommaSeparated)
        }
        if bound:
            # A lambda cannot hold a subquery or a window.
            others = {hole for _, hole in fragments(node.text) if hole is not None and hole not in bound}
            bound |= {hole: self.text(node.holes[hole]) for hole in sorted(others) if any(map(_stands_apart, walk(node.holes[hole])))}
            fields = ", ".join(f"{literal(hole)}: {text}" for hole, text in bound.items())
            self.put(f"list_transform([{{{fields}}}], lambda {_BOUND}: ")
        for text, hole in fragments(node.text):
            self.put(text)
            if hole in bound:
                self.put(f"({_BOUND}).{quote(hole)}")
            elif hole in repeated:
                self.put(repeated[hole])
            elif hole is not None:
                self.expression(node.holes[hole], ATOM)
        if bound:
            self.put(")[1]")

    def let(self, node: Let) -> None:
        value = self.text(node.value)
        is_long = len(value) > LONGEST_REPEATED or (node.costly and not isinstance(node.value, Literal | Name | Variable | Parameter))
        if is_long:
            self.put(f"list_transform([{{'value': {value}}}], lambda {node.name}: ")
        hidden = self.written.get(node.name)
        self.written[node.name] = f"({node.name}).value" if is_long else value
        self.expression(node.body)
        del self.written[node.name]
        if hidden is not None:
            self.written[node.name] = hidden
        if is_long:
            self.put(")[1]")

    def text(self, node: Expression) -> str:
        """The text of an expression that stands in a template, instead of writing it."""
        start = len(self.parts)
        self.expression(node, ATOM)
        text = "".join(self.parts[start:])
        del self.parts[start:]
        return text

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
        case Let():
            return _strength(node.body)
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
