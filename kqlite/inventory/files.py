"""Files into an inventory: JSON arrays, JSON lines, what `az graph query` prints, Parquet and Arrow. All of them, or nothing."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from kqlite.inventory.batches import Row, fault_of
from kqlite.inventory.documents import DocumentError, InventoryError, decode
from kqlite.inventory.rows import ENOUGH_ROWS, incoming
from kqlite.inventory.store import Store

if TYPE_CHECKING:
    import pyarrow as pa


def load_files(paths: Sequence[Path], store: Store, enough_rows: int = ENOUGH_ROWS) -> None:
    """Take the resources of files into a store. Raises InventoryError naming file, line and reason; the store is unchanged then."""
    store.load(incoming((row for path in paths for row in _rows(path)), enough_rows))


def _rows(path: Path) -> Iterator[Row]:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise InventoryError(f"{path}: {error.strerror}") from None
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        try:
            row = decode(line)
        except DocumentError as error:
            raise InventoryError(f"{path}:{number}: {error}") from None
        fault = fault_of(row)
        if fault is not None:
            raise InventoryError(f"{path}:{number}: {fault}")
        yield row


def read_table(path: Path) -> "pa.Table":
    """A user's own table from a Parquet or Arrow file. Raises InventoryError naming file and reason."""
    import pyarrow as pa

    try:
        if path.suffix in (".arrow", ".ipc", ".feather"):
            with pa.memory_map(str(path)) as source:
                return pa.ipc.open_file(source).read_all()
        from pyarrow import parquet

        return parquet.read_table(path)
    except (OSError, pa.ArrowException) as error:
        raise InventoryError(f"{path}: {error}") from None
