"""The batch picker: shares by weight, order within a stream, room for whoever comes next."""

from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.dispatch.fairness import FairPicker, lone_frames


def _filled(**streams: tuple[float, int]) -> FairPicker[int]:
    picker: FairPicker[int] = FairPicker()
    for name, (weight, count) in streams.items():
        for n in range(count):
            picker.push(name, weight, n)
    return picker


def _serve(picker: FairPicker[int], batches: int, most: int) -> list[tuple[str, int]]:
    served = []
    for _ in range(batches):
        picked = picker.pick(most)
        picker.done(name for name, _ in picked)
        served += picked
    return served


def test_under_overload_streams_are_served_by_their_weights() -> None:
    served = Counter(name for name, _ in _serve(_filled(a=(1, 500), b=(2, 500), c=(4, 500)), batches=40, most=7))
    assert served == {"a": 40, "b": 80, "c": 160}


@pytest.mark.parametrize("weight", [5e-324, 1e-17, 1e-6])
def test_a_stream_of_next_to_no_weight_that_was_served_alone_leaves_others_their_turns(weight: float) -> None:
    picker = _filled(least=(weight, 10_000))
    _serve(picker, 10_000, 1)
    for n in range(10):
        picker.push("flood", 1.0, n)
        picker.push("other", 1.0, n)
    assert Counter(name for name, _ in _serve(picker, 5, 2)) == {"flood": 5, "other": 5}


def test_the_first_in_line_are_those_of_each_stream_that_came_first_and_nobody_once_all_are_taken() -> None:
    picker = _filled(a=(1, 3), b=(2, 2))
    assert sorted(picker.first_in_line()) == [0, 0]
    _serve(picker, 1, 3)
    assert max(picker.first_in_line()) >= 1
    _serve(picker, 5, 3)
    assert list(picker.first_in_line()) == []


def test_a_full_stream_cannot_keep_the_others_out() -> None:
    picked = _filled(flood=(1, 1000), quiet=(1, 1)).pick(4)
    assert ("quiet", 0) in picked


def test_a_light_stream_is_served_in_the_end() -> None:
    served = _serve(_filled(heavy=(1000, 3000), light=(0.01, 1)), batches=300, most=10)
    assert ("light", 0) in served


def test_silence_saves_up_nothing() -> None:
    picker = _filled(busy=(1, 100))
    _serve(picker, batches=10, most=5)
    for n in range(50):
        picker.push("returned", 1.0, n)
    served = Counter(name for name, _ in _serve(picker, batches=2, most=10))
    assert abs(served["busy"] - served["returned"]) <= 1


def test_a_stream_that_alone_waits_leaves_room_for_whoever_comes_next() -> None:
    picker = _filled(flood=(1, 50), quiet=(1, 1))
    assert [name for name, _ in picker.pick(8)] == ["flood", "quiet"]
    assert not picker.ready
    assert picker.pick(8) == []
    picker.done(["flood", "quiet"])
    assert picker.pick(8) == [("flood", 1)]
    picker.push("quiet", 1.0, 1)
    assert ("quiet", 1) in picker.pick(8)


def test_a_flood_does_not_queue_behind_others_either() -> None:
    picker = _filled(quiet=(1, 1))
    assert picker.pick(8) == [("quiet", 0)]
    for n in range(50):
        picker.push("flood", 1.0, n)
    assert picker.pick(8) == []
    picker.done(["quiet"])
    assert picker.pick(8) == [("flood", 0)]


def test_a_flood_that_rests_lets_the_decoder_idle_and_keeps_nobody_waiting() -> None:
    picker = _filled(flood=(1, 50), quiet=(1, 1))
    _serve(picker, batches=1, most=8)
    picker.resting = True
    assert picker.pick(8) == []
    picker.push("quiet", 1.0, 1)
    assert ("quiet", 1) in picker.pick(8)


def test_a_stream_that_alone_is_known_fills_batches() -> None:
    assert len(_filled(only=(1, 50)).pick(8)) == 8


def test_shares_hold_while_several_batches_are_in_flight() -> None:
    picker = _filled(a=(1, 500), b=(3, 500))
    flying = [picker.pick(8), picker.pick(8)]
    served: Counter[str] = Counter()
    for _ in range(40):
        done = [name for name, _ in flying.pop(0)]
        picker.done(done)
        served.update(done)
        flying.append(picker.pick(8))
    assert abs(served["b"] - 3 * served["a"]) <= 4


def test_a_lone_stream_may_fill_a_batch_as_far_as_that_costs_the_next_one_little() -> None:
    assert lone_frames(0.0, 0.010) == 1
    assert lone_frames(0.005, 0.0002) == 7
    assert lone_frames(float("nan"), float("nan")) == 1


def test_what_is_put_back_goes_first_and_in_order() -> None:
    picker = _filled(a=(1, 4))
    picked = picker.pick(2)
    picker.put_back(picked)
    picker.done(["a", "a"])
    assert [item for _, item in picker.pick(9)] == [0, 1, 2, 3]


def test_what_is_taken_out_of_the_front_of_each_line_is_not_picked() -> None:
    picker = _filled(a=(1, 6))
    assert picker.take_out(lambda n: n < 2 or n == 3) == [0, 1]
    assert picker.take_out(lambda n: n == 3) == []
    assert [item for _, item in picker.pick(9)] == [2, 3, 4, 5]


def test_streams_that_fell_silent_are_forgotten() -> None:
    picker = _filled(gone=(1, 1), here=(1, 1))
    for n in range(100):
        _serve(picker, batches=1, most=2)
        picker.push("here", 1.0, n)
        picker.take_out(lambda _: False)
    assert picker.streams_known == 1


@given(
    st.dictionaries(st.sampled_from("abcdef"), st.tuples(st.floats(0.01, 1000), st.integers(0, 20)), min_size=1),
    st.integers(1, 9),
)
def test_all_frames_are_served_once_and_each_stream_in_order(streams: dict[str, tuple[float, int]], most: int) -> None:
    picker = _filled(**streams)
    served = _serve(picker, batches=130, most=most)
    assert len(picker) == 0
    for name, (_, count) in streams.items():
        assert [item for served_name, item in served if served_name == name] == list(range(count))


STEPS = st.one_of(
    st.tuples(st.just("push"), st.sampled_from("abcd"), st.sampled_from([0.5, 1.0, 3.0])),
    st.tuples(st.just("pick"), st.integers(1, 5), st.just(0)),
    st.tuples(st.just("take out"), st.integers(2, 5), st.just(0)),
    st.tuples(st.just("put back"), st.just(0), st.just(0)),
)


def _multiple_of(number: int) -> Callable[[int], bool]:
    return lambda item: item % number == 0


@given(st.lists(STEPS, max_size=120))
def test_the_line_with_the_smallest_virtual_time_is_served_whatever_came_between(steps: list[tuple[Any, ...]]) -> None:
    """Held to a search through all lines; the longest waiting of equals goes first."""
    picker: FairPicker[int] = FairPicker()
    picker.lone = 1000
    served: list[tuple[str, int]] = []
    for number, (step, first, second) in enumerate(steps):
        if step == "push":
            picker.push(first, second, number)
            continue
        if step == "take out":
            picker.take_out(_multiple_of(first))
            continue
        if step == "put back":
            picker.put_back(served)
        picker.done(name for name, _ in served)
        served = []
        for _ in range(first):
            waiting = {name: line for name, line in picker._lines.items() if line.waiting}
            due = min(waiting, key=lambda name: (waiting[name].virtual, waiting[name].turn), default=None)
            got = picker.pick(1)
            assert [name for name, _ in got] == ([] if due is None else [due])
            served += got


def test_what_is_dropped_as_it_is_picked_is_charged_to_nobody() -> None:
    picker = _filled(a=(1, 4), b=(1, 2))
    picker.lone, dropped = 8, list[int]()

    def drop(item: int) -> bool:
        dropped.extend([item] if item < 2 else [])
        return item < 2

    assert picker.pick(2, drop) == [("a", 2), ("a", 3)]
    assert sorted(dropped) == [0, 0, 1, 1]
    picker.done(["a", "a"])
    assert len(picker) == 0


def test_lines_that_come_and_are_taken_out_leave_nothing_behind() -> None:
    """A decoder may be away for hours, and frames become stale meanwhile."""
    picker: FairPicker[int] = FairPicker()
    for number in range(10_000):
        picker.push(f"s{number % 3}", 1.0, number)
        picker.take_out(lambda _: True)
    assert len(picker._order) < 100
