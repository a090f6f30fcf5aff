"""The autoscale controller: once a minute it evaluates the rules of each setting against the metrics and changes the capacity.

Source: Azure Monitor docs, "Understand autoscale settings", "Flapping in autoscale", "Best practices for autoscale".
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, cast

from kqlite.orchestration.clock import from_datetime, iso_duration, to_datetime
from kqlite.orchestration.controllers import scale_set as sets
from kqlite.orchestration.fleet import Container
from kqlite.orchestration.metrics import Samples, over_window
from kqlite.orchestration.model import Provisioning, ScaleSetState, SettingState, Type
from kqlite.orchestration.placement import MAX_INSTANCES
from kqlite.orchestration.recorder import AUTOSCALE_EVERY, Recorder
from kqlite.orchestration.zones import zone_of

_OPERATORS: dict[str, Callable[[float, float], bool]] = {
    "equals": operator.eq,
    "notequals": operator.ne,
    "greaterthan": operator.gt,
    "greaterthanorequal": operator.ge,
    "lessthan": operator.lt,
    "lessthanorequal": operator.le,
}
OPERATORS = tuple(_OPERATORS)
CHANGE_KINDS = ("changecount", "percentchangecount", "exactcount", "serviceallowednextvalue")
_DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")


def active_profile(profiles: list[dict[str, Any]], now: int) -> dict[str, Any]:
    """The profile that applies now: one whose fixed dates include now, else the one whose recurrence began last, else the default."""
    for profile in profiles:
        fixed = profile.get("fixedDate")
        if fixed and _moment(fixed["start"], fixed) <= now < _moment(fixed["end"], fixed):
            return profile
    begun = [(start, -at) for at, profile in enumerate(profiles) if (start := _last_start(profile.get("recurrence"), now)) is not None]
    if begun:
        return profiles[-max(begun)[1]]
    return next((profile for profile in profiles if not profile.get("fixedDate") and not profile.get("recurrence")), profiles[0])


def _moment(text: str, fixed: dict[str, Any]) -> int:
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=zone_of(fixed.get("timeZone") or "UTC"))
    return from_datetime(moment)


def _last_start(recurrence: dict[str, Any] | None, now: int) -> int | None:
    """When a weekly recurrence began last; None if not within a week."""
    if not recurrence:
        return None
    schedule = recurrence["schedule"]
    zone = zone_of(schedule.get("timeZone") or "UTC")
    local = to_datetime(now).astimezone(zone)
    days = {day.lower() for day in schedule.get("days") or _DAYS}
    times = sorted(
        ((int(hour), int(minute)) for hour in schedule.get("hours") or (0,) for minute in schedule.get("minutes") or (0,)), reverse=True
    )
    for back in range(8):
        day = (local - timedelta(days=back)).date()
        if _DAYS[day.weekday()] not in days:
            continue
        for hour, minute in times:
            start = from_datetime(datetime(day.year, day.month, day.day, hour, minute, tzinfo=zone))
            if start <= now:
                return start
    return None


def result(action: dict[str, Any], instances: int) -> int:
    """The instance count after a scale action. A percentage is rounded half up and changes the count by at least one."""
    kind = action["type"].lower()
    value = int(action.get("value") or 1)
    if kind == "exactcount":
        return value
    step = max(1, math.floor(instances * value / 100 + 0.5)) if kind == "percentchangecount" else value
    direction = action["direction"].lower()
    if direction == "increase":
        return instances + step
    return max(0, instances - step) if direction == "decrease" else instances


def scale_in_target(target: int, instances: int, out_rules: list[tuple[dict[str, Any], float]]) -> int | None:
    """The instance count of a scale-in that causes no flapping: the lowest at which no scale-out rule would fire.

    With m instead of n instances, a metric is estimated as value * n / m.

    Args:
        target: The count that the rules ask for.
        instances: The count now.
        out_rules: Each scale-out rule with the value of its metric now.

    Returns:
        A count from `target` up and below `instances`; None if a rule would fire at each of them.
    """
    for count in range(target, instances):
        if not any(_fires(rule["metricTrigger"], value * instances / max(count, 1)) for rule, value in out_rules):
            return count
    return None


def _fires(trigger: dict[str, Any], value: float) -> bool:
    return _OPERATORS[trigger["operator"].lower()](value, float(trigger["threshold"]))


class Autoscale:
    """The controller. It keeps nothing but a cache of metric samples."""

    def __init__(self) -> None:
        self._samples = Samples()

    def forget(self) -> None:
        """Empty the cache, after a failed commit: simulated time went back."""
        self._samples = Samples()

    def wake(self, recorder: Recorder, group: Container, name: str, due: int) -> None:
        """Evaluate a setting."""
        setting = cast("SettingState | None", group.get(Type.AUTOSCALE, name))
        if setting is None or due <= setting.created or (due - setting.uid) % AUTOSCALE_EVERY:
            return  # a stale timer, of a deleted setting with this name
        recorder.arm_autoscale(group, setting)
        document = recorder.fleet.definitions[setting.definition].document
        target_group, target = self._target(recorder, setting)
        if not document.get("enabled") or target_group is None or target is None:
            return
        if target.provisioning in (Provisioning.DELETING, Provisioning.CREATING) or not target.profile:
            return
        with recorder.because("autoscale", "Microsoft.Insights/AutoscaleSettings/Scaleup/Action"):
            self._evaluate(recorder, group, setting, document, target_group, target)

    @staticmethod
    def _target(recorder: Recorder, setting: SettingState) -> tuple[Container | None, ScaleSetState | None]:
        owner, _, rest = setting.target.partition("/providers/")
        group = recorder.fleet.container(owner)
        return group, group.scale_set(rest.rpartition("/")[2]) if group is not None else None

    def _evaluate(
        self, recorder: Recorder, group: Container, setting: SettingState, document: dict[str, Any], owner: Container, target: ScaleSetState
    ) -> None:
        profile = active_profile(document["profiles"], recorder.now)
        capacity = profile["capacity"]
        low, high = int(capacity["minimum"]), min(int(capacity["maximum"]), MAX_INSTANCES)
        count = target.capacity
        if count < low or count > high:
            self._scale(recorder, group, setting, owner, target, low if count < low else high, None)
            return
        rules = profile.get("rules") or []
        if not rules:
            return
        values = [(rule, self._value(recorder, owner, target, rule["metricTrigger"], count)) for rule in rules]
        known = [(rule, value) for rule, value in values if value is not None]
        if len(known) < len(values):
            self._metrics_missing(recorder, group, setting, owner, target, int(capacity["default"]), high)
            return
        if setting.missing:
            recorder.note(group.scope(Type.AUTOSCALE) + setting.name, "Autoscale metrics recovered")
            setting = recorder.change(group, Type.AUTOSCALE, setting, missing=False)
        if recorder.now < setting.blocked:
            return
        self._decide(recorder, group, setting, owner, target, known, low, high)

    def _decide(
        self,
        recorder: Recorder,
        group: Container,
        setting: SettingState,
        owner: Container,
        target: ScaleSetState,
        known: list[tuple[dict[str, Any], float]],
        low: int,
        high: int,
    ) -> None:
        count = target.capacity
        out_rules = [(rule, value) for rule, value in known if rule["scaleAction"]["direction"].lower() == "increase"]
        in_rules = [(rule, value) for rule, value in known if rule["scaleAction"]["direction"].lower() == "decrease"]
        fired = [rule for rule, value in out_rules if _fires(rule["metricTrigger"], value)]
        if fired:
            rule = max(fired, key=lambda rule: result(rule["scaleAction"], count))
            wanted = min(max(result(rule["scaleAction"], count), low), high)
            if wanted > count or rule["scaleAction"]["type"].lower() == "exactcount":
                self._scale(recorder, group, setting, owner, target, wanted, rule)
            return
        if not in_rules or not all(_fires(rule["metricTrigger"], value) for rule, value in in_rules):
            return
        rule = max((rule for rule, _ in in_rules), key=lambda rule: result(rule["scaleAction"], count))
        wanted = min(max(result(rule["scaleAction"], count), low), high)
        if wanted >= count:
            return
        guarded = scale_in_target(wanted, count, out_rules)
        self._note_flapping(recorder, group, setting, wanted, guarded, count)
        if guarded is not None:
            self._scale(recorder, group, setting, owner, target, guarded, rule)

    def _value(self, recorder: Recorder, owner: Container, target: ScaleSetState, trigger: dict[str, Any], count: int) -> float | None:
        source_group, source = owner, target
        uri = trigger.get("metricResourceUri")
        if uri:
            other, _, rest = uri.partition("/providers/")
            named = recorder.fleet.container(other)
            scale_set = named.scale_set(rest.rpartition("/")[2]) if named is not None else None
            if named is None or scale_set is None:
                return None
            source_group, source = named, scale_set
        value = over_window(
            self._samples,
            recorder,
            source_group,
            source,
            metric=trigger["metricName"],
            statistic=(trigger.get("statistic") or "Average").lower(),
            grain=iso_duration(trigger["timeGrain"]) or 1,
            window=iso_duration(trigger["timeWindow"]) or 1,
            aggregation=(trigger.get("timeAggregation") or "Average").lower(),
        )
        return value / max(count, 1) if value is not None and trigger.get("dividePerInstance") else value

    @staticmethod
    def _metrics_missing(
        recorder: Recorder, group: Container, setting: SettingState, owner: Container, target: ScaleSetState, default: int, high: int
    ) -> None:
        if not setting.missing:
            recorder.note(group.scope(Type.AUTOSCALE) + setting.name, "Autoscale metrics unavailable")
            setting = recorder.change(group, Type.AUTOSCALE, setting, missing=True)
        if target.capacity < default:
            Autoscale._scale(recorder, group, setting, owner, target, min(default, high), None)

    @staticmethod
    def _note_flapping(recorder: Recorder, group: Container, setting: SettingState, wanted: int, guarded: int | None, count: int) -> None:
        if guarded == wanted:
            return
        outcome = "Scale down will not occur" if guarded is None else "Scale down will occur with updated instance count"
        recorder.note(
            group.scope(Type.AUTOSCALE) + setting.name,
            f"{'Flapping' if guarded is None else 'FlappingOccurred'}: {outcome} to avoid flapping. Resource: '{setting.target}'. "
            f"Current instance count: '{count}', Intended new instance count: '{wanted}'. "
            f"Actual new instance count: '{count if guarded is None else guarded}'",
        )

    @staticmethod
    def _scale(
        recorder: Recorder,
        group: Container,
        setting: SettingState,
        owner: Container,
        target: ScaleSetState,
        wanted: int,
        rule: dict[str, Any] | None,
    ) -> None:
        cooldown = iso_duration(rule["scaleAction"].get("cooldown") or "PT5M") or 0 if rule is not None else 0
        if wanted != target.capacity:
            text = f"Autoscale: the number of instances of '{setting.target}' goes from {target.capacity} to {wanted}"
            recorder.note(group.scope(Type.AUTOSCALE) + setting.name, text)
            sets.set_goal(recorder, owner, target, "virtualMachineScaleSets/scale", capacity=wanted)
            recorder.change(group, Type.AUTOSCALE, setting, last_action=recorder.now, blocked=max(setting.blocked, recorder.now + cooldown))
