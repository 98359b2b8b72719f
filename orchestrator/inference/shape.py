"""The shapes that a model takes and gives, and where they lie in a slot's memory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate

from narrows.contract.bundle import Head, ModelInput, ServedModel
from narrows.contract.outputs import Output
from orchestrator.inference.contract import ServedOutput
from orchestrator.inference.region import aligned


@dataclass(frozen=True)
class BatchShape:
    """One full batch.

    ::

        | first input (max_batch, …) | second … | first output (max_batch, …) | second … |
        0 = inputs_at[0]             inputs_at[1] outputs_at[0]                outputs_at[1]

    Each part begins at a cache line.
    """

    max_batch: int
    inputs: tuple[ModelInput, ...]
    served: tuple[ServedOutput, ...]

    @classmethod
    def of(cls, model: ServedModel, max_batch: int, heads: Sequence[Head]) -> BatchShape:
        """The shape of a model's batches on a server that has these of its heads."""
        own = tuple(ServedOutput(output, model.decoder_sha256[:16]) for output in model.own_outputs)
        return cls(
            max_batch,
            model.inputs,
            (*own, *(ServedOutput(head.output, head.version) for head in heads)),
        )

    @cached_property
    def outputs(self) -> tuple[Output, ...]:
        """What is answered, in order."""
        return tuple(served.output for served in self.served)

    @cached_property
    def inputs_at(self) -> tuple[int, ...]:
        """Offset of each input, in bytes."""
        return self._ends[: len(self.inputs)]

    @cached_property
    def outputs_at(self) -> tuple[int, ...]:
        """Offset of each output, in bytes."""
        return self._ends[len(self.inputs) : -1]

    @property
    def size_bytes(self) -> int:
        """The size of the whole."""
        return self._ends[-1]

    @cached_property
    def _ends(self) -> tuple[int, ...]:
        """Where each part begins, and the last ends."""
        parts: tuple[ModelInput | Output, ...] = (*self.inputs, *self.outputs)
        sizes = (aligned(part.size_bytes(self.max_batch)) for part in parts)
        return tuple(accumulate(sizes, initial=0))
