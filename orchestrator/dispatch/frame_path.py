"""The frames' way, top to bottom: what a read brought is admitted and decoded, a batch infers, is packed, and ends.

::

    entries ─ admit ─► packets ─ decode ─┬─► symbols ─ batcher ─► outputs ─┬─ pack ─► masks ─┐
                │                │       └─► the camera's mask ────────────┘                 ├─ in order ─► end, once
                └─ refused ──────┴─ refused ────────── skipped (stale) or refused ───────────┘

There is a task for all that a read brought (:meth:`FramePath.take_up`), and one for each batch, which packs its frames
and asks for their ends (:meth:`FramePath._inferred`); what became of them comes back from the finisher
(:meth:`FramePath._ended`). A frame has a task of its own only where something of it is waited for, or takes long.

Admitting and decoding is in ``frame_decoder.py``; ``audits.py`` is for frames that hold a mask and symbols. A mask
carries the first output, the label map; each further one has a field of its own in the entry, as has what a camera
outlined.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import Executor
from functools import partial
from typing import NamedTuple

import structlog
from msgspec.structs import replace

from narrows.contract.errors import ContextLost, EpochStale, FrameRefused, ReferenceLost, SequenceJump, ServiceError
from narrows.contract.wire.outcome import MASK, REFUSED, SKIPPED
from narrows.contract.wire.streams import MaskPacking
from narrows.runtime.redis.replies import Remedy
from narrows.runtime.redis.store import ReplyRefused, Store
from orchestrator.dispatch.audits import Audited, Audits
from orchestrator.dispatch.batch import Answer, Inferred, Waiting
from orchestrator.dispatch.batcher import Batcher
from orchestrator.dispatch.control_records import ControlRecords
from orchestrator.dispatch.endings import Ending, OutputFields
from orchestrator.dispatch.finish import Ended, Finisher, FinishReply
from orchestrator.dispatch.frame_decoder import Admitted, Decoded, FrameDecoder, Latent
from orchestrator.dispatch.further_outputs import FurtherOutputs
from orchestrator.dispatch.key_request import KeyframeRequests
from orchestrator.dispatch.label_maps import CameraMask
from orchestrator.dispatch.label_table_records import LabelTableRecords
from orchestrator.dispatch.latents import inputs_of
from orchestrator.dispatch.mask_packets import MaskToPack, pack_outputs, packing_pixels
from orchestrator.dispatch.missing import Missing
from orchestrator.dispatch.objective import Objective
from orchestrator.dispatch.outermost import Outermost
from orchestrator.dispatch.packets import Packets
from orchestrator.dispatch.set_back import set_back
from orchestrator.dispatch.settings import DispatchSettings
from orchestrator.dispatch.stream import Frame, Stream
from orchestrator.dispatch.suspects import Suspects
from orchestrator.dispatch.symbol_decoding import Symbols, TimedPlane, calls_of, decode_together
from orchestrator.dispatch.tensors import Crossed
from orchestrator.dispatch.unsealing import Unsealing
from orchestrator.dispatch.workers import Workers
from orchestrator.inference.contract import Inputs
from orchestrator.telemetry.faults import Cause, Faults
from orchestrator.telemetry.metrics import Metrics

_log = structlog.get_logger(__name__)
_TOGETHER = 16
"""Frames that are admitted before anything else has its turn: about half a millisecond."""


class _Apart(NamedTuple):
    """A frame that has to be waited for, with what is known of it by then."""

    admitted: Admitted | None = None


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
        self._workers, packets = Workers(pool), Packets(store, unsealing)
        self._suspects = Suspects(store, consumer)
        self._decoder = FrameDecoder(store, batchers, packets, self._workers, metrics, settings)
        self.label_tables = LabelTableRecords(store, self._decoder.served.values(), faults, settings.sweep_s)
        self.audits = Audits(self._workers, metrics)
        self.control_records = ControlRecords(store)
        self._key_requests = KeyframeRequests(store, self.control_records)
        self._further = FurtherOutputs(metrics)

    async def take_up(self, streams: Iterable[Stream]) -> None:
        """Admit and decode what was read of streams: the first frame of each, then the next of each.

        Each frame waits for a batch then, or ends. One that has to wait for anything before goes on in a task of its
        own, and nothing waits for it but those behind it in its stream.
        """
        await self._go_on([stream for stream in streams if stream.begin_decoding()])

    async def _go_on(self, streams: list[Stream]) -> None:
        while frames := [frame for stream in streams if (frame := stream.next_undecoded()) is not None]:
            streams = []
            for first in range(0, len(frames), _TOGETHER):
                streams += await self._take_up(frames[first : first + _TOGETHER])

    async def _take_up(self, frames: list[Frame]) -> list[Stream]:
        """A frame of each of some streams; answers those streams whose next frames need not wait for these."""
        latents, free = list[Latent](), list[Stream]()
        for frame in frames:
            begun = self._begin(frame)
            if isinstance(begun, _Apart):
                frame.stream.under_way.begin(self._take_up_apart(frame, begun.admitted))
            else:
                free.append(frame.stream)
                latents += [] if begun is None else [begun]
        for call in calls_of([latent.plane for latent in latents]):
            self._decode([latents[place] for place in call])
            await asyncio.sleep(0)  # what else there is to do comes between
        if not latents:
            await asyncio.sleep(0)
        return free

    def _begin(self, frame: Frame) -> Latent | _Apart | None:
        """Its latent, to be decoded with others; that it has to be waited for; or nothing, if it ends."""
        admitted = None
        with Outermost(frame, self._turn_away):
            try:
                if frame.claimed:
                    return _Apart()
                admitted = self._decoder.admit(frame)
                if (ending := self._decoder.skipped(frame, admitted)) is None:
                    return self._decoder.latent(frame, admitted) or _Apart(admitted)
                self._end(frame, ending)
            except Missing:
                return _Apart(admitted)
        return None

    def _decode(self, latents: Sequence[Latent]) -> None:
        """Latents of different streams, in one call of the kernel."""
        found = list[TimedPlane | FrameRefused]()
        with Outermost(latents, self._turn_all_away):
            found = decode_together([latent.plane for latent in latents])
        if done := [plane.took_s for plane in found if isinstance(plane, TimedPlane)]:
            self._metrics.took("decode", done[0], len(done))
        for latent, plane in zip(latents, found, strict=False):  # where the call failed there are none
            with Outermost(latent.frame, self._turn_away):
                self._decoded(latent.frame, self._decoder.decoded(latent, plane))

    async def _take_up_apart(self, frame: Frame, admitted: Admitted | None) -> None:
        """A frame that has to be waited for, and then those behind it in its stream."""
        await self._decode_apart(frame, admitted)
        await self._go_on([frame.stream])

    async def _decode_apart(self, frame: Frame, admitted: Admitted | None) -> None:
        with Outermost(frame, self._turn_away):
            async with self._suspects.counted(frame):
                decoded = await self._decoder.decode_apart(frame, admitted)
            if isinstance(decoded, Ending):
                self._end(frame, decoded)
            else:
                self._decoded(frame, decoded)

    def _decoded(self, frame: Frame, decoded: Decoded) -> None:
        """It waits for a batch, unless its camera made what is published."""
        if isinstance(decoded.content, CameraMask):
            self._audit(frame, decoded, decoded.content)
            self._pack(frame, decoded, Inferred(decoded.content.labels, 0.0, 0.0))
        elif decoded.content is None:
            frame.camera_mask = True
            self._pack(frame, decoded, Inferred(None, 0.0, 0.0))
        else:
            admitted, tell = decoded.admitted, partial(self._inferred, frame, decoded)
            inputs = _inputs(decoded.content, admitted.level)
            waiting = Waiting(frame.stream, inputs, admitted.stale_at_s, tell, lambda: frame.gone)
            self._batchers[admitted.model_id].put(waiting)

    def _turn_all_away(self, latents: Sequence[Latent], error: Exception) -> None:
        for latent in latents:
            self._turn_away(latent.frame, error)

    def _turn_away(self, frame: Frame, error: Exception) -> None:
        """A frame that could not be decoded: where its camera's next key frame mends that, one is asked for first."""
        if isinstance(error, (ReferenceLost, ContextLost)):
            frame.stream.under_way.begin(self._ask_for_key(frame, error))
        else:
            self._fail(frame, error)

    async def _ask_for_key(self, frame: Frame, refusal: FrameRefused) -> None:
        """Ask, if it can be asked now: the frame that needs a key ends all the same."""
        try:
            await self._key_requests.ask(frame.stream)
        except ServiceError as error:
            self._metrics.service_errors.labels("redis").inc()
            _log.warning("keyframe_request_failed", stream=frame.stream.id, error=str(error))
        self._fail(frame, refusal)

    def _inferred(self, frame: Frame, decoded: Decoded, answer: Answer) -> None:
        """A frame's batch is back, and holds its slot until this returns."""
        with Outermost(frame, self._fail):
            if isinstance(answer, Exception):
                self._fail(frame, answer)
            elif answer is None:
                self._end(frame, Ending.skipped("stale", decoded.admitted.packet.identity))
            else:
                self._metrics.took("batch", answer.batch_s)
                self._metrics.took("infer", answer.infer_s)
                if decoded.admitted.contents.tensors is not None:
                    frame.stream.answered[decoded.admitted.contents.tensors.tail.hex_id] += 1
                self._pack(frame, decoded, answer)

    def _fail(self, frame: Frame, error: Exception) -> None:
        """A refused frame ends by that name; any other error leaves it pending, to be taken up again."""
        if isinstance(error, FrameRefused):
            self._end(frame, Ending.refused(error, frame.identity))
            return
        if isinstance(error, ServiceError):
            self._leave_pending(frame, error)
        else:  # its third crash is its last
            self._metrics.frame_crashes.inc()
            _log.error("frame_left_pending", stream=frame.stream.id, entry=frame.entry.id, exc_info=error)
        self._let_go(frame)

    def _leave_pending(self, frame: Frame, error: ServiceError) -> None:
        """Where its stream's keys are amiss no frame of the stream can end: it rests."""
        stream = frame.stream
        self._metrics.service_errors.labels("redis").inc()
        _log.warning("frame_left_pending", stream=stream.id, entry=frame.entry.id, error=str(error))
        if isinstance(error, ReplyRefused) and error.remedy is Remedy.NONE:
            self._faults.happened(Cause.REDIS_REFUSES, f"stream {stream.id} waits: {error}")
            stream.rest(time.monotonic() + self._settings.rest_s)

    def _let_go(self, frame: Frame) -> None:
        frame.stream.let_go(frame)
        self._end_due(frame.stream)

    def _audit(self, frame: Frame, decoded: Decoded, mask: CameraMask) -> None:
        """Hold a camera's mask against its symbols, where it came with them."""
        frame.camera_mask = True
        if decoded.audit is not None:
            until_s = frame.taken.arrived_s + frame.stream.settings.stale_ms / 1000
            audited = Audited(mask, decoded.audit, decoded.admitted.level, until_s)
            self.audits.begin(frame.stream, self._batchers[decoded.admitted.model_id], audited)

    def _pack(self, frame: Frame, decoded: Decoded, inferred: Inferred) -> None:
        """Straight out of the slot; what takes long, or may end this process and is counted for it, out of a copy."""
        if decoded.objects is not None:
            inferred = replace(inferred, further=(*inferred.further, decoded.objects))
        pixels = packing_pixels(inferred.labels, inferred.further)
        if frame.claimed or self._wants_small(frame) or not self._workers.at_once(pixels):
            frame.stream.under_way.begin(self._pack_apart(frame, decoded, inferred.copied()))
        else:
            self._packed(
                frame, decoded, inferred, *pack_outputs(self._to_pack(frame, decoded, inferred), inferred.further)
            )

    async def _pack_apart(self, frame: Frame, decoded: Decoded, inferred: Inferred) -> None:
        with Outermost(frame, self._fail):
            work = partial(pack_outputs, self._to_pack(frame, decoded, inferred), inferred.further)
            async with self._suspects.counted(frame):
                packed = await self._workers.on_pixels(packing_pixels(inferred.labels, inferred.further), work)
            self._packed(frame, decoded, inferred, *packed)

    def _to_pack(self, frame: Frame, decoded: Decoded, inferred: Inferred) -> MaskToPack:
        return MaskToPack(
            decoded.admitted.packet.head,
            decoded.admitted.bundle,
            decoded.admitted.level,
            frame.size_bytes,
            inferred.labels,
            small=self._wants_small(frame),
            coded=decoded.content.coded if isinstance(decoded.content, CameraMask) else None,
            redis_s=frame.taken.waited_s(frame.taken.read_s),
            decode_s=decoded.decode_s,
            batch_s=inferred.batch_s,
            infer_s=inferred.infer_s,
        )

    def _wants_small(self, frame: Frame) -> bool:
        return frame.stream.settings.mask_packing is MaskPacking.SMALL and self.label_tables.published

    def _packed(
        self, frame: Frame, decoded: Decoded, inferred: Inferred, body: bytes, outputs: OutputFields, pack_s: float
    ) -> None:
        self._metrics.took("pack", pack_s)
        if not frame.camera_mask:
            self._batchers[decoded.admitted.model_id].demand.took(decoded.admitted.level, decoded.decode_s + pack_s)
        alone = inferred.labels is not None
        self._end(frame, Ending.mask(body, decoded.admitted.packet.identity, outputs, alone=alone))

    def _end(self, frame: Frame, ending: Ending) -> None:
        """This is how a frame ends, as soon as those before it in its stream do."""
        frame.ending = ending
        self._end_due(frame.stream)

    def _end_due(self, stream: Stream) -> None:
        for frame, ending in stream.endings_due():
            frame.asked_s = time.monotonic()
            self.finisher.finish(frame, ending, self._ended)

    def _ended(self, frame: Frame, ended: Ended | Exception) -> None:
        """The finisher is back."""
        with Outermost(frame, self._fail):
            if isinstance(ended, Exception):
                self._fail(frame, ended)
            else:
                self._conclude(frame, ended)

    def _conclude(self, frame: Frame, ended: Ended) -> None:
        verdict, lost, ending = ended
        if frame.ending is not None and frame.ending.outputs and not ending.outputs and ending.kind == MASK:
            cause = "Redis does not take the frame with it: too large for its limits"
            self._further.left_out(frame.ending.outputs, cause)
        if lost:
            self._metrics.lost_frames.labels(self._metrics.group(frame.stream.settings.group)).inc(lost)
        if verdict in (FinishReply.JUMP, FinishReply.STALE):
            refused = Ending.refused(_misplaced(verdict, frame), frame.identity, placed=False)
            self.finisher.finish(frame, refused, self._ended)
            return
        if verdict is FinishReply.FENCED:
            frame.stream.lease.lost = True
            self._let_go(frame)
            return
        self._count(frame, ending, verdict)
        if frame.taken.forged is not None and len(frame.stream.held) == 1:
            frame.stream.under_way.begin(self._set_back(frame))
        else:
            self._let_go(frame)

    async def _set_back(self, frame: Frame) -> None:
        """A frame of a forged id ended, and was the last that is held: its stream's ids begin again at the clock."""
        with Outermost(frame, self._fail):
            await set_back(self._store, frame.stream.lease, [frame.stream.keys])
            self._let_go(frame)

    def _count(self, frame: Frame, ending: Ending, verdict: FinishReply) -> None:
        metrics, now_s = self._metrics, time.monotonic()
        group = metrics.group(frame.stream.settings.group)
        if verdict is FinishReply.DUPLICATE:
            metrics.frames.labels("duplicate", "duplicate", group).inc()
        if verdict is not FinishReply.FINISHED:
            return
        frame.stream.count_end(skipped=ending.kind == SKIPPED)
        metrics.frames_ended(ending.kind.decode(), ending.reason, group).inc()
        metrics.took("publish", now_s - frame.asked_s)
        took_s = frame.taken.waited_s(now_s)
        self.objective.count(frame.stream.settings.policy, ending, took_s * 1000)
        if ending.kind == MASK:
            metrics.took("total", took_s)
            metrics.masks_made("camera" if frame.camera_mask else "cloud", group).inc()
        elif ending.kind == REFUSED:
            metrics.dead_letters.labels(ending.reason).inc()
            _log.debug("frame_refused", stream=frame.stream.id, reason=ending.reason, detail=ending.detail)


def _inputs(content: Symbols | Crossed, level: int) -> Inputs:
    """What the model takes."""
    return content.inputs if isinstance(content, Crossed) else inputs_of(content, level)


def _misplaced(verdict: FinishReply, frame: Frame) -> FrameRefused:
    if verdict is FinishReply.JUMP:
        return SequenceJump(f"{frame.identity} is over 2^20 frames ahead; the next one in sequence is believed")
    return EpochStale(f"{frame.identity} is of an epoch before the last 4 of this stream")
