"""The grammar and the table made of it: no conflicts, the verdicts of Lark's own parser, and a saved table that is taken."""

import importlib.util
import random
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest
from lark import Lark
from lark.exceptions import UnexpectedInput

from kqlite.language import parser
from kqlite.language.automaton import END, Automaton, Table
from kqlite.language.parser import build_table, load_table, parse, save_table
from kqlite.language.syntax_errors import WORDS, SyntaxErrors
from kqlite.language.tree_builder import TreeBuilder
from tests.support.damaged_text import WRITTEN, damaged
from tests.support.syntax_trees import without_spans

ROOT = Path(__file__).parents[1]
GRAMMAR = (ROOT / "grammar" / "kql.lark").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def table() -> Table:
    return build_table(GRAMMAR, strict=True)


def test_the_grammar_has_no_conflict(table: Table) -> None:
    assert len(table.states) > 300  # The fixture builds it with every conflict an error.


def test_every_terminal_has_kql_words(table: Table) -> None:
    errors = SyntaxErrors(Automaton(table, "", TreeBuilder(""), 200))
    for name, _, _ in table.terminals:
        if name not in table.ignored:
            assert re.fullmatch(r"`[^`A-Z]+`|`(?:True|TRUE|False|FALSE)`|a .+|`dynamic\(`", errors.word(name)), name
    assert errors.word(END) == "the end of the query"


def test_no_words_for_terminals_that_are_gone(table: Table) -> None:
    assert set(WORDS) <= {name for name, _, _ in table.terminals} | {END}


def test_every_rule_has_a_method(table: Table) -> None:
    methods = {rule.method for rule in table.rules if rule.method}
    assert methods <= set(dir(TreeBuilder))
    assert {name for name in vars(TreeBuilder) if not name.startswith("_")} == methods


def test_no_expression_of_a_terminal_holds_a_group(table: Table) -> None:
    assert [name for name, pattern, is_plain in table.terminals if not is_plain and re.compile(pattern).groups] == []


# Against Lark's own loop


class KeepNames:
    """Has Lark's lexer read a word whole in every state, as ours does."""

    always_accept = ("NAME",)

    def process(self, stream):
        return stream


@pytest.fixture(scope="module")
def lark() -> Lark:
    return Lark(GRAMMAR, start="query", parser="lalr", lexer="contextual", postlex=KeepNames())


def lark_takes(lark: Lark, text: str) -> bool:
    try:
        lark.parse(text)
    except UnexpectedInput:
        return False
    return True


def ours_takes(table: Table, text: str) -> bool:
    return not hasattr(Automaton(table, text, TreeBuilder(text), 200).run(), "terminal")


def test_the_verdicts_are_those_of_lark(table: Table, lark: Lark) -> None:
    chance = random.Random(1)
    texts = [*WRITTEN, *(damaged(text, chance) for text in WRITTEN * 60)]
    verdicts = [(text, ours_takes(table, text), lark_takes(lark, text)) for text in texts]
    assert [text for text, ours, theirs in verdicts if ours is not theirs] == []
    assert {ours for _, ours, _ in verdicts} == {True, False}


def test_a_tree_takes_no_longer_than_lark_needs_without_one(table: Table) -> None:
    driver = Lark(GRAMMAR, start="query", parser="lalr", lexer="contextual", postlex=KeepNames())
    text = "\n".join(WRITTEN[2:4] * 2).replace("\nresources", "")
    assert fastest(lambda: Automaton(table, text, TreeBuilder(text), 200).run()) < fastest(lambda: driver.parse(text))


def fastest(run) -> float:
    times = []
    for _ in range(15):
        start = time.perf_counter()
        run()
        times.append(time.perf_counter() - start)
    return min(times)


# The saved table


def test_a_saved_table_gives_the_same_trees(table: Table) -> None:
    loaded = load_table(save_table(GRAMMAR), GRAMMAR)
    assert loaded is not None
    for text in WRITTEN:
        trees = [Automaton(made, text, TreeBuilder(text), 200).run() for made in (table, loaded)]
        assert trees[0] == trees[1] == parse(text)


def test_a_table_of_another_grammar_is_not_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    saved = save_table(GRAMMAR)
    assert load_table(saved, GRAMMAR + "\n") is None
    monkeypatch.setattr(parser, "FORMAT", parser.FORMAT + 1)
    assert load_table(saved, GRAMMAR) is None


def build_hook():
    spec = importlib.util.spec_from_file_location("build_table", ROOT / "grammar" / "build_table.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_build_hook_puts_the_table_into_a_wheel(tmp_path: Path) -> None:
    hook = build_hook().BuildTable(str(ROOT), {}, None, None, str(tmp_path), "wheel")
    wheel, editable = {"force_include": {}}, {"force_include": {}}
    hook.initialize("standard", wheel)
    ((source, target),) = wheel["force_include"].items()
    assert target == f"kqlite/{parser.TABLE}"
    assert Path(source).read_bytes() == save_table(GRAMMAR)
    hook.finalize("standard", wheel, str(tmp_path))
    assert not Path(source).exists()
    hook.initialize("editable", editable)
    assert editable == {"force_include": {}}


def test_with_a_table_lark_is_not_imported(tmp_path: Path) -> None:
    folder = tmp_path / "grammar"
    folder.mkdir()
    (folder / "kql.lark").write_text(GRAMMAR, encoding="utf-8")
    program = (
        "import sys, pathlib\n"
        "from kqlite.language import parser\n"
        f"parser.bundled = pathlib.Path({str(tmp_path)!r}).joinpath\n"
        "print(parser.parse('T | take 1').body.operators[0].count.value, 'lark' in sys.modules)"
    )
    run = [sys.executable, "-c", program]
    assert subprocess.run(run, capture_output=True, text=True, cwd=ROOT, check=True).stdout == "1 True\n"
    (folder / "kql.table").write_bytes(save_table(GRAMMAR))
    assert subprocess.run(run, capture_output=True, text=True, cwd=ROOT, check=True).stdout == "1 False\n"
    assert sorted(path.name for path in folder.iterdir()) == ["kql.lark", "kql.table"]


def test_trees_of_one_table_do_not_depend_on_what_was_parsed_before() -> None:
    before = [without_spans(parse(text)) for text in WRITTEN]
    assert before == [without_spans(parse(text)) for text in reversed(WRITTEN)][::-1]
