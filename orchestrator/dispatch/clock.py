"""The server's clock, known here between two looks at it: ages are measured on one clock, Redis'."""

from __future__ import annotations

import time
from collections.abc import Callable

from orchestrator.dispatch.store import Store


class ServerClock:
    """Redis' clock as an offset to a monotonic one."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._offset_ms = time.time() * 1000 - monotonic() * 1000

    def now_ms(self) -> float:
        """Unix milliseconds on the server."""
        return self._monotonic() * 1000 + self._offset_ms

    async def look(self, store: Store) -> None:
        """Read the server's clock; half of the round trip is taken for the way back."""
        before = self._monotonic()
        server_ms = await store.time_ms()
        after = self._monotonic()
        self._offset_ms = server_ms - (before + after) / 2 * 1000


def entry_ms(entry: bytes) -> int:
    """The milliseconds of an entry id: when the server took the entry."""
    return int(entry.partition(b"-")[0])
