"""The names in a head's graph: inputs are called as the decoder calls them, all between as nothing there is."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import onnx


def rename(path: Path, inputs: Mapping[str, str], output: str) -> None:
    """Write a graph anew with its inputs renamed; what is neither input nor ``output`` gets a prefix.

    An exporter names values by their operators, as it did in the decoder's graph: ``relu``, ``slice_1``.
    """
    model = onnx.load(path)
    graph = model.graph

    def renamed(name: str) -> str:
        return inputs.get(name) or (name if name in {output, ""} else f"own_{name}")

    for node in graph.node:
        node.input[:] = [renamed(name) for name in node.input]
        node.output[:] = [renamed(name) for name in node.output]
    for value in (*graph.input, *graph.initializer):
        value.name = renamed(value.name)
    del graph.value_info[:]
    onnx.checker.check_model(model)
    onnx.save(model, path)
