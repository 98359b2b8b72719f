"""Latency by an estimated offset: always within the error that it states, whatever the wall clock does."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_client.transport.server_clock import ServerClockEstimate

delays = st.tuples(st.floats(0.0, 2.0), st.floats(0.0, 2.0))


class World:
    """A server whose clock is a thousand seconds ahead, a link, and a camera whose wall clock is wrong."""

    ahead_s = 1000.0

    def __init__(self) -> None:
        self.now_s = 50.0
        self.wall_error_s = 0.0
        self.there_s = self.back_s = 0.0
        self.asked = 0
        self.clock = ServerClockEstimate(lambda: self.now_s, lambda: self.now_s + self.ahead_s + self.wall_error_s)

    def ask(self) -> None:
        if not self.clock.due():
            return
        self.asked += 1
        asked_s = self.now_s
        self.now_s += self.there_s
        server_s = self.now_s + self.ahead_s
        self.now_s += self.back_s
        self.clock.answered(asked_s, server_s, self.now_s)


@given(trips=st.lists(delays, min_size=1, max_size=12), latency_s=st.floats(0.0, 5.0), wall=st.floats(-1e6, 1e6))
def test_the_true_latency_lies_within_the_stated_error(
    trips: list[tuple[float, float]], latency_s: float, wall: float
) -> None:
    world = World()
    for world.there_s, world.back_s in trips:
        world.ask()
        world.now_s += 17.0
    world.wall_error_s = wall
    taken_s = world.now_s
    entry_ms = int((taken_s + latency_s + world.ahead_s) * 1000)
    world.now_s += latency_s
    estimate = world.clock.latency(taken_s, entry_ms)
    assert estimate is not None
    assert abs(estimate.value_s - latency_s) <= estimate.error_s + 1e-5
    offset = world.clock.local_offset()
    assert offset is not None
    assert abs(offset.value_s - wall) <= offset.error_s + 1e-5


def test_the_quickest_answer_counts_and_its_error_grows_with_its_age() -> None:
    world = World()
    world.back_s = 0.4
    world.ask()
    world.now_s += 1.0
    world.back_s = 0.02
    world.ask()
    estimate = world.clock.local_offset()
    assert estimate is not None
    assert estimate.error_s == pytest.approx(0.01)
    world.now_s += 1000.0
    later = world.clock.local_offset()
    assert later is not None
    assert later.error_s == pytest.approx(0.01 + 0.015)


def test_nothing_is_known_before_an_answer_or_once_another_server_may_answer() -> None:
    world = World()
    assert world.clock.local_offset() is None
    world.ask()
    assert world.clock.latency(world.now_s, int((world.now_s + world.ahead_s) * 1000)) is not None
    assert world.clock.latency(None, 0) is None, "a frame of a boot before has no time by this boot's clock"
    world.clock.forget()
    assert world.clock.latency(world.now_s, 0) is None


def test_it_asks_every_second_at_first_and_seldom_later() -> None:
    world = World()
    for _ in range(100):
        world.ask()
        world.now_s += 1.0
    assert 8 + 4 <= world.asked <= 8 + 7


def test_a_user_that_may_not_ask_is_asked_no_more() -> None:
    world = World()
    assert world.clock.due()
    world.clock.refused()
    world.now_s += 60.0
    assert not world.clock.due()
    assert world.clock.local_offset() is None


def test_ids_that_stand_still_after_the_servers_clock_was_set_back_are_no_latencies() -> None:
    world = World()
    world.ask()
    world.now_s += 5.0
    stood_ms = int((world.now_s + world.ahead_s) * 1000)
    world.ahead_s -= 3600.0
    world.now_s += 2.0
    taken_s = world.now_s - 0.1
    assert world.clock.latency(taken_s, stood_ms) is None, "before the capture, by the clock as it was known"
    world.there_s = world.back_s = 0.1  # slower than what it must replace
    world.ask()
    assert world.asked == 2, "the clock is asked for at once"
    assert world.clock.latency(taken_s, stood_ms) is None, "an hour after the answer, by the clock as it is"
    right = world.clock.latency(taken_s, int((taken_s + 0.05 + world.ahead_s) * 1000))
    assert right is not None
    assert right.value_s == pytest.approx(0.05, abs=right.error_s)
    assert right.error_s < 0.2


def test_so_are_those_of_a_clock_that_was_set_ahead_until_it_was_asked() -> None:
    world = World()
    for _ in range(3):
        world.ask()
        world.now_s += 1.0
    world.ahead_s += 60.0
    taken_s = world.now_s - 0.1
    entry_ms = int((taken_s + 0.05 + world.ahead_s) * 1000)
    assert world.clock.latency(taken_s, entry_ms) is None
    world.now_s += 1.0
    world.ask()
    right = world.clock.latency(taken_s, entry_ms)
    assert right is not None
    assert right.value_s == pytest.approx(0.05, abs=0.002)


@given(trips=st.lists(delays, min_size=2, max_size=12))
def test_slow_answers_are_no_clock_that_was_set(trips: list[tuple[float, float]]) -> None:
    world = World()
    for answers, (world.there_s, world.back_s) in enumerate(trips, 1):
        world.ask()
        world.now_s += 17.0
        assert len(world.clock._samples) == min(answers, 8)
