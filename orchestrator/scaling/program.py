"""The autoscaler as a process: settings in, the HTTP server beside it."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

import structlog

from narrows import __version__
from narrows.runtime.exposure import Exposure
from narrows.runtime.http import make_app, serve
from narrows.runtime.listening import HTTP_OPTION, TOKEN_OPTION, check_exposure
from narrows.runtime.process_name import own_name
from narrows.runtime.redis.store import Store
from narrows.runtime.run_program import run_program
from orchestrator.scaling.autoscaler import Autoscaler, AutoscalerOptions
from orchestrator.scaling.capacity import CapacityModel
from orchestrator.scaling.engines import EngineName, EngineOptions, make_engine
from orchestrator.scaling.engines.instances import TritonInstances
from orchestrator.scaling.leader import Leadership
from orchestrator.scaling.observe import Observer

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class AutoscaleOptions:
    """The options of ``narrows autoscale``.

    Attributes:
        instance_scaling: whether instances inside servers are changed too.
        metrics_port: of Triton's ``/metrics`` on the servers' hosts, where they did not register it; 0: not asked.
        max_batch: the largest batch that dispatchers send.
    """

    redis_url: str
    engine: EngineName
    plan: AutoscalerOptions
    engine_options: EngineOptions = field(default_factory=EngineOptions)
    instance_scaling: bool = True
    metrics_port: int = 8002
    max_batch: int = 16
    http: str = "127.0.0.1:9465"
    http_token: str | None = None
    log_level: str = "info"


def run_autoscale(options: AutoscaleOptions) -> None:
    """Run until SIGTERM or SIGINT. Redis, the engine and servers that are away are waited for.

    Raises:
        ServiceError: it cannot begin; the message says why.
    """
    run_program(lambda stop: _run(options, stop), options.log_level)


async def _run(options: AutoscaleOptions, stop: asyncio.Event) -> None:
    check_exposure(options.http, options.http_token, HTTP_OPTION, TOKEN_OPTION)
    store = Store.connect(options.redis_url)
    observer = Observer(store, CapacityModel(options.max_batch), metrics_port=options.metrics_port)
    instances = TritonInstances(lambda: observer.servers) if options.instance_scaling else None
    try:
        engine = make_engine(options.engine, options.engine_options, store)
        try:
            leadership = Leadership(store, own_name())
            autoscaler = Autoscaler(store, leadership, observer, engine, instances, options.plan)
            autoscaler.metrics.build_info.labels(__version__).set(1)
            async with serve(
                make_app(Exposure(autoscaler.metrics.registry, autoscaler.health, options.http_token)), options.http
            ) as address:
                _log.info("autoscaler_started", name=leadership.owner, http=address, engine=options.engine.value)
                await autoscaler.run(stop)
        finally:
            await engine.close()
    finally:
        if instances is not None:
            await instances.close()
        await observer.close()
        await store.close()
    _log.info("autoscaler_stopped")
