"""Imports have a time: the newest row wins in any order, the watermark is the oldest time of all rows, and a replacing import deletes."""

import itertools
import json
import os
import subprocess
import sys
from collections.abc import Collection, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import kqlite
from kqlite.inventory.imports.in_memory import incoming
from kqlite.inventory.store.imports import Coverage
from kqlite.inventory.store.store import Store

VM, DISK, NET = "microsoft.compute/virtualmachines", "microsoft.compute/disks", "microsoft.network/virtualnetworks"
TEN = datetime(2026, 3, 1, 10, tzinfo=UTC)


def row(name: str, type_: str = VM, subscription: str = "s1", group: str = "g1", **more: object) -> dict[str, object]:
    id_ = f"/subscriptions/{subscription}/resourceGroups/{group}/providers/{type_}/{name}"
    return {"id": id_, "name": name, "type": type_, "subscriptionId": subscription, "resourceGroup": group, **more}


def at(hours: float) -> datetime:
    return TEN + timedelta(hours=hours)


def taken_in(directory: Path, rows: list[dict[str, object]], hours: float, replace: str | None = None) -> None:
    file = directory.with_suffix(".json")
    file.write_text(json.dumps(rows))
    kqlite.import_files(file, directory, as_of=at(hours), replace=replace)


def shown(directory: Path) -> tuple[dict[str, object], datetime | None]:
    with kqlite.connect(directory) as connection:
        answer = connection.query("resources | project name, said = tostring(properties.said)")
        return {each["name"]: each["said"] for each in answer.to_pylist()}, answer.snapshot.watermark


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
def test_the_newest_row_wins_in_any_order(tmp_path: Path, order: tuple[int, ...]) -> None:
    imports = [
        ([row("a", properties={"said": "ten"}), row("b", properties={"said": "ten"})], 0),
        ([row("a", properties={"said": "noon", "more": 1})], 2),
        ([row("b", properties={"said": "nine"}), row("c", properties={"said": "nine"})], -1),
    ]
    for number in order:
        taken_in(tmp_path / "i", *imports[number])
    assert shown(tmp_path / "i")[0] == {"a": "noon", "b": "ten", "c": "nine"}


def test_the_watermark_is_the_oldest_time_of_all_rows(tmp_path: Path) -> None:
    directory = tmp_path / "i"
    taken_in(directory, [row("a"), row("b")], 0)
    assert shown(directory)[1] == at(0)
    taken_in(directory, [row("d", DISK)], 2)
    assert shown(directory)[1] == at(0)
    taken_in(directory, [row("a"), row("c")], -1)
    assert shown(directory)[1] == at(-1)
    taken_in(directory, [row("a")], 3, "types")
    assert shown(directory) == ({"a": "", "d": ""}, at(2))


STORED = [
    row("a"), row("b"), row("c", group="g2"), row("d", subscription="s2"), row("e", DISK), row("f", DISK, subscription="s2"), row("n", NET),
]  # fmt: skip


@pytest.mark.parametrize(
    ("replace", "left"),
    [
        (None, "abcdefn"),
        ("groups", "acdefn"),
        ("subscriptions", "adefn"),
        ("types", "aefn"),
        ("all", "a"),
    ],
)
@pytest.mark.parametrize("enough_rows", [1, 1000])
def test_a_replacing_import_deletes_what_it_covers(tmp_path: Path, replace: str | None, left: str, enough_rows: int) -> None:
    store = Store.in_memory()
    store.load(incoming(STORED, enough_rows), as_of=at(0))
    replaces = None if replace is None else Coverage(replace)
    store.load(incoming([row("a", group="G1", type_="Microsoft.Compute/virtualMachines")], enough_rows), as_of=at(1), replaces=replaces)
    with store.snapshot() as snapshot:
        parts = snapshot.catalog.resources["resources"]
        found = sorted(name for part in parts for name in snapshot.run(f'SELECT name FROM "{part.source}"').column("name").to_pylist())
    assert "".join(found) == left


def test_files_of_one_import_come_in_the_order_of_their_times(tmp_path: Path) -> None:
    newer, older = tmp_path / "a.json", tmp_path / "b.json"
    newer.write_text(json.dumps([row("a", properties={"said": "newer"})]))
    older.write_text(json.dumps([row("a", properties={"said": "older"})]))
    os.utime(older, (at(0).timestamp(), at(0).timestamp()))
    os.utime(newer, (at(1).timestamp(), at(1).timestamp()))
    with pytest.warns(kqlite.InventoryWarning, match="the id of a later one"):
        kqlite.import_files([newer, older], tmp_path / "i")
    assert shown(tmp_path / "i") == ({"a": "newer"}, at(0))


def test_a_row_that_changes_its_table_is_one_row(tmp_path: Path) -> None:
    directory = tmp_path / "i"
    taken_in(directory, [row("a")], 0)
    taken_in(directory, [{**row("a"), "type": DISK}], 1)
    taken_in(directory, [row("a")], -1)
    with kqlite.connect(directory) as connection:
        assert connection.query("resources | project type").to_pylist() == [{"type": DISK}]


names = st.sampled_from("abcd")
rows_ = st.dictionaries(names, st.tuples(st.sampled_from([VM, DISK]), st.sampled_from(["s1", "s2"])), max_size=4)
steps = st.lists(st.tuples(rows_, st.integers(0, 5), st.sampled_from([None, *Coverage]), st.sampled_from([1, 100])), max_size=5)


def is_covered(coverage: Coverage | None, brought: Collection[tuple[str, str]], known: tuple[str, str, int]) -> bool:
    """Whether an import that brought such types and subscriptions covers a row; all are of one group."""
    if coverage in (None, Coverage.ALL):
        return coverage is not None
    if coverage is Coverage.TYPES:
        return known[0] in {type_ for type_, _ in brought}
    return known[:2] in brought


@settings(max_examples=60, deadline=None)
@given(steps)
def test_the_store_holds_what_a_model_says(steps: list[tuple[Mapping[str, tuple[str, str]], int, Coverage | None, int]]) -> None:
    store = Store.in_memory()
    model: dict[str, tuple[str, str, int]] = {}
    for given_, hours, coverage, enough in steps:
        rows = [{**row(name, type_, subscription), "id": f"/subscriptions/x/{name}"} for name, (type_, subscription) in given_.items()]
        store.load(incoming(rows, enough, store.shaped_types()), as_of=at(hours), replaces=coverage)
        for name, (type_, subscription) in given_.items():
            if name not in model or model[name][2] <= hours:
                model[name] = type_, subscription, hours
        model = {name: known for name, known in model.items() if name in given_ or not is_covered(coverage, given_.values(), known)}
        with store.snapshot() as snapshot:
            found = {}
            for part in snapshot.catalog.resources.get("resources", ()):
                for each in snapshot.run(f'SELECT name, type, subscriptionId FROM "{part.source}"').to_pylist():
                    assert each["name"] not in found
                    found[each["name"]] = each["type"], each["subscriptionId"]
            assert found == {name: known[:2] for name, known in model.items()}
            assert snapshot.watermark is not None
            oldest = min([at(hours), *(at(known[2]) for known in model.values())])
            assert oldest <= snapshot.watermark < oldest + timedelta(milliseconds=1)


def test_an_import_into_a_simulation_is_refused_and_the_other_way_too(tmp_path: Path) -> None:
    file = tmp_path / "a.json"
    file.write_text(json.dumps([row("a")]))
    with kqlite.Simulation(tmp_path / "simulated") as simulation:
        simulation.create_scale_set("web", capacity=1)
    with pytest.raises(kqlite.InventoryError, match="the inventory of a simulation"):
        kqlite.import_files(file, tmp_path / "simulated")
    kqlite.import_files(file, tmp_path / "imported")
    with pytest.raises(kqlite.InventoryError, match="holds an inventory that no simulation made"):
        kqlite.Simulation(tmp_path / "imported")


def test_wrong_arguments_are_told(tmp_path: Path) -> None:
    file = tmp_path / "a.json"
    file.write_text("[]")
    with pytest.raises(kqlite.InventoryError, match="'everything' is not what an import can replace: all, types, subscriptions, groups"):
        kqlite.import_files(file, tmp_path / "i", replace="everything")
    with pytest.raises(kqlite.InventoryError, match="has no time zone"):
        kqlite.import_files(file, tmp_path / "i", as_of=datetime(2026, 1, 1))
    with pytest.raises(kqlite.InventoryError, match="no documents in these files, so nothing is replaced"):
        kqlite.import_files(file, tmp_path / "i", replace="all")
    assert not (tmp_path / "i").exists()


def test_the_command_takes_a_time_and_what_to_replace(tmp_path: Path) -> None:
    file, directory = tmp_path / "a.json", tmp_path / "i"
    for names_, options in (("ab", ["--as-of", "2026-03-01T10:00"]), ("b", ["--replace", "types", "--as-of", "2026-03-01T12:00:00+01:00"])):
        file.write_text(json.dumps([row(name) for name in names_]))
        command = [sys.executable, "-m", "kqlite", "import", str(file), str(directory), *options]
        assert subprocess.run(command, capture_output=True, text=True, check=False).returncode == 0
    assert shown(directory) == ({"b": ""}, at(1))


def test_the_sample_is_of_its_own_date() -> None:
    with kqlite.connect_sample() as connection:
        watermark = connection.query("resources | count").snapshot.watermark
    assert watermark is not None
    assert watermark < datetime(2026, 12, 1, tzinfo=UTC)
