"""Operators that work row by row or only choose and order rows: where, extend, the project family, sort, take, top."""

import json
import re
from collections.abc import Iterable
from typing import TYPE_CHECKING

from kqlite.language import plan, syntax
from kqlite.language.binder.naming import column_name, is_sort, spread
from kqlite.language.binder.scalars import ScalarBinder
from kqlite.language.binder.scope import Muted, NewNames, Table
from kqlite.language.binder.windows import filtered, projected
from kqlite.language.diagnostics import Refused, dynamic_key, name_twice, no_columns_match, not_constant, out_of_range, unsupported
from kqlite.language.source import Span
from kqlite.language.types import Type

if TYPE_CHECKING:
    from kqlite.language.binder.pipeline import TableBinder


def keep(relation: plan.Relation, attributes: Iterable[plan.Attribute]) -> plan.Project:
    """`relation` with these of its columns alone."""
    return plan.Project(relation, tuple((attribute, plan.Reference(attribute)) for attribute in attributes))


def refuse_twice(names: Iterable[tuple[str, Span]]) -> None:
    """Refuses a list that names a column twice."""
    seen: set[str] = set()
    for name, span in names:
        if name in seen:
            raise Refused(name_twice(name, span))
        seen.add(name)


def where(binder: "TableBinder", node: syntax.Where, table: Table) -> Table:
    try:
        condition = ScalarBinder(table.columns, binder.environment).condition(node.condition)
    except Refused as refused:
        binder.problems.add(refused.diagnostic)
        return table
    except Muted:
        return table
    return table.over(filtered(table.relation, condition))


def _definitions(
    binder: "TableBinder", items: tuple[syntax.Item, ...], table: Table, names: NewNames, *, replaces: bool
) -> tuple[list[tuple[str, plan.Scalar]], set[str]]:
    """Name and value of each item, and the names whose values are wrong.

    replaces: whether a name that nobody wrote replaces a column of that name; else it makes way.
    """
    scalars = ScalarBinder(table.columns, binder.environment)
    items = tuple(spread(items))
    written = [
        name
        for item in items
        for name in (item.names if isinstance(item, syntax.Named) else [item] if isinstance(item, syntax.Name) else [])
    ]
    refuse_twice((name.name, name.span) for name in written)
    names.taken.update(name.name for item in items if isinstance(item, syntax.Named) for name in item.names)
    defined: list[tuple[str, plan.Scalar]] = []
    broken: set[str] = set()
    for item in items:
        value_node = item.value if isinstance(item, syntax.Named) else item
        if isinstance(item, syntax.Named) and len(item.names) > 1:
            raise Refused(unsupported("a list of names for one value in this place", item.span))
        if isinstance(item, syntax.Named):
            name = item.names[0].name
        else:
            own = column_name(scalars.without_choice(value_node))
            name = own if own is not None and replaces and not is_sort(value_node) else names.automatic(own)
        try:
            defined.append((name, scalars.bind(value_node)))
        except Refused as refused:
            binder.problems.add(refused.diagnostic)
            broken.add(name)
        except Muted:
            broken.add(name)
    return defined, broken


def extend(binder: "TableBinder", node: syntax.Extend, table: Table) -> Table:
    """A name that exists is replaced in its place, a new one appended."""
    defined, broken = _definitions(binder, node.items, table, NewNames(in_use=table.columns.names()), replaces=True)
    values = dict(defined)
    outputs: list[tuple[plan.Attribute, plan.Scalar]] = []
    for attribute in table.relation.attributes:
        value = values.pop(attribute.name, None)
        if value is None:
            outputs.append((attribute, plan.Reference(attribute)))
        else:
            outputs.append((plan.Attribute(attribute.name, value.type), value))
    outputs += [(plan.Attribute(name, value.type), value) for name, value in values.items()]
    return Table(
        projected(table.relation, outputs),
        (table.broken - {name for name, _ in defined}) | broken,
        table.hidden - {name for name, _ in defined},
    )


def project(binder: "TableBinder", node: syntax.Project, table: Table) -> Table:
    items: list[syntax.Item] = []
    for item in node.items:
        if isinstance(item, syntax.Star):
            items += [syntax.Name(item.span, attribute.name) for attribute in table.visible()]
        else:
            items.append(item)
    defined, broken = _definitions(binder, tuple(items), table, NewNames(), replaces=False)
    outputs = []
    for name, value in defined:
        kept = isinstance(value, plan.Reference) and value.attribute.name == name
        outputs.append((value.attribute if kept and isinstance(value, plan.Reference) else plan.Attribute(name, value.type), value))
    return Table(projected(table.relation, outputs), frozenset(broken))


def _matching(patterns: tuple[syntax.Name, ...], table: Table) -> list[plan.Attribute]:
    """The columns that any of the patterns names, in the order of the table."""
    matched: set[str] = set()
    for pattern in patterns:
        if "*" in pattern.name:
            expression = re.compile(".*".join(re.escape(part) for part in pattern.name.split("*")), re.DOTALL)
            found = [attribute.name for attribute in table.visible() if expression.fullmatch(attribute.name)]
            if not found and not table.broken:
                raise Refused(no_columns_match(pattern.name, pattern.span))
            matched.update(found)
        else:
            matched.add(table.columns.get(pattern.name, pattern.span).name)
    return [attribute for attribute in table.relation.attributes if attribute.name in matched]


def project_away(node: syntax.ProjectAway, table: Table) -> Table:
    gone = {attribute.name for attribute in _matching(node.patterns, table)}
    kept = [attribute for attribute in table.relation.attributes if attribute.name not in gone]
    return Table(keep(table.relation, kept), table.broken, table.hidden)


def project_keep(node: syntax.ProjectKeep, table: Table) -> Table:
    return Table(keep(table.relation, _matching(node.patterns, table)), table.broken)


def project_rename(binder: "TableBinder", node: syntax.ProjectRename, table: Table) -> Table:
    new_names: dict[str, str] = {}
    for item in node.items:
        if not isinstance(item, syntax.Named) or not isinstance(item.value, syntax.Name):
            raise Refused(unsupported("anything but `new = old` in `project-rename`", item.span))
        new_names.setdefault(table.columns.get(item.value.name, item.value.span).name, item.names[0].name)
    outputs = []
    for attribute in table.relation.attributes:
        name = new_names.get(attribute.name)
        outputs.append((attribute if name is None else plan.Attribute(name, attribute.type), plan.Reference(attribute)))
    spans = {item.names[0].name: item.names[0].span for item in node.items if isinstance(item, syntax.Named)}
    refuse_twice((attribute.name, spans.get(attribute.name, node.span)) for attribute, _ in outputs)
    return Table(plan.Project(table.relation, tuple(outputs)), table.broken, table.hidden - set(new_names))


def project_reorder(node: syntax.ProjectReorder, table: Table) -> Table:
    """The listed columns first, then the others as they stand; a direction sorts the columns that a pattern matches."""
    placed: dict[plan.Attribute, None] = {}
    for item in node.items:
        matched = _matching((item.pattern,), table)
        if item.direction is not None:
            by_number = item.direction.startswith("granny")
            key = _numbers_by_value if by_number else lambda name: [name]
            matched.sort(key=lambda attribute: key(attribute.name), reverse=item.direction.endswith("desc"))
        placed.update(dict.fromkeys(matched))
    placed.update(dict.fromkeys(table.relation.attributes))
    return Table(keep(table.relation, placed), table.broken, table.hidden)


def project_by_names(binder: "TableBinder", node: syntax.ProjectByNames, table: Table) -> Table:
    """The columns that constants name, in their order; a name without a column is passed over."""
    scalars = ScalarBinder(table.columns, binder.environment)
    placed: dict[plan.Attribute, None] = {}
    for item in node.names:
        value = scalars.bind(item)
        if not isinstance(value, plan.Constant) or value.of not in (Type.STRING, Type.DYNAMIC):
            raise Refused(not_constant("the name of a column", item.span))
        names = [value.value] if value.of is Type.STRING else json.loads(str(value.value or "[]"))
        for name in names if isinstance(names, list) else [names]:
            expression = re.compile(".*".join(map(re.escape, str(name).split("*"))), re.DOTALL)
            placed.update((attribute, None) for attribute in table.visible() if expression.fullmatch(attribute.name))
    if not placed and not table.broken:
        raise Refused(no_columns_match(binder.environment.written(node.names[0].span), node.names[0].span))
    return Table(keep(table.relation, placed), table.broken)


def _numbers_by_value(name: str) -> list[object]:
    """A key by which `a20` comes before `a100`."""
    return [(0, int(part), "") if part.isdecimal() else (1, 0, part) for part in re.split(r"(\d+)", name) if part]


def getschema(table: Table) -> Table:
    """A row for each column."""
    names = ("ColumnName", "ColumnOrdinal", "DataType", "ColumnType")
    columns = tuple(plan.Attribute(name, Type.LONG if name == "ColumnOrdinal" else Type.STRING) for name in names)
    rows = []
    for ordinal, attribute in enumerate(table.visible()):
        texts = (attribute.name, _DATA_TYPES[attribute.type], str(attribute.type))
        name, data_type, column_type = (plan.Constant(Type.STRING, text) for text in texts)
        rows.append((name, plan.Constant(Type.LONG, ordinal), data_type, column_type))
    in_order = plan.SortKey(plan.Reference(columns[1]), ascending=True, nulls_first=True)
    return Table(plan.Sort(plan.Rows(columns, tuple(rows)), (in_order,)))


_DATA_TYPES = {
    Type.BOOL: "System.SByte",
    Type.INT: "System.Int32",
    Type.LONG: "System.Int64",
    Type.REAL: "System.Double",
    Type.DECIMAL: "System.Data.SqlTypes.SqlDecimal",
    Type.STRING: "System.String",
    Type.DATETIME: "System.DateTime",
    Type.TIMESPAN: "System.TimeSpan",
    Type.GUID: "System.Guid",
    Type.DYNAMIC: "System.Object",
}
"""The .NET type of each type. Source: Kusto docs, "getschema operator", "Scalar data types"."""


def sort_keys(binder: "TableBinder", keys: tuple[syntax.SortKey, ...], table: Table, operator: str) -> tuple[plan.SortKey, ...]:
    """Keys as the plan has them: descending unless said, nulls first when ascending and last when descending unless said."""
    scalars = ScalarBinder(table.columns, binder.environment)
    bound = []
    for key in keys:
        node = key.value.value if isinstance(key.value, syntax.Named) else key.value
        value = scalars.bind(node)
        ascending = bool(key.ascending)
        nulls_first = ascending if key.nulls_first is None else key.nulls_first
        if value.type is not Type.DYNAMIC:
            bound.append(plan.SortKey(value, ascending, nulls_first))
        elif operator == "top":
            # Accepted here alone: numbers by value, strings by text.
            for type_ in (Type.REAL, Type.STRING):
                bound.append(plan.SortKey(plan.Convert(value, type_, parses=False), ascending, nulls_first))
        else:
            raise Refused(dynamic_key(operator, binder.environment.written(node.span), node.span))
    return tuple(bound)


def sort(binder: "TableBinder", node: syntax.Sort, table: Table) -> Table:
    try:
        keys = sort_keys(binder, node.keys, table, "order by")
    except Refused as refused:
        binder.problems.add(refused.diagnostic)
        return table
    except Muted:
        return table
    return table.over(plan.Sort(table.relation, keys))


def row_count(binder: "TableBinder", node: syntax.Scalar, operator: str, table: Table) -> int:
    constant = ScalarBinder(table.columns, binder.environment).constant(node, f"the number of rows of `{operator}`", Type.LONG)
    return max(0, int(constant.value or 0))


def take(binder: "TableBinder", node: syntax.Take, table: Table) -> Table:
    return table.over(plan.Take(table.relation, row_count(binder, node.count, "take", table)))


def top(binder: "TableBinder", node: syntax.Top, table: Table) -> Table:
    count = row_count(binder, node.count, "top", table)
    if len(node.keys) > 1:
        raise Refused(out_of_range("`top` sorts by one key", node.keys[1].span))
    keys = sort_keys(binder, node.keys, table, "top")
    return table.over(plan.Take(plan.Sort(table.relation, keys), count))
