"""More of arrays and bags: rotations, shifts, splits, comparisons of sets, pairs, the paths of a document."""

from collections.abc import Sequence

from kqlite.language.functions.declare import Custom, Example, Function, Naming, Signature, anything, dynamic, long, scalar
from kqlite.language.functions.dynamics import JSON_ARRAY, array_form, packed
from kqlite.language.functions.strings import list_of_strings
from kqlite.language.plan import Scalar
from kqlite.language.schema import Leaf, Shape
from kqlite.language.types import Type


def _page(name: str) -> str:
    return f"Kusto Query Language reference, {name}()"


def _json_array(arguments: Sequence[Scalar]) -> Shape:
    return JSON_ARRAY


def _form_of_first(arguments: Sequence[Scalar]) -> Shape:
    return array_form(arguments[:1])


def _shifted_form(arguments: Sequence[Scalar]) -> Shape:
    return array_form(arguments[:1]) if len(arguments) == 2 else JSON_ARRAY


_examples: tuple[Example, ...]

for _name, _direction, _examples in (
    (
        "array_rotate_left",
        "left",
        (
            Example("array_rotate_left(dynamic([1, 2, 3, 4, 5]), 2)", "[3,4,5,1,2]"),
            Example("array_rotate_left(dynamic([1, 2, 3, 4, 5]), -2)", "[4,5,1,2,3]"),
            Example("array_rotate_left(split('a,b', ','), 3)", '["b","a"]'),
        ),
    ),
    (
        "array_rotate_right",
        "right",
        (
            Example("array_rotate_right(dynamic([1, 2, 3, 4, 5]), 2)", "[4,5,1,2,3]"),
            Example("array_rotate_right(dynamic([1, 2, 3, 4, 5]), -2)", "[3,4,5,1,2]"),
        ),
    ),
):
    scalar(
        Function(
            name=_name,
            doc=f"The elements moved so many places to the {_direction}; those that fall out come in at the other end.",
            signatures=(Signature((dynamic("array"), long("count")), Type.DYNAMIC),),
            sql={"duckdb": Custom(_name)},
            shape=_form_of_first,
            examples=_examples,
            source=_page(_name),
        )
    )

for _name, _direction, _examples in (
    (
        "array_shift_left",
        "left",
        (
            Example("array_shift_left(dynamic([1, 2, 3, 4, 5]), 2)", "[3,4,5,null,null]"),
            Example("array_shift_left(dynamic([1, 2, 3, 4, 5]), 2, -1)", "[3,4,5,-1,-1]"),
            Example("array_shift_left(dynamic([1, 2, 3]), -1)", "[null,1,2]"),
            Example("array_shift_left(dynamic([1, 2]), 5, 'x')", '["x","x"]'),
        ),
    ),
    (
        "array_shift_right",
        "right",
        (
            Example("array_shift_right(dynamic([1, 2, 3, 4, 5]), 2)", "[null,null,1,2,3]"),
            Example("array_shift_right(dynamic([1, 2, 3, 4, 5]), 2, -1)", "[-1,-1,1,2,3]"),
            Example("array_shift_right(split('a,b', ','), -1)", '["b",null]'),
        ),
    ),
):
    scalar(
        Function(
            name=_name,
            doc=f"The elements moved so many places to the {_direction}; a value, null unless told, comes in at the other end.",
            signatures=(Signature((dynamic("array"), long("count"), anything("fill")), Type.DYNAMIC, optional=1),),
            sql={"duckdb": Custom(_name)},
            shape=_shifted_form,
            examples=_examples,
            source=_page(_name),
        )
    )

scalar(
    Function(
        name="array_split",
        doc="The array cut before one position, or before each of several, into an array of arrays.",
        signatures=(
            Signature((dynamic("array"), dynamic("positions")), Type.DYNAMIC),
            Signature((dynamic("array"), long("position")), Type.DYNAMIC),
        ),
        sql={"duckdb": Custom("array_split")},
        shape=_json_array,
        examples=(
            Example("array_split(dynamic([1, 2, 3, 4, 5]), 2)", "[[1,2],[3,4,5]]"),
            Example("array_split(dynamic([1, 2, 3, 4, 5]), dynamic([1, 3]))", "[[1],[2,3],[4,5]]"),
            Example("array_split(dynamic([1, 2, 3, 4, 5]), -2)", "[[1,2,3],[4,5]]"),
            Example("array_split(split('a,b', ','), 0)", '[[],["a","b"]]'),
        ),
        source=_page("array_split"),
    )
)

scalar(
    Function(
        name="array_iff",
        aliases=("array_iif",),
        doc="For each element of an array one value where it is true, another where it is not; of an array the element in its place.",
        signatures=(Signature((dynamic("conditions"), anything("then"), anything("otherwise")), Type.DYNAMIC),),
        sql={"duckdb": Custom("array_iff")},
        shape=_json_array,
        examples=(
            Example("array_iff(dynamic([true, false, true]), dynamic([1, 2, 3]), dynamic([4, 5, 6]))", "[1,5,3]"),
            Example('array_iff(dynamic([1, 0, 50]), "yes", "no")', '["yes","no","yes"]'),
            Example("array_iff(dynamic([true, true, true]), dynamic([1, 2]), dynamic([3, 4]))", "[1,2,null]"),
            Example("array_iff(dynamic([true, 'x', null]), 1, 2)", "[1,null,null]"),
        ),
        source=_page("array_iff"),
    )
)

scalar(
    Function(
        name="set_equals",
        doc="Whether two arrays have the same distinct elements, in whatever order.",
        signatures=(Signature((dynamic("left"), dynamic("right")), Type.BOOL),),
        sql={"duckdb": Custom("set_equals")},
        examples=(
            Example("set_equals(dynamic([1, 2, 2]), dynamic([2, 1]))", "True"),
            Example("set_equals(dynamic([1, 2]), dynamic([1]))", "False"),
            Example("set_equals(dynamic([1, 2]), dynamic(null))", "null"),
        ),
        source=_page("set_equals"),
    )
)

scalar(
    Function(
        name="jaccard_index",
        doc="How many distinct elements two arrays have in common, of all that they have.",
        signatures=(Signature((dynamic("left"), dynamic("right")), Type.DYNAMIC),),
        sql={"duckdb": Custom("jaccard_index")},
        shape=lambda arguments: Leaf(Type.REAL),
        examples=(
            Example("jaccard_index(dynamic([1, 2, 3]), dynamic([1, 2, 3, 4]))", "0.75"),
            Example("jaccard_index(dynamic(['a', 'a']), dynamic(['b']))", "0.0"),
        ),
        source=_page("jaccard_index"),
    )
)

scalar(
    Function(
        name="bag_zip",
        doc="A bag of names from one array and values from another; a missing value is null, and what is no text is no name.",
        signatures=(Signature((dynamic("keys"), dynamic("values")), Type.DYNAMIC),),
        sql={"duckdb": Custom("bag_zip")},
        examples=(
            Example("bag_zip(dynamic(['a', 'b', 'c']), dynamic([1, '2']))", '{"a":1,"b":"2","c":null}'),
            Example("bag_zip(dynamic(['a', 8, 'b']), dynamic([1, '2', 2.5]))", '{"a":1,"b":2.5}'),
            Example("bag_zip(dynamic('a'), dynamic([1]))", "null"),
        ),
        source=_page("bag_zip"),
    )
)

scalar(
    Function(
        name="bag_pack_columns",
        doc="A bag of columns, under their names.",
        signatures=(Signature((anything("column"),), Type.DYNAMIC, repeats=True),),
        sql={"duckdb": Custom("bag_pack")},
        nullable=False,
        shape=packed,
        examples=(Example("bag_pack_columns(x, y)", '{"x":"a","y":1}', rows="'a', 1"),),
        source=_page("bag_pack_columns"),
    )
)

scalar(
    Function(
        name="treepath",
        doc="The paths of all members of a document, in order; `[0]` stands for any element of an array. As deep as 32 levels.",
        signatures=(Signature((dynamic("document"),), Type.DYNAMIC),),
        sql={"duckdb": Custom("treepath")},
        naming=Naming.PREFIX,
        prefix="tree_",
        shape=list_of_strings,
        examples=(
            Example("""treepath(dynamic({"a": "b", "c": 123}))""", """["['a']","['c']"]"""),
            Example("""treepath(dynamic({"p": [1, {"q": 2}], "r": "s"}))""", """["['p']","['p'][0]","['p'][0]['q']","['r']"]"""),
        ),
        source=_page("treepath"),
    )
)
