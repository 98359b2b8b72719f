"""From an entry's bytes to a packet that is believed, in either format.

::

    bytes ─┬─ format 1 ─ parse ────────────────────────────────────────┬─ open the seal ─► packet
           └─ format 2 ─ parse ─ its context: carried, known, in Redis ┘
                                 └─ none of them: context_lost
"""

from __future__ import annotations

from narrows.contract.wire.feature import FeaturePacket
from narrows.contract.wire.frame_packet import Envelope, FramePacket
from narrows.contract.wire.frame_packet.feature import as_feature
from narrows.contract.wire.frame_packet.header import is_frame_packet
from narrows.runtime.redis.store import Store
from orchestrator.dispatch.stream import Frame, Stream
from orchestrator.dispatch.unsealing import Unsealing


class Packets:
    """Reads packets, with the contexts of their streams and the keys that there are."""

    def __init__(self, store: Store, unsealing: Unsealing) -> None:
        self._store, self._unsealing = store, unsealing

    async def of(self, frame: Frame, data: bytes) -> FeaturePacket:
        """A frame's packet. Its identity, and the context that it carried, are in the frame once they are believed.

        Raises:
            FrameRefused: by name.
            ServiceError: Redis is away.
        """
        found = await self._opened(frame.stream, data)
        if isinstance(found, FeaturePacket):
            frame.identity = found.identity
            return found
        frame.identity = found.head.identity
        if found.head.carries_context:
            frame.context = found.head.context.encoded
        return as_feature(found)

    async def of_chain(self, stream: Stream, data: bytes) -> FeaturePacket:
        """A packet that ended before.

        Raises:
            FrameRefused: by name.
            ServiceError: Redis is away.
        """
        found = await self._opened(stream, data)
        return found if isinstance(found, FeaturePacket) else as_feature(found)

    async def _opened(self, stream: Stream, data: bytes) -> FeaturePacket | FramePacket:
        if not is_frame_packet(data):
            return self._unsealing.opened(FeaturePacket.parse(data), stream.id)
        envelope = Envelope.parse(data)
        if envelope.context is None and stream.contexts.wants_reading(envelope.context_id):
            stream.contexts.restore(await self._store.call("LRANGE", stream.keys.contexts, 0, -1), stream.id)
        head = envelope.head(stream.contexts.get(envelope.context_id))
        found = self._unsealing.opened_frame(head, envelope.rest, stream.id)
        if head.carries_context:
            stream.contexts.keep(head.context)
        return found
