"""`narrows orchestrate` as a process, with the real Redis, the real Triton and the demo bundle."""

import asyncio
import os
import re
import signal
import subprocess
import sys
import time
import urllib.error
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from narrows.contract.bundle import Bundle
from narrows.contract.codec import encode_symbols, symbol_digest
from narrows.contract.wire import FeaturePacket, MaskPacket, ShardKeys
from narrows.contract.wire.keys import DISPATCHERS_KEY
from narrows.runtime.direct import open_url
from narrows.runtime.onnx_runtime import InferenceSession
from narrows.runtime.triton_config import model_name
from orchestrator.dispatch import Store
from orchestrator.servers import LocalRedis, LocalTriton
from orchestrator.servers.ports import free_ports
from tests.integration.dispatch.rig import SHARDS, Camera, until
from tests.integration.servers.processes import alive, eventually

ROOT = Path(__file__).parents[3]
STARTS_S = 120.0  # ends a test that fails: several programs start one after the other, on a machine that is busy


@dataclass
class RealCamera(Camera):
    """Sends frames of the demo bundle, of changing levels."""

    def packet(self, **changes: object) -> FeaturePacket:
        level = self.sequence % len(self.bundle.manifest.levels)
        random = np.random.default_rng([self.epoch, self.sequence])
        shape = self.bundle.manifest.latent
        symbols = random.integers(-2, 3, shape.as_tuple()).astype(np.int8)
        symbols = self.bundle.tables.silence(symbols, level)
        self.planes[self.sequence] = symbols
        packet = FeaturePacket(
            bundle_id=self.bundle.id,
            epoch=self.epoch,
            sequence=self.sequence,
            capture_ms=int(time.time() * 1000),
            level=level,
            shape=shape,
            own_digest=symbol_digest(symbols),
            payload=encode_symbols(symbols, self.bundle.tables, level),
        )
        self.sequence += 1
        return packet


@dataclass
class Program:
    """The process, and where it answers."""

    process: subprocess.Popen[bytes]
    address: str

    def get(self, path: str) -> tuple[int, str]:
        try:
            with open_url(f"http://{self.address}{path}", 5) as response:
                return response.status, response.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()
        except OSError as error:
            return 0, str(error)

    async def answers(self, path: str, status: int) -> bool:
        return (await asyncio.to_thread(self.get, path))[0] == status


@pytest.fixture(scope="module")
def triton(
    demo_bundle: Bundle, model_repository: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[LocalTriton]:
    run = tmp_path_factory.mktemp("triton")
    with LocalTriton.start(model_repository, run, [model_name(demo_bundle.id)]) as running:
        yield running


def start(server: LocalRedis, triton_address: str, *options: str, log: Path | None = None) -> Program:
    address = f"127.0.0.1:{free_ports(1)[0]}"
    bundle = os.environ.get("NARROWS_BUNDLE", str(ROOT / "bundles" / "demo"))
    command = ["orchestrate", "--redis-url", server.url, "--triton", triton_address, "--bundle", bundle]
    words = [sys.executable, "-m", "narrows.cli", *command, "--http", address, *options]
    with nullcontext() if log is None else log.open("ab") as stderr:
        return Program(subprocess.Popen(words, cwd=ROOT, stderr=stderr), address)


@pytest.fixture
def program(server: LocalRedis, store: Store, triton: LocalTriton) -> Iterator[Program]:
    program = start(server, triton.grpc_address)
    yield program
    program.process.kill()
    program.process.wait()


async def test_masks_are_those_of_the_decoder_and_the_process_ends_clean(
    program: Program, store: Store, demo_bundle: Bundle
) -> None:
    cameras = [RealCamera(store, demo_bundle, f"real-{n}", epoch=n + 1) for n in range(3)]
    await until(lambda: program.answers("/readyz", 200))
    for cam in cameras:
        await cam.settings(b'{"policy": "complete"}')
    for _ in range(6):
        for cam in cameras:
            await cam.frames(1)
    session = InferenceSession(demo_bundle.cpu_decoder_path, providers=["CPUExecutionProvider"])
    for cam in cameras:
        await cam.ended(mask=6)
        for mask in await cam.outcomes():
            assert isinstance(mask, MaskPacket)
            inputs = {"symbols": cam.planes[mask.identity.sequence][None], "level": np.array([[mask.level]], np.int32)}
            np.testing.assert_array_equal(mask.labels, session.run(["labels"], inputs)[0][0])
            assert mask.areas.sum() == mask.labels.size
    status, metrics = await asyncio.to_thread(program.get, "/metrics")
    assert status == 200
    assert 'narrows_frames_total{group="default",outcome="mask",reason=""} 18.0' in metrics
    assert "narrows_decoder_load_ratio" in metrics
    assert await program.answers("/healthz", 200)
    program.process.send_signal(signal.SIGTERM)
    assert await asyncio.to_thread(program.process.wait, 30) == 0


async def test_proxy_variables_capture_nothing(
    server: LocalRedis,
    store: Store,
    triton: LocalTriton,
    demo_bundle: Bundle,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """They name an address where nobody listens: whatever went there would fail."""
    for name in ("http_proxy", "https_proxy", "all_proxy", "grpc_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
        monkeypatch.setenv(name.upper(), "http://127.0.0.1:9")
    program = start(server, triton.grpc_address)
    try:
        await until(lambda: program.answers("/readyz", 200))
        cam = RealCamera(store, demo_bundle, "real")
        await cam.settings(b'{"policy": "complete"}')
        await cam.frames(3)
        await cam.ended(mask=3)
    finally:
        program.process.send_signal(signal.SIGTERM)
        assert await asyncio.to_thread(program.process.wait, 30) == 0


async def test_several_servers_are_counted_and_each_is_seen_in_the_metrics(
    server: LocalRedis,
    store: Store,
    triton: LocalTriton,
    demo_bundle: Bundle,
    model_repository: Path,
    tmp_path: Path,
) -> None:
    with LocalTriton.start(model_repository, tmp_path, [model_name(demo_bundle.id)]) as second:
        program = start(server, triton.grpc_address, "--triton", f"{second.grpc_address},redis:")
        try:
            wanted = [
                f'narrows_decoder_replicas{{bundle="{demo_bundle.hex_id}"}} 2.0',
                f'narrows_server_state{{server="{triton.grpc_address}",state="ready"}} 1.0',
                f'narrows_server_state{{server="{second.grpc_address}",state="ready"}} 1.0',
                "narrows_dispatcher_saturation 0.",
            ]

            async def shown() -> bool:
                _, metrics = await asyncio.to_thread(program.get, "/metrics")
                return all(line in metrics for line in wanted)

            await until(shown)
        finally:
            program.process.send_signal(signal.SIGTERM)
            assert await asyncio.to_thread(program.process.wait, 30) == 0


async def test_frames_survive_a_triton_that_is_killed_and_comes_back(
    server: LocalRedis, store: Store, demo_bundle: Bundle, model_repository: Path, tmp_path: Path
) -> None:
    grpc, http, metrics = free_ports(3)
    models = [model_name(demo_bundle.id)]
    cam = RealCamera(store, demo_bundle, "real")
    await cam.settings(b'{"policy": "complete"}')
    with LocalTriton.start(model_repository, tmp_path, models, ports=(grpc, http, metrics)) as first:
        program = start(server, first.grpc_address)
        try:
            await until(lambda: program.answers("/readyz", 200))
            await cam.frames(5)
            await cam.ended(mask=5)
            os.killpg(first.pid, signal.SIGKILL)
            await cam.frames(10)
            await until(lambda: program.answers("/readyz", 503))
            first.stop()
            with LocalTriton.start(model_repository, tmp_path, models, ports=(grpc, http, metrics)):
                await cam.ended(mask=15)
                assert await cam.ledger() == {"mask": 15}
                await until(lambda: program.answers("/readyz", 200))
        finally:
            program.process.kill()
            program.process.wait()


async def test_a_killed_process_of_two_is_started_again_and_every_frame_ends_once(
    server: LocalRedis, store: Store, triton: LocalTriton, demo_bundle: Bundle, tmp_path: Path
) -> None:
    log = tmp_path / "log"
    options = ("--shards", str(SHARDS), "--processes", "2")
    program = start(server, triton.grpc_address, *options, log=log)
    cameras = [RealCamera(store, demo_bundle, f"real-{n}", epoch=n + 1) for n in range(2 * SHARDS)]
    sending = asyncio.create_task(_send(cameras, enough := asyncio.Event()))
    try:
        await until(lambda: program.answers("/readyz", 200), limit_s=STARTS_S)
        for cam in cameras:
            await until(partial(_masks, cam, 3), limit_s=STARTS_S)
        victim = int(re.findall(r"event=dispatcher_process_started process=1 pid=(\d+)", log.read_text())[0])
        os.kill(victim, signal.SIGKILL)
        await until(lambda: _says(program, "/readyz", "process 1: ended with status 137; it is started again"))
        before = [cam.sequence for cam in cameras]
        await until(lambda: program.answers("/readyz", 200), limit_s=STARTS_S)
        for cam, sent in zip(cameras, before, strict=True):
            await until(partial(_masks, cam, sent), limit_s=STARTS_S)
        enough.set()
        await sending
        for cam in cameras:
            await cam.ended(mask=cam.sequence)
            assert await cam.ledger() == {"mask": cam.sequence}
            sequences = [outcome.identity.sequence for outcome in await cam.outcomes() if outcome.identity]
            assert sorted(sequences) == list(range(cam.sequence))
        await until(partial(_owned_by_others, store, victim))
        metrics = (await asyncio.to_thread(program.get, "/metrics"))[1].splitlines()
        assert {
            'narrows_dispatcher_process_restarts_total{process="1"} 1.0',
            'narrows_dispatcher_process_restarts_total{process="2"} 0.0',
            'narrows_dispatcher_process_up{process="1"} 1.0',
            'narrows_dispatcher_process_up{process="2"} 1.0',
        } <= set(metrics)
        # Who has four for a while gives back two when it next looks around.
        for process in (1, 2):
            await until(partial(_says, program, "/metrics", f'narrows_shards_owned{{process="{process}"}} 2.0\n'))
    finally:
        enough.set()
        program.process.send_signal(signal.SIGTERM)
        assert await asyncio.to_thread(program.process.wait, STARTS_S) == 0
    lines = log.read_text()
    assert re.search(r"event=dispatcher_stopped process=1\n", lines)
    assert re.search(r"event=dispatcher_stopped process=2\n", lines)
    pids = [int(pid) for pid in re.findall(r"event=dispatcher_process_started process=\d pid=(\d+)", lines)]
    assert len(pids) == 3
    assert not [pid for pid in pids if alive(pid)]


async def test_no_process_outlives_a_supervisor_that_is_killed(
    server: LocalRedis, store: Store, triton: LocalTriton, tmp_path: Path
) -> None:
    log = tmp_path / "log"
    program = start(server, triton.grpc_address, "--processes", "2", log=log)
    try:
        await until(lambda: program.answers("/readyz", 200), limit_s=STARTS_S)
    finally:
        program.process.kill()
        program.process.wait()
    pids = [int(pid) for pid in re.findall(r"event=dispatcher_process_started process=\d pid=(\d+)", log.read_text())]
    assert len(pids) == 2
    assert await asyncio.to_thread(eventually, lambda: not [pid for pid in pids if alive(pid)])
    assert await store.call("ZCARD", DISPATCHERS_KEY) == 0  # they left in order


def test_what_is_wrong_with_the_options_of_several_is_said_once(server: LocalRedis, tmp_path: Path) -> None:
    asyncio.run(_install(server))
    log = tmp_path / "log"
    program = start(server, "127.0.0.1:1", "--shards", "9", "--processes", "3", log=log)
    assert program.process.wait(STARTS_S) == 1
    said = [line for line in log.read_text().splitlines() if line.startswith("narrows: ")]
    assert said[0].startswith("narrows: --shards 9, but this install has 4")
    assert said[1:] == ["narrows: dispatcher process 1 ended with status 1 before it answered: its log says why"]


async def _send(cameras: Sequence[RealCamera], enough: asyncio.Event) -> None:
    """Frames of every camera in turn, of the policy that decodes them all, until there are enough."""
    for cam in cameras:
        await cam.settings(b'{"policy": "complete"}')
    while not enough.is_set():
        for cam in cameras:
            await cam.frames(1)
        await asyncio.sleep(0.2)


async def _masks(camera: RealCamera, least: int) -> bool:
    return (await camera.ledger()).get("mask", 0) >= least


async def _owned_by_others(store: Store, victim: int) -> bool:
    """Whether every shard has an owner, none of them a process that was killed; for a moment a shard may have none."""
    owners = await store.many([("GET", ShardKeys(shard).lease) for shard in range(SHARDS)])
    return all(owner is not None and f"-{victim}-".encode() not in owner for owner in owners)


async def _says(program: Program, path: str, what: str) -> bool:
    return what in (await asyncio.to_thread(program.get, path))[1]


async def test_it_waits_for_a_triton_that_is_not_there_and_says_so(
    server: LocalRedis, store: Store, demo_bundle: Bundle
) -> None:
    program = start(server, f"127.0.0.1:{free_ports(1)[0]}")
    cam = RealCamera(store, demo_bundle, "real")
    try:
        await until(lambda: program.answers("/readyz", 503))
        await cam.frames(2)
        await cam.ended(**{"skipped:stale": 2})
        assert "Triton" in program.get("/readyz")[1]
    finally:
        program.process.send_signal(signal.SIGINT)
        assert program.process.wait(30) == 0


def test_a_second_number_of_shards_is_a_named_error(server: LocalRedis, store: Store) -> None:
    asyncio.run(_install(server))
    program = start(server, "127.0.0.1:1", "--shards", "9")
    assert program.process.wait(30) == 1


async def _install(server: LocalRedis) -> None:
    store = Store.connect(server.url)
    await store.call("SET", "narrows:install", '{"v":1,"shards":4}')
    await store.close()
