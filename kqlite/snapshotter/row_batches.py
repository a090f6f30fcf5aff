"""Rows of one type to record batches: the shapes that cover them, as far as rows were seen."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import TYPE_CHECKING

from kqlite.inventory.shapes.batches import BatchBuilder, Drafts, partition
from kqlite.inventory.shapes.columns import array_of
from kqlite.inventory.shapes.documents import Value
from kqlite.inventory.shapes.known_shapes import KNOWN_SHAPES
from kqlite.inventory.shapes.resource_tables import CHANGED_COLUMN, HOT_LEAVES, KEY_COLUMN, SEQUENCE_COLUMN
from kqlite.inventory.shapes.shapes import from_json, hot_column, separate_members, thaw
from kqlite.snapshotter.resource_rows import Row

if TYPE_CHECKING:
    import pyarrow as pa

_MOST_TEMPLATES = 100_000


class Shaper:
    """Makes the batches of one type, folded. Its shapes begin with what is known ahead, and widen with the rows that it is shown."""

    def __init__(self, resource_type: str) -> None:
        self.resource_type = resource_type
        self.types = frozenset({resource_type})
        self._templates: set[Hashable] = set()
        self._drafts = Drafts({name: thaw(from_json(shape)) for name, shape in KNOWN_SHAPES.get(resource_type, {}).items()})
        self._renew()

    def _renew(self) -> None:
        self.shapes = self._drafts.shapes(self.resource_type)
        self._builder = BatchBuilder(partition("", self.shapes, self.types))
        self.schema = self._builder.schema
        held = {".".join((column, *path)): leaf.shape for column, shape in self.shapes.items() for path, leaf in separate_members(shape)}
        self._hot = [(hot_column(path), held[path]) for path in HOT_LEAVES.get(self.resource_type, ())]

    def rows(self, rows: Sequence[Row], sequences: Sequence[int], templates: Sequence[Hashable | None]) -> pa.RecordBatch:
        """A batch of whole rows.

        templates: for each row what its shape follows from, which need be looked at once; None where the row itself must be.
        """
        known = self._templates
        unseen = {template: row for row, template in zip(rows, templates, strict=True) if template not in known and template is not None}
        fresh = [*unseen.values(), *(row for row, template in zip(rows, templates, strict=True) if template is None)]
        if fresh:
            self._drafts.widen(fresh)
            if self._drafts.shapes(self.resource_type) != self.shapes:
                self._renew()
            if len(known) > _MOST_TEMPLATES:
                known.clear()
            known.update(unseen)
        return self._builder.build(rows, sequences)

    def hot_updates(
        self, keys: Sequence[str], sequences: Sequence[int], leaves: Sequence[tuple[Value, ...]], changed: Sequence[int | None]
    ) -> pa.RecordBatch:
        """A batch of hot leaves, those of each key in the order of `tables.HOT_LEAVES`.

        changed: for each key a bit for each of them, set where it may be another than before; None where nobody knows.
        """
        import pyarrow as pa

        arrays = {KEY_COLUMN: pa.array(keys, pa.string()), SEQUENCE_COLUMN: pa.array(sequences, pa.int64())}
        for (column, shape), values in zip(self._hot, zip(*leaves, strict=True), strict=True):
            arrays[column] = array_of(values, shape)
        if None not in changed:
            arrays[CHANGED_COLUMN] = pa.array(changed, pa.int64())
        return pa.RecordBatch.from_arrays(list(arrays.values()), list(arrays))
