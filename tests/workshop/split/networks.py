"""Networks to split: small ones in text, those of the wheel `onnx` with weights, and real ones where they are."""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import numpy_helper, parser

from narrows.models.split.coding_probe import Job, ways_of
from narrows.models.split.coding_times import Machines
from narrows.models.split.cuts import find_cuts
from narrows.models.split.device import Coded, Effort, Measured
from narrows.models.split.network import Network
from narrows.models.split.opening import open_network
from narrows.models.split.profile import NodeTimes, Profile

ROOT = Path(__file__).parents[3]
DATA = Path(os.environ.get("NARROWS_DATA", ROOT.parent / "shared" / "data"))
LIGHT = Path(onnx.__file__).parent / "backend/test/data/light"
FETCHED = ROOT / ".cache/networks"

RESIDUAL = """<ir_version: 8, opset_import: ["" : 17]>
g (float[1,3,8,8] picture) => (float[1,5] result) <float[4,3,3,3] w, float[4,4,1,1] v, float[4,5] u> {
  a = Conv <pads = [1,1,1,1], strides = [2,2]> (picture, w)
  b = Relu (a)
  c = Conv (b, v)
  d = Relu (c)
  e = Add (d, b)
  f = GlobalAveragePool (e)
  flat = Flatten (f)
  result = MatMul (flat, u)
}"""
"""picture → a → b ─┬→ c → d → e → f → flat → result, and b → e."""


def written(text: str, path: Path) -> Path:
    """A graph in ONNX's text form as a file; what is declared without a value gets random ones."""
    model = parser.parse_model(text)
    declared = [(each.name, each.type.tensor_type.shape.dim) for each in model.graph.value_info]
    give_weights(model, [(name, tuple(dim.dim_value for dim in dims)) for name, dims in declared])
    del model.graph.value_info[:]
    onnx.save(model, path)
    return path


def opened(text: str, folder: Path) -> Network:
    return open_network(written(text, folder / "small.onnx"))


def give_weights(model: onnx.ModelProto, wanted: Iterable[tuple[str, tuple[int, ...]]]) -> None:
    random = np.random.default_rng(7)
    names = dict(wanted)
    kept = [each for each in model.graph.initializer if each.name not in names]
    variances = {node.input[4] for node in model.graph.node if node.op_type == "BatchNormalization"}
    del model.graph.initializer[:]
    model.graph.initializer.extend(kept)
    for name, shape in names.items():
        scale = math.sqrt(2 / math.prod(shape[1:])) if len(shape) > 1 else 0.1
        values = (random.standard_normal(shape) * scale).astype(np.float32)
        values = 1 + np.abs(values) if name in variances else values
        model.graph.initializer.append(numpy_helper.from_array(values, name))


def light(name: str, folder: Path) -> Path:
    """A network of the wheel `onnx`, whose weights are all one constant there: with random ones."""
    model = onnx.load(LIGHT / f"light_{name}.onnx")
    shapes = {each.name: tuple(numpy_helper.to_array(each)) for each in model.graph.initializer}
    filled = [node for node in model.graph.node if node.op_type == "ConstantOfShape"]
    wanted = [(node.output[0], tuple(map(int, shapes[node.input[0]]))) for node in filled]
    for node in filled:
        model.graph.node.remove(node)
    give_weights(model, wanted)
    onnx.save(model, folder / f"{name}.onnx")
    return folder / f"{name}.onnx"


@dataclass(frozen=True)
class Real:
    """A network that this repository does not hold."""

    path: Path
    source: str
    input_shape: tuple[int, ...] | None = None

    def opened(self) -> Network:
        if not self.path.is_file():
            pytest.skip(f"{self.path.name} is not here: {self.source}")
        return open_network(self.path, self.input_shape)


FETCH = "make fetch-networks"
REAL = {
    "classifier": Real(FETCHED / "efficientnet-lite0.onnx", FETCH),
    "detector": Real(DATA / "networks/FastestDet.onnx", "NARROWS_DATA names the folder of its networks/"),
    "saliency": Real(FETCHED / "u2netp.onnx", FETCH),
    "text": Real(FETCHED / "ch_PP-OCRv4_det_infer.onnx", FETCH, (1, 3, 320, 320)),
    "street": Real(FETCHED / "street.onnx", FETCH),
    "street encoder": Real(ROOT / "bundles/demo/encoder.int8.onnx", "it is part of the repository"),
}


@dataclass(frozen=True)
class Told:
    """A device that has measured already: nodes, and what coding takes, the same in every way."""

    nodes: Sequence[tuple[str, float]] = ()
    whole_ms: float = 8.0
    energy_j: float | None = None
    coding_ms: tuple[float, float] = (0.5, 0.25)
    stretch: float = 1.0

    def measure(self, model: bytes, effort: Effort) -> Measured:
        assert model
        return Measured("1.0", (self.whole_ms,), self.whole_ms / 1e3, self.energy_j, tuple(self.nodes))

    def time_coding(self, job: Job) -> Coded:
        return Coded((self.coding_ms,) * len(ways_of(job)), self.stretch)


def unmeasured(network: Network, machines: Machines | None = None) -> Profile:
    """A profile in which each node takes a millisecond."""
    times = NodeTimes((1.0,) * len(network.nodes), 5.0, "estimate", "none")
    return Profile(network, times, times, find_cuts(network), machines or Machines(Told()))


def picture_for(network: Network) -> NDArray[np.generic]:
    values = np.random.default_rng(1).random(network.input.shape)
    scaled = values if network.input.is_float else values * 255
    return scaled.astype(network.input.dtype)
