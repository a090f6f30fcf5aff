"""Operators that fold rows: summarize, distinct, count."""

from typing import TYPE_CHECKING

from kqlite.language import plan, syntax
from kqlite.language.binder.naming import aggregate_name, automatic_name
from kqlite.language.binder.row_operators import refuse_twice
from kqlite.language.binder.scalars import Environment, ScalarBinder
from kqlite.language.binder.scope import Columns, Muted, NewNames, Table
from kqlite.language.diagnostics import (
    Refused,
    aggregate_within_aggregate,
    column_outside_aggregate,
    dynamic_key,
    name_twice,
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
        if function.name in _WHOLE_ROW and any(isinstance(argument, syntax.Star) for argument in node.arguments):
            raise Refused(unsupported(f"`{node.function}(.., *)` inside an expression", node.span))
        return self.add(self.invoke(function, node))

    def invoke(self, function: Function, node: syntax.Call) -> plan.Invoke:
        signatures = self.signatures_for(function, node)
        return self.apply(function, signatures, self.arguments.all(node.arguments), node)

    def add(self, invoke: plan.Invoke) -> plan.Reference:
        attribute = plan.Attribute(invoke.function.name, invoke.type)
        self.found.append((attribute, invoke))
        return plan.Reference(attribute)


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
        name = item.names[0].name if isinstance(item, syntax.Named) else names.automatic(automatic_name(node))
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
    names = NewNames(name.name for item in items if isinstance(item, syntax.Named) for name in item.names)
    keys, broken = _keys(binder, tuple(items), table, names, "distinct")
    return Table(plan.Aggregate(table.relation, tuple(keys), ()), frozenset(broken))


def summarize(binder: "TableBinder", node: syntax.Summarize, table: Table) -> Table:
    """By-columns first, then the aggregates."""
    written = [name for item in (*node.by, *node.aggregates) if isinstance(item, syntax.Named) for name in item.names]
    plain_keys = {item.name for item in node.by if isinstance(item, syntax.Name)}
    refuse_twice((name.name, name.span) for name in written)
    for name in written:
        if name.name in plain_keys:
            raise Refused(name_twice(name.name, name.span))
    names = NewNames(name.name for name in written)
    keys, broken = _keys(binder, node.by, table, names, "summarize .. by")
    aggregates = _AggregateBinder(table.columns, binder.environment)
    outputs: list[tuple[plan.Attribute, plan.Scalar]] = []
    key_names = {attribute.name for attribute, _ in keys}
    for item in node.aggregates:
        before = len(outputs)
        try:
            outputs += _outputs(aggregates, item, table, names, key_names)
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


def _is_aggregate(node: syntax.Call) -> bool:
    function = FUNCTIONS.find(node.function)
    return function is not None and function.aggregate


def _outputs(
    aggregates: _AggregateBinder, item: syntax.Item, table: Table, names: NewNames, key_names: set[str]
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
            return _whole_row(aggregates, function, node, table, names, key_names, written)
        if function.name == "percentiles":
            aggregates.signatures_for(function, node)
            return _percentiles(aggregates, node, names, written)
        value: plan.Scalar = aggregates.add(aggregates.invoke(function, node))
        own = percentile_name(node) if function.name == "percentile" else aggregate_name(node)
    else:
        own = None
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
    key_names: set[str],
    written: list[str],
) -> list[tuple[plan.Attribute, plan.Scalar]]:
    """`arg_max(by, a, b)` and the like: one Invoke for each column, all of which pick the same row.

    The arguments of each are the place of its column among the values, then all values.
    """
    aggregates.signatures_for(function, node)
    nodes: list[syntax.Scalar] = []
    own_names: list[str | None] = []
    for argument in node.arguments:
        if isinstance(argument, syntax.Star):
            skipped = key_names | {name for name in own_names if name}
            starred = [attribute.name for attribute in table.visible() if attribute.name not in skipped]
            nodes += [syntax.Name(argument.span, name) for name in starred]
            own_names += starred
        elif isinstance(argument, syntax.Named):
            nodes.append(argument.value)
            own_names.append(argument.names[0].name)
        else:
            nodes.append(argument)
            own_names.append(automatic_name(argument))
    values = aggregates.arguments.all(nodes)
    if function.name in ("arg_max", "arg_min") and values[0].type is Type.DYNAMIC:
        raise Refused(dynamic_key(function.name, aggregates.environment.written(nodes[0].span), nodes[0].span))
    extreme = {"arg_max": "max_", "arg_min": "min_"}.get(function.name)
    outputs: list[tuple[plan.Attribute, plan.Scalar]] = []
    for place, (value, own) in enumerate(zip(values, own_names, strict=True)):
        name = written[place] if place < len(written) else names.automatic(own if own is not None else extreme if place == 0 else None)
        invoke = plan.Invoke(function, (plan.Constant(Type.LONG, place), *values), value.type)
        outputs.append((plan.Attribute(name, value.type), aggregates.add(invoke)))
    return outputs


def _percentiles(
    aggregates: _AggregateBinder, node: syntax.Call, names: NewNames, written: list[str]
) -> list[tuple[plan.Attribute, plan.Scalar]]:
    """`percentiles(x, 5, 95)`: a column for each, `percentile_x_5`, `percentile_x_95`."""
    single = FUNCTIONS.find("percentile")
    assert single is not None
    outputs: list[tuple[plan.Attribute, plan.Scalar]] = []
    for place, argument in enumerate(node.arguments[1:]):
        call = syntax.Call(node.span, "percentile", (node.arguments[0], argument), node.name_span)
        value = aggregates.add(aggregates.invoke(single, call))
        name = written[place] if place < len(written) else names.automatic(percentile_name(call))
        outputs.append((plan.Attribute(name, value.type), value))
    return outputs


def percentile_name(node: syntax.Call) -> str:
    """`percentile_x_99_9`."""
    number = node.arguments[1]
    shown = f"{number.value:g}".replace(".", "_") if isinstance(number, syntax.Literal) and isinstance(number.value, int | float) else ""
    first = node.arguments[0]
    return f"percentile_{(automatic_name(first) if not isinstance(first, syntax.Named) else None) or ''}_{shown}"
