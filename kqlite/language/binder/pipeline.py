"""Sources, statements, and the way through a pipeline."""

from collections.abc import Mapping
from contextlib import suppress
from typing import assert_never

from kqlite.language import plan, schema, syntax
from kqlite.language.binder import joins, mv_expand, parse, row_operators, summarize, unions
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
    let_twice,
    scalar_for_table,
    unknown_table,
    unsupported,
    wrong_count_of_values,
    wrong_operands,
)
from kqlite.language.schema import Catalog
from kqlite.language.source import Span
from kqlite.language.types import Type, widest

DEFAULT_TABLE = "resources"
"""What a query that begins with an operator is about. Source: Azure Resource Graph docs, "Understanding the query language"."""


def bind(
    text: str, query: syntax.Query, catalog: Catalog, scope: Scope = EVERYTHING, parameters: Mapping[str, Type] | None = None
) -> plan.Plan:
    """The plan of a query against a catalog.

    text: what `query` was parsed from, for messages. parameters: the types of values that the caller binds by name. Raises
    KqlError with everything that is wrong.
    """
    binder = TableBinder(text, catalog, scope, dict(parameters or {}))
    try:
        for statement in query.statements:
            binder.let(statement)
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
    return plan.Plan(relation)


class TableBinder:
    """Binds tables: what a pipeline starts from, and operator after operator."""

    def __init__(self, text: str, catalog: Catalog, scope: Scope, parameters: Mapping[str, Type]):
        self.catalog = catalog
        self.scope = scope
        self.problems = Problems()
        self.tables: dict[str, syntax.Scalar | syntax.Pipeline] = {}
        self.values: dict[str, plan.Scalar] = {name: plan.Variable(f"p_{name}", type_) for name, type_ in parameters.items()}
        self.environment = Environment(self.problems, self.table, self.values, self.is_table, text)

    # Names

    def let(self, statement: syntax.Let) -> None:
        """Binds a value at once; keeps a table to be bound at each use."""
        name = statement.name.name
        if name in self.tables or (name in self.values and not isinstance(self.values[name], plan.Variable)):
            raise Refused(let_twice(name, statement.name.span))
        value = statement.value
        is_table = isinstance(value, syntax.Pipeline) or (isinstance(value, syntax.Name) and self.is_table(value.name))
        if is_table:
            self.tables[name] = value
            self.table(value)
        else:
            self.values[name] = ScalarBinder(Columns(), self.environment).bind(value)

    def is_table(self, name: str) -> bool:
        return name in self.tables or (name not in self.values and self._visible_table(name) is not None)

    def _visible_table(self, name: str) -> schema.Table | None:
        table = self.catalog.table(name)
        if table is not None and self.scope.tables is not None and table.scoped and table.name.lower() not in self.scope.tables:
            return None
        return table

    # Sources

    def pipeline(self, node: syntax.Pipeline) -> Table:
        """The table that comes out of a pipeline."""
        table = self.source(node)
        for operator in node.operators:
            table = self.operator(operator, table)
        return table

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
            case syntax.Name() if source.name in self.tables or source.name not in self.values:
                if source.name in self.tables:
                    return self.table(self.tables[source.name])
                return self._catalog_table(source.name, source.span)
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
            case _ if not node.operators:
                # A query that is a bare expression.
                return self._print((source,))
            case syntax.Call():
                raise Refused(unsupported(f"`{source.function}(..)` as a table", source.name_span))
            case _:
                value = ScalarBinder(Columns(), self.environment).bind(source)
                raise Refused(scalar_for_table(str(value.type), source.span))

    def _catalog_table(self, name: str, span: Span) -> Table:
        table = self._visible_table(name)
        if table is None:
            raise Refused(unknown_table(name, span, [*self.tables, *self.catalog.names()]))
        columns = tuple(plan.Attribute(column.name, column.type) for column in table.columns)
        relation: plan.Relation = plan.Scan(table, table.partitions, columns)
        if table.scoped:
            by_name = {attribute.name: attribute for attribute in columns}
            for column, variable in (("subscriptionId", SUBSCRIPTIONS), ("resourceGroup", RESOURCE_GROUPS)):
                restricted = self.scope.subscriptions if variable == SUBSCRIPTIONS else self.scope.resource_groups
                if restricted is not None:
                    relation = plan.Filter(relation, plan.Within(plan.Reference(by_name[column]), variable))
        return Table(relation, hidden=frozenset(column.name for column in table.columns if column.hidden))

    def _print(self, items: tuple[syntax.Item, ...]) -> Table:
        bound = []
        names = NewNames(name.name for item in items if isinstance(item, syntax.Named) for name in item.names)
        binder = ScalarBinder(Columns(), self.environment)
        values = binder.all(items)
        for number, (item, value) in enumerate(zip(items, values, strict=True)):
            name = item.names[0].name if isinstance(item, syntax.Named) else names.automatic(f"print_{number}")
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

    def operator(self, node: syntax.Operator, table: Table) -> Table:
        """One operator over a table. What is wrong inside is reported, and binding goes on where the columns are still known."""
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
            case syntax.Join():
                return joins.join(self, node, table)
            case syntax.MvExpand():
                return mv_expand.mv_expand(self, node, table)
            case syntax.Parse():
                return parse.parse(self, node, table)
            case _:
                assert_never(node)
