"""Nothing is later than the lag's bound: not what a fault of the feed makes late, nor what nobody looks at for a while."""

import pytest

from kqlite.orchestration.clock import SECOND
from kqlite.simulation import Simulation
from kqlite.snapshotter.lag import Lag, Law, Mode


@pytest.mark.parametrize("mode", list(Mode))
def test_a_late_notification_keeps_to_the_bound(mode: Mode) -> None:
    simulation = Simulation(seed=1, features="all", lag=Lag(Law.constant(1), mode, bound=5 * SECOND))
    simulation.inject({"fault": "feed_lag", "limit": 45})
    simulation.create_scale_set("web", capacity=3)
    for _ in range(60):
        simulation.advance("1s")
        lag = simulation.inventory.query("resources | count").snapshot.lag
        assert lag is not None
        assert lag.total_seconds() <= 5


@pytest.mark.parametrize("mode", list(Mode))
def test_what_would_be_too_late_by_the_end_of_the_next_tick_shows_in_this_one(mode: Mode) -> None:
    simulation = Simulation(seed=1, features="all", lag=Lag(Law.constant(60), mode))
    simulation.inventory.query("print 1")
    assert simulation._live is not None
    snapshotter = simulation._live.snapshotter
    simulation.create_group()
    last, now = simulation.log.last, simulation.plane.now
    snapshotter.tick(now + 58 * SECOND)
    assert snapshotter.offset < last
    snapshotter.tick(now + 58 * SECOND, ahead=SECOND)
    assert snapshotter.offset < last, "by the end of the next tick it is 59 s old"
    snapshotter.tick(now + 58 * SECOND, ahead=2 * SECOND)
    assert snapshotter.offset == last
    assert snapshotter.watermark == now
    snapshotter.tick(now + 59 * SECOND)
    assert snapshotter.watermark == now, "it does not go back where the next look is sooner"
    snapshotter.tick(now + 61 * SECOND)
    assert snapshotter.watermark == now + SECOND
