"""``narrows evaluate``: a bundle's mIoU and bits per pixel on a labelled split, through the real coder."""

from __future__ import annotations

import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from narrows.cli.options import DEFAULT_REDIS_URL, RedisUrl
from narrows.cli.written_paths import file_to_write
from narrows.runtime.writing import write_file

if TYPE_CHECKING:
    from narrows.models.evaluation.score import Segment

BUDGET_BITS_PER_PIXEL = 0.1
DEMO_BUNDLE = Path("bundles/demo")


class Via(StrEnum):
    """Who decodes."""

    HERE = "here"
    TRITON = "triton"


def evaluate(
    data: Annotated[Path, typer.Option(help="Labelled folder, Cityscapes or COCO.")],
    split: Annotated[str, typer.Option(help="Split to evaluate.")] = "val",
    bundle: Annotated[Path, typer.Option(help="Bundle folder.", envvar="NARROWS_BUNDLE")] = DEMO_BUNDLE,
    rate: Annotated[
        int | None,
        typer.Option(min=0, max=255, help="Rate level, 0 the finest.", show_default="finest within 0.1 bits/pixel"),
    ] = None,
    cut: Annotated[int, typer.Option(min=0, max=255, help="Cut of a split network, 0 the default.")] = 0,
    json: Annotated[Path | None, typer.Option(callback=file_to_write, help="Write the result here as JSON.")] = None,
    via: Annotated[Via, typer.Option(help="Decode in this process, or through a running stack.")] = Via.HERE,
    redis_url: RedisUrl = DEFAULT_REDIS_URL,
    *,
    float_encoder: Annotated[bool, typer.Option("--float", help="Use the float encoder instead of int8.")] = False,
) -> None:
    """Code every picture to bytes, decode the bytes, compare the masks with the labels.

    A split network whose first output is no label map is compared with itself when nothing is rounded, on any pictures;
    where they lie in folders that are called like its classes, or by their numbers, with those, too (top-1).

    Example: narrows evaluate --data data/camvid --split val --json out.json

    Example: narrows evaluate --bundle bundles/classifier --data photographs --cut 1 --rate 2 --via triton
    """
    from narrows.contract.bundle import SplitBundle, open_bundle
    from narrows.contract.errors import BundleError
    from narrows.models.dataset import open_dataset
    from narrows.models.evaluation.evaluate import evaluate_bundle
    from narrows.ops.camera_packets import camera

    opened = open_bundle(bundle)
    if isinstance(opened, SplitBundle):
        from narrows.cli.evaluate_split import evaluate_split_bundle

        if float_encoder:
            raise BundleError("a split network's heads are judged as they are: leave --float out")
        through = _through_stack(redis_url) if via is Via.TRITON else None
        judged = evaluate_split_bundle(opened, data, split, cut, rate, show_progress, through)
        _show(judged.to_json(), json)
        return
    if cut:
        raise BundleError(f"cut {cut}; {bundle} has the bottleneck alone, cut 0")
    level = opened.manifest.finest_level_within(BUDGET_BITS_PER_PIXEL) if rate is None else rate
    if not 0 <= level < len(opened.manifest.levels):
        raise BundleError(f"rate level {level}; {bundle} has levels 0 to {len(opened.manifest.levels) - 1}")
    encoder = opened.float_encoder_path if float_encoder else opened.encoder_path
    segment = _through_stack(redis_url) if via is Via.TRITON else None
    result = evaluate_bundle(
        opened,
        open_dataset(data, split),
        level,
        encode=camera(opened, level, encoder),
        segment=segment,
        progress=show_progress,
    )
    _show(result.to_json(), json)


def _show(result: str, json: Path | None) -> None:
    typer.echo(result)
    if json is not None:
        write_file(json, result + "\n")


def show_progress(done: int, total: int) -> None:
    """One line on standard error, rewritten on a terminal and written once elsewhere."""
    if sys.stderr.isatty() or done == total:
        print(f"\r{done}/{total} frames", end="" if done < total else "\n", file=sys.stderr, flush=True)


def _through_stack(redis_url: str) -> Segment:
    from narrows.ops.stack_decoder import StackDecoder

    return StackDecoder(redis_url)
