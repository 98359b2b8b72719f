"""The last model: label maps to mask packets. Triton loads this file as ``1/model.py``."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
import triton_python_backend_utils as pb_utils

from benchmarks.peers.apps.glue import Codec, Frame
from narrows.contract.wire import FeaturePacket


class TritonPythonModel:
    """Reads packets ``(n, 1)`` bytes and labels ``(n, H, W)``; answers mask packets ``(n, 1)`` bytes."""

    def initialize(self, args: dict[str, str]) -> None:  # noqa: ARG002
        """Open the bundle."""
        self.codec = Codec(os.environ["PEERS_BUNDLE"])

    def execute(self, requests: list[Any]) -> list[Any]:
        """As Triton batches them."""
        return [self._answer(*(pb_utils.get_input_tensor_by_name(r, name).as_numpy() for name in ("packet", "labels")))
                for r in requests]  # fmt: skip

    def _answer(self, packets: Any, labels: Any) -> Any:  # noqa: ANN401
        masks = np.empty((len(packets), 1), object)
        for i, (body, each) in enumerate(zip(packets[:, 0], labels, strict=True)):
            frame = Frame(FeaturePacket.parse(body), np.empty(0, np.int8))
            masks[i, 0] = self.codec.mask(frame, each)
        return pb_utils.InferenceResponse([pb_utils.Tensor("mask", masks)])
