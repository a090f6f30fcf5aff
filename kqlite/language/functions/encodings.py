"""Other ways to write a text or its bytes: base64, percent-encoding, code points, hashes of 64 bits."""

from collections.abc import Sequence

from kqlite.language.functions.declare import Custom, Example, Function, Parameter, Signature, anything, dynamic, long, scalar, string
from kqlite.language.plan import Scalar
from kqlite.language.schema import Array, Leaf, Shape
from kqlite.language.types import Type


def _page(name: str) -> str:
    return f"Kusto Query Language reference, {name}()"


def _numbers(arguments: Sequence[Scalar]) -> Shape:
    return Array(Leaf(Type.LONG))


scalar(
    Function(
        name="url_encode",
        doc="The text percent-encoded as a query of a URL: a space gives `+`.",
        signatures=(Signature((string("url"),), Type.STRING),),
        sql={"duckdb": Custom("url_encode")},
        nullable=False,
        examples=(Example("url_encode('https://www.bing.com/hello world')", "https%3a%2f%2fwww.bing.com%2fhello+world"),),
        source=_page("url_encode"),
    )
)

scalar(
    Function(
        name="base64_encode_fromarray",
        doc="The base64 text of an array of bytes; an empty string where an element is no byte.",
        signatures=(Signature((dynamic("array"),), Type.STRING),),
        sql={"duckdb": Custom("base64_encode_fromarray")},
        nullable=False,
        examples=(
            Example("base64_encode_fromarray(dynamic([75, 117, 115, 116, 111]))", "S3VzdG8="),
            Example("base64_encode_fromarray(dynamic([256]))", ""),
        ),
        source=_page("base64_encode_fromarray"),
    )
)

scalar(
    Function(
        name="base64_decode_toarray",
        doc="The bytes of a base64 text as an array of numbers; null where it is none.",
        signatures=(Signature((string("base64"),), Type.DYNAMIC),),
        sql={"duckdb": Custom("base64_decode_toarray")},
        shape=_numbers,
        examples=(Example('base64_decode_toarray("S3VzdG8=")', "[75,117,115,116,111]"), Example('base64_decode_toarray("S3V")', "null")),
        source=_page("base64_decode_toarray"),
    )
)

scalar(
    Function(
        name="base64_encode_fromguid",
        doc="The base64 text of the 16 bytes of a guid, of which the first three numbers begin with their last byte.",
        signatures=(Signature((Parameter("guid", Type.GUID),), Type.STRING),),
        sql={"duckdb": Custom("base64_encode_fromguid")},
        nullable=False,
        examples=(
            Example('base64_encode_fromguid(toguid("ae3133f2-6e22-49ae-b06a-16e6a9b212eb"))', "8jMxriJurkmwahbmqbIS6w=="),
            Example("base64_encode_fromguid(guid(null))", ""),
        ),
        source=_page("base64_encode_fromguid"),
    )
)

scalar(
    Function(
        name="unicode_codepoints_from_string",
        aliases=("to_utf8",),
        doc="The code points of a text.",
        signatures=(Signature((string("text"),), Type.DYNAMIC),),
        sql={"duckdb": Custom("unicode_codepoints_from_string")},
        nullable=False,
        shape=_numbers,
        examples=(
            Example('unicode_codepoints_from_string("Kusto é")', "[75,117,115,116,111,32,233]"),
            Example('unicode_codepoints_from_string("")', "[]"),
        ),
        source=_page("unicode_codepoints_from_string"),
    )
)

scalar(
    Function(
        name="unicode_codepoints_to_string",
        aliases=("make_string",),
        doc="The text of code points, which come as numbers or arrays of numbers. What is no code point adds nothing.",
        signatures=(Signature((anything("value"),), Type.STRING, repeats=True),),
        sql={"duckdb": Custom("unicode_codepoints_to_string")},
        nullable=False,
        examples=(
            Example("unicode_codepoints_to_string(75, 117, 115, 116, 111)", "Kusto"),
            Example("unicode_codepoints_to_string(range(48, 57), dynamic([65, 66]), 67)", "0123456789ABC"),
        ),
        source=_page("unicode_codepoints_to_string"),
    )
)

_HASHED = (
    Signature((string("value"), long("mod")), Type.LONG, optional=1),
    Signature((Parameter("value", Type.LONG), long("mod")), Type.LONG, optional=1),
    Signature((Parameter("value", Type.DATETIME), long("mod")), Type.LONG, optional=1),
    Signature((Parameter("value", Type.TIMESPAN), long("mod")), Type.LONG, optional=1),
)

scalar(
    Function(
        name="hash_xxhash64",
        aliases=("hash",),
        doc="The xxHash of 64 bits of a value's bytes, or its remainder: of a text in UTF-8, of a number or a time as 8 bytes.",
        signatures=_HASHED,
        sql={"duckdb": Custom("hash_xxhash64")},
        examples=(
            Example('hash("World")', "1846988464401551951"),
            Example('hash("World", 100)', "51"),
            Example("hash(datetime(2015-01-01))", "1380966698541616202"),
            Example('hash("")', "-1205034819632174695"),
            Example('hash("The quick brown fox jumps over the lazy dog")', "802816344064684476"),
        ),
        source=_page("hash_xxhash64"),
    )
)
