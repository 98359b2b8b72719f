"""``narrows autoscale``: the autoscaler as a program."""

from __future__ import annotations

from typing import Annotated

import typer

from narrows.cli.former_names import renamed
from narrows.cli.options import DEFAULT_REDIS_URL, HttpToken, RedisUrl
from orchestrator.scaling.engines.options import EngineName
from orchestrator.scaling.settings import PolicySettings

_POLICY = PolicySettings()


def autoscale(
    context: typer.Context,
    *,
    redis_url: RedisUrl = DEFAULT_REDIS_URL,
    engine: Annotated[
        EngineName,
        typer.Option(help="Who runs the servers: none changes only instances inside servers that are there."),
    ] = EngineName.NONE,
    min_servers: Annotated[int, typer.Option(min=0, help="Servers at least; 0 allows scale to zero.")] = (
        _POLICY.min_servers
    ),
    max_servers: Annotated[int, typer.Option(min=1, help="Servers at most.")] = _POLICY.max_servers,
    min_instances: Annotated[int, typer.Option(min=1, help="Decoder instances in each server at least.")] = (
        _POLICY.min_instances
    ),
    max_instances: Annotated[int, typer.Option(min=1, help="Decoder instances in each server at most.")] = (
        _POLICY.max_instances
    ),
    instance_scaling: Annotated[bool, typer.Option(help="Whether instances inside servers are changed too.")] = True,
    target_load: Annotated[
        float, typer.Option(min=0.05, max=1.0, help="Offered work over capacity that is aimed at.")
    ] = _POLICY.target_load,
    hysteresis: Annotated[
        float, typer.Option(min=0.0, max=0.9, help="Servers go where the load then stays so far below the target.")
    ] = _POLICY.hysteresis,
    interval: Annotated[float, typer.Option(min=0.2, max=60.0, help="Seconds from one look to the next.")] = 2.0,
    startup_s: Annotated[
        float, typer.Option(min=0.0, help="Seconds until a server asked for takes work; the trend is followed so far.")
    ] = _POLICY.startup_s,
    stabilisation_s: Annotated[
        float, typer.Option(min=0.0, help="Servers go when fewer would have done for so many seconds, or longer.")
    ] = _POLICY.stabilisation_s,
    instance_settle_s: Annotated[
        float, typer.Option(min=0.0, help="Seconds in which the effect of a change of instances is learned.")
    ] = _POLICY.instance_settle_s,
    instance_stabilisation_s: Annotated[
        float, typer.Option(min=0.0, help="As --stabilisation-s, for instances.")
    ] = _POLICY.instance_stabilisation_s,
    min_gain: Annotated[
        float, typer.Option(min=0.0, max=1.0, help="An instance that brings less than this share more is not added.")
    ] = _POLICY.min_gain,
    idle_s: Annotated[
        float, typer.Option(min=0.0, help="The last server goes after so many idle seconds, where the minimum is 0.")
    ] = _POLICY.idle_s,
    max_age_s: Annotated[
        float, typer.Option(min=0.0, help="A backlog older than this calls for more than the load alone does.")
    ] = _POLICY.max_age_s,
    max_late_ratio: Annotated[
        float, typer.Option(min=0.0, max=1.0, help="So does a larger share of frames that miss the objective.")
    ] = _POLICY.max_late_ratio,
    policy: Annotated[
        list[str] | None,
        typer.Option(help="NAME=VALUE: any other setting of the policy (docs/autoscaling.md); repeatable."),
    ] = None,
    max_batch: Annotated[
        int, typer.Option(min=1, max=1024, help="Frames in one batch at most, as dispatchers have it.")
    ] = 16,
    service: Annotated[
        str, typer.Option(help="The servers' service in compose or Swarm, or deployment in Kubernetes.")
    ] = "triton",
    project: Annotated[str, typer.Option(help="The compose project.")] = "narrows",
    network: Annotated[str, typer.Option(help="The compose file's network on which servers are reached.")] = "default",
    namespace: Annotated[str, typer.Option(help="The Kubernetes namespace.")] = "default",
    docker_url: Annotated[
        str, typer.Option(help="Docker's socket, or the proxy before it (`narrows engine-proxy`).")
    ] = "unix:///var/run/docker.sock",
    docker_token: Annotated[
        str | None,
        typer.Option(help="What the proxy asks for (its --token); file:PATH reads it.", show_default="none"),
    ] = None,
    grpc_port: Annotated[int, typer.Option(min=1, max=65535, help="Triton's gRPC port in each container.")] = 8001,
    metrics_port: Annotated[
        int, typer.Option(min=0, max=65535, help="Triton's metrics port on the servers' hosts; 0: not asked.")
    ] = 8002,
    max_servers_per_host: Annotated[
        int | None, typer.Option(min=0, help="Servers that a compose host can hold.", show_default="no limit")
    ] = None,
    slots: Annotated[
        int | None, typer.Option(min=0, hidden=True, help="The former name of --max-servers-per-host.")
    ] = None,
    gpu: Annotated[
        list[str] | None, typer.Option(help="A GPU of a compose host, by id or index, one to a server; repeatable.")
    ] = None,
    drain_s: Annotated[
        float, typer.Option(min=0.0, help="How long a server that goes may take to finish its work.")
    ] = 30.0,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Decide and say so; change nothing.")] = False,
    http: Annotated[str, typer.Option(help="Address of /metrics, /healthz and /readyz.")] = "127.0.0.1:9465",
    http_token: HttpToken = None,
    log_level: Annotated[str, typer.Option(envvar="NARROWS_LOG_LEVEL", help="debug, info, warning or error.")] = "info",
) -> None:
    """Have as many decoders as the streams need, and say why, until SIGTERM or SIGINT. Of several, one leads.

    Example: narrows autoscale --engine local --max-servers 4

    Example: narrows autoscale --engine compose --project narrows --service triton --docker-url tcp://engine-proxy:2375

    Example: narrows autoscale --engine swarm --service narrows_triton --policy drain_s=20 --policy cooldown_s=5

    Example: narrows autoscale --engine kubernetes --namespace vision --service triton --min-servers 0 --dry-run
    """
    from orchestrator.scaling.autoscaler import AutoscalerOptions
    from orchestrator.scaling.engines.options import EngineOptions
    from orchestrator.scaling.program import AutoscaleOptions, run_autoscale
    from orchestrator.scaling.setting_values import with_values

    named = {
        "min_servers": min_servers,
        "max_servers": max_servers,
        "min_instances": min_instances,
        "max_instances": max_instances,
        "target_load": target_load,
        "hysteresis": hysteresis,
        "startup_s": startup_s,
        "stabilisation_s": stabilisation_s,
        "instance_settle_s": instance_settle_s,
        "instance_stabilisation_s": instance_stabilisation_s,
        "min_gain": min_gain,
        "idle_s": idle_s,
        "max_age_s": max_age_s,
        "max_late_ratio": max_late_ratio,
    }
    settings = with_values(_POLICY, [*(f"{name}={value}" for name, value in named.items()), *(policy or ())])
    run_autoscale(
        AutoscaleOptions(
            redis_url=redis_url,
            engine=engine,
            plan=AutoscalerOptions(settings, interval, dry_run),
            engine_options=EngineOptions(
                service=service,
                project=project,
                network=network,
                namespace=namespace,
                docker_url=docker_url,
                docker_token=docker_token,
                port=grpc_port,
                slots=renamed(context, "max_servers_per_host", max_servers_per_host, slots),
                gpus=tuple(gpu or ()),
                drain_s=drain_s,
            ),
            instance_scaling=instance_scaling,
            metrics_port=metrics_port,
            max_batch=max_batch,
            http=http,
            http_token=http_token,
            log_level=log_level,
        )
    )
