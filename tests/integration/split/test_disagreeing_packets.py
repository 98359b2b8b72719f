"""Packets of a split network that disagree with its plan, each in another way, beside a camera that does no wrong."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import redis
from msgspec.structs import replace as with_fields

from edge_client.encode.sections import SectionedFrame
from edge_client.encode.split import SplitCoder, SplitHead
from edge_client.encode.writing import written_alone
from narrows.contract.bundle import SplitBundle
from narrows.contract.wire import FrameIdentity, Refusal, StreamKeys
from narrows.contract.wire.feature import LatentShape
from narrows.contract.wire.frame_packet import Latent, Section, SectionLayout, Tensor
from orchestrator.servers import LocalRedis, LocalTriton
from tests import split_bundles
from tests.integration.split.rig import SHARDS, dispatching, patient
from tests.integration.split.test_split_network import outcomes

pytestmark = pytest.mark.timeout(120)
Wrong = Callable[[SectionedFrame, SectionedFrame], SectionedFrame]
"""From a frame, and one of the other cut."""
EARLY, (FINE, COARSE) = split_bundles.EARLY, split_bundles.BITS
MOST_SECTIONS = 32


def payload(change: Callable[[bytes], bytes]) -> Wrong:
    def wrong(frame: SectionedFrame, _: SectionedFrame) -> SectionedFrame:
        first, *others = frame.sections
        return replace(frame, sections=(Section(first.digest, change(first.payload)), *others))

    return wrong


def layout(**fields: Any) -> Wrong:
    return lambda frame, _: replace(frame, layouts=(with_fields(frame.layouts[0], **fields), *frame.layouts[1:]))


def repeated(first: int, count: int) -> Wrong:
    """So many times its first tensor, instead of all from a place on."""

    def wrong(frame: SectionedFrame, _: SectionedFrame) -> SectionedFrame:
        content = frame.layouts[0].content
        more = tuple(SectionLayout(content, id=place) for place in range(first, first + count))
        return replace(
            frame,
            layouts=(*frame.layouts[:first], *more),
            sections=(*frame.sections[:first], *frame.sections[:1] * count),
        )

    return wrong


WRONG: dict[str, tuple[Wrong, str]] = {
    "a payload of a byte": (payload(lambda _: b"\xff"), "undecodable"),
    "a payload of nearly a mebibyte": (payload(lambda _: bytes(1_000_000)), "undecodable"),
    "a payload that ends early": (payload(lambda data: data[:-1]), "undecodable"),
    "a payload with more behind": (payload(lambda data: data + bytes(2)), "undecodable"),
    "another picture's digest": (
        lambda frame, _: replace(frame, sections=(Section(7, frame.sections[0].payload), *frame.sections[1:])),
        "digest_mismatch",
    ),
    "the other cut's sections": (
        lambda frame, other: replace(frame, layouts=other.layouts, sections=other.sections),
        "shape_mismatch",
    ),
    "the other cut's number": (lambda frame, other: replace(frame, cut=other.cut), "shape_mismatch"),
    "a cut that is none": (lambda frame, _: replace(frame, cut=255), "shape_mismatch"),
    "a tensor more": (repeated(2, 1), "shape_mismatch"),
    "as many tensors as a packet takes": (repeated(0, MOST_SECTIONS), "shape_mismatch"),
    "a latent instead": (layout(content=Latent(LatentShape(*EARLY))), "sections"),
    "a precision that no level has": (layout(content=Tensor(EARLY, 16)), "unknown_precision"),
    "the other level's precision": (layout(content=Tensor(EARLY, COARSE)), "unknown_precision"),
    "a level that is none": (layout(level=15), "unknown_precision"),
    "as many numbers in another shape": (layout(content=Tensor(EARLY[::-1], FINE)), "shape_mismatch"),
    "a section's number that is none": (layout(id=200), "shape_mismatch"),
    "another network": (lambda frame, _: replace(frame, bundle_id=frame.bundle_id ^ 1), "unknown_bundle"),
}
ONE_TENSOR = {"a tensor more"}
"""At cut 0, of one tensor, there is no second for it to stand behind."""


def coded(head: SplitHead, bundle: SplitBundle, cut: int, sequence: int) -> SectionedFrame:
    head.use(cut)
    latent = head.latent(split_bundles.picture(sequence))
    return SplitCoder(bundle).packet(latent, 0, FrameIdentity(1, sequence), 1000 + sequence)


async def test_a_packet_that_disagrees_with_its_plan_is_refused_by_name_and_costs_no_other(
    bundle: SplitBundle, triton: LocalTriton, server: LocalRedis
) -> None:
    head, sent, wanted = SplitHead(bundle), list[SectionedFrame](), list[str | int]()
    for name, (wrong, reason) in WRONG.items():
        for cut in (1,) if name in ONE_TENSOR else (0, 1):
            own, other = (coded(head, bundle, each, len(sent)) for each in (cut, 1 - cut))
            sent += [wrong(own, other), coded(head, bundle, cut, len(sent) + 1)]
            wanted += [reason, cut]
    beside = [coded(head, bundle, 0, sequence) for sequence in range(10)]
    async with dispatching(server, triton, bundle):
        with redis.Redis.from_url(server.url) as client:
            for stream, frames in (("cam-bad", sent), ("cam-good", beside)):
                patient(client, stream)
                for frame in frames:
                    client.xadd(StreamKeys.of(stream, SHARDS).features, {"p": written_alone(frame)})
        found = await outcomes(server, "cam-bad", len(sent))
        neighbours = await outcomes(server, "cam-good", len(beside))
    assert [each.reason if isinstance(each, Refusal) else each.cut for each in found] == wanted
    assert [each.identity.sequence for each in found] == list(range(len(sent)))
    assert [each.identity.sequence for each in neighbours if not isinstance(each, Refusal)] == list(range(len(beside)))
