"""The reference page of all functions, made from their declarations: `python -m kqlite.language.functions.page` writes it."""

from collections.abc import Iterable, Iterator
from pathlib import Path

from kqlite.language.functions import FUNCTIONS
from kqlite.language.functions.declare import Function, Signature
from kqlite.language.functions.operators import OPERATORS
from kqlite.language.functions.refused import REFUSED

PAGE = Path(__file__).with_name("README.md")

_INTRODUCTION = """\
# Functions

What a query can call, made from the declarations in this folder by `python -m kqlite.language.functions.page`.
Each example is run by the tests.
"""


def page() -> str:
    """The text of the page."""
    functions = FUNCTIONS.all()
    parts = [
        _INTRODUCTION,
        *_section("Scalar functions", (function for function in functions if not function.aggregate)),
        *_section("Aggregates", (function for function in functions if function.aggregate)),
        *_section("Operators", OPERATORS.all()),
        *_refused(),
    ]
    return "\n".join(parts)


def _section(title: str, functions: Iterable[Function]) -> Iterator[str]:
    yield f"## {title}\n"
    for function in functions:
        yield f"### `{function.name}`\n"
        yield f"{function.doc}{_aliases(function)}\n"
        yield from (f"- `{function.name}{signature}`{_returns(signature)}" for signature in function.signatures)
        yield "\n```kql"
        yield from (_example(example.call, example.result, example.rows) for example in function.examples)
        yield f"```\n\nSource: {function.source}.\n"


def _refused() -> Iterator[str]:
    yield "## Not available\n"
    yield "Functions that Kusto documents and kqlite refuses by name.\n"
    yield "| function | why |\n|---|---|"
    yield from (f"| `{name}` | {reason} |" for name, reason in sorted(REFUSED.items()))
    yield ""


def _aliases(function: Function) -> str:
    return f" Also called {', '.join(f'`{alias}`' for alias in function.aliases)}." if function.aliases else ""


def _returns(signature: Signature) -> str:
    return "" if callable(signature.returns) else f": {signature.returns}"


def _example(call: str, result: str, rows: str | None) -> str:
    over = "" if rows is None else f" of {rows or 'nothing'}"
    return f"{call}  // {result}{over}"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
