"""Rows to record batches and back."""

import pyarrow as pa
import pytest

from kqlite.inventory.shapes.batches import BatchBuilder, Drafts, columns_of, documents, fault_of, partition
from kqlite.inventory.shapes.columns import array_of
from kqlite.inventory.shapes.documents import DocumentError, Exact, decode, decode_all, encode, without_nulls
from kqlite.language.schema import Array, JsonLeaf, Leaf, Member, Object
from kqlite.language.types import Type
from tests.support.same_documents import exact

VM = "microsoft.compute/virtualmachines"


def row(**members):
    return {"id": "/A", "name": "a", "type": VM} | members


def built(*rows, type_=VM):
    drafts = Drafts()
    drafts.widen(rows)
    part = partition("t", drafts.shapes(type_), {row["type"] for row in rows})
    return BatchBuilder(part).build(rows), part


# Documents


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1", 1),
        ("-0.0", -0.0),
        ("1.50", 1.5),
        ("1e2", 100.0),
        ("0.1", 0.1),
        ("9223372036854775808", 2**63),
        ("1e400", Exact("1e400")),
        ("0.10000000000000000555", Exact("0.10000000000000000555")),
        ("123456789012345.678901", Exact("123456789012345.678901")),
        ("1e-999999999999999999999", Exact("1e-999999999999999999999")),
        ("9" * 5000, Exact("9" * 5000)),
        ('"\\ud83d\\ude00"', "😀"),
        (' {"a" : 1}\n', {"a": 1}),
        ('{"a": 1, "a": 2}', {"a": 2}),
    ],
)
def test_a_number_keeps_its_value_or_its_text(text, value):
    decoded = decode(text)
    assert (type(decoded), decoded) == (type(value), value)
    assert decode(encode(decoded)) == decoded
    [together] = decode_all([text.strip()])
    assert together == value


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "expecting value at character 1"),
        ("{", "at character 2"),
        ('{"a": NaN}', "NaN is not JSON"),
        ("Infinity", "Infinity is not JSON"),
        ('"\\ud800"', "half a surrogate pair"),
        ('{"\\udc00": 1}', "half a surrogate pair"),
        ("1 2", "more text after the document, at character 2"),
        ("[" * 100_000, "nested too deeply"),
        ("'a'", "expecting value"),
    ],
)
def test_what_is_no_document_is_refused(text, reason):
    with pytest.raises(DocumentError, match=reason):
        decode(text)
    with pytest.raises(DocumentError, match=reason):
        decode_all(["1", text])


def test_text_is_compact_and_without_null_members():
    value = {"a": None, "b": [None, {"c": None}], "d": "null ü\x7f\x00", "e": {}, "f": Exact("1e400")}
    assert encode(value) == '{"b":[null,{}],"d":"null ü\x7f\\u0000","e":{},"f":1e400}'
    del value["f"]
    assert encode(value) == '{"b":[null,{}],"d":"null ü\x7f\\u0000","e":{}}'
    assert without_nulls(value) == {"b": [None, {}], "d": "null ü\x7f\x00", "e": {}}


# Rows


@pytest.mark.parametrize(
    ("value", "fault"),
    [
        (row(), None),
        (row(kind=None, zones=None), None),
        ([], "not a JSON object"),
        (row(name=5), "`name` is not a text"),
        (row(id=None), "`id` is missing or empty"),
        ({"id": "/a"}, "`type` is missing or empty"),
    ],
)
def test_what_a_row_must_be(value, fault):
    assert fault_of(value) == fault


def test_columns_of_a_partition():
    batch, part = built(row(properties={"provisioningState": "Succeeded", "n": 1}, tags={"a": "b"}, extra=[1]))
    columns = columns_of(part)
    assert list(columns) == batch.schema.names
    assert columns["properties"] == 'STRUCT("n" BIGINT)'
    assert columns["_hot_properties_provisioningState"] == "VARCHAR"
    assert columns["tags"] == 'STRUCT("a" VARCHAR)'
    assert columns["_other"] == "JSON"
    assert "zones" not in columns
    assert batch.column("_key").to_pylist() == ["/a"]
    assert batch.column("kind").to_pylist() == [""]
    assert batch.column("properties").to_pylist() == [{"n": 1}]
    assert batch.column("_hot_properties_provisioningState").to_pylist() == ["Succeeded"]


ODD = [
    row(properties={}),
    row(properties=None),
    row(),
    row(properties={"provisioningState": None, "a": None}),
    row(properties={"a": {}, "b": [], "c": [None, 1], "d": [[], [1]]}),
    row(properties={"a": {"x": None}, "b": [{}, None, {"y": [{"z": 1}]}]}),
    row(properties={"extended": {"instanceView": {"powerState": {"code": "PowerState/running"}}}}),
    row(properties={"extended": {"instanceView": {"powerState": {}}}}),
    row(properties={"extended": {"instanceView": None}}),
    row(properties={"nul\0l": 1, "": 2, "_": 3}),
    row(zones=["1"], tags={"Env": "x", "env": "y"}, sku={"capacity": 5}),
    row(tags={}, identity={"a": Exact("1e400")}, plan=[1, 1.0, True, "1", None, {}, []]),
    row(Location="x", location="y", other={"deep": [1]}, _key="mine", _seq=7, _other={"a": 1}),
]


@pytest.mark.parametrize("first", range(len(ODD)))
def test_rows_come_back_as_they_were(first):
    rows = ODD[first:] + ODD[:first]
    batch, part = built(*rows)
    assert [exact(found) for found in documents(batch, part)] == [exact(given) for given in rows]


def test_rows_come_back_from_a_partition_that_types_share():
    drafts = Drafts()
    drafts.widen(ODD)
    part = partition("t", drafts.json_shapes(), {VM})
    assert all(isinstance(shape, JsonLeaf) for shape in part.shapes.values())
    batch = BatchBuilder(part).build(ODD)
    assert [exact(found) for found in documents(batch, part)] == [exact(given) for given in ODD]


def test_a_hot_leaf_that_documents_disagree_on_is_held_as_json():
    rows = [row(properties={"provisioningState": "Succeeded"}), row(properties={"provisioningState": 5})]
    batch, part = built(*rows)
    assert columns_of(part)["_hot_properties_provisioningState"] == "JSON"
    assert batch.column("_hot_properties_provisioningState").to_pylist() == ['"Succeeded"', "5"]
    assert [found["properties"] for found in documents(batch, part)] == [given["properties"] for given in rows]


def test_no_hot_column_without_the_object_around_it():
    _, part = built(row(properties=[1]))
    assert [name for name in columns_of(part) if name.startswith("_hot")] == []


@pytest.mark.parametrize(
    ("values", "shape"),
    [
        ([], Object((Member("a", Leaf(Type.LONG)),))),
        ([None, None], Object((Member("a", Leaf(Type.LONG)),))),
        ([None, {}, {"a": 1}, {"a": None}], Object((Member("a", Leaf(Type.LONG)), Member("b", Leaf(Type.STRING))))),
        ([{"a": 1, "b": 2}, {"b": 3, "a": 4}], Object((Member("a", Leaf(Type.LONG)), Member("b", Leaf(Type.LONG))))),
        ([None, [], [1, None], [2]], Array(Leaf(Type.LONG))),
        ([[[1], []], None, [None]], Array(Array(Leaf(Type.LONG)))),
        ([[{"a": 1}, None], [], [{}]], Array(Object((Member("a", Leaf(Type.LONG)),)))),
    ],
)
def test_values_to_an_array(values, shape):
    made = array_of(values, shape)
    made.validate(full=True)
    assert made.equals(pa.array(values, made.type))
