"""A Triton model with the decoder's signature that costs next to nothing: it answers stored label maps.

This file is copied into a model repository as ``1/model.py`` and loaded by Triton's python backend.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import triton_python_backend_utils as pb_utils


class TritonPythonModel:
    """Answers every sample with the next stored label map, so that masks are as hard to pack as real ones."""

    def initialize(self, args: dict[str, str]) -> None:
        """Read the label maps ``(n, H, W)`` uint8."""
        self.labels = np.load(Path(args["model_repository"], args["model_version"], "labels.npy"))

    def execute(self, requests: list[Any]) -> list[Any]:
        """As many label maps as samples."""
        return [self._answer(len(pb_utils.get_input_tensor_by_name(r, "level").as_numpy())) for r in requests]

    def _answer(self, count: int) -> Any:  # noqa: ANN401
        labels = np.ascontiguousarray(self.labels[np.arange(count) % len(self.labels)])
        return pb_utils.InferenceResponse([pb_utils.Tensor("labels", labels)])
