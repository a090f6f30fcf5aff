"""Conversions between types, from text and from inside dynamics.

Source of the rules: Kusto docs, pages of the `to..()` functions and of the scalar types.
"""

from collections.abc import Iterator

import pytest

import kqlite


@pytest.fixture(scope="module")
def connection() -> Iterator[kqlite.Connection]:
    with kqlite.connect(None) as connection:
        yield connection


def shown(connection: kqlite.Connection, expression: str) -> str | None:
    (row,) = connection.query(f"print x = {expression} | project is_null = isnull(x), text = tostring(x)")
    return None if row["is_null"] else row["text"]


OPEN, CLOSE = '{"x":', "}"


def literal(text: str) -> str:
    return '@"' + text.replace('"', '""') + '"'


DATETIMES = {
    "2014-05-25T08:20:03.123456Z": "2014-05-25T08:20:03.1234560Z",
    "2014-05-25T08:20:03.1234567Z": "2014-05-25T08:20:03.1234567Z",
    "2014-05-25T08:20:03.9999999": "2014-05-25T08:20:03.9999999Z",
    "2014-05-25T08:20": "2014-05-25T08:20:00.0000000Z",
    "2014-11-08 15:55:55.123456Z": "2014-11-08T15:55:55.1234560Z",
    "2014-11-08 15:55": "2014-11-08T15:55:00.0000000Z",
    "2014-11-08": "2014-11-08T00:00:00.0000000Z",
    "2022-12-02T13:45:56+02:00": "2022-12-02T11:45:56.0000000Z",
    "2022-12-02T13:45:56.9999999-02:30": "2022-12-02T16:15:56.9999999Z",
    "Sat, 8 Nov 14 15:05:02 GMT": "2014-11-08T15:05:02.0000000Z",
    "Sat, 8 Nov 14 15:05": "2014-11-08T15:05:00.0000000Z",
    "8 Nov 14 15:05 GMT": "2014-11-08T15:05:00.0000000Z",
    "Saturday, 08-Nov-14 15:05:02 GMT": "2014-11-08T15:05:02.0000000Z",
    "08-Nov-14 15:05": "2014-11-08T15:05:00.0000000Z",
    "2014-11-08 15:05:25 GMT": "2014-11-08T15:05:25.0000000Z",
    "2014-11-08T15:05 GMT": "2014-11-08T15:05:00.0000000Z",
    "02/17/2016 08:40:01": "2016-02-17T08:40:01.0000000Z",
    "12-02-2022": "2022-12-02T00:00:00.0000000Z",
    "0001-01-01": "0001-01-01T00:00:00.0000000Z",
    "9999-12-31T23:59:59.9999999Z": "9999-12-31T23:59:59.9999999Z",
    "13-01-2022": None,
    "2014-02-30": None,
    "2014-11-08T25:00": None,
    "2014-11-08 15:05 US/Pacific": None,
    "infinity": None,
    "epoch": None,
    "now": None,
    "": None,
    "x": None,
}


@pytest.mark.parametrize("text", DATETIMES)
def test_datetime_of_text(connection: kqlite.Connection, text: str) -> None:
    assert shown(connection, f"todatetime({literal(text)})") == DATETIMES[text]


TIMESPANS = {
    "0.00:03:00": "00:03:00",
    "00:03:00": "00:03:00",
    "1.02:03:04": "1.02:03:04",
    "1.02:03:04.5": "1.02:03:04.5000000",
    "00:00:00.1234567": "00:00:00.1234567",
    "-12:00:00": "-12:00:00",
    "-1.12:00:00": "-1.12:00:00",
    "1d": "1.00:00:00",
    "1.5h": "01:30:00",
    "30m": "00:30:00",
    "10s": "00:00:10",
    "100ms": "00:00:00.1000000",
    "10microsecond": "00:00:00.0000100",
    "1tick": "00:00:00.0000001",
    "25:00:00": None,
    "00:61:00": None,
    "00:01:00 junk": None,
    "99999999999d": None,
    "": None,
    "x": None,
}


@pytest.mark.parametrize("text", TIMESPANS)
def test_timespan_of_text(connection: kqlite.Connection, text: str) -> None:
    assert shown(connection, f"totimespan({literal(text)})") == TIMESPANS[text]


@pytest.mark.parametrize(
    ("call", "expected"),
    [
        ('toint("5")', "5"),
        ('toint(" -5 ")', "-5"),
        ('toint("+7")', "7"),
        ('toint("0x1F")', "31"),
        ('toint("5.7")', None),
        ('toint("1e3")', None),
        ('toint("1_000")', None),
        ('toint("99999999999")', None),
        ('toint("")', None),
        ("toint(2.9)", "2"),
        ("toint(-2.9)", "-2"),
        ("toint(1e20)", "2147483647"),
        ("toint(-1e20)", "-2147483648"),
        ("toint(real(nan))", None),
        ("toint(9999999999)", "1410065407"),
        ("toint(4294967295)", "-1"),
        ("toint(true)", "1"),
        ("tolong(datetime(0001-01-02))", "864000000000"),
        ("tolong(1s)", "10000000"),
        ('tolong("9223372036854775807")', "9223372036854775807"),
        ('tolong("9223372036854775808")', None),
        ('toreal("1e3")', "1000.0"),
        ('toreal(" .5 ")', "0.5"),
        ('toreal("1_0")', None),
        ('toreal("0x10")', None),
        ("toreal(7)", "7.0"),
        ('tobool("TRUE")', "True"),
        ('tobool(" false ")', "False"),
        ('tobool("-1")', "True"),
        ('tobool("1.5")', None),
        ('tobool("t")', None),
        ('tobool("")', None),
        ("tobool(0)", "False"),
        ('toguid("74BE27DE1e4e49d9b579fe0b331d3642")', "74be27de-1e4e-49d9-b579-fe0b331d3642"),
        ('toguid("74be27de-1e4e-49d9-b579-fe0b331d3642 and more")', "74be27de-1e4e-49d9-b579-fe0b331d3642"),
        ('toguid("74be27de")', None),
        ("totimespan(600000000)", "00:01:00"),
        ("tostring(guid(74BE27DE-1e4e-49d9-b579-fe0b331d3642))", "74be27de-1e4e-49d9-b579-fe0b331d3642"),
        ("tostring(bool(null))", ""),
        ("tostring(real(nan))", "NaN"),
        ("tostring(-36h)", "-1.12:00:00"),
    ],
)
def test_conversion(connection: kqlite.Connection, call: str, expected: str | None) -> None:
    assert shown(connection, call) == expected


@pytest.mark.parametrize(
    ("json", "int_", "real", "bool_", "text"),
    [
        ("5", "5", "5.0", "True", "5"),
        ("5.7", "5", "5.7", "True", "5.7"),
        ("-5.7", "-5", "-5.7", "True", "-5.7"),
        ('"5"', "5", "5.0", "True", "5"),
        ('"5.7"', None, "5.7", None, "5.7"),
        ("true", "1", "1.0", "True", "true"),
        ("false", "0", "0.0", "False", "false"),
        ('"true"', None, None, "True", "true"),
        ('"a"', None, None, None, "a"),
        ('{"a":1}', None, None, None, '{"a":1}'),
        ("[1,null]", None, None, None, "[1,null]"),
        ("null", None, None, None, ""),
    ],
)
def test_conversion_of_a_dynamic(
    connection: kqlite.Connection, json: str, int_: str | None, real: str | None, bool_: str | None, text: str
) -> None:
    value = f"parse_json({literal(json)})"
    inside = f"parse_json({literal(OPEN + json + CLOSE)}).x"
    for each in (value, inside):
        assert shown(connection, f"toint({each})") == int_
        assert shown(connection, f"toreal({each})") == real
        assert shown(connection, f"tobool({each})") == bool_
        assert shown(connection, f"tostring({each})") == text


def test_ticks_survive_the_way_through_a_dynamic(connection: kqlite.Connection) -> None:
    call = "todatetime(pack('t', datetime(2020-01-01 00:00:00.1234567)).t)"
    assert shown(connection, call) == "2020-01-01T00:00:00.1234567Z"
    assert shown(connection, "totimespan(pack('t', 1.5d).t)") == "1.12:00:00"
