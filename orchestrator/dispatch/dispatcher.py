"""A dispatcher: the loops around the way of a frame (:mod:`orchestrator.dispatch.frame_path`)."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from typing import Any

import structlog

from narrows.contract.bundle import ServedModel
from narrows.contract.errors import ServiceError
from narrows.contract.wire.keys import ShardKeys
from narrows.runtime.cancelling import cancel_all
from narrows.runtime.loop_guard import LoopGuard, is_service_error
from narrows.runtime.process_name import own_name
from narrows.runtime.redis.server_clock import ServerClock
from narrows.runtime.redis.store import ReplyRefused, Store, concerns_all
from orchestrator.dispatch.batcher import Batcher
from orchestrator.dispatch.connected import Connect
from orchestrator.dispatch.discovery import Discovery
from orchestrator.dispatch.frame_path import FramePath
from orchestrator.dispatch.health import DispatcherHealth
from orchestrator.dispatch.install import agree_on_shards, disagreement
from orchestrator.dispatch.lease import Lease, Leases
from orchestrator.dispatch.rate_requests import RateRequests
from orchestrator.dispatch.readiness import Readiness
from orchestrator.dispatch.reference_memory import ReferenceMemory
from orchestrator.dispatch.reporting import Reporting
from orchestrator.dispatch.settings import DispatchSettings
from orchestrator.dispatch.shard import Shard
from orchestrator.dispatch.sweep import Sweep
from orchestrator.dispatch.unsealing import KeySettings, Unsealing
from orchestrator.telemetry.faults import Cause, Faults, cause_of
from orchestrator.telemetry.metrics import Metrics

_log = structlog.get_logger(__name__)
_AFTER_TROUBLE_S = 0.2
_WORTH, _LONGEST_PAUSE_S = (
    9,
    5.0,
)  # housekeeping takes about a tenth of the time at most, however many streams there are


class Dispatcher:
    """Owns its share of the shards and brings their frames to an end."""

    def __init__(
        self,
        store: Store,
        served: Mapping[int, tuple[ServedModel, Connect]],
        shards: int,
        settings: DispatchSettings,
        metrics: Metrics | None = None,
        name: str | None = None,
        keys: KeySettings = KeySettings(),  # noqa: B008 - frozen
    ) -> None:
        self.name = name or own_name()
        self.metrics = metrics or Metrics()
        self._faults = Faults(self.metrics)
        self._guard = LoopGuard(self.metrics.crashed)
        self._unsealing = Unsealing(keys, self.metrics, self._faults)
        self.metrics.install_shards.set(shards)
        self.health = DispatcherHealth(shards_due=1)
        self.shards: dict[int, Shard] = {}
        self._store, self._settings = store, settings
        self._clocks: dict[int, ServerClock] = {}
        self._clock = self._clock_of(0)
        self.batchers = {
            model_id: Batcher(model, connect, self.metrics, settings) for model_id, (model, connect) in served.items()
        }
        self._pool = ThreadPoolExecutor(settings.threads, thread_name_prefix="symbols")
        self._path = FramePath(
            store,
            self.batchers,
            self._pool,
            self.metrics,
            settings,
            self.name,
            self._faults,
            self._unsealing,
        )
        self._readiness = Readiness(settings.readiness_s)
        self._leases = Leases(store, self.name, shards, settings.lease_ttl_ms)
        self._leases.replaced = self.metrics.records_refused.labels("fence").inc
        self._discovery = Discovery(store, shards, self.metrics, settings.dead_letters)
        self._sweep = Sweep(store, self.batchers, self._clock, self.metrics, settings, self._faults, self._guard)
        self._reporting = Reporting(
            self.name, store, self.batchers.values(), self._sweep, self._path.objective, self._clock, self.metrics
        )
        self._rate_requests = RateRequests(
            store, self._path.control_records, self.shards, self.batchers.values(), self._path.objective, self.metrics
        )
        self._references = ReferenceMemory(settings.references_bytes, self.metrics.references_forgotten.inc)
        self.metrics.references_bytes.set_function(lambda: self._references.used_bytes)
        self._readers: dict[int, asyncio.Task[None]] = {}
        self._departing: set[asyncio.Task[None]] = set()
        self._gained = asyncio.Event()
        self._found = self._tracking_refused = False
        self._looked_s = -math.inf
        self._set_back = False
        self._beating = asyncio.Lock()
        self._tasks = asyncio.TaskGroup()

    @classmethod
    async def create(
        cls,
        store: Store,
        served: Mapping[int, tuple[ServedModel, Connect]],
        settings: DispatchSettings,
        *,
        shards: int | None = None,
        name: str | None = None,
        keys: KeySettings = KeySettings(),  # noqa: B008 - frozen
    ) -> Dispatcher:
        """A dispatcher for the install that ``store`` holds.

        Raises:
            ServiceError: Redis is away, or ``shards`` is not what the install was made with.
            SecretError: the key folder cannot be used.
        """
        return cls(store, served, await agree_on_shards(store, shards), settings, name=name, keys=keys)

    async def run(self, stop: asyncio.Event) -> None:
        """Work until ``stop`` is set; then finish what is in flight, give the leases back and return."""
        loops: list[tuple[str, Callable[[], Awaitable[None]]]] = [
            ("leases", self._keep_leases),
            ("discovery", self._discover),
            ("housekeeping", self._keep_house),
            ("decoders", self._watch_decoders),
            ("finishing", self._path.finisher.run),
            ("reporting", self._reporting.run),
            ("keys", self._unsealing.run),
            ("label tables", self._path.label_tables.run),
            ("rates", self._rate_requests.run),
            ("health", partial(self.health.watch_loop, self._stood_still)),
            *(("batches", batcher.run) for batcher in self.batchers.values()),
        ]
        try:
            async with self._tasks:
                running = [self._tasks.create_task(self._guard.keep(name, loop)) for name, loop in loops]
                await stop.wait()
                self.health.stopping = True
                await self._leave()
                await cancel_all(running)  # first, for these begin the others
                await cancel_all([*self._readers.values(), *self._departing])
        finally:
            await self._close()

    async def _keep_leases(self) -> None:
        while True:
            try:
                async with self._beating:
                    await self._beat()
                self.health.redis_ok = True
                if not self.health.shards_away:
                    self._faults.end(Cause.REDIS_AWAY, Cause.REDIS_READ_ONLY, Cause.REDIS_REFUSES)
            except ServiceError as error:
                self._trouble("leases are not renewed", error)
            await asyncio.sleep(self._settings.beat_s)

    async def _beat(self) -> None:
        for lost in [lease for lease in self._leases.held.values() if lease.lost]:
            self._leases.drop(lost)
        await self._leases.renew()
        self.health.shards_away = self._leases.away
        self._drop_lost()
        if self.health.stopping:
            return
        due = await self._shards_due()
        staying = sorted((s for s in self.shards.values() if not s.draining), key=lambda shard: shard.held)
        for shard in staying[: max(0, len(staying) - due)]:
            self._spawn(self._hand_over(shard))
        await self._leases.acquire(due)
        for lease in self._leases.held.values():  # those too that were gained in a beat that broke off behind it
            if not lease.lost and lease.shard not in self.shards:
                self._take_over(lease)
        self.health.shards_away = self._leases.away
        for number, refused in self._leases.refused.items():
            self._faults.happened(cause_of(refused), f"shard {number} has no owner: {refused}")
        self.health.shards_owned, self.health.shards_due = len(self.shards), due
        self.metrics.shards_owned.set(len(self.shards))

    async def _shards_due(self) -> int:
        """How many shards should be ours: none in an install that is not the one we began with."""
        self.health.install = await disagreement(self._store, self._leases.shards)
        if not self.health.install:
            self._faults.end(Cause.INSTALL_DIFFERS)
            ready = {batcher.model.hex_id: batcher.ready for batcher in self.batchers.values()}
            return await self._leases.heartbeat(self._readiness.missing(ready))
        self._faults.begin(Cause.INSTALL_DIFFERS, self.health.install)
        await self._leases.leave()
        return 0

    def _take_over(self, lease: Lease) -> None:
        shard = Shard(
            lease,
            self._store,
            self.name,
            self._path.take_up,
            self._clock_of(lease.shard),
            self.metrics,
            self._settings,
            self._references,
            self._note_found,
        )
        self.shards[lease.shard] = shard
        self._begin_reading(shard)
        self._gained.set()
        _log.info("shard_acquired", shard=lease.shard, token=lease.token)

    def _drop_lost(self) -> None:
        lost = [number for number, shard in self.shards.items() if shard.lease.lost]
        if lost:
            self.metrics.lease_lost.inc(len(lost))
            self._faults.happened(Cause.LEASE_LOST, f"to others went shards {lost}: this process was paused or cut off")
        for number in lost:
            shard = self.shards.pop(number)
            self._readers.pop(number).cancel()
            self._spawn(shard.abandon())

    async def _hand_over(self, shard: Shard) -> None:
        """Finish what is held, then let another have the shard, whatever came between. Until then it is renewed."""
        if shard.draining:
            return
        number = shard.lease.shard
        try:
            await shard.drain(self._settings.drain_s)
        finally:
            if self.shards.get(number) is shard:
                del self.shards[number]
                self._readers.pop(number).cancel()
            await self._leases.release(shard.lease)
        _log.info("shard_released", shard=number)

    def _begin_reading(self, shard: Shard) -> None:
        reading = self._guard.keep("reading", partial(self._read, shard))
        self._readers[shard.lease.shard] = self._tasks.create_task(reading)

    async def _read(self, shard: Shard) -> None:
        """Read in three loops. An error that ends one ends the others too: beside the next three they would go on."""
        shard.begin_anew()
        loops = [
            asyncio.create_task(self._keep_reading(shard, shard.read)),
            asyncio.create_task(self._keep_reading(shard, shard.read_isolated)),
            asyncio.create_task(shard.follow(self._say_tracking_refused)),
        ]
        try:
            await asyncio.gather(*loops)
        finally:
            await cancel_all(loops)

    def _say_tracking_refused(self, refusal: ReplyRefused) -> None:
        if not self._tracking_refused:
            _log.warning("tracking_refused", error=str(refusal), remedy="allow this user +client|tracking")
        self._tracking_refused = True

    async def _keep_reading(self, shard: Shard, read: Callable[[], Awaitable[None]]) -> None:
        while not (shard.lease.lost or shard.draining):
            try:
                await read()
            except ServiceError as error:
                self._trouble("reading waits", error)
                shard.begin_anew()
                await asyncio.sleep(_AFTER_TROUBLE_S)

    async def _discover(self) -> None:
        while True:
            self._gained.clear()
            begun_s = time.monotonic()
            try:
                for clock in [self._clock, *{self._clock_of(shard) for shard in self.shards} - {self._clock}]:
                    await clock.look(self._store)
                if self._set_back:
                    await self._read_anew()
                if self._streams_due(begun_s):
                    await self._look_for_streams(begun_s)
            except ServiceError as error:
                self._trouble("streams are not looked for", error)
            with suppress(TimeoutError):
                took_s = time.monotonic() - begun_s
                async with asyncio.timeout(_pause_s(self._settings.discover_s, took_s)):
                    await self._gained.wait()

    def _streams_due(self, now_s: float) -> bool:
        """Whether to look for streams: where Redis says what is written, once a new one is, and now and then."""
        told = bool(self.shards) and all(shard.followed for shard in self.shards.values())
        return not told or self._found or now_s - self._looked_s > _LONGEST_PAUSE_S

    async def _look_for_streams(self, begun_s: float) -> None:
        self._found = False
        shards = dict(self.shards)
        for number, names in (await self._discovery.look(shards.keys())).items():
            with self._guard.one("discovery", f"shard {number}", passing=concerns_all):
                await shards[number].adopt(names, begun_s)
        self._looked_s = begun_s

    def _note_found(self) -> None:
        self._found = True

    async def _keep_house(self) -> None:
        while True:
            begun_s = time.monotonic()
            try:
                await self._sweep.round(dict(self.shards))
            except ServiceError as error:
                self._trouble("a sweep failed", error)
            took_s = time.monotonic() - begun_s
            await asyncio.sleep(_pause_s(max(_AFTER_TROUBLE_S, self._settings.sweep_s - took_s), took_s))

    async def _watch_decoders(self) -> None:
        while True:
            await self._sweep.look_at_decoders()
            self.health.decoders_ready = {batcher.model.hex_id: batcher.ready for batcher in self.batchers.values()}
            await asyncio.sleep(self._settings.sweep_s)

    async def _leave(self) -> None:
        """Hand all shards over at once, within the time that is left."""
        async with self._beating:  # what is being acquired right now is handed over too; nothing is acquired after it
            pass
        for shard in self.shards.values():
            self._spawn(self._hand_over(shard))
        await asyncio.gather(*self._departing)
        try:
            await self._leases.leave()
            await self._reporting.leave()
        except ServiceError as error:
            self._trouble("leaving without a word", error)

    async def _close(self) -> None:
        for shard in self.shards.values():
            await shard.abandon()
        await self._path.audits.close()
        for batcher in self.batchers.values():
            await batcher.close()
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = self._tasks.create_task(self._guarded(work))
        self._departing.add(task)
        task.add_done_callback(self._departing.discard)

    async def _guarded(self, work: Coroutine[Any, Any, None]) -> None:
        try:
            with self._guard.one("handing over", "a shard", passing=is_service_error):
                await work
        except ServiceError as error:
            self._trouble("a shard is left to its lease", error)

    def _stood_still(self, length_s: float) -> None:
        detail = f"this process stood still for {length_s:.1f} s: what it waited for is late, and nobody else's fault"
        self._faults.happened(Cause.PROCESS_PAUSED, detail)

    def _clock_of(self, shard: int) -> ServerClock:
        """The clock that a shard's entries have their ids by: its node's, in a cluster."""
        key = ShardKeys(shard).lease
        return self._clocks.setdefault(self._store.order_of(key), ServerClock(stepped=self._clock_was_set, at=key))

    def _clock_was_set(self, step_s: float) -> None:
        self._set_back = self._set_back or step_s < 0
        how = "back" if step_s < 0 else "ahead"
        self._faults.happened(
            Cause.REDIS_CLOCK_SET, f"Redis' clock was set {how} by {abs(step_s):.1f} s; see to its NTP"
        )

    async def _read_anew(self) -> None:
        """A read that waits in Redis waits until its clock is where it was: break it off, and claim what it brought."""
        self._set_back = False
        for number, reader in list(self._readers.items()):
            await cancel_all([reader])
            shard = self.shards.get(number)
            if shard is not None and self._readers.get(number) is reader:
                self._begin_reading(shard)

    def _trouble(self, what: str, error: ServiceError) -> None:
        self.health.redis_ok = False
        self.metrics.service_errors.labels("redis").inc()
        for shard in self.shards.values():
            shard.doubt()
        self._faults.begin(cause_of(error), f"{what}: {error}")


def _pause_s(wanted_s: float, took_s: float) -> float:
    return max(wanted_s, min(_WORTH * took_s, _LONGEST_PAUSE_S))
