"""The operator mv-expand."""

from typing import TYPE_CHECKING

from kqlite.language import plan, syntax
from kqlite.language.binder.naming import column_name
from kqlite.language.binder.row_operators import refuse_twice
from kqlite.language.binder.scalars import ScalarBinder
from kqlite.language.binder.scope import NewNames, Table
from kqlite.language.diagnostics import Refused, not_expandable, unknown_parameter
from kqlite.language.types import Type

if TYPE_CHECKING:
    from kqlite.language.binder.pipeline import TableBinder

OLD_SPELLING_LIMIT = 128
"""How many elements of a row `mvexpand` keeps when nothing is said; `mv-expand` keeps all. Source: Kusto docs, "mv-expand operator"."""


def mv_expand(binder: "TableBinder", node: syntax.MvExpand, table: Table) -> Table:
    """A name that exists is replaced in its place, any other is appended."""
    scalars = ScalarBinder(table.columns, binder.environment)
    as_pairs, index_name = False, None
    for parameter in node.parameters:
        match parameter.name:
            case "kind" | "bagexpansion" if parameter.value in ("bag", "array"):
                as_pairs = parameter.value == "array"
            case "with_itemindex":
                index_name = parameter.value
            case name if name.startswith("hint."):
                pass
            case _:
                raise Refused(unknown_parameter(node.keyword, f"{parameter.name}={parameter.value}", parameter.span))
    names = NewNames(name.name for item in node.items if isinstance(item.value, syntax.Named) for name in item.value.names)
    expansions = []
    for item in node.items:
        value_node = item.value.value if isinstance(item.value, syntax.Named) else item.value
        name = item.value.names[0].name if isinstance(item.value, syntax.Named) else names.automatic(column_name(value_node))
        value = scalars.bind(value_node)
        if value.type is not Type.DYNAMIC:
            raise Refused(not_expandable(str(value.type), value_node.span))
        expansions.append(plan.Expansion(plan.Attribute(name, item.to_type or Type.DYNAMIC), value, item.to_type))
    refuse_twice((expansion.attribute.name, item.span) for expansion, item in zip(expansions, node.items, strict=True))
    limit = OLD_SPELLING_LIMIT if node.keyword == "mvexpand" else None
    if node.limit is not None:
        limit = int(scalars.constant(node.limit, "the limit of `mv-expand`", Type.LONG).value or 0)
    replaced = {expansion.attribute.name: expansion.attribute for expansion in expansions}
    columns = [replaced.pop(attribute.name, attribute) for attribute in table.relation.attributes]
    columns += replaced.values()
    index = None
    if index_name is not None:
        index = plan.Attribute(index_name, Type.LONG)
        refuse_twice((attribute.name, node.span) for attribute in (*columns, index))
        columns.append(index)
    relation = plan.MvExpand(table.relation, tuple(expansions), tuple(columns), index, limit, as_pairs)
    return Table(relation, table.broken - set(replaced), table.hidden - {expansion.attribute.name for expansion in expansions})
