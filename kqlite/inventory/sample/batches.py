"""Forms to record batches of a partition: what every row of the sample inventory has, whatever its type."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

import pyarrow as pa
import pyarrow.compute as pc

from kqlite.inventory.sample.columns import Draws, Escaped, Form, Maybe, array_of, constant, joined, leaf_at, shape_of
from kqlite.inventory.sample.fleets import TENANT, Group
from kqlite.inventory.shapes.batches import STRINGS, BatchBuilder, partition
from kqlite.inventory.shapes.resource_tables import HOT_LEAVES, KEY_COLUMN, SEQUENCE_COLUMN
from kqlite.inventory.shapes.shapes import hold, separate_members
from kqlite.language.schema import Partition, Shape

BLOCK = 8192
"""Machines, or other owners of rows, that are made at once."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Rows:
    """A block of rows of one type: string columns that are not `''`, and the forms of the dynamic ones."""

    count: int
    strings: Mapping[str, pa.Array | str]
    dynamics: Mapping[str, Form]


@dataclass(frozen=True, slots=True)
class Kind:
    """A resource type of the sample inventory.

    owners: how many things the rows are made for (machines, say); make: the blocks of rows of the owners numbered from `start` to `end`.
    """

    table: str
    type: str
    owners: int
    make: Callable[[int, int], Iterator[Rows]] = field(repr=False)

    def blocks(self) -> Iterator[Rows]:
        """All rows, a block at a time; blocks may be empty."""
        for start in range(0, self.owners, BLOCK):
            yield from self.make(start, min(start + BLOCK, self.owners))

    def shapes(self) -> dict[str, Shape]:
        """The shapes of the dynamic columns, hot leaves held beside."""
        first = next(self.make(0, min(BLOCK, self.owners)))
        return hold({name: shape_of(form) for name, form in first.dynamics.items()}, HOT_LEAVES.get(self.type, ()))

    def partition(self, source: str) -> Partition:
        return partition(source, self.shapes(), [self.type])


class Batches:
    """Record batches of one kind in the physical schema of its partition."""

    def __init__(self, kind: Kind) -> None:
        self._kind = kind
        self.shapes = kind.shapes()
        self.schema: pa.Schema = BatchBuilder(partition("", self.shapes, [kind.type])).schema

    def build(self, rows: Rows) -> pa.RecordBatch:
        columns = dict(self._columns(rows))
        return pa.RecordBatch.from_arrays([columns[name] for name in self.schema.names], schema=self.schema)

    def _columns(self, rows: Rows) -> Iterator[tuple[str, pa.Array]]:
        yield KEY_COLUMN, pc.ascii_lower(rows.strings["id"])
        yield SEQUENCE_COLUMN, constant(0, rows.count)
        strings = {"type": self._kind.type, "tenantId": TENANT} | dict(rows.strings)
        for name in STRINGS:
            value = strings.get(name, "")
            yield name, constant(value, rows.count) if isinstance(value, str) else value
        for name, shape in self.shapes.items():
            form = rows.dynamics[name]
            yield name, array_of(form, shape, rows.count)
            for path, leaf in separate_members(shape):
                assert leaf.held_in is not None
                yield leaf.held_in, leaf_at(form, path, rows.count)


class Spread:
    """Owners (fleets, groups) and the rows that belong to each: whatever is known of an owner, as a column of the rows."""

    def __init__(self, owners: Sequence[Any], index: pa.Array) -> None:
        self._owners = owners
        self.index = index

    def at(self, rows: pa.Array) -> "Spread":
        """The owners of these rows alone."""
        return Spread(self._owners, self.index.take(rows))

    def of(self, value: Callable[[Any], Any], type_: pa.DataType | None = None) -> pa.Array:
        """`value` of each row's owner. type_: needed where a whole block can be without a value."""
        return pa.array([value(owner) for owner in self._owners], type_).take(self.index)

    def one_of(self, count: int, values: Callable[[Any], Sequence[str]], which: pa.Array) -> pa.Array:
        """One of the `count` texts that each row's owner has."""
        texts = pa.array([text for owner in self._owners for text in values(owner)], pa.string())
        return texts.take(pc.add(pc.multiply(self.index, pa.scalar(count, pa.int32())), which.cast(pa.int32())))

    def texts(self, value: Callable[[Any], str | None]) -> pa.Array:
        return self.of(value, pa.string())

    def truths(self, value: Callable[[Any], bool]) -> pa.Array:
        return self.of(value, pa.bool_())


def group_columns(spread: Spread, group: Callable[[Any], Group]) -> dict[str, pa.Array | str]:
    """The columns that follow from the group in which a row lies."""
    return {
        "location": spread.texts(lambda owner: group(owner).location),
        "resourceGroup": spread.texts(lambda owner: group(owner).name.lower()),
        "subscriptionId": spread.texts(lambda owner: group(owner).subscription.id),
    }


def tags_form(spread: Spread, tags: Callable[[Any], Mapping[str, str] | None]) -> Maybe:
    """The column `tags`."""
    members: dict[str, Form] = {name: spread.texts(_tag(tags, name)) for name in TAG_NAMES}
    members["note"] = Escaped(members["note"])
    return Maybe(spread.truths(lambda owner: tags(owner) is not None), members)


def _tag(tags: Callable[[Any], Mapping[str, str] | None], name: str) -> Callable[[Any], str | None]:
    return lambda owner: (tags(owner) or {}).get(name)


TAG_NAMES = ("env", "application", "owner", "cost center", "created by", "autoShutdown", "build", "app.kubernetes.io/name", "note", "sla")

_GROUP_CASES = ((0, 84), (1, 12), (2, 4))
_PROVIDER_CASES = ((0, 96), (1, 4))


def ids(draws: Draws, purpose: str, spread: Spread, group: Callable[[Any], Group], provider: str, name: pa.Array) -> pa.Array:
    """Ids in the cases in which the service returns them: the group as it was made, in capitals or in small letters, the provider likewise.

    provider: such as `Microsoft.Compute/disks`.
    """
    prefix = spread.one_of(len(_GROUP_CASES), lambda owner: _prefixes(group(owner)), draws.choice(purpose + "group", _GROUP_CASES))
    providers = pa.array([f"/providers/{provider}/", f"/providers/{provider.lower()}/"])
    return joined(prefix, providers.take(draws.choice(purpose + "provider", _PROVIDER_CASES)), name)


def _prefixes(group: Group) -> tuple[str, str, str]:
    start = f"/subscriptions/{group.subscription.id}/resourceGroups/"
    return start + group.name, start + group.name.upper(), start + group.name.lower()
