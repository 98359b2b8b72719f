"""FastStream workers on a Redis stream, with tritonclient; Triton's dynamic batcher makes the batches.

As FastStream's docs advise: a consumer group, a consumer name of each process, several messages at a time by
``max_workers``, several processes by ``faststream run --workers``, and a second subscriber that claims what a dead
process left.
"""

from __future__ import annotations

import os
from typing import Any

import numpy as np
import tritonclient.grpc.aio as triton
from faststream import Context, ContextRepo, FastStream
from faststream.redis import RedisBroker, StreamSub

from benchmarks.peers.apps.glue import Codec

FEATURES, MASKS = "features", "masks"
CONSUMER = {"group": "decoders", "consumer": f"decoder-{os.getpid()}"}

codec = Codec(os.environ["PEERS_BUNDLE"])
model = os.environ["PEERS_MODEL"]
broker = RedisBroker(os.environ["PEERS_REDIS"], logger=None)
app = FastStream(broker)


async def raw(message: Any) -> bytes:  # noqa: ANN401
    """The body as it is: a packet is no JSON."""
    return bytes(message.body)


@app.on_startup
async def connect(context: ContextRepo) -> None:
    """One client a process, made in its event loop."""
    context.set_global("server", triton.InferenceServerClient(os.environ["PEERS_TRITON"]))


@broker.subscriber(stream=StreamSub(FEATURES, max_records=16, **CONSUMER), max_workers=16, decoder=raw)
@broker.subscriber(stream=StreamSub(FEATURES, min_idle_time=5000, **CONSUMER), decoder=raw)
@broker.publisher(stream=MASKS)
async def decode(body: bytes, server: Any = Context()) -> bytes:  # noqa: ANN401, B008
    """One frame's life."""
    frame = codec.read(body)
    symbols = triton.InferInput("symbols", [1, *frame.symbols.shape], "INT8")
    symbols.set_data_from_numpy(frame.symbols[None])
    level = triton.InferInput("level", [1, 1], "INT32")
    level.set_data_from_numpy(np.array([[frame.packet.level]], np.int32))
    answer = await server.infer(model, [symbols, level])
    return codec.mask(frame, answer.as_numpy("labels")[0])
