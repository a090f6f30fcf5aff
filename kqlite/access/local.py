"""How a connection reaches an inventory: one protocol, whether the store is in this process or another process holds it.

`LocalAccess` asks an engine over a store of this process. `sharing/` has the other two: `RemoteAccess` asks the process that holds a data
directory, and `DirectoryAccess` finds out which of both it has to be, again and again.
"""

import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from kqlite.directory.lock import Holder
from kqlite.engine import Engine, Snapshot, Store, utc_now
from kqlite.errors import InventoryError
from kqlite.language.binder import EVERYTHING, Scope
from kqlite.language.schema import Schema
from kqlite.parameters import Parameter
from kqlite.result import Result
from kqlite.running import Interruptible
from kqlite.stats import FeedStats, Stats

if TYPE_CHECKING:
    import pyarrow as pa

Watch = Callable[[Snapshot], AbstractContextManager[object]]
Interrupts = Callable[[Interruptible], AbstractContextManager[object]]


@dataclass(frozen=True, slots=True)
class Question:
    """A query and all that its answer depends on beside the inventory.

    now: what `now()` reads and ages are reckoned from; None is the inventory's own clock.
    """

    text: str
    parameters: Mapping[str, Parameter] = field(default_factory=dict)
    scope: Scope = EVERYTHING
    now: datetime | None = None


@dataclass(frozen=True, slots=True)
class Explained:
    """What a query is made into: the plan as text, the SQL of it, the columns of its answer."""

    plan: str
    sql: str
    schema: Schema


class Access(Protocol):
    """What a connection asks of an inventory. Threads may share it."""

    def query(self, question: Question, watch: Interrupts = nullcontext) -> Result:
        """The answer, on one snapshot. Raises KqlError. watch: entered with what the query is on, while it is, and may interrupt it."""

    def explain(self, question: Question) -> Explained:
        """What the query is made into, without running it. Raises KqlError."""

    def register(self, name: str, table: "pa.Table", load: bool, replace: bool) -> None:
        """Adds a table of the caller's. Raises InventoryError."""

    def wait_for(self, sequence: int, seconds: float) -> bool:
        """Whether the change of this sequence number is in, waiting so long for it; not at all where nothing can bring it."""

    def export(self, path: Path) -> int:
        """Writes every row into a file; how many there were. Raises InventoryError."""

    def stats(self) -> Stats:
        """What the inventory says of itself now."""

    def close(self) -> None:
        """Lets go of what is held."""


class Updater(Protocol):
    """What brings changes into a live store. Threads call it, several at once."""

    def refresh(self) -> None:
        """Bring in what is old enough by now; called before each query, so it returns quickly where there is nothing to do."""

    def wait_for(self, sequence: int, seconds: float) -> bool:
        """Whether the change of this sequence number is visible to a snapshot opened from now on, waiting so long for it."""

    def feed_stats(self) -> FeedStats:
        """How far it has come, and how fast it goes."""


class LocalAccess:
    """An inventory in this process.

    updater: what brings changes into the store; None where nothing does. holder: this process, where it has a data directory alone.
    """

    def __init__(
        self, store: Store, clock: Callable[[], datetime] = utc_now, updater: Updater | None = None, holder: Holder | None = None
    ) -> None:
        self._engine = Engine(store, clock)
        self._updater = updater
        self._holder = holder

    def query(self, question: Question, watch: Watch = nullcontext) -> Result:
        """See Access. watch: entered with the snapshot while the query is on it; may end it with `snapshot.interrupt()`."""
        # The time by which what is due is brought in: simulated time may go on by a minute before the first row is read.
        asked = None if self._updater is None else self._engine.clock()
        self._refresh()
        return self._engine.query(question.text, question.parameters, question.scope, now=question.now, asked=asked, watch=watch)

    def explain(self, question: Question) -> Explained:
        """See Access."""
        self._refresh()
        compiled = self._engine.explain(question.text, question.parameters, question.scope)
        return Explained(str(compiled.plan), compiled.sql, compiled.schema)

    def register(self, name: str, table: "pa.Table", load: bool, replace: bool) -> None:
        """See Access."""
        register = getattr(self._engine.store, "register", None)
        if register is None:
            raise InventoryError("tables given to `connect` are all that this connection has; register on `kqlite.connect()`")
        register(name, table, load=load, replace=replace)

    def wait_for(self, sequence: int, seconds: float) -> bool:
        """See Access."""
        if self._updater is not None:
            return self._updater.wait_for(sequence, seconds)
        with self._engine.store.snapshot() as snapshot:
            reached = snapshot.sequence
        return reached is not None and reached >= sequence

    def export(self, path: Path) -> int:
        """See Access."""
        from kqlite.inventory.imports.export import export
        from kqlite.inventory.store.snapshot import Snapshot as StoredSnapshot

        self._refresh()
        with self._engine.store.snapshot() as snapshot:
            assert isinstance(snapshot, StoredSnapshot)
            return export(snapshot, path)

    def stats(self) -> Stats:
        """See Access."""
        from kqlite.inventory.store.sizes import sizes

        self._refresh()
        with self._engine.store.snapshot() as snapshot:
            return Stats(
                self._engine.clock(),
                snapshot.watermark,
                snapshot.sequence,
                sizes(snapshot),
                None if self._updater is None else self._updater.feed_stats(),
                self._holder,
            )

    def close(self) -> None:
        """See Access."""
        self._engine.store.close()

    def _refresh(self) -> None:
        if self._updater is not None:
            self._updater.refresh()


def remaining(deadline: float) -> float:
    """Seconds until a time of the monotonic clock, never below 0."""
    return max(0.0, deadline - time.monotonic())
