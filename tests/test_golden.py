"""Runs every case of `golden/` on the store and on Arrow in place, with DuckDB's optimizer on and off."""

import pytest

from tests.support import golden_cases
from tests.support.golden_cases import WAYS, Case, Way

CASES = golden_cases.all_cases()


@pytest.mark.parametrize("way", WAYS, ids=str)
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_case(case: Case, way: Way, request: pytest.FixtureRequest) -> None:
    if request.config.getoption("--accept") and way == WAYS[0]:
        golden_cases.accept(case, [name for name in request.config.getoption("--sections").split(",") if name])
    expected = golden_cases.read_expected(case.expected_path)
    assert expected, f"{case.name} has no .expected: write one, or have it written by --accept"
    if found := list(golden_cases.differences(case, way, expected)):
        pytest.fail("\n\n".join([case.about, case.query, *found]), pytrace=False)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_case_in_other_words(case: Case) -> None:
    expected = golden_cases.read_expected(case.expected_path)
    if "rows" in expected and (found := list(golden_cases.differences_in_other_words(case, expected["rows"]))):
        pytest.fail("\n\n".join([case.about, *found]), pytrace=False)


def test_every_answer_has_its_query() -> None:
    assert not golden_cases.orphans()


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_rows_name_their_source(case: Case) -> None:
    assert case.sources or "rows" not in golden_cases.read_expected(case.expected_path)


def test_there_are_cases_for_every_area() -> None:
    assert len(CASES) >= 250
