"""``narrows demo``: the whole system on this machine."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from narrows.cli.options import Send
from narrows.cli.written_paths import file_to_write, folder_to_write


def demo(
    *,
    frames: Annotated[
        int | None, typer.Option(min=1, help="End after so many frames of each stream.", show_default="until Ctrl-C")
    ] = None,
    streams: Annotated[int, typer.Option(min=1, max=64, help="Cameras to play.")] = 2,
    fps: Annotated[float, typer.Option(min=0.1, max=120.0, help="Frames per second of each camera.")] = 5.0,
    headless: Annotated[bool, typer.Option("--headless", help="No live table.")] = False,
    report: Annotated[Path | None, typer.Option(callback=file_to_write, help="Write a report as JSON.")] = None,
    bundle: Annotated[Path, typer.Option(envvar="NARROWS_BUNDLE", help="Bundle folder.")] = Path("bundles/demo"),
    samples: Annotated[Path, typer.Option(help="Labelled folder to play.")] = Path("samples"),
    out: Annotated[Path, typer.Option(callback=folder_to_write, help="Where overlays are written.")] = Path(
        "runs/demo"
    ),
    drain: Annotated[
        float, typer.Option(min=0.0, help="Seconds without an outcome after which frames that wait are given up.")
    ] = 30.0,
    send: Annotated[
        Send,
        typer.Option(
            help="features: the cloud makes the masks; masks: cameras do; auto: masks where the link is too thin for "
            "features or the cloud asks for them (docs/what-to-send.md)."
        ),
    ] = Send.FEATURES,
) -> None:
    """Start Redis, Triton, a dispatcher and cameras, play the samples through them, and watch.

    Exits with 1 if a frame is unaccounted for. Ctrl-C ends every process that it started.

    Example: narrows demo

    Example: narrows demo --frames 60 --streams 3 --headless --report report.json

    Example: narrows demo --send masks
    """
    from rich.console import Console

    from narrows.ops.demo import DemoOptions, play

    options = DemoOptions(frames, streams, fps, headless, report, bundle, samples, out, drain, send.value)
    raise typer.Exit(play(options, Console()))
