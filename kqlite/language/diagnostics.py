"""Every message a user can get about a query: one function for each, codes by stage.

1xx syntax, 2xx names, 3xx types, 4xx KQL that kqlite does not run, 5xx the inventory. Code, span and hint are data;
`render` alone draws carets.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches

from kqlite.errors import KqliteError
from kqlite.language import habits
from kqlite.language.source import Span, line_and_column


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """One thing that is wrong with a query; span: where, in characters of the text."""

    code: str
    message: str
    span: Span
    hint: str | None = None


SHOWN = 10
"""How many diagnostics the text of an error shows: what fits on a screen."""


class KqlError(KqliteError):
    """A query that cannot run. diagnostics: what is wrong with it, in the order of the text, at least one."""

    def __init__(self, text: str, diagnostics: Sequence[Diagnostic]):
        self.text = text
        self.diagnostics = tuple(sorted(diagnostics, key=lambda diagnostic: diagnostic.span.start))
        shown = [render(text, diagnostic) for diagnostic in self.diagnostics[:SHOWN]]
        if len(self.diagnostics) > SHOWN:
            shown.append(f"and {len(self.diagnostics) - SHOWN} more")
        super().__init__("\n".join(shown))

    def __reduce__(self) -> tuple[type["KqlError"], tuple[str, tuple[Diagnostic, ...]]]:
        return KqlError, (self.text, self.diagnostics)

    @property
    def code(self) -> str:
        return self.diagnostics[0].code

    @property
    def span(self) -> Span:
        return self.diagnostics[0].span

    @property
    def hint(self) -> str | None:
        return self.diagnostics[0].hint


class Refused(Exception):
    """Carries one Diagnostic from where it was found to where they are collected; never leaves the language."""

    def __init__(self, diagnostic: Diagnostic):
        super().__init__(diagnostic.message)
        self.diagnostic = diagnostic


def render(text: str, diagnostic: Diagnostic) -> str:
    """The message, the line it is about, and carets below the place."""
    start = min(diagnostic.span.start, len(text))
    line, column = line_and_column(text, start)
    source_line = text.splitlines()[line - 1] if line <= len(text.splitlines()) else ""
    shown, offset = _window(source_line, column - 1)
    width = max(1, min(diagnostic.span.end - start, len(shown) - offset))
    number = str(line)
    hint = f" {diagnostic.hint}" if diagnostic.hint else ""
    return (
        f"error[{diagnostic.code}]: {diagnostic.message}\n"
        f"{' ' * len(number)}--> query:{line}:{column}\n"
        f"{number} | {shown}\n"
        f"{' ' * len(number)} | {_blank(shown[:offset])}{'^' * width}{hint}"
    )


def _blank(prefix: str) -> str:
    """As wide as `prefix` on a terminal that shows tabs: they stay, all else becomes a space."""
    return "".join("\t" if character == "\t" else " " for character in prefix)


def _window(line: str, column: int, width: int = 160) -> tuple[str, int]:
    """A stretch of a long line around `column`, and where the column is in it."""
    if len(line) <= width:
        return line, column
    start = max(0, min(column - width // 2, len(line) - width))
    return line[start : start + width], column - start


def did_you_mean(name: str, candidates: Iterable[str]) -> str | None:
    """A hint naming the candidate nearest to `name`, or None where none is near."""
    known = {candidate.casefold(): candidate for candidate in candidates}
    near = get_close_matches(name.casefold(), known, n=1)
    return f"did you mean `{known[near[0]]}`?" if near else None


# 1xx: syntax


def query_too_long(length: int, limit: int) -> Diagnostic:
    return Diagnostic("KQL100", f"the query has {length:,} characters, the limit is {limit:,}", Span(limit, limit + 1))


def unexpected(found: str, expected: Sequence[str], span: Span, hint: str | None = None) -> Diagnostic:
    """found, expected: in KQL words, with their backticks."""
    wanted = f"expected {' or '.join(filter(None, [', '.join(expected[:-1]), expected[-1]]))}, " if expected else ""
    return Diagnostic("KQL101", f"{wanted}found {found}", span, hint)


def unclosed_string(quote: str, span: Span) -> Diagnostic:
    return Diagnostic("KQL102", f"this string has no closing `{quote}`", span)


def unclosed_bracket(bracket: str, span: Span) -> Diagnostic:
    return Diagnostic("KQL103", f"this `{bracket}` is not closed", span)


def unknown_operator(name: str, span: Span, known: Iterable[str]) -> Diagnostic:
    return Diagnostic("KQL104", f"no operator `{name}`", span, habits.of_operator(name) or did_you_mean(name, known))


def no_such_character(character: str, span: Span, hint: str | None = None) -> Diagnostic:
    shown = f"`{character}`" if character.isprintable() and not character.isspace() else f"U+{ord(character):04X}"
    return Diagnostic("KQL105", f"{shown} has no meaning here", span, hint)


def bad_literal(type_name: str, text: str, span: Span, hint: str | None = None) -> Diagnostic:
    shown = text if len(text) <= 40 else f"{text[:40]}.."
    return Diagnostic("KQL106", f"`{shown}` is no {type_name}", span, hint)


def bad_string(reason: str, span: Span) -> Diagnostic:
    return Diagnostic("KQL107", reason, span)


def nested_too_deep(limit: int, span: Span) -> Diagnostic:
    return Diagnostic("KQL108", f"nested deeper than {limit} levels", span)


def unknown_type(name: str, span: Span, known: Iterable[str]) -> Diagnostic:
    return Diagnostic("KQL109", f"no type `{name}`", span, did_you_mean(name, known))


def not_a_name(span: Span) -> Diagnostic:
    return Diagnostic("KQL110", "only a name can stand in parentheses before `=`", span)


# 2xx: names


def unknown_column(name: str, span: Span, in_scope: Iterable[str]) -> Diagnostic:
    hint = habits.of_column(name) or did_you_mean(name, in_scope)
    return Diagnostic("KQL201", f"no column `{name}` in scope", span, hint)


UNKNOWN_TABLE = "KQL202"


def unknown_table(name: str, span: Span, known: Iterable[str]) -> Diagnostic:
    return Diagnostic(UNKNOWN_TABLE, f"no table `{name}`", span, habits.of_table(name) or did_you_mean(name, known))


def unknown_function(name: str, span: Span, known: Iterable[str]) -> Diagnostic:
    near = did_you_mean(name, (*known, *habits.BETWEEN_OPERANDS))
    return Diagnostic("KQL203", f"no function `{name}`", span, habits.of_function(name) or near)


def name_twice(name: str, span: Span) -> Diagnostic:
    return Diagnostic("KQL204", f"`{name}` is named twice", span, "a column of the result needs a name of its own")


def aggregate_outside_summarize(name: str, span: Span) -> Diagnostic:
    return Diagnostic("KQL205", f"`{name}` folds many rows into one value, which only `summarize` does", span)


def column_outside_aggregate(name: str, span: Span) -> Diagnostic:
    return Diagnostic("KQL206", f"the column `{name}` has many values here", span, f"fold it: `take_any({name})`, `max({name})`, ..")


def aggregate_within_aggregate(name: str, span: Span) -> Diagnostic:
    return Diagnostic("KQL207", f"`{name}` stands inside another aggregate", span)


def no_columns_match(pattern: str, span: Span) -> Diagnostic:
    return Diagnostic("KQL208", f"no column matches `{pattern}`", span)


def not_common(name: str, side: str, span: Span, known: Iterable[str]) -> Diagnostic:
    return Diagnostic("KQL209", f"the {side} side of the join has no column `{name}`", span, did_you_mean(name, known))


def let_twice(name: str, span: Span) -> Diagnostic:
    return Diagnostic("KQL210", f"`{name}` is bound twice by `let`", span)


def unknown_argument(function: str, name: str, span: Span, known: Iterable[str]) -> Diagnostic:
    return Diagnostic("KQL211", f"`{function}` has no parameter `{name}`", span, did_you_mean(name, known))


def used_too_often(name: str, most: int, span: Span) -> Diagnostic:
    times = "once" if most == 1 else f"{most:,} times"
    return Diagnostic("KQL212", f"`{name}` is used here, and names of this kind may be used {times} in all", span)


def row_value_in_table(name: str, span: Span) -> Diagnostic:
    return Diagnostic("KQL213", f"`{name}` depends on the row, and a table inside an expression is the same for each row", span)


def not_serialized(function: str, span: Span) -> Diagnostic:
    return Diagnostic(
        "KQL214", f"`{function}` looks at the rows around, which are in no order here", span, "`sort by` or `serialize` first"
    )


def columns_not_known(plugin: str, span: Span) -> Diagnostic:
    message = f"which columns `{plugin}` makes depends on the rows, and nothing is run here"
    return Diagnostic("KQL215", message, span, "write them down: `: (a: long, b: string)`")


# 3xx: types


def wrong_arity(name: str, given: int, signatures: str, span: Span) -> Diagnostic:
    arguments = "1 argument" if given == 1 else f"{given} arguments"
    if name == "count" and given > 1:  # the columns for which `*` stands
        return Diagnostic("KQL301", "`count` takes no columns", span, "`count()` counts rows, `countif(condition)` some of them")
    return Diagnostic("KQL301", f"`{name}` does not take {arguments}", span, f"it takes {signatures}")


def wrong_argument(name: str, parameter: str, wanted: str, found: str, span: Span, hint: str | None = None) -> Diagnostic:
    return Diagnostic("KQL302", f"`{parameter}` of `{name}` is a {wanted}, found a {found}", span, hint)


def wrong_operands(operator: str, left: str, right: str, span: Span, hint: str | None = None) -> Diagnostic:
    return Diagnostic("KQL303", f"`{operator}` does not take a {left} and a {right}", span, hint)


def wrong_operand(operator: str, found: str, span: Span, hint: str | None = None) -> Diagnostic:
    return Diagnostic("KQL304", f"`{operator}` does not take a {found}", span, hint)


def not_a_condition(found: str, span: Span) -> Diagnostic:
    return Diagnostic("KQL305", f"a condition is a bool, found a {found}", span, "compare it, or convert it with `tobool()`")


NOT_CONSTANT = "KQL306"


def not_constant(what: str, span: Span) -> Diagnostic:
    return Diagnostic(NOT_CONSTANT, f"{what} must be a constant here", span)


def wrong_constant(what: str, wanted: str, found: str, span: Span) -> Diagnostic:
    return Diagnostic("KQL318", f"{what} is a {wanted}, found a {found}", span)


def dynamic_key(operator: str, expression: str, span: Span) -> Diagnostic:
    return Diagnostic("KQL307", f"`{operator}` does not take a dynamic value", span, f"convert it first: `tostring({expression})`")


def table_for_scalar(span: Span) -> Diagnostic:
    return Diagnostic("KQL308", "a table stands where one value is expected", span)


def scalar_for_table(found: str, span: Span) -> Diagnostic:
    return Diagnostic("KQL309", f"a {found} stands where a table is expected", span)


def assignment_for_condition(name: str, span: Span) -> Diagnostic:
    return Diagnostic("KQL310", f"`{name} = ..` names a column; a condition is expected", span, "`==` compares")


def join_key_types(left: str, right: str, span: Span) -> Diagnostic:
    return Diagnostic("KQL311", f"the keys of the join are a {left} and a {right}", span, "convert one of them before the join")


def bad_regex(reason: str, span: Span) -> Diagnostic:
    return Diagnostic("KQL312", f"not a regular expression that can be run: {reason}", span)


def bad_constant(parameter: str, function: str, reason: str, span: Span) -> Diagnostic:
    return Diagnostic("KQL317", f"the `{parameter}` of `{function}` is {reason}", span)


def types_do_not_meet(name: str, found: Sequence[str], span: Span) -> Diagnostic:
    return Diagnostic(
        "KQL313", f"the values of `{name}` have no common type: {', '.join(found)}", span, "convert them to one type, as with `tostring()`"
    )


def not_expandable(found: str, span: Span) -> Diagnostic:
    return Diagnostic("KQL314", f"`mv-expand` takes a dynamic, found a {found}", span)


def wrong_count_of_values(columns: int, values: int, span: Span) -> Diagnostic:
    return Diagnostic("KQL315", f"{values} values do not fill rows of {columns} columns", span)


def out_of_range(what: str, span: Span) -> Diagnostic:
    return Diagnostic("KQL316", what, span)


def bad_parse_pattern(reason: str, span: Span) -> Diagnostic:
    return Diagnostic("KQL319", reason, span)


# 4xx: KQL that kqlite does not run


def unsupported(what: str, span: Span, hint: str | None = None) -> Diagnostic:
    return Diagnostic("KQL401", f"{what} is not supported", span, hint)


def unsupported_join_kind(kind: str, span: Span, known: Iterable[str]) -> Diagnostic:
    return Diagnostic("KQL402", f"the join kind `{kind}` is not known", span, did_you_mean(kind, known))


def unknown_parameter(operator: str, name: str, span: Span) -> Diagnostic:
    return Diagnostic("KQL403", f"`{operator}` has no parameter `{name}`", span)


def undecided(what: str, span: Span, hint: str | None = None) -> Diagnostic:
    """For what the documentation leaves open: no answer rather than a guess."""
    return Diagnostic("KQL404", f"{what}: its answer is not documented, so it is refused", span, hint)
