from orchestrator.scaling.gain import capacity, gain
from orchestrator.scaling.policy import PolicySettings, PolicyState, decide
from orchestrator.scaling.reason import Reason
from orchestrator.scaling.signals import Orders
from tests.unit.scaling.scenes import RATES, one, signals

NOBODY = Orders()
SETTINGS = PolicySettings(trend_s=0.0, instance_settle_s=15.0, target_load=0.8, hysteresis=0.05)


def test_a_known_gain_is_taken_before_a_server_is() -> None:
    decision = one(signals(70.0, rates=RATES), SETTINGS)
    assert (decision.servers, decision.instances) == (1, 2)
    assert decision.reasons[0] == Reason.INSTANCE_GAIN


def test_under_ten_per_cent_it_stops_and_servers_come() -> None:
    decision = one(signals(200.0, rates=RATES, instances=2), SETTINGS)
    assert (decision.servers, decision.instances) == (3, 2)
    assert Reason.INSTANCE_GAIN_LOW in decision.reasons


def test_an_unknown_gain_is_tried_alone_and_judged_before_the_next() -> None:
    only_one, settle_s = {1: 80.0}, SETTINGS.instance_settle_s
    tried, state = decide(signals(70.0, rates=only_one), NOBODY, PolicyState(), SETTINGS, 0.0)
    assert (tried.servers, tried.instances, tried.reasons[0]) == (1, 2, Reason.INSTANCE_TRY)
    again, state = decide(signals(70.0, rates=only_one, instances=2), NOBODY, state, SETTINGS, settle_s / 2)
    assert (again.servers, again.instances, again.reasons[0]) == (1, 2, Reason.SETTLING)
    unlearned, _ = decide(signals(190.0, rates=only_one, instances=2), NOBODY, state, SETTINGS, 3 * settle_s)
    assert unlearned.instances == 2  # what two do is not learned: no third
    assert unlearned.servers > 1
    both = {1: 80.0, 2: 104.0}
    learned, _ = decide(signals(190.0, rates=both, instances=2), NOBODY, state, SETTINGS, 3 * settle_s)
    assert learned.instances == 3


def test_while_a_try_carries_the_load_no_server_is_added_but_one_is_where_it_does_not() -> None:
    heavy = one(signals(400.0, rates={1: 80.0}), SETTINGS)
    assert (heavy.servers, heavy.instances) == (7, 2)


def test_an_instance_that_turned_out_useless_goes_after_its_window() -> None:
    settings = PolicySettings(trend_s=0.0, instance_stabilisation_s=30.0)
    state, instances, seen = PolicyState(), 3, []
    for number in range(40):
        decision, state = decide(signals(50.0, rates=RATES, instances=instances), NOBODY, state, settings, 2.0 * number)
        instances = decision.instances
        seen.append(instances)
    assert seen[:15] == [3] * 15
    assert seen[-1] < 3


def test_without_servers_no_instance_is_tried() -> None:
    decision = one(signals(500.0, ready=0, rates=RATES), PolicySettings(min_servers=0))
    assert decision.instances == 1
    assert decision.servers > 0


def test_the_gain_is_what_the_last_instance_brings() -> None:
    assert gain(RATES, 2) == RATES[2] / RATES[1] - 1
    assert gain({1: 80.0}, 2) is None
    assert gain({2: 80.0}, 2) is None


def test_a_number_of_instances_that_was_not_seen_is_judged_by_its_neighbours() -> None:
    assert capacity({1: 80.0, 2: 104.0}, 3) == 104.0
    assert capacity({2: 104.0}, 1) == 52.0
    assert capacity({}, 1) is None
