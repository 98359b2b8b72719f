"""From an entry's bytes to a packet that is believed: whichever format travelled, a :class:`FramePacket`.

::

    bytes ─┬─ format 1 ─ parse ───────────────── open the seal ─ in a context of its own ──┬─► packet
           └─ format 2 ─ parse ─ its context: carried, known, in Redis ─ open the seal ────┘
                                 └─ none of them: context_lost
"""

from __future__ import annotations

from functools import partial

from narrows.contract.wire.feature import FeaturePacket
from narrows.contract.wire.frame_packet import Envelope, FramePacket
from narrows.contract.wire.frame_packet.feature import of_feature
from narrows.contract.wire.frame_packet.header import is_frame_packet
from narrows.runtime.redis.store import Store
from orchestrator.dispatch.missing import Missing
from orchestrator.dispatch.stream import Frame, Stream
from orchestrator.dispatch.unsealing import Unsealing


class Packets:
    """Reads packets, with the contexts of their streams and the keys that there are."""

    def __init__(self, store: Store, unsealing: Unsealing) -> None:
        self._store, self._unsealing = store, unsealing

    def of(self, frame: Frame, data: bytes) -> FramePacket:
        """A frame's packet. Its identity, and the context that it carried, are in the frame once they are believed.

        Raises:
            Missing: an earlier owner may have kept the context that it names.
            FrameRefused: by name.
        """
        found = self.of_chain(frame.stream, data)
        frame.identity = found.identity
        if is_frame_packet(data) and found.head.carries_context:
            frame.context = found.head.context.encoded
        return found

    def of_chain(self, stream: Stream, data: bytes) -> FramePacket:
        """A packet that ended before.

        Raises:
            Missing: as :meth:`of`.
            FrameRefused: by name.
        """
        if not is_frame_packet(data):
            return of_feature(self._unsealing.opened(FeaturePacket.parse(data), stream.id))
        envelope = Envelope.parse(data)
        if envelope.context is None and stream.contexts.wants_reading(envelope.context_id):
            raise Missing(partial(self._read_contexts, stream))
        head = envelope.head(stream.contexts.get(envelope.context_id))
        found = self._unsealing.opened_frame(head, envelope.rest, stream.id)
        if head.carries_context:
            stream.contexts.keep(head.context)
        return found

    async def _read_contexts(self, stream: Stream) -> None:
        stream.contexts.restore(await self._store.call("LRANGE", stream.keys.contexts, 0, -1), stream.id)
