"""Strings. Positions count code points from 0; a string is never null, and neither is the result of a function that gives one."""

import json
from collections.abc import Callable, Sequence

from kqlite.language.functions.declare import (
    ANY,
    Custom,
    Example,
    Function,
    Naming,
    Parameter,
    Signature,
    dynamic,
    long,
    scalar,
    string,
    text_of,
)
from kqlite.language.functions.regexes import group_count, group_names
from kqlite.language.plan import Constant, Scalar
from kqlite.language.schema import Array, Leaf, Shape
from kqlite.language.types import Type

STRINGS = Array(Leaf(Type.STRING))


def _regex(check: Callable[[str], str | None] | None = None) -> Parameter:
    return Parameter("regex", Type.STRING, constant=True, check=check)


_REPEATED = "least(greatest({count}, 0), 1048576)"


def _check_has_groups(pattern: str) -> str | None:
    return None if group_count(pattern) else "a regular expression without groups"


def _check_kind(kind: str) -> str | None:
    return None if kind in ("normal", "regex") else "neither `normal` nor `regex`"


def list_of_strings(arguments: Sequence[Scalar]) -> Shape:
    """The form of an array of texts."""
    return STRINGS


def extracted_groups(arguments: Sequence[Scalar]) -> list[int]:
    """The groups that a call of `extract_all` asks for: those of its pattern, unless a dynamic array of numbers or names chooses."""
    pattern = arguments[0]
    assert isinstance(pattern, Constant)
    if len(arguments) == 2:
        return list(range(1, group_count(str(pattern.value)) + 1)) or [0]
    chosen = arguments[1]
    assert isinstance(chosen, Constant)
    names = group_names(str(pattern.value))
    groups = json.loads(str(chosen.value)) if chosen.value is not None else []
    return [group if isinstance(group, int) else names.get(str(group), 0) for group in groups] or [0]


def _matches(arguments: Sequence[Scalar]) -> Shape:
    return STRINGS if len(extracted_groups(arguments)) == 1 else Array(STRINGS)


scalar(
    Function(
        name="tolower",
        doc="The text in lower case.",
        signatures=(Signature((text_of("text"),), Type.STRING),),
        sql={"duckdb": "lower({text})"},
        nullable=False,
        examples=(Example('tolower("Hello")', "hello"), Example("tolower(dynamic(null))", "")),
        source="Kusto Query Language reference, tolower()",
    )
)

scalar(
    Function(
        name="toupper",
        doc="The text in upper case.",
        signatures=(Signature((text_of("text"),), Type.STRING),),
        sql={"duckdb": "upper({text})"},
        nullable=False,
        examples=(Example('toupper("hello")', "HELLO"),),
        source="Kusto Query Language reference, toupper()",
    )
)

scalar(
    Function(
        name="strlen",
        doc="How many code points a text has.",
        signatures=(Signature((string("text"),), Type.LONG),),
        sql={"duckdb": "length({text})"},
        naming=Naming.FUNCTION_AND_ARGUMENT,
        nullable=False,
        examples=(Example('strlen("hello")', "5"), Example('strlen("⒦⒰⒮⒯⒪")', "5")),
        source="Kusto Query Language reference, strlen()",
    )
)

scalar(
    Function(
        name="string_size",
        doc="How many bytes a text has in UTF-8.",
        signatures=(Signature((string("text"),), Type.LONG),),
        sql={"duckdb": "strlen({text})"},
        naming=Naming.FUNCTION_AND_ARGUMENT,
        nullable=False,
        examples=(Example('string_size("hello")', "5"), Example('string_size("⒦⒰⒮⒯⒪")', "15")),
        source="Kusto Query Language reference, string_size()",
    )
)

scalar(
    Function(
        name="strcat",
        doc="The texts of all arguments, one after the other; null adds nothing.",
        signatures=(Signature((text_of("value"),), Type.STRING, repeats=True),),
        sql={"duckdb": "concat({value})"},
        nullable=False,
        examples=(
            Example('strcat("hello", " ", "world")', "hello world"),
            Example("strcat('a', 1, true, dynamic([1,2]))", "a1True[1,2]"),
            Example("strcat('a', long(null), 1s)", "a00:00:01"),
        ),
        source="Kusto Query Language reference, strcat()",
    )
)

scalar(
    Function(
        name="strcat_delim",
        doc="The texts of all arguments behind the first, which is written between them.",
        signatures=(Signature((string("delimiter"), text_of("value")), Type.STRING, repeats=True),),
        sql={"duckdb": "concat_ws({delimiter}, {value})"},
        nullable=False,
        examples=(
            Example("strcat_delim('-', 1, '2', 'A', 1s)", "1-2-A-00:00:01"),
            Example("strcat_delim('-', 'a', long(null), 'b')", "a--b"),
        ),
        source="Kusto Query Language reference, strcat_delim()",
    )
)

scalar(
    Function(
        name="substring",
        doc="The part of a text from a position on, at most so many code points. A negative position counts from the end.",
        signatures=(Signature((text_of("text"), long("start"), long("length")), Type.STRING, optional=1),),
        sql={"duckdb": Custom("substring")},
        nullable=False,
        examples=(
            Example('substring("123456", 1)', "23456"),
            Example('substring("123456", 2, 2)', "34"),
            Example('substring("ABCD", 0, 2)', "AB"),
            Example('substring("123456", -2, 2)', "56"),
            Example('substring("abcdefg", -3, 2)', "ef"),
            Example('substring("abc", -10)', ""),
            Example('substring("abc", 5)', ""),
        ),
        source="Kusto Query Language reference, substring()",
    )
)

scalar(
    Function(
        name="indexof",
        doc="Where a text is found in another, from 0, -1 where it is not: from a position on, within a length, at the nth occurrence.",
        signatures=(
            Signature((text_of("text"), text_of("lookup"), long("start"), long("length"), long("occurrence")), Type.LONG, optional=3),
        ),
        sql={
            ("duckdb", 2): "strpos({text}, {lookup}) - 1",
            "duckdb": Custom("indexof"),
        },
        examples=(
            Example('indexof("abcdefg", "cde")', "2"),
            Example('indexof("abcdefg", "cde", 1, 4)', "2"),
            Example('indexof("abcdefg", "cde", 1, 2)', "-1"),
            Example('indexof("abcdefg", "cde", 3, 4)', "-1"),
            Example('indexof("abcdefg", "cde", -5)', "2"),
            Example("indexof(1234567, 5, 1, 4)", "4"),
            Example('indexof("abcdefgabcdefg", "cde", 1, -1, 2)', "9"),
            Example('indexof("abcdefgabcdefg", "cde", 1, 10, 2)', "9"),
            Example('indexof("abcdefgabcdefg", "cde", 1, -1, 3)', "-1"),
            Example('indexof("abcabc", "c", 0, -2)', "null"),
            Example('indexof("abcabc", "c", 0, -1, -1)', "null"),
        ),
        source="Kusto Query Language reference, indexof()",
    )
)

scalar(
    Function(
        name="split",
        doc="The parts of a text between the occurrences of a delimiter. With an index, an array of that part alone.",
        signatures=(Signature((string("text"), string("delimiter"), long("index")), Type.DYNAMIC, optional=1),),
        sql={("duckdb", 2): "string_split({text}, {delimiter})", "duckdb": Custom("split_one")},
        naming=Naming.FIRST_ARGUMENT,
        nullable=False,
        shape=list_of_strings,
        examples=(
            Example('split("aa_bb", "_")', '["aa","bb"]'),
            Example('split("", "_")', '[""]'),
            Example('split("a__b", "_")', '["a","","b"]'),
            Example('split("aaa_bbb_ccc", "_", 1)', '["bbb"]'),
            Example('split("aabbcc", "bb")', '["aa","cc"]'),
        ),
        source="Kusto Query Language reference, split()",
    )
)

scalar(
    Function(
        name="replace_string",
        doc="The text with every occurrence of one text replaced by another.",
        signatures=(Signature((string("text"), string("lookup"), string("rewrite")), Type.STRING),),
        sql={"duckdb": "replace({text}, {lookup}, {rewrite})"},
        nullable=False,
        examples=(
            Example(
                "replace_string('A magic trick can turn a cat into a dog', 'cat', 'hamster')", "A magic trick can turn a hamster into a dog"
            ),
        ),
        source="Kusto Query Language reference, replace_string()",
    )
)

scalar(
    Function(
        name="replace_regex",
        doc="The text with every match of a regular expression replaced; `\\0` in the rewrite is the match, `\\1` its first group.",
        signatures=(Signature((string("text"), _regex(), string("rewrite")), Type.STRING),),
        sql={"duckdb": Custom("replace_regex")},
        nullable=False,
        examples=(
            Example("replace_regex('Number is 42', @'is (\\d+)', @'was: \\1')", "Number was: 42"),
            Example("replace_regex('abc', 'x', 'y')", "abc"),
        ),
        source="Kusto Query Language reference, replace_regex()",
    )
)

scalar(
    Function(
        name="replace",
        doc="The text, which is the last argument, with every match of a regular expression replaced. The old form of `replace_regex`.",
        signatures=(Signature((_regex(), string("rewrite"), string("text")), Type.STRING),),
        sql={"duckdb": Custom("replace")},
        nullable=False,
        examples=(Example("replace(@'is (\\d+)', @'was: \\1', 'Number is 42')", "Number was: 42"),),
        source="Kusto Query Language reference, replace_regex()",
    )
)

scalar(
    Function(
        name="trim",
        doc="The text without one match of a regular expression at each end.",
        signatures=(Signature((_regex(), string("text")), Type.STRING),),
        sql={"duckdb": Custom("trim")},
        nullable=False,
        examples=(
            Example('trim("--", "--https://bing.com--")', "https://bing.com"),
            Example("trim(@'[^\\w]+', '-  Te st1 // $')", "Te st1"),
        ),
        source="Kusto Query Language reference, trim()",
    )
)

scalar(
    Function(
        name="trim_start",
        doc="The text without a match of a regular expression at its start.",
        signatures=(Signature((_regex(), string("text")), Type.STRING),),
        sql={"duckdb": Custom("trim_start")},
        nullable=False,
        examples=(Example('trim_start("https://", "https://bing.com")', "bing.com"), Example("trim_start('a|ab', 'xab')", "xab")),
        source="Kusto Query Language reference, trim_start()",
    )
)

scalar(
    Function(
        name="trim_end",
        doc="The text without a match of a regular expression at its end.",
        signatures=(Signature((_regex(), string("text")), Type.STRING),),
        sql={"duckdb": Custom("trim_end")},
        nullable=False,
        examples=(Example('trim_end(".com", "bing.com")', "bing"), Example('trim_end(",", "a,b")', "a,b")),
        source="Kusto Query Language reference, trim_end()",
    )
)

scalar(
    Function(
        name="extract",
        doc="What a group of a regular expression matched first; group 0 is the whole match. An empty string where nothing matches.",
        signatures=(Signature((_regex(), Parameter("group", Type.LONG, constant=True), string("text")), Type.STRING),),
        sql={"duckdb": Custom("extract")},
        nullable=False,
        examples=(
            Example('extract("x=([0-9.]+)", 1, "hello x=45.6|wo")', "45.6"),
            Example('extract("x=([0-9.]+)", 0, "hello x=45.6|wo")', "x=45.6"),
            Example('extract("^.{2,2}(.{4,4})", 1, "ABCDEFGH")', "CDEF"),
            Example('extract("y", 0, "abc")', ""),
        ),
        source="Kusto Query Language reference, extract()",
    )
)

scalar(
    Function(
        name="extract_all",
        aliases=("extractall",),
        doc="All matches of a regular expression: of one group an array of texts, of several an array of arrays; null without a match.",
        signatures=(
            Signature((_regex(_check_has_groups), string("text")), Type.DYNAMIC),
            Signature((_regex(_check_has_groups), Parameter("groups", Type.DYNAMIC, constant=True), string("text")), Type.DYNAMIC),
        ),
        sql={"duckdb": Custom("extract_all")},
        shape=_matches,
        examples=(
            Example("extract_all(@'(\\d+)', 'a set of numbers: 123, 567 and 789')", '["123","567","789"]'),
            Example("extract_all(@'(\\w)(\\w+)(\\w)', dynamic([1, 3]), 'id')", "null"),
            Example("extract_all(@'(\\w)(\\w)', 'abcd')", '[["a","b"],["c","d"]]'),
            Example("extract_all(@'(\\w)(\\w)', dynamic([2]), 'abcd')", '["b","d"]'),
        ),
        source="Kusto Query Language reference, extract_all()",
    )
)

scalar(
    Function(
        name="countof",
        doc="How often a text is found in another; occurrences of plain text may overlap, matches of a regular expression do not.",
        signatures=(
            Signature(
                (string("text"), string("search"), Parameter("kind", Type.STRING, constant=True, check=_check_kind)), Type.LONG, optional=1
            ),
        ),
        sql={"duckdb": Custom("countof")},
        nullable=False,
        examples=(
            Example("countof('The cat sat on the mat', 'at')", "3"),
            Example("countof('aaaa', 'aa')", "3"),
            Example("countof('aaaa', 'aa', 'regex')", "2"),
            Example("countof('The cat sat on the mat', @'\\b.at\\b', 'regex')", "3"),
        ),
        source="Kusto Query Language reference, countof()",
    )
)

scalar(
    Function(
        name="reverse",
        doc="The code points of a text in reverse order.",
        signatures=(Signature((text_of("text"),), Type.STRING),),
        sql={"duckdb": "array_to_string(list_reverse(string_split({text}, '')), '')"},
        nullable=False,
        examples=(Example('reverse("hello")', "olleh"), Example("reverse(123456)", "654321")),
        source="Kusto Query Language reference, reverse()",
    )
)

scalar(
    Function(
        name="strcmp",
        doc="-1, 0 or 1: how two texts compare, code point by code point.",
        signatures=(Signature((string("left"), string("right")), Type.LONG),),
        sql={"duckdb": "CAST(CASE WHEN {left} < {right} THEN -1 WHEN {left} > {right} THEN 1 ELSE 0 END AS BIGINT)"},
        nullable=False,
        examples=(Example('strcmp("ABC", "ABC")', "0"), Example('strcmp("abcde", "abc")', "1"), Example('strcmp("ABC", "abc")', "-1")),
        source="Kusto Query Language reference, strcmp()",
    )
)

scalar(
    Function(
        name="strrep",
        doc="A text repeated so many times, with an optional delimiter between.",
        signatures=(Signature((text_of("value"), long("count"), string("delimiter")), Type.STRING, optional=1),),
        sql={
            ("duckdb", 2): f"coalesce(repeat({{value}}, {_REPEATED}), '')",
            (
                "duckdb",
                3,
            ): f"coalesce(CASE WHEN {_REPEATED} > 0 THEN repeat({{value}} || {{delimiter}}, {_REPEATED} - 1) || {{value}} END, '')",
        },
        nullable=False,
        examples=(
            Example("strrep('ABC', 2)", "ABCABC"),
            Example("strrep(123, 3, '.')", "123.123.123"),
            Example("strrep(3s, 2, ' ')", "00:00:03 00:00:03"),
        ),
        source="Kusto Query Language reference, strrep()",
    )
)

scalar(
    Function(
        name="url_decode",
        doc="The text with its percent-encoding undone.",
        signatures=(Signature((string("url"),), Type.STRING),),
        sql={"duckdb": "coalesce(TRY(url_decode({url})), '')"},
        nullable=False,
        examples=(Example("url_decode('https%3a%2f%2fwww.bing.com%2f')", "https://www.bing.com/"),),
        source="Kusto Query Language reference, url_decode()",
    )
)

scalar(
    Function(
        name="url_encode_component",
        doc="The text percent-encoded as a part of a URL: a space gives `%20`.",
        signatures=(Signature((string("url"),), Type.STRING),),
        sql={"duckdb": Custom("url_encode_component")},
        nullable=False,
        examples=(Example("url_encode_component('https://www.bing.com/hello world')", "https%3a%2f%2fwww.bing.com%2fhello%20world"),),
        source="Kusto Query Language reference, url_encode_component()",
    )
)

scalar(
    Function(
        name="base64_encode_tostring",
        aliases=("base64_encodestring",),
        doc="The text's UTF-8 bytes in base64.",
        signatures=(Signature((string("text"),), Type.STRING),),
        sql={"duckdb": "to_base64(encode({text}))"},
        nullable=False,
        examples=(Example('base64_encode_tostring("Kusto")', "S3VzdG8="),),
        source="Kusto Query Language reference, base64_encode_tostring()",
    )
)

scalar(
    Function(
        name="base64_decode_tostring",
        aliases=("base64_decodestring",),
        doc="The text whose UTF-8 bytes were given in base64; an empty one where that is no text.",
        signatures=(Signature((string("base64"),), Type.STRING),),
        sql={"duckdb": "coalesce(TRY(decode(from_base64({base64}))), '')"},
        nullable=False,
        examples=(
            Example('base64_decode_tostring("S3VzdG8=")', "Kusto"),
            Example('base64_decode_tostring("U3RyaW5n_0KHRgtGA0L7Rh9C60LA")', ""),
        ),
        source="Kusto Query Language reference, base64_decode_tostring()",
    )
)

_HASHABLE = ANY - {Type.DYNAMIC}

for _name, _doc, _example in (
    ("md5", "MD5", "f5a7924e621e84c9280a9a27e1bcb7f6"),
    ("sha1", "SHA-1", "70c07ec18ef89c5309bbb0937f3a6342411e1fdd"),
    ("sha256", "SHA-256", "78ae647dc5544d227130a0682a51e30bc7777fbb6d8a8f17007463a3ecd1d524"),
):
    scalar(
        Function(
            name=f"hash_{_name}",
            doc=f"The {_doc} of a value's text, in hexadecimal; an empty string for an empty text.",
            signatures=(Signature((Parameter("value", Type.STRING, _HASHABLE),), Type.STRING),),
            sql={"duckdb": f"coalesce({_name}(nullif({{value}}, '')), '')"},
            nullable=False,
            examples=(Example(f'hash_{_name}("World")', _example), Example(f'hash_{_name}("")', "")),
            source=f"Kusto Query Language reference, hash_{_name}()",
        )
    )

scalar(
    Function(
        name="strcat_array",
        aliases=("array_strcat",),
        doc="The texts of an array's elements with a delimiter between them.",
        signatures=(Signature((dynamic("array"), string("delimiter")), Type.STRING),),
        sql={"duckdb": Custom("strcat_array")},
        nullable=False,
        examples=(
            Example("strcat_array(dynamic([1, 2, 3]), '->')", "1->2->3"),
            Example("strcat_array(dynamic(['a', null, true]), ',')", "a,,true"),
            Example("strcat_array(split('a b', ' '), '-')", "a-b"),
        ),
        source="Kusto Query Language reference, strcat_array()",
    )
)

scalar(
    Function(
        name="translate",
        doc="The text with each code point of one list replaced by its counterpart in another, whose last one serves for all beyond.",
        signatures=(Signature((string("search"), string("replacement"), string("text")), Type.STRING),),
        sql={"duckdb": Custom("translate")},
        nullable=False,
        examples=(
            Example('translate("krasp", "otsku", "spark")', "kusto"),
            Example('translate("abc", "x", "aabcd")', "xxxxd"),
            Example('translate("abc", "", "aabcd")', "d"),
        ),
        source="Kusto Query Language reference, translate()",
    )
)

scalar(
    Function(
        name="regex_quote",
        doc="The text as a regular expression that matches it alone.",
        signatures=(Signature((string("text"),), Type.STRING),),
        sql={"duckdb": Custom("regex_quote")},
        nullable=False,
        examples=(Example("regex_quote('(so$me.Te^xt)')", "\\(so\\$me\\.Te\\^xt\\)"),),
        source="Kusto Query Language reference, regex_quote()",
    )
)

scalar(
    Function(
        name="indexof_regex",
        doc="Where a match of a regular expression begins, from 0; -1 where none does: from a position on, within a length, the nth.",
        signatures=(
            Signature(
                (text_of("text"), _regex(), long("start"), long("length"), long("occurrence")),
                Type.LONG,
                optional=3,
            ),
        ),
        sql={"duckdb": Custom("indexof_regex")},
        examples=(
            Example('indexof_regex("abcabc", @"a.c")', "0"),
            Example('indexof_regex("abcabcdefg", @"a.c", 0, 9, 2)', "3"),
            Example('indexof_regex("abcabc", @"a.c", 1, -1, 2)', "-1"),
            Example('indexof_regex("ababaa", @"a.a", 0, -1, 2)', "-1"),
            Example('indexof_regex("abcabc", @"a|ab", -1)', "null"),
        ),
        source="Kusto Query Language reference, indexof_regex()",
    )
)

scalar(
    Function(
        name="has_any_index",
        doc="The place of the first element of an array that the text has as a term, from 0; -1 where it has none.",
        signatures=(Signature((text_of("text"), dynamic("values")), Type.LONG),),
        sql={"duckdb": Custom("has_any_index")},
        nullable=False,
        examples=(
            Example('has_any_index("this is an example", dynamic(["not", "example"]))', "1"),
            Example('has_any_index("Example number 2", range(1, 3, 1))', "1"),
            Example('has_any_index("this is an example", dynamic([]))', "-1"),
        ),
        source="Kusto Query Language reference, has_any_index()",
    )
)

scalar(
    Function(
        name="replace_strings",
        doc="The text with the texts of one array replaced by those of another, in the order of the arrays; what is replaced stays.",
        signatures=(Signature((string("text"), dynamic("lookups"), dynamic("rewrites")), Type.STRING),),
        sql={"duckdb": Custom("replace_strings")},
        nullable=False,
        examples=(
            Example("replace_strings('This is it', dynamic(['This', 'is']), dynamic(['This', 'was']))", "This was it"),
            Example("replace_strings('This is it', dynamic(['is', 'This']), dynamic(['was', 'This']))", "Thwas was it"),
            Example("replace_strings('a.b', dynamic(['.']), dynamic(['-']))", "a-b"),
        ),
        source="Kusto Query Language reference, replace_strings()",
    )
)

for _name, _sql, _doc, _examples in (
    (
        "isascii",
        "strlen({text}) = length({text})",
        "Whether all code points of a text are ASCII.",
        (Example('isascii("some string")', "True"), Example('isascii("é")', "False")),
    ),
    ("isutf8", "TRUE", "Whether a text is UTF-8, which every text is.", (Example('isutf8("some string")', "True"),)),
):
    scalar(
        Function(
            name=_name,
            doc=_doc,
            signatures=(Signature((text_of("text"),), Type.BOOL),),
            sql={"duckdb": _sql},
            nullable=False,
            examples=_examples,
            source=f"Kusto Query Language reference, {_name}()",
        )
    )

SIZE_UNITS = ("Bytes", "KB", "MB", "GB", "TB", "PB", "EB")


def _check_size_unit(unit: str) -> str | None:
    return None if unit in SIZE_UNITS else f"none of {', '.join(SIZE_UNITS)}"


scalar(
    Function(
        name="format_bytes",
        doc="A number of bytes as text with a unit, the largest of which there is one, and rounded to so many digits behind the point.",
        signatures=(
            Signature(
                (
                    Parameter("size", Type.REAL),
                    Parameter("precision", Type.LONG, constant=True),
                    Parameter("unit", Type.STRING, constant=True, check=_check_size_unit),
                ),
                Type.STRING,
                optional=2,
            ),
        ),
        sql={"duckdb": Custom("format_bytes")},
        naming=Naming.FIRST_ARGUMENT,
        nullable=False,
        examples=(
            Example("format_bytes(564)", "564 Bytes"),
            Example("format_bytes(10332, 1)", "10.1 KB"),
            Example("format_bytes(20010332)", "19 MB"),
            Example("format_bytes(20010332, 2)", "19.08 MB"),
            Example("format_bytes(20010332, 0, 'KB')", "19541 KB"),
        ),
        source="Kusto Query Language reference, format_bytes()",
    )
)
