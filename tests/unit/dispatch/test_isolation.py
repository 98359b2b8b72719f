"""Streams that sent too much are read apart from the others: at first briefly, longer each time, never for ever."""

import asyncio

from narrows.contract.wire import StreamKeys, StreamSettings
from orchestrator.dispatch.isolation import Isolation
from orchestrator.dispatch.lease import Lease
from orchestrator.dispatch.reference_cache import ReferenceCache
from orchestrator.dispatch.stream import Stream


class Clock:
    now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


def _stream() -> Stream:
    return Stream(StreamKeys("cam", 0), Lease(0, "1", 0.0), ReferenceCache(1), StreamSettings())


def _lasts_s(isolation: Isolation, stream: Stream, clock: Clock) -> int:
    begun_s = clock.now_s
    while not isolation.over(stream):
        clock.now_s += 1.0
    return round(clock.now_s - begun_s)


def test_each_time_is_twice_as_long_as_the_one_before_up_to_a_bound() -> None:
    clock, stream = Clock(), _stream()
    isolation = Isolation(10.25, clock)
    lasted = []
    for _ in range(9):
        isolation.begin(stream)
        lasted.append(_lasts_s(isolation, stream, clock))
        isolation.end(stream)
    assert lasted == [11, 21, 42, 83, 165, 329, 657, 657, 657]
    assert stream.isolations == 9


def test_who_sends_too_much_while_isolated_stays_for_longer() -> None:
    clock, stream = Clock(), _stream()
    isolation = Isolation(10.25, clock)
    isolation.begin(stream)
    clock.now_s += 5.0
    isolation.begin(stream)
    assert _lasts_s(isolation, stream, clock) == 21
    assert (len(isolation), stream.isolations) == (1, 1)


async def test_whoever_waits_for_isolated_streams_is_told_of_the_first() -> None:
    isolation, stream = Isolation(60.0), _stream()
    waiting = asyncio.create_task(isolation.streams())
    await asyncio.sleep(0)
    assert not waiting.done()
    isolation.begin(stream)
    assert await waiting == [stream]
    assert stream in isolation
    isolation.end(stream)
    assert stream not in isolation
