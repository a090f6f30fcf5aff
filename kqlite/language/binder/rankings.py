"""Operators that keep the groups with the greatest aggregates: top-nested, top-hitters."""

from typing import TYPE_CHECKING

from kqlite.language import plan, syntax
from kqlite.language.binder.groups import first_of_each, given, references
from kqlite.language.binder.naming import argument_name, column_name
from kqlite.language.binder.operators import convert, invoke
from kqlite.language.binder.row_operators import row_count, sort_keys, top
from kqlite.language.binder.scalars import ScalarBinder
from kqlite.language.binder.scope import Table
from kqlite.language.binder.summarize import summarize
from kqlite.language.diagnostics import Refused, unsupported
from kqlite.language.types import Type

if TYPE_CHECKING:
    from kqlite.language.binder.pipeline import TableBinder


def _named(name: str, value: syntax.Scalar) -> syntax.Named:
    return syntax.Named(value.span, (syntax.Name(value.span, name),), value)


def _split(item: syntax.Item) -> tuple[str | None, syntax.Scalar]:
    """The written name of an item, and its value."""
    return (item.names[0].name, item.value) if isinstance(item, syntax.Named) else (None, item)


def top_hitters(binder: "TableBinder", node: syntax.TopHitters, table: Table) -> Table:
    """The values that most rows have, or whose rows weigh most. Source: the names were tried on Microsoft's analyser."""
    name, value = _split(node.value)
    weight = None if node.weight is None else _split(node.weight)[1]
    function, arguments = ("count", ()) if weight is None else ("sum", (weight,))
    call = syntax.Call(node.span, function, arguments, node.span)
    measure = f"approximate_{function}_{argument_name(weight or value) or ''}"
    key = value if name is None else _named(name, value)
    counted = summarize(binder, syntax.Summarize(node.span, (_named(measure, call),), (key,)), table)
    order = syntax.SortKey(node.span, syntax.Name(node.span, measure), False, None)
    return top(binder, syntax.Top(node.span, node.count, (order,)), counted)


def top_nested(binder: "TableBinder", node: syntax.TopNested, table: Table) -> Table:
    """For each level its value and its aggregate; each level ranks within the values of the levels before."""
    shared = plan.Shared()
    keys: list[syntax.Named] = []
    chosen: plan.Relation | None = None
    prefix: list[plan.Attribute] = []
    """The values of the levels so far, as columns of `chosen`."""
    for number, level in enumerate(node.levels):
        if level.others is not None and number + 1 < len(node.levels):
            raise Refused(unsupported("`with others` on a level that others follow", level.others.span))
        name, value = _split(level.value)
        name = name or column_name(value) or f"Column{number + 1}"
        keys.append(_named(name, value))
        measure, aggregate = _split(level.key.value)
        measure = measure or f"aggregated_{name}"
        reader = given(shared, table.relation.attributes)
        inside = Table(reader, table.broken, table.hidden)
        counted = summarize(binder, syntax.Summarize(level.span, (_named(measure, aggregate),), tuple(keys)), inside)
        ranked = _ranked(binder, level, counted, measure, len(prefix))
        if level.others is not None:
            ranked = _with_others(binder, level, ranked, keys, Table(given(shared, table.relation.attributes), table.broken, table.hidden))
        chosen, prefix = _joined(chosen, prefix, ranked, len(keys))
    assert chosen is not None
    return Table(plan.Apply(shared, table.relation, chosen))


def _ranked(binder: "TableBinder", level: syntax.Level, counted: Table, measure: str, outer: int) -> plan.Relation:
    """The first values of each combination of the levels before, by the aggregate."""
    if level.count is None:
        return counted.relation
    by = syntax.SortKey(level.key.span, syntax.Name(level.key.span, measure), level.key.ascending, level.key.nulls_first)
    order = sort_keys(binder, (by,), counted, "top-nested")
    count = row_count(binder, level.count, "top-nested", counted)
    return first_of_each(plan.Sort(counted.relation, order), references(counted.relation.attributes[:outer]), count)


def _with_others(
    binder: "TableBinder", level: syntax.Level, ranked: plan.Relation, keys: list[syntax.Named], table: Table
) -> plan.Relation:
    """A row more for each combination of the levels before, with the aggregate of the rows whose values were not chosen."""
    assert level.others is not None
    label = ScalarBinder(table.columns, binder.environment).bind(level.others)
    scalars = ScalarBinder(table.columns, binder.environment)
    values = [scalars.bind(key.value) for key in keys]
    pairs = tuple(zip(values, references(ranked.attributes[: len(keys)]), strict=True))
    left = plan.Join("leftanti", table.relation, ranked, pairs, tuple((a, a) for a in table.relation.attributes))
    _, aggregate = _split(level.key.value)
    aggregates = (_named("rest", aggregate), _named("rows", syntax.Call(level.span, "count", (), level.span)))
    node = syntax.Summarize(level.span, aggregates, tuple(keys[:-1]))
    counted = summarize(binder, node, Table(left, table.broken, table.hidden)).relation
    *outer, value, rows = counted.attributes
    # A summary without keys has a row for no rows, too.
    rest = plan.Filter(counted, invoke(">", (plan.Reference(rows), plan.Constant(Type.LONG, 0))))
    own, measure = ranked.attributes[-2:]
    columns = tuple(plan.Attribute(a.name, a.type) for a in ranked.attributes)
    of_rest = (*references(outer), convert(label, own.type), convert(plan.Reference(value), measure.type))
    return plan.Union(columns, ((ranked, references(ranked.attributes)), (rest, of_rest)))


def _joined(
    chosen: plan.Relation | None, prefix: list[plan.Attribute], ranked: plan.Relation, width: int
) -> tuple[plan.Relation, list[plan.Attribute]]:
    """The rows so far with those of the next level behind them."""
    *values, measure = ranked.attributes
    if chosen is None:
        return ranked, [*values]
    pairs = tuple(zip(references(prefix), references(values[:-1]), strict=True))
    kept = [(plan.Attribute(a.name, a.type), a) for a in chosen.attributes]
    added = [(plan.Attribute(a.name, a.type), a) for a in (values[-1], measure)]
    by_source = {source: new for new, source in (*kept, *added)}
    joined = plan.Join("inner", chosen, ranked, pairs, (*kept, *added))
    return joined, [by_source[a] for a in prefix] + [by_source[values[-1]]]
