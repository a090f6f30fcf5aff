"""Names and texts in the inventory's SQL: whatever they are made of, they come back as they were."""

import re
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

import kqlite
from kqlite.inventory.imports.in_memory import incoming
from kqlite.inventory.shapes.batches import documents
from kqlite.inventory.shapes.change_batches import changes_of
from kqlite.inventory.shapes.sql_text import identifier, literal
from kqlite.inventory.store.store import Store

ODD = st.characters(exclude_categories=["Cs"]) | st.sampled_from("\"'`;\\\0#/.% \u0130\u212a")
TEXT = st.text(ODD, max_size=20)
NAME = st.text(ODD, min_size=1, max_size=20)


@pytest.fixture(scope="module")
def duckdb_cursor():
    with duckdb.connect() as connection:
        yield connection


@given(text=TEXT)
@example('it\'s \0 "quoted"')
def test_a_literal_is_read_back(duckdb_cursor, text):
    assert duckdb_cursor.sql(f"SELECT {literal(text)}").fetchall() == [(text,)]


@given(name=NAME.filter(lambda name: "\0" not in name))
@example("a \"b\" 'c'")
def test_an_identifier_is_read_back(duckdb_cursor, name):
    assert duckdb_cursor.sql(f"SELECT 1 AS {identifier(name)}").columns == [name]


@pytest.mark.parametrize("name", ["", "a\0b"])
def test_a_name_that_duckdb_would_change_is_refused(name):
    with pytest.raises(AssertionError):
        identifier(name)


@settings(max_examples=25, deadline=None)
@given(types=st.lists(NAME, min_size=2, max_size=3, unique_by=str.lower), member=NAME, text=TEXT)
@example(types=["a\0b", "a\0c"], member="m\0n", text="\0'")
@example(types=['t"', "t'"], member='"; DROP TABLE x; --', text="'; DROP TABLE x; --")
def test_rows_of_any_type_and_members_of_any_name_come_back(types, member, text):
    rows = [{"id": f"/{n}", "name": text, "type": type_, "properties": {member: text}} for n, type_ in enumerate(types)]
    store = Store.in_memory()
    try:
        store.load(incoming(rows, enough_rows=1))
        changes = [
            changes_of("resources", row["type"], [{**row, "id": f"/new/{n}"}, row], [1, 2], deleted={f"/gone/{text}": 3})
            for n, row in enumerate(rows)
        ]
        store.apply(changes, None)
        with store.snapshot() as snapshot:
            found = [row for part in snapshot.catalog.resources["resources"] for row in read(snapshot, part)]
    finally:
        store.close()
    given_back = sorted((row["id"], row["type"], row["name"], row["properties"]) for row in found)
    expected = [(row["id"], row["type"], text, {member: text}) for row in rows]
    expected += [(f"/new/{n}", row["type"], text, {member: text}) for n, row in enumerate(rows)]
    assert given_back == sorted(expected, key=lambda row: row[0])


def read(snapshot, part):
    return list(documents(snapshot.run(f"SELECT * FROM {identifier(part.source)}"), part))


@pytest.mark.parametrize("load", [True, False])
@settings(max_examples=25, deadline=None)
@given(name=NAME, columns=st.lists(NAME, min_size=1, max_size=3, unique=True))
@example(name="a\0b", columns=["c\0d", 'e"f', "g'h"])
def test_a_registered_table_may_have_any_name(load, name, columns):
    store = Store.in_memory()
    try:
        store.register(name, pa.table({column: [7] for column in columns}), load=load)
        store.register(name + "\0", pa.table({"other": [8]}), load=load)
        with store.snapshot() as snapshot:
            table = snapshot.catalog.table(name)
            [part] = table.partitions
            rows = snapshot.run(f"SELECT * FROM {identifier(part.source)}").to_pylist()
        assert [column.name for column in table.columns] == columns
        assert rows == [{part.columns[column]: 7 for column in columns}]
    finally:
        store.close()


def test_a_table_given_as_arrow_may_have_any_name():
    with kqlite.connect({"a\0b": pa.table({"n": [1]}), 'c"d': pa.table({"n": [2]})}) as connection:
        assert connection.query("['a\\0b'] | union ['c\"d'] | summarize sum(n)").to_pylist() == [{"sum_n": 3}]


def test_one_module_quotes():
    """Only `sql_text` doubles quotes, and no statement puts quotes around a name or a value that it splices."""
    folder = Path(kqlite.__file__).parent / "inventory"
    quoting = re.compile(r"""replace\((["'])['"]\1, |(?<![\w{])'\{\w|\\"\{\w""")
    found = {path.name for path in folder.rglob("*.py") if quoting.search(path.read_text(encoding="utf-8"))}
    assert found == {"sql_text.py"}
