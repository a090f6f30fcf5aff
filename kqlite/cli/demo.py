"""`kqlite demo`: a small fleet on a simulated clock, and what queries see of it, which is late as in the real service."""

from __future__ import annotations

from kqlite.bundled import bundled
from kqlite.formats.terminal import print_answer
from kqlite.simulation import Simulation

_QUERY = "sample-data/queries/01-reference-query.kql"


def run() -> None:
    """Prints the steps as a Python user would write them, each with what it gives."""
    query = bundled(_QUERY).read_text(encoding="utf-8")

    def ask() -> None:
        _step("simulation.inventory.query(reference_query)")
        print_answer(simulation.inventory.query(query))

    def count() -> None:
        _step('len(simulation.instances("demo-web"))')
        print(len(simulation.instances("demo-web")))

    print("A scale set of two machines, on a clock that moves when it is told to:\n")
    _step('simulation = kqlite.Simulation(seed=1, features="all")')
    simulation = Simulation(seed=1, features="all")
    _step('simulation.create_scale_set("demo-web", capacity=2)')
    simulation.create_scale_set("demo-web", capacity=2)
    _step('simulation.advance("5m")')
    simulation.advance("5m")
    ask()
    print("\nIt is scaled to four. The control plane has them at once, the inventory does not:\n")
    _step('simulation.scale("demo-web", 4)')
    simulation.scale("demo-web", 4)
    _step('simulation.advance("1s")')
    simulation.advance("1s")
    count()
    ask()
    print("\nOnce the lag has passed, up to 60 seconds, they are there:\n")
    _step('simulation.advance("61s")')
    simulation.advance("61s")
    ask()


def _step(code: str) -> None:
    print(f">>> {code}", flush=True)
