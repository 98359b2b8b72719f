"""What dispatch asks of inference: a few slots, each holding one batch on its way through the joint decoder."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
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

    async def lend(self) -> Slot:
        """A slot, to be given back; waits while all are lent. Who has it to himself for a while uses :func:`lent`.

        Raises:
            ServiceError: nobody is there who could lend one.
        """
        ...

    def give_back(self, slot: Slot) -> None:
        """Take a slot back."""
        ...

    async def ready(self) -> bool:
        """Whether a batch would be taken now."""
        ...

    async def close(self) -> None:
        """Give back what is held, here and at the server."""
        ...


@asynccontextmanager
async def lent(decoder: Decoder) -> AsyncIterator[Slot]:
    """A slot for as long as one function works with it.

    Raises:
        ServiceError: on entering it, as :meth:`Decoder.lend`.
    """
    slot = await decoder.lend()
    try:
        yield slot
    finally:
        decoder.give_back(slot)
