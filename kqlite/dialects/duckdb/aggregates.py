"""Aggregates. Of nothing KQL gives 0, an empty array or an empty string where SQL gives NULL."""

import json
from collections.abc import Callable

from kqlite.dialects import conversions, sql
from kqlite.dialects.duckdb.dynamics import bag_of, entries
from kqlite.dialects.duckdb.logic import in_form
from kqlite.dialects.scalars import SQL_TYPES, ScalarLowering, custom
from kqlite.language import plan
from kqlite.language.functions.aggregates import element_form
from kqlite.language.schema import JsonLeaf, Leaf
from kqlite.language.types import Type


def _template(template: str, /, **holes: sql.Expression) -> sql.Template:
    return sql.Template(template, holes)


def _filter(lowering: ScalarLowering, invoke: plan.Invoke, place: int = 1) -> sql.Expression | None:
    """The predicate of `sumif` and its like."""
    if not invoke.function.name.endswith("if"):
        return None
    return lowering.condition(invoke.arguments[place])


def _folded(name: str, *arguments: sql.Expression, filter_: sql.Expression | None = None, distinct: bool = False) -> sql.Call:
    return sql.Call(name, arguments, filter=filter_, distinct=distinct)


# Counts


@custom("count")
def _count(lowering: ScalarLowering, invoke: plan.Invoke) -> sql.Expression:
    return _folded("count", sql.Star())


@custom("countif")
def _countif(lowering: ScalarLowering, invoke: plan.Invoke) -> sql.Expression:
    return _folded("count", sql.Star(), filter_=lowering.condition(invoke.arguments[0]))


def _distinct_value(lowering: ScalarLowering, value: plan.Scalar) -> sql.Expression:
    if value.type is Type.DYNAMIC and not isinstance(value.form, Leaf):
        return lowering.text(value)
    return lowering.lower(value)


@custom("dcount")
def _dcount(lowering: ScalarLowering, invoke: plan.Invoke) -> sql.Expression:
    return _folded("count", _distinct_value(lowering, invoke.arguments[0]), distinct=True)


@custom("dcountif")
def _dcountif(lowering: ScalarLowering, invoke: plan.Invoke) -> sql.Expression:
    return _folded("count", _distinct_value(lowering, invoke.arguments[0]), filter_=_filter(lowering, invoke), distinct=True)


# Sums and means


@custom("sum")
def _sum(lowering: ScalarLowering, invoke: plan.Invoke) -> sql.Expression:
    total = _folded("sum", lowering.lower(invoke.arguments[0]), filter_=_filter(lowering, invoke))
    if invoke.type is Type.REAL:
        return sql.call("coalesce", total, sql.Literal(0.0))
    return sql.Cast(sql.call("coalesce", total, sql.Literal(0)), "BIGINT", tries=True)


@custom("avg")
def _avg(lowering: ScalarLowering, invoke: plan.Invoke) -> sql.Expression:
    """Of no number it is NaN. Of times it is reckoned in whole ticks: as reals they would lose some."""
    value, filter_ = lowering.lower(invoke.arguments[0]), _filter(lowering, invoke)
    if invoke.type is Type.REAL:
        return sql.call("coalesce", _folded("avg", value, filter_=filter_), sql.Cast(sql.Literal("NaN"), "DOUBLE"))
    total = _folded("sum", value, filter_=filter_)
    count = _folded("count", value, filter_=filter_)
    return sql.Cast(sql.operation("//", total, sql.call("nullif", count, sql.Literal(0))), "BIGINT")


def _declare_extreme(name: str) -> None:
    @custom(name)
    def lower(lowering: ScalarLowering, invoke: plan.Invoke) -> sql.Expression:
        extreme = _folded(name, lowering.lower(invoke.arguments[0]), filter_=_filter(lowering, invoke))
        return sql.or_empty(extreme) if invoke.type is Type.STRING else extreme


_declare_extreme("min")
_declare_extreme("max")


def _declare_spread(name: str, function: str) -> None:
    @custom(name)
    def lower(lowering: ScalarLowering, invoke: plan.Invoke) -> sql.Expression:
        spread = _folded(function, lowering.lower(invoke.arguments[0]), filter_=_filter(lowering, invoke))
        return sql.call("coalesce", spread, sql.Literal(0.0))


def _declare_covariance(name: str, function: str) -> None:
    @custom(name)
    def lower(lowering: ScalarLowering, invoke: plan.Invoke) -> sql.Expression:
        x, y = (lowering.lower(argument) for argument in invoke.arguments[:2])
        return sql.call("coalesce", _folded(function, y, x, filter_=_filter(lowering, invoke, 2)), sql.Literal(0.0))


_declare_covariance("covariance", "covar_samp")
_declare_covariance("covariancep", "covar_pop")


_declare_spread("stdev", "stddev_samp")
_declare_spread("stdevp", "stddev_pop")
_declare_spread("variance", "var_samp")
_declare_spread("variancep", "var_pop")


def _declare_bits(name: str, function: str) -> None:
    @custom(name)
    def lower(lowering: ScalarLowering, invoke: plan.Invoke) -> sql.Expression:
        return _folded(function, lowering.lower(invoke.arguments[0]))


_declare_bits("binary_all_and", "bit_and")
_declare_bits("binary_all_or", "bit_or")
_declare_bits("binary_all_xor", "bit_xor")


@custom("percentile")
def _percentile(lowering: ScalarLowering, invoke: plan.Invoke) -> sql.Expression:
    value, percentage = invoke.arguments[:2]
    assert isinstance(percentage, plan.Constant)
    if not isinstance(percentage.value, int | float) or not 0 <= percentage.value <= 100:
        return sql.Cast(sql.NULL, SQL_TYPES[invoke.type])
    return _folded("quantile_disc", lowering.lower(value), sql.Literal(percentage.value / 100))


def _percentages(arguments: tuple[plan.Scalar, ...]) -> list[float | None]:
    """The percentages that are asked for, one by one or as a dynamic array; None for one that is no percentage."""
    found: list[object] = []
    for argument in arguments:
        assert isinstance(argument, plan.Constant)
        read = json.loads(str(argument.value)) if argument.of is Type.DYNAMIC and argument.value is not None else argument.value
        found += read if isinstance(read, list) else [read]
    return [p if isinstance(p, int | float) and not isinstance(p, bool) and 0 <= p <= 100 else None for p in found]


def _by_weight(lowering: ScalarLowering, value: plan.Scalar, weight: plan.Scalar, percentages: list[float | None]) -> sql.Expression:
    """A list of the first values at which the sum of the weights so far reaches its part of all."""
    pair = sql.Struct((("v", lowering.lower(value)), ("w", lowering.lower(weight))))
    counts = sql.all_of([sql.IsNull(lowering.lower(value), negated=True), sql.operation(">", lowering.lower(weight), sql.Literal(0))])
    ranked = sql.call("list_sort", _folded("list", pair, filter_=counts))
    template = (
        "list_transform([{'rows': {ranked}}], lambda all_rows: list_transform({percentages}, lambda p: (list_reduce((all_rows).rows,"
        " lambda sum, r: CASE WHEN (sum).v IS NOT NULL AND (sum).w >= p * list_sum(list_transform((all_rows).rows, lambda e: (e).w)) / 100"
        " THEN sum ELSE {'v': (r).v, 'w': (sum).w + (r).w} END, {'v': CAST(NULL AS TYPE), 'w': 0::HUGEINT})).v))[1]"
    ).replace("TYPE", SQL_TYPES[value.type])
    listed = sql.Cast(sql.ListOf(tuple(sql.Literal(None if p is None else float(p)) for p in percentages)), "DOUBLE[]")
    return _template(template, ranked=ranked, percentages=listed)


@custom("percentilew")
def _percentilew(lowering: ScalarLowering, invoke: plan.Invoke) -> sql.Expression:
    value, weight, *percentages = invoke.arguments
    return sql.Element(_by_weight(lowering, value, weight, _percentages(tuple(percentages))[:1]), sql.Literal(1))


def _shown(values: sql.Expression, type_: Type) -> sql.Expression:
    """Numbers as they are, times as text."""
    if type_.is_numeric:
        return values
    return sql.call("list_transform", values, sql.Lambda("ranked", conversions.to_text(sql.Variable("ranked"), type_)))


@custom("percentiles_array")
def _percentiles_array(lowering: ScalarLowering, invoke: plan.Invoke) -> sql.Expression:
    value, *percentages = invoke.arguments
    ranked = lowering.lower(value)
    missing = sql.Cast(sql.NULL, SQL_TYPES[value.type])
    found = [missing if p is None else _folded("quantile_disc", ranked, sql.Literal(p / 100)) for p in _percentages(tuple(percentages))]
    return _shown(sql.ListOf(tuple(found)), value.type)


@custom("percentilesw_array")
def _percentilesw_array(lowering: ScalarLowering, invoke: plan.Invoke) -> sql.Expression:
    value, weight, *percentages = invoke.arguments
    return _shown(_by_weight(lowering, value, weight, _percentages(tuple(percentages))), value.type)


# Lists, sets and bags


def _element(lowering: ScalarLowering, value: plan.Scalar) -> sql.Expression:
    """A value as it stands in the list that is made."""
    if isinstance(element_form(value), JsonLeaf):
        return lowering.json(value)
    if value.type in (Type.DATETIME, Type.TIMESPAN):
        return conversions.to_text(lowering.lower(value), value.type)
    lowered = lowering.lower(value)
    return (
        sql.Cast(lowered, "BIGINT") if value.type is Type.INT or (value.type is Type.LONG and isinstance(value, plan.Constant)) else lowered
    )


def _list(
    lowering: ScalarLowering, value: plan.Scalar, filter_: sql.Expression | None, most: sql.Expression | None, *, nulls: bool = False
) -> sql.Expression:
    element = _element(lowering, value)
    if not nulls and (value.nullable or value.type is Type.DYNAMIC):
        present = sql.IsNull(element, negated=True)
        filter_ = present if filter_ is None else sql.all_of([present, filter_])
    return _cut(sql.Call("list", (element,), order_by=lowering.order, filter=filter_), most)


def _set(lowering: ScalarLowering, value: plan.Scalar, filter_: sql.Expression | None, most: sql.Expression | None) -> sql.Expression:
    """Sorted, so that the answer does not depend on how the engine goes about it. Arrays give their elements."""
    element = lowering.ordered_json(value) if isinstance(element_form(value), JsonLeaf) else _element(lowering, value)
    if value.type is Type.DYNAMIC and isinstance(element_form(value), JsonLeaf):
        opened = _template(
            "CASE WHEN json_type({json}) = 'ARRAY' THEN list_filter(CAST(json_extract({json}, '$[*]') AS JSON[]), lambda e: e <> 'null')"
            " WHEN {json} IS NOT NULL THEN [{json}] END",
            json=element,
        )
        return _cut(_template("list_sort(list_distinct(flatten({lists})))", lists=sql.Call("list", (opened,), filter=filter_)), most)
    if value.nullable or value.type is Type.DYNAMIC:
        present = sql.IsNull(element, negated=True)
        filter_ = present if filter_ is None else sql.all_of([present, filter_])
    return _cut(sql.call("list_sort", sql.Call("list", (element,), filter=filter_, distinct=True)), most)


def _cut(elements: sql.Expression, most: sql.Expression | None) -> sql.Expression:
    made = sql.call("coalesce", elements, sql.ListOf(()))
    return made if most is None else sql.call("list_slice", made, sql.Literal(1), most)


def _most(lowering: ScalarLowering, arguments: tuple[plan.Scalar, ...]) -> sql.Expression | None:
    return lowering.lower(arguments[0]) if arguments else None


Made = Callable[[ScalarLowering, plan.Scalar, sql.Expression | None, sql.Expression | None], sql.Expression]


def _declare_collection(name: str, old_name: str, make: Made) -> None:
    @custom(name)
    def of_all(lowering: ScalarLowering, invoke: plan.Invoke) -> sql.Expression:
        return make(lowering, invoke.arguments[0], None, _most(lowering, invoke.arguments[1:]))

    @custom(f"{name}_if")
    def of_some(lowering: ScalarLowering, invoke: plan.Invoke) -> sql.Expression:
        return make(lowering, invoke.arguments[0], _filter(lowering, invoke), _most(lowering, invoke.arguments[2:]))

    @custom(old_name)
    def of_few(lowering: ScalarLowering, invoke: plan.Invoke) -> sql.Expression:
        return make(lowering, invoke.arguments[0], None, _most(lowering, invoke.arguments[1:]) or sql.Literal(128))


_declare_collection("make_list", "makelist", _list)
_declare_collection("make_set", "makeset", _set)


@custom("make_list_with_nulls")
def _make_list_with_nulls(lowering: ScalarLowering, invoke: plan.Invoke) -> sql.Expression:
    return _list(lowering, invoke.arguments[0], None, None, nulls=True)


@custom("make_bag")
def _make_bag(lowering: ScalarLowering, invoke: plan.Invoke) -> sql.Expression:
    """The members of all bags by name, of each name the first. (`json_group_object` would repeat names.)"""
    lists = sql.Call("list", (entries(lowering.json(invoke.arguments[0])),), filter=_filter(lowering, invoke))
    most = invoke.arguments[-1] if invoke.arguments[-1].type is Type.LONG else None
    by_name = _template("list_sort(flatten({lists}))", lists=lists)
    # Beside the one before it each is compared without a lambda that holds an aggregate, which DuckDB fails on.
    beside = _template("list_zip({all}, list_concat([NULL], {all}), TRUE)", all=by_name)
    first = _template("list_transform(list_filter({pairs}, lambda p: p[1].k IS DISTINCT FROM p[2].k), lambda p: p[1])", pairs=beside)
    kept = first if most is None else sql.call("list_slice", first, sql.Literal(1), lowering.lower(most))
    return sql.call("coalesce", bag_of(kept), sql.Cast(sql.Literal("{}"), "JSON"))


# Values of one row


@custom("take_any")
def _take_any(lowering: ScalarLowering, invoke: plan.Invoke) -> sql.Expression:
    if len(invoke.arguments) > 1:
        return _picked(invoke, _folded("any_value", _row(lowering, invoke)))
    return _one(invoke, _folded("any_value", in_form(lowering, invoke.arguments[0], invoke.form)))


@custom("take_anyif")
def _take_anyif(lowering: ScalarLowering, invoke: plan.Invoke) -> sql.Expression:
    return _one(invoke, _folded("any_value", in_form(lowering, invoke.arguments[0], invoke.form), filter_=_filter(lowering, invoke)))


def _one(invoke: plan.Invoke, value: sql.Expression) -> sql.Expression:
    return sql.or_empty(value) if invoke.type is Type.STRING else value


def _row(lowering: ScalarLowering, invoke: plan.Invoke) -> sql.Expression:
    """All values of a row as one struct. The same for each column that is picked, so that the engine folds it once."""
    values = invoke.arguments[1:]
    fields = tuple((f"v{place}", in_form(lowering, value, _kept_form(value))) for place, value in enumerate(values))
    return sql.Struct(fields)


def _kept_form(value: plan.Scalar) -> Leaf | None:
    return value.form if isinstance(value.form, Leaf) else None


def _picked(invoke: plan.Invoke, row: sql.Expression) -> sql.Expression:
    place = invoke.arguments[0]
    assert isinstance(place, plan.Constant)
    return _one(invoke, sql.call("struct_extract", row, sql.Literal(f"v{place.value}")))


def _declare_row_of_extreme(name: str) -> None:
    @custom(name)
    def lower(lowering: ScalarLowering, invoke: plan.Invoke) -> sql.Expression:
        """Where the values to compare are all null, any row: DuckDB's function passes over those."""
        row = _row(lowering, invoke)
        by = lowering.lower(invoke.arguments[1])
        return _picked(invoke, sql.call("coalesce", _folded(name, row, by), _folded("any_value", row)))


_declare_row_of_extreme("arg_max")
_declare_row_of_extreme("arg_min")
