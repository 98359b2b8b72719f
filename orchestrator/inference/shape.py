"""The shapes that a bundle's decoder takes and gives, and where they lie in a slot's memory."""

from __future__ import annotations

import math
from dataclasses import dataclass

from narrows.contract.bundle import Bundle
from orchestrator.inference.region import aligned


@dataclass(frozen=True)
class BatchShape:
    """One full batch.

    ::

        | symbols int8 (max_batch, C, h, w) | level int32 (max_batch, 1) | labels uint8 (max_batch, H, W) |
        0                                   levels_at                    labels_at               size_bytes
    """

    max_batch: int
    latent: tuple[int, int, int]
    labels: tuple[int, int]

    @classmethod
    def of(cls, bundle: Bundle, max_batch: int) -> BatchShape:
        """The shape of a bundle's batches."""
        picture = bundle.manifest.input
        return cls(max_batch, bundle.manifest.latent.as_tuple(), (picture.height, picture.width))

    @property
    def levels_at(self) -> int:
        """Offset of the rate levels, in bytes."""
        return aligned(self.symbols_bytes(self.max_batch))

    @property
    def labels_at(self) -> int:
        """Offset of the label maps, in bytes."""
        return self.levels_at + aligned(self.levels_bytes(self.max_batch))

    @property
    def size_bytes(self) -> int:
        """The size of the whole."""
        return self.labels_at + self.labels_bytes(self.max_batch)

    def symbols_bytes(self, n: int) -> int:
        """The size of the symbols of ``n`` samples."""
        return n * math.prod(self.latent)

    def levels_bytes(self, n: int) -> int:
        """The size of the rate levels of ``n`` samples."""
        return n * 4

    def labels_bytes(self, n: int) -> int:
        """The size of the label maps of ``n`` samples."""
        return n * math.prod(self.labels)
