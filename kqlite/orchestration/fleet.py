"""The fleet: the state of every resource, with indexes. Only `put` changes it; `apply` and `undo` call `put` for one event.

Controllers need counts: members by fault domain, VMs that an operation waits for, cores in use. `put` keeps the counts up to date, so that
no decision scans the fleet.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Iterator
from hashlib import blake2b
from typing import cast

from kqlite.orchestration.azure_offerings import RACKS
from kqlite.orchestration.clock import DAY, HOUR, MINUTE
from kqlite.orchestration.events import Event, Kind
from kqlite.orchestration.model import (
    ActivityState,
    Definition,
    DiskState,
    FaultState,
    GroupState,
    Health,
    MetricState,
    NicState,
    OperationState,
    Power,
    ProviderState,
    Provisioning,
    PublicIpState,
    ScaleSetState,
    State,
    Type,
    VmState,
)
from kqlite.orchestration.vm_profiles import Facts, HealthProbe, facts_of, health_probe_of

HISTORY = 13 * HOUR
"""How far back counts are kept for autoscale. The longest window of a rule is 12 hours, and metrics arrive late."""

OPERATIONS_KEPT = 10_000
"""The most ended operations that are kept."""

_ROOT_TYPES = (Type.SUBSCRIPTION, Type.FAULT, Type.METRIC, Type.DEFINITION, Type.NOTE, Type.ACTIVITY)
_IMPLIED_TYPES = (Type.DISK, Type.NIC, Type.PUBLIC_IP)
ACTIVITY = "activity"  # the name of the one `ActivityState`
_NO_RESOURCES: dict[str, State] = {}

canonical = json.JSONEncoder(sort_keys=True, ensure_ascii=False, separators=(",", ":")).encode


def fold(name: str) -> str:
    """The key of a name: ids compare without case. A name in lower case is returned itself, to save memory."""
    lower = name.lower()
    return name if lower == name else lower


def content_key(kind: str, text: str) -> bytes:
    """The key under which an equal definition is found."""
    return blake2b(f"{kind}:{text}".encode(), digest_size=16).digest()


class Container:
    """A resource group, a subscription, or the root, with its resources by type and key (`fold` of the name)."""

    __slots__ = ("_scopes", "id", "key", "members", "resources", "subscription")

    def __init__(self, id_: str) -> None:
        self.id = id_
        self.key = id_.lower()
        self.resources: dict[str, dict[str, State]] = {}
        self.members: dict[str, Membership] = {}
        self.subscription = self.key.split("/")[2] if id_ else ""
        self._scopes: dict[str, str] = {}

    @property
    def name(self) -> str:
        """The last part of the id."""
        return self.id.rpartition("/")[2]

    def of(self, type_: str) -> dict[str, State]:
        """All resources of a type, by key."""
        return self.resources.get(type_, _NO_RESOURCES)

    def get(self, type_: str, name: str) -> State | None:
        """The resource of this type and name; None if there is none."""
        return self.resources.get(type_, _NO_RESOURCES).get(name.lower())

    def vm(self, name: str) -> VmState | None:
        """The VM of this name."""
        return cast("VmState | None", self.get(Type.VM, name))

    def scale_set(self, name: str) -> ScaleSetState | None:
        """The scale set of this name."""
        return cast("ScaleSetState | None", self.get(Type.SCALE_SET, name))

    def scope(self, type_: str) -> str:
        """The part of a resource's id before its name, for resources of this type."""
        scope = self._scopes.get(type_)
        if scope is None:
            scope = self._scopes[type_] = self._make_scope(type_)
        return scope

    def _make_scope(self, type_: str) -> str:
        if type_ == Type.SUBSCRIPTION:
            return "/subscriptions/"
        if type_ == Type.GROUP:
            return f"{self.id}/resourceGroups/"
        if type_ == Type.FEATURE:
            return f"{self.id}/providers/Microsoft.Features/providers/Microsoft.Compute/features/"
        if type_ == Type.PROVIDER:
            return f"{self.id}/providers/"
        if type_ == Type.EXTENSION:
            return self.scope(Type.VM)
        return f"{self.id}/providers/{type_}/"


class Membership:
    """Counts and sets of the VMs of a scale set. The dictionaries are ordered sets of VM keys.

    Args:
        live: Members that are not being deleted.
        leaving: Members that are being deleted.
        unhealthy: Live members whose application is not healthy.
        notices: Members under a terminate notice.
        domains: Number of live members by fault domain.
        racks: Number of live members by fault domain and rack.
        zones: Number of live members by zone.
        busy: Number of VMs that the scale set controller waits for.
        repairing: Number of VMs that the repair controller waits for.
        serving: Number of live members that take load.
        history: (minute, serving) at each change of `serving`, the oldest first.
    """

    __slots__ = ("busy", "domains", "history", "leaving", "live", "notices", "racks", "repairing", "serving", "unhealthy", "zones")

    def __init__(self, domains: int) -> None:
        self.live: dict[str, None] = {}
        self.leaving: dict[str, None] = {}
        self.unhealthy: dict[str, None] = {}
        self.notices: dict[str, None] = {}
        self.domains = [0] * domains
        self.racks = [[0] * RACKS for _ in range(domains)]
        self.zones: dict[str, int] = {}
        self.busy = 0
        self.repairing = 0
        self.serving = 0
        self.history: deque[tuple[int, int]] = deque()

    @property
    def total(self) -> int:
        """The number of members, including those that are being deleted."""
        return len(self.live) + len(self.leaving)

    def add(self, key: str, vm: VmState, sign: int) -> None:
        """Count a VM as a member (sign 1), or no longer (sign -1)."""
        if vm.provisioning == Provisioning.DELETING:
            _toggle(self.leaving, key, sign)
        else:
            _toggle(self.live, key, sign)
            self.domains[vm.domain] += sign
            self.racks[vm.domain][vm.rack] += sign
            if vm.zone:
                self.zones[vm.zone] = self.zones.get(vm.zone, 0) + sign
            if vm.health in _NOT_HEALTHY:
                _toggle(self.unhealthy, key, sign)
            if serves(vm):
                self.serving += sign
        if vm.step.startswith("terminate"):
            _toggle(self.notices, key, sign)
        if vm.work == "set":
            self.busy += sign
        elif vm.work == "repair":
            self.repairing += sign

    def update(self, key: str, old: VmState, new: VmState) -> None:
        """Update the counts for a member that changed from `old` to `new` and is live in both, or leaving in both."""
        if new.provisioning != Provisioning.DELETING:
            if (old.domain, old.rack, old.zone) != (new.domain, new.rack, new.zone):
                self.add(key, old, -1)
                self.add(key, new, 1)
                return
            ill = new.health in _NOT_HEALTHY
            if ill != (old.health in _NOT_HEALTHY):
                _toggle(self.unhealthy, key, 1 if ill else -1)
            self.serving += serves(new) - serves(old)
        noticed = new.step.startswith("terminate")
        if noticed != old.step.startswith("terminate"):
            _toggle(self.notices, key, 1 if noticed else -1)
        if old.work != new.work:
            self.busy += (new.work == "set") - (old.work == "set")
            self.repairing += (new.work == "repair") - (old.work == "repair")

    def remember(self, now: int) -> None:
        """Add the current `serving` to the history. Metrics have a sample a minute, so one entry a minute is enough."""
        history = self.history
        since = -(-now // MINUTE) * MINUTE
        if history and history[-1][0] == since:
            history.pop()
        if not history or history[-1][1] != self.serving:
            history.append((since, self.serving))
        while len(history) > 1 and history[1][0] < now - HISTORY:
            history.popleft()


_NOT_HEALTHY = (Health.UNHEALTHY, Health.UNKNOWN)


def serves(vm: VmState) -> bool:
    """Whether a VM takes a share of the scale set's load."""
    return vm.power == Power.RUNNING and vm.provisioning == Provisioning.SUCCEEDED and vm.health in (Health.NONE, Health.HEALTHY)


def _is_deleting(vm: VmState) -> bool:
    return vm.provisioning == Provisioning.DELETING


def _toggle(keys: dict[str, None], key: str, sign: int) -> None:
    if sign > 0:
        keys[key] = None
    else:
        keys.pop(key, None)


class Fleet:
    """All state of the control plane.

    Args:
        now: The simulated time.
        sequence: Sequence number of the last event.
        definitions: Definitions by number.
        numbers: Numbers of definitions by `content_key`.
        containers: Groups, subscriptions and the root, by id in lower case.
        cores: Cores or VMs in use, by (subscription, location, quota name).
        open_work: Number of VMs that work for an operation, by operation id.
        open_operations: Number of operations that run.
        faults: Active faults by fault name and id.
        priced: Keys of the Spot VMs with a maximum price, by (location, size).
        fed: (time, value) of each metric that a user set, by the name of its `MetricState`.
        fed_vms: Keys of the VMs with metrics that a user set, by (group, metric).
        ended: Ended operations, the oldest first, for removal.
    """

    def __init__(self) -> None:
        self.now = 0
        self.sequence = 0
        self.definitions: dict[int, Definition] = {}
        self.numbers: dict[bytes, int] = {}
        self.root = Container("")
        self.containers: dict[str, Container] = {"": self.root}
        self.cores: dict[tuple[str, str, str], int] = {}
        self.open_work: dict[str, int] = {}
        self.open_operations = 0
        self.faults: dict[str, dict[str, FaultState]] = {}
        self.priced: dict[tuple[str, str], dict[tuple[str, str], None]] = {}
        self.fed: dict[str, list[tuple[int, float]]] = {}
        self.fed_vms: dict[tuple[str, str], dict[str, None]] = {}
        self._facts: dict[int, Facts] = {}
        self._probes: dict[int, HealthProbe | None] = {}
        self._scopes: dict[str, Container] = {}
        self.ended: deque[tuple[int, Container, str]] = deque()

    @property
    def size(self) -> int:
        """The number of states."""
        return sum(len(states) for container in self.containers.values() for states in container.resources.values())

    @property
    def activity(self) -> ActivityState | None:
        """How busy the fleet is; None if no level was ever set."""
        return cast("ActivityState | None", self.root.get(Type.ACTIVITY, ACTIVITY))

    def container(self, id_: str) -> Container | None:
        """The group or subscription with this id; None if there is none."""
        return self.containers.get(id_.lower())

    def facts(self, number: int) -> Facts:
        """The facts of the definition with this number."""
        facts = self._facts.get(number)
        if facts is None:
            facts = self._facts[number] = facts_of(self.definitions[number])
        return facts

    def probe(self, number: int) -> HealthProbe | None:
        """The health probe that the extension definition with this number describes; None for another extension."""
        if number not in self._probes:
            self._probes[number] = health_probe_of(self.definitions[number].document)
        return self._probes[number]

    def vm_probe(self, vm: VmState) -> HealthProbe | None:
        """The health probe of a VM; None without an installed health extension."""
        for _, number, state, _, _ in vm.extensions:
            if state == Provisioning.SUCCEEDED:
                probe = self.probe(number)
                if probe is not None:
                    return probe
        return None

    def membership(self, group: Container, set_name: str) -> Membership:
        """The membership of a scale set."""
        return group.members[set_name.lower()]

    def members(self, group: Container, set_name: str) -> Iterator[VmState]:
        """The live members of a scale set, in the order in which they joined."""
        vms = group.of(Type.VM)
        return (cast("VmState", vms[key]) for key in list(group.members[set_name.lower()].live))

    def groups(self, subscription: str) -> Iterator[Container]:
        """The groups of a subscription, in the order of their creation."""
        parent = self.containers[f"/subscriptions/{subscription}"]
        return (self.containers[f"{parent.key}/resourcegroups/{key}"] for key in list(parent.of(Type.GROUP)))

    def all_groups(self) -> Iterator[Container]:
        """The groups of all subscriptions."""
        for subscription in list(self.root.of(Type.SUBSCRIPTION)):
            yield from self.groups(subscription)

    def features(self, subscription: str) -> tuple[str, ...]:
        """The features that Compute honours for a subscription, in lower case."""
        provider = cast("ProviderState | None", self.containers[f"/subscriptions/{subscription}"].get(Type.PROVIDER, "Microsoft.Compute"))
        return provider.effective if provider is not None else ()

    def apply(self, event: Event) -> None:
        """Apply the next event."""
        self.now = event.time
        self.sequence = event.sequence
        if event.kind is Kind.NOTED:
            return
        if event.kind is Kind.DEFINED:
            self.define(cast("Definition", event.state))
            return
        container = self._scopes.get(event.scope) or self._find(event)
        old = event.before
        self.put(container, event.type, old, None if event.kind is Kind.DELETED else event.state)

    def undo(self, event: Event) -> None:
        """Undo this event, which must be the last one applied."""
        self.sequence = event.sequence - 1
        if event.kind is Kind.NOTED:
            return
        if event.kind is Kind.DEFINED:
            definition = cast("Definition", event.state)
            del self.definitions[definition.number]
            self._facts.pop(definition.number, None)
            self._probes.pop(definition.number, None)
            del self.numbers[content_key(definition.kind, canonical(definition.document))]
            return
        self.put(self._find(event), event.type, None if event.kind is Kind.DELETED else event.state, event.before)

    def _find(self, event: Event) -> Container:
        if event.type in _ROOT_TYPES:
            return self.root
        if event.type == Type.GROUP:
            return self.containers[event.scope.removesuffix("/resourceGroups/").lower()]
        container = self.containers[event.group.lower()]
        self._scopes[event.scope] = container
        return container

    def define(self, definition: Definition) -> None:
        """Add a definition."""
        self.definitions[definition.number] = definition
        self.numbers[content_key(definition.kind, canonical(definition.document))] = definition.number

    def put(self, container: Container, type_: str, old: State | None, new: State | None) -> None:
        """Replace the state of a resource and update the indexes.

        Args:
            container: The container of the resource.
            type_: Its type.
            old: The state before; None for a creation.
            new: The state after; None for a deletion.
        """
        if type_ == Type.VM:
            self._index_vm(container, cast("VmState | None", old), cast("VmState | None", new))
        elif type_ == Type.EXTENSION:
            return  # the VM's state holds its extensions
        elif type_ in _IMPLIED_TYPES:
            if new is not None and cast("DiskState | NicState | PublicIpState", new).implied:
                return
        else:
            self._index(container, type_, old, new)
        self._store(container, type_, old, new)

    def _store(self, container: Container, type_: str, old: State | None, new: State | None) -> None:
        if new is not None:
            store = container.resources.get(type_)
            if store is None:
                store = container.resources[type_] = {}
            if old is not None:
                store[new.name.lower()] = new
            else:
                store[fold(new.name)] = new
        elif old is not None:
            container.of(type_).pop(old.name.lower(), None)

    def _index(self, container: Container, type_: str, old: State | None, new: State | None) -> None:
        state = new if new is not None else old
        assert state is not None
        if type_ == Type.SCALE_SET:
            key = cast("ScaleSetState", state).name.lower()
            if old is None:
                container.members[key] = Membership(cast("ScaleSetState", state).domains)
            elif new is None:
                del container.members[key]
        elif type_ in (Type.GROUP, Type.SUBSCRIPTION):
            id_ = container.scope(type_) + cast("GroupState", state).name
            if old is None:
                self.containers[id_.lower()] = Container(id_)
            elif new is None:
                del self.containers[id_.lower()]
                self._scopes.clear()
        elif type_ == Type.OPERATION:
            self._index_operation(container, cast("OperationState | None", old), cast("OperationState | None", new))
        elif type_ == Type.METRIC:
            self._index_metric(cast("MetricState", state), cast("MetricState | None", new))
        elif type_ == Type.FAULT:
            fault = cast("FaultState", state)
            active = self.faults.setdefault(fault.fault, {})
            active.pop(fault.name, None)
            if new is not None and fault.active:
                active[fault.name] = fault

    def _index_metric(self, state: MetricState, new: MetricState | None) -> None:
        history = self.fed.setdefault(state.name, [])
        if history and history[-1][0] == self.now:
            history.pop()
        if new is not None:
            history.append((self.now, new.value))
        resource_id, _, metric = state.name.rpartition("|")
        owner, found, key = resource_id.partition("/providers/microsoft.compute/virtualmachines/")
        if found:
            self.fed_vms.setdefault((owner, metric), {})[key] = None

    def _index_operation(self, container: Container, old: OperationState | None, new: OperationState | None) -> None:
        self.open_operations += int(new is not None and not new.ended) - int(old is not None and not old.ended)
        if new is None or not new.ended:
            return
        self.ended.append((new.ended, container, new.name))
        while self.ended and (self.ended[0][0] < self.now - DAY or len(self.ended) > OPERATIONS_KEPT):
            _, holder, name = self.ended.popleft()
            if holder.of(Type.OPERATION):
                holder.of(Type.OPERATION).pop(name, None)

    def _index_vm(self, group: Container, old: VmState | None, new: VmState | None) -> None:
        if (
            old is not None
            and new is not None
            and old[_PLACEMENT_FIELDS] == new[_PLACEMENT_FIELDS]
            and old[_COUNTED_FIELDS] == new[_COUNTED_FIELDS]
        ):
            return
        kept = old is not None and new is not None and old.set == new.set and _is_deleting(old) == _is_deleting(new)
        if kept and new is not None and old is not None and new.set:
            group.members[new.set.lower()].update(fold(new.name), old, new)
        for vm, sign in ((old, -1), (new, 1)):
            if vm is None:
                continue
            if vm.set and not kept:
                group.members[vm.set.lower()].add(fold(vm.name), vm, sign)
            if vm.work and vm.work not in ("set", "repair"):
                self.open_work[vm.work] = self.open_work.get(vm.work, 0) + sign
                if not self.open_work[vm.work]:
                    del self.open_work[vm.work]
        if old is None or new is None or old.model != new.model:
            self._count(group, old, -1)
            self._count(group, new, 1)
        vm = new or old
        if vm is not None and vm.set:
            group.members[vm.set.lower()].remember(self.now)

    def _count(self, group: Container, vm: VmState | None, sign: int) -> None:
        if vm is None:
            return
        facts = self.facts(vm.model)
        kind = "lowPriorityCores" if facts.is_spot else facts.size.family
        for name, amount in ((kind, facts.size.vcpus), ("virtualMachines", 1)):
            usage = (group.subscription, vm.location, name)
            self.cores[usage] = self.cores.get(usage, 0) + sign * amount
        if not facts.is_spot:
            usage = (group.subscription, vm.location, "cores")
            self.cores[usage] = self.cores.get(usage, 0) + sign * facts.size.vcpus
        elif facts.max_price > 0:
            bought = self.priced.setdefault((vm.location, facts.size.name), {})
            key = (group.key, vm.name.lower())
            if sign > 0:
                bought[key] = None
            else:
                bought.pop(key, None)


_FIELDS = VmState._fields
_PLACEMENT_FIELDS = slice(_FIELDS.index("zone"), _FIELDS.index("model") + 1)
_COUNTED_FIELDS = slice(_FIELDS.index("domain"), _FIELDS.index("health") + 1)
