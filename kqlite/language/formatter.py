"""KQL text -> the same query, laid out in one way: an operator a line, lists and conditions broken where a line would be too long.

The formatter works on tokens. The syntax tree says only what tokens cannot: which bracket belongs to a call, and what a `=` or a `:` means.
So comments stay, every word stays as it was written, and an operator that the grammar learns tomorrow is laid out too. Only white space
changes: before the formatter gives its text it reads it again and compares the tokens and the comments.

| what | how |
|---|---|
| a pipeline | each operator on a line of its own, after `| ` |
| a subquery in brackets | on one line while it has one operator and fits, else four spaces further in |
| a list that is too long | an item a line, four spaces further in; `by` and `on` begin a line |
| a condition that is too long | broken before `or`, else before `and` |
| a call that is too long | an argument a line |
| rows of a `datatable` | a row a line |
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, fields, is_dataclass
from itertools import chain

from kqlite.language import syntax
from kqlite.language.automaton import Token
from kqlite.language.parser import tokens_of

WIDTH = 100
"""Columns after which a line is broken where it can be."""

_INDENT = 4
_EMPTY_LINE = re.compile(r"\n[ \t\r]*\n")
_CLOSING = {"(": ")", "[": "]", "{": "}"}
_PARAMETERS = ("PARAMETER", "HINT", "FLAGS")
_CLAUSES = ("BY", "ON", "WITH", "OF")
_OPERATORS = (("or",), ("and",), ("+", "-"))
"""Operators before which an expression is broken, those that bind loosest first."""


@dataclass(slots=True)
class _Atom:
    """A token, or a literal that stays as it is.

    Args:
        is_apart: Whether an empty line stands somewhere before it.
        before: The comments on the lines in front of it.
        after: The comment behind it on its line, "" where there is none.
    """

    terminal: str
    text: str
    start: int
    is_apart: bool = False
    before: list[str] = field(default_factory=list)
    after: str = ""


@dataclass(slots=True)
class _Group:
    """What stands in a pair of brackets.

    Args:
        row: How many values a row of a datatable has, 0 in any other bracket.
        is_long: Whether it wants lines of its own, however short it is: a subquery of several operators, rows of a datatable.
    """

    open: _Atom
    items: list[_Item]
    close: _Atom
    row: int = 0
    is_long: bool = field(init=False)

    def __post_init__(self) -> None:
        counts = Counter(item.text for item in self.items if isinstance(item, _Atom))
        rows = self.row and counts[","] >= self.row
        inner = any(isinstance(item, _Group) and item.is_long for item in self.items)
        self.is_long = counts["|"] > 1 or counts[";"] > 0 or bool(rows) or inner


_Item = _Atom | _Group


@dataclass(frozen=True, slots=True)
class _Hints:
    """Places in the text whose meaning tokens do not tell.

    Args:
        calls: Where the name of each called function ends.
        literals: Start and end of each `dynamic(..)`, whose inside is no KQL.
        operators: Where an operator between two values stands: a `:` there is none of a column's type.
        unary: Where a sign belongs to the one value after it.
    """

    calls: frozenset[int]
    literals: dict[int, int]
    operators: frozenset[int]
    unary: frozenset[int]


def format_query(text: str, width: int = WIDTH) -> str:
    """The query as the formatter lays it out, with a newline at its end.

    Args:
        text: A query.
        width: Columns after which a line is broken where it can be.

    Raises:
        KqlError: The text is no KQL that kqlite reads.
    """
    query, tokens = tokens_of(text)
    hints = _hints(query)
    *atoms, end = _atoms(text, tokens, hints)
    items, _ = _grouped(iter(atoms), None)
    writer = _Writer(hints, width)
    writer.statements(items, 0)
    writer.newline(0)
    writer.atom(end)
    laid_out = writer.finish()
    assert _meaning(laid_out) == _meaning(text), "the formatter has changed a query"
    return laid_out


def _meaning(text: str) -> tuple[list[str], list[str]]:
    """The words of the tokens and the comments: what formatting must not change."""
    query, tokens = tokens_of(text)
    atoms = _atoms(text, tokens, _hints(query))
    return [_plain(atom) for atom in atoms], [comment for atom in atoms for comment in (*atom.before, atom.after) if comment]


def _plain(atom: _Atom) -> str:
    """The text of a token as it is written: its inner white space has one form."""
    if atom.terminal in _PARAMETERS:
        return "".join(atom.text.split())
    return " ".join(atom.text.split()) if atom.terminal == "MATCHES" else atom.text


# From text to nested tokens


def _hints(query: syntax.Query) -> _Hints:
    calls, operators, unary, literals = set(), set(), set(), {}
    for node in _nodes(query):
        match node:
            case syntax.Call():
                calls.add(node.name_span.end)
            case syntax.DynamicLiteral():
                literals[node.span.start] = node.span.end
            case syntax.Binary():
                operators.add(node.operator_span.start)
            case syntax.Unary():
                unary.add(node.span.start)
    return _Hints(frozenset(calls), literals, frozenset(operators), frozenset(unary))


def _nodes(value: object) -> Iterator[syntax.Node]:
    waiting = [value]
    while waiting:
        node = waiting.pop()
        if isinstance(node, tuple):
            waiting.extend(node)
        elif is_dataclass(node) and isinstance(node, syntax.Node):
            yield node
            waiting.extend(getattr(node, each.name) for each in fields(node))


def _atoms(text: str, tokens: Sequence[Token], hints: _Hints) -> list[_Atom]:
    """The tokens with the comments before them; a `dynamic(..)` is one. The last one is empty and holds the comments at the end."""
    atoms: list[_Atom] = []
    end = 0
    for token in (*tokens, Token("", "", len(text), len(text))):
        if token.start < end:
            continue  # inside a dynamic
        behind, own = _comments(text[end : token.start])
        if not atoms:
            behind, own = "", [comment for comment in (behind, *own) if comment]
        else:
            atoms[-1].after = behind
        is_apart = bool(_EMPTY_LINE.search(text, end, token.start))
        atom = _Atom(token.terminal, token.text, token.start, is_apart, own)
        end = token.end
        if token.start in hints.literals:
            end = hints.literals[token.start]
            atom.text = text[token.start : end]
        atoms.append(atom)
    return atoms


def _comments(gap: str) -> tuple[str, list[str]]:
    """The comment behind a token, "" where there is none, and those on the lines after it."""
    comments = [f"//{comment.rstrip()}" if mark else "" for _, mark, comment in (line.partition("//") for line in gap.split("\n"))]
    return comments[0], [comment for comment in comments[1:] if comment]


def _grouped(atoms: Iterator[_Atom], closing: str | None) -> tuple[list[_Item], _Atom | None]:
    """The items up to the closing bracket, and that bracket."""
    items: list[_Item] = []
    for atom in atoms:
        if atom.text == closing:
            return items, atom
        opens = atom.text[-1:] if atom.terminal != "STRING" and atom.text[-1:] in _CLOSING and len(atom.text) == 1 else ""
        if not opens:
            items.append(atom)
            continue
        inner, close = _grouped(atoms, _CLOSING[opens])
        assert close is not None
        items.append(_Group(atom, inner, close, _columns(items) if opens == "[" else 0))
    return items, None


def _columns(before: Sequence[_Item]) -> int:
    """How many columns the datatable has whose values come now; 0 where it is none."""
    if len(before) < 2 or not isinstance(columns := before[-1], _Group) or not _is(before[-2], "DATATABLE"):
        return 0
    return len([part for part in _split(columns.items, ",") if part])


def _is(item: _Item, *terminals: str) -> bool:
    return isinstance(item, _Atom) and item.terminal in terminals


def _is_text(item: _Item, *texts: str) -> bool:
    return isinstance(item, _Atom) and item.text in texts


def _first(item: _Item) -> _Atom:
    return item if isinstance(item, _Atom) else item.open


def _all(items: Sequence[_Item]) -> Iterator[_Atom]:
    for item in items:
        if isinstance(item, _Atom):
            yield item
        else:
            yield item.open
            yield from _all(item.items)
            yield item.close


def _split(items: Sequence[_Item], mark: str) -> list[list[_Item]]:
    """The parts between marks; each but the first begins with its mark where that is `|`, each but the last ends with it otherwise."""
    parts: list[list[_Item]] = [[]]
    for item in items:
        if not _is_text(item, mark):
            parts[-1].append(item)
        elif mark == "|":
            parts.append([item])
        else:
            parts[-1].append(item)
            parts.append([])
    return parts


def _is_pipeline(items: Sequence[_Item]) -> bool:
    return any(_is_text(item, "|", ";") for item in items)


class _Writer:
    """The text so far. A line is begun by `newline`; comments come out in front of the token that they stand before."""

    def __init__(self, hints: _Hints, width: int) -> None:
        self._hints = hints
        self._width = width
        self._lines: list[str] = []
        self._line = ""
        self._indent = 0
        self._before: _Atom | None = None

    def finish(self) -> str:
        return "\n".join([*self._lines, self._line]).strip("\n") + "\n"

    # Pieces

    def newline(self, indent: int) -> None:
        if self._line.strip():
            self._lines.append(self._line.rstrip())
        self._line = " " * indent
        self._indent = indent

    def atom(self, atom: _Atom) -> None:
        indent = self._indent
        if self._line.strip() and (atom.before or (self._before is not None and self._before.after)):
            # A comment ends its line, even in the middle of an expression.
            self.newline(indent + _INDENT)
        for comment in atom.before:
            self._line += comment
            self.newline(self._indent)
        if self._line.strip() and self._before is not None and self._is_spaced(self._before, atom):
            self._line += " "
        *whole, last = _plain(atom).split("\n")
        for line in whole:  # of a literal with several lines
            self._lines.append(self._line + line)
            self._line = ""
        self._line += last
        if atom.after:
            self._line += f"  {atom.after}"
        self._before = atom

    def flat(self, items: Sequence[_Item]) -> None:
        for atom in _all(items):
            self.atom(atom)

    def _is_spaced(self, left: _Atom, right: _Atom) -> bool:
        """Whether a space stands between two tokens on one line."""
        if left.text in ("(", "[", ".") or right.text in (")", "]", ",", ";", "."):
            return False
        if left.terminal in _PARAMETERS or left.start in self._hints.unary:
            return False
        if ":" in (left.text, right.text):
            colon = left if left.text == ":" else right
            return colon.start in self._hints.operators
        if right.text == "(":
            ends = left.start + len(left.text)
            return not (ends in self._hints.calls or left.terminal in ("TYPEOF", "DATATABLE", "QUERY_PARAMETERS", "COUNT"))
        if right.text == "[":
            return left.text not in (")", "]") and not (left.terminal == "NAME" and right.start == left.start + len(left.text))
        return True

    def _room(self, items: Sequence[_Item], after: int = 0) -> bool:
        """Whether the items fit on this line, with so many characters after them, and have no comment or line break inside."""
        if any(isinstance(item, _Group) and item.is_long for item in items):
            return False
        length, before, is_first = len(self._line) + after, self._before if self._line.strip() else None, True
        for atom in _all(items):
            if "\n" in atom.text or (not is_first and (atom.before or (before is not None and before.after))):
                return False
            spaced = before is not None and self._is_spaced(before, atom)
            length += spaced + len(_plain(atom))
            if length > self._width:
                return False
            before, is_first = atom, False
        return True

    # Statements and pipelines

    def statements(self, items: Sequence[_Item], indent: int) -> None:
        for number, statement in enumerate(_split(items, ";")):
            if number:
                self.newline(indent)
                if statement and _first(statement[0]).is_apart:
                    self._lines.append("")
            self.pipeline(statement, indent)

    def pipeline(self, items: Sequence[_Item], indent: int) -> None:
        stages = _split(items, "|")
        is_named = bool(stages[0]) and _is(stages[0][0], "LET")
        for number, stage in enumerate(stages):
            if number:
                indent_of_stage = indent + _INDENT if is_named else indent
                self.newline(indent_of_stage)
                self.atom(_first(stage[0]))
                self.stage(stage[1:], indent_of_stage)
            elif stage:
                self.stage(stage, indent)

    def stage(self, items: Sequence[_Item], indent: int) -> None:
        """One operator with all that belongs to it. indent: of its line."""
        if not items:
            return
        if self._room(items):
            self.flat(items)
            return
        first, *clauses = _clauses(items)
        broken = self._list(first, indent)
        for clause in clauses:
            if broken or not self._room(clause) or (self._before is not None and self._before.after):
                self.newline(indent + _INDENT)
                self._list(clause, indent + _INDENT)
            else:
                self.flat(clause)

    def _list(self, items: Sequence[_Item], indent: int) -> bool:
        """A clause: its words, then its items; True where each item got a line."""
        if self._room(items):
            self.flat(items)
            return False
        head, rest = _headed(items)
        self.flat(head)
        parts = [part for part in _split(rest, ",") if part]
        if len(parts) == 1:
            self.expression(parts[0], indent)
            return False
        for part in parts:
            self.newline(indent + _INDENT)
            self.expression(part, indent + _INDENT)
        return True

    # Expressions

    def expression(self, items: Sequence[_Item], indent: int) -> None:
        if self._room(items):
            self.flat(items)
            return
        for words in _OPERATORS:
            operands = self._operands(items, words)
            if len(operands) > 1:
                for number, operand in enumerate(operands):
                    if number:
                        self.newline(indent + _INDENT)
                    # An `and` within an `or` stands further in.
                    self.expression(operand, indent + _INDENT if number or "or" in words else indent)
                return
        for number, item in enumerate(items):
            following = sum(len(atom.text) for atom in _all(items[number + 1 :]) if atom.text in (")", "]", ",", ";"))
            if isinstance(item, _Atom) or self._room([item], following):
                self.flat([item])
            else:
                self._group(item, indent)

    def _operands(self, items: Sequence[_Item], words: Sequence[str]) -> list[list[_Item]]:
        """The operands of some operators in an expression, each but the first with its operator."""
        operands: list[list[_Item]] = [[]]
        for item in items:
            is_operator = isinstance(item, _Atom) and item.text in words and item.start not in self._hints.unary
            if is_operator and operands[-1]:
                operands.append([])
            operands[-1].append(item)
        return operands

    def _group(self, group: _Group, indent: int) -> None:
        self.atom(group.open)
        inner = indent + _INDENT
        if _is_pipeline(group.items) or (group.open.text == "{"):
            self.newline(inner)
            self.statements(group.items, inner)
        else:
            parts = [part for part in _split(group.items, ",") if part]
            rows = [list(chain(*parts[start : start + group.row])) for start in range(0, len(parts), group.row)] if group.row else parts
            for row in rows:
                self.newline(inner)
                self.expression(row, inner)
        self.newline(indent)
        self.atom(group.close)


def _clauses(items: Sequence[_Item]) -> list[list[_Item]]:
    """An operator cut before `by`, `on` and the like. A `by` that comes before any list belongs to the operator: `order by`, `top 5 by`."""
    clauses: list[list[_Item]] = [[]]
    for item in items:
        is_first_by = _is(item, "BY") and len(clauses) == 1 and _is(items[0], "SORT", "ORDER", "TOP")
        if _is(item, *_CLAUSES) and not is_first_by:
            clauses.append([])
        clauses[-1].append(item)
    return clauses


def _headed(items: Sequence[_Item]) -> tuple[list[_Item], list[_Item]]:
    """The words that stand before the list of an operator or a clause, with its parameters, and the list."""
    count = int(isinstance(items[0], _Atom))
    if _is(items[0], "SORT", "ORDER", "TOP"):
        count = next((place + 1 for place, item in enumerate(items) if _is(item, "BY")), 1)
    while count < len(items) and _is(items[count], *_PARAMETERS):
        count += 2
    if _is(items[0], "LET"):
        count = 3
    return list(items[:count]), list(items[count:])
