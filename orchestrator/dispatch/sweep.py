"""What is done once a second for the shards owned: read settings, close gaps, measure the backlog."""

from __future__ import annotations

import math
import time
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from itertools import groupby

import structlog

from narrows.contract.errors import ServiceError
from narrows.contract.records.report import CameraMasks
from narrows.contract.wire.feature import FrameIdentity
from narrows.contract.wire.keys import GROUP
from narrows.runtime.loop_guard import LoopGuard, is_service_error
from narrows.runtime.redis.replies import Remedy
from narrows.runtime.redis.server_clock import ServerClock
from narrows.runtime.redis.store import ReplyRefused, Store, pairs
from orchestrator.dispatch.batcher import Batcher
from orchestrator.dispatch.camera_masks import camera_masks_of
from orchestrator.dispatch.gaps import GapWatch
from orchestrator.dispatch.prompt_answers import PromptAnswerTrimmer
from orchestrator.dispatch.scripts import CLOSE_GAPS
from orchestrator.dispatch.set_back import set_back
from orchestrator.dispatch.settings import DispatchSettings
from orchestrator.dispatch.shard import Shard
from orchestrator.dispatch.shared_age import shared_age_s
from orchestrator.dispatch.silence import show_streams
from orchestrator.dispatch.stream import Stream
from orchestrator.dispatch.stream_settings import read_settings
from orchestrator.dispatch.top_streams import TopStreams
from orchestrator.dispatch.trim import byte_cap
from orchestrator.dispatch.window import SeenWindow, epoch_field
from orchestrator.shards.entry_id import IdRange, entry_ms
from orchestrator.shards.scripts import BACKLOG, FIRST_ENTRY_BYTES, MOST_BACKLOG_FRAMES
from orchestrator.telemetry.faults import Cause, Faults
from orchestrator.telemetry.metrics import Metrics

_log = structlog.get_logger(__name__)
_ACTIVE_WITHIN_S = 10.0
_LATELY_S = 3.0
_SET_BACK_ROUNDS = 10


@dataclass(frozen=True, slots=True)
class BacklogReading:
    """What the last round saw: streams that sent a frame lately, frames without an end, their age (shared)."""

    streams: int = 0
    frames: int = 0
    age_s: float = 0.0


class Sweep:
    """One round of housekeeping, over and over."""

    def __init__(
        self,
        store: Store,
        batchers: Mapping[int, Batcher],
        clock: ServerClock,
        metrics: Metrics,
        settings: DispatchSettings,
        faults: Faults,
        guard: LoopGuard,
    ) -> None:
        self._store, self._batchers, self._faults, self._guard = store, batchers, faults, guard
        self._clock, self._metrics, self._settings = clock, metrics, settings
        self._gaps: dict[Stream, GapWatch] = {}
        self._records: dict[Stream, bytes | None] = {}
        self._held: set[Stream] = set()
        self._first: dict[Stream, tuple[bytes, float]] = {}
        self._rounds, self._prompt_answers = 0, PromptAnswerTrimmer(store)
        self.seen = BacklogReading()
        self.top = TopStreams()
        self.camera_masks = CameraMasks()

    async def round(self, shards: Mapping[int, Shard]) -> None:
        """One round over the owned shards.

        Raises:
            ServiceError: Redis is away.
        """
        streams = [stream for shard in shards.values() for stream in shard.streams.values()]
        most_bytes = await self._look_at_memory()
        isolated = sum(shard.isolated for shard in shards.values())
        self._metrics.isolated_streams.set(isolated)
        for shard in shards.values():
            shard.stream_bytes = byte_cap(self._settings.stream_bytes, most_bytes, isolated)
        for shard in shards.values():
            with self._guard.one("housekeeping", f"settings of shard {shard.lease.shard}", passing=is_service_error):
                await self._read_settings(shard)
        await self._close_gaps(streams)
        await self._set_back(shards.values())
        await self._prompt_answers.trim(shards)
        frames, ages_s = await self._measure_backlog(shards.values())
        now_s = time.monotonic()
        active = {stream for stream in streams if now_s - stream.active_s < _ACTIVE_WITHIN_S}
        show_streams(self._metrics, streams, now_s)
        age_s = shared_age_s(list(ages_s.values()), len(active | ages_s.keys()))
        self.seen = BacklogReading(len(active), frames, age_s)
        self._metrics.active_streams.set(len(active))
        self.top.look(streams)
        self.camera_masks = camera_masks_of(active, now_s)
        self._forget(streams)

    async def look_at_decoders(self) -> None:
        """Read each decoder's readiness and load; one that is away is seen as not ready."""
        for batcher in self._batchers.values():
            bundle = batcher.model.hex_id
            batcher.drop_stale()
            reading = None
            try:
                with self._guard.one("decoders", bundle, passing=is_service_error):
                    reading = await batcher.look()
            except ServiceError as error:
                batcher.ready = False
                _log.debug("load_reading_failed", bundle=bundle, error=str(error))
            self._metrics.decoder_ready.labels(bundle).set(batcher.ready)
            if reading is None:
                continue
            self._metrics.load_ratio.labels(bundle).set(reading.load_ratio)
            self._metrics.busy_ratio.labels(bundle).set(reading.busy_ratio)
            self._metrics.instances.labels(bundle).set(reading.instances)
            self._metrics.replicas.labels(bundle).set(reading.replicas)
            self._metrics.capacity.labels(bundle).set(reading.capacity_frames_per_s)

    async def _look_at_memory(self) -> int:
        """A full server takes nothing of the cameras, while frames go on ending: only this look tells.

        Answers its ``maxmemory``, bytes.
        """
        used, most = await self._store.memory_bytes()
        if 0 < most < used:
            full = f"{used} bytes of maxmemory {most}"
            self._faults.begin(Cause.REDIS_FULL, f"{full}: cameras are refused; give it more, or shorten retention")
        else:
            self._faults.end(Cause.REDIS_FULL)
        return most

    async def _read_settings(self, shard: Shard) -> None:
        try:
            records = await self._store.hash_of(shard.keys.streams)
        except ReplyRefused as refused:
            self._leave_out(shard.keys.streams, refused)
            return
        for stream in shard.streams.values():
            record = records.get(stream.id.encode())
            if record == self._records.get(stream):
                continue
            self._records[stream] = record
            stream.settings = read_settings(stream.id, record, stream.settings, self._settings.unregistered)

    async def _close_gaps(self, streams: list[Stream]) -> None:
        streams = self._where_gaps_may_be(streams)
        windows = await self._store.many([("HGETALL", stream.keys.seen) for stream in streams])
        for stream, window in zip(streams, windows, strict=True):
            if isinstance(window, ReplyRefused):
                self._leave_out(stream.id, window)
                continue
            with self._guard.one("housekeeping", f"the window of {stream.id}", passing=is_service_error):
                await self._close_gaps_of(stream, SeenWindow.parse(pairs(window)))

    async def _close_gaps_of(self, stream: Stream, seen: SeenWindow) -> None:
        for field in seen.unreadable - stream.seen.unreadable:
            self._metrics.records_refused.labels("window").inc()
            _log.warning("window_unreadable", key=stream.keys.seen, field=field[:40], stream=stream.id)
        stream.seen = seen
        watch = self._gaps.setdefault(stream, GapWatch(self._settings.gap_s))
        due = watch.look(
            stream.seen.gaps(),
            now_s=time.monotonic(),
            drained_s=stream.drained_s if stream.recover_idle_ms is None else -math.inf,
            held={frame.identity for frame in stream.held.values()},
        )
        for epoch, lost in groupby(due, key=lambda identity: identity.epoch):
            await self._close(stream, epoch, lost)

    def _leave_out(self, whose: str, refused: ReplyRefused) -> None:
        """Say it and go on with the others, where this is amiss with one's own keys.

        Raises:
            ReplyRefused: it would be said of the others, too.
        """
        if refused.remedy is not Remedy.NONE:
            raise refused
        self._faults.happened(Cause.REDIS_REFUSES, f"{whose} is left out: {refused}")

    def _where_gaps_may_be(self, streams: list[Stream]) -> list[Stream]:
        """Streams that are new here, have gaps noted, or had frames lately: silent ones cost nothing."""
        since_s, held = time.monotonic() - _LATELY_S, {stream for stream in streams if stream.held}
        lately, self._held = held | self._held, held
        return [
            stream
            for stream in streams
            if stream.active_s > since_s or stream in lately or stream not in self._gaps or len(self._gaps[stream])
        ]

    async def _close(self, stream: Stream, epoch: int, lost: Iterable[FrameIdentity]) -> None:
        keys = [stream.shard_keys.fence, stream.keys.seen, stream.keys.ledger]
        sequences = [identity.sequence for identity in lost]
        try:
            closed = int(await self._store.run(CLOSE_GAPS, keys, stream.lease.token, epoch_field(epoch), *sequences))
        except ReplyRefused as refused:
            self._leave_out(stream.id, refused)
            return
        if closed > 0:
            self._metrics.lost_frames.labels(self._metrics.group(stream.settings.group)).inc(closed)
            _log.info("frames_lost_in_transit", stream=stream.id, frames=closed)

    async def _set_back(self, shards: Iterable[Shard]) -> None:
        """Look for streams whose ids ran away from the clock; a frame with such an id has its own look at once."""
        self._metrics.redis_clock_set_back.set(self._clock.set_back_s)
        self._rounds += 1
        if not self._clock.set_back_s and self._rounds % _SET_BACK_ROUNDS != 1:
            return
        for shard in shards:
            await set_back(self._store, shard.lease, [stream.keys for stream in shard.streams.values()])

    async def _measure_backlog(self, shards: Collection[Shard]) -> tuple[int, dict[Stream, float]]:
        """Frames without an end, and by stream that has any the age of its oldest."""
        frames = 0
        ages_s: dict[Stream, float] = {}
        for shard in shards:
            streams = list(shard.streams.values())
            keys, seen_s = [stream.keys.features for stream in streams], time.monotonic()
            replies = await self._store.run(BACKLOG, keys, GROUP, FIRST_ENTRY_BYTES) if streams else []
            shard.see_lengths(zip(streams, (int(length) for length, _, _ in replies), strict=True), seen_s)
            now_s = time.monotonic()
            for stream, (length, first, size) in zip(streams, replies, strict=True):
                frames += min(int(length), MOST_BACKLOG_FRAMES)
                if length > self._settings.stream_entries or size > shard.stream_bytes:
                    shard.isolate(stream)  # there it is trimmed
                if first:
                    ages_s[stream] = self._age_s(stream, first, now_s)
                    self._look_for_abandoned(stream, first, now_s)
        self._metrics.backlog_frames.set(frames)
        self._metrics.backlog_age.set(max(ages_s.values(), default=0.0))
        return frames, ages_s

    def _age_s(self, stream: Stream, first: bytes, now_s: float) -> float:
        """How long a frame has waited, as far as its id can be believed."""
        held = stream.held.get(first)
        if held is not None:
            return held.taken.waited_s(now_s)
        return IdRange(self._clock.at_ms(now_s), self._clock.highest_ms).age_ms(entry_ms(first)) / 1000

    def _look_for_abandoned(self, stream: Stream, first: bytes, now_s: float) -> None:
        """What is the first for long and not here was given up, by us or by an owner before us."""
        _, since_s = self._first[stream] = _since(self._first.get(stream), first, now_s)
        idle_ms = self._settings.claim_idle_ms
        if stream.recover_idle_ms is None and first not in stream.held and (now_s - since_s) * 1000 > idle_ms:
            # Redis counts an idle time from below 0 after its clock was set back
            stream.recover_idle_ms = 0 if self._clock.set_back_s else idle_ms

    def _forget(self, streams: list[Stream]) -> None:
        present = set(streams)
        self._gaps = {stream: watch for stream, watch in self._gaps.items() if stream in present}
        self._records = {stream: record for stream, record in self._records.items() if stream in present}
        self._first = {stream: first for stream, first in self._first.items() if stream in present}


def _since(known: tuple[bytes, float] | None, first: bytes, now_s: float) -> tuple[bytes, float]:
    """Since when an entry is its stream's first."""
    return known if known is not None and known[0] == first else (first, now_s)
