"""The arguments of the command line: every option before, between and after the words, and words taken for what they look like."""

import subprocess
import sys
from itertools import permutations
from pathlib import Path

import pytest

from kqlite.bundled import bundled
from kqlite.cli.arguments import read

QUERY = "resources | count"
DISKS = bundled("sample-data") / "inventory" / "disks.jsonl"


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a data folder, two files of data and one of a query."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "inventory").mkdir()
    for name in ("a.json", "b.jsonl", "question.kql"):
        (tmp_path / name).write_text("")
    return tmp_path


@pytest.mark.parametrize(
    ("arguments", "command", "data", "text"),
    [
        ([], "", [], None),
        (["inventory"], "", ["inventory"], None),
        (["inventory/"], "", ["inventory"], None),
        (["a.json", "b.jsonl"], "", ["a.json", "b.jsonl"], None),
        (["--data", "inventory"], "", ["inventory"], None),
        (["--data", "a.json", "--data", "b.jsonl"], "", ["a.json", "b.jsonl"], None),
        (["exports/*.json"], "", ["exports/*.json"], None),
        (["missing.json"], "", ["missing.json"], None),
        ([QUERY], "", [], QUERY),
        (["resources"], "", [], "resources"),
        (["ResourceChanges"], "", [], "ResourceChanges"),
        (["inventory", QUERY], "", ["inventory"], QUERY),
        ([QUERY, "inventory"], "", ["inventory"], QUERY),
        (["a.json", "mine"], "", ["a.json"], "mine"),
        (["--data", "a.json", "b.jsonl", QUERY], "", ["a.json", "b.jsonl"], QUERY),
        (["--data", "a.json", "query", QUERY], "query", ["a.json"], QUERY),
        (["--data", "a.json", "b.jsonl", "query", QUERY], "query", ["a.json", "b.jsonl"], QUERY),
        (["--data", "query", QUERY], "", ["query"], QUERY),
        (["query", QUERY], "query", [], QUERY),
        (["query", "-"], "query", [], "-"),
        (["query"], "query", [], None),
        (["query", "inventory", QUERY], "query", ["inventory"], QUERY),
        (["query", "resources", "--data", "inventory"], "query", ["inventory"], "resources"),
        (["explain", "--data", "a.json", QUERY], "explain", ["a.json"], QUERY),
        (["--data=a.json", "query", QUERY], "query", ["a.json"], QUERY),
    ],
)
def test_words_are_what_they_look_like(here: Path, arguments: list[str], command: str, data: list[str], text: str | None) -> None:
    options = read(arguments)
    assert (options.command, list(map(str, options.data)), options.text) == (command, data, text)


def test_a_file_of_a_query_is_the_query(here: Path) -> None:
    options = read(["question.kql", "inventory"])
    assert (options.file, options.text, list(map(str, options.data))) == ("question.kql", None, ["inventory"])


@pytest.mark.parametrize("command", ["query", "explain"])
def test_options_stand_anywhere(here: Path, command: str) -> None:
    parts = [
        [command],
        [QUERY],
        ["--data", "a.json", "b.jsonl"],
        ["--param", "n=5"],
        *([["--format", "csv"]] if command == "query" else []),
    ]
    for order in permutations(parts):
        if order.index([QUERY]) < order.index([command]):
            continue  # a word before the command is no option
        options = read([word for part in order for word in part])
        assert (options.command, options.text, list(map(str, options.data))) == (command, QUERY, ["a.json", "b.jsonl"]), order
        assert options.param == [("n", 5)]


OTHERS = {
    "sample": (["inv"], [["--vms", "5"], ["--seed", "2"]]),
    "import": (["a.json", "inv"], []),
    "simulate": (["inv"], [["--vms", "5"], ["--days", "1"], ["--seed", "2"], ["--lag", "30s"], ["--activity", "calm"], ["--fault", "x"]]),
    "status": (["inv"], [["--format", "json"]]),
    "fmt": (["a.kql"], [["--check"], ["--width", "80"]]),
}


@pytest.mark.parametrize("command", OTHERS)
def test_options_of_other_commands_stand_before_and_after_their_words(here: Path, command: str) -> None:
    words, options = OTHERS[command]
    spread = [word for option in options for word in option]
    found = [read([command, *words, *spread]), read([command, *spread, *words])]
    assert vars(found[0]).keys() == vars(found[1]).keys()
    shown = [{name: value for name, value in vars(each).items() if name != "parser"} for each in found]
    assert shown[0] == shown[1]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["qury"], "`qury` is no command, no file and no table; did you mean `query`?"),
        ([QUERY, "x | y"], f"`{QUERY}` and `x | y` are 2 queries; put one query into quotes"),
        (["query", QUERY, "-f", "question.kql"], f"both the file question.kql and `{QUERY}` are given; give one query"),
        (["sample", "--vms", "abc", "inv"], "'abc' is not a number of machines: give a whole number from 1"),
        (["sample", "--vms", "0", "inv"], "'0' is not a number of machines: give a whole number from 1"),
        (["sample", "--vms", "5", "--seed", "x", "inv"], "'x' is not a seed: give a whole number"),
        (["simulate", "inv", "--days", "soon"], "'soon' is not days: give a number"),
        (["simulate", "inv", "--speed", "-1"], "-1 is not above 0 and below 1,000,000"),
        (["query", QUERY, "--param", "n"], "`n` is not NAME=VALUE"),
        (["query", QUERY, "--format", "xml"], "invalid choice: 'xml'"),
    ],
)
def test_what_makes_no_sense_is_told(here: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], said: str) -> None:
    with pytest.raises(SystemExit) as ended:
        read(arguments)
    assert ended.value.code == 2
    assert said in capsys.readouterr().err


def kqlite(*arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "kqlite", *arguments], input=stdin, capture_output=True, text=True, check=False)


def test_the_program_takes_data_before_and_after() -> None:
    for arguments in (["--data", str(DISKS), QUERY], [QUERY, str(DISKS)], ["--data", str(DISKS), "query", QUERY]):
        answer = kqlite(*arguments, "--format", "csv")
        assert (answer.returncode, answer.stdout, answer.stderr) == (0, "Count\n41\n", "")


def test_a_query_from_a_pipe_needs_no_sign() -> None:
    for arguments in (["query"], ["query", "-"], []):
        answer = kqlite(*arguments, "--format", "csv", "--data", str(DISKS), stdin=QUERY)
        assert (answer.returncode, answer.stdout) == (0, "Count\n41\n")
    assert kqlite(str(DISKS), stdin=f"{QUERY}\n\n{QUERY};").stdout.split() == ["Count", "-----", "41"] * 2


def test_missing_data_is_told() -> None:
    answer = kqlite("missing.json", QUERY)
    assert (answer.returncode, answer.stderr) == (1, "missing.json: no such file or directory\n")
