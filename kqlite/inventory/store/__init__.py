"""The store: resource tables and registered tables as native DuckDB tables, in a file or in memory.

Read `database` (DuckDB's settings, the file, transactions, checkpoints), `system_tables` (its own records), `snapshot` (what a query
reads), then `store`, which joins them. A batch of changes goes through `partitioning` (which table takes the rows), `schema_evolution` (how
a large table covers more) with `partition_tables` and `casts`, `upsert` (the newest row wins) with `hash_index` (where the stored row is),
and `maintenance` (checkpoints and clustering). `registered` has a user's own tables, `arrow_store` queries Arrow tables in place, `sizes`
counts rows and bytes.
"""
