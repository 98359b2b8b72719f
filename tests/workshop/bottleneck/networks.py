"""Small networks that are compressed: one in int8, and one that gives a label map behind an enlarging Gather."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper, parser

from narrows.models.split.network import Network
from narrows.models.split.opening import open_network

INT8 = """<ir_version: 8, opset_import: ["" : 17]>
g (float[1,3,8,8] picture) => (float[1,5,8,8] scores)
<int8[12,3,3,3] w_q, float[12] w_s, int8[4] w_z, int32[12] b_q, float[12] b_s,
 int8[5,12,1,1] v_q, float[5] v_s, int32[5] c_q, float[5] c_s, float p_s, float a_s, int8 zero> {
  w = DequantizeLinear <axis = 0> (w_q, w_s, w_z)
  b = DequantizeLinear <axis = 0> (b_q, b_s)
  v = DequantizeLinear <axis = 0> (v_q, v_s)
  c = DequantizeLinear <axis = 0> (c_q, c_s)
  pq = QuantizeLinear (picture, p_s, zero)
  p = DequantizeLinear (pq, p_s, zero)
  h = Conv <pads = [1,1,1,1]> (p, w, b)
  hq = QuantizeLinear (h, a_s, zero)
  hf = DequantizeLinear (hq, a_s, zero)
  scores = Conv (hf, v, c)
}"""
"""picture → whole numbers → w → hq, the cut → v → scores, as ONNX Runtime's quantiser writes it."""
LABELLED = """<ir_version: 8, opset_import: ["" : 17]>
g (float[1,3,8,8] picture) => (uint8[1,8,8] labels) <float[12,3,3,3] w, float[12,12,3,3] v, float[4,12,1,1] u> {
  a = Conv <pads = [1,1,1,1], strides = [2,2]> (picture, w)
  b = Relu (a)
  c = Conv <pads = [1,1,1,1]> (b, v)
  d = Relu (c)
  e = Conv (d, u)
  scales = Constant <value = float[4] {1.0, 1.0, 1.0, 2.0}> ()
  logits = Resize <mode = "linear"> (e, , scales)
  small = ArgMax <axis = 1, keepdims = 0> (logits)
  rows = Constant <value = int64[8] {0, 0, 1, 1, 2, 2, 3, 3}> ()
  large = Gather <axis = 1> (small, rows)
  labels = Cast <to = 2> (large)
}"""


def as_constants(path: Path) -> Path:
    """With `Constant` nodes in the place of initialisers, as some exporters write all weights."""
    model = onnx.load(path)
    nodes = [helper.make_node("Constant", [], [each.name], value=each) for each in model.graph.initializer]
    nodes += model.graph.node
    del model.graph.initializer[:]
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    onnx.save(model, path)
    return path


def int8_network(folder: Path) -> Network:
    """With weights at random, of scales and biases that fit each other."""
    random = np.random.default_rng(11)
    model = parser.parse_model(INT8.replace("int8[4] w_z", "int8[12] w_z"))
    step, activation = np.float32(1 / 127), np.float32(0.02)
    values: dict[str, np.generic | NDArray[np.generic]] = {"p_s": step, "a_s": activation, "zero": np.array(0, np.int8)}
    for weight, bias, shape, read in (("w", "b", (12, 3, 3, 3), step), ("v", "c", (5, 12, 1, 1), activation)):
        floats = random.standard_normal(shape).astype(np.float32) * 0.3
        scale = (np.abs(floats).max(axis=(1, 2, 3)) / 127).astype(np.float32)
        values[f"{weight}_q"] = np.rint(floats / scale[:, None, None, None]).astype(np.int8)
        values[f"{weight}_s"] = scale
        values[f"{bias}_s"] = scale * read
        values[f"{bias}_q"] = random.integers(-500, 500, shape[0]).astype(np.int32)
    values["w_z"] = np.zeros(12, np.int8)
    del model.graph.value_info[:]
    model.graph.initializer.extend(numpy_helper.from_array(np.asarray(each), name) for name, each in values.items())
    onnx.save(model, folder / "int8.onnx")
    return open_network(folder / "int8.onnx")
