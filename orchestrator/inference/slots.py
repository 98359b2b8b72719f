"""The two ways of a batch to Triton: through memory that both map, or inside the gRPC message."""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress

import numpy as np

from narrows.contract.errors import InferenceFailed, ServiceError
from narrows.contract.outputs import kind_of
from orchestrator.inference.contract import Batch, Inputs
from orchestrator.inference.infer_message import InferAnswer, plain_request, shared_request, wanted_form
from orchestrator.inference.region import SharedRegion
from orchestrator.inference.shape import BatchShape
from orchestrator.inference.triton_model import Overdue, RegionUnknown, TritonModel, Unanswered
from orchestrator.telemetry.faults import Cause

_SETTLED_S = 60.0


class PlainSlot:
    """A slot in this process's memory; its batches travel inside the messages."""

    def __init__(self, model: TritonModel, shape: BatchShape) -> None:
        self.inputs = {each.name: np.zeros((shape.max_batch, *each.shape), each.dtype) for each in shape.inputs}
        self._model = model
        self._shape = shape
        self.served = shape.served

    async def run(self, n: int) -> Batch:
        """See :class:`orchestrator.inference.contract.Slot`."""
        answer = await self._infer(plain_request(self._model.name, self._shape, n, self.inputs))
        return _checked(answer, tuple(map(answer.values, self._shape.outputs)), self._shape, n)

    async def close(self) -> None:
        """Nothing is held."""

    async def _infer(self, request: bytes) -> InferAnswer:
        try:
            return await self._model.infer(request)
        except Overdue:
            return await self._model.infer(request)


class SharedSlot:
    """A slot in shared memory: the messages name it, and the outputs land in it.

    The server forgets registrations when it restarts: then the region is registered again and the batch sent once
    more; if its name vanished too, a fresh one takes over. If no answer came, the server may still write the old
    region: it is given up, and a fresh one takes over.
    """

    inputs: Inputs

    def __init__(self, model: TritonModel, shape: BatchShape) -> None:
        self._model = model
        self._shape = shape
        self.served = shape.served
        self._given_up: list[tuple[str, float]] = []
        self._map()

    async def register(self) -> None:
        """Have the server map the region.

        Raises:
            ServiceError: it cannot.
        """
        await self._model.register(self._region.name, self._region.size_bytes)
        self._registered = True
        await self._forget_settled()

    async def run(self, n: int) -> Batch:
        """See :class:`orchestrator.inference.contract.Slot`."""
        try:
            return await self._run_registered(n)
        except Overdue:
            self._renew()
        except (Unanswered, asyncio.CancelledError):
            self._renew()
            raise
        return await self._run_again(n)

    async def close(self) -> None:
        """Remove the name, here and at the server.

        What was given up a moment ago stays mapped there: a server that was frozen goes on with its batch when it
        thaws, and would die if the memory were gone by then.
        """
        self._region.unlink()
        await self._forget_settled()
        with suppress(ServiceError, InferenceFailed):  # a server that is gone has forgotten it anyway
            await self._model.unregister(self._region.name)

    async def _forget_settled(self) -> None:
        """Have the server let go what was given up long ago: one that hangs now and then would keep ever more of it."""
        settled_s = time.monotonic() - _SETTLED_S
        while self._given_up and self._given_up[0][1] < settled_s:
            name, _ = self._given_up.pop(0)
            with suppress(ServiceError, InferenceFailed):
                await self._model.unregister(name)

    async def _run_again(self, n: int) -> Batch:
        """The instance that hung was replaced; a second silence is the server's."""
        try:
            return await self._run_registered(n)
        except (Unanswered, asyncio.CancelledError):
            self._renew()
            raise

    async def _run_registered(self, n: int) -> Batch:
        try:
            return await self._run(n)
        except RegionUnknown as error:
            self._model.report(Cause.TRITON_REGIONS_LOST, str(error))
            self._registered = False
            if not self._region.named:
                self._renew()
            return await self._run(n)

    async def _run(self, n: int) -> Batch:
        if not self._registered:
            await self.register()
        answer = await self._model.infer(self._request(n))
        return _checked(answer, tuple(values[:n] for values in self._outputs), self._shape, n)

    def _request(self, n: int) -> bytes:
        """What names the region's parts in a batch of ``n``: the same each time, as long as the region is."""
        if n not in self._requests:
            self._requests[n] = shared_request(self._model.name, self._shape, n, self._region.name)
        return self._requests[n]

    def _map(self) -> None:
        shape = self._shape
        self._region = SharedRegion(shape.size_bytes)
        self._registered = False
        self._requests: dict[int, bytes] = {}
        full = shape.max_batch
        part = self._region.bytes_at
        self.inputs = {
            each.name: part(at, each.size_bytes(full)).view(each.dtype).reshape(full, *each.shape)
            for each, at in zip(shape.inputs, shape.inputs_at, strict=True)
        }
        self._outputs = tuple(
            part(at, output.size_bytes(full)).view(output.dtype).reshape(full, *output.shape)
            for output, at in zip(shape.outputs, shape.outputs_at, strict=True)
        )

    def _renew(self) -> None:
        before = self.inputs
        self._given_up.append((self._region.name, time.monotonic()))
        self._region.unlink()
        self._map()
        for name, values in before.items():
            self.inputs[name][:] = values


def _checked(answer: InferAnswer, batch: Batch, shape: BatchShape, n: int) -> Batch:
    """Refuse a first output that cannot be, and leave out what came in another form after it.

    What an answer of another form leaves unwritten in shared memory are values of earlier frames. The values of outputs
    after the first are looked at frame by frame, where they are taken.
    """
    first, *further = shape.outputs
    found, wanted = answer.form(first.name), wanted_form(first, n)
    if found != wanted:
        raise InferenceFailed(f"Triton answered {found} for output {first.name}, not {wanted}")
    kind_of(first).check_answer(first, batch[0])
    rest = (
        values if answer.form(output.name) == wanted_form(output, n) else np.empty((0, *output.shape), output.dtype)
        for output, values in zip(further, batch[1:], strict=True)
    )
    return batch[0], *rest
