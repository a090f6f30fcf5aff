"""The one way to change anything: every change becomes an event, applied at once and held back until it is committed.

A request or a step calls `create`, `change`, `delete` and `note`; the control plane then commits what was gathered, or takes all
of it back. Timers follow from the states: whoever sets a `due` field is woken.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TypeVar, cast

from kqlite.orchestration.activity_rates import RETURN_HOURS
from kqlite.orchestration.chance import Chance
from kqlite.orchestration.clock import DAY, HOUR
from kqlite.orchestration.errors import CoreError
from kqlite.orchestration.events import Event, Kind
from kqlite.orchestration.fleet import Container, Fleet, canonical, content_key
from kqlite.orchestration.model import (
    Definition,
    Failure,
    FaultState,
    NoteState,
    OperationState,
    Power,
    Provisioning,
    ScaleSetState,
    SettingState,
    State,
    Type,
    VmState,
)
from kqlite.orchestration.timers import Timers, Wake

Some = TypeVar("Some", bound=State)

# Which fields of a state are times at which somebody wakes.
_DUE: dict[str, tuple[tuple[str, Wake], ...]] = {
    Type.VM: (("due", Wake.VM), ("health_due", Wake.HEALTH)),
    Type.SCALE_SET: (("due", Wake.SCALE_SET), ("repair_due", Wake.REPAIR), ("restore_due", Wake.RESTORE)),
    Type.GROUP: (("due", Wake.GROUP),),
    Type.FEATURE: (("due", Wake.FEATURE),),
    Type.PROVIDER: (("due", Wake.PROVIDER),),
    Type.FAULT: (("due", Wake.FAULT),),
}
AUTOSCALE_EVERY = 60 * 1_000_000
SPOT_EVERY = 5 * AUTOSCALE_EVERY
ACTIVITY_EVERY = 60 * 1_000_000


def next_after(now: int, first: int, every: int) -> int:
    """The first of the times `first`, `first + every`, .. that comes after now."""
    return first + max(0, (now - first) // every + 1) * every


class Recorder:
    """State, chance and timers, and the events that are not committed yet.

    actor, cause, operation: what the events of the current step carry.
    """

    def __init__(self, fleet: Fleet, chance: Chance, preview: bool) -> None:
        self.fleet = fleet
        self.chance = chance
        self.preview = preview
        self.timers = Timers()
        self._markets: dict[tuple[str, str], int] = {}
        self.pending: list[Event] = []
        self.now = 0
        self.actor = "user"
        self.cause = ""
        self.operation = ""

    @contextmanager
    def because(self, actor: str, cause: str, operation: str = "") -> Iterator[None]:
        """Events made inside carry this actor, cause and operation."""
        before = (self.actor, self.cause, self.operation)
        self.actor, self.cause, self.operation = actor, cause, operation
        try:
            yield
        finally:
            self.actor, self.cause, self.operation = before

    def define(self, kind: str, document: dict[str, Any]) -> int:
        """The number of this immutable document; equal documents share one."""
        text = canonical(document)
        known = self.fleet.numbers.get(content_key(kind, text))
        if known is not None:
            return known
        # The document is read back from its text, so that nobody can change it under the log.
        definition = Definition(len(self.fleet.definitions) + 1, kind, json.loads(text))
        self.fleet.define(definition)
        self._emit(Kind.DEFINED, Type.DEFINITION, "/kqlite/definitions/", str(definition.number), 1, definition, {})
        # What controllers will make of it is made now, so that it fails here, in the request, if it does.
        if kind in ("instance", "vm"):
            self.fleet.facts(definition.number)
        elif kind == "extension":
            self.fleet.probe(definition.number)
        return definition.number

    def create(self, container: Container, type_: str, state: Some, name: str = "") -> Some:
        """A new resource. name: the rest of its id after the container's scope, where that is not the state's name."""
        self.fleet.put(container, type_, None, state)
        self._emit(Kind.CREATED, type_, container.scope(type_), name or state.name, state.version, state, {})
        self._arm(container, type_, state, None)
        return state

    def change(self, container: Container, type_: str, old: Some, *, note: str = "", **fields: Any) -> Some:
        """The resource with these fields; nothing happens where none of them changes. note: the rest of the id, as in `create`."""
        previous = {}
        for field, value in fields.items():
            before = getattr(old, field)
            if before != value:
                previous[field] = before
        if not previous:
            return old
        version = old.version
        fields["version"] = version + 1
        previous["version"] = version
        new = cast("Some", old._replace(**fields))
        self.fleet.put(container, type_, old, new)
        self._emit(Kind.CHANGED, type_, container.scope(type_), note or new.name, version + 1, new, previous)
        self._arm(container, type_, new, previous)
        return new

    def delete(self, container: Container, type_: str, state: Some, name: str = "") -> None:
        """The resource is gone."""
        scope = container.scope(type_)
        version = state.version
        gone = cast("Some", state._replace(version=version + 1))  # type: ignore[call-arg]  # a Definition is never deleted
        self.fleet.put(container, type_, state, None)
        self._emit(Kind.DELETED, type_, scope, name or state.name, version + 1, gone, {"version": version})

    def note(self, target: str, text: str) -> None:
        """An entry of the activity log about the resource with the id `target`."""
        state = NoteState(str(self.fleet.sequence + 1), 1, target, text)
        self._emit(Kind.NOTED, Type.NOTE, "/kqlite/notes/", state.name, 1, state, {})

    def change_vm(self, group: Container, vm: VmState, **fields: Any) -> VmState:
        """`change` of a VM."""
        return self.change(group, Type.VM, vm, **fields)

    def change_set(self, group: Container, scale_set: ScaleSetState, **fields: Any) -> ScaleSetState:
        """`change` of a scale set."""
        return self.change(group, Type.SCALE_SET, scale_set, **fields)

    def _emit(self, kind: Kind, type_: str, scope: str, name: str, version: int, state: State, previous: dict[str, Any]) -> None:
        fleet = self.fleet
        fleet.sequence += 1
        self.pending.append(
            Event(fleet.sequence, self.now, kind, type_, scope, name, version, self.operation, self.actor, self.cause, state, previous)
        )

    def _arm(self, container: Container, type_: str, state: State, previous: dict[str, Any] | None) -> None:
        for field, wake in _DUE.get(type_, ()):
            if previous is None or field in previous:
                due = getattr(state, field)
                if due:
                    self.timers.add(due, wake, _order(state), container.key, state.name.lower())
        if type_ == Type.AUTOSCALE and previous is None:
            self.arm_autoscale(container, cast("SettingState", state))
        elif type_ == Type.VM:
            if previous is None or "model" in previous:
                self._arm_market(cast("VmState", state))
            if previous is not None and "settled" in previous and self.fleet.activity is not None:
                self.arm_return(container, cast("VmState", state))
        elif type_ == Type.SCALE_SET and previous is None and self.fleet.activity is not None:
            self.arm_activity(container, cast("ScaleSetState", state))
        elif type_ == Type.ACTIVITY and previous is None:
            self._arm_all_activity()

    def arm_autoscale(self, group: Container, setting: SettingState) -> None:
        """Wake autoscale at the setting's next look: one a minute, at a second of its own."""
        due = next_after(self.now, setting.uid % AUTOSCALE_EVERY, AUTOSCALE_EVERY)
        self.timers.add(due, Wake.AUTOSCALE, setting.uid, group.key, setting.name.lower())

    def arm_activity(self, group: Container, scale_set: ScaleSetState) -> None:
        """Wake activity at its next look at a scale set: one a minute, at a second of the set's own."""
        due = next_after(self.now, scale_set.uid % ACTIVITY_EVERY, ACTIVITY_EVERY)
        self.timers.add(due, Wake.ACTIVITY, scale_set.uid, group.key, scale_set.name.lower())

    def arm_return(self, group: Container, vm: VmState) -> None:
        """Wake whoever sees to a VM that was stopped or has failed; nobody sees to one that runs well."""
        first = self.first_return(vm)
        if first:
            self.timers.add(next_after(self.now, first, DAY), Wake.RETURN, vm.uid, group.key, vm.name.lower())

    def first_return(self, vm: VmState) -> int:
        """When a person first sees to a VM; 0 where nobody needs to."""
        if vm.step or not vm.settled or (vm.power not in (Power.STOPPED, Power.DEALLOCATED) and vm.provisioning != Provisioning.FAILED):
            return 0
        return vm.settled + round(self.chance.triangular(RETURN_HOURS, "return", vm.uid, vm.turn) * HOUR)

    def _arm_all_activity(self) -> None:
        for container in list(self.fleet.containers.values()):
            for scale_set in container.of(Type.SCALE_SET).values():
                self.arm_activity(container, cast("ScaleSetState", scale_set))
            for vm in container.of(Type.VM).values():
                self.arm_return(container, cast("VmState", vm))

    def _arm_market(self, vm: VmState) -> None:
        facts = self.fleet.facts(vm.model)
        if facts.is_spot and facts.max_price > 0:
            self.arm_market(vm.location, facts.size.name)

    def arm_market(self, location: str, size: str) -> None:
        """Wake the Spot market of a size in a region at its next price."""
        due = self.now // SPOT_EVERY * SPOT_EVERY + SPOT_EVERY
        if self._markets.get((location, size)) == due:
            return
        self._markets[location, size] = due
        self.timers.add(due, Wake.SPOT, 0, location, size)

    def rearm(self) -> None:
        """Make the timers again from the states, after a restart."""
        fleet = self.fleet
        self.timers.clear()
        self._markets.clear()
        for container in list(fleet.containers.values()):
            for type_, fields in _DUE.items():
                for state in container.of(type_).values():
                    for field, wake in fields:
                        due = getattr(state, field)
                        if due:
                            self.timers.add(due, wake, _order(state), container.key, state.name.lower())
            for setting in container.of(Type.AUTOSCALE).values():
                self.arm_autoscale(container, cast("SettingState", setting))
        if fleet.activity is not None:
            self._arm_all_activity()
        for (location, size), bought in fleet.priced.items():
            if bought:
                self.arm_market(location, size)

    # Operations

    def open_operation(self, verb: str, container: Container, target: str, location: str) -> str:
        """A new long-running operation on the resource with the id `target`; its id."""
        subscription = self.subscription(container)
        key = f"{verb} {target.lower()} {self.now}"
        counter = 0
        name = self.chance.guid("operation", key)
        while subscription.get(Type.OPERATION, name) is not None:
            counter += 1
            name = self.chance.guid("operation", key, counter)
        self.operation = name
        self.create(subscription, Type.OPERATION, OperationState(name, 1, verb, target, location, self.now, 0, "InProgress", ()))
        return name

    def end_operation(self, container: Container, name: str, failure: Failure | tuple[()] = (), status: str = "") -> None:
        """The operation has ended, well or with a failure."""
        subscription = self.subscription(container)
        operation = cast("OperationState | None", subscription.get(Type.OPERATION, name))
        if operation is None or operation.ended:
            return
        status = status or ("Failed" if failure else "Succeeded")
        self.change(subscription, Type.OPERATION, operation, ended=self.now, status=status, failure=failure)

    def subscription(self, container: Container) -> Container:
        """The subscription that a group or a subscription lies in."""
        return self.fleet.containers[f"/subscriptions/{container.subscription}"]

    # Faults

    def strike(self, fault: FaultState) -> FaultState:
        """Count that a fault struck."""
        return self.change(self.fleet.root, Type.FAULT, fault, used=fault.used + 1)

    def group(self, key: str) -> Container:
        """The container of this key. Raises CoreError where it is gone."""
        container = self.fleet.containers.get(key)
        if container is None:
            raise CoreError(f"no container {key}")
        return container

    def take_back(self, mark: int = 0) -> None:
        """Undo the events that are not committed, those from position `mark` on."""
        for event in reversed(self.pending[mark:]):
            self.fleet.undo(event)
        del self.pending[mark:]


def _order(state: State) -> int:
    return getattr(state, "uid", 0)
