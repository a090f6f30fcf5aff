"""Equal documents have equal text, wherever they are held: in partitions of their own or a shared one, in place, parsed or literal."""

import json
import random

import pyarrow as pa
import pytest

import kqlite
from kqlite.access.local import LocalAccess
from kqlite.inventory.imports.in_memory import incoming
from kqlite.inventory.shapes.documents import decode, ordered
from kqlite.inventory.store.store import Store

BAG = {
    "z": 1,
    "a": [{"y": True, "x": 'quo"te'}, {"y": False, "x": ""}],
    "Z": "é",
    "_": 1e-05,
    "large": 1e22,
    "big": 9007199254740993,
    "A b": "{}",
}
BAG_TEXT = '{"A b":"{}","Z":"é","_":0.00001,"a":[{"x":"quo\\"te","y":true},{"x":"","y":false}],"big":9007199254740993,"large":1e22,"z":1}'
PROPERTIES = {"b": BAG, "a": {"d": 2, "c": 1}, "empty": {}, "list": [3, 1, 2]}
PROPERTIES_TEXT = f'{{"a":{{"c":1,"d":2}},"b":{BAG_TEXT},"empty":{{}},"list":[3,1,2]}}'


def shuffled(value, chance):
    """The same document with its members in another order."""
    if isinstance(value, dict):
        return {name: shuffled(value[name], chance) for name in chance.sample(sorted(value), len(value))}
    if isinstance(value, list):
        return [shuffled(element, chance) for element in value]
    return value


def rows():
    """Rows of types with a partition of their own, and of types that share one."""
    chance = random.Random(7)
    for number in range(60):
        type_ = ("a/own", "b/own", f"c/{number}")[number % 3]
        yield {
            "id": f"/{number}",
            "name": f"n{number}",
            "type": type_,
            "tags": shuffled(BAG, chance),
            "properties": shuffled(PROPERTIES, chance),
        }


def of_store(hold):
    store = Store.in_memory()
    (store.hold if hold else store.load)(incoming(rows(), enough_rows=10))
    return kqlite.Connection(LocalAccess(store))


def of_arrow(column):
    return kqlite.connect({"resources": pa.table({name: column(name) for name in ("id", "name", "type", "tags", "properties")})})


def json_column(name):
    texts = [row[name] for row in rows()]
    if name in ("id", "name", "type"):
        return pa.array(texts)
    return pa.ExtensionArray.from_storage(pa.json_(), pa.array([json.dumps(value, indent=1) for value in texts]))


def struct_column(name):
    """Structs, whose fields stand as in the first document."""
    return pa.array([row[name] for row in rows()])


CONNECTIONS = {
    "loaded": lambda: of_store(hold=False),
    "held": lambda: of_store(hold=True),
    "json": lambda: of_arrow(json_column),
    "structs": lambda: of_arrow(struct_column),
}


@pytest.fixture(scope="module", params=CONNECTIONS)
def inventory(request):
    return CONNECTIONS[request.param]()


def only(connection, query):
    [row] = connection.query(query).to_pylist()
    return row


LITERAL = f"dynamic({json.dumps(shuffled(BAG, random.Random(1)), ensure_ascii=False)})"
PARSED = f"parse_json({json.dumps(json.dumps(shuffled(BAG, random.Random(2))))})"


def test_equal_documents_are_one_group(inventory):
    assert only(inventory, "resources | summarize n = count() by text = tostring(tags)") == {"n": 60, "text": BAG_TEXT}
    assert only(inventory, "resources | summarize n = count() by text = tostring(properties)") == {"n": 60, "text": PROPERTIES_TEXT}
    assert only(inventory, "resources | distinct text = tostring(properties.b)") == {"text": BAG_TEXT}
    assert only(inventory, "resources | summarize d = dcount(tags), e = dcount(properties)") == {"d": 1, "e": 1}
    assert only(inventory, "resources | summarize s = make_set(tags), t = make_set(properties.b)") == {"s": [BAG], "t": [BAG]}
    elements = "resources | mv-expand e = properties.b.a limit 1 | distinct e = tostring(e)"
    assert only(inventory, elements) == {"e": '{"x":"quo\\"te","y":true}'}


@pytest.mark.parametrize("other", [LITERAL, PARSED], ids=["literal", "parsed"])
def test_equal_documents_are_equal(inventory, other):
    for member in ("tags", "properties.b"):
        assert only(inventory, f"resources | where {member} == {other} and not({member} != {other}) | count") == {"Count": 60}
        assert only(inventory, f"resources | where tostring({member}) == tostring({other}) | count") == {"Count": 60}
        assert only(inventory, f"resources | where set_has_element(pack_array(1, {member}), {other}) | count") == {"Count": 60}
        united = f"resources | summarize d = dcount(array_length(set_union(pack_array({member}), pack_array({other})))), n = count()"
        assert only(inventory, united) == {"d": 1, "n": 60}
        assert only(inventory, f"resources | where array_index_of(pack_array({other}), {member}) == 0 | count") == {"Count": 60}
    joined = f"resources | extend k = tostring(tags) | join kind=inner (print k = tostring({other})) on k | count"
    assert only(inventory, joined) == {"Count": 60}


def test_a_result_shows_the_same_text(inventory):
    shown = inventory.query("resources | project tags, properties, b = properties.b").to_arrow()
    for column, text in zip(shown.columns, (BAG_TEXT, PROPERTIES_TEXT, BAG_TEXT), strict=True):
        assert {value if isinstance(value, str) else ordered(value) for value in column.to_pylist()} == {text}


def test_documents_come_back_as_they_went_in(inventory):
    found = inventory.query("resources | project id, tags, properties").to_pylist()
    assert all(row["tags"] == BAG and row["properties"] == PROPERTIES for row in found)
    assert len(found) == 60


def test_made_bags_are_in_order():
    made = """print a = tostring(bag_pack('b', 1, 'a', dynamic({'d': 1, 'c': 2}))),
        b = tostring(bag_merge(dynamic({'b': 1}), dynamic({'a': 2}))),
        c = tostring(bag_set_key(dynamic({'b': 1}), 'a', 2)), d = tostring(pack_array(parse_json('{"b":1,"a":2}')))"""
    assert only(kqlite.connect({}), made) == {
        "a": '{"a":{"c":2,"d":1},"b":1}',
        "b": '{"a":2,"b":1}',
        "c": '{"a":2,"b":1}',
        "d": '[{"a":2,"b":1}]',
    }


@pytest.mark.parametrize("text", ["1e400", "123456789012345678901234567890", "0.10000000000000000555"])
def test_numbers_that_no_double_holds_keep_their_digits(text):
    assert ordered(decode(f'{{"b":{text},"a":[{text}]}}')) == f'{{"a":[{text}],"b":{text}}}'


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (1e16, "10000000000000000.0"),
        (1e21, "1e21"),
        (-2.5e30, "-2.5e30"),
        (1.5e-05, "0.000015"),
        (1e-07, "1e-7"),
        (5e-324, "5e-324"),
        (0.5, "0.5"),
    ],
)
def test_numbers_have_the_text_that_the_engine_writes(value, text):
    assert ordered(value) == text
    assert ordered({"a": [value]}) == f'{{"a":[{text}]}}'
    assert only(kqlite.connect({}), f"print t = tostring(parse_json('{value!r}'))") == {"t": text}
