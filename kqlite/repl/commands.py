"""What begins with a backslash at the prompt: each command is one decorated function."""

import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol


class Sitting(Protocol):
    """What a command may change."""

    left: bool


@dataclass(frozen=True, slots=True)
class Command:
    """doc: what it does, in one line."""

    name: str
    doc: str
    run: Callable[[Sitting], None]


COMMANDS: dict[str, Command] = {}


def command(name: str, doc: str) -> Callable[[Callable[[Sitting], None]], Callable[[Sitting], None]]:
    """Declares the function below as the command `\\name`."""

    def declare(run: Callable[[Sitting], None]) -> Callable[[Sitting], None]:
        assert name not in COMMANDS, name
        COMMANDS[name] = Command(name, doc, run)
        return run

    return declare


def command_name(typed: str) -> str:
    """The name in `\\name`, whatever follows it."""
    words = typed.removeprefix("\\").split()
    return words[0] if words else ""


@command("?", "list the commands")
def show_help(sitting: Sitting) -> None:
    print("A query may take several lines; a blank line or a `;` ends it.", file=sys.stderr)
    for each in COMMANDS.values():
        print(f"  \\{each.name}  {each.doc}", file=sys.stderr)


@command("q", "leave")
def leave(sitting: Sitting) -> None:
    sitting.left = True
