"""``narrows evaluate``: a bundle's mIoU and bits per pixel on a labelled split, through the real coder."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from narrows.cli.options import DEFAULT_REDIS_URL, RedisUrl

if TYPE_CHECKING:
    from narrows.contract.bundle import Bundle
    from narrows.models.dataset import LabelledPicture, Samples
    from narrows.models.evaluation.score import Encode, Evaluation, Segment

BUDGET_BITS_PER_PIXEL = 0.1
DEMO_BUNDLE = Path("bundles/demo")


class Via(StrEnum):
    """Who decodes."""

    HERE = "here"
    TRITON = "triton"


def evaluate(
    data: Annotated[Path, typer.Option(help="Labelled folder.")],
    split: Annotated[str, typer.Option(help="Split to evaluate.")] = "val",
    bundle: Annotated[Path, typer.Option(help="Bundle folder.", envvar="NARROWS_BUNDLE")] = DEMO_BUNDLE,
    rate: Annotated[
        int | None,
        typer.Option(min=0, max=255, help="Rate level, 0 the finest.", show_default="finest within 0.1 bits/pixel"),
    ] = None,
    json: Annotated[Path | None, typer.Option(help="Write the result here as JSON.")] = None,
    via: Annotated[Via, typer.Option(help="Decode in this process, or through a running stack.")] = Via.HERE,
    redis_url: RedisUrl = DEFAULT_REDIS_URL,
    *,
    float_encoder: Annotated[bool, typer.Option("--float", help="Use the float encoder instead of int8.")] = False,
) -> None:
    """Code every picture to bytes, decode the bytes, compare the masks with the labels.

    Example: narrows evaluate --data data/camvid --split val --json out.json
    """
    from narrows.contract.bundle import Bundle
    from narrows.contract.errors import BundleError
    from narrows.models.dataset import FolderDataset

    opened = Bundle.open(bundle)
    level = opened.manifest.finest_level_within(BUDGET_BITS_PER_PIXEL) if rate is None else rate
    if not 0 <= level < len(opened.manifest.levels):
        raise BundleError(f"rate level {level}; {bundle} has levels 0 to {len(opened.manifest.levels) - 1}")
    encoder = opened.float_encoder_path if float_encoder else opened.encoder_path
    segment = _through_stack(redis_url) if via is Via.TRITON else None
    result = evaluate_bundle(opened, FolderDataset.open(data, split), level, encoder=encoder, segment=segment)
    typer.echo(result.to_json())
    if json is not None:
        json.write_text(result.to_json() + "\n")


def evaluate_bundle(
    bundle: Bundle,
    data: Samples,
    level: int,
    *,
    encoder: Path,
    decoder: Path | None = None,
    segment: Segment | None = None,
) -> Evaluation:
    """One split at one level; decoded here, by ``decoder`` or the bundle's own, unless ``segment`` says otherwise.

    Raises:
        BundleError: the bundle was made for other classes than the data's.
    """
    from narrows.models.evaluation.in_process import InProcessDecoder
    from narrows.models.evaluation.score import Evaluation, check_classes, name_scores, score

    check_classes(bundle.manifest.classes, data.classes)
    via = Via.HERE if segment is None else Via.TRITON
    matrix, bits_per_pixel, frames = score(
        _with_progress(data),
        data.classes,
        camera(bundle, level, encoder),
        segment or InProcessDecoder(bundle, decoder),
    )
    return Evaluation(
        bundle=bundle.hex_id,
        level=level,
        via=via,
        frames=frames,
        miou=round(matrix.miou, 5),
        pixel_accuracy=round(matrix.pixel_accuracy, 5),
        bits_per_pixel=round(bits_per_pixel, 5),
        per_class_iou=name_scores(matrix, data.classes),
    )


def camera(bundle: Bundle, level: int, encoder: Path) -> Encode:
    """The camera's own encoder and coder, without its uplink: a picture to a packet's bytes."""
    from itertools import count

    from edge_client.encode.coding import FrameCoder
    from edge_client.encode.encoder import OnnxEncoder
    from narrows.contract.wire import FrameIdentity

    network, coder = OnnxEncoder(bundle, path=encoder), FrameCoder(bundle)
    sequence = count()
    return lambda picture: coder.packet(
        network.latent(network.fit(picture)), level, FrameIdentity(1, next(sequence)), capture_ms=0
    ).to_bytes()


def _with_progress(data: Samples) -> Iterator[LabelledPicture]:
    total = len(data)
    for index, sample in enumerate(data, 1):
        yield sample
        if sys.stderr.isatty() or index == total:
            print(f"\r{index}/{total} frames", end="" if index < total else "\n", file=sys.stderr, flush=True)


def _through_stack(redis_url: str) -> Segment:
    from narrows.ops.stack_decoder import StackDecoder

    return StackDecoder(redis_url)
