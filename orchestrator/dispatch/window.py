"""The window of ended identities, read-only: the finishing script alone writes it (``lua/window.lua``)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from narrows.contract.errors import RecordError
from narrows.contract.wire.feature import FrameIdentity

SPAN = 1024
_EPOCH_DIGITS, _DIGITS, _NONE = 20, 10, 9_999_999_999
_LAST_SEQUENCE = (1 << 32) - 1
_LOSS_CREDIT = b"loss_credit_ms"
"""The field beside the epochs, for the script alone: up to when losses were counted."""


def _epoch_of(field: bytes) -> int:
    if len(field) != _EPOCH_DIGITS or not field.isdigit() or int(field) >= 1 << 64:
        raise RecordError(f"{field[:40]!r} is no epoch of {_EPOCH_DIGITS} digits")
    return int(field)


@lru_cache(4096)
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
        """Read what the script wrote.

        Raises:
            RecordError: it is something else.
        """
        digits = packed[: 2 * _DIGITS]
        if len(packed) != 2 * _DIGITS + SPAN // 8 or not digits.isdigit():
            raise RecordError(f"a window of {len(packed)} bytes that begins with {packed[:20]!r}")
        high = int(digits[:_DIGITS])
        if high != _NONE and high > _LAST_SEQUENCE:
            raise RecordError(f"a window whose highest sequence is {high}")
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
    """All epochs of a stream that are kept, and the fields beside them that are no windows."""

    epochs: Mapping[int, EpochWindow] = field(default_factory=dict)
    unreadable: frozenset[bytes] = frozenset()

    @classmethod
    def parse(cls, fields: Mapping[bytes, bytes]) -> SeenWindow:
        """Read the hash, whatever is in it."""
        epochs: dict[int, EpochWindow] = {}
        unreadable = set()
        for epoch, packed in fields.items():
            if epoch == _LOSS_CREDIT:
                continue
            try:
                epochs[_epoch_of(epoch)] = EpochWindow.parse(packed)
            except RecordError:
                unreadable.add(epoch)
        return cls(epochs, frozenset(unreadable))

    def has_ended(self, identity: FrameIdentity) -> bool:
        """Whether a frame had ended at this reading. A server that loses its last second takes that back."""
        window = self.epochs.get(identity.epoch)
        return window is not None and window.has_ended(identity.sequence)

    def gaps(self) -> Iterator[FrameIdentity]:
        """The identities that are missing."""
        for epoch, window in self.epochs.items():
            for sequence in window.gaps():
                yield FrameIdentity(epoch, sequence)
