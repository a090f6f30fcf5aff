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

for _name, _sql, _doc, _examples in (
    ("sin", "sin({value})", "The sine of an angle in radians", (Example("sin(0)", "0.0"), Example("sin(pi() / 2)", "1.0"))),
    ("cos", "cos({value})", "The cosine of an angle in radians", (Example("cos(0)", "1.0"),)),
    ("tan", "tan({value})", "The tangent of an angle in radians", (Example("tan(0)", "0.0"),)),
    ("cot", "1 / tan({value})", "The cotangent of an angle in radians", (Example("cot(1.0)", "0.6420926159343306"),)),
    (
        "asin",
        "CASE WHEN abs({value}) <= 1 THEN asin({value}) END",
        "The angle in radians that has this sine; null where there is none",
        (Example("asin(0)", "0.0"), Example("asin(2)", "null")),
    ),
    (
        "acos",
        "CASE WHEN abs({value}) <= 1 THEN acos({value}) END",
        "The angle in radians that has this cosine; null where there is none",
        (Example("acos(1)", "0.0"), Example("acos(-2)", "null")),
    ),
    ("atan", "atan({value})", "The angle in radians that has this tangent", (Example("atan(0.5)", "0.4636476090008061"),)),
    ("degrees", "degrees({value})", "An angle in degrees that is given in radians", (Example("degrees(pi() / 4)", "45.0"),)),
    ("radians", "radians({value})", "An angle in radians that is given in degrees", (Example("radians(180)", "3.141592653589793"),)),
    ("gamma", "gamma({value})", "The gamma function", (Example("gamma(5)", "24.0"),)),
    ("loggamma", "lgamma({value})", "The logarithm of the absolute value of the gamma function", (Example("loggamma(1)", "0.0"),)),
):
    scalar(
        Function(
            name=_name,
            doc=f"{_doc}.",
            signatures=(Signature((_REAL,), Type.REAL),),
            sql={"duckdb": f"TRY({_sql})"},
            naming=Naming.NONE if _name in ("cot", "degrees", "radians") else Naming.FIRST_ARGUMENT,
            examples=_examples,
            source=f"Kusto Query Language reference, {_name}()",
        )
    )

scalar(
    Function(
        name="atan2",
        doc="The angle in radians between the x axis and the line to a point.",
        signatures=(Signature((real("y"), real("x")), Type.REAL),),
        sql={"duckdb": "atan2({y}, {x})"},
        naming=Naming.FIRST_ARGUMENT,
        examples=(Example("atan2(1, 1)", "0.7853981633974483"), Example("atan2(0, -1)", "3.141592653589793")),
        source="Kusto Query Language reference, atan2()",
    )
)

_64_BITS = "18446744073709551615::HUGEINT"
_SIGN = "9223372036854775808::HUGEINT"
_SHIFTED_LEFT = f"((CAST({{value}} AS HUGEINT) & {_64_BITS}) << CAST({{shift}} % 64 AS INTEGER)) & {_64_BITS}"
"""In a number of 128 bits, since the engine refuses to lose any."""

for _name, _sql, _doc, _examples in (
    (
        "binary_shift_left",
        f"CAST(xor({_SHIFTED_LEFT}, {_SIGN}) - {_SIGN} AS BIGINT)",
        "to the left",
        (Example("binary_shift_left(1, 2)", "4"), Example("binary_shift_left(3, 63)", "-9223372036854775808")),
    ),
    (
        "binary_shift_right",
        "CAST({value} AS BIGINT) >> CAST({shift} % 64 AS INTEGER)",
        "to the right; the sign stays",
        (Example("binary_shift_right(8, 2)", "2"), Example("binary_shift_right(-256, 2)", "-64")),
    ),
):
    scalar(
        Function(
            name=_name,
            doc=f"The bits of a value moved {_doc}: by the remainder of the count by 64; null for a negative count.",
            signatures=(Signature((_LONG, long("shift")), Type.LONG),),
            sql={"duckdb": f"CASE WHEN {{shift}} >= 0 THEN {_sql} END"},
            naming=Naming.FIRST_ARGUMENT,
            examples=(*_examples, Example(f"{_name}(1, -1)", "null"), Example(f"{_name}(4, 64)", "4")),
            source=f"Kusto Query Language reference, {_name}()",
        )
    )

scalar(
    Function(
        name="around",
        doc="Whether a value is as near to a center as a distance allows; null where one of them is null.",
        signatures=(
            Signature((_LONG, long("center"), long("delta")), Type.BOOL),
            Signature((_REAL, real("center"), real("delta")), Type.BOOL),
            Signature((_TIMESPAN, Parameter("center", Type.TIMESPAN), Parameter("delta", Type.TIMESPAN)), Type.BOOL),
            Signature((_DATETIME, Parameter("center", Type.DATETIME), Parameter("delta", Type.TIMESPAN)), Type.BOOL),
        ),
        sql={"duckdb": "TRY({value} BETWEEN {center} - {delta} AND {center} + {delta})"},
        examples=(
            Example("around(4, 5, 1)", "True"),
            Example("around(datetime(2021-01-01 01:28), datetime(2021-01-01 01:30), 1m)", "False"),
            Example("around(1.5, 1, 0.5)", "True"),
            Example("around(1, 2, long(null))", "null"),
        ),
        source="Kusto Query Language reference, around()",
    )
)

scalar(
    Function(
        name="rand",
        doc="A random number from 0 to 1, or a whole one below a number, another one for each row.",
        signatures=(Signature((long("below"),), Type.REAL, optional=1),),
        sql={("duckdb", 0): "random()", "duckdb": "CASE WHEN {below} > 1 THEN floor(random() * {below}) ELSE random() END"},
        volatile=True,
        nullable=False,
        naming=Naming.FIRST_ARGUMENT,
        examples=(Example("rand() < 1", "True"), Example("rand(3) in (0, 1, 2)", "True")),
        source="Kusto Query Language reference, rand()",
    )
)
