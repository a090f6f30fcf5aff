"""Scalars made anew with other parts."""

from collections.abc import Callable, Mapping
from dataclasses import replace

from kqlite.language import plan


def rebuild(scalar: plan.Scalar, child: Callable[[plan.Scalar], plan.Scalar]) -> plan.Scalar:
    """`scalar` with `child` applied to each of its children."""
    match scalar:
        case plan.Path() | plan.Document():
            base = child(scalar.base)
            if isinstance(scalar, plan.Path):
                return plan.Path(base.base, (*base.steps, *scalar.steps)) if isinstance(base, plan.Path) else plan.Path(base, scalar.steps)
            hot = {path: _reference(child(column)) for path, column in scalar.hot.items()}
            return plan.Document(_reference(base), hot)
        case plan.Pick():
            return plan.Pick(child(scalar.base), child(scalar.index))
        case plan.Invoke():
            return replace(scalar, arguments=tuple(child(argument) for argument in scalar.arguments))
        case plan.Convert() | plan.AsJson():
            return replace(scalar, operand=child(scalar.operand))
        case plan.Captures():
            return replace(scalar, text=child(scalar.text))
        case plan.InTable() | plan.Within():
            return replace(scalar, value=child(scalar.value))
        case _:
            return scalar


def with_inputs(relation: plan.Relation, child: Callable[[plan.Relation], plan.Relation]) -> plan.Relation:
    """`relation` with `child` applied to each relation that it reads."""
    match relation:
        case plan.OverOne():
            return replace(relation, input=child(relation.input))
        case plan.Join():
            return replace(relation, left=child(relation.left), right=child(relation.right))
        case plan.Union():
            return replace(relation, legs=tuple((child(leg), values) for leg, values in relation.legs))
        case plan.Apply():
            return replace(relation, input=child(relation.input), result=child(relation.result))
        case _:
            return relation


def _reference(scalar: plan.Scalar) -> plan.Reference:
    assert isinstance(scalar, plan.Reference)
    return scalar


def substitute(scalar: plan.Scalar, values: Mapping[plan.Attribute, plan.Scalar]) -> plan.Scalar:
    """`scalar` with each column in `values` replaced by its value."""
    if isinstance(scalar, plan.Reference):
        return values.get(scalar.attribute, scalar)
    return rebuild(scalar, lambda child: substitute(child, values))
