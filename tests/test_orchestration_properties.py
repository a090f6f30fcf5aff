"""Random requests, time steps and faults keep what must always hold, and a replay of the log gives the same state."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kqlite.orchestration.log import MemoryLog, encoded, every_event
from kqlite.simulation import Simulation
from tests.support.random_world import run


@given(seed=st.integers(0, 2**32))
@settings(max_examples=120, deadline=None)
def test_what_must_hold_holds(seed: int) -> None:
    run(seed, 60)


def test_one_seed_gives_one_log_byte_for_byte() -> None:
    first, second = (b"\n".join(encoded(event) for event in every_event(run(7, 120).log)) for _ in range(2))
    assert first == second


def test_one_more_vm_shifts_no_others_draws() -> None:
    def states(with_another: bool) -> list[Any]:
        simulation = Simulation(seed=3, features="all")
        simulation.create_scale_set("web", capacity=4, domains=2)
        if with_another:
            simulation.create_vm("another")
        simulation.settle()
        simulation.advance("1h")
        return [(vm["name"], vm["properties"]["instanceView"]["statuses"]) for vm in simulation.instances("web")]

    assert states(False) == states(True)


def test_a_log_in_memory_shows_only_what_was_committed() -> None:
    log = MemoryLog()
    assert log.last == 0
    assert log.read() == []


@pytest.mark.campaign
def test_campaign() -> None:
    """A thousand runs of 500 steps where KQLITE_CAMPAIGN=full, else ten of 200."""
    full = os.environ.get("KQLITE_CAMPAIGN") == "full"
    for seed in range(1000 if full else 10):
        run(seed, 500 if full else 200)


def test_two_processes_give_the_same_log() -> None:
    """Nothing hangs on the order of sets or on the hash of a text, which differ from process to process."""
    code = (
        "import hashlib, sys\n"
        f"sys.path.insert(0, {str(Path(__file__).parent.parent)!r})\n"
        "from kqlite.orchestration.log import encoded, every_event\n"
        "from tests.support.random_world import run, run\n"
        "digest = hashlib.sha256()\n"
        "for event in every_event(run(11, 150).log):\n"
        "    digest.update(encoded(event))\n"
        "print(digest.hexdigest())\n"
    )
    found = {
        subprocess.run([sys.executable, "-c", code], env={**os.environ, "PYTHONHASHSEED": seed}, capture_output=True, text=True).stdout
        for seed in ("1", "2")
    }
    assert len(found) == 1
    assert len(found.pop().strip()) == 64
