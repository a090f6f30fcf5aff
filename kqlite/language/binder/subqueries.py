"""Operators that run a subquery for each group of rows: mv-apply for each row over its elements, partition for each value of a column."""

from dataclasses import replace
from typing import TYPE_CHECKING

from kqlite.language import plan, syntax
from kqlite.language.binder.groups import Grouping, given, handed_on, references
from kqlite.language.binder.mv_expand import mv_expand
from kqlite.language.binder.row_operators import keep
from kqlite.language.binder.scope import Table
from kqlite.language.functions.windows import row_number
from kqlite.language.types import Type

if TYPE_CHECKING:
    from kqlite.language.binder.groups import Group
    from kqlite.language.binder.pipeline import TableBinder

ROW, PLACE = "\0row", "\0place"
"""Columns that no query can name: the number of the row, and the place of the element."""


def mv_apply(binder: "TableBinder", node: syntax.MvApply, table: Table) -> Table:
    """The columns of the table, but for those that are expanded under their own names, then what the subquery gives, for each row of which
    the row of the table is repeated. A column of the subquery with the name of one of the table replaces it.
    """
    shared = plan.Shared()
    row = plan.Attribute(ROW, Type.LONG)
    numbered = plan.Project(table.relation, (*handed_on(table.relation), (row, plan.Invoke(row_number, (), Type.LONG))))
    elements = given(shared, numbered.attributes)
    inner_row = elements.attributes[-1]
    expanding = syntax.MvExpand(node.span, "mv-expand", node.parameters, node.items, node.limit)
    inside = Table(elements, table.broken, table.hidden | {ROW})
    expanded = mv_expand(binder, expanding, inside)
    start = _in_order(expanded.relation)
    result = Table(start, expanded.broken, expanded.hidden | {ROW, PLACE})
    for operator in node.operators:
        result = binder.operator(operator, result)

    def all_rows() -> "tuple[plan.Relation, Group]":
        rows = given(shared, (row,))
        return rows, rows.attributes

    relation, group = Grouping(start, (inner_row,), all_rows, node.span).each(result.relation)
    outside = given(shared, numbered.attributes)
    outputs = _outputs(outside, elements, expanded.relation, result, table.hidden)
    pairs = tuple(zip(references(outside.attributes[-1:]), references(group), strict=True))
    joined = plan.Join("inner", outside, relation, pairs, tuple(outputs))
    return Table(plan.Apply(shared, numbered, joined), table.broken | result.broken)


def _in_order(relation: plan.Relation) -> plan.Relation:
    """The elements in the order in which they stand in their arrays."""
    assert isinstance(relation, plan.MvExpand)
    if relation.index is None:
        place = plan.Attribute(PLACE, Type.LONG)
        relation = replace(relation, index=place, columns=(*relation.columns, place))
    assert relation.index is not None
    return plan.Sort(relation, (plan.SortKey(plan.Reference(relation.index), ascending=True, nulls_first=True),))


def _outputs(
    outside: plan.Given, elements: plan.Given, expanded: plan.Relation, result: Table, hidden: frozenset[str]
) -> list[tuple[plan.Attribute, plan.Attribute]]:
    """The columns of the answer, each from the table or from the subquery."""
    given_by_subquery = {attribute.name: attribute for attribute in result.visible()}
    outputs: list[tuple[plan.Attribute, plan.Attribute]] = []
    for column, inner in zip(outside.attributes[:-1], elements.attributes[:-1], strict=True):
        replaced = inner not in expanded.attributes
        if column.name in hidden or replaced:
            continue
        new = given_by_subquery.pop(column.name, None)
        source = column if new is None or new is inner else new
        outputs.append((plan.Attribute(source.name, source.type), source))
    return outputs + [(plan.Attribute(a.name, a.type), a) for a in given_by_subquery.values()]


def partition(binder: "TableBinder", node: syntax.Partition, table: Table) -> Table:
    """The answers of the subquery for each value of the column, together."""
    key = table.columns.get(node.column.name, node.column.span)
    shared = plan.Shared()
    start = given(shared, table.relation.attributes)
    by_name = {attribute.name: attribute for attribute in start.attributes}
    result = Table(start, table.broken, table.hidden)
    for operator in node.operators:
        result = binder.operator(operator, result)

    def all_values() -> "tuple[plan.Relation, Group]":
        values = given(shared, (key,))
        [own] = values.attributes
        value = plan.Attribute(own.name, own.type)
        return plan.Aggregate(values, ((value, plan.Reference(own)),), ()), (value,)

    relation, _ = Grouping(start, (by_name[key.name],), all_values, node.span).each(result.relation)
    applied = plan.Apply(shared, table.relation, relation)
    return Table(keep(applied, result.relation.attributes), result.broken, result.hidden)
