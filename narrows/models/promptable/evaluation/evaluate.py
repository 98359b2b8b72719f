"""Every thing of a split, prompted once, its mask against the label; floors beside it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from narrows.models.promptable.data import AnnotatedPicture, Instance
from narrows.models.promptable.evaluation.measures import (
    boundary_f,
    centres,
    centres_of,
    filled_box,
    inscribed_ellipse,
    overlap,
)
from narrows.models.promptable.evaluation.scores import ThingScore
from narrows.models.promptable.prompts import PromptKind, draw_prompt
from narrows.models.promptable.views import mask_in
from narrows.runtime.prompting import Box, Prompt, Window
from narrows.runtime.prompting.framing import window_of_box
from narrows.runtime.prompting.segmenter import PromptedMask

CROP = 96
FIXED_SIDE = 96.0
Segment = Callable[[NDArray[np.uint8], Prompt], PromptedMask]
GrabCut = Callable[[NDArray[np.uint8], Box], NDArray[np.bool_]]


def evaluate_prompts(
    pictures: Iterable[AnnotatedPicture],
    kind: PromptKind,
    segment: Segment | None = None,
    *,
    grabcut: GrabCut | None = None,
    progress: Callable[[int], None] | None = None,
) -> Sequence[ThingScore]:
    """Score every thing.

    Args:
        pictures: read one at a time.
        kind: what each thing is pointed at with.
        segment: the network; without one there are floors alone.
        grabcut: what is done without learning, a picture and a box to a mask.
        progress: told how many pictures are done.
    """
    scores: list[ThingScore] = []
    for done, picture in enumerate(pictures, 1):
        scores.extend(_score(picture, thing, kind, segment, grabcut) for thing in picture.instances)
        if progress is not None:
            progress(done)
    return scores


def _score(
    picture: AnnotatedPicture, thing: Instance, kind: PromptKind, segment: Segment | None, grabcut: GrabCut | None
) -> ThingScore:
    width, height = picture.size
    prompt, true = draw_prompt(thing, kind, picture.size), thing.whole(width, height)
    box = prompt.box or thing.box
    said = None if segment is None else segment(picture.picture, prompt)
    window = window_of_box(box) if said is None else said.window
    true_crop = mask_in(thing, window, CROP) >= 128
    places, crop_places = (centres(0, width, width), centres(0, height, height)), centres_of(window, CROP)
    return ThingScore(
        picture=picture.name,
        area=thing.area,
        fill_box=overlap(filled_box(box, *places), true),
        ellipse=overlap(inscribed_ellipse(box, *places), true),
        fill_box_crop=overlap(filled_box(box, *crop_places), true_crop),
        ellipse_crop=overlap(inscribed_ellipse(box, *crop_places), true_crop),
        all_ones_96=_all_ones(thing),
        iou=None if said is None else overlap(said.mask, true),
        iou_crop=None if said is None else overlap(_at_crop(said), true_crop),
        boundary_f=None if said is None else boundary_f(said.mask, true),
        grabcut=None if grabcut is None else overlap(grabcut(picture.picture, box), true),
    )


def _all_ones(thing: Instance) -> float:
    window = Window.at(thing.box.centre, FIXED_SIDE)
    return float((mask_in(thing, window, CROP) >= 128).mean())


def _at_crop(said: PromptedMask) -> NDArray[np.bool_]:
    """What was said in the window, in 96 x 96 pixels whatever the network's own."""
    if said.logits.shape[0] == CROP:
        return said.logits > 0
    own = Window(0, 0, said.logits.shape[0])
    share = own.side / CROP
    scaled = Window(0, 0, CROP).spread(said.logits, CROP, CROP, 0.0) if share < 1 else _thinned(said.logits, CROP)
    return scaled > 0


def _thinned(values: NDArray[np.float32], size: int) -> NDArray[np.float32]:
    """Values at the centres of ``size`` cells a side."""
    index = ((np.arange(size) + 0.5) * values.shape[0] / size).astype(np.int64)
    thinned: NDArray[np.float32] = values[index][:, index]
    return thinned
