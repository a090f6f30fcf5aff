"""Conversions: `tostring`, `toint`, `todatetime`, `parse_json`. Bad input gives null, never an error."""

from kqlite.language.functions.declare import Custom, Example, Function, Naming, Parameter, Signature, anything, dynamic, long, scalar
from kqlite.language.schema import JSON
from kqlite.language.types import Type


def _conversion(name: str, to: Type, doc: str, *examples: Example, aliases: tuple[str, ...] = ()) -> Function:
    return scalar(
        Function(
            name=name,
            aliases=aliases,
            doc=doc,
            signatures=(Signature((anything("value"),), to),),
            sql={"duckdb": Custom("convert")},
            naming=Naming.FIRST_ARGUMENT,
            examples=examples,
            source=f"Kusto Query Language reference, {name}()",
        )
    )


_conversion(
    "tostring",
    Type.STRING,
    "The text of a value; an empty string for null. An array or bag gives its JSON.",
    Example("tostring(123)", "123"),
    Example("tostring(true)", "True"),
    Example("tostring(long(null))", ""),
    Example("tostring(3s)", "00:00:03"),
    Example("tostring(datetime(2017-01-01))", "2017-01-01T00:00:00.0000000Z"),
    Example('tostring(dynamic({"a": [1, true]}))', '{"a":[1,true]}'),
    Example('tostring(dynamic("a"))', "a"),
)

_conversion(
    "toint",
    Type.INT,
    "The value as a 32-bit whole number; null where it is none. Fractions are cut off.",
    Example('toint("123")', "123"),
    Example("toint(2.7)", "2"),
    Example("toint(-2.7)", "-2"),
    Example('toint("5.7")', "null"),
    Example('toint("abc")', "null"),
    Example('toint(" 0x10 ")', "16"),
    Example("toint(9999999999)", "1410065407"),
    Example("toint(dynamic(5.7))", "5"),
)

_conversion(
    "tolong",
    Type.LONG,
    "The value as a 64-bit whole number; null where it is none. Fractions are cut off; a datetime or timespan gives its ticks.",
    Example('tolong("123")', "123"),
    Example("tolong(2.3)", "2"),
    Example('tolong("1e3")', "null"),
    Example("tolong(1d)", "864000000000"),
)

_conversion(
    "toreal",
    Type.REAL,
    "The value as a real number; null where it is none.",
    Example('toreal("123.4")', "123.4"),
    Example('toreal("1e3")', "1000.0"),
    Example('toreal("abc")', "null"),
    aliases=("todouble",),
)

_conversion(
    "tobool",
    Type.BOOL,
    "The value as a boolean: `true` and `false` in any case, and numbers, where 0 is false; null for anything else.",
    Example('tobool("true")', "True"),
    Example('tobool("False")', "False"),
    Example('tobool("2")', "True"),
    Example("tobool(0)", "False"),
    Example('tobool("yes")', "null"),
    Example("tobool(123)", "True"),
    aliases=("toboolean",),
)

_conversion(
    "todatetime",
    Type.DATETIME,
    "The value as a datetime; null where it is none. Text may be in ISO 8601 with an offset, in RFC 822 or 850, or month first.",
    Example('todatetime("2015-12-24")', "2015-12-24T00:00:00.0000000Z"),
    Example('todatetime("2022-12-02T13:45:56.1234567+02:00")', "2022-12-02T11:45:56.1234567Z"),
    Example('todatetime("Sat, 8 Nov 14 15:05:02 GMT")', "2014-11-08T15:05:02.0000000Z"),
    Example('todatetime("02/17/2016 08:40:01")', "2016-02-17T08:40:01.0000000Z"),
    Example('todatetime("13-01-2022")', "null"),
)

_conversion(
    "totimespan",
    Type.TIMESPAN,
    "The value as a timespan; null where it is none.",
    Example('totimespan("0.00:01:00")', "00:01:00"),
    Example('totimespan("1d")', "1.00:00:00"),
    Example('totimespan("00:01:00 junk")', "null"),
    aliases=("totime",),
)

_conversion(
    "toguid",
    Type.GUID,
    "The value as a guid; null where it is none. Hyphens may be missing.",
    Example('toguid("70fc66f7-8279-44fc-9092-d364d70fce44")', "70fc66f7-8279-44fc-9092-d364d70fce44"),
    Example('toguid("70FC66F7827944fc9092d364d70fce44")', "70fc66f7-8279-44fc-9092-d364d70fce44"),
    Example('toguid("7")', "null"),
)

scalar(
    Function(
        name="parse_json",
        aliases=("parsejson", "todynamic", "toobject"),
        doc="The value that a JSON text holds. Text that is not JSON becomes a dynamic string, an empty one null; a dynamic stays.",
        signatures=(Signature((dynamic("text"),), Type.DYNAMIC), Signature((Parameter("text", Type.STRING),), Type.DYNAMIC)),
        sql={"duckdb": Custom("parse_json")},
        naming=Naming.FIRST_ARGUMENT,
        shape=lambda arguments: arguments[0].form or JSON,
        examples=(
            Example('parse_json(\'{"a": {"b": 1}}\')', '{"a":{"b":1}}'),
            Example("parse_json('21')", "21"),
            Example("parse_json('hello')", '"hello"'),
            Example("parse_json('')", "null"),
        ),
        source="Kusto Query Language reference, parse_json()",
    )
)

scalar(
    Function(
        name="tohex",
        doc="A whole number in hexadecimal, lower case, padded with zeros to a least width.",
        signatures=(
            Signature((Parameter("value", Type.INT), long("width")), Type.STRING, optional=1),
            Signature((long("value"), long("width")), Type.STRING, optional=1),
        ),
        sql={"duckdb": Custom("tohex")},
        naming=Naming.FIRST_ARGUMENT,
        examples=(
            Example("tohex(256)", "100"),
            Example("tohex(-256)", "ffffffffffffff00"),
            Example("tohex(toint(-256), 8)", "ffffff00"),
            Example("tohex(256, 8)", "00000100"),
            Example("tohex(256, 2)", "100"),
        ),
        source="Kusto Query Language reference, tohex()",
    )
)

scalar(
    Function(
        name="new_guid",
        doc="A random guid, another one for each row.",
        signatures=(Signature((), Type.GUID),),
        sql={"duckdb": "CAST(uuid() AS VARCHAR)"},
        volatile=True,
        nullable=False,
        examples=(Example("strlen(tostring(new_guid()))", "36"),),
        source="Kusto Query Language reference, new_guid()",
    )
)
