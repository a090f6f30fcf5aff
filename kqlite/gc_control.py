"""Python's collector of cycles, put off while there is nothing for it to find."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def no_collection() -> Iterator[None]:
    """Within it nobody looks for cycles: rows, documents, events and steps make none, and there may be millions of them to look at."""
    collects = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collects:
            gc.enable()


def keep_for_good() -> None:
    """From here on nobody looks for cycles among what there is now: a fleet of a million machines takes a second to look through.

    For a process that is there for the fleet alone: what else is alive is kept as well.
    """
    gc.collect()
    gc.freeze()
