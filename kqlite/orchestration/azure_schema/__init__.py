"""The shapes of Azure's request bodies. `make.py` takes them from the public API specifications.

`table.json` has two parts. `words` lists the words of each choice. `objects` lists the members of each object, each as text:

    "capacity": "long min=0 >2019-03-01"     an integer from 0 up; the api-version 2019-03-01 did not have it
    "zones": "[str]"                         a list of texts
    "id": "read-only"

The text begins with `read-only` or the type: `str`, `int`, .., a choice, another object of the table, or `object` for an open object.
`[..]` is a list and `{..}` a map. Then follow `required`, `min=`, `max=`, `minItems=`, `maxItems=` and `>VERSION`, the last api-version
known not to have the member.
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
