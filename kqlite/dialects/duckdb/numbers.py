"""Rounding, and rounding down to a size."""

from kqlite.dialects import sql
from kqlite.dialects.duckdb.datetimes import in_range
from kqlite.dialects.scalars import SQL_TYPES, ScalarLowering, custom
from kqlite.language import plan
from kqlite.language.types import Type


@custom("round")
def _round(lowering: ScalarLowering, invoke: plan.Invoke) -> sql.Expression:
    """Of a whole number only digits before the point can be rounded away."""
    value = lowering.lower(invoke.arguments[0])
    if invoke.type is Type.REAL:
        return sql.call("round", value) if len(invoke.arguments) == 1 else _rounded(value, lowering.lower(invoke.arguments[1]))
    if len(invoke.arguments) == 1:
        return value
    return sql.Cast(_rounded(sql.Cast(value, "DOUBLE"), lowering.lower(invoke.arguments[1])), SQL_TYPES[invoke.type], tries=True)


def _rounded(value: sql.Expression, digits: sql.Expression) -> sql.Expression:
    """As the service rounds, on the scaled double: DuckDB's own function makes 2.1 of 2.15. What has no fraction in a double stays."""
    template = (
        "CASE WHEN {n} >= 0 AND abs({x}) >= 9007199254740992 THEN {x}"
        " WHEN {n} >= 0 THEN round({x} * pow(10, least({n}, 15))) / pow(10, least({n}, 15))"
        " ELSE round({x} / pow(10, -{n})) * pow(10, -{n}) END"
    )
    return sql.Template(template, {"x": value, "n": digits})


@custom("ceiling")
def _ceiling(lowering: ScalarLowering, invoke: plan.Invoke) -> sql.Expression:
    value = lowering.lower(invoke.arguments[0])
    return sql.call("ceil", value) if invoke.type is Type.REAL else value


_LARGE = 2**62
"""A size from which on a sum may overflow."""


@custom("bin")
def _bin(lowering: ScalarLowering, invoke: plan.Invoke) -> sql.Expression:
    value, size = (lowering.lower(argument) for argument in invoke.arguments)
    if invoke.type is Type.REAL:
        binned = "floor({x} / {n}) * {n}"
    elif invoke.type is Type.DATETIME:
        # Ticks of a datetime are never negative.
        binned = "{x} - {x} % {n}"
    else:
        binned = "{x} - (({x} % {n}) + {n}) % {n}"
    size_is = invoke.arguments[1]
    if isinstance(size_is, plan.Constant) and isinstance(size_is.value, int | float):
        if size_is.value <= 0:
            return sql.Cast(sql.NULL, SQL_TYPES[invoke.type])
        made = sql.Template(binned, {"x": value, "n": size})
        # Ticks of a datetime and doubles cannot fall out of their range, unless the size is huge.
        return made if invoke.type in (Type.DATETIME, Type.REAL) and size_is.value < _LARGE else sql.call("TRY", made)
    return sql.Template(f"TRY(CASE WHEN {{n}} > 0 THEN {binned} END)", {"x": value, "n": size})


@custom("bin_at")
def _bin_at(lowering: ScalarLowering, invoke: plan.Invoke) -> sql.Expression:
    value, size, point = (lowering.lower(argument) for argument in invoke.arguments)
    if invoke.type is Type.REAL:
        binned = "CASE WHEN {n} > 0 THEN {at} + floor(({x} - {at}) / {n}) * {n} END"
    else:
        binned = "TRY(CASE WHEN {n} > 0 THEN {x} - ((({x} - {at}) % {n}) + {n}) % {n} END)"
    made = sql.Template(binned, {"x": value, "n": size, "at": point})
    return in_range(made) if invoke.type is Type.DATETIME else made
