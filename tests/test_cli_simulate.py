"""`kqlite simulate` as a user meets it: what it prints, how it stops, and what it refuses."""

import os
import pty
import re
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest

import kqlite
from kqlite.cli.main import main

KQLITE = [sys.executable, "-m", "kqlite", "simulate"]
SUMMARY = re.compile(r"[\d,]+ operations? \(\d+ failed\), ([\d,]+) transitions?, (\d+) faults?, (.+) simulated in [\d.]+ s\n")
SCENARIO = """\
# A set of two.
set web capacity=2
settle
"""


def start(*arguments: object) -> subprocess.Popen[str]:
    return subprocess.Popen([*KQLITE, *map(str, arguments)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def run(*arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*KQLITE, *map(str, arguments)], capture_output=True, text=True, timeout=60, check=False)


def instances(directory: Path) -> int:
    with kqlite.Simulation(directory) as simulation:
        return len(simulation.instances("set0", "rg0"))


def wait_for_events(directory: Path, seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            if sqlite3.connect(f"file:{directory}/events.sqlite?mode=ro", uri=True).execute("SELECT count(*) FROM events").fetchone()[0]:
                return
        except sqlite3.Error:
            pass
        time.sleep(0.05)
    raise AssertionError("no event was written")


def test_days_pass_and_a_second_run_goes_on(tmp_path, capsys):
    assert main(["simulate", str(tmp_path), "--vms", "5", "--days", "0.25", "--seed", "7"]) == 0
    first = SUMMARY.fullmatch(capsys.readouterr().out)
    assert first
    assert first[3] == "6:00:00"
    with kqlite.Simulation(tmp_path) as simulation:
        reached, last = simulation.now, simulation.log.last
    assert main(["simulate", str(tmp_path), "--vms", "5", "--days", "0.25"]) == 0
    second = SUMMARY.fullmatch(capsys.readouterr().out)
    assert second
    with kqlite.Simulation(tmp_path) as simulation:
        assert (simulation.now - reached).total_seconds() == 6 * 3600
        assert simulation.log.last == last + int(second[1]) > last


def test_equal_seeds_give_equal_logs(tmp_path):
    logs = []
    for name, seed in (("a", "7"), ("b", "7"), ("c", "8")):
        assert main(["simulate", str(tmp_path / name), "--vms", "5", "--days", "0.1", "--seed", seed]) == 0
        with kqlite.Simulation(tmp_path / name) as simulation:
            logs.append(simulation.events())
    assert logs[0] == logs[1]
    assert logs[0] != logs[2]


def test_a_scenario_is_run_first(tmp_path, capsys):
    file = tmp_path / "two.scenario"
    file.write_text(SCENARIO, encoding="utf-8")
    assert main(["simulate", str(tmp_path / "run"), "--scenario", str(file), "--days", "0.1"]) == 0
    assert SUMMARY.fullmatch(capsys.readouterr().out)
    with kqlite.Simulation(tmp_path / "run") as simulation:
        assert len(simulation.instances("web")) == 2


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_a_run_on_the_clock_cleanly(tmp_path, number):
    process = start(tmp_path, "--vms", 3, "--speed", 3600)
    wait_for_events(tmp_path)
    time.sleep(0.3)
    process.send_signal(number)
    out, err = process.communicate(timeout=30)
    assert process.returncode == 0
    assert re.fullmatch(rf"simulates from 2021-08-11 00:00:00 UTC on, 3600 times .* can ask {re.escape(str(tmp_path))}, .*\n", err)
    assert SUMMARY.fullmatch(out)
    assert instances(tmp_path) >= 1


def test_a_signal_stops_a_run_of_days_before_they_are_over(tmp_path):
    process = start(tmp_path, "--vms", 200, "--days", 100_000)
    wait_for_events(tmp_path)
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=30)
    assert (process.returncode, err) == (0, "")
    assert SUMMARY.fullmatch(out)


def test_handlers_are_given_back(tmp_path):
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    assert main(["simulate", str(tmp_path), "--vms", "1", "--days", "0.02"]) == 0
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before


def test_a_second_writer_is_refused_and_the_first_goes_on(tmp_path):
    first = start(tmp_path, "--vms", 2, "--speed", 60)
    try:
        wait_for_events(tmp_path)
        second = run(tmp_path, "--days", 1)
        assert (second.returncode, second.stdout) == (1, "")
        assert second.stderr == f"{tmp_path}: in use, process {first.pid} simulates in it; try again when it has ended\n"
        assert first.poll() is None
    finally:
        first.send_signal(signal.SIGTERM)
        first.communicate(timeout=30)
    assert first.returncode == 0


def test_a_log_of_a_newer_version_is_refused(tmp_path):
    assert main(["simulate", str(tmp_path), "--vms", "1", "--days", "0.02"]) == 0
    database = sqlite3.connect(tmp_path / "events.sqlite")
    database.execute("PRAGMA user_version=99")
    database.close()
    answer = run(tmp_path, "--days", 1)
    assert (answer.returncode, answer.stdout) == (1, "")
    assert re.fullmatch(r".*events\.sqlite: written by a newer kqlite \(format 99, .*\)\n", answer.stderr)


@pytest.mark.parametrize(
    ("data", "error"),
    [
        (b"set web\nnonsense here\n", r"bad\.scenario:2: no command 'nonsense'; .*"),
        (b"# nothing\n", r"bad\.scenario:1: no command in it"),
        (b"set web capacity=1\nexpect 400 BadRequest\n", r"bad\.scenario:2: .*"),
        (b"set \xff\n", r".*bad\.scenario: not UTF-8 text: byte 4"),
        (None, r".*bad\.scenario: No such file or directory"),
    ],
)
def test_a_fault_of_the_scenario_file_is_one_line(tmp_path, data, error):
    file = tmp_path / "bad.scenario"
    if data is not None:
        file.write_bytes(data)
    answer = run(tmp_path / "run", "--scenario", file, "--days", 1)
    assert (answer.returncode, answer.stdout) == (1, "")
    assert re.fullmatch(error + "\n", answer.stderr)


def test_a_file_is_no_directory(tmp_path):
    file = tmp_path / "file"
    file.touch()
    answer = run(file, "--days", 1)
    assert (answer.returncode, answer.stderr) == (1, f"{file}: File exists\n")


@pytest.mark.parametrize(
    "arguments",
    [
        ["--scenario", "a.scenario", "--vms", "3"],
        ["--days", "1", "--speed", "2"],
        ["--days", "0"],
        ["--days", "nan"],
        ["--speed", "-1"],
        ["--speed", "inf"],
        ["--vms", "0"],
        ["--seed", "x"],
    ],
)
def test_wrong_usage(tmp_path, arguments, capsys):
    with pytest.raises(SystemExit) as left:
        main(["simulate", str(tmp_path / "run"), *arguments])
    assert left.value.code == 2
    assert "usage: kqlite simulate" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_a_terminal_shows_a_bar_and_a_file_none(tmp_path):
    master, slave = pty.openpty()
    shown = subprocess.run(
        [*KQLITE, tmp_path / "a", "--vms", "2", "--days", "1"], stdout=subprocess.PIPE, stderr=slave, text=True, check=True
    )
    os.close(slave)
    bar = os.read(master, 65_536).decode()
    os.close(master)
    assert "] 24 of 24 hours" in bar
    assert bar.endswith("\r\x1b[K")
    assert SUMMARY.fullmatch(shown.stdout)
    assert run(tmp_path / "b", "--vms", 2, "--days", 1).stderr == ""


def test_simulation_is_exported_and_is_loaded_when_asked_for():
    script = "import sys, kqlite; print('kqlite.simulation' in sys.modules, kqlite.Simulation(seed=1).faults, hasattr(kqlite, 'none'))"
    answer = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert answer.stdout == "False [] False\n"
    assert "Simulation" in kqlite.__all__
