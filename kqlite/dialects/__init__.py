"""Plan to SQL text: `lowering` builds a SQL tree from a plan, `sql_text` alone writes text.

Read `sql.py` (the tree) and `sql_text.py` (its writer) first, then `lowering.py` (relations) with `expansion.py` (mv-expand), `scalars.py`
(scalars), `conversions.py` (between types) and `documents.py` (dynamic values as text). What templates in the declarations of
functions cannot say is in `duckdb_*.py`, a module for each family; `duckdb.py` is the way in.
"""
