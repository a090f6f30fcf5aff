"""Types of operators: what `+` or `==` takes, what comes out, and what is converted before.

Source: Kusto docs, "Numerical operators", "Datetime / timespan arithmetic", "String operators"; result types tried on
Microsoft's analyser.
"""

from collections.abc import Sequence

from kqlite.language import plan
from kqlite.language.diagnostics import Refused, undecided, wrong_operand, wrong_operands
from kqlite.language.functions.logic import not_
from kqlite.language.functions.operators import OPERATORS
from kqlite.language.source import Span
from kqlite.language.types import Type, widest

EQUALITY = frozenset({"==", "!="})
ORDER = frozenset({"<", ">", "<=", ">="})


def invoke(operator: str, arguments: Sequence[plan.Scalar], returns: Type = Type.BOOL) -> plan.Invoke:
    """The operator on arguments whose types are right already."""
    function = OPERATORS.find(operator)
    assert function is not None, operator
    return plan.Invoke(function, tuple(arguments), returns)


def opposite(condition: plan.Scalar) -> plan.Invoke:
    """`not(condition)`."""
    return plan.Invoke(not_, (condition,), Type.BOOL)


def convert(scalar: plan.Scalar, to: Type) -> plan.Scalar:
    """`scalar` as a value of another type; a constant number is converted on the spot."""
    if scalar.type is to:
        return scalar
    if to is Type.DYNAMIC:
        return plan.AsJson(scalar)
    if isinstance(scalar, plan.Constant) and scalar.of.is_numeric and to.is_numeric and scalar.value is not None:
        if to is Type.REAL:
            return plan.Constant(to, float(scalar.value))
        if to is Type.LONG:
            return plan.Constant(to, int(scalar.value))
    if isinstance(scalar, plan.Constant) and scalar.value is None:
        return plan.Constant(to, "" if to is Type.STRING else None)
    return plan.Convert(scalar, to)


# Arithmetic


def arithmetic(operator: str, left: plan.Scalar, right: plan.Scalar, span: Span) -> plan.Scalar:
    """`left operator right` for `+ - * / %`."""
    types = (left.type, right.type)
    if Type.DYNAMIC in types:
        left, right = _without_dynamic(operator, left, right, span)
        types = (left.type, right.type)
    wide = widest(list(types))
    if wide is not None:
        result = Type.REAL if wide is Type.REAL else Type.LONG
        return invoke(operator, (convert(left, result), convert(right, result)), result)
    returns = _time_arithmetic(operator, *types)
    if returns is None:
        hint = "`strcat()` joins strings" if operator == "+" and Type.STRING in types else None
        raise Refused(wrong_operands(operator, str(left.type), str(right.type), span, hint))
    if operator == "*" and left.type.is_numeric:
        left, right = right, left
    if right.type.is_numeric:
        right = convert(right, Type.REAL)
    return invoke(operator, (left, right), returns)


def _without_dynamic(operator: str, left: plan.Scalar, right: plan.Scalar, span: Span) -> tuple[plan.Scalar, plan.Scalar]:
    """A dynamic beside a number counts as a number, beside a timespan as a timespan."""
    if left.type is right.type:
        # Microsoft's analyser makes this a dynamic; how it counts at run time no page says.
        raise Refused(undecided(f"`{operator}` between two dynamics", span, "convert them first: `tolong()`, `toreal()`, .."))
    known = right.type if left.type is Type.DYNAMIC else left.type
    wanted = {Type.INT: Type.LONG}.get(known, known)
    if wanted not in (Type.LONG, Type.REAL, Type.TIMESPAN, Type.DATETIME):
        raise Refused(wrong_operands(operator, str(left.type), str(right.type), span))
    if wanted is Type.DATETIME:
        wanted = Type.DATETIME if operator == "-" and right.type is Type.DYNAMIC else Type.TIMESPAN
    if left.type is Type.DYNAMIC:
        return convert(left, wanted), right
    return left, convert(right, wanted)


def _time_arithmetic(operator: str, left: Type, right: Type) -> Type | None:
    datetime, timespan = Type.DATETIME, Type.TIMESPAN
    table = {
        ("+", timespan, timespan): timespan,
        ("-", timespan, timespan): timespan,
        ("%", timespan, timespan): timespan,
        ("/", timespan, timespan): Type.REAL,
        ("-", datetime, datetime): timespan,
        ("+", datetime, timespan): datetime,
        ("-", datetime, timespan): datetime,
        ("+", timespan, datetime): datetime,
    }
    if (operator, left, right) in table:
        return table[operator, left, right]
    if operator in "*/" and left is timespan and right.is_numeric:
        return timespan
    if operator == "*" and left.is_numeric and right is timespan:
        return timespan
    return None


_LEAST = {Type.INT: -(2**31), Type.LONG: -(2**63), Type.TIMESPAN: -(2**63)}


def negate(operand: plan.Scalar, span: Span) -> plan.Scalar:
    """`-operand`."""
    if isinstance(operand, plan.Constant) and isinstance(operand.value, int | float) and operand.of is not Type.BOOL:
        # The least number has no opposite.
        return plan.Constant(operand.of, None if operand.value == _LEAST.get(operand.of) else -operand.value)
    if operand.type is Type.DYNAMIC:
        raise Refused(undecided("`-` before a dynamic", span, "convert it first: `tolong()`, `toreal()`, .."))
    if operand.type is Type.INT:
        operand = convert(operand, Type.LONG)
    if operand.type not in (Type.LONG, Type.REAL, Type.TIMESPAN):
        raise Refused(wrong_operand("-", str(operand.type), span))
    return invoke("negate", (operand,), operand.type)


# Comparison


def comparison(operator: str, left: plan.Scalar, right: plan.Scalar, span: Span) -> plan.Scalar:
    """`left operator right` for `== != < > <= >=`."""
    left, right = comparable(operator, left, right, span)
    return invoke(operator, (left, right))


def comparable(operator: str, left: plan.Scalar, right: plan.Scalar, span: Span) -> tuple[plan.Scalar, plan.Scalar]:
    """Both operands as the comparison's SQL wants them: of one type, or a dynamic beside a scalar."""
    pair = {left.type, right.type}
    text = Type.STRING in pair
    if operator in ORDER and text:
        raise Refused(
            wrong_operands(operator, str(left.type), str(right.type), span, "strings have no order here; `strcmp()` compares them")
        )
    if Type.DYNAMIC in pair:
        left, right = (convert(side, Type.LONG) if side.type is Type.INT else side for side in (left, right))
        return left, right
    if len(pair) == 1:
        return left, right
    wide = widest([left.type, right.type])
    if wide is not None:
        return convert(left, wide), convert(right, wide)
    if Type.DECIMAL in pair and pair & {Type.INT, Type.LONG}:
        return convert(left, Type.DECIMAL), convert(right, Type.DECIMAL)
    if text:
        # The text is read as the other side's type; one that is no such value equals none.
        other = left.type if right.type is Type.STRING else right.type
        return convert(left, other), convert(right, other)
    if Type.BOOL in pair and any(type_.is_numeric for type_ in pair):
        other = left.type if right.type is Type.BOOL else right.type
        wanted = Type.REAL if other is Type.REAL else Type.LONG
        return convert(left, wanted), convert(right, wanted)
    raise Refused(wrong_operands(operator, str(left.type), str(right.type), span))


def string_operator(operator: str, left: plan.Scalar, right: plan.Scalar, span: Span) -> plan.Scalar:
    """`=~`, `contains`, `has`, `matches regex`, ..: text on both sides, a dynamic counts as its text."""
    for side in (left, right):
        if side.type not in (Type.STRING, Type.DYNAMIC) and not (
            operator in ("=~", "!~") and side.type is Type.BOOL and left.type is Type.DYNAMIC
        ):
            raise Refused(
                wrong_operands(operator, str(left.type), str(right.type), span, f"`{operator}` compares strings: convert with `tostring()`")
            )
    if right.type is Type.BOOL:
        # `properties.flag =~ true`: met in published queries of Resource Graph, where the text of a bool inside a dynamic is `true`.
        right = (
            plan.Constant(Type.STRING, "true" if right.value else "false")
            if isinstance(right, plan.Constant)
            else convert(right, Type.STRING)
        )
    return invoke(operator, (left, right))
