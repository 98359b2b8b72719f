"""How large a packet is at each rate level, and as a mask: begun from the manifest, learned from what is coded."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Self

from narrows.contract.bundle import Manifest, SplitManifest

FRAMING_BYTES = 190
"""About what Redis' protocol, TCP and IP add to a packet that travels alone."""
_GAIN = 0.1


class PacketSizes:
    """Bytes of a packet on the link, by level. A camera's own mask has one size, whatever the level.

    A scene that is costly is costly at every level: what is seen at one scales those that were not used yet.
    """

    def __init__(self, expected_bytes: Iterable[float]) -> None:
        """``expected_bytes``: of a packet at each level, the finest first."""
        self._expected = [max(1.0, each) for each in expected_bytes]
        self._learned: dict[int, float] = {}
        self._scale = 1.0
        self._mask: float | None = None
        self.masks = False
        """Whether masks are sent now."""

    @classmethod
    def by_cut(cls, manifest: Manifest | SplitManifest) -> tuple[Self, ...]:
        """Those of each cut of a split network; else of the one cut that there is."""
        if isinstance(manifest, SplitManifest):
            return tuple(cls(level.bytes for level in cut.levels) for cut in manifest.cuts)
        pixels = manifest.input.width * manifest.input.height
        return (cls(level.bits_per_pixel * pixels / 8 for level in manifest.levels),)

    def __len__(self) -> int:
        return len(self._expected)

    def learn(self, level: int, size_bytes: int) -> None:
        """A packet of this level was coded."""
        before = self._learned.get(level, self._expected[level] * self._scale)
        self._learned[level] = before + _GAIN * (size_bytes - before)
        self._scale += _GAIN * (size_bytes / self._expected[level] - self._scale)

    def learn_mask(self, size_bytes: int) -> None:
        """A mask was coded, to be sent or to see how large it is."""
        self._mask = size_bytes if self._mask is None else self._mask + _GAIN * (size_bytes - self._mask)

    @property
    def mask_on_link(self) -> float:
        """Bytes that the next mask takes on the link, about; infinite before the first was coded."""
        return math.inf if self._mask is None else self._mask + FRAMING_BYTES

    def on_link(self, level: int) -> float:
        """Bytes that the next packet takes on the link, about: of this level, or a mask where masks are sent."""
        return self.mask_on_link if self.masks and self._mask is not None else self.features_on_link(level)

    def features_on_link(self, level: int) -> float:
        """Bytes that a packet of features of this level takes on the link, about."""
        return self._learned.get(level, self._expected[level] * self._scale) + FRAMING_BYTES
