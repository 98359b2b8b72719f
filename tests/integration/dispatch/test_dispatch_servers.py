"""Several real Triton servers behind one dispatcher: they die, drain, come and go, and no frame is lost."""

import asyncio
import os
import signal
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from narrows.contract.bundle import Bundle
from narrows.contract.errors import ServiceError
from narrows.contract.records.report import DispatcherReport, ServerReport
from narrows.contract.wire.keys import ScaleKeys
from narrows.runtime.triton_config import model_name
from orchestrator.discovery.address import Address
from orchestrator.discovery.record import ServerRecord
from orchestrator.discovery.resolve import Resolve, resolve
from orchestrator.discovery.service_discovery import ServiceDiscovery
from orchestrator.discovery.sources import parse_sources
from orchestrator.dispatch import Dispatcher, Store
from orchestrator.dispatch.program import triton_connect
from orchestrator.servers import LocalTriton
from orchestrator.telemetry.faults import Faults
from orchestrator.telemetry.metrics import Metrics
from tests.integration.dispatch.rig import QUICK, SHARDS, Camera, until
from tests.integration.dispatch.test_dispatch_program import RealCamera
from tests.integration.while_running import while_running

StartServer = Callable[[], LocalTriton]
SETTINGS = replace(QUICK, retention=100_000, lease_ttl_ms=3000, beat_s=0.5)


@pytest.fixture
def start_server(demo_bundle: Bundle, model_repository: Path, tmp_path: Path) -> Iterator[StartServer]:
    servers: list[LocalTriton] = []

    def start() -> LocalTriton:
        run = tmp_path / f"triton-{len(servers)}"
        servers.append(LocalTriton.start(model_repository, run, [model_name(demo_bundle.id)]))
        return servers[-1]

    yield start
    for server in servers:
        server.stop()


@asynccontextmanager
async def dispatching_to(
    store: Store, bundle: Bundle, *values: str, resolver: Resolve = resolve
) -> AsyncIterator[Dispatcher]:
    metrics = Metrics()
    service_discovery = ServiceDiscovery(parse_sources(values), store, resolver)
    connect = triton_connect(service_discovery, bundle, max_batch=8, slots=4, report=Faults(metrics).happened)
    dispatcher = Dispatcher(store, {bundle.id: (bundle, connect)}, SHARDS, SETTINGS, metrics)
    looking = asyncio.create_task(service_discovery.run())
    try:
        async with while_running(dispatcher):
            yield dispatcher
    finally:
        looking.cancel()


@asynccontextmanager
async def sending(cameras: list[Camera]) -> AsyncIterator[None]:
    """Frames of every camera, for as long as the context lasts."""
    playing = True

    async def play() -> None:
        while playing:
            for camera in cameras:
                await camera.frames(1)
            await asyncio.sleep(0.15)

    played = asyncio.create_task(play())
    try:
        yield
    finally:
        playing = False
        await played


async def make_cameras(store: Store, bundle: Bundle, count: int = 4) -> list[Camera]:
    cameras: list[Camera] = [RealCamera(store, bundle, f"real-{n}", epoch=n + 1) for n in range(count)]
    for camera in cameras:
        await camera.settings(b'{"policy": "complete"}')
    return cameras


async def each_frame_has_its_mask(cameras: list[Camera]) -> None:
    for camera in cameras:
        await camera.ended(mask=camera.sequence)
        assert await camera.ledger() == {"mask": camera.sequence}
        assert Counter(each.identity for each in await camera.outcomes()).most_common(1)[0][1] == 1
        assert await camera.unfinished() == 0


def standing(dispatcher: Dispatcher) -> dict[str, ServerReport]:
    return dict(next(iter(dispatcher.batchers.values())).servers())


def is_true(state: Callable[[], bool]) -> Callable[[], Awaitable[bool]]:
    async def there() -> bool:
        return state()

    return there


def counted(dispatcher: Dispatcher, cause: str) -> float:
    return dispatcher.metrics.registry.get_sample_value("narrows_faults_total", {"cause": cause}) or 0.0


async def test_a_killed_server_costs_retries_and_no_frame(
    store: Store, demo_bundle: Bundle, start_server: StartServer
) -> None:
    first, second = start_server(), start_server()
    cameras = await make_cameras(store, demo_bundle)
    async with dispatching_to(store, demo_bundle, first.grpc_address, second.grpc_address) as dispatcher:
        async with sending(cameras):
            await until(is_true(lambda: [each.frames > 20 for each in standing(dispatcher).values()] == [True, True]))
            os.killpg(first.pid, signal.SIGKILL)
            await until(is_true(lambda: standing(dispatcher)[first.grpc_address].ejected))
            before = standing(dispatcher)[second.grpc_address].frames
            await until(is_true(lambda: standing(dispatcher)[second.grpc_address].frames > before + 20))
            assert counted(dispatcher, "triton_server_lost") == 1
            first.restart()
            before = standing(dispatcher)[first.grpc_address].frames
            await until(is_true(lambda: standing(dispatcher)[first.grpc_address].frames > before + 20))
        await each_frame_has_its_mask(cameras)
        assert counted(dispatcher, "triton_away") == 0


async def test_a_frozen_server_holds_frames_up_and_loses_none(
    store: Store, demo_bundle: Bundle, start_server: StartServer
) -> None:
    first, second = start_server(), start_server()
    cameras = await make_cameras(store, demo_bundle)
    async with dispatching_to(store, demo_bundle, first.grpc_address, second.grpc_address) as dispatcher:
        async with sending(cameras):
            await until(is_true(lambda: [each.frames > 20 for each in standing(dispatcher).values()] == [True, True]))
            os.killpg(first.pid, signal.SIGSTOP)
            try:
                await until(is_true(lambda: standing(dispatcher)[first.grpc_address].ejected))
                before = standing(dispatcher)[second.grpc_address].frames
                await until(is_true(lambda: standing(dispatcher)[second.grpc_address].frames > before + 20))
            finally:
                os.killpg(first.pid, signal.SIGKILL)  # Triton 2.51's python backend does not always outlive a thaw
            first.restart()
            before = standing(dispatcher)[first.grpc_address].frames
            await until(is_true(lambda: standing(dispatcher)[first.grpc_address].frames > before + 20))
        await each_frame_has_its_mask(cameras)
        assert counted(dispatcher, "triton_away") == 0


async def test_a_draining_server_gets_nothing_new_and_loses_nothing(
    store: Store, demo_bundle: Bundle, start_server: StartServer
) -> None:
    first, second = start_server(), start_server()
    cameras = await make_cameras(store, demo_bundle)
    async with dispatching_to(store, demo_bundle, f"{first.grpc_address},{second.grpc_address}") as dispatcher:
        async with sending(cameras):
            await until(is_true(lambda: [each.frames > 20 for each in standing(dispatcher).values()] == [True, True]))
            await store.call("HSET", ScaleKeys.DRAINING, first.grpc_address, 1)
            await until(is_true(lambda: standing(dispatcher)[first.grpc_address].draining))
            await until(is_true(lambda: standing(dispatcher)[first.grpc_address].outstanding == 0))
            before = standing(dispatcher)
            await until(
                is_true(
                    lambda: standing(dispatcher)[second.grpc_address].frames > before[second.grpc_address].frames + 40
                )
            )
            assert standing(dispatcher)[first.grpc_address].frames == before[first.grpc_address].frames
            first.stop()  # nobody misses it
            await asyncio.sleep(0.5)
        await each_frame_has_its_mask(cameras)
        assert not any(standing(dispatcher)[address].failures for address in standing(dispatcher))
        assert counted(dispatcher, "triton_server_lost") == 0


async def test_servers_that_register_take_work_at_once_and_the_first_is_waited_for(
    store: Store, demo_bundle: Bundle, start_server: StartServer
) -> None:
    cameras = await make_cameras(store, demo_bundle)
    async with dispatching_to(store, demo_bundle, "redis:") as dispatcher:
        async with sending(cameras):
            await until(is_true(lambda: counted(dispatcher, "triton_away") == 1))
            servers = []
            for number in range(2):
                servers.append(start_server().grpc_address)
                record = ServerRecord(servers[-1], f"cpu-{number}").to_json()
                await store.call("HSET", ScaleKeys.SERVERS, f"server-{number}", record)
                await until(
                    is_true(lambda: standing(dispatcher).get(servers[-1], ServerReport(ready=False)).frames > 5)
                )
            await store.call("HDEL", ScaleKeys.SERVERS, "server-0")
            await until(is_true(lambda: list(standing(dispatcher)) == servers[1:]))
        await each_frame_has_its_mask(cameras)


async def test_each_address_behind_a_name_is_a_server_and_the_answer_may_change(
    store: Store, demo_bundle: Bundle, start_server: StartServer
) -> None:
    addresses = [start_server().grpc_address, start_server().grpc_address]
    found = addresses[:1]

    async def resolver(name: Address) -> frozenset[str]:
        if name.host != "tasks.triton":
            raise OSError("no such name")
        return frozenset(found)

    cameras = await make_cameras(store, demo_bundle)
    async with dispatching_to(store, demo_bundle, "dns:tasks.triton:8001", resolver=resolver) as dispatcher:
        async with sending(cameras):
            await until(is_true(lambda: [each.frames > 5 for each in standing(dispatcher).values()] == [True]))
            found.append(addresses[1])
            await until(is_true(lambda: [each.frames > 5 for each in standing(dispatcher).values()] == [True, True]))
        await each_frame_has_its_mask(cameras)


async def test_the_report_stands_in_redis_and_goes_with_the_dispatcher(
    store: Store, demo_bundle: Bundle, start_server: StartServer
) -> None:
    server = start_server().grpc_address
    await store.call("HSET", ScaleKeys.REPORTS, "killed", DispatcherReport("killed", at_ms=1).to_json())
    camera: Camera = RealCamera(store, demo_bundle, "real", epoch=1)
    async with dispatching_to(store, demo_bundle, server) as dispatcher:
        await until(is_true(lambda: any(each.ready for each in standing(dispatcher).values())))
        async with sending([camera]):
            latest: list[DispatcherReport] = []

            async def full() -> bool:
                reports = await store.hash_of(ScaleKeys.REPORTS)
                latest[:] = [DispatcherReport.parse(data) for data in reports.values()]
                return len(latest) == 1 and latest[0].realtime_ended > 10 and latest[0].servers[server].frames > 10

            await until(full)
        (report,) = latest
        bundle = report.bundles[demo_bundle.hex_id]
        assert report.name == dispatcher.name
        assert report.streams == 1
        assert 0 < report.saturation <= 1
        assert report.realtime_late <= report.realtime_ended
        assert bundle.frames_per_s.keys() == {str(level) for level in range(len(demo_bundle.manifest.levels))}
        assert all(rate > 0 for rate in bundle.frames_per_s.values())
        assert bundle.decode_s.keys() == bundle.frames_per_s.keys()
        assert all(0 < seconds < 1 for seconds in bundle.decode_s.values())
        assert report.servers[server].ready
    assert await store.hash_of(ScaleKeys.REPORTS) == {}


def test_a_wrong_server_is_named_before_anything_begins() -> None:
    with pytest.raises(ServiceError, match="'triton' is no address"):
        parse_sources(["127.0.0.1:8001,triton"])
