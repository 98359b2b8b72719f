"""``narrows edge``: the program beside the camera."""

from __future__ import annotations

import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import structlog
import typer
from typer.core import TyperCommand

from narrows.cli.options import RedisUrl
from narrows.contract.records.still import MOST_STILLS_PER_HOUR
from narrows.contract.wire.install import MAX_SHARDS

if TYPE_CHECKING:
    from edge_client.settings import EdgeSettings

_COLOURS = {"ok": "green", "warn": "yellow", "fail": "red"}


class SpoolKeep(StrEnum):
    """What a full spool keeps."""

    NEWEST = "newest"
    OLDEST = "oldest"


class PacketFormat(StrEnum):
    """What packets are sent in."""

    AUTO = "auto"
    ONE = "1"
    TWO = "2"


class CameraSend(StrEnum):
    """What a camera sends of a frame."""

    FEATURES = "features"
    MASKS = "masks"
    AUTO = "auto"
    OBJECTS = "objects"


class PlanFor(StrEnum):
    """What is made best where the designs of a split network are chosen among."""

    LATENCY = "latency"
    THROUGHPUT = "throughput"
    DEVICE_ENERGY = "device-energy"
    SERVER_COST = "server-cost"


class MaskScale(StrEnum):
    """What the sides of a camera's masks are divided by."""

    WHOLE = "1"
    HALF = "2"
    QUARTER = "4"
    EIGHTH = "8"


class EdgeCommand(TyperCommand):
    """The command line of ``narrows edge``: with ``--preview`` only a source has to be named."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:  # noqa: ANN401 -- click's, or the copy in Typer
        """Read the options."""
        if any(each.partition("=")[0] == "--preview" for each in args):
            for parameter in self.params:
                parameter.required = parameter.required and parameter.name == "source"
        return super().parse_args(ctx, args)

    def format_help(self, ctx: Any, formatter: Any) -> None:  # noqa: ANN401 -- as above
        """Say what ``--source`` takes: each kind of source declares that itself."""
        from edge_client.capture.sources import examples

        for parameter in self.params:
            if parameter.name == "source":
                vars(parameter)["help"] = f"Where pictures come from: {examples()}."
            elif parameter.required:
                parameter.required = False
                vars(parameter)["help"] += " Required, unless --preview is given."
        super().format_help(ctx, formatter)


COMMAND_CLASS = EdgeCommand


def edge(
    source: Annotated[str, typer.Option(help="Where pictures come from: a folder, a file, a device or a URL.")],
    stream_id: Annotated[str, typer.Option(envvar="NARROWS_STREAM_ID", help="This camera's name: A-Z a-z 0-9 . _ -")],
    redis_url: RedisUrl,
    bundle: Annotated[Path, typer.Option(envvar="NARROWS_BUNDLE", help="Bundle folder with the encoder.")],
    *,
    fps: Annotated[float, typer.Option(min=0.01, max=240.0, help="Frames per second, at most.")] = 10.0,
    level: Annotated[
        int | None,
        typer.Option(
            min=0,
            max=255,
            help="Rate level of every frame, 0 the finest; --fps of them are sent, whatever the link carries.",
            show_default="level and frame rate follow the link",
        ),
    ] = None,
    key_period_s: Annotated[
        float,
        typer.Option(
            min=0.0,
            max=3600.0,
            help="A frame that decodes alone is sent this often, smaller predicted ones between. 0: all alone.",
        ),
    ] = 2.0,
    frames: Annotated[
        int | None, typer.Option(min=1, help="End after so many frames were sent.", show_default="go on")
    ] = None,
    loop: Annotated[bool, typer.Option("--loop", help="Begin a folder or file anew at its end.")] = False,
    journal: Annotated[Path | None, typer.Option(help="Append a JSON line a frame to this file.")] = None,
    threads: Annotated[int, typer.Option(min=1, max=64, help="Threads of the encoder network.")] = 1,
    state_dir: Annotated[
        Path | None,
        typer.Option(help="Where the boot epoch is kept.", show_default="~/.local/state/narrows/STREAM_ID"),
    ] = None,
    maxlen: Annotated[int, typer.Option(min=1, help="About how many packets Redis holds of this stream.")] = 256,
    queue: Annotated[int, typer.Option(min=1, help="Packets that wait here while Redis is away.")] = 64,
    spool_mb: Annotated[
        float,
        typer.Option(
            min=0.0,
            max=1e6,
            help="Megabytes of disk for frames while the link is away. For streams that are `complete`: "
            "of a `realtime` stream the cloud skips what comes late. 0: --queue packets in memory are all.",
        ),
    ] = 0.0,
    spool_keep: Annotated[
        SpoolKeep, typer.Option(help="What a full spool keeps: the newest frames, or the oldest. Order stays.")
    ] = SpoolKeep.NEWEST,
    once: Annotated[
        bool, typer.Option("--once", help="Test camera, encoder, disk and Redis, say what is wrong, send nothing.")
    ] = False,
    preview: Annotated[
        Path | None,
        typer.Option(help="Write the first picture here as the encoder gets it, and end; only --source is needed."),
    ] = None,
    http: Annotated[
        str | None,
        typer.Option(help="Serve /metrics, /healthz and /readyz here, as 127.0.0.1:9467.", show_default="nowhere"),
    ] = None,
    http_token: Annotated[
        str | None,
        typer.Option(
            envvar="NARROWS_HTTP_TOKEN",
            help="What whoever asks for metrics must know; file:PATH reads it. Needed beyond loopback.",
        ),
    ] = None,
    metrics_file: Annotated[
        Path | None, typer.Option(help="Write the metrics here every 15 s, for node_exporter's textfile collector.")
    ] = None,
    key_file: Annotated[
        Path | None,
        typer.Option(
            envvar="NARROWS_KEY_FILE",
            help="Seal packets with this camera's key, of `narrows keys issue`. Looked at every second.",
            show_default="packets are open",
        ),
    ] = None,
    packet_format: Annotated[
        PacketFormat,
        typer.Option(help="Of what is sent; auto: the newest that narrows:install says every dispatcher reads."),
    ] = PacketFormat.AUTO,
    send: Annotated[
        CameraSend,
        typer.Option(
            help="features: the cloud makes the masks; masks: this machine does; auto: masks where the link is too "
            "thin for features or the cloud asks for them (docs/edge.md); objects: what --prompts outlines alone, no "
            "street network runs. All but features need packet format 2."
        ),
    ] = CameraSend.FEATURES,
    mask_scale: Annotated[
        MaskScale, typer.Option(help="Divide the sides of masks made here by this: fewer bits, coarser edges.")
    ] = MaskScale.WHOLE,
    audit_share: Annotated[
        int,
        typer.Option(
            min=0,
            max=1_000_000,
            help="One mask in so many travels with its features, for the cloud to compare. 0: none.",
        ),
    ] = 0,
    local_masks: Annotated[
        str | None,
        typer.Option(
            help="Keep the newest mask here, whatever is sent and even while the link is away: a folder for mask.png "
            "and mask.json, or unix:PATH to stream to whoever connects.",
            show_default="nowhere",
        ),
    ] = None,
    prompts: Annotated[
        Path | None,
        typer.Option(
            help="Outline what `narrows prompts` points at with this network: the int8 ONNX file of `narrows "
            "promptable export`. Needs packet format 2.",
            show_default="prompts are refused by name",
        ),
    ] = None,
    prompt_share: Annotated[
        float,
        typer.Option(
            min=0.0, max=1.0, help="Of a frame's period, for all prompts together; one a frame is looked at anyway."
        ),
    ] = 0.25,
    objective: Annotated[
        PlanFor,
        typer.Option(help="With a split network of several designs: what is made best of cut and level while it runs."),
    ] = PlanFor.LATENCY,
    constraint: Annotated[
        list[str] | None,
        typer.Option(
            help="NAME=VALUE, what a design must keep: least_accuracy, most_memory_bytes, most_latency_s, "
            "least_frames_per_s, most_device_energy_j, most_server_s; repeatable.",
            show_default="least_accuracy: 0.99, or a hundredth below the best design's where none has it",
        ),
    ] = None,
    site_page: Annotated[
        str | None,
        typer.Option(
            help="Serve a page here, as 192.0.2.7:8095, that shows the picture and what --prompts outlines to people "
            "on site, who may point at things, with the link up or down.",
            show_default="nowhere",
        ),
    ] = None,
    site_token: Annotated[
        str | None,
        typer.Option(help="What whoever opens --site-page must know; file:PATH reads it.", show_default="no page"),
    ] = None,
    stills: Annotated[
        int,
        typer.Option(
            min=0,
            max=MOST_STILLS_PER_HOUR,
            help="Let operators in the cloud have so many still pictures an hour, each asked for by one of them and "
            "audited, to point at things in; 0: no picture leaves this site.",
        ),
    ] = 0,
    max_age_s: Annotated[
        float, typer.Option(min=0.0, help="Packets that waited longer are given up; 0 keeps what --queue holds.")
    ] = 0.6,
    shards: Annotated[
        int | None,
        typer.Option(min=1, max=MAX_SHARDS, help="Number of shards.", show_default="read from narrows:install"),
    ] = None,
    alive: Annotated[Path | None, typer.Option(help="Touch this file as frames are sent, for a health check.")] = None,
) -> None:
    """Encode a camera's pictures into a few kilobytes each, and send these. No picture leaves here without --stills.

    Example: narrows edge --source rtsp://camera.local/1 --stream-id gate-3 --redis-url redis://cloud:6379/0
    --bundle bundles/demo --fps 5

    Example: narrows edge --source rtsp://camera.local/1 --stream-id gate-3 --redis-url redis://cloud:6379/0
    --bundle bundles/demo --spool-mb 256

    Example: narrows edge --source rtsp://camera.local/1 --stream-id gate-3 --redis-url redis://cloud:6379/0
    --bundle bundles/demo --once

    Example: narrows edge --source rtsp://camera.local/1 --preview first.png --bundle bundles/demo

    Example: narrows edge --source rtsp://camera.local/1 --stream-id gate-3 --redis-url redis://cloud:6379/0
    --bundle bundles/demo --send auto --mask-scale 2 --audit-share 100

    Example: narrows edge --source rtsp://camera.local/1 --stream-id gate-3 --redis-url redis://cloud:6379/0
    --bundle bundles/classifier --objective throughput --constraint most_latency_s=0.5

    Example: narrows edge --source /dev/video0 --stream-id gate-3 --redis-url file:/etc/narrows/redis.url
    --bundle bundles/demo --key-file /etc/narrows/camera.key

    Example: narrows edge --source /dev/video0 --stream-id gate-3 --redis-url redis://cloud:6379/0
    --bundle bundles/demo --prompts sensor.int8.onnx --site-page 192.0.2.7:8095 --site-token file:/etc/narrows/site
    """
    from narrows.runtime.logs import configure_logs

    configure_logs()
    if preview is not None:
        from edge_client.capture.preview import write_preview

        print(write_preview(source, preview, bundle))
        return
    from edge_client.masks.mode import MaskSettings, SendMode
    from edge_client.planning.settings import PlanSettings, constraints_of
    from edge_client.program import run
    from edge_client.prompts.settings import PromptSettings
    from edge_client.settings import EdgeSettings
    from edge_client.site.settings import SiteSettings
    from edge_client.spool import Keep
    from edge_client.state import default_folder
    from narrows.contract.schedule import Objective
    from narrows.runtime.run_program import stop_on_signals

    settings = EdgeSettings(
        source=source,
        stream=stream_id,
        redis_url=redis_url,
        bundle=bundle,
        state_folder=state_dir or default_folder(stream_id),
        frames_per_s=fps,
        level=level,
        key_period_s=key_period_s,
        frames=frames,
        loop=loop,
        journal=journal,
        threads=threads,
        maxlen=maxlen,
        queue=queue,
        max_age_s=max_age_s,
        shards=shards,
        alive=alive,
        key_file=key_file,
        packet_format=None if packet_format is PacketFormat.AUTO else int(packet_format),
        http=http,
        http_token=http_token,
        metrics_file=metrics_file,
        spool_mb=spool_mb,
        spool_keep=Keep(spool_keep.value),
        masks=MaskSettings(SendMode(send.value), int(mask_scale.value), audit_share, local_masks),
        prompts=PromptSettings(prompts, prompt_share, alone=send is CameraSend.OBJECTS, on_site=site_page is not None),
        site=SiteSettings(site_page, site_token, stills),
        plan=PlanSettings(Objective(objective.replace("-", " ")), constraints_of(constraint or ())),
    )
    if once:
        raise typer.Exit(_test_once(settings))
    stats = run(settings, stop_on_signals())
    structlog.get_logger("edge").info(
        "edge_stopped", sent=stats.frames_sent, dropped=dict(stats.frames_dropped), passed_over=stats.passed_over
    )


def _test_once(settings: EdgeSettings) -> int:
    """Print the self-test, and a verdict that can be read from a ladder; the exit status."""
    from edge_client.selftest import Level, examine

    failed, warned = [], []
    for check in examine(settings):
        remedy = f" -> {check.remedy}" if check.remedy else ""
        one_line = " ".join(f"{check.detail}{remedy}".split())
        level = f"{check.level:5}"
        shown = typer.style(level, fg=_COLOURS[check.level], bold=True) if sys.stdout.isatty() else level
        print(f"{shown} {check.subject:8} {one_line}", flush=True)
        failed += [check.subject] if check.level is Level.FAIL else []
        warned += [check.subject] if check.level is Level.WARN else []
    verdict = f"NOT READY: {', '.join(failed)}" if failed else f"READY: {settings.stream} can send"
    print(verdict + (f" (look at: {', '.join(warned)})" if warned else ""), flush=True)
    return 1 if failed else 0
