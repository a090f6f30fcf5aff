"""The operators search and find: a condition over the columns of many tables, in which a text alone stands for any column that has it.

Source: Kusto docs, "search operator", "find operator"; columns and their order were tried on Microsoft's analyser.
"""

import dataclasses
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from kqlite.language import plan, syntax
from kqlite.language.binder.groups import handed_on
from kqlite.language.binder.operators import convert
from kqlite.language.binder.row_operators import keep
from kqlite.language.binder.scalars import ScalarBinder
from kqlite.language.binder.scope import Table
from kqlite.language.binder.unions import named_tables, united
from kqlite.language.diagnostics import Refused, unknown_column, unknown_parameter, unsupported
from kqlite.language.functions import FUNCTIONS
from kqlite.language.source import Span
from kqlite.language.types import Type

if TYPE_CHECKING:
    from kqlite.language.binder.pipeline import TableBinder

SOURCE = "$table"
"""The column of `search` that says from which table a row is."""

PACKED = "pack_"
"""The column of `find` that holds what has no column of its own."""

_CASE_SENSITIVE = {"=~": "==", "!~": "!=", "in~": "in", "!in~": "!in"} | {
    f"{negation}{name}": f"{negation}{name}_cs"
    for name in ("has", "contains", "startswith", "endswith", "hasprefix", "hassuffix")
    for negation in ("", "!")
}


def search(binder: "TableBinder", node: syntax.Search, table: Table | None) -> Table:
    """The rows that fulfil the condition, with all columns of all tables, behind the name of the table."""
    sensitive = False
    for parameter in node.parameters:
        if parameter.name != "kind" or parameter.value not in ("case_sensitive", "case_insensitive", "default"):
            raise Refused(unknown_parameter("search", f"{parameter.name}={parameter.value}", parameter.span))
        sensitive = parameter.value == "case_sensitive"
    if table is not None and node.tables is not None:
        raise Refused(unsupported("`search in (..)` behind another table", node.span, "leave out one of them"))
    legs = _labelled(binder, node.tables) if table is None else [(table, table.label or "union_arg0")]
    condition = _Condition(binder.shared.text, sensitive).of(node.condition)
    legs = _concerned(legs, condition)
    found = [(_filtered(binder, leg, condition, legs), label) for leg, label in legs]
    return united(found, "outer", SOURCE)


def _labelled(binder: "TableBinder", names: Sequence[syntax.Scalar] | None) -> list[tuple[Table, str]]:
    """The tables that are searched, all where none is named, each with its name."""
    everything = (syntax.Name(Span(0, 0), "*"),)
    tables = [binder.table(leg) for leg in named_tables(binder, everything if names is None else names)]
    return [(table, table.label or f"union_arg{place}") for place, table in enumerate(tables)]


def _concerned(legs: list[tuple[Table, str]], condition: syntax.Scalar) -> list[tuple[Table, str]]:
    """The tables that have a column which the condition names; all, where it asks any column or names none."""
    named = set(_columns_named(condition, legs))
    if not named or _asks_any_column(condition):
        return legs
    return [(leg, label) for leg, label in legs if not named.isdisjoint(leg.columns.names())]


def _columns_named(condition: syntax.Scalar, legs: Sequence[tuple[Table, str]]) -> list[str]:
    """The columns of any of the tables that a condition names, in order."""
    known = {attribute.name for leg, _ in legs for attribute in leg.relation.attributes}
    return list(dict.fromkeys(name for name in _names(condition) if name in known))


def _asks_any_column(node: object) -> bool:
    if isinstance(node, syntax.Star):
        return True
    if isinstance(node, tuple):
        return any(map(_asks_any_column, node))
    is_inside = isinstance(node, syntax.Node) and not isinstance(node, syntax.Pipeline)
    return is_inside and any(_asks_any_column(getattr(node, field.name)) for field in dataclasses.fields(node))  # type: ignore[arg-type]


@dataclasses.dataclass(frozen=True, slots=True)
class _Condition:
    """Makes a condition over columns of what is written."""

    text: str
    sensitive: bool

    def of(self, node: syntax.Scalar) -> syntax.Scalar:
        match node:
            case syntax.Star():
                return syntax.Literal(node.span, Type.BOOL, True)
            case syntax.Literal(type=Type.STRING):
                return self._term(node, syntax.Star(node.span), node.span)
            case syntax.Chain() if set(node.operators) <= {"and", "or"}:
                return dataclasses.replace(node, operands=tuple(map(self.of, node.operands)))
            case syntax.Call(function="not", arguments=(inner,)) if not isinstance(inner, syntax.Named):
                return dataclasses.replace(node, arguments=(self.of(inner),))
            case syntax.Binary(right=syntax.Literal(type=Type.STRING)) if self._is_colon(node):
                assert isinstance(node.right, syntax.Literal)
                return self._term(node.right, node.left, node.span)
            case syntax.Binary() | syntax.InList() if self.sensitive:
                return dataclasses.replace(node, operator=_CASE_SENSITIVE.get(node.operator, node.operator))
            case _:
                return node

    def _is_colon(self, node: syntax.Binary) -> bool:
        return self.text[node.operator_span.start : node.operator_span.end] == ":"

    def _term(self, literal: syntax.Literal, column: syntax.Scalar, span: Span) -> syntax.Scalar:
        """Whether a column has a term, in which `*` stands for any characters."""
        term = str(literal.value)
        bare = term.strip("*")
        if not bare:
            return syntax.Literal(span, Type.BOOL, True)
        if "*" in bare:
            ignores_case = "" if self.sensitive else "(?i)"
            pattern = ignores_case + r"\b" + ".*".join(map(re.escape, term.split("*"))) + r"\b"
            return syntax.Binary(span, "matches regex", column, dataclasses.replace(literal, value=pattern), literal.span)
        operator = {(False, False): "has", (True, False): "hassuffix", (False, True): "hasprefix", (True, True): "contains"}[
            term.startswith("*"), term.endswith("*")
        ]
        operator = _CASE_SENSITIVE[operator] if self.sensitive else operator
        return syntax.Binary(span, operator, column, dataclasses.replace(literal, value=bare), literal.span)


def _filtered(binder: "TableBinder", leg: Table, condition: syntax.Scalar, legs: Sequence[tuple[Table, str]]) -> Table:
    """The rows of a table that fulfil the condition. A column that only another table has is null here."""
    missing = _missing(leg, condition, legs)
    relation = leg.relation
    if missing:
        nulls = ((attribute, plan.Constant(attribute.type, "" if attribute.type is Type.STRING else None)) for attribute in missing)
        relation = plan.Project(relation, (*handed_on(relation), *nulls))
    whole = Table(relation, leg.broken, leg.hidden | {attribute.name for attribute in missing})
    holds = ScalarBinder(whole.columns, binder.environment).condition(condition)
    return Table(keep(plan.Filter(relation, holds), leg.relation.attributes), leg.broken, leg.hidden)


def _missing(leg: Table, condition: syntax.Scalar, legs: Sequence[tuple[Table, str]]) -> list[plan.Attribute]:
    """The columns that the condition names, that this table has not, and that another one has."""
    own = set(leg.columns.names())
    found: dict[str, plan.Attribute] = {}
    for name in _names(condition):
        for other, _ in legs:
            attribute = other.columns.find(name)
            if name not in own and attribute is not None:
                found.setdefault(name, plan.Attribute(name, attribute.type))
    return list(found.values())


def _names(node: object) -> Iterator[str]:
    """The names in an expression, in order."""
    if isinstance(node, syntax.Name):
        yield node.name
    elif isinstance(node, tuple):
        for item in node:
            yield from _names(item)
    elif isinstance(node, syntax.Node) and not isinstance(node, syntax.Pipeline):
        for field in dataclasses.fields(node):
            yield from _names(getattr(node, field.name))


# find


def find(binder: "TableBinder", node: syntax.Find) -> Table:
    """The rows that fulfil the condition; columns without a place of their own are members of a bag."""
    source = "source_"
    for parameter in node.parameters:
        if parameter.name not in ("withsource", "with_source"):
            raise Refused(unknown_parameter("find", f"{parameter.name}={parameter.value}", parameter.span))
        source = parameter.value
    legs = _labelled(binder, node.tables)
    condition = _Condition(binder.shared.text, sensitive=False).of(node.condition)
    named = _columns_named(condition, legs)
    legs = _concerned(legs, condition)
    found = [(_filtered(binder, leg, condition, legs), label) for leg, label in legs]
    if node.columns is None:
        shown, packs = _shown_of_each(found, named)
    else:
        shown, packs = _written(node.columns, found)
    types = {c.name: c.type for c in node.columns or () if isinstance(c, syntax.ColumnDeclaration)}
    table = united([(_packed(leg, shown, types, packs=packs), label) for leg, label in found], "outer", source)
    first, *columns = table.relation.attributes
    place = {name: number for number, name in enumerate(shown)}
    # The bag is the last, and a name that has a column for each of its types stands before it.
    columns.sort(key=lambda column: place.get(column.name, len(place) + (column.name == PACKED)))
    return Table(keep(table.relation, (first, *columns)), table.broken)


def _shown_of_each(legs: Sequence[tuple[Table, str]], named: Sequence[str]) -> tuple[list[str], bool]:
    """The columns that every table has, and those that the condition names; whether there are others."""
    everywhere = set.intersection(*({a.name for a in leg.visible()} for leg, _ in legs))
    order = dict.fromkeys(a.name for leg, _ in legs for a in leg.visible())
    shown = [name for name in order if name in everywhere or name in named]
    return shown, len(shown) < len(order)


def _written(
    columns: Sequence[syntax.Name | syntax.ColumnDeclaration | syntax.Call], legs: Sequence[tuple[Table, str]]
) -> tuple[list[str], bool]:
    known = dict.fromkeys(a.name for leg, _ in legs for a in leg.visible())
    shown, packs = [], False
    for column in columns:
        if isinstance(column, syntax.Call):
            if column.function not in ("pack", "pack_all"):
                raise Refused(unsupported(f"`{column.function}` among the columns of `find`", column.span, "there is `pack_all()`"))
            packs = True
        elif column.name not in known:
            raise Refused(unknown_column(column.name, column.span, known))
        else:
            shown.append(column.name)
    return shown, packs


def _packed(leg: Table, shown: Sequence[str], types: Mapping[str, Type], *, packs: bool) -> Table:
    """A table's own columns of those that are shown, and the others in a bag."""
    by_name = {attribute.name: attribute for attribute in leg.visible()}
    outputs: list[tuple[plan.Attribute, plan.Scalar]] = []
    for name in shown:
        attribute = by_name.pop(name, None)
        if attribute is None:
            continue
        value = convert(plan.Reference(attribute), types.get(name, attribute.type))
        outputs.append((attribute if isinstance(value, plan.Reference) else plan.Attribute(name, value.type), value))
    if packs:
        packing = FUNCTIONS.find("pack_all")
        assert packing is not None
        pairs = [scalar for a in by_name.values() for scalar in (plan.Constant(Type.STRING, a.name), plan.Reference(a))]
        flag = plan.Constant(Type.BOOL, True)
        packed = plan.Invoke(packing, (flag, *pairs), Type.DYNAMIC) if pairs else plan.Constant(Type.DYNAMIC, "{}")
        outputs.append((plan.Attribute(PACKED, Type.DYNAMIC), packed))
    return Table(plan.Project(leg.relation, tuple(outputs)), leg.broken)
