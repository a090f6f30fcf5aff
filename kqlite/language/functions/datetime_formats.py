"""The formats of `format_datetime` and `format_timespan`, and the names of a datetime's parts.

Source: Kusto Query Language reference, "format_datetime()", "format_timespan()", "datetime_part()".
"""

import re

DATETIME_PARTS = {
    "year": "year",
    "quarter": "quarter",
    "month": "month",
    "week_of_year": "week",
    "week": "week",
    "day": "day",
    "dayofyear": "doy",
    "hour": "hour",
    "minute": "minute",
    "second": "second",
    "millisecond": "millisecond",
    "microsecond": "microsecond",
    "nanosecond": "nanosecond",
}
"""Parts in lower case, and what they are called here."""

_TOKEN = re.compile(r"([a-zA-Z])\1*|[ /:,._\[\]-]")
_DATETIME_TOKENS = re.compile(r"d|dd|M|MM|y|yy|yyyy|h|hh|H|HH|m|mm|s|ss|tt|f{1,7}|F{1,7}|[ /:,._\[\]-]")
_TIMESPAN_TOKENS = re.compile(r"d{1,8}|h|hh|H|HH|m|mm|s|ss|f{1,7}|F{1,7}|[ /:,._\[\]-]")


def datetime_tokens(format_: str) -> list[str] | None:
    """The specifiers and delimiters of a format in order; None where one of them is neither."""
    return _tokens(format_, _DATETIME_TOKENS)


def timespan_tokens(format_: str) -> list[str] | None:
    """The same for a timespan's format."""
    return _tokens(format_, _TIMESPAN_TOKENS)


def _tokens(format_: str, known: re.Pattern[str]) -> list[str] | None:
    tokens = [token[0] for token in _TOKEN.finditer(format_)]
    if not tokens or "".join(tokens) != format_ or not all(known.fullmatch(token) for token in tokens):
        return None
    return tokens


def check_datetime_format(format_: str) -> str | None:
    """What is wrong with a format of `format_datetime`."""
    return (
        None
        if datetime_tokens(format_) is not None
        else "no format: it takes d M y h H m s f F and tt, and the delimiters `/-:,._[]` and space"
    )


def check_timespan_format(format_: str) -> str | None:
    """What is wrong with a format of `format_timespan`."""
    return None if timespan_tokens(format_) is not None else "no format: it takes d h H m s f F, and the delimiters `/-:,._[]` and space"


def check_part(part: str) -> str | None:
    """What is wrong with the name of a datetime's part."""
    return None if part.lower() in DATETIME_PARTS else f"no part of a datetime: {', '.join(DATETIME_PARTS)}"
