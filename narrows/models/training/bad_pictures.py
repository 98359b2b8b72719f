"""Bad pictures to train on: what lenses, sensors and their compression do, drawn anew for every view.

::

    scene ─► streaks, glare ─► defocus, motion ─► darkness ─► grain ─► JPEG        one to three of them, in this order

A network that has only seen good pictures takes noise for texture: it loses the street and sends the noise. The kinds
overlap with those of ``make bench-robustness``, which names what it shares with training; the models do not: grain is
correlated and of light as well as colour, darkness is in linear light with a gamma curve around it, blur is a disc, a
shaken exposure is a crooked path, glare is a veil from one side and lamps. Fog, dirt and a turned camera are left to
the judge.

Sources: noise of photons and of the amplifier after Foi et al., "Practical Poissonian-Gaussian Noise Modeling and
Fitting for Single-Image Raw-Data", 2008; training on mixed corruptions after Rusak et al., "A Simple Way to Make Neural
Networks Robust Against Diverse Image Corruptions", ECCV 2020.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray

Picture = NDArray[np.uint8]
Light = NDArray[np.float32]
Kind = Callable[[Light, np.random.Generator], Light]
GAMMA = 2.2
SEVERAL = (0.55, 0.3, 0.15)
"""The chance of one, two and three kinds at once."""


def worsen(picture: Picture, chance: np.random.Generator) -> Picture:
    """A bad picture ``(H, W, 3)`` uint8 of a good one: one to three kinds, of random strengths."""
    count = 1 + chance.choice(len(SEVERAL), p=SEVERAL)
    chosen = sorted(chance.choice(len(KINDS), size=count, replace=False, p=WEIGHTS))
    light = picture.astype(np.float32) / 255
    for index in chosen:
        light = np.clip(KINDS[index](light, chance), 0, 1)
    return (light * 255 + 0.5).astype(np.uint8)


def streaks(light: Light, chance: np.random.Generator) -> Light:
    """Rain or snow close to the lens: sparse points drawn out along one direction."""
    points = (chance.random(light.shape[:2], dtype=np.float32) < _between(chance, 5e-4, 8e-3)).astype(np.float32)
    angle = math.pi / 2 + chance.uniform(-0.5, 0.5)
    falling = cv2.filter2D(points, -1, line(_between(chance, 3, 30), angle)) * _between(chance, 3, 12)
    shown = np.minimum(falling, chance.uniform(0.3, 0.9))[..., None]
    dull = light * chance.uniform(0.7, 1)
    return np.asarray(dull + (chance.uniform(0.6, 1) - dull) * shown, dtype=np.float32)


def glare(light: Light, chance: np.random.Generator) -> Light:
    """A veil from one side, and a few lamps that outshine what is around them."""
    height, width = light.shape[:2]
    rows, columns = np.mgrid[:height, :width].astype(np.float32) / max(height, width)
    angle = chance.uniform(0, 2 * math.pi)
    ramp = columns * math.cos(angle) + rows * math.sin(angle)
    ramp = (ramp - ramp.min()) / max(float(np.ptp(ramp)), 1e-6)
    veil = chance.uniform(0, 0.7) * ramp ** chance.uniform(1, 4)
    for _ in range(chance.integers(0, 4)):
        distance = np.hypot(rows - chance.uniform(0, 1) * height / max(height, width), columns - chance.uniform(0, 1))
        veil = veil + chance.uniform(0.5, 2) / (1 + (distance / _between(chance, 0.01, 0.15)) ** 2)
    tint = chance.uniform(0.8, 1, 3)
    return np.asarray(light + veil[..., None] * tint, dtype=np.float32)


def defocus(light: Light, chance: np.random.Generator) -> Light:
    """A lens out of focus: the mean over a disc."""
    return np.asarray(cv2.filter2D(light, -1, disc(_between(chance, 1, 9)), borderType=cv2.BORDER_REFLECT))


def motion(light: Light, chance: np.random.Generator) -> Light:
    """A shaken exposure: the mean along a path that turns as it goes."""
    return np.asarray(cv2.filter2D(light, -1, path(_between(chance, 3, 36), chance), borderType=cv2.BORDER_REFLECT))


def darkness(light: Light, chance: np.random.Generator) -> Light:
    """Too few photons in linear light, amplified again by some of what was lost; the sensor's own noise stays."""
    share, photons = _between(chance, 0.02, 0.6), _between(chance, 40, 3000)
    caught = chance.poisson(light**GAMMA * share * photons).astype(np.float32) / photons
    read = chance.standard_normal(light.shape, dtype=np.float32) * _between(chance, 2e-4, 4e-3)
    amplified = (caught + read) * share ** -chance.uniform(0.3, 1)
    return np.asarray(np.clip(amplified, 0, 1) ** (1 / GAMMA), dtype=np.float32)


def grain(light: Light, chance: np.random.Generator) -> Light:
    """Noise of the amplifier, in light and in colour, sharp or smeared by what demosaicking did to it."""
    height, width = light.shape[:2]
    grey = chance.standard_normal((height, width, 1), dtype=np.float32)
    colour = chance.standard_normal(light.shape, dtype=np.float32)
    share = chance.uniform(0, 1)
    noise = math.sqrt(share) * colour + math.sqrt(1 - share) * grey
    if chance.random() < 0.4:
        noise = cv2.GaussianBlur(noise, (0, 0), chance.uniform(0.4, 1.2))
        noise = noise / np.float32(max(float(noise.std()), 1e-6))
    brighter = light ** chance.uniform(0, 0.5)
    return np.asarray(light + noise * brighter * _between(chance, 0.02, 0.4), dtype=np.float32)


def jpeg(light: Light, chance: np.random.Generator) -> Light:
    """A sensor's own compression."""
    quality = round(_between(chance, 4, 60))
    blue_first = (light[..., ::-1] * 255).astype(np.uint8)
    _, coded = cv2.imencode(".jpg", blue_first, [cv2.IMWRITE_JPEG_QUALITY, quality])
    again: Picture = cv2.imdecode(coded, cv2.IMREAD_COLOR)  # type: ignore[assignment]  # coded a moment before
    return again[..., ::-1].astype(np.float32) / np.float32(255)


KINDS: tuple[Kind, ...] = (streaks, glare, defocus, motion, darkness, grain, jpeg)
"""In the order in which they happen to a picture."""
WEIGHTS = np.array((1, 1, 1.5, 1.5, 2, 2.5, 1)) / 10.5


def disc(radius: float) -> Light:
    """A kernel ``(K, K)`` float32 of sum 1: a disc with a soft edge."""
    reach = math.ceil(radius)
    rows, columns = np.mgrid[-reach : reach + 1, -reach : reach + 1]
    kernel = np.clip(radius + 0.5 - np.hypot(rows, columns), 0, 1)
    soft: Light = (kernel / kernel.sum()).astype(np.float32)
    return soft


def line(length: float, angle: float) -> Light:
    """A kernel of sum 1: a straight line in a direction."""
    along = np.linspace(-length / 2, length / 2, 2 * math.ceil(length) + 1)
    return _drawn(along * math.cos(angle), along * math.sin(angle))


def path(length: float, chance: np.random.Generator) -> Light:
    """A kernel of sum 1: a path that begins in a random direction and turns steadily and a little at random."""
    steps = 2 * math.ceil(length) + 1
    turns = chance.normal(chance.normal(0, 1.5) / steps, 0.1, steps)
    directions = chance.uniform(0, 2 * math.pi) + np.cumsum(turns)
    x, y = np.cumsum(np.cos(directions)) * length / steps, np.cumsum(np.sin(directions)) * length / steps
    return _drawn(x - x.mean(), y - y.mean())


def _drawn(x: NDArray[np.float64], y: NDArray[np.float64]) -> Light:
    reach = max(1, math.ceil(max(np.abs(x).max(), np.abs(y).max())))
    kernel = np.zeros((2 * reach + 1, 2 * reach + 1), np.float32)
    np.add.at(kernel, (np.rint(y).astype(int) + reach, np.rint(x).astype(int) + reach), 1)
    weighed: Light = kernel / kernel.sum()
    return weighed


def _between(chance: np.random.Generator, low: float, high: float) -> float:
    """Between two bounds, as likely below their geometric mean as above."""
    return math.exp(chance.uniform(math.log(low), math.log(high)))
