"""``narrows supervise``: Triton servers of this host, as many as the autoscaler wants."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from narrows.cli.former_names import renamed
from narrows.cli.options import DEFAULT_REDIS_URL, RedisUrl
from narrows.runtime.surroundings import host_name


def supervise(
    context: typer.Context,
    *,
    redis_url: RedisUrl = DEFAULT_REDIS_URL,
    bundle: Annotated[
        list[Path] | None, typer.Option(envvar="NARROWS_BUNDLE", help="Bundle folder to serve; repeatable.")
    ] = None,
    name: Annotated[
        str | None,
        typer.Option(help="This host's name.", show_default="its host name"),
    ] = None,
    max_servers_per_host: Annotated[int, typer.Option(min=1, max=256, help="Servers that fit on this host.")] = 1,
    slots: Annotated[
        int | None, typer.Option(min=1, max=256, hidden=True, help="The former name of --max-servers-per-host.")
    ] = None,
    cpu_quota: Annotated[
        float | None,
        typer.Option(min=0.05, max=1024.0, help="Cores that each server may use at most."),
    ] = None,
    initial: Annotated[int, typer.Option(min=0, help="Servers to have until the autoscaler says how many.")] = 1,
    instances: Annotated[int, typer.Option(min=1, max=64, help="Decoder instances that a server starts with.")] = 1,
    max_batch: Annotated[
        int, typer.Option(min=1, max=1024, envvar="NARROWS_MAX_BATCH", help="Frames in one batch at most.")
    ] = 16,
    model_repository: Annotated[
        Path | None, typer.Option(help="Model repository to use instead of one made of the bundles.")
    ] = None,
    model: Annotated[
        list[str] | None, typer.Option(help="Model of the repository to load, besides the bundles'; repeatable.")
    ] = None,
    first_port: Annotated[
        int | None,
        typer.Option(min=1, max=65535, help="Three ports for each server from here on.", show_default="free ports"),
    ] = None,
    drain_s: Annotated[
        float, typer.Option(min=0.0, help="The longest that a server may finish its work before it is stopped.")
    ] = 30.0,
    run_folder: Annotated[Path, typer.Option(help="Where logs and models lie.")] = Path("runs/supervise"),
    log_level: Annotated[str, typer.Option(envvar="NARROWS_LOG_LEVEL", help="debug, info, warning or error.")] = "info",
) -> None:
    """Keep Triton servers on this host, as many as `narrows autoscale` wants, until SIGTERM or SIGINT.

    They are drained before they are stopped, started again when they die, and end with this process however it ends.
    Dispatchers find them with `narrows orchestrate --triton redis:`.

    Example: narrows supervise --bundle bundles/demo --max-servers-per-host 4 --cpu-quota 0.25

    Example: narrows supervise --model-repository model_repository --model decoder_8f0c2d1e5a7b9346 --first-port 8001
    """
    from orchestrator.servers.host_program import HostOptions, run_host

    run_host(
        HostOptions(
            redis_url=redis_url,
            name=name or host_name(),
            bundles=tuple(bundle or ()),
            model_repository=model_repository,
            models=tuple(model or ()),
            slots=renamed(context, "max_servers_per_host", max_servers_per_host, slots),
            cpu_quota=cpu_quota,
            initial=initial,
            instances=instances,
            max_batch=max_batch,
            first_port=first_port,
            drain_s=drain_s,
            run_folder=run_folder,
            log_level=log_level,
        )
    )
