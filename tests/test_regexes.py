"""Regular expressions of KQL for RE2: what is refused, what is rewritten, and that RE2 takes all that is not refused."""

import duckdb
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from kqlite.language.functions.regexes import check_regex, group_count, group_names, rewritten


@pytest.mark.parametrize(
    "pattern",
    [
        "(", ")", "[a", "*a", "a**", "(|*)", "a{2,1}", "a{1001}", "a{,3}", "(?=a)", "(?!a)", "(?<=a)", "(?<!a)", r"(a)\1",
        "[a-y&&xyz]", "[0-9--4]", "[a[b]]", r"\<a", r"\b{start}", r"\Qa\E", r"\Z", "\\", "(?x)a", "(?R)a", "(?<n>a)(?<n>b)",
        "(a)" * 17, r"[^\W\d]", r"\p{Nonsense}", "(?foo)",
    ],
)  # fmt: skip
def test_refused(pattern: str) -> None:
    assert check_regex(pattern)


@pytest.mark.parametrize(
    ("pattern", "text", "matches"),
    [
        ("(?<n>x)", "x", True),
        (r"^\d$", "٣", True),
        (r"^\w+$", "é_1", True),
        (r"^\W$", "é", False),
        (r"^[\W_]$", "_", True),
        (r"^[\W_]$", "é", False),
        (r"^[^\W_]$", "é", True),
        (r"^[^\W_]$", "_", False),
        (r"^[^\W]$", "_", True),
        (r"^\s$", "\u00a0", True),
        (r"^[\s\d.]+$", "\u00a01.", True),
        (r"^\S$", "\u00a0", False),
        (r"^[]a]$", "]", True),
        ("^[[:alpha:]]$", "a", True),
        (r"\u0041\x42\x{43}", "ABC", True),
        ("(?i)ABC", "abc", True),
        ("a.c", "a\nc", False),
        ("(?s)a.c", "a\nc", True),
        (r"^a{2,3}?\{$", "aa{", True),
        (r"^\p{Lu}\pN$", "A1", True),
        ("^{a{$", "{a{", True),
        ("^x{y}{2}$", "x{y}}", True),
    ],
)
def test_matches_as_the_service_does(pattern: str, text: str, matches: bool) -> None:
    assert check_regex(pattern) is None
    assert duckdb.execute("SELECT regexp_matches(?, ?)", [text, rewritten(pattern)]).fetchone() == (matches,)


def test_groups_are_counted() -> None:
    assert group_count(r"(a)(?:b)(?<n>c)[(]\(") == 2
    assert group_names(r"(a)(?P<n>c)") == {"n": 2}


@settings(max_examples=1500, deadline=None)
@example("[:-1]")
@example("[b-a]")
@example(r"[a-\d]")
@example("[a-c-e]")
@given(st.text(st.sampled_from(r"ab1(|)[]^-*+?{},.\dWsbpLQn:<>&P=!i$"), max_size=12))
def test_the_engine_takes_what_is_not_refused(pattern: str) -> None:
    if check_regex(pattern) is None:
        duckdb.execute(
            "SELECT regexp_matches('ab', ?), regexp_extract('ab', ?, ?)", [rewritten(pattern)] * 2 + [group_count(pattern)]
        ).fetchall()
