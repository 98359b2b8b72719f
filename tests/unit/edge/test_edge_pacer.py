"""The pacer: even, by a monotonic clock, without bursts after a stall."""

from __future__ import annotations

from threading import Event
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_client.capture.paced_capture import PacedCapture
from edge_client.capture.pacer import Pacer


class FakeClock:
    """A monotonic clock that only moves when told to."""

    def __init__(self) -> None:
        self.now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


def test_the_first_frame_is_due_at_once() -> None:
    assert Pacer(FakeClock()).delay_s(10.0) == 0.0


def test_quick_work_is_taken_off_the_wait() -> None:
    clock = FakeClock()
    pacer = Pacer(clock)
    pacer.delay_s(10.0)
    clock.now_s += 0.03
    assert pacer.delay_s(10.0) == pytest.approx(0.07)
    assert pacer.behind_s == 0.0


def test_a_stall_is_counted_and_not_made_up_for_by_a_burst() -> None:
    clock = FakeClock()
    pacer = Pacer(clock)
    pacer.delay_s(10.0)
    clock.now_s += 5.0
    assert pacer.delay_s(10.0) == 0.0
    assert pacer.behind_s == pytest.approx(4.9)
    assert pacer.delay_s(10.0) == pytest.approx(0.1)


def test_a_new_rate_holds_from_the_next_frame() -> None:
    clock = FakeClock()
    pacer = Pacer(clock)
    pacer.delay_s(10.0)
    assert pacer.delay_s(2.0) == pytest.approx(0.5)


def test_a_wait_that_is_longer_than_is_committed_to_is_asked_for_anew() -> None:
    clock = FakeClock()
    pacer = Pacer(clock)
    pacer.delay_s(10.0)
    assert pacer.delay_s(0.001, within_s=5.0) == pytest.approx(1000.0)
    clock.now_s += 5.0
    assert pacer.delay_s(0.1, within_s=5.0) == pytest.approx(5.0)
    clock.now_s += 5.0
    assert pacer.delay_s(10.0) == pytest.approx(0.1), "it was committed to"
    assert pacer.behind_s == 0.0


class Waits(Event):
    """Waiting moves the clock, and does not take any time."""

    def __init__(self, clock: FakeClock) -> None:
        super().__init__()
        self._clock = clock

    def wait(self, timeout: float | None = None) -> bool:
        assert timeout is not None
        self._clock.now_s += timeout
        return self.is_set()


@pytest.mark.parametrize("least", [1e-9, 1e-300, 5e-324])
def test_a_camera_that_was_asked_for_next_to_no_frames_goes_on_once_it_is_asked_for_more(least: float) -> None:
    """Were it committed to the frame of then, one record would stop it for as long as it runs."""
    clock, beats = FakeClock(), list[float]()
    nothing: Any = None
    capture = PacedCapture(nothing, nothing, Pacer(clock), Waits(clock), lambda: beats.append(clock.now_s), live=True)
    assert capture.wait_until_due(lambda: 10.0)
    assert capture.wait_until_due(lambda: least if clock.now_s < 1060.0 else 10.0)
    assert clock.now_s == pytest.approx(1060.0)
    assert beats == [1005.0 + 5 * n for n in range(12)]
    capture.stop.set()
    assert not capture.wait_until_due(lambda: least)


@given(
    rate=st.floats(0.1, 240.0),
    works_s=st.lists(st.floats(0.0, 3.0), min_size=2, max_size=40),
)
def test_frames_never_come_faster_than_the_rate(rate: float, works_s: list[float]) -> None:
    clock = FakeClock()
    pacer = Pacer(clock)
    begun_s = clock.now_s
    for work_s in works_s:
        clock.now_s += pacer.delay_s(rate)
        clock.now_s += work_s
    last_frame_s = clock.now_s - works_s[-1]
    assert last_frame_s - begun_s >= (len(works_s) - 1) / rate - 1e-6
