"""Benchmarks at a small size: the one of queries compares each answer with the one by hand, and ends in an error where they differ."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent


def run(*arguments: str) -> str:
    """What the benchmark prints, run from a checkout that need not be installed."""
    command = [sys.executable, "benchmarks/queries.py", "--vms", "1200", "--runs", "1", *arguments]
    done = subprocess.run(command, cwd=ROOT, env=os.environ | {"PYTHONPATH": str(ROOT)}, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_queries_answers_as_by_hand_and_prints_its_figures(tmp_path: Path) -> None:
    printed = run("--seed", "3", "--data", str(tmp_path))
    lines = [line.split() for line in printed.splitlines() if line]
    rows = {words[0]: words[1] for words in lines if len(words) > 6 and words[1].replace(",", "").isdigit()}
    assert rows.keys() == {"reference", "power-states", "tag", "contains", "top", "interfaces", "any-types"}
    assert rows["top"] == rows["any-types"] == "1,000"
    assert "of zstd" in printed


def test_only_names_one_question(tmp_path: Path) -> None:
    printed = run("--data", str(tmp_path), "--only", "power-states")
    assert "power-states" in printed
    assert "reference" not in printed
    assert "zstd" not in printed


def test_second_process_prints_its_figures() -> None:
    command = [sys.executable, "benchmarks/second_process.py", "--vms", "200", "--runs", "3"]
    done = subprocess.run(command, cwd=ROOT, env=os.environ | {"PYTHONPATH": str(ROOT)}, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert [line.split()[0] for line in done.stdout.splitlines()] == [
        "200",
        "1,000",
        "in",
        "in",
        "added",
        "one",
        "in",
        "in",
        "added",
        "held",
        "held",
    ]


def test_apply_prints_its_figures(tmp_path: Path) -> None:
    sizes = ["--vms", "1200", "--batch", "200", "--seconds", "1", "--paces", "100", "--changes", "1000"]
    command = [sys.executable, "benchmarks/apply.py", *sizes, "--data", str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, env=os.environ | {"PYTHONPATH": str(ROOT)}, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    for figure in ("changes/s", "batches late", "median ratio", "blocks used", "right after clustering"):
        assert figure in done.stdout
