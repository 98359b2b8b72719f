"""A batch as Triton's gRPC service asks for it and answers it (``ModelInfer`` of the KServe v2 protocol).

A request that names shared memory is the same for each batch of a size, so a slot keeps its bytes: tritonclient would
make its objects, and a message of them, for each.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from google.protobuf.message import DecodeError
from numpy.typing import NDArray
from tritonclient.grpc import service_pb2

from narrows.contract.bundle import ModelInput
from narrows.contract.errors import InferenceFailed
from narrows.contract.outputs import Output
from narrows.runtime.triton_config import DATA_TYPES
from orchestrator.inference.contract import Inputs
from orchestrator.inference.shape import BatchShape

METHOD = "/inference.GRPCInferenceService/ModelInfer"
Form = tuple[str, tuple[int, ...]]
"""A data type as Triton names it, and a shape."""


def shared_request(model: str, shape: BatchShape, n: int, region: str) -> bytes:
    """A batch of ``n`` whose inputs lie in a region of shared memory, and whose outputs shall."""
    request = _request(model, shape, n)
    placed: Iterable[tuple[Any, ModelInput | Output, int]] = (
        *zip(request.inputs, shape.inputs, shape.inputs_at, strict=True),
        *zip(request.outputs, shape.outputs, shape.outputs_at, strict=True),
    )
    for tensor, part, at in placed:
        tensor.parameters["shared_memory_region"].string_param = region
        tensor.parameters["shared_memory_byte_size"].int64_param = part.size_bytes(n)
        if at:
            tensor.parameters["shared_memory_offset"].int64_param = at
    return bytes(request.SerializeToString())


def plain_request(model: str, shape: BatchShape, n: int, inputs: Inputs) -> bytes:
    """A batch of the first ``n`` samples of these inputs, which travel inside it."""
    request = _request(model, shape, n)
    request.raw_input_contents.extend(inputs[each.name][:n].tobytes() for each in shape.inputs)
    return bytes(request.SerializeToString())


class InferAnswer:
    """What came back.

    Raises:
        InferenceFailed: bytes that are no answer.
    """

    def __init__(self, message: bytes) -> None:
        try:
            self._response = service_pb2.ModelInferResponse.FromString(message)
        except DecodeError:
            raise InferenceFailed(f"Triton answered {len(message)} bytes that are no ModelInferResponse") from None
        self._place = {output.name: place for place, output in enumerate(self._response.outputs)}

    def form(self, name: str) -> Form | None:
        """The data type and shape of an output; ``None``: it is not among them."""
        place = self._place.get(name)
        if place is None:
            return None
        output = self._response.outputs[place]
        return output.datatype, tuple(output.shape)

    def values(self, output: Output) -> NDArray[Any]:
        """An output's values where they travel inside, in the shape that they came in; none if they did not.

        Raises:
            InferenceFailed: they are more, or fewer, than that shape has.
        """
        contents: Sequence[bytes] = self._response.raw_output_contents
        place = self._place.get(output.name, len(contents))
        form = self.form(output.name)
        if form is None or place >= len(contents) or form[0] != DATA_TYPES[output.dtype]:
            return np.empty((0, *output.shape), output.dtype)
        try:
            return np.frombuffer(contents[place], output.dtype).reshape(form[1])
        except ValueError:
            held = len(contents[place])
            raise InferenceFailed(f"Triton answered {held} bytes for output {output.name} of {form[1]}") from None


def wanted_form(output: Output, n: int) -> Form:
    """What a batch of ``n`` shall answer."""
    return DATA_TYPES[output.dtype], (n, *output.shape)


def _request(model: str, shape: BatchShape, n: int) -> Any:  # noqa: ANN401 - a message of protobuf
    if not 1 <= n <= shape.max_batch:
        raise ValueError(f"a batch has 1 to {shape.max_batch} samples, not {n}")
    request = service_pb2.ModelInferRequest(model_name=model)
    for each in shape.inputs:
        request.inputs.add(name=each.name, datatype=DATA_TYPES[each.dtype], shape=[n, *each.shape])
    for output in shape.outputs:
        request.outputs.add(name=output.name)
    return request
