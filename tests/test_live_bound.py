"""What a fault of the feed makes late is no later than the lag's bound."""

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
