"""What a guest reports shows later than the rest of its row, also where the snapshotter was stopped meanwhile."""

from pathlib import Path
from typing import Any

import pytest

from kqlite.simulation import Simulation

VM = "/subscriptions/00000000-0000-0000-0000-000000000001/resourceGroups/rg/providers/Microsoft.Compute/virtualMachines/vm"
QUERY = """resources | where type =~ 'microsoft.compute/virtualmachines'
| project name, state = tostring(properties.extended.instanceView.powerState.code), os = tostring(properties.extended.instanceView.osName),
  tag = tostring(tags.team)"""


def rows(simulation: Simulation) -> list[tuple[str, str, str]]:
    found = simulation.inventory.query(QUERY).to_pylist()
    return [(row["state"], row["os"], row["tag"]) for row in found]


@pytest.mark.parametrize("mode", ["", "per-resource "])
@pytest.mark.parametrize("restarted", [False, True])
def test_the_guests_report_comes_after_the_power_state(tmp_path: Path, mode: str, restarted: bool) -> None:
    options: dict[str, Any] = {"seed": 1, "features": "all", "lag": f"{mode}1s slow 10m"}
    simulation = Simulation(tmp_path, **options)
    simulation.create_vm("vm")
    simulation.settle()
    simulation.advance("2s")
    assert rows(simulation) == [("PowerState/running", "", "")]
    if restarted:
        simulation.close()
        simulation = Simulation(tmp_path, **options)
    # Another change of the machine brings its row, and not the report.
    assert simulation.arm("PATCH", f"{VM}?api-version=2021-07-01", {"tags": {"team": "blue"}}).status < 300
    simulation.advance("2s")
    assert rows(simulation) == [("PowerState/running", "", "blue")]
    simulation.advance("10m")
    assert rows(simulation) == [("PowerState/running", "ubuntu", "blue")]
    simulation.act("vm", "deallocate")
    simulation.settle()
    simulation.advance("2s")
    assert rows(simulation) == [("PowerState/deallocated", "ubuntu", "blue")]
    simulation.advance("10m")
    assert rows(simulation) == [("PowerState/deallocated", "", "blue")]
    simulation.close()


def test_a_machine_that_goes_while_its_report_is_awaited_is_gone() -> None:
    simulation = Simulation(seed=1, features="all", lag="0s slow 10m")
    simulation.create_vm("vm")
    simulation.settle()
    assert [row[0] for row in rows(simulation)] == ["PowerState/running"]
    simulation.act("vm", "delete")
    simulation.settle()
    assert rows(simulation) == []
    simulation.advance("20m")
    assert rows(simulation) == []
