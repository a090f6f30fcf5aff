"""The wheel, installed alone in a fresh environment, has all it needs."""

import os
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest

PROJECT = Path(__file__).parent.parent
REFERENCE = Path("sample-data", "queries", "01-reference-query.kql")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), str(PROJECT)]
    built = subprocess.run(command, capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stdout + built.stderr
    (path,) = folder.glob("kqlite-*.whl")
    return path


@pytest.fixture(scope="module")
def python(wheel, tmp_path_factory) -> Path:
    """The interpreter of an environment that holds the wheel and what it needs, and cannot see this checkout."""
    folder = tmp_path_factory.mktemp("fresh")
    venv.create(folder, with_pip=True)
    python = folder / "bin" / "python"
    installed = subprocess.run(
        [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", wheel], capture_output=True, text=True, check=False
    )
    assert installed.returncode == 0, installed.stderr
    return python


def run(python: Path, *arguments: str, cwd: Path) -> str:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    answer = subprocess.run([python, *arguments], cwd=cwd, env=environment, capture_output=True, text=True, check=False)
    assert answer.returncode == 0, answer.stderr
    return answer.stdout


def test_the_wheel_holds_the_package_its_data_and_nothing_else(wheel):
    names = zipfile.ZipFile(wheel).namelist()
    assert {"kqlite/py.typed", "kqlite/grammar/kql.lark", "kqlite/grammar/kql.table", f"kqlite/{REFERENCE.as_posix()}"} <= set(names)
    assert any(name.endswith("licenses/LICENSE") for name in names)
    assert {name.partition("/")[0].partition("-")[0] for name in names} == {"kqlite"}
    assert not [name for name in names if "__pycache__" in name or "/tests/" in name]


def test_the_installed_wheel_answers_the_reference_query(python, tmp_path):
    shown = run(python, "-m", "kqlite", "query", "resources | count", "--format", "csv", cwd=tmp_path)
    assert shown == "Count\n171\n"
    script = "from kqlite.bundled import bundled; print(bundled('sample-data'))"
    installed = Path(run(python, "-c", script, cwd=tmp_path).strip())
    assert not installed.is_relative_to(PROJECT)
    kqlite = str(python.parent / "kqlite")
    answer = subprocess.run([kqlite, "query", "-f", PROJECT / REFERENCE], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert answer.stdout.splitlines()[-1].endswith("PowerState/running")
    assert len(answer.stdout.splitlines()) == 14


def test_the_installed_wheel_takes_the_table_of_its_grammar(python, tmp_path):
    script = "import sys, kqlite; kqlite.connect_sample().query('resources | count'); print('lark' in sys.modules)"
    assert run(python, "-c", script, cwd=tmp_path) == "False\n"
