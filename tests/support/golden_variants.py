"""A golden case asked in other words, which must not change its answer: other sources, and barriers that no rewrite may cross.

A case whose sources are datatables says nothing about tables of a store, for which the lowering has other ways. So each `datatable(..)` is
also a registered table, its dynamic columns as JSON text or as shapes; and a `take` of more rows than there are stands after every side of
a join and before every operator that folds, expands or unites rows.
"""

import dataclasses
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache

import pyarrow as pa

import kqlite
from kqlite.inventory.shapes.columns import array_of, marked_array
from kqlite.inventory.shapes.shapes import Draft, freeze, widen
from kqlite.language import parser, syntax

BARRIER = "take 1000000"
_FOLDING = (syntax.Join, syntax.Union, syntax.Summarize, syntax.MvExpand, syntax.Distinct, syntax.Count)


@dataclass(frozen=True)
class Variant:
    """The query in other words, and the tables that it names besides those of the case."""

    name: str
    query: str
    tables: Mapping[str, pa.Table]


def variants(query: str) -> Iterator[Variant]:
    """The variants of a query that parses; none where it has no source that can change and no operator of interest."""
    tree = parser.parse(query)
    nodes = list(_nodes(tree))
    if not any(isinstance(node, _FOLDING) for node in nodes):
        return
    sources = [node for node in nodes if isinstance(node, syntax.Datatable)]
    names = {node: f"source_{number}" for number, node in enumerate(sources)}
    barriers = list(_barriers(nodes))
    yield Variant("barriers", _edited(query, barriers), {})
    if not sources:
        return
    replaced = [(node.span.start, node.span.end, name) for node, name in names.items()]
    given = {name: _table(query[node.span.start : node.span.end]) for node, name in names.items()}
    yield Variant("registered", _edited(query, replaced), given)
    yield Variant("registered, barriers", _edited(query, replaced + barriers), given)
    yield Variant("shaped", _edited(query, replaced), {name: _shaped(table) for name, table in given.items()})


def _nodes(tree: object) -> Iterator[syntax.Node]:
    if isinstance(tree, tuple):
        for item in tree:
            yield from _nodes(item)
    elif isinstance(tree, syntax.Node):
        yield tree
        for field in dataclasses.fields(tree):
            yield from _nodes(getattr(tree, field.name))


def _barriers(nodes: list[syntax.Node]) -> Iterator[tuple[int, int, str]]:
    for node in nodes:
        if isinstance(node, syntax.Pipeline) and node.source is not None:
            for operator in node.operators:
                if isinstance(operator, _FOLDING):
                    yield operator.span.start, operator.span.start, f"{BARRIER} | "
        if isinstance(node, syntax.Join) and isinstance(node.right, syntax.Pipeline):
            yield node.right.span.end, node.right.span.end, f" | {BARRIER}"


def _edited(query: str, edits: list[tuple[int, int, str]]) -> str:
    for start, end, text in sorted(edits, key=lambda edit: (edit[0], edit[1]), reverse=True):
        query = query[:start] + text + query[end:]
    return query


@cache
def _table(datatable: str) -> pa.Table:
    """The rows of a datatable as an Arrow table; its datetimes and timespans keep microseconds, which no case goes below."""
    with kqlite.connect({}) as connection:
        return connection.query(datatable).to_arrow()


def _shaped(table: pa.Table) -> pa.Table:
    columns = {}
    for name, column in zip(table.column_names, table.columns, strict=True):
        if isinstance(column.type, pa.JsonType):
            values = [None if value is None else json.loads(value) for value in column.to_pylist()]
            draft = Draft()
            widen(draft, values)
            shape = freeze(draft)
            column = column if shape is None else marked_array(array_of(values, shape), shape)
        columns[name] = column
    return pa.table(columns)
