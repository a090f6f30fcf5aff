"""What a column is called that nobody named. Source: read from the function tables of Microsoft's analyser and tried on it."""

from kqlite.language import syntax
from kqlite.language.functions import FUNCTIONS
from kqlite.language.functions.declare import Naming


def automatic_name(node: syntax.Scalar) -> str | None:
    """The name that an expression passes on to its column; None makes it `Column1`, `Column2`, .."""
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
    if function is None or function.aggregate:
        return None
    arguments = [argument.value if isinstance(argument, syntax.Named) else argument for argument in node.arguments]
    first = automatic_name(arguments[0]) if arguments else None
    match function.naming:
        case Naming.NONE:
            return None
        case Naming.FIRST_ARGUMENT:
            return first
        case Naming.FUNCTION_AND_ARGUMENT:
            return f"{node.function}_{first or ''}"
        case Naming.PREFIX:
            return f"{function.prefix}{first or ''}"


def aggregate_name(node: syntax.Call) -> str:
    """The name of an aggregate's column: `count_`, `sum_x`, `list_p_a`."""
    function = FUNCTIONS.find(node.function)
    assert function is not None
    assert function.aggregate
    arguments = [argument.value if isinstance(argument, syntax.Named) else argument for argument in node.arguments]
    first = automatic_name(arguments[0]) if arguments else None
    if function.naming is Naming.FIRST_ARGUMENT:
        return first or f"{node.function}_"
    prefix = function.prefix or f"{node.function}_"
    return f"{prefix}{first or ''}"
