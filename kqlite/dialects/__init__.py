"""Plan to SQL text: `lowering` builds a SQL tree from a plan, `duckdb` knows what is that engine's own, `sql` alone writes text.

Read `sql.py` first (the tree and its writer), then `lowering.py` (relations), `scalars.py` (scalars), `documents.py` (dynamic values as
text).
"""
