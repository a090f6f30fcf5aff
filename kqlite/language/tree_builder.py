"""Makes the nodes of the syntax tree: a method for each rule of `grammar/kql.lark`, or for the name after its `->`.

A method takes the values of the rule's symbols (text for a token that is kept) and where the rule starts and ends. What is wrong inside a
literal goes to `diagnostics`, and some value stands in its place, so that the rest of the query is looked at too.
"""

import json
import math
from typing import Any

from kqlite.language import diagnostics, literals, syntax
from kqlite.language.diagnostics import Diagnostic
from kqlite.language.source import Span
from kqlite.language.types import ALIASES, Type

Children = list[Any]
"""Any: what they are is said by the grammar's rule of the method's name."""

_CONVERSIONS = {Type.BOOL: "tobool", Type.INT: "toint", Type.LONG: "tolong", Type.REAL: "toreal", Type.DATETIME: "todatetime"} | {
    Type.TIMESPAN: "totimespan",
    Type.GUID: "toguid",
}
_OLD_OPERATORS = {
    "<>": "!=",
    "notcontains": "!contains",
    "notcontainscs": "!contains_cs",
    "containscs": "contains_cs",
    "like": "contains",
    "likecs": "contains_cs",
    "notlike": "!contains",
    "notlikecs": "!contains_cs",
    ":": "has",
}


class TreeBuilder:
    """One parse's nodes, and what is wrong inside them."""

    def __init__(self, text: str):
        self.diagnostics: list[Diagnostic] = []
        self._text = text

    # Statements

    def query(self, children: Children, start: int, end: int) -> syntax.Query:
        *statements, body = children
        span = Span(start, end)
        if not isinstance(body, syntax.Pipeline):
            body = syntax.Pipeline(body.span, body, ())
        return syntax.Query(span, tuple(statements), body)

    body = query

    def let(self, children: Children, start: int, end: int) -> syntax.Let:
        return syntax.Let(Span(start, end), *children)

    def function(self, children: Children, start: int, end: int) -> syntax.Function:
        view, _, *parameters, body = children
        return syntax.Function(Span(start, end), view is not None, tuple(parameters), body)

    def scalar_parameter(self, children: Children, start: int, end: int) -> syntax.ScalarParameter:
        name, type_, default = children
        return syntax.ScalarParameter(Span(start, end), name.name, type_, default)

    def table_parameter(self, children: Children, start: int, end: int) -> syntax.TableParameter:
        name, *columns = children
        return syntax.TableParameter(Span(start, end), name.name, None if isinstance(columns[0], syntax.Star) else tuple(columns))

    def query_parameters(self, children: Children, start: int, end: int) -> syntax.QueryParameters:
        return syntax.QueryParameters(Span(start, end), tuple(children[1:]))

    def set(self, children: Children, start: int, end: int) -> syntax.Set:
        return syntax.Set(Span(start, end), children[1], children[2])

    def implicit(self, children: Children, start: int, end: int) -> syntax.Pipeline:
        return syntax.Pipeline(Span(start, end), None, tuple(children))

    def pipeline(self, children: Children, start: int, end: int) -> syntax.Pipeline:
        return syntax.Pipeline(Span(start, end), children[0], tuple(children[1:]))

    # Sources that are no expression

    def print(self, children: Children, start: int, end: int) -> syntax.Print:
        return syntax.Print(Span(start, end), tuple(children[1:]))

    def range(self, children: Children, start: int, end: int) -> syntax.Range:
        return syntax.Range(Span(start, end), *children[1:])

    def datatable(self, children: Children, start: int, end: int) -> syntax.Datatable:
        columns = tuple(child for child in children[1:] if isinstance(child, syntax.ColumnDeclaration))
        return syntax.Datatable(Span(start, end), columns, tuple(children[1 + len(columns) :]))

    def column(self, children: Children, start: int, end: int) -> syntax.ColumnDeclaration:
        name, type_ = children
        return syntax.ColumnDeclaration(Span(start, end), name.name, type_)

    # Tabular operators

    def where(self, children: Children, start: int, end: int) -> syntax.Where:
        return syntax.Where(Span(start, end), children[0])

    def extend(self, children: Children, start: int, end: int) -> syntax.Extend:
        return syntax.Extend(Span(start, end), tuple(children))

    def project(self, children: Children, start: int, end: int) -> syntax.Project:
        return syntax.Project(Span(start, end), tuple(children[1:]))

    def project_away(self, children: Children, start: int, end: int) -> syntax.ProjectAway:
        return syntax.ProjectAway(Span(start, end), tuple(children[1:]))

    def project_keep(self, children: Children, start: int, end: int) -> syntax.ProjectKeep:
        return syntax.ProjectKeep(Span(start, end), tuple(children[1:]))

    def project_rename(self, children: Children, start: int, end: int) -> syntax.ProjectRename:
        return syntax.ProjectRename(Span(start, end), tuple(children[1:]))

    def project_reorder(self, children: Children, start: int, end: int) -> syntax.ProjectReorder:
        return syntax.ProjectReorder(Span(start, end), tuple(children[1:]))

    def project_by_names(self, children: Children, start: int, end: int) -> syntax.ProjectByNames:
        return syntax.ProjectByNames(Span(start, end), tuple(children[1:]))

    def reordered(self, children: Children, start: int, end: int) -> syntax.Reordered:
        return syntax.Reordered(Span(start, end), *children)

    def sort(self, children: Children, start: int, end: int) -> syntax.Sort:
        return syntax.Sort(Span(start, end), _without_hints(children))

    def sort_key(self, children: Children, start: int, end: int) -> syntax.SortKey:
        value, direction, nulls = children
        return syntax.SortKey(Span(start, end), value, direction and direction == "asc", nulls and nulls == "first")

    def take(self, children: Children, start: int, end: int) -> syntax.Take:
        return syntax.Take(Span(start, end), children[0])

    def top(self, children: Children, start: int, end: int) -> syntax.Top:
        return syntax.Top(Span(start, end), children[1], (children[2],))

    def count(self, children: Children, start: int, end: int) -> syntax.Count:
        return syntax.Count(Span(start, end))

    def distinct(self, children: Children, start: int, end: int) -> syntax.Distinct:
        return syntax.Distinct(Span(start, end), _without_hints(children))

    def summarize(self, children: Children, start: int, end: int) -> syntax.Summarize:
        *aggregates, by = children
        return syntax.Summarize(Span(start, end), _without_hints(aggregates), by or ())

    def by(self, children: Children, start: int, end: int) -> tuple[syntax.Item, ...]:
        return tuple(children)

    def union(self, children: Children, start: int, end: int) -> syntax.Union:
        parameters, legs = _split_parameters(children)
        return syntax.Union(Span(start, end), parameters, legs)

    def search(self, children: Children, start: int, end: int) -> syntax.Search:
        parameters, (tables, condition) = _split_parameters(children[1:])
        return syntax.Search(Span(start, end), parameters, tables, condition)

    def find(self, children: Children, start: int, end: int) -> syntax.Find:
        parameters, (tables, condition, columns) = _split_parameters(children[1:])
        return syntax.Find(Span(start, end), parameters, tables, condition, columns or None)

    def tables(self, children: Children, start: int, end: int) -> tuple[syntax.Scalar, ...]:
        word, *tables = children
        if word != "in":
            self.diagnostics.append(diagnostics.unexpected(f"`{word}`", ["`in`"], Span(start, start + len(word))))
        return tuple(tables)

    def found(self, children: Children, start: int, end: int) -> tuple[syntax.Node, ...]:
        return tuple(children[1:])

    def join(self, children: Children, start: int, end: int) -> syntax.Join:
        parameters, (right, *conditions) = _split_parameters(children)
        return syntax.Join(Span(start, end), parameters, right, tuple(conditions))

    def lookup(self, children: Children, start: int, end: int) -> syntax.Lookup:
        parameters, (right, *conditions) = _split_parameters(children)
        return syntax.Lookup(Span(start, end), parameters, right, tuple(conditions))

    def mv_expand(self, children: Children, start: int, end: int) -> syntax.MvExpand:
        keyword, *between, limit = children
        parameters, items = _split_parameters(between)
        return syntax.MvExpand(Span(start, end), keyword, parameters, items, limit)

    def subquery(self, children: Children, start: int, end: int) -> tuple[syntax.Operator, ...]:
        return tuple(children)

    def mv_apply(self, children: Children, start: int, end: int) -> syntax.MvApply:
        _, *between, limit, operators = children
        return syntax.MvApply(Span(start, end), *_split_parameters(between), limit, operators)

    def partition(self, children: Children, start: int, end: int) -> syntax.Partition:
        return syntax.Partition(Span(start, end), *_without_hints(children[1:]))

    def series(self, children: Children, start: int, end: int) -> syntax.SeriesItem:
        return syntax.SeriesItem(Span(start, end), *children)

    def make_series(self, children: Children, start: int, end: int) -> syntax.MakeSeries:
        parameters, rest = _split_parameters(children[1:])
        items = tuple(child for child in rest if isinstance(child, syntax.SeriesItem))
        axis, *bounds, by = rest[len(items) :]
        includes_stop = isinstance(bounds[0], str)
        first, last, step = self._range_bounds(*bounds) if includes_stop else bounds
        return syntax.MakeSeries(Span(start, end), parameters, items, axis, first, last, step, includes_stop, by or ())

    def _range_bounds(self, word: str, call: syntax.Call) -> list[syntax.Scalar]:
        """What `in range(start, stop, step)` says."""
        bounds = [argument for argument in call.arguments if not isinstance(argument, syntax.Named)]
        if word != "in" or call.function != "range" or len(bounds) != 3:
            self.diagnostics.append(diagnostics.unexpected(f"`{word} {call.function}(..)`", ["`in range(start, stop, step)`"], call.span))
        return [*bounds, call, call, call][:3]

    def top_nested(self, children: Children, start: int, end: int) -> syntax.TopNested:
        return syntax.TopNested(Span(start, end), tuple(children))

    def level(self, children: Children, start: int, end: int) -> syntax.Level:
        return syntax.Level(Span(start, end), *children[1:])

    def top_hitters(self, children: Children, start: int, end: int) -> syntax.TopHitters:
        return syntax.TopHitters(Span(start, end), *children[1:])

    def expanded(self, children: Children, start: int, end: int) -> syntax.Expanded:
        value, to_type = children
        return syntax.Expanded(Span(start, end), value, to_type and to_type.type)

    def parse(self, children: Children, start: int, end: int) -> syntax.Parse:
        keyword, *rest = children
        parameters, (value, *pattern) = _split_parameters(rest)
        return syntax.Parse(Span(start, end), keyword, parameters, value, tuple(pattern))

    def parse_kv(self, children: Children, start: int, end: int) -> syntax.ParseKv:
        _, value, *rest = children
        columns = tuple(child for child in rest if isinstance(child, syntax.ColumnDeclaration))
        options = tuple(child for child in rest[len(columns) :] if child is not None)
        return syntax.ParseKv(Span(start, end), value, columns, options)

    def parsed(self, children: Children, start: int, end: int) -> syntax.ColumnDeclaration:
        name, type_ = children
        return syntax.ColumnDeclaration(Span(start, end), name.name, type_ or Type.STRING)

    def serialize(self, children: Children, start: int, end: int) -> syntax.Serialize:
        return syntax.Serialize(Span(start, end), tuple(item for item in children if item is not None))

    def sample(self, children: Children, start: int, end: int) -> syntax.Sample:
        return syntax.Sample(Span(start, end), children[1])

    def sample_distinct(self, children: Children, start: int, end: int) -> syntax.SampleDistinct:
        return syntax.SampleDistinct(Span(start, end), *children[1:])

    def getschema(self, children: Children, start: int, end: int) -> syntax.GetSchema:
        return syntax.GetSchema(Span(start, end))

    def as_(self, children: Children, start: int, end: int) -> syntax.As:
        return syntax.As(Span(start, end), *_without_hints(children))

    def invoke(self, children: Children, start: int, end: int) -> syntax.Invoke:
        return syntax.Invoke(Span(start, end), *children)

    def evaluate(self, children: Children, start: int, end: int) -> syntax.Evaluate:
        return syntax.Evaluate(Span(start, end), *_without_hints(children))

    def output_schema(self, children: Children, start: int, end: int) -> syntax.OutputSchema:
        keeps_source = isinstance(children[0], syntax.Star)
        return syntax.OutputSchema(Span(start, end), keeps_source, tuple(children[keeps_source:]))

    def consume(self, children: Children, start: int, end: int) -> syntax.Consume:
        return syntax.Consume(Span(start, end))

    def render(self, children: Children, start: int, end: int) -> syntax.Render:
        chart, *properties = children
        named = [_as_item(item) if isinstance(item, syntax.Parameter) else item for item in properties if item is not None]
        return syntax.Render(Span(start, end), chart, tuple(named))

    def parameter(self, children: Children, start: int, end: int) -> syntax.Parameter:
        name, value = children
        return syntax.Parameter(Span(start, end), name[:-1].rstrip(), value.name, value.span)

    hint = parse_parameter = parameter

    def parameter_value(self, children: Children, start: int, end: int) -> syntax.Name:
        written = children[0]
        return syntax.Name(Span(start, end), self._string(written, start) if written[-1] in "'\"`~" else written)

    def pattern(self, children: Children, start: int, end: int) -> syntax.Name:
        return syntax.Name(Span(start, end), children[0])

    # Items

    def star(self, children: Children, start: int, end: int) -> syntax.Star:
        return syntax.Star(Span(start, end))

    def named(self, children: Children, start: int, end: int) -> syntax.Named:
        *names, value = children
        if not isinstance(names[0], syntax.Name):
            self.diagnostics.append(diagnostics.not_a_name(names[0].span))
            names = [syntax.Name(names[0].span, "")]
        return syntax.Named(Span(start, end), tuple(names), value)

    # Scalars

    def expression(self, children: Children, start: int, end: int) -> syntax.Chain:
        return syntax.Chain(Span(start, end), tuple(children), ("or",) * (len(children) - 1))

    def conjunction(self, children: Children, start: int, end: int) -> syntax.Chain:
        return syntax.Chain(Span(start, end), tuple(children), ("and",) * (len(children) - 1))

    def sum(self, children: Children, start: int, end: int) -> syntax.Chain:
        return syntax.Chain(Span(start, end), tuple(children[::2]), tuple(children[1::2]))

    product = sum

    def operator(self, children: Children, start: int, end: int) -> syntax.Name:
        written: str = children[0]
        name = "matches regex" if written.startswith("matches") else _OLD_OPERATORS.get(written, written)
        return syntax.Name(Span(start, end), name)

    def binary(self, children: Children, start: int, end: int) -> syntax.Binary:
        left, operator, right = children
        if "like" in (written := self._text[operator.span.start : operator.span.end]):
            self._check_like(written, right)
        return syntax.Binary(Span(start, end), operator.name, left, right, operator.span)

    def _check_like(self, written: str, pattern: syntax.Scalar) -> None:
        """No page says what `like` means. Published queries mean `contains` by it, and have no wildcards there."""
        if not isinstance(pattern, syntax.Literal) or not set(str(pattern.value)).isdisjoint("*%?"):
            hint = f"write `{_OLD_OPERATORS[written]}` or `matches regex`"
            self.diagnostics.append(diagnostics.undecided(f"`{written}` with wildcards", pattern.span, hint))

    def in_list(self, children: Children, start: int, end: int) -> syntax.InList:
        value, operator, *items = children
        return syntax.InList(Span(start, end), operator.name, value, tuple(items), operator.span)

    def between(self, children: Children, start: int, end: int) -> syntax.Between:
        value, operator, low, high = children
        return syntax.Between(Span(start, end), value, low, high, operator[0] == "!")

    def signed(self, children: Children, start: int, end: int) -> syntax.Unary:
        return syntax.Unary(Span(start, end), *children)

    def member(self, children: Children, start: int, end: int) -> syntax.MemberAccess:
        base, name = children
        return syntax.MemberAccess(Span(start, end), base, name.name, name.span)

    def index(self, children: Children, start: int, end: int) -> syntax.MemberAccess | syntax.IndexAccess:
        base, index = children
        if isinstance(index, syntax.Literal) and index.type is Type.STRING:
            return syntax.MemberAccess(Span(start, end), base, str(index.value), index.span)
        return syntax.IndexAccess(Span(start, end), base, index)

    def paren(self, children: Children, start: int, end: int) -> Any:
        """What stands in the parentheses: they leave no node, but count as a level."""
        return children[0]

    def call(self, children: Children, start: int, end: int) -> syntax.Call:
        name, *arguments = children
        if name.name == "externaldata":
            self.diagnostics.append(diagnostics.unsupported("the operator `externaldata`", name.span))
        if (type_ := ALIASES.get(name.name)) in _CONVERSIONS and type_:
            hint = f"`{_CONVERSIONS[type_]}()` converts a value"
            self.diagnostics.append(diagnostics.bad_literal(type_.value, self._text[start:end], Span(start, end), hint))
        return syntax.Call(Span(start, end), name.name, tuple(arguments), name.span)

    def bare_name(self, children: Children, start: int, end: int) -> syntax.Name:
        return syntax.Name(Span(start, end), children[0])

    def quoted_name(self, children: Children, start: int, end: int) -> syntax.Name:
        return syntax.Name(Span(start, end), str(self.string(children, start, end).value))

    # Literals

    def string(self, children: Children, start: int, end: int) -> syntax.Literal:
        position, parts = start, []
        for written in children:
            # Comments may stand between the parts, and may hold the text of the next one; then only the place of a message is wrong.
            position = self._text.index(written, position)
            parts.append(self._string(written, position))
            position += len(written)
        return syntax.Literal(Span(start, end), Type.STRING, "".join(parts))

    def long(self, children: Children, start: int, end: int) -> syntax.Literal:
        span = Span(start, end)
        return syntax.Literal(span, Type.LONG, self._known(literals.read_integer(children[0], literals.LONG_BITS), 0, Type.LONG, span))

    def real(self, children: Children, start: int, end: int) -> syntax.Literal:
        span = Span(start, end)
        return syntax.Literal(span, Type.REAL, self._known(literals.read_real(children[0]), 0.0, Type.REAL, span))

    def timespan(self, children: Children, start: int, end: int) -> syntax.Literal:
        span = Span(start, end)
        return syntax.Literal(span, Type.TIMESPAN, self._known(literals.read_timespan(children[0]), 0, Type.TIMESPAN, span))

    def true(self, children: Children, start: int, end: int) -> syntax.Literal:
        return syntax.Literal(Span(start, end), Type.BOOL, True)

    def false(self, children: Children, start: int, end: int) -> syntax.Literal:
        return syntax.Literal(Span(start, end), Type.BOOL, False)

    def typed(self, children: Children, start: int, end: int) -> syntax.Literal | syntax.Call:
        """`datetime(2020-01-01)` and its like."""
        written: str = children[0]
        span = Span(start, end)
        word, inside = (part.strip() for part in written[:-1].split("(", 1))
        if inside[:1] in ("'", '"'):
            inside = inside[1:-1].strip()
        if word == "decimal":
            self.diagnostics.append(diagnostics.unsupported("the type `decimal`", span, "`real` holds 15 digits"))
            return syntax.Literal(span, Type.REAL, 0.0)
        type_ = ALIASES[word]
        if inside == "null":
            return syntax.Literal(span, type_, None)
        if type_ is Type.DATETIME and not inside:
            return syntax.Call(span, "now", (), Span(start, start + len(word)))
        hint = f"`{_CONVERSIONS[type_]}()` converts a value"
        return syntax.Literal(span, type_, self._known(_read(type_, inside), None, type_, span, hint))

    def typeof(self, children: Children, start: int, end: int) -> syntax.TypeLiteral:
        return syntax.TypeLiteral(Span(start, end), children[0])

    def type(self, children: Children, start: int, end: int) -> Type:
        name, span = children[0], Span(start, end)
        if name == "decimal":
            self.diagnostics.append(diagnostics.unsupported("the type `decimal`", span, "`real` holds 15 digits"))
        elif name not in ALIASES:
            self.diagnostics.append(diagnostics.unknown_type(name, span, ALIASES))
        return ALIASES.get(name, Type.STRING)

    # dynamic(..): compact JSON text, made from the inside out

    def dynamic(self, children: Children, start: int, end: int) -> syntax.DynamicLiteral:
        inside = children[1]
        return syntax.DynamicLiteral(Span(start, end), None if inside == "null" else inside)

    def json_object(self, children: Children, start: int, end: int) -> str:
        # As in JSON readers elsewhere, the last of two members of one name counts.
        return f"{{{','.join(f'{name}:{value}' for name, value in dict(children).items())}}}"

    def json_member(self, children: Children, start: int, end: int) -> tuple[str, str]:
        name, value = children
        return _json_string(name.value), value

    def json_array(self, children: Children, start: int, end: int) -> str:
        return f"[{','.join(children)}]"

    def json_value(self, children: Children, start: int, end: int) -> str:
        value = children[0]
        if isinstance(value, syntax.Call):
            self.diagnostics.append(diagnostics.unsupported("the present time inside a dynamic", value.span))
            return "null"
        return self._json(value)

    def json_number(self, children: Children, start: int, end: int) -> str:
        sign, digits = children
        minus = "-" if sign == "-" else ""
        if digits.isdecimal():
            # Of any size: a dynamic keeps a whole number's digits.
            return minus + (digits.lstrip("0") or "0")
        if digits[1] in "xX":
            value = literals.read_integer(digits, literals.LONG_BITS)
            return minus + str(self._known(value, 0, Type.LONG, Span(start, end)))
        return self._json(syntax.Literal(Span(start, end), Type.REAL, float(minus + digits)))

    def json_null(self, children: Children, start: int, end: int) -> str:
        return "null"

    def json_dynamic(self, children: Children, start: int, end: int) -> str:
        return str(children[1])

    def _json(self, literal: syntax.Literal) -> str:
        value = literal.value
        if value is None:
            return "null"
        if literal.type is Type.DATETIME:
            return _json_string(literals.write_datetime(int(value)))
        if literal.type is Type.TIMESPAN:
            return _json_string(literals.write_timespan(int(value)))
        if isinstance(value, float) and not math.isfinite(value):
            self.diagnostics.append(diagnostics.unsupported(f"`{value}` inside a dynamic", literal.span))
            return "null"
        return json.dumps(value, ensure_ascii=False)

    def _string(self, written: str, start: int) -> str:
        try:
            return literals.read_string(written)
        except literals.BadText as bad:
            self.diagnostics.append(diagnostics.bad_string(bad.reason, Span(start + bad.start, start + bad.end)))
            return ""

    def _known(self, value: Any, instead: Any, type_: Type, span: Span, hint: str | None = None) -> Any:
        """`value`, or `instead` of it where the literal could not be read."""
        if value is None:
            self.diagnostics.append(diagnostics.bad_literal(type_.value, self._text[span.start : span.end], span, hint))
            return instead
        return value


def _read(type_: Type, inside: str) -> bool | int | float | str | None:
    match type_:
        case Type.BOOL:
            return literals.read_bool(inside)
        case Type.INT:
            return literals.read_integer(inside, literals.INT_BITS)
        case Type.LONG:
            return literals.read_integer(inside, literals.LONG_BITS)
        case Type.REAL:
            return literals.read_real(inside)
        case Type.DATETIME:
            # `datetime(2017 - 08 - 01)` is written too.
            return literals.read_datetime(inside.replace(" - ", "-"))
        case Type.TIMESPAN:
            return literals.read_timespan(inside)
        case _:
            return literals.read_guid(inside)


def _json_string(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def _without_hints(children: Children) -> tuple[Any, ...]:
    """Hints say how a cluster shall work; they change no answer."""
    return tuple(child for child in children if not isinstance(child, syntax.Parameter))


def _as_item(parameter: syntax.Parameter) -> syntax.Named:
    """`kind=stacked` behind `render` as what stands in the parentheses."""
    name = syntax.Name(parameter.span, parameter.name)
    return syntax.Named(parameter.span, (name,), syntax.Name(parameter.value_span, parameter.value))


def _split_parameters(children: Children) -> tuple[tuple[syntax.Parameter, ...], tuple[Any, ...]]:
    count = sum(isinstance(child, syntax.Parameter) for child in children)
    return tuple(children[:count]), tuple(children[count:])
