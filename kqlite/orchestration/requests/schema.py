"""The shapes of request bodies: which members there are and of which type.

A body is read against its shape: member names compare without case and come out in Azure's casing, read-only members are left
out, a member that the shape lacks is refused by its path, and so is a value of another type. Nothing is silently misread.
"""

from __future__ import annotations

import json
import re
from typing import Any

from kqlite.orchestration.errors import content_invalid, member_unknown

STR, BOOL, INT, NUM, OBJECT, ANY, GONE = "string", "boolean", "integer", "number", "object", "any", "read-only"
Shape = Any  # one of the words above, a dict of members, a list of one shape, or a tuple: a map with values of one shape

ID = {"id": STR}
_STATUS = {"provisioningState": GONE, "uniqueId": GONE, "timeCreated": GONE, "instanceView": GONE, "vmId": GONE, "resourceGuid": GONE}

SSH = {"publicKeys": [{"path": STR, "keyData": STR}]}
PATCHES = {
    "patchMode": STR,
    "assessmentMode": STR,
    "enableHotpatching": BOOL,
    "automaticByPlatformSettings": OBJECT,
}
OS_PROFILE = {
    "computerName": STR,
    "computerNamePrefix": STR,
    "adminUsername": STR,
    "adminPassword": STR,
    "customData": STR,
    "allowExtensionOperations": BOOL,
    "requireGuestProvisionSignal": BOOL,
    "secrets": ANY,
    "linuxConfiguration": {
        "disablePasswordAuthentication": BOOL,
        "provisionVMAgent": BOOL,
        "ssh": SSH,
        "patchSettings": PATCHES,
        "enableVMAgentPlatformUpdates": BOOL,
    },
    "windowsConfiguration": {
        "provisionVMAgent": BOOL,
        "enableAutomaticUpdates": BOOL,
        "timeZone": STR,
        "additionalUnattendContent": ANY,
        "patchSettings": PATCHES,
        "winRM": OBJECT,
        "enableVMAgentPlatformUpdates": BOOL,
    },
}
IMAGE = {
    "id": STR,
    "publisher": STR,
    "offer": STR,
    "sku": STR,
    "version": STR,
    "exactVersion": GONE,
    "sharedGalleryImageId": STR,
    "communityGalleryImageId": STR,
}
MANAGED_DISK = {"id": STR, "storageAccountType": STR, "diskEncryptionSet": ID, "securityProfile": OBJECT}
DISK = {
    "name": STR,
    "osType": STR,
    "createOption": STR,
    "caching": STR,
    "deleteOption": STR,
    "diskSizeGB": INT,
    "writeAcceleratorEnabled": BOOL,
    "managedDisk": MANAGED_DISK,
    "diffDiskSettings": {"option": STR, "placement": STR},
    "encryptionSettings": OBJECT,
    "vhd": ANY,
    "vhdContainers": [STR],
    "image": ANY,
    "diskControllerType": STR,
}
DATA_DISK = {
    **DISK,
    "lun": INT,
    "toBeDetached": BOOL,
    "detachOption": STR,
    "diskIOPSReadWrite": INT,
    "diskMBpsReadWrite": INT,
}
STORAGE = {"imageReference": IMAGE, "osDisk": DISK, "dataDisks": [DATA_DISK], "diskControllerType": STR}
PUBLIC_IP = {
    "name": STR,
    "sku": {"name": STR, "tier": STR},
    "properties": {
        "idleTimeoutInMinutes": INT,
        "dnsSettings": OBJECT,
        "ipTags": ANY,
        "publicIPPrefix": ID,
        "publicIPAddressVersion": STR,
        "publicIPAllocationMethod": STR,
        "deleteOption": STR,
    },
}
IP_CONFIGURATION = {
    "id": STR,
    "name": STR,
    "properties": {
        "primary": BOOL,
        # A subnet is known by its id; what it is joined to may be said here, because kqlite keeps no networks.
        "subnet": {"id": STR, "natGateway": ID, "routeTable": ID},
        "privateIPAddressVersion": STR,
        "privateIPAddress": STR,
        "privateIPAllocationMethod": STR,
        "publicIPAddress": ID,
        "publicIPAddressConfiguration": PUBLIC_IP,
        "loadBalancerBackendAddressPools": [ID],
        "loadBalancerInboundNatPools": [ID],
        "loadBalancerInboundNatRules": [ID],
        "applicationGatewayBackendAddressPools": [ID],
        "applicationSecurityGroups": [ID],
        "provisioningState": GONE,
    },
}
NIC_PROPERTIES = {
    "primary": BOOL,
    "enableAcceleratedNetworking": BOOL,
    "enableIPForwarding": BOOL,
    "enableFpga": BOOL,
    "deleteOption": STR,
    "networkSecurityGroup": ID,
    "dnsSettings": {"dnsServers": [STR]},
    "dscpConfiguration": ID,
    "ipConfigurations": [IP_CONFIGURATION],
}
NIC_CONFIGURATION = {"id": STR, "name": STR, "properties": NIC_PROPERTIES}
NETWORK = {
    "networkApiVersion": STR,
    "healthProbe": ID,
    "networkInterfaceConfigurations": [NIC_CONFIGURATION],
    "networkInterfaces": [{"id": STR, "properties": {"primary": BOOL, "deleteOption": STR}}],
}
EXTENSION_PROPERTIES = {
    "publisher": STR,
    "type": STR,
    "typeHandlerVersion": STR,
    "autoUpgradeMinorVersion": BOOL,
    "enableAutomaticUpgrade": BOOL,
    "settings": OBJECT,
    "protectedSettings": OBJECT,
    "protectedSettingsFromKeyVault": OBJECT,
    "provisionAfterExtensions": [STR],
    "suppressFailures": BOOL,
    "forceUpdateTag": STR,
    "provisioningState": GONE,
    "instanceView": GONE,
}
EXTENSION = {"id": GONE, "name": STR, "type": GONE, "location": STR, "tags": (STR,), "properties": EXTENSION_PROPERTIES}
DIAGNOSTICS = {"bootDiagnostics": {"enabled": BOOL, "storageUri": STR}}
SCHEDULED = {"terminateNotificationProfile": {"enable": BOOL, "notBeforeTimeout": STR}, "osImageNotificationProfile": OBJECT}
SECURITY = {"securityType": STR, "encryptionAtHost": BOOL, "uefiSettings": {"secureBootEnabled": BOOL, "vTpmEnabled": BOOL}}
_COMMON = {
    "osProfile": OS_PROFILE,
    "storageProfile": STORAGE,
    "networkProfile": NETWORK,
    "diagnosticsProfile": DIAGNOSTICS,
    "scheduledEventsProfile": SCHEDULED,
    "securityProfile": SECURITY,
    "priority": STR,
    "evictionPolicy": STR,
    "billingProfile": {"maxPrice": NUM},
    "licenseType": STR,
    "userData": STR,
}
PROFILE = {
    **_COMMON,
    "extensionProfile": {"extensions": [EXTENSION], "extensionsTimeBudget": STR},
    "applicationProfile": OBJECT,
    "capacityReservation": OBJECT,
    "timeCreated": GONE,
}
TOP = {
    "id": GONE,
    "name": GONE,
    "type": GONE,
    "etag": GONE,
    "location": STR,
    "tags": (STR,),
    "zones": [STR],
    "plan": OBJECT,
    "identity": OBJECT,
    "extendedLocation": OBJECT,
}
SCALE_SET = {
    **TOP,
    "sku": {"name": STR, "tier": STR, "capacity": INT},
    "properties": {
        **_STATUS,
        "orchestrationMode": STR,
        "singlePlacementGroup": BOOL,
        "platformFaultDomainCount": INT,
        "virtualMachineProfile": PROFILE,
        "proximityPlacementGroup": ID,
        "additionalCapabilities": {"ultraSSDEnabled": BOOL, "hibernationEnabled": BOOL},
        "automaticRepairsPolicy": {"enabled": BOOL, "gracePeriod": STR, "repairAction": STR},
        "upgradePolicy": {
            "mode": STR,
            "rollingUpgradePolicy": OBJECT,
            "automaticOSUpgradePolicy": {
                "enableAutomaticOSUpgrade": BOOL,
                "disableAutomaticRollback": BOOL,
                "useRollingUpgradePolicy": BOOL,
                "osRollingUpgradeDeferral": BOOL,
            },
        },
        "overprovision": BOOL,
        "doNotRunExtensionsOnOverprovisionedVMs": BOOL,
        "hostGroup": ID,
        "scaleInPolicy": {"rules": [STR], "forceDeletion": BOOL, "prioritizeUnhealthyVMs": BOOL},
        "zoneBalance": BOOL,
        "spotRestorePolicy": {"enabled": BOOL, "restoreTimeout": STR},
        "priorityMixPolicy": {"baseRegularPriorityCount": INT, "regularPriorityPercentageAboveBase": INT},
        "constrainedMaximumCapacity": BOOL,
    },
}
VM = {
    **TOP,
    "resources": GONE,
    "properties": {
        **_COMMON,
        **_STATUS,
        "hardwareProfile": {"vmSize": STR, "vmSizeProperties": OBJECT},
        "virtualMachineScaleSet": ID,
        "availabilitySet": ID,
        "proximityPlacementGroup": ID,
        "platformFaultDomain": INT,
        "host": ID,
        "hostGroup": ID,
        "additionalCapabilities": {"ultraSSDEnabled": BOOL, "hibernationEnabled": BOOL},
        "extensionsTimeBudget": STR,
        "applicationProfile": OBJECT,
        "capacityReservation": OBJECT,
    },
}
INSTANCE = {
    **TOP,
    "properties": {"protectionPolicy": {"protectFromScaleIn": BOOL, "protectFromScaleSetActions": BOOL}},
}
AUTOSCALE = {
    "id": GONE,
    "name": GONE,
    "type": GONE,
    "location": STR,
    "tags": (STR,),
    "properties": {
        "enabled": BOOL,
        "name": STR,
        "targetResourceUri": STR,
        "targetResourceLocation": STR,
        "notifications": ANY,
        "predictiveAutoscalePolicy": OBJECT,
        "profiles": [
            {
                "name": STR,
                "capacity": {"minimum": STR, "maximum": STR, "default": STR},
                "rules": [
                    {
                        "metricTrigger": {
                            "metricName": STR,
                            "metricNamespace": STR,
                            "metricResourceUri": STR,
                            "metricResourceLocation": STR,
                            "timeGrain": STR,
                            "statistic": STR,
                            "timeWindow": STR,
                            "timeAggregation": STR,
                            "operator": STR,
                            "threshold": NUM,
                            "dividePerInstance": BOOL,
                            "dimensions": ANY,
                        },
                        "scaleAction": {"direction": STR, "type": STR, "value": STR, "cooldown": STR},
                    }
                ],
                "fixedDate": {"timeZone": STR, "start": STR, "end": STR},
                "recurrence": {"frequency": STR, "schedule": {"timeZone": STR, "days": [STR], "hours": [INT], "minutes": [INT]}},
            }
        ],
    },
}

# Members that came after api-version 2021-07-01, and with which one; the rest is taken with any version.
_SINCE = {
    "repairAction": "2021-11-01",
    "communityGalleryImageId": "2021-11-01",
    "protectedSettingsFromKeyVault": "2021-11-01",
    "automaticByPlatformSettings": "2022-03-01",
    "useRollingUpgradePolicy": "2022-03-01",
    "priorityMixPolicy": "2022-08-01",
    "diskControllerType": "2022-08-01",
    "enableVMAgentPlatformUpdates": "2022-08-01",
    "osImageNotificationProfile": "2022-11-01",
    "constrainedMaximumCapacity": "2022-11-01",
    "osRollingUpgradeDeferral": "2023-09-01",
    "protectionPolicy": "2023-09-01",
}
NEWEST = "9999-12-31"

_TYPES: dict[str, tuple[type, ...]] = {STR: (str,), BOOL: (bool,), INT: (int,), NUM: (int, float), OBJECT: (dict,)}


def read(body: Any, shape: Shape, owner: str, text: str | None = None, version: str = NEWEST) -> dict[str, Any]:
    """The body in Azure's casing.

    owner: "vmss" or "vm", as the refusal of an unknown member begins. text: the body as it was sent, to give positions in it.
    version: the request's api-version; a member that came later is unknown to it.
    Raises ArmError 400 for an unknown member or a value of another type.
    """
    if not isinstance(body, dict):
        raise content_invalid("the body must be a JSON object")
    return dict(_Reader(owner, text, body, version).value(body, shape, ""))


class _Reader:
    def __init__(self, owner: str, text: str | None, body: dict[str, Any], version: str) -> None:
        self._owner = owner
        self._version = version
        self._text = text
        self._body = body

    def value(self, value: Any, shape: Shape, path: str) -> Any:
        if value is None or shape == ANY:
            return value
        if isinstance(shape, dict):
            return self._object(value, shape, path)
        if isinstance(shape, list):
            if not isinstance(value, list):
                raise self._wrong(path, "array", value)
            if None in value:
                raise self._wrong(f"{path}[{value.index(None)}]", _name_of(shape[0]), None)
            return [self.value(item, shape[0], f"{path}[{at}]") for at, item in enumerate(value)]
        if isinstance(shape, tuple):
            if not isinstance(value, dict):
                raise self._wrong(path, "object", value)
            return {str(key): self.value(item, shape[0], f"{path}.{key}") for key, item in value.items()}
        return self._scalar(value, shape, path)

    def _object(self, value: Any, shape: dict[str, Shape], path: str) -> dict[str, Any]:
        if not isinstance(value, dict):
            raise self._wrong(path, "object", value)
        members = {name.lower(): name for name in shape}
        found: dict[str, Any] = {}
        for key, item in value.items():
            name = members.get(str(key).lower())
            if name is None or _SINCE.get(name, "") > self._version:
                where = f"{path}.{key}" if path else str(key)
                raise member_unknown(self._owner, where, str(key), self._position(str(key)))
            if shape[name] != GONE and item is not None:
                found[name] = self.value(item, shape[name], f"{path}.{name}" if path else name)
        return found

    def _scalar(self, value: Any, shape: str, path: str) -> Any:
        # A number may come as text ("2"), as the service's own deserializer takes it; a fraction is never an integer.
        if shape in (INT, NUM) and isinstance(value, str) and re.fullmatch(r"-?\d+(\.\d+)?", value):
            value = float(value) if "." in value else int(value)
        if shape == INT and isinstance(value, float) and value.is_integer():
            value = int(value)
        if shape == BOOL and isinstance(value, str) and value.lower() in ("true", "false"):
            value = value.lower() == "true"
        if shape == STR and isinstance(value, (int, float)) and not isinstance(value, bool):
            value = str(value)
        if not isinstance(value, _TYPES[shape]) or (shape in (INT, NUM) and isinstance(value, bool)):
            raise self._wrong(path, shape, value)
        return value

    def _wrong(self, path: str, wanted: str, value: Any) -> Exception:
        return content_invalid(f"Error converting value {json.dumps(value)} to type {wanted}. Path {path or '(root)'}, line 1.")

    def _position(self, key: str) -> int:
        text = self._text if self._text is not None else json.dumps(self._body)
        at = text.find(json.dumps(key))
        return at + len(key) + 3 if at >= 0 else 0


def _name_of(shape: Shape) -> str:
    return shape if isinstance(shape, str) else "array" if isinstance(shape, list) else "object"


def merged(base: Any, patch: Any) -> Any:
    """`base` with the members of `patch`: objects are merged, everything else is replaced."""
    if isinstance(base, dict) and isinstance(patch, dict):
        return {**base, **{key: merged(base.get(key), value) for key, value in patch.items()}}
    return patch
