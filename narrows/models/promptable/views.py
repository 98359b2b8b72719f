"""A thing seen once in training: a prompt drawn at random, its window, and what the mask is there."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from narrows.models.promptable.data.instances import AnnotatedPicture, Instance
from narrows.models.promptable.prompts import loosened, points_beside, points_on
from narrows.runtime.prompting import Box, Prompt, Window
from narrows.runtime.prompting.framing import BOX_SCALE, POINTS_SCALE
from narrows.runtime.prompting.inputs import encode_input
from narrows.runtime.prompting.window import box_around

JITTER = (0.05, 0.35)
"""Of boxes: hands are loose, and a network that has seen tight boxes alone trusts a box's edges too far."""
SIDES = (0.4, 6.0)
"""Sides of the windows around points, of the thing's longer side."""
LIGHT = 0.3


@dataclass(frozen=True)
class _Shares:
    """How often a view is prompted so; the rest has several points."""

    box: float
    box_and_points: float
    point: float


_THINGS = _Shares(box=0.4, box_and_points=0.1, point=0.45)
_PARTS = _Shares(box=0.65, box_and_points=0.2, point=0.0)
"""One point on a part means its thing; two tell the part's extent."""


@dataclass(frozen=True)
class View:
    """``inputs`` ``(6, size, size)`` uint8 and the share of each pixel that is the thing, ``(size, size)`` uint8."""

    inputs: NDArray[np.uint8]
    target: NDArray[np.uint8]
    window: Window
    mirrored: bool


def draw_view(
    picture: AnnotatedPicture, instance: Instance, size: int, chance: np.random.Generator, *, parts: bool = False
) -> View:
    """A view of ``instance`` as nobody has seen it before: prompt, window, light and side are random.

    ``parts``: it is a part of a thing, or a region, which one point alone does not mean.
    """
    prompt, window = _draw(picture, instance, chance, parts=parts)
    inputs = encode_input(picture.picture, prompt, window, size)
    target = mask_in(instance, window, size)
    mirrored = bool(chance.random() < 0.5)
    if mirrored:
        inputs, target = inputs[:, :, ::-1], target[:, ::-1]
    inputs[:3] = _relit(inputs[:3], chance)
    return View(inputs, target, window, mirrored)


def mask_in(instance: Instance, window: Window, size: int) -> NDArray[np.uint8]:
    """The thing in a window, ``(size, size)`` uint8: 255 where a pixel is all thing."""
    local = Window(window.x - instance.box.x, window.y - instance.box.y, window.side)
    return local.cut(instance.mask.astype(np.uint8) * 255, size, outside=0)


def _draw(
    picture: AnnotatedPicture, instance: Instance, chance: np.random.Generator, *, parts: bool
) -> tuple[Prompt, Window]:
    kind, shares = chance.random(), _PARTS if parts else _THINGS
    if kind < shares.box + shares.box_and_points:
        box = loosened(instance.box, chance.uniform(*JITTER), picture.size, chance)
        points = () if kind < shares.box else points_on(instance, int(chance.integers(1, 3)), chance)
        return Prompt(box, points), Window.around(box, BOX_SCALE * chance.uniform(0.95, 1.1))
    if kind < shares.box + shares.box_and_points + shares.point:
        prompt = Prompt(points=points_on(instance, 1, chance))
    else:
        beside = points_beside(instance, int(chance.integers(0, 4)), picture.size, chance)
        prompt = Prompt(points=points_on(instance, int(chance.integers(2, 4)), chance) + beside)
    return prompt, _window_of_points(prompt, instance.box, chance)


def _window_of_points(prompt: Prompt, thing: Box, chance: np.random.Generator) -> Window:
    span = box_around((point.x, point.y) for point in prompt.positives)
    side = thing.longer_side * math.exp(chance.uniform(math.log(SIDES[0]), math.log(SIDES[1])))
    return Window.at(span.centre, max(4.0, side, POINTS_SCALE * span.longer_side))


def _relit(pixels: NDArray[np.uint8], chance: np.random.Generator) -> NDArray[np.uint8]:
    contrast, tint = chance.uniform(1 - LIGHT, 1 + LIGHT), chance.uniform(-LIGHT, LIGHT, (3, 1, 1)) / 2
    brightness = chance.uniform(-LIGHT, LIGHT)
    relit = (pixels.astype(np.float32) - 127) * np.float32(contrast) + 127 + 128 * (tint + brightness)
    return relit.clip(0, 255).astype(np.uint8)
