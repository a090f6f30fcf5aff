"""The operator union."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

from kqlite.language import plan, syntax
from kqlite.language.binder.scope import NewNames, Table
from kqlite.language.diagnostics import UNKNOWN_TABLE, Refused, unknown_parameter, unknown_table
from kqlite.language.types import Type

if TYPE_CHECKING:
    from kqlite.language.binder.pipeline import TableBinder


def bind(binder: "TableBinder", node: syntax.Union, first: Table | None) -> Table:
    kind, source_name, fuzzy = "outer", None, False
    for parameter in node.parameters:
        match parameter.name:
            case "kind" if parameter.value in ("inner", "outer"):
                kind = parameter.value
            case "withsource" | "with_source":
                source_name = parameter.value
            case "isfuzzy":
                fuzzy = parameter.value == "true"
            case name if name.startswith("hint."):
                pass
            case _:
                raise Refused(unknown_parameter("union", f"{parameter.name}={parameter.value}", parameter.span))
    tables = [] if first is None else [first]
    missing: Refused | None = None
    for leg in named_tables(binder, node.legs):
        try:
            tables.append(binder.table(leg))
        except Refused as refused:
            if not (fuzzy and refused.diagnostic.code == UNKNOWN_TABLE):
                raise
            missing = refused
    if not tables:
        assert missing is not None
        raise missing
    return united([(table, table.label or f"union_arg{place}") for place, table in enumerate(tables)], kind, source_name)


def named_tables(binder: "TableBinder", legs: Iterable[syntax.Scalar]) -> list[syntax.Scalar]:
    """The legs, with the tables that a name with `*` stands for in its place."""
    found: list[syntax.Scalar] = []
    for leg in legs:
        if not (isinstance(leg, syntax.Name) and "*" in leg.name):
            found.append(leg)
            continue
        names = binder.table_names(leg.name)
        if not names:
            raise Refused(unknown_table(leg.name, leg.span, ()))
        found += [syntax.Name(leg.span, name) for name in names]
    return found


def united(legs: list[tuple[Table, str]], kind: str, source_name: str | None) -> Table:
    """Columns in the order in which their names first appear; one column for each type where the types of a name differ."""
    visible = [leg.visible() for leg, _ in legs]
    types: dict[str, list[Type]] = {}
    for attributes in visible:
        for attribute in attributes:
            seen = types.setdefault(attribute.name, [])
            if attribute.type not in seen:
                seen.append(attribute.type)
    if kind == "inner":
        everywhere = set.intersection(*({attribute.name for attribute in attributes} for attributes in visible))
        types = {name: seen for name, seen in types.items() if name in everywhere}
    names = NewNames()
    columns: list[plan.Attribute] = []
    wanted: list[tuple[str, Type]] = []
    for name, seen in types.items():
        for type_ in seen:
            columns.append(plan.Attribute(names.automatic(name if len(seen) == 1 else f"{name}_{type_}"), type_))
            wanted.append((name, type_))
    parts = []
    for (leg, label), attributes in zip(legs, visible, strict=True):
        by_name = {(attribute.name, attribute.type): plan.Reference(attribute) for attribute in attributes}
        values: list[plan.Scalar | None] = [by_name.get(column) for column in wanted]
        if source_name is not None:
            values.insert(0, plan.Constant(Type.STRING, label))
        parts.append((leg.relation, tuple(values)))
    if source_name is not None:
        columns.insert(0, plan.Attribute(source_name, Type.STRING))
    broken = frozenset[str]().union(*(leg.broken for leg, _ in legs))
    return Table(plan.Union(tuple(columns), tuple(parts)), broken)
