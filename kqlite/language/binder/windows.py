"""Window functions: what they are made of, and how one looks at what another one gives.

An engine computes no window function inside another. So a column that is asked for inside one becomes a projection of its own, below.
"""

from collections.abc import Sequence

from kqlite.language import plan
from kqlite.language.binder.operators import arithmetic, comparison, convert, invoke
from kqlite.language.functions import windows
from kqlite.language.functions.declare import Function
from kqlite.language.rules.rebuild import rebuild
from kqlite.language.source import Span
from kqlite.language.types import Type

Outputs = Sequence[tuple[plan.Attribute, plan.Scalar]]


def composed(call: plan.Invoke, span: Span) -> plan.Scalar:
    """A call of a window function over what the dialects know: a condition that restarts it becomes the number of a group of rows."""
    name, arguments = call.function.name, list(call.arguments)
    if name in ("prev", "next"):
        if len(arguments) == 3:
            arguments[2] = convert(arguments[2], call.type)
        return plan.Invoke(call.function, tuple(arguments), call.type)
    if name == "row_window_session":
        return _session(call, span)
    last = {"row_number": 1}.get(name, 1)
    group = tuple(_part(windows.group_number, restart) for restart in arguments[last:])
    first = arguments[:last]
    match name:
        case "row_rank_dense":
            changed = _part(windows.value_changed, *first, *group)
            return plan.Invoke(windows.row_cumsum, (changed, *group), Type.LONG)
        case "row_rank_min":
            return _part(windows.greatest_so_far, _part(windows.change_place, *first, *group), *group)
        case _:
            return plan.Invoke(call.function, (*first, *group), call.type)


def _part(function: Function, *arguments: plan.Scalar) -> plan.Invoke:
    return plan.Invoke(function, arguments, Type.LONG)


def _session(call: plan.Invoke, span: Span) -> plan.Invoke:
    """Within rows that are not too far from each other, only the distance from the first of a session matters."""
    time, from_first, between, *restart = call.arguments
    before = plan.Invoke(windows.prev, (time,), Type.DATETIME)
    far = comparison(">", arithmetic("-", time, before, span), between, span)
    begins = invoke("or", (*restart, far)) if restart else far
    return plan.Invoke(call.function, (time, from_first, _part(windows.group_number, begins)), Type.DATETIME)


def projected(relation: plan.Relation, outputs: Outputs) -> plan.Project:
    """A projection in which no window function stands inside another."""
    while inner := [scalar for _, value in outputs for scalar in _innermost(value, inside=False)]:
        made = {scalar: plan.Attribute(scalar.function.name, scalar.type) for scalar in inner}
        handed_on = [(attribute, plan.Reference(attribute)) for attribute in relation.attributes]
        relation = plan.Project(relation, (*handed_on, *((attribute, scalar) for scalar, attribute in made.items())))
        outputs = [(attribute, _put(value, made)) for attribute, value in outputs]
    return plan.Project(relation, tuple(outputs))


def filtered(relation: plan.Relation, condition: plan.Scalar) -> plan.Relation:
    """The rows that fulfil a condition. A window function in it sees the rows that it leaves out, too; what is random becomes a column,
    since an engine may move a condition to where one row stands for many.
    """
    if not any(_is_window(scalar) or _is_volatile(scalar) for scalar in plan.walk(condition)):
        return plan.Filter(relation, condition)
    holds = plan.Attribute("holds", Type.BOOL)
    handed_on = [(attribute, plan.Reference(attribute)) for attribute in relation.attributes]
    below = projected(relation, [*handed_on, (holds, condition)])
    return plan.Project(plan.Filter(below, plan.Reference(holds)), tuple(handed_on))


def _is_window(scalar: plan.Scalar) -> bool:
    return isinstance(scalar, plan.Invoke) and scalar.function.window


def _is_volatile(scalar: plan.Scalar) -> bool:
    return isinstance(scalar, plan.Invoke) and scalar.function.volatile


def _innermost(scalar: plan.Scalar, *, inside: bool) -> list[plan.Invoke]:
    """The calls of window functions inside another one, that have none inside themselves."""
    is_window = _is_window(scalar)
    found = [inner for child in scalar.children for inner in _innermost(child, inside=inside or is_window)]
    if not found and inside and is_window:
        assert isinstance(scalar, plan.Invoke)
        return [scalar]
    return found


def _put(scalar: plan.Scalar, made: dict[plan.Invoke, plan.Attribute]) -> plan.Scalar:
    if isinstance(scalar, plan.Invoke) and scalar in made:
        return plan.Reference(made[scalar])
    return rebuild(scalar, lambda child: _put(child, made))
