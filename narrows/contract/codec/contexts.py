"""How the table of a symbol is found: thresholds for a bundle, weights and look-ups for a level, of K or of P.

::

    neighbours, parents, in P the memory ──► weighted sums ──► bin ──► look-up [channel][bin] ──► table
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from narrows.contract.codec import layout
from narrows.contract.codec.cursor import ByteCursor
from narrows.contract.errors import BundleError

NEIGHBOURS = len(layout.NEIGHBOUR_OFFSETS)
TAPS = len(layout.MEMORY_TAPS)
Parents = tuple[tuple[int, int], ...]


@dataclass(frozen=True)
class Thresholds:
    """Where weighted sums are cut into bins; ascending strictly, from 1 to 1023.

    Attributes:
        magnitudes: a bin is how many of them the magnitude sum reaches.
        signs: a class is how many of them the signed sum reaches, either way.
    """

    magnitudes: tuple[int, ...]
    signs: tuple[int, ...]

    @property
    def bins(self) -> int:
        """Contexts of a channel."""
        return (len(self.magnitudes) + 1) * (2 * len(self.signs) + 1)

    def to_bytes(self) -> bytes:
        """Serialise."""
        values = np.array(self.magnitudes + self.signs, dtype="<u2").tobytes()
        return bytes((len(self.magnitudes), len(self.signs))) + values

    @classmethod
    def read(cls, cursor: ByteCursor) -> Thresholds:
        """Read what :meth:`to_bytes` wrote.

        Raises:
            BundleError: it ends too early, or breaks a limit.
        """
        magnitudes, signs = cursor.byte(), cursor.byte()
        values = tuple(int(v) for v in cursor.shorts_array(magnitudes + signs))
        thresholds = cls(values[:magnitudes], values[magnitudes:])
        if thresholds.bins > layout.MAX_BINS:
            raise BundleError(f"coding tables with {thresholds.bins} contexts a channel; at most {layout.MAX_BINS}")
        for some in (thresholds.magnitudes, thresholds.signs):
            if any(low >= high for low, high in pairwise((0, *some, layout.CONTEXT_LIMIT + 1))):
                raise BundleError(f"context thresholds {some} do not ascend from 1 to {layout.CONTEXT_LIMIT}")
        return thresholds


@dataclass(frozen=True, eq=False)
class LevelContexts:
    """Weights and look-ups of the ``n`` coded channels at a level.

    Attributes:
        magnitude_weights: ``(n, 6)`` uint8, how far each neighbour's magnitude counts; for P ``(n, 15)`` with taps.
        sign_weights: int8 of the same shape, how far each one's value counts for the sign.
        parents: for each coded channel, ``(channel, weight)`` of lower coded channels whose magnitudes count.
        lookup: ``(n, bins)`` uint8, table index, plus ``FLIP``.
    """

    magnitude_weights: NDArray[np.uint8]
    sign_weights: NDArray[np.int8]
    parents: tuple[Parents, ...]
    lookup: NDArray[np.uint8]

    def channel_to_bytes(self, k: int) -> bytes:
        """The ``k``-th coded channel, serialised."""
        parts = [self.magnitude_weights[k].tobytes(), self.sign_weights[k].tobytes(), bytes((len(self.parents[k]),))]
        parts += [struct.pack("<HB", channel, weight) for channel, weight in self.parents[k]]
        return b"".join((*parts, self.lookup[k].tobytes()))

    @classmethod
    def joined(cls, channels: list[LevelContexts], thresholds: Thresholds, weights: int) -> LevelContexts:
        """One of many that hold a channel each."""
        rows = [(c.magnitude_weights, c.sign_weights, c.lookup) for c in channels]
        magnitude_weights, sign_weights, lookup = zip(*rows, strict=True) if rows else ((), (), ())
        return cls(
            magnitude_weights=np.array(magnitude_weights, dtype=np.uint8).reshape(-1, weights),
            sign_weights=np.array(sign_weights, dtype=np.int8).reshape(-1, weights),
            parents=tuple(parents for c in channels for parents in c.parents),
            lookup=np.array(lookup, dtype=np.uint8).reshape(-1, thresholds.bins),
        )


def read_channel(
    cursor: ByteCursor, thresholds: Thresholds, weights: int, channel: int, live: NDArray[np.uint8], tables: int
) -> LevelContexts:
    """One channel's contexts.

    Args:
        cursor: where they begin.
        thresholds: of K or of P.
        weights: how many weights a channel has.
        channel: which it is.
        live: ``(C,)``, which channels are coded.
        tables: how many tables there are.

    Raises:
        BundleError: it ends too early, or breaks a limit.
    """
    magnitude_weights = cursor.bytes_array(weights)
    sign_weights = cursor.bytes_array(weights).view(np.int8)
    parents = tuple((cursor.short(), cursor.byte()) for _ in range(cursor.byte()))
    _check_parents(parents, channel, live)
    _check_weights(magnitude_weights, sign_weights, parents, channel)
    lookup = cursor.bytes_array(thresholds.bins)
    if (lookup & ~np.uint8(layout.FLIP)).max() >= tables:
        raise BundleError(f"channel {channel} looks up a table that is not there; there are {tables}")
    return LevelContexts(magnitude_weights, sign_weights, (parents,), lookup)


def _check_parents(parents: Parents, channel: int, live: NDArray[np.uint8]) -> None:
    for parent, _ in parents:
        if parent >= channel or not live[parent]:
            raise BundleError(f"channel {channel} has parent {parent}; a parent is live and coded before")


def _check_weights(
    magnitude_weights: NDArray[np.uint8], sign_weights: NDArray[np.int8], parents: Parents, channel: int
) -> None:
    if (total := int(magnitude_weights.sum()) + sum(weight for _, weight in parents)) > layout.MAX_WEIGHT_SUM:
        raise BundleError(f"channel {channel} has magnitude weights of {total} in all; at most {layout.MAX_WEIGHT_SUM}")
    for weights in (magnitude_weights, sign_weights):
        taps = int(np.abs(weights[NEIGHBOURS:].astype(np.int64)).sum())
        if taps > layout.MAX_TAP_WEIGHT_SUM:
            raise BundleError(
                f"channel {channel} has weights of {taps} for the memory; at most {layout.MAX_TAP_WEIGHT_SUM}"
            )


def native_arrays(
    thresholds: Thresholds,
    contexts: LevelContexts,
    channels: NDArray[np.uint16],
    frequencies: tuple[NDArray[np.uint16], ...],
) -> dict[str, NDArray[np.generic]]:
    """The contexts as the kernel reads them: see ``kernel.CONTEXT_ARRAYS``."""
    position = {int(channel): k for k, channel in enumerate(channels)}
    pairs = [(position[channel], weight) for parents in contexts.parents for channel, weight in parents]
    reachable = np.arange(layout.CONTEXT_LIMIT + 1)
    reached = np.searchsorted(thresholds.signs, reachable, side="right")
    middle = len(thresholds.signs)
    bins = np.searchsorted(thresholds.magnitudes, reachable, side="right") * (2 * middle + 1)
    sign_class = np.concatenate([middle - reached[[-1]], middle - reached[:0:-1], middle + reached])
    firsts = np.array([table[0] for table in frequencies], dtype=np.uint32)
    choices = contexts.lookup.astype(np.uint32) << np.uint32(16)
    choices |= firsts[contexts.lookup & ~np.uint8(layout.FLIP)]
    return {
        "magnitude_weights": contexts.magnitude_weights,
        "sign_weights": contexts.sign_weights,
        "parents_begin": np.cumsum([0, *(len(parents) for parents in contexts.parents)], dtype=np.uint32),
        "parents": np.array([p for p, _ in pairs], dtype=np.uint16),
        "parent_weights": np.array([w for _, w in pairs], dtype=np.uint8),
        "magnitude_bin": bins.astype(np.uint8),
        "sign_class": sign_class.astype(np.uint8),
        "choices": choices,
    }
