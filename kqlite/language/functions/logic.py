"""Choices and tests for null: `iff`, `case`, `coalesce`, `isnull`, `isempty`, `not`.

The types of `iff`, `case` and `coalesce` depend on all of their arguments together: the binder has a rule of its own for them
(`binder/choices.py`), and the signatures here serve the documentation and the count of arguments.
"""

from collections.abc import Sequence

from kqlite.language.functions.declare import Custom, Example, Function, Parameter, Signature, anything, boolean, scalar
from kqlite.language.plan import Scalar
from kqlite.language.schema import Shape, json_of
from kqlite.language.types import Type


def _common(arguments: Sequence[Scalar]) -> Shape:
    """The form that all dynamic arguments have, else JSON: the engine never unifies structs."""
    forms = [argument.form for argument in arguments if argument.type is Type.DYNAMIC]
    first = forms[0] if forms else None
    return first if first is not None and all(form == first for form in forms) else json_of(forms)


def _type_of_second(types: Sequence[Type]) -> Type:
    return types[1]


def _type_of_first(types: Sequence[Type]) -> Type:
    return types[0]


iff = scalar(
    Function(
        name="iff",
        aliases=("iif",),
        doc="The second argument where the condition is true, the third where it is false or null.",
        signatures=(Signature((boolean("condition"), anything("then"), anything("otherwise")), _type_of_second),),
        sql={"duckdb": Custom("iff")},
        shape=lambda arguments: _common(arguments[1:]),
        examples=(
            Example("iff(1 < 2, 'yes', 'no')", "yes"),
            Example("iff(bool(null), 1, 2)", "2"),
            Example("iff(true, 1, 2.5)", "1.0"),
        ),
        source="Kusto Query Language reference, iff()",
    )
)

case = scalar(
    Function(
        name="case",
        doc="The value behind the first condition that is true, the last argument where none is.",
        signatures=(Signature((boolean("condition"), anything("then"), anything("otherwise")), _type_of_second, repeats=True),),
        sql={"duckdb": Custom("case")},
        shape=lambda arguments: _common([*arguments[1:-1:2], arguments[-1]]),
        examples=(
            Example("case(1 > 2, 'a', 2 > 1, 'b', 'c')", "b"),
            Example("case(false, 1, bool(null), 2, 3)", "3"),
        ),
        source="Kusto Query Language reference, case()",
    )
)

coalesce = scalar(
    Function(
        name="coalesce",
        doc="The first argument that is neither null nor an empty string.",
        signatures=(Signature((anything("value"), anything("value")), _type_of_first, repeats=True),),
        sql={"duckdb": Custom("coalesce")},
        shape=_common,
        examples=(
            Example("coalesce('', 'b')", "b"),
            Example("coalesce(long(null), 7)", "7"),
            Example("coalesce(' ', 'b')", " "),
        ),
        source="Kusto Query Language reference, coalesce()",
    )
)

not_ = scalar(
    Function(
        name="not",
        doc="The opposite of a condition; null of null.",
        signatures=(Signature((boolean("condition", dynamic=True),), Type.BOOL),),
        sql={"duckdb": Custom("not")},
        examples=(Example("not(1 == 1)", "False"), Example("not(bool(null))", "null"), Example("not(dynamic(false))", "True")),
        source="Kusto Query Language reference, not()",
    )
)

isnull = scalar(
    Function(
        name="isnull",
        doc="Whether a value is null. A string never is.",
        signatures=(Signature((anything("value"),), Type.BOOL),),
        sql={"duckdb": Custom("isnull")},
        nullable=False,
        examples=(Example("isnull(long(null))", "True"), Example("isnull('')", "False"), Example("isnull(dynamic([]))", "False")),
        source="Kusto Query Language reference, isnull()",
    )
)

isnotnull = scalar(
    Function(
        name="isnotnull",
        aliases=("notnull",),
        doc="Whether a value is not null. A string never is null.",
        signatures=(Signature((anything("value"),), Type.BOOL),),
        sql={"duckdb": Custom("isnotnull")},
        nullable=False,
        examples=(Example("isnotnull(long(null))", "False"), Example("isnotnull('')", "True")),
        source="Kusto Query Language reference, isnotnull()",
    )
)

isempty = scalar(
    Function(
        name="isempty",
        doc="Whether a value is null or an empty string.",
        signatures=(Signature((anything("value"),), Type.BOOL),),
        sql={"duckdb": Custom("isempty")},
        nullable=False,
        examples=(Example("isempty('')", "True"), Example("isempty(dynamic([]))", "False"), Example("isempty(int(null))", "True")),
        source="Kusto Query Language reference, isempty()",
    )
)

isnotempty = scalar(
    Function(
        name="isnotempty",
        aliases=("notempty",),
        doc="Whether a value is neither null nor an empty string.",
        signatures=(Signature((anything("value"),), Type.BOOL),),
        sql={"duckdb": Custom("isnotempty")},
        nullable=False,
        examples=(Example("isnotempty('a')", "True"), Example("isnotempty('')", "False"), Example("isnotempty(0)", "True")),
        source="Kusto Query Language reference, isnotempty()",
    )
)

for _name, _aliases, _signature, _type_of, _doc, _examples in (
    (
        "column_ifexists",
        ("columnifexists",),
        (Parameter("name", Type.STRING, constant=True), anything("default")),
        lambda types: types[1],
        "The column of a name, or a default where the table has none of that name.",
        (Example("column_ifexists('x', 0) + 1", "2", rows="1"), Example("column_ifexists('nosuch', 'none')", "none")),
    ),
    (
        "iscolumnexists",
        (),
        (Parameter("name", Type.STRING, constant=True),),
        Type.BOOL,
        "Whether the table has a column of a name.",
        (Example("iscolumnexists('x')", "True", rows="1"), Example("iscolumnexists('y')", "False")),
    ),
):
    scalar(
        Function(
            name=_name,
            aliases=_aliases,
            doc=_doc,
            signatures=(Signature(_signature, _type_of),),
            sql={"duckdb": "{name}"},
            examples=_examples,
            source="Kusto Query Language reference, column_ifexists()",
        )
    )

scalar(
    Function(
        name="column_names_of",
        doc="The names of a table's columns, as an array.",
        signatures=(Signature((anything("table"),), Type.DYNAMIC),),
        sql={"duckdb": "{table}"},
        nullable=False,
        examples=(Example("column_names_of(print a = 1, b = '')", '["a","b"]'),),
        source="Kusto Query Language reference, column_names_of()",
    )
)
