"""A result as a Python user holds it: Arrow, rows, schema, text."""

import json
from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pytest

import kqlite

MACHINES = "resources | where type =~ 'microsoft.compute/virtualmachines' | order by id asc"


@pytest.fixture(scope="module")
def sample():
    with kqlite.connect_sample() as connection:
        yield connection


def without_nulls(value):
    if isinstance(value, dict):
        return {name: without_nulls(inner) for name, inner in value.items() if inner is not None}
    return [without_nulls(inner) for inner in value] if isinstance(value, list) else value


def test_a_shaped_column_holds_what_its_text_says(sample):
    """The hot leaves, which lie beside the struct, are put back; a leaf held as JSON stays text."""
    result = sample.query(f"{MACHINES} | project extended = properties.extended, zones")
    shaped = result.to_arrow(shaped=True)
    assert pa.types.is_struct(shaped.schema.field("extended").type)
    assert pa.types.is_list(shaped.schema.field("zones").type)
    expected = [without_nulls(row) for row in result]
    assert [without_nulls(row) for row in shaped.to_pylist()] == expected
    assert any(row["extended"]["instanceView"]["powerState"].get("code") == "PowerState/running" for row in expected if row.get("extended"))


def test_the_schema_depends_on_the_query_alone(sample):
    query = "resources | project name, tags, at = todatetime(tags.at), span = 1d, n = toint(1), big = 1, real = 1.5, flag = true"
    some, none = sample.query(query).to_arrow(), sample.query(f"{query} | where false").to_arrow()
    assert len(none) == 0
    assert some.schema == none.schema
    assert [str(field.type) for field in some.schema] == [
        "string",
        "extension<arrow.json>",
        "timestamp[us, tz=UTC]",
        "duration[us]",
        "int32",
        "int64",
        "double",
        "bool",
    ]


def test_ticks_keep_the_seventh_digit(sample):
    result = sample.query("print at = datetime(2024-02-29T12:30:00.1234567Z), span = -1tick")
    [exact] = result.to_arrow(ticks=True).to_pylist()
    assert exact == {"at": 638448066001234567, "span": -1}
    [row] = result
    assert row == {"at": datetime(2024, 2, 29, 12, 30, 0, 123456, UTC), "span": timedelta(0)}


def test_rows_are_python_objects(sample):
    [row] = sample.query(
        "print d = dynamic({'a': [1, 2.5, null, 'x']}), s = '', n = long(null), g = guid(74be27de-1e4e-49d9-b579-fe0b331d3642)"
    )
    assert row == {"d": {"a": [1, 2.5, None, "x"]}, "s": "", "n": None, "g": "74be27de-1e4e-49d9-b579-fe0b331d3642"}


def test_a_result_shows_itself_as_a_table(sample):
    text = repr(sample.query("resources | order by id asc | project id"))
    assert text.splitlines()[0].strip() == "id"
    assert text.splitlines()[-1] == f"(20 of {len(sample.query('resources'))} rows)"


def test_the_snapshot_says_how_old_it_is():
    asked = datetime(2100, 1, 1, tzinfo=UTC)
    with kqlite.connect_sample(clock=lambda: asked) as connection:
        snapshot = connection.query("resources | take 1").snapshot
    assert snapshot.watermark is not None
    assert (snapshot.snapshot_time, snapshot.lag, snapshot.sequence) == (asked, asked - snapshot.watermark, None)


def test_documents_come_back_as_they_went_in(sample):
    """Of every resource: what the bundled files say, up to null members and the case of the type."""
    from kqlite.bundled import bundled

    given = {}
    for file in sorted(bundled("sample-data/inventory").glob("*.jsonl")):
        for line in file.read_text().splitlines():
            document = json.loads(line)
            given[document["id"]] = without_nulls(document)
    seen = {
        row["id"]: without_nulls(row) for table in ("resources", "resourcecontainers", "computeresources") for row in sample.query(table)
    }
    assert seen.keys() == given.keys()
    for key, document in given.items():
        for name in ("properties", "tags", "sku", "zones", "identity", "plan"):
            assert seen[key].get(name) == document.get(name), (key, name)
