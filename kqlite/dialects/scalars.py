"""Scalars of the plan to SQL expressions."""

from collections.abc import Callable, Iterable, Mapping
from itertools import groupby
from typing import TYPE_CHECKING

from kqlite.dialects import conversions, document_text, sql
from kqlite.language import plan
from kqlite.language.functions.declare import Custom, Signature
from kqlite.language.schema import JSON, Array, JsonLeaf, Leaf, Object, Shape
from kqlite.language.types import Type

if TYPE_CHECKING:
    from kqlite.language.functions.declare import Function

SQL_TYPES = {
    Type.BOOL: "BOOLEAN",
    Type.INT: "INTEGER",
    Type.LONG: "BIGINT",
    Type.REAL: "DOUBLE",
    Type.DECIMAL: "DECIMAL(38, 0)",
    Type.STRING: "VARCHAR",
    Type.DATETIME: "BIGINT",
    Type.TIMESPAN: "BIGINT",
    Type.GUID: "VARCHAR",
    Type.DYNAMIC: "JSON",
}

CustomLowering = Callable[["ScalarLowering", plan.Invoke], sql.Expression]
CUSTOM: dict[str, CustomLowering] = {}
"""The lowering functions that declarations name by `Custom(..)`."""


def custom(name: str) -> Callable[[CustomLowering], CustomLowering]:
    """Registers the lowering function for `Custom(name)`."""

    def register(function: CustomLowering) -> CustomLowering:
        assert name not in CUSTOM, name
        CUSTOM[name] = function
        return function

    return register


class ScalarLowering:
    """Lowers scalars over the columns of one SELECT.

    columns: the expression for each attribute in reach. query_of: lowers a relation that stands inside a scalar. order: what
    the rows are sorted by, for aggregates that depend on it. partition: what window functions start anew for.
    """

    def __init__(
        self,
        columns: Mapping[plan.Attribute, sql.Expression],
        query_of: Callable[[plan.Relation], sql.Query],
        order: tuple[sql.Ordering, ...] = (),
        partition: tuple[sql.Expression, ...] = (),
    ):
        self.columns = columns
        self.query_of = query_of
        self.order = order
        self.partition = partition

    def lower(self, scalar: plan.Scalar) -> sql.Expression:
        """The value in its own form: of a dynamic a struct, list, native scalar, or JSON text."""
        match scalar:
            case plan.Reference():
                return self.columns[scalar.attribute]
            case plan.Constant():
                return constant(scalar)
            case plan.Variable():
                return sql.Cast(sql.Parameter(scalar.name), SQL_TYPES[scalar.of])
            case plan.Path():
                return self._path(scalar)
            case plan.Pick():
                return self._pick(scalar)
            case plan.Document():
                return self.lower(scalar.base)
            case plan.Invoke():
                return self._invoke(scalar)
            case plan.Convert():
                return self._convert(scalar)
            case plan.AsJson():
                return self.json(scalar.operand)
            case plan.Captures():
                names = sql.ListOf(tuple(sql.Literal(plan.capture(number)) for number in range(scalar.count)))
                holes = {"text": self.lower(scalar.text), "regex": sql.Literal(scalar.regex), "names": names}
                return sql.Template("CASE WHEN regexp_matches({text}, {regex}) THEN regexp_extract({text}, {regex}, {names}) END", holes)
            case plan.InTable():
                return self._in_table(scalar)
            case plan.Gathered():
                return sql.ArrayOf(self.query_of(scalar.relation))
            case plan.FirstValue():
                value = sql.Scalar(self.query_of(scalar.relation))
                return sql.or_empty(value) if scalar.type is Type.STRING else value
            case plan.Within():
                allowed = sql.Cast(sql.Parameter(scalar.variable), "VARCHAR[]")
                return sql.call("list_contains", allowed, sql.call("lower", self.lower(scalar.value)))
        raise AssertionError(scalar)

    def json(self, scalar: plan.Scalar) -> sql.Expression:
        """Any value as a value of DuckDB's type JSON, NULL where it is null; what JSON functions and `to_json` of a list want."""
        if scalar.type is not Type.DYNAMIC:
            return conversions.scalar_to_json(self.lower(scalar), scalar.type)
        return document_text.json(self.lower(scalar), scalar.form or JSON, self._hot(scalar))

    def ordered_json(self, scalar: plan.Scalar) -> sql.Expression:
        """The same where values are compared: equal documents have equal text."""
        value = self.json(scalar)
        # The JSON of any other form is made in order.
        is_loose = scalar.type is Type.DYNAMIC and isinstance(scalar.form, JsonLeaf | None) and not (scalar.form or JSON).ordered
        return document_text.ordered(value) if is_loose else value

    def text(self, scalar: plan.Scalar) -> sql.Expression:
        """The JSON text of a dynamic, NULL where it is null: strings with their quotes."""
        assert scalar.type is Type.DYNAMIC
        return document_text.text(self.lower(scalar), scalar.form or JSON, self._hot(scalar))

    def _hot(self, scalar: plan.Scalar) -> document_text.Hot:
        if not isinstance(scalar, plan.Document):
            return document_text.NO_HOT
        return {path: self.lower(column) for path, column in scalar.hot.items()}

    def plain_text(self, scalar: plan.Scalar) -> sql.Expression:
        """Any value as KQL's text of it, NULL where it is null: a string inside a dynamic without its quotes, an object as JSON."""
        if scalar.type is not Type.DYNAMIC:
            return conversions.to_text(self.lower(scalar), scalar.type)
        if isinstance(scalar, plan.Constant) and scalar.value is None:
            return sql.Cast(sql.NULL, "VARCHAR")
        if isinstance(scalar.form, JsonLeaf):
            if not scalar.form.ordered:
                return sql.operation("->>", document_text.ordered(self.lower(scalar)), sql.Literal("$"))
            if isinstance(scalar, plan.Path):
                base, shape, rest = self._native_part(scalar)
                if rest:
                    assert isinstance(shape, JsonLeaf)
                    *first, last = json_paths(rest)
                    return sql.call("json_extract_string", _followed(base, first), sql.Literal(last))
            return sql.operation("->>", self.lower(scalar), sql.Literal("$"))
        if isinstance(scalar.form, Array | Object):
            return self.text(scalar)
        assert isinstance(scalar.form, Leaf)
        return conversions.leaf_to_text(self.lower(scalar), scalar.form)

    def null_where_null(self, scalar: plan.Scalar) -> sql.Expression:
        """What is NULL exactly where the value is null; the text of a dynamic, since in JSON two things are null."""
        loose = scalar.type is Type.DYNAMIC and isinstance(scalar.form, JsonLeaf | None)
        return self.plain_text(scalar) if loose else self.lower(scalar)

    def condition(self, scalar: plan.Scalar) -> sql.Expression:
        """A condition where null counts as false: at the top of a `where`, in `countif`, `iff`. Simpler SQL, which the engine
        can push down.
        """
        if isinstance(scalar, plan.Invoke):
            if scalar.function.name in ("and", "or"):
                operator = scalar.function.name.upper()
                return sql.Operation(operator, tuple(self.condition(argument) for argument in scalar.arguments))
            relaxed = CUSTOM.get(f"{scalar.function.name} as condition")
            if relaxed is not None:
                return relaxed(self, scalar)
        return self.lower(scalar)

    # Dynamic paths

    def _native_part(self, path: plan.Path) -> tuple[sql.Expression, Shape, tuple[str | int, ...]]:
        """Follows a path as long as the shape does. What remains is empty, or a path inside JSON."""
        base = path.base
        shape: Shape = base.form or JSON
        value = self.lower(base)
        walked: tuple[str, ...] = ()
        for number, step in enumerate(path.steps):
            if isinstance(shape, JsonLeaf):
                return value, shape, path.steps[number:]
            inner = plan.step_into(shape, step)
            if inner is None:
                return sql.Cast(sql.NULL, "JSON"), JSON, ()
            if isinstance(step, str):
                walked += (step,)
                value = self.lower(base.hot[walked]) if isinstance(base, plan.Document) and walked in base.hot else sql.Field(value, step)
            else:
                value = sql.Element(value, sql.Literal(step + 1 if step >= 0 else step))
            shape = inner
        return value, shape, ()

    def _path(self, path: plan.Path) -> sql.Expression:
        value, _, rest = self._native_part(path)
        if not rest:
            return value
        # A member that is null in the text is NULL, like one that is absent.
        return sql.call("nullif", _followed(value, json_paths(rest)), sql.Literal("null"))

    def _pick(self, pick: plan.Pick) -> sql.Expression:
        index = self.lower(pick.index)
        if pick.index.type.is_numeric:
            if isinstance(pick.base.form, Array):
                position = sql.Case(((sql.operation(">=", index, sql.Literal(0)), sql.operation("+", index, sql.Literal(1))),), index)
                return sql.Element(self.lower(pick.base), position)
            template = (
                # One call with either path: DuckDB reads paths of constants before it knows which branch is taken.
                "nullif(json_extract({json}, CASE WHEN {i} >= 0 THEN '$[' || {i} || ']' ELSE '$[#' || {i} || ']' END), 'null')"
            )
            return sql.Template(template, {"i": index, "json": self.json(pick.base)})
        template = (
            "nullif(CASE WHEN json_type({json}) = 'OBJECT' "
            "THEN json_extract({json}, '/' || replace(replace({key}, '~', '~0'), '/', '~1')) END, 'null')"
        )
        return sql.Template(template, {"key": index, "json": self.json(pick.base)})

    # Calls

    def _invoke(self, invoke: plan.Invoke) -> sql.Expression:
        function = invoke.function
        chosen = self._template_for(function, invoke)
        if isinstance(chosen, Custom):
            return CUSTOM[chosen.name](self, invoke)
        as_lists = ("duckdb", "list") in function.sql and chosen == function.sql[("duckdb", "list")]
        signature = signature_for(function, len(invoke.arguments))
        holes: dict[str, sql.Expression] = {}
        repeated: list[sql.Expression] = []
        for number, argument in enumerate(invoke.arguments):
            lowered = self.lower(argument) if as_lists or argument.type is not Type.DYNAMIC else self.json(argument)
            if signature.repeats and number >= len(signature.parameters) - 1:
                repeated.append(lowered)
            holes[signature.parameter(number).name] = lowered
        if repeated:
            holes[signature.parameters[-1].name] = sql.CommaSeparated(tuple(repeated))
        return sql.Template(chosen, holes)

    def _template_for(self, function: "Function", invoke: plan.Invoke) -> str | Custom:
        first_dynamic = next((argument for argument in invoke.arguments if argument.type is Type.DYNAMIC), None)
        if first_dynamic is not None and isinstance(first_dynamic.form, Array) and ("duckdb", "list") in function.sql:
            return function.sql[("duckdb", "list")]
        by_count = function.sql.get(("duckdb", len(invoke.arguments)))
        return by_count if by_count is not None else function.sql["duckdb"]

    def _convert(self, convert: plan.Convert) -> sql.Expression:
        operand = convert.operand
        if convert.to is Type.STRING:
            text = self.plain_text(operand)
            return sql.or_empty(text) if operand.nullable else text
        absent = isinstance(operand, plan.Constant) and operand.value is None
        if absent or (operand.type is Type.DYNAMIC and isinstance(operand.form, Array | Object)):
            return sql.Cast(sql.NULL, SQL_TYPES[convert.to])
        return conversions.convert(self.lower(operand), operand.type, operand.form, convert.to)

    def _in_table(self, scalar: plan.InTable) -> sql.Expression:
        return sql.call("coalesce", sql.In(self.lower(scalar.value), self.query_of(scalar.relation)), sql.FALSE)


def signature_for(function: "Function", count: int) -> Signature:
    """The signature that takes `count` arguments; their parameters' names agree where several do."""
    fitting = [s for s in function.signatures if s.least <= count and (s.most is None or count <= s.most)]
    return fitting[0] if fitting else function.signatures[0]


def constant(scalar: plan.Constant) -> sql.Expression:
    """A constant; a null keeps its type."""
    if scalar.value is None or scalar.of is Type.DYNAMIC:
        return sql.Cast(sql.Literal(scalar.value), SQL_TYPES[scalar.of])
    fits_integer = isinstance(scalar.value, int) and -(2**31) <= scalar.value < 2**31
    return sql.Literal(scalar.value, wide=fits_integer and SQL_TYPES[scalar.of] == "BIGINT")


def json_paths(steps: tuple[str | int, ...]) -> list[str]:
    """Paths as DuckDB's JSON functions read them, one followed after the other.

    Names that cannot be written between quotes go by JSON pointers, which take a number for an index and know none from the end.
    """
    return [json_path(tuple(part)) for _, part in groupby(steps, _needs_pointer)]


def json_path(names: tuple[str | int, ...]) -> str:
    """One path; an index may only stand in it where no name needs a pointer."""
    if any(map(_needs_pointer, names)):
        return "".join("/" + str(step).replace("~", "~0").replace("/", "~1") for step in names)
    parts = ["$"]
    for step in names:
        if isinstance(step, str):
            parts.append(f'."{step}"')
        else:
            parts.append(f"[{step}]" if step >= 0 else f"[#{step}]")
    return "".join(parts)


def _needs_pointer(step: str | int) -> bool:
    return isinstance(step, str) and (not step or '"' in step or "\\" in step)


def _followed(value: sql.Expression, paths: Iterable[str]) -> sql.Expression:
    for path in paths:
        value = sql.call("json_extract", value, sql.Literal(path))
    return value
