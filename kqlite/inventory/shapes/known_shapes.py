"""The shapes of documents that are known ahead: those of virtual machines, scale sets, and what the core keeps beside them.

A partition that is fed by changes begins with them, so that the first Spot machine or the first data disk does not widen a table of a
million rows. An import begins with nothing, because it sees all documents before it writes one.

Written as `shapes.to_json` writes shapes: a leaf by its type's name, `json` for any value, `[..]` for an array; `+` is the promise of
`Leaf.plain` and `JsonLeaf.plain`, which the first value that breaks it takes back, `=` that of `JsonLeaf.ordered`.

Source: Azure REST API docs, "Virtual Machines - Get", "Virtual Machine Scale Sets - Get" and the same of disks, extensions, interfaces and
addresses; Azure Resource Graph adds `properties.extended`, and its docs, "Get resource changes", show what a change record says.
"""

from typing import Any

_TEXT, _WHOLE, _TRUTH, _ANY = "string+", "long", "bool", "json+="
_ID = {"id": _TEXT}
_PATCH = {"patchMode": _TEXT, "assessmentMode": _TEXT, "enableHotpatching": _TRUTH}
_AGENT = {"provisionVMAgent": _TRUTH, "enableVMAgentPlatformUpdates": _TRUTH, "patchSettings": _PATCH}
_LINUX = _AGENT | {"disablePasswordAuthentication": _TRUTH, "ssh": {"publicKeys": [{"path": _TEXT, "keyData": _TEXT}]}}
_WINDOWS = _AGENT | {"enableAutomaticUpdates": _TRUTH, "timeZone": _TEXT}
_OS_PROFILE = {
    "adminUsername": _TEXT,
    "allowExtensionOperations": _TRUTH,
    "requireGuestProvisionSignal": _TRUTH,
    "secrets": _ANY,
    "linuxConfiguration": _LINUX,
    "windowsConfiguration": _WINDOWS,
}
_IMAGE = {"publisher": _TEXT, "offer": _TEXT, "sku": _TEXT, "version": _TEXT, "exactVersion": _TEXT, "id": _TEXT}
_DISK = {"caching": _TEXT, "createOption": _TEXT, "deleteOption": _TEXT, "diskSizeGB": _WHOLE, "writeAcceleratorEnabled": _TRUTH}
_MANAGED = {"id": _TEXT, "storageAccountType": _TEXT}
_OS_DISK = _DISK | {"osType": _TEXT, "diffDiskSettings": {"option": _TEXT, "placement": _TEXT}}
_DATA_DISK = _DISK | {"lun": _WHOLE, "name": _TEXT, "toBeDetached": _TRUTH, "managedDisk": _MANAGED}
_SECURITY = {"securityType": _TEXT, "encryptionAtHost": _TRUTH, "uefiSettings": {"secureBootEnabled": _TRUTH, "vTpmEnabled": _TRUTH}}
_DIAGNOSTICS = {"bootDiagnostics": {"enabled": _TRUTH, "storageUri": _TEXT}}
# A price may be a whole number in one document and a fraction in the next.
_SPOT = {"priority": _TEXT, "evictionPolicy": _TEXT, "billingProfile": {"maxPrice": _ANY}}
_NOTICES = {"scheduledEventsProfile": {"terminateNotificationProfile": {"enable": _TRUTH, "notBeforeTimeout": _TEXT}}}
_CAPABILITIES = {"additionalCapabilities": {"ultraSSDEnabled": _TRUTH, "hibernationEnabled": _TRUTH}}
_POWER = {"code": _TEXT, "level": _TEXT, "displayStatus": _TEXT}
_VIEW = {"powerState": _POWER, "computerName": "string", "osName": _TEXT, "osVersion": "string", "hyperVGeneration": _TEXT}

_MACHINE = {
    "vmId": _TEXT,
    "provisioningState": _TEXT,
    "timeCreated": _TEXT,
    "hardwareProfile": {"vmSize": _TEXT},
    "extended": {"instanceView": _VIEW},
    "networkProfile": {"networkInterfaces": [{"id": _TEXT, "properties": {"primary": _TRUTH, "deleteOption": _TEXT}}]},
    "osProfile": {"computerName": _TEXT} | _OS_PROFILE,
    "storageProfile": {
        "diskControllerType": _TEXT,
        "imageReference": _IMAGE,
        "osDisk": {"name": _TEXT, "managedDisk": _MANAGED} | _OS_DISK,
        "dataDisks": [_DATA_DISK],
    },
    "virtualMachineScaleSet": _ID,
    "availabilitySet": _ID,
    "proximityPlacementGroup": _ID,
    "platformFaultDomain": _WHOLE,
    "licenseType": _TEXT,
    "diagnosticsProfile": _DIAGNOSTICS,
    "securityProfile": _SECURITY,
    "extensionsTimeBudget": _TEXT,
    **_SPOT,
    **_NOTICES,
    **_CAPABILITIES,
}

_PROFILE = {
    "osProfile": {"computerNamePrefix": _TEXT} | _OS_PROFILE,
    "storageProfile": {
        "diskControllerType": _TEXT,
        "imageReference": _IMAGE,
        "osDisk": _OS_DISK | {"managedDisk": _MANAGED},
        "dataDisks": [_DATA_DISK],
    },
    "networkProfile": _ANY,
    "extensionProfile": _ANY,
    "diagnosticsProfile": _DIAGNOSTICS,
    "securityProfile": _SECURITY,
    "licenseType": _TEXT,
    "timeCreated": _TEXT,
    **_SPOT,
    **_NOTICES,
}

_ROLLING = {"maxBatchInstancePercent": _WHOLE, "maxUnhealthyInstancePercent": _WHOLE, "maxUnhealthyUpgradedInstancePercent": _WHOLE}
_REPAIRS = {"enabled": _TRUTH, "gracePeriod": _TEXT, "repairAction": _TEXT}

_SCALE_SET = {
    "orchestrationMode": _TEXT,
    "provisioningState": _TEXT,
    "timeCreated": _TEXT,
    "uniqueId": _TEXT,
    "singlePlacementGroup": _TRUTH,
    "platformFaultDomainCount": _WHOLE,
    "zoneBalance": _TRUTH,
    "overprovision": _TRUTH,
    "doNotRunExtensionsOnOverprovisionedVMs": _TRUTH,
    "constrainedMaximumCapacity": _TRUTH,
    "upgradePolicy": {"mode": _TEXT, "rollingUpgradePolicy": _ROLLING | {"pauseTimeBetweenBatches": _TEXT}},
    "automaticRepairsPolicy": _REPAIRS,
    "scaleInPolicy": {"rules": [_TEXT], "forceDeletion": _TRUTH},
    "virtualMachineProfile": _PROFILE,
    "proximityPlacementGroup": _ID,
    "spotRestorePolicy": {"enabled": _TRUTH, "restoreTimeout": _TEXT},
    "priorityMixPolicy": {"baseRegularPriorityCount": _WHOLE, "regularPriorityPercentageAboveBase": _WHOLE},
    **_CAPABILITIES,
}

_ADDRESS = {"provisioningState": _TEXT, "privateIPAddress": _TEXT, "privateIPAllocationMethod": _TEXT, "privateIPAddressVersion": _TEXT}
_IP_CONFIGURATION = _ADDRESS | {
    "primary": _TRUTH,
    "subnet": _ID,
    "publicIPAddress": _ID,
    "loadBalancerBackendAddressPools": [_ID],
    "applicationSecurityGroups": [_ID],
}

_INTERFACE = {
    "primary": _TRUTH,
    "provisioningState": _TEXT,
    "resourceGuid": _TEXT,
    "virtualMachine": _ID,
    "networkSecurityGroup": _ID,
    "enableIPForwarding": _TRUTH,
    "enableAcceleratedNetworking": _TRUTH,
    "dnsSettings": {"dnsServers": [_TEXT]},
    "ipConfigurations": [{"id": _TEXT, "name": _TEXT, "properties": _IP_CONFIGURATION}],
}

_DISK_RESOURCE = {
    "diskSizeGB": _WHOLE,
    "diskState": _TEXT,
    "provisioningState": _TEXT,
    "timeCreated": _TEXT,
    "uniqueId": _TEXT,
    "creationData": {"createOption": _TEXT},
    "encryption": {"type": _TEXT},
    "networkAccessPolicy": _TEXT,
    "diskIOPSReadWrite": _WHOLE,
    "diskMBpsReadWrite": _WHOLE,
    "tier": _TEXT,
    "osType": _TEXT,
}

_PUBLIC_ADDRESS = {
    "provisioningState": _TEXT,
    "ipAddress": _TEXT,
    "publicIPAllocationMethod": _TEXT,
    "publicIPAddressVersion": _TEXT,
    "idleTimeoutInMinutes": _WHOLE,
    "resourceGuid": _TEXT,
    "ipConfiguration": _ID,
}

_EXTENSION = {
    "provisioningState": _TEXT,
    "publisher": _TEXT,
    "type": _TEXT,
    "typeHandlerVersion": _TEXT,
    "autoUpgradeMinorVersion": _TRUTH,
    "enableAutomaticUpgrade": _TRUTH,
    "settings": _ANY,
}

# An id may have characters that JSON escapes: the last part is as a request had it.
_HEALTH = {"targetResourceId": "string", "targetResourceType": _TEXT, "availabilityState": _TEXT, "occurredTime": _TEXT}

_CHANGE = {
    "targetResourceId": "string",
    "targetResourceType": _TEXT,
    "changeType": _TEXT,
    "changes": _ANY,
    "changeAttributes": {
        "timestamp": _TEXT,
        "correlationId": _TEXT,
        "changesCount": _WHOLE,
        "previousResourceSnapshotId": _TEXT,
        "newResourceSnapshotId": _TEXT,
        "changedBy": _TEXT,
        "changedByType": _TEXT,
        "clientType": _TEXT,
        "operation": _TEXT,
    },
}

_SUBSCRIPTION = {
    "state": _TEXT,
    "subscriptionPolicies": {"locationPlacementId": _TEXT, "quotaId": _TEXT, "spendingLimit": _TEXT},
    "managedByTenants": _ANY,
    "managementGroupAncestorsChain": [{"displayName": _TEXT, "name": _TEXT}],
}

_SKU = {"sku": {"name": _TEXT, "tier": _TEXT}}

_COMMON = {
    "zones": [_TEXT],
    "tags": _ANY,
    "identity": {"type": _TEXT, "principalId": _TEXT, "tenantId": _TEXT, "userAssignedIdentities": _ANY},
}

KNOWN_SHAPES: dict[str, dict[str, Any]] = {
    "microsoft.compute/virtualmachines": {"properties": _MACHINE} | _COMMON,
    "microsoft.compute/virtualmachinescalesets": {
        "properties": _SCALE_SET,
        "sku": {"name": _TEXT, "tier": _TEXT, "capacity": _WHOLE},
    }
    | _COMMON,
    "microsoft.compute/virtualmachines/extensions": {"properties": _EXTENSION},
    "microsoft.compute/disks": {"properties": _DISK_RESOURCE} | _SKU | _COMMON,
    "microsoft.network/networkinterfaces": {"properties": _INTERFACE} | _COMMON,
    "microsoft.network/publicipaddresses": {"properties": _PUBLIC_ADDRESS} | _SKU | _COMMON,
    "microsoft.resourcehealth/availabilitystatuses": {"properties": _HEALTH},
    "microsoft.resources/changes": {"properties": _CHANGE},
    "microsoft.resources/subscriptions": {"properties": _SUBSCRIPTION},
    "microsoft.resources/subscriptions/resourcegroups": {"properties": {"provisioningState": _TEXT}, "tags": _ANY},
}
"""By type, and in it by dynamic column."""
