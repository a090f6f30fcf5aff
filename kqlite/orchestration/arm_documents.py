"""State as ARM shows it: pure functions of an image, its group's id and the definitions.

A reader of events can call them too: nothing here looks at the live fleet. Field names and shapes are those of the Compute and
Network REST API references (2021).
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
    BESIDE,
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
    """The id of a resource in a group; a name that is an id already stays as it is."""
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


def subscription(image: SubscriptionState) -> Document:
    """A subscription."""
    return {
        "id": f"/subscriptions/{image.name}",
        "subscriptionId": image.name,
        "displayName": f"kqlite {image.name[-4:]}",
        "state": "Enabled",
        "tenantId": "00000000-0000-0000-0000-00000000feed",
    }


def group(parent: str, image: GroupState) -> Document:
    """A resource group; `parent` is the subscription's id."""
    return {
        "id": f"{parent}/resourceGroups/{image.name}",
        "name": image.name,
        "type": "Microsoft.Resources/resourceGroups",
        "location": image.location,
        "tags": _tags(image.tags),
        "properties": {"provisioningState": image.provisioning},
    }


def scale_set(group_id: str, image: ScaleSetState, definitions: Definitions) -> Document:
    """A scale set."""
    stored = definitions[image.model].document
    document = _head(group_id, Type.SCALE_SET, image.name, image.location, image.tags, image.version)
    if image.zones:
        document["zones"] = list(image.zones)
    for name in BESIDE:
        if name in stored:
            document[name] = stored[name]
    if "sku" in stored:
        document["sku"] = {**stored["sku"], "capacity": image.capacity}
    properties = {**stored["properties"], "provisioningState": image.provisioning}
    properties["uniqueId"] = derived_guid(image.uid, "uniqueId")
    properties["timeCreated"] = iso(image.created)
    if image.profile:
        properties["virtualMachineProfile"] = definitions[image.profile].document["profile"]
    document["properties"] = properties
    return document


def scale_set_view(image: ScaleSetState) -> Document:
    """The instance view of a scale set with a repairs policy."""
    return {"orchestrationServices": [{"serviceName": "AutomaticRepairs", "serviceState": image.repair}]}


# Virtual machines


def computer_name(image: VmState, definitions: Definitions) -> str:
    """The host name."""
    stored = definitions[image.model].document
    if "profile" not in stored:
        return str((stored["properties"].get("osProfile") or {}).get("computerName") or image.name)
    prefix = (stored["profile"].get("osProfile") or {}).get("computerNamePrefix") or image.set[:8]
    return f"{prefix}{derived_base36(image.uid, 'computerName', 6)}"


def vm_properties(group_id: str, image: VmState, definitions: Definitions) -> Document:
    """The model of a VM: what a request could have said, every name resolved."""
    stored = definitions[image.model].document
    facts = _facts(definitions, image.model)
    body = stored["profile"] if "profile" in stored else stored["properties"]
    left_out = ("extensionProfile", "networkProfile", "osProfile", "storageProfile", "hardwareProfile")
    properties: Document = {"hardwareProfile": {**(body.get("hardwareProfile") or {}), "vmSize": facts.size.name}}
    properties["storageProfile"] = _storage(group_id, image, body, facts)
    if "osProfile" in body:
        properties["osProfile"] = _os_profile(image, body["osProfile"], definitions)
    properties["networkProfile"] = {"networkInterfaces": _nic_references(group_id, image, facts)}
    properties.update({key: value for key, value in body.items() if key not in left_out})
    if "proximityPlacementGroup" in stored:
        properties["proximityPlacementGroup"] = stored["proximityPlacementGroup"]
    properties.setdefault("extensionsTimeBudget", (body.get("extensionProfile") or {}).get("extensionsTimeBudget") or "PT1H30M")
    return properties


def _storage(group_id: str, image: VmState, body: Document, facts: Facts) -> Document:
    storage = body.get("storageProfile") or {}
    shown: Document = {"dataDisks": []}
    if storage.get("imageReference"):
        reference = dict(storage["imageReference"])
        if reference.get("version") == "latest":
            reference["exactVersion"] = f"{str(reference.get('sku', '')).split('-')[0]}.202108110"
        shown["imageReference"] = reference
    sources = [storage.get("osDisk") or {}, *(storage.get("dataDisks") or ())]
    for source, part in zip(sources, facts.disks, strict=True):
        name = disk_name(image, part)
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


def _os_profile(image: VmState, profile: Document, definitions: Definitions) -> Document:
    shown = {key: value for key, value in profile.items() if key != "computerNamePrefix"}
    shown["computerName"] = computer_name(image, definitions)
    return {"secrets": [], "allowExtensionOperations": True, "requireGuestProvisionSignal": True, **shown}


def _nic_references(group_id: str, image: VmState, facts: Facts) -> list[Document]:
    return [
        {
            "id": resource_id(group_id, Type.NIC, nic_name(image, part, facts)),
            "properties": {"primary": at == 0, "deleteOption": "Delete" if part.deleted else "Detach"},
        }
        for at, part in enumerate(facts.nics)
    ]


def vm(group_id: str, image: VmState, definitions: Definitions, with_view: bool = False, preview: bool = True) -> Document:
    """A VM; with its instance view where that is asked for."""
    document = _head(group_id, Type.VM, image.name, image.location, image.tags, image.version)
    if image.zone:
        document["zones"] = [image.zone]
    stored = definitions[image.model].document
    for name in BESIDE:
        if name in stored:
            document[name] = stored[name]
    properties = vm_properties(group_id, image, definitions)
    properties["vmId"] = derived_guid(image.uid, "vmId")
    properties["provisioningState"] = image.provisioning
    properties["timeCreated"] = iso(image.created)
    if image.set:
        properties["virtualMachineScaleSet"] = {"id": resource_id(group_id, Type.SCALE_SET, image.set)}
    if image.domain_asked:
        properties["platformFaultDomain"] = image.domain
    properties.setdefault("priority", "Regular")
    if with_view:
        properties["instanceView"] = instance_view(image, definitions, preview)
    document["properties"] = properties
    if image.extensions:
        document["resources"] = [extension(group_id, each, definitions) for each in extensions_of(image)]
    return document


def extensions_of(image: VmState) -> list[ExtensionState]:
    """The extensions of a VM, as its image repeats them."""
    return [
        ExtensionState(name, version, image.name, image.location, number, state, failure)
        for name, number, state, version, failure in image.extensions
    ]


def extension(group_id: str, image: ExtensionState, definitions: Definitions) -> Document:
    """A VM extension."""
    return {
        "id": f"{resource_id(group_id, Type.VM, image.vm)}/extensions/{image.name}",
        "name": image.name,
        "type": Type.EXTENSION,
        "location": image.location,
        "properties": {**definitions[image.definition].document, "provisioningState": image.provisioning},
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


def provisioning_status(image: VmState) -> Document:
    """`ProvisioningState/..` of an instance view."""
    if image.provisioning == Provisioning.FAILED:
        code, message = image.failure if image.failure else ("InternalExecutionError", "")
        return {
            "code": f"ProvisioningState/failed/{code}",
            "level": "Error",
            "displayStatus": "Provisioning failed",
            "message": message,
            "time": iso(image.changed),
        }
    state = image.provisioning.lower()
    if image.provisioning == Provisioning.CREATING and image.step == Step.PROVISION:
        state = "creating/OSProvisioningInProgress"
    elif image.provisioning == Provisioning.CREATING and image.step == Step.EXTENSIONS:
        state = "creating/osProvisioningComplete"
    text = _STATE_TEXT[Provisioning(image.provisioning)]
    return {"code": f"ProvisioningState/{state}", "level": "Info", "displayStatus": text, "time": iso(image.changed)}


def power_status(image: VmState) -> Document | None:
    """`PowerState/..` of an instance view; None before anything was allocated."""
    if not image.power:
        return None
    return {"code": f"PowerState/{image.power}", "level": "Info", "displayStatus": _POWER_TEXT[Power(image.power)]}


def health_status(image: VmState) -> Document | None:
    """`HealthState/..`; None where no health extension has reported."""
    if not image.health:
        return None
    level, text = _HEALTH_TEXT[Health(image.health)]
    return {"code": f"HealthState/{image.health}", "level": level, "displayStatus": text}


def os_name(image: VmState, definitions: Definitions) -> tuple[str, str]:
    """The guest's name and version as its agent reports them."""
    stored = definitions[image.model].document
    body = stored["profile"] if "profile" in stored else stored["properties"]
    reference = (body.get("storageProfile") or {}).get("imageReference") or {}
    if _facts(definitions, image.model).os_type == "Windows":
        return "Windows Server", str(reference.get("sku") or "2019-Datacenter").split("-")[0]
    return "ubuntu" if "ubuntu" in str(reference.get("offer", "")).lower() else "linux", str(reference.get("sku") or "").split("-")[0]


def instance_view(image: VmState, definitions: Definitions, preview: bool = True) -> Document:
    """The instance view of a VM."""
    facts = _facts(definitions, image.model)
    view: Document = {}
    if image.set:
        view["platformUpdateDomain"] = 0
        if preview:
            view["platformFaultDomain"] = image.domain
    running = image.power == Power.RUNNING
    if running and image.provisioning != Provisioning.CREATING:
        view["computerName"] = computer_name(image, definitions)
        view["osName"], view["osVersion"] = os_name(image, definitions)
        view["vmAgent"] = {
            "vmAgentVersion": "2.2.45",
            "statuses": [_status("ProvisioningState/succeeded", "Ready", iso(image.changed), "Guest Agent is running")],
            "extensionHandlers": [],
        }
    view["hyperVGeneration"] = "V2" if facts.size.name.endswith("_v5") else "V1"
    view["disks"] = [
        {"name": disk_name(image, part), "statuses": [_status("ProvisioningState/succeeded", "Provisioning succeeded", iso(image.created))]}
        for part in facts.disks
    ]
    if facts.boot_diagnostics:
        view["bootDiagnostics"] = boot_diagnostics(image)
    if image.extensions:
        view["extensions"] = [_extension_view(each, definitions) for each in extensions_of(image)]
    health = health_status(image)
    if health is not None:
        view["vmHealth"] = {"status": health}
    view["maintenanceRedeployStatus"] = {"isCustomerInitiatedMaintenanceAllowed": False}
    statuses = [provisioning_status(image), power_status(image)]
    if image.generalized:
        statuses.append({"code": "OSState/generalized", "level": "Info", "displayStatus": "VM generalized"})
    view["statuses"] = [status for status in statuses if status is not None]
    return view


def _status(code: str, text: str, time: str, message: str = "") -> Document:
    status = {"code": code, "level": "Info", "displayStatus": text, "time": time}
    return {**status, "message": message} if message else status


def _extension_view(image: ExtensionState, definitions: Definitions) -> Document:
    stored = definitions[image.definition].document
    failed = image.provisioning == Provisioning.FAILED
    state = f"failed/{image.failure}" if failed else image.provisioning.lower()
    text = "Provisioning failed" if failed else _STATE_TEXT[Provisioning(image.provisioning)]
    return {
        "name": image.name,
        "type": f"{stored.get('publisher')}.{stored.get('type')}",
        "typeHandlerVersion": f"{stored.get('typeHandlerVersion')}.5",
        "statuses": [{"code": f"ProvisioningState/{state}", "level": "Error" if failed else "Info", "displayStatus": text}],
    }


def boot_diagnostics(image: VmState) -> Document:
    """Where the screenshot and the serial console's log lie."""
    base = f"https://bootdiag.blob.core.windows.net/bootdiagnostics-{derived_guid(image.uid, 'vmId')}/{image.name}"
    return {"consoleScreenshotBlobUri": f"{base}.screenshot.bmp", "serialConsoleLogBlobUri": f"{base}.serialconsole.log"}


def scale_set_vm(group_id: str, image: VmState, owner: ScaleSetState, in_full: bool) -> Document:
    """The scale set's view of an instance: in lists little more than its id, alone what the orchestrator knows."""
    properties: Document = {
        "vmId": derived_guid(image.uid, "vmId"),
        "provisioningState": image.provisioning,
        "virtualMachineResourceId": resource_id(group_id, Type.VM, image.name),
    }
    if in_full:
        properties["platformFaultDomain"] = image.domain
        properties["latestModelApplied"] = image.model in (owner.profile, owner.regular)
        kind = dict(owner.protected).get(image.name.lower())
        if kind is not None:
            properties["protectionPolicy"] = {"protectFromScaleIn": True, "protectFromScaleSetActions": kind == "actions"}
        health = health_status(image)
        if health is not None:
            properties["vmHealth"] = {"status": health}
    document: Document = {
        "id": f"{resource_id(group_id, Type.SCALE_SET, owner.name)}/virtualMachines/{image.name}",
        "name": image.name,
        "instanceId": image.name,
        "type": f"{Type.SCALE_SET}/virtualMachines",
        "location": image.location,
        "properties": properties,
    }
    if in_full and image.zone:
        document["zones"] = [image.zone]
    return document


# What hangs on VMs


def disk(group_id: str, image: DiskState, definitions: Definitions) -> Document:
    """A managed disk."""
    document = _head(group_id, Type.DISK, image.name, image.location, image.tags, image.version)
    stored = _with_the_rest(document, image.definition, definitions)
    document["sku"] = {"name": image.sku, "tier": image.sku.partition("_")[0].removesuffix("SSD")}
    if image.zone:
        document["zones"] = [image.zone]
    if image.vm:
        document["managedBy"] = resource_id(group_id, Type.VM, image.vm)
    properties: Document = {
        "diskSizeGB": image.size_gb,
        "diskState": image.state,
        "provisioningState": "Succeeded",
        "timeCreated": iso(image.created),
        "uniqueId": derived_guid(image.uid, f"disk {image.name}"),
        "creationData": {"createOption": "FromImage" if image.os_type else "Empty"},
        "encryption": {"type": "EncryptionAtRestWithPlatformKey"},
        "networkAccessPolicy": "AllowAll",
    }
    if image.os_type:
        properties["osType"] = image.os_type
    performance = performance_of(image.sku, image.size_gb, stored.get("tier", ""))
    if performance.iops:
        properties |= {"diskIOPSReadWrite": performance.iops, "diskMBpsReadWrite": performance.mbps}
    if performance.tier:
        properties["tier"] = performance.tier
    document["properties"] = properties | stored
    return document


def _with_the_rest(document: Document, definition: int, definitions: Definitions) -> Document:
    """Put what a body said beside its properties into the document; its properties."""
    stored = definitions[definition].document if definition else {}
    document.update({key: value for key, value in stored.items() if key != "properties"})
    return stored.get("properties") or {}


def nic(group_id: str, image: NicState, definitions: Definitions) -> Document:
    """A network interface."""
    stored = definitions[image.definition].document if image.definition else {}
    document = _head(group_id, Type.NIC, image.name, image.location, image.tags, image.version)
    _with_the_rest(document, image.beside, definitions)
    hidden = ("deleteOption", "ipConfigurations")
    properties: Document = {key: value for key, value in stored.items() if key not in hidden}
    properties["provisioningState"] = "Succeeded"
    properties["resourceGuid"] = derived_guid(image.uid, f"nic {image.name}")
    if image.vm:
        properties["virtualMachine"] = {"id": resource_id(group_id, Type.VM, image.vm)}
    properties["ipConfigurations"] = [
        _ip_configuration(group_id, image, each, at) for at, each in enumerate(stored.get("ipConfigurations") or ({"name": "ipconfig"},))
    ]
    document["properties"] = properties
    return document


def _ip_configuration(group_id: str, image: NicState, stored: Document, at: int) -> Document:
    properties = {key: value for key, value in (stored.get("properties") or {}).items() if key != "publicIPAddressConfiguration"}
    properties["provisioningState"] = "Succeeded"
    if at == 0:
        properties.setdefault("privateIPAddress", image.address)
        properties.setdefault("privateIPAllocationMethod", "Dynamic")
        if image.public_ip:
            properties["publicIPAddress"] = {"id": resource_id(group_id, Type.PUBLIC_IP, image.public_ip)}
    name = stored.get("name") or f"ipconfig{at + 1}"
    return {"id": f"{resource_id(group_id, Type.NIC, image.name)}/ipConfigurations/{name}", "name": name, "properties": properties}


def public_ip(group_id: str, image: PublicIpState, definitions: Definitions) -> Document:
    """A public address."""
    document = _head(group_id, Type.PUBLIC_IP, image.name, image.location, image.tags, image.version)
    document["sku"] = {"name": image.sku, "tier": "Regional"}
    stored = _with_the_rest(document, image.definition, definitions)
    properties: Document = {
        "publicIPAllocationMethod": "Static",
        "publicIPAddressVersion": "IPv4",
        "idleTimeoutInMinutes": 4,
        **stored,
        "provisioningState": "Succeeded",
        "ipAddress": image.address,
        "resourceGuid": derived_guid(image.uid, f"ip {image.name}"),
    }
    label = (stored.get("dnsSettings") or {}).get("domainNameLabel")
    if label:
        fqdn = f"{label}.{image.location}.cloudapp.azure.com"
        properties["dnsSettings"] = {**stored["dnsSettings"], "fqdn": fqdn}
    if image.nic:
        properties["ipConfiguration"] = {"id": f"{resource_id(group_id, Type.NIC, image.nic)}/ipConfigurations/ipconfig"}
    document["properties"] = properties
    return document


def plain(group_id: str, type_: str, image: ResourceState, definitions: Definitions) -> Document:
    """A resource that is shown as it was given."""
    document = _head(group_id, type_, image.name, image.location, image.tags, image.version)
    document["properties"] = {**_with_the_rest(document, image.definition, definitions), "provisioningState": "Succeeded"}
    return document


def lock(group_id: str, image: ResourceState, definitions: Definitions) -> Document:
    """A management lock."""
    name = shown_name(image)
    return {
        "id": f"{scope_of(image)}/providers/{Type.LOCK}/{name}",
        "name": name,
        "type": Type.LOCK,
        "properties": definitions[image.definition].document["properties"],
    }


def autoscale(group_id: str, image: SettingState, definitions: Definitions) -> Document:
    """An autoscale setting."""
    document = _head(group_id, Type.AUTOSCALE, image.name, image.location, image.tags, image.version)
    document["properties"] = {**definitions[image.definition].document, "name": image.name, "targetResourceUri": image.target}
    return document


def feature(parent: str, image: FeatureState) -> Document:
    """A preview feature; `parent` is the subscription's id."""
    return {
        "id": f"{parent}/providers/Microsoft.Features/providers/Microsoft.Compute/features/{image.name}",
        "name": f"Microsoft.Compute/{image.name}",
        "type": "Microsoft.Features/providers/features",
        "properties": {"state": image.state},
    }


def provider(parent: str, image: ProviderState, types: list[Document]) -> Document:
    """A resource provider; `parent` is the subscription's id."""
    return {
        "id": f"{parent}/providers/{image.name}",
        "namespace": image.name,
        "registrationState": image.state,
        "registrationPolicy": "RegistrationRequired",
        "resourceTypes": types,
    }


def operation(image: OperationState) -> Document:
    """A long-running operation."""
    document: Document = {"startTime": iso(image.started), "status": image.status, "name": image.name}
    if image.ended:
        document["endTime"] = iso(image.ended)
    if image.failure:
        document["error"] = {"code": image.failure[0], "message": image.failure[1]}
    output = operation_output(image)
    if output is not None:
        document["properties"] = {"output": output}
    return document


def operation_output(image: OperationState) -> Document | None:
    """What an action gives back when it is done; None for those that give nothing. The guest of a simulated VM has no patch to come."""
    action = image.verb.lower()
    if image.status != "Succeeded" or "patches/action" not in action:
        return None
    shared = {"status": "Succeeded", "startDateTime": iso(image.started)}
    if "assess" in action:
        counts = {"rebootPending": False, "criticalAndSecurityPatchCount": 0, "otherPatchCount": 0, "availablePatches": []}
        return {**shared, "assessmentActivityId": image.name, **counts}
    counted = ("excluded", "notSelected", "pending", "installed", "failed")
    counts = {f"{name}PatchCount": 0 for name in counted}
    done = {"rebootStatus": "NotNeeded", "maintenanceWindowExceeded": False, "patches": []}
    return {**shared, "installationActivityId": image.name, **counts, **done}
