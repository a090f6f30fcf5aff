"""What a column is called that nobody named. Source: read from the function tables of Microsoft's analyser and tried on it."""

from collections.abc import Sequence

from kqlite.language import syntax
from kqlite.language.functions import FUNCTIONS
from kqlite.language.functions.declare import Function, Naming


def column_name(item: syntax.Scalar) -> str | None:
    """The name of the column that an item of a list makes; None makes it `Column1`, `Column2`, .."""
    if isinstance(item, syntax.Call) and is_sort(item):
        return f"{_first_argument(item) or 'array0'}_sorted"
    return automatic_name(item)


def is_sort(item: syntax.Scalar) -> bool:
    """Whether an item is a call that sorts arrays: in `extend` its column makes way for a column of its name and does not replace it."""
    function = FUNCTIONS.find(item.function) if isinstance(item, syntax.Call) else None
    return function is not None and function.naming is Naming.SORTED


def automatic_name(node: syntax.Scalar) -> str | None:
    """The name that an expression passes on to what is made of it, None where it has none."""
    match node:
        case syntax.Name():
            return node.name
        case syntax.MemberAccess():
            base = automatic_name(node.base)
            return None if base is None else f"{base}_{node.name}"
        case syntax.IndexAccess():
            base = automatic_name(node.base)
            return None if base is None else f"{base}_{_index_name(node.index)}"
        case syntax.Call():
            return _call_name(node)
        case _:
            return None


def argument_name(argument: syntax.Item) -> str | None:
    """The name that an argument passes on: the one that is written before it, or its own."""
    return argument.names[0].name if isinstance(argument, syntax.Named) else automatic_name(argument)


def _first_argument(node: syntax.Call) -> str | None:
    return argument_name(node.arguments[0]) if node.arguments else None


def _index_name(index: syntax.Scalar) -> str:
    match index:
        case syntax.Literal(value=int()):
            return str(index.value)
        case syntax.Unary(operator="-", operand=syntax.Literal(value=int() as value)):
            return f"-{value}"
        case _:
            return ""


def _call_name(node: syntax.Call) -> str | None:
    function = FUNCTIONS.find(node.function)
    if function is None:
        return None
    if function.aggregate:
        return None if function.name in PICKING_A_ROW else aggregate_name(node)
    first = _first_argument(node)
    match function.naming:
        case Naming.NONE | Naming.SORTED:
            return None
        case Naming.FIRST_ARGUMENT:
            return first
        case Naming.FUNCTION_AND_ARGUMENT:
            return f"{node.function}_{first or ''}"
        case Naming.PREFIX:
            return f"{function.prefix}{first or ''}"


def aggregate_name(node: syntax.Call) -> str | None:
    """The name of an aggregate's column: `count_`, `sum_x`, `list_p_a`; None where it would be that of an argument without one."""
    function = FUNCTIONS.find(node.function)
    assert function is not None
    assert function.aggregate
    if function.name == "percentile":
        return percentile_name(node)
    first = _first_argument(node)
    if function.naming is Naming.FIRST_ARGUMENT:
        return first
    return f"{function.prefix or f'{node.function}_'}{first or ''}"


def percentile_name(node: syntax.Call) -> str:
    """`percentile_x_99_9`."""
    number = node.arguments[1] if len(node.arguments) > 1 else None
    shown = f"{number.value:g}".replace(".", "_") if isinstance(number, syntax.Literal) and isinstance(number.value, int | float) else ""
    return f"percentile_{_first_argument(node) or ''}_{shown}"


PICKING_A_ROW = ("arg_max", "arg_min", "take_any")
"""Aggregates that pass no name on to what is made of them."""


def row_names(function: Function, own_names: Sequence[str | None]) -> list[str]:
    """The names of the columns of `arg_max(by, a, b)` and the like, by the names of their values."""
    extreme = {"arg_max": "max_", "arg_min": "min_"}.get(function.name)
    if extreme is None:
        prefix = "any_" if function.name == "any" else ""
        return [f"any_arg{place}" if own is None else f"{prefix}{own}" for place, own in enumerate(own_names)]
    first, *others = own_names
    unnamed = f"{extreme}{first or ''}_arg"
    return [first or extreme, *(own or f"{unnamed}{place}" for place, own in enumerate(others, 1))]
