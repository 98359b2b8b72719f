"""Moving pictures made of stills: what the tables of P packets are counted on.

::

    picture ─► displacement: camera (still, or riding on) + objects (patches that move on their own)
            ─► a few views, the displacement growing, each with a sensor's noise of its own

Stills are all that a labelled folder holds. The views differ by what frames of a camera differ by: nothing but noise
where nothing moves, sub-pixel shifts, and patches that uncover what lay behind. No video is looked at, so no clip that
a bundle is measured on can be one that it was made with.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
from numpy.typing import NDArray

Picture = NDArray[np.uint8]
Field = NDArray[np.float32]

VIEWS = 4
NOISE_DEVIATIONS = (0.0, 1.0, 2.0, 3.0)
"""Of a sensor, in grey levels; 0 is a decoded video's still background, which repeats exactly."""
STILL_CAMERAS = 0.6
"""Share of cameras that hang on a pole; the others ride on a vehicle."""
_MOST_OBJECTS = 4
_OBJECT_RADIUS = (0.03, 0.15)
_OBJECT_STEP = 0.04
_RIDE_ZOOM, _RIDE_SHIFT = 0.04, 0.015


def moving(pictures: Iterable[Picture], seed: int = 0) -> Iterator[list[Picture]]:
    """For each picture ``(H, W, 3)`` uint8 a clip of ``VIEWS`` pictures of its size; every second one mirrored."""
    generator = np.random.default_rng(seed)
    for index, picture in enumerate(pictures):
        scene = picture[:, ::-1] if index % 2 else picture
        deviation = float(generator.choice(NOISE_DEVIATIONS))
        field = displacement(scene.shape[0], scene.shape[1], generator)
        yield [with_noise(displaced(scene, step * field), deviation, generator) for step in range(VIEWS)]


def displacement(
    height: int, width: int, generator: np.random.Generator, still_cameras: float = STILL_CAMERAS
) -> Field:
    """How far each pixel moves from view to view, ``(2, height, width)`` float32 pixels (down, right)."""
    rows, columns = np.mgrid[0:height, 0:width].astype(np.float32)
    field = np.zeros((2, height, width), dtype=np.float32)
    if generator.random() >= still_cameras:
        zoom = generator.uniform(0, _RIDE_ZOOM)
        centre = generator.uniform(0.3, 0.7, 2)
        field[0] = zoom * (rows - centre[0] * height) + generator.normal(0, _RIDE_SHIFT / 3) * height
        field[1] = zoom * (columns - centre[1] * width) + generator.normal(0, _RIDE_SHIFT) * width
    for _ in range(generator.integers(0, _MOST_OBJECTS + 1)):
        y, x = generator.uniform(0, height), generator.uniform(0, width)
        tall, wide = generator.uniform(*_OBJECT_RADIUS, 2) * width
        inside = ((rows - y) / tall) ** 2 + ((columns - x) / wide) ** 2 < 1
        field[:, inside] = generator.normal(0, _OBJECT_STEP * width, 2).astype(np.float32)[:, None]
    return field


def displaced(picture: Picture, field: Field) -> NDArray[np.float32]:
    """The picture with every pixel fetched from where it was, bilinear, ``(H, W, 3)`` float32."""
    height, width = picture.shape[:2]
    rows, columns = np.mgrid[0:height, 0:width].astype(np.float32)
    y = np.clip(rows - field[0], 0, height - 1)
    x = np.clip(columns - field[1], 0, width - 1)
    top, left = np.minimum(y.astype(np.intp), height - 2), np.minimum(x.astype(np.intp), width - 2)
    down, right = (y - top)[..., None], (x - left)[..., None]
    near = picture.astype(np.float32)
    upper = near[top, left] * (1 - right) + near[top, left + 1] * right
    lower = near[top + 1, left] * (1 - right) + near[top + 1, left + 1] * right
    moved: NDArray[np.float32] = upper * (1 - down) + lower * down
    return moved


def with_noise(
    picture: NDArray[np.uint8] | NDArray[np.float32], deviation: float, generator: np.random.Generator
) -> Picture:
    """The picture as a sensor with Gaussian noise of that deviation, in grey levels, would see it."""
    noise = generator.normal(0, deviation, picture.shape) if deviation else 0.0
    return np.ascontiguousarray(np.clip(np.rint(picture + noise), 0, 255).astype(np.uint8))
