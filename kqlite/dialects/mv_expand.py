"""`mv-expand` in SQL: each expanded dynamic as a list, unnested in the projection (as a lateral join it is a thousand times
slower).

Several `unnest` in one SELECT run in step and pad the shorter ones with NULL, as KQL wants it.
"""

from collections.abc import Callable, Iterator

from kqlite.dialects import conversions, sql
from kqlite.dialects.scalars import ScalarLowering
from kqlite.language import plan
from kqlite.language.schema import JSON, Array, JsonLeaf, Leaf
from kqlite.language.types import Type

Finish = Callable[[sql.Expression], sql.Expression]


def expansion_items(relation: plan.MvExpand, scalars: ScalarLowering) -> Iterator[tuple[plan.Attribute, sql.Expression, Finish]]:
    """For each new column its unnested expression, and what makes the column of it in the SELECT around."""
    lists = [_limited(_as_list(expansion, relation, scalars), relation.limit) for expansion in relation.expansions]
    for expansion, elements in zip(relation.expansions, lists, strict=True):
        yield expansion.attribute, sql.call("unnest", elements), _finish(expansion, relation)
    if relation.index is not None:
        longest = sql.call("greatest", *(sql.call("len", elements) for elements in lists)) if len(lists) > 1 else sql.call("len", lists[0])
        counted = sql.call("generate_series", sql.Cast(sql.Literal(0), "BIGINT"), sql.operation("-", longest, sql.Literal(1)))
        yield relation.index, sql.call("unnest", counted), lambda column: column


def _as_list(expansion: plan.Expansion, relation: plan.MvExpand, scalars: ScalarLowering) -> sql.Expression:
    """The elements: of null one null, of an empty array or bag none."""
    value = expansion.value
    form = value.form or JSON
    if isinstance(form, Array):
        elements = scalars.lower(value)
        null = sql.Template("[NULL]", {})
        return sql.Case(((sql.IsNull(elements), null),), elements)
    if isinstance(form, Leaf):
        return sql.ListOf((scalars.lower(value),))
    document = scalars.json(value)
    pair = "json_array(k, {json} -> k)" if relation.as_pairs else "json_object(k, {json} -> k)"
    text = (
        "CASE WHEN {json} IS NULL THEN [NULL::JSON] "
        "WHEN json_type({json}) = 'ARRAY' THEN CAST(json_extract({json}, '$[*]') AS JSON[]) "
        f"WHEN json_type({{json}}) = 'OBJECT' THEN list_transform(json_keys({{json}}), lambda k: {pair.replace('{json} -> k', _MEMBER)}) "
        "ELSE [{json}] END"
    )
    return sql.Template(text, {"json": document})


_MEMBER = "json_extract({json}, '/' || replace(replace(k, '~', '~0'), '/', '~1'))"


def _limited(elements: sql.Expression, limit: int | None) -> sql.Expression:
    return elements if limit is None else sql.Template("list_slice({list}, 1, {limit})", {"list": elements, "limit": sql.Literal(limit)})


def _finish(expansion: plan.Expansion, relation: plan.MvExpand) -> Finish:
    """Converts an element by its JSON type; a null inside JSON becomes NULL."""
    element = plan.element_form(expansion.value.form or JSON)

    def finish(column: sql.Expression) -> sql.Expression:
        if isinstance(element, JsonLeaf):
            column = sql.call("nullif", column, sql.Literal("null"))
        if expansion.to_type is None or expansion.to_type is Type.DYNAMIC:
            return column
        return conversions.element_to(column, element, expansion.to_type)

    return finish
