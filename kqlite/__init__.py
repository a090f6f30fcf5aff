"""kqlite: Azure Resource Graph in a box. KQL over an inventory of virtual machines and scale sets, embedded as SQLite is.

`connect` opens an inventory, `Connection.query` asks it; `Simulation` is a control plane whose fleet changes.
Whatever is not named here is private.
"""

from importlib import import_module
from typing import TYPE_CHECKING

from kqlite.connection import BehindError, Connection, connect, connect_sample, import_files, sample
from kqlite.directory.data_directory import DirectoryError, InUseError
from kqlite.errors import ClosedError, InternalError, InventoryError, InventoryWarning, KqliteError, QueryCancelledError
from kqlite.language.binder import Scope
from kqlite.language.diagnostics import Diagnostic, KqlError
from kqlite.parameters import ParameterError
from kqlite.result import Result
from kqlite.stats import Stats

if TYPE_CHECKING:
    from kqlite.access.protocol import OtherVersionError
    from kqlite.access.server import BusyError, TimeLimitError
    from kqlite.inventory.shapes.documents import DocumentError
    from kqlite.inventory.store.database import DamagedError, NoRoomError
    from kqlite.inventory.store.snapshot import AnswerTooLarge, SnapshotExpired
    from kqlite.orchestration.clock import Clock, DurationError
    from kqlite.orchestration.errors import ArmError, CoreError
    from kqlite.orchestration.log import LogError
    from kqlite.orchestration.scenario import ScenarioError
    from kqlite.simulation import Simulation
    from kqlite.snapshotter.lag import Lag, LagError
else:  # hidden from type checkers, for which any other name would then be there too
    _LATER = {
        "AnswerTooLarge": "inventory.store.snapshot",
        "ArmError": "orchestration.errors",
        "BusyError": "access.server",
        "Clock": "orchestration.clock",
        "CoreError": "orchestration.errors",
        "DamagedError": "inventory.store.database",
        "DocumentError": "inventory.shapes.documents",
        "DurationError": "orchestration.clock",
        "Lag": "snapshotter.lag",
        "LagError": "snapshotter.lag",
        "LogError": "orchestration.log",
        "NoRoomError": "inventory.store.database",
        "OtherVersionError": "access.protocol",
        "ScenarioError": "orchestration.scenario",
        "Simulation": "simulation",
        "SnapshotExpired": "inventory.store.snapshot",
        "TimeLimitError": "access.server",
    }

    def __getattr__(name: str) -> object:
        """What is loaded when it is first asked for: a query needs none of it."""
        if name not in _LATER:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        found = globals()[name] = getattr(import_module(f"kqlite.{_LATER[name]}"), name)
        return found


__all__ = [
    "AnswerTooLarge",
    "ArmError",
    "BehindError",
    "BusyError",
    "Clock",
    "ClosedError",
    "Connection",
    "CoreError",
    "DamagedError",
    "Diagnostic",
    "DirectoryError",
    "DocumentError",
    "DurationError",
    "InUseError",
    "InternalError",
    "InventoryError",
    "InventoryWarning",
    "KqlError",
    "KqliteError",
    "Lag",
    "LagError",
    "LogError",
    "NoRoomError",
    "OtherVersionError",
    "ParameterError",
    "QueryCancelledError",
    "Result",
    "ScenarioError",
    "Scope",
    "Simulation",
    "SnapshotExpired",
    "Stats",
    "TimeLimitError",
    "connect",
    "connect_sample",
    "import_files",
    "sample",
]
