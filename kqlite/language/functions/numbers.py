"""Numbers: rounding, powers, bits, the greater and the lesser."""

from collections.abc import Sequence

from kqlite.language.functions.declare import Custom, Example, Function, Naming, Parameter, Signature, anything, long, real, scalar
from kqlite.language.types import Type

_INT = Parameter("value", Type.INT)
_LONG = Parameter("value", Type.LONG)
_REAL = Parameter("value", Type.REAL)
_DATETIME = Parameter("value", Type.DATETIME)
_TIMESPAN = Parameter("value", Type.TIMESPAN)


def _type_of_first(types: Sequence[Type]) -> Type:
    return types[0]


scalar(
    Function(
        name="abs",
        doc="The value without its sign.",
        signatures=(Signature((_LONG,), Type.LONG), Signature((_REAL,), Type.REAL), Signature((_TIMESPAN,), Type.TIMESPAN)),
        sql={"duckdb": "TRY(abs({value}))"},
        naming=Naming.FIRST_ARGUMENT,
        examples=(Example("abs(-5)", "5"), Example("abs(-1.5)", "1.5"), Example("abs(-2h)", "02:00:00")),
        source="Kusto Query Language reference, abs()",
    )
)

scalar(
    Function(
        name="sign",
        doc="-1, 0 or 1, as the value is below, at or above zero.",
        signatures=(Signature((_REAL,), Type.REAL),),
        sql={"duckdb": "CAST(coalesce(sign({value}), 0) AS DOUBLE)"},
        nullable=False,
        examples=(Example("sign(-42)", "-1.0"), Example("sign(0)", "0.0"), Example("sign(11.2)", "1.0")),
        source="Kusto Query Language reference, sign()",
    )
)

scalar(
    Function(
        name="round",
        doc="The value rounded to so many digits behind the point, none if that is not said.",
        signatures=(
            Signature((_INT, long("digits")), Type.INT, optional=1),
            Signature((_LONG, long("digits")), Type.LONG, optional=1),
            Signature((_REAL, long("digits")), Type.REAL, optional=1),
        ),
        sql={"duckdb": Custom("round")},
        naming=Naming.FIRST_ARGUMENT,
        examples=(
            Example("round(2.98765, 3)", "2.988"),
            Example("round(2.15, 1)", "2.2"),
            Example("round(2.15)", "2.0"),
            Example("round(7)", "7"),
        ),
        source="Kusto Query Language reference, round()",
    )
)

scalar(
    Function(
        name="ceiling",
        doc="The smallest whole number that is not below the value.",
        signatures=(Signature((_INT,), Type.INT), Signature((_LONG,), Type.LONG), Signature((_REAL,), Type.REAL)),
        sql={"duckdb": Custom("ceiling")},
        naming=Naming.FIRST_ARGUMENT,
        examples=(Example("ceiling(-1.1)", "-1.0"), Example("ceiling(0)", "0"), Example("ceiling(0.9)", "1.0")),
        source="Kusto Query Language reference, ceiling()",
    )
)

scalar(
    Function(
        name="bin",
        aliases=("floor",),
        doc="The value rounded down to a multiple of a size; null where the size is not above zero.",
        signatures=(
            Signature((_LONG, Parameter("size", Type.LONG)), Type.LONG),
            Signature((_REAL, Parameter("size", Type.REAL)), Type.REAL),
            Signature((_TIMESPAN, Parameter("size", Type.TIMESPAN)), Type.TIMESPAN),
            Signature((_DATETIME, Parameter("size", Type.TIMESPAN)), Type.DATETIME),
        ),
        sql={"duckdb": Custom("bin")},
        naming=Naming.FIRST_ARGUMENT,
        examples=(
            Example("bin(4.5, 1)", "4.0"),
            Example("bin(7, 2)", "6"),
            Example("bin(-7, 2)", "-8"),
            Example("bin(datetime(1970-05-11 13:45:07), 1d)", "1970-05-11T00:00:00.0000000Z"),
            Example("bin(16d, 7d)", "14.00:00:00"),
            Example("bin(5, 0)", "null"),
        ),
        source="Kusto Query Language reference, bin()",
    )
)

scalar(
    Function(
        name="bin_at",
        doc="The value rounded down to a size, counted from a fixed point.",
        signatures=(
            Signature((_LONG, Parameter("size", Type.LONG), Parameter("point", Type.LONG)), Type.LONG),
            Signature((_REAL, Parameter("size", Type.REAL), Parameter("point", Type.REAL)), Type.REAL),
            Signature((_TIMESPAN, Parameter("size", Type.TIMESPAN), Parameter("point", Type.TIMESPAN)), Type.TIMESPAN),
            Signature((_DATETIME, Parameter("size", Type.TIMESPAN), Parameter("point", Type.DATETIME)), Type.DATETIME),
        ),
        sql={"duckdb": Custom("bin_at")},
        naming=Naming.FIRST_ARGUMENT,
        examples=(
            Example("bin_at(6.5, 2.5, 7)", "4.5"),
            Example("bin_at(1h, 1d, 12h)", "-12:00:00"),
            Example("bin_at(datetime(2017-05-15 10:20:00.0), 1d, datetime(1970-01-01 12:00:00.0))", "2017-05-14T12:00:00.0000000Z"),
            Example("bin_at(datetime(2017-05-17 10:20:00.0), 7d, datetime(2017-06-04 00:00:00.0))", "2017-05-14T00:00:00.0000000Z"),
        ),
        source="Kusto Query Language reference, bin_at()",
    )
)

scalar(
    Function(
        name="sqrt",
        doc="The square root; null of a negative value.",
        signatures=(Signature((_REAL,), Type.REAL),),
        sql={"duckdb": "CASE WHEN {value} >= 0 THEN sqrt({value}) END"},
        naming=Naming.FIRST_ARGUMENT,
        examples=(Example("sqrt(256)", "16.0"), Example("sqrt(-1)", "null")),
        source="Kusto Query Language reference, sqrt()",
    )
)

scalar(
    Function(
        name="pow",
        doc="A base raised to an exponent.",
        signatures=(Signature((real("base"), real("exponent")), Type.REAL),),
        sql={"duckdb": "TRY(pow({base}, {exponent}))"},
        naming=Naming.FIRST_ARGUMENT,
        examples=(Example("pow(2, 3)", "8.0"), Example("pow(2, -1)", "0.5")),
        source="Kusto Query Language reference, pow()",
    )
)

for _name, _sql, _doc, _examples in (
    ("exp", "exp({value})", "e raised to the value", (Example("exp(0)", "1.0"),)),
    ("exp2", "pow(2, {value})", "2 raised to the value", (Example("exp2(3)", "8.0"),)),
    ("exp10", "pow(10, {value})", "10 raised to the value", (Example("exp10(3)", "1000.0"),)),
    (
        "log",
        "CASE WHEN {value} > 0 THEN ln({value}) END",
        "The natural logarithm; null where there is none",
        (Example("log(1)", "0.0"), Example("log(-1)", "null")),
    ),
    (
        "log2",
        "CASE WHEN {value} > 0 THEN log2({value}) END",
        "The logarithm to base 2; null where there is none",
        (Example("log2(8)", "3.0"), Example("log2(-8)", "null")),
    ),
    (
        "log10",
        "CASE WHEN {value} > 0 THEN log10({value}) END",
        "The logarithm to base 10; null where there is none",
        (Example("log10(1000)", "3.0"), Example("log10(-1)", "null")),
    ),
):
    scalar(
        Function(
            name=_name,
            doc=f"{_doc}.",
            signatures=(Signature((_REAL,), Type.REAL),),
            sql={"duckdb": _sql},
            naming=Naming.FIRST_ARGUMENT,
            examples=_examples,
            source=f"Kusto Query Language reference, {_name}()",
        )
    )

scalar(
    Function(
        name="pi",
        doc="The number pi.",
        signatures=(Signature((), Type.REAL),),
        sql={"duckdb": "pi()"},
        nullable=False,
        examples=(Example("pi()", "3.141592653589793"),),
        source="Kusto Query Language reference, pi()",
    )
)

scalar(
    Function(
        name="max_of",
        doc="The greatest argument; nulls are passed over.",
        signatures=(Signature((anything("value"), anything("value")), _type_of_first, repeats=True),),
        sql={"duckdb": Custom("max_of")},
        examples=(Example("max_of(10, 1, -3, 17)", "17"), Example("max_of(int(null), int(2))", "2"), Example("max_of('a', 'b')", "b")),
        source="Kusto Query Language reference, max_of()",
    )
)

scalar(
    Function(
        name="min_of",
        doc="The least argument; nulls are passed over.",
        signatures=(Signature((anything("value"), anything("value")), _type_of_first, repeats=True),),
        sql={"duckdb": Custom("min_of")},
        examples=(Example("min_of(10, 1, -3, 17)", "-3"), Example("min_of(long(null), 2)", "2")),
        source="Kusto Query Language reference, min_of()",
    )
)

for _name, _doc, _examples in (
    ("isnan", "Whether the value is not a number.", (Example("isnan(0.0 / 0.0)", "True"), Example("isnan(1)", "False"))),
    ("isinf", "Whether the value is infinite, of either sign.", (Example("isinf(1.0 / 0.0)", "True"), Example("isinf(1.5)", "False"))),
    (
        "isfinite",
        "Whether the value is neither infinite nor NaN.",
        (Example("isfinite(1.0 / 0.0)", "False"), Example("isfinite(1)", "True")),
    ),
):
    scalar(
        Function(
            name=_name,
            doc=_doc,
            signatures=(Signature((_REAL,), Type.BOOL),),
            sql={"duckdb": f"{_name}({{value}})"},
            examples=_examples,
            source=f"Kusto Query Language reference, {_name}()",
        )
    )

for _name, _sql, _doc, _examples in (
    ("binary_and", "{left} & {right}", "The bits that both values have.", (Example("binary_and(6, 3)", "2"),)),
    ("binary_or", "{left} | {right}", "The bits that either value has.", (Example("binary_or(6, 3)", "7"),)),
    ("binary_xor", "xor({left}, {right})", "The bits that one value has and the other has not.", (Example("binary_xor(6, 3)", "5"),)),
):
    scalar(
        Function(
            name=_name,
            doc=_doc,
            signatures=(Signature((long("left"), long("right")), Type.LONG),),
            sql={"duckdb": f"CAST({_sql} AS BIGINT)"},
            naming=Naming.FIRST_ARGUMENT,
            examples=_examples,
            source=f"Kusto Query Language reference, {_name}()",
        )
    )

scalar(
    Function(
        name="binary_not",
        doc="The value with every bit turned over.",
        signatures=(Signature((_LONG,), Type.LONG),),
        sql={"duckdb": "CAST(~{value} AS BIGINT)"},
        naming=Naming.FIRST_ARGUMENT,
        examples=(Example("binary_not(100)", "-101"),),
        source="Kusto Query Language reference, binary_not()",
    )
)

scalar(
    Function(
        name="bitset_count_ones",
        doc="How many bits of the value are set.",
        signatures=(Signature((_LONG,), Type.LONG),),
        sql={"duckdb": "CAST(bit_count(CAST({value} AS BIGINT)) AS BIGINT)"},
        naming=Naming.FIRST_ARGUMENT,
        examples=(Example("bitset_count_ones(42)", "3"),),
        source="Kusto Query Language reference, bitset_count_ones()",
    )
)
