"""What the statements of a query define, and how a definition is used: values, tables, functions, parameters of the query.

A value is bound once. A table is bound anew at each use, and so is the body of a function, whose parameters are values and tables of its
own: nothing is left of a function in the plan.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from kqlite.language import plan, syntax
from kqlite.language.binder.operators import convert
from kqlite.language.binder.row_operators import refuse_twice
from kqlite.language.binder.scalars import ScalarBinder
from kqlite.language.binder.scope import Columns, Muted, Table
from kqlite.language.diagnostics import (
    NOT_CONSTANT,
    Refused,
    let_twice,
    unknown_argument,
    unknown_column,
    used_too_often,
    wrong_argument,
    wrong_arity,
)
from kqlite.language.source import Span
from kqlite.language.types import Type

if TYPE_CHECKING:
    from kqlite.language.binder.pipeline import TableBinder

MOST_USES = 2000
"""How often tables and functions of `let` may be used in one query, uses inside uses counted: each is a copy in the plan."""


@dataclass(slots=True)
class Definitions:
    """What names mean besides columns and tables of the inventory."""

    values: dict[str, plan.Scalar] = field(default_factory=dict)
    tables: dict[str, "TableDefinition"] = field(default_factory=dict)
    functions: dict[str, "FunctionDefinition"] = field(default_factory=dict)

    def copy(self) -> "Definitions":
        """The same, to be added to without changing these."""
        return Definitions(dict(self.values), dict(self.tables), dict(self.functions))

    def __contains__(self, name: str) -> bool:
        return name in self.tables or name in self.functions or not isinstance(self.values.get(name), plan.Variable | None)


@dataclass(slots=True)
class TableDefinition:
    """A table by name.

    node: what is bound at each use; None where the query has no text of its own for it. definitions: what the node may use. columns: the
    only ones that are wanted, None for any. bound: the table already bound, for the first use. label: as `as` gives it.
    """

    node: syntax.Scalar | syntax.Pipeline | None
    definitions: Definitions
    columns: tuple[syntax.ColumnDeclaration, ...] | None = None
    bound: Table | None = None
    label: str | None = None


@dataclass(frozen=True, slots=True)
class FunctionDefinition:
    """A function of `let`. definitions: what its body may use besides its parameters."""

    node: syntax.Function
    definitions: Definitions

    @property
    def signature(self) -> str:
        shown = (f"[{_shown(p)}]" if isinstance(p, syntax.ScalarParameter) and p.default else _shown(p) for p in self.node.parameters)
        return f"({', '.join(shown)})"


def _shown(parameter: syntax.ScalarParameter | syntax.TableParameter) -> str:
    return f"{parameter.name}: {'table' if isinstance(parameter, syntax.TableParameter) else parameter.type}"


# Statements


def define(binder: "TableBinder", statement: syntax.Statement) -> None:
    """Adds what a statement defines."""
    match statement:
        case syntax.Let():
            _let(binder, statement)
        case syntax.QueryParameters():
            for parameter in statement.parameters:
                _query_parameter(binder, parameter)
        case syntax.Set():
            pass


def _let(binder: "TableBinder", statement: syntax.Let) -> None:
    name, value, known = statement.name.name, statement.value, binder.definitions
    if name in known:
        raise Refused(let_twice(name, statement.name.span))
    before = known.copy()
    if isinstance(value, syntax.Function):
        _look_through(binder, value)
        known.functions[name] = FunctionDefinition(value, before)
    elif binder.is_table(value):
        # Bound once here, so that what is wrong in a table that is never used is told too.
        known.tables[name] = TableDefinition(value, before, bound=binder.table(value))
    else:
        known.values[name] = ScalarBinder(Columns(), binder.environment).bind(value)


def _query_parameter(binder: "TableBinder", parameter: syntax.ScalarParameter) -> None:
    """A value that the caller gives is read as the declared type; one that is not given has the default, or must be given."""
    given = binder.definitions.values.get(parameter.name)
    default = _default(binder, parameter) if parameter.default is not None else None
    value = given or default or plan.Variable(plan.parameter_variable(parameter.name), parameter.type)
    binder.definitions.values[parameter.name] = _as_declared("query_parameters", parameter, value, parameter.span)


def _look_through(binder: "TableBinder", function: syntax.Function) -> None:
    """Tells what is wrong in the body of a function. That a stand-in is no constant is not wrong: an argument may be one."""
    outside, binder.shared.checking = binder.shared.checking, True
    already = len(binder.problems.found)
    try:
        _check_function(binder, function)
    except Refused as refused:
        binder.problems.add(refused.diagnostic)
    except Muted:
        pass
    finally:
        binder.shared.checking = outside
    found = binder.problems.found
    found[already:] = [diagnostic for diagnostic in found[already:] if diagnostic.code != NOT_CONSTANT]


def _check_function(binder: "TableBinder", function: syntax.Function) -> None:
    """Tells what is wrong in the body of a function, with stand-ins for its parameters; a table of any columns has none."""
    refuse_twice((parameter.name, parameter.span) for parameter in function.parameters)
    inside = binder.definitions.copy()
    for parameter in function.parameters:
        if isinstance(parameter, syntax.ScalarParameter):
            if parameter.default is not None:
                _default(binder, parameter)
            inside.values[parameter.name] = plan.Variable(plan.parameter_variable(parameter.name), parameter.type)
        elif parameter.columns is None:
            return
        else:
            declared = syntax.Datatable(parameter.span, parameter.columns, ())
            inside.tables[parameter.name] = TableDefinition(syntax.Pipeline(parameter.span, declared, ()), inside)
    frame = _frame(binder, function, inside)
    if frame.is_table(function.body.body):
        frame.table(function.body.body)
    else:
        _scalar_body(frame, function)


# Uses


def table_named(binder: "TableBinder", name: str, span: Span) -> Table:
    """The table that `let`, `as` or a parameter gives a name."""
    definition = binder.definitions.tables[name]
    if definition.bound is not None:
        table, definition.bound = definition.bound, None
    elif definition.node is None:
        raise Refused(used_too_often(name, 1, span))
    else:
        binder.shared.count_use(name, span)
        table = binder.within(definition.definitions).table(definition.node)
    if definition.label is not None:
        table = replace(table, label=definition.label)
    if definition.columns is None:
        return table
    by_name = {attribute.name: attribute for attribute in table.visible()}
    for column in definition.columns:
        if column.name not in by_name:
            raise Refused(unknown_column(column.name, span, by_name))
        if by_name[column.name].type is not column.type:
            raise Refused(wrong_argument(name, column.name, str(column.type), str(by_name[column.name].type), span))
    return table


def call_for_table(binder: "TableBinder", call: syntax.Call, first: TableDefinition | None = None) -> Table:
    """The table that a function of `let` answers with. first: the argument before the written ones, which `invoke` gives."""
    scalars = ScalarBinder(Columns(), binder.environment)
    function, frame = _entered(binder, call, scalars, first)
    table = frame.table(function.body.body)
    return replace(table, label=call.function if not function.parameters else None)


def call_for_value(binder: "TableBinder", call: syntax.Call, scalars: ScalarBinder) -> plan.Scalar:
    """The value that a function of `let` answers with. scalars: binds the arguments."""
    function, frame = _entered(binder, call, scalars, None)
    return _scalar_body(frame, function)


def answers_with_table(binder: "TableBinder", name: str) -> bool:
    """Whether the function of that name answers with a table."""
    definition = binder.definitions.functions[name]
    inside = definition.definitions.copy()
    for parameter in definition.node.parameters:
        if isinstance(parameter, syntax.TableParameter):
            inside.tables[parameter.name] = TableDefinition(None, inside)
        else:
            inside.values[parameter.name] = plan.Constant(parameter.type, None)
    for statement in definition.node.body.statements:
        if isinstance(statement, syntax.Let) and not isinstance(statement.value, syntax.Function):
            if binder.within(inside).is_table(statement.value):
                inside.tables[statement.name.name] = TableDefinition(None, inside)
            else:
                inside.values[statement.name.name] = plan.Constant(Type.LONG, None)
        elif isinstance(statement, syntax.Let) and isinstance(statement.value, syntax.Function):
            inside.functions[statement.name.name] = FunctionDefinition(statement.value, inside)
    return binder.within(inside).is_table(definition.node.body.body)


def _entered(
    binder: "TableBinder", call: syntax.Call, scalars: ScalarBinder, first: TableDefinition | None
) -> tuple[syntax.Function, "TableBinder"]:
    """The function that is called, and a binder for its body, which knows the arguments by the parameters' names."""
    binder.shared.count_use(call.function, call.name_span)
    definition = binder.definitions.functions[call.function]
    function = definition.node
    given = _by_parameter(definition, call, skipped=0 if first is None else 1)
    inside = definition.definitions.copy()
    failed = False
    for place, parameter in enumerate(function.parameters):
        argument = given.get(parameter.name)
        try:
            if isinstance(parameter, syntax.TableParameter):
                inside.tables[parameter.name] = _table_argument(binder, parameter, argument, first if place == 0 else None)
            elif argument is not None:
                inside.values[parameter.name] = _as_declared(call.function, parameter, scalars.bind(argument), argument.span)
            else:
                inside.values[parameter.name] = _default(binder.within(definition.definitions), parameter)
        except Refused as refused:
            binder.problems.add(refused.diagnostic)
            failed = True
        except Muted:
            failed = True
    if failed:
        raise Muted
    return function, _frame(binder, function, inside)


def _frame(binder: "TableBinder", function: syntax.Function, inside: Definitions) -> "TableBinder":
    """A binder for the body of a function, after the statements of the body."""
    frame = binder.within(inside)
    for statement in function.body.statements:
        define(frame, statement)
    return frame


def _scalar_body(frame: "TableBinder", function: syntax.Function) -> plan.Scalar:
    body = function.body.body
    assert isinstance(body.source, syntax.Scalar)
    return ScalarBinder(Columns(), frame.environment).bind(body.source)


def _by_parameter(definition: FunctionDefinition, call: syntax.Call, skipped: int) -> Mapping[str, syntax.Scalar]:
    """The written arguments by the names of the parameters: by place, then by name."""
    parameters: Sequence[syntax.ScalarParameter | syntax.TableParameter] = definition.node.parameters[skipped:]
    names = [parameter.name for parameter in parameters]
    given: dict[str, syntax.Scalar] = {}
    for place, argument in enumerate(call.arguments):
        if isinstance(argument, syntax.Named):
            name = argument.names[0].name
            if name not in names:
                raise Refused(unknown_argument(call.function, name, argument.names[0].span, names))
        elif place < len(names):
            name = names[place]
        else:
            raise Refused(wrong_arity(call.function, len(call.arguments), definition.signature, call.span))
        given[name] = argument.value if isinstance(argument, syntax.Named) else argument
    wanted = [p.name for p in parameters if not (isinstance(p, syntax.ScalarParameter) and p.default is not None)]
    if not given.keys() >= set(wanted) or (skipped and not definition.node.parameters):
        raise Refused(wrong_arity(call.function, len(call.arguments), definition.signature, call.span))
    return given


def _table_argument(
    binder: "TableBinder", parameter: syntax.TableParameter, argument: syntax.Scalar | None, first: TableDefinition | None
) -> TableDefinition:
    if first is not None:
        return replace(first, columns=parameter.columns)
    assert argument is not None
    if not binder.is_table(argument):
        raise Refused(wrong_argument("let", parameter.name, "table", "value", argument.span))
    return TableDefinition(argument, binder.definitions.copy(), parameter.columns)


def _default(binder: "TableBinder", parameter: syntax.ScalarParameter) -> plan.Scalar:
    """The default of a parameter, which is a constant of its type."""
    assert parameter.default is not None
    value = ScalarBinder(Columns(), binder.environment).bind(parameter.default)
    untyped = isinstance(value, plan.Constant) and value.value is None
    if not (value.type is parameter.type or untyped or (value.type.is_numeric and parameter.type.is_numeric)):
        raise Refused(wrong_argument("the default", parameter.name, str(parameter.type), str(value.type), parameter.default.span))
    return convert(value, parameter.type)


def _as_declared(function: str, parameter: syntax.ScalarParameter, value: plan.Scalar, span: Span) -> plan.Scalar:
    """The value as one of the parameter's type: numbers of any type, text that is read or made, and what is dynamic."""
    wanted = parameter.type
    meets = value.type is wanted or (value.type.is_numeric and wanted.is_numeric)
    meets = meets or not {Type.DYNAMIC, Type.STRING}.isdisjoint({value.type, wanted})
    if not meets:
        raise Refused(wrong_argument(function, parameter.name, str(wanted), str(value.type), span))
    return convert(value, wanted)
