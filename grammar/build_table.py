"""Puts the parser's table into the wheel, beside the grammar that it is made from (a build hook of hatch)."""

import shutil
import sys
import tempfile
from pathlib import Path
from types import ModuleType
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


def table_of(root: Path) -> bytes:
    """The saved table of `grammar/kql.lark` under `root`, by the code that will read it."""
    # The package itself imports what the environment of a build has not, such as the engine; its language needs none of it.
    package = ModuleType("kqlite")
    package.__path__ = [str(root / "kqlite")]
    others = {name: sys.modules.pop(name) for name in list(sys.modules) if name == "kqlite" or name.startswith("kqlite.")}
    sys.modules["kqlite"] = package
    try:
        from kqlite.language import parser

        return parser.save_table((root / "grammar" / "kql.lark").read_text(encoding="utf-8"))
    finally:
        for name in [name for name in sys.modules if name == "kqlite" or name.startswith("kqlite.")]:
            del sys.modules[name]
        sys.modules.update(others)


class BuildTable(BuildHookInterface[Any]):
    """Builds the table for a wheel; an editable install reads the checkout, where the table is built at the first parse."""

    _folder: str | None = None

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        if version != "standard":
            return
        self._folder = tempfile.mkdtemp()
        saved = Path(self._folder) / "kql.table"
        saved.write_bytes(table_of(Path(self.root)))
        build_data["force_include"][str(saved)] = "kqlite/grammar/kql.table"

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:
        if self._folder is not None:
            shutil.rmtree(self._folder)
