"""Injected faults. Controllers and request handlers ask whether a fault hits a resource.

A fault is `{"fault": name, ..}`. Its keys say where it applies (region, zone, size, set, vm, domain, ..), how strongly (fraction,
probability, count, limit, answer, code), from when (start) and for how long (duration). Unknown names and keys are refused.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any, cast

from kqlite.orchestration.clock import duration, from_datetime
from kqlite.orchestration.errors import CoreError
from kqlite.orchestration.fleet import Container
from kqlite.orchestration.model import FaultState, Type, VmState
from kqlite.orchestration.recorder import Recorder

_WHERE = ("region", "zone", "size", "set", "vm")
_HOW = ("fraction", "probability", "count")
KEYS: dict[str, tuple[str, ...]] = {
    "allocation": (*_WHERE, "domain", *_HOW),
    "sku_restricted": ("region", "zone", "size", *_HOW),
    "quota": ("region", "size", "limit"),
    "os_provisioning": (*_WHERE, "domain", "answer", *_HOW),
    "extension": (*_WHERE, "publisher", "type", "answer", *_HOW),
    "fault_domain_outage": ("region", "set", "domain", *_HOW),
    "rack_outage": ("region", "set", "domain", *_HOW),
    "zone_loss": ("region", "zone"),
    "host_failure": (*_WHERE, "domain", *_HOW),
    "maintenance": ("region", "set", "type", "limit"),
    "spot_eviction": (*_WHERE, *_HOW),
    "spot_price": ("region", "size", "limit"),
    "app_sick": (*_WHERE, "domain", "answer", *_HOW),
    "api_latency": ("region", "operation", "limit", "probability", "count"),
    "api_error": ("region", "operation", "code", "probability", "count"),
    "throttle": ("region", "operation", "type", "probability", "count"),
    "feed_lag": ("type", "limit", *_HOW),
    "feed_loss": ("type", *_HOW),
    "feed_reorder": ("type", *_HOW),
    "feed_duplicate": ("type", *_HOW),
    "crash": ("operation",),
}
ANSWERS: dict[str, tuple[str, ...]] = {
    "app_sick": ("unhealthy", "unknown", "none"),
    "os_provisioning": ("timeout", "error"),
    "extension": ("error", "timeout", "agent", "missing"),
}
TYPES: dict[str, tuple[str, ...]] = {
    "maintenance": ("freeze", "reboot"),
    "throttle": ("always", "limits"),  # refuse each request, or those that exceed Azure's limits
}
CRASH_POINTS = ("before-commit", "after-commit", "before-answer", "between-steps")  # where a process can be killed
_NUMBERS = ("fraction", "probability", "count", "limit", "domain")


def parsed(spec: Mapping[str, Any], now: int) -> tuple[str, dict[str, Any], int, int]:
    """Validate a fault.

    Returns:
        Its name, its keys, its start, and its end (0: until it is recovered).

    Raises:
        CoreError: An unknown name or key, or a value that the key cannot have.
    """
    name = spec.get("fault")
    if not isinstance(name, str) or name not in KEYS:
        raise CoreError(f"no fault {name!r}; there are {', '.join(KEYS)}")
    allowed = KEYS[name]
    keys: dict[str, Any] = {}
    for key, value in spec.items():
        if key in ("fault", "start", "duration"):
            continue
        if key not in allowed:
            raise CoreError(f"fault {name!r} has no key {key!r}; it has {', '.join((*allowed, 'start', 'duration'))}")
        keys[key] = _checked(name, key, value)
    if name == "zone_loss" and "zone" not in keys:
        raise CoreError("fault 'zone_loss' needs a zone")
    start = _start(spec.get("start"), now)
    end = start + duration(spec["duration"]) if spec.get("duration") is not None else 0
    return name, keys, start, end


def _checked(fault: str, key: str, value: Any) -> Any:
    if key in _NUMBERS:
        if isinstance(value, bool) or not isinstance(value, (int, float)) or value < 0:
            raise CoreError(f"fault {fault!r}: {key} is a number of at least 0, not {value!r}")
        if key in ("fraction", "probability") and value > 1:
            raise CoreError(f"fault {fault!r}: {key} lies between 0 and 1, not {value!r}")
        if key in ("count", "domain") and value != int(value):
            raise CoreError(f"fault {fault!r}: {key} is a whole number, not {value!r}")
        return value
    text = str(value)
    if key == "answer" and text not in ANSWERS[fault]:
        raise CoreError(f"fault {fault!r}: answer is one of {', '.join(ANSWERS[fault])}, not {text!r}")
    if fault == "crash" and key == "operation" and text not in CRASH_POINTS:
        raise CoreError(f"fault 'crash': operation is one of {', '.join(CRASH_POINTS)}, not {text!r}")
    if key == "type" and text not in TYPES.get(fault, (text,)):
        raise CoreError(f"fault {fault!r}: type is {' or '.join(TYPES[fault])}, not {text!r}")
    return text


def _start(value: Any, now: int) -> int:
    if value is None:
        return now
    if isinstance(value, datetime):
        return from_datetime(value)
    if isinstance(value, str) and value[:4].isdigit() and value[4:5] == "-":
        try:
            return from_datetime(datetime.fromisoformat(value))
        except ValueError as error:
            raise CoreError(f"start: not a time: {value!r}") from error
    return now + duration(value)


def value_of(fault: FaultState, key: str, default: Any = None) -> Any:
    """The value of a fault's key."""
    for name, value in fault.spec:
        if name == key:
            return value
    return default


def covers(fault: FaultState, scope: Mapping[str, Any]) -> bool:
    """Whether the fault applies to the resource or request that `scope` describes. A key that the fault lacks matches everything."""
    for key, wanted in fault.spec:
        if key not in scope:
            continue
        value = scope[key]
        if key == "domain":
            if value != int(wanted):
                return False
        elif key in ("set", "vm"):
            if str(wanted).lower().rpartition("/")[2] != str(value).lower():
                return False
        elif str(wanted).lower() != str(value).lower():
            return False
    return True


def active(recorder: Recorder, name: str) -> Iterator[FaultState]:
    """The active faults of this name."""
    return iter(list(recorder.fleet.faults.get(name, {}).values()))


def fault_hitting(recorder: Recorder, name: str, key: int | str, scope: Mapping[str, Any], counter: int = 0) -> FaultState | None:
    """The first active fault that hits a resource or request; None if none does.

    Args:
        name: Name of the fault.
        key: Identifies the resource or request for the draw against `fraction`: a key is always hit or never.
        scope: Describes the resource or request, as `covers` compares it.
        counter: Number of the attempt. With `key` it determines the draw against `probability`.
    """
    if name not in recorder.fleet.faults:
        return None
    for fault in active(recorder, name):
        if not covers(fault, scope):
            continue
        limit = value_of(fault, "count")
        if limit is not None and fault.used >= limit:
            continue
        fraction = value_of(fault, "fraction", 1.0)
        if fraction < 1.0 and recorder.chance.uniform(f"fraction {fault.name}", key) >= fraction:
            continue
        probability = value_of(fault, "probability", 1.0)
        if probability < 1.0 and recorder.chance.uniform(f"probability {fault.name}", key, counter) >= probability:
            continue
        return recorder.count_hit(fault) if limit is not None else fault
    return None


def vm_scope(recorder: Recorder, vm: VmState) -> dict[str, Any]:
    """The scope that describes a VM."""
    size = recorder.fleet.facts(vm.model).size.name
    return {"region": vm.location, "zone": vm.zone, "size": size, "set": vm.set, "vm": vm.name, "domain": vm.domain}


def targets(recorder: Recorder, fault: FaultState) -> Iterator[tuple[Container, VmState]]:
    """The VMs that a fault covers."""
    vm_name, set_name = value_of(fault, "vm"), value_of(fault, "set")
    for group in recorder.fleet.all_groups():
        if vm_name is not None:
            one = group.vm(str(vm_name).rpartition("/")[2])
            found = [one] if one is not None else []
        elif set_name is not None:
            name = str(set_name).rpartition("/")[2].lower()
            found = list(recorder.fleet.members(group, name)) if name in group.members else []
        else:
            found = list(cast("dict[str, VmState]", group.of(Type.VM)).values())
        for vm in found:
            if covers(fault, vm_scope(recorder, vm)):
                yield group, vm


def chosen(recorder: Recorder, fault: FaultState, vms: list[tuple[Container, VmState]]) -> list[tuple[Container, VmState]]:
    """The VMs that the fault's `fraction` and `count` select: exactly that share or number, in a seeded order."""
    fraction = value_of(fault, "fraction", 1.0)
    number = min(round(len(vms) * fraction), int(value_of(fault, "count", len(vms))))
    if number >= len(vms):
        return vms
    ranked = sorted(vms, key=lambda pair: (recorder.chance.number(f"chosen {fault.name}", pair[1].uid), pair[1].name))
    return ranked[:number]
