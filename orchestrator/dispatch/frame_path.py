"""A frame's life, top to bottom: admit, decode, wait for a batch, infer, pack, end.

::

    entry ─ admit ─► packet ─ decode ─► symbols ─ batcher ─► outputs ─ pack ─► mask ─┐
      │                │                  │        │                              ├─ turn ─► end, once
      └─ refused ──────┴─ refused ────────┴────────┴─ skipped (stale) or refused ─┘

A mask carries the first output, the label map. What a bundle answers beside it is held until the frame ends: no packet
carries it yet.

A frame that is too old when it is admitted is skipped undecoded; its packet is kept for those coded against it.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Mapping
from concurrent.futures import Executor
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

import numpy as np
import structlog
from numpy.typing import NDArray

from narrows.contract.bundle import Bundle
from narrows.contract.codec import Memory, decode_symbols, symbol_digest
from narrows.contract.errors import (
    ContextLost,
    DigestMismatch,
    EntryIdForged,
    EpochStale,
    FramePoison,
    FrameRefused,
    ReferenceLost,
    SequenceJump,
    ServiceError,
)
from narrows.contract.outputs.labels.packing import pack_labels
from narrows.contract.wire.feature import FeaturePacket, FrameIdentity, PacketKind
from narrows.contract.wire.keys import GROUP
from narrows.contract.wire.mask import MaskPacket, Timings, class_areas, seal_mask
from narrows.contract.wire.outcome import MASK, SKIPPED
from narrows.contract.wire.streams import Policy
from narrows.runtime.redis.replies import Remedy
from narrows.runtime.redis.store import ReplyRefused, Store
from orchestrator.dispatch.admission import choose_bundle, clock_ahead, clock_behind, packet_bytes, stale_at_s
from orchestrator.dispatch.batcher import Batcher, Inferred
from orchestrator.dispatch.control_records import ControlRecords
from orchestrator.dispatch.finish import Ending, Finisher, FinishReply
from orchestrator.dispatch.key_request import KeyframeRequests
from orchestrator.dispatch.objective import Objective
from orchestrator.dispatch.packets import Packets
from orchestrator.dispatch.reference_cache import ReferenceCache
from orchestrator.dispatch.set_back import set_back
from orchestrator.dispatch.settings import DispatchSettings
from orchestrator.dispatch.stream import Frame, Stream
from orchestrator.dispatch.unsealing import Unsealing
from orchestrator.dispatch.window import SeenWindow
from orchestrator.telemetry.faults import Cause, Faults
from orchestrator.telemetry.metrics import Metrics

_log = structlog.get_logger(__name__)
_HEAD_BYTES = 256
_INLINE_SYMBOLS, _INLINE_PIXELS = 1 << 17, 1 << 19  # about a millisecond of decoding or packing
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Decoded:
    """A frame with its symbols ``(C, h, w)`` int8, and how long they took."""

    packet: FeaturePacket
    bundle: Bundle
    symbols: NDArray[np.int8]
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
        self._store, self._batchers, self._pool, self._faults = store, batchers, pool, faults
        self._metrics, self._settings = metrics, settings
        self._consumer, self._packets = consumer, Packets(store, unsealing)
        self._served = {bundle_id: batcher.bundle for bundle_id, batcher in batchers.items()}
        self.control_records = ControlRecords(store)
        self._key_requests = KeyframeRequests(store, self.control_records)
        self._one_suspect = asyncio.Semaphore(1)

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
            inferred = await self._infer(frame, decoded)
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
        async with self._counted(frame):
            return await self._decode(frame, *await self._admit(frame))

    @asynccontextmanager
    async def _counted(self, frame: Frame) -> AsyncIterator[None]:
        """Work that this frame itself is in, and that could end this process.

        What others took up before without an end is a suspect. Its delivery is counted in Redis before the work, and no
        longer once it is done: so the waits between, for a batch, a server or its turn, are held against no frame.
        One suspect is worked on at a time, or those beside it would be counted with it.
        """
        if not frame.claimed:
            yield
            return
        async with self._one_suspect:
            await self._set_deliveries(frame, frame.deliveries)
            try:
                yield
            except (FrameRefused, ServiceError):
                await self._set_deliveries(frame, frame.deliveries - 1)
                raise
            await self._set_deliveries(frame, frame.deliveries - 1)

    async def _admit(self, frame: Frame) -> tuple[FeaturePacket, Bundle]:
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
        if clock_ahead(packet, taken.arrived_ms, settings, self._settings.future_ms):
            self._metrics.clock_future.inc()
            frame.stream.clocks_ahead += 1
        elif clock_behind(packet, taken.arrived_ms, self._settings.past_ms):
            self._metrics.clock_behind.inc()
        else:
            self._metrics.took("uplink", (taken.arrived_ms - packet.capture_ms) / 1000)
        return packet, bundle

    async def _decode(self, frame: Frame, packet: FeaturePacket, bundle: Bundle) -> Decoded | Ending:
        """The symbols; or the end of a frame that is stale, or that ended before so that any ending will do."""
        self._batchers[bundle.id].observe_offered(packet.level)
        references = frame.stream.references
        too_old_s = stale_at_s(frame.taken.arrived_s, frame.stream.settings)
        stale = too_old_s is not None and time.monotonic() > too_old_s
        if stale or await self._has_ended(frame.stream, packet.identity):
            references.postpone(packet)
            return Ending.skipped("stale", packet.identity)
        begun_s = time.monotonic()
        if packet.kind is PacketKind.PREDICTED and not frame.stream.chain_read and not references.has_reference(packet):
            await self._resume_chain(frame.stream, bundle)
        for earlier in references.postponed_for(packet):
            try:
                references.remember(earlier, await self._symbols(references, earlier, bundle))
            except FrameRefused as refusal:
                raise ReferenceLost(f"frame {packet.sequence} needs {earlier.sequence}, and it has {refusal}") from None
        symbols = await self._symbols(references, packet, bundle)
        references.remember(packet, symbols)
        if frame.stream.settings.policy is Policy.COMPLETE:
            frame.link = "key" if packet.kind is PacketKind.KEY else "next"
        decode_s = time.monotonic() - begun_s
        self._metrics.took("decode", decode_s)
        return Decoded(packet, bundle, symbols, too_old_s, decode_s)

    async def _resume_chain(self, stream: Stream, bundle: Bundle) -> None:
        """Decode again what an earlier owner ended since the last key frame: this one's frames are coded against it."""
        stream.chain_read = True
        for data in await self._store.call("LRANGE", stream.keys.chain, 0, -1):
            try:
                packet = await self._packets.of_chain(stream, data)
                if packet.bundle_id != bundle.id:
                    return
                stream.references.remember(packet, await self._symbols(stream.references, packet, bundle))
            except FrameRefused as refusal:
                _log.warning("chain_broken", stream=stream.id, reason=refusal.reason, detail=str(refusal))
                return
            await asyncio.sleep(0)  # other streams' frames come between

    async def _has_ended(self, stream: Stream, identity: FrameIdentity) -> bool:
        """Whether a frame ended before, by what Redis says now: it may have lost its last second since it was read."""
        if stream.seen.has_ended(identity):
            stream.seen = SeenWindow.parse(await self._store.hash_of(stream.keys.seen))
        return stream.seen.has_ended(identity)

    async def _symbols(self, references: ReferenceCache, packet: FeaturePacket, bundle: Bundle) -> NDArray[np.int8]:
        work = partial(_decode_checked, packet, bundle, references.memory_for(packet))
        return await self._done(work, packet.shape.symbols, _INLINE_SYMBOLS)

    async def _infer(self, frame: Frame, decoded: Decoded) -> Inferred | None:
        """The outputs; ``None`` if the frame became stale while it waited."""
        batcher = self._batchers[decoded.bundle.id]
        inferred = await batcher.infer(frame.stream, decoded.symbols, decoded.packet.level, decoded.stale_at_s)
        if inferred is not None:
            self._metrics.took("batch", inferred.batch_s)
            self._metrics.took("infer", inferred.infer_s)
        return inferred

    async def _pack(self, frame: Frame, decoded: Decoded, inferred: Inferred) -> Ending:
        redis_s = frame.taken.read_s - frame.taken.arrived_s
        work = partial(_packed, decoded, inferred, redis_s, frame.size_bytes)
        async with self._counted(frame):
            body, pack_s = await self._done(work, inferred.outputs[0].size, _INLINE_PIXELS)
        self._metrics.took("pack", pack_s)
        self._batchers[decoded.bundle.id].demand.took(decoded.packet.level, decoded.decode_s + pack_s)
        return Ending.mask(body, decoded.packet.identity)

    async def _end(self, frame: Frame, ending: Ending) -> None:
        begun_s = time.monotonic()
        verdict, lost, ending = await self.finisher.finish(frame, ending)
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
        metrics.frames.labels(ending.kind.decode(), ending.reason, group).inc()
        metrics.took("publish", publish_s)
        took_s = time.monotonic() - frame.taken.arrived_s
        self.objective.count(frame.stream.settings.policy, ending, took_s * 1000)
        if ending.kind == MASK:
            metrics.took("total", took_s)
        elif ending.kind == b"refused":
            metrics.dead_letters.labels(ending.reason).inc()
            _log.debug("frame_refused", stream=frame.stream.id, reason=ending.reason, detail=ending.detail)

    async def _set_deliveries(self, frame: Frame, deliveries: int) -> None:
        key = frame.stream.keys.features
        await self._store.set_deliveries(key, GROUP, self._consumer, frame.entry.id, deliveries)

    async def _done(self, work: Callable[[], T], size: int, inline: int) -> T:
        """Small work at once, for handing it over costs more than it does; large work in the pool."""
        if size <= inline:
            return work()
        return await asyncio.get_running_loop().run_in_executor(self._pool, work)


def _decode_checked(packet: FeaturePacket, bundle: Bundle, memory: Memory | None) -> NDArray[np.int8]:
    symbols = decode_symbols(packet.payload, packet.shape.as_tuple(), bundle.tables, packet.level, memory)
    digest = symbol_digest(symbols)
    if not packet.is_digest(digest):
        digits, low = packet.digest_bits // 4, digest & ((1 << packet.digest_bits) - 1)
        raise DigestMismatch(f"symbols with digest {low:0{digits}x}; the camera coded {packet.own_digest:0{digits}x}")
    return symbols


def _packed(decoded: Decoded, inferred: Inferred, redis_s: float, feature_bytes: int) -> tuple[bytes, float]:
    begun_s = time.monotonic()
    packet, bundle, labels = decoded.packet, decoded.bundle, inferred.outputs[0]
    packed, areas = pack_labels(labels), class_areas(labels, len(bundle.manifest.classes))
    pack_s = time.monotonic() - begun_s
    spans_s = (redis_s, decoded.decode_s, inferred.batch_s, inferred.infer_s, pack_s)
    mask = MaskPacket(
        bundle_id=bundle.id,
        identity=packet.identity,
        capture_ms=packet.capture_ms,
        level=packet.level,
        feature_bytes=feature_bytes,
        labels=labels,
        areas=areas,
        timings=Timings(*(int(max(0.0, span) * 1e6) for span in spans_s)),
    )
    return seal_mask(mask, packed), pack_s


def _misplaced(verdict: FinishReply, frame: Frame) -> FrameRefused:
    if verdict is FinishReply.JUMP:
        return SequenceJump(f"{frame.identity} is over 2^20 frames ahead; the next one in sequence is believed")
    return EpochStale(f"{frame.identity} is of an epoch before the last 4 of this stream")
