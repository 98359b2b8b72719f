"""A split network, from a picture to a subscriber: real heads, Redis and dispatcher, tails on a real Triton."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from threading import Event
from typing import Any

import numpy as np
import pytest
import redis
from msgspec import structs
from numpy.typing import NDArray
from PIL import Image

import narrows
from edge_client.encode.sections import SectionedFrame
from edge_client.encode.split import SplitCoder, SplitHead
from edge_client.encode.writing import written_alone
from edge_client.program import run
from edge_client.settings import EdgeSettings
from narrows.cli.evaluate import Via, evaluate
from narrows.contract.bundle import SplitBundle
from narrows.contract.wire import FrameIdentity, Refusal, ResultPacket, StreamKeys
from narrows.contract.wire.frame_packet import Tensor
from orchestrator.inference import TritonDecoder
from orchestrator.inference.contract import lent
from orchestrator.servers import LocalRedis, LocalTriton
from tests import split_bundles
from tests.integration.dispatch.rig import until
from tests.integration.split.rig import SHARDS, dispatching, patient

pytestmark = pytest.mark.timeout(120)


async def outcomes(server: LocalRedis, stream: str, count: int) -> list[Any]:
    with narrows.subscribe(stream, redis_url=server.url, from_id="0", timeout_s=60) as found:
        return [await asyncio.to_thread(next, found) for _ in range(count)]


def rounded(bundle: SplitBundle, cut: int, level: int, seed: int) -> NDArray[np.float32]:
    """What the tail gets of the pooled picture."""
    quantiser = bundle.plans[cut][level][0].quantiser
    return quantiser.values(quantiser.symbols(split_bundles.early(split_bundles.picture(seed))))


async def test_a_camera_program_sends_what_crosses_and_a_subscriber_gets_typed_outputs(
    bundle: SplitBundle, triton: LocalTriton, server: LocalRedis, tmp_path: Path
) -> None:
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    for seed in range(3):
        Image.fromarray(split_bundles.picture(seed)).save(pictures / f"{seed}.png")
    settings = EdgeSettings(
        source=str(pictures),
        stream="cam-1",
        redis_url=server.url,
        bundle=bundle.folder,
        state_folder=tmp_path / "state",
        frames_per_s=50.0,
        level=1,
        frames=3,
        max_age_s=60.0,
    )
    async with dispatching(server, triton, bundle):
        with redis.Redis.from_url(server.url) as client:
            patient(client, "cam-1")
        stats = await asyncio.to_thread(run, settings, Event())
        assert stats.frames_sent == 3
        results = await outcomes(server, "cam-1", 3)
    for seed, result in enumerate(results):
        assert isinstance(result, ResultPacket)
        assert (result.bundle_id, result.cut, result.level, result.identity.sequence) == (bundle.id, 0, 1, seed)
        assert result.timings.infer_us > 0
        heat, scores = result.output("heat"), result.output("scores")
        assert heat is not None
        assert scores is not None
        wanted = rounded(bundle, 0, 1, seed)
        np.testing.assert_array_equal(heat.values, wanted)
        np.testing.assert_allclose(scores.values, wanted.mean(axis=(1, 2)), rtol=1e-5)


def frames(bundle: SplitBundle, cuts: list[int], epoch: int = 1) -> Iterator[SectionedFrame]:
    head, coder = SplitHead(bundle), SplitCoder(bundle)
    for sequence, cut in enumerate(cuts):
        head.use(cut)
        identity = FrameIdentity(epoch, sequence)
        yield coder.packet(head.latent(split_bundles.picture(sequence)), 0, identity, 1000 + sequence)


async def test_a_camera_goes_over_to_another_cut_and_bad_frames_cost_themselves_alone(
    bundle: SplitBundle, triton: LocalTriton, server: LocalRedis, tmp_path: Path
) -> None:
    good = list(frames(bundle, [0, 1, 0, 1, 1, 0]))
    claimed = structs.replace(good[2].layouts[0], content=Tensor(split_bundles.EARLY, 6))
    good[2] = replace(good[2], layouts=(claimed,))
    stranger = split_bundles.write(tmp_path / "other", name="another network")
    good[3] = replace(good[3], bundle_id=stranger.id)
    good[4] = replace(good[4], cut=9)
    async with dispatching(server, triton, bundle) as dispatcher:
        with redis.Redis.from_url(server.url) as client:
            patient(client, "cam-2")
            for frame in good:
                client.xadd(StreamKeys.of("cam-2", SHARDS).features, {"p": written_alone(frame)})
            found = await outcomes(server, "cam-2", 6)
            ledger: Any = client.hgetall(StreamKeys.of("cam-2", SHARDS).ledger)
        known = dispatcher.shards[StreamKeys.of("cam-2", SHARDS).shard].streams["cam-2"]
        assert known.wanted == known.answered == {bundle.tails[0].hex_id: 2, bundle.tails[1].hex_id: 1}
        registry = dispatcher.metrics.registry
        refused = {
            reason: registry.get_sample_value(
                "narrows_frames_total", {"outcome": "refused", "reason": reason, "group": "default"}
            )
            for reason in ("unknown_precision", "unknown_bundle", "shape_mismatch")
        }
    assert [each.identity.sequence for each in found] == list(range(6))
    assert [each.reason if isinstance(each, Refusal) else each.cut for each in found] == [
        0, 1, "unknown_precision", "unknown_bundle", "shape_mismatch", 0
    ]  # fmt: skip
    assert refused == {"unknown_precision": 1, "unknown_bundle": 1, "shape_mismatch": 1}
    assert (int(ledger[b"mask"]), int(ledger[b"refused"])) == (3, 3)
    for sequence, cut in ((0, 0), (1, 1), (5, 0)):
        heat = found[sequence].output("heat")
        np.testing.assert_array_equal(heat.values, rounded(bundle, cut, 0, sequence))


async def test_a_canary_goes_first_with_a_new_bundle_and_back_without_losing_a_frame(
    bundle: SplitBundle, newer: SplitBundle, triton: LocalTriton, server: LocalRedis
) -> None:
    canary, other = "cam-new", "cam-old"
    cuts, sent = [0, 1, 1, 0], {canary: 0, other: 0}

    def send(client: redis.Redis, stream: str, of: SplitBundle) -> None:
        """A boot of the camera."""
        epoch = 1 + sent[stream] // len(cuts)
        for frame in frames(of, cuts, epoch):
            client.xadd(StreamKeys.of(stream, SHARDS).features, {"p": written_alone(frame)})
        sent[stream] += len(cuts)

    async def made_by(stream: str) -> list[int | str]:
        found = (await outcomes(server, stream, sent[stream]))[-len(cuts) :]
        assert [each.identity.sequence for each in found] == list(range(len(cuts)))
        assert [each.cut for each in found if isinstance(each, ResultPacket)] in ([], cuts)
        return [each.reason if isinstance(each, Refusal) else each.bundle_id for each in found]

    with redis.Redis.from_url(server.url) as client:
        async with dispatching(server, triton, bundle, newer) as dispatcher:
            patient(client, canary, held_to=newer)
            patient(client, other)
            for stream, of in ((canary, newer), (other, bundle)):
                send(client, stream, of)
                assert await made_by(stream) == [of.id] * len(cuts)
            send(client, canary, bundle)
            assert await made_by(canary) == ["unknown_bundle"] * len(cuts), "it is held to the new one"
            patient(client, canary)
            known = dispatcher.shards[StreamKeys.of(canary, SHARDS).shard].streams[canary]

            async def is_free() -> bool:
                return known.settings.bundle is None

            await until(is_free)
            send(client, canary, bundle)
            assert await made_by(canary) == [bundle.id] * len(cuts), "rolled back"
        async with dispatching(server, triton, bundle):
            send(client, canary, newer)
            send(client, other, bundle)
            assert await made_by(canary) == ["unknown_bundle"] * len(cuts), "it is served no more"
            assert await made_by(other) == [bundle.id] * len(cuts)
        ledgers = [client.hgetall(StreamKeys.of(stream, SHARDS).ledger) for stream in (canary, other)]
    counts = [{name: int(n) for name, n in each.items() if name in {b"mask", b"refused"}} for each in ledgers]
    assert counts == [{b"mask": 8, b"refused": 8}, {b"mask": 8}]


@pytest.mark.parametrize("cut", [0, 1])
async def test_a_bundle_is_judged_through_the_stack_as_in_this_process(
    bundle: SplitBundle, triton: LocalTriton, server: LocalRedis, tmp_path: Path, cut: int
) -> None:
    for seed in range(12):
        (tmp_path / str(seed % 3)).mkdir(exist_ok=True)
        Image.fromarray(split_bundles.picture(seed)).save(tmp_path / str(seed % 3) / f"{seed}.png")
    found = []
    async with dispatching(server, triton, bundle):
        for run, via in enumerate(
            (Via.HERE, Via.TRITON, Via.TRITON)
        ):  # twice, for frames that ended are none the next time
            judged = partial(evaluate, data=tmp_path, bundle=bundle.folder, cut=cut, rate=1, redis_url=server.url)
            await asyncio.to_thread(judged, via=via, json=tmp_path / f"{run}.json")
            found.append(json.loads((tmp_path / f"{run}.json").read_text()))
    assert [each.pop("via") for each in found] == ["here", "triton", "triton"]
    here, there, again = found
    assert here == there == again
    assert (here["frames"], here["cut"], here["top_1"] is None) == (12, cut, False)


async def test_a_tail_has_a_cost_and_instances_of_its_own(bundle: SplitBundle, triton: LocalTriton) -> None:
    for tail in bundle.tails:
        decoder = await TritonDecoder.connect(triton.grpc_address, tail, max_batch=4, slots=1)
        try:
            assert decoder.max_batch == (4 if tail.batched else 1)
            async with lent(decoder) as slot:
                for name in slot.inputs:
                    slot.inputs[name][:1] = 1.0
                scores, _ = await slot.run(1)
                assert scores.shape == (1, 3)
            assert await decoder.instances() == 1
            totals = await decoder.batch_totals()
            assert totals[1].executions >= 1
        finally:
            await decoder.close()
