"""Requests about virtual machines: create alone or into a scale set, update, delete.

Source: Azure docs, "Virtual Machines - Create Or Update"; "Preview: Flexible orchestration for virtual machine scale sets in Azure".
"""

from __future__ import annotations

from typing import Any, cast

from kqlite.orchestration import documents, errors
from kqlite.orchestration.attachments import disk_name, disks_of, find_disk, find_nic, materialise, nics_of
from kqlite.orchestration.catalogue import ZONES, Size, find_size
from kqlite.orchestration.chance import derived_hex
from kqlite.orchestration.controllers import scale_set as sets
from kqlite.orchestration.controllers.maintenance import under_way
from kqlite.orchestration.controllers.spot import price
from kqlite.orchestration.fleet import Container
from kqlite.orchestration.instances import begin, begin_delete, create, rack_for
from kqlite.orchestration.model import DiskImage, NicImage, Power, Provisioning, ScaleSetImage, Step, Type, VmImage
from kqlite.orchestration.placement import MAX_INSTANCES, next_domain
from kqlite.orchestration.profiles import facts_of
from kqlite.orchestration.recorder import Recorder
from kqlite.orchestration.requests import rules, schema
from kqlite.orchestration.requests.call import (
    Call,
    Outcome,
    check_match,
    check_name,
    check_registered,
    check_unlocked,
    checked_location,
    given,
    group_of_id,
    last_segment,
    tags_of,
)
from kqlite.orchestration.requests.scale_sets import check_placement_group

OWNER = "vm"
_IMMUTABLE = (
    ("platformFaultDomain",),
    ("availabilitySet",),
    ("proximityPlacementGroup", "id"),
    ("osProfile", "computerName"),
    ("storageProfile", "imageReference", "publisher"),
    ("storageProfile", "imageReference", "offer"),
    ("storageProfile", "osDisk", "name"),
)


def find(rec: Recorder, call: Call) -> tuple[Container, VmImage]:
    """The VM that a request names. Raises ArmError 404."""
    group = call.group(rec)
    vm = group.vm(call.name)
    if vm is None:
        raise errors.not_found(Type.VM, call.name, group.name)
    return group, vm


def show(rec: Recorder, group: Container, vm: VmImage, with_view: bool = False) -> dict[str, Any]:
    """The VM's document."""
    return documents.vm(group.id, vm, rec.fleet.definitions, with_view, rec.preview)


def put(rec: Recorder, call: Call) -> Outcome:
    """PUT and PATCH of a VM."""
    check_registered(rec, call.subscription, "Microsoft.Compute")
    group = call.group(rec)
    known = group.vm(call.name)
    if known is None and call.method == "PATCH":
        raise errors.not_found(Type.VM, call.name, group.name)
    location = checked_location(call.body if isinstance(call.body, dict) else {}, Type.VM, known.location if known else "")
    body = schema.read(call.body, schema.VM, OWNER, call.text)
    check_name(call.name, "vmName")
    check_match(call, known)
    if known is not None and known.provisioning == Provisioning.FAILED and known.power == Power.NONE and call.method == "PUT":
        return _retry(rec, call, group, known)
    if known is not None:
        return _Update(rec, call, group, known, location, body).run()
    return _Creation(rec, call, group, location, body).run()


def _retry(rec: Recorder, call: Call, group: Container, known: VmImage) -> Outcome:
    """A VM that was never allocated is tried again."""
    operation = rec.open_operation("virtualMachines/write", group, group.scope(Type.VM) + known.name, known.location)
    begin(rec, group, known, Step.ALLOCATE, operation, (5, 6, 8), provisioning=Provisioning.CREATING, power=Power.NONE, failure=())
    return _outcome(rec, group, call.name, 200, operation, known.location)


def _outcome(rec: Recorder, group: Container, name: str, status: int, operation: str, location: str) -> Outcome:
    return Outcome(status, lambda: show(rec, group, cast("VmImage", group.vm(name))), operation, location)


class _Creation:
    """A VM that does not exist yet."""

    def __init__(self, rec: Recorder, call: Call, group: Container, location: str, body: dict[str, Any]) -> None:
        self.rec, self.call, self.group, self.location, self.body = rec, call, group, location, body
        self.properties: dict[str, Any] = dict(body.get("properties") or {})
        self.zones = tuple(body.get("zones") or ())
        self.id = group.scope(Type.VM) + call.name
        self.scale_set: ScaleSetImage | None = None

    def run(self) -> Outcome:
        """Check everything, then create."""
        if self.rec.preview or rules.has_public_ip(self.properties):
            rules.check_features_of_profile(self.rec, self.call.subscription, self.properties)
        self._check_parameters()
        self._check_set()
        size = self._check_size()
        self._check_limits(size)
        self._check_attachments()
        return self._create()

    def _check_parameters(self) -> None:
        properties = self.properties
        in_set = given(properties, "virtualMachineScaleSet", "id")
        if in_set and properties.get("availabilitySet"):
            raise errors.parameter_invalid("availabilitySet")
        if "platformFaultDomain" in properties and not in_set:
            raise errors.fault_domain_without_set()
        if self.rec.preview and in_set:
            for name in ("host", "hostGroup"):
                if properties.get(name):
                    raise errors.parameter_not_allowed(name)
            rules.check_unsupported(self.rec, properties, "")
        if len(self.zones) > 1 or any(zone not in ZONES.get(self.location, ()) for zone in self.zones):
            raise errors.parameter_invalid("zones")
        size = find_size(given(properties, "hardwareProfile", "vmSize") or "")
        rules.check_values(properties, "", size)
        rules.check_spot(properties, "", size)
        if _too_long(properties):
            rules.check_windows_prefix(properties, given(properties, "osProfile", "computerName"), "computerName")

    def _check_set(self) -> None:
        reference = given(self.properties, "virtualMachineScaleSet", "id")
        ppg = given(self.properties, "proximityPlacementGroup", "id")
        if not reference:
            if ppg:
                check_placement_group(self.rec, ppg, self.location)
            return
        group = self.rec.fleet.container(group_of_id(reference))
        scale_set = group.scale_set(last_segment(reference)) if group is not None else None
        if scale_set is None:
            raise errors.scale_set_absent(reference)
        if group is not self.group or scale_set.location != self.location:
            raise errors.parameter_invalid("virtualMachineScaleSet.id")
        if scale_set.provisioning == Provisioning.DELETING:
            raise errors.scale_set_being_deleted(scale_set.name)
        if set(self.zones) - set(scale_set.zones) or (scale_set.zones and not self.zones):
            raise errors.parameter_invalid("zones")
        domain = self.properties.get("platformFaultDomain")
        if domain is not None and not (scale_set.domains > 1 and 0 <= domain < scale_set.domains):
            raise errors.fault_domain_out_of_range(domain, scale_set.domains)
        own = given(self.rec.fleet.definitions[scale_set.model].document["properties"], "proximityPlacementGroup")
        if ppg and (own is None or ppg.lower() != own["id"].lower()):
            raise errors.parameter_invalid("proximityPlacementGroup.id")
        if own is not None:
            self.properties["proximityPlacementGroup"] = own
        self.scale_set = scale_set

    def _check_size(self) -> Size:
        name = given(self.properties, "hardwareProfile", "vmSize")
        if not name:
            raise errors.parameter_invalid("hardwareProfile.vmSize")
        domains = self.scale_set.domains if self.scale_set else 1
        size = rules.check_size(self.rec, name, domains, self.scale_set is not None)
        if given(self.properties, "additionalCapabilities", "ultraSSDEnabled") and not size.ultra:
            raise errors.parameter_invalid("additionalCapabilities.ultraSSDEnabled")
        rules.check_restricted(self.rec, self.call.subscription, self.id, size, self.location, self.zones)
        bid = given(self.properties, "billingProfile", "maxPrice")
        if rules.is_spot(self.properties) and bid is not None and bid > 0:
            asked = price(self.rec, self.location, size)
            if bid < asked:
                raise errors.max_price_too_low(asked, size.name)
        return size

    def _check_limits(self, size: Size) -> None:
        if self.scale_set is not None:
            live = len(self.rec.fleet.membership(self.group, self.scale_set.name).live)
            if max(live, self.scale_set.capacity) + 1 > MAX_INSTANCES:
                raise errors.too_many_instances(self.scale_set.name, MAX_INSTANCES)
        rules.check_quota(self.rec, self.call.subscription, self.location, size, rules.is_spot(self.properties), 1)

    def _check_attachments(self) -> None:
        references = given(self.properties, "networkProfile", "networkInterfaces") or []
        names = [_nic_of(self.group, reference) for reference in references]
        names += [nic["name"] for nic in rules.nic_configurations(self.properties)]
        for name in names:
            nic = find_nic(self.rec.fleet, self.group, name)
            if nic is not None and nic.vm:
                raise _in_use("Network interface", nic.name, nic.vm)
        for disk, _ in _disk_parts(self.properties):
            name = last_segment(given(disk, "managedDisk", "id") or "") or disk.get("name") or ""
            known = find_disk(self.rec.fleet, self.group, name) if name else None
            if (disk.get("createOption") or "").lower() == "attach" and known is None:
                raise errors.not_found(Type.DISK, name, self.group.name)
            if known is not None and known.vm:
                raise _in_use("Disk", known.name, known.vm)

    def _create(self) -> Outcome:
        rec, group, name = self.rec, self.group, self.call.name
        domain, asked, set_name = -1, False, ""
        if self.scale_set is not None:
            set_name = self.scale_set.name
            wanted = self.properties.get("platformFaultDomain")
            asked = wanted is not None
            domain = int(wanted) if wanted is not None else next_domain(rec.fleet.membership(group, set_name).domains)
        uid = rec.chance.uid(self.id, rec.now)
        model = define_model(rec, group, name, uid, self.properties, self.body)
        operation = rec.open_operation("virtualMachines/write", group, self.id, self.location)
        if self.scale_set is not None:
            rec.change_set(group, self.scale_set, capacity=self.scale_set.capacity + 1)
        create(
            rec,
            group,
            name=name,
            location=self.location,
            zone=self.zones[0] if self.zones else "",
            set_name=set_name,
            model=model,
            tags=tags_of(self.body),
            domain=domain,
            domain_asked=asked,
            work=operation,
        )
        return _outcome(rec, group, name, 201, operation, self.location)


def _too_long(properties: dict[str, Any]) -> bool:
    """Whether a Windows computer name breaks its own limit of 15."""
    name = given(properties, "osProfile", "computerName") or ""
    return len(name) > 15 or name.isdigit()


def _in_use(what: str, name: str, vm: str) -> errors.ArmError:
    return errors.ArmError(409, "OperationNotAllowed", f"{what} '{name}' is in use by VM '{vm}'.")


def _disk_parts(properties: dict[str, Any]) -> list[tuple[dict[str, Any], int]]:
    storage = properties.get("storageProfile") or {}
    os_disk = [(storage["osDisk"], -1)] if storage.get("osDisk") else []
    return os_disk + [(disk, int(disk["lun"])) for disk in storage.get("dataDisks") or []]


def _nic_of(group: Container, reference: dict[str, Any]) -> str:
    """The name of an interface of this group; the whole id of one that lies elsewhere and is only carried."""
    id_ = str(reference.get("id") or "")
    return last_segment(id_) if group_of_id(id_) == group.key else id_


def define_model(rec: Recorder, group: Container, name: str, uid: int, properties: dict[str, Any], body: dict[str, Any]) -> int:
    """The number of a hand-made VM's model: its properties with every name resolved, its extensions and interfaces."""
    properties = rules.without_secrets({key: value for key, value in properties.items() if key not in _LINKS})
    storage = dict(properties.get("storageProfile") or {})
    storage["osDisk"] = {"createOption": "FromImage", **(storage.get("osDisk") or {})}
    storage["osDisk"].setdefault("name", f"{name}_OsDisk_1_{derived_hex(uid, 'disk-1')}")
    disks = []
    for disk in storage.get("dataDisks") or []:
        attached = last_segment(given(disk, "managedDisk", "id") or "")
        default = attached or f"{name}_disk{disk['lun'] + 2}_{derived_hex(uid, 'disk' + str(disk['lun']))}"
        disks.append({**disk, "name": disk.get("name") or default})
    storage["dataDisks"] = disks
    properties["storageProfile"] = storage
    if "osProfile" in properties:
        properties["osProfile"] = {"computerName": name, **properties["osProfile"]}
    document: dict[str, Any] = {"properties": properties, "extensions": [], "nics": _define_nics(rec, group, properties)}
    for member in ("identity", "plan"):
        if body.get(member) is not None:
            document[member] = body[member]
    return rec.define("vm", document)


_LINKS = ("virtualMachineScaleSet", "platformFaultDomain")


def _define_nics(rec: Recorder, group: Container, properties: dict[str, Any]) -> list[list[Any]]:
    nics = rules.define_nics(rec, properties, "Detach")
    for reference in given(properties, "networkProfile", "networkInterfaces") or []:
        option = given(reference, "properties", "deleteOption") or "Detach"
        nics.append([_nic_of(group, reference), 0, option == "Delete", "", False])
    return nics


class _Update:
    """A VM that exists: what may change of it, and the step that changes it."""

    def __init__(self, rec: Recorder, call: Call, group: Container, vm: VmImage, location: str, body: dict[str, Any]) -> None:
        self.rec, self.call, self.group, self.vm, self.location, self.body = rec, call, group, vm, location, body
        self.sent: dict[str, Any] = dict(body.get("properties") or {})
        self.facts = rec.fleet.facts(vm.model)
        self.old: dict[str, Any] = documents.vm_properties(group.id, vm, rec.fleet.definitions)
        self.moves_to: ScaleSetImage | None = None

    def run(self) -> Outcome:
        """Check everything, then begin the update."""
        vm, group, rec = self.vm, self.group, self.rec
        if self.location != vm.location:
            raise errors.wrong_location(vm.name, vm.location, group.name, self.location)
        self._check_unchanged()
        check_free(rec, vm, "update")
        rules.check_values(self.sent, "", None)
        changes = {key: value for key, value in self.sent.items() if key not in (*_LINKS, "networkProfile")}
        references = given(self.sent, "networkProfile", "networkInterfaces")
        if references is not None:  # configurations make interfaces when a VM is created, and say nothing afterwards
            changes["networkProfile"] = {"networkInterfaces": references}
        wanted = schema.merged(self.old, changes)
        self._check_size(wanted)
        rules.check_spot(wanted if "priority" in wanted else {**wanted, "evictionPolicy": self.sent.get("evictionPolicy")}, "", None)
        self._check_detached(wanted)
        model = vm.model if self.old == wanted and not self._has_new_top() else self._new_model(wanted)
        operation = rec.open_operation("virtualMachines/write", group, group.scope(Type.VM) + vm.name, vm.location)
        membership = self._move(self.moves_to) if self.moves_to is not None else {}
        begin(rec, group, vm, Step.UPDATE, operation, None, tags=tags_of(self.body, vm.tags), model=model, failure=(), **membership)
        return _outcome(rec, group, vm.name, 200, operation, vm.location)

    def _check_move(self, reference: str, attach: bool) -> ScaleSetImage:
        """The set that the VM joins or leaves, where the later service allows it. Raises ArmError."""
        scale_set = self.group.scale_set(last_segment(reference))
        if scale_set is None or group_of_id(reference) != self.group.key:
            raise errors.scale_set_absent(reference)
        if scale_set.provisioning == Provisioning.DELETING:
            raise errors.scale_set_being_deleted(scale_set.name)
        if scale_set.domains > 1:
            raise errors.attach_many_domains(scale_set.name, "attaching" if attach else "detaching")
        if self.old.get("availabilitySet"):
            raise errors.attach_availability_set(self.vm.name)
        if self.old.get("proximityPlacementGroup"):
            raise errors.attach_placement_group(self.vm.name)
        if attach and (self.vm.location != scale_set.location or bool(self.vm.zone) != bool(scale_set.zones)):
            raise errors.parameter_invalid("virtualMachineScaleSet.id")
        if attach and self.vm.zone and self.vm.zone not in scale_set.zones:
            raise errors.parameter_invalid("zones")
        if attach and scale_set.capacity + 1 > MAX_INSTANCES:
            raise errors.too_many_instances(scale_set.name, MAX_INSTANCES)
        return scale_set

    def _move(self, scale_set: ScaleSetImage) -> dict[str, Any]:
        """Join the set, or leave it; the fields of the VM that change."""
        joins = not self.vm.set
        self.rec.change_set(self.group, scale_set, capacity=scale_set.capacity + (1 if joins else -1))
        if not joins:
            return {"set": "", "domain": -1, "domain_asked": False}
        return {"set": scale_set.name, "domain": 0, "rack": rack_for(self.rec, self.group, scale_set.name, 0, self.vm.uid)}

    def _has_new_top(self) -> bool:
        return any(self.body.get(name) is not None for name in ("identity", "plan"))

    def _check_unchanged(self) -> None:
        vm = self.vm
        if "virtualMachineScaleSet" in self.sent or self._detaches():
            wanted = (given(self.sent, "virtualMachineScaleSet", "id") or "").lower()
            current = (self.group.scope(Type.SCALE_SET) + vm.set).lower() if vm.set else ""
            if wanted != current:
                if self.rec.preview or (wanted and current):
                    raise errors.property_change_not_allowed("virtualMachineScaleSet.id")
                self.moves_to = self._check_move(wanted or current, attach=bool(wanted))
        if "zones" in self.body and tuple(self.body["zones"]) != ((vm.zone,) if vm.zone else ()):
            raise errors.property_change_not_allowed("zones")
        old = {**self.old, **({"platformFaultDomain": vm.domain} if vm.domain_asked else {})}
        for path in _IMMUTABLE:
            value, before = given(self.sent, *path), given(old, *path)
            if value is not None and _folded(value) != _folded(before):
                raise errors.property_change_not_allowed(".".join(path))
        self._check_priority()

    def _detaches(self) -> bool:
        """Whether the body names the set as null: the schema leaves nulls out, so the body itself has to be asked."""
        raw = (self.call.body.get("properties") or {}) if isinstance(self.call.body, dict) else {}
        names = {str(key).lower(): value for key, value in raw.items()}
        return "virtualmachinescaleset" in names and names["virtualmachinescaleset"] is None

    def _check_priority(self) -> None:
        if "priority" in self.sent and self.sent["priority"] != (self.old.get("priority") or "Regular"):
            if not self.facts.priority_given:
                raise errors.priority_cannot_be_applied()
            raise errors.property_change_not_allowed("priority")
        bid = given(self.sent, "billingProfile", "maxPrice")
        if bid is not None and not self.facts.is_spot:
            raise errors.billing_profile_needs_spot()
        if bid is not None and bid != self.facts.max_price and self.vm.power != Power.DEALLOCATED:
            raise errors.max_price_needs_deallocated()

    def _check_size(self, wanted: dict[str, Any]) -> None:
        name = wanted["hardwareProfile"]["vmSize"]
        if name.lower() == self.facts.size.name.lower():
            return
        scale_set = self.group.scale_set(self.vm.set) if self.vm.set else None
        size = rules.check_size(self.rec, name, scale_set.domains if scale_set else 1, scale_set is not None)
        zones = (self.vm.zone,) if self.vm.zone else ()
        rules.check_restricted(self.rec, self.call.subscription, self.group.scope(Type.VM) + self.vm.name, size, self.vm.location, zones)
        rules.check_quota(self.rec, self.call.subscription, self.vm.location, size, self.facts.is_spot, 1)

    def _check_detached(self, wanted: dict[str, Any]) -> None:
        before = {nic["id"].lower() for nic in given(self.old, "networkProfile", "networkInterfaces") or []}
        after = {(nic.get("id") or "").lower() for nic in given(wanted, "networkProfile", "networkInterfaces") or []}
        if before != after and self.vm.power != Power.DEALLOCATED:
            raise errors.vm_operation_not_allowed("updateNetworkInterfaces", self.vm.name, errors.NOT_DEALLOCATED)
        for disk, _ in _disk_parts(wanted):
            name = last_segment(given(disk, "managedDisk", "id") or "") or disk.get("name") or ""
            known = find_disk(self.rec.fleet, self.group, name) if name else None
            if known is not None and known.vm and known.vm.lower() != self.vm.name.lower():
                raise _in_use("Disk", known.name, known.vm)
            if known is None and (disk.get("createOption") or "").lower() == "attach":
                raise errors.not_found(Type.DISK, name, self.group.name)

    def _new_model(self, wanted: dict[str, Any]) -> int:
        """The VM gets a model of its own; its disks and interfaces follow."""
        rec, group, vm = self.rec, self.group, self.vm
        if self.facts.kind == "instance":
            materialise(rec, group, vm, self.facts)
        document = rec.fleet.definitions[vm.model].document
        top = {name: self.body.get(name) or document.get(name) for name in ("identity", "plan")}
        model = define_model(rec, group, vm.name, vm.uid, wanted, top)
        self._move_disks(model)
        self._move_nics(model)
        return model

    def _move_disks(self, model: int) -> None:
        rec, group, vm = self.rec, self.group, self.vm
        parts = facts_of(rec.fleet.definitions[model]).disks
        names = {disk_name(vm, part).lower() for part in parts}
        for disk, _ in disks_of(group, vm, self.facts):
            if disk.name.lower() not in names:
                rec.change(group, Type.DISK, disk, vm="", state="Unattached", lun=-1, implied=False)
        for part in parts:
            known = cast("DiskImage | None", group.get(Type.DISK, disk_name(vm, part)))
            if known is not None:
                rec.change(group, Type.DISK, known, vm=vm.name, lun=part.lun, state="Attached", size_gb=part.size_gb or known.size_gb)
                continue
            name = disk_name(vm, part)
            uid = rec.chance.uid(group.scope(Type.DISK) + name, rec.now)
            image = DiskImage(
                name, 1, uid, vm.location, vm.zone, (), rec.now, vm.name, part.lun, part.size_gb, part.sku, "", "Attached", implied=False
            )
            rec.create(group, Type.DISK, image)

    def _move_nics(self, model: int) -> None:
        rec, group, vm = self.rec, self.group, self.vm
        names = {part.name.lower() for part in facts_of(rec.fleet.definitions[model]).nics}
        for nic, _ in nics_of(group, vm, self.facts):
            if nic.name.lower() not in names:
                rec.change(group, Type.NIC, nic, vm="", implied=False)
        for name in names:
            known = cast("NicImage | None", group.get(Type.NIC, name))
            if known is not None:
                rec.change(group, Type.NIC, known, vm=vm.name)


def _folded(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _folded(item) for key, item in value.items()}
    return value.lower() if isinstance(value, str) else value


_CHANGES_POWER_TO: dict[str, str] = {
    Step.START: Power.RUNNING,
    Step.START_ALLOCATE: Power.RUNNING,
    Step.POWER_OFF: Power.STOPPED,
    Step.DEALLOCATE: Power.DEALLOCATED,
}
_POWER_OPERATIONS = ("start", "powerOff", "deallocate", "restart")


def check_free(rec: Recorder, vm: VmImage, operation: str) -> None:
    """Raises ArmError where a VM takes no new work: it is being deleted, worked on, or maintained."""
    if vm.provisioning == Provisioning.DELETING:
        raise errors.vm_operation_not_allowed(operation, vm.name, errors.MARKED_FOR_DELETION)
    if under_way(rec, vm):
        raise errors.platform_update()
    if vm.step in _CHANGES_POWER_TO and operation in _POWER_OPERATIONS:
        raise errors.power_is_changing(vm.name, _CHANGES_POWER_TO[vm.step], operation)
    if vm.step:
        raise errors.vm_operation_not_allowed(operation, vm.name, errors.IN_PROGRESS)


def delete(rec: Recorder, call: Call) -> Outcome:
    """DELETE of a VM; one that is being deleted goes on with the operation it has."""
    check_registered(rec, call.subscription, "Microsoft.Compute")
    group = call.group(rec)
    vm = group.vm(call.name)
    if vm is None:
        return Outcome(204)
    check_match(call, vm)
    id_ = group.scope(Type.VM) + vm.name
    check_unlocked(group, id_)
    quick = call.query.get("forcedeletion", "").lower() == "true"
    if vm.provisioning == Provisioning.DELETING and vm.work not in ("", "set", "repair"):
        return Outcome(202, operation=vm.work, location=vm.location)
    operation = rec.open_operation("virtualMachines/delete", group, id_, vm.location)
    if vm.provisioning == Provisioning.DELETING:
        # It goes already, for its set or by repair: this request has nothing of its own to wait for.
        rec.end_operation(group, operation)
        return Outcome(202, operation=operation, location=vm.location)
    sets.member_left(rec, group, vm)
    begin_delete(rec, group, vm, operation, quick)
    return Outcome(202, operation=operation, location=vm.location)
