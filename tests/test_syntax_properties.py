"""What always holds of the parser: a printed tree parses to itself, and text of any kind raises nothing but KqlError."""

import json
import random
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kqlite.language import syntax
from kqlite.language.diagnostics import KqlError
from kqlite.language.formatter import format_query
from kqlite.language.parser import parse
from kqlite.language.types import TICKS_PER_DAY, Type
from kqlite.language.unparse import show
from tests.support.damaged_text import PIECES, WRITTEN, damaged
from tests.support.syntax_trees import NOWHERE, without_spans

EXAMPLES = Path(__file__).parents[2] / "shared" / "data" / "kql-docs-examples.jsonl"


# Trees such as the parser makes

words = st.one_of(
    st.sampled_from(
        [
            "a",
            "b",
            "name",
            "kind",
            "type",
            "count",
            "where",
            "by",
            "in",
            "has",
            "and",
            "true",
            "null",
            "limit",
            "print",
            "range",
            "let",
            "isfuzzy",
        ]
    ),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=4),
    st.from_regex(r"\$?[a-z_]\w{0,3}|\d[a-z]", fullmatch=True),
)
names = words.map(lambda word: syntax.Name(NOWHERE, word))
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=6)
wholes = st.integers(-(2**63), 2**63 - 1)
types = st.sampled_from([each for each in Type if each is not Type.DECIMAL])  # which no query can write
json_texts = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=5,
).map(lambda value: None if value is None else json.dumps(value, separators=(",", ":"), ensure_ascii=False))


def literal(type_: Type, values: st.SearchStrategy[object]) -> st.SearchStrategy[syntax.Literal]:
    null = st.nothing() if type_ is Type.STRING else st.none()
    return (values | null).map(lambda value: syntax.Literal(NOWHERE, type_, value))


leaves: st.SearchStrategy[syntax.Scalar] = st.one_of(
    names,
    literal(Type.BOOL, st.booleans()),
    literal(Type.INT, st.integers(-(2**31), 2**31 - 1)),
    literal(Type.LONG, wholes),
    literal(Type.REAL, st.floats(allow_nan=False)),
    literal(Type.STRING, texts),
    literal(Type.DATETIME, st.integers(0, 3_652_059 * TICKS_PER_DAY - 1)),
    literal(Type.TIMESPAN, wholes),
    literal(Type.GUID, st.uuids().map(str)),
    json_texts.map(lambda text: syntax.DynamicLiteral(NOWHERE, text)),
    types.map(lambda type_: syntax.TypeLiteral(NOWHERE, type_)),
)
TYPE_WORDS = {"bool", "int", "long", "real", "datetime", "timespan", "guid"}


def nodes(kind: type, *fields: st.SearchStrategy[object]) -> st.SearchStrategy[syntax.Node]:
    return st.tuples(*fields).map(lambda values: kind(NOWHERE, *values))


def several(items: st.SearchStrategy[object], least: int = 1) -> st.SearchStrategy[tuple[object, ...]]:
    return st.lists(items, min_size=least, max_size=3).map(tuple)


def chains(operands: st.SearchStrategy[object], operators: list[str]) -> st.SearchStrategy[syntax.Node]:
    rest = st.lists(st.tuples(st.sampled_from(operators), operands), min_size=1, max_size=2)
    return st.tuples(operands, rest).map(
        lambda parts: syntax.Chain(NOWHERE, (parts[0], *(operand for _, operand in parts[1])), tuple(operator for operator, _ in parts[1]))
    )


def items_of(scalars: st.SearchStrategy[object]) -> st.SearchStrategy[object]:
    return scalars | st.just(syntax.Star(NOWHERE)) | nodes(syntax.Named, several(names), scalars)


def parameters(*known: str) -> st.SearchStrategy[tuple[object, ...]]:
    return st.lists(nodes(syntax.Parameter, st.sampled_from(known), words | st.just("5"), st.just(NOWHERE)), max_size=2).map(tuple)


parts = st.one_of(
    st.just(syntax.Star(NOWHERE)),
    literal(Type.STRING, texts),
    nodes(syntax.ColumnDeclaration, names.map(lambda name: name.name), types),
)


columns = several(nodes(syntax.ColumnDeclaration, words, types))


def operators_of(scalars: st.SearchStrategy[object]) -> st.SearchStrategy[object]:
    items = items_of(scalars)
    patterns = several(names | st.sampled_from(["a*", "*", "*_x", "where*"]).map(lambda text: syntax.Name(NOWHERE, text)))
    truths = st.none() | st.booleans()
    keys = several(nodes(syntax.SortKey, items, truths, truths))
    subqueries = several(nodes(syntax.Where, items) | nodes(syntax.Count) | nodes(syntax.Take, scalars))
    return st.one_of(
        nodes(syntax.Where, items),
        *(nodes(kind, several(items)) for kind in (syntax.Extend, syntax.Project, syntax.ProjectRename, syntax.Distinct)),
        *(nodes(kind, patterns) for kind in (syntax.ProjectAway, syntax.ProjectKeep)),
        nodes(syntax.Sort, keys),
        nodes(syntax.Take, scalars),
        nodes(syntax.Top, scalars, keys.map(lambda found: found[:1])),
        nodes(syntax.Count),
        nodes(syntax.Summarize, several(items), several(items, least=0)),
        nodes(syntax.Summarize, st.just(()), several(items)),
        unions_of(scalars),
        nodes(syntax.Join, parameters("kind", "hint.strategy"), scalars, several(scalars)),
        nodes(
            syntax.MvExpand,
            st.sampled_from(["mv-expand", "mvexpand"]),
            parameters("kind", "bagexpansion", "with_itemindex"),
            several(nodes(syntax.Expanded, items, st.none() | types)),
            st.none() | scalars,
        ),
        nodes(
            syntax.MvApply,
            parameters("with_itemindex"),
            several(nodes(syntax.Expanded, items, st.none() | types)),
            st.none() | scalars,
            subqueries,
        ),
        nodes(syntax.Partition, names, subqueries),
        nodes(
            syntax.MakeSeries,
            parameters("kind"),
            several(nodes(syntax.SeriesItem, items, st.none() | scalars)),
            scalars,
            st.none() | scalars,
            st.none() | scalars,
            scalars,
            st.just(False),
            several(items, least=0),
        ),
        nodes(
            syntax.MakeSeries,
            st.just(()),
            several(nodes(syntax.SeriesItem, items, st.none())),
            scalars,
            scalars,
            scalars,
            scalars,
            st.just(True),
            st.just(()),
        ),
        nodes(
            syntax.TopNested,
            several(nodes(syntax.Level, st.none() | scalars, items, st.none() | scalars, keys.map(lambda found: found[0]))),
        ),
        nodes(syntax.TopHitters, scalars, items, st.none() | items),
        nodes(syntax.ProjectByNames, several(scalars)),
        nodes(syntax.ParseKv, scalars, columns, several(items, least=0)),
        searches_of(scalars),
        nodes(syntax.Lookup, parameters("kind"), scalars, several(scalars)),
        nodes(
            syntax.ProjectReorder,
            several(nodes(syntax.Reordered, patterns.map(lambda p: p[0]), st.none() | st.sampled_from(["asc", "desc", "granny-desc"]))),
        ),
        nodes(syntax.Serialize, several(items, least=0)),
        nodes(syntax.Sample, scalars),
        nodes(syntax.SampleDistinct, scalars, scalars),
        nodes(syntax.As, names),
        nodes(syntax.Invoke, calls_of(scalars)),
        nodes(syntax.Evaluate, calls_of(scalars), st.none() | nodes(syntax.OutputSchema, st.booleans(), columns)),
        *(nodes(kind) for kind in (syntax.GetSchema, syntax.Consume)),
        nodes(syntax.Render, st.just("timechart"), several(items, least=0)),
        nodes(syntax.Parse, st.sampled_from(["parse", "parse-where"]), parameters("kind", "flags"), scalars, several(parts)),
    )


def calls_of(scalars: st.SearchStrategy[object]) -> st.SearchStrategy[syntax.Node]:
    functions = words.filter(lambda word: word not in TYPE_WORDS)
    return nodes(syntax.Call, functions, several(items_of(scalars), least=0), st.just(NOWHERE))


def searches_of(scalars: st.SearchStrategy[object]) -> st.SearchStrategy[syntax.Node]:
    return nodes(syntax.Search, parameters("kind"), st.none() | several(scalars), scalars | st.just(syntax.Star(NOWHERE)))


def unions_of(scalars: st.SearchStrategy[object]) -> st.SearchStrategy[syntax.Node]:
    return nodes(syntax.Union, parameters("kind", "withsource", "isfuzzy"), several(scalars))


def pipelines_of(scalars: st.SearchStrategy[object]) -> st.SearchStrategy[syntax.Node]:
    stages = st.lists(operators_of(scalars), min_size=1, max_size=3).map(tuple)
    sources = st.one_of(
        nodes(syntax.Print, several(items_of(scalars))),
        nodes(syntax.Range, names, scalars, scalars, scalars),
        nodes(syntax.Datatable, several(nodes(syntax.ColumnDeclaration, words, types), least=0), several(scalars, least=0)),
        unions_of(scalars),
        searches_of(scalars),
        nodes(
            syntax.Find,
            parameters("withsource"),
            st.none() | several(scalars),
            scalars,
            st.none() | several(names | nodes(syntax.ColumnDeclaration, words, types) | calls_of(scalars)),
        ),
    )
    return nodes(syntax.Pipeline, scalars, stages) | nodes(syntax.Pipeline, sources, st.just(()) | stages)


def larger(scalars: st.SearchStrategy[object]) -> st.SearchStrategy[object]:
    comparisons = [
        "==",
        "!=",
        "<",
        "<=",
        ">",
        ">=",
        "=~",
        "!~",
        "has",
        "!has_cs",
        "contains",
        "!startswith",
        "endswith_cs",
        "matches regex",
    ]
    starred = st.sampled_from(["==", "has", "contains_cs"])
    indices = scalars.filter(lambda index: not (isinstance(index, syntax.Literal) and index.type is Type.STRING))
    return st.one_of(
        chains(scalars, ["or"]),
        chains(scalars, ["and"]),
        chains(scalars, ["+", "-"]),
        chains(scalars, ["*", "/", "%"]),
        nodes(syntax.Binary, st.sampled_from(comparisons), scalars, scalars, st.just(NOWHERE)),
        nodes(syntax.Binary, starred, st.just(syntax.Star(NOWHERE)), scalars, st.just(NOWHERE)),
        nodes(syntax.InList, st.sampled_from(["in", "!in~", "has_any", "has_all"]), scalars, several(scalars), st.just(NOWHERE)),
        nodes(syntax.Between, scalars, scalars, scalars, st.booleans()),
        nodes(syntax.Unary, st.sampled_from("+-"), scalars),
        nodes(syntax.MemberAccess, scalars, words, st.just(NOWHERE)),
        nodes(syntax.IndexAccess, scalars, indices),
        calls_of(scalars),
        pipelines_of(scalars),
    )


scalars = st.recursive(leaves, larger, max_leaves=12)
bodies = st.one_of(
    pipelines_of(scalars),
    nodes(syntax.Pipeline, scalars.filter(lambda scalar: not isinstance(scalar, syntax.Pipeline)), st.just(())),
    nodes(syntax.Pipeline, st.none(), st.lists(operators_of(scalars), min_size=1, max_size=3).map(tuple)),
)
defaults = st.none() | literal(Type.LONG, st.integers(0, 9)) | literal(Type.STRING, texts)
scalar_parameters = nodes(syntax.ScalarParameter, words, types, defaults)
parameter_lists = several(scalar_parameters | nodes(syntax.TableParameter, words, st.none() | columns), least=0)
function_bodies = nodes(syntax.Query, st.lists(nodes(syntax.Let, names, scalars), max_size=1).map(tuple), bodies).filter(
    lambda query: query.body.source is not None
)
statements = st.one_of(
    nodes(syntax.Let, names, scalars | nodes(syntax.Function, st.booleans(), parameter_lists, function_bodies)),
    nodes(syntax.QueryParameters, several(scalar_parameters)),
    nodes(syntax.Set, st.just("notruncation"), defaults),
)
queries = nodes(syntax.Query, st.lists(statements, max_size=2).map(tuple), bodies)


@settings(max_examples=300, deadline=None)
@given(queries)
def test_a_printed_tree_parses_to_itself(query: syntax.Query) -> None:
    assert without_spans(parse(show(query))) == query


@settings(max_examples=200, deadline=None)
@given(queries, st.sampled_from([20, 60, 100]))
def test_a_query_laid_out_means_the_same_and_stays_so(query: syntax.Query, width: int) -> None:
    laid_out = format_query(show(query), width)
    assert without_spans(parse(laid_out)) == query
    assert format_query(laid_out, width) == laid_out


@pytest.mark.parametrize("text", WRITTEN)
def test_a_written_query_printed_means_the_same(text: str) -> None:
    tree = parse(text)
    assert without_spans(parse(show(tree))) == without_spans(tree)


# Text of any kind

fragments = st.lists(st.sampled_from(PIECES) | st.text(max_size=3), max_size=30).map(" ".join)


def holds(text: str) -> None:
    """The text parses, or is refused with places inside it."""
    error = refusal(text)
    if error is not None:
        assert str(error)
        for diagnostic in error.diagnostics:
            assert 0 <= diagnostic.span.start <= diagnostic.span.end <= len(text) + 1, diagnostic
            assert diagnostic.code[:4] in ("KQL1", "KQL4")


def refusal(text: str) -> KqlError | None:
    try:
        parse(text)
    except KqlError as error:
        return error
    return None


@settings(max_examples=300, deadline=None)
@given(st.text() | fragments | st.text(st.characters()))
def test_any_text_raises_nothing_but_kql_errors(text: str) -> None:
    holds(text)


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(WRITTEN), st.randoms(use_true_random=False))
def test_a_damaged_query_raises_nothing_but_kql_errors(text: str, chance: random.Random) -> None:
    holds(damaged(text, chance))


@pytest.mark.skipif(not EXAMPLES.exists(), reason="the worked examples are not beside this checkout")
def test_worked_examples_print_and_break_well() -> None:
    chance = random.Random(4)
    for line in EXAMPLES.read_text(encoding="utf-8").splitlines():
        text = json.loads(line)["query"]
        for _ in range(3):
            holds(damaged(text, chance))
        try:
            tree = parse(text)
        except KqlError:
            continue
        assert without_spans(parse(show(tree))) == without_spans(tree), text


@pytest.mark.parametrize(
    "text",
    [
        "print " + "(" * 5000 + "1" + ")" * 5000,
        "print " + "(" * 5000,
        "(" * 900_000,
        "print " + "f(" * 5000 + ")" * 5000,
        "print a" + ".b" * 5000,
        "print a" + "[0]" * 5000,
        "print dynamic(" + "[" * 5000 + "]" * 5000 + ")",
        "T | where a in " + "(T | where a in " * 3000 + "(1)" + ")" * 3000,
    ],
)
def test_what_is_nested_too_deep_is_refused_where_it_is(text: str) -> None:
    with pytest.raises(KqlError) as raised:
        parse(text)
    assert [diagnostic.code for diagnostic in raised.value.diagnostics] == ["KQL108"]
    assert 0 < raised.value.span.start < len(text)


@pytest.mark.parametrize(
    "deep",
    [
        lambda levels: "print " + "f(" * levels + "1" + ")" * levels,
        lambda levels: "print a" + ".b" * levels,
        lambda levels: "print " + "(1+" * levels + "1" + ")" * levels,
        lambda levels: "T" + " | union (T" * levels + ")" * levels,
        lambda levels: "T | where " + "a in (T | where " * levels + "b" + ")" * levels,
        lambda levels: "print " + "(a == b(x = " * levels + "1" + "))" * levels,
    ],
)
def test_the_deepest_tree_can_be_walked(deep) -> None:
    levels = next(levels for levels in range(1, 1000) if refusal(deep(levels))) - 1
    assert refusal(deep(levels + 1)).code == "KQL108"
    assert levels > 40
    tree = parse(deep(levels))
    assert without_spans(parse(show(tree))) == without_spans(tree)
    assert hash(tree) == hash(parse(deep(levels)))
    assert repr(tree)


def test_long_lists_are_not_deep() -> None:
    assert len(parse("print " + " or ".join(["a"] * 5000)).body.source.items[0].operands) == 5000
    assert len(parse("T" + " | take 1" * 5000).body.operators) == 5000


@pytest.mark.parametrize(
    "text",
    [
        "T |" + " \n" * 100_000 + "#",
        "T //" + " // x" * 100_000 + "\n#",
        "T | where a == '" + "\\'" * 100_000,
        "T | where " + "1" * 200_000 + "#",
        "print ```" * 50_000,
        "let f = (" * 50_000,
        "print " + "'a' " * 100_000 + "#",
        "x" * 500_000 + "#",
        "T" + " | where a ==" * 20_000,
        "print dynamic(" + "[1, " * 199 + "#",
    ],
    ids=lambda text: text[:12],
)
def test_long_text_that_is_wrong_is_refused_in_no_time(text: str) -> None:
    start = time.perf_counter()
    assert refusal(text) is not None
    assert time.perf_counter() - start < 10


def test_a_query_of_more_than_a_million_characters_is_refused_unread() -> None:
    with pytest.raises(KqlError, match="1,000,000"):
        parse("T // " + "x" * 1_000_000)
