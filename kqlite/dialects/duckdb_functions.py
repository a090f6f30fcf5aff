"""The lowering functions that declarations name: importing this module registers them all, a module for each family."""

from kqlite.dialects import (
    duckdb_aggregates,
    duckdb_datetimes,
    duckdb_dynamics,
    duckdb_logic,
    duckdb_numbers,
    duckdb_operators,
    duckdb_strings,
    duckdb_text_operators,
    duckdb_windows,
)

__all__ = [
    "duckdb_aggregates",
    "duckdb_datetimes",
    "duckdb_dynamics",
    "duckdb_logic",
    "duckdb_numbers",
    "duckdb_operators",
    "duckdb_strings",
    "duckdb_text_operators",
    "duckdb_windows",
]
