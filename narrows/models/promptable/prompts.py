"""Prompts as people give them, drawn from a mask: the same ones whenever the same seed draws them."""

from __future__ import annotations

import hashlib
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from narrows.models.promptable.data.instances import Instance
from narrows.runtime.prompting import Box, Point, Prompt

JITTER = 0.2
"""Of a loose box: each edge is moved by up to so much of the side that it shortens or lengthens."""
EROSION = 0.05
"""Of the square root of a thing's area: nobody taps the very edge of what they mean."""
SEVERAL = 3
SEED = "narrows-prompts-1"


class PromptKind(StrEnum):
    """What a thing is pointed at with."""

    BOX = "box"
    LOOSE_BOX = "loose-box"
    POINT = "point"
    POINTS = "points"
    POINTS_NEGATIVE = "points-negative"


def draw_prompt(instance: Instance, kind: PromptKind, size: tuple[int, int]) -> Prompt:
    """The prompt of that kind that figures are measured with: it depends on nothing but seed, kind and thing.

    Args:
        instance: the thing.
        kind: one positive point, three, or three with as many negative ones; its box, tight or jittered.
        size: width and height of its picture.
    """
    chance = generator(f"{kind.value}/{instance.name}")
    match kind:
        case PromptKind.BOX:
            return Prompt(box=instance.box)
        case PromptKind.LOOSE_BOX:
            return Prompt(box=loosened(instance.box, JITTER, size, chance))
        case PromptKind.POINT:
            return Prompt(points=points_on(instance, 1, chance))
        case PromptKind.POINTS:
            return Prompt(points=points_on(instance, SEVERAL, chance))
        case PromptKind.POINTS_NEGATIVE:
            beside = points_beside(instance, SEVERAL, size, chance)
            return Prompt(points=points_on(instance, SEVERAL, chance) + beside)


def generator(name: str) -> np.random.Generator:
    """Random numbers that hang on the seed and a name alone."""
    digest = hashlib.sha256(f"{SEED}/{name}".encode()).digest()
    return np.random.default_rng(int.from_bytes(digest[:8], "little"))


def loosened(box: Box, jitter: float, size: tuple[int, int], chance: np.random.Generator) -> Box:
    """A box whose four edges were each moved by up to ``jitter`` of its side, within the picture, a pixel at least."""
    moves = chance.uniform(-jitter, jitter, 4)
    left = float(np.clip(box.x + moves[0] * box.width, 0, size[0] - 1))
    top = float(np.clip(box.y + moves[1] * box.height, 0, size[1] - 1))
    right = float(np.clip(box.right + moves[2] * box.width, left + 1, size[0]))
    bottom = float(np.clip(box.bottom + moves[3] * box.height, top + 1, size[1]))
    return Box(left, top, right - left, bottom - top)


def points_on(instance: Instance, count: int, chance: np.random.Generator) -> tuple[Point, ...]:
    """Points drawn uniformly from the eroded mask, or from the mask where nothing is left of it."""
    radius = max(1, round(EROSION * float(np.sqrt(instance.area))))
    inner = eroded(instance.mask, radius)
    return _drawn(inner if inner.any() else instance.mask, instance.box, count, chance, positive=True)


def points_beside(
    instance: Instance, count: int, size: tuple[int, int], chance: np.random.Generator
) -> tuple[Point, ...]:
    """Points off the thing, within its box and a quarter of its longer side around it; none where there is no room."""
    margin = round(instance.box.longer_side / 4) + 1
    left, top = max(0, int(instance.box.x) - margin), max(0, int(instance.box.y) - margin)
    right = min(size[0], int(instance.box.right) + margin)
    bottom = min(size[1], int(instance.box.bottom) + margin)
    free = ~instance.whole(*size)[top:bottom, left:right]
    near = Box(left, top, right - left, bottom - top)
    return _drawn(free, near, count, chance, positive=False) if free.any() else ()


def _drawn(
    mask: NDArray[np.bool_], box: Box, count: int, chance: np.random.Generator, *, positive: bool
) -> tuple[Point, ...]:
    rows, columns = np.nonzero(mask)
    picked = chance.integers(0, len(rows), count)
    return tuple(Point(box.x + columns[i] + 0.5, box.y + rows[i] + 0.5, positive) for i in picked)


def eroded(mask: NDArray[np.bool_], radius: int) -> NDArray[np.bool_]:
    """The places of ``(H, W)`` whose square of ``2 radius + 1`` is all set; beyond the edge nothing is."""
    side = 2 * radius + 1
    sums = np.pad(np.pad(mask, radius).astype(np.int32).cumsum(axis=0).cumsum(axis=1), ((1, 0), (1, 0)))
    counts = sums[side:, side:] - sums[:-side, side:] - sums[side:, :-side] + sums[:-side, :-side]
    inner: NDArray[np.bool_] = counts == side * side
    return inner
