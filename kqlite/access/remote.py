"""Asks the process that holds a data directory."""

import json
import threading
import time
import uuid
from collections.abc import Callable
from contextlib import nullcontext, suppress
from pathlib import Path
from typing import Any, TypeVar

import pyarrow as pa
from pyarrow import flight

from kqlite.access import protocol
from kqlite.access.local import Explained, Interrupts, Question
from kqlite.access.sockets import location
from kqlite.errors import InventoryError
from kqlite.result import Result
from kqlite.stats import Stats, from_json

_HELLO_SECONDS = 5.0
_OPTIONS = [
    # A channel of another holder at the same path would otherwise hand on its pause before it connects again.
    ("grpc.use_local_subchannel_pool", 1),
]
T = TypeVar("T")


class Gone(Exception):
    """The holder does not answer: it has ended, most likely."""


class RemoteAccess:
    """An inventory that another process holds, whose socket this is. Raises Gone, here and below."""

    def __init__(self, socket: Path) -> None:
        self._client = flight.FlightClient(location(socket), generic_options=_OPTIONS)
        try:
            self._call("hello", _HELLO_SECONDS)
        except BaseException:
            self.close()
            raise

    def query(self, question: Question, watch: Interrupts = nullcontext) -> Result:
        """See Access."""
        started = time.perf_counter()
        name = uuid.uuid4().hex
        ticket = flight.Ticket(protocol.request(name=name, question=protocol.question_to_json(question)))

        def ask() -> pa.Table:
            return self._client.do_get(ticket, flight.FlightCallOptions(timeout=protocol.CALL_SECONDS)).read_all()

        call = _Call(lambda: self._call("cancel", _HELLO_SECONDS, name=name))
        with watch(call):
            answer = _interruptibly(lambda: _asked(ask), call)
        return protocol.result_of(answer, question.text, time.perf_counter() - started)

    def explain(self, question: Question) -> Explained:
        """See Access."""
        content = self._call("explain", protocol.CALL_SECONDS, question.text, question=protocol.question_to_json(question))
        return protocol.explained_from_json(content)

    def register(self, name: str, table: pa.Table, load: bool, replace: bool) -> None:
        """See Access."""
        raise InventoryError(f"`{name}` cannot be registered while another process holds the directory: its tables alone are there")

    def wait_for(self, sequence: int, seconds: float) -> bool:
        """See Access; it waits for a second at most."""
        return bool(self._call("wait_for", protocol.WAIT_SECONDS + _HELLO_SECONDS, sequence=sequence, seconds=seconds))

    def export(self, path: Path) -> int:
        """See Access."""
        raise InventoryError(f"{path}: an inventory is exported by the process that holds it")

    def stats(self) -> Stats:
        """See Access."""
        return from_json(self._call("stats", protocol.CALL_SECONDS))

    def close(self) -> None:
        """See Access."""
        self._client.close()

    def _call(self, action: str, limit: float, text: str = "", **content: Any) -> Any:  # Any: a JSON document
        request = flight.Action(action, protocol.request(**content))
        [result] = _asked(lambda: list(self._client.do_action(request, flight.FlightCallOptions(timeout=limit))))
        document = json.loads(result.body.to_pybytes())
        if "error" in document:
            protocol.raise_error(document["error"], text)
        return document["value"]


def _asked(ask: Callable[[], T]) -> T:
    """What a call gives, with its own errors told apart: time is up, or the holder has gone. What else goes wrong there comes as data."""
    try:
        return ask()
    except flight.FlightTimedOutError:
        raise InventoryError("the process that holds the directory has not answered in time") from None
    except (flight.FlightError, pa.ArrowException, OSError) as error:
        raise Gone(str(error)) from error


class _Call:
    """A call that the holder answers. cancel: tells it that nobody waits for the answer any more."""

    def __init__(self, cancel: Callable[[], object]) -> None:
        self._cancel = cancel

    def interrupt(self) -> None:
        with suppress(Gone, InventoryError):
            self._cancel()


def _interruptibly(work: Callable[[], T], call: _Call) -> T:
    """What `work` gives. What a signal's handler raises, which Flight heeds only after the first row, cancels it."""
    if threading.current_thread() is not threading.main_thread():
        return work()
    outcome: list[T | BaseException] = []
    ended = threading.Event()

    def run() -> None:
        try:
            outcome.append(work())
        except BaseException as error:  # the waiting thread raises it
            outcome.append(error)
        finally:
            ended.set()

    threading.Thread(target=run, daemon=True).start()
    try:
        ended.wait()
    except BaseException:
        call.interrupt()
        raise
    [result] = outcome
    if isinstance(result, BaseException):
        raise result
    return result
