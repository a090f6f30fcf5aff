"""What else is in the sample inventory's groups and subscriptions: networks, storage, vaults, sites, databases and more, two dozen types.

Each type is one declaration: how many there are for each owner, how they are named, what their documents hold.

Source: the properties as in the Azure REST reference, the "Get" of each type.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from kqlite.inventory.sample.batches import BLOCK, Kind, Rows, Spread, group_columns, ids
from kqlite.inventory.sample.columns import Draws, Form, Json, Maybe, joined, only
from kqlite.inventory.sample.containers import every_one
from kqlite.inventory.sample.fleets import DAYS, TENANT, Fleet, Group, Mode


@dataclass(frozen=True, slots=True)
class Made:
    """The resources of one type in one block: their owners, their names, and where their random columns come from."""

    owners: Spread
    name: pa.Array
    draws: Draws

    def group(self, value: Callable[[Group], str]) -> pa.Array:
        return self.owners.texts(lambda owner: value(_group_of(owner)))

    def from_name(self, before: str, after: str) -> pa.Array:
        """The name with a text on both sides."""
        return joined(before, self.name, after)


@dataclass(frozen=True, slots=True)
class Service:
    """A type of resources.

    owner: what they are made for, `subscription`, `group` or `availability set`; share: how many an owner has on average.
    prefix: what their names begin with.
    plain: whether a name may have letters and digits alone.
    numbered: whether the rest of the name is the number of the group, which then has one of them.
    columns: the dynamic columns but `tags`; strings: string columns that are not the group's.
    """

    type: str
    owner: str
    share: float
    prefix: str
    columns: Callable[[Made], Mapping[str, Form]]
    strings: Mapping[str, str | tuple[tuple[str, int], ...]] | None = None
    plain: bool = False
    numbered: bool = False


def kinds(fleets: Sequence[Fleet], seed: int) -> list[Kind]:
    """One kind for each service."""
    groups = list({fleet.group.number: fleet.group for fleet in fleets}.values())
    owners: dict[str, list[Any]] = {
        "subscription": list({group.subscription.number: group for group in reversed(groups)}.values()),
        "group": groups,
        "availability set": [fleet for fleet in fleets if fleet.mode is Mode.AVAILABILITY_SET],
    }
    return [_kind(service, owners[service.owner], seed) for service in SERVICES]


def _kind(service: Service, owners: Sequence[Any], seed: int) -> Kind:
    def make(start: int, end: int) -> Iterator[Rows]:
        yield _rows(service, owners[start:end], f"{seed}/{service.type}/{start // BLOCK}")

    return Kind("resources", service.type.lower(), len(owners), make)


def _group_of(owner: Group | Fleet) -> Group:
    return owner.group if isinstance(owner, Fleet) else owner


def _rows(service: Service, owners: Sequence[Any], key: str) -> Rows:
    whole = int(service.share)
    more = Draws(f"{key}/owners", len(owners)).chance("more", service.share - whole).to_pylist()
    made_for = [owner for owner, one_more in zip(owners, more, strict=True) for _ in range(whole + one_more)]
    spread, draws = every_one(made_for), Draws(key, len(made_for))
    name = _names(service, spread, draws)
    made = Made(spread, name, draws)
    strings = {text: draws.choice(text, value) if isinstance(value, tuple) else value for text, value in (service.strings or {}).items()}
    tags = {
        "env": made.group(lambda group: group.environment),
        "application": only(draws.chance("application", 0.6), made.group(lambda group: group.application)),
        "cost center": only(draws.chance("cost center", 0.4), draws.hex("cost", 4)),
    }
    return Rows(
        len(made_for),
        {"id": _ids(service, spread, draws, name), "name": name} | group_columns(spread, _group_of) | strings,
        dict(service.columns(made)) | {"tags": Maybe(draws.chance("tags", 0.75), tags)},
    )


def _ids(service: Service, spread: Spread, draws: Draws, name: pa.Array) -> pa.Array:
    provider, *inner = service.type.rsplit("/", service.type.count("/") - 1)
    # A resource inside another one: that one is the group's numbered one.
    for child in inner:
        name = joined(spread.texts(lambda group: f"sql-{group.number}"), f"/{child}/", name)
    return ids(draws, "id", spread, _group_of, provider, name)


def _names(service: Service, spread: Spread, draws: Draws) -> pa.Array:
    if service.owner == "availability set":
        return spread.texts(lambda fleet: f"{fleet.name}-avset")
    if service.numbered:
        return spread.texts(lambda group: f"{service.prefix}-{group.number}")
    if service.plain:
        return joined(service.prefix, draws.hex("name", 12))
    return joined(
        spread.texts(lambda owner: f"{service.prefix}-{_group_of(owner).application}-{_group_of(owner).number}-"), draws.hex("name", 6)
    )


def _sku(*options: tuple[str, int]) -> Callable[[Made], dict[str, Form]]:
    return lambda made: {"name": made.draws.choice("sku", options), "tier": "Standard"}


def _provisioned(**members: Form) -> dict[str, Form]:
    return {"provisioningState": "Succeeded"} | members


def _security_group(made: Made) -> dict[str, Form]:
    rule = {
        "priority": made.draws.choice("priority", ((100, 6), (110, 3), (4096, 1))),
        "direction": "Inbound",
        "access": made.draws.choice("access", (("Allow", 8), ("Deny", 2))),
        "protocol": made.draws.choice("protocol", (("Tcp", 8), ("*", 2))),
        "sourceAddressPrefix": made.draws.choice("source", (("VirtualNetwork", 6), ("Internet", 2), ("*", 2))),
        "sourcePortRange": "*",
        "destinationAddressPrefix": "*",
        "destinationPortRange": made.draws.choice("port", (("443", 6), ("22", 2), ("3389", 1), ("*", 1))),
    }
    return {"properties": _provisioned(resourceGuid=made.draws.guid("guid"), securityRules=[{"name": "first", "properties": rule}])}


def _virtual_network(made: Made) -> dict[str, Form]:
    number = made.draws.below("network", 256).cast(pa.string())
    subnet = {
        "name": "default",
        "id": made.owners.texts(
            lambda group: f"{group.id}/providers/Microsoft.Network/virtualNetworks/vnet-{group.number}/subnets/default"
        ),
        "properties": {"addressPrefix": joined("10.", number, ".0.0/20")},
    }
    space = {"addressPrefixes": [joined("10.", number, ".0.0/16")]}
    return {
        "properties": _provisioned(
            resourceGuid=made.draws.guid("guid"), addressSpace=space, subnets=[subnet], enableDdosProtection=made.draws.chance("ddos", 0.05)
        )
    }


def _storage_account(made: Made) -> dict[str, Form]:
    draws = made.draws
    name = draws.choice("sku", (("Standard_LRS", 5), ("Standard_GRS", 3), ("Premium_LRS", 1), ("Standard_ZRS", 1)))
    public = draws.chance("public", 0.3)
    return {
        "sku": {"name": name, "tier": pc.if_else(pc.starts_with(name, "Premium"), "Premium", "Standard")},
        "properties": _provisioned(
            creationTime=draws.moment("created", DAYS),
            accessTier=only(draws.chance("tiered", 0.8), draws.choice("tier", (("Hot", 8), ("Cool", 2)))),
            supportsHttpsTrafficOnly=draws.chance("https", 0.95),
            minimumTlsVersion=draws.choice("tls", (("TLS1_2", 8), ("TLS1_0", 2))),
            allowBlobPublicAccess=public,
            primaryEndpoints={
                kind: made.from_name("https://", f".{kind}.core.windows.net/") for kind in ("blob", "file", "queue", "table")
            },
            networkAcls={
                "bypass": "AzureServices",
                "defaultAction": pc.if_else(public, "Allow", "Deny"),
                "ipRules": [],
                "virtualNetworkRules": [],
            },
        ),
    }


def _vault(made: Made) -> dict[str, Form]:
    draws = made.draws
    # One document in a hundred has a text where the others have a number.
    days = pc.if_else(draws.chance("odd days", 0.01), '"90"', draws.choice("days", (("90", 7), ("7", 3))))
    members = {
        "sku": {"family": "A", "name": "standard"},
        "tenantId": TENANT,
        "vaultUri": made.from_name("https://", ".vault.azure.net/"),
        "enableSoftDelete": True,
        "softDeleteRetentionInDays": Json(days),
        "enablePurgeProtection": only(draws.chance("purge", 0.6), pa.repeat(True, draws.rows)),
        "enableRbacAuthorization": draws.chance("rbac", 0.6),
        "accessPolicies": [{"objectId": draws.guid("object"), "permissions": {"secrets": ["get"]}}],
    }
    return {"properties": members}


def _site(made: Made) -> dict[str, Form]:
    host = made.from_name("", ".azurewebsites.net")
    members = {
        "state": made.draws.choice("state", (("Running", 9), ("Stopped", 1))),
        "enabled": True,
        "httpsOnly": made.draws.chance("https", 0.8),
        "defaultHostName": host,
        "hostNames": [host],
        "serverFarmId": made.group(lambda group: f"{group.id}/providers/Microsoft.Web/serverfarms/plan-{group.number}"),
        "siteConfig": {
            "linuxFxVersion": made.draws.choice("stack", (("NODE|20-lts", 4), ("PYTHON|3.12", 3), ("", 3))),
            "minTlsVersion": "1.2",
        },
        "lastModifiedTimeUtc": made.draws.moment("modified", DAYS[-200:]),
    }
    return {
        "properties": members,
        "identity": Maybe(
            made.draws.chance("identity", 0.4), {"type": "SystemAssigned", "principalId": made.draws.guid("principal"), "tenantId": TENANT}
        ),
    }


def _database(made: Made) -> dict[str, Form]:
    members = {
        "status": "Online",
        "collation": "SQL_Latin1_General_CP1_CI_AS",
        "maxSizeBytes": made.draws.choice("size", ((34_359_738_368, 6), (268_435_456_000, 4))),
        "creationDate": made.draws.moment("created", DAYS),
        "zoneRedundant": made.draws.chance("redundant", 0.2),
        "databaseId": made.draws.guid("id"),
    }
    return {
        "sku": {
            "name": "GP_Gen5",
            "tier": "GeneralPurpose",
            "family": "Gen5",
            "capacity": made.draws.choice("cores", ((2, 5), (4, 3), (8, 2))),
        },
        "properties": members,
    }


def _cluster(made: Made) -> dict[str, Form]:
    pool = {
        "name": "system",
        "count": made.draws.choice("count", ((3, 6), (5, 3), (20, 1))),
        "vmSize": "Standard_D4s_v5",
        "mode": "System",
        "powerState": {"code": "Running"},
    }
    version = made.draws.choice("version", (("1.29", 3), ("1.30", 5), ("1.31", 2)))
    members = _provisioned(powerState={"code": "Running"}, kubernetesVersion=version, enableRBAC=True, agentPoolProfiles=[pool])
    return {"sku": {"name": "Base", "tier": "Free"}, "properties": members}


def _snapshot(made: Made) -> dict[str, Form]:
    members = _provisioned(
        diskSizeGB=made.draws.choice("size", ((30, 5), (128, 5))),
        incremental=made.draws.chance("incremental", 0.7),
        timeCreated=made.draws.moment("created", DAYS),
    )
    return {"sku": _sku(("Standard_LRS", 5), ("Standard_ZRS", 5))(made), "properties": members}


def _availability_set(made: Made) -> dict[str, Form]:
    return {"sku": {"name": "Aligned"}, "properties": {"platformFaultDomainCount": 2, "platformUpdateDomainCount": 5}}


def _endpoint(made: Made) -> dict[str, Form]:
    state = {"status": made.draws.choice("status", (("Approved", 9), ("Pending", 1))), "description": "", "actionsRequired": ""}
    connection = {"name": "blob", "properties": {"groupIds": ["blob"], "privateLinkServiceConnectionState": state}}
    return {
        "properties": _provisioned(
            subnet={"id": made.group(lambda group: f"{group.network}/subnets/default")}, privateLinkServiceConnections=[connection]
        )
    }


def _balancer(made: Made) -> dict[str, Form]:
    rule = {
        "protocol": "Tcp",
        "frontendPort": made.draws.choice("port", ((443, 7), (80, 3))),
        "backendPort": 8443,
        "idleTimeoutInMinutes": 4,
        "enableFloatingIP": False,
    }
    probe = {"name": "health", "properties": {"protocol": "Https", "port": 8443, "requestPath": "/healthz", "intervalInSeconds": 5}}
    return {
        "sku": {"name": made.draws.choice("sku", (("Standard", 8), ("Basic", 2))), "tier": "Regional"},
        "properties": _provisioned(
            resourceGuid=made.draws.guid("guid"), loadBalancingRules=[{"name": "https", "properties": rule}], probes=[probe]
        ),
    }


SERVICES = (
    Service("Microsoft.Compute/availabilitySets", "availability set", 1, "", _availability_set),
    Service("Microsoft.Compute/snapshots", "group", 0.8, "snap", _snapshot),
    Service("Microsoft.Compute/images", "subscription", 3, "img", lambda made: {"properties": _provisioned(hyperVGeneration="V2")}),
    Service(
        "Microsoft.Compute/proximityPlacementGroups",
        "group",
        0.05,
        "ppg",
        lambda made: {"properties": {"proximityPlacementGroupType": "Standard"}},
    ),
    Service("Microsoft.Network/virtualNetworks", "group", 1, "vnet", _virtual_network, numbered=True),
    Service("Microsoft.Network/networkSecurityGroups", "group", 1, "nsg", _security_group, numbered=True),
    Service("Microsoft.Network/loadBalancers", "group", 0.5, "lb", _balancer),
    Service("Microsoft.Network/privateEndpoints", "group", 0.7, "pe", _endpoint),
    Service(
        "Microsoft.Network/routeTables",
        "group",
        0.2,
        "rt",
        lambda made: {"properties": _provisioned(disableBgpRoutePropagation=made.draws.chance("bgp", 0.5), routes=[])},
    ),
    Service(
        "Microsoft.Network/privateDnsZones",
        "subscription",
        2,
        "privatelink",
        lambda made: {"properties": _provisioned(numberOfRecordSets=made.draws.choice("records", ((2, 5), (14, 5))))},
        {"location": "global"},
    ),
    Service(
        "Microsoft.Storage/storageAccounts",
        "group",
        1.4,
        "st",
        _storage_account,
        {"kind": (("StorageV2", 8), ("Storage", 1), ("FileStorage", 1)), "apiVersion": "2023-05-01"},
        plain=True,
    ),
    Service("Microsoft.KeyVault/vaults", "group", 0.6, "kv", _vault, {"apiVersion": "2023-07-01"}, plain=True),
    Service("Microsoft.Web/sites", "group", 0.5, "app", _site, {"kind": (("app,linux", 6), ("functionapp,linux", 3), ("app", 1))}),
    Service(
        "Microsoft.Web/serverFarms",
        "group",
        1,
        "plan",
        lambda made: {
            "sku": _sku(("P1v3", 5), ("B1", 5))(made),
            "properties": {"status": "Ready", "numberOfSites": made.draws.choice("sites", ((1, 6), (4, 4)))},
        },
        {"kind": "linux"},
        numbered=True,
    ),
    Service(
        "Microsoft.Sql/servers",
        "group",
        1,
        "sql",
        lambda made: {
            "properties": {"version": "12.0", "state": "Ready", "fullyQualifiedDomainName": made.from_name("", ".database.windows.net")}
        },
        {"kind": "v12.0"},
        numbered=True,
    ),
    Service("Microsoft.Sql/servers/databases", "group", 0.4, "db", _database, {"kind": "v12.0,user,vcore"}),
    Service(
        "Microsoft.DocumentDB/databaseAccounts",
        "group",
        0.08,
        "cosmos",
        lambda made: {
            "properties": _provisioned(
                documentEndpoint=made.from_name("https://", ".documents.azure.com:443/"), enableAutomaticFailover=True
            )
        },
        {"kind": "GlobalDocumentDB"},
    ),
    Service(
        "Microsoft.Cache/Redis",
        "group",
        0.1,
        "redis",
        lambda made: {
            "properties": _provisioned(redisVersion="6.0", sslPort=6380, hostName=made.from_name("", ".redis.cache.windows.net"))
        },
    ),
    Service("Microsoft.ContainerService/managedClusters", "group", 0.12, "aks", _cluster),
    Service(
        "Microsoft.ContainerRegistry/registries",
        "subscription",
        1,
        "cr",
        lambda made: {
            "sku": _sku(("Premium", 1), ("Basic", 1))(made),
            "properties": _provisioned(loginServer=made.from_name("", ".azurecr.io")),
        },
        plain=True,
    ),
    Service(
        "Microsoft.ManagedIdentity/userAssignedIdentities",
        "group",
        0.9,
        "id",
        lambda made: {
            "properties": {"tenantId": TENANT, "principalId": made.draws.guid("principal"), "clientId": made.draws.guid("client")}
        },
    ),
    Service(
        "Microsoft.OperationalInsights/workspaces",
        "subscription",
        1.5,
        "log",
        lambda made: {
            "properties": _provisioned(
                customerId=made.draws.guid("customer"), retentionInDays=made.draws.choice("days", ((30, 7), (90, 3)))
            )
        },
    ),
    Service(
        "Microsoft.Insights/components",
        "group",
        0.4,
        "appi",
        lambda made: {"properties": {"Application_Type": "web", "InstrumentationKey": made.draws.guid("key"), "RetentionInDays": 90}},
        {"kind": "web"},
    ),
    Service(
        "Microsoft.Insights/actionGroups",
        "subscription",
        1,
        "ag",
        lambda made: {"properties": {"enabled": True, "groupShortName": "oncall"}},
        {"location": "global"},
    ),
    Service(
        "Microsoft.RecoveryServices/vaults",
        "subscription",
        1.2,
        "rsv",
        lambda made: {"sku": {"name": "RS0", "tier": "Standard"}, "properties": _provisioned()},
    ),
    Service(
        "Microsoft.Automation/automationAccounts",
        "subscription",
        0.7,
        "aa",
        lambda made: {"properties": {"state": "Ok", "creationTime": made.draws.moment("created", DAYS)}},
    ),
    Service(
        "Microsoft.Logic/workflows",
        "group",
        0.1,
        "wf",
        lambda made: {"properties": _provisioned(state=made.draws.choice("state", (("Enabled", 7), ("Disabled", 3))))},
    ),
)
"""Every type but those of machines, scale sets and containers."""
