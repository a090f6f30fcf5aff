"""What Azure Resource Health says of a machine: one row of `healthresources` for each, which follows from the machine's state.

The platform tells when a machine's state last changed, and not what its health was before: so a row has no `previousAvailabilityState`,
and `occurredTime` moves whenever the provisioning state does.

Source: Azure docs, "Monitor virtual machine availability with Azure Resource Graph".
"""

from __future__ import annotations

from kqlite.orchestration.events import Event
from kqlite.orchestration.model import Power, Provisioning, VmState
from kqlite.snapshotter.resource_rows import TENANT, Row, scope_of, timestamp

TABLE = "healthresources"
TYPE = "microsoft.resourcehealth/availabilitystatuses"
SUFFIX = "/providers/Microsoft.ResourceHealth/availabilityStatuses/current"
FIELDS = frozenset({"power", "provisioning", "changed"})
"""The fields of a machine's state that the row shows."""


def availability(state: VmState) -> str:
    """`availabilityState`: a machine is available once it runs and is provisioned, and unknown where nobody knows its power state."""
    if state.power in (Power.NONE, Power.UNKNOWN):
        return "Unknown"
    created = state.provisioning != Provisioning.CREATING
    return "Available" if state.power == Power.RUNNING and created else "Unavailable"


def health_row(event: Event, state: VmState) -> Row:
    """The row of a machine in the state `state`."""
    scope = scope_of(event.scope)
    return {
        "id": f"{event.id}{SUFFIX}",
        "name": "current",
        "type": TYPE,
        "tenantId": TENANT,
        "location": state.location,
        "resourceGroup": scope.group,
        "subscriptionId": scope.subscription,
        "properties": {
            "targetResourceId": event.id,
            "targetResourceType": event.type.lower(),
            "availabilityState": availability(state),
            "occurredTime": timestamp(state.changed),
        },
    }
