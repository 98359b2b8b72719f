"""One split, one rate level: masks against labels and whole packets against pixels."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from narrows.contract.errors import BundleError
from narrows.models.dataset import ClassList, LabelledPicture
from narrows.models.evaluation.confusion import ConfusionMatrix
from narrows.runtime.pictures import labels_at_source_size

Encode = Callable[[NDArray[np.uint8]], bytes]
"""A picture ``(H, W, 3)`` uint8 to the bytes of a whole FeaturePacket."""
HERE, TRITON = "here", "triton"
"""Who decodes."""
Segment = Callable[[Iterable[bytes]], Iterator[NDArray[Any]]]
"""Packets to first outputs, label maps ``(H, W)`` uint8 say, in the same order; may run ahead of what it yields."""


@dataclass(frozen=True)
class Evaluation:
    """What ``narrows evaluate`` prints. ``bits_per_pixel`` counts whole packets, headers and CRC included."""

    bundle: str
    level: int
    via: str
    frames: int
    miou: float
    pixel_accuracy: float
    bits_per_pixel: float
    per_class_iou: dict[str, float | None]

    def to_json(self) -> str:
        """Serialise."""
        return json.dumps(asdict(self), indent=2)


def check_classes(bundle_classes: tuple[str, ...], data: ClassList) -> None:
    """A bundle is judged only on the classes it was made for.

    Raises:
        BundleError: the data name other classes, or the same in another order.
    """
    if bundle_classes != data.names:
        raise BundleError(f"the bundle segments {', '.join(bundle_classes)}; the data name {', '.join(data.names)}")


def score(
    samples: Iterable[LabelledPicture], classes: ClassList, encode: Encode, segment: Segment
) -> tuple[ConfusionMatrix, float, int]:
    """The confusion matrix, bits per pixel and number of frames of ``samples`` sent through coder and decoder.

    Masks are judged at the size of their pictures, as whoever uses them sees them, and that is whose pixels count.
    """
    matrix = ConfusionMatrix(len(classes.names), classes.ignore_index)
    waiting: list[NDArray[np.uint8]] = []
    bits = pixels = frames = 0

    def packets() -> Iterator[bytes]:
        nonlocal bits, pixels
        for sample in samples:
            packet = encode(sample.picture)
            bits += 8 * len(packet)
            pixels += sample.labels.size
            waiting.append(sample.labels)
            yield packet

    for mask in segment(packets()):
        labels = waiting.pop(0)
        matrix.update(labels, labels_at_source_size(mask, labels.shape[1], labels.shape[0]))
        frames += 1
    return matrix, bits / pixels if pixels else float("nan"), frames


def name_scores(matrix: ConfusionMatrix, classes: ClassList) -> dict[str, float | None]:
    """Intersection over union by class name; ``None`` where no label has the class."""
    return {
        name: None if np.isnan(value) else round(float(value), 5)
        for name, value in zip(classes.names, matrix.per_class_iou, strict=True)
    }
