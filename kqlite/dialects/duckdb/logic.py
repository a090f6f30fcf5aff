"""`iff`, `case`, `coalesce`, and the tests for null and emptiness."""

from kqlite.dialects import sql
from kqlite.dialects.scalars import ScalarLowering, custom
from kqlite.language import plan
from kqlite.language.schema import Array, JsonLeaf, Leaf, Object, Shape
from kqlite.language.types import Type

_EMPTY = sql.Literal("")


def in_form(lowering: ScalarLowering, scalar: plan.Scalar, form: Shape | None) -> sql.Expression:
    """A value as its neighbours have it: a dynamic natively where that is the common form, else as JSON."""
    if scalar.type is Type.DYNAMIC and isinstance(form, JsonLeaf | None):
        return lowering.json(scalar)
    return lowering.lower(scalar)


@custom("iff")
def _iff(lowering: ScalarLowering, invoke: plan.Invoke) -> sql.Expression:
    condition, then, otherwise = invoke.arguments
    return sql.Case(((lowering.condition(condition), in_form(lowering, then, invoke.form)),), in_form(lowering, otherwise, invoke.form))


@custom("case")
def _case(lowering: ScalarLowering, invoke: plan.Invoke) -> sql.Expression:
    *pairs, otherwise = invoke.arguments
    branches = tuple(
        (lowering.condition(condition), in_form(lowering, value, invoke.form))
        for condition, value in zip(pairs[::2], pairs[1::2], strict=True)
    )
    return sql.Case(branches, in_form(lowering, otherwise, invoke.form))


@custom("coalesce")
def _coalesce(lowering: ScalarLowering, invoke: plan.Invoke) -> sql.Expression:
    """Empty strings are passed over, save the last."""
    values = [in_form(lowering, argument, invoke.form) for argument in invoke.arguments]
    empty = _empty_text(invoke.type, invoke.form)
    if empty is not None:
        values = [*(sql.call("nullif", value, empty) for value in values[:-1]), values[-1]]
    return sql.call("coalesce", *values)


def _empty_text(type_: Type, form: Shape | None) -> sql.Expression | None:
    """How an empty string is held, or None where the values are no strings."""
    if type_ is Type.STRING or (isinstance(form, Leaf) and form.type is Type.STRING):
        return _EMPTY
    return sql.Literal('""') if isinstance(form, JsonLeaf) else None


@custom("not")
def _not(lowering: ScalarLowering, invoke: plan.Invoke) -> sql.Expression:
    return sql.Not(lowering.lower(invoke.arguments[0]))


@custom("isnull")
def _isnull(lowering: ScalarLowering, invoke: plan.Invoke) -> sql.Expression:
    operand = invoke.arguments[0]
    return sql.IsNull(lowering.null_where_null(operand)) if operand.nullable else sql.FALSE


@custom("isnotnull")
def _isnotnull(lowering: ScalarLowering, invoke: plan.Invoke) -> sql.Expression:
    operand = invoke.arguments[0]
    return sql.IsNull(lowering.null_where_null(operand), negated=True) if operand.nullable else sql.TRUE


def _may_be_empty(scalar: plan.Scalar) -> bool:
    """Whether a value can be an empty string."""
    if scalar.type is not Type.DYNAMIC:
        return scalar.type is Type.STRING
    return not isinstance(scalar.form, Leaf | Array | Object) or (isinstance(scalar.form, Leaf) and scalar.form.type is Type.STRING)


@custom("isempty")
def _isempty(lowering: ScalarLowering, invoke: plan.Invoke) -> sql.Expression:
    operand = invoke.arguments[0]
    if not _may_be_empty(operand):
        return sql.IsNull(lowering.lower(operand))
    value = lowering.null_where_null(operand)
    return sql.operation("=", sql.or_empty(value) if operand.nullable else value, _EMPTY)


@custom("isnotempty")
def _isnotempty(lowering: ScalarLowering, invoke: plan.Invoke) -> sql.Expression:
    operand = invoke.arguments[0]
    if not _may_be_empty(operand):
        return sql.IsNull(lowering.lower(operand), negated=True)
    value = lowering.null_where_null(operand)
    return sql.operation("<>", sql.or_empty(value) if operand.nullable else value, _EMPTY)


@custom("isnotempty as condition")
def _isnotempty_condition(lowering: ScalarLowering, invoke: plan.Invoke) -> sql.Expression:
    operand = invoke.arguments[0]
    if not _may_be_empty(operand):
        return sql.IsNull(lowering.lower(operand), negated=True)
    return sql.operation("<>", lowering.null_where_null(operand), _EMPTY)


@custom("max_of")
def _max_of(lowering: ScalarLowering, invoke: plan.Invoke) -> sql.Expression:
    return sql.call("greatest", *(lowering.lower(argument) for argument in invoke.arguments))


@custom("min_of")
def _min_of(lowering: ScalarLowering, invoke: plan.Invoke) -> sql.Expression:
    return sql.call("least", *(lowering.lower(argument) for argument in invoke.arguments))
