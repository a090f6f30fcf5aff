"""Runs the worked examples of the Kusto documentation, where a checkout has them beside it, against the answers that the pages print.

An example that needs KQL which kqlite does not run must be refused as such; every answer that is given must be right.
"""

import json
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest

import kqlite
from tests.support import printed_values

EXAMPLES = Path(__file__).parents[2] / "shared" / "data" / "kql-docs-examples.jsonl"
if not EXAMPLES.exists():
    pytest.skip("the examples of the documentation are not here", allow_module_level=True)

OUT_OF_SCOPE = {"geo", "graph", "ml-plugins", "series", "sketches", "units-and-statistics", "user-analytics"}
LEAST_ANSWERED = 220
WRONG_PAGES: dict[str, str] = {
    "729d81e8aabd": "variancepif() is that of the whole population, 833; the page prints 850, which is that of a sample"
}
"""By id, why the page is wrong."""

SETS = re.compile(r"\b(make_?set\w*|set_(?!has_)\w+|bag_keys)\(")


@dataclass(frozen=True, slots=True)
class Example:
    id: str
    page: str
    query: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    ordered: bool

    def __str__(self) -> str:
        return f"{self.page.removesuffix('.md')}-{self.id}"


@dataclass(frozen=True, slots=True)
class Outcome:
    """refused: by kqlite, as KQL that it does not run. wrong: what is wrong, or None."""

    refused: bool
    wrong: str | None


def _read() -> list[Example]:
    rows: list[dict[str, Any]] = [json.loads(line) for line in EXAMPLES.read_text(encoding="utf-8").splitlines()]
    return [
        Example(row["id"], row["page"], row["query"], tuple(row["columns"]), tuple(tuple(cells) for cells in row["rows"]), row["ordered"])
        for row in rows
        if row["area"] not in OUT_OF_SCOPE and row["id"] not in WRONG_PAGES
    ]


CASES = _read()


@cache
def connection() -> Any:
    return kqlite.connect(None)


@cache
def outcome(example: Example) -> Outcome:
    try:
        result = connection().query(example.query)
    except kqlite.KqlError as error:
        refused = all(diagnostic.code.startswith(("KQL2", "KQL4")) for diagnostic in error.diagnostics)
        return Outcome(refused, None if refused else str(error))
    names = [column.name for column in result.schema]
    order = list(range(len(names)))
    if names != list(example.columns):
        if sorted(names) != sorted(example.columns):
            return Outcome(False, f"columns: expected {list(example.columns)}, found {names}")
        order = [names.index(name) for name in example.columns]
    table = result.to_arrow(ticks=True)
    columns = [table.column(place).to_pylist() for place in order]
    types = [str(result.schema[place].type) for place in order]
    rows = list(zip(*columns, strict=True))
    if printed_values.same_rows(example.rows, rows, types, ordered=example.ordered, sets=SETS.search(example.query) is not None):
        return Outcome(False, None)
    expected = "\n".join(" | ".join(row) for row in example.rows)
    found = "\n".join(" | ".join(map(str, row)) for row in rows)
    return Outcome(False, f"expected\n{expected}\nfound\n{found}")


@pytest.mark.parametrize("example", CASES, ids=str)
def test_answer_is_right_or_refused(example: Example) -> None:
    if wrong := outcome(example).wrong:
        pytest.fail(f"{example.page}\n{example.query}\n\n{wrong}", pytrace=False)


def test_many_are_answered() -> None:
    assert sum(not outcome(example).refused for example in CASES) >= LEAST_ANSWERED
