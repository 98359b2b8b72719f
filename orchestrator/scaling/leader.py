"""Which autoscaler acts: one lease in Redis, with a fencing token that only grows.

The scripts are those of the shards' leases. A leader renews every second; killed, it is followed as soon as its lease
has lapsed, :data:`TTL_MS` after the last renewal. A leader that was paused learns from its own clock that it may not
act any more, before it asks anybody.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from narrows.contract.wire.keys import ScaleKeys
from narrows.runtime.redis.store import Store
from orchestrator.shards.fence import token_of
from orchestrator.shards.scripts import ACQUIRE, RELEASE, RENEW

TTL_MS = 5_000
_KEYS = (ScaleKeys.LEADER, ScaleKeys.FENCE)


class Leadership:
    """This process's claim to lead.

    Attributes:
        owner: the name that others read in the lease; need not be unique, the token is.
    """

    def __init__(
        self, store: Store, owner: str, ttl_ms: int = TTL_MS, *, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self.owner = owner
        self._store = store
        self._ttl_ms = ttl_ms
        self._monotonic = monotonic
        self._token: int | None = None
        self._good_until_s = 0.0

    @property
    def token(self) -> int | None:
        """The fencing token while nobody else can lead yet, by this process's clock. Look before each action."""
        return self._token if self._monotonic() < self._good_until_s else None

    async def hold(self) -> int | None:
        """Take or keep the lease; call it every second. Answers :attr:`token`.

        Raises:
            ServiceError: Redis is away or refuses; what was held stays good for the rest of its time.
        """
        if self._token is None or not await self._renewed(self._token):
            self._token = await self._acquired()
        return self.token

    async def leave(self) -> None:
        """Give the lease back at once, for the next to take; counts as lost here first.

        Raises:
            ServiceError: Redis is away or refuses; the lease lapses by itself.
        """
        token, self._token = self._token, None
        if token is not None:
            await self._store.run(RELEASE, [ScaleKeys.LEADER], token, self.owner)

    async def _renewed(self, token: int) -> bool:
        asked_s = self._monotonic()
        held = bool(await self._store.run(RENEW, _KEYS, token, self.owner, self._ttl_ms))
        if held:
            self._lasts_from(asked_s)
        return held

    async def _acquired(self) -> int | None:
        asked_s = self._monotonic()
        token = token_of(await self._store.run(ACQUIRE, _KEYS, self.owner, self._ttl_ms), ScaleKeys.FENCE)
        if token is None:
            return None
        self._lasts_from(asked_s)
        return int(token)

    def _lasts_from(self, asked_s: float) -> None:
        """Counted from the question: the server's time began later, so ours ends first."""
        self._good_until_s = asked_s + self._ttl_ms / 1000
