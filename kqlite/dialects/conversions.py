"""Conversions between KQL's types as SQL, and the text of values. What cannot be read becomes NULL, never an error.

The shape of a text is tested before it is cast: DuckDB's own casts round (`3.7` to 4) and take what KQL does not (`1_000`, and `1e3`
as a whole number).
"""

from kqlite.dialects import sql
from kqlite.language.schema import JsonLeaf, Leaf, Shape
from kqlite.language.types import TICKS_PER_DAY, TICKS_PER_SECOND, UNIX_EPOCH_TICKS, Type

LAST_TICK = 3_155_378_975_999_999_999
"""9999-12-31T23:59:59.9999999 in ticks."""

_LONGEST = 9_223_372_036_854_775_807

# Shapes of text, as regular expressions for a full match.
_WHOLE = r"\s*([+-]?[0-9]+|0[xX][0-9a-fA-F]+)\s*"
_REAL = r"(?i)\s*([+-]?([0-9]+\.?[0-9]*|\.[0-9]+)(e[+-]?[0-9]+)?|nan|[+-]?inf)\s*"
_GUID = r"(?i)\s*\{?[0-9a-f]{8}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{12}.*"
_ISO = r"\s*[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}([T ][0-9]{1,2}:[0-9]{2}(:[0-9]{2}([.][0-9]+)?)?)?\s*(Z|GMT|UTC|[+-][0-9]{2}(:?[0-9]{2})?)?\s*"
_CLOCK = r"\s*-?([0-9]{1,8}[.])?([01]?[0-9]|2[0-3]):[0-5]?[0-9](:[0-5]?[0-9]([.][0-9]{1,7})?)?\s*"

_TEXT_FORMS = [
    *(f"%d{dash}%b{dash}%{year} %H:%M{second}" for dash in (" ", "-") for year in "yY" for second in (":%S", "")),
    *(f"%m{dash}%d{dash}%Y{clock}" for dash in "/-" for clock in (" %H:%M:%S", " %H:%M", "", " %I:%M:%S %p")),
]
"""Datetimes beside the ISO forms: RFC 822 and 850 without day's name and zone, then month first.

Source: Kusto Query Language reference, "The datetime data type"; "todatetime()".
"""

UNITS = {
    "d": TICKS_PER_DAY,
    "h": 3_600 * TICKS_PER_SECOND,
    "m": 60 * TICKS_PER_SECOND,
    "s": TICKS_PER_SECOND,
    "ms": TICKS_PER_SECOND // 1_000,
    "microsecond": 10,
    "tick": 1,
}
_UNIT_NAMES = {
    "d": "d|days?",
    "h": "h|hr|hrs|hours?",
    "m": "m|min|minutes?",
    "s": "s|sec|seconds?",
    "ms": "ms|milli|millis|milliseconds?",
    "microsecond": "micro|micros|microseconds?",
    "tick": "ticks?",
}


def _template(template: str, /, **holes: sql.Expression) -> sql.Template:
    return sql.Template(template, holes)


# Text of values


def to_text(value: sql.Expression, type_: Type) -> sql.Expression:
    """KQL's text of a value that is no dynamic, NULL where it is NULL."""
    match type_:
        case Type.STRING | Type.GUID:
            return value
        case Type.BOOL:
            return _template("CASE {x} WHEN TRUE THEN 'True' WHEN FALSE THEN 'False' END", x=value)
        case Type.INT | Type.LONG | Type.DECIMAL:
            return sql.Cast(value, "VARCHAR")
        case Type.REAL:
            # The engine prints the sign of a NaN.
            return _template("CASE WHEN isnan({x}) THEN 'NaN' ELSE CAST({x} AS VARCHAR) END", x=value)
        case Type.DATETIME:
            return _template(
                "strftime(make_timestamp({x} // 10 - 62135596800000000), '%Y-%m-%dT%H:%M:%S.%f') || CAST({x} % 10 AS VARCHAR) || 'Z'",
                x=value,
            )
        case Type.TIMESPAN:
            return _timespan_text(value)
        case Type.DYNAMIC:
            raise AssertionError("the text of a dynamic depends on its form")


def _timespan_text(value: sql.Expression) -> sql.Expression:
    """`[-][d.]hh:mm:ss[.fffffff]`."""
    return _template(
        "CASE WHEN {x} < 0 THEN '-' ELSE '' END"
        " || CASE WHEN abs({x}) >= 864000000000 THEN CAST(abs({x}) // 864000000000 AS VARCHAR) || '.' ELSE '' END"
        " || format('{:02d}:{:02d}:{:02d}', abs({x}) // 36000000000 % 24, abs({x}) // 600000000 % 60, abs({x}) // 10000000 % 60)"
        " || CASE WHEN {x} % 10000000 <> 0 THEN format('.{:07d}', abs({x}) % 10000000) ELSE '' END",
        x=value,
    )


def leaf_to_text(value: sql.Expression, leaf: Shape) -> sql.Expression:
    """The text of a scalar inside a dynamic: a string without quotes, a bool as JSON has it."""
    assert isinstance(leaf, Leaf)
    if leaf.type is Type.BOOL:
        return sql.Cast(value, "VARCHAR")
    if leaf.type is Type.REAL:
        return sql.Cast(sql.call("to_json", value), "VARCHAR")
    return to_text(value, leaf.type)


def scalar_to_json(value: sql.Expression, type_: Type) -> sql.Expression:
    """A value that is no dynamic as DuckDB's type JSON, NULL where it is NULL. What JSON has no form for becomes text, as KQL prints it."""
    match type_:
        case Type.BOOL | Type.INT | Type.LONG | Type.STRING | Type.GUID:
            return sql.call("to_json", value)
        case Type.REAL:
            return _template("CASE WHEN isfinite({x}) THEN to_json({x}) ELSE to_json({text}) END", x=value, text=to_text(value, type_))
        case _:
            return sql.call("to_json", to_text(value, type_))


_NO_JSON = r"(?i)nan|inf|,\s*[\]}]"
"""Outside strings: what the engine's reader takes and JSON does not have, numbers that are none and a comma before a closing bracket."""

_JSON_STRING = r'"(?:[^"\\]|\\.)*"'


def json_of_text(text: sql.Expression) -> sql.Expression:
    """Text as a dynamic: JSON is its value, the text `null` and `''` are null, and any other text is a string."""
    return _template(
        "CASE WHEN json_valid({text}) AND NOT (regexp_matches({text}, {no_json})"
        " AND regexp_matches(regexp_replace({text}, {string}, '"
        "', 'g'), {no_json}))"
        " THEN nullif(CAST({text} AS JSON), 'null') WHEN {text} <> '' THEN to_json({text}) END",
        text=text,
        no_json=sql.Literal(_NO_JSON),
        string=sql.Literal(_JSON_STRING),
    )


# Conversions


def convert(value: sql.Expression, from_type: Type, form: Shape | None, to: Type) -> sql.Expression:
    """The value as type `to`, as the functions `toint`, `tobool`, `todatetime`.. make it.

    form: of a dynamic, a Leaf or JSON. `to` is no string: its text depends on more than the value.
    """
    if from_type is Type.DYNAMIC:
        if isinstance(form, Leaf):
            return convert(value, form.type, None, to)
        assert form is None or isinstance(form, JsonLeaf), form
        return _from_json(value, to)
    if from_type is to:
        return value
    match to:
        case Type.INT:
            return _to_int(value, from_type)
        case Type.LONG:
            return _to_long(value, from_type)
        case Type.REAL:
            return _to_real(value, from_type)
        case Type.DECIMAL:
            return _to_decimal(value, from_type)
        case Type.BOOL:
            return _to_bool(value, from_type)
        case Type.DATETIME:
            return _to_datetime(value, from_type)
        case Type.TIMESPAN:
            return _to_timespan(value, from_type)
        case Type.GUID:
            return _to_guid(value, from_type)
        case Type.DYNAMIC:
            return scalar_to_json(value, from_type)
        case Type.STRING:
            return to_text(value, from_type)


def _nothing(type_: str) -> sql.Expression:
    return sql.Cast(sql.NULL, type_)


def _from_json(value: sql.Expression, to: Type) -> sql.Expression:
    """By the kind of the JSON value; its text is read only for a JSON string."""
    return sql.let("json", value, lambda json_: _from_one_json(json_, to))


def _from_one_json(value: sql.Expression, to: Type) -> sql.Expression:
    text = sql.operation("->>", value, sql.Literal("$"))
    from_text = convert(text, Type.STRING, None, to)
    if to in (Type.DATETIME, Type.TIMESPAN, Type.GUID):
        # The shape of the text rules out numbers and whole documents.
        return from_text
    kind = sql.call("json_type", value)
    whole = sql.Cast(text, "BIGINT", tries=True)
    from_whole = convert(whole, Type.LONG, None, to)
    from_fraction = convert(sql.Cast(text, "DOUBLE", tries=True), Type.REAL, None, to)
    from_bool = convert(_template("{t} = 'true'", t=text), Type.BOOL, None, to)
    if to is Type.REAL:
        numbers = "WHEN 'UBIGINT' THEN {fraction} WHEN 'BIGINT' THEN {fraction} WHEN 'DOUBLE' THEN {fraction}"
    else:
        numbers = "WHEN 'UBIGINT' THEN {whole} WHEN 'BIGINT' THEN {whole} WHEN 'DOUBLE' THEN {fraction}"
    return _template(
        "CASE {kind} WHEN 'VARCHAR' THEN {text} " + numbers + " WHEN 'BOOLEAN' THEN {bool} END",
        kind=kind,
        text=from_text,
        whole=from_whole,
        fraction=from_fraction,
        bool=from_bool,
    )


def _to_int(value: sql.Expression, from_type: Type) -> sql.Expression:
    match from_type:
        case Type.LONG | Type.DATETIME | Type.TIMESPAN:
            if isinstance(value, sql.Literal) and isinstance(value.value, int) and -(2**31) <= value.value < 2**31:
                return sql.Cast(value, "INTEGER")
            # Wraps, as the service does.
            return _template("CAST(xor({x} & 4294967295, 2147483648) - 2147483648 AS INTEGER)", x=value)
        case Type.REAL:
            return _template(
                "CASE WHEN NOT isnan({x}) THEN CAST(trunc(greatest(least({x}, 2147483647), -2147483648)) AS INTEGER) END", x=value
            )
        case Type.BOOL:
            return sql.Cast(value, "INTEGER")
        case Type.DECIMAL:
            return sql.Cast(value, "INTEGER", tries=True)
        case Type.STRING:
            return _template(
                "CASE WHEN regexp_full_match({x}, {shape}) THEN TRY_CAST(trim({x}) AS INTEGER) END", x=value, shape=sql.Literal(_WHOLE)
            )
        case _:
            return _nothing("INTEGER")


def _to_long(value: sql.Expression, from_type: Type) -> sql.Expression:
    match from_type:
        case Type.INT | Type.BOOL:
            return sql.Cast(value, "BIGINT")
        case Type.DATETIME | Type.TIMESPAN:
            return value
        case Type.DECIMAL:
            return sql.Cast(value, "BIGINT", tries=True)
        case Type.REAL:
            return _template(
                f"CASE WHEN isnan({{x}}) THEN NULL WHEN {{x}} >= 9223372036854775807 THEN {_LONGEST}"
                f" WHEN {{x}} <= -9223372036854775808 THEN -{_LONGEST} - 1 ELSE TRY_CAST(trunc({{x}}) AS BIGINT) END",
                x=value,
            )
        case Type.STRING:
            return _template(
                "CASE WHEN regexp_full_match({x}, {shape}) THEN TRY_CAST(trim({x}) AS BIGINT) END", x=value, shape=sql.Literal(_WHOLE)
            )
        case _:
            return _nothing("BIGINT")


def _to_real(value: sql.Expression, from_type: Type) -> sql.Expression:
    match from_type:
        case Type.INT | Type.LONG | Type.BOOL | Type.DATETIME | Type.TIMESPAN | Type.DECIMAL:
            return sql.Cast(value, "DOUBLE")
        case Type.STRING:
            return _template(
                "CASE WHEN regexp_full_match({x}, {shape}) THEN TRY_CAST({x} AS DOUBLE) END", x=value, shape=sql.Literal(_REAL)
            )
        case _:
            return _nothing("DOUBLE")


def _to_bool(value: sql.Expression, from_type: Type) -> sql.Expression:
    match from_type:
        case Type.INT | Type.LONG | Type.REAL | Type.DECIMAL:
            return sql.operation("<>", value, sql.Literal(0))
        case Type.STRING:
            return sql.let("word", value, _bool_of_text)
        case _:
            return _nothing("BOOLEAN")


def _to_decimal(value: sql.Expression, from_type: Type) -> sql.Expression:
    match from_type:
        case Type.INT | Type.LONG:
            return sql.Cast(value, "DECIMAL(38, 0)")
        case Type.STRING:
            return _template(
                "CASE WHEN regexp_full_match({x}, {shape}) THEN TRY_CAST(trim({x}) AS DECIMAL(38, 0)) END",
                x=value,
                shape=sql.Literal(r"\s*[+-]?[0-9]+\s*"),
            )
        case _:
            return _nothing("DECIMAL(38, 0)")


def _bool_of_text(text: sql.Expression) -> sql.Expression:
    return _template(
        "CASE lower(trim({x})) WHEN 'true' THEN TRUE WHEN 'false' THEN FALSE ELSE {long} <> 0 END",
        x=text,
        long=_to_long(text, Type.STRING),
    )


def _to_datetime(value: sql.Expression, from_type: Type) -> sql.Expression:
    match from_type:
        case Type.STRING:
            return _datetime_of_text(value)
        case Type.INT | Type.LONG | Type.TIMESPAN:
            return _template(f"CASE WHEN {{x}} BETWEEN 0 AND {LAST_TICK} THEN CAST({{x}} AS BIGINT) END", x=value)
        case _:
            return _nothing("BIGINT")


def _datetime_of_text(value: sql.Expression) -> sql.Expression:
    """ISO forms by DuckDB's cast, which alone honours an offset and cuts behind the microsecond; the digit of the tick is added."""
    return _template(
        "CASE WHEN regexp_full_match({x}, {iso}) THEN epoch_us(TRY_CAST({x} AS TIMESTAMPTZ)) * 10"
        " + coalesce(TRY_CAST(regexp_extract({x}, {tick}, 1) AS BIGINT), 0)"
        " ELSE epoch_us(try_strptime(regexp_extract({x}, {inner}, 1), {forms})) * 10 END + {epoch}",
        x=value,
        iso=sql.Literal(_ISO),
        tick=sql.Literal("[.][0-9]{6}([0-9])"),
        inner=sql.Literal(r"(?i)^\s*(?:[a-z]+,\s*)?([0-9].*?)\s*(?:GMT|UTC|Z)?\s*$"),
        forms=sql.ListOf(tuple(sql.Literal(form) for form in _TEXT_FORMS)),
        epoch=sql.Literal(UNIX_EPOCH_TICKS),
    )


def _to_timespan(value: sql.Expression, from_type: Type) -> sql.Expression:
    match from_type:
        case Type.INT:
            return sql.Cast(value, "BIGINT")
        case Type.LONG | Type.DATETIME:
            return value
        case Type.STRING:
            return _timespan_of_text(value)
        case _:
            return _nothing("BIGINT")


def _timespan_of_text(value: sql.Expression) -> sql.Expression:
    """`[-][d.]hh:mm[:ss[.fffffff]]`, or a number with a unit, or a number of days."""
    return sql.let("span_text", value, _ticks_of_span_text)


def _ticks_of_span_text(text: sql.Expression) -> sql.Expression:
    return sql.Case(
        (
            (sql.call("regexp_full_match", text, sql.Literal(_CLOCK)), _template(_CLOCK_TICKS, x=text)),
            (sql.call("regexp_full_match", text, sql.Literal(_WITH_UNIT)), _template(_UNIT_TICKS, x=text)),
        )
    )


def _part(pattern: str, ticks: int) -> str:
    return f"coalesce(TRY_CAST(regexp_extract({{x}}, '{pattern}', 1) AS BIGINT), 0) * {ticks}"


_CLOCK_TICKS = " + ".join(
    (
        _part("([0-9]+)[.][0-9]+:", TICKS_PER_DAY),
        _part("([0-9]+):", UNITS["h"]),
        _part(":([0-9]+)", UNITS["m"]),
        _part(":[0-9]+:([0-9]+)", UNITS["s"]),
        r"coalesce(TRY_CAST(rpad(regexp_extract({x}, ':[0-9]+[.]([0-9]+)', 1), 7, '0') AS BIGINT), 0)",
    )
)
_CLOCK_TICKS = f"CASE WHEN contains({{x}}, '-') THEN -1 ELSE 1 END * ({_CLOCK_TICKS})"
_WITH_UNIT = rf"(?i)\s*-?[0-9]+([.][0-9]+)?\s*({'|'.join(_UNIT_NAMES.values())})?\s*"
_UNIT_TICKS = (
    "TRY_CAST(TRY(trunc(TRY_CAST(regexp_extract({x}, '-?[0-9.]+') AS DECIMAL(20, 9)) * CASE "
    + " ".join(
        rf"WHEN regexp_full_match({{x}}, '(?i).*[0-9]\s*({pattern})\s*') THEN {UNITS[unit]}" for unit, pattern in _UNIT_NAMES.items()
    )
    + f" ELSE {TICKS_PER_DAY} END)) AS BIGINT)"
)
"""A number alone counts days."""


def _to_guid(value: sql.Expression, from_type: Type) -> sql.Expression:
    if from_type is not Type.STRING:
        return _nothing("VARCHAR")
    return _template(
        "CASE WHEN regexp_full_match({x}, {shape})"
        " THEN CAST(TRY_CAST(left(regexp_replace({x}, '[^0-9a-fA-F]', '', 'g'), 32) AS UUID) AS VARCHAR) END",
        x=value,
        shape=sql.Literal(_GUID),
    )


# Elements of mv-expand


def element_to(value: sql.Expression, form: Shape, to: Type) -> sql.Expression:
    """An element of an array as type `to`, by its JSON type: nothing is parsed, save times and guids, which are strings in JSON.

    Source: Kusto Query Language reference, "mv-expand operator", to typeof.
    """
    if isinstance(form, Leaf):
        return _scalar_element(value, form.type, to)
    if not isinstance(form, JsonLeaf):
        return sql.Literal("") if to is Type.STRING else _nothing(_SQL_NAMES[to])
    text = sql.operation("->>", value, sql.Literal("$"))
    kinds = {"VARCHAR": Type.STRING, "BOOLEAN": Type.BOOL, "UBIGINT": Type.LONG, "BIGINT": Type.LONG, "DOUBLE": Type.REAL}
    if to is Type.STRING:
        return sql.or_empty(text)
    native: dict[Type, sql.Expression] = {
        Type.STRING: text,
        Type.BOOL: _template("{t} = 'true'", t=text),
        Type.LONG: sql.Cast(text, "BIGINT", tries=True),
        Type.REAL: sql.Cast(text, "DOUBLE", tries=True),
    }
    kind = sql.call("json_type", value)
    branches = tuple(
        (sql.operation("=", kind, sql.Literal(name)), _scalar_element(native[found], found, to))
        for name, found in kinds.items()
        if _is_taken(found, to)
    )
    return sql.Case(branches)


def _is_taken(found: Type, to: Type) -> bool:
    match to:
        case Type.INT | Type.LONG | Type.REAL:
            return found.is_numeric
        case Type.BOOL:
            return found in (Type.BOOL, Type.LONG)
        case Type.DATETIME | Type.TIMESPAN | Type.GUID:
            return found is Type.STRING
        case _:
            return True


def _scalar_element(value: sql.Expression, found: Type, to: Type) -> sql.Expression:
    if to is Type.STRING:
        return sql.call("coalesce", leaf_to_text(value, Leaf(found)), sql.Literal(""))
    return convert(value, found, None, to) if _is_taken(found, to) else _nothing(_SQL_NAMES[to])


_SQL_NAMES = {
    Type.BOOL: "BOOLEAN",
    Type.INT: "INTEGER",
    Type.LONG: "BIGINT",
    Type.REAL: "DOUBLE",
    Type.STRING: "VARCHAR",
    Type.DATETIME: "BIGINT",
    Type.TIMESPAN: "BIGINT",
    Type.GUID: "VARCHAR",
}
