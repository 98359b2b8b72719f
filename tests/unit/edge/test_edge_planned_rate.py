"""How many frames a second a camera that plans may send: the governor's part, as designs of other sizes take over."""

from __future__ import annotations

import pytest

from edge_client.rate.goodput import Delivery
from edge_client.rate.governor import Governor
from edge_client.rate.steering import Choice
from narrows.contract.bundle import SplitBundle
from narrows.contract.wire import Control
from tests import split_bundles


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> SplitBundle:
    """Cut 0 is quick and large, cut 1 slow and small."""
    return split_bundles.write(tmp_path_factory.mktemp("bundle"), unlike=True)


def test_the_governor_keeps_to_the_planned_level_and_fits_the_frame_rate(bundle: SplitBundle) -> None:
    governor = Governor(bundle.manifest, Choice(0, 10.0), adaptive=True, monotonic_s=lambda: 0.0)
    assert governor.choose(None).level == 1  # alone it would begin with the coarsest
    governor.plan(1, 0)
    assert governor.choose(None) == Choice(0, 10.0)
    assert governor.choose(Control(level=1)) == Choice(1, 10.0)
    governor.plan(0, 1)
    assert governor.choose(Control(level=0, frames_per_s=2.0)) == Choice(1, 2.0)


def test_the_frame_rate_that_fits_is_that_of_the_planned_cuts_packets(bundle: SplitBundle) -> None:
    governor = Governor(bundle.manifest, Choice(0, 10.0), adaptive=True, monotonic_s=lambda: 0.0)
    governor.plan(0, 0)
    governor.choose(None)
    governor.probed(0.0)
    for number in range(1, 9):
        governor.delivered(Delivery(number / 3, number / 3, (number + 1) / 3, 670))
    large = governor.choose(None)
    governor.plan(1, 0)
    small = governor.choose(None)
    assert governor.reading.speed.bytes_per_s == pytest.approx(2010.0)
    assert small.frames_per_s == pytest.approx(large.frames_per_s * 670 / 290)


SMALL_BYTES, LARGE_BYTES, NOTICED_S = 290, 670, 0.05


def behind_small_packets(bundle: SplitBundle, clock: list[float]) -> Governor:
    """Small packets cross a wide link; what is measured of each is that the device was late to notice its answer."""
    governor = Governor(bundle.manifest, Choice(0, 30.0), adaptive=True, monotonic_s=lambda: clock[0])
    governor.plan(1, 0)
    governor.choose(None)
    governor.probed(0.001)
    for _ in range(20):
        coded_s, clock[0] = clock[0], clock[0] + NOTICED_S
        governor.delivered(Delivery(coded_s, coded_s, clock[0], SMALL_BYTES))
        governor.choose(None)
        clock[0] += 0.5
    return governor


def test_a_design_of_larger_packets_begins_at_as_many_frames_a_second_as_the_one_before(bundle: SplitBundle) -> None:
    """Its rate in bytes is not that which small packets needed, and its first delivery counts alone."""
    clock = [10.0]
    governor = behind_small_packets(bundle, clock)
    small = governor.choose(None)
    governor.plan(0, 0)
    assert governor.choose(None).frames_per_s >= 0.4 * small.frames_per_s
    coded_s, clock[0] = clock[0], clock[0] + NOTICED_S
    governor.delivered(Delivery(coded_s, coded_s, clock[0], LARGE_BYTES))
    assert governor.choose(None).frames_per_s > 0.95 / NOTICED_S


def test_a_design_of_larger_packets_asks_no_more_of_a_link_than_it_took_of_their_size(bundle: SplitBundle) -> None:
    clock = [10.0]
    governor = Governor(bundle.manifest, Choice(0, 30.0), adaptive=True, monotonic_s=lambda: clock[0])
    governor.probed(0.001)
    for cut, size, took_s in ((0, LARGE_BYTES, 0.67), (1, SMALL_BYTES, 0.05)):
        governor.plan(cut, 0)
        governor.choose(None)
        for _ in range(3):
            coded_s, clock[0] = clock[0], clock[0] + took_s
            governor.delivered(Delivery(coded_s, coded_s, clock[0], size))
    governor.plan(0, 0)
    link = governor.reading
    assert link.rate_bytes_per_s == pytest.approx(0.95 * link.speed.of(LARGE_BYTES))
    assert governor.choose(None).frames_per_s < 1.5 / 0.67


def behind_both_sizes(bundle: SplitBundle, clock: list[float]) -> Governor:
    """Large packets crossed in 50 ms, small ones since then in as much or less, by when the device looks."""
    governor = Governor(bundle.manifest, Choice(0, 30.0), adaptive=True, monotonic_s=lambda: clock[0])
    governor.probed(0.001)
    for cut, size in ((0, LARGE_BYTES), (1, SMALL_BYTES)):
        governor.plan(cut, 0)
        governor.choose(None)
        for number in range(6):
            deliver(governor, clock, size, 0.02 if cut == 1 and number == 4 else NOTICED_S)
            governor.choose(None)
    return governor


def deliver(governor: Governor, clock: list[float], size: int, took_s: float) -> None:
    coded_s, clock[0] = clock[0], clock[0] + took_s
    governor.delivered(Delivery(coded_s, coded_s, clock[0], size))


def test_a_design_of_larger_packets_begins_at_the_rate_that_the_link_is_known_to_take_of_them(
    bundle: SplitBundle,
) -> None:
    """Small packets of so many bytes a second say nothing of it: as many frames as before are asked of it at once."""
    clock = [10.0]
    governor = behind_both_sizes(bundle, clock)
    rate = governor.reading.rate_bytes_per_s
    governor.plan(0, 0)
    assert governor.reading.rate_bytes_per_s == pytest.approx(rate * LARGE_BYTES / SMALL_BYTES, rel=0.05)


def test_behind_a_change_to_smaller_packets_these_alone_count(bundle: SplitBundle) -> None:
    """They are noticed as late as large ones, so fewer bytes cross in the time."""
    clock = [10.0]
    governor = Governor(bundle.manifest, Choice(0, 30.0), adaptive=True, monotonic_s=lambda: clock[0])
    governor.probed(0.001)
    governor.plan(0, 0)
    governor.choose(None)
    for _ in range(5):
        deliver(governor, clock, LARGE_BYTES, NOTICED_S)
    governor.plan(1, 0)
    deliver(governor, clock, SMALL_BYTES, NOTICED_S)
    assert governor.needs(None).carries_bytes_per_s < 1.1 * SMALL_BYTES / NOTICED_S


def test_a_design_of_packets_about_as_large_keeps_what_was_measured(bundle: SplitBundle) -> None:
    """A segment that is lost at the change is one of three."""
    clock = [10.0]
    governor = Governor(bundle.manifest, Choice(0, 30.0), adaptive=True, monotonic_s=lambda: clock[0])
    governor.probed(0.001)
    governor.plan(0, 1)
    governor.choose(None)
    for _ in range(5):
        deliver(governor, clock, 430, 0.1)
    governor.plan(1, 0)
    deliver(governor, clock, SMALL_BYTES, 0.9)
    assert governor.needs(None).carries_bytes_per_s == pytest.approx(0.95 * 4_300, rel=0.02)


def test_what_the_head_before_took_does_not_bound_the_frame_rate_of_another_cut(bundle: SplitBundle) -> None:
    governor = Governor(bundle.manifest, Choice(0, 10.0), adaptive=True, monotonic_s=lambda: 0.0)
    governor.plan(1, 0)
    governor.coded(0, 100, 1.0)
    assert governor.choose(None).frames_per_s == 0.95
    governor.plan(0, 0)
    assert governor.choose(None).frames_per_s == 10.0
