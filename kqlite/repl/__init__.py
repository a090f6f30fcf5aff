"""The prompt for queries: read a query, run it, show its table or what is wrong with it, and ask again.

`queries.py` says where a query ends, `session.py` answers one, `commands.py` holds what begins with a backslash, and `prompt.py`, the only
importer of prompt-toolkit, edits lines on a terminal. Where standard input or output is no terminal the queries are read as they come, each
up to a blank line or a `;`. An error never ends the prompt, and neither does Ctrl-C.
"""

import sys
from collections.abc import Iterable, Iterator

from kqlite.repl.queries import split
from kqlite.repl.session import Connection, Session

__all__ = ["run"]


def run(connection: Connection) -> int:
    """Answers queries until the input ends or `\\q` is read. Returns 1 where input that is no terminal held a query that failed."""
    session = Session(connection)
    if sys.stdin.isatty() and sys.stdout.isatty():
        from kqlite.repl.prompt import read_queries

        session.greet()
        for query in _until_left(session, read_queries()):
            _answer_or_interrupt(session, query)
        return 0
    went_well = [session.answer(query) for query in _until_left(session, split(sys.stdin))]
    return 0 if all(went_well) else 1


def _answer_or_interrupt(session: Session, query: str) -> None:
    try:
        session.answer(query)
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)


def _until_left(session: Session, queries: Iterable[str]) -> Iterator[str]:
    for query in queries:
        yield query
        if session.left:
            return
