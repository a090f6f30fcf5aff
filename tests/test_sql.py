"""The SQL tree and its writer: quoting, literals, parentheses."""

import math

import duckdb
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kqlite.dialects import sql, sql_writer

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)


@pytest.fixture(scope="module")
def connection():
    with duckdb.connect() as connection:
        yield connection


@given(text=TEXT)
def test_any_text_is_written_and_read_back(connection, text):
    assert connection.sql("SELECT " + sql_writer.literal(text)).fetchall() == [(text,)]


@given(name=TEXT.filter(lambda name: name and "\0" not in name))
def test_any_name_is_quoted(connection, name):
    relation = connection.sql(f"SELECT 1 AS {sql_writer.quote(name)}")
    assert relation.columns == [name]


@given(number=st.integers(-(2**63), 2**63 - 1))
def test_whole_numbers_keep_every_digit(connection, number):
    assert connection.sql("SELECT " + sql_writer.literal(number)).fetchall() == [(number,)]


@given(number=st.floats())
def test_fractions_are_doubles_and_keep_every_bit(connection, number):
    [(read, type_)] = connection.sql(f"SELECT {sql_writer.literal(number)}, typeof({sql_writer.literal(number)})").fetchall()
    assert type_ == "DOUBLE"
    assert read == number or (math.isnan(read) and math.isnan(number))


def trees(leaves: st.SearchStrategy[sql.Expression]) -> st.SearchStrategy[sql.Expression]:
    operators = st.sampled_from(["+", "-", "*"])
    return st.recursive(
        leaves,
        lambda inner: st.builds(lambda op, a, b: sql.operation(op, a, b), operators, inner, inner),
        max_leaves=8,
    )


def calculated(node: sql.Expression) -> int:
    if isinstance(node, sql.Literal):
        assert isinstance(node.value, int)
        return node.value
    assert isinstance(node, sql.Operation)
    first, second = (calculated(operand) for operand in node.operands)
    return {"+": first + second, "-": first - second, "*": first * second}[node.operator]


@given(tree=trees(st.integers(-9, 9).map(sql.Literal)))
def test_parentheses_keep_the_tree(connection, tree):
    assert connection.sql("SELECT " + sql_writer.write_expression(tree)).fetchall() == [(calculated(tree),)]


@pytest.mark.parametrize(
    ("expression", "text"),
    [
        (sql.operation("AND", sql.operation("OR", sql.TRUE, sql.FALSE), sql.TRUE), "(TRUE OR FALSE) AND TRUE"),
        (sql.Not(sql.operation("=", sql.Literal(1), sql.Literal(2))), "NOT 1 = 2"),
        (sql.Not(sql.operation("AND", sql.TRUE, sql.FALSE)), "NOT (TRUE AND FALSE)"),
        (sql.operation("=", sql.operation("=", sql.Literal(1), sql.Literal(1)), sql.TRUE), "(1 = 1) = TRUE"),
        (sql.operation("-", sql.Literal(1), sql.operation("-", sql.Literal(2), sql.Literal(3))), "1 - (2 - 3)"),
        (sql.operation("*", sql.operation("+", sql.Literal(1), sql.Literal(2)), sql.Literal(3)), "(1 + 2) * 3"),
        (sql.Field(sql.Name("t", "properties"), "a b"), 't.properties."a b"'),
        (sql.Name("t", "select"), 't."select"'),
        (sql.Template("{a} + 1", {"a": sql.operation("+", sql.Literal(1), sql.Literal(2))}), "(1 + 2) + 1"),
        (sql.Template("f({a}) + 1", {"a": sql.Literal(2)}), "f(2) + 1"),
        (sql.operation("*", sql.Template("{a} + 1", {"a": sql.Literal(2)}), sql.Literal(3)), "(2 + 1) * 3"),
        (sql.operation("*", sql.Template("f({a})", {"a": sql.Literal(2)}), sql.Literal(3)), "f(2) * 3"),
        (sql.operation("*", sql.Template("f({a}) + g({a})", {"a": sql.Literal(2)}), sql.Literal(3)), "(f(2) + g(2)) * 3"),
    ],
)
def test_only_the_parentheses_that_are_needed(expression, text):
    assert sql_writer.write_expression(expression) == text


def test_the_writer_names_the_parameters():
    query = sql.Select(((sql.operation("+", sql.Parameter("a"), sql.Parameter("b")), "x"),))
    assert sql_writer.write(query) == ("SELECT $a + $b AS x", frozenset({"a", "b"}))


def test_columns_get_names_that_differ_without_regard_to_case():
    aliases = sql.Aliases()
    given_out = [aliases.column(hint) for hint in ("Name", "name", "name_2", "x y", "ü", "", "name2", "Name_2")]
    assert len({alias.lower() for alias in given_out}) == len(given_out)
