"""What stands in a golden case comes back as it was."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support import golden_values

TEXT = st.text(st.characters(exclude_categories=["Cs"]))


@given(st.lists(st.none() | TEXT, min_size=1, max_size=4))
def test_strings_come_back(row: list[str | None]) -> None:
    types = ["string"] * len(row)
    line = golden_values.show_row(row, types)
    assert "\n" not in line
    assert golden_values.comparable(line, types) == tuple(row)


@given(st.lists(TEXT.filter(bool), min_size=1, max_size=4))
def test_names_of_columns_come_back(names: list[str]) -> None:
    columns = [(name, "long") for name in names]
    assert golden_values.read_header(golden_values.show_header(columns)) == columns


@given(st.integers(0, 3_155_378_975_999_999_999), st.integers(-(10**18), 10**18))
def test_ticks_come_back(moment: int, span: int) -> None:
    types = ["datetime", "timespan"]
    assert golden_values.comparable(golden_values.show_row([moment, span], types), types) == (moment, span)


@pytest.mark.parametrize(
    ("one", "other", "type_"),
    [
        ("null", '""', "string"),
        ("null", '"null"', "string"),
        ('{"a":1}', '{"a":1.0}', "dynamic"),
        ("[1,2]", "[2,1]", "dynamic"),
        ("{}", "[]", "dynamic"),
        ("null", "0", "long"),
        ("1.0", "1.00000001", "real"),
    ],
)
def test_unlike_values_differ(one: str, other: str, type_: str) -> None:
    assert golden_values.comparable(one, [type_]) != golden_values.comparable(other, [type_])


def test_bags_have_no_order() -> None:
    assert golden_values.comparable('{"a":1,"b":2}', ["dynamic"]) == golden_values.comparable('{"b":2,"a":1}', ["dynamic"])
