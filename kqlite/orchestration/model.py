"""The resources, as compact immutable states, and their states.

A state is a named tuple of strings, numbers and tuples, so that a million of them fit in memory and one is written as a
short JSON array. `0`, `""` and `()` mean "none". Times are microseconds since 1970-01-01T00:00Z. Fields named `model`,
`profile` or `definition` are numbers of definitions: immutable documents that were logged before.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from enum import StrEnum
from typing import Any, NamedTuple

Tags = tuple[tuple[str, str], ...]
Failure = tuple[str, str]  # code, message


# What the body of a VM or scale set says beside its properties, and is kept and shown.
BESIDE = ("identity", "plan", "extendedLocation", "placement")


class Word(StrEnum):
    """A word that shows as plain text wherever it comes out, as it does when it is read back from the log."""

    __repr__ = str.__repr__


class Type(Word):
    """Resource types in ARM's casing; the last few are the core's own records and no Azure resources."""

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
    """`PowerState/..` of an instance view; NONE while nothing was allocated yet."""

    NONE = ""
    STARTING = "starting"
    RUNNING = "running"
    STOPPING = "stopping"
    STOPPED = "stopped"
    DEALLOCATING = "deallocating"
    DEALLOCATED = "deallocated"
    UNKNOWN = "unknown"


class Health(Word):
    """`HealthState/..`; NONE where no Application Health extension reports."""

    NONE = ""
    HEALTHY = "healthy"
    UNHEALTHY = "unhealthy"
    INITIALIZING = "initializing"
    UNKNOWN = "unknown"


class Step(Word):
    """What is under way on a VM; the step ends at the state's `due`."""

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
    """An immutable document and its number. kind: "instance" (size and profile of a scale set), "vm", "set", "extension", "setting", .."""

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
    """A scale set: what is wanted (`capacity`, `profile`), and how far the controller is.

    model: the definition of everything but the profile; profile: the definition of size and profile, 0 where there is none.
    serial: how many instances were created from the profile; it numbers the streams that their names are drawn from.
    operation: the operation that scaling works for, "" when quiet. due: when the controller wakes. repair_due: when repair looks.
    regular: the definition of the Regular instances of a set that mixes priorities, else 0; `profile` is then that of the Spot ones.
    protected: (instance in lower case, "scale-in" or "actions"). evicted: (instance in lower case, until when it is restored).
    restore_due: when evicted instances are tried again.
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

    set: the name of its scale set, in the same group. model: a definition of kind "instance" or "vm".
    domain: the fault domain, -1 outside a scale set; domain_asked: it was named in the request. rack: hidden, for outages.
    changed: when the provisioning state last changed. settled: when the last change of state was complete (repair's grace).
    step, due: what is under way and when it ends. work: for whom, "set", "repair" or an operation id; "" when idle.
    turn: one more at each step; numbers the random draws. extensions: (name, definition, provisioning state, version, failure code).
    answer: what its application answers to probes, "" for healthy. health_due: when the health state will change.
    disk_version: the version of those of its disks and interfaces that follow from the model alone.
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
    """An extension of a VM; the VM's own state repeats its state."""

    name: str
    version: int
    vm: str
    location: str
    definition: int
    provisioning: str
    failure: str


class DiskState(NamedTuple):
    """A managed disk. vm: the name of the VM that holds it, "" when unattached. lun: -1 for an OS disk. state: `diskState`.

    implied: it follows from its VM's state and model alone, so the fleet keeps no copy; the same holds for the other two below.
    definition: what its body said beyond the other fields, 0 where nobody sent one.
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
    """A network interface. definition: a document of kind "nic" with its configuration. vm: the name of its VM, or "".

    beside: the definition of what its body said beside its properties, 0 for nothing.
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
    """A public address. nic: the name of the interface that uses it, or "". definition: what its body said, 0 where nobody sent one."""

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
    """A resource that is kept and shown as it was given: placement groups, load balancers, locks, autoscale settings."""

    name: str
    version: int
    uid: int
    location: str
    tags: Tags
    created: int
    definition: int


class SettingState(NamedTuple):
    """An autoscale setting. blocked: no action before this time (cooldown). missing: the metric was absent at the last look."""

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
    """The registration of a resource provider. effective: the features that were registered when its last registration ended."""

    name: str
    version: int
    state: str
    due: int
    effective: tuple[str, ...]


class OperationState(NamedTuple):
    """A long-running request. target: id of the resource. status: InProgress, Succeeded, Failed or Canceled."""

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
    """A fault that was injected. spec: its keys and values. active: between its start and its end. used: how often it struck.

    stage: where a fault that walks (maintenance) stands. due: when it starts, takes its next step or ends.
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
    """A value fed for a metric of a scale set or of one instance. name: `{target id in lower case}|{metric}`."""

    name: str
    version: int
    value: float


class ActivityState(NamedTuple):
    """How busy the fleet is.

    level: one of `activity_rates.LEVELS`. since: when it began. earlier: the levels before it, each with the time when it began, the
    oldest first, as far as autoscale looks back. fault: the id of the fault by which extensions fail, "" at level "none".
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
    # The same few tuples (tags, extension states) stand in most states of a fleet: one copy of each is enough.
    return _shared.setdefault(frozen, frozen) if len(_shared) < 100_000 else frozen


def state_reader(type_: str) -> Callable[[Sequence[Any]], State]:
    """What makes the state of a resource of this type, of the values that a JSON array gave back."""
    if type_ == Type.DEFINITION:
        return lambda values: Definition(*values)
    make: Callable[..., State] = STATES[type_]
    return lambda values: make(*[_frozen(value) if type(value) is list else value for value in values])


def state_of(type_: str, values: Sequence[Any]) -> State:
    """The state of a resource of this type, of the values that a JSON array gave back."""
    return state_reader(type_)(values)


def fields_of(values: dict[str, Any]) -> dict[str, Any]:
    """Fields of a state by name, of what a JSON object gave back."""
    for name, value in values.items():
        if type(value) is list:
            values[name] = _frozen(value)
    return values


def interned(state: State) -> State:
    """The same state with one copy of each text for all that say the same: for who keeps the states of a whole fleet."""
    intern = sys.intern
    make: Callable[..., State] = type(state)
    return make(*[intern(value) if type(value) is str else value for value in state])
