"""The contexts that a stream's packets of format 2 may name."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable

import structlog

from narrows.contract.errors import PacketError
from narrows.contract.wire.frame_packet import PacketContext

_log = structlog.get_logger(__name__)
MOST_CONTEXTS = 8
"""Kept of a stream: a camera has one in use, and a second or two of packets of those before it on their way."""


class ContextCache:
    """The newest contexts by id. What an earlier owner of the shard kept in Redis is read once, when one is missing."""

    def __init__(self) -> None:
        self._known: OrderedDict[int, PacketContext] = OrderedDict()
        self._read = False

    def get(self, context_id: int) -> PacketContext | None:
        """The context with an id, if it is here."""
        return self._known.get(context_id)

    def keep(self, context: PacketContext) -> None:
        """Keep a context of a packet that is believed."""
        self._known[context.id] = context
        self._known.move_to_end(context.id)
        while len(self._known) > MOST_CONTEXTS:
            self._known.popitem(last=False)

    def wants_reading(self, context_id: int) -> bool:
        """Whether what Redis has must be read for this one."""
        return context_id not in self._known and not self._read

    def restore(self, kept: Iterable[bytes], stream: str) -> None:
        """Take up what Redis has, the newest last; what is no context is left out."""
        self._read, own = True, list(self._known.values())
        for data in kept:
            try:
                self.keep(PacketContext.parse(data))
            except PacketError as error:
                _log.warning("context_unreadable", stream=stream, error=str(error))
        for context in own:
            self.keep(context)

    def doubt(self) -> None:
        """Redis may have lost its last second, or be another: look again when one is missing."""
        self._read = False
