"""Eight threads that ask while a simulation runs as fast as it can: no answer is torn, none goes back, and none is wrong."""

import os
import random
import threading
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from kqlite.connection import Connection
from kqlite.orchestration.clock import Clock, from_datetime
from kqlite.simulation import Simulation
from tests.support.arm_rows import state_of
from tests.support.live_checks import assert_same, check_answers, check_records, records, shown
from tests.support.live_processes import QUESTION, one_request

SECONDS = 60 if os.environ.get("KQLITE_CAMPAIGN") == "full" else 3
READERS = 8
SPEED = 20
BOUND = timedelta(seconds=60)

# What is never so, as of any instant: each gives no row.
TORN = (
    # Every machine has its health, and nothing else has.
    """resources | where type =~ 'microsoft.compute/virtualmachines' | project id = tolower(id)
    | join kind=fullouter (healthresources | project id = tolower(tostring(properties.targetResourceId))) on id
    | where id == '' or id1 == ''""",
    # What hangs on a machine hangs on one that is there.
    """resources | where type =~ 'microsoft.network/networkinterfaces' and isnotempty(properties.virtualMachine.id)
    | project machine = tolower(tostring(properties.virtualMachine.id))
    | join kind=leftouter (resources | where type =~ 'microsoft.compute/virtualmachines' | project machine = tolower(id)) on machine
    | where machine1 == ''""",
    # No resource has two rows.
    "resources | summarize rows = count() by id = tolower(id) | where rows > 1",
)


class Reader(threading.Thread):
    """Asks until it is told to stop."""

    def __init__(self, connection: Connection, prefix: bool, number: int) -> None:
        super().__init__(daemon=True)
        self.connection = connection
        self.prefix = prefix
        self.draw = random.Random(number)
        self.ended = threading.Event()
        self.failure: BaseException | None = None
        self.answers: list[tuple[int, dict[str, str]]] = []
        self.asked = 0
        self.oldest = timedelta(0)

    def run(self) -> None:
        try:
            sequence, watermark = 0, 0
            while not self.ended.is_set():
                torn = self.draw.choice((None, *(TORN if self.prefix else TORN[2:])))
                result = self.connection.query(QUESTION if torn is None else torn)
                snapshot = result.snapshot
                assert snapshot.sequence is not None
                assert snapshot.watermark is not None
                assert snapshot.lag is not None
                self.oldest = max(self.oldest, snapshot.lag)
                assert snapshot.sequence >= sequence, "the inventory went back"
                assert from_datetime(snapshot.watermark) >= watermark, "the watermark went back"
                sequence, watermark = snapshot.sequence, from_datetime(snapshot.watermark)
                if torn is None:
                    self.answers.append((sequence, {row["id"]: row["state"] for row in result}))
                else:
                    assert result.to_pylist() == [], torn
                self.asked += 1
        except BaseException as error:
            self.failure = error


@pytest.mark.campaign
@pytest.mark.parametrize("lag", ["0s..20s", "per-resource 0s..20s"])
def test_eight_threads_ask_while_it_moves(lag: str, tmp_path: Path) -> None:
    """For a minute where KQLITE_CAMPAIGN=full, else for seconds."""
    simulation = Simulation(tmp_path, seed=1, clock=Clock.scaled(SPEED), features="all", lag=lag)
    connection = simulation.inventory
    assert connection.wait_for(simulation.log.last, 20)
    readers = [Reader(connection, "per" not in lag, number) for number in range(READERS)]
    for reader in readers:
        reader.start()
    draw: Any = random.Random(1)
    end = time.monotonic() + SECONDS
    while time.monotonic() < end and not any(reader.failure for reader in readers):
        one_request(simulation, draw)
        if draw.random() < 0.05:
            # What one has done oneself is there when one has waited for it.
            last = simulation.log.last
            assert connection.wait_for(last, 30)
            assert (connection.query("resources | count").snapshot.sequence or 0) >= last
    for reader in readers:
        reader.ended.set()
    for reader in readers:
        reader.join(30)
        assert not reader.is_alive()
        if reader.failure is not None:
            raise reader.failure
        assert reader.asked
        # On a busy machine a short run may stand still for a moment.
        assert reader.oldest <= BOUND or SECONDS < 60, f"an answer was {reader.oldest} old"
    if "per" not in lag:
        check_answers(simulation.log, [answer for reader in readers for answer in reader.answers])
    simulation.close()
    with Simulation(tmp_path, lag=lag) as simulation:
        simulation.settle()
        simulation.advance("10m")
        snapshot, found = shown(simulation.inventory)
        assert_same(found, state_of(simulation))
        check_records(records(simulation.inventory), simulation.log, snapshot.sequence or 0, simulation.plane.now)
