"""Symbols of training pictures at every rate level: what the integer tables are counted on."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from narrows.codec import quantise
from narrows.export.graphs import PICTURE

Progress = Callable[[str], None]


def latents_of(encoder: Path, pictures: Iterable[NDArray[np.uint8]]) -> NDArray[np.float32]:
    """Run an exported encoder over pictures ``(H, W, 3)`` uint8: latents ``(N, C, h, w)`` float32."""
    session = ort.InferenceSession(encoder, providers=["CPUExecutionProvider"])
    return np.concatenate([session.run(None, {PICTURE: picture[None]})[0] for picture in pictures])


def symbols_at(latents: NDArray[np.float32], gain: NDArray[np.float32]) -> NDArray[np.int8]:
    """Rounded symbols ``(N, C, h, w)`` int8 of latents at one level's gain ``(C,)``."""
    return np.stack([quantise(latent, gain) for latent in latents])


def with_mirrored(pictures: Iterable[NDArray[np.uint8]]) -> Iterable[NDArray[np.uint8]]:
    """Each picture and its mirror image, so that tables do not learn one road's left and right."""
    for picture in pictures:
        yield picture
        yield np.ascontiguousarray(picture[:, ::-1])
