"""The two graphs of a cut, and both in one process.

::

    picture ─► head ─► what crosses ─► tail ─► result
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import onnx
from numpy.typing import NDArray
from onnx.utils import Extractor

from narrows.models.split.cuts import Cut
from narrows.models.split.network import Network
from narrows.runtime.onnx_runtime import GraphOptimizationLevel, InferenceSession, SessionOptions

Values = Mapping[str, NDArray[Any]]


@dataclass(frozen=True, eq=False)
class Halves:
    """The graphs of a cut: the head gives ``Cut.names``, the tail takes them, in that order.

    A tensor of the input or of the result may cross: then one half has nothing to do with it, and passes it on.
    """

    network: Network
    cut: Cut
    head: onnx.ModelProto
    tail: onnx.ModelProto


def take_apart(network: Network, cut: Cut) -> Halves:
    """Both graphs, with what is constant in each that needs it."""
    extractor = Extractor(network.model)
    made = [name for name in cut.names if name != network.input.name]
    results = [name for name in network.outputs if name not in cut.names]
    head = extractor.extract_model([network.input.name], made)
    return Halves(network, cut, head, extractor.extract_model(list(cut.names), results))


class Runner:
    """One graph in ONNX Runtime."""

    def __init__(self, model: onnx.ModelProto, *, optimised: bool = True, threads: int = 1) -> None:
        """Open a session; not ``optimised``, every node is computed as it stands."""
        options = SessionOptions()
        options.intra_op_num_threads = threads
        options.log_severity_level = 4  # what is refused is raised
        if not optimised:
            options.graph_optimization_level = GraphOptimizationLevel.ORT_DISABLE_ALL
        self._session = InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
        self._inputs = [each.name for each in self._session.get_inputs()]
        self._outputs = [each.name for each in self._session.get_outputs()]

    def __call__(self, values: Values) -> Values:
        """What the graph makes of its inputs, by name; values beyond them are passed on."""
        made = self._session.run(self._outputs, {name: values[name] for name in self._inputs})
        return {**values, **dict(zip(self._outputs, made, strict=True))}
