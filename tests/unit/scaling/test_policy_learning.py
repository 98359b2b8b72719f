"""What the policy learns of its fleet: how far below full load to aim, and how long to keep what seems idle."""

import pytest

from orchestrator.scaling.demand import offered_now, slope_per_s
from orchestrator.scaling.margin import Margin
from orchestrator.scaling.patience import ScaleDownWindow
from orchestrator.scaling.policy import PolicySettings

SETTINGS = PolicySettings(
    target_load=0.9, lowest_load=0.7, margin_memory_s=1000.0, stabilisation_s=15.0, longest_stabilisation_s=300.0
)


def after_lateness(peak: float) -> float:
    margin = Margin(0.9, 0.0)
    for now_s, load in enumerate([0.9, 1.0, peak, 0.95]):
        margin = margin.note(load, SETTINGS, float(now_s), late=load >= 1)
    return margin.note(0.8, SETTINGS, 12.0, late=False).load


def test_the_aim_falls_to_where_the_burst_would_just_have_fitted() -> None:
    assert after_lateness(1.2) == pytest.approx(0.9 / 1.2 - 0.02)


def test_a_leap_that_no_margin_would_have_caught_teaches_nothing() -> None:
    assert after_lateness(10.0) == 0.9


def test_lateness_without_load_teaches_nothing() -> None:
    margin = Margin(0.9, 0.0).note(0.5, SETTINGS, 1.0, late=True)
    assert margin.note(0.5, SETTINGS, 20.0, late=False).load == 0.9


def test_without_lateness_the_aim_returns() -> None:
    margin = Margin(0.7, 0.0)
    assert margin.note(0.5, SETTINGS, 500.0, late=False).load == pytest.approx(0.8)
    assert margin.note(0.5, SETTINGS, 5000.0, late=False).load == 0.9


def test_servers_that_are_missed_soon_are_kept_longer_next_time() -> None:
    patience = ScaleDownWindow(60.0).after(20, 8, SETTINGS, 100.0)
    assert patience.window_s == 30.0
    missed = patience.after(8, 16, SETTINGS, 150.0)
    assert missed.window_s == 120.0
    assert missed.after(16, 20, SETTINGS, 152.0).window_s == 120.0  # one mistake counts once
    again = missed.after(20, 8, SETTINGS, 500.0).after(8, 20, SETTINGS, 550.0)
    assert again.window_s == 300.0


@pytest.mark.parametrize(
    ("back_to", "after_s"),
    [(10, 50.0), (20, 500.0)],
    ids=["a few of them", "much later"],
)
def test_it_was_no_mistake_where_few_are_missed_or_late(back_to: int, after_s: float) -> None:
    patience = ScaleDownWindow(60.0).after(20, 8, SETTINGS, 100.0)
    assert patience.after(8, back_to, SETTINGS, 100.0 + after_s) == patience


def test_a_server_more_or_less_is_noise() -> None:
    patience = ScaleDownWindow(60.0).after(20, 19, SETTINGS, 100.0)
    assert patience.after(19, 20, SETTINGS, 120.0).window_s == 30.0


def test_a_descent_in_steps_is_one_and_the_window_stays_above_its_least() -> None:
    patience = ScaleDownWindow(60.0)
    for number in range(5):
        patience = patience.after(20 - number, 19 - number, SETTINGS, 100.0 + 2 * number)
    assert (patience.window_s, patience.fell_from) == (30.0, 20)
    for number in range(5):
        patience = patience.after(20, 5, SETTINGS, 1000.0 * (number + 1))
    assert patience.window_s == SETTINGS.stabilisation_s


def test_the_offered_load_is_a_mean_until_it_leaps() -> None:
    calm = tuple((float(t), 100.0 + (t % 2)) for t in range(5))
    assert offered_now(calm, 4.0, 0.08) == pytest.approx(100.4)
    assert offered_now((*calm, (5.0, 200.0)), 4.0, 0.08) == 200.0
    assert offered_now((*calm, (5.0, 10.0)), 4.0, 0.08) == 10.0


def test_a_ramp_has_a_slope_and_a_step_or_a_ripple_has_none() -> None:
    ramp = tuple((float(t), 100.0 + 5 * t) for t in range(21))
    assert slope_per_s(ramp, 20.0, 0.08) == pytest.approx(5.0, rel=0.1)
    for at in range(21):
        step = tuple((float(t), 100.0 if t < at else 1000.0) for t in range(21))
        assert slope_per_s(step, 20.0, 0.08) == 0.0
    ripple = tuple((float(t), 100.0 + 0.2 * t) for t in range(21))
    assert slope_per_s(ripple, 20.0, 0.08) == 0.0
    assert slope_per_s(ramp[:8], 20.0, 0.08) == 0.0  # too short a past
    assert slope_per_s(ramp, 0.0, 0.08) == 0.0
