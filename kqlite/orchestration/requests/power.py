"""Actions on virtual machines: start, power off, deallocate, restart, redeploy, reimage, reapply, evict, and the like.

Source: Azure docs, "States and billing status of Azure Virtual Machines"; "Common error messages for virtual machines".
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from kqlite.orchestration import arm_documents, errors
from kqlite.orchestration.clock import to_datetime
from kqlite.orchestration.controllers import notices, spot
from kqlite.orchestration.fleet import Container
from kqlite.orchestration.instances import QUICK_STOP, begin, start_deallocated
from kqlite.orchestration.model import Power, Step, Type, VmState
from kqlite.orchestration.recorder import Recorder
from kqlite.orchestration.requests import schema
from kqlite.orchestration.requests.call import Call, Outcome, check_registered, whole_number
from kqlite.orchestration.requests.named_vm import check_idle, find

_APPROVAL = schema.shape_of({"StartRequests": [{"EventId": schema.STR}], "DocumentIncarnation": schema.INT})
_LONGEST_SAS = 24 * 60  # minutes
_DEALLOCATED = (Power.DEALLOCATED, Power.DEALLOCATING)
_NEEDS_RUNNING = {"restart": Step.RESTART, "redeploy": Step.REDEPLOY}


def act(recorder: Recorder, call: Call) -> Outcome:
    """POST of an action on a VM."""
    check_registered(recorder, call.subscription, "Microsoft.Compute")
    group, vm = find(recorder, call)
    name = call.child.lower()
    if name in _ACTIONS:
        check_idle(recorder, vm, _ACTIONS[name][0])
        if vm.generalized and name in ("start", "restart"):
            raise errors.vm_operation_not_allowed(_ACTIONS[name][0], vm.name, errors.GENERALIZED)
        return _ACTIONS[name][1](recorder, call, group, vm)
    return _IMMEDIATE_ACTIONS[name](recorder, call, group, vm)


def _operation(recorder: Recorder, call: Call, group: Container, vm: VmState) -> str:
    return recorder.open_operation(f"virtualMachines/{call.child}/action", group, group.scope(Type.VM) + vm.name, vm.location)


def _done(recorder: Recorder, call: Call, group: Container, vm: VmState) -> Outcome:
    """An action without effect, such as the start of a running VM: its operation ends at once."""
    operation = _operation(recorder, call, group, vm)
    recorder.end_operation(group, operation)
    return Outcome(202, operation=operation, location=vm.location)


def _step(recorder: Recorder, call: Call, group: Container, vm: VmState, step: Step, **fields: Any) -> Outcome:
    operation = _operation(recorder, call, group, vm)
    begin(recorder, group, vm, step, operation, failure=(), **fields)
    return Outcome(202, operation=operation, location=vm.location)


def _start(recorder: Recorder, call: Call, group: Container, vm: VmState) -> Outcome:
    if vm.power == Power.RUNNING:
        return _done(recorder, call, group, vm)
    if vm.power != Power.DEALLOCATED:
        return _step(recorder, call, group, vm, Step.START)
    facts = recorder.fleet.facts(vm.model)
    if facts.is_spot and 0 < facts.max_price < (asked := spot.price(recorder, vm.location, facts.size)):
        raise errors.max_price_too_low(asked, facts.size.name, "start")
    operation = _operation(recorder, call, group, vm)
    start_deallocated(recorder, group, vm, operation)
    return Outcome(202, operation=operation, location=vm.location)


def _power_off(recorder: Recorder, call: Call, group: Container, vm: VmState) -> Outcome:
    if vm.power in _DEALLOCATED:
        raise errors.vm_operation_not_allowed("powerOff", vm.name, errors.DEALLOCATED)
    if vm.power == Power.STOPPED:
        return _done(recorder, call, group, vm)
    quick = call.query.get("skipshutdown", "").lower() == "true"
    return _step(recorder, call, group, vm, Step.POWER_OFF, **({"bounds": QUICK_STOP} if quick else {}))


def _deallocate(recorder: Recorder, call: Call, group: Container, vm: VmState) -> Outcome:
    if recorder.fleet.facts(vm.model).ephemeral:
        raise errors.ephemeral_not_deallocated()
    if vm.power == Power.DEALLOCATED:
        return _done(recorder, call, group, vm)
    return _step(recorder, call, group, vm, Step.DEALLOCATE)


def _need_running(recorder: Recorder, call: Call, group: Container, vm: VmState) -> Outcome:
    name = call.child.lower()
    if vm.power in _DEALLOCATED:
        raise errors.vm_operation_not_allowed(name, vm.name, errors.DEALLOCATED)
    if vm.power != Power.RUNNING:
        raise errors.vm_must_run()
    return _step(recorder, call, group, vm, _NEEDS_RUNNING[name])


def _reimage(recorder: Recorder, call: Call, group: Container, vm: VmState) -> Outcome:
    if vm.power in _DEALLOCATED:
        raise errors.vm_operation_not_allowed("reimage", vm.name, errors.DEALLOCATED)
    return _step(recorder, call, group, vm, Step.REIMAGE)


def _reapply(recorder: Recorder, call: Call, group: Container, vm: VmState) -> Outcome:
    return _step(recorder, call, group, vm, Step.REAPPLY)


def _assess(recorder: Recorder, call: Call, group: Container, vm: VmState) -> Outcome:
    if vm.power != Power.RUNNING:
        raise errors.vm_must_run()
    return _done(recorder, call, group, vm)


def _generalize(recorder: Recorder, call: Call, group: Container, vm: VmState) -> Outcome:
    if vm.power not in (Power.STOPPED, Power.DEALLOCATED):
        raise errors.vm_operation_not_allowed("generalize", vm.name, errors.RUNNING)
    recorder.change_vm(group, vm, generalized=True)
    return Outcome(200)


def _evict(recorder: Recorder, call: Call, group: Container, vm: VmState) -> Outcome:
    check_idle(recorder, vm, "simulateEviction")
    if not recorder.fleet.facts(vm.model).is_spot:
        raise errors.eviction_not_allowed(vm.name)
    spot.evict(recorder, group, vm)
    return Outcome(204)


def _boot_data(recorder: Recorder, call: Call, group: Container, vm: VmState) -> Outcome:
    if not recorder.fleet.facts(vm.model).boot_diagnostics:
        raise errors.vm_operation_not_allowed("retrieveBootDiagnosticsData", vm.name, "boot diagnostics is not enabled.")
    minutes = whole_number(call.query.get("sasuriexpirationtimeinminutes") or "120")
    if minutes is None or not 1 <= minutes <= _LONGEST_SAS:
        raise errors.parameter_invalid("sasUriExpirationTimeInMinutes")
    end = f"{to_datetime(recorder.now + minutes * 60_000_000):%Y-%m-%dT%H:%M:%SZ}"
    shown = {name: f"{uri}?sv=2018-03-28&sr=b&se={end}&sig=simulated" for name, uri in arm_documents.boot_diagnostics(vm).items()}
    return Outcome(200, lambda: shown)


def scheduled_events(recorder: Recorder, call: Call) -> Outcome:
    """The scheduled events of the guest's metadata service: GET lists them, POST approves one."""
    group, vm = find(recorder, call)
    if call.method == "POST":
        body = schema.read(call.body, _APPROVAL, "vm", call.text)
        named = {request.get("EventId") for request in body.get("StartRequests") or []}
        if named != {_event_id(recorder, vm)} or not vm.step.startswith("terminate"):
            raise errors.bad_request("There is no scheduled event of this id.", "EventId")
        notices.approve(recorder, group, vm)
        return Outcome(200)
    return Outcome(200, lambda: _events(recorder, group, vm))


def _event_id(recorder: Recorder, vm: VmState) -> str:
    return recorder.chance.guid("event", vm.uid, vm.turn).upper()


def _events(recorder: Recorder, group: Container, vm: VmState) -> dict[str, Any]:
    kinds = {Step.NOTICE: "Terminate", Step.APPROVED: "Terminate", Step.PREEMPT: "Preempt"}
    now = group.vm(vm.name)
    if now is None or now.step not in kinds:
        return {"DocumentIncarnation": vm.turn, "Events": []}
    event = {
        "EventId": _event_id(recorder, now),
        "EventType": kinds[Step(now.step)],
        "ResourceType": "VirtualMachine",
        "Resources": [now.name],
        "EventStatus": "Scheduled" if now.step != Step.APPROVED else "Started",
        "NotBefore": f"{to_datetime(now.due):%a, %d %b %Y %H:%M:%S GMT}",
    }
    return {"DocumentIncarnation": now.turn, "Events": [event]}


_Handler = Callable[[Recorder, Call, Container, VmState], Outcome]
_ACTIONS: dict[str, tuple[str, _Handler]] = {
    "start": ("start", _start),
    "poweroff": ("powerOff", _power_off),
    "deallocate": ("deallocate", _deallocate),
    "restart": ("restart", _need_running),
    "redeploy": ("redeploy", _need_running),
    "reimage": ("reimage", _reimage),
    "reapply": ("reapply", _reapply),
    "generalize": ("generalize", _generalize),
    "assesspatches": ("assessPatches", _assess),
    "installpatches": ("installPatches", _assess),
}
_IMMEDIATE_ACTIONS: dict[str, _Handler] = {"simulateeviction": _evict, "retrievebootdiagnosticsdata": _boot_data}
ACTIONS = (*_ACTIONS, *_IMMEDIATE_ACTIONS)
