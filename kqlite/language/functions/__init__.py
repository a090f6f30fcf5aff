"""The function catalogue. `declare.py` says what a declaration is; a module for each family holds the declarations; importing
this package loads them all.
"""

from kqlite.language.functions import (
    aggregates,
    arrays,
    conversions,
    datetimes,
    dynamics,
    encodings,
    logic,
    networks,
    numbers,
    parsing,
    series,
    strings,
    windows,
)
from kqlite.language.functions.declare import FUNCTIONS

__all__ = [
    "FUNCTIONS",
    "aggregates",
    "arrays",
    "conversions",
    "datetimes",
    "dynamics",
    "encodings",
    "logic",
    "networks",
    "numbers",
    "parsing",
    "series",
    "strings",
    "windows",
]
