"""Azure's own shapes of request bodies, as `make.py` took them from the public API specifications.

`table.json` has two parts. `words`: the allowed words of each choice. `objects`: the members of each object, each described by words
with spaces between. The first is `read-only`, or its type: `str`, `int`, a choice, an object of the table, `object` for one of anybody's
own, `[..]` for a list and `{..}` for a map of it. Then come `required`, `min=`, `max=`, `minItems=`, `maxItems=`, and `>VERSION`: the last
api-version known not to have it.
"""

import json
from functools import cache
from importlib.resources import files
from typing import Any


@cache
def table() -> dict[str, Any]:
    """The table, read once."""
    found: dict[str, Any] = json.loads(files(__name__).joinpath("table.json").read_bytes())
    return found
