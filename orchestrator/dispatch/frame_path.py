"""A frame's life, top to bottom: admit, decode, wait for a batch, infer, pack, end.

::

    entry ─ admit ─► packet ─ decode ─┬─► symbols ─ batcher ─► outputs ─┬─ pack ─► mask ─┐
      │                │              └─► the camera's mask ────────────┘              ├─ turn ─► end, once
      └─ refused ──────┴─ refused ────────── skipped (stale) or refused ───────────────┘

What works on a kind of section has a file of its own: ``latents.py``, ``label_maps.py``, ``tensors.py``,
``objects.py``, and ``audits.py`` for frames that hold the first two. A mask carries the first output, the label map;
each other one has a field of its own in the entry.

A frame that is too old when it is admitted is skipped undecoded; its packet is kept for those coded against it.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from concurrent.futures import Executor
from dataclasses import dataclass
from functools import partial

import structlog

from narrows.contract.bundle import AnyBundle, Bundle, bundle_of
from narrows.contract.errors import (
    ContextLost,
    EntryIdForged,
    EpochStale,
    FramePoison,
    FrameRefused,
    ReferenceLost,
    SectionsUnsupported,
    SequenceJump,
    ServiceError,
)
from narrows.contract.wire.feature import FrameIdentity, PacketKind
from narrows.contract.wire.frame_packet import FramePacket
from narrows.contract.wire.outcome import MASK, SKIPPED
from narrows.contract.wire.output_packet import OutputPacket
from narrows.contract.wire.streams import MaskPacking, Policy
from narrows.runtime.redis.replies import Remedy
from narrows.runtime.redis.store import ReplyRefused, Store
from orchestrator.dispatch.admission import (
    choose_bundle,
    clock_ahead,
    clock_behind,
    makes_masks_if_asked,
    packet_bytes,
    stale_at_s,
)
from orchestrator.dispatch.audits import Audited, Audits
from orchestrator.dispatch.batcher import Batcher, Inferred
from orchestrator.dispatch.control_records import ControlRecords
from orchestrator.dispatch.finish import Ending, Finisher, FinishReply
from orchestrator.dispatch.further_outputs import FurtherOutputs
from orchestrator.dispatch.key_request import KeyframeRequests
from orchestrator.dispatch.label_maps import CameraMask, decode_mask
from orchestrator.dispatch.label_table_records import LabelTableRecords
from orchestrator.dispatch.latents import Latents, Symbols, inputs_of
from orchestrator.dispatch.mask_packets import MaskToPack, pack_outputs
from orchestrator.dispatch.objective import Objective
from orchestrator.dispatch.objects import pass_on
from orchestrator.dispatch.packets import Packets
from orchestrator.dispatch.sections import Contents, contents_of
from orchestrator.dispatch.set_back import set_back
from orchestrator.dispatch.settings import DispatchSettings
from orchestrator.dispatch.stream import Frame, Stream
from orchestrator.dispatch.suspects import Suspects
from orchestrator.dispatch.tensors import Crossed, decode_tensors
from orchestrator.dispatch.unsealing import Unsealing
from orchestrator.dispatch.window import SeenWindow
from orchestrator.dispatch.workers import Workers
from orchestrator.telemetry.faults import Cause, Faults
from orchestrator.telemetry.metrics import Metrics

_log = structlog.get_logger(__name__)
_HEAD_BYTES = 256


@dataclass(frozen=True, slots=True)
class Admitted:
    """A frame that is believed, with what its bundle decodes of it."""

    packet: FramePacket
    bundle: AnyBundle
    contents: Contents

    @property
    def model_id(self) -> int:
        """The model that is asked for its outputs."""
        return self.contents.model_id(self.bundle)


@dataclass(frozen=True, slots=True)
class Decoded:
    """A frame with its symbols, the camera's mask, or what crosses at a cut, and how long they took.

    Attributes:
        audit: symbols of the same picture, where a camera's mask is to be held against them.
        objects: what the camera outlined, which is passed on.
    """

    packet: FramePacket
    bundle: AnyBundle
    model_id: int
    level: int
    content: Symbols | CameraMask | Crossed
    audit: Symbols | None
    objects: OutputPacket | None
    stale_at_s: float | None
    decode_s: float


class FramePath:
    """The way that every frame of this process takes."""

    def __init__(
        self,
        store: Store,
        batchers: Mapping[int, Batcher],
        pool: Executor,
        metrics: Metrics,
        settings: DispatchSettings,
        consumer: str,
        faults: Faults,
        unsealing: Unsealing,
    ) -> None:
        self.finisher = Finisher(store, settings, faults)
        self.objective = Objective(settings.slo_ms, metrics)
        self._store, self._batchers, self._faults = store, batchers, faults
        self._metrics, self._settings = metrics, settings
        self._served = {batcher.model.bundle_id: bundle_of(batcher.model) for batcher in batchers.values()}
        self._workers, self._packets = Workers(pool), Packets(store, unsealing)
        self._suspects = Suspects(store, consumer)
        self._latents = Latents(store, self._packets, self._workers)
        self.label_tables = LabelTableRecords(store, self._served.values(), faults, settings.sweep_s)
        self.audits = Audits(self._workers, metrics)
        self.control_records = ControlRecords(store)
        self._key_requests = KeyframeRequests(store, self.control_records)
        self._further = FurtherOutputs(metrics)

    async def live(self, frame: Frame) -> None:
        """One frame, from its entry to its end. Returns when it is no longer held here."""
        try:
            ending = await self._lead(frame)
            await frame.turn()
            await self._end(frame, ending)
        except ServiceError as error:
            self._leave_pending(frame, error)
        except Exception:  # noqa: BLE001 - the outermost loop of a frame: its neighbours go on, and its third crash is its last
            self._metrics.frame_crashes.inc()
            _log.exception("frame_left_pending", stream=frame.stream.id, entry=frame.entry.id)
        finally:
            frame.stream.let_go(frame)

    async def _lead(self, frame: Frame) -> Ending:
        try:
            async with frame.stream.decoding:
                decoded = await self._take_up(frame)
            if isinstance(decoded, Ending):
                return decoded
            inferred = await self._answer(frame, decoded)
            if inferred is None:
                return Ending.skipped("stale", decoded.packet.identity)
            return await self._pack(frame, decoded, inferred)
        except (ReferenceLost, ContextLost) as refusal:
            await self._ask_for_key(frame.stream)
            return Ending.refused(refusal, frame.identity)
        except FrameRefused as refusal:
            return Ending.refused(refusal, frame.identity)

    def _leave_pending(self, frame: Frame, error: ServiceError) -> None:
        """It is taken up again later. Where its stream's keys are amiss no frame of the stream can end: it rests."""
        stream = frame.stream
        self._metrics.service_errors.labels("redis").inc()
        _log.warning("frame_left_pending", stream=stream.id, entry=frame.entry.id, error=str(error))
        if isinstance(error, ReplyRefused) and error.remedy is Remedy.NONE:
            self._faults.happened(Cause.REDIS_REFUSES, f"stream {stream.id} waits: {error}")
            stream.rest(time.monotonic() + self._settings.rest_s)

    async def _ask_for_key(self, stream: Stream) -> None:
        """Ask, if it can be asked now: the frame that needs a key ends all the same."""
        try:
            await self._key_requests.ask(stream)
        except ServiceError as error:
            self._metrics.service_errors.labels("redis").inc()
            _log.warning("keyframe_request_failed", stream=stream.id, error=str(error))

    async def _take_up(self, frame: Frame) -> Decoded | Ending:
        """Admit and decode."""
        async with self._suspects.counted(frame):
            return await self._decode(frame, await self._admit(frame))

    async def _admit(self, frame: Frame) -> Admitted:
        settings, taken = frame.stream.settings, frame.taken
        data = packet_bytes(frame.entry)
        frame.size_bytes, frame.head = len(data), data[:_HEAD_BYTES]
        self._metrics.payload_bytes.inc(len(data))
        if taken.forged is None:
            self._metrics.took("redis", taken.read_s - taken.arrived_s)
        packet = await self._packets.of(frame, data)
        if taken.forged is not None:
            raise EntryIdForged(taken.forged)
        if frame.deliveries > self._settings.deliveries:
            raise FramePoison(f"taken up {frame.deliveries - 1} times without an end; see the dispatchers' logs")
        bundle = choose_bundle(packet, settings, self._served)
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
        stream.makes_masks, stream.outputs = contents.mask is not None, len(bundle.outputs)
        if contents.mask is not None and contents.level is not None:
            stream.audited_s = time.monotonic()
        if packet.head.carries_context:
            stream.able = makes_masks_if_asked(frame.entry)
        if stream.makes_masks and stream.asked_for_masks and contents.level is None:
            self._batchers[bundle.id].demand.offered(0)

    async def _decode(self, frame: Frame, admitted: Admitted) -> Decoded | Ending:
        """The symbols or the mask; or the end of a frame that is stale, or ended before so that any ending will do."""
        packet, bundle, contents = admitted.packet, admitted.bundle, admitted.contents
        if contents.level is not None:
            self._batchers[admitted.model_id].observe_offered(contents.level)
        too_old_s = stale_at_s(frame.taken.arrived_s, frame.stream.settings)
        stale = too_old_s is not None and time.monotonic() > too_old_s
        if stale or await self._has_ended(frame.stream, packet.identity):
            if contents.mask is None and contents.tensors is None:
                frame.stream.references.postpone(packet)
            return Ending.skipped("stale", packet.identity)
        begun_s = time.monotonic()
        content, audit = await self._content(frame, admitted)
        objects = None if contents.objects is None else await pass_on(contents.objects, self._workers)
        decode_s = time.monotonic() - begun_s
        self._metrics.took("decode", decode_s)
        level = contents.level or 0
        return Decoded(packet, bundle, admitted.model_id, level, content, audit, objects, too_old_s, decode_s)

    async def _content(self, frame: Frame, admitted: Admitted) -> tuple[Symbols | CameraMask | Crossed, Symbols | None]:
        """What the outputs are made of, or the camera's mask; and symbols to hold that against."""
        packet, contents, bundle = admitted.packet, admitted.contents, admitted.bundle
        if contents.tensors is not None:
            return await decode_tensors(contents.tensors, self._workers), None
        if not isinstance(bundle, Bundle):
            raise SectionsUnsupported(f"bundle {bundle.hex_id} is of a split network, and this is no tensor of it")
        if contents.mask is not None:
            audit = None if contents.level is None else await self._latents.alone(packet, bundle)
            return await decode_mask(contents.mask, self._workers), audit
        symbols = await self._latents.following(frame.stream, packet, bundle)
        if frame.stream.settings.policy is Policy.COMPLETE:
            frame.link = "key" if packet.head.kind is PacketKind.KEY else "next"
        return symbols, None

    async def _has_ended(self, stream: Stream, identity: FrameIdentity) -> bool:
        """Whether a frame ended before, by what Redis says now: it may have lost its last second since it was read."""
        if stream.seen.has_ended(identity):
            stream.seen = SeenWindow.parse(await self._store.hash_of(stream.keys.seen))
        return stream.seen.has_ended(identity)

    async def _answer(self, frame: Frame, decoded: Decoded) -> Inferred | None:
        """The outputs: the camera's, or what Triton makes of the symbols; ``None`` if they became stale meanwhile."""
        batcher, content = self._batchers[decoded.model_id], decoded.content
        if isinstance(content, CameraMask):
            frame.camera_mask = True
            if decoded.audit is not None:
                until_s = frame.taken.arrived_s + frame.stream.settings.stale_ms / 1000
                self.audits.begin(frame.stream, batcher, Audited(content, decoded.audit, decoded.level, until_s))
            return Inferred(content.labels, 0.0, 0.0)
        inputs = content.inputs if isinstance(content, Crossed) else inputs_of(content, decoded.level)
        inferred = await batcher.infer(frame.stream, inputs, decoded.stale_at_s)
        if inferred is not None:
            self._metrics.took("batch", inferred.batch_s)
            self._metrics.took("infer", inferred.infer_s)
        return inferred

    async def _pack(self, frame: Frame, decoded: Decoded, inferred: Inferred) -> Ending:
        labels = inferred.labels
        mask = MaskToPack(
            decoded.packet.head,
            decoded.bundle,
            decoded.level,
            frame.size_bytes,
            labels,
            small=frame.stream.settings.mask_packing is MaskPacking.SMALL and self.label_tables.published,
            coded=decoded.content.coded if isinstance(decoded.content, CameraMask) else None,
            redis_s=frame.taken.read_s - frame.taken.arrived_s,
            decode_s=decoded.decode_s,
            batch_s=inferred.batch_s,
            infer_s=inferred.infer_s,
        )
        further = inferred.further if decoded.objects is None else (*inferred.further, decoded.objects)
        async with self._suspects.counted(frame):
            size = (0 if labels is None else labels.size) + sum(output.value.values.size for output in further)
            work = partial(pack_outputs, mask, further)
            body, outputs, pack_s = await self._workers.on_pixels(size, work)
        self._metrics.took("pack", pack_s)
        if not frame.camera_mask:
            self._batchers[decoded.model_id].demand.took(decoded.level, decoded.decode_s + pack_s)
        return Ending.mask(body, decoded.packet.identity, outputs, alone=labels is not None)

    async def _end(self, frame: Frame, ending: Ending) -> None:
        begun_s = time.monotonic()
        outputs = ending.outputs
        verdict, lost, ending = await self.finisher.finish(frame, ending)
        if outputs and not ending.outputs and ending.kind == MASK:
            self._further.left_out(outputs, "Redis does not take the frame with it: too large for its limits")
        if lost:
            self._metrics.lost_frames.labels(self._metrics.group(frame.stream.settings.group)).inc(lost)
        if verdict in (FinishReply.JUMP, FinishReply.STALE):
            ending = Ending.refused(_misplaced(verdict, frame), frame.identity, placed=False)
            verdict, _, ending = await self.finisher.finish(frame, ending)
        if verdict is FinishReply.FENCED:
            frame.stream.lease.lost = True
            return
        self._count(frame, ending, verdict, time.monotonic() - begun_s)
        if frame.taken.forged is not None and len(frame.stream.held) == 1:
            await set_back(self._store, frame.stream.lease, [frame.stream.keys])

    def _count(self, frame: Frame, ending: Ending, verdict: FinishReply, publish_s: float) -> None:
        metrics = self._metrics
        group = metrics.group(frame.stream.settings.group)
        if verdict is FinishReply.DUPLICATE:
            metrics.frames.labels("duplicate", "duplicate", group).inc()
        if verdict is not FinishReply.FINISHED:
            return
        frame.stream.count_end(skipped=ending.kind == SKIPPED)
        metrics.frames_ended(ending.kind.decode(), ending.reason, group).inc()
        metrics.took("publish", publish_s)
        took_s = time.monotonic() - frame.taken.arrived_s
        self.objective.count(frame.stream.settings.policy, ending, took_s * 1000)
        if ending.kind == MASK:
            metrics.took("total", took_s)
            metrics.masks_made("camera" if frame.camera_mask else "cloud", group).inc()
        elif ending.kind == b"refused":
            metrics.dead_letters.labels(ending.reason).inc()
            _log.debug("frame_refused", stream=frame.stream.id, reason=ending.reason, detail=ending.detail)


def _misplaced(verdict: FinishReply, frame: Frame) -> FrameRefused:
    if verdict is FinishReply.JUMP:
        return SequenceJump(f"{frame.identity} is over 2^20 frames ahead; the next one in sequence is believed")
    return EpochStale(f"{frame.identity} is of an epoch before the last 4 of this stream")
