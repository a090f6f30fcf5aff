"""What a column is called that nobody named. Source: read from the function tables of Microsoft's analyser and tried on it."""

from collections.abc import Sequence

from kqlite.language import syntax
from kqlite.language.functions import FUNCTIONS
from kqlite.language.functions.declare import Function, Naming
from kqlite.language.types import Type


def column_name(item: syntax.Scalar) -> str | None:
    """The name of the column that an item of a list makes; None makes it `Column1`, `Column2`, .."""
    if isinstance(item, syntax.Call) and is_sort(item):
        return _sorted_name(item, 0)
    match item:
        case syntax.IndexAccess(base=syntax.Call() as base, index=syntax.Literal(value=int(place))) if len(sorted_arrays(base)) > place:
            return _sorted_name(base, place)
    return automatic_name(item)


def _sorted_name(node: syntax.Call, place: int) -> str:
    named = argument_name(node.arguments[place]) if place < len(node.arguments) else None
    return f"{named or f'array{place}'}_sorted"


def sorted_arrays(node: syntax.Scalar) -> tuple[syntax.Item, ...]:
    """The arrays that a call sorts, where there are several."""
    if not isinstance(node, syntax.Call) or not is_sort(node) or not node.arguments:
        return ()
    last = node.arguments[-1]
    arrays = node.arguments[:-1] if isinstance(last, syntax.Literal) else node.arguments
    return arrays if len(arrays) > 1 else ()


def spread(items: Sequence[syntax.Item]) -> list[syntax.Item]:
    """The items of a list, where a call that sorts several arrays is one item for each of them."""
    single: list[syntax.Item] = []
    for item in items:
        names = item.names if isinstance(item, syntax.Named) else ()
        node = item.value if isinstance(item, syntax.Named) else item
        arrays = sorted_arrays(node)
        if not arrays or len(names) > len(arrays):
            single.append(item)
        for place in range(len(arrays) if len(names) <= len(arrays) else 0):
            value = syntax.IndexAccess(item.span, node, syntax.Literal(item.span, Type.LONG, place))
            single.append(syntax.Named(item.span, (names[place],), value) if place < len(names) else value)
    return single


def is_sort(item: syntax.Scalar) -> bool:
    """Whether an item is a call that sorts arrays: in `extend` its column makes way for a column of its name and does not replace it."""
    if isinstance(item, syntax.IndexAccess):
        return bool(sorted_arrays(item.base))
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
    if function.name in ("percentile", "percentilew"):
        return percentile_name(node)
    first = _first_argument(node)
    if function.naming is Naming.FIRST_ARGUMENT:
        return first
    return f"{function.prefix or f'{node.function}_'}{first or ''}"


def percentile_name(node: syntax.Call) -> str:
    """`percentile_x_99_9`; the percentage is the last argument."""
    number = node.arguments[-1]
    shown = f"{number.value:g}".replace(".", "_") if isinstance(number, syntax.Literal) and isinstance(number.value, int | float) else ""
    return f"percentile_{_first_argument(node) or ''}_{shown}"


PICKING_A_ROW = ("arg_max", "arg_min", "take_any")
"""Aggregates that pass no name on to what is made of them."""


def row_names(function: Function, own_names: Sequence[str | None], *, old: bool = False) -> list[str]:
    """The names of the columns of `arg_max(by, a, b)` and the like, by the names of their values.

    old: whether the call is one of `argmax` or `argmin`, which put the first name in front of all others.
    """
    extreme = {"arg_max": "max_", "arg_min": "min_"}.get(function.name)
    if extreme is None:
        prefix = "any_" if function.name == "any" else ""
        return [f"any_arg{place}" if own is None else f"{prefix}{own}" for place, own in enumerate(own_names)]
    first, *others = own_names
    unnamed = f"{extreme}{first or ''}_arg"
    if old:
        return [f"{extreme}{first or ''}", *(f"{extreme}{first or ''}_{own or f'arg{place}'}" for place, own in enumerate(others, 1))]
    return [first or extreme, *(own or f"{unnamed}{place}" for place, own in enumerate(others, 1))]
