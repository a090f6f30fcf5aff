"""Autoscale: profiles, rules, the one cooldown clock, and the guard against flapping.

Examples are those of the Azure Monitor docs, "Understand autoscale settings" and "Flapping in autoscale".
"""

from datetime import UTC, datetime
from typing import Any

import pytest

from kqlite.orchestration.clock import from_datetime
from kqlite.orchestration.controllers.autoscale import active_profile, result, scale_in_target
from kqlite.orchestration.events import Kind
from kqlite.orchestration.metrics import AGGREGATIONS, STATISTICS
from kqlite.simulation import Simulation

CPU = "Percentage CPU"


def trigger(operator: str, threshold: float, metric: str = CPU, **more: Any) -> dict[str, Any]:
    words = {"timeGrain": "PT1M", "statistic": "Average", "timeWindow": "PT5M", "timeAggregation": "Average", **more}
    return {"metricName": metric, "operator": operator, "threshold": threshold, **words}


def rule(
    operator: str, threshold: float, direction: str, value: int = 1, kind: str = "ChangeCount", cooldown: str = "PT1M", **more: Any
) -> dict[str, Any]:
    action = {"direction": direction, "type": kind, "value": str(value), "cooldown": cooldown}
    return {"metricTrigger": trigger(operator, threshold, **more), "scaleAction": action}


def profile(low: int, high: int, default: int, rules: list[dict], **more: Any) -> dict[str, Any]:
    return {"name": "p", "capacity": {"minimum": str(low), "maximum": str(high), "default": str(default)}, "rules": rules, **more}


class Scaled:
    """A set of instances under a setting."""

    def __init__(self, capacity: int, *profiles: dict[str, Any], seed: int = 0) -> None:
        self.simulation = Simulation(seed=seed, features="all")
        self.id = self.simulation.create_scale_set("web", capacity=capacity)["id"]
        self.simulation.settle()
        self.put(profiles)

    def put(self, profiles: tuple[dict[str, Any], ...], enabled: bool = True) -> None:
        path = f"{self.id.partition('/providers/')[0]}/providers/Microsoft.Insights/autoscaleSettings/auto?api-version=2022-10-01"
        for each in profiles:
            for rule in each["rules"]:
                rule["metricTrigger"].setdefault("metricResourceUri", self.id)
        body = {"location": "eastus", "properties": {"enabled": enabled, "targetResourceUri": self.id, "profiles": list(profiles)}}
        answer = self.simulation.arm("PUT", path, body)
        assert answer.status in (200, 201), answer.body

    @property
    def capacity(self) -> int:
        return int(self.simulation.get(self.id)["sku"]["capacity"])

    def notes(self) -> list[str]:
        return [event.state.text for event in self.simulation.events(limit=100_000) if event.kind is Kind.NOTED]


@pytest.mark.parametrize(
    ("kind", "direction", "value", "instances", "expected"),
    [
        ("ChangeCount", "Increase", 2, 5, 7),
        ("ChangeCount", "Decrease", 2, 5, 3),
        ("ChangeCount", "Decrease", 9, 5, 0),
        ("PercentChangeCount", "Increase", 50, 5, 8),
        ("PercentChangeCount", "Decrease", 10, 5, 4),
        ("PercentChangeCount", "Increase", 10, 4, 5),
        ("ExactCount", "Increase", 4, 9, 4),
        ("ChangeCount", "None", 4, 9, 9),
    ],
)
def test_what_an_action_leads_to(kind: str, direction: str, value: int, instances: int, expected: int) -> None:
    assert result({"type": kind, "direction": direction, "value": str(value)}, instances) == expected


def test_the_guard_defers_a_scale_in_that_would_flap() -> None:
    out = [(rule("GreaterThan", 50, "Increase"), 28.0)]
    assert scale_in_target(1, 2, out) is None, "one instance would be at 56 percent"


def test_the_guard_stops_where_no_scale_out_would_follow() -> None:
    out = [(rule("GreaterThan", 70, "Increase"), 62.0)]
    assert scale_in_target(20, 30, out) == 27, "62 percent of 30 are 68.9 on 27 and 71.5 on 26"


def at(year: int, month: int, day: int, hour: int = 0, minute: int = 0) -> int:
    return from_datetime(datetime(year, month, day, hour, minute, tzinfo=UTC))


def test_a_fixed_date_goes_before_a_recurrence_before_the_default() -> None:
    week = {"frequency": "Week", "schedule": {"timeZone": "UTC", "days": ["Monday", "Friday"], "hours": [8], "minutes": [30]}}
    profiles = [
        profile(1, 1, 1, [], name="default"),
        profile(2, 2, 2, [], name="weekly", recurrence=week),
        profile(3, 3, 3, [], name="fixed", fixedDate={"timeZone": "UTC", "start": "2021-08-12T00:00:00", "end": "2021-08-13T00:00:00"}),
    ]
    assert active_profile(profiles, at(2021, 8, 12, 12))["name"] == "fixed"
    assert active_profile(profiles, at(2021, 8, 13, 0))["name"] == "weekly", "a fixed date ends before its end"
    assert active_profile(profiles[:1], at(2021, 8, 13, 0))["name"] == "default"


def test_of_two_recurrences_the_one_that_began_last_holds() -> None:
    def weekly(name: str, hour: int) -> dict[str, Any]:
        schedule = {"timeZone": "W. Europe Standard Time", "days": ["Wednesday"], "hours": [hour], "minutes": [0]}
        return profile(1, 1, 1, [], name=name, recurrence={"frequency": "Week", "schedule": schedule})

    profiles = [weekly("day", 8), weekly("night", 18)]
    assert active_profile(profiles, at(2021, 8, 11, 6, 30))["name"] == "day", "half past eight in Berlin"
    assert active_profile(profiles, at(2021, 8, 11, 5, 30))["name"] == "night", "half past seven: last week's night still holds"


def test_the_largest_of_the_scale_outs_that_fire_wins() -> None:
    rules = [rule("GreaterThan", 70, "Increase", 3, cooldown="PT1H"), rule("GreaterThan", 60, "Increase", 5, cooldown="PT1H")]
    scaled = Scaled(2, profile(1, 20, 2, rules))
    scaled.simulation.feed_metric(scaled.id, CPU, 90)
    scaled.simulation.advance("20m")
    assert scaled.capacity == 7


def test_scale_in_needs_every_rule_and_takes_the_smallest_cut() -> None:
    rules = [rule("LessThan", 30, "Decrease", 50, "PercentChangeCount", "PT1H"), rule("LessThan", 30, "Decrease", 3, cooldown="PT1H")]
    scaled = Scaled(10, profile(1, 20, 2, rules))
    scaled.simulation.feed_metric(scaled.id, CPU, 10)
    scaled.simulation.advance("20m")
    assert scaled.capacity == 7


def test_no_scale_in_while_one_rule_does_not_fire() -> None:
    scaled = Scaled(5, profile(1, 20, 2, [rule("LessThan", 30, "Decrease"), rule("LessThan", 50, "Decrease", metric="Memory")]))
    scaled.simulation.feed_metric(scaled.id, CPU, 25)
    scaled.simulation.feed_metric(scaled.id, "Memory", 51)
    scaled.simulation.advance("1h")
    assert scaled.capacity == 5


def test_one_cooldown_blocks_both_directions() -> None:
    rules = [rule("GreaterThan", 70, "Increase", cooldown="PT1H"), rule("LessThan", 20, "Decrease", cooldown="PT40M")]
    scaled = Scaled(2, profile(1, 9, 2, rules))
    scaled.simulation.feed_metric(scaled.id, CPU, 90)
    scaled.simulation.advance("15m")
    assert scaled.capacity == 3
    scaled.simulation.feed_metric(scaled.id, CPU, 5)
    scaled.simulation.advance("40m")
    assert scaled.capacity == 3, "the scale-out's hour is not over"
    scaled.simulation.advance("30m")
    assert scaled.capacity == 2
    scaled.simulation.feed_metric(scaled.id, CPU, 90)
    scaled.simulation.advance("15m")
    assert scaled.capacity == 2, "the scale-in's 40 minutes are not over"


def test_a_deferred_scale_in_is_noted() -> None:
    scaled = Scaled(2, profile(1, 9, 2, [rule("GreaterThan", 50, "Increase"), rule("LessThan", 30, "Decrease")]))
    scaled.simulation.feed_metric(scaled.id, CPU, 28)
    scaled.simulation.advance("15m")
    assert scaled.capacity == 2
    assert any("Flapping" in note and "Current instance count: '2', Intended new instance count: '1'" in note for note in scaled.notes())


def test_a_count_outside_the_limits_is_brought_back() -> None:
    scaled = Scaled(1, profile(3, 4, 3, []))
    scaled.simulation.advance("3m")
    assert scaled.capacity == 3
    scaled.simulation.scale("web", 8)
    scaled.simulation.advance("3m")
    assert scaled.capacity == 4


def test_without_metrics_the_default_is_reached_and_no_more() -> None:
    scaled = Scaled(1, profile(1, 9, 4, [rule("GreaterThan", 70, "Increase", metric="Queue Length")]))
    scaled.simulation.advance("10m")
    assert scaled.capacity == 4
    assert "Autoscale metrics unavailable" in scaled.notes()
    scaled.simulation.feed_metric(scaled.id, "Queue Length", 1)
    scaled.simulation.advance("15m")
    assert scaled.capacity == 4
    assert "Autoscale metrics recovered" in scaled.notes()


def test_a_disabled_setting_does_nothing() -> None:
    scaled = Scaled(1, profile(1, 9, 1, []))
    scaled.put((profile(5, 9, 5, []),), enabled=False)
    scaled.simulation.advance("1h")
    assert scaled.capacity == 1


@pytest.mark.parametrize(
    ("operator", "value", "fires"),
    [
        ("Equals", 50, True),
        ("Equals", 51, False),
        ("NotEquals", 51, True),
        ("GreaterThan", 50, False),
        ("GreaterThanOrEqual", 50, True),
        ("LessThan", 50, False),
        ("LessThanOrEqual", 50, True),
    ],
)
def test_operators(operator: str, value: float, fires: bool) -> None:
    scaled = Scaled(1, profile(1, 9, 1, [rule(operator, 50, "Increase", cooldown="PT12H")]))
    scaled.simulation.feed_metric(scaled.id, CPU, value)
    scaled.simulation.advance("20m")
    assert scaled.capacity == (2 if fires else 1)


@pytest.mark.parametrize(("statistic", "threshold"), [("Average", 29.9), ("Min", 9.9), ("Max", 59.9), ("Sum", 89.9), ("Count", 2.9)])
def test_statistics_go_over_instances(statistic: str, threshold: float) -> None:
    """Three instances show 20, 60 and 10."""
    assert statistic.lower() in STATISTICS
    for limit, expected in ((threshold, 4), (threshold + 0.2, 3)):
        scaled = Scaled(3, profile(1, 9, 3, [rule("GreaterThan", limit, "Increase", cooldown="PT12H", statistic=statistic)]))
        for vm, value in zip(scaled.simulation.instances("web"), (20, 60, 10), strict=True):
            scaled.simulation.feed_metric(vm["id"], CPU, value)
        scaled.simulation.advance("20m")
        assert scaled.capacity == expected, (statistic, limit)


@pytest.mark.parametrize("aggregation", AGGREGATIONS)
def test_aggregations_go_over_the_window(aggregation: str) -> None:
    """Five minutes of 10, then the value 40: what each aggregation makes of a steady value."""
    expected = {"total": 200, "count": 5}.get(aggregation, 40)
    for limit, capacity in ((expected - 0.5, 2), (expected + 0.5, 1)):
        scaled = Scaled(1, profile(1, 9, 1, [rule("GreaterThan", limit, "Increase", cooldown="PT12H", timeAggregation=aggregation)]))
        scaled.simulation.feed_metric(scaled.id, CPU, 40)
        scaled.simulation.advance("30m")
        assert scaled.capacity == capacity


def test_divided_by_instance() -> None:
    scaled = Scaled(4, profile(1, 9, 4, [rule("GreaterThan", 24, "Increase", cooldown="PT12H", dividePerInstance=True)]))
    scaled.simulation.feed_metric(scaled.id, CPU, 100)
    scaled.simulation.advance("20m")
    assert scaled.capacity == 5


def test_the_load_model_is_shared_by_those_who_serve() -> None:
    simulation = Simulation(features="all")
    target = simulation.create_scale_set("web", capacity=1, tags={"kqlite:load": "constant 150"})["id"]
    simulation.settle()
    scaled = Scaled.__new__(Scaled)
    scaled.simulation, scaled.id = simulation, target
    scaled.put((profile(1, 9, 1, [rule("GreaterThan", 60, "Increase", cooldown="PT15M")]),))
    simulation.advance("2h")
    assert scaled.capacity == 3, "150 percent are 75 on two instances and 50 on three"
