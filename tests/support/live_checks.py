"""What an inventory shows, in the form of the oracle `arm_rows`, and whether its change records are complete."""

import json
from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import Any

from kqlite.connection import Connection
from kqlite.orchestration.clock import DAY, HOUR, from_datetime
from kqlite.orchestration.events import Event, Kind
from kqlite.orchestration.log import EventLog, every_event
from kqlite.orchestration.model import Type
from kqlite.result import SnapshotInfo
from tests.support.arm_rows import COLUMNS, TABLES, Row, State, changes_between, without_nothing

RESOURCES = frozenset(
    {
        *(Type.VM, Type.SCALE_SET, Type.EXTENSION, Type.DISK, Type.NIC, Type.PUBLIC_IP, Type.LOAD_BALANCER, Type.PLACEMENT_GROUP),
        *(Type.AUTOSCALE, Type.LOCK),
    }
)
CONTAINERS = frozenset({Type.SUBSCRIPTION, Type.GROUP})
KEPT = 14 * DAY
_WORDS = {Kind.CREATED: "Create", Kind.CHANGED: "Update", Kind.DELETED: "Delete"}


def shown(connection: Connection) -> tuple[SnapshotInfo, State]:
    """All rows of the inventory. Nothing may be brought in between one table and the next: the clock is manual."""
    state: State = {}
    snapshots = []
    for table in TABLES:
        result = connection.query(f"{table} | project {', '.join(COLUMNS)}")
        snapshots.append(result.snapshot)
        rows = result.to_pylist()
        state |= {(table, row["id"].lower()): without_nothing(row) for row in rows}
        assert sum(key[0] == table for key in state) == len(rows), f"two rows of {table} have one id"
    assert len({(each.sequence, each.watermark) for each in snapshots}) == 1
    return snapshots[0], state


def assert_same(found: State, expected: State) -> None:
    """Whether two states are equal, document by document, 1 being neither 1.0 nor true."""
    assert found.keys() == expected.keys(), f"missing: {expected.keys() - found.keys()}; too many: {found.keys() - expected.keys()}"
    for key, row in found.items():
        assert exact(row) == exact(expected[key]), f"{key}: {dict(sorted(changes_between(expected[key], row).items()))}"


def exact(row: Row | None) -> str:
    """A row as text, so that nothing equals what it only resembles."""
    return json.dumps(row, sort_keys=True)


# Answers to `live_processes.QUESTION`


def check_answers(log: EventLog, answers: Iterable[tuple[int, dict[str, str]]]) -> None:
    """Each answer was right as of its sequence number."""
    machines: dict[str, str] = {}
    events = every_event(log)
    at = 0
    for sequence, answer in sorted(answers, key=lambda answer: answer[0]):
        while at < sequence:
            event = next(events)
            at = event.sequence
            if event.type == Type.VM and event.kind is Kind.DELETED:
                del machines[event.id]
            elif event.type == Type.VM:
                machines[event.id] = event.state.provisioning
        assert answer == machines, f"at {sequence}"


# Change records


def records(connection: Connection) -> dict[int, dict[str, Any]]:
    """The change records of both tables by sequence number, in the order of their ids; none twice."""
    found: dict[int, dict[str, Any]] = {}
    for table in ("resourcechanges", "resourcecontainerchanges"):
        for row in connection.query(f"{table} | project name, type, properties | order by name asc").to_pylist():
            sequence = int(row["name"])
            assert sequence not in found, f"event {sequence} has two records"
            assert row["type"] == "microsoft.resources/changes"
            found[sequence] = {"table": table, **row["properties"]}
    return found


def told(event: Event) -> bool:
    """Whether there has to be a record of an event."""
    return event.kind in _WORDS and event.type in RESOURCES | CONTAINERS


def check_records(found: Mapping[int, Mapping[str, Any]], log: EventLog, offset: int, now: int) -> None:
    """There is one record of each event of a resource up to a offset, as far as it is not too old: no gap, and none twice.

    now: the simulated time. What is older than 14 days is gone within the hour after.
    """
    for event in every_event(log):
        if not told(event) or event.sequence > offset:
            assert event.sequence not in found, f"a record of {event}"
            continue
        age = now - event.time
        if age <= KEPT:
            assert event.sequence in found, f"no record of {event}"
        elif age > KEPT + HOUR + 2 * 60_000_000:
            assert event.sequence not in found, f"{event} is kept too long"
        if event.sequence in found:
            check_record(found[event.sequence], event)


def check_record(record: Mapping[str, Any], event: Event) -> None:
    """What a record says beside the properties that changed."""
    assert record["table"] == ("resourcecontainerchanges" if event.type in CONTAINERS else "resourcechanges")
    assert record["changeType"] == _WORDS[event.kind]
    assert record["targetResourceType"] == event.type.lower()
    if event.type != Type.LOCK:  # its event is kept at its group
        assert record["targetResourceId"] == event.id
    attributes = record["changeAttributes"]
    assert attributes["changedBy"] == event.actor
    stamp = timedelta(microseconds=event.time - from_datetime(_datetime(attributes["timestamp"])))
    assert stamp == timedelta(0), f"{event} is told to be of {attributes['timestamp']}"
    assert (event.kind is Kind.CHANGED) == (record.get("changes") is not None)
    assert attributes["changesCount"] == len(record.get("changes") or {})


def told_changes(record: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    """Path, value before and value after of what a record says was changed; None where there was no value."""
    found = {}
    for path, change in record["changes"].items():
        inserted = change["propertyChangeType"] == "Insert"
        assert not inserted or change["previousValue"] == "null"
        assert ("newValue" in change) == (change["propertyChangeType"] != "Remove")
        assert change["changeCategory"] == ("User" if record["changeAttributes"]["changedBy"] == "user" else "System")
        found[path] = (None if inserted else change["previousValue"], change.get("newValue"))
    return found


def _datetime(text: str) -> Any:
    from datetime import datetime

    # Seven digits are more than Python reads.
    return datetime.fromisoformat(text[:26] + text[27:])
