"""What README shows is what happens."""

import doctest
import re
import subprocess
import sys
from pathlib import Path

import pytest

from kqlite.bundled import bundled

README = Path(__file__).parent.parent / "README.md"
TEXT = README.read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)
INSTALL = "python3 -m venv "
FUNCTION = f"kqlite() {{ PYTHONPATH='{README.parent}' '{sys.executable}' -m kqlite \"$@\"; }}; "


def shell_lines() -> list[str]:
    return [line for language, body in BLOCKS if language == "sh" for line in body.splitlines()]


def answer_of(language: str, body: str) -> str:
    """The block of text that stands after the given one."""
    following = BLOCKS[BLOCKS.index((language, body)) + 1]
    assert following[0] == "text"
    return following[1]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder in which README's relative paths are right and in which its commands may write."""
    folder = tmp_path_factory.mktemp("readme")
    (folder / "sample-data").symlink_to(bundled("sample-data"))
    return folder


def test_every_block_is_of_a_kind_that_is_tested():
    assert {language for language, _ in BLOCKS} == {"kql", "text", "sh", "python"}
    assert all(line.startswith(("kqlite ", INSTALL)) for line in shell_lines())
    assert TEXT.count("\n```") == 2 * len(BLOCKS)


@pytest.mark.parametrize("query", [body for language, body in BLOCKS if language == "kql"])
def test_a_query_gives_the_result_below_it(query):
    answer = subprocess.run([sys.executable, "-m", "kqlite", "query", "-"], input=query, capture_output=True, text=True, check=True)
    assert answer.stdout == answer_of("kql", query)


def test_the_commands_run_in_their_order(folder):
    for language, body in BLOCKS:
        for line in body.splitlines() if language == "sh" else ():
            if not line.startswith("kqlite "):
                continue
            answer = subprocess.run(
                ["bash", "-c", FUNCTION + line], cwd=folder, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
            )
            fails = BLOCKS[BLOCKS.index((language, body)) + 1][1].startswith("error[")
            assert answer.returncode == (1 if fails else 0), answer.stderr
            if fails:
                assert answer.stderr == answer_of(language, body)


def test_the_first_commands_are_one_line_each_and_run_the_query_above():
    first, second = [line for line in shell_lines() if line.startswith(INSTALL)]
    path = re.search(r" query -f (\S+)", first)[1]
    without_comment = re.sub(r"^//.*\n", "", (README.parent / path).read_text(encoding="utf-8"))
    assert ("kql", without_comment) == BLOCKS[0]
    assert first.endswith("kqlite demo")
    assert second.endswith("-m pytest -n 2")


def test_the_python_blocks_say_what_python_answers(folder, monkeypatch):
    monkeypatch.chdir(folder)
    python = "\n".join(body for language, body in BLOCKS if language == "python")
    parsed = doctest.DocTestParser().get_doctest(python, {}, "README.md", str(README), 0)
    results = doctest.DocTestRunner(verbose=False).run(parsed)
    assert results.attempted > 5
    assert results.failed == 0
