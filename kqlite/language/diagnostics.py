"""Every message a user can get about a query: one function for each, codes by stage.

1xx syntax, 2xx names, 3xx types, 4xx KQL that kqlite does not run, 5xx the inventory. Code, span and hint are data; `render` alone draws carets.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches

from kqlite.errors import KqliteError
from kqlite.language.source import Span, line_and_column


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """One thing that is wrong with a query; span: where, in characters of the text."""

    code: str
    message: str
    span: Span
    hint: str | None = None


class KqlError(KqliteError):
    """A query that cannot run. diagnostics: what is wrong with it, in the order of the text, at least one."""

    def __init__(self, text: str, diagnostics: Sequence[Diagnostic]):
        self.text = text
        self.diagnostics = tuple(sorted(diagnostics, key=lambda diagnostic: diagnostic.span.start))
        super().__init__("\n".join(render(text, diagnostic) for diagnostic in self.diagnostics))

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
