"""How far a result agrees with the unmodified network's: a share between 0 and 1, for a network of any task."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Result = NDArray[Any]
_ABOVE = 0.5
_ONE_SIDED_95 = 1.645


def agreement(result: Result, whole: Result) -> float:
    """By the result's form.

    - integers (a label map): the share that is equal;
    - floats of several channels ``(1, C, ...)`` (logits): the share of places with the same greatest channel;
    - floats of one channel (a mask): the overlap of what lies above 0.5, intersection over union.
    """
    if whole.dtype.kind != "f":
        return float((result == whole).mean())
    if whole.ndim > 1 and whole.shape[1] > 1:
        return float((result.argmax(axis=1) == whole.argmax(axis=1)).mean())
    ours, theirs = result > _ABOVE, whole > _ABOVE
    either = int((ours | theirs).sum())
    return float((ours & theirs).sum()) / either if either else 1.0


def decisions(whole: Result) -> int:
    """How many things a result decides: one where it is one vector of scores, else one a place."""
    is_scored = whole.dtype.kind == "f" and whole.ndim > 1 and whole.shape[1] > 1
    return max(1, whole.size // whole.shape[1] if is_scored else whole.size)


def least_agreement(shares: Sequence[float], decided: int) -> float:
    """What the agreement on other pictures of the kind is not below, with 95 % confidence.

    The lower of two bounds: by how pictures differ, as Student's t would have it for many; and by how often anything
    was decided at all (E. B. Wilson, 1927), for sixteen pictures of a classifier that all agree show less than that it
    loses nothing.

    Args:
        shares: of each picture.
        decided: what a picture's share is a share of.
    """
    values = np.clip(np.asarray(shares, dtype=float), 0.0, 1.0)
    mean, trials, z2 = float(values.mean()), len(values) * decided, _ONE_SIDED_95**2
    spread = float(values.std(ddof=1)) / math.sqrt(len(values)) if len(values) > 1 else 1.0
    centre = (mean + z2 / (2 * trials)) / (1 + z2 / trials)
    half = _ONE_SIDED_95 / (1 + z2 / trials) * math.sqrt(mean * (1 - mean) / trials + z2 / (4 * trials**2))
    return max(0.0, min(mean - _ONE_SIDED_95 * spread, centre - half))
