"""The resource tables: their names, their columns, and what is known ahead about the documents of each resource type.

Source: Azure Resource Graph docs, "Understanding the Azure Resource Graph query language"; the columns as recorded from the service.
"""

from kqlite.language.schema import Column, Schema
from kqlite.language.types import Type

DEFAULT_TABLE = "resources"

COLUMNS = Schema(
    (
        Column("id", Type.STRING),
        Column("name", Type.STRING),
        Column("type", Type.STRING),
        Column("tenantId", Type.STRING),
        Column("kind", Type.STRING),
        Column("location", Type.STRING),
        Column("resourceGroup", Type.STRING),
        Column("subscriptionId", Type.STRING),
        Column("managedBy", Type.STRING),
        Column("sku", Type.DYNAMIC),
        Column("plan", Type.DYNAMIC),
        Column("properties", Type.DYNAMIC),
        Column("tags", Type.DYNAMIC),
        Column("identity", Type.DYNAMIC),
        Column("zones", Type.DYNAMIC),
        Column("extendedLocation", Type.DYNAMIC),
        Column("apiVersion", Type.STRING, hidden=True),
        Column("systemData", Type.DYNAMIC, hidden=True),
        Column("aliases", Type.DYNAMIC, hidden=True),
    )
)
"""The columns of every resource table; the hidden ones can be asked for by name and are not in the default output."""

KEY_COLUMN = "_key"
"""The id, case folded, since ARM changes the case of ids: what a change replaces by."""

SEQUENCE_COLUMN = "_seq"
"""The sequence number of the event that made the row; 0 for imported rows."""

CHANGED_COLUMN = "_changed"
"""In a batch of hot leaves, and in no table: a bit for each hot column of the batch, from the lowest on, set where it may be another."""

HOT_LEAVES = {
    "microsoft.compute/virtualmachines": (
        "properties.provisioningState",
        "properties.platformFaultDomain",
        "properties.extended.instanceView.powerState.code",
        "properties.extended.instanceView.powerState.level",
        "properties.extended.instanceView.powerState.displayStatus",
        "properties.extended.instanceView.computerName",
        "properties.extended.instanceView.osName",
        "properties.extended.instanceView.osVersion",
    ),
    "microsoft.compute/virtualmachinescalesets": (
        "properties.provisioningState",
        "sku.capacity",
    ),
    "microsoft.compute/virtualmachines/extensions": ("properties.provisioningState",),
    "microsoft.compute/disks": ("properties.diskState",),
    "microsoft.resourcehealth/availabilitystatuses": (
        "properties.availabilityState",
        "properties.occurredTime",
    ),
}
"""For each type, the leaves that most changes touch: held in columns of their own, so that a change updates them in place."""

DISTINCT_LEAVES = frozenset({"properties.extended.instanceView.computerName"})
"""The hot leaves of which nearly every row has its own value."""

FLEETING_LEAVES = frozenset({"properties.occurredTime"})
"""Those which nearly every change of their row changes, so that to compress them takes longer than to write what that would save."""

RESOURCE_TABLES = (
    "resources",
    "resourcecontainers",
    "computeresources",
    "resourcechanges",
    "resourcecontainerchanges",
    "healthresources",
    "healthresourcechanges",
    "patchassessmentresources",
    "patchinstallationresources",
    "advisorresources",
    "aksresources",
    "alertsmanagementresources",
    "appserviceresources",
    "authorizationresources",
    "awsresources",
    "azurebusinesscontinuityresources",
    "cdnresources",
    "chaosresources",
    "communitygalleryresources",
    "containerserviceeventresources",
    "desktopvirtualizationresources",
    "dnsresources",
    "edgeorderresources",
    "elasticsanresources",
    "extendedlocationresources",
    "extensibilityresources",
    "featureresources",
    "guestconfigurationresources",
    "insightsresources",
    "iotsecurityresources",
    "kubernetesconfigurationresources",
    "kustoresources",
    "maintenanceresources",
    "managedservicesresources",
    "migrateresources",
    "networkresources",
    "orbitalresources",
    "policyresources",
    "quotaresources",
    "recoveryservicesresources",
    "securityresources",
    "servicefabricresources",
    "servicehealthresources",
    "spotresources",
    "sqlresources",
    "storageresources",
    "supportresources",
    "tagsresources",
    "workloadmonitorresources",
)
"""Every table of the service. A table without rows here is empty, not unknown; names ignore case."""

CONTAINER_TYPES = frozenset(
    {
        "microsoft.management/managementgroups",
        "microsoft.resources/subscriptions",
        "microsoft.resources/subscriptions/resourcegroups",
    }
)
"""The types whose rows belong to `resourcecontainers`."""

_TABLE_OF_PREFIX = (
    ("microsoft.compute/virtualmachinescalesets/virtualmachines", "computeresources"),
    ("microsoft.resources/changes", "resourcechanges"),
    ("microsoft.resourcehealth/", "healthresources"),
    ("microsoft.authorization/locks", "authorizationresources"),
)


def table_of(resource_type: str) -> str:
    """The table that holds rows of a type (any case) when an imported row does not say so itself."""
    folded = resource_type.lower()
    if folded in CONTAINER_TYPES:
        return "resourcecontainers"
    return next((table for prefix, table in _TABLE_OF_PREFIX if folded.startswith(prefix)), DEFAULT_TABLE)
