"""Arrays of numbers, as lists of JSON: whole numbers stay whole where they can."""

from kqlite.dialects import sql
from kqlite.dialects.duckdb.dynamics import json_list
from kqlite.dialects.scalars import ScalarLowering, custom
from kqlite.language import plan
from kqlite.language.functions.series import ARITHMETIC, COMPARISONS, FUNCTIONS_OF_ONE
from kqlite.language.types import Type

_JSON_OF_REAL = "list_transform([VALUE], lambda r: CASE WHEN isfinite(r) THEN to_json(r) END)[1]"
"""What has no number in JSON is null."""


def _template(template: str, /, **holes: sql.Expression) -> sql.Template:
    return sql.Template(template, holes)


def _number(element: str) -> str:
    return f"CASE WHEN json_type({element}) IN ('UBIGINT', 'BIGINT', 'DOUBLE') THEN TRY_CAST({element} AS DOUBLE) END"


def _is_whole(element: str) -> str:
    return f"json_type({element}) IN ('UBIGINT', 'BIGINT')"


def _json_of_real(value: str) -> str:
    return _JSON_OF_REAL.replace("VALUE", value)


def _pairs(lowering: ScalarLowering, invoke: plan.Invoke) -> sql.Expression:
    """The elements of two arrays side by side, as JSON; a number stands beside each element of the other."""
    left, right = invoke.arguments[:2]
    if left.type is not Type.DYNAMIC:
        return _template("list_transform({list}, lambda e: ({json}, e))", list=json_list(lowering, right), json=lowering.json(left))
    if right.type is not Type.DYNAMIC:
        return _template("list_transform({list}, lambda e: (e, {json}))", list=json_list(lowering, left), json=lowering.json(right))
    lists = {"left": json_list(lowering, left), "right": json_list(lowering, right)}
    return sql.Template("CASE WHEN {left} IS NOT NULL AND {right} IS NOT NULL THEN list_zip({left}, {right}) END", lists)


def _operated(operator: str, left: str, right: str) -> str:
    return f"pow({left}, {right})" if operator == "pow" else f"{left} {operator} {right}"


def _declare_operator(name: str, operator: str, *, compares: bool) -> None:
    left, right = _number("(p)[1]"), _number("(p)[2]")
    real = _operated(operator, f"({left})", f"({right})")
    if compares:
        made = f"to_json({real})"
    elif operator in ("/", "pow"):
        made = _json_of_real(f"TRY({real})")
    else:
        whole = f"to_json(TRY(CAST((p)[1] AS BIGINT) {operator} CAST((p)[2] AS BIGINT)))"
        made = f"CASE WHEN {_is_whole('(p)[1]')} AND {_is_whole('(p)[2]')} THEN {whole} ELSE {_json_of_real(real)} END"

    @custom(f"series_{name}")
    def lower(lowering: ScalarLowering, invoke: plan.Invoke) -> sql.Expression:
        return _template(f"list_transform({{pairs}}, lambda p: {made})", pairs=_pairs(lowering, invoke))


for _name, _operator in ARITHMETIC.items():
    _declare_operator(_name, _operator, compares=False)
for _name, _operator in COMPARISONS.items():
    _declare_operator(_name, _operator, compares=True)


def _declare_function(name: str, function: str) -> None:
    real = _json_of_real(f"CAST(TRY({function}({_number('e')})) AS DOUBLE)")
    keeps_whole = name in ("abs", "sign")
    whole = f"to_json(CAST(TRY({function}(CAST(e AS BIGINT))) AS BIGINT))"
    made = f"CASE WHEN {_is_whole('e')} THEN {whole} ELSE {real} END" if keeps_whole else real

    @custom(f"series_{name}")
    def lower(lowering: ScalarLowering, invoke: plan.Invoke) -> sql.Expression:
        return _template(f"list_transform({{list}}, lambda e: {made})", list=json_list(lowering, invoke.arguments[0]))


for _name, _function in FUNCTIONS_OF_ONE.items():
    _declare_function(_name, _function)


def _numbers(list_: sql.Expression) -> sql.Expression:
    """The elements as reals; NULL where one is no number."""
    numbers = _template(f"list_transform({{list}}, lambda e: {_number('e')})", list=list_)
    return _template("CASE WHEN list_position({numbers}, NULL) IS NULL THEN {numbers} END", numbers=numbers)


@custom("series_product")
def _series_product(lowering: ScalarLowering, invoke: plan.Invoke) -> sql.Expression:
    return _template("list_product({list})", list=_numbers(json_list(lowering, invoke.arguments[0])))


@custom("series_magnitude")
def _series_magnitude(lowering: ScalarLowering, invoke: plan.Invoke) -> sql.Expression:
    return _template("sqrt(list_sum(list_transform({list}, lambda x: x * x)))", list=_numbers(json_list(lowering, invoke.arguments[0])))


def _declare_fold(name: str, template: str) -> None:
    @custom(f"series_{name}")
    def lower(lowering: ScalarLowering, invoke: plan.Invoke) -> sql.Expression:
        left, right = (_numbers(json_list(lowering, argument)) for argument in invoke.arguments)
        return _template(f"CASE WHEN len({{left}}) = len({{right}}) THEN {template} END", left=left, right=right)


_DOT = "list_sum(list_transform(list_zip({left}, {right}), lambda p: (p)[1] * (p)[2]))"


def _squares(side: str) -> str:
    return f"list_sum(list_transform({side}, lambda x: x * x))"


_declare_fold("dot_product", _DOT)


def _spread(side: str) -> str:
    return f"({_squares(side)} * len({side}) - pow(list_sum({side}), 2))"


_declare_fold("cosine_similarity", f"{_DOT} / nullif(sqrt({_squares('{left}')} * {_squares('{right}')}), 0)")
_declare_fold(
    "pearson_correlation",
    f"({_DOT} * len({{left}}) - list_sum({{left}}) * list_sum({{right}})) / nullif(sqrt({_spread('{left}')} * {_spread('{right}')}), 0)",
)


def _declare_fill(name: str, found: str) -> None:
    @custom(f"series_fill_{name}")
    def lower(lowering: ScalarLowering, invoke: plan.Invoke) -> sql.Expression:
        series, *given = invoke.arguments
        value = lowering.ordered_json(given.pop(0)) if name == "const" else sql.NULL
        missing = f"coalesce({_number('x')} = {{placeholder}}, FALSE)" if given else "x IS NULL"
        present = f"lambda x: NOT ({missing})"
        template = (
            f"list_transform({{list}}, lambda e, i: CASE WHEN {missing.replace('x IS', 'e IS').replace(_number('x'), _number('e'))}"
            f" THEN coalesce({found.replace('PRESENT', present)}, e) ELSE e END)"
        )
        holes = {"list": json_list(lowering, series), "value": value, **({"placeholder": lowering.lower(given[0])} if given else {})}
        return sql.let("elements", holes["list"], lambda elements: sql.Template(template, {**holes, "list": elements}), costly=True)


_declare_fill("forward", "list_filter({list}[1:i], PRESENT)[-1]")
_declare_fill("backward", "list_filter({list}[i:], PRESENT)[1]")
_declare_fill("const", "{value}")
