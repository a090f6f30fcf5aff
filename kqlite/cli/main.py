"""The command line: reads arguments, calls, prints.

Results go to stdout, all else to stderr. Exit codes: 0; 1 where the query or the data is at fault; 2 for wrong usage; 130 after Ctrl-C;
141 where the reader of a pipe has gone, as for any program that such a signal ends.
"""

import io
import os
import signal
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, NoReturn

from kqlite.cli.arguments import STANDARD_INPUT, Options, Usage, read
from kqlite.errors import InventoryWarning, KqliteError
from kqlite.gc_control import keep_for_good, no_collection

if TYPE_CHECKING:
    from datetime import datetime

    from kqlite.connection import Connection

_BINARY = ("parquet", "arrow")
_MAX_QUERY_BYTES = 16 * 2**20
"""A file larger than this is no query; what is longer than the language allows and smaller than this, the language refuses itself."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command and returns its exit code."""
    options = read(sys.argv[1:] if arguments is None else arguments)
    if isinstance(sys.stdout, io.TextIOWrapper):
        # Where the encoding lacks a character, a table shows `?` in its place; what `--format` writes is always UTF-8.
        sys.stdout.reconfigure(errors="replace")
    warnings.simplefilter("always", InventoryWarning)
    warnings.showwarning = _show_warning  # type: ignore[assignment]  # of what it is given, only the message is of interest
    try:
        code = _COMMANDS[options.command](options)
        sys.stdout.flush()
    except Usage as usage:
        options.parser.error(str(usage))
    except KqliteError as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:
        _drop_output()
        return 141
    except OSError as error:
        _drop_output()
        print(f"{error.filename or 'standard output'}: {error.strerror}", file=sys.stderr)
        return 1
    return code


def _show_warning(message: Warning | str, *_: object) -> None:
    print(f"warning: {message}", file=sys.stderr)


def run() -> NoReturn:
    """The command as a process of its own."""
    code = main()
    with suppress(OSError):
        sys.stderr.flush()
    # All that has to be closed is closed by now; taking the interpreter, DuckDB and Arrow to pieces takes 15 ms more.
    os._exit(code)


def _drop_output() -> None:
    """What is still in the buffer cannot be written; without this the interpreter would complain about it when it ends."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _bare(options: Options) -> int:
    """No command: a query where one is given, else the prompt, over a pipe too."""
    if options.text is not None or options.file is not None:
        return _query(options)
    if options.param or options.format is not None:
        if sys.stdin.isatty():
            raise Usage("--format and --param are for a query; the prompt has none yet")
        return _query(options)
    from kqlite.repl import run

    with _connect(options.data) as connection:
        return run(connection)


def _query(options: Options) -> int:
    if options.format in _BINARY and sys.stdout.isatty():
        raise Usage(f"{options.format} is not for a terminal: send it to a file with > or to a program with |")
    text = _text(options)
    with no_collection(), _connect(options.data) as connection:
        result = connection.query(text, dict(options.param))
        if options.format in (None, "table"):
            from kqlite.formats.terminal import ROWS_SHOWN, print_answer

            print_answer(result, limit=ROWS_SHOWN if sys.stdout.isatty() else None)
            return 0
        from kqlite.formats import write_binary, write_text

        if options.format in _BINARY:
            write_binary(result, options.format, sys.stdout.buffer)
        else:
            # These are read by programs, which expect the same bytes whatever the locale.
            _stdout().reconfigure(encoding="utf-8", newline="\n")
            write_text(result, options.format, sys.stdout)
    return 0


def _explain(options: Options) -> int:
    text = _text(options)
    with _connect(options.data) as connection:
        compiled = connection.compile(text, dict(options.param))
        print(f"{compiled.plan}\n\n{compiled.sql}")
    return 0


def _sample(options: Options) -> int:
    from kqlite.formats.terminal import ProgressBar
    from kqlite.inventory.sample.generate import write_sample

    progress = ProgressBar("machines", sys.stderr)
    write_sample(options.directory, options.vms, options.seed, progress)
    progress.clear()
    print(f"{options.vms:,} virtual machines written to {options.directory}", file=sys.stderr)
    return 0


def _import(options: Options) -> int:
    from kqlite.formats.terminal import ProgressBar
    from kqlite.inventory.imports.files import import_files
    from kqlite.inventory.store.imports import Coverage

    progress = ProgressBar("documents", sys.stderr)
    coverage = None if options.replace is None else Coverage(options.replace)
    count = import_files(options.files, options.directory, progress, as_of=options.as_of, replaces=coverage)
    progress.clear()
    print(f"{count:,} {'document' if count == 1 else 'documents'} imported into {options.directory}", file=sys.stderr)
    return 0


def _demo(_: Options) -> int:
    from kqlite.cli.demo import run

    run()
    return 0


def _simulate(options: Options) -> int:
    if options.days is not None and options.speed is not None:
        raise Usage("--speed is for a simulation by the wall's clock; one of --days runs as fast as it can")
    with _stop_signals() as stopped:
        from kqlite.cli.simulate import simulate
        from kqlite.formats.terminal import ProgressBar

        bar = ProgressBar("hours", sys.stderr)
        hours = max(1, round((options.days or 0) * 24))
        try:
            summary = simulate(
                options.directory,
                scenario=options.scenario,
                vms=options.vms,
                days=options.days,
                seed=options.seed,
                speed=options.speed or 1.0,
                faults=options.fault,
                lag=options.lag,
                activity=options.activity,
                stopped=stopped,
                progress=lambda share: bar(round(share * hours), hours),
                begun=lambda now: _say_begun(options, now),
            )
        except UnicodeDecodeError as error:
            raise KqliteError(f"{options.scenario}: not UTF-8 text: byte {error.start}") from error
        finally:
            bar.clear()
    print(summary)
    return 0


def _say_begun(options: Options, now: "datetime") -> None:
    pace = "" if options.speed is None else f", {options.speed:g} times as fast as the wall's clock"
    said = f"simulates from {now:%Y-%m-%d %H:%M:%S} UTC on{pace}; other processes can ask {options.directory}, and Ctrl-C ends it"
    print(said, file=sys.stderr, flush=True)
    keep_for_good()


def _fmt(options: Options) -> int:
    from kqlite.cli.fmt import fmt

    return fmt(options.paths, width=options.width, check=options.check, diff=options.diff)


def _status(options: Options) -> int:
    from kqlite.cli.status import as_json, as_text, changes_per_hour
    from kqlite.connection import connect

    with connect(options.directory) as connection:
        stats = connection.stats()
        per_hour = changes_per_hour(connection, None if stats.sequence is None else stats.watermark)
    print(as_json(stats, per_hour) if options.format == "json" else as_text(stats, per_hour=per_hour))
    return 0


@contextmanager
def _stop_signals() -> Iterator[Callable[[], bool]]:
    """Within it SIGINT and SIGTERM end nothing, and are only seen by what asks; a second one ends the process as usual."""
    seen: list[int] = []

    def note(number: int, _: FrameType | None) -> None:
        seen.append(number)
        for each, handler in before.items():
            signal.signal(each, handler)

    before = {number: signal.signal(number, note) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield lambda: bool(seen)
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)


def _connect(paths: Sequence[Path]) -> "Connection":
    from kqlite.connection import connect, connect_sample

    if not paths:
        return connect_sample()
    return connect(paths[0] if len(paths) == 1 else paths)


def _text(options: Options) -> str:
    """The query that was given, or that stands in a file or in standard input."""
    name = options.file or (STANDARD_INPUT if options.text in (None, STANDARD_INPUT) else None)
    if options.text is None and options.file is None and sys.stdin.isatty():
        raise Usage("give a query, -f FILE, or - for standard input")
    if name == STANDARD_INPUT and any(str(path) == STANDARD_INPUT for path in options.data):
        raise Usage("standard input cannot be both the query and the data")
    text: str = _read(name) if name is not None else options.text
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise KqliteError(f"the query is not UTF-8 text: character {error.start}") from error
    return text


def _read(name: str) -> str:
    try:
        with open(0 if name == "-" else name, "rb", closefd=name != "-") as file:
            data = file.read(_MAX_QUERY_BYTES + 1)
        if len(data) > _MAX_QUERY_BYTES:
            raise KqliteError(f"{name} is longer than a query can be")
        return data.decode("utf-8-sig")
    except OSError as error:
        raise KqliteError(f"cannot read the query from {name}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise KqliteError(f"the query in {name} is not UTF-8 text: byte {error.start}") from error


def _stdout() -> io.TextIOWrapper:
    assert isinstance(sys.stdout, io.TextIOWrapper)
    return sys.stdout


_COMMANDS: dict[str, Callable[[Options], int]] = {
    "": _bare,
    "query": _query,
    "explain": _explain,
    "fmt": _fmt,
    "import": _import,
    "sample": _sample,
    "demo": _demo,
    "simulate": _simulate,
    "status": _status,
}
