"""The operator make-series: a summary by bins of an axis, whose rows become arrays with a place for every bin.

Every group meets every bin of the axis, and takes the summary of the bin where there is one, else the default.

Source: Kusto docs, "make-series operator"; names and types were tried on Microsoft's analyser.
"""

from typing import TYPE_CHECKING

from kqlite.language import plan, syntax
from kqlite.language.binder.groups import given, handed_on, references
from kqlite.language.binder.naming import column_name
from kqlite.language.binder.operators import arithmetic, comparison, convert, invoke
from kqlite.language.binder.row_operators import keep, refuse_twice
from kqlite.language.binder.scalars import ScalarBinder
from kqlite.language.binder.scope import Columns, Muted, Table
from kqlite.language.binder.summarize import summarize
from kqlite.language.diagnostics import Refused, unknown_parameter, unsupported, wrong_operands
from kqlite.language.functions import FUNCTIONS
from kqlite.language.functions.logic import iff, isnull
from kqlite.language.types import Type, widest

if TYPE_CHECKING:
    from kqlite.language.binder.pipeline import TableBinder

BIN = "\0bin"
"""A column that no query can name: the beginning of a bin."""


def make_series(binder: "TableBinder", node: syntax.MakeSeries, table: Table) -> Table:
    """The keys, an array for each item, and the axis as an array."""
    keeps_one = _keeps_one(node)
    axis = ScalarBinder(table.columns, binder.environment).bind(node.axis)
    start, last, step = _bounds(binder, node, table, axis)
    folded = _folded(binder, node, _binned(binder, node, table, axis, start, last, step))
    width = len(node.by)
    *outer, bin_ = folded.relation.attributes[: width + 1]
    values = folded.relation.attributes[width + 1 :]
    axis_name = column_name(node.axis) or "Column1"
    refuse_twice((name, node.axis.span) for name in (*(a.name for a in (*outer, *values)), axis_name))

    shared = plan.Shared()
    grid = _grid(shared, outer, bin_, plan.Series(plan.Attribute(axis_name, bin_.type), start, last, step), keeps_one=keeps_one)
    found = plan.Attribute("found", Type.BOOL)
    reader = given(shared, folded.relation.attributes)
    marked = plan.Project(reader, (*handed_on(reader), (found, plan.Constant(Type.BOOL, True))))
    pairs = tuple(zip(references(grid.attributes), references(reader.attributes[: width + 1]), strict=True))
    sources = (*grid.attributes, *reader.attributes[width + 1 :], found)
    columns = tuple(plan.Attribute(a.name, a.type) for a in sources)
    joined = plan.Join("leftouter", grid, marked, pairs, tuple(zip(columns, sources, strict=True)))
    *keys, at = columns[: width + 1]
    is_empty = plan.Invoke(isnull, (plan.Reference(columns[-1]),), Type.BOOL)
    filled = [_filled(binder, item, is_empty, value) for item, value in zip(node.items, columns[width + 1 : -1], strict=True)]
    rows = plan.Project(joined, (*((a, plan.Reference(a)) for a in (*keys, at)), *filled))
    in_order = plan.Sort(rows, (plan.SortKey(plan.Reference(at), ascending=True, nulls_first=True),))
    collect = FUNCTIONS.find("make_list_with_nulls")
    assert collect is not None
    arrays = tuple(
        (plan.Attribute(a.name, Type.DYNAMIC), plan.Invoke(collect, (plan.Reference(a),), Type.DYNAMIC))
        for a in (*(attribute for attribute, _ in filled), at)
    )
    result = plan.Aggregate(in_order, tuple((a, plan.Reference(a)) for a in keys), arrays)
    return Table(plan.Apply(shared, folded.relation, _if_any(result, keys)), folded.broken)


def _keeps_one(node: syntax.MakeSeries) -> bool:
    """Whether there is a series for no rows, too."""
    keeps_one = False
    for parameter in node.parameters:
        if parameter.name == "kind" and parameter.value == "nonempty":
            keeps_one = True
        elif not parameter.name.startswith("hint."):
            raise Refused(unknown_parameter("make-series", f"{parameter.name}={parameter.value}", parameter.span))
    return keeps_one


def _bounds(
    binder: "TableBinder", node: syntax.MakeSeries, table: Table, axis: plan.Scalar
) -> tuple[plan.Scalar, plan.Scalar, plan.Scalar]:
    """The first bin, the last moment that may be one, and the step; where nothing is said they come from the least and greatest value."""
    scalars = ScalarBinder(Columns(), binder.environment)
    step_type = Type.TIMESPAN if axis.type is Type.DATETIME else axis.type
    step = _of_type(scalars.bind(node.step), step_type, node.step)
    if axis.type not in (Type.DATETIME, Type.TIMESPAN) and not axis.type.is_numeric:
        raise Refused(wrong_operands("make-series", str(axis.type), str(step.type), node.axis.span))
    if node.start is None:
        least = _extreme("min", table, axis)
        start: plan.Scalar = _function("bin", (least, step), axis.type)
    else:
        start = _of_type(scalars.bind(node.start), axis.type, node.start)
    if node.stop is None:
        return start, _extreme("max", table, axis), step
    stop = _of_type(scalars.bind(node.stop), axis.type, node.stop)
    return start, stop if node.includes_stop else _just_before(stop, step, node), step


def _just_before(stop: plan.Scalar, step: plan.Scalar, node: syntax.MakeSeries) -> plan.Scalar:
    """The greatest value before a bound that is not a bin itself."""
    match stop.type:
        case Type.DATETIME | Type.TIMESPAN:
            least: plan.Scalar = plan.Constant(Type.TIMESPAN, 1)
        case Type.REAL:
            # More than what a row of numbers takes a sum of fractions to be off by.
            least = arithmetic("*", step, plan.Constant(Type.REAL, 1e-6), node.span)
        case _:
            least = plan.Constant(Type.LONG, 1)
    return convert(arithmetic("-", stop, least, node.span), stop.type)


def _of_type(value: plan.Scalar, wanted: Type, node: syntax.Scalar) -> plan.Scalar:
    if value.type is wanted or widest([value.type, wanted]):
        return convert(value, wanted)
    raise Refused(wrong_operands("make-series", str(wanted), str(value.type), node.span))


def _extreme(name: str, table: Table, axis: plan.Scalar) -> plan.Scalar:
    value = plan.Attribute(name, axis.type)
    return plan.FirstValue(plan.Aggregate(table.relation, (), ((value, _function(name, (axis,), axis.type)),)))


def _function(name: str, arguments: tuple[plan.Scalar, ...], returns: Type) -> plan.Invoke:
    function = FUNCTIONS.find(name)
    assert function is not None
    return plan.Invoke(function, arguments, returns)


def _binned(
    binder: "TableBinder",
    node: syntax.MakeSeries,
    table: Table,
    axis: plan.Scalar,
    start: plan.Scalar,
    last: plan.Scalar,
    step: plan.Scalar,
) -> Table:
    """The rows within the axis, with the bin of each."""
    bin_ = plan.Attribute(BIN, axis.type)
    binned = plan.Project(table.relation, (*handed_on(table.relation), (bin_, _function("bin_at", (axis, step, start), axis.type))))
    until = plan.Reference(bin_) if node.includes_stop else axis
    within = (comparison(">=", axis, start, node.axis.span), comparison("<=", until, last, node.axis.span))
    return Table(plan.Filter(binned, invoke("and", within)), table.broken, table.hidden | {BIN})


def _folded(binder: "TableBinder", node: syntax.MakeSeries, binned: Table) -> Table:
    """The summary by keys and bin."""
    name = syntax.Name(node.axis.span, BIN)
    items = tuple(item.value for item in node.items)
    folded = summarize(binder, syntax.Summarize(node.span, items, (*node.by, name)), binned)
    if len(folded.relation.attributes) != len(node.by) + 1 + len(items):
        if folded.broken:
            raise Muted
        raise Refused(unsupported("an aggregate of several columns in `make-series`", node.span))
    return folded


def _grid(shared: plan.Shared, outer: list[plan.Attribute], bin_: plan.Attribute, series: plan.Series, *, keeps_one: bool) -> plan.Relation:
    """A row for each group and bin of the axis."""
    if outer:
        reader = given(shared, outer)
        keys = tuple((plan.Attribute(a.name, a.type), plan.Reference(a)) for a in reader.attributes)
        groups: plan.Relation = plan.Aggregate(reader, keys, ())
    elif keeps_one:
        groups = plan.Rows((), ((),))
    else:
        one = (plan.Attribute("one", Type.LONG), plan.Constant(Type.LONG, 1))
        groups = plan.Aggregate(given(shared, (bin_,)), (one,), ())
    sources = (*(groups.attributes if outer else ()), series.column)
    return plan.Join("inner", groups, series, (), tuple((plan.Attribute(a.name, a.type), a) for a in sources))


def _filled(
    binder: "TableBinder", item: syntax.SeriesItem, is_empty: plan.Scalar, value: plan.Attribute
) -> tuple[plan.Attribute, plan.Scalar]:
    """What the bin has: the default where there is no row in it, which is 0 for numbers where nothing is said."""
    if item.default is None:
        default: plan.Scalar = plan.Constant(value.type, 0 if value.type is not Type.REAL else 0.0)
        if not value.type.is_numeric:
            default = plan.Constant(value.type, "" if value.type is Type.STRING else None)
    else:
        default = ScalarBinder(Columns(), binder.environment).bind(item.default)
    type_ = widest([value.type, default.type]) or value.type
    if default.type is not value.type and not widest([value.type, default.type]):
        untyped = isinstance(default, plan.Constant) and default.value is None
        if not untyped and item.default is not None:
            raise Refused(wrong_operands("default", str(value.type), str(default.type), item.default.span))
    arms = (is_empty, convert(default, type_), convert(plan.Reference(value), type_))
    return plan.Attribute(value.name, type_), plan.Invoke(iff, arms, type_)


def _if_any(result: plan.Aggregate, keys: list[plan.Attribute]) -> plan.Relation:
    """Without keys a summary has a row for no rows, and a series of nothing has none."""
    if keys:
        return result
    count = plan.Attribute("rows", Type.LONG)
    counted = plan.Aggregate(result.input, (), (*result.aggregates, (count, _function("count", (), Type.LONG))))
    some = plan.Filter(counted, invoke(">", (plan.Reference(count), plan.Constant(Type.LONG, 0))))
    return keep(some, result.attributes)
