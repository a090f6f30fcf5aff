"""`simulate` in a directory that has a simulation: whatever is given is applied, or refused with what to do."""

from pathlib import Path

import pytest

import kqlite
from kqlite.cli.simulate import simulate
from kqlite.orchestration.errors import CoreError
from kqlite.orchestration.model import Type
from kqlite.simulation import Simulation


def capacities(directory: Path) -> list[int]:
    with Simulation(directory) as simulation:
        groups = simulation.plane.fleet.all_groups()
        return [each.capacity for group in groups for each in group.of(Type.SCALE_SET).values()]


def machines(directory: Path) -> int:
    with Simulation(directory) as simulation:
        return sum(len(list(group.of(Type.VM))) for group in simulation.plane.fleet.all_groups())


def scenario(folder: Path, text: str) -> Path:
    file = folder / "more.scenario"
    file.write_text(text, encoding="utf-8")
    return file


def test_a_first_run_needs_a_beginning(tmp_path: Path) -> None:
    with pytest.raises(CoreError, match="no simulation is here yet; begin one with --vms N or --scenario FILE"):
        simulate(tmp_path / "new", days=1)
    assert not (tmp_path / "new").exists()


MOMENT = 1e-5
"""Days in which autoscale does nothing."""


@pytest.mark.parametrize("vms", [5, 40, 130])
def test_a_fleet_is_scaled(tmp_path: Path, vms: int) -> None:
    simulate(tmp_path, vms=20, days=0.1, activity="none")
    simulate(tmp_path, vms=vms, days=MOMENT)
    assert sum(capacities(tmp_path)) == vms
    simulate(tmp_path, days=0.1)
    assert 0.7 * vms <= machines(tmp_path) <= 1.3 * vms


def test_a_scaled_fleet_stays_so_under_autoscale(tmp_path: Path) -> None:
    simulate(tmp_path, vms=20, days=0.1)
    simulate(tmp_path, vms=60, days=2)
    assert 40 < sum(capacities(tmp_path)) < 90


def test_a_fleet_that_is_as_large_is_left_alone(tmp_path: Path) -> None:
    simulate(tmp_path, vms=20, days=0.1, activity="none")
    before = capacities(tmp_path)
    assert simulate(tmp_path, vms=sum(before), days=MOMENT).events == 0
    assert capacities(tmp_path) == before


def test_more_than_the_sets_can_hold_is_refused(tmp_path: Path) -> None:
    simulate(tmp_path, vms=4, days=0.01)
    with pytest.raises(CoreError, match="scale sets hold at most 1,000 machines, and not 1,001"):
        simulate(tmp_path, vms=1001, days=0.01)


def test_a_scenario_runs_on_a_fleet_that_is_there(tmp_path: Path) -> None:
    simulate(tmp_path / "i", vms=5, days=0.1, activity="none")
    simulate(tmp_path / "i", scenario=scenario(tmp_path, "options features=all\nset extra capacity=3\nsettle\n"), days=0.1)
    with Simulation(tmp_path / "i") as simulation:
        assert len(simulation.instances("extra")) == 3
    with pytest.raises(CoreError, match=r"more\.scenario: profile can only be chosen where a simulation begins; run it in a new directory"):
        simulate(tmp_path / "i", scenario=scenario(tmp_path, "options profile=ga\nset other capacity=1\n"), days=0.1)


def test_a_seed_is_chosen_once(tmp_path: Path) -> None:
    simulate(tmp_path, vms=5, days=0.01, seed=7)
    simulate(tmp_path, days=0.01, seed=7)
    simulate(tmp_path, days=0.01)
    with pytest.raises(CoreError, match="has the seed 7; begin one with the seed 8 in another directory"):
        simulate(tmp_path, days=0.01, seed=8)


def lag_of(directory: Path) -> float:
    with kqlite.connect(directory) as connection:
        lag = connection.query("resources | count").snapshot.lag
    assert lag is not None
    return lag.total_seconds()


def test_a_lag_stays_until_another_is_given(tmp_path: Path) -> None:
    simulate(tmp_path, vms=5, days=0.1, lag="40s")
    assert lag_of(tmp_path) == 40
    simulate(tmp_path, days=0.1)
    assert lag_of(tmp_path) == 40
    simulate(tmp_path, days=0.1, lag="5s")
    assert lag_of(tmp_path) == 5
    with pytest.raises(kqlite.LagError):
        simulate(tmp_path, days=0.1, lag="soon")


def test_an_imported_directory_is_refused(tmp_path: Path) -> None:
    kqlite.sample(5, directory=tmp_path / "i").close()
    with pytest.raises(kqlite.InventoryError, match="holds an inventory that no simulation made"):
        simulate(tmp_path / "i", vms=5, days=0.1)
