"""A plan becomes SQL text. `lowering` builds a SQL tree from the plan; `sql_writer` alone writes text.

| stage | takes | gives |
|---|---|---|
| `lowering` (relations), `mv_expand`, `scalars`, `conversions`, `document_text` | `plan.Relation`, `plan.Scalar` | the SQL tree (`sql`) |
| `sql_writer` | the SQL tree | text, and the names of the values to bind |
| `duckdb/compile` | a plan that went through the rules | `Compiled` |

Read `sql` (the tree) and `sql_writer` first, then `lowering`. What a template in a function's declaration cannot say is in `duckdb/`, a
module for each family of functions.
"""
