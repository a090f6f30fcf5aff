"""Searching a whole dynamic value for text, without making its text.

KQL looks for the text in the value's JSON. What is sought has no character that JSON gives a meaning or escapes, so that it can lie only
inside one token: a member's name, a string, a number, a word such as `true`. So the answer is an OR over the leaves of the shape, each
tested where it lies; a leaf whose tokens cannot hold the text is left out.
"""

import re

from kqlite.dialects import document_text, sql
from kqlite.dialects.document_text import NO_HOT, Hot
from kqlite.language.schema import Array, JsonLeaf, Leaf, Object, Shape
from kqlite.language.types import Type

_PUNCTUATION = re.compile(r'["\\{}\[\],:\x00-\x1f]+')
_WILDCARDS = re.compile(r"[%_\\]")
_INTEGER_PART = re.compile(r"-?[0-9]*\Z")
_REAL_PART = re.compile(r"[0-9.eE+-]+\Z")


class Needle:
    """A text that is sought, and whether the case of letters counts."""

    def __init__(self, text: str, *, ignores_case: bool):
        self.ignores_case = ignores_case
        self.text = text.lower() if ignores_case and text.isascii() else text

    @property
    def searchable(self) -> bool:
        """Whether the text can lie only inside one token. How letters beyond ASCII are folded is the engine's affair: not here."""
        return bool(self.text) and not _PUNCTUATION.search(self.text) and (self.text.isascii() or not self.ignores_case)

    def longest_part(self) -> "Needle":
        """The longest stretch that can be searched; empty where there is none."""
        return Needle(max(_PUNCTUATION.split(self.text), key=len), ignores_case=self.ignores_case)

    def within(self, word: str) -> bool:
        return self.text in (word.lower() if self.ignores_case else word)

    def in_text(self, text: sql.Expression) -> sql.Expression:
        """Whether a text has this one; NULL of NULL."""
        if not self.ignores_case:
            return sql.call("contains", text, sql.Literal(self.text))
        if self.text.isascii() and not _WILDCARDS.search(self.text):
            # A sixth faster than to search `lower(text)`.
            return sql.operation("ILIKE", text, sql.Literal(f"%{self.text}%"))
        folded = sql.Literal(self.text) if self.text.isascii() else sql.call("lower", sql.Literal(self.text))
        return sql.call("contains", sql.call("lower", text), folded)

    def behind_escape(self) -> str | None:
        """What is left of the text when an escape sequence may have given its beginning; None where none can."""
        longest = max((len(match) for match in _escape_beginnings(self.text)), default=0)
        return self.text[longest:] if longest else None


def _escape_beginnings(text: str) -> list[str]:
    """The beginnings of `text` that the end of an escape sequence (`\\n`, `\\u001f`) may be, the backslash apart."""
    found = []
    for length in range(1, min(5, len(text)) + 1):
        beginning = text[:length].lower()
        is_end = re.fullmatch(r"[bfnrt]|(?:(?:(?:u?0)?0)?[01])?[0-9a-f]", beginning)
        lies_inside = length == len(text) and re.fullmatch(r"u|u?0{1,2}|u?0{0,2}[01]", beginning)
        if is_end or lies_inside:
            found.append(beginning)
    return found


def found_in(value: sql.Expression, shape: Shape, needle: Needle, hot: Hot = NO_HOT) -> sql.Expression:
    """Whether the JSON text of `value` has `needle`; false, or NULL, where it has not or the value is NULL."""
    if needle.within("null"):
        # The text of a null inside an array has it too, which no leaf does.
        return needle.in_text(document_text.text(value, shape, hot))
    tests = _tests(value, shape, needle, hot, 0)
    if not tests:
        return sql.FALSE
    return tests[0] if len(tests) == 1 else sql.Operation("OR", tuple(tests))


def _tests(value: sql.Expression, shape: Shape, needle: Needle, hot: Hot, depth: int) -> list[sql.Expression]:
    match shape:
        case JsonLeaf():
            return [needle.in_text(sql.Cast(value, "VARCHAR"))]
        case Leaf():
            test = _leaf_test(value, shape, needle)
            return [] if test is None else [test]
        case Array():
            test = _array_test(value, shape, needle, depth)
            return [] if test is None else [test]
        case Object():
            return _object_tests(value, shape, needle, hot, depth)


def _object_tests(value: sql.Expression, shape: Object, needle: Needle, hot: Hot, depth: int) -> list[sql.Expression]:
    tests: list[sql.Expression] = []
    for member in shape.members:
        beneath = {path[1:]: column for path, column in hot.items() if path[0] == member.name}
        held = beneath.get(()) if member.held_in is not None else sql.Field(value, member.name)
        if held is None:
            continue
        if needle.within(document_text.key_text(member.name)[1:-2]):
            tests.append(sql.IsNull(held, negated=True))
        else:
            tests += _tests(held, member.shape, needle, beneath, depth)
    return tests


def _leaf_test(value: sql.Expression, leaf: Leaf, needle: Needle) -> sql.Expression | None:
    match leaf.type:
        case Type.BOOL:
            words = (needle.within("true"), needle.within("false"))
            if all(words):
                return sql.IsNull(value, negated=True)
            return value if words[0] else sql.Not(value) if words[1] else None
        case Type.LONG:
            return needle.in_text(sql.Cast(value, "VARCHAR")) if _INTEGER_PART.match(needle.text) else None
        case Type.REAL:
            possible = _REAL_PART.match(needle.text) or needle.within("Infinity") or needle.within("NaN")
            return needle.in_text(document_text.leaf_text(value, leaf)) if possible else None
        case _:
            return _string_test(value, leaf, needle)


def _string_test(value: sql.Expression, leaf: Leaf, needle: Needle) -> sql.Expression:
    """In a string that JSON escapes, the text may also begin with the letter of an escape: rare, so the escaped form is only made where the
    rest of the text is there.
    """
    rest = needle.behind_escape()
    if leaf.plain or rest is None:
        return needle.in_text(value)
    escaped = needle.in_text(document_text.leaf_text(value, leaf))
    if not rest:
        return escaped
    return sql.operation("AND", Needle(rest, ignores_case=needle.ignores_case).in_text(value), escaped)


def _array_test(value: sql.Expression, shape: Array, needle: Needle, depth: int) -> sql.Expression | None:
    if isinstance(shape.element, Leaf) and shape.element.type is Type.STRING:
        # All elements at once: the text that is sought has no quote, and no letter follows the backslash of an escaped one.
        joined = sql.call("array_to_string", value, sql.Literal('"'))
        return _string_test(joined, shape.element, needle)
    element = sql.Variable(f"s{depth}")
    tests = _tests(element, shape.element, needle, NO_HOT, depth + 1)
    if not tests:
        return None
    body = tests[0] if len(tests) == 1 else sql.Operation("OR", tuple(tests))
    return sql.operation(">", sql.call("len", sql.call("list_filter", value, sql.Lambda(element.name, body))), sql.Literal(0))
