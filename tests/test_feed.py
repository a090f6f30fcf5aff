"""The change feed: in order and complete, or disturbed as its faults say, the same way each time."""

from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from kqlite.orchestration.events import Event
from kqlite.orchestration.log import SqliteLog, every_event
from kqlite.orchestration.model import Type
from kqlite.simulation import LOG_NAME, Simulation
from kqlite.snapshotter.feed import NEVER_SHOWN, Feed
from kqlite.snapshotter.lag import Lag
from kqlite.snapshotter.pending import PerResource, Prefix

FOREVER = 1 << 62


def busy(*faults: dict[str, Any]) -> Simulation:
    simulation = Simulation(seed=3, features="all")
    for fault in faults:
        simulation.inject(fault)
    simulation.create_scale_set("web", capacity=5)
    simulation.settle()
    for machine in simulation.instances("web")[:3]:
        simulation.act(machine["name"], "deallocate")
    simulation.settle()
    return simulation


def pulled(feed: Feed, until: int = FOREVER, limit: int = 7) -> list[Event]:
    events: list[Event] = []
    more = True
    while more:
        found, _, more, _ = feed.pull(until, limit)
        events += found
    return events + feed.pull(until, limit).events


def test_events_come_in_order_from_any_place_and_not_before_their_time() -> None:
    log = busy().log
    everything = list(every_event(log))
    assert pulled(Feed(log)) == everything
    assert pulled(Feed(log, after=20)) == everything[20:]
    middle = everything[len(everything) // 2].time
    feed = Feed(log)
    assert pulled(feed, middle) == [event for event in everything if event.time <= middle]
    assert pulled(feed) == [event for event in everything if event.time > middle]
    assert not feed.disturbed


def test_a_page_that_was_read_too_early_does_not_hide_what_came_later() -> None:
    simulation = Simulation(seed=3, features="all")
    feed = Feed(simulation.log)
    pulled(feed)
    simulation.create_scale_set("web", capacity=1)
    assert feed.pull(until=0).events == []
    simulation.settle()
    _, reached, more, _ = feed.pull(FOREVER)
    assert (reached, more) == (simulation.log.last, False)


def test_another_process_follows_the_log_of_a_running_simulation(tmp_path: Path) -> None:
    with Simulation(tmp_path, features="all") as simulation:
        feed = Feed(reader := SqliteLog(tmp_path / LOG_NAME, read_only=True))
        seen = pulled(feed)
        simulation.create_scale_set("web", capacity=2)
        seen += pulled(feed)
        simulation.settle()
        seen += pulled(feed)
        everything = list(every_event(simulation.log))
        assert [event.sequence for event in seen] == [event.sequence for event in everything]
        assert [event for event in seen if event.type not in NEVER_SHOWN] == [
            event for event in everything if event.type not in NEVER_SHOWN
        ]
        assert reader.last == simulation.log.last == len(seen)
        reader.close()


@pytest.mark.parametrize("fault", ["feed_loss", "feed_duplicate", "feed_reorder", "feed_lag"])
def test_a_fault_strikes_a_share_of_the_notifications_and_the_same_ones_each_time(fault: str) -> None:
    spec: dict[str, Any] = {"fault": fault, "probability": 0.3} | ({"limit": 5} if fault == "feed_lag" else {})
    log = busy(spec).log
    everything = [event.sequence for event in every_event(log)]
    feed = Feed(log, seed=1)
    seen = [event.sequence for event in pulled(feed)]
    assert seen == [event.sequence for event in pulled(Feed(log, seed=1))]
    assert seen != [event.sequence for event in pulled(Feed(log, seed=2))]
    assert feed.disturbed
    counts = Counter(seen)
    match fault:
        case "feed_loss":
            assert set(counts.values()) == {1}
            assert len(everything) * 0.6 < len(seen) < len(everything)
            assert seen == sorted(seen)
        case "feed_duplicate":
            assert set(counts) == set(everything)
            assert set(counts.values()) == {1, 2}
        case _:
            assert sorted(seen) == everything
            assert seen != everything


def test_a_fault_of_one_type_leaves_the_others_alone() -> None:
    log = busy({"fault": "feed_loss", "type": "microsoft.compute/virtualmachines"}).log
    everything = list(every_event(log))
    lost = {event.sequence for event in everything} - {event.sequence for event in pulled(Feed(log))}
    assert lost == {event.sequence for event in everything if event.type == Type.VM}


def test_a_fault_ends_when_it_is_recovered_and_after_so_many_strikes() -> None:
    simulation = busy()
    fault = simulation.inject({"fault": "feed_loss"})
    simulation.create_scale_set("lost", capacity=1)
    simulation.settle()
    simulation.recover(fault)
    first = simulation.log.last
    simulation.create_scale_set("found", capacity=1)
    simulation.settle()
    seen = {event.sequence for event in pulled(Feed(simulation.log))}
    assert seen >= set(range(first + 1, simulation.log.last + 1))
    counted = busy({"fault": "feed_loss", "count": 4}).log
    assert counted.last - len(pulled(Feed(counted))) == 4


def test_a_feed_that_starts_in_the_middle_knows_the_faults_that_hold() -> None:
    log = busy({"fault": "feed_loss"}).log
    whole = Feed(log)
    pulled(whole)
    later = Feed(log, after=log.last - 10, faults=whole.faults)
    assert len(pulled(later)) < 10


def test_a_prefix_is_whole_whatever_the_feed_loses() -> None:
    faults = [{"fault": name, "probability": 0.3} for name in ("feed_loss", "feed_duplicate", "feed_reorder", "feed_lag")]
    log = busy(*faults).log
    pending = Prefix(Feed(log), log, 0, Lag.of("10s"))
    shown: list[Event] = []
    for now in sorted({event.time + second * 1_000_000 for event in every_event(log) for second in (0, 10)}):
        for batch in pending.due(now):
            shown += batch.shown
            assert batch.recorded == batch.shown
            assert shown == list(every_event(log))[: batch.offset]
        assert [event for event in every_event(log) if event.time <= now - 10_000_000] == shown
    assert pending.refetched


def test_each_resource_keeps_its_order_and_the_records_too() -> None:
    log = busy().log
    pending = PerResource(Feed(log), log, 0, Lag.of("per-resource 0s..40s"))
    shown: list[Event] = []
    recorded: list[Event] = []
    for now in sorted({event.time + second * 1_000_000 for event in every_event(log) for second in (0, 20, 40)}):
        for batch in pending.due(now):
            shown += batch.shown
            recorded += batch.recorded
            assert recorded == list(every_event(log))[: batch.offset]
            assert {event.sequence for event in shown} >= {event.sequence for event in every_event(log) if event.time <= batch.watermark}
        late = [event for event in every_event(log) if event.time <= now - 60_000_000]
        assert {event.sequence for event in shown} >= {event.sequence for event in late}
    assert sorted(shown, key=lambda event: event.sequence) == recorded == list(every_event(log))
    assert shown != recorded
    versions: dict[str, int] = {}
    for event in shown:
        if event.type == Type.VM:
            assert event.version > versions.get(event.id, 0)
            versions[event.id] = event.version


def test_what_is_lost_holds_the_records_back_until_it_is_found() -> None:
    log = busy({"fault": "feed_loss", "probability": 0.2}).log
    pending = PerResource(Feed(log), log, 0, Lag.of("per-resource 0s"))
    before = list(pending.due(FOREVER))
    assert before[-1].offset < log.last
    missing = pending.missing()
    assert missing
    pending.found(log.at(missing))
    after = list(pending.due(FOREVER))
    assert after[-1].offset == log.last
    assert [event for batch in before + after for event in batch.recorded] == list(every_event(log))
    assert pending.missing() == []


@pytest.mark.parametrize("fault", [{"fault": "feed_reorder"}, {"fault": "feed_lag", "limit": 45}, {"fault": "feed_duplicate"}])
def test_a_notification_that_is_disturbed_shows_within_the_bound_for_all_that(fault: dict[str, Any]) -> None:
    log = busy(fault).log
    pending = PerResource(Feed(log), log, 0, Lag.of("per-resource 60s"))
    shown: set[int] = set()
    for now in sorted({event.time + 60_000_000 for event in every_event(log)}):
        batches = list(pending.due(now))
        shown.update(event.sequence for batch in batches for event in batch.shown)
        assert shown == {event.sequence for event in every_event(log) if event.time <= now - 60_000_000}
        assert batches[-1].watermark >= now - 60_000_000


def test_whoever_begins_in_the_middle_fetches_what_is_lost_to_it() -> None:
    log = busy({"fault": "feed_loss", "probability": 0.2}).log
    pending = PerResource(Feed(log, after=10), log, 10, Lag.of("per-resource 0s"))
    assert [event.sequence for batch in pending.due(FOREVER) for event in batch.recorded] == list(range(11, log.last + 1))


def test_the_watermark_does_not_go_back_before_what_is_lost() -> None:
    simulation = busy()
    log = simulation.log
    pending = PerResource(Feed(log), log, 0, Lag.of("per-resource 0s"))
    simulation.advance("1h")
    now = simulation.plane.now
    assert list(pending.due(now))[-1].watermark == now
    simulation.inject({"fault": "feed_loss"})
    simulation.create_scale_set("lost", capacity=1)
    simulation.settle()
    last = list(pending.due(simulation.plane.now))[-1]
    assert last.offset < log.last
    assert last.watermark >= now
