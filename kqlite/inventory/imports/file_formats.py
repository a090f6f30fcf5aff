"""The documents of a file, in chunks: a JSON array, JSON lines, an answer or several, Parquet, Arrow.

What a file is, is told from how it begins, not from its name. Every document comes with its place, for the error that may follow.

An answer is an object that holds rows: `{"data": [..]}` of Resource Graph and `az graph query`, also in the form of a table
(`{"data": {"columns": [..], "rows": [..]}}`), `{"Data": [..]}` of Search-AzGraph, `{"value": [..]}` of ARM. Answers may follow each
other or stand in an array. What an answer says of further pages is noted.
"""

import codecs
import json
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from kqlite.inventory.imports.tool_rows import arm_row, has_tool_form, resource_row
from kqlite.inventory.shapes.arrow_types import document, is_text, parsed, refused
from kqlite.inventory.shapes.batches import OTHER_COLUMN
from kqlite.inventory.shapes.documents import DocumentError, InventoryError, Value, decode, decode_all, decode_at, fault_text
from kqlite.inventory.shapes.resource_tables import COLUMNS
from kqlite.language.types import Type

if TYPE_CHECKING:
    import pyarrow as pa

CHUNK = 120
"""Documents read at once: enough for loops over one member of all of them, few enough to stay in the processor's cache."""

_BLOCK_BYTES = 1 << 22
_LARGEST_DOCUMENT = 1 << 26
_ROWS = ("data", "Data", "value")
"""The members of an answer that hold its rows."""

_TOTALS = ("totalRecords", "total_records", "TotalRecords")
_NEXT = ("$skipToken", "skip_token", "skipToken", "SkipToken", "nextLink")
_TRUNCATED = ("resultTruncated", "result_truncated", "ResultTruncated")
_CUT = re.compile(r'"@\{[\w.$]+=[^"]*\}"|"System\.(?:Object\[\]|Collections\.Hashtable)"')
"""What PowerShell's ConvertTo-Json writes in place of an object that lies too deep."""

_CUT_REASON = "PowerShell's ConvertTo-Json has cut this document: export again with `ConvertTo-Json -Depth 100`"
_SPACE = " \t\r\n"
_BOM = b"\xef\xbb\xbf"


@dataclass(frozen=True, slots=True)
class Chunk:
    """Some documents of one file: where each stands, and what it holds.

    plain: of each document, whether it is known that no string in it has a character which JSON must escape.
    size: about how many bytes of JSON all of them are.
    unit: what a place counts, `line` or `row`.
    """

    path: Path
    places: Sequence[int]
    values: Sequence[Value]
    plain: Sequence[bool]
    size: int
    unit: str = "line"

    def fault(self, index: int, reason: str) -> InventoryError:
        """The error for one of the documents."""
        return _fault(self.path, self.places[index], reason, self.unit)


def _fault(path: Path, place: int, reason: str, unit: str = "line") -> InventoryError:
    return InventoryError(f"{path}, {unit} {place}: {reason}")


@dataclass(frozen=True, slots=True)
class Page:
    """What an answer says of itself.

    Args:
        rows: How many rows it has.
        total: How many rows all its pages have; None where it does not say.
        has_more: Whether it names a next page, or says that it was cut.
    """

    path: Path
    rows: int
    total: int | None
    has_more: bool


def chunks(path: Path, pages: list[Page] | None = None, *, of_resources: bool = True) -> Iterator[Chunk]:
    """All documents of a file. Raises InventoryError naming file, place and reason.

    Args:
        pages: Where it is noted what each answer in the file says of itself.
        of_resources: Whether documents are resources, which are brought into the form of Resource Graph.
    """
    with _opened(path) as stream:
        if is_arrow(stream) or is_parquet(stream):
            found = _arrow_chunks(path)
        elif _is_lines(stream):
            found = (chunk for block in _line_blocks(stream) for chunk in _block_chunks(path, block))
        else:
            found = _value_chunks(path, stream, [] if pages is None else pages)
        yield from map(_as_resources, found) if of_resources else found


def _as_resources(chunk: Chunk) -> Chunk:
    if not has_tool_form(chunk.values):
        return chunk
    return replace(chunk, values=[resource_row(value) for value in chunk.values], plain=[False] * len(chunk.values))


@contextmanager
def _opened(path: Path) -> Iterator[IO[bytes]]:
    """A file at its start. Raises InventoryError where the system refuses to read it, now or later."""
    try:
        with path.open("rb") as stream:
            yield stream
    except OSError as error:
        raise InventoryError(f"{path}: {error.strerror or error}") from None


def is_parquet(stream: IO[bytes]) -> bool:
    """Whether a file that can be read from its start is Parquet."""
    return _start(stream, 4) == b"PAR1"


def is_arrow(stream: IO[bytes]) -> bool:
    """Whether a file that can be read from its start is Arrow's file or stream format."""
    return _start(stream, 6) == b"ARROW1" or _start(stream, 4) == b"\xff\xff\xff\xff"


def _start(stream: IO[bytes], length: int) -> bytes:
    found = stream.read(length)
    stream.seek(0)
    return found


# JSON lines


def is_lines(path: Path) -> bool:
    """Whether each line of a file is a document. Raises InventoryError."""
    with _opened(path) as stream:
        return not is_arrow(stream) and not is_parquet(stream) and _is_lines(stream)


def line_blocks(path: Path) -> "Iterator[Block]":
    """All lines of a file. Raises InventoryError."""
    with _opened(path) as stream:
        yield from _line_blocks(stream)


def _is_lines(stream: IO[bytes]) -> bool:
    """Whether each line is a document: the first that is not blank is a whole object, not an answer with `data`, or is no JSON at all."""
    first = b"\n"
    while first and not first.removeprefix(_BOM).strip():
        first = stream.readline(_LARGEST_DOCUMENT)
    is_last = not stream.read(1)
    stream.seek(0)
    first = first.removeprefix(_BOM).strip()
    try:
        value = json.loads(first)
    except (ValueError, RecursionError):
        return not first.startswith((b"[", b"{")) or (first.startswith(b"{") and is_last)
    return isinstance(value, dict) and not _is_answer(value)


def _is_answer(value: Value) -> bool:
    """Whether a document is an answer, or an error in place of one, and no resource."""
    if type(value) is not dict or "id" in value:
        return False
    has_rows = any(type(value.get(name)) is list for name in _ROWS)
    return has_rows or _is_table(value.get("data")) or type(value.get("error")) is dict


def _is_table(data: Value) -> bool:
    return type(data) is dict and type(data.get("columns")) is list and type(data.get("rows")) is list


@dataclass(frozen=True, slots=True)
class Block:
    """Whole lines of a file. number: of the first of them. offset: where in the file they begin."""

    number: int
    offset: int
    content: bytes


def _line_blocks(stream: IO[bytes]) -> Iterator[Block]:
    number, offset, rest = 1, 0, b""
    while content := stream.read(_BLOCK_BYTES):
        whole, end, tail = content.rpartition(b"\n")
        if not end:
            rest += content
            continue
        yield Block(number, offset, rest + whole)
        number += whole.count(b"\n") + 1
        offset += len(rest) + len(whole) + 1
        rest = tail
    if rest:
        yield Block(number, offset, rest)


def _block_chunks(path: Path, block: Block) -> Iterator[Chunk]:
    """The documents of a block, in order. Raises InventoryError naming file, line and reason."""
    lines = _lines(path, block)
    places = range(block.number, block.number + len(lines))
    for start in range(0, len(lines), CHUNK):
        yield from _decoded_lines(path, places[start : start + CHUNK], lines[start : start + CHUNK])


def sorted_chunks(path: Path, block: Block) -> Iterator[Chunk]:
    """The resources of a block, those of one type mostly together. Raises InventoryError naming file, line and reason."""
    yield from map(_as_resources, _sorted_chunks(path, block))


def _sorted_chunks(path: Path, block: Block) -> Iterator[Chunk]:
    groups: dict[str, tuple[list[int], list[str]]] = defaultdict(lambda: ([], []))
    for number, line in enumerate(_lines(path, block), block.number):
        found = _TYPE.search(line)
        places, lines = groups[found[0] if found else ""]
        places.append(number)
        lines.append(line)
        if len(places) == CHUNK:
            yield from _decoded_lines(path, places, lines)
            places.clear()
            lines.clear()
    for places, lines in groups.values():
        yield from _decoded_lines(path, places, lines)


_TYPE = re.compile(r'"type" ?: ?"[^"]*"')
"""The first that looks like the type of a document; some other member's does no harm."""


def _lines(path: Path, block: Block) -> list[str]:
    content = block.content if block.offset else block.content.removeprefix(_BOM)
    return _text(path, block.number, content).split("\n")


def _text(path: Path, number: int, block: bytes) -> str:
    try:
        return block.decode("utf-8")
    except UnicodeDecodeError as error:
        raise _fault(path, number + block.count(b"\n", 0, error.start), "not UTF-8") from None


def _decoded_lines(path: Path, numbers: Sequence[int], lines: Sequence[str]) -> Iterator[Chunk]:
    """One chunk, or none where all lines are blank."""
    stripped = [line.strip(_SPACE) for line in lines]
    places = [number for number, text in zip(numbers, stripped, strict=True) if text]
    texts = [text for text in stripped if text]
    try:
        values = decode_all(texts)
    except DocumentError:
        for place, text in zip(places, texts, strict=True):
            _check_line(path, place, text)
        raise
    if values:
        yield Chunk(path, places, values, ["\\" not in text for text in texts], sum(map(len, texts)))


def _check_line(path: Path, place: int, text: str) -> None:
    try:
        decode(text)
    except DocumentError as error:
        raise _fault(path, place, str(error)) from None


# Arrays, answers, documents of many lines


class _Window:
    """What is in reach of a text that is read piece by piece.

    size: how many characters all values so far are. escapes: how many of them have a backslash.
    """

    def __init__(self, path: Path, stream: IO[bytes]) -> None:
        self._path, self._stream = path, stream
        self._decoder = codecs.getincrementaldecoder("utf-8-sig")()
        self._text = ""
        self._at = 0
        self._line = 1
        self._ended = False
        self._block_bytes = 1 << 16
        self.size = 0
        self.escapes = 0

    def _more(self) -> None:
        """Read on, and let go of what lies behind."""
        self._line += self._text.count("\n", 0, self._at)
        block = self._stream.read(self._block_bytes)
        self._block_bytes = min(self._block_bytes * 2, _BLOCK_BYTES)
        try:
            self._text = self._text[self._at :] + self._decoder.decode(block, final=not block)
        except UnicodeDecodeError:
            raise self.fault("not UTF-8") from None
        self._at = 0
        self._ended = not block

    def line(self, position: int | None = None) -> int:
        """The line of a position in the text at hand, or of where reading stands."""
        return self._line + self._text.count("\n", 0, self._at if position is None else position)

    def fault(self, reason: str, position: int | None = None) -> InventoryError:
        return _fault(self._path, self.line(position), reason)

    def peek(self) -> str:
        """The next character that is no space, or `''` at the end."""
        while True:
            while self._at < len(self._text):
                character = self._text[self._at]
                if character not in _SPACE:
                    return character
                self._at += 1
            if self._ended:
                return ""
            self._more()

    def take(self, characters: str, after: str) -> str:
        """The next character, which must be one of `characters`."""
        found = self.peek()
        if found == "" or found not in characters:
            raise self.fault(f"expected {' or '.join(map(repr, characters))} after {after}, found {repr(found) if found else 'the end'}")
        self._at += 1
        return found

    def value(self) -> Value:
        """The JSON value that stands next."""
        self.peek()
        while True:
            try:
                value, end = decode_at(self._text, self._at)
            except json.JSONDecodeError as error:
                if self._ended or len(self._text) - self._at > _LARGEST_DOCUMENT:
                    raise self.fault(_reason(error, len(self._text)), error.pos) from None
            except DocumentError as error:
                raise self.fault(str(error)) from None
            else:
                if end < len(self._text) or self._ended:
                    if found := _CUT.search(self._text, self._at, end):
                        raise self.fault(_CUT_REASON, found.start())
                    self.size += end - self._at
                    self.escapes += self._text.find("\\", self._at, end) >= 0
                    self._at = end
                    return value
            self._more()


def _reason(error: json.JSONDecodeError, length: int) -> str:
    return "the file ends inside a document" if error.pos >= length else fault_text(error, error.colno)


def _value_chunks(path: Path, stream: IO[bytes], pages: list[Page]) -> Iterator[Chunk]:
    window = _Window(path, stream)
    documents = _values(path, window, pages)
    size, escapes = 0, 0
    while taken := list(islice(documents, CHUNK)):
        plain = [window.escapes == escapes] * len(taken)
        yield Chunk(path, [place for place, _ in taken], [value for _, value in taken], plain, window.size - size)
        size, escapes = window.size, window.escapes


def _values(path: Path, window: _Window, pages: list[Page]) -> Iterator[tuple[int, Value]]:
    while window.peek():
        if window.peek() == "[":
            for line, value in _elements(window):
                if _is_answer(value):
                    yield from ((line, row) for row in _answered(path, window, value, pages))
                else:
                    yield line, value
        elif window.peek() == "{":
            yield from _object(path, window, pages)
        else:
            raise window.fault("expected an array or an object")


def _answered(path: Path, window: _Window, answer: dict[str, Value], pages: list[Page]) -> list[Value]:
    """The rows of an answer that was read whole."""
    _refuse_error(window, answer)
    name = next((name for name in _ROWS if type(answer.get(name)) is list), "")
    if name:
        rows = list(map(arm_row, answer[name])) if name == "value" else answer[name]
    else:
        table = answer["data"]
        names = [column.get("name") if type(column) is dict else column for column in table["columns"]]
        if not all(type(row) is list and len(row) == len(names) for row in table["rows"]):
            raise window.fault("a table whose rows do not have as many values as it has columns")
        rows = [dict(zip(names, row, strict=True)) for row in table["rows"]]
    _note(path, answer, len(rows), pages)
    return rows


def _refuse_error(window: _Window, answer: Mapping[str, Value]) -> None:
    error = answer.get("error")
    if type(error) is dict:
        said = ": ".join(str(error[name]) for name in ("code", "message") if error.get(name))
        raise window.fault(f"an error that Azure has answered, and no inventory: {said}")


def _note(path: Path, members: Mapping[str, Value], rows: int, pages: list[Page]) -> None:
    total = next((members[name] for name in _TOTALS if type(members.get(name)) is int), None)
    is_cut = any(str(members.get(name)).lower() == "true" for name in _TRUNCATED)
    pages.append(Page(path, rows, total, is_cut or any(members.get(name) for name in _NEXT)))


def _elements(window: _Window) -> Iterator[tuple[int, Value]]:
    window.take("[", "the start")
    if window.peek() == "]":
        window.take("]", "`[`")
        return
    while True:
        window.peek()
        yield window.line(), window.value()
        if window.take(",]", "an element") == "]":
            return


def _object(path: Path, window: _Window, pages: list[Page]) -> Iterator[tuple[int, Value]]:
    """The rows of an answer, as they are read; or the object itself, where it is none."""
    line = window.line()
    members: dict[str, Value] = {}
    rows: int | None = None
    window.take("{", "the start")
    separator = window.take("}", "`{`") if window.peek() == "}" else ","
    while separator == ",":
        if window.peek() != '"':
            raise window.fault("expected the name of a member in double quotes")
        name = window.value()
        window.take(":", "the name of a member")
        if name in _ROWS and window.peek() == "[" and "id" not in members:
            rows = 0
            for place, value in _elements(window):
                rows += 1
                yield place, arm_row(value) if name == "value" else value
        else:
            members[name] = window.value()
        separator = window.take(",}", "a member")
    if rows is not None:
        _note(path, members, rows, pages)
    elif _is_answer(members):
        yield from ((line, row) for row in _answered(path, window, members, pages))
    else:
        yield line, members


# Parquet and Arrow


def _arrow_chunks(path: Path) -> Iterator[Chunk]:
    place = 1
    _, batches = arrow_batches(path)
    for batch in batches:
        for start in range(0, batch.num_rows, CHUNK):
            part = batch.slice(start, CHUNK)
            values = list(_rows(path, part))
            yield Chunk(path, range(place, place + len(values)), values, [False] * len(values), part.nbytes, "row")
            place += len(values)


def arrow_batches(path: Path) -> "tuple[pa.Schema, Iterator[pa.RecordBatch]]":
    """The schema and the batches of a Parquet or Arrow file. Raises InventoryError naming file and reason."""
    import pyarrow as pa

    stream = path.open("rb")
    try:
        schema, batches = _opened_arrow(stream)
    except (pa.ArrowException, ValueError, OSError) as error:
        stream.close()
        raise InventoryError(f"{path}: {error}") from None
    return schema, _told(path, stream, batches)


def _told(path: Path, stream: IO[bytes], batches: "Iterable[pa.RecordBatch]") -> "Iterator[pa.RecordBatch]":
    import pyarrow as pa

    with stream:
        try:
            yield from batches
        except (pa.ArrowException, ValueError, OSError) as error:
            raise InventoryError(f"{path}: {error}") from None


def _opened_arrow(stream: IO[bytes]) -> "tuple[pa.Schema, Iterable[pa.RecordBatch]]":
    import pyarrow as pa

    if is_parquet(stream):
        from pyarrow import parquet

        file = parquet.ParquetFile(stream)
        return file.schema_arrow, file.iter_batches()
    if _start(stream, 6) == b"ARROW1":
        reader = pa.ipc.open_file(stream)
        return reader.schema, (reader.get_batch(index) for index in range(reader.num_record_batches))
    batches = pa.ipc.open_stream(stream)
    return batches.schema, batches


def _rows(path: Path, batch: "pa.RecordBatch") -> Iterator[dict[str, Value]]:
    columns = [_column_values(path, field.name, column) for field, column in zip(batch.schema, batch.columns, strict=True)]
    for values in zip(*columns, strict=True):
        row = dict(zip(batch.schema.names, values, strict=True))
        others = row.pop(OTHER_COLUMN, None)  # where an export puts members that are no columns
        yield row | others if isinstance(others, dict) else row


def _column_values(path: Path, name: str, column: "pa.Array") -> list[Value]:

    bad = refused(column.type)
    if bad is not None:
        raise InventoryError(f"{path}: column `{name}`: Arrow type {bad} has no form in KQL")
    declared = COLUMNS.find(name)
    values: list[Any] = column.to_pylist()
    if declared is not None and declared.type is Type.DYNAMIC and is_text(column.type):
        return [None if value is None else parsed(value) for value in values]
    return [document(value, column.type) for value in values]
