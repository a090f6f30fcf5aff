"""Where types meet: the branches of `iff` and `case`, the arguments of `coalesce`, `max_of` and `min_of`.

Source: tried on Microsoft's analyser; Resource Graph also takes a dynamic beside a string in `coalesce`.
"""

from collections.abc import Sequence

from kqlite.language import plan
from kqlite.language.binder.operators import convert
from kqlite.language.diagnostics import Refused, types_do_not_meet
from kqlite.language.source import Span
from kqlite.language.types import Type, widest


def of_branches(name: str, values: Sequence[plan.Scalar], span: Span) -> tuple[Type, list[plan.Scalar]]:
    """The common type of branches: a scalar type beats a dynamic, and types with nothing in common become dynamic."""
    types = {value.type for value in values}
    if len(types) == 1:
        return values[0].type, list(values)
    wide = widest(list(types - {Type.DYNAMIC}))
    if wide is not None:
        common = wide
    else:
        # Beside one scalar type a dynamic counts as that.
        scalars = types - {Type.DYNAMIC}
        common = scalars.pop() if len(scalars) == 1 else Type.DYNAMIC
    return common, [convert(value, common) for value in values]


def of_coalesce(name: str, values: Sequence[plan.Scalar], span: Span) -> tuple[Type, list[plan.Scalar]]:
    """The common type of the arguments of `coalesce`."""
    types = {value.type for value in values}
    if len(types) == 1:
        return values[0].type, list(values)
    wide = widest(list(types))
    if wide is not None:
        return wide, [convert(value, wide) for value in values]
    if types == {Type.DYNAMIC, Type.STRING}:
        return Type.STRING, [convert(value, Type.STRING) for value in values]
    raise Refused(types_do_not_meet(name, sorted(str(type_) for type_ in types), span))


def of_extremes(name: str, values: Sequence[plan.Scalar], span: Span) -> tuple[Type, list[plan.Scalar]]:
    """The common type of the arguments of `max_of` and `min_of`: numbers of any kind, or one type."""
    types = {value.type for value in values}
    if len(types) == 1 and types != {Type.DYNAMIC}:
        return values[0].type, list(values)
    wide = widest(list(types))
    if wide is None:
        raise Refused(types_do_not_meet(name, sorted(str(type_) for type_ in types), span))
    return wide, [convert(value, wide) for value in values]
