"""The control plane: requests and time enter here.

`request` runs one request handler and commits its events, or rolls all of them back. `advance_to` runs the controllers whose timers are
due. Both commit before they return, so that all they show is durable.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
from collections.abc import Callable, Mapping
from threading import RLock
from typing import Any, TypeVar

from kqlite.gc_control import no_collection
from kqlite.orchestration.chance import Chance
from kqlite.orchestration.clock import END, MINUTE, Clock, DurationError
from kqlite.orchestration.controllers import features, giving_up, groups, health, outages, repair, scale_set, spot, vm
from kqlite.orchestration.controllers.autoscale import Autoscale
from kqlite.orchestration.errors import CoreError
from kqlite.orchestration.events import Event
from kqlite.orchestration.faults import parsed
from kqlite.orchestration.fleet import Fleet
from kqlite.orchestration.interrupts import interrupted_later
from kqlite.orchestration.log import EventLog, LogError, every_event
from kqlite.orchestration.model import FeatureState, ProviderState, SubscriptionState, Type, interned
from kqlite.orchestration.recorder import Recorder
from kqlite.orchestration.saved_state import SavedState
from kqlite.orchestration.timers import Timer, Wake

_logger = logging.getLogger("kqlite")
Result = TypeVar("Result")
SERVICE_VERSIONS = ("preview-2021", "ga")
"""Versions of Azure's service: the preview of August 2021, and the service after general availability."""

COMMIT_EVERY = 5_000
"""Events in a commit while time advances: many enough that the sync costs little, few enough that they need little memory."""

SAVE_EVERY = 200_000
"""Events between two saved states. A start replays about 50,000 events a second; saving the state of 200,000 takes less than a second."""


def _never() -> bool:
    return False


def _nothing(container: str, name: str, due: int) -> None:
    """Handles the timers of `activity` while no `Activity` is there."""


class ControlPlane:
    """A simulation's state, its event log and its clock.

    Where the log is not empty, it determines the state, seed and service version; those arguments count for a new simulation alone.

    Args:
        log: The event log.
        clock: The clock.
        seed: Seed of all random draws.
        service_version: One of `SERVICE_VERSIONS`.
        subscriptions: Number of subscriptions.
        feature_names: Preview features to register at the beginning, or "all".
        saved: File for saved states, from which a later start is quick. None: the state is never saved.
    """

    def __init__(
        self,
        log: EventLog,
        clock: Clock,
        seed: int = 0,
        service_version: str = "preview-2021",
        subscriptions: int = 1,
        feature_names: tuple[str, ...] | str = (),
        saved: SavedState | None = None,
    ) -> None:
        if service_version not in SERVICE_VERSIONS:
            raise CoreError(f"no profile {service_version!r}; there are {', '.join(SERVICE_VERSIONS)}")
        if subscriptions < 1:
            raise CoreError(f"a simulation has a subscription at least, not {subscriptions}")
        facts = log.facts()
        self.log = log
        self.clock = clock
        self.lock = RLock()  # a server's threads run one request, or one step of time, at a time
        self.service_version = facts.get("profile", service_version)
        self.transitions = 0
        self.trouble = ""  # the last internal error, for status reports
        self._internal_errors = 0
        chance = Chance(int(facts.get("seed", seed)))
        self._saved = saved
        with no_collection():
            fleet = saved.load(log) if saved is not None and facts else None
        self._saved_at = fleet.sequence if fleet is not None else 0
        self._save_at = self._saved_at + SAVE_EVERY
        self.recorder = Recorder(fleet or Fleet(), chance, self.service_version == "preview-2021")
        self._crash_points: set[str] = set()
        self._facts = {"seed": str(chance.seed), "profile": self.service_version}
        self._autoscale = Autoscale()
        self._wakes: dict[int, Callable[[str, str, int], None]] = self._handlers()
        if facts:
            self._replay(int(facts["now"]))
        else:
            self._committed_now = clock.start
            self._set_now(clock.start)
            self._begin(subscriptions, feature_names)
        clock.begin(self.now)

    @property
    def now(self) -> int:
        """The simulated time, in microseconds since 1970-01-01T00:00Z."""
        return self.recorder.now

    @property
    def durable_now(self) -> int:
        """The simulated time up to which all events are committed."""
        return self._committed_now

    @property
    def fleet(self) -> Fleet:
        """The state. Callers only read it; `request` and `advance_to` change it."""
        return self.recorder.fleet

    def _set_now(self, now: int) -> None:
        self.recorder.now = self.recorder.fleet.now = now

    def _replay(self, now: int) -> None:
        with no_collection():
            for event in every_event(self.log, self._saved_at):
                self.recorder.fleet.apply(event._replace(name=sys.intern(event.name), state=interned(event.state)))
            self._committed_now = now
            self._set_now(now)
            self.recorder.rearm()

    def _begin(self, subscriptions: int, feature_names: tuple[str, ...] | str) -> None:
        ga = self.service_version == "ga"
        names = features.FEATURES if feature_names == "all" else tuple(map(features.known_name, feature_names))
        if ga:
            names = features.FEATURES
        recorder = self.recorder
        with recorder.because("user", "subscriptions/write"):
            for number in range(1, subscriptions + 1):
                name = f"00000000-0000-0000-0000-{number:012d}"
                recorder.create(recorder.fleet.root, Type.SUBSCRIPTION, SubscriptionState(name, 1, recorder.now))
                subscription = recorder.fleet.containers[f"/subscriptions/{name}"]
                for feature in names:
                    recorder.create(subscription, Type.FEATURE, FeatureState(feature, 1, "Registered", 0))
                for provider in features.PROVIDERS:
                    effective = features.registered(subscription) if provider == "Microsoft.Compute" else ()
                    recorder.create(subscription, Type.PROVIDER, ProviderState(provider, 1, "Registered", 0, effective))
        self.commit()

    def _handlers(self) -> dict[int, Callable[[str, str, int], None]]:
        recorder = self.recorder

        def in_container(handle: Callable[..., None]) -> Callable[[str, str, int], None]:
            def run(container_key: str, name: str, due: int) -> None:
                container = recorder.fleet.containers.get(container_key)
                if container is not None:
                    handle(recorder, container, name, due)

            return run

        return {
            Wake.FAULT: lambda _, name, due: outages.wake(recorder, name, due),
            Wake.VM: in_container(vm.wake),
            Wake.HEALTH: in_container(health.wake),
            Wake.FEATURE: in_container(features.wake_feature),
            Wake.PROVIDER: in_container(features.wake_provider),
            Wake.GROUP: in_container(groups.wake),
            Wake.SCALE_SET: in_container(scale_set.wake),
            Wake.REPAIR: in_container(repair.wake),
            Wake.RESTORE: in_container(spot.wake_restore),
            Wake.SPOT: lambda location, size, due: spot.wake(recorder, location, size, due),
            Wake.AUTOSCALE: in_container(self._autoscale.wake),
            Wake.ACTIVITY: _nothing,
            Wake.RETURN: _nothing,
        }

    def on(self, wake: Wake, handle: Callable[[str, str, int], None]) -> None:
        """Let `handle` run for timers of this kind. It gets the container's key, the resource's name and the time, and must not commit."""
        self._wakes[wake] = handle

    # Requests

    def request(self, decide: Callable[[Recorder], Result], cause: str, commit: bool = True, actor: str = "user") -> Result:
        """Run a request handler. Its changes are durable when this returns. Where it raises, nothing is changed.

        Args:
            decide: The handler.
            cause: The request, as events name it.
            commit: False: the caller commits, before it sends the answer.
            actor: The actor, as events name it.

        Returns:
            What the handler returns.
        """
        with self.lock, interrupted_later():
            before = len(self.recorder.pending)
            try:
                with self.recorder.because(actor, cause):
                    result = decide(self.recorder)
            except Exception:
                self.recorder.roll_back(before)
                raise
            if commit:
                self.commit()
            return result

    def commit(self) -> None:
        """Write the pending events to the log. Where that fails, roll them back and raise LogError."""
        recorder = self.recorder
        if not recorder.pending and recorder.now == self._committed_now:
            return
        self.crash_if("before-commit")
        with interrupted_later():
            try:
                self.log.commit(recorder.pending, {**self._facts, "now": str(recorder.now)})
            except LogError:
                recorder.roll_back()
                self._set_now(self._committed_now)
                recorder.rearm()
                self._autoscale.forget()
                raise
            self.transitions += len(recorder.pending)
            recorder.pending = []
            self._committed_now = recorder.now
        self.crash_if("after-commit")
        if recorder.fleet.sequence >= self._save_at:
            # Saving writes the whole fleet, so a larger fleet is saved less often.
            every = max(SAVE_EVERY, 4 * recorder.fleet.size)
            self.save_state(every)
            self._save_at = self._saved_at + every

    def save_state(self, after: int = 10_000) -> None:
        """Save the state if at least `after` events were committed since the last save. The log alone counts, so a save may be missing."""
        fleet = self.recorder.fleet
        if self._saved is None or fleet.sequence - self._saved_at < after:
            return
        with self.lock, no_collection():
            self._saved.save(fleet, self.log.read(fleet.sequence - 1, 1)[0])
            self._saved_at = fleet.sequence

    # Time

    def advance(self, by: int, stopped: Callable[[], bool] = _never) -> None:
        """Advance simulated time by `by` microseconds at once. A clock that moves by itself goes on from there."""
        if self.now + by > END:
            raise DurationError("simulated time ends with the year 9999")
        self.advance_to(self.now + by, stopped)
        self.clock.begin(self.now)

    def use_clock(self, clock: Clock) -> None:
        """Use another clock from now on."""
        self.clock = clock
        clock.begin(self.now)

    def advance_to(self, time: int, stopped: Callable[[], bool] = _never) -> None:
        """Run all timers up to and including `time`. Stop early when `stopped`, called after each commit, returns True."""
        with self.lock, interrupted_later() as interrupted, no_collection():
            if self._run_due(time, lambda: stopped() or interrupted()):
                self._set_now(max(time, self.recorder.now))
            self.commit()

    def _run_due(self, time: int, stopped: Callable[[], bool] = _never) -> bool:
        timers = self.recorder.timers
        while (timer := timers.pop(time)) is not None:
            self._set_now(max(timer.due, self.recorder.now))
            self._run(timer)
            # A commit falls between two timers, never within one. Timers that are left at this instant are due again after a restart.
            if len(self.recorder.pending) >= COMMIT_EVERY:
                self.commit()
                if stopped():
                    return False
        return True

    def _run(self, timer: Timer) -> None:
        if self._crash_points:
            self.crash_if("between-steps")
        before = len(self.recorder.pending)
        try:
            self._wakes[timer.wake](timer.group, timer.name, timer.due)
        except Exception as error:
            self.recorder.roll_back(before)
            self.record_internal_error(f"{Wake(timer.wake).name.lower().replace('_', '-')} of {timer.name or 'the simulation'}", error)
            giving_up.give_up(self.recorder, timer, repr(error))

    def record_internal_error(self, what: str, error: Exception) -> None:
        """Record and log an unexpected exception: a bug of kqlite. The simulation goes on."""
        self._internal_errors += 1
        self.trouble = f"{self._internal_errors} internal error{'s' if self._internal_errors > 1 else ''}, the last in {what}: {error!r}"
        _logger.error("internal error in %s", what, exc_info=error)

    def catch_up(self, stopped: Callable[[], bool] = _never) -> None:
        """Advance simulated time to the clock's reading, for a clock that moves by itself."""
        if self.clock.mode == "scaled":
            reading = self.clock.reading(self.now)
            if reading > self.now:
                self.advance_to(reading, stopped)

    def wait_for_timer(self, at_most: float) -> None:
        """Sleep until the next timer is due by the clock, but no longer than `at_most` real seconds."""
        due = self.recorder.timers.next_due()
        self.clock.wait(self.now + MINUTE if due is None else due, self.now, at_most)

    def run_until(self, done: Callable[[], bool], limit: int) -> bool:
        """Run timer after timer until `done` returns True. Returns False if `limit` microseconds pass first."""
        with self.lock, interrupted_later() as interrupted, no_collection():
            end = self.now + limit
            while not (is_done := done()) and not interrupted():
                due = self.recorder.timers.next_due()
                if due is None or due > end:
                    break
                self._run_due(due)
            self.commit()
            self.clock.begin(self.now)
            return is_done

    # Faults

    def inject(self, spec: Mapping[str, Any]) -> str:
        """Inject a fault and return its id. Raises CoreError for an invalid fault."""
        if spec.get("fault") == "crash":
            _, keys, _, _ = parsed(spec, self.now)
            # A crash point is never logged: a process that starts again would crash at once.
            self._crash_points.add(str(keys.get("operation", "before-commit")))
            return f"crash-{keys.get('operation', 'before-commit')}"
        return self.request(lambda recorder: outages.inject(recorder, spec), "faults/write")

    def recover(self, id_: str) -> None:
        """End a fault. Raises CoreError for an unknown id."""
        if id_.startswith("crash-"):
            self._crash_points.discard(id_.removeprefix("crash-"))
            return
        self.request(lambda recorder: outages.recover(recorder, id_), "faults/delete")

    def crash_if(self, point: str) -> None:
        """Kill the process, as a power cut does, if a crash was injected at this point."""
        if point in self._crash_points:
            os.kill(os.getpid(), signal.SIGKILL)

    def events(self, after: int = 0, limit: int = 10_000) -> list[Event]:
        """Committed events after a sequence number."""
        return self.log.read(after, limit)
