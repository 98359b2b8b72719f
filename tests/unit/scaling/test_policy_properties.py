"""What holds whatever the signals say."""

import math
from dataclasses import dataclass
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.scaling.gain import gain, learned
from orchestrator.scaling.policy import PolicySettings, PolicyState, after_success, decide
from orchestrator.scaling.reason import Reason
from orchestrator.scaling.signals import Decision, FleetSignals, Orders, Signals

NUMBERS = st.one_of(
    st.floats(0, 5000),
    st.floats(0, 5000).map(round).map(float),
    st.sampled_from([math.nan, math.inf, -1.0, 0.0]),
)
RATES = st.dictionaries(
    st.integers(0, 5), st.one_of(st.floats(1, 300), st.sampled_from([math.nan, 1e-300, 5e-324])), max_size=5
)
SHARES = st.one_of(st.floats(0, 1), st.just(math.nan))


@dataclass(frozen=True)
class Look:
    after_s: float
    seen: Signals


@st.composite
def looks(draw: st.DrawFn, slots: st.SearchStrategy[int | None]) -> Look:
    fleet = FleetSignals(draw(st.integers(0, 20)), draw(st.integers(0, 10)), 0, draw(st.integers(1, 5)), draw(slots))
    seen = Signals(
        streams=draw(st.integers(0, 500)),
        frames_per_s=draw(NUMBERS),
        server_frames_per_s=draw(RATES),
        backlog_frames=draw(st.integers(0, 10_000)),
        backlog_age_s=draw(NUMBERS),
        late_ratio=draw(SHARES),
        fleet=fleet,
        dispatcher_saturation=draw(SHARES),
    )
    return Look(draw(st.sampled_from([0.0, 0.5, 2.0, 2.0, 2.0, 7.0, 31.0])), seen)


@st.composite
def policies(draw: st.DrawFn) -> PolicySettings:
    fewest = draw(st.integers(0, 3))
    return PolicySettings(
        min_servers=fewest,
        max_servers=fewest + draw(st.integers(1, 12)),
        min_instances=1,
        max_instances=draw(st.integers(1, 4)),
        target_load=draw(st.sampled_from([0.5, 0.7, 0.95])),
        hysteresis=draw(st.sampled_from([0.0, 0.1])),
        lowest_load=draw(st.sampled_from([0.3, 0.7])),
        smoothing_s=draw(st.sampled_from([0.0, 4.0])),
        regret_s=draw(st.sampled_from([0.0, 60.0])),
        stabilisation_s=draw(st.sampled_from([0.0, 10.0, 60.0])),
        trend_s=draw(st.sampled_from([0.0, 6.0])),
        idle_s=draw(st.sampled_from([0.0, 5.0])),
        instance_settle_s=draw(st.sampled_from([0.0, 4.0])),
        instance_stabilisation_s=draw(st.sampled_from([0.0, 20.0])),
        surge_servers=draw(st.integers(1, 16)),
    )


FIXED_SLOTS = st.one_of(st.none(), st.integers(0, 12)).flatmap(lambda n: st.lists(looks(st.just(n)), max_size=40))
ANY_SLOTS = st.lists(looks(st.one_of(st.none(), st.integers(0, 12))), max_size=40)


def run(series: list[Look], policy: PolicySettings, orders: Orders | None = None) -> list[tuple[float, Decision]]:
    state, now_s, decisions = PolicyState(), 0.0, []
    for look in series:
        now_s += look.after_s
        decision, state = decide(look.seen, orders or Orders(), state, policy, now_s)
        state = after_success(state, decision.servers, decision.instances)
        decisions.append((now_s, decision))
    return decisions


def ups_then_downs(course: list[tuple[float, int]]) -> list[float]:
    """How long after its last way up each way down came."""
    raised_s, gaps = -math.inf, []
    for (_, before), (now_s, after) in pairwise(course):
        if after > before:
            raised_s = now_s
        elif after < before:
            gaps.append(now_s - raised_s)
    return gaps


def reversals_within(course: list[tuple[float, int]], window_s: float) -> int:
    """The most changes of direction in any span shorter than the window."""
    moves = [
        (now_s, 1 if after > before else -1) for (_, before), (now_s, after) in pairwise(course) if after != before
    ]
    most = 0
    for first in range(len(moves)):
        inside = [move for at_s, move in moves[first:] if at_s - moves[first][0] < window_s]
        most = max(most, sum(a != b for a, b in pairwise(inside)))
    return most


@settings(max_examples=300, deadline=None)
@given(FIXED_SLOTS, policies())
def test_in_no_window_does_it_turn_twice(series: list[Look], policy: PolicySettings) -> None:
    decisions = run(series, policy)
    servers = [(now_s, d.servers) for now_s, d in decisions]
    instances = [(now_s, d.instances) for now_s, d in decisions]
    assert all(gap >= policy.stabilisation_s for gap in ups_then_downs(servers))
    assert all(gap >= policy.instance_stabilisation_s for gap in ups_then_downs(instances))
    assert reversals_within(servers, policy.stabilisation_s) <= 1
    assert reversals_within(instances, policy.instance_stabilisation_s) <= 1


@settings(max_examples=300, deadline=None)
@given(ANY_SLOTS, policies())
def test_it_stays_within_bounds_and_slots(series: list[Look], policy: PolicySettings) -> None:
    for look, (_, decision) in zip(series, run(series, policy), strict=True):
        slots = math.inf if look.seen.fleet.slots is None else look.seen.fleet.slots
        assert decision.servers <= slots
        assert min(policy.min_servers, slots) <= decision.servers <= policy.max_servers
        assert decision.reasons
        assert set(decision.reasons) <= set(Reason)


@settings(max_examples=300, deadline=None)
@given(ANY_SLOTS, policies())
def test_no_instance_is_added_for_less_than_the_least_gain(series: list[Look], policy: PolicySettings) -> None:
    decisions = run(series, policy)
    for look, (_, before), (_, after) in zip(series[1:], decisions, decisions[1:], strict=False):
        if after.instances > before.instances:
            rates = learned(look.seen.server_frames_per_s)
            brings = [gain(rates, n) for n in range(before.instances + 1, after.instances + 1)]
            assert brings == [None] or all(each is not None and each >= policy.min_gain for each in brings)
            assert after.instances <= policy.max_instances


@settings(max_examples=100, deadline=None)
@given(FIXED_SLOTS, policies())
def test_frozen_never_changes(series: list[Look], policy: PolicySettings) -> None:
    decisions = run(series, policy, Orders(frozen=True))
    assert len({(d.servers, d.instances) for _, d in decisions}) <= 1


@settings(max_examples=100, deadline=None)
@given(ANY_SLOTS, policies(), st.one_of(st.none(), st.integers(0, 20)))
def test_the_same_goes_in_and_the_same_comes_out(
    series: list[Look], policy: PolicySettings, number: int | None
) -> None:
    orders = Orders(servers=number)
    assert run(series, policy, orders) == run(series, policy, orders)
