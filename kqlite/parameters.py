"""Values that a caller gives to a query by name: from Python's types to KQL's."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID

from kqlite.errors import KqliteError
from kqlite.language.plan import parameter_variable
from kqlite.language.types import TICKS_PER_DAY, TICKS_PER_SECOND, UNIX_EPOCH_TICKS, Type

NOW = "now"
"""The variable that `now()` reads."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class ParameterError(KqliteError):
    """A parameter that no query can take."""


@dataclass(frozen=True, slots=True)
class Parameter:
    """type: its KQL type. bound: what DuckDB is given."""

    type: Type
    bound: object


def variable(name: str) -> str:
    """The variable of a plan that holds the parameter `name`."""
    return parameter_variable(name)


def parameter_name(variable: str) -> str:
    """The parameter that a variable of a plan holds."""
    return variable.removeprefix(parameter_variable(""))


def typed(parameters: Mapping[str, object]) -> dict[str, Parameter]:
    """Each value with its KQL type: bool, int (long), float (real), str, datetime (naive is UTC), timedelta, UUID, list and
    dict (dynamic); what is typed already stays.

    Raises ParameterError for a name that is no identifier or a value of another type.
    """
    if not isinstance(parameters, Mapping):
        raise TypeError(f"parameters are values by name, and not {type(parameters).__name__}")
    return {name: _typed(name, value) for name, value in parameters.items()}


def _typed(name: str, value: object) -> Parameter:
    if not (isinstance(name, str) and name.isidentifier() and name.isascii()):
        raise ParameterError(f"`{name}` is no name for a parameter: letters, digits and `_`")
    match value:
        case Parameter():
            return value
        case bool():
            return Parameter(Type.BOOL, value)
        case int():
            if not -(2**63) <= value < 2**63:
                raise ParameterError(f"the parameter `{name}` is too large for a long")
            return Parameter(Type.LONG, value)
        case float():
            return Parameter(Type.REAL, value)
        case str():
            return Parameter(Type.STRING, _text(name, value))
        case datetime():
            return Parameter(Type.DATETIME, ticks_of(value))
        case timedelta():
            return Parameter(Type.TIMESPAN, timespan_ticks(value))
        case UUID():
            return Parameter(Type.GUID, str(value))
        case list() | dict() | tuple():
            return Parameter(Type.DYNAMIC, _json(name, value))
    raise ParameterError(f"the parameter `{name}` is a {type(value).__name__}, which no KQL type holds")


def _text(name: str, value: str) -> str:
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise ParameterError(f"the parameter `{name}` is not valid Unicode: character {error.start}") from None
    return value


def _json(name: str, value: object) -> str:
    try:
        return _text(name, json.dumps(value, ensure_ascii=False, allow_nan=False, sort_keys=True, separators=(",", ":")))
    except (TypeError, ValueError) as error:
        raise ParameterError(f"the parameter `{name}` is not JSON: {error}") from None


def ticks_of(moment: datetime) -> int:
    """Ticks of 100 ns since 0001-01-01; a naive moment is taken as UTC."""
    aware = moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
    return UNIX_EPOCH_TICKS + timespan_ticks(aware - _EPOCH)


def timespan_ticks(span: timedelta) -> int:
    return span.days * TICKS_PER_DAY + span.seconds * TICKS_PER_SECOND + span.microseconds * 10
