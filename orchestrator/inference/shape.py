"""The shapes that a bundle's decoder takes and gives, and where they lie in a slot's memory."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from narrows.contract.bundle import Bundle, Head
from narrows.contract.outputs import Output
from orchestrator.inference.contract import ServedOutput
from orchestrator.inference.region import aligned


@dataclass(frozen=True)
class BatchShape:
    """One full batch.

    ::

        | symbols int8 (max_batch, C, h, w) | level int32 (max_batch, 1) | first output (max_batch, …) | second … |
        0                                   levels_at                    outputs_at[0]                 outputs_at[1]

    Each part begins at a cache line.
    """

    max_batch: int
    latent: tuple[int, int, int]
    served: tuple[ServedOutput, ...]

    @classmethod
    def of(cls, bundle: Bundle, max_batch: int, heads: Sequence[Head]) -> BatchShape:
        """The shape of a bundle's batches on a server that has these of its heads."""
        own = tuple(ServedOutput(output, bundle.decoder_sha256[:16]) for output in bundle.manifest.outputs)
        return cls(
            max_batch,
            bundle.manifest.latent.as_tuple(),
            (*own, *(ServedOutput(head.output, head.version) for head in heads)),
        )

    @cached_property
    def outputs(self) -> tuple[Output, ...]:
        """What is answered, in order."""
        return tuple(served.output for served in self.served)

    @property
    def levels_at(self) -> int:
        """Offset of the rate levels, in bytes."""
        return aligned(self.symbols_bytes(self.max_batch))

    @cached_property
    def outputs_at(self) -> tuple[int, ...]:
        """Offset of each output, in bytes."""
        return self._ends[:-1]

    @property
    def size_bytes(self) -> int:
        """The size of the whole."""
        return self._ends[-1]

    def symbols_bytes(self, n: int) -> int:
        """The size of the symbols of ``n`` samples."""
        return n * math.prod(self.latent)

    def levels_bytes(self, n: int) -> int:
        """The size of the rate levels of ``n`` samples."""
        return n * 4

    @cached_property
    def _ends(self) -> tuple[int, ...]:
        """Where the inputs end, and each output after them."""
        ends = [self.levels_at + aligned(self.levels_bytes(self.max_batch))]
        for output in self.outputs:
            ends.append(ends[-1] + aligned(output.size_bytes(self.max_batch)))
        return tuple(ends)
