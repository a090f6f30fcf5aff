"""When the store is checkpointed and its tables are clustered anew: between two batches, as their feeder calls."""

import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Protocol

from kqlite.inventory.store.upsert import WrittenRows

CHECKPOINT_EVERY = timedelta(seconds=3)
CHECKPOINT_ROWS = 64_000
CHECKPOINT_RECORDS = 256_000
"""A checkpoint is due after so long, after so many rows that were not updated in place, or after so many that were appended."""

QUIET_ROWS = 1_000
MERGE_EVERY = timedelta(minutes=10)
"""What is appended between two checkpoints becomes a row group of its own. DuckDB merges small ones: it writes 200,000 records anew in
2 seconds, in which nothing can be applied. That is left to checkpoints before which fewer rows came; else one is made after so long."""

MERGES = 4
"""So many in one checkpoint, each of 350,000 rows at most; where more is to be merged, the next go on."""

PATIENCE = timedelta(seconds=2)
RETRY_AFTER = timedelta(seconds=5)
"""How long a checkpoint waits for readers who are in its way, and for how long it is put off then."""

SHARE_REPLACED = 0.2
"""A table of which this share was replaced since it was clustered is clustered anew."""

FEWEST_ROWS = 10_000
"""A smaller table is read whole anyway."""


class Wear:
    """What changes did to the tables since the last checkpoint, and since each table was clustered.

    written, appended: rows that were not updated in place, and records, since the last checkpoint. replaced: by native table, rows that are
    not where clustering would have put them.
    """

    def __init__(self, replaced: Mapping[str, int]) -> None:
        self.changed = False
        self.written = self.appended = 0
        self.replaced = defaultdict(int, replaced)

    def note(self, written: Iterable[tuple[str, WrittenRows]]) -> None:
        """What deliveries did, each with its native table."""
        self.changed = True
        for source, done in written:
            self.written += done.deleted + done.inserted
            self.appended += done.appended
            if done.deleted or done.inserted:
                self.replaced[source] += max(done.deleted, done.inserted)

    def checkpointed(self) -> None:
        """Everything so far is in the file."""
        self.changed, self.written, self.appended = False, 0, 0

    def clustered(self, source: str) -> None:
        """The table was clustered."""
        self.changed = True
        self.replaced.pop(source, None)


class Store(Protocol):
    """What is needed of a store."""

    @property
    def wear(self) -> Wear: ...

    def checkpoint(self, patience: timedelta = ..., merges: int = ...) -> bool: ...

    def rows_of(self, source: str) -> int: ...

    def cluster(self, source: str) -> None: ...


@dataclass(frozen=True)
class Done:
    """What was done at one time. checkpointed: None where no checkpoint was due, False where readers were in its way."""

    checkpointed: bool | None = None
    clustered: str | None = None


class Upkeep:
    """Checkpoints and clusters a store that is fed by changes.

    clock: seconds that never go back.
    """

    def __init__(self, store: Store, clock: Callable[[], float] = time.monotonic) -> None:
        self._store = store
        self._clock = clock
        self._due = clock() + CHECKPOINT_EVERY.total_seconds()
        self._not_before = clock()
        self._merge_due = clock() + MERGE_EVERY.total_seconds()

    def tick(self) -> Done:
        """Do what is due; called between two batches. Raises InventoryError where there is no room."""
        worn = self._most_worn()
        if worn is not None:
            self._store.cluster(worn)
        checkpointed = self._checkpoint() if worn is not None or self._checkpoint_is_due() else None
        return Done(checkpointed, worn)

    def _checkpoint_is_due(self) -> bool:
        wear = self._store.wear
        now = self._clock()
        is_much = wear.written >= CHECKPOINT_ROWS or wear.appended >= CHECKPOINT_RECORDS
        return wear.changed and now >= self._not_before and (is_much or now >= self._due)

    def _checkpoint(self) -> bool:
        wear = self._store.wear
        is_quiet = wear.written + wear.appended < QUIET_ROWS
        merges = MERGES if is_quiet else 1 if self._clock() >= self._merge_due else 0
        done = self._store.checkpoint(PATIENCE, merges)
        now = self._clock()
        if done:
            self._due = now + CHECKPOINT_EVERY.total_seconds()
        else:
            self._not_before = now + RETRY_AFTER.total_seconds()
        if done and merges:
            self._merge_due = now + MERGE_EVERY.total_seconds()
        return done

    def _most_worn(self) -> str | None:
        for source, replaced in self._store.wear.replaced.items():
            if replaced >= FEWEST_ROWS * SHARE_REPLACED and replaced >= max(FEWEST_ROWS, self._store.rows_of(source)) * SHARE_REPLACED:
                return source
        return None
