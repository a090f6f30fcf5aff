"""A saved state gives what a replay of the log gives, and is never trusted over the log."""

import random
import shutil
from collections import deque
from pathlib import Path
from typing import Any

import pytest

from kqlite.orchestration import control_plane
from kqlite.orchestration.fleet import Container, Fleet, Membership
from kqlite.orchestration.log import SqliteLog, encoded, every_event
from kqlite.orchestration.saved_state import SavedState
from kqlite.simulation import LOG_NAME, STATE_NAME, Simulation
from tests.support.random_world import World


def everything(value: Any) -> Any:
    """All that a fleet holds, with the order of its tables; what is only a cache left out."""
    if isinstance(value, Fleet):
        kept = {name: each for name, each in vars(value).items() if not name.startswith("_")}
        return everything(kept)
    if isinstance(value, Container):
        held = {str(type_): list(states.items()) for type_, states in value.resources.items() if states}
        return value.id, held, everything(value.members)
    if isinstance(value, Membership):
        return {name: everything(getattr(value, name)) for name in Membership.__slots__}
    if isinstance(value, dict):
        return [(key, everything(each)) for key, each in value.items()]
    if isinstance(value, (list, tuple, deque)):
        return [everything(each) for each in value]
    return value


def world(seed: int, steps: int, directory: Path) -> Simulation:
    draw, made = random.Random(seed), World(seed)
    made.simulation.close()
    made.simulation = Simulation(directory, seed=seed, features="all")
    made.simulation.create_group()
    for _ in range(steps):
        made.do(draw)
    return made.simulation


@pytest.mark.parametrize("seed", range(12))
def test_a_state_that_was_saved_is_the_state(seed: int, tmp_path: Path) -> None:
    with world(seed, 60, tmp_path) as simulation:
        simulation.plane.save_state(after=0)
        fleet = SavedState(tmp_path / STATE_NAME).load(simulation.log)
        assert fleet is not None
        replayed = Fleet()
        for event in every_event(simulation.log):
            replayed.apply(event)
        fleet.now = replayed.now = 0
        assert everything(fleet) == everything(replayed)


@pytest.mark.parametrize("seed", range(4))
def test_who_starts_from_a_saved_state_goes_on_as_if_from_the_log(seed: int, tmp_path: Path) -> None:
    with world(seed, 80, tmp_path / "saved") as simulation:
        simulation.plane.save_state(after=0)
    shutil.copytree(tmp_path / "saved", tmp_path / "replayed")
    (tmp_path / "replayed" / STATE_NAME).unlink()
    logs = []
    for name in ("saved", "replayed"):
        with Simulation(tmp_path / name) as simulation:
            made, draw = World(seed), random.Random(seed)
            made.simulation = simulation
            for _ in range(80):
                made.do(draw)
                made.check()
            simulation.advance("3h")
            logs.append([encoded(event) for event in every_event(simulation.log)])
    assert logs[0] == logs[1]


def saved(directory: Path) -> None:
    with Simulation(directory, features="all") as simulation:
        simulation.create_scale_set("web", capacity=3)
        simulation.settle()
        simulation.plane.save_state(after=0)
        simulation.advance("1h")


def test_a_start_reads_only_what_came_after_it(tmp_path: Path) -> None:
    saved(tmp_path)
    log = SqliteLog(tmp_path / LOG_NAME)
    fleet = SavedState(tmp_path / STATE_NAME).load(log)
    assert fleet is not None
    assert 0 < fleet.sequence <= log.last
    log.close()


@pytest.mark.parametrize("at", [0, 3, 40, 500, -1])
def test_a_damaged_state_is_not_used(at: int, tmp_path: Path) -> None:
    saved(tmp_path)
    path = tmp_path / STATE_NAME
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    path.write_bytes(data)
    with Simulation(tmp_path) as simulation:
        assert SavedState(path).load(simulation.log) is None
        assert len(simulation.instances("web")) == 3


@pytest.mark.parametrize("kept", [0, 10, 200, -1])
def test_a_state_that_was_cut_off_is_not_used(kept: int, tmp_path: Path) -> None:
    saved(tmp_path)
    path = tmp_path / STATE_NAME
    path.write_bytes(path.read_bytes()[:kept])
    with Simulation(tmp_path) as simulation:
        assert SavedState(path).load(simulation.log) is None
        assert len(simulation.instances("web")) == 3


def test_the_state_of_another_log_is_not_used(tmp_path: Path) -> None:
    saved(tmp_path / "one")
    with Simulation(tmp_path / "two", seed=9, features="all") as simulation:
        simulation.create_scale_set("other", capacity=5)
        simulation.settle()
    shutil.copy(tmp_path / "one" / STATE_NAME, tmp_path / "two" / STATE_NAME)
    with Simulation(tmp_path / "two") as simulation:
        assert len(simulation.instances("other")) == 5


def test_the_state_of_what_the_log_has_lost_is_not_used(tmp_path: Path) -> None:
    saved(tmp_path / "whole")
    (tmp_path / "old").mkdir()
    shutil.copy(tmp_path / "whole" / STATE_NAME, tmp_path / "old" / STATE_NAME)
    with Simulation(tmp_path / "old", features="all") as simulation:
        assert simulation.log.last < 40
        assert not list(simulation.plane.fleet.all_groups())


def test_a_disk_without_room_loses_only_the_quick_start(tmp_path: Path) -> None:
    saved(tmp_path)
    (tmp_path / STATE_NAME).unlink()
    (tmp_path / STATE_NAME).mkdir()
    with Simulation(tmp_path) as simulation:
        simulation.plane.save_state(after=0)
        assert len(simulation.instances("web")) == 3
    assert sorted(path.name for path in tmp_path.iterdir() if path.suffix == ".new") == []


def test_a_long_run_saves_by_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(control_plane, "SAVE_EVERY", 50)
    with Simulation(tmp_path, features="all") as simulation:
        simulation.create_scale_set("web", capacity=20)
        simulation.settle()
        simulation.advance("1h")
        for capacity in (0, 20, 0, 20):
            simulation.scale("web", capacity)
            simulation.settle()
        assert SavedState(tmp_path / STATE_NAME).load(simulation.log) is not None
