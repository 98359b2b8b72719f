"""The demo's head comes and goes on two Triton servers, which are filled one after the other and scaled meanwhile.

The real graphs on the real servers: the twin for processors before, decoder and head as one graph, and back. ``make
test-fleet``.
"""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import redis
from tritonclient.grpc import InferenceServerClient

from narrows.contract.bundle import Bundle
from narrows.contract.wire import Install
from narrows.contract.wire.keys import INSTALL_KEY, ShardKeys
from narrows.contract.wire.streams import Policy, StreamSettings
from narrows.models.heads.change import add_head, remove_head
from narrows.runtime.triton_config import fill_repository, model_name
from orchestrator.scaling.engines.instances import TritonInstances
from orchestrator.servers import LocalRedis, LocalTriton
from tests.integration.outputs.test_live_heads import SHARDS, Camera, dispatching, masks_of, until
from tests.workshop.heads.test_heads import DEMO, bundle

__all__ = ["bundle"]
pytestmark = [pytest.mark.slow_fleet, pytest.mark.timeout(600)]
HEAD = "cityscapes"
NEWEST = 10


class Server:
    """A Triton with a model repository of its own."""

    def __init__(self, bundle: Bundle, folder: Path, held: ExitStack) -> None:
        self.models = folder / "models"
        fill_repository(bundle, self.models, max_batch=4)
        self.triton = held.enter_context(LocalTriton.start(self.models, folder / "run", [model_name(bundle.id)]))
        self.address = self.triton.grpc_address
        self._client = held.enter_context(InferenceServerClient(self.address))
        self._model = model_name(bundle.id)

    def has_head(self) -> bool:
        answer: Any = self._client.get_model_config(self._model)
        return f"head_{HEAD}" in answer.config.parameters

    def failed_loads(self) -> int:
        return self.triton.log.read_text(errors="replace").count(f"failed to load '{self._model}'")


@pytest.fixture
def servers(bundle: Bundle, tmp_path: Path) -> Iterator[list[Server]]:
    with ExitStack() as held:
        yield [Server(bundle, tmp_path / name, held) for name in ("first", "second")]


@pytest.fixture
def server(tmp_path: Path) -> Iterator[LocalRedis]:
    with LocalRedis.start(tmp_path / "redis") as running:
        yield running


@pytest.fixture
def client(server: LocalRedis) -> Iterator[redis.Redis]:
    with redis.Redis.from_url(server.url) as connection:
        connection.set(INSTALL_KEY, Install(SHARDS).to_json())
        yield connection


async def test_a_head_comes_and_goes_and_both_servers_can_be_scaled_all_along(
    bundle: Bundle,
    servers: list[Server],
    server: LocalRedis,
    client: redis.Redis,
) -> None:
    first, second = servers
    camera = Camera(client, bundle)
    complete = StreamSettings(policy=Policy.COMPLETE).to_json()
    client.hset(ShardKeys(camera.keys.shard).streams, camera.keys.stream, complete)
    instances = TritonInstances(lambda: [each.address for each in servers])
    head = shutil.copytree(DEMO / "heads" / HEAD, bundle.folder.parent / HEAD)

    def with_head() -> list[bool]:
        return [mask.output(HEAD) is not None for mask in masks_of(client, camera.keys)][-NEWEST:]

    def ledger() -> dict[str, int]:
        ended: Any = client.hgetall(camera.keys.ledger)
        return {how.decode(): int(count) for how, count in ended.items()}

    async with dispatching(server, bundle, first.address, second.address):
        filming = asyncio.create_task(camera.run())
        await until(lambda: len(with_head()) == NEWEST)

        changed = await asyncio.to_thread(add_head, bundle, head)
        fill_repository(changed, first.models, max_batch=4)
        await until(first.has_head)
        await until(lambda: True in with_head())
        assert not second.has_head(), "what its repository lacks it goes on without"
        fill_repository(changed, second.models, max_batch=4)
        await until(second.has_head)
        await until(lambda: all(with_head()))
        await instances.set_instances(2)
        await until(lambda: all(with_head()))

        changed = await asyncio.to_thread(remove_head, changed, HEAD)
        for each in servers:
            fill_repository(changed, each.models, max_batch=4)
        await until(lambda: not any(with_head()))
        await until(lambda: not first.has_head() and not second.has_head())
        await instances.set_instances(1)
        assert await instances.instances() == 1

        filming.cancel()
        await until(lambda: ledger() == {"mask": camera.sent})
    await instances.close()
    kept = [mask.identity.sequence for mask in masks_of(client, camera.keys)]
    assert kept == list(range(camera.sent))[-len(kept) :], "in order"
    assert first.failed_loads() == 0
    assert second.failed_loads() <= 2
