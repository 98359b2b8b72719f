"""Redis' clock as dispatchers know it, and which entry ids it can have given."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from narrows.runtime.redis.server_clock import STEP_MS, ServerClock
from orchestrator.shards.entry_id import AHEAD_MS, BEHIND_MS, OLDEST_MS, IdRange, entry_order

NOON_MS = 1_700_000_000_000.0


class World:
    """A server whose clock the test sets, and a way to it."""

    def __init__(self) -> None:
        self.now_s = 100.0
        self.set_by_ms = NOON_MS
        self.steps: list[float] = []
        self.clock = ServerClock(lambda: self.now_s, self.steps.append)

    def server_ms(self) -> float:
        return self.now_s * 1000 + self.set_by_ms

    def ask(self, there_s: float = 0.0005, back_s: float = 0.0005) -> None:
        asked_s = self.now_s
        self.now_s += there_s
        server_ms = self.server_ms()
        self.now_s += back_s
        self.clock.answered(asked_s, server_ms, self.now_s)


def test_the_first_answer_is_no_step_whatever_this_machine_thinks() -> None:
    world = World()
    world.ask()
    assert world.clock.now_ms() == pytest.approx(world.server_ms(), abs=0.001)
    assert world.steps == []
    assert world.clock.set_back_s == 0


@given(there_s=st.floats(0, 20), back_s=st.floats(0, 20))
def test_a_slow_answer_makes_nothing_worse_and_is_no_step(there_s: float, back_s: float) -> None:
    world = World()
    world.ask()
    world.ask(there_s, back_s)
    assert world.clock.now_ms() == pytest.approx(world.server_ms(), abs=1.0)
    assert world.steps == []


def test_a_clock_that_is_set_back_is_told_of_once_and_known_to_have_been_ahead() -> None:
    world = World()
    world.ask()
    world.set_by_ms -= 3_600_000
    world.ask()
    world.ask()
    assert world.steps == [pytest.approx(-3600, abs=0.01)]
    assert world.clock.now_ms() == pytest.approx(world.server_ms(), abs=1.0)
    assert world.clock.set_back_s == pytest.approx(3600, abs=0.01)
    world.now_s += 3601
    assert world.clock.set_back_s == 0


def test_a_clock_that_is_set_ahead_is_told_of_and_stands_behind_nothing() -> None:
    world = World()
    world.ask()
    world.set_by_ms += 5000
    world.ask()
    assert world.steps == [pytest.approx(5, abs=0.01)]
    assert world.clock.set_back_s == 0


def test_a_clock_that_is_slewed_is_followed_without_a_word() -> None:
    world = World()
    world.ask()
    for _ in range(100):
        world.set_by_ms -= STEP_MS / 2
        world.ask()
    assert world.steps == []
    assert world.clock.now_ms() == pytest.approx(world.server_ms(), abs=1.0)


def test_what_an_outcome_shows_of_the_clock_is_known_too() -> None:
    world = World()
    world.ask()
    world.clock.was_at(world.server_ms() + 60_000)
    assert world.clock.set_back_s == pytest.approx(60, abs=0.01)


IDS = IdRange(now_ms=NOON_MS, highest_ms=NOON_MS - 10, read_ms=NOON_MS - 60_000)
SET_BACK = IdRange(now_ms=NOON_MS, highest_ms=NOON_MS + 3_600_000, read_ms=NOON_MS - 60_000)


@pytest.mark.parametrize(
    ("ids", "at_ms", "forged"),
    [
        (IDS, NOON_MS, False),
        (IDS, NOON_MS + AHEAD_MS, False),
        (IDS, NOON_MS + AHEAD_MS + 1, True),
        (IDS, 18_446_744_073_709_551_615, True),
        (IDS, 0, True),
        (IDS, NOON_MS - 60_000, False),
        (IDS, NOON_MS - 60_000 - BEHIND_MS, False),
        (IDS, NOON_MS - 60_000 - BEHIND_MS - 1, True),
        (SET_BACK, NOON_MS + 3_600_000, False),
        (SET_BACK, NOON_MS + 3_600_000 + AHEAD_MS + 1, True),
        (IdRange(NOON_MS), NOON_MS - OLDEST_MS, False),
        (IdRange(NOON_MS), NOON_MS - OLDEST_MS - 1, True),
    ],
)
def test_an_id_is_forged_where_redis_cannot_have_given_it(ids: IdRange, at_ms: float, forged: bool) -> None:  # noqa: FBT001 - a case
    assert (ids.forged(int(at_ms)) is not None) == forged


@given(at_ms=st.integers(0, 2**64 - 1), read_ms=st.floats(NOON_MS - OLDEST_MS, NOON_MS) | st.just(-math.inf))
def test_an_age_is_never_negative_and_never_older_than_anything_waits(at_ms: int, read_ms: float) -> None:
    assert 0 <= IdRange(NOON_MS, read_ms=read_ms).age_ms(at_ms) <= OLDEST_MS


def test_ids_are_ordered_as_redis_orders_them() -> None:
    assert entry_order(b"9-10") > entry_order(b"9-9") > entry_order(b"8-11")
