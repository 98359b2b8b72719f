"""``narrows advise``: what this device should send over a link."""

from __future__ import annotations

import json
import math
import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from narrows.cli.number_options import MOST_THREADS

if TYPE_CHECKING:
    from narrows.contract.wire import Sends
    from narrows.ops.advise import Advice, Need, Way

_WORDS = {
    "device": "this device has no time left for masks at so many frames/s",
    "outputs": "a camera makes the label map alone, and more is asked",
    "link": "the link does not carry features at the finest level",
    "cloud": "the bundle has nothing that cameras make masks with",
    "mask_unbeaten": "no measurement says that features beat this camera's own mask by 3 points or more",
    "features_ahead": "features were measured to beat the masks of cameras of this budget by 3 points or more",
}


def advise(
    *,
    bundle: Annotated[Path, typer.Option(help="Bundle folder that the camera would run.")] = Path("bundles/demo"),
    pictures: Annotated[Path, typer.Option(help="Folder of pictures such as the camera's.")] = Path("samples"),
    frames: Annotated[int, typer.Option(min=1, max=1000, help="Pictures to try, at most.")] = 12,
    fps: Annotated[float, typer.Option(min=0.01, max=240, help="Frames a second that are wanted.")] = 5.0,
    link_kbps: Annotated[
        float | None, typer.Option(min=0.1, help="What the uplink carries, kbit/s; else no limit.")
    ] = None,
    redis_url: Annotated[
        str | None,
        typer.Option("--redis-url", help="Measure the uplink to this Redis, if --link-kbps does not say it."),
    ] = None,
    outputs: Annotated[int | None, typer.Option(min=1, max=32, help="Questions to answer; else the bundle's.")] = None,
    threads: Annotated[int, typer.Option(min=1, max=MOST_THREADS, help="Of the networks.")] = 1,
    measured: Annotated[
        Path | None,
        typer.Option(help="Another device's times: what `narrows bench-device --json` wrote of the encoder."),
    ] = None,
    frontier: Annotated[
        Path | None,
        typer.Option(help="What `make bench-frontier` measured (frontier.json), read at this camera's budget."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """Measure what each way of sending takes on this device, and say which one to choose, and why.

    Features at a rate level, or masks made here at a size: milliseconds of this device, bytes of a frame on the link,
    kbit/s. The rule is that of `narrows edge --send auto`; where it leaves the choice open, features must have been
    measured to beat the camera's own mask at its budget, or the answer is the mask (--frontier). docs/what-to-send.md
    has the reasons, and what each way costs in accuracy and in the cloud.

    Example: narrows advise --link-kbps 64 --fps 5

    Example: narrows advise --redis-url rediss://gate-3@redis.example/0 --fps 5

    Example: narrows advise --bundle bundles/mine --pictures /data/street --outputs 3 --json

    Example: narrows advise --measured camera.json --link-kbps 64

    Example: narrows advise --frontier benchmarks/results/frontier.json
    """
    from narrows.contract.bundle import Bundle
    from narrows.contract.errors import ConfigError
    from narrows.ops.advise import Need, measure
    from narrows.ops.advise import advise as advise_on
    from narrows.runtime.pictures import PICTURE_SUFFIXES, read_picture

    opened = Bundle.open(bundle)
    files = sorted(path for path in pictures.rglob("*") if path.suffix.lower() in PICTURE_SUFFIXES)
    files = [path for path in files if "labels" not in path.parts]
    if not files:
        raise ConfigError(f"{pictures} holds no picture ({', '.join(PICTURE_SUFFIXES)}): give --pictures")
    shown = [read_picture(path) for path in files[:: math.ceil(len(files) / frames)]]
    measured_sends = _sends_measured(frontier, opened.encoder_path)
    there_s = None if measured is None else _encoder_s(measured, opened.encoder_path)
    ways = measure(
        opened,
        shown,
        threads=threads,
        tried=lambda what: typer.echo(f"trying {what} ...", err=True),
        encoder_s=there_s,
    )
    need = Need(fps, _link_bytes_per_s(link_kbps, redis_url), outputs or len(opened.outputs))
    advice = advise_on(ways, need, measured_sends)
    typer.echo(_json(ways, need, advice) if as_json else _table(ways, need, advice))


def _sends_measured(frontier: Path | None, encoder: Path) -> Sends:
    from narrows.contract.errors import ConfigError
    from narrows.contract.wire import Sends
    from narrows.ops.advise import read_frontier

    if frontier is None:
        return Sends.MASKS
    verdicts = read_frontier(frontier)
    try:
        from narrows.models.export.cost import count_convolutions
    except ImportError:
        raise ConfigError(
            "--frontier counts the encoder's work, which needs onnx: pip install 'narrows[split]'"
        ) from None
    return verdicts.sends(count_convolutions(encoder) / 1e9)


def _encoder_s(measured: Path, encoder: Path) -> float:
    from hashlib import sha256

    from narrows.contract.errors import ConfigError
    from narrows.models.split.measurements import read_measurements

    found = read_measurements(measured).get(sha256(encoder.read_bytes()).hexdigest())
    if found is None:
        raise ConfigError(
            f"{measured} has no measurement of {encoder}: narrows bench-device {encoder} --json {measured}"
        )
    return found.latency_ms["p50"] / 1e3


def _link_bytes_per_s(kbps: float | None, redis_url: str | None) -> float:
    from narrows.ops.advise import measured_bytes_per_s
    from narrows.runtime.redis.connection import connect, named_errors

    if kbps is not None or redis_url is None:
        return math.inf if kbps is None else kbps * 125
    typer.echo("trying the link ...", err=True)
    with named_errors(redis_url), connect(redis_url) as client:
        found = measured_bytes_per_s(lambda payload: client.execute_command("PING", payload), time.monotonic)
    typer.echo(f"the link carries about {found / 125:,.0f} kbit/s", err=True)
    return found


def _table(ways: list[Way], need: Need, advice: Advice) -> str:
    lines = [f"{'':2} {'way':<20} {'device, ms':>10} {'bytes a frame':>13} {'kbit/s':>8}  fits"]
    for way in ways:
        kbps = way.frame_bytes * need.frames_per_s / 125
        fits = "yes" if need.fits(way) else "no: the device" if not need.keeps_up(way) else "no: the link"
        mark = "->" if way is advice.way else ""
        lines.append(
            f"{mark:2} {way.name:<20} {way.device_s * 1e3:>10.1f} {way.frame_bytes:>13,.0f} {kbps:>8.1f}  {fits}"
        )
    lines.append(f"Send {advice.way.name}: {_WORDS[advice.reason.value]}.")
    if not advice.fits:
        lines.append(f"Even that does not fit at {need.frames_per_s:g} frames/s: the camera will send fewer.")
    return "\n".join(lines)


def _json(ways: list[Way], need: Need, advice: Advice) -> str:
    rows = [{"name": way.name, **asdict(way), "fits": need.fits(way)} for way in ways]
    chosen = {"send": advice.way.name, "reason": advice.reason.value, "fits": advice.fits}
    return json.dumps({"ways": rows, "advice": chosen}, indent=2)
