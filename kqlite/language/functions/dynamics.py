"""Arrays and bags. Positions in arrays count from 0, from the end where they are negative."""

from collections.abc import Sequence

from kqlite.language.functions.declare import (
    Custom,
    Example,
    Function,
    Naming,
    Parameter,
    Signature,
    anything,
    dynamic,
    long,
    scalar,
    string,
)
from kqlite.language.functions.strings import STRINGS
from kqlite.language.plan import Constant, Scalar
from kqlite.language.schema import JSON, ORDERED_JSON, Array, Leaf, Shape, json_of
from kqlite.language.types import Type

JSON_ARRAY = Array(ORDERED_JSON)


def array_form(arguments: Sequence[Scalar]) -> Array:
    """The form in which functions of arrays hold them: their own where all arrays agree in one of scalars, else lists of JSON."""
    forms = [argument.form for argument in arguments if argument.type is Type.DYNAMIC]
    first = forms[0] if forms else None
    if isinstance(first, Array) and isinstance(first.element, Leaf) and all(form == first for form in forms):
        return first
    return JSON_ARRAY


def _strings(arguments: Sequence[Scalar]) -> Shape:
    return STRINGS


def _json_array(arguments: Sequence[Scalar]) -> Shape:
    return JSON_ARRAY


def _form_of_first(arguments: Sequence[Scalar]) -> Shape:
    return array_form(arguments[:1])


def _sorted_form(arguments: Sequence[Scalar]) -> Shape:
    """Of the array that comes out: the second where there are two."""
    arrays = [argument for argument in arguments if argument.type is Type.DYNAMIC]
    return array_form(arrays[-1:])


def names_in_order(pairs: Sequence[Scalar]) -> list[int] | None:
    """The places of the names among names and values, in the order of the names; None where one is not known before, or there twice."""
    names = [str(name.value) for name in pairs[::2] if isinstance(name, Constant)]
    if len(names) < len(pairs[::2]) or len(set(names)) < len(names):
        return None
    return [2 * place for place in sorted(range(len(names)), key=names.__getitem__)]


def packed(pairs: Sequence[Scalar]) -> Shape:
    """The form of a bag of names and values."""
    return JSON if names_in_order(pairs) is None else json_of(value.form for value in pairs[1::2])


def _page(name: str) -> str:
    return f"Kusto Query Language reference, {name}()"


scalar(
    Function(
        name="array_length",
        doc="How many elements an array has; null for anything that is no array.",
        signatures=(Signature((dynamic("array"),), Type.LONG),),
        sql={"duckdb": Custom("array_length")},
        examples=(
            Example("array_length(dynamic([1, 2, 3, null]))", "4"),
            Example("array_length(parse_json('{}'))", "null"),
            Example("array_length(split('a,b', ','))", "2"),
        ),
        source=_page("array_length"),
    )
)

scalar(
    Function(
        name="array_concat",
        doc="The elements of several arrays as one array.",
        signatures=(Signature((dynamic("array"),), Type.DYNAMIC, repeats=True),),
        sql={"duckdb": Custom("array_concat")},
        shape=array_form,
        examples=(
            Example("array_concat(dynamic([1, 2]), dynamic([3]))", "[1,2,3]"),
            Example("array_concat(split('a b', ' '), split('c', ' '))", '["a","b","c"]'),
        ),
        source=_page("array_concat"),
    )
)

scalar(
    Function(
        name="array_slice",
        doc="The elements from one position to another, which is included.",
        signatures=(Signature((dynamic("array"), long("start"), long("end")), Type.DYNAMIC),),
        sql={"duckdb": Custom("array_slice")},
        shape=_form_of_first,
        examples=(
            Example("array_slice(dynamic([1, 2, 3]), 1, 2)", "[2,3]"),
            Example("array_slice(dynamic([1, 2, 3, 4, 5]), 2, -1)", "[3,4,5]"),
            Example("array_slice(dynamic([1, 2, 3, 4, 5]), -3, -2)", "[3,4]"),
            Example("array_slice(split('a,b,c', ','), 0, 1)", '["a","b"]'),
            Example("array_slice(split('a,b,c', ','), 1, 9)", '["b","c"]'),
        ),
        source=_page("array_slice"),
    )
)

scalar(
    Function(
        name="array_index_of",
        doc="Where a value stands in an array, from 0, -1 where it does not: from a position on, among so many elements, the nth time.",
        signatures=(
            Signature((dynamic("array"), anything("value"), long("start"), long("length"), long("occurrence")), Type.LONG, optional=3),
        ),
        sql={"duckdb": Custom("array_index_of")},
        examples=(
            Example('array_index_of(dynamic(["this", "is", "an", "example", "an", "example"]), "an")', "2"),
            Example("array_index_of(dynamic([1, 2]), 5)", "-1"),
            Example('array_index_of(dynamic(["this", "is", "an", "example", "an", "example"]), "example", 1, 3)', "3"),
            Example('array_index_of(dynamic(["this", "is", "an", "example", "an", "example"]), "example", 1, 2)', "-1"),
            Example('array_index_of(dynamic(["this", "is", "an", "example", "an", "example"]), "an", 1, -1, 2)', "4"),
            Example('array_index_of(dynamic(["this", "is", "an", "example", "an", "example"]), "an", -3)', "4"),
            Example('array_index_of(dynamic(["this", "is", "an", "example", "an", "example"]), "is", -4)', "-1"),
        ),
        source=_page("array_index_of"),
    )
)

scalar(
    Function(
        name="array_sum",
        aliases=("series_sum",),
        doc="The sum of an array's elements; null where one of them is no number.",
        signatures=(Signature((dynamic("array"),), Type.REAL),),
        sql={"duckdb": Custom("array_sum")},
        examples=(
            Example("array_sum(dynamic([1, 2, 3, 4]))", "10.0"),
            Example("array_sum(dynamic([1, 'a']))", "null"),
            Example("array_sum(range(1, 3))", "6.0"),
        ),
        source=_page("array_sum"),
    )
)

_NULLS_LAST = Parameter("nulls_last", Type.BOOL, constant=True)
_examples: tuple[Example, ...]

for _name, _direction, _examples in (
    (
        "array_sort_asc",
        "rising",
        (
            Example("array_sort_asc(dynamic([3, 1, 2]))", "[1,2,3]"),
            Example("array_sort_asc(dynamic(['b', null, 'a']))", '["a","b",null]'),
            Example("array_sort_asc(dynamic(['b', null, 'a']), false)", '[null,"a","b"]'),
            Example("array_sort_asc(dynamic([2, 1, 3]), dynamic(['b', 'a', 'c']))[1]", '["a","b","c"]'),
        ),
    ),
    (
        "array_sort_desc",
        "falling",
        (
            Example("array_sort_desc(dynamic([3, 10, 2]))", "[10,3,2]"),
            Example("array_sort_desc(split('a,c,b', ','))", '["c","b","a"]'),
            Example("array_sort_desc(split('a,c,b', ','), dynamic([1, 2, 3]), dynamic([1, 2]))[1]", "[2,3,1]"),
        ),
    ),
):
    scalar(
        Function(
            name=_name,
            doc=f"The elements in {_direction} order, nulls last unless the last argument is false; other arrays take the same order.",
            signatures=(
                Signature((dynamic("array"), _NULLS_LAST), Type.DYNAMIC, optional=1),
                Signature((dynamic("array"), dynamic("alike"), _NULLS_LAST), Type.DYNAMIC, optional=1),
            ),
            sql={"duckdb": Custom(_name)},
            naming=Naming.SORTED,
            shape=_sorted_form,
            examples=_examples,
            source=_page(_name),
        )
    )

scalar(
    Function(
        name="array_reverse",
        doc="The elements in reverse order.",
        signatures=(Signature((dynamic("array"),), Type.DYNAMIC),),
        sql={"duckdb": Custom("array_reverse")},
        shape=_form_of_first,
        examples=(Example("array_reverse(dynamic(['this', 'is', 'an', 'example']))", '["example","an","is","this"]'),),
        source=_page("array_reverse"),
    )
)

for _name, _doc, _examples in (
    ("set_union", "The distinct elements of several arrays.", (Example("set_union(dynamic([1, 2, 3]), dynamic([3, 4]))", "[1,2,3,4]"),)),
    (
        "set_intersect",
        "The distinct elements that all of several arrays have.",
        (
            Example("set_intersect(dynamic([1, 1, 2, 2, 3, 3]), dynamic([1, 2, 3]))", "[1,2,3]"),
            Example("set_intersect(dynamic([1, 2, 3]), dynamic([5]))", "[]"),
        ),
    ),
    (
        "set_difference",
        "The distinct elements of the first array that none of the others has.",
        (
            Example("set_difference(dynamic([1, 1, 2, 2, 3, 3]), dynamic([1, 2, 3]))", "[]"),
            Example("set_difference(dynamic([4, 3]), dynamic([3]))", "[4]"),
            Example("set_difference(split('a,b,c', ','), split('b', ','), split('a', ','))", '["c"]'),
        ),
    ),
):
    scalar(
        Function(
            name=_name,
            doc=_doc,
            signatures=(Signature((dynamic("array"), dynamic("array")), Type.DYNAMIC, repeats=True),),
            sql={"duckdb": Custom(_name)},
            shape=array_form,
            examples=_examples,
            source=_page(_name),
        )
    )

scalar(
    Function(
        name="set_has_element",
        doc="Whether a value is an element of an array.",
        signatures=(Signature((dynamic("array"), anything("value")), Type.BOOL),),
        sql={"duckdb": Custom("set_has_element")},
        examples=(
            Example('set_has_element(dynamic(["this", "is", "an", "example"]), "example")', "True"),
            Example('set_has_element(dynamic(["this", "is"]), "examples")', "False"),
            Example("set_has_element(dynamic([1, 2]), 2)", "True"),
        ),
        source=_page("set_has_element"),
    )
)

scalar(
    Function(
        name="zip",
        doc="An array of the arrays' first elements, of their second, and so on; the shorter ones are filled up with null.",
        signatures=(Signature((dynamic("array"), dynamic("array")), Type.DYNAMIC, repeats=True),),
        sql={"duckdb": Custom("zip")},
        shape=_json_array,
        examples=(
            Example("zip(dynamic([1, 3, 5]), dynamic([2, 4, 6]))", "[[1,2],[3,4],[5,6]]"),
            Example("zip(dynamic(['A', 1, 1.5]), dynamic([{}, 'B']))", '[["A",{}],[1,"B"],[1.5,null]]'),
        ),
        source=_page("zip"),
    )
)

scalar(
    Function(
        name="range",
        doc="An array of the values from a start to a stop, which is included, in steps of 1, or an hour, unless told.",
        signatures=(
            Signature(
                (Parameter("start", Type.LONG), Parameter("stop", Type.LONG), Parameter("step", Type.LONG)), Type.DYNAMIC, optional=1
            ),
            Signature(
                (Parameter("start", Type.REAL), Parameter("stop", Type.REAL), Parameter("step", Type.REAL)), Type.DYNAMIC, optional=1
            ),
            Signature(
                (Parameter("start", Type.DATETIME), Parameter("stop", Type.DATETIME), Parameter("step", Type.TIMESPAN)),
                Type.DYNAMIC,
                optional=1,
            ),
            Signature(
                (Parameter("start", Type.TIMESPAN), Parameter("stop", Type.TIMESPAN), Parameter("step", Type.TIMESPAN)),
                Type.DYNAMIC,
                optional=1,
            ),
        ),
        sql={"duckdb": Custom("range")},
        shape=lambda arguments: Array(Leaf(arguments[0].type if arguments[0].type in (Type.LONG, Type.REAL) else Type.STRING)),
        examples=(
            Example("range(1, 4)", "[1,2,3,4]"),
            Example("range(1, 8, 3)", "[1,4,7]"),
            Example("range(3, 1)", "[]"),
            Example("range(1.0, 2.0, 0.5)", "[1.0,1.5,2.0]"),
            Example("range(1h, 3h)", '["01:00:00","02:00:00","03:00:00"]'),
            Example(
                "range(datetime(2022-01-01), datetime(2022-01-02), 1d)", '["2022-01-01T00:00:00.0000000Z","2022-01-02T00:00:00.0000000Z"]'
            ),
        ),
        source=_page("range"),
    )
)

scalar(
    Function(
        name="repeat",
        doc="An array of so many times one value; null for a negative count.",
        signatures=(Signature((anything("value"), long("count")), Type.DYNAMIC),),
        sql={"duckdb": Custom("repeat")},
        naming=Naming.PREFIX,
        prefix="repeat_",
        shape=_json_array,
        examples=(Example("repeat(1, 3)", "[1,1,1]"), Example("repeat('a', 0)", "[]"), Example("repeat(1, -1)", "null")),
        source=_page("repeat"),
    )
)

scalar(
    Function(
        name="bag_keys",
        doc="The names of a bag's members; null for anything that is no bag.",
        signatures=(Signature((dynamic("bag"),), Type.DYNAMIC),),
        sql={"duckdb": Custom("bag_keys")},
        shape=_strings,
        examples=(
            Example("bag_keys(dynamic({'a': 'b', 'c': 123}))", '["a","c"]'),
            Example("bag_keys(dynamic({}))", "[]"),
            Example("bag_keys(parse_json('[1]'))", "null"),
        ),
        source=_page("bag_keys"),
    )
)

scalar(
    Function(
        name="bag_has_key",
        doc="Whether a bag has a member of that name.",
        signatures=(Signature((dynamic("bag"), string("key")), Type.BOOL),),
        sql={"duckdb": Custom("bag_has_key")},
        examples=(
            Example("bag_has_key(dynamic({'key1': 123, 'key2': 'abc'}), 'key2')", "True"),
            Example("bag_has_key(dynamic({'key1': 123}), 'key3')", "False"),
        ),
        source=_page("bag_has_key"),
    )
)

scalar(
    Function(
        name="bag_merge",
        doc="The members of several bags; of a name in more than one the leftmost wins.",
        signatures=(Signature((dynamic("bag"), dynamic("bag")), Type.DYNAMIC, repeats=True),),
        sql={"duckdb": Custom("bag_merge")},
        examples=(Example("bag_merge(dynamic({'A1': 12, 'B1': 2}), dynamic({'A1': 1, 'C1': 3}))", '{"A1":12,"B1":2,"C1":3}'),),
        source=_page("bag_merge"),
    )
)

scalar(
    Function(
        name="bag_remove_keys",
        doc="A bag without the members of these names. A name written out may lead inside: `$.a.b`.",
        signatures=(Signature((dynamic("bag"), dynamic("keys")), Type.DYNAMIC),),
        sql={"duckdb": Custom("bag_remove_keys")},
        examples=(
            Example(
                "bag_remove_keys(dynamic({'key1': 123, 'key2': 'abc', 'key3': 1}), dynamic(['key2', 'key9']))", '{"key1":123,"key3":1}'
            ),
            Example("bag_remove_keys(dynamic({'a': null, 'k': {'p': 1, 'q': 2}}), dynamic(['$.k.p', '$.x.y']))", '{"a":null,"k":{"q":2}}'),
            Example("bag_remove_keys(dynamic({'a': 1, 'b': 2}), set_union(dynamic(['a']), dynamic(['c'])))", '{"b":2}'),
        ),
        source=_page("bag_remove_keys"),
    )
)

scalar(
    Function(
        name="bag_set_key",
        doc="A bag with one member set to a value, whether it was there or not. A name written out may lead inside: `$.a.b`.",
        signatures=(Signature((dynamic("bag"), string("key"), anything("value")), Type.DYNAMIC),),
        sql={"duckdb": Custom("bag_set_key")},
        examples=(
            Example("bag_set_key(dynamic({'key1': 123, 'key2': 'abc'}), 'key1', 2)", '{"key1":2,"key2":"abc"}'),
            Example("bag_set_key(dynamic({'key1': 123}), 'key3', 'abc')", '{"key1":123,"key3":"abc"}'),
            Example("bag_set_key(dynamic({'k2': {'a': 1}}), '$.k2.b', 2)", '{"k2":{"a":1,"b":2}}'),
            Example("bag_set_key(dynamic({}), '$.k2.b', 2)", '{"k2":{"b":2}}'),
        ),
        source=_page("bag_set_key"),
    )
)

scalar(
    Function(
        name="bag_pack",
        aliases=("pack", "pack_dictionary"),
        doc="A bag of the given names and values. Its text, as that of any bag, has the names in order.",
        signatures=(Signature((string("key"), anything("value")), Type.DYNAMIC, repeats=True),),
        sql={"duckdb": Custom("bag_pack")},
        nullable=False,
        shape=packed,
        examples=(
            Example("bag_pack('Level', 'Information', 'Id', 42)", '{"Id":42,"Level":"Information"}'),
            Example("bag_pack('a', long(null), 'b', dynamic([1]))", '{"a":null,"b":[1]}'),
        ),
        source=_page("bag_pack"),
    )
)

scalar(
    Function(
        name="pack_array",
        doc="An array of the given values.",
        signatures=(Signature((anything("value"),), Type.DYNAMIC, repeats=True),),
        sql={"duckdb": Custom("pack_array")},
        nullable=False,
        shape=_json_array,
        examples=(Example("pack_array(1, 'a', true, long(null))", '[1,"a",true,null]'), Example("pack_array(1, dynamic([2]))[1][0]", "2")),
        source=_page("pack_array"),
    )
)

scalar(
    Function(
        name="pack_all",
        doc="A bag of all columns of a row. With true, those that are null or an empty string are left out.",
        signatures=(Signature((Parameter("ignore_null_empty", Type.BOOL, constant=True),), Type.DYNAMIC, optional=1),),
        sql={"duckdb": Custom("pack_all")},
        nullable=False,
        shape=lambda arguments: packed(arguments[1:]),
        examples=(
            Example("pack_all()", '{"x":"a","y":null}', rows="'a', long(null)"),
            Example("pack_all(true)", '{"x":"a"}', rows="'a', long(null)"),
        ),
        source=_page("pack_all"),
    )
)

scalar(
    Function(
        name="dynamic_to_json",
        doc="The JSON text of a dynamic, as `tostring()` gives it, but a string has its quotes. Equal bags give equal text.",
        signatures=(Signature((dynamic("value"),), Type.STRING),),
        sql={"duckdb": Custom("dynamic_to_json")},
        nullable=False,
        examples=(
            Example("dynamic_to_json(dynamic({'b': 2, 'a': 1}))", '{"a":1,"b":2}'),
            Example("dynamic_to_json(dynamic({'b': [{'z': 1, 'y': 'q'}], 'a': {}}))", '{"a":{},"b":[{"y":"q","z":1}]}'),
        ),
        source=_page("dynamic_to_json"),
    )
)

scalar(
    Function(
        name="gettype",
        doc="The name of a value's type; of a dynamic, of what it holds.",
        signatures=(Signature((anything("value"),), Type.STRING),),
        sql={"duckdb": Custom("gettype")},
        naming=Naming.PREFIX,
        prefix="type_",
        nullable=False,
        examples=(
            Example('gettype("a")', "string"),
            Example("gettype(111)", "long"),
            Example("gettype(1 == 1)", "bool"),
            Example("gettype(now())", "datetime"),
            Example("gettype(parse_json('[1]'))", "array"),
            Example("gettype(parse_json('{}'))", "dictionary"),
            Example("gettype(parse_json('\"a\"'))", "string"),
            Example("gettype(parse_json(''))", "null"),
        ),
        source=_page("gettype"),
    )
)
