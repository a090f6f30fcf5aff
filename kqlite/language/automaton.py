"""Runs the table that Lark makes of the grammar: a contextual lexer and an LALR(1) parser in one loop.

Lark's own loop gives the same verdicts (a test holds it to that), but importing Lark and preparing its lexer costs a process more time
than parsing its one query; and here every node knows its exact place and its depth, at a fraction of what
Lark's `propagate_positions` takes.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

END = "$END"
WORD = "NAME"
"""The terminal of words. Keywords are words too, and are told apart only where the state has a use for one."""

RARE = frozenset(
    """
    PATTERN LAMBDA VIEW SET QUERY_PARAMETERS
    PROJECT_AWAY PROJECT_KEEP PROJECT_RENAME PROJECT_REORDER PROJECT_BY_NAMES MV_EXPAND MV_APPLY MAKE_SERIES
    TOP TOP_NESTED TOP_HITTERS SAMPLE SAMPLE_DISTINCT PARTITION PARSE PARSE_KV FLAGS
    """.split()  # noqa: SIM905
)
"""Terminals kept out of the common expression, where each would be tried for every word; the states that have one use their own."""

Action = int
"""A state to shift to, or `~rule` to reduce by."""


@dataclass(frozen=True, slots=True)
class Rule:
    """One production. method: what builds its value, None where the value is its only child, "" where it is the list of its children.

    children: for each symbol that counts, its place, whether it is a list to be spread, and how many None come before it.
    keeps_all: whether the children are just the symbols.
    """

    origin: str
    size: int
    method: str | None
    children: tuple[tuple[int, bool, int], ...]
    trailing_nones: int
    keeps_all: bool


@dataclass(frozen=True, slots=True)
class Token:
    terminal: str
    text: str
    start: int
    end: int


@dataclass(slots=True)
class Table:
    """states: for each state what a terminal does; gotos: for each where a rule's name leads.

    terminals: (name, pattern, is it plain text), in the order of trying.
    """

    states: list[dict[str, Action]]
    gotos: list[dict[str, int]]
    rules: list[Rule]
    start: int
    end: int
    terminals: list[tuple[str, str, bool]]
    ignored: frozenset[str]
    lexer: "Lexer" = field(init=False)

    def __post_init__(self) -> None:
        self.lexer = Lexer(self)

    def takes(self, stack: Sequence[int], terminal: str) -> bool:
        """Whether a parser with this stack of states would shift `terminal` (or end)."""
        states = list(stack)
        while (action := self.states[states[-1]].get(terminal)) is not None:
            if action >= 0:
                return True
            rule = self.rules[~action]
            del states[len(states) - rule.size :]
            states.append(self.gotos[states[-1]][rule.origin])
            if terminal == END and states[-1] == self.end:
                return True
        return False

    def expected(self, stack: Sequence[int]) -> set[str]:
        """The terminals that may come next; exact, while a state's own list also holds reductions that lead nowhere."""
        return {terminal for terminal in self.states[stack[-1]] if self.takes(stack, terminal)}


class Lexer:
    """Reads one token, for a state. One expression of all is tried first: compiling one for each state costs more than parsing."""

    def __init__(self, table: Table):
        self._states = table.states
        self._terminals = [terminal for terminal in table.terminals if terminal[0] not in table.ignored]
        self._skipped = "|".join(pattern for name, pattern, _ in table.terminals if name in table.ignored)
        word = re.compile(next(pattern for name, pattern, _ in table.terminals if name == WORD))
        plain = [(name, pattern) for name, pattern, is_plain in self._terminals if is_plain]
        self.keywords = {text: name for name, text in plain if word.fullmatch(text)}
        self.punctuation = {text: name for name, text in plain if text not in self.keywords}
        self.match, self.groups = self._compile({name for name, _, _ in self._terminals} - RARE)
        self.narrow_states = frozenset(state for state, row in enumerate(table.states) if not RARE.isdisjoint(row))
        self._narrow: dict[int, tuple[Callable[[str, int], re.Match[str] | None], list[str | None]]] = {}
        self._compiled: dict[frozenset[str], tuple[Callable[[str, int], re.Match[str] | None], list[str | None]]] = {}

    def _compile(self, names: set[str]) -> tuple[Callable[[str, int], re.Match[str] | None], list[str | None]]:
        """An expression for these terminals after what is skipped, and the terminal of each group; None is punctuation."""
        patterns = [(name, pattern) for name, pattern, is_plain in self._terminals if not is_plain and name in names]
        marks = sorted((text for text, name in self.punctuation.items() if name in names), key=len, reverse=True)
        alternatives = [f"({pattern})" for _, pattern in patterns] + [f"({'|'.join(map(re.escape, marks)) or '(?!)'})", r"(\Z)"]
        # `*+` takes nothing back: with `*`, spaces before something that is no token are tried in every possible division.
        expression = re.compile(f"(?:{self._skipped})*+(?:{'|'.join(alternatives)})")
        return expression.match, [None, *(name for name, _ in patterns), None, END]

    def narrow(self, text: str, position: int, state: int) -> Token | None:
        """The token by the state's own terminals alone, and words; None where no such thing stands."""
        row = self._states[state]
        if state not in self._narrow:
            names = frozenset(row) | {WORD}
            if names not in self._compiled:
                self._compiled[names] = self._compile(set(names))
            self._narrow[state] = self._compiled[names]
        match, groups = self._narrow[state]
        return self._token(match(text, position), groups, row)

    def read(self, text: str, position: int) -> Token | None:
        """The token by all terminals, whatever may stand here: what an error message shows."""
        return self._token(self.match(text, position), self.groups, {})

    def skip(self, text: str, position: int) -> int:
        """Where the next token begins, or whatever else stands after white space and comments."""
        found = re.compile(f"(?:{self._skipped})*+").match(text, position)
        return found.end() if found else position

    def _token(self, match: re.Match[str] | None, groups: list[str | None], row: dict[str, Action]) -> Token | None:
        if match is None:
            return None
        group = match.lastindex or 0
        text = match[group]
        terminal = groups[group] or self.punctuation[text]
        if terminal == WORD and (keyword := self.keywords.get(text)) in row:
            terminal = keyword or terminal
        return Token(terminal, text, match.start(group), match.end())


class TooDeep(Exception):
    """Something is nested deeper than the limit; start and end of it."""

    def __init__(self, start: int, end: int):
        super().__init__(start, end)
        self.start = start
        self.end = end


Build = Callable[[list[Any], int, int], Any]
"""Makes the value of a rule: its children, and where it starts and ends. Any: a table of methods cannot say what each of them takes."""


class Automaton:
    """One parse: the stacks, and the loop over the text. It stops at a token that does not fit, and goes on when the stacks are mended."""

    def __init__(self, table: Table, text: str, builder: object, max_depth: int, trace: list[Token] | None = None):
        """trace: where each token goes that is read; None for nowhere."""
        self._trace = trace
        self.table = table
        self.text = text
        self.position = 0
        self.states = [table.start]
        self.states_before = self.states
        """The states as they were before the token that does not fit; reductions on the way to that answer narrow what seems expected."""
        self._values: list[Any] = []
        self._starts: list[int] = []
        self._ends: list[int] = []
        self._depths: list[int] = []
        self._max_depth = max_depth
        self._max_stack = max_depth * 20  # A level of any construct stands on fewer symbols; so endless open brackets stop early.
        self._build: list[Build | None] = [getattr(builder, rule.method) if rule.method else None for rule in table.rules]

    def run(self) -> Any:
        """The value of the whole text, or the Token that does not fit (terminal "" where it is no token at all)."""
        table, text = self.table, self.text
        rows, gotos, rules, lexer = table.states, table.gotos, table.rules, table.lexer
        match, groups, keywords, punctuation, narrow_states = (
            lexer.match,
            lexer.groups,
            lexer.keywords,
            lexer.punctuation,
            lexer.narrow_states,
        )
        states, values, starts, ends, depths = self.states, self._values, self._starts, self._ends, self._depths
        end_state, max_stack, trace = table.end, self._max_stack, self._trace
        state = states[-1]
        while True:
            row = rows[state]
            found = match(text, self.position)
            if found is None or state in narrow_states:
                token = lexer.narrow(text, self.position, state)
                if token is None:
                    return self._misfit(states)
                terminal, word, start, end = token.terminal, token.text, token.start, token.end
            else:
                group = found.lastindex or 0
                word = found[group]
                end = found.end()
                start = end - len(word)
                terminal = groups[group] or punctuation[word]
                if terminal == WORD and word in keywords and keywords[word] in row:
                    terminal = keywords[word]
                if terminal not in row:
                    token = lexer.narrow(text, self.position, state)
                    if token is None or token.terminal not in row:
                        return self._misfit(states)
                    terminal, word, start, end = token.terminal, token.text, token.start, token.end
            if terminal == END:
                start = end = ends[-1] if ends else 0
            action = row.get(terminal)
            before = states[:] if action is not None and action < 0 else states
            while action is not None and action < 0:
                rule = rules[~action]
                if rule.method is None and rule.size == 1:
                    states[-1] = state = gotos[states[-2]][rule.origin]
                else:
                    self._reduce(rule, self._build[~action], start)
                    state = states[-1]
                if terminal == END and state == end_state:
                    return values[-1]
                action = rows[state].get(terminal)
            if action is None:
                return self._misfit(before)
            if trace is not None:
                trace.append(Token(terminal, word, start, end))
            state = action
            states.append(state)
            values.append(word)
            starts.append(start)
            ends.append(end)
            depths.append(0)
            self.position = end
            if len(states) > max_stack:
                raise TooDeep(start, end)

    def _reduce(self, rule: Rule, build: Build | None, position: int) -> None:
        """Puts the rule's value in the place of its symbols. position: where an empty rule stands."""
        values, starts, ends, depths, states = self._values, self._starts, self._ends, self._depths, self.states
        base = len(values) - rule.size
        start, end, depth = (starts[base], ends[-1], max(depths[base:])) if rule.size else (position, position, 0)
        children = values[base:] if rule.keeps_all else _children(rule, values, base)
        del values[base:], starts[base:], ends[base:], depths[base:], states[base + 1 :]
        if build is not None:
            depth += 1
            if depth > self._max_depth:
                raise TooDeep(start, end)
            value = build(children, start, end)
        else:
            value = children[0] if rule.method is None else children
        values.append(value)
        starts.append(start)
        ends.append(end)
        depths.append(depth)
        states.append(self.table.gotos[states[-1]][rule.origin])

    def _misfit(self, before: list[int]) -> Token:
        """The next token as it would be read anywhere. before: the states when it came."""
        self.states_before = before[:]
        token = self.table.lexer.read(self.text, self.position)
        if token is None:
            start = self.table.lexer.skip(self.text, self.position)
            return Token("", self.text[start : start + 1], start, start + 1)
        if token.terminal == END:
            end = self._ends[-1] if self._ends else 0
            return Token(END, "", end, end)
        return token

    def drop_until(self, terminal: str, position: int) -> bool:
        """Takes back what has been read until `terminal` fits, and goes on at `position`; False where it fits nowhere."""
        for height in range(len(self.states), 0, -1):
            if self.table.takes(self.states[:height], terminal):
                del (
                    self.states[height:],
                    self._values[height - 1 :],
                    self._starts[height - 1 :],
                    self._ends[height - 1 :],
                    self._depths[height - 1 :],
                )
                self.position = position
                return True
        return False

    def read_backwards(self) -> Iterator[tuple[Any, int, int]]:
        """What has been read and not yet been put together, last first: value, start, end."""
        return zip(reversed(self._values), reversed(self._starts), reversed(self._ends), strict=True)


def _children(rule: Rule, values: list[Any], base: int) -> list[Any]:
    children: list[Any] = []
    for place, is_list, nones in rule.children:
        if nones:
            children += [None] * nones
        value = values[base + place]
        if not is_list:
            children.append(value)
        elif children:
            children += value
        else:
            # Each list has one owner, so the first grows in place: a long list built from the left would be copied at each item otherwise.
            children = value
    if rule.trailing_nones:
        children += [None] * rule.trailing_nones
    return children
