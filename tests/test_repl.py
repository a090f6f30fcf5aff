"""The prompt: where a query ends, what is answered, and the line editor driven by keys."""

from collections.abc import Iterator

import pytest
from prompt_toolkit.application import create_app_session
from prompt_toolkit.history import FileHistory, InMemoryHistory
from prompt_toolkit.input import create_pipe_input
from prompt_toolkit.output import DummyOutput

from kqlite.repl.prompt import history, read_queries
from kqlite.repl.queries import is_complete, split


@pytest.mark.parametrize(
    "typed",
    [
        "", "  ", "resources;", "resources ; ", "resources\n", "resources\n| count\n  ", "\\q", "let x = 5; print x;", "let x = 5;\n",
        "print ';let';", "letters;", "// let\nprint 1;",
    ],
)  # fmt: skip
def test_enter_ends_the_query(typed):
    assert is_complete(typed)


@pytest.mark.parametrize(
    "typed",
    [
        "resources",
        "resources\n| count",
        "resources\n\n| count",
        "print a = ';', b",
        "let x = 5;",
        "let x = ';'; ",
        "let a = 1; // c;\nlet b = 2;",
        "set a;",
    ],
)
def test_enter_goes_on_to_the_next_line(typed):
    assert not is_complete(typed)


def test_queries_of_a_file_end_at_blank_lines_semicolons_and_the_end():
    lines = ["\n", "resources\n", "| count\n", "\n", "\n", "resources | take 1;\n", "\\?\n", "resources\n", "| count"]
    assert list(split(lines)) == ["resources\n| count", "resources | take 1", "\\?", "resources\n| count"]


@pytest.fixture
def typed(tmp_path, monkeypatch) -> Iterator[object]:
    """Types keys into the line editor and gives what it reads; the home folder is empty at first."""
    monkeypatch.setenv("HOME", str(tmp_path))
    with create_pipe_input() as keyboard, create_app_session(input=keyboard, output=DummyOutput()):

        def read(keys: str) -> list[str]:
            keyboard.send_text(keys)
            return list(read_queries())

        yield read


CTRL_C, CTRL_D, ENTER, UP = "\x03", "\x04", "\r", "\x1b[A"


def test_a_query_over_several_lines(typed):
    assert typed(f"resources{ENTER}| count{ENTER}{ENTER}resources;{ENTER}{CTRL_D}") == ["resources\n| count", "resources"]


def test_a_let_is_followed_by_its_query(typed):
    assert typed(f"let x = 5;{ENTER}print x;{ENTER}{CTRL_D}") == ["let x = 5;\nprint x"]


def test_ctrl_c_drops_the_line_and_not_the_prompt(typed):
    assert typed(f"resour{CTRL_C}resources | count;{ENTER}{CTRL_D}") == ["resources | count"]


def test_enter_on_nothing_asks_again(typed):
    assert typed(f"{ENTER}{ENTER}\\q{ENTER}{CTRL_D}") == ["\\q"]


def test_history_lasts_from_one_sitting_to_the_next(typed, tmp_path):
    typed(f"resources{ENTER}| count{ENTER}{ENTER}{CTRL_D}")
    assert (tmp_path / ".kqlite_history").stat().st_mode & 0o777 == 0o600
    assert list(history(tmp_path).load_history_strings()) == ["resources\n| count"]
    assert typed(f"{UP}{ENTER}{ENTER}{CTRL_D}") == ["resources\n| count"]


def test_a_home_that_cannot_be_written_costs_the_history_alone(tmp_path):
    assert isinstance(history(tmp_path), FileHistory)
    assert isinstance(history(tmp_path / "missing"), InMemoryHistory)
