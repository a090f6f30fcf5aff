"""The health controller: the health state that the Application Health extension of a VM reports.

Single probes are not simulated. When the application's answer changes, a timer is set to the time at which enough probes have returned it.
Source: Azure docs, "Using Application Health extension with Virtual Machine Scale Sets".
"""

from __future__ import annotations

from kqlite.orchestration.controllers import repair
from kqlite.orchestration.faults import fault_hitting, value_of, vm_scope
from kqlite.orchestration.fleet import Container
from kqlite.orchestration.model import Health, Power, Provisioning, VmState
from kqlite.orchestration.recorder import Recorder
from kqlite.orchestration.vm_profiles import HealthProbe


def watch(recorder: Recorder, group: Container, vm: VmState) -> VmState:
    """Start probing a VM whose step has ended, if the VM runs and has a health extension."""
    probe = recorder.fleet.vm_probe(vm) if vm.extensions else None
    if probe is None or vm.power != Power.RUNNING or vm.provisioning != Provisioning.SUCCEEDED or vm.health or vm.health_due:
        return vm
    fault = fault_hitting(recorder, "app_sick", vm.uid, vm_scope(recorder, vm), vm.turn)
    answer = value_of(fault, "answer", "unhealthy") if fault is not None else ""
    first = Health.INITIALIZING if probe.rich else Health.NONE
    return recorder.change_vm(group, vm, health=first, answer=answer, health_due=recorder.now + _wait(probe, answer, first))


def _wait(probe: HealthProbe, answer: str, health: str) -> int:
    # While the VM initializes, answers other than healthy and unhealthy count only after the grace period.
    unclear = probe.rich and health == Health.INITIALIZING and answer in ("unknown", "none")
    return max(probe.grace, probe.settle) if unclear else probe.settle


def reported(probe: HealthProbe, answer: str) -> str:
    """The health state for an answer of the application."""
    if not answer:
        return Health.HEALTHY
    if probe.rich and answer != "unhealthy" and not probe.tcp:
        return Health.UNKNOWN
    return Health.UNHEALTHY


def wake(recorder: Recorder, group: Container, name: str, due: int) -> None:
    """Change the health state, unless the timer is stale."""
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
    """Change what the application of a VM answers to probes."""
    probe = recorder.fleet.vm_probe(vm)
    if probe is None or vm.power != Power.RUNNING or vm.provisioning == Provisioning.DELETING:
        return recorder.change_vm(group, vm, answer=answer)
    due = recorder.now + _wait(probe, answer, vm.health)
    return recorder.change_vm(group, vm, answer=answer, health_due=due)
