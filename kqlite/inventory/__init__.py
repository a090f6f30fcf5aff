"""What is known about the fleet: resource tables in DuckDB, what documents look like, and the ways in and out.

**What it promises.** A document that goes in comes out equal, up to null members, which are missing members in KQL: 1, 1.0 and true stay
three things, a number keeps its value or else its text, `{}`, `[]` and absent are told apart. A load, or a batch of changes, is whole or
not there, with its watermark. A snapshot sees one catalog and the rows that belong to it, whatever is written meanwhile. The language sees
all of it through the `Catalog` protocol alone.

**What it refuses.** Rows without `id` or `type`, and rows whose string columns hold something else (a member that no column takes is kept,
but no query sees it); half surrogate pairs, NaN and Infinity; Arrow types that KQL has no form for; directories that another process
writes, or that a newer version wrote.

**How rows lie.** A resource type is a partition: a native table with the shape that covers all its documents. A type of few rows has none
of its own; all of those share one, sorted by type, whose dynamic columns are JSON. Whether a type has rows enough is asked of one import,
and at each batch of changes, which makes it leave the shared one; once it has a partition, later rows go there. Rows are sorted by
subscription, group and name as they are imported: near rows are alike, so they compress well and are skipped together.

**In which order to read.** `tables` (names and columns), `documents` (JSON without loss), `shapes` (what documents agree on), `columns` and
`batches` (rows to Arrow and back), `catalog`, `snapshot`, `database` (DuckDB: file, transactions, checkpoints) and `store` over it, with
`native`, `bookkeeping`, `reshape` (tables). Changes: `changes` (what is handed in), `placing` (which partition takes it), `widening` (how a
large table covers more), `merging` (the newest wins; what is hot in place) with `hash_index` (where rows are), `upkeep` (checkpoints and
clustering). The ways in: `files`, which reads by `reading` and loads through `rows` (what fits in memory) or in two passes: `readers`
(processes), `intake`, `growing` and `spool` in each of them (documents become sorted runs of Arrow), `gathering` (the runs are merged); the
way out: `export`. Tables that are given: `forms` (what Arrow's types mean), `registered`, `arrow` (queried in place), `user_tables`.
`sample*` make an inventory of any size.
"""
