"""What a slot in shared memory asks a server for: parts of the region that it has now, whatever became of others."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from narrows.contract.bundle import ModelInput
from narrows.contract.outputs.labels import labels_output
from orchestrator.inference.contract import ServedOutput
from orchestrator.inference.shape import BatchShape
from orchestrator.inference.slots import SharedSlot
from orchestrator.inference.triton_model import Overdue

if TYPE_CHECKING:
    from orchestrator.inference.triton_model import TritonModel

INPUTS = (ModelInput("symbols", "int8", (1, 2, 2)), ModelInput("level", "int32", (1,)))
SHAPE = BatchShape(2, INPUTS, (ServedOutput(labels_output(4, 6, ("road",)), "0" * 16),))


class Asked:
    """Keeps what a model is asked, and is silent when told to be."""

    def __init__(self) -> None:
        self.registered: list[str] = []
        self.regions: list[set[str]] = []
        self.silent = 0

    async def register(self, name: str, _: int) -> None:
        self.registered.append(name)

    async def infer(self, inputs: list[Any], outputs: list[Any]) -> Any:
        tensors = [each._get_tensor() for each in (*inputs, *outputs)]
        self.regions.append({tensor.parameters["shared_memory_region"].string_param for tensor in tensors})
        if self.silent:
            self.silent -= 1
            raise Overdue("no answer")
        n = inputs[1].shape()[0]
        return SimpleNamespace(get_output=lambda _: SimpleNamespace(datatype="UINT8", shape=(n, 4, 6)))


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
