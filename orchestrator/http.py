"""The small HTTP server for Prometheus and probes: ``/metrics``, ``/healthz``, ``/readyz``."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Protocol

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, disable_created_metrics, generate_latest

from narrows.errors import ServiceError

disable_created_metrics()  # type: ignore[no-untyped-call]  # a second series for each counter, which nobody asks for


class Health(Protocol):
    """What the probes ask of a program."""

    def alive(self) -> dict[str, object]:
        """The body of ``/healthz``."""
        ...

    def reasons_not_ready(self) -> list[str]:
        """Why no work should be expected of it; empty if it is ready."""
        ...


def parse_address(address: str) -> tuple[str, int]:
    """``HOST:PORT``, an IPv6 host in brackets.

    Raises:
        ServiceError: it is not of that form.
    """
    host, colon, port = address.rpartition(":")
    if colon and host and port.isdigit() and int(port) < 65536:
        return host.strip("[]"), int(port)
    raise ServiceError(f"address {address!r}: HOST:PORT is expected, such as 127.0.0.1:9464")


def make_app(registry: CollectorRegistry, health: Health) -> web.Application:
    """The three routes."""

    async def metrics(_: web.Request) -> web.Response:
        return web.Response(body=generate_latest(registry), headers={"Content-Type": CONTENT_TYPE_LATEST})

    async def healthz(_: web.Request) -> web.Response:
        return web.json_response(health.alive())

    async def readyz(_: web.Request) -> web.Response:
        reasons = health.reasons_not_ready()
        return web.json_response({"ready": not reasons, "reasons": reasons}, status=503 if reasons else 200)

    app = web.Application()
    app.add_routes([web.get("/metrics", metrics), web.get("/healthz", healthz), web.get("/readyz", readyz)])
    return app


@asynccontextmanager
async def serve(app: web.Application, address: str) -> AsyncIterator[str]:
    """Serve while the context lasts; yields the address with the port that was bound (0 takes a free one).

    Raises:
        ServiceError: the address cannot be bound.
    """
    host, port = parse_address(address)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, host, port).start()
        yield f"{host}:{runner.addresses[0][1]}"
    except OSError as error:
        raise ServiceError(f"cannot listen on {address}: {error.strerror}; choose another") from None
    finally:
        await runner.cleanup()
