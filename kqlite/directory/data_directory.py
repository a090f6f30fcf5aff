"""The data directory: what makes a folder one, who may write it, and where its parts lie.

manifest.json     format version, who wrote it, and the name of each part; replaced as a whole
lock              held while a process has the directory open: shared by readers, alone by a writer, who says in it who he is (`lock.py`)
socket            where a writer who shares the directory answers the others (`sharing/`)
events.sqlite     the log of the simulation whose inventory this is, if it is one's
inventory.duckdb  the store; the manifest names it, so that a later version can put another file in its place
"""

import json
import os
import shutil
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

from kqlite.directory import lock
from kqlite.directory.lock import Held, Holder, Lock, Record
from kqlite.errors import InventoryError
from kqlite.version import own_version

FORMAT = 1
"""The format that this version writes, and the newest that it reads."""

MANIFEST = "manifest.json"
PATIENCE = 5.0
"""Seconds for which a writer waits until readers let go of the directory."""

LOG = "events.sqlite"
"""Where a simulation keeps its log beside the parts; a directory without one is no simulation's."""

_STORE = "store"
_PARTS = {_STORE: "inventory.duckdb"}
_SCRATCH = "scratch"


def as_path(given: str | Path) -> Path:
    """A path that a caller gives. Raises TypeError for another type, and InventoryError for text that no file system takes."""
    if not isinstance(given, str | Path):
        raise TypeError(f"a path is text or a pathlib.Path, and not {given!r}")
    try:
        if b"\0" in os.fsencode(given):
            raise InventoryError(f"{str(given)!a} is no path: it has a zero character")
    except UnicodeEncodeError:
        raise InventoryError(f"{str(given)!a} is no path: it is not valid Unicode") from None
    return Path(given)


class DirectoryError(InventoryError):
    """A folder that is no data directory, that is too new, or that another process holds."""


class InUseError(DirectoryError):
    """A data directory that another process has. record: what that process says of itself; None where it says nothing."""

    def __init__(self, message: str, record: Record | None = None) -> None:
        super().__init__(message)
        self.record = record


@dataclass(frozen=True)
class DataDirectory:
    """A data directory that is open; `close` lets others have it.

    parts: the file or folder of each part, by its name.
    writable: whether this process holds it alone.
    """

    path: Path
    parts: Mapping[str, str]
    writable: bool
    _held: Lock

    @classmethod
    def open(
        cls, path: Path, writable: bool = False, *, shares: bool = False, briefly: bool = False, patience: float = PATIENCE
    ) -> "DataDirectory":
        """The data directory at `path`, shared with other readers, or held alone to write it.

        shares: whether a writer is going to answer others. briefly: it lets go by itself, and others wait for that.
        patience: seconds for which a writer waits for readers.
        Raises DirectoryError, which for a directory in use is InUseError.
        """
        if not path.exists():
            raise DirectoryError(f"{path}: no such file or directory")
        if not path.is_dir():
            raise DirectoryError(f"{path}: not a directory; name a data directory, or files to query")
        if not (path / MANIFEST).is_file():
            raise DirectoryError(f"{path}: not a data directory, since it has no {MANIFEST}; `kqlite import` and `kqlite sample` make one")
        held = _take(path, shares, patience, briefly) if writable else _share(path)
        try:
            parts = _read_manifest(path / MANIFEST)
        except BaseException:
            held.release()
            raise
        if writable:
            shutil.rmtree(path / _SCRATCH, ignore_errors=True)
        return cls(path, parts, writable, held)

    @classmethod
    def create(cls, path: Path, *, shares: bool = False, beside: Collection[str] = ()) -> "DataDirectory":
        """A new data directory, held alone. Raises DirectoryError.

        beside: names of what may lie in the folder already; it is empty otherwise, or missing.
        """
        if path.exists() and not path.is_dir():
            raise DirectoryError(f"{path}: a file, not a directory")
        if path.exists() and any(found.name not in beside for found in path.iterdir()):
            raise DirectoryError(f"{path}: not empty and not a data directory")
        try:
            path.mkdir(parents=True, exist_ok=True)
            _write_manifest(path / MANIFEST, _PARTS)
        except OSError as error:
            raise DirectoryError(f"{path}: cannot be made: {error.strerror}") from None
        return cls(path, _PARTS, True, _take(path, shares, PATIENCE))

    @classmethod
    def open_or_create(cls, path: Path, *, shares: bool = False, beside: Collection[str] = ()) -> "DataDirectory":
        """The data directory at `path`, held alone, made where there is none. Raises DirectoryError."""
        if (path / MANIFEST).exists():
            return cls.open(path, writable=True, shares=shares)
        return cls.create(path, shares=shares, beside=beside)

    @property
    def holder(self) -> Holder | None:
        """This process, where it holds the directory alone."""
        return None if self._held.record is None else self._held.record.holder

    @property
    def socket_left(self) -> str | None:
        """The socket of a process that held the directory before and died."""
        return None if self._held.left is None else self._held.left.socket

    def name_socket(self, socket: str | None) -> None:
        """Let others know where this process, which holds the directory alone, answers them; None takes it back."""
        self._held.name_socket(socket)

    @property
    def store(self) -> Path:
        """The store's database file."""
        return self.path / self.parts[_STORE]

    @property
    def log(self) -> Path:
        """The log of the simulation whose inventory this is, if it is one's."""
        return self.path / LOG

    @property
    def scratch(self) -> Path:
        """A folder for files of this process alone; whatever a crash leaves there goes when the next writer opens the directory."""
        folder = self.path / _SCRATCH
        folder.mkdir(exist_ok=True)
        return folder

    def close(self) -> None:
        if self.writable:
            shutil.rmtree(self.path / _SCRATCH, ignore_errors=True)
        self._held.release()

    def remove(self) -> None:
        """Close and delete it, as when making it has failed."""
        self.close()
        shutil.rmtree(self.path)


def _read_manifest(file: Path) -> dict[str, str]:
    try:
        manifest = json.loads(file.read_text(encoding="utf-8"))
        format_, parts = manifest["format"], manifest["parts"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DirectoryError(f"{file}: not the manifest of a data directory: {error}") from None
    if not isinstance(format_, int) or format_ < 1:
        raise DirectoryError(f"{file}: no format version")
    if format_ > FORMAT:
        writer = manifest.get("writer", "a newer kqlite")
        raise DirectoryError(
            f"{file.parent}: written by {writer} in format {format_}, but this kqlite reads up to {FORMAT}; upgrade kqlite"
        )
    if not isinstance(parts, dict) or not all(isinstance(part, str) and Path(part).name == part for part in parts.values()):
        raise DirectoryError(f"{file}: names parts that do not lie beside it")
    if _STORE not in parts:
        raise DirectoryError(f"{file}: does not name the store")
    return parts


def _write_manifest(file: Path, parts: Mapping[str, str]) -> None:
    """Write the manifest so that a crash leaves the old one or the new one."""
    text = json.dumps({"format": FORMAT, "writer": f"kqlite {own_version()}", "parts": dict(parts)}, indent=2)
    fresh = file.with_suffix(".fresh")
    with fresh.open("w", encoding="utf-8") as stream:
        stream.write(text + "\n")
        stream.flush()
        os.fsync(stream.fileno())
    fresh.replace(file)


def _share(path: Path) -> Lock:
    try:
        return lock.share(path, path / MANIFEST)
    except Held as held:
        raise _in_use(path, held) from None


def _take(path: Path, shares: bool, patience: float, briefly: bool = False) -> Lock:
    try:
        return lock.take(path, patience, shares, briefly)
    except Held as held:
        raise _in_use(path, held) from None
    except OSError:
        raise DirectoryError(f"{path}: cannot be written") from None


def _in_use(path: Path, held: Held) -> InUseError:
    if held.by_readers:
        return InUseError(f"{path}: in use, others read it; try again when they have ended")
    who = held.record.holder if held.record is not None else "another process"
    return InUseError(f"{path}: in use by {who}; try again when it has ended", held.record)
