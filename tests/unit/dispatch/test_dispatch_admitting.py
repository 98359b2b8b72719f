"""What is learned of a camera from a packet that is believed."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, cast

from edge_client.encode.split import SplitCoder, SplitHead
from narrows.contract.bundle import models_of
from narrows.contract.outputs.objects import ObjectMask, Objects
from narrows.contract.wire import FrameIdentity, StreamKeys, StreamSettings
from narrows.contract.wire.frame_packet import Objects as ObjectsLayout
from narrows.contract.wire.frame_packet import Section, SectionLayout
from narrows.contract.wire.frame_packet.feature import Origin
from narrows.contract.wire.keys import ABLE_FIELD, ABLE_TO_MAKE_MASKS, PACKET_FIELD
from narrows.runtime.redis.store import RawEntry
from orchestrator.dispatch.batcher import Batcher
from orchestrator.dispatch.connected import Connected
from orchestrator.dispatch.frame_decoder import FrameDecoder
from orchestrator.dispatch.lease import Lease
from orchestrator.dispatch.packets import Packets
from orchestrator.dispatch.reference_cache import ReferenceCache
from orchestrator.dispatch.settings import DispatchSettings
from orchestrator.dispatch.stream import Frame, Stream, Taken
from orchestrator.dispatch.unsealing import KeySettings, Unsealing
from orchestrator.dispatch.workers import Workers
from orchestrator.telemetry.faults import Faults
from orchestrator.telemetry.metrics import Metrics
from tests import split_bundles

if TYPE_CHECKING:
    from narrows.runtime.redis.store import Store

NOBODY = cast("Store", None)


async def unconnected() -> Connected:
    raise NotImplementedError


def test_a_camera_of_a_split_network_makes_no_masks_whatever_it_says_and_was_asked_for(tmp_path: Path) -> None:
    bundle, settings, metrics = split_bundles.write(tmp_path), DispatchSettings(), Metrics()
    batchers = {tail.id: Batcher(tail, unconnected, metrics, settings) for tail in models_of(bundle)[1:]}
    outlined = Objects(64, 48, 12, (ObjectMask(4, 7, 0, 0, 9, None),))
    coded = SplitCoder(bundle).packet(
        SplitHead(bundle, cut=0).latent(split_bundles.picture(1)), 0, FrameIdentity(1, 2), 0
    )
    alone = replace(
        coded,
        layouts=(SectionLayout(ObjectsLayout(0xABCD)),),
        sections=(Section(outlined.digest(), outlined.to_bytes()),),
    )
    packet = alone.within(alone.beginning(Origin())).to_bytes()
    entry = RawEntry(b"1-0", [PACKET_FIELD, packet, ABLE_FIELD, ABLE_TO_MAKE_MASKS])
    stream = Stream(StreamKeys("a", 0), Lease(0, "1", 0.0), ReferenceCache(1), StreamSettings())
    stream.asked_for_masks = True  # as it was by another bundle's packets
    with ThreadPoolExecutor(1) as pool:
        packets = Packets(NOBODY, Unsealing(KeySettings(), metrics, Faults(metrics)))
        decoder = FrameDecoder(NOBODY, batchers, packets, Workers(pool), metrics, settings)
        admitted = decoder.admit(Frame(stream, entry, 1, Taken(1.0, 1.0, 1.0)))
    assert admitted.contents.made_by_camera
    assert not stream.able
