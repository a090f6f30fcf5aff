"""Tables that a user gives, as a query sees them: under an exact name, or in the place of a resource table."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from kqlite.inventory.shapes.arrow_types import Normalised
from kqlite.inventory.shapes.resource_tables import COLUMNS, RESOURCE_TABLES
from kqlite.inventory.shapes.sql_text import identifier
from kqlite.language.schema import Partition, Schema, Table


class Cursor(Protocol):
    """What this module needs of a DuckDB cursor."""

    def register(self, view_name: str, python_object: object) -> Any: ...  # Any: the cursor again

    def execute(self, query: str) -> Any: ...


_MOST_TYPES = 1_000
"""A resource table of more types than this is not pruned by them."""


def resource_schema(name: str) -> Schema | None:
    """The columns of a resource table, or None where `name` is not one."""
    return COLUMNS if name.lower() in RESOURCE_TABLES else None


def registered_source(name: str, number: int) -> str:
    """The native table or view of a registered table. No two have the same number. No identifier can have a NUL, but a name can."""
    return f"{name.replace(chr(0), '')}#{number}"


def table_of(name: str, given: Normalised, source: str) -> Table:
    """The table that a query sees, over one native table or view; a resource table keeps its columns, with any further ones after them."""
    known = resource_schema(name)
    if known is None:
        return Table(name, given.columns, (Partition(source, given.physical, given.shapes),))
    columns = Schema((*known, *(column for column in given.columns if known.find(column.name) is None)))
    return Table(name.lower(), columns, (Partition(source, given.physical, given.shapes, _types(given)),), scoped=True)


def _types(given: Normalised) -> frozenset[str] | None:
    column = given.physical.get("type")
    if column is None:
        return frozenset({""})
    distinct = given.table.column(column).unique()
    return frozenset(value or "" for value in distinct.to_pylist()) if len(distinct) <= _MOST_TYPES else None


def show(cursor: Cursor, source: str, given: Normalised) -> None:
    """Make a table that stays in Arrow readable on this cursor, to which alone it then belongs."""
    cursor.register(f"{source}#arrow", given.table)
    cursor.execute(f"CREATE TEMP VIEW {identifier(source)} AS {given.select(f'{source}#arrow')}")


@dataclass(frozen=True)
class Registry:
    """The tables that were registered with a store, as of one moment.

    in_place: those that stay in Arrow, by the name of their view.
    changes: how many registrations led here.
    """

    tables: Mapping[str, Table] = field(default_factory=dict)
    in_place: Mapping[str, Normalised] = field(default_factory=dict)
    changes: int = 0

    def with_table(self, name: str, table: Table, given: Normalised | None, old: str | None) -> "Registry":
        """The same with one more; given: where it stays in Arrow; old: the name that it replaces."""
        tables = {other: kept for other, kept in self.tables.items() if other != old}
        in_place = {source: kept for source, kept in self.in_place.items() if source not in self._sources(old)}
        if given is not None:
            in_place[table.partitions[0].source] = given
        return Registry(tables | {name: table}, in_place, self.changes + 1)

    def _sources(self, name: str | None) -> list[str]:
        return [] if name is None else [partition.source for partition in self.tables[name].partitions]

    def loaded(self, name: str | None) -> list[str]:
        """The native tables of the registered table `name`."""
        return [source for source in self._sources(name) if source not in self.in_place]

    def show(self, cursor: Cursor) -> None:
        """Make the tables that stay in Arrow readable on this cursor."""
        for source, given in self.in_place.items():
            show(cursor, source, given)
