"""A Deployment, scaled with the official client.

No cluster ran here: the API is replayed, in shapes after its reference (tests/unit/scaling/recorded/kubernetes.json);
the Redis with the marks is real.
"""

from collections.abc import AsyncIterator

import pytest
from kubernetes.client import ApiClient, Configuration

from narrows.contract.wire.keys import ScaleKeys
from narrows.runtime.redis.store import Store
from orchestrator.scaling.engines.kubernetes import KubernetesScale
from orchestrator.scaling.replicas import ActuationFailed, CapacityExhausted, StaleLeader
from tests.integration.engines.conftest import Dispatcher, drained, settled, until
from tests.unit.scaling.recorded_cluster import COST, RecordedCluster, served_cluster


@pytest.fixture
def cluster() -> RecordedCluster:
    return RecordedCluster(3)


@pytest.fixture
async def engine(cluster: RecordedCluster, store: Store) -> AsyncIterator[KubernetesScale]:
    async with served_cluster(cluster) as url:
        engine = KubernetesScale(
            "narrows", "triton", store, connect=lambda: ApiClient(Configuration(host=url)), schedule_within_s=60
        )
        yield engine
        await engine.close()


def _cheap(cluster: RecordedCluster) -> set[str]:
    return {name for name, pod in cluster.pods.items() if COST in pod["metadata"].get("annotations", {})}


async def test_more_are_asked_for_at_once(engine: KubernetesScale, cluster: RecordedCluster) -> None:
    seen = await settled(engine, 3)
    assert (seen.wanted, seen.slots, seen.version) == (3, None, "48211")
    assert set(seen.servers) == {f"10.42.0.{each}:8001" for each in (1, 2, 3)}
    await engine.scale(5, seen, 1)
    assert cluster.puts == [5]
    assert (await settled(engine, 5)).version == "48212"


async def test_fewer_are_asked_for_once_those_that_go_are_empty(
    engine: KubernetesScale, cluster: RecordedCluster, dispatcher: Dispatcher, store: Store
) -> None:
    seen = await settled(engine, 3)
    dispatcher.outstanding = dict.fromkeys(seen.servers, 2)
    await engine.scale(1, seen, 1)
    seen = await engine.observe()
    assert (seen.wanted, seen.ready, seen.draining) == (1, 1, 2)
    assert await drained(store) == {"10.42.0.2:8001", "10.42.0.3:8001"}  # the youngest

    async def cheap() -> bool:
        return _cheap(cluster) == {"triton-2", "triton-3"}

    await until(cheap)
    dispatcher.outstanding["10.42.0.3:8001"] = 0
    cluster.touch()  # the Deployment's status changes meanwhile
    for _ in range(3):
        await dispatcher.report()
        assert (await engine.observe()).draining == 2
    assert cluster.puts == []
    dispatcher.outstanding["10.42.0.2:8001"] = 0
    await settled(engine, 1)
    assert (cluster.puts, set(cluster.pods)) == ([1], {"triton-1"})

    async def unmarked() -> bool:
        return not await drained(store)

    await until(unmarked)


async def test_those_that_were_to_go_are_called_back(
    engine: KubernetesScale, cluster: RecordedCluster, dispatcher: Dispatcher, store: Store
) -> None:
    seen = await settled(engine, 3)
    dispatcher.outstanding = dict.fromkeys(seen.servers, 1)
    await engine.scale(1, seen, 1)
    await engine.scale(3, await engine.observe(), 1)
    assert (await settled(engine, 3)).wanted == 3
    assert (cluster.puts, _cheap(cluster), await drained(store)) == ([], set(), set())


async def test_a_version_that_is_not_the_last_is_refused(engine: KubernetesScale, cluster: RecordedCluster) -> None:
    seen = await settled(engine, 3)
    cluster.touch()
    for target in (2, 5):
        with pytest.raises(StaleLeader, match="changed since 48211"):
            await engine.scale(target, seen, 1)
    assert cluster.puts == []


async def test_a_leader_that_was_followed_writes_nothing(
    engine: KubernetesScale, cluster: RecordedCluster, dispatcher: Dispatcher, store: Store
) -> None:
    seen = await settled(engine, 3)
    dispatcher.outstanding = dict.fromkeys(seen.servers, 1)
    await engine.scale(2, seen, 4)
    await store.call("SET", ScaleKeys.FENCE, 5)
    dispatcher.outstanding = {}
    assert (await settled(engine, 3)).wanted == 3
    with pytest.raises(StaleLeader, match="leader 5"):
        await engine.scale(2, seen, 4)
    assert (cluster.puts, await drained(store)) == ([], set())


async def test_what_somebody_else_asked_for_meanwhile_stays(
    engine: KubernetesScale, cluster: RecordedCluster, dispatcher: Dispatcher
) -> None:
    seen = await settled(engine, 3)
    dispatcher.outstanding = dict.fromkeys(seen.servers, 1)
    await engine.scale(2, seen, 1)
    cluster.scale["spec"]["replicas"] = 4
    cluster.touch()
    cluster.add()
    dispatcher.outstanding = {}
    assert (await settled(engine, 4)).wanted == 4
    assert cluster.puts == []


async def test_a_pod_without_a_node_says_how_many_slots_there_are(
    engine: KubernetesScale, cluster: RecordedCluster
) -> None:
    cluster.scale["spec"]["replicas"] = 4
    name = cluster.add(homeless_s=30)
    seen = await engine.observe()
    assert (seen.ready, seen.starting, seen.slots) == (3, 1, None)  # a node may be on its way
    del cluster.pods[name]
    cluster.add(homeless_s=90)
    seen = await engine.observe()
    assert (seen.wanted, seen.ready, seen.starting, seen.slots) == (4, 3, 0, 3)
    with pytest.raises(CapacityExhausted, match="3 fit"):
        await engine.scale(5, seen, 1)
    await engine.scale(3, seen, 1)

    async def written() -> bool:
        return cluster.puts == [3]

    await until(written)
    assert set(cluster.pods) == {"triton-1", "triton-2", "triton-3"}
    with pytest.raises(CapacityExhausted):
        await engine.scale(4, await engine.observe(), 1)


async def test_what_is_refused_is_said(engine: KubernetesScale, cluster: RecordedCluster) -> None:
    cluster.forbidden = True
    with pytest.raises(ActuationFailed, match="deployments/scale"):
        await engine.observe()


async def test_a_cluster_that_does_not_answer_is_said(store: Store) -> None:
    configuration = Configuration(host="http://127.0.0.1:1")
    configuration.retries = False
    engine = KubernetesScale("narrows", "triton", store, connect=lambda: ApiClient(configuration))
    with pytest.raises(ActuationFailed, match="does not answer"):
        await engine.observe()
    await engine.close()
