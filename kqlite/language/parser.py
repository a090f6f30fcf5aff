"""Text -> syntax tree. The only module that imports Lark, which makes the parser's table from `grammar/kql.lark`.

The wheel holds the table beside the grammar, so that an installed kqlite neither imports Lark nor builds anything; in a checkout the table
is built at the first parse (0.5 s) and kept for the process. Nothing is written.
"""

import json
from collections.abc import Iterator
from functools import cache
from typing import TYPE_CHECKING, Any

from kqlite.bundled import bundled
from kqlite.language import diagnostics, syntax
from kqlite.language.automaton import END, Automaton, Rule, Table, Token, TooDeep
from kqlite.language.diagnostics import Diagnostic, KqlError
from kqlite.language.tree_builder import TreeBuilder

if TYPE_CHECKING:
    from lark.grammar import Rule as LarkRule

MAX_LENGTH = 1_000_000
"""Characters of a query; more is refused unread."""

MAX_DEPTH = 200
"""Levels of a syntax tree. Real queries have 32 at most, and whoever walks the tree has five Python frames for each."""

MOST_ERRORS = 5
"""Diagnostics of one query. A missing bracket moves the level of all that follows, so that more of them would say little."""

FORMAT = 1
"""Of a saved table; raise it when what `save_table` writes means something else."""

GRAMMAR = "grammar/kql.lark"
TABLE = "grammar/kql.table"


def parse(text: str) -> syntax.Query:
    """The syntax tree of a query.

    Raises KqlError with up to MOST_ERRORS diagnostics: what is no KQL (1xx), and what is KQL and kqlite does not run (4xx).
    """
    return _parse(text, None)


def tokens_of(text: str) -> tuple[syntax.Query, list[Token]]:
    """The syntax tree of a query and its tokens in order, comments left out. Raises as `parse` does."""
    tokens: list[Token] = []
    return _parse(text, tokens), tokens


def _parse(text: str, trace: list[Token] | None) -> syntax.Query:
    if len(text) > MAX_LENGTH:
        raise KqlError(text, [diagnostics.query_too_long(len(text), MAX_LENGTH)])
    builder = TreeBuilder(text)
    automaton = Automaton(table(), text, builder, MAX_DEPTH, trace)
    found = builder.diagnostics
    try:
        query = _run(automaton, found)
    except TooDeep as deep:
        from kqlite.language.syntax_errors import deepest_place

        found.append(diagnostics.nested_too_deep(MAX_DEPTH, deepest_place(text, deep.start, deep.end)))
        query = None
    if found or query is None:
        raise KqlError(text, sorted(found, key=lambda diagnostic: diagnostic.span.start)[:MOST_ERRORS])
    return query


def _run(automaton: Automaton, found: list[Diagnostic]) -> syntax.Query | None:
    """The tree, or None where the parser could not go on; what it met on the way goes to `found`."""
    result = automaton.run()
    if isinstance(result, syntax.Query):
        return result
    # Imported when it is needed: most queries are right.
    from kqlite.language.syntax_errors import SyntaxErrors

    errors = SyntaxErrors(automaton)
    while not isinstance(result, syntax.Query):
        diagnostic = errors.describe(result)
        # What is refused as a whole is not looked into.
        found[:] = [other for other in found if other.span.start < errors.refused_from]
        found.append(diagnostic)
        if len(found) >= MOST_ERRORS or not errors.go_on():
            return None
        result = automaton.run()
    return result


@cache
def table() -> Table:
    """The parser's table: as saved with the package where that fits the grammar, else built."""
    grammar = bundled(GRAMMAR).read_text(encoding="utf-8")
    saved = bundled(TABLE)
    return (load_table(saved.read_bytes(), grammar) if saved.exists() else None) or build_table(grammar)


def save_table(grammar: str) -> bytes:
    """The table of a grammar as bytes, with what it was made from."""
    made = build_table(grammar)
    rows = _shared(made.states)
    gotos = _shared(made.gotos)
    return json.dumps(
        {
            "format": FORMAT,
            "grammar": grammar,
            "states": rows,
            "gotos": gotos,
            "rules": [[rule.origin, rule.size, rule.method, rule.children, rule.trailing_nones, rule.keeps_all] for rule in made.rules],
            "start": made.start,
            "end": made.end,
            "terminals": made.terminals,
            "ignored": sorted(made.ignored),
        },
        separators=(",", ":"),
    ).encode()


def load_table(saved: bytes, grammar: str) -> Table | None:
    """A saved table, or None where it was made from another grammar or in another format."""
    data = json.loads(saved)
    if data["format"] != FORMAT or data["grammar"] != grammar:
        return None
    return Table(
        states=_unshared(data["states"]),
        gotos=_unshared(data["gotos"]),
        rules=[Rule(*fields) for fields in data["rules"]],
        start=data["start"],
        end=data["end"],
        terminals=data["terminals"],
        ignored=frozenset(data["ignored"]),
    )


def _shared(rows: list[dict[str, int]]) -> list[Any]:
    """Rows, each different one once, and then which of them each state has."""
    numbers: dict[str, int] = {}
    places = [numbers.setdefault(json.dumps(row, sort_keys=True), len(numbers)) for row in rows]
    return [[json.loads(row) for row in numbers], places]


def _unshared(shared: list[Any]) -> list[dict[str, int]]:
    rows, places = shared
    return [rows[place] for place in places]


def build_table(grammar: str, strict: bool = False) -> Table:
    """The table of a grammar. strict: refuse one with a conflict, for which the package `interegular` is needed."""
    from lark import Lark
    from lark.parsers.lalr_analysis import Shift

    lark = Lark(grammar, start="query", parser="lalr", lexer="contextual", maybe_placeholders=True, strict=strict)
    # Lark has no public name for its table; `Lark.save` writes the same and needs Lark to be read.
    made = lark.parser.parser._parse_table
    rules = {rule: number for number, rule in enumerate(lark.rules)}
    terminals = {terminal.name for terminal in lark.terminals} | {END}
    start = made.start_states["query"]
    # Lark numbers states by the order of sets; this order makes the same grammar the same table.
    order = {start: 0}
    states: list[dict[str, int]] = []
    gotos: list[dict[str, int]] = []
    for state in _in_order(order):
        row, goto = {}, {}
        for symbol, (action, argument) in sorted(made.states[state].items(), key=lambda item: str(item[0])):
            if action is not Shift:
                row[str(symbol)] = ~rules[argument]
            elif symbol in terminals:
                row[str(symbol)] = order.setdefault(argument, len(order))
            else:
                goto[str(symbol)] = order.setdefault(argument, len(order))
        states.append(row)
        gotos.append(goto)
    # Lark's own order of trying: priority, then what can be longest.
    ordered = sorted(lark.terminals, key=lambda t: (-t.priority, -t.pattern.max_width, -len(t.pattern.value), t.name))
    return Table(
        states=states,
        gotos=gotos,
        rules=[_rule(rule) for rule in lark.rules],
        start=order[start],
        end=order[made.end_states["query"]],
        terminals=[(t.name, t.pattern.value, t.pattern.type == "str") for t in ordered],
        ignored=frozenset(lark.ignore_tokens),
    )


def _in_order(numbered: dict[int, int]) -> Iterator[int]:
    """The keys by their numbers, those too which are added on the way."""
    seen: set[int] = set()
    while more := [key for key in numbered if key not in seen]:
        seen.update(more)
        yield from more


def _rule(rule: "LarkRule") -> Rule:
    """What Lark's tree builder would make of a production's symbols: filtered tokens go, lists are spread, absent options are None."""
    from lark.grammar import Terminal

    options = rule.options
    nones = [len(run) for run in "".join("1" if missing else "0" for missing in options.empty_indices).split("0")]
    nones = nones if options.empty_indices else [0] * (len(rule.expansion) + 1)
    children: list[tuple[int, bool, int]] = []
    pending = 0
    for place, symbol in enumerate(rule.expansion):
        pending += nones[place]
        if options.keep_all_tokens or not (isinstance(symbol, Terminal) and symbol.filter_out):
            children.append((place, not symbol.is_term and symbol.name.startswith("_"), pending))
            pending = 0
    trailing = pending + nones[-1]
    lists = any(is_list for _, is_list, _ in children)
    plain = not lists and not trailing and not any(before for _, _, before in children)
    if options.expand1 and not rule.alias and plain and len(children) == 1:
        method = None
    else:
        method = "" if rule.origin.name.startswith("_") else rule.alias or rule.origin.name
    return Rule(rule.origin.name, len(rule.expansion), method, tuple(children), trailing, plain and len(children) == len(rule.expansion))
