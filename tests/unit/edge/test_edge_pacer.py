"""The pacer: even, by a monotonic clock, without bursts after a stall."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

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
