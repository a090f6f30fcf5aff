"""Branches: what a relation has become for each partition that is left, and how several are united."""

from collections.abc import Mapping
from dataclasses import dataclass

from kqlite.language import plan
from kqlite.language.schema import JSON, Array, Object, Shape, json_of
from kqlite.language.types import Type

Steps = tuple[str | int, ...]
Need = tuple[plan.Attribute, Steps]
Needs = dict[Need, None]
"""What a relation is asked for, as an ordered set: the SQL must not depend on hashes."""


@dataclass(frozen=True, slots=True)
class Branch:
    """Rows, and what is given for each need: a scalar over the attributes of `relation`."""

    relation: plan.Relation
    given: Mapping[Need, plan.Scalar]


def written_leaves(branch: Branch) -> int:
    """How many leaves the documents have that must be written as text of each row."""
    return sum(_leaves(value.form) for value in branch.given.values() if isinstance(value.form, Array | Object))


def _leaves(shape: Shape) -> int:
    match shape:
        case Array():
            return _leaves(shape.element)
        case Object():
            return sum(_leaves(member.shape) for member in shape.members)
        case _:
            return 1


def merged(branches: list[Branch]) -> Branch:
    """All branches as one relation. A dynamic keeps its form where all branches give the same; else it becomes JSON, since the
    engine never unifies structs.
    """
    if len(branches) == 1:
        return branches[0]
    columns: list[plan.Attribute] = []
    given: dict[Need, plan.Scalar] = {}
    values: list[list[plan.Scalar | None]] = [[] for _ in branches]
    for need in branches[0].given:
        offered = [branch.given[need] for branch in branches]
        first = offered[0]
        if isinstance(first, plan.Constant) and all(isinstance(o, plan.Constant) and o.value == first.value for o in offered):
            given[need] = first
            continue
        attribute = need[0]
        form = _common_form(offered) if first.type is Type.DYNAMIC else None
        column = plan.Attribute("_".join((attribute.name, *map(str, need[1]))), first.type, form)
        columns.append(column)
        given[need] = plan.Reference(column)
        for leg, value in zip(values, offered, strict=True):
            leg.append(_in_form(value, form))
    legs = tuple((branch.relation, tuple(leg)) for branch, leg in zip(branches, values, strict=True))
    return Branch(plan.Union(tuple(columns), legs), given)


def _common_form(values: list[plan.Scalar]) -> Shape:
    forms = [v.form for v in values if not (isinstance(v, plan.Constant) and v.value is None)]
    alike = bool(forms) and all(form == forms[0] for form in forms)
    if alike and forms[0] is not None and not any(isinstance(value, plan.Document) for value in values):
        return forms[0]
    return json_of(form or JSON for form in forms)


def _in_form(value: plan.Scalar, form: Shape | None) -> plan.Scalar | None:
    if value.type is not Type.DYNAMIC:
        return value
    if isinstance(value, plan.Constant) and value.value is None:
        return None
    return value if value.form == form and not isinstance(value, plan.Document) else plan.AsJson(value)
