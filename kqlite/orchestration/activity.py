"""Activity: the people, the pipelines and the platform that keep a fleet moving, as a source of requests on the simulated clock.

Once a minute, the activity of each scale set is drawn at the rates of `activity_rates`. Hours after a VM was stopped or has failed, a
simulated operator attends to it. Draws follow from the seed, the set and the minute alone, and the log holds the level. So a simulation
that is continued goes on as if it had never stopped, and the size of the steps in which time advances changes nothing. Requests pass the
front door as a user's do. A refused request is not repeated.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import datetime
from itertools import accumulate, islice
from typing import Any

from kqlite.orchestration import activity_rates
from kqlite.orchestration.activity_rates import KINDS, ROLLOUT, ROLLOUT_SHARE, expected
from kqlite.orchestration.arm import FrontDoor
from kqlite.orchestration.clock import DAY, from_datetime, to_datetime
from kqlite.orchestration.control_plane import ControlPlane
from kqlite.orchestration.controllers import outages
from kqlite.orchestration.errors import ArmError
from kqlite.orchestration.fleet import ACTIVITY, HISTORY, Container
from kqlite.orchestration.model import ActivityState, Power, Provisioning, ScaleSetState, Step, Type, VmState
from kqlite.orchestration.recorder import ACTIVITY_EVERY, Recorder
from kqlite.orchestration.timers import Wake

RELEASE = "release"
"""The tag of a scale set, and the setting of the script extension of a VM, that name what is deployed there."""

SCRIPTS = {
    "Linux": {"publisher": "Microsoft.Azure.Extensions", "type": "CustomScript", "typeHandlerVersion": "2.1"},
    "Windows": {"publisher": "Microsoft.Compute", "type": "CustomScriptExtension", "typeHandlerVersion": "1.10"},
}
_SCRIPT_TYPES = tuple(script["type"] for script in SCRIPTS.values())
_DEPLOY = "deploy"
_API_VERSION = "2023-09-01"
_MOST_TRIED = 20  # VMs that are tried to find one that runs idle; a set with few such VMs has less activity
_STOPS_POWER_OFF = 0.2  # share of the stops that keep the VM allocated
_REBOOTS = 0.3  # share of the maintenance that restarts VMs; the rest pauses them
_TICKETS = 100_000


class Activity:
    """The activity of one simulation. It has no state of its own: the fleet, the seed and the clock have all that it needs."""

    def __init__(self, plane: ControlPlane, door: FrontDoor) -> None:
        self._plane = plane
        self._recorder: Recorder = plane.recorder
        self._door = door
        self._acts: dict[str, Callable[[Container, ScaleSetState, int], None]] = {
            "stop": self._stop,
            "restart": self._restart,
            "tag": self._tag,
            "patch": self._patch,
            "script": self._run_script,
            "eviction": self._evict,
            "deployment": self._deploy,
            "maintenance": self._maintain,
        }
        plane.on(Wake.ACTIVITY, self._wake)
        plane.on(Wake.RETURN, self._return)

    @property
    def level(self) -> str:
        """How busy the fleet is: one of `activity_rates.LEVELS`."""
        state = self._recorder.fleet.activity
        return "none" if state is None else state.level

    def set_level(self, level: str) -> None:
        """Set the level, also for after a restart. Raises CoreError for an unknown level."""
        activity_rates.checked_level(level)
        if level != self.level:
            self._plane.request(lambda recorder: _change_level(recorder, level), "activity/write")

    # A minute of a scale set

    def _wake(self, container_key: str, name: str, due: int) -> None:
        recorder = self._recorder
        group = recorder.fleet.containers.get(container_key)
        scale_set = group.scale_set(name) if group is not None else None
        if group is None or scale_set is None or recorder.fleet.activity is None or (due - scale_set.uid) % ACTIVITY_EVERY:
            return  # a stale timer, of a deleted set with this name
        recorder.arm_activity(group, scale_set)
        live = recorder.fleet.membership(group, name).live
        if self.level == "none" or not live or not scale_set.profile:
            return
        self._roll_out(group, scale_set)
        spot = recorder.fleet.facts(scale_set.profile).is_spot
        means = expected(self.level, due, vms=len(live), spot=spot, period=ACTIVITY_EVERY)
        draw = due // ACTIVITY_EVERY
        for number in range(_poisson(sum(means), recorder.chance.uniform("activity", scale_set.uid, draw))):
            salt = draw * 1000 + number
            now = group.scale_set(name)  # an act before may have changed it
            assert now is not None
            self._acts[self._kind(means, scale_set.uid, salt)](group, now, salt)

    def _kind(self, means: list[float], uid: int, salt: int) -> str:
        point = self._recorder.chance.uniform("activity-kind", uid, salt) * sum(means)
        return next((kind.name for kind, upto in zip(KINDS, accumulate(means), strict=True) if point < upto), KINDS[0].name)

    def _send(self, method: str, id_: str, body: Any = None, actor: str = "operator") -> bool:
        """Send a request. Returns False if it is refused."""
        try:
            self._door.perform(method, id_, body, _API_VERSION, actor)
        except ArmError:
            return False
        return True

    def _chosen(self, group: Container, scale_set: ScaleSetState, salt: int) -> VmState | None:
        """An idle running member; None if the first `_MOST_TRIED` members have none."""
        keys = list(self._recorder.fleet.membership(group, scale_set.name).live)
        start = self._recorder.chance.number("activity-vm", scale_set.uid, salt) % len(keys) if keys else 0
        found = (group.vm(key) for key in islice((*keys[start:], *keys[:start]), _MOST_TRIED))
        return next((vm for vm in found if vm is not None and _is_well(vm)), None)

    def _on_one(self, group: Container, scale_set: ScaleSetState, salt: int, action: str) -> VmState | None:
        vm = self._chosen(group, scale_set, salt)
        if vm is not None:
            self._send("POST", f"{group.scope(Type.VM)}{vm.name}/{action}")
        return vm

    def _stop(self, group: Container, scale_set: ScaleSetState, salt: int) -> None:
        keeps = self._recorder.chance.uniform("activity-stop", scale_set.uid, salt) < _STOPS_POWER_OFF
        self._on_one(group, scale_set, salt, "powerOff" if keeps else "deallocate")

    def _restart(self, group: Container, scale_set: ScaleSetState, salt: int) -> None:
        self._on_one(group, scale_set, salt, "restart")

    def _evict(self, group: Container, scale_set: ScaleSetState, salt: int) -> None:
        self._on_one(group, scale_set, salt, "simulateEviction")

    def _patch(self, group: Container, scale_set: ScaleSetState, salt: int) -> None:
        vm = self._on_one(group, scale_set, salt, "installPatches")
        if vm is not None:
            self._send("POST", f"{group.scope(Type.VM)}{vm.name}/restart")

    def _tag(self, group: Container, scale_set: ScaleSetState, salt: int) -> None:
        vm = self._chosen(group, scale_set, salt)
        if vm is not None:
            ticket = self._recorder.chance.number("activity-ticket", vm.uid, salt) % _TICKETS
            self._send("PATCH", group.scope(Type.VM) + vm.name, {"tags": {**dict(vm.tags), "ticket": f"CHG{ticket:05d}"}})

    def _maintain(self, group: Container, scale_set: ScaleSetState, salt: int) -> None:
        reboots = self._recorder.chance.uniform("activity-reboot", scale_set.uid, salt) < _REBOOTS
        spec = {"fault": "maintenance", "set": scale_set.name, "type": "reboot" if reboots else "freeze"}
        outages.inject(self._recorder, spec)

    # Extensions and releases

    def _run_script(self, group: Container, scale_set: ScaleSetState, salt: int) -> None:
        vm = self._chosen(group, scale_set, salt)
        if vm is not None:
            release = dict(scale_set.tags).get(RELEASE, "")
            self._install(group, vm, release, "operator")

    def _install(self, group: Container, vm: VmState, release: str, actor: str) -> bool:
        name, _ = self._script_of(vm)
        body = {"location": vm.location, "properties": script(self._recorder.fleet.facts(vm.model).os_type, release)}
        return self._send("PUT", f"{group.scope(Type.VM)}{vm.name}/extensions/{name}", body, actor)

    def _script_of(self, vm: VmState) -> tuple[str, str]:
        """Name and release of the VM's script extension; ("deploy", "") for a VM without one."""
        for name, number, *_ in vm.extensions:
            document = self._recorder.fleet.definitions[number].document
            if document.get("type") in _SCRIPT_TYPES:
                return name, str((document.get("settings") or {}).get(RELEASE, ""))
        return _DEPLOY, ""

    def _deploy(self, group: Container, scale_set: ScaleSetState, salt: int) -> None:
        """Put a new release into the profile. New instances have it from their first boot; `_roll_out` brings it to the others."""
        recorder = self._recorder
        release = f"{to_datetime(recorder.now):%Y%m%d.%H%M}"
        profile = recorder.fleet.definitions[scale_set.profile].document["profile"]
        known = (profile.get("extensionProfile") or {}).get("extensions") or []
        others = [each for each in known if each["properties"].get("type") not in _SCRIPT_TYPES]
        mine = next((each["name"] for each in known if each not in others), _DEPLOY)
        os_type = recorder.fleet.facts(scale_set.profile).os_type
        extensions = [*others, {"name": mine, "properties": script(os_type, release)}]
        body = {
            "tags": {**dict(scale_set.tags), RELEASE: release},
            "properties": {"virtualMachineProfile": {"extensionProfile": {"extensions": extensions}}},
        }
        self._send("PATCH", group.scope(Type.SCALE_SET) + scale_set.name, body, "pipeline")

    def _roll_out(self, group: Container, scale_set: ScaleSetState) -> None:
        """Install the set's release on some of the VMs with an older one."""
        recorder = self._recorder
        release = dict(scale_set.tags).get(RELEASE, "")
        if not release or not 0 <= recorder.now - _begun(release) < ROLLOUT:
            return
        members = list(recorder.fleet.members(group, scale_set.name))
        room = math.ceil(len(members) * ROLLOUT_SHARE) - sum(vm.step == Step.EXTENSIONS for vm in members)
        for vm in members:
            if room <= 0:
                return
            if _is_well(vm) and self._script_of(vm)[1] != release:
                room -= self._install(group, vm, release, "pipeline")

    # Hours later

    def _return(self, container_key: str, name: str, due: int) -> None:
        recorder = self._recorder
        group = recorder.fleet.containers.get(container_key)
        vm = group.vm(name) if group is not None else None
        first = recorder.first_return(vm) if vm is not None else 0
        if group is None or vm is None or recorder.fleet.activity is None or not first or due < first or (due - first) % DAY:
            return  # a stale timer
        if self.level != "none":
            self._attend_to(group, vm)
        now = group.vm(name)
        if now is not None:
            recorder.arm_return(group, now)

    def _attend_to(self, group: Container, vm: VmState) -> None:
        """Start a VM that does not run. In a running VM, install a failed extension again, or reapply the VM."""
        id_ = group.scope(Type.VM) + vm.name
        if vm.power != Power.RUNNING:
            self._send("POST", f"{id_}/start")
            return
        for name, number, state, _, _ in vm.extensions:
            if state == Provisioning.FAILED:
                body = {"location": vm.location, "properties": self._recorder.fleet.definitions[number].document}
                self._send("PUT", f"{id_}/extensions/{name}", body)
                return
        self._send("POST", f"{id_}/reapply")


def script(os_type: str, release: str) -> dict[str, Any]:
    """The properties of the extension that installs a release."""
    settings = {"commandToExecute": "/opt/deploy.sh" if os_type == "Linux" else "deploy.cmd", RELEASE: release}
    return {**SCRIPTS[os_type], "autoUpgradeMinorVersion": True, "settings": settings}


def _is_well(vm: VmState) -> bool:
    return not vm.step and vm.power == Power.RUNNING and vm.provisioning == Provisioning.SUCCEEDED


def _begun(release: str) -> int:
    """When the pipeline began to deploy a release; 0 for a release with another kind of name."""
    day, _, minute = release.partition(".")
    if len(day) != 8 or len(minute) != 4 or not (day + minute).isdecimal():
        return 0
    text = f"{day[:4]}-{day[4:6]}-{day[6:]}T{minute[:2]}:{minute[2:]}"
    try:
        return from_datetime(datetime.fromisoformat(text))
    except ValueError:
        return 0


def _poisson(mean: float, draw: float) -> int:
    """A number with this Poisson mean, from a uniform draw between 0 and 1."""
    count, term = 0, math.exp(-mean)
    upto = term
    while draw >= upto and count < 999:
        count += 1
        term *= mean / count
        upto += term
    return count


def _change_level(recorder: Recorder, level: str) -> None:
    """Record the level, and replace the fault by which extensions fail."""
    known = recorder.fleet.activity
    if known is not None and known.fault:
        outages.recover(recorder, known.fault)
    share = activity_rates.FAILING_EXTENSIONS[level]
    fault = outages.inject(recorder, {"fault": "extension", "probability": share}) if share else ""
    if known is None:
        recorder.create(recorder.fleet.root, Type.ACTIVITY, ActivityState(ACTIVITY, 1, level, recorder.now, (), fault))
        return
    kept = [each for each in (*known.earlier, (known.since, known.level)) if each[0] < recorder.now]
    while len(kept) > 1 and kept[1][0] <= recorder.now - HISTORY:
        del kept[0]
    recorder.change(recorder.fleet.root, Type.ACTIVITY, known, level=level, since=recorder.now, earlier=tuple(kept), fault=fault)
