"""Quantisers from calibration pictures: each channel's range and steps.

What a few pictures had is no bound for others: the ranges of sixteen alone cost a classifier 3.6 points at 16 bits,
where no step matters. So a range only sets the steps, and is open; but at fewer than 8 bits a part of it may lose less
than all, for its steps are smaller, and what lies beyond that part is clipped.

A tensor of whole numbers (of a network in int8) has no step below 1: where the bits suffice it crosses as it is. A
channel that was silent at calibration has the steps of the others: it may speak on other pictures.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from narrows.contract.codec.tensor_quantiser import MOST_MAGNITUDE, Planes, Quantiser, Symbols

_SHRUNK = (1.0, 0.85, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2)
"""Parts of a channel's range that are tried; the rest is clipped."""
_SAMPLED = 1 << 14
OPEN_FROM_BITS = 8
"""No part of a range is tried: steps are small enough."""
_LEAST_NORMAL = np.finfo(np.float32).tiny
_LEAST_SENSITIVITY, _MOST_SENSITIVITY = 0.05, 20.0
"""Of the median: a channel that seemed not to matter on a few pictures may on others, and one that seemed to matter
more than all others together would take the steps of them all."""


def by_range(planes: Planes, bits: int) -> Quantiser:
    """Every channel in ``2 ** bits`` values over the part of its range that loses least, in squares.

    Args:
        planes: of calibration pictures, ``(N, C, h, w)`` float32.
        bits: 1 to 16.
    """
    low, high = _ranges(planes)
    least_step = _least_step(planes)
    part = np.ones(len(low), dtype=np.float32) if bits >= OPEN_FROM_BITS else _best_parts(planes, bits, least_step)
    low, high = low * part, high * part
    step = np.maximum(_step(low, high, bits), least_step)
    return _quantiser(planes, bits, step, low, high, part == 1)


def _best_parts(planes: Planes, bits: int, least_step: NDArray[np.float32]) -> NDArray[np.float32]:
    """Of each channel's range the part that loses least."""
    low, high = _ranges(planes)
    sample = _sampled(planes)
    best_error = np.full(len(low), np.inf)
    best = np.ones(len(low), dtype=np.float32)
    for part in _SHRUNK:
        step = np.maximum(_step(low * part, high * part, bits), least_step)
        tried = np.clip(np.rint(sample / step), np.rint(low * part / step), np.rint(high * part / step)) * step
        error = ((tried - sample) ** 2).sum(axis=0)
        best = np.where(error < best_error, part, best).astype(np.float32)
        best_error = np.minimum(error, best_error)
    return best


def by_sensitivity(planes: Planes, bits: int, sensitivity: NDArray[np.float64]) -> Quantiser:
    """Steps inverse to how much the result changes with a channel; the channel of most steps has ``2 ** bits`` values.

    So a channel that matters little is sent coarsely, or not at all, as rate-distortion theory has it.

    Args:
        planes: as in :func:`by_range`.
        bits: 1 to 16.
        sensitivity: of each channel ``(C,)``, not negative; its scale does not matter.
    """
    low, high = _ranges(planes)
    usual = float(np.median(sensitivity))
    most = _MOST_SENSITIVITY * usual if usual > 0 else np.inf
    weight = np.clip(sensitivity, _LEAST_SENSITIVITY * usual + 1e-12, most)
    unit = ((high - low) * weight).max() / (2**bits - 1)
    step = np.maximum((unit / weight).astype(np.float32), _least_step(planes))
    return _quantiser(planes, bits, step, low, high, np.ones(len(low), dtype=np.bool_))


def _quantiser(
    planes: Planes, bits: int, step: NDArray[np.float32], low: Planes, high: Planes, is_open: NDArray[np.bool_]
) -> Quantiser:
    least, most = np.rint(low / step).astype(np.int32), np.rint(high / step).astype(np.int32)
    sample = np.clip(np.rint(_sampled(planes) / step), least, most).astype(np.int32)
    shift = np.array([_most_frequent(sample[:, channel]) for channel in range(len(step))], dtype=np.int32)
    return Quantiser(bits, step, shift, least - shift, most - shift, is_open)


def _most_frequent(symbols: Symbols) -> int:
    values, counts = np.unique(symbols, return_counts=True)
    return int(values[counts.argmax()])


def _ranges(planes: Planes) -> tuple[Planes, Planes]:
    """Of each channel, zero within."""
    axes = (0, 2, 3)
    return np.minimum(planes.min(axis=axes), 0), np.maximum(planes.max(axis=axes), 0)


def _least_step(planes: Planes) -> NDArray[np.float32]:
    """Of each channel: 1 if the tensor has whole numbers alone. One channel's zeros say nothing.

    Else so wide a step that its symbols reach twice as far as the widest channel has been seen to go, unless that would
    leave a channel fewer steps than 8 bits give it: at 16 bits its own range would take all symbols that there are.
    Never less than the least normal float: what a softmax leaves of a class that is out of the question is zero.
    """
    if (planes == np.rint(planes)).all():
        return np.ones(planes.shape[1], dtype=np.float32)
    low, high = _ranges(planes)
    reach = 2 * float((high - low).max()) / MOST_MAGNITUDE
    return np.maximum(np.minimum(reach, _step(low, high, OPEN_FROM_BITS)), _LEAST_NORMAL).astype(np.float32)


def _step(low: Planes, high: Planes, bits: int) -> NDArray[np.float32]:
    width, steps = high - low, (1 << bits) - 1
    usual = float(np.median(width[width > 0])) if (width > 0).any() else float(steps)
    return (np.where(width > 0, width, usual) / steps).astype(np.float32)


def _sampled(planes: Planes) -> Planes:
    """Some numbers of each channel ``(n, C)``."""
    flat = planes.transpose(0, 2, 3, 1).reshape(-1, planes.shape[1])
    return flat[:: max(1, len(flat) // _SAMPLED)]
