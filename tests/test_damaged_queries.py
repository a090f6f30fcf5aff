"""Queries made of the golden ones by damage: each gives an answer or a KqlError, and nothing else."""

import os
import random
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import kqlite
from kqlite.language.functions import FUNCTIONS
from tests.support import golden_tables

FULL = os.environ.get("KQLITE_CAMPAIGN") == "full"
SEEDS, QUERIES = (range(40), 5_000) if FULL else (range(2), 700)
CASES = Path(__file__).parent / "golden"
TOKEN = re.compile(r'"[^"\n]*"|\'[^\'\n]*\'|\w+|[^\w\s]|\s+')
LARGE = re.compile(r"\d{7,}|\brepeat\b|\brange\b")
"""What damage may make into millions of rows."""


def cases() -> list[list[str]]:
    texts = (re.sub(r"^//.*\n", "", file.read_text(encoding="utf-8"), flags=re.M) for file in sorted(CASES.rglob("*.kql")))
    return [TOKEN.findall(text) for text in texts]


def damaged(tokens: list[str], words: list[str], functions: list[str], chance: random.Random) -> str:
    """One to three tokens replaced, dropped, doubled, swapped, or a function exchanged for another."""
    tokens = list(tokens)
    for _ in range(chance.choice([1, 1, 1, 2, 3])):
        place = chance.randrange(len(tokens))
        match chance.choice(["replace", "drop", "insert", "function", "function", "swap"]):
            case "replace":
                tokens[place] = chance.choice(words)
            case "drop" if len(tokens) > 1:
                del tokens[place]
            case "insert":
                tokens.insert(place, f" {chance.choice(words)} ")
            case "function":
                calls = [index for index, token in enumerate(tokens) if FUNCTIONS.find(token) is not None]
                if calls:
                    tokens[chance.choice(calls)] = chance.choice(functions)
            case _:
                other = chance.randrange(len(tokens))
                tokens[place], tokens[other] = tokens[other], tokens[place]
    return "".join(tokens)


@pytest.fixture(scope="module")
def connection() -> Iterator[kqlite.Connection]:
    with kqlite.connect_sample() as connection:
        for name in ("vms", "nics", "mixed", "odd"):
            connection.register(name, golden_tables.table(name))
        yield connection


@pytest.mark.campaign
@pytest.mark.parametrize("seed", SEEDS)
def test_a_damaged_query_is_answered_or_refused(connection: kqlite.Connection, seed: int) -> None:
    chance = random.Random(seed)
    all_cases = cases()
    words = [token for case in all_cases for token in case if not token.isspace()]
    functions = sorted(FUNCTIONS.names())
    answered = 0
    for _ in range(QUERIES):
        query = damaged(chance.choice(all_cases), words, functions, chance)
        if LARGE.search(query):
            continue
        try:
            connection.query(query)
            answered += 1
        except kqlite.KqlError:
            pass
        except Exception as error:
            pytest.fail(f"{type(error).__name__}: {error}\n{query}")
    assert answered > QUERIES / 20


@pytest.mark.parametrize(
    "query",
    [
        "mv-expand nic = properties.networkProfile.networkInterfaces | count",
        "vms | project array_sort_asc(tags.nowhere), array_slice(tags.nowhere, 1, 2), set_union(tags.nowhere, dynamic([1]))",
        "vms | where dynamic(null) has_any (dynamic(['a'])) or tags.nowhere in (dynamic([1])) | count",
        "vms | summarize make_set(tags.nowhere), make_bag(tags.nowhere), make_list(tags.nowhere)",
    ],
)
def test_what_is_nowhere_is_null_to_every_function(connection: kqlite.Connection, query: str) -> None:
    connection.query(query)


@pytest.mark.parametrize("query", ["summarize pack_all()", "summarize percentile(name)", "summarize percentiles(name)"])
def test_aggregates_are_refused_by_name(connection: kqlite.Connection, query: str) -> None:
    with pytest.raises(kqlite.KqlError, match=r"pack_all|percentile"):
        connection.query(f"vms | {query}")
