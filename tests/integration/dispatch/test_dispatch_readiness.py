"""A dispatcher that cannot decode takes no shard, and keeps none, while another can."""

from __future__ import annotations

from narrows.contract.wire.keys import UNREADY_KEY
from orchestrator.dispatch import Dispatcher, Store
from tests.integration.dispatch.rig import SHARDS, MakeCamera, RuleDecoder, Start, until


async def owns(dispatcher: Dispatcher, shards: int) -> None:
    async def so_many() -> bool:
        return len(dispatcher.shards) == shards

    async def state() -> int:
        return len(dispatcher.shards)

    await until(so_many, state)


async def test_who_has_no_decoder_takes_no_shard_and_gets_its_share_when_it_has_one(
    camera: MakeCamera, dispatching: Start
) -> None:
    starved = RuleDecoder(away=True)
    cameras = [camera(f"cam-{n}") for n in range(6)]
    async with dispatching() as healthy:
        await owns(healthy, SHARDS)
        async with dispatching(with_decoder=starved) as other:
            for cam in cameras:
                await cam.frames(2)
                await cam.ended(mask=2)
            assert (len(healthy.shards), len(other.shards)) == (SHARDS, 0)
            starved.away = False
            await owns(other, SHARDS // 2)
            await owns(healthy, SHARDS - SHARDS // 2)


async def test_who_loses_its_decoder_gives_its_shards_to_who_has_one(camera: MakeCamera, dispatching: Start) -> None:
    failing = RuleDecoder()
    cameras = [camera(f"cam-{n}") for n in range(6)]
    async with dispatching() as healthy, dispatching(with_decoder=failing) as other:
        await owns(other, SHARDS // 2)
        failing.away = True
        await owns(healthy, SHARDS)
        assert len(other.shards) == 0
        for cam in cameras:
            await cam.frames(2)
            await cam.ended(mask=2)


async def test_where_nobody_can_decode_shards_are_shared_as_ever(dispatching: Start, store: Store) -> None:
    one, two = RuleDecoder(away=True), RuleDecoder(away=True)
    async with dispatching(with_decoder=one) as first, dispatching(with_decoder=two) as second:
        await owns(first, SHARDS // 2)
        await owns(second, SHARDS - SHARDS // 2)
    assert await store.call("EXISTS", UNREADY_KEY) == 0


async def test_junk_in_what_others_lack_is_nothing(dispatching: Start, store: Store) -> None:
    await store.call("SET", UNREADY_KEY, "no hash")
    async with dispatching() as dispatcher:
        await owns(dispatcher, SHARDS)
        await store.call("DEL", UNREADY_KEY)
        await store.call("HSET", UNREADY_KEY, dispatcher.name, "junk", b"\xff", "1")
        await until(lambda: _gone(store))
        await owns(dispatcher, SHARDS)


async def _gone(store: Store) -> bool:
    return int(await store.call("EXISTS", UNREADY_KEY)) == 0
