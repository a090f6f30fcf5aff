"""What a live inventory says of itself, and that there is one of it."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import pytest

from kqlite.cli.status import as_text
from kqlite.connection import connect
from kqlite.errors import InventoryError
from kqlite.orchestration.clock import Clock
from kqlite.simulation import Simulation
from kqlite.stats import from_json, to_json


def test_a_live_inventory_says_how_far_it_has_come() -> None:
    simulation = Simulation(seed=1, features="all", lag="10s")
    simulation.create_scale_set("web", capacity=2)
    simulation.inventory.query("print 1")
    simulation.advance("1h")
    stats = simulation.inventory.stats()
    assert stats.lag == timedelta(seconds=10)
    assert stats.feed is not None
    assert (stats.sequence, stats.feed.sequence, stats.feed.backlog) == (simulation.log.last, simulation.log.last, 0)
    assert stats.feed.lags is not None
    assert stats.feed.lags.most == timedelta(seconds=10)
    assert {size.type: size.rows for size in stats.types}["microsoft.compute/virtualmachines"] == 2
    assert from_json(to_json(stats)) == stats
    simulation.advance("2h")
    feed = simulation.inventory.stats().feed
    assert feed is not None
    assert feed.last_crawl == simulation.now


def test_it_says_why_changes_do_not_come(monkeypatch: pytest.MonkeyPatch) -> None:
    simulation = Simulation(seed=1, features="all", lag=0)
    simulation.inventory.query("print 1")
    assert simulation._live is not None
    store = simulation._live.snapshotter._store

    def full(*_: object) -> None:
        raise InventoryError("nothing was written: no room")

    simulation.create_group()
    with monkeypatch.context() as patch:
        patch.setattr(store, "apply", full)
        with pytest.raises(InventoryError):
            simulation.inventory.query("print 1")
        feed = simulation._live.updater.feed_stats()
        assert feed.trouble == "nothing was written: no room"
    stats = simulation.inventory.stats()
    assert stats.feed is not None
    assert (stats.feed.trouble, stats.feed.backlog) == ("", 0)
    assert "trouble" not in as_text(stats)


def test_threads_that_ask_for_it_first_get_the_same(tmp_path: Path) -> None:
    with Simulation(tmp_path, features="all") as simulation, ThreadPoolExecutor(8) as pool:
        assert len(set(pool.map(lambda _: id(simulation.inventory), range(8)))) == 1


def test_changes_per_second_are_those_of_the_last_minute(monkeypatch: pytest.MonkeyPatch) -> None:
    wall = [100.0]
    monkeypatch.setattr("kqlite.access.live.time.monotonic", lambda: wall[0])
    simulation = Simulation(seed=1, features="all", lag=0)

    def rate() -> float:
        feed = simulation.inventory.stats().feed
        assert feed is not None
        return feed.changes_per_second

    assert rate() == 0
    simulation.create_scale_set("web", capacity=2)
    wall[0] += 10
    first = simulation.log.last
    assert rate() == first / 10
    wall[0] += 20
    simulation.advance("10m")
    last = simulation.log.last
    assert last > first
    assert rate() == last / 30
    wall[0] += 45
    assert rate() == (last - first) / 60
    wall[0] += 3_600
    assert rate() == 0


def test_no_time_passes_for_a_change_that_has_not_happened() -> None:
    simulation = Simulation(seed=1, features="all", lag="30s")
    simulation.create_group()
    before = simulation.now
    assert not simulation.inventory.wait_for(simulation.log.last + 1)
    assert simulation.now == before
    assert simulation.inventory.wait_for(simulation.log.last)
    assert simulation.now == before + timedelta(seconds=30)


@pytest.mark.parametrize("clock", [Clock.manual, lambda: Clock.scaled(10)])
@pytest.mark.parametrize("kept", [False, True])
def test_a_closed_one_says_so(clock: Callable[[], Clock], kept: bool, tmp_path: Path) -> None:
    simulation = Simulation(tmp_path if kept else None, features="all", clock=clock())
    inventory = simulation.inventory
    simulation.close()
    simulation.close()
    asked: list[Callable[[], object]] = [
        lambda: inventory.query("print 1"),
        lambda: simulation.inventory.compile("print 1"),
        inventory.stats,
        lambda: inventory.wait_for(1_000, 5),
    ]
    for ask in asked:
        with pytest.raises(InventoryError, match="closed"):
            ask()


def test_one_that_was_closed_before_anybody_asked_begins_no_inventory(tmp_path: Path) -> None:
    simulation = Simulation(tmp_path, features="all")
    simulation.close()
    with pytest.raises(InventoryError, match="closed"):
        _ = simulation.inventory
    Simulation(tmp_path).close()


def test_a_type_whose_last_row_has_gone_is_not_counted() -> None:
    simulation = Simulation(seed=1, features="all", lag=0)
    simulation.create_vm("a")
    simulation.settle()
    simulation.inventory.query("print 1")
    simulation.act("a", "delete")
    simulation.settle()
    types = {size.type for size in simulation.inventory.stats().types}
    assert "microsoft.compute/virtualmachines" not in types
    assert "microsoft.resources/changes" in types


def test_another_process_is_answered_until_nobody_answers_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    simulation = Simulation(tmp_path, features="all", lag=0)
    simulation.create_vm("vm")
    simulation.settle()
    count = "resources | where type =~ 'microsoft.compute/virtualmachines' | count"
    assert simulation.inventory.query(count).to_pylist() == [{"Count": 1}]
    live = simulation._live
    assert live is not None
    assert live._server is not None
    with connect(tmp_path) as other:
        assert other.query(count).to_pylist() == [{"Count": 1}]
        close = live._server.close
        meanwhile = []

        def closing() -> None:
            meanwhile.extend(other.query(count).to_pylist())
            close()

        monkeypatch.setattr(live._server, "close", closing)
        simulation.close()
        assert meanwhile == [{"Count": 1}]
        assert other.query(count).to_pylist() == [{"Count": 1}]
