"""The questions of `queries.py`: each in KQL, and in DuckDB SQL as written by hand over the tables of the store.

The SQL was written from the question and from what `DESCRIBE` says of the tables, each form timed against others and the fastest kept. It
reads the one table of the type that is asked for, struct fields in place, and makes text of documents after the limit. It has no
knowledge of the rows beyond the shape that the tables show.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

Sources = Sequence[str]
"""The native tables that make up `resources`."""

MACHINES = "resources/microsoft.compute/virtualmachines"
SCALE_SETS = "resources/microsoft.compute/virtualmachinescalesets"
EXTENSIONS = "resources/microsoft.compute/virtualmachines/extensions"
DISKS = "resources/microsoft.compute/disks"
INTERFACES = "resources/microsoft.network/networkinterfaces"
SHARED = "resources"
"""The table of the types with few rows, whose documents are JSON."""

NEEDLE = "b965c"
"""Part of some ids and names. Having letters and no punctuation, it is in no number, in no member's name and across no two values."""


@dataclass(frozen=True)
class Question:
    """One question in both languages.

    sql: the hand-written SQL, for the tables that there are.
    ordered_by: the columns by which the answer is sorted; nothing where its order is free.
    documents: columns of the answer that hold JSON text on both sides. values: those that hold it on KQL's side, and plain text by hand.
    any_rows: any rows of the inventory are a right answer, if they are as many as asked for.
    """

    name: str
    asks: str
    kql: str
    sql: Callable[[Sources], str]
    ordered_by: tuple[str, ...] = ()
    documents: tuple[str, ...] = ()
    values: tuple[str, ...] = ()
    any_rows: int | None = None


# How the hot leaves that are inside `extended` come back to where the documents have them. As they were imported no document has a null
# member, and the one struct for all machines has dozens.
MACHINE_DOCUMENT = """json_strip_nulls(to_json(struct_update(properties,
        provisioningState := _hot_properties_provisioningState,
        platformFaultDomain := _hot_properties_platformFaultDomain,
        extended := CASE WHEN properties.extended IS NOT NULL THEN struct_update(properties.extended,
            instanceView := CASE WHEN properties.extended.instanceView IS NOT NULL THEN struct_update(properties.extended.instanceView,
                computerName := _hot_properties_extended_instanceView_computerName,
                osName := _hot_properties_extended_instanceView_osName,
                osVersion := _hot_properties_extended_instanceView_osVersion,
                powerState := CASE WHEN properties.extended.instanceView.powerState IS NOT NULL
                    THEN struct_pack(code := _hot_properties_extended_instanceView_powerState_code,
                        level := _hot_properties_extended_instanceView_powerState_level,
                        displayStatus := _hot_properties_extended_instanceView_powerState_displayStatus)
                    END)
                END)
            END)))"""

_DOCUMENTS = {
    MACHINES: MACHINE_DOCUMENT,
    SCALE_SETS: "json_strip_nulls(to_json(struct_update(properties, provisioningState := _hot_properties_provisioningState)))",
    EXTENSIONS: "json_strip_nulls(to_json(struct_update(properties, provisioningState := _hot_properties_provisioningState)))",
    DISKS: "json_strip_nulls(to_json(struct_update(properties, diskState := _hot_properties_diskState)))",
    SHARED: "properties",
}

_SEARCHED_STRINGS = (
    "vmId",
    "timeCreated",
    "hardwareProfile.vmSize",
    "extended.instanceView.hyperVGeneration",
    "virtualMachineScaleSet.id",
    "virtualMachineScaleSet.resourceGroup",
    "availabilitySet.id",
    "osProfile.computerName",
    "osProfile.adminUsername",
    "osProfile.secrets",
    "osProfile.linuxConfiguration.patchSettings.patchMode",
    "osProfile.linuxConfiguration.patchSettings.assessmentMode",
    "osProfile.windowsConfiguration.patchSettings.patchMode",
    "osProfile.windowsConfiguration.patchSettings.assessmentMode",
    "storageProfile.diskControllerType",
    "storageProfile.imageReference.publisher",
    "storageProfile.imageReference.offer",
    "storageProfile.imageReference.sku",
    "storageProfile.imageReference.version",
    "storageProfile.imageReference.exactVersion",
    "storageProfile.osDisk.name",
    "storageProfile.osDisk.osType",
    "storageProfile.osDisk.caching",
    "storageProfile.osDisk.createOption",
    "storageProfile.osDisk.deleteOption",
    "storageProfile.osDisk.managedDisk.id",
    "storageProfile.osDisk.managedDisk.resourceGroup",
    "storageProfile.osDisk.managedDisk.storageAccountType",
    "priority",
    "evictionPolicy",
    "billingProfile.maxPrice",
    "licenseType",
    "diagnosticsProfile.bootDiagnostics.storageUri",
    "securityProfile.securityType",
    "userData",
)
_SEARCHED_HOT = (
    "_hot_properties_provisioningState",
    "_hot_properties_extended_instanceView_powerState_code",
    "_hot_properties_extended_instanceView_powerState_level",
    "_hot_properties_extended_instanceView_powerState_displayStatus",
    "_hot_properties_extended_instanceView_computerName",
    "_hot_properties_extended_instanceView_osName",
    "_hot_properties_extended_instanceView_osVersion",
)
_SEARCHED_LISTS = (
    ("networkProfile.networkInterfaces", ("id", "resourceGroup", "properties.deleteOption")),
    ("storageProfile.dataDisks", ("name", "caching", "createOption", "managedDisk.id", "managedDisk.storageAccountType")),
    ("osProfile.linuxConfiguration.ssh.publicKeys", ("path", "keyData")),
)


def _reference(_: Sources) -> str:
    return f"""
        SELECT name, resourceGroup, location, _hot_properties_extended_instanceView_powerState_code AS powerState
        FROM "{MACHINES}"
        WHERE properties.virtualMachineScaleSet.id ILIKE '%demo%' OR properties.virtualMachineScaleSet.resourceGroup ILIKE '%demo%'
        ORDER BY resourceGroup DESC, name DESC"""


def _power_states(_: Sources) -> str:
    # Grouping as it is held is several times faster than by an expression; a machine without the member counts as one with ''.
    return f"""
        SELECT coalesce(state, '') AS state, sum(machines)::BIGINT AS machines
        FROM (
            SELECT _hot_properties_extended_instanceView_powerState_code AS state, count(*) AS machines FROM "{MACHINES}" GROUP BY ALL
        )
        GROUP BY ALL"""


def _tag(_: Sources) -> str:
    return f"""
        SELECT name, resourceGroup, location, coalesce(tags.application, '') AS application
        FROM "{MACHINES}"
        WHERE lower(tags.env) = 'prod'"""


def _contains(_: Sources) -> str:
    found = [_like(f"properties.{path}") for path in _SEARCHED_STRINGS] + [_like(column) for column in _SEARCHED_HOT]
    for path, members in _SEARCHED_LISTS:
        in_element = " OR ".join(_like(f"element.{member}") for member in members)
        found.append(f"len(list_filter(properties.{path}, lambda element: {in_element})) > 0")
    return f'SELECT name, resourceGroup FROM "{MACHINES}" WHERE {" OR ".join(found)}'


def _like(value: str) -> str:
    return f"{value} ILIKE '%{NEEDLE}%'"


def _top(_: Sources) -> str:
    return f"""
        SELECT name, resourceGroup, {MACHINE_DOCUMENT} AS properties
        FROM (FROM "{MACHINES}" ORDER BY name DESC LIMIT 1000)
        ORDER BY name DESC"""


def _interfaces(_: Sources) -> str:
    # `_key` is the id, case folded.
    return f"""
        SELECT machine, resourceGroup, interface, coalesce(address, '') AS address
        FROM (
            SELECT name AS machine, resourceGroup, lower(unnest(properties.networkProfile.networkInterfaces).id) AS key FROM "{MACHINES}"
        ) AS machines
        JOIN (
            SELECT _key AS key, name AS interface, properties.ipConfigurations[1].properties.privateIPAddress AS address
            FROM "{INTERFACES}"
        ) AS interfaces USING (key)"""


def _any_types(sources: Sources) -> str:
    branches = (f"(SELECT {_row(source)} LIMIT 1000)" for source in sources)
    return " UNION ALL ".join(branches) + " LIMIT 1000"


def rows_of_ids(sources: Sources) -> str:
    """The rows whose ids are in `$ids`, of all types: what an answer of any rows is held against."""
    return " UNION ALL ".join(f"SELECT {_row(source)} WHERE id IN (SELECT unnest($ids))" for source in sources)


def _row(source: str) -> str:
    return f'id, type, {_DOCUMENTS.get(source, "json_strip_nulls(to_json(properties))")} AS properties FROM "{source}"'


QUESTIONS = (
    Question(
        "reference",
        "the scale-set machines whose set is called demo, sorted",
        """
        | where type =~ 'Microsoft.Compute/virtualMachines'
        | where properties.virtualMachineScaleSet contains "demo"
        | extend powerState = properties.extended.instanceView.powerState.code
        | project name, resourceGroup, location, powerState
        | order by resourceGroup desc, name desc
        """,
        _reference,
        ordered_by=("resourceGroup", "name"),
        values=("powerState",),
    ),
    Question(
        "power-states",
        "how many machines there are by power state",
        """
        resources
        | where type =~ 'Microsoft.Compute/virtualMachines'
        | summarize machines = count() by state = tostring(properties.extended.instanceView.powerState.code)
        """,
        _power_states,
    ),
    Question(
        "tag",
        "the machines with a tag, in any case",
        """
        resources
        | where type =~ 'Microsoft.Compute/virtualMachines' and tags.env =~ 'prod'
        | project name, resourceGroup, location, application = tostring(tags.application)
        """,
        _tag,
    ),
    Question(
        "contains",
        "the machines whose properties contain a text, wherever it is",
        f"""
        resources
        | where type =~ 'Microsoft.Compute/virtualMachines' and properties contains '{NEEDLE}'
        | project name, resourceGroup
        """,
        _contains,
    ),
    Question(
        "top",
        "the first 1000 machines by name, with their whole properties",
        """
        resources
        | where type =~ 'Microsoft.Compute/virtualMachines'
        | project name, resourceGroup, properties
        | top 1000 by name
        """,
        _top,
        ordered_by=("name",),
        documents=("properties",),
    ),
    Question(
        "interfaces",
        "the network interfaces of each machine, with their addresses",
        """
        resources
        | where type =~ 'Microsoft.Compute/virtualMachines'
        | mv-expand interface = properties.networkProfile.networkInterfaces
        | project machine = name, resourceGroup, key = tolower(tostring(interface.id))
        | join kind=inner (
            resources
            | where type =~ 'Microsoft.Network/networkInterfaces'
            | project key = tolower(id), interface = name, address = tostring(properties.ipConfigurations[0].properties.privateIPAddress)
          ) on key
        | project machine, resourceGroup, interface, address
        """,
        _interfaces,
    ),
    Question(
        "any-types",
        "1000 rows of whatever type, with their whole properties",
        """
        resources
        | take 1000
        | project id, type, properties
        """,
        _any_types,
        documents=("properties",),
        any_rows=1000,
    ),
)
