"""A Swarm service where no swarm is at hand.

Its API answers in the shapes that a real one gave (tests/unit/scaling/recorded), through the real SDK over HTTP.
"""

from collections.abc import AsyncIterator

import pytest

from narrows.runtime.redis.store import Store
from orchestrator.scaling.engines.swarm import SwarmService
from orchestrator.scaling.replicas import CapacityExhausted, StaleLeader
from tests.unit.scaling.recorded_docker import SWARM, RecordedDocker, served


@pytest.fixture
def docker() -> RecordedDocker:
    return RecordedDocker()


@pytest.fixture
async def engine(docker: RecordedDocker, store: Store) -> AsyncIterator[SwarmService]:
    async with served(docker) as url:
        engine = SwarmService(SWARM["service"]["Spec"]["Name"], store, docker_url=url)
        yield engine
        await engine.close()


async def test_one_runs_and_one_leaves(engine: SwarmService) -> None:
    seen = await engine.observe()
    assert (seen.wanted, seen.ready, seen.starting, seen.draining, seen.slots) == (1, 1, 0, 1, None)
    assert seen.version == str(SWARM["service"]["Version"]["Index"])
    assert all(address.startswith("10.0.1.") and address.endswith(":8001") for address in seen.servers)
    assert len(seen.servers) == 2


async def test_only_the_number_changes(engine: SwarmService, docker: RecordedDocker) -> None:
    seen = await engine.observe()
    await engine.scale(4, seen, 1)
    assert docker.service["Spec"] == SWARM["service"]["Spec"] | {"Mode": {"Replicated": {"Replicas": 4}}}
    with pytest.raises(StaleLeader):
        await engine.scale(2, seen, 1)


async def test_a_task_without_a_node_says_how_many_slots_there_are(
    engine: SwarmService, docker: RecordedDocker
) -> None:
    docker.tasks.append(SWARM["homeless"])
    seen = await engine.observe()
    assert (seen.ready, seen.starting, seen.slots) == (1, 0, 1)
    with pytest.raises(CapacityExhausted):
        await engine.scale(3, seen, 1)
