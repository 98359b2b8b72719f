"""The whole loop with real parts: cameras come and go, servers and instances follow, and no frame is lost.

Of a split network each cut has a tail, and with it a cost and instances, of its own (`make test-fleet`).

The target load is the least that may be asked for (5 %), and four cameras send 64 frames a second: more than two
servers may take on any two cores.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from narrows.contract.bundle import Bundle, ServedModel, SplitBundle, format_id, models_of
from narrows.contract.wire import Install, ShardKeys, StreamKeys, StreamSettings
from narrows.contract.wire.keys import INSTALL_KEY
from narrows.contract.wire.streams import Policy
from narrows.runtime.direct import open_url
from narrows.runtime.redis.store import Store
from narrows.runtime.triton_config import fill_repository, model_name
from orchestrator.scaling.engines.instances import TritonInstances
from orchestrator.scaling.status import Status
from orchestrator.servers import LocalRedis, LocalTriton
from orchestrator.servers.ports import free_ports
from tests import split_bundles
from tests.integration.scaling.scale_rig import (
    GENEROUS_S,
    SHARDS,
    Cameras,
    SplitCameras,
    decisions,
    program,
    scaling,
    sending,
    status,
    until,
)

ANY = "127.0.0.1:0"
OPTIONS = {
    "--interval": 0.5,
    "--target-load": 0.05,
    "--hysteresis": 0.02,
    "--startup-s": 2,
    "--policy": "cooldown_s=1",
    "--stabilisation-s": 4,
    "--instance-settle-s": 3,
    "--instance-stabilisation-s": 4,
    "--http": ANY,
}
QUICK = tuple(str(each) for option in OPTIONS.items() for each in option)
LIMIT_S = 150.0

pytestmark = pytest.mark.timeout(400)


@pytest.fixture
async def store(server: LocalRedis) -> AsyncIterator[Store]:
    store = Store.connect(server.url)
    await store.call("FLUSHALL")
    await store.call("SET", INSTALL_KEY, Install(SHARDS).to_json())
    yield store
    await store.close()


@pytest.fixture(scope="module", params=["demo", pytest.param("split", marks=pytest.mark.slow_fleet)])
def bundle(
    request: pytest.FixtureRequest, demo_bundle: Bundle, tmp_path_factory: pytest.TempPathFactory
) -> Bundle | SplitBundle:
    if request.param == "demo":
        return demo_bundle
    return split_bundles.write(tmp_path_factory.mktemp("bundle"), work=6000)


@pytest.fixture
async def cameras(store: Store, bundle: Bundle | SplitBundle) -> Cameras:
    """Four whose every frame must end in a mask, or in what a split network makes of it."""
    if isinstance(bundle, SplitBundle):
        cameras: Cameras = SplitCameras(store, bundle, streams=4, frames_per_s=16.0)
    else:
        cameras = Cameras(store, bundle, streams=4, frames_per_s=16.0)
    settings = StreamSettings(policy=Policy.COMPLETE).to_json()
    for name in cameras.names():
        shard = StreamKeys.of(name, SHARDS).shard
        await store.call("HSET", ShardKeys(shard).streams, name, settings)
    return cameras


def ends_of_logs(folder: Path) -> list[str]:
    return [f"{log.name}:\n{log.read_text()[-1500:]}" for log in sorted(folder.glob("*.log"))]


async def shows(store: Store, folder: Path, what: str) -> Status:
    """Wait until the leader says this of itself, a Python expression over ``s``; fail with how the logs end."""

    async def there() -> bool:
        s = await status(store)
        return s is not None and bool(eval(what, {"s": s}))

    async def state() -> str:
        return "\n".join([await scaling(store), *ends_of_logs(folder)])

    await until(there, state, limit_s=LIMIT_S)
    found = await status(store)
    assert found is not None
    return found


def name_of(model: ServedModel) -> str:
    return model_name(model.id)


def batch_costs(address: str) -> dict[str, float]:
    """What a batch of one of each model is learned to cost, by the autoscaler's metrics."""
    with open_url(f"http://{address}/metrics", GENEROUS_S) as answer:
        text = answer.read().decode()
    costs = re.findall(r'^narrows_batch_cost_seconds\{batch="1",bundle="(\w+)"\} (\S+)$', text, re.MULTILINE)
    return {bundle: float(cost) for bundle, cost in costs}


async def ended(cameras: Cameras) -> dict[str, int]:
    """Wait until every frame that was sent has an end; answers the ends."""

    async def there() -> bool:
        return sum((await cameras.ledger()).values()) >= cameras.sent

    await until(there, cameras.ledger, limit_s=LIMIT_S)
    return await cameras.ledger()


async def test_servers_follow_the_cameras_and_no_frame_is_lost(
    server: LocalRedis, store: Store, cameras: Cameras, bundle: Bundle | SplitBundle, tmp_path: Path
) -> None:
    redis, served = ("--redis-url", server.url), ("--bundle", str(bundle.folder))
    supervise = (
        "supervise",
        *redis,
        *served,
        "--max-servers-per-host",
        "2",
        "--name",
        "host",
        "--run-folder",
        str(tmp_path / "run"),
    )
    orchestrate = ("orchestrate", *redis, *served, "--triton", "redis:", "--http", ANY)
    stack = ExitStack()
    try:
        stack.enter_context(program(tmp_path / "supervise.log", *supervise))
        stack.enter_context(program(tmp_path / "orchestrate.log", *orchestrate))
        scale = ("autoscale", *redis, "--engine", "local", "--max-instances", "1", *QUICK)
        stack.enter_context(program(tmp_path / "autoscale.log", *scale))
        await shows(store, tmp_path, "s.ready == 1 and s.wanted == 1")
        async with sending(cameras):
            await shows(store, tmp_path, "s.ready == 2")
            full = await shows(store, tmp_path, "s.capacity_exhausted and len(s.servers) == 2")
            await asyncio.sleep(3)
        assert full.wanted == 2
        assert full.load is not None
        assert full.load > full.target_load
        left = await shows(store, tmp_path, "s.ready == 1 and s.wanted == 1 and s.draining == 0")
        ends = await ended(cameras)
    finally:
        await asyncio.to_thread(stack.close)
    assert ends == {"mask": cameras.sent}
    assert not left.capacity_exhausted
    history = [(each.action, each.servers) for each in await decisions(store)]
    assert history.index(("scale_up", 2)) < history.index(("scale_down", 1))
    assert "Traceback" not in (tmp_path / "autoscale.log").read_text()


async def test_instances_follow_the_cameras_where_nobody_can_add_servers(
    server: LocalRedis, store: Store, cameras: Cameras, bundle: Bundle | SplitBundle, tmp_path: Path
) -> None:
    redis, served = ("--redis-url", server.url), ("--bundle", str(bundle.folder))
    models = models_of(bundle)
    for model in models:
        fill_repository(model, tmp_path / "models", max_batch=8)
    stack = ExitStack()
    try:
        triton = stack.enter_context(LocalTriton.start(tmp_path / "models", tmp_path, list(map(name_of, models))))
        orchestrate = ("orchestrate", *redis, *served, "--triton", triton.grpc_address, "--http", ANY)
        stack.enter_context(program(tmp_path / "orchestrate.log", *orchestrate))
        scale = ("autoscale", *redis, "--engine", "none", "--max-instances", "2", "--metrics-port", "0", *QUICK)
        metrics = f"127.0.0.1:{free_ports(1)[0]}"
        stack.enter_context(program(tmp_path / "autoscale.log", *scale, "--http", metrics))
        await shows(store, tmp_path, "s.ready == 1")
        async with sending(cameras):
            busy = await shows(store, tmp_path, "s.instances == 2")
            counted = TritonInstances(lambda: [triton.grpc_address])
            assert await counted.instances() == 2
            await counted.close()
            costs = await asyncio.to_thread(batch_costs, metrics)
        await shows(store, tmp_path, "s.instances == 1")
        ends = await ended(cameras)
    finally:
        await asyncio.to_thread(stack.close)
    assert ends == {"mask": cameras.sent}
    assert costs.keys() == {format_id(model.id) for model in models}
    assert min(costs.values()) > 0
    assert (busy.wanted, busy.slots) == (1, 1)
    actions = [each.action for each in await decisions(store)]
    assert actions.index("add_instances") < actions.index("remove_instances")
    assert "scale_up" not in actions
