"""The pages in docs/ and CONTRIBUTING.md hold: their examples run, and every path that they or README name exists.

README's examples run in `test_readme`, in their order.
"""

import doctest
import re
from pathlib import Path

import pytest

PROJECT = Path(__file__).parent.parent
PAGES = [PROJECT / "README.md", PROJECT / "CONTRIBUTING.md", *sorted((PROJECT / "docs").glob("*.md"))]
PATH = re.compile(r"`((?:[\w.-]+/)+(?:[\w-]+\.\w+)?|[\w-]+\.(?:py|md|lark|toml))`")
ROOTS = (PROJECT, PROJECT / "kqlite", PROJECT / "tests")
USERS_OWN = {"fleet/", "fleet-sim/", "inventory/"}
"""Directories that README's commands make."""


@pytest.mark.parametrize("page", [page for page in PAGES[1:] if ">>>" in page.read_text(encoding="utf-8")], ids=lambda page: page.name)
def test_the_examples_of_a_page_run(page: Path) -> None:
    text = page.read_text(encoding="utf-8").replace("```", "")
    example = doctest.DocTestParser().get_doctest(text, {}, page.name, str(page), 0)
    assert example.examples
    failures, _ = doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE).run(example)
    assert failures == 0


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_path_that_a_page_names_exists(page: Path) -> None:
    prose = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)
    named = {path for path in PATH.findall(prose) if path not in USERS_OWN}
    assert [path for path in sorted(named) if not any((root / path).exists() for root in ROOTS)] == []
