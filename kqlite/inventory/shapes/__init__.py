"""Documents, the shapes that cover them, and rows as Arrow batches. Nothing here knows DuckDB's files or transactions.

A *shape* is the type of a dynamic column: an object with members, an array with an element, a scalar leaf, or a JSON leaf where documents
disagree. Three documents and the shape that covers them:

    {"size": "D2", "disks": [{"lun": 0}]}
    {"size": "D4", "disks": [], "spot": true}         object(size: string, disks: array(object(lun: long)), spot: bool)
    {"size": "D2", "disks": [{"lun": 1}]}

Read `documents` (JSON without loss), `shapes` (what documents agree on), `columns` and `incremental` (values to Arrow arrays, with a known
and with a growing shape), `batches` (rows to record batches and back), `resource_tables` (names and columns of the tables), `known_shapes`
(shapes that need no document), `catalog` (all tables of one version), `change_batches` (what the store is handed), `arrow_types` (what
Arrow's types mean in KQL).
"""
