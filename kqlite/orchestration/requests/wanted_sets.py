"""The desired state of a scale set: validated as a whole, then created or updated.

Source: Azure docs, "Preview: Flexible orchestration for virtual machine scale sets in Azure"; "Virtual Machine Scale Sets - Create
Or Update".
"""

from __future__ import annotations

from typing import Any, cast

from kqlite.orchestration import arm_documents, errors
from kqlite.orchestration.azure_offerings import ZONES, Size, find_size
from kqlite.orchestration.clock import MINUTE, iso_duration
from kqlite.orchestration.controllers import repair
from kqlite.orchestration.controllers import scale_set as controller
from kqlite.orchestration.fleet import Container
from kqlite.orchestration.model import TOP_LEVEL_MEMBERS, Provisioning, ScaleSetState, Tags, Type
from kqlite.orchestration.placement import MAX_INSTANCES, domain_range, most_instances, regular_share
from kqlite.orchestration.recorder import Recorder
from kqlite.orchestration.requests import rules, schema
from kqlite.orchestration.requests.call import (
    Call,
    Outcome,
    get_path,
    tags_of,
)

_IMMUTABLE_IN_PROFILE = (
    ("osProfile", "computerNamePrefix"),
    ("priority",),
    ("storageProfile", "imageReference", "publisher"),
    ("storageProfile", "imageReference", "offer"),
    ("storageProfile", "osDisk", "managedDisk", "storageAccountType"),
)


class WantedSet:
    """The desired state of a scale set. Members that the body omits have the existing set's values, or the service's defaults."""

    def __init__(
        self, recorder: Recorder, call: Call, group: Container, existing: ScaleSetState | None, location: str, body: dict[str, Any]
    ) -> None:
        self.recorder, self.call, self.group, self.existing, self.location, self.body = recorder, call, group, existing, location, body
        self.sent: dict[str, Any] = body.get("properties") or {}
        self.features = recorder.fleet.features(call.subscription.subscription)
        before = recorder.fleet.definitions[existing.model].document if existing else {"properties": {}}
        old_profile = recorder.fleet.definitions[existing.profile].document["profile"] if existing and existing.profile else None
        sent_profile = self.sent.get("virtualMachineProfile")
        if call.method == "PATCH" and sent_profile is not None and old_profile is not None:
            sent_profile = schema.merged(old_profile, sent_profile)
        self.profile: dict[str, Any] | None = sent_profile if sent_profile is not None else old_profile
        self.old_profile = old_profile
        self.old_properties: dict[str, Any] = before["properties"]
        rest = {key: value for key, value in self.sent.items() if key != "virtualMachineProfile"}
        if call.method == "PATCH":
            self.properties = schema.merged(self.old_properties, rest)
        else:
            fixed = ("orchestrationMode", "singlePlacementGroup", "platformFaultDomainCount", "proximityPlacementGroup")
            kept = {key: self.old_properties[key] for key in fixed if key in self.old_properties}
            self.properties = {**kept, **rest}
        self.zones = tuple(body.get("zones") or (existing.zones if existing else ()))
        self.domains = int(self.properties.get("platformFaultDomainCount", 1))
        self.size_name = get_path(body, "sku", "name") or (self._old_size() if existing else "")
        self.tier = get_path(body, "sku", "tier") or "Standard"
        self.tags: Tags = tags_of(call, body, existing.tags if existing else ())
        capacity = get_path(body, "sku", "capacity")
        self.capacity = int(capacity) if capacity is not None else (existing.capacity if existing else 0)
        self.size: Size | None = None
        self.id = group.scope(Type.SCALE_SET) + (existing.name if existing else call.name)

    def _old_size(self) -> str:
        assert self.existing is not None
        return str(self.recorder.fleet.definitions[self.existing.profile].document["size"]) if self.existing.profile else ""

    # Checks in the service's order. Only the first failure is reported.

    def check(self) -> None:
        """Raise ArmError for the first rule that is violated."""
        if self.existing is not None:
            self._check_unchanged(self.existing)
            self._check_state(self.existing)
        self._check_mode_and_features()
        self._check_parameters()
        self._check_references()
        self._check_size()
        self._check_limits()

    def _check_unchanged(self, existing: ScaleSetState) -> None:
        if self.location != existing.location:
            raise errors.wrong_location(existing.name, existing.location, self.group.name, self.location)
        for name in ("orchestrationMode", "platformFaultDomainCount"):
            if name in self.sent and _folded(self.sent[name]) != _folded(self.old_properties.get(name)):
                raise errors.property_change_not_allowed(name)
        if self.sent.get("singlePlacementGroup") and not self.old_properties.get("singlePlacementGroup"):
            raise errors.property_change_not_allowed("singlePlacementGroup")
        if "zones" in self.body and tuple(self.body["zones"]) != existing.zones:
            raise errors.property_change_not_allowed("zones")
        if "proximityPlacementGroup" in self.sent:
            old = (get_path(self.old_properties, "proximityPlacementGroup", "id") or "").lower()
            if (get_path(self.sent, "proximityPlacementGroup", "id") or "").lower() != old:
                raise errors.property_change_not_allowed("proximityPlacementGroup")
        self._check_profile_unchanged()
        new, old_policy = self.properties.get("automaticRepairsPolicy") or {}, self.old_properties.get("automaticRepairsPolicy") or {}
        both_enabled = new.get("enabled") and old_policy.get("enabled")
        if both_enabled and (new.get("repairAction") or "Replace") != (old_policy.get("repairAction") or "Replace"):
            raise errors.property_change_not_allowed("automaticRepairsPolicy.repairAction")

    def _check_profile_unchanged(self) -> None:
        sent = self.sent.get("virtualMachineProfile")
        if sent is None or self.old_profile is None:
            return
        for path in _IMMUTABLE_IN_PROFILE:
            value = get_path(sent, *path)
            old = get_path(self.old_profile, *path)
            if value is not None and _folded(value) != _folded(old) and not (path == ("priority",) and old is None and value == "Regular"):
                raise errors.property_change_not_allowed("virtualMachineProfile." + ".".join(path))

    def _check_state(self, existing: ScaleSetState) -> None:
        if existing.provisioning == Provisioning.DELETING:
            raise errors.scale_set_being_deleted(existing.name)
        if existing.provisioning == Provisioning.CREATING and self.call.method == "PUT" and self._differs(existing):
            raise errors.conflict()

    def _differs(self, existing: ScaleSetState) -> bool:
        return self.properties != self.old_properties or self.profile != self.old_profile or self.capacity != existing.capacity

    def _check_mode_and_features(self) -> None:
        mode = self.properties.get("orchestrationMode")
        if mode is None or mode.lower() != "flexible":
            raise errors.parameter_not_allowed("orchestrationMode")
        self.properties["orchestrationMode"] = "Flexible"
        single = bool(self.properties.get("singlePlacementGroup"))
        self.properties["platformFaultDomainCount"] = self.domains
        allowed = domain_range(self.location, bool(self.zones), rules.SINGLE in self.features, rules.MULTI in self.features)
        if self.recorder.preview:
            self.properties["singlePlacementGroup"] = False
            self._check_single_group(single, allowed is not None)
        if self.zones and self.domains > 1 and not self.recorder.preview:
            raise errors.zones_with_domains()
        if self.existing is None and allowed is not None and not allowed[0] <= self.domains <= allowed[1]:
            raise errors.fault_domain_count_out_of_range(self.domains, *allowed)
        if self.profile is not None:
            if rules.FLEX not in self.features:
                raise errors.profile_not_allowed()
            rules.check_features_of_profile(self.recorder, self.call.subscription, self.profile)

    def _check_single_group(self, single: bool, registered: bool) -> None:
        if not registered and not single:
            raise errors.single_placement_group_must_be_true()
        # Without a registered feature, True is right: the error above asks for it. Then the profile is refused instead.
        if single and (registered or self.profile is None or rules.FLEX in self.features):
            raise errors.single_placement_group_must_be_false()

    def _check_parameters(self) -> None:
        if len(self.zones) > 1 and self.recorder.preview:
            raise errors.parameter_not_allowed("zones")
        if any(zone not in ZONES.get(self.location, ()) for zone in self.zones) or len(set(self.zones)) < len(self.zones):
            raise errors.parameter_invalid("zones")
        if self.recorder.preview:
            self._check_unsupported()
        if self.profile is not None:
            rules.check_unsupported(self.recorder, self.profile, "virtualMachineProfile.")
            if self.existing is not None:
                rules.check_added_extensions(self.old_profile or {}, self.profile)
        self._check_repairs()
        self._check_mix()
        if self.profile is not None:
            rules.check_values(self.profile, "virtualMachineProfile.", find_size(self.size_name))
            rules.check_spot(self.profile, "virtualMachineProfile.", find_size(self.size_name))
            prefix = get_path(self.profile, "osProfile", "computerNamePrefix") or ""
            rules.check_windows_prefix(self.profile, prefix, "computerNamePrefix")
            if not self.size_name:
                raise errors.parameter_invalid("sku.name")
        if self.capacity < 0:
            raise errors.parameter_invalid("sku.capacity")
        members = len(self.recorder.fleet.membership(self.group, self.existing.name).live) if self.existing else 0
        if self.profile is None and self.capacity > members:
            raise errors.parameter_not_allowed("sku.capacity")

    def _check_unsupported(self) -> None:
        properties = self.properties
        for flag in ("overprovision", "doNotRunExtensionsOnOverprovisionedVMs"):
            if properties.get(flag):
                raise errors.parameter_not_allowed(flag)
        policy = properties.get("upgradePolicy") or {}
        if policy.get("automaticOSUpgradePolicy") is not None:
            raise errors.parameter_not_allowed("upgradePolicy.automaticOSUpgradePolicy")
        if policy.get("rollingUpgradePolicy") is not None or (policy.get("mode") or "Manual").lower() != "manual":
            raise errors.parameter_not_allowed("upgradePolicy")
        for name in ("hostGroup", "scaleInPolicy", "spotRestorePolicy", "priorityMixPolicy", "constrainedMaximumCapacity"):
            if properties.get(name):
                raise errors.parameter_not_allowed(name)

    def _check_repairs(self) -> None:
        policy = self.properties.get("automaticRepairsPolicy") or {}
        if policy.get("gracePeriod"):
            grace = iso_duration(policy["gracePeriod"])
            lowest = 30 if self.recorder.preview else 10
            if grace is None or not lowest * MINUTE <= grace <= 90 * MINUTE:
                raise errors.parameter_invalid("automaticRepairsPolicy.gracePeriod")

    def _check_mix(self) -> None:
        mix = self.properties.get("priorityMixPolicy")
        if mix:
            if self.profile is None or not rules.is_spot(self.profile):
                raise errors.parameter_invalid("priorityMixPolicy")
            for name, most in (("baseRegularPriorityCount", MAX_INSTANCES), ("regularPriorityPercentageAboveBase", 100)):
                if not 0 <= mix.get(name, 0) <= most:
                    raise errors.parameter_invalid(f"priorityMixPolicy.{name}")
        timeout = get_path(self.properties, "spotRestorePolicy", "restoreTimeout")
        if timeout and iso_duration(timeout) is None:
            raise errors.parameter_invalid("spotRestorePolicy.restoreTimeout")

    def _check_references(self) -> None:
        reference = get_path(self.properties, "proximityPlacementGroup", "id")
        if reference and self.existing is None:
            rules.check_placement_group(self.recorder, reference, self.location)

    def _check_size(self) -> None:
        if not self.size_name:
            return
        self.size = rules.check_size(self.recorder, self.size_name, self.domains, in_set=True, single_group=self._in_one_group())
        ultra = get_path(self.properties, "additionalCapabilities", "ultraSSDEnabled")
        if ultra and not self.size.ultra:
            raise errors.parameter_invalid("additionalCapabilities.ultraSSDEnabled")
        if self.profile is not None and (self.existing is None or self.capacity > self.existing.capacity):
            rules.check_restricted(self.recorder, self.call.subscription, self.id, self.size, self.location, self.zones)

    def _in_one_group(self) -> bool:
        return bool(self.properties.get("singlePlacementGroup"))

    def _check_limits(self) -> None:
        most = most_instances(self._in_one_group())
        if self.capacity > most:
            raise errors.too_many_instances(self.existing.name if self.existing else self.call.name, most)
        if self.size is not None and self.profile is not None:
            members = len(self.recorder.fleet.membership(self.group, self.existing.name).live) if self.existing else 0
            more = self.capacity - members
            regular = more
            if rules.is_spot(self.profile):
                mix = self.properties.get("priorityMixPolicy") or {}
                regular = regular_share(mix, self.capacity) - regular_share(mix, members)
            rules.check_quota(self.recorder, self.call.subscription, self.location, self.size, False, regular)
            rules.check_quota(self.recorder, self.call.subscription, self.location, self.size, True, more - regular)

    # Decisions

    def _definitions(self) -> dict[str, int]:
        """Define the documents of the set. Returns their numbers by field of `ScaleSetState`; 0 for none."""
        document: dict[str, Any] = {"properties": self.properties}
        if self.size_name:
            document["sku"] = {"name": self.size.name if self.size else self.size_name, "tier": self.tier}
        for name in TOP_LEVEL_MEMBERS:
            value = self.body.get(name)
            if value is None and self.existing is not None:
                value = self.recorder.fleet.definitions[self.existing.model].document.get(name)
            if value is not None:
                document[name] = value
        model = self.recorder.define("set", document)
        if self.profile is None:
            return {"model": model, "profile": 0, "regular": 0}
        regular = 0
        if self.properties.get("priorityMixPolicy"):
            spot_only = ("priority", "evictionPolicy", "billingProfile")
            regular = self._define_profile({key: value for key, value in self.profile.items() if key not in spot_only})
        return {"model": model, "profile": self._define_profile(self.profile), "regular": regular}

    def _define_profile(self, body: dict[str, Any]) -> int:
        assert self.size is not None
        profile = rules.without_secrets(body)
        name = self.existing.name if self.existing else self.call.name
        if "osProfile" in profile:
            profile["osProfile"] = {"computerNamePrefix": name[:8], **profile["osProfile"]}
        if rules.nic_configurations(profile):
            profile["networkProfile"] = {"networkApiVersion": "2020-11-01", **profile["networkProfile"]}
        ppg = self.properties.get("proximityPlacementGroup")
        document = {
            "size": self.size.name,
            "tier": self.tier,
            "profile": profile,
            "extensions": rules.define_extensions(self.recorder, get_path(profile, "extensionProfile", "extensions") or []),
            "nics": rules.define_nics(self.recorder, profile, "Delete"),
            "zones": list(self.zones),
            **({"proximityPlacementGroup": ppg} if ppg else {}),
        }
        return self.recorder.define("instance", document)

    def create(self) -> Outcome:
        """Create the set. Its controller creates the instances."""
        recorder, name = self.recorder, self.call.name
        numbers = self._definitions()
        operation = recorder.open_operation("virtualMachineScaleSets/write", self.group, self.id, self.location)
        policy = self.properties.get("automaticRepairsPolicy")
        recorder.create(
            self.group,
            Type.SCALE_SET,
            ScaleSetState(
                name=name,
                version=1,
                uid=recorder.chance.uid(self.id, recorder.now),
                location=self.location,
                zones=self.zones,
                domains=self.domains,
                model=numbers["model"],
                profile=numbers["profile"],
                tags=self.tags,
                created=recorder.now,
                provisioning=Provisioning.CREATING,
                failure=(),
                capacity=self.capacity,
                serial=0,
                operation=operation,
                due=recorder.now,
                repair=repair_state(policy),
                repair_rounds=0,
                repair_due=0,
                regular=numbers["regular"],
            ),
        )
        return self._outcome(201, operation)

    def update(self, existing: ScaleSetState) -> Outcome:
        """Update the set. While an operation scales it, an update with the same capacity does not preempt that operation."""
        recorder = self.recorder
        numbers = self._definitions()
        policy = self.properties.get("automaticRepairsPolicy")
        state = existing.repair if existing.repair == "Suspended" and policy else repair_state(policy)
        fields = {**numbers, "tags": self.tags, "repair": state}
        switched_on = state == "Running" and existing.repair != "Running"
        if self.capacity == existing.capacity and existing.operation:
            operation = recorder.open_operation("virtualMachineScaleSets/write", self.group, self.id, self.location)
            recorder.change_set(self.group, existing, **fields)
            recorder.end_operation(self.group, operation)
        else:
            existing = controller.set_goal(
                recorder, self.group, existing, "virtualMachineScaleSets/write", capacity=self.capacity, **fields
            )
            operation = existing.operation
        if switched_on:
            repair.repair_now(recorder, self.group, cast("ScaleSetState", self.group.scale_set(existing.name)))
        return self._outcome(200, operation)

    def _outcome(self, status: int, operation: str) -> Outcome:
        group, name, recorder = self.group, self.existing.name if self.existing else self.call.name, self.recorder
        return Outcome(
            status,
            lambda: arm_documents.scale_set(group.id, cast("ScaleSetState", group.scale_set(name)), recorder.fleet.definitions),
            operation,
            self.location,
        )


def _folded(value: Any) -> Any:
    return value.lower() if isinstance(value, str) else value


def repair_state(policy: dict[str, Any] | None) -> str:
    """The service state of automatic repairs: "Running" or "NotRunning". "" without a policy."""
    if policy is None:
        return ""
    return "Running" if policy.get("enabled") else "NotRunning"
