"""The one way to ONNX Runtime: with its telemetry off.

From 1.31 on, importing ``onnxruntime`` writes a device id into the cache below the home folder, and some seconds later
a thread looks up a host of its maker's. ``ORT_DISABLE_TELEMETRY`` stops both, but only if it is set before the import:
so nothing else here imports ``onnxruntime`` (a lint rule says so). Triton's python backend, which runs in an
environment without this package, does it itself: ``orchestrator/servers/backends/onnxruntime/model.py``.
"""

from __future__ import annotations

import os

os.environ["ORT_DISABLE_TELEMETRY"] = "1"

from onnxruntime import GraphOptimizationLevel, InferenceSession, SessionOptions, __version__
from onnxruntime.capi import onnxruntime_pybind11_state as _state

REFUSALS: tuple[type[Exception], ...] = (
    _state.Fail,
    _state.InvalidArgument,
    _state.InvalidGraph,
    _state.InvalidProtobuf,
    _state.NoSuchFile,
    _state.NotImplemented,
    _state.RuntimeException,
)
"""What ONNX Runtime raises of a graph, or of inputs, that it does not take."""

__all__ = ["REFUSALS", "GraphOptimizationLevel", "InferenceSession", "SessionOptions", "__version__"]
