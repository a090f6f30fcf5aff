"""Datetimes and timespans. Both are ticks of 100 ns in SQL, so that arithmetic is exact; calendar parts go through a TIMESTAMP."""

from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from kqlite.language.functions.datetime_formats import check_datetime_format, check_part, check_timespan_format
from kqlite.language.functions.declare import (
    Custom,
    Example,
    Function,
    Naming,
    Parameter,
    Signature,
    datetime,
    long,
    real,
    scalar,
    timespan,
)
from kqlite.language.types import Type

_PART = Parameter("part", Type.STRING, constant=True, check=check_part)
_DATETIME_FORMAT = Parameter("format", Type.STRING, constant=True, check=check_datetime_format)
_TIMESPAN_FORMAT = Parameter("format", Type.STRING, constant=True, check=check_timespan_format)

scalar(
    Function(
        name="now",
        doc="The time at which the query began, the same in all of it; with an offset, shifted by that.",
        signatures=(Signature((timespan("offset"),), Type.DATETIME, optional=1),),
        sql={"duckdb": Custom("now")},
        examples=(Example("now() == now()", "True"), Example("now(1h) - now()", "01:00:00")),
        source="Kusto Query Language reference, now()",
    )
)

scalar(
    Function(
        name="ago",
        doc="The time at which the query began less a timespan.",
        signatures=(Signature((timespan("ago"),), Type.DATETIME),),
        sql={"duckdb": Custom("ago")},
        examples=(Example("now() - ago(1d)", "1.00:00:00"),),
        source="Kusto Query Language reference, ago()",
    )
)

for _name, _unit, _start, _end, _shifted in (
    ("day", "days", "2017-01-01T00:00:00.0000000Z", "2017-01-01T23:59:59.9999999Z", "2016-12-31T00:00:00.0000000Z"),
    ("week", "weeks", "2017-01-01T00:00:00.0000000Z", "2017-01-07T23:59:59.9999999Z", "2016-12-25T00:00:00.0000000Z"),
    ("month", "months", "2017-01-01T00:00:00.0000000Z", "2017-01-31T23:59:59.9999999Z", "2016-12-01T00:00:00.0000000Z"),
    ("year", "years", "2017-01-01T00:00:00.0000000Z", "2017-12-31T23:59:59.9999999Z", "2016-01-01T00:00:00.0000000Z"),
):
    _begins = " A week begins on Sunday." if _name == "week" else ""
    scalar(
        Function(
            name=f"startof{_name}",
            doc=f"The first tick of the {_name} that holds the datetime, shifted by so many {_unit}.{_begins}",
            signatures=(Signature((datetime("date"), long("offset")), Type.DATETIME, optional=1),),
            sql={"duckdb": Custom(f"startof{_name}")},
            naming=Naming.FIRST_ARGUMENT if _name == "day" else Naming.NONE,
            examples=(
                Example(f"startof{_name}(datetime(2017-01-01 10:10:17))", _start),
                Example(f"startof{_name}(datetime(2017-01-01 10:10:17), -1)", _shifted),
            ),
            source=f"Kusto Query Language reference, startof{_name}()",
        )
    )
    scalar(
        Function(
            name=f"endof{_name}",
            doc=f"The last tick of the {_name} that holds the datetime, shifted by so many {_unit}.{_begins}",
            signatures=(Signature((datetime("date"), long("offset")), Type.DATETIME, optional=1),),
            sql={"duckdb": Custom(f"endof{_name}")},
            examples=(Example(f"endof{_name}(datetime(2017-01-01 10:10:17))", _end),),
            source=f"Kusto Query Language reference, endof{_name}()",
        )
    )

scalar(
    Function(
        name="dayofweek",
        doc="The whole days since the Sunday before, as a timespan.",
        signatures=(Signature((datetime("date"),), Type.TIMESPAN),),
        # 0001-01-01 was a Monday.
        sql={"duckdb": "({date} // 864000000000 + 1) % 7 * 864000000000"},
        examples=(Example("dayofweek(datetime(2015-12-14))", "1.00:00:00"), Example("dayofweek(datetime(2015-12-20 11:00))", "00:00:00")),
        source="Kusto Query Language reference, dayofweek()",
    )
)

for _name, _field, _example, _doc, _aliases in (
    ("dayofmonth", "day", "14", "The day of the month, from 1.", ()),
    ("dayofyear", "doy", "348", "The day of the year, from 1.", ()),
    ("monthofyear", "month", "12", "The month, from 1 to 12.", ("getmonth",)),
    ("getyear", "year", "2015", "The year.", ()),
    ("hourofday", "hour", "0", "The hour, from 0 to 23.", ()),
    ("week_of_year", "week", "51", "The number of the week as ISO 8601 counts them, from 1.", ()),
):
    scalar(
        Function(
            name=_name,
            aliases=_aliases,
            doc=_doc,
            signatures=(Signature((datetime("date"),), Type.INT),),
            sql={"duckdb": f"CAST(date_part('{_field}', make_timestamp({{date}} // 10 - 62135596800000000)) AS INTEGER)"},
            examples=(Example(f"{_name}(datetime(2015-12-14))", _example),),
            source=f"Kusto Query Language reference, {_name}()",
        )
    )

scalar(
    Function(
        name="datetime_part",
        aliases=("datepart",),
        doc="A part of a datetime as a number, such as `year`, `week_of_year`, `hour` or `millisecond`.",
        signatures=(Signature((_PART, datetime("date")), Type.INT),),
        sql={"duckdb": Custom("datetime_part")},
        examples=(
            Example('datetime_part("year", datetime(2017-10-30 01:02:03.7654321))', "2017"),
            Example('datetime_part("quarter", datetime(2017-10-30 01:02:03.7654321))', "4"),
            Example('datetime_part("week_of_year", datetime(2017-10-30 01:02:03.7654321))', "44"),
            Example('datetime_part("dayOfYear", datetime(2017-10-30 01:02:03.7654321))', "303"),
            Example('datetime_part("millisecond", datetime(2017-10-30 01:02:03.7654321))', "765"),
            Example('datetime_part("nanosecond", datetime(2017-10-30 01:02:03.7654321))', "765432100"),
        ),
        source="Kusto Query Language reference, datetime_part()",
    )
)

scalar(
    Function(
        name="datetime_add",
        doc="A datetime moved by so many of a part, such as `month` or `hour`.",
        signatures=(Signature((_PART, long("amount"), datetime("date")), Type.DATETIME),),
        sql={"duckdb": Custom("datetime_add")},
        examples=(
            Example("datetime_add('year', -5, datetime(2017-10-30 01:02:03.7654321))", "2012-10-30T01:02:03.7654321Z"),
            Example("datetime_add('month', 1, datetime(2017-01-01))", "2017-02-01T00:00:00.0000000Z"),
            Example("datetime_add('week', 1, datetime(2017-01-01))", "2017-01-08T00:00:00.0000000Z"),
            Example("datetime_add('second', 90, datetime(2017-01-01))", "2017-01-01T00:01:30.0000000Z"),
        ),
        source="Kusto Query Language reference, datetime_add()",
    )
)

scalar(
    Function(
        name="datetime_diff",
        doc="How many boundaries of a part lie between the second datetime and the first.",
        signatures=(Signature((_PART, datetime("later"), datetime("earlier")), Type.LONG),),
        sql={"duckdb": Custom("datetime_diff")},
        examples=(
            Example("datetime_diff('year', datetime(2017-01-01), datetime(2000-12-31))", "17"),
            Example("datetime_diff('quarter', datetime(2017-07-01), datetime(2017-03-30))", "2"),
            Example("datetime_diff('month', datetime(2017-01-01), datetime(2015-12-30))", "13"),
            Example("datetime_diff('week', datetime(2017-10-29 00:00), datetime(2017-09-30 23:59))", "5"),
            Example("datetime_diff('day', datetime(2017-10-29 00:00), datetime(2017-09-30 23:59))", "29"),
            Example("datetime_diff('hour', datetime(2017-10-31 01:00), datetime(2017-10-30 23:59))", "2"),
            Example("datetime_diff('second', datetime(2017-10-30 23:00:10.100), datetime(2017-10-30 23:00:00.900))", "10"),
            Example("datetime_diff('millisecond', datetime(2017-10-30 23:00:00.200100), datetime(2017-10-30 23:00:00.100900))", "100"),
            Example("datetime_diff('nanosecond', datetime(2017-10-30 23:00:00.0000000), datetime(2017-10-30 23:00:00.0000007))", "-700"),
        ),
        source="Kusto Query Language reference, datetime_diff()",
    )
)

scalar(
    Function(
        name="make_datetime",
        doc="The datetime of a year, month, day, and clock time; null where there is none such.",
        signatures=(
            Signature((long("year"), long("month"), long("day")), Type.DATETIME),
            Signature((long("year"), long("month"), long("day"), long("hour"), long("minute"), real("second")), Type.DATETIME, optional=1),
        ),
        sql={"duckdb": Custom("make_datetime")},
        examples=(
            Example("make_datetime(2017, 10, 01)", "2017-10-01T00:00:00.0000000Z"),
            Example("make_datetime(2017, 10, 01, 12, 10)", "2017-10-01T12:10:00.0000000Z"),
            Example("make_datetime(2017, 10, 01, 12, 11, 0.1234567)", "2017-10-01T12:11:00.1234567Z"),
            Example("make_datetime(2017, 2, 30)", "null"),
        ),
        source="Kusto Query Language reference, make_datetime()",
    )
)

scalar(
    Function(
        name="make_timespan",
        doc="The timespan of days, hours, minutes and seconds; null where one is out of its range.",
        signatures=(
            Signature((long("hour"), long("minute")), Type.TIMESPAN),
            Signature((long("hour"), long("minute"), real("second")), Type.TIMESPAN),
            Signature((long("day"), long("hour"), long("minute"), real("second")), Type.TIMESPAN),
        ),
        sql={"duckdb": Custom("make_timespan")},
        examples=(
            Example("make_timespan(1, 12)", "01:12:00"),
            Example("make_timespan(1, 12, 30)", "01:12:30"),
            Example("make_timespan(1, 12, 30, 55.123)", "1.12:30:55.1230000"),
        ),
        source="Kusto Query Language reference, make_timespan()",
    )
)

for _unit, _example in (
    ("seconds", "1546300800"),
    ("milliseconds", "1546300800000"),
    ("microseconds", "1546300800000000"),
    ("nanoseconds", "1546300800000000000"),
):
    scalar(
        Function(
            name=f"unixtime_{_unit}_todatetime",
            doc=f"The datetime so many {_unit} after 1970-01-01.",
            signatures=(
                Signature((Parameter("since", Type.LONG),), Type.DATETIME),
                Signature((Parameter("since", Type.REAL),), Type.DATETIME),
            ),
            sql={"duckdb": Custom(f"unixtime_{_unit}")},
            examples=(Example(f"unixtime_{_unit}_todatetime({_example})", "2019-01-01T00:00:00.0000000Z"),),
            source=f"Kusto Query Language reference, unixtime_{_unit}_todatetime()",
        )
    )

scalar(
    Function(
        name="format_datetime",
        doc="The datetime as text in a format such as `yyyy-MM-dd HH:mm:ss.fff`.",
        signatures=(Signature((datetime("date"), _DATETIME_FORMAT), Type.STRING),),
        sql={"duckdb": Custom("format_datetime")},
        naming=Naming.FIRST_ARGUMENT,
        examples=(
            Example("format_datetime(datetime(2017-01-29 09:00:05), 'yy-MM-dd [HH:mm:ss]')", "17-01-29 [09:00:05]"),
            Example("format_datetime(datetime(2017-01-29 09:00:05), 'yyyy-M-dd [H:mm:ss]')", "2017-1-29 [9:00:05]"),
            Example("format_datetime(datetime(2017-01-29 09:00:05), 'yy-MM-dd [hh:mm:ss tt]')", "17-01-29 [09:00:05 AM]"),
            Example("format_datetime(datetime(2009-06-15T13:45:30.6170000), 'fff')", "617"),
        ),
        source="Kusto Query Language reference, format_datetime()",
    )
)

scalar(
    Function(
        name="format_timespan",
        doc="The timespan as text in a format such as `d.hh:mm:ss.fff`.",
        signatures=(Signature((timespan("timespan"), _TIMESPAN_FORMAT), Type.STRING),),
        sql={"duckdb": Custom("format_timespan")},
        naming=Naming.FIRST_ARGUMENT,
        examples=(
            Example("format_timespan(time(29.09:00:05.12345), 'dd.hh:mm:ss:FF')", "29.09:00:05:12"),
            Example("format_timespan(time(29.09:00:05.12345), 'ddd.h:mm:ss [fffffff]')", "029.9:00:05 [1234500]"),
        ),
        source="Kusto Query Language reference, format_timespan()",
    )
)


def _check_timezone(name: str) -> str | None:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return "no time zone such as `Europe/Berlin` or `UTC`"
    return None


for _name, _doc, _shown in (
    (
        "datetime_utc_to_local",
        "A datetime in UTC as the clocks of a time zone show it.",
        Example("datetime_utc_to_local(datetime(2022-07-01 12:00:00.0000001), 'Europe/Berlin')", "2022-07-01T14:00:00.0000001Z"),
    ),
    (
        "datetime_local_to_utc",
        "The datetime in UTC at which the clocks of a time zone show another. A time that they leave out counts as after the change.",
        Example("datetime_local_to_utc(datetime(2022-03-27 02:00), 'Europe/Brussels')", "2022-03-27T00:00:00.0000000Z"),
    ),
):
    scalar(
        Function(
            name=_name,
            doc=_doc,
            signatures=(
                Signature((datetime("date"), Parameter("timezone", Type.STRING, constant=True, check=_check_timezone)), Type.DATETIME),
            ),
            sql={"duckdb": Custom(_name)},
            examples=(_shown, Example(f"{_name}(datetime(2022-01-01), 'UTC')", "2022-01-01T00:00:00.0000000Z")),
            source=f"Kusto Query Language reference, {_name}()",
        )
    )
