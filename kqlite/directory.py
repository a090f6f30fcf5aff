"""The data directory: what makes a folder one, who may write it, and where its parts lie.

manifest.json     format version, who wrote it, and the name of each part; replaced as a whole
lock              held while a process has the directory open: shared by readers, alone by a writer
inventory.duckdb  the store; the manifest names it, so that a later version can put another file in its place
"""

import json
import os
import shutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from kqlite.errors import InventoryError
from kqlite.version import own_version

FORMAT = 1
"""The format that this version writes, and the newest that it reads."""

MANIFEST = "manifest.json"
_LOCK = "lock"
_STORE = "store"
_PARTS = {_STORE: "inventory.duckdb"}
_SCRATCH = "scratch"


class DirectoryError(InventoryError):
    """A folder that is no data directory, that is too new, or that another process holds."""


@dataclass(frozen=True)
class DataDirectory:
    """A data directory that is open; `close` lets others have it.

    parts: the file or folder of each part, by its name.
    writable: whether this process holds it alone.
    """

    path: Path
    parts: Mapping[str, str]
    writable: bool
    _held: IO[bytes]

    @classmethod
    def open(cls, path: Path, writable: bool = False) -> "DataDirectory":
        """The data directory at `path`, shared with other readers, or held alone to write it. Raises DirectoryError."""
        if not path.exists():
            raise DirectoryError(f"{path}: no such directory")
        if not path.is_dir():
            raise DirectoryError(f"{path}: not a directory; name a data directory, or files to query")
        if not (path / MANIFEST).is_file():
            raise DirectoryError(f"{path}: not a data directory, since it has no {MANIFEST}; `kqlite import` and `kqlite sample` make one")
        held = _hold(path, writable)
        try:
            parts = _read_manifest(path / MANIFEST)
        except BaseException:
            held.close()
            raise
        if writable:
            shutil.rmtree(path / _SCRATCH, ignore_errors=True)
        return cls(path, parts, writable, held)

    @classmethod
    def create(cls, path: Path) -> "DataDirectory":
        """A new data directory, held alone; the folder may exist if it is empty. Raises DirectoryError."""
        if path.exists() and not path.is_dir():
            raise DirectoryError(f"{path}: a file, not a directory")
        if path.exists() and any(path.iterdir()):
            raise DirectoryError(f"{path}: not empty and not a data directory")
        try:
            path.mkdir(parents=True, exist_ok=True)
            _write_manifest(path / MANIFEST, _PARTS)
        except OSError as error:
            raise DirectoryError(f"{path}: cannot be made: {error.strerror}") from None
        return cls(path, _PARTS, True, _hold(path, True))

    @classmethod
    def open_or_create(cls, path: Path) -> "DataDirectory":
        """The data directory at `path`, held alone, made where there is none. Raises DirectoryError."""
        return cls.open(path, writable=True) if (path / MANIFEST).exists() else cls.create(path)

    @property
    def store(self) -> Path:
        """The store's database file."""
        return self.path / self.parts[_STORE]

    @property
    def scratch(self) -> Path:
        """A folder for files of this process alone; whatever a crash leaves there goes when the next writer opens the directory."""
        folder = self.path / _SCRATCH
        folder.mkdir(exist_ok=True)
        return folder

    def close(self) -> None:
        if self.writable:
            shutil.rmtree(self.path / _SCRATCH, ignore_errors=True)
        self._held.close()

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


def _hold(path: Path, alone: bool) -> IO[bytes]:
    """The lock file, locked until it is closed."""
    try:
        held: IO[bytes] = (path / _LOCK).open("ab")
    except OSError:
        if alone:
            raise DirectoryError(f"{path}: cannot be written") from None
        held = (path / MANIFEST).open("rb")  # a directory that only others can write is safe to share
    if sys.platform == "win32":
        return held  # DuckDB's own lock on the store has to do
    import fcntl

    try:
        fcntl.flock(held, (fcntl.LOCK_EX if alone else fcntl.LOCK_SH) | fcntl.LOCK_NB)
    except OSError:
        held.close()
        others = "others read or write it" if alone else "another process writes it"
        raise DirectoryError(f"{path}: in use, {others}; try again when they have ended") from None
    return held
