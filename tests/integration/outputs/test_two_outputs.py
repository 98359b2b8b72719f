"""A bundle of two outputs on a real Triton: both come out of shared memory, and the label map is published as ever."""

from __future__ import annotations

import asyncio
import dataclasses
import shutil
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import redis
from numpy.typing import NDArray

import narrows
from narrows.client.subscription import parse_entry
from narrows.contract.bundle import Bundle, Heads
from narrows.contract.bundle.manifest import CAMERA_DECODER, FileEntry
from narrows.contract.codec import encode_labels, encode_symbols, general_label_tables, label_digest, symbol_digest
from narrows.contract.errors import InferenceFailed, ServiceError
from narrows.contract.outputs import Output
from narrows.contract.wire import FeaturePacket, MaskPacket, ShardKeys, StreamKeys
from narrows.contract.wire.frame_packet import FrameHead, FramePacket, LabelMap, Section, SectionLayout
from narrows.contract.wire.frame_packet.feature import Origin, as_frame, beginning_with
from narrows.contract.wire.keys import LABEL_TABLES_KEY
from narrows.contract.wire.mask import label_tables_of
from narrows.runtime.triton_config import fill_repository, model_name
from orchestrator.dispatch import Connected, Dispatcher, DispatchSettings, Store
from orchestrator.inference import TritonDecoder
from orchestrator.inference.contract import lent
from orchestrator.servers import LocalRedis, LocalTriton
from tests.integration.while_running import while_running

MAX_BATCH = 4
SHARDS = 4
SCENE = Output("scene", "scores", "float32", (3,), "raw", ("least", "mean", "largest"))


@pytest.fixture(scope="module")
def two(demo_bundle: Bundle) -> Bundle:
    """The demo bundle, with a second output beside its label map."""
    manifest = replace(demo_bundle.manifest, schema=2, outputs=(*demo_bundle.manifest.outputs, SCENE))
    return replace(demo_bundle, manifest=manifest, heads=Heads(), cpu_decoder=None)


@pytest.fixture(scope="module")
def repository(two: Bundle, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What ``narrows export`` writes of it, run by a rule instead of its network."""
    folder = tmp_path_factory.mktemp("models")
    model = fill_repository(two, folder, max_batch=MAX_BATCH)
    config = model / "configs" / "cpu.pbtxt"
    config.write_text(config.read_text().replace('"onnxruntime"', '"python"'))
    (model / "1" / "model.onnx").unlink()
    shutil.copyfile(Path(__file__).with_name("model_of_two.py"), model / "1" / "model.py")
    return folder


@pytest.fixture(scope="module")
def triton(two: Bundle, repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalTriton]:
    with LocalTriton.start(repository, tmp_path_factory.mktemp("run"), [model_name(two.id)]) as running:
        yield running


@asynccontextmanager
async def connected(triton: LocalTriton, bundle: Bundle, **options: Any) -> AsyncIterator[TritonDecoder]:
    decoder = await TritonDecoder.connect(triton.grpc_address, bundle, max_batch=MAX_BATCH, slots=1, **options)
    try:
        yield decoder
    finally:
        await decoder.close()


def symbols_of(bundle: Bundle, seed: int) -> NDArray[np.int8]:
    shape = bundle.manifest.latent.as_tuple()
    return bundle.tables.silence(np.random.default_rng(seed).integers(-3, 4, shape).astype(np.int8), 0)


def calm(symbols: NDArray[np.int8]) -> NDArray[np.int8]:
    """The same everywhere, so that masks by rule are no noise, which a camera may not send."""
    return np.ascontiguousarray(np.broadcast_to(symbols[:, :1, :1], symbols.shape))


def by_rule(bundle: Bundle, symbols: NDArray[np.int8]) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """What the model answers for one frame."""
    sums = np.abs(symbols.astype(np.int32)).sum(axis=0) % 11
    height, width = bundle.manifest.outputs[0].shape
    labels = np.tile(sums, (height // sums.shape[0] + 1, width // sums.shape[1] + 1))[:height, :width]
    scores = np.array([symbols.min(), symbols.mean(dtype=np.float64), symbols.max()], np.float32)
    return labels.astype(np.uint8), scores


@pytest.mark.parametrize("shared_memory", [True, False])
async def test_both_outputs_of_each_frame_of_a_batch_come_back(
    triton: LocalTriton,
    two: Bundle,
    shared_memory: bool,  # noqa: FBT001
) -> None:
    async with connected(triton, two, shared_memory=shared_memory) as decoder, lent(decoder) as slot:
        for n in (MAX_BATCH, 3, 1):
            frames = [symbols_of(two, seed) for seed in range(n)]
            slot.inputs["symbols"][:n], slot.inputs["level"][:n] = frames, 0
            labels, scores = await slot.run(n)
            assert [labels.dtype, scores.dtype] == [np.uint8, np.float32]
            assert [labels.shape, scores.shape] == [(n, *two.manifest.outputs[0].shape), (n, 3)]
            for i, symbols in enumerate(frames):
                wanted = by_rule(two, symbols)
                np.testing.assert_array_equal(labels[i], wanted[0])
                np.testing.assert_allclose(scores[i], wanted[1], rtol=1e-6)


@pytest.mark.parametrize("shared_memory", [True, False])
async def test_a_label_map_that_cannot_be_fails_its_batch_by_name_and_no_other(
    triton: LocalTriton,
    two: Bundle,
    shared_memory: bool,  # noqa: FBT001
) -> None:
    async with connected(triton, two, shared_memory=shared_memory) as decoder, lent(decoder) as slot:
        slot.inputs["symbols"][0], slot.inputs["level"][0] = symbols_of(two, 1), 201
        with pytest.raises(InferenceFailed, match="label 250 for output labels"):
            await slot.run(1)
        slot.inputs["level"][0] = 0
        labels, _ = await slot.run(1)
        np.testing.assert_array_equal(labels[0], by_rule(two, symbols_of(two, 1))[0])


@pytest.mark.parametrize("shared_memory", [True, False])
async def test_a_second_output_of_another_form_is_left_out_and_the_label_map_is_there(
    triton: LocalTriton,
    two: Bundle,
    shared_memory: bool,  # noqa: FBT001
) -> None:
    async with connected(triton, two, shared_memory=shared_memory) as decoder, lent(decoder) as slot:
        for level, there in ((0, 1), (202, 0), (0, 1)):
            slot.inputs["symbols"][0], slot.inputs["level"][0] = symbols_of(two, 1), level
            labels, scores = await slot.run(1)
            np.testing.assert_array_equal(labels[0], by_rule(two, symbols_of(two, 1))[0])
            assert scores.shape == (there, 3)


@pytest.mark.parametrize(
    "other", [Output("scene", "scores", "float16", (3,), "raw"), Output("seen", "scores", "float32", (3,), "raw")]
)
async def test_a_model_without_the_second_output_or_of_another_dtype_is_refused_at_once(
    triton: LocalTriton, two: Bundle, other: Output
) -> None:
    bundle = replace(two, manifest=replace(two.manifest, outputs=(two.manifest.outputs[0], other)))
    with pytest.raises(ServiceError, match="the bundle needs"):
        async with connected(triton, bundle):
            pass


async def test_an_output_that_nobody_asks_for_is_left_where_it_is(triton: LocalTriton, two: Bundle) -> None:
    fewer = replace(two, manifest=replace(two.manifest, outputs=two.manifest.outputs[:1]))
    async with connected(triton, fewer) as decoder, lent(decoder) as slot:
        slot.inputs["symbols"][0], slot.inputs["level"][0] = symbols_of(two, 1), 0
        (labels,) = await slot.run(1)
        np.testing.assert_array_equal(labels[0], by_rule(two, symbols_of(two, 1))[0])


async def test_the_dispatcher_publishes_both_outputs_of_a_frame_in_one_entry(
    triton: LocalTriton, server: LocalRedis, client: redis.Redis, two: Bundle
) -> None:
    keys, symbols = StreamKeys.of("cam-1", SHARDS), symbols_of(two, 5)
    packet = FeaturePacket(
        bundle_id=two.id,
        epoch=1,
        sequence=0,
        capture_ms=0,
        level=0,
        shape=two.manifest.latent,
        own_digest=symbol_digest(symbols),
        payload=encode_symbols(symbols, two.tables, 0),
    )
    client.hset(ShardKeys(keys.shard).streams, "cam-1", '{"policy":"complete"}')  # a busy machine skips no frame
    client.xadd(keys.features, {"p": packet.to_bytes()})
    async with dispatching(server, triton, two):
        entries: Any = await asyncio.to_thread(client.xread, {keys.outcomes: "0"}, None, 30_000)
    (_, fields), *others = entries[0][1]
    assert others == []
    mask = parse_entry(fields)
    assert isinstance(mask, MaskPacket)
    labels, scores = by_rule(two, symbols)
    np.testing.assert_array_equal(mask.labels, labels)
    assert MaskPacket.parse(fields[b"p"]).further == (), "the label map is a packet of its own, as ever"
    assert set(fields) == {b"k", b"p", b"o:scene"}
    found = mask.output("scene")
    assert found is not None
    np.testing.assert_allclose(found.values, scores, rtol=1e-6)
    assert [each.version for each in mask.further] == [two.decoder_sha256[:16]]


def packet_of(bundle: Bundle, symbols: NDArray[np.int8], sequence: int) -> FeaturePacket:
    return FeaturePacket(
        bundle_id=bundle.id,
        epoch=1,
        sequence=sequence,
        capture_ms=0,
        level=0,
        shape=bundle.manifest.latent,
        own_digest=symbol_digest(symbols),
        payload=encode_symbols(symbols, bundle.tables, 0),
    )


def masked(packet: FeaturePacket, labels: NDArray[np.uint8], *, audited: bool) -> FramePacket:
    """The camera's mask instead of a frame's latent, or behind it."""
    context = beginning_with(packet, Origin())
    height, width = labels.shape
    layout = SectionLayout(LabelMap(height, width, 11))
    section = Section(label_digest(labels) & 0xFFFFFF, encode_labels(labels, 11, general_label_tables()))
    latent = as_frame(packet, context).sections if audited else ()
    context = dataclasses.replace(context, sections=(*(context.sections if audited else ()), layout))
    return FramePacket(FrameHead(context, packet.sequence, packet.capture_ms), (*latent, section))


async def test_features_a_mask_an_audited_frame_and_features_reach_a_subscriber_in_order_and_small(
    triton: LocalTriton, server: LocalRedis, client: redis.Redis, two: Bundle
) -> None:
    files = two.manifest.files | {CAMERA_DECODER: FileEntry("0" * 64, 1)}
    bundle = replace(two, manifest=replace(two.manifest, files=files), label_tables=None)
    frames = [calm(symbols_of(bundle, seed)) for seed in range(4)]
    labels = [by_rule(bundle, symbols)[0] for symbols in frames]
    other = np.where(np.arange(labels[2].size).reshape(labels[2].shape) < 1000, (labels[2] + 1) % 11, labels[2])
    features = [packet_of(bundle, symbols, sequence) for sequence, symbols in enumerate(frames)]
    own = [labels[1], other.astype(np.uint8)]
    keys = StreamKeys.of("cam-2", SHARDS)
    client.hset(ShardKeys(keys.shard).streams, "cam-2", '{"policy":"complete","masks":"small","stale_ms":60000}')
    client.hset(LABEL_TABLES_KEY, "0" * 16, b"of another release")
    async with dispatching(server, triton, bundle) as dispatcher:
        await until(lambda: client.hlen(LABEL_TABLES_KEY) == 2)
        for packet in (
            features[0],
            masked(features[1], own[0], audited=False),
            masked(features[2], own[1], audited=True),
            features[3],
        ):
            client.xadd(keys.features, {"p": packet.to_bytes()})
        with narrows.subscribe("cam-2", redis_url=server.url, from_id="0", timeout_s=30) as found:
            masks: list[Any] = [await asyncio.to_thread(next, found) for _ in range(4)]
        await until(lambda: sample(dispatcher, "narrows_audits_total", outcome="compared") == 1)
        assert sample(dispatcher, "narrows_audited_pixels_total", agrees="no") == 1000
        assert sample(dispatcher, "narrows_audited_pixels_total", agrees="yes") == labels[2].size - 1000
    for mask, wanted in zip(masks, [labels[0], *own, labels[3]], strict=True):
        np.testing.assert_array_equal(mask.labels, wanted)
    assert [mask.identity.sequence for mask in masks] == [0, 1, 2, 3]
    assert [mask.timings.infer_us > 0 for mask in masks] == [True, False, False, True]
    kept: Any = client.xrange(keys.outcomes)
    assert {label_tables_of(fields[b"p"]) for _, fields in kept} == {general_label_tables().id}


def sample(dispatcher: Dispatcher, name: str, **labels: str) -> float | None:
    return dispatcher.metrics.registry.get_sample_value(name, {"group": "default"} | labels)


async def until(there: Callable[[], Any]) -> None:
    async with asyncio.timeout(30):
        while not there():  # noqa: ASYNC110 - a counter of the dispatcher, or a key of Redis, has no event
            await asyncio.sleep(0.02)


@asynccontextmanager
async def dispatching(server: LocalRedis, triton: LocalTriton, bundle: Bundle) -> AsyncIterator[Dispatcher]:
    """A dispatcher while the context lasts."""

    async def connect() -> Connected:
        return Connected(
            await TritonDecoder.connect(triton.grpc_address, bundle, max_batch=MAX_BATCH, slots=1, shared_memory=True)
        )

    store = Store.connect(server.url)
    try:
        served = {bundle.id: (bundle, connect)}
        dispatcher = await Dispatcher.create(store, served, DispatchSettings(drain_s=1.0), shards=SHARDS)
        async with while_running(dispatcher):
            yield dispatcher
    finally:
        await store.close()
