"""What a slot in shared memory asks a server for: parts of the region that it has now, whatever became of others."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, cast

import numpy as np
import pytest
from tritonclient.grpc import service_pb2

from narrows.contract.bundle import ModelInput
from narrows.contract.outputs.labels import labels_output
from orchestrator.inference.contract import Inputs, ServedOutput
from orchestrator.inference.infer_message import InferAnswer, plain_request, shared_request
from orchestrator.inference.shape import BatchShape
from orchestrator.inference.slots import SharedSlot
from orchestrator.inference.triton_model import Overdue

if TYPE_CHECKING:
    from orchestrator.inference.triton_model import TritonModel

INPUTS = (ModelInput("symbols", "int8", (1, 2, 2)), ModelInput("level", "int32", (1,)))
SHAPE = BatchShape(2, INPUTS, (ServedOutput(labels_output(4, 6, ("road",)), "0" * 16),))


class Asked:
    """Keeps what a model is asked, and is silent when told to be."""

    name = "model"

    def __init__(self) -> None:
        self.registered: list[str] = []
        self.unregistered: list[str] = []
        self.regions: list[set[str]] = []
        self.silent = 0

    async def register(self, name: str, _: int) -> None:
        self.registered.append(name)

    async def unregister(self, name: str) -> None:
        self.unregistered.append(name)

    async def infer(self, request: bytes) -> InferAnswer:
        asked = service_pb2.ModelInferRequest.FromString(request)
        tensors = (*asked.inputs, *asked.outputs)
        self.regions.append({tensor.parameters["shared_memory_region"].string_param for tensor in tensors})
        if self.silent:
            self.silent -= 1
            raise Overdue("no answer")
        return answering("labels", "UINT8", (asked.inputs[0].shape[0], 4, 6))


def answering(name: str, datatype: str, shape: Sequence[int], *contents: bytes) -> InferAnswer:
    answer = service_pb2.ModelInferResponse(raw_output_contents=contents)
    answer.outputs.add(name=name, datatype=datatype, shape=shape)
    return InferAnswer(answer.SerializeToString())


async def test_each_batch_names_the_region_of_its_time_also_after_one_was_given_up() -> None:
    model = Asked()
    slot = SharedSlot(cast("TritonModel", model), SHAPE)
    try:
        await slot.run(2)
        model.silent = 1
        await slot.run(2)
        await slot.run(2)
        first, second = model.registered
        assert first != second
        assert model.regions == [{first}, {first}, {second}, {second}]
        assert np.array_equal(slot.inputs["symbols"], np.zeros((2, 1, 2, 2), np.int8))
    finally:
        slot._region.unlink()


@pytest.mark.parametrize(("settled_s", "left"), [(-1.0, 1), (3600.0, 6)], ids=["long ago", "just now"])
async def test_a_server_that_hangs_now_and_then_keeps_no_region_of_long_ago(
    monkeypatch: pytest.MonkeyPatch, settled_s: float, left: int
) -> None:
    monkeypatch.setattr("orchestrator.inference.slots._SETTLED_S", settled_s)
    model = Asked()
    slot = SharedSlot(cast("TritonModel", model), SHAPE)
    for _ in range(5):
        model.silent = 1
        await slot.run(2)
    assert len(model.registered) == 6
    assert model.unregistered == model.registered[: 6 - left]
    await slot.close()
    assert model.unregistered == [*model.registered[: 6 - left], model.registered[-1]]


def test_a_request_names_each_part_of_the_region_by_place_and_size() -> None:
    asked = service_pb2.ModelInferRequest.FromString(shared_request("model", SHAPE, 1, "own"))
    assert asked.model_name == "model"
    assert [(each.name, each.datatype, list(each.shape)) for each in asked.inputs] == [
        ("symbols", "INT8", [1, 1, 2, 2]),
        ("level", "INT32", [1, 1]),
    ]
    placed = [
        (
            each.name,
            each.parameters["shared_memory_byte_size"].int64_param,
            each.parameters["shared_memory_offset"].int64_param,
        )
        for each in (*asked.inputs, *asked.outputs)
    ]
    at = (*SHAPE.inputs_at, *SHAPE.outputs_at)
    assert placed == [("symbols", 4, at[0]), ("level", 4, at[1]), ("labels", 24, at[2])]


def test_inputs_that_travel_inside_are_those_of_the_batch_and_no_more() -> None:
    inputs: Inputs = {
        "symbols": np.arange(8, dtype=np.int8).reshape(2, 1, 2, 2),
        "level": np.array([[3], [4]], np.int32),
    }
    asked = service_pb2.ModelInferRequest.FromString(plain_request("model", SHAPE, 1, inputs))
    assert list(asked.raw_input_contents) == [bytes(range(4)), np.int32(3).tobytes()]


@pytest.mark.parametrize("n", [0, 3])
def test_a_batch_that_no_slot_has_is_refused(n: int) -> None:
    with pytest.raises(ValueError, match="1 to 2 samples"):
        shared_request("model", SHAPE, n, "own")


def test_values_are_read_in_the_form_that_they_came_in_and_none_where_they_did_not() -> None:
    (output,) = SHAPE.outputs
    values = np.arange(24, dtype=np.uint8).reshape(1, 4, 6)
    assert np.array_equal(answering("labels", "UINT8", (1, 4, 6), values.tobytes()).values(output), values)
    for other in (
        answering("labels", "UINT8", (1, 4, 6)),
        answering("labels", "FP32", (1, 4, 6), bytes(96)),
        answering("scores", "UINT8", (1, 4, 6), values.tobytes()),
    ):
        assert other.values(output).shape == (0, 4, 6)
    assert answering("scores", "UINT8", (1, 4, 6)).form("labels") is None
