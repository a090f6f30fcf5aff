"""Whether two answers to one question are equal."""

import json
from typing import Any

import pyarrow as pa
from questions import Question


def difference(question: Question, kqlite: pa.Table, by_hand: pa.Table) -> str | None:
    """What is not the same, or None: the rows as a multiset, and where the question sorts, the sorted columns row by row.

    JSON text is compared by what it says, null members left out.
    """
    if kqlite.num_rows != by_hand.num_rows:
        return f"{kqlite.num_rows} rows by kqlite, {by_hand.num_rows} by hand"
    if kqlite.num_columns != by_hand.num_columns:
        return f"columns {kqlite.column_names} by kqlite, {by_hand.column_names} by hand"
    parsed = {*question.documents, *question.values}
    left = pa.table([_comparable(kqlite[name], name in parsed) for name in kqlite.column_names], kqlite.column_names)
    right = pa.table(
        [
            _comparable(column, name in question.documents).cast(left[name].type)
            for name, column in zip(kqlite.column_names, by_hand.columns, strict=True)
        ],
        kqlite.column_names,
    )
    for name in question.ordered_by:
        if left[name] != right[name]:
            return f"the order by {name}"
    every = [(name, "ascending") for name in left.column_names]
    return _first_difference(left.sort_by(every), right.sort_by(every))


def _comparable(column: pa.ChunkedArray, json_text: bool) -> pa.ChunkedArray:
    if json_text:
        return pa.chunked_array([[_normal(text) for text in column.to_pylist()]], pa.string())
    return column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column


def _normal(text: str | None) -> str | None:
    """The same text for the same JSON value. A string stands as itself, for the side that has it as plain text."""
    if text is None:
        return None
    value = _without_nulls(json.loads(text))
    return value if isinstance(value, str) else json.dumps(value, sort_keys=True)


def _without_nulls(value: Any) -> Any:  # Any: JSON has every type
    match value:
        case dict():
            return {name: _without_nulls(member) for name, member in value.items() if member is not None}
        case list():
            return [_without_nulls(element) for element in value]
        case _:
            return value


def _first_difference(left: pa.Table, right: pa.Table) -> str | None:
    for name in left.column_names:
        if left[name] != right[name]:
            pairs = enumerate(zip(left[name].to_pylist(), right[name].to_pylist(), strict=True))
            row, (ours, theirs) = next((row, pair) for row, pair in pairs if pair[0] != pair[1])
            return f"row {row} of the sorted answers, column {name}: {ours!r} by kqlite, {theirs!r} by hand"
    return None
