"""The one way in for a wish and for time.

`request` runs one decision and commits what it made, or takes all of it back; `advance_to` runs what is due. Whatever either shows
is durable before it returns.
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
from kqlite.orchestration.clock import END, Clock, DurationError
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
COMMIT_EVERY = 5_000  # events; so many that a commit's sync costs little, and so few that they need little memory
SAVE_EVERY = 200_000  # events; a start reads about 50,000 a second, and the state of so many is saved in less than one


def _never() -> bool:
    return False


def _nothing(container: str, name: str, due: int) -> None:
    """What a timer wakes where no front door is there through which activity could send requests."""


class ControlPlane:
    """A simulation's state, its log and its clock.

    features: names to register at the beginning, or "all". Everything but the log and the clock is taken from the log where that
    is not empty: a simulation goes on as what it began. saved: where the state is saved now and then, for a quick start.
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
        self.lock = RLock()  # one request, or one step of time, at a time: a server may call from several threads
        self.service_version = facts.get("profile", service_version)
        self.transitions = 0
        self.trouble = ""  # the last internal error, for whoever asks how this is getting on
        self._breakdowns = 0
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
        """The simulated time up to which everything that happened is committed."""
        return self._committed_now

    @property
    def fleet(self) -> Fleet:
        """The state. Read only: it changes by `request` and `advance_to` alone."""
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
        """What a kind of timer wakes that comes from outside: `handle` gets container, name and time, and commits nothing."""
        self._wakes[wake] = handle

    # A wish

    def request(self, decide: Callable[[Recorder], Result], cause: str, commit: bool = True, actor: str = "user") -> Result:
        """Run one decision for a user; what it changed is durable when this returns, or nothing was changed.

        commit: False leaves the commit to the caller, who must answer nobody before it. actor: which user, as events name it.
        """
        with self.lock, interrupted_later():
            mark = len(self.recorder.pending)
            try:
                with self.recorder.because(actor, cause):
                    result = decide(self.recorder)
            except Exception:
                self.recorder.take_back(mark)
                raise
            if commit:
                self.commit()
            return result

    def commit(self) -> None:
        """Make everything durable that happened so far. Raises LogError, and takes all of it back, where that fails."""
        recorder = self.recorder
        if not recorder.pending and recorder.now == self._committed_now:
            return
        self.crash_if("before-commit")
        with interrupted_later():
            try:
                self.log.commit(recorder.pending, {**self._facts, "now": str(recorder.now)})
            except LogError:
                recorder.take_back()
                self._set_now(self._committed_now)
                recorder.rearm()
                self._autoscale.forget()
                raise
            self.transitions += len(recorder.pending)
            recorder.pending = []
            self._committed_now = recorder.now
        self.crash_if("after-commit")
        if recorder.fleet.sequence >= self._save_at:
            # The larger the fleet, the rarer: what is saved is the whole of it.
            every = max(SAVE_EVERY, 4 * recorder.fleet.size)
            self.save_state(every)
            self._save_at = self._saved_at + every

    def save_state(self, after: int = 10_000) -> None:
        """Save the state where so many events were committed since it was saved last. Nothing is lost where that is never done."""
        fleet = self.recorder.fleet
        if self._saved is None or fleet.sequence - self._saved_at < after:
            return
        with self.lock, no_collection():
            self._saved.save(fleet, self.log.read(fleet.sequence - 1, 1)[0])
            self._saved_at = fleet.sequence

    # Time

    def advance(self, by: int, stopped: Callable[[], bool] = _never) -> None:
        """Let so many microseconds pass at once, whatever the clock shows; a clock that moves by itself goes on from there."""
        if self.now + by > END:
            raise DurationError("simulated time ends with the year 9999")
        self.advance_to(self.now + by, stopped)
        self.clock.begin(self.now)

    def go_by(self, clock: Clock) -> None:
        """Another clock from now on."""
        self.clock = clock
        clock.begin(self.now)

    def advance_to(self, time: int, stopped: Callable[[], bool] = _never) -> None:
        """Run everything that is due up to and including `time`; less where `stopped`, which is asked at each commit, says so."""
        with self.lock, interrupted_later() as interrupted, no_collection():
            if self._run_due(time, lambda: stopped() or interrupted()):
                self._set_now(max(time, self.recorder.now))
            self.commit()

    def _run_due(self, time: int, stopped: Callable[[], bool] = _never) -> bool:
        timers = self.recorder.timers
        while (timer := timers.pop(time)) is not None:
            self._set_now(max(timer.due, self.recorder.now))
            self._run(timer)
            # Only between steps: a commit never cuts one in two. What is due at this instant still is so after a restart.
            if len(self.recorder.pending) >= COMMIT_EVERY:
                self.commit()
                if stopped():
                    return False
        return True

    def _run(self, timer: Timer) -> None:
        if self._crash_points:
            self.crash_if("between-steps")
        mark = len(self.recorder.pending)
        try:
            self._wakes[timer.wake](timer.group, timer.name, timer.due)
        except Exception as error:
            self.recorder.take_back(mark)
            self.broke_down(f"{Wake(timer.wake).name.lower().replace('_', '-')} of {timer.name or 'the simulation'}", error)
            giving_up.give_up(self.recorder, timer, repr(error))

    def broke_down(self, what: str, error: Exception) -> None:
        """Remember an error that nobody was to blame for: a fault in kqlite itself, after which time goes on."""
        self._breakdowns += 1
        self.trouble = f"{self._breakdowns} internal error{'s' if self._breakdowns > 1 else ''}, the last in {what}: {error!r}"
        _logger.error("internal error in %s", what, exc_info=error)

    def catch_up(self, stopped: Callable[[], bool] = _never) -> None:
        """Bring simulated time to what the clock shows, where the clock moves by itself."""
        if self.clock.mode == "scaled":
            reading = self.clock.reading(self.now)
            if reading > self.now:
                self.advance_to(reading, stopped)

    def run_until(self, done: Callable[[], bool], limit: int) -> bool:
        """Go from timer to timer until `done` says so; False where `limit` microseconds passed first."""
        with self.lock, interrupted_later() as interrupted, no_collection():
            end = self.now + limit
            while not (reached := done()) and not interrupted():
                due = self.recorder.timers.next_due()
                if due is None or due > end:
                    break
                self._run_due(due)
            self.commit()
            self.clock.begin(self.now)
            return reached

    # Faults

    def inject(self, spec: Mapping[str, Any]) -> str:
        """A new fault; its id. Raises CoreError for what is no fault."""
        if spec.get("fault") == "crash":
            _, keys, _, _ = parsed(spec, self.now)
            # Never in the log: a process that starts again must not stop at once.
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
        """Stop the process, as a power cut does, where a crash was injected at this point."""
        if point in self._crash_points:
            os.kill(os.getpid(), signal.SIGKILL)

    def events(self, after: int = 0, limit: int = 10_000) -> list[Event]:
        """Committed events after a sequence number."""
        return self.log.read(after, limit)
