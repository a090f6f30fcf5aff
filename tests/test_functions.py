"""Runs every example of every declared function, aggregate and operator, and holds the declarations to their promises."""

import contextlib
import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import pairwise

import pytest

import kqlite
from kqlite.dialects.scalars import CUSTOM
from kqlite.language import syntax
from kqlite.language.functions import FUNCTIONS
from kqlite.language.functions.declare import Custom, Example, Function
from kqlite.language.functions.operators import OPERATORS
from kqlite.language.functions.page import PAGE, page
from kqlite.language.functions.refused import REFUSED
from kqlite.language.functions.windows import PARTS
from kqlite.language.parser import parse
from kqlite.language.types import Type


@pytest.fixture(scope="module")
def connection() -> Iterator[kqlite.Connection]:
    with kqlite.connect(None, clock=lambda: datetime(2024, 5, 17, 12, 30, tzinfo=UTC)) as connection:
        yield connection


ALL = [*FUNCTIONS.all(), *OPERATORS.all()]
EXAMPLES = [pytest.param(function, example, id=f"{function.name}: {example.call}") for function in ALL for example in function.examples]


@pytest.mark.parametrize(("function", "example"), EXAMPLES)
def test_example(connection: kqlite.Connection, function: Function, example: Example) -> None:
    rows = None if example.rows is None else _table(example)
    if function.aggregate:
        query = f"{rows} | summarize value = {example.call}"
    elif function.window:
        query = f"{rows or 'print x = 1'} | serialize value = {example.call} | project value"
    elif rows is not None:
        query = f"{rows} | project value = {example.call}"
    else:
        query = f"print value = {example.call}"
    assert _shown(connection, query) == _normal(example.result, _type(connection, query))


def _type(connection: kqlite.Connection, query: str) -> Type:
    return connection.compile(query).schema[0].type


def _shown(connection: kqlite.Connection, query: str) -> str:
    """The value as an example writes it."""
    if _type(connection, query) is Type.DYNAMIC:
        (row,) = connection.query(query)
        return json.dumps(row["value"], sort_keys=True)
    (row,) = connection.query(f"{query} | project is_null = isnull(value), text = tostring(value)")
    return "null" if row["is_null"] else str(row["text"])


def _normal(result: str, type_: Type) -> str:
    return json.dumps(json.loads(result), sort_keys=True) if type_ is Type.DYNAMIC else result


def _table(example: Example) -> str:
    """The rows of an example as a datatable: one column `x`, or `x` and `y` where the call names both."""
    assert example.rows is not None
    cells = re.findall(r"""(?:[^,'"(\[{]|'[^']*'|"[^"]*"|\((?:[^()]|\([^()]*\))*\)|\[[^\]]*\]|\{[^}]*\})+""", example.rows)
    cells = [cell.strip() for cell in cells]
    width = 2 if re.search(r"\by\b", example.call) or example.call.startswith("pack_all") else 1
    columns = ", ".join(f"{name}:{_column_type(cells[place::width])}" for place, name in enumerate("xy"[:width]))
    return f"datatable({columns})[{', '.join(cells)}]"


def _column_type(cells: list[str]) -> str:
    typed = [cell for cell in cells if not cell.startswith("long(null)")]
    first = typed[0] if typed else "long(null)"
    for pattern, type_ in ((r"['\"]", "string"), (r"dynamic", "dynamic"), (r"\d+[dhms]$", "timespan"), (r"\d+\.\d", "real")):
        if re.match(pattern, first):
            return type_
    return "long"


@pytest.mark.parametrize("function", ALL, ids=lambda function: function.name)
def test_declaration_is_complete(function: Function) -> None:
    assert function.doc.endswith(".")
    assert function.source
    for chosen in function.sql.values():
        assert not isinstance(chosen, Custom) or chosen.name in CUSTOM, chosen


def test_every_lowering_is_declared() -> None:
    named = {chosen.name for function in (*ALL, *PARTS) for chosen in function.sql.values() if isinstance(chosen, Custom)}
    assert {name.removesuffix(" as condition") for name in CUSTOM} == named


def test_operators_cannot_be_called() -> None:
    assert not {name for name in OPERATORS.names() if name.isidentifier()} & set(FUNCTIONS.names())


def test_what_is_refused_is_refused_by_name(connection: kqlite.Connection) -> None:
    assert not set(REFUSED) & set(FUNCTIONS.names())
    for name, reason in REFUSED.items():
        with pytest.raises(kqlite.KqlError) as caught:
            connection.compile(f"print {name}()")
        (diagnostic,) = caught.value.diagnostics
        assert (diagnostic.code, diagnostic.hint) == ("KQL401", reason)


def test_the_page_is_fresh() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), "renew it: python -m kqlite.language.functions.page"


CONVERSIONS = {
    Type.STRING: "tostring",
    Type.LONG: "tolong",
    Type.INT: "toint",
    Type.REAL: "toreal",
    Type.DATETIME: "todatetime",
    Type.TIMESPAN: "totimespan",
    Type.BOOL: "tobool",
    Type.GUID: "toguid",
    Type.DYNAMIC: "parse_json",
}
COLUMNS = "datatable(" + ", ".join(f"c_{type_}:{type_}" for type_ in CONVERSIONS) + ")[]"


def _nested(function: Function) -> list[str]:
    """The first example, and the example in itself one to five times: in its first argument that is no constant, if it has one."""
    text = function.examples[0].call
    if function.examples[0].rows is not None:
        return []
    (call,) = parse(f"print {text}").body.source.items
    if not isinstance(call, syntax.Call) or call.function not in (function.name, *function.aliases):
        return []
    count = len(call.arguments)
    fitting = [s for s in function.signatures if s.least <= count and (s.most is None or count <= s.most)]
    for place in range(count):
        parameter = fitting[0].parameter(place)
        if not parameter.constant:
            break
    else:
        return []
    span = call.arguments[place].span
    before, after = text[: span.start - len("print ")], text[span.end - len("print ") :]
    calls = [text if parameter.type is None else f"{before}c_{parameter.type}{after}"]
    for _ in range(5):
        as_text = f"tostring({calls[-1]})" if parameter.type is Type.DYNAMIC else calls[-1]
        inner = calls[-1] if parameter.type is None else f"{CONVERSIONS[parameter.type]}({as_text})"
        calls.append(f"{before}{inner}{after}")
    return calls


SCALARS = [function for function in FUNCTIONS.all() if not (function.aggregate or function.window)]


@pytest.mark.parametrize("function", SCALARS, ids=lambda function: function.name)
def test_sql_grows_linearly_where_calls_are_nested(connection: kqlite.Connection, function: Function) -> None:
    lengths = [len(connection.compile(f"{COLUMNS} | project value = {call}").sql) for call in _nested(function)]
    growth = [longer - shorter for shorter, longer in pairwise(lengths)]
    assert not growth or growth[-1] < 1.25 * growth[-2] + 100, lengths


EXTREMES = {
    Type.STRING: ("''", "'a'", "'é⒦'", "'10.0.0.1/24'", "'{\"a\":[1]}'", "'%zz'", "'::'", "'a,\"b'"),
    Type.LONG: ("long(null)", "0", "-1", "9223372036854775807", "-9223372036854775807", "70", "2", "-64"),
    Type.INT: ("int(null)", "int(0)", "int(-1)", "int(2147483647)", "int(-2147483647)", "int(7)", "int(2)", "int(1)"),
    Type.REAL: ("real(null)", "0.0", "-1.5", "real(nan)", "real(+inf)", "real(-inf)", "1e308", "2.0"),
    Type.DATETIME: (
        "datetime(null)",
        "datetime(0001-01-01)",
        "datetime(9999-12-31 23:59:59.9999999)",
        "datetime(2022-01-01)",
        "datetime(2022-03-27 02:00)",
        "datetime(1969-12-31)",
        "datetime(2024-02-29)",
        "datetime(null)",
    ),
    Type.TIMESPAN: (
        "timespan(null)",
        "0s",
        "timespan(10675199.02:48:05.4775807)",
        "timespan(-10675199.02:48:05.4775807)",
        "1tick",
        "-1h",
        "7d",
        "1d",
    ),
    Type.BOOL: ("bool(null)", "true", "false") * 2 + ("true", "false"),
    Type.GUID: ("guid(null)", "guid(74be27de-1e4e-49d9-b579-fe0b331d3642)") * 4,
    Type.DYNAMIC: (
        "dynamic(null)",
        "dynamic([])",
        "dynamic([1, 'a', null, {'k': [1]}])",
        "dynamic({})",
        "dynamic({'a': 1, 'b c': null})",
        "dynamic('x')",
        "dynamic(7)",
        "dynamic([true, 2.5])",
    ),
}
ROWS = 8
EXTREME_ROWS = (
    "datatable("
    + ", ".join(f"c_{type_}_{turn}:{type_}" for type_ in EXTREMES for turn in range(3))
    + ")["
    + ", ".join(values[(row + 3 * turn) % ROWS] for row in range(ROWS) for values in EXTREMES.values() for turn in range(3))
    + "]"
)


def _constants(function: Function) -> list[str]:
    """The arguments of the first example, for the parameters that want a constant."""
    text = f"print {function.examples[0].call}"
    (call,) = parse(text).body.source.items
    return [text[argument.span.start : argument.span.end] for argument in call.arguments] if isinstance(call, syntax.Call) else []


def _calls_with_extremes(function: Function) -> Iterator[list[str]]:
    """A call with columns of extreme values, and calls with the values themselves, for each signature."""
    constants = _constants(function)
    for signature in function.signatures:
        parameters = [(place, parameter, parameter.type or Type.LONG) for place, parameter in enumerate(signature.parameters)]
        if any(parameter.constant and place >= len(constants) for place, parameter, _ in parameters):
            continue
        rows = [[f"c_{type_}_{place % 3}" for place, _, type_ in parameters]]
        rows += [[EXTREMES[type_][(row + 3 * place) % ROWS] for place, _, type_ in parameters] for row in range(0, ROWS, 2)]
        for row in rows:
            row[:] = [constants[place] if parameter.constant else row[place] for place, parameter, _ in parameters]
        calls = [f"{function.name}({', '.join(row)})" for row in rows]
        yield calls[:1]
        yield calls[1:]


@pytest.mark.parametrize("function", SCALARS, ids=lambda function: function.name)
def test_extreme_arguments_make_no_fault(connection: kqlite.Connection, function: Function) -> None:
    for calls in _calls_with_extremes(function):
        values = ", ".join(f"value_{number} = {call}" for number, call in enumerate(calls))
        with contextlib.suppress(kqlite.KqlError):
            connection.query(f"{EXTREME_ROWS} | project {values}").to_arrow()


@pytest.mark.parametrize(
    "rest",
    [
        "extend r = rand() | where r < 0.5 | where r > 0.5",
        "extend r = rand() | project a = r, b = r | where a != b",
        "extend r = new_guid() | extend same = r == r | where not(same)",
        "extend r = rand() | order by r asc | extend p = prev(r) | where p > r",
    ],
)
def test_a_random_column_is_drawn_once_a_row(connection: kqlite.Connection, rest: str) -> None:
    assert list(connection.query(f"range x from 1 to 500 step 1 | {rest} | count")) == [{"Count": 0}]


def test_a_random_condition_is_drawn_for_each_row(connection: kqlite.Connection) -> None:
    (row,) = connection.query("range x from 1 to 2000 step 1 | where rand() < 0.5 | count")
    assert 0 < row["Count"] < 2000
