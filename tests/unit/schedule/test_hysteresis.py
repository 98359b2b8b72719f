"""No flapping: how often designs are exchanged, whatever is measured."""

from __future__ import annotations

import math
import random
from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from narrows.contract.schedule import Conditions, Constraints, Hysteresis, Objective, Planner, Reason, Settings
from narrows.contract.schedule.hysteresis import Candidate, advantage
from narrows.contract.schedule.objective import Rank
from tests.unit.schedule.scenes import FAST, SLOW, planner

SETTINGS = Settings()


def candidate(cost: float, broken: float = 0.0, device_s: float = 0.0) -> Candidate:
    return Candidate(Rank(0.0, broken, cost, 0.0, 0.0), device_s)


def switches(found: Planner, course: list[tuple[float, Conditions]]) -> list[float]:
    decisions = [(now_s, found.plan(seen, now_s)) for now_s, seen in course]
    return [now_s for now_s, decision in decisions[1:] if decision.switched]


def after(cost: float, device_s: float = 0.0, settings: Settings = SETTINGS) -> float:
    """Seconds until a design of this cost takes over from one of cost 1."""
    hysteresis = Hysteresis(settings)
    for step in range(10_000):
        if hysteresis.step(0, [candidate(1.0), candidate(cost, device_s=device_s)], step / 100):
            return step / 100
    return math.inf


def test_a_great_advantage_is_taken_soon_and_a_small_one_late() -> None:
    assert after(0.5) == pytest.approx(0.3 / 0.46, abs=0.02)
    assert after(0.8) == pytest.approx(0.3 / 0.16, abs=0.02)


def test_an_advantage_within_the_margin_is_never_taken() -> None:
    assert after(0.965) == math.inf


def test_a_look_after_a_long_silence_counts_for_a_second_at_most() -> None:
    hysteresis = Hysteresis(SETTINGS)
    better = [candidate(1.0), candidate(0.8)]
    assert hysteresis.step(0, better, 0.0) == 0
    assert hysteresis.step(0, better, 60.0) == 0, "a camera that slept a minute has seen one moment of it"
    assert hysteresis.step(0, better, 61.0) == 1


def test_a_head_that_takes_long_is_not_begun_for_a_short_while() -> None:
    assert after(0.5, device_s=4.0) == pytest.approx(1.0 / 0.46, abs=0.02)


def test_the_best_of_the_moment_takes_over_also_where_another_was_better_for_longer() -> None:
    hysteresis = Hysteresis()
    current = 0
    for step in range(100):
        costs = (1.0, 0.5, 2.0 if step < 60 else 0.2)
        current = hysteresis.step(current, [candidate(cost) for cost in costs], step / 100)
    assert current == 2


def test_what_keeps_a_constraint_that_is_broken_has_the_whole_advantage() -> None:
    assert advantage(candidate(1.0, broken=0.1).rank, candidate(50.0).rank) == 1.0
    assert advantage(candidate(50.0).rank, candidate(1.0, broken=0.1).rank) < 0


def test_a_constraint_that_comes_to_be_broken_is_kept_again_within_a_third_of_a_second() -> None:
    found = planner(Objective.DEVICE_ENERGY, Constraints(most_latency_s=1.0))
    found.took("early", 0.05, 0.0, 0.0)
    assert found.plan(FAST, 0.0).chosen.design.name == "picture"
    for step in range(1, 200):
        decision = found.plan(SLOW, step / 100)
        if decision.switched:
            break
    assert decision.reason is Reason.CONSTRAINT
    assert not decision.broken
    assert step / 100 <= SETTINGS.least_dwell_s + 0.02


@given(
    st.lists(
        st.tuples(
            st.floats(0.001, 2), st.just(0.0) | st.just(1e7) | st.floats(0, 1e8), st.floats(0, 1), st.floats(0, 1)
        ),
        max_size=80,
    ),
    st.sampled_from(Objective),
)
def test_two_switches_are_at_least_the_dwell_apart_whatever_is_measured(
    steps: list[tuple[float, float, float, float]], objective: Objective
) -> None:
    found = planner(objective, Constraints(most_latency_s=0.6, least_frames_per_s=2))
    now_s, course = 0.0, [(0.0, FAST)]
    for step_s, goodput, cloud, device in steps:
        now_s += step_s
        course.append((now_s, Conditions(goodput, 0.04, device, None, cloud)))
    times = switches(found, course)
    for first, second in pairwise(times):
        assert second - first >= SETTINGS.least_dwell_s - 1e-9


def test_noise_that_moves_costs_by_less_than_the_margin_causes_no_switch() -> None:
    chance = random.Random(1)
    found = planner(Objective.LATENCY)
    found.took("early", 0.05, 0.0, 0.0)
    crossing = Conditions(57_000 / 0.19, 0.04)  # early and late are equally fast here
    course = [(n / 20, replace(crossing, goodput_bytes_per_s=crossing.goodput_bytes_per_s * chance.uniform(0.96, 1.04)))
              for n in range(20 * 120)]  # fmt: skip
    assert switches(found, course) == []


def test_on_a_link_that_jumps_over_a_crossing_all_the_time_switches_become_rare() -> None:
    """Two minutes of a fast and a slow link in turn, each for two seconds: 60 occasions."""
    found = planner(Objective.LATENCY)
    found.took("early", 0.05, 0.0, 0.0)
    course = [(n / 20, FAST if n // 40 % 2 else SLOW) for n in range(20 * 120)]
    times = switches(found, course)
    assert len(times) <= 1 + 120 / SETTINGS.return_s


def test_once_it_is_calm_it_is_as_quick_as_before() -> None:
    found = planner(Objective.LATENCY)
    found.took("early", 0.05, 0.0, 0.0)
    flapping = [(n / 20, FAST if n // 40 % 2 else SLOW) for n in range(20 * 60)]
    calm = [(60 + n / 20, FAST) for n in range(20 * 40)]
    last = [(100 + n / 20, SLOW) for n in range(20 * 5)]
    times = switches(found, flapping + calm + last)
    assert 100 < times[-1] < 100.5


@given(st.floats(0.01, 100), st.floats(0.01, 100))
def test_an_advantage_is_at_most_whole(one: float, other: float) -> None:
    assert -1.0 <= advantage(candidate(one).rank, candidate(other).rank) <= 1.0


def test_of_those_that_are_due_and_cost_about_the_same_that_of_fewest_bytes_takes_over() -> None:
    many, few = Candidate(Rank(0.0, 0.0, 0.5, 0.0, 50_000.0), 0.0), Candidate(Rank(0.0, 0.0, 0.505, 0.0, 2_000.0), 0.0)
    hysteresis = Hysteresis(SETTINGS)
    chosen = [hysteresis.step(0, [candidate(1.0), many, few], step / 100) for step in range(100)]
    assert next(each for each in chosen if each) == 2


def test_who_goes_back_waits_twice_as_long_each_time_up_to_eight_times() -> None:
    hysteresis, now_s, waited = Hysteresis(SETTINGS), 0.0, []
    for back in range(5):
        current, begun_s = back % 2, now_s
        better = [candidate(1.0 if number == current else 0.5) for number in (0, 1)]
        while hysteresis.step(current, better, now_s) == current:
            now_s += 0.01
        waited.append(now_s - begun_s)
    assert waited == pytest.approx([each * 0.3 / 0.46 for each in (1, 1, 2, 4, 8)], abs=0.03)


def test_a_long_sleep_lets_all_returns_be_forgotten_at_once() -> None:
    hysteresis = Hysteresis(SETTINGS)
    for number, now_s in enumerate((0.0, 1.0, 2.0, 3.0, 4.0)):
        hysteresis.leave(number % 2, 1 - number % 2, now_s)
    better = [candidate(1.0), candidate(0.5)]
    begun_s = 4.0 + 4 * SETTINGS.forget_s
    looks = (begun_s + step / 100 for step in range(1000))
    assert next(now_s for now_s in looks if hysteresis.step(0, better, now_s)) - begun_s < 2 * 0.3 / 0.46


def test_the_best_of_the_moment_waits_for_its_long_head_and_one_that_is_due_takes_over() -> None:
    hysteresis, looks = Hysteresis(SETTINGS), (step / 100 for step in range(1000))
    designs = [candidate(1.0), candidate(0.5), candidate(0.4, device_s=8.0)]
    assert next(chosen for now_s in looks if (chosen := hysteresis.step(0, designs, now_s))) == 1


def test_none_takes_over_at_a_moment_at_which_it_is_hardly_better() -> None:
    """Its head looked so slow that it had to wait; now it looks quick, and is better by less than the margin."""
    hysteresis = Hysteresis(SETTINGS)
    for step in range(100):
        assert hysteresis.step(0, [candidate(1.0), candidate(0.5, device_s=4.0)], step / 100) == 0
    assert hysteresis.step(0, [candidate(1.0), candidate(0.97)], 1.0) == 0


def test_the_time_before_a_pin_was_let_go_counts_for_nothing() -> None:
    hysteresis = Hysteresis(SETTINGS)
    better = [candidate(1.0), candidate(0.5)]
    assert hysteresis.step(0, better, 0.0) == 0
    hysteresis.leave(1, 0, 100.0)
    assert hysteresis.step(0, better, 100.1) == 0
