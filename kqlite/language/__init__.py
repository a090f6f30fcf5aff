"""What a query means: text becomes a typed plan. Nothing here knows DuckDB, Arrow, or where rows come from.

| stage | module | takes | gives |
|---|---|---|---|
| parse | `parser`, with `automaton` and `tree_builder` | text, by `grammar/kql.lark` | `syntax.Query` |
| bind | `binder/` | the syntax tree, a catalog, the caller's scope | `plan.Plan` |
| rewrite | `rules/` | a plan | an equal plan that reads less |

The binder resolves names, types and columns; no later stage looks them up. A function is declared once, in `functions/`; the binder takes
its signatures from there, the dialects its SQL, the reference page and completion its documentation.

Read `types` and `schema` (what values and tables are), `source` and `diagnostics` (places in the text, and everything that can be wrong),
`syntax`, `parser` with `syntax_errors`, `plan`, `functions/`, `binder/`, `rules/`. `explain` prints a plan, `unparse` prints a syntax tree.
"""
