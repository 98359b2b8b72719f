"""The decoder inside a worker, for servers that run the network themselves."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from narrows.runtime.onnx_runtime import InferenceSession, SessionOptions


class LocalDecoder:
    """ONNX Runtime with one thread, as Triton runs it; with ``PEERS_LABELS`` the near-free model instead."""

    def __init__(self, model: str | Path) -> None:
        stored = os.environ.get("PEERS_LABELS")
        self._labels = np.load(stored) if stored else None
        options = SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        self._session = InferenceSession(str(model), options, providers=["CPUExecutionProvider"])

    def run(self, symbols: NDArray[np.int8], levels: NDArray[Any]) -> NDArray[np.uint8]:
        """Label maps ``(n, H, W)`` uint8 of symbols ``(n, C, h, w)`` and levels ``(n, 1)`` int32."""
        if self._labels is not None:
            return np.ascontiguousarray(self._labels[np.arange(len(symbols)) % len(self._labels)])
        labels: NDArray[np.uint8] = self._session.run(["labels"], {"symbols": symbols, "level": levels})[0]
        return labels
