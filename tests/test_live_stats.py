"""What a live inventory says of itself, and that there is one of it."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import pytest

from kqlite.errors import InventoryError
from kqlite.simulation import Simulation
from kqlite.stats import from_json, to_json
from kqlite.status import as_text


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
        feed = simulation._live.feeder.feed()
        assert feed.trouble == "nothing was written: no room"
    stats = simulation.inventory.stats()
    assert stats.feed is not None
    assert (stats.feed.trouble, stats.feed.backlog) == ("", 0)
    assert "trouble" not in as_text(stats)


def test_threads_that_ask_for_it_first_get_the_same(tmp_path: Path) -> None:
    with Simulation(tmp_path, features="all") as simulation, ThreadPoolExecutor(8) as pool:
        assert len(set(pool.map(lambda _: id(simulation.inventory), range(8)))) == 1
