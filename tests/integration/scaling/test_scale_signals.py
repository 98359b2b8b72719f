"""What is gathered from a real Redis and a real Triton."""

from __future__ import annotations

import math
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import numpy as np
import pytest

from narrows.contract.bundle import Bundle
from narrows.contract.records.report import FRESH_MS, BundleReport, DispatcherReport, ServerReport
from narrows.contract.wire import Install, ShardKeys, StreamKeys
from narrows.contract.wire.keys import GROUP, INSTALL_KEY, ScaleKeys
from narrows.runtime.redis.store import Store
from narrows.runtime.triton_config import model_name
from orchestrator.discovery.record import ServerRecord
from orchestrator.inference import TritonDecoder
from orchestrator.inference.contract import lent
from orchestrator.scaling.capacity import CapacityModel
from orchestrator.scaling.observe import Observation, Observer
from orchestrator.scaling.replicas import Observed
from orchestrator.scaling.reports import DEAD_MS, Reports
from orchestrator.scaling.server_watch import ServerWatch
from orchestrator.scaling.unowned import EVERY_S, Backlog, UnownedBacklog
from orchestrator.servers import LocalRedis, LocalTriton
from tests.integration.scaling.scale_rig import SHARDS

MAX_BATCH = 8


@pytest.fixture
async def store(server: LocalRedis) -> AsyncIterator[Store]:
    store = Store.connect(server.url)
    await store.call("FLUSHALL")
    await store.call("SET", INSTALL_KEY, Install(SHARDS).to_json())
    yield store
    await store.close()


@pytest.fixture(scope="module")
def triton(
    demo_bundle: Bundle, model_repository: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[LocalTriton]:
    run = tmp_path_factory.mktemp("triton")
    with LocalTriton.start(model_repository, run, [model_name(demo_bundle.id)]) as running:
        yield running


async def say(store: Store, report: DispatcherReport) -> None:
    await store.call("HSET", ScaleKeys.REPORTS, report.name, report.to_json())


async def put(store: Store, stream: str, frames: int) -> str:
    key = StreamKeys.of(stream, SHARDS).features
    for _ in range(frames):
        await store.call("XADD", key, "*", "p", b"x")
    return key


async def test_fresh_reports_are_read_stale_ones_ignored_and_dead_ones_removed(store: Store) -> None:
    now_ms = int(await store.time_ms())
    await say(store, DispatcherReport("fresh", now_ms, streams=3))
    await say(store, DispatcherReport("stale", now_ms - FRESH_MS - 1000, streams=5))
    await say(store, DispatcherReport("dead", now_ms - DEAD_MS - 1000, streams=7))
    await store.call("HSET", ScaleKeys.REPORTS, "odd", b"\xff{")
    assert [report.name for report in await Reports(store).read()] == ["fresh"]
    assert {name async for name in names(store)} == {b"fresh", b"stale", b"odd"}


async def names(store: Store) -> AsyncIterator[bytes]:
    for name in await store.hash_of(ScaleKeys.REPORTS):
        yield name


async def test_frames_are_counted_pending_or_not_and_a_lag_that_is_null_fools_nobody(store: Store) -> None:
    key = await put(store, "cam-1", 10)
    await store.call("XGROUP", "CREATE", key, GROUP, "0")
    read = (await store.call("XREADGROUP", "GROUP", GROUP, "gone", "COUNT", 6, "STREAMS", key, ">"))[0][1]
    await store.call("XACK", key, GROUP, read[0][0])
    unread = (await store.call("XRANGE", key, "-", "+"))[8][0]
    await store.call("XDEL", key, read[0][0], unread)  # what was not read, too: from here on the lag is NULL
    (group,) = await store.call("XINFO", "GROUPS", key)
    assert group[group.index(b"lag") + 1] is None
    await put(store, "cam-2", 3)
    counted = await UnownedBacklog(store).count(set())
    assert counted.frames == 8 + 3
    assert counted.age_s > 0


async def test_shards_of_reporting_dispatchers_are_left_to_them(store: Store) -> None:
    await put(store, "cam-1", 2)
    key = StreamKeys.of("cam-1", SHARDS)
    await store.call("SET", ShardKeys(key.shard).lease, "17 alive")
    assert (await UnownedBacklog(store).count({"alive"})).frames == 0
    assert (await UnownedBacklog(store).count({"somebody"})).frames == 2, "its owner says nothing"


async def test_it_is_counted_seldom(store: Store) -> None:
    now_s = 0.0
    backlog = UnownedBacklog(store, monotonic=lambda: now_s)
    assert await backlog.count(set()) == Backlog()
    await put(store, "cam-1", 2)
    assert await backlog.count(set()) == Backlog()
    now_s = EVERY_S
    assert (await backlog.count(set())).frames == 2


async def test_odd_keys_and_another_kind_of_key_are_passed_over(store: Store) -> None:
    await store.call("XADD", "narrows:{9}:in:beyond", "*", "p", b"x")
    await store.call("SET", StreamKeys.of("text", SHARDS).features, "no stream")
    assert await UnownedBacklog(store).count(set()) == Backlog()


async def decode(decoder: TritonDecoder, n: int, times: int) -> None:
    for _ in range(times):
        async with lent(decoder) as slot:
            slot.inputs["symbols"][:n] = np.zeros_like(slot.inputs["symbols"][:n])
            slot.inputs["level"][:n] = 0
            await slot.run(n)


async def test_a_server_says_what_it_did_between_two_looks(triton: LocalTriton, demo_bundle: Bundle) -> None:
    watch, bundle = ServerWatch(), demo_bundle.hex_id
    decoder = await TritonDecoder.connect(triton.grpc_address, demo_bundle, max_batch=MAX_BATCH, slots=1)
    try:
        first = await watch.look([triton.grpc_address, "127.0.0.1:1"], [bundle, "00000000000000ff"])
        assert list(first) == [triton.grpc_address]
        assert first[triton.grpc_address].elapsed_s == 0
        began_s = time.monotonic()
        await decode(decoder, 2, 6)
        await decode(decoder, 4, 5)
        took_s = time.monotonic() - began_s
        look = (await watch.look([triton.grpc_address], [bundle]))[triton.grpc_address]
    finally:
        await decoder.close()
        await watch.close()
    assert look.instances == 1
    assert look.max_batch == {bundle: MAX_BATCH}
    assert {size: each.executions for size, each in look.executed[bundle].items()} == {2: 6, 4: 5}
    assert 0 < look.compute_s <= took_s
    assert 0 < look.busy_instances <= 1.1


async def test_the_signals_of_a_system_that_works(store: Store, triton: LocalTriton, demo_bundle: Bundle) -> None:
    bundle, address = demo_bundle.hex_id, triton.grpc_address
    await store.call("HSET", ScaleKeys.SERVERS, "s", ServerRecord(address, "s", triton.metrics_address).to_json())
    observer = Observer(store, CapacityModel(MAX_BATCH), metrics_port=0)
    decoder = await TritonDecoder.connect(address, demo_bundle, max_batch=MAX_BATCH, slots=1)
    await put(store, "cam-1", 4)

    async def look() -> Observation:
        report = DispatcherReport(
            "d",
            int(await store.time_ms()),
            streams=4,
            backlog_frames=2,
            backlog_age_s=100.0,
            saturation=0.3,
            bundles={bundle: BundleReport({"0": 8.0, "1": 4.0}, {"0": 0.002})},
            servers={address: ServerReport(ready=True, outstanding=2)},
        )
        await say(store, report)
        return await observer.look(await observer.reports(), Observed(1, 1, slots=2))

    try:
        silent = await observer.look([], Observed(1, 1))
        await look()
        await decode(decoder, 1, 8)
        await decode(decoder, 4, 8)
        seen = await look()
    finally:
        await decoder.close()
        await observer.close()
    assert math.isnan(silent.signals.frames_per_s), "nobody reports: not known"
    signals = seen.signals
    assert (signals.streams, signals.frames_per_s, signals.dispatcher_saturation) == (4, 12.0, 0.3)
    assert (signals.backlog_frames, signals.backlog_age_s) == (2 + 4, 100.0)
    assert (signals.fleet.ready, signals.fleet.slots, signals.fleet.instances) == (1, 2, 1)
    assert signals.server_frames_per_s[1] > 0
    assert seen.servers[address].outstanding == 2
    assert seen.servers[address].gauges.pending == 0
    assert seen.instances_known
