"""Functions of strings that no template can say: positions from the end, regular expressions, conversions."""

import json

from kqlite.dialects import conversions, sql
from kqlite.dialects.duckdb.operators import texts_of
from kqlite.dialects.scalars import ScalarLowering, custom
from kqlite.language import plan
from kqlite.language.functions.regexes import group_count, rewritten
from kqlite.language.functions.strings import SIZE_UNITS, extracted_groups
from kqlite.language.types import Type

_LONGEST_TEXT = 2_147_483_646
"""A position or length beyond it is one beyond every text; the engine takes none that needs more than 32 bits."""


def constant_text(scalar: plan.Scalar) -> str:
    assert isinstance(scalar, plan.Constant)
    return str(scalar.value)


def constant_number(scalar: plan.Scalar) -> int | None:
    """The value of a constant whole number, None for anything else."""
    return scalar.value if isinstance(scalar, plan.Constant) and isinstance(scalar.value, int) else None


# Conversions


@custom("convert")
def _convert(lowering: ScalarLowering, invoke: plan.Invoke) -> sql.Expression:
    return lowering.lower(plan.Convert(invoke.arguments[0], invoke.type))


@custom("parse_json")
def _parse_json(lowering: ScalarLowering, invoke: plan.Invoke) -> sql.Expression:
    """Text that is no JSON is a string; the text `null` is null."""
    operand = invoke.arguments[0]
    if operand.type is Type.DYNAMIC:
        return lowering.lower(operand)
    return conversions.json_of_text(lowering.lower(operand))


@custom("tohex")
def _tohex(lowering: ScalarLowering, invoke: plan.Invoke) -> sql.Expression:
    """A negative number as its two's complement, in 32 bits for an int."""
    value, *width = invoke.arguments
    bits = "{x} & 4294967295" if value.type is Type.INT else "{x}"
    digits = sql.Template(f"lower(hex({bits}))", {"x": sql.Cast(lowering.lower(value), "BIGINT")})
    if width:
        padded = "lpad({digits}, CAST(greatest(length({digits}), least(coalesce({width}, 0), 16)) AS INTEGER), '0')"
        digits = sql.Template(padded, {"digits": digits, "width": lowering.lower(width[0])})
    return sql.or_empty(digits)


# Positions


@custom("substring")
def _substring(lowering: ScalarLowering, invoke: plan.Invoke) -> sql.Expression:
    text, start, *length = (lowering.lower(argument) for argument in invoke.arguments)
    position = constant_number(invoke.arguments[1])
    if position is not None and position >= 0:
        first = sql.Literal(min(position, _LONGEST_TEXT) + 1)
        taken: sql.Expression = sql.call("substring", text, first, *(_at_least_zero(lowering, invoke.arguments[2]) for _ in length))
        nullable = any(argument.nullable for argument in invoke.arguments[2:])
    else:
        # Before the start there is nothing; DuckDB would count a length from there.
        count = _at_least_zero(lowering, invoke.arguments[2]) if length else sql.call("length", text)
        template = (
            f"CASE WHEN {{start}} >= 0 THEN substring({{text}}, least({{start}}, {_LONGEST_TEXT}) + 1, {{count}})"
            " WHEN length({text}) + {start} >= 0 THEN substring({text}, length({text}) + {start} + 1, {count}) ELSE '' END"
        )
        taken = sql.Template(template, {"text": text, "start": start, "count": count})
        nullable = any(argument.nullable for argument in invoke.arguments[1:])
    return sql.or_empty(taken) if nullable else taken


def _at_least_zero(lowering: ScalarLowering, scalar: plan.Scalar) -> sql.Expression:
    value = constant_number(scalar)
    if value is not None:
        return sql.Literal(min(max(value, 0), _LONGEST_TEXT))
    return sql.Template(f"greatest(least({{n}}, {_LONGEST_TEXT}), 0)", {"n": lowering.lower(scalar)})


@custom("indexof")
def _indexof(lowering: ScalarLowering, invoke: plan.Invoke) -> sql.Expression:
    """The `occurrence`th of the positions at which `lookup` stands. The length is that of the part in which each is looked for: the part
    begins at `start`, and for a further occurrence behind the beginning of the one before. Null for a length or an occurrence that is none.
    """
    given = [lowering.lower(argument) for argument in invoke.arguments]
    text, lookup, start = given[:3]
    length = given[3] if len(given) > 3 else sql.Literal(-1)
    occurrence = given[4] if len(given) > 4 else sql.Literal(1)
    first = sql.Template(
        "CASE WHEN {start} < 0 THEN greatest(length({text}) + {start}, 0) ELSE {start} END", {"text": text, "start": start}
    )
    found = sql.Template(
        "list_filter(generate_series(CAST({first} AS BIGINT), length({text}) - length({lookup})), "
        "lambda i: substring({text}, i + 1, length({lookup})) = {lookup})",
        {"first": first, "text": text, "lookup": lookup},
    )
    template = (
        "list_transform([{found}], lambda p: CASE WHEN {occurrence} < 0 OR {length} < -1 THEN NULL"
        " WHEN {occurrence} > 0 AND ({length} < 0 OR len(list_filter(p[1:{occurrence}], "
        "lambda place, n: place + length({lookup}) > {length} + CASE WHEN n = 1 THEN {first} ELSE p[n - 1] + 1 END)) = 0) "
        "THEN coalesce(p[{occurrence}], -1) ELSE -1 END)[1]"
    )
    holes = {"found": found, "occurrence": occurrence, "length": length, "lookup": lookup, "first": first}
    return sql.Template(template, holes)


@custom("split_one")
def _split_one(lowering: ScalarLowering, invoke: plan.Invoke) -> sql.Expression:
    """An array of the one part, empty where there is none such."""
    text, delimiter, index = (lowering.lower(argument) for argument in invoke.arguments)
    position = constant_number(invoke.arguments[2])
    if position is not None and position < 0:
        return sql.Cast(sql.ListOf(()), "VARCHAR[]")
    place = f"least({{i}}, {_LONGEST_TEXT}) + 1"
    part = f"list_slice(string_split({{text}}, {{delimiter}}), {place}, {place})"
    template = f"CASE WHEN {{i}} >= 0 THEN {part} ELSE CAST([] AS VARCHAR[]) END"
    return sql.Template(template, {"text": text, "delimiter": delimiter, "i": index})


# Regular expressions


def _pattern(scalar: plan.Scalar) -> str:
    return rewritten(constant_text(scalar))


def _replaced(lowering: ScalarLowering, text: plan.Scalar, pattern: plan.Scalar, rewrite: plan.Scalar) -> sql.Expression:
    if isinstance(rewrite, plan.Constant):
        replacement: sql.Expression = sql.Literal(_rewrite(str(rewrite.value), group_count(constant_text(pattern))))
    else:
        replacement = lowering.lower(rewrite)
    replaced = sql.call("regexp_replace", lowering.lower(text), sql.Literal(_pattern(pattern)), replacement, sql.Literal("g"))
    # A rewrite that is made of data may ask for groups which are not there.
    return replaced if isinstance(rewrite, plan.Constant) else sql.call("coalesce", sql.call("TRY", replaced), lowering.lower(text))


def _rewrite(rewrite: str, groups: int) -> str:
    """The rewrite for RE2: a backslash before anything but a digit stands for itself, a group that is not there for nothing."""
    written: list[str] = []
    position = 0
    while position < len(rewrite):
        character, following = rewrite[position], rewrite[position + 1 : position + 2]
        position += 1
        if character != "\\":
            written.append(character)
        elif following.isascii() and following.isdigit():
            written.append(f"\\{following}" if int(following) <= groups else "")
            position += 1
        else:
            written.append("\\\\")
            position += following == "\\"
    return "".join(written)


@custom("replace_regex")
def _replace_regex(lowering: ScalarLowering, invoke: plan.Invoke) -> sql.Expression:
    text, pattern, rewrite = invoke.arguments
    return _replaced(lowering, text, pattern, rewrite)


@custom("replace")
def _replace(lowering: ScalarLowering, invoke: plan.Invoke) -> sql.Expression:
    pattern, rewrite, text = invoke.arguments
    return _replaced(lowering, text, pattern, rewrite)


def _trimmed(lowering: ScalarLowering, invoke: plan.Invoke, template: str) -> sql.Expression:
    pattern, text = invoke.arguments
    return sql.call(
        "regexp_replace", lowering.lower(text), sql.Literal(template.replace("REGEX", _pattern(pattern))), sql.Literal(""), sql.Literal("g")
    )


@custom("trim")
def _trim(lowering: ScalarLowering, invoke: plan.Invoke) -> sql.Expression:
    return _trimmed(lowering, invoke, "^(?:REGEX)|(?:REGEX)$")


@custom("trim_start")
def _trim_start(lowering: ScalarLowering, invoke: plan.Invoke) -> sql.Expression:
    return _trimmed(lowering, invoke, "^(?:REGEX)")


@custom("trim_end")
def _trim_end(lowering: ScalarLowering, invoke: plan.Invoke) -> sql.Expression:
    return _trimmed(lowering, invoke, "(?:REGEX)$")


@custom("extract")
def _extract(lowering: ScalarLowering, invoke: plan.Invoke) -> sql.Expression:
    pattern, group, text = invoke.arguments
    number = constant_number(group)
    if number is None or not 0 <= number <= group_count(constant_text(pattern)):
        return sql.Literal("")
    return sql.call("regexp_extract", lowering.lower(text), sql.Literal(_pattern(pattern)), sql.Literal(number))


@custom("extract_all")
def _extract_all(lowering: ScalarLowering, invoke: plan.Invoke) -> sql.Expression:
    """Lists of each group side by side; null where nothing matches."""
    groups = extracted_groups(invoke.arguments)
    text = lowering.lower(invoke.arguments[-1])
    pattern = sql.Literal(_pattern(invoke.arguments[0]))
    lists = [sql.call("regexp_extract_all", text, pattern, sql.Literal(group)) for group in groups]
    filled = [sql.Template("list_transform({list}, lambda m: coalesce(m, ''))", {"list": each}) for each in lists]
    if len(filled) == 1:
        return sql.Template("nullif({list}, [])", {"list": filled[0]})
    rows = [sql.Template("{list}[i]", {"list": each}) for each in filled]
    counted = sql.Template("generate_series(1, len({list}))", {"list": filled[0]})
    return sql.Template("nullif({rows}, [])", {"rows": sql.call("list_transform", counted, sql.Lambda("i", sql.ListOf(tuple(rows))))})


@custom("countof")
def _countof(lowering: ScalarLowering, invoke: plan.Invoke) -> sql.Expression:
    text, search, *kind = invoke.arguments
    if kind and constant_text(kind[0]) == "regex":
        pattern = sql.Literal(_pattern(search)) if isinstance(search, plan.Constant) else lowering.lower(search)
        return sql.call("len", sql.call("regexp_extract_all", lowering.lower(text), pattern))
    template = (
        "CASE WHEN {search} = '' THEN 0 ELSE"
        " len(list_filter(generate_series(1, length({text})), lambda i: substring({text}, i, length({search})) = {search})) END"
    )
    return sql.Template(template, {"text": lowering.lower(text), "search": lowering.lower(search)})


# Others


@custom("strcat_array")
def _strcat_array(lowering: ScalarLowering, invoke: plan.Invoke) -> sql.Expression:
    """Null elements count as empty; DuckDB would leave them out."""
    array, delimiter = invoke.arguments
    elements = texts_of(lowering, array)
    separator = lowering.lower(delimiter)
    certain = isinstance(array, plan.Invoke) and array.function.name == "split"
    if not certain:
        elements = sql.Template("list_transform({list}, lambda t: coalesce(t, ''))", {"list": elements})
    if isinstance(separator, sql.Literal):
        joined: sql.Expression = sql.call("array_to_string", elements, separator)
    else:
        # `array_to_string` takes a constant alone.
        fold = sql.Template("list_reduce({list}, lambda joined, t: joined || {separator} || t)", {"list": elements, "separator": separator})
        joined = sql.Template("CASE WHEN len({list}) > 0 THEN {fold} END", {"list": elements, "fold": fold})
    return sql.call("coalesce", joined, sql.Literal(""))


@custom("translate")
def _translate(lowering: ScalarLowering, invoke: plan.Invoke) -> sql.Expression:
    """DuckDB deletes what has no counterpart."""
    search, replacement, text = (lowering.lower(argument) for argument in invoke.arguments)
    template = (
        "translate({text}, {search}, CASE WHEN {replacement} = '' THEN '' ELSE rpad({replacement},"
        " CAST(greatest(length({search}), length({replacement})) AS INTEGER), right({replacement}, 1)) END)"
    )
    return sql.Template(template, {"text": text, "search": search, "replacement": replacement})


@custom("regex_quote")
def _regex_quote(lowering: ScalarLowering, invoke: plan.Invoke) -> sql.Expression:
    return _quoted(lowering.lower(invoke.arguments[0]))


def _quoted(text: sql.Expression) -> sql.Expression:
    special = sql.Literal(r"([\\.+*?()|\[\]{}^$#&~-])")
    return sql.call("regexp_replace", text, special, sql.Literal(r"\\\1"), sql.Literal("g"))


@custom("indexof_regex")
def _indexof_regex(lowering: ScalarLowering, invoke: plan.Invoke) -> sql.Expression:
    """What lies before the nth match: the parts between the matches, and the matches before it."""
    text, pattern, *rest = invoke.arguments
    given = [lowering.lower(argument) for argument in rest]
    start = given[0] if given else sql.Literal(0, wide=True)
    length = given[1] if len(given) > 1 else sql.Literal(-1)
    occurrence = given[2] if len(given) > 2 else sql.Literal(1)
    searched = (
        f"substring({{text}}, greatest(least({{start}}, {_LONGEST_TEXT}), 0) + 1,"
        f" CASE WHEN {{length}} < 0 THEN {_LONGEST_TEXT} ELSE least({{length}}, {_LONGEST_TEXT}) END)"
    )
    holes = {"text": lowering.lower(text), "start": start, "length": length, "occurrence": occurrence}
    part = sql.Template(searched, holes)
    if len(rest) < 3:
        return _first_match(part, _pattern(pattern), holes)
    found = sql.Template(
        "{'matches': regexp_extract_all({part}, {regex}), 'parts': string_split_regex({part}, {regex})}",
        {"part": part, "regex": sql.Literal(_pattern(pattern))},
    )
    template = (
        "CASE WHEN {start} < 0 OR {length} < -1 OR {occurrence} < 1 THEN NULL"
        " WHEN len(({found}).matches) < {occurrence} THEN CAST(-1 AS BIGINT)"
        " ELSE {start} + CAST(length(array_to_string(({found}).parts[1:{occurrence}], ''))"
        " + length(array_to_string(({found}).matches[1:{occurrence} - 1], '')) AS BIGINT) END"
    )
    return sql.Template(template, {**holes, "found": found})


def _first_match(part: sql.Expression, pattern: str, holes: dict[str, sql.Expression]) -> sql.Expression:
    """What lies before the first match, by one pattern more: splitting at all matches takes ten times as long."""
    template = (
        "CASE WHEN {start} < 0 OR {length} < -1 THEN NULL WHEN regexp_matches({part}, {regex})"
        " THEN {start} + length(regexp_extract({part}, {before}, 1)) ELSE -1 END"
    )
    patterns = {"regex": sql.Literal(pattern), "before": sql.Literal(f"^((?s:.*?))(?:{pattern})")}
    return sql.Template(template, {**holes, **patterns, "part": part})


_MARKS = [chr(code) for code in range(0xFDD0, 0xFDF0)]
"""Code points that are no characters, which stand for rewrites while a text is worked on."""


@custom("replace_strings")
def _replace_strings(lowering: ScalarLowering, invoke: plan.Invoke) -> sql.Expression:
    """Each pair replaces in what the pairs before it left, never in what they wrote."""
    text, lookups, rewrites = invoke.arguments
    pairs = _constant_pairs(lookups, rewrites)
    if pairs is None or len(pairs) > len(_MARKS) or any(mark in lookup for lookup, _ in pairs for mark in _MARKS):
        return _replaced_in_segments(lowering, invoke, lowering.lower(text))

    def replaced(once: sql.Expression) -> sql.Expression:
        marked = once
        for mark, (lookup, _) in zip(_MARKS, pairs, strict=False):
            marked = sql.call("replace", marked, sql.Literal(lookup), sql.Literal(mark))
        for mark, (_, rewrite) in zip(_MARKS, pairs, strict=False):
            marked = sql.call("replace", marked, sql.Literal(mark), sql.Literal(rewrite))
        slow = _replaced_in_segments(lowering, invoke, once)
        holds_mark = sql.call("regexp_matches", once, sql.Literal(f"[{_MARKS[0]}-{_MARKS[-1]}]"))
        return sql.Case(((holds_mark, slow),), marked)

    return sql.let("replaced_text", lowering.lower(text), replaced)


def _constant_pairs(lookups: plan.Scalar, rewrites: plan.Scalar) -> list[tuple[str, str]] | None:
    """What is to be replaced by what, where both arrays are constants that hold texts alone."""
    lists: list[list[str]] = []
    for argument in (lookups, rewrites):
        read = json.loads(str(argument.value)) if isinstance(argument, plan.Constant) and argument.value is not None else None
        if not isinstance(read, list) or not all(isinstance(item, str) for item in read):
            return None
        lists.append(read)
    filled = [*lists[1], *[""] * len(lists[0])]
    # A rewrite that holds a mark would be replaced itself.
    if any(mark in rewrite for rewrite in filled for mark in _MARKS):
        return None
    return [(lookup, rewrite) for lookup, rewrite in zip(lists[0], filled, strict=False) if lookup]


def _replaced_in_segments(lowering: ScalarLowering, invoke: plan.Invoke, text: sql.Expression) -> sql.Expression:
    """The text is a list of segments, which are replaced or not."""
    lookups, rewrites = invoke.arguments[1:]
    split = (
        "flatten(list_transform(string_split((s).t, (pair)[1]), lambda part, i: CASE WHEN i = 1 THEN [{'t': part, 'done': FALSE}]"
        " ELSE [{'t': coalesce((pair)[2], ''), 'done': TRUE}, {'t': part, 'done': FALSE}] END))"
    )
    template = (
        "array_to_string(list_transform(list_reduce("
        "coalesce(list_filter(list_zip({lookups}, {rewrites}), lambda pair: (pair)[1] <> ''), []),"
        " lambda segments, pair: flatten(list_transform(segments, lambda s: CASE WHEN (s).done THEN [s] ELSE " + split + " END)),"
        " [{'t': {text}, 'done': FALSE}]), lambda s: (s).t), '')"
    )
    holes = {"text": text, "lookups": texts_of(lowering, lookups), "rewrites": texts_of(lowering, rewrites)}
    return sql.Template(template, holes)


@custom("format_bytes")
def _format_bytes(lowering: ScalarLowering, invoke: plan.Invoke) -> sql.Expression:
    size, *given = invoke.arguments
    precision = max(constant_number(given[0]) or 0, 0) if given else 0
    units = sql.ListOf(tuple(sql.Literal(unit) for unit in SIZE_UNITS))

    def shown(number: sql.Expression) -> sql.Expression:
        if len(given) > 1:
            power: sql.Expression = sql.Literal(SIZE_UNITS.index(constant_text(given[1])))
        else:
            power = sql.Template("len(list_filter(generate_series(1, 6), lambda p: abs({x}) >= pow(1024, p)))", {"x": number})
        template = (
            "concat(list_transform([{power}], lambda p: regexp_replace(CAST(round({x} / pow(1024, p), {digits}) AS VARCHAR), {zero}, '')"
            " || ' ' || {units}[p + 1])[1])"
        )
        holes = {"power": power, "x": number, "digits": sql.Literal(precision), "zero": sql.Literal("[.]0$"), "units": units}
        return sql.Template(template, holes)

    return sql.let("size", lowering.lower(size), shown)
