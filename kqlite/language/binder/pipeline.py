"""Sources, statements, and the way through a pipeline."""

import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import assert_never

from kqlite.language import plan, schema, syntax
from kqlite.language.binder import (
    definitions,
    joins,
    make_series,
    mv_expand,
    parse,
    parse_kv,
    plugins,
    rankings,
    row_operators,
    searching,
    serialize,
    subqueries,
    summarize,
    unions,
)
from kqlite.language.binder.definitions import MOST_USES, Definitions, TableDefinition
from kqlite.language.binder.naming import column_name, sorted_arrays, spread
from kqlite.language.binder.operators import arithmetic, convert
from kqlite.language.binder.scalars import Environment, ScalarBinder
from kqlite.language.binder.scope import (
    EVERYTHING,
    RESOURCE_GROUPS,
    SUBSCRIPTIONS,
    Columns,
    Enough,
    Muted,
    NewNames,
    Problems,
    Scope,
    Table,
)
from kqlite.language.diagnostics import (
    KqlError,
    Refused,
    not_constant,
    scalar_for_table,
    unknown_function,
    unknown_table,
    unsupported,
    used_too_often,
    wrong_arity,
    wrong_count_of_values,
    wrong_operands,
)
from kqlite.language.schema import Catalog
from kqlite.language.source import Span
from kqlite.language.types import Type, widest

Look = Callable[[plan.Plan], list[tuple[object, ...]]]
"""Runs a plan and gives its rows."""

DEFAULT_TABLE = "resources"
"""What a query that begins with an operator is about. Source: Azure Resource Graph docs, "Understanding the query language"."""


def bind(
    text: str,
    query: syntax.Query,
    catalog: Catalog,
    scope: Scope = EVERYTHING,
    parameters: Mapping[str, Type] | None = None,
    look: Look | None = None,
) -> plan.Plan:
    """The plan of a query against a catalog.

    text: what `query` was parsed from, for messages. parameters: the types of values that the caller binds by name. look: runs a plan, for
    operators whose columns depend on the rows. Raises KqlError with everything that is wrong.
    """
    given = {name: plan.Variable(plan.parameter_variable(name), type_) for name, type_ in (parameters or {}).items()}
    binder = TableBinder(Shared(text, catalog, scope, look), Definitions(dict(given)))
    try:
        for statement in query.statements:
            definitions.define(binder, statement)
        table = binder.pipeline(query.body)
        visible = table.visible()
        relation = table.relation
        if len(visible) != len(relation.attributes):
            relation = row_operators.keep(relation, visible)
    except Refused as refused:
        with suppress(Enough):
            binder.problems.add(refused.diagnostic)
    except (Muted, Enough):
        pass
    if binder.problems.found:
        raise KqlError(text, binder.problems.found)
    return plan.Plan(relation, _chart(query.body))


def _chart(body: syntax.Pipeline) -> plan.Chart | None:
    """What `render` at the end of a query asks for: values as text, a list of columns by their names."""
    render = body.operators[-1] if body.operators else None
    if not isinstance(render, syntax.Render):
        return None
    properties: dict[str, str] = {}
    for item in render.properties:
        name = item.names[0].name if isinstance(item, syntax.Named) else list(properties)[-1] if properties else ""
        value = item.value if isinstance(item, syntax.Named) else item
        shown = value.name if isinstance(value, syntax.Name) else str(value.value) if isinstance(value, syntax.Literal) else ""
        properties[name] = shown if isinstance(item, syntax.Named) else f"{properties.get(name, '')},{shown}"
    return plan.Chart(render.chart, properties)


@dataclass(slots=True)
class Shared:
    """What all binders of one query share. text: of the query. look: runs a plan, or None where nothing is run. uses: how often tables and
    functions of `let` have been used. checking: whether the body of a function is looked through, over stand-ins for its arguments.
    """

    text: str
    catalog: Catalog
    scope: Scope
    look: Look | None
    problems: Problems = field(default_factory=Problems)
    uses: int = 0
    checking: bool = False

    def count_use(self, name: str, span: Span) -> None:
        self.uses += 1
        if self.uses > MOST_USES:
            raise Refused(used_too_often(name, MOST_USES, span))


class TableBinder:
    """Binds tables: what a pipeline starts from, and operator after operator.

    definitions: what names mean here. frozen: whether values that depend on a row are out of reach, because a table inside an expression
    is the same for each row.
    """

    def __init__(self, shared: Shared, definitions: Definitions, frozen: bool = False):
        self.shared = shared
        self.definitions = definitions
        self.catalog, self.scope, self.problems = shared.catalog, shared.scope, shared.problems
        self.environment = Environment(
            self.problems,
            self.table_inside_expression,
            definitions.values,
            self.is_table,
            shared.text,
            self._call_for_value,
            definitions.functions,
            frozen,
        )

    def within(self, definitions: Definitions) -> "TableBinder":
        """A binder for another place of the same query."""
        return TableBinder(self.shared, definitions, self.environment.frozen)

    # Names

    def is_table(self, node: syntax.Scalar | syntax.Source | None) -> bool:
        """Whether what stands here is a table."""
        match node:
            case syntax.Pipeline():
                return bool(node.operators) or self.is_table(node.source)
            case syntax.Name():
                return self._is_table_name(node.name)
            case syntax.Call() if node.function in self.definitions.functions:
                return definitions.answers_with_table(self, node.function)
            case syntax.Call(function="materialize", arguments=(inner,)):
                return not isinstance(inner, syntax.Named) and self.is_table(inner)
            case syntax.Call():
                return node.function == "table"
            case None | syntax.Print() | syntax.Range() | syntax.Datatable() | syntax.Union() | syntax.Search() | syntax.Find():
                return True
            case _:
                return False

    def _is_table_name(self, name: str) -> bool:
        known = self.definitions
        if name in known.functions:
            return not known.functions[name].node.parameters and definitions.answers_with_table(self, name)
        return name in known.tables or (name not in known.values and self._visible_table(name) is not None)

    def table_names(self, pattern: str) -> list[str]:
        """The tables and views whose names match a pattern with `*`; tables of the inventory in any case."""
        expression = re.compile(".*".join(map(re.escape, pattern.split("*"))), re.DOTALL)
        views = [name for name, function in self.definitions.functions.items() if function.node.is_view and not function.node.parameters]
        tables = [name for name in self.catalog.names() if (table := self._visible_table(name)) is not None and _fits(expression, table)]
        return [name for name in views if expression.fullmatch(name)] + tables

    def _call_for_value(self, call: syntax.Call, scalars: ScalarBinder) -> plan.Scalar:
        return definitions.call_for_value(self, call, scalars)

    def _visible_table(self, name: str) -> schema.Table | None:
        table = self.catalog.table(name)
        if table is not None and self.scope.tables is not None and table.scoped and table.name.lower() not in self.scope.tables:
            return None
        return table

    # Sources

    def pipeline(self, node: syntax.Pipeline) -> Table:
        """The table that comes out of a pipeline."""
        table = self.source(node)
        for place, operator in enumerate(node.operators):
            table = self.operator(operator, table, replace(node, operators=node.operators[:place]))
        return table

    def table_inside_expression(self, node: syntax.Scalar) -> Table:
        """A table inside an expression: it is the same for each row, so no value that depends on the row is in reach."""
        return TableBinder(self.shared, self.definitions, frozen=True).table(node)

    def table(self, node: syntax.Scalar) -> Table:
        """A table that stands where a scalar could."""
        if isinstance(node, syntax.Pipeline):
            return self.pipeline(node)
        return self.pipeline(syntax.Pipeline(node.span, node, ()))

    def source(self, node: syntax.Pipeline) -> Table:
        source = node.source
        match source:
            case None:
                return self._catalog_table(DEFAULT_TABLE, Span(node.span.start, node.span.start))
            case syntax.Name() if source.name in self.definitions.tables:
                return definitions.table_named(self, source.name, source.span)
            case syntax.Name() if source.name in self.definitions.functions and self.is_table(source):
                return definitions.call_for_table(self, syntax.Call(source.span, source.name, (), source.span))
            case syntax.Name() if source.name in self.definitions.functions:
                raise Refused(wrong_arity(source.name, 0, self.definitions.functions[source.name].signature, source.span))
            case syntax.Name() if source.name not in self.definitions.values:
                return self._catalog_table(source.name, source.span)
            case syntax.Call() if source.function in self.definitions.functions and self.is_table(source):
                return definitions.call_for_table(self, source)
            case syntax.Call(function="materialize") if self.is_table(source):
                [inner] = source.arguments
                assert not isinstance(inner, syntax.Named)
                return self.table(inner)
            case syntax.Call(function="table"):
                return self._table_by_text(source)
            case syntax.Pipeline():
                return self.pipeline(source)
            case syntax.Print():
                return self._print(source.items)
            case syntax.Range():
                return self._range(source)
            case syntax.Datatable():
                return self._datatable(source)
            case syntax.Union():
                return unions.bind(self, source, None)
            case syntax.Search():
                return searching.search(self, source, None)
            case syntax.Find():
                return searching.find(self, source)
            case _ if not node.operators:
                # A query that is a bare expression.
                return self._print((source,))
            case syntax.Call():
                raise Refused(unsupported(f"`{source.function}(..)` as a table", source.name_span))
            case _:
                value = ScalarBinder(Columns(), self.environment).bind(source)
                raise Refused(scalar_for_table(str(value.type), source.span))

    def _table_by_text(self, call: syntax.Call) -> Table:
        """`table('resources')`."""
        name = call.arguments[0] if call.arguments else None
        if not isinstance(name, syntax.Literal) or not isinstance(name.value, str):
            raise Refused(not_constant("the name of a table", call.span))
        return self._catalog_table(name.value, name.span)

    def _catalog_table(self, name: str, span: Span) -> Table:
        table = self._visible_table(name)
        if table is None:
            raise Refused(unknown_table(name, span, [*self.definitions.tables, *self.definitions.functions, *self.catalog.names()]))
        columns = tuple(plan.Attribute(column.name, column.type) for column in table.columns)
        relation: plan.Relation = plan.Scan(table, table.partitions, columns)
        if table.scoped:
            by_name = {attribute.name: attribute for attribute in columns}
            for column, variable in (("subscriptionId", SUBSCRIPTIONS), ("resourceGroup", RESOURCE_GROUPS)):
                restricted = self.scope.subscriptions if variable == SUBSCRIPTIONS else self.scope.resource_groups
                if restricted is not None:
                    relation = plan.Filter(relation, plan.Within(plan.Reference(by_name[column]), variable))
        return Table(relation, hidden=frozenset(column.name for column in table.columns if column.hidden), label=table.name)

    def _print(self, written: tuple[syntax.Item, ...]) -> Table:
        bound = []
        numbered = [(number, single) for number, item in enumerate(written) for single in spread([item])]
        items = [item for _, item in numbered]
        names = NewNames(name.name for item in items if isinstance(item, syntax.Named) for name in item.names)
        binder = ScalarBinder(Columns(), self.environment)
        values = binder.all(items)
        for (number, item), value in zip(numbered, values, strict=True):
            several = isinstance(item, syntax.IndexAccess) and sorted_arrays(item.base)
            own = column_name(item) if isinstance(item, syntax.IndexAccess) and several else f"print_{number}"
            name = item.names[0].name if isinstance(item, syntax.Named) else names.automatic(own)
            bound.append((plan.Attribute(name, value.type), value))
        row_operators.refuse_twice((attribute.name, item.span) for (attribute, _), item in zip(bound, items, strict=True))
        return Table(plan.Project(plan.Rows((), ((),)), tuple(bound)))

    def _range(self, node: syntax.Range) -> Table:
        binder = ScalarBinder(Columns(), self.environment)
        start, stop, step = binder.all((node.start, node.stop, node.step))
        wide = widest([start.type, stop.type, step.type])
        if wide is not None:
            start, stop, step = (convert(value, wide) for value in (start, stop, step))
        elif start.type is not stop.type or (
            (start.type, step.type) not in ((Type.DATETIME, Type.TIMESPAN), (Type.TIMESPAN, Type.TIMESPAN))
        ):
            raise Refused(wrong_operands("range", str(start.type), str(step.type), node.span))
        arithmetic("+", start, step, node.span)
        return Table(plan.Series(plan.Attribute(node.column.name, start.type), start, stop, step))

    def _datatable(self, node: syntax.Datatable) -> Table:
        columns = tuple(plan.Attribute(column.name, column.type) for column in node.columns)
        row_operators.refuse_twice((column.name, column.span) for column in node.columns)
        if len(node.values) % len(columns):
            raise Refused(wrong_count_of_values(len(columns), len(node.values), node.span))
        values = ScalarBinder(Columns(), self.environment).all(node.values)
        cells = []
        for number, value in enumerate(values):
            column = columns[number % len(columns)]
            untyped = isinstance(value, plan.Constant) and value.value is None
            meets = value.type is column.type or untyped or column.type is Type.DYNAMIC or widest([value.type, column.type])
            if not meets and value.type is not Type.STRING:
                raise Refused(wrong_operands("datatable", str(column.type), str(value.type), node.values[number].span))
            cells.append(convert(value, column.type))
        lines = tuple(tuple(cells[start : start + len(columns)]) for start in range(0, len(cells), len(columns)))
        return Table(plan.Rows(columns, lines))

    # Operators

    def operator(self, node: syntax.Operator, table: Table, before: syntax.Pipeline | None = None) -> Table:
        """One operator over a table. What is wrong inside is reported, and binding goes on where the columns are still known.

        before: the pipeline so far, for operators that give it a name.
        """
        match node:
            case syntax.Where():
                return row_operators.where(self, node, table)
            case syntax.Extend():
                return row_operators.extend(self, node, table)
            case syntax.Project():
                return row_operators.project(self, node, table)
            case syntax.ProjectAway():
                return row_operators.project_away(node, table)
            case syntax.ProjectKeep():
                return row_operators.project_keep(node, table)
            case syntax.ProjectRename():
                return row_operators.project_rename(self, node, table)
            case syntax.ProjectReorder():
                return row_operators.project_reorder(node, table)
            case syntax.ProjectByNames():
                return row_operators.project_by_names(self, node, table)
            case syntax.Sort():
                return row_operators.sort(self, node, table)
            case syntax.Take():
                return row_operators.take(self, node, table)
            case syntax.Top():
                return row_operators.top(self, node, table)
            case syntax.Count():
                return summarize.count(table)
            case syntax.Distinct():
                return summarize.distinct(self, node, table)
            case syntax.Summarize():
                return summarize.summarize(self, node, table)
            case syntax.Union():
                return unions.bind(self, node, table)
            case syntax.Search():
                return searching.search(self, node, table)
            case syntax.Join():
                return joins.join(self, node, table)
            case syntax.Lookup():
                return joins.lookup(self, node, table)
            case syntax.MvExpand():
                return mv_expand.mv_expand(self, node, table)
            case syntax.MvApply():
                return subqueries.mv_apply(self, node, table)
            case syntax.Partition():
                return subqueries.partition(self, node, table)
            case syntax.MakeSeries():
                return make_series.make_series(self, node, table)
            case syntax.TopNested():
                return rankings.top_nested(self, node, table)
            case syntax.TopHitters():
                return rankings.top_hitters(self, node, table)
            case syntax.Parse():
                return parse.parse(self, node, table)
            case syntax.ParseKv():
                return parse_kv.parse_kv(self, node, table)
            case syntax.Serialize():
                return serialize.serialize(self, node, table)
            case syntax.Sample():
                return serialize.sample(self, node, table)
            case syntax.SampleDistinct():
                return summarize.sample_distinct(self, node, table)
            case syntax.GetSchema():
                return row_operators.getschema(table)
            case syntax.As():
                self.definitions.tables[node.name.name] = TableDefinition(before, self.definitions.copy(), label=node.name.name)
                return replace(table, label=node.name.name)
            case syntax.Invoke():
                return self._invoke(node, table, before)
            case syntax.Evaluate():
                return plugins.evaluate(self, node, table)
            case syntax.Consume():
                return table.over(plan.Filter(table.relation, plan.Constant(Type.BOOL, False)))
            case syntax.Render():
                return table
            case _:
                assert_never(node)

    def _invoke(self, node: syntax.Invoke, table: Table, before: syntax.Pipeline | None) -> Table:
        """`T | invoke f(x)` is `f(T, x)`."""
        call = node.call
        if call.function not in self.definitions.functions:
            raise Refused(unknown_function(call.function, call.name_span, self.definitions.functions))
        return definitions.call_for_table(self, call, TableDefinition(before, self.definitions.copy(), bound=table))


def _fits(expression: re.Pattern[str], table: schema.Table) -> bool:
    return bool(expression.fullmatch(table.name) or (table.scoped and re.fullmatch(expression.pattern.lower(), table.name.lower())))
