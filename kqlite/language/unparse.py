"""Syntax tree -> KQL text that parses to the same tree, spans apart.

Binding strength is a number, as in the table of precedence; parentheses come only where a looser expression stands in a tighter place.
"""

from collections.abc import Iterable

from kqlite.language import literals, syntax
from kqlite.language.types import Type

# From the loosest: what stands at the left of a rule of the grammar's ladder.
_TABLE, _OR, _AND, _EQUALITY, _RELATION, _SUM, _PRODUCT, _TEXT, _UNARY, _POSTFIX = range(10)

_CHAINS = {"or": _OR, "and": _AND, "+": _SUM, "-": _SUM, "*": _PRODUCT, "/": _PRODUCT, "%": _PRODUCT}
_BINARIES = {"==": _EQUALITY, "!=": _EQUALITY, "<": _RELATION, "<=": _RELATION, ">": _RELATION, ">=": _RELATION}


def show(query: syntax.Query) -> str:
    """The query as text, one operator a line."""
    return "".join(f"{_statement(statement)};\n" for statement in query.statements) + _pipeline(query.body)


def show_scalar(scalar: syntax.Scalar) -> str:
    """An expression as text."""
    return _scalar(scalar, _OR)


def _statement(statement: syntax.Statement) -> str:
    match statement:
        case syntax.Let():
            value = statement.value
            shown = _function(value) if isinstance(value, syntax.Function) else _value(value)
            return f"let {_name(statement.name.name)} = {shown}"
        case syntax.QueryParameters():
            return f"declare query_parameters({', '.join(map(_taken, statement.parameters))})"
        case syntax.Set():
            return f"set {statement.option}" + ("" if statement.value is None else f" = {_scalar(statement.value, _UNARY)}")


def _function(function: syntax.Function) -> str:
    view = "view " if function.is_view else ""
    return f"{view}({', '.join(map(_taken, function.parameters))}) {{ {show(function.body)} }}"


def _taken(parameter: syntax.ScalarParameter | syntax.TableParameter) -> str:
    if isinstance(parameter, syntax.TableParameter):
        return f"{_name(parameter.name)}: ({'*' if parameter.columns is None else _columns(parameter.columns)})"
    default = "" if parameter.default is None else f" = {_scalar(parameter.default, _UNARY)}"
    return f"{_name(parameter.name)}: {parameter.type}{default}"


def _columns(columns: Iterable[syntax.ColumnDeclaration]) -> str:
    return ", ".join(f"{_name(column.name)}: {column.type}" for column in columns)


def _value(value: syntax.Scalar) -> str:
    return _pipeline(value) if isinstance(value, syntax.Pipeline) else _scalar(value, _OR)


def _pipeline(pipeline: syntax.Pipeline) -> str:
    operators = [_operator(operator) for operator in pipeline.operators]
    if pipeline.source is None:
        return "\n".join(f"| {operator}" for operator in operators)
    return "\n| ".join([_source(pipeline.source), *operators])


def _source(source: syntax.Scalar | syntax.Source) -> str:
    match source:
        case syntax.Print():
            return f"print {_items(source.items)}"
        case syntax.Range():
            start, stop, step = (_scalar(value, _OR) for value in (source.start, source.stop, source.step))
            return f"range {_name(source.column.name)} from {start} to {stop} step {step}"
        case syntax.Datatable():
            return f"datatable({_columns(source.columns)})[{_items(source.values)}]"
        case syntax.Union() | syntax.Search():
            return _operator(source)
        case syntax.Find():
            return _find(source)
        case _:
            return _scalar(source, _OR)


# Tabular operators


def _operator(operator: syntax.Operator) -> str:
    match operator:
        case syntax.Where():
            return f"where {_item(operator.condition)}"
        case syntax.Extend():
            return f"extend {_items(operator.items)}"
        case syntax.Project():
            return f"project {_items(operator.items)}"
        case syntax.ProjectAway():
            return f"project-away {_patterns(operator.patterns)}"
        case syntax.ProjectKeep():
            return f"project-keep {_patterns(operator.patterns)}"
        case syntax.ProjectRename():
            return f"project-rename {_items(operator.items)}"
        case syntax.ProjectReorder():
            items = (" ".join(filter(None, [_patterns([item.pattern]), item.direction])) for item in operator.items)
            return f"project-reorder {', '.join(items)}"
        case syntax.ProjectByNames():
            return f"project-by-names {_items(operator.names)}"
        case syntax.Sort():
            return f"sort by {', '.join(map(_sort_key, operator.keys))}"
        case syntax.Take():
            return f"take {_scalar(operator.count, _OR)}"
        case syntax.Top():
            return f"top {_scalar(operator.count, _OR)} by {', '.join(map(_sort_key, operator.keys))}"
        case syntax.Count():
            return "count"
        case syntax.Distinct():
            return f"distinct {_items(operator.items)}"
        case syntax.Partition():
            return f"partition by {_name(operator.column.name)} {_subquery(operator.operators)}"
        case syntax.TopNested():
            return ", ".join(map(_level, operator.levels))
        case syntax.TopHitters():
            weight = "" if operator.weight is None else f" by {_item(operator.weight)}"
            return f"top-hitters {_scalar(operator.count, _OR)} of {_item(operator.value)}{weight}"
        case syntax.Serialize():
            return f"serialize {_items(operator.items)}".rstrip()
        case syntax.Sample():
            return f"sample {_scalar(operator.count, _OR)}"
        case syntax.SampleDistinct():
            return f"sample-distinct {_scalar(operator.count, _OR)} of {_item(operator.column)}"
        case syntax.GetSchema():
            return "getschema"
        case syntax.As():
            return f"as {_name(operator.name.name)}"
        case syntax.Invoke():
            return f"invoke {_scalar(operator.call, _POSTFIX)}"
        case syntax.Evaluate():
            schema = "" if operator.schema is None else f" : ({_schema(operator.schema)})"
            return f"evaluate {_scalar(operator.call, _POSTFIX)}{schema}"
        case syntax.Consume():
            return "consume"
        case syntax.Render():
            return f"render {operator.chart}" + (f" with ({_items(operator.properties)})" if operator.properties else "")
        case _:
            return _wide_operator(operator)


def _wide_operator(
    operator: syntax.Summarize
    | syntax.Union
    | syntax.Search
    | syntax.Join
    | syntax.Lookup
    | syntax.MvExpand
    | syntax.MvApply
    | syntax.MakeSeries
    | syntax.Parse
    | syntax.ParseKv,
) -> str:
    match operator:
        case syntax.Summarize():
            by = f"by {_items(operator.by)}" if operator.by else ""
            return " ".join(filter(None, ["summarize", _items(operator.aggregates), by]))
        case syntax.Search():
            condition = _item(operator.condition)
            return " ".join(["search", *map(_parameter, operator.parameters), *_tables(operator.tables), condition])
        case syntax.ParseKv():
            options = [f"with ({_items(operator.options)})"] if operator.options else []
            return " ".join(["parse-kv", _scalar(operator.value, _OR), f"as ({_columns(operator.columns)})", *options])
        case syntax.Union():
            return " ".join(["union", *map(_parameter, operator.parameters), ", ".join(map(_leg, operator.legs))])
        case syntax.Join() | syntax.Lookup():
            conditions = ", ".join(map(_item, operator.conditions))
            word = "join" if isinstance(operator, syntax.Join) else "lookup"
            return " ".join([word, *map(_parameter, operator.parameters), _scalar(operator.right, _POSTFIX), "on", conditions])
        case syntax.MvExpand():
            return " ".join([operator.keyword, *map(_parameter, operator.parameters), *_expanded(operator)])
        case syntax.MvApply():
            return " ".join(["mv-apply", *map(_parameter, operator.parameters), *_expanded(operator), "on", _subquery(operator.operators)])
        case syntax.MakeSeries():
            series = (
                _item(item.value) + ("" if item.default is None else f" default = {_scalar(item.default, _OR)}") for item in operator.items
            )
            keys = [f"by {_items(operator.by)}"] if operator.by else []
            parameters = map(_parameter, operator.parameters)
            return " ".join(["make-series", *parameters, ", ".join(series), "on", _scalar(operator.axis, _POSTFIX), _axis(operator), *keys])
        case syntax.Parse():
            parts = (
                f"{_name(part.name)}:{part.type}" if isinstance(part, syntax.ColumnDeclaration) else _leaf(part)
                for part in operator.pattern
            )
            value = _scalar(operator.value, _OR)
            return " ".join([operator.keyword, *map(_parameter, operator.parameters), value, "with", *parts])


def _expanded(operator: syntax.MvExpand | syntax.MvApply) -> list[str]:
    items = ", ".join(_item(item.value) + (f" to typeof({item.to_type})" if item.to_type else "") for item in operator.items)
    return [items] if operator.limit is None else [items, f"limit {_scalar(operator.limit, _OR)}"]


def _subquery(operators: Iterable[syntax.Operator]) -> str:
    return f"({' | '.join(map(_operator, operators))})"


def _axis(series: syntax.MakeSeries) -> str:
    bounds = [None if bound is None else _scalar(bound, _OR) for bound in (series.start, series.stop, series.step)]
    if series.includes_stop:
        return f"in range({', '.join(filter(None, bounds))})"
    return " ".join(f"{word} {bound}" for word, bound in zip(("from", "to", "step"), bounds, strict=True) if bound is not None)


def _level(level: syntax.Level) -> str:
    count = [] if level.count is None else [_scalar(level.count, _OR)]
    others = [] if level.others is None else [f"with others = {_scalar(level.others, _OR)}"]
    return " ".join(["top-nested", *count, "of", _item(level.value), *others, "by", _sort_key(level.key)])


def _tables(tables: Iterable[syntax.Scalar] | None) -> list[str]:
    return [] if tables is None else [f"in ({', '.join(map(_leg, tables))})"]


def _find(find: syntax.Find) -> str:
    parts = ["find", *map(_parameter, find.parameters), *_tables(find.tables), "where", _scalar(find.condition, _OR)]
    if find.columns is not None:
        shown = (_columns([c]) if isinstance(c, syntax.ColumnDeclaration) else _scalar(c, _OR) for c in find.columns)
        parts.append(f"project {', '.join(shown)}")
    return " ".join(parts)


def _schema(schema: syntax.OutputSchema) -> str:
    return ", ".join(filter(None, ["*" if schema.keeps_source else "", _columns(schema.columns)]))


def _leg(leg: syntax.Scalar) -> str:
    return _patterns([leg]) if isinstance(leg, syntax.Name) and "*" in leg.name else _scalar(leg, _POSTFIX)


def _sort_key(key: syntax.SortKey) -> str:
    direction = "" if key.ascending is None else " asc" if key.ascending else " desc"
    nulls = "" if key.nulls_first is None else " nulls first" if key.nulls_first else " nulls last"
    return _item(key.value) + direction + nulls


def _parameter(parameter: syntax.Parameter) -> str:
    return f"{parameter.name}={parameter.value if _is_plain(parameter.value) else literals.write_string(parameter.value)}"


def _patterns(patterns: Iterable[syntax.Name]) -> str:
    return ", ".join(pattern.name if _is_plain(pattern.name.replace("*", "a")) else _name(pattern.name) for pattern in patterns)


# Items and names


def _items(items: Iterable[syntax.Item]) -> str:
    return ", ".join(map(_item, items))


def _arguments(items: tuple[syntax.Item, ...]) -> str:
    """What stands in the parentheses of a call or of `in`, where a lone pipeline needs none of its own."""
    return _pipeline(items[0]) if len(items) == 1 and isinstance(items[0], syntax.Pipeline) else ", ".join(map(_item, items))


def _item(item: syntax.Item) -> str:
    if not isinstance(item, syntax.Named):
        return _scalar(item, _OR)
    names = ", ".join(_name(name.name) for name in item.names)
    return f"{f'({names})' if len(item.names) > 1 else names} = {_scalar(item.value, _OR)}"


def _is_plain(name: str) -> bool:
    return name.isidentifier() and name.isascii()


def _name(name: str) -> str:
    """A name anywhere; quoted where the plain word might be taken for a keyword or a literal."""
    return name if _is_safe(name) else f"[{literals.write_string(name)}]"


def _is_safe(name: str) -> bool:
    word = name.removeprefix("$")
    return _is_plain(word) and word not in _KEYWORDS


_KEYWORDS = frozenset(
    """
    let print range datatable search find union where filter extend project sort order take limit top count distinct summarize join mvexpand
    by kind flags bagexpansion with_itemindex withsource with_source isfuzzy hint typeof dynamic true false True False TRUE FALSE
    """.split()  # noqa: SIM905
)
"""Words that mean something else somewhere where a name may begin."""


# Scalars


def _scalar(scalar: syntax.Scalar, place: int) -> str:
    """The text of a scalar, in parentheses where it binds looser than its place asks for.

    One function, since each frame counts in a deep tree.
    """
    strength = _POSTFIX
    match scalar:
        case syntax.Chain():
            strength = _CHAINS[scalar.operators[0]]
            text = _scalar(scalar.operands[0], strength + 1)
            for operator, operand in zip(scalar.operators, scalar.operands[1:], strict=True):
                text += f" {operator} {_scalar(operand, strength + 1)}"
        case syntax.Binary():
            strength = _BINARIES.get(scalar.operator, _TEXT)
            text = f"{_scalar(scalar.left, strength + 1)} {scalar.operator} {_scalar(scalar.right, strength + 1)}"
        case syntax.InList():
            strength = _EQUALITY
            text = f"{_scalar(scalar.value, _RELATION)} {scalar.operator} ({_arguments(scalar.items)})"
        case syntax.Between():
            strength = _EQUALITY
            operator = "!between" if scalar.negated else "between"
            text = f"{_scalar(scalar.value, _RELATION)} {operator} ({_scalar(scalar.low, _OR)} .. {_scalar(scalar.high, _OR)})"
        case syntax.Unary():
            strength = _UNARY
            text = scalar.operator + _scalar(scalar.operand, _POSTFIX)
        case syntax.Pipeline():
            strength = _TABLE
            text = _pipeline(scalar)
        case syntax.MemberAccess():
            base = _scalar(scalar.base, _POSTFIX)
            text = f"{base}.{scalar.name}" if _is_plain(scalar.name) else f"{base}[{literals.write_string(scalar.name)}]"
        case syntax.IndexAccess():
            text = f"{_scalar(scalar.base, _POSTFIX)}[{_scalar(scalar.index, _OR)}]"
        case syntax.Call():
            text = f"{_name(scalar.function)}({_arguments(scalar.arguments)})"
        case _:
            text = _leaf(scalar)
    return text if strength >= place else f"({text})"


def _leaf(scalar: syntax.Name | syntax.Literal | syntax.DynamicLiteral | syntax.TypeLiteral | syntax.Star) -> str:
    match scalar:
        case syntax.Name():
            return _name(scalar.name)
        case syntax.Literal():
            return _literal(scalar)
        case syntax.DynamicLiteral():
            return f"dynamic({'null' if scalar.json is None else scalar.json})"
        case syntax.TypeLiteral():
            return f"typeof({scalar.type})"
        case syntax.Star():
            return "*"


def _literal(literal: syntax.Literal) -> str:
    value = literal.value
    match literal.type:
        case _ if value is None:
            return f"{literal.type}(null)"
        case Type.BOOL:
            return "true" if value else "false"
        case Type.STRING:
            return literals.write_string(str(value))
        case Type.DATETIME:
            return f"datetime({literals.write_datetime(int(value))})"
        case Type.TIMESPAN:
            return f"timespan({literals.write_timespan(int(value))})"
        case Type.LONG if int(value) >= 0:
            return str(value)
        case _:
            return f"{literal.type}({value})"
