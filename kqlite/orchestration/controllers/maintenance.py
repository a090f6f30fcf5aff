"""Platform maintenance: one fault domain after the other. The next begins when the VMs of the last are healthy again.

Source: Azure docs, "Maintenance for virtual machines in Azure"; "Preview: Flexible orchestration ..", Features, Update Domains.
"""

from __future__ import annotations

from kqlite.orchestration.clock import SECOND
from kqlite.orchestration.faults import targets, value_of
from kqlite.orchestration.fleet import Container
from kqlite.orchestration.instances import begin
from kqlite.orchestration.model import FaultState, Health, Power, Step, Type, VmState
from kqlite.orchestration.recorder import Recorder

PAUSE = 9.0  # seconds; Azure pauses a VM for less than ten when maintenance needs no reboot
_POLL_EVERY = 15 * SECOND
_LAST_DOMAIN = 2


def step(recorder: Recorder, fault: FaultState) -> FaultState:
    """Wait for the current fault domain, maintain the next one, or end. `fault.stage` is the next fault domain."""
    members = [(group, vm) for group, vm in targets(recorder, fault) if vm.power == Power.RUNNING or vm.step in (Step.FREEZE, Step.REBOOT)]
    if any(vm.step in (Step.FREEZE, Step.REBOOT) or vm.health == Health.INITIALIZING for _, vm in members):
        return recorder.change(recorder.fleet.root, Type.FAULT, fault, due=recorder.now + _POLL_EVERY)
    maintained = [vm for _, vm in members if max(vm.domain, 0) == fault.stage - 1]
    if fault.stage and any(vm.health in (Health.UNHEALTHY, Health.UNKNOWN) for vm in maintained):
        recorder.note(f"/kqlite/faults/{fault.name}", f"Maintenance stopped: fault domain {fault.stage - 1} is not healthy")
        return recorder.change(recorder.fleet.root, Type.FAULT, fault, active=False, due=0, end=recorder.now)
    if fault.stage and any(vm.health_due and not vm.health for vm in maintained):
        return recorder.change(recorder.fleet.root, Type.FAULT, fault, due=recorder.now + _POLL_EVERY)
    if fault.stage > _LAST_DOMAIN:
        return recorder.change(recorder.fleet.root, Type.FAULT, fault, active=False, due=0, end=recorder.now)
    for group, vm in members:
        if max(vm.domain, 0) == fault.stage and not vm.step:
            _maintain(recorder, group, vm, fault)
    return recorder.change(recorder.fleet.root, Type.FAULT, fault, stage=fault.stage + 1, due=recorder.now + _POLL_EVERY)


def _maintain(recorder: Recorder, group: Container, vm: VmState, fault: FaultState) -> None:
    if value_of(fault, "type", "freeze") == "reboot":
        begin(recorder, group, vm, Step.REBOOT, "", provisioning=vm.provisioning)
        return
    seconds = float(value_of(fault, "limit", PAUSE))
    begin(recorder, group, vm, Step.FREEZE, "", (seconds, seconds, seconds), provisioning=vm.provisioning)


def under_way(recorder: Recorder, vm: VmState) -> bool:
    """Whether the platform maintains this VM now."""
    return vm.step in (Step.FREEZE, Step.REBOOT) and "maintenance" in recorder.fleet.faults
