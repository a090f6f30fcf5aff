"""The formatter: one layout, every word and comment kept, the same when it is asked again."""

import subprocess
import sys
from pathlib import Path

import pytest

from kqlite.language.diagnostics import KqlError
from kqlite.language.formatter import format_query
from kqlite.language.parser import parse
from tests.support.golden_cases import all_cases
from tests.support.syntax_trees import without_spans

LAYOUTS = [
    ("resources|where name=='a'|count", "resources\n| where name == 'a'\n| count\n"),
    ("print a=-1,b=2-1,c=- x", "print a = -1, b = 2 - 1, c = -x\n"),
    (
        "T|where a between(1 ..5)and b!in('x')and c matches   regex'y'",
        "T\n| where a between (1 .. 5) and b !in ('x') and c matches regex 'y'\n",
    ),
    ("T|join kind = inner hint.strategy=shuffle(U)on a", "T\n| join kind=inner hint.strategy=shuffle (U) on a\n"),
    (
        "T|join(U|where a==1|project a)on $left.a==$right.a,b",
        "T\n| join (\n    U\n    | where a == 1\n    | project a\n) on $left.a == $right.a, b\n",
    ),
    ("T|where a in((U|project a))", "T\n| where a in ((U | project a))\n"),
    ("datatable(a:string,b:long)['x',1]", "datatable(a:string, b:long)['x', 1]\n"),
    ("datatable(a:string,b:long)['x',1,'y',2,]|count", "datatable(a:string, b:long)[\n    'x', 1,\n    'y', 2,\n]\n| count\n"),
    ("T|extend x=dynamic({'a':1}).a[0]['b c']", "T\n| extend x = dynamic({'a':1}).a[0]['b c']\n"),
    ("T|project-away a*,*b|order by c desc,d", "T\n| project-away a*, *b\n| order by c desc, d\n"),
    ("let a=1;let t=T|where x>a|count;\n\nt", "let a = 1;\nlet t = T\n    | where x > a\n    | count;\n\nt\n"),
    ("T // one\n// two\n|count // three\n// four", "T  // one\n// two\n| count  // three\n// four\n"),
    ("T|where a==1 // x\n and b==2", "T\n| where a == 1  // x\n    and b == 2\n"),
]


@pytest.mark.parametrize(("text", "layout"), LAYOUTS)
def test_a_query_has_one_layout(text: str, layout: str) -> None:
    assert format_query(text) == layout
    assert format_query(layout) == layout


NARROW = [
    ("T|project aaaaaaaa,bbbbbbbb,cccccccc", "T\n| project\n    aaaaaaaa,\n    bbbbbbbb,\n    cccccccc\n"),
    (
        "T|summarize aaaaaaaa=max(x),bbbbbbbb=min(x) by cccc,dddd",
        "T\n| summarize\n    aaaaaaaa = max(x),\n    bbbbbbbb = min(x)\n    by cccc, dddd\n",
    ),
    (
        "T|where aaaaaaaa==1 and bbbbbbbb==2 or cccccccc==3",
        "T\n| where aaaaaaaa == 1\n        and bbbbbbbb == 2\n    or cccccccc == 3\n",
    ),
    (
        "T|extend a=case(aaaaaaaa==1,'x',bbbbbbbb==2,'y','z')",
        "T\n| extend a = case(\n    aaaaaaaa == 1,\n    'x',\n    bbbbbbbb == 2,\n    'y',\n    'z'\n)\n",
    ),
    ("T|extend total=aaaaaaaa+bbbbbbbb+cccccccc", "T\n| extend total = aaaaaaaa\n    + bbbbbbbb\n    + cccccccc\n"),
    (
        "T|where aaaaaaaa has 'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa'",
        "T\n| where aaaaaaaa has 'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa'\n",
    ),
]


@pytest.mark.parametrize(("text", "layout"), NARROW)
def test_what_is_too_long_is_broken(text: str, layout: str) -> None:
    assert format_query(text, width=30) == layout
    assert format_query(layout, width=30) == layout


@pytest.mark.parametrize("width", [20, 100])
def test_every_golden_query_keeps_its_meaning_and_its_layout(width: int) -> None:
    laid_out = 0
    for case in all_cases():
        try:
            tree = parse(case.query)
        except KqlError:
            with pytest.raises(KqlError):
                format_query(case.query, width)
            continue
        layout = format_query(case.query, width)
        assert repr(without_spans(parse(layout))) == repr(without_spans(tree)), case.name  # NaN is not equal to itself
        assert format_query(layout, width) == layout, case.name
        laid_out += 1
    assert laid_out > 400


def kqlite(*arguments: str, stdin: str = "", cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "kqlite", *arguments], input=stdin, capture_output=True, text=True, check=False, cwd=cwd)


def test_the_command_lays_out_standard_input() -> None:
    assert kqlite("fmt", stdin="T|count").stdout == "T\n| count\n"
    failed = kqlite("fmt", "-", stdin="T|")
    assert (failed.returncode, failed.stdout) == (1, "")
    assert failed.stderr.startswith("standard input: error[KQL101]")


def test_the_command_changes_files_and_says_what_it_would_change(tmp_path: Path) -> None:
    (tmp_path / "a.kql").write_text("T|count")
    (tmp_path / "b.kql").write_text("T\n| count\n")
    (tmp_path / "notes.txt").write_text("no query")
    checked = kqlite("fmt", "--check", ".", cwd=tmp_path)
    assert (checked.returncode, checked.stdout) == (1, "would change a.kql\n")
    assert checked.stderr == "1 file would be laid out anew, 1 file left as it is\n"
    shown = kqlite("fmt", "--diff", "a.kql", cwd=tmp_path)
    assert (shown.returncode, shown.stdout.splitlines()[2:]) == (1, ["@@ -1 +1,2 @@", "-T|count", "+T", "+| count"])
    assert (tmp_path / "a.kql").read_text() == "T|count"
    assert kqlite("fmt", ".", cwd=tmp_path).returncode == 0
    assert (tmp_path / "a.kql").read_text() == "T\n| count\n"
    assert kqlite("fmt", "--check", ".", cwd=tmp_path).returncode == 0


def test_the_command_leaves_a_file_with_an_error_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "a.kql").write_text("T|cuont")
    answer = kqlite("fmt", "a.kql", cwd=tmp_path)
    assert answer.returncode == 1
    assert "did you mean" in answer.stderr
    assert answer.stderr.endswith("0 files laid out anew, 0 files left as they are, 1 file with errors\n")
    assert (tmp_path / "a.kql").read_text() == "T|cuont"
    missing = kqlite("fmt", "missing.kql", cwd=tmp_path)
    assert (missing.returncode, missing.stderr) == (1, "missing.kql: No such file or directory\n")
