"""ONNX Runtime on a CPU, as a python-based Triton backend, where the server's own backends are not at hand.

Production configurations load unchanged: it goes by the name ``onnxruntime`` (or ``tensorrt``) and reads
``1/model.onnx``. It runs in Triton's environment, not in ours, with NumPy 1.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import triton_python_backend_utils as pb_utils

os.environ["ORT_DISABLE_TELEMETRY"] = "1"  # before the import, see narrows/runtime/onnx_runtime

import onnxruntime


class TritonPythonModel:
    """One instance: one session, by default of one thread, since Triton scales by instances."""

    def initialize(self, args: dict[str, str]) -> None:
        """Open the model of this version."""
        config = json.loads(args["model_config"])
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = _parameter(config, "intra_op_thread_count", 1)
        options.inter_op_num_threads = _parameter(config, "inter_op_thread_count", 1)
        file = config.get("default_model_filename") or "model.onnx"
        path = Path(args["model_repository"], args["model_version"], file)
        self.session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        self.inputs = [item["name"] for item in config["input"]]
        self.outputs = [item["name"] for item in config["output"]]
        there = [output.name for output in self.session.get_outputs()]
        if unknown := sorted(set(self.outputs) - set(there)):
            # as Triton's own backend does: if the warm-up met it, tearing the instance down would crash the server
            raise pb_utils.TritonModelException(f"{file} has no output {unknown}, but {there}")

    def execute(self, requests: list[Any]) -> list[Any]:
        """Run the requests as one batch; where that fails, each alone, so that one bad request fails alone."""
        try:
            return self._run(requests)
        except Exception as error:  # noqa: BLE001
            if len(requests) == 1:
                return [pb_utils.InferenceResponse(error=pb_utils.TritonError(f"{type(error).__name__}: {error}"))]
            return [self.execute([request])[0] for request in requests]

    def _run(self, requests: list[Any]) -> list[Any]:
        parts = [[pb_utils.get_input_tensor_by_name(r, name).as_numpy() for name in self.inputs] for r in requests]
        whole = parts[0] if len(parts) == 1 else [np.concatenate(columns) for columns in zip(*parts, strict=True)]
        results = self.session.run(self.outputs, dict(zip(self.inputs, whole, strict=True)))
        ends = np.cumsum([len(part[0]) for part in parts])[:-1]
        split = zip(*(np.split(result, ends) for result in results), strict=True)
        return [pb_utils.InferenceResponse(list(map(pb_utils.Tensor, self.outputs, own))) for own in split]


def _parameter(config: dict[str, Any], name: str, default: int) -> int:
    return int(config.get("parameters", {}).get(name, {}).get("string_value", default))
