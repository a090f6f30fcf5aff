"""The dialect of DuckDB: a plan to the text that runs."""

from collections.abc import Mapping
from dataclasses import dataclass

from kqlite.dialects.lowering import RelationLowering
from kqlite.dialects.sql_writer import write
from kqlite.language import plan
from kqlite.language.schema import Schema, Shape


@dataclass(frozen=True, slots=True)
class Compiled:
    """A query ready to run.

    sql: its text; columns come out in the order of `schema`, under names of no meaning: a dynamic as JSON text, datetimes and
    timespans as ticks. shapes: the shape of each dynamic column. variables: the names of the values to bind.
    """

    plan: plan.Plan
    sql: str
    schema: Schema
    shapes: Mapping[str, Shape]
    variables: frozenset[str]


def compile_plan(narrowed: plan.Plan) -> Compiled:
    """The SQL of a plan that has been through the rules."""
    assert isinstance(narrowed.relation, plan.Project)
    query, _ = RelationLowering().output(narrowed.relation)
    shapes = {attribute.name: attribute.form for attribute in narrowed.relation.attributes if attribute.form is not None}
    text, variables = write(query)
    return Compiled(narrowed, text, narrowed.schema, shapes, variables)
