"""The durable log: whole transactions or nothing, whatever happens to the process, the disk or the file."""

import os
import random
import signal
import sqlite3
import subprocess
import sys
import textwrap
from contextlib import closing
from pathlib import Path

import pytest

from kqlite.orchestration.errors import ArmError
from kqlite.orchestration.events import Kind
from kqlite.orchestration.faults import CRASH_POINTS
from kqlite.orchestration.log import FORMAT_VERSION, LogError, SqliteLog, encoded, every_event
from kqlite.simulation import LOG_NAME, Simulation

# Creates VMs one after the other, tells each acknowledged name, and lets time pass.
CHILD = """
import sys
from kqlite.simulation import Simulation
simulation = Simulation(sys.argv[1], features="all")
point = sys.argv[2]
simulation.create_group()
print("ready", flush=True)
if point != "-":
    simulation.inject({"fault": "crash", "operation": point})
number = int(sys.argv[3])
while True:
    number += 1
    simulation.create_vm(f"vm{number}")
    print(f"vm{number}", flush=True)
    simulation.advance("7s")
    simulation.plane.save_state(after=20)  # so often that some kills cut it short
    print(f"at {simulation.now.isoformat()}", flush=True)
"""


def killed(directory: Path, point: str, number: int, after: float | None) -> tuple[list[str], str]:
    """Run the child until it is killed: at a point, or after so many seconds. What it acknowledged: VMs, and the last time."""
    child = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(CHILD), str(directory), point, str(number)],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parent.parent)},
    )
    assert child.stdout is not None
    lines: list[str] = []
    if after is not None:
        for line in child.stdout:
            lines.append(line.strip())
            if len(lines) >= after:
                break
        child.send_signal(signal.SIGKILL)
    lines += [line.strip() for line in child.stdout]
    assert child.wait(30) == -signal.SIGKILL
    times = [line[3:] for line in lines if line.startswith("at ")]
    return [line for line in lines if line.startswith("vm")], times[-1] if times else ""


def check_recovered(directory: Path, acknowledged: list[str], time: str) -> int:
    """Nothing that was acknowledged is lost, nothing else is half there, and unfinished work goes on."""
    with Simulation(directory) as simulation:
        group = "/subscriptions/00000000-0000-0000-0000-000000000001/resourceGroups/rg"
        listed = simulation.arm("GET", f"{group}/providers/Microsoft.Compute/virtualMachines?api-version=2021-07-01").body
        names = {vm["name"] for vm in listed["value"]}
        assert set(acknowledged) <= names
        assert len(names) <= len(acknowledged) + 1
        assert simulation.now.isoformat() >= time
        nics = simulation.arm("GET", f"{group}/providers/Microsoft.Network/networkInterfaces?api-version=2021-07-01").body
        assert {nic["name"] for nic in nics["value"]} == {f"{name}-nic" for name in names}, "a VM and its interface are one transaction"
        assert simulation.settle()
        states = {vm.provisioning for vm in simulation.plane.fleet.container(group).of("Microsoft.Compute/virtualMachines").values()}
        assert states <= {"Succeeded"}
        return len(names)


@pytest.mark.parametrize("point", CRASH_POINTS)
def test_a_process_killed_at_a_named_point_loses_nothing(tmp_path: Path, point: str) -> None:
    acknowledged, time = killed(tmp_path, point, 0, None)
    check_recovered(tmp_path, acknowledged, time)


def test_a_process_killed_at_random_points_loses_nothing(tmp_path: Path) -> None:
    draw = random.Random(1)
    known: list[str] = []
    number = 0
    for _ in range(3):
        acknowledged, time = killed(tmp_path, "-", number, draw.randrange(2, 20))
        known += acknowledged
        number += len(acknowledged) + 1
        count = check_recovered(tmp_path, known, time)
        with Simulation(tmp_path) as simulation:
            listed = simulation.plane.fleet.container("/subscriptions/00000000-0000-0000-0000-000000000001/resourceGroups/rg").of(
                "Microsoft.Compute/virtualMachines"
            )
            known = [vm.name for vm in listed.values()]
        assert count == len(known)


@pytest.mark.campaign
def test_many_kills(tmp_path: Path) -> None:
    """Two hundred where KQLITE_CAMPAIGN=full, else five."""
    draw = random.Random(2)
    for run in range(200 if os.environ.get("KQLITE_CAMPAIGN") == "full" else 5):
        directory = tmp_path / str(run)
        directory.mkdir()
        acknowledged, time = killed(directory, "-", 0, draw.randrange(1, 60))
        check_recovered(directory, acknowledged, time)


def filled(directory: Path) -> Simulation:
    simulation = Simulation(directory, seed=5, features="all")
    simulation.create_scale_set("web", capacity=3)
    simulation.advance("20s")
    return simulation


def test_the_log_syncs_at_each_commit(tmp_path: Path) -> None:
    with Simulation(tmp_path) as simulation:
        assert isinstance(simulation.log, SqliteLog)
        assert simulation.log.setting("journal_mode") == "wal"
        assert simulation.log.setting("synchronous") == "2", "FULL"
    with Simulation(tmp_path, synchronous="NORMAL") as simulation:
        assert isinstance(simulation.log, SqliteLog)
        assert simulation.log.setting("synchronous") == "1"


def test_a_simulation_goes_on_from_its_log(tmp_path: Path) -> None:
    with filled(tmp_path) as first:
        time, seed_log = first.now, [encoded(event) for event in every_event(first.log)]
    with Simulation(tmp_path, seed=99, profile="ga") as again:
        assert again.now == time
        assert again.plane.service_version == "preview-2021"
        assert [encoded(event) for event in every_event(again.log)] == seed_log
        assert again.settle()
        assert len(again.instances("web")) == 3


def test_a_restart_changes_nothing_of_what_comes(tmp_path: Path) -> None:
    with filled(tmp_path / "a") as whole:
        whole.settle()
        whole.advance("1h")
        expected = [encoded(event) for event in every_event(whole.log)]
    filled(tmp_path / "b").close()
    with Simulation(tmp_path / "b") as again:
        again.settle()
        again.advance("1h")
        assert [encoded(event) for event in every_event(again.log)] == expected


@pytest.mark.parametrize("damage", ["cut", "zeros", "noise"])
def test_a_tail_of_the_wal_that_was_not_synced_takes_only_whole_transactions_along(tmp_path: Path, damage: str) -> None:
    """A power cut leaves the file as of the last checkpoint, and a WAL whose end is missing or nonsense."""
    with filled(tmp_path / "live") as simulation:
        log = tmp_path / "live" / LOG_NAME
        wal = log.with_name(LOG_NAME + "-wal")
        main, tail = log.read_bytes(), wal.read_bytes()
        events = [encoded(event) for event in every_event(simulation.log)]
    for share in (0.3, 0.6, 0.9, 0.99):
        directory = tmp_path / f"{damage}{share}"
        directory.mkdir()
        keep = int(len(tail) * share)
        rest = {"cut": b"", "zeros": bytes(len(tail) - keep), "noise": os.urandom(len(tail) - keep)}[damage]
        (directory / LOG_NAME).write_bytes(main)
        (directory / (LOG_NAME + "-wal")).write_bytes(tail[:keep] + rest)
        with Simulation(directory, seed=5, features="all") as recovered:
            found = [encoded(event) for event in every_event(recovered.log)]
            if recovered.log.last and found[0] == events[0]:
                assert found == events[: len(found)], "a prefix"
            assert recovered.settle()


def fill(simulation: Simulation) -> None:
    for number in range(200):
        simulation.create_vm(f"vm{number}")


def database_of(simulation: Simulation) -> sqlite3.Connection:
    assert isinstance(simulation.log, SqliteLog)
    return simulation.log._db


def test_a_full_disk_refuses_the_request_and_keeps_the_state(tmp_path: Path) -> None:
    with filled(tmp_path) as simulation:
        simulation.settle()
        before = simulation.instances("web")
        database = database_of(simulation)
        pages = database.execute("PRAGMA page_count").fetchone()[0]
        database.execute(f"PRAGMA max_page_count={pages}")
        with pytest.raises(LogError, match="could not be written"):
            fill(simulation)
        last = simulation.log.last
        assert simulation.plane.fleet.sequence == last
        assert simulation.instances("web") == before
        database.execute("PRAGMA max_page_count=1000000")
        simulation.create_vm("later")
        assert simulation.settle()
        assert [event.sequence for event in every_event(simulation.log)] == list(range(1, simulation.log.last + 1))


def test_time_taken_back_with_a_failed_commit_passes_again(tmp_path: Path) -> None:
    with filled(tmp_path) as simulation:
        database = database_of(simulation)
        now = simulation.now
        database.execute("PRAGMA query_only=1")
        with pytest.raises(LogError):
            simulation.advance("10m")
        assert simulation.now == now
        database.execute("PRAGMA query_only=0")
        assert simulation.settle()
        assert len(simulation.instances("web")) == 3


def test_files_that_are_no_log_are_refused(tmp_path: Path) -> None:
    (tmp_path / LOG_NAME).write_bytes(b"not a database at all" * 100)
    with pytest.raises(LogError, match="not a readable event log"):
        Simulation(tmp_path)
    other = tmp_path / "other"
    other.mkdir()
    with sqlite3.connect(other / LOG_NAME) as database:
        database.execute("CREATE TABLE t (x)")
    with pytest.raises(LogError, match="not an event log of kqlite"):
        Simulation(other)


def test_a_log_of_a_newer_version_is_refused(tmp_path: Path) -> None:
    filled(tmp_path).close()
    with sqlite3.connect(tmp_path / LOG_NAME) as database:
        database.execute(f"PRAGMA user_version={FORMAT_VERSION + 1}")
    with pytest.raises(LogError, match="written by a newer kqlite"):
        Simulation(tmp_path)


def test_a_damaged_event_is_told_by_its_place(tmp_path: Path) -> None:
    filled(tmp_path).close()
    with sqlite3.connect(tmp_path / LOG_NAME) as database:
        database.execute("UPDATE events SET image = '[1' WHERE sequence = 9")
    with pytest.raises(LogError, match="damaged after event 0"):
        Simulation(tmp_path)


def test_a_reader_in_another_connection_sees_only_what_is_committed(tmp_path: Path) -> None:
    with filled(tmp_path) as simulation:
        reader = SqliteLog(tmp_path / LOG_NAME, read_only=True)
        assert [encoded(e) for e in every_event(reader)] == [encoded(e) for e in every_event(simulation.log)]
        before = len(list(every_event(reader)))
        vms = simulation._path("rg", None, "Microsoft.Compute/virtualMachines", "")
        answers = simulation.arm_many(
            [("PUT", f"{vms}vm{number}?api-version=2021-07-01", simulation.vm_body(f"vm{number}")) for number in (1, 2)]
        )
        assert [answer.status for answer in answers] == [201, 201]
        assert len(list(every_event(reader))) > before
        with pytest.raises(LogError):
            reader.commit([], {"now": "1"})
        reader.close()


def test_several_requests_in_one_commit_refuse_only_their_own(tmp_path: Path) -> None:
    with filled(tmp_path) as simulation:
        path = simulation._path("rg", None, "Microsoft.Compute/virtualMachines", "x") + "?api-version=2021-07-01"
        answers = simulation.arm_many([("PUT", path, simulation.vm_body("x")), ("PUT", path, {"location": "mars"}), ("GET", path)])
        assert [answer.status for answer in answers] == [201, 400, 200]


def test_synchronous_is_full_or_normal(tmp_path: Path) -> None:
    with pytest.raises(LogError, match="FULL or NORMAL"):
        Simulation(tmp_path, synchronous="OFF")


def test_a_refusal_raises_from_a_convenience() -> None:
    with pytest.raises(ArmError) as refused:
        Simulation(features=()).create_scale_set("web")
    assert refused.value.status == 400


@pytest.mark.parametrize("table", ["texts", "events"])
def test_a_log_without_a_table_is_named_and_not_a_traceback(tmp_path: Path, table: str) -> None:
    path = tmp_path / "events.sqlite"
    SqliteLog(path).close()
    with closing(sqlite3.connect(path)) as database:
        database.execute(f"DROP TABLE {table}")
    with pytest.raises(LogError, match=r"events\.sqlite"):
        SqliteLog(path)


def test_a_log_has_one_writer_and_any_number_of_readers(tmp_path: Path) -> None:
    path = tmp_path / "events.sqlite"
    with closing(SqliteLog(path)):
        with pytest.raises(LogError, match="in use"):
            SqliteLog(path)
        SqliteLog(path, read_only=True).close()
    SqliteLog(path).close()


@pytest.mark.parametrize("durable", [True, False])
def test_a_reader_in_the_middle_finds_definitions_single_events_and_the_last_of_each_resource(tmp_path: Path, durable: bool) -> None:
    with Simulation(tmp_path if durable else None, features="all") as simulation:
        simulation.create_scale_set("web", capacity=2)
        simulation.settle()
        simulation.act(simulation.instances("web")[0]["name"], "delete")
        simulation.settle()
        log = simulation.log
        everything = list(every_event(log))
        middle = len(everything) - 1
        assert log.definitions(middle) == [event for event in everything[:middle] if event.kind is Kind.DEFINED]
        assert log.at([middle, 3]) == [everything[2], everything[middle - 1]]
        last = {(event.type, event.id): event for event in everything[:middle]}
        assert {(each.type, each.id): (each.sequence, each.deleted) for each in log.newest(middle)} == {
            key: (event.sequence, event.kind is Kind.DELETED) for key, event in last.items()
        }
        assert any(event.kind is Kind.DELETED for event in last.values())
