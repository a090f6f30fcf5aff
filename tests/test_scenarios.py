"""Every scenario file passes, and every row of the page that kqlite implements has one."""

from pathlib import Path

import pytest

from kqlite.orchestration.clock import Clock
from kqlite.orchestration.scenario import Runner, ScenarioError, parse
from kqlite.simulation import Simulation

FOLDER = Path(__file__).parent / "scenarios"
SAMPLES = Path(__file__).parent.parent / "sample-data" / "scenarios"
FILES = sorted([*FOLDER.glob("*.scenario"), *SAMPLES.glob("*.scenario")])
# Rows of the page: its features, its statements, its unsupported parameters, its errors.
ROWS = [f"{letter}{number:02d}" for letter, last in (("f", 39), ("s", 18), ("u", 14), ("e", 6)) for number in range(1, last + 1)]


def make(options: dict, directory: Path | None = None) -> Simulation:
    options = dict(options)
    clock = Clock.auto() if options.pop("clock", "manual") == "auto" else None
    return Simulation(directory, clock=clock, **({"features": ()} | options))


def close(runner: Runner) -> None:
    assert isinstance(runner.simulation, Simulation)
    runner.simulation.close()


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_scenario(path: Path, tmp_path: Path) -> None:
    scenario = parse(path.read_text(), path.name)
    needs_directory = any(step.command == "restart" for step in scenario.steps)
    directory = tmp_path if needs_directory else None
    simulation = make(scenario.options, directory)

    def restarted() -> Simulation:
        close(runner)
        return make(scenario.options, directory)

    runner = Runner(scenario, simulation, restarted)
    runner.run()
    close(runner)
    assert runner.expectations > 0, "a scenario that expects nothing shows nothing"


def test_every_row_has_a_scenario() -> None:
    named = {path.stem.partition("-")[0] for path in FILES}
    assert [row for row in ROWS if row not in named] == []


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "x:1: no command in it"),
        ("jump 5m", "x:1: no command 'jump'"),
        ("options colour=red\nsettle", "x:1: no option 'colour'"),
        ("options seed=many\nsettle", "x:1: seed is a whole number, not 'many'"),
        ("options clock=sun\nsettle", "x:1: clock is manual or auto, not 'sun'"),
        ("settle\noptions seed=1", "x:2: options come before the first command"),
        ("  settle", "x:1: a line that goes on, and nothing before it"),
    ],
)
def test_a_file_that_cannot_be_read_tells_line_and_reason(text: str, reason: str) -> None:
    with pytest.raises(ScenarioError) as caught:
        parse(text, "x")
    assert reason in str(caught.value)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("PUT $rg {bad", "x:1: JSONDecodeError"),
        ("advance soon", "x:1: DurationError"),
        ("fault flood", "x:1: CoreError: no fault 'flood'"),
        ("GET $rg\nexpect 200", "x:2: expected 200, found 404 ResourceGroupNotFound"),
        ("GET $rg\nexpect body a ~ b", "x:2: not a condition"),
        ("GET $rg\nexpect rain", "x:2: nothing to expect of 'rain'"),
        ("GET $rg\nlet x is y", "x:2: write `let"),
        ("restart", "x:1: a restart needs"),
        ("scale web", "write `scale SET CAPACITY`"),
        ("set", "write `set NAME [KEY=VALUE ..] [{JSON}]`"),
        ("set web [1]", "write `set NAME [KEY=VALUE ..] [{JSON}]`"),
        ("recover f", "write `recover ALIAS`"),
        ("GET $rg\nexpect body error >= 1", "x:2: TypeError"),
    ],
)
def test_a_step_that_fails_tells_line_and_reason(text: str, reason: str) -> None:
    with pytest.raises(ScenarioError) as caught:
        Runner(parse(text, "x"), Simulation()).run()
    assert reason in str(caught.value)
