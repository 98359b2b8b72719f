"""Lowering the fleet's rate: fair by weight, within the budget, slow to recover, and hidden from nobody who scales."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.dispatch.throttle import LEAST_FRAMES_PER_S, Offered, Pressure, Throttle, fair_level


@dataclass
class Fleet:
    """Cameras that keep to what they are asked, and decoders that can do so much; a look is a second."""

    wanted: dict[str, float]
    capacity: float
    weights: dict[str, float] = field(default_factory=dict)
    complete: frozenset[str] = frozenset()
    throttle: Throttle = field(default_factory=Throttle)
    caps: dict[str, float] = field(default_factory=dict)
    now_s: float = 0.0

    def sent(self) -> dict[str, float]:
        return {name: min(rate, self.caps.get(name, math.inf)) for name, rate in self.wanted.items()}

    def look(self, times: int = 1) -> None:
        for _ in range(times):
            sent = self.sent()
            over = max(0.0, 1 - self.capacity / max(1e-9, sum(sent.values())))
            demand = sum(max(rate, self.throttle.demand(name)) for name, rate in sent.items())
            streams = {
                name: Offered(self.weights.get(name, 1.0), rate, name not in self.complete)
                for name, rate in sent.items()
            }
            pressure = Pressure(self.capacity, demand / self.capacity, 0.3 if over else 0.01, over)
            self.caps = self.throttle.decide(streams, pressure, self.now_s)
            self.now_s += 1.0


def cameras(count: int, frames_per_s: float = 10.0) -> dict[str, float]:
    return {f"cam-{number}": frames_per_s for number in range(count)}


def test_a_fleet_that_fits_is_left_alone() -> None:
    fleet = Fleet(cameras(8), capacity=100.0)
    fleet.look(60)
    assert fleet.caps == {}


def test_overload_is_gone_within_seconds_and_nothing_has_to_be_dropped() -> None:
    fleet = Fleet(cameras(20), capacity=100.0)
    fleet.look(4)
    assert set(fleet.caps) == set(fleet.wanted)
    assert sum(fleet.sent().values()) <= 100.0
    fleet.look(60)
    assert 80.0 <= sum(fleet.sent().values()) <= 100.0


def test_a_moment_of_trouble_is_none() -> None:
    fleet = Fleet(cameras(20), capacity=100.0)
    fleet.look(1)
    fleet.capacity = 1000.0
    fleet.look(5)
    assert fleet.caps == {}


def test_rates_are_lowered_by_weight_and_who_wants_less_than_its_share_keeps_it() -> None:
    fleet = Fleet(cameras(3, 30.0) | {"slow": 2.0}, capacity=40.0, weights={"cam-0": 1, "cam-1": 2, "cam-2": 4})
    fleet.look(6)
    assert "slow" not in fleet.caps
    assert fleet.caps["cam-1"] == pytest.approx(2 * fleet.caps["cam-0"])
    assert fleet.caps["cam-2"] == pytest.approx(4 * fleet.caps["cam-0"])


def test_a_complete_stream_is_never_asked_and_its_work_is_taken_off_the_budget() -> None:
    fleet = Fleet(cameras(10) | {"all": 40.0}, capacity=100.0, complete=frozenset({"all"}))
    fleet.look(10)
    assert "all" not in fleet.caps
    assert sum(fleet.sent().values()) <= 100.0


def test_what_cameras_would_send_stays_known_while_they_are_throttled() -> None:
    fleet = Fleet(cameras(20), capacity=100.0)
    fleet.look(120)
    assert sum(fleet.throttle.demand(name) for name in fleet.wanted) == pytest.approx(200.0)


def test_a_camera_that_wants_less_by_now_is_believed_after_a_while() -> None:
    fleet = Fleet(cameras(20), capacity=100.0)
    fleet.look(10)
    fleet.wanted = cameras(20, 2.0)
    fleet.look(12)
    assert fleet.caps == {}
    assert fleet.throttle.demand("cam-0") == 2.0


def test_when_servers_have_come_rates_recover_slowly_and_whole() -> None:
    fleet = Fleet(cameras(20), capacity=100.0)
    fleet.look(10)
    fleet.capacity = 400.0
    before = sum(fleet.sent().values())
    fleet.look(1)
    assert sum(fleet.sent().values()) <= 1.1 * before
    fleet.look(30)
    assert fleet.caps == {}


def test_a_capacity_taken_for_more_than_it_is_costs_frames_only_for_a_while() -> None:
    throttle, caps, late = Throttle(), dict[str, float](), 0.0
    for second in range(40):
        sent = {name: min(rate, caps.get(name, math.inf)) for name, rate in cameras(20).items()}
        late = max(0.0, 1 - 60.0 / sum(sent.values()))
        pressure = Pressure(100.0, 2.0, 0.3, late)
        caps = throttle.decide({name: Offered(1.0, rate) for name, rate in sent.items()}, pressure, float(second))
    assert late < 0.1


def test_without_a_known_capacity_nothing_is_asked() -> None:
    throttle = Throttle()
    for second in range(10):
        asked = throttle.decide({"a": Offered(1.0, 10.0)}, Pressure(math.nan, 0.0, 1.0, 1.0), float(second))
        assert asked == {}


rates = st.floats(0.0, 60.0)
weights = st.floats(0.01, 1000.0)


@given(budget=st.floats(0.0, 500.0), streams=st.lists(st.tuples(rates, weights), max_size=20))
def test_the_fair_level_uses_the_budget_up_and_no_more(budget: float, streams: list[tuple[float, float]]) -> None:
    level = fair_level(budget, streams)
    given_out = math.fsum(min(demand, level * weight) for demand, weight in streams)
    assert given_out <= budget * (1 + 1e-6) + 1e-6
    if math.isfinite(level):
        assert given_out == pytest.approx(budget, rel=1e-6, abs=1e-6)


@settings(max_examples=60, deadline=None)
@given(
    wanted=st.lists(st.tuples(st.floats(0.5, 60.0), st.floats(0.1, 10.0)), min_size=1, max_size=12),
    capacities=st.lists(st.floats(5.0, 800.0), min_size=1, max_size=5),
)
def test_whatever_comes_caps_are_fair_and_the_end_is_calm(
    wanted: list[tuple[float, float]], capacities: list[float]
) -> None:
    names = [f"cam-{number}" for number in range(len(wanted))]
    fleet = Fleet(
        {name: rate for name, (rate, _) in zip(names, wanted, strict=True)},
        capacity=capacities[0],
        weights={name: weight for name, (_, weight) in zip(names, wanted, strict=True)},
    )
    for capacity in capacities:
        fleet.capacity = capacity
        fleet.look(20)
        for name, cap in fleet.caps.items():
            assert LEAST_FRAMES_PER_S <= cap < fleet.throttle.demand(name)
        levels = {cap / fleet.weights[name] for name, cap in fleet.caps.items() if cap > LEAST_FRAMES_PER_S}
        assert max(levels, default=0.0) == pytest.approx(min(levels, default=0.0))
    fleet.look(60)
    most = max(capacities[-1], LEAST_FRAMES_PER_S * len(wanted))
    assert sum(fleet.sent().values()) <= 1.05 * most + LEAST_FRAMES_PER_S * len(wanted)
    fleet.capacity = 10_000.0
    fleet.look(200)  # at 8 % a second, from the lowest level that these weights allow to the highest
    assert fleet.caps == {}
