"""What one thing scored, and what a split did."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field

import numpy as np

SMALL, MEDIUM = 32**2, 96**2
"""Pixels: COCO's bounds of small and medium things."""
RESAMPLES = 1000
SEED = 20261129


@dataclass(frozen=True)
class ThingScore:
    """One thing. What ends in ``_crop`` is in the crop's pixels, the rest in the source's, against the whole thing.

    Attributes:
        iou: of the network; ``None`` where none was asked.
        fill_box: of the prompt's box, filled; of the thing's own where the prompt has none.
        ellipse: of the ellipse in that box.
        all_ones_96: of a window of 96 source pixels on the thing's middle, all of it, within that window.
        grabcut: of GrabCut with that box; ``None`` where it was not asked.
    """

    picture: str
    area: int
    fill_box: float
    ellipse: float
    fill_box_crop: float
    ellipse_crop: float
    all_ones_96: float
    iou: float | None = None
    iou_crop: float | None = None
    boundary_f: float | None = None
    grabcut: float | None = None

    @property
    def size(self) -> str:
        """COCO's word for its area."""
        return "small" if self.area < SMALL else "medium" if self.area < MEDIUM else "large"


@dataclass(frozen=True)
class PromptScores:
    """What ``narrows promptable evaluate`` writes: means over things, the interval from a bootstrap by picture.

    Attributes:
        miou: mean IoU in source pixels against the whole thing; floors likewise, but for what ends in ``_crop``.
        miou_low: lower end of the 95 % interval.
        unseen_fold: the fold that the network was not trained on, as its file says; ``None`` where there is none.
    """

    layout: str
    split: str
    fold: int | None
    prompt: str
    network: str | None
    unseen_fold: int | None
    pictures: int
    instances: int
    miou: float | None
    miou_low: float | None
    miou_high: float | None
    miou_crop: float | None
    boundary_f: float | None
    floor_fill_box: float | None
    floor_ellipse: float | None
    floor_fill_box_crop: float | None
    floor_ellipse_crop: float | None
    floor_all_ones_96: float | None
    grabcut: float | None
    by_size: dict[str, dict[str, float | int | None]] = field(default_factory=dict)

    def to_json(self) -> str:
        """Serialise."""
        return json.dumps(asdict(self), indent=2)


def summarise(
    things: Sequence[ThingScore],
    *,
    layout: str,
    split: str,
    fold: int | None,
    prompt: str,
    network: str | None,
    pictures: int,
    unseen_fold: int | None,
) -> PromptScores:
    """What things scored, as one value."""
    low, high = interval_by_picture(things)
    names = ("miou_crop", "iou_crop"), *((name, name) for name in ("boundary_f", "grabcut"))
    floors = ("fill_box", "ellipse", "fill_box_crop", "ellipse_crop", "all_ones_96")
    return PromptScores(
        layout=layout,
        split=split,
        fold=fold,
        prompt=prompt,
        network=network,
        unseen_fold=unseen_fold,
        pictures=pictures,
        instances=len(things),
        miou=mean_of(things, "iou"),
        miou_low=low,
        miou_high=high,
        **{name: mean_of(things, field) for name, field in names},
        **{f"floor_{name}": mean_of(things, name) for name in floors},
        by_size=by_size(things),
    )


def mean_of(things: Sequence[ThingScore], name: str) -> float | None:
    """The mean of a score over the things that have it; ``None`` where none does."""
    values = [value for thing in things if (value := getattr(thing, name)) is not None]
    return round(float(np.mean(values)), 5) if values else None


def interval_by_picture(things: Sequence[ThingScore], name: str = "iou") -> tuple[float | None, float | None]:
    """The 95 % interval of a mean score; of things that have none there is none."""
    return interval_of((thing.picture, value) for thing in things if (value := getattr(thing, name)) is not None)


def gain_by_picture(after: Sequence[ThingScore], before: Sequence[ThingScore]) -> tuple[float, float, float]:
    """What the mean IoU of the same things gained, in the same order, and its 95 % interval.

    Raises:
        ValueError: they are not the same things.
    """
    if [(a.picture, a.area) for a in after] != [(b.picture, b.area) for b in before]:
        raise ValueError("two networks scored other things")
    gains = [
        (a.picture, a.iou - b.iou)
        for a, b in zip(after, before, strict=True)
        if a.iou is not None and b.iou is not None
    ]
    low, high = interval_of(gains)
    if low is None or high is None:
        raise ValueError("no thing was scored by both networks")
    return round(float(np.mean([gain for _, gain in gains])), 5), low, high


def interval_of(values: Iterable[tuple[str, float]]) -> tuple[float | None, float | None]:
    """The 95 % interval of a mean over things: pictures, with all their things, are drawn anew 1,000 times.

    Things of one picture look alike: drawing things instead would make the interval too narrow.
    """
    held: dict[str, list[float]] = defaultdict(list)
    for picture, value in values:
        held[picture].append(value)
    if not held:
        return None, None
    sums = np.array([sum(values) for values in held.values()])
    counts = np.array([len(values) for values in held.values()])
    drawn = np.random.default_rng(SEED).integers(0, len(held), (RESAMPLES, len(held)))
    means = sums[drawn].sum(axis=1) / counts[drawn].sum(axis=1)
    low, high = np.quantile(means, [0.025, 0.975])
    return round(float(low), 5), round(float(high), 5)


def by_size(things: Sequence[ThingScore]) -> dict[str, dict[str, float | int | None]]:
    """Scores of small, medium and large things."""
    return {
        size: {
            "instances": len(chosen),
            "miou": mean_of(chosen, "iou"),
            "floor_fill_box": mean_of(chosen, "fill_box"),
            "floor_ellipse": mean_of(chosen, "ellipse"),
        }
        for size in ("small", "medium", "large")
        for chosen in [[thing for thing in things if thing.size == size]]
    }
