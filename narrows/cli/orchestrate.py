"""``narrows orchestrate``: the dispatcher as a program."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from narrows.cli.former_names import renamed
from narrows.cli.options import DEFAULT_REDIS_URL, HttpToken, RedisUrl


def orchestrate(
    context: typer.Context,
    bundle: Annotated[list[Path], typer.Option(envvar="NARROWS_BUNDLE", help="Bundle folder to serve; repeatable.")],
    redis_url: RedisUrl = DEFAULT_REDIS_URL,
    triton: Annotated[
        list[str],
        typer.Option(
            envvar="NARROWS_TRITON",
            help="Triton's gRPC address, HOST:PORT; repeatable, or with commas between. A name with several addresses "
            "(also dns:NAME:PORT) is several servers; redis: is those that registered themselves.",
        ),
    ] = ["127.0.0.1:8001"],  # noqa: B006 - Typer reads it, nobody writes it
    shards: Annotated[
        int | None,
        typer.Option(min=1, max=1024, envvar="NARROWS_SHARDS", help="Fixed at install, by the first dispatcher."),
    ] = None,
    http: Annotated[
        str, typer.Option(envvar="NARROWS_HTTP", help="Address of /metrics, /healthz and /readyz.")
    ] = "127.0.0.1:9464",
    http_token: HttpToken = None,
    max_batch: Annotated[
        int, typer.Option(min=1, max=1024, envvar="NARROWS_MAX_BATCH", help="Frames in one batch at most.")
    ] = 16,
    max_inflight_batches: Annotated[
        int,
        typer.Option(
            min=1,
            max=256,
            envvar="NARROWS_MAX_INFLIGHT_BATCHES",
            help="Batches that one server may have at most; it gets one more than its instances.",
        ),
    ] = 8,
    retention: Annotated[
        int, typer.Option(min=1, envvar="NARROWS_RETENTION", help="Outcomes kept per stream, about.")
    ] = 256,
    retention_mib: Annotated[
        int,
        typer.Option(
            min=1, envvar="NARROWS_RETENTION_MIB", help="What they may take, MiB, about: of larger ones fewer are kept."
        ),
    ] = 32,
    gap_s: Annotated[
        float,
        typer.Option(min=0.0, envvar="NARROWS_GAP_S", help="A gap in a sequence is called lost after so long."),
    ] = 30.0,
    stream_entries: Annotated[
        int,
        typer.Option(
            min=1,
            envvar="NARROWS_STREAM_ENTRIES",
            help="Frames that one stream may have in Redis: above the cameras' --maxlen. More are trimmed and counted.",
        ),
    ] = 4096,
    stream_mib: Annotated[
        int,
        typer.Option(
            min=4, envvar="NARROWS_STREAM_MIB", help="What they may take, MiB; at most an eighth of Redis's maxmemory."
        ),
    ] = 16,
    references_mib: Annotated[
        int,
        typer.Option(
            min=16,
            envvar="NARROWS_REFERENCES_MIB",
            help="What references of P packets may take, MiB a process; beyond it the oldest are forgotten, and a "
            "camera may be asked for a key frame.",
        ),
    ] = 512,
    keys: Annotated[
        Path | None,
        typer.Option(
            envvar="NARROWS_KEYS",
            help="Folder of `narrows keys init`: opens sealed packets. Looked at every second.",
            show_default="open packets alone",
        ),
    ] = None,
    processes: Annotated[
        int,
        typer.Option(
            min=1,
            max=32,
            envvar="NARROWS_PROCESSES",
            help="Dispatcher processes on this machine: each owns a share of the shards, all answer at one --http.",
        ),
    ] = 1,
    process: Annotated[
        int | None, typer.Option(min=1, hidden=True, help="Which of --processes this is: they are started with it.")
    ] = None,
    slots: Annotated[
        int | None,
        typer.Option(
            min=1, max=256, envvar="NARROWS_SLOTS", hidden=True, help="The former name of --max-inflight-batches."
        ),
    ] = None,
    *,
    require_sealed: Annotated[
        bool, typer.Option("--require-sealed", envvar="NARROWS_REQUIRE_SEALED", help="Refuse open packets.")
    ] = False,
    log_level: Annotated[str, typer.Option(envvar="NARROWS_LOG_LEVEL", help="debug, info, warning or error.")] = "info",
) -> None:
    """Bring frames from Redis through Triton to masks, until SIGTERM or SIGINT.

    Example: narrows orchestrate --bundle bundles/demo --redis-url redis://127.0.0.1:6379/0 --triton 127.0.0.1:8001

    Example: narrows orchestrate --bundle bundles/old --bundle bundles/new --config narrows.toml

    Example: narrows orchestrate --bundle bundles/demo --triton 10.0.0.7:8001 --triton 10.0.0.8:8001

    Example: narrows orchestrate --bundle bundles/demo --triton dns:tasks.triton:8001,redis:

    Example: narrows orchestrate --bundle bundles/demo --keys secrets/keyring --require-sealed

    Example: narrows orchestrate --bundle bundles/demo --processes 4
    """
    if processes > 1:
        from orchestrator.processes.program import ProcessesOptions, run_processes

        command = (sys.executable, "-m", "narrows.cli", *sys.argv[1:])
        run_processes(ProcessesOptions(command, processes, http, http_token, log_level))
        return
    from orchestrator.dispatch.program import ProgramOptions, run_dispatcher  # keeps `narrows --help` light
    from orchestrator.dispatch.unsealing import KeySettings

    run_dispatcher(
        ProgramOptions(
            redis_url=redis_url,
            triton=tuple(triton),
            bundles=tuple(bundle),
            shards=shards,
            http=http,
            http_token=http_token,
            max_batch=max_batch,
            slots=renamed(context, "max_inflight_batches", max_inflight_batches, slots),
            retention=retention,
            retention_mib=retention_mib,
            gap_s=gap_s,
            stream_entries=stream_entries,
            stream_mib=stream_mib,
            references_mib=references_mib,
            log_level=log_level,
            keys=KeySettings(keys, require_sealed),
            process=process,
        )
    )
