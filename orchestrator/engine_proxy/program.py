"""The proxy as a process."""

from __future__ import annotations

import asyncio

import structlog

from narrows.contract.errors import ServiceError
from narrows.runtime.http import UNIX, serve
from narrows.runtime.listening import check_exposure
from narrows.runtime.run_program import run_program
from orchestrator.engine_proxy.gate import Allowed, Gate
from orchestrator.engine_proxy.server import Door
from orchestrator.engine_proxy.upstream import DockerSocket

_log = structlog.get_logger(__name__)


def run_engine_proxy(allowed: Allowed, docker_url: str, listen: str, token: str | None, log_level: str) -> None:
    """Serve until SIGTERM or SIGINT.

    Raises:
        ServiceError: nothing is allowed, the address is open to others without a token, or it cannot be bound.
    """
    if not (allowed.project and allowed.service) and not allowed.swarm_service:
        raise ServiceError("nothing may pass: give --project and --service (compose), or --swarm-service")
    if not listen.startswith(UNIX):  # a socket's path is open to its owner and group alone
        check_exposure(listen, token, "--listen", "--token or NARROWS_ENGINE_PROXY_TOKEN")
    run_program(lambda stop: _run(allowed, docker_url, listen, token, stop), log_level)


async def _run(allowed: Allowed, docker_url: str, listen: str, token: str | None, stop: asyncio.Event) -> None:
    socket = DockerSocket(docker_url)
    try:
        async with serve(Door(Gate(socket, allowed), token).handle, listen, option="--listen") as address:
            _log.info("engine_proxy_started", address=address, project=allowed.project, service=allowed.service,
                      swarm_service=allowed.swarm_service, gpus=allowed.gpus)  # fmt: skip
            await stop.wait()
    finally:
        await socket.close()
