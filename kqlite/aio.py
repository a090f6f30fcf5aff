"""The connection for asyncio: nothing here blocks the loop, and a task that is cancelled ends its query.

>>> import asyncio
>>> async def count():
...     async with await connect() as connection:
...         return (await asyncio.wait_for(connection.query("print answer = 42"), 5)).to_pylist()
>>> asyncio.run(count())
[{'answer': 42}]

Queries run in threads of their own and not in the loop's: Python waits for those when the loop ends, whoever cancelled what ran there. So
`asyncio.wait_for(asyncio.to_thread(connection.query, ..))` leaves the query running, until `Connection.cancel` or `close` ends it.
"""

import asyncio
import threading
import time
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any, TypeVar

from kqlite import connection as blocking
from kqlite.access.local import Explained
from kqlite.language.binder import EVERYTHING, Scope
from kqlite.result import Result
from kqlite.stats import Stats

MOST_AT_ONCE = 32
"""Calls of one connection that run at the same time, each in a thread; further ones wait for their turn."""

_AGAIN_SECONDS = 0.05
T = TypeVar("T")


async def connect(data: Any = None, **options: Any) -> "AsyncConnection":
    """As `kqlite.connect`, for asyncio."""
    return AsyncConnection(await _in_a_thread(lambda: blocking.connect(data, **options), lambda _: None))


class AsyncConnection:
    """As `kqlite.Connection`, for the tasks of one event loop; each method says what it differs in."""

    def __init__(self, connection: blocking.Connection) -> None:
        self._connection = connection
        self._turns = asyncio.Semaphore(MOST_AT_ONCE)

    async def query(self, text: str, parameters: Mapping[str, object] | None = None, *, scope: Scope = EVERYTHING) -> Result:
        """The answer; where the task is cancelled, the query ends."""
        return await self._call(lambda: self._connection.query(text, parameters, scope=scope))

    async def compile(self, text: str, parameters: Mapping[str, object] | None = None, *, scope: Scope = EVERYTHING) -> Explained:
        """What a query is made into, without running it."""
        return await self._call(lambda: self._connection.compile(text, parameters, scope=scope))

    async def register(self, name: str, data: Any, *, load: bool = True, replace: bool = False) -> None:
        """Adds a table of the caller's; where the task is cancelled, it may be added or not."""
        await self._call(lambda: self._connection.register(name, data, load=load, replace=replace))

    async def wait_for(self, sequence: int, timeout: float = blocking.TIMEOUT) -> bool:  # what Connection has
        """Whether a change is visible to queries; a task that is cancelled leaves the waiting to end by itself."""
        return await self._call(lambda: self._connection.wait_for(sequence, timeout))

    async def stats(self) -> Stats:
        """How far the inventory has come."""
        return await self._call(self._connection.stats)

    def cancel(self) -> None:
        """End all queries that run, each with QueryCancelledError."""
        self._connection.cancel()

    async def close(self) -> None:
        """End all queries, each with ClosedError, and let go of the inventory."""
        await _in_a_thread(self._connection.close, lambda _: None)

    async def _call(self, work: Callable[[], T]) -> T:
        async with self._turns:
            return await _in_a_thread(work, self._connection.cancel_of)

    async def __aenter__(self) -> "AsyncConnection":
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        await self.close()


async def _in_a_thread(work: Callable[[], T], end: Callable[[int], None]) -> T:
    """What `work` gives, in a thread of its own. end: ends what runs in the thread with this number."""
    loop = asyncio.get_running_loop()
    outcome: asyncio.Future[T] = loop.create_future()

    def settle(result: T | None, error: BaseException | None) -> None:
        if outcome.done():
            return
        if error is None:
            outcome.set_result(result)  # type: ignore[arg-type]  # it is None only where T is
        else:
            outcome.set_exception(error)

    def run() -> None:
        result, failure = None, None
        try:
            result = work()
        except BaseException as error:  # whoever awaits it raises it
            failure = error
        if not loop.is_closed():
            loop.call_soon_threadsafe(settle, result, failure)

    thread = threading.Thread(target=run, name="kqlite-aio", daemon=True)
    thread.start()
    try:
        return await outcome
    except asyncio.CancelledError:
        threading.Thread(target=_end, args=(thread, end), name="kqlite-aio-ends", daemon=True).start()
        raise


def _end(thread: threading.Thread, end: Callable[[int], None]) -> None:
    # Again, since it may not have come to its query yet.
    while thread.is_alive():
        end(thread.ident or 0)
        time.sleep(_AGAIN_SECONDS)
