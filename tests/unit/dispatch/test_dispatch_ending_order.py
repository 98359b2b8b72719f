"""A stream's frames are taken up, and end, in the order in which they came, however late the ending of one is known."""

from hypothesis import given
from hypothesis import strategies as st

from narrows.contract.wire import FrameIdentity, StreamKeys, StreamSettings
from narrows.runtime.redis.store import RawEntry
from orchestrator.dispatch.endings import Ending
from orchestrator.dispatch.lease import Lease
from orchestrator.dispatch.reference_cache import ReferenceCache
from orchestrator.dispatch.stream import Frame, Stream, Taken


def _holding(count: int) -> tuple[Stream, list[Frame]]:
    stream = Stream(StreamKeys("cam", 0), Lease(0, "1", 0.0), ReferenceCache(1), StreamSettings())
    return stream, [stream.take_in(RawEntry(b"1-%d" % n, []), 1, Taken(0.0, 0.0, 0.0)) for n in range(count)]


def _end(frame: Frame, sequence: int) -> None:
    frame.ending = Ending.mask(b"", FrameIdentity(1, sequence))


def _due(stream: Stream) -> list[bytes]:
    return [frame.entry.id for frame, _ in stream.endings_due()]


@given(st.permutations(range(6)), st.sets(st.integers(0, 5)))
def test_whatever_is_known_first_each_ends_once_and_in_order_and_none_waits_for_one_that_is_gone(
    order: list[int], gone: set[int]
) -> None:
    stream, frames = _holding(6)
    ended: list[bytes] = []
    for n in order:
        if n in gone:
            stream.let_go(frames[n])
        else:
            _end(frames[n], n)
        ended += _due(stream)
    assert ended == [b"1-%d" % n for n in range(6) if n not in gone]
    assert not stream.unasked


def test_an_ending_that_is_known_waits_for_the_one_before_it() -> None:
    stream, (first, second) = _holding(2)
    _end(second, 1)
    assert _due(stream) == []
    _end(first, 0)
    assert _due(stream) == [b"1-0", b"1-1"]


def test_what_was_taken_up_again_stays_held_when_its_earlier_life_is_over() -> None:
    stream, (first,) = _holding(1)
    again = stream.take_in(RawEntry(b"1-0", []), 2, Taken(0.0, 0.0, 0.0))
    stream.let_go(first)
    assert stream.held == {b"1-0": again}
    stream.let_all_go()
    assert again.gone
    assert not stream.held


def test_a_stream_is_taken_up_by_one_at_a_time_who_goes_on_with_what_comes_meanwhile() -> None:
    stream, (first, second) = _holding(2)
    assert stream.begin_decoding()
    assert stream.next_undecoded() is first
    later = stream.take_in(RawEntry(b"1-2", []), 1, Taken(0.0, 0.0, 0.0))
    assert not stream.begin_decoding(), "who has it goes on"
    assert [stream.next_undecoded() for _ in range(3)] == [second, later, None]
    assert stream.begin_decoding(), "nobody has it any more"


def test_of_a_stream_that_is_given_up_nothing_is_taken_up() -> None:
    stream, _ = _holding(2)
    stream.begin_decoding()
    stream.let_all_go()
    assert stream.next_undecoded() is None
    assert stream.under_way.frames == 0
