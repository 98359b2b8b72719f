"""Bad pictures: ten kinds of what happens between a street and a sensor's output, at five strengths.

Noise, blur, fog and JPEG have the constants of Hendrycks and Dietterich, "Benchmarking Neural Network Robustness to
Common Corruptions and Perturbations" (ICLR 2019), with lengths scaled from pictures of 224 pixels to the picture's
height; low light, glare, rain, dirt and a turned camera are ours. Every kind is a function of picture, strength and a
seeded generator; no two frames have the same drops.
"""

from __future__ import annotations

import io
import math
from collections.abc import Callable, Mapping
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

Picture = NDArray[np.uint8]
Corruption = Callable[[Picture, int, np.random.Generator], Picture]
STRENGTHS = (1, 2, 3, 4, 5)
_PUBLISHED_SIDE = 224


def jpeg(picture: Picture, strength: int, _: np.random.Generator) -> Picture:
    """A sensor's own compression."""
    file = io.BytesIO()
    Image.fromarray(picture).save(file, "JPEG", quality=(25, 18, 15, 10, 7)[strength - 1])
    return np.asarray(Image.open(file).convert("RGB"))  # noqa: TID251 -- coded a moment before


def noise(picture: Picture, strength: int, chance: np.random.Generator) -> Picture:
    """A sensor's amplifier: Gaussian, the same everywhere."""
    deviation = (0.08, 0.12, 0.18, 0.26, 0.38)[strength - 1]
    return _bytes(_unit(picture) + chance.normal(0, deviation, picture.shape))


def low_light(picture: Picture, strength: int, chance: np.random.Generator) -> Picture:
    """Night: few photons, amplified again so far as cameras do (to half of what was lost)."""
    share, photons = ((0.5, 250), (0.35, 120), (0.22, 60), (0.14, 30), (0.08, 15))[strength - 1]
    caught = chance.poisson(_unit(picture) * share * photons) / photons
    return _bytes(caught / math.sqrt(share))


def defocus(picture: Picture, strength: int, _: np.random.Generator) -> Picture:
    """A lens out of focus."""
    radius = _scaled((3, 4, 6, 8, 10)[strength - 1], picture) / 2
    return np.asarray(Image.fromarray(picture).filter(ImageFilter.GaussianBlur(radius)))


def motion_blur(picture: Picture, strength: int, chance: np.random.Generator) -> Picture:
    """A long exposure on a pole in the wind: a mean along a line of a random direction."""
    length = _scaled((6, 10, 15, 20, 26)[strength - 1], picture)
    angle = chance.uniform(0, math.pi)
    steps = np.linspace(-length / 2, length / 2, max(2, round(length)))
    moved = [_shifted(picture, round(s * math.cos(angle)), round(s * math.sin(angle))) for s in steps]
    return _bytes(np.mean(moved, axis=0) / 255)


def fog(picture: Picture, strength: int, chance: np.random.Generator) -> Picture:
    """Light scattered on the way: contrast is lost, more so where the fog is thicker."""
    share = (0.3, 0.45, 0.55, 0.65, 0.75)[strength - 1]
    thickness = share * (0.7 + 0.6 * _clouds(picture.shape[:2], chance, cells=3))[..., None]
    return _bytes(_unit(picture) * (1 - thickness) + 0.85 * thickness)


def glare(picture: Picture, strength: int, chance: np.random.Generator) -> Picture:
    """A low sun in the upper half: a saturated spot, and a veil around it."""
    height, width = picture.shape[:2]
    rows, columns = np.mgrid[:height, :width]
    distance = np.hypot(rows - chance.uniform(0, 0.5) * height, columns - chance.uniform(0.1, 0.9) * width) / height
    size = (0.08, 0.12, 0.18, 0.25, 0.35)[strength - 1]
    light = 1.5 * np.exp(-((distance / size) ** 2)) + (0.15 + size) * np.exp(-distance)
    return _bytes(_unit(picture) + light[..., None])


def rain(picture: Picture, strength: int, chance: np.random.Generator) -> Picture:
    """Streaks of one direction, and a duller picture behind them."""
    height, width = picture.shape[:2]
    drops, length = ((150, 0.04), (300, 0.05), (500, 0.06), (800, 0.08), (1200, 0.1))[strength - 1]
    layer = Image.new("L", (width, height))
    draw, slant = ImageDraw.Draw(layer), chance.uniform(-0.3, 0.3)
    for _ in range(drops):
        x, y, run = chance.uniform(0, width), chance.uniform(-0.1, 1) * height, chance.uniform(0.5, 1) * length * height
        draw.line((x, y, x + slant * run, y + run), fill=round(chance.uniform(90, 200)), width=1)
    streaks = _unit(np.asarray(layer.filter(ImageFilter.GaussianBlur(0.6))))[..., None]
    dull = _unit(picture) * (1 - 0.06 * strength)
    return _bytes(dull * (1 - streaks) + 0.85 * streaks)


def dirt(picture: Picture, strength: int, chance: np.random.Generator) -> Picture:
    """Mud on the lens: blurred dark spots that let part of the light through."""
    height, width = picture.shape[:2]
    layer = Image.new("L", (width, height))
    draw = ImageDraw.Draw(layer)
    for _ in range((6, 12, 20, 30, 45)[strength - 1]):
        x, y, radius = chance.uniform(0, width), chance.uniform(0, height), chance.uniform(0.03, 0.12) * height
        draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=round(chance.uniform(150, 250)))
    mud = _unit(np.asarray(layer.filter(ImageFilter.GaussianBlur(_scaled(3, picture)))))[..., None]
    return _bytes(_unit(picture) * (1 - mud) + mud * np.array([0.23, 0.19, 0.14]))


def turned(picture: Picture, strength: int, chance: np.random.Generator) -> Picture:
    """A camera that was knocked: turned about its axis, the corners dark."""
    return rotated(picture, strength, chance, fill=0, resample=Image.Resampling.BILINEAR)


def rotated(
    values: Picture, strength: int, chance: np.random.Generator, *, fill: int, resample: Image.Resampling
) -> Picture:
    """What :func:`turned` does to a picture or, with the same generator, to its labels."""
    degrees = (3, 6, 10, 15, 25)[strength - 1] * (1 if chance.random() < 0.5 else -1)
    colour: int | tuple[int, ...] = fill if values.ndim == 2 else (fill,) * values.shape[2]
    return np.asarray(Image.fromarray(values).rotate(degrees, resample, fillcolor=colour))


KINDS: Mapping[str, Corruption] = MappingProxyType(
    {each.__name__: each for each in (jpeg, noise, low_light, defocus, motion_blur, fog, glare, rain, dirt, turned)}
)


def _unit(picture: NDArray[np.uint8]) -> NDArray[np.float64]:
    return picture.astype(np.float64) / 255


def _bytes(unit: NDArray[np.float64]) -> Picture:
    return (np.clip(unit, 0, 1) * 255).round().astype(np.uint8)


def _scaled(length: float, picture: Picture) -> float:
    height: int = picture.shape[0]
    return length * height / _PUBLISHED_SIDE


def _shifted(picture: Picture, columns: int, rows: int) -> NDArray[np.float64]:
    """Moved by whole pixels, the edge repeated."""
    height, width = picture.shape[:2]
    at_rows = np.clip(np.arange(height) + rows, 0, height - 1)
    at_columns = np.clip(np.arange(width) + columns, 0, width - 1)
    return picture[at_rows][:, at_columns].astype(np.float64)


def _clouds(shape: tuple[int, ...], chance: np.random.Generator, cells: int) -> NDArray[np.float64]:
    """Smooth values between 0 and 1 ``(H, W)``."""
    coarse = Image.fromarray(chance.integers(0, 256, (cells, cells + 1), dtype=np.uint8))
    return _unit(np.asarray(coarse.resize((shape[1], shape[0]), Image.Resampling.BICUBIC)))
