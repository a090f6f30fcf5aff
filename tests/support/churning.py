"""A seeded stream of changes to resources of a few types, the store that takes them, and a dict that says what must come of it.

Run as a program it feeds a data directory, from the feed_offset that is stored there, until it is killed:

    python -m tests.support.churning DIRECTORY SEED STEPS
"""

import json
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random

from kqlite.inventory.shapes.batches import BatchBuilder, documents, partition
from kqlite.inventory.shapes.change_batches import Changes, HotColumnsMissing, Records, changes_of, records_of
from kqlite.inventory.shapes.resource_tables import HOT_LEAVES
from kqlite.inventory.shapes.shapes import hold, hot_column, join
from kqlite.inventory.store.store import Store
from tests.support.same_documents import by_id

VM = "microsoft.compute/virtualmachines"
DISK = "microsoft.compute/disks"
PLAIN = "x/plain"
GROWING = "x/growing"
RECORD = "microsoft.resources/changes"
TYPES = (VM, VM, VM, DISK, PLAIN, GROWING)
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)

GROWTH = 1_100
"""So many rows of a type at once give it a partition of its own."""

_SPELLED = {VM: "Microsoft.Compute/virtualMachines", DISK: "Microsoft.Compute/disks", PLAIN: "X/Plain", GROWING: "x/growing"}


@dataclass
class Resource:
    """Where a resource is in its history: its last row, None once it is deleted, and since when only hot leaves have changed."""

    type: str
    row: dict | None
    sequence: int
    since: int


@dataclass(frozen=True)
class Event:
    """What is delivered, now or later, once or twice, or never."""

    sequence: int
    id: str
    type: str
    row: dict | None
    since: int


@dataclass
class Step:
    """One batch, and what happens to the store after it."""

    number: int
    events: list[Event]
    records: list[int]
    promised: bool
    leaves: bool
    upkeep: str


class Stream:
    """The same seed gives the same steps. Everything is delivered in the end, unless `lossy`."""

    def __init__(self, seed: int, lossy: bool = False) -> None:
        self._random = Random(seed)
        self._lossy = lossy
        self._resources: dict[str, Resource] = {}
        self._sequence = 0
        self._records = 0
        self._late: list[Event] = []
        self._members = 3

    def steps(self, count: int) -> Iterator[Step]:
        for number in range(1, count + 1):
            yield self._step(number, last=number == count)

    def _step(self, number: int, last: bool) -> Step:
        chance = self._random
        events = [self._event() for _ in range(chance.choice((1, 3, 10, 40)))]
        if chance.random() < 0.03:
            events += [self._created(f"/grown/{number}-{n}", GROWING) for n in range(GROWTH)]
        if chance.random() < 0.2:
            self._members += 1
        delivered = [event for event in self._late if last or chance.random() < 0.4]
        self._late = [event for event in self._late if event not in delivered]
        for event in events:
            lot = chance.random()
            if lot < 0.15 and not last:
                self._late.append(event)
            elif lot < 0.2 and self._lossy:
                continue
            else:
                delivered += [event] * (2 if lot > 0.95 else 1)
        chance.shuffle(delivered)
        upkeep = chance.choices(("", "checkpoint", "cluster", "reopen", "forget"), (12, 3, 2, 2, 1))[0]
        records = list(range(self._records + 1, self._records + 1 + chance.randrange(4)))
        self._records += len(records)
        return Step(number, delivered, records, chance.random() < 0.7, chance.random() < 0.5, upkeep)

    @property
    def oldest_due(self) -> int:
        """No event of a lower sequence number is still to come."""
        return min((event.sequence for event in self._late), default=self._sequence + 1)

    def _event(self) -> Event:
        chance = self._random
        name = f"r{chance.randrange(60)}"
        id_ = f"/things/{name}"
        known = self._resources.get(id_)
        if known is None or known.row is None:
            return self._created(id_, known.type if known else chance.choice(TYPES))
        if chance.random() < 0.1:
            return self._noted(id_, known.type, None, cold=True)
        row = deepcopy(known.row)
        if known.type in (VM, DISK) and chance.random() < 0.6:
            self._warm(row, known.type)
            return self._noted(id_, known.type, row, cold=False)
        self._cold(row)
        return self._noted(id_, known.type, row, cold=True)

    def _created(self, id_: str, type_: str) -> Event:
        row: dict = {"id": id_, "name": id_.rpartition("/")[2], "type": self._random.choice((type_, _SPELLED[type_]))}
        row["properties"] = {"extended": {"instanceView": {"powerState": {}}}} if type_ == VM else {}
        for _ in range(3):
            self._cold(row)
        if type_ in (VM, DISK):
            self._warm(row, type_)
        return self._noted(id_, type_, row, cold=True)

    def _noted(self, id_: str, type_: str, row: dict | None, cold: bool) -> Event:
        self._sequence += 1
        before = self._resources.get(id_)
        since = self._sequence if cold or before is None else before.since
        self._resources[id_] = Resource(type_, row, self._sequence, since)
        return Event(self._sequence, id_, type_, row, since)

    def _warm(self, row: dict, type_: str) -> None:
        """Change hot leaves, in objects that are there."""
        chance = self._random
        properties = row["properties"]
        if not isinstance(properties, dict):
            return
        if type_ == DISK:
            properties["diskState"] = self._scalar("disk")
            return
        properties["provisioningState"] = self._scalar("state")
        view = properties.get("extended", {}).get("instanceView")
        if view is not None:
            for name in ("osName", "computerName"):
                view[name] = chance.choice((None, self._scalar(name)))
            for name in ("code", "level"):
                view["powerState"][name] = chance.choice((None, self._scalar(name)))

    def _scalar(self, text: str) -> object:
        lot = self._random.random()
        return {True: f"{text}{self._random.randrange(4)}", False: self._random.choice((7, 1.5, True, [1], {"a": 1}))}[lot < 0.995]

    def _cold(self, row: dict) -> None:
        """Change something else: a member of another type now and then, a new one, an object, an element, a column, the id's spelling."""
        chance = self._random
        properties = row["properties"]
        member = f"m{chance.randrange(self._members)}"
        match chance.randrange(12):
            case 0:
                row["tags"] = chance.choice((None, {}, {member: "x"}, {"A": "1", "a": 'say "2"'}))
            case 1:
                row["zones"] = chance.choice((None, ["1"], ["1", "2"], []))
            case 2:
                row["kind"] = chance.choice(("", "a", "ü"))
            case 3:
                row["unheardOf"] = chance.choice((None, member, 1))
            case 4:
                row["id"] = chance.choice((row["id"].upper(), row["id"].lower()))
            case 5 if isinstance(properties, dict):
                properties.setdefault("profile", {})[member] = self._value()
            case 6 if isinstance(properties, dict):
                properties["list"] = [{member: n, "n": n} for n in range(chance.randrange(3))]
            case 7 if isinstance(properties, dict) and chance.random() < 0.05:
                row["properties"] = chance.choice((5, [1, {"a": None}], "text"))
            case _ if isinstance(properties, dict):
                properties[member] = self._value()
            case _:
                row["properties"] = {"extended": {"instanceView": {"powerState": {}}}}

    def _value(self) -> object:
        """A text mostly: what a member was before, it is again."""
        chance = self._random
        if chance.random() < 0.93:
            return f"text {chance.randrange(5)}"
        return chance.choice((1, 2**60, 1.5, True, None, {}, [], {"deep": {"er": 1}}, ["a"], 'say "x"\n'))


@dataclass
class Model:
    """What the store must hold."""

    newest: dict[str, Event] = field(default_factory=dict)
    records: list[int] = field(default_factory=list)

    def take(self, step: Step) -> None:
        self.records += step.records
        for event in step.events:
            if event.id not in self.newest or self.newest[event.id].sequence < event.sequence:
                self.newest[event.id] = event

    def documents(self) -> dict[str, str]:
        return by_id(event.row for event in self.newest.values() if event.row is not None)

    def sequences(self) -> dict[str, int]:
        return {id_.lower(): event.sequence for id_, event in self.newest.items() if event.row is not None}


def apply(store: Store, step: Step, known: Mapping[str, Event]) -> None:
    """Bring a step's batch in, several types at once. known: what was brought in before."""
    by_type: dict[str, list[Event]] = defaultdict(list)
    for event in step.events:
        by_type[event.type].append(event)
    changes = [_changes(type_, events, step, known) for type_, events in by_type.items()]
    feed_offset = json.dumps({"step": step.number})
    try:
        store.apply(changes, NOON + timedelta(seconds=step.number), feed_offset, _records(step))
    except HotColumnsMissing:
        apply(store, replace(step, leaves=False), known)


def _changes(type_: str, events: list[Event], step: Step, known: Mapping[str, Event]) -> Changes:
    times = Counter(event.id for event in events)
    alone = [event for event in events if step.leaves and times[event.id] == 1 and _shows_in_leaves_alone(event, known.get(event.id))]
    upserts = [event for event in events if event.row is not None and event not in alone]
    deleted: dict[str, int] = {}
    for event in events:
        if event.row is None:
            deleted[event.id] = max(event.sequence, deleted.get(event.id, 0))
    since = [event.since for event in upserts] if step.promised else None
    change = changes_of("resources", type_, _rows(upserts), [event.sequence for event in upserts], deleted, since)
    if not alone:
        return change
    leaves = changes_of("resources", type_, _rows(alone), [event.sequence for event in alone])
    names = ["_key", "_seq", *(hot_column(path) for path in HOT_LEAVES[type_])]
    shapes: dict = {name: join(change.shapes.get(name), shape) for name, shape in leaves.shapes.items()}
    held = hold({**change.shapes, **shapes}, HOT_LEAVES[type_])
    builder = BatchBuilder(partition("", held, change.types))
    if not set(names) <= set(builder.schema.names):
        return _changes(type_, events, replace(step, leaves=False), known)
    whole, patch = (builder.build(_rows(some), [event.sequence for event in some]) for some in (upserts, alone))
    return replace(change, shapes=held, types=change.types | leaves.types, rows=whole, hot=patch.select(names))


def _rows(events: list[Event]) -> list[dict]:
    return [event.row for event in events if event.row is not None]


def _shows_in_leaves_alone(event: Event, known: Event | None) -> bool:
    """Whether what is stored differs from an event's row in hot leaves alone."""
    return (
        event.type in HOT_LEAVES and event.row is not None and known is not None and known.row is not None and known.sequence >= event.since
    )


def _records(step: Step) -> list[Records]:
    rows = [{"id": f"/changes/{number}", "name": str(number), "type": RECORD, "properties": {"n": number}} for number in step.records]
    return [records_of("resourcechanges", RECORD, rows, step.records, NOON + timedelta(seconds=step.number))] if rows else []


def stored(store: Store, table: str = "resources") -> list[dict]:
    """All rows of a table."""
    with store.snapshot() as snapshot:
        return [
            row
            for part in snapshot.catalog.table(table).partitions
            for row in documents(snapshot.run(f'SELECT * FROM "{part.source}"'), part)
        ]


def check(store: Store, model: Model) -> None:
    """The store holds what the model says, document by document, and no id twice."""
    found = stored(store)
    assert by_id(found) == model.documents()
    assert len(found) == len(model.documents())
    pairs = store.sequences("resources")
    assert dict(zip(pairs.column("_key").to_pylist(), pairs.column("_seq").to_pylist(), strict=True)) == model.sequences()
    assert sorted(int(row["name"]) for row in stored(store, "resourcechanges")) == model.records


def step_of(store: Store) -> int:
    feed_offset = store.feed_offset()
    return 0 if feed_offset is None else json.loads(feed_offset)["step"]


def sources(store: Store) -> Mapping[str, frozenset[str] | None]:
    """The native tables of resources, and the types in each."""
    with store.snapshot() as snapshot:
        return {part.source: part.types for part in snapshot.catalog.table("resources").partitions}


def feed(directory: Path, seed: int, count: int) -> None:
    from kqlite.directory.data_directory import DataDirectory

    store = Store.open(DataDirectory.open_or_create(directory), fed=True)
    reached, model = step_of(store), Model()
    print("open", flush=True)
    for step in Stream(seed).steps(count):
        if step.number > reached:
            apply(store, step, model.newest)
        model.take(step)
        if step.number <= reached:
            continue
        if step.upkeep in ("checkpoint", "reopen"):
            store.checkpoint()
        elif step.upkeep == "cluster":
            store.cluster(f"resources/{VM}")
    print("done", flush=True)
    store.close()


if __name__ == "__main__":
    feed(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
