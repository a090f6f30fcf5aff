"""Window functions in DuckDB: the keys of the order are written again, since a sorted subquery promises nothing.

Sums and the like are over the rows up to this one: by the frame that the engine takes by itself, rows with equal keys would count too.
"""

from kqlite.dialects import sql
from kqlite.dialects.scalars import SQL_TYPES, ScalarLowering, custom
from kqlite.language import plan
from kqlite.language.types import Type


def _window(lowering: ScalarLowering, call: sql.Call, group: tuple[plan.Scalar, ...] = (), *, so_far: bool = False) -> sql.Window:
    """The call over the rows, each group for itself. so_far: over those up to this one."""
    partition = tuple(lowering.lower(number) for number in group)
    return sql.Window(call, (*lowering.partition, *partition), lowering.order, so_far)


@custom("row_number")
def row_number(lowering: ScalarLowering, invoke: plan.Invoke) -> sql.Expression:
    number = _window(lowering, sql.call("row_number"), invoke.arguments[1:])
    if not invoke.arguments:
        return number
    offset = sql.operation("-", lowering.lower(invoke.arguments[0]), sql.Literal(1))
    return sql.operation("+", number, offset)


def _neighbour(name: str, function: str) -> None:
    @custom(name)
    def lower(lowering: ScalarLowering, invoke: plan.Invoke) -> sql.Expression:
        column, *others = invoke.arguments
        is_json = invoke.type is Type.DYNAMIC and len(others) == 2
        rest = [lowering.json(other) if is_json and place else lowering.lower(other) for place, other in enumerate(others)]
        value = _window(lowering, sql.call(function, lowering.json(column) if is_json else lowering.lower(column), *rest))
        return sql.or_empty(value) if invoke.type is Type.STRING else value


_neighbour("prev", "lag")
_neighbour("next", "lead")


@custom("row_cumsum")
def row_cumsum(lowering: ScalarLowering, invoke: plan.Invoke) -> sql.Expression:
    term, *group = invoke.arguments
    total = _window(lowering, sql.call("sum", lowering.lower(term)), tuple(group), so_far=True)
    zero = sql.Literal(0.0 if invoke.type is Type.REAL else 0)
    return sql.Cast(sql.call("coalesce", total, zero), SQL_TYPES[invoke.type], tries=True)


@custom("group_number")
def group_number(lowering: ScalarLowering, invoke: plan.Invoke) -> sql.Expression:
    begins = sql.Case(((lowering.condition(invoke.arguments[0]), sql.Literal(1)),), sql.Literal(0))
    return _window(lowering, sql.call("sum", begins), so_far=True)


def _changed(lowering: ScalarLowering, invoke: plan.Invoke) -> tuple[sql.Expression, sql.Window]:
    """Whether the value is another than in the row before, and the number of the row."""
    term, *group = invoke.arguments
    value = lowering.ordered_json(term) if term.type is Type.DYNAMIC else lowering.lower(term)
    before = _window(lowering, sql.call("lag", value), tuple(group))
    number = _window(lowering, sql.call("row_number"), tuple(group))
    is_first = sql.operation("=", number, sql.Literal(1))
    return sql.operation("OR", is_first, sql.operation("IS DISTINCT FROM", value, before)), number


@custom("value_changed")
def value_changed(lowering: ScalarLowering, invoke: plan.Invoke) -> sql.Expression:
    changed, _ = _changed(lowering, invoke)
    return sql.Case(((changed, sql.Literal(1, wide=True)),), sql.Literal(0, wide=True))


@custom("change_place")
def change_place(lowering: ScalarLowering, invoke: plan.Invoke) -> sql.Expression:
    changed, number = _changed(lowering, invoke)
    return sql.Case(((changed, number),))


@custom("greatest_so_far")
def greatest_so_far(lowering: ScalarLowering, invoke: plan.Invoke) -> sql.Expression:
    value, *group = invoke.arguments
    return _window(lowering, sql.call("max", lowering.lower(value)), tuple(group), so_far=True)


@custom("row_window_session")
def row_window_session(lowering: ScalarLowering, invoke: plan.Invoke) -> sql.Expression:
    """Over the times of the group up to this one, the start moves on whenever one is too far from it."""
    time, from_first, *group = invoke.arguments
    value = lowering.lower(time)
    times = _window(lowering, sql.call("list", value), tuple(group), so_far=True)
    template = "list_reduce({times}, lambda s, t: CASE WHEN t - s > {most} THEN t ELSE s END)"
    return sql.Template(template, {"times": times, "most": lowering.lower(from_first)})


@custom("sample_key")
def sample_key(lowering: ScalarLowering, invoke: plan.Invoke) -> sql.Expression:
    number = sql.Window(sql.call("row_number"))
    return sql.call("hash", number, lowering.lower(invoke.arguments[0]))
