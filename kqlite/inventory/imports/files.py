"""Files into an inventory, all of them or nothing: JSON arrays, JSON lines, what `az graph query` prints, Parquet and Arrow."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

from kqlite.directory.data_directory import MANIFEST, DataDirectory
from kqlite.gc_control import no_collection
from kqlite.inventory.imports.file_formats import chunks
from kqlite.inventory.imports.in_memory import ENOUGH_ROWS, incoming
from kqlite.inventory.imports.user_tables import read_table as read_table
from kqlite.inventory.shapes.batches import Row, fault_of
from kqlite.inventory.shapes.documents import InventoryError
from kqlite.inventory.store.store import Store

Progress = Callable[[int, int], None]
"""Called now and then with how many documents are done, and how many there are, 0 while that is not known."""

_SMALL_BYTES = 1 << 22
"""Files that are smaller together are read at once: what the two passes save in memory is not worth their start."""


def _silent(done: int, total: int) -> None:
    pass


def load_files(
    paths: Sequence[Path], store: Store, progress: Progress = _silent, enough_rows: int = ENOUGH_ROWS, scratch: Path | None = None
) -> int:
    """Take the resources of files into a store; how many documents there were.

    A row replaces the one of the same id, in the store and in files before. The watermark is the time when the oldest file was written.
    enough_rows: how many rows of a type make a partition of its own. scratch: a folder for what does not fit in memory.
    Raises InventoryError naming file, place and reason; the store is unchanged then.
    """
    try:
        facts = [path.stat() for path in paths]
    except OSError as error:
        raise InventoryError(f"{error.filename}: {error.strerror}") from None
    written = datetime.fromtimestamp(min(fact.st_mtime for fact in facts), UTC)
    if sum(fact.st_size for fact in facts) > _SMALL_BYTES:
        return _load_in_two_passes(paths, store, written, progress, enough_rows, scratch)
    rows = [row for path in paths for row in _rows(path)]
    store.hold(incoming(rows, enough_rows, store.shaped_types()), written)
    return len(rows)


def _rows(path: Path) -> Iterator[Row]:
    for chunk in chunks(path):
        for index, row in enumerate(chunk.values):
            fault = fault_of(row)
            if fault is not None:
                raise chunk.fault(index, fault)
            yield row


def _load_in_two_passes(
    paths: Sequence[Path], store: Store, written: datetime, progress: Progress, enough_rows: int, scratch: Path | None
) -> int:
    from kqlite.inventory.imports.run_merge import Gathering
    from kqlite.inventory.imports.worker_processes import taken

    with TemporaryDirectory(dir=scratch, ignore_cleanup_errors=True) as folder, no_collection():
        gathering = Gathering(taken(paths, Path(folder), lambda done: progress(done, 0)), lambda done: progress(done, gathering.count))
        with closing(gathering):
            store.load(gathering.incoming(enough_rows, store.shaped_types()), written)
            return gathering.count


def import_files(paths: Sequence[Path], directory: Path, progress: Progress = _silent, enough_rows: int = ENOUGH_ROWS) -> int:
    """Take the resources of files into a data directory, made where there is none; how many documents there were.

    Raises InventoryError as `load_files` does; the directory is unchanged then, or not there.
    """
    is_new = not (directory / MANIFEST).exists()
    held = DataDirectory.open_or_create(directory)
    try:
        store = Store.open(held)
        try:
            return load_files(paths, store, progress, enough_rows, held.scratch)
        finally:
            store.close()
    except BaseException:
        if is_new:
            held.remove()
        raise
