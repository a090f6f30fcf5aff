"""Requests about the extensions of virtual machines.

Source: Azure docs, "Virtual Machine Extensions - Create Or Update".
"""

from __future__ import annotations

from typing import Any, cast

from kqlite.orchestration import arm_documents, errors
from kqlite.orchestration.fleet import Container
from kqlite.orchestration.instances import begin, step_due
from kqlite.orchestration.model import ExtensionState, Power, Provisioning, Step, Type, VmState
from kqlite.orchestration.recorder import Recorder
from kqlite.orchestration.requests import rules, schema
from kqlite.orchestration.requests.bodies import read_resource
from kqlite.orchestration.requests.call import Call, Outcome, check_registered
from kqlite.orchestration.requests.named_vm import check_idle


def _vm(recorder: Recorder, call: Call) -> tuple[Container, VmState]:
    group = call.group(recorder)
    vm = group.vm(call.name)
    if vm is None:
        raise errors.parent_not_found(f"{Type.VM}/{call.name}")
    return group, vm


def _of(vm: VmState, name: str) -> ExtensionState | None:
    return next((each for each in arm_documents.extensions_of(vm) if each.name.lower() == name.lower()), None)


def _name(call: Call) -> str:
    return call.child.partition("/")[2]


def get(recorder: Recorder, call: Call) -> Outcome:
    """GET of one extension, or of all."""
    group, vm = _vm(recorder, call)
    name = _name(call)
    if not name:
        shown = [arm_documents.extension(group.id, each, recorder.fleet.definitions) for each in arm_documents.extensions_of(vm)]
        return Outcome(200, lambda: {"value": shown})
    found = _of(vm, name)
    if found is None:
        raise errors.not_found(f"{Type.VM}/{vm.name}/extensions", name, group.name)
    return Outcome(200, lambda: arm_documents.extension(group.id, found, recorder.fleet.definitions))


def put(recorder: Recorder, call: Call) -> Outcome:
    """PUT and PATCH of an extension. The VM is Updating while it installs the extension."""
    check_registered(recorder, call.subscription, "Microsoft.Compute")
    group, vm = _vm(recorder, call)
    body = read_resource(call, "VirtualMachineExtension", "extensions")
    name = _name(call)
    existing = _of(vm, name)
    if existing is None and call.method == "PATCH":
        raise errors.not_found(f"{Type.VM}/{vm.name}/extensions", name, group.name)
    properties = body.get("properties") or {}
    if existing is not None and call.method == "PATCH":
        properties = schema.merged(recorder.fleet.definitions[existing.definition].document, properties)
    rules.check_extension(properties, "properties")
    if recorder.preview and vm.set and rules.is_service_fabric(properties):
        raise errors.parameter_not_allowed("publisher")
    if existing is None:
        others = [{"name": each, "properties": recorder.fleet.definitions[number].document} for each, number, *_ in vm.extensions]
        rules.check_handlers([*others, {"name": name, "properties": properties}], recorder.fleet.facts(vm.model).os_type)
    check_idle(recorder, vm, "extensions/write")
    if vm.power != Power.RUNNING:
        raise errors.extensions_need_running_vm()
    number = recorder.define("extension", rules.public_properties(properties))
    return _install(recorder, group, vm, existing, name, number)


def _install(recorder: Recorder, group: Container, vm: VmState, existing: ExtensionState | None, name: str, number: int) -> Outcome:
    target = f"{group.scope(Type.VM)}{vm.name}/extensions/{name}"
    operation = recorder.open_operation("virtualMachines/extensions/write", group, target, vm.location)
    note = f"{vm.name}/extensions/{existing.name if existing else name}"
    if existing is None:
        state = recorder.create(
            group, Type.EXTENSION, ExtensionState(name, 1, vm.name, vm.location, number, Provisioning.CREATING, ""), name=note
        )
    else:
        state = recorder.change(
            group, Type.EXTENSION, existing, note=note, definition=number, provisioning=Provisioning.UPDATING, failure=""
        )
    member = (state.name, state.definition, state.provisioning, state.version, state.failure)
    others = tuple(each for each in vm.extensions if each[0].lower() != name.lower())
    due = step_due(recorder, vm, Step.EXTENSIONS)
    begin(recorder, group, vm, Step.EXTENSIONS, operation, due=due, extensions=(*others, member), failure=())

    def show() -> dict[str, Any]:
        now = cast("VmState", group.vm(vm.name))
        return arm_documents.extension(group.id, cast("ExtensionState", _of(now, name)), recorder.fleet.definitions)

    return Outcome(201 if existing is None else 200, show, operation, vm.location)


def delete(recorder: Recorder, call: Call) -> Outcome:
    """DELETE of an extension."""
    check_registered(recorder, call.subscription, "Microsoft.Compute")
    group, vm = _vm(recorder, call)
    name = _name(call)
    existing = _of(vm, name)
    if existing is None:
        return Outcome(204)
    check_idle(recorder, vm, "extensions/delete")
    if vm.power != Power.RUNNING:
        raise errors.extensions_need_running_vm()
    target = f"{group.scope(Type.VM)}{vm.name}/extensions/{existing.name}"
    operation = recorder.open_operation("virtualMachines/extensions/delete", group, target, vm.location)
    recorder.delete(group, Type.EXTENSION, existing, name=f"{vm.name}/extensions/{existing.name}")
    others = tuple(each for each in vm.extensions if each[0] != existing.name)
    fields: dict[str, Any] = {"extensions": others}
    if recorder.fleet.probe(existing.definition) is not None:
        fields |= {"health": "", "health_due": 0}
    begin(recorder, group, vm, Step.UPDATE, operation, None, **fields)
    return Outcome(202, operation=operation, location=vm.location)
