"""Searching a shaped value leaf by leaf answers as searching its JSON text would."""

from collections.abc import Iterator

import duckdb
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kqlite.dialects import document_text, sql
from kqlite.dialects.searching import Needle, found_in
from kqlite.dialects.sql_writer import write_expression
from kqlite.language.schema import JSON, Array, Leaf, Member, Object
from kqlite.language.types import Type

STRING, PLAIN, LONG, REAL, BOOL = Leaf(Type.STRING), Leaf(Type.STRING, plain=True), Leaf(Type.LONG), Leaf(Type.REAL), Leaf(Type.BOOL)

SHAPE = Object(
    (
        Member("provisioningState", STRING),
        Member("n\tame", PLAIN),
        Member("size", LONG),
        Member("ratio", REAL),
        Member("isOn", BOOL),
        Member("any", JSON),
        Member("zones", Array(STRING)),
        Member("flags", Array(BOOL)),
        Member("nics", Array(Object((Member("id", STRING), Member("ports", Array(LONG)))))),
    )
)
COLUMN = (
    'STRUCT("provisioningState" VARCHAR, "n\tame" VARCHAR, size BIGINT, ratio DOUBLE, "isOn" BOOLEAN, "any" JSON,'
    " zones VARCHAR[], flags BOOLEAN[],"
    " nics STRUCT(id VARCHAR, ports BIGINT[])[])"
)
VALUE = sql.Name("t", "v")

text = st.text(st.sampled_from('aAbdDnrtu01eEo.- \n\t\x01\x1d"\\/,:é'), max_size=8)
plain = st.text(st.sampled_from("aAbdDnrtu01eE.- é"), max_size=8)
document = st.fixed_dictionaries(
    {
        "provisioningState": st.none() | text,
        "n\tame": st.none() | plain,
        "size": st.none() | st.integers(-1200, 1200),
        "ratio": st.none() | st.sampled_from([0.5, -1.25, 1e20, 1e-7, 10.0]),
        "isOn": st.none() | st.booleans(),
        "any": st.none() | st.sampled_from(['{"a":[1,null,"dn"]}', '"x\\n1"', "true", "10"]),
        "zones": st.none() | st.lists(st.none() | text, max_size=3),
        "flags": st.none() | st.lists(st.none() | st.booleans(), max_size=3),
        "nics": st.none()
        | st.lists(
            st.none()
            | st.fixed_dictionaries({"id": st.none() | text, "ports": st.none() | st.lists(st.none() | st.integers(0, 99), max_size=2)}),
            max_size=2,
        ),
    }
)
needle = st.text(st.sampled_from("aAbdDnrtuls01eEo.- é"), min_size=1, max_size=4) | st.sampled_from(
    ["null", "ul", "true", "als", "name", "id", "provision", "1e", "u001", "001d", "001D", "tame", "1.25"]
)


@pytest.fixture(scope="module")
def connection() -> Iterator[duckdb.DuckDBPyConnection]:
    connection = duckdb.connect()
    connection.execute(f"CREATE TABLE t (v {COLUMN})")
    yield connection
    connection.close()


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    rows=st.lists(st.none() | document, min_size=1, max_size=5), sought=st.lists(needle, min_size=1, max_size=6), ignores_case=st.booleans()
)
def test_search_agrees_with_the_text(
    connection: duckdb.DuckDBPyConnection, rows: list[dict[str, object] | None], sought: list[str], ignores_case: bool
) -> None:
    connection.execute("DELETE FROM t")
    connection.executemany("INSERT INTO t VALUES ($1)", [[row] for row in rows])
    whole = document_text.text(VALUE, SHAPE)
    for each in sought:
        one = Needle(each, ignores_case=ignores_case)
        if not one.searchable:
            continue
        found = write_expression(found_in(VALUE, SHAPE, one))
        slow = write_expression(one.in_text(whole))
        query = f"SELECT {write_expression(whole)}, coalesce({found}, FALSE), coalesce({slow}, FALSE) FROM t"
        for shown, fast, exact in connection.execute(query).fetchall():
            assert fast == exact, (each, shown)


@pytest.mark.parametrize("text", ["", "a,b", 'a"', "a\n", "{", "a:b", "\\"])
def test_punctuation_is_not_searched(text: str) -> None:
    assert not Needle(text, ignores_case=True).searchable


def test_leaves_that_cannot_hold_the_text_are_left_out() -> None:
    found = write_expression(found_in(VALUE, SHAPE, Needle("Xyz", ignores_case=True)))
    assert "size" not in found
    assert "ratio" not in found
    assert "isOn" not in found
