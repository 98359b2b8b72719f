"""From an entry to what its frame is decoded to, or to the name that it is refused by.

::

    entry ─ admit ─► packet ─ decode ─┬─► symbols, or what crosses at a cut
                                      ├─► the camera's mask, perhaps with symbols to audit it by
                                      └─► stale, or ended before: skipped undecoded

A packet that is skipped is kept for those that are coded against it.
"""

from __future__ import annotations

import time
from collections.abc import Mapping

from msgspec import Struct

from narrows.contract.bundle import AnyBundle, Bundle, SplitBundle, bundle_of
from narrows.contract.errors import EntryIdForged, FramePoison, SectionsUnsupported
from narrows.contract.wire.feature import FrameIdentity, PacketKind
from narrows.contract.wire.frame_packet import FramePacket
from narrows.contract.wire.output_packet import OutputPacket
from narrows.contract.wire.streams import Policy
from narrows.runtime.redis.store import Store
from orchestrator.dispatch.admission import (
    choose_bundle,
    clock_ahead,
    clock_behind,
    makes_masks_if_asked,
    packet_bytes,
    stale_at_s,
)
from orchestrator.dispatch.batcher import Batcher
from orchestrator.dispatch.endings import Ending
from orchestrator.dispatch.label_maps import CameraMask, decode_mask
from orchestrator.dispatch.latents import Latents
from orchestrator.dispatch.objects import pass_on
from orchestrator.dispatch.packets import Packets
from orchestrator.dispatch.sections import Contents, contents_of
from orchestrator.dispatch.settings import DispatchSettings
from orchestrator.dispatch.stream import Frame, Stream
from orchestrator.dispatch.symbol_decoding import Symbols
from orchestrator.dispatch.tensors import Crossed, decode_tensors
from orchestrator.dispatch.window import SeenWindow
from orchestrator.dispatch.workers import Workers
from orchestrator.telemetry.metrics import Metrics

_HEAD_BYTES = 256


class Admitted(Struct, frozen=True):
    """A frame that is believed, with what its bundle decodes of it."""

    packet: FramePacket
    bundle: AnyBundle
    contents: Contents

    @property
    def model_id(self) -> int:
        """The model that is asked for its outputs."""
        return self.contents.model_id(self.bundle)


class Decoded(Struct, frozen=True):
    """A frame with its symbols, the camera's mask, or what crosses at a cut, and how long they took.

    Attributes:
        content: ``None`` of a frame of objects alone.
        audit: symbols of the same picture, where a camera's mask is to be held against them.
        objects: what the camera outlined, which is passed on.
    """

    packet: FramePacket
    bundle: AnyBundle
    model_id: int
    level: int
    content: Symbols | CameraMask | Crossed | None
    audit: Symbols | None
    objects: OutputPacket | None
    stale_at_s: float | None
    decode_s: float


class FrameDecoder:
    """Admits and decodes the frames of streams, each stream's in their order.

    Attributes:
        served: the bundles by id.
    """

    def __init__(
        self,
        store: Store,
        batchers: Mapping[int, Batcher],
        packets: Packets,
        latents: Latents,
        workers: Workers,
        metrics: Metrics,
        settings: DispatchSettings,
    ) -> None:
        self._store, self._batchers, self._packets, self._workers = store, batchers, packets, workers
        self._latents, self._metrics, self._settings = latents, metrics, settings
        self.served = {batcher.model.bundle_id: bundle_of(batcher.model) for batcher in batchers.values()}

    async def admit(self, frame: Frame) -> Admitted:
        """Believe a frame, and learn from it what it says of its camera.

        Raises:
            FrameRefused: by name.
            ServiceError: Redis is away.
        """
        settings, taken = frame.stream.settings, frame.taken
        data = packet_bytes(frame.entry)
        frame.size_bytes, frame.head = len(data), data[:_HEAD_BYTES]
        self._metrics.payload_bytes.inc(len(data))
        if taken.forged is None:
            self._metrics.took("redis", taken.waited_s(taken.read_s))
        packet = await self._packets.of(frame, data)
        if taken.forged is not None:
            raise EntryIdForged(taken.forged)
        if frame.deliveries > self._settings.deliveries:
            raise FramePoison(f"taken up {frame.deliveries - 1} times without an end; see the dispatchers' logs")
        bundle = choose_bundle(packet, settings, self.served)
        frame.stream.split = bundle if isinstance(bundle, SplitBundle) else None  # told even if its cut is refused
        contents = contents_of(packet, bundle)
        self._learn(frame, packet, bundle, contents)
        if clock_ahead(packet.head, taken.arrived_ms, settings, self._settings.future_ms):
            self._metrics.clock_future.inc()
            frame.stream.clocks_ahead += 1
        elif clock_behind(packet.head, taken.arrived_ms, self._settings.past_ms):
            self._metrics.clock_behind.inc()
        else:
            self._metrics.took("uplink", (taken.arrived_ms - packet.head.capture_ms) / 1000)
        return Admitted(packet, bundle, contents)

    def _learn(self, frame: Frame, packet: FramePacket, bundle: AnyBundle, contents: Contents) -> None:
        """What a believed packet says of its camera. A mask that was asked for still counts as demand: it may end."""
        stream = frame.stream
        stream.makes_masks = contents.mask is not None or contents.made_by_camera
        stream.outputs = len(bundle.outputs)
        if contents.mask is not None and contents.level is not None:
            stream.audited_s = time.monotonic()
        if packet.head.carries_context:
            stream.able = makes_masks_if_asked(frame.entry)
        if stream.makes_masks and stream.asked_for_masks and contents.level is None:
            self._batchers[bundle.id].demand.offered(0)

    async def decode(self, frame: Frame, admitted: Admitted) -> Decoded | Ending:
        """The symbols or the mask; or the end of a frame that is stale, or ended before so that any ending will do.

        Raises:
            FrameRefused: by name.
            ServiceError: Redis is away.
        """
        packet, bundle, contents = admitted.packet, admitted.bundle, admitted.contents
        if contents.level is not None:
            self._batchers[admitted.model_id].observe_offered(contents.level)
        if contents.tensors is not None:
            frame.stream.wanted[contents.tensors.tail.hex_id] += 1
        too_old_s = stale_at_s(frame.taken.arrived_s, frame.stream.settings)
        stale = too_old_s is not None and time.monotonic() > too_old_s
        if stale or await self._has_ended(frame.stream, packet.identity):
            if contents.mask is None and contents.level is not None and contents.tensors is None:
                frame.stream.references.postpone(packet)
            return Ending.skipped("stale", packet.identity)
        begun_s = time.monotonic()
        content, audit, took_s = await self._content(frame, admitted)
        objects = None if contents.objects is None else await pass_on(contents.objects, self._workers)
        decode_s = time.monotonic() - begun_s if took_s is None else took_s
        self._metrics.took("decode", decode_s)
        level = contents.level or 0
        return Decoded(packet, bundle, admitted.model_id, level, content, audit, objects, too_old_s, decode_s)

    async def _content(
        self, frame: Frame, admitted: Admitted
    ) -> tuple[Symbols | CameraMask | Crossed | None, Symbols | None, float | None]:
        """What the outputs are made of, or the camera's mask; symbols to hold that against; how long a latent took."""
        packet, contents, bundle = admitted.packet, admitted.contents, admitted.bundle
        if contents.made_by_camera and contents.mask is None:
            return None, None, None
        if contents.tensors is not None:
            return await decode_tensors(contents.tensors, self._workers), None, None
        if not isinstance(bundle, Bundle):
            raise SectionsUnsupported(f"bundle {bundle.hex_id} is of a split network, and this is no tensor of it")
        if contents.mask is not None:
            audit = None if contents.level is None else await self._latents.alone(frame, packet, bundle)
            return await decode_mask(contents.mask, self._workers), audit, None
        plane = await self._latents.following(frame, packet, bundle)
        if frame.stream.settings.policy is Policy.COMPLETE:
            frame.link = "key" if packet.head.kind is PacketKind.KEY else "next"
        return plane.symbols, None, plane.took_s

    async def _has_ended(self, stream: Stream, identity: FrameIdentity) -> bool:
        """Whether a frame ended before, by what Redis says now: it may have lost its last second since it was read."""
        if stream.seen.has_ended(identity):
            stream.seen = SeenWindow.parse(await self._store.hash_of(stream.keys.seen))
        return stream.seen.has_ended(identity)
