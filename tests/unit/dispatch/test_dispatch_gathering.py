"""Reads are few under overload, and cost nobody time who would wait for nothing else."""

from __future__ import annotations

from orchestrator.dispatch.gathering import gathers, worth_a_read
from orchestrator.dispatch.settings import DispatchSettings

ROOM, READ_COUNT = DispatchSettings().room, DispatchSettings().read_count


def test_streams_that_hold_nothing_are_read_at_once() -> None:
    assert worth_a_read([0], 1, ROOM)
    assert worth_a_read([0, 0, 0], 3, ROOM)


def test_one_that_holds_nothing_is_read_though_its_neighbours_have_no_room() -> None:
    assert worth_a_read([0], 4, ROOM)


def test_one_that_runs_low_is_read_though_the_others_have_no_room() -> None:
    assert worth_a_read([ROOM // 4 - 1], 4, ROOM)


def test_room_in_one_of_several_is_not_read_while_it_still_has_frames() -> None:
    assert not worth_a_read([ROOM - READ_COUNT], 4, ROOM)
    assert not worth_a_read([ROOM - READ_COUNT, ROOM // 4], 4, ROOM)


def test_room_in_all_of_them_is_read() -> None:
    assert worth_a_read([ROOM - READ_COUNT] * 4, 4, ROOM)


def test_without_room_there_is_nothing_to_read() -> None:
    assert not worth_a_read([], 4, ROOM)
    assert not worth_a_read([], 0, ROOM)


def test_a_stream_that_has_no_room_for_a_read_holds_enough_until_it_has() -> None:
    """Else it could be left alone with no frame for a batch: room for a read comes before it runs low."""
    assert ROOM - READ_COUNT >= ROOM // 4


def test_a_frame_that_comes_alone_to_a_shard_without_others_makes_nobody_wait() -> None:
    assert not gathers(1, 1, READ_COUNT)
    assert not gathers(0, 5, READ_COUNT)


def test_what_comes_behind_a_few_frames_is_gathered_while_others_are_under_way() -> None:
    assert gathers(1, 2, READ_COUNT)
    assert not gathers(READ_COUNT, 20, READ_COUNT), "a read that brought much is followed by the next at once"
