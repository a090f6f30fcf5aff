"""Files into an inventory, all of them or nothing: JSON arrays, JSON lines, what `az graph query` prints, Parquet and Arrow."""

import warnings
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from contextlib import closing
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from kqlite.directory.data_directory import LOG, MANIFEST, DataDirectory
from kqlite.errors import InventoryError, InventoryWarning
from kqlite.gc_control import no_collection
from kqlite.inventory.imports.file_formats import Page, chunks
from kqlite.inventory.imports.in_memory import ENOUGH_ROWS, incoming
from kqlite.inventory.imports.prepared_files import prepared
from kqlite.inventory.imports.user_tables import read_table as read_table
from kqlite.inventory.shapes.batches import Row, fault_of, key_of, other_members
from kqlite.inventory.shapes.change_batches import Incoming
from kqlite.inventory.shapes.resource_tables import table_of
from kqlite.inventory.store.imports import Coverage
from kqlite.inventory.store.store import Store

Progress = Callable[[int, int], None]
"""Called now and then with how many documents are done, and how many there are, 0 while that is not known."""

_SMALL_BYTES = 1 << 22
"""Files that are smaller together are read at once: what the two passes save in memory is not worth their start."""

_NAMED = 5
"""As many files or members are named in a notice."""


def _silent(done: int, total: int) -> None:
    pass


def load_files(
    paths: Sequence[Path],
    store: Store,
    progress: Progress = _silent,
    enough_rows: int = ENOUGH_ROWS,
    scratch: Path | None = None,
    *,
    as_of: datetime | None = None,
    replaces: Coverage | None = None,
) -> int:
    """Take the resources of files into a store; how many documents there were.

    Of two rows of one id that of the later time stays. Within the files that is the row of the file that was written later; in the store it
    is the row of the later import, whose time is that of its oldest file.

    Args:
        paths: Files as `prepared_files` takes them; `-` is standard input.
        store: What takes them.
        progress: Told how far it has come.
        enough_rows: How many rows of a type make a partition of its own.
        scratch: A folder for what does not fit in memory.
        as_of: The time of which the rows are, in place of that of the oldest file.
        replaces: What of the inventory the files cover: what is stored of it, and is not in them, is deleted.

    Warns:
        InventoryWarning: Pages are missing, two documents have one id, or members are no columns; everything is in the store all the same.

    Raises:
        InventoryError: Names file, place and reason; the store is unchanged then.
    """
    pages: list[Page] = []
    with TemporaryDirectory(dir=scratch, ignore_cleanup_errors=True) as folder, prepared(paths, Path(folder)) as ready:
        facts = [path.stat() for path in ready]
        names = dict(zip(ready, paths, strict=True))
        ready.sort(key=lambda path: path.stat().st_mtime_ns)
        time = as_of or datetime.fromtimestamp(min(fact.st_mtime for fact in facts), UTC)
        if sum(fact.st_size for fact in facts) > _SMALL_BYTES:
            load = partial(store.load, as_of=time, replaces=replaces)
            count, superseded, others = _load_in_two_passes(ready, store, load, progress, enough_rows, Path(folder), pages)
        else:
            rows = [row for path in ready for row in _rows(path, pages)]
            _refuse_nothing(rows, replaces)
            ordered = incoming(rows, enough_rows, store.shaped_types())
            if store.is_new:
                store.hold(ordered, time)
            else:
                store.load(ordered, as_of=time, replaces=replaces)
            count, superseded = len(rows), len(rows) - len({(table_of(row["type"]), key_of(row["id"])) for row in rows})
            others = {name for row in rows for name in other_members(row) or ()}
    for text in (*_missing_pages(pages, names), *_oddities(count, superseded, others)):
        warnings.warn(text, InventoryWarning, stacklevel=2)
    return count


def _missing_pages(pages: Sequence[Page], names: Mapping[Path, Path]) -> Iterator[str]:
    """What is told of answers that are not whole, also together."""
    by_total: dict[int | None, list[Page]] = defaultdict(list)
    for page in pages:
        by_total[page.total].append(page)
    for total, alike in by_total.items():
        rows = sum(page.rows for page in alike)
        files = _listed(dict.fromkeys(str(names[page.path]) for page in alike))
        more = "export the pages after it too (`--skip-token` of `az graph query`) and read all of them together"
        if total is not None and rows < total:
            yield f"{files}: {rows:,} of {total:,} records; {more}"
        elif total is None and all(page.has_more for page in alike):
            yield f"{files}: not the last page of an answer; {more}"


def _oddities(count: int, superseded: int, others: Set[str]) -> Iterator[str]:
    if superseded:
        documents = "1 document has" if superseded == 1 else f"{superseded:,} documents have"
        yield f"{documents} the id of a later one, which is kept (ids are compared without case); {count - superseded:,} resources"
    if others:
        are = "is no column" if len(others) == 1 else "are no columns"
        yield (
            f"{_listed(sorted(others))} {are} of a resource table, so no query sees {'it' if len(others) == 1 else 'them'}; "
            "`project` without them keeps `properties` whole, and Connection.register makes a table of any file"
        )


def _listed(names: Iterable[str]) -> str:
    listed = list(names)
    shown = ", ".join(listed[:_NAMED])
    return f"{shown} and {len(listed) - _NAMED:,} others" if len(listed) > _NAMED else shown


def _refuse_nothing(rows: Sequence[Row], replaces: Coverage | None) -> None:
    if replaces is not None and not rows:
        raise InventoryError("no documents in these files, so nothing is replaced")


def _rows(path: Path, pages: list[Page]) -> Iterator[Row]:
    for chunk in chunks(path, pages):
        for index, row in enumerate(chunk.values):
            fault = fault_of(row)
            if fault is not None:
                raise chunk.fault(index, fault)
            yield row


def _load_in_two_passes(
    paths: Sequence[Path],
    store: Store,
    load: Callable[[list[Incoming]], None],
    progress: Progress,
    enough_rows: int,
    folder: Path,
    pages: list[Page],
) -> tuple[int, int, set[str]]:
    """How many documents there were, how many a later one of their id replaces, and their members that are no columns."""
    from kqlite.inventory.imports.run_merge import RunMerge
    from kqlite.inventory.imports.worker_processes import read_runs

    with no_collection():
        runs = read_runs(paths, folder, lambda done: progress(done, 0), pages=pages)
        run_merge = RunMerge(runs, lambda done: progress(done, run_merge.count))
        with closing(run_merge):
            load(run_merge.incoming(enough_rows, store.shaped_types()))
            return run_merge.count, run_merge.superseded, run_merge.others


def import_files(
    paths: Sequence[Path],
    directory: Path,
    progress: Progress = _silent,
    enough_rows: int = ENOUGH_ROWS,
    *,
    as_of: datetime | None = None,
    replaces: Coverage | None = None,
) -> int:
    """Take the resources of files into a data directory, made where there is none; how many documents there were.

    The arguments are those of `load_files`. Raises InventoryError as it does, and where the directory holds the inventory of a simulation;
    the directory is unchanged then, or not there.
    """
    if (directory / LOG).exists():
        raise InventoryError(f"{directory}: the inventory of a simulation, which its log makes; import into another directory")
    is_new = not (directory / MANIFEST).exists()
    held = DataDirectory.open_or_create(directory)
    try:
        store = Store.open(held)
        try:
            return load_files(paths, store, progress, enough_rows, held.scratch, as_of=as_of, replaces=replaces)
        finally:
            store.close()
    except BaseException:
        if is_new:
            held.remove()
        raise
