"""How late changes become visible: bounds, order, and that nothing goes back."""

import json
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kqlite.orchestration.clock import MINUTE, SECOND
from kqlite.orchestration.events import Event, Kind
from kqlite.orchestration.model import NoteState
from kqlite.snapshotter.lag import SPELL, Lag, LagError, Law, Mode

START = 1_628_640_000 * SECOND


def event(sequence: int, time: int, type_: str = "Microsoft.Compute/virtualMachines") -> Event:
    return Event(sequence, time, Kind.CHANGED, type_, "/s/", "vm", 1, "", "user", "", NoteState("", 1, "", ""), {})


@pytest.mark.parametrize(
    ("given", "law", "mode"),
    [
        (0, Law.constant(0), Mode.PREFIX),
        (2.5, Law.constant("2500ms"), Mode.PREFIX),
        (timedelta(seconds=3), Law.constant("3s"), Mode.PREFIX),
        ("30s", Law.constant("30s"), Mode.PREFIX),
        ("1s..60s", Law.uniform("1s", "60s"), Mode.PREFIX),
        ("measured", Law.measured(), Mode.PREFIX),
        ("per-resource 5s..9s", Law.uniform("5s", "9s"), Mode.PER_RESOURCE),
        ("per-resource measured", Law.measured(), Mode.PER_RESOURCE),
    ],
)
def test_a_lag_is_written_as_a_user_would(given: float | str | timedelta, law: Law, mode: Mode) -> None:
    lag = Lag.of(given)
    assert (lag.law, lag.mode, lag.bound) == (law, mode, MINUTE)


@pytest.mark.parametrize("wrong", ["soon", "9s..1s", "1s..", "per-resource", "prefix", ""])
def test_what_is_no_lag_is_refused(wrong: str) -> None:
    with pytest.raises(LagError, match="not a lag"):
        Lag.of(wrong)


def test_a_lag_of_more_than_a_minute_raises_the_bound() -> None:
    assert Lag.of("5m").horizon(START) == START - 5 * MINUTE
    assert Lag.of("1s..2m").bound == 2 * MINUTE


def test_a_constant_lag_is_what_it_says() -> None:
    assert Lag.of("7s").horizon(START) == START - 7 * SECOND
    assert Lag.of(0).horizon(START) == START
    assert Lag.of("per-resource 7s").visible_at(event(1, START)) == START + 7 * SECOND


@given(seed=st.integers(0, 50), offsets=st.lists(st.integers(0, 200 * SECOND), min_size=2, max_size=40))
def test_a_prefix_never_goes_back_and_is_never_later_than_its_bound(seed: int, offsets: list[int]) -> None:
    lag = Lag(Law.uniform(0, 100), seed=seed)
    before = 0
    for offset in sorted(offsets):
        now = START + offset
        horizon = lag.horizon(now)
        assert max(before, now - MINUTE) <= horizon <= now
        before = horizon


@given(seed=st.integers(0, 50), offset=st.integers(0, 300 * SECOND))
def test_a_prefix_shows_a_change_when_the_lag_of_its_spell_has_passed(seed: int, offset: int) -> None:
    # By the definition, written as plainly as can be: a moment shows once no moment up to it is held back by the lag of its spell.
    lag = Lag(Law.uniform(1, 59), seed=seed)
    now = START + offset
    horizon = lag.horizon(now)

    def ready(moment: int) -> int:
        ends = [moment, *(spell * SPELL + SPELL - 1 for spell in range((moment - 2 * MINUTE) // SPELL, moment // SPELL))]
        return max(end + lag._lag_of_spell(end // SPELL) for end in ends)

    assert ready(horizon) <= now < ready(horizon + 1)


def test_slow_fields_are_named_after_the_rest() -> None:
    assert Lag.of("per-resource 1s slow 10m").slow == 10 * MINUTE
    assert Lag.of("measured slow 1h").law == Law.measured()
    with pytest.raises(LagError):
        Lag.of("1s slow")


def test_a_lag_is_kept_as_json() -> None:
    lag = Lag(Law.uniform(1, 5), Mode.PER_RESOURCE, 7, 3, {"microsoft.compute/disks": Law.constant(2)}, 11)
    assert Lag.from_json(json.loads(json.dumps(lag.to_json()))) == lag


def test_the_measured_law_is_mostly_seconds() -> None:
    law = Law.measured()
    assert law.at(0.5) <= 10 * SECOND
    assert law.at(0.999999) <= 60 * SECOND
    assert law.least >= SECOND


def test_each_resource_has_a_lag_of_its_own_by_type() -> None:
    lag = Lag(Law.constant(1), Mode.PER_RESOURCE, by_type={"microsoft.network/networkinterfaces": Law.constant(20)})
    assert lag.visible_at(event(1, START)) == START + SECOND
    assert lag.visible_at(event(1, START, "Microsoft.Network/networkInterfaces")) == START + 20 * SECOND
    assert lag.least == SECOND
    drawn = {Lag(Law.uniform(0, 50), Mode.PER_RESOURCE).visible_at(event(number, START)) for number in range(20)}
    assert len(drawn) == 20


def test_whoever_looks_only_now_and_then_shows_sooner_what_would_be_too_late_by_then() -> None:
    lag = Lag.of("60s")
    assert lag.overdue(100 * SECOND) == 40 * SECOND
    assert lag.overdue(100 * SECOND, ahead=SECOND) == 41 * SECOND
    assert lag.overdue(100 * SECOND, ahead=500 * SECOND) == 100 * SECOND


# When a change shows


@pytest.mark.parametrize("text", ["measured", "0s", "30s", "1s..60s", "90s..100s", "per-resource measured", "per-resource 1s..60s"])
@given(seed=st.integers(0, 99), passed=st.integers(0, 100 * SECOND), later=st.integers(0, 70 * SECOND), on_the_edge=st.booleans())
def test_the_time_at_which_a_change_shows_is_the_first_one(text: str, seed: int, passed: int, later: int, on_the_edge: bool) -> None:
    lag = Lag.of(text, seed)
    time = START + (passed // SPELL * SPELL - 1 if on_the_edge else passed)
    now = time + later
    shows = lag.shows_at(event(seed + 1, time), now)
    assert now <= shows <= max(now, time + lag.bound)
    if lag.mode is Mode.PREFIX:
        assert lag.horizon(shows) >= time
        assert shows == now or lag.horizon(shows - 1) < time
