"""Every cell of the tables in `docs/nulls.md` is what a query answers, over columns and not only over constants."""

import re
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pytest

import kqlite

PAGE = Path(__file__).parent.parent / "docs" / "nulls.md"
VALUES = {
    "bool": "true",
    "int": "int(3)",
    "long": "3",
    "real": "1.5",
    "datetime": "datetime(2024-05-01)",
    "timespan": "1h",
    "guid": "guid(74be27de-1e4e-49d9-b579-fe0b331d3642)",
    "string": "'x'",
    "dynamic": "dynamic({})",
}


def cells() -> Iterator[tuple[str, str, str]]:
    """Type, expression and answer of each row, for each type that the heading names."""
    types: list[str] = []
    for line in PAGE.read_text(encoding="utf-8").splitlines():
        if line.startswith("## "):
            types = [name for name in re.split(r"[:, ]+", line.partition(":")[2]) if name]
        elif found := re.fullmatch(r"\| `(.+)` \| (.+) \|", line):
            yield from ((type_, found[1], found[2].strip("`")) for type_ in types)


CELLS = list(cells())


def test_the_page_has_its_tables() -> None:
    assert len(CELLS) > 150
    assert {type_ for type_, _, _ in CELLS} == set(VALUES)


@pytest.mark.parametrize(("type_", "expression", "answer"), CELLS, ids=lambda value: str(value))
def test_a_cell_is_what_a_query_answers(type_: str, expression: str, answer: str) -> None:
    """The columns are those of a table, whose values the engine does not know before it runs."""
    null = "dynamic(null)" if type_ == "dynamic" else "''" if type_ == "string" else f"{type_}(null)"
    table = f"datatable(n: {type_}, v: {type_}, d: dynamic)[{null}, {VALUES[type_]}, dynamic({{'there': 1}})]"
    inner = re.sub(r"\bmissing\b", "d.missing", re.sub(r"\bvalue\b", "v", re.sub(r"\bnull\b", "n", expression)))
    [row] = connection().query(f"{table} | project answer = {inner}").to_pylist()
    assert row["answer"] == {"true": True, "false": False, "null": None}.get(answer, answer.strip("'"))
    condition = f"{table} | where {inner} | count"
    if answer in ("true", "false", "null") and "array_length" not in expression:
        assert connection().query(condition).to_pylist() == [{"Count": int(answer == "true")}]


SHAPED = [(expression, answer) for type_, expression, answer in CELLS if "missing" in expression and "deeper" not in expression]


@pytest.mark.parametrize(("expression", "answer"), SHAPED, ids=lambda value: str(value))
def test_a_missing_member_with_a_shape_is_the_same(expression: str, answer: str) -> None:
    """The member is a text in another row, so that it is a field of a struct and no JSON."""
    documents = pa.table({"row": [1, 2], "d": [{"missing": None, "there": 1}, {"missing": "text", "there": 1}]})
    inner = re.sub(r"\bmissing\b", "d.missing", expression)
    [row] = kqlite.connect({"T": documents}).query(f"T | project row, answer = {inner} | where row == 1").to_pylist()
    assert row["answer"] == {"true": True, "false": False, "null": None}.get(answer, answer.strip("'"))


def connection() -> kqlite.Connection:
    return kqlite.connect({})
