"""Scalars of the syntax tree to scalars of the plan: names are resolved, types checked, conversions written out."""

import json
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from kqlite.language import plan, syntax
from kqlite.language.binder import branches
from kqlite.language.binder.naming import is_sort
from kqlite.language.binder.operators import (
    EQUALITY,
    ORDER,
    arithmetic,
    comparable,
    comparison,
    convert,
    invoke,
    negate,
    opposite,
    string_operator,
)
from kqlite.language.binder.scope import Columns, Muted, Problems
from kqlite.language.binder.windows import composed
from kqlite.language.diagnostics import (
    Diagnostic,
    Refused,
    aggregate_outside_summarize,
    assignment_for_condition,
    bad_constant,
    bad_regex,
    not_a_condition,
    not_constant,
    not_serialized,
    row_value_in_table,
    table_for_scalar,
    undecided,
    unknown_column,
    unknown_function,
    unsupported,
    wrong_argument,
    wrong_arity,
    wrong_constant,
    wrong_operand,
    wrong_operands,
)
from kqlite.language.functions import FUNCTIONS
from kqlite.language.functions.declare import Function, Parameter, Signature
from kqlite.language.functions.refused import REFUSED
from kqlite.language.functions.regexes import check_regex
from kqlite.language.literals import ordered_json
from kqlite.language.source import Span
from kqlite.language.types import Type, widest

if TYPE_CHECKING:
    from kqlite.language.binder.scope import Table

_CHOICES: dict[str, tuple[Callable[..., tuple[Type, list[plan.Scalar]]], Callable[[int], Sequence[int]]]] = {
    "iff": (branches.of_branches, lambda count: (1, 2)),
    "case": (branches.of_branches, lambda count: (*range(1, count - 1, 2), count - 1)),
    "coalesce": (branches.of_coalesce, range),
    "max_of": (branches.of_extremes, range),
    "min_of": (branches.of_extremes, range),
}
"""Functions whose arguments must find a common type, and which of `count` arguments these are."""


@dataclass(slots=True)
class Environment:
    """What an expression may use besides columns.

    values: scalars by name, from `let` and from the caller's parameters. bind_table: binds a table that stands inside an
    expression. text: of the query, for hints. call: binds the call of a function of `let`. functions: the names of these. frozen: whether
    values that depend on a row are out of reach.
    """

    problems: Problems
    bind_table: "Callable[[syntax.Scalar], Table]"
    values: Mapping[str, plan.Scalar] = field(default_factory=dict)
    is_table: Callable[[syntax.Scalar], bool] = lambda node: False
    text: str = ""
    call: "Callable[[syntax.Call, ScalarBinder], plan.Scalar] | None" = None
    functions: Collection[str] = ()
    frozen: bool = False

    def written(self, span: Span) -> str:
        """What the query says at a place, on one line."""
        return " ".join(self.text[span.start : span.end].split())

    def key(self, node: syntax.Scalar) -> str:
        """A key as the query says it; a column that `*` stands for, by name."""
        written = self.written(node.span)
        return node.name if written == "*" and isinstance(node, syntax.Name) else written


class ScalarBinder:
    """Binds expressions over the columns of one operator's input."""

    def __init__(self, columns: Columns, environment: Environment):
        self.columns = columns
        self.environment = environment

    # Entry points

    def bind(self, node: syntax.Item) -> plan.Scalar:
        """The value of an expression. Raises Refused for what is wrong with it, Muted where all of it has been reported."""
        match node:
            case syntax.Name():
                return self._name(node)
            case syntax.Literal():
                return plan.Constant(node.type, "" if node.type is Type.STRING and node.value is None else node.value)
            case syntax.DynamicLiteral():
                return plan.Constant(Type.DYNAMIC, None if node.json is None else ordered_json(node.json))
            case syntax.MemberAccess():
                return self._step(self.bind(node.base), node.name, node)
            case syntax.IndexAccess():
                return self._index(node)
            case syntax.Call():
                return self._call(node)
            case syntax.Unary():
                operand = self.bind(node.operand)
                if node.operator == "-":
                    return negate(operand, node.span)
                if not (operand.type.is_numeric or operand.type is Type.TIMESPAN):
                    raise Refused(wrong_operand("+", str(operand.type), node.span))
                return operand if isinstance(operand, plan.Constant) or operand.type is not Type.INT else convert(operand, Type.LONG)
            case syntax.Binary():
                return self._binary(node)
            case syntax.Chain():
                return self._chain(node)
            case syntax.InList():
                return self._in_list(node)
            case syntax.Between():
                return self._between(node)
            case syntax.Named():
                raise Refused(assignment_for_condition(node.names[0].name, node.span))
            case syntax.Pipeline():
                raise Refused(table_for_scalar(node.span))
            case syntax.Star():
                raise Refused(unsupported("`*` in this place", node.span))
            case syntax.TypeLiteral():
                raise Refused(unsupported("`typeof()` in this place", node.span))

    def condition(self, node: syntax.Item) -> plan.Scalar:
        """A bool. A dynamic counts as one: the service takes `where properties.flag`."""
        condition = self.bind(node)
        if condition.type is Type.DYNAMIC:
            return convert(condition, Type.BOOL)
        if condition.type is not Type.BOOL:
            raise Refused(not_a_condition(str(condition.type), node.span))
        return condition

    def constant(self, node: syntax.Item, what: str, type_: Type) -> plan.Constant:
        """A constant of a type."""
        value = self.bind(node)
        if isinstance(value, plan.Constant) and value.of is not type_ and value.of.is_numeric and type_.is_numeric:
            value = convert(value, type_)
        if not isinstance(value, plan.Constant) or value.value is None:
            raise Refused(not_constant(what, node.span))
        if value.of is not type_:
            raise Refused(wrong_constant(what, str(type_), str(value.of), node.span))
        return value

    def all(self, nodes: Sequence[syntax.Item]) -> list[plan.Scalar]:
        """Several expressions: what is wrong with each of them is reported, not only the first."""
        bound: list[plan.Scalar] = []
        for node in nodes:
            try:
                bound.append(self.bind(node.value if isinstance(node, syntax.Named) else node))
            except Refused as refused:
                self.environment.problems.add(refused.diagnostic)
            except Muted:
                pass
        if len(bound) < len(nodes):
            raise Muted
        return bound

    # Names and paths

    def _name(self, node: syntax.Name) -> plan.Scalar:
        attribute = self.columns.find(node.name)
        if attribute is not None:
            return self.reference(attribute, node)
        value = self.environment.values.get(node.name)
        if value is not None:
            if self.environment.frozen and depends_on_row(value):
                raise Refused(row_value_in_table(node.name, node.span))
            return value
        if self.environment.is_table(node):
            raise Refused(table_for_scalar(node.span))
        raise Refused(unknown_column(node.name, node.span, [*self.columns.names(), *self.environment.values]))

    def reference(self, attribute: plan.Attribute, node: syntax.Name) -> plan.Scalar:
        """A column of the input, as a value."""
        return plan.Reference(attribute)

    def _step(self, base: plan.Scalar, step: str | int, node: syntax.MemberAccess | syntax.IndexAccess) -> plan.Scalar:
        if base.type is not Type.DYNAMIC:
            shown = f".{step}" if isinstance(step, str) else f"[{step}]"
            hint = "parse it first: `parse_json()`" if base.type is Type.STRING else None
            raise Refused(wrong_operand(shown, str(base.type), node.span, hint))
        if isinstance(base, plan.Path):
            return plan.Path(base.base, (*base.steps, step))
        return plan.Path(base, (step,))

    def _index(self, node: syntax.IndexAccess) -> plan.Scalar:
        if is_sort(node.base):
            found = self._sorted_array(node.base, node.index)
            if found is not None:
                return found
        base, index = self.all((node.base, node.index))
        if isinstance(index, plan.Constant) and isinstance(index.value, int | str) and index.of in (Type.LONG, Type.INT, Type.STRING):
            return self._step(base, index.value, node)
        if base.type is not Type.DYNAMIC:
            raise Refused(wrong_operand("[..]", str(base.type), node.span))
        if index.type is Type.DYNAMIC:
            index = convert(index, Type.STRING)
        if index.type not in (Type.LONG, Type.INT, Type.STRING):
            raise Refused(wrong_operands("[..]", str(base.type), str(index.type), node.span, "an index is a whole number or a string"))
        return plan.Pick(base, index)

    def _sorted_array(self, node: syntax.Scalar, index: syntax.Scalar) -> plan.Scalar | None:
        """`array_sort_asc(a, b)[1]`: the array in that place, in the order of the first; None where only one is sorted."""
        assert isinstance(node, syntax.Call)
        function = FUNCTIONS.find(node.function)
        assert function is not None
        place = index.value if isinstance(index, syntax.Literal) else None
        arguments = self.all(node.arguments)
        arrays = [argument for argument in arguments if argument.type is Type.DYNAMIC]
        if len(arrays) < 2 or not isinstance(place, int) or place >= len(arrays):
            return None
        others = [arrays[place]] if place else []
        flag = [argument for argument in arguments[len(arrays) :] if argument.type is Type.BOOL]
        return self.apply(function, list(function.signatures[1:] if place else function.signatures[:1]), [arrays[0], *others, *flag], node)

    # Operators

    def _binary(self, node: syntax.Binary) -> plan.Scalar:
        if isinstance(node.left, syntax.Star):
            return self._any_column(node, node.left)
        left, right = self.all((node.left, node.right))
        if node.operator in EQUALITY or node.operator in ORDER:
            return comparison(node.operator, left, right, node.span)
        if node.operator == "matches regex":
            self._check_regex(right, node.right.span)
        return string_operator(node.operator, left, right, node.span)

    def _any_column(self, node: syntax.Binary, star: syntax.Star) -> plan.Scalar:
        """`* has 'x'`: whether any column has it. A string operator takes each column as text, `==` those that hold such a value."""
        if node.operator.startswith("!"):
            positive = {"!=": "==", "!~": "=~"}.get(node.operator, node.operator[1:])
            raise Refused(undecided(f"`* {node.operator}`", node.span, f"write `not(* {positive} ..)`"))
        right = self.bind(node.right)
        if node.operator == "matches regex":
            self._check_regex(right, node.right.span)
        tests: list[plan.Scalar] = []
        for attribute in self.columns.visible():
            column = self.reference(attribute, syntax.Name(star.span, "*"))
            if node.operator in EQUALITY:
                if attribute.type in (right.type, Type.DYNAMIC) or Type.DYNAMIC is right.type or widest([attribute.type, right.type]):
                    tests.append(comparison(node.operator, column, right, node.span))
            else:
                text = column if attribute.type is Type.DYNAMIC else convert(column, Type.STRING)
                tests.append(string_operator(node.operator, text, right, node.span))
        if not tests:
            return plan.Constant(Type.BOOL, False)
        return tests[0] if len(tests) == 1 else invoke("or", tests)

    def _check_regex(self, pattern: plan.Scalar, span: Span) -> None:
        if not isinstance(pattern, plan.Constant):
            raise Refused(not_constant("a regular expression", span))
        reason = check_regex(str(pattern.value))
        if reason is not None:
            raise Refused(bad_regex(reason, span))

    def _chain(self, node: syntax.Chain) -> plan.Scalar:
        operator = node.operators[0]
        if operator in ("and", "or"):
            return invoke(operator, self._conditions(node.operands))
        operands = self.all(node.operands)
        value = operands[0]
        for number, operand in enumerate(operands[1:]):
            span = node.operands[0].span.to(node.operands[number + 1].span)
            value = arithmetic(node.operators[number], value, operand, span)
        return value

    def _conditions(self, nodes: Sequence[syntax.Item]) -> list[plan.Scalar]:
        bound: list[plan.Scalar] = []
        for node in nodes:
            try:
                bound.append(self.condition(node))
            except Refused as refused:
                self.environment.problems.add(refused.diagnostic)
            except Muted:
                pass
        if len(bound) < len(nodes):
            raise Muted
        return bound

    def _in_list(self, node: syntax.InList) -> plan.Scalar:
        if len(node.items) == 1 and self._is_table(node.items[0]):
            return self._in_table(node)
        value, *items = self.all((node.value, *node.items))
        operator = node.operator
        if operator in ("has_any", "has_all") or operator.endswith("~"):
            for item, item_node in zip(items, node.items, strict=True):
                string_operator("=~" if operator.endswith("~") else "has", value, item, node.value.span.to(item_node.span))
            return invoke(operator, (value, *items))
        if len(items) == 1 and items[0].type is Type.DYNAMIC:
            return invoke(operator, (value, items[0]))
        if value.type is not Type.DYNAMIC:
            wide = widest([value.type, *(item.type for item in items)])
            if wide is not None:
                value = convert(value, wide)
        fitted: list[plan.Scalar] = []
        apart: list[plan.Scalar] = []
        for item, item_node in zip(items, node.items, strict=True):
            left, right = comparable("==", value, item, node.value.span.to(item_node.span))
            if left is value:
                fitted.append(right)
            elif value.type is Type.STRING:
                # The text is read as the item's type, which may be another for each item.
                apart.append(invoke("==", (left, right)))
            else:
                raise Refused(wrong_operands(operator, str(value.type), str(item.type), item_node.span))
        if not apart:
            return invoke(operator, (value, *fitted))
        tests = [*([invoke("in", (value, *fitted))] if fitted else []), *apart]
        found = tests[0] if len(tests) == 1 else invoke("or", tests)
        return opposite(found) if operator.startswith("!") else found

    def _is_table(self, node: syntax.Scalar) -> bool:
        if isinstance(node, syntax.Name) and self.columns.find(node.name) is not None:
            return False
        return isinstance(node, syntax.Pipeline) or self.environment.is_table(node)

    def _in_table(self, node: syntax.InList) -> plan.Scalar:
        value = self.bind(node.value)
        table = self.environment.bind_table(node.items[0])
        attribute = table.visible()[0]
        item: plan.Scalar = plan.Reference(attribute)
        if node.operator in ("has_any", "has_all"):
            string_operator("has", value, item, node.span)
            column = (plan.Attribute(attribute.name, Type.STRING), convert(item, Type.STRING))
            return invoke(node.operator, (value, plan.Gathered(plan.Project(table.relation, (column,)))))
        ignores_case = node.operator.endswith("~")
        wanted = Type.STRING if ignores_case or Type.STRING in (value.type, item.type) else value.type
        wide = widest([value.type, item.type])
        wanted = wide or wanted
        if wanted is Type.DYNAMIC:
            wanted = Type.STRING
        if wide is None and value.type is not item.type and Type.DYNAMIC not in (value.type, item.type):
            raise Refused(wrong_operands(node.operator, str(value.type), str(item.type), node.span))
        value, item = convert(value, wanted), convert(item, wanted)
        if ignores_case:
            lower = FUNCTIONS.find("tolower")
            assert lower is not None
            value, item = (plan.Invoke(lower, (side,), Type.STRING) for side in (value, item))
        relation = plan.Project(table.relation, ((plan.Attribute(attribute.name, wanted), item),))
        found: plan.Scalar = plan.InTable(value, relation)
        return opposite(found) if node.operator.startswith("!") else found

    def _between(self, node: syntax.Between) -> plan.Scalar:
        value, low, high = self.all((node.value, node.low, node.high))
        operator = "!between" if node.negated else "between"
        if Type.STRING in (value.type, low.type, high.type):
            raise Refused(wrong_operands(operator, str(value.type), str(low.type), node.span, "strings have no order here"))
        if value.type is Type.DYNAMIC:
            value = convert(value, Type.LONG if low.type is Type.INT else low.type)
        if low.type is Type.DATETIME and high.type is Type.TIMESPAN:
            high = arithmetic("+", low, high, node.span)
        wide = widest([value.type, low.type, high.type])
        if wide is not None:
            value, low, high = (convert(bound, wide) for bound in (value, low, high))
        for bound, bound_node in ((low, node.low), (high, node.high)):
            if bound.type is not value.type:
                raise Refused(wrong_operands(operator, str(value.type), str(bound.type), bound_node.span))
        if value.type not in (Type.INT, Type.LONG, Type.REAL, Type.DECIMAL, Type.DATETIME, Type.TIMESPAN):
            raise Refused(wrong_operand(operator, str(value.type), node.span))
        return invoke(operator, (value, low, high))

    # Calls

    def _call(self, node: syntax.Call) -> plan.Scalar:
        if node.function in self.environment.functions and self.environment.call is not None:
            if self.environment.is_table(node):
                raise Refused(table_for_scalar(node.span))
            return self.environment.call(node, self)
        if node.function == "toscalar":
            return self._toscalar(node)
        function = FUNCTIONS.find(node.function)
        if function is None:
            raise Refused(self._unknown_function(node))
        if function.aggregate:
            return self.aggregate(function, node)
        if function.window and function.name != "row_number" and not self.columns.serialized:
            raise Refused(not_serialized(node.function, node.name_span))
        if function.name == "pack_all":
            return self.pack_all(function, node)
        if function.name == "bag_pack_columns":
            return self._bag_pack_columns(function, node)
        if function.name == "column_names_of":
            return self._column_names(function, node)
        if function.name in ("column_ifexists", "iscolumnexists"):
            return self._if_exists(function, node)
        if function.name in ("extract", "extract_json") and len(node.arguments) == len(function.signatures[0].parameters) + 1:
            return self._extract_typed(node)
        signatures = self.signatures_for(function, node)
        arguments = self.all(self._expanded(node.arguments))
        if is_sort(node) and len(arguments) > 1 and arguments[1].type is Type.DYNAMIC:
            raise Refused(unsupported(f"`{function.name}` of several arrays but as `{function.name}(..)[place]`", node.span))
        if function.name in _CHOICES:
            return self._choice(function, arguments, node)
        call = self.apply(function, signatures, arguments, node)
        return composed(call, node.span) if function.window else call

    def _toscalar(self, node: syntax.Call) -> plan.Scalar:
        """The first column of the first row of a table; a value that is the same for each row is itself."""
        if len(node.arguments) != 1 or isinstance(node.arguments[0], syntax.Named):
            raise Refused(wrong_arity("toscalar", len(node.arguments), "(table)", node.span))
        [inner] = node.arguments
        assert not isinstance(inner, syntax.Named)
        if not self._is_table(inner):
            return ScalarBinder(Columns(), self.environment).bind(inner)
        table = self.environment.bind_table(inner)
        first = table.visible()[0]
        # A document is made whole before it is taken as one value.
        value = plan.AsJson(plan.Reference(first)) if first.type is Type.DYNAMIC else plan.Reference(first)
        column = plan.Attribute(first.name, first.type)
        return plan.FirstValue(plan.Take(plan.Project(table.relation, ((column, value),)), 1))

    def _unknown_function(self, node: syntax.Call) -> Diagnostic:
        if node.function in REFUSED:
            return unsupported(f"the function `{node.function}`", node.name_span, REFUSED[node.function])
        return unknown_function(node.function, node.name_span, [*FUNCTIONS.names(), *self.environment.functions])

    def _expanded(self, arguments: Sequence[syntax.Item]) -> Sequence[syntax.Item]:
        """Arguments with `*` replaced by every column."""
        if not any(isinstance(argument, syntax.Star) for argument in arguments):
            return arguments
        expanded: list[syntax.Item] = []
        for argument in arguments:
            if isinstance(argument, syntax.Star):
                expanded += [syntax.Name(argument.span, attribute.name) for attribute in self.columns.visible()]
            else:
                expanded.append(argument)
        return expanded

    def _extract_typed(self, node: syntax.Call) -> plan.Scalar:
        """`extract(regex, group, text, typeof(long))`, `extract_json(path, text, typeof(long))`: what was found, converted."""
        *arguments, wanted = node.arguments
        if not isinstance(wanted, syntax.TypeLiteral):
            raise Refused(wrong_argument(node.function, "type", "typeof(..)", "value", wanted.span))
        return convert(self._call(replace(node, arguments=tuple(arguments))), wanted.type)

    def pack_all(self, function: Function, node: syntax.Call) -> plan.Scalar:
        """`pack_all()` as a call with name, value, name, value, .. of every column that is shown, behind its flag."""
        skips = bool(node.arguments) and self.constant(node.arguments[0], "the argument of `pack_all`", Type.BOOL).value is True
        packed: list[plan.Scalar] = [plan.Constant(Type.BOOL, skips)]
        for attribute in self.columns.visible():
            packed += [plan.Constant(Type.STRING, attribute.name), plan.Reference(attribute)]
        return plan.Invoke(function, tuple(packed), Type.DYNAMIC)

    def _column_names(self, function: Function, node: syntax.Call) -> plan.Scalar:
        """`column_names_of(T)`, of a table that stands here or is named."""
        self.signatures_for(function, node)
        argument = node.arguments[0]
        table = self.environment.bind_table(argument.value if isinstance(argument, syntax.Named) else argument)
        names = [attribute.name for attribute in table.visible()]
        return plan.Constant(Type.DYNAMIC, json.dumps(names, ensure_ascii=False, separators=(",", ":")))

    def _if_exists(self, function: Function, node: syntax.Call) -> plan.Scalar:
        """`column_ifexists('name', default)`: the column, or the default where the table has none of that name."""
        self.signatures_for(function, node)
        name, *default = self.all(node.arguments)
        if not isinstance(name, plan.Constant) or name.of is not Type.STRING:
            raise Refused(not_constant(f"the name in `{node.function}`", node.arguments[0].span))
        attribute = self.columns.find(str(name.value))
        if not default:
            return plan.Constant(Type.BOOL, attribute is not None)
        return default[0] if attribute is None else self.reference(attribute, syntax.Name(node.span, attribute.name))

    def without_choice(self, node: syntax.Scalar) -> syntax.Scalar:
        """The expression with a column in place of `column_ifexists('column', ..)`, from which it has its name."""
        match node:
            case syntax.MemberAccess() | syntax.IndexAccess():
                return replace(node, base=self.without_choice(node.base))
            case syntax.Call(function="column_ifexists" | "columnifexists"):
                first = node.arguments[0] if node.arguments else None
                known = isinstance(first, syntax.Literal) and self.columns.find(str(first.value)) is not None
                return syntax.Name(node.span, str(first.value)) if known and isinstance(first, syntax.Literal) else node
            case syntax.Call(arguments=(syntax.Call() as first, *rest)):
                return replace(node, arguments=(self.without_choice(first), *rest))
            case _:
                return node

    def _bag_pack_columns(self, function: Function, node: syntax.Call) -> plan.Scalar:
        """Name, value, name, value, .. of the columns."""
        self.signatures_for(function, node)
        arguments = self._expanded(node.arguments)
        packed: list[plan.Scalar] = []
        for argument, value in zip(arguments, self.all(arguments), strict=True):
            if not isinstance(argument, syntax.Name):
                raise Refused(unsupported("anything but a column in `bag_pack_columns`", argument.span))
            packed += [plan.Constant(Type.STRING, argument.name), value]
        return plan.Invoke(function, tuple(packed), Type.DYNAMIC)

    def aggregate(self, function: Function, node: syntax.Call) -> plan.Scalar:
        """A call of an aggregate function: only `summarize` has a meaning for it."""
        raise Refused(aggregate_outside_summarize(node.function, node.name_span))

    def signatures_for(self, function: Function, node: syntax.Call) -> list[Signature]:
        """The signatures that take as many arguments as the call has."""
        count = len(self._expanded(node.arguments))
        fitting = [s for s in function.signatures if s.least <= count and (s.most is None or count <= s.most)]
        if not fitting or count % 2 == {"case": 0, "bag_pack": 1}.get(function.name):
            shown = " or ".join(str(signature) for signature in function.signatures)
            raise Refused(wrong_arity(node.function, count, shown, node.span))
        return fitting

    def apply(self, function: Function, signatures: list[Signature], arguments: list[plan.Scalar], node: syntax.Call) -> plan.Invoke:
        """The call with the signature that fits its arguments best."""
        best = min(signatures, key=lambda signature: sum(_cost(signature.parameter(i), a.type) for i, a in enumerate(arguments)))
        fitted = []
        for index, argument in enumerate(arguments):
            fitted.append(self._fit(function, best.parameter(index), argument, node, index))
        returns = best.returns if isinstance(best.returns, Type) else best.returns([argument.type for argument in fitted])
        return plan.Invoke(function, tuple(fitted), returns)

    def _fit(self, function: Function, parameter: Parameter, argument: plan.Scalar, node: syntax.Call, index: int) -> plan.Scalar:
        span = node.arguments[index].span if index < len(node.arguments) else node.span
        if parameter.constant and not isinstance(argument, plan.Constant):
            raise Refused(not_constant(f"`{parameter.name}` of `{node.function}`", span))
        if parameter.name == "regex":
            self._check_regex(argument, span)
        if parameter.check is not None and isinstance(argument, plan.Constant):
            reason = parameter.check(str(argument.value))
            if reason is not None:
                raise Refused(bad_constant(parameter.name, node.function, reason, span))
        if parameter.type is None or argument.type is parameter.type:
            return argument
        if _cost(parameter, argument.type) >= _IMPOSSIBLE:
            hint = f"convert it with `to{parameter.type}()`" if Type.DYNAMIC is argument.type or parameter.type is Type.STRING else None
            raise Refused(wrong_argument(node.function, parameter.name, str(parameter.type), str(argument.type), span, hint))
        return convert(argument, parameter.type)

    def _choice(self, function: Function, arguments: list[plan.Scalar], node: syntax.Call) -> plan.Scalar:
        unify, places = _CHOICES[function.name]
        chosen = list(places(len(arguments)))
        returns, unified = unify(node.function, [arguments[place] for place in chosen], node.span)
        for place, value in zip(chosen, unified, strict=True):
            arguments[place] = value
        for place, argument in enumerate(arguments):
            if place not in chosen and argument.type is not Type.BOOL:
                raise Refused(not_a_condition(str(argument.type), node.arguments[place].span))
        return plan.Invoke(function, tuple(arguments), returns)


def depends_on_row(value: plan.Scalar) -> bool:
    """Whether a value is made of columns."""
    return any(isinstance(scalar, plan.Reference) for scalar in plan.walk(value))


_IMPOSSIBLE = 1000


def _cost(parameter: Parameter, found: Type) -> int:
    """How far `found` is from what the parameter wants: 0 for the same type."""
    wanted = parameter.type
    if wanted is None:
        return 3
    if wanted is found:
        return 0
    if found.is_numeric and wanted.is_numeric:
        numeric = [Type.INT, Type.LONG, Type.REAL]
        distance = numeric.index(wanted) - numeric.index(found)
        if distance > 0:
            return distance
    return 5 if found in parameter.accepts else _IMPOSSIBLE
