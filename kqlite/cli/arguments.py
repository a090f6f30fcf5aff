"""The arguments of the command line: one grammar of options for every command, and words that are taken for what they look like.

    kqlite [DATA ..] [QUERY] [options]          kqlite COMMAND [words] [options]

An option may stand before a command, between its words and after them. A word without an option is data where a file or folder has that
name, a file of a query where that file ends in `.kql`, and else a query. `--data` takes several paths, so that a shell may expand
`--data exports/*.json`; a word after them that is no path and looks like a query is the query.
"""

import argparse
import textwrap
from collections.abc import Container, Iterable, Sequence
from datetime import UTC, datetime
from difflib import get_close_matches
from glob import has_magic
from pathlib import Path

FORMATS = ("table", "json", "jsonl", "csv", "markdown", "parquet", "arrow")
STANDARD_INPUT = "-"

_QUERY_SUFFIXES = (".kql", ".csl", ".kusto")
_VALUED = ("--data", "-f", "--file", "--format", "--param")
"""Options of a query: the word after one of them is its value, and no command."""

_MOST = 1_000_000
"""Days of a simulation, or its speed, stay below this, so that its dates stay dates."""

_FILES = "JSON array, JSON lines, CSV, Parquet, Arrow, what `az` and Search-AzGraph print; also gzip or zstd"
_USAGE = """kqlite [DATA ..] [QUERY] [--data DATA ..] [-f FILE] [--param NAME=VALUE] [--format FORMAT]
       kqlite COMMAND [words] [options]
       kqlite COMMAND --help"""
_DESCRIPTION = """\
Azure Resource Graph in a box: KQL over an inventory of virtual machines and scale sets.
Without a command it answers a query, or prompts for queries where none is given.
"""
_EPILOG = """\
examples:
  kqlite                                            a prompt over the bundled sample
  kqlite inventory/                                 a prompt over one's own data
  kqlite "resources | summarize count() by type | top 5 by count_"
  kqlite query -f question.kql --data export.json --format csv
  kqlite import exports/*.json inventory/ && kqlite query "resources | count" --data inventory/
  kqlite sample --vms 100000 --seed 7 inventory/
  kqlite simulate fleet-sim/ --vms 50 --days 1 --seed 7
  kqlite status fleet-sim/
"""


class Usage(Exception):
    """Arguments that argparse takes and that make no sense together."""


class Options(argparse.Namespace):
    """The options of one command, with `command` ("" where none is named) and the `parser` that knows its usage."""

    command: str = ""
    parser: argparse.ArgumentParser


def read(arguments: Sequence[str]) -> Options:
    """The options that the words after the program's name mean. argparse ends the process where they are wrong."""
    root, commands = _parsers()
    place = _place_of_command(arguments, commands)
    if place is not None:
        words = [arguments[place], *arguments[:place], *arguments[place + 1 :]]
        options = root.parse_args(words, Options())
    elif set(arguments) & {"-h", "--help", "--version"}:
        options = root.parse_args([each for each in arguments if each in ("-h", "--help", "--version")], Options())
    else:
        options = commands[""].parse_args(arguments, Options())
    if options.command in ("", "query", "explain"):
        try:
            _sort_words(options, commands)
        except Usage as usage:
            options.parser.error(str(usage))
    return options


def _place_of_command(arguments: Sequence[str], commands: Container[str]) -> int | None:
    """Where the name of a command stands: before any word that is neither an option nor the value of one."""
    option, is_value = "", False
    for place, word in enumerate(arguments):
        if word.startswith("-") and word != STANDARD_INPUT:
            option, is_value = word, word in _VALUED
        elif is_value:
            is_value = False
        elif word in commands:
            return place
        elif option != "--data":
            return None
    return None


# Words


def _sort_words(options: Options, commands: Iterable[str]) -> None:
    """Set `data` and `text`, and `file` for a file of a query, from the words and the values of `--data`."""
    data: list[Path] = []
    queries: list[str] = []
    for first, *others in options.data:
        data.append(Path(first))
        for word in others:
            _put(word, data, queries, is_data=_looks_like_path(word))
    for word in options.words:
        if word == STANDARD_INPUT:
            queries.append(word)
        elif not options.command and Path(word).suffix in _QUERY_SUFFIXES and Path(word).is_file() and options.file is None:
            options.file = word
        else:
            _put(word, data, queries, is_data=_exists(word) or (not options.command and _looks_like_path(word)))
    if not options.command and not data and queries and queries[0].isidentifier() and not _is_table(queries[0]):
        near = get_close_matches(queries[0], [each for each in commands if each], 1)
        hint = f"; did you mean `{near[0]}`?" if near else ""
        raise Usage(f"`{queries[0]}` is no command, no file and no table{hint}")
    if len(queries) > 1:
        raise Usage(f"{_quoted(queries)} are {len(queries)} queries; put one query into quotes")
    if queries and options.file is not None:
        raise Usage(f"both the file {options.file} and `{queries[0]}` are given; give one query")
    options.data = data
    options.text = queries[0] if queries else None


def _is_table(word: str) -> bool:
    from kqlite.inventory.shapes.resource_tables import RESOURCE_TABLES

    return word.lower() in RESOURCE_TABLES


def _put(word: str, data: list[Path], queries: list[str], *, is_data: bool) -> None:
    if is_data:
        data.append(Path(word))
    else:
        queries.append(word)


def _quoted(words: Sequence[str]) -> str:
    return " and ".join(f"`{word}`" for word in words)


def _exists(word: str) -> bool:
    try:
        return bool(word) and Path(word).exists()
    except (OSError, ValueError):  # too long for a name, or with a NUL
        return False


def _looks_like_path(word: str) -> bool:
    """Whether a word names something in the file system, even if nothing is there: no query has a suffix or a slash and no space."""
    if _exists(word):
        return True
    if any(mark in word for mark in " |\n'\"("):
        return False
    return "/" in word or bool(Path(word).suffix) or has_magic(word)


# Parsers


def _parsers() -> tuple[argparse.ArgumentParser, dict[str, argparse.ArgumentParser]]:
    """The parser of all commands, and each command's; "" is that of no command."""
    root = argparse.ArgumentParser(
        prog="kqlite",
        usage=_USAGE,
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    root.add_argument("--version", action=_Version, nargs=0, help="print the version and leave")
    root.set_defaults(command="", parser=root)
    bare = argparse.ArgumentParser(prog="kqlite", usage=_USAGE, add_help=False)
    _add_query(bare, "data and a query")
    _add_format(bare)
    for argument in bare._actions:
        if argument.option_strings:
            root._add_action(argument)
    commands = root.add_subparsers(title="commands", metavar="COMMAND", prog="kqlite")
    parsers = {"": bare}
    for name, add in _COMMANDS.items():
        parsers[name] = add(commands)
    for name, parser in parsers.items():
        parser.set_defaults(command=name, parser=parser)
    return root, parsers


def _add_query(parser: argparse.ArgumentParser, words: str) -> None:
    parser.add_argument("words", nargs="*", metavar="WORD", help=words)
    parser.add_argument("-f", "--file", metavar="FILE", help="read the query from a file; - is standard input")
    parser.add_argument(
        "--data",
        nargs="+",
        action="append",
        default=[],
        metavar="DATA",
        help=f"a data directory, or files, a pattern, or - for standard input: {_FILES} (default: the bundled sample)",
    )
    parser.add_argument(
        "--param",
        action="append",
        type=_parameter,
        default=[],
        metavar="NAME=VALUE",
        help="a value for a name in the query: a number, true, false, or else a string",
    )


def _add_format(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--format", choices=FORMATS, help="form of the result (default: table)")


_Commands = argparse._SubParsersAction  # argparse has no public name for it


def _query(commands: "_Commands[argparse.ArgumentParser]") -> argparse.ArgumentParser:
    query = commands.add_parser(
        "query",
        help="run a query and print its result",
        description="Runs a query and prints its result. Without a query it reads one from standard input.",
    )
    _add_query(query, "the query, in quotes; - reads it from standard input; and data")
    _add_format(query)
    return query


def _explain(commands: "_Commands[argparse.ArgumentParser]") -> argparse.ArgumentParser:
    explain = commands.add_parser(
        "explain",
        help="print the plan and the SQL of a query",
        description="Prints the plan of a query and the DuckDB SQL made of it, and runs nothing.",
    )
    _add_query(explain, "the query, in quotes; - reads it from standard input; and data")
    return explain


def _fmt(commands: "_Commands[argparse.ArgumentParser]") -> argparse.ArgumentParser:
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
    fmt.add_argument("--check", action="store_true", help="write nothing; name the files that would change, and exit with 1 if any would")
    fmt.add_argument("--diff", action="store_true", help="write nothing; print what would change, and exit with 1 if anything would")
    fmt.add_argument("--width", type=_count_of("columns"), default=100, metavar="N", help="columns of a line (default: 100)")
    return fmt


def _import(commands: "_Commands[argparse.ArgumentParser]") -> argparse.ArgumentParser:
    imports = commands.add_parser(
        "import",
        help="read files into a data directory",
        description="Reads files into a data directory, which is made if it does not exist. A file with a fault is not imported at all.",
    )
    imports.add_argument("files", nargs="+", type=Path, metavar="FILE", help=_FILES)
    imports.add_argument("directory", type=Path, metavar="DIR", help="the data directory")
    imports.add_argument(
        "--as-of",
        type=_time,
        metavar="TIME",
        help="the time of which the rows are, in ISO 8601 (default: when the oldest file was written)",
    )
    imports.add_argument(
        "--replace",
        choices=("all", "types", "subscriptions", "groups"),
        help="delete what is stored and not in the files: of their types, in their subscriptions or groups, or all",
    )
    return imports


def _sample(commands: "_Commands[argparse.ArgumentParser]") -> argparse.ArgumentParser:
    sample = commands.add_parser(
        "sample",
        help="write a realistic inventory",
        description="Writes an inventory of virtual machines with all that belongs to them into a new data directory.",
    )
    sample.add_argument("--vms", type=_count_of("machines"), required=True, metavar="N", help="how many virtual machines")
    sample.add_argument("--seed", type=_seed, default=1, metavar="S", help="equal seeds give equal inventories (default: 1)")
    sample.add_argument("directory", type=Path, metavar="DIR", help="the data directory to write")
    return sample


def _demo(commands: "_Commands[argparse.ArgumentParser]") -> argparse.ArgumentParser:
    return commands.add_parser(
        "demo",
        help="show a fleet that moves and queries that see it late",
        description="Scales a small fleet on a simulated clock, and asks the same query before and after the inventory's lag has passed.",
    )


def _simulate(commands: "_Commands[argparse.ArgumentParser]") -> argparse.ArgumentParser:
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
    begin.add_argument("--scenario", type=Path, metavar="FILE", help="run the requests of a scenario file first")
    begin.add_argument(
        "--vms",
        type=_count_of("machines"),
        metavar="N",
        help="begin with N virtual machines, in scale sets with autoscale, or scale the fleet to N",
    )
    simulate.add_argument(
        "--fault",
        action="append",
        default=[],
        metavar="FAULT",
        help="a fault, as in 'allocation region=eastus start=6h duration=1h'; may be given several times",
    )
    simulate.add_argument(
        "--days", type=_positive("days"), metavar="D", help="simulate D days as fast as possible (default: by the wall's clock)"
    )
    simulate.add_argument(
        "--seed", type=_seed, default=None, metavar="S", help="of a new simulation: equal seeds give equal ones (default: 0)"
    )
    simulate.add_argument(
        "--speed", type=_positive("a speed"), metavar="X", help="simulated seconds for each second of the wall (default: 1)"
    )
    simulate.add_argument(
        "--lag",
        default=None,
        metavar="LAG",
        help="how late its inventory shows a change: 30s, 1s..60s, or measured as in the service; after 'per-resource' each on its own "
        "(default: as it was; at first measured)",
    )
    simulate.add_argument(
        "--activity",
        choices=("none", "calm", "normal", "wild"),
        help="how busy the fleet is by itself, from now on (default: as it was; at first normal with --vms, else none)",
    )
    return simulate


def _status(commands: "_Commands[argparse.ArgumentParser]") -> argparse.ArgumentParser:
    status = commands.add_parser(
        "status",
        help="say how far an inventory has come, how large it is, who holds it",
        description="Says of a data directory how far its inventory has come, how large it is and which process holds it, if one does.",
    )
    status.add_argument("directory", type=Path, metavar="DIR", help="the data directory")
    status.add_argument("--format", choices=("text", "json"), default="text", help="for a reader, or for a program (default: text)")
    return status


_COMMANDS = {
    "query": _query,
    "explain": _explain,
    "fmt": _fmt,
    "import": _import,
    "sample": _sample,
    "demo": _demo,
    "simulate": _simulate,
    "status": _status,
}


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


# Values


class _count_of:
    """Reads a whole number from 1."""

    def __init__(self, what: str) -> None:
        self._what = what

    def __call__(self, text: str) -> int:
        if not text.isdecimal() or not int(text):
            raise argparse.ArgumentTypeError(f"{text!r} is not a number of {self._what}: give a whole number from 1")
        return int(text)


def _seed(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a seed: give a whole number") from None


class _positive:
    """Reads a number above 0."""

    def __init__(self, what: str) -> None:
        self._what = what

    def __call__(self, text: str) -> float:
        try:
            number = float(text)
        except ValueError:
            raise argparse.ArgumentTypeError(f"{text!r} is not {self._what}: give a number") from None
        if not 0 < number < _MOST:
            raise argparse.ArgumentTypeError(f"{text} is not above 0 and below {_MOST:,}")
        return number


def _time(text: str) -> datetime:
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a time: give one as in 2026-03-01T12:00:00Z") from None
    return time if time.tzinfo is not None else time.replace(tzinfo=UTC)


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
