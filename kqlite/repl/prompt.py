"""The line editor: queries over several lines, and a history that lasts where the home folder can be written."""

import os
from collections.abc import Iterator
from pathlib import Path

from prompt_toolkit import PromptSession
from prompt_toolkit.history import FileHistory, History, InMemoryHistory
from prompt_toolkit.key_binding import KeyBindings, KeyPressEvent
from prompt_toolkit.keys import Keys

from kqlite.repl.queries import cleaned, is_complete

_PROMPT = "kqlite> "
_CONTINUED = "......> "


def read_queries() -> Iterator[str]:
    """What is typed, query by query, until the end of input (Ctrl-D). Ctrl-C drops what was typed so far."""
    session: PromptSession[str] = PromptSession(
        _PROMPT, multiline=True, prompt_continuation=_CONTINUED, history=history(Path.home()), key_bindings=_keys()
    )
    while True:
        try:
            query = cleaned(session.prompt())
        except KeyboardInterrupt:
            continue
        except EOFError:
            return
        if query:
            yield query


def history(home: Path) -> History:
    """The file `.kqlite_history` in `home`, for its owner alone; in memory where that cannot be written."""
    path = home / ".kqlite_history"
    try:
        os.close(os.open(path, os.O_CREAT | os.O_APPEND | os.O_RDWR, 0o600))
    except OSError:
        return InMemoryHistory()
    return FileHistory(str(path))


def _keys() -> KeyBindings:
    keys = KeyBindings()

    @keys.add(Keys.Enter)
    def enter(event: KeyPressEvent) -> None:
        buffer = event.current_buffer
        at_end = not buffer.document.text_after_cursor.strip()
        if at_end and is_complete(buffer.text):
            buffer.text = buffer.text.strip()
            buffer.validate_and_handle()
        else:
            buffer.newline()

    return keys
