"""Ctrl-C while time passes or a request runs: nothing is lost, and nothing stands still afterwards."""

import signal
from typing import Any

import pytest

from kqlite.orchestration.errors import CoreError
from kqlite.orchestration.log import every_event
from kqlite.simulation import Simulation


def interrupt_at(simulation: Simulation, monkeypatch: pytest.MonkeyPatch, step: int) -> None:
    """Press Ctrl-C within the so-many-th step of a timer."""
    run = simulation.plane._run
    steps = iter(range(1, 1_000_000))

    def pressing(timer: Any) -> None:
        run(timer)
        if next(steps) == step:
            signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(simulation.plane, "_run", pressing)


@pytest.mark.parametrize("step", [1, 7, 30])
def test_time_that_is_interrupted_goes_on_afterwards(monkeypatch: pytest.MonkeyPatch, step: int) -> None:
    undisturbed = Simulation(seed=1, features="all")
    simulation = Simulation(seed=1, features="all")
    for each in (undisturbed, simulation):
        each.create_scale_set("web", capacity=20)
    with monkeypatch.context() as patch:
        interrupt_at(simulation, patch, step)
        with pytest.raises(KeyboardInterrupt):
            simulation.advance("1h")
    for each in (undisturbed, simulation):
        each.advance("1h")
        assert each.settle()
        assert [machine["properties"]["provisioningState"] for machine in each.instances("web")] == ["Succeeded"] * 20
    assert [event.cause for event in every_event(simulation.log)] == [event.cause for event in every_event(undisturbed.log)]


def test_a_key_is_not_lost_where_the_request_is_refused() -> None:
    simulation = Simulation(seed=1, features="all")

    def refused(_: Any) -> None:
        signal.raise_signal(signal.SIGINT)
        raise CoreError("refused")

    with pytest.raises(KeyboardInterrupt):
        simulation.plane.request(refused, "test")
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


@pytest.mark.parametrize("many", [False, True])
def test_a_request_that_is_interrupted_is_whole(monkeypatch: pytest.MonkeyPatch, many: bool) -> None:
    simulation = Simulation(seed=1, features="all")
    group = f"/subscriptions/{simulation.subscriptions[0]}/resourceGroups/rg?api-version=2021-04-01"
    commit = simulation.log.commit

    def pressing(events: Any, facts: Any) -> None:
        signal.raise_signal(signal.SIGINT)
        commit(events, facts)

    with monkeypatch.context() as patch:
        patch.setattr(simulation.log, "commit", pressing)
        with pytest.raises(KeyboardInterrupt):
            _ = simulation.arm_many([("PUT", group, {"location": "eastus"})]) if many else simulation.create_group()
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    simulation.create_scale_set("web", capacity=2)
    assert simulation.settle()
    assert [event.sequence for event in every_event(simulation.log)] == list(range(1, simulation.log.last + 1))
