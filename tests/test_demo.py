"""What README's first command shows of a fleet that moves."""

import re

import pytest

from kqlite.cli.main import main


def test_the_rows_arrive_late_and_each_answer_says_how_old_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["demo"]) == 0
    shown, notes = capsys.readouterr()
    answers = [answer.count("\ndemo-web_") for answer in shown.split("simulation.inventory.query(reference_query)")[1:]]
    assert answers == [2, 2, 4]
    assert "\n4\n" in shown.split("simulation.inventory.query(reference_query)")[1], "the control plane has them before the inventory"
    ages = [int(age) for age in re.findall(r"; snapshot of 2021-08-11 \S+Z, (\d+) s old", notes)]
    assert len(ages) == 3
    assert all(0 < age <= 60 for age in ages)


def test_the_steps_are_python_that_does_what_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    main(["demo"])
    shown = capsys.readouterr().out
    steps = [line.removeprefix(">>> ") for line in shown.splitlines() if line.startswith(">>> ")]
    from kqlite.bundled import bundled

    names = {"reference_query": bundled("sample-data/queries/01-reference-query.kql").read_text(encoding="utf-8")}
    exec("import kqlite\n" + "\n".join(steps[:-1]) + f"\nlast = {steps[-1]}", names)
    assert len(names["last"]) == 4
