"""How far a result agrees with the unmodified network's: a share between 0 and 1, for a network of any task."""

from __future__ import annotations

from typing import Any

from numpy.typing import NDArray

Result = NDArray[Any]
_ABOVE = 0.5


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
