"""Ctrl-C, put off until no step, request or commit is cut in two by it."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType


@contextmanager
def interrupted_later() -> Iterator[Callable[[], bool]]:
    """Within it Ctrl-C raises nothing; what is given says whether it was pressed, and at the end KeyboardInterrupt is raised.

    That comes in the place of another error. Only where Ctrl-C would raise it here: in the main thread, and with Python's own handler.
    """
    if threading.current_thread() is not threading.main_thread() or signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        yield lambda: False
        return
    pressed: list[int] = []

    def note(number: int, _: FrameType | None) -> None:
        pressed.append(number)

    signal.signal(signal.SIGINT, note)
    try:
        yield lambda: bool(pressed)
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        if pressed:
            raise KeyboardInterrupt
