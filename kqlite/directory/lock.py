"""The lock of a data directory: who has it alone, who shares it, and who waits for it.

lock    held by `flock` while the directory is in use: shared by readers, alone by a writer, who writes into it who he is. The
        system lets go of it when a process dies, so a record whose lock is free is that of a dead process, and says nothing.
wanted  there, and locked, while a writer waits for readers. Those look for it a few times in a second, and let go between queries.

It is a file of its own, because `open(store).close()` anywhere in the process that writes the store drops the lock that DuckDB has on it.
On Windows there is no `flock`: DuckDB's own lock has to do, and nobody knows who holds a directory.
"""

import json
import os
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

_LOCK = "lock"
_WANTED = "wanted"
_POLL_SECONDS = 0.02
_RECORD_SECONDS = 0.2
UNSAID_SECONDS = 5.0
_BRIEF_SECONDS = 60.0
"""How long a writer waits for one who holds a directory: for one who has said that it stays, for one of whom there is no record, or that of
a process that has died, and for one who has said that it lets go."""
_MOST_RECORD_BYTES = 4096
_CLOSED_ON_EXEC = getattr(os, "O_CLOEXEC", 0)  # Windows has none


@dataclass(frozen=True, slots=True)
class Holder:
    """The process that has a data directory alone. command: as a user would know it, `kqlite simulate`. since: aware and UTC."""

    pid: int
    command: str
    since: datetime

    def __str__(self) -> str:
        return f"{self.command}, process {self.pid}"


@dataclass(frozen=True, slots=True)
class Record:
    """What the process that has a directory alone says of itself.

    shares: whether it answers others, at `socket` as soon as that is named. briefly: whether it will let go by itself, as soon as it has
    brought the directory to where others can go on.
    """

    holder: Holder
    shares: bool = False
    socket: str | None = None
    briefly: bool = False


class Held(Exception):
    """Others have the directory. record: who has it alone; None where that is not known, or where readers share it.

    by_readers: whether readers share it.
    """

    def __init__(self, record: Record | None, by_readers: bool = False) -> None:
        super().__init__(str(record))
        self.record = record
        self.by_readers = by_readers


class Lock:
    """A directory that is held until `release`.

    record: this process, where it holds the directory alone. left: what the one before left, where it died.
    """

    def __init__(self, descriptor: int, record: Record | None = None, left: Record | None = None) -> None:
        self._descriptor = descriptor
        self.record = record
        self.left = left

    def name_socket(self, socket: str | None) -> None:
        """Let others know where this process answers; None takes it back."""
        assert self.record is not None
        self.record = replace(self.record, socket=socket)
        _write(self._descriptor, self.record)

    def release(self) -> None:
        """Let others have the directory; a second time does nothing."""
        if self._descriptor < 0:
            return
        if self.record is not None:
            os.ftruncate(self._descriptor, 0)
        os.close(self._descriptor)
        self._descriptor = -1


def share(folder: Path, manifest: Path) -> Lock:
    """The lock of a reader. manifest: locked in place of the lock file where that is missing and cannot be made. Raises Held."""
    try:
        descriptor = _open(folder / _LOCK)
    except OSError:
        # What only others can write is safe to share.
        file = folder / _LOCK if (folder / _LOCK).exists() else manifest
        descriptor = os.open(file, os.O_RDONLY | _CLOSED_ON_EXEC)
    if not _lock(descriptor, alone=False):
        os.close(descriptor)
        raise Held(record_of(folder))
    return Lock(descriptor)


def take(folder: Path, patience: float, shares: bool = False, briefly: bool = False) -> Lock:
    """The lock of a writer, who waits so many seconds for readers, and for no writer but one who holds it briefly.

    shares, briefly: as of `Record`. Raises Held, and OSError.
    """
    descriptor = _open(folder / _LOCK)
    try:
        _wait(descriptor, folder, patience)
    except BaseException:
        os.close(descriptor)
        raise
    record = Record(Holder(os.getpid(), own_command(), datetime.now(UTC)), shares, briefly=briefly)
    left = record_of(folder)
    _write(descriptor, record)
    return Lock(descriptor, record, left)


def _wait(descriptor: int, folder: Path, patience: float) -> None:
    deadline = time.monotonic() + patience
    held_since: float | None = None
    wish: int | None = None
    try:
        while not _lock(descriptor, alone=True):
            if not _lock(descriptor, alone=False):
                now, record = time.monotonic(), record_of(folder)
                held_since = held_since or now
                if now >= held_since + _time_for(record):
                    raise Held(record)
                deadline = now + patience
                time.sleep(_POLL_SECONDS)
                continue
            held_since = None
            _unlock(descriptor)
            if time.monotonic() >= deadline:
                raise Held(None, by_readers=True)
            if wish is None:
                wish = _open(folder / _WANTED)
            _lock(wish, alone=False)  # fails while a reader looks, and is tried again
            time.sleep(_POLL_SECONDS)
    finally:
        if wish is not None:
            if _lock(wish, alone=True):  # else another writer waits, too
                with suppress(FileNotFoundError):
                    (folder / _WANTED).unlink()
            os.close(wish)


def _time_for(record: Record | None) -> float:
    # A process that was killed has its locks until the last of it is gone, and may have taken its record back by then.
    if record is None or not _lives(record.holder.pid):
        return UNSAID_SECONDS
    return _BRIEF_SECONDS if record.briefly else _RECORD_SECONDS


def _lives(pid: int) -> bool:
    """Whether there is such a process, as far as can be seen from here."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True  # another user's
    return True


def is_wanted(folder: Path) -> bool:
    """Whether a writer waits for readers."""
    # Whoever left the file there and died has no lock on it.
    return _is_locked(folder / _WANTED, alone=True)


def is_held_alone(folder: Path) -> bool:
    """Whether a process has the directory alone."""
    return _is_locked(folder / _LOCK, alone=False)


def _is_locked(file: Path, alone: bool) -> bool:
    """Whether there is such a file and others keep it from being locked, `alone` or with them."""
    try:
        descriptor = os.open(file, os.O_RDONLY | _CLOSED_ON_EXEC)
    except OSError:
        return False
    try:
        return not _lock(descriptor, alone)
    finally:
        os.close(descriptor)


def record_of(folder: Path) -> Record | None:
    """What stands in the lock file, or None; whether it still holds only the lock can say."""
    try:
        with (folder / _LOCK).open("rb") as file:
            line, newline, _ = file.read(_MOST_RECORD_BYTES).partition(b"\n")
        document = json.loads(line)
        return (
            Record(holder_from_json(document), bool(document["shares"]), document["socket"], bool(document.get("briefly")))
            if newline
            else None
        )
    except (OSError, ValueError, KeyError, TypeError):
        return None


def own_command() -> str:
    """What runs here, as a user would know it: `kqlite simulate`, or `python script.py`."""
    program = Path(sys.argv[0] if sys.argv else "")
    if program.name == "kqlite" or (program.name == "__main__.py" and program.parent.name == "kqlite"):
        words = [word for word in sys.argv[1:2] if not word.startswith("-")]
        return " ".join(["kqlite", *words])
    return f"python {program.name}" if program.name not in ("", "-c") else "python"


def _open(file: Path) -> int:
    return os.open(file, os.O_RDWR | os.O_CREAT | _CLOSED_ON_EXEC, 0o666)


def _write(descriptor: int, record: Record) -> None:
    document = holder_to_json(record.holder) | {"shares": record.shares, "socket": record.socket, "briefly": record.briefly}
    text = json.dumps(document).encode() + b"\n"
    # Written over and then cut, so that whoever reads meanwhile finds a whole first line.
    os.lseek(descriptor, 0, os.SEEK_SET)
    os.write(descriptor, text)
    os.ftruncate(descriptor, len(text))


def _lock(descriptor: int, alone: bool) -> bool:
    if sys.platform == "win32":
        return True
    import fcntl

    try:
        fcntl.flock(descriptor, (fcntl.LOCK_EX if alone else fcntl.LOCK_SH) | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _unlock(descriptor: int) -> None:
    if sys.platform != "win32":
        import fcntl

        fcntl.flock(descriptor, fcntl.LOCK_UN)


def holder_to_json(holder: Holder) -> dict[str, Any]:
    return {"pid": holder.pid, "command": holder.command, "since": holder.since.isoformat()}


def holder_from_json(document: Mapping[str, Any]) -> Holder:
    return Holder(document["pid"], document["command"], datetime.fromisoformat(document["since"]))
