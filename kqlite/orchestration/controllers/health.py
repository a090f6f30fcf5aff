"""The health controller: what the Application Health extension reports.

Probes are no events: a VM wakes only when its answer will have been given often enough to change the state.
Source: Azure docs, "Using Application Health extension with Virtual Machine Scale Sets".
"""

from __future__ import annotations

from kqlite.orchestration.controllers import repair
from kqlite.orchestration.faults import key_of, strikes, vm_scope
from kqlite.orchestration.fleet import Container
from kqlite.orchestration.model import Health, Power, Provisioning, VmState
from kqlite.orchestration.recorder import Recorder
from kqlite.orchestration.vm_profiles import HealthProbe


def watch(recorder: Recorder, group: Container, vm: VmState) -> VmState:
    """A VM's work is complete: if it runs and its extension is installed, probing begins (again)."""
    probe = recorder.fleet.vm_probe(vm) if vm.extensions else None
    if probe is None or vm.power != Power.RUNNING or vm.provisioning != Provisioning.SUCCEEDED or vm.health or vm.health_due:
        return vm
    fault = strikes(recorder, "app_sick", vm.uid, vm_scope(recorder, vm), vm.turn)
    answer = key_of(fault, "answer", "unhealthy") if fault is not None else ""
    first = Health.INITIALIZING if probe.rich else Health.NONE
    return recorder.change_vm(group, vm, health=first, answer=answer, health_due=recorder.now + _wait(probe, answer, first))


def _wait(probe: HealthProbe, answer: str, health: str) -> int:
    # While it initializes, an answer that is no state counts only when the grace period is over.
    unclear = probe.rich and health == Health.INITIALIZING and answer in ("unknown", "none")
    return max(probe.grace, probe.settle) if unclear else probe.settle


def reported(probe: HealthProbe, answer: str) -> str:
    """The state that this answer of the application gives, once it counts."""
    if not answer:
        return Health.HEALTHY
    if probe.rich and answer != "unhealthy" and not probe.tcp:
        return Health.UNKNOWN
    return Health.UNHEALTHY


def wake(recorder: Recorder, group: Container, name: str, due: int) -> None:
    """The state changes, unless the VM is no longer what it was."""
    vm = group.vm(name)
    if vm is None or vm.health_due != due:
        return
    probe = recorder.fleet.vm_probe(vm)
    with recorder.because("health", "probe"):
        if probe is None or vm.power not in (Power.RUNNING, Power.UNKNOWN):
            recorder.change_vm(group, vm, health=Health.NONE, health_due=0)
            return
        vm = recorder.change_vm(group, vm, health=reported(probe, vm.answer), health_due=0)
        if vm.set:
            repair.health_changed(recorder, group, vm)


def answer_changes(recorder: Recorder, group: Container, vm: VmState, answer: str) -> VmState:
    """The application of a VM answers otherwise from now on."""
    probe = recorder.fleet.vm_probe(vm)
    if probe is None or vm.power != Power.RUNNING or vm.provisioning == Provisioning.DELETING:
        return recorder.change_vm(group, vm, answer=answer)
    due = recorder.now + _wait(probe, answer, vm.health)
    return recorder.change_vm(group, vm, answer=answer, health_due=due)
