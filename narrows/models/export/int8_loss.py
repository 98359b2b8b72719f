"""What a decoder loses in int8: both run on the same symbols, both masks held against the labels and each other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from narrows.contract.bundle import Bundle
from narrows.contract.codec import quantise
from narrows.models.dataset import ClassList, LabelledPicture
from narrows.models.evaluation import ConfusionMatrix
from narrows.models.export.calibration import Feed
from narrows.models.export.counting import latents_of
from narrows.models.export.int8_decoder import decoder_feed
from narrows.runtime.onnx_runtime import InferenceSession


@dataclass(frozen=True)
class Loss:
    """By rate level: points of mIoU lost, below zero where some were gained, and the share of pixels that agree."""

    points_lost: tuple[float, ...]
    agreement: tuple[float, ...]

    def holds(self, most_lost_points: float) -> bool:
        """Whether no level loses more; no number (nothing was labelled) is no proof."""
        return all(points <= most_lost_points for points in self.points_lost)


def frames_of(bundle: Bundle, samples: Sequence[LabelledPicture]) -> list[list[Feed]]:
    """What the decoder is given for each picture, as a camera would send it: a feed for every rate level."""
    latents = latents_of(bundle.encoder_path, (sample.picture for sample in samples))
    return [
        [
            decoder_feed(bundle.tables.silence(quantise(latent, gain), level), level)
            for level, gain in enumerate(bundle.gains)
        ]
        for latent in latents
    ]


def measure_loss(
    bundle: Bundle, int8: Path, samples: Sequence[LabelledPicture], classes: ClassList, also: Feed | None = None
) -> Loss:
    """Run the bundle's decoder and an int8 one, which is fed ``also``, over labelled pictures, at every rate level."""
    sessions = [InferenceSession(path, providers=["CPUExecutionProvider"]) for path in (bundle.decoder_path, int8)]
    more: list[Feed] = [{}, also or {}]
    published = bundle.manifest.outputs[0].name
    levels = range(len(bundle.gains))
    scores = [[ConfusionMatrix(len(classes.names), classes.ignore_index) for _ in sessions] for _ in levels]
    agreed: list[list[float]] = [[] for _ in levels]
    for sample, feeds in zip(samples, frames_of(bundle, samples), strict=True):
        for level, feed in enumerate(feeds):
            masks: list[NDArray[np.uint8]] = [
                session.run([published], {**feed, **each})[0][0] for session, each in zip(sessions, more, strict=True)
            ]
            for matrix, mask in zip(scores[level], masks, strict=True):
                matrix.update(sample.labels, mask)
            agreed[level].append(float(np.mean(masks[0] == masks[1])))
    return Loss(
        tuple(round(100 * (exact.miou - rough.miou), 3) for exact, rough in scores),
        tuple(round(float(np.mean(shares)), 5) for shares in agreed),
    )
