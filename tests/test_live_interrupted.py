"""Ctrl-C while a query brings changes in: nothing is lost, and the next one goes on."""

from typing import Any

import pytest

from kqlite.simulation import Simulation
from tests.support.arm_rows import state_of
from tests.support.live_checks import assert_same, check_records, records, shown


@pytest.mark.parametrize("lag", [0, "per-resource 0s..5s"])
@pytest.mark.parametrize("applied", [False, True])
def test_a_query_that_a_key_ends_loses_nothing(lag: Any, applied: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """applied: whether the key comes after the store has the changes that the query brings in, or before."""
    simulation = Simulation(seed=1, features="all", lag=lag)
    simulation.inventory.query("print 1")
    simulation.create_scale_set("web", capacity=5)
    simulation.advance("10m")
    assert simulation._live is not None
    store = simulation._live.snapshotter._store
    apply = store.apply

    def interrupted(*arguments: Any) -> None:
        if applied:
            apply(*arguments)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(store, "apply", interrupted)
        with pytest.raises(KeyboardInterrupt):
            simulation.inventory.query("resources | count")
    snapshot, found = shown(simulation.inventory)
    assert_same(found, state_of(simulation))
    assert snapshot.sequence == simulation.log.last
    check_records(records(simulation.inventory), simulation.log, simulation.log.last, simulation.plane.now)
