"""The command line: `main` reads arguments, calls, prints. `simulate`, `status` and `demo` hold what those commands do."""
