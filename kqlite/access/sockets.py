"""Where the socket of a data directory lies."""

import os
import tempfile
from pathlib import Path

SOCKET = "socket"
PRIVATE_PREFIX = "kqlite-"
"""How a folder begins that was made for one socket alone."""

_MOST_BYTES = 90
"""A socket's path has 108 bytes on Linux and 104 on macOS with the closing zero; it is made in a folder whose name has up to ten more."""


_PLAIN = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789/._-+,@")


def fits(socket: Path) -> bool:
    """Whether a socket can have this path, written as it is in a URI."""
    text = str(socket)
    return len(text) <= _MOST_BYTES and _PLAIN.issuperset(text)


def short_folder() -> Path:
    """Where temporary files go, if a socket fits there."""
    usual = Path(tempfile.gettempdir())
    return usual if fits(usual / PRIVATE_PREFIX / "12345678" / SOCKET) else Path("/tmp")


def location(socket: Path) -> str:
    """The socket as Arrow Flight names it."""
    return f"grpc+unix://{socket}"


def real(folder: Path) -> Path:
    """The folder without links: what is short in one process's eyes may be long in another's."""
    return Path(os.path.realpath(folder))
