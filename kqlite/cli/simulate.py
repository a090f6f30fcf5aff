"""`kqlite simulate`: a run of a simulation in a directory, from its beginning or from where the last one stopped."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import blake2b
from pathlib import Path
from typing import Any, cast

from kqlite.orchestration import metrics
from kqlite.orchestration.activity import script
from kqlite.orchestration.activity_rates import checked_level
from kqlite.orchestration.clock import START, Clock, duration, to_datetime
from kqlite.orchestration.errors import CoreError
from kqlite.orchestration.events import Kind
from kqlite.orchestration.log import UNFINISHED, RepeatedLog, SqliteLog, every_event
from kqlite.orchestration.model import OperationState, ScaleSetState, Type
from kqlite.orchestration.request_bodies import vm_profile
from kqlite.orchestration.scenario import Runner, Scenario, fault_of, parse
from kqlite.simulation import LOG_NAME, Simulation, checked, refuse_imported
from kqlite.snapshotter.lag import Lag

_BEGINNING = "beginning"
"""The fact of a log that names what its simulation began with."""

_LAG = "lag"
"""The fact of a log that says by which lag the last run showed changes."""

_MOST_IN_A_SET = 1000
_MEAN_CPU = 50
"""Percent that the VMs of a set behind autoscale are busy, on average over a week and at the number with which it begins."""


@dataclass(frozen=True, slots=True)
class Summary:
    """What a run of `simulate` did: operations ended and failed, events, faults, simulated and real seconds."""

    operations: int
    failed: int
    events: int
    faults: int
    simulated_seconds: float
    real_seconds: float

    def __str__(self) -> str:
        return (
            f"{_counted(self.operations, 'operation')} ({self.failed} failed), {_counted(self.events, 'transition')}, "
            f"{_counted(self.faults, 'fault')}, "
            f"{timedelta(seconds=round(self.simulated_seconds))} simulated in {self.real_seconds:.1f} s"
        )


def _counted(count: int, what: str) -> str:
    return f"{count:,} {what}{'' if count == 1 else 's'}"


def simulate(
    directory: str | Path,
    *,
    scenario: str | Path | None = None,
    vms: int | None = None,
    days: float | None = None,
    seed: int | None = None,
    speed: float = 1.0,
    faults: Iterable[str] = (),
    lag: str | None = None,
    activity: str | None = None,
    stopped: Callable[[], bool] = lambda: False,
    progress: Callable[[float], None] = lambda share: None,
    begun: Callable[[datetime], None] = lambda now: None,
) -> Summary:
    """Run a simulation in a directory, and go on with the one that is there.

    Args:
        directory: Where its log is kept; it is made where there is none.
        scenario: A scenario file to run first, on the fleet that is there where there is one.
        vms: How many instances to begin with, in sets of up to 1,000 with autoscale. A fleet that is there is scaled to so many.
        days: So many simulated days as fast as possible; None: on the wall's clock, until `stopped()` says so.
        seed: Of the simulation that begins; None is 0. A simulation that is there keeps its own.
        speed: Simulated seconds for each second of the wall's clock.
        faults: Injected after the beginning, each as a scenario writes it.
        lag: How late its inventory shows a change, as of `Simulation`; None: as in the last run, and at first "measured".
        activity: How busy the fleet is, as of `Simulation`; None: as in the last run, and at first "normal" with `vms`, else "none".
        stopped: Asked now and then whether to end.
        progress: Told the share that is done, from 0 to 1, in a run of `days`.
        begun: Told the simulated time once a run on the wall's clock is under way.

    Raises:
        ScenarioError: A scenario cannot be read, or fails.
        CoreError: An argument is no fault, no level or no lag, or does not fit the simulation that is there.
    """
    start = time.perf_counter()
    text = Path(scenario).read_text(encoding="utf-8") if scenario is not None else ""
    level = checked_level(activity or ("normal" if vms else "none"))
    beginning = _Beginning(text, parse(text, Path(scenario).name) if scenario is not None else None, vms, seed or 0, level)
    specs = [fault_of(fault)[0] for fault in faults]
    if lag is not None:
        Lag.of(lag)
    begun_with = _begun_with(Path(directory), seed)
    simulation, first, began = _begun(Path(directory), beginning, lag)
    with simulation:
        if begun_with is not None:
            _change(simulation, beginning, begun_with)
        if activity is not None:
            simulation.activity = activity
        for spec in specs:
            simulation.inject(spec)
        if days is None:
            simulation.plane.use_clock(Clock.scaled(speed))
        # From here on other processes can ask this one.
        _ = simulation.inventory
        if days is None:
            begun(simulation.now)
            _run_on_the_clock(simulation, stopped)
        else:
            _run_days(simulation, days, stopped, progress)
        return _summary(simulation, first, began, time.perf_counter() - start)


@dataclass(frozen=True, slots=True)
class _Beginning:
    """How a simulation begins: with a scenario, with so many VMs, or with nothing."""

    text: str
    scenario: Scenario | None
    vms: int | None
    seed: int
    activity: str

    @property
    def name(self) -> str:
        """What tells it from other beginnings; "" for one with nothing."""
        if self.scenario is None and not self.vms:
            return ""
        return blake2b(f"{self.text} {self.vms} {self.seed} {self.activity}".encode(), digest_size=16).hexdigest()

    @property
    def options(self) -> dict[str, Any]:
        """How the simulation is made."""
        options = {"seed": self.seed, "features": "all", **(self.scenario.options if self.scenario is not None else {})}
        mode = options.pop("clock", "manual")
        return {**options, "clock": Clock.auto() if mode == "auto" else Clock.manual()}


def _begun_with(directory: Path, seed: int | None) -> str | None:
    """The name of the beginning of the simulation in a directory; None where there is none, or its beginning was interrupted.

    Raises CoreError where the simulation has another seed.
    """
    if not (directory / LOG_NAME).exists():
        return None
    with closing(SqliteLog(directory / LOG_NAME)) as log:
        facts, last = log.facts(), log.last
    if not last or facts.get(UNFINISHED, ""):
        return None
    if seed is not None and facts["seed"] != str(seed):
        raise CoreError(
            f"{directory}: the simulation here has the seed {facts['seed']}; begin one with the seed {seed} in another directory"
        )
    return facts.get(_BEGINNING, "")


def _begun(directory: Path, beginning: _Beginning, lag: str | None) -> tuple[Simulation, int, datetime]:
    """The simulation where its beginning is over, and the last event and the time before this run."""
    refuse_imported(directory)
    is_new = not (directory / LOG_NAME).exists()
    if is_new and not beginning.name and not directory.is_file():
        raise CoreError(f"{directory}: no simulation is here yet; begin one with --vms N or --scenario FILE")
    directory.mkdir(parents=True, exist_ok=True)
    with closing(SqliteLog(directory / LOG_NAME)) as log:
        facts, first = log.facts(), log.last
        unfinished = facts.get(UNFINISHED, "")
        if unfinished and beginning.name not in ("", unfinished):
            raise CoreError(f"{directory}: another beginning was interrupted here; begin with the same again, or in another directory")
        if not first or (unfinished and beginning.name):
            _begin(RepeatedLog(log, beginning.name), beginning)
            log.commit([], {_BEGINNING: beginning.name})
        elif unfinished:
            log.commit([], {UNFINISHED: ""})  # time goes on without it
        kept = lag or facts.get(_LAG, "measured")
        log.commit([], {_LAG: kept})
    simulation = Simulation(directory, lag=kept)
    return simulation, first, to_datetime(int(facts["now"])) if facts else to_datetime(START)


def _change(simulation: Simulation, beginning: _Beginning, begun_with: str) -> None:
    """Do with a fleet that is there what a new one would begin with; a scenario with which it has begun is not run again."""
    if beginning.scenario is not None and beginning.name != begun_with:
        fixed = sorted(beginning.scenario.options.keys() - {"features"})
        if fixed:
            raise CoreError(
                f"{beginning.scenario.name}: {', '.join(fixed)} can only be chosen where a simulation begins; run it in a new directory"
            )
        Runner(beginning.scenario, simulation).run()
    if beginning.vms:
        _scale(simulation, beginning.vms)


def _scale(simulation: Simulation, vms: int) -> None:
    """Give the scale sets so many instances together, in proportion to what each has. Load and autoscale's lower limit follow."""
    groups = [group for group in simulation.plane.fleet.all_groups() if group.of(Type.SCALE_SET)]
    sets = [(group, each) for group in groups for each in cast("Iterable[ScaleSetState]", group.of(Type.SCALE_SET).values())]
    if not sets:
        _populate(simulation, vms)
        return
    if vms > _MOST_IN_A_SET * len(sets):
        raise CoreError(f"{len(sets)} scale sets hold at most {_MOST_IN_A_SET * len(sets):,} machines, and not {vms:,}")
    left, total = vms, sum(each.capacity for _, each in sets)
    for number, (group, each) in enumerate(sets):
        share = left * each.capacity / total if total else left / (len(sets) - number)
        room = _MOST_IN_A_SET * (len(sets) - number - 1)
        capacity = min(_MOST_IN_A_SET, max(round(share), left - room))
        left, total = left - capacity, total - each.capacity
        if capacity == each.capacity:
            continue
        tags = dict(each.tags)
        if metrics.LOAD_TAG in tags:
            tags[metrics.LOAD_TAG] = f"week {_MEAN_CPU * capacity}"
            path = f"{group.scope(Type.AUTOSCALE)}{each.name}?api-version=2022-10-01"
            setting = simulation.arm("GET", path)
            if setting.status == 200:
                body = {"location": setting.body["location"], "properties": setting.body["properties"]}
                limits = {"minimum": str(max(1, capacity // 2)), "maximum": "1000", "default": str(capacity)}
                body["properties"]["profiles"][0]["capacity"] = limits
                checked(simulation.arm("PUT", path, body))
        change = {"sku": {"capacity": capacity}, "tags": tags}
        checked(simulation.arm("PATCH", f"{group.scope(Type.SCALE_SET)}{each.name}?api-version=2023-09-01", change))


def _begin(log: RepeatedLog, beginning: _Beginning) -> None:
    simulation = Simulation(**beginning.options, _log=log)
    if beginning.scenario is not None:
        Runner(beginning.scenario, simulation, lambda: Simulation(**beginning.options, _log=log)).run()
    if beginning.vms:
        _populate(simulation, beginning.vms)
    simulation.activity = beginning.activity
    log.finish()


def _populate(simulation: Simulation, vms: int) -> None:
    """So many VMs: of each thousand a fifth Spot, a fifth for developers, and the others behind autoscale."""
    for number in range((vms + 999) // 1000):
        count = min(1000, vms - number * 1000)
        group, domains, part = f"rg{number // 20}", 1 + number % 3, count // 5
        _create_web(simulation, f"set{number}", group, count - 2 * part, domains)
        if part:
            spot = {"priority": "Spot", "evictionPolicy": "Deallocate", "billingProfile": {"maxPrice": -1}}
            _create_set(simulation, f"spot{number}", group, part, domains, profile=spot)
            _create_set(simulation, f"dev{number}", group, part, domains)


def _create_set(
    simulation: Simulation,
    name: str,
    group: str,
    capacity: int,
    domains: int,
    *,
    tags: Mapping[str, str] | None = None,
    profile: Mapping[str, Any] | None = None,
    health: bool = False,
) -> dict[str, Any]:
    """A scale set whose VMs run a script extension, which deployments use."""
    whole = {**vm_profile(name, health=health), **(profile or {})}
    known = whole.get("extensionProfile", {"extensions": []})["extensions"]
    whole["extensionProfile"] = {"extensions": [*known, {"name": "deploy", "properties": script("Linux", "")}]}
    return simulation.create_scale_set(name, group, capacity=capacity, domains=domains, tags=tags, profile=whole)


def _create_web(simulation: Simulation, name: str, group_name: str, count: int, domains: int) -> None:
    tags = {metrics.LOAD_TAG: f"week {_MEAN_CPU * count}"}
    made = _create_set(simulation, name, group_name, count, domains, tags=tags, health=True)
    rules = [_cpu_rule(made["id"], "GreaterThan", 70, "Increase"), _cpu_rule(made["id"], "LessThan", 30, "Decrease")]
    capacity = {"minimum": str(max(1, count // 2)), "maximum": "1000", "default": str(count)}
    body = {
        "location": "eastus",
        "properties": {
            "enabled": True,
            "targetResourceUri": made["id"],
            "profiles": [{"name": "default", "capacity": capacity, "rules": rules}],
        },
    }
    group = made["id"].partition("/providers/")[0]
    checked(simulation.arm("PUT", f"{group}/providers/{Type.AUTOSCALE}/{name}?api-version=2022-10-01", body))


def _cpu_rule(scale_set: str, operator: str, threshold: int, direction: str) -> dict[str, Any]:
    window = {"timeGrain": "PT1M", "statistic": "Average", "timeWindow": "PT10M", "timeAggregation": "Average"}
    action = {"direction": direction, "type": "PercentChangeCount", "value": "5", "cooldown": "PT10M"}
    metric = {"metricName": metrics.CPU, "metricResourceUri": scale_set}
    return {"metricTrigger": {**metric, "operator": operator, "threshold": threshold, **window}, "scaleAction": action}


def _run_days(simulation: Simulation, days: float, stopped: Callable[[], bool], progress: Callable[[float], None]) -> None:
    slices = max(1, round(days * 96))
    for number in range(slices):
        if stopped():
            return
        simulation.plane.advance(duration(timedelta(days=days / slices)), stopped)
        progress((number + 1) / slices)


def _run_on_the_clock(simulation: Simulation, stopped: Callable[[], bool]) -> None:
    plane = simulation.plane
    while not stopped():
        plane.catch_up(stopped)
        plane.wait_for_timer(at_most=0.2)
    plane.catch_up()


def _summary(simulation: Simulation, first: int, began: datetime, real: float) -> Summary:
    operations = failed = faults = 0
    for event in every_event(simulation.log, first):
        if isinstance(event.state, OperationState) and "ended" in event.previous:
            operations += 1
            failed += event.state.status == "Failed"
        elif event.type == Type.FAULT and event.kind is Kind.CREATED:
            faults += 1
    events = simulation.log.last - first
    return Summary(operations, failed, events, faults, (simulation.now - began).total_seconds(), real)
