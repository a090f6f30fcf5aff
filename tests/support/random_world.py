"""A simulation to which random requests, faults and time steps happen, and what must hold after each of them."""

import random
from collections.abc import Mapping, Sequence
from typing import Any

from kqlite.orchestration.arm_documents import extensions_of
from kqlite.orchestration.attachments import all_of
from kqlite.orchestration.events import Kind
from kqlite.orchestration.fleet import Fleet
from kqlite.orchestration.log import every_event
from kqlite.orchestration.model import Provisioning, Type
from kqlite.simulation import Simulation

SUB = "/subscriptions/00000000-0000-0000-0000-000000000001"

RG = f"{SUB}/resourceGroups/rg"

SETS = f"{RG}/providers/Microsoft.Compute/virtualMachineScaleSets"

VMS = f"{RG}/providers/Microsoft.Compute/virtualMachines"

API = "?api-version=2023-09-01"

NAMES = ("a", "b")

ACTIONS = ("start", "powerOff", "deallocate", "restart", "redeploy", "reimage", "reapply", "simulateEviction", "generalize")

FAULTS: tuple[dict[str, Any], ...] = (
    {"fault": "allocation", "region": "eastus", "fraction": 0.5, "duration": "10m"},
    {"fault": "os_provisioning", "probability": 0.5, "duration": "10m", "answer": "error"},
    {"fault": "extension", "probability": 0.5, "duration": "10m"},
    {"fault": "app_sick", "set": "a", "fraction": 0.5, "duration": "90m"},
    {"fault": "fault_domain_outage", "set": "a", "domain": 0},
    {"fault": "rack_outage", "set": "b"},
    {"fault": "host_failure", "count": 1},
    {"fault": "maintenance", "set": "a", "type": "reboot"},
    {"fault": "spot_eviction", "region": "eastus", "fraction": 0.5},
    {"fault": "api_error", "code": "Conflict", "probability": 0.2, "duration": "5m"},
    {"fault": "quota", "region": "eastus", "limit": 40, "duration": "1h"},
)

LIMITS = (1, 5)

MIXES: tuple[dict[str, Any], ...] = (
    {},
    {"priorityMixPolicy": {"baseRegularPriorityCount": 1, "regularPriorityPercentageAboveBase": 50}},
    {"spotRestorePolicy": {"enabled": True, "restoreTimeout": "PT1H"}},
)

WEIGHTS = {
    "set": 2,
    "scale": 4,
    "vm": 3,
    "act": 4,
    "delete-vm": 3,
    "delete-set": 1,
    "advance": 10,
    "fault": 1,
    "tags": 1,
    "extension": 1,
    "autoscale": 0.5,
    "metric": 1,
    "group": 0.1,
    "protect": 0.5,
    "delete-some": 0.3,
}

IMMUTABLE = {
    Type.SCALE_SET: ("name", "uid", "location", "zones", "domains", "created"),
    Type.VM: ("name", "uid", "location", "zone", "set", "created", "domain", "domain_asked"),
}

MOVES = {"set", "domain", "domain_asked"}  # of a VM that is attached or detached, which the later service allows


class World:
    """A simulation, what is done to it, and what must hold after each step."""

    weights: Mapping[str, float] = WEIGHTS
    faults: Sequence[Mapping[str, Any]] = FAULTS

    def __init__(self, seed: int) -> None:
        self.is_later = seed % 3 == 2
        self.simulation = Simulation(seed=seed, features="all", profile="ga" if self.is_later else "preview-2021")
        self.simulation.create_group()
        self.requests: list[tuple[str, Any]] = []

    def arm(self, method: str, path: str, body: Any = None, query: str = "") -> int:
        before = self.simulation.log.last
        status = self.simulation.arm(method, path + API + query, body).status
        if 400 <= status < 500 and not self.simulation.plane.fleet.faults.get("api_error"):
            assert self.simulation.log.last == before, "a refused request left something in the log"
        return status

    def do(self, draw: random.Random) -> None:
        kind = draw.choices(tuple(self.weights), tuple(self.weights.values()))[0]
        name = draw.choice(NAMES)
        if kind == "set":
            repairs = {"automaticRepairsPolicy": {"enabled": True, "gracePeriod": "PT30M"}} if draw.random() < 0.5 else {}
            body = self.simulation.set_body(
                name, capacity=draw.randrange(6), domains=draw.randrange(1, 4), health=draw.random() < 0.6, **repairs
            )
            if draw.random() < 0.3:
                notice = {"terminateNotificationProfile": {"enable": True, "notBeforeTimeout": "PT5M"}}
                body["properties"]["virtualMachineProfile"]["scheduledEventsProfile"] = notice
            if draw.random() < 0.3:
                ip = {
                    "name": "ip",
                    "properties": {"publicIPAddressConfiguration": {"name": "pip", "properties": {"deleteOption": "Detach"}}},
                }
                nic = {"name": "nic", "properties": {"deleteOption": draw.choice(("Delete", "Detach")), "ipConfigurations": [ip]}}
                body["properties"]["virtualMachineProfile"]["networkProfile"] = {"networkInterfaceConfigurations": [nic]}
            if self.is_later and draw.random() < 0.5:
                body["properties"]["virtualMachineProfile"] |= {"priority": "Spot", "evictionPolicy": draw.choice(("Delete", "Deallocate"))}
                body["properties"]["virtualMachineProfile"].pop("scheduledEventsProfile", None)
                body["properties"] |= draw.choice(MIXES)
            self.arm("PUT", f"{SETS}/{name}", body)
        elif kind == "scale":
            self.arm("PATCH", f"{SETS}/{name}", {"sku": {"capacity": draw.randrange(12)}})
        elif kind == "vm":
            spot = {"priority": "Spot", "evictionPolicy": draw.choice(("Delete", "Deallocate"))} if draw.random() < 0.4 else {}
            owner, name = draw.choice((None, *NAMES)), f"vm{draw.randrange(4)}"
            self.arm("PUT", f"{VMS}/{name}", self.simulation.vm_body(name, scale_set=owner, **spot))
        elif kind in ("act", "delete-vm", "tags", "extension"):
            self.on_vm(kind, draw)
        elif kind == "delete-set":
            self.arm("DELETE", f"{SETS}/{name}", query=draw.choice(("", "&forceDeletion=true")))
        elif kind == "delete-some":
            self.arm("POST", f"{SETS}/{name}/delete", {"instanceIds": self.some(name, draw)})
        elif kind == "protect":
            policy = {draw.choice(("protectFromScaleIn", "protectFromScaleSetActions")): draw.random() < 0.5}
            for each in self.some(name, draw)[:1]:
                self.arm("PUT", f"{SETS}/{name}/virtualMachines/{each}", {"properties": {"protectionPolicy": policy}})
        elif kind == "autoscale":
            self.autoscale(name)
        elif kind == "metric":
            known = self.simulation.arm("GET", f"{SETS}/{name}{API}").status == 200
            if known:
                self.simulation.feed_metric(f"{SETS}/{name}", "Percentage CPU", draw.randrange(100))
        elif kind == "group":
            self.arm("DELETE", RG)
            self.simulation.advance("30m")
            self.arm("PUT", RG, {"location": "eastus"})
        elif kind == "fault":
            self.simulation.inject(draw.choice(self.faults))
        else:
            self.simulation.advance(draw.choice((0, 1, 10, 60, 300, 3600)))

    def some(self, name: str, draw: random.Random) -> list[str]:
        """Some of a set's members."""
        group = self.simulation.plane.fleet.container(RG)
        held = sorted(group.members[name].live) if group is not None and name in group.members else []
        return draw.sample(held, min(len(held), draw.randrange(4)))

    def autoscale(self, name: str) -> None:
        rules = [
            {
                "metricTrigger": {
                    "metricName": "Percentage CPU",
                    "metricResourceUri": f"{SETS}/{name}",
                    "statistic": "Average",
                    "timeAggregation": "Average",
                    "timeGrain": "PT1M",
                    "timeWindow": "PT5M",
                    "operator": operator,
                    "threshold": threshold,
                },
                "scaleAction": {"direction": direction, "type": "ChangeCount", "value": "2", "cooldown": "PT10M"},
            }
            for operator, threshold, direction in (("GreaterThan", 60, "Increase"), ("LessThan", 40, "Decrease"))
        ]
        limits = {"minimum": str(LIMITS[0]), "maximum": str(LIMITS[1]), "default": "2"}
        properties = {
            "enabled": True,
            "targetResourceUri": f"{SETS}/{name}",
            "profiles": [{"name": "p", "capacity": limits, "rules": rules}],
        }
        self.arm("PUT", f"{RG}/providers/Microsoft.Insights/autoscaleSettings/{name}", {"location": "eastus", "properties": properties})

    def on_vm(self, kind: str, draw: random.Random) -> None:
        group = self.simulation.plane.fleet.container(RG)
        names = sorted(group.of(Type.VM)) if group is not None else []
        if not names:
            return
        path = f"{VMS}/{draw.choice(names)}"
        if kind == "act":
            self.arm("POST", f"{path}/{draw.choice(ACTIONS)}")
        elif kind == "delete-vm":
            self.arm("DELETE", path)
        elif kind == "tags":
            disks = [{"lun": 0, "createOption": "Empty", "diskSizeGB": 8}] if draw.random() < 0.5 else []
            self.arm("PATCH", path, {"tags": {"n": str(draw.randrange(9))}, "properties": {"storageProfile": {"dataDisks": disks}}})
        else:
            handler = {"publisher": "p", "type": "t", "typeHandlerVersion": "1.0"}
            self.arm(draw.choice(("PUT", "DELETE")), f"{path}/extensions/x", {"location": "eastus", "properties": handler})

    # What must hold

    def check(self) -> None:
        fleet = self.simulation.plane.fleet
        group = fleet.container(RG)
        if group is None:
            return
        for key, scale_set in group.of(Type.SCALE_SET).items():
            membership = fleet.membership(group, key)
            live = list(fleet.members(group, key))
            assert len(live) <= 1000
            counts = [0] * scale_set.domains
            for member in live:
                counts[member.domain] += 1
            assert counts == membership.domains, "counters drifted"
            assert membership.busy == sum(vm.work == "set" for vm in self.of(group, key))
            assert membership.repairing == sum(vm.work == "repair" for vm in self.of(group, key))
            assert membership.repairing <= 1, "sets of fewer than 20 are repaired one at a time"
            held = {*membership.live, *membership.leaving}
            assert {each for each, _ in (*scale_set.protected, *scale_set.evicted)} <= held, "a set remembers who is gone"
            assert not scale_set.evicted or scale_set.restore_due or scale_set.provisioning == Provisioning.DELETING
            if not scale_set.operation and scale_set.provisioning != Provisioning.DELETING:
                assert len(live) == scale_set.capacity, "a quiet set has not as many members as its capacity says"
        uids = [vm.uid for vm in group.of(Type.VM).values()]
        assert len(set(uids)) == len(uids), "two VMs draw from the same streams"
        for vm in group.of(Type.VM).values():
            assert not vm.set or vm.set.lower() in group.of(Type.SCALE_SET)
            assert bool(vm.step) == (vm.step != ""), "steps are words"
            assert not vm.step or vm.due or vm.step == "outage", f"{vm.step} never ends"
        for type_ in (Type.DISK, Type.NIC):
            for attached in group.of(type_).values():
                assert not attached.vm or group.vm(attached.vm) is not None, "something hangs on a VM that is gone"

    @staticmethod
    def of(group: Any, key: str) -> list[Any]:
        return [vm for vm in group.of(Type.VM).values() if vm.set.lower() == key]

    def check_log(self) -> None:
        replayed = Fleet()
        versions: dict[tuple[str, str], int] = {}
        rows: dict[tuple[str, str], Any] = {}
        for position, event in enumerate(every_event(self.simulation.log), 1):
            assert event.sequence == position
            if event.kind not in (Kind.NOTED, Kind.DEFINED):
                key = (event.type, event.id.lower())
                expected = 1 if event.kind is Kind.CREATED else versions[key] + 1
                assert event.version == expected, f"{event.id}: version {event.version} after {versions.get(key)}"
                versions[key] = event.version
                if event.kind is Kind.DELETED:
                    del versions[key]
            if event.actor == "autoscale" and "capacity" in event.previous:
                assert LIMITS[0] <= event.state.capacity <= LIMITS[1], "autoscale left its limits"
            fixed = set(IMMUTABLE.get(event.type, ())) - (MOVES if self.is_later else set())
            assert not set(event.previous) & fixed, f"{event.id}: {event.previous}"
            replayed.apply(event)
            if event.kind is Kind.DELETED:
                rows.pop((event.type, event.id.lower()), None)
            elif event.kind is not Kind.NOTED:
                rows[event.type, event.id.lower()] = event.state
        fleet = self.simulation.plane.fleet
        assert snapshot(replayed) == snapshot(fleet)
        self.check_rows(rows)

    def check_rows(self, rows: dict[tuple[str, str], Any]) -> None:
        """What a reader of events alone holds is what the fleet holds, implied disks and interfaces included."""
        fleet = self.simulation.plane.fleet
        held: dict[tuple[str, str], Any] = {}
        for group in fleet.all_groups():
            for type_ in (Type.SCALE_SET, Type.VM):
                held |= {(type_, (group.scope(type_) + key).lower()): state for key, state in group.of(type_).items()}
            for type_ in (Type.DISK, Type.NIC, Type.PUBLIC_IP):
                held |= {(type_, (group.scope(type_) + state.name).lower()): state for state in all_of(fleet, group, type_)}
            for vm in group.of(Type.VM).values():
                own = group.scope(Type.VM) + vm.name
                held |= {(Type.EXTENSION, f"{own}/extensions/{each.name}".lower()): each for each in extensions_of(vm)}
        types = (Type.SCALE_SET, Type.VM, Type.DISK, Type.NIC, Type.PUBLIC_IP, Type.EXTENSION)
        assert held == {key: state for key, state in rows.items() if key[0] in types}

    def check_quiet(self) -> None:
        """When nothing is asked for any more, everything comes to rest."""
        self.simulation.activity = "none"
        self.simulation.advance("12h")
        assert self.simulation.settle("P2D")
        group = self.simulation.plane.fleet.container(RG)
        for vm in group.of(Type.VM).values() if group is not None else ():
            assert not vm.step, f"{vm.name} is still in {vm.step}"


def snapshot(fleet: Fleet) -> dict[str, Any]:
    """All that a fleet holds, indexes included."""
    resources = {
        (key, type_): dict(sorted(states.items()))
        for key, container in sorted(fleet.containers.items())
        for type_, states in sorted(container.resources.items())
        if states and type_ != Type.OPERATION
    }
    members = {
        (key, name): (sorted(each.live), sorted(each.leaving), each.domains, each.racks, each.busy, each.repairing, list(each.history))
        for key, container in fleet.containers.items()
        for name, each in container.members.items()
    }
    return {"resources": resources, "members": members, "cores": {k: v for k, v in fleet.cores.items() if v}, "sequence": fleet.sequence}


def run(seed: int, steps: int, activity: str = "none") -> Simulation:
    draw = random.Random(seed)
    world = World(seed)
    world.simulation.activity = activity
    for _ in range(steps):
        world.do(draw)
        world.check()
    world.check_log()
    world.check_quiet()
    world.check()
    return world.simulation
