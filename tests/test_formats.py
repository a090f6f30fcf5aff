"""The forms in which a result is printed, from Arrow columns of each KQL type to the very bytes."""

import csv
import io
import json
from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kqlite.formats.binary import write_arrow, write_parquet
from kqlite.formats.table import display_width, lay_out
from kqlite.formats.text import csv_chunks, json_chunks, json_lines, markdown_chunks
from kqlite.formats.values import cells, compact_json, datetime_text, json_texts, texts, timespan_text, without_controls
from kqlite.language.schema import Column, Schema
from kqlite.language.types import TICKS_PER_DAY, UNIX_EPOCH_TICKS, Type

ARROW = {
    Type.BOOL: pa.bool_(),
    Type.INT: pa.int32(),
    Type.LONG: pa.int64(),
    Type.REAL: pa.float64(),
    Type.DATETIME: pa.int64(),
    Type.TIMESPAN: pa.int64(),
    Type.DYNAMIC: pa.json_(pa.string()),
}


def table_of(**columns: tuple[Type, list[object]]) -> tuple[Schema, pa.Table]:
    """Columns by name, each a type and its values as `to_arrow(ticks=True)` holds them."""
    schema = Schema(Column(name, type_) for name, (type_, _) in columns.items())
    arrays = [pa.array(values, ARROW.get(type_, pa.string())) for type_, values in columns.values()]
    return schema, pa.Table.from_arrays(arrays, names=schema.names())


MACHINES = table_of(
    name=(Type.STRING, ["web-01", "datenbank-02"]),
    cores=(Type.INT, [4, None]),
    tags=(Type.DYNAMIC, ['{"env": "prod", "n": 1.50}', None]),
    created=(Type.DATETIME, [UNIX_EPOCH_TICKS + 1, None]),
)


def table_lines(columns: tuple[Schema, pa.Table], **how: object) -> list[str]:
    return "".join(lay_out(*columns, **how).chunks()).splitlines()


# The text of one value


@pytest.mark.parametrize(
    ("ticks", "text"),
    [
        (0, "0001-01-01T00:00:00.0000000Z"),
        (UNIX_EPOCH_TICKS + 1, "1970-01-01T00:00:00.0000001Z"),
        (3_155_378_975_999_999_999, "9999-12-31T23:59:59.9999999Z"),
    ],
)
def test_a_datetime_keeps_seven_digits(ticks, text):
    assert datetime_text(ticks) == text


@pytest.mark.parametrize(
    ("ticks", "text"),
    [
        (0, "00:00:00"),
        (15_000_000, "00:00:01.5000000"),
        (29 * TICKS_PER_DAY, "29.00:00:00"),
        (-TICKS_PER_DAY * 3 // 2, "-1.12:00:00"),
        (-TICKS_PER_DAY // 2, "-12:00:00"),
    ],
)
def test_a_timespan_in_kql_form(ticks, text):
    assert timespan_text(ticks) == text


@given(st.datetimes(timezones=st.just(UTC)))
def test_the_text_of_a_datetime_reads_back(moment):
    ticks = (moment - datetime(1, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1) * 10
    assert datetime.fromisoformat(datetime_text(ticks)) == moment


def test_a_bool_and_a_real_print_as_in_kql():
    assert texts(Type.BOOL, [True, False, None]) == ["True", "False", None]
    assert texts(Type.REAL, [5.0, 0.1, float("nan"), float("-inf")]) == ["5.0", "0.1", "NaN", "-Infinity"]


def test_json_has_no_nan():
    assert json_texts(Type.REAL, [1e300, float("nan"), float("inf")]) == ["1e+300", '"NaN"', '"Infinity"']


def test_a_dynamic_string_loses_its_quotes_and_keeps_them_where_it_would_read_as_another_value():
    values = ['"PowerState/running"', '"1"', '"null"', '"nullable"', '"[x"', '""', "null ", '{"a" : [1, "x y"]}']
    assert texts(Type.DYNAMIC, values)[:6] == ["PowerState/running", "1", "null", "nullable", "[x", ""]
    assert cells(Type.DYNAMIC, values) == ["PowerState/running", '"1"', '"null"', "nullable", '"[x"', '""', "null", '{"a":[1,"x y"]}']


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
)


@given(JSON_VALUES, st.sampled_from([None, 1, "\t"]), st.booleans())
def test_compact_json_changes_white_space_alone(value, indent, ascii_only):
    text = json.dumps(value, indent=indent, ensure_ascii=ascii_only)
    assert compact_json(text) == json.dumps(value, separators=(",", ":"), ensure_ascii=ascii_only)


def test_compact_json_keeps_the_digits_of_numbers():
    assert compact_json('[1.50, 1e2, 12345678901234567890, "a  b"]') == '[1.50,1e2,12345678901234567890,"a  b"]'


def test_controls_are_spelled_out_so_that_no_value_drives_the_terminal():
    assert without_controls("a\x1b[31mred\r\n\u202eback") == "a\\x1b[31mred\\r\\n\\u202eback"


@given(st.text())
def test_what_a_table_shows_stays_on_one_line(text):
    assert len(without_controls(text).splitlines()) <= 1


# The table


def test_numbers_stand_to_the_right_and_nulls_are_shown():
    assert table_lines(MACHINES) == [
        "name          cores  tags                     created",
        "------------  -----  -----------------------  ----------------------------",
        'web-01            4  {"env":"prod","n":1.50}  1970-01-01T00:00:00.0000001Z',
        "datenbank-02   null  null                     null",
    ]


def test_a_null_is_dim_where_colour_is_wanted():
    lines = table_lines(MACHINES, colour=True)
    assert lines[3].startswith("datenbank-02   \x1b[2mnull\x1b[0m  \x1b[2mnull\x1b[0m   ")
    assert "\x1b" not in lines[2]


def test_the_widest_column_is_cut_first():
    columns = table_of(
        id=(Type.STRING, ["/subscriptions/00000000-0000-0000-0000-000000000000"]), name=(Type.STRING, ["web-01"]), cores=(Type.LONG, [4])
    )
    assert table_lines(columns, width=34) == [
        "id                   name    cores",
        "-------------------  ------  -----",
        "/subscriptions/000…  web-01      4",
    ]


def test_columns_that_do_not_fit_are_left_out_and_marked():
    columns = table_of(**{f"column{number}": (Type.STRING, ["x" * 40]) for number in range(6)})
    view = lay_out(*columns, width=40)
    assert view.cut
    assert len(view.widths) == 3
    assert table_lines(columns, width=40)[0].endswith("  …")


def test_a_number_is_never_cut():
    columns = table_of(note=(Type.STRING, ["y" * 60]), total=(Type.LONG, [-9_223_372_036_854_775_808]))
    assert table_lines(columns, width=40)[2].endswith("  -9223372036854775808")


def test_rows_beyond_the_limit_are_not_shown():
    assert len(table_lines(MACHINES, limit=1)) == 3


def test_no_rows_still_show_the_columns():
    assert table_lines((MACHINES[0], MACHINES[1].slice(0, 0))) == ["name  cores  tags  created", "----  -----  ----  -------"]


def test_wide_characters_take_two_columns_and_marks_none():
    assert [display_width(text) for text in ("web", "東京", "e\u0301", "")] == [3, 4, 1, 0]
    columns = table_of(city=(Type.STRING, ["東京", "Zürich"]), n=(Type.INT, [1, 2]))
    assert table_lines(columns)[2:] == ["東京    1", "Zürich  2"]
    assert table_lines(table_of(city=(Type.STRING, ["東京都千代田区丸の内"])), width=10)[2] == "東京都千…"


@given(
    st.lists(st.lists(st.text(max_size=30), min_size=1, max_size=5), min_size=1, max_size=4).filter(
        lambda columns: len({len(column) for column in columns}) == 1
    ),
    st.integers(min_value=1, max_value=100),
)
def test_no_line_is_wider_than_the_terminal(columns, width):
    table = table_of(**{f"c{number}": (Type.STRING, values) for number, values in enumerate(columns)})
    narrowest = 4 if len(columns) > 1 else 1
    assert all(display_width(line) <= max(width, narrowest) for line in table_lines(table, width=width))


# JSON, CSV, Markdown


def test_json_lines_keep_every_digit_and_hold_dynamic_values_as_json():
    columns = table_of(
        big=(Type.LONG, [9_007_199_254_740_993]),
        at=(Type.DATETIME, [UNIX_EPOCH_TICKS + 1]),
        took=(Type.TIMESPAN, [15_000_000]),
        tags=(Type.DYNAMIC, ['{"a": 12345678901234567890}']),
        name=(Type.STRING, ['zwei\n"Zeilen"']),
        ok=(Type.BOOL, [True]),
        none=(Type.REAL, [None]),
    )
    assert "".join(json_lines(*columns)) == (
        '{"big": 9007199254740993, "at": "1970-01-01T00:00:00.0000001Z", "took": "00:00:01.5000000", '
        '"tags": {"a":12345678901234567890}, "name": "zwei\\n\\"Zeilen\\"", "ok": true, "none": null}\n'
    )


def test_json_is_one_array_however_many_batches_it_took():
    many = table_of(n=(Type.LONG, list(range(10_000))))
    chunks = list(json_chunks(*many))
    assert len(chunks) > 2
    assert json.loads("".join(chunks)) == [{"n": number} for number in range(10_000)]
    assert "".join(json_lines(*many)).count("\n") == 10_000


def test_json_of_no_rows_is_an_empty_array():
    assert "".join(json_chunks(*table_of(n=(Type.LONG, [])))) == "[]\n"


def test_csv_quotes_what_needs_it():
    columns = table_of(
        name=(Type.STRING, ["a,b", 'say "hi"', "two\nlines"]),
        power=(Type.DYNAMIC, ['"running"', '{"a": 1}', None]),
        ok=(Type.BOOL, [True, None, False]),
    )
    assert "".join(csv_chunks(*columns)) == 'name,power,ok\n"a,b",running,True\n"say ""hi""","{""a"":1}",\n"two\nlines",,False\n'


def test_csv_of_one_empty_column_has_no_blank_line():
    assert "".join(csv_chunks(*table_of(n=(Type.INT, [None, 1])))) == 'n\n""\n1\n'


@given(st.lists(st.tuples(st.text(), st.text()), max_size=5))
def test_csv_reads_back(rows):
    columns = table_of(first=(Type.STRING, [row[0] for row in rows]), second=(Type.STRING, [row[1] for row in rows]))
    text = "".join(csv_chunks(*columns))
    assert [tuple(row) for row in csv.reader(io.StringIO(text, newline=""))] == [("first", "second"), *rows]


def test_markdown_escapes_what_markdown_would_take_as_its_own():
    columns = table_of(
        name=(Type.STRING, ["a|b", "snake_case", "_it_", "<b>&amp;", "[x](y)", "two\nlines"]), n=(Type.INT, [1, 2, 3, 4, 5, None])
    )
    assert "".join(markdown_chunks(*columns)).splitlines() == [
        "| name | n |",
        "| --- | ---: |",
        "| a\\|b | 1 |",
        "| snake_case | 2 |",
        "| \\_it\\_ | 3 |",
        "| \\<b>\\&amp; | 4 |",
        "| [x\\](y) | 5 |",
        "| two<br>lines |  |",
    ]


# Parquet and Arrow


class Pipe(io.RawIOBase):
    """What a pipe is to a writer: it takes bytes and has no position."""

    def __init__(self) -> None:
        self.bytes = b""

    def write(self, data: object) -> int:
        self.bytes += bytes(data)
        return len(data)

    def writable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return False

    def tell(self) -> int:
        raise OSError("a pipe has no position")


def test_parquet_and_arrow_go_through_a_pipe_with_their_types():
    table = pa.table(
        {"n": pa.array([1, None], pa.int64()), "at": pa.array([datetime(2024, 1, 1, tzinfo=UTC), None], pa.timestamp("us", "UTC"))}
    )
    table = table.append_column("tags", pa.array(['{"a":1}', None], pa.json_(pa.string())))
    parquet, arrow = Pipe(), Pipe()
    write_parquet(table, parquet)
    write_arrow(table, arrow)
    assert pq.read_table(io.BytesIO(parquet.bytes)).equals(table)
    assert pa.ipc.open_stream(arrow.bytes).read_all().equals(table)
