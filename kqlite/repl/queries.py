"""Where a query that is typed over several lines ends."""

from collections.abc import Iterable, Iterator


def is_complete(typed: str) -> bool:
    """Whether Enter, pressed at the end of `typed`, ends the query: after a `;`, on a blank line, or after a command."""
    if not typed.strip() or typed.startswith("\\") or typed.rstrip().endswith(";"):
        return True
    return not typed.rpartition("\n")[2].strip()


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
