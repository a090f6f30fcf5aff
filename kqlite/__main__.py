"""`python -m kqlite` is `kqlite`."""

from kqlite.cli import run

run()
