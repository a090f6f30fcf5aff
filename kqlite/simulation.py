"""A change's whole way on one clock: the simulation that a Python user holds.

>>> simulation = Simulation()
>>> _ = simulation.create_scale_set("web", capacity=3)
>>> simulation.advance("10m")
>>> len(simulation.instances("web"))
3
>>> simulation.inventory.query("resources | where type =~ 'microsoft.compute/virtualmachines' | count").to_pylist()
[{'Count': 3}]
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from threading import Lock
from types import TracebackType
from typing import Any, Self

from kqlite.access.live import LiveInventory
from kqlite.connection import Connection
from kqlite.directory.data_directory import LOG, MANIFEST, DirectoryError, as_path
from kqlite.errors import ClosedError
from kqlite.orchestration import metrics
from kqlite.orchestration.activity import Activity
from kqlite.orchestration.activity_rates import checked_level
from kqlite.orchestration.arm import Answer, FrontDoor
from kqlite.orchestration.clock import SECOND, Clock, duration, to_datetime
from kqlite.orchestration.control_plane import ControlPlane
from kqlite.orchestration.controllers import outages
from kqlite.orchestration.errors import ArmError, CoreError
from kqlite.orchestration.events import Event
from kqlite.orchestration.log import EventLog, MemoryLog, SqliteLog
from kqlite.orchestration.model import Type
from kqlite.orchestration.request_bodies import require_text, scale_set_body, vm_body
from kqlite.orchestration.saved_state import SavedState
from kqlite.snapshotter.lag import Lag

LOG_NAME = LOG
STATE_NAME = "events.state"
TOP_LEVEL_MEMBERS = (LOG_NAME, f"{LOG_NAME}-wal", f"{LOG_NAME}-shm", "events.lock", STATE_NAME)
"""Names of the files that a simulation keeps in its directory."""

API_VERSION = "2023-09-01"
"""The api-version that convenience methods send; it knows every property that they can set."""


class Simulation:
    """A local control plane for virtual machine scale sets with Flexible orchestration.

    Args:
        path: A directory that keeps the log, made where there is none. A simulation that is there continues from its log. None: in memory.
        seed: Of every random draw. A simulation that continues keeps its own.
        clock: None is a manual clock that begins at 2021-08-11T00:00Z.
        profile: "preview-2021" or "ga".
        subscriptions: How many subscriptions there are.
        features: The preview features that are registered from the start, or "all". With () a subscription has to register each feature
            before it is used, as in 2021.
        synchronous: "FULL", or "NORMAL" where a power cut may lose the last commits.
        lag: How late the inventory shows a change: seconds, a timedelta, text ("30s", "1s..60s", "measured" as in the real service, each
            also after "per-resource"), or a `snapshotter.lag.Lag`.
        activity: How busy the fleet is by itself: "none", "calm", "normal" or "wild", see the property. None keeps the level of the log;
            in a new log that is "none".
    """

    def __init__(
        self,
        path: str | Path | None = None,
        seed: int = 0,
        clock: Clock | None = None,
        profile: str = "preview-2021",
        subscriptions: int = 1,
        features: Iterable[str] | str = "all",
        synchronous: str = "FULL",
        lag: Lag | float | timedelta | str = "measured",
        activity: str | None = None,
        *,
        _log: EventLog | None = None,
    ) -> None:
        if activity is not None:
            checked_level(activity)
        if clock is not None and not isinstance(clock, Clock):
            raise TypeError(f"a simulation's clock is a kqlite.Clock, and not {clock!r}")
        _whole_number("seed", seed)
        _whole_number("subscriptions", subscriptions)
        self._lag = Lag.of(lag, seed)
        self._directory = None if path is None else as_path(path)
        self._live: LiveInventory | None = None
        self._inventory: Connection | None = None
        self._closed = False
        self._opening = Lock()
        names = _feature_names(features)
        saved, log = None, _log
        if log is None and self._directory is not None:
            refuse_imported(self._directory)
            self._directory.mkdir(parents=True, exist_ok=True)
            log = SqliteLog(self._directory / LOG_NAME, synchronous)
            saved = SavedState(self._directory / STATE_NAME)
        self._log: EventLog = MemoryLog() if log is None else log
        self._plane = ControlPlane(self._log, clock or Clock.manual(), seed, profile, subscriptions, names, saved)
        self._door = FrontDoor(self._plane)
        self._activity = Activity(self._plane, self._door)
        if activity is not None:
            self._activity.set_level(activity)

    def __enter__(self) -> Self:
        self._check_open()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Close the inventory and the log. Every answered request is durable already. A second call does nothing."""
        if self._closed:
            return
        self._closed = True
        try:
            if self._inventory is not None:
                self._inventory.close()
            self._plane.save_state()
        finally:
            self._log.close()

    def _check_open(self) -> None:
        if self._closed:
            raise ClosedError("this simulation is closed")

    @property
    def plane(self) -> ControlPlane:
        """The control plane: its state is read only."""
        return self._plane

    @property
    def log(self) -> EventLog:
        """The event log; read from outside, the change feed."""
        return self._log

    @property
    def inventory(self) -> Connection:
        """The inventory that follows this simulation, late: a `Connection` whose `now()` is the simulated time.

        The first access opens it. From then on other processes share it where this simulation has a directory, by `kqlite.connect`.

        Raises:
            InventoryError: The directory cannot be opened, or this simulation is closed.
        """
        self._check_open()
        with self._opening:
            if self._inventory is None:
                self._check_open()
                self._live = self._follow()
                self._inventory = Connection(self._live.access, close=self._live.close)
            return self._inventory

    def _follow(self) -> LiveInventory:
        plane = self._plane
        pass_time = None if plane.clock.mode == "scaled" else lambda duration: plane.advance_to(plane.now + duration)
        # A reader of its own: the snapshotter thread reads while this thread may be in the middle of a commit.
        log = self._log if self._directory is None else SqliteLog(self._directory / LOG_NAME, read_only=True)
        # A query that finds the inventory this old applies due changes itself. The rest of the bound is left for that work.
        max_age = self._lag.bound - min(self._lag.bound // 2, round(2 * plane.clock.speed * SECOND))
        return LiveInventory(
            log,
            self._lag,
            lambda: plane.durable_now,
            pass_time,
            self._directory,
            TOP_LEVEL_MEMBERS,
            plane.catch_up,
            max_age,
            plane.clock.speed,
            lambda: plane.trouble,
        )

    @property
    def now(self) -> datetime:
        """The simulated time, as an aware UTC datetime."""
        return to_datetime(self._plane.now)

    @property
    def subscriptions(self) -> list[str]:
        """The ids of the subscriptions, the first being 00000000-0000-0000-0000-000000000001."""
        return list(self._plane.fleet.root.of(Type.SUBSCRIPTION))

    # Requests

    def arm(self, method: str, path_and_query: str, body: Any = None, headers: Mapping[str, str] | None = None) -> Answer:
        """Send one ARM request. The answer has `status`, `headers` and `body` (parsed JSON)."""
        self._check_open()
        _check_request((method, path_and_query, body, headers))
        return self._door.handle(method, path_and_query, body, headers)

    def arm_many(self, requests: Iterable[Sequence[Any]]) -> list[Answer]:
        """Send several ARM requests at one simulated time, each (method, path and query[, body[, headers]]), in one commit."""
        self._check_open()
        if not isinstance(requests, Iterable):
            raise TypeError(f"requests come one after the other, and {requests!r} holds none")
        checked_requests = [_check_request(request) for request in requests]  # before the lock: a generator may be slow
        with self._plane.lock:
            self._plane.catch_up()
            answers = [self._door.handle(method, path, body, headers, commit=False) for method, path, body, headers in checked_requests]
            self._plane.commit()
        return answers

    @property
    def door(self) -> FrontDoor:
        """The front door, for a server that carries bytes."""
        self._check_open()
        return self._door

    # Time

    def advance(self, by: float | timedelta | str = 0) -> None:
        """Let simulated time pass: seconds, a timedelta, or text such as "61s" or "PT5M". The new time is durable."""
        self._check_open()
        self._plane.advance(duration(by))

    def settle(self, limit: float | timedelta | str = "P1D") -> bool:
        """Let time pass until no operation is in progress; False where `limit` passed first."""
        self._check_open()
        fleet = self._plane.fleet
        return self._plane.run_until(lambda: not fleet.open_operations, duration(limit))

    # What happens from outside

    @property
    def activity(self) -> str:
        """How busy the fleet is by itself: "none", "calm", "normal" or "wild".

        People stop, start and tag VMs, pipelines deploy, Azure evicts and maintains, and extensions fail, as often as
        `orchestration.activity_rates` says. The log keeps the level, so a simulation that continues has it, too.
        Setting it raises CoreError where there is no such level.
        """
        return self._activity.level

    @activity.setter
    def activity(self, level: str) -> None:
        self._check_open()
        self._activity.set_level(level)

    def feed_metric(self, resource_id: str, name: str, value: float) -> None:
        """Set the value of a metric, from now until the next call.

        Args:
            resource_id: The id of a scale set, all instances of which get the value, or of one VM.
            name: The metric's name, such as "Percentage CPU".
            value: Its new value.

        Raises:
            CoreError: No scale set and no VM has this id, or the value is no number.
        """
        self._check_open()
        require_text("the id of a resource", resource_id)
        require_text("the name of a metric", name)
        if isinstance(value, bool) or not isinstance(value, (int, float)) or value != value:
            raise CoreError(f"a metric's value is a number, not {value!r}")
        folded = resource_id.lower()
        container = self._plane.fleet.container(folded.partition("/providers/")[0])
        type_ = Type.SCALE_SET if f"/providers/{Type.SCALE_SET}/".lower() in folded else Type.VM
        if container is None or container.get(type_, folded.rpartition("/")[2]) is None:
            raise CoreError(f"no scale set and no VM has the id {resource_id!r}")
        self._plane.request(lambda recorder: metrics.feed(recorder, resource_id, name, float(value)), "metrics/write")

    def inject(self, fault: Mapping[str, Any]) -> str:
        """Inject a fault, `{"fault": name, ..}`; gives its id for `recover`. Raises CoreError for an unknown name, key or value."""
        self._check_open()
        if not isinstance(fault, Mapping):
            raise TypeError(f'a fault is a mapping such as {{"fault": "allocation", "region": "eastus"}}, and not {fault!r}')
        return self._plane.inject(fault)

    def recover(self, fault_id: str) -> None:
        """End a fault now. Raises CoreError for an unknown id."""
        self._check_open()
        require_text("the id of a fault", fault_id)
        self._plane.recover(fault_id)

    @property
    def faults(self) -> list[dict[str, Any]]:
        """The faults that are active now, or will begin."""
        self._check_open()
        return outages.list_active(self._plane.recorder)

    def events(self, after: int = 0, limit: int = 10_000) -> list[Event]:
        """Committed events after a sequence number, in order."""
        self._check_open()
        _whole_number("the sequence number of an event", after)
        _whole_number("the limit", limit)
        return self._log.read(after, limit)

    # Convenience methods. Each sends ARM requests, gives the resource's document, and raises ArmError where a request is refused.

    def create_group(self, name: str = "rg", location: str = "eastus", subscription: str | None = None) -> dict[str, Any]:
        """Create a resource group; one that exists is left unchanged."""
        return self._ask("PUT", self._group_path(name, subscription), {"location": location})

    def create_scale_set(self, name: str, group: str = "rg", *, subscription: str | None = None, **options: Any) -> dict[str, Any]:
        """Create a Flexible scale set, and its resource group where that does not exist.

        Args:
            name: The scale set's name.
            group: The name of its resource group.
            subscription: The id of its subscription; None is the first.
            options: `location`, `capacity`, `size`, `domains`, `zone`, `profile`, `tags`, `health`, and other members of the scale set's
                `properties` by their ARM names, as of `set_body`.
        """
        body = self.set_body(name, **options)
        self._ensure_group(group, body["location"], subscription)
        return self._ask("PUT", self._path(group, subscription, Type.SCALE_SET, name), body)

    set_body = staticmethod(scale_set_body)

    def _ensure_group(self, group: str, location: str, subscription: str | None) -> None:
        if self.arm("HEAD", self._with_version(self._group_path(group, subscription))).status == 404:
            self.create_group(group, location, subscription)

    def scale(self, name: str, capacity: int, group: str = "rg", subscription: str | None = None) -> dict[str, Any]:
        """Set the capacity of a scale set."""
        return self._ask("PATCH", self._path(group, subscription, Type.SCALE_SET, name), {"sku": {"capacity": capacity}})

    def create_vm(
        self, name: str, group: str = "rg", *, scale_set: str | None = None, subscription: str | None = None, **options: Any
    ) -> dict[str, Any]:
        """Create a VM, and its resource group where that does not exist.

        Args:
            name: The VM's name.
            group: The name of its resource group.
            scale_set: The name of a scale set of the same group; None for a VM without a scale set.
            subscription: The id of its subscription; None is the first.
            options: `location`, `size`, `domain`, `zone`, `tags`, and other members of the VM's `properties` by their ARM names, as of
                `orchestration.request_bodies.vm_body`.
        """
        if scale_set is not None:
            scale_set = self._path(group, subscription, Type.SCALE_SET, scale_set)
        body = self.vm_body(name, scale_set=scale_set, **options)
        self._ensure_group(group, body["location"], subscription)
        return self._ask("PUT", self._path(group, subscription, Type.VM, name), body)

    def vm_body(self, name: str, *, scale_set: str | None = None, **options: Any) -> dict[str, Any]:
        """The body that `create_vm` sends. scale_set: an id, or the name of a scale set in the group "rg"."""
        if scale_set is not None and not scale_set.startswith("/"):
            scale_set = self._path("rg", None, Type.SCALE_SET, scale_set)
        return vm_body(name, scale_set=scale_set, **options)

    def act(self, vm: str, action: str, group: str = "rg", subscription: str | None = None) -> None:
        """Send an action of a VM ("start", "powerOff", "deallocate", "restart", ..), or delete the VM ("delete")."""
        path = self._path(group, subscription, Type.VM, vm)
        if action == "delete":
            self._ask("DELETE", path)
        else:
            self._ask("POST", f"{path}/{action}")

    def instances(self, name: str, group: str = "rg", subscription: str | None = None) -> list[dict[str, Any]]:
        """The VMs of a scale set, each as its document with the instance view."""
        set_id = self._path(group, subscription, Type.SCALE_SET, name)
        query = f"$filter='virtualMachineScaleSet/id' eq '{set_id}'&$expand=instanceView"
        path = f"{self._group_path(group, subscription)}/providers/{Type.VM}?api-version={API_VERSION}&{query}"
        found: list[dict[str, Any]] = []
        while path:
            answer = self.arm("GET", path.removeprefix("https://management.azure.com"))
            page = checked(answer)
            found += page["value"]
            path = page.get("nextLink", "")
        return found

    def get(self, resource_id: str) -> dict[str, Any]:
        """The document of a resource, with its instance view if it has one."""
        return self._ask("GET", f"{resource_id}?$expand=instanceView")

    def _ask(self, method: str, path: str, body: Any = None) -> dict[str, Any]:
        return checked(self.arm(method, self._with_version(path), body))

    def _with_version(self, path: str) -> str:
        version = API_VERSION if "microsoft.insights" not in path.lower() else "2022-10-01"
        return f"{path}{'&' if '?' in path else '?'}api-version={version}"

    def _group_path(self, group: str, subscription: str | None) -> str:
        return f"/subscriptions/{subscription or self.subscriptions[0]}/resourceGroups/{group}"

    def _path(self, group: str, subscription: str | None, type_: str, name: str) -> str:
        return f"{self._group_path(group, subscription)}/providers/{type_}/{name}"


def _feature_names(features: Iterable[str] | str) -> tuple[str, ...] | str:
    if features == "all":
        return "all"
    names = (features,) if isinstance(features, str) else tuple(features) if isinstance(features, Iterable) else (features,)
    if not all(isinstance(name, str) for name in names):
        raise TypeError(f'features are names, or "all", and not {features!r}')
    return names


def _whole_number(name: str, value: object) -> None:
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{name} is a whole number, and not {value!r}")


def _check_request(request: Sequence[Any]) -> tuple[Any, Any, Any, Any]:
    """A request as (method, path and query, body, headers). Raises TypeError for other types."""
    if not isinstance(request, Sequence) or isinstance(request, str | bytes) or not 2 <= len(request) <= 4:
        raise TypeError(f"a request is (method, path and query[, body[, headers]]), and not {request!r}")
    method, path, body, headers = (*request, None, None)[:4]
    require_text("the method of a request", method)
    require_text("the path of a request", path)
    if headers is not None:
        _check_headers(headers)
    return method, path, body, headers


def _check_headers(headers: object) -> None:
    if not isinstance(headers, Mapping) or not all(isinstance(each, str) for pair in headers.items() for each in pair):
        raise TypeError(f"the headers of a request are texts by name, and not {headers!r}")


def checked(answer: Answer) -> dict[str, Any]:
    """The document of an answer. Raises ArmError where the request was refused."""
    if answer.status >= 400:
        error = (answer.body or {}).get("error") or {}
        raise ArmError(answer.status, error.get("code", ""), error.get("message", ""), error.get("target", ""), error.get("details", ()))
    return answer.body if isinstance(answer.body, dict) else {}


def refuse_imported(directory: Path) -> None:
    """Raise DirectoryError where a directory holds an inventory that no simulation made."""
    if (directory / MANIFEST).exists() and not (directory / LOG_NAME).exists():
        raise DirectoryError(f"{directory}: holds an inventory that no simulation made; simulate in another directory")
