"""Ray Serve: two replicas of a deployment, batched by ``serve.batch``.

As its docs advise: batching in an async method with a short wait, as many ongoing requests as two batches need, one
thread of the network a replica.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from typing import Any

import numpy as np
import ray
from ray import serve
from starlette.requests import Request
from starlette.responses import Response

from benchmarks.peers.apps.glue import Codec
from benchmarks.peers.apps.local_decoder import LocalDecoder


@serve.deployment(num_replicas=2, max_ongoing_requests=32, ray_actor_options={"num_cpus": 1})
class Segmenter:
    """Frames in, masks out."""

    def __init__(self) -> None:
        self.codec = Codec(os.environ["PEERS_BUNDLE"])
        self.decoder = LocalDecoder(os.environ["PEERS_ONNX"])

    @serve.batch(max_batch_size=8, batch_wait_timeout_s=0.002)
    async def segment(self, bodies: list[bytes]) -> list[bytes]:
        """The whole batch at once."""
        frames = [self.codec.read(body) for body in bodies]
        symbols = np.stack([frame.symbols for frame in frames])
        levels = np.array([[frame.packet.level] for frame in frames], np.int32)
        labels = await asyncio.to_thread(self.decoder.run, symbols, levels)
        return [self.codec.mask(frame, each) for frame, each in zip(frames, labels, strict=True)]

    async def __call__(self, request: Request) -> Response:
        """One frame's request."""
        mask: Any = await self.segment(await request.body())
        return Response(mask, media_type="application/octet-stream")


if __name__ == "__main__":
    ray.init(include_dashboard=False, log_to_driver=False, num_cpus=4)
    serve.start(http_options={"host": "127.0.0.1", "port": int(sys.argv[1])}, logging_config={"log_level": "WARNING"})
    serve.run(Segmenter.bind())  # type: ignore[attr-defined]
    signal.sigwait({signal.SIGTERM, signal.SIGINT})
    serve.shutdown()
    ray.shutdown()
