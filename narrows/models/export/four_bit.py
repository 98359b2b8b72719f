"""Whether the runtime here executes convolutions of 4-bit weights, or only stores them so and computes in float."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper

from narrows.contract.errors import PrecisionRefused
from narrows.runtime.onnx_runtime import REFUSALS, InferenceSession, SessionOptions
from narrows.runtime.onnx_runtime import __version__ as VERSION  # noqa: N812 -- a constant here
from narrows.runtime.surroundings import scratch_folder

_OPSET, _IR_VERSION = 21, 10
INTEGER_CONVOLUTIONS = frozenset({"QLinearConv", "ConvInteger"})


def check_four_bit_convolutions() -> None:
    """Have a convolution of 4-bit weights optimised as it would be at the camera, and look at what became of it.

    Raises:
        PrecisionRefused: it is none of integers, or is refused.
    """
    with scratch_folder() as folder:
        try:
            operators = executed_operators(four_bit_convolution(), folder / "optimised.onnx")
        except REFUSALS as error:
            raise PrecisionRefused(
                f"ONNX Runtime {VERSION} refuses a convolution of 4-bit weights: use 8 bits ({error})"
            ) from None
    if not operators & INTEGER_CONVOLUTIONS:
        raise PrecisionRefused(
            f"ONNX Runtime {VERSION} runs convolutions of 4-bit weights as {', '.join(sorted(operators))}, in float: "
            "that is smaller on disk, and slower than 8 bits. Use 8 bits"
        )


def executed_operators(model: onnx.ModelProto, path: Path) -> frozenset[str]:
    """The operators of a graph as the runtime will execute it; ``path`` is written."""
    options = SessionOptions()
    options.log_severity_level = 4
    options.optimized_model_filepath = str(path)
    InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return frozenset(node.op_type for node in onnx.load(path).graph.node)


def four_bit_convolution(weight_type: int = TensorProto.INT4) -> onnx.ModelProto:
    """A convolution between pairs of quantise and dequantise, of weights of this type."""
    weights = helper.make_tensor("weights", weight_type, [4, 4, 1, 1], np.arange(16) % 7 - 3)
    scale = helper.make_tensor("scale", TensorProto.FLOAT, [], [0.1])
    zero = helper.make_tensor("zero", TensorProto.UINT8, [], [0])
    nodes = [
        helper.make_node("QuantizeLinear", ["x", "scale", "zero"], ["x8"]),
        helper.make_node("DequantizeLinear", ["x8", "scale", "zero"], ["xf"]),
        helper.make_node("DequantizeLinear", ["weights", "scale"], ["wf"]),
        helper.make_node("Conv", ["xf", "wf"], ["yf"]),
        helper.make_node("QuantizeLinear", ["yf", "scale", "zero"], ["y8"]),
        helper.make_node("DequantizeLinear", ["y8", "scale", "zero"], ["y"]),
    ]
    shape = [1, 4, 8, 8]
    graph = helper.make_graph(
        nodes,
        "probe",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, shape)],
        [weights, scale, zero],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", _OPSET)], ir_version=_IR_VERSION)
