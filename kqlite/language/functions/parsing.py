"""Texts with a form of their own, taken apart: CSV, URLs, paths, JSON by a path."""

from collections.abc import Sequence

from kqlite.language.functions.declare import Custom, Example, Function, Naming, Parameter, Signature, scalar, string
from kqlite.language.functions.strings import list_of_strings
from kqlite.language.json_paths import steps_of
from kqlite.language.plan import Scalar
from kqlite.language.schema import ORDERED_JSON, Shape
from kqlite.language.types import Type


def _page(name: str) -> str:
    return f"Kusto Query Language reference, {name}()"


def _ordered(arguments: Sequence[Scalar]) -> Shape:
    return ORDERED_JSON


def _check_json_path(path: str) -> str | None:
    return None if steps_of(path) is not None else "no path such as `$.a[0]['b c']`"


scalar(
    Function(
        name="parse_csv",
        doc="The fields of the first record of a CSV text.",
        signatures=(Signature((string("csv"),), Type.DYNAMIC),),
        sql={"duckdb": Custom("parse_csv")},
        naming=Naming.FIRST_ARGUMENT,
        nullable=False,
        shape=list_of_strings,
        examples=(
            Example("parse_csv('aa,b,cc')", '["aa","b","cc"]'),
            Example('parse_csv(\'a,"b,""c""",,d\')', '["a","b,\\"c\\"","","d"]'),
            Example("parse_csv('record1,a\\nrecord2,x')", '["record1","a"]'),
            Example("parse_csv('')", '[""]'),
        ),
        source=_page("parse_csv"),
    )
)

scalar(
    Function(
        name="parse_url",
        aliases=("parseurl",),
        doc="The parts of an absolute URL. Of a query key that stands there several times all values, as an array.",
        signatures=(Signature((string("url"),), Type.DYNAMIC),),
        sql={"duckdb": Custom("parse_url")},
        nullable=False,
        shape=_ordered,
        examples=(
            Example(
                "parse_url('https://bob:pw@example.org:8443/a/b?k=1&x=y&k=2#top')",
                '{"Scheme":"https","Host":"example.org","Port":"8443","Path":"/a/b","Username":"bob","Password":"pw",'
                '"Query Parameters":{"k":["1","2"],"x":"y"},"Fragment":"top"}',
            ),
            Example(
                "parse_url('https://portal.azure.com')",
                '{"Scheme":"https","Host":"portal.azure.com","Port":"","Path":"","Username":"","Password":"","Query Parameters":{},'
                '"Fragment":""}',
            ),
        ),
        source=_page("parse_url"),
    )
)

scalar(
    Function(
        name="parse_urlquery",
        aliases=("parseurlquery",),
        doc="The keys and values of the query of a URL.",
        signatures=(Signature((string("query"),), Type.DYNAMIC),),
        sql={"duckdb": Custom("parse_urlquery")},
        nullable=False,
        shape=_ordered,
        examples=(
            Example("parse_urlquery('k1=v1&k2=v2')", '{"Query Parameters":{"k1":"v1","k2":"v2"}}'),
            Example("parse_urlquery('b=1&a&b=2')", '{"Query Parameters":{"a":"","b":["1","2"]}}'),
            Example("parse_urlquery('')", '{"Query Parameters":{}}'),
        ),
        source=_page("parse_urlquery"),
    )
)

scalar(
    Function(
        name="parse_path",
        doc="The parts of a path of a file, of Windows or Unix.",
        signatures=(Signature((string("path"),), Type.DYNAMIC),),
        sql={"duckdb": Custom("parse_path")},
        nullable=False,
        shape=_ordered,
        examples=(
            Example(
                "parse_path(@'C:\\logs\\app.log:old')",
                '{"Scheme":"","RootPath":"C:","DirectoryPath":"C:\\\\logs","DirectoryName":"logs","Filename":"app.log","Extension":"log",'
                '"AlternateDataStreamName":"old"}',
            ),
            Example(
                "parse_path('/etc/hosts')",
                '{"Scheme":"","RootPath":"","DirectoryPath":"/etc","DirectoryName":"etc","Filename":"hosts","Extension":"",'
                '"AlternateDataStreamName":""}',
            ),
        ),
        source=_page("parse_path"),
    )
)

scalar(
    Function(
        name="extract_json",
        aliases=("extractjson",),
        doc="The value at a path of a JSON text, as text; an empty string where there is none. With a type, a value of it.",
        signatures=(Signature((Parameter("path", Type.STRING, constant=True, check=_check_json_path), string("json")), Type.STRING),),
        sql={"duckdb": Custom("extract_json")},
        nullable=False,
        examples=(
            Example("""extract_json('$.a[1].b', '{"a": [0, {"b": "x"}]}')""", "x"),
            Example("""extract_json("$['a b']", '{"a b": 5}', typeof(long))""", "5"),
            Example("""extract_json('$.c', '{"a": 1}')""", ""),
            Example("""extract_json('$.a', '{"a": [1, 2]}')""", "[1,2]"),
        ),
        source=_page("extract_json"),
    )
)

scalar(
    Function(
        name="parse_version",
        doc="A version of one to four numbers, of at most eight digits each, as a decimal that has their order; null for any other text.",
        signatures=(Signature((string("version"),), Type.DECIMAL),),
        sql={"duckdb": Custom("parse_version")},
        examples=(
            Example("parse_version('1.2.3.4')", "1000000020000000300000004"),
            Example("parse_version('10.0') > parse_version('9.99')", "True"),
            Example("parse_version('1') == parse_version('1.0.0.0')", "True"),
            Example("parse_version('1.2.3.4.5')", "null"),
            Example("parse_version('1.2-beta')", "null"),
        ),
        source=_page("parse_version"),
    )
)
