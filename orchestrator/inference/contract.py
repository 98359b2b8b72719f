"""What dispatch asks of inference: a few slots, each holding one batch on its way through the joint decoder."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from typing import Protocol

import numpy as np
from numpy.typing import NDArray


class Slot(Protocol):
    """The memory of one batch. Take the arrays from the slot anew after a failed :meth:`run`.

    Attributes:
        symbols: int8 ``(max_batch, C, h, w)``; write the first ``n``.
        levels: int32 ``(max_batch, 1)``, each sample's rate level.
    """

    symbols: NDArray[np.int8]
    levels: NDArray[np.int32]

    async def run(self, n: int) -> NDArray[np.uint8]:
        """Decode the first ``n`` samples; the label maps ``(n, H, W)`` are valid until the slot is released.

        Raises:
            ServiceError: Triton is absent, or does not serve the model (now); the frames are innocent.
            InferenceFailed: Triton refused or failed this batch.
        """
        ...


class Decoder(Protocol):
    """The joint decoder of one bundle, wherever it runs."""

    max_batch: int

    def slot(self) -> AbstractAsyncContextManager[Slot]:
        """Borrow a slot; waits while all are lent."""
        ...

    async def ready(self) -> bool:
        """Whether a batch would be taken now."""
        ...

    async def close(self) -> None:
        """Give back what is held, here and at the server."""
        ...
