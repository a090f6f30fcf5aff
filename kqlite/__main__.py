"""`python -m kqlite` is `kqlite`."""

from kqlite.cli.main import run

run()
