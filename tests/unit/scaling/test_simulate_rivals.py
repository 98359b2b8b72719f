"""The rivals do what their documentation says in its own examples."""

import pytest

from orchestrator.scaling.signals import FleetSignals
from orchestrator.scaling.simulate.rivals.hpa import (
    Behaviour,
    Brakes,
    Hpa,
    HpaSettings,
    per_pod_replicas,
    utilisation_replicas,
)
from orchestrator.scaling.simulate.rivals.keda import Keda, KedaSettings
from orchestrator.scaling.simulate.rivals.knative import Knative, KnativeSettings
from orchestrator.scaling.simulate.rivals.ray_serve import RayServe, RayServeSettings, desired_replicas
from orchestrator.scaling.simulate.scaler import Scaler, SimulatedLoad


def seen(now_s: float, ready: int, *, starting: int = 0, ongoing: float = 0.0, offered: float = 0.0) -> SimulatedLoad:
    """Steady values: the running sums are those of a system that was always so."""
    return SimulatedLoad(
        now_s=now_s,
        streams=1,
        fleet=FleetSignals(ready, starting),
        offered_frames=offered * now_s,
        ongoing_frame_s=ongoing * now_s,
        busy_server_s=0.0,
        ready_server_s=ready * now_s,
        waiting=ongoing,
        in_flight=0.0,
        age_s=0.0,
        realtime_ended=0.0,
        realtime_late=0.0,
        server_frames_per_s={},
    )


def last_of(scaler: Scaler, until_s: float, ready: int, *, ongoing: float = 0.0, offered: float = 0.0) -> int:
    servers, now_s = ready, 0.0
    while now_s <= until_s:
        servers = scaler.look(seen(now_s, ready, ongoing=ongoing, offered=offered)).servers
        now_s += scaler.interval_s
    return servers


def test_hpa_doubles_at_twice_the_target_and_halves_at_half_of_it() -> None:
    # "if the current metric value is 200m, and the desired value is 100m, the number of replicas will be doubled ...
    # If the current value is instead 50m, you'll halve the number of replicas"
    assert utilisation_replicas(0.2, 0.1, 4, 4, 0.1) == 8
    assert utilisation_replicas(0.05, 0.1, 4, 4, 0.1) == 2


@pytest.mark.parametrize(("utilisation", "replicas"), [(0.54, 10), (0.56, 12), (0.46, 10), (0.44, 9)])
def test_hpa_does_nothing_within_its_tolerance(utilisation: float, replicas: int) -> None:
    assert utilisation_replicas(utilisation, 0.5, 10, 10, 0.1) == replicas


def test_hpa_takes_pods_that_are_not_ready_as_idle_on_the_way_up() -> None:
    assert utilisation_replicas(1.0, 0.5, 4, 8, 0.1) == 8  # 4 at 100 % and 4 at 0 % are 50 %
    assert utilisation_replicas(1.0, 0.5, 4, 5, 0.1) == 8  # 80 % over 5
    assert utilisation_replicas(0.6, 0.5, 4, 8, 0.1) == 8  # the direction would turn: nothing


def test_hpa_takes_an_average_value_as_a_total_to_be_shared() -> None:
    assert per_pod_replicas(100.0, 10.0, 4, 0.1) == 10
    assert per_pod_replicas(42.0, 10.0, 4, 0.1) == 4
    assert per_pod_replicas(3.0, 1.0, 0, 0.1) == 3


def test_hpa_may_add_the_larger_of_four_pods_and_all_there_are_each_15_s() -> None:
    up = [Brakes(Behaviour()).apply(100, current, 0.0) for current in (1, 3, 4, 10)]
    assert up == [5, 7, 8, 20]
    brakes, current, course = Brakes(Behaviour()), 1, []
    for sync in range(4):
        current = brakes.apply(100, current, sync * 15.0)
        course.append(current)
    assert course == [5, 10, 20, 40]
    assert brakes.apply(100, 40, 50.0) == 40  # within the same 15 s


def test_hpa_goes_down_to_the_highest_recommendation_of_five_minutes() -> None:
    brakes = Brakes(Behaviour())
    assert brakes.apply(10, 10, 0.0) == 10
    assert {brakes.apply(3, 10, sync * 15.0) for sync in range(1, 21)} == {10}
    assert brakes.apply(3, 10, 315.0) == 3


def test_hpa_can_be_told_how_fast_to_go_down() -> None:
    # the documentation's example: 10 % each minute there; here each 15 s
    brakes = Brakes(Behaviour(down_percent=10.0, down_stabilisation_s=0.0))
    assert brakes.apply(1, 80, 0.0) == 72


def test_hpa_on_frames_knows_the_capacity_of_a_server() -> None:
    hpa = Hpa(HpaSettings(metric="frames", target=0.5), 100.0)
    assert last_of(hpa, 15.0, 2, offered=250.0) == 5


def test_keda_has_five_entries_a_replica_and_none_after_the_cooldown() -> None:
    assert last_of(Keda(KedaSettings()), 0.0, 2, ongoing=25.0) == 5
    idle = KedaSettings(min_replicas=0, metric="lag")
    assert last_of(Keda(idle), 285.0, 1) == 1
    assert last_of(Keda(idle), 300.0, 1) == 0
    assert last_of(Keda(idle), 0.0, 0, ongoing=3.0) == 1
    assert last_of(Keda(KedaSettings(min_replicas=0, activation_lag=5.0)), 0.0, 0, ongoing=3.0) == 0


def test_ray_serve_keeps_two_ongoing_requests_a_replica() -> None:
    config = RayServeSettings()
    assert desired_replicas(8.0, 2, config) == 4
    assert desired_replicas(2.0, 2, config) == 1
    assert desired_replicas(8.0, 2, RayServeSettings(upscaling_factor=2.0)) == 6
    assert desired_replicas(19.0, 10, RayServeSettings(downscaling_factor=0.1)) == 10
    assert desired_replicas(17.0, 10, RayServeSettings(downscaling_factor=0.1)) == 9  # never stuck


def test_ray_serve_waits_thirty_seconds_up_and_ten_minutes_down() -> None:
    assert last_of(RayServe(RayServeSettings(), 50), 35.0, 2, ongoing=20.0) == 2
    assert last_of(RayServe(RayServeSettings(), 50), 41.0, 2, ongoing=20.0) == 10
    assert last_of(RayServe(RayServeSettings(), 50), 600.0, 4, ongoing=2.0) == 4
    assert last_of(RayServe(RayServeSettings(), 50), 611.0, 4, ongoing=2.0) == 1


def test_knative_targets_seventy_per_cent_of_a_hundred_in_flight() -> None:
    assert last_of(Knative(KnativeSettings()), 4.0, 1, ongoing=139.0) == 2
    assert last_of(Knative(KnativeSettings(target=10.0)), 4.0, 1, ongoing=12.0) == 2
    assert last_of(Knative(KnativeSettings(metric="rps")), 4.0, 1, offered=200.0) == 2


def test_knative_panics_at_twice_its_pods_and_then_lets_none_go() -> None:
    knative = Knative(KnativeSettings(target=10.0, target_utilisation=1.0))
    total, answers = 0.0, []
    for tick in range(120):
        now_s, ongoing = tick * 2.0, 100.0 if 30 <= tick < 36 else 10.0
        answers.append(knative.look(_sum(now_s, 1, total)).servers)
        total += ongoing * 2.0
    peak = max(answers)
    assert answers[29] == 1
    assert peak == 10  # the panic window's mean, not the stable window's
    assert answers[answers.index(peak) : answers.index(peak) + 30] == [peak] * 30
    assert answers[-1] == 1


def test_knative_lets_at_most_half_go_at_once_and_none_before_the_grace() -> None:
    assert last_of(Knative(KnativeSettings(target=10.0)), 66.0, 8) == 4
    knative = Knative(KnativeSettings())
    answers = [knative.look(_sum(tick * 2.0, 1, 0.0)).servers for tick in range(20)]
    assert answers[15] == 1
    assert answers[17] == 0


def _sum(now_s: float, ready: int, ongoing_frame_s: float) -> SimulatedLoad:
    return SimulatedLoad(now_s, 1, FleetSignals(ready), 0.0, ongoing_frame_s, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, {})
