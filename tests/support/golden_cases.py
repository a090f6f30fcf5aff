"""Golden cases: how a case is read, run in four ways, compared and renewed. `golden/README.md` tells the format."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import kqlite
from kqlite.language import parser, syntax
from tests.support import golden_tables, golden_values, golden_variants

FOLDER = Path(__file__).parent.parent / "golden"
SECTIONS = ("rows", "plan", "duckdb", "error")
HEADERS = ("source", "tables", "now", "shaped")


@dataclass(frozen=True, slots=True)
class Case:
    """One `.kql` file. headers: what the comment lines `// key: value` on top say, `sources` apart, because there may be several."""

    path: Path
    about: str
    sources: tuple[str, ...]
    headers: Mapping[str, str]
    query: str

    @property
    def name(self) -> str:
        return self.path.relative_to(FOLDER).with_suffix("").as_posix()

    @property
    def expected_path(self) -> Path:
        return self.path.with_suffix(".expected")

    @property
    def tables(self) -> tuple[str, ...]:
        return tuple(name.strip() for name in self.headers.get("tables", "").split(",") if name.strip())


def read_case(path: Path) -> Case:
    """The case at `path`. Raises ValueError where its header is no header."""
    lines = path.read_text(encoding="utf-8").splitlines()
    comments: list[str] = []
    while lines and lines[0].startswith("//"):
        comments.append(lines.pop(0).removeprefix("//").strip())
    if not comments or re.match(r"\w+:", comments[0]):
        raise ValueError(f"{path.name}: the first line is a comment that says what the case shows")
    headers: dict[str, str] = {}
    sources: list[str] = []
    for comment in comments[1:]:
        key, separator, value = comment.partition(":")
        if not separator or key not in HEADERS:
            raise ValueError(f"{path.name}: no header {comment!r}; there are {', '.join(HEADERS)}")
        if key == "source":
            sources.append(value.strip())
        else:
            headers[key] = value.strip()
    return Case(path, comments[0], tuple(sources), headers, "\n".join(lines).strip("\n"))


def all_cases() -> list[Case]:
    return [read_case(path) for path in sorted(FOLDER.rglob("*.kql"))]


def orphans() -> list[Path]:
    """Every `.expected` whose query is gone."""
    return [path for path in sorted(FOLDER.rglob("*.expected")) if not path.with_suffix(".kql").exists()]


def read_expected(path: Path) -> dict[str, list[str]]:
    """The sections of a `.expected` file, each as lines; empty where there is no file."""
    sections: dict[str, list[str]] = {}
    if not path.exists():
        return sections
    for number, line in enumerate(path.read_text(encoding="utf-8").split("\n"), start=1):
        if line.startswith("== "):
            name = line.removeprefix("== ")
            if name not in SECTIONS or name in sections:
                raise ValueError(f"{path.name}:{number}: no section or one twice: {name!r}; there are {', '.join(SECTIONS)}")
            sections[name] = []
        elif not sections:
            raise ValueError(f"{path.name}:{number}: a section comes first, such as `== rows`")
        else:
            sections[list(sections)[-1]].append(line)
    return {name: _without_blank_end(lines) for name, lines in sections.items()}


def write_expected(path: Path, sections: Mapping[str, Sequence[str]]) -> None:
    parts = ["\n".join([f"== {name}", *sections[name]]) for name in SECTIONS if name in sections]
    path.write_text("\n\n".join(parts) + "\n", encoding="utf-8")


def _without_blank_end(lines: list[str]) -> list[str]:
    end = len(lines)
    while end and not lines[end - 1]:
        end -= 1
    return lines[:end]


@dataclass(frozen=True, slots=True)
class Way:
    """Where the tables are while a case runs, and whether DuckDB may rewrite the plan."""

    stored: bool
    optimizer: bool

    def __str__(self) -> str:
        return ("store" if self.stored else "arrow") + ("" if self.optimizer else "-unoptimized")


WAYS = (Way(True, True), Way(True, False), Way(False, True), Way(False, False))


@cache
def connection(way: Way, tables: tuple[str, ...], now: str | None) -> kqlite.Connection:
    """An open connection that holds `tables`; cases share it, for none can change it."""
    return golden_tables.connect(tables, stored=way.stored, optimizer=way.optimizer, now=now)


@dataclass(frozen=True, slots=True)
class Answer:
    """What a case gave: rows as they are compared and as they are shown, or the text of an error."""

    header: str
    rows: list[str]
    ordered: bool
    error: str | None = None


def run(case: Case, way: Way) -> Answer:
    return _answer(connection(way, case.tables, case.headers.get("now")), case.query)


def _answer(asked: kqlite.Connection, query: str) -> Answer:
    try:
        result = asked.query(query)
    except kqlite.KqlError as error:
        return Answer("", [], False, str(error))
    types = [str(column.type) for column in result.schema]
    header = golden_values.show_header([(column.name, str(column.type)) for column in result.schema])
    table = result.to_arrow(ticks=True)
    columns = [table.column(index).to_pylist() for index in range(len(types))]
    rows = [golden_values.show_row(row, types) for row in zip(*columns, strict=True)]
    return Answer(header, rows, keeps_order(query))


def keeps_order(query: str) -> bool:
    """Whether the order of the answer's rows is defined: it is sorted, and nothing after that loses the order."""
    ordered = False
    for operator in parser.parse(query).body.operators:
        match operator:
            case syntax.Sort() | syntax.Top():
                ordered = True
            case syntax.Where() | syntax.Extend() | syntax.Take():
                pass
            case syntax.Project() | syntax.ProjectAway() | syntax.ProjectKeep() | syntax.ProjectRename():
                pass
            case _:
                ordered = False
    return ordered


def differences(case: Case, way: Way, expected: Mapping[str, list[str]]) -> Iterator[str]:
    """Each section of `expected` that the case does not meet, told in a few lines."""
    answer = run(case, way)
    if "error" in expected:
        yield from _compare_error(expected["error"], answer)
    elif answer.error is not None:
        yield f"an error was not expected:\n{answer.error}"
        return
    if "rows" in expected:
        yield from _compare_rows(expected["rows"], answer)
    if way == WAYS[0]:
        for name in ("plan", "duckdb"):
            if name in expected and expected[name] != compiled_section(case, name):
                yield "\n".join([f"== {name} is now", *compiled_section(case, name)])
    if case.headers.get("shaped") == "yes" and way.stored and (found := json_functions(case, way)):
        yield f"a path with a shape reads JSON by {', '.join(found)}"


def differences_in_other_words(case: Case, rows: list[str]) -> Iterator[str]:
    """What differs from the expected rows where the query is asked in other words (`golden_variants`)."""
    for variant in golden_variants.variants(case.query):
        with golden_tables.connect(case.tables, stored=True, optimizer=True, now=case.headers.get("now"), more=variant.tables) as asked:
            answer = _answer(asked, variant.query)
        found = [f"an error was not expected:\n{answer.error}"] if answer.error is not None else list(_compare_rows(rows, answer))
        if found:
            yield "\n".join([f"{variant.name}: {variant.query}", *found])


def compiled_section(case: Case, name: str) -> list[str]:
    compiled = connection(WAYS[0], case.tables, case.headers.get("now")).compile(case.query)
    text = str(compiled.plan) if name == "plan" else compiled.sql
    return [line.rstrip() for line in text.rstrip().splitlines()]


def json_functions(case: Case, way: Way) -> list[str]:
    """Every JSON function, operator or cast in the SQL of a case; string literals and quoted names do not count."""
    sql = connection(way, case.tables, case.headers.get("now")).compile(case.query).sql
    bare = re.sub(r"'(?:[^']|'')*'|\"(?:[^\"]|\"\")*\"", "''", sql)
    return re.findall(r"(?i)\b\w*json\w*\b|->>?", bare)


def _compare_error(expected: list[str], answer: Answer) -> Iterator[str]:
    if answer.error is None:
        yield "\n".join(["an error was expected, and there is an answer:", answer.header, *answer.rows])
    elif not _error_pattern(expected).fullmatch(answer.error):
        yield "\n".join(["== error", *expected, "== is now", answer.error])


def _error_pattern(expected: list[str]) -> re.Pattern[str]:
    """The text itself, but `...` stands for any text of a line, and dots at the end of a code for any digits."""
    pattern = re.escape("\n".join(expected)).replace(re.escape("..."), ".*")
    return re.compile(re.sub(r"(KQL\d)\\\.\\\.", r"\1\\d\\d", pattern))


def _compare_rows(expected: list[str], answer: Answer) -> Iterator[str]:
    header, *rows = expected
    columns = golden_values.read_header(header)
    types = [type_ for _, type_ in columns]
    if golden_values.show_header(columns) != answer.header:
        yield f"columns\n  expected {header}\n  found    {answer.header}"
        return
    wanted = [golden_values.comparable(row, types) for row in rows]
    found = [golden_values.comparable(row, types) for row in answer.rows]
    if not answer.ordered:
        wanted, found = sorted(wanted, key=repr), sorted(found, key=repr)
    if wanted != found:
        yield "\n".join(["== rows", *expected, "== are now", answer.header, *answer.rows])


def accept(case: Case, add: Sequence[str]) -> None:
    """Renews the sections that the case has, and fills the one that it must have, and those in `add`.

    Raises ValueError for rows of a case that names no source: nobody could say whether they are right.
    """
    old = read_expected(case.expected_path)
    answer = run(case, WAYS[0])
    made: dict[str, list[str]] = {}
    if answer.error is not None:
        made["error"] = answer.error.splitlines()
    else:
        wanted = set(old) - {"error"} | set(add) or {"rows"}
        if "rows" in wanted and not case.sources:
            raise ValueError(f"{case.name}: rows are accepted only where a `// source:` says why they are right")
        if "rows" in wanted:
            made["rows"] = _renewed_rows(old.get("rows"), answer)
        made |= {name: compiled_section(case, name) for name in ("plan", "duckdb") if name in wanted}
    if made != old:
        write_expected(case.expected_path, made)


def _renewed_rows(old: list[str] | None, answer: Answer) -> list[str]:
    """The rows as written where they are still right, so that a person's form and order stay."""
    if old and not list(_compare_rows(old, answer)):
        return old
    return [answer.header, *(answer.rows if answer.ordered else sorted(answer.rows))]
