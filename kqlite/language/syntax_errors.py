"""What is said about a token that does not fit, and where to go on after it."""

import re
from collections.abc import Callable

from kqlite.language import diagnostics, habits
from kqlite.language.automaton import END, Automaton, Table, Token
from kqlite.language.diagnostics import Diagnostic, did_you_mean
from kqlite.language.source import Span


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


OTHER_OPERATORS = _words("""
    assert-schema execute-and-cache externaldata facet find fork graph-mark-components graph-match graph-merge graph-shortest-paths
    graph-to-table graph-where-edges graph-where-nodes inline macro-expand make-graph materialize partition-by reduce scan
""")
"""Operators of KQL that the grammar does not have."""

_UNSUPPORTED_SOURCES = _words("externaldata evaluate graph macro-expand")
_UNSUPPORTED_STATEMENTS = _words("declare alias restrict")

# What a terminal is in KQL words, where its own text or its name (`PROJECT_AWAY` is `project-away`) does not say it.
WORDS = {
    "NAME": "a name",
    "STRING": "a string",
    "INT": "a whole number",
    "REAL": "a number",
    "TIMESPAN": "a timespan",
    "TYPED": "a literal such as `datetime(2024-01-01)`",
    "DYNAMIC": "`dynamic(`",
    "SIGN": "`-`",
    "MATCHES": "a string operator such as `contains`",
    "AMONG": "`in`",
    "BETWEEN": "`between`",
    "EQUALS": "`==`",
    "ORDERS": "`<`",
    "QUERY_PARAMETERS": "`declare query_parameters`",
    "LAMBDA": "`(`",
    "GRANNY": "`granny-asc`",
    "PARAMETER": "a parameter such as `kind=`",
    "FLAGS": "a parameter such as `flags=`",
    "HINT": "a hint",
    "PATTERN": "a name with `*`",
    END: "the end of the query",
}

_LITERAL_WORDS = _words("STRING INT REAL TIMESPAN TYPED DYNAMIC SIGN TRUE FALSE TITLE_TRUE TITLE_FALSE UPPER_TRUE UPPER_FALSE")
_OPERAND_WORDS = _LITERAL_WORDS | _words("NAME STAR TYPEOF PRINT RANGE DATATABLE SEARCH FIND UNION LPAR LSQB")
_JSON_WORDS = _LITERAL_WORDS | _words("NULL LSQB LBRACE")
_AFTER_OPERAND = _words("MATCHES AMONG BETWEEN EQUALS ORDERS SIGN STAR SLASH PERCENT COLON AND OR DOT LSQB LPAR EQUAL")
_STATEMENT_WORDS = _words("LET SET QUERY_PARAMETERS VBAR")


def _phrases(operators: frozenset[str]) -> tuple[tuple[set[str] | frozenset[str], set[str] | frozenset[str], str], ...]:
    """Where all of the first are expected, the phrase is said, and none of the second beside it."""
    return (
        ({"LET", "NAME"}, _OPERAND_WORDS | operators | _STATEMENT_WORDS, "a table, a value or an operator"),
        ({"STRING", "NULL", "LBRACE"}, _JSON_WORDS, "a JSON value"),
        ({"NAME", "STRING", "INT", "TYPEOF"}, _OPERAND_WORDS, "an expression"),
        ({"WHERE", "EXTEND", "TAKE"}, operators, "an operator such as `where`"),
        ({"EQUALS", "AND", "OR"}, _AFTER_OPERAND, "an operator such as `==`"),
        ({"AND", "OR"}, _AFTER_OPERAND, "`and`"),
        ({"SIGN", "STAR"}, _AFTER_OPERAND, "an operator such as `+`"),
        ({"DOT", "LSQB"}, {"DOT", "LSQB", "LPAR"}, ""),
    )


_CONTINUATIONS = ("an operator such as `==`", "`and`", "an operator such as `+`")
"""Said last: they are what a user knows, and the closing bracket or the `by` that is missing is not."""

_CLOSING = {"(": ")", "[": "]", "{": "}"}

# Steps over what hides brackets; a bracket, `|`, `;` or the rest of a broken string is what it stops at.
_LANDMARK = re.compile(
    r"//[^\r\n]*"
    r'|[hH]?(?:"(?:[^"\\\r\n]|\\.)*"|\'(?:[^\'\\\r\n]|\\.)*\'|@"(?:[^"\r\n]|"")*"|@\'(?:[^\'\r\n]|\'\')*\'|```[\s\S]*?```|~~~[\s\S]*?~~~)'
    r"|[()\[\]{}|;]"
)
_CHARACTERS = {"!": "`not(..)` negates", "&": "`and` joins conditions", "`": "a text stands in `'..'` or `\"..\"`, a name in `['..']`"}
_WORD = re.compile(r"\s*([\w-]+)")


def operator_terminals(table: Table) -> frozenset[str]:
    """The terminals with which a stage of a query may begin."""
    parsed = Automaton(table, "T |", _Nothing(), 10)
    parsed.run()
    return frozenset(table.expected(parsed.states_before))


OTHER_SPELLINGS = frozenset({"mvexpand", "parse-where"})
"""Words of operators whose terminals have another name."""


def operator_words(table: Table) -> frozenset[str]:
    """The words with which a stage of a query may begin."""
    names = {name: text for text, name in table.lexer.keywords.items()}
    return OTHER_SPELLINGS.union(names.get(terminal) or _word_of(terminal) for terminal in operator_terminals(table))


def _word_of(terminal: str) -> str:
    return terminal.lower().replace("_", "-")


class _Nothing:
    """Builds nothing of what is read."""

    def __getattr__(self, method: str) -> Callable[..., None]:
        return lambda children, start, end: None


class SyntaxErrors:
    """The errors of one text, as its parser meets them."""

    def __init__(self, automaton: Automaton):
        self._automaton = automaton
        self._text = automaton.text
        self._lexer = automaton.table.lexer
        self._operators = operator_words(automaton.table)
        self._phrases_said = _phrases(operator_terminals(automaton.table))
        self._names = {name: text for text, name in (self._lexer.keywords | self._lexer.punctuation).items()}
        self._resume_at: int | None = 0
        self._resume_marks = "|;)]}"
        self.refused_from = len(self._text) + 1
        """Where the last error refuses a whole stage or statement, the start of it; else behind the text."""

    def describe(self, token: Token) -> Diagnostic:
        """The diagnostic for a token that does not fit; decides where `go_on` will look for the next stage."""
        span = Span(token.start, token.end)
        self._resume_at, self._resume_marks, self.refused_from = token.start, "|;)]}", len(self._text) + 1
        if token.terminal == "":
            return self._unreadable(token, span)
        if refusal := self._unsupported(token, span):
            return refusal
        expected = self._automaton.table.expected(self._automaton.states_before)
        if token.terminal == END:
            self._resume_at = None
            if bracket := self._open_bracket(expected):
                return bracket
        if "WHERE" in expected and "NAME" not in expected and (word := self._word_at(token.start)):
            return diagnostics.unknown_operator(word, Span(token.start, token.start + len(word)), self._operators)
        found = "the end of the query" if token.terminal == END else f"`{_shortened(token.text)}`"
        return diagnostics.unexpected(found, self._phrases(expected), span, self._hint(token, expected))

    def go_on(self) -> bool:
        """Brings the parser to the next stage, statement or closing bracket after the error; False where there is none it takes."""
        if self._resume_at is None:
            return False
        position = self._next_mark(self._resume_at, self._resume_marks)
        if position is None:
            return False
        if self._resume_marks == ";":
            # Past a whole statement: the next one begins where `let` might.
            return self._automaton.drop_until("LET", position + 1)
        return self._automaton.drop_until(self._lexer.punctuation[self._text[position]], position)

    def _unreadable(self, token: Token, span: Span) -> Diagnostic:
        """Something at which no token begins."""
        self._resume_at = None
        mark = next((mark for mark in ("```", "~~~", '"', "'") if self._text.startswith(mark, token.start)), None)
        if token.text == "@" and self._text[token.end : token.end + 1] in ('"', "'"):
            mark = self._text[token.end]
        if mark is None:
            return diagnostics.no_such_character(token.text, span, _CHARACTERS.get(token.text))
        line_end = re.compile(r"[\r\n]|\Z").search(self._text, token.start)
        end = line_end.start() if line_end else token.end
        broken = re.compile(r"\"(?:[^\"\\\r\n]|\\.)*\"|'(?:[^'\\\r\n]|\\.)*'").match(self._text, token.start)
        return diagnostics.unclosed_string(mark, Span(token.start, broken.end() if broken else end))

    def _unsupported(self, token: Token, span: Span) -> Diagnostic | None:
        """The refusal where what does not fit is KQL that kqlite does not run."""
        word = self._word_at(token.start)
        if word in OTHER_OPERATORS and self._text[: token.start].rstrip().endswith("|"):
            return diagnostics.unsupported(f"the operator `{word}`", Span(token.start, token.start + len(word)))
        start = self._statement_start(token.start)
        if start == token.start and token.terminal != END and self._automaton.table.expected(self._automaton.states_before) == {END}:
            self._resume_at = None
            return diagnostics.unsupported("a second query in one text", span)
        first = self._word_at(start)
        if self._text.startswith(("{{", "."), start):
            self._resume_at = None
            what = "a shared query `{{..}}`" if self._text[start] == "{" else "a management command"
            return diagnostics.unsupported(what, Span(start, max(token.end, start + 1)))
        if first in _UNSUPPORTED_STATEMENTS:
            self._resume_at, self._resume_marks, self.refused_from = start, ";", start
            return diagnostics.unsupported(f"the statement `{first}`", Span(start, start + len(first)))
        stage = self._stage_start(token.start)
        first = self._word_at(stage)
        if first in _UNSUPPORTED_SOURCES and not self._text[:stage].rstrip().endswith("|"):
            self._resume_at = self.refused_from = stage
            return diagnostics.unsupported(f"the operator `{first}`", Span(stage, stage + len(first)))
        return None

    def _open_bracket(self, expected: set[str]) -> Diagnostic | None:
        """The bracket that the end of the text leaves open, where closing it would have been right."""
        place, _ = self._levels(len(self._text))[-1]
        if place < 0 or self._lexer.punctuation[_CLOSING[self._text[place]]] not in expected:
            return None
        return diagnostics.unclosed_bracket(self._text[place], Span(place, place + 1))

    def _levels(self, end: int) -> list[tuple[int, int]]:
        """For each level at `end`, from the outside: its bracket (-1 for the text itself), and where its last stage begins."""
        levels = [(-1, 0)]
        for landmark in _LANDMARK.finditer(self._text, 0, end):
            mark = landmark[0]
            if mark in _CLOSING:
                levels.append((landmark.start(), landmark.end()))
            elif mark in ")]}" and len(levels) > 1:
                levels.pop()
            elif mark in "|;":
                levels[-1] = (levels[-1][0], landmark.end())
        return levels

    def _stage_start(self, end: int) -> int:
        return self._lexer.skip(self._text, self._levels(end)[-1][1])

    def _statement_start(self, end: int) -> int:
        start, depth = 0, 0
        for landmark in _LANDMARK.finditer(self._text, 0, end):
            depth += (landmark[0] in _CLOSING) - (landmark[0] in ")]}")
            if landmark[0] == ";" and depth <= 0:
                start = landmark.end()
        return self._lexer.skip(self._text, start)

    def _next_mark(self, position: int, marks: str) -> int | None:
        """The next of `marks` on the level of `position`; a bracket that closes more than was opened since ends the search."""
        depth = 0
        for landmark in _LANDMARK.finditer(self._text, position):
            mark = landmark[0]
            if mark in _CLOSING:
                depth += 1
            elif depth == 0 and mark in marks:
                return landmark.start()
            elif mark in ")]}":
                if depth == 0:
                    return None
                depth -= 1
        return None

    def _word_at(self, position: int) -> str:
        match = _WORD.match(self._text, position)
        return match[1] if match and match.start(1) == position else ""

    def _hint(self, token: Token, expected: set[str]) -> str | None:
        """For what is often meant: a query whose first word is an operator misspelt, `[1, 2]`, `{a: 1}`, a second `=`."""
        if expected == {"STRING"}:
            return "`dynamic([..])` is an array"
        if expected == {"STRING", "RBRACE"}:
            return "the name of a member is a string"
        if token.text == "=":
            return "`==` compares"
        if token.text == "[" and re.search(r"\b(?:in~?|has_any|has_all)\s*\Z", self._text[: token.start]):
            return "a list stands in parentheses: `in ('a', 'b')`"
        if token.text == "|" and self._text[: token.start].endswith("|"):
            return "`or` joins conditions"
        if token.terminal == END and "LET" in expected and self._text.rstrip().endswith(";"):
            return "a query follows: `let x = 5; print x`"
        if re.search(r"\bnot\s+\Z", self._text[: token.start]):
            return "`not(..)` negates"
        if self._word_at(self._stage_start(token.start)).lower() == "select":
            return habits.WORDS["from"]
        if habit := habits.of_word(token.text):
            return habit
        stage = self._stage_start(token.start)
        first = self._word_at(stage)
        between = self._text[stage + len(first) : token.start]
        return did_you_mean(first, self._operators) if first and first not in self._operators and between and not between.strip() else None

    def _phrases(self, expected: set[str]) -> list[str]:
        """What may come next, in KQL words, the most telling first."""
        left = set(expected)
        if END in left:
            left.discard("SEMICOLON")
        phrases = []
        for signs, covered, phrase in self._phrases_said:
            if signs <= left:
                left -= covered
                phrases.append(phrase)
        if phrases or len(left) > 1:
            left.discard("HINT")
        words = sorted({self.word(terminal) for terminal in left}, key=_marks_last)
        starts = [phrase for phrase in phrases if phrase and phrase not in _CONTINUATIONS]
        return starts + words + [phrase for phrase in phrases if phrase in _CONTINUATIONS]

    def word(self, terminal: str) -> str:
        return WORDS.get(terminal) or f"`{self._names.get(terminal) or _word_of(terminal)}`"


def deepest_place(text: str, start: int, end: int) -> Span:
    """Where a stretch that is too deep is deepest: its innermost bracket, or its end for a long path such as `a.b.c`."""
    depth, deepest, place = 0, 10, end - 1
    for landmark in _LANDMARK.finditer(text, start, end):
        depth += (landmark[0] in _CLOSING) - (landmark[0] in ")]}")
        if depth > deepest:
            deepest, place = depth, landmark.start()
    return Span(place, place + 1)


def _marks_last(phrase: str) -> tuple[bool, str]:
    return (not phrase.strip("`")[:1].isalpha(), phrase)


def _shortened(text: str) -> str:
    line = text.splitlines()[0] if text else ""
    return line if len(line) <= 40 and line == text else f"{line[:40]}.."
