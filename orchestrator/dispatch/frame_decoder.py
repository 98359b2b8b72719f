"""From an entry to what its frame is decoded to, or to the name that it is refused by.

::

    entry ─ admit ─► packet ─┬─► a small latent ─ one call of the kernel, with those of other streams ─► symbols
                             ├─► else ─ decode_apart ─► the camera's mask, what crosses at a cut, or a large latent
                             └─► stale, or ended before: skipped undecoded

A packet that is skipped is kept for those that are coded against it.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from functools import partial

from msgspec import Struct

from narrows.contract.bundle import AnyBundle, Bundle, SplitBundle, bundle_of
from narrows.contract.codec import CodedPlane
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
from orchestrator.dispatch.latents import Latents, checked, plane_of, remember
from orchestrator.dispatch.missing import Missing, when_there
from orchestrator.dispatch.objects import pass_on
from orchestrator.dispatch.packets import Packets
from orchestrator.dispatch.sections import Contents, contents_of
from orchestrator.dispatch.settings import DispatchSettings
from orchestrator.dispatch.stream import Frame, Stream
from orchestrator.dispatch.symbol_decoding import Symbols, TimedPlane, decode_alone
from orchestrator.dispatch.tensors import Crossed, decode_tensors
from orchestrator.dispatch.window import SeenWindow
from orchestrator.dispatch.workers import Workers
from orchestrator.telemetry.metrics import Metrics

_HEAD_BYTES = 256


class Admitted(Struct, frozen=True):
    """A frame that is believed, with what its bundle decodes of it, and when that is of no use any more."""

    packet: FramePacket
    bundle: AnyBundle
    contents: Contents
    stale_at_s: float | None

    @property
    def model_id(self) -> int:
        """The model that is asked for its outputs."""
        return self.contents.model_id(self.bundle)

    @property
    def level(self) -> int:
        """The rate level of what its bundle decodes; 0 where that is nothing."""
        return self.contents.level or 0

    @property
    def stale(self) -> bool:
        """Whether it is too old for the network by now."""
        return self.stale_at_s is not None and time.monotonic() > self.stale_at_s


class Latent(Struct, frozen=True):
    """A frame that waits for nothing but the kernel, which decodes its latent in a call with those of other streams."""

    frame: Frame
    admitted: Admitted
    plane: CodedPlane


class Decoded(Struct, frozen=True):
    """A frame with its symbols, the camera's mask, or what crosses at a cut, and how long they took.

    Attributes:
        content: ``None`` of a frame of objects alone.
        audit: symbols of the same picture, where a camera's mask is to be held against them.
        objects: what the camera outlined, which is passed on.
    """

    admitted: Admitted
    content: Symbols | CameraMask | Crossed | None
    decode_s: float
    audit: Symbols | None = None
    objects: OutputPacket | None = None


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
        workers: Workers,
        metrics: Metrics,
        settings: DispatchSettings,
    ) -> None:
        self._store, self._batchers, self._packets, self._workers = store, batchers, packets, workers
        self._latents, self._metrics, self._settings = Latents(store, packets), metrics, settings
        self.served = {batcher.model.bundle_id: bundle_of(batcher.model) for batcher in batchers.values()}

    def admit(self, frame: Frame) -> Admitted:
        """Believe a frame, and learn from it what it says of its camera.

        Raises:
            Missing: the context that its packet names is not here yet.
            FrameRefused: by name.
        """
        settings, taken = frame.stream.settings, frame.taken
        data = packet_bytes(frame.entry)
        if not frame.size_bytes:
            self._count_received(frame, data)
        packet = self._packets.of(frame, data)
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
        admitted = Admitted(packet, bundle, contents, stale_at_s(taken.arrived_s, settings))
        self._count_wanted(frame.stream, admitted)
        return admitted

    def _count_received(self, frame: Frame, data: bytes) -> None:
        """A frame's bytes, once, however often it is admitted."""
        frame.size_bytes, frame.head = len(data), data[:_HEAD_BYTES]
        self._metrics.payload_bytes.inc(len(data))
        if frame.taken.forged is None:
            self._metrics.took("redis", frame.taken.waited_s(frame.taken.read_s))

    def _count_wanted(self, stream: Stream, admitted: Admitted) -> None:
        """A frame that wants a decoder, or a tail, whatever becomes of it."""
        contents = admitted.contents
        if contents.level is not None:
            self._batchers[admitted.model_id].observe_offered(contents.level)
        if contents.tensors is not None:
            stream.wanted[contents.tensors.tail.hex_id] += 1

    def _learn(self, frame: Frame, packet: FramePacket, bundle: AnyBundle, contents: Contents) -> None:
        """What a believed packet says of its camera. A mask that was asked for still counts as demand: it may end.

        Of a split network no camera makes a mask, whatever it says: what it outlines alone stands for no tail's work.
        """
        stream, joint = frame.stream, isinstance(bundle, Bundle)
        stream.makes_masks = contents.mask is not None or contents.made_by_camera
        stream.outputs = len(bundle.outputs)
        if contents.mask is not None and contents.level is not None:
            stream.audited_s = time.monotonic()
        if packet.head.carries_context:
            stream.able = joint and makes_masks_if_asked(frame.entry)
        if joint and stream.makes_masks and stream.asked_for_masks and contents.level is None:
            self._batchers[bundle.id].demand.offered(0)

    def skipped(self, frame: Frame, admitted: Admitted) -> Ending | None:
        """The end of a frame that is stale, or that ended before so that any ending will do.

        Raises:
            Missing: what Redis has of its stream must be read first.
        """
        packet, contents = admitted.packet, admitted.contents
        if not (admitted.stale or self._has_ended(frame, packet.identity)):
            return None
        if contents.mask is None and contents.level is not None and contents.tensors is None:
            frame.stream.references.postpone(packet)
        return Ending.skipped("stale", packet.identity)

    def latent(self, frame: Frame, admitted: Admitted) -> Latent | None:
        """What the kernel takes of a frame that holds a small latent and no more; ``None``: it is decoded apart.

        Raises:
            Missing: what it is coded against must be read first.
            ReferenceLost: that cannot be had.
        """
        contents, bundle = admitted.contents, admitted.bundle
        more = contents.mask is not None or contents.tensors is not None or contents.objects is not None
        if more or not isinstance(bundle, Bundle):
            return None
        plane = self._latents.next_plane(frame.stream, admitted.packet, bundle)
        return Latent(frame, admitted, plane) if self._workers.symbols_at_once(plane.size) else None

    def decoded(self, latent: Latent, found: TimedPlane | Exception) -> Decoded:
        """A frame whose latent the kernel decoded.

        Raises:
            FrameRefused: it did not, or to other symbols than the camera coded.
        """
        if isinstance(found, Exception):
            raise found
        return Decoded(latent.admitted, self._remembered(latent.frame, latent.admitted, found), found.took_s)

    async def decode_apart(self, frame: Frame, admitted: Admitted | None = None) -> Decoded | Ending:
        """The same for any frame, by itself, once what is missing for it is there.

        Raises:
            FrameRefused: by name.
            ServiceError: Redis is away.
        """
        if admitted is None:
            admitted = await when_there(partial(self.admit, frame))
        if (ending := await when_there(partial(self.skipped, frame, admitted))) is not None:
            return ending
        contents, begun_s = admitted.contents, time.monotonic()
        content, audit = await self._content(frame, admitted)
        objects = None if contents.objects is None else await pass_on(contents.objects, self._workers)
        decode_s = time.monotonic() - begun_s
        self._metrics.took("decode", decode_s)
        return Decoded(admitted, content, decode_s, audit, objects)

    async def _content(
        self, frame: Frame, admitted: Admitted
    ) -> tuple[Symbols | CameraMask | Crossed | None, Symbols | None]:
        """What the outputs are made of, or the camera's mask; symbols to hold that against."""
        packet, contents, bundle = admitted.packet, admitted.contents, admitted.bundle
        if contents.made_by_camera and contents.mask is None:
            return None, None
        if contents.tensors is not None:
            return await decode_tensors(contents.tensors, self._workers), None
        if not isinstance(bundle, Bundle):
            raise SectionsUnsupported(f"bundle {bundle.hex_id} is of a split network, and this is no tensor of it")
        if contents.mask is None:
            plane = await when_there(partial(self._latents.next_plane, frame.stream, packet, bundle))
            return self._remembered(frame, admitted, await self._alone(plane)), None
        audit = None
        if contents.level is not None:
            audit = checked(packet, await self._alone(plane_of(packet, bundle, None)))
        return await decode_mask(contents.mask, self._workers), audit

    async def _alone(self, plane: CodedPlane) -> TimedPlane:
        return await self._workers.on_symbols(plane.size, partial(decode_alone, plane))

    def _remembered(self, frame: Frame, admitted: Admitted, found: TimedPlane) -> Symbols:
        symbols = remember(frame.stream, admitted.packet, found)
        if frame.stream.settings.policy is Policy.COMPLETE:
            frame.link = "key" if admitted.packet.head.kind is PacketKind.KEY else "next"
        return symbols

    def _has_ended(self, frame: Frame, identity: FrameIdentity) -> bool:
        """Whether a frame ended before, by what Redis says now: it may have lost its last second since it was read."""
        if not frame.stream.seen.has_ended(identity):
            return False
        if not frame.window_read:
            raise Missing(partial(self._read_window, frame))
        return True

    async def _read_window(self, frame: Frame) -> None:
        frame.stream.seen, frame.window_read = SeenWindow.parse(await self._store.hash_of(frame.stream.keys.seen)), True
