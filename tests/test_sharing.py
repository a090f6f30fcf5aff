"""One data directory, several processes: the same answers and errors either way, and a connection that goes on by itself."""

import json
import os
import random
import shutil
import signal
import stat
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

import pyarrow as pa
import pytest
from pyarrow import flight

import kqlite
from kqlite.access import protocol
from kqlite.access import server as server_module
from kqlite.access.local import LocalAccess
from kqlite.access.server import BusyError, TimeLimitError, serve
from kqlite.access.sockets import location
from kqlite.bundled import bundled
from kqlite.connection import BehindError
from kqlite.directory import lock
from kqlite.directory.data_directory import DataDirectory, InUseError
from kqlite.errors import InventoryError
from kqlite.inventory.imports.files import import_files
from kqlite.inventory.store.snapshot import AnswerTooLarge
from kqlite.inventory.store.store import Store
from kqlite.parameters import ParameterError
from kqlite.stats import FeedStats, Percentiles, from_json, to_json

ROOT = Path(__file__).parent.parent
NUMBERS = "let t = print x = range(1, {n}, 1) | mv-expand x to typeof(long) | extend k = 1; t"
ENDLESS = NUMBERS.format(n=400_000) + " | join kind=inner (t) on k | summarize sum(x * x1)"
"""Minutes of work, which can be ended at any time."""

LONG = NUMBERS.format(n=12_000) + " | join kind=inner (t) on k | summarize s = sum(x * x1)"
LONG_SUM = (12_000 * 12_001 // 2) ** 2

HOLDER = """
import sys
from pathlib import Path
from kqlite.access.local import LocalAccess
from kqlite.connection import Connection
from kqlite.directory.data_directory import DataDirectory
from kqlite.inventory.store.store import Store
from kqlite.access.server import serve
directory = DataDirectory.open(Path(sys.argv[1]), writable=True, shares=True, patience=30)
connection = Connection(LocalAccess(Store.open(directory), holder=directory.holder))
server = serve(connection.access, directory)
print("serving", flush=True)
sys.stdin.read()
server.close()
connection.close()
"""


@pytest.fixture(scope="module")
def imported(tmp_path_factory):
    path = tmp_path_factory.mktemp("sharing") / "inventory"
    import_files(sorted(bundled("sample-data/inventory").glob("*.jsonl")), path)
    return path


@pytest.fixture
def directory(imported, tmp_path):
    return Path(shutil.copytree(imported, tmp_path / "inventory"))


@contextmanager
def held(path, updater=None, **limits):
    """This process holds the directory and answers others, and itself, over the socket."""
    opened = DataDirectory.open(path, writable=True, shares=True)
    with kqlite.Connection(LocalAccess(Store.open(opened), updater=updater, holder=opened.holder)) as connection:
        server = serve(connection.access, opened, **limits)
        try:
            yield connection
        finally:
            server.close()


@contextmanager
def another_holds(path):
    """Another process does."""
    process = start_holder(path)
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def start_holder(path):
    command = [sys.executable, "-c", HOLDER, str(path)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT)
    assert process.stdout.readline() == "serving\n"
    return process


@pytest.fixture(scope="module", params=["opened here", "held by another"])
def connection(request, imported, tmp_path_factory):
    path = shutil.copytree(imported, tmp_path_factory.mktemp("either") / "inventory")
    if request.param == "opened here":
        with kqlite.connect(path) as connection:
            yield connection
        return
    with another_holds(path), kqlite.connect(path) as connection:
        yield connection
        assert lock.is_held_alone(path)


@pytest.fixture(scope="module")
def plain(imported):
    """The same inventory, whose answers are known to be right by other tests."""
    with kqlite.Connection(LocalAccess(Store.open(DataDirectory.open(imported)))) as connection:
        yield connection


QUERIES = [
    "resources | order by id asc",
    "resources | order by id asc | project id, properties.extended, zones, tags",
    "resources | summarize count() by type | order by count_ desc, type asc",
    "resources | where false | project id, at = now(), span = 1d, tags",
    "print at = datetime(2024-02-29T12:30:00.1234567Z), span = -1tick, big = 9223372036854775807, b = true, g = guid(null)",
    "print x = range(1, 70000, 1) | mv-expand x to typeof(long) | extend text = strcat('row ', tostring(x))",
    "print nan = real(nan), inf = real(+inf), empty = '', d = dynamic({'a': [1, 2.5, null, 'é']})",
]


@pytest.mark.parametrize("query", QUERIES)
def test_answers_are_the_same_either_way(connection, plain, query):
    answer, expected = connection.query(query), plain.query(query)
    assert answer.schema == expected.schema
    for how in ({}, {"ticks": True}, {"shaped": True}):
        found = answer.to_arrow(**how)
        assert found.schema == expected.to_arrow(**how).schema
        if "now()" not in query:
            assert found.combine_chunks().equals(expected.to_arrow(**how).combine_chunks()) or "nan" in query
    assert len(answer) == len(expected)
    assert repr(answer) == repr(expected)
    assert (answer.snapshot.watermark, answer.snapshot.sequence) == (expected.snapshot.watermark, None)
    assert abs(answer.snapshot.snapshot_time - datetime.now(UTC)) < timedelta(minutes=5)
    assert answer.elapsed > timedelta(0)


PARAMETERS = {
    "flag": True,
    "count": -(2**63),
    "ratio": float("inf"),
    "text": "a'b\"c\n\0é",
    "at": datetime(2024, 2, 29, 12, 30, 0, 123456),
    "span": timedelta(days=-1, microseconds=7),
    "key": UUID("74be27de-1e4e-49d9-b579-fe0b331d3642"),
    "bag": {"a": [1, None, "x"]},
}


def test_parameters_arrive_as_they_were_given(connection, plain):
    query = "print flag, count, ratio, text, at, span, key, bag"
    assert connection.query(query, PARAMETERS).to_pylist() == plain.query(query, PARAMETERS).to_pylist()


@pytest.mark.parametrize(
    "scope",
    [
        kqlite.Scope(subscriptions=frozenset()),
        kqlite.Scope(resource_groups=frozenset({"RG-WEB", "none"})),
        kqlite.Scope(tables=frozenset({"resources"})),
    ],
)
def test_a_scope_holds_either_way(connection, plain, scope):
    query = "resources | summarize count() by resourceGroup | order by resourceGroup asc"
    assert connection.query(query, scope=scope).to_pylist() == plain.query(query, scope=scope).to_pylist()


def raised(connection, query, **more):
    with pytest.raises(kqlite.KqliteError) as caught:
        connection.query(query, **more)
    return caught.value


@pytest.mark.parametrize(
    "query",
    [
        "resources | where locaton == 'x' and nme == 'y'",
        "resources | where",
        "resorces",
        "resources | where name == 1\n| extend x = 'ü' + ",
        "resources | extend " + ", ".join(f"c{i} = missing{i}" for i in range(200)),
    ],
)
def test_errors_are_the_same_either_way(connection, plain, query):
    found, expected = raised(connection, query), raised(plain, query)
    assert type(found) is type(expected) is kqlite.KqlError
    assert (str(found), found.text, found.diagnostics) == (str(expected), query, expected.diagnostics)
    with pytest.raises(kqlite.KqlError) as caught:
        connection.compile(query)
    assert caught.value.diagnostics == expected.diagnostics


def test_other_errors_are_the_same_either_way(connection, plain):
    for query, parameters in (("print x", {"x": object()}), ("print x", {"x y": 1})):
        found, expected = (raised(each, query, parameters=parameters) for each in (connection, plain))
        assert (type(found), str(found)) == (ParameterError, str(expected))
    found = raised(connection, "resources", scope=kqlite.Scope(tables=frozenset()))
    assert str(found) == str(raised(plain, "resources", scope=kqlite.Scope(tables=frozenset())))


def test_what_a_query_is_made_into_is_the_same_either_way(connection, plain):
    query = "resources | where tags.env =~ 'prod' and name == wanted | project name, tags"
    assert connection.compile(query, {"wanted": "x"}) == plain.compile(query, {"wanted": "x"})


def test_stats_say_the_same_but_for_who_holds(connection, plain):
    found, expected = connection.stats(), plain.stats()
    assert found.types == expected.types
    assert sum(size.rows for size in found.types if size.table == "resources") == len(plain.query("resources"))
    assert all(size.bytes > 0 for size in found.types)
    assert (found.watermark, found.sequence, found.feed) == (expected.watermark, None, None)
    assert found.lag == found.snapshot_time - found.watermark
    assert from_json(json.loads(json.dumps(to_json(found)))) == found


def test_threads_share_a_connection(connection):
    def ask(number):
        return connection.query("print x = n * 2", {"n": number}).to_pylist()

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(ask, range(200))) == [[{"x": number * 2}] for number in range(200)]


def test_a_clock_that_was_given_is_what_now_reads(directory):
    noon = datetime(2100, 1, 1, 12, tzinfo=UTC)
    with held(directory), kqlite.connect(directory, clock=lambda: noon) as connection:
        answer = connection.query("print at = now()")
        assert answer.to_pylist() == [{"at": noon}]
        assert answer.snapshot.snapshot_time == noon


# Who holds a directory


def test_a_second_writer_and_an_import_are_told_who_holds_the_directory(directory):
    with another_holds(directory) as holder:
        who = f"{directory}: in use by python, process {holder.pid}; try again when it has ended"
        with pytest.raises(InUseError) as caught:
            DataDirectory.open(directory, writable=True)
        assert str(caught.value) == who
        file = bundled("sample-data/inventory") / "virtual-machines.jsonl"
        command = [sys.executable, "-m", "kqlite", "import", str(file), str(directory)]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
        assert (done.returncode, done.stderr.strip()) == (1, who)
        with kqlite.connect(directory) as connection:
            found = connection.stats().holder
            assert (found.pid, found.command) == (holder.pid, "python")
            assert abs(found.since - datetime.now(UTC)) < timedelta(minutes=5)


def test_a_holder_that_shares_nothing_is_named_at_once(directory):
    writer = DataDirectory.open(directory, writable=True)
    started = time.monotonic()
    with pytest.raises(InUseError, match=f"in use by .*, process {os.getpid()}"):
        kqlite.connect(directory)
    assert time.monotonic() - started < 5
    writer.close()


def test_a_holder_that_is_still_starting_is_waited_for(directory):
    opened = DataDirectory.open(directory, writable=True, shares=True)
    store = Store.open(opened)
    with ThreadPoolExecutor(1) as pool, kqlite.Connection(LocalAccess(store)) as connection:
        waiting = pool.submit(kqlite.connect, directory)
        time.sleep(0.3)
        assert not waiting.done()
        server = serve(connection.access, opened)
        with waiting.result(timeout=30) as found:
            assert len(found.query("resources")) > 100
        server.close()


def test_a_store_that_cannot_be_opened_lets_go_of_its_directory(directory):
    (directory / "inventory.duckdb").write_bytes(b"nonsense" * 1000)
    with pytest.raises(InventoryError, match="DuckDB cannot open it"):
        kqlite.connect(directory)
    DataDirectory.open(directory, writable=True, patience=0.0).close()


EMPTY = """
import os, sys
from pathlib import Path
from kqlite.directory.data_directory import DataDirectory
from kqlite.inventory.store.store import Store
store = Store.open(DataDirectory.create(Path(sys.argv[1])), fed=True)
os._exit(0)
"""


def test_a_process_that_died_before_it_wrote_anything_is_told(tmp_path):
    subprocess.run([sys.executable, "-c", EMPTY, str(tmp_path / "i")], cwd=ROOT, check=True)
    with pytest.raises(InventoryError, match="empty; the process that made it ended too early"):
        kqlite.connect(tmp_path / "i")


def test_a_closed_connection_does_not_open_the_directory_again(directory):
    connection = kqlite.connect(directory)
    connection.close()
    with pytest.raises(InventoryError, match="this connection is closed"):
        connection.query("resources")
    DataDirectory.open(directory, writable=True, patience=0.0).close()


# Coming and going


def test_a_connection_goes_on_as_holders_come_and_go(directory):
    with kqlite.connect(directory) as connection:
        expected = connection.query("resources | summarize count() by type | order by type asc").to_pylist()

        def same():
            assert connection.query("resources | summarize count() by type | order by type asc").to_pylist() == expected
            return connection.stats().holder

        assert same() is None
        for end in (lambda process: process.communicate(), lambda process: process.kill()):
            process = start_holder(directory)
            assert same().pid == process.pid
            end(process)
            process.wait()
            assert same() is None
            process.communicate()
        first = start_holder(directory)
        assert same().pid == first.pid
        first.kill()
        first.communicate()
        with another_holds(directory) as second:
            assert same().pid == second.pid


@pytest.mark.parametrize("end", [signal.SIGKILL, None])
@pytest.mark.parametrize("next_one", [True, False])
def test_a_query_goes_on_when_its_holder_ends_in_the_middle(directory, end, next_one):
    process = start_holder(directory)
    with kqlite.connect(directory) as connection, ThreadPoolExecutor(1) as pool:
        connection.query("print 1")
        answer = pool.submit(connection.query, LONG)
        time.sleep(0.3)
        assert not answer.done()
        if end is None:
            process.communicate()
        else:
            process.send_signal(end)
            process.communicate()
        if next_one:
            with another_holds(directory):
                assert answer.result(timeout=120).to_pylist() == [{"s": LONG_SUM}]
        assert answer.result(timeout=120).to_pylist() == [{"s": LONG_SUM}]


def test_busy_readers_make_way_for_a_writer_and_see_no_error(directory):
    stop = threading.Event()

    def read():
        counts = set()
        with kqlite.connect(directory) as connection:
            while not stop.is_set():
                counts.add(len(connection.query("resources")))
        return counts

    with ThreadPoolExecutor(4) as pool:
        readers = [pool.submit(read) for _ in range(4)]
        try:
            for _ in range(3):
                time.sleep(0.2)
                process = start_holder(directory)
                time.sleep(0.2)
                process.kill()
                process.communicate()
        finally:
            stop.set()
        assert len(set.union(*(reader.result(timeout=60) for reader in readers))) == 1


def test_an_idle_reader_keeps_nobody_out(directory):
    with kqlite.connect(directory) as reader:
        assert len(reader.query("resources")) > 100
        DataDirectory.open(directory, writable=True).close()
        assert len(reader.query("resources")) > 100


def test_a_registered_table_keeps_writers_out(directory):
    with kqlite.connect(directory) as connection:
        connection.register("mine", pa.table({"x": [1, 2]}))
        with pytest.raises(InUseError, match="others read it"):
            DataDirectory.open(directory, writable=True, patience=0.5)
        assert len(connection.query("mine")) == 2
    with held(directory), kqlite.connect(directory) as connection, pytest.raises(InventoryError, match="`mine` cannot be registered"):
        connection.register("mine", pa.table({"x": [1, 2]}))


# The socket


def test_only_its_owner_can_open_the_socket(directory):
    before = {path.name for path in directory.iterdir()}
    with held(directory):
        mode = (directory / "socket").stat().st_mode
        assert stat.S_ISSOCK(mode)
        assert stat.S_IMODE(mode) == 0o600
        assert {path.name for path in directory.iterdir()} - before <= {"socket", "inventory.duckdb.wal"}
    assert not (directory / "socket").exists()


@pytest.mark.parametrize("name", ["x" * 120, "with blank", "100%", "a#b?c", "größe"])
def test_a_path_that_no_socket_can_have(imported, tmp_path, name):
    path = shutil.copytree(imported, tmp_path / name)
    process = start_holder(path)
    try:
        socket = Path(lock.record_of(path).socket)
        assert stat.S_IMODE(socket.parent.stat().st_mode) == 0o700
        assert stat.S_IMODE(socket.stat().st_mode) == 0o600
        with kqlite.connect(path) as connection:
            assert connection.stats().holder.pid == process.pid
    finally:
        process.kill()
        process.communicate()
    assert socket.exists()
    with held(path), kqlite.connect(path) as connection:
        assert not socket.parent.exists()
        assert len(connection.query("resources")) > 100
        own = Path(lock.record_of(path).socket).parent
        assert own.exists()
    assert not own.exists()


def test_a_stale_socket_is_replaced(directory):
    with another_holds(directory) as dead:
        dead.kill()
        dead.communicate()
    assert (directory / "socket").exists()
    with kqlite.connect(directory) as connection:
        assert connection.stats().holder is None
    with held(directory), kqlite.connect(directory) as connection:
        assert connection.stats().holder.pid == os.getpid()


# What may be asked of a holder


def test_a_query_from_outside_has_a_time_limit(directory):
    with held(directory, query_seconds=0.3), kqlite.connect(directory) as connection:
        started = time.monotonic()
        with pytest.raises(TimeLimitError, match=r"ended after 0\.3 s"):
            connection.query(ENDLESS)
        assert time.monotonic() - started < 20
        assert connection.query("print x = 1").to_pylist() == [{"x": 1}]


def test_an_answer_has_a_bound(directory, monkeypatch):
    monkeypatch.setattr(protocol, "MOST_ANSWER_BYTES", 2**20)
    with held(directory) as inside, kqlite.connect(directory) as connection:
        query = NUMBERS.format(n=200_000)
        with pytest.raises(AnswerTooLarge, match="more than 1 MiB"):
            connection.query(query)
        assert len(inside.query(query)) == 200_000
        assert len(connection.query(f"{query} | take 1000")) == 1000


def ask_again_and_again(connection, parameters):
    """Until it is refused: the holder takes another's call on when it comes to it."""
    for _ in range(80):
        connection.query("print x", parameters)
        time.sleep(0.05)


def test_a_client_that_does_not_read_is_cut_off(directory, monkeypatch):
    monkeypatch.setattr(server_module, "MOST_BYTES_AT_ONCE", 12 * 2**20)
    large = {"x": "large" * 1_600_000}
    with held(directory), kqlite.connect(directory) as connection:
        assert len(connection.query("print x", large)) == 1
        question = {"text": "print x", "parameters": {"x": ["string", large["x"]]}, "scope": [None, None, None], "now": None}
        with flight.FlightClient(location(directory / "socket")) as slow:
            ticket = flight.Ticket(protocol.request(name="slow", question=question))
            reader = slow.do_get(ticket, flight.FlightCallOptions(timeout=5.0))
            with pytest.raises(BusyError, match="too many large answers"):
                ask_again_and_again(connection, large)
            assert connection.query("print x = 1").to_pylist() == [{"x": 1}]
            deadline = time.monotonic() + 60
            while True:
                try:
                    assert len(connection.query("print x", large)) == 1
                    break
                except BusyError:
                    assert time.monotonic() < deadline
                    time.sleep(0.2)
            with pytest.raises(flight.FlightTimedOutError):
                reader.read_all()


def test_calls_are_not_taken_on_without_end(directory, monkeypatch):
    monkeypatch.setattr(server_module, "MOST_CALLS", 1)
    with held(directory, Steps()), kqlite.connect(directory) as connection, ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(connection.wait_for, 1, timeout=2)
        time.sleep(0.5)
        with pytest.raises(BusyError, match="answers 1 calls already"):
            connection.query("print 1")
        assert waiting.result(timeout=30) is False
        assert len(connection.query("print 1")) == 1


ASK = """
import sys
import kqlite
connection = kqlite.connect(sys.argv[1])
print("connected", flush=True)
connection.query(sys.argv[2])
"""


@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGINT])
def test_the_query_of_a_client_that_has_gone_is_ended(directory, monkeypatch, end):
    monkeypatch.setattr(server_module, "MOST_AT_ONCE", 1)
    monkeypatch.setattr(server_module, "TURN_SECONDS", 0.0)
    with held(directory), kqlite.connect(directory) as connection:
        connection.query("print 1")
        command = [sys.executable, "-c", ASK, str(directory), ENDLESS]
        with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as client:
            assert client.stdout.readline() == "connected\n"
            time.sleep(1)  # to ask before would take the one turn away from the client
            assert is_busy(connection)
            client.send_signal(end)
            _, said = client.communicate(timeout=20)
        assert ("KeyboardInterrupt" in said) == (end == signal.SIGINT)
        deadline = time.monotonic() + 20
        while is_busy(connection):
            assert time.monotonic() < deadline
            time.sleep(0.05)


def is_busy(connection):
    try:
        connection.query("print 1")
    except BusyError:
        return True
    return False


def test_another_version_is_told(directory, monkeypatch):
    with another_holds(directory):
        monkeypatch.setattr(protocol, "PROTOCOL", 99)
        with pytest.raises(protocol.OtherVersionError, match="runs another version of kqlite"):
            kqlite.connect(directory)


def test_a_bug_in_the_holder_is_not_dressed_as_the_callers_fault(directory, monkeypatch):
    with held(directory), kqlite.connect(directory) as connection:
        monkeypatch.setattr(LocalAccess, "query", lambda *_: 1 // 0)
        with pytest.raises(kqlite.InternalError, match="in the process that holds the directory: ZeroDivisionError") as caught:
            connection.query("print 1")
        assert "1 // 0" in caught.value.__notes__[0]


# Reading one's own writes


class Steps:
    """A updater whose changes come when a test says so."""

    def __init__(self):
        self.changed = threading.Condition()
        self.reached = 0
        self.refreshed = 0

    def refresh(self):
        self.refreshed += 1

    def bring(self, store, sequence):
        store.apply([], datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=sequence), json.dumps({"sequence": sequence}))
        with self.changed:
            self.reached = sequence
            self.changed.notify_all()

    def wait_for(self, sequence, seconds):
        with self.changed:
            return self.changed.wait_for(lambda: self.reached >= sequence, seconds)

    def feed_stats(self):
        span = timedelta(seconds=2)
        return FeedStats(9, 9 - self.reached, Percentiles(span, span, span, span), 12.5, datetime(2026, 1, 1, tzinfo=UTC))


@pytest.fixture(params=["in the holder", "outside"])
def fed(request, directory):
    """A live inventory, reached either way: the updater, its store, and what connects with it."""
    updater = Steps()
    opened = DataDirectory.open(directory, writable=True, shares=True)
    store = Store.open(opened)
    access = LocalAccess(store, updater=updater, holder=opened.holder)
    server = serve(access, opened)

    def connect(**how):
        return kqlite.connect(directory, **how) if request.param == "outside" else kqlite.Connection(access, **how)

    yield updater, store, connect
    server.close()
    store.close()


def test_a_change_is_waited_for(fed):
    updater, store, connect = fed
    connection = connect()
    assert not connection.wait_for(5, timeout=0.1)
    timer = threading.Timer(0.2, updater.bring, (store, 5))
    timer.start()
    assert connection.wait_for(5, timeout=30)
    assert connection.query("print 1").snapshot.sequence == 5
    stats = connection.stats()
    assert (stats.sequence, stats.feed, stats.holder.pid) == (5, updater.feed_stats(), os.getpid())
    assert updater.refreshed >= 2


def test_every_query_sees_at_least_what_was_asked_for(fed):
    updater, store, connect = fed
    updater.bring(store, 3)
    assert connect(at_least=3, timeout=0.1).query("print 1").snapshot.sequence == 3
    with pytest.raises(BehindError, match=r"has not come to change 4 within 0\.1 s"):
        connect(at_least=4, timeout=0.1).query("print 1")
    threading.Timer(0.2, updater.bring, (store, 4)).start()
    assert connect(at_least=4, timeout=30).query("print 1").snapshot.sequence == 4


def test_a_change_that_nothing_can_bring_is_not_waited_for():
    with kqlite.connect_sample() as connection:
        started = time.monotonic()
        assert not connection.wait_for(1, timeout=60)
        assert time.monotonic() - started < 10


def test_where_nobody_holds_the_directory_what_it_has_is_known(directory):
    opened = DataDirectory.open(directory, writable=True)
    store = Store.open(opened)
    Steps().bring(store, 7)
    store.checkpoint()
    store.close()
    with kqlite.connect(directory, at_least=7, timeout=0.1) as connection:
        assert connection.wait_for(7, timeout=0)
        assert not connection.wait_for(8, timeout=0.2)
        assert connection.query("print 1").snapshot.sequence == 7


# What is loaded


def test_flight_is_loaded_only_where_another_process_answers(directory):
    script = "import sys, kqlite; kqlite.connect(sys.argv[1]).query('print 1'); print('pyarrow.flight' in sys.modules)"

    def loaded():
        return subprocess.run([sys.executable, "-c", script, str(directory)], cwd=ROOT, capture_output=True, text=True, check=True).stdout

    assert loaded() == "False\n"
    with another_holds(directory):
        assert loaded() == "True\n"


READER = """
import sys
import kqlite
with kqlite.connect(sys.argv[1]) as connection:
    while True:
        print(len(connection.query("resources")), flush=True)
"""


@pytest.mark.campaign
def test_whoever_is_killed_the_others_go_on(directory):
    """Holders and second processes, at random instants; KQLITE_KILLS says how many. The third one sees no error, no other answer."""
    chance = random.Random(7)

    def start_reader():
        command = [sys.executable, "-c", READER, str(directory)]
        return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    with kqlite.connect(directory) as third:
        expected = len(third.query("resources"))
        holder, reader = start_holder(directory), start_reader()
        for _ in range(int(os.environ.get("KQLITE_KILLS", "6"))):
            time.sleep(chance.uniform(0, 1.5))
            if chance.random() < 0.6:
                holder.kill()
                holder.communicate()
                if chance.random() < 0.5:
                    assert len(third.query("resources")) == expected
                holder = start_holder(directory)
            if chance.random() < 0.6:
                reader.kill()
                said, faults = reader.communicate()
                assert {int(line) for line in said.splitlines()[:-1]} <= {expected}
                assert not faults
                reader = start_reader()
            assert len(third.query("resources")) == expected
        for process in (holder, reader):
            process.kill()
            process.communicate()
        assert len(third.query("resources")) == expected
        assert third.stats().holder is None
