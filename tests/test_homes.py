"""Each construct has all of its homes: what is parsed is bound, what is bound is lowered and shown."""

import inspect
import re
import typing

import pytest

from kqlite.dialects import lowering, scalars
from kqlite.language import explain, plan, syntax
from kqlite.language.binder import pipeline
from kqlite.language.rules import column_pruning, rebuild

BEFORE_THE_RULES = {"Scan"}
BEHIND_THE_RULES = {"PartitionScan", "Fetch"}


def cases(function) -> set[str]:
    """The plan or syntax nodes that a function tells apart."""
    return set(re.findall(r"(?:plan|syntax)\.(\w+)\b", inspect.getsource(function)))


def nodes(base) -> list[str]:
    """The names of all kinds of a node; a kind that has kinds of its own is none itself."""
    # A class with slots is made twice; the one that the module names counts.
    kinds = [cls for cls in base.__subclasses__() if getattr(plan, cls.__name__, None) is cls]
    return sorted(name for cls in kinds for name in (nodes(cls) or [cls.__name__]))


@pytest.mark.parametrize("operator", [cls.__name__ for cls in typing.get_args(syntax.Operator)])
def test_what_is_parsed_is_bound(operator):
    assert operator in cases(pipeline.TableBinder.operator), f"{operator}: parsed, not bound"


@pytest.mark.parametrize("source", [cls.__name__ for cls in typing.get_args(syntax.Source)])
def test_every_source_is_bound(source):
    assert source in cases(pipeline.TableBinder.source), f"{source}: parsed, not bound"


@pytest.mark.parametrize("relation", nodes(plan.Relation))
def test_what_is_bound_is_narrowed_lowered_and_shown(relation):
    if relation not in BEHIND_THE_RULES:
        assert relation in cases(column_pruning._build), f"{relation}: bound, not narrowed"
    if relation not in BEFORE_THE_RULES:
        assert relation in cases(lowering.RelationLowering.block), f"{relation}: bound, not lowered"
    assert relation in cases(explain._line), f"{relation}: bound, not shown"


@pytest.mark.parametrize("scalar", nodes(plan.Scalar))
def test_every_scalar_is_lowered_rebuilt_and_shown(scalar):
    assert scalar in cases(scalars.ScalarLowering.lower), f"{scalar}: bound, not lowered"
    assert scalar in cases(explain.show_scalar), f"{scalar}: bound, not shown"
    has_children = getattr(plan, scalar).children is not plan.Scalar.children
    assert not has_children or scalar in cases(rebuild.rebuild), f"{scalar}: its children are not rebuilt"
