"""``narrows engine-proxy``: between the autoscaler and the Docker socket."""

from __future__ import annotations

from typing import Annotated

import typer


def engine_proxy(
    *,
    project: Annotated[str, typer.Option(help="Compose project whose containers may be touched.")] = "",
    service: Annotated[str, typer.Option(help="Its service that may be scaled.")] = "",
    swarm_service: Annotated[str, typer.Option(help="Swarm service whose number of replicas may be changed.")] = "",
    gpu: Annotated[
        list[str] | None,
        typer.Option(
            help="Id or index of a GPU that a further replica may be given; repeatable.",
            show_default="that of the copied replica",
        ),
    ] = None,
    listen: Annotated[str, typer.Option(help="Where to serve, HOST:PORT or unix:///PATH.")] = "127.0.0.1:2375",
    token: Annotated[
        str | None,
        typer.Option(
            help="What the autoscaler must know (its --docker-token); file:PATH reads it. Needed beyond loopback.",
            show_default="none",
        ),
    ] = None,
    docker: Annotated[str, typer.Option(help="The engine's own socket.")] = "unix:///var/run/docker.sock",
    log_level: Annotated[str, typer.Option(envvar="NARROWS_LOG_LEVEL", help="debug, info, warning or error.")] = "info",
) -> None:
    """Let the autoscaler scale one service, and nothing else, through the Docker socket, until SIGTERM or SIGINT.

    All else is answered with 403 and why, logged and counted (`/metrics`).

    Example: narrows engine-proxy --project narrows --service triton

    Example: narrows engine-proxy --swarm-service narrows_triton --listen 0.0.0.0:2375 --token file:engine-token
    """
    from orchestrator.engine_proxy.gate import Allowed
    from orchestrator.engine_proxy.program import run_engine_proxy

    run_engine_proxy(Allowed(project, service, swarm_service, tuple(gpu or ())), docker, listen, token, log_level)
