"""The update of an existing VM: checks which properties may change, then begins a step.

Source: Azure docs, "Virtual Machines - Create Or Update"; "Attach or detach a Virtual Machine to or from a scale set".
"""

from __future__ import annotations

from typing import Any, cast

from kqlite.orchestration import arm_documents, errors
from kqlite.orchestration.attachments import disk_name, disks_of, find_disk, materialise, nics_of
from kqlite.orchestration.azure_offerings import find_size
from kqlite.orchestration.fleet import Container
from kqlite.orchestration.instances import begin, forget_member, rack_for
from kqlite.orchestration.model import TOP_LEVEL_MEMBERS, DiskState, NicState, Power, Provisioning, ScaleSetState, Step, Type, VmState
from kqlite.orchestration.placement import MAX_INSTANCES
from kqlite.orchestration.recorder import Recorder
from kqlite.orchestration.requests import rules, schema
from kqlite.orchestration.requests.call import (
    Call,
    Outcome,
    get_path,
    group_of_id,
    last_segment,
    tags_of,
)
from kqlite.orchestration.requests.named_vm import check_idle, outcome
from kqlite.orchestration.requests.vm_models import LINKS, define_model, disk_parts, in_use
from kqlite.orchestration.vm_profiles import facts_of

_IMMUTABLE = (
    ("platformFaultDomain",),
    ("availabilitySet",),
    ("proximityPlacementGroup", "id"),
    ("osProfile", "computerName"),
    ("storageProfile", "imageReference", "publisher"),
    ("storageProfile", "imageReference", "offer"),
    ("storageProfile", "osDisk", "name"),
)
_ALLOCATE_AGAIN = (5, 6, 8)  # seconds
_NOT_ALLOCATED = (Power.DEALLOCATED, Power.NONE)


class Update:
    """A request to update a VM."""

    def __init__(self, recorder: Recorder, call: Call, group: Container, vm: VmState, location: str, body: dict[str, Any]) -> None:
        self.recorder, self.call, self.group, self.vm, self.location, self.body = recorder, call, group, vm, location, body
        self.sent: dict[str, Any] = dict(body.get("properties") or {})
        self.facts = recorder.fleet.facts(vm.model)
        self.old: dict[str, Any] = arm_documents.vm_properties(group.id, vm, recorder.fleet.definitions)
        self.moves_to: ScaleSetState | None = None
        # A PUT of a VM whose allocation failed allocates it again, with the new properties.
        self.allocates = call.method == "PUT" and vm.provisioning == Provisioning.FAILED and vm.power == Power.NONE

    def run(self) -> Outcome:
        """Validate the whole request, then begin the update."""
        vm, group, recorder = self.vm, self.group, self.recorder
        if self.location != vm.location:
            raise errors.wrong_location(vm.name, vm.location, group.name, self.location)
        self._check_unchanged()
        check_idle(recorder, vm, "update")
        rules.check_values(self.sent, "", None)
        changes = {key: value for key, value in self.sent.items() if key not in (*LINKS, "networkProfile")}
        references = get_path(self.sent, "networkProfile", "networkInterfaces")
        if references is not None:  # interface configurations have no effect after the creation
            changes["networkProfile"] = {"networkInterfaces": references}
        wanted = _without_detached(schema.merged(self.old, changes))
        self._check_size(wanted)
        self._check_disks(wanted)
        rules.check_spot(wanted if "priority" in wanted else {**wanted, "evictionPolicy": self.sent.get("evictionPolicy")}, "", None)
        self._check_detached(wanted)
        model = vm.model if self.old == wanted and not self._has_new_top() else self._new_model(wanted)
        operation = recorder.open_operation("virtualMachines/write", group, group.scope(Type.VM) + vm.name, vm.location)
        membership = self._move(self.moves_to) if self.moves_to is not None else {}
        fields = {"tags": tags_of(self.call, self.body, vm.tags), "model": model, "failure": (), **membership}
        if self.allocates:
            again = {"provisioning": Provisioning.CREATING, "power": Power.NONE}
            begin(recorder, group, vm, Step.ALLOCATE, operation, _ALLOCATE_AGAIN, **again, **fields)
        else:
            begin(recorder, group, vm, Step.UPDATE, operation, None, **fields)
        return outcome(recorder, group, vm.name, 200, operation, vm.location)

    def _check_move(self, reference: str, attach: bool) -> ScaleSetState:
        """The scale set that the VM joins or leaves. Raises ArmError if the later service does not allow it."""
        scale_set = self.group.scale_set(last_segment(reference))
        if scale_set is None or group_of_id(reference) != self.group.key:
            raise errors.scale_set_absent(reference)
        if scale_set.provisioning == Provisioning.DELETING:
            raise errors.scale_set_being_deleted(scale_set.name)
        verb = "attaching" if attach else "detaching"
        if scale_set.domains > 1:
            raise errors.attach_many_domains(scale_set.name, verb)
        if self.recorder.fleet.definitions[scale_set.model].document["properties"].get("singlePlacementGroup") is not False:
            raise errors.attach_single_placement_group(scale_set.name, verb)
        if self.old.get("availabilitySet"):
            raise errors.attach_availability_set(self.vm.name)
        if self.old.get("proximityPlacementGroup"):
            raise errors.attach_placement_group(self.vm.name)
        if rules.has_unmanaged_disk(self.old):
            raise errors.attach_unmanaged_disk(self.vm.name)
        for name in ("host", "hostGroup"):
            if self.old.get(name):
                raise errors.parameter_invalid(name)
        if attach and (self.vm.location != scale_set.location or bool(self.vm.zone) != bool(scale_set.zones)):
            raise errors.parameter_invalid("virtualMachineScaleSet.id")
        if attach and self.vm.zone and self.vm.zone not in scale_set.zones:
            raise errors.parameter_invalid("zones")
        if attach and scale_set.capacity + 1 > MAX_INSTANCES:
            raise errors.too_many_instances(scale_set.name, MAX_INSTANCES)
        return scale_set

    def _move(self, scale_set: ScaleSetState) -> dict[str, Any]:
        """Change the capacity of the set that the VM joins or leaves. Returns the changed fields of the VM."""
        joins = not self.vm.set
        self.recorder.change_set(self.group, scale_set, capacity=scale_set.capacity + (1 if joins else -1))
        if not joins:
            forget_member(self.recorder, self.group, self.vm)
            return {"set": "", "domain": -1, "domain_asked": False}
        return {"set": scale_set.name, "domain": 0, "rack": rack_for(self.recorder, self.group, scale_set.name, 0, self.vm.uid)}

    def _has_new_top(self) -> bool:
        return any(self.body.get(name) is not None for name in TOP_LEVEL_MEMBERS)

    def _check_unchanged(self) -> None:
        vm = self.vm
        if "virtualMachineScaleSet" in self.sent or self._detaches():
            wanted = (get_path(self.sent, "virtualMachineScaleSet", "id") or "").lower()
            current = (self.group.scope(Type.SCALE_SET) + vm.set).lower() if vm.set else ""
            if wanted != current:
                if self.recorder.preview or (wanted and current):
                    raise errors.property_change_not_allowed("virtualMachineScaleSet.id")
                self.moves_to = self._check_move(wanted or current, attach=bool(wanted))
        if "zones" in self.body and tuple(self.body["zones"]) != ((vm.zone,) if vm.zone else ()):
            raise errors.property_change_not_allowed("zones")
        old = {**self.old, **({"platformFaultDomain": vm.domain} if vm.domain_asked else {})}
        for path in _IMMUTABLE:
            value, before = get_path(self.sent, *path), get_path(old, *path)
            if value is not None and _folded(value) != _folded(before):
                raise errors.property_change_not_allowed(".".join(path))
        self._check_priority()

    def _detaches(self) -> bool:
        """Whether the body sets the scale set to null. `schema.read` drops nulls, so this reads the raw body."""
        raw = (self.call.body.get("properties") or {}) if isinstance(self.call.body, dict) else {}
        names = {str(key).lower(): value for key, value in raw.items()}
        return "virtualmachinescaleset" in names and names["virtualmachinescaleset"] is None

    def _check_priority(self) -> None:
        if "priority" in self.sent and self.sent["priority"] != (self.old.get("priority") or "Regular"):
            if not self.facts.priority_given:
                raise errors.priority_cannot_be_applied()
            raise errors.property_change_not_allowed("priority")
        bid = get_path(self.sent, "billingProfile", "maxPrice")
        if bid is not None and not self.facts.is_spot:
            raise errors.billing_profile_needs_spot()
        if bid is not None and bid != self.facts.max_price and self.vm.power not in _NOT_ALLOCATED:
            raise errors.max_price_needs_deallocated()

    def _check_size(self, wanted: dict[str, Any]) -> None:
        name = wanted["hardwareProfile"]["vmSize"]
        if name.lower() == self.facts.size.name.lower():
            return
        scale_set = self.group.scale_set(self.vm.set) if self.vm.set else None
        size = rules.check_size(self.recorder, name, scale_set.domains if scale_set else 1, scale_set is not None)
        zones = (self.vm.zone,) if self.vm.zone else ()
        rules.check_restricted(
            self.recorder, self.call.subscription, self.group.scope(Type.VM) + self.vm.name, size, self.vm.location, zones
        )
        rules.check_quota(self.recorder, self.call.subscription, self.vm.location, size, self.facts.is_spot, 1, self.facts.size)

    def _check_disks(self, wanted: dict[str, Any]) -> None:
        """Raise ArmError for more data disks than the size allows."""
        size = find_size(wanted["hardwareProfile"]["vmSize"]) or self.facts.size
        if len(get_path(wanted, "storageProfile", "dataDisks") or []) > size.data_disks:
            raise errors.too_many_data_disks(size.data_disks)

    def _check_detached(self, wanted: dict[str, Any]) -> None:
        before = {nic["id"].lower() for nic in get_path(self.old, "networkProfile", "networkInterfaces") or []}
        after = {(nic.get("id") or "").lower() for nic in get_path(wanted, "networkProfile", "networkInterfaces") or []}
        if before != after and self.vm.power not in _NOT_ALLOCATED:
            raise errors.vm_operation_not_allowed("updateNetworkInterfaces", self.vm.name, errors.NOT_DEALLOCATED)
        for disk, _ in disk_parts(wanted):
            name = last_segment(get_path(disk, "managedDisk", "id") or "") or disk.get("name") or ""
            known = find_disk(self.recorder.fleet, self.group, name) if name else None
            if known is not None and known.vm and known.vm.lower() != self.vm.name.lower():
                raise in_use("Disk", known.name, known.vm)
            if known is None and (disk.get("createOption") or "").lower() == "attach":
                raise errors.not_found(Type.DISK, name, self.group.name)

    def _new_model(self, wanted: dict[str, Any]) -> int:
        """Define a new model for the VM, attach and detach its disks and interfaces, and return the model's number."""
        recorder, group, vm = self.recorder, self.group, self.vm
        if self.facts.kind == "instance":
            materialise(recorder, group, vm, self.facts)
        document = recorder.fleet.definitions[vm.model].document
        top = {name: self.body.get(name) or document.get(name) for name in TOP_LEVEL_MEMBERS}
        model = define_model(recorder, group, vm.name, vm.uid, wanted, top)
        self._move_disks(model)
        self._move_nics(model)
        return model

    def _move_disks(self, model: int) -> None:
        recorder, group, vm = self.recorder, self.group, self.vm
        parts = facts_of(recorder.fleet.definitions[model]).disks
        names = {disk_name(vm, part).lower() for part in parts}
        for disk, _ in disks_of(group, vm, self.facts):
            if disk.name.lower() not in names:
                recorder.change(group, Type.DISK, disk, vm="", state="Unattached", lun=-1, implied=False)
        for part in parts:
            known = cast("DiskState | None", group.get(Type.DISK, disk_name(vm, part)))
            if known is not None:
                recorder.change(group, Type.DISK, known, vm=vm.name, lun=part.lun, state="Attached", size_gb=part.size_gb or known.size_gb)
                continue
            name = disk_name(vm, part)
            uid = recorder.chance.uid(group.scope(Type.DISK) + name, recorder.now)
            state = DiskState(
                name,
                1,
                uid,
                vm.location,
                vm.zone,
                (),
                recorder.now,
                vm.name,
                part.lun,
                part.size_gb,
                part.sku,
                "",
                "Attached",
                implied=False,
            )
            recorder.create(group, Type.DISK, state)

    def _move_nics(self, model: int) -> None:
        recorder, group, vm = self.recorder, self.group, self.vm
        names = {part.name.lower() for part in facts_of(recorder.fleet.definitions[model]).nics}
        for nic, _ in nics_of(group, vm, self.facts):
            if nic.name.lower() not in names:
                recorder.change(group, Type.NIC, nic, vm="", implied=False)
        for name in names:
            known = cast("NicState | None", group.get(Type.NIC, name))
            if known is not None:
                recorder.change(group, Type.NIC, known, vm=vm.name)


def _without_detached(properties: dict[str, Any]) -> dict[str, Any]:
    """The properties without the data disks with `toBeDetached`."""
    disks = get_path(properties, "storageProfile", "dataDisks") or []
    kept = [disk for disk in disks if not disk.get("toBeDetached")]
    return properties if len(kept) == len(disks) else {**properties, "storageProfile": {**properties["storageProfile"], "dataDisks": kept}}


def _folded(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _folded(item) for key, item in value.items()}
    return value.lower() if isinstance(value, str) else value
