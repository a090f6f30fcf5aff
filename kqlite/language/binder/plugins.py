"""The operator evaluate: bag_unpack, pivot and narrow.

The columns of `bag_unpack` and `pivot` depend on the rows, unless the query writes them down. So the rows are looked at while the query is
bound, on the snapshot on which it will run.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from kqlite.language import plan, syntax
from kqlite.language.binder.groups import given, handed_on
from kqlite.language.binder.operators import convert
from kqlite.language.binder.row_operators import keep, refuse_twice
from kqlite.language.binder.scalars import ScalarBinder
from kqlite.language.binder.scope import Muted, Table
from kqlite.language.binder.summarize import summarize
from kqlite.language.diagnostics import (
    Refused,
    columns_not_known,
    name_twice,
    out_of_range,
    unknown_argument,
    unsupported,
    wrong_argument,
    wrong_arity,
)
from kqlite.language.functions import FUNCTIONS
from kqlite.language.functions.windows import row_number
from kqlite.language.types import Type

if TYPE_CHECKING:
    from kqlite.language.binder.pipeline import TableBinder

CELL, VALUE = "\0cell", "\0value"
"""Columns that no query can name."""

MOST_COLUMNS = 1000
"""How many columns rows may make; a query that would make more means something else."""

_KINDS = {
    "bool": Type.BOOL,
    "long": Type.LONG,
    "int": Type.LONG,
    "real": Type.REAL,
    "double": Type.REAL,
    "string": Type.STRING,
}
"""The type of a column whose values all are of a kind; every other is dynamic."""


def evaluate(binder: "TableBinder", node: syntax.Evaluate, table: Table) -> Table:
    match node.call.function:
        case "bag_unpack":
            return _bag_unpack(binder, node, table)
        case "pivot":
            return _pivot(binder, node, table)
        case "narrow":
            return _narrow(node, table)
        case name:
            raise Refused(unsupported(f"the plugin `{name}`", node.call.name_span, "there are `bag_unpack`, `pivot` and `narrow`"))


def _function(name: str, arguments: tuple[plan.Scalar, ...], returns: Type) -> plan.Invoke:
    function = FUNCTIONS.find(name)
    assert function is not None
    return plan.Invoke(function, arguments, returns)


def _column(table: Table, argument: syntax.Item, call: syntax.Call) -> plan.Attribute:
    """The column that an argument names."""
    node = argument.value if isinstance(argument, syntax.Named) else argument
    if not isinstance(node, syntax.Name):
        raise Refused(unsupported(f"anything but a column in `{call.function}`", node.span, "make one by `extend`"))
    return table.columns.get(node.name, node.span)


def _looked_at(binder: "TableBinder", relation: plan.Relation, node: syntax.Evaluate) -> list[tuple[object, ...]]:
    """The rows of a relation, as they are now."""
    if binder.problems.found:
        # What is already wrong cannot be run.
        raise Muted
    if binder.shared.checking:
        raise Muted
    if _reads_group(relation):
        raise Refused(unsupported(f"`{node.call.function}` without a schema inside a subquery", node.call.name_span))
    if binder.shared.look is None:
        raise Refused(columns_not_known(node.call.function, node.call.name_span))
    return binder.shared.look(plan.Plan(relation))


def _reads_group(relation: plan.Relation) -> bool:
    """Whether the relation is part of an Apply that is still being made."""
    return isinstance(relation, plan.Given) or any(map(_reads_group, relation.inputs))


# bag_unpack


def _bag_unpack(binder: "TableBinder", node: syntax.Evaluate, table: Table) -> Table:
    """The bag's members as columns behind the others; the bag goes."""
    options = _bag_options(binder, node, table)
    bag = _column(table, node.call.arguments[0], node.call)
    if bag.type is not Type.DYNAMIC:
        raise Refused(wrong_argument("bag_unpack", "column", "dynamic", str(bag.type), node.call.arguments[0].span))
    source = [attribute for attribute in table.visible() if attribute is not bag]
    if node.schema is not None:
        return _unpacked_as_declared(table, bag, options.prefix, source, node.schema)
    found = _slots(binder, table, bag, node)
    slots = [(f"{options.prefix}{key}", key, type_) for key, type_ in found if key not in options.ignored]
    if len(slots) > MOST_COLUMNS:
        raise Refused(out_of_range(f"`bag_unpack` would make {len(slots):,} columns, and {MOST_COLUMNS:,} is the most", node.span))
    there = {attribute.name for attribute in source}
    twice = [name for name, _, _ in slots if name in there]
    if twice and options.conflict == "error":
        raise Refused(name_twice(twice[0], node.call.name_span))
    made = {name: (key, type_) for name, key, type_ in slots if name not in there or options.conflict == "replace_source"}
    outputs: list[tuple[plan.Attribute, plan.Scalar]] = []
    for attribute in source:
        replaced = made.pop(attribute.name, None)
        outputs.append((attribute, plan.Reference(attribute)) if replaced is None else _member(attribute.name, bag, *replaced))
    outputs += [_member(name, bag, key, type_) for name, (key, type_) in made.items()]
    return Table(plan.Project(table.relation, tuple(outputs)), table.broken)


@dataclass(frozen=True, slots=True)
class _BagOptions:
    """prefix: of the columns' names. conflict: what counts where a name is there already. ignored: members that make no column."""

    prefix: str
    conflict: str
    ignored: tuple[str, ...]


def _bag_options(binder: "TableBinder", node: syntax.Evaluate, table: Table) -> _BagOptions:
    """The arguments behind the column."""
    names = ("OutputColumnPrefix", "columnsConflict", "ignoredProperties")
    call = node.call
    if not 1 <= len(call.arguments) <= 1 + len(names):
        raise Refused(wrong_arity("bag_unpack", len(call.arguments), f"(column, [{'], ['.join(names)}])", call.span))
    found: dict[str, str] = {}
    for place, argument in enumerate(call.arguments[1:]):
        name = argument.names[0].name if isinstance(argument, syntax.Named) else names[place]
        value = ScalarBinder(table.columns, binder.environment).bind(argument.value if isinstance(argument, syntax.Named) else argument)
        wanted = Type.DYNAMIC if name == "ignoredProperties" else Type.STRING
        if name not in names:
            raise Refused(unknown_argument("bag_unpack", name, argument.span, names))
        if not isinstance(value, plan.Constant) or value.of is not wanted:
            raise Refused(wrong_argument("bag_unpack", name, f"constant {wanted}", str(value.type), argument.span))
        if name == "columnsConflict" and value.value not in ("error", "replace_source", "keep_source"):
            raise Refused(out_of_range("`columnsConflict` is `error`, `replace_source` or `keep_source`", argument.span))
        found[name] = str(value.value)
    ignored = tuple(map(str, json.loads(found.get("ignoredProperties", "[]"))))
    return _BagOptions(found.get("OutputColumnPrefix", ""), found.get("columnsConflict", "error"), ignored)


def _slots(binder: "TableBinder", table: Table, bag: plan.Attribute, node: syntax.Evaluate) -> list[tuple[str, Type]]:
    """The members that any row has and that are not null, by name, with the type that all their values have."""
    key = plan.Attribute("key", Type.STRING)
    keys = plan.Expansion(key, _function("bag_keys", (plan.Reference(bag),), Type.DYNAMIC), Type.STRING)
    expanded = plan.MvExpand(table.relation, (keys,), (bag, key))
    kind = plan.Attribute("kind", Type.STRING)
    value = plan.Pick(plan.Reference(bag), plan.Reference(key))
    kinds = ((key, plan.Reference(key)), (kind, _function("gettype", (value,), Type.STRING)))
    types: dict[str, set[Type]] = {}
    for name, found in _looked_at(binder, plan.Aggregate(expanded, kinds, ()), node):
        if found != "null":
            types.setdefault(str(name), set()).add(_KINDS.get(str(found), Type.DYNAMIC))
    return [(name, found.pop() if len(found) == 1 else Type.DYNAMIC) for name, found in sorted(types.items())]


def _member(name: str, bag: plan.Attribute, key: str, type_: Type) -> tuple[plan.Attribute, plan.Scalar]:
    value: plan.Scalar = plan.Path(plan.Reference(bag), (key,))
    return plan.Attribute(name, type_), value if type_ is Type.DYNAMIC else plan.Convert(value, type_, parses=False)


def _unpacked_as_declared(
    table: Table,
    bag: plan.Attribute,
    prefix: str,
    source: Sequence[plan.Attribute],
    schema: syntax.OutputSchema,
) -> Table:
    """The columns that the query writes down: those of the table by their names, the others out of the bag."""
    by_name = {attribute.name: attribute for attribute in source}
    refuse_twice((column.name, column.span) for column in schema.columns)
    outputs: list[tuple[plan.Attribute, plan.Scalar]] = []
    if schema.keeps_source:
        outputs += [(attribute, plan.Reference(attribute)) for attribute in source]
    for column in schema.columns:
        own = by_name.get(column.name)
        if own is not None and schema.keeps_source:
            raise Refused(name_twice(column.name, column.span))
        if own is not None:
            outputs.append((plan.Attribute(own.name, column.type), convert(plan.Reference(own), column.type)))
        else:
            outputs.append(_member(column.name, bag, column.name.removeprefix(prefix), column.type))
    return Table(plan.Project(table.relation, tuple(outputs)), table.broken)


# pivot


def _pivot(binder: "TableBinder", node: syntax.Evaluate, table: Table) -> Table:
    """A column for each value of one; a row for each combination of the others."""
    call = node.call
    if not call.arguments:
        raise Refused(wrong_arity("pivot", 0, "(column, [aggregate], [column], ..)", call.span))
    by = _column(table, call.arguments[0], call)
    if by.type is Type.DYNAMIC:
        raise Refused(wrong_argument("pivot", "column", "scalar", "dynamic", call.arguments[0].span))
    rest = list(call.arguments[1:])
    aggregate = _aggregate(rest[0]) if rest else None
    if aggregate is None:
        aggregate = syntax.Call(call.span, "count", (), call.span)
    else:
        del rest[0]
    used = {argument.name for argument in aggregate.arguments if isinstance(argument, syntax.Name)}
    groups = [_column(table, argument, call) for argument in rest]
    groups = groups or [a for a in table.visible() if a is not by and a.name not in used]
    refuse_twice((attribute.name, call.span) for attribute in groups)

    keys = tuple(syntax.Name(call.span, attribute.name) for attribute in groups)
    text = syntax.Call(call.span, "tostring", (syntax.Name(call.span, by.name),), call.span)
    cells = summarize(binder, syntax.Summarize(call.span, (_named(CELL, aggregate),), (*keys, _named(VALUE, text))), table)
    if cells.broken:
        raise Muted
    *_, value, cell = cells.relation.attributes
    if node.schema is None:
        columns = _values(binder, node, keep(cells.relation, (value,)))
    else:
        columns = [column.name for column in node.schema.columns if column.name not in {a.name for a in groups}]
    refuse_twice((name, call.span) for name in (*(a.name for a in groups), *columns))
    adds = aggregate.function in ("count", "countif", "sum", "sumif", "dcount", "dcountif") and cell.type.is_numeric
    fold = "sumif" if adds else "take_anyif"
    folded = []
    for name in columns:
        is_value = syntax.Binary(call.span, "==", syntax.Name(call.span, VALUE), syntax.Literal(call.span, Type.STRING, name), call.span)
        folded.append(_named(name, syntax.Call(call.span, fold, (syntax.Name(call.span, CELL), is_value), call.span)))
    result = summarize(binder, syntax.Summarize(call.span, tuple(folded), keys), cells)
    return result if node.schema is None else _as_declared(node.schema, result)


def _aggregate(node: syntax.Item) -> syntax.Call | None:
    """An argument that is a call of an aggregate of one column."""
    function = FUNCTIONS.find(node.function) if isinstance(node, syntax.Call) else None
    if not isinstance(node, syntax.Call) or function is None or not function.aggregate:
        return None
    if function.name in ("arg_max", "arg_min", "percentiles"):
        raise Refused(unsupported(f"`{node.function}` in `pivot`", node.name_span))
    return node


def _named(name: str, value: syntax.Scalar) -> syntax.Named:
    return syntax.Named(value.span, (syntax.Name(value.span, name),), value)


def _values(binder: "TableBinder", node: syntax.Evaluate, relation: plan.Relation) -> list[str]:
    """The values that become columns, in order."""
    [column] = relation.attributes
    value = plan.Attribute(column.name, Type.STRING)
    found = _looked_at(binder, plan.Aggregate(relation, ((value, plan.Reference(column)),), ()), node)
    if len(found) > MOST_COLUMNS:
        raise Refused(out_of_range(f"`pivot` would make {len(found):,} columns, and {MOST_COLUMNS:,} is the most", node.span))
    return sorted(str(row[0]) for row in found)


def _as_declared(schema: syntax.OutputSchema, table: Table) -> Table:
    """The columns that the query writes down, in its order and types."""
    columns = table.columns
    outputs = []
    for column in schema.columns:
        own = columns.get(column.name, column.span)
        outputs.append((plan.Attribute(column.name, column.type), convert(plan.Reference(own), column.type)))
    return Table(plan.Project(table.relation, tuple(outputs)), table.broken)


# narrow


def _narrow(node: syntax.Evaluate, table: Table) -> Table:
    """A row for each cell: the number of the row, the name of the column, the value as text."""
    if node.call.arguments:
        raise Refused(wrong_arity("narrow", len(node.call.arguments), "()", node.call.span))
    shared = plan.Shared()
    row = plan.Attribute("Row", Type.LONG)
    number = plan.Invoke(row_number, (plan.Constant(Type.LONG, 0),), Type.LONG)
    numbered = plan.Project(table.relation, (*handed_on(table.relation), (row, number)))
    legs: list[tuple[plan.Relation, tuple[plan.Scalar | None, ...]]] = []
    for attribute in table.visible():
        reader = given(shared, (row, attribute))
        place, value = reader.attributes
        text = plan.Attribute("Value", Type.STRING)
        shown = plan.Project(reader, ((place, plan.Reference(place)), (text, convert(plan.Reference(value), Type.STRING))))
        legs.append((shown, (plan.Reference(place), plan.Constant(Type.STRING, attribute.name), plan.Reference(text))))
    columns = (plan.Attribute("Row", Type.LONG), plan.Attribute("Column", Type.STRING), plan.Attribute("Value", Type.STRING))
    return Table(plan.Apply(shared, numbered, plan.Union(columns, tuple(legs))), table.broken)
