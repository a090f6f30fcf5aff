"""What a program that embeds kqlite relies on: errors of one tree, queries that end when they are told to, defaults that work."""

import inspect
import json
import os
import pickle
import random
import signal
import subprocess
import sys
import threading
import time
from contextlib import contextmanager

import pyarrow as pa
import pytest

import kqlite
from kqlite.dialects.duckdb import compile as module
from kqlite.dialects.sql_writer import write
from kqlite.errors import KqliteError
from kqlite.inventory.store.database import connect as duckdb_connect

SEEDS, CALLS = (range(100), 1_000) if os.environ.get("KQLITE_CAMPAIGN") == "full" else (range(1), 600)

# For a minute or so on any machine; in a step that DuckDB interrupts nowhere only the first.
HEAVY = "numbers | extend k = 1 | join kind=inner (numbers | extend k = 1) on k | summarize sum(i * i1)"
HEEDLESS = "numbers | summarize all = make_set(hash_sha256(tostring(i))) | project array_length(all)"


@pytest.fixture
def numbers():
    with kqlite.connect() as connection:
        connection.register("numbers", pa.table({"i": range(1_000_000)}))
        yield connection


class Rows:
    """What a data frame is to kqlite."""

    def __init__(self, table):
        self._table = table

    def __arrow_c_stream__(self, requested_schema=None):
        return self._table.__arrow_c_stream__(requested_schema)


# Errors


def test_every_error_a_caller_can_meet_is_public_and_of_one_tree():
    for name in kqlite.__all__:
        getattr(kqlite, name)
    within = {"HotColumnsMissing", "OutOfStep"}  # caught where they are raised for
    found = [each for each in subclasses(KqliteError) if each.__module__.startswith("kqlite")]
    assert {each.__name__ for each in found} - within <= set(kqlite.__all__)
    assert {name for name in kqlite.__all__ if name.endswith("Error")} <= {each.__name__ for each in [KqliteError, *found]}


def subclasses(base):
    for each in base.__subclasses__():
        yield each
        yield from subclasses(each)


NONSENSE: tuple = (
    None,
    5,
    -1,
    2.5,
    float("nan"),
    True,
    "",
    "x",
    "\ud800",
    "'; drop",
    b"x",
    [],
    [1],
    {},
    {"a": 1},
    {1: 2},
    (),
    object(),
    10**30,
)


def calls(connection, simulation, rng):
    """The public calls, each as a function of what is drawn."""
    return [
        lambda: connection.query(any_of(rng, "print 1", "resources | count", "resources | project tags['']", "numbers | where i ==")),
        lambda: connection.query("print x = a", any_of(rng, {"a": pick(rng)}, {"": 1}, {"a b": 1})),
        lambda: connection.query("resources | count", scope=any_of(rng, kqlite.Scope(tables=["RESOURCES"]))),
        lambda: kqlite.Scope(subscriptions=pick(rng), resource_groups=pick(rng), tables=pick(rng)),
        lambda: connection.compile(pick(rng), pick(rng)),
        lambda: connection.register(any_of(rng, "t", "resources", "t\ud800"), pick(rng), load=rng.random() < 0.5, replace=True),
        lambda: connection.register("t", [{"a": pick(rng), "b": 1}, {"a": pick(rng)}], replace=True),
        lambda: connection.wait_for(pick(rng), any_of(rng, 0, -1)),
        lambda: kqlite.connect(pick(rng), at_least=pick(rng), timeout=0).close(),
        lambda: kqlite.connect({"t": pick(rng)}).close(),
        lambda: kqlite.Simulation(features=pick(rng), seed=pick(rng), lag=pick(rng), profile=pick(rng), subscriptions=pick(rng)),
        lambda: simulation.inject(any_of(rng, {"fault": pick(rng)}, {"fault": "allocation", "region": pick(rng), "start": pick(rng)})),
        lambda: simulation.inject({"fault": "throttle", "type": pick(rng), "duration": pick(rng), "fraction": pick(rng)}),
        lambda: simulation.recover(pick(rng)),
        lambda: simulation.advance(any_of(rng, 0)),
        lambda: simulation.settle(any_of(rng, 0)),
        lambda: simulation.feed_metric(pick(rng), pick(rng), pick(rng)),
        lambda: simulation.events(pick(rng), any_of(rng, 1)),
        lambda: simulation.arm(any_of(rng, "GET", "PUT"), any_of(rng, "/subscriptions"), pick(rng), any_of(rng, None, {"x": "y"})),
        lambda: simulation.arm_many(any_of(rng, [("GET", "/subscriptions")], [(pick(rng), pick(rng))], [(1,)])),
        lambda: simulation.create_group(pick(rng), any_of(rng, "eastus"), any_of(rng, None)),
        lambda: simulation.create_scale_set(any_of(rng, "web"), capacity=any_of(rng, 1), size=pick(rng), domains=pick(rng), zone=pick(rng)),
        lambda: simulation.create_scale_set("web", tags=pick(rng), profile=pick(rng)),
        lambda: simulation.create_vm(any_of(rng, "vm"), size=pick(rng), domain=pick(rng), zone=pick(rng), tags=pick(rng)),
        lambda: simulation.scale(any_of(rng, "web"), pick(rng), any_of(rng, "rg")),
        lambda: simulation.act(any_of(rng, "vm"), any_of(rng, "start", "delete")),
        lambda: simulation.instances(any_of(rng, "web")),
        lambda: simulation.get(pick(rng)),
    ]


def pick(rng):
    return rng.choice(NONSENSE)


def any_of(rng, *good):
    return rng.choice(good) if rng.random() < 0.5 else pick(rng)


def ours(error):
    """Whether an error is one of kqlite, or a TypeError or ValueError whose text kqlite wrote."""
    if isinstance(error, kqlite.InternalError):
        return False
    if isinstance(error, KqliteError):
        return True
    raised_by = inspect.getinnerframes(error.__traceback__)[-1]
    line = (raised_by.code_context or [""])[0].strip()
    return isinstance(error, TypeError | ValueError) and "/kqlite/" in raised_by.filename and line.startswith("raise ")


def fuzz(seed, count):
    rng = random.Random(seed)
    with kqlite.Simulation(seed=1) as simulation, kqlite.connect_sample() as connection:
        for _ in range(count):
            call = rng.choice(calls(connection, simulation, rng))
            try:
                call()
            except Exception as error:
                if not ours(error):
                    pytest.fail(f"{inspect.getsource(call)}\n{type(error).__name__}: {error}")


@pytest.mark.campaign
@pytest.mark.parametrize("seed", SEEDS)
def test_nothing_but_our_errors_leaves_the_api(seed):
    fuzz(seed, CALLS)


def test_what_the_engine_refuses_is_a_fault_of_kqlite_with_all_that_a_report_needs(monkeypatch):
    def wrong(query):
        text, variables = write(query)
        return text.replace("SELECT", "SELEKT", 1), variables

    monkeypatch.setattr(module, "write", wrong)
    with kqlite.connect() as connection, pytest.raises(kqlite.InternalError, match="report") as caught:
        connection.query("print answer = 42")
    assert caught.value.kql == "print answer = 42"
    assert "SELEKT" in caught.value.sql
    assert caught.value.sql in str(caught.value)
    assert caught.value.kql in str(caught.value)
    again = pickle.loads(pickle.dumps(caught.value))
    assert (str(again), again.kql, again.sql) == (str(caught.value), caught.value.kql, caught.value.sql)


# Closed


@pytest.mark.parametrize("make", [kqlite.connect, kqlite.connect_sample, lambda: kqlite.connect({"t": pa.table({"a": [1]})})])
def test_a_closed_connection_says_so(make):
    connection = make()
    connection.close()
    connection.close()
    for call in (
        lambda: connection.query("print 1"),
        lambda: connection.compile("print 1"),
        lambda: connection.register("u", pa.table({"a": [1]})),
        lambda: connection.wait_for(1),
        lambda: connection.stats(),
        lambda: connection.cancel(),
        lambda: connection.__enter__(),
    ):
        with pytest.raises(kqlite.ClosedError, match="this connection is closed"):
            call()


def test_a_closed_simulation_does_nothing_in_silence():
    simulation = kqlite.Simulation()
    simulation.create_scale_set("web", capacity=1)
    inventory = simulation.inventory
    simulation.close()
    simulation.close()
    for call in (
        lambda: simulation.scale("web", 2),
        lambda: simulation.arm("GET", "/subscriptions"),
        lambda: simulation.arm_many([("GET", "/subscriptions")]),
        lambda: simulation.advance(1),
        lambda: simulation.settle(),
        lambda: simulation.inject({"fault": "allocation"}),
        lambda: simulation.recover("fault-1"),
        lambda: simulation.faults,
        lambda: simulation.events(),
        lambda: simulation.inventory,
        lambda: simulation.door,
        lambda: simulation.__enter__(),
        lambda: inventory.query("resources"),
        lambda: inventory.wait_for(1),
    ):
        with pytest.raises(kqlite.ClosedError):
            call()


def test_an_inventory_closed_by_itself_leaves_its_simulation_to_be_closed():
    with kqlite.Simulation() as simulation:
        simulation.create_scale_set("web", capacity=1)
        with simulation.inventory as inventory:
            inventory.query("resources")
        simulation.scale("web", 2)
        simulation.advance("10m")
        with pytest.raises(kqlite.ClosedError):
            simulation.inventory.query("resources")


def test_a_forked_child_is_told_to_connect_again():
    script = """
import os, kqlite
connection = kqlite.connect_sample()
connection.query("print 1")
child = os.fork()
if child == 0:
    try:
        connection.query("print 1")
    except kqlite.ClosedError as error:
        os._exit(7 if "after a fork" in str(error) else 8)
    os._exit(9)
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), len(connection.query("print 1")))
"""
    assert subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60).stdout == "7 1\n"


# Queries that end


@contextmanager
def in_a_thread(connection, text):
    """A query that another thread runs; given is what it ended with."""
    outcome = []

    def run():
        try:
            outcome.append(connection.query(text))
        except BaseException as error:
            outcome.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    deadline = time.monotonic() + 30
    while not connection._running._queries and time.monotonic() < deadline:
        time.sleep(0.01)
    time.sleep(0.3)
    yield outcome
    thread.join(60)
    assert not thread.is_alive()


def test_another_thread_cancels_a_query_and_the_connection_goes_on(numbers):
    with in_a_thread(numbers, HEAVY) as outcome:
        numbers.cancel()
    assert [type(each) for each in outcome] == [kqlite.QueryCancelledError]
    assert numbers.query("numbers | count").to_pylist() == [{"Count": 1_000_000}]
    numbers.cancel()
    assert len(numbers.query("print 1")) == 1


def test_closing_ends_a_query_with_our_error(numbers):
    with in_a_thread(numbers, HEAVY) as outcome:
        numbers.close()
    assert [type(each) for each in outcome] == [kqlite.ClosedError]


def test_a_query_of_another_process_is_cancelled(tmp_path):
    with kqlite.Simulation(tmp_path) as simulation:
        simulation.create_scale_set("web", capacity=30)
        simulation.settle()
        simulation.inventory.wait_for(simulation.log.last)
        script = f"""
import kqlite, threading, time
connection = kqlite.connect({str(tmp_path)!r})
def run():
    joins = ["join kind=inner (resources | project k = 1) on k"] * 6
    many = " | ".join(["resources | project k = 1", *joins, "summarize sum(k)"])
    try:
        connection.query(many)
    except kqlite.QueryCancelledError:
        print("cancelled")
thread = threading.Thread(target=run)
thread.start()
time.sleep(2)
connection.cancel()
thread.join(60)
print(thread.is_alive())
"""
        answer = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=100)
    assert (answer.stdout, answer.stderr) == ("cancelled\nFalse\n", "")


class Surprise(Exception):
    """What a test runner's time limit raises."""


@pytest.mark.parametrize("text", [HEAVY, HEEDLESS])
def test_what_a_signals_handler_raises_surfaces_as_itself(numbers, text):
    def surprise(*_):
        raise Surprise("time is up")

    before = signal.signal(signal.SIGALRM, surprise)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.1)
        with pytest.raises(Surprise, match="time is up"):
            numbers.query(text)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert numbers.query("numbers | count").to_pylist() == [{"Count": 1_000_000}]


def test_a_signals_handler_may_close_the_connection(numbers):
    before = signal.signal(signal.SIGALRM, lambda *_: numbers.close())
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.3)
        with pytest.raises(kqlite.ClosedError):
            numbers.query(HEAVY)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def test_a_process_ends_while_a_daemon_thread_is_in_a_query():
    script = f"""
import kqlite, pyarrow as pa, threading, time
connection = kqlite.connect()
connection.register("numbers", pa.table({{"i": range(1_000_000)}}))
threading.Thread(target=lambda: connection.query({HEAVY!r}), daemon=True).start()
time.sleep(1)
print("ends")
"""
    answer = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60)
    assert (answer.returncode, answer.stdout) == (0, "ends\n"), answer.stderr


# The first lines that anyone types


def test_a_scale_set_works_with_all_defaults():
    simulation = kqlite.Simulation(seed=1)
    simulation.create_scale_set("web")
    simulation.settle()
    simulation.scale("web", 2)
    simulation.settle()
    assert len(simulation.instances("web")) == 2


@pytest.mark.parametrize("features", [["nope"], "nope", ["VMScaleSetFlexPreview", "nope"]])
def test_an_unknown_feature_is_refused(features):
    with pytest.raises(kqlite.CoreError, match="no feature 'nope'; there are VMOrchestratorSingleFD"):
        kqlite.Simulation(features=features)


def test_a_feature_has_more_than_one_spelling():
    simulation = kqlite.Simulation(features=["microsoft.compute/vmorchestratorsinglefd", "VMScaleSetPublicPreview"])
    simulation.create_scale_set("web")


# Tables of one's own


@pytest.mark.parametrize("load", [True, False])
@pytest.mark.parametrize(
    "data",
    [
        lambda: pa.table({"a": [1, 2]}),
        lambda: Rows(pa.table({"a": [1, 2]})),
        lambda: pa.table({"a": [1, 2]}).to_reader(),
        lambda: [{"a": 1}, {"a": 2}],
    ],
    ids=["table", "stream", "reader", "dicts"],
)
def test_a_table_comes_in_many_forms(data, load):
    with kqlite.connect() as connection:
        connection.register("mine", data(), load=load)
        assert connection.query("mine | summarize sum(a)").to_pylist() == [{"sum_a": 3}]


def test_a_relation_of_duckdb_is_a_table():
    with kqlite.connect({"mine": duckdb_connect().sql("SELECT 7 AS a")}) as connection:
        assert connection.query("mine").to_pylist() == [{"a": 7}]


def test_rows_as_dicts_may_lack_members_and_hold_documents():
    rows: list[dict] = [{"name": "a", "tags": {"env": "prod"}}, {"name": None}, {"tags": {"env": ["x", 1]}, "more": 1.5}]
    with kqlite.connect() as connection:
        connection.register("mine", rows)
        assert connection.query("mine | project name, env = tostring(tags.env), more").to_pylist() == [
            {"name": "a", "env": "prod", "more": None},
            {"name": "", "env": "", "more": None},
            {"name": "", "env": '["x",1]', "more": 1.5},
        ]


def test_a_stream_that_fails_half_way_registers_nothing():
    schema = pa.schema({"a": pa.int64()})

    def batches():
        yield pa.record_batch({"a": [1]}, schema)
        raise OSError("the disk is gone")

    with kqlite.connect() as connection:
        with pytest.raises(kqlite.InventoryError, match="`mine` cannot be read as Arrow: IOError: the disk is gone"):
            connection.register("mine", Rows(pa.RecordBatchReader.from_batches(schema, batches())))
        with pytest.raises(kqlite.KqlError, match="mine"):
            connection.query("mine")


# Files


ROWS = [{"id": f"/d/{n}", "name": f"{n}", "type": "microsoft.compute/disks", "properties": {"diskSizeGB": n}} for n in range(6)]


@pytest.fixture
def exports(tmp_path):
    for number in range(3):
        (tmp_path / f"part-{number}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in ROWS[number * 2 : number * 2 + 2]))
    return tmp_path


def test_files_are_an_inventory(exports):
    one = exports / "part-0.jsonl"
    for given, rows in (
        (one, 2),
        (str(one), 2),
        ([one, str(exports / "part-1.jsonl")], 4),
        (f"{exports}/part-*.jsonl", 6),
        ([one, f"{exports}/part-[12].jsonl"], 6),
    ):
        with kqlite.connect(given) as connection:
            assert connection.query("resources | count").to_pylist() == [{"Count": rows}], given
    with pytest.raises(kqlite.InventoryError, match="no file fits this pattern"):
        kqlite.connect(f"{exports}/none-*.jsonl")
    with pytest.raises(kqlite.InventoryError, match="no files"):
        kqlite.connect([])
    with pytest.raises(kqlite.InventoryError, match=r"none\.jsonl: No such file"):
        kqlite.connect([exports / "none.jsonl"])


def test_what_is_imported_is_exported(exports):
    assert kqlite.import_files(f"{exports}/*.jsonl", exports / "inventory") == 6
    with kqlite.connect(exports / "inventory") as connection:
        for name in ("all.jsonl", "all.parquet"):
            assert connection.export(exports / name) == 6
    for name in ("all.jsonl", "all.parquet"):
        with kqlite.connect(exports / name) as again:
            sizes = again.query("resources | summarize sum(toint(properties.diskSizeGB)), count()").to_pylist()
            assert list(sizes[0].values()) == [15, 6]


def test_a_table_in_place_cannot_be_exported_as_resources(tmp_path):
    with kqlite.connect({"t": pa.table({"a": [1]})}) as connection:
        assert connection.export(tmp_path / "none.jsonl") == 0


def test_a_sample_of_any_size(tmp_path):
    with kqlite.sample(30, seed=7) as one, kqlite.sample(30, 7, tmp_path / "inventory") as other:
        text = "resources | summarize count() by type | order by type asc"
        assert one.query(text).to_pylist() == other.query(text).to_pylist()
        machines = one.query("resources | where type == 'microsoft.compute/virtualmachines' | count").to_pylist()
    assert machines == [{"Count": 30}]
    with pytest.raises(kqlite.InventoryError):
        kqlite.sample(0)


# asyncio


def test_a_task_that_is_cancelled_ends_its_query_and_the_process_ends():
    script = f"""
import asyncio, threading, time, pyarrow as pa, kqlite.aio
async def main():
    async with await kqlite.aio.connect() as connection:
        await connection.register("numbers", pa.table({{"i": range(1_000_000)}}))
        ticks = 0
        async def tick():
            nonlocal ticks
            while True:
                await asyncio.sleep(0.01)
                ticks += 1
        ticking = asyncio.create_task(tick())
        try:
            await asyncio.wait_for(connection.query({HEAVY!r}), 0.5)
        except TimeoutError:
            print("timed out", ticks > 5)
        ticking.cancel()
        print((await connection.query("numbers | count")).to_pylist())
        print([len(each) for each in await asyncio.gather(*(connection.query("print 1") for _ in range(100)))] == [1] * 100)
        while any(thread.name == "kqlite-aio" for thread in threading.enumerate()):
            await asyncio.sleep(0.01)
    try:
        await connection.query("print 1")
    except kqlite.ClosedError:
        print("closed")
asyncio.run(main())
"""
    answer = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=50)
    assert (answer.stdout, answer.stderr) == ("timed out True\n[{'Count': 1000000}]\nTrue\nclosed\n", "")


# Answers


def test_an_answer_is_indexed_and_unpacked():
    with kqlite.connect({"t": [{"a": n, "tags": {"n": n}} for n in range(5)]}) as connection:
        answer = connection.query("t | order by a asc")
        assert (answer[0], answer[-1]) == ({"a": 0, "tags": {"n": 0}}, {"a": 4, "tags": {"n": 4}})
        assert [(column.name, str(column.type)) for column in answer.columns] == [("a", "long"), ("tags", "dynamic")]
        assert connection.query("t | count").scalar() == 5
        assert connection.query("t | where a == 3").one() == {"a": 3, "tags": {"n": 3}}
        for place in (5, -6):
            with pytest.raises(IndexError, match="of an answer that has 5"):
                answer[place]
        with pytest.raises(ValueError, match="one row was expected, and the answer has 5"):
            answer.one()
        with pytest.raises(ValueError, match="one column was expected, and the answer has 2"):
            answer.scalar()


def test_an_answer_is_taken_as_arrow():
    with kqlite.connect({"t": [{"a": 1}, {"a": 2}]}) as connection:
        answer = connection.query("t | extend b = a * 2")
        assert pa.table(answer).to_pydict() == {"a": [1, 2], "b": [2, 4]}
        connection_of_duckdb = duckdb_connect()
        connection_of_duckdb.register("answer", answer.to_arrow())
        assert connection_of_duckdb.sql("SELECT sum(b) FROM answer").fetchall() == [(6,)]
    with kqlite.connect({"again": answer}) as connection:
        assert connection.query("again | summarize sum(b)").scalar() == 6
