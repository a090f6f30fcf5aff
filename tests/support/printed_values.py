"""Answers as documentation prints them, compared with values: what differs in form alone counts as the same."""

import json
import math
import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

TICKS_PER_SECOND = 10_000_000
_EPOCH = datetime(1, 1, 1, tzinfo=UTC)
_DATETIME = re.compile(r"(\d{4})-(\d\d)-(\d\d)(?:[T ](\d\d?):(\d\d)(?::(\d\d)(?:\.(\d+))?)?)? ?Z?")
_AMERICAN = re.compile(r"(\d\d?)/(\d\d?)/(\d{4})(?:,? (\d\d?):(\d\d)(?::(\d\d)(?:\.(\d+))?)? ?([AP]M)?)?")
_TIMESPAN = re.compile(r"(-?)(?:(\d+)[.:])?(\d\d?):(\d\d):(\d\d)(?:\.(\d+))?")
_NUMBER = re.compile(r"-?[\d,]+(?:\.\d*)?(?:[eE][-+]?\d+)?")

Cell = bool | int | float | str | None


def same_rows(
    printed: Sequence[Sequence[str]], found: Sequence[Sequence[Cell]], types: Sequence[str], *, ordered: bool, sets: bool
) -> bool:
    """Whether `found` is what was printed. sets: arrays have no order, because a function of sets made them."""
    if len(printed) != len(found):
        return False

    def same(row: Sequence[str], values: Sequence[Cell]) -> bool:
        return all(same_cell(text, value, type_, sets=sets) for text, value, type_ in zip(row, values, types, strict=True))

    if ordered:
        return all(same(row, values) for row, values in zip(printed, found, strict=True))
    left = list(found)
    for row in printed:
        match = next((index for index, values in enumerate(left) if same(row, values)), None)
        if match is None:
            return False
        del left[match]
    return True


def same_cell(text: str, value: Cell, type_: str, *, sets: bool = False) -> bool:
    """value: as Arrow gives it; datetimes and timespans as ticks, a dynamic as JSON text."""
    text = text.strip()
    if text in ("", "null", "(null)", "NULL"):
        return value in (None, "") or (type_ == "dynamic" and value in ('""', "null"))
    if value is None:
        return False
    match type_:
        case "bool":
            return {"true": True, "1": True, "false": False, "0": False}.get(text.lower()) == value
        case "int" | "long" | "real":
            return _same_number(text, float(value) if type_ == "real" else int(value))
        case "datetime":
            return _near(datetime_ticks(text), int(value))
        case "timespan":
            return _near(timespan_ticks(text), int(value))
        case "dynamic":
            return _same_dynamic(text, str(value), sets)
        case "guid":
            return text.lower() == str(value).lower()
        case _:
            return _same_text(text, str(value))


def _near(printed: int | None, found: int) -> bool:
    return printed is not None and abs(printed - found) < 10


def _same_number(text: str, value: float) -> bool:
    if text.lower() in ("nan", "inf", "-inf", "∞", "-∞", "infinity", "-infinity"):
        wanted = float(text.replace("∞", "inf"))
        return math.isnan(value) if math.isnan(wanted) else wanted == value
    if not _NUMBER.fullmatch(text):
        return False
    digits = text.replace(",", "")
    if isinstance(value, int) and re.fullmatch(r"-?\d+", digits):
        return int(digits) == value
    decimals = len(digits.lower().partition("e")[0].partition(".")[2])
    unit = 10.0**-decimals if decimals >= 2 else 0.0
    return math.isclose(float(digits), value, rel_tol=1e-9, abs_tol=unit * 1.000001)


def datetime_ticks(text: str) -> int | None:
    if found := _DATETIME.fullmatch(text):
        year, month, day, hour, minute, second, fraction = found.groups()
    elif found := _AMERICAN.fullmatch(text):
        month, day, year, hour, minute, second, fraction, half = found.groups()
        if half:
            hour = str(int(hour) % 12 + (12 if half == "PM" else 0))
    else:
        return None
    past = datetime(int(year), int(month), int(day), int(hour or 0), int(minute or 0), int(second or 0), tzinfo=UTC) - _EPOCH
    return past // timedelta(seconds=1) * TICKS_PER_SECOND + int((fraction or "")[:7].ljust(7, "0"))


def timespan_ticks(text: str) -> int | None:
    found = _TIMESPAN.fullmatch(text)
    if not found:
        return None
    sign, days, hours, minutes, seconds, fraction = found.groups()
    whole = int(days or 0) * 86_400 + int(hours) * 3600 + int(minutes) * 60 + int(seconds)
    ticks = whole * TICKS_PER_SECOND + int((fraction or "")[:7].ljust(7, "0"))
    return -ticks if sign else ticks


def _same_text(text: str, value: str) -> bool:
    def plain(shown: str) -> str:
        return re.sub(r"\s+", " ", shown).strip()

    forms = {plain(text), plain(re.sub(r"\\([*|_\[\]<>`#])", r"\1", text)), plain(text.replace("\\\\", "\\"))}
    forms |= {form[1:-1] for form in forms if len(form) >= 2 and form[0] == form[-1] and form[0] in "\"'"}
    forms |= {plain(form) for form in forms}
    return plain(value) in forms or _same_json(text, value)


def _same_json(text: str, value: str) -> bool:
    """Text that is a JSON array or object on both sides: its white space does not count."""
    if not (text[0] in "[{" and value[:1] in ("[", "{")):
        return False
    try:
        return bool(json.loads(text) == json.loads(value))
    except ValueError:
        return False


def _same_dynamic(text: str, value: str, sets: bool) -> bool:
    found = json.loads(value)
    if isinstance(found, str):
        return _same_value(text, found, sets) or _same_value(_parsed(text), found, sets)
    return _same_value(_parsed(text), found, sets)


def _parsed(text: str) -> object:
    """What printed JSON means, in the forms that pages have: single quotes, a comma too many, words without quotes."""
    text = re.sub(r"\\([*_|\[\]])", r"\1", text)
    for candidate in (text, _repaired(text), _repaired(text.replace("'", '"'))):
        try:
            return json.loads(candidate)
        except ValueError:
            continue
    return text


def _repaired(text: str) -> str:
    strings = re.split(r'("(?:[^"\\]|\\.)*")', text)
    for index in range(0, len(strings), 2):
        bare = re.sub(r",\s*([\]}])", r"\1", strings[index])
        bare = re.sub(r"\bTrue\b", "true", re.sub(r"\bFalse\b", "false", bare))
        strings[index] = re.sub(r"(?<![\w.+-])(?!true\b|false\b|null\b)([A-Za-z_]\w*)", r'"\1"', bare)
    return "".join(strings)


def _same_value(wanted: object, found: object, sets: bool) -> bool:
    match wanted, found:
        case dict(), dict():
            return wanted.keys() == found.keys() and all(_same_value(wanted[key], found[key], sets) for key in wanted)
        case list(), list():
            return _same_lists(wanted, found, sets)
        case bool(), _:
            return wanted is found
        case _, bool():
            return False
        case int() | float(), int() | float():
            return _same_number(repr(wanted), found)
        case str(), str():
            return _same_strings(wanted, found)
        case _:
            return wanted is None and found is None


def _same_lists(wanted: list[object], found: list[object], sets: bool) -> bool:
    if len(wanted) != len(found):
        return False
    if not sets:
        return all(_same_value(one, other, sets) for one, other in zip(wanted, found, strict=True))
    left = list(found)
    for item in wanted:
        match = next((index for index, other in enumerate(left) if _same_value(item, other, sets)), None)
        if match is None:
            return False
        del left[match]
    return True


def _same_strings(wanted: str, found: str) -> bool:
    if _same_text(wanted, found) if wanted else wanted == found:
        return True
    for read in (datetime_ticks, timespan_ticks):
        one, other = read(wanted), read(found)
        if one is not None and other is not None:
            return abs(one - other) < 10
    return False
