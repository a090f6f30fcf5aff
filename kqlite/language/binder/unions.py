"""The operator union."""

from typing import TYPE_CHECKING

from kqlite.language import plan, syntax
from kqlite.language.binder.scope import NewNames, Table
from kqlite.language.diagnostics import Refused, unknown_parameter, unsupported
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
    legs = [] if first is None else [(first, "union_arg0")]
    missing: Refused | None = None
    for leg in node.legs:
        if isinstance(leg, syntax.Name) and "*" in leg.name:
            raise Refused(unsupported("a wildcard among the tables of `union`", leg.span))
        try:
            table = binder.table(leg)
        except Refused as refused:
            if not (fuzzy and isinstance(leg, syntax.Name)):
                raise
            missing = refused
            continue
        legs.append((table, leg.name if isinstance(leg, syntax.Name) else f"union_arg{len(legs)}"))
    if not legs:
        assert missing is not None
        raise missing
    return _united(legs, kind, source_name)


def _united(legs: list[tuple[Table, str]], kind: str, source_name: str | None) -> Table:
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
