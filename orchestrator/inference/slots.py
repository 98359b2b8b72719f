"""The two ways of a batch to Triton: through memory that both map, or inside the gRPC message."""

from __future__ import annotations

import asyncio
import time

import numpy as np
from tritonclient.grpc import InferInput, InferRequestedOutput, InferResult

from narrows.contract.errors import InferenceFailed, ServiceError
from narrows.contract.outputs import Output, kind_of
from narrows.runtime.triton_config import DATA_TYPES
from orchestrator.inference.contract import Batch, Inputs
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
        inputs = _inputs(n, self._shape)
        for given in inputs:
            given.set_data_from_numpy(self.inputs[given.name()][:n])
        result = await self._infer(inputs)
        return _checked(result, tuple(result.as_numpy(output.name) for output in self._shape.outputs), self._shape, n)

    async def close(self) -> None:
        """Nothing is held."""

    async def _infer(self, inputs: list[InferInput]) -> InferResult:
        outputs = [InferRequestedOutput(output.name) for output in self._shape.outputs]
        try:
            return await self._model.infer(inputs, outputs)
        except Overdue:
            return await self._model.infer(inputs, outputs)


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
        settled_s = time.monotonic() - _SETTLED_S
        settled = [name for name, since_s in self._given_up if since_s < settled_s]
        for name in (*settled, self._region.name):
            try:
                await self._model.unregister(name)
            except (ServiceError, InferenceFailed):
                continue  # a server that is gone has forgotten it anyway

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
        result = await self._model.infer(*self._request(n))
        return _checked(result, tuple(values[:n] for values in self._outputs), self._shape, n)

    def _request(self, n: int) -> tuple[list[InferInput], list[InferRequestedOutput]]:
        """What names the region's parts in a batch of ``n``: the same each time, as long as the region is."""
        if n not in self._requests:
            shape, name = self._shape, self._region.name
            inputs = _inputs(n, shape)
            for given, declared, at in zip(inputs, shape.inputs, shape.inputs_at, strict=True):
                given.set_shared_memory(name, declared.size_bytes(n), at)
            outputs = [InferRequestedOutput(output.name) for output in shape.outputs]
            for requested, output, at in zip(outputs, shape.outputs, shape.outputs_at, strict=True):
                requested.set_shared_memory(name, output.size_bytes(n), at)
            self._requests[n] = inputs, outputs
        return self._requests[n]

    def _map(self) -> None:
        shape = self._shape
        self._region = SharedRegion(shape.size_bytes)
        self._registered = False
        self._requests: dict[int, tuple[list[InferInput], list[InferRequestedOutput]]] = {}
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


def _inputs(n: int, shape: BatchShape) -> list[InferInput]:
    if not 1 <= n <= shape.max_batch:
        raise ValueError(f"a batch has 1 to {shape.max_batch} samples, not {n}")
    return [InferInput(each.name, [n, *each.shape], DATA_TYPES[each.dtype]) for each in shape.inputs]


def _checked(result: InferResult, batch: Batch, shape: BatchShape, n: int) -> Batch:
    """Refuse a first output that cannot be, and leave out what came in another form after it.

    What an answer of another form leaves unwritten in shared memory are values of earlier frames. The values of outputs
    after the first are looked at frame by frame, where they are taken.
    """
    first, *further = shape.outputs
    if not _is_of_form(result, first, n):
        raise InferenceFailed(
            f"Triton answered {_form(result, first)} for output {first.name}, not {_wanted(first, n)}"
        )
    kind_of(first).check_answer(first, batch[0])
    rest = (
        values if _is_of_form(result, output, n) else np.empty((0, *output.shape), output.dtype)
        for output, values in zip(further, batch[1:], strict=True)
    )
    return batch[0], *rest


def _is_of_form(result: InferResult, output: Output, n: int) -> bool:
    return _form(result, output) == _wanted(output, n)


def _form(result: InferResult, output: Output) -> tuple[str, tuple[int, ...]] | None:
    found = result.get_output(output.name)
    return None if found is None else (found.datatype, tuple(found.shape))


def _wanted(output: Output, n: int) -> tuple[str, tuple[int, ...]]:
    return DATA_TYPES[output.dtype], (n, *output.shape)
