"""Values in golden cases: KQL's text forms, one line a row, cells between bars, written and read without loss.

Strings stand bare where that is clear, else as JSON strings: an empty one is `""`, null is `null`, the text null is `"null"`.
A dynamic value is JSON. Datetimes and timespans come as ticks of 100 ns.
"""

import json
import re
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

_TICKS_PER_SECOND = 10_000_000
_TICKS_PER_DAY = 86_400 * _TICKS_PER_SECOND
_BARE = re.compile(r'(?! )[^|"\x00-\x1f]+(?<! )')

Cell = bool | int | float | str | None


def show_header(columns: Iterable[tuple[str, str]]) -> str:
    return "|".join(f"{name if _BARE.fullmatch(name) and ':' not in name else json.dumps(name)}:{type_}" for name, type_ in columns)


def read_header(line: str) -> list[tuple[str, str]]:
    parts = [cell.rpartition(":") for cell in _cells(line)]
    return [(json.loads(name) if name.startswith('"') else name, type_) for name, _, type_ in parts]


def show_row(row: Sequence[Cell], types: Sequence[str]) -> str:
    return "|".join(_show(value, type_) for value, type_ in zip(row, types, strict=True))


def comparable(line: str, types: Sequence[str]) -> tuple[Cell, ...]:
    """The values of a row such that equal ones are the same: ticks, keys of bags sorted, reals to twelve digits."""
    cells = _cells(line)
    if len(cells) != len(types):
        raise ValueError(f"{len(cells)} cells for {len(types)} columns: {line}")
    return tuple(_read(cell, type_) for cell, type_ in zip(cells, types, strict=True))


def _cells(line: str) -> list[str]:
    """The cells of a line; a bar between double quotes belongs to its cell."""
    cells = [""]
    for part in re.findall(r'"(?:[^"\\]|\\.)*"|\||[^|"]+|"', line):
        if part == "|":
            cells.append("")
        else:
            cells[-1] += part
    return cells


def _show(value: Cell, type_: str) -> str:
    if value is None:
        return "null"
    match type_:
        case "string":
            text = str(value)
            return text if _BARE.fullmatch(text) and text != "null" else json.dumps(text, ensure_ascii=False)
        case "bool":
            return "true" if value else "false"
        case "datetime":
            return _show_datetime(int(value))
        case "timespan":
            return _show_timespan(int(value))
        case "dynamic":
            return json.dumps(json.loads(str(value)), ensure_ascii=False, sort_keys=True, separators=(",", ":"))
        case _:
            return str(value)


def _read(cell: str, type_: str) -> Cell:
    if cell == "null":
        return None
    match type_:
        case "string":
            return str(json.loads(cell)) if cell.startswith('"') else cell
        case "bool":
            return {"true": True, "false": False}[cell]
        case "int" | "long" | "decimal":
            return int(cell)
        case "real":
            return _twelve_digits(float(cell))
        case "datetime":
            return _read_datetime(cell)
        case "timespan":
            return _read_timespan(cell)
        case "dynamic":
            return json.dumps(_rounded(json.loads(cell)), sort_keys=True)
        case "guid":
            return cell
        case _:
            raise ValueError(f"no type {type_!r}")


def _twelve_digits(value: float) -> Cell:
    """The value as far as two plans must agree; NaN as text, because it equals nothing."""
    return float(f"{value:.12g}") if value == value else "nan"


def _rounded(value: object) -> object:
    match value:
        case float():
            return _twelve_digits(value)
        case list():
            return [_rounded(item) for item in value]
        case dict():
            return {key: _rounded(item) for key, item in value.items()}
        case _:
            return value


def _show_datetime(ticks: int) -> str:
    seconds, fraction = divmod(ticks, _TICKS_PER_SECOND)
    return f"{datetime(1, 1, 1) + timedelta(seconds=seconds):%Y-%m-%dT%H:%M:%S}.{fraction:07}Z".rjust(28, "0")


def _show_timespan(ticks: int) -> str:
    days, rest = divmod(abs(ticks), _TICKS_PER_DAY)
    seconds, fraction = divmod(rest, _TICKS_PER_SECOND)
    clock = f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}"
    return f"{'-' if ticks < 0 else ''}{f'{days}.' if days else ''}{clock}{f'.{fraction:07}' if fraction else ''}"


def _read_datetime(text: str) -> int:
    found = re.fullmatch(r"(\d{4}-\d\d-\d\d)(?:T(\d\d:\d\d:\d\d)(?:\.(\d{1,7}))?Z)?", text)
    if not found:
        raise ValueError(f"no datetime: {text}")
    day, clock, fraction = found.groups()
    past = datetime.fromisoformat(f"{day}T{clock or '00:00:00'}") - datetime(1, 1, 1)
    return (past.days * 86_400 + past.seconds) * _TICKS_PER_SECOND + int((fraction or "").ljust(7, "0"))


def _read_timespan(text: str) -> int:
    found = re.fullmatch(r"(-?)(?:(\d+)\.)?(\d\d):(\d\d):(\d\d)(?:\.(\d{1,7}))?", text)
    if not found:
        raise ValueError(f"no timespan: {text}")
    sign, days, hours, minutes, seconds, fraction = found.groups()
    whole = int(days or 0) * 86_400 + int(hours) * 3600 + int(minutes) * 60 + int(seconds)
    ticks = whole * _TICKS_PER_SECOND + int((fraction or "").ljust(7, "0"))
    return -ticks if sign else ticks
