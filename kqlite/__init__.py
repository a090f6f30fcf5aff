"""kqlite: Azure Resource Graph in a box. KQL over an inventory of virtual machines and scale sets, embedded as SQLite is.

`connect` opens an inventory, `Connection.query` asks it; `Simulation` is a control plane whose fleet changes.
Whatever is not named here is private.
"""

from typing import TYPE_CHECKING

from kqlite.connection import BehindError, Connection, connect, connect_sample
from kqlite.errors import KqliteError
from kqlite.language.binder import Scope
from kqlite.language.diagnostics import Diagnostic, KqlError
from kqlite.result import Result
from kqlite.stats import Stats

if TYPE_CHECKING:
    from kqlite.simulation import Simulation
else:  # hidden from type checkers, for which any other name would then be there too

    def __getattr__(name: str) -> object:
        """`Simulation`, which is loaded when it is first asked for: a query needs none of it."""
        if name != "Simulation":
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from kqlite.simulation import Simulation

        globals()[name] = Simulation
        return Simulation


__all__ = [
    "BehindError",
    "Connection",
    "Diagnostic",
    "KqlError",
    "KqliteError",
    "Result",
    "Scope",
    "Simulation",
    "Stats",
    "connect",
    "connect_sample",
]
