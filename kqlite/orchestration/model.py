"""The state of each resource, as a compact immutable record: one named tuple class for each kind of resource.

A state holds strings, numbers and tuples alone. A million states fit in memory, and the event log writes a state as a short JSON array.
The values `0`, `""` and `()` mean "none". Times are microseconds since 1970-01-01T00:00Z.

Fields named `model`, `profile` or `definition` hold the number of a `Definition`: an immutable document that the log holds already. A fleet
of 1,000 instances refers to one document instead of repeating it:

    event  kind     state
    41     defined  Definition(7, "instance", {"size": "Standard_D2s_v3", "profile": {..}})
    42     created  VmState("web_0a1b2c3d", version=1, .., model=7, power="")
    57     changed  VmState("web_0a1b2c3d", version=2, .., model=7, power="starting")
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from enum import StrEnum
from typing import Any, NamedTuple

Tags = tuple[tuple[str, str], ...]
Failure = tuple[str, str]  # code, message


# Members of the body of a VM or scale set, outside `properties`, that are stored and shown.
TOP_LEVEL_MEMBERS = ("identity", "plan", "extendedLocation", "placement")


class Word(StrEnum):
    """An enumeration whose members print as plain text, as the values do that the log gives back."""

    __repr__ = str.__repr__


class Type(Word):
    """Resource types in ARM's casing. Types that begin with "kqlite/" are records of the core and no Azure resources."""

    SUBSCRIPTION = "Microsoft.Resources/subscriptions"
    GROUP = "Microsoft.Resources/subscriptions/resourceGroups"
    SCALE_SET = "Microsoft.Compute/virtualMachineScaleSets"
    VM = "Microsoft.Compute/virtualMachines"
    EXTENSION = "Microsoft.Compute/virtualMachines/extensions"
    DISK = "Microsoft.Compute/disks"
    NIC = "Microsoft.Network/networkInterfaces"
    PUBLIC_IP = "Microsoft.Network/publicIPAddresses"
    LOAD_BALANCER = "Microsoft.Network/loadBalancers"
    PLACEMENT_GROUP = "Microsoft.Compute/proximityPlacementGroups"
    AUTOSCALE = "Microsoft.Insights/autoscaleSettings"
    LOCK = "Microsoft.Authorization/locks"
    FEATURE = "Microsoft.Features/providers/features"
    PROVIDER = "Microsoft.Resources/providers"
    OPERATION = "Microsoft.Compute/locations/operations"
    DEFINITION = "kqlite/definitions"
    FAULT = "kqlite/faults"
    METRIC = "kqlite/metrics"
    NOTE = "kqlite/notes"
    ACTIVITY = "kqlite/activity"


class Provisioning(Word):
    """`provisioningState`."""

    CREATING = "Creating"
    UPDATING = "Updating"
    SUCCEEDED = "Succeeded"
    FAILED = "Failed"
    DELETING = "Deleting"


class Power(Word):
    """`PowerState/..` of an instance view. NONE: the VM was never allocated."""

    NONE = ""
    STARTING = "starting"
    RUNNING = "running"
    STOPPING = "stopping"
    STOPPED = "stopped"
    DEALLOCATING = "deallocating"
    DEALLOCATED = "deallocated"
    UNKNOWN = "unknown"


class Health(Word):
    """`HealthState/..` of an instance view. NONE: no Application Health extension reports."""

    NONE = ""
    HEALTHY = "healthy"
    UNHEALTHY = "unhealthy"
    INITIALIZING = "initializing"
    UNKNOWN = "unknown"


class Step(Word):
    """What is under way on a VM. The step ends at the time in the state's `due`."""

    NONE = ""
    ALLOCATE = "allocate"
    BOOT = "boot"
    PROVISION = "provision"
    EXTENSIONS = "extensions"
    START = "start"
    START_ALLOCATE = "start-deallocated"
    POWER_OFF = "powerOff"
    DEALLOCATE = "deallocate"
    RESTART = "restart"
    REDEPLOY = "redeploy"
    REIMAGE = "reimage"
    REAPPLY = "reapply"
    UPDATE = "update"
    DELETE = "delete"
    NOTICE = "terminate-notice"
    APPROVED = "terminate-approved"
    PREEMPT = "preempt-notice"
    EVICT_DELETE = "evict"
    OUTAGE = "outage"
    REBOOT = "reboot"
    FREEZE = "freeze"


class Definition(NamedTuple):
    """An immutable document.

    Args:
        number: Numbers definitions from 1, in the order in which they were logged.
        kind: What the document describes: "instance" (size and profile of a scale set), "vm", "set", "extension", "setting", ..
        document: The JSON document.
    """

    number: int
    kind: str
    document: dict[str, Any]

    @property
    def name(self) -> str:
        """The number as text: the name by which the event log knows a definition."""
        return str(self.number)

    @property
    def version(self) -> int:
        """A definition never changes, so it keeps its first version."""
        return 1


class SubscriptionState(NamedTuple):
    """A subscription."""

    name: str
    version: int
    created: int


class GroupState(NamedTuple):
    """A resource group."""

    name: str
    version: int
    uid: int
    location: str
    tags: Tags
    created: int
    provisioning: str
    operation: str
    due: int


class ScaleSetState(NamedTuple):
    """A scale set: its goal (`capacity`, `profile`) and the progress of its controller.

    Args:
        domains: Number of fault domains.
        model: Definition of all that the body says except the profile.
        profile: Definition of size and profile; 0 for a set without one. Where the set mixes priorities, that of the Spot instances.
        capacity: Number of instances that the set is to have.
        serial: Number of instances created from the profile so far. It selects the random stream for the next instance's name.
        operation: Id of the running operation that scales the set; "" when there is none.
        due: When the scale set controller wakes.
        repair: Service state of automatic repairs: "Running", "NotRunning" or "Suspended"; "" without a policy.
        repair_rounds: Rounds of repair in a row in which no instance became healthy.
        repair_due: When the repair controller wakes.
        regular: Definition of the Regular instances of a set that mixes priorities; 0 for other sets.
        protected: (instance name in lower case, "scale-in" or "actions") for each protected instance.
        evicted: (instance name in lower case, time until which the platform tries to restore it) for each evicted instance.
        restore_due: When the platform tries again to restore evicted instances.
    """

    name: str
    version: int
    uid: int
    location: str
    zones: tuple[str, ...]
    domains: int
    model: int
    profile: int
    tags: Tags
    created: int
    provisioning: str
    failure: Failure | tuple[()]
    capacity: int
    serial: int
    operation: str
    due: int
    repair: str
    repair_rounds: int
    repair_due: int
    regular: int = 0
    protected: tuple[tuple[str, str], ...] = ()
    evicted: tuple[tuple[str, int], ...] = ()
    restore_due: int = 0


class VmState(NamedTuple):
    """A virtual machine.

    Args:
        set: Name of its scale set, in the same group; "" for a standalone VM.
        model: Definition of kind "instance" or "vm".
        domain: Fault domain; -1 outside a scale set.
        domain_asked: Whether the request named the fault domain.
        rack: Rack inside the fault domain. No document shows it; rack outages use it.
        changed: When the provisioning state last changed.
        settled: When the last step ended. The grace period of automatic repair begins then.
        step: What is under way, a `Step`.
        due: When the step ends.
        work: What waits for the step: "set", "repair" or the id of an operation; "" when the VM is idle.
        turn: Number of steps begun so far. It selects the random stream for the step's duration.
        extensions: (name, definition, provisioning state, version, failure code) for each extension.
        health: Health state, a `Health`.
        answer: What the application answers to health probes; "" for healthy.
        health_due: When the health state changes.
        disk_version: Version of the implied disks of this VM.
    """

    name: str
    version: int
    uid: int
    location: str
    zone: str
    set: str
    model: int
    tags: Tags
    created: int
    domain: int
    domain_asked: bool
    rack: int
    provisioning: str
    power: str
    failure: Failure | tuple[()]
    changed: int
    settled: int
    step: str
    due: int
    work: str
    turn: int
    extensions: tuple[tuple[str, int, str, int, str], ...]
    health: str
    answer: str
    health_due: int
    disk_version: int
    generalized: bool


class ExtensionState(NamedTuple):
    """An extension of a VM. The VM's own state repeats what it says."""

    name: str
    version: int
    vm: str
    location: str
    definition: int
    provisioning: str
    failure: str


class DiskState(NamedTuple):
    """A managed disk.

    Args:
        vm: Name of the VM that it is attached to; "" for an unattached disk.
        lun: Logical unit number; -1 for an OS disk.
        state: `diskState`.
        implied: Whether it follows from its VM's state and model alone. The fleet keeps no copy of an implied resource.
        definition: What its body said beyond the other fields; 0 for a disk that no request described.
    """

    name: str
    version: int
    uid: int
    location: str
    zone: str
    tags: Tags
    created: int
    vm: str
    lun: int
    size_gb: int
    sku: str
    os_type: str
    state: str
    implied: bool
    definition: int = 0


class NicState(NamedTuple):
    """A network interface.

    Args:
        vm: Name of its VM; "" for none.
        definition: Its configuration, a document of kind "nic".
        implied: As for a disk.
        beside: What its body said outside `properties`; 0 for nothing.
    """

    name: str
    version: int
    uid: int
    location: str
    tags: Tags
    created: int
    vm: str
    definition: int
    address: str
    public_ip: str
    implied: bool
    beside: int = 0


class PublicIpState(NamedTuple):
    """A public IP address.

    Args:
        nic: Name of the interface that uses it; "" for none.
        implied: As for a disk.
        definition: What its body said; 0 for an address that no request described.
    """

    name: str
    version: int
    uid: int
    location: str
    tags: Tags
    created: int
    nic: str
    address: str
    sku: str
    implied: bool
    definition: int = 0


class ResourceState(NamedTuple):
    """A resource that is stored and shown as the request gave it: a proximity placement group, load balancer or lock."""

    name: str
    version: int
    uid: int
    location: str
    tags: Tags
    created: int
    definition: int


class SettingState(NamedTuple):
    """An autoscale setting.

    Args:
        definition: The setting's properties.
        target: Id of the scale set.
        blocked: End of the cooldown: autoscale does not act before it.
        last_action: When autoscale acted last.
        missing: Whether a metric had no value at the last evaluation.
    """

    name: str
    version: int
    uid: int
    location: str
    tags: Tags
    created: int
    definition: int
    target: str
    blocked: int
    last_action: int
    missing: bool


class FeatureState(NamedTuple):
    """A preview feature of a subscription and its registration."""

    name: str
    version: int
    state: str
    due: int


class ProviderState(NamedTuple):
    """The registration of a resource provider.

    Args:
        effective: The features that were registered when the provider's last registration ended. Compute honours these alone.
    """

    name: str
    version: int
    state: str
    due: int
    effective: tuple[str, ...]


class OperationState(NamedTuple):
    """A long-running operation.

    Args:
        verb: What it does, such as "virtualMachines/write".
        target: Id of the resource.
        ended: When it ended; 0 while it runs.
        status: "InProgress", "Succeeded", "Failed" or "Canceled".
    """

    name: str
    version: int
    verb: str
    target: str
    location: str
    started: int
    ended: int
    status: str
    failure: Failure | tuple[()]


class FaultState(NamedTuple):
    """An injected fault.

    Args:
        fault: Its name, a key of `faults.KEYS`.
        spec: Its keys and values.
        end: When it ends; 0 for a fault that lasts until it is recovered.
        active: Whether it has started and not ended.
        used: How often it took effect, for faults with a `count`.
        stage: For maintenance: the fault domain that comes next.
        due: When it starts, takes its next step, or ends.
    """

    name: str
    version: int
    uid: int
    fault: str
    spec: tuple[tuple[str, Any], ...]
    start: int
    end: int
    active: bool
    used: int
    stage: int
    due: int


class MetricState(NamedTuple):
    """A metric value that a user set for a scale set or an instance.

    Args:
        name: `{target id in lower case}|{metric}`.
    """

    name: str
    version: int
    value: float


class ActivityState(NamedTuple):
    """How busy the fleet is.

    Args:
        level: One of `activity_rates.LEVELS`.
        since: When this level began.
        earlier: (start, level) of each level before, the oldest first, as far back as an autoscale rule's window reaches.
        fault: Id of the fault by which extensions fail; "" at level "none".
    """

    name: str
    version: int
    level: str
    since: int
    earlier: tuple[tuple[int, str], ...]
    fault: str

    def at(self, time: int) -> str:
        """The level that held at a time."""
        if time >= self.since:
            return self.level
        return next((level for since, level in reversed(self.earlier) if since <= time), "none")


class NoteState(NamedTuple):
    """An entry of the activity log about the resource `target`."""

    name: str
    version: int
    target: str
    text: str


RegionalState = ScaleSetState | VmState | DiskState | NicState | PublicIpState | ResourceState | SettingState
"""The state of an Azure resource that has a location and tags."""

State = (
    RegionalState
    | Definition
    | SubscriptionState
    | GroupState
    | ExtensionState
    | FeatureState
    | ProviderState
    | OperationState
    | FaultState
    | MetricState
    | NoteState
    | ActivityState
)
"""What an event carries. Every class has a `name` and a `version`."""

STATES: dict[str, type[State]] = {
    Type.SUBSCRIPTION: SubscriptionState,
    Type.GROUP: GroupState,
    Type.SCALE_SET: ScaleSetState,
    Type.VM: VmState,
    Type.EXTENSION: ExtensionState,
    Type.DISK: DiskState,
    Type.NIC: NicState,
    Type.PUBLIC_IP: PublicIpState,
    Type.LOAD_BALANCER: ResourceState,
    Type.PLACEMENT_GROUP: ResourceState,
    Type.AUTOSCALE: SettingState,
    Type.LOCK: ResourceState,
    Type.FEATURE: FeatureState,
    Type.PROVIDER: ProviderState,
    Type.OPERATION: OperationState,
    Type.DEFINITION: Definition,
    Type.FAULT: FaultState,
    Type.METRIC: MetricState,
    Type.NOTE: NoteState,
    Type.ACTIVITY: ActivityState,
}

_shared: dict[Any, Any] = {}


def _frozen(value: Any) -> Any:
    if type(value) is not list:
        return value
    if not value:
        return ()
    frozen = tuple([_frozen(item) for item in value])
    # Most states of a fleet share a few tuples (tags, extensions): one copy of each is enough.
    return _shared.setdefault(frozen, frozen) if len(_shared) < 100_000 else frozen


def state_reader(type_: str) -> Callable[[Sequence[Any]], State]:
    """A function that makes a state of this type from the values of a JSON array."""
    if type_ == Type.DEFINITION:
        return lambda values: Definition(*values)
    make: Callable[..., State] = STATES[type_]
    return lambda values: make(*[_frozen(value) if type(value) is list else value for value in values])


def state_of(type_: str, values: Sequence[Any]) -> State:
    """The state of this type that a JSON array's values describe."""
    return state_reader(type_)(values)


def fields_of(values: dict[str, Any]) -> dict[str, Any]:
    """Fields of a state by name, from a JSON object."""
    for name, value in values.items():
        if type(value) is list:
            values[name] = _frozen(value)
    return values


def interned(state: State) -> State:
    """The same state with interned texts, so that a fleet of states shares one copy of each text."""
    intern = sys.intern
    make: Callable[..., State] = type(state)
    return make(*[intern(value) if type(value) is str else value for value in state])
