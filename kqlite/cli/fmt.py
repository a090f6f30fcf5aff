"""`kqlite fmt`: query files laid out by the formatter."""

import difflib
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from kqlite.errors import KqliteError
from kqlite.language.diagnostics import KqlError
from kqlite.language.formatter import format_query

_SUFFIXES = (".kql", ".kusto", ".csl")


def fmt(paths: Sequence[str], *, width: int, check: bool, diff: bool) -> int:
    """Lay out queries; the exit code of the command.

    Args:
        paths: Files, and folders of query files; none or `-` is standard input, whose layout goes to standard output.
        width: Columns of a line.
        check: Write no file, and name those that would change.
        diff: Write no file, and print what would change.
    """
    changed = kept = failed = 0
    for name, text, path in _sources(paths):
        try:
            laid_out = format_query(text, width)
        except KqlError as error:
            print(f"{name}: {error}", file=sys.stderr)
            failed += 1
            continue
        is_changed = laid_out != text
        changed, kept = changed + is_changed, kept + (not is_changed)
        if diff and is_changed:
            lines = difflib.unified_diff(text.splitlines(True), laid_out.splitlines(True), name, name)
            sys.stdout.writelines(line if line.endswith("\n") else f"{line}\n" for line in lines)
        elif check and is_changed:
            print(f"would change {name}")
        elif path is None and not (check or diff):
            sys.stdout.write(laid_out)
        elif is_changed and path is not None and not (check or diff):
            path.write_text(laid_out, encoding="utf-8")
    if any(path != "-" for path in paths):
        would = "would be " if check or diff else ""
        parts = [f"{_files(changed)} {would}laid out anew", f"{_files(kept)} left as they are" if kept != 1 else "1 file left as it is"]
        print(", ".join([*parts, *([f"{_files(failed)} with errors"] if failed else [])]), file=sys.stderr)
    return 1 if failed or (changed and (check or diff)) else 0


def _files(count: int) -> str:
    return f"{count} file{'' if count == 1 else 's'}"


def _sources(paths: Sequence[str]) -> Iterator[tuple[str, str, Path | None]]:
    """The name and the text of each query, and the file that it came from, None for standard input."""
    for name in paths or ["-"]:
        if name == "-":
            yield "standard input", sys.stdin.read(), None
            continue
        path = Path(name)
        files = sorted(each for each in path.rglob("*") if each.suffix in _SUFFIXES) if path.is_dir() else [path]
        if not files:
            raise KqliteError(f"{name}: no file there ends in {', '.join(_SUFFIXES)}")
        for file in files:
            try:
                yield str(file), file.read_text(encoding="utf-8"), file
            except UnicodeDecodeError as error:
                raise KqliteError(f"{file}: not UTF-8 text: byte {error.start}") from error
