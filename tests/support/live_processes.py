"""Processes to be killed: one that simulates in a directory under load, and one that asks the directory again and again.

holder DIRECTORY SEED LAG    simulates, 200 times as fast as the wall; a line once the inventory is there, and then one for each request
asker DIRECTORY              a line for each answer: the snapshot's sequence number, and the provisioning state of each machine by id
"""

import faulthandler
import json
import os
import random
import signal
import subprocess
import sys
import time
from itertools import count
from pathlib import Path
from typing import Any

PACKAGE = Path(__file__).parent.parent.parent
SPEED = 200.0
QUESTION = "resources | where type =~ 'microsoft.compute/virtualmachines' | project id, state = tostring(properties.provisioningState)"


class Process:
    """One of the processes, and what it has said.

    table: the parser's table as saved, which a checkout lacks and would build for seconds. file: what it says goes there, and its errors
    beside it.
    """

    def __init__(self, table: Path, file: Path, *words: object) -> None:
        self.file = file
        environment = {**os.environ, "PYTHONPATH": str(PACKAGE)}
        command = [sys.executable, __file__, str(table), *map(str, words)]
        with file.open("w") as said, file.with_suffix(".errors").open("w") as errors:
            self.process = subprocess.Popen(command, env=environment, stdout=said, stderr=errors)

    @property
    def lines(self) -> list[Any]:
        """What it has said; a line that a kill has cut in two is not said."""
        text = self.file.read_text()
        return [json.loads(line) for line in text[: text.rfind("\n") + 1].splitlines()]

    @property
    def errors(self) -> str:
        """What it has complained of."""
        return self.file.with_suffix(".errors").read_text()

    def wait_for_lines(self, lines: int, seconds: float = 60) -> None:
        """Wait until it has said so much."""
        deadline = time.monotonic() + seconds
        while len(self.lines) < lines:
            assert self.process.poll() is None, self.errors
            assert time.monotonic() < deadline, f"nothing was said for {seconds} s; {self.errors}"
            time.sleep(0.02)

    def kill(self) -> None:
        """As a power cut would; it must have been running until now."""
        assert self.process.poll() is None, self.errors
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()


def save_table(file: Path) -> Path:
    """Write what a process wants."""
    from kqlite.bundled import bundled
    from kqlite.language import parser

    file.write_bytes(parser.save_table(bundled(parser.GRAMMAR).read_text(encoding="utf-8")))
    return file


def use_table(file: Path) -> None:
    from kqlite.language import parser

    data = file.read_bytes()
    table = parser.load_table(data, json.loads(data)["grammar"])
    assert table is not None
    parser.table = lambda: table  # type: ignore[assignment]


def hold(directory: str, seed: str, lag: str) -> None:
    from kqlite.orchestration.clock import Clock
    from kqlite.simulation import Simulation

    draw = random.Random(seed)
    simulation = Simulation(directory, seed=1, clock=Clock.scaled(SPEED), features="all", lag=lag)
    connection = simulation.inventory
    tell("holds")
    for number in count():
        one_request(simulation, draw)
        if draw.random() < 0.1:
            connection.query("resources | count")
        tell(number)


def one_request(simulation: Any, draw: random.Random) -> None:
    """Ask for something that keeps a small fleet busy."""
    group = simulation._group_path("rg", None)
    simulation.create_group()
    kind = draw.randrange(5)
    if kind == 0:
        path = f"{group}/providers/Microsoft.Compute/virtualMachineScaleSets/web"
        body = simulation.set_body("web", capacity=draw.randrange(9), domains=2, health=draw.random() < 0.5)
        simulation.arm("PUT", f"{path}?api-version=2021-07-01", body)
    elif kind == 1:
        simulation.arm("PUT", *machine(simulation, f"vm{draw.randrange(6)}"))
    else:
        names = [vm.name for vm in simulation.plane.fleet.containers[group.lower()].of("Microsoft.Compute/virtualMachines").values()]
        for name in draw.sample(names, min(len(names), 3)):
            on_machine(simulation, f"{group}/providers/Microsoft.Compute/virtualMachines/{name}", draw)


def on_machine(simulation: Any, path: str, draw: random.Random) -> None:
    action = draw.choice(("powerOff", "deallocate", "start", "restart"))
    method, child = ("DELETE", "") if draw.random() < 0.2 else ("POST", f"/{action}")
    simulation.arm(method, f"{path}{child}?api-version=2021-07-01")
    if draw.random() < 0.3:
        # A new member: the table is widened.
        simulation.arm("PATCH", f"{path}?api-version=2021-07-01", {"tags": {f"t{draw.randrange(50)}": "x"}})


def machine(simulation: Any, name: str) -> tuple[str, Any]:
    path = simulation._path("rg", None, "Microsoft.Compute/virtualMachines", name)
    return f"{path}?api-version=2021-07-01", simulation.vm_body(name)


def ask(directory: str) -> None:
    import kqlite

    with kqlite.connect(directory) as connection:
        while True:
            result = connection.query(QUESTION)
            tell([result.snapshot.sequence, {row["id"]: row["state"] for row in result}])
            time.sleep(0.02)


def tell(line: object) -> None:
    print(json.dumps(line), flush=True)


if __name__ == "__main__":
    faulthandler.register(signal.SIGUSR1)
    use_table(Path(sys.argv[1]))
    roles: dict[str, Any] = {"holder": hold, "asker": ask}
    roles[sys.argv[2]](*sys.argv[3:])
