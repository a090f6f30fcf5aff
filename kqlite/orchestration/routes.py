"""Routing: finds the handler for a method and path, and checks the api-version and subscription. Paths compare without case."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, cast

from kqlite.orchestration import arm_documents, errors
from kqlite.orchestration.azure_offerings import REGIONS, region_name
from kqlite.orchestration.fleet import Container
from kqlite.orchestration.model import GroupState, ResourceState, ScaleSetState, SettingState, SubscriptionState, Type, VmState
from kqlite.orchestration.paging import PAGE, VIEW_PAGE, Page
from kqlite.orchestration.recorder import Recorder
from kqlite.orchestration.requests import autoscale_settings, extensions, groups, power, registrations, resources, scale_sets, vms
from kqlite.orchestration.requests.call import Call, Outcome, check_registered, group_of_id, last_segment, whole_number
from kqlite.orchestration.requests.named_vm import find as find_vm
from kqlite.orchestration.requests.named_vm import show as show_vm

Handler = Callable[[Recorder, Call], "Outcome | Page"]


@dataclass(frozen=True)
class Route:
    """A handler.

    Args:
        handle: Handles the request.
        what: The resource type, as events name it.
        is_operation: Whether the request polls an operation. The front door answers it itself.
        is_locked: Whether a management lock can forbid the request.
    """

    handle: Handler
    what: str
    is_operation: bool = False
    is_locked: bool = True

    def cause(self, call: Call) -> str:
        """The name of the request, as activity logs have it, such as "virtualMachines/write"."""
        verb = {"GET": "read", "HEAD": "read", "PUT": "write", "PATCH": "write", "DELETE": "delete"}.get(call.method)
        return f"{self.what}/{verb or call.child.rpartition('/')[2] + '/action'}"


# Resource type in lower case -> (type, earliest api-version, versions that errors name)
_COMPUTE = ("2019-12-01", "2020-06-01", "2020-12-01", "2021-03-01", "2021-04-01", "2021-07-01")
_TYPES: dict[str, tuple[Type, str, tuple[str, ...]]] = {
    Type.SCALE_SET.lower(): (Type.SCALE_SET, "2019-12-01", _COMPUTE),
    Type.VM.lower(): (Type.VM, "2019-12-01", _COMPUTE),
    Type.DISK.lower(): (Type.DISK, "2020-12-01", ("2020-12-01", "2021-04-01")),
    Type.PLACEMENT_GROUP.lower(): (Type.PLACEMENT_GROUP, "2019-12-01", _COMPUTE),
    Type.NIC.lower(): (Type.NIC, "2020-11-01", ("2020-11-01", "2021-02-01")),
    Type.PUBLIC_IP.lower(): (Type.PUBLIC_IP, "2020-11-01", ("2020-11-01", "2021-02-01")),
    Type.LOAD_BALANCER.lower(): (Type.LOAD_BALANCER, "2020-11-01", ("2020-11-01", "2021-02-01")),
    Type.AUTOSCALE.lower(): (Type.AUTOSCALE, "2015-04-01", ("2015-04-01", "2021-05-01-preview", "2022-10-01")),
}
_MANAGEMENT = ("2016-02-01", "2020-01-01", "2021-04-01", "2025-04-01")
_VERSION = re.compile(r"\d{4}-\d{2}-\d{2}(-preview)?")


def find_route(recorder: Recorder, method: str, path: str, query: dict[str, str]) -> tuple[Route, Call]:
    """The handler for a request. Raises ArmError for an unknown path, method, api-version or subscription."""
    segments = [segment for segment in path.split("/") if segment]
    low = [segment.lower() for segment in segments]
    if not low or low[0] != "subscriptions":
        raise errors.ArmError(404, "NotFound", f"The path '{path}' was not found.")
    version = query.get("api-version", "")
    if not version:
        raise errors.api_version_missing()
    if not _VERSION.fullmatch(version) or ("providers" not in low and version < _MANAGEMENT[0]):
        raise errors.api_version_invalid(version, _MANAGEMENT)
    if len(low) == 1:
        call = Call(method, recorder.fleet.root, "", "", "", None, query, {})
        return _only(method, path, GET=Route(_subscriptions, "subscriptions")), call
    subscription = recorder.fleet.container(f"/subscriptions/{low[1]}")
    if subscription is None:
        raise errors.subscription_not_found(segments[1])
    call = Call(method, subscription, "", "", "", None, query, {})
    return _below_subscription(recorder, method, path, segments, low, call), call


def _only(method: str, path: str, **routes: Route) -> Route:
    if method not in routes:
        raise errors.method_not_allowed(method, path)
    return routes[method]


def _below_subscription(recorder: Recorder, method: str, path: str, segments: list[str], low: list[str], call: Call) -> Route:
    rest = low[2:]
    if not rest:
        return _only(method, path, GET=Route(_subscription, "subscriptions"))
    if "locks" in rest and rest[-3:-1] == ["microsoft.authorization", "locks"]:
        return _lock(method, path, segments, low, call)
    if rest[0] == "resourcegroups":
        return _group_route(recorder, method, path, segments, low, call)
    if rest[0] == "providers":
        return _provider_route(recorder, method, path, segments[3:], low[3:], call)
    raise errors.ArmError(404, "NotFound", f"The path '{path}' was not found.")


def _lock(method: str, path: str, segments: list[str], low: list[str], call: Call) -> Route:
    call.name = segments[-1]
    call.group_name = segments[3] if low[2] == "resourcegroups" and len(segments) > 7 else ""
    call.child = "/" + "/".join(segments[: len(segments) - 4])
    if not call.group_name:
        raise errors.ArmError(404, "NotFound", f"The path '{path}' was not found.")
    route = Route(groups.lock, "locks", is_locked=False)
    return _only(method, path, GET=route, PUT=route, DELETE=route)


def _group_route(recorder: Recorder, method: str, path: str, segments: list[str], low: list[str], call: Call) -> Route:
    what = "resourceGroups"
    if len(low) == 3:
        return _only(method, path, GET=Route(_groups, what))
    call.group_name = segments[3]
    if len(low) == 4:
        put, get = Route(groups.put, what), Route(groups.get, what)
        return _only(method, path, GET=get, HEAD=get, PUT=put, PATCH=put, DELETE=Route(groups.delete, what))
    if low[4] != "providers" or len(low) < 7:
        raise errors.ArmError(404, "NotFound", f"The path '{path}' was not found.")
    type_ = _checked_type(call, segments[5], segments[6])
    call.name = segments[7] if len(segments) > 7 else ""
    call.child = "/".join(segments[8:])
    what = type_.rpartition("/")[2]
    if not call.name:
        return _only(method, path, GET=Route(lambda recorder, call: _list(recorder, call, type_, [call.group(recorder)]), what))
    if not call.child:
        return _resource(method, path, type_, what)
    return _child(recorder, method, path, type_, what, call)


def _checked_type(call: Call, namespace: str, name: str) -> Type:
    known = _TYPES.get(f"{namespace}/{name}".lower())
    version = call.query["api-version"]
    if known is None:
        raise errors.type_unknown(name, namespace, version, _COMPUTE)
    type_, earliest, versions = known
    if version < earliest:
        raise errors.provider_version_unknown("", version, type_.partition("/")[2], versions, REGIONS)
    return type_


def _resource(method: str, path: str, type_: Type, what: str) -> Route:
    if type_ == Type.SCALE_SET:
        put, get, delete = scale_sets.put, _scale_set, scale_sets.delete
    elif type_ == Type.VM:
        put, get, delete = vms.put, _vm, vms.delete
    elif type_ == Type.AUTOSCALE:
        put, get, delete = autoscale_settings.put, autoscale_settings.get, autoscale_settings.delete
    else:
        put = lambda recorder, call: resources.put(recorder, call, type_)  # noqa: E731
        get = lambda recorder, call: resources.get(recorder, call, type_)  # noqa: E731
        delete = lambda recorder, call: resources.delete(recorder, call, type_)  # noqa: E731
    return _only(method, path, GET=Route(get, what), PUT=Route(put, what), PATCH=Route(put, what), DELETE=Route(delete, what))


def _child(recorder: Recorder, method: str, path: str, type_: Type, what: str, call: Call) -> Route:
    child = call.child.lower()
    parts = child.split("/")
    if type_ == Type.VM:
        if parts[0] == "instanceview" and len(parts) == 1:
            return _only(method, path, GET=Route(_vm_view, what))
        if parts[0] == "extensions" and len(parts) <= 2:
            get, put = Route(extensions.get, f"{what}/extensions"), Route(extensions.put, f"{what}/extensions")
            if len(parts) == 1:
                return _only(method, path, GET=get)
            return _only(method, path, GET=get, PUT=put, PATCH=put, DELETE=Route(extensions.delete, f"{what}/extensions"))
        if child == "metadata/scheduledevents":
            route = Route(power.scheduled_events, what, is_locked=False)  # a request of the guest; locks do not apply
            return _only(method, path, GET=route, POST=route)
        if parts[0] == "providers" and parts[1:3] == ["microsoft.maintenance", "configurationassignments"]:
            return _only(method, path, PUT=Route(_maintenance, what))
        if child in power.ACTIONS:
            return _only(method, path, POST=Route(power.act, what))
    if type_ == Type.SCALE_SET:
        found = _scale_set_child(parts, child, what)
        if found is not None:
            reads = child in ("instanceview", "skus", "virtualmachines")
            only = "GET" if reads else "POST" if child == "setorchestrationservicestate" else method
            return _only(method, path, **{only: found})
    raise errors.ArmError(404, "NotFound", f"The path '{path}' was not found.")


def _scale_set_child(parts: list[str], child: str, what: str) -> Route | None:
    if child == "instanceview":
        return Route(scale_sets.instance_view, what)
    if child == "skus":
        return Route(_set_skus, what)
    if child == "setorchestrationservicestate":
        return Route(scale_sets.set_service_state, what)
    if child == "virtualmachines":
        return Route(_instances, what)
    if parts[0] == "virtualmachines" and len(parts) == 2:
        return Route(_instance, what)
    if parts[0] == "virtualmachines" and parts[2:] == ["instanceview"]:
        return Route(_instance_view, what)
    if parts[0] == "virtualmachines":
        return Route(scale_sets.refuse_instance, what)
    return Route(_refused, what) if parts[0] in scale_sets.BATCH else None


def _refused(recorder: Recorder, call: Call) -> Outcome:
    if call.child.lower() == "delete" and not recorder.preview:
        return scale_sets.delete_instances(recorder, call)
    call.child = call.child.partition("/")[0]
    return scale_sets.refuse(recorder, call)


def _provider_route(recorder: Recorder, method: str, path: str, segments: list[str], low: list[str], call: Call) -> Route:
    if not low:
        every = Route(lambda recorder, call: _plain_page(registrations.provider_list(call, _provider_types())), "providers")
        return _only(method, path, GET=every)
    if low[0] == "microsoft.features" and len(low) >= 2:
        return _feature_route(method, path, segments, low, call)
    if len(low) == 1 or (len(low) == 2 and low[1] in ("register", "unregister")):
        call.name, call.child = segments[0], segments[1] if len(segments) > 1 else ""
        route = Route(lambda recorder, call: registrations.provider(recorder, call, _provider_types()), "providers")
        return _only(method, path, **{"POST" if call.child else "GET": route})
    if low[0] == "microsoft.compute" and low[1] == "skus":
        return _only(method, path, GET=Route(lambda recorder, call: _plain_page(registrations.skus(recorder, call)), "skus"))
    if low[0] == "microsoft.compute" and low[1] == "locations" and len(low) >= 4:
        return _location_route(recorder, method, path, segments, low, call)
    type_ = _checked_type(call, segments[0], segments[1])
    if len(low) > 2:
        raise errors.ArmError(404, "NotFound", f"The path '{path}' was not found.")
    return _only(method, path, GET=Route(lambda recorder, call: _list(recorder, call, type_, None), type_.rpartition("/")[2]))


def _feature_route(method: str, path: str, segments: list[str], low: list[str], call: Call) -> Route:
    if low[1] == "features" and len(low) == 2:
        return _only(method, path, GET=Route(lambda recorder, call: _plain_page(registrations.feature_list(recorder, call)), "features"))
    if low[1] == "providers" and len(low) == 4:
        return _only(method, path, GET=Route(lambda recorder, call: _plain_page(registrations.feature_list(recorder, call)), "features"))
    if low[1] == "providers" and len(low) in (5, 6) and low[3] == "features":
        call.name, call.child = segments[4], segments[5] if len(segments) > 5 else ""
        route = Route(registrations.feature, "features")
        return _only(method, path, **{"POST" if call.child else "GET": route})
    raise errors.ArmError(404, "NotFound", f"The path '{path}' was not found.")


def _location_route(recorder: Recorder, method: str, path: str, segments: list[str], low: list[str], call: Call) -> Route:
    location = region_name(segments[2])
    call.child = location
    if low[3] == "operations" and len(low) == 5:
        call.name = segments[4]
        return _only(method, path, GET=Route(lambda recorder, call: Outcome(200), "operations", is_operation=True))
    if location not in REGIONS:
        raise errors.location_unknown(segments[2], Type.VM, REGIONS)
    lists: dict[str, Route] = {
        "usages": Route(lambda recorder, call: _plain_page(registrations.usages(recorder, call.subscription, location)), "usages"),
        "vmsizes": Route(lambda recorder, call: _plain_page(registrations.sizes()), "vmSizes"),
        "virtualmachines": Route(lambda recorder, call: _list(recorder, call, Type.VM, None, location), "virtualMachines"),
        "virtualmachinescalesets": Route(
            lambda recorder, call: _list(recorder, call, Type.SCALE_SET, None, location), "virtualMachineScaleSets"
        ),
    }
    if low[3] not in lists:
        raise errors.type_unknown(f"locations/{segments[3]}", segments[0], call.query["api-version"], _COMPUTE)
    return _only(method, path, GET=lists[low[3]])


# Handlers of reads


def _plain_page(items: list[dict[str, Any]]) -> Page:
    return Page((f"{at:09d}", lambda item=item: item) for at, item in enumerate(items, 1))  # type: ignore[misc]


def _subscriptions(recorder: Recorder, call: Call) -> Page:
    return _plain_page(
        [arm_documents.subscription(cast("SubscriptionState", each)) for each in recorder.fleet.root.of(Type.SUBSCRIPTION).values()]
    )


def _subscription(recorder: Recorder, call: Call) -> Outcome:
    state = cast("SubscriptionState", recorder.fleet.root.get(Type.SUBSCRIPTION, call.subscription.subscription))
    return Outcome(200, lambda: arm_documents.subscription(state))


def _groups(recorder: Recorder, call: Call) -> Page:
    states = cast("dict[str, GroupState]", call.subscription.of(Type.GROUP))
    found = re.search(r"tagName\s+eq\s+'([^']*)'(?:\s+and\s+tagValue\s+eq\s+'([^']*)')?", call.query.get("$filter", ""), re.IGNORECASE)
    kept = []
    for key in sorted(states):
        tags = {name.lower(): value for name, value in states[key].tags}
        if found is None or (found.group(1).lower() in tags and found.group(2) in (None, tags[found.group(1).lower()])):
            kept.append(arm_documents.group(call.subscription.id, states[key]))
    return _plain_page(kept[: whole_number(call.query.get("$top", ""))])


def _scale_set(recorder: Recorder, call: Call) -> Outcome:
    group, state = scale_sets.find(recorder, call)
    return Outcome(200, lambda: scale_sets.show(recorder, group, state))


def _vm(recorder: Recorder, call: Call) -> Outcome:
    group, state = find_vm(recorder, call)
    view = call.query.get("$expand", "").lower() == "instanceview"
    return Outcome(200, lambda: show_vm(recorder, group, state, view))


def _vm_view(recorder: Recorder, call: Call) -> Outcome:
    _, state = find_vm(recorder, call)
    return Outcome(200, lambda: arm_documents.instance_view(state, recorder.fleet.definitions, recorder.preview))


def _instances(recorder: Recorder, call: Call) -> Outcome | Page:
    if call.method != "GET":
        raise errors.method_not_allowed(call.method, call.path)
    group, owner = scale_sets.find(recorder, call)
    if call.query.get("$expand"):
        raise errors.bad_request("$expand is not supported for a Virtual Machine Scale Set with Flexible orchestration mode.", "$expand")
    keys = sorted([*recorder.fleet.membership(group, owner.name).live, *recorder.fleet.membership(group, owner.name).leaving])
    known = cast("dict[str, VmState]", group.of(Type.VM))
    return Page((key, lambda key=key: arm_documents.scale_set_vm(group.id, known[key], owner, False)) for key in keys)  # type: ignore[misc]


def _instance(recorder: Recorder, call: Call) -> Outcome:
    if call.method in ("PUT", "PATCH") and not recorder.preview:
        return scale_sets.protect(recorder, call)
    if call.method != "GET":
        call.child += "/delete" if call.method == "DELETE" else "/write"
        return scale_sets.refuse_instance(recorder, call)
    group, owner = scale_sets.find(recorder, call)
    name = call.child.rpartition("/")[2]
    state = group.vm(name)
    if state is None or state.set.lower() != owner.name.lower():
        raise errors.not_found(f"{Type.SCALE_SET}/{owner.name}/virtualMachines", name, group.name)
    return Outcome(200, lambda: arm_documents.scale_set_vm(group.id, state, owner, True))


def _instance_view(recorder: Recorder, call: Call) -> Outcome:
    scale_sets.find(recorder, call)
    raise errors.instance_id_no_number()


def _set_skus(recorder: Recorder, call: Call) -> Page:
    _, owner = scale_sets.find(recorder, call)
    stored = recorder.fleet.definitions[owner.model].document.get("sku")
    capacity = {"minimum": 0, "maximum": 1000, "defaultCapacity": 1, "scaleType": "Automatic"}
    return _plain_page([{"resourceType": Type.SCALE_SET, "sku": stored, "capacity": capacity}] if stored else [])


def _maintenance(recorder: Recorder, call: Call) -> Outcome:
    _, state = find_vm(recorder, call)
    if state.set:
        raise errors.parameter_not_allowed("configurationAssignments")
    raise errors.type_unknown("configurationAssignments", "Microsoft.Maintenance", call.query["api-version"], ())


_SET_FILTER = re.compile(r"'virtualMachineScaleSet/id'\s+eq\s+'([^']*)'", re.IGNORECASE)


def _list(recorder: Recorder, call: Call, type_: Type, inside: list[Container] | None, location: str = "") -> Page:
    containers = inside if inside is not None else list(recorder.fleet.groups(call.subscription.subscription))
    ordered = sorted(containers, key=lambda container: container.key)
    if type_ == Type.VM:
        return _vm_list(recorder, call, ordered, location)
    return Page(
        (f"{group.key}/{state.name.lower()}", lambda group=group, state=state: _shown(recorder, group, type_, state))  # type: ignore[misc]
        for group in ordered
        for state in resources.list_(recorder, group, type_)
        if not location or state.location == location
    )


def _shown(recorder: Recorder, group: Container, type_: Type, state: Any) -> dict[str, Any]:
    if type_ == Type.SCALE_SET:
        return arm_documents.scale_set(group.id, cast("ScaleSetState", state), recorder.fleet.definitions)
    if type_ == Type.AUTOSCALE:
        return arm_documents.autoscale(group.id, cast("SettingState", state), recorder.fleet.definitions)
    return resources.show(recorder, group, type_, cast("ResourceState", state))


def _vm_list(recorder: Recorder, call: Call, containers: list[Container], location: str) -> Page:
    check_registered(recorder, call.subscription, "Microsoft.Compute")
    status_only = call.query.get("statusonly", "").lower() == "true"
    view = call.query.get("$expand", "").lower() == "instanceview"
    text = call.query.get("$filter", "")
    found = _SET_FILTER.search(text)
    if text and found is None:
        raise errors.bad_request(f"Invalid filter '{text}'.", "$filter")
    if view and found is None:
        raise errors.bad_request("The $expand=instanceView option needs a $filter on 'virtualMachineScaleSet/id'.", "$expand")
    wanted = found.group(1) if found else ""

    def items() -> Iterator[tuple[str, Callable[[], dict[str, Any]]]]:
        for group in containers:
            for key, state in _vms_of(group, wanted):
                if not location or state.location == location:
                    yield f"{group.key}/{key}", lambda group=group, state=state: _vm_item(recorder, group, state, view, status_only)  # type: ignore[misc]

    return Page(items(), VIEW_PAGE if view or status_only else PAGE)


def _vms_of(group: Container, wanted: str) -> Iterator[tuple[str, VmState]]:
    known = cast("dict[str, VmState]", group.of(Type.VM))
    if not wanted:
        return ((key, known[key]) for key in sorted(known))
    membership = group.members.get(last_segment(wanted).lower())
    if group_of_id(wanted) != group.key or membership is None:
        return iter(())
    return ((key, known[key]) for key in sorted([*membership.live, *membership.leaving]))


def _vm_item(recorder: Recorder, group: Container, state: VmState, view: bool, status_only: bool) -> dict[str, Any]:
    if not status_only:
        return show_vm(recorder, group, state, view)
    shown = arm_documents.instance_view(state, recorder.fleet.definitions, recorder.preview)
    return {
        "id": arm_documents.resource_id(group.id, Type.VM, state.name),
        "name": state.name,
        "type": Type.VM,
        "location": state.location,
        "properties": {"provisioningState": state.provisioning, "instanceView": shown},
    }


def _provider_types() -> dict[str, list[dict[str, Any]]]:
    found: dict[str, list[dict[str, Any]]] = {}
    for type_, _, versions in _TYPES.values():
        namespace, _, name = type_.partition("/")
        found.setdefault(namespace.lower(), []).append(
            {"resourceType": name, "locations": list(REGIONS), "apiVersions": sorted(versions, reverse=True)}
        )
    return found
