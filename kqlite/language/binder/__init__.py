"""Syntax tree + catalog + scope -> plan. After it, nothing looks up a name.

Read `scope.py` (what names mean), `scalars.py` (expressions), then `pipeline.py` (sources and the way through a pipeline),
`definitions.py` (what statements define) and a module for each family of operators: `row_operators.py`, `summarize.py`, `joins.py`,
`unions.py`, `searching.py`, `mv_expand.py`, `parse.py`, `parse_kv.py`, `serialize.py`, `rankings.py`, `make_series.py`, `plugins.py`, and
`subqueries.py` over `groups.py`. Whatever is wrong becomes a Diagnostic; all of them leave together.
"""

from kqlite.language.binder.pipeline import Look, bind
from kqlite.language.binder.scope import EVERYTHING, Scope

__all__ = ["EVERYTHING", "Look", "Scope", "bind"]
