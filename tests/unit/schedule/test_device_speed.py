"""A device's speed: a prior, corrected by what its heads take."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from narrows.contract.schedule import Conditions, DeviceSpeed, Objective
from tests.unit.schedule.scenes import EARLY, GMAC, LATE, design, planner

HALF, WHOLE = design("half", None, macs=GMAC), design("whole", None, macs=2 * GMAC)


def test_before_anything_is_measured_macs_tell() -> None:
    assert DeviceSpeed(1e9).seconds(WHOLE) == pytest.approx(2.0)


def test_a_table_that_knows_a_time_is_believed_before_macs() -> None:
    assert DeviceSpeed(1e9).seconds(design("known", 0.125)) == 0.125


def test_one_head_corrects_all_designs() -> None:
    speed = DeviceSpeed(1e9)
    speed.took(HALF, 4.0, 0.0, 0.0)
    assert speed.seconds(WHOLE) == pytest.approx(8.0)


def test_a_head_under_load_is_counted_as_if_alone() -> None:
    speed = DeviceSpeed(1e9)
    speed.took(HALF, 4.0, 0.75, 0.0)
    assert speed.factor == pytest.approx(1.0)


@given(st.floats(0.05, 20), st.lists(st.floats(5, 1000) | st.floats(0.01, 0.2), max_size=5))
def test_heads_that_were_held_up_move_the_factor_by_nothing_while_they_are_the_lesser_part(
    true: float, outliers: list[float]
) -> None:
    speed = DeviceSpeed(1e9)
    for n in range(11):
        other = outliers[n // 2] if n % 2 and n // 2 < len(outliers) else 1.0
        speed.took(HALF, true * other, 0.0, n / 10)
    for n in range(11, 14):
        speed.took(HALF, true, 0.0, n / 10)
    assert speed.seconds(WHOLE) == pytest.approx(2 * true, rel=0.02)


def test_a_design_that_macs_say_wrongly_of_comes_to_its_own_time() -> None:
    """The head of `odd` takes three times what its MACs say; the others' times stay theirs."""
    speed, odd = DeviceSpeed(1e9), design("odd", None, macs=GMAC)
    for n in range(60):
        speed.took(HALF if n % 3 else odd, 1.0 if n % 3 else 3.0, 0.0, n / 10)
    assert speed.seconds(odd) == pytest.approx(3.0, rel=0.1)
    assert speed.seconds(HALF) == pytest.approx(1.0, rel=0.1)


def test_a_level_that_was_not_run_looks_no_faster_than_that_of_its_cut_that_was() -> None:
    """Heads at one cut are held up, by its coder, say; the device's factor is that of all."""
    speed, other = DeviceSpeed(), replace(design("other", 1.0), cut=0)
    used, finer, elsewhere = (replace(design(name, 0.1), cut=cut) for name, cut in (("a", 1), ("b", 1), ("c", 2)))
    for second in range(5):
        speed.took(other, 10.0, 0.0, float(second))
        speed.took(used, 1.3, 0.0, second + 0.5)
    assert speed.seconds(used) == pytest.approx(1.3)
    assert speed.seconds(finer) == pytest.approx(1.3)
    assert speed.seconds(elsewhere) == pytest.approx(1.0)


def test_a_device_that_becomes_slower_is_followed() -> None:
    speed = DeviceSpeed(1e9)
    for n in range(50):
        speed.took(HALF, 1.0, 0.0, n)
    for n in range(50, 75):
        speed.took(HALF, 2.0, 0.0, n)
    assert speed.seconds(WHOLE) == pytest.approx(4.0, rel=0.02)


@pytest.mark.parametrize("seconds", [0.0, -1.0, float("nan"), float("inf")])
def test_a_time_that_is_none_is_left_out(seconds: float) -> None:
    speed = DeviceSpeed(1e9)
    speed.took(HALF, seconds, 0.0, 0.0)
    assert not speed.measured


@pytest.mark.parametrize("slower", [0.2, 1.0, 5.0, 20.0])
def test_a_new_device_has_a_plan_within_two_seconds_that_is_near_the_best(slower: float) -> None:
    """Nothing but MACs is known. Frames are run one after the other, as a camera would; time is theirs."""
    designs = [design(f"at {n}", None, 40_000 / (n + 1), 0.05 * (10 - n) / 10, macs=n * GMAC // 20) for n in range(11)]
    truth = {each.name: slower * each.device_macs / 5e9 + 0.002 for each in designs}
    seen = Conditions(100_000.0, 0.04)
    found, now_s = planner(Objective.LATENCY, None, *designs), 0.0
    while now_s < 2.0:
        chosen = found.plan(seen, now_s).chosen.design
        now_s += truth[chosen.name]
        found.took(chosen.name, truth[chosen.name], 0.0, now_s)

    def latency_s(name: str) -> float:
        each = next(each for each in designs if each.name == name)
        return truth[name] + each.link_bytes / 100_000 + each.server_s

    best = min(latency_s(each.name) for each in designs)
    assert latency_s(found.plan(seen, now_s).chosen.design.name) <= 1.1 * best


def test_a_head_that_was_run_long_ago_follows_the_device() -> None:
    speed = DeviceSpeed()
    for now_s in (0.0, 1.0, 2.0):
        speed.took(EARLY, 2 * 0.05, 0.0, now_s)
    assert speed.seconds(EARLY) == pytest.approx(0.1)
    for now_s in (30.0, 31.0, 32.0):
        speed.took(LATE, 4 * 0.3, 0.0, now_s)
    assert speed.seconds(EARLY) == pytest.approx(0.2), "the device is half as fast as it was then"
    speed.took(EARLY, 3 * 0.05, 0.0, 33.0)
    assert speed.seconds(EARLY) == pytest.approx(0.15), "what it took half a minute ago does not count beside it"


def test_a_head_that_takes_twice_as_long_takes_twice_the_energy() -> None:
    speed = DeviceSpeed()
    assert speed.energy_j(EARLY) == pytest.approx(0.15)
    speed.took(EARLY, 2 * 0.05, 0.0, 0.0)
    assert speed.energy_j(EARLY) == pytest.approx(0.3)
    assert speed.energy_j(LATE) == pytest.approx(1.8), "by the device's factor"


def test_a_head_of_long_ago_is_remembered_by_the_median_of_its_last_five() -> None:
    speed = DeviceSpeed()
    for now_s in (0.0, 1.0, 2.0, 3.0):
        speed.took(EARLY, 2 * 0.05, 0.0, now_s)
    speed.took(EARLY, 40 * 0.05, 0.0, 4.0)
    for now_s in (30.0, 31.0, 32.0):
        speed.took(LATE, 2 * 0.3, 0.0, now_s)
    assert speed.seconds(EARLY) == pytest.approx(0.1), "the last one was held up"
