"""When the store is checkpointed and its tables are clustered anew: between two batches, as their feeder calls."""

import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Protocol

from kqlite.inventory.merging import Merged

CHECKPOINT_EVERY = timedelta(seconds=10)
CHECKPOINT_ROWS = 64_000
"""A checkpoint is due after so long, or after so many rows that were not updated in place."""

PATIENCE = timedelta(seconds=2)
RETRY_AFTER = timedelta(seconds=5)
"""How long a checkpoint waits for readers who are in its way, and for how long it is put off then."""

SHARE_REPLACED = 0.2
"""A table of which this share was replaced since it was clustered is clustered anew."""

FEWEST_ROWS = 10_000
"""A smaller table is read whole anyway."""


class Wear:
    """What changes did to the tables since the last checkpoint, and since each table was clustered.

    written: rows that were not updated in place, since the last checkpoint. replaced: by native table, rows that are not where clustering
    would have put them.
    """

    def __init__(self, replaced: Mapping[str, int]) -> None:
        self.changed = False
        self.written = 0
        self.replaced = defaultdict(int, replaced)

    def note(self, merged: Iterable[tuple[str, Merged]]) -> None:
        """What deliveries did, each with its native table."""
        self.changed = True
        for source, done in merged:
            self.written += done.deleted + done.inserted + done.appended
            if done.deleted or done.inserted:
                self.replaced[source] += max(done.deleted, done.inserted)

    def checkpointed(self) -> None:
        """Everything so far is in the file."""
        self.changed, self.written = False, 0

    def clustered(self, source: str) -> None:
        """The table was clustered."""
        self.changed = True
        self.replaced.pop(source, None)


class Store(Protocol):
    """What is needed of a store."""

    @property
    def wear(self) -> Wear: ...

    def checkpoint(self, patience: timedelta = ...) -> bool: ...

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
        return wear.changed and now >= self._not_before and (wear.written >= CHECKPOINT_ROWS or now >= self._due)

    def _checkpoint(self) -> bool:
        done = self._store.checkpoint(PATIENCE)
        if done:
            self._due = self._clock() + CHECKPOINT_EVERY.total_seconds()
        else:
            self._not_before = self._clock() + RETRY_AFTER.total_seconds()
        return done

    def _most_worn(self) -> str | None:
        for source, replaced in self._store.wear.replaced.items():
            if replaced >= FEWEST_ROWS * SHARE_REPLACED and replaced >= max(FEWEST_ROWS, self._store.rows_of(source)) * SHARE_REPLACED:
                return source
        return None
