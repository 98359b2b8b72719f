"""The masks that a camera makes with a bundle on a labelled split, and the same at smaller sizes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from benchmarks.rate.labelmaps import Labels
from edge_client.encode.encoder import OnnxEncoder
from edge_client.masks.camera_decoder import OnnxCameraDecoder
from narrows.contract.bundle import Bundle
from narrows.contract.codec import quantise
from narrows.contract.outputs.labels.scaling import divide_labels
from narrows.models.dataset import FolderDataset

FACTORS = (1, 2, 4, 8)
"""Full size, and sides of a half, a quarter and an eighth."""


class Prediction(NamedTuple):
    """One frame: the symbols sent ``(C, h, w)``, the mask made of them and the true labels, both ``(H, W)``."""

    symbols: NDArray[np.int8]
    mask: Labels
    truth: Labels


def predictions(bundle: Bundle, data: Path, split: str, level: int) -> Iterator[Prediction]:
    """Every frame of a split at a rate level, in order.

    Raises:
        BundleError: the bundle has no decoder for cameras.
    """
    encoder, decoder = OnnxEncoder(bundle), OnnxCameraDecoder(bundle)
    for sample in FolderDataset.open(data, split):
        latent = encoder.latent(encoder.fit(sample.picture))
        symbols = bundle.tables.silence(quantise(latent, bundle.gains[level]), level)
        yield Prediction(symbols, decoder.labels(symbols, level, 1), sample.labels)


def scaled(masks: Sequence[Labels], classes: int) -> Mapping[int, list[Labels]]:
    """The masks by the factor that their sides were divided by."""
    return {
        factor: [np.ascontiguousarray(divide_labels(mask, factor, classes)) for mask in masks] for factor in FACTORS
    }
