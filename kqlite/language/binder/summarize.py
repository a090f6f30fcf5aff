"""Operators that fold rows: summarize, distinct, count."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from kqlite.language import plan, syntax
from kqlite.language.binder.naming import aggregate_name, argument_name, column_name, percentile_name, row_names
from kqlite.language.binder.row_operators import refuse_twice, row_count
from kqlite.language.binder.scalars import Environment, ScalarBinder
from kqlite.language.binder.scope import Columns, Muted, NewNames, Table
from kqlite.language.diagnostics import (
    Refused,
    aggregate_within_aggregate,
    column_outside_aggregate,
    dynamic_key,
    unsupported,
)
from kqlite.language.functions import FUNCTIONS
from kqlite.language.functions.declare import Function
from kqlite.language.types import Type

if TYPE_CHECKING:
    from kqlite.language.binder.pipeline import TableBinder


class _AggregateArguments(ScalarBinder):
    """Binds what stands inside an aggregate: columns are fine, another aggregate is not."""

    def aggregate(self, function: Function, node: syntax.Call) -> plan.Scalar:
        raise Refused(aggregate_within_aggregate(node.function, node.name_span))


class _AggregateBinder(ScalarBinder):
    """Binds an expression over aggregates. Each aggregate becomes a column of its own, which the expression refers to."""

    def __init__(self, columns: Columns, environment: Environment):
        super().__init__(columns, environment)
        self.found: list[tuple[plan.Attribute, plan.Invoke]] = []
        self.arguments = _AggregateArguments(columns, environment)

    def reference(self, attribute: plan.Attribute, node: syntax.Name) -> plan.Scalar:
        raise Refused(column_outside_aggregate(node.name, node.span))

    def pack_all(self, function: Function, node: syntax.Call) -> plan.Scalar:
        raise Refused(column_outside_aggregate("*", node.span))

    def aggregate(self, function: Function, node: syntax.Call) -> plan.Scalar:
        if function.name not in _WHOLE_ROW:
            return self.add(self.invoke(function, node))
        if any(isinstance(argument, syntax.Star) for argument in node.arguments):
            raise Refused(unsupported(f"`{node.function}(.., *)` inside an expression", node.span))
        if function.name not in ("arg_max", "arg_min") and len(node.arguments) == 1:
            return self.add(self.invoke(function, node))
        self.signatures_for(function, node)
        nodes = [argument.value if isinstance(argument, syntax.Named) else argument for argument in node.arguments]
        return self.add(of_row(function, 0, self.row_values(function, nodes)))

    def row_values(self, function: Function, nodes: Sequence[syntax.Scalar]) -> list[plan.Scalar]:
        """The values of a row, the first of which picks it for `arg_max` and `arg_min`."""
        values = self.arguments.all(nodes)
        if function.name in ("arg_max", "arg_min") and values[0].type is Type.DYNAMIC:
            raise Refused(dynamic_key(function.name, self.environment.written(nodes[0].span), nodes[0].span))
        return values

    def invoke(self, function: Function, node: syntax.Call) -> plan.Invoke:
        signatures = self.signatures_for(function, node)
        return self.apply(function, signatures, self.arguments.all(node.arguments), node)

    def add(self, invoke: plan.Invoke) -> plan.Reference:
        attribute = plan.Attribute(invoke.function.name, invoke.type)
        self.found.append((attribute, invoke))
        return plan.Reference(attribute)


def of_row(function: Function, place: int, values: Sequence[plan.Scalar]) -> plan.Invoke:
    """One value of the row that an aggregate picks: the arguments are its place among the values, then all values."""
    return plan.Invoke(function, (plan.Constant(Type.LONG, place), *values), values[place].type)


_WHOLE_ROW = ("arg_max", "arg_min", "take_any", "any")
"""Aggregates that answer with several columns of one row."""


def count(table: Table) -> Table:
    function = FUNCTIONS.find("count")
    assert function is not None
    attribute = plan.Attribute("Count", Type.LONG)
    return Table(plan.Aggregate(table.relation, (), ((attribute, plan.Invoke(function, (), Type.LONG)),)))


def _keys(
    binder: "TableBinder", items: tuple[syntax.Item, ...], table: Table, names: NewNames, operator: str
) -> tuple[list[tuple[plan.Attribute, plan.Scalar]], set[str]]:
    scalars = ScalarBinder(table.columns, binder.environment)
    keys: list[tuple[plan.Attribute, plan.Scalar]] = []
    broken: set[str] = set()
    for item in items:
        node = item.value if isinstance(item, syntax.Named) else item
        name = item.names[0].name if isinstance(item, syntax.Named) else names.automatic(column_name(scalars.without_choice(node)))
        try:
            value = scalars.bind(node)
            if value.type is Type.DYNAMIC:
                raise Refused(dynamic_key(operator, scalars.environment.key(node), node.span))
            keys.append((plan.Attribute(name, value.type), value))
        except Refused as refused:
            binder.problems.add(refused.diagnostic)
            broken.add(name)
        except Muted:
            broken.add(name)
    return keys, broken


def distinct(binder: "TableBinder", node: syntax.Distinct, table: Table) -> Table:
    items: list[syntax.Item] = []
    for item in node.items:
        if isinstance(item, syntax.Star):
            items += [syntax.Name(item.span, attribute.name) for attribute in table.visible()]
        else:
            items.append(item)
    _refuse_twice(items)
    names = NewNames(name.name for item in items if isinstance(item, syntax.Named) for name in item.names)
    keys, broken = _keys(binder, tuple(items), table, names, "distinct")
    return Table(plan.Aggregate(table.relation, tuple(keys), ()), frozenset(broken))


def sample_distinct(binder: "TableBinder", node: syntax.SampleDistinct, table: Table) -> Table:
    """Any values of a column, each once."""
    count = row_count(binder, node.count, "sample-distinct", table)
    column = node.column.value if isinstance(node.column, syntax.Named) else node.column
    if not isinstance(column, syntax.Name):
        raise Refused(unsupported("anything but a column in `sample-distinct`", column.span, "make one by `extend`"))
    values = distinct(binder, syntax.Distinct(node.span, (column,)), table)
    return values.over(plan.Take(values.relation, count))


def summarize(binder: "TableBinder", node: syntax.Summarize, table: Table) -> Table:
    """By-columns first, then the aggregates."""
    items = (*node.by, *node.aggregates)
    _refuse_twice(items)
    names = NewNames(name.name for item in items if isinstance(item, syntax.Named) for name in item.names)
    keys, broken = _keys(binder, node.by, table, names, "summarize .. by")
    aggregates = _AggregateBinder(table.columns, binder.environment)
    outputs: list[tuple[plan.Attribute, plan.Scalar]] = []
    grouped = [value for _, value in keys]
    for item in node.aggregates:
        before = len(outputs)
        try:
            outputs += _outputs(aggregates, item, table, names, grouped)
        except Refused as refused:
            binder.problems.add(refused.diagnostic)
        except Muted:
            pass
        if len(outputs) == before and isinstance(item, syntax.Named):
            broken |= {name.name for name in item.names}
        elif len(outputs) == before:
            broken.add(names.automatic(aggregate_name(item) if isinstance(item, syntax.Call) and _is_aggregate(item) else None))
    folded = plan.Aggregate(table.relation, tuple(keys), tuple(aggregates.found))
    relation = plan.Project(folded, (*((attribute, plan.Reference(attribute)) for attribute, _ in keys), *outputs))
    return Table(relation, frozenset(broken))


def _refuse_twice(items: Sequence[syntax.Item]) -> None:
    """Refuses two names that are written, or a column that is named twice."""
    named = (item.names if isinstance(item, syntax.Named) else [item] if isinstance(item, syntax.Name) else [] for item in items)
    refuse_twice((name.name, name.span) for names in named for name in names)


def _is_aggregate(node: syntax.Call) -> bool:
    function = FUNCTIONS.find(node.function)
    return function is not None and function.aggregate


def _outputs(
    aggregates: _AggregateBinder, item: syntax.Item, table: Table, names: NewNames, keys: Sequence[plan.Scalar]
) -> list[tuple[plan.Attribute, plan.Scalar]]:
    """The columns of one item of `summarize`."""
    node = item.value if isinstance(item, syntax.Named) else item
    written = [name.name for name in item.names] if isinstance(item, syntax.Named) else []
    if isinstance(node, syntax.Call) and _is_aggregate(node):
        function = FUNCTIONS.find(node.function)
        assert function is not None
        whole_row = function.name in ("arg_max", "arg_min") or (
            function.name in _WHOLE_ROW
            and (len(node.arguments) > 1 or any(isinstance(argument, syntax.Star) for argument in node.arguments))
        )
        if whole_row:
            return _whole_row(aggregates, function, node, table, names, keys, written)
        if function.name in ("percentiles", "percentilesw"):
            aggregates.signatures_for(function, node)
            return _percentiles(aggregates, node, names, written)
        value: plan.Scalar = aggregates.add(aggregates.invoke(function, node))
        own = "any_arg0" if function.name == "take_any" and argument_name(node.arguments[0]) is None else aggregate_name(node)
    else:
        own = column_name(node)
        value = aggregates.bind(node)
    if len(written) > 1:
        raise Refused(unsupported("a list of names for one value", item.span))
    return [(plan.Attribute(written[0] if written else names.automatic(own), value.type), value)]


def _whole_row(
    aggregates: _AggregateBinder,
    function: Function,
    node: syntax.Call,
    table: Table,
    names: NewNames,
    keys: Sequence[plan.Scalar],
    written: list[str],
) -> list[tuple[plan.Attribute, plan.Scalar]]:
    """`arg_max(by, a, b)` and the like: one Invoke for each column, all of which pick the same row."""
    aggregates.signatures_for(function, node)
    nodes: list[syntax.Scalar] = []
    own_names: list[str | None] = []
    for argument in node.arguments:
        if isinstance(argument, syntax.Star):
            # Not what is there already: a key, or a value that is a column as it stands.
            there = {value.attribute for value in (*keys, *aggregates.arguments.all(nodes)) if isinstance(value, plan.Reference)}
            starred = [attribute.name for attribute in table.visible() if attribute not in there]
            nodes += [syntax.Name(argument.span, name) for name in starred]
            own_names += starred
        else:
            nodes.append(argument.value if isinstance(argument, syntax.Named) else argument)
            own_names.append(argument_name(argument))
    values = aggregates.row_values(function, nodes)
    outputs: list[tuple[plan.Attribute, plan.Scalar]] = []
    for place, (value, own) in enumerate(
        zip(values, row_names(function, own_names, old=node.function in ("argmax", "argmin")), strict=True)
    ):
        name = written[place] if place < len(written) else names.automatic(own)
        outputs.append((plan.Attribute(name, value.type), aggregates.add(of_row(function, place, values))))
    return outputs


def _percentiles(
    aggregates: _AggregateBinder, node: syntax.Call, names: NewNames, written: list[str]
) -> list[tuple[plan.Attribute, plan.Scalar]]:
    """`percentiles(x, 5, 95)`: a column for each, `percentile_x_5`, `percentile_x_95`; `percentilesw(x, weight, 5, 95)` likewise."""
    single = FUNCTIONS.find("percentilew" if node.function == "percentilesw" else "percentile")
    assert single is not None
    given = len(single.signatures[0].parameters) - 1
    outputs: list[tuple[plan.Attribute, plan.Scalar]] = []
    for place, argument in enumerate(node.arguments[given:]):
        call = syntax.Call(node.span, single.name, (*node.arguments[:given], argument), node.name_span)
        value = aggregates.add(aggregates.invoke(single, call))
        name = written[place] if place < len(written) else names.automatic(percentile_name(call))
        outputs.append((plan.Attribute(name, value.type), value))
    return outputs
