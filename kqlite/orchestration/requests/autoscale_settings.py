"""Requests about autoscale settings.

Source: Azure docs, "Autoscale Settings - Create Or Update"; "Understand autoscale settings".
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, cast

from kqlite.orchestration import arm_documents, errors
from kqlite.orchestration.clock import DAY, HOUR, MINUTE, iso_duration
from kqlite.orchestration.controllers.autoscale import CHANGE_KINDS, OPERATORS
from kqlite.orchestration.fleet import Container
from kqlite.orchestration.metrics import AGGREGATIONS, STATISTICS
from kqlite.orchestration.model import SettingState, Type
from kqlite.orchestration.recorder import Recorder
from kqlite.orchestration.requests import schema
from kqlite.orchestration.requests.bodies import read_resource
from kqlite.orchestration.requests.call import Call, Outcome, check_match, check_name, checked_location, tags_of, whole_number
from kqlite.orchestration.zones import zone_of

_MODEL, _OWNER = "AutoscaleSettingResource", "autoscaleSettings"
_DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")


def put(recorder: Recorder, call: Call) -> Outcome:
    """PUT and PATCH of a setting. It takes effect at once."""
    group = call.group(recorder)
    existing = cast("SettingState | None", group.get(Type.AUTOSCALE, call.name))
    if existing is None and call.method == "PATCH":
        raise errors.not_found(Type.AUTOSCALE, call.name, group.name)
    location = checked_location(call.body if isinstance(call.body, dict) else {}, Type.AUTOSCALE, existing.location if existing else "")
    body = read_resource(call, _MODEL, _OWNER)
    check_name(call.name, "name")
    check_match(call, existing)
    properties = body.get("properties") or {}
    if existing is not None and call.method == "PATCH":
        whole = {"properties": schema.merged(recorder.fleet.definitions[existing.definition].document, properties)}
        properties = schema.read(whole, schema.resource(_MODEL), _OWNER, complete=True)["properties"]
    target = properties.pop("targetResourceUri", None) or (existing.target if existing else "")
    properties.pop("name", None)
    if existing is not None and target.lower() != existing.target.lower():
        raise errors.target_immutable(existing.name, group.name, existing.target)
    _check(properties, target)
    if existing is None:
        _check_alone(recorder, call, target)
    number = recorder.define("autoscale", {"enabled": False, **properties})
    if existing is None:
        uid = recorder.chance.uid(group.scope(Type.AUTOSCALE) + call.name, recorder.now)
        state = SettingState(call.name, 1, uid, location, tags_of(call, body), recorder.now, number, target, 0, 0, missing=False)
        state = recorder.create(group, Type.AUTOSCALE, state)
    else:
        state = recorder.change(group, Type.AUTOSCALE, existing, definition=number, tags=tags_of(call, body, existing.tags))
    return Outcome(
        201 if existing is None else 200, lambda: arm_documents.autoscale(group.id, state, recorder.fleet.definitions), "", location
    )


def _check_alone(recorder: Recorder, call: Call, target: str) -> None:
    """Raise ArmError if another setting has the same target."""
    for group in recorder.fleet.groups(call.subscription.subscription):
        for other in cast("dict[str, SettingState]", group.of(Type.AUTOSCALE)).values():
            if other.target.lower() == target.lower():
                raise errors.ArmError(
                    409, "Conflict", f"The target resource '{target}' is referenced by the autoscale setting '{other.name}' already."
                )


def _check(properties: dict[str, Any], target: str) -> None:
    if "/virtualmachinescalesets/" not in target.lower():
        raise _bad("properties.targetResourceUri", "it must be the id of a scale set")
    profiles = properties.get("profiles") or []
    if not 1 <= len(profiles) <= 20:
        raise _bad("properties.profiles", "a setting has 1 to 20 profiles")
    for at, profile in enumerate(profiles):
        path = f"properties.profiles[{at}]"
        _check_capacity(profile.get("capacity") or {}, f"{path}.capacity")
        rules = profile.get("rules") or []
        if len(rules) > 10:
            raise _bad(f"{path}.rules", "a profile has at most 10 rules")
        for rule_at, rule in enumerate(rules):
            _check_trigger(rule.get("metricTrigger") or {}, f"{path}.rules[{rule_at}].metricTrigger")
            _check_action(rule.get("scaleAction") or {}, f"{path}.rules[{rule_at}].scaleAction")
        _check_dates(profile, path)


def _check_capacity(capacity: dict[str, Any], path: str) -> None:
    numbers = []
    for name in ("minimum", "maximum", "default"):
        number = whole_number(str(capacity.get(name, "")))
        if number is None:
            raise _bad(f"{path}.{name}", "it must be a whole number, as text")
        numbers.append(number)
    low, high, default = numbers
    if not low <= default <= high:
        raise _bad(path, "minimum, default and maximum must be in this order")


def _check_trigger(trigger: dict[str, Any], path: str) -> None:
    if not trigger.get("metricName"):
        raise _bad(f"{path}.metricName", "it is required")
    if not isinstance(trigger.get("threshold"), (int, float)):
        raise _bad(f"{path}.threshold", "it is required")
    _check_word(trigger.get("statistic"), STATISTICS, f"{path}.statistic")
    _check_word(trigger.get("timeAggregation"), AGGREGATIONS, f"{path}.timeAggregation")
    _check_word(trigger.get("operator"), OPERATORS, f"{path}.operator", required=True)
    _check_time(trigger.get("timeGrain"), MINUTE, 12 * HOUR, f"{path}.timeGrain")
    _check_time(trigger.get("timeWindow"), 5 * MINUTE, 12 * HOUR, f"{path}.timeWindow")


def _check_action(action: dict[str, Any], path: str) -> None:
    _check_word(action.get("direction"), ("none", "increase", "decrease"), f"{path}.direction", required=True)
    _check_word(action.get("type"), CHANGE_KINDS, f"{path}.type", required=True)
    if not whole_number(str(action.get("value", "1"))):
        raise _bad(f"{path}.value", "it must be a whole number of at least 1, as text")
    _check_time(action.get("cooldown") or "PT5M", MINUTE, 7 * DAY, f"{path}.cooldown")


def _check_word(word: Any, words: tuple[str, ...], path: str, required: bool = False) -> None:
    if word is None and not required:
        return
    if str(word).lower() not in words:
        raise _bad(path, f"it must be one of {', '.join(words)}")


def _check_time(text: Any, low: int, high: int, path: str) -> None:
    time = iso_duration(str(text)) if text else None
    if time is None or not low <= time <= high:
        raise _bad(path, f"it must be a duration from {low // MINUTE} minutes to {high // HOUR} hours")


def _check_dates(profile: dict[str, Any], path: str) -> None:
    fixed, recurrence = profile.get("fixedDate"), profile.get("recurrence")
    if fixed and recurrence:
        raise _bad(path, "a profile has a fixed date or a recurrence, not both")
    if fixed:
        _check_zone(fixed.get("timeZone"), f"{path}.fixedDate.timeZone")
        try:
            start, end = (datetime.fromisoformat(fixed[name]).replace(tzinfo=None) for name in ("start", "end"))
        except (KeyError, ValueError) as error:
            raise _bad(f"{path}.fixedDate", "start and end must be times") from error
        if not timedelta(0) < end - start <= timedelta(days=365):
            raise _bad(f"{path}.fixedDate", "the end must come after the start, at most 365 days later")
    if recurrence:
        if (recurrence.get("frequency") or "Week").lower() != "week":
            raise _bad(f"{path}.recurrence.frequency", "it must be Week")
        schedule = recurrence.get("schedule") or {}
        _check_zone(schedule.get("timeZone"), f"{path}.recurrence.schedule.timeZone")
        days, hours, minutes = (schedule.get(name) or [] for name in ("days", "hours", "minutes"))
        if not days or any(str(day).lower() not in _DAYS for day in days):
            raise _bad(f"{path}.recurrence.schedule.days", "it must name days of the week")
        if any(not 0 <= hour <= 23 for hour in hours) or any(not 0 <= minute <= 59 for minute in minutes):
            raise _bad(f"{path}.recurrence.schedule", "hours lie between 0 and 23, minutes between 0 and 59")


def _check_zone(name: Any, path: str) -> None:
    if zone_of(name or "UTC") is None:
        raise _bad(path, f"unknown time zone '{name}'")


def _bad(path: str, why: str) -> errors.ArmError:
    return errors.bad_request(f"The value of '{path}' is invalid: {why}.", path)


def get(recorder: Recorder, call: Call) -> Outcome:
    """GET of a setting."""
    group, state = _found(recorder, call)
    return Outcome(200, lambda: arm_documents.autoscale(group.id, state, recorder.fleet.definitions))


def _found(recorder: Recorder, call: Call) -> tuple[Container, SettingState]:
    group = call.group(recorder)
    state = cast("SettingState | None", group.get(Type.AUTOSCALE, call.name))
    if state is None:
        raise errors.not_found(Type.AUTOSCALE, call.name, group.name)
    return group, state


def delete(recorder: Recorder, call: Call) -> Outcome:
    """DELETE of a setting."""
    group = call.group(recorder)
    state = cast("SettingState | None", group.get(Type.AUTOSCALE, call.name))
    if state is None:
        return Outcome(204)
    recorder.delete(group, Type.AUTOSCALE, state)
    return Outcome(200)
