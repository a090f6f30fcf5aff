"""Imports go one way, each package imports exactly what `IMPORTS` says, and each foreign library has its owner."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "kqlite"

BASE = {"errors", "gc_control", "bundled", "version"}
"""Modules that every package may import: they import nothing of kqlite, apart from the base of all errors."""

SPLIT = {"inventory"}
"""Packages whose own packages stand in an order, too."""

IMPORTS = {
    "language": set(),
    "dialects": {"language"},
    "directory": set(),
    "stats": {"directory"},
    "inventory": {"language", "directory", "stats"},
    "inventory.shapes": {"language"},
    "inventory.store": {"inventory.shapes", "directory", "language", "stats"},
    "inventory.imports": {"inventory.store", "inventory.shapes", "directory", "language"},
    "inventory.sample": {"inventory.imports", "inventory.store", "inventory.shapes", "directory", "language"},
    "orchestration": set(),
    "snapshotter": {"orchestration", "inventory"},
    "parameters": {"language"},
    "running": set(),
    "formats": {"language"},
    "result": {"formats", "inventory", "language"},
    "engine": {"parameters", "result", "language", "dialects"},
    "access": {"engine", "running", "parameters", "result", "stats", "inventory", "language", "directory", "orchestration", "snapshotter"},
    "connection": {"access", "running", "directory", "engine", "parameters", "result", "stats", "inventory", "language"},
    "aio": {"access", "connection", "language", "result", "stats"},
    "simulation": {"access", "connection", "directory", "orchestration", "snapshotter"},
    "repl": {"formats"},
    "cli": {"connection", "directory", "formats", "inventory", "language", "orchestration", "repl", "simulation", "snapshotter", "stats"},
    "__init__": {
        "access",
        "connection",
        "directory",
        "inventory",
        "language",
        "orchestration",
        "parameters",
        "result",
        "simulation",
        "snapshotter",
        "stats",
    },
    "__main__": {"cli"},
}
"""For each package and root module, all that it imports of kqlite beside itself and `BASE`: an edge that no module uses is deleted here."""

OWNERS = {
    "lark": {"language/parser.py"},
    "duckdb": {"inventory/store/database.py"},
    "prompt_toolkit": {"repl/prompt.py"},
}

KNOWS_NO_ARROW = ("language", "dialects", "orchestration")


def imported(path: Path) -> Iterator[str]:
    """The dotted names of all modules that the file imports, wherever in it the import stands."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: a relative import"
            assert node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def part(name: str, split: bool) -> str | None:
    """The package or root module of kqlite that `name` is in; where `split`, a package of a package stands for itself."""
    top, *rest = name.split(".")
    if top != "kqlite":
        return None
    if split and rest[0] in SPLIT and (PACKAGE / rest[0] / rest[1]).is_dir():
        return ".".join(rest[:2])
    return rest[0] if (PACKAGE / rest[0]).is_dir() or (PACKAGE / f"{rest[0]}.py").is_file() else "__init__"


def files_of(name: str) -> list[Path]:
    folder = PACKAGE.joinpath(*name.split("."))
    return sorted(folder.rglob("*.py")) if folder.is_dir() else [folder.with_suffix(".py")]


def parts() -> list[str]:
    """All packages and root modules, and the packages of those in `SPLIT`."""
    folders = [path.name for path in PACKAGE.iterdir() if path.is_dir() and any(path.rglob("*.py"))]
    inner = [f"{name}.{path.name}" for name in SPLIT for path in (PACKAGE / name).iterdir() if any(path.glob("*.py"))]
    return sorted([*folders, *inner, *(path.stem for path in PACKAGE.glob("*.py"))])


@pytest.mark.parametrize("name", [name for name in parts() if name not in BASE])
def test_each_package_imports_exactly_what_is_said(name):
    found = {part(module, split="." in name) for path in files_of(name) for module in imported(path)}
    assert found - {None, name} - BASE == IMPORTS[name]


@pytest.mark.parametrize("name", sorted(BASE))
def test_the_base_imports_nothing(name):
    assert {part(module, split=False) for path in files_of(name) for module in imported(path)} <= {None, "errors"}


@pytest.mark.parametrize("library", OWNERS)
def test_a_library_is_imported_by_its_owner_alone(library):
    importers = {
        path.relative_to(PACKAGE).as_posix()
        for path in PACKAGE.rglob("*.py")
        if any(module.partition(".")[0] == library for module in imported(path))
    }
    assert importers == OWNERS[library]


@pytest.mark.parametrize("name", KNOWS_NO_ARROW)
def test_arrow_stays_outside(name):
    for path in files_of(name):
        assert not any(module.partition(".")[0] == "pyarrow" for module in imported(path)), path


def test_the_directions_have_no_circle():
    order: list[str] = []
    left = dict(IMPORTS)
    while left:
        free = [name for name, needs in left.items() if needs.isdisjoint(left)]
        assert free, f"a circle among {sorted(left)}"
        order += free
        left = {name: needs for name, needs in left.items() if name not in free}
    assert order.index("language") < order.index("engine") < order.index("cli")


def test_importing_kqlite_loads_no_line_editor_and_no_server():
    heavy = ("prompt_toolkit", "starlette", "uvicorn", "http.server", "argparse", "pyarrow.parquet", "pyarrow.flight", "kqlite.simulation")
    script = f"import sys, kqlite; print([name for name in {heavy!r} if name in sys.modules])"
    answer = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert answer.stdout == "[]\n"
