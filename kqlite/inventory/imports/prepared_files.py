"""Files as people have them, made ready to be read: each becomes a regular file of UTF-8 JSON, of Parquet or of Arrow.

| what a file is | what becomes of it |
|---|---|
| `-`, a pipe, a process substitution | its bytes go into a file |
| gzip, zstd, bzip2 | unpacked |
| UTF-16, as Windows PowerShell's `>` writes it | UTF-8 |
| CSV, as the portal's "Download as CSV" and `--format csv` write it | JSON lines |
| a web page, a message of the Azure CLI, an archive | refused, with what to do |

What is ready already is read where it is. An error names the file that the caller named, and not its copy.
"""

import codecs
import csv
import json
import os
import re
import stat
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

from kqlite.inventory.shapes.documents import InventoryError
from kqlite.inventory.shapes.resource_tables import COLUMNS
from kqlite.language.types import Type

STANDARD_INPUT = "-"

_COMPRESSED = {b"\x1f\x8b": "gzip", b"\x28\xb5\x2f\xfd": "zstd", b"BZh": "bz2"}
_ARCHIVES = {b"PK\x03\x04": "a zip archive", b"7z\xbc\xaf": "a 7-Zip archive", b"SQLite format 3\0": "an SQLite database"}
_BLOCK_BYTES = 1 << 20
_START_BYTES = 4096
_UTF_16 = {
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
    b"[\0": "utf-16-le",
    b"{\0": "utf-16-le",
    b"\0[": "utf-16-be",
    b"\0{": "utf-16-be",
}
_TITLES = {
    "RESOURCE GROUP": "resourceGroup",
    "SUBSCRIPTION ID": "subscriptionId",
    "RESOURCE ID": "id",
    "RESOURCE TYPE": "type",
    "TENANT ID": "tenantId",
}
"""Titles of the portal's tables that differ from a column's name by more than case."""

_NO_INVENTORY = (
    (re.compile(r"<!doctype html|<html", re.IGNORECASE), "a web page and no inventory; was the address behind a sign-in?"),
    (re.compile(r".*az login", re.DOTALL), "a message of the Azure CLI and no inventory: sign in with `az login` and export again"),
    (
        re.compile(r"\S*ERROR:|usage: az\b|'az' is not recognized", re.IGNORECASE),
        "a message of a program and no inventory: its command has failed",
    ),
    (re.compile(r"\w+-\w+ ?: .*\n"), "an error of PowerShell and no inventory: its command has failed"),
    (re.compile(r"<\?xml"), "XML, which kqlite does not read: export JSON"),
)


class _Copied(NamedTuple):
    """Of which file a copy is, and what a line of the copy is there."""

    name: str
    unit: str


@contextmanager
def prepared(paths: Sequence[Path], folder: Path) -> Iterator[list[Path]]:
    """The files, or copies of them that can be read.

    Args:
        paths: Files; `-` is standard input.
        folder: Where copies are made. They are removed in the end.

    Raises:
        InventoryError: A file cannot be read, or is no inventory. Within the block, errors that name a copy are raised anew with the
            name of the file.
    """
    copies: dict[Path, _Copied] = {}
    try:
        ready = [_ready(path, folder / f"prepared{number}", copies) for number, path in enumerate(paths)]
        yield ready
    except InventoryError as error:
        text = str(error)
        for copy, original in copies.items():
            text = text.replace(f"{copy}, line ", f"{original.name}, {original.unit} ").replace(str(copy), original.name)
        raise type(error)(text) from None
    finally:
        for copy in copies:
            with suppress(OSError):
                copy.unlink()


def _ready(path: Path, copy: Path, copies: dict[Path, _Copied]) -> Path:
    """The file itself, or its copy, whose name in errors is noted."""
    shown = "standard input" if str(path) == STANDARD_INPUT else str(path)
    try:
        with _opened(path, shown) as stream:
            unpacked = _unpacked(path, stream)
            start = unpacked.start()
            encoding = next((name for mark, name in _UTF_16.items() if start.startswith(mark)), None)
            archive = next((what for mark, what in _ARCHIVES.items() if start.startswith(mark)), None)
            if archive is not None:
                raise InventoryError(f"{shown}: {archive}, which kqlite does not read: unpack it, or export JSON")
            text = _text(start, encoding)
            if text is not None:
                _refuse_what_is_no_inventory(shown, text)
            if text is not None and _is_csv(text):
                copies[copy] = _Copied(shown, "row")
                _write_rows(shown, unpacked, copy, encoding or "utf-8-sig")
            elif encoding is not None:
                copies[copy] = _Copied(shown, "line")
                _write_text(shown, unpacked, copy, encoding)
            elif unpacked is not stream or not _is_regular(path):
                copies[copy] = _Copied(shown, "line")
                _write_bytes(unpacked, copy)
            else:
                return path
    except OSError as error:
        raise InventoryError(f"{shown}: {error.strerror or error}") from None
    if copy in copies:
        with suppress(OSError):  # the time of an import is that of the file
            os.utime(copy, ns=(0, path.stat().st_mtime_ns))
    return copy


@contextmanager
def _opened(path: Path, shown: str) -> Iterator[Any]:
    if str(path) == STANDARD_INPUT:
        if sys.stdin.isatty():
            raise InventoryError("standard input is a terminal: send data to it with < or |")
        yield _Peekable(sys.stdin.buffer)
        return
    mode = path.stat().st_mode
    if stat.S_ISDIR(mode):
        raise InventoryError(f"{shown}: a folder that is no data directory; name the files in it, as in {shown}/*.json")
    if stat.S_ISCHR(mode) or stat.S_ISBLK(mode):
        raise InventoryError(f"{shown}: a device and no file")
    with path.open("rb") as stream:
        yield _Peekable(stream)


def _is_regular(path: Path) -> bool:
    return str(path) != STANDARD_INPUT and path.is_file()


class _Peekable:
    """A stream of bytes whose start can be looked at without seeking."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream
        self._start = b""

    def start(self) -> bytes:
        while len(self._start) < _START_BYTES and (more := self._stream.read(_START_BYTES - len(self._start))):
            self._start += more
        return self._start

    def read(self, size: int = -1) -> bytes:
        if not self._start:
            return bytes(self._stream.read(size))
        if size < 0:
            whole: bytes = self._start + self._stream.read()
            self._start = b""
            return whole
        found, self._start = self._start[:size], self._start[size:]
        return found

    # What pyarrow asks a file for.
    closed = False

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return False

    def writable(self) -> bool:
        return False

    def close(self) -> None:
        """The stream belongs to its opener."""


def _unpacked(path: Path, stream: _Peekable) -> _Peekable:
    kind = next((name for mark, name in _COMPRESSED.items() if stream.start().startswith(mark)), None)
    if kind is None:
        return stream
    import pyarrow as pa

    return _Peekable(pa.CompressedInputStream(pa.PythonFile(stream, mode="r"), kind))


def _text(start: bytes, encoding: str | None) -> str | None:
    """The start of a file as text; None where it is none."""
    if start.startswith((b"PAR1", b"ARROW1", b"\xff\xff\xff\xff")):
        return None
    with suppress(UnicodeDecodeError):
        return codecs.getincrementaldecoder(encoding or "utf-8-sig")().decode(start).lstrip()
    return None


def _refuse_what_is_no_inventory(shown: str, text: str) -> None:
    if text.startswith(("{", "[")):
        return
    for pattern, what in _NO_INVENTORY:
        if pattern.match(text):
            raise InventoryError(f"{shown}: {what}")


# CSV


def _is_csv(text: str) -> bool:
    """Whether a text begins with a line of titles, of which one is that of an id, a name or a type."""
    if not text or text[0] in "[{":
        return False
    first = text.splitlines()[0]
    titles = {title.strip().lower() for title in next(csv.reader([first], delimiter=_delimiter(first)), [])}
    return len(titles) > 1 and not titles.isdisjoint({"id", "name", "type", "resource id", "resourceid"})


def _delimiter(first: str) -> str:
    return max(",;\t", key=first.count)


def _write_rows(shown: str, stream: _Peekable, copy: Path, encoding: str) -> None:
    """The rows of a CSV file as JSON lines."""
    source: Any = stream  # it is read from its start to its end, and never sought in
    text = codecs.getreader(encoding)(source)
    known = {name.lower(): name for name in COLUMNS.names()}
    try:
        first = text.readline()
        titles = [title.strip() for title in next(csv.reader([first], delimiter=_delimiter(first)))]
        names = [_TITLES.get(title.upper(), known.get(title.lower(), title)) for title in titles]
        if "id" not in names:
            raise InventoryError(
                f"{shown}: CSV without a column `id`, by which resources are told apart: add `id` to the columns of the export"
            )
        csv.field_size_limit(1 << 27)
        with copy.open("w", encoding="utf-8") as target:
            target.write("\n")  # in place of the titles, so that a line of the copy has the number of its row
            for number, cells in enumerate(csv.reader(text, delimiter=_delimiter(first)), 2):
                if len(cells) > len(names):
                    raise InventoryError(f"{shown}, row {number}: {len(cells)} cells, and {len(names)} titles")
                row = {name: _cell(name, cell) for name, cell in zip(names, cells, strict=False) if cell != ""}
                target.write(f"{json.dumps(row, ensure_ascii=False) if row else ''}\n")
    except UnicodeDecodeError as error:
        raise InventoryError(f"{shown}: not {encoding.removesuffix('-sig').upper()}: {error.reason}") from None
    except csv.Error as error:
        raise InventoryError(f"{shown}: {error}") from None


def _cell(name: str, cell: str) -> object:
    """The value in a cell: JSON in a dynamic column and where it looks so, else text."""
    column = COLUMNS.find(name)
    if (column is not None and column.type is Type.DYNAMIC) or cell[:1] in "{[":
        with suppress(ValueError):
            return json.loads(cell)
    return cell


# Copies


def _write_text(shown: str, stream: _Peekable, copy: Path, encoding: str) -> None:
    decoder = codecs.getincrementaldecoder(encoding)()
    try:
        with copy.open("w", encoding="utf-8", newline="") as target:
            while block := stream.read(_BLOCK_BYTES):
                target.write(decoder.decode(block).removeprefix("\ufeff"))
            target.write(decoder.decode(b"", final=True))
    except UnicodeDecodeError as error:
        raise InventoryError(f"{shown}: not {encoding.upper()}: {error.reason}") from None


def _write_bytes(stream: _Peekable, copy: Path) -> None:
    with copy.open("wb") as target:
        while block := stream.read(_BLOCK_BYTES):
            target.write(block)
