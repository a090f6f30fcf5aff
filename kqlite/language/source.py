"""Places in a query's text."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch of text: offsets in characters, `end` exclusive."""

    start: int
    end: int

    def to(self, other: "Span") -> "Span":
        """The stretch from the start of this one to the end of `other`."""
        return Span(self.start, other.end)


def line_and_column(text: str, offset: int) -> tuple[int, int]:
    """Line and column of `offset`, both counted from 1."""
    line_start = text.rfind("\n", 0, offset) + 1
    return text.count("\n", 0, offset) + 1, offset - line_start + 1
