"""ARM documents: pure functions that make the JSON document of a resource from its state, its group's id and the definitions.

They do not need the fleet, so that a reader of events can call them as well. Members are those of the Compute and Network REST API
references (2021).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kqlite.orchestration.attachments import disk_name, nic_name
from kqlite.orchestration.chance import derived_base36, derived_guid
from kqlite.orchestration.clock import iso
from kqlite.orchestration.disk_performance import performance_of
from kqlite.orchestration.locks import scope_of, shown_name
from kqlite.orchestration.model import (
    TOP_LEVEL_MEMBERS,
    Definition,
    DiskState,
    ExtensionState,
    FeatureState,
    GroupState,
    Health,
    NicState,
    OperationState,
    Power,
    ProviderState,
    Provisioning,
    PublicIpState,
    ResourceState,
    ScaleSetState,
    SettingState,
    Step,
    SubscriptionState,
    Tags,
    Type,
    VmState,
)
from kqlite.orchestration.vm_profiles import Facts, facts_of

Definitions = Mapping[int, Definition]
Document = dict[str, Any]

_facts_cache: dict[int, tuple[Definition, Facts]] = {}


def _facts(definitions: Definitions, number: int) -> Facts:
    definition = definitions[number]
    known = _facts_cache.get(id(definition))
    if known is None or known[0] is not definition:
        if len(_facts_cache) > 10_000:
            _facts_cache.clear()
        known = _facts_cache[id(definition)] = (definition, facts_of(definition))
    return known[1]


def resource_id(group: str, type_: str, name: str) -> str:
    """The id of a resource in a group. A name that is an id already is returned unchanged."""
    if name.startswith("/"):
        return name
    return f"{group}/providers/{type_}/{name}"


def _tags(tags: Tags) -> dict[str, str]:
    return dict(tags)


def _head(group: str, type_: str, name: str, location: str, tags: Tags, version: int) -> Document:
    return {
        "id": resource_id(group, type_, name),
        "name": name,
        "type": type_,
        "location": location,
        "tags": _tags(tags),
        "etag": f'"{version}"',
    }


def subscription(state: SubscriptionState) -> Document:
    """A subscription."""
    return {
        "id": f"/subscriptions/{state.name}",
        "subscriptionId": state.name,
        "displayName": f"kqlite {state.name[-4:]}",
        "state": "Enabled",
        "tenantId": "00000000-0000-0000-0000-00000000feed",
    }


def group(parent: str, state: GroupState) -> Document:
    """A resource group. parent: id of the subscription."""
    return {
        "id": f"{parent}/resourceGroups/{state.name}",
        "name": state.name,
        "type": "Microsoft.Resources/resourceGroups",
        "location": state.location,
        "tags": _tags(state.tags),
        "properties": {"provisioningState": state.provisioning},
    }


def scale_set(group_id: str, state: ScaleSetState, definitions: Definitions) -> Document:
    """A scale set."""
    stored = definitions[state.model].document
    document = _head(group_id, Type.SCALE_SET, state.name, state.location, state.tags, state.version)
    if state.zones:
        document["zones"] = list(state.zones)
    for name in TOP_LEVEL_MEMBERS:
        if name in stored:
            document[name] = stored[name]
    if "sku" in stored:
        document["sku"] = {**stored["sku"], "capacity": state.capacity}
    properties = {**stored["properties"], "provisioningState": state.provisioning}
    properties["uniqueId"] = derived_guid(state.uid, "uniqueId")
    properties["timeCreated"] = iso(state.created)
    if state.profile:
        properties["virtualMachineProfile"] = definitions[state.profile].document["profile"]
    document["properties"] = properties
    return document


def scale_set_view(state: ScaleSetState) -> Document:
    """The instance view of a scale set with a repairs policy."""
    return {"orchestrationServices": [{"serviceName": "AutomaticRepairs", "serviceState": state.repair}]}


# Virtual machines


def computer_name(state: VmState, definitions: Definitions) -> str:
    """The computer name of a VM."""
    stored = definitions[state.model].document
    if "profile" not in stored:
        return str((stored["properties"].get("osProfile") or {}).get("computerName") or state.name)
    prefix = (stored["profile"].get("osProfile") or {}).get("computerNamePrefix") or state.set[:8]
    return f"{prefix}{derived_base36(state.uid, 'computerName', 6)}"


def vm_properties(group_id: str, state: VmState, definitions: Definitions) -> Document:
    """The `properties` of a VM that a request can set, with all names resolved."""
    stored = definitions[state.model].document
    facts = _facts(definitions, state.model)
    body = stored["profile"] if "profile" in stored else stored["properties"]
    left_out = ("extensionProfile", "networkProfile", "osProfile", "storageProfile", "hardwareProfile")
    properties: Document = {"hardwareProfile": {**(body.get("hardwareProfile") or {}), "vmSize": facts.size.name}}
    properties["storageProfile"] = _storage(group_id, state, body, facts)
    if "osProfile" in body:
        properties["osProfile"] = _os_profile(state, body["osProfile"], definitions)
    properties["networkProfile"] = {"networkInterfaces": _nic_references(group_id, state, facts)}
    properties.update({key: value for key, value in body.items() if key not in left_out})
    if "proximityPlacementGroup" in stored:
        properties["proximityPlacementGroup"] = stored["proximityPlacementGroup"]
    properties.setdefault("extensionsTimeBudget", (body.get("extensionProfile") or {}).get("extensionsTimeBudget") or "PT1H30M")
    return properties


def _storage(group_id: str, state: VmState, body: Document, facts: Facts) -> Document:
    storage = body.get("storageProfile") or {}
    shown: Document = {"dataDisks": []}
    if storage.get("imageReference"):
        reference = dict(storage["imageReference"])
        if reference.get("version") == "latest":
            reference["exactVersion"] = f"{str(reference.get('sku', '')).split('-')[0]}.202108110"
        shown["imageReference"] = reference
    sources = [storage.get("osDisk") or {}, *(storage.get("dataDisks") or ())]
    for source, part in zip(sources, facts.disks, strict=True):
        name = disk_name(state, part)
        disk = {
            "createOption": "FromImage" if part.lun < 0 else "Empty",
            "caching": "ReadWrite" if part.lun < 0 else "None",
            **source,
            "name": name,
            "deleteOption": "Delete" if part.deleted else "Detach",
        }
        disk["managedDisk"] = {
            **(source.get("managedDisk") or {}),
            "storageAccountType": part.sku,
            "id": resource_id(group_id, Type.DISK, name),
        }
        if part.size_gb:
            disk["diskSizeGB"] = part.size_gb
        if part.lun < 0:
            shown["osDisk"] = {"osType": facts.os_type, **disk}
        else:
            shown["dataDisks"].append(disk)
    return shown


def _os_profile(state: VmState, profile: Document, definitions: Definitions) -> Document:
    shown = {key: value for key, value in profile.items() if key != "computerNamePrefix"}
    shown["computerName"] = computer_name(state, definitions)
    return {"secrets": [], "allowExtensionOperations": True, "requireGuestProvisionSignal": True, **shown}


def _nic_references(group_id: str, state: VmState, facts: Facts) -> list[Document]:
    return [
        {
            "id": resource_id(group_id, Type.NIC, nic_name(state, part, facts)),
            "properties": {"primary": at == 0, "deleteOption": "Delete" if part.deleted else "Detach"},
        }
        for at, part in enumerate(facts.nics)
    ]


def vm(group_id: str, state: VmState, definitions: Definitions, with_view: bool = False, preview: bool = True) -> Document:
    """A VM. with_view: with its instance view."""
    document = _head(group_id, Type.VM, state.name, state.location, state.tags, state.version)
    if state.zone:
        document["zones"] = [state.zone]
    stored = definitions[state.model].document
    for name in TOP_LEVEL_MEMBERS:
        if name in stored:
            document[name] = stored[name]
    properties = vm_properties(group_id, state, definitions)
    properties["vmId"] = derived_guid(state.uid, "vmId")
    properties["provisioningState"] = state.provisioning
    properties["timeCreated"] = iso(state.created)
    if state.set:
        properties["virtualMachineScaleSet"] = {"id": resource_id(group_id, Type.SCALE_SET, state.set)}
    if state.domain_asked:
        properties["platformFaultDomain"] = state.domain
    properties.setdefault("priority", "Regular")
    if with_view:
        properties["instanceView"] = instance_view(state, definitions, preview)
    document["properties"] = properties
    if state.extensions:
        document["resources"] = [extension(group_id, each, definitions) for each in extensions_of(state)]
    return document


def extensions_of(state: VmState) -> list[ExtensionState]:
    """The states of a VM's extensions, from the VM's own state."""
    return [
        ExtensionState(name, version, state.name, state.location, number, provisioning, failure)
        for name, number, provisioning, version, failure in state.extensions
    ]


def extension(group_id: str, state: ExtensionState, definitions: Definitions) -> Document:
    """A VM extension."""
    return {
        "id": f"{resource_id(group_id, Type.VM, state.vm)}/extensions/{state.name}",
        "name": state.name,
        "type": Type.EXTENSION,
        "location": state.location,
        "properties": {**definitions[state.definition].document, "provisioningState": state.provisioning},
    }


_POWER_TEXT = {
    Power.STARTING: "VM starting",
    Power.RUNNING: "VM running",
    Power.STOPPING: "VM stopping",
    Power.STOPPED: "VM stopped",
    Power.DEALLOCATING: "VM deallocating",
    Power.DEALLOCATED: "VM deallocated",
    Power.UNKNOWN: "VM unknown",
}
_STATE_TEXT = {
    Provisioning.CREATING: "Creating",
    Provisioning.UPDATING: "Updating",
    Provisioning.SUCCEEDED: "Provisioning succeeded",
    Provisioning.DELETING: "Deleting",
}
_HEALTH_TEXT = {
    Health.HEALTHY: ("Info", "The VM is reported healthy"),
    Health.UNHEALTHY: ("Warning", "The VM is reported unhealthy"),
    Health.INITIALIZING: ("Info", "The application health is initializing"),
    Health.UNKNOWN: ("Warning", "The application health is unknown"),
}


def provisioning_status(state: VmState) -> Document:
    """`ProvisioningState/..` of an instance view."""
    if state.provisioning == Provisioning.FAILED:
        code, message = state.failure if state.failure else ("InternalExecutionError", "")
        return {
            "code": f"ProvisioningState/failed/{code}",
            "level": "Error",
            "displayStatus": "Provisioning failed",
            "message": message,
            "time": iso(state.changed),
        }
    code = state.provisioning.lower()
    if state.provisioning == Provisioning.CREATING and state.step == Step.PROVISION:
        code = "creating/OSProvisioningInProgress"
    elif state.provisioning == Provisioning.CREATING and state.step == Step.EXTENSIONS:
        code = "creating/osProvisioningComplete"
    text = _STATE_TEXT[Provisioning(state.provisioning)]
    return {"code": f"ProvisioningState/{code}", "level": "Info", "displayStatus": text, "time": iso(state.changed)}


def power_status(state: VmState) -> Document | None:
    """`PowerState/..` of an instance view; None for a VM that was never allocated."""
    if not state.power:
        return None
    return {"code": f"PowerState/{state.power}", "level": "Info", "displayStatus": _POWER_TEXT[Power(state.power)]}


def health_status(state: VmState) -> Document | None:
    """`HealthState/..` of an instance view; None without a report of a health extension."""
    if not state.health:
        return None
    level, text = _HEALTH_TEXT[Health(state.health)]
    return {"code": f"HealthState/{state.health}", "level": level, "displayStatus": text}


def os_name(state: VmState, definitions: Definitions) -> tuple[str, str]:
    """The name and version of the guest's operating system, as the VM agent reports them."""
    stored = definitions[state.model].document
    body = stored["profile"] if "profile" in stored else stored["properties"]
    reference = (body.get("storageProfile") or {}).get("imageReference") or {}
    if _facts(definitions, state.model).os_type == "Windows":
        return "Windows Server", str(reference.get("sku") or "2019-Datacenter").split("-")[0]
    return "ubuntu" if "ubuntu" in str(reference.get("offer", "")).lower() else "linux", str(reference.get("sku") or "").split("-")[0]


def instance_view(state: VmState, definitions: Definitions, preview: bool = True) -> Document:
    """The instance view of a VM."""
    facts = _facts(definitions, state.model)
    view: Document = {}
    if state.set:
        view["platformUpdateDomain"] = 0
        if preview:
            view["platformFaultDomain"] = state.domain
    running = state.power == Power.RUNNING
    if running and state.provisioning != Provisioning.CREATING:
        view["computerName"] = computer_name(state, definitions)
        view["osName"], view["osVersion"] = os_name(state, definitions)
        view["vmAgent"] = {
            "vmAgentVersion": "2.2.45",
            "statuses": [_status("ProvisioningState/succeeded", "Ready", iso(state.changed), "Guest Agent is running")],
            "extensionHandlers": [],
        }
    view["hyperVGeneration"] = "V2" if facts.size.name.endswith("_v5") else "V1"
    view["disks"] = [
        {"name": disk_name(state, part), "statuses": [_status("ProvisioningState/succeeded", "Provisioning succeeded", iso(state.created))]}
        for part in facts.disks
    ]
    if facts.boot_diagnostics:
        view["bootDiagnostics"] = boot_diagnostics(state)
    if state.extensions:
        view["extensions"] = [_extension_view(each, definitions) for each in extensions_of(state)]
    health = health_status(state)
    if health is not None:
        view["vmHealth"] = {"status": health}
    view["maintenanceRedeployStatus"] = {"isCustomerInitiatedMaintenanceAllowed": False}
    statuses = [provisioning_status(state), power_status(state)]
    if state.generalized:
        statuses.append({"code": "OSState/generalized", "level": "Info", "displayStatus": "VM generalized"})
    view["statuses"] = [status for status in statuses if status is not None]
    return view


def _status(code: str, text: str, time: str, message: str = "") -> Document:
    status = {"code": code, "level": "Info", "displayStatus": text, "time": time}
    return {**status, "message": message} if message else status


def _extension_view(state: ExtensionState, definitions: Definitions) -> Document:
    stored = definitions[state.definition].document
    failed = state.provisioning == Provisioning.FAILED
    code = f"failed/{state.failure}" if failed else state.provisioning.lower()
    text = "Provisioning failed" if failed else _STATE_TEXT[Provisioning(state.provisioning)]
    return {
        "name": state.name,
        "type": f"{stored.get('publisher')}.{stored.get('type')}",
        "typeHandlerVersion": f"{stored.get('typeHandlerVersion')}.5",
        "statuses": [{"code": f"ProvisioningState/{code}", "level": "Error" if failed else "Info", "displayStatus": text}],
    }


def boot_diagnostics(state: VmState) -> Document:
    """The URIs of the screenshot and the serial console's log."""
    base = f"https://bootdiag.blob.core.windows.net/bootdiagnostics-{derived_guid(state.uid, 'vmId')}/{state.name}"
    return {"consoleScreenshotBlobUri": f"{base}.screenshot.bmp", "serialConsoleLogBlobUri": f"{base}.serialconsole.log"}


def scale_set_vm(group_id: str, state: VmState, owner: ScaleSetState, in_full: bool) -> Document:
    """A scale set's document of an instance. in_full: as in the answer to a GET of one instance, instead of in a list."""
    properties: Document = {
        "vmId": derived_guid(state.uid, "vmId"),
        "provisioningState": state.provisioning,
        "virtualMachineResourceId": resource_id(group_id, Type.VM, state.name),
    }
    if in_full:
        properties["platformFaultDomain"] = state.domain
        properties["latestModelApplied"] = state.model in (owner.profile, owner.regular)
        kind = dict(owner.protected).get(state.name.lower())
        if kind is not None:
            properties["protectionPolicy"] = {"protectFromScaleIn": True, "protectFromScaleSetActions": kind == "actions"}
        health = health_status(state)
        if health is not None:
            properties["vmHealth"] = {"status": health}
    document: Document = {
        "id": f"{resource_id(group_id, Type.SCALE_SET, owner.name)}/virtualMachines/{state.name}",
        "name": state.name,
        "instanceId": state.name,
        "type": f"{Type.SCALE_SET}/virtualMachines",
        "location": state.location,
        "properties": properties,
    }
    if in_full and state.zone:
        document["zones"] = [state.zone]
    return document


# Attachments of VMs, and other resources


def disk(group_id: str, state: DiskState, definitions: Definitions) -> Document:
    """A managed disk."""
    document = _head(group_id, Type.DISK, state.name, state.location, state.tags, state.version)
    stored = _with_the_rest(document, state.definition, definitions)
    document["sku"] = {"name": state.sku, "tier": state.sku.partition("_")[0].removesuffix("SSD")}
    if state.zone:
        document["zones"] = [state.zone]
    if state.vm:
        document["managedBy"] = resource_id(group_id, Type.VM, state.vm)
    properties: Document = {
        "diskSizeGB": state.size_gb,
        "diskState": state.state,
        "provisioningState": "Succeeded",
        "timeCreated": iso(state.created),
        "uniqueId": derived_guid(state.uid, f"disk {state.name}"),
        "creationData": {"createOption": "FromImage" if state.os_type else "Empty"},
        "encryption": {"type": "EncryptionAtRestWithPlatformKey"},
        "networkAccessPolicy": "AllowAll",
    }
    if state.os_type:
        properties["osType"] = state.os_type
    performance = performance_of(state.sku, state.size_gb, stored.get("tier", ""))
    if performance.iops:
        properties |= {"diskIOPSReadWrite": performance.iops, "diskMBpsReadWrite": performance.mbps}
    if performance.tier:
        properties["tier"] = performance.tier
    document["properties"] = properties | stored
    return document


def _with_the_rest(document: Document, definition: int, definitions: Definitions) -> Document:
    """Copy the stored body's members outside `properties` into the document. Returns the stored `properties`."""
    stored = definitions[definition].document if definition else {}
    document.update({key: value for key, value in stored.items() if key != "properties"})
    return stored.get("properties") or {}


def nic(group_id: str, state: NicState, definitions: Definitions) -> Document:
    """A network interface."""
    stored = definitions[state.definition].document if state.definition else {}
    document = _head(group_id, Type.NIC, state.name, state.location, state.tags, state.version)
    _with_the_rest(document, state.beside, definitions)
    hidden = ("deleteOption", "ipConfigurations")
    properties: Document = {key: value for key, value in stored.items() if key not in hidden}
    properties["provisioningState"] = "Succeeded"
    properties["resourceGuid"] = derived_guid(state.uid, f"nic {state.name}")
    if state.vm:
        properties["virtualMachine"] = {"id": resource_id(group_id, Type.VM, state.vm)}
    properties["ipConfigurations"] = [
        _ip_configuration(group_id, state, each, at) for at, each in enumerate(stored.get("ipConfigurations") or ({"name": "ipconfig"},))
    ]
    document["properties"] = properties
    return document


def _ip_configuration(group_id: str, state: NicState, stored: Document, at: int) -> Document:
    properties = {key: value for key, value in (stored.get("properties") or {}).items() if key != "publicIPAddressConfiguration"}
    properties["provisioningState"] = "Succeeded"
    if at == 0:
        properties.setdefault("privateIPAddress", state.address)
        properties.setdefault("privateIPAllocationMethod", "Dynamic")
        if state.public_ip:
            properties["publicIPAddress"] = {"id": resource_id(group_id, Type.PUBLIC_IP, state.public_ip)}
    name = stored.get("name") or f"ipconfig{at + 1}"
    return {"id": f"{resource_id(group_id, Type.NIC, state.name)}/ipConfigurations/{name}", "name": name, "properties": properties}


def public_ip(group_id: str, state: PublicIpState, definitions: Definitions) -> Document:
    """A public IP address."""
    document = _head(group_id, Type.PUBLIC_IP, state.name, state.location, state.tags, state.version)
    document["sku"] = {"name": state.sku, "tier": "Regional"}
    stored = _with_the_rest(document, state.definition, definitions)
    properties: Document = {
        "publicIPAllocationMethod": "Static",
        "publicIPAddressVersion": "IPv4",
        "idleTimeoutInMinutes": 4,
        **stored,
        "provisioningState": "Succeeded",
        "ipAddress": state.address,
        "resourceGuid": derived_guid(state.uid, f"ip {state.name}"),
    }
    label = (stored.get("dnsSettings") or {}).get("domainNameLabel")
    if label:
        fqdn = f"{label}.{state.location}.cloudapp.azure.com"
        properties["dnsSettings"] = {**stored["dnsSettings"], "fqdn": fqdn}
    if state.nic:
        properties["ipConfiguration"] = {"id": f"{resource_id(group_id, Type.NIC, state.nic)}/ipConfigurations/ipconfig"}
    document["properties"] = properties
    return document


def plain(group_id: str, type_: str, state: ResourceState, definitions: Definitions) -> Document:
    """A resource that is shown as the request gave it."""
    document = _head(group_id, type_, state.name, state.location, state.tags, state.version)
    document["properties"] = {**_with_the_rest(document, state.definition, definitions), "provisioningState": "Succeeded"}
    return document


def lock(group_id: str, state: ResourceState, definitions: Definitions) -> Document:
    """A management lock."""
    name = shown_name(state)
    return {
        "id": f"{scope_of(state)}/providers/{Type.LOCK}/{name}",
        "name": name,
        "type": Type.LOCK,
        "properties": definitions[state.definition].document["properties"],
    }


def autoscale(group_id: str, state: SettingState, definitions: Definitions) -> Document:
    """An autoscale setting."""
    document = _head(group_id, Type.AUTOSCALE, state.name, state.location, state.tags, state.version)
    document["properties"] = {**definitions[state.definition].document, "name": state.name, "targetResourceUri": state.target}
    return document


def feature(parent: str, state: FeatureState) -> Document:
    """A preview feature. parent: id of the subscription."""
    return {
        "id": f"{parent}/providers/Microsoft.Features/providers/Microsoft.Compute/features/{state.name}",
        "name": f"Microsoft.Compute/{state.name}",
        "type": "Microsoft.Features/providers/features",
        "properties": {"state": state.state},
    }


def provider(parent: str, state: ProviderState, types: list[Document]) -> Document:
    """A resource provider. parent: id of the subscription. types: its resource types."""
    return {
        "id": f"{parent}/providers/{state.name}",
        "namespace": state.name,
        "registrationState": state.state,
        "registrationPolicy": "RegistrationRequired",
        "resourceTypes": types,
    }


def operation(state: OperationState) -> Document:
    """A long-running operation."""
    document: Document = {"startTime": iso(state.started), "status": state.status, "name": state.name}
    if state.ended:
        document["endTime"] = iso(state.ended)
    if state.failure:
        document["error"] = {"code": state.failure[0], "message": state.failure[1]}
    output = operation_output(state)
    if output is not None:
        document["properties"] = {"output": output}
    return document


def operation_output(state: OperationState) -> Document | None:
    """The output of an action that has ended; None for actions without output. A simulated guest never lacks a patch."""
    action = state.verb.lower()
    if state.status != "Succeeded" or "patches/action" not in action:
        return None
    shared = {"status": "Succeeded", "startDateTime": iso(state.started)}
    if "assess" in action:
        counts = {"rebootPending": False, "criticalAndSecurityPatchCount": 0, "otherPatchCount": 0, "availablePatches": []}
        return {**shared, "assessmentActivityId": state.name, **counts}
    counted = ("excluded", "notSelected", "pending", "installed", "failed")
    counts = {f"{name}PatchCount": 0 for name in counted}
    done = {"rebootStatus": "NotNeeded", "maintenanceWindowExceeded": False, "patches": []}
    return {**shared, "installationActivityId": state.name, **counts, **done}
