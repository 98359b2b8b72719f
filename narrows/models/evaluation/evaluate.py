"""A bundle's mIoU and bits per pixel on one split at one rate level, through the real coder."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from narrows.contract.bundle import Bundle
from narrows.models.dataset import LabelledPicture, Samples
from narrows.models.evaluation.in_process import InProcessDecoder
from narrows.models.evaluation.score import (
    HERE,
    TRITON,
    Encode,
    Evaluation,
    Segment,
    check_classes,
    name_scores,
    score,
)


def evaluate_bundle(
    bundle: Bundle,
    data: Samples,
    level: int,
    *,
    encode: Encode,
    decoder: Path | None = None,
    segment: Segment | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Evaluation:
    """One split at one level; decoded here, by ``decoder`` or the bundle's own, unless ``segment`` says otherwise.

    Args:
        bundle: what is judged.
        data: the split.
        level: the rate level that ``encode`` codes at.
        encode: the camera: a picture to a packet's bytes.
        decoder: an ONNX decoder in place of the bundle's own.
        segment: decodes elsewhere, through a running stack say.
        progress: is told how many samples of how many were read.

    Raises:
        BundleError: the bundle was made for other classes than the data's.
    """
    here = segment or InProcessDecoder(bundle, decoder)
    via = HERE if segment is None else TRITON
    return evaluate_labels(bundle.hex_id, bundle.manifest.classes, data, level, encode, here, via, progress)


def evaluate_labels(
    bundle: str,
    classes: tuple[str, ...],
    data: Samples,
    level: int,
    encode: Encode,
    segment: Segment,
    via: str = HERE,
    progress: Callable[[int, int], None] | None = None,
) -> Evaluation:
    """As :func:`evaluate_bundle`, of anything that makes label maps of packets.

    Raises:
        BundleError: it was made for other classes than the data's.
    """
    check_classes(classes, data.classes)
    samples = data if progress is None else _counted(data, progress)
    matrix, bits_per_pixel, frames = score(samples, data.classes, encode, segment)
    return Evaluation(
        bundle=bundle,
        level=level,
        via=via,
        frames=frames,
        miou=round(matrix.miou, 5),
        pixel_accuracy=round(matrix.pixel_accuracy, 5),
        bits_per_pixel=round(bits_per_pixel, 5),
        per_class_iou=name_scores(matrix, data.classes),
    )


def _counted(data: Samples, progress: Callable[[int, int], None]) -> Iterator[LabelledPicture]:
    total = len(data)
    for index, sample in enumerate(data, 1):
        yield sample
        progress(index, total)
