"""Functions of bytes, which the engine's functions see as hexadecimal text, and xxHash in arithmetic of 128 bits."""

from kqlite.dialects import sql
from kqlite.dialects.duckdb.dynamics import json_list
from kqlite.dialects.scalars import ScalarLowering, custom
from kqlite.language import plan
from kqlite.language.types import Type


def _template(template: str, /, **holes: sql.Expression) -> sql.Template:
    return sql.Template(template, holes)


def percent_encoded(text: sql.Expression) -> sql.Expression:
    """DuckDB writes the hexadecimal digits of `%3A` large, KQL small; a letter behind `%` and one more digit is one of them."""
    template = (
        "array_to_string(list_transform(string_split(url_encode({url}), '%'), lambda part, i:"
        " CASE WHEN i = 1 THEN part ELSE lower(left(part, 2)) || substring(part, 3) END), '%')"
    )
    return sql.Template(template, {"url": text})


@custom("url_encode_component")
def _url_encode_component(lowering: ScalarLowering, invoke: plan.Invoke) -> sql.Expression:
    return percent_encoded(lowering.lower(invoke.arguments[0]))


@custom("url_encode")
def _url_encode(lowering: ScalarLowering, invoke: plan.Invoke) -> sql.Expression:
    return _template("replace({encoded}, '%20', '+')", encoded=percent_encoded(lowering.lower(invoke.arguments[0])))


# Bytes


def _numbers(lowering: ScalarLowering, value: plan.Scalar) -> sql.Expression:
    """A number, or those of an array, as a list; an element that is none is NULL."""
    if value.type is not Type.DYNAMIC:
        return sql.ListOf((sql.Cast(lowering.lower(value), "BIGINT", tries=True),))
    return _template("list_transform({list}, lambda e: TRY_CAST(e ->> '$' AS BIGINT))", list=json_list(lowering, value))


@custom("base64_encode_fromarray")
def _base64_encode_fromarray(lowering: ScalarLowering, invoke: plan.Invoke) -> sql.Expression:
    digits = _template(
        "list_transform({list}, lambda b: CASE WHEN b BETWEEN 0 AND 255 THEN lpad(hex(b), 2, '0') ELSE '?' END)",
        list=_numbers(lowering, invoke.arguments[0]),
    )
    return _template("coalesce(TRY(to_base64(unhex(array_to_string({digits}, '')))), '')", digits=digits)


_BYTES = "list_transform(regexp_extract_all(hex(TRY(from_base64({text}))), '..'), lambda d: CAST('0x' || d AS BIGINT))"


@custom("base64_decode_toarray")
def _base64_decode_toarray(lowering: ScalarLowering, invoke: plan.Invoke) -> sql.Expression:
    return _template(_BYTES, text=lowering.lower(invoke.arguments[0]))


@custom("base64_encode_fromguid")
def _base64_encode_fromguid(lowering: ScalarLowering, invoke: plan.Invoke) -> sql.Expression:
    return sql.let("guid", lowering.lower(invoke.arguments[0]), _base64_of_guid)


def _base64_of_guid(guid: sql.Expression) -> sql.Expression:
    swapped = _template(
        "regexp_replace({guid}, {bytes}, {swapped})",
        guid=guid,
        bytes=sql.Literal("^(..)(..)(..)(..)-(..)(..)-(..)(..)-(.*)-.*$"),
        swapped=sql.Literal(r"\4\3\2\1\6\5\8\7\9"),
    )
    # A rewrite has no tenth group.
    return _template("coalesce(to_base64(unhex({swapped} || right({guid}, 12))), '')", swapped=swapped, guid=guid)


# Code points


@custom("unicode_codepoints_from_string")
def _unicode_codepoints_from_string(lowering: ScalarLowering, invoke: plan.Invoke) -> sql.Expression:
    template = "list_transform(list_filter(string_split({text}, ''), lambda c: c <> ''), lambda c: CAST(unicode(c) AS BIGINT))"
    return _template(template, text=lowering.lower(invoke.arguments[0]))


@custom("unicode_codepoints_to_string")
def _unicode_codepoints_to_string(lowering: ScalarLowering, invoke: plan.Invoke) -> sql.Expression:
    lists = [_numbers(lowering, argument) for argument in invoke.arguments]
    points = lists[0] if len(lists) == 1 else sql.call("list_concat", *lists)
    # A half of a surrogate pair is no code point.
    template = (
        "coalesce(array_to_string(list_transform({points}, lambda c: CASE WHEN c BETWEEN 0 AND 55295 OR c BETWEEN 57344 AND 1114111"
        " THEN chr(CAST(c AS INTEGER)) ELSE '' END), ''), '')"
    )
    return _template(template, points=points)


# xxHash

_P1, _P2, _P3, _P4, _P5 = (
    f"{prime}::UHUGEINT"
    for prime in (11400714785074694791, 14029467366897019727, 1609587929392839161, 9650029242287828579, 2870177450012600261)
)
_MASK = "18446744073709551615::UHUGEINT"


def _cut(value: str) -> str:
    """The lower 64 bits."""
    return f"(({value}) & {_MASK})"


def _rotated(value: str, bits: int | str) -> str:
    return f"((({value}) << ({bits})::UHUGEINT) | (({value}) >> (64 - {bits})::UHUGEINT)) & {_MASK}"


def _product(left: str, right: str) -> str:
    return _cut(f"({left}) * {right}")


def _round(state: str, lane: str) -> str:
    added = _cut(f"{state} + {_product(lane, _P2)}")
    return _product(f"list_transform([{added}], lambda v: {_rotated('v', 31)})[1]", _P1)


def _number_at(offset: str, size: int) -> str:
    """So many bytes from an offset on as a number; `bytes` holds all of them in reverse."""
    return f"CAST('0x' || substring((h).bytes, 2 * ((h).size - ({offset}) - {size}) + 1, {2 * size}) AS UHUGEINT)"


_ZERO = "0::UHUGEINT"
_STATES = ("a", "b", "c", "d")


def _struct(**fields: str) -> str:
    return "{" + ", ".join(f"'{name}': {value}" for name, value in fields.items()) + "}"


_SEEDS = _struct(a=_cut(f"{_P1} + {_P2}"), b=_P2, c=_ZERO, d=f"{_MASK} + 1 - {_P1}")
_LANES = {name: _round(f"(s).{name}", _number_at(f"i + {8 * place}", 8)) for place, name in enumerate(_STATES)}
_STRIPES = f"list_reduce(generate_series(0, (h).size - 32, 32), lambda s, i: {_struct(**_LANES)}, {_SEEDS})"
_SUM = _cut(" + ".join(f"({_rotated(f'(s).{name}', turn)})" for name, turn in zip(_STATES, (1, 7, 12, 18), strict=True)))
_JOINED = _cut(f"xor(state, {_round(_ZERO, 'lane')}) * {_P1} + {_P4}")
_MERGED = f"list_transform([{_STRIPES}], lambda s: list_reduce([(s).a, (s).b, (s).c, (s).d], lambda state, lane: {_JOINED}, {_SUM}))[1]"


def _step(mixed: str, turn: int, factor: str, addend: str) -> str:
    return _struct(mixed=mixed, turn=f"{turn}::UHUGEINT", factor=factor, addend=addend)


_EIGHT = _step(_round(_ZERO, _number_at("i", 8)), 27, _P1, _P4)
_FOUR = _step(_product(_number_at("(h).size // 8 * 8", 4), _P1), 23, _P2, _P3)
_ONE = _step(_product(_number_at("i", 1), _P5), 11, _P1, _ZERO)
_REST = (
    f"list_concat(list_transform(generate_series((h).size // 32 * 32, (h).size - 8, 8), lambda i: {_EIGHT}),"
    f" CASE WHEN (h).size % 8 >= 4 THEN [{_FOUR}] ELSE [] END,"
    f" list_transform(generate_series((h).size // 4 * 4, (h).size - 1), lambda i: {_ONE}))"
)
_START = _cut(f"CASE WHEN (h).size >= 32 THEN {_MERGED} ELSE {_P5} END + (h).size::UHUGEINT")
_MIXED = _cut(f"({_rotated('w', '(t).turn')}) * (t).factor + (t).addend")
_STIRRED = f"list_reduce({_REST}, lambda state, t: list_transform([xor(state, (t).mixed)], lambda w: {_MIXED})[1], {_START})"
_LAST = ", ".join(_struct(turn=f"{turn}::UHUGEINT", factor=factor) for turn, factor in ((33, _P2), (29, _P3), (32, "1::UHUGEINT")))
_XXHASH = f"list_reduce([{_LAST}], lambda state, t: {_cut('xor(state, state >> (t).turn) * (t).factor')}, {_STIRRED})"
_SIGNED = "CAST(CASE WHEN {x} >= 9223372036854775808 THEN {x}::HUGEINT - 18446744073709551616::HUGEINT ELSE {x}::HUGEINT END AS BIGINT)"


@custom("hash_xxhash64")
def _hash_xxhash64(lowering: ScalarLowering, invoke: plan.Invoke) -> sql.Expression:
    """Seed 0. The bytes of a number stand in the order of the least first, which is the reverse in which they are read."""
    value, *mod = invoke.arguments
    if value.type is Type.STRING:
        reverse = "array_to_string(list_reverse(regexp_extract_all(hex(encode({x})), '..')), '')"
        bytes_ = _template(f"{{'bytes': {reverse}, 'size': strlen({{x}})}}", x=lowering.lower(value))
    else:
        bytes_ = _template("{'bytes': lpad(hex(CAST({x} AS BIGINT)), 16, '0'), 'size': 8::BIGINT}", x=lowering.lower(value))
    hash_ = _template(_SIGNED, x=_template(f"list_transform([{{bytes}}], lambda h: {_XXHASH})[1]", bytes=bytes_))
    if not mod:
        return hash_
    size = "abs({n}::HUGEINT)"
    remainder = f"TRY(CASE WHEN {{n}} <> 0 THEN ({{hash}} % {size} + {size}) % {size} END::BIGINT)"
    return _template(remainder, hash=hash_, n=lowering.lower(mod[0]))
