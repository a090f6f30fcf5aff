"""The dialect of DuckDB. `compile` is the way in: a plan becomes the SQL text that runs.

The other modules hold the lowering functions that declarations of functions and operators name, a module for each family; importing this
package registers them.
"""

from kqlite.dialects.duckdb import (
    aggregates,
    arrays,
    datetimes,
    dynamics,
    encodings,
    logic,
    networks,
    numbers,
    operators,
    parsing,
    series,
    strings,
    text_operators,
    windows,
)

__all__ = [
    "aggregates",
    "arrays",
    "datetimes",
    "dynamics",
    "encodings",
    "logic",
    "networks",
    "numbers",
    "operators",
    "parsing",
    "series",
    "strings",
    "text_operators",
    "windows",
]
