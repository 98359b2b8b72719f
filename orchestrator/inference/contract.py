"""What dispatch asks of inference: a few slots, each holding one batch on its way through the joint decoder."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any, Protocol

from numpy.typing import NDArray

from narrows.contract.errors import ServiceError
from narrows.contract.outputs import Output

Batch = tuple[NDArray[Any], ...]
"""The outputs of a batch in the order of the slot's ``served``, each ``(n, *shape)`` in its dtype.

One after the first that came in another form is of no samples, ``(0, *shape)``.
"""


Inputs = Mapping[str, NDArray[Any]]
"""What a model takes, by Triton's name of it: of one frame, or of a batch."""


@dataclass(frozen=True, slots=True)
class ServedOutput:
    """An output as a server answers it, and the version of what makes it: 16 hexadecimal digits."""

    output: Output
    version: str


class ServerLost(ServiceError):
    """The server of this batch is gone, and others may be there: the frames may be sent again at once."""


class Slot(Protocol):
    """The memory of one batch. Take the arrays from the slot anew after a failed :meth:`run`."""

    @property
    def served(self) -> tuple[ServedOutput, ...]:
        """What :meth:`run` answers: the model's outputs, a label map first where there is one, then the heads'."""
        ...

    @property
    def inputs(self) -> Inputs:
        """``(max_batch, …)`` of each input; write the first ``n``."""
        ...

    async def run(self, n: int) -> Batch:
        """Decode the first ``n`` samples; what is answered is valid until the slot is released.

        Raises:
            ServerLost: the server of this slot died; the frames are innocent, and another slot may be had at once.
            ServiceError: Triton is absent, or does not serve the model (now); the frames are innocent.
            InferenceFailed: Triton refused or failed this batch, or answered a label map of another form or one that
                cannot be; values of the outputs after it are not looked at.
        """
        ...


class Decoder(Protocol):
    """The joint decoder of one bundle, on one server or many. How many slots it lends at once is its own affair."""

    @property
    def max_batch(self) -> int:
        """The largest batch that any slot takes."""
        ...

    def slot(self) -> AbstractAsyncContextManager[Slot]:
        """Borrow a slot; waits while all are lent.

        Raises:
            ServiceError: on entering it, if nobody is there who could lend one.
        """
        ...

    async def ready(self) -> bool:
        """Whether a batch would be taken now."""
        ...

    async def close(self) -> None:
        """Give back what is held, here and at the server."""
        ...
