"""kqlite: Azure Resource Graph in a box. KQL over an inventory of virtual machines and scale sets, embedded as SQLite is.

`connect` opens an inventory, `Connection.query` asks it. Whatever is not named here is private.
"""

from kqlite.connection import Connection, connect, connect_sample
from kqlite.errors import KqliteError
from kqlite.language.binder import Scope
from kqlite.language.diagnostics import Diagnostic, KqlError
from kqlite.result import Result

__all__ = ["Connection", "Diagnostic", "KqlError", "KqliteError", "Result", "Scope", "connect", "connect_sample"]
