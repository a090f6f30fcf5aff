"""What goes over the socket: questions as JSON, answers as Arrow with JSON beside it, errors as data.

Errors do not travel as the status of a call: that is a header, which gRPC cuts off at 8 kB, and fifty diagnostics are longer.
"""

import json
import traceback
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any, NoReturn

from kqlite.access.local import Explained, Question
from kqlite.errors import InternalError, InventoryError, KqliteError
from kqlite.inventory.shapes import shapes
from kqlite.language.binder import Scope
from kqlite.language.diagnostics import Diagnostic, KqlError
from kqlite.language.plan import Chart
from kqlite.language.schema import Column, Schema
from kqlite.language.source import Span
from kqlite.language.types import Type
from kqlite.parameters import Parameter
from kqlite.result import Result, SnapshotInfo

if TYPE_CHECKING:
    import pyarrow as pa

PROTOCOL = 1
"""Raised when what is said here changes, so that two versions of kqlite find out."""

QUERY_SECONDS = 300.0
"""The longest that a query from outside may run, so that none keeps the holder from tidying up for ever."""

CALL_SECONDS = QUERY_SECONDS + 60.0
"""The longest that a call may take with its answer sent. Told to the holder by the caller, and then kept by both."""

WAIT_SECONDS = 1.0
"""The longest wait for a change in one call, which Ctrl-C cannot break; who wants to wait for longer calls again."""

MOST_ANSWER_BYTES = 2**30

_ANSWER = b"kqlite"
_ERROR = b"kqlite-error"


class OtherVersionError(InventoryError):
    """The process that holds a directory runs a version of kqlite with which this one cannot talk."""


def request(**content: Any) -> bytes:
    """A call's content, as JSON."""
    return json.dumps({"protocol": PROTOCOL} | content).encode()


def read_request(data: bytes) -> Mapping[str, Any]:
    """What `request` wrote. Raises OtherVersionError."""
    content: Mapping[str, Any] = json.loads(data)
    if content.get("protocol") != PROTOCOL:
        raise OtherVersionError("the process that holds the directory runs another version of kqlite; run the same one here")
    return content


# Questions


def question_to_json(question: Question) -> dict[str, Any]:
    scope = question.scope
    return {
        "text": question.text,
        "parameters": {name: [value.type.value, value.bound] for name, value in question.parameters.items()},
        "scope": [None if names is None else sorted(names) for names in (scope.subscriptions, scope.resource_groups, scope.tables)],
        "now": None if question.now is None else question.now.isoformat(),
    }


def question_from_json(document: Mapping[str, Any]) -> Question:
    parameters = {name: Parameter(Type(type_), bound) for name, (type_, bound) in document["parameters"].items()}
    scope = Scope(*(None if names is None else frozenset(names) for names in document["scope"]))
    now = document["now"]
    return Question(document["text"], parameters, scope, None if now is None else datetime.fromisoformat(now))


# Answers


def answer_of(result: Result) -> "pa.Table":
    """A result as one table, with what else it has in the schema's metadata."""
    table, shapes_of = result.physical()
    snapshot = result.snapshot
    metadata = {
        "schema": _schema_to_json(result.schema),
        "shapes": {name: shapes.to_json(shape) for name, shape in shapes_of.items()},
        "version": snapshot.version,
        "watermark": None if snapshot.watermark is None else snapshot.watermark.isoformat(),
        "snapshotTime": snapshot.snapshot_time.isoformat(),
        "sequence": snapshot.sequence,
        "chart": None if result.chart is None else [result.chart.kind, dict(result.chart.properties)],
    }
    return table.replace_schema_metadata({_ANSWER: json.dumps(metadata)})


def result_of(answer: "pa.Table", text: str, seconds: float) -> Result:
    """The result that `answer_of` was given, or the error that `error_answer` was given, raised."""
    metadata = answer.schema.metadata
    if _ERROR in metadata:
        raise_error(json.loads(metadata[_ERROR]), text)
    document = json.loads(metadata[_ANSWER])
    watermark = document["watermark"]
    snapshot = SnapshotInfo(
        document["version"],
        None if watermark is None else datetime.fromisoformat(watermark),
        datetime.fromisoformat(document["snapshotTime"]),
        document["sequence"],
    )
    shapes_of = {name: shapes.from_json(shape) for name, shape in document["shapes"].items()}
    chart = None if document["chart"] is None else Chart(*document["chart"])
    return Result(answer.replace_schema_metadata(None), _schema_from_json(document["schema"]), shapes_of, snapshot, seconds, chart)


def explained_to_json(explained: Explained) -> dict[str, Any]:
    return {"plan": explained.plan, "sql": explained.sql, "schema": _schema_to_json(explained.schema)}


def explained_from_json(document: Mapping[str, Any]) -> Explained:
    return Explained(document["plan"], document["sql"], _schema_from_json(document["schema"]))


def _schema_to_json(schema: Schema) -> list[list[str]]:
    return [[column.name, column.type.value] for column in schema]


def _schema_from_json(document: list[list[str]]) -> Schema:
    return Schema(Column(name, Type(type_)) for name, type_ in document)


# Errors


def error_to_json(error: Exception) -> dict[str, Any]:
    """An error as data. The text of a query is left out: the asker has it."""
    if isinstance(error, KqlError):
        return {"diagnostics": [[d.code, d.message, d.span.start, d.span.end, d.hint] for d in error.diagnostics]}
    if isinstance(error, KqliteError) and not isinstance(error, InternalError):
        return {"classes": [each.__name__ for each in type(error).__mro__], "message": str(error)}
    reason, sql = (error.reason, error.sql) if isinstance(error, InternalError) else (f"{type(error).__name__}: {error}", "")
    return {"bug": reason, "sql": sql, "traceback": "".join(traceback.format_exception(error))}


def error_answer(error: Exception) -> "pa.Table":
    """An error in the place of an answer."""
    import pyarrow as pa

    return pa.schema([], metadata={_ERROR: json.dumps(error_to_json(error))}).empty_table()


def raise_error(document: Mapping[str, Any], text: str = "") -> NoReturn:
    """Raise what `error_to_json` was given: the same class, or where this process does not know it, its nearest known base."""
    if "diagnostics" in document:
        raise KqlError(
            text, [Diagnostic(code, message, Span(start, end), hint) for code, message, start, end, hint in document["diagnostics"]]
        )
    if "classes" in document:
        known = {each.__name__: each for each in _subclasses(KqliteError)}
        nearest = next(known[name] for name in document["classes"] if name in known)
        raise nearest.__new__(nearest, document["message"])
    error = InternalError(f"in the process that holds the directory: {document['bug']}", text, document.get("sql", ""))
    error.add_note(document["traceback"])
    raise error


def _subclasses(base: type[KqliteError]) -> Iterator[type[KqliteError]]:
    yield base
    for each in base.__subclasses__():
        yield from _subclasses(each)
