"""What is known about the fleet: resource tables in DuckDB, the shapes of their documents, and the ways in and out.

**Promises.** A document comes out equal to the document that went in, apart from null members: KQL reads a null member as a missing one.
1, 1.0 and true stay three values; a number keeps its value or else its text; `{}`, `[]` and a missing member stay apart. An import, or a
batch of changes, is applied whole with its watermark, or not at all. A snapshot sees one catalog and the rows of that catalog, whatever
another thread writes meanwhile. The language reads all of it through the `Catalog` protocol alone.

**Refuses.** Rows without `id` or `type`; rows whose string columns hold something else; half surrogate pairs, NaN and Infinity; Arrow types
without a KQL form; directories that another process writes, or that a newer version wrote. A member that no column takes is kept, but no
query sees it.

**How rows are stored.** A resource type is a partition: a native table whose shape covers all documents of the type. Types with few rows
share one partition, sorted by type, whose dynamic columns are JSON text. The number of rows of one import decides whether a type gets its
own partition; a later batch of changes can move a type out of the shared partition, and never back. An import sorts rows by subscription,
group and name: similar rows lie together, so they compress well and scans skip them together.

**The packages, in the order in which to read them.** Each imports only those above it:

| package | what it owns |
|---|---|
| `shapes/` | documents, their shapes, and rows as Arrow batches |
| `store/` | the DuckDB database: catalog, snapshots, upserts, maintenance |
| `imports/` | files into a store, and a store into files |
| `sample/` | a seeded inventory of any size |
"""
