"""Arrays of numbers, element by element. An element that is no number, and one that the other array lacks, gives null."""

from collections.abc import Sequence

from kqlite.language.functions.declare import Custom, Example, Function, Naming, Parameter, Signature, dynamic, long, real, scalar
from kqlite.language.functions.dynamics import JSON_ARRAY
from kqlite.language.plan import Scalar
from kqlite.language.schema import Shape
from kqlite.language.types import Type

ARITHMETIC = {"add": "+", "subtract": "-", "multiply": "*", "divide": "/", "pow": "pow"}
COMPARISONS = {"equals": "=", "not_equals": "<>", "less": "<", "less_equals": "<=", "greater": ">", "greater_equals": ">="}
FUNCTIONS_OF_ONE = {
    "abs": "abs",
    "sign": "sign",
    "exp": "exp",
    "log": "ln",
    "sin": "sin",
    "cos": "cos",
    "tan": "tan",
    "asin": "asin",
    "acos": "acos",
    "atan": "atan",
    "floor": "floor",
    "ceiling": "ceil",
}
"""By the name behind `series_`, the engine's function."""


def _json_array(arguments: Sequence[Scalar]) -> Shape:
    return JSON_ARRAY


def _page(name: str) -> str:
    return f"Kusto Query Language reference, {name}()"


_LEFT, _RIGHT = dynamic("left"), dynamic("right")
_PAIRS = ((_LEFT, _RIGHT), (_LEFT, long("right")), (_LEFT, real("right")), (long("left"), _RIGHT), (real("left"), _RIGHT))

for _name, _doc, _example in (
    ("add", "sums", Example("series_add(dynamic([1, 2, 4]), dynamic([4, 2.5]))", "[5,4.5,null]")),
    ("subtract", "differences", Example("series_subtract(dynamic([1, 2, 4]), dynamic([4, 2, 1]))", "[-3,0,3]")),
    ("multiply", "products", Example("series_multiply(dynamic([1, 2, 'x']), 3)", "[3,6,null]")),
    ("divide", "quotients", Example("series_divide(dynamic([1, 2, 4]), dynamic([4, 2, 1]))", "[0.25,1.0,4.0]")),
    ("pow", "powers", Example("series_pow(dynamic([1, 2, 3, 4]), dynamic([1, 2, 3, 0.5]))", "[1.0,4.0,27.0,2.0]")),
):
    scalar(
        Function(
            name=f"series_{_name}",
            doc=f"The {_doc} of the elements of two arrays, or of an array and a number.",
            signatures=tuple(Signature(pair, Type.DYNAMIC) for pair in _PAIRS),
            sql={"duckdb": Custom(f"series_{_name}")},
            shape=_json_array,
            examples=(_example,),
            source=_page(f"series_{_name}"),
        )
    )

for _name, _doc, _result in (
    ("equals", "is equal to", "[false,true,false]"),
    ("not_equals", "is unlike", "[true,false,true]"),
    ("less", "is less than", "[true,false,false]"),
    ("less_equals", "is at most", "[true,true,false]"),
    ("greater", "is greater than", "[false,false,true]"),
    ("greater_equals", "is at least", "[false,true,true]"),
):
    scalar(
        Function(
            name=f"series_{_name}",
            doc=f"For each element of an array whether it {_doc} the one in its place in another, or a number.",
            signatures=tuple(Signature(pair, Type.DYNAMIC) for pair in _PAIRS),
            sql={"duckdb": Custom(f"series_{_name}")},
            shape=_json_array,
            examples=(Example(f"series_{_name}(dynamic([1, 2, 4]), dynamic([4, 2, 1]))", _result),),
            source=_page(f"series_{_name}"),
        )
    )

for _name, _doc, _example in (
    ("abs", "values without their signs", Example("series_abs(dynamic([-6.5, 0, 8]))", "[6.5,0,8]")),
    ("sign", "signs", Example("series_sign(dynamic([-6, 0, 8]))", "[-1,0,1]")),
    ("exp", "powers of e", Example("series_exp(dynamic([0, null]))", "[1.0,null]")),
    ("log", "natural logarithms", Example("series_log(dynamic([1, -1]))", "[0.0,null]")),
    ("sin", "sines", Example("series_sin(dynamic([0]))", "[0.0]")),
    ("cos", "cosines", Example("series_cos(dynamic([0]))", "[1.0]")),
    ("tan", "tangents", Example("series_tan(dynamic([0]))", "[0.0]")),
    ("asin", "angles of these sines", Example("series_asin(dynamic([0, 2]))", "[0.0,null]")),
    ("acos", "angles of these cosines", Example("series_acos(dynamic([1]))", "[0.0]")),
    ("atan", "angles of these tangents", Example("series_atan(dynamic([0]))", "[0.0]")),
    ("floor", "greatest whole numbers below", Example("series_floor(dynamic([-1.5, 1, 2.5]))", "[-2.0,1.0,2.0]")),
    ("ceiling", "least whole numbers above", Example("series_ceiling(dynamic([-1.5, 1, 2.5]))", "[-1.0,1.0,3.0]")),
):
    scalar(
        Function(
            name=f"series_{_name}",
            doc=f"The {_doc}, for each element of an array.",
            signatures=(Signature((dynamic("series"),), Type.DYNAMIC),),
            sql={"duckdb": Custom(f"series_{_name}")},
            shape=_json_array,
            examples=(_example,),
            source=_page(f"series_{_name}"),
        )
    )

for _name, _doc, _example in (
    ("product", "The product of an array's elements; null where one is no number.", Example("series_product(dynamic([1, 2, 3.5]))", "7.0")),
    (
        "magnitude",
        "The root of the sum of the squares of an array's elements; null where one is no number.",
        Example("series_magnitude(dynamic([3, 4]))", "5.0"),
    ),
):
    scalar(
        Function(
            name=f"series_{_name}",
            doc=_doc,
            signatures=(Signature((dynamic("series"),), Type.REAL),),
            sql={"duckdb": Custom(f"series_{_name}")},
            examples=(_example, Example(f"series_{_name}(dynamic([1, 'x']))", "null")),
            source=_page(f"series_{_name}"),
        )
    )

for _name, _doc, _example in (
    (
        "dot_product",
        "The sum of the products of the elements of two arrays",
        Example("series_dot_product(dynamic([1, 2, 4]), dynamic([4, 2, 1]))", "12.0"),
    ),
    (
        "cosine_similarity",
        "The cosine of the angle between two arrays as vectors",
        Example("series_cosine_similarity(dynamic([3, 4]), dynamic([6, 8]))", "1.0"),
    ),
    (
        "pearson_correlation",
        "The coefficient of correlation of two arrays",
        Example("series_pearson_correlation(dynamic([1, 2, 3]), dynamic([6, 4, 2]))", "-1.0"),
    ),
):
    scalar(
        Function(
            name=f"series_{_name}",
            doc=f"{_doc}; null where one has another length, or an element that is no number.",
            signatures=(Signature((_LEFT, _RIGHT), Type.REAL),),
            sql={"duckdb": Custom(f"series_{_name}")},
            examples=(_example, Example(f"series_{_name}(dynamic([1, 2]), dynamic([1]))", "null")),
            source=_page(f"series_{_name}"),
        )
    )

_PLACEHOLDER = Parameter("missing", Type.REAL)

for _name, _doc, _more, _example in (
    ("forward", "the last one before it", (), Example("series_fill_forward(dynamic([null, 1, null, 2, null]))", "[null,1,1,2,2]")),
    ("backward", "the first one behind it", (), Example("series_fill_backward(dynamic([null, 1, null, 2, null]))", "[1,1,2,2,null]")),
    ("const", "a value", (Parameter("value", None),), Example("series_fill_const(dynamic([null, 1]), -1)", "[-1,1]")),
):
    scalar(
        Function(
            name=f"series_fill_{_name}",
            doc=f"An array in which {_doc} stands for each missing element, which is null, or the number that is told.",
            signatures=(Signature((dynamic("series"), *_more, _PLACEHOLDER), Type.DYNAMIC, optional=1),),
            sql={"duckdb": Custom(f"series_fill_{_name}")},
            naming=Naming.FIRST_ARGUMENT,
            shape=_json_array,
            examples=(_example,),
            source=_page(f"series_fill_{_name}"),
        )
    )
