"""Which streams of a shard are read next, where Redis says what is written."""

import asyncio
from collections.abc import Callable, Sequence
from typing import cast

from narrows.contract.wire import StreamKeys, StreamSettings
from narrows.runtime.redis.store import ReplyRefused, Store, StoreAway
from orchestrator.dispatch.lease import Lease
from orchestrator.dispatch.ready_streams import ReadyStreams
from orchestrator.dispatch.reference_cache import ReferenceCache
from orchestrator.dispatch.stream import Stream

PREFIX = "narrows:{0}:in:"


def _streams(*names: str) -> dict[str, Stream]:
    lease = Lease(0, "1", 0.0)
    return {name: Stream(StreamKeys(name, 0), lease, ReferenceCache(1), StreamSettings()) for name in names}


def _ids(streams: list[Stream]) -> list[str]:
    return [stream.id for stream in streams]


class Says:
    """A store that says these writes, and then breaks the connection, or refuses."""

    def __init__(self, *told: Sequence[bytes] | None, error: Exception | None = None) -> None:
        self.told, self.error = told, error
        self.followed: list[bool] = []

    async def follow_writes(
        self, prefix: str, written: Callable[[Sequence[bytes] | None], None], goes_on: Callable[[], bool]
    ) -> None:
        assert prefix == PREFIX
        assert goes_on()
        for keys in self.told:
            written(keys)
        await asyncio.sleep(0)
        if self.error is not None:
            raise self.error
        await asyncio.Event().wait()


async def _after(says: Says, ready: ReadyStreams, refusals: list[ReplyRefused] | None = None) -> None:
    """What stands once the store said all that it says."""
    said = [] if refusals is None else refusals
    following = asyncio.create_task(ready.follow(cast("Store", says), lambda: True, said.append))
    for _ in range(5):
        await asyncio.sleep(0)
    says.followed.append(ready.followed)
    following.cancel()
    await asyncio.wait([following])


async def test_streams_come_out_in_the_order_in_which_they_became_ready_each_once() -> None:
    streams = _streams("a", "b", "c")
    ready = ReadyStreams(PREFIX, streams, lambda: None)
    ready.add(streams["c"], streams["a"])
    ready.add(streams["c"], streams["b"])
    assert _ids(ready.take(2)) == ["c", "a"]
    ready.add(streams["c"])
    assert _ids(ready.take(9)) == ["b", "c"]
    assert len(ready) == 0


async def test_a_stream_that_is_no_longer_the_shards_is_left_out() -> None:
    streams = _streams("a", "b")
    ready = ReadyStreams(PREFIX, streams, lambda: None)
    ready.add_all()
    streams |= _streams("a")  # it went, and came again
    del streams["b"]
    assert ready.take(9) == []


async def test_waiting_ends_as_soon_as_one_is_ready_and_not_before() -> None:
    streams = _streams("a")
    ready = ReadyStreams(PREFIX, streams, lambda: None)
    waiting = asyncio.create_task(ready.wait(60.0))
    await asyncio.sleep(0)
    assert not waiting.done()
    ready.add(streams["a"])
    await waiting
    ready.take(1)
    await ready.wait(0.0)  # nothing is ready any more: its time runs out, and it returns
    assert len(ready) == 0


async def test_a_written_key_makes_its_stream_ready_and_no_other() -> None:
    streams = _streams("a", "b")
    ready, found = ReadyStreams(PREFIX, streams, lambda: found.append(True)), list[bool]()
    says = Says(None)
    await _after(says, ready)
    assert says.followed == [True]
    assert _ids(ready.take(9)) == ["a", "b"]  # any may have been written before it was followed
    await _after(Says(None, [b"narrows:{0}:in:b"]), ready)
    ready.take(9)
    ready._written([b"narrows:{0}:in:b"])
    assert _ids(ready.take(9)) == ["b"]
    assert found == []


async def test_a_key_that_is_no_stream_yet_has_new_ones_looked_for() -> None:
    found: list[bool] = []
    ready = ReadyStreams(PREFIX, _streams("a"), lambda: found.append(True))
    await _after(Says([b"narrows:{0}:in:new", b"narrows:{0}:in:\xff"]), ready)
    assert found == [True]
    assert ready.take(9) == []


async def test_everything_is_ready_once_all_keys_were_flushed() -> None:
    ready = ReadyStreams(PREFIX, _streams("a", "b"), lambda: None)
    await _after(Says([b"narrows:{0}:in:b"], None), ready)
    assert _ids(ready.take(9)) == ["b", "a"]


async def test_what_nobody_says_is_not_followed() -> None:
    refusals: list[ReplyRefused] = []
    ready = ReadyStreams(PREFIX, _streams("a"), lambda: None)
    broken, refused = Says(None, error=StoreAway("away")), Says(error=ReplyRefused.__new__(ReplyRefused))
    await _after(broken, ready)
    await _after(refused, ready, refusals)
    assert broken.followed == refused.followed == [False]
    assert refusals == [refused.error]
