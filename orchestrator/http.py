"""The small HTTP server for Prometheus and probes: ``/metrics``, ``/healthz``, ``/readyz``."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Protocol

import structlog
from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, disable_created_metrics, generate_latest

from narrows.errors import ServiceError
from orchestrator.exposure import Bearer, check_token, is_loopback

_log = structlog.get_logger(__name__)
TOKEN_VARIABLE = "NARROWS_HTTP_TOKEN"  # noqa: S105 - its name
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


def check_exposure(address: str, token: str | None) -> None:
    """Refuse a token that can be guessed; warn where others than this machine read metrics without one.

    Raises:
        ServiceError: the address is not HOST:PORT, or the token is too short.
    """
    host, _ = parse_address(address)
    if token is None and not is_loopback(host):
        _log.warning("metrics are open to others", http=address, remedy=f"set {TOKEN_VARIABLE}, or listen on 127.0.0.1")
        return
    check_token(token, TOKEN_VARIABLE, f"--http {address}", host)


def make_app(registry: CollectorRegistry, health: Health, token: str | None = None) -> web.Application:
    """The three routes. Who does not bring the token, where there is one, learns whether it lives and is ready."""
    bearer = Bearer(token)

    async def metrics(request: web.Request) -> web.Response:
        if not bearer.admits(request):
            raise web.HTTPUnauthorized(
                text="A token is needed: Authorization: Bearer TOKEN.\n", headers={"WWW-Authenticate": "Bearer"}
            )
        return web.Response(body=generate_latest(registry), headers={"Content-Type": CONTENT_TYPE_LATEST})

    async def healthz(request: web.Request) -> web.Response:
        return web.json_response(health.alive() if bearer.admits(request) else {})

    async def readyz(request: web.Request) -> web.Response:
        reasons = health.reasons_not_ready()
        shown = reasons if bearer.admits(request) else []
        return web.json_response({"ready": not reasons, "reasons": shown}, status=503 if reasons else 200)

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
