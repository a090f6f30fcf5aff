"""Syntax tree + catalog + scope -> plan. After it, nothing looks up a name.

Read `scope.py` (what names mean), `scalars.py` (expressions), then `tables.py` (sources and the way through a pipeline) and a
module for each family of operators: `rows.py`, `summarize.py`, `joins.py`, `unions.py`, `expand.py`. Whatever is wrong becomes
a Diagnostic; all of them leave together.
"""

from kqlite.language.binder.pipeline import bind
from kqlite.language.binder.scope import EVERYTHING, Scope

__all__ = ["EVERYTHING", "Scope", "bind"]
