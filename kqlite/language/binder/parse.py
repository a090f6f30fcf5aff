"""The operators parse and parse-where: the pattern becomes one regular expression, whose groups are the columns.

Source: Kusto docs, "parse operator", "parse-where operator"; that the pattern of kind simple and relaxed fits the whole text was tried.
"""

from typing import TYPE_CHECKING

from kqlite.language import plan, syntax
from kqlite.language.binder.operators import convert, invoke
from kqlite.language.binder.row_operators import refuse_twice
from kqlite.language.binder.scalars import ScalarBinder
from kqlite.language.binder.scope import Muted, Table
from kqlite.language.diagnostics import Refused, bad_parse_pattern, bad_regex, unknown_parameter, unsupported
from kqlite.language.functions import FUNCTIONS
from kqlite.language.functions.logic import iff, isnotnull
from kqlite.language.functions.regexes import check_regex, escaped, without_groups
from kqlite.language.types import Type

if TYPE_CHECKING:
    from kqlite.language.binder.pipeline import TableBinder

_KINDS = ("simple", "relaxed", "regex")
_FLAGS = frozenset("imsU")

_SHAPES = {
    Type.BOOL: "(?i:true|false)|[+-]?[0-9]+",
    Type.INT: "[+-]?[0-9]+",
    Type.LONG: "[+-]?[0-9]+",
    Type.REAL: r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?",
    Type.DATETIME: "[0-9][0-9A-Za-z:/.+ -]*",
    Type.TIMESPAN: "-?[0-9.:]+",
    Type.GUID: "[0-9A-Fa-f-]+",
    Type.DYNAMIC: ".*",
}
"""What a value of a type looks like, where nothing behind it says how far it goes."""


def parse(binder: "TableBinder", node: syntax.Parse, table: Table) -> Table:
    """A name that exists is replaced in its place, a new one appended. `parse-where` keeps the rows that fit."""
    columns = [part for part in node.pattern if isinstance(part, syntax.ColumnDeclaration)]
    refuse_twice((column.name, column.span) for column in columns)
    names = {column.name for column in columns}
    try:
        kind, flags = _parameters(node)
        regex = _regex(node.pattern, kind, flags)
        text = convert(ScalarBinder(table.columns, binder.environment).bind(node.value), Type.STRING)
    except Refused as refused:
        binder.problems.add(refused.diagnostic)
        return Table(table.relation, table.broken | names, table.hidden - names)
    except Muted:
        return Table(table.relation, table.broken | names, table.hidden - names)
    captures = plan.Attribute("captures", Type.DYNAMIC)
    handed_on = [(attribute, plan.Reference(attribute)) for attribute in table.relation.attributes]
    # Without a column there is one group, so that a match can be told from none.
    value = plan.Captures(text, regex if columns else f"(){regex}", len(columns) or 1)
    relation: plan.Relation = plan.Project(table.relation, (*handed_on, (captures, value)))
    values = [_value(captures, number, column.type) for number, column in enumerate(columns)]
    typed = [plan.Invoke(isnotnull, (value,), Type.BOOL) for value in values if value.type is not Type.STRING] if kind != "relaxed" else []
    fits = [plan.Invoke(isnotnull, (plan.Reference(captures),), Type.BOOL), *typed]
    if node.keyword == "parse-where":
        relation = plan.Filter(relation, invoke("and", fits) if typed else fits[0])
    elif typed:
        values = [plan.Invoke(iff, (invoke("and", fits), value, _nothing(value.type)), value.type) for value in values]
    parsed = {column.name: value for column, value in zip(columns, values, strict=True)}
    made = {name: plan.Attribute(name, value.type) for name, value in parsed.items()}
    outputs = [(made.get(a.name, a), parsed.get(a.name, plan.Reference(a))) for a in table.relation.attributes]
    known = {attribute.name for attribute in table.relation.attributes}
    outputs += [(made[name], value) for name, value in parsed.items() if name not in known]
    return Table(plan.Project(relation, tuple(outputs)), table.broken - names, table.hidden - names)


def _parameters(node: syntax.Parse) -> tuple[str, str]:
    """The kind, and the flags of kind regex."""
    kind, flags = "simple", ""
    for parameter in node.parameters:
        if parameter.name == "kind" and parameter.value in _KINDS:
            kind = parameter.value
        elif parameter.name == "flags":
            flags = parameter.value
            if not set(flags) <= _FLAGS:
                raise Refused(unsupported(f"a flag among `{flags}`", parameter.value_span, "there are `i`, `m`, `s` and `U`"))
        else:
            raise Refused(unknown_parameter(node.keyword, f"{parameter.name}={parameter.value}", parameter.span))
    return kind, flags


def _regex(pattern: tuple[syntax.Star | syntax.Literal | syntax.ColumnDeclaration, ...], kind: str, flags: str) -> str:
    """The pattern as a regular expression with a group for each column."""
    is_regex = kind == "regex"
    parts = [f"(?{flags})" if flags else ""] if is_regex else ["(?s)^"]
    before: syntax.Node | None = None
    for place, part in enumerate(pattern):
        follower = pattern[place + 1] if place + 1 < len(pattern) else None
        match part:
            case syntax.Star():
                if isinstance(before, syntax.ColumnDeclaration) and before.type is Type.STRING:
                    raise Refused(bad_parse_pattern("`*` after a string leaves open where the string ends", part.span))
                if isinstance(before, syntax.Star) or isinstance(follower, syntax.ColumnDeclaration):
                    raise Refused(bad_parse_pattern("a string literal must follow `*`", part.span))
                parts.append(".*?" if follower is not None or is_regex else "")
            case syntax.Literal():
                parts.append(_constant(part, is_regex=is_regex))
            case syntax.ColumnDeclaration():
                if isinstance(before, syntax.ColumnDeclaration):
                    raise Refused(bad_parse_pattern(f"a string literal must stand before the column `{part.name}`", part.span))
                parts.append(f"({_column(part.type, follower, is_regex=is_regex)})")
        before = part
    if not is_regex and not isinstance(before, syntax.Star):
        parts.append("$")
    return "".join(parts)


def _constant(literal: syntax.Literal, *, is_regex: bool) -> str:
    text = str(literal.value)
    if literal.type is not Type.STRING or not text:
        raise Refused(bad_parse_pattern("what stands between the columns is a text, and not empty", literal.span))
    if not is_regex:
        return escaped(text)
    if (reason := check_regex(text)) is not None:
        raise Refused(bad_regex(reason, literal.span))
    return without_groups(text)


def _column(type_: Type, follower: syntax.Node | None, *, is_regex: bool) -> str:
    if type_ is not Type.STRING and (is_regex or isinstance(follower, syntax.Star)):
        return _SHAPES[type_]
    return ".*" if is_regex or follower is None else ".*?"


def _value(captures: plan.Attribute, number: int, type_: Type) -> plan.Scalar:
    text = convert(plan.Path(plan.Reference(captures), (plan.capture(number),)), Type.STRING)
    if type_ is Type.DYNAMIC:
        parse_json = FUNCTIONS.find("parse_json")
        assert parse_json is not None
        return plan.Invoke(parse_json, (text,), Type.DYNAMIC)
    return convert(text, type_)


def _nothing(type_: Type) -> plan.Constant:
    return plan.Constant(type_, "" if type_ is Type.STRING else None)
