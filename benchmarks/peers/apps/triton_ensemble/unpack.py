"""The first model: packets to symbols. Triton loads this file as ``1/model.py``."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
import triton_python_backend_utils as pb_utils

from benchmarks.peers.apps.glue import Codec


class TritonPythonModel:
    """Reads packets ``(n, 1)`` bytes; answers symbols ``(n, C, h, w)`` and levels ``(n, 1)``."""

    def initialize(self, args: dict[str, str]) -> None:  # noqa: ARG002
        """Open the bundle."""
        self.codec = Codec(os.environ["PEERS_BUNDLE"])

    def execute(self, requests: list[Any]) -> list[Any]:
        """As Triton batches them."""
        return [self._answer(pb_utils.get_input_tensor_by_name(r, "packet").as_numpy()) for r in requests]

    def _answer(self, packets: Any) -> Any:  # noqa: ANN401
        frames = [self.codec.read(body) for body in packets[:, 0]]
        symbols = np.stack([frame.symbols for frame in frames])
        levels = np.array([[frame.packet.level] for frame in frames], np.int32)
        return pb_utils.InferenceResponse([pb_utils.Tensor("symbols", symbols), pb_utils.Tensor("level", levels)])
