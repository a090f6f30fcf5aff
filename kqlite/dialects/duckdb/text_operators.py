"""String operators: `=~`, `contains`, `startswith`, `has`, `matches regex`, `has_any`, and their negations.

With a null they are false, and their negations true. A missing dynamic is no null here but `''`. Where the other side is a constant for
which `''` fails the test as null does, the dynamic is searched as it is.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass

from kqlite.dialects import document_text, searching, sql
from kqlite.dialects.duckdb.operators import listed, lowered, may_be_empty, may_be_null, missing_as_empty, texts_of
from kqlite.dialects.scalars import ScalarLowering, custom
from kqlite.dialects.searching import Needle
from kqlite.language import plan
from kqlite.language.functions.regexes import escaped, rewritten
from kqlite.language.schema import Array, Object
from kqlite.language.types import Type

Test = Callable[[ScalarLowering, plan.Scalar, plan.Scalar], sql.Expression]
"""Makes the test of a text for another; it may be NULL where one of them is null."""


Holds = Callable[[plan.Scalar], bool]
"""Whether a test may hold of `''`, by the text that it tests for."""


def _declare(name: str, negated: str | None, test: Test, holds: Holds = may_be_empty) -> None:
    def arguments_of(invoke: plan.Invoke) -> tuple[plan.Scalar, plan.Scalar]:
        text, other = invoke.arguments
        return missing_as_empty(text, holds(other)), missing_as_empty(other)

    @custom(name)
    def positive(lowering: ScalarLowering, invoke: plan.Invoke) -> sql.Expression:
        arguments = arguments_of(invoke)
        answer = test(lowering, *arguments)
        return sql.call("coalesce", answer, sql.FALSE) if any(map(may_be_null, arguments)) else answer

    @custom(f"{name} as condition")
    def condition(lowering: ScalarLowering, invoke: plan.Invoke) -> sql.Expression:
        return test(lowering, *arguments_of(invoke))

    if negated is None:
        return

    @custom(negated)
    def negative(lowering: ScalarLowering, invoke: plan.Invoke) -> sql.Expression:
        arguments = arguments_of(invoke)
        answer = sql.Not(test(lowering, *arguments))
        return sql.call("coalesce", answer, sql.TRUE) if any(map(may_be_null, arguments)) else answer


def _equal(lowering: ScalarLowering, text: plan.Scalar, other: plan.Scalar) -> sql.Expression:
    return sql.operation("=", lowered(lowering.plain_text(text)), lowered(lowering.plain_text(other)))


_declare("=~", "!~", _equal)


def _function(name: str, *, ignores_case: bool) -> Test:
    def test(lowering: ScalarLowering, text: plan.Scalar, other: plan.Scalar) -> sql.Expression:
        pair = (lowering.plain_text(text), lowering.plain_text(other))
        return sql.call(name, *(map(lowered, pair) if ignores_case else pair))

    return test


for _name, _function_name in (("startswith", "starts_with"), ("endswith", "ends_with")):
    _declare(_name, f"!{_name}", _function(_function_name, ignores_case=True))
    _declare(f"{_name}_cs", f"!{_name}_cs", _function(_function_name, ignores_case=False))


# contains


def _is_whole(scalar: plan.Scalar) -> bool:
    """Whether a value's text would have to be made from many parts."""
    return scalar.type is Type.DYNAMIC and isinstance(scalar.form, Object | Array)


def _search(lowering: ScalarLowering, whole: plan.Scalar, needle: Needle) -> sql.Expression:
    hot = {path: lowering.lower(column) for path, column in whole.hot.items()} if isinstance(whole, plan.Document) else document_text.NO_HOT
    assert whole.form is not None
    return searching.found_in(lowering.lower(whole), whole.form, needle, hot)


def _contains(*, ignores_case: bool) -> Test:
    simple = _function("contains", ignores_case=ignores_case)

    def test(lowering: ScalarLowering, text: plan.Scalar, other: plan.Scalar) -> sql.Expression:
        if not (isinstance(other, plan.Constant) and other.of is Type.STRING):
            return simple(lowering, text, other)
        needle = Needle(str(other.value), ignores_case=ignores_case)
        if not _is_whole(text):
            return needle.in_text(lowering.plain_text(text))
        if needle.searchable:
            return _search(lowering, text, needle)
        part = needle.longest_part()
        exact = needle.in_text(lowering.plain_text(text))
        return sql.operation("AND", _search(lowering, text, part), exact) if part.searchable else exact

    return test


for _suffix, _ignores_case in (("", True), ("_cs", False)):
    _declare(f"contains{_suffix}", f"!contains{_suffix}", _contains(ignores_case=_ignores_case))

# has: whole terms

_INSIDE = r"[\p{L}\p{N}]"
_OUTSIDE = r"[^\p{L}\p{N}]"
_BEFORE = rf"(?:^|{_OUTSIDE})"
_BEHIND = rf"(?:$|{_OUTSIDE})"


@dataclass(frozen=True, slots=True)
class _Edges:
    """Which ends of a text must stand at the edge of a term; an end that is no letter or digit may stand anywhere."""

    left: bool
    right: bool
    ignores_case: bool

    def bind(self, text: str) -> bool:
        """Whether an end of `text` has an edge to stand at."""
        return (self.left and text[:1].isalnum()) or (self.right and text[-1:].isalnum())

    def pattern(self, text: str) -> str:
        left = _BEFORE if self.left and text[:1].isalnum() else ""
        right = _BEHIND if self.right and text[-1:].isalnum() else ""
        return ("(?i)" if self.ignores_case else "") + left + escaped(text) + right

    def pattern_of(self, text: sql.Expression) -> sql.Expression:
        """The pattern for a text that is not known before."""
        parts: list[sql.Expression] = [sql.Literal("(?i)")] if self.ignores_case else []
        if self.left:
            parts.append(_where_alphanumeric(text, rf"^{_INSIDE}", _BEFORE))
        parts.append(sql.call("regexp_escape", text))
        if self.right:
            parts.append(_where_alphanumeric(text, rf"{_INSIDE}$", _BEHIND))
        return parts[0] if len(parts) == 1 else sql.Operation("||", tuple(parts))


def _where_alphanumeric(text: sql.Expression, end: str, guard: str) -> sql.Expression:
    return sql.Case(((sql.call("regexp_matches", text, sql.Literal(end)), sql.Literal(guard)),), sql.Literal(""))


def _has(edges: _Edges) -> Test:
    contains = _contains(ignores_case=edges.ignores_case)

    def test(lowering: ScalarLowering, text: plan.Scalar, other: plan.Scalar) -> sql.Expression:
        inside = contains(lowering, text, other)
        if isinstance(other, plan.Constant) and other.of is Type.STRING:
            pattern: sql.Expression = sql.Literal(edges.pattern(str(other.value)))
            if not edges.bind(str(other.value)):
                return inside
        else:
            pattern = edges.pattern_of(lowering.plain_text(other))
        return sql.operation("AND", inside, sql.call("regexp_matches", lowering.plain_text(text), pattern))

    return test


for _name, _left, _right in (("has", True, True), ("hasprefix", True, False), ("hassuffix", False, True)):
    for _suffix, _ignores_case in (("", True), ("_cs", False)):
        _declare(f"{_name}{_suffix}", f"!{_name}{_suffix}", _has(_Edges(_left, _right, _ignores_case)))

_TERM = _Edges(left=True, right=True, ignores_case=True)
_has_term = _has(_TERM)


def _has_listed(lowering: ScalarLowering, invoke: plan.Invoke, operator: str) -> sql.Expression:
    """OR or AND over a list; an item that is null or empty is in every text."""
    text, *rest = invoke.arguments
    items, arrays = listed(rest)
    text = missing_as_empty(text, bool(arrays) or any(map(may_be_empty, items)))
    nothing = plan.Constant(Type.STRING, "")
    tests = [_has_term(lowering, text, _text_item(item) or nothing) for item in items]
    tests += [sql.call("coalesce", _has_element(lowering, text, array, negated=operator == "AND"), sql.FALSE) for array in arrays]
    if not tests:
        return sql.Literal(operator == "AND")
    found = tests[0] if len(tests) == 1 else sql.Operation(operator, tuple(tests))
    return sql.call("coalesce", found, sql.FALSE) if any(map(may_be_null, (text, *items))) else found


def _text_item(item: plan.Scalar) -> plan.Scalar | None:
    """An item as text; None for null."""
    if not isinstance(item, plan.Constant) or item.of is Type.STRING:
        return item
    return None if item.value is None else plan.Convert(item, Type.STRING)


def _has_element(lowering: ScalarLowering, text: plan.Scalar, array: plan.Scalar, *, negated: bool) -> sql.Expression:
    """Whether an element of an array is a term of the text; negated: whether none is missing."""
    element = sql.Variable("term")
    sought = sql.call("coalesce", element, sql.Literal(""))
    test: sql.Expression = sql.call("regexp_matches", lowering.plain_text(text), _TERM.pattern_of(sought))
    matching = sql.call("list_filter", texts_of(lowering, array), sql.Lambda(element.name, sql.Not(test) if negated else test))
    return sql.operation("=" if negated else ">", sql.call("len", matching), sql.Literal(0))


@custom("has_any")
def _has_any(lowering: ScalarLowering, invoke: plan.Invoke) -> sql.Expression:
    return _has_listed(lowering, invoke, "OR")


@custom("has_all")
def _has_all(lowering: ScalarLowering, invoke: plan.Invoke) -> sql.Expression:
    return _has_listed(lowering, invoke, "AND")


@custom("has_any_index")
def _has_any_index(lowering: ScalarLowering, invoke: plan.Invoke) -> sql.Expression:
    text, array = invoke.arguments
    element = sql.Variable("term")
    test = sql.call("regexp_matches", lowering.lower(text), _TERM.pattern_of(sql.call("coalesce", element, sql.Literal(""))))
    found = sql.call("list_position", sql.call("list_transform", texts_of(lowering, array), sql.Lambda(element.name, test)), sql.TRUE)
    return sql.operation("-", sql.call("coalesce", found, sql.Literal(0, wide=True)), sql.Literal(1))


# Regular expressions


def _matches(lowering: ScalarLowering, text: plan.Scalar, pattern: plan.Scalar) -> sql.Expression:
    assert isinstance(pattern, plan.Constant)
    return sql.call("regexp_matches", lowering.plain_text(text), sql.Literal(rewritten(str(pattern.value))))


def _matches_empty(pattern: plan.Scalar) -> bool:
    assert isinstance(pattern, plan.Constant)
    try:
        return re.search(rewritten(str(pattern.value)), "") is not None
    except re.error:  # a pattern of RE2 that Python cannot read
        return True


_declare("matches regex", None, _matches, _matches_empty)
