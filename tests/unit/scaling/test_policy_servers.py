import math

import pytest

from orchestrator.scaling.policy import PolicySettings, PolicyState, after_failure, after_success, decide
from orchestrator.scaling.reason import Reason
from orchestrator.scaling.signals import Orders
from tests.unit.scaling.scenes import one, plain, play, signals

NOBODY = Orders()


def test_servers_follow_the_load_before_anything_waits() -> None:
    settings = plain(target_load=0.8, hysteresis=0.0)
    assert one(signals(750.0), settings).servers == math.ceil(750 / 80)
    assert one(signals(750.0), settings).reasons[0] == Reason.LOAD_HIGH


def test_nothing_changes_while_the_load_is_between_target_and_hysteresis() -> None:
    settings = plain(target_load=0.8, hysteresis=0.1)
    assert {d.servers for d in play([300.0] * 200, settings, ready=4)} == {4}
    # 3 servers would have load 0.77, above 0.8 - 0.1: the fourth stays for good
    assert {d.servers for d in play([230.0] * 200, settings, ready=4)} == {4}


def test_servers_go_only_after_a_whole_window_in_which_fewer_would_do() -> None:
    settings = plain(stabilisation_s=60.0)
    decisions = play([400.0] * 10 + [50.0] * 100, settings, ready=1)
    most = decisions[9].servers
    first_down = next(n for n, d in enumerate(decisions) if n > 9 and d.servers < most)
    assert first_down * 2.0 >= 9 * 2.0 + 60.0
    assert decisions[first_down].reasons[0] == Reason.LOAD_LOW
    assert decisions[first_down - 1].reasons[0] == Reason.STABILISING
    assert decisions[-1].servers == 1


def test_a_ramp_is_met_before_it_arrives_and_a_step_is_no_ramp() -> None:
    settings = plain(PolicySettings(max_instances=1, trend_s=20.0, startup_s=20.0), max_servers=64)
    ramp = [100.0 + 10 * n for n in range(40)]
    with_trend, without = play(ramp, settings), play(ramp, plain(settings, trend_s=0.0))
    assert with_trend[-1].servers > without[-1].servers
    assert Reason.RISING in {r for d in with_trend for r in d.reasons}
    step = [100.0] * 30 + [1000.0] * 30
    assert max(d.servers for d in play(step, settings)) == max(
        d.servers for d in play(step, plain(settings, trend_s=0))
    )


def test_look_ahead_adds_at_most_its_limit() -> None:
    settings = plain(PolicySettings(max_instances=1, startup_s=600.0, trend_limit=0.5), max_servers=1000)
    decisions = play([100.0 + 100 * n for n in range(30)], settings)
    assert decisions[-1].servers <= math.ceil(3000 * 1.5 / 100 / settings.target_load)


@pytest.mark.parametrize("missing", [{}, {1: math.nan}, {1: 0.0}, {0: 50.0}, {1: math.inf}])
def test_without_a_cost_what_is_there_is_kept(missing: dict[int, float]) -> None:
    decision = one(signals(500.0, ready=3, rates=missing), plain())
    assert (decision.servers, decision.reasons[0]) == (3, Reason.SIGNALS_MISSING)


def test_without_any_signal_the_minimum_holds_all_the_same() -> None:
    assert one(signals(math.nan, ready=0, streams=0, rates={}), plain(min_servers=3, surge_servers=1)).servers == 3


@pytest.mark.parametrize("rate", [math.nan, math.inf, -1.0])
def test_without_a_load_what_is_there_is_kept(rate: float) -> None:
    seen = signals(rate, ready=3, streams=100)
    assert one(seen, plain()).reasons[0] == Reason.SIGNALS_MISSING


def test_signals_that_are_no_numbers_cause_no_trouble() -> None:
    decision = one(signals(50.0, age_s=math.nan, late=math.nan, saturation=math.nan), plain())
    assert decision.servers == 1


def test_bounds_hold_and_are_named() -> None:
    few = plain(max_servers=4)
    assert (one(signals(5000.0), few).servers, one(signals(5000.0), few).reasons[-1]) == (4, Reason.AT_MAXIMUM)
    full = one(signals(5000.0, slots=3), plain())
    assert full.servers == 3
    assert Reason.CAPACITY_EXHAUSTED in full.reasons
    some = plain(min_servers=3)
    assert play([1.0] * 200, some, ready=5)[-1].servers == 3


def test_only_so_many_start_at_once() -> None:
    settings = plain(surge_servers=4, surge_share=1.0, max_servers=100)
    decision = one(signals(5000.0, ready=2), settings)
    assert decision.servers == 6
    assert Reason.SURGE_LIMIT in decision.reasons
    assert one(signals(5000.0, ready=10), settings).servers == 20


def test_to_zero_after_the_idle_time_and_back_at_the_first_frame() -> None:
    settings = plain(min_servers=0, idle_s=100.0, stabilisation_s=20.0)
    decisions = play([90.0] * 10 + [0.0] * 100, settings)
    empty = next(n for n, d in enumerate(decisions) if d.servers == 0)
    assert (empty - 10) * 2.0 >= 100.0
    assert decisions[empty].reasons[0] == Reason.IDLE
    cold = one(signals(0.0, ready=0, backlog=1, rates={}, streams=0), settings)
    assert (cold.servers, cold.reasons[0]) == (1, Reason.COLD_START)
    assert one(signals(0.0, ready=0, streams=1), settings).servers == 1
    assert one(signals(400.0, ready=0), settings).servers == math.ceil(400 / 100 / settings.target_load)
    assert one(signals(0.0, ready=0), settings).servers == 0


def test_without_a_minimum_of_zero_the_last_server_stays() -> None:
    assert play([0.0] * 1000, plain(idle_s=10.0))[-1].servers == 1


def test_waiting_frames_call_for_more_than_the_load_does_but_not_before_the_last_change_had_time() -> None:
    settings = plain(stabilisation_s=60.0, cooldown_s=10.0, startup_s=20.0)
    _, state = decide(signals(60.0), NOBODY, PolicyState(), settings, 0.0)
    early, state = decide(signals(60.0, backlog=6000, age_s=9.0), NOBODY, state, settings, 10.0)
    assert (early.servers, early.reasons[0]) == (1, Reason.SETTLING)
    late, _ = decide(signals(60.0, backlog=6000, age_s=9.0), NOBODY, state, settings, 31.0)
    assert late.servers == math.ceil((60 + 6000 / settings.drain_s) / 100 / settings.first_load)
    assert late.reasons[0] == Reason.BACKLOG


def test_lateness_at_low_load_has_another_cause() -> None:
    settings = plain()
    _, state = decide(signals(10.0), NOBODY, PolicyState(), settings, 0.0)
    assert decide(signals(10.0, late=0.5), NOBODY, state, settings, 100.0)[0].servers == 1
    assert decide(signals(70.0, late=0.5), NOBODY, state, settings, 100.0)[0].servers == 2


def test_a_saturated_dispatcher_is_not_taken_for_decoder_load() -> None:
    settings = plain()
    _, state = decide(signals(60.0), NOBODY, PolicyState(), settings, 0.0)
    seen = signals(60.0, backlog=6000, age_s=9.0, saturation=0.97)
    decision, _ = decide(seen, NOBODY, state, settings, 100.0)
    assert (decision.servers, decision.reasons[0]) == (1, Reason.DISPATCHER_SATURATED)
    loaded, _ = decide(signals(600.0, saturation=0.97), NOBODY, state, settings, 100.0)
    assert loaded.servers > 1


def test_frozen_changes_nothing_and_a_number_is_obeyed_within_bounds() -> None:
    settings = plain(max_servers=8)
    frozen = play([50.0] * 5 + [900.0] * 50, settings, ready=2, orders=Orders(frozen=True))
    assert {(d.servers, d.reasons) for d in frozen} == {(2, (str(Reason.FROZEN),))}
    assert one(signals(900.0, ready=2), settings, Orders(servers=5)).servers == 5
    assert one(signals(10.0, ready=7), settings, Orders(servers=1)).servers == 1
    assert one(signals(10.0), settings, Orders(servers=50)).servers == 8
    assert one(signals(10.0), settings, Orders(servers=5)).reasons[0] == Reason.MANUAL


def test_after_a_failure_the_engine_is_left_alone_ever_longer_and_then_asked_again() -> None:
    settings = plain(retry_s=5.0, longest_retry_s=60.0)
    decision, state = decide(signals(500.0, ready=2), NOBODY, PolicyState(), settings, 0.0)
    wanted = decision.servers
    now_s, pauses = 0.0, []
    for _ in range(6):
        state = after_failure(state, settings, now_s, exhausted=False)
        failed_s = now_s
        while True:
            now_s += 1.0
            decision, state = decide(signals(500.0, ready=2), NOBODY, state, settings, now_s)
            if decision.servers == wanted:
                break
            assert (decision.servers, decision.reasons) == (2, (str(Reason.BACKING_OFF),))
        pauses.append(now_s - failed_s)
    assert pauses == [5, 10, 20, 40, 60, 60]
    state = after_success(state, decision.servers, decision.instances)
    assert (state.failures, state.applied) == (0, (wanted, 1))


def test_a_full_engine_is_not_asked_for_more_for_a_while_but_for_fewer() -> None:
    settings = plain(exhausted_retry_s=30.0, stabilisation_s=10.0, first_stabilisation_s=10.0)
    _, state = decide(signals(500.0, ready=3), NOBODY, PolicyState(), settings, 0.0)
    state = after_failure(state, settings, 0.0, exhausted=True)
    decision, state = decide(signals(500.0, ready=3), NOBODY, state, settings, 2.0)
    assert decision.servers == 3
    assert Reason.CAPACITY_EXHAUSTED in decision.reasons
    assert decide(signals(500.0, ready=3), NOBODY, state, settings, 31.0)[0].servers > 3
    for now_s in range(4, 28, 2):
        decision, state = decide(signals(50.0, ready=3), NOBODY, state, settings, float(now_s))
    assert decision.servers < 3


def test_a_new_leader_takes_what_it_finds_and_waits_a_window_before_anything_goes() -> None:
    settings = plain(stabilisation_s=60.0)
    decision, state = decide(signals(50.0, ready=5, starting=2), NOBODY, PolicyState(), settings, 5000.0)
    assert decision.servers == 7
    assert decide(signals(50.0, ready=7), NOBODY, state, settings, 5059.0)[0].servers == 7


def test_settings_that_contradict_themselves_are_refused() -> None:
    for wrong in ({"min_servers": 5, "max_servers": 4}, {"target_load": 0.0}, {"hysteresis": 0.9}, {"drain_s": 0.0}):
        with pytest.raises(ValueError, match=next(iter(wrong))):
            PolicySettings(**wrong)
