"""KQL's scalar types, and which of them meet.

`datetime` and `timespan` are counted in ticks of 100 ns, a datetime from 0001-01-01T00:00Z, so that no digit is lost.
"""

from enum import Enum

TICKS_PER_SECOND = 10_000_000
TICKS_PER_DAY = 86_400 * TICKS_PER_SECOND
UNIX_EPOCH_TICKS = 621_355_968_000_000_000
"""1970-01-01 in ticks."""


class Type(Enum):
    """A scalar type of KQL; the value is its name in the language."""

    BOOL = "bool"
    INT = "int"
    LONG = "long"
    REAL = "real"
    DECIMAL = "decimal"
    STRING = "string"
    DATETIME = "datetime"
    TIMESPAN = "timespan"
    GUID = "guid"
    DYNAMIC = "dynamic"

    def __str__(self) -> str:
        return self.value

    @property
    def is_numeric(self) -> bool:
        return self in (Type.INT, Type.LONG, Type.REAL)


ALIASES = {
    "bool": Type.BOOL,
    "boolean": Type.BOOL,
    "int": Type.INT,
    "long": Type.LONG,
    "real": Type.REAL,
    "double": Type.REAL,
    "string": Type.STRING,
    "datetime": Type.DATETIME,
    "date": Type.DATETIME,
    "timespan": Type.TIMESPAN,
    "time": Type.TIMESPAN,
    "guid": Type.GUID,
    "uuid": Type.GUID,
    "uniqueid": Type.GUID,
    "dynamic": Type.DYNAMIC,
}
"""Every name under which a query may write a type. `decimal` is missing: only whole ones are held, which `parse_version()` makes."""


def widest(types: list[Type]) -> Type | None:
    """The numeric type that holds all of `types`, or None where one of them is no number."""
    if not all(type_.is_numeric for type_ in types):
        return None
    return max(types, key=[Type.INT, Type.LONG, Type.REAL].index)
