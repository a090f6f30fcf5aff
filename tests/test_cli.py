"""The command line as a user meets it: arguments, streams, exit codes, terminals, pipes and Ctrl-C."""

import io
import json
import os
import pty
import select
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from kqlite.bundled import bundled
from kqlite.cli.main import main
from kqlite.version import own_version

KQLITE = [sys.executable, "-m", "kqlite"]
REFERENCE = bundled("sample-data") / "queries" / "01-reference-query.kql"
DISKS = bundled("sample-data") / "inventory" / "disks.jsonl"
COUNT = "resources | count"
ENDLESS = "resources | project k = 1 " + "| join kind=inner (resources | project k = 1) on k | project k " * 6 + "| count"


def run(*arguments: object, stdin: str | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*KQLITE, *map(str, arguments)], input=stdin or "", capture_output=True, text=True, timeout=120, check=False)


class Terminal:
    """A program on a terminal of a given width; its standard error too where `stderr` is not a stream of its own."""

    def __init__(self, arguments: Sequence[object], width: int, stderr: int | None = None, home: Path | None = None):
        self._master, slave = pty.openpty()
        environment = {
            **os.environ,
            "COLUMNS": str(width),
            "LINES": "24",
            "TERM": "xterm",
            "PROMPT_TOOLKIT_NO_CPR": "1",
            "HOME": str(home or Path.home()),
        }
        self.process = subprocess.Popen(
            [*KQLITE, *map(str, arguments)], stdin=slave, stdout=slave, stderr=slave if stderr is None else stderr, env=environment,
            start_new_session=True, preexec_fn=lambda: _take_terminal(slave),
        )  # fmt: skip
        os.close(slave)
        self.shown = ""

    def type(self, keys: str) -> None:
        os.write(self._master, keys.encode())

    def wait_for(self, text: str, seconds: float = 60) -> None:
        """Reads on until `text` is on the screen, and forgets what stood before it."""
        deadline = time.monotonic() + seconds
        while text not in self.shown:
            assert time.monotonic() < deadline, f"{text!r} is not in {self.shown!r}"
            assert self._read(), f"{text!r} is not in {self.shown!r}"
        self.shown = self.shown.partition(text)[2]

    def rest(self) -> str:
        """All that is shown until the program ends."""
        while self._read(seconds=60):
            pass
        self.process.wait(60)
        os.close(self._master)
        return self.shown.replace("\r\n", "\n")

    def _read(self, seconds: float = 10) -> bool:
        if not select.select([self._master], [], [], seconds)[0]:
            return False
        try:
            data = os.read(self._master, 65_536)
        except OSError:
            return False
        self.shown += data.decode(errors="replace")
        return bool(data)


def _take_terminal(slave: int) -> None:
    import fcntl
    import termios

    fcntl.ioctl(slave, termios.TIOCSCTTY, 0)


# Arguments


def test_version_by_either_name():
    answer = run("--version")
    assert (answer.returncode, answer.stderr) == (0, "")
    assert answer.stdout == f"kqlite {own_version()}\n"


def test_help_names_every_command(capsys):
    with pytest.raises(SystemExit) as left:
        main(["--help"])
    assert left.value.code == 0
    text = capsys.readouterr().out
    for command in ("query", "explain", "sample", "import"):
        assert f"\n    {command} " in text
        with pytest.raises(SystemExit) as left:
            main([command, "--help"])
        assert left.value.code == 0
        assert f"usage: kqlite {command}" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["query", COUNT, "-f", "x.kql"], "give one query"),
        (["query", COUNT, "--format", "xml"], "invalid choice: 'xml'"),
        (["query", COUNT, "--param", "n"], "`n` is not NAME=VALUE"),
        (["sample", "--vms", "0", "fleet"], "'0' is not a number of machines"),
        (["sample", "fleet"], "--vms"),
        (["import", "fleet"], "required: DIR"),
        (["quary", COUNT], "did you mean `query`?"),
    ],
)
def test_wrong_usage_is_told_with_code_2(arguments, complaint, capsys):
    with pytest.raises(SystemExit) as left:
        main(arguments)
    assert left.value.code == 2
    captured = capsys.readouterr()
    assert complaint in captured.err
    assert captured.out == ""


# Where the query comes from


def test_a_query_from_its_argument_a_file_and_standard_input(capsys):
    assert main(["query", "-f", str(REFERENCE), "--format", "jsonl"]) == 0
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert len(rows) == 12
    assert list(rows[0]) == ["name", "resourceGroup", "location", "powerState"]
    text = REFERENCE.read_text(encoding="utf-8")
    assert main(["query", text, "--format", "jsonl"]) == 0
    assert [json.loads(line) for line in capsys.readouterr().out.splitlines()] == rows
    for arguments in (["-"], ["-f", "-"]):
        answer = run("query", *arguments, "--format", "jsonl", stdin=text)
        assert [json.loads(line) for line in answer.stdout.splitlines()] == rows


def test_a_file_may_begin_with_a_byte_order_mark(tmp_path, capsys):
    (tmp_path / "q.kql").write_bytes(b"\xef\xbb\xbf" + COUNT.encode())
    assert main(["query", "-f", str(tmp_path / "q.kql"), "--format", "csv"]) == 0
    assert capsys.readouterr().out == "Count\n171\n"


def test_the_table_is_followed_by_rows_time_and_age_on_stderr(capsys):
    assert main(["query", COUNT]) == 0
    captured = capsys.readouterr()
    assert captured.out.split() == ["Count", "-----", "171"]
    assert captured.err.startswith("1 row in ")
    assert "; snapshot of 20" in captured.err
    assert captured.err.endswith(" old\n")


def test_a_parameter_is_a_number_a_bool_or_a_string(capsys):
    arguments = ["--param", "n=5", "--param", "s=it's", "--param", "b=true", "--format", "jsonl"]
    assert main(["query", "resources | take 1 | project n, s, b", *arguments]) == 0
    assert json.loads(capsys.readouterr().out) == {"n": 5, "s": "it's", "b": True}


# Forms of the result


def test_every_format_says_the_same(capsysbinary):
    query = "resources | where type =~ 'microsoft.compute/disks' | project name, tags, n = 1 | order by name asc | take 3"

    def answer(form: str) -> bytes:
        assert main(["query", query, "--format", form]) == 0
        return capsysbinary.readouterr().out

    rows = json.loads(answer("json"))
    assert [json.loads(line) for line in answer("jsonl").splitlines()] == rows
    assert len(rows) == 3
    names = [row["name"] for row in rows]
    assert [line.split(",")[0] for line in answer("csv").decode().splitlines()] == ["name", *names]
    assert [line.split(" | ")[0] for line in answer("markdown").decode().splitlines()[2:]] == [f"| {name}" for name in names]
    assert [line.split()[0] for line in answer("table").decode().splitlines()[2:]] == names
    parquet = pq.read_table(io.BytesIO(answer("parquet")))
    arrow = pa.ipc.open_stream(answer("arrow")).read_all()
    assert parquet.equals(arrow)
    assert parquet.column("name").to_pylist() == names
    assert parquet.schema.field("tags").type == pa.json_(pa.string())


@pytest.mark.parametrize("form", ["parquet", "arrow"])
def test_bytes_are_not_for_a_terminal(form):
    terminal = Terminal(["query", COUNT, "--format", form], width=80)
    assert f"{form} is not for a terminal" in terminal.rest()
    assert terminal.process.returncode == 2


def test_a_table_fits_the_terminal():
    terminal = Terminal(["query", "resources | order by id asc | take 5"], width=60)
    lines = terminal.rest().splitlines()
    assert terminal.process.returncode == 0
    assert max(map(len, lines[:7])) <= 60
    assert lines[0].endswith("…")
    assert "columns fit" in lines[7]


def test_a_table_in_a_pipe_is_whole():
    answer = run("query", "resources | order by id asc | take 5")
    assert "…" not in answer.stdout
    assert "\x1b" not in answer.stdout
    assert answer.stdout.splitlines()[0].split()[0] == "id"


def test_explain_prints_the_plan_and_the_sql(capsys):
    assert main(["explain", "resources | where location == 'westeurope' | count"]) == 0
    captured = capsys.readouterr()
    plan, _, sql = captured.out.partition("\n\n")
    assert "westeurope" in plan
    assert "SELECT" in sql
    assert captured.err == ""


# What goes wrong


@pytest.mark.parametrize(
    ("query", "code", "message"),
    [
        ("resources | where locaton == 'x'", "KQL201", "did you mean `location`?"),
        ("resurces", "KQL", "did you mean `resources`?"),
        ("resources | where (", "KQL1", "-->"),
        ("resources | fork (take 1) (take 2)", "KQL4", "fork"),
        ("resources | where strlen() > 1", "KQL", "strlen"),
        ("", "KQL", "-->"),
        ("resources | where " + "(" * 300 + "1 == 1" + ")" * 300, "KQL", "200"),
        ("resources // " + "x" * 1_100_000, "KQL", ""),
    ],
)
def test_a_wrong_query_is_told_with_code_1(query, code, message, capsys):
    assert main(["query", query]) == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith(f"error[{code}")
    assert message in captured.err
    assert len(captured.err.splitlines()) < 24
    assert "Traceback" not in captured.err


def test_a_query_that_cannot_be_read(tmp_path, capsys):
    (tmp_path / "latin.kql").write_bytes(b"resources | where name == '\xfc'")
    for name, reason in (("missing.kql", "No such file"), (".", "Is a directory"), ("latin.kql", "not UTF-8 text: byte 27")):
        assert main(["query", "-f", str(tmp_path / name)]) == 1
        captured = capsys.readouterr()
        assert reason in captured.err
        assert str(tmp_path / name) in captured.err


def test_an_endless_file_is_no_query(capsys):
    assert main(["query", "-f", "/dev/zero"]) == 1
    assert "longer than a query can be" in capsys.readouterr().err


def test_an_argument_that_is_not_utf_8(capsys):
    assert main(["query", "resources | where name == '\udcfc'"]) == 1
    assert "not UTF-8 text: character 27" in capsys.readouterr().err


# Data of the user's own


def _disks() -> list[dict[str, object]]:
    return [json.loads(line) for line in DISKS.read_text(encoding="utf-8").splitlines()]


def _as_array(path: Path) -> None:
    path.write_text(json.dumps(_disks()))


def _as_answer(path: Path) -> None:
    path.write_text(json.dumps({"count": 41, "data": _disks(), "skip_token": None, "total_records": 41}))


def _as_lines(path: Path) -> None:
    path.write_text(DISKS.read_text(encoding="utf-8"))


@pytest.mark.parametrize("write", [_as_array, _as_answer, _as_lines])
def test_files_are_queried_in_every_form(write, tmp_path, capsys):
    write(tmp_path / "disks.json")
    assert main(["query", COUNT, "--format", "csv", "--data", str(tmp_path / "disks.json")]) == 0
    assert capsys.readouterr().out == "Count\n41\n"


def test_several_files_are_one_inventory(capsys):
    assert main(["query", COUNT, "--format", "csv", "--data", *map(str, sorted(DISKS.parent.glob("*.jsonl")))]) == 0
    assert capsys.readouterr().out == "Count\n171\n"


def test_import_then_query(tmp_path, capsys):
    directory = tmp_path / "company"
    assert main(["import", str(DISKS), str(directory)]) == 0
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "41" in captured.err
    assert main(["query", COUNT, "--format", "csv", "--data", str(directory)]) == 0
    assert capsys.readouterr().out == "Count\n41\n"


def test_sample_then_query(tmp_path, capsys):
    for name in ("first", "second"):
        assert main(["sample", "--vms", "50", "--seed", "7", str(tmp_path / name)]) == 0
        assert "50 virtual machines" in capsys.readouterr().err
    answers = []
    for name in ("first", "second"):
        query = "resources | where type =~ 'microsoft.compute/virtualmachines' | project id, name, properties | order by id asc"
        assert main(["query", query, "--format", "jsonl", "--data", str(tmp_path / name)]) == 0
        answers.append(capsys.readouterr().out)
    assert answers[0] == answers[1]
    assert len(answers[0].splitlines()) == 50


def test_a_sample_shows_its_progress_on_a_terminal(tmp_path):
    terminal = Terminal(["sample", "--vms", "200", str(tmp_path / "fleet")], width=80)
    shown = terminal.rest()
    assert terminal.process.returncode == 0
    assert "200 of 200 machines" in shown
    assert shown.endswith(f"200 virtual machines written to {tmp_path}/fleet\n")


@pytest.mark.parametrize(
    ("content", "reasons"),
    [
        ('{"id": "/a", "name": "a", "type": "t"}\n{"id": ', ["disks.jsonl", "2"]),
        ("not json", ["disks.jsonl", "1"]),
        ('[{"id": "/a"', ["disks.jsonl"]),
    ],
)
def test_a_broken_file_is_named_with_the_place(content, reasons, tmp_path, capsys):
    (tmp_path / "disks.jsonl").write_text(content)
    directory = tmp_path / "company"
    for arguments in (["query", COUNT, "--data", str(tmp_path / "disks.jsonl")], ["import", str(tmp_path / "disks.jsonl"), str(directory)]):
        assert main(arguments) == 1
        captured = capsys.readouterr()
        assert captured.out == ""
        assert all(reason in captured.err for reason in reasons)
        assert "Traceback" not in captured.err


def test_data_that_is_not_there_or_not_ours(tmp_path, capsys):
    (tmp_path / "empty").mkdir()
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "a.jpg").write_bytes(b"\xff\xd8")
    for name in ("missing", "missing.json", "photos", "photos/a.jpg"):
        assert main(["query", COUNT, "--data", str(tmp_path / name)]) == 1
        assert name in capsys.readouterr().err
    assert not (tmp_path / "missing").exists()
    assert [path.name for path in (tmp_path / "photos").iterdir()] == ["a.jpg"]


def test_a_data_directory_of_a_later_version(tmp_path, capsys):
    directory = tmp_path / "company"
    assert main(["import", str(DISKS), str(directory)]) == 0
    manifest = json.loads((directory / "manifest.json").read_text())
    (directory / "manifest.json").write_text(json.dumps({**manifest, "format": 999}))
    capsys.readouterr()
    assert main(["query", COUNT, "--data", str(directory)]) == 1
    assert "999" in capsys.readouterr().err


# Pipes, full disks, signals


def test_a_closed_pipe_is_quiet():
    script = 'set +o pipefail; "$0" -m kqlite query "resources" --format "$1" | head -n 1; echo "${PIPESTATUS[0]}"'
    for form in ("jsonl", "table", "csv"):
        answer = subprocess.run(["bash", "-c", script, sys.executable, form], capture_output=True, text=True, check=True)
        assert answer.stderr == ""
        assert answer.stdout.splitlines()[1:] == ["141"]


@pytest.mark.parametrize("form", ["jsonl", "table", "parquet", "arrow"])
def test_a_full_disk_is_told(form):
    with open("/dev/full", "wb") as full:
        answer = subprocess.run(
            [*KQLITE, "query", "resources", "--format", form], stdout=full, stderr=subprocess.PIPE, text=True, check=False
        )
    assert answer.returncode == 1
    assert answer.stderr.endswith("standard output: No space left on device\n")
    assert "Traceback" not in answer.stderr


def test_ctrl_c_ends_a_running_query_with_code_130():
    process = subprocess.Popen([*KQLITE, "query", ENDLESS], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    time.sleep(3)
    assert process.poll() is None
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=20)
    assert (process.returncode, out, err) == (130, "", "interrupted\n")


@pytest.mark.parametrize("encoding", ["ascii", "cp1252", "latin-1"])
def test_a_table_never_fails_for_its_characters(encoding):
    environment = {**os.environ, "PYTHONIOENCODING": encoding}
    command = [*KQLITE, "print x = 'é→', y = '日本'"]
    answer = subprocess.run(command, capture_output=True, env=environment, check=False)
    assert answer.returncode == 0, answer.stderr
    assert answer.stdout.decode(encoding).splitlines()[2].split() == (["??", "??"] if encoding == "ascii" else ["é?", "??"])
    as_csv = subprocess.run([*command, "--format", "csv"], capture_output=True, env=environment, check=True)
    assert as_csv.stdout.decode() == "x,y\né→,日本\n"


def test_a_table_on_a_terminal_ends_after_a_page():
    terminal = Terminal(["range x from 1 to 1500 step 1"], width=100)
    assert "1,000 of 1,500 rows shown (all of them with --format or into a pipe)," in terminal.rest()
    assert len(run("range x from 1 to 1500 step 1").stdout.splitlines()) == 1502


# The prompt


def test_queries_are_read_from_standard_input():
    answer = run(stdin=f"{COUNT}\n\nresources\n| where type =~ 'microsoft.compute/disks'\n| count;\n\\q\nresources")
    assert answer.stdout.split() == ["Count", "-----", "171", "Count", "-----", "41"]
    assert answer.returncode == 0


def test_a_failed_query_on_standard_input_does_not_stop_the_next_and_is_remembered():
    answer = run(stdin=f"resurces;\n\\x\n{COUNT};\n")
    assert "did you mean `resources`?" in answer.stderr
    assert "no command `\\x`" in answer.stderr
    assert "171" in answer.stdout
    assert answer.returncode == 1


def test_the_prompt_on_a_terminal(tmp_path):
    terminal = Terminal([], width=100, home=tmp_path)
    terminal.wait_for("kqlite>")
    terminal.type(f"{COUNT};\r")
    terminal.wait_for("171")
    terminal.wait_for("1 row in ")
    terminal.wait_for("kqlite>")
    terminal.type("resurces\r\r")
    terminal.wait_for("did you mean `resources`?")
    terminal.wait_for("kqlite>")
    terminal.type(f"{ENDLESS};\r")
    terminal.wait_for("count;")
    time.sleep(2)
    terminal.type("\x03")
    terminal.wait_for("interrupted")
    terminal.wait_for("kqlite>")
    terminal.type(f"{COUNT};\r")
    terminal.wait_for("171")
    terminal.wait_for("kqlite>")
    terminal.type("\\q\r")
    terminal.rest()
    assert terminal.process.returncode == 0
    assert COUNT in (tmp_path / ".kqlite_history").read_text()
