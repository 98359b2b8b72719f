"""What cameras say of prompts and plans, and stills: the newest entry counts, and a camera may add as many as it likes.

It may do so without ever sending a frame, so the keys are looked for by name, not by the streams that there are.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence

import structlog

from narrows.contract.records.still import STILL_MS
from narrows.runtime.redis.store import ReplyRefused, Store

_log = structlog.get_logger(__name__)
_PATTERN = "narrows:{*}:[ps]*:*"
"""All three by one walk over the names of all keys; what else it finds is sorted out here."""
ROUNDS = 10
"""Of housekeeping, about a second each: names of all keys are asked for."""
_KEY = re.compile(rb"narrows:\{(\d{1,4})\}:(prompt_state|plan|still):")


class PromptAnswerTrimmer:
    """Leaves the newest answer of each camera; a key that cannot be trimmed is left alone.

    Every camera's is looked at each :data:`ROUNDS` rounds, and those that held more then in every round until they do
    no longer: what such a camera may fill is what it sends within a second. A still whose camera went away before it
    withdrew it is dropped: a picture stays no longer than its site was told.
    """

    def __init__(self, store: Store) -> None:
        self._store, self._rounds = store, 0
        self._watched: list[bytes] = []

    async def trim(self, owned: Collection[int]) -> None:
        """One round, of the owned shards.

        Raises:
            ServiceError: Redis is away.
        """
        every, self._rounds = self._rounds % ROUNDS == 0, self._rounds + 1
        found = await self._all() if every else self._watched
        keys = [key for key in found if _shard(key) in owned]
        trimmed = await self._store.many([("XTRIM", key, "MAXLEN", 1) for key in keys])
        if every:
            await self._drop_old_stills([key for key in keys if b"}:still:" in key])
        more = [
            (key, int(entries))
            for key, entries in zip(keys, trimmed, strict=True)
            if not isinstance(entries, ReplyRefused) and int(entries) > 0
        ]
        for key, entries in more:
            if key not in self._watched:
                _log.warning("prompt_answers_trimmed", key=key[:120], entries=entries)
        # one that was quiet for a round stays watched until all are looked at: it may add in bursts
        self._watched = [key for key, _ in more] if every else self._watched

    async def _drop_old_stills(self, keys: Sequence[bytes]) -> None:
        if keys:
            oldest_ms = int(await self._store.time_ms()) - 2 * STILL_MS
            await self._store.many([("XTRIM", key, "MINID", max(0, oldest_ms)) for key in keys])

    async def _all(self) -> list[bytes]:
        return await self._store.scan_streams(_PATTERN)


def _shard(key: bytes) -> int | None:
    found = _KEY.match(key)
    return None if found is None else int(found[1])
