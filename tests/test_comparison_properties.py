"""Comparisons, string operators, membership and logic over nulls and mixed dynamics, against the rules in plain Python.

The rules are those of `docs/nulls.md`. A random condition is asked as a column and as a filter, over documents as JSON and, where they
agree on a type, as structs.
"""

import json
import re
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import kqlite

EXACT = 1 << 53
NUMBERS = (None, 0, 1, 2, EXACT, EXACT + 1)
FRACTIONS = (None, 0.0, 1.0, 0.5, -2.5)
TEXTS = ("", "a", "A", "ab", "a b", "b-a")
MISSING = "missing"
MIXED = (MISSING, None, "", "a", "A", "a b", 0, 1, 1.0, 0.5, EXACT + 1, True, False, {"b": 1, "a": "a"}, [1, "a", ""])
POOLS = (MIXED, (MISSING, None, *TEXTS), (MISSING, *NUMBERS), (MISSING, None, True, False), (MISSING, *FRACTIONS))


@dataclass(frozen=True)
class Term:
    """An operand: its KQL, its type, and the column or member that holds it, or else its value."""

    kql: str
    type: str
    column: str | None = None
    value: Any = None

    def of(self, row: dict[str, Any]) -> Any:
        if self.column is None:
            return self.value
        if not self.column.startswith("d."):
            return row[self.column]
        return row["d"].get(self.column[2:])


@dataclass(frozen=True)
class Condition:
    """operands: Terms or Conditions; items: the literals of a list."""

    operator: str
    operands: tuple[Any, ...]
    items: tuple[Any, ...] = ()


def literal(value: Any) -> str:
    return json.dumps(value)


COLUMNS = {
    "long": [Term("n", "long", "n"), Term("m", "long", "m")],
    "real": [Term("r", "real", "r")],
    "string": [Term("s", "string", "s"), Term("u", "string", "u")],
    "bool": [Term("b", "bool", "b")],
    "dynamic": [Term("d.x", "dynamic", "d.x"), Term("d.y", "dynamic", "d.y"), Term("d.none", "dynamic", "d.none")],
}
LITERALS = {
    "long": [Term(str(value), "long", value=value) for value in NUMBERS if value is not None],
    "real": [Term(str(value), "real", value=value) for value in FRACTIONS if value is not None and value >= 0],
    "string": [Term(literal(value), "string", value=value) for value in TEXTS],
    "bool": [Term("true", "bool", value=True)],
}


def terms(*types: str) -> st.SearchStrategy[Term]:
    return st.sampled_from([term for type_ in types for term in COLUMNS[type_] + LITERALS.get(type_, [])])


def columns(*types: str) -> st.SearchStrategy[Term]:
    return st.sampled_from([term for type_ in types for term in COLUMNS[type_]])


NUMERIC = ("long", "real")
PAIRS = st.one_of(
    st.tuples(columns(*NUMERIC), terms(*NUMERIC)),
    st.tuples(columns("string"), terms("string")),
    st.tuples(columns("bool"), terms("bool")),
    st.tuples(columns("dynamic"), terms(*NUMERIC, "string", "bool", "dynamic")),
    st.tuples(terms("long", "string"), columns("dynamic")),
)
ORDERED = st.tuples(columns(*NUMERIC, "dynamic"), terms(*NUMERIC))
TEXTUAL = st.tuples(columns("string", "dynamic"), terms("string"))
LISTS = st.one_of(
    st.tuples(columns("string", "dynamic"), st.lists(st.sampled_from(TEXTS), min_size=1, max_size=3)),
    st.tuples(columns(*NUMERIC, "dynamic"), st.lists(st.sampled_from([0, 1, 2, EXACT]), min_size=1, max_size=3)),
)
TEXT_OPERATORS = ("=~", "contains", "contains_cs", "startswith", "startswith_cs", "endswith", "has")
NEGATED = {
    "!=": "==",
    "!~": "=~",
    "!in": "in",
    "!in~": "in~",
    **{f"!{name}": name for name in TEXT_OPERATORS if name != "=~"},
}

SIMPLE = st.one_of(
    st.builds(Condition, st.sampled_from(["==", "!="]), PAIRS),
    st.builds(Condition, st.sampled_from(["<", ">", "<=", ">="]), ORDERED),
    st.builds(Condition, st.sampled_from([*TEXT_OPERATORS, *(name for name in NEGATED if NEGATED[name] in TEXT_OPERATORS)]), TEXTUAL),
    st.builds(lambda name, pair: Condition(name, (pair[0],), tuple(pair[1])), st.sampled_from(["in", "!in"]), LISTS),
    st.builds(
        lambda name, term, items: Condition(name, (term,), tuple(items)),
        st.sampled_from(["in~", "!in~"]),
        columns("string", "dynamic"),
        st.lists(st.sampled_from(TEXTS), min_size=1, max_size=3),
    ),
    st.builds(
        lambda name, term: Condition(name, (term,)), st.sampled_from(["isnull", "isempty"]), columns("long", "string", "bool", "dynamic")
    ),
)
CONDITIONS = st.recursive(
    SIMPLE,
    lambda inner: st.one_of(
        st.builds(lambda a, b: Condition("and", (a, b)), inner, inner),
        st.builds(lambda a, b: Condition("or", (a, b)), inner, inner),
        st.builds(lambda a: Condition("not", (a,)), inner),
        st.builds(lambda a, b, c: Condition("iff", (a, b, c)), inner, inner, inner),
    ),
    max_leaves=4,
)


def written(node: Any) -> str:
    if isinstance(node, Term):
        return node.kql
    parts = [written(operand) for operand in node.operands]
    if node.operator in ("isnull", "isempty", "not", "iff"):
        return f"{node.operator}({', '.join(parts)})"
    if node.items:
        return f"({parts[0]} {node.operator} ({', '.join(map(literal, node.items))}))"
    return f"({parts[0]} {node.operator} {parts[1]})"


# The rules


def answer(node: Condition, row: dict[str, Any]) -> bool | None:
    operator = node.operator
    if operator in ("and", "or", "not", "iff"):
        return logic(operator, [answer(operand, row) for operand in node.operands])
    values = [operand.of(row) for operand in node.operands]
    types = [operand.type for operand in node.operands]
    if operator == "isnull":
        return types[0] != "string" and values[0] is None
    if operator == "isempty":
        return values[0] is None or values[0] == ""
    if node.items:
        positive = NEGATED.get(operator, operator)
        ignores_case = positive == "in~"
        kinds = ["string" if isinstance(item, str) else "long" for item in node.items]
        found = any(
            equal(fold(values[0], types[0]) if ignores_case else values[0], types[0], fold(item, kind) if ignores_case else item, kind)
            for item, kind in zip(node.items, kinds, strict=True)
        )
        return found != (operator in NEGATED)
    if operator in ("==", "!="):
        same = equal(values[0], types[0], values[1], types[1])
        return same if same is None or operator == "==" else not same
    if operator in ("<", ">", "<=", ">="):
        return order(operator, *values)
    found = holds(NEGATED.get(operator, operator), text(values[0]), text(values[1]))
    return found != (operator in NEGATED)


def logic(operator: str, values: list[bool | None]) -> bool | None:
    match operator:
        case "and":
            return False if False in values else None if None in values else True
        case "or":
            return True if True in values else None if None in values else False
        case "not":
            return None if values[0] is None else not values[0]
        case _:
            return values[1] if values[0] is True else values[2]


def equal(left: Any, left_type: str, right: Any, right_type: str) -> bool | None:
    """Both null: null; one: false; a dynamic beside a string counts as its text."""
    types = {left_type, right_type}
    if types == {"dynamic", "string"}:
        return text(left) == text(right)
    if left is None or right is None:
        return None if left is None and right is None else False
    if is_number(left) and is_number(right):
        return left == right
    return type(left) is type(right) and left == right


def order(operator: str, left: Any, right: Any) -> bool | None:
    if not is_number(left) or not is_number(right):
        return None
    return {"<": left < right, ">": left > right, "<=": left <= right, ">=": left >= right}[operator]


def holds(operator: str, whole: str, part: str) -> bool:
    if not operator.endswith("_cs"):
        whole, part = whole.lower(), part.lower()
    match operator.removesuffix("_cs"):
        case "=~":
            return whole == part
        case "contains":
            return part in whole
        case "startswith":
            return whole.startswith(part)
        case "endswith":
            return whole.endswith(part)
        case _:
            ends = ("(?<![a-z0-9])" if part[:1].isalnum() else "", "(?![a-z0-9])" if part[-1:].isalnum() else "")
            return re.search(f"{ends[0]}{re.escape(part)}{ends[1]}", whole) is not None


def is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def fold(value: Any, type_: str) -> Any:
    return text(value).lower() if type_ in ("string", "dynamic") else value


def text(value: Any) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value, sort_keys=True, separators=(",", ":"))


# The rows


@st.composite
def tables(draw: st.DrawFn) -> list[dict[str, Any]]:
    pools = {name: draw(st.sampled_from(POOLS)) for name in ("x", "y")}
    rows = []
    for _ in range(draw(st.integers(1, 12))):
        members = {name: draw(st.sampled_from(pool)) for name, pool in pools.items()}
        rows.append(
            {
                "n": draw(st.sampled_from(NUMBERS)),
                "m": draw(st.sampled_from(NUMBERS)),
                "r": draw(st.sampled_from(FRACTIONS)),
                "s": draw(st.sampled_from(TEXTS)),
                "u": draw(st.sampled_from(TEXTS)),
                "b": draw(st.sampled_from((None, True, False))),
                "d": {name: value for name, value in members.items() if value is not MISSING},
            }
        )
    return rows


TYPES = {"n": pa.int64(), "m": pa.int64(), "r": pa.float64(), "s": pa.string(), "u": pa.string(), "b": pa.bool_()}


def forms(rows: list[dict[str, Any]]) -> list[pa.Table]:
    """The rows with their documents as JSON and, where Arrow has a type for all of them, as structs."""
    scalars = {"k": pa.array(range(len(rows)))} | {name: pa.array([row[name] for row in rows], type_) for name, type_ in TYPES.items()}
    documents = [row["d"] for row in rows]
    as_json = pa.ExtensionArray.from_storage(pa.json_(), pa.array(map(json.dumps, documents), pa.string()))
    made = [pa.table(scalars | {"d": as_json})]
    kinds = [{type(document[name]) for document in documents if document.get(name) is not None} for name in ("x", "y")]
    if any(documents) and all(len(kind) <= 1 and not kind & {list, dict} for kind in kinds):
        made.append(pa.table(scalars | {"d": pa.array(documents)}))
    return made


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(rows=tables(), conditions=st.lists(SIMPLE, min_size=4, max_size=12), compound=CONDITIONS)
def test_a_condition_is_what_the_rules_say(rows: list[dict[str, Any]], conditions: list[Condition], compound: Condition) -> None:
    conditions = [*conditions, compound]
    expected = [[answer(condition, row) for row in rows] for condition in conditions]
    projected = ", ".join(f"c{place} = {written(condition)}" for place, condition in enumerate(conditions))
    counted = ", ".join(f"c{place} = countif({written(condition)})" for place, condition in enumerate(conditions))
    for table in forms(rows):
        with kqlite.connect({"T": table}) as connection:
            found = sorted(connection.query(f"T | project k, {projected}").to_pylist(), key=lambda row: row["k"])
            [counts] = connection.query(f"T | summarize {counted}").to_pylist()
            for place, condition in enumerate(conditions):
                assert [row[f"c{place}"] for row in found] == expected[place], written(condition)
                assert counts[f"c{place}"] == expected[place].count(True), written(condition)
            kept = connection.query(f"T | where {written(compound)} | project k").to_pylist()
            assert sorted(row["k"] for row in kept) == [k for k, value in enumerate(expected[-1]) if value]
