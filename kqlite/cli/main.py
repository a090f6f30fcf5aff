"""The command line: reads arguments, calls, prints.

Results go to stdout, all else to stderr. Exit codes: 0; 1 where the query or the data is at fault; 2 for wrong usage; 130 after Ctrl-C;
141 where the reader of a pipe has gone, as for any program that such a signal ends.
"""

import argparse
import io
import os
import signal
import sys
import textwrap
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, NoReturn

from kqlite.errors import KqliteError
from kqlite.gc_control import keep_for_good, no_collection

if TYPE_CHECKING:
    from datetime import datetime

    from kqlite.connection import Connection

FORMATS = ("table", "json", "jsonl", "csv", "markdown", "parquet", "arrow")
_BINARY = ("parquet", "arrow")
_MAX_QUERY_BYTES = 16 * 2**20
"""A file larger than this is no query; what is longer than the language allows and smaller than this, the language refuses itself."""

_MOST = 1_000_000
"""Days of a simulation, or its speed, stay below this, so that its dates stay dates."""

_FILES = "JSON array, JSON lines, what `az graph query` prints, Parquet, Arrow"
_DESCRIPTION = """\
Azure Resource Graph in a box: KQL over an inventory of virtual machines and scale sets.
Without a command it prompts for queries.
"""
_EPILOG = """\
examples:
  kqlite query "resources | summarize count() by type | top 5 by count_"
  kqlite query -f question.kql --data export.json --format csv
  kqlite import exports/*.json inventory/ && kqlite query "resources | count" --data inventory/
  kqlite sample --vms 100000 --seed 7 inventory/
  kqlite simulate fleet-sim/ --vms 50 --days 1 --seed 7
  kqlite status fleet-sim/
"""


class Usage(Exception):
    """Arguments that argparse takes and that make no sense together."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command and returns its exit code."""
    options = _parser().parse_args(arguments)
    command: Callable[[argparse.Namespace], int] = options.run
    try:
        code = command(options)
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


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="kqlite",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action=_Version, nargs=0, help="print the version and leave")
    _add_data(parser, default=())
    parser.set_defaults(run=_repl, parser=parser)
    commands = parser.add_subparsers(title="commands", metavar="COMMAND")

    query = commands.add_parser("query", help="run a query and print its result", description="Runs a query and prints its result.")
    _add_text(query)
    query.add_argument("--format", choices=FORMATS, default="table", help="form of the result (default: table)")
    query.set_defaults(run=_query, parser=query)

    explain = commands.add_parser(
        "explain",
        help="print the plan and the SQL of a query",
        description="Prints the plan of a query and the DuckDB SQL made of it, and runs nothing.",
    )
    _add_text(explain)
    explain.set_defaults(run=_explain, parser=explain)

    fmt = commands.add_parser(
        "fmt",
        help="lay out queries in one way",
        description="Lays out the query in each file in one way, and changes nothing but white space. Comments stay.",
    )
    fmt.add_argument(
        "paths",
        nargs="*",
        metavar="PATH",
        help="files of a query each, and folders of such .kql files; - and none: standard input to standard output",
    )
    fmt.add_argument(
        "--check", action="store_true", help="write nothing; name the files that would change, and exit with 1 if there are any"
    )
    fmt.add_argument("--diff", action="store_true", help="write nothing; print what would change, and exit with 1 if anything would")
    fmt.add_argument("--width", type=_count, default=100, metavar="N", help="columns of a line (default: 100)")
    fmt.set_defaults(run=_fmt, parser=fmt)

    sample = commands.add_parser(
        "sample",
        help="write a realistic inventory",
        description="Writes an inventory of virtual machines with all that belongs to them into a new data directory.",
    )
    sample.add_argument("--vms", type=_count, required=True, metavar="N", help="how many virtual machines")
    sample.add_argument("--seed", type=int, default=1, metavar="S", help="equal seeds give equal inventories (default: 1)")
    sample.add_argument("directory", type=Path, metavar="DIR", help="the data directory to write")
    sample.set_defaults(run=_sample, parser=sample)

    imports = commands.add_parser(
        "import",
        help="read files into a data directory",
        description="Reads files into a data directory, which is made if it does not exist. A file with a fault is not imported at all.",
    )
    imports.add_argument("files", nargs="+", type=Path, metavar="FILE", help=_FILES)
    imports.add_argument("directory", type=Path, metavar="DIR", help="the data directory")
    imports.set_defaults(run=_import, parser=imports)

    _add_fleets(commands)
    return parser


def _add_fleets(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """The commands about a fleet that moves."""
    demo = commands.add_parser(
        "demo",
        help="show a fleet that moves and queries that see it late",
        description="Scales a small fleet on a simulated clock, and asks the same query before and after the inventory's lag has passed.",
    )
    demo.set_defaults(run=_demo, parser=demo)

    simulate = commands.add_parser(
        "simulate",
        help="run scale sets and their machines",
        description="Runs a simulation of scale sets, or goes on with the one in the directory, for --days or until it is stopped.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        add_help=False,
    )
    simulate.add_argument("-h", "--help", action=_HelpWithRates, nargs=0, help="show this help message and exit")
    simulate.add_argument("directory", type=Path, metavar="DIR", help="where its log is kept, made if it does not exist")
    begin = simulate.add_mutually_exclusive_group()
    begin.add_argument("--scenario", type=Path, metavar="FILE", help="begin with the requests of a scenario file")
    begin.add_argument("--vms", type=_count, metavar="N", help="begin with N virtual machines, in scale sets with autoscale")
    simulate.add_argument(
        "--fault",
        action="append",
        default=[],
        metavar="FAULT",
        help="a fault, as in 'allocation region=eastus start=6h duration=1h'; may be given several times",
    )
    simulate.add_argument("--days", type=_positive, metavar="D", help="simulate D days as fast as possible (default: by the wall's clock)")
    simulate.add_argument("--seed", type=int, default=1, metavar="S", help="equal seeds give equal simulations (default: 1)")
    simulate.add_argument("--speed", type=_positive, metavar="X", help="simulated seconds for each second of the wall (default: 1)")
    simulate.add_argument(
        "--lag",
        default="measured",
        metavar="LAG",
        help="how late its inventory shows a change: 30s, 1s..60s, or measured as in the service; after 'per-resource' each on its own "
        "(default: measured)",
    )
    simulate.add_argument(
        "--activity",
        choices=("none", "calm", "normal", "wild"),
        help="how busy the fleet is by itself, from now on (default: as it was; at first normal with --vms, else none)",
    )
    simulate.set_defaults(run=_simulate, parser=simulate)

    status = commands.add_parser(
        "status",
        help="say how far an inventory has come, how large it is, who holds it",
        description="Says of a data directory how far its inventory has come, how large it is and which process holds it, if one does.",
    )
    status.add_argument("directory", type=Path, metavar="DIR", help="the data directory")
    status.add_argument("--format", choices=("text", "json"), default="text", help="for a reader, or for a program (default: text)")
    status.set_defaults(run=_status, parser=status)


def _add_data(parser: argparse.ArgumentParser, default: object) -> None:
    parser.add_argument(
        "--data",
        nargs="+",
        action="extend",
        type=Path,
        default=default,
        metavar="PATH",
        help=f"a data directory, or files: {_FILES} (default: the bundled sample)",
    )


def _add_text(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("text", nargs="?", metavar="TEXT", help="the query; - reads it from standard input")
    parser.add_argument("-f", "--file", metavar="FILE", help="read the query from a file; - is standard input")
    _add_data(parser, default=argparse.SUPPRESS)
    parser.add_argument(
        "--param",
        action="append",
        type=_parameter,
        default=[],
        metavar="NAME=VALUE",
        help="a value for a name in the query: a number, true, false, or else a string",
    )


class _HelpWithRates(argparse.Action):
    """Reads the rates of activity only where they are asked for."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        from kqlite.orchestration.activity_rates import described

        parser.epilog = f"--activity:\n{textwrap.indent(described(), '  ')}"
        parser.print_help()
        parser.exit()


class _Version(argparse.Action):
    """Reads the version only where it is asked for."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        from kqlite.version import own_version

        print(f"kqlite {own_version()}")
        parser.exit()


def _count(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text} is not a number of machines")
    return number


def _positive(text: str) -> float:
    number = float(text)
    if not 0 < number < _MOST:
        raise argparse.ArgumentTypeError(f"{text} is not above 0 and below {_MOST:,}")
    return number


def _parameter(text: str) -> tuple[str, object]:
    name, equals, value = text.partition("=")
    if not equals or not name.isidentifier():
        raise argparse.ArgumentTypeError(f"`{text}` is not NAME=VALUE")
    return name, _parameter_value(value)


def _parameter_value(text: str) -> object:
    if text in ("true", "false"):
        return text == "true"
    for number in (int, float):
        try:
            return number(text)
        except ValueError:
            continue
    return text


def _query(options: argparse.Namespace) -> int:
    if options.format in _BINARY and sys.stdout.isatty():
        raise Usage(f"{options.format} is not for a terminal: send it to a file with > or to a program with |")
    text = _text(options)
    with no_collection(), _connect(options.data) as connection:
        result = connection.query(text, dict(options.param))
        if options.format == "table":
            from kqlite.formats.terminal import print_answer

            print_answer(result)
            return 0
        from kqlite.formats import write_binary, write_text

        if options.format in _BINARY:
            write_binary(result, options.format, sys.stdout.buffer)
        else:
            # These are read by programs, which expect the same bytes whatever the locale.
            _stdout().reconfigure(encoding="utf-8", newline="\n")
            write_text(result, options.format, sys.stdout)
    return 0


def _explain(options: argparse.Namespace) -> int:
    text = _text(options)
    with _connect(options.data) as connection:
        compiled = connection.compile(text, dict(options.param))
        print(f"{compiled.plan}\n\n{compiled.sql}")
    return 0


def _sample(options: argparse.Namespace) -> int:
    from kqlite.formats.terminal import Progress
    from kqlite.inventory.sample.generate import write_sample

    progress = Progress("machines", sys.stderr)
    write_sample(options.directory, options.vms, options.seed, progress)
    progress.clear()
    print(f"{options.vms:,} virtual machines written to {options.directory}", file=sys.stderr)
    return 0


def _import(options: argparse.Namespace) -> int:
    from kqlite.formats.terminal import Progress
    from kqlite.inventory.imports.files import import_files

    progress = Progress("documents", sys.stderr)
    count = import_files(options.files, options.directory, progress)
    progress.clear()
    print(f"{count:,} {'document' if count == 1 else 'documents'} imported into {options.directory}", file=sys.stderr)
    return 0


def _demo(_: argparse.Namespace) -> int:
    from kqlite.cli.demo import run

    run()
    return 0


def _simulate(options: argparse.Namespace) -> int:
    if options.days is not None and options.speed is not None:
        raise Usage("--speed is for a simulation by the wall's clock; one of --days runs as fast as it can")
    with _stop_signals() as stopped:
        from kqlite.cli.simulate import simulate
        from kqlite.formats.terminal import Progress

        bar = Progress("hours", sys.stderr)
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


def _say_begun(options: argparse.Namespace, now: "datetime") -> None:
    pace = "" if options.speed is None else f", {options.speed:g} times as fast as the wall's clock"
    said = f"simulates from {now:%Y-%m-%d %H:%M:%S} UTC on{pace}; other processes can ask {options.directory}, and Ctrl-C ends it"
    print(said, file=sys.stderr, flush=True)
    keep_for_good()


def _fmt(options: argparse.Namespace) -> int:
    from kqlite.cli.fmt import fmt

    return fmt(options.paths, width=options.width, check=options.check, diff=options.diff)


def _status(options: argparse.Namespace) -> int:
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


def _repl(options: argparse.Namespace) -> int:
    from kqlite.repl import run

    with _connect(options.data) as connection:
        return run(connection)


def _connect(paths: Sequence[Path]) -> "Connection":
    from kqlite.connection import connect, connect_sample, open_files

    if not paths:
        return connect_sample()
    if len(paths) == 1 and paths[0].is_dir():
        return connect(paths[0])
    return open_files(paths)


def _text(options: argparse.Namespace) -> str:
    if (options.text is None) == (options.file is None):
        raise Usage("give one query: TEXT, -f FILE, or - for standard input; it stands before --data, which takes all the words after it")
    text: str = _read(options.file or "-") if options.file or options.text == "-" else options.text
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
