"""The fault controller: begins and ends faults, and applies their effects to VMs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any, cast

from kqlite.orchestration.controllers import health, maintenance, repair, spot
from kqlite.orchestration.errors import CoreError
from kqlite.orchestration.faults import active, chosen, parsed, targets, value_of
from kqlite.orchestration.fleet import Container
from kqlite.orchestration.instances import begin
from kqlite.orchestration.model import FaultState, Health, Power, Provisioning, Step, Type, VmState
from kqlite.orchestration.recorder import Recorder

_DOWN = ("fault_domain_outage", "rack_outage", "zone_loss", "host_failure")


def inject(recorder: Recorder, spec: Mapping[str, Any]) -> str:
    """Inject a fault and return its id. Raises CoreError for an unknown name, key or value."""
    name, keys, start, end = parsed(spec, recorder.now)
    number = len(recorder.fleet.root.of(Type.FAULT)) + 1
    id_ = f"fault-{number}"
    state = FaultState(id_, 1, number, name, tuple(sorted(keys.items())), start, end, False, 0, 0, start)
    with recorder.because("fault", name):
        fault = recorder.create(recorder.fleet.root, Type.FAULT, state)
        if start <= recorder.now:
            _begin(recorder, fault)
    return id_


def recover(recorder: Recorder, id_: str) -> None:
    """End a fault now; an ended fault is left alone. Raises CoreError for an unknown id."""
    fault = cast("FaultState | None", recorder.fleet.root.get(Type.FAULT, id_))
    if fault is None:
        raise CoreError(f"no fault {id_!r} was injected")
    with recorder.because("fault", "recover"):
        if fault.active:
            _end(recorder, fault)
        elif fault.due:
            recorder.change(recorder.fleet.root, Type.FAULT, fault, due=0, end=recorder.now)


def wake(recorder: Recorder, name: str, due: int) -> None:
    """Begin a fault, take its next step, or end it."""
    fault = cast("FaultState | None", recorder.fleet.root.get(Type.FAULT, name))
    if fault is None or fault.due != due:
        return
    with recorder.because("fault", fault.fault):
        if not fault.active:
            _begin(recorder, fault)
        elif fault.end and fault.end <= recorder.now:
            _end(recorder, fault)
        elif fault.fault == "maintenance":
            maintenance.step(recorder, fault)


def _begin(recorder: Recorder, fault: FaultState) -> None:
    fault = recorder.change(recorder.fleet.root, Type.FAULT, fault, active=True, due=fault.end)
    if fault.fault in _DOWN:
        for group, vm in chosen(recorder, fault, _affected(recorder, fault)):
            _take_down(recorder, group, vm, fault)
        if not fault.end and fault.fault != "zone_loss":
            recorder.change(recorder.fleet.root, Type.FAULT, fault, active=False, end=recorder.now)
    elif fault.fault == "app_sick":
        affected = [(group, vm) for group, vm in targets(recorder, fault) if vm.extensions]
        for group, vm in chosen(recorder, fault, affected):
            health.answer_changes(recorder, group, vm, str(value_of(fault, "answer", "unhealthy")))
    elif fault.fault == "spot_eviction":
        spots = [(group, vm) for group, vm in targets(recorder, fault) if recorder.fleet.facts(vm.model).is_spot]
        for group, vm in chosen(recorder, fault, spots):
            spot.evict(recorder, group, vm)
    elif fault.fault == "maintenance":
        maintenance.step(recorder, fault)


def _affected(recorder: Recorder, fault: FaultState) -> list[tuple[Container, VmState]]:
    """The running VMs that the fault covers. A rack outage affects the fullest rack of each fault domain."""
    affected = [
        (group, vm) for group, vm in targets(recorder, fault) if vm.power == Power.RUNNING and vm.provisioning != Provisioning.CREATING
    ]
    affected = [(group, vm) for group, vm in affected if vm.provisioning != Provisioning.DELETING]
    if fault.fault != "rack_outage":
        return affected
    racks = Counter((vm.set, vm.domain, vm.rack) for _, vm in affected)
    fullest: dict[tuple[str, int], int] = {}
    for set_name, domain, rack in sorted(racks, key=lambda each: (-racks[each], each)):
        fullest.setdefault((set_name, domain), rack)
    return [(group, vm) for group, vm in affected if fullest[vm.set, vm.domain] == vm.rack]


def _take_down(recorder: Recorder, group: Container, vm: VmState, fault: FaultState) -> None:
    facts = recorder.fleet.facts(vm.model)
    if facts.is_spot and fault.fault != "host_failure":
        begin(recorder, group, vm, Step.DEALLOCATE, vm.work)
        return
    probe = recorder.fleet.vm_probe(vm)
    state = Health.NONE
    if probe is not None:
        state = Health.UNKNOWN if probe.rich and not probe.tcp else Health.UNHEALTHY
    bounds = (180.0, 300.0, 600.0) if fault.fault == "host_failure" else None
    fields: dict[str, Any] = {"provisioning": vm.provisioning, "health": state, "health_due": 0}
    if fault.fault == "zone_loss":
        fields["due"] = fault.end  # the VM returns with its zone
    vm = begin(recorder, group, vm, Step.OUTAGE, vm.work, bounds, **fields)
    if vm.set and state:
        repair.health_changed(recorder, group, vm)


def _end(recorder: Recorder, fault: FaultState) -> None:
    fault = recorder.change(recorder.fleet.root, Type.FAULT, fault, active=False, due=0, end=recorder.now)
    if fault.fault == "app_sick":
        sick = str(value_of(fault, "answer", "unhealthy"))
        still = list(active(recorder, "app_sick"))
        for group, vm in targets(recorder, fault):
            if vm.answer == sick and not still:
                health.answer_changes(recorder, group, vm, "")
    elif fault.fault == "zone_loss":
        for group, vm in targets(recorder, fault):
            if vm.step == Step.OUTAGE:
                begin(recorder, group, vm, Step.OUTAGE, vm.work, provisioning=vm.provisioning, health=vm.health)


def list_active(recorder: Recorder) -> list[dict[str, Any]]:
    """The faults that are active or will begin, each as it was injected and with its id."""
    faults = cast("dict[str, FaultState]", recorder.fleet.root.of(Type.FAULT)).values()
    return [{"id": fault.name, "fault": fault.fault, **dict(fault.spec)} for fault in faults if fault.active or fault.due]
