"""A dispatcher owns shards on several nodes: one that is away holds up its own shards alone."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import pytest

from narrows.contract.wire import ShardKeys
from orchestrator.dispatch import Connected, Dispatcher, Store
from tests.integration.dispatch.conftest import make_bundle
from tests.integration.dispatch.rig import QUICK, SHARDS, Camera, RuleDecoder, until
from tests.integration.topologies.servers import Nodes, info, kill


@pytest.fixture
async def store(nodes: Nodes) -> AsyncIterator[Store]:
    nodes.empty()
    store = Store.connect(nodes.url)
    yield store
    await store.close()
    nodes.heal()


@asynccontextmanager
async def dispatching(store: Store) -> AsyncIterator[Dispatcher]:
    async def connect() -> Connected:
        return Connected(RuleDecoder())

    bundle, stop = make_bundle(), asyncio.Event()
    dispatcher = await Dispatcher.create(store, {bundle.id: (bundle, connect)}, QUICK, shards=SHARDS)
    running = asyncio.create_task(dispatcher.run(stop))
    try:
        yield dispatcher
    finally:
        stop.set()
        await running


def cameras(store: Store) -> Iterator[Camera]:
    """One in each shard."""
    bundle, found = make_bundle(), dict[int, Camera]()
    for number in range(64):
        camera = Camera(store, bundle, f"cam-{number}")
        found.setdefault(camera.keys.shard, camera)
    yield from (found[shard] for shard in range(SHARDS))


async def test_frames_of_other_nodes_go_on_while_one_has_no_heir_yet(nodes: Nodes, store: Store) -> None:
    fleet = list(cameras(store))
    async with dispatching(store) as dispatcher:
        for camera in fleet:
            await camera.frames(2)
        for camera in fleet:
            await camera.ended(mask=2)
        assert len({nodes.master_of(ShardKeys(shard).lease).port for shard in range(SHARDS)}) > 1
        victim = nodes.master_of(fleet[0].keys.features)
        nodes.say(victim, "WAIT", 1, 4000)
        heirs = [each for each in nodes.servers if each not in nodes.masters()]
        for each in heirs:
            nodes.say(each, "CONFIG", "SET", "cluster-replica-no-failover", "yes")
        away = [each for each in fleet if nodes.master_of(each.keys.features) is victim]
        others = [each for each in fleet if each not in away]
        await asyncio.gather(*(camera.frames(1) for camera in away))  # on their way as the node dies
        kill(victim)
        for camera in others:
            await camera.frames(20)
            await camera.ended(mask=22)
        await until(lambda: _said(dispatcher, [camera.keys.shard for camera in away]))
        assert not await store.answers(away[0].keys.features)
        for each in heirs:
            nodes.say(each, "CONFIG", "SET", "cluster-replica-no-failover", "no")
        await until(lambda: _ready(dispatcher))
        for camera in away:
            await camera.frames(3)
            await until(lambda c=camera: _all_ended(c))  # type: ignore[misc]


async def test_each_shard_has_the_clock_of_its_own_node(nodes: Nodes, store: Store) -> None:
    owning = {nodes.master_of(ShardKeys(shard).lease).port for shard in range(SHARDS)}
    for each in nodes.masters():
        nodes.say(each, "CONFIG", "RESETSTAT")
    async with dispatching(store):
        await until(lambda: _all_were_asked_the_time(nodes, owning))


async def _all_were_asked_the_time(nodes: Nodes, ports: set[int]) -> bool:
    asked = [each for each in nodes.masters() if "cmdstat_time" in info(each, "commandstats")]
    return {each.port for each in asked} == ports


async def _said(dispatcher: Dispatcher, shards: list[int]) -> bool:
    said = f"Redis does not answer for shards {', '.join(map(str, sorted(shards)))}"
    return said in dispatcher.health.reasons_not_ready()


async def _ready(dispatcher: Dispatcher) -> bool:
    return not dispatcher.health.reasons_not_ready()


async def _all_ended(camera: Camera) -> bool:
    """Six were sent; the third may have died with its node, before the replica had it: then its gap is `lost`."""
    ledger = await camera.ledger()
    return ledger.get("mask", 0) + ledger.get("lost", 0) == 6
