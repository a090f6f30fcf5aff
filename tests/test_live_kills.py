"""Killed at any instant, and under load: whoever opens the directory next finds what the core has, and each change recorded once."""

import os
import random
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from kqlite.connection import Connection
from kqlite.orchestration.log import SqliteLog
from kqlite.simulation import LOG_NAME, Simulation
from tests.support.arm_rows import state_of
from tests.support.live_checks import assert_same, check_answers, check_records, records, shown
from tests.support.live_processes import Process, save_table

KILLS = 200 if os.environ.get("KQLITE_CAMPAIGN") == "full" else 4
LAG = "0s..20s"


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_table(tmp_path_factory.mktemp("table") / "table.json")


@pytest.fixture
def start(table: Path, tmp_path: Path) -> Iterator[Callable[..., Process]]:
    """Starts a process of these words; none outlives the test."""
    started: list[Process] = []

    def start(*words: object) -> Process:
        started.append(Process(table, tmp_path / f"{len(started)}.said", *words))
        return started[-1]

    yield start
    for each in started:
        each.process.kill()
        each.process.wait()


def check_whole(directory: Path, lag: str) -> int:
    """Inventory and core are equal once everything is in, and every change has one record; the last event."""
    with Simulation(directory, lag=lag) as simulation:
        connection = simulation.inventory
        first, _ = shown(connection)
        check_records(records(connection), simulation.log, first.sequence or 0, simulation.plane.now)
        drain(simulation, connection)
        snapshot, found = shown(connection)
        assert_same(found, state_of(simulation))
        assert snapshot.sequence is not None
        check_records(records(connection), simulation.log, snapshot.sequence, simulation.plane.now)
        return simulation.log.last


def drain(simulation: Simulation, connection: Connection) -> None:
    """Let time pass until everything is in."""
    for _ in range(100):
        simulation.advance("61s")
        if connection.query("resources | count").snapshot.sequence == simulation.log.last:
            return
    pytest.fail("it never comes to rest")


def log_length(directory: Path) -> int:
    log = SqliteLog(directory / LOG_NAME, read_only=True)
    try:
        return log.last
    finally:
        log.close()


@pytest.mark.campaign
@pytest.mark.parametrize("lag", [LAG, f"per-resource {LAG}"])
def test_killed_at_any_instant(lag: str, tmp_path: Path, start: Callable[..., Process]) -> None:
    """200 kills where KQLITE_CAMPAIGN=full, else four; of those that ask as well."""
    seed = random.Random().randrange(10**6)
    print(f"seed {seed}")
    draw = random.Random(seed)
    directory = tmp_path / "directory"
    holder = start("holder", directory, seed, lag)
    holder.wait_for_lines(2)
    askers = [start("asker", directory)]
    events = 0
    ended = Counter[str]()
    for number in range(KILLS // 2):
        time.sleep(draw.random() * draw.choice((0.1, 0.5, 2.0)))
        holder.kill()
        ended["holder"] += 1
        if draw.random() < 0.3:
            askers[-1].kill()
            ended["asker"] += 1
            askers.append(start("asker", directory))
        if draw.random() < 0.3 or number == KILLS // 2 - 1:
            last = check_whole(directory, lag)
            assert last >= events
            events = last
        asked = len(askers[-1].lines)
        holder = start("holder", directory, seed + number, lag)
        if draw.random() < 0.8:
            # Else it is killed while it begins.
            holder.wait_for_lines(draw.randrange(1, 30))
            askers[-1].wait_for_lines(asked + 1)
    # However soon the others were killed, the last one has done something, and was asked about it.
    deadline = time.monotonic() + 60
    while log_length(directory) <= 100 or len({sequence for asker in askers for sequence, _ in asker.lines}) < 2:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    holder.kill()
    askers[-1].wait_for_lines(len(askers[-1].lines) + 2)
    askers[-1].kill()
    assert check_whole(directory, lag) > 100
    said = [answer for asker in askers for answer in asker.lines]
    assert not any(asker.errors for asker in askers)
    assert len({sequence for sequence, _ in said}) > 1
    if lag == LAG:
        with Simulation(directory) as simulation:
            check_answers(simulation.log, said)
    print(f"{ended}, {events} events, {len(said)} answers")
