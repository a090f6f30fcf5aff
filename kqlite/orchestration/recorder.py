"""The recorder: the only way to change a state. It turns each change into an event.

A request handler or controller calls `create`, `change`, `delete` and `note`. The recorder applies the change to the fleet at once and
keeps the event in `pending`. The control plane then commits the pending events to the log, or rolls them back. Setting a field such as
`due` also sets a timer.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TypeVar, cast

from kqlite.orchestration.activity_rates import RETURN_HOURS
from kqlite.orchestration.chance import Chance
from kqlite.orchestration.clock import DAY, HOUR, MINUTE
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

# By type: the fields that hold the time of a timer, and the controller that the timer wakes.
_DUE: dict[str, tuple[tuple[str, Wake], ...]] = {
    Type.VM: (("due", Wake.VM), ("health_due", Wake.HEALTH)),
    Type.SCALE_SET: (("due", Wake.SCALE_SET), ("repair_due", Wake.REPAIR), ("restore_due", Wake.RESTORE)),
    Type.GROUP: (("due", Wake.GROUP),),
    Type.FEATURE: (("due", Wake.FEATURE),),
    Type.PROVIDER: (("due", Wake.PROVIDER),),
    Type.FAULT: (("due", Wake.FAULT),),
}
AUTOSCALE_EVERY = MINUTE
SPOT_EVERY = 5 * MINUTE
ACTIVITY_EVERY = MINUTE


def next_after(now: int, first: int, every: int) -> int:
    """The earliest of `first`, `first + every`, `first + 2 * every`, .. that lies after `now`."""
    return first + max(0, (now - first) // every + 1) * every


class Recorder:
    """The fleet's state, the random streams, the timers, and the events that are not committed yet.

    Args:
        preview: Whether the service behaves as in the preview of August 2021, instead of as the later service.
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
        """Within it, events carry this actor, cause and operation."""
        before = (self.actor, self.cause, self.operation)
        self.actor, self.cause, self.operation = actor, cause, operation
        try:
            yield
        finally:
            self.actor, self.cause, self.operation = before

    def define(self, kind: str, document: dict[str, Any]) -> int:
        """The number of the definition with this document. Equal documents of a kind share one definition."""
        text = canonical(document)
        known = self.fleet.numbers.get(content_key(kind, text))
        if known is not None:
            return known
        # A copy: the caller may still change its own document.
        definition = Definition(len(self.fleet.definitions) + 1, kind, json.loads(text))
        self.fleet.define(definition)
        self._emit(Kind.DEFINED, Type.DEFINITION, "/kqlite/definitions/", str(definition.number), 1, definition, {})
        # Controllers read these facts later. Computing them now makes a bad document fail in the request.
        if kind in ("instance", "vm"):
            self.fleet.facts(definition.number)
        elif kind == "extension":
            self.fleet.probe(definition.number)
        return definition.number

    def create(self, container: Container, type_: str, state: Some, name: str = "") -> Some:
        """Create a resource.

        Args:
            state: Its state.
            name: The rest of its id after the container's scope, where it differs from `state.name`.
        """
        self.fleet.put(container, type_, None, state)
        self._emit(Kind.CREATED, type_, container.scope(type_), name or state.name, state.version, state, {})
        self._arm(container, type_, state, None)
        return state

    def change(self, container: Container, type_: str, old: Some, *, note: str = "", **fields: Any) -> Some:
        """Change fields of a resource. Equal values make no event.

        Args:
            old: The state now.
            note: The rest of the id, as `name` of `create`.
            fields: New values by field.

        Returns:
            The new state.
        """
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
        """Delete a resource."""
        scope = container.scope(type_)
        version = state.version
        gone = cast("Some", state._replace(version=version + 1))  # type: ignore[call-arg]  # a Definition is never deleted
        self.fleet.put(container, type_, state, None)
        self._emit(Kind.DELETED, type_, scope, name or state.name, version + 1, gone, {"version": version})

    def note(self, target: str, text: str) -> None:
        """Add an entry to the activity log about the resource with the id `target`."""
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
        """Set the timer of a setting's next evaluation: once a minute, at a second of its own."""
        due = next_after(self.now, setting.uid % AUTOSCALE_EVERY, AUTOSCALE_EVERY)
        self.timers.add(due, Wake.AUTOSCALE, setting.uid, group.key, setting.name.lower())

    def arm_activity(self, group: Container, scale_set: ScaleSetState) -> None:
        """Set the timer of the next simulated activity in a scale set: once a minute, at a second of its own."""
        due = next_after(self.now, scale_set.uid % ACTIVITY_EVERY, ACTIVITY_EVERY)
        self.timers.add(due, Wake.ACTIVITY, scale_set.uid, group.key, scale_set.name.lower())

    def arm_return(self, group: Container, vm: VmState) -> None:
        """Set the timer at which a simulated operator attends to a stopped or failed VM."""
        first = self.first_return(vm)
        if first:
            self.timers.add(next_after(self.now, first, DAY), Wake.RETURN, vm.uid, group.key, vm.name.lower())

    def first_return(self, vm: VmState) -> int:
        """When a simulated operator first attends to a VM; 0 for a VM that needs no attention."""
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
        """Set the timer of the next Spot price of a size in a region."""
        due = self.now // SPOT_EVERY * SPOT_EVERY + SPOT_EVERY
        if self._markets.get((location, size)) == due:
            return
        self._markets[location, size] = due
        self.timers.add(due, Wake.SPOT, 0, location, size)

    def rearm(self) -> None:
        """Make all timers again from the states, after a restart."""
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
        """Open a long-running operation.

        Args:
            verb: What it does, such as "virtualMachines/write".
            container: The group or subscription of the resource.
            target: Id of the resource.
            location: Region in whose list of operations it is shown.

        Returns:
            The operation's id.
        """
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
        """End an operation that still runs, with `failure` or successfully. status: another final status."""
        subscription = self.subscription(container)
        operation = cast("OperationState | None", subscription.get(Type.OPERATION, name))
        if operation is None or operation.ended:
            return
        status = status or ("Failed" if failure else "Succeeded")
        self.change(subscription, Type.OPERATION, operation, ended=self.now, status=status, failure=failure)

    def subscription(self, container: Container) -> Container:
        """The subscription of a group. A subscription is its own."""
        return self.fleet.containers[f"/subscriptions/{container.subscription}"]

    # Faults

    def count_hit(self, fault: FaultState) -> FaultState:
        """Count one hit of a fault."""
        return self.change(self.fleet.root, Type.FAULT, fault, used=fault.used + 1)

    def group(self, key: str) -> Container:
        """The container with this key. Raises CoreError if there is none."""
        container = self.fleet.containers.get(key)
        if container is None:
            raise CoreError(f"no container {key}")
        return container

    def roll_back(self, keep: int = 0) -> None:
        """Undo the pending events, except the first `keep`."""
        for event in reversed(self.pending[keep:]):
            self.fleet.undo(event)
        del self.pending[keep:]


def _order(state: State) -> int:
    return getattr(state, "uid", 0)
