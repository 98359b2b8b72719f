"""Asking cameras for masks of their own, then for fewer frames, while more is offered than can be decoded.

Cameras with a split network are told what they plan by (:mod:`orchestrator.dispatch.plan_requests`).

What to ask is decided in :mod:`orchestrator.dispatch.mask_requests` and :mod:`orchestrator.dispatch.throttle`; here it
is measured and written, through control records, once a second.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import replace
from typing import Any

import structlog

from narrows.contract.errors import RecordError, ServiceError
from narrows.contract.records.report import DispatcherReport, is_fresh
from narrows.contract.wire import Sends
from narrows.contract.wire.keys import ScaleKeys
from narrows.contract.wire.streams import Policy
from narrows.runtime.redis.store import Store
from orchestrator.dispatch.batcher import Batcher
from orchestrator.dispatch.control_records import ControlRecords
from orchestrator.dispatch.mask_requests import Candidate, MaskRequests
from orchestrator.dispatch.objective import Objective
from orchestrator.dispatch.plan_requests import OVERLOADED_WAIT_S, TailUse, plan_fields
from orchestrator.dispatch.shard import Shard
from orchestrator.dispatch.stream import Stream
from orchestrator.dispatch.throttle import Offered, Pressure, Throttle
from orchestrator.inference.load import LoadReading
from orchestrator.inference.rate import Rate
from orchestrator.telemetry.metrics import Metrics

_log = structlog.get_logger(__name__)
_PERIOD_S = 1.0
_HALF_LIFE_S = 2.0
_ACTIVE_WITHIN_S = 10.0
_TTL_MS = 5_000


class RateRequests:
    """Lowers and raises the frame rates of the streams of the shards owned."""

    def __init__(
        self,
        store: Store,
        records: ControlRecords,
        shards: Mapping[int, Shard],
        batchers: Collection[Batcher],
        objective: Objective,
        metrics: Metrics,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._store, self._records, self._shards, self._batchers = store, records, shards, batchers
        self._objective, self._metrics, self._monotonic = objective, metrics, monotonic
        self._throttle, self._mask_requests = Throttle(), MaskRequests()
        self._rates: dict[Stream, tuple[Rate, int]] = {}
        self._own: dict[Stream, TailUse] = {}
        self._capped: dict[Stream, float] = {}
        self._sends: dict[Stream, Sends] = {}
        self._counted = (0, 0)
        self._looked_s = monotonic()

    async def run(self) -> None:
        """Look and ask for ever; a Redis that is away is asked again."""
        while True:
            await asyncio.sleep(_PERIOD_S)
            try:
                await self.look()
            except ServiceError as error:
                _log.debug("rate_requests_failed", error=str(error))

    async def look(self) -> None:
        """One look, and what follows from it.

        Raises:
            ServiceError: Redis is away.
        """
        now_s = self._monotonic()
        active = self._measure(now_s)
        rates = {stream: rate for stream, rate in active.items() if stream.asked_for_masks or not stream.makes_masks}
        everywhere = await self._demand_everywhere()
        share = self._share(rates, everywhere)
        pressure = self._pressure(everywhere, share)
        candidates = {stream.id: _candidate(stream, rate) for stream, rate in active.items()}
        sends = self._mask_requests.decide(candidates, pressure.load_ratio, now_s)
        offered = {stream.id: _offered(stream, rate) for stream, rate in rates.items() if not stream.makes_masks}
        caps = self._throttle.decide(offered, _without_masks(pressure, rates), now_s)
        self._show(rates, len(caps))
        await self._ask(
            {stream: caps[stream.id] for stream in rates if stream.id in caps},
            {stream: sends[stream.id] for stream in active if stream.id in sends},
            self._plans(active, pressure.load_ratio, share),
        )

    def _measure(self, now_s: float) -> dict[Stream, float]:
        """Frames/s of each stream that sent lately."""
        elapsed_s, self._looked_s = max(now_s - self._looked_s, 1e-3), now_s
        present = [stream for shard in self._shards.values() for stream in shard.streams.values()]
        active = [stream for stream in present if now_s - stream.active_s < _ACTIVE_WITHIN_S]
        measured: dict[Stream, tuple[Rate, int]] = {}
        for stream in active:
            rate, before = self._rates.get(stream, (Rate(_HALF_LIFE_S), stream.taken_in))
            rate.observe(stream.taken_in - before)
            rate.take(elapsed_s)
            measured[stream] = rate, stream.taken_in
        self._rates = measured
        # of silent ones too: begun anew, all that a camera ever sent would be of the second in which it is back
        self._own = {each: self._own.get(each, TailUse(_HALF_LIFE_S)) for each in present if each.split is not None}
        for stream, own in self._own.items():
            own.take(stream.wanted, stream.answered, elapsed_s)
        return {stream: rate.per_s for stream, (rate, _) in measured.items()}

    def _plans(self, active: Collection[Stream], load_ratio: float, share: float) -> dict[Stream, dict[str, Any]]:
        """What cameras with a split network are told; ``share``: of all demand, what this dispatcher's streams ask."""
        readings = self._readings()
        late = {each.model.hex_id for each in self._batchers if each.longest_wait_s > OVERLOADED_WAIT_S}
        weights = sum(stream.settings.weight for stream in active if not stream.makes_masks) / share
        plans = {}
        for stream, own in self._own.items():
            if stream in active and (bundle := stream.split) is not None:
                late_s = {tail.hex_id: tail.cut.tail_ms / 1000 for tail in bundle.tails if tail.hex_id in late}
                due = stream.settings.weight / max(weights, stream.settings.weight)
                load = own.cloud_load(load_ratio - own.load_ratio(readings), due, late_s)
                plans[stream] = plan_fields(bundle, stream.settings, load)
        return plans

    def _readings(self) -> dict[str, LoadReading | None]:
        return {batcher.model.hex_id: batcher.reading for batcher in self._batchers}

    def _share(self, rates: Mapping[Stream, float], everywhere: Mapping[str, float]) -> float:
        """Of what all dispatchers' cameras would send, the part of those here."""
        own = sum(max(rate, self._throttle.demand(stream.id)) for stream, rate in rates.items())
        return own / max(own, sum(everywhere.values())) if own > 0 else 1.0

    def _pressure(self, everywhere: Mapping[str, float], share: float) -> Pressure:
        load, capacity = load_of(everywhere, self._readings())
        return Pressure(
            capacity * share, load, max((batcher.wait_s for batcher in self._batchers), default=0.0), self._late()
        )

    async def _demand_everywhere(self) -> dict[str, float]:
        """Frames/s by bundle that all dispatchers' cameras would send unthrottled."""
        stored, now_ms = await self._store.hash_of(ScaleKeys.REPORTS), await self._store.time_ms()
        demand: dict[str, float] = {}
        for report in _readable(stored.values()):
            if is_fresh(report.at_ms, now_ms):
                for bundle, asked in report.bundles.items():
                    demand[bundle] = demand.get(bundle, 0.0) + sum(asked.frames_per_s.values())
        return demand

    def _late(self) -> float:
        """Share of the realtime frames since the last look that missed the objective."""
        ended, late = self._objective.realtime_ended, self._objective.realtime_late
        before, self._counted = self._counted, (ended, late)
        return (late - before[1]) / (ended - before[0]) if ended > before[0] else 0.0

    def _show(self, rates: Mapping[Stream, float], throttled: int) -> None:
        sent = sum(rates.values())
        wanted = sum(max(rate, self._throttle.demand(stream.id)) for stream, rate in rates.items())
        for batcher in self._batchers:
            batcher.demand.withheld = wanted / sent if sent > 0 else 1.0
        self._metrics.throttled_streams.set(throttled)
        self._metrics.withheld.set(wanted - sent)

    async def _ask(
        self, caps: Mapping[Stream, float], sends: Mapping[Stream, Sends], plans: Mapping[Stream, Mapping[str, Any]]
    ) -> None:
        if not self._capped and caps:
            _log.info("frame_rates_capped", streams=len(caps), least=round(min(caps.values()), 2))
        elif self._capped and not caps:
            _log.info("frame_rates_uncapped")
        asked: dict[Stream, dict[str, Any]] = {}
        for stream in self._capped.keys() | caps.keys():
            asked.setdefault(stream, {})["frames_per_s"] = caps.get(stream)
        for stream in self._sends.keys() | sends.keys():
            asked.setdefault(stream, {})["send"] = sends.get(stream)
        for stream, fields in plans.items():
            asked.setdefault(stream, {}).update(fields)
        self._note_sends(sends)
        self._capped, self._sends = dict(caps), dict(sends)
        if asked:
            await self._records.ask(asked, _TTL_MS)

    def _note_sends(self, sends: Mapping[Stream, Sends]) -> None:
        before, masks = self._mask_streams(self._sends), self._mask_streams(sends)
        for stream in before | masks:
            stream.asked_for_masks = stream in masks
        if len(before) != len(masks):
            _log.info("masks_asked_for", streams=len(masks), before=len(before))
        self._metrics.asked_for_masks.set(len(masks))

    @staticmethod
    def _mask_streams(sends: Mapping[Stream, Sends]) -> set[Stream]:
        return {stream for stream, each in sends.items() if each is Sends.MASKS}


def load_of(demand: Mapping[str, float], readings: Mapping[str, LoadReading | None]) -> tuple[float, float]:
    """The load of a demand by bundle, and the frames/s of this mix that make a load of 1 (NaN while not known)."""
    load = 0.0
    for bundle, frames_per_s in demand.items():
        reading = readings.get(bundle)
        capacity = math.nan if reading is None else reading.capacity_frames_per_s
        if math.isfinite(capacity) and capacity > 0:
            load += frames_per_s / capacity
    return load, sum(demand.values()) / load if load > 0 else math.nan


def _candidate(stream: Stream, frames_per_s: float) -> Candidate:
    return Candidate(frames_per_s, stream.able, stream.makes_masks, stream.outputs)


def _without_masks(pressure: Pressure, rates: Mapping[Stream, float]) -> Pressure:
    """The load of those that send features: frames that cameras were asked to make masks of want no decoder now."""
    total = sum(rates.values())
    features = sum(rate for stream, rate in rates.items() if not stream.makes_masks)
    return replace(pressure, load_ratio=pressure.load_ratio * features / total) if total > 0 else pressure


def _offered(stream: Stream, frames_per_s: float) -> Offered:
    return Offered(stream.settings.weight, frames_per_s, stream.settings.policy is Policy.REALTIME)


def _readable(stored: Iterable[bytes]) -> Iterable[DispatcherReport]:
    for data in stored:
        try:
            yield DispatcherReport.parse(data)
        except RecordError:
            continue
