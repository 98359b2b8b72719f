"""Crops, flips, light and bad pictures: one labelled picture seen in many ways."""

from __future__ import annotations

import math
import random
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from narrows.models.dataset import LabelledPicture
from narrows.models.training.bad_pictures import worsen

MEAN, DEVIATION = 127.0, 128.0


@dataclass(frozen=True)
class Augmentation:
    """How far samples are varied.

    Attributes:
        zoom: bounds how large things get beside their native size.
        bad_share: chance of a view to be a bad picture.
    """

    size: tuple[int, int]
    zoom: tuple[float, float]
    light: float = 0.3
    bad_share: float = 0.0


def normalise(picture: NDArray[np.uint8]) -> NDArray[np.float32]:
    """``(H, W, 3)`` uint8 to ``(3, H, W)`` float32, as the ImageNet weights expect."""
    return ((picture.astype(np.float32) - MEAN) / DEVIATION).transpose(2, 0, 1)


def augment(
    sample: LabelledPicture, how: Augmentation, chance: random.Random
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """A random view: ``(3, h, w)`` float32 and ``(h, w)`` int64, of ``how.size`` (width, height)."""
    height, width = sample.labels.shape
    box = _random_box((width, height), how, chance)
    picture = Image.fromarray(sample.picture).resize(how.size, Image.Resampling.BILINEAR, box=box)
    labels = Image.fromarray(sample.labels).resize(how.size, Image.Resampling.NEAREST, box=box)
    seen = np.asarray(picture)
    if how.bad_share and chance.random() < how.bad_share:
        seen = worsen(seen, np.random.default_rng(chance.getrandbits(64)))
    pixels, classes = normalise(seen), np.asarray(labels).astype(np.int64)
    if chance.random() < 0.5:
        pixels, classes = pixels[:, :, ::-1], classes[:, ::-1]
    return _relight(pixels, how.light, chance), np.ascontiguousarray(classes)


def _random_box(source: tuple[int, int], how: Augmentation, chance: random.Random) -> tuple[float, float, float, float]:
    smallest = max(how.size[0] / source[0], how.size[1] / source[1])
    low, high = max(how.zoom[0], smallest), max(how.zoom[1], smallest)
    zoom = math.exp(chance.uniform(math.log(low), math.log(high)))
    width, height = how.size[0] / zoom, how.size[1] / zoom
    left = chance.uniform(0, source[0] - width) if source[0] > width else 0.0
    top = chance.uniform(0, source[1] - height) if source[1] > height else 0.0
    return left, top, min(left + width, source[0]), min(top + height, source[1])


def _relight(pixels: NDArray[np.float32], light: float, chance: random.Random) -> NDArray[np.float32]:
    contrast = chance.uniform(1 - light, 1 + light)
    tint = np.array([chance.uniform(-light, light) / 2 for _ in range(3)], dtype=np.float32)[:, None, None]
    brightness = chance.uniform(-light, light)
    relit: NDArray[np.float32] = pixels * np.float32(contrast) + tint + np.float32(brightness)
    return relit.clip(-1, 1)
