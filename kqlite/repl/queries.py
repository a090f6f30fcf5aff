"""Where a query that is typed over several lines ends."""

import re
from collections.abc import Iterable, Iterator

_STATEMENT = re.compile(r"(?:let|set|declare)\b")
_PIECE = re.compile(
    r"//[^\n]*|\"(?:[^\"\\\n]|\\.)*\"|'(?:[^'\\\n]|\\.)*'|```.*?```|;|[^;\"'/`]+|.",
    re.DOTALL,
)
"""A comment, a string, a `;`, or what lies between them."""


def is_complete(typed: str) -> bool:
    """Whether Enter, pressed at the end of `typed`, ends the query: after a `;`, on a blank line, or after a command.

    The `;` of a `let`, `set` or `declare` ends nothing: the query follows it.
    """
    if not typed.strip() or typed.startswith("\\"):
        return True
    if not typed.rpartition("\n")[2].strip():
        return True
    return typed.rstrip().endswith(";") and not _STATEMENT.match(_last_statement(typed))


def _last_statement(typed: str) -> str:
    """The text between the last two `;`, from its first character that is neither space nor comment."""
    statement = ""
    for piece in _PIECE.findall(typed.rstrip().removesuffix(";")):
        if piece == ";":
            statement = ""
        elif not piece.startswith("//"):
            statement += piece if statement else piece.lstrip()
    return statement


def cleaned(typed: str) -> str:
    """The query without what ended it."""
    return typed.strip().removesuffix(";").rstrip()


def split(lines: Iterable[str]) -> Iterator[str]:
    """The queries in `lines`, in order; the end of the input ends the last one."""
    typed = ""
    for line in lines:
        typed += line
        if is_complete(typed.removesuffix("\n")):
            if cleaned(typed):
                yield cleaned(typed)
            typed = ""
    if cleaned(typed):
        yield cleaned(typed)
