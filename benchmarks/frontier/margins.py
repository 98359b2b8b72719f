"""Whether features beat the camera's own mask at a budget: a paired bootstrap over blocks of consecutive frames.

Seeds of one network are one contender, by their mean: the best of several would beat one by chance alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.frontier.score import Scored, miou_of

BITS_AT_MOST = 0.05
"""Bits per pixel at which designs are compared."""
WIN_POINTS = 3.0
BLOCK_FRAMES = 10
LEAST_BLOCKS = 4
"""Of three, one draw in 27 has the same one thrice, so that 2.5 % cannot be told; of one, every draw is alike."""
_UNKNOWN = (-100.0, 100.0)
"""Points within which any two networks are."""
_DRAWS = 2000
_INTERVAL = (2.5, 97.5)


@dataclass(frozen=True)
class Contender:
    """A way to send of a network: its name, bits per pixel, and frames, of each seed that it was trained from."""

    name: str
    bits_per_pixel: float
    seeds: tuple[Scored, ...]

    @property
    def miou(self) -> float:
        """The mean of its seeds."""
        return fmean(scored.miou for scored in self.seeds)


def margin(features: Sequence[Contender], masks: Sequence[Contender]) -> dict[str, Any] | None:
    """The best of either within the bits, how many points they are apart, and whether that is a win.

    ``None`` where one side has nothing within the bits.
    """
    ours, theirs = _best(features), _best(masks)
    if ours is None or theirs is None:
        return None
    points, interval = _apart(ours, theirs)
    return {
        "features": ours.name,
        "mask": theirs.name,
        "points": points,
        "interval": list(interval),
        "wins": points >= WIN_POINTS and interval[0] > 0,
        "send": "features" if points >= WIN_POINTS and interval[0] > 0 else "mask",
    }


def _apart(ours: Contender, theirs: Contender) -> tuple[float, tuple[float, float]]:
    """Points, and their interval."""
    one, other = (np.stack([scored.counts for scored in each.seeds]) for each in (ours, theirs))
    return 100 * (ours.miou - theirs.miou), paired_interval(one, other)


def _best(contenders: Sequence[Contender]) -> Contender | None:
    within = [each for each in contenders if each.bits_per_pixel <= BITS_AT_MOST]
    return max(within, key=lambda each: each.miou, default=None)


def paired_interval(
    ours: NDArray[np.int64], theirs: NDArray[np.int64], block: int = BLOCK_FRAMES, seed: int = 0
) -> tuple[float, float]:
    """95 % interval of the difference of mIoU in points, of the same frames; of too few, all that there may be.

    Args:
        ours: counts ``(frames, classes, classes)``, or of several seeds ``(seeds, frames, classes, classes)``.
        theirs: the same; it may be of another number of seeds.
        block: frames that are drawn together.
        seed: of the draws.

    Raises:
        ValueError: the frames differ in number, or there are none.
    """
    frames = ours.shape[-3]
    if frames != theirs.shape[-3] or not frames:
        raise ValueError(f"{frames} frames beside {theirs.shape[-3]}: a paired bootstrap needs the same ones")
    starts = range(0, frames, block)
    if len(starts) < LEAST_BLOCKS:
        return _UNKNOWN
    one, other = (
        np.stack([counts[..., start : start + block, :, :].sum(axis=-3) for start in starts], axis=-3)
        for counts in (ours, theirs)
    )
    chance = np.random.default_rng(seed)
    draws = chance.integers(len(starts), size=(_DRAWS, len(starts)))
    apart = [100 * (_mean_miou(one[..., drawn, :, :]) - _mean_miou(other[..., drawn, :, :])) for drawn in draws]
    low, high = np.percentile(apart, _INTERVAL)
    return float(low), float(high)


def _mean_miou(counts: NDArray[np.int64]) -> float:
    """Of seeds; counts are ``([seeds,] blocks, classes, classes)``."""
    summed = counts.sum(axis=-3)
    return fmean(miou_of(each) for each in summed.reshape(-1, *summed.shape[-2:]))


def masks_over(
    pictures: Sequence[Contender], contenders: Mapping[float, Mapping[str, Sequence[Contender]]]
) -> dict[str, dict[str, Any]]:
    """How many points a mask made at the camera is above the best picture, by budget in GMAC.

    Twice: beside all pictures within the bits that are compared, and, as ``at_its_bits``, beside those that take no
    more than the mask; ``None`` where no picture is so small.
    """
    found = {}
    for budget, by_design in sorted(contenders.items()):
        mask = _best(by_design.get("edge", ()))
        if mask is None or (apart := _beside(mask, pictures)) is None:
            continue
        small = [each for each in pictures if each.bits_per_pixel <= mask.bits_per_pixel]
        found[f"{budget:g}"] = apart | {"at_its_bits": _beside(mask, small)}
    return found


def _beside(mask: Contender, pictures: Sequence[Contender]) -> dict[str, Any] | None:
    picture = _best(pictures)
    if picture is None:
        return None
    points, interval = _apart(mask, picture)
    return {"mask": mask.name, "picture": picture.name, "points": points, "interval": list(interval)}


def by_budget(contenders: Mapping[float, Mapping[str, Sequence[Contender]]]) -> dict[str, dict[str, Any]]:
    """Margins of features and layered over masks made at the camera, by budget in GMAC.

    What cameras should send is ``features`` where those win by themselves: *layered* is a design that no bundle has.
    """
    found = {}
    for budget, by_design in sorted(contenders.items()):
        features, masks = by_design.get("features", ()), by_design.get("edge", ())
        if (apart := margin([*features, *by_design.get("layered", ())], masks)) is None:
            continue
        if apart["wins"] and not _wins(features, masks):
            apart["send"] = "layered"
        found[f"{budget:g}"] = apart
    return found


def _wins(features: Sequence[Contender], masks: Sequence[Contender]) -> bool:
    apart = margin(features, masks)
    return apart is not None and bool(apart["wins"])
