"""The window of ended identities, read-only: the finishing script alone writes it (``lua/window.lua``)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from narrows.wire.feature import FrameIdentity

SPAN = 1024
_EPOCH_DIGITS, _DIGITS, _NONE = 20, 10, 9_999_999_999


def epoch_field(epoch: int) -> str:
    """An epoch as the window's field: digits that sort as numbers do."""
    return f"{epoch:0{_EPOCH_DIGITS}d}"


@dataclass(frozen=True, slots=True)
class EpochWindow:
    """The highest sequence of an epoch that has ended (-1: none) and ``ended[s % SPAN]`` for the last SPAN of them."""

    high: int
    ended: NDArray[np.bool_]

    @classmethod
    def parse(cls, packed: bytes) -> EpochWindow:
        """Read what the script wrote."""
        high = int(packed[:_DIGITS])
        bits = np.frombuffer(packed[2 * _DIGITS :], dtype=np.uint8)
        return cls(-1 if high == _NONE else high, np.unpackbits(bits, bitorder="little").astype(np.bool_))

    def has_ended(self, sequence: int) -> bool:
        """Whether a sequence has ended, as far as this reading knows."""
        return sequence <= self.high and (sequence <= self.high - SPAN or bool(self.ended[sequence % SPAN]))

    def gaps(self) -> list[int]:
        """The sequences below the highest that have no end yet."""
        sequences = np.arange(max(0, self.high - SPAN + 1), self.high + 1)
        return [int(s) for s in sequences[~self.ended[sequences % SPAN]]]


@dataclass(frozen=True, slots=True)
class SeenWindow:
    """All epochs of a stream that are kept."""

    epochs: Mapping[int, EpochWindow] = field(default_factory=dict)

    @classmethod
    def parse(cls, fields: Mapping[bytes, bytes]) -> SeenWindow:
        """Read the hash."""
        return cls({int(epoch): EpochWindow.parse(packed) for epoch, packed in fields.items()})

    def has_ended(self, identity: FrameIdentity) -> bool:
        """Whether a frame had ended at this reading. A server that loses its last second takes that back."""
        window = self.epochs.get(identity.epoch)
        return window is not None and window.has_ended(identity.sequence)

    def gaps(self) -> Iterator[FrameIdentity]:
        """The identities that are missing."""
        for epoch, window in self.epochs.items():
            for sequence in window.gaps():
                yield FrameIdentity(epoch, sequence)
