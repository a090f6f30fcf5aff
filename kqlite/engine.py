"""A query's whole way: text, syntax tree, plan, SQL, Arrow. Whoever reads this function knows how kqlite answers."""

import sys
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from datetime import UTC, datetime
from time import perf_counter
from typing import TYPE_CHECKING, Protocol

from kqlite.dialects.duckdb.compile import Compiled, compile_plan
from kqlite.errors import InternalError
from kqlite.language import rules
from kqlite.language.binder import EVERYTHING, Look, Scope, bind
from kqlite.language.parser import parse
from kqlite.language.plan import Plan
from kqlite.language.schema import Catalog
from kqlite.language.types import Type
from kqlite.parameters import NOW, Parameter, ParameterError, parameter_name, ticks_of, typed, variable
from kqlite.result import Result, SnapshotInfo

if TYPE_CHECKING:
    import pyarrow as pa

CACHED_PLANS = 256
_DEEP = 20_000
"""Python frames that the deepest query the parser lets through can need, with room to spare."""

_OUR_FAULTS = (ArithmeticError, AssertionError, AttributeError, LookupError, RecursionError, TypeError, ValueError)
"""What a mistake in the making of SQL raises; not all exceptions, since a signal's handler may raise one there."""


class Snapshot(Protocol):
    """What the engine needs of a snapshot; `kqlite.inventory` has it. most_bytes: the size of an answer that may not be passed."""

    most_bytes: int | None

    @property
    def catalog(self) -> Catalog: ...

    @property
    def watermark(self) -> datetime | None: ...

    @property
    def sequence(self) -> int | None: ...

    def interrupt(self) -> None: ...

    def run(self, sql: str, parameters: Mapping[str, object] | None = None) -> "pa.Table": ...


class Store(Protocol):
    """Where snapshots come from: the DuckDB store, or Arrow tables in place."""

    def snapshot(self) -> AbstractContextManager[Snapshot]: ...

    def close(self) -> None: ...


def utc_now() -> datetime:
    return datetime.now(UTC)


class Engine:
    """Answers queries over one store. Threads may share it.

    clock: gives the time that `now()` and the age of an answer are reckoned from, aware and UTC.
    """

    def __init__(self, store: Store, clock: Callable[[], datetime] = utc_now):
        self.store = store
        self.clock = clock
        self._plans: OrderedDict[object, Compiled] = OrderedDict()
        self._lock = threading.Lock()

    def query(
        self,
        text: str,
        parameters: Mapping[str, object] | None = None,
        scope: Scope = EVERYTHING,
        *,
        now: datetime | None = None,
        asked: datetime | None = None,
        watch: Callable[[Snapshot], AbstractContextManager[object]] = nullcontext,
    ) -> Result:
        """The answer to a query, all of it on one snapshot.

        parameters: values that the query refers to by name. scope: what the caller may see. now: instead of the clock's time.
        asked: the clock's time when it was asked for; where more has come in since, it is the watermark.
        watch: entered with the snapshot while the query is on it. Raises KqlError, and InternalError where it is right and cannot be run.
        """
        started = perf_counter()
        values = typed(parameters or {})
        sql = ""
        try:
            with self.store.snapshot() as snapshot, watch(snapshot):
                now = now or self._time(asked, snapshot.watermark)
                run = _runner(snapshot, values, scope, now)
                compiled = self.compile(text, snapshot.catalog, {name: value.type for name, value in values.items()}, scope, run)
                sql = compiled.sql
                table = run(compiled)
                info = SnapshotInfo(snapshot.catalog.version, snapshot.watermark, now, snapshot.sequence)
        except InternalError as error:
            raise InternalError(error.reason, text, sql) from error.__cause__
        return Result(table, compiled.schema, compiled.shapes, info, perf_counter() - started, compiled.plan.chart)

    def explain(self, text: str, parameters: Mapping[str, object], scope: Scope = EVERYTHING) -> Compiled:
        """What a query is made into on the snapshot of now, without running it."""
        values = typed(parameters)
        with self.store.snapshot() as snapshot:
            run = _runner(snapshot, values, scope, self.clock())
            return self.compile(text, snapshot.catalog, {name: value.type for name, value in values.items()}, scope, run)

    def _time(self, asked: datetime | None, watermark: datetime | None) -> datetime:
        if asked is None:
            return self.clock()
        return asked if watermark is None else max(asked, watermark)

    def compile(
        self, text: str, catalog: Catalog, parameters: Mapping[str, Type], scope: Scope = EVERYTHING, run: "Run | None" = None
    ) -> Compiled:
        """The SQL of a query against a catalog. Neither `now`, nor the scope's values, nor a parameter's value is part of it.

        run: runs a query, for those whose columns depend on the rows; such a one is compiled anew each time.
        """
        key = (text, catalog.version, tuple(sorted(parameters.items(), key=lambda item: item[0])), scope.restrictions())
        with self._lock:
            cached = self._plans.get(key)
            if cached is not None:
                self._plans.move_to_end(key)
                return cached
        looks = 0

        def look(found: Plan) -> list[tuple[object, ...]]:
            nonlocal looks
            looks += 1
            assert run is not None
            columns = run(compile_plan(rules.apply(found))).columns
            return list(zip(*(column.to_pylist() for column in columns), strict=True))

        try:
            compiled = _compile(text, catalog, parameters, scope, None if run is None else look)
        except _OUR_FAULTS as error:
            raise InternalError(f"{type(error).__name__}: {error}", text) from error
        if looks:
            return compiled
        with self._lock:
            self._plans[key] = compiled
            while len(self._plans) > CACHED_PLANS:
                self._plans.popitem(last=False)
        return compiled


Run = Callable[[Compiled], "pa.Table"]
"""Runs a query on the snapshot against which it was compiled."""


def _runner(snapshot: Snapshot, values: Mapping[str, Parameter], scope: Scope, now: datetime) -> Run:
    """Runs queries on a snapshot, with the values that they mention."""
    bound: dict[str, object] = {NOW: ticks_of(now), **scope.variables()}
    bound.update((variable(name), value.bound) for name, value in values.items())

    def run(compiled: Compiled) -> "pa.Table":
        missing = sorted(name for name in compiled.variables if name not in bound)
        if missing:
            raise ParameterError(f"the query wants a value for {', '.join(f'`{parameter_name(name)}`' for name in missing)}")
        return snapshot.run(compiled.sql, {name: bound[name] for name in compiled.variables})

    return run


def _compile(text: str, catalog: Catalog, parameters: Mapping[str, Type], scope: Scope, look: Look | None) -> Compiled:
    try:
        return _compile_once(text, catalog, parameters, scope, look)
    except RecursionError:
        with _deeper_recursion():
            return _compile_once(text, catalog, parameters, scope, look)


def _compile_once(text: str, catalog: Catalog, parameters: Mapping[str, Type], scope: Scope, look: Look | None) -> Compiled:
    query = parse(text)
    plan = bind(text, query, catalog, scope, parameters, look)
    return compile_plan(rules.apply(plan))


@contextmanager
def _deeper_recursion() -> Iterator[None]:
    """The parser bounds the depth of a query, and with it what the recursive stages behind it need."""
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(max(before, _DEEP))
    try:
        yield
    finally:
        sys.setrecursionlimit(before)
