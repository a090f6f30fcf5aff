"""Which changes show in hot leaves alone, so that no row need be made: what is stored is updated in place.

Most events of a fleet are such: machines start, stop and are provisioned.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from operator import attrgetter
from typing import Any, TypeVar, cast

from kqlite.inventory.shapes.documents import Value
from kqlite.inventory.shapes.resource_tables import HOT_LEAVES
from kqlite.orchestration import arm_documents
from kqlite.orchestration.events import Event, Kind
from kqlite.orchestration.model import Power, Provisioning, State, Type, VmState
from kqlite.snapshotter.resource_rows import Definitions, Row, row

Leaves = tuple[Value, ...]
Differences = tuple[tuple[str, Value, Value], ...]
Some = TypeVar("Some")

_MOST_STATES = 100_000
NAME = "\0"
"""Stands for the name of whichever computer; no computer's name has such a character."""


@dataclass(frozen=True)
class Showing:
    """Where the fields of a state show in the row of its type.

    hot: in hot leaves alone. nowhere: in no leaf. following: the other fields that hot leaves hang on.
    absent: the hot field for whose empty value an object is missing, which is more than a leaf.
    at_work: values of the hot fields for which everything shows that hot leaves take from the model.
    """

    hot: tuple[str, ...]
    nowhere: tuple[str, ...]
    following: tuple[str, ...] = ()
    absent: str = ""
    at_work: Mapping[str, Any] = field(default_factory=dict)


SHOWING: dict[str, Showing] = {
    Type.VM: Showing(
        hot=("provisioning", "power"),
        nowhere=(
            *("version", "rack", "failure", "changed", "settled", "step", "due", "work", "turn", "extensions"),
            *("health", "answer", "health_due", "disk_version", "generalized"),
        ),
        following=("model", "domain", "domain_asked"),
        absent="power",
        at_work={"provisioning": Provisioning.SUCCEEDED, "power": Power.RUNNING},
    ),
    Type.SCALE_SET: Showing(
        hot=("provisioning", "capacity"),
        nowhere=(
            *("version", "failure", "serial", "operation", "due", "repair", "repair_rounds", "repair_due"),
            *("regular", "protected", "evicted", "restore_due"),
        ),
        following=("model",),
        at_work={"provisioning": Provisioning.SUCCEEDED, "capacity": 1},
    ),
    Type.DISK: Showing(hot=("state",), nowhere=("version", "lun", "implied")),
    Type.EXTENSION: Showing(hot=("provisioning",), nowhere=("version", "failure")),
}
"""By type in ARM's casing; a type that is not here has rows without hot leaves."""


@dataclass(frozen=True, eq=False)
class Move:
    """What every machine changes that goes from one state to another.

    differences: path, value before, value after; None for none. changed: a bit for each of `tables.HOT_LEAVES`, set for those in them.
    name_at: which of them is the computer's name, of which each machine has its own and for which `NAME` stands there; -1 for none.
    """

    differences: Differences
    changed: int = 0
    name_at: int = -1


_NO_MOVE = Move(())


class HotLeaves:
    """The hot leaves of states.

    definitions: grows as events define more.
    """

    def __init__(self, definitions: Definitions) -> None:
        self._definitions = definitions
        self._types = {type_: _TypeLeaves(type_, showing, definitions) for type_, showing in SHOWING.items()}

    def touches_hot_alone(self, event: Event) -> bool:
        """Whether the resource's row after the event differs from that before it in hot leaves alone, if at all."""
        known = self._types.get(event.type)
        return known is not None and event.kind is Kind.CHANGED and event.previous.keys() <= known.unseen and not known.parts_change(event)

    def tells_all(self, event: Event) -> bool:
        """Whether `changes` of the event names every leaf that it changed: an object that comes or goes does so with its hot leaves."""
        known = self._types.get(event.type)
        return known is not None and event.kind is Kind.CHANGED and event.previous.keys() <= known.unseen

    def values(self, event: Event, state: State) -> Leaves:
        """The hot leaves that the event's resource has while `state` is its state, in the order of `tables.HOT_LEAVES`."""
        return self._types[event.type].values(event, state)

    def move(self, event: Event) -> Move:
        """The hot leaves in which the resource differs after the event from before: one object for all that make the same move."""
        return self._types[event.type].move(event)

    def name(self, event: Event) -> str:
        """The name of the computer that the event's machine is."""
        return arm_documents.computer_name(cast("VmState", event.state), self._definitions)


class _TypeLeaves:
    def __init__(self, type_: str, showing: Showing, definitions: Definitions) -> None:
        self.unseen = frozenset(showing.hot + showing.nowhere)
        self._definitions = definitions
        self._paths = HOT_LEAVES[type_.lower()]
        self._absent = showing.absent
        self._fields = showing.hot + showing.following
        self._shown = attrgetter(*self._fields)
        self._hot = frozenset(showing.hot)
        self._known: dict[Any, Leaves] = {}
        self._moves: dict[Any, Move] = {}
        self._model_at = self._fields.index("model") if "model" in self._fields else -1
        self._at_work = showing.at_work
        self._alike: dict[int, Leaves] = {}  # by model, what shows of it
        self._name_at = next((at for at, path in enumerate(self._paths) if path.endswith(".computerName")), -1)

    def parts_change(self, event: Event) -> bool:
        """Whether an object comes or goes, and not only its leaves."""
        name = self._absent
        return name in event.previous and bool(event.previous[name]) != bool(getattr(event.state, name))

    def _in_class(self, event: Event, fields: Any) -> Any:
        """The fields with the model replaced by what shows of it: thousands of models, each of one scale set, show the same."""
        at = self._model_at
        if at < 0:
            return fields
        shown = self._alike.get(fields[at])
        if shown is None:
            at_work: Mapping[str, Any] = {**self._at_work, "model": fields[at]}
            shown = _remember(self._alike, fields[at], self._leaves(event, event.state._replace(**at_work)))
        return (*fields[:at], shown, *fields[at + 1 :])

    def values(self, event: Event, state: State) -> Leaves:
        known = self._of(event, state, self._shown(state))
        at = self._name_at
        if not isinstance(state, VmState) or known[at] is None:
            return known
        return (*known[:at], arm_documents.computer_name(state, self._definitions), *known[at + 1 :])

    def _of(self, event: Event, state: State, fields: Any) -> Leaves:
        known = self._known.get(fields)
        if known is None:
            in_class = self._in_class(event, fields)
            known = self._known.get(in_class) or _remember(self._known, in_class, self._leaves(event, state))
            _remember(self._known, fields, known)
        return known

    def _leaves(self, event: Event, state: State) -> Leaves:
        shown = row(event, state, self._definitions)
        leaves = tuple(_leaf(shown, path) for path in self._paths)
        at = self._name_at
        # Of all hot leaves only the computer's name differs between machines in one state.
        return leaves if at < 0 or leaves[at] is None else (*leaves[:at], NAME, *leaves[at + 1 :])

    def move(self, event: Event) -> Move:
        previous = event.previous
        if self._hot.isdisjoint(previous):
            return _NO_MOVE
        now = self._shown(event.state)
        was = tuple(map(previous.get, self._fields, now)) if len(self._fields) > 1 else previous[self._fields[0]]
        known = self._moves.get((was, now))
        if known is None:
            in_class = self._in_class(event, was), self._in_class(event, now)
            known = self._moves.get(in_class) or _remember(self._moves, in_class, self._move(event, was, now))
            _remember(self._moves, (was, now), known)
        return known

    def _move(self, event: Event, was: Any, now: Any) -> Move:
        before = event.before
        assert before is not None
        old, new = self._of(event, before, was), self._of(event, event.state, now)
        differences = tuple(each for each in zip(self._paths, old, new, strict=True) if each[1] != each[2])
        changed = sum(1 << at for at, (was_so, is_so) in enumerate(zip(old, new, strict=True)) if was_so != is_so)
        return Move(differences, changed, next((at for at, (_, *values) in enumerate(differences) if NAME in values), -1))


def _remember(known: dict[Any, Some], key: Any, value: Some) -> Some:
    if len(known) > _MOST_STATES:
        known.clear()
    known[key] = value
    return value


def _leaf(value: Row, path: str) -> Value:
    found: Value = value
    for name in path.split("."):
        found = found.get(name) if found is not None else None
    return found
