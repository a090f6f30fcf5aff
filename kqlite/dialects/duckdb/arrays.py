"""More functions of arrays and bags. An array is a list in the form of its shape, or a list of JSON; one that is none is NULL."""

from collections.abc import Callable

from kqlite.dialects import sql
from kqlite.dialects.duckdb.dynamics import bag_of, json_list, list_in
from kqlite.dialects.scalars import ScalarLowering, custom
from kqlite.language import plan
from kqlite.language.functions.dynamics import array_form
from kqlite.language.schema import Array, Leaf
from kqlite.language.types import Type


def _template(template: str, /, **holes: sql.Expression) -> sql.Template:
    return sql.Template(template, holes)


def _form(invoke: plan.Invoke) -> Array:
    assert isinstance(invoke.form, Array)
    return invoke.form


# Moving elements


def _over(elements: sql.Expression, body: Callable[[sql.Expression], sql.Expression]) -> sql.Expression:
    """`body` of a list that it uses several times; NULL where the list is."""
    return sql.let(
        "elements",
        elements,
        lambda list_: _template("CASE WHEN {list} IS NOT NULL THEN {body} END", list=list_, body=body(list_)),
        costly=True,
    )


def _declare_rotation(name: str, sign: str) -> None:
    @custom(name)
    def lower(lowering: ScalarLowering, invoke: plan.Invoke) -> sql.Expression:
        array, count = invoke.arguments
        places = lowering.lower(count)
        # The remainder is that of a length which is not 0.
        template = (
            f"list_transform([({sign}({{count}} % greatest(len({{list}}), 1)) + len({{list}})) % greatest(len({{list}}), 1)],"
            " lambda k: CASE WHEN k IS NOT NULL THEN list_concat(list_slice({list}, k + 1, len({list})), list_slice({list}, 1, k)) END)[1]"
        )
        return _over(list_in(lowering, array, _form(invoke)), lambda elements: _template(template, list=elements, count=places))


_declare_rotation("array_rotate_left", "")
_declare_rotation("array_rotate_right", "-")

_LEFT = "list_resize(list_slice({list}, k + 1, len({list})), len({list}), {fill})"
_RIGHT = "list_reverse(list_resize(list_reverse(list_slice({list}, 1, len({list}) + k)), len({list}), {fill}))"


def _declare_shift(name: str, sign: str) -> None:
    @custom(name)
    def lower(lowering: ScalarLowering, invoke: plan.Invoke) -> sql.Expression:
        array, count, *fill = invoke.arguments
        holes = {"count": lowering.lower(count), "fill": lowering.ordered_json(fill[0]) if fill else sql.NULL}
        template = (
            "CASE WHEN {count} IS NOT NULL THEN"
            f" list_transform([{sign}greatest(least({{count}}, len({{list}})), -len({{list}}))],"
            f" lambda k: CASE WHEN k >= 0 THEN {_LEFT} ELSE {_RIGHT} END)[1] END"
        )
        return _over(list_in(lowering, array, _form(invoke)), lambda elements: sql.Template(template, {**holes, "list": elements}))


_declare_shift("array_shift_left", "")
_declare_shift("array_shift_right", "-")


@custom("array_split")
def _array_split(lowering: ScalarLowering, invoke: plan.Invoke) -> sql.Expression:
    """A position that is negative counts from the end; one beyond the array is its end."""
    array, positions = invoke.arguments
    if positions.type is Type.DYNAMIC:
        numbers = "list_transform({list}, lambda e: TRY_CAST(e ->> '$' AS BIGINT))"
        given: sql.Expression = _template(numbers, list=json_list(lowering, positions))
    else:
        given = sql.ListOf((lowering.lower(positions),))
    template = (
        "list_transform([list_transform({given}, lambda p:"
        " least(CASE WHEN p < 0 THEN greatest(len({list}) + p, 0) ELSE p END, len({list})))],"
        " lambda cuts: list_transform(list_zip(list_concat([0::BIGINT], cuts), list_append(cuts, len({list}))),"
        " lambda ends: to_json(list_slice({list}, (ends)[1] + 1, (ends)[2]))))[1]"
    )
    is_native = isinstance(array.form, Array) and isinstance(array.form.element, Leaf)
    elements = lowering.lower(array) if is_native else json_list(lowering, array)
    return _over(elements, lambda list_: _template(template, list=list_, given=given))


@custom("array_iff")
def _array_iff(lowering: ScalarLowering, invoke: plan.Invoke) -> sql.Expression:
    conditions, then, otherwise = invoke.arguments
    truth = (
        "CASE json_type(c) WHEN 'BOOLEAN' THEN c ->> '$' = 'true' WHEN 'UBIGINT' THEN TRY_CAST(c AS DOUBLE) <> 0"
        " WHEN 'BIGINT' THEN TRY_CAST(c AS DOUBLE) <> 0 WHEN 'DOUBLE' THEN TRY_CAST(c AS DOUBLE) <> 0 END"
    )
    template = f"list_transform({{conditions}}, lambda c, i: CASE {truth} WHEN TRUE THEN {{then}} WHEN FALSE THEN {{otherwise}} END)"
    holes = {"conditions": json_list(lowering, conditions), "then": _in_place(lowering, then), "otherwise": _in_place(lowering, otherwise)}
    return sql.Template(template, holes)


def _in_place(lowering: ScalarLowering, value: plan.Scalar) -> sql.Expression:
    """The element in place `i` of an array, or a value that is no array."""
    if value.type is not Type.DYNAMIC or isinstance(value.form, Leaf):
        return lowering.ordered_json(value)
    if isinstance(value.form, Array):
        return _template("{list}[i]", list=json_list(lowering, value))
    holes = {"list": json_list(lowering, value), "json": lowering.ordered_json(value)}
    return sql.Template("CASE WHEN json_type({json}) = 'ARRAY' THEN {list}[i] ELSE {json} END", holes)


# Sets


def _of_both(lowering: ScalarLowering, invoke: plan.Invoke, template: str) -> sql.Expression:
    """A template of `left` and `right`, in the form of scalars that both have, or as JSON."""
    form = array_form(invoke.arguments)
    left, right = (list_in(lowering, argument, form) for argument in invoke.arguments)

    def with_left(first: sql.Expression) -> sql.Expression:
        return sql.let("right_set", right, lambda second: _template(template, left=first, right=second), costly=True)

    return sql.let("left_set", left, with_left, costly=True)


@custom("set_equals")
def _set_equals(lowering: ScalarLowering, invoke: plan.Invoke) -> sql.Expression:
    template = (
        "len(list_filter({left}, lambda m: coalesce(list_position({right}, m), 0) = 0))"
        " + len(list_filter({right}, lambda m: coalesce(list_position({left}, m), 0) = 0)) = 0"
    )
    return _of_both(lowering, invoke, template)


_DISTINCT_IN = "len(list_filter({SIDE}, lambda m, n: list_position({SIDE}, m) = n))"


@custom("jaccard_index")
def _jaccard_index(lowering: ScalarLowering, invoke: plan.Invoke) -> sql.Expression:
    """The engine's own functions of sets are twenty times slower."""
    common = "len(list_filter({left}, lambda m, n: list_position({left}, m) = n AND list_position({right}, m) IS NOT NULL))"
    left, right = (_DISTINCT_IN.replace("SIDE", side) for side in ("left", "right"))
    index = f"list_transform([{common}], lambda common: common / nullif({left} + {right} - common, 0))[1]"
    return _of_both(lowering, invoke, f"CASE WHEN {{left}} IS NOT NULL AND {{right}} IS NOT NULL THEN {index} END")


# Bags and documents


@custom("bag_zip")
def _bag_zip(lowering: ScalarLowering, invoke: plan.Invoke) -> sql.Expression:
    """The first of two equal names stays."""
    keys, values = (json_list(lowering, argument) for argument in invoke.arguments)
    template = (
        "list_transform(list_filter(list_transform({keys}, lambda key, i: {'key': key, 'place': i}),"
        " lambda e: json_type((e).key) = 'VARCHAR' AND list_position({keys}, (e).key) = (e).place),"
        " lambda e: {'k': (e).key ->> '$', 'v': coalesce({values}[(e).place], CAST('null' AS JSON))})"
    )
    return bag_of(_template(f"CASE WHEN {{values}} IS NOT NULL THEN {template} END", keys=keys, values=values))


_MEMBERS = (
    "CASE json_type((node).json) WHEN 'OBJECT' THEN list_transform(json_keys((node).json), lambda k: {'path': (node).path || '[''' || k"
    " || ''']', 'json': json_extract((node).json, '/' || replace(replace(k, '~', '~0'), '/', '~1'))})"
    " WHEN 'ARRAY' THEN list_transform(CAST(json_extract((node).json, '$[*]') AS JSON[]),"
    " lambda e: {'path': (node).path || '[0]', 'json': e})"
    " ELSE [] END"
)


@custom("treepath")
def _treepath(lowering: ScalarLowering, invoke: plan.Invoke) -> sql.Expression:
    """Level by level; a parent's path is a prefix of its members', so that sorting puts each behind its parent."""
    template = (
        "list_sort(list_distinct((list_reduce(generate_series(1, 32), lambda state, level: list_transform([flatten(list_transform("
        "(state).open, lambda node: " + _MEMBERS + "))], lambda found: {'all': list_concat((state).all,"
        " list_transform(found, lambda node: (node).path)), 'open': found})[1],"
        " {'all': CAST([] AS VARCHAR[]), 'open': [{'path': '', 'json': {json}}]})).all))"
    )
    return _template(f"CASE WHEN {{json}} IS NOT NULL THEN {template} END", json=lowering.json(invoke.arguments[0]))
