"""The dispatcher as a process: settings in, the HTTP server beside it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import structlog

from narrows import __version__
from narrows.contract.bundle import Bundle, ServedModel, models_of, open_bundle
from narrows.runtime.backoff import Backoff
from narrows.runtime.cancelling import cancel_all, unless_stopped
from narrows.runtime.collector import collect_seldom
from narrows.runtime.exposure import Exposure
from narrows.runtime.head_watch import HeadWatch
from narrows.runtime.http import make_app, serve
from narrows.runtime.listening import HTTP_OPTION, TOKEN_OPTION, check_exposure
from narrows.runtime.loop_guard import LoopGuard
from narrows.runtime.redis.store import Store, StoreAway
from narrows.runtime.run_program import run_program
from orchestrator.discovery.service_discovery import ServiceDiscovery
from orchestrator.discovery.sources import parse_sources
from orchestrator.dispatch.connected import Connect, Connected
from orchestrator.dispatch.dispatcher import Dispatcher
from orchestrator.dispatch.install import agree_on_shards
from orchestrator.dispatch.server_options import say, server_options
from orchestrator.dispatch.settings import DispatchSettings
from orchestrator.dispatch.unsealing import KeySettings
from orchestrator.inference import TritonDecoder
from orchestrator.inference.fleet_meter import FleetMeter
from orchestrator.inference.head_renewal import HeadRenewal
from orchestrator.inference.pool import ServerPool
from orchestrator.telemetry.faults import Faults, Report, unreported
from orchestrator.telemetry.metrics import Metrics

_log = structlog.get_logger(__name__)
_PAUSES_S = (0.1, 2.0)
_REDIS_START_S = 30.0


@dataclass(frozen=True, slots=True)
class ProgramOptions:
    """The options of ``narrows orchestrate``.

    Attributes:
        process: its number among the dispatcher processes that one supervisor has, which takes care of who may see its
            ``http``, a socket of its own; ``None``: it stands alone.
    """

    redis_url: str
    triton: tuple[str, ...]
    bundles: tuple[Path, ...]
    shards: int | None
    http: str
    http_token: str | None
    max_batch: int
    slots: int
    retention: int
    retention_mib: int
    gap_s: float
    stream_entries: int
    stream_mib: int
    references_mib: int
    log_level: str
    keys: KeySettings
    process: int | None = None


def run_dispatcher(options: ProgramOptions) -> None:
    """Run until SIGTERM or SIGINT.

    Raises:
        BundleError, SecretError, ServiceError: it cannot begin; the message says why.
    """
    collect_seldom()
    which = {} if options.process is None else {"process": options.process}
    run_program(lambda stop: _run(options, stop), options.log_level, log_fields=which)


def triton_connect(
    service_discovery: ServiceDiscovery,
    model: ServedModel,
    *,
    max_batch: int,
    slots: int,
    report: Report = unreported,
    guard: LoopGuard | None = None,
) -> Connect:
    """How a batcher gets its model: a pool over the servers of ``service_discovery``."""
    watch = HeadWatch(model) if isinstance(model, Bundle) else None
    renewal = HeadRenewal()

    async def connect_server(address: str) -> TritonDecoder:
        return await TritonDecoder.connect(
            address,
            model if watch is None else watch.bundle,
            max_batch=max_batch,
            slots=slots,
            report=report,
            removed=() if watch is None else watch.removed,
            let_go=renewal.again,
        )

    async def connect() -> Connected:
        pool = ServerPool(
            service_discovery, connect_server, max_batch=max_batch, slots=slots, report=report, guard=guard
        )

        async def look_at_heads() -> None:
            if watch is None:
                return
            if await watch.look():
                _log.info("heads_changed", bundle=model.hex_id, heads=_named(watch.bundle))
                renewal.changed()
            if renewal.due(differ=pool.heads_differ):
                pool.renew()

        return Connected(pool, FleetMeter(pool), pool.servers, look_at_heads)

    return connect


def _named(bundle: Bundle) -> list[str]:
    return [f"{head.name} {head.version}" for head in bundle.heads.heads]


async def _agree_patiently(store: Store, wanted: int | None) -> int:
    """As :func:`agree_on_shards`; a server that starts at the same time as we do is waited for."""
    backoff, give_up_s = Backoff(*_PAUSES_S), time.monotonic() + _REDIS_START_S
    while True:
        try:
            return await agree_on_shards(store, wanted)
        except StoreAway as error:
            if time.monotonic() > give_up_s:
                raise
            _log.warning("waiting_for_redis", error=str(error))
        await asyncio.sleep(backoff.next_delay_s())


async def _run(options: ProgramOptions, stop: asyncio.Event) -> None:
    if options.process is None:
        check_exposure(options.http, options.http_token, HTTP_OPTION, TOKEN_OPTION)
    models = [model for folder in options.bundles for model in models_of(open_bundle(folder))]
    sources = parse_sources(options.triton)
    metrics = Metrics()
    settings = DispatchSettings(
        max_batch=options.max_batch,
        retention=options.retention,
        retention_bytes=options.retention_mib << 20,
        gap_s=options.gap_s,
        stream_entries=options.stream_entries,
        stream_bytes=options.stream_mib << 20,
        references_bytes=options.references_mib << 20,
    )
    store = Store.connect(options.redis_url)
    try:
        shards = await unless_stopped(stop, _agree_patiently(store, options.shards))
        if shards is None:
            _log.info("stopped_before_start")
            return
        say(await server_options(store))
        service_discovery = ServiceDiscovery(sources, store)
        report = Faults(metrics).happened
        guard = LoopGuard(metrics.crashed)
        connect = partial(
            triton_connect,
            service_discovery,
            max_batch=options.max_batch,
            slots=options.slots,
            report=report,
            guard=guard,
        )
        served = {model.id: (model, connect(model)) for model in models}
        dispatcher = Dispatcher(store, served, shards, settings, metrics, keys=options.keys)
        dispatcher.metrics.build_info.labels(__version__).set(1)
        async with (
            _running(service_discovery, guard),
            serve(
                make_app(Exposure(dispatcher.metrics.registry, dispatcher.health, options.http_token)), options.http
            ) as address,
        ):
            _log.info(
                "dispatcher_started", name=dispatcher.name, http=address, bundles=[model.hex_id for model in models]
            )
            await dispatcher.run(stop)
    finally:
        await store.close()
    _log.info("dispatcher_stopped")


@asynccontextmanager
async def _running(service_discovery: ServiceDiscovery, guard: LoopGuard) -> AsyncIterator[None]:
    """Keep the list of servers up to date meanwhile."""
    looking = asyncio.create_task(service_discovery.run(guard))
    try:
        yield
    finally:
        await cancel_all([looking])
