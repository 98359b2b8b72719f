"""When entries came, by the clock of Redis; and which ids that clock cannot have given."""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Sequence
from contextlib import suppress

from narrows.contract.errors import ServiceError
from narrows.contract.wire.keys import StreamKeys
from narrows.runtime.redis.server_clock import ServerClock
from narrows.runtime.redis.store import RawEntry, Store
from orchestrator.dispatch.scripts import LAST_IDS
from orchestrator.dispatch.stream import Stream, Taken
from orchestrator.shards.entry_id import IdRange, entry_ms

_AT_ONCE = 500


class Arrivals:
    """Judges the ids of a shard's entries by the clock of the server that holds it."""

    def __init__(self, store: Store, clock: ServerClock) -> None:
        self._store, self._clock = store, clock

    def taken(self, stream: Stream, entry: RawEntry, deliveries: int) -> Taken:
        """When an entry came; what was delivered before may be older than what was read since."""
        at_ms, read_s = entry_ms(entry.id), time.monotonic()
        now_ms = self._clock.at_ms(read_s)
        read_ms = self._read_ms(stream) if deliveries == 1 else -math.inf
        forged = IdRange(now_ms, self._clock.highest_ms, read_ms).forged(at_ms)
        arrived_ms = now_ms if forged else min(at_ms, now_ms)
        return Taken(arrived_ms, read_s - (now_ms - arrived_ms) / 1000, read_s, forged)

    def read_to_end(self, stream: Stream, seen_s: float) -> None:
        """It had nothing more to read at a time of this process's clock."""
        stream.drained_s, stream.drained_ms = seen_s, self._clock.at_ms(seen_s)

    async def look_where_odd(self, found: Iterable[tuple[Stream, Sequence[RawEntry]]]) -> None:
        """Before an id is called forged, look whether Redis' clock was set."""
        for stream, entries in found:
            ids = IdRange(self._clock.now_ms(), self._clock.highest_ms, self._read_ms(stream))
            if ids.forged(entry_ms(entries[0].id)) or ids.forged(entry_ms(entries[-1].id)):
                with suppress(ServiceError):
                    await self._clock.look(self._store)
                return

    async def learn_from_outcomes(self, streams: Sequence[StreamKeys]) -> None:
        """What ended last says what Redis' clock has shown: nobody chooses the ids of outcomes."""
        for first in range(0, len(streams), _AT_ONCE):
            keys = [each.outcomes for each in streams[first : first + _AT_ONCE]]
            for last in await self._store.run(LAST_IDS, keys):
                if last:
                    self._clock.was_at(entry_ms(last))

    def _read_ms(self, stream: Stream) -> float:
        """When the stream had nothing more to read, by a clock that may have been set since."""
        return min(stream.drained_ms, self._clock.at_ms(stream.drained_s))
