"""Fitting the context weights: how far each neighbour and parent foretells a symbol's magnitude and sign.

Least squares on the training symbols, rounded to integers of 1/64. Floats end here.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from narrows.contract.codec import layout

UNIT = 64
_SWEEPS = 60
_MAX_PARENTS = 12
_RIDGE = 1e-3

Floats = NDArray[np.float32]


def neighbours(symbols: NDArray[np.int8]) -> Floats:
    """``(N, h, w)`` of one channel to its causal neighbours, capped: ``(6, N * h * w)``."""
    capped = np.clip(symbols, -layout.CAP, layout.CAP).astype(np.float32)
    height, width = symbols.shape[1:]
    padded = np.pad(capped, ((0, 0), (2, 0), (2, 1)))
    shifted = [padded[:, 2 + dy : 2 + dy + height, 2 + dx : 2 + dx + width] for dy, dx in layout.NEIGHBOUR_OFFSETS]
    return np.stack([plane.reshape(-1) for plane in shifted])


def taps(memories: NDArray[np.int16]) -> Floats:
    """``(N, h, w)`` of one channel's memory to what lies about each place, in symbols, capped: ``(9, N * h * w)``."""
    capped = np.clip(memories.astype(np.float32) / layout.MEMORY_UNIT, -layout.CAP, layout.CAP)
    height, width = memories.shape[1:]
    padded = np.pad(capped, ((0, 0), (1, 1), (1, 1)))
    shifted = [padded[:, 1 + dy : 1 + dy + height, 1 + dx : 1 + dx + width] for dy, dx in layout.MEMORY_TAPS]
    return np.stack([plane.reshape(-1) for plane in shifted])


def _near(symbols: NDArray[np.int8], memories: NDArray[np.int16] | None, channel: int) -> Floats:
    """What the contexts of a channel see beside its parents: neighbours, and with memories their taps."""
    beside = neighbours(symbols[:, channel])
    return beside if memories is None else np.concatenate([beside, taps(memories[:, channel])])


def fit_magnitude(
    symbols: NDArray[np.int8], channels: NDArray[np.intp], memories: NDArray[np.int16] | None = None
) -> tuple[NDArray[np.uint8], tuple[tuple[tuple[int, int], ...], ...]]:
    """Weights ``(n, 6)`` of the neighbours' magnitudes, and the parents with theirs, for each coded channel.

    With memories the weights are ``(n, 15)``: the neighbours', then those of the memory's taps.

    Args:
        symbols: ``(N, C, h, w)`` int8.
        channels: the coded channels, ascending.
        memories: int16 of the symbols' shape, in eighths of a symbol.
    """
    planes = np.minimum(np.abs(symbols[:, channels].astype(np.float32)), layout.CAP)
    flat: Floats = planes.transpose(1, 0, 2, 3).reshape(len(channels), symbols[:, 0].size)
    count = _weights(memories)
    weights = np.zeros((len(channels), count), dtype=np.uint8)
    parents = []
    between = flat @ flat.T / flat.shape[1]
    means = flat.mean(axis=1)
    for k, channel in enumerate(channels):
        near = np.abs(_near(symbols, memories, int(channel)))
        solved = _solve_with_parents(near, flat[:k], flat[k], between[:k, :k], means[:k])
        quantised = _quantised(solved, count)
        weights[k], shares = quantised[:count], quantised[count:]
        strongest = np.argsort(-shares.astype(int), kind="stable")[:_MAX_PARENTS]
        parents.append(tuple((int(channels[p]), int(shares[p])) for p in sorted(strongest) if shares[p] > 0))
    return weights, tuple(parents)


def _solve_with_parents(near: Floats, lower: Floats, own: Floats, between: Floats, means: Floats) -> Floats:
    size = own.size
    near_mean, own_mean = near.mean(axis=1), own.mean()
    cross = near @ lower.T / size
    gram = np.block([[near @ near.T / size, cross], [cross.T, between]])
    means = np.concatenate([near_mean, means])
    gram = gram - np.outer(means, means)
    target = np.concatenate([near @ own, lower @ own]) / size - means * own_mean
    return _nonnegative(gram, target)


def _nonnegative(gram: Floats, target: Floats) -> Floats:
    """Least squares with no weight below zero, by coordinate descent."""
    solved = np.zeros(len(target), dtype=np.float32)
    diagonal = gram.diagonal() * (1 + _RIDGE) + 1e-9
    for _ in range(_SWEEPS):
        for i in range(len(target)):
            slope = target[i] - gram[i] @ solved + gram[i, i] * solved[i]
            solved[i] = max(0.0, slope / diagonal[i])
    return solved


def _weights(memories: NDArray[np.int16] | None) -> int:
    return len(layout.NEIGHBOUR_OFFSETS) + (0 if memories is None else len(layout.MEMORY_TAPS))


def _bounded_taps(scaled: Floats, count: int) -> Floats:
    """Weights of which those of the taps, from the sixth to the ``count``-th, keep within their limit once rounded."""
    bounded = scaled.copy()
    of_taps = bounded[len(layout.NEIGHBOUR_OFFSETS) : count]
    of_taps /= max(1.0, float(np.abs(of_taps).sum()) / (layout.MAX_TAP_WEIGHT_SUM - len(layout.MEMORY_TAPS)))
    return bounded


def _quantised(weights: Floats, count: int) -> NDArray[np.uint8]:
    scaled = _bounded_taps(np.clip(weights * UNIT, 0, 255), count)
    excess = max(1.0, float(scaled.sum()) / (layout.MAX_WEIGHT_SUM - len(scaled)))
    rounded: NDArray[np.uint8] = np.rint(scaled / excess).astype(np.uint8)
    return rounded


def fit_sign(
    symbols: NDArray[np.int8], channels: NDArray[np.intp], memories: NDArray[np.int16] | None = None
) -> NDArray[np.int8]:
    """Weights int8 of the values, as :func:`fit_magnitude` of the magnitudes, for each coded channel."""
    count = _weights(memories)
    weights = np.zeros((len(channels), count), dtype=np.int8)
    for k, channel in enumerate(channels):
        near = _near(symbols, memories, int(channel))
        own = np.clip(symbols[:, channel], -layout.CAP, layout.CAP).astype(np.float32).reshape(-1)
        gram = near @ near.T / own.size
        gram += np.eye(len(gram), dtype=np.float32) * (_RIDGE * gram.trace() / len(gram) + 1e-9)
        solved = np.linalg.solve(gram, near @ own / own.size)
        weights[k] = np.clip(np.rint(_bounded_taps(solved * UNIT, count)), -127, 127).astype(np.int8)
    return weights
