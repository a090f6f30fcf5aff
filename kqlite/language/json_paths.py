"""Paths into JSON as functions take them: `$.a[0]['b c']`."""

import re

_STEP = re.compile(r"""\.([A-Za-z_][\w-]*)|\[(-?[0-9]+)\]|\['([^']*)'\]|\["([^"]*)"\]""")


def steps_of(path: str) -> tuple[str | int, ...] | None:
    """The members and places that a path leads through; None where it is no such path."""
    if not path.startswith("$"):
        return None
    steps: list[str | int] = []
    position = 1
    while position < len(path):
        step = _STEP.match(path, position)
        if step is None:
            return None
        name = next((found for found in (step[1], step[3], step[4]) if found is not None), None)
        steps.append(int(step[2]) if name is None else name)
        position = step.end()
    return tuple(steps)
