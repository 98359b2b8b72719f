"""Rate control on a link in a fake time: within its limits, quick to yield, sure to recover, and calm."""

from __future__ import annotations

import random
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from statistics import median

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_client.rate.governor import LEAST_FRAMES_PER_S, Governor
from edge_client.rate.heat import Thermometer
from edge_client.rate.steering import Choice
from narrows.contract.bundle import Manifest
from narrows.contract.wire import Control
from tests.unit.edge.edge_link_model import Link, SimulatedCamera, play

ROOT = Path(__file__).resolve().parents[3]
MANIFEST = Manifest.parse((ROOT / "bundles" / "demo" / "manifest.json").read_bytes())
LEVELS = len(MANIFEST.levels)
OWN = Choice(0, 10.0)
KBIT = 125.0


def constant(kbit_s: float) -> Callable[[float], float]:
    return lambda _now_s: kbit_s * KBIT


def step(before_kbit_s: float, after_kbit_s: float, at_s: float) -> Callable[[float], float]:
    return lambda now_s: (before_kbit_s if now_s < at_s else after_kbit_s) * KBIT


def camera_on(rate: Callable[[float], float], length_s: float = 60.0, **link: float) -> SimulatedCamera:
    camera = SimulatedCamera(MANIFEST, OWN, Link(rate, **link))  # type: ignore[arg-type]
    play([camera], length_s)
    return camera


def frames_per_s(camera: SimulatedCamera, since_s: float, until_s: float) -> float:
    return sum(since_s <= sent.at_s < until_s for sent in camera.sent) / (until_s - since_s)


def p95_age_s(camera: SimulatedCamera, since_s: float = 0.0, until_s: float = 1e9) -> float:
    ages = sorted(sent.age_s for sent in camera.sent if since_s <= sent.at_s < until_s)
    return ages[int(0.95 * len(ages))]


def level_changes(camera: SimulatedCamera, since_s: float = 0.0) -> int:
    levels = [choice.level for at_s, choice in camera.choices if at_s >= since_s]
    return sum(a != b for a, b in pairwise(levels))


def test_on_an_ample_link_every_frame_goes_at_the_finest_level() -> None:
    camera = camera_on(constant(2000))
    assert {choice for at_s, choice in camera.choices if at_s > 10} == {OWN}
    assert frames_per_s(camera, 10, 60) == pytest.approx(10.0, rel=0.02)


@pytest.mark.parametrize("one_way_s", [0.0005, 0.02, 0.08])
def test_on_an_ample_link_the_finest_level_is_found_within_a_second(one_way_s: float) -> None:
    camera = camera_on(constant(2000), 5, one_way_s=one_way_s)
    assert {choice for at_s, choice in camera.choices if at_s >= 1.0} == {OWN}
    assert frames_per_s(camera, 0, 5) > 9.5


@pytest.mark.parametrize("kbit_s", [20, 30, 40])
@pytest.mark.parametrize("one_way_s", [0.0005, 0.02])
def test_a_thin_link_is_not_tried_with_finer_levels_at_the_start(kbit_s: float, one_way_s: float) -> None:
    camera = camera_on(constant(kbit_s), 2, one_way_s=one_way_s)
    assert {choice.level for _, choice in camera.choices} == {LEVELS - 1}
    assert p95_age_s(camera) < 0.6


@pytest.mark.parametrize("kbit_s", [20, 40])
def test_a_thin_link_that_lets_the_first_packets_through_at_once_is_found_out_soon(kbit_s: float) -> None:
    camera = SimulatedCamera(MANIFEST, OWN, Link(constant(kbit_s), burst_bytes=1600))
    play([camera], 30)
    assert p95_age_s(camera, 0, 5) < 0.9
    assert frames_per_s(camera, 5, 30) > 0.7 * min(10.0, kbit_s * KBIT / (camera.sizes[-1] + 190))


def test_a_level_that_is_asked_for_while_the_first_one_is_looked_for_ends_the_search() -> None:
    camera = SimulatedCamera(MANIFEST, OWN, Link(constant(2000)))
    play([camera], 0.35)
    camera.control = Control(level=LEVELS - 1)
    play([camera], 3)
    camera.control = None
    assert camera.choices[-1][1].level == LEVELS - 1
    assert camera.governor.window_bytes > 2 * camera.sizes[-1]


def test_a_camera_with_a_level_of_its_own_looks_for_none() -> None:
    camera = SimulatedCamera(MANIFEST, Choice(LEVELS - 1, 10.0), Link(constant(2000)), adaptive=False)
    play([camera], 3)
    assert camera.governor.window_bytes > 2 * camera.sizes[-1]


@pytest.mark.parametrize("kbit_s", [20, 40, 70, 100, 500])
def test_a_steady_link_is_used_well_and_masks_stay_young(kbit_s: float) -> None:
    camera = camera_on(constant(kbit_s))
    assert p95_age_s(camera, 5) < 0.9
    coarsest = camera.sizes[-1] + 190
    possible = min(10.0, kbit_s * KBIT / coarsest)
    assert frames_per_s(camera, 10, 60) > 0.7 * possible


@pytest.mark.parametrize("kbit_s", [20, 40, 55, 70, 90, 100])
def test_a_steady_link_is_not_oscillated_on(kbit_s: float) -> None:
    camera = camera_on(constant(kbit_s), 120)
    assert level_changes(camera, 30) <= 6  # a climb that fails is tried again after twice the time, up to a minute


def test_a_step_down_is_followed_within_seconds() -> None:
    camera = camera_on(step(200, 20, 20.0))
    assert {choice.level for at_s, choice in camera.choices if at_s > 25} == {LEVELS - 1}
    assert p95_age_s(camera, 23) < 0.9
    assert frames_per_s(camera, 23, 60) > 2.5


def test_a_step_up_is_recovered_to_the_finest_level() -> None:
    camera = camera_on(step(20, 1000, 20.0), 60)
    assert frames_per_s(camera, 24, 60) > 9.0
    assert camera.choices[-1][1] == OWN


def test_an_outage_is_no_congestion_and_is_over_when_it_is_over() -> None:
    outage = lambda now_s: 0.0 if 20 <= now_s < 25 else 100 * KBIT  # noqa: E731 -- a rate, as the others
    camera = camera_on(outage)
    assert frames_per_s(camera, 25.2, 30) > 9.0
    assert max(sent.age_s for sent in camera.sent if sent.at_s > 26) < 0.9


def test_a_lost_segment_now_and_then_is_no_congestion() -> None:
    camera = camera_on(constant(2000), one_way_s=0.08, loss=0.02)
    assert frames_per_s(camera, 5, 60) > 9.0
    assert p95_age_s(camera) < 0.9


def test_an_outage_costs_no_level() -> None:
    outage = lambda now_s: 0.0 if 20 <= now_s < 23 else 1000 * KBIT  # noqa: E731 -- a rate, as the others
    camera = camera_on(outage)
    assert {choice.level for at_s, choice in camera.choices if at_s > 10} == {OWN.level}


def test_losses_on_a_long_and_thin_way_cost_neither_frames_nor_fine_levels() -> None:
    camera = camera_on(constant(100), one_way_s=0.08, loss=0.02)
    assert frames_per_s(camera, 5, 60) > 9.5
    assert p95_age_s(camera) < 0.9
    # Which level a run of losses leads to for some seconds is chance, so not the coarsest of the time.
    assert median(choice.level for at_s, choice in camera.choices if at_s > 30) <= 2


def test_where_many_losses_hold_frames_back_a_coarser_level_is_used() -> None:
    camera = camera_on(constant(100), one_way_s=0.08, loss=0.15)
    assert frames_per_s(camera, 5, 60) > 8.5
    assert p95_age_s(camera) < 0.9
    assert min(choice.level for at_s, choice in camera.choices if at_s > 30) >= LEVELS - 2


def test_a_long_way_alone_costs_nothing() -> None:
    near, far = (camera_on(constant(100), one_way_s=one_way_s) for one_way_s in (0.01, 0.3))
    assert frames_per_s(far, 20, 60) == pytest.approx(frames_per_s(near, 20, 60), rel=0.05)
    assert p95_age_s(far, 20) - p95_age_s(near, 20) < 0.7


def test_a_short_dip_is_ridden_out() -> None:
    dip = lambda now_s: (20 if 20 <= now_s < 21 else 40) * KBIT  # noqa: E731 -- a rate, as the others
    camera = camera_on(dip, 40)
    assert frames_per_s(camera, 19, 24) > 9.0
    assert p95_age_s(camera, 19, 24) < 0.9


def test_cameras_behind_one_link_share_it() -> None:
    link = Link(constant(120), random=random.Random(3))
    cameras = [SimulatedCamera(MANIFEST, OWN, link) for _ in range(3)]
    play(cameras, 60)
    rates = [frames_per_s(each, 10, 60) for each in cameras]
    assert min(rates) > 0.6 * max(rates)
    assert max(p95_age_s(each, 10) for each in cameras) < 1.0


@settings(max_examples=25, deadline=None)
@given(
    kbit_s=st.lists(st.floats(0.0, 400.0), min_size=1, max_size=8),
    one_way_s=st.floats(0.0, 0.2),
    loss=st.floats(0.0, 0.2),
    level=st.none() | st.integers(0, 255),
    cap=st.none() | st.floats(0.1, 240.0),
)
def test_whatever_the_link_does_no_limit_is_passed(
    kbit_s: list[float], one_way_s: float, loss: float, level: int | None, cap: float | None
) -> None:
    control = Control(level=level, frames_per_s=cap)
    link = Link(lambda now_s: kbit_s[int(now_s / 2) % len(kbit_s)] * KBIT + 1.0, one_way_s, loss)
    camera = SimulatedCamera(MANIFEST, OWN, link, control=control)
    play([camera], 20)
    most = min(OWN.frames_per_s, cap or OWN.frames_per_s)
    finest = min(level or 0, LEVELS - 1)
    for _, choice in camera.choices:
        assert finest <= choice.level < LEVELS
        assert min(LEAST_FRAMES_PER_S, most) <= choice.frames_per_s <= most


@settings(max_examples=15, deadline=None)
@given(kbit_s=st.lists(st.floats(0.0, 300.0), min_size=1, max_size=6), loss=st.floats(0.0, 0.1))
def test_whatever_the_link_did_an_ample_one_is_used_to_the_full_again(kbit_s: list[float], loss: float) -> None:
    def rate(now_s: float) -> float:
        return kbit_s[int(now_s / 5)] * KBIT + 1.0 if now_s < 5 * len(kbit_s) else 2000 * KBIT

    over_s = 5.0 * len(kbit_s) + 3.0
    camera = SimulatedCamera(MANIFEST, OWN, Link(rate, 0.02, loss))
    camera.link.loss = 0.0
    play([camera], over_s + 30)
    assert frames_per_s(camera, over_s + 5, over_s + 30) > 9.0


def test_a_level_of_ones_own_is_kept_whatever_the_link_does() -> None:
    camera = SimulatedCamera(MANIFEST, Choice(1, 10.0), Link(constant(20)), adaptive=False)
    play([camera], 20)
    assert {choice for _, choice in camera.choices} == {Choice(1, 10.0)}


def test_no_more_frames_are_asked_for_than_the_encoder_makes() -> None:
    governor = Governor(MANIFEST, OWN, adaptive=True, monotonic_s=lambda: 0.0)
    for _ in range(50):
        governor.coded(0, 1100, encode_s=0.4)
    assert governor.choose(None).frames_per_s == pytest.approx(0.95 / 0.4, rel=0.01)


def test_a_hot_board_gets_fewer_frames(tmp_path: Path) -> None:
    zone = tmp_path / "thermal_zone0"
    zone.mkdir()
    (zone / "temp").write_text("87500\n")
    thermometer = Thermometer(lambda: 0.0, tmp_path)
    governor = Governor(MANIFEST, OWN, adaptive=True, monotonic_s=lambda: 0.0, thermometer=thermometer)
    assert governor.choose(None).frames_per_s == pytest.approx(5.0)


def test_a_zone_that_cannot_be_read_says_nothing(tmp_path: Path) -> None:
    for name, text in (("thermal_zone0", "off"), ("thermal_zone1", "41000")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "temp").write_text(text)
    assert Thermometer(lambda: 0.0, tmp_path).read_c() == 41.0
    assert Thermometer(lambda: 0.0, tmp_path / "absent").read_c() is None
