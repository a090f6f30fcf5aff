"""The catalog of an inventory: immutable, one for each version of its schema, and its written form."""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

from kqlite.inventory.shapes.documents import InventoryError, Value
from kqlite.inventory.shapes.resource_tables import COLUMNS, RESOURCE_TABLES
from kqlite.inventory.shapes.shapes import from_json, to_json
from kqlite.language.schema import Partition, Table

_RESOURCE_TABLES = frozenset(RESOURCE_TABLES)


@dataclass(frozen=True)
class InventoryCatalog:
    """Tables and partitions as of one version. Names of resource tables ignore case, those of registered tables do not.

    resources: partitions by resource table; a resource table without any is empty, not unknown.
    registered: tables that a user gave, by exact name; one named as a resource table stands in its place.
    """

    version: int
    resources: Mapping[str, tuple[Partition, ...]]
    registered: Mapping[str, Table]

    def table(self, name: str) -> Table | None:
        if name in self.registered:
            return self.registered[name]
        folded = name.lower()
        if folded not in _RESOURCE_TABLES:
            return None
        replaced = next((table for given, table in self.registered.items() if given.lower() == folded), None)
        return replaced or Table(folded, COLUMNS, self.resources.get(folded, ()), scoped=True)

    def names(self) -> Iterator[str]:
        replaced = {name.lower() for name in self.registered}
        yield from (name for name in RESOURCE_TABLES if name not in replaced)
        yield from self.registered

    def partition(self, table: str, source: str) -> Partition | None:
        """The partition of a resource table whose native table is `source`."""
        return next((partition for partition in self.resources.get(table, ()) if partition.source == source), None)

    def with_partitions(self, changed: Iterable[tuple[str, Partition]]) -> "InventoryCatalog":
        """The same with partitions, each of the table named beside it, put in or replaced by source."""
        resources = dict(self.resources)
        for table, partition in changed:
            kept = {other.source: other for other in resources.get(table, ())}
            resources[table] = tuple((kept | {partition.source: partition}).values())
        return replace(self, resources=resources)


EMPTY = InventoryCatalog(0, {}, {})


def write_partitions(resources: Mapping[str, tuple[Partition, ...]]) -> str:
    """The resource tables' partitions as text, for the store's own table."""
    return json.dumps({table: [_to_json(partition) for partition in partitions] for table, partitions in resources.items()})


def read_partitions(text: str) -> dict[str, tuple[Partition, ...]]:
    """What `write_partitions` wrote."""
    return {table: tuple(map(_from_json, partitions)) for table, partitions in json.loads(text).items()}


def _to_json(partition: Partition) -> Value:
    return {
        "source": partition.source,
        "columns": dict(partition.columns),
        "shapes": {name: to_json(shape) for name, shape in partition.shapes.items()},
        "types": None if partition.types is None else sorted(partition.types),
    }


def _from_json(document: Value) -> Partition:
    types = document["types"]
    shapes = {name: from_json(shape) for name, shape in document["shapes"].items()}
    return Partition(document["source"], document["columns"], shapes, None if types is None else frozenset(types), row="rowid")


def same_name(catalog: InventoryCatalog, name: str) -> str | None:
    """The registered table that `name` would replace, or None; resource tables without rows may be replaced freely.

    Raises InventoryError where `name` is that of a resource table which has rows.
    """
    folded = name.lower()
    if folded in _RESOURCE_TABLES:
        if catalog.resources.get(folded):
            raise InventoryError(f"`{folded}` is a resource table of this inventory and has rows; register under another name")
        return next((given for given in catalog.registered if given.lower() == folded), None)
    return name if name in catalog.registered else None
