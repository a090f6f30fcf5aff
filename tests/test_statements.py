"""What a query declares and what it asks of the one who shows it: parameters are bound as values, and a chart is kept."""

import pytest

import kqlite
from kqlite.access.protocol import answer_of, result_of
from kqlite.parameters import ParameterError

DECLARED = "declare query_parameters(text: string = 'none', day: datetime = datetime(2020-01-01), n: long);"
SPITEFUL = "'; drop table resources; --"


@pytest.fixture
def connection():
    with kqlite.connect(None) as connection:
        yield connection


def test_a_parameter_is_bound_and_no_part_of_the_text(connection):
    query = f"{DECLARED} print text, n"
    assert list(connection.query(query, {"text": SPITEFUL, "n": 7}).one().values()) == [SPITEFUL, 7]
    assert SPITEFUL not in connection.compile(query, {"text": SPITEFUL, "n": 7}).sql


def test_a_parameter_is_read_as_its_declared_type(connection):
    row = connection.query(f"{DECLARED} print gettype(day), datetime_part('year', day), n + 1", {"day": "2021-06-01", "n": 1}).one()
    assert list(row.values()) == ["datetime", 2021, 2]


def test_what_is_not_given_has_its_default_or_is_asked_for(connection):
    assert connection.query(f"{DECLARED} print text", {"n": 1}).scalar() == "none"
    with pytest.raises(ParameterError, match="a value for `n`"):
        connection.query(f"{DECLARED} print n")


def test_a_chart_is_kept_with_the_answer(connection):
    result = connection.query("print x = 1, y = 2 | render piechart kind=stacked with (title='a', ycolumns=x, y)")
    for shown in (result, result_of(answer_of(result), "", 0.0)):
        assert shown.chart is not None
        assert shown.chart.kind == "piechart"
        assert dict(shown.chart.properties) == {"kind": "stacked", "title": "a", "ycolumns": "x,y"}
    assert connection.query("print 1").chart is None


def test_columns_that_depend_on_the_rows_are_looked_up_each_time(connection):
    query = "declare query_parameters(d: dynamic = dynamic({})); print d = d | evaluate bag_unpack(d)"
    assert connection.query(query, {"d": {"a": 1}}).to_pylist() == [{"a": 1}]
    assert connection.query(query, {"d": {"b": "x"}}).to_pylist() == [{"b": "x"}]
