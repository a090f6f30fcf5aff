"""Text -> syntax tree: precedence, literals, names, places, and what is said about text that is no query."""

import json
from pathlib import Path

import pytest

from kqlite.language import syntax
from kqlite.language.diagnostics import Diagnostic, KqlError
from kqlite.language.parser import parse, table
from kqlite.language.source import Span
from kqlite.language.syntax_errors import OTHER_OPERATORS, operator_words
from kqlite.language.types import TICKS_PER_DAY, TICKS_PER_SECOND, UNIX_EPOCH_TICKS, Type
from tests.support.syntax_trees import without_spans

REFERENCE = """
| where type =~ 'Microsoft.Compute/virtualMachines'
| where properties.virtualMachineScaleSet contains "demo"
| extend powerState = properties.extended.instanceView.powerState.code
| project name, resourceGroup, location, powerState
| order by resourceGroup desc, name desc
"""
EXAMPLES = Path(__file__).parents[2] / "shared" / "data" / "kql-docs-examples.jsonl"


def scalar(text: str) -> syntax.Item:
    source = parse(f"print {text}").body.source
    assert isinstance(source, syntax.Print)
    return source.items[0]


def operators(text: str) -> tuple[syntax.Operator, ...]:
    return parse(text).body.operators


def refused(text: str) -> tuple[Diagnostic, ...]:
    with pytest.raises(KqlError) as raised:
        parse(text)
    return raised.value.diagnostics


def test_the_reference_query() -> None:
    query = parse(REFERENCE)
    assert query.body.source is None
    assert [type(operator).__name__ for operator in query.body.operators] == ["Where", "Where", "Extend", "Project", "Sort"]
    assert [(key.value.name, key.ascending) for key in query.body.operators[-1].keys] == [("resourceGroup", False), ("name", False)]


@pytest.mark.parametrize(
    ("text", "grouped"),
    [
        ("a + b =~ c", "a + (b =~ c)"),
        ("a < b has c", "a < (b has c)"),
        ("a == b has c", "a == (b has c)"),
        ("a + b between (1 .. 2)", "(a + b) between (1 .. 2)"),
        ("a + 1 in (2)", "(a + 1) in (2)"),
        ("a + b * c - d", "a + (b * c) - d"),
        ("a or b and c or d", "a or (b and c) or d"),
        ("a < b == c > d", "(a < b) == (c > d)"),
        ("-a has b", "(-a) has b"),
        ("-a.b * c", "(-(a.b)) * c"),
        ("a - -b", "a - (-b)"),
        ("x !in~ (1) and y", "(x !in~ (1)) and y"),
        ("a <> b", "a != b"),
        ("a matches  \n regex b", "a matches regex b"),
        ("a.['b'].c", "a['b'].c"),
        ("a['b']['c d'][0]", "a.b['c d'][0]"),
        ("'a' \"b\" // comment 'c'\n @'d'", "'abd'"),
        ("['a b'].c", '["a b"].c'),
    ],
)
def test_precedence(text: str, grouped: str) -> None:
    assert without_spans(scalar(text)) == without_spans(scalar(grouped))


@pytest.mark.parametrize("text", ["a == b == c", "a has b has c", "a < b < c", "- -a", "a in (1) == true", "a in b", "a in (1,)", "a[]"])
def test_what_does_not_chain_is_refused(text: str) -> None:
    assert refused(f"print {text}")[0].code == "KQL101"


def test_long_chains_are_flat() -> None:
    chain = scalar("a and b and c")
    assert isinstance(chain, syntax.Chain)
    assert chain.operators == ("and", "and")
    assert len(chain.operands) == 3


DAY = TICKS_PER_DAY


@pytest.mark.parametrize(
    ("text", "type_", "value"),
    [
        ("true", Type.BOOL, True),
        ("True", Type.BOOL, True),
        ("FALSE", Type.BOOL, False),
        ("bool(1)", Type.BOOL, True),
        ("boolean(false)", Type.BOOL, False),
        ("bool(null)", Type.BOOL, None),
        ("int(-2)", Type.INT, -2),
        ("int( 5 )", Type.INT, 5),
        ("int(0xFFFFFFFF)", Type.INT, -1),
        ("5", Type.LONG, 5),
        ("0x1F", Type.LONG, 31),
        ("0Xff", Type.LONG, 255),
        ("long(0x1f)", Type.LONG, 31),
        ("long(-9223372036854775808)", Type.LONG, -(2**63)),
        ("long(null)", Type.LONG, None),
        ("1.5", Type.REAL, 1.5),
        ("1.", Type.REAL, 1.0),
        ("1e5", Type.REAL, 1e5),
        ("1.5e-3", Type.REAL, 0.0015),
        ("real(+inf)", Type.REAL, float("inf")),
        ("double(2)", Type.REAL, 2.0),
        ("'a\\n\\t\\\\\\'\\\"\\u0041\\x41\\101'", Type.STRING, "a\n\t\\'\"AAA"),
        ("'\\ud83d\\ude00'", Type.STRING, "\U0001f600"),
        ("@'a\\b''c'", Type.STRING, "a\\b'c"),
        ('h"x"', Type.STRING, "x"),
        ('H@"x\\"', Type.STRING, "x\\"),
        ('```a\n"b\\```', Type.STRING, 'a\n"b\\'),
        ("~~~a\nb~~~", Type.STRING, "a\nb"),
        ("'http://x' // c", Type.STRING, "http://x"),
        ("datetime(1970-01-01)", Type.DATETIME, UNIX_EPOCH_TICKS),
        ("datetime(0001-01-01)", Type.DATETIME, 0),
        ('datetime("1970-01-02")', Type.DATETIME, UNIX_EPOCH_TICKS + DAY),
        ("datetime(1970-01-01 10:00)", Type.DATETIME, UNIX_EPOCH_TICKS + 10 * 3600 * TICKS_PER_SECOND),
        ("datetime(1970-01-01T00:00:01.1234567Z)", Type.DATETIME, UNIX_EPOCH_TICKS + 11234567),
        ("datetime(1970-01-01T02:00:00+02:00)", Type.DATETIME, UNIX_EPOCH_TICKS),
        ("datetime(1970, 1, 2)", Type.DATETIME, UNIX_EPOCH_TICKS + DAY),
        ("datetime(01-02-1970)", Type.DATETIME, UNIX_EPOCH_TICKS + DAY),
        ("datetime(1970 - 01 - 02)", Type.DATETIME, UNIX_EPOCH_TICKS + DAY),
        ("datetime(Fri, 2 Jan 1970 00:00:00 GMT)", Type.DATETIME, UNIX_EPOCH_TICKS + DAY),
        ("date(null)", Type.DATETIME, None),
        ("2d", Type.TIMESPAN, 2 * DAY),
        ("2days", Type.TIMESPAN, 2 * DAY),
        ("1.5h", Type.TIMESPAN, 5400 * TICKS_PER_SECOND),
        ("30min", Type.TIMESPAN, 1800 * TICKS_PER_SECOND),
        ("100ms", Type.TIMESPAN, TICKS_PER_SECOND // 10),
        ("10microsecond", Type.TIMESPAN, 100),
        ("1tick", Type.TIMESPAN, 1),
        ("250nanos", Type.TIMESPAN, 2),
        ("time(1d)", Type.TIMESPAN, DAY),
        ("timespan(2)", Type.TIMESPAN, 2 * DAY),
        ("timespan(15 seconds)", Type.TIMESPAN, 15 * TICKS_PER_SECOND),
        ("timespan(-1.02:03:04.5)", Type.TIMESPAN, -(DAY + 7384 * TICKS_PER_SECOND + TICKS_PER_SECOND // 2)),
        ("guid(74BE27DE-1E4E-49D9-B579-FE0B331D3642)", Type.GUID, "74be27de-1e4e-49d9-b579-fe0b331d3642"),
        ("guid(null)", Type.GUID, None),
    ],
)
def test_literals(text: str, type_: Type, value: object) -> None:
    literal = scalar(text)
    assert isinstance(literal, syntax.Literal)
    assert (literal.type, literal.value, type(literal.value)) == (type_, value, type(value))


@pytest.mark.parametrize(
    ("text", "json_text"),
    [
        ('dynamic([1,"a"])', '[1,"a"]'),
        ("dynamic({'a': {\"b\": [true, null]}})", '{"a":{"b":[true,null]}}'),
        ("dynamic(null)", None),
        ("dynamic(-4)", "-4"),
        ("dynamic(123456789012345678901234567890)", "123456789012345678901234567890"),
        ("dynamic([0x1F, 007, 1., 'a' 'b'])", '[31,7,1.0,"ab"]'),
        ("dynamic([datetime(2017-01-01), 3s, dynamic([int(5)]), guid(null)])", '["2017-01-01T00:00:00.0000000Z","00:00:03",[5],null]'),
        ('dynamic({"a": 1, "a": 2})', '{"a":2}'),
    ],
)
def test_dynamic_literals(text: str, json_text: str | None) -> None:
    literal = scalar(text)
    assert isinstance(literal, syntax.DynamicLiteral)
    assert literal.json == json_text


def test_now_is_a_call() -> None:
    assert scalar("datetime()") == syntax.Call(span(6, 16), "now", (), span(6, 14))


def span(start: int, end: int) -> Span:
    return Span(start, end)


@pytest.mark.parametrize(
    ("literal", "code", "at"),
    [
        ("int(2147483648)", "KQL106", "int(2147483648)"),
        ("int(1.0)", "KQL106", "int(1.0)"),
        ("int(x)", "KQL106", "int(x)"),
        ("int(f(x))", "KQL106", "int(f(x))"),
        ("9223372036854775808", "KQL106", "9223372036854775808"),
        ("datetime(2020-02-30)", "KQL106", "datetime(2020-02-30)"),
        ("datetime(13-01-2022)", "KQL106", "datetime(13-01-2022)"),
        ("datetime(2020-01-01 24:00)", "KQL106", "datetime(2020-01-01 24:00)"),
        ("timespan(25:00:00)", "KQL106", "timespan(25:00:00)"),
        ("guid(abc)", "KQL106", "guid(abc)"),
        ("'a\\q'", "KQL107", "\\q"),
        ("'a\\ud800b'", "KQL107", "\\ud800"),
        ("'a\\U00110000'", "KQL107", "\\U00110000"),
        ("'a\ud800'", "KQL107", "\ud800"),
        ("decimal(1.5)", "KQL401", "decimal(1.5)"),
        ("dynamic(real(nan))", "KQL401", "real(nan)"),
        ("typeof(lon)", "KQL109", "lon"),
        ("a like 'b*'", "KQL404", "'b*'"),
        ("a notlikecs b", "KQL404", "b"),
    ],
)
def test_what_is_wrong_inside_a_literal_is_shown_there(literal: str, code: str, at: str) -> None:
    text = f"T | extend x = {literal}, y = 1"
    (diagnostic,) = refused(text)
    assert (diagnostic.code, text[diagnostic.span.start : diagnostic.span.end]) == (code, at)


def test_every_node_knows_its_place() -> None:
    text = (
        " resources // c\n| where ( a.b['c d'] !has_cs  f(x, k = -1) ) and z !between (1 .. 2d) | mv-expand q=p to typeof(long) limit 5 ;"
    )
    query = parse(text)
    shown = {type(node).__name__: text[node.span.start : node.span.end] for node in nodes(query)}
    assert shown["Query"].startswith("resources")
    assert shown["Where"] == "where ( a.b['c d'] !has_cs  f(x, k = -1) ) and z !between (1 .. 2d)"
    assert shown["Binary"] == "a.b['c d'] !has_cs  f(x, k = -1)"
    assert shown["Unary"] == "-1"
    assert shown["Call"] == "f(x, k = -1)"
    assert shown["Between"] == "z !between (1 .. 2d)"
    assert shown["MvExpand"] == "mv-expand q=p to typeof(long) limit 5"
    assert shown["Expanded"] == "q=p to typeof(long)"
    (binary,) = (node for node in nodes(query) if isinstance(node, syntax.Binary))
    assert text[binary.operator_span.start : binary.operator_span.end] == "!has_cs"


def nodes(tree: object) -> list[syntax.Node]:
    if isinstance(tree, tuple):
        return [node for item in tree for node in nodes(item)]
    if not isinstance(tree, syntax.Node):
        return []
    return [tree, *(node for name in type(tree).__match_args__ for node in nodes(getattr(tree, name)))]


# Names and operators


@pytest.mark.parametrize(
    "word",
    [*sorted(word for word in operator_words(table()) if "-" not in word), "by", "kind", "and", "in", "has", "asc", "count", "null", "h"],
)
def test_keywords_are_names_where_only_a_name_can_stand(word: str) -> None:
    text = f"T | project-away {word} | extend {word} = p.{word} | project x, {word}"
    away, extend, project = operators(text)
    assert away.patterns[0].name == extend.items[0].names[0].name == extend.items[0].value.name == project.items[1].name == word


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("T | where a orb", "KQL101"),
        ("T | take5", "KQL104"),
        ("T | top 5 byx", "KQL101"),
        ("T | where a hasb", "KQL101"),
        ("T | project-awayx", "KQL104"),
    ],
)
def test_a_keyword_ends_where_a_word_ends(text: str, code: str) -> None:
    assert refused(text)[0].code == code


def test_operators_and_their_parts() -> None:
    text = """
    T
    | summarize hint.strategy=shuffle count(), n = dcount(x), (a, b) = arg_max(t, *) by k, bin(t, 1d)
    | summarize by k
    | top 5 by a asc nulls first
    | sort by a, b asc, c desc nulls last
    | union kind=outer withsource="S x" isfuzzy=true (U | count), V
    | join kind = leftouter hint.remote=left (U) on $left.a == $right.b, c
    | mv-expand with_itemindex=i bagexpansion=array a, b = c.d to typeof(string) limit 10
    | distinct *
    | limit 3
    | filter x = 1
    """
    summarize, by, top, sort, union, join, expand, distinct, take, where = operators(text)
    assert (len(summarize.aggregates), len(summarize.by), by.aggregates) == (3, 2, ())
    assert [(key.ascending, key.nulls_first) for key in (*top.keys, *sort.keys)] == [
        (True, True),
        (None, None),
        (True, None),
        (False, False),
    ]
    assert [(p.name, p.value) for p in union.parameters] == [("kind", "outer"), ("withsource", "S x"), ("isfuzzy", "true")]
    assert [type(leg) for leg in union.legs] == [syntax.Pipeline, syntax.Name]
    assert [(p.name, p.value) for p in join.parameters] == [("kind", "leftouter"), ("hint.remote", "left")]
    assert [type(condition) for condition in join.conditions] == [syntax.Binary, syntax.Name]
    assert (expand.keyword, [item.to_type for item in expand.items], expand.limit.value) == ("mv-expand", [None, Type.STRING], 10)
    assert isinstance(distinct.items[0], syntax.Star)
    assert take.count.value == 3
    assert isinstance(where.condition, syntax.Named)


@pytest.mark.parametrize(
    ("text", "source"),
    [
        ("where a", None),
        ("| where a", None),
        ("count", None),
        ("T", syntax.Name),
        ("f(x)", syntax.Call),
        ("T | count", syntax.Name),
        ("union T, (U | take 1) | count", syntax.Union),
        ("print 1", syntax.Print),
        ("print", syntax.Name),
        ("range x from 1 to 5 step 1", syntax.Range),
        ("range(1, 5)", syntax.Call),
        ("datatable(a: long, b: string)[1, 'x', 2, 'y',] | count", syntax.Datatable),
        ("(T | take 1) | take 2", syntax.Pipeline),
    ],
)
def test_sources(text: str, source: type | None) -> None:
    body = parse(text).body
    assert (body.source is None) if source is None else isinstance(body.source, source)


def test_statements() -> None:
    query = parse("let a = 5; let T = U | where x > a; let t = datatable(x: long)[1];\nT | take a;")
    assert [(statement.name.name, type(statement.value)) for statement in query.statements] == [
        ("a", syntax.Literal),
        ("T", syntax.Pipeline),
        ("t", syntax.Pipeline),
    ]
    assert isinstance(query.body.source, syntax.Name)


def test_tables_stand_where_scalars_do() -> None:
    text = "T | where a in (U | project k) and b in~ (V) and c > toscalar(U | count) and d has_any (x, 'y')"
    in_pipeline, in_name, compared, has_any = operators(text)[0].condition.operands
    assert isinstance(in_pipeline.items[0], syntax.Pipeline)
    assert isinstance(in_name.items[0], syntax.Name)
    assert isinstance(compared.right.arguments[0], syntax.Pipeline)
    assert (has_any.operator, len(has_any.items)) == ("has_any", 2)


# What is no query

END = "end"


@pytest.mark.parametrize(
    ("text", "code", "at", "message", "hint"),
    [
        ("", "KQL101", END, "expected a table, a value or an operator, found the end of the query", None),
        ("T | where a ==  // c\n\n", "KQL101", 14, "expected an expression, found the end of the query", None),
        ("T |", "KQL101", END, "expected an operator such as `where`, found the end of the query", None),
        ("T | where )", "KQL101", ")", "expected an expression, found `)`", None),
        ("T | project a b", "KQL101", "b", "expected the end of the query, `,`, `|` or an operator such as `==`, found `b`", None),
        ("T | top 5 a", "KQL101", "a", "expected `by` or an operator such as `==`, found `a`", None),
        ("T | wher a", "KQL104", "wher", "no operator `wher`", "did you mean `where`?"),
        ("wher type == 1", "KQL101", "type", "found `type`", "did you mean `where`?"),
        ("T | where a == 'x", "KQL102", "'x", "this string has no closing `'`", None),
        ('T | where a == @"x\n| take 1', "KQL102", '@"x', 'this string has no closing `"`', None),
        ("T | where (a == 1", "KQL103", "(", "this `(` is not closed", None),
        ("T | where a[1 | take 5", "KQL101", "|", "expected `]` or an operator such as `==`", None),
        ("T | where !a", "KQL105", "!", "`!` has no meaning here", "`not(..)` negates"),
        ("T | where a = b = c", "KQL101", "= c", "found `=`", "`==` compares"),
        ("print [1, 2]", "KQL101", "1", "expected a string, found `1`", "`dynamic([..])` is an array"),
        ("print dynamic({a: 1})", "KQL101", "a", "expected a string or `}`", "the name of a member is a string"),
        ("let x = 1", "KQL101", END, "expected `;`, `|` or an operator such as `==`, found the end of the query", None),
        ("((a)) = 1 | count", "KQL101", "= 1", "found `=`", "`==` compares"),
        ("print (a.b) = 1", "KQL110", "a.b", "only a name can stand", None),
        ("T; U", "KQL401", "U", "a second query in one text is not supported", None),
        (".show tables", "KQL401", ".", "a management command is not supported", None),
        ("{{/subscriptions/x}} | count", "KQL401", "{{", "a shared query `{{..}}` is not supported", None),
        ("externaldata(a: long)['x']", "KQL401", "externaldata", "the operator `externaldata` is not supported", None),
        ("datatable(a: lon)[]", "KQL109", "lon", "no type `lon`", "did you mean `long`?"),
    ],
)
def test_errors(text: str, code: str, at: str | int, message: str, hint: str | None) -> None:
    (diagnostic,) = refused(text)
    assert diagnostic.code == code
    assert message in diagnostic.message
    assert diagnostic.hint == hint
    expected = at if isinstance(at, int) else len(text) if at == END else text.rindex(at)
    assert diagnostic.span.start == expected


@pytest.mark.parametrize("word", sorted(OTHER_OPERATORS))
def test_operators_that_kqlite_does_not_run_are_named(word: str) -> None:
    text = f"T | take 1 | {word} x y (U | where z) | foo"
    first, second = refused(text)
    assert (first.code, first.message) == ("KQL401", f"the operator `{word}` is not supported")
    assert text[first.span.start : first.span.end] == word
    assert (second.code, text[second.span.start : second.span.end]) == ("KQL104", "foo")


def test_several_errors_at_once() -> None:
    text = "T | where a == | extend x = int(y) | join (U | project ) on k | foo 5 | take 1"
    found = [(diagnostic.code, text[diagnostic.span.start : diagnostic.span.end]) for diagnostic in refused(text)]
    assert found == [("KQL101", "|"), ("KQL106", "int(y)"), ("KQL101", ")"), ("KQL104", "foo")]


def test_at_most_a_few_errors() -> None:
    assert len(refused("T" + " | foo" * 100)) == 5


# The worked examples of the documentation which do not parse, by what they need

NOT_RUN = {
    "a function defined by `let`": """
        07c9e35bfc57 391e4c15d809 3abd88327c22 4d19e3cf6ceb 52c99ee93d27 63dfe615216a 6ebf75ba56c1 6fb843c12669 72f55873766b
        784feb49d9b2 89dcc2c5a7a0 8ab71f8bfe87 8e2ec2593854 929fd222582e affdea09245a d76ec826cf38 e270209f102e fb8429ec4c57
    """,
    "the operator `as`": "9fe909d90246",
    "the operator `evaluate`": """06862cd0723a 38ced8467aee 3a3702899717 40bc9a597a2a 4c66e763aeb1 69c32e61a4f8 7556053b9bb3 764003a9a719
        ae8abe3743f7 b019239d8c8a e37de7a20e80 e62265a568ca ff4597066f5e""",
    "the operator `make-graph`": """1e215d2ac9db 24be1ea559df 24cb4a6d12b0 2562e1c4985c 348a666b40a2 566a795ae3f0 5c4f69e246df 61d7391b380e
        989892b417f1 9a278bef0b7b d208e416f9ba d7cc8598842f d9806e8f1129 f98886994565""",
    "the operator `make-series`": "63417dca7415 a1d1702fbe5d e584ed2bd9e9",
    "the operator `mv-apply`": "3fcf7c8a4b59 45a90281f6e5 8adc3cabb903 94e9e5429cba cae7c26b60f4 d10ddca6f83b de5689ac5bc4 f4726cf5a5fa",
    "the operator `parse-kv`": "45a7f9932fa4 48746727ac28 af4086cb14d3 bc35cba8e369 e07ba7c035ee f7d2bd0f5e87 ff9b6f724633",
    "the operator `parse-where`": "8bbb9203e545",
    "the operator `parse`": "1ebf5913cded 4cc104206d22 4d28cd0b7ea9 5e3d2e7cda2e",
    "the operator `partition`": "293a8555a3b0",
    "the operator `project-by-names`": "67baf10d5759 8531fc101636 d3376e807c7e",
    "the operator `project-reorder`": "fc7ac6569db7",
    "the operator `scan`": "86738de1cf32 c3c39213be91 cebee63b2ad9 e0d9c1ac2ffa",
    "the operator `top-nested`": "c08ea1556ff1",
    "the statement `declare`": "6c9a7cf04b37 a7166bdaca52",
    "the statement `set`": "06672b1582c0",
    "the type `decimal`": "858d30754be8",
}


@pytest.mark.skipif(not EXAMPLES.exists(), reason="the worked examples are not beside this checkout")
def test_worked_examples_parse_or_are_refused_by_name() -> None:
    found: dict[str, set[str]] = {}
    codes: set[str] = set()
    for line in EXAMPLES.read_text(encoding="utf-8").splitlines():
        example = json.loads(line)
        try:
            parse(example["query"])
        except KqlError as error:
            codes |= {diagnostic.code for diagnostic in error.diagnostics}
            found.setdefault(error.diagnostics[0].message.removesuffix(" is not supported"), set()).add(example["id"])
    assert found == {what: set(ids.split()) for what, ids in NOT_RUN.items()}
    assert codes == {"KQL401"}
