"""Functions that take a text of a known form apart, by regular expressions."""

from kqlite.dialects import sql
from kqlite.dialects.duckdb.strings import constant_text
from kqlite.dialects.scalars import ScalarLowering, custom
from kqlite.language import plan
from kqlite.language.functions import FUNCTIONS
from kqlite.language.json_paths import steps_of
from kqlite.language.types import Type

_RECORD = r'^(?:[^"\r\n]|"(?:[^"]|"")*")*'
_FIELD = r',("(?:[^"]|"")*"[^,]*|[^",][^,]*|)'

_URL = r"^(?s)(?:([A-Za-z][A-Za-z0-9+.-]*)://)(?:([^/?#@:]*):([^/?#@]*)@)?(\[[^\]]*\]|[^/?#:]*)(?::([0-9]*))?(/[^?#]*)?(?:\?([^#]*))?(?:#(.*))?$"
_URL_PARTS = ("scheme", "username", "password", "host", "port", "path", "query", "fragment")


def _template(template: str, /, **holes: sql.Expression) -> sql.Template:
    return sql.Template(template, holes)


def _names(names: tuple[str, ...]) -> sql.Expression:
    return sql.ListOf(tuple(sql.Literal(name) for name in names))


@custom("parse_csv")
def _parse_csv(lowering: ScalarLowering, invoke: plan.Invoke) -> sql.Expression:
    template = (
        "list_transform(regexp_extract_all(',' || regexp_extract({text}, {record}), {field}, 1), lambda field:"
        " CASE WHEN starts_with(field, '\"') THEN replace(regexp_extract(field, {quoted}, 1), '\"\"', '\"') ELSE coalesce(field, '') END)"
    )
    constants = {"record": _RECORD, "field": _FIELD, "quoted": '(?s)^"(.*)"'}
    holes = {name: sql.Literal(pattern) for name, pattern in constants.items()}
    return sql.Template(template, {"text": lowering.lower(invoke.arguments[0]), **holes})


def _query_bag(query: sql.Expression) -> sql.Expression:
    """The keys of a query in order; a key that comes several times has an array."""
    pairs = (
        "list_transform(list_filter(string_split({query}, '&'), lambda p: regexp_matches(p, '^[^=]')),"
        " lambda p: {'k': string_split(p, '=')[1], 'v': substring(p, length(string_split(p, '=')[1]) + 2)})"
    )
    members = (
        "list_transform(list_sort(list_distinct(list_transform({pairs}, lambda p: (p).k))), lambda key: to_json(key)::VARCHAR || ':' ||"
        " list_transform([list_transform(list_filter({pairs}, lambda p: (p).k = key), lambda p: (p).v)],"
        " lambda found: CASE len(found) WHEN 1 THEN to_json(found[1]) ELSE to_json(found) END)[1]::VARCHAR)"
    )
    bag = "CAST('{' || array_to_string({members}, ',') || '}' AS JSON)"
    return _template(bag, members=_template(members, pairs=_template(pairs, query=query)))


@custom("parse_url")
def _parse_url(lowering: ScalarLowering, invoke: plan.Invoke) -> sql.Expression:
    holes = {"url": lowering.lower(invoke.arguments[0]), "shape": sql.Literal(_URL), "names": _names(_URL_PARTS)}
    parts = sql.Template("regexp_extract({url}, {shape}, {names})", holes)
    template = (
        "json_object('Fragment', ({p}).fragment, 'Host', ({p}).host, 'Password', ({p}).password,"
        " 'Path', CASE ({p}).path WHEN '/' THEN '' ELSE ({p}).path END,"
        " 'Port', ({p}).port, 'Query Parameters', {query}, 'Scheme', ({p}).scheme, 'Username', ({p}).username)"
    )
    return sql.let("url", parts, lambda url: _template(template, p=url, query=_query_bag(sql.Field(url, "query"))))


@custom("parse_urlquery")
def _parse_urlquery(lowering: ScalarLowering, invoke: plan.Invoke) -> sql.Expression:
    query = _template("ltrim({query}, '?')", query=lowering.lower(invoke.arguments[0]))
    return sql.call("json_object", sql.Literal("Query Parameters"), _query_bag(query))


@custom("parse_path")
def _parse_path(lowering: ScalarLowering, invoke: plan.Invoke) -> sql.Expression:
    scheme = _template(
        "regexp_extract({path}, {shape}, ['scheme', 'rest'])",
        path=lowering.lower(invoke.arguments[0]),
        shape=sql.Literal(r"(?s)^(?:([A-Za-z][A-Za-z0-9+.-]*)://)?(.*)$"),
    )
    rest = _template(
        "{'scheme': ({p}).scheme, 'root': regexp_extract(({p}).rest, '^[A-Za-z]:'),"
        " 'directory': regexp_extract(({p}).rest, {directory}, 1), 'last': regexp_extract(({p}).rest, {last}, ['name', 'stream'])}",
        p=scheme,
        directory=sql.Literal(r"(?s)^(.*)[\\/]"),
        last=sql.Literal(r"([^\\/:]*)(?::([^\\/:]*))?$"),
    )
    template = (
        "json_object('AlternateDataStreamName', (({p}).last).stream, 'DirectoryName', regexp_extract(({p}).directory, {name}),"
        " 'DirectoryPath', ({p}).directory, 'Extension', regexp_extract((({p}).last).name, {extension}, 1), 'Filename', (({p}).last).name,"
        " 'RootPath', ({p}).root, 'Scheme', ({p}).scheme)"
    )
    return _template(template, p=rest, name=sql.Literal(r"[^\\/:]*$"), extension=sql.Literal(r"\.([^.]*)$"))


@custom("extract_json")
def _extract_json(lowering: ScalarLowering, invoke: plan.Invoke) -> sql.Expression:
    steps = steps_of(constant_text(invoke.arguments[0]))
    parse = FUNCTIONS.find("parse_json")
    assert steps is not None
    assert parse is not None
    document: plan.Scalar = plan.Invoke(parse, (invoke.arguments[1],), Type.DYNAMIC)
    return lowering.lower(plan.Convert(plan.Path(document, steps) if steps else document, Type.STRING))


@custom("parse_version")
def _parse_version(lowering: ScalarLowering, invoke: plan.Invoke) -> sql.Expression:
    """Eight digits for each number."""
    digits = " || ".join(f"lpad(coalesce(parts[{place}], '0'), 8, '0')" for place in range(1, 5))
    template = (
        "CASE WHEN regexp_full_match({version}, {shape}) THEN list_transform([string_split(trim({version}), '.')], lambda parts:"
        f" CAST({digits} AS DECIMAL(38, 0)))[1] END"
    )
    shape = sql.Literal(r"\s*[0-9]{1,8}(?:[.][0-9]{1,8}){0,3}\s*")
    return _template(template, version=lowering.lower(invoke.arguments[0]), shape=shape)
