"""Aggregates: functions that fold the rows of a group. They pass over nulls; only `count()` counts rows.

`arg_max`, `arg_min`, and `take_any` of several values give one Invoke for each of their columns: the column's place, then all values, so
that
each picks the same row.
"""

from collections.abc import Sequence

from kqlite.language.functions.declare import (
    ANY,
    Custom,
    Example,
    Function,
    Naming,
    Parameter,
    Signature,
    aggregate,
    anything,
    boolean,
    long,
)
from kqlite.language.plan import Scalar
from kqlite.language.schema import JSON, Array, Leaf, Shape, json_of
from kqlite.language.types import Type

_INT = Parameter("value", Type.INT)
_LONG = Parameter("value", Type.LONG)
_REAL = Parameter("value", Type.REAL)
_DATETIME = Parameter("value", Type.DATETIME)
_TIMESPAN = Parameter("value", Type.TIMESPAN)
_PREDICATE = boolean("predicate")


def _type_of_first(types: Sequence[Type]) -> Type:
    return types[0]


def element_form(value: Scalar) -> Shape:
    """The form in which `make_list` and `make_set` hold an element: native for a scalar that JSON writes as it is, else JSON."""
    match value.type:
        case Type.BOOL | Type.STRING:
            return Leaf(value.type)
        case Type.INT | Type.LONG:
            return Leaf(Type.LONG)
        case Type.GUID | Type.DATETIME | Type.TIMESPAN:
            return Leaf(Type.STRING, plain=True)
        case Type.DYNAMIC if isinstance(value.form, Leaf):
            return value.form
        case _:
            return json_of((value.form,))


def _list(arguments: Sequence[Scalar]) -> Shape:
    return Array(element_form(arguments[0]))


def _form_of_first(arguments: Sequence[Scalar]) -> Shape:
    return arguments[0].form or JSON


def _page(name: str) -> str:
    return f"Kusto Query Language reference, {name}() (aggregation function)"


def _signatures(*pairs: tuple[Parameter, Type], more: tuple[Parameter, ...] = (), optional: int = 0) -> tuple[Signature, ...]:
    return tuple(Signature((parameter, *more), returns, optional=optional) for parameter, returns in pairs)


aggregate(
    Function(
        name="count",
        aliases=("cnt",),
        doc="How many rows there are. An argument only names the column.",
        signatures=(Signature((anything("value"),), Type.LONG, optional=1),),
        sql={"duckdb": Custom("count")},
        naming=Naming.FUNCTION_AND_ARGUMENT,
        nullable=False,
        aggregate=True,
        examples=(
            Example("count()", "3", rows="1, 2, 3"),
            Example("count(x)", "2", rows="long(null), 5"),
            Example("count()", "0", rows=""),
        ),
        source=_page("count"),
    )
)

aggregate(
    Function(
        name="countif",
        doc="How many rows make the predicate true.",
        signatures=(Signature((Parameter("predicate", Type.BOOL, frozenset({Type.DYNAMIC})),), Type.LONG),),
        sql={"duckdb": Custom("countif")},
        naming=Naming.FUNCTION_AND_ARGUMENT,
        nullable=False,
        aggregate=True,
        examples=(Example("countif(x > 1)", "2", rows="1, 2, 3, long(null)"), Example("countif(x > 1)", "0", rows="")),
        source=_page("countif"),
    )
)

_SUMMABLE = ((_LONG, Type.LONG), (_REAL, Type.REAL), (_TIMESPAN, Type.TIMESPAN))
_AVERAGED = ((_REAL, Type.REAL), (_DATETIME, Type.DATETIME), (_TIMESPAN, Type.TIMESPAN))
_ORDERED = tuple(
    (Parameter("value", type_), type_)
    for type_ in (Type.INT, Type.LONG, Type.REAL, Type.DECIMAL, Type.STRING, Type.DATETIME, Type.TIMESPAN, Type.BOOL)
)

for _name, _pairs, _doc, _examples in (
    (
        "sum",
        _SUMMABLE,
        "The sum of the values; 0 of nothing",
        (
            Example("sum(x)", "6", rows="1, 2, 3, long(null)"),
            Example("sum(x)", "4.0", rows="1.5, 2.5"),
            Example("sum(x)", "0", rows="long(null)"),
        ),
    ),
    (
        "avg",
        _AVERAGED,
        "The mean of the values; of nothing NaN, and null for times",
        (
            Example("avg(x)", "2.0", rows="1, 2, 3, long(null)"),
            Example("avg(x)", "02:00:00", rows="1h, 3h"),
            Example("avg(x)", "NaN", rows="long(null)"),
        ),
    ),
    (
        "min",
        _ORDERED,
        "The least value; null, or an empty string, of nothing",
        (Example("min(x)", "1", rows="3, 1, long(null)"), Example("min(x)", "a", rows="'b', 'a'")),
    ),
    (
        "max",
        _ORDERED,
        "The greatest value; null, or an empty string, of nothing",
        (Example("max(x)", "3", rows="3, 1, long(null)"), Example("max(x)", "1.00:00:00", rows="1h, 1d")),
    ),
):
    aggregate(
        Function(
            name=_name,
            doc=f"{_doc}.",
            signatures=_signatures(*_pairs),
            sql={"duckdb": Custom(_name)},
            naming=Naming.FUNCTION_AND_ARGUMENT,
            nullable=_name != "sum",
            aggregate=True,
            examples=_examples,
            source=_page(_name),
        )
    )
    aggregate(
        Function(
            name=f"{_name}if",
            doc=f"{_doc}; only of rows that make the predicate true.",
            signatures=_signatures(*_pairs, more=(_PREDICATE,)),
            sql={"duckdb": Custom(_name)},
            naming=Naming.FUNCTION_AND_ARGUMENT,
            nullable=_name != "sum",
            aggregate=True,
            examples=tuple(Example(e.call.replace(f"{_name}(x)", f"{_name}if(x, true)"), e.result, e.rows) for e in _examples[:1]),
            source=_page(f"{_name}if"),
        )
    )

aggregate(
    Function(
        name="dcount",
        doc="How many distinct values there are, nulls apart. Exact, whatever the accuracy asked for.",
        signatures=(Signature((anything("value"), long("accuracy")), Type.LONG, optional=1),),
        sql={"duckdb": Custom("dcount")},
        naming=Naming.FUNCTION_AND_ARGUMENT,
        nullable=False,
        aggregate=True,
        examples=(
            Example("dcount(x)", "2", rows="1, 2, 2, long(null)"),
            Example("dcount(x)", "2", rows="'a', ''"),
            Example("dcount(x, 4)", "1", rows="'a', 'a'"),
        ),
        source=_page("dcount"),
    )
)

aggregate(
    Function(
        name="dcountif",
        doc="How many distinct values there are in rows that make the predicate true.",
        signatures=(Signature((anything("value"), _PREDICATE, long("accuracy")), Type.LONG, optional=1),),
        sql={"duckdb": Custom("dcountif")},
        naming=Naming.FUNCTION_AND_ARGUMENT,
        nullable=False,
        aggregate=True,
        examples=(Example("dcountif(x, x > 1)", "1", rows="1, 2, 2"),),
        source=_page("dcountif"),
    )
)

aggregate(
    Function(
        name="count_distinct",
        doc="How many distinct values there are, nulls apart.",
        signatures=(Signature((Parameter("value", Type.STRING, ANY - {Type.DYNAMIC}),), Type.LONG),),
        sql={"duckdb": Custom("dcount")},
        naming=Naming.FUNCTION_AND_ARGUMENT,
        nullable=False,
        aggregate=True,
        examples=(Example("count_distinct(x)", "2", rows="'a', 'b', 'a'"),),
        source=_page("count_distinct"),
    )
)

_MOST = Parameter("most", Type.LONG, constant=True)

for _name, _aliases, _doc, _form, _examples in (
    (
        "make_list",
        (),
        "An array of the values, at most so many, in the order of the rows if they have one.",
        "list",
        (
            Example("make_list(x)", "[1,2,1]", rows="1, 2, 1, long(null)"),
            Example("make_list(x)", "[]", rows=""),
            Example("make_list(x, 1)", '["a"]', rows="'a', 'a'"),
        ),
    ),
    (
        "make_set",
        (),
        "An array of the distinct values, at most so many. Arrays give their elements.",
        "set",
        (
            Example("array_sort_asc(make_set(x))", "[1,2]", rows="1, 2, 1, long(null)"),
            Example("make_set(x)", "[]", rows=""),
            Example("array_sort_asc(make_set(x))", "[1,2,3]", rows="dynamic([1, 2]), dynamic([2, 3])"),
        ),
    ),
):
    aggregate(
        Function(
            name=_name,
            aliases=_aliases,
            doc=_doc,
            signatures=(Signature((anything("value"), _MOST), Type.DYNAMIC, optional=1),),
            sql={"duckdb": Custom(_name)},
            naming=Naming.PREFIX,
            prefix=f"{_form}_",
            nullable=False,
            shape=_list,
            aggregate=True,
            examples=_examples,
            source=_page(_name),
        )
    )
    aggregate(
        Function(
            name=f"{_name}_if",
            doc=f"{_doc.removesuffix('.')}; only of rows that make the predicate true.",
            signatures=(Signature((anything("value"), _PREDICATE, _MOST), Type.DYNAMIC, optional=1),),
            sql={"duckdb": Custom(f"{_name}_if")},
            naming=Naming.PREFIX,
            prefix=f"{_form}_",
            nullable=False,
            shape=_list,
            aggregate=True,
            examples=(Example(f"{_name}_if(x, x > 1)", "[2]", rows="1, 2"),),
            source=_page(f"{_name}_if"),
        )
    )
    aggregate(
        Function(
            name=f"make{_form}",
            doc=f"The old form of `{_name}`: at most 128 values unless told.",
            signatures=(Signature((anything("value"), _MOST), Type.DYNAMIC, optional=1),),
            sql={"duckdb": Custom(f"make{_form}")},
            naming=Naming.PREFIX,
            prefix=f"{_form}_",
            nullable=False,
            shape=_list,
            aggregate=True,
            examples=(Example(f"make{_form}(x)", "[1]", rows="1"),),
            source=_page(_name),
        )
    )

aggregate(
    Function(
        name="make_list_with_nulls",
        doc="An array of the values, nulls too, in the order of the rows if they have one.",
        signatures=(Signature((anything("value"),), Type.DYNAMIC),),
        sql={"duckdb": Custom("make_list_with_nulls")},
        naming=Naming.PREFIX,
        prefix="list_",
        nullable=False,
        shape=_list,
        aggregate=True,
        examples=(Example("array_length(make_list_with_nulls(x))", "2", rows="1, long(null)"),),
        source=_page("make_list_with_nulls"),
    )
)

aggregate(
    Function(
        name="count_distinctif",
        doc="How many distinct values there are in rows that make the predicate true.",
        signatures=(Signature((Parameter("value", Type.STRING, ANY - {Type.DYNAMIC}), _PREDICATE), Type.LONG),),
        sql={"duckdb": Custom("dcountif")},
        naming=Naming.FUNCTION_AND_ARGUMENT,
        nullable=False,
        aggregate=True,
        examples=(Example("count_distinctif(x, x > 1)", "1", rows="1, 2, 2"),),
        source=_page("count_distinctif"),
    )
)

for _name, _more, _prefix in (("make_bag", (), "bag_"), ("make_bag_if", (_PREDICATE,), "bag_"), ("make_dictionary", (), "dictionary_")):
    aggregate(
        Function(
            name=_name,
            doc="A bag of all members of the bags; of a name in several any one. Values that are no bags are passed over.",
            signatures=(Signature((Parameter("bag", Type.DYNAMIC), *_more, _MOST), Type.DYNAMIC, optional=1),),
            sql={"duckdb": Custom("make_bag")},
            naming=Naming.PREFIX,
            prefix=_prefix,
            nullable=False,
            shape=lambda arguments: json_of((arguments[0].form,)),
            aggregate=True,
            examples=(
                Example(
                    f"{_name}(x{', true' if _more else ''})", '{"a":1,"b":2}', rows="dynamic({'a': 1}), dynamic({'b': 2}), dynamic(null)"
                ),
            ),
            source=_page("make_bag" if _name == "make_dictionary" else _name),
        )
    )

for _name, _naming, _by in (("take_any", Naming.FIRST_ARGUMENT, ()), ("any", Naming.FUNCTION_AND_ARGUMENT, ())):
    aggregate(
        Function(
            name=_name,
            doc="A value of any row, of one that is not null if there is one. Several values come from one row.",
            signatures=(Signature((anything("value"),), _type_of_first, repeats=True),),
            sql={"duckdb": Custom("take_any")},
            naming=_naming,
            shape=lambda arguments: row_form(arguments),
            aggregate=True,
            examples=(Example(f"{_name}(x)", "7", rows="long(null), 7"),),
            source=_page("take_any"),
        )
    )
    aggregate(
        Function(
            name=f"{_name}if",
            doc="A value of any row that makes the predicate true.",
            signatures=(Signature((anything("value"), _PREDICATE), _type_of_first),),
            sql={"duckdb": Custom("take_anyif")},
            naming=_naming,
            shape=_form_of_first,
            aggregate=True,
            examples=(Example(f"{_name}if(x, x > 1)", "7", rows="1, 7"),),
            source=_page("take_anyif"),
        )
    )


def row_form(arguments: Sequence[Scalar]) -> Shape:
    """The form of a dynamic that was picked with its row: that of the value at the place which the first argument says."""
    from kqlite.language.plan import Constant

    place = arguments[0]
    if len(arguments) > 1 and isinstance(place, Constant) and isinstance(place.value, int):
        chosen = arguments[1 + place.value].form
    else:
        chosen = arguments[0].form
    return chosen if isinstance(chosen, Leaf) else json_of((chosen,))


for _name, _extreme, _example in (("arg_max", "greatest", "3"), ("arg_min", "least", "1")):
    aggregate(
        Function(
            name=_name,
            aliases=(_name.replace("_", ""),),
            doc=f"The values of the row whose first argument is the {_extreme}. Null loses to any value.",
            signatures=(Signature((anything("by"), anything("value")), _type_of_first, optional=1, repeats=True),),
            sql={"duckdb": Custom(_name)},
            naming=Naming.FIRST_ARGUMENT,
            shape=row_form,
            aggregate=True,
            examples=(Example(f"{_name}(x, y)", _example, rows="1, 'a', 3, 'c', long(null), 'n'"),),
            source=_page(_name),
        )
    )

_shown: tuple[Example, ...]
_PERCENTAGE = Parameter("percentage", Type.REAL, constant=True)
_PERCENTAGES = Parameter("percentages", Type.DYNAMIC, constant=True)
_WEIGHT = Parameter("weight", Type.LONG)
_RANKED = ((_LONG, Type.LONG), (_REAL, Type.REAL), (_DATETIME, Type.DATETIME), (_TIMESPAN, Type.TIMESPAN))

for _name, _doc, _weights, _several, _shown in (
    (
        "percentile",
        "The smallest value with so many per cent of all values at or below it.",
        (),
        False,
        (
            Example("percentile(x, 50)", "2", rows="1, 2, 3, 4"),
            Example("percentile(x, 0)", "1", rows="1, 2"),
            Example("percentile(x, 100)", "2", rows="1, 2"),
        ),
    ),
    (
        "percentiles",
        "Several percentiles of the values, each in a column of its own.",
        (),
        True,
        (Example("percentiles(x, 50)", "2", rows="1, 2, 3, 4"),),
    ),
    (
        "percentilew",
        "The smallest value with so many per cent of all weights at or below it.",
        (_WEIGHT,),
        False,
        (Example("percentilew(x, y, 50)", "20", rows="10, 8, 20, 6, 30, 3, 40, 1"), Example("percentilew(x, y, 50)", "null", rows="1, 0")),
    ),
    (
        "percentilesw",
        "Several percentiles of the values by their weights, each in a column of its own.",
        (_WEIGHT,),
        True,
        (Example("percentilesw(x, y, 99.9)", "40", rows="10, 8, 20, 6, 30, 3, 40, 1"),),
    ),
):
    aggregate(
        Function(
            name=_name,
            doc=_doc,
            signatures=tuple(Signature((value, *_weights, _PERCENTAGE), returns, repeats=_several) for value, returns in _RANKED),
            sql={"duckdb": Custom("percentilew" if _weights else "percentile")},
            naming=Naming.FUNCTION_AND_ARGUMENT,
            aggregate=True,
            examples=_shown,
            source=_page(_name),
        )
    )


def _ranked(arguments: Sequence[Scalar]) -> Shape:
    return Array(element_form(arguments[0]))


for _name, _weights, _shown in (
    (
        "percentiles_array",
        (),
        (
            Example("percentiles_array(x, 50, 100)", "[2,4]", rows="1, 2, 3, 4"),
            Example("percentiles_array(x, dynamic([0, 50]))", "[1.5,2.5]", rows="1.5, 2.5, 3.5"),
        ),
    ),
    ("percentilesw_array", (_WEIGHT,), (Example("percentilesw_array(x, y, 50, 99.9)", "[20,40]", rows="10, 8, 20, 6, 30, 3, 40, 1"),)),
):
    aggregate(
        Function(
            name=_name,
            doc=f"Several percentiles of the values{' by their weights' if _weights else ''}, as an array.",
            signatures=(
                *(Signature((value, *_weights, _PERCENTAGE), Type.DYNAMIC, repeats=True) for value, _ in _RANKED),
                *(Signature((value, *_weights, _PERCENTAGES), Type.DYNAMIC) for value, _ in _RANKED),
            ),
            sql={"duckdb": Custom(_name)},
            naming=Naming.PREFIX,
            prefix="percentiles_",
            shape=_ranked,
            aggregate=True,
            examples=_shown,
            source=_page(_name),
        )
    )

for _name, _kind, _result in (("covariance", "as a sample", "2.0"), ("covariancep", "as the whole population", "1.0")):
    for _suffix, _more in (("", ()), ("if", (_PREDICATE,))):
        aggregate(
            Function(
                name=f"{_name}{_suffix}",
                doc=f"The covariance of two values {_kind}; 0 of nothing{'; only of rows that make the predicate true' if _more else ''}.",
                signatures=(Signature((Parameter("x", Type.REAL), Parameter("y", Type.REAL), *_more), Type.REAL),),
                sql={"duckdb": Custom(_name)},
                naming=Naming.FUNCTION_AND_ARGUMENT,
                nullable=False,
                aggregate=True,
                examples=(
                    Example(f"{_name}{_suffix}(x, y{', x < 9' if _more else ''})", _result, rows=f"1, 5, 3, 7{', 9, 0' if _more else ''}"),
                ),
                source=_page(f"{_name}{_suffix}"),
            )
        )

for _name, _doc, _rows, _result in (
    ("stdev", "The standard deviation of the values as a sample; 0 of nothing", "1, 2, 3", "1.0"),
    ("stdevp", "The standard deviation of the values as the whole population; 0 of nothing", "1, 3", "1.0"),
    ("variance", "The variance of the values as a sample; 0 of nothing", "1, 2, 3", "1.0"),
    ("variancep", "The variance of the values as the whole population; 0 of nothing", "1, 3", "1.0"),
):
    aggregate(
        Function(
            name=_name,
            doc=f"{_doc}.",
            signatures=(Signature((_REAL,), Type.REAL),),
            sql={"duckdb": Custom(_name)},
            naming=Naming.FUNCTION_AND_ARGUMENT,
            nullable=False,
            aggregate=True,
            examples=(Example(f"{_name}(x)", _result, rows=_rows),),
            source=_page(_name),
        )
    )
    if _name != "stdevp":
        aggregate(
            Function(
                name=f"{_name}if",
                doc=f"{_doc}; only of rows that make the predicate true.",
                signatures=(Signature((_REAL, _PREDICATE), Type.REAL),),
                sql={"duckdb": Custom(_name)},
                naming=Naming.FUNCTION_AND_ARGUMENT,
                nullable=False,
                aggregate=True,
                examples=(Example(f"{_name}if(x, x < 9)", _result, rows=f"{_rows}, 9"),),
                source=_page(f"{_name}if"),
            )
        )

for _name, _doc, _result in (
    ("binary_all_and", "The bits that all values have.", "2"),
    ("binary_all_or", "The bits that any value has.", "7"),
    ("binary_all_xor", "The bits that an odd number of the values have.", "5"),
):
    aggregate(
        Function(
            name=_name,
            doc=_doc,
            signatures=(Signature((Parameter("value", Type.INT),), Type.INT), Signature((_LONG,), Type.LONG)),
            sql={"duckdb": Custom(_name)},
            naming=Naming.FIRST_ARGUMENT,
            aggregate=True,
            examples=(Example(f"{_name}(x)", _result, rows="6, 3"),),
            source=_page(_name),
        )
    )
