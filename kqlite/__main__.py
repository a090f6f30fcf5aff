"""`python -m kqlite` is `kqlite`."""

import sys

from kqlite.cli import main

sys.exit(main())
