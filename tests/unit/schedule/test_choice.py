"""Which design is chosen: objectives, constraints, conditions."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from narrows.contract.schedule import Conditions, Constraints, Design, Objective
from narrows.contract.schedule.conditions import estimate, goodput_while_waiting, share_when
from narrows.contract.schedule.objective import ABOUT_THE_SAME, cost
from tests.unit.schedule.scenes import AWAY, DEVICE, EARLY, FAST, LATE, SLOW, design, planner

NUMBERS = st.tuples(st.floats(0.001, 10), st.floats(1, 1e6), st.floats(0, 2), st.floats(0, 1), st.integers(0, 10**9))
designs = st.lists(NUMBERS, min_size=2, max_size=8).map(
    lambda found: [design(f"d{n}", *f) for n, f in enumerate(found)]
)
conditions = st.builds(
    Conditions, st.floats(0, 1e8), st.floats(0, 1), st.floats(0, 1), st.none() | st.floats(20, 120), st.floats(0, 1.5)
)
limits = st.builds(
    Constraints,
    st.none() | st.floats(0, 1),
    st.none() | st.integers(0, 10**9),
    st.none() | st.floats(0.01, 10),
    st.none() | st.floats(0.01, 10),
    st.none() | st.floats(0.01, 10),
    st.none() | st.floats(0, 2),
)


def first(objective: Objective, seen: Conditions, constraints: Constraints | None = None) -> str:
    found = planner(objective, constraints)
    found.took("early", EARLY.device_s or 0, 0.0, 0.0)
    return found.plan(seen, 0.0).chosen.design.name


def test_latency_is_that_of_device_link_and_server_one_after_the_other() -> None:
    found = estimate(EARLY, 0.05, 0.15, Conditions(60_000.0, 0.1, cloud_load=0.5))
    assert found.latency_s == pytest.approx(0.05 + 1.0 + 0.05 + 0.08 / 0.5)


def test_the_slowest_of_device_link_and_server_sets_the_rate() -> None:
    assert estimate(EARLY, 0.05, 0.15, Conditions(60_000.0)).frames_per_s == pytest.approx(1.0)
    assert estimate(EARLY, 0.05, 0.15, Conditions(cloud_load=0.9)).frames_per_s == pytest.approx(1.25)
    assert estimate(EARLY, 0.05, 0.15, Conditions(device_load=0.9)).frames_per_s == pytest.approx(2.0)


def test_what_a_frame_takes_beside_its_head_is_the_devices_too() -> None:
    found = estimate(EARLY, 0.05, 0.15, Conditions(device_load=0.9, overhead_s=0.15))
    assert found.frames_per_s == pytest.approx(0.5)
    assert found.latency_s == pytest.approx(estimate(EARLY, 0.2, 0.15, Conditions(device_load=0.9)).latency_s)
    assert found.device_energy_j == 0.15


def test_a_wait_in_the_cloud_counts_for_what_needs_a_server_alone() -> None:
    waits = Conditions(100_000.0, cloud_wait_s=2.0)
    assert estimate(EARLY, 0.05, 0.15, waits).latency_s == pytest.approx(0.05 + 0.6 + 0.08 + 2.0)
    assert estimate(DEVICE, 0.5, 1.5, waits).latency_s == pytest.approx(0.5 + 0.001)


def test_few_frames_on_their_way_pass_no_faster_than_their_latency_lets_them() -> None:
    few = Conditions(100_000.0, cloud_wait_s=5.27, most_on_their_way=3)
    assert estimate(EARLY, 0.05, 0.15, few).frames_per_s == pytest.approx(0.5)
    assert estimate(DEVICE, 0.5, 1.5, few).frames_per_s == pytest.approx(2.0)


def test_a_link_that_was_not_measured_is_taken_to_carry_a_megabit() -> None:
    unknown, megabit = estimate(EARLY, 0.05, 0.15, Conditions()), estimate(EARLY, 0.05, 0.15, Conditions(125_000.0))
    assert unknown == megabit


def test_a_packet_that_waits_twice_its_time_and_a_second_means_that_the_link_is_away() -> None:
    assert goodput_while_waiting(50_000.0, 25_000.0, 1.9) == 50_000.0
    assert goodput_while_waiting(50_000.0, 25_000.0, 2.1) == 0.0
    assert goodput_while_waiting(math.inf, 125_000.0, 2.9) == math.inf
    assert goodput_while_waiting(math.inf, 125_000.0, 3.1) == 0.0


def test_a_hot_board_leaves_a_fifth_of_the_rate_and_the_latency_as_it_is() -> None:
    warm, hot = (estimate(DEVICE, 0.5, 1.5, Conditions(temperature_c=celsius)) for celsius in (60.0, 99.0))
    assert hot.frames_per_s == pytest.approx(warm.frames_per_s / 5)
    assert hot.latency_s == warm.latency_s


def test_a_fast_link_takes_what_a_slow_one_does_not() -> None:
    assert first(Objective.LATENCY, FAST) == "picture"
    assert first(Objective.LATENCY, SLOW) == "late"


def test_a_link_that_is_away_makes_the_device_do_it_all() -> None:
    assert first(Objective.LATENCY, AWAY) == "device"
    assert first(Objective.THROUGHPUT, AWAY) == "device"


def test_a_cloud_in_demand_makes_the_device_do_more() -> None:
    assert first(Objective.LATENCY, replace(FAST, cloud_load=0.99)) == "device"
    assert first(Objective.THROUGHPUT, replace(FAST, cloud_load=0.99)) == "device"


def test_a_loaded_device_does_less() -> None:
    link = Conditions(100_000.0)
    assert first(Objective.THROUGHPUT, link) == "late"
    assert first(Objective.THROUGHPUT, replace(link, device_load=0.8)) == "early"


def test_energy_and_server_cost_are_objectives_of_their_own() -> None:
    assert first(Objective.DEVICE_ENERGY, SLOW) == "picture"
    assert first(Objective.SERVER_COST, FAST) == "device"


def test_each_constraint_rules_out_what_breaks_it() -> None:
    assert first(Objective.LATENCY, FAST, Constraints(least_accuracy=0.991)) == "early"
    assert first(Objective.SERVER_COST, FAST, Constraints(most_memory_bytes=6_000_000)) == "late"
    assert first(Objective.SERVER_COST, FAST, Constraints(most_latency_s=0.4)) == "late"
    assert first(Objective.SERVER_COST, FAST, Constraints(least_frames_per_s=3)) == "late"
    assert first(Objective.SERVER_COST, FAST, Constraints(most_device_energy_j=0.5)) == "early"
    assert first(Objective.LATENCY, FAST, Constraints(most_server_s=0.05)) == "late"


def test_memory_and_accuracy_are_given_up_last() -> None:
    constraints = Constraints(most_memory_bytes=2_000_000, most_latency_s=0.001)
    assert first(Objective.LATENCY, SLOW, constraints) in {"early", "picture"}


def test_of_two_that_cost_the_same_and_send_as_much_the_more_accurate_is_taken() -> None:
    worse, better = design("worse", accuracy=0.9), design("better", accuracy=0.95)
    found = planner(Objective.LATENCY, None, worse, better)
    assert found.plan(FAST, 0.0).chosen.design == better


def test_of_two_that_cost_about_the_same_that_of_fewer_bytes_is_taken_for_the_link_is_known_least() -> None:
    """By the estimate the device sets the rate of both; were the link a third of what it seems, one would keep it."""
    safe, rash = design("safe", 0.2003, 20_000, accuracy=0.991), design("rash", 0.2, 55_000, accuracy=0.999)
    constraints = Constraints(least_accuracy=0.99)
    found = planner(Objective.THROUGHPUT, constraints, rash, safe)
    found.took("rash", 0.2, 0.0, 0.0)
    decision = found.plan(Conditions(300_000.0), 0.0)
    assert (decision.chosen.design, decision.next_best and decision.next_best.design) == (safe, rash)
    thinner = {each.design.name: each.estimate.frames_per_s for each in found.consider(Conditions(100_000.0))}
    assert thinner["safe"] > 1.8 * thinner["rash"]


def test_few_bytes_do_not_make_up_for_a_cost_that_is_higher_nor_for_accuracy_that_is_asked_for() -> None:
    slow, quick = design("slow", 0.22, 20_000), design("quick", 0.2, 55_000)
    found = planner(Objective.THROUGHPUT, None, slow, quick)
    found.took("quick", 0.2, 0.0, 0.0)
    assert found.plan(Conditions(300_000.0), 0.0).chosen.design == quick
    poor = design("poor", 0.2, 20_000, accuracy=0.98)
    found = planner(Objective.THROUGHPUT, Constraints(least_accuracy=0.99), poor, quick)
    found.took("quick", 0.2, 0.0, 0.0)
    assert found.plan(Conditions(300_000.0), 0.0).chosen.design == quick


@given(st.none() | st.floats(-40, 150))
def test_heat_leaves_between_a_fifth_and_all(celsius: float | None) -> None:
    assert 0.2 <= share_when(celsius) <= 1.0


@given(designs, conditions, limits, st.sampled_from(Objective))
def test_a_constraint_that_some_design_keeps_is_broken_by_none_that_is_taken(
    found: list[Design], seen: Conditions, constraints: Constraints, objective: Objective
) -> None:
    chosen = planner(objective, constraints, *found)
    chosen.took("d0", 0.5, 0.0, 0.0)
    decision = chosen.plan(seen, 0.0)
    keeping = [each for each in chosen.consider(seen) if not constraints.broken(each.estimate)]
    if keeping:
        assert not decision.broken
        least = min(cost(objective, each.estimate) for each in keeping)
        assert cost(objective, decision.chosen.estimate) <= least * (1 + ABOUT_THE_SAME) * (1 + 1e-9)
    else:
        assert decision.broken


@given(designs, conditions, st.floats(1.01, 100), st.floats(0, 1), st.sampled_from(Objective))
def test_a_better_link_never_takes_fewer_bytes_and_less_accuracy(
    found: list[Design], seen: Conditions, times: float, accuracy: float, objective: Objective
) -> None:
    """By an exchange: b/g falls most for the design of most bytes, so where it was not worse it stays so."""
    assume(seen.goodput_bytes_per_s > 1)
    constraints = Constraints(least_accuracy=accuracy)
    better = replace(seen, goodput_bytes_per_s=seen.goodput_bytes_per_s * times)
    one, other = planner(objective, constraints, *found), planner(objective, constraints, *found)
    before, after = one.plan(seen, 0.0).chosen, other.plan(better, 0.0).chosen
    costs = [cost(objective, each.estimate) for each in (*one.consider(seen), *one.consider(better))]
    assume(all(not math.isclose(a, b, rel_tol=1e-9) for a in costs for b in costs if a != b))
    fewer = after.design.link_bytes < before.design.link_bytes
    assert not (fewer and after.design.accuracy < before.design.accuracy)


@given(designs, conditions, st.floats(0, 1), st.sampled_from(Objective))
def test_a_cloud_with_less_load_never_makes_the_result_later_but_for_what_is_about_the_same(
    found: list[Design], seen: Conditions, share: float, objective: Objective
) -> None:
    lighter = replace(seen, cloud_load=seen.cloud_load * share)
    one, other = planner(objective, None, *found), planner(objective, None, *found)
    before, after = one.plan(seen, 0.0).chosen.estimate, other.plan(lighter, 0.0).chosen.estimate
    assert cost(objective, after) <= cost(objective, before) * (1 + ABOUT_THE_SAME) * (1 + 1e-9)


def test_late_has_fewer_bytes_than_early() -> None:
    """The scenes are what the tests above take them for."""
    assert LATE.link_bytes < EARLY.link_bytes
