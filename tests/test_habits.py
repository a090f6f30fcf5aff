"""Mistakes that people make who come from SQL or another language: each is answered in KQL."""

import pytest

import kqlite
from kqlite.language import habits
from kqlite.language.functions import FUNCTIONS

R = "resources | "
MISTAKES = [
    ("select name", "a query begins with its table: `resources | project name`"),
    ("select name from resources", "a query begins with its table: `resources | project name`"),
    (R + "select name", "`project` chooses columns"),
    (R + "SELECT name", "`project` chooses columns"),
    (R + "group by type", "`summarize .. by` groups"),
    (R + "summarize count() by type | having count_ > 1", "`where` after `summarize` chooses groups"),
    (R + "orderby name", "`order by` sorts"),
    (R + "drop name", "`project-away` leaves columns out"),
    (R + "head 5", "`take` gives some rows"),
    (R + "order by name descending", "`desc` sorts so"),
    (R + "project name as n", "a new name comes first: `n = name`"),
    (R + "where name = 'x'", "`==` compares"),
    (R + "where name == 'x' && location == 'y'", "`and` joins conditions"),
    (R + "where name == 'x' || location == 'y'", "`or` joins conditions"),
    (R + "where not name == 'x'", "`not(..)` negates"),
    (R + "where !(name == 'x')", "`not(..)` negates"),
    (R + "where name is null", "`isnull(x)`, `isnotnull(x)`, `isempty(x)` and `isnotempty(x)` ask for a missing value"),
    (R + "where tags != null", "`isnull(x)`, `isnotnull(x)`, `isempty(x)` and `isnotempty(x)` ask for a missing value"),
    (R + "where properties == None", "`isnull(x)`, `isnotnull(x)`, `isempty(x)` and `isnotempty(x)` ask for a missing value"),
    (R + "where name in ['a', 'b']", "a list stands in parentheses: `in ('a', 'b')`"),
    (R + "where name like '%web%'", "write `contains` or `matches regex`"),
    (R + "where contains(name, 'x')", "`contains` stands between two values: `name contains 'x'`"),
    (R + "where contians(name, 'x')", "did you mean `contains`?"),
    (R + "where timestamp > ago(7 days)", "a timespan is one word: `7d`, `12h`, `30m`"),
    (R + "summarize count(*) by type", "`count()` counts rows, `countif(condition)` some of them"),
    (R + "extend a = concat(name, location)", "`strcat()` does this"),
    (R + "extend a = length(name)", "`strlen()` does this"),
    (R + "extend a = lower(name)", "`tolower()` does this"),
    (R + "extend a = if(name == 'x', 1, 2)", "`iff()` does this"),
    (R + "summarize average(strlen(name))", "`avg()` does this"),
    (R + "where name == `x`", "a text stands in `'..'` or `\"..\"`, a name in `['..']`"),
    ("virtualmachines | count", "`resources | where type =~ 'microsoft.compute/virtualmachines'`"),
    ("VirtualMachine | count", "`resources | where type =~ 'microsoft.compute/virtualmachines'`"),
    ("let x = 5;", "a query follows: `let x = 5; print x`"),
    (R + "where name == 'x' then 1", "`iff(condition, value, otherwise)` chooses"),
]


@pytest.fixture(scope="module")
def connection() -> kqlite.Connection:
    return kqlite.connect_sample()


@pytest.mark.parametrize(("query", "hint"), MISTAKES)
def test_a_habit_is_answered_in_kql(connection: kqlite.Connection, query: str, hint: str) -> None:
    with pytest.raises(kqlite.KqlError) as caught:
        connection.query(query)
    assert hint in [diagnostic.hint for diagnostic in caught.value.diagnostics]


def test_what_hints_name_is_there() -> None:
    for name, known in habits.FUNCTIONS.items():
        assert FUNCTIONS.find(known) is not None, known
        assert FUNCTIONS.find(name) is None, name
