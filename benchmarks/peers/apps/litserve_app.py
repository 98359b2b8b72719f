"""LitServe: the network in its own workers, batched by LitServe.

As its docs advise: ``max_batch_size`` with a ``batch_timeout``, several ``workers_per_device``, fast queues; bytes
travel in JSON as base64.
"""

from __future__ import annotations

import base64
import os
import sys
from typing import Any

import litserve
import numpy as np
from fastapi import Response

from benchmarks.peers.apps.glue import Codec, Frame
from benchmarks.peers.apps.local_decoder import LocalDecoder


class Segmenter(litserve.LitAPI):
    """Frames in, masks out."""

    def setup(self, device: str) -> None:  # noqa: ARG002
        """One network a worker."""
        self.codec = Codec(os.environ["PEERS_BUNDLE"])
        self.decoder = LocalDecoder(os.environ["PEERS_ONNX"])

    def decode_request(self, request: dict[str, str]) -> Frame:
        """From the request to symbols."""
        return self.codec.read(base64.b64decode(request["packet"]))

    def batch(self, inputs: list[Frame]) -> list[Frame]:
        """Frames stay what they are: `predict` needs the packets too."""
        return inputs

    def predict(self, frames: list[Frame]) -> list[bytes]:
        """The whole batch at once."""
        symbols = np.stack([frame.symbols for frame in frames])
        levels = np.array([[frame.packet.level] for frame in frames], np.int32)
        labels = self.decoder.run(symbols, levels)
        return [self.codec.mask(frame, each) for frame, each in zip(frames, labels, strict=True)]

    def unbatch(self, output: list[bytes]) -> list[bytes]:
        """One answer a frame."""
        return output

    def encode_response(self, output: bytes) -> Any:  # noqa: ANN401
        """The mask packet as it is."""
        return Response(output, media_type="application/octet-stream")


if __name__ == "__main__":
    api = Segmenter(max_batch_size=8, batch_timeout=0.002)
    server = litserve.LitServer(api, accelerator="cpu", workers_per_device=2, fast_queue=True, timeout=False)
    server.run(host="127.0.0.1", port=int(sys.argv[1]), generate_client_file=False, log_level="warning")
