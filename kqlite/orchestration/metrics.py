"""Metrics of scale sets: the values of a seeded load model, or values that a user sets.

The model gives the load of the whole set. The serving instances share it: a load of 120 (percent of an instance) shows as 40 % CPU on three
instances. Samples are not stored. The load at a minute follows from the seed, and the fleet keeps a short history of the number of serving
instances. As in the real service, a sample becomes visible some minutes late.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Callable, Iterable

from kqlite.orchestration.activity_rates import load_factor
from kqlite.orchestration.clock import HOUR, MINUTE, SECOND
from kqlite.orchestration.fleet import Container
from kqlite.orchestration.model import MetricState, ScaleSetState, Type
from kqlite.orchestration.recorder import Recorder

LOAD_TAG = "kqlite:load"
"""The tag of a scale set that says what load its VMs share."""

CPU = "Percentage CPU"
DELIVERY = (60, 180)  # seconds between the end of a minute and its sample


def metric_key(resource_id: str, metric: str) -> str:
    """The name of the `MetricState` for a value that a user sets."""
    return f"{resource_id.lower()}|{metric.lower()}"


def fed(recorder: Recorder, resource_id: str, metric: str) -> list[tuple[int, float]]:
    """The values that a user set for a resource: (time, value), the oldest first."""
    return recorder.fleet.fed.get(metric_key(resource_id, metric), [])


def value_at(history: list[tuple[int, float]], time: int) -> float | None:
    """The value at a time; None before the first."""
    at = bisect_right(history, (time, math.inf)) - 1
    return history[at][1] if at >= 0 else None


def feed(recorder: Recorder, resource_id: str, metric: str, value: float) -> None:
    """Set a metric of a scale set (each of its instances shows it) or instance to a value, from now on."""
    name = metric_key(resource_id, metric)
    known = recorder.fleet.root.get(Type.METRIC, name)
    if isinstance(known, MetricState):
        recorder.change(recorder.fleet.root, Type.METRIC, known, value=value)
    else:
        recorder.create(recorder.fleet.root, Type.METRIC, MetricState(name, 1, value))


def serving_at(group: Container, set_name: str, time: int) -> int:
    """How many instances of a set served at a time."""
    history = group.members[set_name.lower()].history
    for since, serving in reversed(history):
        if since <= time:
            return serving
    return 0


def load(recorder: Recorder, scale_set: ScaleSetState, time: int) -> float:
    """The load of a whole set at a time, in percent of one instance.

    The tag `kqlite:load` of the set selects the model. Without the tag it is "wave 120 0.5", which keeps three instances at about 40
    percent.

        constant 120        always 120
        wave 400 0.5        a daily wave with this mean and swing, and noise
        step 100 400 7200   100 at first, 400 from 7,200 seconds after the set's creation
        week 8000           this mean, moved by working hours and weekends as the activity level says
    """
    words = dict(scale_set.tags).get(LOAD_TAG, "").split() or ["wave"]
    kind, numbers = words[0], [_number(word) for word in words[1:]]
    minute = time // MINUTE
    noise = 1 + 0.04 * (recorder.chance.uniform("load", scale_set.uid, minute) - 0.5)
    if kind == "constant" and numbers:
        return numbers[0]
    if kind == "week" and numbers:
        return numbers[0] * _week(recorder, scale_set, time) * noise
    if kind == "step" and len(numbers) >= 3:
        return numbers[0] if time - scale_set.created < numbers[2] * SECOND else numbers[1]
    mean = numbers[0] if numbers else 120.0
    swing = numbers[1] if len(numbers) > 1 else 0.5
    phase = recorder.chance.uniform("phase", scale_set.uid)
    return max(0.0, mean * (1 + swing * math.sin(2 * math.pi * (time / (24 * HOUR) + phase))) * noise)


def _week(recorder: Recorder, scale_set: ScaleSetState, time: int) -> float:
    activity = recorder.fleet.activity
    hour, part = divmod(time, HOUR)
    before, after = (2 * recorder.chance.uniform("wander", scale_set.uid, hour + step) - 1 for step in (0, 1))
    wandered = before + (after - before) * part / HOUR
    phase = recorder.chance.uniform("phase", scale_set.uid)
    return load_factor("none" if activity is None else activity.at(time), time, phase, wandered)


def _number(word: str) -> float:
    try:
        number = float(word)
    except ValueError:
        return 0.0
    return number if abs(number) < 1e12 else 0.0


def visible_minute(recorder: Recorder, scale_set: ScaleSetState) -> int:
    """The start of the latest minute whose samples are visible now."""
    seconds = DELIVERY[0] + recorder.chance.number("delivery", scale_set.uid) % (DELIVERY[1] - DELIVERY[0])
    return (recorder.now - seconds * SECOND) // MINUTE * MINUTE - MINUTE


def sample(recorder: Recorder, group: Container, scale_set: ScaleSetState, metric: str, minute: int) -> tuple[float, int] | None:
    """The value that each serving instance showed in a minute, and the number of serving instances; None without a sample."""
    serving = serving_at(group, scale_set.name, minute)
    value = value_at(fed(recorder, group.scope(Type.SCALE_SET) + scale_set.name, metric), minute + MINUTE - 1)
    if value is not None:
        return value, max(serving, 1)
    if metric.lower() != CPU.lower() or not serving:
        return None
    return min(100.0, load(recorder, scale_set, minute) / serving), serving


def instance_values(recorder: Recorder, group: Container, scale_set: ScaleSetState, metric: str, minute: int) -> list[float]:
    """The values in a minute that a user set for single instances of a set."""
    live = recorder.fleet.membership(group, scale_set.name).live
    values = []
    for key in recorder.fleet.fed_vms.get((group.key, metric.lower()), ()):
        if key in live:
            value = value_at(fed(recorder, group.scope(Type.VM) + key, metric), minute + MINUTE - 1)
            if value is not None:
                values.append(value)
    return values


_STATISTICS: dict[str, Callable[[float, int, list[float]], float]] = {
    "average": lambda value, count, others: (value * count + sum(others)) / (count + len(others)),
    "min": lambda value, count, others: min([*others, *([value] if count else [])]),
    "max": lambda value, count, others: max([*others, *([value] if count else [])]),
    "sum": lambda value, count, others: value * count + sum(others),
    "count": lambda _, count, others: float(count + len(others)),
}
_AGGREGATIONS: dict[str, Callable[[list[float]], float]] = {
    "average": lambda values: sum(values) / len(values),
    "minimum": min,
    "maximum": max,
    "total": sum,
    "count": lambda values: float(len(values)),
    "last": lambda values: values[-1],
}
STATISTICS = tuple(_STATISTICS)
AGGREGATIONS = tuple(_AGGREGATIONS)


def across_instances(
    recorder: Recorder, group: Container, scale_set: ScaleSetState, metric: str, statistic: str, minute: int
) -> float | None:
    """The statistic over all instances in a minute; None without a sample."""
    shown = sample(recorder, group, scale_set, metric, minute)
    others = instance_values(recorder, group, scale_set, metric, minute) if recorder.fleet.fed_vms else []
    if shown is None:
        return _STATISTICS[statistic](0.0, 0, others) if others else None
    value, count = shown
    return _STATISTICS[statistic](value, max(0, count - len(others)), others)


class Samples:
    """A cache of values of past minutes, which never change. Most evaluations of autoscale compute one new minute only."""

    KEPT = 12 * 60

    def __init__(self) -> None:
        self.windows: dict[tuple[int, str, str, int, int, str], tuple[int, float | None]] = {}
        self._known: dict[tuple[int, str, str], dict[int, float | None]] = {}

    def value(
        self, recorder: Recorder, group: Container, scale_set: ScaleSetState, metric: str, statistic: str, minute: int
    ) -> float | None:
        """`across_instances`, from the cache."""
        if recorder.fleet.fed_vms:
            return across_instances(recorder, group, scale_set, metric, statistic, minute)
        known = self._known.setdefault((scale_set.uid, metric, statistic), {})
        if minute not in known:
            while len(known) > self.KEPT:
                del known[next(iter(known))]
            known[minute] = across_instances(recorder, group, scale_set, metric, statistic, minute)
        return known[minute]


def over_window(
    samples: Samples,
    recorder: Recorder,
    group: Container,
    scale_set: ScaleSetState,
    *,
    metric: str,
    statistic: str,
    grain: int,
    window: int,
    aggregation: str,
) -> float | None:
    """The value of a metric over a window that ends at the latest visible minute; None without a sample in the window.

    Args:
        samples: The cache.
        metric: Name of the metric.
        statistic: Combines the instances, and the minutes of a grain: one of `STATISTICS`.
        grain: Microseconds of a grain.
        window: Microseconds of the window.
        aggregation: Combines the grains: one of `AGGREGATIONS`.
    """
    last = visible_minute(recorder, scale_set)
    key = (scale_set.uid, metric, statistic, grain, window, aggregation)
    known = samples.windows.get(key)
    if known is not None and known[0] == last and not recorder.fleet.fed_vms:
        return known[1]
    value = _over_window(samples, recorder, group, scale_set, metric, statistic, grain, last - window + MINUTE, last, aggregation)
    samples.windows[key] = (last, value)
    return value


def _over_window(
    samples: Samples,
    recorder: Recorder,
    group: Container,
    scale_set: ScaleSetState,
    metric: str,
    statistic: str,
    grain: int,
    first: int,
    last: int,
    aggregation: str,
) -> float | None:
    grains: dict[int, list[float]] = {}
    for minute in range(max(first, scale_set.created // MINUTE * MINUTE), last + 1, MINUTE):
        value = samples.value(recorder, group, scale_set, metric, statistic, minute)
        if value is not None:
            grains.setdefault((minute - first) // grain, []).append(value)
    if not grains:
        return None
    return _AGGREGATIONS[aggregation]([_grain(values, statistic) for _, values in sorted(grains.items())])


def _grain(values: Iterable[float], statistic: str) -> float:
    items = list(values)
    if statistic == "min":
        return min(items)
    if statistic == "max":
        return max(items)
    if statistic in ("sum", "count"):
        return sum(items)
    return sum(items) / len(items)
