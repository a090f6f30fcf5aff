"""Comparison, membership, logic and arithmetic. Comparisons with nulls answer as KQL says: null differs from any value, and equals none.

Each operator has a form for use anywhere and, where that is simpler, one `as condition`, in which null counts as false: the engine pushes
`x = 'lit'` and `x IN (..)` down into scans, but nothing more complicated.
"""

import json
import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace

from kqlite.dialects import conversions, sql
from kqlite.dialects.scalars import SQL_TYPES, ScalarLowering, custom
from kqlite.language import plan
from kqlite.language.functions.operators import OPERATORS
from kqlite.language.schema import Array, JsonLeaf, Leaf, Object
from kqlite.language.types import Type

# Operands


def compared_as(lowering: ScalarLowering, scalar: plan.Scalar, other: Type) -> sql.Expression:
    """A dynamic as it is compared with a scalar of type `other`; anything else as it is. NULL where it holds no such value."""
    if scalar.type is not Type.DYNAMIC:
        return lowering.lower(scalar)
    match other:
        case Type.STRING:
            return lowering.plain_text(scalar)
        case Type.INT | Type.LONG | Type.REAL:
            return _number(lowering, scalar)
        case Type.BOOL:
            return _bool(lowering, scalar)
        case Type.DYNAMIC:
            return lowering.text(scalar)
        case _:
            return lowering.lower(plan.Convert(scalar, other))


def _number(lowering: ScalarLowering, scalar: plan.Scalar) -> sql.Expression:
    if isinstance(scalar.form, Array | Object) or (isinstance(scalar.form, Leaf) and scalar.form.type is Type.BOOL):
        return sql.Cast(sql.NULL, "DOUBLE")
    if isinstance(scalar.form, Leaf) and scalar.form.type.is_numeric:
        return lowering.lower(scalar)
    return sql.Cast(lowering.plain_text(scalar), "DOUBLE", tries=True)


def _bool(lowering: ScalarLowering, scalar: plan.Scalar) -> sql.Expression:
    if isinstance(scalar.form, Array | Object) or (isinstance(scalar.form, Leaf) and scalar.form.type.is_numeric):
        return sql.Cast(sql.NULL, "BOOLEAN")
    if isinstance(scalar.form, Leaf) and scalar.form.type is Type.BOOL:
        return lowering.lower(scalar)
    return sql.Template("CASE {t} WHEN 'true' THEN TRUE WHEN 'false' THEN FALSE END", {"t": lowering.plain_text(scalar)})


def _operands(lowering: ScalarLowering, invoke: plan.Invoke) -> tuple[sql.Expression, sql.Expression]:
    left, right = invoke.arguments
    if left.type is Type.DYNAMIC and right.type is Type.DYNAMIC and isinstance(left.form, Leaf) and isinstance(right.form, Leaf):
        if left.form.type is right.form.type or (left.form.type.is_numeric and right.form.type.is_numeric):
            return lowering.lower(left), lowering.lower(right)
        return lowering.plain_text(left), lowering.plain_text(right)
    for value, constant in ((left, right), (right, left)):
        # As text, a bool inside JSON is compared without being read.
        if value.type is Type.DYNAMIC and isinstance(constant, plan.Constant) and isinstance(constant.value, bool):
            if isinstance(value.form, Leaf | Array | Object):
                break
            text = sql.Literal("true" if constant.value else "false")
            pair = (lowering.plain_text(value), text)
            return pair if value is left else (pair[1], pair[0])
    return compared_as(lowering, left, right.type), compared_as(lowering, right, left.type)


def may_be_null(scalar: plan.Scalar) -> bool:
    return scalar.nullable or scalar.type is Type.DYNAMIC


# A dynamic beside a string


def missing_as_empty(scalar: plan.Scalar, matters: bool = True) -> plan.Scalar:
    """A dynamic beside a string counts as `tostring()` of it, so that a missing one is `''`; any other scalar stays as it is.

    matters: whether the operator tells `''` from null here. It does not beside a constant other than `''`; there the dynamic stays as it
    is, and the engine compares its dictionary.
    """
    return plan.Convert(scalar, Type.STRING) if matters and scalar.type is Type.DYNAMIC else scalar


def may_be_empty(scalar: plan.Scalar) -> bool:
    """Whether a string, or a dynamic as text, can be `''`."""
    return not isinstance(scalar, plan.Constant) or scalar.value is None or scalar.value == ""


def _beside_string(invoke: plan.Invoke) -> plan.Invoke:
    """A comparison in which a missing dynamic beside a string that may be `''` is `''` itself."""
    left, right = invoke.arguments
    if {left.type, right.type} != {Type.DYNAMIC, Type.STRING}:
        return invoke
    return replace(invoke, arguments=(missing_as_empty(left, may_be_empty(right)), missing_as_empty(right, may_be_empty(left))))


# Whole numbers that a double does not hold


EXACT = 1 << 53
"""Below it every whole number is a double of its own."""


def _needs_digits(invoke: plan.Invoke) -> bool:
    """Whether a comparison of a whole number with a number in JSON, as doubles, could confuse two numbers."""
    return _may_be_confused(*invoke.arguments)


def _may_be_confused(left: plan.Scalar, right: plan.Scalar) -> bool:
    for value, whole in ((left, right), (right, left)):
        if value.type is Type.DYNAMIC and isinstance(value.form, JsonLeaf) and whole.type in (Type.INT, Type.LONG):
            is_small = isinstance(whole, plan.Constant) and isinstance(whole.value, int) and abs(whole.value) < EXACT
            return whole.type is Type.LONG and not is_small
    return False


def _as_whole(lowering: ScalarLowering, scalar: plan.Scalar) -> sql.Expression:
    """A number with all its digits; NULL for a number in JSON that is not written as a whole one."""
    if scalar.type is not Type.DYNAMIC:
        return sql.Cast(lowering.lower(scalar), "HUGEINT")
    return sql.Template(
        "CASE WHEN regexp_full_match({t}, '-?[0-9]+') THEN TRY_CAST({t} AS HUGEINT) END", {"t": lowering.plain_text(scalar)}
    )


def _same_digits(lowering: ScalarLowering, invoke: plan.Invoke) -> sql.Expression:
    """Whether two numbers that are equal as doubles are equal: they are where one of them is not written as a whole number."""
    return sql.call("coalesce", sql.operation("=", *(_as_whole(lowering, argument) for argument in invoke.arguments)), sql.TRUE)


# Two dynamics


def _may_be_numbers(invoke: plan.Invoke) -> bool:
    """Whether two dynamics are compared as text though both may be numbers: 1 and 1.0 are equal, as they are where a shape is known."""
    left, right = invoke.arguments
    if left.type is not Type.DYNAMIC or right.type is not Type.DYNAMIC:
        return False
    kinds = [scalar.form for scalar in invoke.arguments]
    could_be = [not isinstance(form, Array | Object) and (not isinstance(form, Leaf) or form.type.is_numeric) for form in kinds]
    return all(could_be) and not all(isinstance(form, Leaf) for form in kinds)


def _same_number(lowering: ScalarLowering, invoke: plan.Invoke) -> sql.Expression:
    """Whether two dynamics are the same number though not both are whole ones, which have the same text where they are equal."""
    first, second = (_json_number(lowering, argument) for argument in invoke.arguments)
    fraction = sql.Template(
        "json_type({a}) = 'DOUBLE' OR json_type({b}) = 'DOUBLE'",
        {"a": lowering.json(invoke.arguments[0]), "b": lowering.json(invoke.arguments[1])},
    )
    return sql.call("coalesce", sql.operation("AND", sql.operation("=", first, second), fraction), sql.FALSE)


def _json_number(lowering: ScalarLowering, scalar: plan.Scalar) -> sql.Expression:
    """NULL for what is no number; a number that is written as a string is none."""
    if isinstance(scalar.form, Leaf):
        return sql.Cast(lowering.lower(scalar), "DOUBLE")
    template = "CASE WHEN json_type({json}) IN ('UBIGINT', 'BIGINT', 'DOUBLE') THEN TRY_CAST({json} AS DOUBLE) END"
    return sql.Template(template, {"json": lowering.lower(scalar)})


# Equality and order


@custom("==")
def _equal(lowering: ScalarLowering, invoke: plan.Invoke) -> sql.Expression:
    return _equality(lowering, invoke, "=", "IS NOT DISTINCT FROM")


@custom("!=")
def _unequal(lowering: ScalarLowering, invoke: plan.Invoke) -> sql.Expression:
    return _equality(lowering, invoke, "<>", "IS DISTINCT FROM")


def _equality(lowering: ScalarLowering, invoke: plan.Invoke, plain: str, with_null: str) -> sql.Expression:
    invoke = _beside_string(invoke)
    left, right = _operands(lowering, invoke)
    nullable = [may_be_null(argument) for argument in invoke.arguments]
    if not any(nullable):
        return sql.operation(plain, left, right)
    answer: sql.Expression = sql.operation(with_null, left, right)
    holds_others = _holds_others(invoke)
    if holds_others:
        # Read as the other's type, what is none is NULL, and yet it differs from null.
        answer = sql.call("coalesce", sql.operation(plain, left, right), sql.Literal(plain == "<>"))
    if _may_be_numbers(invoke):
        same = _same_number(lowering, invoke)
        answer = sql.operation("OR", answer, same) if plain == "=" else sql.operation("AND", answer, sql.Not(same))
    elif _needs_digits(invoke):
        same = _same_digits(lowering, invoke)
        answer = sql.operation("AND", answer, same) if plain == "=" else sql.operation("OR", answer, sql.Not(same))
    if not all(nullable):
        return answer
    if holds_others:
        left, right = (lowering.null_where_null(argument) for argument in invoke.arguments)
    both = sql.operation("AND", sql.IsNull(left), sql.IsNull(right))
    return sql.Case(((both, sql.Cast(sql.NULL, "BOOLEAN")),), answer)


def _holds_others(invoke: plan.Invoke) -> bool:
    """Whether one side is a dynamic that may hold a value which is none of the other side's type, and the other side may be null."""
    for value, other in zip(invoke.arguments, reversed(invoke.arguments), strict=True):
        if value.type is Type.DYNAMIC and other.type is not Type.DYNAMIC and other.nullable:
            form = value.form
            return not (isinstance(form, Leaf) and (form.type is other.type or (form.type.is_numeric and other.type.is_numeric)))
    return False


@custom("== as condition")
def _equal_condition(lowering: ScalarLowering, invoke: plan.Invoke) -> sql.Expression:
    invoke = _beside_string(invoke)
    if _needs_digits(invoke) or _may_be_numbers(invoke):
        return _equal(lowering, invoke)
    return sql.operation("=", *_operands(lowering, invoke))


@custom("!= as condition")
def _unequal_condition(lowering: ScalarLowering, invoke: plan.Invoke) -> sql.Expression:
    if any(isinstance(argument, plan.Constant) and argument.value == "" for argument in invoke.arguments):
        # Null counts as false, as it must: a missing dynamic is not unlike `''`.
        return sql.operation("<>", *_operands(lowering, invoke))
    invoke = _beside_string(invoke)
    if _needs_digits(invoke) or _may_be_numbers(invoke) or _holds_others(invoke):
        return _unequal(lowering, invoke)
    nullable = any(may_be_null(argument) for argument in invoke.arguments)
    return sql.operation("IS DISTINCT FROM" if nullable else "<>", *_operands(lowering, invoke))


def _declare_order(operator: str) -> None:
    @custom(operator)
    def lower(lowering: ScalarLowering, invoke: plan.Invoke) -> sql.Expression:
        left, right = invoke.arguments
        if left.type is Type.DYNAMIC and right.type is Type.DYNAMIC:
            # Two dynamics have an order as numbers.
            return sql.operation(operator, _number(lowering, left), _number(lowering, right))
        pair = _operands_in_order(lowering, left, right)
        test = sql.operation(operator, *pair)
        if _needs_digits(invoke):
            digits = sql.operation(operator, *(_as_whole(lowering, argument) for argument in invoke.arguments))
            # Numbers that are not both whole and equal as doubles are equal.
            tie = sql.call("coalesce", digits, sql.Literal(operator in ("<=", ">=")))
            test = sql.operation("OR", sql.operation(operator[0], *pair), sql.operation("AND", sql.operation("=", *pair), tie))
        greater, other, value = (left, right, pair[0]) if operator[0] == ">" else (right, left, pair[1])
        if not _may_be_nan(greater) or not (greater.type is Type.REAL or other.type.is_numeric):
            return test
        # NaN is in no order with any number; the engine has it above them all.
        return sql.operation("AND", test, sql.Not(sql.call("isnan", value)))


def _may_be_nan(scalar: plan.Scalar) -> bool:
    """Whether a value may be NaN, which text may say; a constant, a whole number, and what was a whole number are not."""
    match scalar:
        case plan.Constant():
            return isinstance(scalar.value, float) and math.isnan(scalar.value)
        case plan.Convert():
            return scalar.to is Type.REAL and (_may_be_text(scalar.operand) or _may_be_nan(scalar.operand))
        case _:
            return scalar.type is Type.REAL or (scalar.type is Type.DYNAMIC and _may_be_text(scalar))


def _may_be_text(scalar: plan.Scalar) -> bool:
    kind = scalar.form.type if isinstance(scalar.form, Leaf) else scalar.type
    return kind in (Type.STRING, Type.DYNAMIC)


def _operands_in_order(lowering: ScalarLowering, left: plan.Scalar, right: plan.Scalar) -> tuple[sql.Expression, sql.Expression]:
    return compared_as(lowering, left, right.type), compared_as(lowering, right, left.type)


for _operator in ("<", ">", "<=", ">="):
    _declare_order(_operator)


@custom("between")
def _between(lowering: ScalarLowering, invoke: plan.Invoke) -> sql.Expression:
    value, low, high = (lowering.lower(argument) for argument in invoke.arguments)
    return sql.Template("{value} BETWEEN {low} AND {high}", {"value": value, "low": low, "high": high})


@custom("!between")
def _not_between(lowering: ScalarLowering, invoke: plan.Invoke) -> sql.Expression:
    value, low, high = (lowering.lower(argument) for argument in invoke.arguments)
    return sql.Template("{value} NOT BETWEEN {low} AND {high}", {"value": value, "low": low, "high": high})


# Membership


def listed(arguments: Iterable[plan.Scalar]) -> tuple[list[plan.Scalar], list[plan.Scalar]]:
    """The items of a list, and the arrays among them whose elements are only known when the query runs.

    A constant array stands for its elements, as do arrays in it. Source: Kusto docs, "in operator", nested arrays.
    """
    items: list[plan.Scalar] = []
    arrays: list[plan.Scalar] = []
    for argument in arguments:
        if argument.type is not Type.DYNAMIC or isinstance(argument.form, Leaf):
            items.append(argument)
        elif isinstance(argument, plan.Constant):
            items += map(_constant, _flat(None if argument.value is None else json.loads(str(argument.value))))
        else:
            arrays.append(argument)
    return items, arrays


def _flat(value: object) -> Iterator[object]:
    if isinstance(value, list):
        for item in value:
            yield from _flat(item)
    else:
        yield value


def _constant(value: object) -> plan.Constant:
    match value:
        case None:
            return plan.Constant(Type.DYNAMIC, None)
        case bool():
            return plan.Constant(Type.BOOL, value)
        case int():
            return plan.Constant(Type.LONG, value)
        case float():
            return plan.Constant(Type.REAL, value)
        case str():
            return plan.Constant(Type.STRING, value)
        case _:
            return plan.Constant(Type.DYNAMIC, json.dumps(value, ensure_ascii=False, separators=(",", ":")))


def _in(lowering: ScalarLowering, invoke: plan.Invoke, *, ignores_case: bool) -> sql.Expression:
    """Whether the value is in the list; may be NULL where it is not."""
    value, *rest = invoke.arguments
    items, arrays = listed(rest)
    by_type: dict[Type, list[plan.Scalar]] = {}
    for item in items:
        kind = Type.REAL if item.type is Type.REAL else Type.LONG if item.type.is_numeric else item.type
        by_type.setdefault(kind, []).append(item)
    tests = [_one_of(lowering, value, kind, group, ignores_case=ignores_case) for kind, group in by_type.items()]
    for array in arrays:
        tests.append(_in_array(lowering, value, array, ignores_case=ignores_case))
        if not isinstance(array.form, Array):
            # It may be a scalar, too.
            tests.append(_one_of(lowering, value, Type.DYNAMIC, [array], ignores_case=ignores_case))
    found = [test for test in tests if test is not None]
    if not found:
        return sql.FALSE
    return _any_of(found)


def _any_of(tests: list[sql.Expression]) -> sql.Expression:
    return tests[0] if len(tests) == 1 else sql.Operation("OR", tuple(tests))


def _one_of(
    lowering: ScalarLowering, value: plan.Scalar, kind: Type, items: list[plan.Scalar], *, ignores_case: bool
) -> sql.Expression | None:
    """Whether the value is one of items of one type; None where it cannot be."""
    if kind is Type.STRING:
        value = missing_as_empty(value, any(map(may_be_empty, items)))
    elif value.type is Type.STRING:
        items = [missing_as_empty(item) for item in items]
        kind = Type.STRING if kind is Type.DYNAMIC else kind
    if ignores_case:
        text = lowered(compared_as(lowering, value, Type.STRING))
        return _any_equal(text, [lowered(compared_as(lowering, item, Type.STRING)) for item in items])
    if (
        value.type is not Type.DYNAMIC
        and kind is not Type.DYNAMIC
        and value.type is not kind
        and not (value.type.is_numeric and kind.is_numeric)
    ):
        if kind is not Type.STRING:
            return None
        # Times and guids are text in JSON.
        items = [plan.Convert(item, value.type) for item in items]
        kind = value.type
    if any(_may_be_confused(value, item) for item in items):
        equal = OPERATORS.find("==")
        assert equal is not None
        return _any_of([_equal(lowering, plan.Invoke(equal, (value, item), Type.BOOL)) for item in items])
    return _any_equal(compared_as(lowering, value, kind), [compared_as(lowering, item, value.type) for item in items])


def _any_equal(value: sql.Expression, items: list[sql.Expression]) -> sql.Expression:
    return sql.operation("=", value, items[0]) if len(items) == 1 else sql.In(value, tuple(items))


def _in_array(lowering: ScalarLowering, value: plan.Scalar, array: plan.Scalar, *, ignores_case: bool) -> sql.Expression:
    """Whether the value is an element of an array that is not known before."""
    if ignores_case:
        holes = {"list": texts_of(lowering, array), "text": lowering.plain_text(missing_as_empty(value))}
        return sql.Template("list_contains(list_transform({list}, lambda i: lower(i)), lower({text}))", holes)
    element = array.form.element if isinstance(array.form, Array) else None
    if isinstance(element, Leaf) and element.type is not Type.BOOL and element.type.is_numeric == value.type.is_numeric:
        element_like = missing_as_empty(value, element.type is Type.STRING)
        return sql.call("list_contains", lowering.lower(array), compared_as(lowering, element_like, element.type))
    if value.type is Type.DYNAMIC:
        return sql.Template(
            "list_contains(CAST(json_extract({json}, '$[*]') AS JSON[]), {value})",
            {"json": lowering.ordered_json(array), "value": sql.call("coalesce", lowering.ordered_json(value), sql.Literal('""'))},
        )
    if value.type in (Type.INT, Type.LONG):
        # As a double alone a number of many digits could be taken for another.
        template = (
            "len(list_filter(CAST(json_extract({json}, '$[*]') AS JSON[]), lambda i: json_type(i) IN ('UBIGINT', 'BIGINT', 'DOUBLE')"
            " AND TRY_CAST(i AS DOUBLE) = {value} AND coalesce(TRY_CAST(i AS HUGEINT) = {value}, TRUE))) > 0"
        )
        return sql.Template(template, {"json": lowering.json(array), "value": lowering.lower(value)})
    kinds, read = ("'UBIGINT', 'BIGINT', 'DOUBLE'", "TRY_CAST(i AS DOUBLE)") if value.type.is_numeric else ("'VARCHAR'", "i ->> '$'")
    if value.type is Type.BOOL:
        kinds = "'BOOLEAN'"
    of_kind = f"list_filter(CAST(json_extract({{json}}, '$[*]') AS JSON[]), lambda i: json_type(i) IN ({kinds}))"
    template = f"list_contains(list_transform({of_kind}, lambda i: {read}), {{value}})"
    sought = lowering.lower(value) if value.type.is_numeric else _json_text(lowering, value)
    return sql.Template(template, {"json": lowering.json(array), "value": sought})


def _json_text(lowering: ScalarLowering, value: plan.Scalar) -> sql.Expression:
    """The text of a value as it stands in JSON, a string's without quotes."""
    if value.type is Type.BOOL:
        return sql.Cast(lowering.lower(value), "VARCHAR")
    return lowering.plain_text(value)


def texts_of(lowering: ScalarLowering, array: plan.Scalar) -> sql.Expression:
    """The elements of an array as a list of their texts; of a scalar the scalar alone."""
    if isinstance(array.form, Array) and isinstance(array.form.element, Leaf):
        value = lowering.lower(array)
        if array.form.element.type is Type.STRING:
            return value
        body = conversions.leaf_to_text(sql.Variable("i"), array.form.element)
        return sql.call("list_transform", value, sql.Lambda("i", body))
    template = (
        "CASE WHEN json_type({json}) = 'ARRAY' THEN CAST(json_extract_string({json}, '$[*]') AS VARCHAR[])"
        " WHEN {json} IS NOT NULL THEN [{json} ->> '$'] END"
    )
    return sql.Template(template, {"json": lowering.json(array)})


def lowered(text: sql.Expression) -> sql.Expression:
    """The text in lower case; an ASCII constant on the spot, others are left to the engine, whose folding is not Python's."""
    if isinstance(text, sql.Literal) and isinstance(text.value, str) and text.value.isascii():
        return sql.Literal(text.value.lower())
    return sql.call("lower", text)


def _declare_membership(operator: str, *, ignores_case: bool) -> None:
    @custom(operator)
    def found(lowering: ScalarLowering, invoke: plan.Invoke) -> sql.Expression:
        return sql.call("coalesce", _in(lowering, invoke, ignores_case=ignores_case), sql.FALSE)

    @custom(f"{operator} as condition")
    def found_as_condition(lowering: ScalarLowering, invoke: plan.Invoke) -> sql.Expression:
        return _in(lowering, invoke, ignores_case=ignores_case)

    @custom(f"!{operator}")
    def missing(lowering: ScalarLowering, invoke: plan.Invoke) -> sql.Expression:
        test = sql.Not(_in(lowering, invoke, ignores_case=ignores_case))
        certain = not any(may_be_null(argument) for argument in invoke.arguments)
        return test if certain else sql.call("coalesce", test, sql.TRUE)


_declare_membership("in", ignores_case=False)
_declare_membership("in~", ignores_case=True)


# Logic


@custom("and")
def _and(lowering: ScalarLowering, invoke: plan.Invoke) -> sql.Expression:
    return sql.Operation("AND", tuple(lowering.lower(argument) for argument in invoke.arguments))


@custom("or")
def _or(lowering: ScalarLowering, invoke: plan.Invoke) -> sql.Expression:
    return sql.Operation("OR", tuple(lowering.lower(argument) for argument in invoke.arguments))


# Arithmetic


def _number_operand(lowering: ScalarLowering, scalar: plan.Scalar) -> sql.Expression:
    """A constant whole number as a BIGINT: DuckDB takes a short one for an INTEGER, and computes with those in 32 bits."""
    value = lowering.lower(scalar)
    is_short = isinstance(value, sql.Literal) and isinstance(value.value, int) and -(2**31) <= value.value < 2**31
    return sql.Cast(value, SQL_TYPES[scalar.type]) if is_short else value


def _tried(expression: sql.Expression) -> sql.Expression:
    """NULL in place of the engine's error when a whole number overflows."""
    return sql.call("TRY", expression)


def _untried(expression: sql.Expression) -> sql.Expression:
    """What stands inside `TRY`: one around all of a computation will do."""
    return expression.arguments[0] if isinstance(expression, sql.Call) and expression.function == "TRY" else expression


Arithmetic = Callable[[plan.Invoke, sql.Expression, sql.Expression], sql.Expression]


def _declare_arithmetic(operator: str, rule: Arithmetic) -> None:
    @custom(operator)
    def lower(lowering: ScalarLowering, invoke: plan.Invoke) -> sql.Expression:
        left, right = (_number_operand(lowering, argument) for argument in invoke.arguments)
        return rule(invoke, left, right)


def _sum(operator: str) -> Arithmetic:
    def rule(invoke: plan.Invoke, left: sql.Expression, right: sql.Expression) -> sql.Expression:
        if invoke.type is Type.REAL:
            return sql.operation(operator, left, right)
        total = sql.operation(operator, _untried(left), _untried(right))
        if invoke.type is Type.DATETIME:
            in_range = sql.Template(f"CASE WHEN {{t}} BETWEEN 0 AND {conversions.LAST_TICK} THEN {{t}} END", {"t": total})
            return _tried(in_range) if not _is_relative_to_now(invoke) else total
        return _tried(total)

    return rule


def _is_relative_to_now(invoke: plan.Invoke) -> bool:
    """`now() - 7d`: stays a plain constant, which the engine can prune by."""
    left, right = invoke.arguments
    return isinstance(left, plan.Invoke) and left.function.name in ("now", "ago") and isinstance(right, plan.Constant)


def _product(invoke: plan.Invoke, left: sql.Expression, right: sql.Expression) -> sql.Expression:
    if invoke.type is Type.REAL:
        return sql.operation("*", left, right)
    if invoke.arguments[1].type is Type.REAL:
        return sql.Cast(sql.call("trunc", sql.operation("*", left, right)), "BIGINT", tries=True)
    return _tried(sql.operation("*", _untried(left), _untried(right)))


def _quotient(invoke: plan.Invoke, left: sql.Expression, right: sql.Expression) -> sql.Expression:
    if invoke.type is Type.REAL:
        if invoke.arguments[0].type is Type.TIMESPAN:
            left, right = sql.Cast(left, "DOUBLE"), sql.Cast(right, "DOUBLE")
        return sql.operation("/", left, right)
    if invoke.arguments[1].type is Type.REAL:
        return sql.Cast(sql.call("trunc", sql.operation("/", left, right)), "BIGINT", tries=True)
    divisor = invoke.arguments[1]
    if isinstance(divisor, plan.Constant) and isinstance(divisor.value, int) and divisor.value > 0:
        return sql.operation("//", left, right)
    return _tried(sql.operation("//", _untried(left), sql.call("nullif", _untried(right), sql.Literal(0))))


def _remainder(invoke: plan.Invoke, left: sql.Expression, right: sql.Expression) -> sql.Expression:
    """Never negative, whatever the signs."""
    divisor = invoke.arguments[1]
    if isinstance(divisor, plan.Constant) and isinstance(divisor.value, int | float) and divisor.value > 0:
        return sql.Template("(({a} % {b}) + {b}) % {b}", {"a": left, "b": right})
    template = "TRY((({a} % {b}) + abs({b})) % abs({b}))"
    if invoke.type is not Type.REAL:
        right = sql.call("nullif", right, sql.Literal(0))
    return sql.Template(template, {"a": left, "b": right})


_declare_arithmetic("+", _sum("+"))
_declare_arithmetic("-", _sum("-"))
_declare_arithmetic("*", _product)
_declare_arithmetic("/", _quotient)
_declare_arithmetic("%", _remainder)


@custom("negate")
def _negate(lowering: ScalarLowering, invoke: plan.Invoke) -> sql.Expression:
    operand = _number_operand(lowering, invoke.arguments[0])
    zero = sql.Literal(0) if invoke.type is not Type.REAL else sql.Literal(-0.0)
    return _tried(sql.operation("-", zero, _untried(operand))) if invoke.type is not Type.REAL else sql.operation("-", zero, operand)
