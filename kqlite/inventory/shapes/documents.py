"""JSON documents, read and written without loss: numbers keep their value, or else their text.

`decode` gives Python's own objects, except that a fraction which no double holds becomes an `Exact`. `encode` writes them back as compact
text without null members, because a missing member and a null one are the same thing in KQL (a null *element* of an array stays).
`ordered` does the same for what a query reads.
"""

import json
import re
from collections.abc import Sequence
from decimal import Decimal, InvalidOperation
from itertools import repeat
from json.scanner import make_scanner
from typing import Any

from kqlite.errors import InventoryError as InventoryError
from kqlite.language.literals import json_number

# A decoded document: None, bool, int, float, str, Exact, list or dict. A recursive alias would cost every caller a cast.
Value = Any

INT64 = range(-(2**63), 2**63)
_DIGITS_OF_ANY_DOUBLE = 15
_SPACE = " \t\r\n"
_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")


class DocumentError(InventoryError):
    """Text that is no I-JSON document; the message is the reason alone, without the place."""


class Exact:
    """A JSON number kept as its text: a fraction that no double holds, or a whole number longer than Python reads."""

    __slots__ = ("text",)

    def __init__(self, text: str) -> None:
        self.text = text

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Exact) and self.text == other.text

    def __hash__(self) -> int:
        return hash(self.text)

    def __repr__(self) -> str:
        return f"Exact({self.text!r})"


def _whole(text: str) -> int | Exact:
    try:
        return int(text)
    except ValueError:  # more digits than int() takes
        return Exact(text)


def _fraction(text: str) -> float | Exact:
    value = float(text)
    if len(text) <= _DIGITS_OF_ANY_DOUBLE and "e" not in text and "E" not in text:
        return value
    try:
        held = Decimal(text) == Decimal(repr(value))
    except InvalidOperation:  # an exponent of more digits than Decimal takes
        held = False
    return value if held else Exact(text)


def _refuse_constant(text: str) -> None:
    raise DocumentError(f"{text} is not JSON")


_DECODER = json.JSONDecoder(parse_float=_fraction, parse_constant=_refuse_constant)
_scan = make_scanner(_DECODER)  # type: ignore[arg-type]  # the stub asks for itself, where the standard library passes a decoder
_PATIENT_DECODER = json.JSONDecoder(parse_int=_whole, parse_float=_fraction, parse_constant=_refuse_constant)


def decode(text: str) -> Value:
    """The document that `text` holds. Of members with one name the last wins, as in most readers of JSON.

    Raises DocumentError, also for half a surrogate pair, which no UTF-8 text can hold, and for nesting deeper than the interpreter's stack.
    """
    try:
        value, end = decode_at(text, 0 if text[:1] not in _SPACE else len(text) - len(text.lstrip(_SPACE)))
    except json.JSONDecodeError as error:
        raise DocumentError(fault_text(error, error.pos + 1)) from None
    if end != len(text) and text[end:].strip(_SPACE):
        raise DocumentError(f"more text after the document, at character {end + 1}")
    return value


def decode_at(text: str, position: int) -> tuple[Value, int]:
    """The JSON value that begins at `position`, and where it ends. Raises JSONDecodeError, and DocumentError as `decode` does."""
    try:
        value, end = _DECODER.raw_decode(text, position)
    except RecursionError:
        raise DocumentError("nested too deeply") from None
    except json.JSONDecodeError:
        raise
    except ValueError:  # a whole number of more digits than int() takes
        value, end = _PATIENT_DECODER.raw_decode(text, position)
    if text.find("\\u", position, end) >= 0:
        _refuse_half_pairs(text[position:end], value)
    return value, end


def decode_all(texts: Sequence[str]) -> list[Value]:
    """What `decode` gives for each text, in a loop that runs in C. Raises DocumentError, which does not say for which of them."""
    try:
        found = list(map(_scan, texts, repeat(0)))
    except (ValueError, RecursionError):
        return [decode(text) for text in texts]
    # The scanner says that nothing stands there by StopIteration, which ends `map` without a word; so the lengths are compared.
    if [end for _, end in found] != [len(text) for text in texts] or any("\\u" in text for text in texts):
        return [decode(text) for text in texts]
    return [value for value, _ in found]


def fault_text(error: json.JSONDecodeError, character: int) -> str:
    """What is wrong with a text, and at which character of it or of its line."""
    return f"{error.msg[0].lower()}{error.msg[1:]} at character {character}"


def _refuse_half_pairs(text: str, value: Value) -> None:
    """Raise DocumentError when `value`, read from `text`, holds half a surrogate pair."""
    if _SURROGATE.search(text) is None:
        return
    try:
        encode(value).encode("utf-8")
    except UnicodeEncodeError:
        raise DocumentError("half a surrogate pair in a text") from None


class _NeedsSlowWay(Exception):
    """The document holds something that the standard encoder cannot write."""


def _default(value: object) -> None:
    raise _NeedsSlowWay


_ENCODER = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), allow_nan=False, check_circular=False, default=_default)
_ORDERING_ENCODER = json.JSONEncoder(
    ensure_ascii=False, separators=(",", ":"), allow_nan=False, check_circular=False, sort_keys=True, default=_default
)
_EXPONENT = re.compile(r"(?:^|[:,\[])-?[0-9.]+e")
_encode_text = json.JSONEncoder(ensure_ascii=False).encode


def encode(value: Value) -> str:
    """Compact JSON text of a document, without null members."""
    try:
        text = _ENCODER.encode(value)
    except _NeedsSlowWay:
        return _encode_slowly(value)
    return _ENCODER.encode(without_nulls(value)) if "null" in text else text


def ordered(value: Value) -> str:
    """The one text of a document: compact, without null members, the members of each object in the order of their names, and numbers as
    DuckDB writes them. Equal documents have equal text.
    """
    try:
        text = _ORDERING_ENCODER.encode(value)
        if "null" in text:
            text = _ORDERING_ENCODER.encode(without_nulls(value))
        if _EXPONENT.search(text) is None:
            return text
    except _NeedsSlowWay:
        pass
    return _ordered_slowly(value)


def is_standard(value: Value) -> bool:
    """Whether no `Exact` is in a document."""
    try:
        _ENCODER.encode(value)
    except _NeedsSlowWay:
        return False
    return True


def _encode_slowly(value: Value) -> str:
    match value:
        case Exact():
            return value.text
        case dict():
            members = (f"{_encode_text(name)}:{_encode_slowly(member)}" for name, member in value.items() if member is not None)
            return "{" + ",".join(members) + "}"
        case list():
            return "[" + ",".join(map(_encode_slowly, value)) + "]"
        case _:
            return _ENCODER.encode(value)


def _ordered_slowly(value: Value) -> str:
    match value:
        case dict():
            members = (f"{_encode_text(name)}:{_ordered_slowly(value[name])}" for name in sorted(value) if value[name] is not None)
            return "{" + ",".join(members) + "}"
        case list():
            return "[" + ",".join(map(_ordered_slowly, value)) + "]"
        case float():
            return json_number(value)
        case _:
            return _encode_slowly(value)


def without_nulls(value: Value) -> Value:
    """The document without its null members, as the inventory gives it back."""
    if type(value) is dict:
        return {name: without_nulls(member) for name, member in value.items() if member is not None}
    if type(value) is list:
        return [without_nulls(element) for element in value]
    return value
