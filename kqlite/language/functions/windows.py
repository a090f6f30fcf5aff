"""Functions that depend on the rows around, in their order.

The second half is no KQL: what the others are made of, where one of them looks at what another one gives.
"""

from collections.abc import Sequence

from kqlite.language.functions.declare import (
    Custom,
    Example,
    Function,
    Parameter,
    Signature,
    anything,
    boolean,
    datetime,
    long,
    scalar,
    timespan,
)
from kqlite.language.plan import Scalar
from kqlite.language.schema import JSON, Shape
from kqlite.language.types import Type


def _of_first(types: Sequence[Type]) -> Type:
    return types[0]


def _form_of_first(arguments: Sequence[Scalar]) -> Shape:
    # With a value for where there is no row, both are JSON.
    return (arguments[0].form if len(arguments) < 3 else None) or JSON


row_number = scalar(
    Function(
        name="row_number",
        doc="The place of the row in the order of its table, from 1 or from where it is told; it begins anew where `restart` is true. "
        "Without an order, as the rows come.",
        signatures=(Signature((long("start"), boolean("restart")), Type.LONG, optional=2),),
        sql={"duckdb": Custom("row_number")},
        nullable=False,
        window=True,
        examples=(Example("row_number()", "1"), Example("row_number(7)", "7"), Example("row_number(0, true)", "0")),
        source="Kusto Query Language reference, row_number(); Resource Graph queries call it on rows in no order",
    )
)


def _neighbour(name: str, which: str) -> Function:
    return Function(
        name=name,
        doc=f"The value of a column in the row {which} this one, or `offset` rows {which} it; where there is none, `default` or null.",
        signatures=(
            Signature((anything("column"), Parameter("offset", Type.LONG, constant=True), anything("default")), _of_first, optional=2),
        ),
        sql={"duckdb": Custom(name)},
        window=True,
        shape=_form_of_first,
        examples=(Example(f"{name}(x)", "null", rows="5"), Example(f"{name}(x, 2, -1)", "-1", rows="5")),
        source=f"Kusto Query Language reference, {name}()",
    )


prev = scalar(_neighbour("prev", "before"))
next_ = scalar(_neighbour("next", "after"))

row_cumsum = scalar(
    Function(
        name="row_cumsum",
        doc="The sum of a column over the rows up to this one; it begins anew where `restart` is true.",
        signatures=tuple(
            Signature((Parameter("term", number), boolean("restart")), number, optional=1) for number in (Type.INT, Type.LONG, Type.REAL)
        ),
        sql={"duckdb": Custom("row_cumsum")},
        nullable=False,
        window=True,
        examples=(Example("row_cumsum(x)", "5", rows="5"), Example("row_cumsum(x, x > 0)", "1.5", rows="1.5")),
        source="Kusto Query Language reference, row_cumsum()",
    )
)


def _rank(name: str, doc: str) -> Function:
    return Function(
        name=name,
        doc=doc,
        signatures=(Signature((anything("term"), boolean("restart")), Type.LONG, optional=1),),
        sql={},
        nullable=False,
        window=True,
        examples=(Example(f"{name}(x)", "1", rows="'a'"), Example(f"{name}(x, true)", "1", rows="5")),
        source=f"Kusto Query Language reference, {name}()",
    )


row_rank_dense = scalar(
    _rank("row_rank_dense", "How many different values of a column have come up to this row; it begins anew where `restart` is true.")
)
row_rank_min = scalar(
    _rank("row_rank_min", "The place of the first of the rows that have the value of this one; it begins anew where `restart` is true.")
)

row_window_session = scalar(
    Function(
        name="row_window_session",
        doc="When the session of this row began: the next one begins where a time is further from the first than `max_from_first`, further "
        "from the one before than `max_between`, or where `restart` is true.",
        signatures=(
            Signature(
                (datetime("time"), timespan("max_from_first"), timespan("max_between"), boolean("restart")), Type.DATETIME, optional=1
            ),
        ),
        sql={"duckdb": Custom("row_window_session")},
        window=True,
        examples=(Example("row_window_session(datetime(2024-01-01), 1h, 5m)", "2024-01-01T00:00:00.0000000Z"),),
        source="Kusto Query Language reference, row_window_session()",
    )
)


# Parts of the above


def _part(name: str) -> Function:
    return Function(
        name=name,
        doc="",
        signatures=(Signature((anything("term"), anything("group")), Type.LONG, optional=2),),
        sql={"duckdb": Custom(name)},
        examples=(),
        source="",
        nullable=False,
        window=True,
    )


group_number = _part("group_number")
"""How many rows up to this one fulfil a condition."""

value_changed = _part("value_changed")
"""1 where the value is another than in the row before within the group, or there is none before; else 0."""

change_place = _part("change_place")
"""The number of the row within its group where the value is another than in the row before; else null."""

greatest_so_far = _part("greatest_so_far")
"""The greatest value of the rows up to this one within the group."""

sample_key = _part("sample_key")
"""A number by which the rows are in some order, the same one wherever a query reads these rows."""

PARTS = (group_number, value_changed, change_place, greatest_so_far, sample_key)
