"""Record batches in a file, each found again by its place."""

from pathlib import Path
from typing import TYPE_CHECKING

from kqlite.inventory.shapes.documents import InventoryError

if TYPE_CHECKING:
    import pyarrow as pa

BatchLocation = tuple[int, int]
"""Offset and length of a batch."""


class SpillWriter:
    """Appends batches to a new file."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file = path.open("wb")
        self._length = 0

    def write(self, batch: "pa.RecordBatch") -> BatchLocation:
        """Append a batch. Raises InventoryError where there is no room."""
        message = batch.serialize()
        try:
            self._file.write(message)
        except OSError as error:
            raise _no_room(error) from None
        place = (self._length, message.size)
        self._length += message.size
        return place

    def close(self) -> None:
        """Let others read it. Raises InventoryError where there is no room."""
        try:
            self._file.close()
        except OSError as error:
            raise _no_room(error) from None


def _no_room(error: OSError) -> InventoryError:
    return InventoryError(f"no room for the documents while they are read: {error.strerror}")


class SpillReader:
    """Reads batches by their places."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("rb", buffering=0)

    def read(self, place: BatchLocation, schema: "pa.Schema") -> "pa.RecordBatch":
        import pyarrow as pa

        offset, length = place
        self._file.seek(offset)
        return pa.ipc.read_record_batch(pa.py_buffer(self._file.read(length)), schema)

    def close(self) -> None:
        self._file.close()
