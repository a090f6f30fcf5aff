"""The inventory against the core, whatever happens to either: a model test whose oracle makes rows from ARM's answers.

A random world is changed by requests, by time and by faults; the feed loses, delays, reorders and doubles what it tells; the inventory is
crawled, closed, opened again, and cut off as a crash does. At every query it is what the lag says it has to be.

A failure names the seed: `run(seed, steps)` does the same again.
"""

import copy
import os
import random
import shutil
import time
from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Callable
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from kqlite.orchestration.clock import MINUTE, SECOND, from_datetime, to_datetime
from kqlite.orchestration.events import Event, Kind
from kqlite.orchestration.log import every_event
from kqlite.orchestration.model import Type
from kqlite.simulation import Simulation
from kqlite.snapshotter.lag import Lag, Law, Mode
from tests.support.arm_rows import State, changes_between, state_of
from tests.support.live_checks import RESOURCES, assert_same, check_records, exact, records, shown, told, told_changes
from tests.support.random_world import FAULTS, NAMES, RG, SETS, VMS, World

FULL = os.environ.get("KQLITE_CAMPAIGN") == "full"

FEED_FAULTS: tuple[dict[str, Any], ...] = (
    {"fault": "feed_loss", "probability": 0.3, "duration": "10m"},
    {"fault": "feed_loss", "count": 3},
    {"fault": "feed_loss", "type": "Microsoft.Compute/virtualMachines", "duration": "30m"},
    {"fault": "feed_lag", "limit": 20, "probability": 0.5, "duration": "20m"},
    {"fault": "feed_lag", "limit": 45, "fraction": 0.5, "duration": "1h"},
    {"fault": "feed_reorder", "probability": 0.5, "duration": "30m"},
    {"fault": "feed_reorder", "duration": "1h"},
    {"fault": "feed_duplicate", "probability": 0.5, "duration": "1h"},
)
PLAIN = tuple(f"{RG}/providers/{type_}" for type_ in ("Microsoft.Network/loadBalancers/lb", "Microsoft.Network/publicIPAddresses/ip"))
GROUPED = (f"{RG}/providers/Microsoft.Compute/proximityPlacementGroups/near", f"{RG}/providers/Microsoft.Compute/disks/spare")
GUEST = ("computerName", "osName", "osVersion")
Reported = tuple[Any, ...]
LOCKS = (f"{VMS}/vm0/providers/Microsoft.Authorization/locks/keep", f"{SETS}/a/providers/Microsoft.Authorization/locks/keep")


def lag_of(draw: random.Random, seed: int) -> Lag:
    """A lag of any kind."""
    text = draw.choice(("0s", "7s", "60s", "1s..60s", "measured", "0s..20s"))
    mode = draw.choice(("", "per-resource "))
    lag = Lag.of(mode + text, seed)
    if draw.random() < 0.3:
        # A bound that cuts the law off; and machines that are late where all else is not.
        by_type = {Type.VM.lower(): Law.uniform("5s", "50s")} if mode else {}
        lag = Lag(lag.law, lag.mode, draw.choice((5, 30, 60)) * SECOND, seed, by_type)
    return replace(lag, slow=draw.choice((30, 300, 1200)) * SECOND) if draw.random() < 0.25 else lag


class LiveWorld(World):
    """A world in a directory, what ARM answered of it after each step, and an inventory that follows."""

    faults = tuple(fault for fault in FAULTS if fault["fault"] != "api_error")  # they would answer in place of resources

    def __init__(self, seed: int, folder: Path, lag: Lag, crawl_every: int) -> None:
        self._folder = folder
        self._generation = 0
        self._seed = seed
        self.is_later = seed % 3 == 2
        self.lag = lag
        self.crawl_every = crawl_every
        self.sequences = [0]
        self.states: list[State] = [{}]
        self.lost = False
        self.seen = 0
        self.seen_watermark = 0
        self.rows: dict[tuple[str, str], int] = {}
        self._open()
        self.simulation.create_group()
        self.capture()

    # A simulation and its ends

    @property
    def directory(self) -> Path:
        return self._folder / str(self._generation)

    def _open(self) -> None:
        self.simulation = Simulation(
            self.directory, seed=self._seed, features="all", profile="ga" if self.is_later else "preview-2021", lag=self.lag
        )
        plane: Any = self.simulation.plane
        step: Callable[..., None] = plane._run

        def run(timer: Any) -> None:
            self.capture()
            step(timer)
            self.capture()

        plane._run = run
        # Where it is asked for at first is random, too.
        self.watched = False

    def watch(self) -> Any:
        connection = self.simulation.inventory
        if not self.watched:
            self.watched = True
            self.snapshotter._crawl_every = self.crawl_every
        return connection

    @property
    def snapshotter(self) -> Any:
        assert self.simulation._live is not None
        return self.simulation._live.snapshotter

    def restart(self) -> None:
        self.simulation.close()
        self._open()

    def crash(self) -> None:
        """Go on with what lay on the disk when all of a sudden nothing ran any more."""
        old, before = self.simulation, self.directory
        self._generation += 1
        shutil.copytree(before, self.directory, ignore=shutil.ignore_patterns("socket", "lock", "*.lock"))
        old.close()
        shutil.rmtree(before)
        self._open()

    def close(self) -> None:
        self.simulation.close()

    # What is done

    def arm(self, method: str, path: str, body: Any = None, query: str = "") -> int:
        status = super().arm(method, path, body, query)
        self.capture()
        return status

    def do(self, draw: random.Random) -> None:
        number = draw.random()
        if number < 0.12:
            self.furnish(draw)
        elif number < 0.2:
            fault = draw.choice(FEED_FAULTS)
            self.lost |= fault["fault"] == "feed_loss"
            self.simulation.inject(fault)
        elif number < 0.25:
            self.restart()
        elif number < 0.29:
            self.crash()
        elif number < 0.32:
            if self.watched:
                self.snapshotter.crawl(self.simulation.plane.durable_now)
        elif number < 0.4:
            self.simulation.advance(draw.choice((0.5, 3, 20, 61)))
        else:
            super().do(draw)
        self.capture()

    def furnish(self, draw: random.Random) -> None:
        """What a world has beside machines."""
        kind = draw.randrange(4)
        if kind == 0:
            path = draw.choice(PLAIN)
            body = {"location": "eastus", "sku": {"name": draw.choice(("Basic", "Standard"))}, "tags": {"n": str(draw.randrange(3))}}
            self.arm(draw.choice(("PUT", "PUT", "DELETE")), path, {**body, "properties": {}})
        elif kind == 1:
            path = draw.choice(GROUPED)
            properties = {"proximityPlacementGroupType": "Standard"} if "proximity" in path else {"diskSizeGB": draw.choice((4, 8))}
            self.arm(draw.choice(("PUT", "PUT", "DELETE")), path, {"location": "eastus", "properties": properties})
        elif kind == 2:
            level = draw.choice(("CanNotDelete", "ReadOnly"))
            self.arm(draw.choice(("PUT", "DELETE", "DELETE")), draw.choice(LOCKS), {"properties": {"level": level, "notes": 'é"\\'}})
        else:
            tags = draw.choice(({}, {"env": "prod", "a.b": "ü"}, {"Env": "x", "n": ""}))
            self.arm("PATCH", draw.choice((RG, f"{SETS}/{draw.choice(NAMES)}")), {"tags": tags})

    # What ARM says

    def capture(self) -> None:
        """Note what ARM answers of everything, unless nothing happened since it was asked."""
        sequence = self.simulation.plane.fleet.sequence
        if self.sequences[-1] == sequence:
            return
        state = state_of(self.simulation, LOCKS)
        self.sequences.append(sequence)
        self.states.append(state)

    def at(self, sequence: int) -> tuple[int, State]:
        """The first capture in which an event shows, and the sequence number that it was of."""
        index = bisect_left(self.sequences, sequence)
        return self.sequences[index], self.states[index]

    # What the inventory has to be

    def check(self) -> None:
        """Ask the inventory for everything, and compare."""
        snapshot, found = shown(self.watch())
        now = self.simulation.plane.now
        assert snapshot.watermark is not None
        assert snapshot.sequence is not None
        watermark = from_datetime(snapshot.watermark)
        assert snapshot.snapshot_time == to_datetime(now)
        assert watermark <= now
        assert snapshot.sequence >= self.seen, "the inventory went back"
        self.seen = snapshot.sequence
        # By a microsecond it may: after a crash it is known that more came in the instant up to which everything had been in.
        assert watermark >= self.seen_watermark - 1, "the watermark went back"
        self.seen_watermark = watermark
        if self.lag.mode is Mode.PREFIX or not self.lost:
            assert now - watermark <= self.lag.bound, f"{(now - watermark) / SECOND} s old"
        events = list(every_event(self.simulation.log))
        assert all(event.sequence <= snapshot.sequence for event in events if event.time < watermark)
        sequences = self.check_sequences()
        if self.lag.slow:
            found, reported = self.apart(found)
            self.check_reported(reported, sequences, events, now)
        if self.lag.mode is Mode.PREFIX:
            at, state = self.at(snapshot.sequence)
            assert at == snapshot.sequence, "it shows half of what happened at once"
            assert_same(found, self.apart(state)[0] if self.lag.slow else state)
            # What shows has been there for so long at least.
            assert all(event.time <= watermark for event in events[: snapshot.sequence])
        else:
            self.check_each(found, sequences, events, snapshot.sequence)
        check_records(records(self.watch()), self.simulation.log, snapshot.sequence, now)

    def check_sequences(self) -> dict[tuple[str, str], int]:
        """The sequence number of each row, which never goes back."""
        store = self.watch().access._engine.store
        found = {}
        for table in ("resources", "resourcecontainers", "healthresources", "authorizationresources"):
            columns = store.sequences(table).to_pydict()
            found |= {(table, key): sequence for key, sequence in zip(columns["_key"], columns["_seq"], strict=True)}
        for key, sequence in found.items():
            assert sequence >= self.rows.get(key, 0), f"{key} went back from {self.rows[key]} to {sequence}"
        self.rows |= found
        return found

    def check_each(self, found: State, sequences: dict[tuple[str, str], int], events: list[Event], offset: int) -> None:
        """Each resource is as it was at some time between the watermark and now."""
        assert found.keys() == sequences.keys()
        of_key: defaultdict[tuple[str, str], list[Event]] = defaultdict(list)
        for event in events:
            for key in keys_of(event):
                of_key[key].append(event)
        around = (self.at(offset)[1], self.states[bisect_right(self.sequences, offset) - 1])
        apart = self.apart if self.lag.slow else lambda state: (state, {})
        for key in of_key.keys() - found.keys():
            # It is not there: it had not come into being at the watermark, or it has been deleted since, or at the watermark already.
            last = [event for event in of_key[key] if event.sequence <= offset][-1:]
            gone = not last or last[0].kind is Kind.DELETED
            assert gone or any(event.kind is Kind.DELETED for event in of_key[key] if event.sequence > offset), f"{key} is missing"
        for key, row in found.items():
            sequence = sequences[key]
            if key[0] == "healthresources" and exact(row) in [exact(state.get(key)) for state in around]:
                continue  # not every event of a machine shows in its health
            older = [event.sequence for event in of_key[key] if event.sequence <= offset]
            assert sequence >= max(older, default=0), f"{key} is older than the watermark"
            at, state = self.at(sequence)
            if not any(sequence < event.sequence <= at for event in of_key[key]):
                wanted = apart({key: state[key]} if key in state else {})[0].get(key)
                assert exact(row) == exact(wanted), f"{key} at {sequence}: {changes_between(wanted or {}, row)}"

    # What guests report, which shows later than the rest of its row

    @staticmethod
    def apart(state: State) -> tuple[State, dict[tuple[str, str], Reported]]:
        """A state without what guests report, and that."""
        left, reported = dict(state), {}
        for key, row in state.items():
            if key[0] == "resources" and row["type"] == Type.VM.lower():
                left[key] = row = copy.deepcopy(row)
                view = row["properties"]["extended"]["instanceView"]
                reported[key] = tuple(view.pop(name, None) for name in GUEST)
        return left, reported

    def check_reported(
        self, found: dict[tuple[str, str], Reported], sequences: dict[tuple[str, str], int], events: list[Event], now: int
    ) -> None:
        """A report that is old enough shows, one that is not does not, and what shows in its place was reported before."""
        for key, reported in found.items():
            history = self.history(key, sequences[key], events)
            time, newest = history[-1]
            earlier = {each for _, each in history[:-1]}
            assert reported in earlier | {newest}, f"{key} shows {reported} of {history}"
            if time + self.lag.slow <= now:
                assert reported == newest, f"{key} shows {reported} since {time}, of {history}"
            elif earlier and newest not in earlier:
                assert reported != newest, f"{key} shows {newest} already, of {history}"

    def history(self, key: tuple[str, str], sequence: int, events: list[Event]) -> list[tuple[int, Reported]]:
        """What a machine's guest reported since the machine came into being, up to an event, and when that changed."""
        history: list[tuple[int, Reported]] = []
        for at, state in zip(self.sequences, self.states, strict=True):
            if key not in state:
                history = []
            else:
                reported = self.apart({key: state[key]})[1][key]
                if not history or history[-1][1] != reported:
                    history.append((events[at - 1].time, reported))
            if at >= sequence:
                break
        return history

    def check_quiet(self) -> None:
        """When nothing happens any more, inventory and core are equal, document by document, and every change was recorded right."""
        for fault in self.simulation.faults:
            self.simulation.recover(fault["id"])
        self.simulation.advance("12h")
        assert self.simulation.settle("P2D")
        self.capture()
        connection = self.watch()
        for _ in range(20):
            self.simulation.advance(to_datetime(self.lag.bound) - to_datetime(0))
            self.capture()
            snapshot, found = shown(connection)
            if self.lost and self.snapshotter.offset != self.simulation.log.last:
                self.snapshotter.crawl(self.simulation.plane.durable_now)
                snapshot, found = shown(connection)
            if not any(map(told, self.simulation.log.read(snapshot.sequence or 0))):
                break
        else:
            pytest.fail("it never comes to rest")
        if not self.lag.slow:
            assert_same(found, self.states[-1])
        self.check()
        self.check_changes(records(connection))

    def check_changes(self, found: dict[int, dict[str, Any]]) -> None:
        """Of each change, what the record says against what ARM answered before and after."""
        compared = 0
        events = list(every_event(self.simulation.log))
        of_key: defaultdict[tuple[str, str], list[int]] = defaultdict(list)
        for event in events:
            if told(event):
                of_key[keys_of(event)[0]].append(event.sequence)
        for event in events:
            if event.sequence not in found or event.kind is not Kind.CHANGED or event.type == Type.LOCK:
                continue
            [key, *_] = keys_of(event)
            index = bisect_left(self.sequences, event.sequence)
            before, after = self.states[index - 1].get(key), self.states[index].get(key)
            alone = [each for each in of_key[key] if self.sequences[index - 1] < each <= self.sequences[index]] == [event.sequence]
            if alone and index and before is not None and after is not None:
                assert told_changes(found[event.sequence]) == changes_between(before, after), event
                compared += 1
        assert compared or len(found) < 50


def keys_of(event: Event) -> list[tuple[str, str]]:
    """The rows that an event may change."""
    if not told(event):
        return []
    key = event.id.lower()
    if event.type == Type.LOCK:
        path = next(value for name, value in event.state.tags if name == "path")
        return [("authorizationresources", f"{path}/providers/microsoft.authorization/locks/{event.name}".lower())]
    if event.type not in RESOURCES:
        return [("resourcecontainers", key)]
    health = f"{key}/providers/microsoft.resourcehealth/availabilitystatuses/current"
    return [("resources", key), *([("healthresources", health)] if event.type == Type.VM else [])]


def run(seed: int, steps: int, folder: Path) -> None:
    draw = random.Random(seed)
    lag = lag_of(draw, seed)
    world = LiveWorld(seed, folder, lag, draw.choice((10, 60, 600)) * MINUTE)
    print(f"seed {seed}: {lag}")
    for _ in range(steps):
        world.do(draw)
        if draw.random() < 0.4:
            world.check()
    world.check_quiet()
    world.close()


@pytest.mark.parametrize("seed", [0, 1, 6, 27])
def test_the_inventory_is_what_its_lag_says(seed: int, tmp_path: Path) -> None:
    run(seed, 30, tmp_path)


@pytest.mark.campaign
def test_campaign(tmp_path: Path) -> None:
    """Runs of 100 steps for an hour where KQLITE_CAMPAIGN=full, else one."""
    seeds = count(random.Random().randrange(10**9)) if FULL else [3]
    end = time.monotonic() + 3600
    for seed in seeds:
        run(seed, 100, tmp_path / str(seed))
        shutil.rmtree(tmp_path / str(seed))
        if time.monotonic() > end:
            return
