"""One ending that Redis never takes ends by name; those beside it, before and behind, are written in their order."""

import asyncio
from collections.abc import AsyncIterator

import numpy as np
import pytest

from narrows.contract.wire import FrameIdentity, MaskPacket, Refusal
from narrows.runtime.redis.store import pairs
from orchestrator.dispatch import Store
from orchestrator.dispatch.endings import Ending
from orchestrator.dispatch.finish import FinishReply
from orchestrator.inference.contract import Batch
from tests.integration.dispatch.finishing import SMALL, a_stream, at_once, finishing, outcome_kinds, taken_in
from tests.integration.dispatch.rig import (
    CLASSES,
    Camera,
    MakeCamera,
    RuleDecoder,
    Start,
    finished,
    until,
)

BIG = 1_200_000
# The last says nothing: it closes the connection. maxmemory-clients spares the cloud's connections.
LIMITS = [("proto-max-bulk-len", "1mb"), ("client-query-buffer-limit", "1mb")]


@pytest.fixture(params=LIMITS, ids=lambda limit: limit[0])
async def limited(store: Store, request: pytest.FixtureRequest) -> AsyncIterator[Store]:
    """A server that takes no ending of :data:`BIG` bytes."""
    name, value = request.param
    before = (await store.call("CONFIG", "GET", name))[1]
    await store.call("CONFIG", "SET", name, value)
    yield store
    await store.call("CONFIG", "SET", name, before)


async def test_one_mask_over_the_limit_is_refused_by_name_in_its_place(limited: Store) -> None:
    big, small = a_stream("big"), a_stream("small")
    async with finishing(limited) as finisher:
        ended = await at_once(limited, finisher, {big: [SMALL, BIG, SMALL, SMALL], small: [SMALL] * 6})
    assert {each.verdict for some in ended.values() for each in some} == {FinishReply.FINISHED}
    assert [each.ending.reason for each in ended["big"]] == ["", "outcome_refused", "", ""]
    assert await outcome_kinds(limited, big) == ["mask", "refused", "mask", "mask"]
    assert await outcome_kinds(limited, small) == ["mask"] * 6
    ledger = pairs(await limited.call("HGETALL", big.keys.ledger))
    assert ledger == {b"mask": b"3", b"refused": b"1", b"refused:outcome_refused": b"1"}
    assert await limited.call("XLEN", big.keys.features) == 0


async def test_a_mask_whose_further_output_is_over_the_limit_is_published_without_it(limited: Store) -> None:
    stream = a_stream("two")
    large, fits = ((b"o:large", b"v" * BIG),), ((b"o:scene", b"v"),)
    async with finishing(limited) as finisher, asyncio.timeout(60):
        taken = [
            (await taken_in(limited, stream), Ending.mask(b"m", FrameIdentity(1, n), outputs))
            for n, outputs in enumerate([fits, large, fits])
        ]
        ended = await asyncio.gather(*(finished(finisher, *each) for each in taken))
    assert [each.verdict for each in ended] == [FinishReply.FINISHED] * 3
    assert [each.ending.outputs for each in ended] == [fits, (), fits]
    assert await outcome_kinds(limited, stream) == ["mask"] * 3
    entries = await limited.call("XRANGE", stream.keys.outcomes, "-", "+")
    assert [sorted(pairs(fields)) for _, fields in entries] == [
        [b"k", b"o:scene", b"p"],
        [b"k", b"p"],
        [b"k", b"o:scene", b"p"],
    ]
    assert pairs(await limited.call("HGETALL", stream.keys.ledger)) == {b"mask": b"3"}


async def test_outputs_over_the_limit_without_a_label_map_are_refused_and_no_empty_result_is_published(
    limited: Store,
) -> None:
    stream, outputs = a_stream("heat"), ((b"o:heat", b"v" * BIG),)
    async with finishing(limited) as finisher, asyncio.timeout(60):
        result = Ending.mask(b"r", FrameIdentity(1, 0), outputs, alone=False)
        ended = await finished(finisher, await taken_in(limited, stream), result)
    assert (ended.verdict, ended.ending.reason) == (FinishReply.FINISHED, "outcome_refused")
    assert await outcome_kinds(limited, stream) == ["refused"]


async def test_a_batch_of_nothing_else_is_refused_frame_by_frame(limited: Store) -> None:
    big = a_stream("big")
    async with finishing(limited) as finisher:
        ended = await at_once(limited, finisher, {big: [BIG] * 3})
        later = await at_once(limited, finisher, {a_stream("small"): [SMALL]})
    assert [each.ending.reason for each in ended["big"]] == ["outcome_refused"] * 3
    assert [each.ending.reason for each in later["small"]] == [""]


async def test_a_whole_frame_whose_mask_is_too_large_is_refused_and_the_next_is_masked(
    store: Store, camera: MakeCamera, dispatching: Start
) -> None:
    await store.call("CONFIG", "SET", "proto-max-bulk-len", "1mb")
    cam, decoder = camera(), NoisyDecoder()
    async with dispatching(with_decoder=decoder) as dispatcher:
        for noisy in (False, True, False):
            decoder.noisy = noisy
            await cam.frames(1)
            await until(lambda: _ended(cam))
        labels = {"outcome": "refused", "reason": "outcome_refused", "group": "default"}
        assert dispatcher.metrics.registry.get_sample_value("narrows_frames_total", labels) == 1
    before, refusal, after = await cam.outcomes()
    assert isinstance(refusal, Refusal)
    assert refusal.identity == FrameIdentity(7, 1)
    assert isinstance(before, MaskPacket)
    assert isinstance(after, MaskPacket)


class NoisyDecoder(RuleDecoder):
    """Label maps of four million pixels, all alike or all noise."""

    noisy = False

    async def run(self, n: int) -> Batch:
        labels = np.zeros((n, 2048, 2048), np.uint8)
        return (np.random.default_rng(0).integers(0, CLASSES, labels.shape, np.uint8) if self.noisy else labels,)


async def _ended(cam: Camera) -> bool:
    return len(await cam.outcomes()) == cam.sequence
