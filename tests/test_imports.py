"""Imports go one way, and each foreign library has its owner."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "kqlite"

EVERYONE = {"errors", "garbage", "bundled"}
"""What has no way to go astray: the base of all errors, and where bundled files lie."""

MAY_IMPORT = {
    "errors": set(),
    "garbage": set(),
    "bundled": set(),
    "version": set(),
    "language": set(),
    "dialects": {"language"},
    "stats": set(),
    "inventory": {"language", "directory", "stats"},
    "orchestration": set(),
    "snapshotter": {"orchestration", "inventory", "stats"},
    "lock": {"stats"},
    "directory": {"version", "lock", "stats"},
    "parameters": {"language"},
    "formats": {"language"},
    "result": {"formats", "dialects", "inventory", "language"},
    "engine": {"parameters", "result", "language", "dialects"},
    "access": {"engine", "parameters", "result", "stats", "inventory", "language"},
    "standing": {"directory", "inventory", "orchestration", "snapshotter"},
    "live": {"access", "connection", "directory", "orchestration", "sharing", "snapshotter", "standing", "stats"},
    "sharing": {"standing", "access", "directory", "engine", "inventory", "language", "lock", "parameters", "result", "stats"},
    "connection": {"access", "sharing", "engine", "parameters", "result", "stats", "inventory", "directory", "language"},
    "terminal": {"formats"},
    "status": {"stats", "terminal"},
    "repl": {"terminal", "formats", "connection", "language"},
    "cli": {
        "demo",
        "terminal",
        "formats",
        "status",
        "connection",
        "language",
        "repl",
        "inventory",
        "version",
        "simulation",
        "simulated_run",
    },
    "__init__": {"connection", "result", "language", "simulation", "stats"},
    "simulation": {"directory", "live", "orchestration", "snapshotter", "inventory", "connection"},
    "demo": {"bundled", "simulation", "terminal"},
    "simulated_run": {"snapshotter", "simulation", "orchestration"},
    "__main__": {"cli"},
}
"""For each package and root module, what of kqlite it may import beside itself."""

OWNERS = {
    "lark": {"language/parser.py"},
    "duckdb": {"inventory/database.py"},
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


def part(name: str) -> str | None:
    """The package or root module of kqlite that `name` is in."""
    top, _, rest = name.partition(".")
    if top != "kqlite":
        return None
    first = rest.partition(".")[0]
    return first if (PACKAGE / first).is_dir() or (PACKAGE / f"{first}.py").is_file() else "__init__"


def files_of(name: str) -> list[Path]:
    folder = PACKAGE / name
    return sorted(folder.rglob("*.py")) if folder.is_dir() else [folder.with_suffix(".py")]


def parts() -> list[str]:
    folders = [path.name for path in PACKAGE.iterdir() if path.is_dir() and any(path.rglob("*.py"))]
    return sorted([*folders, *(path.stem for path in PACKAGE.glob("*.py"))])


@pytest.mark.parametrize("name", parts())
def test_imports_go_one_way(name):
    allowed = MAY_IMPORT[name] | EVERYONE | {name}
    for path in files_of(name):
        assert {part(module) for module in imported(path)} - {None} <= allowed, path


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
    left = dict(MAY_IMPORT)
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
