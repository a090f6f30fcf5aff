"""Operators that give rows an order of their own: serialize, sample."""

from typing import TYPE_CHECKING

from kqlite.language import plan, syntax
from kqlite.language.binder.row_operators import extend, keep, row_count
from kqlite.language.binder.scope import Table
from kqlite.language.functions import windows
from kqlite.language.functions.declare import Function
from kqlite.language.types import Type

if TYPE_CHECKING:
    from kqlite.language.binder.pipeline import TableBinder


def serialize(binder: "TableBinder", node: syntax.Serialize, table: Table) -> Table:
    """The rows stay in the order in which they come; then as `extend`."""
    if not table.relation.order:
        table = table.over(_sorted_by(table.relation, windows.row_number, ()))
    return extend(binder, syntax.Extend(node.span, node.items), table) if node.items else table


def sample(binder: "TableBinder", node: syntax.Sample, table: Table) -> Table:
    """Rows by chance, the same ones wherever one query reads this table."""
    count = row_count(binder, node.count, "sample", table)
    chance = _sorted_by(table.relation, windows.sample_key, (plan.Variable("now", Type.DATETIME),))
    return table.over(keep(plan.Take(chance, count), table.relation.attributes))


def _sorted_by(relation: plan.Relation, function: Function, arguments: tuple[plan.Scalar, ...]) -> plan.Relation:
    """The relation sorted by what a window function gives; the result of it is no column that is seen."""
    key = plan.Attribute(function.name, Type.LONG)
    handed_on = [(attribute, plan.Reference(attribute)) for attribute in relation.attributes]
    numbered = plan.Project(relation, (*handed_on, (key, plan.Invoke(function, arguments, Type.LONG))))
    order = plan.SortKey(plan.Reference(key), ascending=True, nulls_first=True)
    return keep(plan.Sort(numbered, (order,)), relation.attributes)
