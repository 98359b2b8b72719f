"""Decoding packets through a running stack: in by Redis, out by Redis, a dispatcher and Triton in between."""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import replace

import numpy as np
import redis
from numpy.typing import NDArray

from narrows.client.registry import StreamRegistry
from narrows.client.subscription import Subscription, subscribe
from narrows.contract.errors import ServiceError
from narrows.contract.wire import (
    FeaturePacket,
    FrameIdentity,
    MaskPacket,
    Policy,
    ResultPacket,
    StreamKeys,
    StreamSettings,
)
from narrows.contract.wire.keys import PACKET_FIELD
from narrows.runtime.redis import connect, named_errors, read_install

WINDOW = 16
"""Frames on their way at once: enough for the dispatcher to batch, too few for any retention to trim."""
PATIENCE_S = 60.0


class StackDecoder:
    """Packets to label maps through the stack behind ``redis_url``, as a stream of its own.

    The stream is registered as ``complete`` while it runs, so no frame is skipped, and removed at the end.
    """

    def __init__(self, redis_url: str, stream: str | None = None) -> None:
        self._url = redis_url
        self._stream = stream or f"evaluate-{os.getpid()}"

    def __call__(self, packets: Iterable[bytes]) -> Iterator[NDArray[np.uint8]]:
        """Send, and yield masks in the order of the packets, whose sequences must count up from 0.

        Raises:
            ServiceError: Redis or the dispatcher does not answer, or a frame ended without a mask.
        """
        client = connect(self._url)
        with named_errors(self._url):
            install = read_install(client)
            registry = StreamRegistry(client, install)
            registry.set(self._stream, StreamSettings(policy=Policy.COMPLETE), who="narrows evaluate")
            try:
                yield from self._decode(client, StreamKeys.of(self._stream, install.shards), packets)
            finally:
                registry.remove(self._stream, who="narrows evaluate")

    def _decode(self, client: redis.Redis, keys: StreamKeys, packets: Iterable[bytes]) -> Iterator[NDArray[np.uint8]]:
        epoch = time.time_ns()
        sent: deque[FrameIdentity] = deque()
        with subscribe(self._stream, redis_url=self._url, timeout_s=PATIENCE_S) as outcomes:
            for data in packets:
                packet = replace(FeaturePacket.parse(data), epoch=epoch)
                client.xadd(keys.features, {PACKET_FIELD: packet.to_bytes()})
                sent.append(packet.identity)
                if len(sent) >= WINDOW:
                    yield _mask_of(sent.popleft(), outcomes)
            while sent:
                yield _mask_of(sent.popleft(), outcomes)


def _mask_of(identity: FrameIdentity, outcomes: Subscription) -> NDArray[np.uint8]:
    outcome = next(outcomes, None)
    if outcome is None:
        raise ServiceError(f"no mask in {PATIENCE_S:.0f} s: is `narrows orchestrate` running, and ready?")
    if isinstance(outcome, ResultPacket):
        raise ServiceError(f"frame {identity.sequence} ended with outputs of which none is a label map")
    if not isinstance(outcome, MaskPacket):
        raise ServiceError(f"frame {identity.sequence} ended without a mask: {outcome.reason}")
    if outcome.identity != identity:
        raise ServiceError(f"frame {identity.sequence} was awaited, {outcome.identity.sequence} came")
    return outcome.labels
