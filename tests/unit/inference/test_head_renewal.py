"""Servers are connected to anew soon after heads changed, and then again, ever more seldom, while they differ."""

from collections.abc import Iterator
from itertools import pairwise

import pytest

from orchestrator.inference.head_renewal import FILLED_S, FIRST_S, LONGEST_S, HeadRenewal


class Clock:
    now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def clock() -> Clock:
    return Clock()


def attempts(renewal: HeadRenewal, clock: Clock, seconds: int, *, differ: bool) -> Iterator[float]:
    """When it was due, asked once a second."""
    begun_s = clock.now_s
    for second in range(seconds):
        clock.now_s = begun_s + second
        if renewal.due(differ=differ):
            yield second


def test_a_change_has_one_attempt_once_repositories_were_filled(clock: Clock) -> None:
    renewal = HeadRenewal(clock)
    renewal.changed()
    assert list(attempts(renewal, clock, 3600, differ=False)) == [FILLED_S]
    assert not renewal.again


def test_a_server_that_lacks_a_head_is_asked_ever_more_seldom(clock: Clock) -> None:
    renewal = HeadRenewal(clock)
    renewal.changed()
    found = list(attempts(renewal, clock, 7200, differ=True))
    pauses = [after - before for before, after in pairwise(found)]
    assert found[0] == FILLED_S
    assert FIRST_S / 2 <= pauses[0] <= FIRST_S + 1
    assert all(LONGEST_S / 2 <= pause <= LONGEST_S + 1 for pause in pauses[7:])
    assert len(found) < 30, "each attempt has Triton load a model in vain"


def test_another_change_begins_anew(clock: Clock) -> None:
    renewal = HeadRenewal(clock)
    renewal.changed()
    list(attempts(renewal, clock, 7200, differ=True))
    renewal.changed()
    found = list(attempts(renewal, clock, 30, differ=True))
    assert found[0] == FILLED_S
    assert len(found) > 1


def test_a_removed_head_is_let_go_with_the_second_attempt_only(clock: Clock) -> None:
    renewal = HeadRenewal(clock)
    renewal.changed()
    clock.now_s += FILLED_S
    assert renewal.due(differ=True)
    assert not renewal.again, "other dispatchers may ask for it still"
    clock.now_s += FIRST_S
    assert renewal.due(differ=True)
    assert renewal.again


def test_without_a_change_servers_that_lack_nothing_are_left_alone(clock: Clock) -> None:
    assert not list(attempts(HeadRenewal(clock), clock, 3600, differ=False))
