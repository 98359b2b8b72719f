"""Instances of a decoder in a real Triton, changed while it infers."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import pytest

from narrows.contract.bundle import Bundle
from narrows.runtime.redis.store import Store
from narrows.runtime.triton_config import model_name
from orchestrator.inference import TritonDecoder
from orchestrator.inference.contract import lent
from orchestrator.inference.triton_model import TritonModel
from orchestrator.scaling.engines.instances import TritonInstances
from orchestrator.scaling.leader import Leadership
from orchestrator.scaling.replicas import ActuationFailed
from orchestrator.servers import LocalRedis, LocalTriton
from orchestrator.servers.ports import LOOPBACK, free_ports
from tests.integration.dispatch.rig import until
from tests.integration.servers.processes import members

_BATCH = 4


@pytest.fixture(scope="module")
def servers(
    demo_bundle: Bundle, model_repository: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[list[LocalTriton]]:
    model = model_name(demo_bundle.id)
    with (
        LocalTriton.start(model_repository, tmp_path_factory.mktemp("run"), [model]) as one,
        LocalTriton.start(model_repository, tmp_path_factory.mktemp("run"), [model]) as other,
    ):
        yield [one, other]


@pytest.fixture
async def instances(servers: list[LocalTriton]) -> AsyncIterator[TritonInstances]:
    instances = TritonInstances(lambda: [server.grpc_address for server in servers])
    yield instances
    await instances.close()


@pytest.fixture
async def decoder(servers: list[LocalTriton], demo_bundle: Bundle) -> AsyncIterator[TritonDecoder]:
    decoder = await TritonDecoder.connect(servers[0].grpc_address, demo_bundle, max_batch=_BATCH, slots=3)
    yield decoder
    await decoder.close()


@asynccontextmanager
async def inferring(decoder: TritonDecoder) -> AsyncIterator[list[int]]:
    """Batches without a pause; a failed one fails the test. Yields the sizes of those that were answered."""
    answered: list[int] = []
    playing = True

    async def play() -> None:
        while playing:
            async with lent(decoder) as slot:
                slot.inputs["symbols"][:_BATCH] = 1
                slot.inputs["level"][:_BATCH] = 0
                answered.append(len((await slot.run(_BATCH))[0]))

    tasks = [asyncio.create_task(play()) for _ in range(3)]
    try:
        yield answered
    finally:
        playing = False
        await asyncio.gather(*tasks)


async def test_one_to_three_and_back_while_it_infers(instances: TritonInstances, decoder: TritonDecoder) -> None:
    assert await instances.instances() == 1
    async with inferring(decoder) as answered:
        for target in (3, 1):
            before = len(answered)
            await instances.set_instances(target)
            assert await instances.instances() == target
            assert await decoder.instances() == target
            await until(partial(_longer, answered, before + 10))
    assert set(answered) == {_BATCH}


async def test_the_least_of_all_servers_counts(servers: list[LocalTriton], instances: TritonInstances) -> None:
    first = TritonInstances(lambda: [servers[0].grpc_address])
    await first.set_instances(2)
    assert await first.instances() == 2
    assert await instances.instances() == 1
    await instances.set_instances(2)
    assert await instances.instances() == 2
    await instances.set_instances(1)
    await first.close()


async def test_neither_a_reload_nor_a_change_undoes_the_other(
    servers: list[LocalTriton], instances: TritonInstances, decoder: TritonDecoder, demo_bundle: Bundle
) -> None:
    await instances.set_instances(2)
    before = dict((await _config(servers[0], demo_bundle)).parameters)
    os.kill(next(pid for pid in members(servers[0].pid) if pid != servers[0].pid), signal.SIGKILL)
    for _ in range(4):  # until the dead instance had its turn
        async with lent(decoder) as slot:
            slot.inputs["symbols"][:1], slot.inputs["level"][:1] = 1, 0
            assert len((await slot.run(1))[0]) == 1
    healed = await _config(servers[0], demo_bundle)
    assert healed.parameters["reloaded"].string_value != (
        before["reloaded"].string_value if "reloaded" in before else ""
    )
    assert await decoder.instances() == 2
    await instances.set_instances(3)
    after = await _config(servers[0], demo_bundle)
    assert after.parameters["reloaded"].string_value == healed.parameters["reloaded"].string_value
    assert [group.kind for group in after.instance_group] == [group.kind for group in healed.instance_group]
    await instances.set_instances(1)


async def test_a_server_that_is_not_there_is_named_and_the_others_change(servers: list[LocalTriton]) -> None:
    nowhere = f"{LOOPBACK}:{free_ports(1)[0]}"
    both = TritonInstances(lambda: [servers[0].grpc_address, nowhere])
    alone = TritonInstances(lambda: [servers[0].grpc_address])
    try:
        with pytest.raises(ActuationFailed, match=nowhere):
            await both.set_instances(2)
        assert await alone.instances() == 2
    finally:
        await alone.set_instances(1)
        await both.close()
        await alone.close()


async def test_a_paused_leaders_change_lands_once_and_the_next_interval_reverses_it(
    server: LocalRedis, instances: TritonInstances
) -> None:
    """The engine compares nothing; so every action looks at the token first, and every interval sets the target."""
    store, stands_still = Store.connect(server.url), 0.0
    paused = Leadership(store, "paused", ttl_ms=300, monotonic=lambda: stands_still)
    leader = Leadership(store, "leader")

    async def interval(leadership: Leadership, target: int) -> bool:
        acts = leadership.token is not None
        if acts:
            await instances.set_instances(target)
        await leadership.hold()
        return acts

    assert await paused.hold() is not None
    await until(partial(_leads, leader))
    assert await interval(leader, 1)
    assert await interval(paused, 2), "its clock stood still with it: between its look and its action"
    assert await instances.instances() == 2
    assert await interval(leader, 1)
    assert not await interval(paused, 2)
    assert await instances.instances() == 1
    await store.close()


async def test_without_a_server_there_are_none() -> None:
    assert await TritonInstances(list).instances() == 0


async def _leads(leadership: Leadership) -> bool:
    return await leadership.hold() is not None


async def _longer(answered: list[int], length: int) -> bool:
    return len(answered) >= length


async def _config(server: LocalTriton, bundle: Bundle):  # type: ignore[no-untyped-def]  # noqa: ANN202
    model = TritonModel(server.grpc_address, model_name(bundle.id))
    try:
        return await model.config()
    finally:
        await model.close()
