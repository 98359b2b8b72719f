"""A dispatcher owns shards on several nodes: one that is away holds up its own shards alone."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import pytest

from narrows.contract.wire import ShardKeys
from orchestrator.dispatch import Connected, Dispatcher, Store
from tests.integration.dispatch.conftest import make_bundle
from tests.integration.dispatch.rig import QUICK, SHARDS, Camera, RuleDecoder, until
from tests.integration.topologies.servers import Nodes, kill
from tests.integration.while_running import while_running


@pytest.fixture
async def store(nodes: Nodes) -> AsyncIterator[Store]:
    nodes.empty()
    store = Store.connect(nodes.url)
    yield store
    await store.close()
    nodes.heal()


@asynccontextmanager
async def dispatching(store: Store, decoder: RuleDecoder | None = None) -> AsyncIterator[Dispatcher]:
    used = decoder or RuleDecoder()

    async def connect() -> Connected:
        return Connected(used)

    bundle = make_bundle()
    dispatcher = await Dispatcher.create(store, {bundle.id: (bundle, connect)}, QUICK, shards=SHARDS)
    async with while_running(dispatcher):
        yield dispatcher


def cameras(store: Store) -> Iterator[Camera]:
    """One in each shard."""
    bundle, found = make_bundle(), dict[int, Camera]()
    for number in range(64):
        camera = Camera(store, bundle, f"cam-{number}")
        found.setdefault(camera.keys.shard, camera)
    yield from (found[shard] for shard in range(SHARDS))


async def test_frames_of_other_nodes_go_on_while_one_has_no_heir_yet(nodes: Nodes, store: Store) -> None:
    fleet, decoder = list(cameras(store)), RuleDecoder()
    async with dispatching(store, decoder) as dispatcher:
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
        decoder.gate.clear()
        for camera in away:
            await camera.frames(1)
        await until(lambda: _holds(dispatcher, [camera.keys.shard for camera in away]))
        kill(victim)
        decoder.gate.set()  # their endings wait for a node that is away
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
    async with dispatching(store) as dispatcher:
        await until(lambda: _clocks_are_known(dispatcher))
        for number, shard in dispatcher.shards.items():
            at = shard._clock._at
            assert at is not None
            assert nodes.master_of(at).port == nodes.master_of(ShardKeys(number).lease).port


async def _clocks_are_known(dispatcher: Dispatcher) -> bool:
    return len(dispatcher.shards) == SHARDS and all(shard._clock._known for shard in dispatcher.shards.values())


async def _said(dispatcher: Dispatcher, shards: list[int]) -> bool:
    said = f"Redis does not answer for shards {', '.join(map(str, sorted(shards)))}"
    return said in dispatcher.health.reasons_not_ready()


async def _holds(dispatcher: Dispatcher, shards: list[int]) -> bool:
    return all(dispatcher.shards[shard].held == 1 for shard in shards)


async def _ready(dispatcher: Dispatcher) -> bool:
    return not dispatcher.health.reasons_not_ready()


async def _all_ended(camera: Camera) -> bool:
    """Six were sent; the third may have died with its node, before the replica had it: then its gap is `lost`."""
    ledger = await camera.ledger()
    return ledger.get("mask", 0) + ledger.get("lost", 0) == 6
