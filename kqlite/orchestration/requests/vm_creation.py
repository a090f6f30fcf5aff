"""The creation of a VM, standalone or as a member of a scale set.

Source: Azure docs, "Virtual Machines - Create Or Update"; "Preview: Flexible orchestration for virtual machine scale sets in Azure".
"""

from __future__ import annotations

from typing import Any

from kqlite.orchestration import errors
from kqlite.orchestration.attachments import find_disk, find_nic
from kqlite.orchestration.azure_offerings import ZONES, Size, find_size
from kqlite.orchestration.controllers.spot import price
from kqlite.orchestration.fleet import Container
from kqlite.orchestration.instances import create
from kqlite.orchestration.model import Provisioning, ScaleSetState, Type
from kqlite.orchestration.placement import most_instances, next_domain
from kqlite.orchestration.recorder import Recorder
from kqlite.orchestration.requests import rules
from kqlite.orchestration.requests.call import (
    Call,
    Outcome,
    get_path,
    group_of_id,
    last_segment,
    tags_of,
)
from kqlite.orchestration.requests.named_vm import outcome
from kqlite.orchestration.requests.vm_models import define_model, disk_parts, in_use, nic_of

# Members that every new VM needs. The specification does not mark them as required.
_REQUIRED = ("hardwareProfile", "networkProfile", "storageProfile")


class Creation:
    """A request to create a VM."""

    def __init__(self, recorder: Recorder, call: Call, group: Container, location: str, body: dict[str, Any]) -> None:
        self.recorder, self.call, self.group, self.location, self.body = recorder, call, group, location, body
        self.properties: dict[str, Any] = dict(body.get("properties") or {})
        self.zones = tuple(body.get("zones") or ())
        self.id = group.scope(Type.VM) + call.name
        self.scale_set: ScaleSetState | None = None

    def run(self) -> Outcome:
        """Validate the whole request, then create the VM."""
        if self.recorder.preview or rules.has_public_ip(self.properties):
            rules.check_features_of_profile(self.recorder, self.call.subscription, self.properties)
        self._check_parameters()
        self._check_set()
        size = self._check_size()
        self._check_limits(size)
        self._check_attachments()
        return self._create()

    def _check_parameters(self) -> None:
        properties = self.properties
        for name in _REQUIRED:
            if properties.get(name) is None:
                raise errors.parameter_missing(name)
        in_set = get_path(properties, "virtualMachineScaleSet", "id")
        if in_set and properties.get("availabilitySet"):
            raise errors.parameter_invalid("availabilitySet")
        if "platformFaultDomain" in properties and not in_set:
            raise errors.fault_domain_without_set()
        if self.recorder.preview and in_set:
            for name in ("host", "hostGroup"):
                if properties.get(name):
                    raise errors.parameter_not_allowed(name)
        if in_set:
            rules.check_unsupported(self.recorder, properties, "")
        if len(self.zones) > 1 or any(zone not in ZONES.get(self.location, ()) for zone in self.zones):
            raise errors.parameter_invalid("zones")
        size = find_size(get_path(properties, "hardwareProfile", "vmSize") or "")
        rules.check_values(properties, "", size)
        rules.check_spot(properties, "", size)
        if properties.get("osProfile") is not None:
            rules.check_windows_name(properties, get_path(properties, "osProfile", "computerName") or self.call.name)

    def _check_set(self) -> None:
        reference = get_path(self.properties, "virtualMachineScaleSet", "id")
        ppg = get_path(self.properties, "proximityPlacementGroup", "id")
        if not reference:
            if ppg:
                rules.check_placement_group(self.recorder, ppg, self.location)
            return
        group = self.recorder.fleet.container(group_of_id(reference))
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
        if domain is not None and self._in_one_group(scale_set):
            raise errors.fault_domain_in_single_placement_group(self.call.name, scale_set.name)
        if domain is not None and not (scale_set.domains > 1 and 0 <= domain < scale_set.domains):
            raise errors.fault_domain_out_of_range(domain, scale_set.domains)
        own = get_path(self.recorder.fleet.definitions[scale_set.model].document["properties"], "proximityPlacementGroup")
        if ppg and (own is None or ppg.lower() != own["id"].lower()):
            raise errors.parameter_invalid("proximityPlacementGroup.id")
        if own is not None:
            self.properties["proximityPlacementGroup"] = own
        self.scale_set = scale_set

    def _in_one_group(self, scale_set: ScaleSetState) -> bool:
        return bool(self.recorder.fleet.definitions[scale_set.model].document["properties"].get("singlePlacementGroup"))

    def _check_size(self) -> Size:
        name = get_path(self.properties, "hardwareProfile", "vmSize")
        if not name:
            raise errors.parameter_invalid("hardwareProfile.vmSize")
        domains = self.scale_set.domains if self.scale_set else 1
        one_group = self.scale_set is not None and self._in_one_group(self.scale_set)
        size = rules.check_size(self.recorder, name, domains, self.scale_set is not None, one_group)
        if get_path(self.properties, "additionalCapabilities", "ultraSSDEnabled") and not size.ultra:
            raise errors.parameter_invalid("additionalCapabilities.ultraSSDEnabled")
        rules.check_restricted(self.recorder, self.call.subscription, self.id, size, self.location, self.zones)
        bid = get_path(self.properties, "billingProfile", "maxPrice")
        if rules.is_spot(self.properties) and bid is not None and bid > 0:
            asked = price(self.recorder, self.location, size)
            if bid < asked:
                raise errors.max_price_too_low(asked, size.name)
        return size

    def _check_limits(self, size: Size) -> None:
        if self.scale_set is not None:
            live = len(self.recorder.fleet.membership(self.group, self.scale_set.name).live)
            most = most_instances(self._in_one_group(self.scale_set))
            if max(live, self.scale_set.capacity) + 1 > most:
                raise errors.too_many_instances(self.scale_set.name, most)
        rules.check_quota(self.recorder, self.call.subscription, self.location, size, rules.is_spot(self.properties), 1)

    def _check_attachments(self) -> None:
        references = get_path(self.properties, "networkProfile", "networkInterfaces") or []
        for reference in references:
            id_ = str(reference.get("id") or "")
            other = self.recorder.fleet.container(group_of_id(id_))
            # An interface in a subscription that is not simulated cannot be checked.
            simulated = self.recorder.fleet.container("/".join(id_.split("/")[:3])) is not None
            if simulated and (other is None or find_nic(self.recorder.fleet, other, last_segment(id_)) is None):
                raise errors.reference_not_found(id_, self.id)
        names = [nic_of(self.group, reference) for reference in references]
        names += [nic["name"] for nic in rules.nic_configurations(self.properties)]
        for name in names:
            nic = find_nic(self.recorder.fleet, self.group, name)
            if nic is not None and nic.vm:
                raise in_use("Network interface", nic.name, nic.vm)
        for disk, _ in disk_parts(self.properties):
            name = last_segment(get_path(disk, "managedDisk", "id") or "") or disk.get("name") or ""
            known = find_disk(self.recorder.fleet, self.group, name) if name else None
            if (disk.get("createOption") or "").lower() == "attach" and known is None:
                raise errors.not_found(Type.DISK, name, self.group.name)
            if known is not None and known.vm:
                raise in_use("Disk", known.name, known.vm)

    def _create(self) -> Outcome:
        recorder, group, name = self.recorder, self.group, self.call.name
        domain, asked, set_name = -1, False, ""
        if self.scale_set is not None:
            set_name = self.scale_set.name
            wanted = self.properties.get("platformFaultDomain")
            asked = wanted is not None
            domain = int(wanted) if wanted is not None else next_domain(recorder.fleet.membership(group, set_name).domains)
        uid = recorder.chance.uid(self.id, recorder.now)
        model = define_model(recorder, group, name, uid, self.properties, self.body)
        operation = recorder.open_operation("virtualMachines/write", group, self.id, self.location)
        if self.scale_set is not None:
            recorder.change_set(group, self.scale_set, capacity=self.scale_set.capacity + 1)
        create(
            recorder,
            group,
            name=name,
            location=self.location,
            zone=self.zones[0] if self.zones else "",
            set_name=set_name,
            model=model,
            tags=tags_of(self.call, self.body),
            domain=domain,
            domain_asked=asked,
            work=operation,
        )
        return outcome(recorder, group, name, 201, operation, self.location)
