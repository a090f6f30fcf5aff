"""Reading the text of literals, and writing values as such text.

The readers answer None for text that is no value of the type; only the inside of a string literal is refused with a place in it.
Source: Kusto Query Language reference, pages of the scalar data types.
"""

import json
import re
from datetime import date
from decimal import Decimal
from typing import Any

from kqlite.language.types import TICKS_PER_DAY, TICKS_PER_SECOND

INT_BITS, LONG_BITS = 32, 64

_UNIT_TICKS = {
    "d": TICKS_PER_DAY,
    "h": 3600 * TICKS_PER_SECOND,
    "m": 60 * TICKS_PER_SECOND,
    "s": TICKS_PER_SECOND,
    "milli": TICKS_PER_SECOND // 1000,
    "micro": TICKS_PER_SECOND // 1_000_000,
    "tick": 1,
}
_UNITS = {
    "d": "d days day",
    "h": "h hr hrs hour hours",
    "m": "m min minute minutes",
    "s": "s sec second seconds",
    "milli": "ms milli millis millisecond milliseconds",
    "micro": "micro micros microsecond microseconds",
    "tick": "tick ticks",
    "nano": "nano nanos nanosecond nanoseconds",
}
_UNIT = {word: unit for unit, words in _UNITS.items() for word in words.split()}
_MONTHS = {
    name: number for number, name in enumerate(("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"), 1)
}

# Strings

_ESCAPES = {"a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v", "\\": "\\", '"': '"', "'": "'"}
# Expressions are text here, compiled and kept by `re` at their first use: most queries need none of them.
_ESCAPE = r"(?s)\\(?:([abfnrtv\\\"'])|([0-7]{1,3})|x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|(.?))"


class BadText(Exception):
    """A string literal that stands for no text: why, and which stretch of it, in characters from its start."""

    def __init__(self, reason: str, start: int, end: int):
        super().__init__(reason)
        self.reason = reason
        self.start = start
        self.end = end


def read_string(literal: str) -> str:
    """The text of one string literal of any form.

    Raises BadText for an escape that means nothing, and for half a surrogate pair.
    """
    opening = 1 if literal[0] in "hH" else 0
    if literal[opening] in "`~":
        return _checked(literal[opening + 3 : -3], literal)
    if literal[opening] == "@":
        quote = literal[opening + 1]
        return _checked(literal[opening + 2 : -1].replace(quote * 2, quote), literal)
    inside = literal[opening + 1 : -1]
    if "\\" in inside:
        inside = re.sub(_ESCAPE, lambda match: _unescaped(match, opening + 1), inside)
        if not inside.isascii():
            # Two escapes of one pair become one character.
            inside = inside.encode("utf-16", "surrogatepass").decode("utf-16", "surrogatepass")
    return _checked(inside, literal)


def _unescaped(match: re.Match[str], opening: int) -> str:
    plain, octal, short, middle, long, unknown = match.groups()
    if plain:
        return _ESCAPES[plain]
    if unknown is not None:
        raise BadText(f"`\\{unknown}` is no escape", match.start() + opening, match.end() + opening)
    number = int(octal, 8) if octal else int(short or middle or long, 16)
    if number > 0x10FFFF:
        raise BadText(f"`{match[0]}` is no character", match.start() + opening, match.end() + opening)
    return chr(number)


def _checked(text: str, literal: str) -> str:
    """`text`, unless UTF-8 cannot hold it."""
    if not text.isascii() and any("\ud800" <= character <= "\udfff" for character in text):
        for match in re.finditer(r"\\u[dD][89a-fA-F][0-9a-fA-F]{2}|\\U0000[dD][89a-fA-F][0-9a-fA-F]{2}|[\ud800-\udfff]", literal):
            raise BadText("half of a surrogate pair is no character", match.start(), match.end())
        raise BadText("half of a surrogate pair is no character", 0, len(literal))
    return text


_CONTROL = r'[\\"\x00-\x1f\x7f-\x9f\u2028\u2029]'
_WRITTEN = {"\\": "\\\\", '"': '\\"', "\n": "\\n", "\r": "\\r", "\t": "\\t"}


def write_string(text: str) -> str:
    """A string literal that stands for `text`."""
    return '"' + re.sub(_CONTROL, lambda match: _WRITTEN.get(match[0]) or f"\\u{ord(match[0]):04x}", text) + '"'


# Numbers, truth, guids

_INTEGER = r"([+-]?)(?:0[xX]([0-9a-fA-F]+)|([0-9]+))"
_REAL = r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?"
_GUID = r"([0-9a-fA-F]{8})-?([0-9a-fA-F]{4})-?([0-9a-fA-F]{4})-?([0-9a-fA-F]{4})-?([0-9a-fA-F]{12})"


def read_integer(text: str, bits: int) -> int | None:
    """A whole number of so many bits. Hexadecimal digits say the bits themselves, so `0xFFFFFFFF` is -1 as an int."""
    match = re.fullmatch(_INTEGER, text)
    if match is None or len(text) > 400:
        return None
    sign, hexadecimal, decimal = match.groups()
    number = int(hexadecimal, 16) if hexadecimal else int(decimal)
    if hexadecimal and 1 << (bits - 1) <= number < 1 << bits:
        number -= 1 << bits
    number = -number if sign == "-" else number
    return number if -(1 << (bits - 1)) <= number < 1 << (bits - 1) else None


def read_real(text: str) -> float | None:
    lowered = text.lower()
    if lowered in ("nan", "inf", "+inf", "-inf"):
        return float(lowered)
    return float(text) if re.fullmatch(_REAL, text) else None


def read_bool(text: str) -> bool | None:
    lowered = text.lower()
    if lowered in ("true", "false"):
        return lowered == "true"
    number = read_integer(text, LONG_BITS)
    return None if number is None else number != 0


def read_guid(text: str) -> str | None:
    """A guid in lower case with hyphens."""
    match = re.fullmatch(_GUID, text)
    return "-".join(match.groups()).lower() if match else None


# Timespans

_MEASURED = r"(?a)([+-]?)(\d+)(?:\.(\d*))?\s*([a-z]*)"
_CLOCK = r"(?a)([+-]?)(?:(\d+)\.)?(\d{1,2}):(\d{1,2})(?::(\d{1,2})(?:\.(\d{1,7}))?)?"


def read_timespan(text: str) -> int | None:
    """Ticks of `1.5h`, `15 seconds`, `1.02:03:04.5` (days before the first dot); a bare number counts days."""
    if measured := re.fullmatch(_MEASURED, text):
        sign, whole, fraction, word = measured.groups()
        unit = _UNIT.get(word or "d")
        if unit is None or len(text) > 400:
            return None
        ticks, divisor = (1, 100) if unit == "nano" else (_UNIT_TICKS[unit], 1)
        fraction = fraction or ""
        amount = int(whole + fraction) * ticks // (10 ** len(fraction) * divisor)
    elif clock := re.fullmatch(_CLOCK, text):
        sign, days, hours, minutes, seconds, fraction = clock.groups()
        if int(hours) > 23 or int(minutes) > 59 or int(seconds or 0) > 59 or len(text) > 400:
            return None
        amount = int(days or 0) * TICKS_PER_DAY + _clock_ticks(int(hours), int(minutes), int(seconds or 0), fraction)
    else:
        return None
    amount = -amount if sign == "-" else amount
    return amount if -(1 << 63) <= amount < 1 << 63 else None


def _clock_ticks(hours: int, minutes: int, seconds: int, fraction: str | None) -> int:
    return ((hours * 60 + minutes) * 60 + seconds) * TICKS_PER_SECOND + int((fraction or "").ljust(7, "0"))


def write_timespan(ticks: int) -> str:
    """KQL's text form: `[-][d.]hh:mm:ss[.fffffff]`."""
    days, rest = divmod(abs(ticks), TICKS_PER_DAY)
    seconds, fraction = divmod(rest, TICKS_PER_SECOND)
    clock = f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}"
    return f"{'-' if ticks < 0 else ''}{f'{days}.' if days else ''}{clock}{f'.{fraction:07}' if fraction else ''}"


# Datetimes

_TIME = r"(?P<hour>\d{1,2}):(?P<minute>\d{1,2})(?::(?P<second>\d{1,2})(?:\.(?P<fraction>\d{1,7}))?)?"
_ZONE = r"\s*(?P<zone>Z|GMT|UTC|[+-]\d{2}:?\d{2})"
_DATES = (
    r"(?P<year>\d{4})-(?P<month>\d{1,2})(?:-(?P<day>\d{1,2}))?",
    r"(?P<year>\d{4})",
    r"(?P<month>\d{1,2})(?P<mark>[-/])(?P<day>\d{1,2})(?P=mark)(?P<year>\d{4})",
    r"(?:[A-Za-z]+,\s*)?(?P<day>\d{1,2})(?P<between>[ -])(?P<named_month>[A-Za-z]{3})(?P=between)(?P<year>\d{4}|\d{2})",
)
_DATETIMES = tuple(rf"(?ai){form}(?:(?:T|\s+){_TIME}(?:{_ZONE})?)?" for form in _DATES)
_COMPONENTS = r"(?a)(\d{4})\s*,\s*(\d{1,2})\s*,\s*(\d{1,2})"


def read_datetime(text: str) -> int | None:
    """Ticks since 0001-01-01 of an ISO, sortable, RFC 822 or RFC 850 form, or one with the month first (`12/31/2016 08:40`).

    The time is UTC unless the text says otherwise.
    """
    for form in _DATETIMES:
        if match := re.fullmatch(form, text):
            return _datetime_ticks(match.groupdict())
    if match := re.fullmatch(_COMPONENTS, text):
        return _day_ticks(int(match[1]), int(match[2]), int(match[3]))
    return None


def _datetime_ticks(parts: dict[str, str | None]) -> int | None:
    year = int(parts["year"] or 0)
    if len(parts["year"] or "") == 2:
        if 30 <= year < 50:
            return None  # Which century these mean depends on the reader's settings.
        year += 2000 if year < 30 else 1900
    named = parts.get("named_month")
    month = _MONTHS.get(named.lower(), 0) if named else int(parts.get("month") or 1)
    day = _day_ticks(year, month, int(parts.get("day") or 1))
    hour, minute, second = (int(parts[part] or 0) for part in ("hour", "minute", "second"))
    if day is None or hour > 23 or minute > 59 or second > 59:
        return None
    offset = _offset_ticks(parts["zone"])
    if offset is None:
        return None
    ticks = day + _clock_ticks(hour, minute, second, parts["fraction"]) - offset
    return ticks if 0 <= ticks < date.max.toordinal() * TICKS_PER_DAY else None


def _offset_ticks(zone: str | None) -> int | None:
    if zone is None or zone[0] not in "+-":
        return 0
    hours, minutes = int(zone[1:3]), int(zone[-2:])
    if hours > 14 or minutes > 59:
        return None
    return (hours * 60 + minutes) * 60 * TICKS_PER_SECOND * (-1 if zone[0] == "-" else 1)


def _day_ticks(year: int, month: int, day: int) -> int | None:
    try:
        return (date(year, month, day).toordinal() - 1) * TICKS_PER_DAY
    except ValueError:
        return None


def write_datetime(ticks: int) -> str:
    """KQL's text form, seven digits of a second: `2017-01-01T00:00:00.0000000Z`."""
    days, rest = divmod(ticks, TICKS_PER_DAY)
    seconds, fraction = divmod(rest, TICKS_PER_SECOND)
    day = date.fromordinal(days + 1).isoformat()
    return f"{day}T{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}.{fraction:07}Z"


def ordered_json(text: str) -> str:
    """JSON text, compact, with the members of each object in the order of their names. It holds no fraction that a double does not."""
    return _ordered(json.loads(text))


def _ordered(value: Any) -> str:  # Any: a JSON document
    match value:
        case dict():
            return "{" + ",".join(f"{_ordered(name)}:{_ordered(value[name])}" for name in sorted(value)) + "}"
        case list():
            return "[" + ",".join(map(_ordered, value)) + "]"
        case float():
            return json_number(value)
        case _:
            return json.dumps(value, ensure_ascii=False)


def json_number(value: float) -> str:
    """A finite number as JSON: Python's shortest digits, but with an exponent only where DuckDB writes one."""
    text = repr(value)
    if "e" not in text:
        return text
    exact = Decimal(text)
    if not -7 < exact.adjusted() < 21:
        digits, exponent = text.split("e")
        return f"{digits}e{int(exponent)}"
    fixed = f"{exact:f}"
    return fixed if "." in fixed else fixed + ".0"
