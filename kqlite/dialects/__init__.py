"""Plan to SQL text: `lowering` builds a SQL tree from a plan, `sql` alone writes text.

Read `sql.py` first (the tree and its writer), then `lowering.py` (relations) with `expansion.py` (mv-expand), `scalars.py`
(scalars), `conversions.py` (between types) and `documents.py` (dynamic values as text). What templates in the declarations of
functions cannot say is in `duckdb_*.py`, a module for each family; `duckdb.py` is the way in.
"""
