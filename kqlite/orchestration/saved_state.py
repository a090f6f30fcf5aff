"""A saved state: the fleet as of one event, in a file beside the log. A start loads it and replays only the events after it.

The log alone counts. A start ignores a saved state, and replays the whole log, unless all of these hold:

- this version of kqlite, on this version of Python, wrote the file;
- the file is undamaged;
- the log holds the event as of which the state was saved.

So losing the file loses nothing.
"""

from __future__ import annotations

import marshal
import os
import sys
from collections import deque
from collections.abc import Iterator
from hashlib import blake2b
from itertools import islice
from pathlib import Path
from typing import IO, Any, cast

from kqlite.orchestration.events import Event
from kqlite.orchestration.fleet import Container, Fleet, Membership, fold
from kqlite.orchestration.log import EventLog, encoded
from kqlite.orchestration.model import STATES, Definition, FaultState, Type

_FORMAT = 1
_CHUNK = 10_000  # states that are written together; saving needs memory for so many beside the fleet
_PLAIN = frozenset((int, str, bool, float, type(None)))
_INDEXES = ("cores", "open_work", "open_operations", "priced", "fed", "fed_vms")


def _written_by() -> tuple[Any, ...]:
    """Identifies the writer. `marshal` data is readable by the same Python only, and states by the same classes only."""
    return _FORMAT, sys.implementation.cache_tag, marshal.version, tuple((str(type_), *cls._fields) for type_, cls in STATES.items())


def _digest(data: bytes) -> bytes:
    return blake2b(data, digest_size=16).digest()


class SavedState:
    """The file of a saved state."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def save(self, fleet: Fleet, last: Event) -> None:
        """Save the fleet as of `last`, the last event of the log. Where the disk is full, nothing is saved and no error is raised."""
        unfinished = self._path.with_suffix(".new")
        try:
            with unfinished.open("wb") as file:
                for part in _parts(fleet, last):
                    data = marshal.dumps(part)
                    file.write(len(data).to_bytes(8, "little") + _digest(data))
                    file.write(data)
            os.replace(unfinished, self._path)
        except OSError:
            unfinished.unlink(missing_ok=True)

    def load(self, log: EventLog) -> Fleet | None:
        """The fleet that was saved for this log; None without a valid file."""
        try:
            with self._path.open("rb") as file:
                parts = _read(file)
                written_by, sequence, now, event, tables = next(parts)
                found = log.read(sequence - 1, 1) if 0 < sequence <= log.last else []
                if written_by != _written_by() or not found or _digest(encoded(found[0])) != event:
                    return None
                return _restored(parts, sequence, now, tables)
        except (OSError, _Damaged, StopIteration):
            return None


class _Damaged(Exception):
    """The file differs from what was written."""


def _read(file: IO[bytes]) -> Iterator[Any]:
    while head := file.read(24):
        data = file.read(int.from_bytes(head[:8], "little"))
        # `marshal` is unsafe on bytes that it did not write.
        if _digest(data) != head[8:]:
            raise _Damaged
        yield marshal.loads(data)


# Saving. The first part identifies the writer and the event. Parts with definitions, states and memberships follow, and an end part.


def _parts(fleet: Fleet, last: Event) -> Iterator[tuple[Any, ...]]:
    tables = {
        **{name: getattr(fleet, name) for name in _INDEXES},
        "numbers": fleet.numbers,
        "faults": {name: list(faults) for name, faults in fleet.faults.items()},
        "ended": [(ended, container.key, name) for ended, container, name in fleet.ended],
        "containers": [container.id for container in fleet.containers.values()],
    }
    yield _written_by(), fleet.sequence, fleet.now, _digest(encoded(last)), tables
    yield "definitions", [tuple(definition) for definition in fleet.definitions.values()]
    shared: dict[Any, Any] = {}
    for container in fleet.containers.values():
        for type_, states in container.resources.items():
            every = iter(states.values())
            while chunk := [_plain(state, shared) for state in islice(every, _CHUNK)]:
                yield "images", container.key, str(type_), chunk
        yield "members", container.key, {key: _membership(each) for key, each in container.members.items()}
    yield ("end",)


def _plain(value: Any, shared: dict[Any, Any]) -> Any:
    """The value as plain tuples, for `marshal`. Equal tuples inside it (tags, extensions) become one object."""
    if type(value) in _PLAIN:
        return value
    if isinstance(value, str):
        return value._value_  # type: ignore[attr-defined]  # a Word
    return tuple([item if type(item) in _PLAIN else _shared(item, shared) for item in value])


def _shared(value: Any, shared: dict[Any, Any]) -> Any:
    if not isinstance(value, tuple):
        return _plain(value, shared)
    known = shared.get(value)
    if known is None:
        known = shared[value] = _plain(value, shared)
    return known


def _membership(each: Membership) -> dict[str, Any]:
    return {name: list(value) if isinstance(value := getattr(each, name), deque) else value for name in Membership.__slots__}


# Restoring


def _restored(parts: Iterator[Any], sequence: int, now: int, tables: dict[str, Any]) -> Fleet:
    fleet = Fleet()
    fleet.now, fleet.sequence, fleet.numbers = now, sequence, tables["numbers"]
    for name in _INDEXES:
        setattr(fleet, name, tables[name])
    for id_ in tables["containers"][1:]:
        fleet.containers[id_.lower()] = Container(id_)
    for kind, *rest in parts:
        if kind == "end":
            faults = cast("dict[str, FaultState]", fleet.root.of(Type.FAULT))
            fleet.faults = {name: {each: faults[each] for each in names} for name, names in tables["faults"].items()}
            fleet.ended = deque((ended, fleet.containers[key], name) for ended, key, name in tables["ended"])
            return fleet
        if kind == "definitions":
            fleet.definitions = {values[0]: Definition(*values) for values in rest[0]}
        elif kind == "images":
            _put(fleet.containers[rest[0]], rest[1], rest[2])
        else:
            fleet.containers[rest[0]].members.update({key: _member(values) for key, values in rest[1].items()})
    raise _Damaged


def _put(container: Container, type_: str, values: list[tuple[Any, ...]]) -> None:
    make = STATES[type_]._make
    held = container.resources.setdefault(type_, {})
    for each in values:
        state = make(each)
        held[fold(state.name)] = state


def _member(values: dict[str, Any]) -> Membership:
    each = Membership(0)
    for name, value in values.items():
        setattr(each, name, deque(value) if name == "history" else value)
    return each
