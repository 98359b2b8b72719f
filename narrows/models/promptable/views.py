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

BOX_SHARE, BOX_AND_POINTS_SHARE, POINT_SHARE = 0.4, 0.15, 0.3
"""How often a view is prompted so; the rest has several points."""
MOST_JITTER = 0.3
SIDES = (0.9, 4.0)
"""Sides of the windows around points, of the thing's longer side."""
LIGHT = 0.3


@dataclass(frozen=True)
class View:
    """``inputs`` ``(6, size, size)`` uint8 and the share of each pixel that is the thing, ``(size, size)`` uint8."""

    inputs: NDArray[np.uint8]
    target: NDArray[np.uint8]
    window: Window
    mirrored: bool


def draw_view(picture: AnnotatedPicture, instance: Instance, size: int, chance: np.random.Generator) -> View:
    """A view of ``instance`` as nobody has seen it before: prompt, window, light and side are random."""
    prompt, window = _draw(picture, instance, chance)
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


def _draw(picture: AnnotatedPicture, instance: Instance, chance: np.random.Generator) -> tuple[Prompt, Window]:
    kind = chance.random()
    if kind < BOX_SHARE + BOX_AND_POINTS_SHARE:
        box = loosened(instance.box, chance.uniform(0, MOST_JITTER), picture.size, chance)
        points = () if kind < BOX_SHARE else points_on(instance, int(chance.integers(1, 3)), chance)
        return Prompt(box, points), Window.around(box, BOX_SCALE * chance.uniform(0.95, 1.1))
    if kind < BOX_SHARE + BOX_AND_POINTS_SHARE + POINT_SHARE:
        prompt = Prompt(points=points_on(instance, 1, chance))
    else:
        beside = points_beside(instance, int(chance.integers(0, 4)), picture.size, chance)
        prompt = Prompt(points=points_on(instance, int(chance.integers(1, 4)), chance) + beside)
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
