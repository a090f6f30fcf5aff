"""Azure's own shapes of request bodies, as `make.py` took them from the public API specifications.

`table.json` has two parts. `words`: the allowed words of each choice. `objects`: the members of each object, each described by words
with spaces between: its type first (`str`, `int`, a choice, an object; `[..]` a list and `{..}` a map of it), or `read-only`; then
`required`, `min=` and `max=`, `minItems=` and `maxItems=`, and `>VERSION`: the last api-version known not to have it.
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
