"""Heads come and go while frames flow: no camera notices, no frame is lost, and subscribers see the output appear."""

from __future__ import annotations

import asyncio
import hashlib
import shutil
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import redis

from narrows.client.subscription import parse_entry
from narrows.contract.bundle import Bundle, FileEntry, Head, Heads
from narrows.contract.bundle.heads import DECODER_HEADS, RECORD
from narrows.contract.bundle.int8_decoder import drop_int8_decoders
from narrows.contract.codec import encode_symbols, symbol_digest
from narrows.contract.outputs import Output
from narrows.contract.wire import FeaturePacket, MaskPacket, StreamKeys
from narrows.contract.wire.keys import ShardKeys
from narrows.contract.wire.streams import Policy, StreamSettings
from narrows.runtime.triton_config import fill_repository, model_name
from orchestrator.discovery.service_discovery import ServiceDiscovery
from orchestrator.discovery.sources import parse_sources
from orchestrator.dispatch import Dispatcher, DispatchSettings, Store
from orchestrator.dispatch.program import triton_connect
from orchestrator.servers import LocalRedis, LocalTriton
from tests.integration.while_running import while_running

SHARDS = 4
HEAD = "scene"
SCENE = Output(HEAD, "scores", "float32", (3,), "raw", ("least", "mean", "largest"))
FRAME_S = 0.1


@pytest.fixture
def folder(demo_bundle: Bundle, tmp_path: Path) -> Path:
    """The demo bundle without heads, and beside it the record of one that answers by rule."""
    folder = Path(shutil.copytree(demo_bundle.folder, tmp_path / "bundle"))
    (folder / RECORD).unlink(missing_ok=True)
    drop_int8_decoders(folder)
    bundle = Bundle.open(folder)
    head = Head(SCENE, pinned(folder / "head.scene.onnx"), bundle.manifest.symbols_sha256)
    record = replace(bundle.heads, heads=(head,), merged=pinned(folder / DECODER_HEADS))
    (tmp_path / RECORD).write_bytes(record.to_json())
    return folder


def pinned(path: Path) -> FileEntry:
    """A file whose bytes no rule reads."""
    path.write_bytes(path.name.encode())
    return FileEntry(hashlib.sha256(path.name.encode()).hexdigest(), len(path.name))


@pytest.fixture
def triton(folder: Path, tmp_path: Path) -> Iterator[LocalTriton]:
    """A server whose model answers with what its configuration lists, by rule."""
    bundle = Bundle.open(folder)
    model = fill_repository(bundle, tmp_path / "models", max_batch=4)
    config = model / "configs" / "cpu.pbtxt"
    config.write_text(config.read_text().replace('"onnxruntime"', '"python"'))
    (model / "1" / "model.onnx").unlink()
    shutil.copyfile(Path(__file__).with_name("model_of_two.py"), model / "1" / "model.py")
    with LocalTriton.start(tmp_path / "models", tmp_path / "run", [model_name(bundle.id)]) as running:
        yield running


class Camera:
    """Sends a key frame every tenth of a second, and knows no more than the bundle's id."""

    def __init__(self, client: redis.Redis, bundle: Bundle) -> None:
        self.keys, self.sent = StreamKeys.of("cam-1", SHARDS), 0
        self._client, self._bundle = client, bundle
        shape = bundle.manifest.latent.as_tuple()
        raw = np.random.default_rng(5).integers(-3, 4, shape).astype(np.int8)
        self._symbols = bundle.tables.silence(raw, 0)

    async def run(self) -> None:
        while True:
            self._client.xadd(self.keys.features, {"p": self._packet()})
            self.sent += 1
            await asyncio.sleep(FRAME_S)

    def _packet(self) -> bytes:
        return FeaturePacket(
            bundle_id=self._bundle.id,
            epoch=1,
            sequence=self.sent,
            capture_ms=0,
            level=0,
            shape=self._bundle.manifest.latent,
            own_digest=symbol_digest(self._symbols),
            payload=encode_symbols(self._symbols, self._bundle.tables, 0),
        ).to_bytes()


@asynccontextmanager
async def dispatching(server: LocalRedis, bundle: Bundle, *addresses: str) -> AsyncIterator[None]:
    """A dispatcher with a pool of servers, as ``narrows orchestrate`` makes it."""
    store = Store.connect(server.url)
    discovery = ServiceDiscovery(parse_sources(addresses), store)
    looking = asyncio.create_task(discovery.run())
    served = {bundle.id: (bundle, triton_connect(discovery, bundle, max_batch=4, slots=2))}
    settings = DispatchSettings(drain_s=1.0, sweep_s=0.2)
    try:
        async with while_running(await Dispatcher.create(store, served, settings, shards=SHARDS)):
            yield
    finally:
        looking.cancel()
        await asyncio.gather(looking, return_exceptions=True)
        await store.close()


def masks_of(client: redis.Redis, keys: StreamKeys) -> list[MaskPacket]:
    entries: Any = client.xrange(keys.outcomes)
    found = [parse_entry(fields) for _, fields in entries]
    masks = [each for each in found if isinstance(each, MaskPacket)]
    assert len(masks) == len(found), "no frame was refused or skipped"
    return masks


async def until(holds: Callable[[], bool]) -> None:
    give_up_s = time.monotonic() + 60
    while not await asyncio.to_thread(holds):
        assert time.monotonic() < give_up_s, "it never came true"
        await asyncio.sleep(FRAME_S)


async def wait_for_head(client: redis.Redis, keys: StreamKeys, *, there: bool) -> None:
    """Until the newest mask has the head's output beside it, or has it no longer."""

    def holds() -> bool:
        masks = masks_of(client, keys)
        return bool(masks) and (masks[-1].output(HEAD) is not None) == there

    await until(holds)


def put(path: Path, data: bytes) -> None:
    """As the command writes it: whole or not at all."""
    partial = path.with_suffix(".partial")
    partial.write_bytes(data)
    partial.replace(path)


async def test_a_head_comes_and_goes_while_frames_flow(
    server: LocalRedis, client: redis.Redis, triton: LocalTriton, folder: Path, tmp_path: Path
) -> None:
    bundle = Bundle.open(folder)
    record = (tmp_path / RECORD).read_bytes()
    version = Heads.parse(record).heads[0].version
    camera = Camera(client, bundle)
    complete = StreamSettings(policy=Policy.COMPLETE).to_json()  # a machine that is slow skips no frame for its age
    client.hset(ShardKeys(camera.keys.shard).streams, camera.keys.stream, complete)
    async with dispatching(server, bundle, triton.grpc_address):
        filming = asyncio.create_task(camera.run())
        await wait_for_head(client, camera.keys, there=False)

        put(folder / RECORD, record)
        await wait_for_head(client, camera.keys, there=True)

        put(folder / RECORD, b"no record")
        await asyncio.sleep(5 * FRAME_S)
        await wait_for_head(client, camera.keys, there=True)  # what cannot be read changes nothing

        (folder / RECORD).unlink()
        await wait_for_head(client, camera.keys, there=False)
        filming.cancel()
        await until(lambda: len(masks_of(client, camera.keys)) == camera.sent)
    masks = masks_of(client, camera.keys)
    assert [mask.identity.sequence for mask in masks] == list(range(camera.sent)), "each frame ended once, in order"
    labels = {mask.labels.tobytes() for mask in masks}
    assert len(labels) == 1, "the label map does not depend on which heads there are"
    with_head = [mask for mask in masks if mask.output(HEAD) is not None]
    assert {each.version for mask in with_head for each in mask.further} == {version}
