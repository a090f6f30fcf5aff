"""The operators of expressions, declared like functions, in a catalogue of their own: a query cannot call them by these names.

The binder has converted the operands before: of arithmetic to the result's type, save where datetimes and timespans meet; of a
comparison to
one type, save that a dynamic may stand beside a scalar. Only `and`, `or`, `< > <= >=`, `between`, arithmetic, and the equality of two nulls
may give null.
"""

from collections.abc import Sequence

from kqlite.language.functions.declare import Custom, Example, Function, Functions, Parameter, Signature, anything, boolean, string
from kqlite.language.types import Type

OPERATORS = Functions()


def _type_of_first(types: Sequence[Type]) -> Type:
    return types[0]


def _operator(name: str, doc: str, signature: Signature, page: str, *examples: Example, nullable: bool = False) -> Function:
    return OPERATORS.declare(
        Function(
            name=name,
            doc=doc,
            signatures=(signature,),
            sql={"duckdb": Custom(name)},
            examples=examples,
            source=f"Kusto Query Language reference, {page}",
            nullable=nullable,
        )
    )


_BOTH = Signature((anything("left"), anything("right")), Type.BOOL)
_TEXTS = Signature((string("text"), string("other")), Type.BOOL)
_LISTED = Signature((anything("value"), anything("item")), Type.BOOL, repeats=True)
_BOUNDS = Signature((anything("value"), anything("low"), anything("high")), Type.BOOL)
_NUMERIC = Signature((anything("left"), anything("right")), _type_of_first)


def _negated(name: str) -> str:
    return "!~" if name == "=~" else f"!{name}"


_operator(
    "==",
    "Whether two values are equal; null of two nulls.",
    _BOTH,
    "Null values",
    Example("1 == 1", "True"),
    Example("long(null) == 1", "False"),
    Example("isnull(long(null) == long(null))", "True"),
    nullable=True,
)
_operator(
    "!=",
    "Whether two values differ; null of two nulls.",
    _BOTH,
    "Null values",
    Example("1 != 2", "True"),
    Example("long(null) != 1", "True"),
    Example("isnull(long(null) != long(null))", "True"),
    nullable=True,
)
for _name, _example, _doc in (
    ("<", "1 < 2", "less than"),
    (">", "2 > 1", "greater than"),
    ("<=", "1 <= 1", "at most"),
    (">=", "1 >= 1", "at least"),
):
    _operator(
        _name,
        f"Whether the left value is {_doc} the right one; null where one is null.",
        _BOTH,
        "Numerical operators",
        Example(_example, "True"),
        Example(f"isnull(long(null) {_name} 1)", "True"),
        nullable=True,
    )

for _name, _doc, _yes, _no in (
    ("=~", "equals the other, ignoring case", "'aBc' =~ 'abC'", "'a' =~ 'b'"),
    ("contains", "contains the other, ignoring case", "'FabriKam' contains 'BRik'", "'a%' contains '%%'"),
    ("contains_cs", "contains the other", "'FabriKam' contains_cs 'Kam'", "'FabriKam' contains_cs 'kam'"),
    ("startswith", "starts with the other, ignoring case", "'Fabrikam' startswith 'fab'", "'Fabrikam' startswith 'kam'"),
    ("startswith_cs", "starts with the other", "'Fabrikam' startswith_cs 'Fab'", "'Fabrikam' startswith_cs 'fab'"),
    ("endswith", "ends with the other, ignoring case", "'Fabrikam' endswith 'Kam'", "'Fabrikam' endswith 'fab'"),
    ("endswith_cs", "ends with the other", "'Fabrikam' endswith_cs 'kam'", "'Fabrikam' endswith_cs 'Kam'"),
    ("has", "has the other as a whole term, ignoring case", "'North America' has 'america'", "'North America' has 'amer'"),
    ("has_cs", "has the other as a whole term", "'North America' has_cs 'America'", "'North America' has_cs 'america'"),
    (
        "hasprefix",
        "has a term that starts with the other, ignoring case",
        "'North America' hasprefix 'ame'",
        "'North America' hasprefix 'ica'",
    ),
    ("hasprefix_cs", "has a term that starts with the other", "'North America' hasprefix_cs 'Ame'", "'North America' hasprefix_cs 'ame'"),
    (
        "hassuffix",
        "has a term that ends with the other, ignoring case",
        "'North America' hassuffix 'ICA'",
        "'North America' hassuffix 'Ame'",
    ),
    ("hassuffix_cs", "has a term that ends with the other", "'North America' hassuffix_cs 'ica'", "'North America' hassuffix_cs 'ICA'"),
):
    _operator(_name, f"Whether a text {_doc}.", _TEXTS, "String operators", Example(_yes, "True"), Example(_no, "False"))
    _operator(
        _negated(_name),
        f"The opposite of `{_name}`.",
        _TEXTS,
        "String operators",
        Example(_yes.replace(f" {_name} ", f" {_negated(_name)} "), "False"),
        Example(_no.replace(f" {_name} ", f" {_negated(_name)} "), "True"),
    )

_operator(
    "matches regex",
    "Whether a regular expression matches anywhere in a text.",
    Signature((string("text"), Parameter("regex", Type.STRING, constant=True)), Type.BOOL),
    "String operators",
    Example("'Fabrikam' matches regex 'b.*k'", "True"),
    Example("'Fabrikam' matches regex '^b'", "False"),
)
_operator(
    "in",
    "Whether a value equals one of a list.",
    _LISTED,
    "in operator",
    Example("'a' in ('a', 'b')", "True"),
    Example("'A' in ('a', 'b')", "False"),
    Example("long(null) in (1, 2)", "False"),
    Example("2 in (dynamic([1, 2]))", "True"),
)
_operator(
    "!in",
    "Whether a value equals none of a list.",
    _LISTED,
    "!in operator",
    Example("'A' !in ('a', 'b')", "True"),
    Example("long(null) !in (1, 2)", "True"),
)
_operator(
    "in~",
    "Whether a text equals one of a list, ignoring case.",
    _LISTED,
    "in~ operator",
    Example("'A' in~ ('a', 'b')", "True"),
    Example("'A' in~ (dynamic(['a', 'b']))", "True"),
)
_operator("!in~", "Whether a text equals none of a list, ignoring case.", _LISTED, "!in~ operator", Example("'A' !in~ ('a', 'b')", "False"))
_operator(
    "has_any",
    "Whether a text has one of a list as a whole term, ignoring case.",
    _LISTED,
    "has_any operator",
    Example("'North Carolina' has_any ('south', 'north')", "True"),
    Example("'Carolina' has_any (dynamic(['south', 'north']))", "False"),
)
_operator(
    "has_all",
    "Whether a text has all of a list as whole terms, ignoring case.",
    _LISTED,
    "has_all operator",
    Example("'cold and snow' has_all ('cold', 'snow')", "True"),
    Example("'cold' has_all ('cold', 'snow')", "False"),
)
_operator(
    "between",
    "Whether a value lies between two bounds, both included; null where one is null.",
    _BOUNDS,
    "between operator",
    Example("5 between (1 .. 5)", "True"),
    Example("6 between (1 .. 5)", "False"),
    nullable=True,
)
_operator(
    "!between",
    "Whether a value lies outside two bounds; null where one is null.",
    _BOUNDS,
    "!between operator",
    Example("6 !between (1 .. 5)", "True"),
    nullable=True,
)
_operator(
    "and",
    "Whether all conditions are true; null where none is false and one is null.",
    Signature((boolean("condition"), boolean("condition")), Type.BOOL, repeats=True),
    "Logical (binary) operators",
    Example("true and false", "False"),
    Example("isnull(true and bool(null))", "True"),
    nullable=True,
)
_operator(
    "or",
    "Whether one condition is true; null where none is and one is null.",
    Signature((boolean("condition"), boolean("condition")), Type.BOOL, repeats=True),
    "Logical (binary) operators",
    Example("true or false", "True"),
    Example("isnull(false or bool(null))", "True"),
    nullable=True,
)
_operator("+", "The sum.", _NUMERIC, "Numerical operators", Example("1 + 2", "3"), Example("1d + 1h", "1.01:00:00"), nullable=True)
_operator(
    "-",
    "The difference.",
    _NUMERIC,
    "Numerical operators",
    Example("1 - 2", "-1"),
    Example("datetime(2020-01-02) - datetime(2020-01-01)", "1.00:00:00"),
    nullable=True,
)
_operator("*", "The product.", _NUMERIC, "Numerical operators", Example("2 * 3", "6"), Example("2 * 1.5h", "03:00:00"), nullable=True)
_operator(
    "/",
    "The quotient, cut off where both sides are whole numbers.",
    _NUMERIC,
    "Numerical operators",
    Example("7 / 2", "3"),
    Example("1 / 2.0", "0.5"),
    Example("1d / 1h", "24.0"),
    Example("isnull(1 / 0)", "True"),
    nullable=True,
)
_operator(
    "%",
    "The remainder, which is never negative.",
    _NUMERIC,
    "Numerical operators",
    Example("14 % 12", "2"),
    Example("-14 % 12", "10"),
    Example("14 % -12", "2"),
    nullable=True,
)
_operator(
    "negate",
    "The value with its sign turned.",
    Signature((anything("value"),), _type_of_first),
    "Numerical operators",
    Example("-(1 + 2)", "-3"),
    nullable=True,
)
