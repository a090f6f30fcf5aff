"""Functions of datetimes and timespans, on ticks where whole ticks will do, else through a TIMESTAMP."""

from collections.abc import Callable, Sequence

from kqlite.dialects import conversions, sql
from kqlite.dialects.duckdb.strings import constant_text
from kqlite.dialects.scalars import ScalarLowering, custom
from kqlite.language import plan
from kqlite.language.functions.datetime_formats import DATETIME_PARTS, datetime_tokens, timespan_tokens
from kqlite.language.types import TICKS_PER_DAY, TICKS_PER_SECOND, UNIX_EPOCH_TICKS, Type

_UNIT_TICKS = {
    "week": 7 * TICKS_PER_DAY,
    "day": TICKS_PER_DAY,
    "hour": 3_600 * TICKS_PER_SECOND,
    "minute": 60 * TICKS_PER_SECOND,
    "second": TICKS_PER_SECOND,
    "millisecond": TICKS_PER_SECOND // 1_000,
    "microsecond": 10,
}
_A_THOUSAND_YEARS = 365_000 * TICKS_PER_DAY
_MONTHS = {"month": 1, "quarter": 3, "year": 12}


def _template(template: str, /, **holes: sql.Expression) -> sql.Template:
    return sql.Template(template, holes)


def timestamp(ticks: sql.Expression) -> sql.Expression:
    """A TIMESTAMP of a datetime, without the digit of the tick."""
    return _template("make_timestamp({t} // 10 - 62135596800000000)", t=ticks)


def _ticks(time: sql.Expression) -> sql.Expression:
    return _template(f"epoch_us({{time}}) * 10 + {UNIX_EPOCH_TICKS}", time=time)


def in_range(ticks: sql.Expression) -> sql.Expression:
    """NULL outside the years that KQL has."""
    return _template(f"TRY(CASE WHEN {{t}} BETWEEN 0 AND {conversions.LAST_TICK} THEN {{t}} END)", t=ticks)


@custom("now")
def _now(lowering: ScalarLowering, invoke: plan.Invoke) -> sql.Expression:
    now = lowering.lower(plan.Variable("now", Type.DATETIME))
    return _moved("+", now, lowering, invoke.arguments[0]) if invoke.arguments else now


@custom("ago")
def _ago(lowering: ScalarLowering, invoke: plan.Invoke) -> sql.Expression:
    return _moved("-", lowering.lower(plan.Variable("now", Type.DATETIME)), lowering, invoke.arguments[0])


def _moved(operator: str, now: sql.Expression, lowering: ScalarLowering, span: plan.Scalar) -> sql.Expression:
    """Within the years that KQL has, unless the span is a constant that cannot lead out of them."""
    moved = sql.operation(operator, now, lowering.lower(span))
    near = isinstance(span, plan.Constant) and isinstance(span.value, int) and abs(span.value) < _A_THOUSAND_YEARS
    return moved if near else in_range(moved)


# Beginnings and ends


def _start(unit: str, date: sql.Expression, offset: sql.Expression | None) -> sql.Expression:
    """The first tick of the unit that holds `date`, moved by so many units."""
    if unit in _MONTHS:
        moved = (
            "date_trunc('{unit}', {time})"
            if offset is None
            else "date_trunc('{unit}', {time}) + to_months(CAST({n} * {months} AS INTEGER))"
        )
        text = moved.replace("{unit}", unit).replace("{months}", str(_MONTHS[unit]))
        time = _template(text, time=timestamp(date), **({} if offset is None else {"n": offset}))
        return sql.call("TRY", _ticks(time)) if offset is None else in_range(_ticks(time))
    # 0001-01-01 was a Monday, and a week begins on Sunday.
    start = "{t} - {t} % DAY" if unit == "day" else "({t} // DAY - ({t} // DAY + 1) % 7) * DAY"
    text = start.replace("DAY", str(TICKS_PER_DAY)) + (f" + {{n}} * {_UNIT_TICKS[unit]}" if offset is not None else "")
    ticks = _template(text, t=date, **({} if offset is None else {"n": offset}))
    return ticks if offset is None and unit == "day" else in_range(ticks)


def _declare_edges(unit: str) -> None:
    @custom(f"startof{unit}")
    def start(lowering: ScalarLowering, invoke: plan.Invoke) -> sql.Expression:
        date, *offset = invoke.arguments
        return _start(unit, lowering.lower(date), lowering.lower(offset[0]) if offset else None)

    @custom(f"endof{unit}")
    def end(lowering: ScalarLowering, invoke: plan.Invoke) -> sql.Expression:
        date, *offset = invoke.arguments
        following = sql.operation("+", lowering.lower(offset[0]), sql.Literal(1)) if offset else sql.Literal(1)
        return sql.operation("-", _start(unit, lowering.lower(date), following), sql.Literal(1))


for _unit in ("day", "week", "month", "year"):
    _declare_edges(_unit)

# Parts


@custom("datetime_part")
def _datetime_part(lowering: ScalarLowering, invoke: plan.Invoke) -> sql.Expression:
    """Milliseconds and less count from the second."""
    part = DATETIME_PARTS[constant_text(invoke.arguments[0]).lower()]
    date = lowering.lower(invoke.arguments[1])
    fractions = {"millisecond": "// 10000", "microsecond": "// 10", "nanosecond": "* 100"}
    if part in fractions:
        return sql.Cast(_template(f"{{t}} % {TICKS_PER_SECOND} {fractions[part]}", t=date), "INTEGER")
    return sql.Cast(sql.call("date_part", sql.Literal(part), timestamp(date)), "INTEGER")


@custom("datetime_add")
def _datetime_add(lowering: ScalarLowering, invoke: plan.Invoke) -> sql.Expression:
    part = DATETIME_PARTS[constant_text(invoke.arguments[0]).lower()]
    amount, date = (lowering.lower(argument) for argument in invoke.arguments[1:])
    if part in _MONTHS:
        months = _template(f"to_months(CAST({{n}} * {_MONTHS[part]} AS INTEGER))", n=amount)
        ticks = sql.operation("+", _ticks(sql.operation("+", timestamp(date), months)), _template("{t} % 10", t=date))
        return in_range(ticks)
    if part == "nanosecond":
        return in_range(_template("{t} + {n} // 100", t=date, n=amount))
    unit = _UNIT_TICKS["day" if part == "doy" else part]
    return in_range(_template(f"{{t}} + CAST({{n}} AS BIGINT) * {unit}", t=date, n=amount))


@custom("datetime_diff")
def _datetime_diff(lowering: ScalarLowering, invoke: plan.Invoke) -> sql.Expression:
    """Boundaries that lie between: both sides are counted in whole units first."""
    part = DATETIME_PARTS[constant_text(invoke.arguments[0]).lower()]
    later, earlier = (lowering.lower(argument) for argument in invoke.arguments[1:])
    if part in _MONTHS:
        return sql.call("date_diff", sql.Literal(part), timestamp(earlier), timestamp(later))
    if part == "nanosecond":
        return _template("TRY(({a} - {b}) * 100)", a=later, b=earlier)
    if part == "week":
        # 0001-01-01 was a Monday, and a week begins on Sunday.
        return _template(f"({{a}} // {TICKS_PER_DAY} + 1) // 7 - ({{b}} // {TICKS_PER_DAY} + 1) // 7", a=later, b=earlier)
    unit = _UNIT_TICKS["day" if part == "doy" else part]
    return _template(f"{{a}} // {unit} - {{b}} // {unit}", a=later, b=earlier)


# Time zones


def _declare_zone(name: str, moved: Callable[[sql.Expression, sql.Expression], sql.Expression]) -> None:
    @custom(name)
    def lower(lowering: ScalarLowering, invoke: plan.Invoke) -> sql.Expression:
        zone = lowering.lower(invoke.arguments[1])

        def ticks(date: sql.Expression) -> sql.Expression:
            return in_range(_template("{ticks} + {t} % 10", ticks=_ticks(moved(timestamp(date), zone)), t=date))

        return sql.let("date", lowering.lower(invoke.arguments[0]), ticks)


def _local(time: sql.Expression, zone: sql.Expression) -> sql.Expression:
    return _template("timezone({zone}, CAST({time} AS TIMESTAMPTZ))", time=time, zone=zone)


def _utc(time: sql.Expression, zone: sql.Expression) -> sql.Expression:
    """A time that clocks leave out counts as one after the change: what it becomes locally is later by the hour that is left out."""
    utc = _template("timezone({zone}, {time})", time=time, zone=zone)
    return _template("CAST({utc} - (timezone({zone}, {utc}) - {time}) AS TIMESTAMP)", utc=utc, time=time, zone=zone)


_declare_zone("datetime_utc_to_local", _local)
_declare_zone("datetime_local_to_utc", _utc)


# Making


@custom("make_datetime")
def _make_datetime(lowering: ScalarLowering, invoke: plan.Invoke) -> sql.Expression:
    given = [lowering.lower(argument) for argument in invoke.arguments]
    given += [sql.Literal(0)] * (6 - len(given))
    year, month, day, hour, minute, second = given
    template = (
        "CASE WHEN {y} BETWEEN 1 AND 9999 AND {h} BETWEEN 0 AND 23 AND {mi} BETWEEN 0 AND 59 AND {s} >= 0 AND {s} < 60"
        " THEN TRY(epoch_us(make_timestamp({y}, {m}, {d}, {h}, {mi}, 0)) * 10"
        f" + {UNIX_EPOCH_TICKS} + CAST(round({{s}} * {TICKS_PER_SECOND}) AS BIGINT)) END"
    )
    return _template(template, y=year, m=month, d=day, h=hour, mi=minute, s=second)


@custom("make_timespan")
def _make_timespan(lowering: ScalarLowering, invoke: plan.Invoke) -> sql.Expression:
    given = [lowering.lower(argument) for argument in invoke.arguments]
    day = given.pop(0) if len(given) == 4 else sql.Literal(0)
    second = given.pop() if len(given) == 3 else sql.Literal(0)
    hour, minute = given
    template = (
        "CASE WHEN {h} BETWEEN 0 AND 23 AND {mi} BETWEEN 0 AND 59 AND {s} >= 0 AND {s} < 60"
        f" THEN TRY(CAST({{d}} AS BIGINT) * {TICKS_PER_DAY} + CAST({{h}} * 60 + {{mi}} AS BIGINT) * {_UNIT_TICKS['minute']}"
        f" + CAST(round({{s}} * {TICKS_PER_SECOND}) AS BIGINT)) END"
    )
    return _template(template, d=day, h=hour, mi=minute, s=second)


def _declare_unixtime(unit: str, scale: str) -> None:
    @custom(f"unixtime_{unit}")
    def lower(lowering: ScalarLowering, invoke: plan.Invoke) -> sql.Expression:
        argument = invoke.arguments[0]
        since = _template(
            f"{{n}} {scale}", n=lowering.lower(argument) if argument.type is Type.REAL else sql.Cast(lowering.lower(argument), "BIGINT")
        )
        whole = sql.Cast(sql.call("round", since), "BIGINT", tries=True) if argument.type is Type.REAL else since
        return in_range(sql.operation("+", whole, sql.Literal(UNIX_EPOCH_TICKS)))


for _unit, _scale in (("seconds", "* 10000000"), ("milliseconds", "* 10000"), ("microseconds", "* 10"), ("nanoseconds", "// 100")):
    _declare_unixtime(_unit, _scale)

# Formats

_STRFTIME = {
    "d": "%-d",
    "dd": "%d",
    "M": "%-m",
    "MM": "%m",
    "y": "%-y",
    "yy": "%y",
    "yyyy": "%Y",
    "h": "%-I",
    "hh": "%I",
    "H": "%-H",
    "HH": "%H",
    "m": "%-M",
    "mm": "%M",
    "s": "%-S",
    "ss": "%S",
    "tt": "%p",
}


def _fraction(ticks: sql.Expression, token: str) -> sql.Expression:
    """So many digits of the second's fraction, cut; `F` leaves zeros at the end out."""
    digits = _template(
        f"lpad(CAST(abs({{t}}) % {TICKS_PER_SECOND} // {10 ** (7 - len(token))} AS VARCHAR), {len(token)}, '0')",
        t=ticks,
    )
    return sql.call("rtrim", digits, sql.Literal("0")) if token[0] == "F" else digits


@custom("format_datetime")
def _format_datetime(lowering: ScalarLowering, invoke: plan.Invoke) -> sql.Expression:
    tokens = datetime_tokens(constant_text(invoke.arguments[1]))
    assert tokens is not None
    return sql.let("date", lowering.lower(invoke.arguments[0]), lambda date: _datetime_text(tokens, date))


def _datetime_text(tokens: Sequence[str], date: sql.Expression) -> sql.Expression:
    pieces: list[sql.Expression] = []
    pattern = ""
    for token in tokens:
        if token[0] not in "fF":
            pattern += _STRFTIME.get(token, token)
            continue
        if pattern:
            pieces.append(sql.call("strftime", timestamp(date), sql.Literal(pattern)))
            pattern = ""
        pieces.append(_fraction(date, token))
    if pattern or not pieces:
        pieces.append(sql.call("strftime", timestamp(date), sql.Literal(pattern)))
    return _joined(pieces)


def _joined(pieces: list[sql.Expression]) -> sql.Expression:
    text = pieces[0] if len(pieces) == 1 else sql.Operation("||", tuple(pieces))
    return sql.or_empty(text)


_TIMESPAN_PARTS = {
    "d": "// 864000000000",
    "h": "// 36000000000 % 24",
    "H": "// 36000000000 % 24",
    "m": "// 600000000 % 60",
    "s": "// 10000000 % 60",
}


@custom("format_timespan")
def _format_timespan(lowering: ScalarLowering, invoke: plan.Invoke) -> sql.Expression:
    tokens = timespan_tokens(constant_text(invoke.arguments[1]))
    assert tokens is not None
    return sql.let("span", lowering.lower(invoke.arguments[0]), lambda span: _timespan_text(tokens, span))


def _timespan_text(tokens: Sequence[str], span: sql.Expression) -> sql.Expression:
    pieces: list[sql.Expression] = [_template("CASE WHEN {t} < 0 THEN '-' WHEN {t} >= 0 THEN '' END", t=span)]
    for token in tokens:
        part = _TIMESPAN_PARTS.get(token[0])
        if token[0] in "fF":
            pieces.append(_fraction(span, token))
        elif part is None:
            pieces.append(sql.Literal(token))
        else:
            pieces.append(_template(f"format('{{:0{len(token)}d}}', abs({{t}}) {part})", t=span))
    return _joined(pieces)
