"""Functions of arrays and bags.

An array is a list, of native scalars where the shape says so, else of JSON; a bag is a struct or JSON text. Bags are taken apart into
entries, a list of structs of key and value, and put together again as text.
"""

import json

from kqlite.dialects import conversions, document_text, sql
from kqlite.dialects.duckdb.strings import constant_number
from kqlite.dialects.scalars import ScalarLowering, custom, json_path
from kqlite.language import plan
from kqlite.language.functions.dynamics import names_in_order
from kqlite.language.schema import ORDERED_JSON, Array, JsonLeaf, Leaf, Object, Shape
from kqlite.language.types import Type

MOST_ELEMENTS = 1_048_576


def _template(template: str, /, **holes: sql.Expression) -> sql.Template:
    return sql.Template(template, holes)


# Arrays


def list_in(lowering: ScalarLowering, array: plan.Scalar, form: Array) -> sql.Expression:
    """The elements of an array in a form: its own, or JSON. NULL for anything that is no array."""
    if array.form == form:
        return lowering.lower(array)
    return json_list(lowering, array)


def json_list(lowering: ScalarLowering, array: plan.Scalar) -> sql.Expression:
    """The elements of an array as a list of JSON that is ordered; a null is NULL."""
    if isinstance(array.form, Array):
        value = lowering.lower(array)
        if array.form.element == ORDERED_JSON:
            return value
        element = sql.Variable("e")
        text = document_text.text(element, array.form.element, depth=1)
        return sql.call("list_transform", value, sql.Lambda(element.name, sql.Cast(text, "JSON")))
    if isinstance(array.form, Leaf | Object):
        return sql.Cast(sql.NULL, "JSON[]")
    # The cast is for a NULL that the engine knows ahead, of which `json_extract` makes no list.
    elements = "list_transform(CAST(json_extract({json}, '$[*]') AS JSON[]), lambda e: nullif(e, 'null'))"
    template = f"CASE WHEN json_type({{json}}) = 'ARRAY' THEN {elements} END"
    return _template(template, json=lowering.ordered_json(array))


def _array_form(invoke: plan.Invoke) -> Array:
    assert isinstance(invoke.form, Array)
    return invoke.form


def _element_form(scalar: plan.Scalar, sought: plan.Scalar) -> Shape:
    """The form in which the elements of an array are compared with a value: JSON, unless both are native or an element is text."""
    element = scalar.form.element if isinstance(scalar.form, Array) else None
    is_known = sought.type is not Type.DYNAMIC or isinstance(sought.form, Leaf | Array | Object)
    return element if isinstance(element, Leaf) and (is_known or element.type is Type.STRING) else ORDERED_JSON


def _as_element(lowering: ScalarLowering, value: plan.Scalar, element: Shape) -> sql.Expression | None:
    """A value as it would stand in an array of such elements; None where it cannot."""
    if not isinstance(element, Leaf):
        return lowering.ordered_json(value)
    native = value.form if value.type is Type.DYNAMIC else Leaf(value.type)
    if isinstance(native, Leaf) and native.type.is_numeric and element.type.is_numeric:
        return lowering.lower(value)
    if element.type is Type.STRING and value.type is not Type.BOOL and not value.type.is_numeric:
        return lowering.plain_text(value)
    if element.type is Type.BOOL and isinstance(native, Leaf) and native.type is Type.BOOL:
        return lowering.lower(value)
    return lowering.ordered_json(value) if isinstance(native, JsonLeaf) else None


@custom("array_length")
def _array_length(lowering: ScalarLowering, invoke: plan.Invoke) -> sql.Expression:
    array = invoke.arguments[0]
    if isinstance(array.form, Array):
        return sql.call("len", lowering.lower(array))
    if isinstance(array.form, Leaf | Object):
        return sql.Cast(sql.NULL, "BIGINT")
    # DuckDB answers 0 for an object, where KQL answers null.
    return _template("CASE WHEN json_type({json}) = 'ARRAY' THEN CAST(json_array_length({json}) AS BIGINT) END", json=lowering.json(array))


@custom("array_concat")
def _array_concat(lowering: ScalarLowering, invoke: plan.Invoke) -> sql.Expression:
    lists = [list_in(lowering, argument, _array_form(invoke)) for argument in invoke.arguments]
    return lists[0] if len(lists) == 1 else sql.call("list_concat", *lists)


@custom("array_slice")
def _array_slice(lowering: ScalarLowering, invoke: plan.Invoke) -> sql.Expression:
    array, start, end = invoke.arguments
    elements = list_in(lowering, array, _array_form(invoke))
    return sql.call("list_slice", elements, _from_one(lowering, start), _from_one(lowering, end))


def _from_one(lowering: ScalarLowering, position: plan.Scalar) -> sql.Expression:
    """A position counted from 1, or from the end where it is negative."""
    number = constant_number(position)
    if number is not None:
        bounded = max(min(number, 2_147_483_646), -2_147_483_647)
        return sql.Literal(bounded + 1 if bounded >= 0 else bounded)
    return _template("CASE WHEN {i} >= 0 THEN least({i}, 2147483646) + 1 ELSE greatest({i}, -2147483647) END", i=lowering.lower(position))


@custom("array_index_of")
def _array_index_of(lowering: ScalarLowering, invoke: plan.Invoke) -> sql.Expression:
    array, value, *window = invoke.arguments
    element = _element_form(array, value)
    sought = _as_element(lowering, value, element)
    elements = list_in(lowering, array, Array(element))
    if sought is None:
        return _template("CASE WHEN {list} IS NOT NULL THEN CAST(-1 AS BIGINT) END", list=elements)
    if window:
        return _index_within(elements, sought, [lowering.lower(argument) for argument in window])
    return _template("CASE WHEN {list} IS NOT NULL THEN coalesce(list_position({list}, {value}), 0) - 1 END", list=elements, value=sought)


def _index_within(elements: sql.Expression, sought: sql.Expression, window: list[sql.Expression]) -> sql.Expression:
    """window: where to begin, how many elements to look at, and which occurrence is meant; the last two may be missing."""
    start = window[0]
    length = window[1] if len(window) > 1 else sql.Literal(-1)
    occurrence = window[2] if len(window) > 2 else sql.Literal(1)
    first = _template(
        "CASE WHEN {start} < 0 THEN greatest(len({list}) + {start}, 0) ELSE least({start}, len({list})) END", start=start, list=elements
    )
    last = _template(
        "CASE WHEN {length} < 0 THEN len({list}) ELSE least({first} + least({length}, len({list})), len({list})) END - 1",
        length=length,
        list=elements,
        first=first,
    )
    template = (
        "CASE WHEN {list} IS NOT NULL THEN"
        " coalesce(list_filter(generate_series(CAST({first} AS BIGINT), {last}), lambda i: {list}[i + 1] = {value})[{occurrence}], -1) END"
    )
    return _template(template, list=elements, first=first, last=last, value=sought, occurrence=occurrence)


@custom("set_has_element")
def _set_has_element(lowering: ScalarLowering, invoke: plan.Invoke) -> sql.Expression:
    array, value = invoke.arguments
    element = _element_form(array, value)
    sought = _as_element(lowering, value, element)
    elements = list_in(lowering, array, Array(element))
    return _template("{list} IS NULL AND NULL", list=elements) if sought is None else sql.call("list_contains", elements, sought)


@custom("array_sum")
def _array_sum(lowering: ScalarLowering, invoke: plan.Invoke) -> sql.Expression:
    array = invoke.arguments[0]
    if isinstance(array.form, Array) and isinstance(array.form.element, Leaf) and array.form.element.type.is_numeric:
        template = (
            "CASE WHEN {list} IS NOT NULL AND list_position({list}, NULL) IS NULL THEN CAST(coalesce(list_sum({list}), 0) AS DOUBLE) END"
        )
        return _template(template, list=lowering.lower(array))
    template = (
        "CASE WHEN len(list_filter({list}, lambda e: coalesce(json_type(e), '') NOT IN ('UBIGINT', 'BIGINT', 'DOUBLE'))) = 0"
        " THEN coalesce(list_sum(list_transform({list}, lambda e: TRY_CAST(e AS DOUBLE))), 0::DOUBLE) END"
    )
    return _template(template, list=json_list(lowering, array))


def _declare_sort(name: str, direction: str) -> None:
    sign = 1 if direction == "ASC" else -1

    @custom(name)
    def lower(lowering: ScalarLowering, invoke: plan.Invoke) -> sql.Expression:
        array, *others = invoke.arguments
        flag = others[-1] if others and others[-1].type is Type.BOOL else None
        nulls_last = not (isinstance(flag, plan.Constant) and flag.value is False)
        alike = others[0] if others and others[0].type is Type.DYNAMIC else None
        form = _array_form(invoke)
        if alike is None and isinstance(form.element, Leaf):
            nulls = "NULLS LAST" if nulls_last else "NULLS FIRST"
            return sql.call("list_sort", list_in(lowering, array, form), sql.Literal(direction), sql.Literal(nulls))
        # Numbers go first, then strings, then the rest.
        kind = (
            f"CASE WHEN json_type(e) IN ('UBIGINT', 'BIGINT', 'DOUBLE') THEN {sign} WHEN json_type(e) = 'VARCHAR' THEN {2 * sign}"
            f" ELSE CASE WHEN e IS NULL THEN {(9 if nulls_last else -9) * sign} ELSE {3 * sign} END END"
        )
        kept = "e" if alike is None else "{alike}[i]"
        template = (
            f"list_transform(list_sort(list_transform({{list}}, lambda e, i: {{'kind': {kind}, 'number': TRY_CAST(e ->> '$' AS DOUBLE),"
            f" 'text': e ->> '$', 'place': {sign} * i, 'element': {kept}}}), '{direction}'), lambda k: (k).element)"
        )
        if alike is None:
            return _template(template, list=json_list(lowering, array))
        whole = f"CASE WHEN len({{list}}) = len({{alike}}) THEN {template} END"
        return _template(whole, list=json_list(lowering, array), alike=list_in(lowering, alike, form))


_declare_sort("array_sort_asc", "ASC")
_declare_sort("array_sort_desc", "DESC")


@custom("array_reverse")
def _array_reverse(lowering: ScalarLowering, invoke: plan.Invoke) -> sql.Expression:
    return sql.call("list_reverse", list_in(lowering, invoke.arguments[0], _array_form(invoke)))


# Sets


def _distinct(elements: sql.Expression) -> sql.Expression:
    """Without what has come before; `list_distinct` would lose the order, and nulls."""
    return _template("list_filter({list}, lambda s, n: list_position({list}, s) = n)", list=elements)


@custom("set_union")
def _set_union(lowering: ScalarLowering, invoke: plan.Invoke) -> sql.Expression:
    return _distinct(_array_concat(lowering, invoke))


@custom("set_intersect")
def _set_intersect(lowering: ScalarLowering, invoke: plan.Invoke) -> sql.Expression:
    first, *others = (list_in(lowering, argument, _array_form(invoke)) for argument in invoke.arguments)
    element = sql.Variable("m")
    tests = [sql.call("list_contains", other, element) for other in others]
    return _distinct(sql.call("list_filter", first, sql.Lambda(element.name, sql.all_of(tests))))


@custom("set_difference")
def _set_difference(lowering: ScalarLowering, invoke: plan.Invoke) -> sql.Expression:
    first, *others = (list_in(lowering, argument, _array_form(invoke)) for argument in invoke.arguments)
    element = sql.Variable("m")
    tests = [_template("NOT coalesce(list_contains({list}, {e}), FALSE)", list=other, e=element) for other in others]
    return _distinct(sql.call("list_filter", first, sql.Lambda(element.name, sql.all_of(tests))))


# Making arrays


@custom("pack_array")
def _pack_array(lowering: ScalarLowering, invoke: plan.Invoke) -> sql.Expression:
    return sql.ListOf(tuple(lowering.ordered_json(argument) for argument in invoke.arguments))


@custom("zip")
def _zip(lowering: ScalarLowering, invoke: plan.Invoke) -> sql.Expression:
    together = sql.call("list_zip", *(json_list(lowering, argument) for argument in invoke.arguments))
    row = sql.ListOf(tuple(_template(f"(z)[{place}]") for place in range(1, len(invoke.arguments) + 1)))
    return sql.call("list_transform", together, sql.Lambda("z", sql.call("to_json", row)))


@custom("range")
def _range(lowering: ScalarLowering, invoke: plan.Invoke) -> sql.Expression:
    start, stop, *given = invoke.arguments
    default = {Type.LONG: sql.Literal(1), Type.REAL: sql.Literal(1.0)}.get(start.type, sql.Literal(36_000_000_000))
    step: sql.Expression = lowering.lower(given[0]) if given else default
    if start.type is not Type.REAL:
        step = sql.Cast(step, "BIGINT")
    first, last = lowering.lower(start), lowering.lower(stop)
    if start.type is Type.REAL:
        template = (
            "CASE WHEN {step} <> 0 AND NOT isnan({last} - {first} + {step}) THEN"
            " list_transform(generate_series(0, CAST(greatest(least(floor(({last} - {first}) / {step}), {most}), -1)"
            " AS BIGINT)), lambda r: {first} + r * {step}) END"
        )
        return _template(template, first=first, last=last, step=step, most=sql.Literal(MOST_ELEMENTS - 1))
    # The count is bounded, not the last value: the engine computes both branches of a CASE over constants ahead.
    template = (
        "CASE WHEN {step} = 0 OR {first} IS NULL OR {last} IS NULL OR {step} IS NULL THEN NULL"
        " WHEN ({last}::HUGEINT - {first}) * sign({step}) < 0 THEN []"
        " ELSE list_transform(generate_series(0, CAST(least(({last}::HUGEINT - {first}) // {step}, {most}) AS BIGINT)),"
        " lambda r: CAST({first} + r::HUGEINT * {step} AS BIGINT)) END"
    )
    ticks = _template(template, first=first, last=last, step=step, most=sql.Literal(MOST_ELEMENTS - 1))
    if start.type is Type.LONG:
        return ticks
    return sql.call("list_transform", ticks, sql.Lambda("r", conversions.to_text(sql.Variable("r"), start.type)))


@custom("repeat")
def _repeat(lowering: ScalarLowering, invoke: plan.Invoke) -> sql.Expression:
    value, count = invoke.arguments
    template = f"CASE WHEN {{n}} >= 0 THEN list_transform(generate_series(1, least({{n}}, {MOST_ELEMENTS})), lambda r: {{value}}) END"
    return _template(template, n=lowering.lower(count), value=lowering.ordered_json(value))


# Bags


def members(lowering: ScalarLowering, bag: plan.Scalar) -> list[tuple[str, sql.Expression]]:
    """The members of a bag whose shape is known, and the value of each."""
    assert isinstance(bag.form, Object)
    hot = bag.hot if isinstance(bag, plan.Document) else {}
    value = lowering.lower(bag)
    found: list[tuple[str, sql.Expression]] = []
    for member in bag.form.members:
        if member.held_in is None:
            found.append((member.name, sql.Field(value, member.name)))
        elif (member.name,) in hot:
            found.append((member.name, lowering.lower(hot[(member.name,)])))
    return found


@custom("bag_keys")
def _bag_keys(lowering: ScalarLowering, invoke: plan.Invoke) -> sql.Expression:
    bag = invoke.arguments[0]
    if isinstance(bag.form, Object):
        names = [sql.Case(((sql.IsNull(value, negated=True), sql.Literal(name)),)) for name, value in members(lowering, bag)]
        present = _template("list_filter({names}, lambda k: k IS NOT NULL)", names=sql.Cast(sql.ListOf(tuple(names)), "VARCHAR[]"))
        return sql.Case(((sql.IsNull(lowering.lower(bag), negated=True), present),))
    if isinstance(bag.form, Leaf | Array):
        return sql.Cast(sql.NULL, "VARCHAR[]")
    return _template("CASE WHEN json_type({json}) = 'OBJECT' THEN json_keys({json}) END", json=lowering.json(bag))


@custom("bag_has_key")
def _bag_has_key(lowering: ScalarLowering, invoke: plan.Invoke) -> sql.Expression:
    bag, key = invoke.arguments
    path = str(key.value) if isinstance(key, plan.Constant) else ""
    if path.startswith("$"):
        test = _template("json_exists({json}, {path})", json=lowering.json(bag), path=sql.Literal(path))
        return _template("CASE WHEN json_type({json}) = 'OBJECT' THEN {test} END", json=lowering.json(bag), test=test)
    keys = _bag_keys(lowering, plan.Invoke(invoke.function, (bag,), Type.DYNAMIC))
    return sql.call("list_contains", keys, lowering.lower(key))


_MEMBER = "json_extract({json}, '/' || replace(replace(k, '~', '~0'), '/', '~1'))"
_ENTRIES = "CASE WHEN json_type({json}) = 'OBJECT' THEN list_transform(json_keys({json}), lambda k: {'k': k, 'v': " + _MEMBER + "}) END"
_BAG = (
    "CAST('{' || array_to_string(list_transform({entries}, lambda b: CAST(to_json((b).k) AS VARCHAR) || ':'"
    " || CAST((b).v AS VARCHAR)), ',')"
    " || '}' AS JSON)"
)


def entries(document: sql.Expression) -> sql.Expression:
    """The members of a bag in JSON as a list of structs of `k` and `v`; NULL for anything else."""
    return _template(_ENTRIES, json=document)


def bag_of(list_of_entries: sql.Expression) -> sql.Expression:
    """The bag that has these members."""
    return _template(_BAG, entries=list_of_entries)


@custom("bag_merge")
def _bag_merge(lowering: ScalarLowering, invoke: plan.Invoke) -> sql.Expression:
    """The first of each name stays. (`json_merge_patch` lets the last win, takes nulls for deletions, and merges members too.)"""
    lists = [entries(lowering.json(argument)) for argument in invoke.arguments]
    together = sql.call("list_concat", *lists)
    first = _template("list_filter({all}, lambda e, n: list_position(list_transform({all}, lambda o: (o).k), (e).k) = n)", all=together)
    return bag_of(first)


def _path(key: str) -> list[str]:
    """The names in a key such as `$.a.b`; any other key is one name."""
    return key[2:].split(".") if key.startswith("$.") else [key]


@custom("bag_remove_keys")
def _bag_remove_keys(lowering: ScalarLowering, invoke: plan.Invoke) -> sql.Expression:
    bag, keys = invoke.arguments
    if isinstance(keys, plan.Constant):
        read = json.loads(str(keys.value)) if keys.value is not None else []
        listed = read if isinstance(read, list) else []
        return sql.let("bag", lowering.json(bag), lambda document: _without_keys(document, [str(key) for key in listed]))
    names = _template("list_transform({list}, lambda n: n ->> '$')", list=json_list(lowering, keys))
    kept = _template(
        "list_filter({entries}, lambda e: NOT coalesce(list_contains({names}, (e).k), FALSE))",
        entries=entries(lowering.json(bag)),
        names=names,
    )
    return bag_of(kept)


def _without_keys(document: sql.Expression, keys: list[str]) -> sql.Expression:
    removed = document
    for key in keys:
        removed = _without(removed, _path(key))
    return _template("CASE WHEN json_type({json}) = 'OBJECT' THEN {removed} END", json=document, removed=removed)


def _without(document: sql.Expression, path: list[str]) -> sql.Expression:
    """A null in a merge patch takes a member away; it would make the objects around it, were they not there."""
    patch: object = None
    for name in reversed(path):
        patch = {name: patch}
    holes = {"json": document, "patch": sql.Literal(json.dumps(patch, ensure_ascii=False)), "path": sql.Literal(json_path(tuple(path)))}
    return sql.Template("CASE WHEN json_exists({json}, {path}) THEN json_merge_patch({json}, {patch}) ELSE {json} END", holes)


@custom("bag_set_key")
def _bag_set_key(lowering: ScalarLowering, invoke: plan.Invoke) -> sql.Expression:
    bag, key, value = invoke.arguments
    document = lowering.json(bag)
    path = _path(str(key.value)) if isinstance(key, plan.Constant) else []
    names: list[sql.Expression] = [sql.Literal(name) for name in path] or [lowering.lower(key)]
    new = sql.call("coalesce", lowering.json(value), sql.Cast(sql.Literal("null"), "JSON"))
    return bag_of(_with(entries(document), names, new))


def _with(members_: sql.Expression, names: list[sql.Expression], value: sql.Expression) -> sql.Expression:
    """Entries with the member that `names` leads to set: in its place where it is there, else at the end."""
    name, *inner = names
    element = f"e{len(inner)}"

    def below(outer: sql.Expression) -> sql.Expression:
        return bag_of(_with(outer, inner, value)) if inner else value

    nothing = _template("CAST([] AS STRUCT(k VARCHAR, v JSON)[])")
    there = sql.call("coalesce", entries(_template(f"({element}).v")), nothing)
    holes = {"entries": members_, "key": name, "changed": below(there), "new": below(nothing)}
    template = (
        f"list_concat(list_transform({{entries}}, lambda {element}:"
        f" CASE WHEN ({element}).k = {{key}} THEN {{'k': ({element}).k, 'v': {{changed}}}} ELSE {element} END),"
        f" CASE WHEN len(list_filter({{entries}}, lambda {element}: ({element}).k = {{key}})) = 0"
        " THEN [{'k': {key}, 'v': {new}}] END)"
    )
    return sql.Template(template, holes)


@custom("bag_pack")
def _bag_pack(lowering: ScalarLowering, invoke: plan.Invoke) -> sql.Expression:
    pairs = invoke.arguments
    given: list[sql.Expression] = []
    for place in names_in_order(pairs) or range(0, len(pairs), 2):
        key = lowering.plain_text(pairs[place])
        given += [sql.or_empty(key) if pairs[place].nullable else key, lowering.json(pairs[place + 1])]
    return sql.call("json_object", *given)


@custom("pack_all")
def _pack_all(lowering: ScalarLowering, invoke: plan.Invoke) -> sql.Expression:
    """Arguments: whether null and empty ones are left out, then name and value of each column."""
    skips, *pairs = invoke.arguments
    packed = [(pairs[place], pairs[place + 1]) for place in names_in_order(pairs) or ()]
    if not (isinstance(skips, plan.Constant) and skips.value is True):
        return sql.call("json_object", *(part for name, value in packed for part in (lowering.lower(name), lowering.json(value))))
    texts: list[sql.Expression] = []
    for name, value in packed:
        assert isinstance(name, plan.Constant)
        text = sql.Cast(lowering.json(value), "VARCHAR")
        # An empty string leaves nothing; what a concatenation with NULL leaves, `concat_ws` passes over.
        filled = sql.call("nullif", text, sql.Literal('""'))
        texts.append(sql.operation("||", sql.Literal(document_text.key_text(str(name.value))), filled))
    return sql.Cast(sql.operation("||", sql.Literal("{"), sql.call("concat_ws", sql.Literal(","), *texts), sql.Literal("}")), "JSON")


# Kinds and text


@custom("gettype")
def _gettype(lowering: ScalarLowering, invoke: plan.Invoke) -> sql.Expression:
    value = invoke.arguments[0]
    if value.type is not Type.DYNAMIC:
        return sql.Literal(str(value.type))
    if isinstance(value.form, JsonLeaf | None):
        template = (
            "CASE json_type({json}) WHEN 'ARRAY' THEN 'array' WHEN 'OBJECT' THEN 'dictionary' WHEN 'VARCHAR' THEN 'string'"
            " WHEN 'BOOLEAN' THEN 'bool' WHEN 'UBIGINT' THEN 'long' WHEN 'BIGINT' THEN 'long' WHEN 'DOUBLE' THEN 'double' ELSE 'null' END"
        )
        return _template(template, json=lowering.json(value))
    match value.form:
        case Array():
            name = "array"
        case Leaf():
            name = "double" if value.form.type is Type.REAL else str(value.form.type)
        case _:
            name = "dictionary"
    return sql.Case(((sql.IsNull(lowering.lower(value)), sql.Literal("null")),), sql.Literal(name))


@custom("dynamic_to_json")
def _dynamic_to_json(lowering: ScalarLowering, invoke: plan.Invoke) -> sql.Expression:
    return sql.or_empty(sql.Cast(lowering.ordered_json(invoke.arguments[0]), "VARCHAR"))
