"""Packets through a running stack: in by Redis, out by Redis, a dispatcher and Triton in between."""

from __future__ import annotations

import dataclasses
import os
import time
from collections import deque
from collections.abc import Iterable, Iterator
from typing import Any

import redis
from msgspec.structs import replace
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
from narrows.contract.wire.frame_packet import Envelope, FramePacket
from narrows.contract.wire.frame_packet.header import is_frame_packet
from narrows.contract.wire.keys import PACKET_FIELD
from narrows.runtime.redis import connect, named_errors, read_install

WINDOW = 8
"""Frames on their way at once: enough for the dispatcher to batch, too few for any retention to trim, of large ones
either."""
PATIENCE_S = 60.0


class StackDecoder:
    """Packets to their first outputs, label maps say, through the stack behind ``redis_url``, as a stream of its own.

    The stream is registered as ``complete`` while it runs, so no frame is skipped, and removed at the end.
    """

    def __init__(self, redis_url: str, stream: str | None = None) -> None:
        self._url = redis_url
        self._stream = stream or f"evaluate-{os.getpid()}"

    def __call__(self, packets: Iterable[bytes]) -> Iterator[NDArray[Any]]:
        """Send, and yield outputs in the order of the packets, whose sequences must count up from 0.

        Packets of format 2 have their context with them.

        Raises:
            ServiceError: Redis or the dispatcher does not answer, or a frame ended without an output.
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

    def _decode(self, client: redis.Redis, keys: StreamKeys, packets: Iterable[bytes]) -> Iterator[NDArray[Any]]:
        epoch = time.time_ns()
        sent: deque[FrameIdentity] = deque()
        with subscribe(self._stream, redis_url=self._url, timeout_s=PATIENCE_S) as outcomes:
            for data in packets:
                packet = _of_epoch(data, epoch)
                client.xadd(keys.features, {PACKET_FIELD: packet.to_bytes()})
                sent.append(packet.identity)
                if len(sent) >= WINDOW:
                    yield _output_of(sent.popleft(), outcomes)
            while sent:
                yield _output_of(sent.popleft(), outcomes)


def _of_epoch(data: bytes, epoch: int) -> FeaturePacket | FramePacket:
    """A packet as a camera that booted then would send it: frames that have ended once are not decoded again."""
    if not is_frame_packet(data):
        return replace(FeaturePacket.parse(data), epoch=epoch)
    envelope = Envelope.parse(data)
    packet = FramePacket.of_open(envelope.head(None), envelope.rest)
    context = dataclasses.replace(packet.head.context, epoch=epoch)
    return replace(packet, head=replace(packet.head, context=context))


def _output_of(identity: FrameIdentity, outcomes: Subscription) -> NDArray[Any]:
    outcome = next(outcomes, None)
    if outcome is None:
        raise ServiceError(f"no outcome in {PATIENCE_S:.0f} s: is `narrows orchestrate` running, and ready?")
    if not isinstance(outcome, MaskPacket | ResultPacket):
        raise ServiceError(f"frame {identity.sequence} ended without an output: {outcome.reason}")
    if outcome.identity != identity:
        raise ServiceError(f"frame {identity.sequence} was awaited, {outcome.identity.sequence} came")
    return outcome.outputs[0].values
