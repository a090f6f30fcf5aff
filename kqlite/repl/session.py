"""One sitting at the prompt: answers queries and commands over one connection."""

import sys
from collections.abc import Mapping
from typing import Protocol

from kqlite.errors import KqliteError
from kqlite.formats.terminal import ROWS_SHOWN, Answer, print_answer
from kqlite.repl.commands import COMMANDS, command_name


class Connection(Protocol):
    """What of a connection the prompt uses."""

    def query(self, text: str, parameters: Mapping[str, object] | None = None) -> Answer: ...


class Session:
    """Answers what is typed; `left` once the user has asked to leave."""

    def __init__(self, connection: Connection):
        self._connection = connection
        self.left = False

    def greet(self) -> None:
        print("A query ends with a blank line or `;`. \\? lists the commands, \\q leaves.", file=sys.stderr)

    def answer(self, typed: str) -> bool:
        """Runs a query or a command and prints what comes of it; returns whether it went well."""
        if typed.startswith("\\"):
            return self._command(command_name(typed))
        try:
            print_answer(self._connection.query(typed), limit=ROWS_SHOWN)
        except KqliteError as error:
            print(error, file=sys.stderr)
            return False
        return True

    def _command(self, name: str) -> bool:
        command = COMMANDS.get(name)
        if command is None:
            print(f"no command `\\{name}`; \\? lists the commands", file=sys.stderr)
            return False
        command.run(self)
        return True
