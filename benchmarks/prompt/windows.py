"""Why one point does worse than a box: each window by itself, and windows that only the label can tell."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from statistics import fmean
from typing import Any

import numpy as np
from numpy.typing import NDArray

from narrows.models.promptable.data import AnnotatedPicture, Instance
from narrows.models.promptable.evaluation.evaluate import FIXED_SIDE
from narrows.models.promptable.evaluation.measures import overlap
from narrows.models.promptable.prompts import PromptKind, draw_prompt
from narrows.models.promptable.views import mask_in
from narrows.runtime.prompting import Point, Prompt, Window
from narrows.runtime.prompting.framing import POINT_SHARES, windows_of
from narrows.runtime.prompting.inputs import encode_input
from narrows.runtime.prompting.segmenter import BEYOND, PromptSegmenter
from narrows.runtime.prompting.zoom import find_window

OF_THE_THING = 1.8
"""The side of the window that the label tells, of the thing's longer side."""
CHOSEN, BEST, TOLD = (
    "the one of these that is chosen",
    "the best of these, by the label",
    "of the thing's own size, by the label",
)
MIDDLE = "96 pixels on the thing's middle, by the label"
"""As published figures of networks this small are counted: the label says where the thing is, and is cut to the crop.

Source: Bonazzi et al., "PicoSAM2", 2025, and its published code.
"""
HALF = 128

Overlaps = tuple[float, float]
"""In source pixels against the whole thing, and in the window."""


def judge_windows(pictures: Iterable[AnnotatedPicture], segmenter: PromptSegmenter) -> dict[str, list[Overlaps]]:
    """One look a window at every thing, pointed at with one point."""
    found: dict[str, list[Overlaps]] = defaultdict(list)
    for picture in pictures:
        for thing in picture.instances:
            for name, overlaps in _of_thing(picture, thing, segmenter).items():
                found[name].append(overlaps)
    return found


def _of_thing(picture: AnnotatedPicture, thing: Instance, segmenter: PromptSegmenter) -> dict[str, Overlaps]:
    (width, height), prompt = picture.size, draw_prompt(thing, PromptKind.POINT, picture.size)
    true = thing.whole(width, height)

    def run(window: Window, prompt: Prompt = prompt) -> NDArray[np.float32]:
        return segmenter.run(encode_input(picture.picture, prompt, window, segmenter.size))

    def judge(window: Window, logits: NDArray[np.float32]) -> Overlaps:
        said = window.spread(logits, width, height, BEYOND) > 0
        return overlap(said, true), overlap(logits > 0, mask_in(thing, window, segmenter.size) >= HALF)

    def look(side: float, prompt: Prompt = prompt) -> Overlaps:
        (point,) = prompt.points
        window = Window.at((point.x, point.y), side)
        return judge(window, run(window, prompt))

    looks = {f"{share:g} of the picture": look(share * max(width, height)) for share in POINT_SHARES}
    chosen = find_window(windows_of(prompt, width, height), run)
    return {
        **looks,
        CHOSEN: judge(chosen.window, chosen.logits),
        BEST: max(looks.values()),
        TOLD: look(OF_THE_THING * thing.box.longer_side),
        MIDDLE: look(FIXED_SIDE, Prompt(points=(middle(thing),))),
    }


def middle(thing: Instance) -> Point:
    """The centre of the pixel of a thing that is nearest to the middle of its box."""
    rows, columns = np.nonzero(thing.mask)
    x, y = thing.box.x + columns + 0.5, thing.box.y + rows + 0.5
    nearest = int(np.argmin((x - thing.box.centre[0]) ** 2 + (y - thing.box.centre[1]) ** 2))
    return Point(float(x[nearest]), float(y[nearest]))


def window_rows(found: Mapping[str, list[Overlaps]]) -> list[dict[str, Any]]:
    """Means over things."""
    return [
        {
            "window": name,
            "instances": len(overlaps),
            "iou": round(fmean(each[0] for each in overlaps), 5),
            "iou_crop": round(fmean(each[1] for each in overlaps), 5),
        }
        for name, overlaps in found.items()
    ]
